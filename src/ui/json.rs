//! The events of a run for programs: with `--json`, one JSON object per line on stdout. Fields may
//! be added within a `version`; none changes its meaning or goes. Lines of types a reader does not
//! know are to be skipped. On stderr stand `note`, `warning` and `error` lines (`message`, `hints`).
//!
//! The table of all lines is at [`event`].

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::text::{action_name, clean};
use crate::engine::{Event, Phase};

/// The version of everything printed for programs.
pub const VERSION: u32 = 1;

/// One event as it is printed, or `None` for those only a terminal shows (reads of a plan).
///
/// Every line has `type`, `version`, `at` (RFC 3339, UTC). `address` is the node's; `kind` its
/// kind, where the step has begun; `action` is `create`, `adopt`, `update`, `replace`, `delete`, or
/// `noChange` for a resource that is only waited for. All durations are in seconds.
///
/// | `type` | means | fields |
/// |---|---|---|
/// | `started` | a step began | `address`, `kind`, `action`, `typicalSeconds` |
/// | `created` | the create call answered; the resource may not work yet | `address`, `kind` |
/// | `waiting` | a step waits for AWS | `address`, `kind`, `reason` |
/// | `done` | a step is done | `address`, `kind`, `action`, `seconds` |
/// | `failed` | a step failed; the `report` has the details | `address`, `kind`, `error` |
/// | `skipped` | a step cannot start | `address`, `needs` |
/// | `settling` | all is removed; the cloud is looked at once more | `reason`, `seconds` |
///
/// Beside them a command prints a `plan` ([`super::plan_view::to_json`]) or a `removal`
/// ([`super::plan_view::removal_to_json`]), and a `report` ([`super::report_view::to_json`]), each
/// on one line.
pub fn event(event: &Event, kind: Option<&str>, at: Timestamp) -> Option<Value> {
    let (name, fields) = match event {
        Event::Observed { .. } => return None,
        Event::Started {
            address,
            phase,
            typical,
            ..
        } => {
            let typical = typical.as_secs();
            let action = action(*phase);
            let fields = json!({ "address": address, "action": action, "typicalSeconds": typical });
            ("started", fields)
        }
        Event::Created { address } => ("created", json!({ "address": address })),
        Event::Waiting { address, reason } => (
            "waiting",
            json!({ "address": address, "reason": clean(reason) }),
        ),
        Event::Done {
            address,
            phase,
            took,
        } => {
            let seconds = round(took.as_secs_f64());
            (
                "done",
                json!({ "address": address, "action": action(*phase), "seconds": seconds }),
            )
        }
        Event::Failed { address, error } => (
            "failed",
            json!({ "address": address, "error": clean(error) }),
        ),
        Event::Skipped { address, needs } => (
            "skipped",
            json!({ "address": address, "needs": clean(needs) }),
        ),
        Event::Settling { reason, during } => {
            let seconds = round(during.as_secs_f64());
            (
                "settling",
                json!({ "reason": clean(reason), "seconds": seconds }),
            )
        }
    };
    let mut line = Map::new();
    line.insert("type".to_owned(), json!(name));
    line.insert("version".to_owned(), json!(VERSION));
    line.insert("at".to_owned(), json!(at));
    if let Value::Object(fields) = fields {
        line.extend(fields);
    }
    if let Some(kind) = kind {
        line.insert("kind".to_owned(), json!(kind));
    }
    Some(Value::Object(line))
}

fn action(phase: Phase) -> &'static str {
    match phase {
        Phase::Make(action) => action_name(action),
        Phase::Remove => "delete",
    }
}

/// Seconds with milliseconds.
pub(super) fn round(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::Action;
    use crate::resource::Address;

    #[test]
    fn every_event_but_a_read_is_one_object_with_the_documented_fields() {
        let address = Address::new("vpc").unwrap();
        let events = [
            Event::Observed { done: 1, total: 2 },
            Event::Started {
                address: address.clone(),
                kind: "ec2/vpc".to_owned(),
                phase: Phase::Make(Action::Create),
                typical: Duration::from_secs(90),
            },
            Event::Created {
                address: address.clone(),
            },
            Event::Waiting {
                address: address.clone(),
                reason: "pending".to_owned(),
            },
            Event::Done {
                address: address.clone(),
                phase: Phase::Remove,
                took: Duration::from_micros(1_234_567),
            },
            Event::Failed {
                address: address.clone(),
                error: "ec2:CreateVpc: no\nway".to_owned(),
            },
            Event::Skipped {
                address,
                needs: "nat-gateway-1".to_owned(),
            },
            Event::Settling {
                reason: "logs".to_owned(),
                during: Duration::from_secs(60),
            },
        ];
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let lines: Vec<String> = events
            .iter()
            .filter_map(|it| event(it, Some("ec2/vpc"), at))
            .map(|line| {
                line.to_string()
                    .replace(r#""version":1,"at":"2026-01-02T03:04:05Z","#, "")
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"type":"started","address":"vpc","action":"create","typicalSeconds":90,"kind":"ec2/vpc"}
        {"type":"created","address":"vpc","kind":"ec2/vpc"}
        {"type":"waiting","address":"vpc","reason":"pending","kind":"ec2/vpc"}
        {"type":"done","address":"vpc","action":"delete","seconds":1.235,"kind":"ec2/vpc"}
        {"type":"failed","address":"vpc","error":"ec2:CreateVpc: no way","kind":"ec2/vpc"}
        {"type":"skipped","address":"vpc","needs":"nat-gateway-1","kind":"ec2/vpc"}
        {"type":"settling","reason":"logs","seconds":60.0,"kind":"ec2/vpc"}
        "#);
    }
}
