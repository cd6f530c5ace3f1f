//! `down`: the reverse order, half-made stacks, lost states, and what comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use super::applying::everything;
use super::faults::Effect::Refuse;
use super::faults::Operation::{Create, Delete};
use super::kinds::{Arn, Database, Gateway, Log, Network, Rule, Settings, Store, Traits};
use super::world::{World, at, settings, stack};
use crate::engine::{Declaration, Left};
use crate::resource::Tags;

#[tokio::test(start_paused = true)]
async fn a_stack_goes_in_the_reverse_order_of_its_references() {
    let world = World::new();
    let declaration = everything();
    world.up_well(&declaration).await;
    world.down_well(&declaration).await;
    let deleted = world.carried_out(Delete);
    let position = |node: &str| deleted.iter().position(|deleted| deleted == node);
    for node in &declaration.nodes {
        for to in node.edges.keys().filter(|to| to.as_str() != "role") {
            assert!(
                position(node.address.as_str()) < position(to.as_str()),
                "{deleted:?}"
            );
        }
    }
    let calls = world.cloud.look().calls.clone();
    let refused: Vec<_> = calls.iter().filter(|call| call.code.is_some()).collect();
    assert!(
        refused.is_empty(),
        "nothing is deleted too early: {refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_down_finds_nothing() {
    let world = World::new();
    let declaration = everything();
    world.up_well(&declaration).await;
    world.down_well(&declaration).await;
    let writes = world.writes();
    world.down_well(&declaration).await;
    assert_eq!(world.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_depend_on_each_other_goes_at_the_same_time() {
    let world = World::new();
    let declaration = stack(|s| {
        let network = s.add::<Network>("network", |_| {});
        for n in 0..5 {
            s.add::<Database>(&format!("n{n}"), |n| n.base = vec![network.arn()]);
        }
        let first = s.add::<Database>("first", |_| {});
        let second = s.add::<Database>("second", |_| {});
        s.graph.follow(&second, &first);
    });
    world.up_well(&declaration).await;
    world.down_well(&declaration).await;
    let at = |node: &str| world.calls(Delete, node)[0].0;
    for node in ["n1", "n2", "n3", "n4", "first", "second"] {
        assert!(
            (at("n0") - at(node)).abs() < 1.0,
            "{node}: an order of making is none of deleting"
        );
    }
    let after = at("network") - at("n0");
    assert!(
        after > f64::from(Database::GONE),
        "sent {after} s later, before they were gone"
    );
}

#[tokio::test(start_paused = true)]
async fn a_half_made_stack_goes_too() {
    for failing in ["rule", "gateway", "database", "definition", "service"] {
        let world = World::new();
        let declaration = everything();
        world.cloud.fault(&[Create], failing, Refuse("Forbidden"));
        assert!(!world.up(&declaration).await.is_complete());
        world.down_well(&declaration).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stack_whose_state_is_lost_goes_in_order_too() {
    for lost in [None, Some("store"), Some("network")] {
        let world = World::new();
        let declaration = everything();
        world.up_well(&declaration).await;
        let mut state = world.state();
        match lost {
            None => state.records.clear(),
            Some(lost) => drop(state.records.remove(&at(lost))),
        }
        world.disk.set(Some(state));
        world.down_well(&declaration).await;
        let calls = world.cloud.look().calls.clone();
        assert!(
            calls.iter().all(|call| call.code.is_none()),
            "{lost:?}: deleted too early"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_declared_any_more_goes_too() {
    let world = World::new();
    world.up_well(&everything()).await;
    world.down_well(&Declaration::default()).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_gone_yet_is_waited_for_and_what_cannot_go_is_kept_in_mind() {
    let world = World::new();
    let declaration = stack(|s| {
        let network = s.add::<Network>("network", |_| {});
        s.add::<Store>("store", |n| n.uses = vec![network.arn()]);
    });
    world.up_well(&declaration).await;
    world
        .cloud
        .faults(&[Delete], "store", 1, Refuse("Protected"));
    let report = world.down(&declaration).await.report();
    assert_eq!(report.failed[0].left, Left::Recorded);
    assert_eq!(report.failed[0].source.code(), Some("Protected"));
    assert_eq!(report.skipped, [(at("network"), "store".to_owned())]);
    assert_eq!(
        world.state().records.len(),
        2,
        "law 8: nothing is forgotten"
    );
    world.down_well(&declaration).await;
    let calls = world.calls(Delete, "network");
    assert_eq!(calls.len(), 1, "sent when the store was gone: {calls:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_brings_back_is_removed() {
    let world = World::new();
    let declaration = stack(|s| {
        s.add::<Log>("logs", |_| {});
        s.add::<Network>("network", |_| {});
    });
    world.up_well(&declaration).await;
    world.cloud.look().comes_back = [("logs".to_owned(), Duration::from_secs(20))].into();
    world.down_well(&declaration).await;
    assert_eq!(world.carried_out(Delete), ["logs", "network", "logs"]);
}

#[tokio::test(start_paused = true)]
async fn every_double_is_found_and_removed() {
    let world = World::new();
    let declaration = stack(|s| {
        s.add::<Network>("network", |_| {});
    });
    world.up_well(&declaration).await;
    for _ in 0..3 {
        world
            .cloud
            .plant(Network::behaviour(), "network", settings("network"));
    }
    world.down_well(&declaration).await;
}

#[tokio::test(start_paused = true)]
async fn strangers_and_what_is_inside_them_stay() {
    let world = World::new();
    let declaration = stack(|s| {
        let store = s.add::<Store>("store", |_| {});
        s.add::<Rule>("rule", |n| n.parent = Some(store.arn()));
        let mine = s.add::<Store>("mine", |_| {});
        s.add::<Rule>("inside", |n| n.parent = Some(mine.arn()));
    });
    let tags = Some(Tags::from_pairs([("Team", "payments")]));
    let theirs = Settings {
        tags,
        ..settings("store")
    };
    let parent = Some(world.cloud.plant(Store::behaviour(), "store", theirs));
    let rule = Settings {
        parent,
        tags: None,
        ..settings("rule")
    };
    world.cloud.plant(Rule::behaviour(), "rule", rule);
    let parent = Some(
        world
            .cloud
            .plant(Store::behaviour(), "mine", settings("mine")),
    );
    let rule = Settings {
        parent,
        tags: None,
        ..settings("inside")
    };
    world.cloud.plant(Rule::behaviour(), "inside", rule);
    let report = world.down(&declaration).await.report();
    assert!(report.is_complete(), "{report:?}");
    world.assert_law_abiding();
    let left: Vec<_> = world.inventory().into_keys().collect();
    assert_eq!(left, ["rule", "store"], "law 3");
}

#[tokio::test(start_paused = true)]
async fn only_what_holds_data_is_asked_for_a_final_snapshot() {
    let mut world = World::new();
    world.final_snapshot = Some("last-of-all".to_owned());
    let declaration = everything();
    world.up_well(&declaration).await;
    world.down_well(&declaration).await;
    let snapshots = world.cloud.look().snapshots.clone();
    assert_eq!(
        snapshots,
        [("database".to_owned(), "last-of-all".to_owned())]
    );
}

#[tokio::test(start_paused = true)]
async fn a_repeated_down_leaves_the_snapshot_of_the_first_but_asks_anew_whether() {
    for (second, expected) in [(Some("second"), Some("first")), (None, None)] {
        let mut world = World::new();
        let declaration = stack(|s| {
            s.add::<Database>("database", |_| {});
        });
        world.up_well(&declaration).await;
        world.final_snapshot = Some("first".to_owned());
        world
            .cloud
            .fault(&[Delete], "database", Refuse("Protected"));
        assert!(!world.down(&declaration).await.is_complete());
        world.final_snapshot = second.map(str::to_owned);
        world.down_well(&declaration).await;
        let snapshots = world.cloud.look().snapshots.clone();
        let names: Vec<_> = snapshots.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, expected.into_iter().collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_out_of_a_report_that_says_all_is_gone() {
    let world = World::new();
    let declaration = stack(|s| {
        s.add::<Gateway>("gateway", |_| {});
    });
    world.up_well(&declaration).await;
    let mut state = world.state();
    state.records.get_mut(&at("gateway")).unwrap().kind = "fake/unknown".to_owned();
    world.disk.set(Some(state));
    let report = world.down(&declaration).await.report();
    assert!(
        !report.is_complete(),
        "a kind nobody knows cannot be deleted"
    );
    assert!(world.state().records.contains_key(&at("gateway")));
    assert_eq!(
        world.inventory(),
        BTreeMap::new(),
        "its tag finds it all the same"
    );
}
