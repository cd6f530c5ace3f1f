//! Beginning a release: one UpdateService, after which ECS goes its way alone.

use std::time::Duration;

use aws_sdk_applicationautoscaling::types::{
    ScalableDimension, ScalableTarget, ServiceNamespace, SuspendedState,
};
use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
use aws_sdk_cloudwatch::types::{MetricAlarm, StateValue};
use aws_sdk_ecs::types::{
    DeploymentConfiguration, DeploymentLifecycleHook, DeploymentLifecycleHookAction,
    DeploymentLifecycleHookStage, DeploymentLifecycleHookTargetType,
    DeploymentLifecycleHookTimeoutConfiguration, Service,
};

use crate::aws::{Answer, Aws};
use crate::kinds::ecs::{DeploymentStrategy, alarms_of, deployment_configuration, pauses};
use crate::resource::{Class, Error, Result};
use crate::service::deployments::{Deployment, latest};
use crate::service::{ServiceName, describe};

/// The service before a release.
#[derive(Clone, Debug)]
pub struct Before {
    /// ARN of the revision it runs.
    pub revision: String,
    /// How many tasks it is to have; none while it is parked.
    pub desired: u32,
    /// How many run.
    pub running: u32,
    /// The alarms that turn its deployments back.
    pub alarms: Vec<String>,
    /// The rule by which the test listener shows a new version.
    pub test_rule: Option<String>,
    /// The network it runs in, which nothing here changes.
    found: Service,
}

impl Before {
    /// Says whether its deployments go by this strategy and pause for nobody.
    pub fn is_configured(&self, strategy: DeploymentStrategy, bake_minutes: u32) -> bool {
        let wanted = deployment_configuration("", strategy, bake_minutes, &self.alarms).ok();
        let has = self.found.deployment_configuration();
        let parts = |configuration: Option<&DeploymentConfiguration>| {
            let strategy = DeploymentStrategy::from_aws(configuration);
            let minutes = configuration.and_then(DeploymentConfiguration::bake_time_in_minutes);
            (strategy, minutes.unwrap_or_default())
        };
        parts(wanted.as_ref()) == parts(has) && !pauses(has)
    }
}

/// Reads the service; nothing where there is none.
///
/// Asks `ecs:DescribeServices`; fails as that call does.
pub async fn before(aws: &Aws, name: &ServiceName) -> Result<Option<Before>> {
    let found = describe(aws, name).await?;
    let Some(found) = found.filter(|service| service.status() == Some("ACTIVE")) else {
        return Ok(None);
    };
    let balancer = found.load_balancers().first();
    let advanced = balancer.and_then(|balancer| balancer.advanced_configuration());
    let count = |number: i32| u32::try_from(number).unwrap_or_default();
    Ok(Some(Before {
        revision: found.task_definition().unwrap_or_default().to_owned(),
        desired: count(found.desired_count()),
        running: count(found.running_count()),
        alarms: alarms_of(found.deployment_configuration()),
        test_rule: advanced
            .and_then(|advanced| advanced.test_listener_rule())
            .map(str::to_owned),
        found,
    }))
}

/// What is released, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// ARN of the revision to bring out.
    pub revision: String,
    /// How its traffic grows.
    pub strategy: DeploymentStrategy,
    /// For how long both versions run after the last shift, in minutes.
    pub bake_minutes: u32,
    /// Whether it pauses before production traffic moves, and for how long at most; ECS turns it back
    /// then.
    pub pause: Option<Duration>,
    /// How many tasks to start with, where the service is parked.
    pub tasks: Option<u32>,
}

/// Where a release pauses: the test listener shows it, production does not.
const PAUSE_AT: DeploymentLifecycleHookStage = DeploymentLifecycleHookStage::PostTestTrafficShift;
/// The longest a PAUSE hook waits, in minutes (field guide, section 4).
const LONGEST_PAUSE: u64 = 20_160;

fn configured(release: &Release, alarms: &[String]) -> Result<DeploymentConfiguration> {
    let mut configured = deployment_configuration(
        "ecs:UpdateService",
        release.strategy,
        release.bake_minutes,
        alarms,
    )?;
    // A list that is left out would stay as it was.
    configured.lifecycle_hooks = Some(release.pause.map(pause).into_iter().collect());
    Ok(configured)
}

