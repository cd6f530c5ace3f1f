//! Deletes one node: announce, delete while AWS says "not yet", wait until it is gone, forget.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::apply::{Run, StepEnd};
use super::make::{brief, may_be_hidden};
use super::observe::{Look, unknown_kind};
use super::plan::{Action, Owner, PlannedNode, owner};
use super::report::Left;
use super::wait::{Outcome, Pace, persist};
use crate::resource::{AnyLive, Class, Condition, Error, Replacement, Result, Scope, Verb};
use crate::state::{Intent, IntentAction, Record};

/// How long a delete that AWS accepted may go unseen before it is sent again: reads may lag, and log
/// groups come back.
const REPEAT: Duration = Duration::from_secs(10);

pub(super) async fn remove(run: &Run, planned: &PlannedNode) -> Result<(), StepEnd> {
    let address = &planned.address;
    let Some(record) = recorded(run, planned).await? else {
        return Ok(());
    };
    for old in &record.retired {
        let instance = Instance {
            run,
            planned,
            outputs: Some(old.outputs.clone()).filter(|outputs| !outputs.is_null()),
            spec: old.spec.clone(),
            snapshot: None,
        };
        instance.remove().await?;
        run.journal
            .write(|state| {
                if let Some(record) = state.records.get_mut(address) {
                    record.retired.retain(|other| other != old);
                    let moved = run.node(address).filter(|_| !goes(planned));
                    if let (true, Some(node)) = (record.retired.is_empty(), moved) {
                        record.dependencies = node.dependencies();
                    }
                }
            })
            .await?;
    }
    if !goes(planned) {
        return Ok(());
    }
    if let (false, Some(spec)) = (planned.profile.shared, record.known_spec().cloned()) {
        let snapshot = announce(run, planned, &record).await?;
        let outputs = record.outputs.clone();
        Instance {
            run,
            planned,
            outputs,
            spec,
            snapshot,
        }
        .remove()
        .await?;
    }
    run.journal
        .write(|state| {
            state.records.remove(address);
        })
        .await?;
    Ok(())
}

fn goes(planned: &PlannedNode) -> bool {
    planned.action == Action::Delete
        || (planned.action == Action::Replace
            && planned.profile.replacement == Replacement::DeleteFirst)
}

/// Says whether there is anything to delete by now.
pub(super) fn has_work(run: &Run, planned: &PlannedNode) -> bool {
    let has_retired = |record: &Record| !record.retired.is_empty();
    let address = &planned.address;
    goes(planned)
        || run
            .journal
            .read(|state| state.records.get(address).is_some_and(has_retired))
}

/// The record of what goes. What is replaced after the state was lost gets one now.
async fn recorded(run: &Run, planned: &PlannedNode) -> Result<Option<Record>, StepEnd> {
    let address = &planned.address;
    let known = run
        .journal
        .read(|state| state.records.get(address).cloned());
    let found = planned
        .live
        .as_ref()
        .filter(|_| planned.action == Action::Replace);
    let (None, Some(live), Some(node)) = (&known, found, run.node(address)) else {
        return Ok(known);
    };
    let record = Record {
        outputs: Some(live.outputs.clone()),
        spec: Some(live.spec.clone()),
        dependencies: node.dependencies(),
        ..Record::new(node.kind)
    };
    run.journal
        .write(|state| {
            state.records.insert(address.clone(), record.clone());
        })
        .await?;
    Ok(Some(record))
}

/// Saves the intent to delete. A repeated delete leaves the same final snapshot as the first, but
/// whether to leave one is what the current command says.
async fn announce(
    run: &Run,
    planned: &PlannedNode,
    record: &Record,
) -> Result<Option<String>, StepEnd> {
    let known = record
        .intent
        .as_ref()
        .filter(|intent| intent.action == IntentAction::Delete);
    let wanted = run
        .options
        .final_snapshot
        .clone()
        .filter(|_| planned.profile.holds_data);
    let snapshot = wanted.map(|wanted| {
        known
            .and_then(|intent| intent.final_snapshot.clone())
            .unwrap_or(wanted)
    });
    let intent = Intent {
        action: IntentAction::Delete,
        since: known.map_or_else(Timestamp::now, |intent| intent.since),
        token: None,
        spec: record.known_spec().cloned(),
        final_snapshot: snapshot.clone(),
    };
    run.journal
        .write(|state| {
            if let Some(record) = state.records.get_mut(&planned.address) {
                record.intent = Some(intent);
            }
        })
        .await?;
    Ok(snapshot)
}

