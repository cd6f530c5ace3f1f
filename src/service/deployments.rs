//! The deployments of a service as ECS tells of them, and the words that can be said to one.

use aws_sdk_ecs::types::{
    DeploymentLifecycleHookAction, DeploymentLifecycleHookStatus,
    DeploymentLifecycleHookTargetType, ServiceDeployment, ServiceDeploymentBrief,
    ServiceDeploymentRollbackMonitorsStatus, ServiceDeploymentStatus, ServiceRevisionSummary,
    StopServiceDeploymentStopType,
};
use jiff::Timestamp;

use super::{GONE, ServiceName, last_segment, moment};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{Class, Error, Result};

/// The state of a deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deployment {
    /// Its ARN.
    pub arn: String,
    /// ECS's word for how far it is: `PENDING`, `IN_PROGRESS`, `SUCCESSFUL`, …
    pub status: String,
    /// Why it is so, where ECS says.
    pub reason: Option<String>,
    /// Why it turned back, where ECS says.
    pub turned_back: Option<String>,
    /// The lifecycle stage, where one was entered.
    pub stage: Option<String>,
    /// When it was asked for.
    pub created: Option<Timestamp>,
    /// When ECS began with it.
    pub started: Option<Timestamp>,
    /// When ECS last changed anything of it.
    pub changed: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// The version that comes.
    pub target: Version,
    /// The versions that ran before.
    pub sources: Vec<Version>,
    /// The hooks that wait for an answer.
    pub waiting: Vec<Waiting>,
    /// Alarms that ended it.
    pub triggered_alarms: Vec<String>,
    /// Whether ECS watches its alarms. It does not if one was ringing when it began.
    pub watches_alarms: bool,
}

/// One version of the service within a deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Version {
    /// ARN of the service revision.
    pub revision: String,
    /// Tasks wanted of it.
    pub requested: i32,
    /// Tasks that run.
    pub running: i32,
    /// Tasks that are starting.
    pub pending: i32,
    /// Its share of the production traffic, in percent.
    pub production: Option<f64>,
    /// Its share of the test traffic, in percent.
    pub test: Option<f64>,
}

/// A lifecycle hook at which a deployment waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The id by which it is answered.
    pub hook: String,
    /// Whether it waits for somebody's word, and not for a function of the user's.
    pub is_pause: bool,
    /// When ECS stops waiting.
    pub until: Option<Timestamp>,
    /// What ECS does then: `CONTINUE` or `ROLLBACK`.
    pub then: Option<String>,
}

impl Deployment {
    /// Says whether it has not ended.
    pub fn is_under_way(&self) -> bool {
        const ENDS: &[&str] = &[
            "SUCCESSFUL",
            "STOPPED",
            "ROLLBACK_SUCCESSFUL",
            "ROLLBACK_FAILED",
        ];
        !ENDS.contains(&self.status.as_str())
    }

    /// Says whether it brought its target out.
    pub fn is_successful(&self) -> bool {
        self.status == "SUCCESSFUL"
    }

    /// Says whether it has turned back, or is about to.
    pub fn is_rolling_back(&self) -> bool {
        matches!(
            self.status.as_str(),
            "STOP_REQUESTED" | "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS"
        )
    }

    /// Says whether it is at a stage in which the new tasks are started and not needed yet.
    pub fn is_coming_up(&self) -> bool {
        matches!(
            self.stage.as_deref(),
            None | Some("RECONCILE_SERVICE" | "PRE_SCALE_UP" | "SCALE_UP")
        )
    }

    /// When it began, as far as ECS says.
    pub fn began(&self) -> Option<Timestamp> {
        self.started.or(self.created)
    }

    /// ECS's words for its status, or for turning back.
    pub fn why(&self) -> Option<&str> {
        self.reason.as_deref().or(self.turned_back.as_deref())
    }

    /// The pause that waits for somebody's word.
    pub fn pause(&self) -> Option<&Waiting> {
        self.waiting.iter().find(|waiting| waiting.is_pause)
    }

