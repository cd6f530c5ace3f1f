//! Comparison of IAM policy documents by meaning. IAM gives documents back URL-encoded and, in
//! places, in another form than they were sent (field guide, section 9), so text or plain JSON
//! equality would report drift that is none.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::resource::Document;

/// Reads a document as IAM returned it. If it means the same as the wanted one it is given in the
/// wanted form, so that it does not count as a difference.
pub(super) fn read(encoded: &str, want: Option<&Document>) -> Document {
    let live = Document::parse(&percent_decode_str(encoded).decode_utf8_lossy());
    match want {
        Some(want) if equivalent(want, &live) => want.clone(),
        _ => live,
    }
}

/// Says whether two policy documents grant the same.
fn equivalent(one: &Document, other: &Document) -> bool {
    policy(&one.0) == policy(&other.0)
}

fn policy(document: &Value) -> Value {
    let Value::Object(fields) = document else {
        return document.clone();
    };
    // A document without a version is read by the rules of the oldest one.
    let version = ("Version".to_owned(), Value::from("2008-10-17"));
    let given = fields.iter().map(|(key, value)| match key.as_str() {
        "Statement" => (key.clone(), set(each(value).map(statement))),
        _ => (key.clone(), value.clone()),
    });
    object(std::iter::once(version).chain(given))
}

fn statement(value: &Value) -> Value {
    let Value::Object(fields) = value else {
        return value.clone();
    };
    let meaningful = fields
        .iter()
        .filter(|(key, value)| match key.as_str() {
            "Sid" => value.as_str() != Some(""),
            "Condition" => value.as_object().is_none_or(|map| !map.is_empty()),
            _ => true,
        })
        .map(|(key, value)| {
            let value = match key.as_str() {
                "Action" | "NotAction" => set(each(value).map(lower_case)),
                "Resource" | "NotResource" => set(each(value).cloned()),
                "Principal" | "NotPrincipal" => principal(value),
                "Condition" => condition(value),
                _ => value.clone(),
            };
            (key.clone(), value)
        });
    object(meaningful)
}

fn principal(value: &Value) -> Value {
    match value {
        Value::Object(kinds) => object(kinds.iter().map(|(kind, names)| {
            let names = set(each(names).map(|name| match kind.as_str() {
                "AWS" => account_of_root(name),
                _ => name.clone(),
            }));
            (kind.clone(), names)
        })),
        // A bare `*` is every AWS principal.
        everybody => object([("AWS".to_owned(), set(each(everybody).cloned()))]),
    }
}

/// Shortens `arn:aws:iam::123456789012:root` to the account's id; both name the same principal.
fn account_of_root(name: &Value) -> Value {
    let account = name.as_str().and_then(|text| {
        let account = text.strip_prefix("arn:")?.split_once(":iam::")?.1;
        account.strip_suffix(":root")
    });
    account.map_or_else(|| name.clone(), Value::from)
}

/// Operators hold keys, and keys hold alternatives. Names of condition keys ignore case, and IAM
/// takes numbers and booleans as texts.
fn condition(value: &Value) -> Value {
    let Value::Object(operators) = value else {
        return value.clone();
    };
    object(operators.iter().map(|(operator, keys)| {
        let keys = match keys {
            Value::Object(keys) => object(
                keys.iter()
                    .map(|(key, values)| (key.to_lowercase(), set(each(values).map(as_text)))),
            ),
            other => other.clone(),
        };
        (operator.clone(), keys)
    }))
}

fn as_text(value: &Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        _ => value.clone(),
    }
}

/// Names of actions ignore case: `SNS:Publish` is `sns:publish`.
fn lower_case(value: &Value) -> Value {
    value
        .as_str()
        .map_or_else(|| value.clone(), |text| Value::from(text.to_lowercase()))
}

/// Takes a list's elements, or a lone element as a list of one.
fn each(value: &Value) -> std::slice::Iter<'_, Value> {
    match value {
        Value::Array(items) => items.iter(),
        lone => std::slice::from_ref(lone).iter(),
    }
}

/// A list whose order and repetitions mean nothing.
fn set(values: impl Iterator<Item = Value>) -> Value {
    let by_text: BTreeMap<String, Value> = values.map(|v| (v.to_string(), v)).collect();
    by_text.into_values().collect()
}

