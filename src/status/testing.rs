//! The stack that tests of the readers and of the view look at.

use super::Subject;

/// The stack `dev`.
pub(crate) fn subject() -> Subject {
    let name = |base: &str| format!("{base}-dev");
    Subject {
        stack: "dev".to_owned(),
        account: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
        cluster: name("order-api"),
        service: name("order-api"),
        container: "order-api".to_owned(),
        repository: name("order-api"),
        blue: name("order-blue"),
        green: name("order-green"),
        web_acl: name("order-api-waf"),
        db_cluster: name("order-api"),
        alarms: vec![name("order-api-high-errors"), name("order-api-db-failures")],
    }
}
