//! Area `names`: whether something has the stack's names that is not the stack's. What has them is
//! known from the plan that was made of the stack.

use super::super::Chart;
use super::Needs;
use crate::aws::Aws;
use crate::resource::Result;

pub(super) const AREA: &str = "names";

pub(super) async fn look(_aws: &Aws, needs: &Needs, chart: &mut Chart) -> Result<()> {
    match &needs.strangers {
        None => {}
        Some(Ok(none)) if none.is_empty() => {
            chart.fine("nobody else has the stack's names");
        }
        Some(Ok(strangers)) => {
            chart
                .problem("some of the stack's names are taken by what does not carry its tags")
                .shown_by(strangers)
                .mended_by(
                    "choose another suffix, delete them, or take them over with `orderctl up --adopt`",
                );
        }
        Some(Err(why)) => {
            chart
                .unknown("whether the stack's names are free could not be found out")
                .shown_by(why.lines().map(str::trim));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{found, is_fine, only_bad};
    use super::super::super::{Finding, Severity};
    use super::super::testing::needs;
    use super::*;
    use crate::aws::testing::mocked;

    async fn examined(strangers: Option<Result<Vec<String>, String>>) -> Vec<Finding> {
        let needs = Needs {
            strangers,
            ..needs()
        };
        let aws = mocked(&[]);
        found(async |chart: &mut Chart| look(&aws, &needs, chart).await).await
    }

    #[tokio::test]
    async fn taken_names_are_a_problem_and_unread_ones_unknown() {
        is_fine(&examined(Some(Ok(Vec::new()))).await);
        assert!(examined(None).await.is_empty());
        let all = examined(Some(Ok(vec!["sns/topic alarm-topic".to_owned()]))).await;
        assert!(only_bad(&all).is_problem());
        assert_eq!(only_bad(&all).evidence, ["sns/topic alarm-topic"]);
        let all = examined(Some(Err("denied\n  needed for vpc".to_owned()))).await;
        assert_eq!(only_bad(&all).severity, Severity::Unknown);
        assert_eq!(only_bad(&all).evidence, ["denied", "needed for vpc"]);
    }
}
