//! `ec2/subnet`: one address range of a VPC, in one Availability Zone.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, ResourceType, Subnet as AwsSubnet, Tag};
use serde::{Deserialize, Serialize};

use super::interfaces::{self, Held};
use super::{
    Described, SubnetId, VpcId, all_pages, change_tags, find, of_stack, swept, tag_on_create,
    tags_of,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, NODE_TAG, Operations, Refusal, Resolved, Resource,
    Result, Scope, Stage, Tags, outputs,
};

/// An `AWS::EC2::Subnet`.
pub struct Subnet;

/// The settings of a subnet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SubnetSpec<S: Stage> {
    /// The VPC it is part of.
    pub vpc: S::In<VpcId>,
    /// Its address range, inside the VPC's.
    pub cidr: ipnet::Ipv4Net,
    /// Its Availability Zone, `us-east-1a`.
    pub availability_zone: String,
    /// Whether network interfaces made in it get a public address.
    pub map_public_ip_on_launch: bool,
    /// Its tags.
    pub tags: Tags,
}

outputs! { Subnet =>
    /// What AWS gives a subnet.
    SubnetOutputs {
        /// The subnet's id.
        id: SubnetId,
    }
}

impl Resource for Subnet {
    const KIND: &'static str = "ec2/subnet";
    const IDENTITY: Identity = Identity::Tags;
    const OPERATIONS: Operations = Operations {
        read: &["ec2:DescribeSubnets"],
        create: &["ec2:CreateSubnet", "ec2:CreateTags"],
        update: &[
            "ec2:ModifySubnetAttribute",
            "ec2:CreateTags",
            "ec2:DeleteTags",
        ],
        delete: &[
            "ec2:DeleteSubnet",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DeleteNetworkInterface",
        ],
    };
    const REPLACE_ON: &'static [&'static str] = &["vpc", "cidr", "availability_zone"];
    // Field guide, section 2.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("InvalidVpcID.NotFound", 300),
        Refusal::update("InvalidSubnetID.NotFound", 300),
        Refusal::delete("DependencyViolation", 1200),
    ];
    type Api = Aws;
    type Spec<S: Stage> = SubnetSpec<S>;
    type Outputs = SubnetOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        _want: &SubnetSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let known = last.map(|last| &*last.outputs.id);
        let found = find::<AwsSubnet>(aws, scope, known).await?;
        found.map(live).transpose()
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &SubnetSpec<Resolved>,
    ) -> Result<SubnetOutputs> {
        let answer = aws
            .ec2
            .create_subnet()
            .vpc_id(&*want.vpc)
            .cidr_block(want.cidr.to_string())
            .availability_zone(&want.availability_zone)
            .tag_specifications(tag_on_create(ResourceType::Subnet, &want.tags))
            .send()
            .await
            .of("ec2:CreateSubnet")?;
        let id = answer.subnet().and_then(AwsSubnet::subnet_id);
        Ok(SubnetOutputs {
            id: id
                .ok_or_else(missing("ec2:CreateSubnet", "SubnetId"))?
                .into(),
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &SubnetSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        if changes.touch("map_public_ip_on_launch") {
            let value = AttributeBooleanValue::builder().value(want.map_public_ip_on_launch);
            aws.ec2
                .modify_subnet_attribute()
                .subnet_id(&*live.outputs.id)
                .map_public_ip_on_launch(value.build())
                .send()
                .await
                .of("ec2:ModifySubnetAttribute")?;
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.id, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.ec2
            .delete_subnet()
            .subnet_id(&*live.outputs.id)
            .send()
            .await
            .of("ec2:DeleteSubnet")
            .gone_is_fine(&["InvalidSubnetID.NotFound"])
    }

    async fn sweep(
        aws: &Aws,
        scope: &Scope,
        _known: &[SubnetSpec<Resolved>],
    ) -> Result<Vec<Live<Self>>> {
        swept(aws, scope, live).await
    }

    async fn make_way(aws: &Aws, scope: &Scope, live: &Live<Self>) -> Result<Vec<String>> {
        interfaces::make_way(aws, scope, Held::Subnet(&live.outputs.id)).await
    }
}

impl Described for AwsSubnet {
    const OPERATION: &'static str = "ec2:DescribeSubnets";
    const ID_FILTER: &'static str = "subnet-id";

    fn id_and_tags(&self) -> (Option<&str>, &[Tag]) {
        (self.subnet_id(), self.tags())
    }

    async fn describe(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Self>> {
        all_pages!(aws.describe_subnets().set_filters(filters))
    }
}

/// The Availability Zones of a stack's subnets, by the node that each of them is. Reads its tags, so
/// it needs no state.
pub async fn zones_of_stack(aws: &Aws, stack: &str) -> Result<BTreeMap<String, String>> {
    let scope = Scope {
        stack: stack.to_owned(),
        ..Scope::default()
    };
    let subnets = of_stack::<AwsSubnet>(aws, &scope).await?;
    let zone = |subnet: &AwsSubnet| {
        let Tags(mut tags) = tags_of(subnet.tags());
        Some((
            tags.remove(NODE_TAG)?,
            subnet.availability_zone()?.to_owned(),
        ))
    };
    Ok(subnets.iter().filter_map(zone).collect())
}

fn live(subnet: AwsSubnet) -> Result<Live<Subnet>> {
    let field = |name| missing(AwsSubnet::OPERATION, name);
    let cidr = subnet.cidr_block().and_then(|text| text.parse().ok());
    let state = subnet.state().map_or("", |state| state.as_str());
    Ok(Live {
        outputs: SubnetOutputs {
            id: subnet.subnet_id().ok_or_else(field("SubnetId"))?.into(),
        },
        spec: SubnetSpec {
            vpc: subnet.vpc_id().ok_or_else(field("VpcId"))?.into(),
            cidr: cidr.ok_or_else(field("CidrBlock"))?,
            availability_zone: subnet
                .availability_zone()
                .ok_or_else(field("AvailabilityZone"))?
                .to_owned(),
            map_public_ip_on_launch: subnet.map_public_ip_on_launch().unwrap_or(false),
            tags: tags_of(subnet.tags()),
        },
        condition: Condition::from_status(state, &["available"]),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::operation::describe_subnets::DescribeSubnetsOutput;
    use aws_sdk_ec2::operation::modify_subnet_attribute::ModifySubnetAttributeOutput;
    use aws_sdk_ec2::types::SubnetState;
    use aws_smithy_mocks::mock;
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::kinds::ec2::testing::{aws_tags, tags};
    use crate::resource::diff;

    fn want() -> SubnetSpec<Resolved> {
        SubnetSpec {
            vpc: "vpc-1".into(),
            cidr: "10.0.0.0/24".parse().unwrap(),
            availability_zone: "us-east-1a".into(),
            map_public_ip_on_launch: true,
            tags: tags("public-subnet-1"),
        }
    }

    fn in_aws() -> AwsSubnet {
        AwsSubnet::builder()
            .subnet_id("subnet-1")
            .vpc_id("vpc-1")
            .cidr_block("10.0.0.0/24")
            .availability_zone("us-east-1a")
            .map_public_ip_on_launch(true)
            .state(SubnetState::Available)
            .set_tags(aws_tags("public-subnet-1"))
            .build()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back() {
        let rule = mock!(Client::describe_subnets)
            .then_output(|| DescribeSubnetsOutput::builder().subnets(in_aws()).build());
        let live = Subnet::observe(&mocked(&[&rule]), &scope("public-subnet-1"), &want(), None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(&*live.outputs.id, "subnet-1");
        assert_eq!(live.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn a_recorded_subnet_without_its_tags_is_still_found_and_a_gone_one_is_none() {
        let nothing = mock!(Client::describe_subnets)
            .match_requests(|r| r.filters()[0].name() != Some("subnet-id"))
            .then_output(|| DescribeSubnetsOutput::builder().build());
        let untagged = mock!(Client::describe_subnets)
            .match_requests(|r| r.filters()[0].values() == ["subnet-1"])
            .then_output(|| {
                let mut subnet = in_aws();
                subnet.tags = None;
                DescribeSubnetsOutput::builder().subnets(subnet).build()
            });
        let gone = mock!(Client::describe_subnets)
            .match_requests(|r| r.filters()[0].values() == ["subnet-2"])
            .then_output(|| DescribeSubnetsOutput::builder().build());
        let aws = mocked(&[&nothing, &untagged, &gone]);
        for (id, expected) in [("subnet-1", Some(Tags::default())), ("subnet-2", None)] {
            let last = Last {
                outputs: SubnetOutputs { id: id.into() },
                spec: want(),
            };
            let live = Subnet::observe(&aws, &scope("public-subnet-1"), &want(), Some(&last)).await;
            assert_eq!(live.unwrap().map(|live| live.spec.tags), expected, "{id}");
        }
    }

    #[tokio::test]
    async fn the_zones_of_a_stack_stand_in_its_subnets() {
        let ours = mock!(Client::describe_subnets)
            .match_requests(|r| r.filters()[0].name() == Some("tag:orderctl:stack"))
            .then_output(|| {
                let mut untagged = in_aws();
                untagged.tags = None;
                DescribeSubnetsOutput::builder()
                    .subnets(in_aws())
                    .subnets(untagged)
                    .build()
            });
        let zones = zones_of_stack(&mocked(&[&ours]), "dev").await.unwrap();
        let expected = ("public-subnet-1".to_owned(), "us-east-1a".to_owned());
        assert_eq!(zones, [expected].into());
    }

    #[tokio::test]
    async fn update_sends_only_what_changed() {
        let attribute = mock!(Client::modify_subnet_attribute)
            .match_requests(|r| r.subnet_id() == Some("subnet-1"))
            .then_output(|| ModifySubnetAttributeOutput::builder().build());
        let aws = mocked(&[&attribute]);
        let mut live = live(in_aws()).unwrap();
        live.spec.map_public_ip_on_launch = false;
        let changes = diff(&json!(want()), &json!(live.spec), None);
        Subnet::update(&aws, &scope("public-subnet-1"), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }
}
