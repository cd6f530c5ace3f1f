//! How a run ended, for the person who has to do something about it: what is done, what failed and
//! what that left behind, what to do now (law 9).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::style::Style;
use super::text::{action_name, clean, took, words};
use crate::engine::{Action, Left, Phase, Report, StepError, Unsaved};
use crate::resource::Address;

/// Draws the end of a run that took `duration`; `recorded` is the number of resources in the state.
pub fn render(report: &Report, style: &Style, recorded: usize, duration: Duration) -> String {
    let mut lines = Vec::new();
    let mut hints = BTreeSet::new();
    for failure in &report.failed {
        lines.extend(failure_lines(failure, style));
        let hint = hint(failure);
        if hints.insert(hint) {
            lines.push(format!("{} {}", style.cyan("hint:"), clean(hint)));
        }
    }
    for (needs, addresses) in skipped(report) {
        let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let verb = if names.len() == 1 { "needs" } else { "need" };
        let needs = match Address::new(needs) {
            Ok(address) => format!("`{address}`"),
            Err(text) => clean(&text),
        };
        let skipped = style.yellow("skipped:");
        lines.push(format!("{skipped} {} ({verb} {needs})", names.join(", ")));
    }
    if !report.unanswered.is_empty() {
        let names: Vec<&str> = report.unanswered.iter().map(Address::as_str).collect();
        lines.push(format!(
            "AWS had not answered yet for {}; the next run looks for what came of that.",
            names.join(", ")
        ));
    }
    if let Some(unsaved) = &report.unsaved {
        lines.extend(unsaved_lines(unsaved, style));
    }
    if report.stopped {
        let saved = match report.unsaved {
            None => "; everything so far is saved",
            Some(_) => "",
        };
        lines.push(format!(
            "Stopped as asked{saved}. Run the same command again to go on."
        ));
    }
    lines.push(summary(report, style, recorded, duration));
    lines.join("\n")
}

/// What to do about a failure nobody has better advice for.
const GO_ON: &str = "mend the cause, then run the same command again; it goes on where it stopped";

fn hint(failure: &StepError) -> &str {
    failure.source.advice().unwrap_or(GO_ON)
}

fn failure_lines(failure: &StepError, style: &Style) -> [String; 3] {
    let verb = words(failure.phase).base;
    let error = style.bold(style.red("error:"));
    [
        format!(
            "{error} could not {verb} {} {}",
            failure.kind,
            style.bold(&failure.address)
        ),
        format!("  {}", clean(&failure.source.to_string())),
        format!("  {}", left_behind(failure)),
    ]
}

fn unsaved_lines(unsaved: &Unsaved, style: &Style) -> Vec<String> {
    let mut lines = vec![format!(
        "{} the state could not be saved: {}",
        style.bold(style.red("error:")),
        clean(&unsaved.error.to_string())
    )];
    for missing in &unsaved.unrecorded {
        lines.push(format!(
            "  not recorded: {} {} {}",
            missing.kind,
            style.bold(&missing.address),
            clean(&id_in(&missing.outputs))
        ));
    }
    lines.push(format!(
        "{} make the state writable again, then run the same command: what is not recorded is found by its tags or name",
        style.cyan("hint:")
    ));
    lines
}

/// What AWS knows the resource by.
fn id_in(outputs: &Value) -> String {
    let id = ["id", "arn", "identifier"]
        .iter()
        .find_map(|name| outputs[*name].as_str());
    id.map_or_else(|| outputs.to_string(), str::to_owned)
}

fn left_behind(failure: &StepError) -> &'static str {
    match (failure.left, failure.phase) {
        (Left::Nothing, Phase::Make(Action::Create)) => "Nothing was left behind.",
        (Left::Nothing, Phase::Make(Action::Replace)) => "No new one was made.",
        (Left::Nothing, _) => "Nothing was changed.",
        (Left::Recorded, Phase::Remove) => "It still exists and is recorded.",
        (Left::Recorded, _) => "It exists and is recorded.",
        (Left::Traceable, Phase::Remove) => {
            "It may still exist; it carries our tags or name and is looked for first next time."
        }
        (Left::Traceable, _) => {
            "It may exist; it carries our tags or name and is looked for first next time."
        }
    }
}

