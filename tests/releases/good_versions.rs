//! A good version goes out, is left alone, and comes back.

use serde_json::Value;

use crate::stage::Stage;

#[test]
fn a_canary_goes_out_step_by_step_and_the_old_version_serves_until_the_new_one_does() {
    let stage = Stage::running();
    let old = stage.ask("/orders").1;
    let new = stage.push("v2");
    let users = stage.users();
    let release = stage
        .run("deploy v2 --yes --strategy canary --percent 25 --step-bake 3 --bake 3 --smoke /orders --json")
        .ends_with(0);
    assert!(!release.stderr.contains("ringing"), "{release}");
    let lines = release.json_lines();
    let events: Vec<&Value> = lines
        .iter()
        .filter(|line| line["type"] == "release")
        .collect();
    let weights = |key: &str| -> Vec<f64> {
        let mut seen: Vec<f64> = events
            .iter()
            .filter_map(|event| event[key].as_f64())
            .collect();
        seen.dedup();
        seen
    };
    assert_eq!(weights("productionWeight"), [0.0, 25.0, 100.0]);
    assert_eq!(weights("testWeight").last(), Some(&100.0));
    let stages: Vec<&str> = events
        .iter()
        .filter_map(|event| event["stage"].as_str())
        .collect();
    for stage in [
        "SCALE_UP",
        "POST_TEST_TRAFFIC_SHIFT",
        "PRODUCTION_TRAFFIC_SHIFT",
        "BAKE_TIME",
    ] {
        assert!(stages.contains(&stage), "{stage}: {stages:?}");
    }
    assert_eq!(lines.last().unwrap()["digest"], new.as_str());
    let counts = users.were_served_by(&[&old, &new]);
    assert!(counts[0] > 0 && counts[1] > 0, "{counts:?}");

    // It leaves the service as it is declared, and nothing for `up` to undo.
    stage.run("plan --detailed-exitcode").ends_with(0);
    let up = stage.run("up --yes -v").ends_with(0);
    assert_eq!(up.writes(), 0, "{up}");
    assert_eq!(stage.ask("/orders").1, new);

    let list = stage
        .run("deploy --list --json")
        .ends_with(0)
        .json_lines()
        .remove(0);
    let newest = &list["releases"][0];
    assert_eq!(
        (&newest["named"], &newest["status"]),
        (&"v2".into(), &"SUCCESSFUL".into())
    );
    assert_eq!(
        (&newest["runs"], &newest["digest"]),
        (&true.into(), &new.as_str().into())
    );
    assert!(!newest["by"].as_str().unwrap().is_empty());

    // The same once more is nothing to do.
    let before = stage.deployments();
    let again = stage
        .run("deploy v2 --yes")
        .ends_with(0)
        .says(&["runs already"]);
    assert_eq!(again.stdout.trim(), new);
    assert_eq!(stage.deployments(), before);

    // And back, at once.
    stage
        .run("rollback --yes")
        .ends_with(0)
        .says(&["Back to revision", "v1"]);
    assert_eq!(stage.ask("/orders").1, old);
    stage.run("plan --detailed-exitcode").ends_with(0);
}

#[test]
fn a_release_under_way_is_left_alone_by_up_and_refused_to_others_and_a_changed_setting_keeps_its_image()
 {
    let stage = Stage::running();
    let old = stage.ask("/orders").1;
    let new = stage.push("v2");
    stage
        .run("deploy v2 --yes --approve --no-wait")
        .ends_with(0)
        .says(&["left to ECS"]);
    stage.run("deploy v1 --yes").ends_with(1).says(&[
        "deployment ",
        " is ",
        "--resume",
        "rollback",
    ]);
    let up = stage.run("up --yes -v").ends_with(0);
    assert_eq!(up.writes(), 0, "{up}");
    let resumed = stage.run("deploy --resume").ends_with(1);
    resumed.says(&["waits before production traffic moves", "--approve"]);
    let up = stage.run("up --yes -v").ends_with(0);
    assert_eq!(up.writes(), 0, "in the middle of the trial: {up}");
    assert_eq!(stage.ask("/orders").1, old, "nobody has approved");
    stage.run("deploy --resume --approve --yes").ends_with(0);
    assert_eq!(stage.ask("/orders").1, new);

    let file = "[deploy]\nbake_minutes = 1\n[app.env]\nCOLOUR = \"red\"\n";
    stage.place.write("orderctl.toml", file);
    stage.run("up --yes").ends_with(0);
    assert_eq!(stage.ask("/orders").1, new, "a new setting, the same image");
}

#[test]
fn what_cannot_be_released_is_told_before_anything_changes() {
    let stage = Stage::running();
    let before = stage.deployments();
    let refused = |line: &str, code: i32, parts: &[&str]| {
        stage.run(line).ends_with(code).without_data().says(parts);
    };
    refused(
        "deploy nothing-here --yes",
        1,
        &["has no image `nothing-here`", "v1", "orderctl push"],
    );
    refused(
        "deploy other/repository:v1 --yes",
        1,
        &["not in the stack's repository"],
    );
    refused("deploy sha256:12 --yes", 2, &["64 hexadecimal digits"]);
    refused("deploy ./image.tar --yes", 2, &["names no image"]);
    refused(
        "deploy v1 --yes --strategy canary --percent 0",
        2,
        &["out of range"],
    );
    refused("deploy v1 --approve", 2, &["nobody is there to approve"]);
    stage.push("v2");
    refused("deploy v2", 2, &["nobody is there to confirm"]);
    refused("rollback --yes", 1, &["no earlier version"]);
    assert_eq!(stage.deployments(), before);
    let none = stage.place.run("deploy v1 --yes --suffix other --sandbox");
    none.ends_with(1)
        .says(&["no service order-api-other", "orderctl up"]);
}
