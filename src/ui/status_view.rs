//! A running stack as a person reads it on one screen, and as a program does. Words carry the
//! meaning; colours repeat it.

mod object;

use std::time::Duration;

use jiff::Timestamp;

use super::style::Style;
use super::table;
use super::text::{age, clean, moment};
use crate::service::deployments::Deployment;
use crate::status::{
    Alarm, Colour, Part, Release, Role, RunningImage, Snapshot, Targets, WINDOW_MINUTES, Weights,
};
pub use object::to_json;

/// How much a row asks for attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Plain,
    Well,
    Watch,
    Bad,
}

impl Tone {
    fn paint(self, text: &str, style: &Style) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Well => style.green(text),
            Self::Watch => style.yellow(text),
            Self::Bad => style.red(text),
        }
    }
}

/// A line with its tone, until all is aligned and cut.
type Line = (Tone, String);

/// Draws the snapshot. Lines longer than `width` are cut, for a terminal; none is without one.
pub fn render(snapshot: &Snapshot, style: &Style, width: Option<usize>) -> String {
    let now = snapshot.at;
    let cut = |text: &str| match width {
        Some(width) => cut(text, width),
        None => text.to_owned(),
    };
    let title = format!(
        "Stack {} in {}, account {}, at {}",
        snapshot.stack,
        snapshot.region,
        snapshot.account,
        moment(now)
    );
    let mut text = vec![style.bold(cut(&clean(&title)))];
    let facts = facts(snapshot, now);
    for (label, (tone, line)) in facts {
        let line = cut(&format!("{label:<LABEL$}{}", clean(&line)));
        let (label, line) = line.split_at(line.floor_char_boundary(LABEL));
        text.push(format!("{}{}", style.bold(label), tone.paint(line, style)));
    }
    for table in [colours(snapshot), alarms(snapshot, now), members(snapshot)] {
        text.extend(table.lines(style, &cut));
    }
    text.join("\n")
}

/// A table, and what is to be said below it.
struct Table {
    heads: &'static [&'static str],
    rows: Vec<(Tone, Vec<String>)>,
    notes: Vec<Line>,
}

impl Table {
    fn lines(&self, style: &Style, cut: &dyn Fn(&str) -> String) -> Vec<String> {
        if self.rows.is_empty() && self.notes.is_empty() {
            return Vec::new();
        }
        let cells: Vec<Vec<String>> = self.rows.iter().map(|(_, cells)| cells.clone()).collect();
        // Coloured by whole lines, when the widths are settled.
        let table = table::columns(self.heads, &cells, &Style::PLAIN);
        let mut lines = vec![String::new()];
        for (index, line) in table.lines().enumerate() {
            let line = cut(line);
            lines.push(match index.checked_sub(1) {
                None => style.bold(line),
                Some(row) => self.rows[row].0.paint(&line, style),
            });
        }
        for (tone, note) in &self.notes {
            lines.push(tone.paint(&cut(&format!("  {}", clean(note))), style));
        }
        lines
    }
}

/// How wide the names of the facts are.
const LABEL: usize = 12;

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn facts(snapshot: &Snapshot, now: Timestamp) -> Vec<(&'static str, Line)> {
    let mut facts = Vec::new();
    let mut add = |label: &'static str, lines: Vec<Line>| {
        for (index, line) in lines.into_iter().enumerate() {
            facts.push((if index == 0 { label } else { "" }, line));
        }
    };
    add("service", service(snapshot));
    add("image", images(snapshot));
    add(
        "release",
        told(&snapshot.release, NO_RELEASE, |it| release(it, now)),
    );
    add(
        "deployment",
        told(&snapshot.deployment, NO_RELEASE, |it| deployment(it, now)),
    );
    add(
        "waf",
        told(&snapshot.requests, NOT_MADE, |requests| {
            let text = format!(
                "{} requests blocked, {} allowed in the last {WINDOW_MINUTES} minutes",
                requests.blocked, requests.allowed
            );
            vec![(Tone::Plain, text)]
        }),
    );
    add(
        "database",
        told(&snapshot.database, NOT_MADE, |database| {
            let tone = match database.status.as_str() {
                "available" => Tone::Well,
                _ => Tone::Watch,
            };
            let text = format!(
                "{} {}, {}",
                database.identifier, database.status, database.engine_version
            );
            vec![(tone, text)]
        }),
    );
    facts
}

const NOT_MADE: &str = "not made yet";
const NO_RELEASE: &str = "none yet";

/// The lines of a part, or why there are none.
fn told<T>(part: &Part<T>, absent: &str, lines: impl FnOnce(&T) -> Vec<Line>) -> Vec<Line> {
    match part {
        Part::Read(value) => lines(value),
        Part::Absent => vec![(Tone::Plain, absent.to_owned())],
        Part::Unreadable(error) => vec![(Tone::Watch, unreadable(error))],
    }
}

fn unreadable(error: &crate::resource::Error) -> String {
    format!("cannot be read: {error}")
}

