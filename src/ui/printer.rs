//! The only way to the terminal: data to stdout, everything else to stderr, each coloured only
//! where that is seen, and neither ever a reason to panic or to stop a run.

use std::env;
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::ProgressDrawTarget;
use serde_json::{Value, json};

use super::screen::Screen;
use super::style::{Style, without_colours};

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On terminals, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What the user asked of the output.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrinterOptions {
    /// Writes for programs: one JSON object per line on either stream.
    pub json: bool,
    /// Leaves out everything but data, warnings and errors.
    pub quiet: bool,
    /// When to colour.
    pub color: ColorChoice,
    /// Never asks.
    pub no_input: bool,
}

/// Writes to stdout and stderr. Clones share everything.
///
/// A reader that closes the pipe early (`| head`) is no error: the rest is dropped quietly.
#[derive(Clone)]
pub struct Printer(Arc<Inner>);

struct Inner {
    options: PrinterOptions,
    surroundings: Surroundings,
    outlets: Mutex<Outlets>,
    screen_target: Box<dyn Fn() -> ProgressDrawTarget + Send + Sync>,
}

/// What the process was started in.
#[derive(Clone, Copy, Debug, Default)]
struct Surroundings {
    stdin_is_terminal: bool,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    in_ci: bool,
    no_color: bool,
    dumb: bool,
    columns: Option<usize>,
}

impl Surroundings {
    fn look() -> Self {
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            stdin_is_terminal: io::stdin().is_terminal(),
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            in_ci: text("CI").is_some_and(|ci| ci != "false" && ci != "0"),
            no_color: text("NO_COLOR").is_some(),
            dumb: text("TERM").is_some_and(|term| term == "dumb"),
            columns: text("COLUMNS").and_then(|columns| columns.parse().ok()),
        }
    }
}

struct Outlets {
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
    /// Why stdout takes nothing any more.
    stdout_end: Option<io::ErrorKind>,
    screen: Option<Screen>,
}

/// How often the rows of a terminal are drawn unasked, per second. Each round of the progress
/// display draws once more, so that the sum stays below 20.
const UNASKED_DRAWS: u8 = 5;

impl Printer {
    /// Makes the printer of the process.
    pub fn new(options: PrinterOptions) -> Self {
        let outlets = Outlets {
            stdout: Box::new(io::stdout()),
            stderr: Box::new(io::stderr()),
            stdout_end: None,
            screen: None,
        };
        Self(Arc::new(Inner {
            options,
            surroundings: Surroundings::look(),
            outlets: Mutex::new(outlets),
            screen_target: Box::new(|| ProgressDrawTarget::stderr_with_hz(UNASKED_DRAWS)),
        }))
    }

    /// Writes a line of data to stdout.
    pub fn data(&self, text: impl AsRef<str>) {
        self.to_stdout(format!("{}\n", text.as_ref()).as_bytes());
    }

    /// Writes a document to stdout, byte for byte.
    pub fn document(&self, document: &[u8]) {
        self.to_stdout(document);
    }

