//! `orderctl state rm`: forgets resources without deleting them.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::super::session::{DONE, Local};
use super::super::show_before_asking;
use super::{CommandError, changed_meanwhile, confirm, find, recorded, under_lock};
use crate::cli::Globals;
use crate::state::Journal;
use crate::ui::{Printer, state_view};

/// Forgets resources without deleting them.
///
/// They stay in AWS as they are. The next `orderctl up` finds those that carry the stack's names and
/// tags again, and `orderctl down` deletes them.
#[derive(Args, Debug)]
pub struct RmArgs {
    /// What to forget, as `orderctl state list` names it
    #[arg(required = true, value_name = "ADDRESS")]
    addresses: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(
    args: RmArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    let state = recorded(&local).await?;
    let addresses = find(&state, &args.addresses)?;
    if printer.is_json() {
        printer.json_line(&state_view::forgetting_to_json(&state, &addresses));
    } else {
        let text = state_view::forgetting(&state, &addresses, &printer.note_style());
        show_before_asking(&text, args.yes, printer);
    }
    printer.warn(
        "nothing is deleted: they stay in AWS and go on costing, and the next `orderctl up` finds them again",
    );
    confirm(args.yes, "Forget them?", printer).await?;
    let stack = local.suffix.as_str();
    let (store, told) = (local.store.as_ref(), (globals, printer));
    under_lock(store, stack, "state rm", told, async || {
        if recorded(&local).await? != state {
            return Err(changed_meanwhile(stack));
        }
        let journal = Journal::new(Arc::clone(&local.store), state);
        journal
            .write(|state| {
                state
                    .records
                    .retain(|address, _| !addresses.contains(address))
            })
            .await?;
        let serial = journal.read(|state| state.serial);
        let (place, count) = (local.store.place(stack), addresses.len());
        printer.note(format!("Forgot {count}; {place} has serial {serial} now."));
        Ok(DONE)
    })
    .await
}
