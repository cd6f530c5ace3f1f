//! How a document that is about to be recorded differs from the one that is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::state_view::{covered, id};
use super::style::Style;
use super::values::{differences, masked};
use crate::resource::Address;
use crate::state::State;

/// Draws what putting `new` in the place of `old` changes: the records, and what stands beside them.
pub fn render(old: Option<&State>, new: &State, style: &Style) -> String {
    let changes = changes(old, new);
    let mut lines: Vec<String> = Vec::new();
    for change in &changes.records {
        let (sign, kind) = (change.word.sign(style), change.kind);
        let id = change.id.as_deref();
        let id = id.map(|id| format!(" ({id})")).unwrap_or_default();
        lines.push(format!("{sign} {kind} {}{id}", style.bold(change.address)));
        lines.extend(
            change
                .fields
                .iter()
                .map(|(path, text)| format!("    {path}: {text}")),
        );
    }
    for (path, text) in &changes.beside {
        lines.push(format!("{} {path}: {text}", style.yellow("~")));
    }
    let count = |word| changes.count(word);
    let summary = format!(
        "Records: {} more, {} fewer, {} changed, {} the same.",
        count(Word::Added),
        count(Word::Removed),
        count(Word::Changed),
        new.records.len() - count(Word::Added) - count(Word::Changed),
    );
    lines.push(style.bold(summary));
    lines.join("\n")
}

/// The same as a JSON object: `type` is `push`; `from` (null if nothing is recorded) and `to` have
/// `lineage` and `serial`; `records` has the addresses `added`, `removed` and `changed`; `fields`
/// names what changes beside the records.
pub fn to_json(old: Option<&State>, new: &State) -> Value {
    let changes = changes(old, new);
    let version = |state: &State| json!({ "lineage": state.lineage, "serial": state.serial });
    let addresses = |word| -> Vec<&Address> {
        let of_word = changes.records.iter().filter(|change| change.word == word);
        of_word.map(|change| change.address).collect()
    };
    let fields: BTreeSet<&str> = changes
        .beside
        .iter()
        .map(|(path, _)| path.as_str())
        .collect();
    json!({
        "type": "push",
        "version": super::json::VERSION,
        "stack": new.stack,
        "from": old.map(version),
        "to": version(new),
        "records": {
            "added": addresses(Word::Added),
            "removed": addresses(Word::Removed),
            "changed": addresses(Word::Changed),
        },
        "fields": fields,
    })
}

struct Changed<'a> {
    records: Vec<RecordChange<'a>>,
    beside: Vec<(String, String)>,
}

struct RecordChange<'a> {
    word: Word,
    address: &'a Address,
    kind: &'a str,
    id: Option<String>,
    fields: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Added,
    Removed,
    Changed,
}

impl Word {
    fn sign(self, style: &Style) -> String {
        match self {
            Self::Added => style.green("+"),
            Self::Removed => style.red("-"),
            Self::Changed => style.yellow("~"),
        }
    }
}

impl Changed<'_> {
    fn count(&self, word: Word) -> usize {
        self.records
            .iter()
            .filter(|change| change.word == word)
            .count()
    }
}

fn changes<'a>(old: Option<&'a State>, new: &'a State) -> Changed<'a> {
    let mut records = Vec::new();
    let before = old.map(|old| &old.records);
    let addresses = before.into_iter().flat_map(|records| records.keys());
    let addresses: BTreeSet<&Address> = addresses.chain(new.records.keys()).collect();
    for address in addresses {
        let was = before.and_then(|records| records.get(address));
        let (word, record) = match (was, new.records.get(address)) {
            (None, Some(record)) => (Word::Added, record),
            (Some(was), None) => (Word::Removed, was),
            (Some(was), Some(record)) if was != record => (Word::Changed, record),
            _ => continue,
        };
        let fields = match (word, was) {
            (Word::Changed, Some(was)) => fields(&json!(covered(was)), &json!(covered(record))),
            _ => Vec::new(),
        };
        records.push(RecordChange {
            word,
            address,
            kind: &record.kind,
            id: id(record),
            fields,
        });
    }
    let beside = old.map(|old| fields(&without_records(old), &without_records(new)));
    Changed {
        records,
        beside: beside.unwrap_or_default(),
    }
}

