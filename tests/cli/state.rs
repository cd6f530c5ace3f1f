//! What is recorded of the stacks: looking at it, forgetting, and what happens to a state that is
//! damaged. None of it asks AWS.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use orderctl::resource::Address;
use orderctl::state::{LastRun, Record, RunEnd, RunOutcome, State};
use serde_json::{Value, json};

use crate::driver::http::FakeAws;
use crate::driver::{Outcome, Sandbox, Workplace};

pub(crate) fn address(name: &str) -> Address {
    Address::new(name).unwrap()
}

/// A stack of a network of three resources, the first from 2026-11-20.
pub(crate) fn stack(suffix: &str, serial: u64) -> State {
    let mut state = State::new(suffix, "eu-central-1");
    state.lineage = format!("lineage-of-{suffix}");
    state.serial = serial;
    state.account = Some("123456789012".to_owned());
    for (at, (name, kind, needs)) in [
        ("vpc", "ec2/vpc", &[][..]),
        ("public-subnet-1", "ec2/subnet", &["vpc"]),
        ("public-subnet-2", "ec2/subnet", &["vpc"]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut record = Record::new(kind);
        record.outputs = Some(json!({ "id": format!("id-of-{name}") }));
        record.spec = Some(json!({ "cidr": "10.0.0.0/24" }));
        record.dependencies = needs.iter().map(|name| address(name)).collect();
        record.created_at = Some(format!("2026-11-2{at}T10:15:28Z").parse().unwrap());
        state.records.insert(address(name), record);
    }
    state
}

/// Writes the state of a stack as a command would.
pub(crate) fn record(place: &Workplace, state: &State) {
    let name = format!("state/{}.json", state.stack);
    let document = state.to_document().unwrap();
    place.write(&name, &String::from_utf8(document).unwrap());
}

/// Runs with an endpoint that must not be asked.
#[track_caller]
fn without_aws(place: &Workplace, line: &str) -> Outcome {
    let aws = FakeAws::start(|_| String::new());
    let outcome = place.run(&format!("{line} --endpoint-url {}", aws.endpoint));
    assert_eq!(aws.asked(), [""; 0], "{outcome}");
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    outcome
}

#[test]
fn every_stack_is_a_row_with_what_one_wants_to_know() {
    let place = Workplace::new();
    let mut dev = stack("dev", 7);
    dev.last_run = Some(LastRun {
        command: "up".to_owned(),
        by: "ann@ci-7".to_owned(),
        began: "2026-11-22T10:15:27Z".parse().unwrap(),
        ended: Some(RunEnd {
            at: "2026-11-22T10:20:00Z".parse().unwrap(),
            outcome: RunOutcome::Failed,
        }),
    });
    record(&place, &dev);
    let mut prod = stack("prod", 1);
    prod.protect = true;
    record(&place, &prod);
    place.write("state/torn.json", "{\"format\": 2, \"lin");
    let mut lock = File::create(place.write("state/prod.lock", "")).unwrap();
    lock.lock().unwrap();
    lock.write_all(br#"{"user":"bob","host":"ci-8","pid":4242,"purpose":"down","since":"2026-01-02T03:04:05Z"}"#)
        .unwrap();

    let table = without_aws(&place, "stacks").ends_with(0);
    assert_eq!(table.stderr, "");
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    for (line, parts) in lines.iter().zip([
        &[
            "STACK",
            "ACCOUNT",
            "REGION",
            "AGE",
            "RESOURCES",
            "PROTECT",
            "LOCK",
            "LAST RUN",
        ][..],
        &[
            "dev",
            "123456789012",
            "eu-central-1",
            " 3 ",
            " no ",
            "up by ann@ci-7, ",
            "ago: failed",
        ],
        &["prod", " yes ", "down by bob@ci-8, "],
        &["torn", "state/torn.json cannot be read: EOF"],
    ]) {
        for part in parts {
            assert!(line.contains(part), "{part:?} in {line:?}");
        }
    }

    let json = without_aws(&place, "stacks --json").ends_with(0);
    let lines = json.json_lines();
    assert_eq!(lines.len(), 1, "{json}");
    assert_eq!(
        (&lines[0]["type"], &lines[0]["version"]),
        (&json!("stacks"), &json!(1))
    );
    let rows = lines[0]["stacks"].as_array().unwrap();
    let names: Vec<&Value> = rows.iter().map(|row| &row["stack"]).collect();
    assert_eq!(names, ["dev", "prod", "torn"]);
    assert_eq!(rows[0]["createdAt"], "2026-11-20T10:15:28Z");
    assert_eq!(rows[0]["lastRun"]["outcome"], "failed");
    assert_eq!(rows[0]["lock"], Value::Null);
    assert_eq!(rows[1]["lock"]["pid"], 4242);
    assert_eq!(rows[1]["protect"], true);
    assert!(
        rows[2]["error"]
            .as_str()
            .unwrap()
            .contains("cannot be read")
    );
    let before = place.files();
    without_aws(&place, "stacks").ends_with(0);
    assert_eq!(place.files(), before, "looking leaves nothing behind");
}

#[test]
fn no_stacks_are_no_failure() {
    let place = Workplace::new();
    let outcome = without_aws(&place, "stacks").ends_with(0).without_data();
    outcome.says(&["There are no stacks in state."]);
    let outcome = without_aws(&place, "stacks --json --state elsewhere").ends_with(0);
    assert_eq!(outcome.json_lines()[0]["stacks"], json!([]));
    assert!(fs::read_dir(place.path()).unwrap().next().is_none());
    // What the source tree has beside states is none.
    place.write(
        "state/example.json",
        include_str!("../../state/example.json"),
    );
    place.write("state/package.json", "{\"name\": \"web\"}");
    without_aws(&place, "stacks").ends_with(0).without_data();
}

#[test]
fn records_are_listed_and_shown() {
    let place = Workplace::new();
    record(&place, &stack("dev", 7));
    let list = without_aws(&place, "state list").ends_with(0);
    let lines: Vec<Vec<&str>> = list
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["ADDRESS", "KIND", "ID", "CREATED"]);
    assert_eq!(
        lines[3],
        ["vpc", "ec2/vpc", "id-of-vpc", "2026-11-20T10:15:28Z"]
    );
    assert_eq!(lines.len(), 4, "{list}");
    let json = without_aws(&place, "state list --json")
        .ends_with(0)
        .json_lines();
    assert_eq!(
        (&json[0]["type"], &json[0]["serial"]),
        (&json!("records"), &json!(7))
    );
    assert_eq!(json[0]["records"][2]["address"], "vpc");

    let show = without_aws(&place, "state show vpc").ends_with(0);
    for part in [
        "ec2/vpc",
        "id-of-vpc",
        "public-subnet-1, public-subnet-2",
        "10.0.0.0/24",
    ] {
        assert!(show.stdout.contains(part), "{part} in {show}");
    }
    let json = without_aws(&place, "state show public-subnet-1 --json")
        .ends_with(0)
        .json_lines();
    assert_eq!(json[0]["record"]["dependencies"], json!(["vpc"]));
    assert_eq!(json[0]["record"]["spec"]["cidr"], "10.0.0.0/24");
}

#[test]
fn what_is_not_recorded_is_one_clear_error() {
    let place = Workplace::new();
    let verbs = [
        "list",
        "show vpc",
        "rm vpc --yes",
        "pull",
        "migrate --to other --yes",
    ];
    for verb in verbs {
        without_aws(&place, &format!("state {verb}")).refused(&["which stack?", "--suffix"]);
        without_aws(&place, &format!("state {verb} --suffix dev"))
            .ends_with(1)
            .without_data()
            .says(&[
                "nothing is recorded of stack `dev` (state/dev.json)",
                "orderctl state rebuild",
            ]);
    }
    assert!(fs::read_dir(place.path()).unwrap().next().is_none());

    record(&place, &stack("dev", 7));
    let before = place.files();
    without_aws(&place, "state list --suffix prod")
        .ends_with(1)
        .says(&["there are states of dev"]);
    for verb in ["show", "rm --yes vpc"] {
        without_aws(&place, &format!("state {verb} public-subnet-3")).refused(&[
            "stack `dev` has no `public-subnet-3`",
            "did you mean `public-subnet-1`",
        ]);
        without_aws(&place, &format!("state {verb} xyzzy"))
            .refused(&["stack `dev` has no `xyzzy`", "orderctl state list"]);
    }
    assert_eq!(place.files(), before);

    record(&place, &stack("prod", 1));
    let before = place.files();
    for verb in verbs {
        without_aws(&place, &format!("state {verb}"))
            .refused(&["which stack? There are dev, prod", "--suffix"]);
    }
    assert_eq!(place.files(), before);
}

#[test]
fn nothing_is_forgotten_without_a_word_for_it() {
    let place = Workplace::new();
    record(&place, &stack("dev", 7));
    let before = place.files();
    without_aws(&place, "state rm vpc").refused(&[
        "forget  ec2/vpc vpc (id-of-vpc)",
        "needed by public-subnet-1, public-subnet-2",
        "1 to forget, 2 left recorded",
        "they stay in AWS",
        "nobody is there to confirm",
        "--yes",
    ]);
    let json = without_aws(&place, "state rm vpc public-subnet-1 --json").ends_with(2);
    let shown = &json.json_lines()[0];
    assert_eq!(shown["type"], "forget");
    assert_eq!(shown["records"][1]["neededBy"], json!(["public-subnet-2"]));
    assert_eq!(place.files(), before);

    without_aws(&place, "state rm vpc public-subnet-1 --yes")
        .ends_with(0)
        .without_data()
        .says(&["Forgot 2; state/dev.json has serial 8 now."]);
    let after = place.state("dev");
    let names: Vec<&String> = after["records"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["public-subnet-2"]);
    assert_eq!(after["lineage"], "lineage-of-dev");
    let path = place.path().join("state/dev.json");
    assert_eq!(
        fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        place.files()["state/dev.previous.json"],
        before["state/dev.json"]
    );
}

#[test]
fn a_question_is_answered_on_the_terminal_and_its_answer_counts() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    record(&place, &stack("dev", 7));
    let no = place
        .run_on_terminal(&sandbox, "state rm vpc", "n\n")
        .ends_with(1);
    assert!(no.stdout.contains("Forget them?"), "{no}");
    assert!(no.stdout.contains("[y/N]"), "{no}");
    assert!(
        no.stdout.contains("not confirmed; nothing was changed"),
        "{no}"
    );
    assert_eq!(place.state("dev")["serial"], 7);
    place
        .run_on_terminal(&sandbox, "state rm vpc", "y\n")
        .ends_with(0);
    assert_eq!(place.state("dev")["serial"], 8);
}

