use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatchlogs::operation::get_log_events::GetLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::OutputLogEvent;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::ErrorMetadata;
use aws_sdk_ecs::operation::describe_services::DescribeServicesOutput;
use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionOutput;
use aws_sdk_ecs::operation::describe_tasks::DescribeTasksOutput;
use aws_sdk_ecs::operation::list_tasks::{ListTasksError, ListTasksOutput};
use aws_sdk_ecs::types::{Deployment, TaskStopCode};
use aws_smithy_mocks::{Rule, mock};
use aws_smithy_types::DateTime;

use super::super::Finding;
use super::super::testing::{found, is_fine, only_bad, subject, titles};
use super::*;
use crate::aws::testing::mocked;

fn ago(seconds: u64) -> DateTime {
    DateTime::from(SystemTime::now() - Duration::from_secs(seconds))
}

fn service(desired: i32, running: i32, pending: i32, event: &'static str) -> Rule {
    mock!(Client::describe_services).then_output(move || {
        let event = ServiceEvent::builder().message(event).created_at(ago(60));
        let service = Service::builder()
            .desired_count(desired)
            .running_count(running)
            .pending_count(pending)
            .task_definition("arn:td/2")
            .deployments(Deployment::builder().build())
            .events(event.build());
        DescribeServicesOutput::builder()
            .services(service.build())
            .build()
    })
}

const STEADY: &str = "(service order-api-dev) has reached a steady state.";

#[derive(Clone)]
struct Stopped {
    code: TaskStopCode,
    reason: &'static str,
    exit: Option<i32>,
    revision: &'static str,
    ago: u64,
}

const CRASH: Stopped = Stopped {
    code: TaskStopCode::EssentialContainerExited,
    reason: "Essential container in task exited",
    exit: Some(1),
    revision: "arn:td/2",
    ago: 60,
};

/// Stopped tasks, listed on two pages.
fn stopped(tasks: &'static [Stopped]) -> Vec<Rule> {
    let list = mock!(Client::list_tasks)
        .match_requests(|r| r.desired_status() == Some(&DesiredStatus::Stopped))
        .then_output(|| {
            ListTasksOutput::builder()
                .task_arns("arn:task/c/t1")
                .build()
        });
    let describe = mock!(Client::describe_tasks).then_output(move || {
        let task = |stopped: &Stopped| {
            let container = Container::builder()
                .name("order-api")
                .set_exit_code(stopped.exit);
            Task::builder()
                .task_arn("arn:task/c/t1")
                .task_definition_arn(stopped.revision)
                .stop_code(stopped.code.clone())
                .stopped_reason(stopped.reason)
                .stopped_at(ago(stopped.ago))
                .containers(container.build())
                .build()
        };
        DescribeTasksOutput::builder()
            .set_tasks(Some(tasks.iter().map(task).collect()))
            .build()
    });
    let none = mock!(Client::list_tasks).then_output(|| {
        ListTasksOutput::builder()
            .set_task_arns(Some(vec![]))
            .build()
    });
    match tasks.is_empty() {
        true => vec![none],
        false => vec![list, describe],
    }
}

fn log(message: &'static str) -> [Rule; 2] {
    let definition = mock!(Client::describe_task_definition)
        .then_output(|| DescribeTaskDefinitionOutput::builder().build());
    let events = mock!(aws_sdk_cloudwatchlogs::Client::get_log_events)
        .match_requests(|r| {
            r.log_group_name() == Some("/ecs/order-api-dev")
                && r.log_stream_name() == Some("ecs/order-api/t1")
        })
        .then_output(move || {
            let event = OutputLogEvent::builder().message(message).build();
            GetLogEventsOutput::builder().events(event).build()
        });
    [definition, events]
}

async fn examined(rules: impl IntoIterator<Item = Rule>) -> Vec<Finding> {
    let rules: Vec<Rule> = rules.into_iter().collect();
    let aws = mocked(&rules.iter().collect::<Vec<_>>()).with_shared_reads();
    found(async |chart: &mut Chart| look(&aws, &subject(), chart).await).await
}

