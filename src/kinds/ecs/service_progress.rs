//! How far the deployment of a service is, and whose it is: `up` waits for its own, and leaves a
//! release that is under way alone (law 6).

use aws_sdk_ecs::types::{Deployment, DeploymentRolloutState, Service as AwsService};

use super::running;
use crate::aws::Aws;
use crate::resource::{Condition, Scope};
use crate::service::ServiceName;
use crate::service::tasks::failed_tasks;

/// Reads how far the primary deployment is. A parked service waits for nobody, and a release goes
/// its own way while the version before it serves.
pub(super) fn progress(service: &AwsService, scope: &Scope) -> Condition {
    if service.desired_count() == 0 {
        return Condition::Ready;
    }
    let Some(primary) = primary(service) else {
        return Condition::Pending("no deployment yet".to_owned());
    };
    if is_under_release(service, scope) && serves_beside(service) {
        return Condition::Ready;
    }
    // During a deployment the service's own count is that of both versions.
    let (running, desired) = (primary.running_count(), service.desired_count());
    let tasks = format!("{running} of {desired} tasks running");
    match primary.rollout_state() {
        Some(DeploymentRolloutState::Failed) => {
            let reason = primary.rollout_state_reason();
            Condition::Failed(reason.unwrap_or("the deployment failed").to_owned())
        }
        _ if running < desired => Condition::Pending(tasks),
        Some(DeploymentRolloutState::InProgress) => {
            Condition::Pending(format!("{tasks}, deployment in progress"))
        }
        _ => Condition::Ready,
    }
}

/// What is waited for, with why the last task failed, if any has. That this cannot be read hides
/// nothing else.
pub(super) async fn explained(
    aws: &Aws,
    name: &ServiceName,
    service: &AwsService,
    what: String,
) -> String {
    let Some(primary) = primary(service).filter(|primary| primary.failed_tasks() > 0) else {
        return what;
    };
    let revision = primary.task_definition().unwrap_or_default();
    let failed = failed_tasks(aws, name, revision).await.unwrap_or_default();
    match failed.first() {
        Some(newest) => format!("{what}; the last one failed: {}", newest.reason),
        None => what,
    }
}

fn primary(service: &AwsService) -> Option<&Deployment> {
    let mut deployments = service.deployments().iter();
    deployments.find(|deployment| deployment.status() == Some("PRIMARY"))
}

/// Says whether the deployment that was the primary one when the run began still is, and is not
/// finished.
pub(super) fn is_under_release(service: &AwsService, scope: &Scope) -> bool {
    primary(service).is_some_and(|primary| {
        primary.id().is_some()
            && primary.id() == running::deployment(scope)
            && primary.rollout_state() != Some(&DeploymentRolloutState::Completed)
    })
}

