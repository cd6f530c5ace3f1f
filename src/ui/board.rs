//! What is known of a run while it goes on, and the words for it: lines for what is over, rows for
//! what is going on (law 9). Knows neither terminal nor clock.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::style::Style;
use super::text::{about, clean, took, words};
use crate::engine::{Event, Phase};
use crate::resource::Address;

/// How many running steps are shown one by one.
const ROWS: usize = 12;
/// From which typical duration on the start of a step is worth a line.
const WORTH_A_LINE: Duration = Duration::from_secs(10);
/// How often a plain log says what a step waits for.
const REMIND_EVERY: Duration = Duration::from_secs(30);
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const BAR_WIDTH: usize = 24;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It is said even if quiet is asked for.
    Failure,
    /// It is worth keeping.
    News,
    /// Rows show it better; for logs.
    Detail,
}

/// Something to say once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) weight: Weight,
    pub(super) text: String,
}

struct Running {
    address: Address,
    kind: String,
    phase: Phase,
    typical: Duration,
    since: Instant,
    /// What it waits for, in AWS's words.
    reason: Option<String>,
    reminded: Instant,
}

/// The state of a run.
pub(super) struct Board {
    begun: Instant,
    total: Option<usize>,
    /// In the order they began.
    running: Vec<Running>,
    finished: BTreeSet<Address>,
    reading: Option<(usize, usize)>,
    settling: Option<(String, Duration, Instant)>,
}

impl Board {
    pub(super) fn new(total: Option<usize>, now: Instant) -> Self {
        Self {
            begun: now,
            total,
            running: Vec::new(),
            finished: BTreeSet::new(),
            reading: None,
            settling: None,
        }
    }

    /// The kind of a step that is going on.
    pub(super) fn kind_of(&self, address: &Address) -> Option<&str> {
        let running = self.running.iter().find(|step| step.address == *address);
        running.map(|step| step.kind.as_str())
    }

    /// Takes in what happened; returns what to say about it.
    pub(super) fn take(&mut self, event: Event, now: Instant, style: Style) -> Option<Line> {
        if !matches!(event, Event::Observed { .. }) {
            self.reading = None;
        }
        match event {
            Event::Observed { done, total } => {
                self.reading = Some((done, total));
                None
            }
            Event::Started {
                address,
                kind,
                phase,
                typical,
            } => {
                // The second step of a replacement makes the node unfinished again.
                self.finished.remove(&address);
                self.running.retain(|step| step.address != address);
                let usually = about(typical);
                let text = format!("{} {kind} {address}, usually {usually}", words(phase).doing);
                let (reason, since, reminded) = (None, now, now);
                self.running.push(Running {
                    address,
                    kind,
                    phase,
                    typical,
                    since,
                    reason,
                    reminded,
                });
                (typical > WORTH_A_LINE).then_some(Line {
                    weight: Weight::Detail,
                    text,
                })
            }
            Event::Created { address } => {
                self.set_reason(&address, "it exists, and does not work yet".to_owned());
                None
            }
            Event::Waiting { address, reason } => {
                self.set_reason(&address, clean(&reason));
                None
            }
            Event::Done {
                address,
                phase,
                took: duration,
            } => {
                let name = self.end(address);
                let done = style.green(words(phase).done);
                let text = format!(
                    "{done} {name} {}",
                    style.dim(format!("({})", took(duration)))
                );
                Some(Line {
                    weight: Weight::News,
                    text,
                })
            }
            Event::Failed { address, error } => {
                let doing = self.running.iter().find(|step| step.address == address);
                let doing = doing.map(|step| format!(" to {}", words(step.phase).base));
                let name = self.end(address);
                let failed = style.red(format!("failed{}", doing.unwrap_or_default()));
                let text = format!("{failed} {name}: {}", clean(&error));
                Some(Line {
                    weight: Weight::Failure,
                    text,
                })
            }
            Event::Skipped { address, needs } => {
                let name = self.end(address);
                // Of a stopped run the report names all that is left, on one line.
                let line = Address::new(needs.as_str()).is_ok().then(|| {
                    format!(
                        "{} {name} (needs {})",
                        style.yellow("skipped"),
                        clean(&needs)
                    )
                });
                line.map(|text| Line {
                    weight: Weight::News,
                    text,
                })
            }
            Event::Settling { reason, during } => {
                let reason = clean(&reason);
                let text = format!("waiting {} for {reason}", about(during));
                self.settling = Some((reason, during, now));
                Some(Line {
                    weight: Weight::Detail,
                    text,
                })
            }
        }
    }

