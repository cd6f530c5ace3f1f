//! Every mistake in what the user gave is one clear error with exit code 2, before any call, and
//! before anything is made.

use std::fs;

use crate::driver::http::FakeAws;
use crate::driver::{Outcome, Workplace};

/// Runs against an endpoint that must not be asked, in a directory in which nothing may appear.
#[track_caller]
fn refused_before_any_call(place: &Workplace, line: &str, parts: &[&str]) -> Outcome {
    let aws = FakeAws::start(|_| String::new());
    let before = place.files();
    let outcome = place
        .run(&format!("{line} --endpoint-url {}", aws.endpoint))
        .refused(parts);
    assert_eq!(aws.asked(), [""; 0], "{outcome}");
    assert_eq!(place.files(), before, "{outcome}");
    let entries: Vec<_> = fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".toml"))
        .collect();
    assert!(entries.is_empty(), "{entries:?} appeared: {outcome}");
    assert!(!outcome.stderr.contains('\u{1b}'), "{outcome}");
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    outcome
}

#[test]
fn a_bad_suffix_is_refused_with_the_rule() {
    let place = Workplace::new();
    let rule = "lower-case letters a-z and digits";
    for (suffix, wrong) in [
        ("Dev", "character 1 is 'D'"),
        ("de_v", "character 3 is '_'"),
        ("dev-", "it ends with a hyphen"),
        ("a--b", "it has two hyphens side by side"),
        ("abcdefghij01234567890", "it has 21 characters"),
    ] {
        for verb in ["up --yes", "plan", "down --yes", "outputs"] {
            let line = format!("{verb} --suffix {suffix}");
            refused_before_any_call(&place, &line, &["`--suffix`", suffix, wrong, rule]);
        }
    }
    refused_before_any_call(&place, "plan --suffix=-dev", &["it begins with a hyphen"]);
    place.run("plan --suffix=").refused(&["it is empty"]);
    place
        .run("init --suffix Dev")
        .refused(&["character 1 is 'D'", rule]);
    assert!(place.files().is_empty());
}

#[test]
fn a_bad_suffix_starts_no_sandbox() {
    let place = Workplace::new();
    let line = "up --suffix Dev --sandbox --yes";
    place.run(line).refused(&["character 1 is 'D'"]);
    assert!(
        fs::read_dir(place.path()).unwrap().next().is_none(),
        "nothing was made"
    );
}

#[test]
fn a_mistake_in_the_file_is_shown_in_its_line_with_what_is_allowed() {
    for (text, parts) in [
        (
            "suffix = \"dev\"\nregoin = \"us-east-1\"\n",
            &["`regoin`", "orderctl.toml:2:1", "did you mean `region`?"][..],
        ),
        (
            "[database]\nreader = 1\n",
            &[
                "`database.reader`",
                "orderctl.toml:2:1",
                "did you mean `readers`?",
            ],
        ),
        (
            "[database]\nreaders = 16\n",
            &["`database.readers` is 16", "orderctl.toml:2:11", "0 to 15"],
        ),
        (
            "[database]\n\nreaders = \"two\"\n",
            &[
                "`database.readers` must be a whole number",
                "orderctl.toml:3:11",
            ],
        ),
        (
            "[network]\ncidr = \"10.0.0.300/16\"\n",
            &["not an IPv4 CIDR block", "orderctl.toml:2:8"],
        ),
        (
            "[network]\ncidr = \"10.0.0.0/29\"\n",
            &["network.cidr", "orderctl.toml:2:8", "help:"],
        ),
        (
            "suffix = \"Dev\"\n",
            &["character 1 is 'D'", "orderctl.toml:1:10"],
        ),
        ("suffix = \n", &["this is not TOML", "orderctl.toml:1:"]),
        (
            "[network]\nazs = [\"us-east-1a\", \"us-east-1b\"]\n",
            &["network.azs", "orderctl.toml:2:"],
        ),
    ] {
        let place = Workplace::new();
        place.write("orderctl.toml", text);
        let mut lines = vec!["plan", "up --yes", "down --yes", "outputs"];
        if !text.contains("suffix") {
            lines = vec!["plan --suffix dev", "up --suffix dev --yes"];
        }
        for line in lines {
            refused_before_any_call(&place, line, parts);
        }
    }
}

#[test]
fn a_place_for_states_that_is_none_is_refused() {
    for (state, wrong) in [
        ("s3://", "it names no bucket"),
        ("s3:///x", "it names no bucket"),
        (
            "s3://My_States",
            "lower-case letters, digits, hyphens and dots",
        ),
        ("s3://states/a//b", "between single slashes"),
        ("gs://states/x", "in directories and in S3 alone"),
    ] {
        let place = Workplace::new();
        for verb in ["plan", "up --yes", "down --yes", "outputs"] {
            let line = format!("{verb} --suffix dev --state {state}");
            refused_before_any_call(
                &place,
                &line,
                &["`--state`", state, wrong, "s3://my-states/"],
            );
        }
        place.write("orderctl.toml", &format!("state = \"{state}\"\n"));
        let line = "up --suffix dev --yes";
        refused_before_any_call(&place, line, &["`state`", "orderctl.toml:1:9", wrong]);
    }
    let place = Workplace::new();
    for wrong in ["soon", "-5s", "10"] {
        let line = format!("up --suffix dev --lock-timeout={wrong}");
        refused_before_any_call(&place, &line, &["--lock-timeout", "10m"]);
    }
}

