//! Why the tasks of a new version do not come up: what ECS says of the stopped ones, what they last
//! wrote, and what the load balancer finds of those that run.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{DesiredStatus, Task, TaskStopCode};
use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;

use super::ServiceName;
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;

/// A task of the new version that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTask {
    /// Its id.
    pub id: String,
    /// Why it stopped, in ECS's words, with what its containers say.
    pub reason: String,
    /// Whether its containers ran, so that they may have written something.
    pub has_run: bool,
}

/// Lists the failed tasks of a revision, the newest first: those that did not start, ended by
/// themselves or were stopped for their health. Tasks that Spot took back or a person stopped say
/// nothing of the version. ECS forgets stopped tasks after an hour.
///
/// Asks `ecs:ListTasks` and `ecs:DescribeTasks`; fails as those do.
pub async fn failed_tasks(
    aws: &Aws,
    name: &ServiceName,
    revision: &str,
) -> Result<Vec<FailedTask>> {
    let pages = aws
        .ecs
        .list_tasks()
        .cluster(&name.cluster)
        .service_name(&name.service)
        .desired_status(DesiredStatus::Stopped)
        .into_paginator()
        .items()
        .send();
    let arns: Vec<String> = pages
        .collect::<std::result::Result<_, _>>()
        .await
        .of("ecs:ListTasks")?;
    let mut found: Vec<Task> = Vec::new();
    for some in arns.chunks(100) {
        let answer = aws
            .ecs
            .describe_tasks()
            .cluster(&name.cluster)
            .set_tasks(Some(some.to_vec()))
            .send()
            .await
            .of("ecs:DescribeTasks")?;
        found.extend(answer.tasks.unwrap_or_default());
    }
    found.retain(|task| task.task_definition_arn() == Some(revision) && has_failed(task));
    found.sort_by_key(|task| {
        std::cmp::Reverse(task.stopping_at().and_then(|at| at.to_millis().ok()))
    });
    Ok(found.iter().map(failed).collect())
}

fn has_failed(task: &Task) -> bool {
    match task.stop_code() {
        Some(TaskStopCode::TaskFailedToStart | TaskStopCode::EssentialContainerExited) => true,
        // ECS itself stops what fails its health checks, and also what it scales in.
        Some(TaskStopCode::ServiceSchedulerInitiated) => {
            let reason = task.stopped_reason().unwrap_or_default();
            reason.contains("failed") && reason.contains("health checks")
        }
        _ => false,
    }
}

fn failed(task: &Task) -> FailedTask {
    let arn = task.task_arn().unwrap_or_default();
    let mut reason = task
        .stopped_reason()
        .unwrap_or("no reason given")
        .to_owned();
    for container in task.containers() {
        let name = container.name().unwrap_or_default();
        if let Some(code) = container.exit_code().filter(|code| *code != 0) {
            let meaning = if code == 137 {
                ", killed: out of memory, or it did not stop in time"
            } else {
                ""
            };
            reason.push_str(&format!("; {name} exited with code {code}{meaning}"));
        }
        let says = container.reason().filter(|says| !reason.contains(says));
        if let Some(says) = says {
            reason.push_str(&format!("; {name}: {says}"));
        }
    }
    FailedTask {
        id: arn.rsplit('/').next().unwrap_or(arn).to_owned(),
        reason,
        has_run: task.started_at().is_some(),
    }
}

/// Reasons with how often each was given, the most frequent first. Ids of tasks in them do not count.
pub fn grouped(failed: &[FailedTask]) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for task in failed {
        *counts
            .entry(task.reason.replace(&task.id, "…"))
            .or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// The last lines that a task's container wrote, oldest first; none if it wrote nothing.
///
/// Asks `logs:GetLogEvents`; fails as that call does.
pub async fn last_lines(
    aws: &Aws,
    log_group: &str,
    container: &str,
    task: &str,
    lines: i32,
) -> Result<Vec<String>> {
    let answer = aws
        .logs
        .get_log_events()
        .log_group_name(log_group)
        .log_stream_name(format!("ecs/{container}/{task}"))
        .start_from_head(false)
        .limit(lines)
        .send()
        .await
        .of("logs:GetLogEvents")
        .gone_is_none(&["ResourceNotFoundException"])?;
    let events = answer.and_then(|answer| answer.events).unwrap_or_default();
    Ok(events
        .into_iter()
        .filter_map(|event| event.message)
        .collect())
}

/// How the load balancer finds the tasks of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// How many take requests.
    pub healthy: usize,
    /// Why others do not, with how many.
    pub others: BTreeMap<String, usize>,
}

/// Reads the health of a target group.
///
/// Asks `elasticloadbalancing:DescribeTargetHealth`; fails as that call does.
pub async fn health(aws: &Aws, target_group: &str) -> Result<Health> {
    let answer = aws
        .elbv2
        .describe_target_health()
        .target_group_arn(target_group)
        .send()
        .await
        .of("elasticloadbalancing:DescribeTargetHealth")
        .gone_is_none(&["TargetGroupNotFound"])?;
    let mut found = Health::default();
    for target in answer
        .iter()
        .flat_map(|answer| answer.target_health_descriptions())
    {
        let Some(health) = target.target_health() else {
            continue;
        };
        match health.state() {
            Some(TargetHealthStateEnum::Healthy) => found.healthy += 1,
            // On its way out: a task that was stopped.
            Some(TargetHealthStateEnum::Draining) => {}
            state => {
                let state = state.map_or("unknown", |state| state.as_str());
                let why = health.description().unwrap_or_default();
                let text = format!("{state} {why}").trim_end().to_owned();
                *found.others.entry(text).or_default() += 1;
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::Container;

    use super::*;

    fn task(code: TaskStopCode, reason: &str) -> Task {
        Task::builder()
            .task_arn("arn:aws:ecs:us-east-1:1:task/order-api-dev/0123")
            .stop_code(code)
            .stopped_reason(reason)
            .build()
    }

    #[test]
    fn only_what_speaks_of_the_version_counts() {
        let counts = |code, reason| has_failed(&task(code, reason));
        assert!(counts(
            TaskStopCode::TaskFailedToStart,
            "CannotPullContainerError"
        ));
        assert!(counts(
            TaskStopCode::EssentialContainerExited,
            "Essential container in task exited"
        ));
        let health = "(service order-api-dev) (port 8080) is unhealthy: Task failed ELB health checks in (target-group x)";
        assert!(counts(TaskStopCode::ServiceSchedulerInitiated, health));
        let scaled = "Scaling activity initiated by (deployment ecs-svc/1)";
        assert!(!counts(TaskStopCode::ServiceSchedulerInitiated, scaled));
        assert!(!counts(
            TaskStopCode::SpotInterruption,
            "Your Spot Task was interrupted."
        ));
        assert!(!counts(
            TaskStopCode::UserInitiated,
            "failed health checks, says a person"
        ));
    }

    #[test]
    fn the_reason_tells_what_the_containers_say_and_equal_ones_are_counted() {
        let container = Container::builder().name("order-api").exit_code(137);
        let mut one = task(TaskStopCode::EssentialContainerExited, "task 0123 exited");
        one.containers = Some(vec![container.build()]);
        let told = failed(&one);
        assert!(
            told.reason
                .contains("order-api exited with code 137, killed"),
            "{}",
            told.reason
        );
        let mut other = told.clone();
        other.id = "0456".into();
        other.reason = other.reason.replace("0123", "0456");
        assert_eq!(grouped(&[told, other])[0].1, 2);
    }
}
