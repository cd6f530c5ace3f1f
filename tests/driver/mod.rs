//! Drives the built binary as its users do: in a directory of its own, with an environment that
//! leads nowhere near a real AWS, against a local AWS of its own.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_imports
)]

pub mod gate;
pub mod http;
pub mod images;
pub mod questions;
pub mod running;
pub mod sandbox;
pub mod stack;
pub mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

pub use gate::Gate;
pub use running::Running;
pub use sandbox::Sandbox;
pub use stack::{Plan, Stack};
pub use watch::Watch;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_orderctl");

/// Prepares a command whose environment leads to no AWS, no configuration and no terminal.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("AWS_") || name.starts_with("ORDERCTL_") {
            command.env_remove(name);
        }
    }
    for name in ["CI", "LINES", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        // Wide enough that no message is broken.
        .env("COLUMNS", "400")
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null());
    command
}

/// A working directory, and the local AWS that `--sandbox` means in it.
pub struct Workplace {
    directory: tempfile::TempDir,
    sandbox_root: PathBuf,
}

impl Workplace {
    /// A directory in which `--sandbox` would have to install a local AWS.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sandbox_root = directory.path().join("sandbox");
        Self {
            directory,
            sandbox_root,
        }
    }

    /// A directory in which `--sandbox` means this one.
    pub fn on(sandbox: &Sandbox) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            sandbox_root: sandbox.root().to_owned(),
        }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The text of every file in the directory, by relative path.
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.path().to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(self.path()).unwrap();
                    let bytes = fs::read(&path).unwrap();
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    found.insert(name.display().to_string(), text);
                }
            }
        }
        found
    }

    /// The recorded state of a stack.
    pub fn state(&self, suffix: &str) -> Value {
        let path = self.path().join(format!("state/{suffix}.json"));
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    /// The program with the words of `line` as its arguments.
    pub fn command(&self, line: &str) -> Command {
        let mut command = command(PROGRAM);
        command
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env("ORDERCTL_SANDBOX_DIR", &self.sandbox_root);
        command
    }

    /// Runs the program with the words of `line` as its arguments.
    pub fn run(&self, line: &str) -> Outcome {
        Outcome::of(line, self.command(line).output().unwrap())
    }

    /// Runs the program on a terminal of its own, types `typed`, and gives what the terminal
    /// showed as `stdout`.
    pub fn run_on_terminal(&self, sandbox: &Sandbox, line: &str, typed: &str) -> Outcome {
        self.run_on_terminal_with(&[], sandbox, line, typed)
    }

    /// Runs the program on a terminal of its own, types `typed` when it has shown `prompt`, and gives
    /// what the terminal showed as `stdout`.
    pub fn answer_on_terminal(
        &self,
        sandbox: &Sandbox,
        line: &str,
        prompt: &str,
        typed: &str,
    ) -> Outcome {
        let script = "import os, pty, sys\n\
                      prompt, typed = (text.encode() for text in sys.argv[1:3])\n\
                      seen = b''\n\
                      def read(fd):\n\
                      \x20   global seen\n\
                      \x20   data = os.read(fd, 1024)\n\
                      \x20   before, seen = prompt in seen, seen + data\n\
                      \x20   if prompt in seen and not before:\n\
                      \x20       os.write(fd, typed)\n\
                      \x20   return data\n\
                      sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[3:], read)))";
        let mut command = command(sandbox.python());
        command
            .args(["-c", script, prompt, typed, PROGRAM])
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env("ORDERCTL_SANDBOX_DIR", &self.sandbox_root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // The end of this input would be an answer of its own, so it stays open until the end.
        let stdin = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        Outcome::of(line, output)
    }

    /// The same with variables in the environment.
    pub fn run_on_terminal_with(
        &self,
        variables: &[(&str, &str)],
        sandbox: &Sandbox,
        line: &str,
        typed: &str,
    ) -> Outcome {
        use std::io::Write;
        let script = "import os, pty, sys\n\
                      sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let mut command = command(sandbox.python());
        let mut child = command
            .args(["-c", script, PROGRAM])
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env("ORDERCTL_SANDBOX_DIR", &self.sandbox_root)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(typed.as_bytes()).unwrap();
        // The end of this input would be an answer of its own, so it stays open until the end.
        let output = {
            let mut stdout = child.stdout.take().unwrap();
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut stdout, &mut text).unwrap();
            drop(stdin);
            let mut output = child.wait_with_output().unwrap();
            output.stdout = text;
            output
        };
        Outcome::of(line, output)
    }
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Outcome {
    pub line: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn of(line: &str, output: Output) -> Self {
        Self {
            line: line.to_owned(),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Asserts that stderr contains all of `parts`.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {self}");
        }
        self
    }

    /// Asserts that stdout is empty.
    #[track_caller]
    pub fn without_data(self) -> Self {
        assert_eq!(self.stdout, "", "{self}");
        self
    }

    /// Asserts a usage error: exit code 2, nothing on stdout, `parts` on stderr.
    #[track_caller]
    pub fn refused(self, parts: &[&str]) -> Self {
        self.ends_with(2).without_data().says(parts)
    }

    /// The lines of stdout, each of them JSON.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        json_lines(&self.stdout)
    }

    /// Asserts that all of `parts` stand on stdout or stderr.
    #[track_caller]
    pub fn shows(self, parts: &[&str]) -> Self {
        for part in parts {
            let found = self.stdout.contains(part) || self.stderr.contains(part);
            assert!(found, "no {part:?} in {self}");
        }
        self
    }

    /// How many reading and writing calls the log (`-v`) counts.
    #[track_caller]
    pub fn calls(&self) -> (u64, u64) {
        let number = |name: &str| {
            let (_, rest) = self.stderr.rsplit_once(name)?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        };
        match (number(" reads="), number(" writes=")) {
            (Some(reads), Some(writes)) => (reads, writes),
            _ => panic!("no calls are counted in {self}"),
        }
    }

    /// How many writing calls the log (`-v`) counts.
    #[track_caller]
    pub fn writes(&self) -> u64 {
        self.calls().1
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`orderctl {}` (exit {:?})\n--- stdout\n{}\n--- stderr\n{}",
            self.line, self.code, self.stdout, self.stderr
        )
    }
}

/// The lines of a text, each of them JSON.
#[track_caller]
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
        })
        .collect()
}

/// Says whether a text has escape sequences that colour; others move the cursor.
pub fn is_coloured(text: &str) -> bool {
    text.split('\u{1b}').skip(1).any(|rest| {
        let parameters = rest.trim_start_matches(|c: char| "[0123456789;".contains(c));
        parameters.starts_with('m')
    })
}
