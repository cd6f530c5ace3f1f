//! Decides, without writing anything, what each node needs: the difference between the declaration
//! and the cloud, with the state telling drift from a new wish.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Context;
use super::catch_up::{CaughtUp, observe_caught_up};
use super::graph::{Declaration, Node};
use super::make::may_be_hidden;
use super::observe::{Observations, recorded};
use super::whose::{Owner, Whose, owner};
use crate::resource::{
    Address, AnyLive, Changes, Class, Condition, Error, Profile, Replacement, UNKNOWN, diff,
    resolve, without_foreign_tags,
};
use crate::state::{Record, State};

/// What is to be done with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Nothing.
    NoChange,
    /// Make it.
    Create,
    /// Take over one that exists: ours, found again, or another's under `--adopt`.
    Adopt,
    /// Change it in place.
    Update,
    /// Delete it and make it anew, in the order of its kind.
    Replace,
    /// Delete it.
    Delete,
}

/// One node of a plan.
#[derive(Clone, Debug)]
pub struct PlannedNode {
    /// The node.
    pub address: Address,
    /// Its kind.
    pub kind: String,
    /// What is to be done.
    pub action: Action,
    /// The fields that differ.
    pub changes: Changes,
    /// Fields the running system owns that differ: shown, never changed.
    pub runtime: Changes,
    /// Why, where the changes alone do not say it.
    pub reason: Option<String>,
    /// The settings wanted, with "(known after apply)" where they are not known yet.
    pub want: Value,
    /// What was read from AWS.
    pub live: Option<AnyLive>,
    /// What the kind says of itself.
    pub profile: Profile,
}

impl PlannedNode {
    /// Says whether applying it deletes what cannot be brought back.
    pub fn loses_data(&self) -> bool {
        self.profile.holds_data && matches!(self.action, Action::Replace | Action::Delete)
    }

    /// The fields that force a replacement.
    pub fn forced_by(&self) -> Vec<&str> {
        let fields = self.changes.0.iter().map(|change| change.field());
        fields
            .filter(|field| self.profile.replace_on.contains(field))
            .collect()
    }

    /// Says whether it exists but does not work yet, so that `up` waits for it.
    pub fn is_waiting(&self) -> bool {
        self.live
            .as_ref()
            .is_some_and(|live| live.condition != Condition::Ready)
    }
}

/// What a run would do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Every node: the declared ones in the order of their declaration, then those to delete.
    pub nodes: Vec<PlannedNode>,
    /// Resources that have a name of ours, belong to somebody else, and are left alone.
    pub foreign: Vec<PlannedNode>,
    /// Whose the foreign resources are, those that are to be taken over included.
    pub whose: BTreeMap<Address, Whose>,
    /// Records to be entered first, where the state is older than the cloud.
    pub successors: BTreeMap<Address, Record>,
}

impl Plan {
    /// Says whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.nodes
            .iter()
            .all(|node| node.action == Action::NoChange && !node.is_waiting())
    }

    /// The resources of others that are to be taken over.
    pub fn taken_over(&self) -> impl Iterator<Item = &PlannedNode> {
        let is_left = |address: &Address| self.foreign.iter().any(|node| node.address == *address);
        self.nodes
            .iter()
            .filter(move |node| self.whose.contains_key(&node.address) && !is_left(&node.address))
    }

    /// How many nodes need `action`.
    pub fn count(&self, action: Action) -> usize {
        self.nodes
            .iter()
            .filter(|node| node.action == action)
            .count()
    }

    /// The node at `address`.
    pub fn node(&self, address: &Address) -> Option<&PlannedNode> {
        self.nodes.iter().find(|node| node.address == *address)
    }
}

/// What the caller allows.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanOptions {
    /// Takes over resources that have our names but not our tags.
    pub adopt: bool,
}

/// Why there is no plan.
#[derive(Clone, Debug)]
pub struct PlanError {
    /// What could not be read.
    pub errors: BTreeMap<Address, Error>,
}

