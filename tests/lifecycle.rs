//! The life of a stack, told with the real binary on its sandbox: up, nothing to do, drift, what the
//! running system owns, interruptions, refusals, down. The contract of names and settings is
//! compared by `audit/stack_audit.py`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod driver;
#[path = "lifecycle/killed.rs"]
mod killed;
#[path = "lifecycle/sweep.rs"]
mod sweep;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use driver::{Sandbox, Stack};
use serde_json::{Value, json};

/// Settings whose traces the audit looks for: tags, an address to mail, who may test.
const WATCHED: &str = r#"
[tags]
CostCenter = "4711"
[alarms]
emails = ["ops@example.com"]
[edge]
test_cidrs = ["203.0.113.0/24"]
"#;

/// Compares the live stack with the contract and returns the violated facts.
fn audit(stack: &Stack<'_>, settings: &str, running: bool) -> Vec<String> {
    let is_watched = settings == WATCHED;
    let question = json!({
        "suffix": stack.suffix,
        "outputs": stack.outputs(),
        "tags": if is_watched { json!({ "CostCenter": "4711" }) } else { json!({}) },
        "emails": if is_watched { json!(["ops@example.com"]) } else { json!([]) },
        "testCidrs": if is_watched { json!(["203.0.113.0/24"]) } else { json!([]) },
        "running": running,
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit/stack_audit.py");
    let mut child = stack
        .sandbox
        .boto3()
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(question.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{errors}");
    let facts: u32 = errors.split(' ').next().unwrap().parse().unwrap();
    assert!(facts > 350, "only {facts} facts were looked at");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn expect_as_contracted(stack: &Stack<'_>, settings: &str, running: bool) {
    let wrong = audit(stack, settings, running);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How many things of each kind there are.
fn counts(inventory: &Value) -> BTreeMap<String, usize> {
    let kinds = inventory.as_object().unwrap().iter();
    kinds
        .map(|(kind, names)| (kind.clone(), names.as_array().unwrap().len()))
        .collect()
}

fn push_image(stack: &Stack<'_>) {
    stack.aws(include_str!("lifecycle/image.py"));
}

#[test]
fn a_fresh_stack_is_as_contracted_parked_and_running() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("full");
    stack.configure(WATCHED);
    let run = stack.up(&[]);
    // The 84 of the default stack, one mail subscription, one rule for the testers.
    let run = run.shows(&["86 created", "parked at 0 tasks", "orderctl push IMAGE"]);
    assert!(run.stdout.contains("albDnsName"), "{run}");
    expect_as_contracted(&stack, WATCHED, false);

    push_image(&stack);
    stack
        .plan()
        .expect(&["update scalable-target", "update service"]);
    let run = stack.up(&[]);
    assert!(!run.stderr.contains("parked"), "{run}");
    stack.plan().expect_empty();
    expect_as_contracted(&stack, WATCHED, true);
}

#[test]
fn outputs_are_printed_in_every_form() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("out");
    stack.run(&["outputs"]).ends_with(1).shows(&["orderctl up"]);
    stack.up(&[]);
    let outputs = stack.outputs();
    assert_eq!(outputs.as_object().unwrap().len(), 15);
    let vpc = stack.aws(
        r#"ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["order-vpc-{s}"]}])["Vpcs"][0]["VpcId"]"#,
    );
    assert_eq!(outputs["vpcId"], vpc);
    let vpc = vpc.as_str().unwrap();
    let one = stack.run(&["outputs", "vpcId"]).ends_with(0);
    assert_eq!(one.stdout, format!("{vpc}\n"));
    for (format, line) in [
        ("env", format!("VPC_ID={vpc}\n")),
        ("github", format!("vpcId={vpc}\n")),
    ] {
        let run = stack
            .run(&["outputs", "--format", format])
            .ends_with(0)
            .shows(&[&line]);
        assert_eq!(run.stdout.lines().count(), 15, "{run}");
    }
    stack
        .run(&["outputs", "vpcid"])
        .ends_with(2)
        .shows(&["vpcId"]);
}

#[test]
fn nothing_to_do_writes_nothing_and_down_leaves_nothing() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("dev");
    let before = stack.aws("inventory()");
    stack.up(&[]);
    let after_up = stack.aws("inventory()");

    let again = stack.up(&[]).shows(&["No changes"]);
    assert_eq!(again.calls().1, 0, "{again}");
    let plan = stack.plan();
    plan.expect_empty();
    let (reads, writes) = plan.run.calls();
    assert_eq!(writes, 0);
    assert!(reads <= 60, "a plan that finds nothing made {reads} reads");
    assert_eq!(stack.aws("inventory()"), after_up);

    stack.run(&["down"]).ends_with(2).shows(&["--yes"]);
    assert_eq!(stack.aws("inventory()"), after_up);
    stack.down(&[]).shows(&["Nothing of stack `dev` is left"]);
    assert_eq!(stack.aws("inventory()"), before);
    assert!(!stack.state_file().exists());
    let second = stack.down(&[]).shows(&["There is nothing of stack `dev`"]);
    assert!(!second.stderr.contains("deleted"), "{second}");

    // And the names are free again.
    stack.up(&[]);
    assert_eq!(counts(&stack.aws("inventory()")), counts(&after_up));
}

#[test]
fn drift_is_named_and_put_right() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("dev");
    stack.up(&[]);
    stack.aws(include_str!("lifecycle/drift.py"));

    let plan = stack.plan();
    assert_eq!(plan.run.code, Some(4));
    let updated = [
        "alb-to-tasks",
        "blue-target-group",
        "config-parameter",
        "dashboard",
        "db-cluster",
        "high-errors-alarm",
        "load-balancer",
        "public-subnet-1",
        "repository",
        "service-log-group",
        "task-role",
        "vpc",
        "web-acl",
    ];
    let made_again = [
        "db-failures-alarm",
        "nat-gateway-2",
        "private-default-route-3",
        "web-acl-association",
    ];
    let mut expected: Vec<String> = updated.map(|node| format!("update {node}")).into();
    expected.extend(made_again.map(|node| format!("create {node}")));
    // It leads to the NAT gateway that is gone; that follows from the drift and is none itself.
    expected.push("update private-default-route-2".to_owned());
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    plan.expect(&expected);
    for address in updated {
        assert!(plan.is_drift(address), "{}", plan.node(address));
    }
    for address in made_again {
        let node = plan.node(address);
        let reason = node["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("drift"), "{node}");
    }
    let text = stack.run(&["plan"]).ends_with(0);
    text.shows(&[
        "retention_days: 30 -> 7 (drift: changed outside orderctl)",
        "tags.Project: (none) -> order-api (drift: changed outside orderctl)",
    ]);

    assert!(audit(&stack, "", false).len() >= 15);
    stack.up(&[]);
    stack.plan().expect_empty();
    expect_as_contracted(&stack, "", false);
}

#[test]
fn what_the_running_system_owns_is_no_drift() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("dev");
    stack.up(&[]);
    push_image(&stack);
    stack.up(&[]);
    let changed = stack.aws(include_str!("lifecycle/runtime.py"));
    assert_eq!(changed["desired"], 5);

    stack.plan().expect_empty();
    let run = stack.up(&[]);
    assert_eq!(run.calls().1, 0, "{run}");
    assert_eq!(stack.aws(include_str!("lifecycle/runtime_now.py")), changed);

    // A split over anything but the two colours is drift, though.
    stack.aws(include_str!("lifecycle/foreign_target_group.py"));
    stack.plan().expect(&["update production-rule"]);
}

#[test]
fn one_up_recovers_a_lost_state_file() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("dev");
    stack.up(&[]);
    let whole = stack.aws("inventory()");
    std::fs::remove_dir_all(stack.state_file().parent().unwrap()).unwrap();
    stack.up(&[]);
    assert_eq!(stack.aws("inventory()"), whole);
    stack.plan().expect_empty();
}

