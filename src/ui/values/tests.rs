use serde_json::json;

use super::*;

#[test]
fn secrets_are_masked_wherever_they_stand() {
    let spec = json!({
        "environment": { "DB_PASSWORD": "hunter2", "LOG_LEVEL": "info", "jwtSecret": "hunter2" },
        "containers": [{ "name": "API_KEY", "value": "hunter2" }, { "name": "PORT", "value": "80" }],
        "private_key": "hunter2",
        "token": { "inner": ["hunter2"] },
        "document": "{\"password\":\"hunter2\"}",
    });
    let covered = masked("", &spec);
    assert!(!covered.to_string().contains("hunter2"), "{covered}");
    assert_eq!(covered["environment"]["LOG_LEVEL"], "info");
    assert_eq!(covered["containers"][1]["value"], "80");
    assert_eq!(
        masked("environment.DB_PASSWORD", &json!("hunter2")),
        json!(SENSITIVE)
    );
}

#[test]
fn a_password_inside_of_an_address_is_masked_with_it() {
    for (text, is_masked) in [
        ("mysql://admin:hunter2@db:3306/orders", true),
        ("https://user:hunter2@example.com", true),
        ("https://example.com/a:b@c", false),
        ("arn:aws:s3:::bucket", false),
        ("user@example.com", false),
    ] {
        let value = masked("environment.URL", &json!(text));
        assert_eq!(value != json!(text), is_masked, "{text}");
    }
}

#[test]
fn what_only_speaks_of_secrets_is_shown() {
    let spec = json!({
        "secret": "order-api-db-password-dev",
        "secret_arn": "arn:aws:secretsmanager:us-east-1:1:secret:x",
        "password": "arn:aws:secretsmanager:us-east-1:1:secret:x",
        "password_length": "32",
        "manage_master_user_password": true,
        "token": crate::resource::UNKNOWN,
        "secrets": { "DB_CREDENTIALS": "order-api-db-password-dev" },
        "monkey": "banana",
    });
    assert_eq!(masked("", &spec), spec);
}

#[test]
fn texts_are_quoted_only_where_they_could_be_misread() {
    let cases = [
        (json!("10.0.0.0/16"), "10.0.0.0/16"),
        (json!("true"), "\"true\""),
        (json!("80"), "\"80\""),
        (json!(""), "\"\""),
        (json!(" a"), "\" a\""),
        (json!("a\u{1b}[2J"), "\"a\\u001b[2J\""),
        (json!(80), "80"),
        (json!(null), "(none)"),
        (json!(["a", 1]), "[a, 1]"),
        (json!({"a": {"b": true}, "c": null}), "{a: {b: true}}"),
    ];
    for (value, text) in cases {
        assert_eq!(inline(&value), text);
    }
}

#[test]
fn a_long_value_is_cut_where_its_parts_begin_and_never_longer_than_a_line() {
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "x".repeat(90) },
    ]});
    assert_eq!(
        inline(&policy),
        "{Version: 2012-10-17, Statement: [{3 fields}]}"
    );
    assert_eq!(inline(&json!("ü".repeat(200))).chars().count(), LINE);
}

#[test]
fn a_new_resource_is_described_field_by_field() {
    let want = json!({
        "cidr": "10.0.0.0/16",
        "unmanaged": null,
        "environment": { "A": "a".repeat(50), "B": "b".repeat(50) },
        "tags": {
            "Name": "order-vpc-dev", "Project": "order-api", "Environment": "dev",
            "ManagedBy": "orderctl", "orderctl:stack": "dev", "orderctl:node": "vpc",
            "team": "payments", "Tier": "public",
        },
    });
    let lines: Vec<String> = settings(&want)
        .into_iter()
        .map(|(path, text)| format!("{path}: {text}"))
        .collect();
    assert_eq!(
        lines,
        [
            "cidr: 10.0.0.0/16".to_owned(),
            format!("environment.A: {}", "a".repeat(50)),
            format!("environment.B: {}", "b".repeat(50)),
            "tags: 6 standard + team=payments, Tier=public".to_owned(),
        ]
    );
}

fn lines(path: &str, from: &Value, to: &Value) -> Vec<String> {
    differences(path, from, to)
        .into_iter()
        .map(|(path, text)| format!("{path}: {text}"))
        .collect()
}

#[test]
fn a_change_in_a_document_names_the_parts_that_change() {
    let statement = |action: &[&str], resource: &str| json!({ "Effect": "Allow", "Sid": "s".repeat(60), "Action": action, "Resource": resource });
    let from = json!([
        statement(&["s3:GetObject"], "a"),
        statement(&["sns:Publish"], "b")
    ]);
    let to = json!([
        statement(&["s3:GetObject", "s3:PutObject"], "a"),
        statement(&["sns:Publish"], "c")
    ]);
    let expected = [
        "policy.Statement[0].Action: [s3:GetObject] -> [s3:GetObject, s3:PutObject]",
        "policy.Statement[1].Resource: b -> c",
    ];
    assert_eq!(lines("policy.Statement", &from, &to), expected);
    // The same as a text that is a document.
    let (from, to) = (json!(from.to_string()), json!(to.to_string()));
    assert_eq!(lines("policy.Statement", &from, &to), expected);
}

#[test]
fn long_lists_show_what_is_added_and_removed() {
    let names = |range: std::ops::Range<u32>| -> Value {
        range.map(|n| json!(format!("subnet-{n:04}"))).collect()
    };
    assert_eq!(
        lines("subnets", &names(0..10), &names(1..11)),
        ["subnets: + subnet-0010; - subnet-0000"]
    );
    let mut reversed = names(0..10);
    reversed.as_array_mut().unwrap().reverse();
    assert_eq!(
        lines("subnets", &names(0..10), &reversed),
        ["subnets: in another order"]
    );
}

#[test]
fn long_texts_show_the_place_where_they_differ() {
    let text = |end: &str| json!(format!("{}{end}", "a".repeat(200)));
    assert_eq!(
        lines("note", &text("bc"), &text("xy")),
        ["note: …aaaaaaaaaabc -> …aaaaaaaaaaxy"]
    );
}

#[test]
fn no_change_fills_the_screen() {
    let map = |value: &str| -> Value {
        Value::Object(
            (0..40)
                .map(|n| (format!("key-{n:02}"), json!(value)))
                .collect(),
        )
    };
    let lines = lines("big", &map("old"), &map("new"));
    assert_eq!(lines.len(), PARTS + 1);
    assert_eq!(lines[PARTS], "big: … and 28 more differences");
}
