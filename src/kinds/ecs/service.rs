//! `ecs/service`: the tasks behind the load balancer, released blue/green by ECS itself.
//!
//! A release owns the running revision and the colour of each target group, scaling owns the number
//! of tasks (law 6). `service_live` reports those as wanted unless the declaration itself changed.

use aws_sdk_ecs::types::{
    AvailabilityZoneRebalancing, DeploymentController, DeploymentControllerType,
    Service as AwsService,
};

use super::capacity;
use super::deployment::{configuration, refuse_during_deployment, signed, stop_active_deployment};
use super::service_live::{colours, live, load_balancer, network};
use super::service_progress::explained;
use super::service_spec::ServiceSpec;
use super::{ServiceArn, change_tags, tag_on_create, target_health};
use crate::aws::{Answer, Aws, GoneIsNone, incomplete, missing};
use crate::resource::{
    Changes, Class, Condition, Error, Identity, Last, Live, Operations, Refusal, Resolved,
    Resource, Result, Scope, Stage, Times, UNKNOWN, Verb, outputs,
};
use crate::service::{GONE, ServiceName, describe};

/// An `AWS::ECS::Service` on Fargate with deployment controller `ECS`.
pub struct Service;

outputs! { Service =>
    /// What AWS gives a service.
    ServiceOutputs {
        /// The service's ARN.
        arn: ServiceArn,
        /// The service's name.
        name: String,
        /// The name of its cluster.
        cluster_name: String,
    }
}

/// Fields whose change starts a deployment (field guide, section 4, "Update triggers a
/// deployment"). The capacity strategy is one because we force it.
const DEPLOYING: &[&str] = &[
    "task_definition",
    "subnets",
    "security_groups",
    "assign_public_ip",
    "container_name",
    "container_port",
    "target_group",
    "alternate_target_group",
    "production_listener_rule",
    "test_listener_rule",
    "infrastructure_role",
    "capacity_strategy",
];
const NETWORK: &[&str] = &["subnets", "security_groups", "assign_public_ip"];
const LOAD_BALANCER: &[&str] = &[
    "container_name",
    "container_port",
    "target_group",
    "alternate_target_group",
    "production_listener_rule",
    "test_listener_rule",
    "infrastructure_role",
];

/// A parameter of the service that ECS does not take yet.
const fn not_yet(verb: Verb, fragment: &'static str) -> Refusal {
    Refusal {
        verb,
        code: "InvalidParameterException",
        fragment,
        within: 240,
    }
}
const NO_LOAD_BALANCER: &str = "does not have an associated load balancer";
const FRESH_ROLE: &str = "verify that the ECS service role being passed has the proper permissions";
const LINKED_ROLE: &str = "Unable to assume the service linked role";

/// ECS's words for a service of this name that another token made.
fn name_is_taken(error: Error) -> Error {
    if error.says("InvalidParameterException", "was not idempotent") {
        return error.with_class(Class::AlreadyExists);
    }
    error
}

