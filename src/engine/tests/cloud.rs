//! A cloud in memory. Its objects hold what they refer to, take time to work and to go, are seen
//! late, and its answers can be wrong in every way an answer of AWS can be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::disk::Books;
use super::faults::{Effect, Fault, Operation, PATIENCE, Power, lost, refusal};
use super::kinds::{Outputs, Settings};
use super::objects::{Behaviour, Call, Object, id_of};
use super::{laws, trace};
use crate::resource::{
    Changes, Class, Condition, Error, Resolved, Result, STACK_TAG, Scope, Tags, UNKNOWN,
};

/// How long a request is on its way, and its answer too.
const LATENCY: Duration = Duration::from_millis(50);

/// How long after something was first seen a read may miss it once more.
const FLAPS: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Inner {
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) ghosts: BTreeMap<String, Object>,
    pub(super) calls: Vec<Call>,
    pub(super) faults: Vec<Fault>,
    pub(super) faults_met: usize,
    pub(super) snapshots: Vec<(String, String)>,
    /// How long reads miss what was made.
    pub(super) shows_after: Duration,
    /// How long reads miss what was updated.
    pub(super) update_shows_after: Duration,
    /// Nodes whose updates are accepted and do not stick.
    pub(super) stubborn: BTreeSet<String>,
    /// Nodes whose next object fails instead of becoming ready.
    pub(super) doomed: BTreeSet<String>,
    /// Nodes that AWS makes anew, without tags, so long after their deletion.
    pub(super) comes_back: BTreeMap<String, Duration>,
    returning: Vec<(Instant, Object)>,
    pub(super) returned: BTreeSet<String>,
    /// The read that is being answered misses what is new.
    is_flapping: bool,
    /// What no caller may ever do.
    pub(super) violations: Vec<String>,
    in_flight: usize,
    pub(super) most_in_flight: usize,
    made: usize,
}

pub(super) struct Cloud {
    inner: Mutex<Inner>,
    pub(super) power: Power,
    /// What the program has written down, to judge it by.
    pub(super) books: Arc<Mutex<Books>>,
    began: Instant,
}

impl Cloud {
    pub(super) fn new() -> Self {
        let inner = Mutex::new(Inner::default());
        Self {
            inner,
            power: Power::new(),
            books: Arc::default(),
            began: Instant::now(),
        }
    }

    /// How long the world has been there, for the reader of a trace.
    pub(super) fn time(&self) -> String {
        format!("{:8.2} s ", self.began.elapsed().as_secs_f64())
    }

    /// The cloud as it is now.
    pub(super) fn look(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.tick(Instant::now());
        inner
    }

    async fn call<T>(
        &self,
        operation: Operation,
        scope: &Scope,
        act: impl FnOnce(&mut Inner) -> Result<T>,
    ) -> Result<T> {
        self.power.needed().await;
        let effect = {
            let mut inner = self.look();
            inner.in_flight += 1;
            inner.most_in_flight = inner.most_in_flight.max(inner.in_flight);
            inner.fault(operation, &scope.node)
        };
        let _end = InFlight(self);
        let at = self.began.elapsed();
        self.latency().await;
        if effect == Some(Effect::CrashBefore) {
            self.power.cut().await;
        }
        let result = {
            let mut inner = self.look();
            inner.is_flapping = effect == Some(Effect::Flap);
            let result = match effect {
                Some(Effect::Refuse(code)) => Err(refusal(code)),
                Some(Effect::Throttle) => {
                    let error = Error::new("fake:Call", Class::Throttled, "slow down");
                    Err(error.with_code("Throttling"))
                }
                Some(Effect::LoseRequest | Effect::HangBefore) => Err(lost()),
                _ => act(&mut inner),
            };
            let code = result
                .as_ref()
                .err()
                .and_then(Error::code)
                .map(str::to_owned);
            let (node, token) = (scope.node.clone(), scope.token.clone());
            trace::note(|| {
                let answer = code.as_deref().unwrap_or("done");
                let mishap = effect.map(|effect| format!("  <- {effect:?}"));
                let mishap = mishap.unwrap_or_default();
                format!("{} {operation:?} {node}: {answer}{mishap}", self.time())
            });
            inner.calls.push(Call {
                operation,
                node,
                at,
                code,
                token,
            });
            result
        };
        if effect == Some(Effect::CrashAfter) {
            self.power.cut().await;
        }
        self.latency().await;
        match effect {
            Some(Effect::HangBefore | Effect::HangAfter) => {
                sleep_until(Instant::now() + PATIENCE).await;
                self.power.needed().await;
                Err(lost())
            }
            Some(Effect::LoseAnswer) => Err(lost()),
            _ => result,
        }
    }