struct Instance<'a> {
    run: &'a Run,
    planned: &'a PlannedNode,
    outputs: Option<Value>,
    spec: Value,
    snapshot: Option<String>,
}

impl Instance<'_> {
    async fn remove(&self) -> Result<(), StepEnd> {
        let scope = Scope {
            final_snapshot: self.snapshot.clone(),
            ..self.run.context.scope_of(&self.planned.address)
        };
        let begun = Instant::now();
        let limit = Duration::from_secs(self.planned.profile.times.delete_limit().into());
        let mut pace = Pace::new();
        let mut sent: Option<Instant> = None;
        loop {
            let live = self
                .observe(&scope)
                .await
                .map_err(|error| StepEnd::Failed(Left::Recorded, error))?;
            let Some(live) = live else {
                if sent.is_some() || !self.may_still_show(begun) {
                    return Ok(());
                }
                let reason = "looking for what was made moments ago";
                self.run.waiting(&self.planned.address, reason);
                pace.pause(&self.run.options.stop)
                    .await
                    .map_err(|_| StepEnd::Stopped)?;
                continue;
            };
            // Found by its name alone, and not ours: then ours was never made.
            if self.outputs.is_none()
                && (owner(&live, &scope) == Owner::Somebody || self.is_current(&live))
            {
                return Ok(());
            }
            let due = sent.is_none_or(|at| at.elapsed() >= REPEAT);
            if live.condition != Condition::Deleting && due {
                let is_certain = self.delete(&scope, &live).await?;
                if is_certain && self.planned.profile.delete_is_final {
                    return Ok(());
                }
                sent = Some(Instant::now());
                continue;
            }
            if begun.elapsed() >= limit {
                let error = Error::new(
                    self.planned.kind.clone(),
                    Class::Refused,
                    "AWS has accepted the delete but is not done with it",
                )
                .with_advice("run the same command again to go on waiting");
                return Err(StepEnd::Failed(Left::Recorded, error));
            }
            self.run.waiting(&self.planned.address, "being deleted");
            pace.pause(&self.run.options.stop)
                .await
                .map_err(|_| StepEnd::Stopped)?;
        }
    }

    /// Says whether what was made moments ago may be there although reads miss it.
    fn may_still_show(&self, begun: Instant) -> bool {
        let is_hidden = self.run.journal.read(|state| {
            state
                .records
                .get(&self.planned.address)
                .is_some_and(may_be_hidden)
        });
        is_hidden && begun.elapsed() < self.run.context.lag
    }

    /// Says whether it is the instance in use.
    fn is_current(&self, live: &AnyLive) -> bool {
        self.run.journal.read(|state| {
            let record = state.records.get(&self.planned.address);
            record.is_some_and(|record| record.outputs.as_ref() == Some(&live.outputs))
        })
    }

    /// Sends the delete. Says whether it was answered; whether one whose answer was lost worked is
    /// seen by the next look.
    async fn delete(&self, scope: &Scope, live: &AnyLive) -> Result<bool, StepEnd> {
        let kind = self
            .run
            .context
            .kind(&self.planned.kind)
            .ok_or_else(|| StepEnd::Failed(Left::Recorded, unknown_kind(&self.planned.kind)))?;
        let outcome = persist(
            &self.planned.profile,
            Verb::Delete,
            &self.run.options.stop,
            || self.run.call(kind.delete(scope, live)),
            |error| self.run.waiting(&self.planned.address, brief(error)),
        )
        .await;
        match outcome {
            Outcome::Done(()) => Ok(true),
            Outcome::Unclear(_) => Ok(false),
            Outcome::Stopped => Err(StepEnd::Stopped),
            Outcome::Failed(error) => Err(StepEnd::Failed(Left::Recorded, error)),
        }
    }

    async fn observe(&self, scope: &Scope) -> Result<Option<AnyLive>> {
        let look = Look {
            kind: self.planned.profile.kind,
            scope: scope.clone(),
            want: self.spec.clone(),
            last: self
                .outputs
                .clone()
                .map(|outputs| (outputs, self.spec.clone())),
        };
        let _permit = self.run.permit().await;
        look.run(&self.run.context.kinds).await
    }
}
