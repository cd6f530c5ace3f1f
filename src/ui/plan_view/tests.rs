use serde_json::json;

use super::*;
use crate::resource::{Address, AnyLive, Changes, Identity, Operations, Profile, Times};

const PROFILE: Profile = Profile {
    kind: "test/thing",
    identity: Identity::Name,
    replace_on: &["cidr", "engine"],
    runtime_owned: &["desired_count"],
    replacement: Replacement::DeleteFirst,
    holds_inputs: true,
    holds_data: false,
    shared: false,
    delete_is_final: false,
    outputs_change_on_update: false,
    replace_when_failed: false,
    made_by_aws_under: None,
    operations: Operations::NONE,
    times: Times::QUICK,
    refusals: &[],
    pace: 1.0,
};

fn node(action: Action, kind: &str, address: &str) -> PlannedNode {
    let live = AnyLive {
        outputs: json!({}),
        spec: json!({}),
        condition: Condition::Ready,
    };
    PlannedNode {
        address: Address::new(address).unwrap(),
        kind: kind.to_owned(),
        action,
        changes: Changes::default(),
        runtime: Changes::default(),
        reason: None,
        want: json!({}),
        live: (action != Action::Create).then_some(live),
        profile: PROFILE,
    }
}

fn change(path: &str, from: Value, to: Value) -> FieldChange {
    FieldChange {
        path: path.to_owned(),
        from,
        to,
        drift: false,
    }
}

fn every_action() -> Plan {
    let vpc = PlannedNode {
        want: json!({ "cidr": "10.0.0.0/16", "dns": true, "owner": null }),
        ..node(Action::Create, "ec2/vpc", "vpc")
    };
    let subnet = PlannedNode {
        want: json!({ "vpc": UNKNOWN, "name": format!("arn:{UNKNOWN}/x") }),
        reason: Some("drift: it was made before and is gone from AWS".to_owned()),
        ..node(Action::Create, "ec2/subnet", "public-subnet-1")
    };
    let group = PlannedNode {
        changes: Changes(vec![
            change("retention_days", json!(7), json!(14)),
            FieldChange {
                drift: true,
                ..change("class", json!("IA"), json!("STANDARD"))
            },
            change("kms_key", json!("k"), Value::Null),
        ]),
        ..node(Action::Update, "logs/log_group", "ecs-logs")
    };
    let service = PlannedNode {
        runtime: Changes(vec![change("desired_count", json!(5), json!(3))]),
        ..node(Action::NoChange, "ecs/service", "service")
    };
    let cluster = PlannedNode {
        changes: Changes(vec![
            change("engine", json!("aurora"), json!("aurora-mysql")),
            change("backup_days", json!(1), json!(7)),
        ]),
        profile: Profile {
            holds_data: true,
            ..PROFILE
        },
        ..node(Action::Replace, "rds/db_cluster", "db-cluster")
    };
    let target_group = PlannedNode {
        changes: Changes(vec![FieldChange {
            drift: true,
            ..change("cidr", json!("a"), json!("b"))
        }]),
        reason: Some("it failed: quota".to_owned()),
        profile: Profile {
            replacement: Replacement::CreateFirst,
            ..PROFILE
        },
        ..node(Action::Replace, "elbv2/target_group", "target-group-blue")
    };
    let role = PlannedNode {
        reason: Some("it exists and is ours; the state does not know it".to_owned()),
        ..node(Action::Adopt, "iam/role", "task-role")
    };
    let mut gateway = node(Action::NoChange, "ec2/nat_gateway", "nat-gateway-1");
    gateway.live.as_mut().unwrap().condition = Condition::Pending("pending".to_owned());
    let reader = PlannedNode {
        reason: Some("it is not declared any more".to_owned()),
        ..node(Action::Delete, "rds/db_instance", "db-reader-2")
    };
    Plan {
        nodes: vec![
            vpc,
            subnet,
            group,
            service,
            cluster,
            target_group,
            role,
            gateway,
            node(Action::NoChange, "sns/topic", "alarms"),
            reader,
        ],
        ..Plan::default()
    }
}

