//! `down` finds what neither the state nor today's configuration knows, leaves alone what is
//! somebody else's, and says what stands in its way.

use std::time::Duration;

use tokio::time::Instant;

use super::applying::everything;
use super::cloud::LEFT_OVER;
use super::faults::Effect::{LoseRequest, Refuse};
use super::faults::Fault;
use super::faults::Operation::{Create, Delete, Read};
use super::kinds::{Arn, Certificate, Database, Log, Network, Rule, Settings, Store, Traits};
use super::world::{World, at, settings, stack};
use crate::engine::{Declaration, Left, READS_LAG};
use crate::resource::{Address, NODE_TAG, Resolved, STACK_TAG, Tags};

/// The settings of the same node of another stack.
fn of_another_stack(node: &str) -> Settings<Resolved> {
    let tags = Tags::from_pairs([(STACK_TAG, "dev-2"), (NODE_TAG, node)]);
    Settings {
        name: format!("{node}-of-dev-2"),
        tags: Some(tags),
        ..settings(node)
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_state_what_an_earlier_configuration_made_goes_in_order_too() {
    for now in [
        Declaration::default(),
        stack(|s| drop(s.add::<Network>("network", |_| {}))),
    ] {
        let world = World::new();
        world.up_well(&everything()).await;
        world.disk.set(None);
        world.down_well(&now).await;
        let calls = world.cloud.look().calls.clone();
        let refused: Vec<_> = calls.iter().filter(|call| call.code.is_some()).collect();
        assert!(
            refused.is_empty(),
            "nothing is deleted too early: {refused:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_double_is_shown_and_goes_with_what_is_built_on_it() {
    let world = World::new();
    let declaration = stack(|s| {
        let network = s.add::<Network>("network", |_| {});
        s.add::<Store>("store", |n| n.uses = vec![network.arn()]);
    });
    world.up_well(&declaration).await;
    let double = world
        .cloud
        .plant(Network::behaviour(), "network", settings("network"));
    let built_on_it = Settings {
        name: "another".into(),
        uses: vec![double.clone()],
        ..settings("store")
    };
    world.cloud.plant(Store::behaviour(), "store", built_on_it);
    for is_lost in [false, true] {
        if is_lost {
            world.disk.set(None);
        }
        let whole = world.whole(&declaration).await;
        let (network, _) = &whole.nodes[&at("network")];
        let (store, _) = &whole.nodes[&at("store")];
        assert_eq!((network.retired.len(), store.retired.len()), (1, 1));
        assert_eq!(whole.nodes.len(), 2);
    }
    world.down_well(&declaration).await;
    let calls = world.cloud.look().calls.clone();
    assert!(calls.iter().all(|call| call.code.is_none()), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn the_same_nodes_of_another_stack_stay() {
    let world = World::new();
    world.up_well(&everything()).await;
    world
        .cloud
        .plant(Network::behaviour(), "theirs", of_another_stack("network"));
    let database = of_another_stack("database");
    let database = world.cloud.plant(Database::behaviour(), "theirs", database);
    let rule = Settings {
        parent: Some(database),
        tags: None,
        ..settings("rule")
    };
    world.cloud.plant(Rule::behaviour(), "theirs", rule);
    world.disk.set(None);
    let report = world.down(&Declaration::default()).await.report();
    assert!(report.is_complete(), "{report:?}");
    world.assert_law_abiding();
    let left = world.inventory();
    assert_eq!(left.keys().collect::<Vec<_>>(), ["theirs"]);
    assert_eq!(left["theirs"].len(), 3, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_changed_its_kind_leaves_nothing() {
    let world = World::new();
    let before = stack(|s| drop(s.add::<Network>("thing", |_| {})));
    let after = stack(|s| drop(s.add::<Store>("thing", |_| {})));
    world.up_well(&before).await;
    world.disk.set(None);
    world.up_well(&after).await;
    world.disk.set(None);
    world.down_well(&after).await;
    assert_eq!(world.carried_out(Delete).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_last_look_that_sees_nothing_because_it_may_not_is_no_proof() {
    let world = World::new();
    let declaration = stack(|s| drop(s.add::<Network>("network", |_| {})));
    world.up_well(&declaration).await;
    let sweeps = world.cloud.look().calls.len();
    world.whole(&declaration).await;
    let sweeps = world.cloud.look().calls[sweeps..]
        .iter()
        .filter(|call| call.node.is_empty())
        .count();
    let fault = Fault {
        operations: &[Read],
        node: Some(String::new()),
        after: sweeps,
        times: 1,
        effect: Refuse("AccessDenied"),
    };
    world.cloud.look().faults.push(fault);
    let report = world.down(&declaration).await.report();
    assert_eq!(report.failed.len(), 1, "{report:?}");
    let error = report.failed[0].source.to_string();
    assert!(error.contains("could not be seen") && error.contains("AccessDenied"));
    world.down_well(&declaration).await;
}

#[tokio::test(start_paused = true)]
async fn what_holds_a_resource_is_named_while_it_waits_and_when_patience_ends() {
    let world = World::new();
    let declaration = stack(|s| {
        let network = s.add::<Network>("network", |_| {});
        s.add::<Network>("inner", |n| n.uses = vec![network.arn()]);
    });
    world.up_well(&declaration).await;
    let inner = world.state().records[&at("inner")].outputs.clone().unwrap();
    let holder = Settings {
        uses: vec![inner["arn"].as_str().unwrap().to_owned()],
        tags: Some(Tags::from_pairs([("Team", "payments")])),
        ..settings("somebody")
    };
    let holder = world.cloud.plant(Network::behaviour(), "somebody", holder);
    let report = world.down(&declaration).await.report();
    let failed = &report.failed[0];
    assert_eq!(
        (failed.address.as_str(), failed.left),
        ("inner", Left::Recorded)
    );
    let message = failed.source.message();
    assert!(message.contains("it is used by somebody"), "{message}");
    assert!(
        failed
            .source
            .advice()
            .unwrap()
            .contains("remove what uses it")
    );
    let waits = world.waits("inner");
    let named = waits
        .iter()
        .filter(|text| text.ends_with("used by somebody"));
    assert!(named.count() > 10, "{waits:?}");
    assert_eq!(report.skipped, [(at("network"), "inner".to_owned())]);

    world.cloud.look().objects.remove(&holder);
    world.down_well(&declaration).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_service_left_behind_is_taken_away() {
    let world = World::new();
    let declaration = stack(|s| drop(s.add::<Network>("network", |_| {})));
    world.up_well(&declaration).await;
    let network = world.state().records[&at("network")]
        .outputs
        .clone()
        .unwrap();
    let left_over = Settings {
        uses: vec![network["arn"].as_str().unwrap().to_owned()],
        tags: None,
        ..settings(LEFT_OVER)
    };
    world
        .cloud
        .plant(Network::behaviour(), LEFT_OVER, left_over);
    let began = Instant::now();
    world.down_well(&declaration).await;
    assert!(
        began.elapsed() < Duration::from_secs(120),
        "not at the end of patience"
    );
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_under_the_same_name_is_deleted_again_at_once() {
    let world = World::new();
    let declaration = stack(|s| drop(s.add::<Log>("logs", |_| {})));
    world.up_well(&declaration).await;
    world.cloud.look().comes_back = [("logs".to_owned(), Duration::from_millis(20))].into();
    world.down_well(&declaration).await;
    let deletes = world.calls(Delete, "logs");
    assert_eq!(deletes.len(), 2, "{deletes:?}");
    assert!(deletes[1].0 - deletes[0].0 < 1.0, "{deletes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_create_that_is_refused_leaves_no_record_and_an_unanswered_one_does() {
    let declaration = stack(|s| {
        let network = s.add::<Network>("network", |_| {});
        s.add::<Network>("inner", |n| n.uses = vec![network.arn()]);
    });
    let world = World::new();
    world.cloud.fault(&[Create], "inner", Refuse("Forbidden"));
    let report = world.up(&declaration).await.report();
    assert_eq!(report.failed[0].left, Left::Nothing);
    assert_eq!(
        world.state().records.keys().collect::<Vec<_>>(),
        [&at("network")]
    );
    let began = Instant::now();
    world.down_well(&declaration).await;
    let settling = Duration::from_secs(60);
    assert!(
        began.elapsed() < settling + READS_LAG,
        "nothing is looked for"
    );

    world.cloud.fault(&[Create], "inner", LoseRequest);
    world.cloud.fault(&[Create], "inner", Refuse("Forbidden"));
    let report = world.up(&declaration).await.report();
    assert_eq!(report.failed[0].left, Left::Traceable);
    let record = &world.state().records[&at("inner")];
    assert!(record.outputs.is_none() && record.intent.is_some());
    world.down_well(&declaration).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_create_leaves_what_stands_beside_it_as_it_was() {
    let world = World::new();
    let declaration = |shape| {
        stack(move |s| {
            let certificate = s.add::<Certificate>("certificate", |n| n.shape = shape);
            s.add::<Store>("store", |n| n.uses = vec![certificate.arn()]);
        })
    };
    world.up_well(&declaration(1)).await;
    let before = world.state().records;
    world
        .cloud
        .fault(&[Create], "certificate", Refuse("Forbidden"));
    assert!(!world.up(&declaration(2)).await.is_complete());
    assert_eq!(world.state().records, before);
    world.up_well(&declaration(1)).await;
    assert_eq!(
        world.carried_out(Create).len(),
        2,
        "nothing had to be made again"
    );
    world.up_well(&declaration(2)).await;
    world.assert_consistent();
}

#[tokio::test(start_paused = true)]
async fn when_everything_has_vanished_it_is_looked_for_once_and_not_link_by_link() {
    let declaration = stack(|s| {
        let mut below = s.add::<Network>("n0", |_| {});
        for n in 1..8 {
            below = s.add::<Network>(&format!("n{n}"), |node| node.uses = vec![below.arn()]);
        }
    });
    for goes_down in [false, true] {
        let world = World::new();
        world.up_well(&declaration).await;
        world.cloud.look().objects.clear();
        let began = Instant::now();
        match goes_down {
            false => drop(world.up_well(&declaration).await),
            true => drop(world.down_well(&declaration).await),
        }
        let settling = Duration::from_secs(if goes_down { 60 } else { 0 });
        let took = began.elapsed() - settling;
        assert!(
            took > READS_LAG,
            "they may be there although reads miss them"
        );
        assert!(took < READS_LAG * 2, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_of_an_unknown_or_of_another_kind_is_refused_before_anything_happens() {
    for (kind, part) in [
        ("fake/unknown", "does not know this kind"),
        ("fake/store", "the state knows it as fake/store"),
    ] {
        let world = World::new();
        let declaration = stack(|s| drop(s.add::<Network>("network", |_| {})));
        world.up_well(&declaration).await;
        let mut state = world.state();
        state.records.get_mut(&at("network")).unwrap().kind = kind.to_owned();
        world.disk.set(Some(state));
        // Declared or not, it is not just forgotten.
        let declarations = match kind {
            "fake/unknown" => vec![declaration, Declaration::default()],
            _ => vec![declaration],
        };
        for declaration in declarations {
            let calls = world.cloud.look().calls.len();
            let error = world.try_plan(&declaration).await.unwrap_err();
            let error = &error.errors[&at("network")];
            assert!(error.message().contains(part), "{error}");
            assert!(
                error.advice().unwrap().contains("version of orderctl"),
                "{error:?}"
            );
            assert_eq!(world.cloud.look().calls.len(), calls);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_made_under_our_name_is_ours_unless_somebody_has_our_names() {
    for is_disputed in [false, true] {
        let world = World::new();
        let declaration = stack(|s| {
            s.add::<Store>("store", |_| {});
            s.add::<Log>("logs", |_| {});
        });
        let untagged = Settings {
            tags: Some(Tags::default()),
            ..settings("logs")
        };
        world.cloud.plant(Log::behaviour(), "logs", untagged);
        let theirs = Settings {
            tags: Some(Tags::from_pairs([("Team", "payments")])),
            ..settings("store")
        };
        if is_disputed {
            world.cloud.plant(Store::behaviour(), "theirs", theirs);
        }
        let whole = world.whole(&declaration).await;
        let found: Vec<_> = whole.nodes.keys().map(Address::as_str).collect();
        assert_eq!(
            found,
            if is_disputed { vec![] } else { vec!["logs"] },
            "law 3"
        );
    }
}
