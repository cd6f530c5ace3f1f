//! What this program remembers of a stack: a journal of what it is doing and a cache of what it
//! made. The cloud is the truth (law 1); losing this costs one look at the cloud.

mod clock;
mod format;
mod holder;
mod journal;
mod lease;
mod local;
mod location;
mod lock_object;
mod objects;
mod s3;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use holder::{Holder, operator};
pub use journal::{Journal, Unrecorded};
pub use local::LocalStore;
pub use location::Location;
pub use objects::{Answer, Expect, Object, ObjectError, Objects};
pub use s3::S3Store;

use crate::resource::{Address, BoxFuture, Error};

/// The version of the document's format this program writes.
pub const FORMAT: u32 = 2;

/// The record of one stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// See [`FORMAT`].
    pub format: u32,
    /// Made once per stack; two documents with different lineages are different stacks.
    pub lineage: String,
    /// Grows by one with every save.
    pub serial: u64,
    /// The stack's suffix.
    pub stack: String,
    /// The AWS account it lives in; set by the first `up`.
    pub account: Option<String>,
    /// The AWS region it lives in.
    pub region: String,
    /// Choices made once that must never change by themselves, such as the Availability Zones.
    pub choices: BTreeMap<String, Value>,
    /// What the stack gives to its users, as of the last `up`.
    pub outputs: BTreeMap<String, Value>,
    /// Whether the last `up` asked for protection; `down` refuses then.
    pub protect: bool,
    /// The last run that changed something, or set out to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// Everything that exists or is being made or removed.
    #[serde(deserialize_with = "format::each_once")]
    pub records: BTreeMap<Address, Record>,
}

/// Who worked on the stack last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastRun {
    /// The command, as `up`.
    pub command: String,
    /// The person and the machine, as `ann@ci-7`.
    pub by: String,
    /// When it began to change things.
    pub began: Timestamp,
    /// When it ended and how; absent while it runs, and for ever if it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<RunEnd>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEnd {
    /// When it ended.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: RunOutcome,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunOutcome {
    /// Everything was done.
    Done,
    /// Something failed.
    Failed,
    /// A signal stopped it.
    Interrupted,
}

/// What is known of one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The kind, as `service/thing`.
    pub kind: String,
    /// What AWS gave back; absent until the create call has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Value>,
    /// The settings last applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Value>,
    /// The nodes it was made from; deletion runs against them, with no declaration at hand.
    pub dependencies: BTreeSet<Address>,
    /// The call that is under way, or was when the program was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// Older instances that a replacement left to be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<Retired>,
    /// When the create call answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it was first seen working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
}

impl Record {
    /// An empty record of a node of this kind.
    pub fn new(kind: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            outputs: None,
            spec: None,
            dependencies: BTreeSet::new(),
            intent: None,
            retired: Vec::new(),
            created_at: None,
            ready_at: None,
        }
    }

    /// The settings to look the resource up with: applied ones, else intended ones.
    pub fn known_spec(&self) -> Option<&Value> {
        self.spec
            .as_ref()
            .or_else(|| self.intent.as_ref()?.spec.as_ref())
    }
}

/// A call that was announced before it was sent (law 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// What the call does.
    pub action: IntentAction,
    /// When it was first announced.
    pub since: Timestamp,
    /// The client token of a create, the same for all its repetitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The settings that were to be applied; lets an unfinished create be found again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Value>,
    /// The final snapshot's identifier of a delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_snapshot: Option<String>,
}

/// What an announced call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IntentAction {
    /// Makes the resource.
    Create,
    /// Changes it.
    Update,
    /// Removes it.
    Delete,
}

/// An instance that was replaced and has still to be deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retired {
    /// What AWS gave it; null if a create was never answered and may have made it.
    pub outputs: Value,
    /// Its settings.
    pub spec: Value,
}

impl State {
    /// The state of a stack of which nothing exists yet.
    pub fn new(stack: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            format: FORMAT,
            lineage: uuid::Uuid::new_v4().to_string(),
            serial: 0,
            stack: stack.into(),
            account: None,
            region: region.into(),
            choices: BTreeMap::new(),
            outputs: BTreeMap::new(),
            protect: false,
            last_run: None,
            records: BTreeMap::new(),
        }
    }
}

/// What can go wrong with the state.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StateError {
    /// The document is damaged.
    #[error("{place} cannot be read: {reason}")]
    Unreadable {
        /// Where the document is.
        place: String,
        /// What is wrong with it.
        reason: String,
        /// Where the document before it is kept, if it is.
        previous: Option<String>,
    },
    /// The document is that of another stack.
    #[error("{place} is the state of stack `{found}`, not of `{stack}`")]
    Misplaced {
        /// Where the document is.
        place: String,
        /// The stack that was looked for.
        stack: String,
        /// The stack whose it is.
        found: String,
    },
    /// The document was written by a newer program.
    #[error(
        "{place} has format {format}, this orderctl understands up to {FORMAT}; use the newer orderctl that wrote it"
    )]
    Newer {
        /// Where the document is.
        place: String,
        /// Its format.
        format: u64,
    },
    /// Reading or writing failed.
    #[error("{place}: {reason}")]
    Access {
        /// The file or object.
        place: String,
        /// The reason.
        reason: String,
    },
    /// Somebody else is working on the stack.
    #[error("stack `{stack}` is locked by {owner}")]
    Locked {
        /// The stack.
        stack: String,
        /// Who holds the lock, since when and from where.
        owner: String,
    },
    /// The lease on the stack was lost in the middle of a run.
    #[error("the lease on stack `{stack}` is lost: {how}")]
    Lost {
        /// The stack.
        stack: String,
        /// Who has it now, or why it was not renewed.
        how: String,
    },
    /// Somebody who did not hold the lock has written the state.
    #[error("{place} was written by somebody else since it was read; nothing was written over it")]
    Changed {
        /// Where the document is.
        place: String,
    },
    /// AWS refused, or did not answer.
    #[error("{place}: {error}")]
    Remote {
        /// The object.
        place: String,
        /// What AWS said.
        error: Error,
    },
}

