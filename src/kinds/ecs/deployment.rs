//! Native blue/green deployments of a service: their configuration, and the one that is under way.

use aws_sdk_ecs::types::{
    CanaryConfiguration, DeploymentAlarms, DeploymentConfiguration, DeploymentLifecycleHook,
    DeploymentLifecycleHookTargetType, DeploymentStrategy as AwsStrategy, LinearConfiguration,
};
use serde::{Deserialize, Serialize};

use super::service::{Service, name_of};
use super::service_spec::ServiceSpec;
use crate::aws::{Aws, incomplete};
use crate::resource::{Class, Error, Live, Resolved, Result};
use crate::service::deployments::{Deployment, roll_back, under_way};

/// How traffic moves to a new revision of the service.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentStrategy {
    /// All at once.
    BlueGreen,
    /// A part first, then the rest.
    Canary {
        /// The first part of the traffic, 0.1 to 100 percent.
        percent: f64,
        /// How long the first part is watched, in minutes.
        bake_minutes: u32,
    },
    /// In equal steps.
    Linear {
        /// The size of a step, 3 to 100 percent.
        percent: f64,
        /// How long each step is watched, in minutes.
        bake_minutes: u32,
    },
    /// Without a second colour. Never declared; what a service has when its strategy was taken away.
    Rolling,
}

impl DeploymentStrategy {
    /// Reads the strategy, with the steps AWS assumes where it shows none (field guide, section 4,
    /// "Merge rules").
    pub fn from_aws(configuration: Option<&DeploymentConfiguration>) -> Self {
        let steps = |minutes: Option<i32>, otherwise| minutes.map_or(otherwise, unsigned);
        let Some(configuration) = configuration else {
            return Self::Rolling;
        };
        match configuration.strategy() {
            Some(AwsStrategy::BlueGreen) => Self::BlueGreen,
            Some(AwsStrategy::Canary) => {
                let canary = configuration.canary_configuration();
                let minutes = canary.and_then(CanaryConfiguration::canary_bake_time_in_minutes);
                Self::Canary {
                    percent: canary
                        .and_then(CanaryConfiguration::canary_percent)
                        .unwrap_or(5.0),
                    bake_minutes: steps(minutes, 10),
                }
            }
            Some(AwsStrategy::Linear) => {
                let linear = configuration.linear_configuration();
                let minutes = linear.and_then(LinearConfiguration::step_bake_time_in_minutes);
                Self::Linear {
                    percent: linear
                        .and_then(LinearConfiguration::step_percent)
                        .unwrap_or(10.0),
                    bake_minutes: steps(minutes, 6),
                }
            }
            _ => Self::Rolling,
        }
    }
}

/// The whole block, as nested parts replace what is there (field guide, section 4, "Merge rules").
/// No circuit breaker: it is documented for rolling deployments alone.
pub(super) fn configuration(
    operation: &'static str,
    want: &ServiceSpec<Resolved>,
) -> Result<DeploymentConfiguration> {
    deployment_configuration(operation, want.strategy, want.bake_minutes, &want.alarms)
}

/// The deployment configuration of a service in AWS's words: the strategy, the minutes for which both
/// versions run after the last shift, and the alarms that turn a deployment back.
///
/// # Errors
/// `Refused` if the SDK finds a part missing.
pub fn deployment_configuration(
    operation: &'static str,
    strategy: DeploymentStrategy,
    bake_minutes: u32,
    alarms: &[String],
) -> Result<DeploymentConfiguration> {
    let watched = !alarms.is_empty();
    let alarms = DeploymentAlarms::builder()
        .set_alarm_names(Some(alarms.to_vec()))
        .enable(watched)
        .rollback(watched)
        .build()
        .map_err(incomplete(operation))?;
    // Blue/green runs both colours in full: never fewer healthy tasks than wanted, twice as many
    // at most. Rebalancing over Availability Zones needs the room above 100 too.
    let whole = DeploymentConfiguration::builder()
        .minimum_healthy_percent(100)
        .maximum_percent(200)
        .bake_time_in_minutes(signed(bake_minutes))
        .alarms(alarms);
    let whole = match strategy {
        DeploymentStrategy::BlueGreen => whole.strategy(AwsStrategy::BlueGreen),
        DeploymentStrategy::Rolling => whole.strategy(AwsStrategy::Rolling),
        DeploymentStrategy::Canary {
            percent,
            bake_minutes,
        } => whole.strategy(AwsStrategy::Canary).canary_configuration(
            CanaryConfiguration::builder()
                .canary_percent(percent)
                .canary_bake_time_in_minutes(signed(bake_minutes))
                .build(),
        ),
        DeploymentStrategy::Linear {
            percent,
            bake_minutes,
        } => whole.strategy(AwsStrategy::Linear).linear_configuration(
            LinearConfiguration::builder()
                .step_percent(percent)
                .step_bake_time_in_minutes(signed(bake_minutes))
                .build(),
        ),
    };
    Ok(whole.build())
}

