//! Answers that are not what one hopes for: refusals, lost answers, throttling, full disks.

use std::time::Duration;

use super::disk::SaveFault;
use super::faults::Effect::{LoseAnswer, LoseRequest, Refuse, Throttle};
use super::faults::Operation::{self, Create, Delete, Read, Update};
use super::kinds::{Arn, Gateway, Network, Rule, Service, Store, Subscription};
use super::world::{World, at, stack};
use crate::engine::{Action, Declaration, Left, Phase};

fn chain_and_branch() -> Declaration {
    stack(|s| {
        let first = s.add::<Network>("first", |_| {});
        let second = s.add::<Store>("second", |n| n.uses = vec![first.arn()]);
        s.add::<Network>("third", |n| n.uses = vec![second.arn()]);
        s.add::<Store>("branch", |n| n.late = 1);
    })
}

#[tokio::test(start_paused = true)]
async fn a_failure_skips_what_needs_it_and_nothing_else() {
    let world = World::new();
    let declaration = chain_and_branch();
    world.cloud.fault(&[Create], "first", Refuse("Forbidden"));
    let report = world.up(&declaration).await.report();
    let failed: Vec<_> = report
        .failed
        .iter()
        .map(|f| (f.address.as_str(), f.left))
        .collect();
    assert_eq!(failed, [("first", Left::Nothing)]);
    assert_eq!(report.failed[0].phase, Phase::Make(Action::Create));
    assert_eq!(report.failed[0].source.code(), Some("Forbidden"));
    let skipped = [
        (at("second"), "first".to_owned()),
        (at("third"), "second".to_owned()),
    ];
    assert_eq!(report.skipped, skipped);
    assert!(!report.stopped && !report.is_complete());
    assert_eq!(
        world.inventory()["branch"][0].late,
        1,
        "the other branch goes on to its end"
    );
    assert_eq!(
        world.calls(Create, "first").len(),
        1,
        "a final answer is not asked for twice"
    );
    world.up_well(&declaration).await;
    world.assert_consistent();
}

#[tokio::test(start_paused = true)]
async fn what_a_read_calls_missing_right_after_its_create_is_waited_for() {
    let world = World::new();
    let declaration = chain_and_branch();
    // The look before the create, and three after it.
    world.cloud.faults(&[Read], "first", 4, Refuse("NotFound"));
    world.up_well(&declaration).await;
    assert_eq!(world.calls(Create, "first").len(), 1);
    world.assert_consistent();
}

