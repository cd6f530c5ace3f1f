//! The rules of the exported security groups, whether they stand in the group or beside it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::export::{Export, Exported};
use crate::engine::Node;
use crate::resource::{Address, find_references};

/// What a rule allows, comparable: `ingress tcp 8080-8080 alb-security-group`.
type Content = String;

/// The rules of claimed groups that are not declared, in words. They stay as they are.
pub(super) fn undeclared(
    export: &Export,
    nodes: &[Node],
    groups: &BTreeMap<String, Address>,
) -> Vec<(Address, String)> {
    let mut declared: BTreeSet<(Address, Content)> = BTreeSet::new();
    for node in nodes
        .iter()
        .filter(|node| node.kind == "ec2/security_group_rule")
    {
        if let Some(group) = group_of(node) {
            declared.insert((group, content_of(&node.spec)));
        }
    }
    let mut found = BTreeSet::new();
    for (group, content) in exported(export, groups) {
        // The rule AWS puts into every new group is a setting of the group.
        let is_default = content == "egress -1 0-0 0.0.0.0/0";
        if !is_default && !declared.contains(&(group.clone(), content.clone())) {
            found.insert((group, content));
        }
    }
    found.into_iter().collect()
}

/// The node of the group that a rule belongs to.
pub(super) fn group_of(rule: &Node) -> Option<Address> {
    let references = find_references(&rule.spec["security_group"]);
    references
        .into_iter()
        .next()
        .map(|reference| reference.address)
}

fn content_of(spec: &Value) -> Content {
    let text = |field: &str| spec[field].as_str().unwrap_or_default();
    let peer = &spec["peer"];
    let peer = match find_references(peer).into_iter().next() {
        Some(reference) => reference.address.to_string(),
        None => peer["cidr"].as_str().unwrap_or_default().to_owned(),
    };
    let port = &spec["port"];
    let (direction, protocol) = (text("direction"), text("protocol"));
    format!("{direction} {protocol} {port}-{port} {peer}")
}

fn exported(export: &Export, groups: &BTreeMap<String, Address>) -> Vec<(Address, Content)> {
    let mut found = Vec::new();
    for group in export.of("ec2/securityGroup") {
        let Some(address) = groups.get(&group.id) else {
            continue;
        };
        for direction in ["ingress", "egress"] {
            for rule in group.list(direction) {
                let peers = peers(&|field| rule.get(field).cloned(), &group.id, groups);
                let content = contents(direction, &|field| rule.get(field).cloned(), &peers);
                found.extend(
                    content
                        .into_iter()
                        .map(|content| (address.clone(), content)),
                );
            }
        }
    }
    for token in [
        "ec2/securityGroupRule",
        "vpc/securityGroupIngressRule",
        "vpc/securityGroupEgressRule",
    ] {
        for rule in export.of(token) {
            let group = rule.text("securityGroupId").unwrap_or_default();
            let Some(address) = groups.get(group) else {
                continue;
            };
            let field = |field: &str| rule.value(field).cloned();
            let peers = peers(&field, group, groups);
            let content = contents(direction(rule), &field, &peers);
            found.extend(
                content
                    .into_iter()
                    .map(|content| (address.clone(), content)),
            );
        }
    }
    found
}

fn direction(rule: &Exported) -> &'static str {
    let is_egress =
        rule.text("type") == Some("egress") || rule.token() == Some("vpc/securityGroupEgressRule");
    if is_egress { "egress" } else { "ingress" }
}

type Field<'a> = &'a dyn Fn(&str) -> Option<Value>;

/// The other sides of a rule; groups by their node where that is known.
fn peers(field: Field<'_>, own: &str, groups: &BTreeMap<String, Address>) -> Vec<String> {
    let texts = |name: &str| -> Vec<String> {
        match field(name) {
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect(),
            Some(Value::String(text)) => vec![text],
            _ => Vec::new(),
        }
    };
    let mut peers = texts("cidrBlocks");
    for name in ["cidrIpv4", "cidrIpv6", "ipv6CidrBlocks", "prefixListIds"] {
        peers.extend(texts(name));
    }
    let mut others = texts("securityGroups");
    for name in ["sourceSecurityGroupId", "referencedSecurityGroupId"] {
        others.extend(texts(name));
    }
    if field("self") == Some(Value::Bool(true)) {
        others.push(own.to_owned());
    }
    let name = |id: String| groups.get(&id).map_or(id, ToString::to_string);
    peers.extend(others.into_iter().map(name));
    peers
}

