//! Grants as policy documents.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Grant;

/// How many characters a managed policy may have, white space not counted.
pub const LIMIT: usize = 6144;

/// Puts grants into as few documents as IAM's size allows. What is allowed on the same resources under the
/// same condition is one statement.
pub fn documents(grants: &[Grant]) -> Vec<Value> {
    // By condition, as text, and resources.
    let mut grouped: BTreeMap<(String, &[String]), Vec<&Grant>> = BTreeMap::new();
    for grant in grants {
        let condition = grant.condition.as_ref().map(Value::to_string);
        let key = (condition.unwrap_or_default(), grant.resources.as_slice());
        grouped.entry(key).or_default().push(grant);
    }
    let statement = |((_, resources), alike): ((String, &[String]), Vec<&Grant>)| {
        let actions: Vec<&str> = alike.iter().map(|grant| grant.action.as_str()).collect();
        let mut statement = json!({ "Effect": "Allow", "Action": actions, "Resource": resources });
        if let Some(condition) = alike.first().and_then(|grant| grant.condition.clone()) {
            statement["Condition"] = condition;
        }
        statement
    };
    let mut statements: Vec<Value> = grouped.into_iter().map(statement).collect();
    // Read from top to bottom, service by service.
    statements.sort_by_key(|statement| statement["Action"][0].to_string());
    let mut documents = Vec::new();
    let mut open: Vec<Value> = Vec::new();
    for statement in statements {
        open.push(statement);
        if size(&document(&open)) > LIMIT
            && let Some(last) = open.pop()
        {
            documents.push(document(&open));
            open = vec![last];
        }
    }
    documents.push(document(&open));
    documents
}

fn document(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// How many characters IAM counts.
pub fn size(document: &Value) -> usize {
    let text = document.to_string();
    text.chars().filter(|c| !c.is_whitespace()).count()
}