    /// Keeps in mind what breaks a law.
    fn judge(&self, broken: impl FnOnce(&Inner, &Books) -> Option<String>) {
        let mut inner = self.look();
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = broken(&inner, &books);
        drop(books);
        inner.violations.extend(broken);
    }

    async fn latency(&self) {
        sleep_until(Instant::now() + LATENCY).await;
        self.power.needed().await;
    }

    pub(super) async fn read(
        &self,
        behaviour: Behaviour,
        scope: &Scope,
        want: &Settings<Resolved>,
        last: Option<&str>,
    ) -> Result<Option<(Outputs, Settings<Resolved>, Condition)>> {
        self.call(Operation::Read, scope, |inner| {
            let now = Instant::now();
            let found = inner.find(behaviour, scope, want, last, now);
            let is_missed = |object: &Object| {
                inner.is_flapping && object.gone_at.is_none() && object.visible_at + FLAPS > now
            };
            let found = found.filter(|object| !is_missed(object));
            Ok(found.map(|object| shown(object, now)))
        })
        .await
    }

    /// Everything of a kind that carries the stack's tag or is inside something that does.
    pub(super) async fn sweep(
        &self,
        behaviour: Behaviour,
        scope: &Scope,
    ) -> Result<Vec<(Outputs, Settings<Resolved>, Condition)>> {
        self.call(Operation::Read, scope, |inner| {
            let now = Instant::now();
            let all = inner.objects.values().chain(inner.ghosts.values());
            let of_kind = all.filter(|object| object.behaviour.kind == behaviour.kind);
            let by_the_cloud = |object: &Object| {
                behaviour.made_by_the_cloud && object.spec.tags == Some(Tags::default())
            };
            let found = of_kind.filter(|object| {
                let is_ours = inner.is_of(object, &scope.stack) || by_the_cloud(object);
                object.visible_at <= now && is_ours
            });
            Ok(found.map(|object| shown(object, now)).collect())
        })
        .await
    }

    /// Names what uses an object, after taking away what is left over.
    pub(super) fn make_way(&self, live: &Outputs) -> Vec<String> {
        let mut inner = self.look();
        let id = id_of(&live.arn).to_owned();
        let left_over = |object: &Object| object.node == LEFT_OVER && object.uses(&id);
        inner.objects.retain(|_, object| !left_over(object));
        let users = inner.objects.values().filter(|object| object.uses(&id));
        users.map(|object| object.node.clone()).collect()
    }

    pub(super) async fn create(
        &self,
        behaviour: Behaviour,
        scope: &Scope,
        want: &Settings<Resolved>,
    ) -> Result<Outputs> {
        self.judge(|inner, books| laws::broken_by_create(inner, books, behaviour, scope, want));
        self.call(Operation::Create, scope, |inner| {
            inner.check(behaviour, want)?;
            let now = Instant::now();
            if inner
                .objects
                .values()
                .any(|other| other.collides(behaviour, want))
            {
                return Err(refusal("AlreadyExists"));
            }
            let arn = inner.insert(behaviour, &scope.node, want.clone(), now);
            Ok(Outputs { arn })
        })
        .await
    }

