//! A cloud, a place for states, and the commands as a user runs them, one process after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::cloud::{Cloud, Inner};
use super::faults::Operation;
use super::kinds::{self, Fake, Settings, Traits};
use super::objects::Object;
use crate::engine::{
    Action, ApplyOptions, Context, Declaration, Event, Events, Graph, Looks, Plan, PlanError,
    PlanOptions, READS_LAG, Report, Stop, Stopper, TeardownOptions, Whole, apply, find_all, plan,
    teardown,
};
use crate::resource::{
    Address, BoxFuture, Declared, Handle, Identity, NODE_TAG, Resolved, STACK_TAG, Scope, Tags,
};
use crate::state::{Holder, Journal, Lease, Lock, Record, State, StateError, Store};

pub(super) const STACK: &str = "dev";

/// What goes wrong with one save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SaveFault {
    /// The disk refuses.
    Fail,
    /// The power fails before the state is written.
    CrashBefore,
    /// The power fails after it.
    CrashAfter,
}

/// A store in memory.
pub(super) struct Disk {
    cloud: Arc<Cloud>,
    state: Mutex<Option<State>>,
    pub(super) saves: AtomicUsize,
    /// By the number of the save.
    pub(super) faults: Mutex<BTreeMap<usize, SaveFault>>,
    pub(super) faults_met: AtomicUsize,
}

impl Disk {
    pub(super) fn state(&self) -> Option<State> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set(&self, state: Option<State>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl Store for Disk {
    fn load<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<State>, StateError>> {
        Box::pin(async { Ok(self.state()) })
    }

    fn save<'a>(&'a self, state: &'a State) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(async {
            let power = &self.cloud.power;
            power.needed().await;
            let number = self.saves.fetch_add(1, Ordering::SeqCst);
            let fault = self
                .faults
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&number);
            if fault.is_some() {
                self.faults_met.fetch_add(1, Ordering::SeqCst);
            }
            sleep_until(Instant::now() + Duration::from_millis(2)).await;
            power.needed().await;
            match fault {
                Some(SaveFault::CrashBefore) => power.cut().await,
                Some(SaveFault::Fail) => {
                    let (place, reason) = ("memory".to_owned(), "the disk is full".to_owned());
                    return Err(StateError::Access { place, reason });
                }
                _ => {}
            }
            // What is written is read again by another process.
            let text = serde_json::to_string(state).unwrap();
            self.set(Some(State::parse(&text, "memory").unwrap()));
            if fault == Some(SaveFault::CrashAfter) {
                power.cut().await;
            }
            Ok(())
        })
    }

    fn remove<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(async {
            self.set(None);
            Ok(())
        })
    }

    fn lock<'a>(&'a self, stack: &'a str, _: &'a str) -> BoxFuture<'a, Result<Lock, StateError>> {
        Box::pin(async {
            Err(StateError::Locked {
                stack: stack.into(),
                owner: "nobody".into(),
            })
        })
    }

    fn holder<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Holder>, StateError>> {
        Box::pin(async { Ok(None) })
    }

    fn unlock<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Holder>, StateError>> {
        Box::pin(async { Ok(None) })
    }

    fn stacks(&self) -> BoxFuture<'_, Result<Vec<String>, StateError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn place(&self, _: &str) -> String {
        "memory".to_owned()
    }
}

