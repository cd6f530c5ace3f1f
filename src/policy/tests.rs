//! What is printed against what the kinds call, and against what AWS knows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::config::Config;
use crate::resource::Operations;
use crate::stack::{Facts, declare};

fn subject() -> Subject {
    let facts = Facts {
        account: "123456789012".into(),
        availability_zones: ["a", "b", "c"].map(str::to_owned),
        has_image: true,
        running: None,
    };
    let declared = declare(&"dev".parse().unwrap(), &Config::default(), &facts).unwrap();
    Subject {
        suffix: "dev".into(),
        account: "123456789012".into(),
        region: "eu-west-1".into(),
        states: None,
        zone: None,
        kinds: declared
            .nodes
            .into_iter()
            .map(|node| node.kind.to_owned())
            .collect(),
    }
}

/// The actions that the sources of a service's kinds name, outside of tests.
fn called(service: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(service).unwrap() {
        let text = match fs::read_to_string(entry.unwrap().path()) {
            Ok(text) => text,
            // A folder of tests.
            Err(_) => continue,
        };
        let code = text.split("#[cfg(test)]").next().unwrap();
        // What a kind declares is no call.
        let mut calls = String::new();
        let mut is_declared = false;
        for line in code.lines() {
            is_declared |= line.contains("const OPERATIONS: Operations");
            if !is_declared {
                calls.push_str(line);
                calls.push('\n');
            }
            is_declared &= line != "    };";
        }
        for part in calls.split('"').skip(1).step_by(2) {
            let is_action = part.split_once(':').is_some_and(|(service, operation)| {
                let is_service = service
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                let is_operation = operation.starts_with(|c: char| c.is_ascii_uppercase())
                    && operation.bytes().all(|b| b.is_ascii_alphanumeric());
                is_service && is_operation && service != "aws"
            });
            if is_action {
                found.insert(part.to_owned());
            }
        }
    }
    found
}

/// What is needed without a call of that name: other services ask for it with the caller's permissions.
const IMPLIED: &[&str] = &[
    "cloudwatch:DeleteAlarms",
    "cloudwatch:PutMetricAlarm",
    "elasticloadbalancing:CreateWebACLAssociation",
    "elasticloadbalancing:DeleteWebACLAssociation",
    "elasticloadbalancing:GetLoadBalancerWebACL",
    "elasticloadbalancing:SetWebAcl",
    "iam:PassRole",
    "rds:CreateDBClusterSnapshot",
    "secretsmanager:GetSecretValue",
];

/// What of `service` commands alone call.
const BY_COMMANDS: &[&str] = &[
    "ecs:ContinueServiceDeployment",
    "ecs:DescribeServiceRevisions",
    "logs:GetLogEvents",
];

#[test]
fn kinds_declare_what_they_call_and_nothing_else() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let kinds = src.join("kinds");
    let mut declared: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for profile in profiles() {
        let Operations {
            read,
            create,
            update,
            delete,
        } = profile.operations;
        assert!(!read.is_empty(), "{} reads nothing", profile.kind);
        let folder = profile.kind.split('/').next().unwrap();
        let all = [read, create, update, delete].concat();
        declared
            .entry(folder.to_owned())
            .or_default()
            .extend(all.into_iter().map(str::to_owned));
    }
    for (folder, declared) in declared {
        let mut called = called(&kinds.join(&folder));
        if folder == "ecs" {
            called.extend(self::called(&src.join("service")));
            called.retain(|action| !BY_COMMANDS.contains(&action.as_str()));
        }
        // Questions of commands about images; see `commands.rs`.
        called.retain(|action| action != "ecr:DescribeImages");
        let missing: Vec<_> = called.difference(&declared).collect();
        assert!(
            missing.is_empty(),
            "{folder} calls {missing:?} and declares it nowhere"
        );
        let surplus: Vec<_> = declared
            .difference(&called)
            .filter(|action| !IMPLIED.contains(&action.as_str()))
            .collect();
        assert!(
            surplus.is_empty(),
            "{folder} declares {surplus:?} and calls it nowhere"
        );
    }
}

#[test]
fn documents_are_within_the_limit_and_allow_what_was_granted() {
    let subject = subject();
    for verb in Verb::ALL {
        let grants = grants(&[verb], &subject);
        let documents = documents(&grants);
        let mut allowed = Vec::new();
        for document in &documents {
            assert!(size(document) <= LIMIT, "{verb:?}: {}", size(document));
            assert_eq!(document["Version"], "2012-10-17");
            for statement in document["Statement"].as_array().unwrap() {
                assert_eq!(statement["Effect"], "Allow");
                for action in statement["Action"].as_array().unwrap() {
                    allowed.push((
                        action.clone(),
                        statement["Resource"].clone(),
                        statement.get("Condition").cloned(),
                    ));
                }
            }
        }
        let mut expected: Vec<_> = grants
            .into_iter()
            .map(|grant| (json!(grant.action), json!(grant.resources), grant.condition))
            .collect();
        let key = |it: &(Value, Value, Option<Value>)| format!("{it:?}");
        allowed.sort_by_key(key);
        expected.sort_by_key(key);
        assert_eq!(allowed, expected, "{verb:?}");
    }
}

