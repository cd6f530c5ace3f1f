//! A service deployment as ECS tells of it, and the words that can be said to it.

use aws_sdk_ecs::types::{
    DeploymentLifecycleHookAction, DeploymentLifecycleHookStatus,
    DeploymentLifecycleHookTargetType, ServiceDeployment, ServiceDeploymentBrief,
    ServiceDeploymentRollbackMonitorsStatus, ServiceDeploymentStatus, ServiceRevisionSummary,
    StopServiceDeploymentStopType,
};
use jiff::Timestamp;

use super::ServiceName;
use crate::aws::{Answer, Aws, missing};
use crate::resource::{Class, Error, Result};

/// The state of a deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// Its ARN.
    pub arn: String,
    /// ECS's word for how far it is: `PENDING`, `IN_PROGRESS`, `SUCCESSFUL`, …
    pub status: String,
    /// Why it is so, where ECS says.
    pub reason: Option<String>,
    /// The lifecycle stage, where one was entered.
    pub stage: Option<String>,
    /// When it was asked for.
    pub created: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// The version that comes.
    pub target: Version,
    /// The versions that ran before.
    pub sources: Vec<Version>,
    /// The pause that waits for somebody's word.
    pub pause: Option<Pause>,
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

/// A pause of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The id by which it is answered.
    pub hook: String,
    /// When ECS stops waiting and rolls back.
    pub until: Option<Timestamp>,
}

impl Deployment {
    /// Says whether it has not ended.
    pub fn is_under_way(&self) -> bool {
        is_under_way(&self.status)
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

    /// The last part of its ARN.
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or(&self.arn)
    }
}

/// Says whether a deployment of this status has not ended.
pub(super) fn is_under_way(status: &str) -> bool {
    matches!(
        status,
        "PENDING"
            | "IN_PROGRESS"
            | "STOP_REQUESTED"
            | "ROLLBACK_REQUESTED"
            | "ROLLBACK_IN_PROGRESS"
    )
}

/// The deployment of a service that is under way, if there is one.
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
        .of("ecs:ListServiceDeployments")?;
    match answer
        .service_deployments()
        .first()
        .and_then(ServiceDeploymentBrief::service_deployment_arn)
    {
        Some(arn) => Ok(read(aws, &[arn.to_owned()]).await?.pop()),
        None => Ok(None),
    }
}

/// The deployments of a service, newest first, as many as `limit`.
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
            .of("ecs:ListServiceDeployments")?;
        found.extend(answer.service_deployments().iter().cloned());
        next = answer.next_token;
        if next.is_none() {
            break;
        }
    }
    // The order is not documented.
    found.sort_by_key(|brief| {
        std::cmp::Reverse(brief.created_at().and_then(|at| at.to_millis().ok()))
    });
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
    let pause = deployment.lifecycle_hook_details().iter().find(|hook| {
        hook.target_type() == Some(&DeploymentLifecycleHookTargetType::Pause)
            && hook.status() == Some(&DeploymentLifecycleHookStatus::AwaitingAction)
    });
    Deployment {
        arn: text(deployment.service_deployment_arn()),
        status: text(deployment.status().map(ServiceDeploymentStatus::as_str)),
        reason: deployment.status_reason().map(str::to_owned),
        stage: deployment
            .lifecycle_stage()
            .map(|stage| stage.as_str().to_owned()),
        created: moment(deployment.created_at()),
        finished: moment(deployment.finished_at()),
        target: deployment
            .target_service_revision()
            .map(version)
            .unwrap_or_default(),
        sources: deployment
            .source_service_revisions()
            .iter()
            .map(version)
            .collect(),
        pause: pause.map(|hook| Pause {
            hook: text(hook.hook_id()),
            until: moment(hook.expires_at()),
        }),
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

fn moment(time: Option<&aws_smithy_types::DateTime>) -> Option<Timestamp> {
    let millis = time.and_then(|time| time.to_millis().ok())?;
    Timestamp::from_millisecond(millis).ok()
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
