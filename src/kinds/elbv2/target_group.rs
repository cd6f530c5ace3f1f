//! `elbv2/target_group`: where a load balancer sends requests, and how it knows who is healthy.

use aws_sdk_elasticloadbalancingv2::types::{
    Matcher, ProtocolEnum, TargetGroup as AwsTargetGroup, TargetGroupAttribute, TargetTypeEnum,
};
use serde::{Deserialize, Serialize};

use super::{TargetGroupArn, change_tags, read_tags, tag_list};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::kinds::ec2::VpcId;
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, Tags, outputs,
};

/// An `AWS::ElasticLoadBalancingV2::TargetGroup` of IP addresses that speak HTTP.
pub struct TargetGroup;

/// The settings of a target group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct TargetGroupSpec<S: Stage> {
    /// Its name, at most 32 letters, digits and hyphens.
    pub name: String,
    /// The VPC of its targets.
    pub vpc: S::In<VpcId>,
    /// The port of its targets.
    pub port: u16,
    /// How the health of its targets is checked.
    pub health_check: HealthCheck,
    /// How long a target that leaves may finish its requests.
    pub deregistration_delay_seconds: u32,
    /// Its tags.
    pub tags: Tags,
}

/// How the health of targets is checked, over HTTP on the port of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// The path asked for.
    pub path: String,
    /// The status codes of a healthy answer: `200`, `200,202` or `200-299`.
    pub matcher: String,
    /// The time from one check to the next.
    pub interval_seconds: u16,
    /// The time within which the answer must come.
    pub timeout_seconds: u16,
    /// So many good answers in a row make a target healthy.
    pub healthy_threshold: u16,
    /// So many bad answers in a row make a target unhealthy.
    pub unhealthy_threshold: u16,
}

outputs! { TargetGroup =>
    /// What AWS gives a target group.
    TargetGroupOutputs {
        /// Its ARN.
        arn: TargetGroupArn,
        /// The value of CloudWatch's `TargetGroup` dimension: `targetgroup/<name>/<id>`.
        full_name: String,
    }
}

const GONE: &[&str] = &["TargetGroupNotFound"];
const DEREGISTRATION_DELAY: &str = "deregistration_delay.timeout_seconds";
/// AWS's value when the attribute has never been set.
const DEFAULT_DEREGISTRATION_DELAY: u32 = 300;

