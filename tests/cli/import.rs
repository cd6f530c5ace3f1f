//! A stack that Pulumi made is taken over: nothing of it is replaced, and no secret is kept or shown.

use std::fs;

use serde_json::{Value, json};

use crate::driver::{Outcome, Sandbox, Workplace, command};

/// What stands for every secret of the export.
const SECRET: &str = "correct-horse-battery-staple";

/// A stack `dev` as Pulumi could have made it, in zones in another order than orderctl's, and its
/// export in `export.json`.
fn made_by_pulumi(sandbox: &Sandbox, place: &Workplace) -> Value {
    let zones = "[network]\nazs = [\"us-east-1c\", \"us-east-1a\", \"us-east-1b\"]\n";
    place.write("orderctl.toml", zones);
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    let state = place.state("dev");
    fs::remove_file(place.path().join("orderctl.toml")).unwrap();
    let output = command(sandbox.python())
        .args(["-c", include_str!("import/as_pulumi.py")])
        .args([sandbox.endpoint(), "state/dev.json", SECRET])
        .current_dir(place.path())
        .output()
        .unwrap();
    let made = Outcome::of("as_pulumi.py", output).ends_with(0);
    fs::remove_dir_all(place.path().join("state")).unwrap();
    place.write("export.json", &made.stdout);
    state
}

/// Asserts that no secret stands in what was said, nor in a file other than the export.
fn assert_no_secret(place: &Workplace, said: &[Outcome]) {
    let mut seen = place.files();
    seen.remove("export.json");
    seen.extend(said.iter().map(|it| (it.line.clone(), it.to_string())));
    for (name, text) in seen {
        assert!(!text.contains(SECRET), "a secret stands in {name}: {text}");
    }
}

fn addresses(list: &Value) -> Vec<&str> {
    let items = list.as_array().unwrap().iter();
    items
        .map(|item| item.as_str().or(item["address"].as_str()).unwrap())
        .collect()
}

/// The actions of a plan in JSON, those of untouched nodes left out.
fn actions(plan: &Outcome) -> Vec<(String, String)> {
    let plan = &plan.json_lines()[0];
    let nodes = plan["nodes"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    nodes
        .map(|node| (text(&node["address"]), text(&node["action"])))
        .filter(|(_, action)| action != "noChange")
        .collect()
}

/// The ids of what must outlive the move.
fn lasting(state: &Value) -> Vec<Value> {
    let mut ids: Vec<Value> = Vec::new();
    for (address, field) in [
        ("vpc", "id"),
        ("load-balancer", "arn"),
        ("db-cluster", "resource_id"),
        ("alb-security-group", "id"),
        ("service", "arn"),
        ("db-secret", "arn"),
    ] {
        ids.push(state["records"][address]["outputs"][field].clone());
    }
    for kind in [
        "ec2/subnet",
        "ec2/nat_gateway",
        "ec2/elastic_ip",
        "rds/db_instance",
    ] {
        let records = state["records"].as_object().unwrap().values();
        let of_kind = records.filter(|record| record["kind"] == kind);
        let mut outputs: Vec<String> = of_kind
            .map(|record| record["outputs"].to_string())
            .collect();
        outputs.sort();
        ids.push(json!(outputs));
    }
    ids
}

#[test]
fn a_pulumi_stack_is_taken_over_without_replacing_anything() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let before = made_by_pulumi(&sandbox, &place);
    let mut said = Vec::new();

    // Nobody is there to say yes: it is shown, and nothing is written.
    let line = "import pulumi export.json --suffix dev --sandbox";
    let shown = place.run(line).ends_with(2).without_data();
    let shown = shown.says(&[
        "aws:ec2/vpc:Vpc net",
        "aws:s3/bucket:Bucket something-else",
        "db-writer: kept as it is: availability_zone",
        "alb-security-group: the rule `ingress tcp 22-22 10.9.0.0/16` is not declared and stays",
        "us-east-1a, us-east-1b, us-east-1c",
        "--yes",
    ]);
    assert!(!place.path().join("state/dev.json").exists());
    said.push(shown);

    let imported = place.run(&format!("{line} --yes --json -vvv")).ends_with(0);
    let mapping = imported.json_lines().remove(0);
    let missing = ["self-signed-certificate", "s3-endpoint"];
    let mut found = addresses(&mapping["missing"]);
    found.sort_unstable();
    assert_eq!(
        found,
        ["s3-endpoint", "self-signed-certificate"],
        "{mapping}"
    );
    assert_eq!(mapping["notOurs"], json!([]));
    assert_eq!(mapping["gone"], json!([]));
    assert_eq!(addresses(&mapping["matched"]).len(), 78);
    let unknown: Vec<&str> = mapping["unknown"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(unknown, ["pw", "cert", "something-else"]);
    said.push(imported);
    let state = place.state("dev");
    assert_eq!(lasting(&state), lasting(&before));
    let zones = json!(["us-east-1a", "us-east-1b", "us-east-1c"]);
    assert_eq!(state["choices"]["availability_zones"], zones);

    let plan = place.run("plan --sandbox --json -vvv").ends_with(0);
    for (address, action) in actions(&plan) {
        let expected = if missing.contains(&address.as_str()) {
            "create"
        } else {
            "update"
        };
        assert_eq!(action, expected, "{address}");
    }
    said.push(plan);
    said.push(place.run("plan --sandbox -vvv").ends_with(0));

    said.push(place.run("up --sandbox --yes -vvv").ends_with(0));
    let state = place.state("dev");
    assert_eq!(lasting(&state), lasting(&before));
    let plan = place.run("plan --sandbox --detailed-exitcode");
    said.push(plan.ends_with(0));
    assert_no_secret(&place, &said);

    // What is kept is known without a state, too.
    fs::remove_dir_all(place.path().join("state")).unwrap();
    place
        .run("state rebuild --suffix dev --sandbox --yes")
        .ends_with(0);
    assert_eq!(place.state("dev")["choices"], state["choices"]);
    place.run("plan --sandbox --detailed-exitcode").ends_with(0);
    place.run("down --sandbox --yes").ends_with(0);
    let body =
        "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=tag:ManagedBy&Filter.1.Value.1=*";
    assert!(!sandbox.query("ec2", body).contains("<vpcId>"));
}

#[test]
fn what_was_taken_over_can_go_at_once() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    made_by_pulumi(&sandbox, &place);
    place
        .run("import pulumi export.json --suffix dev --sandbox --yes")
        .ends_with(0);
    place
        .run("down --sandbox --yes")
        .ends_with(0)
        .says(&["Nothing of stack `dev` is left."]);
    let vpcs = sandbox.query("ec2", "Action=DescribeVpcs&Version=2016-11-15");
    assert_eq!(
        vpcs.matches("<vpcId>").count(),
        1,
        "the default one: {vpcs}"
    );
    let families = sandbox.call(
        "ecs",
        "AmazonEC2ContainerServiceV20141113.ListTaskDefinitions",
        &json!({}),
    );
    assert_eq!(families["taskDefinitionArns"], json!([]));
}

