//! `orderctl state list`: all that is recorded of a stack.

use std::process::ExitCode;

use clap::Args;

use super::super::session::{DONE, Local};
use super::{CommandError, recorded};
use crate::cli::Globals;
use crate::ui::{Printer, state_view};

/// Lists what is recorded of the stack: addresses, kinds, ids, and since when.
#[derive(Args, Debug)]
pub struct ListArgs {}

pub(super) async fn run(
    _args: ListArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    let state = recorded(&local).await?;
    if printer.is_json() {
        printer.json_line(&state_view::list_to_json(&state));
    } else if state.records.is_empty() {
        printer.note(format!("Stack `{}` has no resources.", state.stack));
    } else {
        printer.data(state_view::list(&state, &printer.style()));
    }
    Ok(DONE)
}
