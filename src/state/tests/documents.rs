//! Documents of this and other formats.

use serde_json::Value;

use crate::state::{FORMAT, State, StateError};

#[test]
fn the_documented_example_is_a_state() {
    let text = include_str!("../../../state/example.json");
    let state = State::parse(text, "example.json").unwrap();
    assert_eq!(state.format, FORMAT);
    let written = serde_json::to_value(&state).unwrap();
    assert_eq!(
        written,
        serde_json::from_str::<Value>(text).unwrap(),
        "no field is lost"
    );
    assert!(
        include_str!("../../../state/README.md").contains(text.trim()),
        "README shows it"
    );
}

#[test]
fn a_document_of_the_first_format_is_read_as_one_of_the_present() {
    let text = include_str!("../../../state/example.json");
    let mut old: Value = serde_json::from_str(text).unwrap();
    old["format"] = 1.into();
    old.as_object_mut().unwrap().remove("last_run");
    let state = State::parse(&old.to_string(), "dev.json").unwrap();
    assert_eq!((state.format, state.last_run), (FORMAT, None));
    assert_eq!(state.records.len(), 2);
}

#[test]
fn a_newer_format_and_damaged_text_are_refused_with_the_place() {
    let newer = State::parse(r#"{"format": 99}"#, "state/dev.json").unwrap_err();
    assert!(
        newer.to_string().contains("state/dev.json has format 99"),
        "{newer}"
    );
    for text in ["", "{", "[]", "{}", r#"{"format": 1}"#] {
        let error = State::parse(text, "state/dev.json").unwrap_err();
        assert!(
            matches!(error, StateError::Unreadable { .. }),
            "{text}: {error}"
        );
    }
}
