//! `orderctl state push`: puts a document in the place of the recorded state.

use std::fs;
use std::io::{self, Read};
use std::process::ExitCode;

use clap::Args;

use super::super::session::{DONE, open_store};
use super::super::show_before_asking;
use super::{CommandError, changed_meanwhile, confirm, under_lock};
use crate::cli::Globals;
use crate::config::{Settings, Suffix};
use crate::state::{State, StateError, Store};
use crate::ui::{Printer, difference_view};

/// Puts a document in the place of the recorded state.
///
/// Refuses what this orderctl cannot read, what is of another stack or lineage, and what is not
/// newer (by its serial) than what is recorded. Shows what changes, and asks. The stack is that of
/// the document, unless --suffix says so too.
#[derive(Args, Debug)]
pub struct PushArgs {
    /// The document; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    file: String,
    /// Also take an older serial or another lineage, or put it in the place of a damaged document
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(
    args: PushArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let (settings, store) = open_store(globals, printer).await?;
    let (given, store) = (Given::read(&args.file, &settings)?, store.as_ref());
    let stack = given.state.stack.as_str();
    let place = store.place(stack);
    let recorded = Recorded::look(&given, store, args.force).await?;
    if let Recorded::Damaged(error) = &recorded {
        printer.warn(format!("{error}; what it records is not known"));
    }
    if recorded.state() == Some(&given.state) {
        printer.note(format!("{} and {place} are the same.", given.name));
        return Ok(DONE);
    }
    let mut state = given.state.clone();
    state.serial = recorded.serial_after(state.serial);
    if printer.is_json() {
        printer.json_line(&difference_view::to_json(recorded.state(), &state));
    } else {
        let text = difference_view::render(recorded.state(), &state, &printer.note_style());
        show_before_asking(&text, args.yes, printer);
    }
    let question = format!("Put {} in the place of {place}?", given.name);
    confirm(args.yes, &question, printer).await?;
    under_lock(store, stack, "state push", (globals, printer), async || {
        let again = Recorded::look(&given, store, args.force).await?;
        if again.state() != recorded.state() {
            return Err(changed_meanwhile(stack));
        }
        store.save(&state).await?;
        printer.note(format!("{place} has serial {} now.", state.serial));
        Ok(DONE)
    })
    .await
}

/// The document that is to be recorded.
struct Given {
    name: String,
    state: State,
}

impl Given {
    fn read(file: &str, settings: &Settings) -> Result<Self, CommandError> {
        let (name, document) = match file {
            "-" => {
                let mut document = Vec::new();
                let read = io::stdin().lock().read_to_end(&mut document);
                ("the document".to_owned(), read.map(|_| document))
            }
            file => (file.to_owned(), fs::read(file)),
        };
        let document = document.map_err(|error| CommandError::usage(format!("{name}: {error}")))?;
        let refused =
            |error: StateError| CommandError::usage(error.to_string()).hint("nothing was changed");
        let text = std::str::from_utf8(&document)
            .map_err(|_| refused(StateError::unreadable(&name, "it is not UTF-8 text")))?;
        let state = State::parse(text, &name).map_err(refused)?;
        let given = Self { name, state };
        given.check_stack(settings)?;
        Ok(given)
    }

    fn check_stack(&self, settings: &Settings) -> Result<(), CommandError> {
        let Self { name, state } = self;
        let own: Suffix = state.stack.parse().map_err(|error| {
            CommandError::usage(format!("{name} is of no stack of orderctl: {error}"))
        })?;
        match &settings.suffix {
            Some(wanted) if *wanted != own => Err(CommandError::usage(format!(
                "{name} is the state of stack `{own}`, and this command is for `{wanted}`"
            ))
            .hint(format!("give --suffix {own} if that is what you mean"))),
            _ => Ok(()),
        }
    }
}

/// What is recorded so far.
enum Recorded {
    Nothing,
    Damaged(StateError),
    State(State),
}

impl Recorded {
    /// Looks, and refuses what only `force` may do.
    async fn look(given: &Given, store: &dyn Store, force: bool) -> Result<Self, CommandError> {
        let recorded = match store.load(&given.state.stack).await {
            Ok(None) => Self::Nothing,
            Ok(Some(state)) => Self::State(state),
            Err(error) if force && is_damage(&error) => Self::Damaged(error),
            Err(error) => return Err(error.into()),
        };
        if let (Self::State(state), false) = (&recorded, force)
            && *state != given.state
        {
            check_succession(given, state, &store.place(&state.stack))?;
        }
        Ok(recorded)
    }

    fn state(&self) -> Option<&State> {
        match self {
            Self::State(state) => Some(state),
            Self::Nothing | Self::Damaged(_) => None,
        }
    }

    /// The serial to record, which grows whatever is forced.
    fn serial_after(&self, given: u64) -> u64 {
        match self {
            Self::Nothing => given,
            // Its own cannot be read; most likely it was the next.
            Self::Damaged(_) => given + 1,
            Self::State(state) => given.max(state.serial + 1),
        }
    }
}

fn is_damage(error: &StateError) -> bool {
    matches!(
        error,
        StateError::Unreadable { .. } | StateError::Misplaced { .. }
    )
}

fn check_succession(given: &Given, recorded: &State, place: &str) -> Result<(), CommandError> {
    let Given { name, state } = given;
    let next = recorded.serial + 1;
    if state.lineage != recorded.lineage {
        return Err(CommandError::failed(format!(
            "{name} is of another lineage than {place}: a stack of the same name, made at another time or place"
        ))
        .hint("--force records it nevertheless; what is recorded now is then forgotten, and not deleted"));
    }
    if state.serial > recorded.serial {
        return Ok(());
    }
    let error = CommandError::failed(format!(
        "{name} has serial {}, and {place} has {} already",
        state.serial, recorded.serial
    ));
    Err(match state.serial == recorded.serial {
        true => error.hint(format!(
            "if it is what `orderctl state pull` gave, edited: set its `serial` to {next}"
        )),
        false => error.hint(format!(
            "it is from before; --force puts it back, as serial {next}, and `orderctl up` finds again what was made since"
        )),
    })
}
