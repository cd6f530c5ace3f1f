//! A release as it goes, how it ended, and the list of earlier ones.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::json::{VERSION, round};
use super::style::Style;
use super::table;
use super::text::{age, clean, moment, took};
use crate::rollout::failures::Health;
use crate::rollout::history::Entry;
use crate::service::deployments::{Deployment, Version};

/// What is known of a release at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The deployment.
    pub deployment: Deployment,
    /// How the load balancer finds the new version's tasks, where it was asked.
    pub health: Option<Health>,
    /// How many of its tasks have failed.
    pub failed: usize,
}

/// One line for the moment: time since the beginning, stage, tasks, traffic.
pub fn line(snapshot: &Snapshot, since: Duration, style: &Style) -> String {
    let deployment = &snapshot.deployment;
    let mut parts = vec![tasks(snapshot)];
    parts.extend(traffic("test", deployment, |version| version.test));
    parts.extend(traffic("production", deployment, |version| {
        version.production
    }));
    if !deployment.triggered_alarms.is_empty() {
        let alarms = deployment.triggered_alarms.join(", ");
        parts.push(style.red(format!("ALARM {}", clean(&alarms))));
    }
    let word = format!("{:<29}", word(deployment));
    let word = match deployment.status.as_str() {
        "SUCCESSFUL" => style.green(word),
        "PENDING" | "IN_PROGRESS" => style.bold(word),
        _ => style.red(word),
    };
    let line = format!("{:>8}  {word} {}", took(since), parts.join(" · "));
    line.trim_end().to_owned()
}

/// The stage while it goes forward, else the status.
fn word(deployment: &Deployment) -> String {
    match (&deployment.stage, deployment.status.as_str()) {
        (Some(stage), "IN_PROGRESS") => clean(stage),
        (_, status) => clean(status),
    }
}

fn tasks(snapshot: &Snapshot) -> String {
    let target = &snapshot.deployment.target;
    let mut text = format!("{}/{} running", target.running, target.requested);
    if let Some(health) = &snapshot.health {
        text.push_str(&format!(", {} healthy", health.healthy));
        for (why, count) in &health.others {
            text.push_str(&format!(", {count} {}", clean(why)));
        }
    }
    if snapshot.failed > 0 {
        text.push_str(&format!(", {} failed", snapshot.failed));
    }
    text
}

fn traffic(
    kind: &str,
    deployment: &Deployment,
    share: fn(&Version) -> Option<f64>,
) -> Option<String> {
    let new = share(&deployment.target)?;
    Some(format!("{kind} {} % new", round(new)))
}

/// The same for programs, as one object on a line: `type` is `release`.
///
/// `status`, `stage`, `deployment` (its ARN), `seconds` since the beginning; `tasks` with `requested`,
/// `running`, `pending`, `healthy`, `failed`; `testWeight` and `productionWeight` of the new version in
/// percent; `triggeredAlarms`; `paused` while it waits for somebody's word.
pub fn to_json(snapshot: &Snapshot, since: Duration, at: Timestamp) -> Value {
    let deployment = &snapshot.deployment;
    let target = &deployment.target;
    json!({
        "type": "release",
        "version": VERSION,
        "at": at,
        "deployment": deployment.arn,
        "status": deployment.status,
        "stage": deployment.stage,
        "seconds": round(since.as_secs_f64()),
        "tasks": {
            "requested": target.requested,
            "running": target.running,
            "pending": target.pending,
            "healthy": snapshot.health.as_ref().map(|health| health.healthy),
            "failed": snapshot.failed,
        },
        "testWeight": target.test,
        "productionWeight": target.production,
        "triggeredAlarms": deployment.triggered_alarms,
        "paused": deployment.pause().is_some(),
    })
}

/// The table of releases, newest first.
pub fn list(entries: &[Entry], running: &str, now: Timestamp, style: &Style) -> String {
    let names = ["REVISION", "IMAGE", "DIGEST", "BY", "WHEN", "RESULT"];
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let is_running = entry.revision == running;
            let at = entry.at();
            vec![
                format!(
                    "{}{}",
                    entry.number(),
                    if is_running { " (runs)" } else { "" }
                ),
                named(entry),
                entry.digest.as_deref().map(short).unwrap_or_default(),
                entry.by.clone().unwrap_or_else(|| "up".to_owned()),
                at.map(|at| when(at, now)).unwrap_or_default(),
                result(&entry.deployment),
            ]
        })
        .collect();
    table::columns(&names, &rows, style)
}

