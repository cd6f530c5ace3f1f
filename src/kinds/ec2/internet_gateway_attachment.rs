//! `ec2/internet_gateway_attachment`: an internet gateway's hold on its VPC. A node of its own,
//! because it can only go after every public address in the VPC has gone.

use aws_sdk_ec2::types::InternetGateway as AwsInternetGateway;
use serde::{Deserialize, Serialize};

use super::interfaces;
use super::{InternetGatewayId, VpcId, find, of_stack};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::{
    Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result, Scope, Stage,
    outputs,
};

/// An `AWS::EC2::VPCGatewayAttachment` of an internet gateway.
pub struct InternetGatewayAttachment;

/// The two ends of an attachment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct InternetGatewayAttachmentSpec<S: Stage> {
    /// The gateway; it can serve one VPC.
    pub internet_gateway: S::In<InternetGatewayId>,
    /// The VPC; it can have one gateway.
    pub vpc: S::In<VpcId>,
}

outputs! { InternetGatewayAttachment =>
    /// What names an attachment.
    InternetGatewayAttachmentOutputs {
        /// The attached gateway's id.
        internet_gateway: InternetGatewayId,
        /// The VPC's id.
        vpc: VpcId,
    }
}

impl Resource for InternetGatewayAttachment {
    const KIND: &'static str = "ec2/internet_gateway_attachment";
    const IDENTITY: Identity = Identity::Parent;
    const OPERATIONS: Operations = Operations {
        read: &["ec2:DescribeInternetGateways"],
        create: &["ec2:AttachInternetGateway"],
        update: &[],
        delete: &["ec2:DetachInternetGateway", "ec2:DescribeNetworkInterfaces"],
    };
    const REPLACE_ON: &'static [&'static str] = &["internet_gateway", "vpc"];
    // Field guide, section 2. While a NAT gateway, a load balancer or a task has a public address
    // in the VPC, detaching is refused.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("InvalidInternetGatewayID.NotFound", 300),
        Refusal::create("InvalidVpcID.NotFound", 300),
        Refusal::delete("DependencyViolation", 1200),
    ];
    type Api = Aws;
    type Spec<S: Stage> = InternetGatewayAttachmentSpec<S>;
    type Outputs = InternetGatewayAttachmentOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &InternetGatewayAttachmentSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let spec = last.map_or(want, |last| &last.spec);
        let gateway = find::<AwsInternetGateway>(aws, scope, Some(&spec.internet_gateway)).await?;
        let attachments = gateway
            .as_ref()
            .map_or(&[][..], |found| found.attachments());
        let state = attachments
            .iter()
            .find(|attachment| attachment.vpc_id() == Some(&spec.vpc))
            .and_then(|attachment| attachment.state())
            .map(|state| state.as_str());
        Ok(state.and_then(|state| live(spec.clone(), state)))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &InternetGatewayAttachmentSpec<Resolved>,
    ) -> Result<InternetGatewayAttachmentOutputs> {
        aws.ec2
            .attach_internet_gateway()
            .internet_gateway_id(&*want.internet_gateway)
            .vpc_id(&*want.vpc)
            .send()
            .await
            .of("ec2:AttachInternetGateway")?;
        Ok(outputs_of(want))
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.ec2
            .detach_internet_gateway()
            .internet_gateway_id(&*live.outputs.internet_gateway)
            .vpc_id(&*live.outputs.vpc)
            .send()
            .await
            .of("ec2:DetachInternetGateway")
            .gone_is_fine(&[
                "Gateway.NotAttached",
                "InvalidInternetGatewayID.NotFound",
                "InvalidVpcID.NotFound",
            ])
    }

    /// Those of all gateways of the stack, to whatever VPC.
    async fn sweep(
        aws: &Aws,
        scope: &Scope,
        _known: &[InternetGatewayAttachmentSpec<Resolved>],
    ) -> Result<Vec<Live<Self>>> {
        let mut found = Vec::new();
        for gateway in of_stack::<AwsInternetGateway>(aws, scope).await?.iter() {
            for attachment in gateway.attachments() {
                let ends = (gateway.internet_gateway_id(), attachment.vpc_id());
                let (Some(gateway), Some(vpc)) = ends else {
                    continue;
                };
                let spec = InternetGatewayAttachmentSpec {
                    internet_gateway: gateway.into(),
                    vpc: vpc.into(),
                };
                let state = attachment.state().map_or("", |state| state.as_str());
                found.extend(live(spec, state));
            }
        }
        Ok(found)
    }

    async fn make_way(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<Vec<String>> {
        interfaces::with_public_address(aws, &live.outputs.vpc).await
    }
}

