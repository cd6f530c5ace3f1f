//! `elbv2/listener`: a port of the load balancer, and what it does with what comes in.

use aws_sdk_elasticloadbalancingv2::types::{Certificate, Listener as AwsListener, ProtocolEnum};
use serde::{Deserialize, Serialize};

use super::forward::keeping_weights;
use super::{ListenerAction, ListenerArn, LoadBalancerArn, change_tags, read_tags_among, tag_list};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::kinds::acm::CertificateArn;
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Refusal, Resolved, Resource, Result, Scope, Stage,
    Tags, outputs,
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
mod tests {
    use aws_sdk_elasticloadbalancingv2::Client;
    use aws_sdk_elasticloadbalancingv2::operation::create_listener::CreateListenerOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_listeners::{
        DescribeListenersError, DescribeListenersOutput,
    };
    use aws_sdk_elasticloadbalancingv2::operation::modify_listener::ModifyListenerOutput;
    use aws_sdk_elasticloadbalancingv2::types::error::LoadBalancerNotFoundException;
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::error::ErrorMetadata;
    use serde_json::json;

    use super::super::WeightedTargetGroup;
    use super::super::tests::tags_of;
    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const LOAD_BALANCER: &str = "arn:lb";
    const ARN: &str = "arn:listener-443";
    const POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";

    fn want() -> ListenerSpec<Resolved> {
        let group = |arn: &str, weight| WeightedTargetGroup {
            target_group: arn.into(),
            weight,
        };
        ListenerSpec {
            load_balancer: LOAD_BALANCER.into(),
            port: 443,
            protocol: ListenerProtocol::Https,
            certificates: vec!["arn:certificate".into()],
            ssl_policy: POLICY.into(),
            default_action: ListenerAction::Forward {
                target_groups: vec![group("blue", 100), group("green", 0)],
            },
            tags: Tags::from_pairs([(NODE_TAG, "listener-https")]),
        }
    }

    fn plain() -> ListenerSpec<Resolved> {
        ListenerSpec {
            protocol: ListenerProtocol::Http,
            certificates: Vec::new(),
            ssl_policy: String::new(),
            ..want()
        }
    }

    fn in_aws(spec: &ListenerSpec<Resolved>, arn: &str) -> AwsListener {
        AwsListener::builder()
            .listener_arn(arn)
            .load_balancer_arn(LOAD_BALANCER)
            .port(spec.port.into())
            .protocol(spec.protocol.into())
            .set_certificates(certificates(spec))
            .set_ssl_policy(ssl_policy(spec))
            .set_default_actions(Some(spec.default_action.to_aws().unwrap()))
            .build()
    }

    fn listeners() -> Rule {
        mock!(Client::describe_listeners)
            .match_requests(|r| r.load_balancer_arn() == Some(LOAD_BALANCER))
            .then_output(|| {
                let other = ListenerSpec {
                    port: 80,
                    ..plain()
                };
                DescribeListenersOutput::builder()
                    .listeners(in_aws(&other, "arn:listener-80"))
                    .listeners(in_aws(&want(), ARN))
                    .build()
            })
    }

    fn tags() -> Rule {
        mock!(Client::describe_tags).then_output(|| tags_of(ARN, &want().tags))
    }

    async fn observed(want: &ListenerSpec<Resolved>, last: Option<&str>) -> Option<Live<Listener>> {
        let last = last.map(|arn| Last {
            outputs: ListenerOutputs { arn: arn.into() },
            spec: self::want(),
        });
        let aws = mocked(&[&listeners(), &tags()]);
        Listener::observe(&aws, &scope("listener-https"), want, last.as_ref())
            .await
            .unwrap()
    }

