//! Area `tasks`: whether as many tasks run as are wanted, and why those stopped that did not last.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{Container, DesiredStatus, Service, ServiceEvent, Task, TaskDefinition};

use super::stop_reason::{Diagnosis, diagnose, trouble_in_event};
use super::{Chart, Severity, Subject, reads};
use crate::aws::Aws;
use crate::resource::Result;
use crate::service::last_segment;
use crate::service::tasks::{LogStream, last_lines, tasks};

pub(super) const AREA: &str = "tasks";

/// A stopped task older than this says little about what happens now, in seconds.
const RECENT: i64 = 15 * 60;
/// How many of a container's last lines are shown.
const LOG_LINES: i32 = 5;

pub(super) async fn look(aws: &Aws, subject: &Subject, chart: &mut Chart) -> Result<()> {
    let service = reads::service(aws, subject).await?;
    let Some(service) = service.as_ref() else {
        chart
            .problem(format!("there is no ECS service {}", subject.service))
            .mended_by("orderctl up");
        return Ok(());
    };
    let short = service.running_count() < service.desired_count();
    let stopped = tasks(aws, &subject.service_name(), DesiredStatus::Stopped).await?;
    let groups = failures(&stopped.unwrap_or_default(), subject);
    for (diagnosis, tasks) in &groups {
        let severity = severity(diagnosis, tasks, service);
        let evidence = evidence(aws, subject, diagnosis, tasks).await;
        chart
            .add(severity, title(diagnosis, tasks))
            .shown_by(evidence)
            .mended_by(&diagnosis.fix);
    }
    events(service, short, chart);
    counts(service, short, chart);
    Ok(())
}

/// How many run of how many wanted.
fn counts(service: &Service, short: bool, chart: &mut Chart) {
    let (desired, running) = (service.desired_count(), service.running_count());
    let text = format!("{running} of {desired} tasks run");
    if desired == 0 {
        chart
            .warning("the service is parked: it wants no tasks")
            .shown_by([text])
            .mended_by("`orderctl push IMAGE`, then `orderctl up`");
    } else if !short {
        chart.fine(text);
    } else if !chart.is_well() {
        // Why, is among the findings before.
        chart.problem(text).shown_by(newest(service.events()));
    } else if service.pending_count() > 0 {
        let coming = service.pending_count();
        chart
            .warning(format!("{text}, {coming} are on their way"))
            .shown_by(newest(service.events()))
            .mended_by("orderctl status --watch");
    } else {
        chart
            .problem(format!("{text}, and no other is on its way"))
            .shown_by(newest(service.events()))
            .mended_by("orderctl status --watch");
    }
}

/// The trouble that the service's events tell of, as far as it is not over.
fn events(service: &Service, short: bool, chart: &mut Chart) {
    let mut told: BTreeMap<&str, (&str, Vec<&str>, Vec<String>)> = BTreeMap::new();
    for event in service.events() {
        let age = reads::seconds_since(event.created_at());
        let is_recent = age.is_some_and(|age| age <= RECENT);
        let message = event.message().unwrap_or_default();
        if let Some((title, fix)) = trouble_in_event(message)
            && is_recent
        {
            let (_, messages, lines) = told.entry(title).or_insert((fix, Vec::new(), Vec::new()));
            // ECS says the same again and again; the newest comes first.
            if !messages.contains(&message) {
                messages.push(message);
                lines.push(line(event));
            }
        }
    }
    // A release that cannot start its tasks is no less a problem for the old ones that still run.
    let severity = match short || is_released(service) {
        true => Severity::Problem,
        false => Severity::Warning,
    };
    for (title, (fix, _, lines)) in told {
        chart
            .add(severity, title)
            .shown_by(lines.into_iter().take(3))
            .mended_by(fix);
    }
}

fn newest(events: &[ServiceEvent]) -> Vec<String> {
    // AWS gives the newest first.
    events.iter().take(3).map(line).collect()
}

fn line(event: &ServiceEvent) -> String {
    let message = reads::short(event.message().unwrap_or_default());
    format!("{} {message}", reads::moment(event.created_at()))
}

/// The tasks that stopped out of order, by what happened, the newest first.
fn failures(tasks: &[Task], subject: &Subject) -> BTreeMap<Diagnosis, Vec<Task>> {
    let mut groups: BTreeMap<Diagnosis, Vec<Task>> = BTreeMap::new();
    for task in tasks {
        if let Some(diagnosis) = diagnose(task, subject) {
            groups.entry(diagnosis).or_default().push(task.clone());
        }
    }
    for tasks in groups.values_mut() {
        tasks.sort_by_key(|task| std::cmp::Reverse(stopped_at(task).map_or(0, |at| at.secs())));
    }
    groups
}