#[test]
fn what_writes_is_narrowed_to_the_stack() {
    let subject = subject();
    // Those for which AWS knows neither resource nor tag.
    let unlimited = [
        "ecs:DeregisterTaskDefinition",
        "elasticloadbalancing:SetWebAcl",
        "sns:Unsubscribe",
    ];
    for grant in grants(&Verb::ALL, &subject) {
        let (_, operation) = grant.action.split_once(':').unwrap();
        let reads = ["Describe", "Filter", "Get", "List", "Batch", "Simulate"]
            .iter()
            .any(|word| operation.starts_with(word));
        if !reads && !unlimited.contains(&grant.action.as_str()) {
            let is_ours = |resource: &String| {
                resource != "*" && (resource.contains("-dev") || resource.contains("/dev/"))
            };
            let ours = grant.resources.iter().any(is_ours) || grant.condition.is_some();
            // An interface that a service forgot carries no tag of ours.
            assert!(
                ours || grant.action == "ec2:DeleteNetworkInterface",
                "{grant:?}"
            );
        }
        for resource in &grant.resources {
            assert!(
                resource == "*" || resource.starts_with("arn:aws:"),
                "{resource}"
            );
        }
    }
}

#[test]
fn a_verb_has_what_it_does_and_not_what_others_do() {
    let subject = subject();
    let actions_of = |verb| {
        let pairs = actions(verb, &subject).into_iter();
        pairs.map(|(action, _)| action).collect::<BTreeSet<_>>()
    };
    let reads_only = actions_of(Verb::Plan);
    let reading = ["Describe", "Get", "List"];
    for action in &reads_only {
        let (_, operation) = action.split_once(':').unwrap();
        assert!(
            reading.iter().any(|word| operation.starts_with(word)),
            "plan has {action}"
        );
        assert_ne!(action, "secretsmanager:GetSecretValue");
    }
    let up = actions_of(Verb::Up);
    assert!(up.is_superset(&reads_only));
    assert!(up.contains("iam:CreateServiceLinkedRole") && up.contains("rds:CreateDBCluster"));
    // Without `edge.domain` no record is made, though one of an earlier time may be deleted.
    assert!(!up.contains("acm:RequestCertificate"));
    let down = actions_of(Verb::Down);
    assert!(down.contains("rds:DeleteDBCluster") && !down.contains("rds:CreateDBCluster"));
    assert!(
        !actions_of(Verb::Push)
            .iter()
            .any(|action| action.contains("Delete"))
    );
    assert!(!actions_of(Verb::Deploy).contains("ecs:CreateService"));
    let looking = ["BatchGet", "Describe", "Filter", "Get", "List", "Simulate"];
    for verb in [Verb::Status, Verb::Logs, Verb::Doctor] {
        for action in actions_of(verb) {
            let (_, operation) = action.split_once(':').unwrap();
            let looks = looking.iter().any(|word| operation.starts_with(word));
            assert!(
                looks && action != "secretsmanager:GetSecretValue",
                "{verb:?} has {action}"
            );
        }
    }
}

#[test]
fn places_and_choices_are_part_of_it() {
    let mut subject = subject();
    subject.region = "cn-north-1".into();
    subject.states = Some(("states".into(), "team/".into()));
    subject.kinds.remove("secretsmanager/secret");
    let grants = grants(&[Verb::Up], &subject);
    let on = |action: &str| {
        let mut grants = grants.iter().filter(|grant| grant.action == action);
        let found = grants.next().unwrap_or_else(|| panic!("no {action}"));
        found.clone()
    };
    assert_eq!(
        on("ecr:CreateRepository").resources,
        ["arn:aws-cn:ecr:cn-north-1:123456789012:repository/order-api-dev"]
    );
    assert_eq!(
        on("s3:PutObject").resources,
        ["arn:aws-cn:s3:::states/team/*"]
    );
    // Nobody's records can be written while no zone is declared, and then those of one zone alone.
    let records = on("route53:ChangeResourceRecordSets");
    let deletes = &records.condition.unwrap()["ForAllValues:StringEquals"];
    assert_eq!(
        deletes["route53:ChangeResourceRecordSetsActions"],
        json!(["DELETE"])
    );
    let list = on("s3:ListBucket");
    assert_eq!(list.resources, ["arn:aws-cn:s3:::states"]);
    assert_eq!(list.condition.unwrap()["StringLike"]["s3:prefix"], "team/*");
    assert!(on("secretsmanager:CreateSecret").resources[0].ends_with(":secret:rds!cluster-*"));
    let pass = on("iam:PassRole").condition.unwrap();
    assert_eq!(
        pass["StringEquals"]["iam:PassedToService"][0],
        "ecs-tasks.amazonaws.com"
    );
}