    fn set_reason(&mut self, address: &Address, reason: String) {
        if let Some(step) = self
            .running
            .iter_mut()
            .find(|step| step.address == *address)
        {
            step.reason = Some(reason);
        }
    }

    /// Ends a step and names it: by kind, too, if it had begun.
    fn end(&mut self, address: Address) -> String {
        let at = self.running.iter().position(|step| step.address == address);
        let kind = at
            .map(|at| self.running.remove(at).kind + " ")
            .unwrap_or_default();
        let name = format!("{kind}{address}");
        self.finished.insert(address);
        name
    }

    /// What a log should say again, because the last word about it is half a minute old.
    pub(super) fn reminders(&mut self, now: Instant) -> Vec<Line> {
        let is_due = |step: &&mut Running| now.duration_since(step.reminded) >= REMIND_EVERY;
        let due = self.running.iter_mut().filter(is_due);
        due.map(|step| {
            step.reminded = now;
            // What it waits for, since when, and how long that usually takes.
            let (so_far, usually) = (about(step.so_far(now)), about(step.typical));
            let (name, reason) = (format!("{} {}", step.kind, step.address), step.reason());
            let text = format!("waiting for {name}: {reason}, {so_far} so far, usually {usually}");
            Line {
                weight: Weight::Detail,
                text,
            }
        })
        .collect()
    }

    /// What is going on, in a row each, the longest running first.
    pub(super) fn rows(&self, now: Instant, style: Style) -> Vec<String> {
        let tenths = now.duration_since(self.begun).as_millis() / 100;
        let spinner = style.cyan(SPINNER[usize::try_from(tenths).unwrap_or_default() % 10]);
        if let Some((done, total)) = self.reading {
            return vec![format!("{spinner} reading the cloud {done}/{total}")];
        }
        let mut rows: Vec<String> = self
            .running
            .iter()
            .take(ROWS)
            .map(|step| {
                let doing = words(step.phase).doing;
                let name = format!("{} {}", step.kind, style.bold(&step.address));
                // The times come first: a narrow terminal cuts off the end.
                let (so_far, usually) = (about(step.so_far(now)), about(step.typical));
                let times = style.dim(format!("({so_far}, usually {usually})"));
                format!("{spinner} {doing} {name} {times}: {}", step.reason())
            })
            .collect();
        if self.running.len() > ROWS {
            rows.push(style.dim(format!("  … and {} more", self.running.len() - ROWS)));
        }
        if let Some((reason, during, since)) = &self.settling {
            let so_far = about(now.duration_since(*since));
            rows.push(format!(
                "{spinner} waiting {} for {reason}: {so_far} so far",
                about(*during)
            ));
        }
        rows.extend(self.total_row(now, style));
        rows
    }

    fn total_row(&self, now: Instant, style: Style) -> Option<String> {
        let (done, running) = (self.finished.len(), self.running.len());
        let elapsed = about(now.duration_since(self.begun));
        match self.total {
            Some(total) if total > 0 => {
                let full = BAR_WIDTH * done.min(total) / total;
                let bar = style.green("━".repeat(full)) + &style.dim("─".repeat(BAR_WIDTH - full));
                Some(format!(
                    "{bar} {done}/{total} done, {running} running, {elapsed}"
                ))
            }
            _ if done + running == 0 => None,
            _ => Some(format!("{done} done, {running} running, {elapsed}")),
        }
    }
}

impl Running {
    fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or("no answer yet")
    }

    fn so_far(&self, now: Instant) -> Duration {
        now.duration_since(self.since)
    }
}
