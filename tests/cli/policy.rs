//! `policy`: what is printed, and that it allows everything a real run calls, on what it calls it for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::driver::{Sandbox, Workplace, http, images};

/// The documents that are printed.
fn documents(place: &Workplace, line: &str) -> Vec<Value> {
    let outcome = place.run(line).ends_with(0);
    let printed: Value = serde_json::from_str(&outcome.stdout).unwrap();
    match printed {
        Value::Array(several) => several,
        one => vec![one],
    }
}

fn statements(documents: &[Value]) -> impl Iterator<Item = &Value> {
    documents
        .iter()
        .flat_map(|document| document["Statement"].as_array().unwrap())
}

fn texts(value: &Value) -> Vec<&str> {
    let list = value.as_array().unwrap().iter();
    list.map(|text| text.as_str().unwrap()).collect()
}

/// What policies call a service, where that is not what requests are signed for.
fn action(service: &str, operation: &str) -> String {
    let service = match service {
        "monitoring" => "cloudwatch",
        "tagging" => "tag",
        service => service,
    };
    format!("{service}:{operation}")
}

/// The actions that were called since the last time.
fn called(sandbox: &Sandbox) -> BTreeSet<String> {
    let path = "/orderctl/sandbox/control/calls";
    let log: Value = serde_json::from_str(&http::get(sandbox.endpoint(), path)).unwrap();
    http::delete(sandbox.endpoint(), path);
    let calls = log["calls"].as_array().unwrap().iter();
    calls
        // Unsigned is what a user of the load balancer sends, as the trial of a release does.
        .filter(|call| call["service"] != "")
        .map(|call| {
            action(
                call["service"].as_str().unwrap(),
                call["operation"].as_str().unwrap(),
            )
        })
        .collect()
}

/// Says whether a text fits a pattern in which `*` is any text and `?` any character.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|start| fits(rest, &text[start..])),
        Some((b'?', rest)) => !text.is_empty() && fits(rest, &text[1..]),
        Some((one, rest)) => text.first() == Some(one) && fits(rest, &text[1..]),
    }
}

fn arns(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.starts_with("arn:") => {
            found.insert(text.clone());
        }
        Value::Array(list) => list.iter().for_each(|item| arns(item, found)),
        Value::Object(fields) => fields.values().for_each(|item| arns(item, found)),
        _ => {}
    }
}

