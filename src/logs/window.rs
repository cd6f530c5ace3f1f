//! The stretch of time that a follower reads again and again. Events arrive late and out of order:
//! containers hand them over in batches, and each stream is ingested on its own.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::Event;

/// How much later than the newest event an older one may arrive and still be shown. The log driver
/// of ECS holds lines back for up to 5 s, CloudWatch usually takes a few more.
const OVERLAP: SignedDuration = SignedDuration::from_secs(30);

/// What is to be read next, and which events of it are shown already.
#[derive(Debug)]
pub struct Window {
    start: Timestamp,
    /// The newest event so far, but not one from the future: a clock that is ahead must not hide
    /// what others write.
    newest: Option<Timestamp>,
    shown: HashMap<String, Timestamp>,
}

impl Window {
    /// A window that begins here.
    pub fn from(start: Timestamp) -> Self {
        Self {
            start,
            newest: None,
            shown: HashMap::new(),
        }
    }

    /// Where the next sweep begins. It stays while the pages of one are read.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Gives those of the events that were not given before.
    pub fn take(&mut self, events: Vec<Event>, now: Timestamp) -> Vec<Event> {
        let fresh: Vec<Event> = events
            .into_iter()
            .filter(|event| self.shown.insert(event.id.clone(), event.at).is_none())
            .collect();
        let newest = fresh.iter().map(|event| event.at.min(now)).max();
        self.newest = self.newest.max(newest);
        let next = self.next_start();
        // What no later sweep reads need not be remembered.
        self.shown.retain(|_, at| *at >= next);
        fresh
    }

    /// Ends a sweep: all its pages are read.
    pub fn advance(&mut self) {
        self.start = self.next_start();
    }

    fn next_start(&self) -> Timestamp {
        let overlapping = self
            .newest
            .and_then(|newest| newest.checked_sub(OVERLAP).ok());
        overlapping.map_or(self.start, |start| start.max(self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn event(id: &str, second: i64) -> Event {
        Event {
            id: id.to_owned(),
            at: at(second),
            stream: String::new(),
            message: String::new(),
        }
    }

    fn ids(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| event.id.as_str()).collect()
    }

    #[test]
    fn what_is_read_again_is_shown_once_and_what_arrives_late_is_shown_too() {
        let mut window = Window::from(at(1000));
        let now = at(1100);
        let first = window.take(vec![event("a", 1001), event("b", 1050)], now);
        assert_eq!(ids(&first), ["a", "b"]);
        // Within a sweep nothing moves.
        assert_eq!(window.start(), at(1000));
        window.advance();
        assert_eq!(window.start(), at(1020));
        let again = vec![event("late", 1030), event("b", 1050), event("c", 1060)];
        assert_eq!(ids(&window.take(again, now)), ["late", "c"]);
        window.advance();
        assert_eq!(window.start(), at(1030));
        // The very edge is read again, and still known.
        assert!(window.take(vec![event("late", 1030)], now).is_empty());
    }

    #[test]
    fn nothing_new_moves_nothing_and_a_clock_that_is_ahead_hides_nothing() {
        let mut window = Window::from(at(1000));
        assert!(window.take(Vec::new(), at(2000)).is_empty());
        window.advance();
        assert_eq!(window.start(), at(1000));
        window.take(vec![event("future", 9000)], at(2000));
        window.advance();
        assert_eq!(window.start(), at(1970));
        let of_now = vec![event("now", 1999), event("future", 9000)];
        assert_eq!(ids(&window.take(of_now, at(2001))), ["now"]);
    }

    #[test]
    fn only_what_may_come_again_is_remembered() {
        let mut window = Window::from(at(0));
        for second in 0..10_000 {
            window.take(vec![event(&second.to_string(), second)], at(20_000));
        }
        assert_eq!(window.shown.len(), 31);
    }
}
