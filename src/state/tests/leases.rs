//! The lock: races for it, its end, and what a holder can still do who has lost it.

use super::memory::{Fault, Memory};
use super::*;
use crate::state::lease::{BEAT, LASTS};
use crate::state::lock_object::GRACE;
use crate::state::{Journal, Lock, RunOutcome, StateError};

/// When a lease that is not renewed can be taken over.
const OVER: Duration = Duration::from_secs(LASTS.as_secs() + GRACE.as_secs() + 2);

fn is_locked(taken: &Result<Lock, StateError>) -> bool {
    matches!(taken, Err(StateError::Locked { .. }))
}

/// What a killed process leaves: no heartbeat, no word.
fn killed(lock: Lock) {
    drop(lock);
}

#[tokio::test(start_paused = true)]
async fn a_held_lock_is_refused_with_who_since_when_and_until_when() {
    let bucket = Memory::new();
    let (ann, bob) = (Machine::on(&bucket).store, Machine::on(&bucket).store);
    let lock = ann.lock("dev", "up").await.unwrap();
    let refused = bob.lock("dev", "down").await.err().unwrap().to_string();
    let process = format!("(process {}) since ", std::process::id());
    for part in [
        "`dev`",
        "`up` of ",
        &process,
        ", lease until 2027-01-15T08:01:00Z",
    ] {
        assert!(refused.contains(part), "no {part} in {refused}");
    }
    let holder = bob.holder("dev").await.unwrap().unwrap();
    assert_eq!(
        (holder.purpose.as_str(), holder.pid),
        ("up", std::process::id())
    );
    assert!(holder.expires.is_some());
    assert!(
        bob.lock("other", "up").await.is_ok(),
        "another stack is free"
    );
    lock.release().await.unwrap();
    assert_eq!(bob.holder("dev").await.unwrap(), None);
    bob.lock("dev", "down")
        .await
        .unwrap()
        .release()
        .await
        .unwrap();
    assert_eq!(object(&bucket, "dev.lock")["generation"], 2);
}

