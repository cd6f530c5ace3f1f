//! `orderctl up`: brings the stack to what is declared.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use tokio::time::Instant;

use super::hold::Hold;
use super::session::{DONE, Local, Session};
use super::{CommandError, doctor, outputs, recover};
use crate::cli::Globals;
use crate::config::{Config, Tls};
use crate::engine::{self, ApplyOptions, Context, Declaration, Plan, PlanOptions, Report};
use crate::state::{Journal, State};
use crate::ui::{Printer, plan_view, progress};

/// Brings the stack to what is declared.
///
/// Shows the plan, asks, and makes, changes and deletes what it takes. After any interruption the
/// same command goes on where it was. Of a stack that is not there yet, it first looks ahead, as
/// `doctor --preflight` does.
#[derive(Args, Debug)]
pub struct UpArgs {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// How many calls may be in flight at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallelism: u16,
    /// Allow this resource, which holds data, to be deleted and made anew (repeatable)
    #[arg(long, value_name = "ADDRESS")]
    allow_replace: Vec<String>,
    /// Take over resources that have the stack's names but not its tags
    #[arg(long)]
    adopt: bool,
    /// Make a first `up` without looking ahead at quotas, permissions and the like
    #[arg(long)]
    skip_preflight: bool,
}

/// Runs the command.
pub async fn run(
    args: UpArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    let hold = Hold::take(&local, "up", globals, printer).await?;
    let ended = up(args, local, &hold, globals, printer).await;
    hold.release(ended).await
}

async fn up(
    args: UpArgs,
    local: Local,
    hold: &Hold,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let session = Session::open(local, globals, printer);
    let mut session = hold.unless_stopped(session).await?;
    let looked = recover::if_lost(&mut session, printer);
    let (found, mut reads) = hold.unless_stopped(looked).await?;
    if found > 0 {
        let answer = ask_to_rebuild(&session, found, args.yes, printer);
        hold.unless_stopped(answer).await?;
        // Whoever thought about the answer let time pass.
        reads = reads.filter(|_| args.yes);
    }
    if found == 0 && !session.has_state && !args.skip_preflight {
        let looked = async { Ok::<_, CommandError>(doctor::before_up(&session).await) };
        let findings = hold.unless_stopped(looked).await?;
        doctor::judge(&findings, &session, printer)?;
    }
    let is_released = session.release(&args.allow_replace);
    let declaration = session.declaration()?;
    let plan = make_plan(&session, &declaration, reads, args.adopt, printer);
    let plan = hold.unless_stopped(plan).await?;
    recover::say_if_older(&plan, printer);
    if !plan.is_empty() {
        show(&plan, args.yes, globals, printer);
    }
    check(&plan, &args)?;
    if !plan.is_empty() && !args.yes {
        let question = question(&plan);
        let answer = super::confirm(printer, &question);
        if !hold.unless_stopped(answer).await? {
            return Err(CommandError::failed("not confirmed; nothing was changed"));
        }
    }
    let mut state = session.state.clone();
    session.enter_facts(&mut state);
    let stop = hold.changing();
    let begun = Instant::now();
    let journal = hold.journal(&session.local.store, state.clone());
    if state != session.state || found > 0 || is_released {
        journal.write(|_| {}).await?;
    }
    let (events, follower) = progress::follow(printer, Some(plan.nodes.len()));
    let context = session.context(false, events);
    let options = ApplyOptions {
        parallelism: args.parallelism.into(),
        adopt: args.adopt,
        final_snapshot: None,
        stop,
    };
    let mut report = engine::apply(&context, &declaration, &plan, &journal, options).await;
    hold.correct(&mut report);
    drop(context);
    follower.finish().await;
    let saved = save_end(&journal, &declaration, &report).await;
    tracing::info!(
        reads = session.aws.calls().reads(),
        writes = session.aws.calls().writes(),
        "calls"
    );
    show_end(&journal, &plan, &report, begun, printer);
    super::not_done(&report)?;
    saved?;
    finish(&session, &journal, globals, printer)
}

/// Says that the state is missing and asks whether it is to be made again.
async fn ask_to_rebuild(
    session: &Session,
    found: usize,
    yes: bool,
    printer: &Printer,
) -> Result<(), CommandError> {
    let missing = recover::missing(session, found);
    printer.warn(format!("{missing}; rebuilding it from them"));
    if yes {
        return Ok(());
    }
    if printer.is_interactive() {
        printer.block(recover::ELSEWHERE);
    }
    match super::confirm(printer, "Rebuild the state and go on?").await? {
        true => Ok(()),
        false => Err(CommandError::failed("not confirmed; nothing was changed")),
    }
}

/// Names what is special about the plan in the one question about it.
fn question(plan: &Plan) -> String {
    match plan.taken_over().count() {
        0 => "Apply this plan?".to_owned(),
        1 => "Take over the resource that is not this stack's, and apply this plan?".to_owned(),
        count => {
            format!("Take over {count} resources that are not this stack's, and apply this plan?")
        }
    }
}

