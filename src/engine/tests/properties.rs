//! Whatever the stack and whatever goes wrong: running the same command again until it is done
//! leads where a run without misfortune leads, and nowhere else.
//!
//! The cases are the same every time; CONTRIBUTING.md says how to try others, and more of them.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::model::{Model, declare, draw, model, models};
use super::objects::Object;
use super::stories;
use super::trace;
use super::weather::{Weather, clear_the_sky, misfortunes_met, weather};
use super::world::{Ended, World, actions, settings};
use crate::engine::{Claims, Declaration};
use crate::resource::{NODE_TAG, STACK_TAG, Tags};

/// Where the cases come from if nothing else is asked for.
const SEED: u64 = 7;

/// The seed to use: `PROPERTY_SEED`, a number or `fresh`.
fn seed() -> u64 {
    match std::env::var("PROPERTY_SEED").as_deref() {
        Err(_) => SEED,
        Ok("fresh") => uuid::Uuid::new_v4().as_u64_pair().0,
        Ok(number) => number.parse().unwrap(),
    }
}

/// Tries a property with many cases; what fails is made as small as possible, told in words, and
/// followed call by call.
fn check<S: Strategy>(
    cases: u32,
    strategy: S,
    words: impl Fn(&S::Value) -> String,
    property: impl AsyncFn(&S::Value),
) {
    let cases = std::env::var("PROPTEST_CASES").map_or(cases, |text| text.parse().unwrap());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 3000,
        ..Config::default()
    };
    let seed = seed();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let live = |value: &S::Value| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(property(value));
    };
    // Tokio wakes tasks that wait for the same in a random order, so that the same case may go well
    // the next time: what is told is what happened.
    let last = RefCell::new(String::new());
    let outcome = TestRunner::new_with_rng(config, rng).run(&strategy, |value| {
        let (ended, calls) = trace::of(|| live(&value));
        if ended.is_err() {
            last.replace(calls);
        }
        ended.map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Abort(why)) => panic!("{why}"),
        Err(TestError::Fail(why, value)) => {
            let (calls, words) = (last.into_inner(), words(&value));
            panic!("{why}\n\nPROPERTY_SEED={seed}\n{words}\n{calls}\n\n{why}");
        }
    }
}

/// Repeats a command until it is done. Only a run that met a misfortune may end early.
async fn repeat(world: &mut World, command: impl AsyncFn(&World) -> Ended) {
    let mut surprises = 0;
    let is_known = world.forgotten().is_empty();
    loop {
        let met = misfortunes_met(world);
        let ended = command(world).await;
        if ended.is_complete() {
            break;
        }
        let is_surprise = is_surprised(&ended);
        surprises += usize::from(is_surprise);
        // The signal of a weather comes once.
        let was_stopped = world.stop_after.take().is_some();
        let is_explained =
            was_stopped || misfortunes_met(world) > met || (is_surprise && surprises < 3);
        assert!(is_explained, "a run without misfortune: {ended:?}");
        assert!(
            !is_known || world.forgotten().is_empty(),
            "forgotten: {:?}",
            world.forgotten()
        );
    }
    clear_the_sky(world);
}

