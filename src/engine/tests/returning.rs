//! What AWS makes again by itself, without tags, when one of its services misses it.

use std::time::Duration;

use tokio::time::Instant;

use super::faults::Operation::{Create, Delete, Update};
use super::kinds::{Log, Network, Settings, Store, Traits};
use super::world::{Ended, World, actions, settings, stack};
use crate::engine::{Action, Declaration};
use crate::resource::{Resolved, Tags};

fn logs_and_network() -> Declaration {
    stack(|s| {
        s.add::<Log>("logs", |n| n.size = 2);
        s.add::<Network>("network", |_| {});
    })
}

fn without_tags(name: &str) -> Settings<Resolved> {
    Settings {
        tags: Some(Tags::default()),
        ..settings(name)
    }
}

fn plant(world: &World) {
    let log = without_tags("logs");
    world.cloud.plant(Log::behaviour(), "logs", log);
}

fn returns_after(world: &World, after: Duration) {
    world.cloud.look().comes_back = [("logs".to_owned(), after)].into();
}

#[tokio::test(start_paused = true)]
async fn up_takes_it_over_and_the_plan_says_so() {
    let world = World::new();
    let declaration = logs_and_network();
    plant(&world);
    let plan = world.plan(&declaration).await;
    assert!(plan.foreign.is_empty());
    assert_eq!(plan.nodes[0].action, Action::Adopt);
    let reason = plan.nodes[0].reason.as_deref();
    assert_eq!(
        reason,
        Some("AWS made it by itself, under a name of this stack")
    );
    assert_eq!(plan.nodes[0].changes.names(), ["size", "tags"]);
    assert_eq!(plan.taken_over().count(), 0, "it is nobody's");

    world.up_well(&declaration).await;
    assert_eq!(world.carried_out(Create), ["network"]);
    assert_eq!(world.carried_out(Update), ["logs"]);
    assert_eq!(actions(&world.plan(&declaration).await), []);
    world.down_well(&declaration).await;
}

#[tokio::test(start_paused = true)]
async fn up_takes_over_what_comes_between_its_plan_and_its_create() {
    let world = World::new();
    let declaration = logs_and_network();
    world.up_well(&declaration).await;
    // The plan's read is answered after 50 ms, the create after 100 ms more.
    world.disk.set(None);
    returns_after(&world, Duration::from_millis(100));
    world.meddle("logs", |object| object.gone_at = Some(Instant::now()));
    let report = world.up_well(&declaration).await;
    let calls = world.calls(Create, "logs");
    assert_eq!(calls.len(), 2, "refused, as it was there again: {report:?}");
    assert_eq!(actions(&world.plan(&declaration).await), []);
    world.down_well(&declaration).await;
}

#[tokio::test(start_paused = true)]
async fn where_a_name_is_somebody_elses_it_may_be_theirs() {
    let world = World::new();
    let declaration = stack(|s| {
        s.add::<Log>("logs", |_| {});
        s.add::<Store>("store", |_| {});
    });
    plant(&world);
    let theirs = Settings {
        tags: Some(Tags::from_pairs([("Team", "payments")])),
        ..settings("store")
    };
    world.cloud.plant(Store::behaviour(), "store", theirs);
    let plan = world.plan(&declaration).await;
    assert_eq!(plan.foreign.len(), 1, "which no command goes past");
    assert!(world.down(&declaration).await.is_complete());
    assert_eq!(world.carried_out(Delete), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_down_that_ended_before_its_last_look_is_ended_by_the_next() {
    let mut world = World::new();
    let declaration = logs_and_network();
    world.up_well(&declaration).await;
    returns_after(&world, Duration::from_secs(40));
    world.stop_after = Some(Duration::from_secs(20));
    let ended = world.down(&declaration).await;
    assert!(
        matches!(ended, Ended::Finished(ref report) if report.stopped),
        "{ended:?}"
    );
    assert!(world.state().records.is_empty());
    world.stop_after = None;
    world.down_well(&declaration).await;
    assert_eq!(
        world
            .carried_out(Delete)
            .iter()
            .filter(|it| *it == "logs")
            .count(),
        2
    );
}
