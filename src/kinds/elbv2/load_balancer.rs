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
    Changes, Class, Condition, Error, Identity, Last, Live, Operations, Refusal, Resolved,
    Resource, Result, Scope, Stage, Tags, Times, outputs,
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
    const OPERATIONS: Operations = Operations {
        read: &[
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeLoadBalancerAttributes",
            "elasticloadbalancing:DescribeTags",
        ],
        create: &[
            "elasticloadbalancing:CreateLoadBalancer",
            "elasticloadbalancing:AddTags",
        ],
        update: &[
            "elasticloadbalancing:SetSubnets",
            "elasticloadbalancing:SetSecurityGroups",
            "elasticloadbalancing:ModifyLoadBalancerAttributes",
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:RemoveTags",
        ],
        delete: &["elasticloadbalancing:DeleteLoadBalancer"],
    };
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
mod tests;
