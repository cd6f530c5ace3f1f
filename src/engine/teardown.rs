//! Takes a whole stack down and proves it: what the state knows, what the cloud shows beside it,
//! and a last look that must find nothing (law 8).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::apply::{ApplyOptions, apply};
use super::events::Event;
use super::graph::{Declaration, Node};
use super::observe::{Observations, observe_all};
use super::plan::{Action, Owner, Plan, PlanError, PlannedNode, owner};
use super::report::{Left, Report, StepError};
use super::wait::settle;
use super::{Context, Phase};
use crate::resource::{Address, AnyLive, Changes, Class, Error};
use crate::state::{Journal, Record, State, StateError};

/// What a teardown is allowed.
#[derive(Clone, Debug)]
pub struct TeardownOptions {
    /// See [`ApplyOptions`].
    pub apply: ApplyOptions,
    /// How long AWS may take to bring back what services write last (log groups), before the last
    /// look. About a minute on AWS (field guide, section 3).
    pub settle: Duration,
}

/// How often what is found by the last look is deleted before it is reported.
const ROUNDS: usize = 5;

/// Everything of a stack, recorded or not.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    /// The nodes to delete, by address, with what was read of them.
    pub nodes: BTreeMap<Address, (Record, Option<AnyLive>)>,
    /// Those of them whose deletion loses data.
    pub holding_data: BTreeSet<Address>,
}

/// Finds everything of the stack: what the state knows, and what is in the cloud under its tags or
/// names although the state does not know it.
pub async fn find_all(
    context: &Context,
    declaration: &Declaration,
    state: &State,
) -> Result<Whole, PlanError> {
    let found = observe_all(context, declaration, state).await;
    if !found.errors.is_empty() {
        return Err(PlanError {
            errors: found.errors,
        });
    }
    let mut whole = Whole::default();
    for (address, record) in &state.records {
        let live = found.live.get(address).cloned().flatten();
        whole.nodes.insert(address.clone(), (record.clone(), live));
    }
    let strangers = strangers(context, declaration, &found, &whole);
    for node in &declaration.nodes {
        let Some(Some(live)) = found.live.get(&node.address) else {
            continue;
        };
        let shared = context
            .profile(node.kind)
            .is_some_and(|profile| profile.shared);
        let ours = !strangers.contains(&node.address);
        if !shared && ours && !whole.nodes.contains_key(&node.address) {
            let record = as_record(node, live);
            whole
                .nodes
                .insert(node.address.clone(), (record, Some(live.clone())));
        }
    }
    let holds_data = |kind: &str| {
        context
            .profile(kind)
            .is_some_and(|profile| profile.holds_data)
    };
    whole.holding_data = whole
        .nodes
        .iter()
        .filter(|(_, (record, _))| holds_data(&record.kind))
        .map(|(address, _)| address.clone())
        .collect();
    Ok(whole)
}

/// What was found under our names and is not ours: it carries other tags, or it carries none and is
/// made on something that is not ours (law 3). What is `known` is ours whatever its tags say.
fn strangers(
    context: &Context,
    declaration: &Declaration,
    found: &Observations,
    known: &Whole,
) -> BTreeSet<Address> {
    let mut strangers = BTreeSet::new();
    for node in &declaration.nodes {
        let Some(Some(live)) = found.live.get(&node.address) else {
            continue;
        };
        let tagged = live.spec.get("tags").is_some_and(|tags| !tags.is_null());
        let is_stranger = match owner(live, &context.scope_of(&node.address)) {
            Owner::Somebody => true,
            Owner::Ours => !tagged && !node.dependencies().is_disjoint(&strangers),
        };
        if is_stranger && !known.nodes.contains_key(&node.address) {
            strangers.insert(node.address.clone());
        }
    }
    strangers
}

fn as_record(node: &Node, live: &AnyLive) -> Record {
    Record {
        outputs: Some(live.outputs.clone()),
        spec: Some(live.spec.clone()),
        dependencies: node.dependencies(),
        ..Record::new(node.kind)
    }
}

