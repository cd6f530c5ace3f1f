//! Orders the steps of a plan. Making runs along the references, removing against them:
//!
//! ```text
//!   make(vpc) ──▶ make(subnet) ──▶ make(alb)          remove(alb) ──▶ remove(subnet) ──▶ remove(vpc)
//!
//!   replaced, delete first:   remove(a) ──▶ make(a)      with everything built on `a` replaced too
//!   replaced, create first:   make(a) ──▶ make(dependents move over) ──▶ remove(old a)
//! ```

use std::collections::{BTreeMap, HashMap};

use petgraph::algo::toposort;
use petgraph::graphmap::DiGraphMap;

use super::graph::Declaration;
use super::plan::{Action, Plan, PlannedNode};
use crate::resource::{Address, Replacement, Wait};
use crate::state::State;

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    /// Bring the node to what is wanted.
    Make(Address),
    /// Delete the node, or the older instances of it.
    Remove(Address),
}

impl Step {
    pub(super) fn address(&self) -> &Address {
        match self {
            Self::Make(address) | Self::Remove(address) => address,
        }
    }
}

/// The steps, each with what it waits for; those with the longest chain behind them come first.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    pub(super) steps: Vec<(Step, BTreeMap<Step, Wait>)>,
}

pub(super) fn schedule(declaration: &Declaration, plan: &Plan, state: &State) -> Schedule {
    let planned: HashMap<&Address, &PlannedNode> = plan
        .nodes
        .iter()
        .map(|node| (&node.address, node))
        .collect();
    let is_delete_first = |node: &PlannedNode| {
        node.action == Action::Replace && node.profile.replacement == Replacement::DeleteFirst
    };
    let removes = |address: &Address| {
        let replaced_or_deleted = planned
            .get(address)
            .is_some_and(|node| matches!(node.action, Action::Delete | Action::Replace));
        replaced_or_deleted
            || state
                .records
                .get(address)
                .is_some_and(|record| !record.retired.is_empty())
    };
    let mut needs: BTreeMap<Step, BTreeMap<Step, Wait>> = BTreeMap::new();
    for node in &declaration.nodes {
        let mut waits: BTreeMap<Step, Wait> = node
            .edges
            .iter()
            .map(|(to, wait)| (Step::Make(to.clone()), *wait))
            .collect();
        if planned
            .get(&node.address)
            .is_some_and(|node| is_delete_first(node))
        {
            waits.insert(Step::Remove(node.address.clone()), Wait::Ready);
        }
        needs.insert(Step::Make(node.address.clone()), waits);
    }
    let candidates = plan.nodes.iter().map(|node| &node.address);
    for address in candidates.filter(|address| removes(address)) {
        let mut waits = BTreeMap::new();
        let node = planned.get(address);
        let goes_first = node.is_some_and(|node| is_delete_first(node));
        if node.is_some_and(|node| node.action != Action::Delete) && !goes_first {
            waits.insert(Step::Make(address.clone()), Wait::Ready);
        }
        for (dependent, _) in state
            .records
            .iter()
            .filter(|(_, record)| record.dependencies.contains(address))
        {
            let Some(other) = planned.get(dependent) else {
                continue;
            };
            let stays = !matches!(other.action, Action::Delete) && !is_delete_first(other);
            if !stays {
                waits.insert(Step::Remove(dependent.clone()), Wait::Ready);
            } else if !goes_first {
                // It has moved over to something else once it is made.
                waits.insert(Step::Make(dependent.clone()), Wait::Ready);
                if removes(dependent) {
                    waits.insert(Step::Remove(dependent.clone()), Wait::Ready);
                }
            }
        }
        needs.insert(Step::Remove(address.clone()), waits);
    }
    let known: Vec<Step> = needs.keys().cloned().collect();
    for waits in needs.values_mut() {
        waits.retain(|step, _| known.binary_search(step).is_ok());
    }
    Schedule {
        steps: longest_first(needs, &planned),
    }
}

/// Sorts by the typical time of the longest chain that starts with the step, so that with free
/// places for only some calls the run takes as long as its longest chain (law 4).
fn longest_first(
    needs: BTreeMap<Step, BTreeMap<Step, Wait>>,
    planned: &HashMap<&Address, &PlannedNode>,
) -> Vec<(Step, BTreeMap<Step, Wait>)> {
    let names: Vec<Step> = needs.keys().cloned().collect();
    let index: HashMap<&Step, usize> = names.iter().enumerate().map(|(i, s)| (s, i)).collect();
    let mut graph = DiGraphMap::<usize, ()>::new();
    for (step, waits) in &needs {
        graph.add_node(index[step]);
        for need in waits.keys() {
            graph.add_edge(index[need], index[step], ());
        }
    }
    let seconds = |step: &Step| {
        let Some(node) = planned.get(step.address()) else {
            return 0;
        };
        let times = node.profile.times;
        match (step, node.action) {
            (Step::Remove(_), _) => times.delete,
            (Step::Make(_), Action::NoChange) => 0,
            (Step::Make(_), _) => times.create,
        }
    };
    let mut chain = vec![0_u32; names.len()];
    // Without an order (impossible for a finished declaration) the steps keep the given one.
    for at in toposort(&graph, None).unwrap_or_default().into_iter().rev() {
        let behind = graph
            .neighbors(at)
            .map(|next| chain[next])
            .max()
            .unwrap_or(0);
        chain[at] = behind + seconds(&names[at]);
    }
    let mut steps: Vec<_> = needs.into_iter().collect();
    let length = |step: &Step| {
        names
            .binary_search(step)
            .map(|at| chain[at])
            .unwrap_or_default()
    };
    steps.sort_by_key(|(step, _)| std::cmp::Reverse(length(step)));
    steps
}