#[test]
fn every_action_reads_without_colour() {
    insta::assert_snapshot!(render(&every_action(), &Style::PLAIN, true), @r"
    + create  ec2/vpc vpc
        cidr: 10.0.0.0/16
        dns: true
    + create  ec2/subnet public-subnet-1 (drift: it was made before and is gone from AWS)
        vpc: (known after apply)
        name: arn:(known after apply)/x
    ~ update  logs/log_group ecs-logs
        retention_days: 7 -> 14
        class: IA -> STANDARD (drift: changed outside orderctl)
        kms_key: k -> (none)
    = no change ecs/service service
        desired_count: 5 (declared 3; owned by the running system)
    ± replace rds/db_cluster db-cluster (delete, then create) DESTROYS DATA
        engine: aurora -> aurora-mysql (forces replacement)
        backup_days: 1 -> 7
    ± replace elbv2/target_group target-group-blue (create, then delete; it failed: quota)
        cidr: a -> b (forces replacement; drift: changed outside orderctl)
    ↪ adopt   iam/role task-role (it exists and is ours; the state does not know it)
    … creating (waits) ec2/nat_gateway nat-gateway-1 (AWS says pending)
    = no change sns/topic alarms
    - delete  rds/db_instance db-reader-2 (it is not declared any more)

    Plan: 2 to create, 1 to adopt, 1 to update, 2 to replace, 1 to delete, 2 unchanged, 1 to wait for.
    ");
}

#[test]
fn what_stays_is_left_out_unless_asked_for() {
    let text = render(&every_action(), &Style::PLAIN, false);
    assert!(!text.contains("sns/topic"), "{text}");
    assert!(
        text.contains("ecs/service"),
        "a difference of the running system is shown: {text}"
    );
}

#[test]
fn colours_are_only_an_addition() {
    let plan = every_action();
    let plain = render(&plan, &Style::PLAIN, true);
    let coloured = render(&plan, &Style { colour: true }, true);
    assert!(!plain.contains('\u{1b}'));
    assert!(coloured.contains('\u{1b}'));
    assert_eq!(crate::ui::style::without_colours(&coloured), plain);
}

#[test]
fn no_secret_is_printed_by_any_action() {
    let spec = json!({ "master_password": "hunter2", "env": { "API_TOKEN": "hunter2" } });
    let create = PlannedNode {
        want: spec.clone(),
        ..node(Action::Create, "a/b", "one")
    };
    let mut update = node(Action::Update, "a/b", "two");
    update.changes = Changes(vec![
        change("master_password", json!("hunter2"), json!("hunter22")),
        change("env.API_TOKEN", Value::Null, json!("hunter2")),
        change("env", spec["env"].clone(), json!({})),
    ]);
    update.runtime = Changes(vec![change("token", json!("hunter2"), json!("hunter2"))]);
    let plan = Plan {
        nodes: vec![create, update],
        ..Plan::default()
    };
    let text = render(&plan, &Style::PLAIN, true);
    assert!(!text.contains("hunter2"), "{text}");
    assert!(
        text.contains("master_password: (sensitive) -> (sensitive)"),
        "{text}"
    );
    assert!(!to_json(&plan).to_string().contains("hunter2"));
}

#[test]
fn a_resource_of_somebody_else_is_an_error_and_not_taken_over() {
    let mut theirs = node(Action::Adopt, "iam/role", "task-role");
    theirs.live.as_mut().unwrap().outputs = json!({ "arn": "arn:aws:iam::1:role/ecs-task-dev" });
    let plan = Plan {
        nodes: vec![theirs.clone()],
        foreign: vec![theirs],
        ..Plan::default()
    };
    insta::assert_snapshot!(render(&plan, &Style::PLAIN, true), @r"
    error: iam/role task-role (arn:aws:iam::1:role/ecs-task-dev) exists and is not this stack's
    hint: use another suffix, delete it, or take it over with `orderctl up --adopt`
    Plan: 0 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged, 1 not this stack's.
    ");
}

#[test]
fn nothing_to_do_is_said_in_one_line() {
    let plan = Plan {
        nodes: vec![node(Action::NoChange, "a/b", "one")],
        ..Plan::default()
    };
    assert_eq!(
        render(&plan, &Style::PLAIN, false),
        "No changes: the stack is as declared."
    );
}

#[test]
fn a_resource_that_failed_is_not_called_unchanged() {
    let mut failed = node(Action::NoChange, "acm/certificate", "certificate");
    failed.live.as_mut().unwrap().condition = Condition::Failed("CAA_ERROR".to_owned());
    let plan = Plan {
        nodes: vec![failed],
        ..Plan::default()
    };
    insta::assert_snapshot!(render(&plan, &Style::PLAIN, false), @r"
    ! failed  acm/certificate certificate (AWS says CAA_ERROR)

    Plan: 0 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged, 1 failed.
    ");
}

#[test]
fn the_json_says_what_the_text_says() {
    let json = to_json(&every_action());
    assert_eq!(json["hasChanges"], true);
    assert_eq!(
        json["summary"],
        json!({
            "create": 2, "adopt": 1, "update": 1, "replace": 2, "delete": 1,
            "unchanged": 2, "waiting": 1, "failed": 0,
        })
    );
    let node = |address: &str| {
        let nodes = json["nodes"].as_array().unwrap();
        nodes
            .iter()
            .find(|node| node["address"] == address)
            .unwrap()
            .clone()
    };
    assert_eq!(
        node("vpc"),
        json!({
            "address": "vpc", "kind": "ec2/vpc", "action": "create", "order": null,
            "reason": null, "waiting": false, "failure": null, "destroysData": false,
            "takenOver": null,
            "changes": [
                { "path": "cidr", "from": null, "to": "10.0.0.0/16", "drift": false,
                  "forcesReplacement": false },
                { "path": "dns", "from": null, "to": true, "drift": false,
                  "forcesReplacement": false },
            ],
            "runtimeOwned": [],
        })
    );
    let cluster = node("db-cluster");
    assert_eq!(
        (&cluster["destroysData"], &cluster["order"]),
        (&json!(true), &json!("deleteFirst"))
    );
    assert_eq!(cluster["changes"][0]["forcesReplacement"], true);
    assert_eq!(cluster["changes"][1]["forcesReplacement"], false);
    assert_eq!(node("ecs-logs")["changes"][1]["drift"], true);
    assert_eq!(node("nat-gateway-1")["waiting"], true);
    assert_eq!(
        node("service")["runtimeOwned"],
        json!([{ "path": "desired_count", "live": 5, "declared": 3 }])
    );
}
