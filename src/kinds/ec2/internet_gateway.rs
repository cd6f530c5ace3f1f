//! `ec2/internet_gateway`: the way between a VPC and the internet, once it is attached.

use aws_sdk_ec2::types::{Filter, InternetGateway as AwsInternetGateway, ResourceType, Tag};
use serde::{Deserialize, Serialize};

use super::{
    Described, InternetGatewayId, all_pages, change_tags, find, swept, tag_on_create, tags_of,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resource, Result, Scope, Stage,
    Tags, outputs,
};

/// An `AWS::EC2::InternetGateway`.
pub struct InternetGateway;

/// The settings of an internet gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InternetGatewaySpec {
    /// Its tags.
    pub tags: Tags,
}

outputs! { InternetGateway =>
    /// What AWS gives an internet gateway.
    InternetGatewayOutputs {
        /// The gateway's id.
        id: InternetGatewayId,
    }
}

impl Resource for InternetGateway {
    const KIND: &'static str = "ec2/internet_gateway";
    const IDENTITY: Identity = Identity::Tags;
    const OPERATIONS: Operations = Operations {
        read: &["ec2:DescribeInternetGateways"],
        create: &["ec2:CreateInternetGateway", "ec2:CreateTags"],
        update: &["ec2:CreateTags", "ec2:DeleteTags"],
        delete: &["ec2:DeleteInternetGateway"],
    };
    // Field guide, section 2.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::update("InvalidInternetGatewayID.NotFound", 300),
        Refusal::delete("DependencyViolation", 1200),
    ];
    type Api = Aws;
    type Spec<S: Stage> = InternetGatewaySpec;
    type Outputs = InternetGatewayOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        _want: &InternetGatewaySpec,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let known = last.map(|last| &*last.outputs.id);
        let found = find::<AwsInternetGateway>(aws, scope, known).await?;
        found.map(live).transpose()
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &InternetGatewaySpec,
    ) -> Result<InternetGatewayOutputs> {
        let answer = aws
            .ec2
            .create_internet_gateway()
            .tag_specifications(tag_on_create(ResourceType::InternetGateway, &want.tags))
            .send()
            .await
            .of("ec2:CreateInternetGateway")?;
        let gateway = answer.internet_gateway();
        let id = gateway.and_then(AwsInternetGateway::internet_gateway_id);
        let id = id.ok_or_else(missing("ec2:CreateInternetGateway", "InternetGatewayId"))?;
        Ok(InternetGatewayOutputs { id: id.into() })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &InternetGatewaySpec,
        _changes: &Changes,
    ) -> Result<()> {
        change_tags(aws, &live.outputs.id, &live.spec.tags, &want.tags).await
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.ec2
            .delete_internet_gateway()
            .internet_gateway_id(&*live.outputs.id)
            .send()
            .await
            .of("ec2:DeleteInternetGateway")
            .gone_is_fine(&["InvalidInternetGatewayID.NotFound"])
    }

    async fn sweep(
        aws: &Aws,
        scope: &Scope,
        _known: &[InternetGatewaySpec],
    ) -> Result<Vec<Live<Self>>> {
        swept(aws, scope, live).await
    }
}

impl Described for AwsInternetGateway {
    const OPERATION: &'static str = "ec2:DescribeInternetGateways";
    const ID_FILTER: &'static str = "internet-gateway-id";

    fn id_and_tags(&self) -> (Option<&str>, &[Tag]) {
        (self.internet_gateway_id(), self.tags())
    }

    async fn describe(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Self>> {
        all_pages!(aws.describe_internet_gateways().set_filters(filters))
    }
}

fn live(gateway: AwsInternetGateway) -> Result<Live<InternetGateway>> {
    let id = gateway.internet_gateway_id();
    let id = id.ok_or_else(missing(AwsInternetGateway::OPERATION, "InternetGatewayId"))?;
    Ok(Live {
        outputs: InternetGatewayOutputs { id: id.into() },
        spec: InternetGatewaySpec {
            tags: tags_of(gateway.tags()),
        },
        // It has no state of its own; its attachment has.
        condition: Condition::Ready,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::error::ErrorMetadata;
    use aws_sdk_ec2::operation::create_tags::CreateTagsOutput;
    use aws_sdk_ec2::operation::delete_internet_gateway::DeleteInternetGatewayError;
    use aws_sdk_ec2::operation::describe_internet_gateways::DescribeInternetGatewaysOutput;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::kinds::ec2::testing::{aws_tags, tags};

    fn want() -> InternetGatewaySpec {
        InternetGatewaySpec {
            tags: tags("internet-gateway"),
        }
    }

    fn in_aws() -> AwsInternetGateway {
        AwsInternetGateway::builder()
            .internet_gateway_id("igw-1")
            .set_tags(aws_tags("internet-gateway"))
            .build()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back() {
        let rule = mock!(Client::describe_internet_gateways).then_output(|| {
            DescribeInternetGatewaysOutput::builder()
                .internet_gateways(in_aws())
                .build()
        });
        let scope = scope("internet-gateway");
        let live = InternetGateway::observe(&mocked(&[&rule]), &scope, &want(), None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(&*live.outputs.id, "igw-1");
        assert_eq!(live.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn update_changes_tags() {
        let rule = mock!(Client::create_tags)
            .match_requests(|r| r.resources() == ["igw-1"] && r.tags().len() == 2)
            .then_output(|| CreateTagsOutput::builder().build());
        let aws = mocked(&[&rule]);
        let mut live = live(in_aws()).unwrap();
        live.spec.tags = Tags::default();
        let scope = scope("internet-gateway");
        InternetGateway::update(&aws, &scope, &live, &want(), &Changes::default())
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn deleting_a_gone_one_is_fine_and_an_attached_one_is_not() {
        for (code, fine) in [
            ("InvalidInternetGatewayID.NotFound", true),
            ("DependencyViolation", false),
        ] {
            let rule = mock!(Client::delete_internet_gateway).then_error(move || {
                let error = ErrorMetadata::builder().code(code).build();
                DeleteInternetGatewayError::generic(error)
            });
            let live = live(in_aws()).unwrap();
            let scope = scope("internet-gateway");
            let deleted = InternetGateway::delete(&mocked(&[&rule]), &scope, &live).await;
            assert_eq!(deleted.is_ok(), fine, "{code}");
        }
    }
}