#[test]
fn what_was_forgotten_is_found_again() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    let vpc = place.state("dev")["records"]["vpc"]["outputs"].clone();
    place
        .run("state rm vpc service nat-gateway-1 --yes")
        .ends_with(0);
    let plan = place.run("plan --sandbox").ends_with(0);
    for line in [
        "adopt   ec2/vpc vpc",
        "adopt   ecs/service service",
        "3 to adopt",
    ] {
        assert!(plan.stdout.contains(line), "{line} in {plan}");
    }
    place.run("up --sandbox --yes").ends_with(0);
    assert_eq!(place.state("dev")["records"]["vpc"]["outputs"], vpc);
    place.run("plan --sandbox --detailed-exitcode").ends_with(0);
    place.run("state rm vpc --yes").ends_with(0);
    place.run("down --sandbox --yes").ends_with(0);
    let left = sandbox.query(
        "ec2",
        "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=tag:Project&Filter.1.Value.1=order-api",
    );
    assert!(!left.contains("<vpcId>"), "{left}");
}

#[test]
fn a_lock_that_is_held_is_respected_and_cannot_be_taken_away() {
    let place = Workplace::new();
    record(&place, &stack("dev", 7));
    without_aws(&place, "state unlock")
        .ends_with(0)
        .without_data()
        .says(&["Nobody holds the lock of stack `dev`."]);
    place.write(
        "newer.json",
        &String::from_utf8(stack("dev", 8).to_document().unwrap()).unwrap(),
    );

    let mut lock = File::create(place.write("state/dev.lock", "")).unwrap();
    lock.lock().unwrap();
    lock.write_all(
        br#"{"user":"ann","host":"ci-7","pid":4242,"purpose":"up","since":"2026-01-02T03:04:05Z"}"#,
    )
    .unwrap();
    let before = place.files();
    for verb in [
        "rm vpc",
        "push newer.json",
        "migrate --to state2 --remove-source",
    ] {
        without_aws(&place, &format!("state {verb} --yes"))
            .ends_with(3)
            .without_data()
            .says(&["stack `dev` is locked by `up` of ann@ci-7 (process 4242)"]);
    }
    let refused = without_aws(&place, "state unlock --yes")
        .ends_with(3)
        .without_data();
    refused.says(&[
        "`up` of ann@ci-7",
        "goes with its process",
        "end process 4242 on ci-7",
    ]);
    let json = without_aws(&place, "state unlock --json").ends_with(3);
    assert_eq!(json.json_lines()[0]["holder"]["user"], "ann");
    for verb in ["list", "show vpc", "pull"] {
        without_aws(&place, &format!("state {verb}")).ends_with(0);
    }
    assert_eq!(place.files(), before);

    // What a process that was killed left behind is no lock.
    drop(lock);
    without_aws(&place, "state unlock")
        .ends_with(0)
        .says(&["Nobody holds"]);
    without_aws(&place, "state rm vpc --yes").ends_with(0);
}

