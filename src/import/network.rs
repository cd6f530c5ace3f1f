//! The network of an export: its things have no names that count, so they are recognised by how they
//! hang together.

use std::collections::{BTreeMap, BTreeSet};

use super::export::{Export, Exported};

/// The resources of the network, by the node that each of them is.
pub(super) type Network<'a> = BTreeMap<String, &'a Exported>;

/// The Availability Zones of the exported subnets, by node. With `order`, the numbers follow it.
pub fn zones(export: &Export, order: Option<&[String]>) -> BTreeMap<String, String> {
    let zone = |(node, subnet): (String, &Exported)| {
        Some((node, subnet.text("availabilityZone")?.to_owned()))
    };
    let Some(vpc) = vpc(export) else {
        return BTreeMap::new();
    };
    subnets(export, vpc, order)
        .into_iter()
        .filter_map(zone)
        .collect()
}

/// Recognises the network. `order` is that of the zones.
pub(super) fn recognise<'a>(export: &'a Export, order: &[String]) -> Network<'a> {
    let mut found = Network::new();
    let Some(vpc) = vpc(export) else {
        return found;
    };
    found.insert("vpc".to_owned(), vpc);
    let subnets = subnets(export, vpc, Some(order));
    let gateways: Vec<&Exported> = export.of("ec2/internetGateway").collect();
    if let Some(gateway) = gateways
        .iter()
        .find(|gateway| is_attached(export, gateway, vpc))
    {
        found.insert("internet-gateway".to_owned(), gateway);
    }
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for (node, subnet) in &subnets {
        let (tier, number) = split(node);
        if let Some(table) = table_of(export, subnet) {
            let node = match tier {
                "public" => "public-route-table".to_owned(),
                _ => format!("private-route-table-{number}"),
            };
            // One table for several private subnets can be only one node.
            if !found.contains_key(&node) && taken.insert(&table.id) {
                found.insert(node, table);
            }
        }
        let mut nats = export.of("ec2/natGateway");
        let nat = nats.find(|nat| nat.text("subnetId") == Some(&subnet.id));
        if let (Some(nat), "public") = (nat, tier) {
            let address = nat.text("allocationId");
            let address = export
                .of("ec2/eip")
                .find(|eip| Some(eip.id.as_str()) == address);
            if let Some(address) = address {
                found.insert(format!("elastic-ip-{number}"), address);
            }
            found.insert(format!("nat-gateway-{number}"), nat);
        }
    }
    found.extend(subnets);
    let endpoint = export.of("ec2/vpcEndpoint").find(|endpoint| {
        let service = endpoint.text("serviceName").unwrap_or_default();
        service.ends_with(".s3") && endpoint.text("vpcId") == Some(&vpc.id)
    });
    if let Some(endpoint) = endpoint {
        found.insert("s3-endpoint".to_owned(), endpoint);
    }
    found
}

/// Cuts `public-subnet-2` into tier and number.
fn split(node: &str) -> (&str, &str) {
    node.split_once("-subnet-").unwrap_or((node, ""))
}

/// The VPC: by its name tag, else the one of the load balancer, else the only one.
fn vpc(export: &Export) -> Option<&Exported> {
    let all: Vec<&Exported> = export.of("ec2/vpc").collect();
    let is_named = |vpc: &&&Exported| {
        let name = vpc.tag("Name").unwrap_or_default();
        name.starts_with("order-vpc-")
    };
    let of_load_balancer = export
        .of("lb/loadBalancer")
        .find_map(|found| found.text("vpcId"));
    let holds_it = |vpc: &&&Exported| Some(vpc.id.as_str()) == of_load_balancer;
    let found = all.iter().find(is_named).or(all.iter().find(holds_it));
    match (found, all.as_slice()) {
        (Some(found), _) => Some(found),
        (None, [only]) => Some(only),
        _ => None,
    }
}

fn is_attached(export: &Export, gateway: &Exported, vpc: &Exported) -> bool {
    let is_vpc = |found: &Exported| found.text("vpcId") == Some(&vpc.id);
    let mut attachments = export.of("ec2/internetGatewayAttachment");
    is_vpc(gateway)
        || attachments.any(|it| it.text("internetGatewayId") == Some(&gateway.id) && is_vpc(it))
}

