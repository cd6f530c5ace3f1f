//! Runs in which nothing goes wrong: order, waits, what is sent and what is not.

use super::faults::Operation::{Create, Delete, Update};
use super::kinds::{
    Alarm, Arn, Certificate, Database, Definition, Gateway, Network, Role, Rule, Service, Store,
    Subscription, Traits,
};
use super::world::{World, settings, stack};
use crate::engine::{Action, Declaration};

/// One node of every kind, with late settings.
pub(super) fn everything() -> Declaration {
    stack(|s| {
        let role = s.add::<Role>("role", |_| {});
        let network = s.add::<Network>("network", |n| n.late = 4);
        let rule = s.add::<Rule>("rule", |n| n.parent = Some(network.arn()));
        let gateway = s.add::<Gateway>("gateway", |n| n.base = vec![network.arn(), rule.arn()]);
        let certificate = s.add::<Certificate>("certificate", |n| n.late = 2);
        let store = s.add::<Store>("store", |n| n.uses = vec![certificate.arn(), network.arn()]);
        let database = s.add::<Database>("database", |n| {
            n.base = vec![network.arn()];
            n.late = 1;
        });
        s.add::<Subscription>("subscription", |n| n.parent = Some(store.arn()));
        let definition = s.add::<Definition>("definition", |n| {
            n.uses = vec![database.arn(), role.arn()];
            n.late = 3;
        });
        let service = s.add::<Service>("service", |n| {
            n.base = vec![network.arn()];
            n.uses = vec![definition.arn(), gateway.when_ready().arn()];
            n.desired = Some(3);
        });
        s.add::<Alarm>("alarm", |n| n.uses = vec![service.arn(), definition.arn()]);
        s.graph.after(&service, &store.when_ready());
    })
}

#[tokio::test(start_paused = true)]
async fn a_fresh_stack_is_made_in_the_order_of_its_references() {
    let world = World::new();
    let declaration = everything();
    let report = world.up_well(&declaration).await;
    assert_eq!(report.count(Action::Create), declaration.nodes.len());
    let made = world.carried_out(Create);
    let position = |node: &str| made.iter().position(|made| made == node).unwrap();
    for node in &declaration.nodes {
        for to in node.edges.keys() {
            assert!(
                position(to.as_str()) < position(node.address.as_str()),
                "{made:?}"
            );
        }
    }
    world.assert_consistent();
}

#[tokio::test(start_paused = true)]
async fn a_second_plan_is_empty_and_a_second_run_writes_nothing() {
    let world = World::new();
    let declaration = everything();
    world.up_well(&declaration).await;
    let (writes, state) = (world.writes(), world.state());
    assert!(world.plan(&declaration).await.is_empty());
    let report = world.up_well(&declaration).await;
    assert!(report.done.is_empty(), "{report:?}");
    assert_eq!(world.writes(), writes, "nothing is sent");
    assert_eq!(world.state(), state, "nothing is saved");
}

#[tokio::test(start_paused = true)]
async fn settings_that_a_create_cannot_take_follow_once_it_works() {
    let world = World::new();
    let declaration = stack(|s| {
        s.add::<Database>("database", |n| n.late = 5);
        s.add::<Network>("network", |_| {});
    });
    world.up_well(&declaration).await;
    assert_eq!(world.inventory()["database"][0].late, 5);
    assert_eq!(
        world.carried_out(Update),
        ["database"],
        "what is as wanted is not touched"
    );
    let sent = world.calls(Update, "database")[0].0;
    assert!(
        sent > f64::from(Database::READY),
        "sent at {sent}, before it worked"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dependent_waits_for_the_id_unless_it_asks_for_more() {
    let world = World::new();
    let declaration = stack(|s| {
        let gateway = s.add::<Gateway>("gateway", |_| {});
        s.add::<Network>("early", |n| n.uses = vec![gateway.arn()]);
        s.add::<Network>("late", |n| n.uses = vec![gateway.when_ready().arn()]);
        let ordered = s.add::<Network>("ordered", |_| {});
        s.graph.after(&ordered, &gateway.when_ready());
    });
    world.up_well(&declaration).await;
    let sent = |node| world.calls(Create, node)[0].0;
    assert!(
        sent("early") < 1.0,
        "the id is known at once, yet {}",
        sent("early")
    );
    for node in ["late", "ordered"] {
        assert!(
            sent(node) > f64::from(Gateway::READY),
            "{node} started at {}",
            sent(node)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_call_is_tried_until_the_cloud_takes_it() {
    let world = World::new();
    let declaration = stack(|s| {
        let gateway = s.add::<Gateway>("gateway", |_| {});
        s.add::<Service>("service", |n| n.uses = vec![gateway.arn()]);
    });
    world.up_well(&declaration).await;
    let calls = world.calls(Create, "service");
    let (last, refused) = calls.split_last().unwrap();
    assert!(
        refused
            .iter()
            .all(|(_, code)| code.as_deref() == Some("NotReadyYet"))
    );
    assert!(
        refused[0].0 < 1.0,
        "law 4: tried as soon as the id is known"
    );
    let late = last.0 - f64::from(Gateway::READY);
    assert!(
        (0.0..8.0).contains(&late),
        "taken {late} seconds after it could be"
    );
    assert!(
        world
            .waits("service")
            .contains(&"fake:Call answers NotReadyYet".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn the_longest_chain_starts_first() {
    let mut world = World::new();
    world.parallelism = 1;
    let declaration = stack(|s| {
        s.add::<Network>("a", |_| {});
        s.add::<Store>("b", |_| {});
        let head = s.add::<Network>("c", |_| {});
        s.add::<Database>("d", |_| {});
        s.add::<Gateway>("e", |n| n.base = vec![head.arn()]);
    });
    world.up_well(&declaration).await;
    let made = world.carried_out(Create);
    assert_eq!(
        made[..2],
        ["c", "d"],
        "{made:?}: 101 s behind `c`, 90 s of `d`"
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_in_flight_than_allowed() {
    for parallelism in [1, 3, 16] {
        let mut world = World::new();
        world.parallelism = parallelism;
        let declaration = stack(|s| {
            for n in 0..20 {
                s.add::<Store>(&format!("n{n}"), |n| n.late = 1);
            }
        });
        world.up_well(&declaration).await;
        assert_eq!(world.cloud.look().most_in_flight, parallelism);
        world.cloud.look().most_in_flight = 0;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_account_shares_is_ensured_and_never_ours() {
    let world = World::new();
    let declaration = stack(|s| {
        let missing = s.add::<Role>("missing", |_| {});
        let present = s.add::<Role>("present", |_| {});
        s.add::<Network>("network", |n| n.uses = vec![missing.arn(), present.arn()]);
    });
    world
        .cloud
        .plant(Role::behaviour(), "other", settings("present"));
    world.up_well(&declaration).await;
    assert_eq!(world.carried_out(Create), ["missing", "network"]);
    assert_eq!(
        world.state().records.len(),
        1,
        "only the network is recorded"
    );
    assert!(world.plan(&declaration).await.is_empty());
    world.down_well(&declaration).await;
    assert_eq!(world.carried_out(Delete), ["network"]);
    assert_eq!(world.cloud.look().objects.len(), 2, "both roles stay");
}
