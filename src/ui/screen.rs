//! The part of a terminal that is drawn over and over: rows at the bottom, finished lines scrolling
//! away above them.

use std::io;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Rows at the bottom of a terminal. Rows are cut to its width, and to its height.
pub(super) struct Screen {
    multi: MultiProgress,
    rows: Vec<ProgressBar>,
}

impl Screen {
    pub(super) fn new(target: ProgressDrawTarget) -> Self {
        Self {
            multi: MultiProgress::with_draw_target(target),
            rows: Vec::new(),
        }
    }

    /// Says whether nothing would be seen, because the target is no terminal.
    pub(super) fn is_hidden(&self) -> bool {
        self.multi.is_hidden()
    }

    /// Lets `lines` scroll away above the rows, and shows `rows` instead of the last ones.
    pub(super) fn draw(&mut self, lines: &[String], rows: &[String]) -> io::Result<()> {
        while self.rows.len() > rows.len() {
            if let Some(row) = self.rows.pop() {
                self.multi.remove(&row);
            }
        }
        if !lines.is_empty() {
            self.multi.println(lines.join("\n"))?;
        }
        while self.rows.len() < rows.len() {
            let row = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
            if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                row.set_style(style);
            }
            self.rows.push(self.multi.add(row));
        }
        for (row, text) in self.rows.iter().zip(rows) {
            if row.message() != *text {
                row.set_message(text.clone());
            }
        }
        match self.rows.last() {
            Some(row) => row.force_draw(),
            None => self.multi.clear()?,
        }
        Ok(())
    }

    /// Takes the rows off the terminal until the next draw, to make room for other text.
    pub(super) fn clear(&self) -> io::Result<()> {
        self.multi.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to tidy up.
        let _gone = self.draw(&[], &[]);
    }
}
