//! What commands do when the state of a stack is missing and the stack exists: they make the state
//! again from the cloud, and say so (law 1).

use super::CommandError;
use super::session::Session;
use crate::engine::{self, Context, Event, Events, Plan, Rebuilt, Stop};
use crate::ui::{Printer, progress};

/// A stack as it was found without a state.
pub(super) struct Recovered {
    /// What was found.
    pub(super) rebuilt: Rebuilt,
    /// The reads it was found with; good for one plan of this moment.
    pub(super) context: Context,
}

/// When to look a second time, after all that was made moments ago must show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// If anything is missing.
    IfIncomplete,
    /// If anything is missing, and anything of ours was found: what does not exist at all is a new
    /// stack.
    IfHalfThere,
}

/// Finds the stack without its state.
pub(super) async fn look(
    session: &mut Session,
    patience: Patience,
    printer: &Printer,
) -> Result<Recovered, CommandError> {
    let first = look_once(session, printer).await?;
    let rebuilt = &first.rebuilt;
    let lag = session.delays.reads;
    let may_wait = patience == Patience::IfIncomplete || rebuilt.shows_a_stack();
    if lag.is_zero() || !may_wait || !rebuilt.may_have_missed() {
        return Ok(first);
    }
    let (events, follower) = progress::follow(printer, None);
    events.send(Event::Settling {
        reason: "what was made moments ago and does not show yet".to_owned(),
        during: lag,
    });
    engine::settle(lag, &Stop::never()).await;
    drop(events);
    follower.finish().await;
    session.look_for_zones().await?;
    look_once(session, printer).await
}

async fn look_once(session: &Session, printer: &Printer) -> Result<Recovered, CommandError> {
    let declaration = session.declaration()?;
    let (events, follower) = progress::follow(printer, Some(declaration.nodes.len()));
    let mut context = session.context(true, events);
    let rebuilt = engine::rebuild(&context, &declaration, &engine::Claims::new()).await;
    context.events = Events::nowhere();
    follower.finish().await;
    Ok(Recovered {
        rebuilt: rebuilt?,
        context,
    })
}

/// Gives the session the state that was found, as far as there is anything.
pub(super) fn enter(session: &mut Session, rebuilt: &Rebuilt) -> Result<(), CommandError> {
    session.keep(&rebuilt.kept);
    session.state.records.clone_from(&rebuilt.records);
    let declaration = session.declaration()?;
    session.state.outputs = super::outputs::resolved(&declaration, &session.state);
    let mut state = session.state.clone();
    session.enter_facts(&mut state);
    session.state = state;
    Ok(())
}

/// Makes the state again in memory if it is missing and something of the stack exists. Gives how
/// many resources were found, and the reads for a plan.
pub(super) async fn if_lost(
    session: &mut Session,
    printer: &Printer,
) -> Result<(usize, Option<Context>), CommandError> {
    if session.has_state {
        return Ok((0, None));
    }
    let recovered = look(session, Patience::IfHalfThere, printer).await?;
    if !recovered.rebuilt.shows_a_stack() {
        return Ok((0, Some(recovered.context)));
    }
    enter(session, &recovered.rebuilt)?;
    let found = recovered.rebuilt.found.len();
    Ok((found, Some(recovered.context)))
}

/// Says that the state is missing and what exists.
pub(super) fn missing(session: &Session, found: usize) -> String {
    let exist = match found {
        1 => "1 of its resources exists".to_owned(),
        _ => format!("{found} of its resources exist"),
    };
    format!(
        "the state of stack `{}` is missing, but {exist}",
        session.local.suffix
    )
}

/// Says that the state is older than what is in AWS, if it is.
pub(super) fn say_if_older(plan: &Plan, printer: &Printer) {
    let text = match plan.successors.len() {
        0 => return,
        1 => "1 resource has".to_owned(),
        count => format!("{count} resources have"),
    };
    printer.warn(format!(
        "the state is older than what is in AWS: {text} taken the place of what it records"
    ));
}

/// What somebody should know who has the state elsewhere.
pub(super) const ELSEWHERE: &str = "if the state is kept elsewhere, say no and give --state; two states of one stack work against each other";
