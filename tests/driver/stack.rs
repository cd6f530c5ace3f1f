//! A stack on a sandbox: what its user does with it, and what its plan says.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{Outcome, Sandbox, Workplace};

/// One stack: its suffix, its working directory with orderctl.toml, its state.
pub struct Stack<'s> {
    pub sandbox: &'s Sandbox,
    pub suffix: String,
    place: Workplace,
}

impl<'s> Stack<'s> {
    /// One without a configuration file.
    pub fn new(sandbox: &'s Sandbox, suffix: &str) -> Self {
        Self {
            sandbox,
            suffix: suffix.to_owned(),
            place: Workplace::on(sandbox),
        }
    }

    /// Writes orderctl.toml.
    pub fn configure(&self, text: &str) {
        self.place.write("orderctl.toml", text);
    }

    /// Where its state is kept.
    pub fn state_file(&self) -> PathBuf {
        let name = format!("state/{}.json", self.suffix);
        self.place.path().join(name)
    }

    /// A command against its sandbox, ready to be run or spawned.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.place.command("--sandbox");
        command.args(["--suffix", &self.suffix]).args(words);
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, words: &[&str]) -> Outcome {
        let output = self.command(words).output().unwrap();
        Outcome::of(&words.join(" "), output)
    }

    /// `up --yes` with further flags; it must succeed.
    pub fn up(&self, flags: &[&str]) -> Outcome {
        let words: Vec<&str> = ["up", "--yes", "-v"].iter().chain(flags).copied().collect();
        self.run(&words).ends_with(0)
    }

    /// `down --yes` with further flags; it must succeed.
    pub fn down(&self, flags: &[&str]) -> Outcome {
        let words: Vec<&str> = ["down", "--yes"].iter().chain(flags).copied().collect();
        self.run(&words).ends_with(0)
    }

    /// The plan as a program reads it.
    pub fn plan(&self) -> Plan {
        let run = self.run(&["plan", "--json", "--detailed-exitcode", "-v"]);
        assert!(matches!(run.code, Some(0 | 4)), "{run}");
        let json: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run}"));
        assert_eq!(run.code == Some(4), json["hasChanges"] == true, "{run}");
        Plan { json, run }
    }

    /// All outputs, as of the last `up`.
    pub fn outputs(&self) -> Value {
        let run = self.run(&["outputs", "--json"]).ends_with(0);
        serde_json::from_str(&run.stdout).unwrap()
    }

    /// What the state says.
    pub fn state(&self) -> Value {
        self.place.state(&self.suffix)
    }

    /// Asks the sandbox, with `{s}` in the code standing for the suffix.
    pub fn aws(&self, code: &str) -> Value {
        self.sandbox.aws(&code.replace("{s}", &self.suffix))
    }
}

/// A plan as `plan --json` prints it.
pub struct Plan {
    pub json: Value,
    pub run: Outcome,
}

impl Plan {
    /// All nodes that do not stay as they are, as `action address`, sorted.
    pub fn actions(&self) -> Vec<String> {
        let nodes = self.json["nodes"].as_array().unwrap();
        let mut actions: Vec<String> = nodes
            .iter()
            .filter(|node| node["action"] != "noChange" || node["waiting"] == true)
            .map(|node| {
                let action = node["action"].as_str().unwrap();
                format!("{action} {}", node["address"].as_str().unwrap())
            })
            .collect();
        actions.sort();
        actions
    }

    /// Fails the test unless exactly these are planned.
    #[track_caller]
    pub fn expect(&self, expected: &[&str]) {
        let mut expected: Vec<&str> = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(self.actions(), expected, "{}", self.details());
    }

    /// Fails the test if there is anything to do.
    #[track_caller]
    pub fn expect_empty(&self) {
        self.expect(&[]);
        assert_eq!(self.json["hasChanges"], false);
    }

    /// One node by its address.
    #[track_caller]
    pub fn node(&self, address: &str) -> &Value {
        let nodes = self.json["nodes"].as_array().unwrap();
        let found = nodes.iter().find(|node| node["address"] == address);
        found.unwrap_or_else(|| panic!("no node {address}"))
    }

    /// Whether a change of this node is called drift.
    pub fn is_drift(&self, address: &str) -> bool {
        let changes = self.node(address)["changes"].as_array().unwrap();
        changes.iter().any(|change| change["drift"] == true)
    }

    fn details(&self) -> String {
        let nodes = self.json["nodes"].as_array().unwrap();
        let changed = nodes.iter().filter(|node| node["action"] != "noChange");
        changed.fold(String::new(), |mut text, node| {
            let _written = writeln!(
                text,
                "{} {}: {} {}",
                node["action"], node["address"], node["reason"], node["changes"]
            );
            text
        })
    }
}
