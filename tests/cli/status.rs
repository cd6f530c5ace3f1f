//! What runs at this moment, of a stack that is not there, parked, running, and partly hidden.

use serde_json::{Value, json};

use crate::driver::{Outcome, Running, Sandbox, Workplace, is_coloured};

const STATUS: &str = "status --suffix dev --sandbox";

fn push_image(sandbox: &Sandbox) {
    let kind = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": kind, "layers": [] });
    let body = json!({
        "repositoryName": "order-api-dev",
        "imageTag": "latest",
        "imageManifest": manifest.to_string(),
    });
    let target = "AmazonEC2ContainerRegistry_V20150921.PutImage";
    sandbox.call("ecr", target, &body);
}

fn set_alarm(sandbox: &Sandbox, state: &str) {
    let body = format!(
        "Action=SetAlarmState&Version=2010-08-01&AlarmName=order-api-high-errors-dev&StateValue={state}&StateReason=tested"
    );
    sandbox.query("monitoring", &body);
}

/// Counts requests as WAF does.
fn count(sandbox: &Sandbox, metric: &str, rule: &str, requests: u32) {
    let dimensions = [
        ("WebACL", "order-api-waf-dev"),
        ("Region", "us-east-1"),
        ("Rule", rule),
    ];
    let mut body = format!(
        "Action=PutMetricData&Version=2010-08-01&Namespace=AWS/WAFV2\
         &MetricData.member.1.MetricName={metric}&MetricData.member.1.Value={requests}"
    );
    for (number, (name, value)) in (1..).zip(dimensions) {
        let dimension = format!("&MetricData.member.1.Dimensions.member.{number}");
        body.push_str(&format!("{dimension}.Name={name}{dimension}.Value={value}"));
    }
    sandbox.query("monitoring", &body);
}

fn snapshot(place: &Workplace) -> Value {
    let outcome = place.run(&format!("{STATUS} --json")).ends_with(0);
    assert_eq!(outcome.stderr, "", "{outcome}");
    let mut lines = outcome.json_lines();
    assert_eq!(lines.len(), 1, "{outcome}");
    lines.remove(0)
}

#[track_caller]
fn expect_line(outcome: &Outcome, text: &str) {
    let found = outcome.stdout.lines().any(|line| line.starts_with(text));
    assert!(found, "no line {text:?} in {outcome}");
}

