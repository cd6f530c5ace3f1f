//! Resources the state does not know: ours after a lost state, and those of strangers (law 3).

use super::faults::Operation::{Create, Delete};
use super::kinds::{Arn, Certificate, Network, Rule, Settings, Store, Traits};
use super::world::{World, at, settings, stack};
use crate::engine::{Action, Declaration, Left, Whose};
use crate::resource::{NODE_TAG, Resolved, STACK_TAG, Tags};

fn foreign(name: &str) -> Settings<Resolved> {
    let tags = Tags::from_pairs([("Team", "payments")]);
    Settings {
        tags: Some(tags),
        ..settings(name)
    }
}

fn one_store() -> Declaration {
    stack(|s| {
        let store = s.add::<Store>("store", |n| n.size = 2);
        s.add::<Rule>("rule", |n| n.parent = Some(store.arn()));
    })
}

#[tokio::test(start_paused = true)]
async fn an_older_state_that_is_put_back_finds_what_took_the_place_of_what_it_knows() {
    let world = World::new();
    let declaration = |size| {
        stack(move |s| {
            let network = s.add::<Network>("network", |_| {});
            let inner = s.add::<Network>("inner", |n| n.base = vec![network.arn()]);
            s.add::<Rule>("rule", |n| {
                (n.parent, n.size) = (Some(inner.arn()), size);
            });
        })
    };
    world.up_well(&declaration(1)).await;
    let old = world.disk.state();
    world.down_well(&declaration(1)).await;
    world.up_well(&declaration(1)).await;
    let (inventory, made) = (world.inventory(), world.carried_out(Create).len());
    for size in [1, 2] {
        world.disk.set(old.clone());
        let plan = world.plan(&declaration(size)).await;
        assert_eq!(plan.is_empty(), size == 1);
        world.up_well(&declaration(size)).await;
        world.assert_consistent();
        assert_eq!(world.carried_out(Create).len(), made, "nothing twice");
        assert_eq!(world.inventory().len(), inventory.len());
    }
    world.disk.set(old);
    world.down_well(&declaration(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stranger_with_our_name_is_refused() {
    let world = World::new();
    world
        .cloud
        .plant(Store::behaviour(), "stranger", foreign("store"));
    let declaration = one_store();
    let plan = world.plan(&declaration).await;
    let names: Vec<_> = plan
        .foreign
        .iter()
        .map(|node| node.address.as_str())
        .collect();
    assert_eq!(names, ["store"]);
    // Even a caller that does not mind the plan changes nothing.
    let report = world.up(&declaration).await.report();
    assert_eq!(report.failed[0].left, Left::Nothing);
    let advice = report.failed[0]
        .source
        .advice()
        .unwrap_or_default()
        .to_owned();
    assert!(advice.contains("--adopt"), "{advice}");
    assert_eq!(world.inventory()["stranger"][0], foreign("store"));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_would_have_to_be_replaced_is_refused_too() {
    for replacing_base in [false, true] {
        let world = World::new();
        let declaration = |shape| {
            stack(move |s| {
                let base = s.add::<Network>("base", |n| n.shape = shape);
                if shape == 2 {
                    s.add::<Store>("store", |n| n.uses = vec![base.arn()]);
                }
            })
        };
        let mut stranger = foreign("store");
        stranger.shape = if replacing_base { 1 } else { 7 };
        world.up_well(&declaration(1)).await;
        world
            .cloud
            .plant(Store::behaviour(), "stranger", stranger.clone());
        let plan = world.plan(&declaration(2)).await;
        let names: Vec<_> = plan
            .foreign
            .iter()
            .map(|node| node.address.as_str())
            .collect();
        assert_eq!(names, ["store"]);
        world.up(&declaration(2)).await.report();
        assert_eq!(world.inventory()["stranger"][0], stranger);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_taken_over_when_asked_to() {
    let mut world = World::new();
    world
        .cloud
        .plant(Store::behaviour(), "store", foreign("store"));
    world.adopt = true;
    let declaration = one_store();
    let plan = world.plan(&declaration).await;
    assert!(plan.foreign.is_empty());
    assert_eq!(plan.node(&at("store")).unwrap().action, Action::Adopt);
    world.up_well(&declaration).await;
    world.assert_consistent();
    assert_eq!(world.carried_out(Create), ["rule"]);
    assert_eq!(
        world.inventory()["store"][0].size,
        2,
        "it is brought to what is wanted"
    );
    world.adopt = false;
    assert!(
        world.plan(&declaration).await.is_empty(),
        "it is ours by now"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_cannot_be_changed_in_place_is_planned_to_be_replaced() {
    let mut world = World::new();
    let stranger = Settings {
        shape: 7,
        ..foreign("store")
    };
    world.cloud.plant(Store::behaviour(), "store", stranger);
    world.adopt = true;
    let declaration = one_store();
    let plan = world.plan(&declaration).await;
    let store = plan.node(&at("store")).unwrap();
    assert_eq!(store.action, Action::Replace);
    assert_eq!(store.forced_by(), ["shape"]);
    let taken: Vec<_> = plan.taken_over().map(|n| n.address.as_str()).collect();
    assert_eq!(taken, ["store"]);
    let report = world.up(&declaration).await.report();
    assert!(report.is_complete(), "{report:?}");
    world.assert_consistent();
    assert_eq!(world.inventory()["store"][0].shape, 1);
}

#[tokio::test(start_paused = true)]
async fn what_another_stack_of_ours_holds_is_never_taken_over() {
    let mut world = World::new();
    let theirs = Settings {
        tags: Some(Tags::from_pairs([(STACK_TAG, "prod"), (NODE_TAG, "store")])),
        ..settings("store")
    };
    world
        .cloud
        .plant(Store::behaviour(), "stranger", theirs.clone());
    world.adopt = true;
    let declaration = one_store();
    let plan = world.plan(&declaration).await;
    let left: Vec<_> = plan.foreign.iter().map(|n| n.address.as_str()).collect();
    assert_eq!(left, ["store"]);
    assert_eq!(plan.whose[&at("store")], Whose::Stack("prod".into()));
    assert_eq!(plan.taken_over().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_appears_after_the_plan_is_refused_even_if_others_may_be_taken_over() {
    let mut world = World::new();
    world.adopt = true;
    let declaration = one_store();
    let refused = super::faults::Effect::Refuse("NotFoundYet");
    world.cloud.faults(&[Create], "store", 9, refused);
    let meanwhile = async {
        world.pass(1).await;
        world
            .cloud
            .plant(Store::behaviour(), "stranger", foreign("store"));
    };
    let (ended, ()) = tokio::join!(world.up(&declaration), meanwhile);
    assert_eq!(ended.report().failed[0].left, Left::Nothing);
    assert_eq!(world.inventory()["stranger"][0], foreign("store"));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_appears_after_the_plan_is_refused() {
    let world = World::new();
    let declaration = one_store();
    let refused = super::faults::Effect::Refuse("NotFoundYet");
    world.cloud.faults(&[Create], "store", 9, refused);
    let meanwhile = async {
        world.pass(1).await;
        world
            .cloud
            .plant(Store::behaviour(), "stranger", foreign("store"));
    };
    let (ended, ()) = tokio::join!(world.up(&declaration), meanwhile);
    let report = ended.report();
    assert_eq!(report.failed[0].left, Left::Nothing);
    assert_eq!(world.inventory()["stranger"][0], foreign("store"));
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_state_everything_is_found_again() {
    let world = World::new();
    let declaration = super::applying::everything();
    world.up_well(&declaration).await;
    let (state, writes) = (world.state(), world.writes());
    world.disk.set(None);
    let report = world.up_well(&declaration).await;
    assert_eq!(report.count(Action::Adopt), state.records.len());
    assert_eq!(
        world.writes(),
        writes,
        "law 1: nothing is made twice, nothing changed"
    );
    world.assert_consistent();
    let dependencies = |state: &crate::state::State| -> Vec<_> {
        state
            .records
            .values()
            .map(|record| record.dependencies.clone())
            .collect()
    };
    assert_eq!(dependencies(&world.state()), dependencies(&state));
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_state_replacements_leave_nothing_behind() {
    let world = World::new();
    let declaration = |shape| {
        stack(move |s| {
            let network = s.add::<Network>("network", |n| n.shape = shape);
            s.add::<Store>("store", |n| n.base = vec![network.arn()]);
            let certificate = s.add::<Certificate>("certificate", |n| n.late = shape);
            let ring = s.add::<Certificate>("ring", |n| n.base = vec![certificate.arn()]);
            s.add::<Store>("user", |n| {
                n.uses = vec![ring.arn()];
                n.shape = shape;
            });
        })
    };
    world.up_well(&declaration(1)).await;
    world.disk.set(None);
    world.up_well(&declaration(2)).await;
    world.assert_consistent();
    assert!(world.plan(&declaration(2)).await.is_empty());
    let deleted = world.carried_out(Delete);
    assert_eq!(
        deleted.len(),
        3,
        "the store before the network, and the user: {deleted:?}"
    );
}