/// The alarms that roll a deployment back; none if they are listed but switched off.
pub fn alarms_of(configuration: Option<&DeploymentConfiguration>) -> Vec<String> {
    configuration
        .and_then(DeploymentConfiguration::alarms)
        .filter(|alarms| alarms.enable() && alarms.rollback())
        .map_or_else(Vec::new, |alarms| alarms.alarm_names().to_vec())
}

/// Says whether deployments pause for somebody's word.
pub fn pauses(configuration: Option<&DeploymentConfiguration>) -> bool {
    let hooks = configuration.map_or(&[][..], DeploymentConfiguration::lifecycle_hooks);
    let is_pause = |hook: &DeploymentLifecycleHook| {
        hook.target_type() == Some(&DeploymentLifecycleHookTargetType::Pause)
    };
    hooks.iter().any(is_pause)
}

/// Refuses a change that would start a deployment on top of one that is under way: ECS would drop
/// that one half-way.
pub(super) async fn refuse_during_deployment(aws: &Aws, live: &Live<Service>) -> Result<()> {
    let Some(active) = active_deployment(aws, live).await? else {
        return Ok(());
    };
    Err(Error::new(
        "ecs:UpdateService",
        Class::Refused,
        format!(
            "a deployment of service {} is {}; this change would start another",
            live.outputs.name, active.status
        ),
    )
    .with_advice(
        "wait until it is finished, or turn it back (`orderctl rollback`), then run the same command again",
    ))
}

/// Asks ECS to roll back the deployment that is under way, if there is one, so that the service can
/// be deleted. What ECS does not let us stop, the delete call will speak about.
pub(super) async fn stop_active_deployment(aws: &Aws, live: &Live<Service>) -> Result<()> {
    /// A first deployment has nothing to go back to.
    const FIRST: &[&str] = &["InvalidParameterException", "ClientException"];
    let active = active_deployment(aws, live).await?;
    let Some(running) = active.filter(|active| !active.is_rolling_back()) else {
        return Ok(());
    };
    match roll_back(aws, &running.arn).await {
        Err(error) if !error.is(FIRST) && !is_unsupported(&error) => Err(error),
        _ => Ok(()),
    }
}

async fn active_deployment(aws: &Aws, live: &Live<Service>) -> Result<Option<Deployment>> {
    match under_way(aws, &name_of(live)).await {
        Err(error) if is_unsupported(&error) => Ok(None),
        answer => answer,
    }
}

/// Says whether the other side does not know the operation at all, as emulators may; they answer
/// with a code of their own or with something that is not an ECS answer.
fn is_unsupported(error: &Error) -> bool {
    const CODES: &[&str] = &[
        "UnsupportedFeatureException",
        "UnknownOperationException",
        "NotImplementedException",
        "NotImplemented",
        "InvalidAction",
    ];
    error.is(CODES) || (error.code().is_none() && error.class() == Class::Unclear)
}

pub(super) fn signed(number: u32) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