fn stopped_at(task: &Task) -> Option<&aws_smithy_types::DateTime> {
    task.stopped_at().or_else(|| task.stopping_at())
}

/// Tasks of an earlier revision, and those that failed a while ago, are history if the service has
/// what it wants.
fn severity(diagnosis: &Diagnosis, tasks: &[Task], service: &Service) -> Severity {
    if diagnosis.is_expected {
        return Severity::Warning;
    }
    let concerns_now = |task: &Task| {
        let is_current = task.task_definition_arn() == service.task_definition();
        let age = reads::seconds_since(stopped_at(task));
        age.is_none_or(|age| age <= RECENT) && (is_current || is_released(service))
    };
    let is_short = service.running_count() < service.desired_count();
    match is_short || tasks.iter().any(concerns_now) {
        true => Severity::Problem,
        false => Severity::Warning,
    }
}

/// Whether a deployment is under way.
fn is_released(service: &Service) -> bool {
    service.deployments().len() > 1
}

fn title(diagnosis: &Diagnosis, tasks: &[Task]) -> String {
    let many = match tasks.len() {
        1 => "1 task".to_owned(),
        many => format!("{many} tasks"),
    };
    format!("{many} stopped: {}", diagnosis.title)
}

async fn evidence(
    aws: &Aws,
    subject: &Subject,
    diagnosis: &Diagnosis,
    tasks: &[Task],
) -> Vec<String> {
    let Some(newest) = tasks.first() else {
        return Vec::new();
    };
    let id = last_segment(newest.task_arn().unwrap_or_default());
    let at = reads::moment(stopped_at(newest));
    let mut lines = vec![format!("the last one: task {id}, {at}")];
    if let Some(reason) = newest.stopped_reason() {
        lines.push(reads::short(reason));
    }
    lines.extend(newest.containers().iter().filter_map(|container| {
        let reason = container.reason()?;
        (Some(reason) != newest.stopped_reason()).then(|| {
            let name = container.name().unwrap_or_default();
            format!("container {name}: {}", reads::short(reason))
        })
    }));
    if diagnosis.has_log {
        lines.extend(last_words(aws, subject, newest).await);
    }
    lines
}

/// What the container of a task wrote last. That it cannot be read is said in its place: it is
/// evidence, and no finding.
async fn last_words(aws: &Aws, subject: &Subject, task: &Task) -> Vec<String> {
    let failed = |container: &&Container| container.exit_code().is_some_and(|code| code != 0);
    let culprit = task.containers().iter().find(failed);
    let name = culprit.and_then(Container::name);
    match read_log(aws, subject, task, name.unwrap_or(&subject.container)).await {
        Ok(lines) if lines.is_empty() => vec!["it wrote no log".to_owned()],
        Ok(lines) => {
            let is_foreign = lines.iter().any(|line| line.contains("exec format error"));
            let mut shown: Vec<String> = lines
                .iter()
                .map(|line| format!("log: {}", reads::short(line)))
                .collect();
            if is_foreign {
                shown.push(
                    "`exec format error`: the image is built for another architecture".to_owned(),
                );
            }
            shown
        }
        Err(error) => vec![format!("its log could not be read: {error}")],
    }
}

async fn read_log(
    aws: &Aws,
    subject: &Subject,
    task: &Task,
    container: &str,
) -> Result<Vec<String>> {
    let definition = match task.task_definition_arn() {
        Some(arn) => reads::task_definition(aws, arn).await?,
        None => Default::default(),
    };
    let option = |name: &str| log_option(definition.as_ref().as_ref(), container, name);
    let log = LogStream {
        group: option("awslogs-group").unwrap_or_else(|| subject.log_group.clone()),
        prefix: option("awslogs-stream-prefix").unwrap_or_else(|| "ecs".to_owned()),
        container: container.to_owned(),
        task: last_segment(task.task_arn().unwrap_or_default()).to_owned(),
    };
    last_lines(aws, &log, LOG_LINES).await
}

fn log_option(definition: Option<&TaskDefinition>, container: &str, name: &str) -> Option<String> {
    let mut containers = definition?.container_definitions().iter();
    let container = containers.find(|it| it.name() == Some(container))?;
    container.log_configuration()?.options()?.get(name).cloned()
}

#[cfg(test)]
mod tests;
