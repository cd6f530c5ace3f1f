//! `ec2/route_table`: a table of routes. Its routes and associations are nodes of their own, read
//! from the same answer.

use aws_sdk_ec2::types::{Filter, ResourceType, RouteTable as AwsRouteTable, Tag};
use serde::{Deserialize, Serialize};

use super::{
    Described, RouteTableId, VpcId, all_pages, change_tags, find, swept, tag_on_create, tags_of,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, Tags, outputs,
};

/// An `AWS::EC2::RouteTable`.
pub struct RouteTable;

/// The settings of a route table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct RouteTableSpec<S: Stage> {
    /// The VPC it is part of.
    pub vpc: S::In<VpcId>,
    /// Its tags.
    pub tags: Tags,
}

outputs! { RouteTable =>
    /// What AWS gives a route table.
    RouteTableOutputs {
        /// The table's id.
        id: RouteTableId,
    }
}

impl Resource for RouteTable {
    const KIND: &'static str = "ec2/route_table";
    const IDENTITY: Identity = Identity::Tags;
    const OPERATIONS: Operations = Operations {
        read: &["ec2:DescribeRouteTables"],
        create: &["ec2:CreateRouteTable", "ec2:CreateTags"],
        update: &["ec2:CreateTags", "ec2:DeleteTags"],
        delete: &["ec2:DeleteRouteTable"],
    };
    const REPLACE_ON: &'static [&'static str] = &["vpc"];
    // Field guide, section 2.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("InvalidVpcID.NotFound", 300),
        Refusal::update("InvalidRouteTableID.NotFound", 300),
        Refusal::delete("DependencyViolation", 300),
    ];
    type Api = Aws;
    type Spec<S: Stage> = RouteTableSpec<S>;
    type Outputs = RouteTableOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        _want: &RouteTableSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let known = last.map(|last| &*last.outputs.id);
        let found = find::<AwsRouteTable>(aws, scope, known).await?;
        found.map(live).transpose()
    }

    async fn create(
        aws: &Aws,
        scope: &Scope,
        want: &RouteTableSpec<Resolved>,
    ) -> Result<RouteTableOutputs> {
        let answer = aws
            .ec2
            .create_route_table()
            .set_client_token(scope.token.clone())
            .vpc_id(&*want.vpc)
            .tag_specifications(tag_on_create(ResourceType::RouteTable, &want.tags))
            .send()
            .await
            .of("ec2:CreateRouteTable")?;
        let id = answer.route_table().and_then(AwsRouteTable::route_table_id);
        let id = id.ok_or_else(missing("ec2:CreateRouteTable", "RouteTableId"))?;
        Ok(RouteTableOutputs { id: id.into() })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &RouteTableSpec<Resolved>,
        _changes: &Changes,
    ) -> Result<()> {
        change_tags(aws, &live.outputs.id, &live.spec.tags, &want.tags).await
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.ec2
            .delete_route_table()
            .route_table_id(&*live.outputs.id)
            .send()
            .await
            .of("ec2:DeleteRouteTable")
            .gone_is_fine(&["InvalidRouteTableID.NotFound"])
    }

    async fn sweep(
        aws: &Aws,
        scope: &Scope,
        _known: &[RouteTableSpec<Resolved>],
    ) -> Result<Vec<Live<Self>>> {
        swept(aws, scope, live).await
    }
}

impl Described for AwsRouteTable {
    const OPERATION: &'static str = "ec2:DescribeRouteTables";
    const ID_FILTER: &'static str = "route-table-id";

    fn id_and_tags(&self) -> (Option<&str>, &[Tag]) {
        (self.route_table_id(), self.tags())
    }

    async fn describe(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Self>> {
        all_pages!(aws.describe_route_tables().set_filters(filters))
    }
}

fn live(table: AwsRouteTable) -> Result<Live<RouteTable>> {
    let field = |name| missing(AwsRouteTable::OPERATION, name);
    Ok(Live {
        outputs: RouteTableOutputs {
            id: table
                .route_table_id()
                .ok_or_else(field("RouteTableId"))?
                .into(),
        },
        spec: RouteTableSpec {
            vpc: table.vpc_id().ok_or_else(field("VpcId"))?.into(),
            tags: tags_of(table.tags()),
        },
        condition: Condition::Ready,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::operation::create_route_table::CreateRouteTableOutput;
    use aws_sdk_ec2::operation::create_tags::CreateTagsOutput;
    use aws_sdk_ec2::operation::describe_route_tables::DescribeRouteTablesOutput;
    use aws_sdk_ec2::types::Route as AwsRoute;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::kinds::ec2::testing::{aws_tags, tags};

    const NODE: &str = "public-route-table";

    fn want() -> RouteTableSpec<Resolved> {
        RouteTableSpec {
            vpc: "vpc-1".into(),
            tags: tags(NODE),
        }
    }

    fn in_aws() -> AwsRouteTable {
        let local = AwsRoute::builder()
            .destination_cidr_block("10.0.0.0/16")
            .gateway_id("local");
        AwsRouteTable::builder()
            .route_table_id("rtb-1")
            .vpc_id("vpc-1")
            .routes(local.build())
            .set_tags(aws_tags(NODE))
            .build()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_and_another_nodes_table_is_none() {
        let rule = mock!(Client::describe_route_tables).then_output(|| {
            DescribeRouteTablesOutput::builder()
                .route_tables(in_aws())
                .build()
        });
        let aws = mocked(&[&rule]);
        let observe = async |node| {
            RouteTable::observe(&aws, &scope(node), &want(), None)
                .await
                .unwrap()
        };
        let live = observe(NODE).await.unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(&*live.outputs.id, "rtb-1");
        assert_eq!(live.condition, Condition::Ready);
        assert!(observe("private-route-table-1").await.is_none());
    }

    #[tokio::test]
    async fn create_carries_token_and_tags() {
        let rule = mock!(Client::create_route_table)
            .match_requests(|r| {
                r.client_token() == Some("token-1")
                    && r.vpc_id() == Some("vpc-1")
                    && tags_of(r.tag_specifications()[0].tags()) == tags(NODE)
            })
            .then_output(|| {
                CreateRouteTableOutput::builder()
                    .route_table(in_aws())
                    .build()
            });
        let mut scope = scope(NODE);
        scope.token = Some("token-1".into());
        let outputs = RouteTable::create(&mocked(&[&rule]), &scope, &want()).await;
        assert_eq!(&*outputs.unwrap().id, "rtb-1");
    }

    #[tokio::test]
    async fn update_changes_tags() {
        let rule = mock!(Client::create_tags)
            .match_requests(|r| r.resources() == ["rtb-1"])
            .then_output(|| CreateTagsOutput::builder().build());
        let aws = mocked(&[&rule]);
        let mut live = live(in_aws()).unwrap();
        live.spec.tags = Tags::default();
        RouteTable::update(&aws, &scope(NODE), &live, &want(), &Changes::default())
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }
}
