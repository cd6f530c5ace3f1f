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
