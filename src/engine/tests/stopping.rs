//! The request to stop (law 10): what is in flight gets its time to answer and no more, nothing new
//! begins, and the next run goes on.

use std::time::Duration;

use tokio::time::Instant;

use super::applying::everything;
use super::faults::Effect::{HangAfter, HangBefore};
use super::faults::Operation::{Create, Delete, Read, Update};
use super::kinds::{Arn, Gateway, Network, Store};
use super::world::{Ended, World, at, stack};
use crate::engine::{Declaration, GRACE, Report};
use crate::state::IntentAction;

/// Runs `up`, asks it to stop after `delay`, and says how long it took from there.
async fn stopped_up(
    world: &World,
    declaration: &Declaration,
    delay: Duration,
) -> (Ended, Duration) {
    let signal = async {
        tokio::time::sleep_until(Instant::now() + delay).await;
        world.stop();
        Instant::now()
    };
    let up = async {
        let ended = world.up(declaration).await;
        (ended, Instant::now())
    };
    let ((ended, at), signalled) = tokio::join!(up, signal);
    world.go_on();
    (ended, at - signalled)
}

fn unanswered(report: &Report) -> Vec<&str> {
    report
        .unanswered
        .iter()
        .map(|address| address.as_str())
        .collect()
}

fn one_network() -> Declaration {
    stack(|s| {
        let network = s.add::<Network>("network", |_| {});
        s.add::<Store>("store", |n| n.uses = vec![network.arn()]);
    })
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_answers_is_given_up_and_found_again() {
    for (effect, made) in [(HangBefore, false), (HangAfter, true)] {
        let world = World::new();
        let declaration = one_network();
        world.cloud.fault(&[Create], "network", effect);
        let (ended, took) = stopped_up(&world, &declaration, Duration::from_secs(5)).await;
        let report = ended.report();
        assert!(report.stopped && report.failed.is_empty(), "{report:?}");
        assert_eq!(unanswered(&report), ["network"]);
        assert!(
            took >= GRACE && took < GRACE + Duration::from_millis(100),
            "after {took:?}"
        );
        let intent = world.state().records[&at("network")]
            .intent
            .clone()
            .unwrap();
        assert_eq!(intent.action, IntentAction::Create, "it stays announced");
        assert_eq!(world.inventory().contains_key("network"), made);
        assert!(
            world.calls(Create, "store").is_empty(),
            "nothing new is begun"
        );
        world.up_well(&declaration).await;
        world.assert_consistent();
        assert_eq!(world.inventory()["network"].len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_in_time_is_recorded() {
    let world = World::new();
    let declaration = one_network();
    // The look takes 0.2 seconds; the create is on its way after that, and its answer too.
    let (ended, took) = stopped_up(&world, &declaration, Duration::from_millis(240)).await;
    let report = ended.report();
    assert!(
        report.stopped && unanswered(&report).is_empty(),
        "{report:?}"
    );
    assert_eq!(world.calls(Create, "network").len(), 1, "{report:?}");
    assert!(took < Duration::from_millis(200), "{took:?}");
    assert!(world.state().records[&at("network")].outputs.is_some());
    let reads = world.calls(Read, "network").len();
    assert_eq!(reads, 1, "a stopped run does not look whether it works");
}

#[tokio::test(start_paused = true)]
async fn reads_and_waits_end_at_once() {
    for reads in [false, true] {
        let world = World::new();
        let declaration = stack(|s| {
            s.add::<Gateway>("gateway", |_| {});
        });
        let delay = Duration::from_secs(20);
        if reads {
            // The look before the create, and one after it.
            world.cloud.faults(&[Read], "gateway", 1, HangAfter);
            world.cloud.look().faults[0].after = 1;
        }
        let (ended, took) = stopped_up(&world, &declaration, delay).await;
        let report = ended.report();
        assert!(
            report.stopped && unanswered(&report).is_empty(),
            "{report:?}"
        );
        assert!(took < Duration::from_millis(50), "{took:?}");
        world.up_well(&declaration).await;
        assert_eq!(world.carried_out(Create), ["gateway"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_look_is_left_at_once_and_nothing_is_changed() {
    let world = World::new();
    world.cloud.fault(&[Read], "network", HangAfter);
    let declaration = one_network();
    let (ended, took) = stopped_up(&world, &declaration, Duration::from_secs(1)).await;
    assert!(matches!(ended, Ended::Interrupted), "{ended:?}");
    assert!(took < Duration::from_millis(50), "{took:?}");
    assert_eq!((world.writes(), world.disk.state()), (0, None));
}

#[tokio::test(start_paused = true)]
async fn unanswered_updates_and_deletes_are_cleared_up_by_the_next_run() {
    for effect in [HangBefore, HangAfter] {
        let world = World::new();
        let declaration = |size| {
            stack(move |s| {
                s.add::<Store>("store", |n| n.size = size);
            })
        };
        world.up_well(&declaration(1)).await;
        world.cloud.fault(&[Update], "store", effect);
        let (ended, _) = stopped_up(&world, &declaration(2), Duration::from_secs(2)).await;
        assert_eq!(unanswered(&ended.report()), ["store"]);
        world.up_well(&declaration(2)).await;
        world.assert_consistent();
        assert_eq!(world.inventory()["store"][0].size, 2);

        world.cloud.fault(&[Delete], "store", effect);
        let declaration = declaration(2);
        let signal = async {
            world.pass(2).await;
            world.stop();
        };
        let (ended, ()) = tokio::join!(world.down(&declaration), signal);
        world.go_on();
        let report = ended.report();
        assert!(report.stopped);
        assert_eq!(unanswered(&report), ["store"]);
        world.down_well(&declaration).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_down_that_is_stopped_before_its_last_look_does_not_say_that_nothing_is_left() {
    // Everything is deleted within 20 seconds; then 60 pass until the last look.
    for during_look in [false, true] {
        let world = World::new();
        let declaration = one_network();
        world.up_well(&declaration).await;
        let before = Instant::now();
        let signal = async {
            world.pass(40).await;
            if during_look {
                world.cloud.fault(&[Read], "network", HangAfter);
                world.pass(60).await;
            }
            assert!(world.inventory().is_empty(), "all is deleted by now");
            world.stop();
            before.elapsed()
        };
        let (ended, at) = tokio::join!(world.down(&declaration), signal);
        world.go_on();
        assert!(before.elapsed() - at < Duration::from_millis(50), "at once");
        let report = ended.report();
        assert!(report.stopped && !report.is_complete(), "{report:?}");
        world.down_well(&declaration).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_at_any_moment_leaves_nothing_double_and_nothing_orphaned() {
    let declaration = everything();
    for number in 0_u64.. {
        let mut world = World::new();
        let steps = [70 * number.min(60), 3000 * number.saturating_sub(60)];
        world.stop_after = Some(Duration::from_millis(steps.iter().sum()));
        let ended = world.up(&declaration).await;
        world.stop_after = None;
        assert_eq!(world.forgotten(), Vec::<String>::new());
        if ended.is_complete() {
            assert!(number > 20, "only {number} moments");
            break;
        }
        world.up_well(&declaration).await;
        world.assert_consistent();
        assert_eq!(world.carried_out(Create).len(), declaration.nodes.len());
    }
}
