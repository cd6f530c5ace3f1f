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
