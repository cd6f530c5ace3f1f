//! Catches up with a cloud that has gone on without the state: an older state was put back, what it
//! records is gone, and what took its place can be found as after a lost one (law 1).

use std::collections::BTreeMap;

use super::Context;
use super::events::Events;
use super::graph::{Declaration, Node};
use super::observe::{Look, Observations, read, recorded};
use super::plan::{PlanError, has_unknown};
use super::sweep::as_record;
use super::whose::{Owner, owner};
use crate::resource::{Address, AnyLive, Condition, Identity};
use crate::state::{Record, State};

/// Gives new records for the nodes whose recorded resource is gone and has a successor, which the
/// id in the state hides: they are looked for once more, without it. What is inside others is found
/// when those are.
pub(super) async fn successors(
    context: &Context,
    declaration: &Declaration,
    state: &State,
    observations: &Observations,
) -> Result<BTreeMap<Address, Record>, PlanError> {
    let is_gone = |node: &&Node| {
        let live = observations.live.get(&node.address);
        recorded(state, &node.address).is_some() && live.is_some_and(Option::is_none)
    };
    let gone: Vec<&Node> = declaration.nodes.iter().filter(is_gone).collect();
    let looks = gone.iter().filter_map(|node| {
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
    read(&quiet, looks.collect(), gone.len(), &mut found).await;
    if !found.errors.is_empty() {
        return Err(PlanError {
            errors: found.errors,
        });
    }
    let record = |node: &Node| {
        let old = state.records.get(&node.address)?;
        let is_older = |live: &AnyLive| old.retired.iter().any(|it| it.outputs == live.outputs);
        let live = found.live.get(&node.address)?.as_ref();
        let scope = context.scope_of(&node.address);
        let profile = context.profile(node.kind)?;
        let live = live.filter(|live| {
            let is_ours = owner(live, &scope, &profile) == Owner::Ours;
            is_ours && live.condition != Condition::Deleting && !is_older(live)
        })?;
        if old.outputs.as_ref() == Some(&live.outputs) {
            // The first read had missed it.
            return Some((node.address.clone(), old.clone()));
        }
        let mut record = Record {
            retired: old.retired.clone(),
            ..as_record(node, live)
        };
        record.dependencies.extend(old.dependencies.iter().cloned());
        Some((node.address.clone(), record))
    };
    Ok(gone.into_iter().filter_map(record).collect())
}
