//! Reads documents: refuses what is damaged or newer, and brings older formats to the present one,
//! step by step.
//!
//! | format | what is new |
//! |---|---|
//! | 2 | `last_run` |
//!
//! A field this program does not know is refused, never dropped: whoever adds one raises the
//! format. So a slip or a flipped bit in a name cannot make a record, or all of them, disappear.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use super::{FORMAT, Record, State, StateError};
use crate::resource::Address;

/// The highest serial that every reader of JSON keeps exactly; no run comes near it.
const HIGHEST_SERIAL: u64 = (1 << 53) - 1;

impl State {
    /// Reads the document that a store holds for `stack`.
    ///
    /// # Errors
    /// Those of [`State::parse`], and [`StateError::Misplaced`] for another stack's document.
    pub fn read(document: &[u8], stack: &str, place: &str) -> Result<Self, StateError> {
        let text = std::str::from_utf8(document).map_err(|error| {
            let at = error.valid_up_to();
            StateError::unreadable(place, format!("it is not UTF-8 text (byte {at})"))
        })?;
        let state = Self::parse(text, place)?;
        if state.stack != stack {
            return Err(StateError::Misplaced {
                place: place.to_owned(),
                stack: stack.to_owned(),
                found: state.stack.escape_debug().take(40).collect(),
            });
        }
        Ok(state)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`StateError::Newer`] for a format of the future, [`StateError::Unreadable`] for everything
    /// else that this program did not write.
    pub fn parse(text: &str, place: &str) -> Result<Self, StateError> {
        let unreadable = |reason: String| StateError::unreadable(place, reason);
        if text.trim().is_empty() {
            return Err(unreadable("it is empty".to_owned()));
        }
        let document: Value = serde_json::from_str(text).map_err(|e| unreadable(e.to_string()))?;
        let format = format_of(&document).map_err(unreadable)?;
        if format > u64::from(FORMAT) {
            return Err(StateError::Newer {
                place: place.to_owned(),
                format,
            });
        }
        let state: State = match format == u64::from(FORMAT) {
            // From the text, so that a mistake is told with its line.
            true => serde_json::from_str(text),
            false => serde_json::from_value(migrate(document)),
        }
        .map_err(|e| unreadable(e.to_string()))?;
        if state.serial > HIGHEST_SERIAL {
            let reason = format!("its `serial` is {}, which no run reaches", state.serial);
            return Err(unreadable(reason));
        }
        Ok(state)
    }

    /// The document of this state, as a store keeps it.
    pub fn to_document(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

/// The document's format, from 1 on.
fn format_of(document: &Value) -> Result<u64, String> {
    let fields = document.as_object().ok_or("it is no JSON object")?;
    let format = fields.get("format").ok_or("it has no `format` number")?;
    let number = format.as_u64().filter(|number| *number > 0);
    number.ok_or_else(|| {
        let shown: String = format.to_string().chars().take(40).collect();
        format!("its `format` is {shown}; formats are whole numbers from 1 on")
    })
}

/// Turns a document of an older format into one of the present format.
fn migrate(mut document: Value) -> Value {
    // Format 1 knew no runs; a document without one is one of format 2.
    document["format"] = FORMAT.into();
    document
}

/// Says whether what is kept as `name` is the state of a stack, readable or not. Others (`example`
/// of the source tree, a `package.json`) may lie in the same place.
pub(super) fn is_of_a_stack(name: &str, document: &[u8]) -> bool {
    let could_be_a_suffix = Address::new(name).is_ok();
    match State::read(document, name, name) {
        Ok(_) => true,
        Err(StateError::Misplaced { .. }) => false,
        Err(_) => could_be_a_suffix && !is_of_somebody_else(document),
    }
}

/// Says whether a document is none of ours at all. Damaged text may have been ours.
fn is_of_somebody_else(document: &[u8]) -> bool {
    let ours = ["format", "lineage", "serial", "records"];
    match serde_json::from_slice(document) {
        Ok(Value::Object(fields)) => !ours.iter().any(|name| fields.contains_key(*name)),
        _ => false,
    }
}

/// Reads the records, refusing an address that stands there twice: one of the two would be lost.
pub(super) fn each_once<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Address, Record>, D::Error> {
    struct Records;

    impl<'de> Visitor<'de> for Records {
        type Value = BTreeMap<Address, Record>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("records by address")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut records = BTreeMap::new();
            while let Some((address, record)) = map.next_entry::<Address, Record>()? {
                if let Some(_earlier) = records.insert(address.clone(), record) {
                    return Err(A::Error::custom(format!("`{address}` is recorded twice")));
                }
            }
            Ok(records)
        }
    }

    deserializer.deserialize_map(Records)
}

#[cfg(test)]
mod tests;
