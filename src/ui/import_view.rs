//! What an import found, as a person reads it before it is written down, and as a program does.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::rebuild_view;
use super::style::Style;
use super::text::clean;
use crate::engine::{Found, Rebuilt};
use crate::import::{Mapping, Matched, Part};
use crate::resource::Address;

/// Draws which exported resource becomes which node, then what is left over on either side.
pub fn render(mapping: &Mapping, rebuilt: &Rebuilt, zones: &[String], style: &Style) -> String {
    let exported: BTreeMap<&Address, &Matched> =
        mapping.matched.iter().map(|it| (&it.address, it)).collect();
    let rows: Vec<[String; 3]> = rebuilt
        .found
        .iter()
        .map(|found| row(rebuilt, found, exported.get(&found.address).copied()))
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let (address_width, from_width) = (width(0), width(1));
    let mut lines: Vec<String> = rows
        .iter()
        .map(|[address, from, remarks]| {
            let gap = " ".repeat(address_width - address.chars().count());
            let line = format!(
                "{}{gap}  {from:<from_width$}  {remarks}",
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
    lines.extend(gone(mapping, rebuilt).map(|it| {
        let text = format!(
            "{}: in the export, but not in AWS any more ({})",
            it.address,
            clean(&it.id)
        );
        style.yellow(text)
    }));
    lines.extend(
        strangers(mapping, rebuilt).map(|(address, kind, is_exported)| {
            let why = match is_exported {
                true => "AWS has another one of this name than the export",
                false => "AWS has one of this name, and the export has none",
            };
            style.yellow(format!("{kind} {address}: {why}; left out"))
        }),
    );
    for (address, rule) in &mapping.undeclared_rules {
        let text = format!(
            "{address}: the rule `{}` is not declared and stays",
            clean(rule)
        );
        lines.push(style.yellow(text));
    }
    let unknown: Vec<&Part> = mapping.others.iter().filter(|it| it.of.is_none()).collect();
    if !unknown.is_empty() {
        lines.push("In the export, and nothing the stack has; left alone:".to_owned());
        lines.extend(
            unknown
                .iter()
                .map(|it| format!("    {} {}", clean(&it.kind), clean(&it.name))),
        );
    }
    let missing = missing(mapping, rebuilt);
    if !missing.is_empty() {
        lines.push(format!(
            "Not in the export, `up` would make them: {}",
            missing.join(", ")
        ));
    }
    lines.push(style.bold(summary(mapping, rebuilt)));
    lines.join("\n")
}

fn row(rebuilt: &Rebuilt, found: &Found, exported: Option<&Matched>) -> [String; 3] {
    let from = match exported {
        Some(it) => format!(
            "{} {} ({})",
            clean(&it.kind),
            clean(&it.name),
            clean(&it.id)
        ),
        None => format!("part of the above ({})", rebuild_view::id(&found.outputs)),
    };
    let kept = rebuilt.kept.get(&found.address);
    let differs = found.differs_in.iter();
    let differs: Vec<&str> = differs
        .map(String::as_str)
        .filter(|field| kept.is_none_or(|kept| !kept.contains_key(*field)))
        .collect();
    let remarks = match differs.as_slice() {
        [] => String::new(),
        fields => format!("differs in {}", fields.join(", ")),
    };
    [found.address.to_string(), from, remarks]
}

/// What was mapped and is not there.
fn gone<'a>(mapping: &'a Mapping, rebuilt: &'a Rebuilt) -> impl Iterator<Item = &'a Matched> {
    mapping.matched.iter().filter(|it| {
        let mut missing = rebuilt.missing.iter();
        missing.any(|(address, _)| *address == it.address)
    })
}

fn strangers<'a>(
    mapping: &'a Mapping,
    rebuilt: &'a Rebuilt,
) -> impl Iterator<Item = (&'a Address, &'a str, bool)> {
    rebuilt.strangers.iter().map(|(address, kind)| {
        let is_exported = mapping.matched.iter().any(|it| it.address == *address);
        (address, kind.as_str(), is_exported)
    })
}

fn missing<'a>(mapping: &Mapping, rebuilt: &'a Rebuilt) -> Vec<&'a str> {
    let missing = rebuilt.missing.iter().map(|(address, _)| address);
    let missing =
        missing.filter(|address| !mapping.matched.iter().any(|it| it.address == **address));
    missing.map(Address::as_str).collect()
}

fn summary(mapping: &Mapping, rebuilt: &Rebuilt) -> String {
    let unknown = mapping.others.iter().filter(|it| it.of.is_none()).count();
    let parts = mapping.others.len() - unknown;
    format!(
        "{} taken over, with {parts} settings of theirs; {unknown} left alone; {} to be made by `up`.",
        rebuilt.found.len(),
        rebuilt.missing.len(),
    )
}

/// The same as one object: `type` is `import`; `matched` has each taken over resource's `address`,
/// `kind`, `id` (AWS's), `from` (the export's `type`, `name`, `id`; null for what comes with another)
/// and `differsIn`; `gone`, `missing`, `notOurs` have addresses; `unknown` has `type` and `name` of
/// what the export has beside; `undeclaredRules` has `address` and `rule`; `kept` has the fields that
/// stay as they are, by address; `availabilityZones` are the stack's.
pub fn to_json(mapping: &Mapping, rebuilt: &Rebuilt, zones: &[String]) -> Value {
    let matched = rebuilt.found.iter().map(|found| {
        let from = mapping
            .matched
            .iter()
            .find(|it| it.address == found.address);
        json!({
            "address": found.address,
            "kind": found.kind,
            "id": rebuild_view::id(&found.outputs),
            "from": from.map(|it| json!({ "type": it.kind, "name": it.name, "id": it.id })),
            "differsIn": found.differs_in,
        })
    });
    let unknown = mapping.others.iter().filter(|it| it.of.is_none());
    let rules = mapping.undeclared_rules.iter();
    let kept = rebuilt.kept.iter().map(|(address, fields)| {
        let fields: Vec<&String> = fields.keys().collect();
        (address.to_string(), json!(fields))
    });
    json!({
        "type": "import",
        "version": super::json::VERSION,
        "matched": matched.collect::<Vec<_>>(),
        "gone": gone(mapping, rebuilt).map(|it| &it.address).collect::<Vec<_>>(),
        "missing": missing(mapping, rebuilt),
        "notOurs": rebuilt.strangers.iter().map(|(address, _)| address).collect::<Vec<_>>(),
        "unknown": unknown
            .map(|it| json!({ "type": it.kind, "name": it.name }))
            .collect::<Vec<_>>(),
        "undeclaredRules": rules
            .map(|(address, rule)| json!({ "address": address, "rule": rule }))
            .collect::<Vec<_>>(),
        "kept": Value::Object(kept.collect()),
        "availabilityZones": zones,
    })
}