fn pause(longest: Duration) -> DeploymentLifecycleHook {
    let minutes = longest.as_secs().div_ceil(60).clamp(1, LONGEST_PAUSE);
    let timeout = DeploymentLifecycleHookTimeoutConfiguration::builder()
        .timeout_in_minutes(minutes.try_into().unwrap_or(i32::MAX))
        .action(DeploymentLifecycleHookAction::Rollback);
    DeploymentLifecycleHook::builder()
        .target_type(DeploymentLifecycleHookTargetType::Pause)
        .lifecycle_stages(PAUSE_AT)
        .timeout_configuration(timeout.build())
        .build()
}

/// Begins the release. The caller has made sure that no deployment is under way: ECS would drop it.
///
/// Asks `ecs:UpdateService`; fails as that call does.
pub async fn start(
    aws: &Aws,
    name: &ServiceName,
    before: &Before,
    release: &Release,
) -> Result<()> {
    let answer = aws
        .ecs
        .update_service()
        .cluster(&name.cluster)
        .service(&name.service)
        .task_definition(&release.revision)
        .set_desired_count(
            release
                .tasks
                .map(|tasks| tasks.try_into().unwrap_or(i32::MAX)),
        )
        .deployment_configuration(configured(release, &before.alarms)?)
        // The same revision again starts a deployment only when it is forced.
        .set_force_new_deployment((release.revision == before.revision).then_some(true))
        .send()
        .await
        .of("ecs:UpdateService");
    match answer {
        Err(error) if error.class() == Class::Unclear => {
            let now = self::before(aws, name).await?;
            let is_done = now.is_some_and(|now| {
                now.revision == release.revision
                    && now.found.deployments() != before.found.deployments()
            });
            if is_done { Ok(()) } else { Err(error) }
        }
        answer => answer.map(|_| ()),
    }
}

/// Puts back how the service is deployed when nobody says otherwise. Starts no deployment (field
/// guide, section 4, "Update triggers a deployment").
///
/// Asks `ecs:UpdateService`; fails as that call does.
pub async fn restore(
    aws: &Aws,
    name: &ServiceName,
    strategy: DeploymentStrategy,
    bake_minutes: u32,
    alarms: &[String],
) -> Result<()> {
    let mut configured =
        deployment_configuration("ecs:UpdateService", strategy, bake_minutes, alarms)?;
    configured.lifecycle_hooks = Some(Vec::new());
    let answer = aws
        .ecs
        .update_service()
        .cluster(&name.cluster)
        .service(&name.service)
        .deployment_configuration(configured)
        .send()
        .await
        .of("ecs:UpdateService");
    answer.map(|_| ())
}

/// Parks the service: no tasks are wanted any more. For a first release that failed, which has nothing
/// to go back to and would be tried for ever.
///
/// Asks `ecs:UpdateService`; fails as that call does.
pub async fn park(aws: &Aws, name: &ServiceName) -> Result<()> {
    let answer = aws
        .ecs
        .update_service()
        .cluster(&name.cluster)
        .service(&name.service)
        .desired_count(0)
        .send()
        .await
        .of("ecs:UpdateService");
    answer.map(|_| ())
}

/// Wakes the scaling of a service that was parked. What it has for scaling already, it keeps: a
/// service nobody declared to scale has no target, and gets none.
///
/// Asks `application-autoscaling:DescribeScalableTargets` and `…:RegisterScalableTarget`; fails as
/// those do. Says whether there was anything to wake.
pub async fn wake_scaling(aws: &Aws, name: &ServiceName, min: u32, max: u32) -> Result<bool> {
    let resource = format!("service/{}/{}", name.cluster, name.service);
    let answer = aws
        .autoscaling
        .describe_scalable_targets()
        .service_namespace(ServiceNamespace::Ecs)
        .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
        .resource_ids(&resource)
        .send()
        .await
        .of("application-autoscaling:DescribeScalableTargets")?;
    let is_asleep = |target: &&ScalableTarget| {
        let state = target.suspended_state();
        target.min_capacity() == 0
            || state.is_some_and(|state| state.dynamic_scaling_out_suspended() == Some(true))
    };
    if answer.scalable_targets().iter().find(is_asleep).is_none() {
        return Ok(false);
    }
    let awake = SuspendedState::builder()
        .dynamic_scaling_in_suspended(false)
        .dynamic_scaling_out_suspended(false)
        .scheduled_scaling_suspended(false);
    let signed = |number: u32| number.try_into().unwrap_or(i32::MAX);
    let answer = aws
        .autoscaling
        .register_scalable_target()
        .service_namespace(ServiceNamespace::Ecs)
        .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
        .resource_id(&resource)
        .min_capacity(signed(min))
        .max_capacity(signed(max))
        .suspended_state(awake.build())
        .send()
        .await
        .of("application-autoscaling:RegisterScalableTarget");
    answer.map(|_| true)
}