fn named(entry: &Entry) -> String {
    let named = entry.named.as_deref().unwrap_or(&entry.image);
    let without_registry = named.rsplit('/').next().unwrap_or(named);
    match without_registry.split_once("@sha256:") {
        Some((name, _)) => name.to_owned(),
        None => without_registry.to_owned(),
    }
}

fn when(at: Timestamp, now: Timestamp) -> String {
    let ago = Duration::try_from(now.duration_since(at)).unwrap_or_default();
    format!("{} ({} ago)", moment(at), age(ago))
}

fn result(deployment: &Deployment) -> String {
    match (&deployment.stage, deployment.is_under_way()) {
        (Some(stage), true) => format!("{} {stage}", deployment.status),
        _ => deployment.status.clone(),
    }
}

/// The first letters of a digest, which are enough for a person.
pub fn short(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.chars().take(12).collect()
}

/// The releases for programs: `releases`, newest first, each with `revision`, `image`, `digest`,
/// `named`, `by` (null for what `up` deployed), `createdAt`, `finishedAt`, `status`, `reason`, `runs`.
pub fn list_to_json(entries: &[Entry], running: &str) -> Value {
    let releases: Vec<Value> = entries
        .iter()
        .map(|entry| {
            json!({
                "revision": entry.revision,
                "image": entry.image,
                "digest": entry.digest,
                "named": entry.named,
                "by": entry.by,
                "deployment": entry.deployment.arn,
                "createdAt": entry.deployment.created,
                "finishedAt": entry.deployment.finished,
                "status": entry.deployment.status,
                "reason": entry.deployment.why(),
                "runs": entry.revision == running,
            })
        })
        .collect();
    json!({ "type": "releases", "version": VERSION, "releases": releases })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let new = Version {
            revision: "arn:new".into(),
            requested: 3,
            running: 2,
            pending: 1,
            production: Some(10.0),
            test: Some(100.0),
        };
        let deployment = Deployment {
            arn: "arn:d/abc".into(),
            status: "IN_PROGRESS".into(),
            stage: Some("PRODUCTION_TRAFFIC_SHIFT".into()),
            created: Some("2026-11-26T10:00:00Z".parse().unwrap()),
            target: new,
            watches_alarms: true,
            ..Deployment::default()
        };
        Snapshot {
            deployment,
            health: Some(Health {
                healthy: 1,
                others: [("initial".to_owned(), 1)].into(),
            }),
            failed: 0,
        }
    }

    #[test]
    fn a_line_tells_stage_tasks_and_weights() {
        let text = line(&snapshot(), Duration::from_secs(95), &Style::PLAIN);
        assert_eq!(
            text,
            "   1m35s  PRODUCTION_TRAFFIC_SHIFT      2/3 running, 1 healthy, 1 initial · test 100 % new · production 10 % new"
        );
        let json = to_json(&snapshot(), Duration::from_secs(95), Timestamp::UNIX_EPOCH);
        assert_eq!(json["productionWeight"], 10.0);
        assert_eq!(json["tasks"]["healthy"], 1);
    }

    #[test]
    fn a_rollback_shows_as_one_with_the_alarm_that_caused_it() {
        let mut turned = snapshot();
        turned.deployment.status = "ROLLBACK_IN_PROGRESS".into();
        turned.deployment.triggered_alarms = vec!["high-errors".into()];
        turned.failed = 2;
        let text = line(&turned, Duration::from_secs(1), &Style::PLAIN);
        assert!(text.contains("ROLLBACK_IN_PROGRESS"), "{text}");
        assert!(
            text.contains("2 failed") && text.ends_with("ALARM high-errors"),
            "{text}"
        );
    }

    #[test]
    fn the_list_says_what_runs_and_who_brought_it() {
        let entry = Entry {
            deployment: snapshot().deployment,
            revision: "arn:td/order-api-dev:7".into(),
            image: "1.dkr.ecr.us-east-1.amazonaws.com/order-api-dev@sha256:0123456789abcdef".into(),
            digest: Some("sha256:0123456789abcdef".into()),
            named: Some("v2".into()),
            by: Some("user/alice".into()),
        };
        let now = "2026-11-26T10:01:00Z".parse().unwrap();
        let text = list(&[entry], "arn:td/order-api-dev:7", now, &Style::PLAIN);
        let row = text.lines().nth(1).unwrap();
        for part in [
            "7 (runs)",
            "v2",
            "0123456789ab",
            "user/alice",
            "1m ago",
            "IN_PROGRESS",
        ] {
            assert!(row.contains(part), "{part}: {text}");
        }
    }
}
