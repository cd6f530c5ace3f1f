//! Losing the state costs one command (law 1), and what others hold is taken over only when asked.

use std::fs;

use serde_json::{Value, json};

use crate::driver::{Gate, Outcome, Running, Sandbox, Workplace};

fn lose_state(place: &Workplace) {
    fs::remove_dir_all(place.path().join("state")).unwrap();
}

/// What of a state a rebuild gives back.
fn essence(state: &Value) -> Value {
    let mut state = state.clone();
    for field in ["lineage", "serial", "last_run"] {
        state.as_object_mut().unwrap().remove(field);
    }
    for record in state["records"].as_object_mut().unwrap().values_mut() {
        for field in ["created_at", "ready_at"] {
            record.as_object_mut().unwrap().remove(field);
        }
    }
    state
}

fn count(sandbox: &Sandbox, body: &str, mark: &str) -> usize {
    sandbox.query("ec2", body).matches(mark).count()
}

/// How many VPCs, NAT gateways and addresses the stack has.
fn inventory(sandbox: &Sandbox) -> [usize; 3] {
    let ours = "Version=2016-11-15&Filter.1.Name=tag:orderctl:stack&Filter.1.Value.1=dev";
    [
        count(sandbox, &format!("Action=DescribeVpcs&{ours}"), "<vpcId>"),
        count(
            sandbox,
            "Action=DescribeNatGateways&Version=2016-11-15",
            "<state>available</state>",
        ),
        count(
            sandbox,
            "Action=DescribeAddresses&Version=2016-11-15",
            "<allocationId>",
        ),
    ]
}

#[test]
fn an_older_state_that_is_put_back_makes_nothing_twice() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let (up, down) = (
        "up --suffix dev --sandbox --yes",
        "down --suffix dev --sandbox --yes",
    );
    place.run(up).ends_with(0);
    let file = place.path().join("state/dev.json");
    let old = fs::read(&file).unwrap();
    place.run(down).ends_with(0);
    place.run(up).ends_with(0);
    let (now, there) = (place.state("dev"), inventory(&sandbox));

    fs::write(&file, &old).unwrap();
    let older = "the state is older than what is in AWS";
    let plan = "plan --suffix dev --sandbox --detailed-exitcode";
    place.run(plan).ends_with(0).says(&[older]);
    place.run(up).ends_with(0).says(&[older]);
    assert_eq!(essence(&place.state("dev")), essence(&now));
    assert_eq!(inventory(&sandbox), there);
    let again = place.run(plan).ends_with(0);
    assert!(!again.stderr.contains(older), "{again}");

    // `down` finds everything with the older one, too.
    fs::write(&file, &old).unwrap();
    place.run(down).ends_with(0);
    assert_eq!(inventory(&sandbox), [0, 0, 0]);
}

