//! `applicationautoscaling/scaling_policy`: keeps one metric of the service near a target. The
//! `TargetTracking-…` alarms AWS makes for it are AWS's own and never managed.

use std::collections::BTreeMap;

use aws_sdk_applicationautoscaling::types::{
    CustomizedMetricSpecification, MetricDimension, MetricStatistic, MetricType, PolicyType,
    PredefinedMetricSpecification, ScalableDimension, ScalingPolicy as AwsScalingPolicy,
    ServiceNamespace, TargetTrackingScalingPolicyConfiguration,
};
use serde::{Deserialize, Serialize};

use super::{signed, unsigned};
use crate::aws::{Answer, Aws, GoneIsNone, incomplete};
use crate::resource::{
    Changes, Class, Condition, Error, Identity, Last, Live, Operations, Refusal, Resolved,
    Resource, Result, Scope, Stage, UNKNOWN, outputs,
};

/// An `AWS::ApplicationAutoScaling::ScalingPolicy` of type target tracking. AWS has no tags for it.
pub struct ScalingPolicy;

/// The settings of a scaling policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct ScalingPolicySpec<S: Stage> {
    /// Its name, one per scalable target.
    pub name: String,
    /// The scalable target: `service/<cluster name>/<service name>`.
    pub resource_id: S::In<String>,
    /// What is measured.
    pub metric: Metric<S>,
    /// The value to keep the metric near, in the metric's unit.
    pub target_value: f64,
    /// Time between two reductions, in seconds.
    pub scale_in_cooldown_seconds: u32,
    /// Time between two increases, in seconds.
    pub scale_out_cooldown_seconds: u32,
}

/// What a scaling policy measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "", tag = "type")]
pub enum Metric<S: Stage> {
    /// The average CPU use of the service's tasks, in percent.
    #[serde(rename = "ECSServiceAverageCPUUtilization")]
    EcsServiceAverageCpuUtilization,
    /// Any CloudWatch metric that falls as tasks are added.
    Custom {
        /// The metric's namespace.
        namespace: String,
        /// The metric's name.
        metric_name: String,
        /// How its data points of one period are summed up.
        statistic: Statistic,
        /// Its dimensions, by name.
        dimensions: BTreeMap<String, S::In<String>>,
    },
    /// What else a policy made by hand may measure. Never declared.
    Other {
        /// AWS's name for it.
        name: String,
    },
}

/// How data points are summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Statistic {
    /// Their mean.
    Average,
    /// The smallest.
    Minimum,
    /// The largest.
    Maximum,
    /// Their number.
    SampleCount,
    /// Their sum.
    Sum,
}

outputs! { ScalingPolicy =>
    /// What AWS gives a scaling policy.
    ScalingPolicyOutputs {
        /// The policy's ARN.
        arn: String,
        /// The policy's name.
        name: String,
    }
}

impl Resource for ScalingPolicy {
    const KIND: &'static str = "applicationautoscaling/scaling_policy";
    const IDENTITY: Identity = Identity::Name;
    // The alarms of a target-tracking policy are made with the caller's permissions.
    const OPERATIONS: Operations = Operations {
        read: &["application-autoscaling:DescribeScalingPolicies"],
        create: &[
            "application-autoscaling:PutScalingPolicy",
            "cloudwatch:PutMetricAlarm",
        ],
        update: &[
            "application-autoscaling:PutScalingPolicy",
            "cloudwatch:PutMetricAlarm",
        ],
        delete: &[
            "application-autoscaling:DeleteScalingPolicy",
            "cloudwatch:DeleteAlarms",
        ],
    };
    const REPLACE_ON: &'static [&'static str] = &["name", "resource_id"];
    // Field guide, section 7; `ConcurrentUpdateException` as the API's errors document it: several
    // policies of one target are written at once.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("ObjectNotFoundException", 120),
        Refusal::create("FailedResourceAccessException", 120),
        Refusal::create("ConcurrentUpdateException", 120),
        Refusal::update("ObjectNotFoundException", 120),
        Refusal::update("FailedResourceAccessException", 120),
        Refusal::update("ConcurrentUpdateException", 120),
        Refusal::delete("ConcurrentUpdateException", 120),
    ];
    type Api = Aws;
    type Spec<S: Stage> = ScalingPolicySpec<S>;
    type Outputs = ScalingPolicyOutputs;

    async fn observe(
        aws: &Aws,
        _scope: &Scope,
        want: &ScalingPolicySpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let resource = last.map_or(&want.resource_id, |last| &last.spec.resource_id);
        let name = last.map_or(&want.name, |last| &last.outputs.name);
        if resource.contains(UNKNOWN) {
            // Without the service there is nothing to scale.
            return Ok(None);
        }
        let key = format!("application-autoscaling:DescribeScalingPolicies {resource}");
        let found = aws.read_once(&key, describe(aws, resource)).await?;
        let policy = found.iter().find(|policy| policy.policy_name() == name);
        Ok(policy.map(live))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &ScalingPolicySpec<Resolved>,
    ) -> Result<ScalingPolicyOutputs> {
        put(aws, want).await
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        _live: &Live<Self>,
        want: &ScalingPolicySpec<Resolved>,
        _changes: &Changes,
    ) -> Result<()> {
        put(aws, want).await.map(|_| ())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.autoscaling
            .delete_scaling_policy()
            .service_namespace(ServiceNamespace::Ecs)
            .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
            .resource_id(&live.spec.resource_id)
            .policy_name(&live.outputs.name)
            .send()
            .await
            .of("application-autoscaling:DeleteScalingPolicy")
            .gone_is_fine(&["ObjectNotFoundException"])
    }
}

