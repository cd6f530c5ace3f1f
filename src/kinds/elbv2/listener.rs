//! `elbv2/listener`: a port of the load balancer, and what it does with what comes in.

use aws_sdk_elasticloadbalancingv2::types::{Certificate, Listener as AwsListener, ProtocolEnum};
use serde::{Deserialize, Serialize};

use super::forward::keeping_weights;
use super::{ListenerAction, ListenerArn, LoadBalancerArn, change_tags, read_tags_among, tag_list};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::kinds::acm::CertificateArn;
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, Tags, outputs,
};

/// An `AWS::ElasticLoadBalancingV2::Listener` of an Application Load Balancer.
pub struct Listener;

/// The settings of a listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct ListenerSpec<S: Stage> {
    /// The load balancer it is part of.
    pub load_balancer: S::In<LoadBalancerArn>,
    /// The port it listens on; each load balancer has it once.
    pub port: u16,
    /// What clients speak to it.
    pub protocol: ListenerProtocol,
    /// Its certificate: exactly one for HTTPS, none for HTTP.
    pub certificates: Vec<S::In<CertificateArn>>,
    /// Which TLS versions and ciphers it takes (`ELBSecurityPolicy-…`); empty for HTTP.
    pub ssl_policy: String,
    /// What it does with a request that no rule takes.
    pub default_action: ListenerAction<S>,
    /// Its tags.
    pub tags: Tags,
}

/// What clients speak to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ListenerProtocol {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl From<ListenerProtocol> for ProtocolEnum {
    fn from(protocol: ListenerProtocol) -> Self {
        match protocol {
            ListenerProtocol::Http => Self::Http,
            ListenerProtocol::Https => Self::Https,
        }
    }
}

outputs! { Listener =>
    /// What AWS gives a listener.
    ListenerOutputs {
        /// Its ARN.
        arn: ListenerArn,
    }
}

const GONE: &[&str] = &["ListenerNotFound", "LoadBalancerNotFound"];

