//! The first image on a service that is parked.

use serde_json::json;

use crate::stage::Stage;

fn scaling(stage: &Stage) -> (i64, bool) {
    let request = json!({ "ServiceNamespace": "ecs" });
    let target = "AnyScaleFrontendService.DescribeScalableTargets";
    let answer = stage
        .sandbox
        .call("application-autoscaling", target, &request);
    let target = &answer["ScalableTargets"][0];
    let suspended = &target["SuspendedState"]["DynamicScalingOutSuspended"];
    (
        target["MinCapacity"].as_i64().unwrap(),
        suspended.as_bool().unwrap(),
    )
}

#[test]
fn the_first_good_image_starts_the_service_and_its_scaling() {
    let stage = Stage::parked();
    let nothing = stage.run("deploy --resume").ends_with(0);
    nothing.says(&["no release is under way", "is parked"]);
    assert_eq!(scaling(&stage), (0, true));
    let digest = stage.push("v1");
    let release = stage.run("deploy v1 --yes").ends_with(0);
    let release = release.says(&["is parked", "its scaling works from now on: 3 to 10 tasks"]);
    assert_eq!(release.stdout.trim(), digest);
    assert_eq!(scaling(&stage), (3, false));
    assert_eq!(stage.ask("/orders"), (200, digest));
    let up = stage.run("up --yes -v").ends_with(0);
    assert_eq!(up.writes(), 0, "{up}");
}

#[test]
fn a_first_image_that_fails_leaves_the_service_parked() {
    let stage = Stage::parked();
    stage.push("v1-crash");
    stage
        .run("deploy v1-crash --yes")
        .ends_with(1)
        .says(&["have failed and none is healthy", "parked again"]);
    assert_eq!(stage.service()["desiredCount"], 0);
    assert_eq!(scaling(&stage), (0, true));
    stage.push("v2");
    stage.run("deploy v2 --yes").ends_with(0);
    assert_eq!(scaling(&stage), (3, false));
}

#[test]
fn a_first_release_that_is_rolled_back_by_command_leaves_the_service_parked() {
    let stage = Stage::parked();
    stage.push("v1-slow");
    let mut release = stage.start("deploy v1-slow --yes");
    release.wait_for("SCALE_UP");
    stage
        .run("rollback --yes")
        .ends_with(0)
        .says(&["no version before it", "Rolled back"]);
    release.finish().ends_with(1).says(&["parked again"]);
    assert_eq!(stage.service()["desiredCount"], 0);
    stage.run("plan --detailed-exitcode").ends_with(0);
}