/// Those of the alarms that are ringing now.
///
/// Asks `cloudwatch:DescribeAlarms`; fails as that call does.
pub async fn ringing(aws: &Aws, alarms: &[String]) -> Result<Vec<String>> {
    if alarms.is_empty() {
        return Ok(Vec::new());
    }
    let pages = aws
        .cloudwatch
        .describe_alarms()
        .set_alarm_names(Some(alarms.to_vec()))
        .state_value(StateValue::Alarm)
        .into_paginator()
        .send();
    let pages: Vec<DescribeAlarmsOutput> = pages
        .collect::<std::result::Result<_, _>>()
        .await
        .of("cloudwatch:DescribeAlarms")?;
    // Some emulators ignore the state when they are given names.
    let is_ringing = |alarm: &&MetricAlarm| alarm.state_value() == Some(&StateValue::Alarm);
    let alarms = pages.iter().flat_map(|page| page.metric_alarms());
    Ok(alarms
        .filter(is_ringing)
        .filter_map(|alarm| alarm.alarm_name().map(str::to_owned))
        .collect())
}

/// The deployment that a release has become: the newest one, once it is another than `former`.
///
/// # Errors
/// Those of [`latest`].
pub async fn begun(
    aws: &Aws,
    name: &ServiceName,
    former: Option<&str>,
) -> Result<Option<Deployment>> {
    let newest = latest(aws, name, 1).await?.pop();
    Ok(newest.filter(|newest| former != Some(newest.arn.as_str())))
}

/// Says what is in the way of a release: a deployment that is under way.
pub fn refusal(deployment: &Deployment) -> Error {
    let stage = deployment.stage.as_deref();
    let at = stage.map_or(String::new(), |stage| format!(" at {stage}"));
    let since = deployment.created;
    let since = since.map_or(String::new(), |since| {
        format!(", begun {}", since.strftime("%Y-%m-%dT%H:%M:%SZ"))
    });
    let message = format!(
        "deployment {} is {}{at}{since}",
        deployment.id(),
        deployment.status
    );
    Error::new("ecs:UpdateService", Class::Refused, message).with_advice(
        "`orderctl deploy --resume` follows it to its end; `orderctl rollback` turns it back",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(pause: Option<Duration>) -> Release {
        Release {
            revision: "arn:2".into(),
            strategy: DeploymentStrategy::Canary {
                percent: 10.0,
                bake_minutes: 3,
            },
            bake_minutes: 5,
            pause,
            tasks: None,
        }
    }

    #[test]
    fn a_trial_pauses_where_only_the_test_listener_shows_it_and_is_turned_back_by_ecs_itself() {
        let trial = release(Some(Duration::from_secs(601)));
        let configured = configured(&trial, &["alarm".into()]).unwrap();
        let hook = &configured.lifecycle_hooks()[0];
        assert_eq!(hook.lifecycle_stages(), [PAUSE_AT]);
        assert!(hook.hook_target_arn().is_none() && hook.role_arn().is_none());
        let timeout = hook.timeout_configuration().unwrap();
        assert_eq!(timeout.timeout_in_minutes(), Some(11));
        assert_eq!(
            timeout.action(),
            Some(&DeploymentLifecycleHookAction::Rollback)
        );
        assert!(configured.alarms().unwrap().rollback());
        assert_eq!(
            configured.canary_configuration().unwrap().canary_percent(),
            Some(10.0)
        );
    }

    #[test]
    fn without_a_trial_the_hooks_of_an_earlier_one_are_cleared() {
        let configured = configured(&release(None), &[]).unwrap();
        assert_eq!(configured.lifecycle_hooks.as_deref(), Some(&[][..]));
    }
}
