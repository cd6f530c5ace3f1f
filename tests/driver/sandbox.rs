//! A local AWS for one test. The installation is shared by all, and outlives them; the server is
//! the test's own, and ends with it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use orderctl::sandbox::MOTO_VERSION;
use serde_json::{Value, json};

use super::questions::Questions;
use super::{Outcome, PROGRAM, Stack, command, http};

/// A running local AWS, which holds nothing yet; stopped when dropped.
pub struct Sandbox {
    root: tempfile::TempDir,
    endpoint: String,
    process: u64,
    questions: OnceLock<Mutex<Questions>>,
}

impl Sandbox {
    /// Starts one in which nothing takes time.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// The same with more options, such as `--control`.
    pub fn start_with(options: &str) -> Self {
        Self::start_at(0, options)
    }

    /// The same, in which time passes so many times as fast as on AWS.
    pub fn start_at(speed: u32, options: &str) -> Self {
        Self::start_as(&format!("--speed {speed} {options}"))
    }

    /// Starts one as it comes, in which things take their time, and in which moreover reads miss
    /// what is new.
    pub fn lifelike() -> Self {
        Self::start_as("--eventual-consistency")
    }

    fn start_as(options: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        install_into(root.path());
        let line = format!("sandbox start --json {options}");
        let outcome = run(root.path(), &line).ends_with(0);
        let told: Value = outcome.json_lines().remove(0);
        Self {
            root,
            endpoint: told["endpoint"].as_str().unwrap().to_owned(),
            process: told["pid"].as_u64().unwrap(),
            questions: OnceLock::new(),
        }
    }

    /// What `ORDERCTL_SANDBOX_DIR` is.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The Python that the server runs on, which has boto3 too.
    pub fn python(&self) -> PathBuf {
        let environment = self.root().join(format!("moto-{MOTO_VERSION}/bin/python"));
        if environment.exists() {
            return environment;
        }
        // A moto_server on the PATH came first; then only the process knows.
        let line = fs::read_to_string(format!("/proc/{}/cmdline", self.process)).unwrap();
        PathBuf::from(line.split('\0').next().unwrap())
    }

    /// That Python, with the variables that lead its boto3 here.
    pub fn boto3(&self) -> Command {
        let mut command = command(self.python());
        command
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Asks or does something past `orderctl`, as a person with the AWS CLI would; see `aws.py`.
    pub fn aws(&self, code: &str) -> Value {
        let open = || Mutex::new(Questions::open(self.boto3(), "driver/aws.py"));
        let questions = self.questions.get_or_init(open);
        let question = json!({ "code": code });
        questions.lock().unwrap().ask(&question)
    }

    /// A stack in a working directory of its own.
    pub fn stack(&self, suffix: &str) -> Stack<'_> {
        Stack::new(self, suffix)
    }

    /// Calls an operation of the AWS query protocol and gives the XML answered.
    pub fn query(&self, service: &str, body: &str) -> String {
        http::post(
            &self.endpoint,
            service,
            "Content-Type: application/x-www-form-urlencoded; charset=utf-8",
            body,
        )
    }

    /// Calls an operation of an AWS JSON protocol.
    pub fn call(&self, service: &str, target: &str, body: &Value) -> Value {
        let headers = format!("Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: {target}");
        let answer = http::post(&self.endpoint, service, &headers, &body.to_string());
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error} in {answer}"))
    }

    /// Lets calls go wrong: see the control endpoint's documentation. Needs `--control`.
    pub fn fault(&self, fault: &Value) {
        let path = "/orderctl/sandbox/control/faults";
        http::post_to(&self.endpoint, path, &fault.to_string());
    }

    /// The password that the stack's secret holds.
    pub fn database_password(&self, suffix: &str) -> String {
        let body = json!({ "SecretId": format!("order-api-db-password-{suffix}") });
        let secret = self.call("secretsmanager", "secretsmanager.GetSecretValue", &body);
        let text = secret["SecretString"].as_str().unwrap();
        let content: Value = serde_json::from_str(text).unwrap();
        content["password"].as_str().unwrap().to_owned()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let outcome = run(self.root.path(), "sandbox stop");
        if !std::thread::panicking() {
            outcome.ends_with(0);
        }
    }
}

/// Gives a sandbox directory the shared installation, so that starting in it takes a second.
pub fn install_into(root: &Path) {
    let name = format!("moto-{MOTO_VERSION}");
    let environment = installation().join(&name);
    if environment.exists() {
        symlink(environment, root.join(name)).unwrap();
    }
}

fn installation() -> &'static Path {
    static INSTALLATION: OnceLock<PathBuf> = OnceLock::new();
    INSTALLATION.get_or_init(|| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sandbox-installation");
        if !root.join(format!("moto-{MOTO_VERSION}")).exists() {
            run(&root, "sandbox start").ends_with(0);
            run(&root, "sandbox stop").ends_with(0);
        }
        root
    })
}

fn run(root: &Path, line: &str) -> Outcome {
    let output = command(PROGRAM)
        .args(line.split_whitespace())
        .env("ORDERCTL_SANDBOX_DIR", root)
        .output()
        .unwrap();
    Outcome::of(line, output)
}