const PUT: &str = "application-autoscaling:PutScalingPolicy";

/// Writes the whole policy; the call makes or replaces it.
async fn put(aws: &Aws, want: &ScalingPolicySpec<Resolved>) -> Result<ScalingPolicyOutputs> {
    let tracking = TargetTrackingScalingPolicyConfiguration::builder()
        .target_value(want.target_value)
        .scale_in_cooldown(signed(want.scale_in_cooldown_seconds))
        .scale_out_cooldown(signed(want.scale_out_cooldown_seconds));
    let tracking = match &want.metric {
        Metric::Custom {
            namespace,
            metric_name,
            statistic,
            dimensions,
        } => {
            let dimensions = dimensions.iter().map(|(name, value)| {
                let dimension = MetricDimension::builder().name(name).value(value);
                dimension.build().map_err(incomplete(PUT))
            });
            tracking.customized_metric_specification(
                CustomizedMetricSpecification::builder()
                    .namespace(namespace)
                    .metric_name(metric_name)
                    .statistic(statistic.to_aws())
                    .set_dimensions(Some(dimensions.collect::<Result<_>>()?))
                    .build(),
            )
        }
        Metric::EcsServiceAverageCpuUtilization => tracking.predefined_metric_specification(
            predefined(MetricType::EcsServiceAverageCpuUtilization)?,
        ),
        Metric::Other { name } => {
            return Err(Error::new(
                PUT,
                Class::Refused,
                format!("metric {name} cannot be declared"),
            )
            .with_advice("declare a CloudWatch metric or the average CPU use"));
        }
    };
    let answer = aws
        .autoscaling
        .put_scaling_policy()
        .policy_name(&want.name)
        .policy_type(PolicyType::TargetTrackingScaling)
        .service_namespace(ServiceNamespace::Ecs)
        .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
        .resource_id(&want.resource_id)
        .target_tracking_scaling_policy_configuration(tracking.build().map_err(incomplete(PUT))?)
        .send()
        .await
        .of(PUT)?;
    Ok(ScalingPolicyOutputs {
        arn: answer.policy_arn().to_owned(),
        name: want.name.clone(),
    })
}

fn predefined(metric: MetricType) -> Result<PredefinedMetricSpecification> {
    let specification = PredefinedMetricSpecification::builder().predefined_metric_type(metric);
    specification.build().map_err(incomplete(PUT))
}

async fn describe(aws: &Aws, resource: &str) -> Result<Vec<AwsScalingPolicy>> {
    let pages = aws
        .autoscaling
        .describe_scaling_policies()
        .service_namespace(ServiceNamespace::Ecs)
        .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
        .resource_id(resource)
        .into_paginator()
        .items()
        .send();
    pages
        .collect::<std::result::Result<_, _>>()
        .await
        .of("application-autoscaling:DescribeScalingPolicies")
}

