//! Area `logs`: whether the containers have a place to write to. Without it no task starts.

use super::{Chart, Subject};
use crate::aws::{Answer, Aws};
use crate::resource::Result;

pub(super) const AREA: &str = "logs";

pub(super) async fn look(aws: &Aws, subject: &Subject, chart: &mut Chart) -> Result<()> {
    let mut pages = aws
        .logs
        .describe_log_groups()
        .log_group_name_prefix(&subject.log_group)
        .into_paginator()
        .items()
        .send();
    while let Some(group) = pages.next().await {
        let group = group.of("logs:DescribeLogGroups")?;
        if group.log_group_name() == Some(&subject.log_group) {
            chart.fine(format!("log group {} is there", subject.log_group));
            return Ok(());
        }
    }
    chart
        .problem(format!("there is no log group {}", subject.log_group))
        .shown_by(["a task whose containers cannot write their logs does not start"])
        .mended_by("orderctl up");
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatchlogs::Client;
    use aws_sdk_cloudwatchlogs::operation::describe_log_groups::DescribeLogGroupsOutput;
    use aws_sdk_cloudwatchlogs::types::LogGroup;
    use aws_smithy_mocks::mock;

    use super::super::testing::{found, is_fine, only_bad, subject};
    use super::*;
    use crate::aws::testing::mocked;

    fn page(name: &str, next: Option<&str>) -> DescribeLogGroupsOutput {
        DescribeLogGroupsOutput::builder()
            .log_groups(LogGroup::builder().log_group_name(name).build())
            .set_next_token(next.map(str::to_owned))
            .build()
    }

    #[tokio::test]
    async fn only_the_group_of_this_name_counts_on_whichever_page_it_is() {
        let there = mock!(Client::describe_log_groups)
            .sequence()
            .output(|| page("/ecs/order-api-dev-2", Some("more")))
            .output(|| page("/ecs/order-api-dev", None))
            .build();
        let aws = mocked(&[&there]);
        is_fine(&found(async |chart: &mut Chart| look(&aws, &subject(), chart).await).await);
        let other =
            mock!(Client::describe_log_groups).then_output(|| page("/ecs/order-api-dev-2", None));
        let aws = mocked(&[&other]);
        let all = found(async |chart: &mut Chart| look(&aws, &subject(), chart).await).await;
        assert_eq!(
            only_bad(&all).title,
            "there is no log group /ecs/order-api-dev"
        );
    }
}
