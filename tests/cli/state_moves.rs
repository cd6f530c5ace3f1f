//! Whole documents on their way: out of a store, into one, and from one to another.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use orderctl::state::State;
use serde_json::json;

use super::state::{address, record, stack};
use crate::driver::{Outcome, Workplace};

fn text(state: &State) -> String {
    String::from_utf8(state.to_document().unwrap()).unwrap()
}

#[test]
fn what_is_pulled_is_the_document_byte_for_byte() {
    let place = Workplace::new();
    // As no command would write it: the bytes are what counts.
    let odd = format!("\n\n  {}", serde_json::to_string(&stack("dev", 7)).unwrap());
    place.write("state/dev.json", &odd);
    for line in ["state pull", "state pull --json", "state pull --quiet"] {
        let outcome = place.run(line).ends_with(0);
        assert_eq!(
            (outcome.stdout, outcome.stderr),
            (odd.clone(), String::new())
        );
    }
}

#[test]
fn a_newer_document_is_taken_after_its_difference_is_shown() {
    let place = Workplace::new();
    record(&place, &stack("dev", 7));
    let mut edited = stack("dev", 8);
    edited.records.remove(&address("public-subnet-2"));
    edited.protect = true;
    let spec = &mut edited.records.get_mut(&address("vpc")).unwrap().spec;
    *spec = Some(json!({ "cidr": "10.1.0.0/24" }));
    place.write("edited.json", &text(&edited));

    let before = place.files();
    let shown = [
        "- ec2/subnet public-subnet-2 (id-of-public-subnet-2)",
        "~ ec2/vpc vpc",
        "spec.cidr: 10.0.0.0/24 -> 10.1.0.0/24",
        "protect: false -> true",
        "Records: 0 more, 1 fewer, 1 changed, 1 the same.",
    ];
    place
        .run("state push edited.json")
        .refused(&shown)
        .says(&["nobody is there to confirm", "--yes"]);
    let json = place
        .run("state push edited.json --json")
        .ends_with(2)
        .json_lines();
    assert_eq!(json[0]["type"], "push");
    assert_eq!(json[0]["records"]["removed"], json!(["public-subnet-2"]));
    assert_eq!(place.files(), before);

    place
        .run("state push edited.json --yes")
        .ends_with(0)
        .without_data()
        .says(&shown)
        .says(&["state/dev.json has serial 8 now."]);
    assert_eq!(place.files()["state/dev.json"], text(&edited));
    assert_eq!(
        place.files()["state/dev.previous.json"],
        before["state/dev.json"]
    );
    place
        .run("state push edited.json")
        .ends_with(0)
        .says(&["edited.json and state/dev.json are the same"]);
}