/// The nodes that could not start, by what they needed in the end: the node that failed, not the
/// one before them that was skipped for the same reason.
fn skipped(report: &Report) -> BTreeMap<&str, Vec<&Address>> {
    let by_address: BTreeMap<&str, &str> = report
        .skipped
        .iter()
        .map(|(address, needs)| (address.as_str(), needs.as_str()))
        .collect();
    let mut groups: BTreeMap<&str, Vec<&Address>> = BTreeMap::new();
    for (address, needs) in &report.skipped {
        let mut root = needs.as_str();
        let mut seen = BTreeSet::from([address.as_str()]);
        while let (true, Some(next)) = (seen.insert(root), by_address.get(root)) {
            root = next;
        }
        let group = groups.entry(root).or_default();
        if !group.contains(&address) {
            group.push(address);
        }
    }
    groups
}

const ACTIONS: [Action; 6] = [
    Action::Create,
    Action::Adopt,
    Action::Update,
    Action::Replace,
    Action::Delete,
    Action::NoChange,
];

/// The nodes that are done. A replacement of which only one half is done is not.
fn done(report: &Report) -> Vec<(&Address, Action)> {
    let failed = report.failed.iter().map(|failure| &failure.address);
    let open: BTreeSet<&Address> = failed
        .chain(report.skipped.iter().map(|(address, _)| address))
        .collect();
    let done = report
        .done
        .iter()
        .filter(|(address, _)| !open.contains(address));
    done.map(|(address, action)| (address, *action)).collect()
}

fn summary(report: &Report, style: &Style, recorded: usize, duration: Duration) -> String {
    let done = done(report);
    let mut parts = Vec::new();
    for action in ACTIONS {
        let count = done.iter().filter(|(_, of)| *of == action).count();
        if count > 0 {
            parts.push(format!("{count} {}", words(Phase::Make(action)).done));
        }
    }
    let time = took(duration);
    if report.is_complete() {
        let what = if parts.is_empty() {
            "nothing to do".to_owned()
        } else {
            parts.join(", ")
        };
        return style.bold(format!("Done: {what} in {time}."));
    }
    if parts.is_empty() {
        parts.push("nothing done".to_owned());
    }
    if !report.failed.is_empty() {
        parts.push(format!("{} failed", report.failed.len()));
    }
    if !report.skipped.is_empty() {
        let skipped: BTreeSet<&Address> = report.skipped.iter().map(|(node, _)| node).collect();
        parts.push(format!("{} skipped", skipped.len()));
    }
    let kept = match recorded {
        1 => "1 resource is recorded".to_owned(),
        count => format!("{count} resources are recorded"),
    };
    style.bold(format!("Not done: {} in {time}. {kept}.", parts.join(", ")))
}

/// The end of a run for programs, as one object:
///
/// - `type` is `report`; `version` as in [`super::json::VERSION`];
/// - `complete`: whether all that was planned is done; `stopped`: whether the run was asked to stop;
/// - `seconds` it took; `recorded`: the number of resources in the state;
/// - `done`: `address` and `action` of each node something was done to;
/// - `failed`: `address`, `kind`, `action`, `operation`, `code`, `message`, `requestId`, `advice`
///   (null where AWS or we gave none), and `left`: `nothing`, `recorded`, or `traceable` if it may
///   exist and will be looked for;
/// - `skipped`: `address` and `needs`, the node that failed;
/// - `unanswered`: the addresses whose call had not answered when a stopped run gave it up; the next
///   run looks for what came of it;
/// - `unsaved`: null, or `message` and `unrecorded` (`address`, `kind`, `outputs`) if the state could
///   not be saved at the end.
pub fn to_json(report: &Report, recorded: usize, duration: Duration) -> Value {
    let skipped = skipped(report).into_iter().flat_map(|(needs, addresses)| {
        addresses
            .into_iter()
            .map(move |address| json!({ "address": address, "needs": needs }))
    });
    json!({
        "type": "report",
        "version": super::json::VERSION,
        "complete": report.is_complete(),
        "stopped": report.stopped,
        "seconds": super::json::round(duration.as_secs_f64()),
        "recorded": recorded,
        "done": done(report)
            .into_iter()
            .map(|(address, action)| json!({ "address": address, "action": action_name(action) }))
            .collect::<Vec<_>>(),
        "failed": report.failed.iter().map(failure_json).collect::<Vec<_>>(),
        "skipped": skipped.collect::<Vec<_>>(),
        "unanswered": report.unanswered,
        "unsaved": report.unsaved.as_ref().map(unsaved_json),
    })
}

