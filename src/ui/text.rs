//! The words and measures all views share, so that the same thing reads the same everywhere.

use std::time::Duration;

use jiff::Timestamp;

use crate::engine::{Action, Phase};

/// The forms of the verb for what a step does.
pub(super) struct Words {
    /// `create`
    pub(super) base: &'static str,
    /// `creating`
    pub(super) doing: &'static str,
    /// `created`
    pub(super) done: &'static str,
}

pub(super) fn words(phase: Phase) -> Words {
    let (base, doing, done) = match phase {
        Phase::Remove | Phase::Make(Action::Delete) => ("delete", "deleting", "deleted"),
        Phase::Make(Action::Create) => ("create", "creating", "created"),
        Phase::Make(Action::Adopt) => ("adopt", "adopting", "adopted"),
        Phase::Make(Action::Update) => ("update", "updating", "updated"),
        Phase::Make(Action::Replace) => ("replace", "replacing", "replaced"),
        // An earlier run began it; this one waits until it works.
        Phase::Make(Action::NoChange) => ("finish", "finishing", "finished"),
    };
    Words { base, doing, done }
}

/// The word for an action in JSON.
pub(super) fn action_name(action: Action) -> &'static str {
    match action {
        Action::NoChange => "noChange",
        Action::Create => "create",
        Action::Adopt => "adopt",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
    }
}

/// A measured duration: `1.2 s`, `2m10s`, `1h05m`.
pub fn took(duration: Duration) -> String {
    // What would be rounded up to 60.0 is a minute already.
    if duration.as_millis() < 59_950 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        about(Duration::from_secs_f64(duration.as_secs_f64().round()))
    }
}

/// A duration in whole seconds: `45 s`, `1m30s`, `2m`, `1h05m`.
pub(super) fn about(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

/// How long something has been there: as [`about`], and from a day on `3d04h`.
pub(super) fn age(duration: Duration) -> String {
    let hours = duration.as_secs() / 3600;
    match hours / 24 {
        0 => about(duration),
        days => format!("{days}d{:02}h", hours % 24),
    }
}

/// A moment as a person reads it, to the second.
pub(super) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A text of others on one line, without anything that could steer a terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A text of others as it may stand on a terminal: colours and whatever else would steer it taken
/// out, lines and tabs left as they are.
pub(super) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' | '\t' => out.push(c),
            // The end of a line on other systems.
            '\r' if rest.peek() == Some(&'\n') => {}
            '\u{1b}' => skip_sequence(&mut rest),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Skips what follows an escape character (ECMA-48): `[` up to its final letter, a string up to its
/// terminator, else one character.
fn skip_sequence(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            while rest.next_if(|c| (' '..='?').contains(c)).is_some() {}
            rest.next_if(|c| ('@'..='~').contains(c));
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = rest.next_if(|c| *c != '\n') {
                let ends = c == '\u{7}' || (c == '\u{1b}' && rest.next_if_eq(&'\\').is_some());
                if ends {
                    break;
                }
            }
        }
        _ => {
            rest.next_if(|c| *c != '\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_goes_and_the_text_stays() {
        for (text, shown) in [
            ("plain\n\ttext", "plain\n\ttext"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("a\u{1b}[2J\u{1b}[Hb", "ab"),
            ("\u{1b}]0;title\u{7}a\u{1b}]8;;x\u{1b}\\b", "ab"),
            // A string without an end does not take the next line with it.
            ("a\u{1b}]0;never\nb", "a\nb"),
            ("a\u{1b}\nb\u{1b}", "a\nb"),
            ("over\rwritten\r\nnext\u{8}\u{9b}2J", "overwritten\nnext2J"),
            ("größe \u{1f980}", "größe \u{1f980}"),
        ] {
            assert_eq!(harmless(text), shown, "{text:?}");
        }
    }

    #[test]
    fn durations_read_in_the_unit_that_fits() {
        let cases = [
            (0.04, "0.0 s", "0 s"),
            (1.24, "1.2 s", "1 s"),
            (59.97, "1m", "59 s"),
            (90.0, "1m30s", "1m30s"),
            (120.0, "2m", "2m"),
            (130.2, "2m10s", "2m10s"),
            (3900.0, "1h05m", "1h05m"),
        ];
        for (seconds, measured, whole) in cases {
            let duration = Duration::from_secs_f64(seconds);
            assert_eq!(took(duration), measured);
            assert_eq!(about(duration), whole);
        }
    }

    #[test]
    fn an_age_is_told_in_days_from_a_day_on() {
        let hour = 3600;
        for (seconds, text) in [
            (59, "59 s"),
            (23 * hour + 59 * 60, "23h59m"),
            (24 * hour, "1d00h"),
            (100 * 24 * hour + 5 * hour, "100d05h"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_text_of_others_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{9b}d"), "a [2Jb c d");
    }
}
