//! Follows a push: rows with what is on its way, and a line for what has arrived.

use std::collections::BTreeMap;

use indicatif::DecimalBytes;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Duration, MissedTickBehavior, interval};

use super::printer::Printer;
use super::progress::Follower;
use super::style::Style;
use super::text::{clean, took};
use crate::image::{Image, Progress, Pushed};

const DRAW_EVERY: Duration = Duration::from_millis(100);
/// How often a log says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// A size as a person reads it: `12.30 MB`.
pub fn size(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}

/// The first digits of a digest, enough to tell the parts of an image apart.
pub fn short(digest: &str) -> String {
    digest
        .trim_start_matches("sha256:")
        .chars()
        .take(12)
        .collect()
}

/// Starts to follow the push of `image`. Must be called inside a Tokio runtime.
///
/// On a terminal: a row for each part on its way. In a pipe or in CI: a line for each part that has
/// arrived, and one every half minute. Quiet, and with `--json`: nothing.
pub fn follow(printer: &Printer, image: &Image) -> (UnboundedSender<Progress>, Follower) {
    let (sender, receiver) = unbounded_channel();
    let (finish, finished) = oneshot::channel();
    let is_silent = printer.is_json() || printer.is_quiet();
    let display = Display {
        printer: printer.clone(),
        is_silent,
        has_rows: !is_silent && printer.open_screen(),
        board: Board {
            style: printer.note_style(),
            total: image.size(),
            arrived: 0,
            moving: BTreeMap::new(),
        },
        lines: Vec::new(),
    };
    let task = tokio::spawn(display.run(receiver, finished));
    (sender, Follower::of(printer, finish, task))
}

struct Display {
    printer: Printer,
    is_silent: bool,
    has_rows: bool,
    board: Board,
    lines: Vec<String>,
}

impl Display {
    async fn run(
        mut self,
        mut events: UnboundedReceiver<Progress>,
        mut finished: oneshot::Receiver<()>,
    ) {
        let mut ticks = interval(if self.has_rows { DRAW_EVERY } else { SAY_EVERY });
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        let (mut is_open, mut is_last) = (true, false);
        while !is_last {
            let mut is_tick = false;
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
            let mut rows = Vec::new();
            if is_tick && self.has_rows {
                rows = self.board.rows();
            } else if is_tick && !self.board.moving.is_empty() {
                self.lines.push(self.board.summary());
            }
            // Lines between two draws would take the rows away for a moment.
            if !self.has_rows || is_tick || is_last {
                self.write(rows).await;
            }
        }
        self.printer.close_screen();
    }

    fn take(&mut self, event: Progress) {
        self.lines.extend(self.board.take(event));
    }

    /// Writes on another thread: whoever reads may be slow.
    async fn write(&mut self, rows: Vec<String>) {
        let lines = std::mem::take(&mut self.lines);
        if self.is_silent || (lines.is_empty() && !self.has_rows) {
            return;
        }
        let (printer, has_rows) = (self.printer.clone(), self.has_rows);
        let written = spawn_blocking(move || match has_rows {
            true => printer.show(&lines, &rows),
            false => lines.iter().for_each(|line| printer.note(line)),
        });
        // It fails to join only if the runtime shuts down.
        let _ended = written.await;
    }
}

/// What is on its way.
struct Board {
    style: Style,
    total: u64,
    /// Bytes that are there, of parts that are done.
    arrived: u64,
    /// By digest: what has left, and what there is.
    moving: BTreeMap<String, (u64, u64)>,
}

