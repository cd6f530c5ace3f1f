//! What goes to which stream and in which form, over a whole life of a stack; and the question.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::driver::{Outcome, Sandbox, Workplace, is_coloured, json_lines};

fn types(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|line| line["type"].as_str())
        .collect()
}

#[test]
fn json_is_json_on_both_streams_from_plan_to_down() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);

    let plan = place.run("plan --suffix dev --sandbox --json").ends_with(0);
    let lines = plan.json_lines();
    assert_eq!(types(&lines), ["plan"], "{plan}");
    assert_eq!(lines[0]["summary"]["create"], 84);

    let up = place
        .run("up --suffix dev --sandbox --yes --json")
        .ends_with(0);
    let lines = up.json_lines();
    let kinds = types(&lines);
    assert_eq!(kinds.first(), Some(&"plan"));
    assert_eq!(kinds.last(), Some(&"report"));
    assert_eq!(kinds.iter().filter(|kind| **kind == "done").count(), 84);
    let (last, before) = lines.split_last().unwrap();
    assert!(
        last["albDnsName"].is_string(),
        "the outputs come last: {last}"
    );
    assert_eq!(before.last().unwrap()["complete"], true);
    assert!(
        json_lines(&up.stderr)
            .iter()
            .all(|line| line["type"] == "note"),
        "{up}"
    );

    let outputs = place.run("outputs --json").ends_with(0);
    assert_eq!(outputs.json_lines(), std::slice::from_ref(last));

    let down = place.run("down --sandbox --yes --json").ends_with(0);
    let lines = down.json_lines();
    let kinds = types(&lines);
    assert_eq!(kinds.first(), Some(&"removal"), "{down}");
    assert_eq!(kinds.last(), Some(&"report"), "{down}");
    // Service-linked roles are the account's, and stay.
    assert_eq!(lines[0]["summary"]["delete"], 80);
    assert_eq!(kinds.iter().filter(|kind| **kind == "done").count(), 80);
    json_lines(&down.stderr);
    let nothing = place
        .run("down --suffix dev --sandbox --yes --json")
        .ends_with(0);
    assert_eq!(nothing.stdout, "");
    assert!(
        nothing.stderr.contains("There is nothing of stack `dev`."),
        "{nothing}"
    );
}

#[test]
fn people_get_results_on_stdout_and_the_rest_on_stderr() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);

    // Exit code 4 is only given where it is asked for.
    let plan = place.run("plan --suffix dev --sandbox").ends_with(0);
    place
        .run("plan --suffix dev --sandbox --detailed-exitcode")
        .ends_with(4);
    assert!(plan.stdout.contains("Plan: 84 to create"), "{plan}");
    assert!(
        !place.path().join("state").exists(),
        "a plan writes nothing"
    );

    // Nobody is there to answer: the plan is shown, and nothing happens.
    for flags in ["", "--no-input"] {
        place
            .run(&format!("up --suffix dev --sandbox {flags}"))
            .refused(&["Plan: 84 to create", "nobody is there to confirm", "--yes"]);
    }
    assert!(!place.path().join("state/dev.json").exists());
    assert_eq!(place.run("plan --suffix dev --sandbox").stdout, plan.stdout);

    let up = place
        .run("up --suffix dev --sandbox --yes --quiet")
        .ends_with(0);
    assert_eq!(up.stderr, "");
    assert_eq!(up.stdout, place.run("outputs").stdout);

    // A file that sets every key to its default changes nothing.
    let written = place.run("init").ends_with(0).without_data();
    assert!(written.stderr.contains("wrote orderctl.toml"), "{written}");
    place
        .run("plan --suffix dev --sandbox --detailed-exitcode")
        .ends_with(0);
    let again = place.run("up --suffix dev --sandbox --yes -v").ends_with(0);
    assert!(
        again
            .stderr
            .contains("No changes: the stack is as declared."),
        "{again}"
    );
    assert_eq!(again.writes(), 0);

    let before = place.files();
    place.run("down --sandbox").refused(&[
        "to delete; 1 of them holds data",
        "nobody is there to confirm",
        "--yes",
    ]);
    let mut after = place.files();
    let (held, free) = (after.remove("state/dev.lock"), before.get("state/dev.lock"));
    assert!(held.is_some() && free.is_some());
    after.insert("state/dev.lock".to_owned(), free.unwrap().clone());
    assert_eq!(after, before);

    let down = place
        .run("down --sandbox --yes")
        .ends_with(0)
        .without_data();
    down.says(&[
        "warning: the database is deleted without a final snapshot",
        "Nothing of stack `dev` is left.",
    ]);
}

