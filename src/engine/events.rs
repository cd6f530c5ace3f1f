//! What the engine tells while it works. The user interface draws it; nothing here prints.

use std::time::Duration;

use crate::resource::Address;

use super::plan::Action;

/// What a step is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The resource is being made, changed or taken over.
    Make(Action),
    /// The resource is being deleted.
    Remove,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A resource of the plan was read.
    Observed {
        /// How many so far.
        done: usize,
        /// Of how many.
        total: usize,
    },
    /// A step began.
    Started {
        /// The node.
        address: Address,
        /// Its kind.
        kind: String,
        /// What is being done.
        phase: Phase,
        /// How long it typically takes.
        typical: Duration,
    },
    /// The create call answered; dependents that need only the id go on.
    Created {
        /// The node.
        address: Address,
    },
    /// A step waits for AWS.
    Waiting {
        /// The node.
        address: Address,
        /// AWS's own word for what it is doing, or the refusal that means "not yet".
        reason: String,
    },
    /// A step is done.
    Done {
        /// The node.
        address: Address,
        /// What was done.
        phase: Phase,
        /// How long it took.
        took: Duration,
    },
    /// A step failed; the report has the details.
    Failed {
        /// The node.
        address: Address,
        /// The error in one line.
        error: String,
    },
    /// A step cannot start.
    Skipped {
        /// The node.
        address: Address,
        /// What failed before it, or what stopped it.
        needs: String,
    },
    /// Everything is removed; the cloud is looked at once more.
    Settling {
        /// What is waited for.
        reason: String,
        /// For how long.
        during: Duration,
    },
}

/// Where events go: a channel without a limit, so that the engine never waits for a terminal.
#[derive(Clone, Default)]
pub struct Events(Option<tokio::sync::mpsc::UnboundedSender<Event>>);

impl Events {
    /// Sends to `sender`.
    pub fn to(sender: tokio::sync::mpsc::UnboundedSender<Event>) -> Self {
        Self(Some(sender))
    }

    /// Drops everything.
    pub fn nowhere() -> Self {
        Self(None)
    }

    /// Sends one; nobody need listen.
    pub fn send(&self, event: Event) {
        if let Some(sender) = &self.0 {
            // Nobody listening any more is no reason to stop working.
            let _unheard = sender.send(event);
        }
    }
}
