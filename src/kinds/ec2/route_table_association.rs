//! `ec2/route_table_association`: which route table a subnet follows.

use aws_sdk_ec2::types::{
    RouteTable as AwsRouteTable, RouteTableAssociation as AwsAssociation,
    RouteTableAssociationState, RouteTableAssociationStateCode as State,
};
use serde::{Deserialize, Serialize};

use super::{Described, RouteTableAssociationId, RouteTableId, SubnetId, narrowed, of_stack};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, outputs,
};

/// An `AWS::EC2::SubnetRouteTableAssociation`.
pub struct RouteTableAssociation;

/// The two ends of an association.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct RouteTableAssociationSpec<S: Stage> {
    /// The subnet; it follows one table.
    pub subnet: S::In<SubnetId>,
    /// The table it follows.
    pub route_table: S::In<RouteTableId>,
}

outputs! { RouteTableAssociation =>
    /// What AWS gives an association.
    RouteTableAssociationOutputs {
        /// The association's id; another one after the table was changed.
        id: RouteTableAssociationId,
    }
}

impl Resource for RouteTableAssociation {
    const KIND: &'static str = "ec2/route_table_association";
    const IDENTITY: Identity = Identity::Parent;
    const OPERATIONS: Operations = Operations {
        read: &["ec2:DescribeRouteTables"],
        create: &["ec2:AssociateRouteTable"],
        update: &["ec2:ReplaceRouteTableAssociation"],
        delete: &["ec2:DisassociateRouteTable"],
    };
    const REPLACE_ON: &'static [&'static str] = &["subnet"];
    // Field guide, section 2.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("InvalidRouteTableID.NotFound", 300),
        Refusal::create("InvalidSubnetID.NotFound", 300),
        Refusal::update("InvalidRouteTableID.NotFound", 300),
    ];
    type Api = Aws;
    type Spec<S: Stage> = RouteTableAssociationSpec<S>;
    type Outputs = RouteTableAssociationOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &RouteTableAssociationSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        // By the subnet, not by the id: that changes with every change of the table.
        let subnet = &last.map_or(want, |last| &last.spec).subnet;
        let ours = of_stack::<AwsRouteTable>(aws, scope).await?;
        let mut found = association_of(&ours, subnet).cloned();
        if found.is_none() {
            // Somebody may have led the subnet to a table of their own.
            let filter = "association.subnet-id";
            let others = narrowed::<AwsRouteTable>(aws, filter, subnet).await?;
            found = association_of(&others, subnet).cloned();
        }
        found.map(live).transpose()
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &RouteTableAssociationSpec<Resolved>,
    ) -> Result<RouteTableAssociationOutputs> {
        let answer = aws
            .ec2
            .associate_route_table()
            .subnet_id(&*want.subnet)
            .route_table_id(&*want.route_table)
            .send()
            .await
            .of("ec2:AssociateRouteTable")?;
        let id = answer.association_id();
        let id = id.ok_or_else(missing("ec2:AssociateRouteTable", "AssociationId"))?;
        Ok(RouteTableAssociationOutputs { id: id.into() })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &RouteTableAssociationSpec<Resolved>,
        _changes: &Changes,
    ) -> Result<()> {
        aws.ec2
            .replace_route_table_association()
            .association_id(&*live.outputs.id)
            .route_table_id(&*want.route_table)
            .send()
            .await
            .of("ec2:ReplaceRouteTableAssociation")?;
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.ec2
            .disassociate_route_table()
            .association_id(&*live.outputs.id)
            .send()
            .await
            .of("ec2:DisassociateRouteTable")
            .gone_is_fine(&["InvalidAssociationID.NotFound"])
    }
}

fn association_of<'a>(tables: &'a [AwsRouteTable], subnet: &str) -> Option<&'a AwsAssociation> {
    let all = tables.iter().flat_map(|table| table.associations());
    all.filter(|association| association.main() != Some(true))
        .filter(|association| state_of(association) != Some(&State::Disassociated))
        .find(|association| association.subnet_id() == Some(subnet))
}

fn state_of(association: &AwsAssociation) -> Option<&State> {
    association.association_state()?.state()
}

