//! `ec2/elastic_ip`: a fixed public address, for a NAT gateway.

use aws_sdk_ec2::types::{Address as AwsAddress, DomainType, Filter, ResourceType, Tag};
use serde::{Deserialize, Serialize};

use super::{AllocationId, Described, change_tags, find, swept, tag_on_create, tags_of};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resource, Result, Scope, Stage,
    Tags, outputs,
};

/// An `AWS::EC2::EIP`.
pub struct ElasticIp;

/// The settings of an Elastic IP address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ElasticIpSpec {
    /// Its tags.
    pub tags: Tags,
}

outputs! { ElasticIp =>
    /// What AWS gives an Elastic IP address.
    ElasticIpOutputs {
        /// The id of its allocation to the account.
        allocation_id: AllocationId,
        /// The address itself.
        public_ip: String,
    }
}

impl Resource for ElasticIp {
    const KIND: &'static str = "ec2/elastic_ip";
    const IDENTITY: Identity = Identity::Tags;
    const OPERATIONS: Operations = Operations {
        read: &["ec2:DescribeAddresses"],
        create: &["ec2:AllocateAddress", "ec2:CreateTags"],
        update: &["ec2:CreateTags", "ec2:DeleteTags"],
        delete: &["ec2:ReleaseAddress"],
    };
    // Field guide, section 2: a NAT gateway lets go of its address only when it is `deleted`.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::update("InvalidAllocationID.NotFound", 300),
        Refusal::delete("InvalidIPAddress.InUse", 600),
    ];
    type Api = Aws;
    type Spec<S: Stage> = ElasticIpSpec;
    type Outputs = ElasticIpOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        _want: &ElasticIpSpec,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let known = last.map(|last| &*last.outputs.allocation_id);
        let found = find::<AwsAddress>(aws, scope, known).await?;
        found.map(live).transpose()
    }

    async fn create(aws: &Aws, _scope: &Scope, want: &ElasticIpSpec) -> Result<ElasticIpOutputs> {
        let answer = aws
            .ec2
            .allocate_address()
            .domain(DomainType::Vpc)
            .tag_specifications(tag_on_create(ResourceType::ElasticIp, &want.tags))
            .send()
            .await
            .of("ec2:AllocateAddress")?;
        outputs_of(
            "ec2:AllocateAddress",
            answer.allocation_id(),
            answer.public_ip(),
        )
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &ElasticIpSpec,
        _changes: &Changes,
    ) -> Result<()> {
        let id = &live.outputs.allocation_id;
        change_tags(aws, id, &live.spec.tags, &want.tags).await
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.ec2
            .release_address()
            .allocation_id(&*live.outputs.allocation_id)
            .send()
            .await
            .of("ec2:ReleaseAddress")
            // AuthFailure: it is somebody else's by now (field guide, section 2). Should the
            // credentials be at fault instead, the next read says so.
            .gone_is_fine(&["InvalidAllocationID.NotFound", "AuthFailure"])
    }

    async fn sweep(aws: &Aws, scope: &Scope, _known: &[ElasticIpSpec]) -> Result<Vec<Live<Self>>> {
        swept(aws, scope, live).await
    }
}

impl Described for AwsAddress {
    const OPERATION: &'static str = "ec2:DescribeAddresses";
    const ID_FILTER: &'static str = "allocation-id";

    fn id_and_tags(&self) -> (Option<&str>, &[Tag]) {
        (self.allocation_id(), self.tags())
    }