/// The subnets by their nodes: of each tier one per zone, numbered in the order of the zones.
fn subnets<'a>(export: &'a Export, vpc: &Exported, order: Option<&[String]>) -> Network<'a> {
    let all: Vec<&Exported> = export
        .of("ec2/subnet")
        .filter(|subnet| subnet.text("vpcId") == Some(&vpc.id))
        .collect();
    let zone = |subnet: &Exported| {
        subnet
            .text("availabilityZone")
            .unwrap_or_default()
            .to_owned()
    };
    let used: BTreeSet<String> = all.iter().map(|subnet| zone(subnet)).collect();
    let mut zones: Vec<String> = order.unwrap_or_default().to_vec();
    zones.extend(
        used.into_iter()
            .filter(|zone| !order.unwrap_or_default().contains(zone)),
    );
    let mut found = Network::new();
    for subnet in all {
        let number = zones.iter().position(|known| *known == zone(subnet));
        let number = number.map_or(0, |position| position + 1);
        if !(1..=3).contains(&number) {
            continue;
        }
        let tier = if is_public(export, subnet) {
            "public"
        } else {
            "private"
        };
        found
            .entry(format!("{tier}-subnet-{number}"))
            .or_insert(subnet);
    }
    found
}

/// Whether a subnet has a way to the internet: by its routes, else by what is said of it.
fn is_public(export: &Export, subnet: &Exported) -> bool {
    if let Some(table) = table_of(export, subnet) {
        let is_way_out = |gateway: Option<&str>| gateway.is_some_and(|id| id.starts_with("igw-"));
        let inline = table.list("routes").iter();
        let mut inline = inline.map(|route| route.get("gatewayId").and_then(|id| id.as_str()));
        let routes = export.of("ec2/route");
        let mut routes = routes.filter(|route| route.text("routeTableId") == Some(&table.id));
        return inline.any(is_way_out) || routes.any(|route| is_way_out(route.text("gatewayId")));
    }
    let says = |word: &str| {
        let texts = [
            subnet.tag("Tier"),
            subnet.tag("Name"),
            Some(subnet.name.as_str()),
        ];
        texts
            .into_iter()
            .flatten()
            .any(|text| text.to_lowercase().contains(word))
    };
    let gives_addresses = subnet
        .value("mapPublicIpOnLaunch")
        .and_then(|it| it.as_bool());
    says("public") || (!says("private") && gives_addresses == Some(true))
}

