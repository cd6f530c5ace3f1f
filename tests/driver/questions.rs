//! Questions to a sandbox past the program, as a person with the AWS CLI would put them: a script over
//! boto3 that answers each line of JSON with one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// The process that answers.
pub struct Questions {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Questions {
    /// Starts a script below `tests/` on this Python.
    pub fn open(mut python: Command, script: &str) -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let mut child = python
            .arg(tests.join(script))
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

    /// The `value` of the answer; an `error` fails the test.
    pub fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        if let Some(error) = answer["error"].as_str() {
            panic!("{question}\n{error}");
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
