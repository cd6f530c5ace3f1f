//! The contract of kinds (`resource::Resource`), kept by every row of the registry: against the
//! local AWS, and in what the declaration and the kinds say of each other.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, missing_docs)]

#[path = "contract/lifecycle.rs"]
mod lifecycle;
#[path = "contract/stacks.rs"]
mod stacks;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use orderctl::aws::{Aws, Connection};
use orderctl::engine::Node;
use orderctl::kinds::registry;
use orderctl::resource::{NODE_TAG, Profile, STACK_TAG};
use orderctl::sandbox::{self, SandboxDirs, Wishes};

/// Kinds that AWS gives no tags, or that belong to the account.
const UNTAGGABLE: &[&str] = &[
    "acm/certificate_validation",
    "applicationautoscaling/scaling_policy",
    "ec2/internet_gateway_attachment",
    "ec2/route",
    "ec2/route_table_association",
    "iam/service_linked_role",
    "logs/metric_filter",
    "route53/record",
    "sns/subscription",
    "wafv2/web_acl_association",
];

async fn connect(endpoint: &str) -> Arc<Aws> {
    let connection = Connection {
        region: "us-east-1".to_owned(),
        profile: None,
        endpoint_url: Some(endpoint.to_owned()),
        dummy_credentials: true,
    };
    Arc::new(Aws::connect(&connection).await)
}

/// Clients of an endpoint where nobody listens, for checks that make no call.
async fn nowhere() -> Arc<Aws> {
    connect("http://127.0.0.1:9").await
}

async fn profiles() -> Vec<Profile> {
    let kinds = registry(&nowhere().await);
    kinds.values().map(|kind| kind.profile()).collect()
}

fn all_nodes() -> Vec<(&'static str, Node)> {
    [stacks::default(), stacks::other_side("Z1")]
        .into_iter()
        .flat_map(|variant| {
            let nodes = variant.declaration().nodes.into_iter();
            nodes.map(move |node| (variant.suffix, node))
        })
        .collect()
}

#[tokio::test]
async fn every_kind_keeps_the_contract_from_absent_to_deleted_twice() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("contract");
    let dirs = SandboxDirs::at(scratch.join("sandbox"));
    let notices = |text: &str| eprintln!("{text}");
    // One that an interrupted run left behind holds that run's stacks.
    sandbox::stop(&dirs, &notices).await.unwrap();
    // Time is for other tests.
    let at_once = Wishes {
        speed: Some(0.0),
        ..Wishes::default()
    };
    let sandbox = sandbox::start(&dirs, &at_once, &notices).await.unwrap();
    let checked = tokio::spawn(async move {
        let aws = connect(&sandbox.endpoint).await;
        let zone = stacks::hosted_zone(&aws).await;
        let mut broken = Vec::new();
        for variant in [stacks::default(), stacks::other_side(&zone)] {
            let state = tempfile::tempdir().unwrap();
            let lines = lifecycle::violations(&aws, &variant, state.path()).await;
            broken.extend(
                lines
                    .into_iter()
                    .map(|line| format!("{}: {line}", variant.suffix)),
            );
        }
        broken
    })
    .await;
    sandbox::stop(&dirs, &notices).await.unwrap();
    let broken = checked.unwrap();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[tokio::test]
async fn the_stacks_of_the_contract_hold_every_kind_of_the_registry() {
    let aws = nowhere().await;
    let known: BTreeSet<&str> = registry(&aws).into_keys().collect();
    let declared: BTreeSet<&str> = all_nodes().iter().map(|(_, node)| node.kind).collect();
    assert_eq!(declared, known);
}

#[tokio::test]
async fn fields_that_force_a_replacement_or_belong_to_the_runtime_are_fields_of_the_kind() {
    let nodes = all_nodes();
    for profile in profiles().await {
        let of_kind = nodes.iter().filter(|(_, node)| node.kind == profile.kind);
        for (_, node) in of_kind {
            for field in profile.replace_on.iter().chain(profile.runtime_owned) {
                assert!(
                    node.spec.get(field).is_some(),
                    "{} `{}` has no field {field}: {}",
                    node.kind,
                    node.address,
                    node.spec
                );
            }
        }
    }
}

#[test]
fn every_taggable_node_carries_the_standard_tags() {
    let mut without = BTreeSet::new();
    for (suffix, node) in all_nodes() {
        let Some(tags) = node.spec.get("tags") else {
            without.insert(node.kind);
            continue;
        };
        let address = node.address.as_str();
        for (key, value) in [
            ("Project", "order-api"),
            ("Environment", suffix),
            ("ManagedBy", "orderctl"),
            (STACK_TAG, suffix),
            (NODE_TAG, address),
        ] {
            assert_eq!(tags[key], value, "{address}: {key}");
        }
        let name = tags["Name"].as_str().unwrap_or_default();
        assert!(name.contains(suffix), "{address} is called `{name}`");
        if suffix == "other-side" {
            assert_eq!(tags["team"], "orders", "{address}: the user's own tag");
        }
    }
    assert_eq!(without, UNTAGGABLE.iter().copied().collect());
}

/// Addresses are what states, `--allow-replace` and the node tags of living stacks say: renaming one
/// would make the resource anew.
#[test]
fn the_addresses_of_the_default_stack_never_change() {
    let mut lines: Vec<String> = stacks::default()
        .declaration()
        .nodes
        .iter()
        .map(|node| format!("{} {}", node.address, node.kind))
        .collect();
    lines.sort();
    insta::assert_snapshot!(lines.join("\n"));
}
