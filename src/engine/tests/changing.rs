//! Runs over a stack that exists: changes of mind, drift, and what others did to it.

use std::time::Duration;

use super::faults::Operation::{self, Create, Delete, Update};
use super::kinds::{
    Alarm, Arn, Certificate, Database, Definition, Gateway, Network, Rule, Service, Store,
};
use super::world::{World, actions, at, stack};
use crate::engine::Action::{self, Replace};
use crate::engine::{Declaration, Left};

/// The writes the cloud carried out since `before`, in order.
fn since(world: &World, before: usize) -> Vec<(Operation, String)> {
    let inner = world.cloud.look();
    let writes = inner
        .calls
        .iter()
        .filter(|call| call.operation != Operation::Read);
    writes
        .skip(before)
        .map(|call| (call.operation, call.node.clone()))
        .collect()
}

fn named(writes: &[(Operation, &str)]) -> Vec<(Operation, String)> {
    writes
        .iter()
        .map(|(operation, node)| (*operation, (*node).to_owned()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_field_that_can_be_changed_is_changed_in_place() {
    let world = World::new();
    let declaration = |size| {
        stack(move |s| {
            let store = s.add::<Store>("store", |n| n.size = size);
            s.add::<Network>("network", |n| n.base = vec![store.arn()]);
        })
    };
    world.up_well(&declaration(1)).await;
    let plan = world.plan(&declaration(2)).await;
    assert_eq!(actions(&plan), [("store".into(), Action::Update)]);
    let change = &plan.node(&at("store")).unwrap().changes.0[0];
    assert_eq!(
        (change.path.as_str(), change.drift),
        ("size", false),
        "a wish and not drift"
    );
    let before = world.writes();
    world.up_well(&declaration(2)).await;
    assert_eq!(since(&world, before), named(&[(Update, "store")]));
    world.assert_consistent();
}

#[tokio::test(start_paused = true)]
async fn a_replacement_takes_down_what_is_built_on_it_and_nothing_else() {
    let world = World::new();
    let declaration = |shape| {
        stack(move |s| {
            let base = s.add::<Network>("base", |n| n.shape = shape);
            let on_it = s.add::<Store>("on-it", |n| n.uses = vec![base.arn()]);
            s.add::<Rule>("inside", |n| n.parent = Some(on_it.arn()));
            s.add::<Alarm>("mentions", |n| n.uses = vec![base.arn(), on_it.arn()]);
            s.add::<Network>("apart", |_| {});
        })
    };
    world.up_well(&declaration(1)).await;
    let plan = world.plan(&declaration(2)).await;
    let expected = [("base", Replace), ("on-it", Replace), ("inside", Replace)];
    let mut expected: Vec<_> = expected
        .map(|(node, action)| (node.to_owned(), action))
        .into();
    expected.push(("mentions".to_owned(), Action::Update));
    assert_eq!(actions(&plan), expected);
    let reason = plan.node(&at("on-it")).unwrap().reason.clone();
    assert_eq!(
        reason.as_deref(),
        Some("it is built on `base`, which is replaced")
    );
    let before = world.writes();
    world.up_well(&declaration(2)).await;
    let order = [
        (Delete, "inside"),
        (Delete, "on-it"),
        (Delete, "base"),
        (Create, "base"),
        (Create, "on-it"),
        (Create, "inside"),
        (Update, "mentions"),
    ];
    let mut writes = since(&world, before);
    writes[5..].sort();
    assert_eq!(writes, named(&order));
    world.assert_consistent();
    assert!(world.plan(&declaration(2)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_successor_is_there_before_the_old_one_goes() {
    let world = World::new();
    let declaration = |shape| {
        stack(move |s| {
            let certificate = s.add::<Certificate>("certificate", |n| n.shape = shape);
            s.add::<Store>("listener", |n| n.uses = vec![certificate.arn()]);
        })
    };
    world.up_well(&declaration(1)).await;
    let before = world.writes();
    world.up_well(&declaration(2)).await;
    let order = [
        (Create, "certificate"),
        (Update, "listener"),
        (Delete, "certificate"),
    ];
    assert_eq!(since(&world, before), named(&order));
    assert_eq!(world.inventory()["listener"][0].uses, ["certificate"]);
    world.assert_consistent();
    assert!(world.plan(&declaration(2)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_built_on_something_replaced_goes_first_even_if_it_could_stand_twice() {
    let world = World::new();
    let declaration = |shape| {
        stack(move |s| {
            let base = s.add::<Network>("base", |n| n.shape = shape);
            let certificate = s.add::<Certificate>("certificate", |n| n.base = vec![base.arn()]);
            s.add::<Store>("listener", |n| n.uses = vec![certificate.arn()]);
            let loose = s.add::<Certificate>("loose", |n| n.uses = vec![base.arn()]);
            s.add::<Alarm>("alarm", |n| n.uses = vec![loose.arn()]);
        })
    };
    world.up_well(&declaration(1)).await;
    world.up_well(&declaration(2)).await;
    world.assert_consistent();
    assert!(world.plan(&declaration(2)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_order_of_making_alone_is_no_reason_to_replace() {
    let world = World::new();
    let declaration = |shape| {
        stack(move |s| {
            let first = s.add::<Network>("first", |n| n.shape = shape);
            let second = s.add::<Store>("second", |_| {});
            s.graph.follow(&second, &first);
        })
    };
    world.up_well(&declaration(1)).await;
    assert_eq!(
        actions(&world.plan(&declaration(2)).await),
        [("first".into(), Replace)]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_declared_any_more_goes_after_its_users_moved() {
    let world = World::new();
    let declaration = |old: bool| {
        stack(move |s| {
            let kept = s.add::<Network>("kept", |_| {});
            let used = match old {
                true => s.add::<Gateway>("old", |n| n.base = vec![kept.arn()]).arn(),
                false => kept.arn(),
            };
            s.add::<Store>("user", |n| n.uses = vec![used]);
        })
    };
    world.up_well(&declaration(true)).await;
    let plan = world.plan(&declaration(false)).await;
    let expected = [
        ("user".into(), Action::Update),
        ("old".into(), Action::Delete),
    ];
    assert_eq!(actions(&plan), expected);
    let before = world.writes();
    world.up_well(&declaration(false)).await;
    assert_eq!(
        since(&world, before),
        named(&[(Update, "user"), (Delete, "old")])
    );
    world.assert_consistent();
}

#[tokio::test(start_paused = true)]
async fn a_user_that_cannot_move_keeps_what_it_uses() {
    let world = World::new();
    let declaration = |old: bool| {
        stack(move |s| {
            let used = old.then(|| s.add::<Network>("old", |_| {}).arn());
            s.add::<Store>("user", |n| n.uses = used.into_iter().collect());
        })
    };
    world.up_well(&declaration(true)).await;
    world.cloud.fault(
        &[Update],
        "user",
        super::faults::Effect::Refuse("Forbidden"),
    );
    let report = world.up(&declaration(false)).await.report();
    assert_eq!(report.skipped, [(at("old"), "user".to_owned())]);
    assert_eq!(world.carried_out(Delete), Vec::<String>::new());
    world.up_well(&declaration(false)).await;
    world.assert_consistent();
}

#[tokio::test(start_paused = true)]
async fn drift_is_called_drift_and_put_right() {
    let world = World::new();
    let declaration = stack(|s| {
        s.add::<Store>("store", |_| {});
    });
    world.up_well(&declaration).await;
    world.meddle("store", |object| object.spec.size = 9);
    let plan = world.plan(&declaration).await;
    let changes = &plan.node(&at("store")).unwrap().changes.0;
    let changes: Vec<_> = changes.iter().map(|c| (c.path.as_str(), c.drift)).collect();
    assert_eq!(changes, [("size", true)]);
    world.up_well(&declaration).await;
    assert_eq!(world.inventory()["store"][0].size, 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_running_system_owns_is_shown_and_left_alone() {
    let world = World::new();
    let declaration = |size| {
        stack(move |s| {
            s.add::<Service>("service", |n| (n.size, n.desired) = (size, Some(3)));
        })
    };
    world.up_well(&declaration(1)).await;
    world.meddle("service", |object| object.spec.desired = Some(8));
    let plan = world.plan(&declaration(1)).await;
    assert!(plan.is_empty(), "law 6");
    assert!(plan.node(&at("service")).unwrap().runtime.touch("desired"));
    world.up_well(&declaration(1)).await;
    world.up_well(&declaration(2)).await;
    let service = &world.inventory()["service"][0];
    assert_eq!((service.size, service.desired), (2, Some(8)));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_deleted_is_made_again_and_its_users_follow() {
    let world = World::new();
    let declaration = stack(|s| {
        let network = s.add::<Network>("network", |_| {});
        s.add::<Alarm>("alarm", |n| n.uses = vec![network.arn()]);
    });
    world.up_well(&declaration).await;
    world
        .cloud
        .look()
        .objects
        .retain(|_, object| object.node != "network");
    let plan = world.plan(&declaration).await;
    let expected = [
        ("network".into(), Action::Create),
        ("alarm".into(), Action::Update),
    ];
    assert_eq!(actions(&plan), expected);
    assert!(
        plan.node(&at("network"))
            .unwrap()
            .reason
            .as_ref()
            .unwrap()
            .starts_with("drift")
    );
    world.up_well(&declaration).await;
    world.assert_consistent();
    assert_eq!(world.inventory()["alarm"][0].uses, ["network"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_is_still_deleting_is_waited_for() {
    let world = World::new();
    let declaration = stack(|s| {
        s.add::<Database>("database", |_| {});
    });
    world.up_well(&declaration).await;
    let ended = tokio::time::timeout(Duration::from_secs(30), world.down(&declaration)).await;
    assert!(ended.is_err(), "interrupted in the middle of the deletion");
    world.up_well(&declaration).await;
    world.assert_consistent();
    assert_eq!(world.carried_out(Create), ["database", "database"]);
}

#[tokio::test(start_paused = true)]
async fn updates_that_do_not_stick_fail_and_name_the_field() {
    let world = World::new();
    let declaration = |size| {
        stack(move |s| {
            s.add::<Store>("store", |n| n.size = size);
        })
    };
    world.up_well(&declaration(1)).await;
    world.cloud.look().stubborn.insert("store".to_owned());
    let report = world.up(&declaration(2)).await.report();
    assert_eq!(report.failed[0].left, Left::Recorded);
    let message = report.failed[0].source.message().to_owned();
    assert!(message.contains("size is 1 and not 2"), "{message}");
    assert_eq!(world.calls(Update, "store").len(), 3, "not for ever");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_shows_late_is_sent_once() {
    let world = World::new();
    world.cloud.look().update_shows_after = Duration::from_secs(12);
    let declaration = |size| {
        stack(move |s| {
            s.add::<Store>("store", |n| n.size = size);
        })
    };
    world.up_well(&declaration(1)).await;
    world.up_well(&declaration(2)).await;
    assert_eq!(world.calls(Update, "store").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn users_of_a_new_revision_follow_it() {
    let world = World::new();
    let declaration = |size| {
        stack(move |s| {
            let definition = s.add::<Definition>("definition", |n| n.size = size);
            s.add::<Service>("service", |n| n.uses = vec![definition.arn()]);
        })
    };
    world.up_well(&declaration(1)).await;
    let plan = world.plan(&declaration(2)).await;
    let expected = [
        ("definition".into(), Action::Update),
        ("service".into(), Action::Update),
    ];
    assert_eq!(
        actions(&plan),
        expected,
        "the plan says that the service follows"
    );
    world.up_well(&declaration(2)).await;
    world.meddle("service", |object| {
        assert!(
            object.spec.uses[0].ends_with(":2"),
            "{:?}",
            object.spec.uses
        );
    });
    assert!(world.plan(&declaration(2)).await.is_empty());
    world.assert_consistent();
}

/// A holder of `base` goes, an alarm mentions both, and `base` is replaced.
fn crossing(shape: u32, old: bool) -> Declaration {
    stack(move |s| {
        let base = s.add::<Network>("base", |n| n.shape = shape);
        let mut mentioned = vec![base.arn()];
        if old {
            mentioned.push(
                s.add::<Store>("holder", |n| n.uses = vec![base.arn()])
                    .arn(),
            );
        }
        s.add::<Alarm>("alarm", |n| n.uses = mentioned);
    })
}

#[tokio::test(start_paused = true)]
async fn steps_that_would_wait_for_each_other_still_come_to_an_end() {
    let world = World::new();
    world.up_well(&crossing(1, true)).await;
    world.up_well(&crossing(2, false)).await;
    world.assert_consistent();
    assert!(world.plan(&crossing(2, false)).await.is_empty());
}
