//! Documents in a bucket: written only over what was read, whatever happens on the way.

use super::memory::{Fault, Memory};
use super::*;
use crate::state::StateError;

#[tokio::test(start_paused = true)]
async fn a_state_is_saved_loaded_listed_and_removed() {
    let bucket = Memory::new();
    let store = Machine::on(&bucket).store;
    assert_eq!(store.load("dev").await.unwrap(), None);
    store.save(&state(1)).await.unwrap();
    let second = state(2);
    store.save(&second).await.unwrap();
    assert_eq!(bucket.keys(), ["dev.json"]);
    assert_eq!(store.load("dev").await.unwrap(), Some(second));
    bucket.overwrite("other.json", "{}");
    bucket.overwrite("torn.json", "{\"format\": 2");
    bucket.overwrite("copy.json", &bucket.text("dev.json").unwrap());
    bucket.overwrite("notes.txt", "");
    assert_eq!(store.stacks().await.unwrap(), ["dev", "torn"]);
    assert_eq!(store.place("dev"), "s3://states/order/dev.json");
    store.remove("dev").await.unwrap();
    assert_eq!(store.load("dev").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn no_two_documents_are_alike_and_none_shows_it_to_its_reader() {
    let bucket = Memory::new();
    let store = Machine::on(&bucket).store;
    let same = state(1);
    store.save(&same).await.unwrap();
    let first = bucket.etag("dev.json");
    store.save(&same).await.unwrap();
    assert_ne!(bucket.etag("dev.json"), first, "equal states, other ETags");
    assert_eq!(store.load("dev").await.unwrap(), Some(same));
}

#[tokio::test(start_paused = true)]
async fn of_two_first_writers_and_of_two_later_ones_only_one_wins() {
    let bucket = Memory::new();
    let (one, other) = (Machine::on(&bucket).store, Machine::on(&bucket).store);
    for round in 0..2 {
        one.load("dev").await.unwrap();
        other.load("dev").await.unwrap();
        let (mine, theirs) = (state(1), state(2));
        let (first, second) = tokio::join!(one.save(&mine), other.save(&theirs));
        let (won, lost) = match (first, second) {
            (Ok(()), Err(lost)) => (mine, lost),
            (Err(lost), Ok(())) => (theirs, lost),
            both => panic!("round {round}: {both:?}"),
        };
        assert!(matches!(lost, StateError::Changed { .. }), "{lost}");
        let left = Machine::on(&bucket).store.load("dev").await.unwrap();
        assert_eq!(left, Some(won));
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_that_was_not_read_is_not_written_over_and_a_changed_one_not_removed() {
    let bucket = Memory::new();
    let (one, other) = (Machine::on(&bucket).store, Machine::on(&bucket).store);
    one.save(&state(1)).await.unwrap();
    let error = other.save(&state(1)).await.unwrap_err();
    assert!(matches!(error, StateError::Changed { .. }), "{error}");
    assert_eq!(bucket.writes("dev.json"), 1);
    other.load("dev").await.unwrap();
    other.save(&state(2)).await.unwrap();
    let error = one.remove("dev").await.unwrap_err();
    assert!(error.to_string().contains("s3://states/order/dev.json"));
    assert_eq!(other.load("dev").await.unwrap().unwrap().serial, 2);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_looked_into_before_anything_is_sent_again() {
    for (fault, writes) in [
        (Fault::Answered, 1),
        (Fault::Lost, 1),
        (Fault::Conflict, 1),
        // Given up, sent again, and then the first one arrives.
        (Fault::Late(Duration::from_millis(100)), 1),
        (Fault::Late(seconds(5)), 1),
    ] {
        let bucket = Memory::new();
        let store = Machine::on(&bucket).store;
        bucket.fail("dev.json", [fault]);
        store.save(&state(1)).await.unwrap();
        wait(seconds(10)).await;
        assert_eq!(bucket.writes("dev.json"), writes, "{fault:?}");
        // What came of it is known: the next save goes over it, and so does a delete.
        bucket.fail("dev.json", [fault]);
        store.save(&state(2)).await.unwrap();
        wait(seconds(10)).await;
        assert_eq!(object(&bucket, "dev.json")["serial"], 2, "{fault:?}");
        bucket.fail("dev.json", [fault]);
        store.remove("dev").await.unwrap();
        assert!(bucket.keys().is_empty(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_behind_which_somebody_else_has_written_is_a_loss() {
    let bucket = Memory::new();
    let (one, other) = (Machine::on(&bucket).store, Machine::on(&bucket).store);
    one.save(&state(1)).await.unwrap();
    other.load("dev").await.unwrap();
    bucket.fail("dev.json", [Fault::Late(seconds(3)), Fault::Lost]);
    let slow = async {
        wait(Duration::from_millis(1)).await;
        other.save(&state(2)).await
    };
    // The first request is late, the second is lost, and meanwhile the other one writes.
    let (mine, theirs) = {
        let (first, second) = (state(9), slow);
        tokio::join!(one.save(&first), second)
    };
    let winners = [mine.is_ok(), theirs.is_ok()];
    assert_eq!(winners.iter().filter(|won| **won).count(), 1, "{winners:?}");
    wait(seconds(10)).await;
    let left = object(&bucket, "dev.json")["serial"].clone();
    assert_eq!(left, if winners[0] { 9 } else { 2 }, "the winner's stays");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_told_at_once_and_what_gives_no_answer_after_a_while() {
    let bucket = Memory::new();
    let machine = Machine::on(&bucket);
    bucket.fail("dev.json", [Fault::Denied]);
    let begun = Instant::now();
    let error = machine.store.save(&state(1)).await.unwrap_err().to_string();
    assert!(
        error.contains("s3://states/order/dev.json") && error.contains("denied"),
        "{error}"
    );
    assert!(begun.elapsed() < seconds(1));
    machine.network.cut(true);
    let error = machine.store.save(&state(1)).await.unwrap_err();
    assert!(matches!(error, StateError::Remote { .. }), "{error}");
    assert!(begun.elapsed() < seconds(30), "{:?}", begun.elapsed());
    machine.network.cut(false);
    machine.store.save(&state(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_document_that_may_not_be_read_hides_no_other_stack() {
    let bucket = Memory::new();
    let store = Machine::on(&bucket).store;
    store.save(&state(1)).await.unwrap();
    bucket.overwrite("other.json", "{}");
    bucket.deny_reading("other.json");
    assert_eq!(store.stacks().await.unwrap(), ["dev", "other"]);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_document_is_told_and_written_over_only_by_who_has_seen_it() {
    let bucket = Memory::new();
    for damage in ["", "{", "{\n}\n", "{\"format\": 2}\n", "\"", "[1]"] {
        bucket.overwrite("dev.json", damage);
        let (store, blind) = (Machine::on(&bucket).store, Machine::on(&bucket).store);
        let error = store.load("dev").await.unwrap_err();
        assert!(matches!(error, StateError::Unreadable { .. }), "{error}");
        let document = store.document("dev").await.unwrap().unwrap();
        assert_eq!(document, damage.as_bytes());
        assert!(blind.save(&state(1)).await.is_err());
        assert_eq!(bucket.text("dev.json").unwrap(), damage);
        store.save(&state(1)).await.unwrap();
        assert_eq!(store.load("dev").await.unwrap().unwrap().serial, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_is_given_as_it_stands_to_the_line_and_without_its_stamp() {
    let bucket = Memory::new();
    let store = Machine::on(&bucket).store;
    let saved = state(7);
    store.save(&saved).await.unwrap();
    let document = store.document("dev").await.unwrap().unwrap();
    assert_eq!(document, saved.to_document().unwrap());
    // A record that stands there twice would be one that is lost.
    let twice = r#""records": { "vpc": {"kind": "ec2/vpc", "dependencies": []}, "vpc": {"kind": "ec2/vpc", "dependencies": []} }"#;
    let text = bucket.text("dev.json").unwrap();
    bucket.overwrite("dev.json", &text.replace("\"records\": {}", twice));
    let error = store.load("dev").await.unwrap_err().to_string();
    assert!(error.contains("line "), "{error}");
    // The next holder moves its ETag, and nothing else of it.
    let lock = store.lock("dev", "up").await.unwrap();
    let before = store.document("dev").await.unwrap();
    let etag = bucket.etag("dev.json");
    store.unlock("dev").await.unwrap();
    assert_ne!(bucket.etag("dev.json"), etag);
    assert_eq!(store.document("dev").await.unwrap(), before);
    drop(lock);
}
