//! `sandbox`: the local AWS as a thing to start, ask, use and stop.

use std::fs;

use crate::driver::sandbox::install_into;
use crate::driver::{Outcome, Workplace, command, http};

#[test]
fn it_is_started_found_used_and_stopped() {
    let place = Workplace::new();
    let root = place.path().join("sandbox");
    fs::create_dir(&root).unwrap();
    install_into(&root);

    place
        .run("sandbox status")
        .ends_with(1)
        .without_data()
        .says(&["the local AWS is not running", "orderctl sandbox start"]);

    let started = place.run("sandbox start").ends_with(0);
    let stop = StopAtTheEnd(&place);
    let endpoint = started
        .stdout
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap();
    assert!(endpoint.starts_with("http://127.0.0.1:"), "{started}");
    let again = place.run("sandbox start").ends_with(0);
    assert_eq!(again.stdout, started.stdout, "the same process");
    assert_eq!(
        place.run("sandbox status").ends_with(0).stdout,
        started.stdout
    );
    let json = place.run("sandbox status --json").ends_with(0).json_lines();
    assert_eq!(json[0]["endpoint"], endpoint);

    let exports = place
        .run("sandbox env --region eu-west-1")
        .ends_with(0)
        .stdout;
    let script = r#"eval "$1"; printf '%s %s %s %s' "$AWS_ENDPOINT_URL" "$AWS_REGION" \
                    "$AWS_ACCESS_KEY_ID" "${AWS_PROFILE-none}"; env | grep -c ^AWS_ENDPOINT_URL="#;
    let output = command("sh")
        .args(["-euc", script, "sh", &exports])
        .env("AWS_PROFILE", "production")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("{endpoint} eu-west-1 test none1\n")
    );
    // What was exported is all that orderctl itself needs.
    let plan = place
        .command("plan --suffix dev")
        .env("AWS_ENDPOINT_URL", endpoint)
        .output()
        .unwrap();
    let plan = Outcome::of("plan with AWS_ENDPOINT_URL", plan).ends_with(0);
    assert!(plan.stdout.contains("84 to create"), "{plan}");

    drop(stop);
    place.run("sandbox status").ends_with(1);
    place
        .run("sandbox stop")
        .ends_with(0)
        .says(&["the local AWS is not running"]);
}

#[test]
fn it_behaves_as_it_was_told_to_and_says_so() {
    let place = Workplace::new();
    let root = place.path().join("sandbox");
    fs::create_dir(&root).unwrap();
    install_into(&root);
    let line = "sandbox start --speed 0 --quota vpcs=1 --control";
    let started = place.run(line).ends_with(0);
    let _stop = StopAtTheEnd(&place);
    let told = place.run("sandbox status --json").ends_with(0).json_lines();
    assert_eq!(told[0]["speed"], 0.0);
    assert_eq!(told[0]["eventualConsistencySeconds"], 0.0);
    assert_eq!(told[0]["quotas"]["vpcs"], 1);
    assert_eq!(told[0]["quotas"]["elastic-ips"], 5);
    let endpoint = told[0]["endpoint"].as_str().unwrap();
    let control = format!("{endpoint}/orderctl/sandbox/control/");
    assert_eq!(told[0]["control"], control);
    for part in ["nothing takes time", "vpcs=1", &control] {
        assert!(started.stdout.contains(part), "{started}");
    }
    // The control endpoint is there, and has seen what was asked.
    place.run("plan --suffix dev --sandbox").ends_with(0);
    let calls = http::get(endpoint, "/orderctl/sandbox/control/calls");
    assert!(calls.contains("DescribeVpcs"), "{calls}");

    // Who wishes for nothing else takes it as it is.
    for line in ["sandbox start", "sandbox start --speed 0 --quota vpcs=1"] {
        assert_eq!(place.run(line).ends_with(0).stdout, started.stdout);
    }
    for line in ["sandbox start --speed 60", "sandbox start --quota vpcs=2"] {
        place
            .run(line)
            .ends_with(1)
            .without_data()
            .says(&["behaves otherwise", "orderctl sandbox stop"]);
    }
}

#[test]
fn wishes_that_make_no_sense_are_refused_before_anything_is_started() {
    let place = Workplace::new();
    for (line, reason) in [
        ("sandbox start --speed=-1", "0 to 1000000"),
        ("sandbox start --speed fast", "0 to 1000000"),
        ("sandbox start --eventual-consistency=700", "0 to 600"),
        ("sandbox start --quota eips=5", "elastic-ips"),
        ("sandbox start --quota vpcs", "NAME=NUMBER"),
        (
            "sandbox start --speed 0 --eventual-consistency",
            "needs time to pass",
        ),
    ] {
        place.run(line).refused(&[reason]);
    }
    assert!(place.files().is_empty());
}

struct StopAtTheEnd<'a>(&'a Workplace);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        let outcome = self.0.run("sandbox stop");
        if !std::thread::panicking() {
            outcome
                .ends_with(0)
                .says(&["stopped the local AWS at http://127.0.0.1:"]);
        }
    }
}

#[test]
fn without_python_it_says_what_to_install() {
    let place = Workplace::new();
    let nowhere = place.path().join("nothing-installed");
    fs::create_dir(&nowhere).unwrap();
    for line in [
        "sandbox start",
        "sandbox env",
        "up --suffix dev --sandbox --yes",
        "plan --suffix dev --sandbox",
    ] {
        let output = place.command(line).env("PATH", &nowhere).output().unwrap();
        let outcome = Outcome::of(line, output)
            .ends_with(1)
            .without_data()
            .says(&[
                "needs Python 3.10 or newer",
                "apt install python3 python3-venv",
            ]);
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
    }
    assert!(!place.path().join("state/dev.json").exists());
}
