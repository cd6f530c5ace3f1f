//! `applicationautoscaling/scalable_target`: the bounds inside which scaling moves the number of
//! tasks of an ECS service.

use std::collections::HashMap;

use aws_sdk_applicationautoscaling::types::{
    ScalableDimension, ScalableTarget as AwsScalableTarget, ServiceNamespace, SuspendedState,
};
use serde::{Deserialize, Serialize};

use super::{signed, unsigned};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, Tags, UNKNOWN, outputs,
};

/// An `AWS::ApplicationAutoScaling::ScalableTarget` for the task count of an ECS service.
pub struct ScalableTarget;

/// The settings of a scalable target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct ScalableTargetSpec<S: Stage> {
    /// What is scaled: `service/<cluster name>/<service name>`.
    pub resource_id: S::In<String>,
    /// The fewest tasks. AWS raises the service's count to it at once.
    pub min: u32,
    /// The most tasks. AWS lowers the service's count to it at once.
    pub max: u32,
    /// Whether scaling rests, as it does while the service is parked. A release ends the rest, and
    /// that is not undone: only a resting target that is wanted awake is a difference.
    pub suspended: bool,
    /// Its tags.
    pub tags: Tags,
}

outputs! { ScalableTarget =>
    /// What AWS gives a scalable target.
    ScalableTargetOutputs {
        /// What is scaled, for the policies.
        resource_id: String,
        /// The scalable target's ARN.
        arn: String,
    }
}

const GONE: &[&str] = &["ObjectNotFoundException"];