    /// The last part of its ARN.
    pub fn id(&self) -> &str {
        last_segment(&self.arn)
    }
}

/// The deployment of a service that is under way, if there is one; none where there is no service.
///
/// Asks `ecs:ListServiceDeployments` and `ecs:DescribeServiceDeployments`; fails as those do.
pub async fn under_way(aws: &Aws, name: &ServiceName) -> Result<Option<Deployment>> {
    // At most one deployment of a service is in one of these states, so one page holds it.
    let answer = aws
        .ecs
        .list_service_deployments()
        .cluster(&name.cluster)
        .service(&name.service)
        .status(ServiceDeploymentStatus::Pending)
        .status(ServiceDeploymentStatus::InProgress)
        .status(ServiceDeploymentStatus::StopRequested)
        .status(ServiceDeploymentStatus::RollbackRequested)
        .status(ServiceDeploymentStatus::RollbackInProgress)
        .send()
        .await
        .of("ecs:ListServiceDeployments")
        .gone_is_none(GONE)?;
    let listed = answer
        .as_ref()
        .and_then(|it| it.service_deployments().first());
    match listed.and_then(ServiceDeploymentBrief::service_deployment_arn) {
        // It may have ended since it was listed.
        Some(arn) => {
            let described = read(aws, &[arn.to_owned()]).await?.pop();
            Ok(described.filter(Deployment::is_under_way))
        }
        None => Ok(None),
    }
}

/// The deployments of a service, newest first, as many as `limit`; none where there is no service.
///
/// Asks `ecs:ListServiceDeployments`, which knows those of the last 90 days, and
/// `ecs:DescribeServiceDeployments`; fails as those do.
pub async fn latest(aws: &Aws, name: &ServiceName, limit: usize) -> Result<Vec<Deployment>> {
    let mut found: Vec<ServiceDeploymentBrief> = Vec::new();
    let mut next = None;
    loop {
        let answer = aws
            .ecs
            .list_service_deployments()
            .cluster(&name.cluster)
            .service(&name.service)
            .set_next_token(next)
            .send()
            .await
            .of("ecs:ListServiceDeployments")
            .gone_is_none(GONE)?;
        let Some(page) = answer else { break };
        next = page.next_token;
        found.extend(page.service_deployments.unwrap_or_default());
        if next.is_none() {
            break;
        }
    }
    // The order is not documented.
    found.sort_by_key(|brief| std::cmp::Reverse(moment(brief.created_at())));
    found.truncate(limit);
    let arns: Vec<String> = found
        .iter()
        .filter_map(|brief| brief.service_deployment_arn().map(str::to_owned))
        .collect();
    let mut read = read(aws, &arns).await?;
    let place = |deployment: &Deployment| arns.iter().position(|arn| *arn == deployment.arn);
    read.sort_by_key(place);
    Ok(read)
}

/// How many deployments one `ecs:DescribeServiceDeployments` takes.
const AT_ONCE: usize = 20;

/// Reads deployments by their ARNs, in any order; what is not there is left out.
///
/// Asks `ecs:DescribeServiceDeployments`; fails as that call does.
pub async fn read(aws: &Aws, arns: &[String]) -> Result<Vec<Deployment>> {
    let mut found = Vec::new();
    for some in arns.chunks(AT_ONCE) {
        let answer = aws
            .ecs
            .describe_service_deployments()
            .set_service_deployment_arns(Some(some.to_vec()))
            .send()
            .await
            .of("ecs:DescribeServiceDeployments")?;
        found.extend(answer.service_deployments().iter().map(from_aws));
    }
    Ok(found)
}

/// Reads one deployment again.
///
/// # Errors
/// Those of [`read`], and `NotFound` if there is none any more.
pub async fn again(aws: &Aws, arn: &str) -> Result<Deployment> {
    let found = read(aws, &[arn.to_owned()]).await?.pop();
    found.ok_or_else(missing(
        "ecs:DescribeServiceDeployments",
        "serviceDeployments",
    ))
}

