//! Questions to a sandbox past the program, as a person with the AWS CLI would put them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// The process that answers; see `aws.py`.
pub struct Questions {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Questions {
    /// Starts it on this Python.
    pub fn open(mut python: Command) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/driver/aws.py");
        let mut child = python
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            questions: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// The value of an expression over boto3 clients, or of `answer` after statements.
    pub fn ask(&mut self, code: &str) -> Value {
        writeln!(self.questions, "{}", json!({ "code": code })).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        if let Some(error) = answer["error"].as_str() {
            panic!("{code}\n{error}");
        }
        answer["value"].clone()
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
