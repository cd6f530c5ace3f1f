//! Takes a whole stack down and proves it: what the state knows, what the cloud shows beside it,
//! and a last look that must find nothing (law 8).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::apply::{ApplyOptions, apply};
use super::events::Event;
use super::graph::Declaration;
use super::plan::{Action, Plan, PlanError, PlannedNode};
use super::report::{Left, Report, StepError};
use super::sweep::{Whole, find, ids};
use super::wait::settle;
use super::{Context, Kinds, Phase};
use crate::resource::{Address, Changes, Class, Error};
use crate::state::{Journal, Record, StateError};

/// What a teardown is allowed.
#[derive(Clone, Debug)]
pub struct TeardownOptions {
    /// See [`ApplyOptions`].
    pub apply: ApplyOptions,
    /// How long AWS may take to bring back what services write last (log groups), before the last
    /// look. About a minute on AWS (field guide, section 3).
    pub settle: Duration,
    /// Kinds for the looks that prove it.
    pub looks: Looks,
}

/// Makes kinds whose reads are shared among all who ask, for one look at a whole stack (law 5).
#[derive(Clone)]
pub struct Looks(Arc<dyn Fn() -> Kinds + Send + Sync>);

impl Looks {
    /// Looks with what `kinds` makes, a fresh set each time.
    pub fn with(kinds: impl Fn() -> Kinds + Send + Sync + 'static) -> Self {
        Self(Arc::new(kinds))
    }
}

impl std::fmt::Debug for Looks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Looks")
    }
}

/// How often what is found by the last look is deleted before it is reported.
const ROUNDS: usize = 5;

/// Deletes everything in `whole`, against the dependencies, then looks again.
pub async fn teardown(
    context: &Context,
    declaration: &Declaration,
    whole: &Whole,
    journal: &Arc<Journal>,
    options: TeardownOptions,
) -> Result<Report, StateError> {
    let is_recorded = journal.read(|state| {
        let recorded = |(address, (record, _)): (&Address, &(Record, _))| {
            state.records.get(address) == Some(record)
        };
        whole.nodes.iter().all(recorded)
    });
    if !is_recorded {
        let records = whole.nodes.iter();
        let records = records.map(|(address, (record, _))| (address.clone(), record.clone()));
        journal.write(|state| state.records.extend(records)).await?;
    }
    let stop = &options.apply.stop;
    let mut report = delete_recorded(context, whole, journal, &options).await;
    if !report.is_complete() {
        return Ok(report);
    }
    if !options.settle.is_zero() {
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
            .cut(leftovers(
                context,
                declaration,
                whole,
                journal,
                &options.looks,
            ))
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
        let records = left.nodes.iter();
        let records = records.map(|(address, (record, _))| (address.clone(), record.clone()));
        let records: BTreeMap<Address, Record> = records.collect();
        report
            .failed
            .extend(records.iter().filter(|_| round == ROUNDS).map(still_there));
        journal.write(|state| state.records.extend(records)).await?;
        if round < ROUNDS {
            let again = delete_recorded(context, &left, journal, &options).await;
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

/// Deletes everything recorded; what was just `seen` need not be looked at again first.
async fn delete_recorded(
    context: &Context,
    seen: &Whole,
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
                    live: seen.nodes.get(address).and_then(|(_, live)| live.clone()),
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
        ..Plan::default()
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
    looks: &Looks,
) -> Result<Whole, PlanError> {
    let context = Context {
        kinds: Arc::new((looks.0)()),
        ..context.clone()
    };
    let state = journal.read(Clone::clone);
    find(&context, declaration, &state, whole).await
}

fn still_there((address, record): (&Address, &Record)) -> StepError {
    let error = Error::new(
        record.kind.clone(),
        Class::Refused,
        format!(
            "{} is there again after {ROUNDS} deletions",
            ids(record).join(", ")
        ),
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
