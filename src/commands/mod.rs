//! One file per verb: its arguments and its run.

pub mod down;
mod error;
mod hold;
pub mod init;
mod interrupt;
pub mod outputs;
pub mod plan;
pub mod sandbox;
mod session;
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
                .hint("look at the plan, then add --yes"),
        );
    }
    let (printer, question) = (printer.clone(), question.to_owned());
    let answer = tokio::task::spawn_blocking(move || printer.confirm(&question)).await;
    answer.map_err(|error| CommandError::failed(format!("no answer could be read: {error}")))
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
