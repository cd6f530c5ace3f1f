use aws_sdk_ec2::Client;
use aws_sdk_ec2::error::ErrorMetadata;
use aws_sdk_ec2::operation::describe_nat_gateways::{
    DescribeNatGatewaysError, DescribeNatGatewaysOutput,
};
use aws_sdk_ec2::operation::describe_route_tables::DescribeRouteTablesOutput;
use aws_sdk_ec2::operation::describe_security_group_rules::DescribeSecurityGroupRulesOutput;
use aws_sdk_ec2::operation::describe_security_groups::DescribeSecurityGroupsOutput;
use aws_sdk_ec2::operation::describe_subnets::DescribeSubnetsOutput;
use aws_sdk_ec2::types::RouteTableAssociation;
use aws_smithy_mocks::{Rule, mock};

use super::super::testing::{found, only_bad, subject, titles};
use super::super::{Finding, Severity};
use super::*;
use crate::aws::testing::mocked;

fn subnet(id: &str, tier: &str) -> Subnet {
    Subnet::builder()
        .subnet_id(id)
        .vpc_id("vpc-1")
        .availability_zone("us-east-1a")
        .available_ip_address_count(4000)
        .tags(Tag::builder().key(TIER).value(tier).build())
        .build()
}

fn to(target: &str, state: RouteState) -> Route {
    let route = Route::builder()
        .destination_cidr_block(ANYWHERE)
        .state(state);
    match target.starts_with("nat-") {
        true => route.nat_gateway_id(target),
        false => route.gateway_id(target),
    }
    .build()
}

fn table(subnet: &str, route: Option<Route>) -> RouteTable {
    RouteTable::builder()
        .route_table_id(format!("rtb-{subnet}"))
        .associations(RouteTableAssociation::builder().subnet_id(subnet).build())
        .set_routes(Some(route.into_iter().collect()))
        .build()
}

/// A public and a private subnet; the private one's default route and NAT gateway as given.
fn network(route: Option<Route>, gateway: Option<NatGatewayState>) -> Vec<Rule> {
    let subnets = mock!(Client::describe_subnets)
        .match_requests(|r| r.filters()[0].name() == Some("tag:orderctl:stack"))
        .then_output(|| {
            DescribeSubnetsOutput::builder()
                .subnets(subnet("subnet-public", "public"))
                .subnets(subnet("subnet-private", "private"))
                .build()
        });
    let tables = mock!(Client::describe_route_tables).then_output(move || {
        DescribeRouteTablesOutput::builder()
            .route_tables(table(
                "subnet-public",
                Some(to("igw-1", RouteState::Active)),
            ))
            .route_tables(table("subnet-private", route.clone()))
            .build()
    });
    let gateways = mock!(Client::describe_nat_gateways).then_output(move || {
        let gateway = gateway.clone().map(|state| {
            NatGateway::builder()
                .nat_gateway_id("nat-1")
                .state(state)
                .build()
        });
        DescribeNatGatewaysOutput::builder()
            .set_nat_gateways(Some(gateway.into_iter().collect()))
            .build()
    });
    vec![subnets, tables, gateways]
}

async fn examined(rules: Vec<Rule>, subject: &Subject) -> Vec<Finding> {
    let service = mock!(aws_sdk_ecs::Client::describe_services).then_output(|| {
        aws_sdk_ecs::operation::describe_services::DescribeServicesOutput::builder().build()
    });
    let groups = mock!(Client::describe_security_groups).then_output(|| {
        let group = |base: &str| {
            SecurityGroup::builder()
                .group_id(base)
                .group_name(format!("{base}-dev"))
                .build()
        };
        let all = ["alb-sg", "ecs-sg", "rds-sg"].map(group);
        DescribeSecurityGroupsOutput::builder()
            .set_security_groups(Some(all.into()))
            .build()
    });
    // One rule that lets all pass, for each group and direction.
    let through = mock!(Client::describe_security_group_rules).then_output(|| {
        let all = ["alb-sg", "ecs-sg", "rds-sg"]
            .into_iter()
            .flat_map(|group| {
                [true, false].map(|egress| {
                    SecurityGroupRule::builder()
                        .group_id(group)
                        .is_egress(egress)
                        .ip_protocol("-1")
                        .cidr_ipv4(ANYWHERE)
                        .build()
                })
            });
        DescribeSecurityGroupRulesOutput::builder()
            .set_security_group_rules(Some(all.collect()))
            .build()
    });
    let rules: Vec<Rule> = rules
        .into_iter()
        .chain([service, groups, through])
        .collect();
    let aws = mocked(&rules.iter().collect::<Vec<_>>()).with_shared_reads();
    found(async |chart: &mut Chart| look(&aws, subject, chart).await).await
}

#[tokio::test]
async fn the_way_out_must_lead_through_an_available_nat_gateway() {
    let active = || Some(to("nat-1", RouteState::Active));
    let available = Some(NatGatewayState::Available);
    let well = examined(network(active(), available.clone()), &subject()).await;
    super::super::testing::is_fine(&well);
    for (route, gateway, title) in [
        (
            None,
            available.clone(),
            "private subnet subnet-private (us-east-1a) has no default route",
        ),
        (
            Some(to("nat-1", RouteState::Blackhole)),
            None,
            "the default route of private subnet subnet-private (us-east-1a) leads to a NAT gateway that is gone",
        ),
        (
            active(),
            Some(NatGatewayState::Failed),
            "the default route of private subnet subnet-private (us-east-1a) leads to a NAT gateway that is failed",
        ),
        (
            Some(to("igw-1", RouteState::Active)),
            available,
            "the default route of private subnet subnet-private (us-east-1a) does not lead to a NAT gateway",
        ),
    ] {
        let all = examined(network(route, gateway), &subject()).await;
        let finding = only_bad(&all);
        assert_eq!(finding.title, title);
        assert!(finding.is_problem());
        assert!(
            finding.evidence[0].contains("rtb-subnet-private"),
            "{finding:?}"
        );
        assert_eq!(finding.fix.as_deref(), Some("orderctl up"));
    }
}

#[tokio::test]
async fn without_nat_gateways_no_default_route_is_wanted() {
    let without = Subject {
        has_nat: false,
        ..subject()
    };
    super::super::testing::is_fine(&examined(network(None, None), &without).await);
}

#[tokio::test]
async fn a_refused_read_hides_nothing_of_the_security_groups() {
    let denied = mock!(Client::describe_nat_gateways).then_error(|| {
        let code = ErrorMetadata::builder()
            .code("UnauthorizedOperation")
            .build();
        DescribeNatGatewaysError::generic(code)
    });
    let mut rules = network(None, None);
    rules.pop();
    rules.push(denied);
    let all = examined(rules, &subject()).await;
    assert_eq!(
        titles(&all, Severity::Unknown),
        ["ec2:DescribeNatGateways is not permitted"]
    );
    assert_eq!(
        titles(&all, Severity::Fine),
        ["the security groups let through what must pass"]
    );
}
