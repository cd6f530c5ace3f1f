//! `elbv2/load_balancer`: the internet-facing Application Load Balancer.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::{
    IpAddressType, LoadBalancer as AwsLoadBalancer, LoadBalancerAttribute, LoadBalancerSchemeEnum,
    LoadBalancerStateEnum, LoadBalancerTypeEnum,
};
use serde::{Deserialize, Serialize};

use super::{LoadBalancerArn, change_tags, in_order_of, read_tags, tag_list};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::kinds::ec2::{SecurityGroupId, SubnetId, VpcId};
use crate::resource::{
    Changes, Class, Condition, Error, Identity, Last, Live, Refusal, Resolved, Resource, Result,
    Scope, Stage, Tags, Times, outputs,
};

/// An `AWS::ElasticLoadBalancingV2::LoadBalancer`: application, internet-facing, IPv4.
pub struct LoadBalancer;

/// The settings of a load balancer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct LoadBalancerSpec<S: Stage> {
    /// Its name, at most 32 letters, digits and hyphens.
    pub name: String,
    /// The VPC of its subnets; AWS derives it from them.
    pub vpc: S::In<VpcId>,
    /// A set: the subnets its nodes stand in, one per Availability Zone, at least two.
    pub subnets: Vec<S::In<SubnetId>>,
    /// A set: the security groups of its nodes.
    pub security_groups: Vec<S::In<SecurityGroupId>>,
    /// Whether clients may speak HTTP/2.
    pub http2: bool,
    /// Whether header fields with invalid names are dropped.
    pub drop_invalid_header_fields: bool,
    /// Whether AWS refuses to delete it.
    pub deletion_protection: bool,
    /// Its tags.
    pub tags: Tags,
}

outputs! { LoadBalancer =>
    /// What AWS gives a load balancer.
    LoadBalancerOutputs {
        /// Its ARN.
        arn: LoadBalancerArn,
        /// The host name clients reach it by.
        dns_name: String,
        /// The hosted zone of that name, for alias records.
        canonical_hosted_zone_id: String,
        /// The value of CloudWatch's `LoadBalancer` dimension: `app/<name>/<id>`.
        full_name: String,
    }
}

const GONE: &[&str] = &["LoadBalancerNotFound"];
const HTTP2: &str = "routing.http2.enabled";
const DROP_INVALID_HEADER_FIELDS: &str = "routing.http.drop_invalid_header_fields.enabled";
const DELETION_PROTECTION: &str = "deletion_protection.enabled";

