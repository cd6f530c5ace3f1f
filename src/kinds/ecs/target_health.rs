//! Whether the load balancer finds a service's tasks healthy. ECS counts a task as running before
//! that, and "created is not ready".

use aws_sdk_ecs::types::{AdvancedConfiguration, LoadBalancer, Service as AwsService};
use aws_sdk_elasticloadbalancingv2::types::{TargetHealthDescription, TargetHealthStateEnum};

use crate::aws::Aws;
use crate::resource::{Condition, Result};
use crate::service::targets;

/// Says whether as many targets are healthy as tasks are wanted, in the group that has the most:
/// during a deployment both colours have some.
pub(super) async fn condition(aws: &Aws, service: &AwsService) -> Result<Condition> {
    let balancer = service.load_balancers().first();
    let groups = [
        balancer.and_then(LoadBalancer::target_group_arn),
        balancer
            .and_then(LoadBalancer::advanced_configuration)
            .and_then(AdvancedConfiguration::alternate_target_group_arn),
    ];
    let wanted = usize::try_from(service.desired_count()).unwrap_or_default();
    let mut best = 0;
    for group in groups.into_iter().flatten() {
        best = best.max(healthy(aws, group).await?);
        if best >= wanted {
            return Ok(Condition::Ready);
        }
    }
    Ok(Condition::Pending(format!(
        "{best} of {wanted} targets healthy"
    )))
}

async fn healthy(aws: &Aws, group: &str) -> Result<usize> {
    let is_healthy = |target: &&TargetHealthDescription| {
        target.target_health().and_then(|health| health.state())
            == Some(&TargetHealthStateEnum::Healthy)
    };
    let targets = targets::health(aws, group).await?.unwrap_or_default();
    Ok(targets.iter().filter(is_healthy).count())
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::Client;
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_health::DescribeTargetHealthOutput;
    use aws_sdk_elasticloadbalancingv2::types::TargetHealth;
    use aws_smithy_mocks::{Rule, mock};

    use super::super::service_live::testing::in_aws;
    use super::*;
    use crate::aws::testing::mocked;

    /// A target group with so many healthy targets, and one that is not.
    fn group(arn: &'static str, healthy: usize) -> Rule {
        let target = |state: TargetHealthStateEnum| {
            TargetHealthDescription::builder()
                .target_health(TargetHealth::builder().state(state).build())
                .build()
        };
        mock!(Client::describe_target_health)
            .match_requests(move |r| r.target_group_arn() == Some(arn))
            .then_output(move || {
                let mut targets = vec![target(TargetHealthStateEnum::Initial)];
                targets.resize(healthy + 1, target(TargetHealthStateEnum::Healthy));
                DescribeTargetHealthOutput::builder()
                    .set_target_health_descriptions(Some(targets))
                    .build()
            })
    }

    #[tokio::test]
    async fn the_colour_with_the_most_healthy_targets_counts() {
        let service = in_aws().build();
        for (blue, green, expected) in [
            (3, 0, Condition::Ready),
            (0, 3, Condition::Ready),
            (1, 2, Condition::Pending("2 of 3 targets healthy".into())),
            (0, 0, Condition::Pending("0 of 3 targets healthy".into())),
        ] {
            let rules = [group("arn:blue", blue), group("arn:green", green)];
            let aws = mocked(&[&rules[0], &rules[1]]);
            assert_eq!(condition(&aws, &service).await.unwrap(), expected);
        }
    }
}
