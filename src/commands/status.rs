//! `orderctl status`: shows what runs at this moment, once or again and again.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::session::{DONE, Local, Session};
use super::{CommandError, interrupt};
use crate::cli::Globals;
use crate::engine::settle;
use crate::stack::{CONTAINER, Names};
use crate::status::{Snapshot, Subject};
use crate::ui::{Printer, status_view};

/// Shows what runs at this moment.
///
/// The service and its tasks, what share of them runs on Spot, the image, the last release, the
/// deployment that is under way, both colours with their share of the requests and the health of
/// their targets, the alarms, the members of the database, and what WAF blocked lately. What
/// is missing or cannot be read says so. Reads alone, needs no state, takes no lock.
///
/// Exit code 1 if nothing of the stack is there, or none of it can be read.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Look again every so many seconds (5 if none are given), until Ctrl-C
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "5",
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    watch: Option<u64>,
}

/// Runs the command.
pub async fn run(
    args: StatusArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    let session = Session::reach(local, globals, printer).await?;
    let subject = subject(&session);
    match args.watch {
        None => once(&session, &subject, printer).await,
        Some(seconds) => watch(&session, &subject, Duration::from_secs(seconds), printer).await,
    }
}

fn subject(session: &Session) -> Subject {
    let names = Names::of(&session.local.suffix);
    Subject {
        stack: session.local.suffix.as_str().to_owned(),
        account: session.account.clone(),
        region: session.local.settings.config.region.clone(),
        cluster: names.cluster(),
        service: names.service(),
        container: CONTAINER.to_owned(),
        repository: names.repository(),
        blue: names.blue(),
        green: names.green(),
        web_acl: names.web_acl(),
        db_cluster: names.db_cluster(),
        alarms: vec![names.high_errors_alarm(), names.db_failures_alarm()],
    }
}

async fn once(
    session: &Session,
    subject: &Subject,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let snapshot = Snapshot::read(&session.aws, subject).await;
    refuse_nothing(&snapshot, session)?;
    print(&snapshot, printer);
    match snapshot.is_unreadable() {
        true => Err(CommandError::Reported(1)),
        false => Ok(DONE),
    }
}

fn refuse_nothing(snapshot: &Snapshot, session: &Session) -> Result<(), CommandError> {
    if !snapshot.is_empty() || session.has_state {
        return Ok(());
    }
    let Snapshot {
        stack,
        account,
        region,
        ..
    } = snapshot;
    let message = format!("there is no stack `{stack}` in account {account}, {region}");
    Err(CommandError::failed(message)
        .hint("`orderctl up` makes it; another --suffix or --region may be meant"))
}

fn print(snapshot: &Snapshot, printer: &Printer) {
    match printer.is_json() {
        true => printer.json_line(&status_view::to_json(snapshot)),
        false => {
            let width = printer.is_stdout_terminal().then(|| printer.width());
            printer.data(status_view::render(snapshot, &printer.style(), width));
        }
    }
}

/// Looks until it is interrupted. On a terminal each look takes the place of the last; elsewhere one
/// that differs is added, and with `--json` each is a line.
async fn watch(
    session: &Session,
    subject: &Subject,
    pause: Duration,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let stop = interrupt::holding();
    let mut live = printer.open_live();
    let mut last: Option<Snapshot> = None;
    while let Ok(snapshot) = stop.cut(Snapshot::read(&session.aws, subject)).await {
        if last.is_none() {
            refuse_nothing(&snapshot, session)?;
        }
        let differs = last.as_ref().is_none_or(|last| snapshot.differs_from(last));
        match &mut live {
            Some(live) => live.show(status_view::render(&snapshot, &printer.style(), None)),
            None if printer.is_json() => print(&snapshot, printer),
            None if differs => {
                if last.is_some() {
                    printer.data("");
                }
                print(&snapshot, printer);
            }
            None => {}
        }
        if printer.is_stdout_closed() {
            return Ok(DONE);
        }
        last = Some(snapshot);
        settle(pause, &stop).await;
    }
    drop(live);
    Err(CommandError::Reported(interrupt::INTERRUPTED))
}
