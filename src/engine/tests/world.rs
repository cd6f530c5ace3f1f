//! A cloud, a place for states, and the commands as a user runs them, one process after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::cloud::{Cloud, Inner};
use super::disk::Disk;
use super::faults::Operation;
use super::kinds::{self, Fake, Settings, Traits};
use super::objects::Object;
use super::{laws, trace};
use crate::engine::{
    Action, ApplyOptions, Claims, Context, Declaration, Event, Events, GRACE, Graph, Looks, Plan,
    PlanError, PlanOptions, READS_LAG, Rebuilt, Report, Stop, Stopper, TeardownOptions, Whole,
    apply, find_all, plan, rebuild, teardown,
};
use crate::resource::{
    Address, Declared, Handle, Identity, NODE_TAG, Resolved, STACK_TAG, Scope, Tags,
};
use crate::state::{Journal, Lease, Record, State, StateError, Store};

pub(super) const STACK: &str = "dev";

/// How one run of a command ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The power failed.
    Crashed,
    /// It was stopped before it changed anything.
    Interrupted,
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

    /// The end as it stands in a trace.
    fn in_short(&self) -> String {
        let Self::Finished(report) = self else {
            return format!("ended: {self:?}");
        };
        let failed = report.failed.iter();
        let failed: Vec<_> = failed
            .map(|f| format!("{} ({})", f.address, f.source))
            .collect();
        let skipped: Vec<_> = report
            .skipped
            .iter()
            .map(|(node, _)| node.as_str())
            .collect();
        let (done, stopped) = (report.done.len(), report.stopped);
        format!("ended: {done} done, failed {failed:?}, skipped {skipped:?}, stopped {stopped}")
    }
}

/// Everything outside the program.
pub(super) struct World {
    pub(super) cloud: Arc<Cloud>,
    pub(super) disk: Arc<Disk>,
    pub(super) parallelism: usize,
    pub(super) adopt: bool,
    pub(super) final_snapshot: Option<String>,
    /// When a signal comes, counted from the start of a command.
    pub(super) stop_after: Option<Duration>,
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
        let disk = Disk::new(&cloud);
        let (stopper, stop) = Stop::pair();
        Self {
            cloud,
            disk: Arc::new(disk),
            parallelism: 16,
            adopt: false,
            final_snapshot: None,
            stop_after: None,
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

    /// Runs one process until it ends or the power fails. A day is more than any run may take, and
    /// so are five seconds after a signal.
    async fn process(&self, command: &str, run: impl Future<Output = Ended>) -> Ended {
        trace::note(|| format!("{}orderctl {command}", self.cloud.time()));
        self.cloud.power.restore();
        let ended = tokio::select! {
            biased;
            () = self.cloud.power.failure() => None,
            () = self.signal() => panic!("it goes on after the signal"),
            ended = timeout(Duration::from_secs(86_400), run) => {
                Some(ended.expect("a run that never ends"))
            }
        };
        self.cloud.power.restore();
        if self.stop_after.is_some() {
            self.go_on();
        }
        let ended = ended.unwrap_or(Ended::Crashed);
        trace::note(|| format!("{}{}", self.cloud.time(), ended.in_short()));
        ended
    }

    /// Sends the signal; returns when the command should have ended long ago.
    async fn signal(&self) {
        let Some(after) = self.stop_after else {
            return std::future::pending().await;
        };
        sleep_until(Instant::now() + after).await;
        trace::note(|| format!("{}a signal", self.cloud.time()));
        self.stop();
        sleep_until(Instant::now() + GRACE + Duration::from_secs(1)).await;
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
            let planned = match self.stop.cut(self.try_plan(declaration)).await {
                Ok(Ok(planned)) => planned,
                Ok(Err(error)) => return Ended::Blind(error),
                Err(_) => return Ended::Interrupted,
            };
            let context = self.context(Events::to(sender));
            let options = self.apply_options();
            let journal = self.journal();
            self.cloud.look().most_in_flight = 0;
            Ended::Finished(apply(&context, declaration, &planned, &journal, options).await)
        };
        let ended = self.process("up", run).await;
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
            let state = self.state();
            let whole = find_all(&context, declaration, &state);
            let whole = match self.stop.cut(whole).await {
                Ok(Ok(whole)) => whole,
                Ok(Err(error)) => return Ended::Blind(error),
                Err(_) => return Ended::Interrupted,
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
        let ended = self.process("down", run).await;
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(event) = receiver.try_recv() {
            events.push(event);
        }
        ended
    }

    /// What `orderctl state rebuild` and `orderctl import` do.
    pub(super) async fn rebuild(&self, declaration: &Declaration, claims: &Claims) -> Rebuilt {
        let look = async || {
            let context = self.context(Events::nowhere());
            rebuild(&context, declaration, claims).await.unwrap()
        };
        let mut rebuilt = look().await;
        if rebuilt.may_have_missed() {
            self.pass(READS_LAG.as_secs()).await;
            rebuilt = look().await;
        }
        let mut state = State::new(STACK, "us-east-1");
        state.records.clone_from(&rebuilt.records);
        self.disk.set(Some(state));
        rebuilt
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

    /// Law 2, after any end of a run: what is there can be found again without a look at the whole
    /// cloud.
    pub(super) fn forgotten(&self) -> Vec<String> {
        let inner = self.cloud.look();
        let objects = inner.objects.values();
        let ours = objects.filter(|o| o.gone_at.is_none() && !inner.returned.contains(&o.node));
        laws::forgotten(ours, &self.state())
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