#[tokio::test(start_paused = true)]
async fn a_not_yet_is_tried_again_and_only_as_long_as_the_kind_says() {
    for (times, fails) in [(5, false), (1_000_000, true)] {
        let world = World::new();
        let declaration = stack(|s| {
            s.add::<Network>("network", |_| {});
        });
        world
            .cloud
            .faults(&[Create], "network", times, Refuse("NotFoundYet"));
        let report = world.up(&declaration).await.report();
        assert_eq!(!report.is_complete(), fails, "{report:?}");
        let last = world.calls(Create, "network").last().unwrap().0;
        if fails {
            assert!((300.0..310.0).contains(&last), "given up at {last}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn throttled_calls_are_sent_again() {
    let world = World::new();
    let declaration = |size| {
        stack(move |s| {
            s.add::<Store>("store", |n| n.size = size);
        })
    };
    for operation in [&[Create] as &'static [Operation], &[Update], &[Delete]] {
        world.cloud.faults(operation, "store", 4, Throttle);
    }
    world.up_well(&declaration(1)).await;
    world.up_well(&declaration(2)).await;
    world.assert_consistent();
    assert_eq!(world.inventory()["store"][0].size, 2);
    world.down_well(&declaration(2)).await;
    for operation in [Create, Update, Delete] {
        assert_eq!(world.calls(operation, "store").len(), 5, "{operation:?}");
    }
}

/// One node whose create goes wrong, for each way of being found again.
fn lonely(kind: &str) -> Declaration {
    stack(|s| {
        let parent = s.add::<Network>("parent", |_| {});
        match kind {
            "tags" => drop(s.add::<Network>("node", |_| {})),
            "name" => drop(s.add::<Store>("node", |_| {})),
            _ => drop(s.add::<Rule>("node", |n| n.parent = Some(parent.arn()))),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_answer_made_is_found_and_not_made_twice() {
    for kind in ["tags", "name", "parent"] {
        for shows_after in [0, 5] {
            let world = World::new();
            world.cloud.look().shows_after = Duration::from_secs(shows_after);
            let declaration = lonely(kind);
            world.cloud.fault(&[Create], "node", LoseAnswer);
            let report = world.up(&declaration).await.report();
            assert!(
                report.is_complete(),
                "{kind}, shown after {shows_after} s: {report:?}"
            );
            world.assert_consistent();
            assert_eq!(world.inventory()["node"].len(), 1, "{kind}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_is_sent_again_with_the_same_token() {
    for kind in ["tags", "name", "parent"] {
        let world = World::new();
        let declaration = lonely(kind);
        world.cloud.faults(&[Create], "node", 2, LoseRequest);
        world.up_well(&declaration).await;
        let inner = world.cloud.look();
        let creates = inner
            .calls
            .iter()
            .filter(|c| c.operation == Create && c.node == "node");
        let tokens: Vec<_> = creates.map(|call| call.token.clone().unwrap()).collect();
        assert_eq!(tokens.len(), 3, "{kind}");
        assert!(
            tokens.iter().all(|token| *token == tokens[0]),
            "{kind}: {tokens:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_that_never_answers_is_given_up() {
    for kind in ["tags", "name", "parent"] {
        let world = World::new();
        world
            .cloud
            .faults(&[Create], "node", usize::MAX, LoseRequest);
        let report = world.up(&lonely(kind)).await.report();
        let failed: Vec<_> = report
            .failed
            .iter()
            .map(|f| (f.address.as_str(), f.left))
            .collect();
        assert_eq!(failed, [("node", Left::Traceable)], "{kind}");
        let last = world.calls(Create, "node").last().unwrap().0;
        assert!((100.0..180.0).contains(&last), "{kind}: given up at {last}");
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_of_updates_and_deletes_are_cleared_up_by_looking() {
    for effect in [LoseAnswer, LoseRequest] {
        let world = World::new();
        let declaration = |size| {
            stack(move |s| {
                let store = s.add::<Store>("store", |n| n.size = size);
                s.add::<Subscription>("subscription", |n| n.parent = Some(store.arn()));
            })
        };
        world.up_well(&declaration(1)).await;
        world.cloud.fault(&[Update, Delete], "store", effect);
        world.up_well(&declaration(2)).await;
        assert_eq!(world.inventory()["store"][0].size, 2, "{effect:?}");
        world.assert_consistent();
        world.cloud.fault(&[Delete], "store", effect);
        world.cloud.fault(&[Delete], "subscription", effect);
        world.down_well(&declaration(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn reads_may_miss_what_is_new_however_long_its_create_was_refused() {
    let world = World::new();
    world.cloud.look().shows_after = Duration::from_secs(30);
    world
        .cloud
        .faults(&[Create], "service", 80, Refuse("NotReadyYet"));
    let declaration = stack(|s| {
        s.add::<Service>("service", |_| {});
    });
    world.up_well(&declaration).await;
    let made = world.calls(Create, "service").last().unwrap().0;
    assert!(made > 300.0, "made at {made}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_before_a_write_stops_everything() {
    let world = World::new();
    let declaration = chain_and_branch();
    world.cloud.fault(&[Read], "branch", Refuse("Forbidden"));
    let error = world.try_plan(&declaration).await.unwrap_err();
    assert_eq!(error.errors.keys().collect::<Vec<_>>(), [&at("branch")]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_that_could_not_be_announced() {
    let world = World::new();
    let declaration = stack(|s| {
        s.add::<Network>("network", |_| {});
    });
    world.disk.faults.lock().unwrap().insert(0, SaveFault::Fail);
    let report = world.up(&declaration).await.report();
    assert!(
        report.failed[0]
            .source
            .message()
            .contains("the disk is full"),
        "{report:?}"
    );
    assert_eq!(world.writes(), 0, "law 2");
    world.up_well(&declaration).await;
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_recorded_is_found_by_the_next_run() {
    for kind in ["tags", "name", "parent"] {
        let world = World::new();
        let declaration = lonely(kind);
        let saves_of_parent = 3;
        // The parent's announcement and the node's may be saved together.
        for number in saves_of_parent..saves_of_parent + 3 {
            world
                .disk
                .faults
                .lock()
                .unwrap()
                .insert(number, SaveFault::Fail);
        }
        let report = world.up(&declaration).await.report();
        assert!(!report.is_complete(), "{kind}");
        assert!(
            report.failed.iter().all(|f| f.left == Left::Traceable),
            "{kind}: {report:?}"
        );
        world.disk.faults.lock().unwrap().clear();
        world.up_well(&declaration).await;
        world.assert_consistent();
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_good_is_replaced_only_where_its_kind_says_so() {
    let world = World::new();
    let declaration = stack(|s| {
        let gateway = s.add::<Gateway>("gateway", |_| {});
        s.add::<Network>("network", |n| n.base = vec![gateway.when_ready().arn()]);
        s.add::<Store>("store", |_| {});
    });
    world.cloud.look().doomed = ["gateway".to_owned(), "store".to_owned()].into();
    let report = world.up(&declaration).await.report();
    assert_eq!(report.failed.len(), 2);
    for failed in &report.failed {
        assert_eq!(failed.left, Left::Recorded);
        assert!(failed.source.message().contains("it broke"), "{failed:?}");
    }
    assert_eq!(report.skipped, [(at("network"), "gateway".to_owned())]);
    world.cloud.look().doomed.clear();
    let plan = world.plan(&declaration).await;
    let gateway = plan.node(&at("gateway")).unwrap();
    assert_eq!(gateway.action, Action::Replace);
    assert_eq!(gateway.reason.as_deref(), Some("it failed: it broke"));
    assert_eq!(plan.node(&at("store")).unwrap().action, Action::NoChange);
    let report = world.up(&declaration).await.report();
    let failed: Vec<_> = report.failed.iter().map(|f| f.address.as_str()).collect();
    assert_eq!(
        failed,
        ["store"],
        "nobody may replace what was not agreed to"
    );
    assert_eq!(world.carried_out(Delete), ["gateway"]);
    assert_eq!(
        world.inventory()["network"][0].base,
        ["gateway"],
        "the new one is used"
    );
}