/// Says whether a run only met what showed after its plan was made and needs another plan.
fn is_surprised(ended: &Ended) -> bool {
    let Ended::Finished(report) = ended else {
        return false;
    };
    // What an unanswered call has made came to light after the plan.
    let surprises = [
        "the plan did not say it would be replaced",
        "AWS reports that it failed",
    ];
    let is_surprise = |text: &str| surprises.iter().any(|surprise| text.contains(surprise));
    let mut failed = report.failed.iter();
    !report.failed.is_empty() && failed.all(|f| is_surprise(f.source.message()))
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

fn told(model: &Model, weather: &Weather) -> String {
    format!("the stack:{}\n{weather}", draw(&declare(model)))
}

fn told_twice(models: &[Model], first: &Weather, second: &Weather) -> String {
    let [before, after] = [0, 1].map(|number| draw(&declare(&models[number])));
    format!("before:{before}\nafter:{after}\nfirst: {first}\nsecond: {second}")
}

#[test]
fn up_ends_where_a_run_without_misfortune_ends() {
    check(
        200,
        (model(), weather(0..5)),
        |(model, weather)| told(model, weather),
        async |(model, weather)| {
            let declaration = declare(model);
            let mut world = World::new();
            weather.over(&mut world, &declaration);
            repeat(&mut world, async |world| world.up(&declaration).await).await;
            assert_done(&world, &declaration).await;
        },
    );
}

#[test]
fn a_changed_configuration_ends_where_a_fresh_stack_ends() {
    check(
        200,
        (models(2), weather(0..5)),
        |(models, weather)| told_twice(models, weather, weather),
        async |(models, weather)| {
            let [before, after] = [0, 1].map(|number| declare(&models[number]));
            let mut world = World::new();
            repeat(&mut world, async |world| world.up(&before).await).await;
            weather.over(&mut world, &after);
            repeat(&mut world, async |world| world.up(&after).await).await;
            assert_done(&world, &after).await;
        },
    );
}

#[test]
fn a_configuration_changed_half_way_ends_where_a_fresh_stack_ends() {
    check(
        200,
        (models(2), weather(1..3), weather(0..3)),
        |(models, first, second)| told_twice(models, first, second),
        async |(models, first, second)| {
            let [before, after] = [0, 1].map(|number| declare(&models[number]));
            let mut world = World::new();
            let first = first.clone().without_late_updates();
            first.over(&mut world, &before);
            world.up(&before).await;
            clear_the_sky(&mut world);
            second.over(&mut world, &after);
            repeat(&mut world, async |world| world.up(&after).await).await;
            assert_done(&world, &after).await;
        },
    );
}

#[test]
fn a_state_lost_half_way_costs_a_rebuild_and_nothing_else() {
    check(
        150,
        (model(), weather(0..5), weather(0..3)),
        |(model, first, second)| format!("{}\nthen: {second}", told(model, first)),
        async |(model, first, second)| {
            let declaration = declare(model);
            let mut world = World::new();
            first.over(&mut world, &declaration);
            world.up(&declaration).await;
            clear_the_sky(&mut world);
            world.disk.set(None);
            world.rebuild(&declaration, &Claims::new()).await;
            second.over(&mut world, &declaration);
            repeat(&mut world, async |world| world.up(&declaration).await).await;
            assert_done(&world, &declaration).await;
        },
    );
}

#[test]
fn down_leaves_nothing_behind() {
    check(
        200,
        (models(2), weather(0..3), weather(0..5), any::<bool>()),
        |(models, first, second, is_lost)| {
            format!(
                "{}\nthe state is lost: {is_lost}",
                told_twice(models, first, second)
            )
        },
        async |(models, first, second, is_lost)| {
            let [before, after] = [0, 1].map(|number| declare(&models[number]));
            let mut world = World::new();
            world.up(&before).await;
            first.over(&mut world, &after);
            world.up(&after).await;
            clear_the_sky(&mut world);
            if *is_lost && world.up(&after).await.is_complete() {
                world.pass(90).await;
                world.disk.set(None);
            }
            second.over(&mut world, &after);
            repeat(&mut world, async |world| world.down(&after).await).await;
            assert_gone(&world);
        },
    );
}

#[test]
fn whatever_a_stack_has_lived_through_up_and_down_lead_where_they_always_lead() {
    check(
        150,
        stories::changing(),
        ToString::to_string,
        async |story| {
            let mut world = story.live().await;
            repeat(&mut world, async |world| world.up(story.last()).await).await;
            assert_done(&world, story.last()).await;
            repeat(&mut world, async |world| world.down(story.last()).await).await;
            assert_gone(&world);
        },
    );
}

#[test]
fn whenever_the_state_is_lost_up_and_down_lead_where_they_always_lead() {
    check(150, stories::losing(), ToString::to_string, async |story| {
        let mut world = story.live().await;
        repeat(&mut world, async |world| world.up(story.last()).await).await;
        assert_done(&world, story.last()).await;
        repeat(&mut world, async |world| world.down(story.last()).await).await;
        assert_gone(&world);
    });
}

#[test]
fn whatever_a_stack_has_lived_through_down_alone_leaves_nothing() {
    let stories = prop_oneof![stories::changing(), stories::losing()];
    check(150, stories, ToString::to_string, async |story| {
        let mut world = story.live().await;
        repeat(&mut world, async |world| world.down(story.last()).await).await;
        assert_gone(&world);
    });
}

#[test]
fn what_fails_is_told_so_that_a_person_can_read_it() {
    let failing = || {
        check(
            20,
            stories::changing(),
            ToString::to_string,
            async |story| {
                let world = story.live().await;
                assert!(world.writes() < 3, "three writes");
            },
        );
    };
    let told = trace::quietly(failing).unwrap_err();
    for part in [
        "three writes",
        "PROPERTY_SEED=",
        "configuration 0:",
        "orderctl up",
        "Create n",
    ] {
        assert!(told.contains(part), "no {part:?} in\n{told}");
    }
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

/// What is looked for by `down`: one of the two configurations, or none at all.
fn declared_by_now(declarations: &[Declaration; 2], now: usize) -> Declaration {
    declarations.get(now).cloned().unwrap_or_default()
}

#[test]
fn down_leaves_nothing_behind_whatever_is_lost_doubled_or_declared_by_now() {
    let doubles = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    let strategy = (
        (models(2), 0..3_usize),
        (weather(0..3), weather(0..3), weather(0..4)),
        (loss(), doubles, any::<bool>()),
    );
    check(
        200,
        strategy,
        |((models, now), (first, second, third), lost)| {
            let told = told_twice(models, first, second);
            format!(
                "{told}\ndown, with configuration {now}: {third}\nlost, doubled, twice: {lost:?}"
            )
        },
        async |((models, now), (first, second, third), (loss, doubles, twice))| {
            let declarations = [0, 1].map(|number| declare(&models[number]));
            let [before, after] = &declarations;
            let mut world = World::new();
            first.over(&mut world, before);
            world.up(before).await;
            clear_the_sky(&mut world);
            second.over(&mut world, after);
            world.up(after).await;
            clear_the_sky(&mut world);
            // What does not show yet is nobody's to find, and AWS shows it in the end.
            world.pass(90).await;
            lose(&world, loss);
            if *twice {
                world.up(before).await;
                world.pass(90).await;
            }
            plant(&world, doubles);
            let theirs = world.inventory().remove(THEIRS);
            let now = declared_by_now(&declarations, *now);
            third.over(&mut world, &now);
            repeat(&mut world, async |world| world.down(&now).await).await;
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
