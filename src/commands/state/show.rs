//! `orderctl state show`: everything recorded of one resource.

use std::process::ExitCode;
use std::slice;

use clap::Args;

use super::super::session::{DONE, Local};
use super::{CommandError, find, recorded};
use crate::cli::Globals;
use crate::ui::{Printer, state_view};

/// Shows everything that is recorded of one resource.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The resource, as `orderctl state list` names it
    address: String,
}

pub(super) async fn run(
    args: ShowArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    let state = recorded(&local).await?;
    for address in find(&state, slice::from_ref(&args.address))? {
        let record = &state.records[&address];
        if printer.is_json() {
            printer.json_line(&state_view::record_to_json(&state, &address, record));
        } else {
            let style = printer.style();
            printer.data(state_view::record(&state, &address, record, &style));
        }
    }
    Ok(DONE)
}