/// Makes the plan; with the reads of a look that was just made, if there was one.
async fn make_plan(
    session: &Session,
    declaration: &Declaration,
    reads: Option<Context>,
    adopt: bool,
    printer: &Printer,
) -> Result<Plan, CommandError> {
    let (events, follower) = progress::follow(printer, Some(declaration.nodes.len()));
    let context = match reads {
        Some(context) => Context { events, ..context },
        None => session.context(true, events),
    };
    let plan = engine::plan(&context, declaration, &session.state, PlanOptions { adopt }).await;
    drop(context);
    follower.finish().await;
    Ok(plan?)
}

fn show(plan: &Plan, yes: bool, globals: &Globals, printer: &Printer) {
    if globals.json {
        printer.json_line(&plan_view::to_json(plan));
    } else {
        let text = plan_view::render(plan, &printer.note_style(), false);
        super::show_before_asking(&text, yes, printer);
    }
}

/// The error for resources that have our names but are not ours (law 3).
pub(super) fn foreign(plan: &Plan) -> CommandError {
    let names = |of_another_stack: bool| {
        let nodes = plan.foreign.iter();
        let wanted = nodes.filter_map(|node| {
            let whose = plan.whose.get(&node.address)?;
            (of_another_stack != whose.may_lose_it())
                .then(|| format!("{} {} ({whose})", node.kind, node.address))
        });
        wanted.collect::<Vec<_>>().join(", ")
    };
    let theirs = names(true);
    if !theirs.is_empty() {
        let message = format!("these belong to another orderctl stack: {theirs}");
        return CommandError::failed(message)
            .hint("choose another suffix; what another stack holds is never taken over");
    }
    CommandError::failed(format!(
        "these exist and do not carry this stack's tags: {}",
        names(false)
    ))
    .hint("choose another suffix, delete them, or take them over with `orderctl up --adopt`")
}

fn check(plan: &Plan, args: &UpArgs) -> Result<(), CommandError> {
    if !plan.foreign.is_empty() {
        return Err(foreign(plan));
    }
    let allowed: BTreeSet<&str> = args.allow_replace.iter().map(String::as_str).collect();
    let losing: Vec<&str> = plan
        .nodes
        .iter()
        .filter(|node| node.loses_data())
        .map(|node| node.address.as_str())
        .filter(|address| !allowed.contains(address))
        .collect();
    if losing.is_empty() {
        return Ok(());
    }
    let flags: Vec<String> = losing
        .iter()
        .map(|name| format!("--allow-replace {name}"))
        .collect();
    Err(CommandError::failed(format!(
        "this plan deletes data: {} would be deleted and made anew, empty",
        losing.join(", ")
    ))
    .hint(format!("if the data may go, add {}", flags.join(" "))))
}

/// Says what a browser would, before anybody relies on the connection.
fn say_about_tls(config: &Config, printer: &Printer) {
    let edge = &config.edge;
    if edge.tls == Tls::Off {
        printer.warn(
            "edge.tls is off: requests, and whatever they carry, cross the internet unencrypted",
        );
    } else if edge.certificate_arn.is_none() && edge.domain.is_none() {
        printer.note(
            "\nThe certificate is self-signed, so clients will not trust it. Set edge.certificate_arn, or edge.domain\n\
             with edge.zone_id, for one that they do.",
        );
    }
}

/// Saves what the run leaves: the outputs, and how it ended.
async fn save_end(
    journal: &Journal,
    declaration: &Declaration,
    report: &Report,
) -> Result<(), CommandError> {
    save_outputs(journal, declaration).await?;
    Ok(journal.end(super::outcome(report)).await?)
}

/// Resolves the declared outputs with what is known now; what is not known is left out.
async fn save_outputs(journal: &Journal, declaration: &Declaration) -> Result<(), CommandError> {
    let resolved = journal.read(|state| {
        let resolved = outputs::resolved(declaration, state);
        (state.outputs != resolved).then_some(resolved)
    });
    if let Some(resolved) = resolved {
        journal
            .write(|state: &mut State| state.outputs = resolved)
            .await?;
    }
    Ok(())
}

fn show_end(journal: &Journal, plan: &Plan, report: &Report, begun: Instant, printer: &Printer) {
    if plan.is_empty() && report.is_complete() {
        printer.note("No changes: the stack is as declared.");
    } else {
        let recorded = journal.read(|state| state.records.len());
        super::show_report(report, recorded, begun.elapsed(), printer);
    }
}

fn finish(
    session: &Session,
    journal: &Journal,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let state = journal.read(Clone::clone);
    let format = if globals.json {
        outputs::Format::Json
    } else {
        outputs::Format::Table
    };
    outputs::print(&state, format, printer);
    say_about_tls(&session.local.settings.config, printer);
    if session.is_parked() {
        printer.note(
            "\nThere is no image to run yet, so the service is parked at 0 tasks and its scaling is suspended.\n\
             Bring one there with `orderctl push IMAGE`, then release it with `orderctl deploy TAG`: that starts the service \
             and its scaling.",
        );
    }
    Ok(DONE)
}
