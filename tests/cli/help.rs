//! The help is a text of ours like any other; it changes only on purpose. After a change on
//! purpose: `INSTA_UPDATE=always cargo test --release --test cli help`, and read the difference.

use crate::driver::Workplace;

#[test]
fn every_command_explains_itself() {
    let place = Workplace::new();
    for (name, line) in [
        ("orderctl", "--help"),
        ("orderctl-short", "-h"),
        ("up", "up --help"),
        ("plan", "plan --help"),
        ("down", "down --help"),
        ("deploy", "deploy --help"),
        ("rollback", "rollback --help"),
        ("outputs", "outputs --help"),
        ("status", "status --help"),
        ("logs", "logs --help"),
        ("doctor", "doctor --help"),
        ("push", "push --help"),
        ("policy", "policy --help"),
        ("stacks", "stacks --help"),
        ("state", "state --help"),
        ("state-list", "state list --help"),
        ("state-show", "state show --help"),
        ("state-rm", "state rm --help"),
        ("state-pull", "state pull --help"),
        ("state-push", "state push --help"),
        ("state-unlock", "state unlock --help"),
        ("state-migrate", "state migrate --help"),
        ("init", "init --help"),
        ("import", "import --help"),
        ("import-pulumi", "import pulumi --help"),
        ("state", "state --help"),
        ("state-rebuild", "state rebuild --help"),
        ("sandbox", "sandbox --help"),
        ("sandbox-start", "sandbox start --help"),
        ("sandbox-stop", "sandbox stop --help"),
        ("sandbox-status", "sandbox status --help"),
        ("sandbox-env", "sandbox env --help"),
    ] {
        let outcome = place.run(line).ends_with(0);
        assert_eq!(outcome.stderr, "", "{outcome}");
        // The global options stand in the help of the program; elsewhere their presence is enough.
        let text = match outcome.stdout.split_once("Global options:") {
            Some((own, _)) if !name.starts_with("orderctl") => format!("{own}Global options: [..]"),
            _ => outcome.stdout,
        };
        insta::assert_snapshot!(format!("help-{name}"), text);
    }
    assert!(place.files().is_empty(), "{:?}", place.files());
}

#[test]
fn the_help_of_a_command_says_more_than_the_list() {
    let place = Workplace::new();
    let start = place.run("sandbox start --help").ends_with(0).stdout;
    for fact in ["moto", "ORDERCTL_SANDBOX_DIR", "loopback", "Python 3.10"] {
        assert!(start.contains(fact), "{fact} in {start}");
    }
    let down = place.run("down --help").ends_with(0).stdout;
    assert!(
        down.contains("Works from half a stack, and from one whose state is lost."),
        "{down}"
    );
}

#[test]
fn the_version_is_one_line() {
    let outcome = Workplace::new().run("--version").ends_with(0);
    assert_eq!(
        outcome.stdout,
        format!("orderctl {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(outcome.stderr, "");
}

#[test]
fn the_exit_codes_are_documented_in_the_help() {
    let help = Workplace::new().run("--help").ends_with(0).stdout;
    let words: Vec<&str> = help.split_whitespace().collect();
    let text = words.join(" ");
    assert!(
        text.contains(
            "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 locked, 4 `plan \
             --detailed-exitcode` found changes, 130 interrupted."
        ),
        "{text}"
    );
}
