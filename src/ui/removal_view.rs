//! What a teardown takes away, as a person reads it before saying yes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::style::Style;
use crate::engine::{Whole, ids};
use crate::resource::Address;
use crate::state::Record;

/// Draws everything that goes, by service and kind; what holds data stands on a line of its own.
pub fn render_removal(whole: &Whole, style: &Style) -> String {
    if whole.nodes.is_empty() {
        return "Nothing to delete.".to_owned();
    }
    let mut services: BTreeMap<&str, BTreeMap<(&str, bool), Vec<String>>> = BTreeMap::new();
    for (address, (record, _)) in &whole.nodes {
        let (service, thing) = record
            .kind
            .split_once('/')
            .unwrap_or((&record.kind, &record.kind));
        let key = (thing, whole.holding_data.contains(address));
        services
            .entry(service)
            .or_default()
            .entry(key)
            .or_default()
            .push(name(address, record));
    }
    let width = services
        .values()
        .flat_map(|kinds| kinds.keys())
        .map(|(thing, _)| thing.len());
    let width = width.max().unwrap_or(0);
    let mut lines = Vec::new();
    for (service, kinds) in services {
        lines.push(style.red(format!("- {service}")));
        for ((thing, holds_data), names) in kinds {
            let mark = if holds_data {
                style.bold(style.red(" DESTROYS DATA"))
            } else {
                String::new()
            };
            lines.push(format!("    {thing:<width$}  {}{mark}", names.join(", ")));
        }
    }
    let summary = match (count(whole), whole.holding_data.len()) {
        (all, 0) => format!("{all} to delete."),
        (all, 1) => format!("{all} to delete; 1 of them holds data."),
        (all, data) => format!("{all} to delete; {data} of them hold data."),
    };
    lines.push(String::new());
    lines.push(style.bold(summary));
    lines.join("\n")
}

/// A node's address; if several things carry its tags, with their ids.
fn name(address: &Address, record: &Record) -> String {
    match record.retired.is_empty() {
        true => address.to_string(),
        false => format!("{address} ({})", ids(record).join(", ")),
    }
}

/// How many things go.
fn count(whole: &Whole) -> usize {
    let records = whole.nodes.values().map(|(record, _)| record);
    records.map(|record| 1 + record.retired.len()).sum()
}

/// The same as a JSON object: `type` is `removal`, `nodes` has each node's `address`, `kind`, the
/// `ids` of all that carry its tags, and whether deleting it `losesData`.
pub fn removal_to_json(whole: &Whole) -> Value {
    let node = |(address, (record, _)): (&Address, &(Record, _))| {
        let loses_data = whole.holding_data.contains(address);
        json!({
            "address": address,
            "kind": record.kind,
            "ids": ids(record),
            "losesData": loses_data,
        })
    };
    json!({
        "type": "removal",
        "version": super::json::VERSION,
        "summary": { "delete": count(whole), "losesData": whole.holding_data.len() },
        "nodes": whole.nodes.iter().map(node).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Retired;

    fn address(name: &str) -> Address {
        Address::new(name).unwrap()
    }

    #[test]
    fn what_goes_is_grouped_by_service_and_what_holds_data_is_marked() {
        let mut whole = Whole::default();
        for (kind, name) in [
            ("rds/db_cluster", "db-cluster"),
            ("ec2/subnet", "public-subnet-1"),
            ("ec2/subnet", "public-subnet-2"),
            ("ec2/vpc", "vpc"),
        ] {
            whole.nodes.insert(address(name), (Record::new(kind), None));
        }
        whole.holding_data.insert(address("db-cluster"));
        insta::assert_snapshot!(render_removal(&whole, &Style::PLAIN), @r"
        - ec2
            subnet      public-subnet-1, public-subnet-2
            vpc         vpc
        - rds
            db_cluster  db-cluster DESTROYS DATA

        4 to delete; 1 of them holds data.
        ");
        let json = removal_to_json(&whole);
        assert_eq!(json["summary"], json!({ "delete": 4, "losesData": 1 }));
        assert_eq!(
            json["nodes"][0],
            json!({ "address": "db-cluster", "kind": "rds/db_cluster", "ids": [], "losesData": true })
        );
        assert!(render_removal(&whole, &Style { colour: true }).contains('\u{1b}'));
    }

    #[test]
    fn what_is_there_twice_is_named_by_its_ids() {
        let mut whole = Whole::default();
        let mut record = Record::new("ec2/vpc");
        record.outputs = Some(json!({ "id": "vpc-1" }));
        record.retired.push(Retired {
            outputs: json!({ "id": "vpc-2" }),
            spec: Value::Null,
        });
        whole.nodes.insert(address("vpc"), (record, None));
        insta::assert_snapshot!(render_removal(&whole, &Style::PLAIN), @r"
        - ec2
            vpc  vpc (vpc-1, vpc-2)

        2 to delete.
        ");
        let json = removal_to_json(&whole);
        assert_eq!(json["nodes"][0]["ids"], json!(["vpc-1", "vpc-2"]));
        assert_eq!(json["summary"]["delete"], 2);
    }

    #[test]
    fn an_empty_stack_has_nothing_to_delete() {
        assert_eq!(
            render_removal(&Whole::default(), &Style::PLAIN),
            "Nothing to delete."
        );
    }
}