fn live(policy: &AwsScalingPolicy) -> Live<ScalingPolicy> {
    type Tracking = TargetTrackingScalingPolicyConfiguration;
    let tracking = policy.target_tracking_scaling_policy_configuration();
    // The cooldowns AWS takes for ECS when none is given.
    let cooldown = |seconds: Option<i32>| seconds.map_or(300, unsigned);
    Live {
        outputs: ScalingPolicyOutputs {
            arn: policy.policy_arn().to_owned(),
            name: policy.policy_name().to_owned(),
        },
        spec: ScalingPolicySpec {
            name: policy.policy_name().to_owned(),
            resource_id: policy.resource_id().to_owned(),
            metric: metric_of(policy),
            target_value: tracking.map_or(0.0, Tracking::target_value),
            scale_in_cooldown_seconds: cooldown(tracking.and_then(Tracking::scale_in_cooldown)),
            scale_out_cooldown_seconds: cooldown(tracking.and_then(Tracking::scale_out_cooldown)),
        },
        condition: Condition::Ready,
    }
}

fn metric_of(policy: &AwsScalingPolicy) -> Metric<Resolved> {
    let tracking = policy.target_tracking_scaling_policy_configuration();
    let predefined = tracking.and_then(|tracking| tracking.predefined_metric_specification());
    let custom = tracking.and_then(|tracking| tracking.customized_metric_specification());
    let other = |name: &str| Metric::Other { name: name.into() };
    if let Some(metric) = predefined.map(PredefinedMetricSpecification::predefined_metric_type) {
        return match metric {
            MetricType::EcsServiceAverageCpuUtilization => Metric::EcsServiceAverageCpuUtilization,
            metric => other(metric.as_str()),
        };
    }
    let statistic = custom.and_then(|custom| Statistic::from_aws(custom.statistic()?));
    match (custom, statistic) {
        (Some(custom), Some(statistic)) => Metric::Custom {
            namespace: custom.namespace().unwrap_or_default().to_owned(),
            metric_name: custom.metric_name().unwrap_or_default().to_owned(),
            statistic,
            dimensions: custom
                .dimensions()
                .iter()
                .map(|dimension| (dimension.name().to_owned(), dimension.value().to_owned()))
                .collect(),
        },
        (Some(_), None) => other("metric math"),
        _ => other(policy.policy_type().as_str()),
    }
}

impl Statistic {
    fn to_aws(self) -> MetricStatistic {
        match self {
            Self::Average => MetricStatistic::Average,
            Self::Minimum => MetricStatistic::Minimum,
            Self::Maximum => MetricStatistic::Maximum,
            Self::SampleCount => MetricStatistic::SampleCount,
            Self::Sum => MetricStatistic::Sum,
        }
    }