    /// Writes in one call, so that lines of several processes on one terminal do not mix.
    fn to_stdout(&self, bytes: &[u8]) {
        let mut outlets = self.outlets();
        if outlets.stdout_end.is_some() {
            return;
        }
        if self.0.surroundings.stdout_is_terminal {
            outlets.make_room();
        }
        let stdout = &mut outlets.stdout;
        let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush()) else {
            return;
        };
        outlets.stdout_end = Some(error.kind());
        drop(outlets);
        if error.kind() != io::ErrorKind::BrokenPipe {
            let hints = ["make room, or send the output elsewhere".to_owned()];
            self.error(&format!("could not write to stdout: {error}"), &hints);
        }
    }

    /// Writes a JSON value to stdout, on one line.
    pub fn json_line(&self, value: &Value) {
        self.data(value.to_string());
    }

    /// Says something on stderr that a user in a hurry can do without.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.0.options.quiet {
            self.say("note", text.as_ref(), text.as_ref());
        }
    }

    /// Says on stderr that something may not be as the user thinks.
    pub fn warn(&self, text: impl AsRef<str>) {
        let word = self.note_style().yellow("warning:");
        self.say(
            "warning",
            text.as_ref(),
            &format!("{word} {}", text.as_ref()),
        );
    }

    /// Says on stderr what failed and what to do; in JSON one line with `type`, `message` and
    /// `hints`.
    pub fn error(&self, message: &str, hints: &[String]) {
        if self.is_json() {
            let line = json!({ "type": "error", "message": plain(message), "hints": hints });
            return self.to_stderr(&line.to_string());
        }
        let style = self.note_style();
        let mut text = format!("{} {message}", style.bold(style.red("error:")));
        for hint in hints {
            text.push_str(&format!("\n{} {hint}", style.cyan("hint:")));
        }
        self.to_stderr(&text);
    }

    /// Writes a failure that is already drawn, such as a mistake shown in its file, to stderr.
    pub fn block(&self, text: &str) {
        self.to_stderr(text.trim_end());
    }

    /// Says whether somebody is there to answer a question.
    pub fn is_interactive(&self) -> bool {
        let around = &self.0.surroundings;
        let terminals = around.stdin_is_terminal && around.stderr_is_terminal;
        terminals && !around.in_ci && !self.0.options.no_input
    }

    /// Asks on stderr and reads a line from stdin. Only `y` and `yes` are a yes; the end of the
    /// input is a no. Blocks, so an async caller asks from a blocking task.
    pub fn confirm(&self, question: &str) -> bool {
        if self.0.options.no_input {
            return false;
        }
        self.ask(question, &mut io::stdin().lock())
    }

    fn ask(&self, question: &str, input: &mut dyn BufRead) -> bool {
        {
            let mut outlets = self.outlets();
            outlets.make_room();
            let prompt = format!("{} [y/N] ", self.note_style().bold(question));
            let written = write!(outlets.stderr, "{prompt}").and_then(|()| outlets.stderr.flush());
            // A question nobody can see is not answered with yes.
            if written.is_err() {
                return false;
            }
        }
        let mut answer = String::new();
        match input.read_line(&mut answer) {
            Ok(0) | Err(_) => {
                self.to_stderr("");
                false
            }
            Ok(_) => matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"),
        }
    }

    /// Says whether the output is for programs.
    pub fn is_json(&self) -> bool {
        self.0.options.json
    }

    /// Says whether only data, warnings and errors are wanted.
    pub fn is_quiet(&self) -> bool {
        self.0.options.quiet
    }

    /// How many columns to fill: the `COLUMNS` variable, else 80.
    pub fn width(&self) -> usize {
        self.0
            .surroundings
            .columns
            .filter(|columns| *columns >= 20)
            .unwrap_or(80)
    }

    /// The style for text that goes to stdout. [`Printer::note`] takes the colours out again where
    /// stderr shows none, so it may be used for either.
    pub fn style(&self) -> Style {
        self.style_for(self.0.surroundings.stdout_is_terminal)
    }

    /// The style for text that goes to stderr.
    pub fn note_style(&self) -> Style {
        self.style_for(self.0.surroundings.stderr_is_terminal)
    }

    fn style_for(&self, is_terminal: bool) -> Style {
        let around = &self.0.surroundings;
        let colour = match self.0.options.color {
            _ if self.is_json() => false,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => is_terminal && !around.no_color && !around.dumb,
        };
        Style { colour }
    }

    /// Says whether stdout takes nothing any more, so that whoever goes on writing may end.
    pub fn is_stdout_closed(&self) -> bool {
        self.outlets().stdout_end.is_some()
    }

    /// Says whether what stands on stdout is read on a terminal.
    pub fn is_stdout_terminal(&self) -> bool {
        self.0.surroundings.stdout_is_terminal
    }

    /// Begins to show data that changes, in one place of the terminal that stdout is. `None` where
    /// there is none that can be drawn on.
    pub fn open_live(&self) -> Option<Live> {
        let around = &self.0.surroundings;
        if self.is_json() || !around.stdout_is_terminal || around.in_ci || around.dumb {
            return None;
        }
        let screen = Screen::new(ProgressDrawTarget::stdout_with_hz(UNASKED_DRAWS));
        if screen.is_hidden() {
            return None;
        }
        self.outlets().screen = Some(screen);
        Some(Live {
            printer: self.clone(),
            last: String::new(),
        })
    }

    /// Says whether data was lost because stdout failed, other than by a reader that had enough.
    /// A program that ends so must not end with success.
    pub fn has_lost_data(&self) -> bool {
        let end = self.outlets().stdout_end;
        end.is_some_and(|kind| kind != io::ErrorKind::BrokenPipe)
    }

    /// A writer to stderr for logs, which does not tear the progress display.
    pub fn log_writer(&self) -> LogWriter {
        LogWriter(self.clone())
    }

    fn say(&self, kind: &str, bare: &str, text: &str) {
        if self.is_json() {
            let line = json!({ "type": kind, "message": plain(bare) });
            self.to_stderr(&line.to_string());
        } else {
            self.to_stderr(text);
        }
    }

    /// Writes a line to stderr. There is nowhere to report that stderr fails.
    pub(super) fn to_stderr(&self, text: &str) {
        let text = self.for_stderr(text);
        let mut outlets = self.outlets();
        outlets.make_room();
        let _unseen = write_line(&mut outlets.stderr, &text);
    }

    fn for_stderr(&self, text: &str) -> String {
        if self.note_style().colour {
            text.to_owned()
        } else {
            without_colours(text)
        }
    }

    /// Begins to draw rows at the bottom of the terminal, if there is one that can be drawn on.
    pub(super) fn open_screen(&self) -> bool {
        let around = &self.0.surroundings;
        if !around.stderr_is_terminal || around.in_ci || around.dumb {
            return false;
        }
        let screen = Screen::new((self.0.screen_target)());
        if screen.is_hidden() {
            return false;
        }
        self.outlets().screen = Some(screen);
        true
    }

    /// Shows finished lines and the rows under them; lines alone once the screen is closed.
    pub(super) fn show(&self, lines: &[String], rows: &[String]) {
        let mut outlets = self.outlets();
        let drawn = outlets
            .screen
            .as_mut()
            .map(|screen| screen.draw(lines, rows));
        drop(outlets);
        if drawn.is_none_or(|drawn| drawn.is_err()) {
            lines.iter().for_each(|line| self.to_stderr(line));
        }
    }

    /// Takes the rows off the terminal for good.
    pub(super) fn close_screen(&self) {
        self.outlets().screen = None;
    }

    fn outlets(&self) -> MutexGuard<'_, Outlets> {
        self.0
            .outlets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Data that is drawn over and over. When this is dropped, the last of it stays.
