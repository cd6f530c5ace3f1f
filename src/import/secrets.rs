//! The secrets of an export: what must not get into a state, and never into a message.

use std::collections::BTreeSet;

use serde_json::Value;

/// The key by which Pulumi marks special values, and the mark of secrets (`deployment-schema.md`
/// of Pulumi, "Secret Property Values").
const MARK: &str = "4dabf18193072939515e22adb298388d";
const SECRET: &str = "1b47061264138c4ac30d75fd1eb44270";

/// Properties that hold a secret whether it is marked or not: those of `RandomPassword`,
/// `SecretVersion`, `Cluster` and certificates.
const SECRET_FIELDS: [&str; 9] = [
    "bcryptHash",
    "masterPassword",
    "password",
    "privateKey",
    "result",
    "secretBinary",
    "secretString",
    "secretStringWo",
    "token",
];

/// A shorter text is too common to be looked for.
const SHORTEST: usize = 4;

/// What stands for what is not recorded.
const HIDDEN: &str = "(not recorded)";

/// The secret texts of an export, kept for nothing but finding them elsewhere. Has no `Debug` that
/// shows them and is not serialisable.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeSet<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Secrets {
    /// Says whether Pulumi marked a value as secret.
    pub(super) fn is_marked(value: &Value) -> bool {
        value.get(MARK).and_then(Value::as_str) == Some(SECRET)
    }

    /// Collects every secret text below `value`.
    pub(super) fn collect(&mut self, value: &Value) {
        match value {
            Value::Object(map) if Self::is_marked(value) => {
                // `plaintext` is the property as JSON.
                for text in map.values().filter_map(Value::as_str) {
                    if text != SECRET {
                        let inner = serde_json::from_str(text).ok();
                        self.insert_all(&inner.unwrap_or_else(|| Value::from(text)));
                        self.insert(text);
                    }
                }
                map.values().for_each(|value| self.collect(value));
            }
            Value::Object(map) => {
                for (key, value) in map {
                    if SECRET_FIELDS.contains(&key.as_str()) {
                        self.insert_all(value);
                    }
                    self.collect(value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            _ => {}
        }
    }

    /// Takes every text below `value` for a secret; in a text that is JSON, the texts in it too.
    fn insert_all(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                self.insert(text);
                if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text)
                {
                    self.insert_all(&inner);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.insert_all(item)),
            Value::Object(map) => {
                // Beside the password of a database its user and host are no secret.
                let secret = map.iter().filter(|(key, _)| !is_harmless(key));
                secret.for_each(|(_, value)| self.insert_all(value));
            }
            _ => {}
        }
    }

    fn insert(&mut self, text: &str) {
        if text.chars().count() >= SHORTEST {
            self.0.insert(text.to_owned());
        }
    }

    /// Says whether a text holds one of the secrets.
    pub fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.as_str()))
    }

    /// Settings as they may be recorded. What is as wanted stays. Hidden is what holds one of the
    /// secrets, and every text under a key that nobody wants: a foreign environment variable is not
    /// ours to keep, and may hold a secret that the export does not show.
    pub fn recordable(&self, settings: &Value, want: &Value) -> Value {
        match (settings, want) {
            _ if settings == want => settings.clone(),
            (Value::Object(map), Value::Object(wanted)) => {
                let kept = map.iter().map(|(key, value)| {
                    let value = match wanted.get(key) {
                        Some(want) => self.recordable(value, want),
                        None => self.hidden(value, true),
                    };
                    (key.clone(), value)
                });
                Value::Object(kept.collect())
            }
            _ => self.hidden(settings, false),
        }
    }

    fn hidden(&self, value: &Value, all: bool) -> Value {
        match value {
            Value::String(text) if all || self.are_in(text) => Value::String(HIDDEN.to_owned()),
            Value::Array(items) => items.iter().map(|item| self.hidden(item, all)).collect(),
            Value::Object(map) => {
                let hidden = map.iter();
                let hidden = hidden.map(|(key, value)| (key.clone(), self.hidden(value, all)));
                Value::Object(hidden.collect())
            }
            other => other.clone(),
        }
    }
}

fn is_harmless(key: &str) -> bool {
    matches!(
        key,
        "username" | "engine" | "host" | "port" | "dbname" | "dbClusterIdentifier"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn marked(field: &str, text: &str) -> Value {
        json!({ MARK: SECRET, field: text })
    }

    #[test]
    fn secrets_are_found_marked_and_unmarked_at_any_depth() {
        let export = json!([
            { "outputs": { "result": "from-random" } },
            { "inputs": { "masterPassword": marked("plaintext", "\"from-mark\"") } },
            { "outputs": { "deep": [{ "x": marked("ciphertext", "v1:cipher:text") }] } },
            { "outputs": { "secretString": "{\"username\":\"admin\",\"password\":\"from-json\"}" } },
            { "outputs": { "containerDefinitions": marked("plaintext", "\"[{\\\"value\\\":\\\"inner\\\"}]\"") } },
        ]);
        let mut secrets = Secrets::default();
        secrets.collect(&export);
        for secret in [
            "from-random",
            "from-mark",
            "v1:cipher:text",
            "from-json",
            "inner",
        ] {
            assert!(
                secrets.are_in(&format!("mysql://x:{secret}@host")),
                "{secret}"
            );
        }
        for harmless in ["admin", "order-api-dev", "us-east-1a"] {
            assert!(!secrets.are_in(harmless), "{harmless}");
        }
        let live = json!({ "a": ["x-from-mark-y", "fine"], "b": { "c": "from-json", "d": "e" } });
        let want = json!({ "a": [], "b": { "c": "", "d": "" } });
        let kept = secrets.recordable(&live, &want);
        let expected = json!({ "a": [HIDDEN, "fine"], "b": { "c": HIDDEN, "d": "e" } });
        assert_eq!(kept, expected);
        assert_eq!(format!("{secrets:?}"), "(hidden)");
    }

    #[test]
    fn what_stands_under_a_key_that_nobody_wants_is_hidden() {
        let want = json!({ "cpu": 512, "environment": { "A": "1" } });
        let live = json!({ "cpu": 256, "environment": { "A": "2", "URL": "mysql://u:p@h" } });
        let kept = Secrets::default().recordable(&live, &want);
        let expected = json!({ "cpu": 256, "environment": { "A": "2", "URL": HIDDEN } });
        assert_eq!(kept, expected);
    }
}
