//! Versions that must not go out: each turns back, says why, and the old one serves throughout.

use crate::stage::Stage;

/// Releases `tag` with `flags`, which must fail with these words while the old version serves.
#[track_caller]
fn turns_back(stage: &Stage, tag: &str, flags: &str, words: &[&str]) {
    let old = stage.ask("/orders").1;
    stage.push(tag);
    let users = stage.users();
    let line = format!("deploy {tag} --yes {flags}");
    stage.run(&line).ends_with(1).says(words).says(&[
        "ROLLBACK_SUCCESSFUL",
        "the version before it has all the traffic",
    ]);
    users.were_served_by(&[&old]);
    assert_eq!(stage.ask("/orders").1, old);
    stage.run("plan --detailed-exitcode").ends_with(0);
}

#[test]
fn a_version_that_crashes_is_turned_back_with_its_exit_code_and_last_words() {
    let stage = Stage::running();
    turns_back(
        &stage,
        "v2-crash",
        "",
        &[
            "have failed and none is healthy",
            "exited with code 1",
            "the last lines of task",
            "unrecoverable error",
        ],
    );
}

#[test]
fn a_version_that_is_never_healthy_is_turned_back_in_time() {
    let stage = Stage::running();
    turns_back(
        &stage,
        "v2-slow",
        "--healthy-within 2m",
        &["not healthy within"],
    );
    turns_back(
        &stage,
        "v3-unhealthy",
        "--healthy-within 10m",
        &["turning the release back"],
    );
}

#[test]
fn a_version_that_fails_its_trial_gets_no_production_traffic() {
    let stage = Stage::running();
    turns_back(
        &stage,
        "v2-broken",
        "--smoke /health --smoke /orders",
        &["smoke", "/orders", "500"],
    );
    let command = "--smoke-cmd false";
    turns_back(
        &stage,
        "v3",
        command,
        &["smoke command `false`", "exit status: 1"],
    );
    stage.run("deploy v3 --yes --smoke-cmd true").ends_with(0);
}

#[test]
fn an_alarm_turns_a_release_back_and_one_that_rings_before_is_told() {
    let stage = Stage::running();
    let old = stage.ask("/orders").1;
    stage.push("v2");
    let mut release = stage.start("deploy v2 --yes --strategy canary --percent 10 --step-bake 30");
    release.wait_for("production 10 % new");
    stage.ring("ALARM");
    release
        .finish()
        .ends_with(1)
        .says(&["ALARM order-api-high-errors-dev", "ROLLBACK_SUCCESSFUL"]);
    assert_eq!(stage.ask("/orders").1, old);
    stage
        .run("deploy v2 --yes --bake 0")
        .ends_with(0)
        .says(&["alarm order-api-high-errors-dev is ringing"]);
}

#[test]
fn a_release_under_way_is_rolled_back_by_command() {
    let stage = Stage::running();
    let old = stage.ask("/orders").1;
    stage.push("v2");
    let mut release = stage.start("deploy v2 --yes --strategy canary --percent 10 --step-bake 60");
    release.wait_for("production 10 % new");
    stage
        .run("rollback --yes")
        .ends_with(0)
        .says(&["Rolled back"]);
    release.finish().ends_with(1).says(&["ROLLBACK_SUCCESSFUL"]);
    assert_eq!(stage.ask("/orders").1, old);
}
