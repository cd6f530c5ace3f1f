//! Runs that are killed, and what the same command makes of it.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::counts;
use crate::driver::{Running, Sandbox, Stack};

/// Runs a command with `--json` and kills it with SIGKILL once `steps` steps are done.
fn kill_after(stack: &Stack<'_>, words: &[&str], steps: usize) {
    let mut child = stack
        .command(words)
        .arg("--json")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let done = lines
        .map_while(Result::ok)
        .filter(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            event["type"] == "done"
        })
        .take(steps)
        .count();
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(done, steps, "it ended too early: {status}");
    assert_eq!(status.code(), None, "it ended before it was killed");
}

#[test]
fn a_killed_up_and_a_killed_down_are_finished_by_the_same_command() {
    let sandbox = Sandbox::lifelike();
    let stack = sandbox.stack("dev");
    let before = stack.aws("inventory()");
    stack.up(&[]);
    let whole = counts(&stack.aws("inventory()"));
    stack.down(&[]);
    for steps in [1, 20, 50, 75] {
        kill_after(&stack, &["up", "--yes"], steps);
        stack.up(&[]);
        stack.plan().expect_empty();
        assert_eq!(
            counts(&stack.aws("inventory()")),
            whole,
            "up, {steps} steps"
        );

        kill_after(&stack, &["down", "--yes"], steps);
        stack.down(&[]);
        assert_eq!(stack.aws("inventory()"), before, "down, {steps} steps");
    }
    // A half-made stack goes as well as a whole one.
    kill_after(&stack, &["up", "--yes"], 40);
    stack.down(&[]);
    assert_eq!(stack.aws("inventory()"), before);
    // And a half-deleted one is made whole again.
    stack.up(&[]);
    kill_after(&stack, &["down", "--yes"], 30);
    stack.up(&[]);
    stack.plan().expect_empty();
    assert_eq!(counts(&stack.aws("inventory()")), whole);
}

#[test]
fn a_down_that_was_killed_before_its_last_look_is_not_taken_for_done() {
    // Slow enough for the kill to come before the look.
    let sandbox = Sandbox::start_at(20, "");
    let stack = sandbox.stack("dev");
    let before = stack.aws("inventory()");
    stack.up(&[]);
    let mut down = Running::start("down", stack.command(&["down", "--yes", "--json"]));
    down.wait_for_data(r#""type":"settling""#);
    down.kill();
    assert_eq!(down.finish().code, None);
    // Whether the log groups have come back by now or not.
    stack.down(&[]).shows(&["Nothing of stack `dev` is left"]);
    assert_eq!(stack.aws("inventory()"), before);
    stack.down(&[]).shows(&["There is nothing of stack `dev`"]);
}
