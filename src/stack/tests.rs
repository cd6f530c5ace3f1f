//! What holds for every node of the declaration, whatever the configuration.

use super::*;
use crate::config::{Credentials, Nat, Tls};
use crate::resource::{Address, Wait};

fn facts(has_image: bool) -> Facts {
    Facts {
        account: "123456789012".to_owned(),
        availability_zones: ["us-east-1a", "us-east-1b", "us-east-1c"].map(str::to_owned),
        has_image,
        running: None,
    }
}

/// Declarations that together hold every node there can be.
fn declarations() -> Vec<Declaration> {
    let suffix: Suffix = "dev".parse().unwrap();
    let plain = Config::default();
    let mut own_domain = Config::default();
    own_domain.edge.domain = Some("orders.example.com".to_owned());
    own_domain.edge.zone_id = Some("Z1".to_owned());
    own_domain.edge.test_cidrs = vec!["192.0.2.0/24".parse().unwrap()];
    own_domain.alarms.emails = vec!["on-call@example.com".to_owned()];
    own_domain.database.credentials = Credentials::RdsManaged;
    own_domain.network.nat = Nat::Single;
    let mut bare = Config::default();
    bare.edge.tls = Tls::Off;
    bare.network.nat = Nat::None;
    bare.network.s3_endpoint = false;
    bare.database.readers = 0;
    [(plain, false), (own_domain, true), (bare, true)]
        .iter()
        .map(|(config, has_image)| declare(&suffix, config, &facts(*has_image)).unwrap())
        .collect()
}

#[test]
fn every_tagged_node_carries_the_standard_tags_and_its_own_address() {
    for declaration in declarations() {
        for node in &declaration.nodes {
            let Some(tags) = node.spec.get("tags") else {
                continue;
            };
            assert_eq!(tags[NODE_TAG], node.address.as_str());
            for (key, value) in [
                ("Project", "order-api"),
                ("Environment", "dev"),
                ("ManagedBy", "orderctl"),
                (STACK_TAG, "dev"),
            ] {
                assert_eq!(tags[key], value, "{}", node.address);
            }
            assert!(
                tags["Name"].as_str().is_some_and(|name| !name.is_empty()),
                "{}",
                node.address
            );
        }
    }
}

#[test]
fn every_output_is_declared_whatever_the_configuration() {
    for declaration in declarations() {
        let mut names: Vec<&str> = declaration.outputs.keys().map(String::as_str).collect();
        let mut expected = OUTPUT_NAMES.to_vec();
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected);
    }
}

#[test]
fn nothing_waits_for_more_than_it_needs() {
    let address = |name: &str| Address::new(name).unwrap();
    let wait = |node: &str, on: &str| {
        let nodes = &declarations()[0].nodes;
        let node = nodes.iter().find(|n| n.address.as_str() == node).unwrap();
        node.edges[&address(on)]
    };
    assert_eq!(wait("db-writer", "db-cluster"), Wait::Exists);
    assert_eq!(wait("https-listener", "load-balancer"), Wait::Exists);
    assert_eq!(
        wait("private-default-route-1", "nat-gateway-1"),
        Wait::Exists
    );
    assert_eq!(
        wait("public-default-route", "internet-gateway-attachment"),
        Wait::Ready
    );
}

#[test]
fn readers_are_made_after_the_writer_and_deleted_beside_it() {
    let nodes = &declarations()[0].nodes;
    let reader = nodes
        .iter()
        .find(|n| n.address.as_str() == "db-reader-1")
        .unwrap();
    let writer = Address::new("db-writer").unwrap();
    assert!(reader.edges.contains_key(&writer));
    assert!(!reader.dependencies().contains(&writer));
}

#[test]
fn the_ways_in_and_out_and_the_roles_outlive_what_uses_them() {
    let nodes = &declarations()[0].nodes;
    let needs = |name: &str, needed: &str| {
        let node = nodes.iter().find(|n| n.address.as_str() == name).unwrap();
        let needed = Address::new(needed).unwrap();
        assert!(node.dependencies().contains(&needed), "{name}: {needed}");
    };
    for needed in [
        "private-default-route-1",
        "private-association-1",
        "load-balancer-role",
        "production-rule",
        "test-rule",
    ] {
        needs("service", needed);
    }
    for needed in ["public-default-route", "public-association-1"] {
        needs("nat-gateway-1", needed);
        needs("load-balancer", needed);
    }
}

#[test]
fn a_parked_service_has_no_tasks_and_nothing_that_would_start_some() {
    let specs = |declaration: &Declaration| {
        let spec = |name: &str| {
            let node = declaration
                .nodes
                .iter()
                .find(|n| n.address.as_str() == name);
            node.unwrap().spec.clone()
        };
        (spec("service"), spec("scalable-target"))
    };
    let declared = declarations();
    let (service, target) = specs(&declared[0]);
    assert_eq!(
        (&service["desired_count"], &target["min"]),
        (&0.into(), &0.into())
    );
    assert_eq!(target["suspended"], true);
    let (service, target) = specs(&declared[1]);
    assert_eq!(
        (&service["desired_count"], &target["min"]),
        (&3.into(), &3.into())
    );
    assert_eq!(
        (&target["max"], &target["suspended"]),
        (&10.into(), &false.into())
    );
}

#[test]
fn the_zones_of_subnets_that_exist_come_first_and_the_rest_is_filled_up() {
    let offered = ["a", "b", "c", "d"].map(str::to_owned);
    let zones = |subnets: &[(&str, &str)], offered: &[String]| {
        let pair = |(node, zone): &(&str, &str)| ((*node).to_owned(), (*zone).to_owned());
        super::zones(&subnets.iter().map(pair).collect(), offered)
    };
    let one_of_each = [
        ("public-subnet-1", "b"),
        ("private-subnet-2", "c"),
        ("public-subnet-3", "d"),
    ];
    let two = [("private-subnet-3", "c"), ("public-subnet-1", "a")];
    let chosen = |subnets: &[(&str, &str)]| zones(subnets, &offered).unwrap();
    assert_eq!(chosen(&[]), ["a", "b", "c"]);
    assert_eq!(chosen(&one_of_each), ["b", "c", "d"]);
    assert_eq!(chosen(&[("public-subnet-2", "a")]), ["b", "a", "c"]);
    assert_eq!(chosen(&two), ["a", "b", "c"]);
    assert_eq!(zones(&[("public-subnet-1", "a")], &offered[..2]), None);
}
