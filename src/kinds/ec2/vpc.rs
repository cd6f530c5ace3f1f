//! `ec2/vpc`: the private network everything else is in.

use aws_sdk_ec2::types::{
    AttributeBooleanValue, Filter, ResourceType, SecurityGroup as AwsSecurityGroup,
    Subnet as AwsSubnet, Tag, Vpc as AwsVpc, VpcAttributeName,
};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::interfaces::{self, Held};
use super::{
    Described, VpcId, all_pages, change_tags, find, narrowed, of_stack, tag_on_create, tags_of,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resource, Result, Scope, Stage,
    Tags, outputs,
};

/// An `AWS::EC2::VPC`.
pub struct Vpc;

/// The settings of a VPC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VpcSpec {
    /// Its address range.
    pub cidr: Ipv4Net,
    /// Whether Amazon's DNS server answers inside it.
    pub enable_dns_support: bool,
    /// Whether instances with public addresses get public host names; needs DNS support.
    pub enable_dns_hostnames: bool,
    /// Its tags.
    pub tags: Tags,
}

outputs! { Vpc =>
    /// What AWS gives a VPC.
    VpcOutputs {
        /// The VPC's id.
        id: VpcId,
    }
}

const GONE: &[&str] = &["InvalidVpcID.NotFound"];