fn export(resources: &Value) -> String {
    json!({ "version": 3, "deployment": { "manifest": {}, "resources": resources } }).to_string()
}

fn vpc_in(region: &str, account: &str) -> String {
    export(&json!([{
        "urn": "urn:pulumi:dev::orders::aws:ec2/vpc:Vpc::net",
        "type": "aws:ec2/vpc:Vpc",
        "custom": true,
        "id": "vpc-1",
        "outputs": { "arn": format!("arn:aws:ec2:{region}:{account}:vpc/vpc-1") },
    }]))
}

#[test]
fn a_malformed_export_is_one_clear_error_before_any_call() {
    let place = Workplace::new();
    // Nothing listens there: a call would fail in another way.
    let line = "import pulumi export.json --suffix dev --yes --endpoint-url http://127.0.0.1:9";
    place.run(line).refused(&["export.json cannot be read"]);
    let secret = format!("\"{SECRET}\"");
    for (text, expected) in [
        (secret.clone(), "no deployment `version`"),
        (format!("{{ {secret}: "), "not JSON"),
        (
            format!("{{\"version\": 3, \"deployment\": {secret}}}"),
            "no `deployment`",
        ),
        (
            format!("{{\"version\": 3, \"checkpoint\": {secret}}}"),
            "checkpoint",
        ),
        (
            format!("{{\"version\": 9, \"deployment\": {secret}}}"),
            "version 9",
        ),
        (export(&json!([{ "urn": SECRET }])), "has no `type`"),
        (
            vpc_in("eu-west-1", "123456789012"),
            "resources in eu-west-1",
        ),
    ] {
        place.write("export.json", &text);
        let outcome = place.run(&format!("{line} -vvv")).refused(&[expected]);
        assert!(!outcome.to_string().contains(SECRET), "{outcome}");
        assert_eq!(place.files().len(), 1, "nothing is written");
    }
}

#[test]
fn an_export_of_another_account_or_of_nothing_is_refused_and_so_is_a_stack_with_a_state() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let line = "import pulumi export.json --suffix dev --sandbox --yes";
    place.write("export.json", &vpc_in("us-east-1", "999999999999"));
    place
        .run(line)
        .ends_with(1)
        .without_data()
        .says(&["account 999999999999", "123456789012"]);
    place.write("export.json", &export(&json!([])));
    place
        .run(line)
        .ends_with(1)
        .without_data()
        .says(&["nothing of a stack `dev`", "--suffix"]);
    assert!(!place.path().join("state/dev.json").exists());

    let state = orderctl::state::State::new("dev", "us-east-1");
    let text = serde_json::to_string_pretty(&state).unwrap();
    place.write("state/dev.json", &text);
    place.write("export.json", &vpc_in("us-east-1", "123456789012"));
    place
        .run(line)
        .ends_with(1)
        .without_data()
        .says(&["has a state already"]);
    assert_eq!(place.files()["state/dev.json"], text);
}
