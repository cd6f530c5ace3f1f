//! A lost state is made again from the cloud, and that of another tool is taken over.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::applying::everything;
use super::faults::Effect::{CrashAfter, CrashBefore};
use super::faults::Operation::{Create, Delete, Update};
use super::interrupting::crash_at;
use super::kinds::{Arn, Certificate, Database, Network, Rule, Settings, Store, Traits};
use super::world::{World, actions, at, settings, stack};
use crate::engine::{Action, Claim, Claims, Declaration};
use crate::resource::{Condition, KEPT_TAG, Resolved, Tags};
use crate::state::{Record, State};

/// What of a record a rebuild gives back.
fn essence(state: &State) -> BTreeMap<String, Record> {
    let records = state.records.iter();
    let essence = records.map(|(address, record)| {
        let record = Record {
            created_at: None,
            ready_at: None,
            ..record.clone()
        };
        (address.to_string(), record)
    });
    essence.collect()
}

#[tokio::test(start_paused = true)]
async fn a_rebuilt_state_is_the_one_that_was_lost() {
    let world = World::new();
    let declaration = everything();
    world.up_well(&declaration).await;
    world.pass(60).await;
    let (lost, writes) = (world.state(), world.writes());
    world.disk.set(None);
    let rebuilt = world.rebuild(&declaration, &Claims::new()).await;
    assert_eq!(essence(&world.state()), essence(&lost));
    assert!(rebuilt.missing.is_empty() && rebuilt.strangers.is_empty());
    assert_eq!(rebuilt.found.len(), lost.records.len());
    assert!(world.plan(&declaration).await.is_empty());
    world.up_well(&declaration).await;
    assert_eq!(world.writes(), writes, "nothing is sent");
}

#[tokio::test(start_paused = true)]
async fn afterwards_a_new_wish_and_a_meddling_are_both_changes() {
    let declaration = |size| {
        stack(move |s| {
            s.add::<Network>("network", |n| n.size = size);
            s.add::<Store>("store", |_| {});
        })
    };
    let world = World::new();
    world.up_well(&declaration(1)).await;
    world.meddle("store", |store| store.spec.size = 9);
    world.disk.set(None);
    let rebuilt = world.rebuild(&declaration(1), &Claims::new()).await;
    let differing = rebuilt.found.iter().filter(|f| !f.differs_in.is_empty());
    let differing: Vec<_> = differing
        .map(|f| (f.address.as_str(), f.differs_in.clone()))
        .collect();
    assert_eq!(differing, [("store", vec!["size".to_owned()])]);
    let plan = world.plan(&declaration(2)).await;
    let expected = [("network", Action::Update), ("store", Action::Update)];
    assert_eq!(
        actions(&plan),
        expected.map(|(node, action)| (node.to_owned(), action))
    );
    let network = plan.node(&at("network")).unwrap();
    assert!(!network.changes.0[0].drift, "a new wish is no drift");
    world.up_well(&declaration(2)).await;
    world.assert_consistent();
    assert_eq!(world.inventory()["store"][0].size, 1);
}

