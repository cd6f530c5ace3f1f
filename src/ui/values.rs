//! Settings as text: short ones whole, long ones down to what differs, secret ones not at all.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::text::clean;

/// What stands for a value nobody should read.
pub(super) const SENSITIVE: &str = "(sensitive)";
/// How many characters of a value are shown on one line.
const LINE: usize = 80;
/// How many parts of one field are shown.
const PARTS: usize = 12;

/// Masks what smells of a secret, at `path` or below it. No specification holds one; this keeps a
/// mistake, or a user's own environment variable, off the screen.
pub(super) fn masked(path: &str, value: &Value) -> Value {
    if path.split('.').any(is_secret_name) {
        return cover(value);
    }
    match value {
        Value::Array(items) => items.iter().map(|item| masked(path, item)).collect(),
        Value::Object(map) => masked_object(path, map),
        Value::String(text) if has_credentials(text) => cover(value),
        Value::String(text) => masked_json(path, text),
        _ => value.clone(),
    }
}

/// Says whether a text is an address with a password in it: `mysql://user:password@host`.
fn has_credentials(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':'))
}

fn masked_object(path: &str, map: &Map<String, Value>) -> Value {
    // Lists of pairs, as in container definitions: {"name": "DB_PASSWORD", "value": "…"}.
    let name = map
        .get("name")
        .or_else(|| map.get("key"))
        .and_then(Value::as_str);
    let pair_is_secret = name.is_some_and(is_secret_name);
    let entries = map.iter().map(|(key, value)| {
        let value = if is_secret_name(key) || (key == "value" && pair_is_secret) {
            cover(value)
        } else {
            masked(path, value)
        };
        (key.clone(), value)
    });
    Value::Object(entries.collect())
}

/// Masks inside of a text that is a JSON document.
fn masked_json(path: &str, text: &str) -> Value {
    let as_is = || Value::String(text.to_owned());
    match container(text) {
        Some(document) => {
            let covered = masked(path, &document);
            if covered == document {
                as_is()
            } else {
                Value::String(covered.to_string())
            }
        }
        None => as_is(),
    }
}

/// The JSON object or list that a text is, if it is one.
fn container(text: &str) -> Option<Value> {
    let begins = text.starts_with('{') || text.starts_with('[');
    begins.then(|| serde_json::from_str(text).ok()).flatten()
}

fn cover(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(text) if text.starts_with("arn:") || text.starts_with('(') => value.clone(),
        Value::Array(items) => items.iter().map(cover).collect(),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), cover(value)))
                .collect(),
        ),
        Value::String(_) => Value::String(SENSITIVE.to_owned()),
    }
}

/// Says whether a value under this name is likely a secret, and not the name of one.
fn is_secret_name(name: &str) -> bool {
    let words = words_of(name);
    let is_about = |last: &&String| {
        matches!(
            last.as_str(),
            "arn" | "name" | "id" | "path" | "version" | "length" | "policy"
        )
    };
    if words.last().as_ref().is_some_and(is_about) {
        return false;
    }
    let has = |word: &str| words.iter().any(|own| own == word);
    let has_pair = |one: &str, two: &str| words.windows(2).any(|w| w[0] == one && w[1] == two);
    has("password")
        || has("passwd")
        || has("passphrase")
        || has("token")
        || has("apikey")
        || has_pair("private", "key")
        || has_pair("access", "key")
        || has_pair("api", "key")
        || has_pair("secret", "key")
        || has_pair("secret", "value")
        || has_pair("secret", "string")
        || (words.len() > 1 && words.last().is_some_and(|word| word == "secret"))
}

/// Cuts `dbPassword`, `DB_PASSWORD` and `db-password` into `db` and `password`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        let begins_word = c.is_uppercase() && after_lower;
        if begins_word || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        after_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A value on one line, with what does not fit left out.
pub(super) fn inline(value: &Value) -> String {
    fitted(value, LINE)
}

fn fitted(value: &Value, limit: usize) -> String {
    let by_depth = [usize::MAX, 2, 1, 0].map(|depth| compact(value, depth));
    let fitting = by_depth.iter().find(|text| text.chars().count() <= limit);
    match fitting {
        Some(text) => text.clone(),
        None => shortened(&by_depth[3], 0, limit),
    }
}