#[tokio::test]
async fn a_full_service_is_fine_and_one_that_fills_up_only_needs_time() {
    let rules = [service(3, 3, 0, STEADY)].into_iter().chain(stopped(&[]));
    is_fine(&examined(rules).await);
    let rules = [service(3, 1, 2, STEADY)].into_iter().chain(stopped(&[]));
    let all = examined(rules).await;
    let finding = only_bad(&all);
    assert_eq!(finding.severity, Severity::Warning);
    assert_eq!(finding.title, "1 of 3 tasks run, 2 are on their way");
}

#[tokio::test]
async fn crashes_are_grouped_and_told_with_the_last_words() {
    static CRASHES: [Stopped; 2] = [CRASH, CRASH];
    let rules = [service(3, 0, 1, STEADY)]
        .into_iter()
        .chain(stopped(&CRASHES));
    let all = examined(rules.chain(log("no such table: orders"))).await;
    assert_eq!(
        titles(&all, Severity::Problem),
        [
            "2 tasks stopped: container order-api exits with code 1",
            "0 of 3 tasks run"
        ]
    );
    let crash = &all[0];
    assert!(
        crash
            .evidence
            .contains(&"log: no such table: orders".to_owned()),
        "{crash:?}"
    );
    assert!(crash.fix.as_deref().unwrap().contains("orderctl logs"));
}

#[tokio::test]
async fn an_image_of_another_architecture_shows_in_its_log() {
    static CRASHES: [Stopped; 1] = [CRASH];
    let rules = [service(3, 0, 1, STEADY)]
        .into_iter()
        .chain(stopped(&CRASHES));
    let all = examined(rules.chain(log("exec /app: exec format error"))).await;
    let evidence = all[0].evidence.join("\n");
    assert!(
        evidence.contains("built for another architecture"),
        "{evidence}"
    );
}

#[tokio::test]
async fn what_is_over_is_a_warning() {
    static OLD: [Stopped; 1] = [Stopped { ago: 3000, ..CRASH }];
    static FORMER: [Stopped; 1] = [Stopped {
        revision: "arn:td/1",
        ..CRASH
    }];
    static NOW: [Stopped; 1] = [CRASH];
    for (tasks, severity) in [
        (&OLD, Severity::Warning),
        (&FORMER, Severity::Warning),
        (&NOW, Severity::Problem),
    ] {
        let rules = [service(3, 3, 0, STEADY)].into_iter().chain(stopped(tasks));
        let all = examined(rules.chain(log("bye"))).await;
        assert_eq!(only_bad(&all).severity, severity);
    }
}

#[tokio::test]
async fn what_an_event_tells_is_a_problem_while_tasks_are_missing() {
    const FULL: &str = "(service order-api-dev) was unable to place a task. Reason: Capacity is unavailable at this time.";
    for (running, severity) in [(2, Severity::Problem), (3, Severity::Warning)] {
        let rules = [service(3, running, 0, FULL)]
            .into_iter()
            .chain(stopped(&[]));
        let all = examined(rules).await;
        let told = titles(&all, severity);
        assert_eq!(told[0], "AWS has no Fargate capacity left for the tasks");
    }
}

#[tokio::test]
async fn tasks_that_may_not_be_listed_are_unknown() {
    let denied = mock!(Client::list_tasks).then_error(|| {
        let code = ErrorMetadata::builder()
            .code("AccessDeniedException")
            .build();
        ListTasksError::generic(code)
    });
    let all = examined([service(3, 3, 0, STEADY), denied]).await;
    let finding = only_bad(&all);
    assert_eq!(finding.severity, Severity::Unknown);
    assert_eq!(finding.title, "ecs:ListTasks is not permitted");
}

#[tokio::test]
async fn a_service_that_is_gone_is_a_problem() {
    let gone =
        mock!(Client::describe_services).then_output(|| DescribeServicesOutput::builder().build());
    let all = examined([gone]).await;
    assert_eq!(
        only_bad(&all).title,
        "there is no ECS service order-api-dev"
    );
}
