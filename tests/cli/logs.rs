//! What the containers write: which events are shown and how, and how following them ends.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::driver::{Outcome, Running, Sandbox, Workplace, http, json_lines};

const GROUP: &str = "/ecs/order-api-dev";
const ONE: &str = "1a2b3c4d5e6f70819203a4b5c6d7e8f9";
const TWO: &str = "9f8e7d6c5b4a30291807f6e5d4c3b2a1";

/// Calls an operation that answers nothing of interest, or nothing at all.
fn call(sandbox: &Sandbox, operation: &str, body: &Value) {
    let headers = format!(
        "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Logs_20140328.{operation}"
    );
    http::post(sandbox.endpoint(), "logs", &headers, &body.to_string());
}

fn stream(task: &str) -> String {
    format!("ecs/order-api/{task}")
}

/// Writes a message of a task, so many seconds ago.
fn write(sandbox: &Sandbox, task: &str, ago: u64, message: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = u64::try_from(now.as_millis()).unwrap() - 1000 * ago;
    let events = json!([{ "timestamp": at, "message": message }]);
    let body = json!({ "logGroupName": GROUP, "logStreamName": stream(task), "logEvents": events });
    call(sandbox, "PutLogEvents", &body);
}

/// A local AWS in which two tasks have written something.
fn written() -> Sandbox {
    let sandbox = Sandbox::start();
    call(
        &sandbox,
        "CreateLogGroup",
        &json!({ "logGroupName": GROUP }),
    );
    for task in [ONE, TWO] {
        let body = json!({ "logGroupName": GROUP, "logStreamName": stream(task) });
        call(&sandbox, "CreateLogStream", &body);
    }
    write(&sandbox, ONE, 3000, "from long ago");
    write(
        &sandbox,
        ONE,
        300,
        r#"{"level":"info","message":"starting"}"#,
    );
    write(
        &sandbox,
        TWO,
        200,
        "panic\n  at main\n  at \u{1b}[31mcore\u{1b}[0m",
    );
    write(
        &sandbox,
        ONE,
        100,
        r#"{"level":"error","message":"no stock"}"#,
    );
    sandbox
}

#[test]
fn events_are_shown_by_time_with_their_task_and_narrowed_by_time_task_and_pattern() {
    let sandbox = written();
    let place = Workplace::on(&sandbox);
    let run = |arguments: &[&str]| {
        let mut command = place.command("logs --suffix dev --sandbox");
        let output = command.args(arguments).output().unwrap();
        let outcome = Outcome::of(&arguments.join(" "), output);
        assert_eq!(outcome.stderr, "", "{outcome}");
        outcome.ends_with(0).stdout
    };
    // Not on a terminal: every byte as it was written.
    let recent = "1a2b3c4d  {\"level\":\"info\",\"message\":\"starting\"}\n\
                  9f8e7d6c  panic\n\
                  9f8e7d6c    at main\n\
                  9f8e7d6c    at \u{1b}[31mcore\u{1b}[0m\n\
                  1a2b3c4d  {\"level\":\"error\",\"message\":\"no stock\"}\n";
    assert_eq!(run(&[]), recent);
    let whole = format!("1a2b3c4d  from long ago\n{recent}");
    assert_eq!(run(&["--since", "1h"]), whole);
    let error = "1a2b3c4d  {\"level\":\"error\",\"message\":\"no stock\"}\n";
    assert_eq!(run(&["--since", "150s"]), error);
    assert_eq!(run(&["--filter", "{ $.level = \"error\" }"]), error);
    assert_eq!(
        run(&["--filter", "-level -panic", "--since", "1h"]),
        "1a2b3c4d  from long ago\n"
    );
    let of_two = run(&["--task", "9f8e"]);
    assert_eq!(of_two.lines().count(), 3, "{of_two}");
    assert!(of_two.lines().all(|line| line.starts_with("9f8e7d6c  ")));

    let timed = run(&["--task", "9f8e", "--timestamps"]);
    let (time, rest) = timed.lines().next().unwrap().split_once("  ").unwrap();
    assert!(
        time.starts_with("20") && time.ends_with('Z') && time.len() == 24,
        "{time}"
    );
    assert_eq!(rest, "9f8e7d6c  panic");

    let lines = json_lines(&run(&["--json", "--task", TWO]));
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["type"], "log");
    assert_eq!(lines[0]["task"], TWO);
    assert_eq!(lines[0]["stream"], stream(TWO));
    let message = "panic\n  at main\n  at \u{1b}[31mcore\u{1b}[0m";
    assert_eq!(lines[0]["message"], message);
    let written: jiff::Timestamp = lines[0]["timestamp"].as_str().unwrap().parse().unwrap();
    assert!(written < jiff::Timestamp::now());
}