#[test]
fn a_lost_state_is_rebuilt_and_up_has_nothing_to_do() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    let lost = place.state("dev");
    lose_state(&place);

    let plan = place
        .run("plan --suffix dev --sandbox --detailed-exitcode")
        .ends_with(0);
    assert!(!plan.stdout.contains("adopt"), "{plan}");
    plan.says(&["the state of stack `dev` is missing, but 80 of its resources exist"]);
    assert!(
        !place.path().join("state").exists(),
        "a plan writes nothing"
    );

    let line = "state rebuild --suffix dev --sandbox";
    place.run(line).ends_with(2).without_data().says(&[
        "ec2/vpc",
        "80 found.",
        "us-east-1a, us-east-1b, us-east-1c",
        "--yes",
    ]);
    assert!(!place.path().join("state/dev.json").exists());
    let rebuilt = place.run(&format!("{line} --yes --json")).ends_with(0);
    let found = rebuilt.json_lines().remove(0);
    assert_eq!(found["type"], "rebuild");
    assert_eq!(found["found"].as_array().unwrap().len(), 80);
    assert_eq!(
        (&found["missing"], &found["notOurs"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(essence(&place.state("dev")), essence(&lost));

    place
        .run("plan --sandbox --detailed-exitcode")
        .ends_with(0)
        .says(&[]);
    let up = place.run("-v up --sandbox --yes").ends_with(0);
    assert_eq!(up.writes(), 0, "{up}");
}

#[test]
fn up_and_down_say_that_the_state_is_missing_and_go_on() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    let lost = place.state("dev");
    lose_state(&place);

    // Nobody is there to say yes.
    let missing = "the state of stack `dev` is missing, but 80 of its resources exist";
    place
        .run("up --suffix dev --sandbox")
        .ends_with(2)
        .without_data()
        .says(&[missing, "--yes"]);
    let refused = place.run_on_terminal(&sandbox, "up --suffix dev --sandbox", "n\n");
    assert!(
        refused.stdout.contains("Rebuild the state and go on?"),
        "{refused}"
    );
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(!place.path().join("state/dev.json").exists());

    let up = place.run("-v up --suffix dev --sandbox --yes").ends_with(0);
    assert!(!up.to_string().contains("adopt"), "{up}");
    assert_eq!(up.writes(), 0, "{up}");
    up.says(&[&format!("{missing}; rebuilding it from them")]);
    assert_eq!(essence(&place.state("dev")), essence(&lost));

    lose_state(&place);
    let down = place.run("down --suffix dev --sandbox --yes").ends_with(0);
    down.says(&[
        missing,
        "working from what was found",
        "Nothing of stack `dev` is left.",
    ]);
    assert_eq!(inventory(&sandbox), [0, 0, 0]);
}

#[test]
fn the_zones_come_from_the_subnets_whatever_the_region_offers_first() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let zones = json!(["us-east-1b", "us-east-1c", "us-east-1d"]);
    place.write("orderctl.toml", &format!("[network]\nazs = {zones}\n"));
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    fs::remove_file(place.path().join("orderctl.toml")).unwrap();

    lose_state(&place);
    place
        .run("plan --suffix dev --sandbox --detailed-exitcode")
        .ends_with(0);
    place
        .run("state rebuild --suffix dev --sandbox --yes")
        .ends_with(0);
    assert_eq!(place.state("dev")["choices"]["availability_zones"], zones);
    place.run("plan --sandbox --detailed-exitcode").ends_with(0);

    lose_state(&place);
    let up = place.run("-v up --suffix dev --sandbox --yes").ends_with(0);
    assert_eq!(up.writes(), 0, "{up}");
    assert_eq!(place.state("dev")["choices"]["availability_zones"], zones);

    lose_state(&place);
    place.run("down --suffix dev --sandbox --yes").ends_with(0);
    assert_eq!(inventory(&sandbox), [0, 0, 0]);
}

#[test]
fn a_state_lost_half_way_is_rebuilt_and_nothing_is_doubled() {
    for moment in [
        "Action=CreateSubnet&",
        "Action=CreateNatGateway&",
        "Action=CreateDBInstance&",
    ] {
        let sandbox = Sandbox::start();
        let place = Workplace::on(&sandbox);
        let zones = "[network]\nazs = [\"us-east-1b\", \"us-east-1c\", \"us-east-1d\"]\n";
        place.write("orderctl.toml", zones);
        let gate = Gate::before(sandbox.endpoint(), moment);
        let line = format!("up --suffix dev --yes --endpoint-url {}", gate.endpoint);
        let up = Running::start(&line, place.command(&line));
        gate.wait_until_closed();
        // SIGKILL.
        drop(up);
        gate.cut();
        fs::remove_file(place.path().join("orderctl.toml")).unwrap();
        lose_state(&place);
        if moment.contains("CreateSubnet") {
            // Which zones it was to be in, nothing tells before there is a subnet.
            place.write("orderctl.toml", zones);
        }

        place
            .run("state rebuild --suffix dev --sandbox --yes")
            .ends_with(0)
            .says(&["not there, `up` would make them: "]);
        place.run("up --sandbox --yes").ends_with(0);
        assert_eq!(inventory(&sandbox), [1, 3, 3], "{moment}");
        place.run("plan --sandbox --detailed-exitcode").ends_with(0);
        let zones = json!(["us-east-1b", "us-east-1c", "us-east-1d"]);
        assert_eq!(place.state("dev")["choices"]["availability_zones"], zones);
    }
}

#[test]
fn a_state_that_is_there_is_written_over_only_when_forced() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    let before = place.files();
    place
        .run("state rebuild --sandbox --yes")
        .ends_with(1)
        .without_data()
        .says(&["stack `dev` has a state, with 80 records", "--force"]);
    assert_eq!(place.files(), before);

    let mut state = place.state("dev");
    let records = state["records"].as_object_mut().unwrap();
    records.remove("vpc").unwrap();
    records["alarm-topic"]["outputs"]["arn"] = json!("arn:aws:sns:us-east-1:123456789012:other");
    let mut stale = records["dashboard"].clone();
    stale["outputs"]["name"] = json!("gone");
    records.insert("old-dashboard".to_owned(), stale);
    place.write("state/dev.json", &state.to_string());
    place
        .run("state rebuild --sandbox --yes --force")
        .ends_with(0)
        .says(&[
            "cloudwatch/dashboard old-dashboard",
            "ec2/vpc vpc",
            "sns/topic alarm-topic",
            "Records: 1 more, 1 fewer, 1 changed",
        ]);
    let rebuilt = place.state("dev");
    assert_eq!(rebuilt["lineage"], state["lineage"]);
    assert!(rebuilt["serial"].as_u64() > state["serial"].as_u64());
    place.run("plan --sandbox --detailed-exitcode").ends_with(0);

    // A damaged one says nothing that could be lost.
    place.write("state/dev.json", "{ damaged");
    place
        .run("state rebuild --suffix dev --sandbox --yes")
        .ends_with(0)
        .says(&["cannot be read"]);
    assert_eq!(place.files()["state/dev.damaged.json"], "{ damaged");
    place.run("plan --sandbox --detailed-exitcode").ends_with(0);
}

