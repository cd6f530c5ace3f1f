//! `orderctl down`: deletes the stack and proves that nothing is left.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use tokio::time::Instant;

use super::hold::Hold;
use super::session::{DONE, Local, Session};
use super::{CommandError, recover};
use crate::cli::Globals;
use crate::engine::{self, ApplyOptions, TeardownOptions, Whole};
use crate::state::State;
use crate::ui::{Printer, plan_view, progress};

/// Deletes the stack and proves that nothing is left.
///
/// Shows what will go, asks, deletes against the dependencies, and looks again until nothing is
/// left. Works from half a stack, and from one whose state is lost.
#[derive(Args, Debug)]
pub struct DownArgs {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// How many calls may be in flight at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallelism: u16,
    /// Leave a final snapshot of the database
    #[arg(long)]
    final_snapshot: bool,
}

/// Runs the command.
pub async fn run(
    args: DownArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    let hold = Hold::take(&local, "down", globals, printer).await?;
    let ended = down(args, local, &hold, globals, printer).await;
    hold.release(ended).await
}

async fn down(
    args: DownArgs,
    local: Local,
    hold: &Hold,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let session = Session::reach(local, globals, printer);
    let session = hold.unless_stopped(session).await?;
    check_protection(&session)?;
    let declaration = session.declaration()?;
    let (events, follower) = progress::follow(printer, Some(declaration.nodes.len()));
    let context = session.context(true, events);
    let whole = engine::find_all(&context, &declaration, &session.state);
    let whole = hold.unless_stopped(whole).await;
    drop(context);
    follower.finish().await;
    let whole = whole?;
    check_live_protection(&whole)?;
    if whole.nodes.is_empty() && !is_unproven(&session.state) {
        session
            .local
            .store
            .remove(session.local.suffix.as_str())
            .await?;
        printer.note(format!(
            "There is nothing of stack `{}`.",
            session.local.suffix
        ));
        return Ok(DONE);
    }
    if whole.nodes.is_empty() {
        printer.note("All is deleted; the last run ended before its last look.");
    } else {
        show(&whole, &args, &session, globals, printer);
        let question = format!("Delete all of stack `{}`?", session.local.suffix);
        if !args.yes {
            let answer = super::confirm(printer, &question);
            if !hold.unless_stopped(answer).await? {
                return Err(CommandError::failed("not confirmed; nothing was deleted"));
            }
        }
    }
    let begun = Instant::now();
    let mut state = session.state.clone();
    state.account = Some(session.account.clone());
    let stop = hold.changing();
    let journal = hold.journal(&session.local.store, state);
    let (events, follower) = progress::follow(printer, Some(whole.nodes.len()));
    let context = session.context(false, events);
    let options = TeardownOptions {
        apply: ApplyOptions {
            parallelism: args.parallelism.into(),
            adopt: false,
            final_snapshot: args.final_snapshot.then(|| snapshot_name(&session)),
            stop,
        },
        settle: session.delays.log_groups,
        looks: session.looks(),
    };
    let report = engine::teardown(&context, &declaration, &whole, &journal, options).await;
    drop(context);
    follower.finish().await;
    let mut report = report?;
    hold.correct(&mut report);
    let is_done = report.is_complete() && journal.read(|state| state.records.is_empty());
    // A stack that is gone has no state to say so.
    let ended = match is_done {
        true => Ok(()),
        false => journal.end(super::outcome(&report)).await,
    };
    let recorded = journal.read(|state| state.records.len());
    super::show_report(&report, recorded, begun.elapsed(), printer);
    super::not_done(&report)?;
    ended?;
    if recorded > 0 {
        return Err(CommandError::Reported(1));
    }
    journal.remove().await?;
    tracing::info!(
        reads = session.aws.calls().reads(),
        writes = session.aws.calls().writes(),
        "calls"
    );
    printer.note(format!(
        "Nothing of stack `{}` is left.",
        session.local.suffix
    ));
    Ok(DONE)
}

/// Says whether a `down` has deleted everything and then ended before the look that proves it: a
/// service may still write a log group again.
fn is_unproven(state: &State) -> bool {
    let last_run = state.last_run.as_ref();
    last_run.is_some_and(|run| run.command == "down")
}

/// Shows what will go.
fn show(whole: &Whole, args: &DownArgs, session: &Session, globals: &Globals, printer: &Printer) {
    if !session.has_state {
        let missing = recover::missing(session, whole.nodes.len());
        printer.warn(format!("{missing}; working from what was found"));
    }
    if globals.json {
        printer.json_line(&plan_view::removal_to_json(whole));
    } else {
        let text = plan_view::render_removal(whole, &printer.note_style());
        super::show_before_asking(&text, args.yes, printer);
    }
    if !args.final_snapshot {
        printer
            .warn("the database is deleted without a final snapshot (--final-snapshot keeps one)");
    }
}

fn check_protection(session: &Session) -> Result<(), CommandError> {
    let by_file = session.local.settings.config.protect;
    if !by_file && !session.state.protect {
        return Ok(());
    }
    let step = "run `orderctl up` to lift the protection in AWS, then `orderctl down`";
    let hint = match by_file {
        true => format!("set `protect = false` in orderctl.toml, {step}"),
        false => step.to_owned(),
    };
    let message = format!("stack `{}` is protected", session.local.suffix);
    Err(CommandError::failed(message).hint(hint))
}

/// Refuses while AWS itself would refuse to delete one of the resources: the instances of a
/// protected cluster could go, and the cluster would then be left without any (field guide,
/// section 6).
fn check_live_protection(whole: &Whole) -> Result<(), CommandError> {
    let protected: Vec<&str> = whole
        .nodes
        .iter()
        .filter(|(_, (_, live))| {
            live.as_ref()
                .is_some_and(|live| live.spec["deletion_protection"] == true)
        })
        .map(|(address, _)| address.as_str())
        .collect();
    if protected.is_empty() {
        return Ok(());
    }
    let message = format!("AWS protects {} from deletion", protected.join(", "));
    Err(CommandError::failed(message)
        .hint("run `orderctl up` with `protect = false` to lift it, then `orderctl down`"))
}

/// A name no earlier snapshot has (at most 255 characters; letters, digits and hyphens).
fn snapshot_name(session: &Session) -> String {
    let time = Timestamp::now().strftime("%Y%m%d%H%M%S");
    format!("order-api-{}-final-{time}", session.local.suffix)
}
