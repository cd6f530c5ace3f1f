//! Deletes one node: announce, delete while AWS says "not yet", wait until it is gone, forget.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::apply::{Run, StepEnd};
use super::make::{brief, may_be_hidden};
use super::observe::{Look, unknown_kind};
use super::plan::{Action, PlannedNode};
use super::report::Left;
use super::wait::{Outcome, Pace, Stopped, persist};
use super::whose::{Owner, owner};
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
            seen: None,
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
        let seen = planned.live.clone().filter(|live| {
            planned.action == Action::Delete && outputs.as_ref() == Some(&live.outputs)
        });
        Instance {
            run,
            planned,
            outputs,
            spec,
            snapshot,
            seen,
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
    /// What the look before this run saw of it, which is enough to send the delete.
    seen: Option<AnyLive>,
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
        let mut seen = self.seen.clone();
        // When the last delete was sent, and the settings of what it deleted.
        let mut sent: Option<(Instant, Value)> = None;
        let mut is_accepted = false;
        let mut misses = 0;
        loop {
            let live = match seen.take() {
                Some(live) => Some(live),
                None => self
                    .observe(&scope)
                    .await?
                    .map_err(|error| StepEnd::Failed(Left::Recorded, error))?,
            };
            let Some(live) = live else {
                // What AWS was to delete and is not seen is gone. Not if the request may never have come
                // there: a read may miss what is new.
                misses += 1;
                if is_accepted || !self.may_still_show(misses) {
                    return Ok(());
                }
                let reason = "looking for what was made moments ago";
                self.run.waiting(&self.planned.address, reason);
                pace.pause(&self.run.options.stop).await?;
                continue;
            };
            // Found by its name alone, and not ours: then ours was never made.
            if self.outputs.is_none()
                && (owner(&live, &scope, &self.planned.profile) != Owner::Ours
                    || self.is_current(&live))
            {
                return Ok(());
            }
            // With other settings it is another one under the same name.
            let due = sent
                .as_ref()
                .is_none_or(|(at, spec)| at.elapsed() >= REPEAT || *spec != live.spec);
            if live.condition != Condition::Deleting && due {
                is_accepted = self.delete(&scope, &live).await?;
                if is_accepted && self.planned.profile.delete_is_final {
                    return Ok(());
                }
                sent = Some((Instant::now(), live.spec));
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
            pace.pause(&self.run.options.stop).await?;
        }
    }

    /// Says whether what was made moments ago may be there although so many reads have missed it.
    fn may_still_show(&self, misses: usize) -> bool {
        let is_hidden = self.run.journal.read(|state| {
            state
                .records
                .get(&self.planned.address)
                .is_some_and(may_be_hidden)
        });
        is_hidden && self.run.may_miss(misses)
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
        let profile = self.planned.profile.at_pace(self.run.context.pace());
        let users = Users::default();
        let outcome = persist(
            &profile,
            Verb::Delete,
            &self.run.options.stop,
            || async {
                let answer = self.run.call(kind.delete(scope, live)).await?;
                let refused = answer.as_ref().err();
                if refused.is_some_and(|e| profile.refuses(Verb::Delete, e)) && users.is_due() {
                    users.are(self.run.call(kind.make_way(scope, live)).await?);
                }
                Ok(answer)
            },
            |error| {
                let text = format!("{}{}", brief(error), users.text());
                self.run.waiting(&self.planned.address, text);
            },
        )
        .await;
        match outcome {
            Outcome::Done(()) => Ok(true),
            Outcome::Unclear(_) => Ok(false),
            Outcome::Stopped(stopped) => Err(stopped.into()),
            Outcome::Failed(error) => Err(StepEnd::Failed(Left::Recorded, users.explain(error))),
        }
    }

    async fn observe(&self, scope: &Scope) -> Result<Result<Option<AnyLive>>, Stopped> {
        let look = Look {
            kind: self.planned.profile.kind,
            scope: scope.clone(),
            want: self.spec.clone(),
            last: self
                .outputs
                .clone()
                .map(|outputs| (outputs, self.spec.clone())),
        };
        self.run.look(look).await
    }
}

/// How long AWS may refuse a delete before it is asked what stands in the way: most of it is gone
/// in a moment.
const ASK_AFTER: Duration = Duration::from_secs(3);
/// How often it is asked then.
const ASK_EVERY: Duration = Duration::from_secs(20);

/// What uses a resource that AWS refuses to delete.
struct Users(Mutex<Asked>);

struct Asked {
    next: Instant,
    users: Vec<String>,
}

impl Default for Users {
    fn default() -> Self {
        Self(Mutex::new(Asked {
            next: Instant::now() + ASK_AFTER,
            users: Vec::new(),
        }))
    }
}

impl Users {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self) -> bool {
        self.asked().next <= Instant::now()
    }

    fn are(&self, answer: Result<Vec<String>>) {
        let mut asked = self.asked();
        asked.next = Instant::now() + ASK_EVERY;
        // Not being allowed to look is no failure of the delete.
        asked.users = answer.unwrap_or_else(|error| vec![format!("something ({error})")]);
    }

    /// For the end of a progress line.
    fn text(&self) -> String {
        match self.asked().users.as_slice() {
            [] => String::new(),
            users => format!(": used by {}", users.join(", ")),
        }
    }

    fn explain(&self, error: Error) -> Error {
        let users = &self.asked().users;
        match error.advice() {
            None if !users.is_empty() => error.with_users(users).with_advice(
                "remove what uses it, or wait until it is gone, then run the same command again",
            ),
            _ => error.with_users(users),
        }
    }
}
