//! `orderctl state rebuild`: makes a lost state again from the cloud.

use std::process::ExitCode;

use clap::Args;

use crate::cli::Globals;
use crate::commands::hold::Hold;
use crate::commands::recover::{self, Patience};
use crate::commands::session::{DONE, Local, Session};
use crate::commands::{CommandError, confirm, show_before_asking};
use crate::state::{State, StateError};
use crate::ui::{Printer, difference_view, rebuild_view};

/// Makes a lost state again from the cloud.
///
/// Finds what carries the stack's tags and names, shows it, asks, and writes a state under which `up`
/// goes on where it was. Nothing in AWS is changed. Resources of others are reported and left out.
#[derive(Args, Debug)]
pub struct RebuildArgs {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Write it although there is a state; shows in which records they differ
    #[arg(long)]
    force: bool,
}

/// Runs the command.
pub(super) async fn run(
    args: RebuildArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    let hold = Hold::take(&local, "state rebuild", globals, printer).await?;
    let ended = rebuild(args, local, &hold, globals, printer).await;
    hold.release(ended).await
}

async fn rebuild(
    args: RebuildArgs,
    local: Local,
    hold: &Hold,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let old = old_state(&local, args.force, printer).await?;
    let session = Session::open_on(local, None, globals, printer);
    let mut session = hold.unless_stopped(session).await?;
    if let Some(old) = &old {
        session.local.check_account(old, &session.account)?;
        session.state.lineage.clone_from(&old.lineage);
        session.state.serial = old.serial;
    }
    let looked = recover::look(&mut session, Patience::IfIncomplete, printer);
    let rebuilt = hold.unless_stopped(looked).await?.rebuilt;
    recover::enter(&mut session, &rebuilt)?;
    let suffix = session.local.suffix.clone();
    if rebuilt.found.is_empty() {
        let (account, region) = (&session.account, &session.state.region);
        let message = format!(
            "nothing of stack `{suffix}` was found in account {account}, region {region}; no state was written"
        );
        return Err(CommandError::failed(message)
            .hint("give the --suffix, --region and --profile that the stack was made with"));
    }
    if let Some(old) = &old {
        remember_times(&mut session.state, old);
    }
    if globals.json {
        let mut found = rebuild_view::to_json(&rebuilt, session.zones());
        if let Some(old) = &old {
            let difference = difference_view::to_json(Some(old), &session.state);
            found["difference"] = difference["records"].clone();
        }
        printer.json_line(&found);
    } else {
        let style = printer.note_style();
        let mut text = rebuild_view::render(&rebuilt, session.zones(), &style);
        if let Some(old) = &old {
            let difference = difference_view::render(Some(old), &session.state, &style);
            text.push_str(&format!("\nAgainst the state that is there:\n{difference}"));
        }
        show_before_asking(&text, args.yes, printer);
    }
    let place = session.local.store.place(suffix.as_str());
    let question = match old {
        Some(_) => format!("Write this over the state in {place}?"),
        None => format!("Write this state to {place}?"),
    };
    if !args.yes {
        let answer = confirm(printer, &question);
        if !hold.unless_stopped(answer).await? {
            return Err(CommandError::failed("not confirmed; nothing was written"));
        }
    }
    hold.changing();
    let recorded = session.state.records.len();
    hold.write_at_once(&session.local.store, session.state.clone())
        .await?;
    printer.note(format!(
        "The state of stack `{suffix}` is rebuilt: {recorded} resources recorded in {place}."
    ));
    Ok(DONE)
}

/// The state that is there, which needs `--force`. A damaged one says nothing.
async fn old_state(
    local: &Local,
    force: bool,
    printer: &Printer,
) -> Result<Option<State>, CommandError> {
    let suffix = local.suffix.as_str();
    if let Err(error @ StateError::Unreadable { .. }) = local.store.load(suffix).await {
        printer.warn(format!("{error}; what it records is not known"));
        return Ok(None);
    }
    let Some(old) = local.state().await? else {
        return Ok(None);
    };
    if force {
        return Ok(Some(old));
    }
    let (place, records) = (local.store.place(suffix), old.records.len());
    let message = format!("stack `{suffix}` has a state, with {records} records, in {place}");
    Err(CommandError::failed(message)
        .hint("to write a new one over it, add --force; it shows the difference first"))
}

/// Keeps what only the old state knows: since when the same resources are there.
fn remember_times(new: &mut State, old: &State) {
    for (address, record) in &mut new.records {
        let known = old.records.get(address);
        if let Some(known) = known.filter(|known| known.outputs == record.outputs) {
            record.created_at = known.created_at;
            record.ready_at = known.ready_at.or(record.ready_at);
        }
    }
}
