//! One file per verb: its arguments and its run.

pub mod deploy;
pub mod doctor;
pub mod down;
mod error;
mod follow;
mod hold;
pub mod import;
pub mod init;
pub(crate) mod interrupt;
pub mod logs;
pub mod outputs;
pub mod plan;
pub mod policy;
pub mod push;
mod recover;
mod release;
pub mod rollback;
pub mod sandbox;
mod session;
pub mod stacks;
pub mod state;
pub mod status;
mod traffic;
pub mod up;

pub use error::CommandError;

use std::time::Duration;

use crate::engine::Report;
use crate::state::RunOutcome;
use crate::ui::{Printer, report_view};

/// Shows what a question is about; with --quiet too, unless it is answered already.
fn show_before_asking(text: &str, yes: bool, printer: &Printer) {
    if yes {
        printer.note(text);
    } else {
        printer.block(text);
    }
}

/// Asks before something is changed; where nobody can answer, refuses and says how to go on.
async fn confirm(printer: &Printer, question: &str) -> Result<bool, CommandError> {
    if !printer.is_interactive() {
        return Err(
            CommandError::usage("nobody is there to confirm; nothing was changed")
                .hint("look at what it would do, then add --yes"),
        );
    }
    let mut open = OpenQuestion(Some(printer));
    let (printer, question) = (printer.clone(), question.to_owned());
    let answer = tokio::task::spawn_blocking(move || printer.confirm(&question)).await;
    open.0 = None;
    answer.map_err(|error| CommandError::failed(format!("no answer could be read: {error}")))
}

/// Ends the line of a question that is dropped unanswered.
struct OpenQuestion<'a>(Option<&'a Printer>);

impl Drop for OpenQuestion<'_> {
    fn drop(&mut self) {
        if let Some(printer) = self.0 {
            printer.block("");
        }
    }
}

/// What is left to say of a run that is not done, once its report is shown.
fn not_done(report: &Report) -> Result<(), CommandError> {
    match report {
        Report {
            unsaved: Some(_), ..
        } => Err(CommandError::Reported(1)),
        Report { stopped: true, .. } => Err(CommandError::Reported(interrupt::INTERRUPTED)),
        report if report.is_complete() => Ok(()),
        _ => Err(CommandError::Reported(1)),
    }
}

/// How a run ended, for the state.
fn outcome(report: &Report) -> RunOutcome {
    if report.stopped {
        RunOutcome::Interrupted
    } else if report.is_complete() {
        RunOutcome::Done
    } else {
        RunOutcome::Failed
    }
}

/// Shows how a run ended.
fn show_report(report: &Report, recorded: usize, took: Duration, printer: &Printer) {
    if printer.is_json() {
        printer.json_line(&report_view::to_json(report, recorded, took));
    } else {
        printer.note(report_view::render(
            report,
            &printer.note_style(),
            recorded,
            took,
        ));
    }
}