fn unsaved_json(unsaved: &Unsaved) -> Value {
    let unrecorded = unsaved.unrecorded.iter().map(|missing| {
        json!({ "address": missing.address, "kind": missing.kind, "outputs": missing.outputs })
    });
    json!({ "message": unsaved.error.to_string(), "unrecorded": unrecorded.collect::<Vec<_>>() })
}

fn failure_json(failure: &StepError) -> Value {
    let error = &failure.source;
    json!({
        "address": failure.address,
        "kind": failure.kind,
        "action": match failure.phase {
            Phase::Make(action) => action_name(action),
            Phase::Remove => "delete",
        },
        "operation": error.operation(),
        "code": error.code(),
        "message": error.message(),
        "requestId": error.request_id(),
        "advice": error.advice(),
        "left": match failure.left {
            Left::Nothing => "nothing",
            Left::Recorded => "recorded",
            Left::Traceable => "traceable",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Class, Error};
    use crate::state::{StateError, Unrecorded};

    const TOOK: Duration = Duration::from_millis(12_345);

    fn address(name: &str) -> Address {
        Address::new(name).unwrap()
    }

    fn failure(name: &str, phase: Phase, left: Left, source: Error) -> StepError {
        StepError {
            address: address(name),
            kind: "ec2/thing".to_owned(),
            phase,
            left,
            source,
        }
    }

    fn failed_run() -> Report {
        let busy = Error::new("ec2:CreateNatGateway", Class::Refused, "It is not\nready")
            .with_code("ResourceNotReady")
            .with_request_id(Some("4f1c".to_owned()));
        let limit = Error::new("ec2:AllocateAddress", Class::Quota, "Too many addresses")
            .with_advice("release some");
        let create = Phase::Make(Action::Create);
        let skip = |name: &str, needs: &str| (address(name), needs.to_owned());
        Report {
            done: [
                (address("vpc"), Action::Create),
                (address("logs"), Action::Update),
                (address("group"), Action::Replace),
            ]
            .into(),
            failed: vec![
                failure("nat-gateway-1", create, Left::Nothing, busy.clone()),
                failure("eip-2", create, Left::Traceable, limit.clone()),
                failure("eip-3", create, Left::Recorded, limit),
                failure(
                    "group",
                    Phase::Make(Action::Replace),
                    Left::Nothing,
                    busy.clone(),
                ),
                failure("old", Phase::Remove, Left::Recorded, busy),
            ],
            skipped: vec![
                skip("nat-route-1", "nat-gateway-1"),
                skip("service", "nat-route-1"),
                skip("nat-gateway-2", "eip-2"),
                skip("alarm", "the run to go on"),
            ],
            stopped: true,
            ..Report::default()
        }
    }

    fn unsaved_run() -> Report {
        let nat = Unrecorded {
            address: address("nat-gateway-1"),
            kind: "ec2/nat_gateway".to_owned(),
            outputs: json!({ "id": "nat-0a1b" }),
        };
        let error = StateError::Access {
            place: "state/dev.json".to_owned(),
            reason: "No space left on device".to_owned(),
        };
        Report {
            skipped: vec![(address("eip-2"), "the run to go on".to_owned())],
            stopped: true,
            unanswered: [address("eip-2")].into(),
            unsaved: Some(Unsaved {
                error,
                unrecorded: vec![nat],
            }),
            ..Report::default()
        }
    }

    #[test]
    fn what_is_not_recorded_or_not_answered_is_named() {
        insta::assert_snapshot!(render(&unsaved_run(), &Style::PLAIN, 7, TOOK), @r"
        skipped: eip-2 (needs the run to go on)
        AWS had not answered yet for eip-2; the next run looks for what came of that.
        error: the state could not be saved: state/dev.json: No space left on device
          not recorded: ec2/nat_gateway nat-gateway-1 nat-0a1b
        hint: make the state writable again, then run the same command: what is not recorded is found by its tags or name
        Stopped as asked. Run the same command again to go on.
        Not done: nothing done, 1 skipped in 12.3 s. 7 resources are recorded.
        ");
        let json = to_json(&unsaved_run(), 7, TOOK);
        assert_eq!(json["unanswered"], json!(["eip-2"]));
        assert_eq!(
            json["unsaved"]["message"],
            "state/dev.json: No space left on device"
        );
        assert_eq!(
            json["unsaved"]["unrecorded"][0]["outputs"],
            json!({ "id": "nat-0a1b" })
        );
    }

    #[test]
    fn a_complete_run_is_one_line() {
        let names = (0..93).map(|n| address(&format!("node-{n}")));
        let mut report = Report {
            done: names.map(|name| (name, Action::Create)).collect(),
            ..Report::default()
        };
        report.done.insert(address("gateway"), Action::NoChange);
        assert_eq!(
            render(&report, &Style::PLAIN, 94, TOOK),
            "Done: 93 created, 1 finished in 12.3 s."
        );
        assert_eq!(
            render(&Report::default(), &Style::PLAIN, 94, TOOK),
            "Done: nothing to do in 12.3 s."
        );
    }

    #[test]
    fn a_failed_run_says_what_failed_what_is_left_and_what_to_do() {
        insta::assert_snapshot!(render(&failed_run(), &Style::PLAIN, 31, TOOK), @r"
        error: could not create ec2/thing nat-gateway-1
          ec2:CreateNatGateway: ResourceNotReady: It is not ready (request 4f1c)
          Nothing was left behind.
        hint: mend the cause, then run the same command again; it goes on where it stopped
        error: could not create ec2/thing eip-2
          ec2:AllocateAddress: Too many addresses
          It may exist; it carries our tags or name and is looked for first next time.
        hint: release some
        error: could not create ec2/thing eip-3
          ec2:AllocateAddress: Too many addresses
          It exists and is recorded.
        error: could not replace ec2/thing group
          ec2:CreateNatGateway: ResourceNotReady: It is not ready (request 4f1c)
          No new one was made.
        error: could not delete ec2/thing old
          ec2:CreateNatGateway: ResourceNotReady: It is not ready (request 4f1c)
          It still exists and is recorded.
        skipped: nat-gateway-2 (needs `eip-2`)
        skipped: nat-route-1, service (need `nat-gateway-1`)
        skipped: alarm (needs the run to go on)
        Stopped as asked; everything so far is saved. Run the same command again to go on.
        Not done: 1 created, 1 updated, 5 failed, 4 skipped in 12.3 s. 31 resources are recorded.
        ");
    }

    #[test]
    fn colours_are_only_an_addition() {
        let coloured = render(&failed_run(), &Style { colour: true }, 31, TOOK);
        let plain = render(&failed_run(), &Style::PLAIN, 31, TOOK);
        assert_ne!(coloured, plain);
        assert_eq!(crate::ui::style::without_colours(&coloured), plain);
    }

    #[test]
    fn the_json_says_what_the_text_says() {
        let json = to_json(&failed_run(), 31, TOOK);
        assert_eq!(json["complete"], false);
        assert_eq!(json["stopped"], true);
        assert_eq!(json["seconds"], 12.345);
        assert_eq!(
            json["failed"][0],
            json!({
                "address": "nat-gateway-1", "kind": "ec2/thing", "action": "create",
                "operation": "ec2:CreateNatGateway", "code": "ResourceNotReady",
                "message": "It is not\nready", "requestId": "4f1c", "advice": null,
                "left": "nothing",
            })
        );
        let skipped = json["skipped"].as_array().unwrap();
        assert!(skipped.contains(&json!({ "address": "service", "needs": "nat-gateway-1" })));
    }
}