#[test]
fn a_document_comes_from_stdin_and_into_an_empty_store() {
    let place = Workplace::new();
    let given = text(&stack("dev", 7));
    let push = |line: &str| {
        let mut command = place.command(line);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(given.as_bytes())
            .unwrap();
        Outcome::of(line, child.wait_with_output().unwrap())
    };
    push("state push -").refused(&["nobody is there to confirm"]);
    assert!(place.files().is_empty());
    // The document says which stack it is.
    push("state push - --yes").ends_with(0);
    assert_eq!(place.files()["state/dev.json"], given);
    let path = place.path().join("state/dev.json");
    assert_eq!(
        fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn what_would_lose_something_is_taken_by_force_alone() {
    let place = Workplace::new();
    record(&place, &stack("dev", 43));
    let before = place.files();

    let mut same_serial = stack("dev", 43);
    same_serial.protect = true;
    place.write("same.json", &text(&same_serial));
    let mut other = stack("dev", 99);
    other.lineage = "another".to_owned();
    place.write("other.json", &text(&other));
    place.write("state/dev.previous.json", &text(&stack("dev", 42)));
    for (file, parts) in [
        (
            "state/dev.previous.json",
            &[
                "state/dev.previous.json has serial 42, and state/dev.json has 43 already",
                "--force puts it back, as serial 44",
                "`orderctl up` finds again what was made since",
            ][..],
        ),
        (
            "same.json",
            &[
                "same.json has serial 43, and state/dev.json has 43",
                "set its `serial` to 44",
            ],
        ),
        (
            "other.json",
            &[
                "other.json is of another lineage than state/dev.json",
                "--force",
            ],
        ),
    ] {
        let line = format!("state push {file} --yes");
        place.run(&line).ends_with(1).without_data().says(parts);
    }
    assert_eq!(place.files()["state/dev.json"], before["state/dev.json"]);
    assert!(
        !place.files().contains_key("state/dev.lock"),
        "refused before the lock"
    );

    // The serial grows whatever is forced.
    place
        .run("state push state/dev.previous.json --force")
        .refused(&["serial: 43 -> 44"]);
    place
        .run("state push state/dev.previous.json --force --yes")
        .ends_with(0);
    assert_eq!(place.state("dev")["serial"], 44);
    assert_eq!(
        place.files()["state/dev.previous.json"],
        before["state/dev.json"]
    );
    place
        .run("state push other.json --force --yes")
        .ends_with(0);
    assert_eq!(place.state("dev")["lineage"], "another");
    assert_eq!(place.state("dev")["serial"], 99);
}

#[test]
fn documents_that_are_none_of_this_stack_are_refused_before_anything() {
    let place = Workplace::new();
    place.write("dev.json", &text(&stack("dev", 7)));
    place.write("newer.json", "{\"format\": 99}");
    place.write("torn.json", "{\"format\": 2");
    place.write("odd.json", &text(&stack("Dev_1", 7)));
    fs::write(place.path().join("bytes.json"), b"\xff\xfe").unwrap();
    let before = place.files();
    for (line, parts) in [
        (
            "dev.json --suffix prod",
            &[
                "dev.json is the state of stack `dev`, and this command is for `prod`",
                "--suffix dev",
            ][..],
        ),
        (
            "newer.json",
            &["newer.json has format 99", "newer orderctl"],
        ),
        (
            "torn.json",
            &["torn.json cannot be read: EOF", "nothing was changed"],
        ),
        (
            "bytes.json",
            &["bytes.json cannot be read: it is not UTF-8 text"],
        ),
        ("odd.json", &["odd.json", "`Dev_1` is not a suffix"]),
        ("missing.json", &["missing.json: No such file"]),
        (".", &[".: Is a directory"]),
    ] {
        place
            .run(&format!("state push {line} --force --yes"))
            .refused(parts);
    }
    assert_eq!(place.files(), before);
}

#[test]
fn the_document_before_is_put_in_the_place_of_a_damaged_one() {
    let place = Workplace::new();
    let previous = stack("dev", 42);
    place.write("state/dev.previous.json", &text(&previous));
    place.write("state/dev.json", "{\"format\": 2, ");
    // As the error says.
    place
        .run("state push state/dev.previous.json --yes")
        .ends_with(1)
        .without_data()
        .says(&[
            "state/dev.json cannot be read",
            "state push state/dev.previous.json --force",
        ]);
    place
        .run("state push state/dev.previous.json --force --yes")
        .ends_with(0)
        .says(&["warning: state/dev.json cannot be read", "serial 43 now"]);
    let files = place.files();
    assert_eq!(files["state/dev.json"], text(&stack("dev", 43)));
    assert_eq!(files["state/dev.damaged.json"], "{\"format\": 2, ");
    assert_eq!(files["state/dev.previous.json"], text(&previous));
    place.run("state list").ends_with(0);
}

#[test]
fn a_state_is_copied_read_back_and_its_original_stays_unless_told_otherwise() {
    let place = Workplace::new();
    record(&place, &stack("dev", 7));
    let original = place.files()["state/dev.json"].clone();
    place.run("state migrate --to shared/states").refused(&[
        "+ state/dev.json -> shared/states/dev.json (serial 7, 3 records)",
        "--yes",
    ]);
    assert_eq!(place.files().len(), 1, "nothing was made");

    place
        .run("state migrate --to shared/states --yes")
        .ends_with(0)
        .without_data()
        .says(&[
            "shared/states/dev.json is written and read back",
            "the originals stay",
        ]);
    assert_eq!(place.files()["shared/states/dev.json"], original);
    assert_eq!(place.files()["state/dev.json"], original);
    place.run("state list --state shared/states").ends_with(0);

    // Again, it is there already; a run that was killed before the removal goes on with that.
    place
        .run("state migrate --to shared/states")
        .ends_with(0)
        .says(&["there already", "Nothing to do"]);
    let line = "state migrate --to shared/states --remove-source";
    place.run(line).refused(&["there already"]);
    place
        .run(&format!("{line} --yes"))
        .ends_with(0)
        .says(&["state/dev.json is removed"]);
    assert!(!place.files().contains_key("state/dev.json"));
    assert_eq!(place.files()["shared/states/dev.json"], original);
    // And one that was killed after it finds nothing more to do.
    place
        .run(&format!("{line} --suffix dev"))
        .ends_with(0)
        .says(&["state/dev.json is gone", "Nothing to do"]);
    // The older copy that was left behind is brought up to date.
    record(&place, &stack("dev", 9));
    place
        .run("state migrate --to shared/states --yes")
        .ends_with(0);
    assert_eq!(
        place.files()["shared/states/dev.json"],
        text(&stack("dev", 9))
    );
}

#[test]
fn another_lineage_or_newer_work_is_not_written_over() {
    let place = Workplace::new();
    record(&place, &stack("dev", 7));
    let mut changed = stack("dev", 7);
    changed.protect = true;
    let mut other = stack("dev", 1);
    other.lineage = "another".to_owned();
    for (there, part) in [
        (
            other,
            "there/dev.json is of another lineage than state/dev.json",
        ),
        (
            stack("dev", 8),
            "there/dev.json has serial 8, and state/dev.json has 7",
        ),
        (
            changed,
            "there/dev.json has serial 7, and state/dev.json has 7",
        ),
    ] {
        place.write("there/dev.json", &text(&there));
        let before = place.files();
        place
            .run("state migrate --to there --remove-source --yes")
            .ends_with(1)
            .without_data()
            .says(&[part, "nothing was copied"]);
        assert_eq!(place.files(), before);
    }
    place.write("there/dev.json", "{");
    place
        .run("state migrate --to there --yes")
        .ends_with(1)
        .says(&["there/dev.json cannot be read"]);
    for (to, part) in [
        ("state", "the states are in state already"),
        ("./state", "already"),
        ("there/../state", "already"),
        ("s3://", "`--to` is \"s3://\", which is no place for state"),
        ("ftp://there", "which is no place for state"),
    ] {
        let line = format!("state migrate --to {to} --yes");
        place.run(&line).refused(&[part]);
    }
}

#[test]
fn all_stacks_go_at_once_or_none() {
    let place = Workplace::new();
    for (name, serial) in [("dev", 7), ("prod", 3), ("test", 5)] {
        record(&place, &stack(name, serial));
    }
    place.write("there/prod.json", &text(&stack("prod", 4)));
    let before = place.files();
    place
        .run("state migrate --to there --all --remove-source --yes")
        .ends_with(1)
        .says(&["there/prod.json has serial 4"]);
    assert_eq!(place.files(), before, "dev did not go alone");

    fs::remove_file(place.path().join("there/prod.json")).unwrap();
    // As a run that was killed half-way leaves it: one is gone, one is copied.
    fs::rename(
        place.path().join("state/dev.json"),
        place.path().join("there/dev.json"),
    )
    .unwrap();
    place.write("there/test.json", &text(&stack("test", 5)));
    let line = "state migrate --to there --all --remove-source --yes --json";
    let outcome = place.run(line).ends_with(0);
    let lines = outcome.json_lines();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (&line["stack"], &line["action"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("prod"), &json!("copy")),
            (&json!("test"), &json!("copied"))
        ]
    );
    let states = |directory: &str| {
        let files = place.files().into_keys();
        let states = files.filter(|name| name.starts_with(directory) && name.ends_with(".json"));
        states.collect::<Vec<_>>()
    };
    assert_eq!(states("state/"), [""; 0]);
    assert_eq!(
        states("there/"),
        ["there/dev.json", "there/prod.json", "there/test.json"]
    );
    place
        .run("state migrate --to there --all")
        .ends_with(0)
        .says(&["There are no stacks in state."]);
}
