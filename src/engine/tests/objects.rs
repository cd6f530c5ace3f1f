//! What the fake cloud keeps: its objects, and the calls that reached it.

use std::time::Duration;

use tokio::time::Instant;

use super::faults::Operation;
use super::kinds::Settings;
use crate::resource::Resolved;

/// What the cloud knows of a kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behaviour {
    pub(super) kind: &'static str,
    /// Refuses the deletion of what it refers to.
    pub(super) holds: bool,
    pub(super) named: bool,
    pub(super) has_parent: bool,
    /// The cloud makes it again, without tags, when something misses it. Its name is all it is told
    /// by, so that one made anew is the same.
    pub(super) made_by_the_cloud: bool,
    /// Its identity includes its shape, so that two shapes can stand side by side.
    pub(super) shaped: bool,
    pub(super) shared: bool,
    /// Stays visible after its deletion.
    pub(super) ghost: bool,
    /// Every update is a new revision.
    pub(super) revisions: bool,
    /// Cannot be made before what it refers to works.
    pub(super) needs_ready: bool,
    pub(super) ready_after: Duration,
    pub(super) gone_after: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) behaviour: Behaviour,
    pub(super) id: String,
    pub(super) node: String,
    pub(super) spec: Settings<Resolved>,
    pub(super) revision: usize,
    pub(super) failed: bool,
    pub(super) visible_at: Instant,
    pub(super) ready_at: Instant,
    pub(super) gone_at: Option<Instant>,
    /// An accepted update that does not show yet.
    pub(super) coming: Option<(Instant, Settings<Resolved>)>,
}

impl Object {
    pub(super) fn arn(&self) -> String {
        match self.behaviour.revisions {
            true => format!("{}:{}", self.id, self.revision),
            false => self.id.clone(),
        }
    }

    pub(super) fn uses(&self, id: &str) -> bool {
        self.spec.references().any(|arn| id_of(arn) == id)
    }
}

pub(super) fn id_of(arn: &str) -> &str {
    arn.split(':').next().unwrap_or(arn)
}

/// One call that reached the cloud.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) operation: Operation,
    pub(super) node: String,
    pub(super) at: Duration,
    pub(super) code: Option<String>,
    pub(super) token: Option<String>,
}

impl Object {
    pub(super) fn collides(&self, behaviour: Behaviour, want: &Settings<Resolved>) -> bool {
        let named = behaviour.named && self.spec.name == want.name;
        let placed = behaviour.has_parent
            && self.spec.name == want.name
            && self.spec.parent == want.parent
            && (!behaviour.shaped || self.spec.shape == want.shape);
        self.behaviour.kind == behaviour.kind && (named || placed)
    }
}