/// Compares the declaration with the cloud. Writes nothing.
pub async fn plan(
    context: &Context,
    declaration: &Declaration,
    state: &State,
    options: PlanOptions,
) -> Result<Plan, PlanError> {
    let errors = misfits(context, declaration, state);
    if !errors.is_empty() {
        return Err(PlanError { errors });
    }
    let CaughtUp {
        state,
        successors,
        observations,
    } = observe_caught_up(context, declaration, state).await?;
    let state = &*state;
    let mut plan = Plan {
        successors,
        ..Plan::default()
    };
    for node in &declaration.nodes {
        let Some(profile) = context.profile(node.kind) else {
            let error = super::observe::unknown_kind(node.kind);
            return Err(PlanError {
                errors: [(node.address.clone(), error)].into(),
            });
        };
        let scope = context.scope_of(&node.address);
        let live = observations.live.get(&node.address).cloned().flatten();
        let is_known = recorded(state, &node.address).is_some();
        let unknown = live
            .filter(|live| !is_known && !profile.shared && live.condition != Condition::Deleting);
        let owner = unknown.as_ref().map(|live| owner(live, &scope, &profile));
        let whose = unknown
            .filter(|_| owner == Some(Owner::Somebody))
            .map(|live| Whose::of(&live, &scope));
        let is_left = whose
            .as_ref()
            .is_some_and(|whose| !options.adopt || !whose.may_lose_it());
        let mut planned = decide(
            node,
            profile,
            is_left,
            &plan,
            declaration,
            &observations,
            state,
        );
        if let Some(whose) = whose {
            if planned.action == Action::Adopt || planned.reason.is_none() {
                planned.reason = Some("it exists without this stack's tags".to_owned());
            }
            plan.whose.insert(node.address.clone(), whose);
        } else if owner == Some(Owner::Aws) && planned.action == Action::Adopt {
            planned.reason = Some("AWS made it by itself, under a name of this stack".to_owned());
        }
        if let Some(part_of) = taken_with(&planned, node, &plan) {
            planned.reason = Some(format!("it is part of `{part_of}`"));
        }
        if is_left {
            plan.foreign.push(planned.clone());
        }
        plan.nodes.push(planned);
    }
    plan.nodes.extend(deletions(context, declaration, state));
    Ok(plan)
}

/// The foreign node that an unrecorded one without tags comes with.
fn taken_with(planned: &PlannedNode, node: &Node, plan: &Plan) -> Option<Address> {
    let live = planned.live.as_ref()?;
    let has_tags = live.spec.get("tags").is_some_and(|tags| !tags.is_null());
    if planned.action != Action::Adopt || has_tags {
        return None;
    }
    let mut below = node.dependencies().into_iter();
    below.find(|to| plan.whose.contains_key(to))
}

fn decide(
    node: &Node,
    profile: Profile,
    is_left: bool,
    plan: &Plan,
    declaration: &Declaration,
    observations: &Observations,
    state: &State,
) -> PlannedNode {
    let want = resolve(&node.spec, &|reference| {
        let upstream = plan.node(&reference.address)?;
        // Tags alone never make other outputs.
        let changes_outputs = upstream.action == Action::Update
            && upstream.profile.outputs_change_on_update
            && upstream.changes.names().iter().any(|name| name != "tags");
        match upstream.action {
            Action::Create | Action::Replace => None,
            _ if changes_outputs => None,
            _ => upstream
                .live
                .as_ref()?
                .outputs
                .get(&reference.field)
                .cloned(),
        }
    })
    .spec;
    let last = recorded(state, &node.address);
    let live = observations.live.get(&node.address).cloned().flatten();
    let mut planned = PlannedNode {
        address: node.address.clone(),
        kind: node.kind.to_owned(),
        action: Action::NoChange,
        changes: Changes::default(),
        runtime: Changes::default(),
        reason: None,
        want,
        live,
        profile,
    };
    let record = state.records.get(&node.address);
    let replaced_below = replaced_below(node, profile, plan, declaration, state);
    if replaced_below.is_some() {
        // Whatever its kind prefers: what it holds can go only after it.
        planned.profile.replacement = Replacement::DeleteFirst;
    }
    let Some(live) = &planned.live else {
        // What may be there has to go first all the same: reads may miss it, or it was announced for
        // another place than it is wanted at now.
        let may_be_there = |record: &Record| record.outputs.is_none() || may_be_hidden(record);
        let is_in_the_way = replaced_below.is_some() && record.is_some_and(may_be_there);
        planned.action = if is_in_the_way {
            Action::Replace
        } else {
            Action::Create
        };
        planned.changes = diff(&planned.want, &Value::Null, None);
        planned.reason = last
            .is_some()
            .then(|| "drift: it was made before and is gone from AWS".to_owned());
        return planned;
    };
    if profile.shared {
        return planned;
    }
    let last_spec = last.as_ref().map(|(_, spec)| spec);
    (planned.changes, planned.runtime) = compare(&planned.want, live, last_spec, &profile);
    planned.action = if live.condition == Condition::Deleting {
        planned.reason = Some("AWS is still deleting the previous one".to_owned());
        // What it is built on waits for its end, as it does for that of its neighbours.
        if record.is_some() && replaced_below.is_some() {
            Action::Replace
        } else {
            Action::Create
        }
    } else if is_left {
        Action::Adopt
    } else if !planned.forced_by().is_empty() {
        Action::Replace
    } else if let (Condition::Failed(why), true) = (&live.condition, profile.replace_when_failed) {
        planned.reason = Some(format!("it failed: {why}"));
        Action::Replace
    } else if let Some(to) = replaced_below {
        planned.reason = Some(format!("it is built on `{to}`, which is replaced"));
        Action::Replace
    } else if last.is_none() {
        planned.reason = Some("it exists and is ours; the state does not know it".to_owned());
        Action::Adopt
    } else if !planned.changes.is_empty() {
        Action::Update
    } else {
        Action::NoChange
    };
    planned
}

