//! Which resources of an export are which nodes of the declaration: by type and by name where there
//! is one, else by how they hang together. Never by their logical names alone, which are the
//! program's own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::export::{Export, Exported};
use super::tables::{NAMED, PARTS};
use super::{network, rules};
use crate::engine::{Claim, Claims, Declaration, Node};
use crate::resource::{Address, find_references};

/// An exported resource that is a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Matched {
    /// The node.
    pub address: Address,
    /// Pulumi's type.
    pub kind: String,
    /// Its logical name.
    pub name: String,
    /// Its id.
    pub id: String,
}

/// An exported resource that is part of a node, or none.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The node it is part of; absent if the declaration has nothing like it.
    pub of: Option<Address>,
    /// Pulumi's type.
    pub kind: String,
    /// Its logical name.
    pub name: String,
}

/// What an export means for a declaration.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// The resources that are nodes, in the order of the declaration.
    pub matched: Vec<Matched>,
    /// The other resources.
    pub others: Vec<Part>,
    /// Rules of matched security groups that are not declared.
    pub undeclared_rules: Vec<(Address, String)>,
    /// What the export says is the stack's.
    pub claims: Claims,
}

/// Maps an export to the declaration, whose zones are in the order `zones`.
pub fn map(export: &Export, declaration: &Declaration, zones: &[String]) -> Mapping {
    let mut map = Mapper {
        export,
        nodes: &declaration.nodes,
        found: BTreeMap::new(),
        claims: Claims::new(),
    };
    map.network(zones);
    map.named();
    map.security_groups();
    map.listeners();
    map.certificate();
    map.log_groups_of_services();
    map.finish()
}

struct Mapper<'a> {
    export: &'a Export,
    nodes: &'a [Node],
    found: BTreeMap<Address, &'a Exported>,
    claims: Claims,
}

impl<'a> Mapper<'a> {
    fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = &'a Node> + use<'a> {
        self.nodes.iter().filter(move |node| node.kind == kind)
    }

    /// Claims a node; `complete` if these are all its outputs.
    fn claim(&mut self, address: &Address, found: &'a Exported, outputs: Value, complete: bool) {
        let Value::Object(outputs) = outputs else {
            return;
        };
        let claim = Claim {
            outputs,
            is_complete: complete,
        };
        self.claims.insert(address.clone(), claim);
        self.found.insert(address.clone(), found);
    }

    fn network(&mut self, zones: &[String]) {
        for (name, found) in network::recognise(self.export, zones) {
            let mut nodes = self.nodes.iter();
            let Some(node) = nodes.find(|node| node.address.as_str() == name) else {
                continue;
            };
            let outputs = match (node.kind, found.text("publicIp")) {
                ("ec2/elastic_ip", Some(address)) => {
                    json!({ "allocation_id": found.id, "public_ip": address })
                }
                ("ec2/elastic_ip", None) => continue,
                _ => json!({ "id": found.id }),
            };
            self.claim(&node.address, found, outputs, true);
        }
    }

    fn named(&mut self) {
        for named in NAMED {
            for node in self.of_kind(named.kind) {
                let Some(name) = node.spec[named.ours].as_str() else {
                    continue;
                };
                let mut candidates = self.export.of(named.token);
                let Some(found) = candidates.find(|it| it.text(named.theirs) == Some(name)) else {
                    continue;
                };
                let outputs = match found.text("arn") {
                    Some(arn) if named.has_own_arn => json!({ "arn": arn }),
                    _ => json!({}),
                };
                self.claim(&node.address, found, outputs, false);
            }
        }
    }

    /// The groups by their names; of their rules those that are declared, wherever they stand.
    fn security_groups(&mut self) {
        for node in self.of_kind("ec2/security_group") {
            let name = node.spec["name"].as_str();
            let mut candidates = self.export.of("ec2/securityGroup");
            if let Some(found) = candidates.find(|it| it.text("name") == name) {
                self.claim(&node.address, found, json!({ "id": found.id }), true);
            }
        }
        for node in self.of_kind("ec2/security_group_rule") {
            let group = rules::group_of(node);
            if group.is_some_and(|group| self.claims.contains_key(&group)) {
                self.claims.insert(node.address.clone(), Claim::default());
            }
        }
    }

