//! Runs the steps of a plan: as many at once as allowed, each as soon as what it needs is there.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::events::{Event, Phase};
use super::graph::{Declaration, Node};
use super::observe::Look;
use super::plan::{Action, Plan, PlannedNode};
use super::report::{Left, Report, StepError};
use super::schedule::{Schedule, Step, schedule};
use super::wait::{Stop, Stopped};
use super::{Context, make, remove};
use crate::resource::{Address, AnyLive, Error, Wait, resolve};
use crate::state::{Journal, State, StateError};

/// What a run is allowed.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// How many calls are in flight at once.
    pub parallelism: usize,
    /// Takes over resources that have our names but not our tags.
    pub adopt: bool,
    /// Identifier of the final snapshot, for deletes that can leave one.
    pub final_snapshot: Option<String>,
    /// The request to stop.
    pub stop: Stop,
}

/// Why a step did not reach its end.
#[derive(Debug)]
pub(super) enum StepEnd {
    /// AWS, or the state, said no.
    Failed(Left, Error),
    /// The run was stopped.
    Stopped(Stopped),
}

impl From<Stopped> for StepEnd {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl From<StateError> for StepEnd {
    fn from(error: StateError) -> Self {
        // The whole run ends then, and says why.
        if matches!(error, StateError::Lost { .. }) {
            return Self::Stopped(Stopped::Idle);
        }
        let source = Error::new("state", crate::resource::Class::Refused, error.to_string())
            .with_advice("make the state writable again, then run the same command again");
        Self::Failed(Left::Traceable, source)
    }
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq)]
enum Progress {
    Waiting,
    Exists,
    Done,
    Failed,
    Skipped,
}

/// A run: what all its steps share.
pub(super) struct Run {
    pub(super) context: Context,
    pub(super) journal: Arc<Journal>,
    pub(super) options: ApplyOptions,
    /// When it began. What an earlier run made had since then to show, at least.
    pub(super) began: Instant,
    plan: HashMap<Address, PlannedNode>,
    nodes: HashMap<Address, Node>,
    outputs: Mutex<HashMap<Address, Value>>,
    permits: Semaphore,
    progress: BTreeMap<Step, watch::Sender<Progress>>,
}

/// Brings the cloud to the plan. Failures of one branch do not stop the others.
pub async fn apply(
    context: &Context,
    declaration: &Declaration,
    plan: &Plan,
    journal: &Arc<Journal>,
    options: ApplyOptions,
) -> Report {
    if !plan.successors.is_empty() {
        let enter = |state: &mut State| state.records.extend(plan.successors.clone());
        // One that fails is tried again with the next, and told in the report.
        let _saved = journal.write(enter).await;
    }
    let Schedule { steps } = journal.read(|state| schedule(declaration, plan, state));
    let outputs = plan.nodes.iter().filter_map(|node| {
        let is_kept = node.action != Action::Replace && node.action != Action::Create;
        let live = node.live.as_ref().filter(|_| is_kept)?;
        Some((node.address.clone(), live.outputs.clone()))
    });
    let run = Arc::new(Run {
        context: context.clone(),
        journal: Arc::clone(journal),
        began: Instant::now(),
        plan: plan
            .nodes
            .iter()
            .map(|n| (n.address.clone(), n.clone()))
            .collect(),
        nodes: declaration
            .nodes
            .iter()
            .map(|n| (n.address.clone(), n.clone()))
            .collect(),
        outputs: Mutex::new(outputs.collect()),
        permits: Semaphore::new(options.parallelism.max(1)),
        progress: steps
            .iter()
            .map(|(step, _)| (step.clone(), watch::Sender::new(Progress::Waiting)))
            .collect(),
        options,
    });
    let mut tasks = JoinSet::new();
    for (step, needs) in steps {
        let run = Arc::clone(&run);
        tasks.spawn(async move {
            let end = run.step(&step, needs).await;
            (step, end)
        });
    }
    let mut report = Report::default();
    while let Some(joined) = tasks.join_next().await {
        let Ok((step, end)) = joined else { continue };
        run.enter(&mut report, step, end);
    }
    report.stopped = run.options.stop.is_stopped() && !report.skipped.is_empty();
    report.skipped.sort();
    report.save(journal).await;
    report
}

/// What a step needs that a stopped run has not done.
const THE_REST: &str = "the run to go on";

enum End {
    Nothing,
    Did(Action),
    Skipped(String),
    Unanswered,
    Failed(StepError),
}

impl Run {
    /// Makes a call that may change something, as soon as there is a place among those in flight. A
    /// stopped run begins none, nor does one whose lease is lost; it gives up those that do not answer
    /// in time.
    pub(super) async fn call<T>(&self, call: impl Future<Output = T>) -> Result<T, Stopped> {
        let stop = &self.options.stop;
        let _permit = stop.cut(self.permits.acquire()).await?;
        if self.journal.may_change().await.is_err() {
            return Err(Stopped::Idle);
        }
        stop.answer(call).await
    }

    /// Looks as soon as there is a place among the calls in flight. A stopped run does not look.
    pub(super) async fn look(
        &self,
        look: Look,
    ) -> Result<crate::resource::Result<Option<AnyLive>>, Stopped> {
        let stop = &self.options.stop;
        let _permit = stop.cut(self.permits.acquire()).await?;
        stop.cut(look.run(&self.context.kinds)).await
    }

