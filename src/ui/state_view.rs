//! What is recorded of a stack: all records, one of them, and what is about to be forgotten.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::style::Style;
use super::table;
use super::text::{clean, moment};
use super::values::masked;
use crate::resource::Address;
use crate::state::{IntentAction, Record, State};

/// Draws one line per record.
pub fn list(state: &State, style: &Style) -> String {
    let mut names = vec!["ADDRESS", "KIND", "ID", "CREATED"];
    let is_quiet = state
        .records
        .values()
        .all(|record| remark(record).is_empty());
    if !is_quiet {
        names.push("UNDER WAY");
    }
    let row = |(address, record): (&Address, &Record)| {
        let mut row = vec![
            address.to_string(),
            record.kind.clone(),
            id(record).unwrap_or_default(),
            record.created_at.map(moment).unwrap_or_default(),
        ];
        if !is_quiet {
            row.push(remark(record));
        }
        row
    };
    let rows: Vec<Vec<String>> = state.records.iter().map(row).collect();
    table::columns(&names, &rows, style)
}

/// The same as a JSON object: `type` is `records`; each record has `address`, `kind`, `id` (null
/// until the create call has answered), `createdAt`, `readyAt`, `underWay` (`action`, `since`; null
/// if nothing is), and how many older instances are `retired`.
pub fn list_to_json(state: &State) -> Value {
    let record = |(address, record): (&Address, &Record)| {
        let under_way = record
            .intent
            .as_ref()
            .map(|intent| json!({ "action": action_name(intent.action), "since": intent.since }));
        json!({
            "address": address,
            "kind": record.kind,
            "id": id(record),
            "createdAt": record.created_at,
            "readyAt": record.ready_at,
            "underWay": under_way,
            "retired": record.retired.len(),
        })
    };
    json!({
        "type": "records",
        "version": super::json::VERSION,
        "stack": state.stack,
        "lineage": state.lineage,
        "serial": state.serial,
        "records": state.records.iter().map(record).collect::<Vec<_>>(),
    })
}

/// Draws everything that is recorded of one resource.
pub fn record(state: &State, address: &Address, record: &Record, style: &Style) -> String {
    let record = &covered(record);
    let mut rows = vec![
        ("address", address.to_string()),
        ("kind", record.kind.clone()),
    ];
    let times = [("created", record.created_at), ("ready", record.ready_at)];
    for (name, time) in times {
        rows.extend(time.map(|time| (name, moment(time))));
    }
    if let Some(intent) = &record.intent {
        rows.push(("under way", remark(record)));
        rows.extend(intent.token.clone().map(|token| ("client token", token)));
        let snapshot = intent.final_snapshot.clone();
        rows.extend(snapshot.map(|name| ("final snapshot", name)));
    }
    let dependencies = names(&record.dependencies.iter().collect::<Vec<_>>());
    let dependents = names(&dependents(state, address));
    rows.push(("made from", dependencies));
    rows.push(("needed by", dependents));
    let rows: Vec<(String, String)> = rows
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text))
        .collect();
    let mut text = table::two_columns(&rows, style);
    let intended = record
        .intent
        .as_ref()
        .and_then(|intent| intent.spec.as_ref());
    let mut documents = vec![
        ("outputs".to_owned(), record.outputs.as_ref()),
        ("settings".to_owned(), record.spec.as_ref()),
        ("settings under way".to_owned(), intended),
    ];
    for (at, retired) in record.retired.iter().enumerate() {
        let number = at + 1;
        documents.push((
            format!("outputs of older instance {number}"),
            Some(&retired.outputs),
        ));
        documents.push((
            format!("settings of older instance {number}"),
            Some(&retired.spec),
        ));
    }
    for (name, document) in documents {
        if let Some(document) = document {
            let document = format!("{document:#}");
            text.push_str(&format!("\n\n{}\n{document}", style.bold(name)));
        }
    }
    text
}

/// The same as a JSON object: `type` is `record`, `record` is what the state has, `neededBy` the
/// addresses that were made from it.
pub fn record_to_json(state: &State, address: &Address, record: &Record) -> Value {
    json!({
        "type": "record",
        "version": super::json::VERSION,
        "stack": state.stack,
        "address": address,
        "neededBy": dependents(state, address),
        "record": covered(record),
    })
}