fn live(
    spec: InternetGatewayAttachmentSpec<Resolved>,
    state: &str,
) -> Option<Live<InternetGatewayAttachment>> {
    let condition = match state {
        "detached" => return None,
        "detaching" => Condition::Deleting,
        // EC2 says `available` of internet gateways and `attached` of others.
        state => Condition::from_status(state, &["available", "attached"]),
    };
    Some(Live {
        outputs: outputs_of(&spec),
        spec,
        condition,
    })
}

fn outputs_of(spec: &InternetGatewayAttachmentSpec<Resolved>) -> InternetGatewayAttachmentOutputs {
    InternetGatewayAttachmentOutputs {
        internet_gateway: spec.internet_gateway.clone(),
        vpc: spec.vpc.clone(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::error::ErrorMetadata;
    use aws_sdk_ec2::operation::describe_internet_gateways::DescribeInternetGatewaysOutput;
    use aws_sdk_ec2::operation::detach_internet_gateway::DetachInternetGatewayError;
    use aws_sdk_ec2::types::{AttachmentStatus, InternetGatewayAttachment as AwsAttachment};
    use aws_smithy_mocks::{Rule, mock};

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::kinds::ec2::testing::aws_tags;

    fn want() -> InternetGatewayAttachmentSpec<Resolved> {
        InternetGatewayAttachmentSpec {
            internet_gateway: "igw-1".into(),
            vpc: "vpc-1".into(),
        }
    }

    fn attached_to(vpc: &'static str, state: &'static str) -> Rule {
        mock!(Client::describe_internet_gateways).then_output(move || {
            let attachment = AwsAttachment::builder()
                .vpc_id(vpc)
                .state(AttachmentStatus::from(state));
            let gateway = AwsInternetGateway::builder()
                .internet_gateway_id("igw-1")
                .attachments(attachment.build())
                .set_tags(aws_tags("internet-gateway"));
            DescribeInternetGatewaysOutput::builder()
                .internet_gateways(gateway.build())
                .build()
        })
    }

    async fn observe(rule: &Rule) -> Option<Live<InternetGatewayAttachment>> {
        let scope = scope("internet-gateway-attachment");
        InternetGatewayAttachment::observe(&mocked(&[rule]), &scope, &want(), None)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn observe_maps_both_ends_back() {
        let live = observe(&attached_to("vpc-1", "available")).await.unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(live.outputs, outputs_of(&want()));
        assert_eq!(live.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn detached_or_attached_elsewhere_is_none_and_detaching_is_deleting() {
        assert!(observe(&attached_to("vpc-1", "detached")).await.is_none());
        assert!(observe(&attached_to("vpc-2", "available")).await.is_none());
        let going = observe(&attached_to("vpc-1", "detaching")).await.unwrap();
        assert_eq!(going.condition, Condition::Deleting);
    }

    #[tokio::test]
    async fn a_gateway_that_is_gone_has_no_attachment() {
        let nothing = mock!(Client::describe_internet_gateways)
            .then_output(|| DescribeInternetGatewaysOutput::builder().build());
        assert!(observe(&nothing).await.is_none());
    }

    #[tokio::test]
    async fn detaching_what_is_not_attached_is_fine() {
        let rule = mock!(Client::detach_internet_gateway).then_error(|| {
            let error = ErrorMetadata::builder().code("Gateway.NotAttached").build();
            DetachInternetGatewayError::generic(error)
        });
        let live = Live {
            outputs: outputs_of(&want()),
            spec: want(),
            condition: Condition::Ready,
        };
        let scope = scope("internet-gateway-attachment");
        InternetGatewayAttachment::delete(&mocked(&[&rule]), &scope, &live)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_sweep_finds_the_attachments_of_our_gateways_to_whatever_vpc() {
        for (state, found) in [("available", 1), ("detaching", 1), ("detached", 0)] {
            let aws = mocked(&[&attached_to("vpc-2", state)]);
            let swept = InternetGatewayAttachment::sweep(&aws, &scope(""), &[]).await;
            let swept = swept.unwrap();
            assert_eq!(swept.len(), found, "{state}");
            assert!(swept.iter().all(|live| &*live.outputs.vpc == "vpc-2"));
        }
    }
}
