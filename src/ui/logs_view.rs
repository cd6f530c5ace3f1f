//! Events of the containers' logs as a person reads them, and as a program does.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::style::Style;
use super::text::harmless;
use crate::logs::Event;

/// How much of a task's id stands before its lines: enough to tell the tasks of a service apart.
const SHORT_ID: usize = 8;

/// Draws events, and remembers which colour each task has.
#[derive(Debug)]
pub struct Lines {
    style: Style,
    timestamps: bool,
    harmless: bool,
    tints: HashMap<String, usize>,
}

impl Lines {
    /// Draws with this style, with the time before each line if `timestamps`; if `harmless`, without
    /// what could steer a terminal, else byte for byte as it was written.
    pub fn new(style: Style, timestamps: bool, harmless: bool) -> Self {
        Self {
            style,
            timestamps,
            harmless,
            tints: HashMap::new(),
        }
    }

    /// Draws an event: its task before each of its lines.
    pub fn render(&mut self, event: &Event) -> String {
        let task = event.task();
        let short: String = task
            .chars()
            .take(SHORT_ID)
            .filter(|c| !c.is_control())
            .collect();
        let next = self.tints.len();
        let tint = *self.tints.entry(task.to_owned()).or_insert(next);
        let mut before = self.style.tint(tint, short);
        if self.timestamps {
            before = format!("{}  {before}", self.style.dim(moment(event.at)));
        }
        let message = match self.harmless {
            true => harmless(&event.message),
            false => event.message.clone(),
        };
        let lines = message.trim_end_matches(['\n', '\r']).split('\n');
        let lines: Vec<String> = lines.map(|line| format!("{before}  {line}")).collect();
        lines.join("\n")
    }
}

fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The same for programs, as one object: `type` is `log`; `version`; `timestamp` (RFC 3339, UTC, with
/// milliseconds), `task` (the whole id), `stream`, `message` as it was written.
pub fn to_json(event: &Event) -> Value {
    json!({
        "type": "log",
        "version": super::json::VERSION,
        "timestamp": moment(event.at),
        "task": event.task(),
        "stream": event.stream,
        "message": event.message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(task: &str, message: &str) -> Event {
        Event {
            id: "7".to_owned(),
            at: "2026-11-26T01:14:47.5Z".parse().unwrap(),
            stream: format!("ecs/order-api/{task}"),
            message: message.to_owned(),
        }
    }

    #[test]
    fn the_task_stands_before_every_line_and_the_time_if_wanted() {
        let traced = event("1a2b3c4d5e6f", "error\n\tat main\r\n");
        let mut lines = Lines::new(Style::PLAIN, false, true);
        assert_eq!(
            lines.render(&traced),
            "1a2b3c4d  error\n1a2b3c4d  \tat main"
        );
        let mut lines = Lines::new(Style::PLAIN, true, true);
        let text = lines.render(&event("1a2b3c4d5e6f", ""));
        assert_eq!(text, "2026-11-26T01:14:47.500Z  1a2b3c4d  ");
    }

    #[test]
    fn a_task_keeps_its_colour_and_another_has_another() {
        let mut lines = Lines::new(Style { colour: true }, false, true);
        let mut colour_of = |task: &str| {
            let text = lines.render(&event(task, "x"));
            text.split_once(task).unwrap().0.to_owned()
        };
        let (one, two, again) = (colour_of("one"), colour_of("two"), colour_of("one"));
        assert!(one.contains('\u{1b}'));
        assert_ne!(one, two);
        assert_eq!(one, again);
    }

    #[test]
    fn a_terminal_is_not_steered_and_a_file_gets_every_byte() {
        let steering = event("one", "\u{1b}[2Jred");
        let on_terminal = Lines::new(Style::PLAIN, false, true).render(&steering);
        assert_eq!(on_terminal, "one  red");
        let in_a_file = Lines::new(Style::PLAIN, false, false).render(&steering);
        assert_eq!(in_a_file, "one  \u{1b}[2Jred");
    }

    #[test]
    fn programs_get_the_whole_id_and_the_message_as_it_was_written() {
        insta::assert_snapshot!(to_json(&event("1a2b3c4d5e6f", "a\n\u{1b}[2Jb\n")), @r#"{"type":"log","version":1,"timestamp":"2026-11-26T01:14:47.500Z","task":"1a2b3c4d5e6f","stream":"ecs/order-api/1a2b3c4d5e6f","message":"a\n\u001b[2Jb\n"}"#);
    }
}
