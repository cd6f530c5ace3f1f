//! `orderctl state unlock`: takes a lock away whose holder is gone.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::session::{DONE, Local};
use super::super::show_before_asking;
use super::{CommandError, changed_meanwhile, confirm};
use crate::cli::Globals;
use crate::state::Holder;
use crate::ui::{Printer, stacks_view};

/// Takes the lock of the stack away from a holder who is gone.
///
/// Needed only where the lock is a lease (states in S3) and you will not wait until it runs out. The
/// lock of a state in a directory goes with its process, however that ends: there is nothing to take.
#[derive(Args, Debug)]
pub struct UnlockArgs {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(
    args: UnlockArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    let stack = local.suffix.as_str();
    let holder = local.store.holder(stack).await?;
    if printer.is_json() {
        printer.json_line(&json!({
            "type": "unlock",
            "version": crate::ui::json::VERSION,
            "stack": stack,
            "holder": holder.as_ref().map(stacks_view::holder_to_json),
        }));
    }
    let Some(holder) = holder else {
        printer.note(format!("Nobody holds the lock of stack `{stack}`."));
        return Ok(DONE);
    };
    if holder.expires.is_none() {
        return Err(CommandError::Message {
            exit: 3,
            message: format!(
                "stack `{stack}` is locked by {holder}, and that lock goes with its process"
            ),
            hints: vec![format!(
                "wait until it is done; if it hangs, end process {} on {}",
                holder.pid, holder.host
            )],
        });
    }
    if !printer.is_json() {
        let text = format!("Stack `{stack}` is locked by {holder}.");
        show_before_asking(&text, args.yes, printer);
    }
    printer.warn("if that command still runs, it fails at the next thing it wants to record");
    confirm(args.yes, "Take the lock away?", printer).await?;
    // Nobody else than the one who was shown is robbed.
    let claim = |holder: &Holder| (holder.host.clone(), holder.pid, holder.since);
    let again = local.store.holder(stack).await?;
    if again.is_some_and(|again| claim(&again) != claim(&holder)) {
        return Err(changed_meanwhile(stack));
    }
    match local.store.unlock(stack).await? {
        Some(holder) => printer.note(format!("Took the lock away from {holder}.")),
        None => printer.note("It was given back meanwhile."),
    }
    Ok(DONE)
}