fn service(snapshot: &Snapshot) -> Vec<Line> {
    told(&snapshot.service, NOT_MADE, |service| {
        if service.status != "ACTIVE" {
            let text = format!(
                "{}, {} tasks running",
                words(&service.status),
                service.running
            );
            return vec![(Tone::Bad, text)];
        }
        if service.is_parked() {
            let next = match service.has_image {
                Some(true) => "there is an image: `orderctl deploy TAG` starts it",
                Some(false) => "no image yet: `orderctl push IMAGE`, then `orderctl deploy`",
                None => "`orderctl push IMAGE`, then `orderctl deploy`",
            };
            return vec![(Tone::Watch, format!("parked; {next}"))];
        }
        let counts = format!(
            "{} of {} tasks running, {} pending",
            service.running, service.desired, service.pending
        );
        let is_whole = service.running >= service.desired && service.pending == 0;
        let tone = match (is_whole, service.running) {
            (true, _) => Tone::Well,
            (false, 0) => Tone::Bad,
            (false, _) => Tone::Watch,
        };
        vec![(tone, counts + &spot(snapshot))]
    })
}

fn spot(snapshot: &Snapshot) -> String {
    let Some(tasks) = snapshot.tasks.value() else {
        return String::new();
    };
    match (tasks.on_spot(), tasks.running()) {
        (_, 0) => String::new(),
        (spot, running) => format!(
            "; {spot} of {running} on Spot ({} %)",
            percent(spot, running)
        ),
    }
}

fn percent(part: u32, whole: u32) -> u32 {
    (100 * part + whole / 2) / whole.max(1)
}

fn images(snapshot: &Snapshot) -> Vec<Line> {
    match &snapshot.tasks {
        Part::Read(tasks) if tasks.images.is_empty() => {
            vec![(Tone::Plain, "none runs".to_owned())]
        }
        tasks => told(tasks, NO_RELEASE, |tasks| {
            let line = |image| (Tone::Plain, running_image(image, snapshot.release.value()));
            tasks.images.iter().map(line).collect()
        }),
    }
}

/// The reference is the one that whoever released it gave, where that is known.
fn running_image(image: &RunningImage, release: Option<&Release>) -> String {
    let released = release.filter(|release| release.revision == image.revision);
    let named = released.and_then(|release| release.image.as_deref());
    let reference = short_reference(named.unwrap_or(&image.image));
    let digest = image.digest.as_deref().map_or("-", short_digest);
    let RunningImage {
        revision, tasks, ..
    } = image;
    let noun = if *tasks == 1 { "task" } else { "tasks" };
    format!("{revision}  {reference}  {digest}  {tasks} {noun}")
}

/// `order-api-dev:v1` of a reference with its registry; a digest in it is shown beside it.
fn short_reference(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split('@').next().unwrap_or(name)
}

/// As much of a digest as tells images apart.
fn short_digest(digest: &str) -> &str {
    digest.get(.."sha256:".len() + 12).unwrap_or(digest)
}

fn release(release: &Release, now: Timestamp) -> Vec<Line> {
    let image = release.image.as_deref().map_or("-", short_reference);
    let by = release.by.as_deref();
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    let text = format!(
        "{image} as {}{by}, {}: {}",
        release.revision,
        ago(release.began, now),
        words(&release.status)
    );
    vec![(tone_of(&release.status), text)]
}

fn deployment(deployment: &Deployment, now: Timestamp) -> Vec<Line> {
    let status = words(&deployment.status);
    let tone = tone_of(&deployment.status);
    let mut lines = Vec::new();
    if deployment.is_under_way() {
        let lasts = since(deployment.began(), now).map(|it| format!(" for {it}"));
        let stage = deployment.stage.as_deref().unwrap_or("no stage yet");
        let text = format!(
            "{status}{}: {stage}, changed {}",
            lasts.unwrap_or_default(),
            ago(deployment.changed, now)
        );
        lines.push((tone, text));
    } else {
        let text = format!(
            "none under way; the last ended {}: {status}",
            ago(deployment.finished, now)
        );
        lines.push((tone, text));
    }
    if let Some(reason) = deployment.why()
        && tone != Tone::Well
    {
        lines.push((tone, reason.to_owned()));
    }
    for waiting in &deployment.waiting {
        let left = waiting.until.map(|until| {
            let left: Duration = until.duration_since(now).try_into().unwrap_or_default();
            format!(" for another {}", age(left))
        });
        let then = waiting.then.as_deref();
        let then = then.map(|then| format!(", then {then}"));
        let text = format!(
            "awaits an answer{}{} (hook {})",
            left.unwrap_or_default(),
            then.unwrap_or_default(),
            waiting.hook
        );
        lines.push((Tone::Watch, text));
    }
    lines
}

fn tone_of(status: &str) -> Tone {
    match status {
        "SUCCESSFUL" => Tone::Well,
        "STOPPED" | "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED" => Tone::Bad,
        _ => Tone::Watch,
    }
}

/// AWS's word in lower case: `rollback successful`.
fn words(status: &str) -> String {
    status.to_lowercase().replace('_', " ")
}

fn ago(time: Option<Timestamp>, now: Timestamp) -> String {
    match since(time, now) {
        Some(passed) => format!("{passed} ago"),
        None => "at an unknown time".to_owned(),
    }
}