impl Resource for LoadBalancer {
    const KIND: &'static str = "elbv2/load_balancer";
    const IDENTITY: Identity = Identity::Name;
    const REPLACE_ON: &'static [&'static str] = &["name", "vpc"];
    const TIMES: Times = Times::typical(150, 60);
    // Field guide, section 5; the name stays taken for a while after a delete. An ALB is refused
    // outright while its VPC has no internet gateway.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("SubnetNotFound", 300),
        Refusal::create("InvalidSecurityGroup", 300),
        Refusal::create("InvalidSubnet", 300).saying("has no internet gateway"),
        Refusal::create("DuplicateLoadBalancerName", 300),
        Refusal::update("LoadBalancerNotFound", 120),
        Refusal::update("SubnetNotFound", 300),
        Refusal::update("InvalidSecurityGroup", 300),
        Refusal::delete("ResourceInUse", 300),
    ];
    type Api = Aws;
    type Spec<S: Stage> = LoadBalancerSpec<S>;
    type Outputs = LoadBalancerOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &LoadBalancerSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let request = aws.elbv2.describe_load_balancers();
        let request = match last {
            Some(last) => request.load_balancer_arns(&*last.outputs.arn),
            None => request.names(&want.name),
        };
        let answer = request
            .send()
            .await
            .of("elasticloadbalancing:DescribeLoadBalancers")
            .gone_is_none(GONE)?;
        let Some(found) = answer.and_then(|answer| answer.load_balancers?.pop()) else {
            return Ok(None);
        };
        let outputs = outputs_of(&found, "elasticloadbalancing:DescribeLoadBalancers")?;
        let arn = &*outputs.arn;
        let reads = tokio::try_join!(
            read_attributes(aws, arn),
            aws.tags(scope, arn, &want.tags, read_tags(aws, arn)),
        );
        let Some((attributes, tags)) = reads.gone_is_none(GONE)? else {
            return Ok(None);
        };
        let subnets = found
            .availability_zones()
            .iter()
            .filter_map(|zone| zone.subnet_id().map(SubnetId::from))
            .collect();
        let security_groups = found
            .security_groups()
            .iter()
            .map(|group| SecurityGroupId::from(group.as_str()))
            .collect();
        let is_on = |key: &str, default: bool| attributes.get(key).map_or(default, |v| v == "true");
        Ok(Some(Live {
            spec: LoadBalancerSpec {
                name: found.load_balancer_name().unwrap_or_default().to_owned(),
                vpc: found.vpc_id().unwrap_or_default().into(),
                subnets: in_order_of(subnets, &want.subnets),
                security_groups: in_order_of(security_groups, &want.security_groups),
                http2: is_on(HTTP2, true),
                drop_invalid_header_fields: is_on(DROP_INVALID_HEADER_FIELDS, false),
                deletion_protection: is_on(DELETION_PROTECTION, false),
                tags,
            },
            outputs,
            condition: condition(&found),
        }))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &LoadBalancerSpec<Resolved>,
    ) -> Result<LoadBalancerOutputs> {
        let answer = aws
            .elbv2
            .create_load_balancer()
            .name(&want.name)
            .r#type(LoadBalancerTypeEnum::Application)
            .scheme(LoadBalancerSchemeEnum::InternetFacing)
            .ip_address_type(IpAddressType::Ipv4)
            .set_subnets(Some(texts(&want.subnets)))
            .set_security_groups(Some(texts(&want.security_groups)))
            .set_tags(Some(tag_list(&want.tags)))
            .send()
            .await
            .of("elasticloadbalancing:CreateLoadBalancer")?;
        let created = answer.load_balancers().first().ok_or_else(missing(
            "elasticloadbalancing:CreateLoadBalancer",
            "LoadBalancers",
        ))?;
        outputs_of(created, "elasticloadbalancing:CreateLoadBalancer")
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &LoadBalancerSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        let arn = &*live.outputs.arn;
        if changes.touch("subnets") {
            aws.elbv2
                .set_subnets()
                .load_balancer_arn(arn)
                .set_subnets(Some(texts(&want.subnets)))
                .send()
                .await
                .of("elasticloadbalancing:SetSubnets")?;
        }
        if changes.touch("security_groups") {
            aws.elbv2
                .set_security_groups()
                .load_balancer_arn(arn)
                .set_security_groups(Some(texts(&want.security_groups)))
                .send()
                .await
                .of("elasticloadbalancing:SetSecurityGroups")?;
        }
        let attributes: Vec<_> = [
            ("http2", HTTP2, want.http2),
            (
                "drop_invalid_header_fields",
                DROP_INVALID_HEADER_FIELDS,
                want.drop_invalid_header_fields,
            ),
            (
                "deletion_protection",
                DELETION_PROTECTION,
                want.deletion_protection,
            ),
        ]
        .into_iter()
        .filter(|(field, ..)| changes.touch(field))
        .map(|(_, key, value)| {
            LoadBalancerAttribute::builder()
                .key(key)
                .value(value.to_string())
                .build()
        })
        .collect();
        if !attributes.is_empty() {
            aws.elbv2
                .modify_load_balancer_attributes()
                .load_balancer_arn(arn)
                .set_attributes(Some(attributes))
                .send()
                .await
                .of("elasticloadbalancing:ModifyLoadBalancerAttributes")?;
        }
        if changes.touch("tags") {
            change_tags(aws, arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        // Somebody asked for this protection; lifting it is a decision, not a step of a delete.
        if live.spec.deletion_protection {
            return Err(protected(&live.spec.name));
        }
        aws.elbv2
            .delete_load_balancer()
            .load_balancer_arn(&*live.outputs.arn)
            .send()
            .await
            .of("elasticloadbalancing:DeleteLoadBalancer")
            .gone_is_fine(GONE)
    }
}

fn protected(name: &str) -> Error {
    Error::new(
        "elasticloadbalancing:DeleteLoadBalancer",
        Class::Refused,
        format!("the deletion protection of load balancer {name} is on"),
    )
    .with_code("OperationNotPermitted")
    .with_advice("set `protect = false`, run `orderctl up`, then try again")
}

fn texts<T: std::ops::Deref<Target = str>>(ids: &[T]) -> Vec<String> {
    ids.iter().map(|id| id.to_string()).collect()
}

async fn read_attributes(aws: &Aws, arn: &str) -> Result<BTreeMap<String, String>> {
    let answer = aws
        .elbv2
        .describe_load_balancer_attributes()
        .load_balancer_arn(arn)
        .send()
        .await
        .of("elasticloadbalancing:DescribeLoadBalancerAttributes")?;
    Ok(answer
        .attributes()
        .iter()
        .filter_map(|item| Some((item.key()?.to_owned(), item.value()?.to_owned())))
        .collect())
}

fn outputs_of(found: &AwsLoadBalancer, operation: &'static str) -> Result<LoadBalancerOutputs> {
    let arn = found
        .load_balancer_arn()
        .ok_or_else(missing(operation, "LoadBalancerArn"))?;
    let full_name = arn
        .split_once(":loadbalancer/")
        .map_or(arn, |(_, name)| name);
    Ok(LoadBalancerOutputs {
        arn: arn.into(),
        dns_name: found
            .dns_name()
            .ok_or_else(missing(operation, "DNSName"))?
            .to_owned(),
        canonical_hosted_zone_id: found
            .canonical_hosted_zone_id()
            .ok_or_else(missing(operation, "CanonicalHostedZoneId"))?
            .to_owned(),
        full_name: full_name.to_owned(),
    })
}

fn condition(found: &AwsLoadBalancer) -> Condition {
    let state = found.state();
    match state.and_then(|state| state.code()) {
        // Impaired means that it serves, without the capacity to scale; nothing to wait for.
        Some(LoadBalancerStateEnum::Active | LoadBalancerStateEnum::ActiveImpaired) => {
            Condition::Ready
        }
        Some(LoadBalancerStateEnum::Failed) => {
            let reason = state.and_then(|state| state.reason());
            Condition::Failed(reason.unwrap_or("AWS gave no reason").to_owned())
        }
        Some(code) => Condition::Pending(code.as_str().to_owned()),
        None => Condition::Pending("unknown".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::Client;
    use aws_sdk_elasticloadbalancingv2::operation::create_load_balancer::CreateLoadBalancerOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_load_balancer_attributes::DescribeLoadBalancerAttributesOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_load_balancers::{
        DescribeLoadBalancersError, DescribeLoadBalancersOutput,
    };
    use aws_sdk_elasticloadbalancingv2::operation::modify_load_balancer_attributes::ModifyLoadBalancerAttributesOutput;
    use aws_sdk_elasticloadbalancingv2::operation::set_subnets::SetSubnetsOutput;
    use aws_sdk_elasticloadbalancingv2::types::error::LoadBalancerNotFoundException;
    use aws_sdk_elasticloadbalancingv2::types::{AvailabilityZone, LoadBalancerState};
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::error::ErrorMetadata;
    use serde_json::json;

    use super::super::tests::tags_of;
    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const ARN: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/order-api-dev/50dc6c495c0c9188";

    fn want() -> LoadBalancerSpec<Resolved> {
        LoadBalancerSpec {
            name: "order-api-dev".into(),
            vpc: "vpc-1".into(),
            subnets: vec!["subnet-2".into(), "subnet-1".into(), "subnet-3".into()],
            security_groups: vec!["sg-1".into()],
            http2: true,
            drop_invalid_header_fields: true,
            deletion_protection: false,
            tags: Tags::from_pairs([(NODE_TAG, "load-balancer")]),
        }
    }

    fn in_aws(state: LoadBalancerStateEnum) -> AwsLoadBalancer {
        let zone = |id: &str| AvailabilityZone::builder().subnet_id(id).build();
        AwsLoadBalancer::builder()
            .load_balancer_arn(ARN)
            .load_balancer_name("order-api-dev")
            .dns_name("order-api-dev-1234567890.us-east-1.elb.amazonaws.com")
            .canonical_hosted_zone_id("Z35SXDOTRQ7X7K")
            .scheme(LoadBalancerSchemeEnum::InternetFacing)
            .r#type(LoadBalancerTypeEnum::Application)
            .vpc_id("vpc-1")
            .availability_zones(zone("subnet-3"))
            .availability_zones(zone("subnet-1"))
            .availability_zones(zone("subnet-2"))
            .security_groups("sg-1")
            .state(
                LoadBalancerState::builder()
                    .code(state)
                    .reason("no capacity")
                    .build(),
            )
            .build()
    }

    fn attribute(key: &str, value: &str) -> LoadBalancerAttribute {
        LoadBalancerAttribute::builder()
            .key(key)
            .value(value)
            .build()
    }

    fn described(state: LoadBalancerStateEnum) -> Rule {
        mock!(Client::describe_load_balancers)
            .match_requests(|r| r.names() == ["order-api-dev"])
            .then_output(move || {
                DescribeLoadBalancersOutput::builder()
                    .load_balancers(in_aws(state.clone()))
                    .build()
            })
    }

    fn attributes() -> Rule {
        mock!(Client::describe_load_balancer_attributes).then_output(|| {
            DescribeLoadBalancerAttributesOutput::builder()
                .attributes(attribute("idle_timeout.timeout_seconds", "60"))
                .attributes(attribute(HTTP2, "true"))
                .attributes(attribute(DROP_INVALID_HEADER_FIELDS, "true"))
                .attributes(attribute(DELETION_PROTECTION, "false"))
                .build()
        })
    }

    fn tags() -> Rule {
        mock!(Client::describe_tags).then_output(|| tags_of(ARN, &want().tags))
    }

    async fn observed(state: LoadBalancerStateEnum) -> Live<LoadBalancer> {
        let aws = mocked(&[&described(state), &attributes(), &tags()]);
        LoadBalancer::observe(&aws, &scope("load-balancer"), &want(), None)
            .await
            .unwrap()
            .unwrap()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_whatever_the_order_of_the_subnets() {
        let live = observed(LoadBalancerStateEnum::Active).await;
        assert_eq!(live.spec, want());
        assert_eq!(live.outputs.full_name, "app/order-api-dev/50dc6c495c0c9188");
        assert_eq!(live.outputs.canonical_hosted_zone_id, "Z35SXDOTRQ7X7K");
    }

    #[tokio::test]
    async fn each_state_has_its_condition() {
        use LoadBalancerStateEnum::{Active, ActiveImpaired, Failed, Provisioning};
        for (state, condition) in [
            (Active, Condition::Ready),
            (ActiveImpaired, Condition::Ready),
            (Provisioning, Condition::Pending("provisioning".into())),
            (Failed, Condition::Failed("no capacity".into())),
        ] {
            assert_eq!(observed(state).await.condition, condition);
        }
    }

    #[tokio::test]
    async fn a_gone_one_is_none() {
        let gone = mock!(Client::describe_load_balancers)
            .match_requests(|r| r.load_balancer_arns() == [ARN])
            .then_error(|| {
                let meta = ErrorMetadata::builder().code("LoadBalancerNotFound");
                let gone = LoadBalancerNotFoundException::builder().meta(meta.build());
                DescribeLoadBalancersError::LoadBalancerNotFoundException(gone.build())
            });
        let last = Last {
            outputs: outputs_of(&in_aws(LoadBalancerStateEnum::Active), "test").unwrap(),
            spec: want(),
        };
        let aws = mocked(&[&gone]);
        let live = LoadBalancer::observe(&aws, &scope("load-balancer"), &want(), Some(&last)).await;
        assert!(live.unwrap().is_none());
    }

    #[tokio::test]
    async fn create_sends_the_tags_and_no_attribute() {
        let create = mock!(Client::create_load_balancer)
            .match_requests(|r| {
                r.tags().len() == 1
                    && r.subnets().len() == 3
                    && r.scheme() == Some(&LoadBalancerSchemeEnum::InternetFacing)
            })
            .then_output(|| {
                CreateLoadBalancerOutput::builder()
                    .load_balancers(in_aws(LoadBalancerStateEnum::Provisioning))
                    .build()
            });
        let aws = mocked(&[&create]);
        let outputs = LoadBalancer::create(&aws, &scope("load-balancer"), &want())
            .await
            .unwrap();
        assert_eq!(&*outputs.arn, ARN);
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn update_sends_only_what_changed() {
        let subnets = mock!(Client::set_subnets)
            .match_requests(|r| r.subnets() == ["subnet-2", "subnet-1", "subnet-3"])
            .then_output(|| SetSubnetsOutput::builder().build());
        let one_attribute = mock!(Client::modify_load_balancer_attributes)
            .match_requests(|r| {
                r.attributes().len() == 1
                    && r.attributes()[0].key() == Some(DROP_INVALID_HEADER_FIELDS)
                    && r.attributes()[0].value() == Some("true")
            })
            .then_output(|| ModifyLoadBalancerAttributesOutput::builder().build());
        let mut live = observed(LoadBalancerStateEnum::Active).await;
        live.spec.drop_invalid_header_fields = false;
        live.spec.subnets.pop();
        let changes = diff(&json!(want()), &json!(live.spec), None);
        let aws = mocked(&[&subnets, &one_attribute]);
        LoadBalancer::update(&aws, &scope("load-balancer"), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 2);
    }

    #[tokio::test]
    async fn a_protected_one_is_not_deleted_and_the_error_says_how_to_lift_it() {
        let mut live = observed(LoadBalancerStateEnum::Active).await;
        live.spec.deletion_protection = true;
        let aws = mocked(&[]);
        let error = LoadBalancer::delete(&aws, &scope("load-balancer"), &live)
            .await
            .unwrap_err();
        assert!(error.advice().unwrap().contains("protect = false"));
        assert_eq!(aws.calls().writes(), 0);
    }
}