    fn from_aws(statistic: &MetricStatistic) -> Option<Self> {
        Some(match statistic {
            MetricStatistic::Average => Self::Average,
            MetricStatistic::Minimum => Self::Minimum,
            MetricStatistic::Maximum => Self::Maximum,
            MetricStatistic::SampleCount => Self::SampleCount,
            MetricStatistic::Sum => Self::Sum,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_applicationautoscaling::Client;
    use aws_sdk_applicationautoscaling::operation::describe_scaling_policies::DescribeScalingPoliciesOutput;
    use aws_sdk_applicationautoscaling::operation::put_scaling_policy::PutScalingPolicyOutput;
    use aws_sdk_applicationautoscaling::types::Alarm;
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::DateTime;
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::diff;

    const RESOURCE: &str = "service/order-api-dev/order-api-dev";

    fn cpu() -> ScalingPolicySpec<Resolved> {
        ScalingPolicySpec {
            name: "cpu-scaling-dev".into(),
            resource_id: RESOURCE.into(),
            metric: Metric::EcsServiceAverageCpuUtilization,
            target_value: 70.0,
            scale_in_cooldown_seconds: 300,
            scale_out_cooldown_seconds: 60,
        }
    }

    fn pending_orders() -> ScalingPolicySpec<Resolved> {
        ScalingPolicySpec {
            name: "pending-orders-scaling-dev".into(),
            metric: Metric::Custom {
                namespace: "OrderAPI/dev".into(),
                metric_name: "PendingOrders".into(),
                statistic: Statistic::Average,
                dimensions: [("Service".into(), "order-api".into())].into(),
            },
            target_value: 100.0,
            ..cpu()
        }
    }

    fn in_aws(name: &str, tracking: TargetTrackingScalingPolicyConfiguration) -> AwsScalingPolicy {
        let alarm = Alarm::builder()
            .alarm_name("TargetTracking-x")
            .alarm_arn("arn");
        AwsScalingPolicy::builder()
            .policy_arn(format!("arn:{name}"))
            .policy_name(name)
            .service_namespace(ServiceNamespace::Ecs)
            .resource_id(RESOURCE)
            .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
            .policy_type(PolicyType::TargetTrackingScaling)
            .target_tracking_scaling_policy_configuration(tracking)
            .alarms(alarm.build().unwrap())
            .creation_time(DateTime::from_secs(0))
            .build()
            .unwrap()
    }

    fn described() -> Rule {
        let tracking = |target| {
            TargetTrackingScalingPolicyConfiguration::builder()
                .target_value(target)
                .scale_in_cooldown(300)
                .scale_out_cooldown(60)
        };
        let dimension = MetricDimension::builder()
            .name("Service")
            .value("order-api");
        let custom = CustomizedMetricSpecification::builder()
            .namespace("OrderAPI/dev")
            .metric_name("PendingOrders")
            .statistic(MetricStatistic::Average)
            .dimensions(dimension.build().unwrap());
        let of_cpu = predefined(MetricType::EcsServiceAverageCpuUtilization).unwrap();
        let cpu = tracking(70.0).predefined_metric_specification(of_cpu);
        let orders = tracking(100.0).customized_metric_specification(custom.build());
        let answer = DescribeScalingPoliciesOutput::builder()
            .scaling_policies(in_aws("cpu-scaling-dev", cpu.build().unwrap()))
            .scaling_policies(in_aws(
                "pending-orders-scaling-dev",
                orders.build().unwrap(),
            ))
            .build();
        mock!(Client::describe_scaling_policies)
            .match_requests(|r| r.resource_id() == Some(RESOURCE))
            .then_output(move || answer.clone())
    }

    #[tokio::test]
    async fn observe_maps_every_field_of_all_policies_back_from_one_call() {
        let rule = described();
        let aws = mocked(&[&rule]).with_shared_reads();
        for want in [cpu(), pending_orders()] {
            let live = ScalingPolicy::observe(&aws, &scope("policy"), &want, None)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(live.spec, want);
            assert_eq!(live.outputs.arn, format!("arn:{}", want.name));
        }
        assert_eq!(rule.num_calls(), 1);
    }

    #[tokio::test]
    async fn a_policy_that_went_with_its_target_is_none() {
        let nothing = mock!(Client::describe_scaling_policies)
            .then_output(|| DescribeScalingPoliciesOutput::builder().build());
        let live = ScalingPolicy::observe(&mocked(&[&nothing]), &scope("policy"), &cpu(), None)
            .await
            .unwrap();
        assert!(live.is_none());
    }

    #[tokio::test]
    async fn a_change_writes_the_whole_policy() {
        let put = mock!(Client::put_scaling_policy)
            .match_requests(|r| {
                let tracking = r.target_tracking_scaling_policy_configuration().unwrap();
                let custom = tracking.customized_metric_specification().unwrap();
                tracking.target_value() == 50.0
                    && tracking.scale_out_cooldown() == Some(60)
                    && custom.dimensions()[0].value() == "order-api"
            })
            .then_output(|| {
                PutScalingPolicyOutput::builder()
                    .policy_arn("arn")
                    .build()
                    .unwrap()
            });
        let aws = mocked(&[&put]);
        let want = ScalingPolicySpec {
            target_value: 50.0,
            ..pending_orders()
        };
        let live = Live::<ScalingPolicy> {
            outputs: ScalingPolicyOutputs {
                arn: "arn".into(),
                name: want.name.clone(),
            },
            spec: pending_orders(),
            condition: Condition::Ready,
        };
        let changes = diff(&json!(want), &json!(live.spec), None);
        assert_eq!(changes.names(), ["target_value"]);
        ScalingPolicy::update(&aws, &scope("policy"), &live, &want, &changes)
            .await
            .unwrap();
        assert_eq!(put.num_calls(), 1);
    }
}
