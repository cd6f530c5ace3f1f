//! Brings documents of older formats to the present one, step by step.
//!
//! | format | what is new |
//! |---|---|
//! | 2 | `last_run` |

use serde_json::Value;

use super::FORMAT;

/// Turns a document of an older format into one of the present format.
pub(super) fn migrate(mut document: Value, format: u64) -> Value {
    if format < u64::from(FORMAT) {
        // Format 1 knew no runs; a document without one is one of format 2.
        document["format"] = FORMAT.into();
    }
    document
}
