//! The program is killed at every stage of a release: ECS goes on, and `--resume` picks it up.

use crate::stage::Stage;

#[test]
fn a_release_goes_on_whoever_dies_and_is_picked_up_at_every_stage() {
    let stage = Stage::running();
    let stages = [
        "SCALE_UP",
        "POST_SCALE_UP",
        "TEST_TRAFFIC_SHIFT",
        "POST_TEST_TRAFFIC_SHIFT",
        "PRODUCTION_TRAFFIC_SHIFT",
        "POST_PRODUCTION_TRAFFIC_SHIFT",
        "BAKE_TIME",
        "CLEAN_UP",
    ];
    for (number, name) in stages.into_iter().enumerate() {
        let tag = format!("v{}", number + 2);
        let old = stage.ask("/orders").1;
        let new = stage.push(&tag);
        let users = stage.users();
        stage.stand_still();
        let mut release = stage.start(&format!(
            "deploy {tag} --yes --strategy canary --step-bake 1"
        ));
        release.wait_for("running");
        stage.halt_at(name);
        release.kill();
        drop(release);
        stage.run_as_time_passes("deploy --resume").ends_with(0);
        users.were_served_by(&[&old, &new]);
        assert_eq!(stage.ask("/orders").1, new, "killed at {name}");
        stage.run("plan --detailed-exitcode").ends_with(0);
    }
}

#[test]
fn a_trial_whose_judge_died_is_decided_by_another() {
    let stage = Stage::running();
    let old = stage.ask("/orders").1;
    let new = stage.push("v2");
    // A command that does not end by itself.
    let mut release = stage.start("deploy v2 --yes --smoke-cmd yes>/dev/null");
    release.wait_for("POST_TEST_TRAFFIC_SHIFT");
    release.kill();
    drop(release);
    assert_eq!(stage.ask("/orders").1, old);
    stage.run("deploy --resume --smoke /orders").ends_with(0);
    assert_eq!(stage.ask("/orders").1, new);
}

#[test]
fn whoever_is_interrupted_says_how_to_go_on() {
    let stage = Stage::running();
    // One that takes its time to come up, however busy the machine is.
    stage.push("v2-slow");
    let mut release = stage.start("deploy v2-slow --yes");
    release.wait_for("SCALE_UP");
    release.interrupt();
    release.finish_by_itself().ends_with(130).says(&[
        "the release goes on in ECS",
        "--resume",
        "rollback",
    ]);
    stage.run("deploy --resume").ends_with(0);
}