#[test]
fn colours_are_for_terminals_alone() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let line = "plan --suffix dev --sandbox";

    let piped = place.run(line).ends_with(0);
    assert!(
        !format!("{}{}", piped.stdout, piped.stderr).contains('\u{1b}'),
        "{piped}"
    );
    let forced = place.run(&format!("{line} --color always")).ends_with(0);
    assert!(is_coloured(&forced.stdout));
    let json = place
        .run(&format!("{line} --color always --json"))
        .ends_with(0);
    assert!(!json.stdout.contains('\u{1b}'), "{json}");

    let shown = place.run_on_terminal(&sandbox, line, "").ends_with(0);
    assert!(is_coloured(&shown.stdout), "{shown}");
    let never = place
        .run_on_terminal(&sandbox, &format!("{line} --color never"), "")
        .ends_with(0);
    assert!(!is_coloured(&never.stdout), "{never}");
    let no_color = [("NO_COLOR", "1")];
    let plain = place
        .run_on_terminal_with(&no_color, &sandbox, line, "")
        .ends_with(0);
    assert!(!is_coloured(&plain.stdout), "{plain}");
}

#[test]
fn on_a_terminal_the_question_decides() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let line = "up --suffix dev --sandbox --color never";

    for answer in ["n\n", "\n", "perhaps\n"] {
        let no = place.run_on_terminal(&sandbox, line, answer).ends_with(1);
        assert!(no.stdout.contains("Apply this plan? [y/N]"), "{no}");
        assert!(
            no.stdout.contains("not confirmed; nothing was changed"),
            "{no}"
        );
    }
    let refused = place
        .run_on_terminal(&sandbox, &format!("{line} --no-input"), "y\n")
        .ends_with(2);
    assert!(
        refused.stdout.contains("nobody is there to confirm"),
        "{refused}"
    );
    assert!(!place.path().join("state/dev.json").exists());

    // Even the quiet are shown what they are asked about.
    let quiet = format!("{line} --quiet");
    let no = place.run_on_terminal(&sandbox, &quiet, "n\n").ends_with(1);
    assert!(no.stdout.contains("Plan: 84 to create"), "{no}");

    let yes = place.run_on_terminal(&sandbox, line, "y\n").ends_with(0);
    assert!(yes.stdout.contains("84 created"), "{yes}");
    let kept = place
        .run_on_terminal(&sandbox, "down --sandbox", "n\n")
        .ends_with(1);
    assert!(
        kept.stdout.contains("not confirmed; nothing was deleted"),
        "{kept}"
    );
    let gone = place
        .run_on_terminal(&sandbox, "down --sandbox", "yes\n")
        .ends_with(0);
    assert!(
        gone.stdout.contains("Nothing of stack `dev` is left."),
        "{gone}"
    );
}

#[test]
fn a_reader_that_had_enough_is_no_failure_and_a_full_disk_is_one() {
    let place = Workplace::new();
    let mut state = orderctl::state::State::new("dev", "us-east-1");
    state
        .outputs
        .insert("vpcId".to_owned(), Value::from("vpc-1"));
    place.write("state/dev.json", &serde_json::to_string(&state).unwrap());

    let mut child = place
        .command("outputs")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));

    if Path::new("/dev/full").exists() {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = place.command("outputs").stdout(full).output().unwrap();
        Outcome::of("outputs > /dev/full", output)
            .ends_with(1)
            .says(&["could not write to stdout", "hint:"]);
    }
}
