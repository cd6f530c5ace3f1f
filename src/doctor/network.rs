//! Area `network`: whether the tasks have a way out to what they need to start, the load balancer one
//! in, and whether load balancer, tasks and database may talk to each other.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    Filter, NatGateway, NatGatewayState, Route, RouteState, RouteTable, SecurityGroup,
    SecurityGroupRule, Subnet, Tag,
};

use super::flows::{Groups, check};
use super::{Chart, Subject, reads};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::{Result, STACK_TAG};

pub(super) const AREA: &str = "network";

const ANYWHERE: &str = "0.0.0.0/0";
const TIER: &str = "Tier";

pub(super) async fn look(aws: &Aws, subject: &Subject, chart: &mut Chart) -> Result<()> {
    let subnets = subnets(aws, subject).await?;
    let Some(vpc) = subnets.first().and_then(|subnet| subnet.vpc_id()) else {
        chart
            .problem("the stack has no subnets")
            .mended_by("orderctl up");
        return Ok(());
    };
    let (tables, gateways, groups) = tokio::join!(
        route_tables(aws, vpc),
        nat_gateways(aws, vpc),
        security_groups(aws, subject)
    );
    match (tables, gateways) {
        (Ok(tables), Ok(gateways)) => {
            let ways = Ways { tables, gateways };
            subnets
                .iter()
                .for_each(|subnet| ways.judge(subnet, subject, chart));
            if chart.is_well() {
                chart.fine("every subnet has its way out");
            }
        }
        (tables, gateways) => {
            [tables.err(), gateways.err()]
                .iter()
                .flatten()
                .for_each(|error| chart.failed(error));
        }
    }
    let groups = groups?;
    let rules = rules(aws, &groups).await?;
    let name = |base: &str| format!("{base}-{}", subject.stack);
    let id = |base: &str| {
        let named = |group: &&SecurityGroup| group.group_name() == Some(&name(base));
        groups.iter().find(named).and_then(|group| group.group_id())
    };
    let mut found = Vec::new();
    for base in ["alb-sg", "ecs-sg", "rds-sg"] {
        match id(base) {
            Some(id) => found.push(id),
            None => {
                chart
                    .problem(format!("there is no security group {}", name(base)))
                    .mended_by("orderctl up");
            }
        }
    }
    if let [load_balancer, tasks, database] = found[..] {
        let groups = Groups {
            load_balancer,
            tasks,
            database,
        };
        check(&groups, &rules, subject, chart);
    }
    Ok(())
}

/// The tables and gateways of the VPC.
struct Ways {
    tables: Vec<RouteTable>,
    gateways: Vec<NatGateway>,
}

impl Ways {
    fn judge(&self, subnet: &Subnet, subject: &Subject, chart: &mut Chart) {
        let id = subnet.subnet_id().unwrap_or_default();
        let zone = subnet.availability_zone().unwrap_or_default();
        let is_public = tag(subnet.tags(), TIER) == Some("public");
        let name = match is_public {
            true => format!("public subnet {id} ({zone})"),
            false => format!("private subnet {id} ({zone})"),
        };
        // Each task takes an address, twice as many during a release.
        if !is_public
            && subnet
                .available_ip_address_count()
                .is_some_and(|free| free < 8)
        {
            let free = subnet.available_ip_address_count().unwrap_or_default();
            chart
                .warning(format!("{name} has {free} free addresses left"))
                .mended_by("find out who takes them: `aws ec2 describe-network-interfaces`");
        }
        let Some(table) = self.table_of(subnet) else {
            chart
                .problem(format!("{name} has no route table"))
                .mended_by("orderctl up");
            return;
        };
        let table_id = table.route_table_id().unwrap_or_default();
        let default = |route: &&Route| route.destination_cidr_block() == Some(ANYWHERE);
        let Some(route) = table.routes().iter().find(default) else {
            // Without NAT gateways there is no such route, on purpose.
            if is_public || subject.has_nat {
                chart
                    .problem(format!("{name} has no default route"))
                    .shown_by([format!("its route table is {table_id}")])
                    .mended_by("orderctl up");
            }
            return;
        };
        if let Some((title, evidence)) = self.flaw(route, is_public, subject) {
            chart
                .problem(format!("the default route of {name} {title}"))
                .shown_by([format!("route table {table_id}: {evidence}")])
                .mended_by("orderctl up");
        }
    }

    /// What is wrong with a default route, and what shows it.
    fn flaw(&self, route: &Route, is_public: bool, subject: &Subject) -> Option<(String, String)> {
        let target = route.nat_gateway_id().or_else(|| route.gateway_id());
        let shown = |state: &str| {
            let target = target.unwrap_or("something else");
            format!("{ANYWHERE} -> {target}, {state}")
        };
        let gateway = route.nat_gateway_id().and_then(|id| {
            let mut gateways = self.gateways.iter();
            gateways.find(|gateway| gateway.nat_gateway_id() == Some(id))
        });
        if let Some(id) = route.nat_gateway_id()
            && !is_public
        {
            let state = gateway.and_then(|gateway| gateway.state());
            return match state {
                Some(NatGatewayState::Available) if !is_black_hole(route) => None,
                Some(NatGatewayState::Available) => {
                    Some(("is a black hole".to_owned(), shown("blackhole")))
                }
                Some(state) => {
                    let why = gateway.and_then(|gateway| gateway.failure_message());
                    let text = format!("leads to a NAT gateway that is {}", state.as_str());
                    Some((text, shown(why.unwrap_or(state.as_str()))))
                }
                None => Some((
                    "leads to a NAT gateway that is gone".to_owned(),
                    shown(&format!("{id} does not exist")),
                )),
            };
        }
        if is_black_hole(route) {
            return Some(("is a black hole".to_owned(), shown("blackhole")));
        }
        let leads_to_internet = target.is_some_and(|target| target.starts_with("igw-"));
        if is_public && !leads_to_internet {
            return Some((
                "does not lead to the internet gateway".to_owned(),
                shown("active"),
            ));
        }
        // Tasks have no public address, so that an internet gateway is no way out for them.
        if !is_public && subject.has_nat && leads_to_internet {
            return Some(("does not lead to a NAT gateway".to_owned(), shown("active")));
        }
        None
    }

