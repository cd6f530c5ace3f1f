//! Whatever the stack and whatever goes wrong: running the same command again until it is done
//! leads where a run without misfortune leads, and nowhere else.

use std::future::Future;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::model::{Model, Weather, declare, model, models, weather};
use super::objects::Object;
use super::world::{Ended, World, actions, settings};
use crate::engine::Declaration;
use crate::resource::{NODE_TAG, STACK_TAG, Tags};

/// Tries the same cases every time.
fn check<S: Strategy>(cases: u32, strategy: S, property: impl AsyncFn(S::Value)) {
    let cases = std::env::var("PROPTEST_CASES").map_or(cases, |text| text.parse().unwrap());
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&strategy, |value| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(property(value));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn misfortunes_met(world: &World) -> usize {
    world.cloud.look().faults_met + world.disk.faults_met.load(Ordering::SeqCst)
}

fn clear_the_sky(world: &World) {
    world.cloud.look().faults.clear();
    world.disk.faults.lock().unwrap().clear();
}

/// Repeats a command until it is done. Only a run that met a misfortune may end early.
async fn repeat<F: Future<Output = Ended>>(world: &World, command: impl Fn() -> F) {
    let mut surprises = 0;
    loop {
        let met = misfortunes_met(world);
        let ended = command().await;
        if ended.is_complete() {
            break;
        }
        let is_surprise = is_surprised(&ended);
        surprises += usize::from(is_surprise);
        let is_explained = misfortunes_met(world) > met || (is_surprise && surprises < 3);
        assert!(is_explained, "a run without misfortune: {ended:?}");
    }
    clear_the_sky(world);
}

/// Says whether a run only met what showed after its plan was made and needs another plan.
fn is_surprised(ended: &Ended) -> bool {
    let Ended::Finished(report) = ended else {
        return false;
    };
    let unplanned = "the plan did not say it would be replaced";
    !report.failed.is_empty()
        && report
            .failed
            .iter()
            .all(|f| f.source.message().contains(unplanned))
}

async fn without_misfortune(declaration: &Declaration) -> World {
    let world = World::new();
    world.up_well(declaration).await;
    world
}

/// Everything a finished `up` promises.
async fn assert_done(world: &World, declaration: &Declaration) {
    world.assert_law_abiding();
    world.assert_consistent();
    assert_eq!(
        world.inventory(),
        without_misfortune(declaration).await.inventory()
    );
    // Until everything shows.
    world.pass(10).await;
    assert_eq!(actions(&world.plan(declaration).await), []);
    let (writes, records) = (world.writes(), world.state().records);
    world.up_well(declaration).await;
    assert_eq!(world.writes(), writes, "a second run sends nothing");
    assert_eq!(world.state().records, records, "a second run saves nothing");
    assert_nothing_too_early(world);
}

/// Says that the cloud never had to refuse a deletion because something still used the resource.
fn assert_nothing_too_early(world: &World) {
    let inner = world.cloud.look();
    let refused = inner
        .calls
        .iter()
        .filter(|c| c.code.as_deref() == Some("DependencyViolation"));
    let refused: Vec<_> = refused.map(|call| (&call.node, call.at)).collect();
    assert!(refused.is_empty(), "deleted too early: {refused:?}");
}

/// Everything a finished `down` promises.
fn assert_gone(world: &World) {
    world.assert_law_abiding();
    assert!(world.inventory().is_empty(), "{:?}", world.inventory());
    assert!(
        world.state().records.is_empty(),
        "{:?}",
        world.state().records
    );
    assert_nothing_too_early(world);
}

#[test]
fn up_ends_where_a_run_without_misfortune_ends() {
    check(
        300,
        (model(), weather(0..5)),
        async |(model, weather): (Model, Weather)| {
            let declaration = declare(&model);
            let mut world = World::new();
            weather.over(&mut world);
            repeat(&world, || world.up(&declaration)).await;
            assert_done(&world, &declaration).await;
        },
    );
}

#[test]
fn a_changed_configuration_ends_where_a_fresh_stack_ends() {
    let strategy = (models(), weather(0..5));
    check(
        300,
        strategy,
        async |((before, after), weather): ((Model, Model), Weather)| {
            let (before, after) = (declare(&before), declare(&after));
            let mut world = World::new();
            repeat(&world, || world.up(&before)).await;
            weather.over(&mut world);
            repeat(&world, || world.up(&after)).await;
            assert_done(&world, &after).await;
        },
    );
}

#[test]
fn a_configuration_changed_half_way_ends_where_a_fresh_stack_ends() {
    let strategy = (models(), weather(1..3), weather(0..3));
    check(
        300,
        strategy,
        async |((before, after), first, second): (_, Weather, Weather)| {
            let (before, after) = (declare(&before), declare(&after));
            let mut world = World::new();
            first.without_late_updates().over(&mut world);
            world.up(&before).await;
            clear_the_sky(&world);
            second.over(&mut world);
            repeat(&world, || world.up(&after)).await;
            assert_done(&world, &after).await;
        },
    );
}

#[test]
fn down_leaves_nothing_behind() {
    let strategy = (models(), weather(0..3), weather(0..5), any::<bool>());
    type Case = ((Model, Model), Weather, Weather, bool);
    check(
        300,
        strategy,
        async |((before, after), first, second, is_lost): Case| {
            let (before, after) = (declare(&before), declare(&after));
            let mut world = World::new();
            world.up(&before).await;
            first.over(&mut world);
            world.up(&after).await;
            clear_the_sky(&world);
            if is_lost && world.up(&after).await.is_complete() {
                world.disk.set(None);
            }
            second.over(&mut world);
            repeat(&world, || world.down(&after)).await;
            assert_gone(&world);
        },
    );
}

/// What is lost of the state.
#[derive(Clone, Debug)]
enum Loss {
    Nothing,
    Everything,
    Records(Vec<prop::sample::Index>),
}

fn loss() -> impl Strategy<Value = Loss> {
    let records = prop::collection::vec(any::<prop::sample::Index>(), 1..4);
    prop_oneof![
        Just(Loss::Nothing),
        Just(Loss::Everything),
        records.prop_map(Loss::Records),
    ]
}

fn lose(world: &World, loss: &Loss) {
    let mut state = world.state();
    match loss {
        Loss::Nothing => {}
        Loss::Everything => world.disk.set(None),
        Loss::Records(which) => {
            for index in which {
                let mut addresses = state.records.keys();
                let lost = (addresses.len() > 0).then(|| index.index(addresses.len()));
                if let Some(address) = lost.and_then(|n| addresses.nth(n)).cloned() {
                    state.records.remove(&address);
                }
            }
            world.disk.set(Some(state));
        }
    }
}

const THEIRS: &str = "theirs";

/// Doubles of things that only their tags tell apart, and things of another stack.
fn plant(world: &World, doubles: &[prop::sample::Index]) {
    let objects: Vec<_> = world.cloud.look().objects.values().cloned().collect();
    let nameless = |o: &&Object| !o.behaviour.named && !o.behaviour.has_parent;
    let nameless: Vec<_> = objects.iter().filter(nameless).collect();
    for index in doubles.iter().filter(|_| !nameless.is_empty()) {
        let original = index.get(&nameless);
        let spec = original.spec.clone();
        world.cloud.plant(original.behaviour, &original.node, spec);
    }
    for object in objects.iter().take(3) {
        let mut spec = settings(object.node.as_str());
        spec.name = format!("{}-of-dev-2", object.node);
        let tags = [(STACK_TAG, "dev-2"), (NODE_TAG, object.node.as_str())];
        spec.tags = Some(Tags::from_pairs(tags));
        world.cloud.plant(object.behaviour, THEIRS, spec);
    }
}

#[test]
fn down_leaves_nothing_behind_whatever_is_lost_doubled_or_declared_by_now() {
    let doubles = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    let strategy = (
        (models(), 0..3_usize),
        (weather(0..3), weather(0..3), weather(0..4)),
        (loss(), doubles, any::<bool>()),
    );
    type Case = (
        ((Model, Model), usize),
        (Weather, Weather, Weather),
        (Loss, Vec<prop::sample::Index>, bool),
    );
    check(
        300,
        strategy,
        async |(((before, after), now), (first, second, third), (loss, doubles, twice)): Case| {
            let (before, after) = (declare(&before), declare(&after));
            let mut world = World::new();
            first.over(&mut world);
            world.up(&before).await;
            clear_the_sky(&world);
            second.over(&mut world);
            world.up(&after).await;
            clear_the_sky(&world);
            // What does not show yet is nobody's to find, and AWS shows it in the end.
            world.pass(10).await;
            lose(&world, &loss);
            if twice {
                world.up(&before).await;
                world.pass(10).await;
            }
            plant(&world, &doubles);
            let theirs = world.inventory().remove(THEIRS);
            third.over(&mut world);
            let now = match now {
                0 => before,
                1 => after,
                _ => Declaration::default(),
            };
            repeat(&world, || world.down(&now)).await;
            world.assert_law_abiding();
            let mut left = world.inventory();
            assert_eq!(left.remove(THEIRS), theirs, "law 3");
            assert!(left.is_empty(), "{left:?}");
            assert!(
                world.state().records.is_empty(),
                "{:?}",
                world.state().records
            );
        },
    );
}