impl Resource for Vpc {
    const KIND: &'static str = "ec2/vpc";
    const IDENTITY: Identity = Identity::Tags;
    const OPERATIONS: Operations = Operations {
        read: &["ec2:DescribeVpcs", "ec2:DescribeVpcAttribute"],
        create: &["ec2:CreateVpc", "ec2:CreateTags"],
        update: &["ec2:ModifyVpcAttribute", "ec2:CreateTags", "ec2:DeleteTags"],
        delete: &[
            "ec2:DeleteVpc",
            "ec2:DescribeSubnets",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DeleteNetworkInterface",
        ],
    };
    const REPLACE_ON: &'static [&'static str] = &["cidr"];
    // Field guide, section 2.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::update("InvalidVpcID.NotFound", 300),
        Refusal::delete("DependencyViolation", 300),
    ];
    type Api = Aws;
    type Spec<S: Stage> = VpcSpec;
    type Outputs = VpcOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        _want: &VpcSpec,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let known = last.map(|last| &*last.outputs.id);
        let Some(vpc) = find::<AwsVpc>(aws, scope, known).await? else {
            return Ok(None);
        };
        live(aws, &vpc).await
    }

    async fn create(aws: &Aws, _scope: &Scope, want: &VpcSpec) -> Result<VpcOutputs> {
        let answer = aws
            .ec2
            .create_vpc()
            .cidr_block(want.cidr.to_string())
            .tag_specifications(tag_on_create(ResourceType::Vpc, &want.tags))
            .send()
            .await
            .of("ec2:CreateVpc")?;
        let id = answer.vpc().and_then(AwsVpc::vpc_id);
        Ok(VpcOutputs {
            id: id.ok_or_else(missing("ec2:CreateVpc", "VpcId"))?.into(),
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &VpcSpec,
        changes: &Changes,
    ) -> Result<()> {
        let id = &live.outputs.id;
        let mut flags = [
            VpcAttributeName::EnableDnsSupport,
            VpcAttributeName::EnableDnsHostnames,
        ];
        // AWS gives host names only where DNS works: support is turned on first and off last.
        if !want.enable_dns_support {
            flags.reverse();
        }
        for flag in flags {
            let call = aws.ec2.modify_vpc_attribute().vpc_id(&**id);
            let value = |on| AttributeBooleanValue::builder().value(on).build();
            // AWS takes one flag per call.
            let call = match flag {
                VpcAttributeName::EnableDnsSupport if changes.touch("enable_dns_support") => {
                    call.enable_dns_support(value(want.enable_dns_support))
                }
                VpcAttributeName::EnableDnsHostnames if changes.touch("enable_dns_hostnames") => {
                    call.enable_dns_hostnames(value(want.enable_dns_hostnames))
                }
                _ => continue,
            };
            call.send().await.of("ec2:ModifyVpcAttribute")?;
        }
        if changes.touch("tags") {
            change_tags(aws, id, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.ec2
            .delete_vpc()
            .vpc_id(&*live.outputs.id)
            .send()
            .await
            .of("ec2:DeleteVpc")
            .gone_is_fine(GONE)
    }

    async fn sweep(aws: &Aws, scope: &Scope, _known: &[VpcSpec]) -> Result<Vec<Live<Self>>> {
        let mut found = Vec::new();
        for vpc in of_stack::<AwsVpc>(aws, scope).await?.iter() {
            found.extend(live(aws, vpc).await?);
        }
        Ok(found)
    }

    async fn make_way(aws: &Aws, scope: &Scope, live: &Live<Self>) -> Result<Vec<String>> {
        let id = &*live.outputs.id;
        let mut users = interfaces::make_way(aws, scope, Held::Vpc(id)).await?;
        let subnets = narrowed::<AwsSubnet>(aws, "vpc-id", id).await?;
        let named = subnets.iter().filter_map(AwsSubnet::subnet_id);
        users.extend(named.map(|id| format!("subnet {id}")));
        let groups = narrowed::<AwsSecurityGroup>(aws, "vpc-id", id).await?;
        // The default one goes with the VPC.
        let others = groups
            .iter()
            .filter(|group| group.group_name() != Some("default"));
        users.extend(others.filter_map(|group| {
            let name = group.group_name().unwrap_or_default();
            Some(format!("security group {} ({name})", group.group_id()?))
        }));
        Ok(users)
    }
}

impl Described for AwsVpc {
    const OPERATION: &'static str = "ec2:DescribeVpcs";
    const ID_FILTER: &'static str = "vpc-id";

    fn id_and_tags(&self) -> (Option<&str>, &[Tag]) {
        (self.vpc_id(), self.tags())
    }

    async fn describe(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Self>> {
        all_pages!(aws.describe_vpcs().set_filters(filters))
    }
}

/// Maps a VPC; `None` if it is just being made or deleted.
async fn live(aws: &Aws, vpc: &AwsVpc) -> Result<Option<Live<Vpc>>> {
    let field = |name| missing(AwsVpc::OPERATION, name);
    let id = vpc.vpc_id().ok_or_else(field("VpcId"))?;
    let (support, hostnames) = tokio::try_join!(
        flag(aws, id, VpcAttributeName::EnableDnsSupport),
        flag(aws, id, VpcAttributeName::EnableDnsHostnames),
    )?;
    // The two reads may disagree with the first while the VPC is just made or just deleted.
    let (Some(enable_dns_support), Some(enable_dns_hostnames)) = (support, hostnames) else {
        return Ok(None);
    };
    let cidr = vpc.cidr_block().and_then(|text| text.parse().ok());
    Ok(Some(Live {
        outputs: VpcOutputs { id: id.into() },
        spec: VpcSpec {
            cidr: cidr.ok_or_else(field("CidrBlock"))?,
            enable_dns_support,
            enable_dns_hostnames,
            tags: tags_of(vpc.tags()),
        },
        condition: match vpc.state().map_or("", |state| state.as_str()) {
            "deleting" => Condition::Deleting,
            state => Condition::from_status(state, &["available"]),
        },
    }))
}

/// Reads one flag, which DescribeVpcs does not return; `None` if the VPC is not there.
async fn flag(aws: &Aws, id: &str, name: VpcAttributeName) -> Result<Option<bool>> {
    const OPERATION: &str = "ec2:DescribeVpcAttribute";
    let key = format!("{OPERATION} {id} {name}");
    let read = async {
        let answer = aws
            .ec2
            .describe_vpc_attribute()
            .vpc_id(id)
            .attribute(name.clone())
            .send()
            .await
            .of(OPERATION);
        let Some(answer) = answer.gone_is_none(GONE)? else {
            return Ok(None);
        };
        let value = match name {
            VpcAttributeName::EnableDnsSupport => answer.enable_dns_support(),
            _ => answer.enable_dns_hostnames(),
        };
        let value = value.and_then(AttributeBooleanValue::value);
        value.ok_or_else(missing(OPERATION, "Value")).map(Some)
    };
    Ok(*aws.read_once(&key, read).await?)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::error::ErrorMetadata;
    use aws_sdk_ec2::operation::describe_vpc_attribute::{
        DescribeVpcAttributeError, DescribeVpcAttributeOutput,
    };
    use aws_sdk_ec2::operation::describe_vpcs::DescribeVpcsOutput;
    use aws_sdk_ec2::operation::modify_vpc_attribute::ModifyVpcAttributeOutput;
    use aws_sdk_ec2::types::VpcState;
    use aws_smithy_mocks::{Rule, RuleMode, mock};
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, mocked_in, scope};
    use crate::kinds::ec2::testing::{aws_tags, tags};
    use crate::resource::diff;

    fn want() -> VpcSpec {
        VpcSpec {
            cidr: "10.0.0.0/16".parse().unwrap(),
            enable_dns_support: true,
            enable_dns_hostnames: true,
            tags: tags("vpc"),
        }
    }

    fn vpcs() -> Rule {
        mock!(Client::describe_vpcs).then_output(|| {
            let vpc = AwsVpc::builder()
                .vpc_id("vpc-1")
                .cidr_block("10.0.0.0/16")
                .state(VpcState::Available)
                .is_default(false)
                .set_tags(aws_tags("vpc"));
            DescribeVpcsOutput::builder().vpcs(vpc.build()).build()
        })
    }

    fn value(on: bool) -> AttributeBooleanValue {
        AttributeBooleanValue::builder().value(on).build()
    }

    fn support_is(on: bool) -> Rule {
        mock!(Client::describe_vpc_attribute)
            .match_requests(|r| r.attribute() == Some(&VpcAttributeName::EnableDnsSupport))
            .then_output(move || {
                DescribeVpcAttributeOutput::builder()
                    .enable_dns_support(value(on))
                    .build()
            })
    }

    fn hostnames_are(on: bool) -> Rule {
        mock!(Client::describe_vpc_attribute)
            .match_requests(|r| r.attribute() == Some(&VpcAttributeName::EnableDnsHostnames))
            .then_output(move || {
                DescribeVpcAttributeOutput::builder()
                    .enable_dns_hostnames(value(on))
                    .build()
            })
    }

    async fn observe(aws: &Aws) -> Option<Live<Vpc>> {
        Vpc::observe(aws, &scope("vpc"), &want(), None)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back() {
        let aws = mocked(&[&vpcs(), &support_is(true), &hostnames_are(true)]);
        let live = observe(&aws).await.unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(&*live.outputs.id, "vpc-1");
        assert_eq!(live.condition, Condition::Ready);
        assert_eq!(aws.calls().reads(), 3);
    }

    #[tokio::test]
    async fn a_vpc_that_vanishes_between_two_reads_is_none() {
        let gone = mock!(Client::describe_vpc_attribute).then_error(|| {
            let error = ErrorMetadata::builder().code("InvalidVpcID.NotFound");
            DescribeVpcAttributeError::generic(error.build())
        });
        assert!(observe(&mocked(&[&vpcs(), &gone])).await.is_none());
    }

    #[tokio::test]
    async fn a_new_vpc_gets_only_the_flag_that_aws_does_not_set_by_itself() {
        let hostnames = mock!(Client::modify_vpc_attribute)
            .match_requests(|r| {
                r.vpc_id() == Some("vpc-1")
                    && r.enable_dns_hostnames() == Some(&value(true))
                    && r.enable_dns_support().is_none()
            })
            .then_output(|| ModifyVpcAttributeOutput::builder().build());
        let aws = mocked(&[
            &vpcs(),
            &support_is(true),
            &hostnames_are(false),
            &hostnames,
        ]);
        let live = observe(&aws).await.unwrap();
        let changes = diff(&json!(want()), &json!(live.spec), None);
        Vpc::update(&aws, &scope("vpc"), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn dns_support_is_turned_on_first_and_off_last() {
        for on in [true, false] {
            let support = mock!(Client::modify_vpc_attribute)
                .match_requests(move |r| r.enable_dns_support() == Some(&value(on)))
                .then_output(|| ModifyVpcAttributeOutput::builder().build());
            let hostnames = mock!(Client::modify_vpc_attribute)
                .match_requests(move |r| r.enable_dns_hostnames() == Some(&value(on)))
                .then_output(|| ModifyVpcAttributeOutput::builder().build());
            let order = if on {
                [&support, &hostnames]
            } else {
                [&hostnames, &support]
            };
            let aws = mocked_in(RuleMode::Sequential, &order);
            let wanted = |on| VpcSpec {
                enable_dns_support: on,
                enable_dns_hostnames: on,
                ..want()
            };
            let live = Live {
                outputs: VpcOutputs { id: "vpc-1".into() },
                spec: wanted(!on),
                condition: Condition::Ready,
            };
            let changes = diff(&json!(wanted(on)), &json!(live.spec), None);
            Vpc::update(&aws, &scope("vpc"), &live, &wanted(on), &changes)
                .await
                .unwrap();
            assert_eq!(aws.calls().writes(), 2);
        }
    }
}