impl Resource for Service {
    const KIND: &'static str = "ecs/service";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &[
            "ecs:DescribeServices",
            "ecs:ListTasks",
            "ecs:DescribeTasks",
            "elasticloadbalancing:DescribeTargetHealth",
        ],
        create: &["ecs:CreateService", "ecs:TagResource", "iam:PassRole"],
        update: &[
            "ecs:ListServiceDeployments",
            "ecs:DescribeServiceDeployments",
            "ecs:UpdateService",
            "ecs:TagResource",
            "ecs:UntagResource",
            "iam:PassRole",
        ],
        delete: &[
            "ecs:ListServiceDeployments",
            "ecs:DescribeServiceDeployments",
            "ecs:StopServiceDeployment",
            "ecs:DeleteService",
        ],
    };
    const REPLACE_ON: &'static [&'static str] = &["name", "cluster", "vpc"];
    const TIMES: Times = Times::typical(90, 120);
    // Field guide, section 4, "Service".
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("ClusterNotFoundException", 240),
        not_yet(Verb::Create, NO_LOAD_BALANCER),
        not_yet(Verb::Create, FRESH_ROLE),
        not_yet(Verb::Create, LINKED_ROLE),
        not_yet(Verb::Update, NO_LOAD_BALANCER),
        not_yet(Verb::Update, FRESH_ROLE),
        Refusal::delete("InvalidParameterException", 1200)
            .saying("cannot be stopped while deployments are active"),
        Refusal::delete("DependencyViolation", 1200),
    ];
    type Api = Aws;
    type Spec<S: Stage> = ServiceSpec<S>;
    type Outputs = ServiceOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &ServiceSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let cluster = last.map_or(&want.cluster, |last| &last.spec.cluster);
        let name = last.map_or(&want.name, |last| &last.outputs.name);
        if **cluster == *UNKNOWN {
            // A service cannot outlive its cluster.
            return Ok(None);
        }
        let key = format!("ecs:DescribeServices {cluster} {name}");
        let name = ServiceName {
            cluster: cluster.to_string(),
            service: name.clone(),
        };
        let found = aws.read_once(&key, describe(aws, &name)).await?;
        let Some(service) = &*found else {
            return Ok(None);
        };
        let Some(mut live) = live(service, want, last, scope)? else {
            return Ok(None);
        };
        let runs = service.desired_count() > 0;
        live.condition = match live.condition {
            Condition::Ready if runs => target_health::condition(aws, service).await?,
            Condition::Pending(what) => {
                Condition::Pending(explained(aws, &name, service, what).await)
            }
            condition => condition,
        };
        Ok(Some(live))
    }

    async fn create(
        aws: &Aws,
        scope: &Scope,
        want: &ServiceSpec<Resolved>,
    ) -> Result<ServiceOutputs> {
        const OPERATION: &str = "ecs:CreateService";
        let controller = DeploymentController::builder()
            .r#type(DeploymentControllerType::Ecs)
            .build()
            .map_err(incomplete(OPERATION))?;
        // The token may have 36 characters.
        let token = scope.token.as_ref();
        let answer = aws
            .ecs
            .create_service()
            .set_client_token(token.map(|token| token.chars().take(36).collect()))
            .cluster(&*want.cluster)
            .service_name(&want.name)
            .task_definition(&*want.task_definition)
            .desired_count(signed(want.desired_count))
            .network_configuration(network(OPERATION, want)?)
            .load_balancers(load_balancer(want, colours(want, None)))
            .deployment_controller(controller)
            .deployment_configuration(configuration(OPERATION, want)?)
            .set_capacity_provider_strategy(capacity::to_aws(OPERATION, &want.capacity_strategy)?)
            .health_check_grace_period_seconds(signed(want.health_check_grace_seconds))
            .enable_execute_command(want.enable_execute_command)
            .availability_zone_rebalancing(rebalancing(want))
            .propagate_tags(want.propagate_tags.to_aws())
            .enable_ecs_managed_tags(want.enable_ecs_managed_tags)
            .set_tags(tag_on_create(&want.tags))
            .send()
            .await
            .of(OPERATION)
            .map_err(name_is_taken)?;
        let arn = answer.service().and_then(AwsService::service_arn);
        Ok(ServiceOutputs {
            arn: arn.ok_or_else(missing(OPERATION, "serviceArn"))?.into(),
            name: want.name.clone(),
            cluster_name: cluster_name(&want.cluster),
        })
    }

    /// Sends one UpdateService with the changed blocks, each whole. Refuses if it would start a
    /// deployment while one is under way.
    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &ServiceSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        const OPERATION: &str = "ecs:UpdateService";
        if changes.touch_any(DEPLOYING) {
            refuse_during_deployment(aws, live).await?;
        }
        let mut call = aws
            .ecs
            .update_service()
            .cluster(&*live.spec.cluster)
            .service(&live.outputs.name);
        if changes.touch("task_definition") {
            call = call.task_definition(&*want.task_definition);
        }
        if changes.touch("desired_count") {
            call = call.desired_count(signed(want.desired_count));
        }
        if changes.touch_any(NETWORK) {
            call = call.network_configuration(network(OPERATION, want)?);
        }
        if changes.touch_any(LOAD_BALANCER) {
            let now = describe(aws, &name_of(live)).await?;
            call = call.load_balancers(load_balancer(want, colours(want, now.as_ref())));
        }
        if changes.touch("capacity_strategy") {
            // Without a forced deployment the running tasks would keep the old one.
            call = call
                .set_capacity_provider_strategy(capacity::to_aws(
                    OPERATION,
                    &want.capacity_strategy,
                )?)
                .force_new_deployment(true);
        }
        if changes.touch_any(&["strategy", "bake_minutes", "alarms", "pauses"]) {
            let mut configured = configuration(OPERATION, want)?;
            if changes.touch("pauses") {
                // A list that is left out stays as it is.
                configured.lifecycle_hooks = Some(Vec::new());
            }
            call = call.deployment_configuration(configured);
        }
        if changes.touch("health_check_grace_seconds") {
            call = call.health_check_grace_period_seconds(signed(want.health_check_grace_seconds));
        }
        if changes.touch("enable_execute_command") {
            call = call.enable_execute_command(want.enable_execute_command);
        }
        if changes.touch("availability_zone_rebalancing") {
            call = call.availability_zone_rebalancing(rebalancing(want));
        }
        if changes.touch("propagate_tags") {
            call = call.propagate_tags(want.propagate_tags.to_aws());
        }
        if changes.touch("enable_ecs_managed_tags") {
            call = call.enable_ecs_managed_tags(want.enable_ecs_managed_tags);
        }
        if changes.names().iter().any(|field| field != "tags") {
            call.send().await.of(OPERATION)?;
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        stop_active_deployment(aws, live).await?;
        aws.ecs
            .delete_service()
            .cluster(&*live.spec.cluster)
            .service(&live.outputs.name)
            .force(true)
            .send()
            .await
            .of("ecs:DeleteService")
            .gone_is_fine(GONE)
    }
}

