//! The reconcile flow, written once for all kinds: graph, plan, apply, teardown. Speaks JSON to
//! kinds, and events to whoever watches; names no AWS crate.

mod apply;
mod catch_up;
mod create;
mod events;
mod graph;
mod make;
mod observe;
mod plan;
mod rebuild;
mod remove;
mod report;
mod schedule;
mod sweep;
mod teardown;
#[cfg(test)]
mod tests;
mod wait;
mod whose;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use apply::{ApplyOptions, apply};
pub use events::{Event, Events, Phase};
pub use graph::{Declaration, Graph, GraphError, Kept, Node};
pub use plan::{Action, Plan, PlanError, PlanOptions, PlannedNode, plan};
pub use rebuild::{Claim, Claims, Found, Rebuilt, rebuild};
pub use report::{Left, Report, StepError, Unsaved};
pub use sweep::{Whole, find_all, ids};
pub use teardown::{Looks, TeardownOptions, teardown};
pub use wait::{GRACE, Stop, Stopped, Stopper, settle, until_taken};
pub use whose::Whose;

use crate::resource::{Address, AnyKind, Profile, Scope};

/// The kinds by name, bound to their clients.
pub type Kinds = HashMap<&'static str, Arc<dyn AnyKind>>;

/// What every part of the engine needs to know of the stack it works on.
#[derive(Clone)]
pub struct Context {
    /// The kinds, bound to clients that read afresh.
    pub kinds: Arc<Kinds>,
    /// The stack, account and region; node, token and snapshot are filled in per call.
    pub scope: Scope,
    /// Where events go.
    pub events: Events,
    /// How long reads may miss what was just made: that long the object of a create whose answer
    /// was lost is looked for before it is sent again. See [`READS_LAG`].
    pub lag: Duration,
}

/// What AWS needs of [`Context::lag`], for kinds that only their tags identify (field guide,
/// section 1, rule 6).
pub const READS_LAG: Duration = Duration::from_secs(20);

impl Context {
    fn scope_of(&self, address: &Address) -> Scope {
        Scope {
            node: address.to_string(),
            ..self.scope.clone()
        }
    }

    fn kind(&self, name: &str) -> Option<&Arc<dyn AnyKind>> {
        self.kinds.get(name)
    }

    fn profile(&self, name: &str) -> Option<Profile> {
        self.kind(name).map(|kind| kind.profile())
    }

    /// How much of AWS's time a second of this cloud's takes: 1 for AWS, less for a sandbox whose
    /// time runs faster. How long its reads lag tells.
    fn pace(&self) -> f64 {
        self.lag.div_duration_f64(READS_LAG)
    }
}
