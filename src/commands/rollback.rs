//! `orderctl rollback`: brings the version before back.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::CommandError;
use super::follow::{Follower, Trial};
use super::hold::Hold;
use super::release::{await_deployment, no_service, nothing_before, restore};
use super::session::{DONE, Local, Session};
use crate::cli::{Globals, duration};
use crate::engine::{Stop, until_taken};
use crate::kinds::ecs::DeploymentStrategy;
use crate::rollout::history::{self, Entry};
use crate::rollout::image;
use crate::rollout::start::{self, Before, Release};
use crate::service::ServiceName;
use crate::service::deployments::{Deployment, Stopping, roll_back, under_way};
use crate::stack::{CONTAINER, Names};
use crate::ui::Printer;

/// Brings the version before back.
///
/// A release that is under way is turned back at once. Otherwise the last revision before this one
/// that went well is released, all at once and without a trial.
#[derive(Args, Debug)]
pub struct RollbackArgs {
    /// How long its tasks may take to become healthy before that is turned back
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    healthy_within: Duration,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Runs the command.
pub async fn run(
    args: RollbackArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    let hold = Hold::take(&local, "rollback", globals, printer).await?;
    let begun = begin(&args, local, &hold, globals, printer).await;
    let stop = hold.stop();
    let begun = hold.release(begun).await?;
    let follower = Follower {
        session: &begun.session,
        printer,
        stop,
        trial: Trial::default(),
        healthy_within: begun.session.delays.scaled(args.healthy_within),
        was_parked: false,
    };
    let ended = follower.to_the_end(&begun.deployment).await?;
    let name = begun.session.local.service_name();
    restore(&begun.session, &name, &follower.stop, printer).await;
    let is_back = match begun.way {
        Way::Stop => ended.deployment.status == "ROLLBACK_SUCCESSFUL",
        Way::Release => ended.deployment.is_successful(),
    };
    if !is_back {
        if begun.way == Way::Stop && ended.deployment.is_successful() {
            return Err(CommandError::failed(
                "the release was past the point of turning back, and has ended well",
            )
            .hint("run `orderctl rollback` again: it releases the version before"));
        }
        return Err(follower.explain(&ended).await);
    }
    printer.note(format!(
        "Rolled back in {}.",
        crate::ui::duration(ended.took)
    ));
    Ok(DONE)
}

/// How the version before comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The release under way is turned back.
    Stop,
    /// The revision before is released.
    Release,
}

struct Begun {
    session: Session,
    deployment: String,
    way: Way,
}

async fn begin(
    args: &RollbackArgs,
    local: Local,
    hold: &Hold,
    globals: &Globals,
    printer: &Printer,
) -> Result<Begun, CommandError> {
    let session = Session::reach(local, globals, printer);
    let session = hold.unless_stopped(session).await?;
    let name = session.local.service_name();
    let before = start::before(&session.aws, &name);
    let Some(before) = hold.unless_stopped(before).await? else {
        return Err(no_service(&name));
    };
    let found = under_way(&session.aws, &name);
    if let Some(under_way) = hold.unless_stopped(found).await? {
        let stopped = turn_back(args, &session, under_way, hold, printer).await?;
        return Ok(Begun {
            session,
            deployment: stopped,
            way: Way::Stop,
        });
    }
    let entries = history::entries(&session.aws, &name, CONTAINER, 50);
    let entries = hold.unless_stopped(entries).await?;
    let previous = history::previous(&entries, &before.revision);
    let Some(previous) = previous.filter(|_| before.desired > 0) else {
        return Err(
            CommandError::failed("there is no earlier version to go back to")
                .hint("`orderctl deploy --list` shows what was released; ECS remembers 90 days"),
        );
    };
    let former = entries.first().map(|newest| newest.deployment.arn.clone());
    release(args, &session, &name, &before, previous, hold, printer).await?;
    let found = await_deployment(&session, &name, former.as_deref()).await?;
    Ok(Begun {
        session,
        deployment: found.arn,
        way: Way::Release,
    })
}

/// Turns the release that is under way back.
async fn turn_back(
    args: &RollbackArgs,
    session: &Session,
    under_way: Deployment,
    hold: &Hold,
    printer: &Printer,
) -> Result<String, CommandError> {
    let stage = under_way.stage.as_deref().unwrap_or(&under_way.status);
    if under_way.is_rolling_back() {
        printer.note(format!(
            "deployment {} is being turned back already",
            under_way.id()
        ));
        return Ok(under_way.arn);
    }
    let text = format!(
        "Deployment {} is at {stage}; the version before gets all traffic",
        under_way.id()
    );
    ask(&text, "Turn it back?", args, hold, printer).await?;
    let _stop = hold.changing();
    let turn_back = async || roll_back(&session.aws, &under_way.arn).await;
    if hold.until_taken(turn_back).await? == Stopping::TooLate {
        printer.warn("it is past the point of turning back; waiting for its end");
    } else if nothing_before(&under_way) {
        printer.note("there is no version before it: parking the service");
        let name = session.local.service_name();
        let park = async || start::park(&session.aws, &name).await;
        // Half of it is done: no first signal stops this.
        let parked = until_taken(&Stop::never(), park).await;
        parked.unwrap_or(Ok(()))?;
    }
    Ok(under_way.arn)
}

/// Releases the revision before.
async fn release(
    args: &RollbackArgs,
    session: &Session,
    name: &ServiceName,
    before: &Before,
    previous: &Entry,
    hold: &Hold,
    printer: &Printer,
) -> Result<(), CommandError> {
    let aws = &session.aws;
    let what = previous.named.as_deref().unwrap_or(&previous.image);
    if let Some(digest) = &previous.digest {
        let repository = Names::of(&session.local.suffix).repository();
        let is_there = image::is_there(aws, &repository, digest);
        if !hold.unless_stopped(is_there).await? {
            return Err(CommandError::failed(format!(
                "revision {} ran {what} ({digest}), which is not in the repository any more",
                previous.number()
            ))
            .hint("push it again with `orderctl push`, or deploy another image"));
        }
    }
    let text = format!(
        "Back to revision {}: {what}{}, all at once",
        previous.number(),
        previous
            .digest
            .as_deref()
            .map(|digest| format!(" ({digest})"))
            .unwrap_or_default()
    );
    ask(&text, "Release it?", args, hold, printer).await?;
    let _stop = hold.changing();
    let release = Release {
        revision: previous.revision.clone(),
        strategy: DeploymentStrategy::BlueGreen,
        bake_minutes: 0,
        pause: None,
        tasks: None,
    };
    let start = async || start::start(aws, name, before, &release).await;
    hold.until_taken(start).await
}

async fn ask(
    text: &str,
    question: &str,
    args: &RollbackArgs,
    hold: &Hold,
    printer: &Printer,
) -> Result<(), CommandError> {
    super::show_before_asking(text, args.yes, printer);
    if args.yes {
        return Ok(());
    }
    match hold
        .unless_stopped(super::confirm(printer, question))
        .await?
    {
        true => Ok(()),
        false => Err(CommandError::failed("not confirmed; nothing was changed")),
    }
}
