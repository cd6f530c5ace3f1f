//! `orderctl state rebuild`: makes a lost state again from the cloud.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use crate::cli::Globals;
use crate::commands::recover::{self, Difference, Patience};
use crate::commands::session::{DONE, Local, Session};
use crate::commands::{CommandError, confirm, show_before_asking};
use crate::state::{Journal, State, StateError};
use crate::ui::{Printer, rebuild_view};

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
    let local = Local::open(globals).await?;
    let _lock = local
        .store
        .lock(local.suffix.as_str(), "state rebuild")
        .await?;
    let old = old_state(&local, args.force).await?;
    let mut session = Session::open_on(local, None, globals, printer).await?;
    if let Some(old) = &old {
        session.local.check_account(old, &session.account)?;
        session.state.lineage.clone_from(&old.lineage);
        session.state.serial = old.serial;
    }
    let recovered = recover::look(&mut session, Patience::IfIncomplete, printer).await?;
    recover::enter(&mut session, &recovered.rebuilt)?;
    let rebuilt = &recovered.rebuilt;
    let suffix = session.local.suffix.clone();
    if rebuilt.found.is_empty() {
        let region = &session.state.region;
        let message = format!(
            "nothing of stack `{suffix}` was found in account {}, region {region}; no state was written",
            session.account
        );
        return Err(CommandError::failed(message)
            .hint("give the --suffix, --region and --profile that the stack was made with"));
    }
    let difference = old
        .as_ref()
        .map(|old| Difference::between(old, &session.state));
    if globals.json {
        let mut found = rebuild_view::to_json(rebuilt, session.zones());
        if let Some(difference) = &difference {
            found["difference"] = json!({
                "onlyOld": difference.only_old,
                "onlyNew": difference.only_new,
                "changed": difference.changed,
            });
        }
        printer.json_line(&found);
    } else {
        let mut text = rebuild_view::render(rebuilt, session.zones(), &printer.note_style());
        if let Some(difference) = &difference {
            text.push_str(&differences(difference));
        }
        show_before_asking(&text, args.yes, printer);
    }
    let place = session.local.store.place(suffix.as_str());
    let question = match old {
        Some(_) => format!("Write this over the state in {place}?"),
        None => format!("Write this state to {place}?"),
    };
    if !args.yes && !confirm(printer, &question).await? {
        return Err(CommandError::failed("not confirmed; nothing was written"));
    }
    let recorded = session.state.records.len();
    let store = Arc::clone(&session.local.store);
    Journal::new(store, session.state.clone())
        .write(|_| {})
        .await?;
    printer.note(format!(
        "The state of stack `{suffix}` is rebuilt: {recorded} resources recorded in {place}."
    ));
    Ok(DONE)
}

/// The state that is there, which needs `--force`. A damaged one counts as one that says nothing.
async fn old_state(local: &Local, force: bool) -> Result<Option<State>, CommandError> {
    let suffix = &local.suffix;
    let damaged = match local.store.load(suffix.as_str()).await {
        Err(error @ StateError::Unreadable { .. }) => Some(error.to_string()),
        _ => None,
    };
    let old = match &damaged {
        Some(_) => None,
        None => local.state().await?,
    };
    let what = match (&damaged, &old) {
        (None, None) => return Ok(None),
        _ if force => return Ok(old),
        (Some(damage), _) => damage.clone(),
        (None, Some(old)) => {
            let (place, records) = (local.store.place(suffix.as_str()), old.records.len());
            format!("stack `{suffix}` has a state, with {records} records, in {place}")
        }
    };
    Err(CommandError::failed(what)
        .hint("to write a new one over it, add --force; the old one is kept beside it"))
}

fn differences(difference: &Difference) -> String {
    if difference.is_empty() {
        return "\nIts records are those of the state that is there.".to_owned();
    }
    let lines = [
        ("only the old state has", &difference.only_old),
        ("only the new one has", &difference.only_new),
        ("different in the two", &difference.changed),
    ];
    let lines = lines.iter().filter(|(_, nodes)| !nodes.is_empty());
    let lines = lines.map(|(what, nodes)| format!("\n{what}: {}", nodes.join(", ")));
    format!("\n{}", lines.collect::<String>())
}