/// None passed where the clock of another machine is ahead.
fn since(time: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let passed: Duration = now.duration_since(time?).try_into().unwrap_or_default();
    Some(age(passed))
}

fn colours(snapshot: &Snapshot) -> Table {
    let mut table = Table {
        heads: &[
            "COLOUR",
            "REQUESTS",
            "TEST",
            "HEALTHY",
            "UNHEALTHY",
            "INITIAL",
            "DRAINING",
        ],
        rows: Vec::new(),
        notes: Vec::new(),
    };
    for colour in &snapshot.colours {
        let (row, note) = row_of(colour, &snapshot.weights);
        table.rows.push(row);
        table.notes.extend(note);
    }
    if let Some(error) = snapshot.weights.error() {
        table
            .notes
            .push((Tone::Watch, format!("weights: {}", unreadable(error))));
    }
    table
}

fn row_of(colour: &Colour, weights: &Part<Weights>) -> ((Tone, Vec<String>), Option<Line>) {
    let name = colour.name;
    let gap = |tone, why: &str| {
        let cells = vec![name.to_owned(), String::new(), String::new(), String::new()];
        let cells = cells.into_iter().chain(vec![String::new(); 3]).collect();
        ((tone, cells), Some((tone, format!("{name}: {why}"))))
    };
    let targets = match &colour.targets {
        Part::Read(targets) => targets,
        Part::Absent => return gap(Tone::Plain, NOT_MADE),
        Part::Unreadable(error) => return gap(Tone::Watch, &unreadable(error)),
    };
    let (production, test) = shares(weights, &targets.group);
    let share = |share: Option<f64>| share.map_or_else(String::new, |it| format!("{it:.0} %"));
    let cells = vec![
        name.to_owned(),
        share(production),
        share(test),
        targets.healthy.to_string(),
        targets.unhealthy.to_string(),
        (targets.initial + targets.other).to_string(),
        targets.draining.to_string(),
    ];
    let tone = tone_of_targets(targets, production);
    let note = targets.reason.as_ref().map(|reason| {
        let description = match reason.description.as_str() {
            "" => String::new(),
            text => format!(": {text}"),
        };
        let text = format!("{name}: {} × {}{description}", reason.targets, reason.code);
        (tone, text)
    });
    ((tone, cells), note)
}

fn tone_of_targets(targets: &Targets, production: Option<f64>) -> Tone {
    let serves = production.is_some_and(|share| share > 0.0);
    match (targets.healthy, targets.unhealthy) {
        (0, unhealthy) if serves && unhealthy > 0 => Tone::Bad,
        (_, unhealthy) if unhealthy > 0 => Tone::Watch,
        (healthy, _) if serves && healthy > 0 => Tone::Well,
        _ => Tone::Plain,
    }
}

fn shares(weights: &Part<Weights>, group: &str) -> (Option<f64>, Option<f64>) {
    let weights = weights.value();
    (
        weights.and_then(|it| it.production.get(group).copied()),
        weights.and_then(|it| it.test.get(group).copied()),
    )
}

fn alarms(snapshot: &Snapshot, now: Timestamp) -> Table {
    let mut table = Table {
        heads: &["ALARM", "STATE", "SINCE"],
        rows: Vec::new(),
        notes: Vec::new(),
    };
    let alarms = match &snapshot.alarms {
        Part::Read(alarms) => alarms,
        Part::Absent => {
            table.notes.push((Tone::Plain, NOT_MADE.to_owned()));
            return table;
        }
        Part::Unreadable(error) => {
            table.notes.push((Tone::Watch, unreadable(error)));
            return table;
        }
    };
    for alarm in alarms {
        let Alarm {
            name,
            state,
            since: changed,
            reason,
        } = alarm;
        let tone = match state.as_deref() {
            Some("OK") => Tone::Well,
            Some("ALARM") => Tone::Bad,
            _ => Tone::Plain,
        };
        let state = state.as_deref().unwrap_or(NOT_MADE).to_owned();
        let since = since(*changed, now).unwrap_or_default();
        table.rows.push((tone, vec![name.clone(), state, since]));
        // Why all is well is of no interest, and long.
        if tone == Tone::Bad {
            table.notes.push((tone, format!("{name}: {reason}")));
        }
    }
    table
}

fn members(snapshot: &Snapshot) -> Table {
    let members = snapshot.database.value();
    let members = members.map_or(&[][..], |database| &database.members);
    let rows = members.iter().map(|member| {
        let tone = match member.status.as_str() {
            "available" => Tone::Well,
            _ => Tone::Watch,
        };
        let cells = vec![
            member.identifier.clone(),
            member.role.map(role).unwrap_or_default().to_owned(),
            member.status.clone(),
            member.zone.clone(),
            member.class.clone(),
        ];
        (tone, cells)
    });
    Table {
        heads: &["DATABASE MEMBER", "ROLE", "STATUS", "ZONE", "CLASS"],
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Writer => "writer",
        Role::Reader => "reader",
    }
}

#[cfg(test)]
mod tests;