#[tokio::test(start_paused = true)]
async fn a_state_lost_with_a_power_failure_at_any_call_is_rebuilt_and_finished() {
    for (shows_after, effect) in [(0, CrashBefore), (3, CrashAfter)] {
        for number in 0.. {
            let world = World::new();
            let declaration = everything();
            {
                let mut inner = world.cloud.look();
                inner.shows_after = Duration::from_secs(shows_after);
                inner.faults.push(crash_at(number, effect));
            }
            let first = world.up(&declaration).await;
            if first.is_complete() {
                assert!(number > 30, "only {number} calls were broken");
                break;
            }
            world.disk.set(None);
            world.rebuild(&declaration, &Claims::new()).await;
            world.up_well(&declaration).await;
            world.assert_consistent();
            let made = world.carried_out(Create);
            assert_eq!(made.len(), declaration.nodes.len(), "{number}: {made:?}");
            world.pass(10).await;
            assert_eq!(actions(&world.plan(&declaration).await), [], "{number}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_work_yet_is_recorded_and_waited_for() {
    let world = World::new();
    let declaration = stack(|s| {
        s.add::<Database>("database", |_| {});
    });
    let meanwhile = async {
        world.pass(5).await;
        world.stop();
    };
    let (ended, ()) = tokio::join!(world.up(&declaration), meanwhile);
    assert!(ended.report().stopped);
    world.go_on();
    world.disk.set(None);
    let rebuilt = world.rebuild(&declaration, &Claims::new()).await;
    assert!(matches!(rebuilt.found[0].condition, Condition::Pending(_)));
    let record = &world.state().records[&at("database")];
    assert!(record.outputs.is_some() && record.ready_at.is_none());
    assert!(world.plan(&declaration).await.nodes[0].is_waiting());
    world.up_well(&declaration).await;
    world.assert_consistent();
    assert_eq!(world.carried_out(Create), ["database"]);
}

fn of_others(name: &str) -> Settings<Resolved> {
    Settings {
        tags: Some(Tags::from_pairs([("ManagedBy", "pulumi")])),
        ..settings(name)
    }
}

#[tokio::test(start_paused = true)]
async fn strangers_of_our_names_are_left_out_with_all_that_is_in_them() {
    let world = World::new();
    let declaration = stack(|s| {
        s.add::<Network>("network", |_| {});
        let store = s.add::<Store>("store", |_| {});
        s.add::<Rule>("rule", |n| n.parent = Some(store.arn()));
    });
    let network = stack(|s| {
        s.add::<Network>("network", |_| {});
    });
    world.up_well(&network).await;
    let store = world
        .cloud
        .plant(Store::behaviour(), "store", of_others("store"));
    let rule = Settings {
        parent: Some(store),
        tags: None,
        ..settings("rule")
    };
    world.cloud.plant(Rule::behaviour(), "rule", rule);
    world.disk.set(None);
    let rebuilt = world.rebuild(&declaration, &Claims::new()).await;
    let strangers: Vec<_> = rebuilt.strangers.iter().map(|(a, _)| a.as_str()).collect();
    assert_eq!(strangers, ["store", "rule"]);
    let recorded: Vec<_> = world.state().records.into_keys().collect();
    assert_eq!(recorded, [at("network")]);
}

/// A certificate for another shape, made before the stack's present one.
async fn with_an_older_certificate(world: &World, shape: u32) -> Declaration {
    let declaration = |shape| {
        stack(move |s| {
            let certificate = s.add::<Certificate>("certificate", |n| n.shape = shape);
            s.add::<Store>("store", |n| n.uses = vec![certificate.arn()]);
        })
    };
    world.up_well(&declaration(1)).await;
    if shape == 2 {
        // The power fails before the older one goes.
        world.cloud.fault(&[Delete], "certificate", CrashBefore);
        world.up(&declaration(2)).await;
    }
    world.disk.set(None);
    declaration(2)
}

#[tokio::test(start_paused = true)]
async fn an_older_instance_is_found_and_goes_with_the_next_run() {
    for shape in [1, 2] {
        let world = World::new();
        let declaration = with_an_older_certificate(&world, shape).await;
        world.rebuild(&declaration, &Claims::new()).await;
        let retired = world.state().records[&at("certificate")].retired.len();
        assert_eq!(retired, usize::from(shape == 2));
        if shape == 1 {
            // The replacement is still to come, and is shown as what it is.
            let plan = world.plan(&declaration).await;
            let replaced = plan.node(&at("certificate")).unwrap();
            assert_eq!(replaced.action, Action::Replace);
        }
        world.up_well(&declaration).await;
        world.assert_consistent();
        assert_eq!(world.carried_out(Delete), ["certificate"]);
    }
}

#[tokio::test(start_paused = true)]
async fn down_finds_older_instances_too() {
    for shape in [1, 2] {
        let world = World::new();
        let declaration = with_an_older_certificate(&world, shape).await;
        world.down_well(&declaration).await;
    }
}

/// A stack that another tool made: a network, a store of an old shape in it, and a rule.
fn made_by_others(world: &World) -> (Declaration, Claims) {
    let network = world
        .cloud
        .plant(Network::behaviour(), "network", of_others("their-network"));
    let store = Settings {
        uses: vec![network.clone()],
        shape: 7,
        size: 5,
        ..of_others("store")
    };
    let store = world.cloud.plant(Store::behaviour(), "store", store);
    let rule = Settings {
        parent: Some(store.clone()),
        tags: None,
        ..settings("rule")
    };
    world.cloud.plant(Rule::behaviour(), "rule", rule);
    let declaration = stack(|s| {
        let network = s.add::<Network>("network", |n| n.name = "their-network".into());
        let store = s.add::<Store>("store", |n| n.uses = vec![network.arn()]);
        s.add::<Rule>("rule", |n| n.parent = Some(store.arn()));
        s.add::<Database>("database", |n| n.base = vec![store.arn()]);
    });
    let claim = |arn: &str, is_complete| Claim {
        outputs: [("arn".to_owned(), json!(arn))].into_iter().collect(),
        is_complete,
    };
    let claims = [
        (at("network"), claim(&network, true)),
        (at("store"), claim(&store, false)),
    ];
    (declaration, claims.into())
}

#[tokio::test(start_paused = true)]
async fn what_is_claimed_is_taken_over_and_what_cannot_change_is_kept() {
    let world = World::new();
    let (declaration, claims) = made_by_others(&world);
    let rebuilt = world.rebuild(&declaration, &claims).await;
    let recorded: Vec<_> = rebuilt.records.keys().map(ToString::to_string).collect();
    assert_eq!(recorded, ["network", "rule", "store"]);
    assert_eq!(
        rebuilt.kept[&at("store")],
        [("shape".into(), json!(7))].into()
    );
    assert_eq!(rebuilt.missing[0].0, at("database"));

    let declaration = declaration.keeping(&rebuilt.kept);
    let plan = world.plan(&declaration).await;
    let expected = [
        ("network", Action::Update),
        ("store", Action::Update),
        ("database", Action::Create),
    ];
    assert_eq!(
        actions(&plan),
        expected.map(|(node, action)| (node.to_owned(), action))
    );
    assert!(plan.foreign.is_empty() && plan.whose.is_empty());
    world.up_well(&declaration).await;
    world.assert_consistent();
    assert_eq!(world.carried_out(Create), ["database"]);
    assert_eq!(world.carried_out(Delete), [""; 0]);
    let store = &world.inventory()["store"][0];
    assert_eq!((store.shape, store.size), (7, 1));
    assert_eq!(store.tags.as_ref().unwrap().0[KEPT_TAG], "shape");
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_survives_a_lost_state() {
    let world = World::new();
    let (declared, claims) = made_by_others(&world);
    let kept = world.rebuild(&declared, &claims).await.kept;
    world.up_well(&declared.clone().keeping(&kept)).await;
    world.disk.set(None);
    let rebuilt = world.rebuild(&declared, &Claims::new()).await;
    assert_eq!(rebuilt.kept, kept);
    let plan = world.plan(&declared.keeping(&rebuilt.kept)).await;
    assert!(plan.is_empty(), "{:?}", actions(&plan));
}

#[tokio::test(start_paused = true)]
async fn a_claim_on_something_else_than_what_is_there_is_not_believed() {
    let world = World::new();
    let (declaration, mut claims) = made_by_others(&world);
    let other = [("arn".to_owned(), Value::from("store-99"))];
    claims.get_mut(&at("store")).unwrap().outputs = other.into_iter().collect();
    claims.get_mut(&at("network")).unwrap().outputs =
        [("arn".to_owned(), Value::from("network-99"))]
            .into_iter()
            .collect();
    let rebuilt = world.rebuild(&declaration, &claims).await;
    assert!(rebuilt.records.is_empty(), "{:?}", rebuilt.records);
    let strangers: Vec<_> = rebuilt.strangers.iter().map(|(a, _)| a.as_str()).collect();
    assert_eq!(strangers, ["store", "rule"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_over_goes_with_down_before_any_up() {
    let world = World::new();
    let (declaration, claims) = made_by_others(&world);
    world.rebuild(&declaration, &claims).await;
    let report = world.down(&declaration).await.report();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(world.inventory(), BTreeMap::new());
    assert_eq!(world.carried_out(Update), [""; 0]);
}