    async fn modified(
        live: ListenerSpec<Resolved>,
        want: &ListenerSpec<Resolved>,
        expected: impl Fn(
            &aws_sdk_elasticloadbalancingv2::operation::modify_listener::ModifyListenerInput,
        ) -> bool
        + Send
        + Sync
        + 'static,
    ) {
        let modify = mock!(Client::modify_listener)
            .match_requests(expected)
            .then_output(|| ModifyListenerOutput::builder().build());
        let aws = mocked(&[&modify]);
        let live = Live {
            outputs: ListenerOutputs { arn: ARN.into() },
            spec: live,
            condition: Condition::Ready,
        };
        let changes = diff(&json!(want), &json!(live.spec), None);
        Listener::update(&aws, &scope("listener-https"), &live, want, &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn observe_finds_it_by_its_port_and_maps_every_field_back() {
        let live = observed(&want(), None).await.unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(&*live.outputs.arn, ARN);
    }

    #[test]
    fn what_tls_left_behind_on_a_plain_listener_is_no_drift() {
        let mut found = in_aws(&plain(), ARN);
        found.certificates = certificates(&want());
        found.ssl_policy = ssl_policy(&want());
        let live = live(&found, &LOAD_BALANCER.into(), &plain(), plain().tags, ARN);
        assert_eq!(live.spec, plain());
    }

    #[tokio::test]
    async fn a_recorded_one_is_found_by_its_arn_although_another_port_is_wanted() {
        let moved = ListenerSpec {
            port: 8443,
            ..want()
        };
        let live = observed(&moved, Some(ARN)).await.unwrap();
        assert_eq!(live.spec.port, 443);
    }

    #[tokio::test]
    async fn a_gone_one_is_none_even_if_its_port_is_taken_and_so_is_one_of_a_gone_load_balancer() {
        assert!(observed(&want(), Some("arn:earlier")).await.is_none());
        let gone = mock!(Client::describe_listeners).then_error(|| {
            let meta = ErrorMetadata::builder().code("LoadBalancerNotFound");
            let gone = LoadBalancerNotFoundException::builder().meta(meta.build());
            DescribeListenersError::LoadBalancerNotFoundException(gone.build())
        });
        let aws = mocked(&[&gone]);
        let live = Listener::observe(&aws, &scope("listener-https"), &want(), None).await;
        assert!(live.unwrap().is_none());
    }

    #[tokio::test]
    async fn create_leaves_out_what_plain_http_does_not_take() {
        let create = mock!(Client::create_listener)
            .match_requests(|r| {
                let secure = r.protocol() == Some(&ProtocolEnum::Https);
                r.ssl_policy().is_some() == secure
                    && r.certificates.is_some() == secure
                    && r.tags().len() == 1
            })
            .then_output(|| {
                CreateListenerOutput::builder()
                    .listeners(in_aws(&want(), ARN))
                    .build()
            });
        let aws = mocked(&[&create]);
        for want in [want(), plain()] {
            let outputs = Listener::create(&aws, &scope("listener-https"), &want).await;
            assert_eq!(&*outputs.unwrap().arn, ARN);
        }
    }

    #[tokio::test]
    async fn update_sends_only_what_changed() {
        let port = ListenerSpec {
            port: 8443,
            ..want()
        };
        modified(want(), &port, |r| {
            r.port() == Some(8443)
                && r.protocol().is_none()
                && r.ssl_policy().is_none()
                && r.default_actions.is_none()
        })
        .await;
        let old_policy = ListenerSpec {
            ssl_policy: "ELBSecurityPolicy-2016-08".into(),
            ..want()
        };
        modified(old_policy, &want(), |r| {
            r.ssl_policy() == Some(POLICY) && r.port().is_none() && r.default_actions.is_none()
        })
        .await;
    }

    #[tokio::test]
    async fn tls_is_turned_off_and_on_in_place() {
        modified(want(), &plain(), |r| {
            r.protocol() == Some(&ProtocolEnum::Http)
                && r.certificates.is_none()
                && r.ssl_policy().is_none()
        })
        .await;
        modified(plain(), &want(), |r| {
            r.protocol() == Some(&ProtocolEnum::Https)
                && r.certificates().len() == 1
                && r.ssl_policy() == Some(POLICY)
        })
        .await;
    }

    #[tokio::test]
    async fn taking_a_foreign_group_out_keeps_the_weights_of_the_others() {
        let group = |arn: &str, weight| WeightedTargetGroup {
            target_group: arn.into(),
            weight,
        };
        let live = ListenerSpec {
            default_action: ListenerAction::Forward {
                target_groups: vec![group("green", 100), group("alien", 5)],
            },
            ..want()
        };
        modified(live, &want(), |r| {
            let sent = super::super::forward::forwarded(&r.default_actions()[0]);
            sent.iter().map(|g| g.weight).eq([0, 100])
        })
        .await;
    }
}
