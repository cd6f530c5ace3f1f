//! What the load balancer finds of the service's tasks.

use aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription;

use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;

/// Reads the health of each target of a group; nothing where there is no such group.
///
/// Asks `elasticloadbalancing:DescribeTargetHealth`, which has no pages; fails as that call does.
pub async fn health(aws: &Aws, target_group: &str) -> Result<Option<Vec<TargetHealthDescription>>> {
    let answer = aws
        .elbv2
        .describe_target_health()
        .target_group_arn(target_group)
        .send()
        .await
        .of("elasticloadbalancing:DescribeTargetHealth")
        .gone_is_none(&["TargetGroupNotFound"])?;
    Ok(answer.map(|answer| answer.target_health_descriptions.unwrap_or_default()))
}
