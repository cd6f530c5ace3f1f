//! A plan as a person reads it before saying yes, and as a program does. The words carry the
//! meaning; symbols and colours repeat it.

use serde_json::{Value, json};

use super::style::Style;
use super::text::{action_name, clean};
use super::values::{differences, inline, masked, settings};
use crate::engine::{Action, Plan, PlannedNode, Whose};
use crate::resource::{Condition, FieldChange, Replacement, UNKNOWN};

pub use super::removal_view::{removal_to_json, render_removal};

/// Draws the plan: one line per node, its fields below, a summary at the end. Nodes that stay as
/// they are appear with `show_unchanged`, or if the running system has changed a field of theirs.
pub fn render(plan: &Plan, style: &Style, show_unchanged: bool) -> String {
    let mut lines = Vec::new();
    for node in plan.nodes.iter().filter(|node| !is_foreign(plan, node)) {
        let stays = node.action == Action::NoChange && !node.is_waiting();
        if !stays || show_unchanged || !node.runtime.is_empty() {
            lines.push(headline(plan, node, style));
            lines.extend(fields(node, style));
        }
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    for node in &plan.foreign {
        let what = format!("{} {}{}", node.kind, node.address, found_as(node));
        let error = style.red("error:");
        let whose = plan.whose.get(&node.address).map(whose);
        let whose = whose.map(|whose| format!(" ({whose})")).unwrap_or_default();
        lines.push(format!(
            "{error} {what} exists and is not this stack's{whose}"
        ));
    }
    if !plan.foreign.is_empty() {
        let hint = style.cyan("hint:");
        let can_be_taken = plan.foreign.iter().all(|node| {
            let whose = plan.whose.get(&node.address);
            whose.is_none_or(Whose::may_lose_it)
        });
        lines.push(match can_be_taken {
            true => format!(
                "{hint} use another suffix, delete it, or take it over with `orderctl up --adopt`"
            ),
            false => format!("{hint} use another suffix; nothing is taken from another stack"),
        });
    }
    lines.push(style.bold(summary(plan)));
    lines.join("\n")
}

fn is_foreign(plan: &Plan, node: &PlannedNode) -> bool {
    plan.foreign
        .iter()
        .any(|foreign| foreign.address == node.address)
}

fn whose(whose: &Whose) -> String {
    clean(&whose.to_string())
}

/// The name AWS knows the found resource by.
fn found_as(node: &PlannedNode) -> String {
    name_of(node)
        .map(|name| format!(" ({name})"))
        .unwrap_or_default()
}

fn name_of(node: &PlannedNode) -> Option<String> {
    let outputs = node.live.as_ref().map(|live| &live.outputs);
    let of = |value: &Value, key: &str| value.get(key)?.as_str().map(clean);
    let name = outputs.and_then(|outputs| of(outputs, "arn").or_else(|| of(outputs, "id")));
    name.or_else(|| of(&node.want, "name"))
}

/// Wide enough for every action; `no change` is seldom shown.
const ACTION_WIDTH: usize = 7;

fn headline(plan: &Plan, node: &PlannedNode, style: &Style) -> String {
    let condition = node.live.as_ref().map(|live| &live.condition);
    let mut remarks: Vec<String> = Vec::new();
    let mut name = String::new();
    if let Some(holder) = plan.whose.get(&node.address) {
        name = found_as(node);
        remarks.push(whose(holder));
    }
    let (symbol, word) = match (node.action, condition) {
        (Action::Create, _) => ("+", "create"),
        (Action::Adopt, _) => ("↪", "adopt"),
        (Action::Update, _) => ("~", "update"),
        (Action::Delete, _) => ("-", "delete"),
        (Action::Replace, _) => {
            remarks.push(match node.profile.replacement {
                Replacement::DeleteFirst => "delete, then create".to_owned(),
                Replacement::CreateFirst => "create, then delete".to_owned(),
            });
            ("±", "replace")
        }
        (Action::NoChange, Some(Condition::Pending(word))) => {
            remarks.push(format!("AWS says {}", clean(word)));
            ("…", "creating (waits)")
        }
        (Action::NoChange, Some(Condition::Deleting)) => ("…", "deleting (waits)"),
        (Action::NoChange, Some(Condition::Failed(why))) => {
            remarks.push(format!("AWS says {}", clean(why)));
            ("!", "failed")
        }
        (Action::NoChange, _) => ("=", "no change"),
    };
    remarks.extend(node.reason.as_deref().map(clean));
    let action = format!("{symbol} {word:<ACTION_WIDTH$}");
    let action = match node.action {
        Action::Create => style.green(action),
        Action::Adopt => style.cyan(action),
        Action::Update => style.yellow(action),
        Action::Replace | Action::Delete => style.red(action),
        Action::NoChange => style.dim(action),
    };
    let mut line = format!("{action} {} {}{name}", node.kind, style.bold(&node.address));
    if !remarks.is_empty() {
        line.push_str(&format!(" ({})", remarks.join("; ")));
    }
    if node.loses_data() {
        line.push_str(&format!(" {}", style.bold(style.red("DESTROYS DATA"))));
    }
    line
}

fn fields(node: &PlannedNode, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    let line = |path: &str, text: &str| {
        let text = if style.colour {
            text.replace(UNKNOWN, &style.dim(UNKNOWN))
        } else {
            text.into()
        };
        format!("    {path}: {text}")
    };
    if node.action == Action::Create {
        let settings = settings(&masked("", &node.want));
        lines.extend(settings.iter().map(|(path, text)| line(path, text)));
    } else {
        for change in &node.changes.0 {
            let (from, to) = (
                masked(&change.path, &change.from),
                masked(&change.path, &change.to),
            );
            let remarks = remarks(node, change, style);
            let parts = differences(&change.path, &from, &to);
            lines.extend(parts.iter().map(|(path, text)| line(path, text) + &remarks));
        }
    }
    for change in &node.runtime.0 {
        let live = inline(&masked(&change.path, &change.from));
        let declared = inline(&masked(&change.path, &change.to));
        let text = format!("{live} (declared {declared}; owned by the running system)");
        lines.push(style.dim(format!("    {}: {text}", clean(&change.path))));
    }
    lines
}

fn remarks(node: &PlannedNode, change: &FieldChange, style: &Style) -> String {
    let mut remarks = Vec::new();
    if forces_replacement(node, change) {
        remarks.push(style.red("forces replacement"));
    }
    if change.drift {
        remarks.push(style.yellow("drift: changed outside orderctl"));
    }
    if remarks.is_empty() {
        String::new()
    } else {
        format!(" ({})", remarks.join("; "))
    }
}

fn forces_replacement(node: &PlannedNode, change: &FieldChange) -> bool {
    node.action == Action::Replace && node.profile.replace_on.contains(&change.field())
}

/// Why AWS says that it will never work.
fn failure(node: &PlannedNode) -> Option<&str> {
    match &node.live.as_ref()?.condition {
        Condition::Failed(why) => Some(why),
        _ => None,
    }
}

struct Counts {
    create: usize,
    adopt: usize,
    update: usize,
    replace: usize,
    delete: usize,
    unchanged: usize,
    waiting: usize,
    failed: usize,
}

impl Counts {
    fn of(plan: &Plan) -> Self {
        let is_kept = |node: &&PlannedNode| node.action == Action::NoChange;
        let kept = plan.nodes.iter().filter(is_kept);
        let failed = kept.clone().filter(|node| failure(node).is_some()).count();
        let waiting = kept.clone().filter(|node| node.is_waiting()).count() - failed;
        Self {
            create: plan.count(Action::Create),
            adopt: plan.count(Action::Adopt) - plan.foreign.len().min(plan.count(Action::Adopt)),
            update: plan.count(Action::Update),
            replace: plan.count(Action::Replace),
            delete: plan.count(Action::Delete),
            unchanged: kept.count() - waiting - failed,
            waiting,
            failed,
        }
    }
}

/// The plan in one line.
pub fn summary(plan: &Plan) -> String {
    if plan.is_empty() {
        return "No changes: the stack is as declared.".to_owned();
    }
    let Counts {
        create,
        adopt,
        update,
        replace,
        delete,
        unchanged,
        waiting,
        failed,
    } = Counts::of(plan);
    let mut parts = vec![
        format!("{create} to create"),
        format!("{update} to update"),
        format!("{replace} to replace"),
        format!("{delete} to delete"),
        format!("{unchanged} unchanged"),
    ];
    if adopt > 0 {
        parts.insert(1, format!("{adopt} to adopt"));
    }
    if waiting > 0 {
        parts.push(format!("{waiting} to wait for"));
    }
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    if !plan.foreign.is_empty() {
        parts.push(format!("{} not this stack's", plan.foreign.len()));
    }
    format!("Plan: {}.", parts.join(", "))
}

/// The plan for programs, as one object:
///
/// - `type` is `plan`; `version` is 1 and changes only when a field changes its meaning or goes;
/// - `hasChanges`: whether `up` would do anything, waiting included;
/// - `summary`: how many nodes to `create`, `adopt`, `update`, `replace`, `delete`; how many are
///   `unchanged`; how many of the others exist but do not work yet (`waiting`) or never will
///   (`failed`);
/// - `nodes`, unchanged ones included: `address`, `kind`, `action` (`noChange`, `create`, `adopt`,
///   `update`, `replace`, `delete`), `order` of a replacement (`deleteFirst`, `createFirst`, else
///   null), `reason` (null if the changes say it all), `waiting`, `failure` (AWS's
///   reason why it will never work, else null), `destroysData`, `changes`, `runtimeOwned`;
/// - `changes`: `path`, `from`, `to`, `drift` (changed outside orderctl), `forcesReplacement`. For
///   a create one per field, `from` null. What is not known yet is "(known after apply)", what
///   smells of a secret "(sensitive)";
/// - `runtimeOwned`: `path`, `live`, `declared` of fields the running system owns;
/// - `takenOver` of a node: null, or for a resource of others that is to become this stack's the `name`
///   AWS knows it by and `whose` it is, as its tags say;
/// - `foreign`: `address`, `kind`, `name`, `whose` of resources that have our names but are not this
///   stack's and stay so.
pub fn to_json(plan: &Plan) -> Value {
    let Counts {
        create,
        adopt,
        update,
        replace,
        delete,
        unchanged,
        waiting,
        failed,
    } = Counts::of(plan);
    let foreign = plan.foreign.iter();
    json!({
        "type": "plan",
        "version": super::json::VERSION,
        "hasChanges": !plan.is_empty(),
        "summary": {
            "create": create,
            "adopt": adopt,
            "update": update,
            "replace": replace,
            "delete": delete,
            "unchanged": unchanged,
            "waiting": waiting,
            "failed": failed,
        },
        "nodes": plan.nodes.iter().map(|node| node_json(plan, node)).collect::<Vec<_>>(),
        "foreign": foreign
            .map(|node| {
                json!({
                    "address": node.address,
                    "kind": node.kind,
                    "name": name_of(node),
                    "whose": plan.whose.get(&node.address).map(whose),
                })
            })
            .collect::<Vec<_>>(),
    })
}

fn node_json(plan: &Plan, node: &PlannedNode) -> Value {
    let holder = plan
        .whose
        .get(&node.address)
        .filter(|_| !is_foreign(plan, node));
    let taken_over = holder.map(|holder| json!({ "name": name_of(node), "whose": whose(holder) }));
    let order = match (node.action, node.profile.replacement) {
        (Action::Replace, Replacement::DeleteFirst) => json!("deleteFirst"),
        (Action::Replace, Replacement::CreateFirst) => json!("createFirst"),
        _ => Value::Null,
    };
    let changes: Vec<Value> = match (node.action, &node.want) {
        (Action::Create, Value::Object(want)) => {
            let set = want.iter().filter(|(_, value)| !value.is_null());
            set.map(|(path, value)| change_json(path, &Value::Null, value, false, false))
                .collect()
        }
        _ => {
            let json = |change: &FieldChange| {
                let forces = forces_replacement(node, change);
                change_json(&change.path, &change.from, &change.to, change.drift, forces)
            };
            node.changes.0.iter().map(json).collect()
        }
    };
    let runtime = node.runtime.0.iter().map(|change| {
        json!({
            "path": change.path,
            "live": masked(&change.path, &change.from),
            "declared": masked(&change.path, &change.to),
        })
    });
    json!({
        "address": node.address,
        "kind": node.kind,
        "action": action_name(node.action),
        "order": order,
        "reason": node.reason,
        "waiting": node.is_waiting() && failure(node).is_none(),
        "failure": failure(node),
        "destroysData": node.loses_data(),
        "takenOver": taken_over,
        "changes": changes,
        "runtimeOwned": runtime.collect::<Vec<_>>(),
    })
}

fn change_json(path: &str, from: &Value, to: &Value, drift: bool, forces: bool) -> Value {
    json!({
        "path": path,
        "from": masked(path, from),
        "to": masked(path, to),
        "drift": drift,
        "forcesReplacement": forces,
    })
}

#[cfg(test)]
mod tests;
