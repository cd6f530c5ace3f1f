//! Brings one node to what is wanted: observe, announce, create, record, wait until it works,
//! compare again, update, record.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::apply::{Run, StepEnd};
use super::create::foreign;
use super::graph::Node;
use super::observe::{Look, recorded, unknown_kind};
use super::plan::{Action, PlannedNode, compare, has_unknown};
use super::report::Left;
use super::wait::{Outcome, Pace, Stopped, persist};
use super::whose::{Owner, owner};
use crate::resource::{
    Address, AnyKind, AnyLive, Changes, Class, Condition, Error, Identity, Replacement, Result,
    Scope, Verb, without_foreign_tags,
};
use crate::state::{Intent, IntentAction, Record};

/// How long a read may miss what was just made (field guide, section 1, rule 6).
const INVISIBLE: Duration = Duration::from_secs(300);
/// How long AWS may take to show an update.
const UPDATE_SHOWS: Duration = Duration::from_secs(20);
const UPDATES: usize = 3;

pub(super) async fn make(run: &Run, node: &Node, planned: &PlannedNode) -> Result<(), StepEnd> {
    let kind = run
        .context
        .kind(node.kind)
        .ok_or_else(|| StepEnd::Failed(Left::Nothing, unknown_kind(node.kind)))?;
    let (want, complete) = run.resolved(node);
    if !complete || has_unknown(&want) {
        let error = Error::new(node.kind, Class::Refused, "a value it refers to is missing")
            .with_advice("run the same command again; report this if it stays");
        return Err(StepEnd::Failed(Left::Nothing, error));
    }
    let maker = Maker {
        run,
        node,
        planned,
        kind: Arc::clone(kind),
        want,
    };
    if planned.profile.shared {
        return maker.ensure_shared().await;
    }
    if planned.action == Action::NoChange && !planned.is_waiting() {
        return maker.keep().await;
    }
    maker.bring_about().await
}

pub(super) struct Maker<'a> {
    pub(super) run: &'a Run,
    pub(super) node: &'a Node,
    pub(super) planned: &'a PlannedNode,
    pub(super) kind: Arc<dyn AnyKind>,
    pub(super) want: Value,
}

