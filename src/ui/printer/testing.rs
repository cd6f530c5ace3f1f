//! Printers whose output a test can read.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use indicatif::{ProgressDrawTarget, TermLike};

use super::{Inner, Outlets, Printer, PrinterOptions, Surroundings};

/// What a printer wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A terminal that takes down what is written, without the cursor's moves.
impl TermLike for Captured {
    fn width(&self) -> u16 {
        120
    }
    fn height(&self) -> u16 {
        24
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.write_str("\n")
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.clone().write_all(text.as_bytes())
    }
    fn clear_line(&self) -> io::Result<()> {
        self.write_str("\n")
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A printer that is not on a terminal, with what it writes to stdout and stderr.
pub(crate) fn captured(options: PrinterOptions) -> (Printer, Captured, Captured) {
    let (out, err) = (Captured::default(), Captured::default());
    let printer = on(
        options,
        Surroundings::default(),
        Box::new(out.clone()),
        err.clone(),
    );
    (printer, out, err)
}

/// A printer whose three streams are terminals, with everything it writes to stderr.
pub(crate) fn on_terminal(options: PrinterOptions) -> (Printer, Captured) {
    let err = Captured::default();
    let around = Surroundings {
        stdin_is_terminal: true,
        stdout_is_terminal: true,
        stderr_is_terminal: true,
        ..Surroundings::default()
    };
    (on(options, around, Box::new(io::sink()), err.clone()), err)
}

pub(super) fn on(
    options: PrinterOptions,
    surroundings: Surroundings,
    stdout: Box<dyn Write + Send>,
    stderr: Captured,
) -> Printer {
    let terminal = stderr.clone();
    let outlets = Outlets {
        stdout,
        stderr: Box::new(stderr),
        stdout_end: None,
        screen: None,
    };
    Printer(Arc::new(Inner {
        options,
        surroundings,
        outlets: Mutex::new(outlets),
        screen_target: Box::new(move || {
            ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 5)
        }),
    }))
}
