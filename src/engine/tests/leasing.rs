//! Runs that lose the lease on their stack: no call that could change something is sent any more.

use super::applying::everything;
use super::world::World;
use crate::state::Lease;

#[tokio::test(start_paused = true)]
async fn without_a_lease_nothing_is_made_changed_or_deleted() {
    let declaration = everything();
    let mut world = World::new();
    let lost = Lease::of_a_test().await;
    lost.lose_for_a_test();
    world.lease = lost.clone();
    let report = world.up(&declaration).await.report();
    assert!(
        report.failed.is_empty() && !report.is_complete(),
        "{report:?}"
    );
    assert_eq!(world.writes(), 0);

    world.lease = Lease::default();
    world.up_well(&declaration).await;
    let writes = world.writes();
    world.lease = lost;
    let report = world.down(&declaration).await.report();
    assert!(
        report.failed.is_empty() && !report.is_complete(),
        "{report:?}"
    );
    assert_eq!(world.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn a_lease_lost_in_the_middle_lets_calls_in_flight_end_and_sends_no_other() {
    for after in [0, 1, 30, 95] {
        let declaration = everything();
        let mut world = World::new();
        world.lease = Lease::of_a_test().await;
        let meanwhile = async {
            world.pass(after).await;
            world.lease.lose_for_a_test();
            world.writes()
        };
        let (ended, writes) = tokio::join!(world.up(&declaration), meanwhile);
        let report = ended.report();
        assert!(report.failed.is_empty(), "{report:?}");
        assert_eq!(
            world.writes(),
            writes,
            "nothing was sent after {after} seconds"
        );
        world.lease = Lease::default();
        world.up_well(&declaration).await;
        world.assert_consistent();
    }
}
