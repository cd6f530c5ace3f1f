//! `orderctl state`: the record of a stack.

mod rebuild;

use std::process::ExitCode;

use clap::Subcommand;

use super::CommandError;
use crate::cli::Globals;
use crate::ui::Printer;

/// Looks after the record of a stack.
#[derive(Debug, Subcommand)]
#[allow(
    missing_docs,
    reason = "the help is the documentation of the arguments"
)]
pub enum StateCommand {
    Rebuild(rebuild::RebuildArgs),
}

/// Runs the command.
pub async fn run(
    command: StateCommand,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    match command {
        StateCommand::Rebuild(args) => rebuild::run(args, globals, printer).await,
    }
}
