//! `orderctl stacks`: lists the stacks of a store.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use tokio::task::JoinSet;

use super::CommandError;
use super::session::{DONE, open_store};
use crate::cli::Globals;
use crate::state::{StateError, Store};
use crate::ui::Printer;
use crate::ui::stacks_view::{self, StackRow};

/// Lists the stacks whose states are here.
///
/// Each with its account and region, how long ago its first resource was made, how many resources
/// it has, who ran what on it last, and who works on it now. A state that cannot be read is a line
/// that says so. AWS is not asked, unless the states are kept there.
#[derive(Args, Debug)]
pub struct StacksArgs {}

/// Runs the command.
pub async fn run(
    _args: StacksArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let (settings, store) = open_store(globals, printer).await?;
    let mut looks = JoinSet::new();
    for stack in store.stacks().await? {
        looks.spawn(look(Arc::clone(&store), stack));
    }
    let mut rows: Vec<StackRow> = looks.join_all().await.into_iter().flatten().collect();
    rows.sort_by(|one, other| one.stack.cmp(&other.stack));
    if printer.is_json() {
        printer.json_line(&stacks_view::to_json(&rows));
    } else if rows.is_empty() {
        let location = settings.state.as_deref().unwrap_or("state");
        printer.note(format!("There are no stacks in {location}."));
    } else {
        printer.data(stacks_view::render(
            &rows,
            Timestamp::now(),
            &printer.style(),
        ));
    }
    Ok(DONE)
}

/// What is to be told of one stack; nothing if it has gone since it was listed.
async fn look(store: Arc<dyn Store>, stack: String) -> Option<StackRow> {
    let state = match store.load(&stack).await {
        Ok(state) => Ok(state?),
        Err(error) => Err(error.to_string()),
    };
    let holder = store.holder(&stack).await.map_err(|error| match error {
        StateError::Locked { owner, .. } => owner,
        error => error.to_string(),
    });
    let place = store.place(&stack);
    Some(StackRow {
        stack,
        place,
        state,
        holder,
    })
}