#[test]
fn where_there_is_no_stack_no_state_is_written() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    place
        .run("state rebuild --suffix dev --sandbox --yes")
        .ends_with(1)
        .without_data()
        .says(&[
            "nothing of stack `dev` was found",
            "123456789012",
            "us-east-1",
        ]);
    assert!(!place.path().join("state/dev.json").exists());
}

/// Gives the load balancer's role other tags than ours, as if somebody else had made it.
fn give_away(sandbox: &Sandbox, key: &str, value: &str) {
    let role = "RoleName=ecs-lb-dev&Version=2010-05-08";
    let keys = ["orderctl:stack", "orderctl:node", "ManagedBy"];
    let keys = keys.iter().enumerate();
    let keys: String = keys
        .map(|(n, key)| format!("&TagKeys.member.{}={key}", n + 1))
        .collect();
    sandbox.query("iam", &format!("Action=UntagRole&{role}{keys}"));
    let tag = format!("&Tags.member.1.Key={key}&Tags.member.1.Value={value}");
    sandbox.query("iam", &format!("Action=TagRole&{role}{tag}"));
}

#[test]
fn what_is_of_others_is_shown_before_it_is_taken_over() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    give_away(&sandbox, "ManagedBy", "terraform");
    lose_state(&place);

    // A rebuild leaves it out, and up refuses.
    place
        .run("state rebuild --suffix dev --sandbox --yes")
        .ends_with(0)
        .says(&["not this stack's, left out: load-balancer-role", "79 found"]);
    assert!(
        place.state("dev")["records"]
            .get("load-balancer-role")
            .is_none()
    );
    let before = place.files();
    for line in ["up --sandbox --yes", "plan --sandbox"] {
        place.run(line).ends_with(1).says(&[
            "iam/role load-balancer-role",
            "managed by terraform",
            "--adopt",
        ]);
    }

    let shown = [
        "adopt   iam/role load-balancer-role (arn:aws:iam::123456789012:role/ecs-lb-dev)",
        "managed by terraform",
        "tags.ManagedBy: terraform -> orderctl",
    ];
    let planned = place.run("plan --sandbox --adopt").ends_with(0);
    for part in shown {
        assert!(planned.stdout.contains(part), "{planned}");
    }
    place
        .run("up --sandbox --adopt")
        .ends_with(2)
        .says(&shown)
        .says(&["--yes"]);
    let line = "up --sandbox --adopt";
    let refused = place.run_on_terminal(&sandbox, line, "no\n");
    let question = "Take over the resource that is not this stack's, and apply this plan?";
    assert!(refused.stdout.contains(question), "{refused}");
    assert_eq!(place.files(), before);
    place.run("up --sandbox --adopt --yes").ends_with(0);
    place.run("plan --sandbox --detailed-exitcode").ends_with(0);
}

#[test]
fn what_another_stack_holds_is_refused_even_so() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    give_away(&sandbox, "orderctl:stack", "prod");
    lose_state(&place);
    for line in ["up --yes --adopt", "plan --adopt"] {
        let refused = place
            .run(&format!("{line} --suffix dev --sandbox"))
            .ends_with(1);
        refused.says(&[
            "belong to another orderctl stack",
            "of the orderctl stack `prod`",
        ]);
    }
    assert!(!place.path().join("state/dev.json").exists());
}

#[test]
fn data_of_others_is_not_replaced_by_taking_it_over() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    // Somebody's cluster under our name, with another database in it: that cannot be changed.
    sandbox.query(
        "rds",
        "Action=CreateDBCluster&Version=2014-10-31&DBClusterIdentifier=order-api-dev&Engine=aurora-mysql\
         &MasterUsername=root&MasterUserPassword=correct-horse&DatabaseName=theirs",
    );
    let refused: Outcome = place
        .run("up --suffix dev --sandbox --yes --adopt")
        .ends_with(1);
    refused.says(&[
        "replace rds/db_cluster db-cluster (arn:",
        "its tags do not say whose",
        "DESTROYS DATA",
        "--allow-replace db-cluster",
    ]);
    assert_eq!(inventory(&sandbox), [0, 0, 0]);
}