fn from_aws(deployment: &ServiceDeployment) -> Deployment {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let alarms = deployment.alarms();
    let triggered = alarms.map(|alarms| alarms.triggered_alarm_names().to_vec());
    let waiting = deployment
        .lifecycle_hook_details()
        .iter()
        .filter(|hook| hook.status() == Some(&DeploymentLifecycleHookStatus::AwaitingAction));
    let rollback = deployment.rollback().and_then(|rollback| rollback.reason());
    Deployment {
        arn: text(deployment.service_deployment_arn()),
        status: text(deployment.status().map(ServiceDeploymentStatus::as_str)),
        reason: deployment.status_reason().map(str::to_owned),
        turned_back: rollback.map(str::to_owned),
        stage: deployment
            .lifecycle_stage()
            .map(|stage| stage.as_str().to_owned()),
        created: moment(deployment.created_at()),
        started: moment(deployment.started_at()),
        changed: moment(deployment.updated_at()),
        finished: moment(deployment.finished_at().or(deployment.stopped_at())),
        target: deployment
            .target_service_revision()
            .map(version)
            .unwrap_or_default(),
        sources: deployment
            .source_service_revisions()
            .iter()
            .map(version)
            .collect(),
        waiting: waiting
            .map(|hook| Waiting {
                hook: text(hook.hook_id()),
                is_pause: hook.target_type() == Some(&DeploymentLifecycleHookTargetType::Pause),
                until: moment(hook.expires_at()),
                then: hook
                    .timeout_action()
                    .map(|action| action.as_str().to_owned()),
            })
            .collect(),
        triggered_alarms: triggered.unwrap_or_default(),
        watches_alarms: alarms.is_some_and(|alarms| {
            alarms.status() != Some(&ServiceDeploymentRollbackMonitorsStatus::Disabled)
        }),
    }
}

fn version(summary: &ServiceRevisionSummary) -> Version {
    Version {
        revision: summary.arn().unwrap_or_default().to_owned(),
        requested: summary.requested_task_count(),
        running: summary.running_task_count(),
        pending: summary.pending_task_count(),
        production: summary.requested_production_traffic_weight(),
        test: summary.requested_test_traffic_weight(),
    }
}

/// Lets a paused deployment go on, or turns it back.
///
/// Asks `ecs:ContinueServiceDeployment`; fails as that call does. Repeating it is harmless: a hook
/// that was answered is not answered again.
pub async fn answer_pause(aws: &Aws, deployment: &str, hook: &str, go_on: bool) -> Result<()> {
    let action = match go_on {
        true => DeploymentLifecycleHookAction::Continue,
        false => DeploymentLifecycleHookAction::Rollback,
    };
    let answer = aws
        .ecs
        .continue_service_deployment()
        .service_deployment_arn(deployment)
        .hook_id(hook)
        .action(action)
        .send()
        .await
        .of("ecs:ContinueServiceDeployment");
    answer.map(|_| ())
}

/// What became of the wish to turn a deployment back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// It turns back.
    RollingBack,
    /// It is past the point where it could: the old tasks are going, or it has ended.
    TooLate,
}

