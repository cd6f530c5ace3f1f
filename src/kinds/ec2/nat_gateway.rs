//! `ec2/nat_gateway`: the way out to the internet for the private subnets of one zone.

use aws_sdk_ec2::types::{Filter, NatGateway as AwsNatGateway, NatGatewayState, ResourceType, Tag};
use serde::{Deserialize, Serialize};

use super::{
    AllocationId, Described, Life, NatGatewayId, SubnetId, all_pages, change_tags, find, swept,
    tag_on_create, tags_of,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, Tags, Times, outputs,
};

/// An `AWS::EC2::NatGateway` with a public address.
pub struct NatGateway;

/// The settings of a NAT gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct NatGatewaySpec<S: Stage> {
    /// The public subnet it is in.
    pub subnet: S::In<SubnetId>,
    /// The allocation of its public address.
    pub allocation_id: S::In<AllocationId>,
    /// Its tags.
    pub tags: Tags,
}

outputs! { NatGateway =>
    /// What AWS gives a NAT gateway.
    NatGatewayOutputs {
        /// The gateway's id.
        id: NatGatewayId,
    }
}

impl Resource for NatGateway {
    const KIND: &'static str = "ec2/nat_gateway";
    const IDENTITY: Identity = Identity::Tags;
    const OPERATIONS: Operations = Operations {
        read: &["ec2:DescribeNatGateways"],
        create: &["ec2:CreateNatGateway", "ec2:CreateTags"],
        update: &["ec2:CreateTags", "ec2:DeleteTags"],
        delete: &["ec2:DeleteNatGateway"],
    };
    const REPLACE_ON: &'static [&'static str] = &["subnet", "allocation_id"];
    // `failed` is its end (field guide, section 2); nothing ever went through it.
    const REPLACE_WHEN_FAILED: bool = true;
    const TIMES: Times = Times::typical(100, 60);
    // Field guide, section 2.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("InvalidSubnet", 300),
        Refusal::create("InvalidSubnetID.NotFound", 300),
        Refusal::create("InvalidAllocationID.NotFound", 300),
        Refusal::update("NatGatewayNotFound", 300),
    ];
    type Api = Aws;
    type Spec<S: Stage> = NatGatewaySpec<S>;
    type Outputs = NatGatewayOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &NatGatewaySpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let known = last.map(|last| &*last.outputs.id);
        let found = find::<AwsNatGateway>(aws, scope, known).await?;
        let applied = last.map_or(want, |last| &last.spec);
        let gateway = found.map(|gateway| live(gateway, &applied.allocation_id));
        gateway.transpose()
    }

    async fn create(
        aws: &Aws,
        scope: &Scope,
        want: &NatGatewaySpec<Resolved>,
    ) -> Result<NatGatewayOutputs> {
        let answer = aws
            .ec2
            .create_nat_gateway()
            .set_client_token(scope.token.clone())
            .subnet_id(&*want.subnet)
            .allocation_id(&*want.allocation_id)
            .tag_specifications(tag_on_create(ResourceType::Natgateway, &want.tags))
            .send()
            .await
            .of("ec2:CreateNatGateway")?;
        let id = answer.nat_gateway().and_then(AwsNatGateway::nat_gateway_id);
        let id = id.ok_or_else(missing("ec2:CreateNatGateway", "NatGatewayId"))?;
        Ok(NatGatewayOutputs { id: id.into() })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &NatGatewaySpec<Resolved>,
        _changes: &Changes,
    ) -> Result<()> {
        change_tags(aws, &live.outputs.id, &live.spec.tags, &want.tags).await
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.ec2
            .delete_nat_gateway()
            .nat_gateway_id(&*live.outputs.id)
            .send()
            .await
            .of("ec2:DeleteNatGateway")
            .gone_is_fine(&["NatGatewayNotFound"])
    }

    async fn sweep(
        aws: &Aws,
        scope: &Scope,
        _known: &[NatGatewaySpec<Resolved>],
    ) -> Result<Vec<Live<Self>>> {
        let none = AllocationId::from("");
        swept(aws, scope, |gateway| live(gateway, &none)).await
    }
}