pub(super) fn unsigned(number: i32) -> u32 {
    number.try_into().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod testing {
    //! The deployments that AWS lists.

    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::describe_service_deployments::DescribeServiceDeploymentsOutput;
    use aws_sdk_ecs::operation::list_service_deployments::ListServiceDeploymentsOutput;
    use aws_sdk_ecs::types::{ServiceDeployment, ServiceDeploymentBrief, ServiceDeploymentStatus};
    use aws_smithy_mocks::{Rule, mock};

    pub(in super::super) fn deployments(status: Option<ServiceDeploymentStatus>) -> Rule {
        let active = status.map(|status| {
            ServiceDeploymentBrief::builder()
                .service_deployment_arn("arn:deployment")
                .status(status)
                .build()
        });
        let answer = ListServiceDeploymentsOutput::builder()
            .set_service_deployments(active.map(|active| vec![active]))
            .build();
        mock!(Client::list_service_deployments).then_output(move || answer.clone())
    }

    pub(in super::super) fn described(status: ServiceDeploymentStatus) -> Rule {
        let described = ServiceDeployment::builder()
            .service_deployment_arn("arn:deployment")
            .status(status);
        let answer = DescribeServiceDeploymentsOutput::builder()
            .service_deployments(described.build())
            .build();
        mock!(Client::describe_service_deployments).then_output(move || answer.clone())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::stop_service_deployment::StopServiceDeploymentOutput;
    use aws_sdk_ecs::types::ServiceDeploymentStatus;
    use aws_smithy_mocks::mock;

    use super::super::service_live::testing::{in_aws, seen};
    use super::testing::{deployments, described};
    use super::*;
    use crate::aws::testing::mocked;

    #[tokio::test]
    async fn a_deployment_under_way_refuses_another_and_says_what_to_do() {
        let live = seen(&in_aws().build());
        let status = ServiceDeploymentStatus::InProgress;
        let busy = mocked(&[&deployments(Some(status.clone())), &described(status)]);
        let error = refuse_during_deployment(&busy, &live).await.unwrap_err();
        assert_eq!(error.class(), Class::Refused);
        assert!(error.message().contains("IN_PROGRESS"), "{error}");
        assert!(error.advice().is_some());
        let free = mocked(&[&deployments(None)]);
        assert!(refuse_during_deployment(&free, &live).await.is_ok());
    }

    #[tokio::test]
    async fn an_emulator_that_does_not_know_deployments_has_none() {
        let unknown = mock!(Client::list_service_deployments)
            .sequence()
            .http_response(|| {
                let body = r#"{"__type":"UnknownOperationException"}"#;
                aws_sdk_ecs::config::http::HttpResponse::new(400.try_into().unwrap(), body.into())
            })
            .build();
        let live = seen(&in_aws().build());
        let answer = refuse_during_deployment(&mocked(&[&unknown]), &live).await;
        assert!(answer.is_ok(), "{answer:?}");
    }

    #[tokio::test]
    async fn a_running_deployment_is_stopped_and_a_stopping_one_is_left_to_end() {
        for (status, stops) in [
            (Some(ServiceDeploymentStatus::InProgress), 1),
            (Some(ServiceDeploymentStatus::RollbackInProgress), 0),
            (None, 0),
        ] {
            let stop = mock!(Client::stop_service_deployment)
                .match_requests(|r| r.service_deployment_arn() == Some("arn:deployment"))
                .then_output(|| StopServiceDeploymentOutput::builder().build());
            let told = described(
                status
                    .clone()
                    .unwrap_or(ServiceDeploymentStatus::Successful),
            );
            let aws = mocked(&[&deployments(status), &told, &stop]);
            let live = seen(&in_aws().build());
            stop_active_deployment(&aws, &live).await.unwrap();
            assert_eq!(stop.num_calls(), stops);
        }
    }

    #[test]
    fn steps_that_aws_does_not_show_are_the_documented_ones() {
        let shown = |strategy| {
            DeploymentConfiguration::builder()
                .strategy(strategy)
                .build()
        };
        assert_eq!(
            DeploymentStrategy::from_aws(Some(&shown(AwsStrategy::Canary))),
            DeploymentStrategy::Canary {
                percent: 5.0,
                bake_minutes: 10
            }
        );
        assert_eq!(
            DeploymentStrategy::from_aws(Some(&shown(AwsStrategy::Linear))),
            DeploymentStrategy::Linear {
                percent: 10.0,
                bake_minutes: 6
            }
        );
    }
}
