//! The commands on what is recorded, where that is in S3.

use orderctl::state::State;
use serde_json::{Value, json};

use super::shared_state::{BUCKET, STATE, held_at, text, with_bucket};
use super::state::{record, stack};
use crate::driver::{Gate, Sandbox, Workplace, http};

fn document(state: &State) -> String {
    String::from_utf8(state.to_document().unwrap()).unwrap()
}

fn put(sandbox: &Sandbox, key: &str, body: &str) {
    let path = format!("/{BUCKET}/order/{key}");
    let answer = http::s3(sandbox.endpoint(), "PUT", &path, body);
    assert_eq!(answer.0, 200, "{}", answer.1);
}

#[test]
fn a_state_goes_into_a_bucket_is_worked_on_there_and_comes_back() {
    let sandbox = with_bucket();
    let place = Workplace::on(&sandbox);
    record(&place, &stack("dev", 7));
    let there = "s3://states-of-a-team/order";
    let line = format!("state migrate --to {there} --remove-source --sandbox");
    place.run(&line).refused(&[
        "+ state/dev.json -> s3://states-of-a-team/order/dev.json (serial 7, 3 records)",
    ]);
    assert_eq!(text(&sandbox, "dev.json"), None);
    place.run(&format!("{line} --yes")).ends_with(0).says(&[
        "dev.json is written and read back",
        "state/dev.json is removed",
    ]);
    assert!(!place.files().contains_key("state/dev.json"));
    place
        .run(&format!("state migrate --to {there}/ --sandbox {STATE}"))
        .refused(&["already"]);

    // As elsewhere, but from nothing but the bucket.
    let place = Workplace::on(&sandbox);
    let pull = place
        .run(&format!("state pull --sandbox {STATE}"))
        .ends_with(0);
    assert_eq!(pull.stdout, document(&stack("dev", 7)));
    let stacks = place
        .run(&format!("stacks --json --sandbox {STATE}"))
        .ends_with(0)
        .json_lines()
        .remove(0);
    assert_eq!(stacks["stacks"][0]["place"], format!("{there}/dev.json"));
    assert_eq!(stacks["stacks"][0]["resources"], 3);
    assert_eq!(stacks["stacks"][0]["lock"], Value::Null);
    place
        .run(&format!("state rm public-subnet-2 --yes --sandbox {STATE}"))
        .ends_with(0)
        .says(&["has serial 8 now"]);
    let edited = stack("dev", 9);
    place.write("edited.json", &document(&edited));
    place
        .run(&format!("state push edited.json --yes --sandbox {STATE}"))
        .ends_with(0)
        .says(&["+ ec2/subnet public-subnet-2", "has serial 9 now"]);
    place
        .run(&format!(
            "state migrate --to here --remove-source --yes --sandbox {STATE}"
        ))
        .ends_with(0);
    assert_eq!(place.files()["here/dev.json"], document(&edited));
    place
        .run(&format!("stacks --sandbox {STATE}"))
        .ends_with(0)
        .without_data()
        .says(&["There are no stacks"]);
}

#[test]
fn a_damaged_document_in_a_bucket_is_told_and_can_be_mended() {
    let sandbox = with_bucket();
    let place = Workplace::on(&sandbox);
    put(&sandbox, "dev.json", "{\"format\": 2, ");
    for verb in ["plan", "outputs", "state list", "state rm vpc --yes"] {
        place
            .run(&format!("{verb} --sandbox {STATE}"))
            .ends_with(1)
            .without_data()
            .says(&[
                "s3://states-of-a-team/order/dev.json cannot be read: EOF",
                "list-object-versions",
                "orderctl state rebuild",
            ]);
    }
    let row = place.run(&format!("stacks --sandbox {STATE}")).ends_with(0);
    assert!(row.stdout.contains("cannot be read"), "{row}");
    let raw = place
        .run(&format!("state pull --unchecked --sandbox {STATE}"))
        .ends_with(0);
    assert_eq!(raw.stdout, "{\"format\": 2, ");
    place.write("whole.json", &document(&stack("dev", 7)));
    let push = format!("state push whole.json --yes --sandbox {STATE}");
    place.run(&push).ends_with(1).says(&["cannot be read"]);
    place.run(&format!("{push} --force")).ends_with(0);
    let pull = place
        .run(&format!("state pull --sandbox {STATE}"))
        .ends_with(0);
    assert_eq!(pull.stdout, document(&stack("dev", 8)));
}

#[test]
fn the_lease_of_a_killed_run_can_be_taken_away_at_once() {
    let sandbox = with_bucket();
    let place = Workplace::on(&sandbox);
    let gate = Gate::only_before(sandbox.endpoint(), "Action=CreateVpc&");
    let up = held_at(&gate, &place);
    let holder = format!("process {}", up.id());
    let row = place
        .run(&format!("stacks --json --sandbox {STATE}"))
        .ends_with(0)
        .json_lines()
        .remove(0);
    assert_eq!(row["stacks"][0]["lock"]["pid"], json!(up.id()));
    up.kill();
    drop(up);

    place
        .run(&format!("up --suffix dev --sandbox --yes {STATE}"))
        .ends_with(3)
        .says(&[&holder]);
    let unlock = format!("state unlock --suffix dev --sandbox {STATE}");
    place
        .run(&unlock)
        .refused(&["is locked by `up` of ", &holder, "lease until", "--yes"]);
    place
        .run(&format!("{unlock} --yes"))
        .ends_with(0)
        .says(&["Took the lock away from `up` of ", &holder]);
    place
        .run(&unlock)
        .ends_with(0)
        .says(&["Nobody holds the lock"]);
    drop(gate);
    place
        .run(&format!("up --suffix dev --sandbox --yes {STATE}"))
        .ends_with(0);
}

#[test]
fn a_run_whose_lease_was_taken_away_records_nothing_more() {
    let sandbox = with_bucket();
    let place = Workplace::on(&sandbox);
    let gate = Gate::only_before(sandbox.endpoint(), "Action=CreateNatGateway&");
    let up = held_at(&gate, &place);
    place
        .run(&format!(
            "state unlock --suffix dev --yes --sandbox {STATE}"
        ))
        .ends_with(0)
        .says(&["if that command still runs"]);
    place
        .run(&format!(
            "state rm vpc --suffix dev --yes --sandbox {STATE}"
        ))
        .ends_with(0);
    let before = text(&sandbox, "dev.json").unwrap();
    gate.open();
    up.finish()
        .ends_with(3)
        .says(&["the lease on stack `dev` is lost"]);
    assert_eq!(text(&sandbox, "dev.json").unwrap(), before);
    // What it made is found again.
    place
        .run(&format!("up --suffix dev --sandbox --yes {STATE}"))
        .ends_with(0);
    place
        .run(&format!(
            "plan --suffix dev --sandbox --detailed-exitcode {STATE}"
        ))
        .ends_with(0);
}
