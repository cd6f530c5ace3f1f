//! Follows a run: turns the engine's events into a live display, a plain log, or JSON lines. The
//! engine never waits for it: the channel has no limit, and writing happens on other threads.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::board::{Board, Weight};
use super::printer::Printer;
use super::style::Style;
use super::{json, text};
use crate::engine::{Event, Events};

/// A run shorter than this draws no rows.
const QUIET_AT_FIRST: Duration = Duration::from_millis(250);
/// The pace of the rows; with [`super::printer`]'s own draws, fewer than 20 a second.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// The pace at which a log looks for what to say again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Draws a run until it is told to finish. Dropped without, it takes its rows off the terminal.
pub struct Follower {
    printer: Printer,
    finish: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Follower {
    /// One whose `task` ends after it is told by `finish`.
    pub(super) fn of(printer: &Printer, finish: oneshot::Sender<()>, task: JoinHandle<()>) -> Self {
        Self {
            printer: printer.clone(),
            finish: Some(finish),
            task: Some(task),
        }
    }

    /// Draws what is left, takes the rows away, and ends.
    pub async fn finish(mut self) {
        if let Some(finish) = self.finish.take() {
            // If the task is gone already, there is nobody to tell.
            let _gone = finish.send(());
        }
        if let Some(task) = self.task.take() {
            // It fails to join only if the runtime shuts down.
            let _ended = task.await;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.printer.close_screen();
    }
}

/// Starts to follow a run of `total` nodes that need something done; `None` if that is not known.
/// Must be called inside a Tokio runtime. Pass the [`Events`] to the engine.
///
/// On a terminal: lines for what is over, scrolling away above rows for what is going on. In a pipe
/// or in CI: one line for each of it, and one every half minute for what takes long. Quiet: nothing
/// but failures. With `--json`: see [`json::event`].
pub fn follow(printer: &Printer, total: Option<usize>) -> (Events, Follower) {
    let (sender, receiver) = unbounded_channel();
    let (finish, finished) = oneshot::channel();
    let mode = match () {
        () if printer.is_json() => Mode::Json,
        () if printer.is_quiet() => Mode::Quiet,
        () if printer.open_screen() => Mode::Terminal,
        () => Mode::Log,
    };
    let display = Display {
        printer: printer.clone(),
        style: printer.note_style(),
        mode,
        begun: Instant::now(),
        board: Board::new(total, Instant::now()),
        lines: Vec::new(),
    };
    let task = tokio::spawn(display.run(receiver, finished));
    (Events::to(sender), Follower::of(printer, finish, task))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Terminal,
    Log,
    Quiet,
    Json,
}

struct Display {
    printer: Printer,
    style: Style,
    mode: Mode,
    begun: Instant,
    board: Board,
    /// What is to be written next.
    lines: Vec<String>,
}

impl Display {
    async fn run(
        mut self,
        mut events: UnboundedReceiver<Event>,
        mut finished: oneshot::Receiver<()>,
    ) {
        let pace = if self.mode == Mode::Terminal {
            DRAW_EVERY
        } else {
            LOOK_EVERY
        };
        let mut ticks = interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_open = true;
        loop {
            let mut is_tick = false;
            let mut is_last = false;
            tokio::select! {
                event = events.recv(), if is_open => match event {
                    Some(event) => self.take(event),
                    None => is_open = false,
                },
                _ = ticks.tick() => is_tick = true,
                // Told to finish, or dropped.
                _ = &mut finished => is_last = true,
            }
            while let Ok(event) = events.try_recv() {
                self.take(event);
            }
            if self.mode == Mode::Terminal {
                if is_tick && !is_last && self.begun.elapsed() >= QUIET_AT_FIRST {
                    let rows = self.board.rows(Instant::now(), self.style);
                    self.write(rows).await;
                }
            } else {
                if is_tick && self.mode == Mode::Log {
                    let reminders = self.board.reminders(Instant::now());
                    self.lines
                        .extend(reminders.into_iter().map(|line| line.text));
                }
                self.write(Vec::new()).await;
            }
            if is_last {
                break;
            }
        }
        self.write(Vec::new()).await;
        self.printer.close_screen();
    }

    fn take(&mut self, event: Event) {
        if self.mode == Mode::Json {
            let kind = self.kind(&event);
            let line = json::event(&event, kind.as_deref(), Timestamp::now());
            self.lines.extend(line.map(|line| line.to_string()));
        }
        let Some(line) = self.board.take(event, Instant::now(), self.style) else {
            return;
        };
        let is_said = match self.mode {
            Mode::Terminal => line.weight != Weight::Detail,
            Mode::Log => true,
            Mode::Quiet => line.weight == Weight::Failure,
            Mode::Json => false,
        };
        if is_said {
            self.lines.push(line.text);
        }
    }

    fn kind(&self, event: &Event) -> Option<String> {
        match event {
            Event::Started { kind, .. } => Some(text::clean(kind)),
            Event::Created { address }
            | Event::Waiting { address, .. }
            | Event::Done { address, .. }
            | Event::Failed { address, .. }
            | Event::Skipped { address, .. } => self.board.kind_of(address).map(str::to_owned),
            Event::Observed { .. } | Event::Settling { .. } => None,
        }
    }

    /// Writes on another thread: a terminal that was told to hold its output, or a pipe that nobody
    /// reads, must not hold the engine.
    async fn write(&mut self, rows: Vec<String>) {
        let lines = std::mem::take(&mut self.lines);
        if lines.is_empty() && rows.is_empty() && self.mode != Mode::Terminal {
            return;
        }
        let (printer, mode) = (self.printer.clone(), self.mode);
        let written = spawn_blocking(move || match mode {
            Mode::Terminal => printer.show(&lines, &rows),
            Mode::Json => lines.iter().for_each(|line| printer.data(line)),
            Mode::Log | Mode::Quiet => lines.iter().for_each(|line| printer.to_stderr(line)),
        });
        // It fails to join only if the runtime shuts down.
        let _ended = written.await;
    }
}

#[cfg(test)]
mod tests;
