//! The one comparison of wanted and live settings. Equality belongs to the types of the
//! specifications; nothing here knows AWS.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One field whose live value is not the wanted one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Dotted path in the specification: `health_check.interval_seconds`.
    pub path: String,
    /// The live value; null if there is none.
    pub from: Value,
    /// The wanted value; null if the live one is to go.
    pub to: Value,
    /// Says that somebody changed the live value since we last applied the wanted one.
    pub drift: bool,
}

impl FieldChange {
    /// The top-level field the path begins with.
    pub fn field(&self) -> &str {
        self.path.split('.').next().unwrap_or(&self.path)
    }
}

/// The fields to change, in the order of the specification.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Changes(pub Vec<FieldChange>);

impl Changes {
    /// Says whether `field` (a top-level field) is to change.
    pub fn touch(&self, field: &str) -> bool {
        self.0.iter().any(|change| change.field() == field)
    }

    /// Says whether any of `fields` is to change.
    pub fn touch_any(&self, fields: &[&str]) -> bool {
        fields.iter().any(|field| self.touch(field))
    }

    /// Says whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The distinct top-level fields, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for change in &self.0 {
            if !names.iter().any(|name| name == change.field()) {
                names.push(change.field().to_owned());
            }
        }
        names
    }
}

/// Compares the wanted with the live settings, field by field.
///
/// A null in `want` means "not managed". Objects are compared by key, down to the leaves; lists are
/// compared whole. `last` is what was applied before: a difference on a field that is wanted as it
/// was applied is drift.
pub fn diff(want: &Value, live: &Value, last: Option<&Value>) -> Changes {
    let mut found = Vec::new();
    walk("", want, live, last, &mut found);
    Changes(found)
}

fn walk(
    path: &str,
    want: &Value,
    live: &Value,
    last: Option<&Value>,
    found: &mut Vec<FieldChange>,
) {
    if let (Value::Object(wanted), Value::Object(present)) = (want, live) {
        let extra = present.iter().filter(|(key, value)| {
            !wanted.contains_key(*key) && !value.is_null() && !path.is_empty()
        });
        for (key, value) in wanted.iter().chain(
            extra
                .map(|(key, _)| (key, &Value::Null))
                .collect::<Vec<_>>(),
        ) {
            let below = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let live_value = present.get(key).unwrap_or(&Value::Null);
            let last_value = last.map(|last| last.get(key).unwrap_or(&Value::Null));
            if wanted.contains_key(key) {
                walk(&below, value, live_value, last_value, found);
            } else {
                let drift = last_value.is_some_and(Value::is_null);
                let from = live_value.clone();
                found.push(FieldChange {
                    path: below,
                    from,
                    to: Value::Null,
                    drift,
                });
            }
        }
        return;
    }
    if !matches(want, live) {
        found.push(FieldChange {
            path: path.to_owned(),
            from: live.clone(),
            to: want.clone(),
            drift: last.is_some_and(|last| matches(want, last)),
        });
    }
}

/// Says whether `live` has what `want` asks for.
fn matches(want: &Value, live: &Value) -> bool {
    match (want, live) {
        (Value::Null, _) => true,
        (Value::Object(want), Value::Object(live)) => {
            want.iter()
                .all(|(key, value)| matches(value, live.get(key).unwrap_or(&Value::Null)))
                && live
                    .iter()
                    .all(|(key, value)| value.is_null() || want.contains_key(key))
        }
        (Value::Array(want), Value::Array(live)) => {
            want.len() == live.len()
                && want
                    .iter()
                    .zip(live)
                    .all(|(want, live)| matches(want, live))
        }
        (Value::Number(want), Value::Number(live)) => want.as_f64() == live.as_f64(),
        _ => want == live,
    }
}

/// Drops from `live`'s `tags` the keys that neither the wanted nor the last applied settings name.
/// Cost tools and people put tags of their own on resources; those are none of our business.
pub fn without_foreign_tags(live: &Value, want: &Value, last: Option<&Value>) -> Value {
    let mut live = live.clone();
    if let Some(Value::Object(tags)) = live.get_mut("tags") {
        let known = |key: &str| {
            want["tags"].get(key).is_some() || last.is_some_and(|l| l["tags"].get(key).is_some())
        };
        tags.retain(|key, _| known(key));
    }
    live
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(changes: &Changes) -> Vec<&str> {
        changes.0.iter().map(|c| c.path.as_str()).collect()
    }

    #[test]
    fn null_in_the_wanted_settings_is_not_managed() {
        let changes = diff(&json!({"a": null, "b": 1}), &json!({"a": 5, "b": 1}), None);
        assert!(changes.is_empty(), "{changes:?}");
    }

    #[test]
    fn nested_fields_are_named_by_their_path() {
        let want = json!({"health": {"path": "/health", "interval": 30}});
        let live = json!({"health": {"path": "/", "interval": 30}});
        let changes = diff(&want, &live, None);
        assert_eq!(paths(&changes), ["health.path"]);
        assert!(changes.touch("health"));
    }

    #[test]
    fn a_live_key_nobody_wants_is_a_change_to_nothing() {
        let want = json!({"env": {"A": "1"}});
        let live = json!({"env": {"A": "1", "B": "2"}});
        let changes = diff(&want, &live, Some(&want));
        assert_eq!(paths(&changes), ["env.B"]);
        assert_eq!(changes.0[0].to, Value::Null);
        assert!(changes.0[0].drift);
    }

    #[test]
    fn a_difference_from_what_was_applied_is_drift_and_a_new_wish_is_not() {
        let last = json!({"days": 7});
        assert!(diff(&json!({"days": 7}), &json!({"days": 3}), Some(&last)).0[0].drift);
        assert!(!diff(&json!({"days": 14}), &json!({"days": 7}), Some(&last)).0[0].drift);
    }

    #[test]
    fn numbers_are_compared_by_value() {
        assert!(diff(&json!({"n": 70}), &json!({"n": 70.0}), None).is_empty());
    }

    #[test]
    fn tags_of_others_are_left_alone_and_our_dropped_ones_are_removed() {
        let want = json!({"tags": {"Project": "order-api"}});
        let last = json!({"tags": {"Project": "order-api", "team": "a"}});
        let live = json!({"tags": {"Project": "order-api", "team": "a", "cost-tool": "x"}});
        let live = without_foreign_tags(&live, &want, Some(&last));
        assert_eq!(paths(&diff(&want, &live, Some(&last))), ["tags.team"]);
    }
}