impl Board {
    /// Takes an event, and gives the line it is worth.
    fn take(&mut self, event: Progress) -> Option<String> {
        match event {
            Progress::Present {
                digest,
                size: bytes,
            } => {
                self.arrived += bytes;
                Some(format!("  present   {}  {}", short(&digest), size(bytes)))
            }
            Progress::Sending { digest, size } => {
                self.moving.insert(digest, (0, size));
                None
            }
            Progress::Sent { digest, bytes } => {
                if let Some((sent, _)) = self.moving.get_mut(&digest) {
                    *sent += bytes;
                }
                None
            }
            Progress::Uploaded {
                digest,
                size: bytes,
                took: time,
            } => {
                self.moving.remove(&digest);
                self.arrived += bytes;
                let word = self.style.green("uploaded");
                Some(format!(
                    "  {word}  {}  {} in {}",
                    short(&digest),
                    size(bytes),
                    took(time)
                ))
            }
            Progress::Again { digest, reason } => {
                self.moving.remove(&digest);
                let what = if digest.is_empty() {
                    "once more".to_owned()
                } else {
                    format!("{} once more", short(&digest))
                };
                Some(format!("  {}: {}", self.style.yellow(what), clean(&reason)))
            }
        }
    }

    fn summary(&self) -> String {
        let moving: u64 = self.moving.values().map(|(sent, _)| sent).sum();
        let done = self.arrived + moving;
        let percent = (done * 100).checked_div(self.total).unwrap_or(100);
        format!("  {} of {} ({percent}%)", size(done), size(self.total))
    }

    fn rows(&self) -> Vec<String> {
        if self.moving.is_empty() {
            return Vec::new();
        }
        let parts = self.moving.iter().map(|(digest, (sent, all))| {
            format!(
                "  sending   {}  {} of {}",
                short(digest),
                size(*sent),
                size(*all)
            )
        });
        parts.chain([self.summary()]).collect()
    }
}

/// A push that is done, for programs:
///
/// - `type` is `push`; `version` as in [`super::json::VERSION`];
/// - `repository`, `tag`, `digest`: what was pushed; `image` is repository address and digest, as a task
///   definition has it;
/// - `size`: bytes of the image in the registry; `uploadedBytes` of it were sent;
/// - `layers`: how many parts (configuration and layers) were `uploaded` and `skipped`.
pub fn to_json(
    image: &Image,
    pushed: &Pushed,
    (repository, tag): (&str, &str),
    address: &str,
) -> Value {
    json!({
        "type": "push",
        "version": super::json::VERSION,
        "repository": repository,
        "tag": tag,
        "digest": image.digest,
        "image": format!("{address}@{}", image.digest),
        "size": image.size(),
        "uploadedBytes": pushed.uploaded_bytes,
        "layers": { "uploaded": pushed.uploaded, "skipped": pushed.skipped },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_counts_what_left_and_forgets_what_broke_off() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let mut board = Board {
            style: Style::PLAIN,
            total: 4_000_000,
            arrived: 0,
            moving: BTreeMap::new(),
        };
        let sending = Progress::Sending {
            digest: digest.clone(),
            size: 3_000_000,
        };
        let sent = |bytes| Progress::Sent {
            digest: digest.clone(),
            bytes,
        };
        let present = board.take(Progress::Present {
            digest: format!("sha256:{}", "0".repeat(64)),
            size: 1_000_000,
        });
        assert_eq!(present.unwrap(), "  present   000000000000  1.00 MB");
        assert_eq!(board.take(sending.clone()), None);
        assert_eq!(board.take(sent(2_000_000)), None);
        let rows = [
            "  sending   abababababab  2.00 MB of 3.00 MB",
            "  3.00 MB of 4.00 MB (75%)",
        ];
        assert_eq!(board.rows(), rows);
        let again = board.take(Progress::Again {
            digest: digest.clone(),
            reason: "slow\ndown".into(),
        });
        assert_eq!(again.unwrap(), "  abababababab once more: slow down");
        assert_eq!(board.summary(), "  1.00 MB of 4.00 MB (25%)");
        board.take(sending);
        board.take(sent(3_000_000));
        let done = board.take(Progress::Uploaded {
            digest,
            size: 3_000_000,
            took: Duration::from_millis(1500),
        });
        assert_eq!(done.unwrap(), "  uploaded  abababababab  3.00 MB in 1.5 s");
        assert_eq!(
            (board.rows().len(), board.summary().as_str()),
            (0, "  4.00 MB of 4.00 MB (100%)")
        );
    }
}