/// What the node holds that can only go before its successor is made, so that the node must go
/// before both. What it held so far counts too, if it can move away only after that has gone.
fn replaced_below(
    node: &Node,
    profile: Profile,
    plan: &Plan,
    declaration: &Declaration,
    state: &State,
) -> Option<Address> {
    if !profile.holds_inputs {
        return None;
    }
    let goes_first = |address: &Address| {
        plan.node(address).is_some_and(|below| {
            below.action == Action::Replace && below.profile.replacement == Replacement::DeleteFirst
        })
    };
    let declared = node.dependencies();
    if let Some(below) = declared.iter().find(|to| goes_first(to)) {
        return Some(below.clone());
    }
    let held = &state.records.get(&node.address)?.dependencies;
    let awaited = below(declaration, None, &node.address);
    let is_deadlocked = |to: &&Address| {
        // What is not in the plan is not declared any more, and goes.
        let goes = plan
            .node(to)
            .is_none_or(|held| held.action == Action::Replace);
        let mut waiting = below(declaration, Some(state), to);
        waiting.insert((*to).clone());
        goes && waiting.intersection(&awaited).any(&goes_first)
    };
    held.iter().find(is_deadlocked).cloned()
}

/// Everything the node is to be made after, directly or not, and with `state`, was made from.
fn below(declaration: &Declaration, state: Option<&State>, address: &Address) -> BTreeSet<Address> {
    let mut found = BTreeSet::new();
    let mut open = vec![address.clone()];
    while let Some(address) = open.pop() {
        let declared = declaration
            .nodes
            .iter()
            .find(|node| node.address == address);
        let recorded = state.and_then(|state| state.records.get(&address));
        let declared = declared.into_iter().flat_map(|node| node.edges.keys());
        let recorded = recorded.into_iter().flat_map(|record| &record.dependencies);
        let next = declared
            .chain(recorded)
            .filter(|next| found.insert((*next).clone()));
        open.extend(next.cloned());
    }
    found
}

/// The changes to make, and apart from them those that the running system owns.
pub(super) fn compare(
    want: &Value,
    live: &AnyLive,
    last: Option<&Value>,
    profile: &Profile,
) -> (Changes, Changes) {
    let present = without_foreign_tags(&live.spec, want, last);
    let all = diff(want, &present, last);
    let (runtime, changes) = all
        .0
        .into_iter()
        .partition(|change| profile.runtime_owned.contains(&change.field()));
    (Changes(changes), Changes(runtime))
}

/// Records that this program cannot work on: of a kind it does not know, or of another kind than
/// what is declared at their address.
fn misfits(
    context: &Context,
    declaration: &Declaration,
    state: &State,
) -> BTreeMap<Address, Error> {
    let mut errors = BTreeMap::new();
    for (address, record) in &state.records {
        if context.kind(&record.kind).is_none() {
            let error = super::observe::unknown_kind(&record.kind);
            errors.insert(address.clone(), error);
        }
    }
    for node in &declaration.nodes {
        let record = state.records.get(&node.address);
        if let Some(record) = record.filter(|record| record.kind != node.kind) {
            let message = format!("the state knows it as {}, another kind", record.kind);
            let error = Error::new(node.kind, Class::Refused, message);
            let error = error.with_advice("use the version of orderctl that wrote the state");
            errors.entry(node.address.clone()).or_insert(error);
        }
    }
    errors
}

/// Recorded nodes that are not declared any more, and older instances a replacement left.
fn deletions(context: &Context, declaration: &Declaration, state: &State) -> Vec<PlannedNode> {
    let declared: BTreeSet<&Address> = declaration.nodes.iter().map(|n| &n.address).collect();
    let gone = state
        .records
        .iter()
        .filter(|(address, _)| !declared.contains(address));
    gone.filter_map(|(address, record)| {
        Some(PlannedNode {
            address: address.clone(),
            kind: record.kind.clone(),
            action: Action::Delete,
            changes: Changes::default(),
            runtime: Changes::default(),
            reason: Some("it is not declared any more".to_owned()),
            want: Value::Null,
            live: None,
            profile: context.profile(&record.kind)?,
        })
    })
    .collect()
}

/// Says whether the specification still holds a value that is not known.
pub(super) fn has_unknown(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(UNKNOWN),
        Value::Array(items) => items.iter().any(has_unknown),
        Value::Object(map) => map.values().any(has_unknown),
        _ => false,
    }
}
