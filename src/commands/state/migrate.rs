//! `orderctl state migrate`: takes states to another place.

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::super::hold::take_lock;
use super::super::session::{DONE, Local, open_store, store_at};
use super::super::show_before_asking;
use super::{CommandError, changed_meanwhile, confirm, nothing_recorded};
use crate::cli::Globals;
use crate::config;
use crate::state::{Location, Lock, State, Store};
use crate::ui::Printer;

/// Copies the state of the stack to another place, or those of all stacks.
///
/// Refuses to write over another lineage, or over a state that is as new. Reads back what it wrote.
/// After an interruption the same command goes on where it was.
#[derive(Args, Debug)]
pub struct MigrateArgs {
    /// Where to: as for --state
    #[arg(long, value_name = "LOCATION")]
    to: String,
    /// All stacks that are here
    #[arg(long)]
    all: bool,
    /// Remove the originals once the copies are read back
    #[arg(long)]
    remove_source: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(
    args: MigrateArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    config::check_place("--to", &args.to)?;
    let (settings, source) = open_store(globals, printer).await?;
    let here = settings.state.as_deref().unwrap_or("state");
    if is_same_place(here, &args.to) {
        return Err(CommandError::usage(format!(
            "the states are in {} already",
            args.to
        )));
    }
    let target = store_at(Some(&args.to), &settings, globals, printer).await?;
    let stacks = match args.all {
        true => source.stacks().await?,
        false => {
            let local = Local::open(globals, printer).await?;
            let stack = local.suffix.as_str();
            if source.load(stack).await?.is_none() && target.load(stack).await?.is_none() {
                return Err(nothing_recorded(&local).await);
            }
            vec![stack.to_owned()]
        }
    };
    if stacks.is_empty() {
        printer.note(format!("There are no stacks in {here}."));
        return Ok(DONE);
    }
    let migration = Migration {
        source,
        target,
        args,
    };
    migration.run(&stacks, globals, printer).await
}

/// Says whether two locations are one.
fn is_same_place(one: &str, other: &str) -> bool {
    let (one, other) = (Location::of(Some(one)), Location::of(Some(other)));
    match (&one, &other) {
        (Location::Directory(one), Location::Directory(other)) => {
            let found = fs::canonicalize(one).ok();
            one == other || found.is_some_and(|one| fs::canonicalize(other).ok() == Some(one))
        }
        _ => one == other,
    }
}

struct Migration {
    source: Arc<dyn Store>,
    target: Arc<dyn Store>,
    args: MigrateArgs,
}

/// One state on its way.
#[derive(PartialEq)]
struct Move {
    stack: String,
    from: String,
    to: String,
    step: Step,
}

#[derive(PartialEq)]
enum Step {
    /// It has to be copied.
    Copy(State),
    /// An earlier run has copied it.
    Copied(State),
    /// An earlier run has copied it and removed the original.
    Gone,
}

impl Migration {
    async fn run(
        &self,
        stacks: &[String],
        globals: &Globals,
        printer: &Printer,
    ) -> Result<ExitCode, CommandError> {
        let moves = self.look_at_all(stacks).await?;
        self.show(&moves, printer);
        let removes = |step: &Step| self.args.remove_source && *step != Step::Gone;
        let is_done = |step: &Step| !matches!(step, Step::Copy(_)) && !removes(step);
        if moves.iter().all(|it| is_done(&it.step)) {
            printer.note(format!("Nothing to do: {} has all of it.", self.args.to));
            return Ok(DONE);
        }
        let question = match self.args.remove_source {
            true => "Copy, and remove the originals?",
            false => "Copy?",
        };
        confirm(self.args.yes, question, printer).await?;
        let mut locks = Vec::new();
        let done = self
            .carry_out_all(&moves, &mut locks, globals, printer)
            .await;
        let mut given_back = Ok(());
        for lock in locks {
            given_back = given_back.and(lock.release().await);
        }
        done?;
        given_back?;
        if !self.args.remove_source {
            printer.warn(format!(
                "the originals stay; from now on use those in {} alone (`state` in orderctl.toml, or ORDERCTL_STATE)",
                self.args.to
            ));
        }
        Ok(DONE)
    }