#[test]
fn without_its_state_file_a_stack_goes_as_a_whole() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("dev");
    let before = stack.aws("inventory()");
    let forget = || std::fs::remove_dir_all(stack.state_file().parent().unwrap()).unwrap();
    stack.up(&[]);
    let whole = stack.aws("inventory()");
    forget();
    stack.up(&[]);
    assert_eq!(stack.aws("inventory()"), whole);
    stack.plan().expect_empty();
    assert_eq!(stack.outputs().as_object().unwrap().len(), 15);

    forget();
    stack.down(&[]);
    assert_eq!(stack.aws("inventory()"), before);
}

#[test]
fn a_final_snapshot_is_the_one_thing_that_stays() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("dev");
    let before = stack.aws("inventory()");
    stack.up(&[]);
    stack.down(&["--final-snapshot"]);
    let mut after = stack.aws("inventory()");
    let snapshots = after["manual snapshots"].as_array().unwrap().clone();
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    let name = snapshots[0].as_str().unwrap();
    assert!(name.starts_with("order-api-dev-final-"), "{name}");
    after["manual snapshots"] = json!([]);
    assert_eq!(after, before);
}

#[test]
fn a_protected_stack_stays_until_the_protection_is_lifted() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("dev");
    let before = stack.aws("inventory()");
    let protections = r#"[rds.describe_db_clusters()["DBClusters"][0]["DeletionProtection"], {it["Key"]: it["Value"] for it in elbv2.describe_load_balancer_attributes(LoadBalancerArn=elbv2.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"])["Attributes"]}["deletion_protection.enabled"]]"#;
    stack.configure("protect = true\n");
    stack.up(&[]);
    let whole = stack.aws("inventory()");
    assert_eq!(stack.aws(protections), json!([true, "true"]));
    let down = ["down", "--yes"];
    let refused = stack.run(&down).ends_with(1);
    refused.shows(&["protected", "protect = false", "orderctl up"]);

    // What counts is what was applied, not what the file says now.
    stack.configure("protect = false\n");
    let refused = stack.run(&down).ends_with(1);
    refused.shows(&["protected", "orderctl up"]);
    assert_eq!(stack.aws("inventory()"), whole);

    stack
        .plan()
        .expect(&["update db-cluster", "update load-balancer"]);
    stack.up(&[]);
    assert_eq!(stack.aws(protections), json!([false, "false"]));
    stack.down(&[]);
    assert_eq!(stack.aws("inventory()"), before);
}

