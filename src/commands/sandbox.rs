//! `orderctl sandbox`: manages the local AWS.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::CommandError;
use super::session::DONE;
use crate::cli::Globals;
use crate::sandbox::{self, Sandbox, SandboxDirs, VARIABLES_TO_UNSET};
use crate::ui::{Printer, table};

/// Manages the local AWS that `--sandbox` works on.
///
/// It is moto, in a version pinned by orderctl, in an environment of its own under the user's cache
/// directory, with a layer of ours that mends what moto leaves out. It listens on a free loopback
/// port, keeps everything in memory, and goes on running between commands until it is stopped.
#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Starts the local AWS; the first time, installs it.
    ///
    /// It is moto, in a version pinned by orderctl, under a layer of orderctl's own; it is installed
    /// into the user's cache directory, or into ORDERCTL_SANDBOX_DIR, which takes Python 3.10 or
    /// newer and about 30 seconds. It listens on a free loopback port, and runs until it is stopped.
    /// `--sandbox` starts it too.
    Start,
    /// Stops the local AWS; everything in it is gone then.
    Stop,
    /// Says whether and where the local AWS runs; exits with 1 if it does not.
    Status,
    /// Prints exports that point the AWS CLI and any SDK at the local AWS.
    ///
    /// For a shell: eval "$(orderctl sandbox env)". Starts the local AWS if it is not running.
    Env,
}

/// Runs the command.
pub async fn run(
    command: SandboxCommand,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let dirs = SandboxDirs::from_env()?;
    let notices = |text: &str| printer.note(text);
    match command {
        SandboxCommand::Start => {
            let sandbox = sandbox::ensure_running(&dirs, &notices).await?;
            show(&sandbox, printer);
            Ok(DONE)
        }
        SandboxCommand::Stop => {
            match sandbox::stop(&dirs, &notices).await? {
                Some(stopped) => {
                    printer.note(format!("stopped the local AWS at {}", stopped.endpoint))
                }
                None => printer.note("the local AWS is not running"),
            }
            Ok(DONE)
        }
        SandboxCommand::Status => match sandbox::status(&dirs).await {
            Some(sandbox) => {
                show(&sandbox, printer);
                Ok(DONE)
            }
            None => Err(CommandError::failed("the local AWS is not running")
                .hint("`orderctl sandbox start` starts it")),
        },
        SandboxCommand::Env => {
            let sandbox = sandbox::ensure_running(&dirs, &notices).await?;
            let region = globals.region.as_deref().unwrap_or("us-east-1");
            for name in VARIABLES_TO_UNSET {
                printer.data(format!("unset {name}"));
            }
            for (name, value) in sandbox::env_exports(&sandbox, region) {
                printer.data(format!("export {name}={value}"));
            }
            Ok(DONE)
        }
    }
}

fn show(sandbox: &Sandbox, printer: &Printer) {
    if printer.is_json() {
        printer.json_line(&json!({
            "endpoint": sandbox.endpoint,
            "pid": sandbox.pid,
            "log": sandbox.log,
        }));
        return;
    }
    let rows = [
        ("endpoint".to_owned(), sandbox.endpoint.clone()),
        ("process".to_owned(), sandbox.pid.to_string()),
        ("log".to_owned(), sandbox.log.display().to_string()),
    ];
    printer.data(table::two_columns(&rows, &printer.style()));
}
