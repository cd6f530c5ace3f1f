//! The declaration of the order-API stack. Reads like its diagram:
//!
//! ```text
//!            internet ── WAF ── ALB ─┬─ blue  ─┐
//!   edge                             └─ green ─┤
//!   compute                     ECS service, 3–10 tasks on Fargate and Fargate Spot
//!   data                              Aurora writer + readers, secret, parameter
//!   network      VPC · 3 × (public subnet + NAT, private subnet) · security groups
//!   watching     alarms → SNS, dashboard
//! ```

mod compute;
mod dashboard;
mod data;
mod edge;
mod names;
mod network;
mod outputs;
mod security;
#[cfg(test)]
mod tests;
mod watching;

use std::collections::BTreeMap;

use crate::config::{Config, Suffix};
use crate::engine::{Declaration, Graph, GraphError};
use crate::kinds::ecs::Running;
use crate::kinds::iam::{ServiceLinkedRole, ServiceLinkedRoleSpec};
use crate::resource::{Declared, Handle, NODE_TAG, Resource, STACK_TAG, Tags};

pub use names::{CONTAINER, LOG_STREAM_PREFIX, Names};
pub use outputs::NAMES as OUTPUT_NAMES;
pub use security::{APP_PORT, DB_PORT};

/// What the declaration must know of the account before anything is planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The AWS account's id.
    pub account: String,
    /// The three Availability Zones, in the order chosen once and for all.
    pub availability_zones: [String; 3],
    /// Whether there is an image to run: the declared tag, or what was released. Without one the service
    /// is parked.
    pub has_image: bool,
    /// What the service runs now, if there is one with tasks.
    pub running: Option<Running>,
}

/// The Availability Zones of a stack of which some or all exists: those its subnets stand in, by
/// node, and for those that are not made yet the first others that are `offered`. Nothing if too
/// few are.
pub fn zones(subnets: &BTreeMap<String, String>, offered: &[String]) -> Option<[String; 3]> {
    let mut zones = network::zones_of(subnets);
    for index in 0..zones.len() {
        if zones[index].is_none() {
            let is_free = |zone: &&String| !zones.contains(&Some((*zone).clone()));
            zones[index] = Some(offered.iter().find(is_free)?.clone());
        }
    }
    let zones: Vec<String> = zones.into_iter().flatten().collect();
    zones.try_into().ok()
}

/// Declares the stack.
pub fn declare(suffix: &Suffix, config: &Config, facts: &Facts) -> Result<Declaration, GraphError> {
    let mut stack = Stack {
        suffix,
        config,
        facts,
        graph: Graph::default(),
    };
    let network = network::declare(&mut stack);
    let security = security::declare(&mut stack, &network);
    let edge = edge::declare(&mut stack, &network, &security);
    let data = data::declare(&mut stack, &network, &security);
    let watching = watching::declare(&mut stack, &edge, &data);
    let compute = compute::declare(&mut stack, &network, &security, &edge, &data, &watching);
    let dashboard = dashboard::declare(&mut stack, &edge, &data);
    outputs::declare(
        &mut stack, &network, &edge, &data, &watching, &compute, &dashboard,
    );
    stack.graph.finish()
}

/// The stack under construction: the graph, and what its parts have in common.
struct Stack<'a> {
    suffix: &'a Suffix,
    config: &'a Config,
    facts: &'a Facts,
    graph: Graph,
}

impl Stack<'_> {
    /// A name of `stack.md`: the base and the suffix.
    fn name(&self, base: &str) -> String {
        format!("{base}-{}", self.suffix)
    }

    /// The tags every resource of the stack carries.
    fn tags(&self, address: &str, name: &str) -> Tags {
        let standard = [
            ("Name", name),
            ("Project", "order-api"),
            ("Environment", self.suffix.as_str()),
            ("ManagedBy", "orderctl"),
            (STACK_TAG, self.suffix.as_str()),
            (NODE_TAG, address),
        ];
        let users = self
            .config
            .tags
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        Tags::from_pairs(users.chain(standard))
    }

    /// The same with one more tag: `Tier=public`, `Role=writer`, `Deployment=blue`.
    fn tags_with(&self, address: &str, name: &str, key: &str, value: &str) -> Tags {
        let mut tags = self.tags(address, name);
        tags.0.insert(key.to_owned(), value.to_owned());
        tags
    }

    fn add<K: Resource>(&mut self, address: &str, spec: K::Spec<Declared>) -> Handle<K> {
        self.graph.add(address, spec)
    }

    /// Makes sure the account has the role a service acts under; the first use of a service in a
    /// fresh account otherwise races its asynchronous creation (field guide, section 12).
    fn service_linked_role(&mut self, address: &str, service: &str) -> Handle<ServiceLinkedRole> {
        self.add(
            address,
            ServiceLinkedRoleSpec {
                service: service.to_owned(),
            },
        )
    }
}
