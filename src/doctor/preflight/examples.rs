//! Examples of the resources that a stack is made of, by service: what a policy that is limited to
//! the stack's own resources must allow.

use super::Needs;

/// An id as EC2 makes them.
const ID: &str = "0123456789abcdef0";

/// ARNs of a service's resources as the stack will have them; none for services without.
pub(super) fn of(service: &str, needs: &Needs) -> Vec<String> {
    let stack = &needs.stack;
    let partition = needs.caller.split(':').nth(1).unwrap_or("aws");
    let (region, account) = (&needs.region, &needs.account);
    let arn = |service: &str, rest: String| {
        format!("arn:{partition}:{service}:{region}:{account}:{rest}")
    };
    let global =
        |service: &str, rest: String| format!("arn:{partition}:{service}::{account}:{rest}");
    let api = format!("order-api-{stack}");
    match service {
        "ec2" => [
            ("vpc", "vpc"),
            ("subnet", "subnet"),
            ("internet-gateway", "igw"),
            ("natgateway", "nat"),
            ("elastic-ip", "eipalloc"),
            ("route-table", "rtb"),
            ("security-group", "sg"),
            ("security-group-rule", "sgr"),
            ("vpc-endpoint", "vpce"),
            ("network-interface", "eni"),
        ]
        .map(|(kind, prefix)| arn("ec2", format!("{kind}/{prefix}-{ID}")))
        .into(),
        "elasticloadbalancing" => [
            format!("loadbalancer/app/{api}/{ID}"),
            format!("targetgroup/order-blue-{stack}/{ID}"),
            format!("targetgroup/order-green-{stack}/{ID}"),
            format!("listener/app/{api}/{ID}/{ID}"),
            format!("listener-rule/app/{api}/{ID}/{ID}/{ID}"),
        ]
        .map(|rest| arn("elasticloadbalancing", rest))
        .into(),
        "ecs" => [
            format!("cluster/{api}"),
            format!("service/{api}/{api}"),
            format!("task-definition/{api}:1"),
            format!("task/{api}/{ID}"),
            format!("service-deployment/{api}/{api}/{ID}"),
        ]
        .map(|rest| arn("ecs", rest))
        .into(),
        "rds" => [
            format!("cluster:{api}"),
            format!("db:{api}-1"),
            format!("subgrp:{api}"),
            format!("cluster-pg:{api}"),
        ]
        .map(|rest| arn("rds", rest))
        .into(),
        "iam" => ["ecs-task-exec", "ecs-task", "ecs-lb"]
            .map(|role| global("iam", format!("role/{role}-{stack}")))
            .into_iter()
            .chain([global(
                "iam",
                "role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS".to_owned(),
            )])
            .collect(),
        "logs" => [
            format!("/ecs/{api}"),
            format!("/aws/rds/cluster/{api}/error"),
            format!("/aws/ecs/containerinsights/{api}/performance"),
        ]
        .into_iter()
        .flat_map(|name| {
            let group = arn("logs", format!("log-group:{name}"));
            [format!("{group}:*"), group]
        })
        .collect(),
        "secretsmanager" => vec![arn(
            "secretsmanager",
            format!("secret:order-api-db-password-{stack}-AbCdEf"),
        )],
        "ssm" => vec![arn("ssm", format!("parameter/order-api/{stack}/config"))],
        "ecr" => vec![arn("ecr", format!("repository/{api}"))],
        "sns" => vec![arn("sns", format!("order-api-alarms-{stack}"))],
        "cloudwatch" => vec![
            arn("cloudwatch", format!("alarm:order-api-high-errors-{stack}")),
            arn("cloudwatch", format!("alarm:order-api-db-failures-{stack}")),
            global("cloudwatch", format!("dashboard/{api}")),
        ],
        "wafv2" => vec![
            arn(
                "wafv2",
                format!("regional/webacl/order-api-waf-{stack}/{ID}"),
            ),
            arn(
                "wafv2",
                format!("regional/ipset/order-api-allow-{stack}/{ID}"),
            ),
            arn(
                "elasticloadbalancing",
                format!("loadbalancer/app/{api}/{ID}"),
            ),
        ],
        "application-autoscaling" => {
            vec![arn(
                "application-autoscaling",
                format!("scalable-target/{ID}"),
            )]
        }
        "acm" => vec![arn("acm", format!("certificate/{ID}"))],
        "route53" => match &needs.certificate {
            super::Certificate::Issued { zone_id, .. } => {
                vec![format!("arn:{partition}:route53:::hostedzone/{zone_id}")]
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
