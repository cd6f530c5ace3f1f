//! Documents of every sort, and damages of every sort.

use proptest::prelude::*;
use serde_json::Value;

use super::{HIGHEST_SERIAL, PLACE, paths, refused, refused_or_read_whole};
use crate::resource::Address;
use crate::state::{
    FORMAT, Intent, IntentAction, LastRun, Record, Retired, RunEnd, RunOutcome, State,
};

/// JSON of every sort, as it comes back from its text exactly as it was.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn address() -> impl Strategy<Value = Address> {
    "[a-z0-9]{1,8}(-[a-z0-9]{1,4}){0,3}".prop_map(|name| Address::new(name).unwrap())
}

fn time() -> impl Strategy<Value = jiff::Timestamp> {
    (0_i64..4_000_000_000, 0_i32..1_000_000_000)
        .prop_map(|(second, nano)| jiff::Timestamp::new(second, nano).unwrap())
}

fn record() -> impl Strategy<Value = Record> {
    // Null stands for absent in these two.
    let given = || prop::option::of(json().prop_filter("absent", |value| !value.is_null()));
    let intent =
        (time(), prop::option::of(any::<String>()), given()).prop_map(|(since, token, spec)| {
            Intent {
                action: IntentAction::Update,
                since,
                token,
                spec,
                final_snapshot: None,
            }
        });
    let retired = (json(), json()).prop_map(|(outputs, spec)| Retired { outputs, spec });
    (
        given(),
        given(),
        prop::collection::btree_set(address(), 0..4),
        prop::option::of(intent),
        prop::collection::vec(retired, 0..3),
        prop::option::of(time()),
    )
        .prop_map(
            |(outputs, spec, dependencies, intent, retired, created_at)| Record {
                outputs,
                spec,
                dependencies,
                intent,
                retired,
                created_at,
                ..Record::new("ec2/vpc")
            },
        )
}

fn state() -> impl Strategy<Value = State> {
    let run = (any::<String>(), time(), prop::option::of(time())).prop_map(|(by, began, at)| {
        let outcome = RunOutcome::Interrupted;
        let ended = at.map(|at| RunEnd { at, outcome });
        let command = "up".to_owned();
        LastRun {
            command,
            by,
            began,
            ended,
        }
    });
    (
        0..=HIGHEST_SERIAL,
        prop::option::of("[0-9]{12}"),
        prop::collection::btree_map(any::<String>(), json(), 0..4),
        any::<bool>(),
        prop::option::of(run),
        prop::collection::btree_map(address(), record(), 0..6),
    )
        .prop_map(
            |(serial, account, choices, protect, last_run, records)| State {
                serial,
                account,
                choices,
                protect,
                last_run,
                records,
                ..State::new("dev", "us-east-1")
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_as_it_was(state in state()) {
        let document = state.to_document().unwrap();
        prop_assert_eq!(State::read(&document, "dev", PLACE).unwrap(), state);
    }

    #[test]
    fn bytes_of_any_sort_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        refused(&bytes);
    }

    #[test]
    fn json_of_any_sort_is_refused(mut value in json(), format in 1..=FORMAT) {
        if let Value::Object(fields) = &mut value {
            fields.insert("format".to_owned(), format.into());
        }
        refused(value.to_string().as_bytes());
    }

    #[test]
    fn json_of_any_sort_in_place_of_any_part_is_refused_or_kept(
        state in state(),
        other in json(),
        part in any::<prop::sample::Index>(),
    ) {
        let mut document = serde_json::to_value(&state).unwrap();
        let paths: Vec<String> = paths(&document).into_iter().collect();
        if let Some(place) = document.pointer_mut(part.get(paths.as_slice()).as_str()) {
            *place = other;
        }
        refused_or_read_whole(document.to_string().as_bytes());
    }

    #[test]
    fn several_damages_at_once_are_refused_or_kept(
        state in state(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut document = state.to_document().unwrap();
        for (at, byte) in hits {
            let at = at.index(document.len());
            document[at] = byte;
        }
        if let Some(cut) = cut {
            document.truncate(cut.index(document.len()));
        }
        refused_or_read_whole(&document);
    }
}
