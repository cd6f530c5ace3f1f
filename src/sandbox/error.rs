//! What can go wrong with the local AWS, each case with what to do about it.

use std::path::PathBuf;

/// A failure to install, start, find or stop the local AWS.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The system names no cache directory.
    #[error(
        "this system names no cache directory for the local AWS. Set ORDERCTL_SANDBOX_DIR to a directory of your choice."
    )]
    NoCacheDirectory,

    /// There is nothing to run Python with.
    #[error(
        "the local AWS needs Python 3.10 or newer, and {found}. Install it (Debian and Ubuntu: `apt install python3 \
         python3-venv`; macOS: `brew install python`; or uv: https://docs.astral.sh/uv), then run the command again."
    )]
    NoPython {
        /// What was found instead, as the middle of a sentence.
        found: String,
    },

    /// Python is there, but cannot make virtual environments.
    #[error(
        "{python} cannot make a virtual environment because its ensurepip module is missing. Install it (Debian and \
         Ubuntu: `apt install python3-venv`), then run the command again."
    )]
    NoVenv {
        /// The interpreter that was tried.
        python: PathBuf,
    },

    /// An installing command failed.
    #[error(
        "could not install the local AWS: `{command}` failed:\n{output}\nCheck that this machine reaches a Python \
         package index, then run the command again; nothing was left behind."
    )]
    Install {
        /// The command line.
        command: String,
        /// Its last lines of output.
        output: String,
    },

    /// The server ended, or said nothing, before it was ready.
    #[error(
        "the local AWS did not come up: {reason}. The end of its log, {log}:\n{tail}\nRun the command again; if it \
         keeps failing, delete {root} so that it is installed afresh."
    )]
    Start {
        /// What happened.
        reason: String,
        /// The log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
        /// The sandbox directory.
        root: PathBuf,
    },

    /// One is running that does not behave as wished.
    #[error(
        "the local AWS at {endpoint} is running already and behaves otherwise (`orderctl sandbox status` says how). Run \
         `orderctl sandbox stop` first; what it holds is gone then."
    )]
    BehavesOtherwise {
        /// Where it answers.
        endpoint: String,
    },

    /// The server does not go away.
    #[error(
        "the local AWS (pid {pid}) does not stop: {reason}. End that process yourself, then run the command again."
    )]
    Stop {
        /// The process the health path named.
        pid: u32,
        /// What happened.
        reason: String,
    },

    /// A file or directory of the sandbox cannot be used.
    #[error(
        "{action} {path}: {source}. Check its permissions and the free space, or set ORDERCTL_SANDBOX_DIR to another directory."
    )]
    File {
        /// What was tried, as in "could not write".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl SandboxError {
    /// Builds the [`SandboxError::File`] of a failed action, for `map_err`.
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}

/// The last `count` lines of a text, without trailing blank ones.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn last_lines_takes_the_end() {
        assert_eq!(last_lines("a\nb\nc\n\n", 2), "b\nc");
        assert_eq!(last_lines("a", 5), "a");
        assert_eq!(last_lines("", 5), "");
    }
}