impl Resource for TargetGroup {
    const KIND: &'static str = "elbv2/target_group";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &[
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetGroupAttributes",
            "elasticloadbalancing:DescribeTags",
        ],
        create: &[
            "elasticloadbalancing:CreateTargetGroup",
            "elasticloadbalancing:AddTags",
        ],
        update: &[
            "elasticloadbalancing:ModifyTargetGroup",
            "elasticloadbalancing:ModifyTargetGroupAttributes",
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:RemoveTags",
        ],
        delete: &["elasticloadbalancing:DeleteTargetGroup"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name", "vpc", "port"];
    // Field guide, section 5. The wording for a VPC made seconds ago is from experience.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("ValidationError", 300).saying("is not found"),
        Refusal::update("TargetGroupNotFound", 120),
        Refusal::delete("ResourceInUse", 300),
    ];
    type Api = Aws;
    type Spec<S: Stage> = TargetGroupSpec<S>;
    type Outputs = TargetGroupOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &TargetGroupSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        // Asked for by name, one missing group would fail the call for the others.
        let all = aws
            .read_once("elasticloadbalancing:DescribeTargetGroups", describe(aws))
            .await?;
        let found = all.iter().find(|group| match last {
            Some(last) => group.target_group_arn() == Some(&last.outputs.arn),
            None => group.target_group_name() == Some(&want.name),
        });
        let Some(found) = found else { return Ok(None) };
        let outputs = outputs_of(found, "elasticloadbalancing:DescribeTargetGroups")?;
        let arn = &*outputs.arn;
        let reads = tokio::try_join!(
            read_deregistration_delay(aws, arn),
            aws.tags(scope, arn, &want.tags, read_tags(aws, arn)),
        );
        let Some((deregistration_delay_seconds, tags)) = reads.gone_is_none(GONE)? else {
            return Ok(None);
        };
        Ok(Some(Live {
            spec: TargetGroupSpec {
                name: found.target_group_name().unwrap_or_default().to_owned(),
                vpc: found.vpc_id().unwrap_or_default().into(),
                port: small(found.port()),
                health_check: HealthCheck {
                    path: found.health_check_path().unwrap_or_default().to_owned(),
                    matcher: found
                        .matcher()
                        .and_then(Matcher::http_code)
                        .unwrap_or_default()
                        .to_owned(),
                    interval_seconds: small(found.health_check_interval_seconds()),
                    timeout_seconds: small(found.health_check_timeout_seconds()),
                    healthy_threshold: small(found.healthy_threshold_count()),
                    unhealthy_threshold: small(found.unhealthy_threshold_count()),
                },
                deregistration_delay_seconds,
                tags,
            },
            outputs,
            condition: Condition::Ready,
        }))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &TargetGroupSpec<Resolved>,
    ) -> Result<TargetGroupOutputs> {
        let check = &want.health_check;
        let answer = aws
            .elbv2
            .create_target_group()
            .name(&want.name)
            .vpc_id(&*want.vpc)
            .port(want.port.into())
            .protocol(ProtocolEnum::Http)
            .target_type(TargetTypeEnum::Ip)
            .health_check_protocol(ProtocolEnum::Http)
            .health_check_path(&check.path)
            .matcher(Matcher::builder().http_code(&check.matcher).build())
            .health_check_interval_seconds(check.interval_seconds.into())
            .health_check_timeout_seconds(check.timeout_seconds.into())
            .healthy_threshold_count(check.healthy_threshold.into())
            .unhealthy_threshold_count(check.unhealthy_threshold.into())
            .set_tags(Some(tag_list(&want.tags)))
            .send()
            .await
            .of("elasticloadbalancing:CreateTargetGroup")?;
        let created = answer.target_groups().first().ok_or_else(missing(
            "elasticloadbalancing:CreateTargetGroup",
            "TargetGroups",
        ))?;
        outputs_of(created, "elasticloadbalancing:CreateTargetGroup")
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &TargetGroupSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        let arn = &*live.outputs.arn;
        if changes.touch("health_check") {
            let check = &want.health_check;
            aws.elbv2
                .modify_target_group()
                .target_group_arn(arn)
                .health_check_path(&check.path)
                .matcher(Matcher::builder().http_code(&check.matcher).build())
                .health_check_interval_seconds(check.interval_seconds.into())
                .health_check_timeout_seconds(check.timeout_seconds.into())
                .healthy_threshold_count(check.healthy_threshold.into())
                .unhealthy_threshold_count(check.unhealthy_threshold.into())
                .send()
                .await
                .of("elasticloadbalancing:ModifyTargetGroup")?;
        }
        if changes.touch("deregistration_delay_seconds") {
            let delay = TargetGroupAttribute::builder()
                .key(DEREGISTRATION_DELAY)
                .value(want.deregistration_delay_seconds.to_string());
            aws.elbv2
                .modify_target_group_attributes()
                .target_group_arn(arn)
                .attributes(delay.build())
                .send()
                .await
                .of("elasticloadbalancing:ModifyTargetGroupAttributes")?;
        }
        if changes.touch("tags") {
            change_tags(aws, arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.elbv2
            .delete_target_group()
            .target_group_arn(&*live.outputs.arn)
            .send()
            .await
            .of("elasticloadbalancing:DeleteTargetGroup")
            .gone_is_fine(GONE)
    }
}

fn small(number: Option<i32>) -> u16 {
    number
        .and_then(|number| number.try_into().ok())
        .unwrap_or_default()
}

async fn describe(aws: &Aws) -> Result<Vec<AwsTargetGroup>> {
    let pages = aws
        .elbv2
        .describe_target_groups()
        .into_paginator()
        .items()
        .send();
    pages
        .collect::<std::result::Result<_, _>>()
        .await
        .of("elasticloadbalancing:DescribeTargetGroups")
}

async fn read_deregistration_delay(aws: &Aws, arn: &str) -> Result<u32> {
    let answer = aws
        .elbv2
        .describe_target_group_attributes()
        .target_group_arn(arn)
        .send()
        .await
        .of("elasticloadbalancing:DescribeTargetGroupAttributes")?;
    Ok(answer
        .attributes()
        .iter()
        .find(|item| item.key() == Some(DEREGISTRATION_DELAY))
        .and_then(|item| item.value()?.parse().ok())
        .unwrap_or(DEFAULT_DEREGISTRATION_DELAY))
}

fn outputs_of(found: &AwsTargetGroup, operation: &'static str) -> Result<TargetGroupOutputs> {
    let arn = found
        .target_group_arn()
        .ok_or_else(missing(operation, "TargetGroupArn"))?;
    Ok(TargetGroupOutputs {
        arn: arn.into(),
        full_name: arn.rsplit(':').next().unwrap_or(arn).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::Client;
    use aws_sdk_elasticloadbalancingv2::operation::create_target_group::CreateTargetGroupOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_group_attributes::DescribeTargetGroupAttributesOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_groups::DescribeTargetGroupsOutput;
    use aws_sdk_elasticloadbalancingv2::operation::modify_target_group::ModifyTargetGroupOutput;
    use aws_sdk_elasticloadbalancingv2::operation::modify_target_group_attributes::ModifyTargetGroupAttributesOutput;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::super::tests::tags_of;
    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const ARN: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/order-blue-dev/73e2d6bc24d8a067";

    fn want() -> TargetGroupSpec<Resolved> {
        TargetGroupSpec {
            name: "order-blue-dev".into(),
            vpc: "vpc-1".into(),
            port: 8080,
            health_check: HealthCheck {
                path: "/health".into(),
                matcher: "200".into(),
                interval_seconds: 30,
                timeout_seconds: 5,
                healthy_threshold: 2,
                unhealthy_threshold: 3,
            },
            deregistration_delay_seconds: 30,
            tags: Tags::from_pairs([(NODE_TAG, "target-group-blue")]),
        }
    }

    fn in_aws(name: &str, arn: &str) -> AwsTargetGroup {
        AwsTargetGroup::builder()
            .target_group_arn(arn)
            .target_group_name(name)
            .protocol(ProtocolEnum::Http)
            .protocol_version("HTTP1")
            .port(8080)
            .vpc_id("vpc-1")
            .target_type(TargetTypeEnum::Ip)
            .health_check_enabled(true)
            .health_check_protocol(ProtocolEnum::Http)
            .health_check_port("traffic-port")
            .health_check_path("/health")
            .matcher(Matcher::builder().http_code("200").build())
            .health_check_interval_seconds(30)
            .health_check_timeout_seconds(5)
            .healthy_threshold_count(2)
            .unhealthy_threshold_count(3)
            .build()
    }

    fn rules() -> [Rule; 3] {
        let groups = mock!(Client::describe_target_groups).then_output(|| {
            DescribeTargetGroupsOutput::builder()
                .target_groups(in_aws("order-green-dev", "arn:green"))
                .target_groups(in_aws("order-blue-dev", ARN))
                .build()
        });
        let attributes = mock!(Client::describe_target_group_attributes)
            .match_requests(|r| r.target_group_arn() == Some(ARN))
            .then_output(|| {
                let delay = TargetGroupAttribute::builder()
                    .key(DEREGISTRATION_DELAY)
                    .value("30");
                DescribeTargetGroupAttributesOutput::builder()
                    .attributes(delay.build())
                    .build()
            });
        let tags = mock!(Client::describe_tags).then_output(|| tags_of(ARN, &want().tags));
        [groups, attributes, tags]
    }

    async fn observed(last: Option<&str>) -> Option<Live<TargetGroup>> {
        let [groups, attributes, tags] = &rules();
        let last = last.map(|arn| Last {
            outputs: TargetGroupOutputs {
                arn: arn.into(),
                full_name: String::new(),
            },
            spec: want(),
        });
        let aws = mocked(&[groups, attributes, tags]);
        TargetGroup::observe(&aws, &scope("target-group-blue"), &want(), last.as_ref())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back() {
        let live = observed(None).await.unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(
            live.outputs.full_name,
            "targetgroup/order-blue-dev/73e2d6bc24d8a067"
        );
        assert_eq!(live.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn a_recorded_group_is_found_by_its_arn_and_a_gone_one_is_none() {
        assert!(observed(Some(ARN)).await.is_some());
        assert!(observed(Some("arn:of-an-earlier-one")).await.is_none());
    }

    #[tokio::test]
    async fn create_sends_tags_and_health_check_in_one_call() {
        let create = mock!(Client::create_target_group)
            .match_requests(|r| {
                r.tags().len() == 1
                    && r.health_check_path() == Some("/health")
                    && r.unhealthy_threshold_count() == Some(3)
                    && r.target_type() == Some(&TargetTypeEnum::Ip)
            })
            .then_output(|| {
                CreateTargetGroupOutput::builder()
                    .target_groups(in_aws("order-blue-dev", ARN))
                    .build()
            });
        let aws = mocked(&[&create]);
        let outputs = TargetGroup::create(&aws, &scope("target-group-blue"), &want())
            .await
            .unwrap();
        assert_eq!(&*outputs.arn, ARN);
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn update_sends_only_what_changed() {
        let check = mock!(Client::modify_target_group)
            .match_requests(|r| r.health_check_path() == Some("/health"))
            .then_output(|| ModifyTargetGroupOutput::builder().build());
        let delay = mock!(Client::modify_target_group_attributes)
            .match_requests(|r| {
                r.attributes().len() == 1 && r.attributes()[0].value() == Some("30")
            })
            .then_output(|| ModifyTargetGroupAttributesOutput::builder().build());
        type Drift = fn(&mut TargetGroupSpec<Resolved>);
        let drifted: [(Drift, [usize; 2]); 2] = [
            (|spec| spec.health_check.path = "/".into(), [1, 0]),
            (|spec| spec.deregistration_delay_seconds = 300, [1, 1]),
        ];
        let aws = mocked(&[&check, &delay]);
        for (drift, calls) in drifted {
            let mut live = observed(None).await.unwrap();
            drift(&mut live.spec);
            let changes = diff(&json!(want()), &json!(live.spec), None);
            TargetGroup::update(&aws, &scope("target-group-blue"), &live, &want(), &changes)
                .await
                .unwrap();
            assert_eq!([check.num_calls(), delay.num_calls()], calls);
        }
    }
}