    async fn look_at_all(&self, stacks: &[String]) -> Result<Vec<Move>, CommandError> {
        let mut moves = Vec::new();
        for stack in stacks {
            moves.push(self.look(stack).await?);
        }
        Ok(moves)
    }

    /// Takes all locks before it copies anything, so that none is found to be held half-way.
    async fn carry_out_all(
        &self,
        moves: &[Move],
        locks: &mut Vec<Lock>,
        globals: &Globals,
        printer: &Printer,
    ) -> Result<(), CommandError> {
        for Move { stack, .. } in moves {
            for store in [&self.source, &self.target] {
                let taken = take_lock(store.as_ref(), stack, "state migrate", globals, printer);
                locks.push(taken.await?.0);
            }
        }
        for it in moves {
            if self.look(&it.stack).await? != *it {
                return Err(changed_meanwhile(&it.stack));
            }
        }
        for it in moves {
            self.carry_out(it, printer).await?;
        }
        Ok(())
    }

    async fn look(&self, stack: &str) -> Result<Move, CommandError> {
        let (from, to) = (self.source.place(stack), self.target.place(stack));
        let here = self.source.load(stack).await?;
        let there = self.target.load(stack).await?;
        let step = match (here, there) {
            (None, _) => Step::Gone,
            (Some(here), None) => Step::Copy(here),
            (Some(here), Some(there)) if here == there => Step::Copied(here),
            (Some(here), Some(there)) => {
                check_succession(&here, &there, &from, &to)?;
                Step::Copy(here)
            }
        };
        Ok(Move {
            stack: stack.to_owned(),
            from,
            to,
            step,
        })
    }

    fn show(&self, moves: &[Move], printer: &Printer) {
        let mut lines = Vec::new();
        for Move {
            stack,
            from,
            to,
            step,
        } in moves
        {
            let (action, state) = match step {
                Step::Copy(state) => ("copy", Some(state)),
                Step::Copied(state) => ("copied", Some(state)),
                Step::Gone => ("gone", None),
            };
            if printer.is_json() {
                printer.json_line(&json!({
                    "type": "migrate",
                    "version": crate::ui::json::VERSION,
                    "stack": stack,
                    "from": from,
                    "to": to,
                    "action": action,
                    "serial": state.map(|state| state.serial),
                    "records": state.map(|state| state.records.len()),
                    "removesSource": self.args.remove_source,
                }));
                continue;
            }
            lines.push(match step {
                Step::Copy(state) => format!(
                    "+ {from} -> {to} (serial {}, {} records)",
                    state.serial,
                    state.records.len()
                ),
                Step::Copied(_) => format!("= {from} -> {to} (there already)"),
                Step::Gone => format!("= {to} (there already; {from} is gone)"),
            });
        }
        if !lines.is_empty() {
            show_before_asking(&lines.join("\n"), self.args.yes, printer);
        }
    }

    async fn carry_out(&self, it: &Move, printer: &Printer) -> Result<(), CommandError> {
        let Move {
            stack, from, to, ..
        } = it;
        let state = match &it.step {
            Step::Copy(state) => {
                self.target.save(state).await?;
                state
            }
            Step::Copied(state) => state,
            Step::Gone => return Ok(()),
        };
        if self.target.load(stack).await?.as_ref() != Some(state) {
            return Err(CommandError::failed(format!(
                "{to} does not read back as it was written; {from} stays"
            ))
            .hint("run the same command again"));
        }
        printer.note(format!("{to} is written and read back."));
        if self.args.remove_source {
            self.source.remove(stack).await?;
            printer.note(format!("{from} is removed."));
        }
        Ok(())
    }
}

/// Refuses to write over what is not an older document of the same stack.
fn check_succession(here: &State, there: &State, from: &str, to: &str) -> Result<(), CommandError> {
    let error = if here.lineage != there.lineage {
        format!("{to} is of another lineage than {from}: another stack of the same name")
    } else if there.serial >= here.serial {
        format!(
            "{to} has serial {}, and {from} has {}: it was worked on there",
            there.serial, here.serial
        )
    } else {
        return Ok(());
    };
    Err(CommandError::failed(error).hint(
        "nothing was copied; look at both with `orderctl state list --state …`, and remove the one that is wrong",
    ))
}