/// How one run of a command ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The power failed.
    Crashed,
    /// Something could not be read, so nothing was written.
    Blind(#[expect(dead_code, reason = "shown when a test fails")] PlanError),
    /// The state could not be written.
    Unsaved(#[expect(dead_code, reason = "shown when a test fails")] StateError),
    Finished(Report),
}

impl Ended {
    pub(super) fn report(self) -> Report {
        match self {
            Self::Finished(report) => report,
            other => panic!("no report: {other:?}"),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Finished(report) if report.is_complete())
    }
}

/// Everything outside the program.
pub(super) struct World {
    pub(super) cloud: Arc<Cloud>,
    pub(super) disk: Arc<Disk>,
    pub(super) parallelism: usize,
    pub(super) adopt: bool,
    pub(super) final_snapshot: Option<String>,
    pub(super) stop: Stop,
    stopper: Stopper,
    /// Under which all runs are.
    pub(super) lease: Lease,
    events: Mutex<Vec<Event>>,
}

impl World {
    pub(super) fn new() -> Self {
        // The same jitter every time.
        fastrand::seed(7);
        let cloud = Arc::new(Cloud::new());
        let disk = Disk {
            cloud: Arc::clone(&cloud),
            state: Mutex::default(),
            saves: AtomicUsize::new(0),
            faults: Mutex::default(),
            faults_met: AtomicUsize::new(0),
        };
        let (stopper, stop) = Stop::pair();
        Self {
            cloud,
            disk: Arc::new(disk),
            parallelism: 16,
            adopt: false,
            final_snapshot: None,
            stop,
            stopper,
            lease: Lease::default(),
            events: Mutex::default(),
        }
    }

    pub(super) fn stop(&self) {
        self.stopper.stop();
    }

    pub(super) fn go_on(&self) {
        self.stopper.go_on();
    }

    pub(super) fn state(&self) -> State {
        self.disk
            .state()
            .unwrap_or_else(|| State::new(STACK, "us-east-1"))
    }

    fn context(&self, events: Events) -> Context {
        let scope = Scope {
            stack: STACK.to_owned(),
            ..Scope::default()
        };
        Context {
            kinds: Arc::new(kinds::all(&self.cloud)),
            scope,
            events,
            lag: READS_LAG,
        }
    }

    fn apply_options(&self) -> ApplyOptions {
        ApplyOptions {
            parallelism: self.parallelism,
            adopt: self.adopt,
            final_snapshot: self.final_snapshot.clone(),
            stop: self.stop.clone(),
        }
    }

    fn journal(&self) -> Arc<Journal> {
        let disk = Arc::clone(&self.disk) as Arc<dyn Store>;
        Arc::new(Journal::new(disk, self.state()).under(self.lease.clone()))
    }

    /// Runs one process until it ends or the power fails. A day is more than any run may take.
    async fn process<T>(&self, run: impl Future<Output = T>) -> Option<T> {
        self.cloud.power.restore();
        let ended = tokio::select! {
            biased;
            () = self.cloud.power.failure() => None,
            ended = timeout(Duration::from_secs(86_400), run) => {
                Some(ended.expect("a run that never ends"))
            }
        };
        self.cloud.power.restore();
        ended
    }

    pub(super) async fn plan(&self, declaration: &Declaration) -> Plan {
        self.try_plan(declaration).await.unwrap()
    }

    pub(super) async fn try_plan(&self, declaration: &Declaration) -> Result<Plan, PlanError> {
        let context = self.context(Events::nowhere());
        plan(
            &context,
            declaration,
            &self.state(),
            PlanOptions { adopt: self.adopt },
        )
        .await
    }

    /// What `orderctl up` does.
    pub(super) async fn up(&self, declaration: &Declaration) -> Ended {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let run = async {
            let planned = match self.try_plan(declaration).await {
                Ok(planned) => planned,
                Err(error) => return Ended::Blind(error),
            };
            let context = self.context(Events::to(sender));
            let options = self.apply_options();
            let journal = self.journal();
            self.cloud.look().most_in_flight = 0;
            Ended::Finished(apply(&context, declaration, &planned, &journal, options).await)
        };
        let ended = self.process(run).await.unwrap_or(Ended::Crashed);
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(event) = receiver.try_recv() {
            events.push(event);
        }
        ended
    }

    /// What `orderctl down` finds and shows.
    pub(super) async fn whole(&self, declaration: &Declaration) -> Whole {
        let context = self.context(Events::nowhere());
        find_all(&context, declaration, &self.state())
            .await
            .unwrap()
    }

    /// What `orderctl down` does.
    pub(super) async fn down(&self, declaration: &Declaration) -> Ended {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let run = async {
            let context = self.context(Events::to(sender));
            let whole = match find_all(&context, declaration, &self.state()).await {
                Ok(whole) => whole,
                Err(error) => return Ended::Blind(error),
            };
            let journal = self.journal();
            let settle = Duration::from_secs(60);
            let cloud = Arc::clone(&self.cloud);
            let options = TeardownOptions {
                apply: self.apply_options(),
                settle,
                looks: Looks::with(move || kinds::all(&cloud)),
            };
            match teardown(&context, declaration, &whole, &journal, options).await {
                Ok(report) => Ended::Finished(report),
                Err(error) => Ended::Unsaved(error),
            }
        };
        let ended = self.process(run).await.unwrap_or(Ended::Crashed);
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(event) = receiver.try_recv() {
            events.push(event);
        }
        ended
    }

    /// Runs `up` where nothing may go wrong.
    pub(super) async fn up_well(&self, declaration: &Declaration) -> Report {
        let report = self.up(declaration).await.report();
        assert!(report.is_complete(), "{report:?}");
        self.assert_law_abiding();
        report
    }

    pub(super) async fn down_well(&self, declaration: &Declaration) -> Report {
        let report = self.down(declaration).await.report();
        assert!(report.is_complete(), "{report:?}");
        self.assert_law_abiding();
        assert_eq!(self.inventory(), BTreeMap::new());
        assert_eq!(self.state().records, BTreeMap::new());
        report
    }

    pub(super) fn assert_law_abiding(&self) {
        let inner = self.cloud.look();
        assert_eq!(inner.violations, Vec::<String>::new());
    }

    /// Everything that is there and belongs to one stack, by node.
    pub(super) fn inventory(&self) -> BTreeMap<String, Vec<Settings<Resolved>>> {
        let inner = self.cloud.look();
        let node = |arn: &String| {
            let id = arn.split(':').next().unwrap_or_default();
            inner
                .objects
                .get(id)
                .map_or("nothing".to_owned(), |object| object.node.clone())
        };
        let mut inventory = BTreeMap::<_, Vec<_>>::new();
        let objects = inner
            .objects
            .values()
            .filter(|object| !object.behaviour.shared);
        for object in objects.chain(self.recorded_ghosts(&inner)) {
            let mut spec = object.spec.clone();
            spec.parent = spec.parent.as_ref().map(node);
            spec.base = spec.base.iter().map(node).collect();
            spec.uses = spec.uses.iter().map(node).collect();
            inventory.entry(object.node.clone()).or_default().push(spec);
        }
        inventory
    }

    /// What nobody can tell from something that is there, and that was found again as such.
    fn recorded_ghosts<'a>(&self, inner: &'a Inner) -> impl Iterator<Item = &'a Object> {
        let state = self.state();
        inner.ghosts.values().filter(move |ghost| {
            let outputs = |record: &Record| record.outputs.as_ref().map(|o| o["arn"].clone());
            let records = state.records.values();
            records.filter_map(outputs).any(|arn| arn == ghost.arn())
        })
    }

    /// Says that the state knows exactly what is there.
    pub(super) fn assert_consistent(&self) {
        let state = self.state();
        let mut recorded = BTreeSet::new();
        for (address, record) in &state.records {
            assert_eq!(record.intent, None, "{address}");
            assert!(record.retired.is_empty(), "{address} has older instances");
            let arn = record.outputs.as_ref().unwrap()["arn"]
                .as_str()
                .unwrap()
                .to_owned();
            recorded.insert((address.to_string(), arn));
        }
        let inner = self.cloud.look();
        let present = inner
            .objects
            .values()
            .filter(|object| !object.behaviour.shared);
        let present = present.chain(self.recorded_ghosts(&inner));
        let present: BTreeSet<_> = present.map(|o| (o.node.clone(), o.arn())).collect();
        assert_eq!(recorded, present, "state and cloud");
    }

    /// The nodes whose calls the cloud carried out, in order.
    pub(super) fn carried_out(&self, operation: Operation) -> Vec<String> {
        let inner = self.cloud.look();
        let calls = inner.calls.iter();
        let fine = calls.filter(|call| call.operation == operation && call.code.is_none());
        fine.map(|call| call.node.clone()).collect()
    }

    /// How many calls that could change something were sent.
    pub(super) fn writes(&self) -> usize {
        let inner = self.cloud.look();
        inner
            .calls
            .iter()
            .filter(|call| call.operation != Operation::Read)
            .count()
    }

    /// When the calls to `node` were sent, and what they were answered.
    pub(super) fn calls(&self, operation: Operation, node: &str) -> Vec<(f64, Option<String>)> {
        let inner = self.cloud.look();
        let calls = inner.calls.iter();
        calls
            .filter(|call| call.operation == operation && call.node == node)
            .map(|call| (call.at.as_secs_f64(), call.code.clone()))
            .collect()
    }

    /// The texts of all waits of `node` so far.
    pub(super) fn waits(&self, node: &str) -> Vec<String> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = events.iter().filter_map(|event| match event {
            Event::Waiting { address, reason } if address.as_str() == node => Some(reason.clone()),
            _ => None,
        });
        waits.collect()
    }

    /// Changes the only object of `node` behind everybody's back.
    pub(super) fn meddle(&self, node: &str, change: impl FnOnce(&mut Object)) {
        let mut inner = self.cloud.look();
        let mut found = inner
            .objects
            .values_mut()
            .filter(|object| object.node == node);
        change(found.next().unwrap());
        assert!(found.next().is_none(), "two of {node}");
    }

    /// Lets virtual time pass.
    pub(super) async fn pass(&self, seconds: u64) {
        sleep_until(Instant::now() + Duration::from_secs(seconds)).await;
    }
}

