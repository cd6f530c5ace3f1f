//! `orderctl state pull`: prints the document of a stack.

use std::process::ExitCode;

use clap::Args;

use super::super::session::{DONE, Local};
use super::{CommandError, nothing_recorded, recorded};
use crate::cli::Globals;
use crate::ui::Printer;

/// Prints the state of the stack, byte for byte as it is stored.
///
/// It is JSON whether --json is given or not. One that cannot be read is refused.
#[derive(Args, Debug)]
pub struct PullArgs {
    /// Print it even if it cannot be read as a state, to mend it by hand
    #[arg(long)]
    unchecked: bool,
}

pub(super) async fn run(
    args: PullArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    if !args.unchecked {
        recorded(&local).await?;
    }
    match local.store.document(local.suffix.as_str()).await? {
        Some(document) => printer.document(&document),
        None => return Err(nothing_recorded(&local).await),
    }
    Ok(DONE)
}