/// Says whether an earlier version still runs beside the primary one.
fn serves_beside(service: &AwsService) -> bool {
    let mut deployments = service.deployments().iter();
    deployments.any(|other| {
        other.status() == Some("ACTIVE")
            && other.running_count() > 0
            && other.rollout_state() == Some(&DeploymentRolloutState::Completed)
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::describe_tasks::DescribeTasksOutput;
    use aws_sdk_ecs::operation::list_tasks::ListTasksOutput;
    use aws_sdk_ecs::types::{
        DeploymentConfiguration, DeploymentLifecycleHook, DeploymentLifecycleHookTargetType,
        DesiredStatus, Task, TaskStopCode,
    };
    use aws_smithy_mocks::mock;
    use serde_json::json;

    use super::super::deployment::configuration;
    use super::super::service_live::live;
    use super::super::service_live::testing::{facts, in_aws, last, revision, seen, want};
    use super::super::service_spec::ServiceSpec;
    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::diff;

    fn primary(state: DeploymentRolloutState, running: i32) -> Deployment {
        let builder = Deployment::builder().id("ecs-svc/2").status("PRIMARY");
        let builder = builder.rollout_state(state).rollout_state_reason("why");
        builder.running_count(running).build()
    }

    fn before() -> Deployment {
        let builder = Deployment::builder().id("ecs-svc/1").status("ACTIVE");
        let builder = builder.rollout_state(DeploymentRolloutState::Completed);
        builder.running_count(3).build()
    }

    #[test]
    fn a_service_is_ready_when_its_deployment_is_finished() {
        use DeploymentRolloutState::{Completed, Failed, InProgress};
        let condition = |state, desired, running| {
            let service = in_aws()
                .set_deployments(Some(vec![primary(state, running), before()]))
                .desired_count(desired);
            seen(&service.build()).condition
        };
        assert_eq!(condition(Completed, 3, 3), Condition::Ready);
        assert_eq!(condition(InProgress, 0, 0), Condition::Ready, "parked");
        assert_eq!(
            condition(InProgress, 3, 1),
            Condition::Pending("1 of 3 tasks running".into())
        );
        assert_eq!(
            condition(InProgress, 3, 3),
            Condition::Pending("3 of 3 tasks running, deployment in progress".into())
        );
        assert_eq!(condition(Failed, 3, 0), Condition::Failed("why".into()));
    }

    #[tokio::test]
    async fn what_tasks_fail_of_is_told_while_they_are_waited_for() {
        let list = mock!(Client::list_tasks)
            .match_requests(|r| r.desired_status() == Some(&DesiredStatus::Stopped))
            .then_output(|| ListTasksOutput::builder().task_arns("arn:task/1").build());
        let tasks = mock!(Client::describe_tasks).then_output(|| {
            let task = Task::builder()
                .task_definition_arn(revision(9))
                .stop_code(TaskStopCode::TaskFailedToStart)
                .stopped_reason("CannotPullContainerError");
            DescribeTasksOutput::builder().tasks(task.build()).build()
        });
        let name = ServiceName {
            cluster: "order-api-dev".into(),
            service: "order-api-dev".into(),
        };
        let told = async |failed: i32| {
            let aws = mocked(&[&list, &tasks]);
            let primary = Deployment::builder()
                .status("PRIMARY")
                .task_definition(revision(9))
                .failed_tasks(failed);
            let service = in_aws()
                .set_deployments(Some(vec![primary.build()]))
                .build();
            let told = explained(&aws, &name, &service, "2 of 3 tasks running".into()).await;
            (told, aws.calls().reads())
        };
        assert_eq!(told(0).await, ("2 of 3 tasks running".to_owned(), 0));
        let why = "2 of 3 tasks running; the last one failed: CannotPullContainerError";
        assert_eq!(told(7).await, (why.to_owned(), 2));
    }

    #[test]
    fn a_release_under_way_is_left_alone_while_the_version_before_serves() {
        use DeploymentRolloutState::{Completed, Failed, InProgress};
        let mut scope = scope("service");
        scope.facts = facts("ecs-svc/2");
        let wanted = ServiceSpec {
            task_definition: revision(9).as_str().into(),
            ..want()
        };
        let paused = DeploymentConfiguration::builder()
            .strategy(aws_sdk_ecs::types::DeploymentStrategy::BlueGreen)
            .bake_time_in_minutes(0)
            .alarms(configuration("test", &want()).unwrap().alarms.unwrap())
            .lifecycle_hooks(
                DeploymentLifecycleHook::builder()
                    .target_type(DeploymentLifecycleHookTargetType::Pause)
                    .build(),
            )
            .build();
        let seen = |deployments: Vec<Deployment>| {
            let service = in_aws()
                .task_definition(revision(9))
                .set_deployments(Some(deployments))
                .deployment_configuration(paused.clone())
                .build();
            live(&service, &wanted, Some(&last()), &scope)
                .unwrap()
                .unwrap()
        };
        for state in [InProgress, Failed] {
            let during = seen(vec![primary(state, 0), before()]);
            assert_eq!(during.condition, Condition::Ready);
            assert_eq!(during.spec, wanted);
        }
        let alone = seen(vec![primary(InProgress, 0)]);
        assert_eq!(
            alone.condition,
            Condition::Pending("0 of 3 tasks running".into())
        );
        let finished = seen(vec![primary(Completed, 3)]);
        let differences = diff(&json!(wanted), &json!(finished.spec), None).names();
        assert_eq!(differences, ["strategy", "bake_minutes", "pauses"]);
    }
}