pub(super) fn tags(node: &str) -> Tags {
    Tags::from_pairs([(STACK_TAG, STACK), (NODE_TAG, node)])
}

pub(super) fn settings<S: crate::resource::Stage>(node: &str) -> Settings<S> {
    Settings {
        name: node.to_owned(),
        parent: None,
        base: Vec::new(),
        uses: Vec::new(),
        shape: 1,
        size: 1,
        late: 0,
        desired: None,
        tags: Some(tags(node)),
    }
}

/// A stack being declared.
#[derive(Default)]
pub(super) struct Stack {
    pub(super) graph: Graph,
}

impl Stack {
    pub(super) fn add<T: Traits>(
        &mut self,
        address: &str,
        edit: impl FnOnce(&mut Settings<Declared>),
    ) -> Handle<Fake<T>> {
        let mut spec = settings(address);
        if T::IDENTITY == Identity::Parent {
            spec.tags = None;
        }
        edit(&mut spec);
        self.graph.add::<Fake<T>>(address, spec)
    }

    pub(super) fn finish(self) -> Declaration {
        self.graph.finish().unwrap()
    }
}

/// Declares a stack.
pub(super) fn stack(declare: impl FnOnce(&mut Stack)) -> Declaration {
    let mut stack = Stack::default();
    declare(&mut stack);
    stack.finish()
}

pub(super) fn at(address: &str) -> Address {
    Address::new(address).unwrap()
}

/// The actions of a plan, those of untouched nodes left out.
pub(super) fn actions(plan: &Plan) -> Vec<(String, Action)> {
    let nodes = plan
        .nodes
        .iter()
        .filter(|node| node.action != Action::NoChange);
    nodes
        .map(|node| (node.address.to_string(), node.action))
        .collect()
}
