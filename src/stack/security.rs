//! Who may talk to whom: internet → load balancer → tasks → database, and nothing else.

use ipnet::Ipv4Net;

use super::Stack;
use super::network::Network;
use crate::config::Tls;
use crate::kinds::ec2::{
    Direction, Peer, SecurityGroup, SecurityGroupRule, SecurityGroupRuleSpec, SecurityGroupSpec,
};
use crate::resource::{Declared, Handle};

/// The port the container listens on.
pub const APP_PORT: u16 = 8080;
/// The port MySQL listens on.
pub const DB_PORT: u16 = 3306;

/// The three security groups.
pub(super) struct Security {
    pub(super) load_balancer: Handle<SecurityGroup>,
    pub(super) tasks: Handle<SecurityGroup>,
    pub(super) database: Handle<SecurityGroup>,
}

pub(super) fn declare(stack: &mut Stack<'_>, network: &Network) -> Security {
    let load_balancer = group(
        stack,
        network,
        "alb-security-group",
        "alb-sg",
        "Load balancer of the order API: requests from the internet",
    );
    let tasks = group(
        stack,
        network,
        "ecs-security-group",
        "ecs-sg",
        "Tasks of the order API: requests from the load balancer",
    );
    let database = group(
        stack,
        network,
        "rds-security-group",
        "rds-sg",
        "Database of the order API: queries from the tasks",
    );
    let anywhere = || Peer::Cidr(Ipv4Net::default());
    let http = "HTTP from the internet";
    rule(
        stack,
        "alb-from-internet-http",
        &load_balancer,
        Direction::Ingress,
        80,
        anywhere(),
        http,
    );
    if stack.config.edge.tls == Tls::On {
        let https = "HTTPS from the internet";
        let address = "alb-from-internet-https";
        rule(
            stack,
            address,
            &load_balancer,
            Direction::Ingress,
            443,
            anywhere(),
            https,
        );
    }
    for cidr in stack.config.edge.test_cidrs.clone() {
        let address = format!("alb-test-from-{}", slug(&cidr.to_string()));
        let port = stack.config.edge.test_port;
        let text = "Test traffic of releases";
        rule(
            stack,
            &address,
            &load_balancer,
            Direction::Ingress,
            port,
            Peer::Cidr(cidr),
            text,
        );
    }
    let to_tasks = Peer::Group(tasks.id());
    let text = "Requests to the tasks";
    rule(
        stack,
        "alb-to-tasks",
        &load_balancer,
        Direction::Egress,
        APP_PORT,
        to_tasks,
        text,
    );
    let from_alb = Peer::Group(load_balancer.id());
    let text = "Requests from the load balancer";
    rule(
        stack,
        "tasks-from-alb",
        &tasks,
        Direction::Ingress,
        APP_PORT,
        from_alb,
        text,
    );
    let text = "AWS APIs and others over HTTPS";
    rule(
        stack,
        "tasks-to-https",
        &tasks,
        Direction::Egress,
        443,
        anywhere(),
        text,
    );
    let to_database = Peer::Group(database.id());
    let text = "Queries to the database";
    rule(
        stack,
        "tasks-to-database",
        &tasks,
        Direction::Egress,
        DB_PORT,
        to_database,
        text,
    );
    let from_tasks = Peer::Group(tasks.id());
    let text = "Queries from the tasks";
    rule(
        stack,
        "database-from-tasks",
        &database,
        Direction::Ingress,
        DB_PORT,
        from_tasks,
        text,
    );
    Security {
        load_balancer,
        tasks,
        database,
    }
}

fn group(
    stack: &mut Stack<'_>,
    network: &Network,
    address: &str,
    base: &str,
    description: &str,
) -> Handle<SecurityGroup> {
    let name = stack.name(base);
    let spec = SecurityGroupSpec {
        vpc: network.vpc.id(),
        description: description.to_owned(),
        default_egress: false,
        tags: stack.tags(address, &name),
        name,
    };
    stack.add(address, spec)
}

fn rule(
    stack: &mut Stack<'_>,
    address: &str,
    group: &Handle<SecurityGroup>,
    direction: Direction,
    port: u16,
    peer: Peer<Declared>,
    description: &str,
) {
    let spec = SecurityGroupRuleSpec {
        security_group: group.id(),
        direction,
        protocol: "tcp".to_owned(),
        port,
        peer,
        description: description.to_owned(),
        tags: stack.tags(address, &format!("order-{address}-{}", stack.suffix)),
    };
    stack.add::<SecurityGroupRule>(address, spec);
}

/// Makes a part of an address of any text: `10.0.0.0/8` becomes `10-0-0-0-8`.
pub(super) fn slug(text: &str) -> String {
    let words = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    words
        .map(str::to_ascii_lowercase)
        .collect::<Vec<_>>()
        .join("-")
}