fn contents(direction: &str, field: Field<'_>, peers: &[String]) -> Vec<Content> {
    let number = |name: &str| field(name).and_then(|value| value.as_i64()).unwrap_or(0);
    let protocol = field("protocol").or_else(|| field("ipProtocol"));
    let protocol = protocol.and_then(|value| value.as_str().map(str::to_owned));
    let protocol = protocol.unwrap_or_default();
    // All protocols go with all ports, however that is written.
    let (from, to) = match protocol.as_str() {
        "-1" | "all" => (0, 0),
        _ => (number("fromPort"), number("toPort")),
    };
    let protocol = if protocol == "all" { "-1" } else { &protocol };
    let content = |peer: &String| format!("{direction} {protocol} {from}-{to} {peer}");
    peers.iter().map(content).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(address: &str, spec: Value) -> Node {
        Node {
            address: Address::new(address).unwrap(),
            kind: "ec2/security_group_rule",
            spec,
            edges: BTreeMap::new(),
            follows: BTreeSet::new(),
        }
    }

    #[test]
    fn rules_in_the_group_and_beside_it_are_compared_with_the_declared_ones() {
        let of = |node: &str| json!({ "$output": format!("{node}.id"), "$wait": "exists" });
        let declared = [
            rule(
                "a",
                json!({ "security_group": of("alb"), "direction": "ingress", "protocol": "tcp",
                        "port": 443, "peer": { "cidr": "0.0.0.0/0" } }),
            ),
            rule(
                "b",
                json!({ "security_group": of("ecs"), "direction": "ingress", "protocol": "tcp",
                        "port": 8080, "peer": { "group": of("alb") } }),
            ),
        ];
        let resource = |token: &str, id: &str, outputs: Value| {
            json!({ "urn": "x", "type": format!("aws:{token}:X"), "custom": true, "id": id,
                    "outputs": outputs })
        };
        let tcp = |port: u16, extra: Value| {
            let mut rule = json!({ "protocol": "tcp", "fromPort": port, "toPort": port });
            for (key, value) in extra.as_object().unwrap() {
                rule[key] = value.clone();
            }
            rule
        };
        let everything = json!({ "protocol": "-1", "fromPort": 0, "toPort": 0,
                                 "cidrBlocks": ["0.0.0.0/0"] });
        let inline = json!({
            "ingress": [
                tcp(443, json!({ "cidrBlocks": ["0.0.0.0/0", "10.0.0.0/8"] })),
                tcp(22, json!({ "self": true })),
            ],
            "egress": [everything],
        });
        let beside = tcp(
            8080,
            json!({ "type": "ingress", "securityGroupId": "sg-2", "sourceSecurityGroupId": "sg-1" }),
        );
        let newer =
            json!({ "securityGroupId": "sg-2", "ipProtocol": "-1", "cidrIpv4": "10.0.0.0/8" });
        let resources = json!([
            resource("ec2/securityGroup", "sg-1", inline),
            resource("ec2/securityGroup", "sg-2", json!({})),
            resource(
                "ec2/securityGroup",
                "sg-3",
                json!({ "ingress": [tcp(1, json!({ "self": true }))] })
            ),
            resource("ec2/securityGroupRule", "sgrule-1", beside),
            resource("vpc/securityGroupEgressRule", "sgr-1", newer),
        ]);
        let document = json!({ "version": 3, "deployment": { "resources": resources } });
        let export = Export::parse(&document.to_string()).unwrap();
        let groups = [("sg-1", "alb"), ("sg-2", "ecs")];
        let groups = groups.map(|(id, node)| (id.to_owned(), Address::new(node).unwrap()));
        let found = undeclared(&export, &declared, &groups.into());
        let found: Vec<String> = found
            .iter()
            .map(|(node, rule)| format!("{node}: {rule}"))
            .collect();
        assert_eq!(
            found,
            [
                "alb: ingress tcp 22-22 alb",
                "alb: ingress tcp 443-443 10.0.0.0/8",
                "ecs: egress -1 0-0 10.0.0.0/8",
            ]
        );
    }
}
