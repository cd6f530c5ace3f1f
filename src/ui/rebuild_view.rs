//! What a rebuild found, as a person reads it before it is written down, and as a program does.

use serde_json::{Value, json};

use super::style::Style;
use super::text::clean;
use crate::engine::{Found, Rebuilt};
use crate::resource::{Address, Condition};

/// Draws a table of what was found, then what is special about it.
pub fn render(rebuilt: &Rebuilt, zones: &[String], style: &Style) -> String {
    let rows: Vec<[String; 4]> = rebuilt
        .found
        .iter()
        .map(|found| row(rebuilt, found))
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    let mut lines: Vec<String> = rows
        .iter()
        .map(|[kind, address, id, remarks]| {
            let (kind_width, id_width) = (widths[0], widths[2]);
            let gap = " ".repeat(widths[1] - address.chars().count());
            let line = format!(
                "{kind:<kind_width$}  {}{gap}  {id:<id_width$}  {remarks}",
                style.bold(address)
            );
            line.trim_end().to_owned()
        })
        .collect();
    lines.push(String::new());
    lines.push(format!("Availability Zones: {}", zones.join(", ")));
    for (address, fields) in &rebuilt.kept {
        let fields: Vec<&str> = fields.keys().map(String::as_str).collect();
        let what = format!("{address}: kept as it is: {}", fields.join(", "));
        lines.push(format!("{what} (AWS cannot change it in place)"));
    }
    if !rebuilt.strangers.is_empty() {
        let names = names(&rebuilt.strangers);
        let text = format!("not this stack's, left out: {names}");
        lines.push(style.yellow(text));
    }
    if !rebuilt.missing.is_empty() {
        let names = names(&rebuilt.missing);
        lines.push(format!("not there, `up` would make them: {names}"));
    }
    lines.push(style.bold(summary(rebuilt)));
    lines.join("\n")
}

fn names(nodes: &[(Address, String)]) -> String {
    let names: Vec<&str> = nodes.iter().map(|(address, _)| address.as_str()).collect();
    names.join(", ")
}

fn row(rebuilt: &Rebuilt, found: &Found) -> [String; 4] {
    let mut remarks = Vec::new();
    match &found.condition {
        Condition::Ready => {}
        Condition::Pending(word) => remarks.push(format!("AWS says {}", clean(word))),
        Condition::Failed(why) => remarks.push(format!("failed: {}", clean(why))),
        Condition::Deleting => remarks.push("being deleted".to_owned()),
    }
    if !found.is_declared {
        remarks.push("not declared any more".to_owned());
    }
    let record = rebuilt.records.get(&found.address);
    match record.map_or(0, |record| record.retired.len()) {
        0 => {}
        1 => remarks.push("an older one goes with the next `up`".to_owned()),
        older => remarks.push(format!("{older} older ones go with the next `up`")),
    }
    if !found.differs_in.is_empty() {
        remarks.push(format!("differs in {}", found.differs_in.join(", ")));
    }
    [
        found.kind.clone(),
        found.address.to_string(),
        id(&found.outputs),
        remarks.join("; "),
    ]
}

/// The shortest name AWS knows it by.
pub(super) fn id(outputs: &Value) -> String {
    let keys = [
        "id",
        "allocation_id",
        "identifier",
        "name",
        "arn",
        "resource_id",
        "fqdn",
    ];
    let known = keys.iter().find_map(|key| outputs.get(key)?.as_str());
    clean(known.unwrap_or_default())
}

fn summary(rebuilt: &Rebuilt) -> String {
    let mut parts = vec![format!("{} found", rebuilt.found.len())];
    if !rebuilt.missing.is_empty() {
        parts.push(format!("{} not there", rebuilt.missing.len()));
    }
    if !rebuilt.strangers.is_empty() {
        parts.push(format!("{} not this stack's", rebuilt.strangers.len()));
    }
    format!("{}.", parts.join(", "))
}

/// The same as one object: `type` is `rebuild`; `found` has each resource's `address`, `kind`, `id`,
/// `condition` (`ready`, `pending`, `failed`, `deleting`), `differsIn` (fields that are not as
/// declared), `declared`, and how many `older` instances are to be deleted; `missing` and
/// `notOurs` have `address` and `kind`; `kept` has the fields that stay as they are, by address;
/// `availabilityZones` are the stack's.
pub fn to_json(rebuilt: &Rebuilt, zones: &[String]) -> Value {
    let found = rebuilt.found.iter().map(|found| {
        let record = rebuilt.records.get(&found.address);
        json!({
            "address": found.address,
            "kind": found.kind,
            "id": id(&found.outputs),
            "condition": match found.condition {
                Condition::Ready => "ready",
                Condition::Pending(_) => "pending",
                Condition::Failed(_) => "failed",
                Condition::Deleting => "deleting",
            },
            "differsIn": found.differs_in,
            "declared": found.is_declared,
            "older": record.map_or(0, |record| record.retired.len()),
        })
    });
    let kept = rebuilt.kept.iter().map(|(address, fields)| {
        let fields: Vec<&String> = fields.keys().collect();
        (address.to_string(), json!(fields))
    });
    let nodes = |nodes: &[(Address, String)]| -> Value {
        let nodes = nodes.iter();
        nodes
            .map(|(address, kind)| json!({ "address": address, "kind": kind }))
            .collect()
    };
    json!({
        "type": "rebuild",
        "version": super::json::VERSION,
        "found": found.collect::<Vec<_>>(),
        "missing": nodes(&rebuilt.missing),
        "notOurs": nodes(&rebuilt.strangers),
        "kept": Value::Object(kept.collect()),
        "availabilityZones": zones,
    })
}