/// An object with its keys in order, so that equal objects have equal texts for [`set`].
fn object(fields: impl IntoIterator<Item = (String, Value)>) -> Value {
    let in_order: BTreeMap<String, Value> = fields.into_iter().collect();
    Value::Object(in_order.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use serde_json::json;

    use super::*;

    fn with(statement: Value) -> Document {
        Document(json!({ "Version": "2012-10-17", "Statement": statement }))
    }

    fn allow(field: &str, value: Value) -> Document {
        let mut statement = json!({ "Effect": "Allow" });
        statement[field] = value;
        with(json!([statement]))
    }

    #[test]
    fn documents_that_grant_the_same_are_equivalent() {
        let root = "arn:aws:iam::123456789012:root";
        let cases = [
            (
                "one statement is a list of one",
                with(json!({ "Effect": "Allow", "Action": "s3:GetObject" })),
                with(json!([{ "Action": "s3:GetObject", "Effect": "Allow" }])),
            ),
            (
                "the order of statements",
                with(json!([{ "Sid": "A", "Effect": "Allow" }, { "Sid": "B", "Effect": "Deny" }])),
                with(json!([{ "Effect": "Deny", "Sid": "B" }, { "Effect": "Allow", "Sid": "A" }])),
            ),
            (
                "one action is a list of one",
                allow("Action", json!("ssm:GetParameter")),
                allow("Action", json!(["ssm:GetParameter"])),
            ),
            (
                "order and case of actions",
                allow("Action", json!(["ssm:GetParameter", "SSM:GetParameters"])),
                allow("Action", json!(["ssm:GetParameters", "ssm:GetParameter"])),
            ),
            (
                "the order of resources",
                allow("Resource", json!(["arn:a", "arn:b"])),
                allow("Resource", json!(["arn:b", "arn:a"])),
            ),
            (
                "an account is its root",
                allow("Principal", json!({ "AWS": "123456789012" })),
                allow("Principal", json!({ "AWS": [root] })),
            ),
            (
                "everybody",
                allow("Principal", json!("*")),
                allow("Principal", json!({ "AWS": "*" })),
            ),
            (
                "keys and values of conditions",
                allow(
                    "Condition",
                    json!({ "Bool": { "aws:SecureTransport": true } }),
                ),
                allow(
                    "Condition",
                    json!({ "Bool": { "AWS:SecureTransport": ["true"] } }),
                ),
            ),
            (
                "an empty statement id and no conditions",
                with(json!([{ "Effect": "Allow", "Sid": "", "Condition": {} }])),
                with(json!([{ "Effect": "Allow" }])),
            ),
            (
                "no version is the oldest one",
                Document(json!({ "Statement": [] })),
                Document(json!({ "Version": "2008-10-17", "Statement": [] })),
            ),
        ];
        for (reason, one, other) in cases {
            assert!(equivalent(&one, &other), "{reason}");
        }
    }

    #[test]
    fn documents_that_grant_different_things_are_not() {
        let cases = [
            (
                "effect",
                with(json!([{ "Effect": "Allow", "Action": "*" }])),
                with(json!([{ "Effect": "Deny", "Action": "*" }])),
            ),
            (
                "one action more",
                allow("Action", json!("s3:GetObject")),
                allow("Action", json!(["s3:GetObject", "s3:PutObject"])),
            ),
            (
                "resources respect case",
                allow("Resource", json!("arn:aws:s3:::a/Key")),
                allow("Resource", json!("arn:aws:s3:::a/key")),
            ),
            (
                "a role of an account is not the account",
                allow("Principal", json!({ "AWS": "123456789012" })),
                allow(
                    "Principal",
                    json!({ "AWS": "arn:aws:iam::123456789012:role/x" }),
                ),
            ),
            (
                "a deleted principal",
                allow(
                    "Principal",
                    json!({ "AWS": "arn:aws:iam::123456789012:role/x" }),
                ),
                allow("Principal", json!({ "AWS": "AROAEXAMPLE" })),
            ),
            (
                "a service is not an account",
                allow("Principal", json!({ "Service": "ecs.amazonaws.com" })),
                allow("Principal", json!({ "AWS": "ecs.amazonaws.com" })),
            ),
            (
                "a condition",
                allow("Action", json!("*")),
                with(json!([{
                    "Effect": "Allow",
                    "Action": "*",
                    "Condition": { "StringEquals": { "aws:SourceAccount": "1" } },
                }])),
            ),
            (
                "version",
                Document(json!({ "Version": "2008-10-17" })),
                Document(json!({ "Version": "2012-10-17" })),
            ),
        ];
        for (reason, one, other) in cases {
            assert!(!equivalent(&one, &other), "{reason}");
        }
    }

    #[test]
    fn an_equivalent_document_takes_the_wanted_form_and_another_one_is_shown_as_it_is() {
        let live = allow("Action", json!(["b:C", "a:B"]));
        let encoded = utf8_percent_encode(&live.to_string(), NON_ALPHANUMERIC).to_string();
        let want = allow("Action", json!(["a:B", "b:C"]));
        assert_eq!(read(&encoded, Some(&want)), want);
        assert_eq!(read(&encoded, Some(&allow("Action", json!("a:B")))), live);
        assert_eq!(read(&encoded, None), live);
    }
}