    async fn describe(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Self>> {
        // This Describe has no pages.
        let answer = aws
            .ec2
            .describe_addresses()
            .set_filters(Some(filters))
            .send()
            .await
            .of(Self::OPERATION)?;
        Ok(answer.addresses.unwrap_or_default())
    }
}

fn live(address: AwsAddress) -> Result<Live<ElasticIp>> {
    Ok(Live {
        outputs: outputs_of(
            AwsAddress::OPERATION,
            address.allocation_id(),
            address.public_ip(),
        )?,
        spec: ElasticIpSpec {
            tags: tags_of(address.tags()),
        },
        condition: Condition::Ready,
    })
}

fn outputs_of(
    operation: &'static str,
    allocation_id: Option<&str>,
    public_ip: Option<&str>,
) -> Result<ElasticIpOutputs> {
    Ok(ElasticIpOutputs {
        allocation_id: allocation_id
            .ok_or_else(missing(operation, "AllocationId"))?
            .into(),
        public_ip: public_ip
            .ok_or_else(missing(operation, "PublicIp"))?
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::error::ErrorMetadata;
    use aws_sdk_ec2::operation::allocate_address::AllocateAddressOutput;
    use aws_sdk_ec2::operation::describe_addresses::DescribeAddressesOutput;
    use aws_sdk_ec2::operation::release_address::ReleaseAddressError;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::kinds::ec2::testing::{aws_tags, tags};

    fn want() -> ElasticIpSpec {
        ElasticIpSpec {
            tags: tags("elastic-ip-1"),
        }
    }

    fn in_aws() -> AwsAddress {
        AwsAddress::builder()
            .allocation_id("eipalloc-1")
            .public_ip("203.0.113.7")
            .association_id("eipassoc-1")
            .domain(DomainType::Vpc)
            .set_tags(aws_tags("elastic-ip-1"))
            .build()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back() {
        let rule = mock!(Client::describe_addresses).then_output(|| {
            DescribeAddressesOutput::builder()
                .addresses(in_aws())
                .build()
        });
        let live = ElasticIp::observe(&mocked(&[&rule]), &scope("elastic-ip-1"), &want(), None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(&*live.outputs.allocation_id, "eipalloc-1");
        assert_eq!(live.outputs.public_ip, "203.0.113.7");
        assert_eq!(live.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn the_allocation_carries_the_tags() {
        let rule = mock!(Client::allocate_address)
            .match_requests(|r| {
                r.tag_specifications()[0].resource_type() == Some(&ResourceType::ElasticIp)
                    && tags_of(r.tag_specifications()[0].tags()) == tags("elastic-ip-1")
            })
            .then_output(|| {
                AllocateAddressOutput::builder()
                    .allocation_id("eipalloc-1")
                    .public_ip("203.0.113.7")
                    .build()
            });
        let aws = mocked(&[&rule]);
        let outputs = ElasticIp::create(&aws, &scope("elastic-ip-1"), &want()).await;
        assert_eq!(outputs.unwrap(), live(in_aws()).unwrap().outputs);
    }

    #[tokio::test]
    async fn an_address_that_is_gone_or_anothers_needs_no_release_and_one_in_use_is_refused() {
        for (code, fine) in [
            ("InvalidAllocationID.NotFound", true),
            ("AuthFailure", true),
            ("InvalidIPAddress.InUse", false),
        ] {
            let rule = mock!(Client::release_address).then_error(move || {
                ReleaseAddressError::generic(ErrorMetadata::builder().code(code).build())
            });
            let live = live(in_aws()).unwrap();
            let done = ElasticIp::delete(&mocked(&[&rule]), &scope("elastic-ip-1"), &live).await;
            assert_eq!(done.is_ok(), fine, "{code}");
        }
    }

    #[tokio::test]
    async fn a_sweep_finds_all_of_the_stack_whatever_node_they_are_of() {
        let both = mock!(Client::describe_addresses)
            .match_requests(|r| r.filters()[0].name() == Some("tag:orderctl:stack"))
            .then_output(|| {
                let address = |id: &str, node| {
                    let address = AwsAddress::builder()
                        .allocation_id(id)
                        .public_ip("192.0.2.1");
                    address.set_tags(aws_tags(node)).build()
                };
                DescribeAddressesOutput::builder()
                    .addresses(address("eipalloc-1", "elastic-ip-1"))
                    .addresses(address("eipalloc-2", "elastic-ip-1"))
                    .addresses(address("eipalloc-3", "elastic-ip-3"))
                    .build()
            });
        let swept = ElasticIp::sweep(&mocked(&[&both]), &scope(""), &[]).await;
        let swept = swept.unwrap();
        let ids: Vec<&str> = swept
            .iter()
            .map(|live| &*live.outputs.allocation_id)
            .collect();
        assert_eq!(ids, ["eipalloc-1", "eipalloc-2", "eipalloc-3"]);
    }
}
