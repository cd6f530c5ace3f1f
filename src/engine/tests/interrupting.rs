//! Runs that end too early: asked to stop, or killed at any instant. The next run of the same
//! command finishes the job with nothing doubled and nothing orphaned (law 2).

use super::applying::everything;
use super::disk::SaveFault;
use super::faults::Effect::{CrashAfter, CrashBefore};
use super::faults::Operation::{self, Create, Delete};
use super::faults::{Effect, Fault};
use super::kinds::{Arn, Database, Gateway, Network};
use super::world::{Ended, World, stack};
use crate::state::IntentAction;

#[tokio::test(start_paused = true)]
async fn a_request_to_stop_ends_the_waits_and_the_next_run_finishes() {
    for after in [1, 30, 95] {
        let world = World::new();
        let declaration = everything();
        let meanwhile = async {
            world.pass(after).await;
            world.stop();
            tokio::time::Instant::now()
        };
        let (ended, stopped_at) = tokio::join!(world.up(&declaration), meanwhile);
        let took = stopped_at.elapsed().as_secs_f64();
        let report = ended.report();
        assert!(report.stopped && report.failed.is_empty(), "{report:?}");
        assert!(took < 0.5, "it went on for {took} seconds");
        world.go_on();
        let before: Vec<_> = world.carried_out(Create);
        world.up_well(&declaration).await;
        world.assert_consistent();
        let made = world.carried_out(Create);
        assert_eq!(made[..before.len()], before, "what was made stays");
        assert_eq!(
            made.len(),
            declaration.nodes.len(),
            "and nothing is made twice"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_down_is_finished_by_the_next() {
    let world = World::new();
    let declaration = everything();
    world.up_well(&declaration).await;
    let meanwhile = async {
        world.pass(20).await;
        world.stop();
    };
    let (ended, ()) = tokio::join!(world.down(&declaration), meanwhile);
    let report = ended.report();
    assert!(report.stopped && !report.is_complete());
    world.go_on();
    world.down_well(&declaration).await;
}

#[tokio::test(start_paused = true)]
async fn a_create_that_was_announced_is_looked_for_before_it_is_sent_again() {
    for effect in [CrashBefore, CrashAfter] {
        for shows_after in [0, 10] {
            let world = World::new();
            world.cloud.look().shows_after = std::time::Duration::from_secs(shows_after);
            let declaration = stack(|s| {
                s.add::<Network>("network", |_| {});
            });
            world.cloud.fault(&[Create], "network", effect);
            assert!(matches!(world.up(&declaration).await, Ended::Crashed));
            let intent = world
                .state()
                .records
                .into_values()
                .next()
                .unwrap()
                .intent
                .unwrap();
            assert_eq!(
                intent.action,
                IntentAction::Create,
                "announced before it was sent"
            );
            let crashed_at = world
                .calls(Create, "network")
                .last()
                .map_or(0.0, |call| call.0);
            world.up_well(&declaration).await;
            world.assert_consistent();
            let creates = world.carried_out(Create).len();
            assert_eq!(creates, 1, "{effect:?}, shown after {shows_after} s");
            let again = world.calls(Create, "network").last().unwrap().0 - crashed_at;
            if effect == CrashBefore {
                assert!(
                    (20.0..30.0).contains(&again),
                    "sent again after {again} s of looking"
                );
            }
            let inner = world.cloud.look();
            let tokens = inner.calls.iter().filter(|call| call.operation == Create);
            assert!(
                tokens.clone().all(|call| call.token == intent.token),
                "the same token"
            );
        }
    }
}

/// A power failure at call number `after`.
pub(super) fn crash_at(after: usize, effect: Effect) -> Fault {
    let operations: &[Operation] = &[Operation::Read, Create, Operation::Update, Delete];
    Fault {
        operations,
        node: None,
        after,
        times: 1,
        effect,
    }
}

#[tokio::test(start_paused = true)]
async fn a_power_failure_at_any_call_of_up_leaves_nothing_double_and_nothing_orphaned() {
    for effect in [CrashBefore, CrashAfter] {
        for number in 0.. {
            let world = World::new();
            let declaration = everything();
            world.cloud.look().faults.push(crash_at(number, effect));
            let first = world.up(&declaration).await;
            if first.is_complete() {
                assert!(number > 30, "only {number} calls were broken");
                break;
            }
            world.up_well(&declaration).await;
            world.assert_consistent();
            assert_eq!(
                super::world::actions(&world.plan(&declaration).await),
                [],
                "{number}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_power_failure_at_any_save_of_up_leaves_nothing_double_and_nothing_orphaned() {
    for fault in [
        SaveFault::CrashBefore,
        SaveFault::CrashAfter,
        SaveFault::Fail,
    ] {
        for number in 0.. {
            let world = World::new();
            let declaration = everything();
            world.disk.faults.lock().unwrap().insert(number, fault);
            let first = world.up(&declaration).await;
            if first.is_complete() {
                assert!(number > 10, "only {number} saves were broken");
                break;
            }
            world.up_well(&declaration).await;
            world.assert_consistent();
            assert_eq!(
                super::world::actions(&world.plan(&declaration).await),
                [],
                "{number}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_power_failure_at_any_call_or_save_of_down_is_finished_by_the_next() {
    for on_save in [false, true] {
        for after in [false, true] {
            for number in 0.. {
                let world = World::new();
                let declaration = everything();
                world.up_well(&declaration).await;
                if on_save {
                    let fault = [SaveFault::CrashBefore, SaveFault::CrashAfter][usize::from(after)];
                    let saves = world.disk.saves.load(std::sync::atomic::Ordering::SeqCst);
                    world
                        .disk
                        .faults
                        .lock()
                        .unwrap()
                        .insert(saves + number, fault);
                } else {
                    let effect = [CrashBefore, CrashAfter][usize::from(after)];
                    world.cloud.look().faults.push(crash_at(number, effect));
                }
                if world.down(&declaration).await.is_complete() {
                    assert!(number > 5, "only {number} were broken");
                    break;
                }
                world.down_well(&declaration).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_command_may_be_another_one() {
    for number in 0..40 {
        let world = World::new();
        world.cloud.look().shows_after = std::time::Duration::from_secs(2);
        let declaration = stack(|s| {
            let network = s.add::<Network>("network", |_| {});
            let gateway = s.add::<Gateway>("gateway", |n| n.base = vec![network.arn()]);
            s.add::<Database>("database", |n| n.uses = vec![gateway.arn()]);
        });
        world.cloud.look().faults.push(crash_at(number, CrashAfter));
        world.up(&declaration).await;
        world.cloud.look().faults.clear();
        world.down_well(&declaration).await;
        world.up_well(&declaration).await;
        world.assert_consistent();
    }
}