    /// Listeners by their ports, and of each the first rule.
    fn listeners(&mut self) {
        for node in self.of_kind("elbv2/listener") {
            let parent = self.parent(node, "load_balancer");
            let found = self.export.of("lb/listener").find(|found| {
                found.value("port").and_then(Value::as_u64) == node.spec["port"].as_u64()
                    && parent.is_some()
                    && found.text("loadBalancerArn") == parent
            });
            if let Some(found) = found {
                self.claim(&node.address, found, json!({ "arn": found.id }), true);
            }
        }
        for node in self.of_kind("elbv2/listener_rule") {
            let parent = self.parent(node, "listener");
            let rules = self.export.of("lb/listenerRule");
            let rules = rules.filter(|rule| parent.is_some() && rule.text("listenerArn") == parent);
            let first = rules.min_by_key(|rule| rule.value("priority").and_then(Value::as_u64));
            if let Some(found) = first {
                self.claim(&node.address, found, json!({ "arn": found.id }), true);
            }
        }
    }

    /// The id of what stands for the node that a field refers to.
    fn parent(&self, node: &Node, field: &str) -> Option<&'a str> {
        let reference = find_references(&node.spec[field]).into_iter().next()?;
        let found = self.found.get(&reference.address)?;
        found.text("arn").or(Some(&found.id))
    }

    fn certificate(&mut self) {
        for node in self.of_kind("acm/certificate") {
            let domain = node.spec["domain"].as_str();
            let mut candidates = self.export.of("acm/certificate");
            if let Some(found) = candidates.find(|it| it.text("domainName") == domain) {
                let outputs = json!({
                    "arn": found.id,
                    "validation_name": "",
                    "validation_value": "",
                    "validation_type": "",
                });
                self.claim(&node.address, found, outputs, true);
            }
        }
    }

    /// AWS makes these log groups on behalf of clusters; no record has them.
    fn log_groups_of_services(&mut self) {
        let cluster = |kind, field: &str, prefix: &str| {
            let nodes = self.nodes.iter().filter(|node| node.kind == kind);
            let claimed = nodes.filter(|node| self.claims.contains_key(&node.address));
            let names = claimed.filter_map(|node| node.spec[field].as_str());
            names
                .map(|name| format!("{prefix}/{name}/"))
                .collect::<Vec<_>>()
        };
        let mut prefixes = cluster("rds/db_cluster", "identifier", "/aws/rds/cluster");
        prefixes.extend(cluster("ecs/cluster", "name", "/aws/ecs/containerinsights"));
        for node in self.of_kind("logs/log_group") {
            let name = node.spec["name"].as_str().unwrap_or_default();
            if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                self.claims.entry(node.address.clone()).or_default();
            }
        }
    }

    fn finish(self) -> Mapping {
        let taken: BTreeSet<*const Exported> = self
            .found
            .values()
            .map(|found| std::ptr::from_ref(*found))
            .collect();
        let rest = self.export.resources.iter();
        let rest = rest.filter(|found| !taken.contains(&std::ptr::from_ref(*found)));
        let others = rest.map(|found| Part {
            of: self.part_of(found),
            kind: found.kind.clone(),
            name: found.name.clone(),
        });
        let others = others.collect();
        let groups = self.found.iter();
        let groups = groups.filter(|(_, found)| found.token() == Some("ec2/securityGroup"));
        let groups = groups.map(|(address, found)| (found.id.clone(), address.clone()));
        let undeclared_rules = rules::undeclared(self.export, self.nodes, &groups.collect());
        let matched = self.nodes.iter().filter_map(|node| {
            let found = self.found.get(&node.address)?;
            Some(Matched {
                address: node.address.clone(),
                kind: found.kind.clone(),
                name: found.name.clone(),
                id: found.id.clone(),
            })
        });
        Mapping {
            matched: matched.collect(),
            others,
            undeclared_rules,
            claims: self.claims,
        }
    }

    /// The node that an exported resource is a setting of.
    fn part_of(&self, part: &Exported) -> Option<Address> {
        let (_, fields) = PARTS
            .iter()
            .find(|(token, _)| part.token() == Some(*token))?;
        let named: Vec<&str> = fields.iter().filter_map(|field| part.text(field)).collect();
        let is_it = |found: &Exported| {
            let names = [
                Some(found.id.as_str()),
                found.text("arn"),
                found.text("name"),
            ];
            names
                .into_iter()
                .flatten()
                .any(|name| named.contains(&name))
        };
        let found = self.found.iter().find(|(_, found)| is_it(found));
        found.map(|(address, _)| address.clone())
    }
}

impl Mapping {
    /// Says whether the export has nothing of the stack.
    pub fn is_empty(&self) -> bool {
        self.matched.is_empty()
    }
}