impl StateError {
    /// The error for a damaged document. The reason may quote it, so that it is kept to one line.
    pub fn unreadable(place: &str, reason: impl AsRef<str>) -> Self {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        Self::Unreadable {
            place: place.to_owned(),
            reason: reason.as_ref().chars().map(printable).take(300).collect(),
            previous: None,
        }
    }

    /// Says where the document before a damaged one is kept.
    #[must_use]
    pub fn with_previous(mut self, kept: Option<String>) -> Self {
        if let Self::Unreadable { previous, .. } = &mut self {
            *previous = kept;
        }
        self
    }
}

/// Where states are kept.
pub trait Store: Send + Sync {
    /// Reads the state of a stack, if there is one.
    fn load<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<Option<State>, StateError>>;

    /// Reads the document of a stack byte for byte, readable or not. A store that has no more than
    /// [`Store::load`] gives what it would write.
    fn document<'a>(
        &'a self,
        stack: &'a str,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StateError>> {
        Box::pin(async move {
            let state = self.load(stack).await?;
            let written = state.as_ref().map(State::to_document).transpose();
            written.map_err(|error| StateError::unreadable(&self.place(stack), error.to_string()))
        })
    }

    /// Writes the state durably, whole or not at all. A store that others share writes only over
    /// what this one loaded or saved last ([`StateError::Changed`], [`StateError::Lost`]).
    fn save<'a>(&'a self, state: &'a State) -> BoxFuture<'a, Result<(), StateError>>;

    /// Removes the state of a stack that is no more.
    fn remove<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<(), StateError>>;

    /// Takes the lock of a stack, or says who holds it. [`Lock::release`] gives it back.
    fn lock<'a>(
        &'a self,
        stack: &'a str,
        purpose: &'a str,
    ) -> BoxFuture<'a, Result<Lock, StateError>>;

    /// Says who holds the lock of a stack. One whose holder is gone is nobody's.
    fn holder<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<Option<Holder>, StateError>>;

    /// Takes the lock away from a holder who cannot be asked any more, and says who that was. A
    /// lock that goes with its holder's process cannot be taken from one that lives
    /// ([`StateError::Locked`]).
    fn unlock<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<Option<Holder>, StateError>>;

    /// Names the stacks in the store.
    fn stacks(&self) -> BoxFuture<'_, Result<Vec<String>, StateError>>;

    /// Says where the state of a stack is, for messages.
    fn place(&self, stack: &str) -> String;
}

/// A held lock.
pub struct Lock {
    held: Box<dyn Held>,
}

/// What a store keeps of a lock it gave.
trait Held: Send + Sync {
    fn release(self: Box<Self>) -> BoxFuture<'static, Result<(), StateError>>;

    fn lease(&self) -> Lease {
        Lease::default()
    }
}

impl Lock {
    fn new(held: impl Held + 'static) -> Self {
        Self {
            held: Box::new(held),
        }
    }

    /// What the lock's holder has to renew, and can lose.
    pub fn lease(&self) -> Lease {
        self.held.lease()
    }

    /// Gives the lock back. One that is only dropped is free once its holder's process is gone, or
    /// once its lease has ended.
    pub async fn release(self) -> Result<(), StateError> {
        self.held.release().await
    }
}

/// The time for which a lock was given. That of a lock which goes with its holder's process (the
/// default) never ends.
#[derive(Clone, Default)]
pub struct Lease(Option<Arc<lease::HeldLease>>);

impl Lease {
    /// Says whether something may be changed under it now; costs nothing until its end has passed
    /// without a renewal, as after a sleep. Then it is renewed first, or it is lost.
    pub async fn check(&self) -> Result<(), StateError> {
        match &self.0 {
            Some(lease) => lease.check().await,
            None => Ok(()),
        }
    }

    /// Says how it was lost, if it was.
    pub fn is_lost(&self) -> Option<StateError> {
        self.0.as_ref()?.is_lost()
    }

    /// Returns when it is lost, and says how.
    pub async fn lost(&self) -> StateError {
        match &self.0 {
            Some(lease) => lease.until_lost().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
impl Lease {
    /// One that nobody takes away but [`Lease::lose_for_a_test`].
    pub(crate) async fn of_a_test() -> Self {
        tests::lease().await
    }

    pub(crate) fn lose_for_a_test(&self) {
        if let Some(lease) = &self.0 {
            lease.lose_for_a_test();
        }
    }
}
