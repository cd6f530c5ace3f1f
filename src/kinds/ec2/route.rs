//! `ec2/route`: where one table sends the traffic for one address range.

use aws_sdk_ec2::types::{Route as AwsRoute, RouteState, RouteTable as AwsRouteTable};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{InternetGatewayId, NatGatewayId, RouteTableId, find};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::{
    Changes, Class, Condition, Error, Identity, Last, Live, Operations, Refusal, Resolved,
    Resource, Result, Scope, Stage, outputs,
};

/// An `AWS::EC2::Route` for an IPv4 range.
pub struct Route;

/// The settings of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct RouteSpec<S: Stage> {
    /// The table it is in.
    pub route_table: S::In<RouteTableId>,
    /// The addresses it is for; `0.0.0.0/0` for all that have no narrower route.
    pub destination: Ipv4Net,
    /// Where it leads.
    pub target: RouteTarget<S>,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "", rename_all = "snake_case")]
pub enum RouteTarget<S: Stage> {
    /// To the internet, both ways.
    InternetGateway(S::In<InternetGatewayId>),
    /// To the internet, outwards only.
    NatGateway(S::In<NatGatewayId>),
    /// Elsewhere; only ever read, so that a route led elsewhere by hand shows up as a difference.
    Other(String),
}

outputs! { Route =>
    /// What names a route.
    RouteOutputs {
        /// Its table's id.
        route_table: RouteTableId,
        /// The addresses it is for.
        destination: Ipv4Net,
    }
}

/// A gateway that is not attached to the VPC (yet).
const NOT_ATTACHED: &str = "belong to different networks";

impl Resource for Route {
    const KIND: &'static str = "ec2/route";
    const IDENTITY: Identity = Identity::Parent;
    const OPERATIONS: Operations = Operations {
        read: &["ec2:DescribeRouteTables"],
        create: &["ec2:CreateRoute"],
        update: &["ec2:ReplaceRoute"],
        delete: &["ec2:DeleteRoute"],
    };
    const REPLACE_ON: &'static [&'static str] = &["route_table", "destination"];
    // Field guide, section 2. A route may be made as soon as its NAT gateway has an id.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("InvalidRouteTableID.NotFound", 300),
        Refusal::create("InvalidInternetGatewayID.NotFound", 300),
        Refusal::create("InvalidNatGatewayID.NotFound", 300),
        Refusal::create("InvalidParameterException", 120),
        Refusal::create("InvalidParameterValue", 300).saying(NOT_ATTACHED),
        Refusal::update("InvalidInternetGatewayID.NotFound", 300),
        Refusal::update("InvalidNatGatewayID.NotFound", 300),
        Refusal::update("InvalidParameterValue", 300).saying(NOT_ATTACHED),
    ];
    type Api = Aws;
    type Spec<S: Stage> = RouteSpec<S>;
    type Outputs = RouteOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &RouteSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let outputs = last.map_or_else(|| outputs_of(want), |last| last.outputs.clone());
        let table = find::<AwsRouteTable>(aws, scope, Some(&outputs.route_table)).await?;
        let routes = table.as_ref().map_or(&[][..], |table| table.routes());
        let found = routes
            .iter()
            .find(|route| destination_of(route) == Some(outputs.destination));
        Ok(found.map(|route| Live {
            spec: RouteSpec {
                route_table: outputs.route_table.clone(),
                destination: outputs.destination,
                target: target_of(route),
            },
            outputs,
            // One to a NAT gateway that is not available yet; one to a gateway that is gone differs
            // from the wanted target, which is another by then.
            condition: match route.state() {
                Some(RouteState::Blackhole) => Condition::Pending("black hole".to_owned()),
                _ => Condition::Ready,
            },
        }))
    }

    async fn create(aws: &Aws, _scope: &Scope, want: &RouteSpec<Resolved>) -> Result<RouteOutputs> {
        let (internet_gateway, nat_gateway) = gateways(&want.target)?;
        aws.ec2
            .create_route()
            .route_table_id(&*want.route_table)
            .destination_cidr_block(want.destination.to_string())
            .set_gateway_id(internet_gateway)
            .set_nat_gateway_id(nat_gateway)
            .send()
            .await
            .of("ec2:CreateRoute")
            // The table is ours and has one route per destination: an earlier try made it. Should
            // it lead elsewhere, the next comparison shows it.
            .gone_is_fine(&["RouteAlreadyExists"])?;
        Ok(outputs_of(want))
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &RouteSpec<Resolved>,
        _changes: &Changes,
    ) -> Result<()> {
        let (internet_gateway, nat_gateway) = gateways(&want.target)?;
        aws.ec2
            .replace_route()
            .route_table_id(&*live.outputs.route_table)
            .destination_cidr_block(live.outputs.destination.to_string())
            .set_gateway_id(internet_gateway)
            .set_nat_gateway_id(nat_gateway)
            .send()
            .await
            .of("ec2:ReplaceRoute")?;
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.ec2
            .delete_route()
            .route_table_id(&*live.outputs.route_table)
            .destination_cidr_block(live.outputs.destination.to_string())
            .send()
            .await
            .of("ec2:DeleteRoute")
            .gone_is_fine(&["InvalidRoute.NotFound", "InvalidRouteTableID.NotFound"])
    }
}