#[tokio::test(start_paused = true)]
async fn of_many_takers_at_the_same_moment_one_gets_it() {
    for is_first in [true, false] {
        let bucket = Memory::new();
        if !is_first {
            killed(Machine::on(&bucket).store.lock("dev", "up").await.unwrap());
            wait(OVER).await;
        }
        let mut takers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let store = Machine::on(&bucket).store;
            takers.spawn(async move { store.lock("dev", "up").await });
        }
        let taken = takers.join_all().await;
        let held = taken.iter().filter(|taken| taken.is_ok()).count();
        let refused = taken.iter().filter(|taken| is_locked(taken)).count();
        assert_eq!((held, refused), (1, 7), "is_first: {is_first}");
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_lease_for_as_long_as_its_holder_lives() {
    let bucket = Memory::new();
    let (ann, bob) = (Machine::on(&bucket).store, Machine::on(&bucket).store);
    let lock = ann.lock("dev", "up").await.unwrap();
    for _ in 0..100 {
        wait(seconds(7)).await;
        assert!(is_locked(&bob.lock("dev", "up").await));
        lock.lease().check().await.unwrap();
    }
    let written = bucket.writes("dev.lock");
    assert!(
        (40..60).contains(&written),
        "{written} writes in 700 seconds"
    );
}

#[tokio::test(start_paused = true)]
async fn a_killed_holders_lock_is_taken_over_after_its_end_and_not_before() {
    let bucket = Memory::new();
    let (ann, bob) = (Machine::on(&bucket).store, Machine::on(&bucket).store);
    killed(ann.lock("dev", "up").await.unwrap());
    let begun = Instant::now();
    while is_locked(&bob.lock("dev", "up").await) {
        wait(seconds(1)).await;
    }
    assert!(
        (LASTS..=OVER).contains(&begun.elapsed()),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_holder_who_lost_the_lock_can_write_no_state_and_change_nothing() {
    // With a state, and where there is none yet: both times the new holder comes first.
    for has_state in [true, false] {
        let bucket = Memory::new();
        let (zombie, bob) = (Machine::on(&bucket), Machine::on(&bucket).store);
        if has_state {
            zombie.store.save(&state(1)).await.unwrap();
        }
        let lock = zombie.store.lock("dev", "up").await.unwrap();
        zombie.store.load("dev").await.unwrap();
        zombie.network.cut(true);
        wait(OVER).await;
        let taken = bob.lock("dev", "down").await.unwrap();
        let before = bucket.text("dev.json");
        zombie.network.cut(false);
        // It has not noticed anything when it writes.
        let error = zombie.store.save(&state(2)).await.unwrap_err();
        assert!(
            error.to_string().contains("taken over by `down` of "),
            "{error}"
        );
        assert_eq!(zombie.store.remove("dev").await.is_err(), has_state);
        assert_eq!(bucket.text("dev.json"), before, "has_state: {has_state}");
        let lost = lock.lease().check().await.unwrap_err();
        assert!(matches!(lost, StateError::Lost { .. }), "{lost}");
        // What it gives back is not its own any more.
        lock.release().await.unwrap();
        assert!(bob.holder("dev").await.unwrap().is_some());
        let left = bob.load("dev").await.unwrap().map(|state| state.serial);
        assert_eq!(left, has_state.then_some(1));
        bob.save(&state(3)).await.unwrap();
        taken.release().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_of_the_old_holder_that_arrives_late_changes_nothing() {
    let bucket = Memory::new();
    let (zombie, bob) = (Machine::on(&bucket), Machine::on(&bucket).store);
    zombie.store.save(&state(1)).await.unwrap();
    let lock = zombie.store.lock("dev", "up").await.unwrap();
    zombie.store.load("dev").await.unwrap();
    bucket.fail("dev.json", [Fault::Late(OVER + seconds(30)), Fault::Denied]);
    zombie.store.save(&state(2)).await.unwrap_err();
    killed(lock);
    wait(OVER).await;
    let taken = bob.lock("dev", "up").await.unwrap();
    assert_eq!(bob.load("dev").await.unwrap().unwrap().serial, 1);
    wait(seconds(120)).await;
    assert_eq!(
        object(&bucket, "dev.json")["serial"],
        1,
        "it has arrived by now"
    );
    bob.save(&state(5)).await.unwrap();
    taken.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_renews_if_it_can_and_changes_nothing_if_it_cannot() {
    let bucket = Memory::new();
    let (laptop, bob) = (Machine::on(&bucket), Machine::on(&bucket).store);
    let lock = laptop.store.lock("dev", "up").await.unwrap();
    let lease = lock.lease();
    // Nobody has come meanwhile.
    laptop.was_suspended(seconds(600));
    let written = bucket.writes("dev.lock");
    lease.check().await.unwrap();
    assert_eq!(
        bucket.writes("dev.lock"),
        written + 1,
        "renewed before anything is changed"
    );
    lease.check().await.unwrap();
    assert_eq!(bucket.writes("dev.lock"), written + 1, "and not again");
    // Somebody has.
    laptop.network.cut(true);
    laptop.was_suspended(seconds(600));
    wait(OVER).await;
    let _taken = bob.lock("dev", "down").await;
    laptop.network.cut(false);
    let lost = lease.check().await.unwrap_err().to_string();
    assert!(lost.contains("the lease on stack `dev` is lost"), "{lost}");
}

#[tokio::test(start_paused = true)]
async fn what_was_stopped_and_woken_after_a_takeover_learns_who_has_it() {
    let bucket = Memory::new();
    let (zombie, bob) = (Machine::on(&bucket), Machine::on(&bucket).store);
    let lock = zombie.store.lock("dev", "up").await.unwrap();
    // Bob's lock as the stopped process finds it: written by somebody else in its absence.
    let mut document = object(&bucket, "dev.lock");
    document["lasts_seconds"] = 0.into();
    bucket.overwrite("dev.lock", &document.to_string());
    wait(GRACE + seconds(2)).await;
    let taken = bob.lock("dev", "down").await.unwrap();
    zombie.was_suspended(seconds(120));
    let lost = lock.lease().check().await.unwrap_err().to_string();
    assert!(lost.contains("taken over by `down` of "), "{lost}");
    let again = lock.lease().lost().await.to_string();
    assert_eq!(again, lost);
    taken.release().await.unwrap();

    // The same if the other one is done by then.
    let lock = zombie.store.lock("dev", "up").await.unwrap();
    zombie.network.cut(true);
    zombie.was_suspended(OVER);
    wait(OVER).await;
    let taken = bob.lock("dev", "down").await.unwrap();
    taken.release().await.unwrap();
    zombie.network.cut(false);
    let lost = zombie.store.save(&state(1)).await.unwrap_err().to_string();
    for part in ["taken over by `down` of ", "and is free again"] {
        assert!(lost.contains(part), "no {part} in {lost}");
    }
    drop(lock);
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_the_lease_is_lost_at_its_end_and_not_before() {
    let bucket = Memory::new();
    let machine = Machine::on(&bucket);
    let lock = machine.store.lock("dev", "up").await.unwrap();
    let begun = Instant::now();
    machine.network.cut(true);
    let lease = lock.lease();
    let lost = tokio::time::timeout(LASTS * 3, lease.lost()).await;
    let lost = lost.expect("it is never lost").to_string();
    assert!(lost.contains("could not be renewed"), "{lost}");
    let after = begun.elapsed();
    assert!((LASTS..LASTS + seconds(10)).contains(&after), "{after:?}");
    assert!(lock.lease().check().await.is_err());

    // A short break is no loss.
    machine.network.cut(false);
    wait(OVER).await;
    let lock = machine.store.lock("dev", "up").await.unwrap();
    wait(BEAT - seconds(1)).await;
    machine.network.cut(true);
    wait(seconds(30)).await;
    machine.network.cut(false);
    wait(seconds(60)).await;
    lock.lease().check().await.unwrap();
    assert!(lock.lease().is_lost().is_none());
}

#[tokio::test(start_paused = true)]
async fn lost_answers_to_takes_heartbeats_and_releases_are_looked_into() {
    for fault in [
        Fault::Answered,
        Fault::Lost,
        Fault::Conflict,
        Fault::Late(Duration::from_millis(100)),
        Fault::Late(seconds(3)),
        Fault::Late(seconds(20)),
    ] {
        let bucket = Memory::new();
        let (ann, bob) = (Machine::on(&bucket).store, Machine::on(&bucket).store);
        bucket.fail("dev.lock", [fault]);
        let lock = ann.lock("dev", "up").await.unwrap();
        for _ in 0..4 {
            bucket.fail("dev.lock", [fault]);
            wait(BEAT * 2).await;
            assert!(lock.lease().is_lost().is_none(), "{fault:?}");
            assert!(is_locked(&bob.lock("dev", "up").await), "{fault:?}");
        }
        bucket.fail("dev.lock", [fault]);
        lock.release().await.unwrap();
        wait(seconds(30)).await;
        assert!(bob.lock("dev", "up").await.is_ok(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_take_over_and_a_heartbeat_at_the_same_moment_have_one_winner() {
    // The heartbeat is on its way while the lease ends.
    for late in (0..10).map(|tenths| Duration::from_millis(100 * tenths)) {
        let bucket = Memory::new();
        let (slow, bob) = (Machine::on(&bucket), Machine::on(&bucket).store);
        let lock = slow.store.lock("dev", "up").await.unwrap();
        slow.network.cut(true);
        wait(LASTS - seconds(3)).await;
        slow.network.cut(false);
        bucket.fail("dev.lock", [Fault::Late(GRACE + seconds(3) + late)]);
        wait(seconds(3)).await;
        slow.network.cut(true);
        let taken = loop {
            wait(Duration::from_millis(100)).await;
            match bob.lock("dev", "up").await {
                Ok(lock) => break lock,
                Err(error) => assert!(is_locked(&Err(error))),
            }
        };
        slow.network.cut(false);
        wait(seconds(30)).await;
        let held = [&lock, &taken].map(|lock| lock.lease().is_lost().is_none());
        assert_eq!(held, [false, true], "{late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_taken_away_by_hand_stops_its_holder_and_fences_it() {
    let bucket = Memory::new();
    let (ann, bob) = (Machine::on(&bucket).store, Machine::on(&bucket).store);
    ann.save(&state(1)).await.unwrap();
    let lock = ann.lock("dev", "up").await.unwrap();
    ann.load("dev").await.unwrap();
    let robbed = bob.unlock("dev").await.unwrap().unwrap();
    assert_eq!(robbed.purpose, "up");
    assert_eq!(bob.holder("dev").await.unwrap(), None);
    assert_eq!(bob.unlock("dev").await.unwrap(), None, "nobody holds it");
    assert!(ann.save(&state(2)).await.is_err());
    wait(BEAT).await;
    let lost = lock.lease().is_lost().unwrap().to_string();
    assert!(lost.contains("taken over by `state unlock` of "), "{lost}");
    let next = bob.lock("dev", "up").await.unwrap();
    assert_eq!(bob.load("dev").await.unwrap().unwrap().serial, 1);
    next.release().await.unwrap();

    // The same where the lock object itself is deleted.
    let lock = ann.lock("dev", "up").await.unwrap();
    bucket.erase("dev.lock");
    let lost = lock.lease().lost().await.to_string();
    assert!(lost.contains("taken away by hand"), "{lost}");
}

#[tokio::test(start_paused = true)]
async fn an_unlock_that_dies_before_it_has_fenced_leaves_that_to_the_next() {
    let bucket = Memory::new();
    let (ann, bob) = (Machine::on(&bucket).store, Machine::on(&bucket).store);
    ann.save(&state(1)).await.unwrap();
    let lock = ann.lock("dev", "up").await.unwrap();
    ann.load("dev").await.unwrap();
    bucket.fail("dev.json", [Fault::Denied]);
    let (unlocked, etag) = (bob.unlock("dev").await, bucket.etag("dev.json"));
    assert!(unlocked.is_err(), "it could not fence");
    let next = bob.lock("dev", "down").await.unwrap();
    assert_ne!(bucket.etag("dev.json"), etag, "the next has");
    assert!(ann.save(&state(2)).await.is_err());
    next.release().await.unwrap();
    drop(lock);
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_given_back_over_a_heartbeat_that_worked_unanswered() {
    let bucket = Memory::new();
    let store = Machine::on(&bucket).store;
    let lock = store.lock("dev", "up").await.unwrap();
    bucket.fail("dev.lock", [Fault::Late(Duration::from_millis(100))]);
    wait(BEAT + Duration::from_millis(300)).await;
    assert_eq!(object(&bucket, "dev.lock")["beat"], 1, "it has arrived");
    lock.release().await.unwrap();
    assert!(object(&bucket, "dev.lock").get("holder").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_between_a_look_and_an_unlock_does_not_save_the_lock() {
    let bucket = Memory::new();
    let (ann, bob) = (Machine::on(&bucket).store, Machine::on(&bucket).store);
    let lock = ann.lock("dev", "up").await.unwrap();
    let beaten = object(&bucket, "dev.lock");
    let unlock = bob.unlock("dev");
    let beat = async {
        // After bob's look, before his write.
        wait(Duration::from_millis(15)).await;
        let mut document = beaten.clone();
        document["beat"] = 99.into();
        bucket.overwrite("dev.lock", &document.to_string());
    };
    let (robbed, ()) = tokio::join!(unlock, beat);
    assert!(robbed.unwrap().is_some());
    assert_eq!(bob.holder("dev").await.unwrap(), None);
    drop(lock);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_lock_of_ours_is_held_until_it_is_unlocked() {
    let bucket = Memory::new();
    let store = Machine::on(&bucket).store;
    bucket.overwrite("dev.lock", "mine!");
    assert!(is_locked(&store.lock("dev", "up").await));
    assert!(store.holder("dev").await.is_err());
    store.unlock("dev").await.unwrap();
    store
        .lock("dev", "up")
        .await
        .unwrap()
        .release()
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_takeover_that_dies_before_it_has_fenced_leaves_that_to_the_next() {
    let bucket = Memory::new();
    let (zombie, bob) = (Machine::on(&bucket), Machine::on(&bucket));
    zombie.store.save(&state(1)).await.unwrap();
    killed(zombie.store.lock("dev", "up").await.unwrap());
    zombie.store.load("dev").await.unwrap();
    wait(OVER).await;
    bucket.fail("dev.json", [Fault::Denied]);
    assert!(
        bob.store.lock("dev", "up").await.is_err(),
        "it could not fence"
    );
    assert_eq!(
        bob.store.holder("dev").await.unwrap(),
        None,
        "and gave the lock back"
    );
    let etag = bucket.etag("dev.json");
    let lock = bob.store.lock("dev", "up").await.unwrap();
    assert_ne!(bucket.etag("dev.json"), etag, "the next has");
    assert!(zombie.store.save(&state(2)).await.is_err());
    lock.release().await.unwrap();
    let etag = bucket.etag("dev.json");
    bob.store
        .lock("dev", "up")
        .await
        .unwrap()
        .release()
        .await
        .unwrap();
    assert_eq!(
        bucket.etag("dev.json"),
        etag,
        "a lock that was given back needs none"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_is_gone_leaves_nothing_in_the_bucket() {
    let bucket = Memory::new();
    let store = Machine::on(&bucket).store;
    let lock = store.lock("dev", "up").await.unwrap();
    store.load("dev").await.unwrap();
    store.save(&state(1)).await.unwrap();
    lock.release().await.unwrap();
    assert_eq!(bucket.keys(), ["dev.json", "dev.lock"]);
    let lock = store.lock("dev", "down").await.unwrap();
    store.load("dev").await.unwrap();
    store.remove("dev").await.unwrap();
    lock.release().await.unwrap();
    assert!(bucket.keys().is_empty(), "{:?}", bucket.keys());
}

#[tokio::test(start_paused = true)]
async fn a_run_under_a_lost_lease_announces_nothing_and_may_change_nothing() {
    let bucket = Memory::new();
    let (zombie, bob) = (Machine::on(&bucket), Machine::on(&bucket).store);
    let lock = zombie.store.lock("dev", "up").await.unwrap();
    let lease = lock.lease();
    let network = zombie.network.clone();
    let journal = Journal::new(Arc::new(zombie.store), State::new("dev", "us-east-1"));
    let journal = journal.under(lease).of_run("up");
    journal.write(|_| {}).await.unwrap();
    journal.may_change().await.unwrap();
    network.cut(true);
    wait(OVER).await;
    let taken = bob.lock("dev", "up").await.unwrap();
    network.cut(false);
    let lost = |error: StateError| matches!(error, StateError::Lost { .. });
    assert!(lost(journal.may_change().await.unwrap_err()));
    let announced = journal.write(|state| state.protect = true).await;
    assert!(lost(announced.unwrap_err()));
    assert!(lost(journal.end(RunOutcome::Failed).await.unwrap_err()));
    let left = bob.load("dev").await.unwrap().unwrap();
    assert!(!left.protect);
    assert_eq!(
        left.last_run.unwrap().ended,
        None,
        "as if it had been killed"
    );
    taken.release().await.unwrap();
}