/// Turns a deployment back: the traffic goes back at once, then the new tasks go.
///
/// Asks `ecs:StopServiceDeployment`; fails as that call does.
pub async fn roll_back(aws: &Aws, deployment: &str) -> Result<Stopping> {
    let answer = aws
        .ecs
        .stop_service_deployment()
        .service_deployment_arn(deployment)
        .stop_type(StopServiceDeploymentStopType::Rollback)
        .send()
        .await
        .of("ecs:StopServiceDeployment");
    match answer {
        Ok(_) => Ok(Stopping::RollingBack),
        // From CLEAN_UP on (field guide, section 4, "Rollback window").
        Err(error) if error.is(&["ConflictException", "ServiceDeploymentNotFoundException"]) => {
            Ok(Stopping::TooLate)
        }
        // Nobody knows whether it arrived; whoever follows the deployment sees.
        Err(error) if error.class() == Class::Unclear => {
            let now: Result<Deployment, Error> = again(aws, deployment).await;
            match now {
                Ok(now) if now.is_rolling_back() => Ok(Stopping::RollingBack),
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::list_service_deployments::{
        ListServiceDeploymentsError, ListServiceDeploymentsOutput,
    };
    use aws_sdk_ecs::types::{DeploymentLifecycleHookDetail, ServiceDeploymentLifecycleStage};
    use aws_smithy_mocks::mock;
    use aws_smithy_types::DateTime;
    use aws_smithy_types::error::ErrorMetadata;

    use super::super::testing::{brief, deployed, described};
    use super::*;
    use crate::aws::testing::mocked;

    fn name() -> ServiceName {
        ServiceName {
            cluster: "order-api-dev".into(),
            service: "order-api-dev".into(),
        }
    }

    #[tokio::test]
    async fn the_newest_come_first_whatever_page_they_stand_on() {
        use ServiceDeploymentStatus::Successful;
        let all: Vec<_> = [100, 200, 300]
            .map(|second| deployed(second, 1, Successful).build())
            .into();
        let page = |token: Option<&'static str>, next: Option<&'static str>, some: &[_]| {
            let briefs: Vec<_> = some.iter().map(brief).collect();
            mock!(Client::list_service_deployments)
                .match_requests(move |request| request.next_token() == token)
                .then_output(move || {
                    ListServiceDeploymentsOutput::builder()
                        .set_service_deployments(Some(briefs.clone()))
                        .set_next_token(next.map(str::to_owned))
                        .build()
                })
        };
        let (first, second) = (
            page(None, Some("2"), &all[..2]),
            page(Some("2"), None, &all[2..]),
        );
        let aws = mocked(&[&first, &second, &described(&all)]);
        let found = latest(&aws, &name(), 2).await.unwrap();
        let ids: Vec<&str> = found.iter().map(Deployment::id).collect();
        assert_eq!(ids, ["300", "200"]);
    }

    #[tokio::test]
    async fn where_there_is_no_service_there_are_no_deployments() {
        let gone = mock!(Client::list_service_deployments).then_error(|| {
            let code = ErrorMetadata::builder().code("ServiceNotFoundException");
            ListServiceDeploymentsError::generic(code.build())
        });
        let aws = mocked(&[&gone]);
        assert_eq!(latest(&aws, &name(), 5).await.unwrap(), []);
        assert_eq!(under_way(&aws, &name()).await.unwrap(), None);
    }

    #[test]
    fn hooks_that_wait_are_told_and_answered_ones_are_not() {
        let hook = |id: &str, status| {
            DeploymentLifecycleHookDetail::builder()
                .hook_id(id)
                .status(status)
                .target_type(DeploymentLifecycleHookTargetType::Pause)
                .timeout_action(DeploymentLifecycleHookAction::Rollback)
                .expires_at(DateTime::from_secs(900))
                .build()
        };
        let told = deployed(300, 3, ServiceDeploymentStatus::InProgress)
            .lifecycle_stage(ServiceDeploymentLifecycleStage::PostTestTrafficShift)
            .updated_at(DateTime::from_secs(330))
            .lifecycle_hook_details(hook("hook-0", DeploymentLifecycleHookStatus::Succeeded))
            .lifecycle_hook_details(hook(
                "hook-1",
                DeploymentLifecycleHookStatus::AwaitingAction,
            ))
            .build();
        let told = from_aws(&told);
        assert!(told.is_under_way());
        assert_eq!(told.stage.as_deref(), Some("POST_TEST_TRAFFIC_SHIFT"));
        assert_eq!(told.changed, Timestamp::from_second(330).ok());
        let waiting = Waiting {
            hook: "hook-1".to_owned(),
            is_pause: true,
            until: Timestamp::from_second(900).ok(),
            then: Some("ROLLBACK".to_owned()),
        };
        assert_eq!(told.waiting, [waiting]);
        assert!(told.pause().is_some());
    }
}