/// Deletes everything in `whole`, against the dependencies, then looks again.
pub async fn teardown(
    context: &Context,
    declaration: &Declaration,
    whole: &Whole,
    journal: &Arc<Journal>,
    options: TeardownOptions,
) -> Result<Report, StateError> {
    let known: BTreeSet<Address> = journal.read(|state| state.records.keys().cloned().collect());
    if whole.nodes.keys().any(|address| !known.contains(address)) {
        journal
            .write(|state| {
                for (address, (record, _)) in &whole.nodes {
                    state
                        .records
                        .entry(address.clone())
                        .or_insert_with(|| record.clone());
                }
            })
            .await?;
    }
    let stop = &options.apply.stop;
    let mut report = delete_recorded(context, journal, &options).await;
    if !report.is_complete() {
        return Ok(report);
    }
    if !options.settle.is_zero() && !whole.nodes.is_empty() {
        let reason = "log groups that AWS may write again".to_owned();
        context.events.send(Event::Settling {
            reason,
            during: options.settle,
        });
        settle(options.settle, stop).await;
    }
    for round in 0..=ROUNDS {
        // A look that a stop cuts short proves nothing.
        let looked = stop
            .cut(leftovers(context, declaration, whole, journal))
            .await;
        let Ok(looked) = looked else {
            report.stopped = true;
            return Ok(report);
        };
        let mut left = match looked {
            Ok(left) => left,
            Err(PlanError { errors }) => {
                report
                    .failed
                    .extend(errors.iter().map(|(address, error)| unseen(address, error)));
                return Ok(report);
            }
        };
        let is_final = |record: &Record| {
            context
                .profile(&record.kind)
                .is_some_and(|profile| profile.delete_is_final)
        };
        // The absence of some kinds cannot be seen; one more delete must do.
        left.nodes
            .retain(|_, (record, _)| round == 0 || !is_final(record));
        if left.nodes.is_empty() {
            break;
        }
        let records = left
            .nodes
            .into_iter()
            .map(|(address, (record, _))| (address, record));
        let records: BTreeMap<Address, Record> = records.collect();
        report
            .failed
            .extend(records.iter().filter(|_| round == ROUNDS).map(still_there));
        journal.write(|state| state.records.extend(records)).await?;
        if round < ROUNDS {
            let again = delete_recorded(context, journal, &options).await;
            report.failed.extend(again.failed);
            report.skipped.extend(again.skipped);
            report.stopped |= again.stopped;
            report.unanswered.extend(again.unanswered);
            report.unsaved = again.unsaved;
        }
        if !report.is_complete() {
            break;
        }
    }
    Ok(report)
}

async fn delete_recorded(
    context: &Context,
    journal: &Arc<Journal>,
    options: &TeardownOptions,
) -> Report {
    let mut failed = Vec::new();
    let nodes = journal.read(|state| {
        let mut nodes = Vec::new();
        for (address, record) in &state.records {
            match context.profile(&record.kind) {
                Some(profile) => nodes.push(PlannedNode {
                    address: address.clone(),
                    kind: record.kind.clone(),
                    action: Action::Delete,
                    changes: Changes::default(),
                    runtime: Changes::default(),
                    reason: None,
                    want: Value::Null,
                    live: None,
                    profile,
                }),
                None => failed.push(StepError {
                    address: address.clone(),
                    kind: record.kind.clone(),
                    phase: Phase::Remove,
                    left: Left::Recorded,
                    source: super::observe::unknown_kind(&record.kind),
                }),
            }
        }
        nodes
    });
    let plan = Plan {
        nodes,
        foreign: Vec::new(),
    };
    let nothing = Declaration::default();
    let mut report = apply(context, &nothing, &plan, journal, options.apply.clone()).await;
    report.failed.extend(failed);
    report
}

/// What the cloud still shows. What was ours and comes back under the same name without our tags
/// (a log group that a dying service wrote to) is ours too.
async fn leftovers(
    context: &Context,
    declaration: &Declaration,
    whole: &Whole,
    journal: &Journal,
) -> Result<Whole, PlanError> {
    let state = journal.read(Clone::clone);
    let found = observe_all(context, declaration, &state).await;
    if !found.errors.is_empty() {
        return Err(PlanError {
            errors: found.errors,
        });
    }
    let mut left = Whole::default();
    let strangers = strangers(context, declaration, &found, whole);
    for node in &declaration.nodes {
        let Some(Some(live)) = found.live.get(&node.address) else {
            continue;
        };
        let shared = context
            .profile(node.kind)
            .is_some_and(|profile| profile.shared);
        if !shared && !strangers.contains(&node.address) {
            left.nodes.insert(
                node.address.clone(),
                (as_record(node, live), Some(live.clone())),
            );
        }
    }
    Ok(left)
}

fn still_there((address, record): (&Address, &Record)) -> StepError {
    let error = Error::new(
        record.kind.clone(),
        Class::Refused,
        format!("it is there again after {ROUNDS} deletions"),
    )
    .with_advice("look for what makes it, then run `orderctl down` again");
    StepError {
        address: address.clone(),
        kind: record.kind.clone(),
        phase: Phase::Remove,
        left: Left::Recorded,
        source: error,
    }
}

fn unseen(address: &Address, error: &Error) -> StepError {
    StepError {
        address: address.clone(),
        kind: error.operation().to_owned(),
        phase: Phase::Remove,
        left: Left::Traceable,
        source: Error::new(
            error.operation(),
            Class::Unclear,
            format!("whether it is gone could not be seen: {error}"),
        )
        .with_advice("run `orderctl down` again"),
    }
}