    pub(super) async fn update(
        &self,
        behaviour: Behaviour,
        scope: &Scope,
        live: &Outputs,
        want: &Settings<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        self.judge(|inner, books| laws::broken_by_references(inner, books, &scope.node, want));
        self.call(Operation::Update, scope, |inner| {
            inner.check(behaviour, want)?;
            let delay = match behaviour.revisions {
                true => Duration::ZERO,
                false => inner.update_shows_after,
            };
            let shows_at = Instant::now() + delay;
            let is_stubborn = inner.stubborn.contains(&scope.node);
            if changes.touch("desired") || changes.touch_any(super::kinds::REPLACE_ON) {
                let names = changes.names().join(", ");
                inner
                    .violations
                    .push(format!("{} updates {names}", scope.node));
            }
            let Some(object) = inner.objects.get_mut(id_of(&live.arn)) else {
                return Err(refusal("NotThere"));
            };
            if !is_stubborn {
                let mut spec = object.spec.clone();
                spec.take(want, changes);
                object.coming = Some((shows_at, spec));
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn delete(&self, scope: &Scope, live: &Outputs) -> Result<()> {
        self.judge(|_, books| laws::broken_by_delete(books, scope));
        self.call(Operation::Delete, scope, |inner| {
            let now = Instant::now();
            let id = id_of(&live.arn);
            let is_held = inner
                .objects
                .values()
                .any(|o| o.behaviour.holds && o.uses(id));
            let Some(object) = inner.objects.get_mut(id) else {
                return Ok(());
            };
            if object.gone_at.is_some() {
                return Ok(());
            }
            if is_held {
                return Err(refusal("DependencyViolation"));
            }
            object.gone_at = Some(now + object.behaviour.gone_after);
            let foreign = object.spec.tags.as_ref().is_some_and(|tags| {
                // One whose node is something else by now goes under a name made of its id.
                let is_meant =
                    scope.node.ends_with(&object.id) && tags.0.get(STACK_TAG) == Some(&scope.stack);
                !is_meant && !tags.belong_to(scope)
            });
            let (shared, node) = (object.behaviour.shared, object.node.clone());
            if shared || (foreign && !inner.returned.contains(&node)) {
                inner
                    .violations
                    .push(format!("{} deletes what is not ours", scope.node));
            }
            if let Some(name) = &scope.final_snapshot {
                inner.snapshots.push((scope.node.clone(), name.clone()));
            }
            inner.tick(now);
            Ok(())
        })
        .await
    }

    /// Puts an object there that no run of ours made.
    pub(super) fn plant(
        &self,
        behaviour: Behaviour,
        node: &str,
        spec: Settings<Resolved>,
    ) -> String {
        let long_ago = self.began;
        let mut inner = self.look();
        let arn = inner.insert(behaviour, node, spec, long_ago);
        if let Some(object) = inner.objects.get_mut(id_of(&arn)) {
            (object.visible_at, object.ready_at) = (long_ago, long_ago);
        }
        arn
    }

    /// Breaks calls of `operations` to `node`.
    pub(super) fn fault(&self, operations: &'static [Operation], node: &str, effect: Effect) {
        self.faults(operations, node, 1, effect);
    }

    /// Breaks that many calls of `operations` to `node`.
    pub(super) fn faults(
        &self,
        operations: &'static [Operation],
        node: &str,
        times: usize,
        effect: Effect,
    ) {
        let fault = Fault {
            operations,
            node: Some(node.into()),
            after: 0,
            times,
            effect,
        };
        self.look().faults.push(fault);
    }
}

/// The node of objects that services have left behind.
pub(super) const LEFT_OVER: &str = "left-over";

fn shown(object: &Object, now: Instant) -> (Outputs, Settings<Resolved>, Condition) {
    let condition = match object.gone_at {
        Some(_) => Condition::Deleting,
        None if object.failed => Condition::Failed("it broke".into()),
        None if object.ready_at > now => Condition::Pending("creating".into()),
        None => Condition::Ready,
    };
    let outputs = Outputs { arn: object.arn() };
    (outputs, object.spec.clone(), condition)
}

struct InFlight<'a>(&'a Cloud);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.look().in_flight -= 1;
    }
}

impl Inner {
    fn fault(&mut self, operation: Operation, node: &str) -> Option<Effect> {
        let mut effect = None;
        for fault in &mut self.faults {
            let is_node = fault.node.as_deref().is_none_or(|name| name == node);
            if !is_node || !fault.operations.contains(&operation) || fault.times == 0 {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
            } else if effect.is_none() {
                fault.times -= 1;
                self.faults_met += 1;
                effect = Some(fault.effect);
            }
        }
        effect
    }

