//! Catches up with a cloud that has gone on without the state: an older state was put back, what it
//! records is gone, and what took its place can be found as after a lost one (law 1).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Context;
use super::events::Events;
use super::graph::{Declaration, Node};
use super::observe::{Look, Observations, observe_all, read, recorded};
use super::plan::{PlanError, has_unknown};
use super::sweep::as_record;
use super::whose::{Owner, owner};
use crate::resource::{Address, AnyLive, Condition, Identity};
use crate::state::{Record, State};

/// A state that knows as much as the cloud shows.
pub(super) struct CaughtUp<'s> {
    pub(super) state: Cow<'s, State>,
    /// The records in it that are new.
    pub(super) successors: BTreeMap<Address, Record>,
    /// What was found with it.
    pub(super) observations: Observations,
}

/// Reads all nodes of the declaration, and those again that an older state has hidden.
pub(super) async fn observe_caught_up<'s>(
    context: &Context,
    declaration: &Declaration,
    state: &'s State,
) -> Result<CaughtUp<'s>, PlanError> {
    let mut state = Cow::Borrowed(state);
    let mut known = BTreeMap::new();
    loop {
        let observations = observe_all(context, declaration, &state).await;
        if !observations.errors.is_empty() {
            return Err(PlanError {
                errors: observations.errors,
            });
        }
        let found = successors(context, declaration, &state, &observations, &known).await?;
        if found.is_empty() {
            return Ok(CaughtUp {
                state,
                successors: known,
                observations,
            });
        }
        state.to_mut().records.extend(found.clone());
        known.extend(found);
    }
}

/// Gives new records for the nodes whose recorded resource is gone and has a successor, which the
/// id in the state hides: they are looked for once more, without it. So is what was made from one of
/// the successors `known` so far: what the state says of its settings is older than it is.
async fn successors(
    context: &Context,
    declaration: &Declaration,
    state: &State,
    observations: &Observations,
    known: &BTreeMap<Address, Record>,
) -> Result<BTreeMap<Address, Record>, PlanError> {
    let is_outdated = |node: &&Node| {
        let Some(record) = state.records.get(&node.address) else {
            return false;
        };
        let live = observations.live.get(&node.address);
        let is_gone = live.is_some_and(Option::is_none);
        let is_older = || record.dependencies.iter().any(|to| known.contains_key(to));
        recorded(state, &node.address).is_some()
            && !known.contains_key(&node.address)
            && (is_gone || is_older())
    };
    let outdated: Vec<&Node> = declaration.nodes.iter().filter(is_outdated).collect();
    let looks = outdated.iter().filter_map(|node| {
        let want = observations.wanted.get(&node.address)?.clone();
        let needs_parent = context.profile(node.kind)?.identity == Identity::Parent;
        if needs_parent && has_unknown(&want) {
            return None;
        }
        let look = Look {
            kind: node.kind,
            scope: context.scope_of(&node.address),
            want,
            last: None,
        };
        Some((*node, look))
    });
    let quiet = Context {
        events: Events::nowhere(),
        ..context.clone()
    };
    let mut found = Observations::default();
    read(&quiet, looks.collect(), outdated.len(), &mut found).await;
    if !found.errors.is_empty() {
        return Err(PlanError {
            errors: found.errors,
        });
    }
    let record = |node: &Node| {
        let old = state.records.get(&node.address)?;
        let is_older = |live: &AnyLive| old.retired.iter().any(|it| it.outputs == live.outputs);
        // The first read had missed what is new; whoever makes it finds it.
        let is_gone = observations.live.get(&node.address) == Some(&None);
        let was_missed = |live: &AnyLive| is_gone && old.outputs.as_ref() == Some(&live.outputs);
        let live = found.live.get(&node.address)?.as_ref();
        let scope = context.scope_of(&node.address);
        let profile = context.profile(node.kind)?;
        let live = live.filter(|live| {
            let is_ours = owner(live, &scope, &profile) == Owner::Ours;
            let is_alive = live.condition != Condition::Deleting;
            is_ours && is_alive && !is_older(live) && !was_missed(live)
        })?;
        let mut record = Record {
            retired: old.retired.clone(),
            ..as_record(node, live)
        };
        record.dependencies.extend(old.dependencies.iter().cloned());
        Some((node.address.clone(), record))
    };
    Ok(outdated.into_iter().filter_map(record).collect())
}