fn without_records(state: &State) -> Value {
    let mut document = json!(state);
    if let Value::Object(fields) = &mut document {
        fields.remove("records");
        fields.remove("format");
    }
    document
}

/// What differs, field by field, and inside of those field by field.
fn fields(old: &Value, new: &Value) -> Vec<(String, String)> {
    let (old, new) = (masked("", old), masked("", new));
    let mut found = Vec::new();
    for (name, old, new) in unlike(&old, &new) {
        if old.is_object() && new.is_object() {
            for (inner, old, new) in unlike(&old, &new) {
                found.extend(differences(&format!("{name}.{inner}"), &old, &new));
            }
        } else {
            found.extend(differences(&name, &old, &new));
        }
    }
    found
}

/// The fields that are not the same on both sides.
fn unlike(old: &Value, new: &Value) -> Vec<(String, Value, Value)> {
    let names = [old, new].into_iter().filter_map(Value::as_object);
    let names: BTreeSet<&String> = names.flat_map(|fields| fields.keys()).collect();
    let of = |value: &Value, name: &str| value.get(name).cloned().unwrap_or_default();
    let changed = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name));
    changed
        .map(|name| (name.clone(), of(old, name), of(new, name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Record;

    fn state(change: impl FnOnce(&mut State)) -> State {
        let text = include_str!("../../state/example.json");
        let mut state = State::parse(text, "example.json").unwrap();
        change(&mut state);
        state
    }

    fn address(name: &str) -> Address {
        Address::new(name).unwrap()
    }

    #[test]
    fn records_that_come_go_and_change_are_named_with_what_changes() {
        let old = state(|_| {});
        let new = state(|state| {
            state.serial = 43;
            state.protect = true;
            let mut vpc = state.records.remove(&address("vpc")).unwrap();
            vpc.spec.as_mut().unwrap()["cidr"] = "10.1.0.0/16".into();
            vpc.spec.as_mut().unwrap()["db_password"] = "hunter2".into();
            state.records.insert(address("vpc"), vpc);
            state.records.remove(&address("nat-gateway-1"));
            let record = Record::new("ec2/internet_gateway");
            state.records.insert(address("internet-gateway"), record);
        });
        insta::assert_snapshot!(render(Some(&old), &new, &Style::PLAIN), @r#"
        + ec2/internet_gateway internet-gateway
        - ec2/nat_gateway nat-gateway-1
        ~ ec2/vpc vpc (vpc-0a1b2c3d4e5f60718)
            spec.cidr: 10.0.0.0/16 -> 10.1.0.0/16
            spec.db_password: (none) -> (sensitive)
        ~ protect: false -> true
        ~ serial: 42 -> 43
        Records: 1 more, 1 fewer, 1 changed, 0 the same.
        "#);
        let json = to_json(Some(&old), &new);
        assert_eq!(json["from"]["serial"], 42);
        assert_eq!(json["to"]["serial"], 43);
        assert_eq!(
            json["records"],
            json!({ "added": ["internet-gateway"], "removed": ["nat-gateway-1"], "changed": ["vpc"] })
        );
        assert_eq!(json["fields"], json!(["protect", "serial"]));
    }

    #[test]
    fn where_nothing_is_recorded_all_is_new() {
        let new = state(|_| {});
        let text = render(None, &new, &Style::PLAIN);
        assert!(
            text.ends_with("Records: 2 more, 0 fewer, 0 changed, 0 the same."),
            "{text}"
        );
        assert_eq!(to_json(None, &new)["from"], Value::Null);
    }
}
