//! How a run ended: what was done, what failed and what it left behind, what was skipped.

use std::collections::{BTreeMap, BTreeSet};

use crate::resource::{Address, Error};
use crate::state::{Journal, StateError, Unrecorded};

use super::events::Phase;
use super::plan::Action;

/// What a failed step left in the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing was made or changed.
    Nothing,
    /// It exists and its id is recorded; the next run goes on with it.
    Recorded,
    /// It may exist; it carries our tags or name, and the next run looks for it first.
    Traceable,
}

/// A failed step.
#[derive(Clone, Debug)]
pub struct StepError {
    /// The node.
    pub address: Address,
    /// Its kind.
    pub kind: String,
    /// What was being done.
    pub phase: Phase,
    /// What is left of it in the cloud.
    pub left: Left,
    /// The failure.
    pub source: Error,
}

/// What the store does not know at the end of a run, because it could not be written.
#[derive(Clone, Debug)]
pub struct Unsaved {
    /// Why not.
    pub error: StateError,
    /// What exists and stands nowhere; its tags or names find it again.
    pub unrecorded: Vec<Unrecorded>,
}

/// The end of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The steps that did something, by node; a replacement counts once.
    pub done: BTreeMap<Address, Action>,
    /// The steps that failed.
    pub failed: Vec<StepError>,
    /// The steps that could not start, with the node they needed.
    pub skipped: Vec<(Address, String)>,
    /// Says that the run was asked to stop.
    pub stopped: bool,
    /// The nodes with a call that had not answered when a stopped run gave it up; they are among
    /// the skipped too.
    pub unanswered: BTreeSet<Address>,
    /// Says that the state could not be saved at the end.
    pub unsaved: Option<Unsaved>,
}

impl Report {
    /// Says whether everything that was planned is done.
    pub fn is_complete(&self) -> bool {
        let is_done = self.failed.is_empty() && self.skipped.is_empty();
        is_done && !self.stopped && self.unsaved.is_none()
    }

    /// Tries once more to save what could not be saved, and keeps what is still missing.
    pub(super) async fn save(&mut self, journal: &Journal) {
        let saved = journal.flush().await;
        self.unsaved = saved.err().map(|error| Unsaved {
            error,
            unrecorded: journal.unrecorded(),
        });
    }

    /// How many steps did `action`.
    pub fn count(&self, action: Action) -> usize {
        self.done.values().filter(|done| **done == action).count()
    }
}