#[test]
fn a_stack_is_told_from_nothing_over_parked_to_running() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let nothing = place.run(STATUS).ends_with(1).without_data();
    nothing.says(&["there is no stack `dev` in account", "orderctl up"]);

    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    let files = place.files();
    let parked = place.run(STATUS).ends_with(0);
    expect_line(
        &parked,
        "service     parked; no image yet: `orderctl push IMAGE`",
    );
    expect_line(&parked, "release     none yet");
    expect_line(&parked, "image       none runs");
    expect_line(
        &parked,
        "waf         0 requests blocked, 0 allowed in the last 5 minutes",
    );
    assert!(!is_coloured(&parked.stdout), "{parked}");

    push_image(&sandbox);
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    for (metric, rule, requests) in [
        ("BlockedRequests", "ALL", 7),
        ("BlockedRequests", "RateLimitRule", 7),
        ("AllowedRequests", "ALL", 41),
    ] {
        count(&sandbox, metric, rule, requests);
    }
    set_alarm(&sandbox, "ALARM");
    let running = snapshot(&place);
    assert_eq!(running["type"], "status");
    assert_eq!(running["stack"], "dev");
    let service = &running["service"];
    assert_eq!(
        (&service["desired"], &service["running"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(service["parked"], false);
    let tasks = &running["tasks"];
    let by_provider = &tasks["byCapacityProvider"];
    let on = |provider: &str| by_provider[provider].as_u64().unwrap_or_default();
    assert_eq!(on("FARGATE") + on("FARGATE_SPOT"), 3, "{tasks}");
    assert_eq!(tasks["onSpot"], json!(on("FARGATE_SPOT")));
    let image = &tasks["images"][0];
    assert_eq!(image["tasks"], 3, "{tasks}");
    assert!(image["digest"].as_str().unwrap().starts_with("sha256:"));
    assert!(
        image["revision"]
            .as_str()
            .unwrap()
            .starts_with("order-api-dev:")
    );

    let colours = running["colours"].as_array().unwrap();
    let sum = |field: &str| -> f64 {
        let percents = colours.iter();
        percents.map(|colour| colour[field].as_f64().unwrap()).sum()
    };
    assert_eq!(
        (sum("productionPercent"), sum("testPercent")),
        (100.0, 100.0)
    );
    let serving = colours.iter().find(|it| it["productionPercent"] == 100.0);
    let serving = serving.unwrap();
    assert_eq!(serving["targets"]["healthy"], 3, "{serving}");
    assert_eq!(running["deployment"]["status"], "SUCCESSFUL");
    assert_eq!(running["deployment"]["underWay"], false);
    assert_eq!(running["release"]["digest"], image["digest"]);
    assert_eq!(running["alarms"][0]["state"], "ALARM");
    assert_eq!(running["alarms"][0]["reason"], "tested");
    let members = running["database"]["members"].as_array().unwrap();
    let roles: Vec<_> = members
        .iter()
        .map(|it| it["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["writer", "reader", "reader"]);
    assert_eq!(members[0]["class"], "db.r6g.large");
    let waf = json!({ "blocked": 7, "allowed": 41, "minutes": 5 });
    assert_eq!(running["waf"], waf);
    assert_eq!(
        (&running["absent"], &running["unreadable"]),
        (&json!([]), &json!([]))
    );

    let text = place.run(STATUS).ends_with(0);
    expect_line(&text, "service     3 of 3 tasks running, 0 pending; ");
    expect_line(&text, "waf         7 requests blocked, 41 allowed");
    expect_line(&text, "  order-api-high-errors-dev: tested");
    assert!(text.stdout.lines().count() <= 24, "{text}");
    // Nothing was written, and no state is needed.
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        place.files().keys().collect::<Vec<_>>()
    );
    let elsewhere = Workplace::on(&sandbox);
    elsewhere.run(STATUS).ends_with(0);
    assert!(elsewhere.files().is_empty());
}

#[test]
fn a_part_that_may_not_be_read_says_so_and_hides_nothing_else() {
    let sandbox = Sandbox::start_with("--control");
    let place = Workplace::on(&sandbox);
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    for operation in ["DescribeAlarms", "DescribeDBClusters"] {
        sandbox.fault(&json!({ "operation": operation, "action": "deny", "times": 100 }));
    }
    let outcome = place.run(STATUS).ends_with(0);
    expect_line(
        &outcome,
        "database    cannot be read: rds:DescribeDBClusters: AccessDenied",
    );
    expect_line(
        &outcome,
        "  cannot be read: cloudwatch:DescribeAlarms: AccessDenied",
    );
    expect_line(&outcome, "service     parked");
    let json = snapshot(&place);
    assert_eq!(
        (&json["alarms"], &json["database"]),
        (&Value::Null, &Value::Null)
    );
    let unreadable = json["unreadable"].as_array().unwrap();
    let parts: Vec<_> = unreadable
        .iter()
        .map(|it| it["part"].as_str().unwrap())
        .collect();
    assert_eq!(parts, ["alarms", "database"]);
}

#[test]
fn watching_adds_what_changed_and_ends_quietly_at_an_interrupt() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    let line = format!("{STATUS} --watch 1");
    let mut watching = Running::start(&line, place.command(&line));
    watching.wait_for_data("waf  ");
    set_alarm(&sandbox, "ALARM");
    watching.wait_for_data("order-api-high-errors-dev: tested");
    watching.interrupt();
    let outcome = watching.finish_by_itself().ends_with(130);
    assert_eq!(outcome.stderr, "", "{outcome}");
    assert_eq!(
        outcome.stdout.matches("Stack dev in").count(),
        2,
        "{outcome}"
    );

    let line = format!("{STATUS} --watch 1 --json");
    let mut watching = Running::start(&line, place.command(&line));
    // With --json each look is a line, changed or not.
    watching.wait_for_data("\n{\"type\":\"status\"");
    watching.terminate();
    let lines = watching.finish_by_itself().ends_with(130).json_lines();
    let (last, before) = lines.split_last().unwrap();
    assert_eq!(last["type"], "interrupted");
    assert!(before.len() >= 2 && before.iter().all(|it| it["type"] == "status"));

    place
        .run(&format!("{STATUS} --watch 0"))
        .refused(&["--watch", "1..=3600"]);
}

#[test]
fn watching_on_a_terminal_draws_in_one_place_and_leaves_the_last_look() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    let line = format!("{STATUS} --watch 1");
    let outcome = place.answer_on_terminal(&sandbox, &line, "order-api-dev-3", "\u{3}");
    let outcome = outcome.ends_with(130);
    assert!(
        outcome.stdout.contains("\u{1b}[1A"),
        "it never moved up: {outcome:?}"
    );
    assert!(!outcome.stdout.contains("error:"), "{outcome}");
    // Empty lines are drawn too: what is drawn looks like what is printed.
    let drawn = outcome.stdout.split("^C").next().unwrap();
    let drawn = drawn.rsplit("Stack dev in").next().unwrap();
    let between = drawn
        .split("database")
        .nth(1)
        .unwrap()
        .split("COLOUR")
        .next();
    assert!(
        between.unwrap().len() > 80 + 60,
        "no empty line in {outcome:?}"
    );
    // Whoever hides the cursor must show it again.
    assert_eq!(
        outcome.stdout.matches("\u{1b}[?25l").count(),
        outcome.stdout.matches("\u{1b}[?25h").count()
    );
    let last = outcome.stdout.rsplit("Stack dev in").next().unwrap();
    assert!(
        last.contains("order-api-dev-3") && last.ends_with('\n'),
        "{outcome:?}"
    );
}
