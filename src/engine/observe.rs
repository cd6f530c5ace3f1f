//! Reads every node of a stack, as concurrently as their references allow.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::events::Event;
use super::graph::{Declaration, Node};
use super::{Context, Kinds};
use crate::resource::{
    Address, AnyLive, Class, Error, Identity, LastJson, Reference, Result, Scope, resolve,
};
use crate::state::State;

/// How many reads are in flight at once; AWS's read buckets allow far more (field guide, 11).
const READS_AT_ONCE: usize = 16;

/// What was found of every node.
#[derive(Default)]
pub(super) struct Observations {
    /// The live resource of each node that was looked for; `None` if there is none.
    pub(super) live: HashMap<Address, Option<AnyLive>>,
    /// The nodes that could not be read.
    pub(super) errors: BTreeMap<Address, Error>,
    /// What each node was last looked for with, as far as that is known.
    pub(super) wanted: HashMap<Address, Value>,
}

/// Everything one read needs, owned, so that it can run as a task.
pub(super) struct Look {
    pub(super) kind: &'static str,
    pub(super) scope: Scope,
    pub(super) want: Value,
    pub(super) last: Option<(Value, Value)>,
}

impl Look {
    /// Looks. What one of the reads this takes does not find is not there: right after a create, a
    /// first read may find it and a second, for its tags, still miss it.
    pub(super) async fn run(&self, kinds: &Kinds) -> Result<Option<AnyLive>> {
        let kind = kinds
            .get(self.kind)
            .ok_or_else(|| unknown_kind(self.kind))?;
        let last = self
            .last
            .as_ref()
            .map(|(outputs, spec)| LastJson { outputs, spec });
        match kind.observe(&self.scope, &self.want, last).await {
            Err(error) if error.class() == Class::NotFound => Ok(None),
            found => found,
        }
    }
}

pub(super) fn unknown_kind(kind: &str) -> Error {
    Error::new(
        kind,
        Class::Refused,
        "this orderctl does not know this kind",
    )
    .with_advice("use the version of orderctl that wrote the state")
}

/// Reads all nodes of the declaration. Nodes whose references are known, from the state or from
/// what was just read, are read together; what they give lets the next ones be read.
pub(super) async fn observe_all(
    context: &Context,
    declaration: &Declaration,
    state: &State,
) -> Observations {
    let mut found = Observations::default();
    // What each node was last looked for with. One that was looked for while some settings were
    // unknown is looked for again when more are known: kinds compare with what is wanted, and a
    // name may be unique only inside a parent.
    let mut looked: HashMap<Address, (Value, bool)> = HashMap::new();
    loop {
        let mut wave = Vec::new();
        for node in &declaration.nodes {
            let earlier = looked.get(&node.address);
            let is_settled = earlier.is_some_and(|(_, incomplete)| !incomplete);
            if found.errors.contains_key(&node.address) || is_settled {
                continue;
            }
            let resolution = resolve(&node.spec, &|r| known_output(r, &found, state));
            let recorded = recorded(state, &node.address);
            let findable = recorded.is_some()
                || context
                    .profile(node.kind)
                    .is_none_or(|p| p.identity != Identity::Parent);
            let learnt = earlier.is_none_or(|(spec, _)| *spec != resolution.spec);
            if resolution.incomplete && (!learnt || !findable) {
                continue;
            }
            let look_with = (resolution.spec.clone(), resolution.incomplete);
            looked.insert(node.address.clone(), look_with);
            wave.push((node, look(context, node, resolution.spec, recorded)));
        }
        if wave.is_empty() {
            break;
        }
        read(context, wave, declaration.nodes.len(), &mut found).await;
    }
    for node in &declaration.nodes {
        if !found.errors.contains_key(&node.address) {
            found.live.entry(node.address.clone()).or_insert(None);
        }
    }
    let wanted = looked
        .into_iter()
        .map(|(address, (want, _))| (address, want));
    found.wanted = wanted.collect();
    found
}

fn look(context: &Context, node: &Node, want: Value, last: Option<(Value, Value)>) -> Look {
    Look {
        kind: node.kind,
        scope: context.scope_of(&node.address),
        want,
        last,
    }
}

/// Reads these nodes, and enters what is found.
pub(super) async fn read(
    context: &Context,
    wave: Vec<(&Node, Look)>,
    total: usize,
    found: &mut Observations,
) {
    let permits = Arc::new(Semaphore::new(READS_AT_ONCE));
    let mut tasks = JoinSet::new();
    for (node, look) in wave {
        let (kinds, permits) = (Arc::clone(&context.kinds), Arc::clone(&permits));
        let address = node.address.clone();
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await;
            let answer = look.run(&kinds).await;
            (address, answer)
        });
    }
    while let Some(joined) = tasks.join_next().await {
        // A task can only fail to join by panicking, which the code does not do on input.
        let Ok((address, answer)) = joined else {
            continue;
        };
        match answer {
            Ok(live) => {
                found.live.insert(address, live);
            }
            Err(error) => {
                found.errors.insert(address, error);
            }
        }
        context.events.send(Event::Observed {
            done: found.live.len(),
            total,
        });
    }
}

/// The recorded outputs and settings of a node.
pub(super) fn recorded(state: &State, address: &Address) -> Option<(Value, Value)> {
    let record = state.records.get(address)?;
    Some((record.outputs.clone()?, record.known_spec()?.clone()))
}

fn known_output(reference: &Reference, found: &Observations, state: &State) -> Option<Value> {
    let outputs = match found.live.get(&reference.address) {
        Some(live) => &live.as_ref()?.outputs,
        None => state.records.get(&reference.address)?.outputs.as_ref()?,
    };
    outputs.get(&reference.field).cloned()
}