fn table_of<'a>(export: &'a Export, subnet: &Exported) -> Option<&'a Exported> {
    let mut associations = export.of("ec2/routeTableAssociation");
    let association = associations.find(|it| it.text("subnetId") == Some(&subnet.id))?;
    let id = association.text("routeTableId")?;
    export.of("ec2/routeTable").find(|table| table.id == id)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn export(resources: &[(&str, &str, Value)]) -> Export {
        let resources: Vec<Value> = resources
            .iter()
            .enumerate()
            .map(|(number, (token, id, outputs))| {
                json!({
                    "urn": format!("urn:pulumi:dev::orders::aws:{token}:X::r{number}"),
                    "type": format!("aws:{token}:X"),
                    "custom": true,
                    "id": id,
                    "outputs": outputs,
                })
            })
            .collect();
        let document = json!({ "version": 3, "deployment": { "resources": resources } });
        Export::parse(&document.to_string()).unwrap()
    }

    fn subnet(zone: &str) -> Value {
        json!({ "vpcId": "vpc-1", "availabilityZone": zone })
    }

    fn names(export: &Export, order: &[&str]) -> BTreeMap<String, String> {
        let order: Vec<String> = order.iter().map(ToString::to_string).collect();
        let found = recognise(export, &order).into_iter();
        found.map(|(node, it)| (node, it.id.clone())).collect()
    }

    /// Two zones; one table leads out directly, another through a NAT gateway for both.
    fn two_zones() -> Export {
        export(&[
            ("ec2/vpc", "vpc-0", json!({})),
            (
                "ec2/vpc",
                "vpc-1",
                json!({ "tags": { "Name": "order-vpc-dev" } }),
            ),
            ("ec2/subnet", "s-b-out", subnet("b")),
            ("ec2/subnet", "s-b-in", subnet("b")),
            ("ec2/subnet", "s-a-out", subnet("a")),
            ("ec2/subnet", "s-a-in", subnet("a")),
            ("ec2/internetGateway", "igw-0", json!({ "vpcId": "vpc-0" })),
            ("ec2/internetGateway", "igw-1", json!({})),
            (
                "ec2/internetGatewayAttachment",
                "x",
                json!({ "internetGatewayId": "igw-1", "vpcId": "vpc-1" }),
            ),
            ("ec2/eip", "eip-1", json!({ "publicIp": "192.0.2.1" })),
            (
                "ec2/natGateway",
                "nat-1",
                json!({ "subnetId": "s-b-out", "allocationId": "eip-1" }),
            ),
            (
                "ec2/routeTable",
                "out",
                json!({ "routes": [{ "gatewayId": "igw-1" }] }),
            ),
            ("ec2/routeTable", "in", json!({})),
            (
                "ec2/route",
                "r",
                json!({ "routeTableId": "in", "natGatewayId": "nat-1" }),
            ),
            (
                "ec2/routeTableAssociation",
                "1",
                json!({ "subnetId": "s-a-out", "routeTableId": "out" }),
            ),
            (
                "ec2/routeTableAssociation",
                "2",
                json!({ "subnetId": "s-b-out", "routeTableId": "out" }),
            ),
            (
                "ec2/routeTableAssociation",
                "3",
                json!({ "subnetId": "s-a-in", "routeTableId": "in" }),
            ),
            (
                "ec2/routeTableAssociation",
                "4",
                json!({ "subnetId": "s-b-in", "routeTableId": "in" }),
            ),
        ])
    }

    #[test]
    fn a_network_is_recognised_by_how_it_hangs_together() {
        let export = two_zones();
        let expected = [
            ("vpc", "vpc-1"),
            ("internet-gateway", "igw-1"),
            ("public-subnet-1", "s-a-out"),
            ("public-subnet-2", "s-b-out"),
            ("private-subnet-1", "s-a-in"),
            ("private-subnet-2", "s-b-in"),
            ("public-route-table", "out"),
            // The others of the private tables are still to be made.
            ("private-route-table-1", "in"),
            ("nat-gateway-2", "nat-1"),
            ("elastic-ip-2", "eip-1"),
        ];
        let expected = expected.map(|(node, id)| (node.to_owned(), id.to_owned()));
        assert_eq!(names(&export, &["a", "b", "c"]), expected.into());
        let zones = zones(&export, None);
        assert_eq!(zones["public-subnet-2"], "b");
    }

    #[test]
    fn the_numbers_follow_the_order_of_the_zones() {
        let export = two_zones();
        let found = names(&export, &["c", "b", "a"]);
        assert_eq!(found["public-subnet-3"], "s-a-out");
        assert_eq!(found["nat-gateway-2"], "nat-1");
        assert!(!found.contains_key("public-subnet-1"));
    }

    #[test]
    fn without_routes_the_words_tell_and_then_the_addresses() {
        let with = |extra: Value| {
            let mut outputs = subnet("a");
            for (key, value) in extra.as_object().unwrap() {
                outputs[key] = value.clone();
            }
            let export = export(&[
                ("ec2/vpc", "vpc-1", json!({})),
                ("ec2/subnet", "s", outputs),
            ]);
            names(&export, &["a"]).contains_key("public-subnet-1")
        };
        assert!(with(json!({ "tags": { "Tier": "public" } })));
        assert!(with(json!({ "mapPublicIpOnLaunch": true })));
        assert!(!with(
            json!({ "tags": { "Name": "x-private" }, "mapPublicIpOnLaunch": true })
        ));
        assert!(!with(json!({})));
    }

    #[test]
    fn of_several_networks_that_nothing_tells_apart_none_is_taken() {
        let export = export(&[
            ("ec2/vpc", "vpc-0", json!({})),
            ("ec2/vpc", "vpc-1", json!({})),
        ]);
        assert!(names(&export, &["a"]).is_empty());
    }
}
