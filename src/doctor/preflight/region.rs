//! Area `region`: whether it has the three Availability Zones that the stack stands in.

use super::super::Chart;
use super::Needs;
use crate::aws::Aws;
use crate::resource::Result;

pub(super) const AREA: &str = "region";

pub(super) async fn look(aws: &Aws, needs: &Needs, chart: &mut Chart) -> Result<()> {
    let region = &needs.region;
    if let Some(zones) = &needs.zones {
        chart.fine(format!("{region} has the zones {}", zones.join(", ")));
        return Ok(());
    }
    let offered = aws.availability_zones().await?;
    match offered.len() {
        0..3 => chart
            .problem(format!("{region} has fewer than three Availability Zones"))
            .shown_by([format!("this account has {}", offered.join(", "))])
            .mended_by("choose another region: `--region us-east-1`, or `region` in orderctl.toml"),
        many => chart.fine(format!("{region} has {many} Availability Zones")),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::operation::describe_availability_zones::DescribeAvailabilityZonesOutput;
    use aws_sdk_ec2::types::AvailabilityZone;
    use aws_smithy_mocks::mock;

    use super::super::super::testing::{found, is_fine, only_bad};
    use super::super::testing::needs;
    use super::*;
    use crate::aws::testing::mocked;

    #[tokio::test]
    async fn two_zones_are_too_few() {
        let needs = Needs {
            zones: None,
            ..needs()
        };
        for count in [2, 3] {
            let rule = mock!(Client::describe_availability_zones).then_output(move || {
                let zone = |index: u8| {
                    AvailabilityZone::builder()
                        .zone_name(format!("zone-{index}"))
                        .build()
                };
                DescribeAvailabilityZonesOutput::builder()
                    .set_availability_zones(Some((0..count).map(zone).collect()))
                    .build()
            });
            let aws = mocked(&[&rule]);
            let all = found(async |chart: &mut Chart| look(&aws, &needs, chart).await).await;
            match count {
                2 => assert!(only_bad(&all).is_problem()),
                _ => is_fine(&all),
            }
        }
    }
}
