//! What happened in a run that went wrong, line by line, for whoever has to find out why. Nothing is
//! kept unless somebody asked for it.

use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::Once;

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Adds a line, if lines are kept.
pub(super) fn note(line: impl FnOnce() -> String) {
    LINES.with_borrow_mut(|lines| {
        if let Some(lines) = lines {
            lines.push(line());
        }
    });
}

/// Runs something that may panic; gives how it ended, and the lines of what it did. What is done over
/// and over is one line.
pub(super) fn of(run: impl FnOnce()) -> (Result<(), String>, String) {
    LINES.set(Some(Vec::new()));
    let ended = quietly(run);
    let lines = LINES.take().unwrap_or_default();
    if ended.is_ok() {
        return (ended, String::new());
    }
    let what = |line: &String| line.split_once(" s ").map(|(_, what)| what.to_owned());
    let mut text = String::new();
    for same in lines.chunk_by(|a, b| what(a) == what(b)) {
        let (first, more) = (&same[0], same.len() - 1);
        text.push_str(first);
        if let (1.., Some(last)) = (more, same.last()) {
            let until = last.split(" s ").next().unwrap_or_default().trim();
            text.push_str(&format!(" ({more} times more, until {until} s)"));
        }
        text.push('\n');
    }
    (ended, text)
}

/// Runs something that may well panic, without a word about it; gives what it would have said.
pub(super) fn quietly(run: impl FnOnce()) -> Result<(), String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                usual(info);
            }
        }));
    });
    IS_QUIET.set(true);
    let ended = panic::catch_unwind(panic::AssertUnwindSafe(run));
    IS_QUIET.set(false);
    ended.map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| {
            payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
        });
        text.unwrap_or_else(|| "a panic without words".to_owned())
    })
}