#[test]
fn a_terminal_is_not_steered_by_what_containers_write() {
    let sandbox = written();
    let place = Workplace::on(&sandbox);
    let line = "logs --suffix dev --sandbox --task 9f8e --color never";
    let outcome = place.run_on_terminal(&sandbox, line, "").ends_with(0);
    assert!(outcome.stdout.contains("at core"), "{outcome}");
    assert!(!outcome.stdout.contains('\u{1b}'), "{outcome}");
}

#[test]
fn what_cannot_be_asked_is_refused_and_what_is_not_there_is_named() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    for (wrong, word) in [
        ("--since soon", "10m"),
        ("--since 9999-01-01T00:00:00Z", "future"),
        ("--task order-api", "0-9 and a-f"),
    ] {
        let line = format!("logs --suffix dev --sandbox {wrong}");
        place.run(&line).refused(&[word]);
    }
    let missing = place.run("logs --suffix dev --sandbox").ends_with(1);
    missing.without_data().says(&[
        "logs:FilterLogEvents: ResourceNotFoundException",
        "there is no log group /ecs/order-api-dev; `orderctl up` makes it",
    ]);
    call(
        &sandbox,
        "CreateLogGroup",
        &json!({ "logGroupName": GROUP }),
    );
    let empty = place.run("logs --suffix dev --sandbox").ends_with(0);
    empty
        .without_data()
        .says(&["No events were written", "--since 1h"]);
    let wrong = place
        .run("logs --suffix dev --sandbox --filter {")
        .refused(&[]);
    wrong.says(&[
        "InvalidParameterException",
        "hint:",
        "a filter pattern is words",
    ]);
}

#[test]
fn following_shows_what_is_written_later_once_each_and_ends_quietly_at_an_interrupt() {
    let sandbox = written();
    let place = Workplace::on(&sandbox);
    let line = "logs --suffix dev --sandbox --follow";
    let mut following = Running::start(line, place.command(line));
    following.wait_for_data("no stock");
    write(&sandbox, TWO, 0, "written later");
    following.wait_for_data("written later");
    // Late, and before the newest.
    write(&sandbox, ONE, 5, "arrived late");
    following.wait_for_data("arrived late");
    following.interrupt();
    let outcome = following.finish_by_itself().ends_with(130);
    assert_eq!(outcome.stderr, "", "{outcome}");
    assert!(outcome.stdout.ends_with('\n'), "no half line: {outcome}");
    for once in [
        "starting",
        "panic",
        "no stock",
        "written later",
        "arrived late",
    ] {
        assert_eq!(
            outcome.stdout.matches(once).count(),
            1,
            "{once} in {outcome}"
        );
    }

    let line = "logs --suffix dev --sandbox --follow --json";
    let mut following = Running::start(line, place.command(line));
    following.wait_for_data("arrived late");
    following.terminate();
    let lines = following.finish_by_itself().ends_with(130).json_lines();
    let (last, before) = lines.split_last().unwrap();
    assert_eq!(
        *last,
        json!({ "type": "interrupted", "version": 1, "changed": false })
    );
    assert!(
        before.iter().all(|line| line["type"] == "log"),
        "{before:?}"
    );
}

#[test]
fn following_ends_when_nobody_reads_any_more() {
    let sandbox = written();
    let place = Workplace::on(&sandbox);
    let mut command = place.command("logs --suffix dev --sandbox --follow");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    assert!(first.contains("starting"), "{first}");
    drop(reader);
    write(&sandbox, ONE, 0, "for nobody");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}
