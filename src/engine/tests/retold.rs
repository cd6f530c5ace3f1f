//! What random stories have found once, retold so that it happens every time.

use std::time::Duration;

use jiff::SignedDuration;

use super::faults::Effect::{CrashAfter, Flap, LoseRequest, Refuse};
use super::faults::Operation::{Create, Delete, Read};
use super::faults::{Effect, Fault};
use super::kinds::{Alarm, Arn, Certificate, Network, Rule, Store};
use super::world::{Ended, World, at, stack};

/// Breaks the second read of a node from now on.
fn break_second_read(world: &World, node: &str, effect: Effect) {
    world.cloud.look().faults.push(Fault {
        operations: &[Read],
        node: Some(node.into()),
        after: 1,
        times: 1,
        effect,
    });
}

#[tokio::test(start_paused = true)]
async fn what_down_could_not_look_for_is_not_forgotten_by_an_up_that_wants_another() {
    let world = World::new();
    let declaration =
        |shape| stack(move |s| drop(s.add::<Certificate>("certificate", |n| n.shape = shape)));
    world.cloud.look().shows_after = Duration::from_secs(1);
    world.cloud.fault(&[Create], "certificate", CrashAfter);
    assert!(matches!(world.up(&declaration(1)).await, Ended::Crashed));
    break_second_read(&world, "certificate", Refuse("Forbidden"));
    assert!(!world.down(&declaration(1)).await.is_complete());

    world.up_well(&declaration(2)).await;
    world.assert_consistent();
    assert_eq!(world.inventory()["certificate"].len(), 1);
    world.down_well(&declaration(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_never_came_is_sent_again_although_one_read_misses_what_is_new() {
    let world = World::new();
    let declaration = stack(|s| drop(s.add::<Network>("network", |_| {})));
    world.up_well(&declaration).await;
    world.cloud.fault(&[Delete], "network", LoseRequest);
    break_second_read(&world, "network", Flap);
    world.down_well(&declaration).await;
    let deletes = world.calls(Delete, "network");
    assert_eq!(deletes.len(), 2, "{deletes:?}");
    let after = deletes[1].0 - deletes[0].0;
    assert!(after < 30.0, "by the last look alone, after {after} s");
}

#[tokio::test(start_paused = true)]
async fn what_was_announced_for_another_place_goes_before_what_it_may_be_in() {
    let world = World::new();
    let declaration = |shape| {
        stack(move |s| {
            let network = s.add::<Network>("network", |_| {});
            let outer = s.add::<Rule>("outer", |n| {
                (n.parent, n.shape) = (Some(network.arn()), shape);
            });
            let certificate = s.add::<Certificate>("certificate", |n| n.uses = vec![outer.arn()]);
            let place = match shape {
                1 => outer.arn(),
                _ => certificate.arn(),
            };
            s.add::<Rule>("inner", |n| n.parent = Some(place));
        })
    };
    world.cloud.fault(&[Create], "inner", CrashAfter);
    assert!(matches!(world.up(&declaration(1)).await, Ended::Crashed));
    // Long enough ago that reads show it, where it is.
    let mut state = world.state();
    let inner = state.records.get_mut(&at("inner")).unwrap();
    assert!(inner.outputs.is_none());
    inner.intent.as_mut().unwrap().since -= SignedDuration::from_hours(1);
    world.disk.set(Some(state));

    world.up_well(&declaration(2)).await;
    world.assert_consistent();
    assert_eq!(world.carried_out(Delete), ["inner", "outer"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_too_early_because_of_what_merely_mentions_it() {
    let world = World::new();
    let declaration = |is_changed: bool| {
        stack(move |s| {
            let first = s.add::<Network>("first", |_| {});
            let second = s.add::<Network>("second", |n| {
                n.base = if is_changed {
                    vec![first.arn()]
                } else {
                    vec![]
                };
            });
            let certificate = s.add::<Certificate>("certificate", |n| {
                n.shape = if is_changed { 2 } else { 1 };
                n.uses = if is_changed {
                    vec![]
                } else {
                    vec![second.arn()]
                };
            });
            s.add::<Alarm>("alarm", |n| n.uses = vec![certificate.arn(), second.arn()]);
            s.add::<Store>("store", |n| n.base = vec![certificate.arn()]);
        })
    };
    world.up_well(&declaration(false)).await;
    world.up_well(&declaration(true)).await;
    world.assert_consistent();
    let deletes = world.calls(Delete, "second");
    assert_eq!(deletes.len(), 1, "refused while it was in use: {deletes:?}");
}