/// The record without what smells of a secret. No state holds one, and a client token is none.
pub(super) fn covered(record: &Record) -> Record {
    let cover = |value: &mut Value| *value = masked("", value);
    let mut record = record.clone();
    record.outputs.iter_mut().for_each(cover);
    record.spec.iter_mut().for_each(cover);
    if let Some(intent) = &mut record.intent {
        intent.spec.iter_mut().for_each(cover);
    }
    for retired in &mut record.retired {
        cover(&mut retired.outputs);
        cover(&mut retired.spec);
    }
    record
}

/// Draws what is about to be forgotten, and what depends on it.
pub fn forgetting(state: &State, addresses: &BTreeSet<Address>, style: &Style) -> String {
    let mut lines = Vec::new();
    for (address, record) in chosen(state, addresses) {
        let id = id(record).map(|id| format!(" ({id})")).unwrap_or_default();
        let name = style.bold(address);
        lines.push(format!(
            "{} {} {name}{id}",
            style.red("- forget "),
            record.kind
        ));
        if record.intent.is_some() {
            lines.push(format!("    under way: {}", remark(record)));
        }
        let left = left_behind(state, address, addresses);
        if !left.is_empty() {
            lines.push(format!("    needed by {}", names(&left)));
        }
    }
    let left = state.records.len() - addresses.len();
    let summary = format!("{} to forget, {left} left recorded.", addresses.len());
    lines.extend([String::new(), style.bold(summary)]);
    lines.join("\n")
}

/// The same as a JSON object: `type` is `forget`; `records` has each one's `address`, `kind`, `id`,
/// and the addresses it is `neededBy` that stay.
pub fn forgetting_to_json(state: &State, addresses: &BTreeSet<Address>) -> Value {
    let record = |(address, record): (&Address, &Record)| {
        json!({
            "address": address,
            "kind": record.kind,
            "id": id(record),
            "neededBy": left_behind(state, address, addresses),
        })
    };
    json!({
        "type": "forget",
        "version": super::json::VERSION,
        "stack": state.stack,
        "records": chosen(state, addresses).map(record).collect::<Vec<_>>(),
    })
}

fn chosen<'a>(
    state: &'a State,
    addresses: &'a BTreeSet<Address>,
) -> impl Iterator<Item = (&'a Address, &'a Record)> {
    let records = state.records.iter();
    records.filter(|(address, _)| addresses.contains(*address))
}

/// The records made from `address` that are not among those forgotten.
fn left_behind<'a>(
    state: &'a State,
    address: &Address,
    forgotten: &BTreeSet<Address>,
) -> Vec<&'a Address> {
    let mut left = dependents(state, address);
    left.retain(|dependent| !forgotten.contains(*dependent));
    left
}

fn dependents<'a>(state: &'a State, address: &Address) -> Vec<&'a Address> {
    let records = state.records.iter();
    records
        .filter(|(_, record)| record.dependencies.contains(address))
        .map(|(dependent, _)| dependent)
        .collect()
}

/// The name AWS knows the resource by; for what has none, what it connects.
pub(super) fn id(record: &Record) -> Option<String> {
    let outputs = record.outputs.as_ref()?.as_object()?;
    let text = |name: &str| outputs.get(name)?.as_str().map(clean);
    let names = ["id", "allocation_id", "identifier", "name", "arn"];
    names.into_iter().find_map(text).or_else(|| {
        let parts: Vec<String> = outputs
            .values()
            .filter_map(Value::as_str)
            .map(clean)
            .collect();
        (!parts.is_empty()).then(|| parts.join("/"))
    })
}

/// What is under way with a record, if anything is.
fn remark(record: &Record) -> String {
    let intent = record.intent.as_ref();
    let mut parts: Vec<String> = intent
        .map(|intent| {
            format!(
                "{} since {}",
                action_name(intent.action),
                moment(intent.since)
            )
        })
        .into_iter()
        .collect();
    match record.retired.len() {
        0 => {}
        1 => parts.push("1 older instance to delete".to_owned()),
        several => parts.push(format!("{several} older instances to delete")),
    }
    parts.join(", ")
}

fn action_name(action: IntentAction) -> &'static str {
    match action {
        IntentAction::Create => "create",
        IntentAction::Update => "update",
        IntentAction::Delete => "delete",
    }
}

fn names(addresses: &[&Address]) -> String {
    let names: Vec<&str> = addresses.iter().map(|address| address.as_str()).collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests;
