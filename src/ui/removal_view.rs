//! What a teardown takes away, as a person reads it before saying yes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::style::Style;
use crate::engine::Whole;
use crate::resource::Address;
use crate::state::Record;

/// Draws everything that goes, by service and kind; what holds data stands on a line of its own.
pub fn render_removal(whole: &Whole, style: &Style) -> String {
    if whole.nodes.is_empty() {
        return "Nothing to delete.".to_owned();
    }
    let mut services: BTreeMap<&str, BTreeMap<(&str, bool), Vec<&Address>>> = BTreeMap::new();
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
            .push(address);
    }
    let width = services
        .values()
        .flat_map(|kinds| kinds.keys())
        .map(|(thing, _)| thing.len());
    let width = width.max().unwrap_or(0);
    let mut lines = Vec::new();
    for (service, kinds) in services {
        lines.push(style.red(format!("- {service}")));
        for ((thing, holds_data), addresses) in kinds {
            let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let mark = if holds_data {
                style.bold(style.red(" DESTROYS DATA"))
            } else {
                String::new()
            };
            lines.push(format!("    {thing:<width$}  {}{mark}", names.join(", ")));
        }
    }
    let summary = match (whole.nodes.len(), whole.holding_data.len()) {
        (all, 0) => format!("{all} to delete."),
        (all, 1) => format!("{all} to delete; 1 of them holds data."),
        (all, data) => format!("{all} to delete; {data} of them hold data."),
    };
    lines.push(String::new());
    lines.push(style.bold(summary));
    lines.join("\n")
}

/// The same as a JSON object: `type` is `removal`, `nodes` has each node's `address`, `kind`, and
/// whether deleting it `losesData`.
pub fn removal_to_json(whole: &Whole) -> Value {
    let node = |(address, (record, _)): (&Address, &(Record, _))| {
        let loses_data = whole.holding_data.contains(address);
        json!({ "address": address, "kind": record.kind, "losesData": loses_data })
    };
    json!({
        "type": "removal",
        "version": super::json::VERSION,
        "summary": { "delete": whole.nodes.len(), "losesData": whole.holding_data.len() },
        "nodes": whole.nodes.iter().map(node).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            json!({ "address": "db-cluster", "kind": "rds/db_cluster", "losesData": true })
        );
        assert!(render_removal(&whole, &Style { colour: true }).contains('\u{1b}'));
    }

    #[test]
    fn an_empty_stack_has_nothing_to_delete() {
        assert_eq!(
            render_removal(&Whole::default(), &Style::PLAIN),
            "Nothing to delete."
        );
    }
}
