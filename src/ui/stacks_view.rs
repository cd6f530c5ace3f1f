//! The stacks of a store as a person reads them, and as a program does.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::style::Style;
use super::table;
use super::text::{age, clean};
use crate::state::{Holder, LastRun, RunOutcome, State};

/// One stack of a store.
#[derive(Clone, Debug)]
pub struct StackRow {
    /// Its suffix.
    pub stack: String,
    /// Where its state is.
    pub place: String,
    /// Its state, or why that cannot be read.
    pub state: Result<State, String>,
    /// Who works on it, or why that cannot be told.
    pub holder: Result<Option<Holder>, String>,
}

/// Draws one line per stack.
pub fn render(rows: &[StackRow], now: Timestamp, style: &Style) -> String {
    let names = [
        "STACK",
        "ACCOUNT",
        "REGION",
        "AGE",
        "RESOURCES",
        "PROTECT",
        "LOCK",
        "LAST RUN",
    ];
    let cells: Vec<Vec<String>> = rows.iter().map(|row| cells(row, now)).collect();
    table::columns(&names, &cells, style)
}

fn cells(row: &StackRow, now: Timestamp) -> Vec<String> {
    let lock = match &row.holder {
        Ok(Some(holder)) => format!(
            "{} by {}@{}, {}",
            holder.purpose,
            holder.user,
            holder.host,
            since(holder.since, now)
        ),
        Ok(None) => String::new(),
        Err(reason) => reason.clone(),
    };
    let state = match &row.state {
        Ok(state) => state,
        Err(reason) => {
            let mut cells = vec![row.stack.clone()];
            cells.resize(6, String::new());
            cells.extend([lock, reason.clone()]);
            return cells;
        }
    };
    let under_way = under_way(state);
    let resources = match under_way {
        0 => state.records.len().to_string(),
        _ => format!("{} ({under_way} under way)", state.records.len()),
    };
    let is_worked_on = !matches!(row.holder, Ok(None));
    vec![
        row.stack.clone(),
        state.account.clone().unwrap_or_default(),
        state.region.clone(),
        created_at(state).map_or_else(String::new, |time| age(passed(time, now))),
        resources,
        if state.protect { "yes" } else { "no" }.to_owned(),
        lock,
        state
            .last_run
            .as_ref()
            .map_or_else(String::new, |run| last_run(run, is_worked_on, now)),
    ]
}

fn last_run(run: &LastRun, is_worked_on: bool, now: Timestamp) -> String {
    let end = match run.ended.as_ref().map(|ended| ended.outcome) {
        Some(outcome) => outcome_name(outcome),
        None if is_worked_on => "under way",
        None => "never ended",
    };
    let since = since(run.began, now);
    format!("{} by {}, {since}: {end}", run.command, run.by)
}

fn outcome_name(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Done => "done",
        RunOutcome::Failed => "failed",
        RunOutcome::Interrupted => "interrupted",
    }
}

fn since(time: Timestamp, now: Timestamp) -> String {
    format!("{} ago", age(passed(time, now)))
}

/// None where the clock of another machine is ahead.
fn passed(time: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(time).try_into().unwrap_or_default()
}

/// When the first resource that is still there was made.
fn created_at(state: &State) -> Option<Timestamp> {
    let times = state
        .records
        .values()
        .filter_map(|record| record.created_at);
    times.min()
}

fn under_way(state: &State) -> usize {
    let records = state.records.values();
    records.filter(|record| record.intent.is_some()).count()
}

/// The same as a JSON object: `type` is `stacks`; `stacks` has each one's `stack`, `place`, and
/// `error`, null where the state can be read. Then there are `account`, `region`, `createdAt`,
/// `resources`, how many of them are `underWay`, `protect`, `lastRun` (`command`, `by`, `began`,
/// `endedAt` and `outcome`, null where it has not ended), and `lock` (`user`, `host`, `pid`,
/// `purpose`, `since`, `expires`), null where nobody holds it.
pub fn to_json(rows: &[StackRow]) -> Value {
    let stacks: Vec<Value> = rows.iter().map(row_to_json).collect();
    json!({ "type": "stacks", "version": super::json::VERSION, "stacks": stacks })
}

fn row_to_json(row: &StackRow) -> Value {
    let mut line = json!({
        "stack": row.stack,
        "place": row.place,
        "error": row.state.as_ref().err().map(|reason| clean(reason)),
    });
    if let Ok(state) = &row.state {
        let last_run = state.last_run.as_ref().map(|run| {
            json!({
                "command": run.command,
                "by": run.by,
                "began": run.began,
                "endedAt": run.ended.as_ref().map(|ended| ended.at),
                "outcome": run.ended.as_ref().map(|ended| outcome_name(ended.outcome)),
            })
        });
        line["account"] = json!(state.account);
        line["region"] = json!(state.region);
        line["createdAt"] = json!(created_at(state));
        line["resources"] = json!(state.records.len());
        line["underWay"] = json!(under_way(state));
        line["protect"] = json!(state.protect);
        line["lastRun"] = json!(last_run);
    }
    line["lock"] = match &row.holder {
        Ok(holder) => json!(holder.as_ref().map(holder_to_json)),
        Err(reason) => json!({ "error": clean(reason) }),
    };
    line
}

