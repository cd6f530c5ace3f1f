//! What tests of the whole binary share: a sandbox of their own, stacks with a working directory and
//! a configuration file, runs of `orderctl`, and questions to the sandbox past it.

#![allow(dead_code, reason = "no test binary needs all of it")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The file that makes a directory of this name the sandbox's Python environment.
const ENVIRONMENT: &str = "moto-5.2.5";

/// The program under test, without what would send it anywhere but to a sandbox.
pub(crate) fn orderctl(sandbox: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderctl"));
    isolate(&mut command);
    command.env("ORDERCTL_SANDBOX_DIR", sandbox);
    command
}

fn isolate(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("AWS_") || text.starts_with("ORDERCTL_") {
            command.env_remove(&name);
        }
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_CONFIG_FILE", "/dev/null");
    command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env("NO_COLOR", "1");
}

/// The directory of the installation that all tests share; made at first use.
fn installation() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sandbox");
        if !place.join(ENVIRONMENT).join("bin/python").exists() {
            // Starting is what installs; the server itself is not needed.
            for verb in ["start", "stop"] {
                let run = orderctl(&place).args(["sandbox", verb]).output().unwrap();
                let text = String::from_utf8_lossy(&run.stderr);
                assert!(run.status.success(), "sandbox {verb}: {text}");
            }
        }
        place
    })
}

/// A local AWS for one test, stopped when it is dropped.
pub(crate) struct Sandbox {
    directory: TempDir,
    endpoint: String,
    answers: Mutex<Answers>,
}

/// The process that answers questions about the sandbox.
struct Answers {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Sandbox {
    /// Starts one in which nothing takes time. It shares nothing but the installation with other
    /// tests.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--speed", "0"])
    }

    /// Starts one as it comes, in which things take their time, and in which moreover reads miss
    /// what is new.
    pub(crate) fn lifelike() -> Self {
        Self::start_with(&["--eventual-consistency"])
    }

    /// Starts one with these options of `sandbox start`.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let shared = installation().join(ENVIRONMENT);
        std::os::unix::fs::symlink(shared, directory.path().join(ENVIRONMENT)).unwrap();
        let run = |verb: &[&str]| {
            let run = orderctl(directory.path()).args(verb).output().unwrap();
            let text = String::from_utf8_lossy(&run.stderr).into_owned();
            assert!(run.status.success(), "{verb:?}: {text}");
            String::from_utf8(run.stdout).unwrap()
        };
        run(&[&["sandbox", "start"], options].concat());
        let exports = run(&["sandbox", "env"]);
        let endpoint = exports
            .split(['\n', ' ', ';'])
            .find_map(|word| word.strip_prefix("AWS_ENDPOINT_URL="))
            .map(|value| value.trim_matches(['\'', '"']).to_owned())
            .unwrap_or_else(|| panic!("no endpoint in {exports}"));
        assert!(endpoint.starts_with("http://127.0.0.1:"), "{endpoint}");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/aws.py");
        let mut child = python(directory.path(), &endpoint)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = Answers {
            questions: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        Self {
            directory,
            endpoint,
            answers: Mutex::new(answers),
        }
    }

    /// The address its services answer at.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its own Python with the variables that lead to it.
    pub(crate) fn python(&self) -> Command {
        python(self.directory.path(), &self.endpoint)
    }

    /// Asks or does something past `orderctl`, as a person with the AWS CLI would; see `aws.py`.
    pub(crate) fn aws(&self, code: &str) -> Value {
        let mut answers = self.answers.lock().unwrap();
        let question = json!({ "code": code });
        writeln!(answers.questions, "{question}").unwrap();
        let mut line = String::new();
        answers.answers.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        if let Some(error) = answer["error"].as_str() {
            panic!("{code}\n{error}");
        }
        answer["value"].clone()
    }

    /// A stack in a working directory of its own.
    pub(crate) fn stack(&self, suffix: &str) -> Stack<'_> {
        Stack {
            sandbox: self,
            suffix: suffix.to_owned(),
            directory: TempDir::new().unwrap(),
        }
    }
}

fn python(directory: &Path, endpoint: &str) -> Command {
    let mut command = Command::new(directory.join(ENVIRONMENT).join("bin/python"));
    isolate(&mut command);
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Ok(answers) = self.answers.get_mut() {
            let _gone = answers.child.kill();
            let _gone = answers.child.wait();
        }
        let mut stop = orderctl(self.directory.path());
        let _stopped = stop.args(["sandbox", "stop"]).output();
    }
}

