//! How a command fails: the text, what to do, and the exit code.

use std::collections::BTreeMap;

use crate::config::{self, ConfigError};
use crate::engine::{GraphError, PlanError};
use crate::image::ImageError;
use crate::resource::Error;
use crate::sandbox::SandboxError;
use crate::state::StateError;
use crate::ui::Printer;

/// A failed command.
#[derive(Debug)]
pub enum CommandError {
    /// A mistake in orderctl.toml or in a setting; exit code 2.
    Config(Box<ConfigError>),
    /// Anything else, with its exit code.
    Message {
        /// The exit code.
        exit: u8,
        /// What failed.
        message: String,
        /// What to do.
        hints: Vec<String>,
    },
    /// The details are printed already; only the exit code is left.
    Reported(u8),
}

impl CommandError {
    /// A failure, exit code 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Message {
            exit: 1,
            message: message.into(),
            hints: Vec::new(),
        }
    }

    /// A wrong use of the program, exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Message {
            exit: 2,
            message: message.into(),
            hints: Vec::new(),
        }
    }

    /// The end of a command that a signal stopped before it had changed anything, exit code 130.
    pub fn interrupted() -> Self {
        Self::Message {
            exit: super::interrupt::INTERRUPTED,
            message: "interrupted; nothing was changed".to_owned(),
            hints: vec!["run the same command again".to_owned()],
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Message { hints, .. } = &mut self {
            hints.push(hint.into());
        }
        self
    }

    /// The program's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 2,
            Self::Message { exit, .. } | Self::Reported(exit) => *exit,
        }
    }

    /// Prints the failure.
    pub fn print(&self, printer: &Printer) {
        match self {
            Self::Config(error) if printer.is_json() => {
                printer.error(error.message(), &[error.help_text().to_owned()]);
            }
            Self::Config(error) => printer.block(&config::render(
                error,
                printer.note_style().colour,
                printer.width(),
            )),
            Self::Message { message, hints, .. } => printer.error(message, hints),
            Self::Reported(_) => {}
        }
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::Config(Box::new(error))
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        let failed = Self::failed(error.to_string());
        match error.advice() {
            Some(advice) => failed.hint(advice),
            None => failed,
        }
    }
}

impl From<StateError> for CommandError {
    fn from(error: StateError) -> Self {
        let (exit, hints) = match &error {
            StateError::Locked { .. } => (3, vec![WAIT.to_owned(), GONE.to_owned()]),
            StateError::Lost { .. } => (3, vec![LOST.to_owned()]),
            StateError::Changed { .. } => (1, vec![CHANGED.to_owned()]),
            StateError::Remote { error, .. } => {
                (1, error.advice().map(str::to_owned).into_iter().collect())
            }
            StateError::Unreadable {
                place, previous, ..
            } => {
                let mut hints = Vec::new();
                if let Some(previous) = previous {
                    hints.push(format!(
                        "`orderctl state push {previous} --force` puts the document before it back"
                    ));
                } else if place.starts_with("s3://") {
                    hints.push(VERSIONS.to_owned());
                }
                hints.push(REBUILD.to_owned());
                (1, hints)
            }
            StateError::Misplaced { found, .. } => {
                let hint = format!("give --suffix {found}, or another --state");
                (1, vec![hint])
            }
            _ => (1, Vec::new()),
        };
        let message = error.to_string();
        Self::Message {
            exit,
            message,
            hints,
        }
    }
}

const VERSIONS: &str =
    "the bucket's versioning keeps earlier documents: `aws s3api list-object-versions`";
const REBUILD: &str =
    "`orderctl state rebuild` writes a new one: AWS knows every resource by its name and tags";
const WAIT: &str = "wait until it is done; --lock-timeout 10m waits for it that long";
const GONE: &str = "if that run is gone: a lock in a directory goes with its process, a lease in S3 ends by itself when nobody renews it";
const LOST: &str = "nothing else was sent, and the state is the other run's now; what this one had announced stands in it. Once the stack is free, run the same command again";
const CHANGED: &str = "find out who writes there without the lock, then run the same command again";

impl From<GraphError> for CommandError {
    fn from(error: GraphError) -> Self {
        Self::failed(format!("the declaration of the stack is wrong: {error}"))
    }
}

impl From<ImageError> for CommandError {
    fn from(error: ImageError) -> Self {
        let failed = match error.is_usage() {
            true => Self::usage(error.to_string()),
            false => Self::failed(error.to_string()),
        };
        failed.hint(error.advice())
    }
}

impl From<SandboxError> for CommandError {
    fn from(error: SandboxError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<PlanError> for CommandError {
    fn from(error: PlanError) -> Self {
        // The same refusal for many nodes (no permission, no network) is one thing to tell.
        let mut by_text: BTreeMap<String, (Vec<String>, Option<String>)> = BTreeMap::new();
        for (address, error) in &error.errors {
            let without_request = Error::new(error.operation(), error.class(), error.message());
            let without_request = match error.code() {
                Some(code) => without_request.with_code(code).to_string(),
                None => without_request.to_string(),
            };
            let entry = by_text.entry(without_request).or_default();
            entry.0.push(address.to_string());
            entry.1 = error.advice().map(str::to_owned);
        }
        let mut hints: Vec<String> = by_text
            .values()
            .filter_map(|(_, advice)| advice.clone())
            .collect();
        hints.dedup();
        let lines = by_text
            .iter()
            .map(|(text, (nodes, _))| format!("\n  {text}\n    needed for {}", nodes.join(", ")));
        let message = format!("the stack could not be read:{}", lines.collect::<String>());
        Self::Message {
            exit: 1,
            message,
            hints,
        }
    }
}
