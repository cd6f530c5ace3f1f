//! What must hold at the end of every cell.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::account::{Account, Eyes};
use super::client::{Client, Place};
use super::scene::Scene;

/// The state and the cloud, with the addresses of nodes in place of AWS's ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome(Value);

impl Outcome {
    pub fn seen(account: &Account, place: &Place, eyes: &mut Eyes) -> Self {
        let state = place.state(account, eyes).unwrap_or(Value::Null);
        let names = Names::of(&state);
        let records = state["records"].as_object().cloned().unwrap_or_default();
        let records: Map<String, Value> = records
            .into_iter()
            .map(|(address, record)| {
                let kept = ["kind", "spec", "dependencies", "intent", "retired"];
                let kept = kept.map(|field| (field.to_owned(), names.applied(&record[field])));
                (address, Value::Object(kept.into_iter().collect()))
            })
            .collect();
        let mut cloud = names.applied(&eyes.picture(account));
        // Sorted by AWS's ids so far.
        for texts in cloud.as_object_mut().unwrap().values_mut() {
            let texts = texts.as_array_mut().unwrap();
            texts.sort_by_key(ToString::to_string);
        }
        Self(json!({
            "cloud": cloud,
            "records": records,
            "outputs": names.applied(&state["outputs"]),
            "choices": state["choices"],
            "account": state["account"],
        }))
    }

    /// Where it differs from what is expected, a line each.
    pub fn differences(&self, expected: &Self) -> Vec<String> {
        let mut found = Vec::new();
        compare("", &self.0, &expected.0, &mut found);
        found
    }
}

/// Says whether everything is as after the run without faults: the cloud and the state agree with it, a second run writes
/// nothing, and, where `tear_down` asks for it, `down` leaves nothing.
pub fn check(
    scene: &Scene,
    account: &Account,
    place: &Place,
    eyes: &mut Eyes,
    tear_down: bool,
) -> Result<(), String> {
    let seen = Outcome::seen(account, place, eyes);
    let differences = seen.differences(scene.clean());
    if !differences.is_empty() {
        return Err(format!(
            "it does not end where the run without faults ends:\n{}",
            differences.join("\n")
        ));
    }
    expect_no_writes(scene, account, place, eyes)?;
    if !tear_down || scene.verb.words[0] == "down" {
        return Ok(());
    }
    let down = Client::run(account, place, &["down", "--yes"]);
    if down.code != Some(0) {
        return Err(format!("`down` ends with {:?}:\n{}", down.code, down.text));
    }
    let left = Outcome::seen(account, place, eyes).differences(scene.empty());
    if left.is_empty() {
        Ok(())
    } else {
        Err(format!("`down` leaves:\n{}", left.join("\n")))
    }
}

fn expect_no_writes(
    scene: &Scene,
    account: &Account,
    place: &Place,
    eyes: &mut Eyes,
) -> Result<(), String> {
    let (state, next) = (
        place.state_text(account, eyes),
        account.get("calls?since=1000000")["next"].clone(),
    );
    let again = Client::run(account, place, scene.verb.words);
    if again.code != Some(0) {
        return Err(format!(
            "a second run ends with {:?}:\n{}",
            again.code, again.text
        ));
    }
    let calls = account.get(&format!("calls?since={next}"));
    let calls = calls["calls"].as_array().unwrap();
    let writes: Vec<String> = calls
        .iter()
        // Who only looks takes the lock all the same; the state is compared below.
        .filter(|call| call["wrote"] == true && call["service"] != "s3")
        .map(|call| call["operation"].to_string())
        .collect();
    if !writes.is_empty() {
        return Err(format!(
            "a second run writes: {}\n{}",
            writes.join(", "),
            again.text
        ));
    }
    if place.state_text(account, eyes) != state {
        return Err("a second run changes the state".to_owned());
    }
    Ok(())
}

/// What AWS gave each node, longest first, with the node's address and the output's name.
struct Names(Vec<(String, String)>);

impl Names {
    fn of(state: &Value) -> Self {
        let mut names = BTreeMap::new();
        for (address, record) in state["records"].as_object().into_iter().flatten() {
            collect(address, &record["outputs"], &mut names);
        }
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Self(names)
    }

    fn applied(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                let mut text = text.clone();
                for (id, name) in &self.0 {
                    if text.contains(id.as_str()) {
                        text = text.replace(id.as_str(), name);
                    }
                }
                Value::String(text)
            }
            Value::Array(items) => items.iter().map(|item| self.applied(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, field)| (name.clone(), self.applied(field)))
                .collect(),
            other => other.clone(),
        }
    }
}

/// Natural names are the same in every run, and are left as they are.
fn collect(path: &str, value: &Value, names: &mut BTreeMap<String, String>) {
    match value {
        Value::String(text) if text.len() >= 8 && text.contains(|c: char| c.is_ascii_digit()) => {
            names
                .entry(text.clone())
                .or_insert_with(|| format!("<{path}>"));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(&format!("{path}.{index}"), item, names);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                collect(&format!("{path}.{name}"), field, names);
            }
        }
        _ => {}
    }
}

fn compare(path: &str, seen: &Value, expected: &Value, found: &mut Vec<String>) {
    match (seen, expected) {
        (Value::Object(seen), Value::Object(expected)) => {
            let mut names: Vec<_> = seen.keys().chain(expected.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let of =
                    |fields: &Map<String, Value>| fields.get(name).cloned().unwrap_or(Value::Null);
                compare(&format!("{path}/{name}"), &of(seen), &of(expected), found);
            }
        }
        (Value::Array(seen), Value::Array(expected)) if path.starts_with("/cloud") => {
            let only = |some: &[Value], others: &[Value]| {
                let mut others = others.to_vec();
                let mut only = some.to_vec();
                only.retain(|item| match others.iter().position(|other| other == item) {
                    Some(at) => {
                        others.remove(at);
                        false
                    }
                    None => true,
                });
                only
            };
            found.extend(
                only(seen, expected)
                    .iter()
                    .map(|it| format!("{path}: too much: {it}")),
            );
            found.extend(
                only(expected, seen)
                    .iter()
                    .map(|it| format!("{path}: missing: {it}")),
            );
        }
        (seen, expected) if seen != expected => {
            found.push(format!("{path}: {seen} instead of {expected}"));
        }
        _ => {}
    }
}
