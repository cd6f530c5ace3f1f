//! States in S3: one stack, and several runs of the program that know of each other only through
//! the bucket.

use std::fs::{self, File};

use serde_json::Value;

use crate::driver::{Gate, Running, Sandbox, Workplace, http};

pub(crate) const BUCKET: &str = "states-of-a-team";
pub(crate) const STATE: &str = "--state s3://states-of-a-team/order";
/// Longer than a lease lasts.
const LONG: &str = "--lock-timeout 5m";

/// A sandbox with an empty bucket.
pub(crate) fn with_bucket() -> Sandbox {
    let sandbox = Sandbox::start();
    let made = http::s3(sandbox.endpoint(), "PUT", &format!("/{BUCKET}"), "");
    assert_eq!(made.0, 200, "{}", made.1);
    sandbox
}

/// The object's text, if there is one.
pub(crate) fn text(sandbox: &Sandbox, key: &str) -> Option<String> {
    let path = format!("/{BUCKET}/order/{key}");
    match http::s3(sandbox.endpoint(), "GET", &path, "") {
        (200, body) => Some(body),
        (404, _) => None,
        other => panic!("{other:?}"),
    }
}

fn object(sandbox: &Sandbox, key: &str) -> Value {
    serde_json::from_str(&text(sandbox, key).unwrap()).unwrap()
}

fn is_empty(sandbox: &Sandbox) -> bool {
    let listed = http::s3(sandbox.endpoint(), "GET", &format!("/{BUCKET}"), "");
    !listed.1.contains("<Key>")
}

fn count(sandbox: &Sandbox, action: &str, item: &str) -> usize {
    let body = format!("Action={action}&Version=2016-11-15");
    sandbox.query("ec2", &body).matches(item).count()
}

fn gateways(sandbox: &Sandbox) -> usize {
    count(sandbox, "DescribeNatGateways", "<state>available</state>")
}

/// VPCs, with the default one of the account.
fn vpcs(sandbox: &Sandbox) -> usize {
    count(sandbox, "DescribeVpcs", "<vpcId>")
}

/// An `up` that is held at a request that contains `text`.
pub(crate) fn held_at(gate: &Gate, place: &Workplace) -> Running {
    let line = format!(
        "up --suffix dev --yes {STATE} --endpoint-url {}",
        gate.endpoint
    );
    let up = Running::start(&line, place.command(&line));
    gate.wait_until_closed();
    up
}

#[test]
fn a_stack_lives_its_whole_life_with_its_state_in_s3() {
    let sandbox = with_bucket();
    let place = Workplace::on(&sandbox);
    let line = format!("up --suffix dev --sandbox --yes {STATE}");
    let up = place.run(&line).ends_with(0);
    assert!(up.stdout.contains("albDnsName"), "{up}");
    let before = text(&sandbox, "dev.json").unwrap();
    let state: Value = serde_json::from_str(&before).unwrap();
    assert_eq!(state["records"].as_object().unwrap().len(), 80);
    assert_eq!(state["last_run"]["command"], "up");
    assert_eq!(state["last_run"]["ended"]["outcome"], "done");
    assert!(object(&sandbox, "dev.lock").get("holder").is_none());

    // From another machine, with nothing but the bucket; the only stack in it is meant.
    let place = Workplace::on(&sandbox);
    let outputs = place
        .run(&format!("outputs vpcId --sandbox {STATE}"))
        .ends_with(0);
    assert_eq!(
        outputs.stdout.trim(),
        state["outputs"]["vpcId"].as_str().unwrap()
    );
    place
        .run(&format!("plan --sandbox --detailed-exitcode {STATE}"))
        .ends_with(0);
    let again = place.run(&format!("-v {line}")).ends_with(0);
    assert_eq!(again.writes(), 0, "{again}");
    assert_eq!(
        text(&sandbox, "dev.json").unwrap(),
        before,
        "nothing is saved"
    );

    place
        .run(&format!("down --sandbox --yes {STATE}"))
        .ends_with(0)
        .says(&["Nothing of stack `dev` is left."]);
    assert!(is_empty(&sandbox));
    assert!(
        place.files().is_empty(),
        "nothing is kept beside it: {:?}",
        place.files()
    );
    assert_eq!(vpcs(&sandbox), 1);
}