#[test]
fn another_region_or_account_is_refused_before_anything_is_written() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("dev");
    stack.up(&[]);
    let whole = stack.aws("inventory()");
    let state = std::fs::read_to_string(stack.state_file()).unwrap();
    for words in [["up", "--yes"], ["down", "--yes"], ["plan", "--json"]] {
        let mut words = words.to_vec();
        words.extend(["--region", "eu-west-1"]);
        let refused = stack.run(&words).ends_with(1);
        refused.shows(&["us-east-1", "eu-west-1", "--region us-east-1"]);
    }
    assert_eq!(std::fs::read_to_string(stack.state_file()).unwrap(), state);

    let foreign = state.replacen(
        "\"account\": \"123456789012\"",
        "\"account\": \"999999999999\"",
        1,
    );
    assert_ne!(foreign, state);
    std::fs::write(stack.state_file(), &foreign).unwrap();
    for verb in ["up", "down"] {
        let refused = stack.run(&[verb, "--yes"]).ends_with(1);
        refused.shows(&["999999999999", "123456789012", "credentials"]);
    }
    assert_eq!(
        std::fs::read_to_string(stack.state_file()).unwrap(),
        foreign
    );
    assert_eq!(stack.aws("inventory()"), whole);
    let abroad = r#"__import__("boto3").client("logs", region_name="eu-west-1").describe_log_groups()["logGroups"]"#;
    assert_eq!(stack.aws(abroad), json!([]));
}

