//! `orderctl state`: looks at what is recorded of a stack, and mends it.

mod list;
mod migrate;
mod pull;
mod push;
mod rebuild;
mod rm;
mod show;
mod unlock;

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Subcommand;

use super::hold::take_lock;
use super::session::Local;
use super::{CommandError, interrupt};
use crate::cli::Globals;
use crate::resource::Address;
use crate::state::{State, Store};
use crate::ui::Printer;

/// Looks at what is recorded of a stack, and mends it.
///
/// The state is a journal and a cache; AWS is the truth. None of these commands but `rebuild` asks AWS
/// anything, unless the states are kept there, and none changes a resource.
#[derive(Debug, Subcommand)]
#[allow(
    missing_docs,
    reason = "the help is the documentation of the arguments"
)]
pub enum StateCommand {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Rm(rm::RmArgs),
    Pull(pull::PullArgs),
    Push(push::PushArgs),
    Rebuild(rebuild::RebuildArgs),
    Unlock(unlock::UnlockArgs),
    Migrate(migrate::MigrateArgs),
}

/// Runs the command.
pub async fn run(
    command: StateCommand,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    match command {
        StateCommand::List(args) => list::run(args, globals, printer).await,
        StateCommand::Show(args) => show::run(args, globals, printer).await,
        StateCommand::Rm(args) => rm::run(args, globals, printer).await,
        StateCommand::Pull(args) => pull::run(args, globals, printer).await,
        StateCommand::Push(args) => push::run(args, globals, printer).await,
        StateCommand::Rebuild(args) => rebuild::run(args, globals, printer).await,
        StateCommand::Unlock(args) => unlock::run(args, globals, printer).await,
        StateCommand::Migrate(args) => migrate::run(args, globals, printer).await,
    }
}

/// What is recorded of the stack, whatever region it lives in.
async fn recorded(local: &Local) -> Result<State, CommandError> {
    let state = local.store.load(local.suffix.as_str()).await?;
    match state {
        Some(state) => Ok(state),
        None => Err(nothing_recorded(local).await),
    }
}

async fn nothing_recorded(local: &Local) -> CommandError {
    let place = local.store.place(local.suffix.as_str());
    let message = format!("nothing is recorded of stack `{}` ({place})", local.suffix);
    let error = CommandError::failed(message);
    match local.store.stacks().await.unwrap_or_default().as_slice() {
        [] => error.hint(
            "`orderctl state rebuild` finds a stack whose state is lost; `orderctl up` makes one",
        ),
        stacks => error.hint(format!("there are states of {}", stacks.join(", "))),
    }
}

/// The records that are meant; an error for those there are not.
fn find(state: &State, names: &[String]) -> Result<BTreeSet<Address>, CommandError> {
    let mut found = BTreeSet::new();
    let mut unknown = Vec::new();
    for name in names {
        let address = Address::new(name.as_str()).ok();
        match address.filter(|address| state.records.contains_key(address)) {
            Some(address) => {
                found.insert(address);
            }
            None => unknown.push(name.as_str()),
        }
    }
    if unknown.is_empty() {
        return Ok(found);
    }
    let listed: Vec<String> = unknown
        .iter()
        .map(|name| format!("`{}`", name.escape_debug()))
        .collect();
    let message = format!("stack `{}` has no {}", state.stack, listed.join(", "));
    let near: BTreeSet<&str> = unknown.iter().flat_map(|name| near(state, name)).collect();
    let near: Vec<String> = near.into_iter().map(|name| format!("`{name}`")).collect();
    let error = CommandError::usage(message);
    Err(match near.is_empty() {
        true => error.hint("`orderctl state list` names all that is recorded"),
        false => error.hint(format!("did you mean {}?", near.join(", "))),
    })
}

/// The addresses that look most like `name`, at most three.
fn near<'a>(state: &'a State, name: &str) -> Vec<&'a str> {
    let mut near: Vec<(f64, &str)> = state
        .records
        .keys()
        .map(|address| address.as_str())
        .map(|address| (strsim::jaro_winkler(address, name), address))
        .filter(|(likeness, _)| *likeness > 0.8)
        .collect();
    near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Does `work` under the lock of the stack, which is given back however that ends. Questions are
/// asked before, so that nobody is kept out by somebody who thinks; `work` looks again.
async fn under_lock<T>(
    store: &dyn Store,
    stack: &str,
    purpose: &str,
    (globals, printer): (&Globals, &Printer),
    work: impl AsyncFnOnce() -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let (lock, _) = take_lock(store, stack, purpose, globals, printer).await?;
    // What is short is not broken off, so that the lock is given back.
    let _ends_by_itself = interrupt::changing();
    let done = work().await;
    let given_back = lock.release().await;
    let done = done?;
    given_back?;
    Ok(done)
}

/// Asks, unless the answer is given already.
async fn confirm(yes: bool, question: &str, printer: &Printer) -> Result<(), CommandError> {
    if yes || super::confirm(printer, question).await? {
        return Ok(());
    }
    Err(CommandError::failed("not confirmed; nothing was changed"))
}

/// The error for what is no more as it was when the question was asked.
fn changed_meanwhile(stack: &str) -> CommandError {
    CommandError::failed(format!(
        "what is recorded of stack `{stack}` has changed meanwhile; nothing was done"
    ))
    .hint("run the same command again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Record;

    fn state(names: &[&str]) -> State {
        let mut state = State::new("dev", "us-east-1");
        for name in names {
            let address = Address::new(*name).unwrap();
            state.records.insert(address, Record::new("ec2/subnet"));
        }
        state
    }

    fn refusal(state: &State, names: &[&str]) -> (String, Vec<String>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        match find(state, &names).unwrap_err() {
            CommandError::Message {
                exit: 2,
                message,
                hints,
            } => (message, hints),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unknown_addresses_are_one_error_with_those_that_look_like_them() {
        let state = state(&["vpc", "public-subnet-1", "public-subnet-2", "service"]);
        let found = find(&state, &["vpc".to_owned(), "vpc".to_owned()]).unwrap();
        assert_eq!(found.len(), 1);
        let (message, hints) = refusal(&state, &["vpc", "public-subnet-3", "vcp"]);
        assert_eq!(message, "stack `dev` has no `public-subnet-3`, `vcp`");
        assert!(hints[0].contains("`public-subnet-1`"), "{hints:?}");
        let (message, hints) = refusal(&state, &["Nonsense\u{1b}"]);
        assert!(message.ends_with("`Nonsense\\u{1b}`"), "{message}");
        assert!(hints[0].contains("orderctl state list"), "{hints:?}");
    }
}
