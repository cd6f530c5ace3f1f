//! The tasks of a service, and what they wrote.

use aws_sdk_ecs::types::{DesiredStatus, Task, TaskStopCode};

use super::{GONE, ServiceName, last_segment, moment};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;

/// How many tasks one `ecs:DescribeTasks` takes.
const AT_ONCE: usize = 100;

/// Reads the tasks that are to run, or those that are to stop or have; nothing where there is no
/// service. ECS forgets stopped tasks after an hour.
///
/// Asks `ecs:ListTasks` and `ecs:DescribeTasks`; fails as those do.
pub async fn tasks(
    aws: &Aws,
    name: &ServiceName,
    desired: DesiredStatus,
) -> Result<Option<Vec<Task>>> {
    let arns = aws
        .ecs
        .list_tasks()
        .cluster(&name.cluster)
        .service_name(&name.service)
        .desired_status(desired)
        .into_paginator()
        .items()
        .send()
        .collect::<std::result::Result<Vec<_>, _>>()
        .await
        .of("ecs:ListTasks")
        .gone_is_none(GONE)?;
    let Some(arns) = arns else { return Ok(None) };
    let mut found = Vec::new();
    for some in arns.chunks(AT_ONCE) {
        // A task that has just gone is a failure inside of the answer.
        let answer = aws
            .ecs
            .describe_tasks()
            .cluster(&name.cluster)
            .set_tasks(Some(some.to_vec()))
            .send()
            .await
            .of("ecs:DescribeTasks")
            .gone_is_none(GONE)?;
        found.extend(answer.and_then(|answer| answer.tasks).unwrap_or_default());
    }
    Ok(Some(found))
}

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
    let mut found = tasks(aws, name, DesiredStatus::Stopped)
        .await?
        .unwrap_or_default();
    found.retain(|task| task.task_definition_arn() == Some(revision) && has_failed(task));
    found.sort_by_key(|task| std::cmp::Reverse(moment(task.stopping_at())));
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
        id: last_segment(arn).to_owned(),
        reason,
        has_run: task.started_at().is_some(),
    }
}

/// The log of one container of one task, as the `awslogs` driver names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStream {
    /// The log group.
    pub group: String,
    /// What its name begins with (`awslogs-stream-prefix`).
    pub prefix: String,
    /// The container's name.
    pub container: String,
    /// The task's id.
    pub task: String,
}

/// The last lines of a log, oldest first; none if nothing was written.
///
/// Asks `logs:GetLogEvents`; fails as that call does.
pub async fn last_lines(aws: &Aws, log: &LogStream, lines: i32) -> Result<Vec<String>> {
    let LogStream {
        group,
        prefix,
        container,
        task,
    } = log;
    let answer = aws
        .logs
        .get_log_events()
        .log_group_name(group)
        .log_stream_name(format!("{prefix}/{container}/{task}"))
        .start_from_head(false)
        .limit(lines)
        .send()
        .await
        .of("logs:GetLogEvents")
        .gone_is_none(&["ResourceNotFoundException"])?;
    let events = answer.and_then(|answer| answer.events).unwrap_or_default();
    let messages = events.into_iter().filter_map(|event| event.message);
    Ok(messages.collect())
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
    fn the_reason_tells_what_the_containers_say() {
        let container = Container::builder().name("order-api").exit_code(137);
        let mut one = task(TaskStopCode::EssentialContainerExited, "task 0123 exited");
        one.containers = Some(vec![container.build()]);
        let told = failed(&one).reason;
        assert!(
            told.contains("order-api exited with code 137, killed"),
            "{told}"
        );
    }
}