fn live(association: AwsAssociation) -> Result<Live<RouteTableAssociation>> {
    let field = |name| missing(AwsRouteTable::OPERATION, name);
    let id = association.route_table_association_id();
    let table = association.route_table_id();
    Ok(Live {
        outputs: RouteTableAssociationOutputs {
            id: id.ok_or_else(field("RouteTableAssociationId"))?.into(),
        },
        spec: RouteTableAssociationSpec {
            subnet: association
                .subnet_id()
                .ok_or_else(field("SubnetId"))?
                .into(),
            route_table: table.ok_or_else(field("RouteTableId"))?.into(),
        },
        condition: match state_of(&association) {
            Some(State::Disassociating) => Condition::Deleting,
            Some(State::Failed) => {
                let state = association.association_state();
                let reason = state.and_then(RouteTableAssociationState::status_message);
                Condition::Failed(reason.unwrap_or("AWS gave no reason").to_owned())
            }
            Some(state) => Condition::from_status(state.as_str(), &["associated"]),
            None => Condition::Ready,
        },
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::operation::describe_route_tables::DescribeRouteTablesOutput;
    use aws_sdk_ec2::operation::replace_route_table_association::ReplaceRouteTableAssociationOutput;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::diff;

    const NODE: &str = "public-subnet-1-routes";

    fn want() -> RouteTableAssociationSpec<Resolved> {
        RouteTableAssociationSpec {
            subnet: "subnet-1".into(),
            route_table: "rtb-1".into(),
        }
    }

    fn association(table: &str, subnet: &str, state: State) -> AwsAssociation {
        AwsAssociation::builder()
            .route_table_association_id(format!("rtbassoc-{table}-{subnet}"))
            .route_table_id(table)
            .subnet_id(subnet)
            .main(false)
            .association_state(RouteTableAssociationState::builder().state(state).build())
            .build()
    }

    /// The answer to a Describe narrowed by `filter`: one table with these associations.
    fn tables(filter: &'static str, associations: Vec<AwsAssociation>) -> Rule {
        mock!(Client::describe_route_tables)
            .match_requests(move |r| r.filters()[0].name() == Some(filter))
            .then_output(move || {
                let table = AwsRouteTable::builder().set_associations(Some(associations.clone()));
                DescribeRouteTablesOutput::builder()
                    .route_tables(table.build())
                    .build()
            })
    }

    async fn observe(rules: &[&Rule]) -> Option<Live<RouteTableAssociation>> {
        RouteTableAssociation::observe(&mocked(rules), &scope(NODE), &want(), None)
            .await
            .unwrap()
    }

    const OURS: &str = "tag:orderctl:stack";
    const BY_SUBNET: &str = "association.subnet-id";

    #[tokio::test]
    async fn observe_maps_both_ends_back() {
        let all = vec![
            association("rtb-1", "subnet-2", State::Associated),
            association("rtb-1", "subnet-1", State::Associated),
        ];
        let live = observe(&[&tables(OURS, all)]).await.unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(&*live.outputs.id, "rtbassoc-rtb-1-subnet-1");
        assert_eq!(live.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn a_subnet_without_an_association_of_its_own_is_none() {
        let ended = vec![association("rtb-1", "subnet-1", State::Disassociated)];
        let ours = tables(OURS, ended);
        let others = tables(BY_SUBNET, vec![]);
        assert!(observe(&[&ours, &others]).await.is_none());
    }

    #[tokio::test]
    async fn a_subnet_led_to_a_foreign_table_is_led_back() {
        let ours = tables(OURS, vec![]);
        let foreign = vec![association("rtb-9", "subnet-1", State::Associated)];
        let live = observe(&[&ours, &tables(BY_SUBNET, foreign)])
            .await
            .unwrap();
        let changes = diff(&json!(want()), &json!(live.spec), None);
        assert_eq!(changes.names(), ["route_table"]);
        let replace = mock!(Client::replace_route_table_association)
            .match_requests(|r| {
                r.association_id() == Some("rtbassoc-rtb-9-subnet-1")
                    && r.route_table_id() == Some("rtb-1")
            })
            .then_output(|| ReplaceRouteTableAssociationOutput::builder().build());
        let aws = mocked(&[&replace]);
        RouteTableAssociation::update(&aws, &scope(NODE), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn one_on_its_way_out_is_deleting_and_a_failed_one_says_why() {
        let going = association("rtb-1", "subnet-1", State::Disassociating);
        let live = observe(&[&tables(OURS, vec![going])]).await.unwrap();
        assert_eq!(live.condition, Condition::Deleting);
        let mut failed = association("rtb-1", "subnet-1", State::Failed);
        let state = RouteTableAssociationState::builder()
            .state(State::Failed)
            .status_message("no such subnet");
        failed.association_state = Some(state.build());
        let live = observe(&[&tables(OURS, vec![failed])]).await.unwrap();
        assert_eq!(live.condition, Condition::Failed("no such subnet".into()));
    }
}