/// The names of a service that was found.
pub(super) fn name_of(live: &Live<Service>) -> ServiceName {
    ServiceName {
        cluster: live.spec.cluster.to_string(),
        service: live.outputs.name.clone(),
    }
}

fn rebalancing(want: &ServiceSpec<Resolved>) -> AvailabilityZoneRebalancing {
    if want.availability_zone_rebalancing {
        AvailabilityZoneRebalancing::Enabled
    } else {
        AvailabilityZoneRebalancing::Disabled
    }
}

/// The last part of a cluster's ARN.
pub(super) fn cluster_name(cluster: &str) -> String {
    cluster.rsplit('/').next().unwrap_or(cluster).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::deployment::DeploymentStrategy;
    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::error::ErrorMetadata;
    use aws_sdk_ecs::operation::create_service::CreateServiceOutput;
    use aws_sdk_ecs::operation::delete_service::DeleteServiceError;
    use aws_sdk_ecs::operation::describe_services::{
        DescribeServicesError, DescribeServicesOutput,
    };
    use aws_sdk_ecs::operation::update_service::UpdateServiceOutput;
    use aws_sdk_ecs::types::error::{ClusterNotFoundException, ServiceNotFoundException};
    use aws_sdk_ecs::types::{
        DeploymentStrategy as AwsStrategy, Failure, ServiceDeploymentStatus, ServiceField,
    };
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::super::deployment::testing::{deployments, described};
    use super::super::service_live::testing::{in_aws, seen, want};
    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::diff;

    /// Updates the service in AWS to `wanted`.
    async fn updated(rules: &[&Rule], wanted: &ServiceSpec<Resolved>) -> (Result<()>, u64) {
        let live = seen(&in_aws().build());
        let changes = diff(&json!(wanted), &json!(live.spec), None);
        let aws = mocked(rules);
        let answer = Service::update(&aws, &scope("service"), &live, wanted, &changes).await;
        (answer, aws.calls().writes())
    }

    #[tokio::test]
    async fn a_missing_service_is_none_and_so_is_one_of_a_missing_cluster() {
        let failure = Failure::builder().reason("MISSING").build();
        let missing = DescribeServicesOutput::builder().failures(failure).build();
        let missing = mock!(Client::describe_services)
            .match_requests(|r| r.include() == [ServiceField::Tags])
            .then_output(move || missing.clone());
        let no_cluster = mock!(Client::describe_services).then_error(|| {
            let meta = ErrorMetadata::builder().code("ClusterNotFoundException");
            let error = ClusterNotFoundException::builder().meta(meta.build());
            DescribeServicesError::ClusterNotFoundException(error.build())
        });
        for rule in [&missing, &no_cluster] {
            let live = Service::observe(&mocked(&[rule]), &scope("service"), &want(), None).await;
            assert!(live.unwrap().is_none());
        }
        let mut unknown = want();
        unknown.cluster = UNKNOWN.into();
        let live = Service::observe(&mocked(&[]), &scope("service"), &unknown, None).await;
        assert!(live.unwrap().is_none(), "and AWS is not asked");
    }

    const TOKEN: &str = "0123456789012345678901234567890123456789";

    #[tokio::test]
    async fn create_sends_the_token_and_both_colours() {
        let create = mock!(Client::create_service)
            .match_requests(|r| {
                let balancer = &r.load_balancers()[0];
                let advanced = balancer.advanced_configuration().unwrap();
                let deployment = r.deployment_configuration().unwrap();
                r.client_token()
                    == Some(
                        "0123456789012345678901234567890123456789"
                            .get(..36)
                            .unwrap(),
                    )
                    && balancer.target_group_arn() == Some("arn:blue")
                    && advanced.alternate_target_group_arn() == Some("arn:green")
                    && deployment.strategy() == Some(&AwsStrategy::Canary)
                    && deployment.alarms().unwrap().rollback()
                    && !r.tags().is_empty()
            })
            .then_output(|| {
                CreateServiceOutput::builder()
                    .service(in_aws().build())
                    .build()
            });
        let scope = Scope {
            token: Some(TOKEN.into()),
            ..scope("service")
        };
        let outputs = Service::create(&mocked(&[&create]), &scope, &want())
            .await
            .unwrap();
        assert!(outputs.arn.ends_with("service/order-api-dev/order-api-dev"));
        assert_eq!(outputs.cluster_name, "order-api-dev");
    }

    #[tokio::test]
    async fn a_setting_without_a_deployment_is_sent_alone_and_at_any_time() {
        let update = mock!(Client::update_service)
            .match_requests(|r| {
                r.health_check_grace_period_seconds() == Some(90)
                    && r.desired_count().is_none()
                    && r.task_definition().is_none()
                    && r.load_balancers.is_none()
                    && r.deployment_configuration().is_none()
            })
            .then_output(|| UpdateServiceOutput::builder().build());
        let wanted = ServiceSpec {
            health_check_grace_seconds: 90,
            ..want()
        };
        let (answer, writes) = updated(&[&update], &wanted).await;
        assert!(answer.is_ok());
        assert_eq!(writes, 1);
    }

    #[tokio::test]
    async fn a_change_of_the_deployment_settings_sends_the_whole_block() {
        let update = mock!(Client::update_service)
            .match_requests(|r| {
                let deployment = r.deployment_configuration().unwrap();
                deployment.strategy() == Some(&AwsStrategy::BlueGreen)
                    && deployment.canary_configuration().is_none()
                    && deployment.bake_time_in_minutes() == Some(15)
                    && deployment.alarms().unwrap().enable()
            })
            .then_output(|| UpdateServiceOutput::builder().build());
        let wanted = ServiceSpec {
            strategy: DeploymentStrategy::BlueGreen,
            ..want()
        };
        assert!(updated(&[&update], &wanted).await.0.is_ok());
    }

    #[tokio::test]
    async fn a_changed_capacity_strategy_forces_a_deployment_unless_one_is_under_way() {
        let update = mock!(Client::update_service)
            .match_requests(|r| r.force_new_deployment() == Some(true))
            .then_output(|| UpdateServiceOutput::builder().build());
        let mut wanted = want();
        wanted.capacity_strategy.pop_last();
        let status = ServiceDeploymentStatus::InProgress;
        let (busy, told) = (deployments(Some(status.clone())), described(status));
        let (answer, writes) = updated(&[&busy, &told, &update], &wanted).await;
        assert!(answer.is_err());
        assert_eq!(writes, 0);
        let (answer, writes) = updated(&[&deployments(None), &update], &wanted).await;
        assert!(answer.is_ok());
        assert_eq!(writes, 1);
    }

    #[tokio::test]
    async fn a_change_of_the_load_balancing_leaves_the_colours_where_they_are() {
        let swapped = ("arn:green".into(), "arn:blue".into());
        let now = in_aws()
            .set_load_balancers(Some(vec![load_balancer(&want(), swapped)]))
            .build();
        let describe = mock!(Client::describe_services).then_output(move || {
            DescribeServicesOutput::builder()
                .services(now.clone())
                .build()
        });
        let update = mock!(Client::update_service)
            .match_requests(|r| {
                let balancer = &r.load_balancers()[0];
                let advanced = balancer.advanced_configuration().unwrap();
                balancer.target_group_arn() == Some("arn:green")
                    && advanced.alternate_target_group_arn() == Some("arn:blue")
                    && advanced.test_listener_rule() == Some("arn:test-2")
            })
            .then_output(|| UpdateServiceOutput::builder().build());
        let wanted = ServiceSpec {
            test_listener_rule: "arn:test-2".into(),
            ..want()
        };
        let (answer, _) = updated(&[&deployments(None), &describe, &update], &wanted).await;
        assert!(answer.is_ok());
    }

    #[tokio::test]
    async fn delete_forces_and_takes_a_gone_service_for_done() {
        let delete = mock!(Client::delete_service)
            .match_requests(|r| r.force() == Some(true))
            .then_error(|| {
                let meta = ErrorMetadata::builder().code("ServiceNotFoundException");
                let error = ServiceNotFoundException::builder().meta(meta.build());
                DeleteServiceError::ServiceNotFoundException(error.build())
            });
        let aws = mocked(&[&deployments(None), &delete]);
        let live = seen(&in_aws().build());
        Service::delete(&aws, &scope("service"), &live)
            .await
            .unwrap();
        assert_eq!(delete.num_calls(), 1);
    }
}