/// All commands that work on one stack, but those that put a document in place of its state.
const COMMANDS: [&str; 9] = [
    "up --yes",
    "plan",
    "down --yes",
    "outputs",
    "state list",
    "state show vpc",
    "state rm vpc --yes",
    "state pull",
    "state migrate --to other --yes",
];

#[test]
fn a_damaged_state_is_refused_by_every_command_with_what_to_do() {
    let whole = String::from_utf8(stack("dev", 7).to_document().unwrap()).unwrap();
    let damages: [(&str, Vec<u8>); 8] = [
        ("it is empty", Vec::new()),
        (
            "EOF while parsing",
            whole.as_bytes()[..whole.len() / 2].to_vec(),
        ),
        ("it is not UTF-8 text", [whole.as_bytes(), b"\xff"].concat()),
        (
            "unknown field `recods`",
            whole.replace("\"records\"", "\"recods\"").into_bytes(),
        ),
        (
            "missing field `kind`",
            whole.replace("\"kind\": \"ec2/vpc\",", "").into_bytes(),
        ),
        (
            "invalid type",
            whole
                .replace("\"serial\": 7", "\"serial\": \"7\"")
                .into_bytes(),
        ),
        (
            "its `format` is 0",
            whole.replace("\"format\": 2", "\"format\": 0").into_bytes(),
        ),
        (
            "recursion limit exceeded",
            whole
                .replace("\"10.0.0.0/24\"", &"[".repeat(9000))
                .into_bytes(),
        ),
    ];
    let place = Workplace::new();
    place.write("state/dev.previous.json", &whole);
    for (part, document) in damages {
        let path = place.write("state/dev.json", "");
        fs::write(&path, &document).unwrap();
        for line in COMMANDS {
            without_aws(&place, line)
                .ends_with(1)
                .without_data()
                .says(&[
                    "state/dev.json cannot be read: ",
                    part,
                    "orderctl state push state/dev.previous.json --force",
                    "orderctl state rebuild",
                ]);
        }
        assert_eq!(fs::read(&path).unwrap(), document, "{part}");
        let unchecked = place.command("state pull --unchecked").output().unwrap();
        assert_eq!(unchecked.stdout, document, "{part}");
    }
    let json = without_aws(&place, "state list --json").ends_with(1);
    let error = &crate::driver::json_lines(&json.stderr)[0];
    assert_eq!(error["type"], "error");
    assert_eq!(error["hints"].as_array().unwrap().len(), 2, "{json}");

    fs::remove_file(place.path().join("state/dev.json")).unwrap();
    fs::remove_file(place.path().join("state/dev.previous.json")).unwrap();
    fs::create_dir(place.path().join("state/dev.json")).unwrap();
    for line in COMMANDS {
        let outcome = without_aws(&place, line).ends_with(1).without_data();
        let outcome = outcome.says(&["state/dev.json cannot be read: it is a directory"]);
        assert!(!outcome.stderr.contains("previous"), "{outcome}");
    }
}

#[test]
fn a_state_of_the_future_or_of_another_stack_is_refused_by_every_command() {
    let place = Workplace::new();
    place.write("state/dev.json", "{\"format\": 99}");
    for line in COMMANDS {
        without_aws(&place, line)
            .ends_with(1)
            .without_data()
            .says(&["state/dev.json has format 99", "use the newer orderctl"]);
    }
    fs::remove_file(place.path().join("state/dev.json")).unwrap();
    record(&place, &stack("dev", 7));
    fs::rename(
        place.path().join("state/dev.json"),
        place.path().join("state/prod.json"),
    )
    .unwrap();
    let before = place.files()["state/prod.json"].clone();
    for line in COMMANDS {
        without_aws(&place, &format!("{line} --suffix prod"))
            .ends_with(1)
            .without_data()
            .says(&[
                "state/prod.json is the state of stack `dev`, not of `prod`",
                "--suffix dev",
            ]);
    }
    assert_eq!(place.files()["state/prod.json"], before);
}