fn outputs_of(spec: &RouteSpec<Resolved>) -> RouteOutputs {
    RouteOutputs {
        route_table: spec.route_table.clone(),
        destination: spec.destination,
    }
}

fn destination_of(route: &AwsRoute) -> Option<Ipv4Net> {
    route.destination_cidr_block()?.parse().ok()
}

fn target_of(route: &AwsRoute) -> RouteTarget<Resolved> {
    let gateway = route.gateway_id();
    let nat_gateway = route.nat_gateway_id();
    let id = gateway
        .or(nat_gateway)
        .or(route.instance_id())
        .or(route.network_interface_id())
        .or(route.transit_gateway_id())
        .or(route.vpc_peering_connection_id())
        .or(route.egress_only_internet_gateway_id())
        .or(route.local_gateway_id())
        .or(route.carrier_gateway_id())
        .or(route.core_network_arn())
        .unwrap_or("an unknown target");
    match (gateway, nat_gateway) {
        (Some(id), _) if id.starts_with("igw-") => RouteTarget::InternetGateway(id.into()),
        (None, Some(id)) => RouteTarget::NatGateway(id.into()),
        _ => RouteTarget::Other(id.to_owned()),
    }
}

/// The ids of the internet gateway and of the NAT gateway, one of them, for a request.
fn gateways(target: &RouteTarget<Resolved>) -> Result<(Option<String>, Option<String>)> {
    match target {
        RouteTarget::InternetGateway(id) => Ok((Some(id.to_string()), None)),
        RouteTarget::NatGateway(id) => Ok((None, Some(id.to_string()))),
        RouteTarget::Other(id) => Err(Error::new(
            Route::KIND,
            Class::Refused,
            format!("a route cannot be led to {id}"),
        )
        .with_advice("declare an internet gateway or a NAT gateway as its target")),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::error::ErrorMetadata;
    use aws_sdk_ec2::operation::create_route::CreateRouteError;
    use aws_sdk_ec2::operation::delete_route::DeleteRouteError;
    use aws_sdk_ec2::operation::describe_route_tables::DescribeRouteTablesOutput;
    use aws_sdk_ec2::operation::replace_route::ReplaceRouteOutput;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::kinds::ec2::testing::aws_tags;
    use crate::resource::{Address, Declared, Handle, diff, find_references};

    const NODE: &str = "private-route-1";

    fn want() -> RouteSpec<Resolved> {
        RouteSpec {
            route_table: "rtb-1".into(),
            destination: "0.0.0.0/0".parse().unwrap(),
            target: RouteTarget::NatGateway("nat-1".into()),
        }
    }

    /// A route table with the local route, and `route` for 0.0.0.0/0.
    fn table_with(route: Option<AwsRoute>) -> Rule {
        mock!(Client::describe_route_tables).then_output(move || {
            let local = AwsRoute::builder()
                .destination_cidr_block("10.0.0.0/16")
                .gateway_id("local")
                .state(RouteState::Active);
            let table = AwsRouteTable::builder()
                .route_table_id("rtb-1")
                .routes(local.build())
                .set_tags(aws_tags("private-route-table-1"));
            let table = route
                .iter()
                .cloned()
                .fold(table, |table, r| table.routes(r));
            DescribeRouteTablesOutput::builder()
                .route_tables(table.build())
                .build()
        })
    }

    fn to_nat(id: &str, state: RouteState) -> AwsRoute {
        AwsRoute::builder()
            .destination_cidr_block("0.0.0.0/0")
            .nat_gateway_id(id)
            .state(state)
            .build()
    }

    async fn observe(route: Option<AwsRoute>) -> Option<Live<Route>> {
        Route::observe(&mocked(&[&table_with(route)]), &scope(NODE), &want(), None)
            .await
            .unwrap()
    }

    #[test]
    fn a_target_that_refers_to_another_node_is_an_edge_of_the_graph() {
        let nat = Handle::<crate::kinds::ec2::NatGateway>::new(Address::new("nat").unwrap());
        let target = RouteTarget::<Declared>::NatGateway(nat.id());
        let found = find_references(&json!({ "target": target }));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].address.as_str(), "nat");
    }

    #[tokio::test]
    async fn observe_maps_every_field_back() {
        let live = observe(Some(to_nat("nat-1", RouteState::Active)))
            .await
            .unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(live.outputs, outputs_of(&want()));
        assert_eq!(live.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn a_table_without_the_route_and_a_gone_table_are_none() {
        assert!(observe(None).await.is_none());
        let no_table = mock!(Client::describe_route_tables)
            .then_output(|| DescribeRouteTablesOutput::builder().build());
        let gone = Route::observe(&mocked(&[&no_table]), &scope(NODE), &want(), None).await;
        assert!(gone.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_black_hole_to_the_wanted_gateway_is_waited_for() {
        let live = observe(Some(to_nat("nat-1", RouteState::Blackhole)))
            .await
            .unwrap();
        assert!(diff(&json!(want()), &json!(live.spec), None).is_empty());
        assert_eq!(live.condition, Condition::Pending("black hole".to_owned()));
    }

    #[tokio::test]
    async fn a_black_hole_to_another_gateway_and_a_stranger_are_mended_by_replacing_the_target() {
        let peering = AwsRoute::builder()
            .destination_cidr_block("0.0.0.0/0")
            .vpc_peering_connection_id("pcx-1")
            .state(RouteState::Active)
            .build();
        for route in [to_nat("nat-0", RouteState::Blackhole), peering] {
            let live = observe(Some(route)).await.unwrap();
            let changes = diff(&json!(want()), &json!(live.spec), Some(&json!(want())));
            assert_eq!(changes.names(), ["target"]);
            assert!(changes.0.iter().all(|change| change.drift));
            let replace = mock!(Client::replace_route)
                .match_requests(|r| {
                    r.route_table_id() == Some("rtb-1")
                        && r.destination_cidr_block() == Some("0.0.0.0/0")
                        && r.nat_gateway_id() == Some("nat-1")
                        && r.gateway_id().is_none()
                })
                .then_output(|| ReplaceRouteOutput::builder().build());
            let aws = mocked(&[&replace]);
            Route::update(&aws, &scope(NODE), &live, &want(), &changes)
                .await
                .unwrap();
            assert_eq!(aws.calls().writes(), 1);
        }
    }

    #[tokio::test]
    async fn a_route_made_by_a_try_whose_answer_was_lost_is_taken() {
        let rule = mock!(Client::create_route).then_error(|| {
            CreateRouteError::generic(ErrorMetadata::builder().code("RouteAlreadyExists").build())
        });
        let outputs = Route::create(&mocked(&[&rule]), &scope(NODE), &want()).await;
        assert_eq!(outputs.unwrap(), outputs_of(&want()));
    }

    #[tokio::test]
    async fn deleting_a_gone_route_is_fine() {
        let rule = mock!(Client::delete_route).then_error(|| {
            let error = ErrorMetadata::builder().code("InvalidRoute.NotFound");
            DeleteRouteError::generic(error.build())
        });
        let live = observe(Some(to_nat("nat-1", RouteState::Active)))
            .await
            .unwrap();
        Route::delete(&mocked(&[&rule]), &scope(NODE), &live)
            .await
            .unwrap();
    }
}
