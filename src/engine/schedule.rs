//! Orders the steps of a plan. Making runs along the references, removing against them:
//!
//! ```text
//!   make(vpc) ──▶ make(subnet) ──▶ make(alb)          remove(alb) ──▶ remove(subnet) ──▶ remove(vpc)
//!
//!   replaced, delete first:   remove(a) ──▶ make(a)      with everything built on `a` replaced too
//!   replaced, create first:   make(a) ──▶ make(dependents move over) ──▶ remove(old a)
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};

use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graphmap::DiGraphMap;

use super::graph::Declaration;
use super::plan::{Action, Plan, PlannedNode};
use crate::resource::{Address, Replacement, Wait};
use crate::state::{Record, State};

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
        let leaves_something = |record: &Record| {
            let is_unanswered = record.outputs.is_none() && record.intent.is_some();
            is_unanswered || !record.retired.is_empty()
        };
        replaced_or_deleted || state.records.get(address).is_some_and(leaves_something)
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
        for dependent in dependents(declaration, &planned, state, address) {
            let Some(other) = planned.get(dependent) else {
                continue;
            };
            let stays = !matches!(other.action, Action::Delete) && !is_delete_first(other);
            if !stays {
                waits.insert(Step::Remove(dependent.clone()), Wait::Ready);
            } else if !goes_first || moves_away(declaration, dependent, address) {
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
    let only_mentions = |address: &Address| {
        let node = planned.get(address);
        node.is_some_and(|node| !node.profile.holds_inputs)
    };
    break_circles(&mut needs, &only_mentions);
    Schedule {
        steps: longest_first(needs, &planned),
    }
}

/// Says whether the node, as it is declared now, has nothing to do with `from` any more.
fn moves_away(declaration: &Declaration, node: &Address, from: &Address) -> bool {
    let declared = declaration
        .nodes
        .iter()
        .find(|declared| declared.address == *node);
    declared.is_some_and(|declared| !declared.edges.contains_key(from))
}

/// The nodes that were made from `address`: as recorded, and for those that exist without a record,
/// as declared.
fn dependents<'a>(
    declaration: &'a Declaration,
    planned: &HashMap<&Address, &PlannedNode>,
    state: &'a State,
    address: &Address,
) -> BTreeSet<&'a Address> {
    let recorded = state
        .records
        .iter()
        .filter(|(_, record)| record.dependencies.contains(address));
    let found = declaration.nodes.iter().filter(|node| {
        let exists = planned
            .get(&node.address)
            .is_some_and(|planned| planned.live.is_some());
        exists
            && !state.records.contains_key(&node.address)
            && node.dependencies().contains(address)
    });
    recorded
        .map(|(dependent, _)| dependent)
        .chain(found.map(|node| &node.address))
        .collect()
}

/// Drops waits of removals that would wait for each other for ever: it takes a removed node, a
/// replaced one below it, and a third that mentions both to run in a circle. Those for what merely
/// mentions others go first, as AWS does not mind. Without others AWS refuses a removal until its turn
/// comes, which its kind lists as "not yet".
fn break_circles(
    needs: &mut BTreeMap<Step, BTreeMap<Step, Wait>>,
    only_mentions: &dyn Fn(&Address) -> bool,
) {
    let successor_first = needs.iter().filter(|(step, waits)| {
        matches!(step, Step::Remove(_)) && waits.contains_key(&Step::Make(step.address().clone()))
    });
    let successor_first: BTreeSet<Step> = successor_first.map(|(step, _)| step.clone()).collect();
    let mentions_moving = |step: &Step, need: &Step| match (step, need) {
        (Step::Remove(a), Step::Make(b)) => a != b && only_mentions(b),
        _ => false,
    };
    let users_moving = |step: &Step, need: &Step| match (step, need) {
        (Step::Remove(a), Step::Make(b)) => a != b,
        (Step::Remove(_), Step::Remove(_)) => successor_first.contains(need),
        _ => false,
    };
    let users_going =
        |step: &Step, need: &Step| matches!((step, need), (Step::Remove(_), Step::Remove(_)));
    type Droppable<'a> = &'a dyn Fn(&Step, &Step) -> bool;
    let droppable: [Droppable<'_>; 3] = [&mentions_moving, &users_moving, &users_going];
    for is_droppable in droppable {
        let (names, graph) = as_graph(needs);
        for circle in tarjan_scc(&graph)
            .into_iter()
            .filter(|circle| circle.len() > 1)
        {
            let circle: BTreeSet<&Step> = circle.into_iter().map(|at| &names[at]).collect();
            for step in &circle {
                if let Some(waits) = needs.get_mut(*step) {
                    waits.retain(|need, _| !circle.contains(need) || !is_droppable(step, need));
                }
            }
        }
    }
}

/// The steps, and a graph over their positions that leads from what is needed to what needs it.
fn as_graph(needs: &BTreeMap<Step, BTreeMap<Step, Wait>>) -> (Vec<Step>, DiGraphMap<usize, ()>) {
    let names: Vec<Step> = needs.keys().cloned().collect();
    let mut graph = DiGraphMap::new();
    for (at, waits) in needs.values().enumerate() {
        graph.add_node(at);
        for need in waits
            .keys()
            .filter_map(|need| names.binary_search(need).ok())
        {
            graph.add_edge(need, at, ());
        }
    }
    (names, graph)
}

/// Sorts by the typical time of the longest chain that starts with the step, so that with free
/// places for only some calls the run takes as long as its longest chain (law 4).
fn longest_first(
    needs: BTreeMap<Step, BTreeMap<Step, Wait>>,
    planned: &HashMap<&Address, &PlannedNode>,
) -> Vec<(Step, BTreeMap<Step, Wait>)> {
    let (names, graph) = as_graph(&needs);
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
    // Without an order (impossible once circles are broken) the steps keep the given one.
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