#[test]
fn the_policy_of_a_command_allows_what_a_real_run_of_it_calls() {
    let sandbox = Sandbox::start_with("--control");
    let place = Workplace::on(&sandbox);
    let account = "--account 123456789012";
    let allows = |verb: &str, called: &BTreeSet<String>| {
        assert!(!called.is_empty(), "{verb} calls nothing");
        let documents = documents(&place, &format!("policy {verb} --suffix dev {account}"));
        let allowed: BTreeSet<String> = statements(&documents)
            .flat_map(|statement| texts(&statement["Action"]))
            .map(str::to_owned)
            .collect();
        let missing: Vec<_> = called.difference(&allowed).collect();
        assert!(missing.is_empty(), "`orderctl {verb}` calls {missing:?}");
    };

    place.run("plan --suffix dev --sandbox").ends_with(0);
    allows("plan", &called(&sandbox));

    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    let mut up = called(&sandbox);
    let state = place.state("dev");
    // A change of many kinds: updates, new nodes, nodes that go, and an image to run.
    let put = json!({
        "repositoryName": "order-api-dev", "imageTag": "2",
        "imageManifest": json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json" }).to_string(),
    });
    sandbox.call("ecr", "AmazonEC2ContainerRegistry_V20150921.PutImage", &put);
    called(&sandbox);
    place.write(
        "orderctl.toml",
        "[service]\nimage_tag = \"2\"\n[network]\nnat = \"single\"\n[database]\nreaders = 1\nbackup_retention_days = 9\n\
         [alarms]\nemails = [\"a@example.com\"]\nhigh_errors = 5\n[waf]\nrate_limit = 200\nallow_cidrs = [\"192.0.2.0/24\"]\n\
         [logs]\nretention_days = 14\n[app]\nlog_level = \"debug\"\n[tags]\nTeam = \"orders\"\n[scaling]\nmax = 12\n",
    );
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    let change = called(&sandbox);
    assert!(
        change.difference(&up).count() > 10,
        "the change is one: {change:?}"
    );
    up.extend(change);
    allows("up", &up);

    // Every ARN that AWS made is one that something may be done to.
    let documents = documents(&place, &format!("policy up --suffix dev {account}"));
    let resources: BTreeSet<&str> = statements(&documents)
        .flat_map(|statement| texts(&statement["Resource"]))
        .filter(|resource| *resource != "*")
        .collect();
    let mut made = BTreeSet::new();
    for record in state["records"].as_object().unwrap().values() {
        arns(&record["outputs"], &mut made);
    }
    assert!(made.len() > 20, "{made:?}");
    for arn in &made {
        let allowed = resources
            .iter()
            .any(|resource| fits(resource.as_bytes(), arn.as_bytes()));
        // A subscription is deleted by an action for which AWS knows no resources, and a scaling policy as a
        // part of its target.
        let is_part = [":order-api-alarms-dev:", ":scalingPolicy:"]
            .iter()
            .any(|part| arn.contains(part));
        assert!(allowed || is_part, "{arn} fits none of {resources:#?}");
    }

    let image = images::layout("amd64", &[images::layer("release")], "3");
    std::fs::write(place.path().join("image.tar"), images::tarred(&image)).unwrap();
    called(&sandbox);
    place
        .run("push image.tar --suffix dev --sandbox")
        .ends_with(0);
    let mut push = called(&sandbox);
    // To ask how to log in takes no permission.
    assert!(push.remove("ecr:GET /v2/"));
    allows("push", &push);
    place
        .run("deploy 3 --suffix dev --sandbox --yes --smoke /orders")
        .ends_with(0);
    let mut deploy = called(&sandbox);
    place
        .run("deploy --list --suffix dev --sandbox")
        .ends_with(0);
    place
        .run("rollback --suffix dev --sandbox --yes")
        .ends_with(0);
    deploy.extend(called(&sandbox));
    allows("deploy", &deploy);

    place.run("status --suffix dev --sandbox").ends_with(0);
    allows("status", &called(&sandbox));
    place.run("logs --suffix dev --sandbox").ends_with(0);
    allows("logs", &called(&sandbox));
    place.run("doctor --suffix dev --sandbox");
    let mut doctor = called(&sandbox);
    place.run("doctor --preflight --suffix dev --sandbox");
    doctor.extend(called(&sandbox));
    allows("doctor", &doctor);

    place.run("down --suffix dev --sandbox --yes").ends_with(0);
    allows("down", &called(&sandbox));
}

#[test]
fn it_is_printed_whole_or_in_parts_and_asks_nobody() {
    let place = Workplace::new();
    let up = place.run("policy up --suffix dev").ends_with(0);
    let printed: Value = serde_json::from_str(&up.stdout).unwrap();
    let count = printed.as_array().map_or(1, Vec::len);
    assert!(count > 1, "{up}");
    let up = up.says(&[&format!("{count} policies"), "6144 characters", "--part 1"]);
    assert!(up.stdout.contains("arn:aws:ec2:us-east-1:*:vpc/*"));
    let part = place.run("policy up --suffix dev --part 1").ends_with(0);
    let part: Value = serde_json::from_str(&part.stdout).unwrap();
    assert_eq!(part, printed[0]);
    place
        .run("policy up --suffix dev --part 99")
        .refused(&["there is no part 99"]);
    place
        .run("policy up --suffix dev --account 12")
        .refused(&["an account has 12 digits"]);
    // Small enough for one; for programs on one line.
    let push = place.run("policy push --suffix dev --json").ends_with(0);
    assert_eq!(push.json_lines()[0]["Version"], "2012-10-17");
    assert_eq!(push.stderr, "");
    assert!(place.files().is_empty());
}