fn compact(value: &Value, depth: usize) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) => quoted_if_needed(text),
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Array(items) if depth == 0 => format!("[{}]", counted(items.len(), "item")),
        Value::Object(map) if depth == 0 => format!("{{{}}}", counted(map.len(), "field")),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| compact(item, depth - 1)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let set = map.iter().filter(|(_, value)| !value.is_null());
            let fields: Vec<_> = set
                .map(|(key, value)| format!("{}: {}", clean(key), compact(value, depth - 1)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A text as it is, in quotation marks where it would else be taken for something different.
fn quoted_if_needed(text: &str) -> String {
    let reads_as_itself = !text.is_empty()
        && text.trim() == text
        && !text.chars().any(char::is_control)
        && (container(text).is_some() || serde_json::from_str::<Value>(text).is_err());
    if reads_as_itself {
        text.to_owned()
    } else {
        clean(&Value::from(text).to_string())
    }
}

/// At most `limit` characters of a text, from `start` on.
fn shortened(text: &str, start: usize, limit: usize) -> String {
    let before = if start > 0 { "…" } else { "" };
    let rest: Vec<char> = text.chars().skip(start).collect();
    let room = limit.saturating_sub(before.chars().count());
    if rest.len() <= room {
        return format!("{before}{}", rest.into_iter().collect::<String>());
    }
    let kept: String = rest.into_iter().take(room.saturating_sub(1)).collect();
    format!("{before}{kept}…")
}

/// The lines `field: value` of something new: short values whole, longer ones part by part.
pub(super) fn settings(want: &Value) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    if let Value::Object(fields) = want {
        for (field, value) in fields {
            match value {
                Value::Object(tags) if field == "tags" => {
                    lines.push((field.clone(), tag_list(tags)))
                }
                _ => setting(field, value, 2, &mut lines),
            }
        }
    }
    lines
}

fn setting(path: &str, value: &Value, depth: usize, lines: &mut Vec<(String, String)>) {
    if value.is_null() {
        return;
    }
    let whole = compact(value, usize::MAX);
    match value {
        Value::Object(map) if whole.chars().count() > LINE && depth > 0 && map.len() <= PARTS => {
            for (key, value) in map {
                setting(&format!("{path}.{key}"), value, depth - 1, lines);
            }
        }
        _ => lines.push((clean(path), inline(value))),
    }
}

/// The tags every resource carries; a reader knows them.
const STANDARD_TAGS: [&str; 6] = [
    "Name",
    "Project",
    "Environment",
    "ManagedBy",
    crate::resource::STACK_TAG,
    crate::resource::NODE_TAG,
];

fn tag_list(tags: &Map<String, Value>) -> String {
    let (standard, own): (Vec<_>, Vec<_>) = tags
        .iter()
        .partition(|(key, _)| STANDARD_TAGS.contains(&key.as_str()));
    let own: Vec<String> = own
        .into_iter()
        .map(|(key, value)| format!("{}={}", clean(key), compact(value, 0)))
        .collect();
    match (standard.len(), own.is_empty()) {
        (0, true) => "(none)".to_owned(),
        (0, false) => own.join(", "),
        (count, true) => format!("{count} standard"),
        (count, false) => format!("{count} standard + {}", own.join(", ")),
    }
}

/// The lines `field: old -> new` of one change. A long value is followed down to its parts, so
/// that a policy shows the statement that changes.
pub(super) fn differences(path: &str, from: &Value, to: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    differ(path, from, to, &mut found);
    if found.len() > PARTS {
        let more = found.len() - PARTS;
        found.truncate(PARTS);
        found.push((path.to_owned(), format!("… and {more} more differences")));
    }
    found
        .into_iter()
        .map(|(path, text)| (clean(&path), text))
        .collect()
}

fn differ(path: &str, from: &Value, to: &Value, found: &mut Vec<(String, String)>) {
    let text = format!(
        "{} -> {}",
        compact(from, usize::MAX),
        compact(to, usize::MAX)
    );
    if text.chars().count() <= LINE {
        found.push((path.to_owned(), text));
        return;
    }
    match (from, to) {
        (Value::Object(old), Value::Object(new)) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                // A null in what is wanted means that the field is not managed.
                let is_managed = new.get(key).is_none_or(|value| !value.is_null());
                let (old, new) = (part(old, key), part(new, key));
                if is_managed && !same(old, new) {
                    differ(&format!("{path}.{key}"), old, new, found);
                }
            }
        }
        (Value::Array(old), Value::Array(new)) if all_plain(old) && all_plain(new) => {
            found.push((path.to_owned(), list_difference(old, new)));
        }
        (Value::Array(old), Value::Array(new)) => {
            for at in 0..old.len().max(new.len()) {
                let (old, new) = (old.get(at).unwrap_or(&NULL), new.get(at).unwrap_or(&NULL));
                if !same(old, new) {
                    differ(&format!("{path}[{at}]"), old, new, found);
                }
            }
        }
        (Value::String(old), Value::String(new)) => match (container(old), container(new)) {
            (Some(old), Some(new)) if !same(&old, &new) => differ(path, &old, &new, found),
            _ => found.push((path.to_owned(), text_difference(old, new))),
        },
        _ => found.push((
            path.to_owned(),
            format!("{} -> {}", inline(from), inline(to)),
        )),
    }
}

static NULL: Value = Value::Null;

fn part<'a>(map: &'a Map<String, Value>, key: &str) -> &'a Value {
    map.get(key).unwrap_or(&NULL)
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

fn all_plain(items: &[Value]) -> bool {
    items
        .iter()
        .all(|item| !item.is_array() && !item.is_object())
}

fn list_difference(old: &[Value], new: &[Value]) -> String {
    let texts = |items: &[Value]| -> BTreeSet<String> {
        items.iter().map(|item| compact(item, 0)).collect()
    };
    let (old, new) = (texts(old), texts(new));
    let mut parts = Vec::new();
    for (sign, left, right) in [("+", &new, &old), ("-", &old, &new)] {
        let only: Vec<&str> = left.difference(right).map(String::as_str).collect();
        if !only.is_empty() {
            let shown = only
                .iter()
                .take(PARTS)
                .copied()
                .collect::<Vec<_>>()
                .join(", ");
            let more = only.len().saturating_sub(PARTS);
            let rest = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            parts.push(format!("{sign} {shown}{rest}"));
        }
    }
    if parts.is_empty() {
        "in another order".to_owned()
    } else {
        parts.join("; ")
    }
}

/// Two long texts around the first place where they differ.
fn text_difference(old: &str, new: &str) -> String {
    let (old, new) = (quoted_if_needed(old), quoted_if_needed(new));
    let common = old
        .chars()
        .zip(new.chars())
        .take_while(|(one, other)| one == other)
        .count();
    let start = common.saturating_sub(10);
    format!(
        "{} -> {}",
        shortened(&old, start, LINE / 2),
        shortened(&new, start, LINE / 2)
    )
}

#[cfg(test)]
mod tests;