impl Described for AwsNatGateway {
    const OPERATION: &'static str = "ec2:DescribeNatGateways";
    const ID_FILTER: &'static str = "nat-gateway-id";

    fn id_and_tags(&self) -> (Option<&str>, &[Tag]) {
        (self.nat_gateway_id(), self.tags())
    }

    fn life(&self) -> Life {
        match self.state() {
            // AWS lists it for about an hour more.
            Some(NatGatewayState::Deleted) => Life::Gone,
            Some(NatGatewayState::Deleting | NatGatewayState::Failed) => Life::Dying,
            _ => Life::Alive,
        }
    }

    async fn describe(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Self>> {
        all_pages!(aws.describe_nat_gateways().set_filter(filters))
    }
}

fn live(gateway: AwsNatGateway, applied: &AllocationId) -> Result<Live<NatGateway>> {
    let field = |name| missing(AwsNatGateway::OPERATION, name);
    let addresses = gateway.nat_gateway_addresses();
    let primary = addresses
        .iter()
        .find(|address| address.is_primary() == Some(true))
        .or(addresses.first());
    let allocation_id = primary.and_then(|address| address.allocation_id());
    let state = gateway.state().map_or("", |state| state.as_str());
    let condition = match gateway.state() {
        Some(NatGatewayState::Deleting) => Condition::Deleting,
        Some(NatGatewayState::Failed) => Condition::Failed(format!(
            "{}: {}",
            gateway.failure_code().unwrap_or("failed"),
            gateway.failure_message().unwrap_or("AWS gave no reason")
        )),
        _ => Condition::from_status(state, &["available"]),
    };
    Ok(Live {
        outputs: NatGatewayOutputs {
            id: gateway
                .nat_gateway_id()
                .ok_or_else(field("NatGatewayId"))?
                .into(),
        },
        spec: NatGatewaySpec {
            subnet: gateway.subnet_id().ok_or_else(field("SubnetId"))?.into(),
            // A gateway that failed or is on its way may hold no address.
            allocation_id: allocation_id.map_or_else(|| applied.clone(), Into::into),
            tags: tags_of(gateway.tags()),
        },
        condition,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::operation::create_nat_gateway::CreateNatGatewayOutput;
    use aws_sdk_ec2::operation::create_tags::CreateTagsOutput;
    use aws_sdk_ec2::operation::describe_nat_gateways::DescribeNatGatewaysOutput;
    use aws_sdk_ec2::types::NatGatewayAddress;
    use aws_smithy_mocks::{Rule, mock};

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::kinds::ec2::testing::{aws_tags, tags};

    const NODE: &str = "nat-gateway-1";

    fn want() -> NatGatewaySpec<Resolved> {
        NatGatewaySpec {
            subnet: "subnet-1".into(),
            allocation_id: "eipalloc-1".into(),
            tags: tags(NODE),
        }
    }

    fn in_aws(id: &str, state: NatGatewayState) -> AwsNatGateway {
        let address = |allocation, primary| {
            NatGatewayAddress::builder()
                .allocation_id(allocation)
                .is_primary(primary)
                .build()
        };
        AwsNatGateway::builder()
            .nat_gateway_id(id)
            .subnet_id("subnet-1")
            .vpc_id("vpc-1")
            .state(state)
            .nat_gateway_addresses(address("eipalloc-2", false))
            .nat_gateway_addresses(address("eipalloc-1", true))
            .set_tags(aws_tags(NODE))
            .build()
    }

    fn listed(gateways: Vec<AwsNatGateway>) -> Rule {
        mock!(Client::describe_nat_gateways).then_output(move || {
            DescribeNatGatewaysOutput::builder()
                .set_nat_gateways(Some(gateways.clone()))
                .build()
        })
    }

    async fn observe(
        gateways: Vec<AwsNatGateway>,
        known: Option<&str>,
    ) -> Option<Live<NatGateway>> {
        let last = known.map(|id| Last {
            outputs: NatGatewayOutputs { id: id.into() },
            spec: want(),
        });
        let aws = mocked(&[&listed(gateways)]);
        NatGateway::observe(&aws, &scope(NODE), &want(), last.as_ref())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back() {
        let live = observe(vec![in_aws("nat-1", NatGatewayState::Available)], None).await;
        let live = live.unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(&*live.outputs.id, "nat-1");
        assert_eq!(live.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn a_tombstone_is_none_by_tag_and_by_id() {
        let tombstone = || vec![in_aws("nat-1", NatGatewayState::Deleted)];
        assert!(observe(tombstone(), None).await.is_none());
        assert!(observe(tombstone(), Some("nat-1")).await.is_none());
    }

    #[tokio::test]
    async fn of_several_with_the_same_tags_the_live_one_is_meant() {
        let all = vec![
            in_aws("nat-1", NatGatewayState::Deleted),
            in_aws("nat-2", NatGatewayState::Deleting),
            in_aws("nat-3", NatGatewayState::Pending),
        ];
        let live = observe(all.clone(), None).await.unwrap();
        assert_eq!(&*live.outputs.id, "nat-3");
        assert_eq!(live.condition, Condition::Pending("pending".into()));
        let going = observe(all, Some("nat-2")).await.unwrap();
        assert_eq!(going.condition, Condition::Deleting);
    }

    #[tokio::test]
    async fn a_failed_one_says_why_even_without_an_address() {
        let mut failed = in_aws("nat-1", NatGatewayState::Failed);
        failed.nat_gateway_addresses = None;
        failed.failure_code = Some("Gateway.NotAttached".into());
        failed.failure_message = Some("Network vpc-1 has no Internet gateway attached".into());
        let live = observe(vec![failed], None).await.unwrap();
        let reason = "Gateway.NotAttached: Network vpc-1 has no Internet gateway attached";
        assert_eq!(live.condition, Condition::Failed(reason.into()));
        assert_eq!(live.spec, want());
    }

    #[tokio::test]
    async fn every_try_of_one_create_carries_the_same_token() {
        let rule = mock!(Client::create_nat_gateway)
            .match_requests(|r| r.client_token() == Some("token-1"))
            .then_output(|| {
                CreateNatGatewayOutput::builder()
                    .nat_gateway(in_aws("nat-1", NatGatewayState::Pending))
                    .build()
            });
        let aws = mocked(&[&rule]);
        let mut scope = scope(NODE);
        scope.token = Some("token-1".into());
        for _ in 0..2 {
            let outputs = NatGateway::create(&aws, &scope, &want()).await.unwrap();
            assert_eq!(&*outputs.id, "nat-1");
        }
        assert_eq!(rule.num_calls(), 2);
    }

    #[tokio::test]
    async fn update_changes_tags() {
        let rule = mock!(Client::create_tags)
            .match_requests(|r| r.resources() == ["nat-1"])
            .then_output(|| CreateTagsOutput::builder().build());
        let aws = mocked(&[&rule]);
        let mut live = live(
            in_aws("nat-1", NatGatewayState::Available),
            &want().allocation_id,
        )
        .unwrap();
        live.spec.tags = Tags::default();
        NatGateway::update(&aws, &scope(NODE), &live, &want(), &Changes::default())
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn a_sweep_finds_failed_ones_and_no_tombstones() {
        let all = mock!(Client::describe_nat_gateways).then_output(|| {
            let mut failed = in_aws("nat-2", NatGatewayState::Failed);
            failed.nat_gateway_addresses = None;
            DescribeNatGatewaysOutput::builder()
                .nat_gateways(in_aws("nat-1", NatGatewayState::Deleted))
                .nat_gateways(failed)
                .nat_gateways(in_aws("nat-3", NatGatewayState::Available))
                .build()
        });
        let swept = NatGateway::sweep(&mocked(&[&all]), &scope(""), &[]).await;
        let swept = swept.unwrap();
        let ids: Vec<&str> = swept.iter().map(|live| &*live.outputs.id).collect();
        assert_eq!(ids, ["nat-2", "nat-3"]);
    }
}