    /// Brings everything to what it is at `now`.
    fn tick(&mut self, now: Instant) {
        for object in self.objects.values_mut() {
            if let Some((_, spec)) = object.coming.take_if(|(at, _)| *at <= now) {
                object.spec = spec;
                object.revision += 1;
            }
        }
        let is_gone = |object: &Object| object.gone_at.is_some_and(|at| at <= now);
        let gone: Vec<Object> = self
            .objects
            .values()
            .filter(|o| is_gone(o))
            .cloned()
            .collect();
        for mut object in gone {
            self.objects.remove(&object.id);
            if let Some(after) = self.comes_back.remove(&object.node) {
                self.returned.insert(object.node.clone());
                let mut again = object.clone();
                // As AWS makes a log group again that a service writes to.
                again.spec.base.clear();
                again.spec.uses.clear();
                again.spec.tags = again.spec.tags.map(|_| Tags::default());
                self.returning.push((now + after, again));
            }
            if object.behaviour.ghost {
                object.gone_at = None;
                self.ghosts.insert(object.id.clone(), object);
            }
        }
        let due: Vec<_> = self
            .returning
            .extract_if(.., |(at, _)| *at <= now)
            .collect();
        for (at, object) in due {
            let mut others = self.objects.values();
            if !others.any(|other| other.collides(object.behaviour, &object.spec)) {
                self.insert(object.behaviour, &object.node, object.spec, at);
            }
        }
        let objects = &self.objects;
        self.ghosts.retain(|_, ghost| {
            ghost
                .spec
                .parent
                .as_deref()
                .is_some_and(|id| objects.contains_key(id_of(id)))
        });
    }

    fn insert(
        &mut self,
        behaviour: Behaviour,
        node: &str,
        mut spec: Settings<Resolved>,
        now: Instant,
    ) -> String {
        self.made += 1;
        let id = format!(
            "{}-{}",
            behaviour.kind.trim_start_matches("fake/"),
            self.made
        );
        // Some settings AWS takes only afterwards.
        spec.late = 0;
        self.ghosts
            .retain(|_, ghost| !ghost.collides(behaviour, &spec));
        let is_doomed = self.doomed.remove(node);
        self.faults_met += usize::from(is_doomed);
        let object = Object {
            behaviour,
            id: id.clone(),
            node: node.to_owned(),
            spec,
            revision: 1,
            failed: is_doomed,
            visible_at: now + self.shows_after,
            ready_at: now + behaviour.ready_after,
            gone_at: None,
            coming: None,
        };
        let arn = object.arn();
        self.objects.insert(id, object);
        arn
    }

    /// Says whether an object carries the stack's tag, or has no tags and is inside one that is.
    fn is_of(&self, object: &Object, stack: &str) -> bool {
        match (&object.spec.tags, &object.spec.parent) {
            (Some(tags), _) => tags.0.get(STACK_TAG).map(String::as_str) == Some(stack),
            (None, Some(parent)) => {
                let parent = self.objects.get(id_of(parent));
                parent.is_some_and(|parent| self.is_of(parent, stack))
            }
            (None, None) => false,
        }
    }

    /// Refuses references to what is not there, or does not work where it must.
    fn check(&mut self, behaviour: Behaviour, want: &Settings<Resolved>) -> Result<()> {
        if want.references().any(|arn| arn.contains(UNKNOWN)) {
            self.violations
                .push(format!("{} is sent a value nobody knows", behaviour.kind));
        }
        let now = Instant::now();
        for arn in want.references() {
            let known = self.objects.get(id_of(arn));
            let Some(object) = known.filter(|o| o.visible_at <= now && o.gone_at.is_none()) else {
                return Err(refusal("NotFoundYet"));
            };
            if behaviour.needs_ready && object.ready_at > now {
                return Err(refusal("NotReadyYet"));
            }
        }
        Ok(())
    }

    fn find(
        &self,
        behaviour: Behaviour,
        scope: &Scope,
        want: &Settings<Resolved>,
        last: Option<&str>,
        now: Instant,
    ) -> Option<&Object> {
        let visible = self.objects.values().chain(self.ghosts.values());
        let mut visible =
            visible.filter(|o| o.behaviour.kind == behaviour.kind && o.visible_at <= now);
        if let Some(arn) = last {
            return visible.find(|object| {
                let same_name = behaviour.made_by_the_cloud && object.spec.name == want.name;
                same_name || object.id == id_of(arn)
            });
        }
        let ours = |object: &&Object| {
            let tags = object.spec.tags.as_ref();
            let tagged = tags.is_some_and(|tags| tags.belong_to(scope));
            tagged && (!behaviour.shaped || object.spec.shape == want.shape)
        };
        if behaviour.named || behaviour.has_parent {
            visible.find(|object| object.collides(behaviour, want))
        } else {
            let found: Vec<&Object> = visible.filter(ours).collect();
            found
                .iter()
                .find(|o| o.gone_at.is_none())
                .or(found.first())
                .copied()
        }
    }
}