impl Resource for ScalableTarget {
    const KIND: &'static str = "applicationautoscaling/scalable_target";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &[
            "application-autoscaling:DescribeScalableTargets",
            "application-autoscaling:ListTagsForResource",
        ],
        create: &[
            "application-autoscaling:RegisterScalableTarget",
            "application-autoscaling:TagResource",
        ],
        update: &[
            "application-autoscaling:RegisterScalableTarget",
            "application-autoscaling:TagResource",
            "application-autoscaling:UntagResource",
        ],
        delete: &["application-autoscaling:DeregisterScalableTarget"],
    };
    const REPLACE_ON: &'static [&'static str] = &["resource_id"];
    // Field guide, section 7; `ConcurrentUpdateException` as the API's errors document it.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("ValidationException", 120).saying("ECS service doesn"),
        Refusal::create("ValidationException", 120).saying("Unable to assume IAM role"),
        Refusal::create("ConcurrentUpdateException", 120),
        Refusal::update("ConcurrentUpdateException", 120),
        Refusal::delete("ConcurrentUpdateException", 120),
    ];
    type Api = Aws;
    type Spec<S: Stage> = ScalableTargetSpec<S>;
    type Outputs = ScalableTargetOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &ScalableTargetSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let resource = last.map_or(&want.resource_id, |last| &last.outputs.resource_id);
        if resource.contains(UNKNOWN) {
            // Without the service there is nothing to scale.
            return Ok(None);
        }
        let key = format!("application-autoscaling:DescribeScalableTargets {resource}");
        let found = aws.read_once(&key, describe(aws, resource)).await?;
        let Some(target) = &*found else {
            return Ok(None);
        };
        let arn = target.scalable_target_arn().ok_or_else(missing(
            "application-autoscaling:DescribeScalableTargets",
            "ScalableTargetARN",
        ))?;
        let tags = aws
            .tags(scope, arn, &want.tags, read_tags(aws, arn))
            .await?;
        Ok(Some(Live {
            outputs: ScalableTargetOutputs {
                resource_id: resource.clone(),
                arn: arn.to_owned(),
            },
            spec: ScalableTargetSpec {
                resource_id: resource.clone(),
                min: unsigned(target.min_capacity()),
                max: unsigned(target.max_capacity()),
                suspended: want.suspended || is_suspended(target.suspended_state()),
                tags,
            },
            condition: Condition::Ready,
        }))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &ScalableTargetSpec<Resolved>,
    ) -> Result<ScalableTargetOutputs> {
        const OPERATION: &str = "application-autoscaling:RegisterScalableTarget";
        let answer = aws
            .autoscaling
            .register_scalable_target()
            .service_namespace(ServiceNamespace::Ecs)
            .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
            .resource_id(&want.resource_id)
            .min_capacity(signed(want.min))
            .max_capacity(signed(want.max))
            .suspended_state(suspension(want.suspended))
            .set_tags(Some(to_map(want.tags.iter())))
            .send()
            .await
            .of(OPERATION)?;
        let arn = answer.scalable_target_arn();
        Ok(ScalableTargetOutputs {
            resource_id: want.resource_id.clone(),
            arn: arn
                .ok_or_else(missing(OPERATION, "ScalableTargetARN"))?
                .to_owned(),
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &ScalableTargetSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        if changes.touch_any(&["min", "max", "suspended"]) {
            // What a repeated registration leaves out stays as it is.
            let bounds = changes.touch_any(&["min", "max"]);
            let suspended = changes.touch("suspended");
            aws.autoscaling
                .register_scalable_target()
                .service_namespace(ServiceNamespace::Ecs)
                .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
                .resource_id(&live.outputs.resource_id)
                .set_min_capacity(bounds.then(|| signed(want.min)))
                .set_max_capacity(bounds.then(|| signed(want.max)))
                .set_suspended_state(suspended.then(|| suspension(want.suspended)))
                .send()
                .await
                .of("application-autoscaling:RegisterScalableTarget")?;
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    /// Deregisters it, which deletes its policies too.
    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.autoscaling
            .deregister_scalable_target()
            .service_namespace(ServiceNamespace::Ecs)
            .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
            .resource_id(&live.outputs.resource_id)
            .send()
            .await
            .of("application-autoscaling:DeregisterScalableTarget")
            .gone_is_fine(GONE)
    }
}

async fn describe(aws: &Aws, resource: &str) -> Result<Option<AwsScalableTarget>> {
    let pages = aws
        .autoscaling
        .describe_scalable_targets()
        .service_namespace(ServiceNamespace::Ecs)
        .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
        .resource_ids(resource)
        .into_paginator()
        .items()
        .send();
    let found: Vec<_> = pages
        .collect::<std::result::Result<_, _>>()
        .await
        .of("application-autoscaling:DescribeScalableTargets")?;
    Ok(found
        .into_iter()
        .find(|target| target.resource_id() == resource))
}

/// Any part at rest counts: what is wanted awake is wanted awake as a whole.
fn is_suspended(state: Option<&SuspendedState>) -> bool {
    state.is_some_and(|state| {
        [
            state.dynamic_scaling_in_suspended(),
            state.dynamic_scaling_out_suspended(),
            state.scheduled_scaling_suspended(),
        ]
        .contains(&Some(true))
    })
}

fn suspension(suspended: bool) -> SuspendedState {
    SuspendedState::builder()
        .dynamic_scaling_in_suspended(suspended)
        .dynamic_scaling_out_suspended(suspended)
        .scheduled_scaling_suspended(suspended)
        .build()
}

fn to_map<'a>(tags: impl Iterator<Item = (&'a String, &'a String)>) -> HashMap<String, String> {
    tags.map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

async fn read_tags(aws: &Aws, arn: &str) -> Result<Tags> {
    let answer = aws
        .autoscaling
        .list_tags_for_resource()
        .resource_arn(arn)
        .send()
        .await
        .of("application-autoscaling:ListTagsForResource")?;
    Ok(Tags::from_pairs(answer.tags.unwrap_or_default()))
}

async fn change_tags(aws: &Aws, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let missing = want.missing_from(live);
    if !missing.is_empty() {
        aws.autoscaling
            .tag_resource()
            .resource_arn(arn)
            .set_tags(Some(missing.into_iter().collect()))
            .send()
            .await
            .of("application-autoscaling:TagResource")?;
    }
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        aws.autoscaling
            .untag_resource()
            .resource_arn(arn)
            .set_tag_keys(Some(surplus))
            .send()
            .await
            .of("application-autoscaling:UntagResource")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_applicationautoscaling::Client;
    use aws_sdk_applicationautoscaling::operation::describe_scalable_targets::DescribeScalableTargetsOutput;
    use aws_sdk_applicationautoscaling::operation::list_tags_for_resource::ListTagsForResourceOutput;
    use aws_sdk_applicationautoscaling::operation::register_scalable_target::RegisterScalableTargetOutput;
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::DateTime;
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const RESOURCE: &str = "service/order-api-dev/order-api-dev";

    fn want() -> ScalableTargetSpec<Resolved> {
        ScalableTargetSpec {
            resource_id: RESOURCE.into(),
            min: 3,
            max: 10,
            suspended: false,
            tags: Tags::from_pairs([(NODE_TAG, "scalable-target")]),
        }
    }

    fn in_aws(suspended: bool) -> Vec<Rule> {
        let targets = mock!(Client::describe_scalable_targets)
            .match_requests(|r| r.resource_ids() == [RESOURCE])
            .then_output(move || {
                let target = AwsScalableTarget::builder()
                    .service_namespace(ServiceNamespace::Ecs)
                    .resource_id(RESOURCE)
                    .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
                    .min_capacity(3)
                    .max_capacity(10)
                    .role_arn("arn:aws:iam::123456789012:role/aws-service-role/x")
                    .creation_time(DateTime::from_secs(0))
                    .suspended_state(suspension(suspended))
                    .scalable_target_arn("arn:target")
                    .build()
                    .unwrap();
                DescribeScalableTargetsOutput::builder()
                    .scalable_targets(target)
                    .build()
            });
        let tags = mock!(Client::list_tags_for_resource).then_output(|| {
            ListTagsForResourceOutput::builder()
                .tags(NODE_TAG, "scalable-target")
                .build()
        });
        vec![targets, tags]
    }

    async fn observed(
        rules: &[Rule],
        want: &ScalableTargetSpec<Resolved>,
    ) -> Option<Live<ScalableTarget>> {
        let aws = mocked(&rules.iter().collect::<Vec<_>>());
        ScalableTarget::observe(&aws, &scope("scalable-target"), want, None)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back() {
        let live = observed(&in_aws(false), &want()).await.unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(live.outputs.resource_id, RESOURCE);
        assert_eq!(live.outputs.arn, "arn:target");
    }

    #[tokio::test]
    async fn a_target_that_a_release_woke_stays_awake_and_a_resting_one_is_woken() {
        let resting = ScalableTargetSpec {
            suspended: true,
            ..want()
        };
        let live = observed(&in_aws(false), &resting).await.unwrap();
        assert!(diff(&json!(resting), &json!(live.spec), None).is_empty());
        let live = observed(&in_aws(true), &want()).await.unwrap();
        let changes = diff(&json!(want()), &json!(live.spec), None);
        assert_eq!(changes.names(), ["suspended"]);
        let register = mock!(Client::register_scalable_target)
            .match_requests(|r| {
                r.min_capacity().is_none() && !is_suspended(Some(r.suspended_state().unwrap()))
            })
            .then_output(|| RegisterScalableTargetOutput::builder().build());
        let aws = mocked(&[&register]);
        ScalableTarget::update(&aws, &scope("scalable-target"), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn a_change_of_bounds_leaves_the_rest_alone() {
        let live = observed(&in_aws(true), &want()).await.unwrap();
        let want = ScalableTargetSpec {
            max: 20,
            suspended: true,
            ..want()
        };
        let register = mock!(Client::register_scalable_target)
            .match_requests(|r| {
                (r.min_capacity(), r.max_capacity()) == (Some(3), Some(20))
                    && r.suspended_state().is_none()
            })
            .then_output(|| RegisterScalableTargetOutput::builder().build());
        let aws = mocked(&[&register]);
        let changes = diff(&json!(want), &json!(live.spec), None);
        ScalableTarget::update(&aws, &scope("scalable-target"), &live, &want, &changes)
            .await
            .unwrap();
        assert_eq!(register.num_calls(), 1);
    }

    #[tokio::test]
    async fn a_missing_target_is_none_and_one_of_an_unknown_service_is_not_asked_for() {
        let nothing = mock!(Client::describe_scalable_targets)
            .then_output(|| DescribeScalableTargetsOutput::builder().build());
        assert!(observed(&[nothing], &want()).await.is_none());
        let unknown = ScalableTargetSpec {
            resource_id: format!("service/{UNKNOWN}"),
            ..want()
        };
        assert!(observed(&[], &unknown).await.is_none());
    }
}