#[test]
fn a_mistake_is_one_json_line_where_json_is_asked_for() {
    let place = Workplace::new();
    place.write(
        "orderctl.toml",
        "suffix = \"dev\"\nregoin = \"us-east-1\"\n",
    );
    let outcome = refused_before_any_call(&place, "plan --json", &["regoin"]);
    let lines = crate::driver::json_lines(&outcome.stderr);
    assert_eq!(lines.len(), 1, "{outcome}");
    assert_eq!(lines[0]["type"], "error");
    assert!(lines[0]["message"].as_str().unwrap().contains("`regoin`"));
    let hint = lines[0]["hints"][0].as_str().unwrap();
    assert!(hint.contains("did you mean `region`?"), "{hint}");
}

#[test]
fn a_file_that_was_named_must_exist() {
    let place = Workplace::new();
    refused_before_any_call(
        &place,
        "plan --suffix dev --config missing.toml",
        &[
            "missing.toml does not exist (from --config)",
            "orderctl init",
        ],
    );
}

#[test]
fn unknown_flags_values_and_commands_are_usage_errors() {
    let place = Workplace::new();
    for (line, part) in [
        ("plan --sufix dev", "--suffix"),
        ("pln --suffix dev", "plan"),
        ("up --suffix dev --parallelism 0", "1..=64"),
        ("up --suffix dev --parallelism 65", "1..=64"),
        ("plan --color sometimes", "always"),
        ("outputs --suffix dev --format xml", "github"),
    ] {
        refused_before_any_call(&place, line, &["error:", part]);
    }
}

#[test]
fn no_stack_at_all_is_asked_for() {
    let place = Workplace::new();
    for line in ["plan", "up --yes", "down --yes", "outputs"] {
        refused_before_any_call(
            &place,
            line,
            &["which stack?", "--suffix", "ORDERCTL_SUFFIX"],
        );
    }
}

#[test]
fn init_overwrites_only_when_forced() {
    let place = Workplace::new();
    place.write("orderctl.toml", "suffix = \"mine\"\n");
    place
        .run("init")
        .refused(&["orderctl.toml is there already", "--force"]);
    assert_eq!(place.files()["orderctl.toml"], "suffix = \"mine\"\n");
    place.run("init --force --suffix new").ends_with(0);
    let written = &place.files()["orderctl.toml"];
    assert!(written.contains("suffix = \"new\""), "{written}");
    place
        .run("init --config missing/orderctl.toml")
        .ends_with(1)
        .says(&["missing/orderctl.toml"]);
}

/// An account in a region with two Availability Zones.
fn two_zones(body: &str) -> String {
    if body.contains("Action=GetCallerIdentity") {
        return r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
            <GetCallerIdentityResult>
              <Arn>arn:aws:iam::123456789012:user/test</Arn>
              <UserId>test</UserId>
              <Account>123456789012</Account>
            </GetCallerIdentityResult>
            <ResponseMetadata><RequestId>one</RequestId></ResponseMetadata>
            </GetCallerIdentityResponse>"#
            .to_owned();
    }
    let zones: String = ["us-west-1a", "us-west-1c"]
        .iter()
        .map(|zone| {
            format!(
                "<item><zoneState>available</zoneState><zoneName>{zone}</zoneName>\
                 <regionName>us-west-1</regionName><zoneType>availability-zone</zoneType></item>"
            )
        })
        .collect();
    format!(
        "<DescribeAvailabilityZonesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
         <requestId>two</requestId><availabilityZoneInfo>{zones}</availabilityZoneInfo>\
         </DescribeAvailabilityZonesResponse>"
    )
}

#[test]
fn a_region_with_two_zones_is_refused_after_two_reads() {
    for verb in ["plan", "up --yes"] {
        let place = Workplace::new();
        place.write(
            "orderctl.toml",
            "suffix = \"dev\"\nregion = \"us-west-1\"\n",
        );
        let aws = FakeAws::start(two_zones);
        let outcome = place
            .run(&format!("{verb} --endpoint-url {}", aws.endpoint))
            .refused(&[
                "region us-west-1 offers this account 2 Availability Zones",
                "orderctl.toml:2:10",
                "the stack needs three",
            ]);
        let asked = aws.asked();
        assert_eq!(asked.len(), 2, "{asked:?}: {outcome}");
        assert!(asked[0].contains("Action=GetCallerIdentity"), "{asked:?}");
        assert!(
            asked[1].contains("Action=DescribeAvailabilityZones"),
            "{asked:?}"
        );
        let states: Vec<_> = place
            .files()
            .into_keys()
            .filter(|name| name.ends_with(".json"))
            .collect();
        assert!(states.is_empty(), "{states:?}");
    }
}

#[test]
fn a_zone_the_account_does_not_have_is_refused() {
    let place = Workplace::new();
    place.write(
        "orderctl.toml",
        "suffix = \"dev\"\nregion = \"us-west-1\"\n[network]\nazs = [\"us-west-1a\", \"us-west-1b\", \"us-west-1c\"]\n",
    );
    let aws = FakeAws::start(two_zones);
    place
        .run(&format!("plan --endpoint-url {}", aws.endpoint))
        .refused(&[
            "`us-west-1b` is no Availability Zone",
            "us-west-1a, us-west-1c",
            "orderctl.toml:4:",
        ]);
}
