//! Which stack is meant when no suffix is given, and who holds its lock.

use std::fs::{self, File};
use std::io::Write;

use orderctl::state::State;
use serde_json::json;

use crate::driver::{Sandbox, Workplace};

fn record_stack(place: &Workplace, suffix: &str) {
    let mut state = State::new(suffix, "us-east-1");
    state
        .outputs
        .insert("vpcId".to_owned(), json!(format!("vpc-of-{suffix}")));
    let text = serde_json::to_string_pretty(&state).unwrap();
    place.write(&format!("state/{suffix}.json"), &text);
}

#[test]
fn the_only_stack_is_meant_and_of_several_one_must_be_named() {
    let place = Workplace::new();
    record_stack(&place, "one");
    assert_eq!(
        place.run("outputs vpcId").ends_with(0).stdout,
        "vpc-of-one\n"
    );

    record_stack(&place, "another");
    let before = place.files();
    for line in ["outputs", "plan", "up --yes", "down --yes"] {
        place
            .run(line)
            .refused(&["which stack? There are another, one", "--suffix"]);
    }
    assert_eq!(place.files(), before);

    let named = place.run("outputs vpcId --suffix another").ends_with(0);
    assert_eq!(named.stdout, "vpc-of-another\n");
    let by_variable = place
        .command("outputs vpcId")
        .env("ORDERCTL_SUFFIX", "one")
        .output()
        .unwrap();
    assert_eq!(by_variable.stdout, b"vpc-of-one\n");
    place.write("orderctl.toml", "suffix = \"one\"\n");
    assert_eq!(
        place.run("outputs vpcId").ends_with(0).stdout,
        "vpc-of-one\n"
    );
}

#[test]
fn the_states_directory_can_be_chosen() {
    let place = Workplace::new();
    record_stack(&place, "one");
    fs::rename(place.path().join("state"), place.path().join("elsewhere")).unwrap();
    place.run("outputs vpcId").refused(&["which stack?"]);
    let outcome = place.run("outputs vpcId --state elsewhere").ends_with(0);
    assert_eq!(outcome.stdout, "vpc-of-one\n");
}

#[test]
fn a_lock_is_respected_by_all_that_write_and_by_nothing_that_reads() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let owner =
        r#"{"user":"ann","host":"ci-7","pid":4242,"purpose":"up","since":"2026-01-02T03:04:05Z"}"#;
    let path = place.write("state/dev.lock", "");
    let mut holder = File::options().write(true).open(&path).unwrap();
    holder.lock().unwrap();
    holder.write_all(owner.as_bytes()).unwrap();

    let before = place.files();
    for verb in ["up", "down"] {
        place
            .run(&format!("{verb} --suffix dev --sandbox --yes"))
            .ends_with(3)
            .without_data()
            .says(&[
                "`dev`",
                "`up` of ann@ci-7",
                "process 4242",
                "since 2026-01-02T03:04:05Z",
            ]);
    }
    let plan = place.run("plan --suffix dev --sandbox").ends_with(0);
    assert!(plan.stdout.contains("84 to create"), "{plan}");
    // Another stack is nobody's business.
    place
        .run("down --suffix other --sandbox --yes")
        .ends_with(0);
    let mut after = place.files();
    after.remove("state/other.lock");
    assert_eq!(after, before);

    drop(holder);
    place.run("down --suffix dev --sandbox --yes").ends_with(0);
}

#[test]
fn a_lock_whose_owner_is_not_readable_is_a_lock_too() {
    let place = Workplace::new();
    let path = place.write("state/dev.lock", "");
    let holder = File::open(&path).unwrap();
    holder.lock().unwrap();
    place
        .run("up --suffix dev --yes --endpoint-url http://127.0.0.1:9")
        .ends_with(3)
        .says(&["another process"]);
}