pub struct Live {
    printer: Printer,
    last: String,
}

impl Live {
    /// Shows this text instead of the last one, cut to the terminal.
    pub fn show(&mut self, text: String) {
        // Rows without any text are not drawn.
        let row = |line: &str| if line.is_empty() { " " } else { line }.to_owned();
        let rows: Vec<String> = text.lines().map(row).collect();
        self.printer.show(&[], &rows);
        self.last = text;
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.printer.close_screen();
        if !self.last.is_empty() {
            self.printer.data(&self.last);
        }
    }
}

impl Outlets {
    fn make_room(&mut self) {
        if let Some(screen) = &self.screen {
            let _gone = screen.clear();
        }
    }
}

/// A text as it stands in JSON: without colours, whoever made it.
fn plain(text: &str) -> String {
    without_colours(text)
}

fn write_line(stream: &mut impl Write, text: &str) -> io::Result<()> {
    // One call, so that lines of several processes on one terminal do not mix.
    stream.write_all(format!("{text}\n").as_bytes())?;
    stream.flush()
}

/// Writes logs to stderr, between the draws of the progress display. It never fails: where a log
/// cannot be written, the failure could only be told there, and whoever tries panics.
pub struct LogWriter(Printer);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut outlets = self.0.outlets();
        outlets.make_room();
        let _unseen = outlets.stderr.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _unseen = self.0.outlets().stderr.flush();
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