#[test]
fn a_bucket_that_is_not_there_is_told_and_not_made() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    for verb in ["up --yes", "down --yes", "plan", "outputs"] {
        place
            .run(&format!("{verb} --suffix dev --sandbox {STATE}"))
            .ends_with(1)
            .without_data()
            .says(&[
                "s3://states-of-a-team/order/dev.",
                "NoSuchBucket",
                "orderctl never makes",
            ]);
    }
    let status = http::s3(sandbox.endpoint(), "GET", &format!("/{BUCKET}"), "").0;
    assert_eq!((status, vpcs(&sandbox)), (404, 1));
}

#[test]
fn of_two_runs_that_ask_at_the_same_moment_one_works_and_the_other_says_who() {
    let sandbox = with_bucket();
    let place = Workplace::on(&sandbox);
    // Both have seen that nobody holds the lock, and both have sent their claim.
    let claim = format!("PUT /{BUCKET}/order/dev.lock");
    let gates = [0, 1].map(|_| Gate::only_before(sandbox.endpoint(), &claim));
    let runs = gates.each_ref().map(|gate| held_at(gate, &place));
    let ids = runs.each_ref().map(Running::id);
    gates.iter().for_each(Gate::open);
    let ended = runs.map(Running::finish);
    let lost = match ended.each_ref().map(|run| run.code) {
        [Some(0), Some(3)] => 1,
        [Some(3), Some(0)] => 0,
        _ => panic!("{}\n{}", ended[0], ended[1]),
    };
    let [one, other] = ended;
    let refused = if lost == 0 { one } else { other };
    let holder = format!("(process {})", ids[1 - lost]);
    refused.without_data().says(&[
        "stack `dev` is locked by `up` of ",
        "@",
        &holder,
        " since 20",
        ", lease until 20",
        "--lock-timeout",
    ]);
    assert_eq!(
        (vpcs(&sandbox), gateways(&sandbox)),
        (2, 3),
        "nothing is doubled"
    );
}

#[test]
fn who_waits_for_the_lock_gets_it_when_it_is_given_back() {
    let sandbox = with_bucket();
    let place = Workplace::on(&sandbox);
    let gate = Gate::only_before(sandbox.endpoint(), "Action=CreateNatGateway&");
    let first = held_at(&gate, &place);
    let holder = format!("(process {})", first.id());

    let line = format!("down --suffix dev --sandbox --yes {STATE}");
    place
        .run(&line)
        .ends_with(3)
        .says(&[&holder, ", lease until 20"]);
    let impatient = place.run(&format!("{line} --lock-timeout 1s")).ends_with(3);
    impatient.says(&["waiting for it", &holder]);

    let line = format!("{line} {LONG}");
    let mut waiting = Running::start(&line, place.command(&line));
    waiting.wait_for("waiting for it");
    gate.open();
    first.finish().ends_with(0);
    waiting.finish().ends_with(0);
    assert!(is_empty(&sandbox));
    assert_eq!((vpcs(&sandbox), gateways(&sandbox)), (1, 0));
}

#[test]
fn a_wait_can_be_interrupted() {
    let sandbox = with_bucket();
    let place = Workplace::on(&sandbox);
    let gate = Gate::only_before(sandbox.endpoint(), "Action=CreateNatGateway&");
    let first = held_at(&gate, &place);
    let line = format!("up --suffix dev --sandbox --yes {STATE} {LONG}");
    let mut waiting = Running::start(&line, place.command(&line));
    waiting.wait_for("waiting for it");
    waiting.terminate();
    waiting.finish().ends_with(130).without_data();
    gate.open();
    first.finish().ends_with(0);
}

