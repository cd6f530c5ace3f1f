//! Creates one node: announce, send, look for it when the answer is lost, record its id.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::apply::StepEnd;
use super::events::Event;
use super::make::{Maker, brief};
use super::plan::Action;
use super::report::Left;
use super::wait::{Outcome, Pace, persist};
use super::whose::Owner;
use crate::resource::{AnyLive, Class, Error, Identity, Replacement, Scope, Verb, diff};
use crate::state::{IntentAction, Record, Retired};

/// How long creates whose answers are lost are sent again.
const NEVER_ANSWERED: Duration = Duration::from_secs(120);

impl Maker<'_> {
    /// Announces, creates, and records the id the moment it is known (law 2).
    pub(super) async fn create(&self) -> Result<(), StepEnd> {
        let before = self
            .run
            .journal
            .read(|state| state.records.get(self.address()).cloned());
        let token = self.announce_create().await?;
        let scope = Scope {
            token: Some(token),
            ..self.scope()
        };
        let outputs = match self.send_create(&scope).await {
            Err(StepEnd::Failed(Left::Nothing, error)) => {
                return Err(self.take_back(before, error).await);
            }
            answer => answer?,
        };
        self.run
            .journal
            .write(|state| {
                let record = self.record(&mut state.records);
                record.outputs = Some(outputs.clone());
                record.spec = Some(self.want.clone());
                record.created_at = Some(Timestamp::now());
                record.ready_at = None;
            })
            .await?;
        self.run.context.events.send(Event::Created {
            address: self.address().clone(),
        });
        // Where an update gives new outputs, those of the create may not be the last.
        if !self.planned.profile.outputs_change_on_update {
            self.run.exists(self.address(), &outputs);
        }
        Ok(())
    }

    /// Makes sure an account-wide thing is there; it is never recorded as ours.
    pub(super) async fn ensure_shared(&self) -> Result<(), StepEnd> {
        let outputs = match &self.planned.live {
            Some(live) => live.outputs.clone(),
            None => self.send_create(&self.scope()).await?,
        };
        self.run.know(self.address(), &outputs);
        Ok(())
    }

    /// Sends the create until it is answered for good. What an unanswered one made is found before
    /// another is sent.
    async fn send_create(&self, scope: &Scope) -> Result<Value, StepEnd> {
        let is_ours =
            |live: &AnyLive| self.planned.profile.shared || self.owner(live) != Owner::Somebody;
        let mut lost_since: Option<Instant> = None;
        loop {
            let outcome = persist(
                &self.planned.profile,
                Verb::Create,
                &self.run.options.stop,
                || self.run.call(self.kind.create(scope, &self.want)),
                |error| self.run.waiting(self.address(), brief(error)),
            )
            .await;
            match outcome {
                Outcome::Done(outputs) => return Ok(outputs),
                Outcome::Stopped(stopped) => return Err(stopped.into()),
                Outcome::Failed(error) if error.class() == Class::AlreadyExists => {
                    // The name may be taken by what an earlier try made and reads do not show yet.
                    return match self.look_for(self.run.context.lag).await? {
                        Some(live) if is_ours(&live) || self.may_take_over() => Ok(live.outputs),
                        Some(_) => Err(StepEnd::Failed(Left::Nothing, foreign(&self.planned.kind))),
                        None => Err(StepEnd::Failed(Left::Traceable, error)),
                    };
                }
                Outcome::Failed(error) => {
                    // The refusal is of this request; an earlier one may have made it.
                    let left = match lost_since {
                        None => Left::Nothing,
                        Some(_) => Left::Traceable,
                    };
                    return Err(StepEnd::Failed(left, error));
                }
                Outcome::Unclear(error) => {
                    self.run.waiting(self.address(), brief(&error));
                    let began = *lost_since.get_or_insert_with(Instant::now);
                    let patience = match self.planned.profile.identity {
                        Identity::Tags => self.run.context.lag,
                        _ => Duration::ZERO,
                    };
                    match self.look_for(patience).await? {
                        Some(live) if is_ours(&live) => return Ok(live.outputs),
                        _ if began.elapsed() >= NEVER_ANSWERED => {
                            return Err(StepEnd::Failed(Left::Traceable, error));
                        }
                        _ => {
                            Pace::new().pause(&self.run.options.stop).await?;
                        }
                    }
                }
            }
        }
    }

    async fn announce_create(&self) -> Result<String, StepEnd> {
        let retire = self.planned.action == Action::Replace
            && self.planned.profile.replacement == Replacement::CreateFirst;
        let mut token = None;
        self.run
            .journal
            .write(|state| {
                let record = self.record(&mut state.records);
                let outputs = record.outputs.take();
                let is_known = outputs.is_some();
                if let (true, Some(live)) = (retire, &self.planned.live) {
                    // Without a record of it (a lost state or answer), it is as it was found.
                    let outputs = outputs.unwrap_or_else(|| live.outputs.clone());
                    let spec = record.spec.take().unwrap_or_else(|| live.spec.clone());
                    if !record.retired.iter().any(|old| old.outputs == outputs) {
                        record.retired.push(Retired { outputs, spec });
                    }
                }
                // Of what nobody has seen yet, a `down` that could not look keeps the announcement.
                let announced = record.intent.take().filter(|intent| match intent.action {
                    IntentAction::Create => true,
                    IntentAction::Delete => !is_known,
                    IntentAction::Update => false,
                });
                let other = announced.as_ref().and_then(|intent| intent.spec.clone());
                if let Some(spec) = other.filter(|other| self.may_stand_beside(other)) {
                    record.retired.push(Retired {
                        outputs: Value::Null,
                        spec,
                    });
                }
                let same = announced.filter(|intent| {
                    intent.action == IntentAction::Create
                        && intent.spec.as_ref() == Some(&self.want)
                });
                let fresh =
                    || self.intent(IntentAction::Create, Some(uuid::Uuid::new_v4().to_string()));
                let intent = record.intent.insert(same.unwrap_or_else(fresh));
                token = intent.token.clone();
            })
            .await?;
        Ok(token.unwrap_or_default())
    }

    /// Takes back the announcement of a create that AWS has refused, so that nobody looks for what
    /// never was: the record is as it was `before`. One look makes sure, because a create may be
    /// several calls of which the first went well.
    async fn take_back(&self, before: Option<Record>, error: Error) -> StepEnd {
        let found = self.observe().await;
        let is_ours = |live: &AnyLive| self.owner(live) == Owner::Ours && !self.is_retired(live);
        match found {
            Ok(Ok(Some(live))) if is_ours(&live) => {
                return StepEnd::Failed(Left::Traceable, error);
            }
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return StepEnd::Failed(Left::Traceable, error),
        }
        let undone = self.run.journal.write(|state| match before {
            Some(record) => {
                state.records.insert(self.address().clone(), record);
            }
            None => {
                state.records.remove(self.address());
            }
        });
        // Otherwise it stays announced, which costs the next run a look.
        let _saved = undone.await;
        StepEnd::Failed(Left::Nothing, error)
    }

    /// Says whether what an unanswered create made, for settings that were wanted then, may be
    /// something else than what is wanted now.
    fn may_stand_beside(&self, other: &Value) -> bool {
        let changes = diff(&self.want, other, None);
        changes.touch_any(self.planned.profile.replace_on)
    }

    /// Looks for a resource that an unclear create may have made.
    async fn look_for(&self, patience: Duration) -> Result<Option<AnyLive>, StepEnd> {
        let begun = Instant::now();
        let mut pace = Pace::new();
        loop {
            match self.observe().await? {
                Ok(Some(live)) if !self.is_retired(&live) => return Ok(Some(live)),
                Ok(_) if begun.elapsed() >= patience => return Ok(None),
                Ok(_) => {}
                Err(error) => return Err(StepEnd::Failed(Left::Traceable, error)),
            }
            pace.pause(&self.run.options.stop).await?;
        }
    }
}

/// The error for a resource that has our name but belongs to somebody else (law 3).
pub(super) fn foreign(kind: &str) -> Error {
    Error::new(
        kind,
        Class::AlreadyExists,
        "one of this name exists and is not this stack's",
    )
    .with_advice("use another suffix, delete it, or take it over with `orderctl up --adopt`")
}