impl Resource for Listener {
    const KIND: &'static str = "elbv2/listener";
    const IDENTITY: Identity = Identity::Parent;
    const OPERATIONS: Operations = Operations {
        read: &[
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeTags",
        ],
        create: &[
            "elasticloadbalancing:CreateListener",
            "elasticloadbalancing:AddTags",
        ],
        update: &[
            "elasticloadbalancing:ModifyListener",
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:RemoveTags",
        ],
        delete: &["elasticloadbalancing:DeleteListener"],
    };
    const REPLACE_ON: &'static [&'static str] = &["load_balancer"];
    // Field guide, section 5. A fresh certificate is known to ELB only after a while; until then
    // some answers call it unsupported. That a provisioning load balancer takes listeners is
    // accepted in practice but not documented (law 4).
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("CertificateNotFound", 300),
        Refusal::create("UnsupportedCertificate", 60),
        Refusal::create("LoadBalancerNotFound", 120),
        Refusal::create("TargetGroupNotFound", 120),
        Refusal::create("InvalidConfigurationRequest", 600).saying("provisioning"),
        Refusal::create("OperationNotPermitted", 600).saying("provisioning"),
        Refusal::update("CertificateNotFound", 300),
        Refusal::update("UnsupportedCertificate", 60),
        Refusal::update("ListenerNotFound", 120),
        Refusal::update("TargetGroupNotFound", 120),
        Refusal::delete("ResourceInUse", 120),
    ];
    type Api = Aws;
    type Spec<S: Stage> = ListenerSpec<S>;
    type Outputs = ListenerOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &ListenerSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let load_balancer = last.map_or(&want.load_balancer, |last| &last.spec.load_balancer);
        let key = format!("elasticloadbalancing:DescribeListeners {load_balancer}");
        let all = aws.read_once(&key, describe(aws, load_balancer)).await?;
        let found = all.iter().find(|listener| match last {
            Some(last) => listener.listener_arn() == Some(&last.outputs.arn),
            None => listener.port() == Some(want.port.into()),
        });
        let Some(found) = found else { return Ok(None) };
        let arn = found.listener_arn().ok_or_else(missing(
            "elasticloadbalancing:DescribeListeners",
            "ListenerArn",
        ))?;
        let siblings: Vec<&str> = all.iter().filter_map(AwsListener::listener_arn).collect();
        let tags = aws
            .tags(
                scope,
                arn,
                &want.tags,
                read_tags_among(aws, load_balancer, &siblings, arn),
            )
            .await
            .gone_is_none(GONE)?;
        let Some(tags) = tags else { return Ok(None) };
        Ok(Some(live(found, load_balancer, want, tags, arn)))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &ListenerSpec<Resolved>,
    ) -> Result<ListenerOutputs> {
        let answer = aws
            .elbv2
            .create_listener()
            .load_balancer_arn(&*want.load_balancer)
            .port(want.port.into())
            .protocol(want.protocol.into())
            .set_certificates(certificates(want))
            .set_ssl_policy(ssl_policy(want))
            .set_default_actions(Some(want.default_action.to_aws()?))
            .set_tags(Some(tag_list(&want.tags)))
            .send()
            .await
            .of("elasticloadbalancing:CreateListener")?;
        let arn = answer
            .listeners()
            .first()
            .and_then(AwsListener::listener_arn)
            .ok_or_else(missing(
                "elasticloadbalancing:CreateListener",
                "ListenerArn",
            ))?;
        Ok(ListenerOutputs { arn: arn.into() })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &ListenerSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        let arn = &*live.outputs.arn;
        let settings = [
            "port",
            "protocol",
            "certificates",
            "ssl_policy",
            "default_action",
        ];
        if changes.touch_any(&settings) {
            let mut request = aws.elbv2.modify_listener().listener_arn(arn);
            if changes.touch("port") {
                request = request.port(want.port.into());
            }
            // With HTTP, AWS drops certificate and policy by itself; with HTTPS, it needs both.
            if changes.touch_any(&["protocol", "certificates", "ssl_policy"]) {
                request = request
                    .protocol(want.protocol.into())
                    .set_certificates(certificates(want))
                    .set_ssl_policy(ssl_policy(want));
            }
            if changes.touch("default_action") {
                let action = action_to_send(&live.spec.default_action, &want.default_action);
                request = request.set_default_actions(Some(action.to_aws()?));
            }
            request
                .send()
                .await
                .of("elasticloadbalancing:ModifyListener")?;
        }
        if changes.touch("tags") {
            change_tags(aws, arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.elbv2
            .delete_listener()
            .listener_arn(&*live.outputs.arn)
            .send()
            .await
            .of("elasticloadbalancing:DeleteListener")
            .gone_is_fine(GONE)
    }
}

fn certificates(want: &ListenerSpec<Resolved>) -> Option<Vec<Certificate>> {
    let certificates = want
        .certificates
        .iter()
        .map(|arn| Certificate::builder().certificate_arn(&**arn).build())
        .collect::<Vec<_>>();
    (!certificates.is_empty()).then_some(certificates)
}

fn ssl_policy(want: &ListenerSpec<Resolved>) -> Option<String> {
    (!want.ssl_policy.is_empty()).then(|| want.ssl_policy.clone())
}

fn action_to_send(
    live: &ListenerAction<Resolved>,
    want: &ListenerAction<Resolved>,
) -> ListenerAction<Resolved> {
    match (live, want) {
        (
            ListenerAction::Forward {
                target_groups: live,
            },
            ListenerAction::Forward {
                target_groups: want,
            },
        ) => ListenerAction::Forward {
            target_groups: keeping_weights(live, want),
        },
        _ => want.clone(),
    }
}

async fn describe(aws: &Aws, load_balancer: &str) -> Result<Vec<AwsListener>> {
    let pages = aws
        .elbv2
        .describe_listeners()
        .load_balancer_arn(load_balancer)
        .into_paginator()
        .items()
        .send();
    let listeners = pages
        .collect::<std::result::Result<_, _>>()
        .await
        .of("elasticloadbalancing:DescribeListeners")
        .gone_is_none(GONE)?;
    Ok(listeners.unwrap_or_default())
}

fn live(
    found: &AwsListener,
    load_balancer: &LoadBalancerArn,
    want: &ListenerSpec<Resolved>,
    tags: Tags,
    arn: &str,
) -> Live<Listener> {
    let secure = found.protocol() == Some(&ProtocolEnum::Https);
    // Neither has a meaning on a listener without TLS, whatever is still stored.
    let certificates = found.certificates().iter().filter(|_| secure);
    Live {
        outputs: ListenerOutputs { arn: arn.into() },
        spec: ListenerSpec {
            load_balancer: load_balancer.clone(),
            port: found
                .port()
                .and_then(|port| port.try_into().ok())
                .unwrap_or_default(),
            protocol: if secure {
                ListenerProtocol::Https
            } else {
                ListenerProtocol::Http
            },
            certificates: certificates
                .filter_map(|certificate| certificate.certificate_arn().map(CertificateArn::from))
                .collect(),
            ssl_policy: if secure {
                found.ssl_policy().unwrap_or_default().to_owned()
            } else {
                String::new()
            },
            default_action: ListenerAction::from_aws(found.default_actions(), &want.default_action),
            tags,
        },
        condition: Condition::Ready,
    }
}

#[cfg(test)]
mod tests;
