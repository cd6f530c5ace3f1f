//! The commands that are interrupted, and the stacks they begin with.

/// A command under test.
pub struct Verb {
    pub name: &'static str,
    /// orderctl.toml of the stack that stands before; none for an empty account.
    pub before: Option<&'static str>,
    /// orderctl.toml of the command.
    pub after: &'static str,
    pub words: &'static [&'static str],
    pub store: Store,
}

/// Where a stack's state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// In the working directory.
    Directory,
    /// In S3, where its writes and those of its lock are calls like all others.
    Bucket,
}

/// The bucket that every account has.
pub const BUCKET: &str = "states-of-a-team";

/// The hosted zone that every account has; `ZONE` stands for its id.
pub const ZONE: &str = "ZONE";

pub const VERBS: [Verb; 8] = [
    Verb {
        name: "up, fresh",
        before: None,
        after: "",
        words: &["up", "--yes"],
        store: Store::Directory,
    },
    Verb {
        name: "up, with changes",
        before: Some(""),
        after: CHANGED,
        words: &["up", "--yes"],
        store: Store::Directory,
    },
    Verb {
        name: "up, with replacements",
        before: Some(REPLACED_BEFORE),
        after: REPLACED_AFTER,
        words: &["up", "--yes", "--allow-replace", "db-cluster"],
        store: Store::Directory,
    },
    Verb {
        name: "deploy",
        before: Some(""),
        after: "",
        words: &["deploy", "latest", "--yes"],
        store: Store::Directory,
    },
    Verb {
        name: "down",
        before: Some(""),
        after: "",
        words: &["down", "--yes"],
        store: Store::Directory,
    },
    Verb {
        name: "up, fresh, state in S3",
        before: None,
        after: "",
        words: &["up", "--yes"],
        store: Store::Bucket,
    },
    Verb {
        name: "deploy, state in S3",
        before: Some(""),
        after: "",
        words: &["deploy", "latest", "--yes"],
        store: Store::Bucket,
    },
    Verb {
        name: "down, state in S3",
        before: Some(""),
        after: "",
        words: &["down", "--yes"],
        store: Store::Bucket,
    },
];

/// Changes in place in every tier, beside new resources and some that go.
const CHANGED: &str = r#"
[network]
s3_endpoint = false
[database]
readers = 3
backup_retention_days = 8
[app.config]
feature = true
[app.env]
GREETING = "hello"
[scaling]
max = 12
[waf]
rate_limit = 200
allow_cidrs = ["203.0.113.0/24"]
[logs]
retention_days = 14
[alarms]
emails = ["ops@example.com"]
"#;

/// Another zone replaces a third of the network and all that is built on it, the database included; another domain
/// replaces the certificate, the new one first.
const REPLACED_BEFORE: &str = r#"
[network]
azs = ["us-east-1a", "us-east-1b", "us-east-1c"]
[edge]
domain = "orders.example.com"
zone_id = "ZONE"
test_cidrs = ["203.0.113.0/24"]
"#;

const REPLACED_AFTER: &str = r#"
[network]
azs = ["us-east-1a", "us-east-1b", "us-east-1d"]
[edge]
domain = "shop.example.com"
zone_id = "ZONE"
test_cidrs = ["198.51.100.0/24"]
"#;