#[test]
fn an_interrupted_run_gives_the_lock_back() {
    let sandbox = with_bucket();
    let place = Workplace::on(&sandbox);
    // While it only looks, and while it changes things.
    for marker in ["Action=DescribeNatGateways&", "Action=CreateNatGateway&"] {
        let gate = Gate::only_before(sandbox.endpoint(), marker);
        let up = held_at(&gate, &place);
        up.interrupt();
        gate.open();
        up.finish().ends_with(130).without_data();
        let lock = object(&sandbox, "dev.lock");
        assert!(lock.get("holder").is_none(), "{marker}: {lock}");
    }
    let ended = object(&sandbox, "dev.json")["last_run"]["ended"].clone();
    assert_eq!(ended["outcome"], "interrupted");
    place
        .run(&format!("up --suffix dev --sandbox --yes {STATE}"))
        .ends_with(0);
    assert_eq!((vpcs(&sandbox), gateways(&sandbox)), (2, 3));
}

#[test]
fn a_killed_holders_lock_is_taken_over_once_its_lease_has_ended() {
    let sandbox = with_bucket();
    let place = Workplace::on(&sandbox);
    let gate = Gate::only_before(sandbox.endpoint(), "Action=CreateNatGateway&");
    let killed = held_at(&gate, &place);
    let holder = format!("(process {})", killed.id());
    killed.kill();
    drop(killed);
    gate.cut();
    let line = format!("up --suffix dev --sandbox --yes {STATE}");
    place.run(&line).ends_with(3).says(&[&holder]);
    let next = place.run(&format!("{line} {LONG}")).ends_with(0);
    next.says(&["waiting for it", &holder]);
    assert_eq!(
        (vpcs(&sandbox), gateways(&sandbox)),
        (2, 3),
        "nothing is doubled"
    );
    assert_eq!(object(&sandbox, "dev.lock")["generation"], 2);
}

#[test]
fn a_run_that_was_frozen_changes_nothing_after_another_has_taken_over() {
    let sandbox = with_bucket();
    let place = Workplace::on(&sandbox);
    // It is about to announce its first calls.
    let gate = Gate::only_before(sandbox.endpoint(), &format!("PUT /{BUCKET}/order/dev.json"));
    let frozen = held_at(&gate, &place);
    frozen.freeze();
    let next = place
        .run(&format!("up --suffix dev --sandbox --yes {STATE} {LONG}"))
        .ends_with(0);
    next.says(&["waiting for it"]);
    let before = text(&sandbox, "dev.json").unwrap();

    frozen.thaw();
    gate.open();
    let woken = frozen.finish().ends_with(3).without_data();
    woken.says(&[
        "the lease on stack `dev` is lost: it was taken over by `up` of ",
        "and is free again",
    ]);
    assert_eq!(
        text(&sandbox, "dev.json").unwrap(),
        before,
        "the state is the other's"
    );
    assert_eq!(
        (vpcs(&sandbox), gateways(&sandbox)),
        (2, 3),
        "nothing is made"
    );
    place
        .run(&format!(
            "plan --suffix dev --sandbox --detailed-exitcode {STATE}"
        ))
        .ends_with(0);
}

#[test]
fn a_lock_in_a_directory_is_waited_for_too() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let path = place.write("state/dev.lock", "");
    let holder = File::options().write(true).open(&path).unwrap();
    holder.lock().unwrap();
    fs::write(
        &path,
        r#"{"user":"ann","host":"ci-7","pid":4242,"purpose":"up","since":"2026-01-02T03:04:05Z"}"#,
    )
    .unwrap();
    let line = "down --suffix dev --sandbox --yes";
    let told = [
        "`up` of ann@ci-7 (process 4242) since 2026-01-02T03:04:05Z",
        "waiting for it",
    ];
    place
        .run(&format!("{line} --lock-timeout 1s"))
        .ends_with(3)
        .says(&told);
    let line = format!("{line} {LONG}");
    let mut waiting = Running::start(&line, place.command(&line));
    waiting.wait_for("waiting for it");
    drop(holder);
    waiting.finish().ends_with(0);
}
