//! The local AWS of one cell: a copy of a running one, with everything in it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::driver::questions::Questions;
use super::driver::{PROGRAM, Sandbox, command};

/// An account that ends when it is dropped.
pub struct Account {
    port: u16,
    process: i32,
    layer: String,
    directory: TempDir,
}

impl Account {
    /// A copy of everything in `sandbox`.
    pub fn of(sandbox: &Sandbox) -> Self {
        let port = sandbox.endpoint().rsplit(':').next().unwrap();
        let port = port.parse().unwrap();
        let health = exchange(port, "GET", "/orderctl/sandbox", "");
        Self::copied(port, health["layer"].as_str().unwrap().to_owned())
    }

    /// A copy of everything in this account.
    pub fn copy(&self) -> Self {
        Self::copied(self.port, self.layer.clone())
    }

    fn copied(port: u16, layer: String) -> Self {
        let copy = exchange(port, "POST", "/orderctl/sandbox/control/copies", "{}");
        let directory = TempDir::new().unwrap();
        let record =
            json!({ "pid": copy["pid"], "port": copy["port"], "started": 0, "layer": layer });
        let record_file = directory.path().join("running.json");
        std::fs::write(record_file, record.to_string()).unwrap();
        Self {
            port: copy["port"].as_u64().unwrap().try_into().unwrap(),
            process: copy["pid"].as_i64().unwrap().try_into().unwrap(),
            layer,
            directory,
        }
    }

    /// The program, sent to this account.
    pub fn orderctl(&self) -> Command {
        let mut program = command(PROGRAM);
        program.env("ORDERCTL_SANDBOX_DIR", self.directory.path());
        program
    }

    /// Asks the control endpoint.
    pub fn get(&self, path: &str) -> Value {
        exchange(
            self.port,
            "GET",
            &format!("/orderctl/sandbox/control/{path}"),
            "",
        )
    }

    /// Tells the control endpoint.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let path = format!("/orderctl/sandbox/control/{path}");
        exchange(self.port, "POST", &path, &body.to_string())
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _ended_already = kill(Pid::from_raw(self.process), Signal::SIGKILL);
    }
}

fn exchange(port: u16, method: &str, path: &str, body: &str) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{method} {path}: {answer}");
    serde_json::from_str(body).unwrap()
}

/// Tells what there is in accounts.
pub struct Eyes(Questions);

impl Eyes {
    pub fn open(sandbox: &Sandbox) -> Self {
        Self(Questions::open(sandbox.boto3(), "crash_matrix/cloud.py"))
    }

    /// Everything that exists in the account, by kind.
    pub fn picture(&mut self, account: &Account) -> Value {
        self.0
            .ask(&json!({ "port": account.port, "ask": "picture" }))
    }

    /// The text of a state object, if there is one.
    pub fn state(&mut self, account: &Account, key: &str) -> Option<String> {
        let question = json!({ "port": account.port, "ask": "state", "key": key });
        self.0.ask(&question).as_str().map(str::to_owned)
    }

    /// Makes the lease of a lock object end now, if there is one. Others still leave it alone for some seconds.
    pub fn shorten_lease(&mut self, account: &Account, key: &str) {
        let question = json!({ "port": account.port, "ask": "shorten", "key": key });
        self.0.ask(&question);
    }

    /// Puts an image into a repository.
    pub fn put_image(&mut self, account: &Account, repository: &str) {
        let question = json!({ "port": account.port, "ask": "image", "repository": repository });
        self.0.ask(&question);
    }
}
