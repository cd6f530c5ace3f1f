//! `orderctl plan`: shows what `up` would do.

use std::process::ExitCode;

use clap::Args;

use super::session::{DONE, Local, Session};
use super::{CommandError, recover};
use crate::cli::Globals;
use crate::engine::{self, Context, PlanOptions};
use crate::ui::{Printer, plan_view, progress};

/// Shows what `up` would do; writes nothing.
///
/// It reads the cloud and takes not even a lock, so it can run at any time, also during an `up`.
#[derive(Args, Debug)]
pub struct PlanArgs {
    /// Exit with 4 if there is anything to do
    #[arg(long)]
    detailed_exitcode: bool,
    /// Also show what stays as it is
    #[arg(long)]
    show_unchanged: bool,
    /// Plan to take over resources that have the stack's names but not its tags
    #[arg(long)]
    adopt: bool,
}

/// Runs the command.
pub async fn run(
    args: PlanArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    let mut session = Session::open(local, globals, printer).await?;
    let (found, reads) = recover::if_lost(&mut session, printer).await?;
    if found > 0 {
        let missing = recover::missing(&session, found);
        printer.warn(format!(
            "{missing}; this is the plan once it is rebuilt from them (`orderctl state rebuild`, or `up`)"
        ));
    }
    let declaration = session.declaration()?;
    let (events, follower) = progress::follow(printer, Some(declaration.nodes.len()));
    let context = match reads {
        Some(context) => Context { events, ..context },
        None => session.context(true, events),
    };
    let options = PlanOptions { adopt: args.adopt };
    let plan = engine::plan(&context, &declaration, &session.state, options).await;
    drop(context);
    follower.finish().await;
    let plan = plan?;
    recover::say_if_older(&plan, printer);
    if globals.json {
        printer.json_line(&plan_view::to_json(&plan));
    } else {
        printer.data(plan_view::render(
            &plan,
            &printer.style(),
            args.show_unchanged,
        ));
    }
    tracing::info!(
        reads = session.aws.calls().reads(),
        writes = session.aws.calls().writes(),
        "calls"
    );
    if !plan.foreign.is_empty() {
        return Err(super::up::foreign(&plan));
    }
    if args.detailed_exitcode && !plan.is_empty() {
        return Ok(ExitCode::from(4));
    }
    Ok(DONE)
}