/// Who holds a lock, as a JSON object.
pub fn holder_to_json(holder: &Holder) -> Value {
    json!({
        "user": holder.user,
        "host": holder.host,
        "pid": holder.pid,
        "purpose": holder.purpose,
        "since": holder.since,
        "expires": holder.expires,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Address;
    use crate::state::{Intent, IntentAction, Record, RunEnd};

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn row(stack: &str, change: impl FnOnce(&mut State)) -> StackRow {
        let mut state = State::new(stack, "us-east-1");
        state.account = Some("123456789012".to_owned());
        change(&mut state);
        StackRow {
            stack: stack.to_owned(),
            place: format!("state/{stack}.json"),
            state: Ok(state),
            holder: Ok(None),
        }
    }

    fn run(began: &str, ended: Option<RunOutcome>) -> Option<LastRun> {
        Some(LastRun {
            command: "up".to_owned(),
            by: "ann@ci-7".to_owned(),
            began: time(began),
            ended: ended.map(|outcome| RunEnd {
                at: time("2026-11-22T10:20:00Z"),
                outcome,
            }),
        })
    }

    fn rows() -> Vec<StackRow> {
        let mut dev = row("dev", |state| {
            for (name, made) in [
                ("vpc", "2026-11-20T06:00:00Z"),
                ("alb", "2026-11-22T06:00:00Z"),
            ] {
                let mut record = Record::new("ec2/vpc");
                record.created_at = Some(time(made));
                state.records.insert(Address::new(name).unwrap(), record);
            }
            let mut record = Record::new("ec2/nat_gateway");
            record.intent = Some(Intent {
                action: IntentAction::Create,
                since: time("2026-11-22T10:15:30Z"),
                token: None,
                spec: None,
                final_snapshot: None,
            });
            state.records.insert(Address::new("nat").unwrap(), record);
            state.last_run = run("2026-11-22T10:15:27Z", None);
        });
        dev.holder = Ok(Some(Holder {
            user: "ann".to_owned(),
            host: "ci-7".to_owned(),
            pid: 4242,
            purpose: "up".to_owned(),
            since: time("2026-11-22T10:15:26Z"),
            expires: None,
        }));
        let mut torn = row("torn", |_| {});
        torn.state = Err("state/torn.json cannot be read: it is empty".to_owned());
        let killed = row("killed", |state| {
            state.last_run = run("2026-11-21T10:15:27Z", None);
        });
        let prod = row("prod", |state| {
            state.protect = true;
            state.last_run = run("2026-11-22T10:15:27Z", Some(RunOutcome::Failed));
        });
        vec![
            dev,
            killed,
            prod,
            row("new", |state| state.account = None),
            torn,
        ]
    }

    #[test]
    fn each_stack_is_a_row_and_one_that_cannot_be_read_says_so() {
        let text = render(&rows(), time("2026-11-22T10:16:00Z"), &Style::PLAIN);
        insta::assert_snapshot!(text, @r#"
        STACK   ACCOUNT       REGION     AGE    RESOURCES        PROTECT  LOCK                      LAST RUN
        dev     123456789012  us-east-1  2d04h  3 (1 under way)  no       up by ann@ci-7, 34 s ago  up by ann@ci-7, 33 s ago: under way
        killed  123456789012  us-east-1  -      0                no       -                         up by ann@ci-7, 1d00h ago: never ended
        prod    123456789012  us-east-1  -      0                yes      -                         up by ann@ci-7, 33 s ago: failed
        new     -             us-east-1  -      0                no       -                         -
        torn    -             -          -      -                -        -                         state/torn.json cannot be read: it is empty
        "#);
    }

    #[test]
    fn programs_get_all_of_it() {
        let json = to_json(&rows());
        assert_eq!(json["type"], "stacks");
        let dev = &json["stacks"][0];
        assert_eq!(dev["createdAt"], "2026-11-20T06:00:00Z");
        assert_eq!(
            (&dev["resources"], &dev["underWay"]),
            (&json!(3), &json!(1))
        );
        assert_eq!(dev["lastRun"]["outcome"], Value::Null);
        assert_eq!(dev["lock"]["pid"], 4242);
        assert_eq!(dev["error"], Value::Null);
        assert_eq!(json["stacks"][2]["lastRun"]["outcome"], "failed");
        let torn = &json["stacks"][4];
        assert_eq!(torn["error"], "state/torn.json cannot be read: it is empty");
        assert_eq!(torn.get("resources"), None);
    }
}