    /// The table a subnet is associated with, else the VPC's main one.
    fn table_of(&self, subnet: &Subnet) -> Option<&RouteTable> {
        let own = |table: &&RouteTable| {
            let mut associations = table.associations().iter();
            associations.any(|it| it.subnet_id().is_some() && it.subnet_id() == subnet.subnet_id())
        };
        let main = |table: &&RouteTable| {
            let mut associations = table.associations().iter();
            associations.any(|it| it.main() == Some(true))
        };
        self.tables
            .iter()
            .find(own)
            .or_else(|| self.tables.iter().find(main))
    }
}

fn is_black_hole(route: &Route) -> bool {
    route.state() == Some(&RouteState::Blackhole)
}

/// The stack's subnets, and those the service really uses, whatever their tags.
async fn subnets(aws: &Aws, subject: &Subject) -> Result<Vec<Subnet>> {
    let mut found = BTreeMap::new();
    let ours = describe_subnets(aws, stack_filter(subject)).await?;
    found.extend(
        ours.into_iter()
            .map(|it| (it.subnet_id().unwrap_or_default().to_owned(), it)),
    );
    let service = reads::service(aws, subject).await?;
    let configuration = service
        .as_ref()
        .as_ref()
        .and_then(|it| it.network_configuration());
    let used = configuration
        .and_then(|it| it.awsvpc_configuration())
        .map(|it| it.subnets());
    let others: Vec<String> = used
        .unwrap_or_default()
        .iter()
        .filter(|id| !found.contains_key(*id))
        .cloned()
        .collect();
    if !others.is_empty() {
        let filter = Filter::builder().name("subnet-id").set_values(Some(others));
        let others = describe_subnets(aws, filter.build()).await?;
        found.extend(
            others
                .into_iter()
                .map(|it| (it.subnet_id().unwrap_or_default().to_owned(), it)),
        );
    }
    Ok(found.into_values().collect())
}

async fn describe_subnets(aws: &Aws, filter: Filter) -> Result<Vec<Subnet>> {
    let mut pages = aws
        .ec2
        .describe_subnets()
        .filters(filter)
        .into_paginator()
        .items()
        .send();
    let mut found = Vec::new();
    while let Some(subnet) = pages.next().await {
        found.push(subnet.of("ec2:DescribeSubnets")?);
    }
    Ok(found)
}

async fn route_tables(aws: &Aws, vpc: &str) -> Result<Vec<RouteTable>> {
    let filter = Filter::builder().name("vpc-id").values(vpc).build();
    let mut pages = aws
        .ec2
        .describe_route_tables()
        .filters(filter)
        .into_paginator()
        .items()
        .send();
    let mut found = Vec::new();
    while let Some(table) = pages.next().await {
        found.push(table.of("ec2:DescribeRouteTables")?);
    }
    Ok(found)
}

async fn nat_gateways(aws: &Aws, vpc: &str) -> Result<Vec<NatGateway>> {
    let filter = Filter::builder().name("vpc-id").values(vpc).build();
    let mut pages = aws
        .ec2
        .describe_nat_gateways()
        .filter(filter)
        .into_paginator()
        .items()
        .send();
    let mut found = Vec::new();
    while let Some(gateway) = pages.next().await {
        found.push(gateway.of("ec2:DescribeNatGateways")?);
    }
    Ok(found)
}

async fn security_groups(aws: &Aws, subject: &Subject) -> Result<Vec<SecurityGroup>> {
    let request = aws
        .ec2
        .describe_security_groups()
        .filters(stack_filter(subject));
    let mut pages = request.into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(group) = pages.next().await {
        found.push(group.of("ec2:DescribeSecurityGroups")?);
    }
    Ok(found)
}

async fn rules(aws: &Aws, groups: &[SecurityGroup]) -> Result<Vec<SecurityGroupRule>> {
    let ids: Vec<String> = groups.iter().filter_map(|it| it.group_id.clone()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let filter = Filter::builder()
        .name("group-id")
        .set_values(Some(ids))
        .build();
    let request = aws.ec2.describe_security_group_rules().filters(filter);
    let mut pages = request.into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(rule) = pages.next().await {
        let rule = rule
            .of("ec2:DescribeSecurityGroupRules")
            .gone_is_none(&["InvalidGroup.NotFound"])?;
        found.extend(rule);
    }
    Ok(found)
}

fn stack_filter(subject: &Subject) -> Filter {
    let name = format!("tag:{STACK_TAG}");
    Filter::builder().name(name).values(&subject.stack).build()
}

fn tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter()
        .find(|tag| tag.key() == Some(key))
        .and_then(|tag| tag.value())
}

#[cfg(test)]
mod tests;