    /// Says whether reads may miss what an earlier run made moments ago, after so many have: until it
    /// had time to show, and never because of one read alone.
    pub(super) fn may_miss(&self, misses: usize) -> bool {
        let lag = self.context.lag;
        !lag.is_zero() && (misses < 2 || self.began.elapsed() < lag)
    }

    /// The node's specification with everything that is known by now.
    pub(super) fn resolved(&self, node: &Node) -> (Value, bool) {
        let outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        let resolution = resolve(&node.spec, &|reference| {
            outputs
                .get(&reference.address)?
                .get(&reference.field)
                .cloned()
        });
        (resolution.spec, !resolution.incomplete)
    }

    /// Tells dependents that the node exists and what it gave.
    pub(super) fn exists(&self, address: &Address, outputs: &Value) {
        self.know(address, outputs);
        if let Some(progress) = self.progress.get(&Step::Make(address.clone())) {
            progress.send_if_modified(|progress| {
                let first = *progress == Progress::Waiting;
                if first {
                    *progress = Progress::Exists;
                }
                first
            });
        }
    }

    /// Keeps the node's outputs for those that refer to it.
    pub(super) fn know(&self, address: &Address, outputs: &Value) {
        let mut known = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(address.clone(), outputs.clone());
    }

    /// The node as declared.
    pub(super) fn node(&self, address: &Address) -> Option<&Node> {
        self.nodes.get(address)
    }

    /// Tells what the step waits for.
    pub(super) fn waiting(&self, address: &Address, reason: impl Into<String>) {
        let event = Event::Waiting {
            address: address.clone(),
            reason: reason.into(),
        };
        self.context.events.send(event);
    }

    async fn step(&self, step: &Step, needs: BTreeMap<Step, Wait>) -> End {
        let end = match self.needed(needs).await {
            Err(needs) => End::Skipped(needs),
            Ok(()) if self.options.stop.is_stopped() => End::Skipped(THE_REST.into()),
            Ok(()) => self.work(step).await,
        };
        if let Some(progress) = self.progress.get(step) {
            progress.send_replace(match end {
                End::Nothing | End::Did(_) => Progress::Done,
                End::Skipped(_) | End::Unanswered => Progress::Skipped,
                End::Failed(_) => Progress::Failed,
            });
        }
        end
    }

    /// Waits for every need; names the one that cannot be met any more.
    async fn needed(&self, needs: BTreeMap<Step, Wait>) -> Result<(), String> {
        for (need, wait) in needs {
            let Some(progress) = self.progress.get(&need) else {
                continue;
            };
            let mut receiver = progress.subscribe();
            let reached = receiver.wait_for(|progress| match progress {
                Progress::Waiting => false,
                Progress::Exists => wait == Wait::Exists,
                Progress::Done | Progress::Failed | Progress::Skipped => true,
            });
            let reached = reached.await.map(|progress| progress.clone());
            if matches!(reached, Ok(Progress::Failed | Progress::Skipped) | Err(_)) {
                return Err(need.address().to_string());
            }
        }
        Ok(())
    }

    async fn work(&self, step: &Step) -> End {
        let address = step.address();
        let Some(planned) = self.plan.get(address) else {
            return End::Nothing;
        };
        let phase = match step {
            Step::Make(_) => Phase::Make(planned.action),
            Step::Remove(_) => Phase::Remove,
        };
        let quiet = match step {
            Step::Make(_) => planned.action == Action::NoChange && !planned.is_waiting(),
            Step::Remove(_) => !remove::has_work(self, planned),
        };
        let times = planned.profile.times;
        let seconds = if phase == Phase::Remove {
            times.delete
        } else {
            times.create
        };
        if !quiet {
            self.context.events.send(Event::Started {
                address: address.clone(),
                kind: planned.kind.clone(),
                phase,
                typical: std::time::Duration::from_secs(seconds.into()),
            });
        }
        let begun = Instant::now();
        let end = match (step, self.nodes.get(address)) {
            (Step::Make(_), Some(node)) => make::make(self, node, planned).await,
            (Step::Make(_), None) => Ok(()),
            (Step::Remove(_), _) => remove::remove(self, planned).await,
        };
        match end {
            Ok(()) if quiet => End::Nothing,
            Ok(()) => {
                let took = begun.elapsed();
                self.context.events.send(Event::Done {
                    address: address.clone(),
                    phase,
                    took,
                });
                End::Did(planned.action)
            }
            Err(StepEnd::Stopped(Stopped::Idle)) => End::Skipped(THE_REST.to_owned()),
            Err(StepEnd::Stopped(Stopped::Unanswered)) => End::Unanswered,
            Err(StepEnd::Failed(left, source)) => {
                let error = source.to_string();
                self.context.events.send(Event::Failed {
                    address: address.clone(),
                    error,
                });
                let kind = planned.kind.clone();
                End::Failed(StepError {
                    address: address.clone(),
                    kind,
                    phase,
                    left,
                    source,
                })
            }
        }
    }

    fn enter(&self, report: &mut Report, step: Step, end: End) {
        let address = step.address().clone();
        match end {
            End::Nothing => {}
            End::Did(action) => {
                report.done.insert(address, action);
            }
            End::Unanswered => {
                report.unanswered.insert(address.clone());
                self.enter(report, step, End::Skipped(THE_REST.to_owned()));
            }
            End::Skipped(needs) => {
                self.context.events.send(Event::Skipped {
                    address: address.clone(),
                    needs: needs.clone(),
                });
                report.skipped.push((address, needs));
            }
            End::Failed(error) => report.failed.push(error),
        }
    }
}