#[test]
fn foreign_things_of_our_names_are_refused_until_they_are_adopted() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("x");
    stack.aws(
        r#"
logs.create_log_group(logGroupName="/ecs/order-api-{s}")
trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
iam.create_role(RoleName="ecs-task-{s}", AssumeRolePolicyDocument=json.dumps(trust), Tags=[{"Key": "owner", "Value": "somebody"}])
"#,
    );
    let before = stack.aws("inventory()");
    let refused = stack.run(&["up", "--yes"]).ends_with(1);
    refused.shows(&["service-log-group", "task-role", "--adopt"]);
    let refused = stack.run(&["plan", "--detailed-exitcode"]).ends_with(1);
    refused.shows(&["service-log-group", "task-role", "--adopt"]);
    assert_eq!(stack.aws("inventory()"), before);

    let run = stack.up(&["--adopt"]);
    run.shows(&["2 adopted"]);
    stack.plan().expect_empty();
    let owner = r#"{it["Key"]: it["Value"] for it in iam.list_role_tags(RoleName="ecs-task-{s}")["Tags"]}["owner"]"#;
    assert_eq!(stack.aws(owner), "somebody");
    stack.aws(r#"iam.untag_role(RoleName="ecs-task-{s}", TagKeys=["owner"])"#);
    expect_as_contracted(&stack, "", false);
}

#[test]
fn log_groups_that_aws_made_by_itself_are_taken_over_by_up() {
    let sandbox = Sandbox::start();
    let stack = sandbox.stack("dev");
    // What a stack that is gone has left; nothing that looks like one whose state is lost.
    stack.aws(
        r#"
for name in ["/aws/rds/cluster/order-api-{s}/audit", "/aws/ecs/containerinsights/order-api-{s}/performance"]:
    logs.create_log_group(logGroupName=name)
"#,
    );
    let groups = ["db-log-group-audit", "container-insights-log-group"];
    let plan = stack.plan();
    for group in groups {
        assert_eq!(plan.node(group)["action"], "adopt");
    }
    let run = stack.up(&[]).shows(&groups);
    let run = run.shows(&["2 adopted", "AWS made it by itself"]);
    assert!(!run.stderr.contains("is missing"), "{run}");
    stack.plan().expect_empty();
    expect_as_contracted(&stack, "", false);
}

#[test]
fn an_image_in_the_repository_ends_in_healthy_tasks_behind_the_load_balancer() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("dev");
    stack.up(&[]);
    push_image(&stack);
    stack.up(&[]);
    let targets = stack.aws(include_str!("lifecycle/targets.py"));
    let healthy = json!(["healthy", "healthy", "healthy"]);
    let colours = [&targets["order-blue-dev"], &targets["order-green-dev"]];
    // Which colour a first deployment ends on is ECS's business.
    assert!(
        colours.contains(&&healthy) && colours.contains(&&json!([])),
        "{targets}"
    );
    assert_eq!(targets["zones"], 3, "one task in each");
}

#[test]
fn what_is_deleted_in_the_wrong_order_is_refused_and_down_finds_the_right_one() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("dev");
    let before = stack.aws("inventory()");
    stack.up(&[]);
    push_image(&stack);
    stack.up(&[]);
    let whole = stack.aws("inventory()");
    let expected = json!({
        "VPC": "DependencyViolation",
        "public subnet": "DependencyViolation",
        "private subnet": "DependencyViolation",
        "security group of the load balancer": "DependencyViolation",
        "security group of the tasks": "DependencyViolation",
        "security group of the database": "DependencyViolation",
        "attachment of the internet gateway": "DependencyViolation",
        "internet gateway": "DependencyViolation",
        "elastic IP": "InvalidIPAddress.InUse",
        "route table": "DependencyViolation",
        "target group": "ResourceInUse",
        "certificate": "ResourceInUseException",
        "web ACL": "WAFAssociatedItemException",
        "IP set": "WAFAssociatedItemException",
        "DB subnet group": "InvalidDBSubnetGroupStateFault",
        "DB cluster parameter group": "InvalidDBParameterGroupState",
        "DB cluster": "InvalidDBClusterStateFault",
        "ECS cluster": "ClusterContainsServicesException",
        "ECS service": "InvalidParameterException",
        "repository": "RepositoryNotEmptyException",
        "role": "DeleteConflict",
    });
    assert_eq!(
        stack.aws(include_str!("lifecycle/wrong_order.py")),
        expected
    );
    assert_eq!(stack.aws("inventory()"), whole);
    stack.down(&[]);
    assert_eq!(stack.aws("inventory()"), before);
}
