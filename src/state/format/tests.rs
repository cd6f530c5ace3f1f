//! What a document may look like, and everything it may not.

mod random;

use std::collections::BTreeSet;

use super::*;

const EXAMPLE: &str = include_str!("../../../state/example.json");
const PLACE: &str = "state/dev.json";

fn example() -> Value {
    serde_json::from_str(EXAMPLE).unwrap()
}

/// The error for a document, which must be one clear line that names the place.
#[track_caller]
fn refused(document: &[u8]) -> StateError {
    let error = State::read(document, "dev", PLACE).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(PLACE), "{text}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.chars().count() < 400, "{text}");
    error
}

#[track_caller]
fn unreadable(document: &[u8]) -> String {
    let error = refused(document);
    assert!(matches!(error, StateError::Unreadable { .. }), "{error}");
    error.to_string()
}

/// The path of everything in a document. Elements of a list share one, as some lists are sets.
fn paths(value: &Value) -> BTreeSet<String> {
    fn walk(at: &str, value: &Value, found: &mut BTreeSet<String>) {
        found.insert(at.to_owned());
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    walk(&format!("{at}/{name}"), value, found);
                }
            }
            Value::Array(items) => items
                .iter()
                .for_each(|item| walk(&format!("{at}/[]"), item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk("", value, &mut found);
    found
}

/// Whatever was done to a document, it is refused, or read with nothing left out.
#[track_caller]
fn refused_or_read_whole(document: &[u8]) {
    match State::read(document, "dev", PLACE) {
        Err(_) => {
            refused(document);
        }
        Ok(state) => {
            let given = serde_json::from_slice(document).unwrap();
            let mut kept = paths(&serde_json::to_value(&state).unwrap());
            // Absent and null, or no older instances, are the same.
            kept.extend(
                paths(&given)
                    .into_iter()
                    .filter(|path| is_nothing(&given, path)),
            );
            assert_eq!(
                kept,
                paths(&given),
                "in {}",
                String::from_utf8_lossy(document)
            );
        }
    }
}

fn is_nothing(document: &Value, path: &str) -> bool {
    let part = document.pointer(path);
    part.is_some_and(|part| part.is_null() || part.as_array().is_some_and(Vec::is_empty))
}

#[test]
fn the_documented_example_is_a_state() {
    let state = State::read(EXAMPLE.as_bytes(), "dev", "example.json").unwrap();
    assert_eq!(state.format, FORMAT);
    let written = serde_json::to_value(&state).unwrap();
    assert_eq!(written, example(), "no field is lost");
    assert!(
        include_str!("../../../state/README.md").contains(EXAMPLE.trim()),
        "README shows it"
    );
}

#[test]
fn a_document_of_the_first_format_is_read_as_one_of_the_present() {
    let mut old = example();
    old["format"] = 1.into();
    old.as_object_mut().unwrap().remove("last_run");
    let state = State::parse(&old.to_string(), PLACE).unwrap();
    assert_eq!((state.format, state.last_run), (FORMAT, None));
    assert_eq!(state.records.len(), 2);
}

#[test]
fn formats_that_are_none_and_formats_of_the_future_are_told_apart() {
    for (format, part) in [
        (
            "0",
            "its `format` is 0; formats are whole numbers from 1 on",
        ),
        ("-1", "its `format` is -1"),
        ("2.0", "its `format` is 2.0"),
        ("1e300", "its `format` is 1e"),
        ("\"2\"", "its `format` is \"2\""),
        ("null", "its `format` is null"),
        ("[2]", "its `format` is [2]"),
    ] {
        let document = EXAMPLE.replace("\"format\": 2", &format!("\"format\": {format}"));
        let text = unreadable(document.as_bytes());
        assert!(text.contains(part), "{text}");
    }
    for format in ["3", "99", "18446744073709551615"] {
        // Nothing else of a newer document is judged.
        let error = refused(format!("{{\"format\": {format}}}").as_bytes());
        assert!(matches!(error, StateError::Newer { .. }), "{error}");
        assert!(
            error.to_string().contains("use the newer orderctl"),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_state_at_all_is_refused_with_the_reason() {
    for (document, part) in [
        (&b""[..], "it is empty"),
        (b" \n\n", "it is empty"),
        (b"{", "line 1 column 1"),
        (b"[]", "it is no JSON object"),
        (b"\"dev\"", "it is no JSON object"),
        (b"{}", "it has no `format` number"),
        (b"{\"format\": 1}", "missing field `lineage`"),
        (b"{\"format\": 2}", "missing field `lineage`"),
        (b"\xff\xfe{}", "it is not UTF-8 text (byte 0)"),
        (b"{\"format\": 2}\n}", "trailing characters"),
        (b"<<<<<<< HEAD\n{}", "expected value"),
    ] {
        let text = unreadable(document);
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_mistake_in_a_document_is_told_with_its_line() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.contains("created_at"))
        .unwrap();
    let document = EXAMPLE.replace("2026-11-22T10:15:28Z", "yesterday");
    let text = unreadable(document.as_bytes());
    assert!(text.contains(&format!("line {}", at + 1)), "{text}");
}

#[test]
fn the_state_of_another_stack_is_not_taken_for_this_one() {
    let error = State::read(EXAMPLE.as_bytes(), "prod", "state/prod.json").unwrap_err();
    assert_eq!(
        error.to_string(),
        "state/prod.json is the state of stack `dev`, not of `prod`"
    );
}

#[test]
fn fields_nobody_knows_are_refused_and_never_dropped() {
    for path in [
        "",
        "/last_run",
        "/records/vpc",
        "/records/nat-gateway-1/intent",
    ] {
        let mut document = example();
        document.pointer_mut(path).unwrap()["note"] = "by hand".into();
        let text = unreadable(document.to_string().as_bytes());
        assert!(text.contains("unknown field `note`"), "{path}: {text}");
    }
    let mut ended = example();
    ended["last_run"]["ended"] =
        serde_json::json!({ "at": "2026-11-22T10:15:28Z", "outcome": "done", "note": "" });
    assert!(unreadable(ended.to_string().as_bytes()).contains("`note`"));
    let mut retired = example();
    retired["records"]["vpc"]["retired"] =
        serde_json::json!([{ "outputs": null, "spec": {}, "note": "" }]);
    assert!(unreadable(retired.to_string().as_bytes()).contains("`note`"));
    // What belongs to the kinds may be anything.
    let mut free = example();
    free["records"]["vpc"]["outputs"]["note"] = "by AWS".into();
    free["choices"]["note"] = serde_json::json!(["a", 1]);
    refused_or_read_whole(free.to_string().as_bytes());
    assert!(State::parse(&free.to_string(), PLACE).is_ok());
}

#[test]
fn missing_fields_are_refused() {
    let written = serde_json::to_value(State::new("dev", "us-east-1")).unwrap();
    for field in written.as_object().unwrap().keys() {
        let mut document = example();
        document.as_object_mut().unwrap().remove(field);
        match field.as_str() {
            // Written as null before the first `up`.
            "account" => assert!(State::parse(&document.to_string(), PLACE).is_ok()),
            _ => {
                let text = unreadable(document.to_string().as_bytes());
                assert!(text.contains(&format!("`{field}`")), "{text}");
            }
        }
    }
    for field in ["kind", "dependencies"] {
        let mut document = example();
        document["records"]["vpc"]
            .as_object_mut()
            .unwrap()
            .remove(field);
        let text = unreadable(document.to_string().as_bytes());
        assert!(text.contains(&format!("missing field `{field}`")), "{text}");
    }
}

#[test]
fn a_record_that_stands_there_twice_is_refused() {
    let document = EXAMPLE.replace("\"vpc\": {", "\"nat-gateway-1\": {");
    let text = unreadable(document.as_bytes());
    assert!(text.contains("`nat-gateway-1` is recorded twice"), "{text}");
}

#[test]
fn addresses_that_are_none_are_refused() {
    for name in ["", "VPC", "a--b", "vpc ", "../vpc", "\\u001b[2J"] {
        let document = EXAMPLE.replace("\"vpc\": {", &format!("\"{name}\": {{"));
        let text = unreadable(document.as_bytes());
        assert!(text.contains("is no address"), "{text}");
        let document = EXAMPLE.replace("\"public-subnet-1\"]", &format!("\"{name}\"]"));
        assert!(unreadable(document.as_bytes()).contains("is no address"));
    }
}

#[test]
fn absurd_numbers_are_refused() {
    for serial in [
        "-1",
        "1.5",
        "1e3",
        "1e400",
        "9007199254740992",
        "18446744073709551615",
        "18446744073709551616",
        "1111111111111111111111111111111111111111111111111111111111111111111",
    ] {
        let document = EXAMPLE.replace("\"serial\": 42", &format!("\"serial\": {serial}"));
        unreadable(document.as_bytes());
    }
    for time in [
        "2026-13-22T10:15:28Z",
        "99999-11-22T10:15:28Z",
        "2026-11-22",
        "1763806528",
    ] {
        let document = EXAMPLE.replace("2026-11-22T10:15:28Z", time);
        unreadable(document.as_bytes());
    }
}

#[test]
fn a_nesting_without_end_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        let deep = format!("{open}1{close}");
        unreadable(deep.as_bytes());
        unreadable(open.as_bytes());
        let document = EXAMPLE.replace("\"10.0.0.0/16\"", &deep);
        let text = unreadable(document.as_bytes());
        assert!(text.contains("recursion limit"), "{text}");
    }
}

#[test]
fn a_document_that_was_cut_off_is_refused_wherever_that_happened() {
    let whole = EXAMPLE.trim_end();
    for end in 0..whole.len() {
        unreadable(&whole.as_bytes()[..end]);
    }
    assert!(State::parse(whole, PLACE).is_ok());
}

#[test]
fn a_flipped_bit_is_noticed_or_changes_one_value() {
    for at in 0..EXAMPLE.len() {
        for bit in 0..8 {
            let mut document = EXAMPLE.as_bytes().to_vec();
            document[at] ^= 1 << bit;
            refused_or_read_whole(&document);
        }
    }
}

#[test]
fn a_value_of_another_type_is_noticed_where_the_type_is_ours() {
    let others = [
        Value::Null,
        true.into(),
        (-7).into(),
        1e300.into(),
        "x".into(),
        serde_json::json!([]),
        serde_json::json!({}),
    ];
    let optional = ["/account", "/last_run", "/last_run/ended"];
    for path in paths(&example()) {
        let Some(mine) = example().pointer(&path).cloned() else {
            continue;
        };
        for other in &others {
            let mut document = example();
            *document.pointer_mut(&path).unwrap() = other.clone();
            let text = document.to_string();
            refused_or_read_whole(text.as_bytes());
            let same_type = std::mem::discriminant(&mine) == std::mem::discriminant(other);
            let may_be_null = optional.contains(&path.as_str())
                || path.starts_with("/records/") && path.split('/').count() == 4
                || path.ends_with("/token");
            let free = ["/outputs", "/spec", "/choices"].iter().any(|part| {
                path.contains(&format!("{part}/"))
                    || path.starts_with("/records") && path.ends_with(part)
            });
            let fits = same_type || free || other.is_null() && may_be_null;
            if !fits {
                unreadable(text.as_bytes());
            }
        }
    }
}

#[test]
fn a_file_of_somebody_else_is_told_from_a_damaged_state() {
    let other: [&[u8]; 4] = [
        b"{}",
        b"{\"name\": \"web\", \"version\": \"1.0.0\"}",
        b"{\"a\": {\"format\": 2}}",
        EXAMPLE.replace("\"dev\"", "\"prod\"").leak().as_bytes(),
    ];
    for document in other {
        assert!(!is_of_a_stack("dev", document));
    }
    let ours: [&[u8]; 7] = [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{\"serial\": 1}",
        b"{\"format\": 99}",
        EXAMPLE.as_bytes(),
    ];
    for document in ours {
        assert!(is_of_a_stack("dev", document));
    }
    for name in ["dev.previous", "Notes", "", "a--b"] {
        assert!(!is_of_a_stack(name, b"{"));
    }
}