impl Maker<'_> {
    pub(super) fn address(&self) -> &Address {
        &self.node.address
    }

    pub(super) fn scope(&self) -> Scope {
        self.run.context.scope_of(self.address())
    }

    async fn bring_about(&self) -> Result<(), StepEnd> {
        let (live, made) = match self.find().await? {
            Some(live) => {
                self.take_over(&live).await?;
                (Some(live), false)
            }
            None => {
                self.create().await?;
                (None, true)
            }
        };
        self.settle(live, made).await
    }

    /// The resource as it is, if it is there. A plan that has just seen that there is none is
    /// believed, unless an announced create never answered.
    async fn find(&self) -> Result<Option<AnyLive>, StepEnd> {
        let (announced, may_be_hidden) = self.run.journal.read(|state| {
            let Some(record) = state.records.get(self.address()) else {
                return (false, false);
            };
            let announced = record.outputs.is_none() && record.intent.is_some();
            // Reads by name see at once what is there; a recorded id may be too fresh for them.
            let by_name = announced && self.planned.profile.identity != Identity::Tags;
            (announced, may_be_hidden(record) && !by_name)
        });
        let replaced = self.planned.action == Action::Replace;
        if self.planned.live.is_none() && !announced && !may_be_hidden {
            return Ok(None);
        }
        if replaced && self.planned.profile.replacement == Replacement::CreateFirst {
            return Ok(None);
        }
        let begun = Instant::now();
        let mut pace = Pace::new();
        let mut misses = 0;
        loop {
            let found = self
                .observe()
                .await?
                .map_err(|e| StepEnd::Failed(Left::Recorded, e))?;
            match found {
                Some(live) if live.condition == Condition::Deleting => {
                    self.run
                        .waiting(self.address(), "the previous one is still being deleted");
                }
                Some(live) if self.is_retired(&live) => return Ok(None),
                Some(live) => return Ok(Some(live)),
                None => {
                    misses += 1;
                    if !may_be_hidden || !self.run.may_miss(misses) {
                        return Ok(None);
                    }
                    self.run.waiting(
                        self.address(),
                        "looking for what the last run may have made",
                    );
                }
            }
            if begun.elapsed() >= self.delete_limit() {
                return Err(self.too_long("it is still being deleted"));
            }
            pace.pause(&self.run.options.stop).await?;
        }
    }

    pub(super) fn is_retired(&self, live: &AnyLive) -> bool {
        self.run.journal.read(|state| {
            state
                .records
                .get(self.address())
                .is_some_and(|r| r.retired.iter().any(|old| old.outputs == live.outputs))
        })
    }

    /// Records a resource that exists, after making sure that it is ours to change (law 3).
    async fn take_over(&self, live: &AnyLive) -> Result<(), StepEnd> {
        let known = self
            .run
            .journal
            .read(|s| recorded(s, self.address()).is_some());
        if !known && self.owner(live) == Owner::Somebody && !self.may_take_over() {
            return Err(StepEnd::Failed(Left::Nothing, foreign(&self.planned.kind)));
        }
        // What we record as applied is what we may take away again: never tags of others.
        let applied = without_foreign_tags(&live.spec, &self.want, None);
        self.run
            .journal
            .write(|state| {
                let record = self.record(&mut state.records);
                // When a known one was made is known, or nobody knows.
                if !known {
                    record.created_at.get_or_insert_with(Timestamp::now);
                }
                record.outputs = Some(live.outputs.clone());
                record.spec.get_or_insert(applied);
                record.intent = Some(self.intent(IntentAction::Update, None));
            })
            .await?;
        if !self.planned.profile.outputs_change_on_update {
            self.run.exists(self.address(), &live.outputs);
        }
        Ok(())
    }

    pub(super) fn owner(&self, live: &AnyLive) -> Owner {
        owner(live, &self.scope(), &self.planned.profile)
    }

    /// Says whether the plan has shown that a resource of others is taken over here.
    pub(super) fn may_take_over(&self) -> bool {
        self.run.options.adopt && self.planned.live.is_some()
    }

    pub(super) fn record<'s>(
        &self,
        records: &'s mut std::collections::BTreeMap<Address, Record>,
    ) -> &'s mut Record {
        let record = records
            .entry(self.address().clone())
            .or_insert_with(|| Record::new(self.node.kind));
        // What it was made from stays in mind until it has moved.
        record.dependencies.extend(self.node.dependencies());
        record
    }

    /// Forgets what it was made from before, unless an older instance still holds that.
    fn has_moved(&self, record: &mut Record) {
        if record.retired.is_empty() {
            record.dependencies = self.node.dependencies();
        }
    }

    pub(super) fn intent(&self, action: IntentAction, token: Option<String>) -> Intent {
        Intent {
            action,
            since: Timestamp::now(),
            token,
            spec: Some(self.want.clone()),
            final_snapshot: None,
        }
    }

    /// Waits until it works and is as wanted; sends the updates that takes.
    async fn settle(&self, mut seen: Option<AnyLive>, made: bool) -> Result<(), StepEnd> {
        let begun = Instant::now();
        let mut pace = Pace::new();
        let mut updates = 0;
        let mut updated_at: Option<Instant> = None;
        loop {
            let live = match seen.take() {
                Some(live) => Some(live),
                None => self
                    .observe()
                    .await?
                    .map_err(|e| StepEnd::Failed(Left::Recorded, e))?,
            };
            let reason = match live {
                // One that a stopped run made moments ago may be seen by one look and missed by the next.
                None if (made || self.may_be_hidden()) && begun.elapsed() < INVISIBLE => {
                    "not visible yet".to_owned()
                }
                None => return Err(self.too_long("it was there and cannot be found any more")),
                Some(live) => {
                    let changes = self.changes(&live)?;
                    let is_ready = live.condition == Condition::Ready;
                    let recently = updated_at.is_some_and(|at| at.elapsed() < UPDATE_SHOWS);
                    // What is new is left alone until it works. What was there before may work only
                    // after the update.
                    let may_update = is_ready || (!made && updates == 0);
                    if changes.is_empty() && is_ready {
                        return self.finish(live).await;
                    } else if !changes.is_empty() && may_update && !recently {
                        if updates == UPDATES {
                            return Err(self.not_taken(&changes));
                        }
                        self.update(&live, &changes).await?;
                        updates += 1;
                        updated_at = Some(Instant::now());
                        pace = Pace::new();
                        continue;
                    }
                    match live.condition {
                        Condition::Failed(why) => return Err(self.failed(&why)),
                        Condition::Pending(word) => word,
                        Condition::Deleting => "being deleted".to_owned(),
                        Condition::Ready => {
                            format!("AWS to show {}", changes.names().join(", "))
                        }
                    }
                }
            };
            if begun.elapsed() >= Duration::from_secs(self.planned.profile.times.limit.into()) {
                return Err(self.too_long(&reason));
            }
            self.run.waiting(self.address(), reason);
            pace.pause(&self.run.options.stop).await?;
        }
    }

    fn may_be_hidden(&self) -> bool {
        self.run.journal.read(|state| {
            let record = state.records.get(self.address());
            record.is_some_and(may_be_hidden)
        })
    }

    fn changes(&self, live: &AnyLive) -> Result<Changes, StepEnd> {
        let last = self
            .run
            .journal
            .read(|state| recorded(state, self.address()));
        let last = last.as_ref().map(|(_, spec)| spec);
        let (changes, _) = compare(&self.want, live, last, &self.planned.profile);
        let forced: Vec<_> = changes
            .names()
            .into_iter()
            .filter(|field| self.planned.profile.replace_on.contains(&field.as_str()))
            .collect();
        if forced.is_empty() {
            return Ok(changes);
        }
        let message = format!(
            "AWS cannot change {} in place, and the plan did not say it would be replaced",
            forced.join(", ")
        );
        let error = Error::new(self.planned.kind.clone(), Class::Refused, message)
            .with_advice("run `orderctl plan` to see the replacement");
        Err(StepEnd::Failed(Left::Recorded, error))
    }

    async fn update(&self, live: &AnyLive, changes: &Changes) -> Result<(), StepEnd> {
        let scope = self.scope();
        let last = self
            .run
            .journal
            .read(|state| recorded(state, self.address()));
        let last = last.as_ref().map(|(_, spec)| spec);
        // A kind takes away the tags it sees and does not want: it must not see those of others.
        let live = &AnyLive {
            spec: without_foreign_tags(&live.spec, &self.want, last),
            ..live.clone()
        };
        let outcome = persist(
            &self.planned.profile,
            Verb::Update,
            &self.run.options.stop,
            || {
                let update = self.kind.update(&scope, live, &self.want, changes);
                self.run.call(update)
            },
            |error| self.run.waiting(self.address(), brief(error)),
        )
        .await;
        match outcome {
            Outcome::Done(()) => {
                // Kinds copy fields that AWS never returns from what was last applied.
                self.run
                    .journal
                    .write(|state| self.record(&mut state.records).spec = Some(self.want.clone()))
                    .await?;
                Ok(())
            }
            // An update says what the result is to be, so one whose answer was lost is seen or
            // repeated by the next comparison.
            Outcome::Unclear(_) => Ok(()),
            Outcome::Stopped(stopped) => Err(stopped.into()),
            Outcome::Failed(error) => Err(StepEnd::Failed(Left::Recorded, error)),
        }
    }

    async fn finish(&self, live: AnyLive) -> Result<(), StepEnd> {
        self.run
            .journal
            .write(|state| {
                let record = self.record(&mut state.records);
                record.outputs = Some(live.outputs.clone());
                record.spec = Some(self.want.clone());
                record.intent = None;
                record.ready_at.get_or_insert_with(Timestamp::now);
                self.has_moved(record);
            })
            .await?;
        self.run.exists(self.address(), &live.outputs);
        Ok(())
    }

    /// Nothing to do: the record is brought up to date if it says something else.
    async fn keep(&self) -> Result<(), StepEnd> {
        let Some(live) = &self.planned.live else {
            return Ok(());
        };
        self.run.exists(self.address(), &live.outputs);
        let mut fresh = None;
        let differs = self.run.journal.read(|state| {
            let old = state.records.get(self.address());
            let mut record = old.cloned().unwrap_or_else(|| Record::new(self.node.kind));
            self.has_moved(&mut record);
            record.outputs = Some(live.outputs.clone());
            record.spec = Some(self.want.clone());
            record.intent = None;
            record.ready_at.get_or_insert_with(Timestamp::now);
            let differs = old != Some(&record);
            fresh = Some(record);
            differs
        });
        if let (true, Some(record)) = (differs, fresh) {
            self.run
                .journal
                .write(|state| {
                    state.records.insert(self.address().clone(), record);
                })
                .await?;
        }
        Ok(())
    }

    pub(super) async fn observe(&self) -> Result<Result<Option<AnyLive>>, Stopped> {
        let look = Look {
            kind: self.node.kind,
            scope: self.scope(),
            want: self.want.clone(),
            last: self
                .run
                .journal
                .read(|state| recorded(state, self.address())),
        };
        self.run.look(look).await
    }

    fn delete_limit(&self) -> Duration {
        Duration::from_secs(self.planned.profile.times.delete_limit().into())
    }

    fn too_long(&self, reason: &str) -> StepEnd {
        let error = Error::new(
            self.planned.kind.clone(),
            Class::Refused,
            format!("AWS is not done with it: {reason}"),
        )
        .with_advice("run the same command again to go on waiting");
        StepEnd::Failed(Left::Recorded, error)
    }

    fn failed(&self, why: &str) -> StepEnd {
        let error = Error::new(
            self.planned.kind.clone(),
            Class::Refused,
            format!("AWS reports that it failed: {why}"),
        )
        .with_advice("mend the cause, then run the same command again");
        StepEnd::Failed(Left::Recorded, error)
    }

    fn not_taken(&self, changes: &Changes) -> StepEnd {
        let fields: Vec<String> = changes
            .0
            .iter()
            .map(|change| format!("{} is {} and not {}", change.path, change.from, change.to))
            .collect();
        let error = Error::new(
            self.planned.kind.clone(),
            Class::Refused,
            format!(
                "AWS accepted {UPDATES} updates, and still {}",
                fields.join("; ")
            ),
        )
        .with_advice("look for somebody or something else that sets these fields");
        StepEnd::Failed(Left::Recorded, error)
    }
}

/// Says whether reads may miss it because its create was announced or answered moments ago.
pub(super) fn may_be_hidden(record: &Record) -> bool {
    let announced = record.intent.as_ref().map(|intent| intent.since);
    let since = if record.outputs.is_some() {
        record.created_at
    } else {
        announced
    };
    let is_recent =
        |then: Timestamp| Timestamp::now().duration_since(then).unsigned_abs() < INVISIBLE;
    since.is_some_and(is_recent)
}

/// An error in the few words of a progress line.
pub(super) fn brief(error: &Error) -> String {
    format!(
        "{} answers {}",
        error.operation(),
        error.code().unwrap_or("nothing usable")
    )
}