/// One stack: its suffix, its working directory with orderctl.toml, its state.
pub(crate) struct Stack<'s> {
    pub(crate) sandbox: &'s Sandbox,
    pub(crate) suffix: String,
    directory: TempDir,
}

impl Stack<'_> {
    /// Writes orderctl.toml.
    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(self.directory.path().join("orderctl.toml"), text).unwrap();
    }

    /// Where its state is kept.
    pub(crate) fn state_file(&self) -> PathBuf {
        self.directory
            .path()
            .join("state")
            .join(format!("{}.json", self.suffix))
    }

    /// A command against its sandbox, ready to be run or spawned.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = orderctl(self.sandbox.directory.path());
        command
            .current_dir(self.directory.path())
            .args(["--sandbox", "--suffix", &self.suffix])
            .args(words)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Run {
        let output = self.command(words).output().unwrap();
        Run {
            words: words.join(" "),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// `up --yes` with further flags; it must succeed.
    pub(crate) fn up(&self, flags: &[&str]) -> Run {
        let words: Vec<&str> = ["up", "--yes", "-v"].iter().chain(flags).copied().collect();
        self.run(&words).expect_code(0)
    }

    /// `down --yes` with further flags; it must succeed.
    pub(crate) fn down(&self, flags: &[&str]) -> Run {
        let words: Vec<&str> = ["down", "--yes"].iter().chain(flags).copied().collect();
        self.run(&words).expect_code(0)
    }

    /// The plan as a program reads it.
    pub(crate) fn plan(&self) -> Plan {
        let run = self.run(&["plan", "--json", "--detailed-exitcode", "-v"]);
        assert!(matches!(run.code, Some(0 | 4)), "{run}");
        let json: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run}"));
        assert_eq!(run.code == Some(4), json["hasChanges"] == true, "{run}");
        Plan { json, run }
    }

    /// All outputs, as of the last `up`.
    pub(crate) fn outputs(&self) -> Value {
        let run = self.run(&["outputs", "--json"]).expect_code(0);
        serde_json::from_str(&run.stdout).unwrap()
    }

    /// What the state says.
    pub(crate) fn state(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.state_file()).unwrap()).unwrap()
    }

    /// Asks the sandbox, with `{s}` in the code standing for the suffix.
    pub(crate) fn aws(&self, code: &str) -> Value {
        self.sandbox.aws(&code.replace("{s}", &self.suffix))
    }
}

/// How a run of `orderctl` ended.
pub(crate) struct Run {
    words: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Fails the test if it ended otherwise.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Fails the test unless all of these stand in what was printed.
    #[track_caller]
    pub(crate) fn expect_text(self, parts: &[&str]) -> Self {
        for part in parts {
            let found = self.stdout.contains(part) || self.stderr.contains(part);
            assert!(found, "`{part}` is missing\n{self}");
        }
        self
    }

    /// How many reading and writing calls it made, from its log.
    #[track_caller]
    pub(crate) fn calls(&self) -> (u32, u32) {
        let number = |name: &str| {
            let rest = self.stderr.split(name).nth(1)?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        };
        match (number(" reads="), number(" writes=")) {
            (Some(reads), Some(writes)) => (reads, writes),
            _ => panic!("no calls are logged\n{self}"),
        }
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            words,
            code,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "orderctl {words} ended with {code:?}\nstdout:\n{stdout}\nstderr:\n{stderr}"
        )
    }
}

/// A plan as `plan --json` prints it.
pub(crate) struct Plan {
    pub(crate) json: Value,
    pub(crate) run: Run,
}

impl Plan {
    /// All nodes that do not stay as they are, as `action address`, sorted.
    pub(crate) fn actions(&self) -> Vec<String> {
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
    pub(crate) fn expect(&self, expected: &[&str]) {
        let mut expected: Vec<&str> = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(self.actions(), expected, "{}", self.details());
    }

    /// Fails the test if there is anything to do.
    #[track_caller]
    pub(crate) fn expect_empty(&self) {
        self.expect(&[]);
        assert_eq!(self.json["hasChanges"], false);
    }

    /// One node by its address.
    #[track_caller]
    pub(crate) fn node(&self, address: &str) -> &Value {
        let nodes = self.json["nodes"].as_array().unwrap();
        let found = nodes.iter().find(|node| node["address"] == address);
        found.unwrap_or_else(|| panic!("no node {address}"))
    }

    /// Whether a change of this node is called drift.
    pub(crate) fn is_drift(&self, address: &str) -> bool {
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
