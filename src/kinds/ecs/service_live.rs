//! A service as AWS shows it, in the terms of its settings: what scaling and releases own is
//! reported as wanted, so that `up` never undoes it (law 6; field guide, section 9).

use aws_sdk_ecs::types::{
    AdvancedConfiguration, AssignPublicIp, AvailabilityZoneRebalancing, AwsVpcConfiguration,
    DeploymentConfiguration, LoadBalancer, NetworkConfiguration, Service as AwsService,
};

use super::deployment::{DeploymentStrategy, alarms_of, pauses, unsigned};
use super::running;
use super::service::{Service, ServiceOutputs, cluster_name};
use super::service_progress::{is_under_release, progress};
use super::service_spec::{PropagateTags, ServiceSpec};
use super::{TaskDefinitionArn, capacity, ordered_like, tags_of};
use crate::aws::{incomplete, missing};
use crate::kinds::elbv2::TargetGroupArn;
use crate::resource::{Condition, Last, Live, Resolved, Result, Scope};

/// Maps a service; an `INACTIVE` one is the tombstone of a deleted one.
pub(super) fn live(
    service: &AwsService,
    want: &ServiceSpec<Resolved>,
    last: Option<&Last<Service>>,
    scope: &Scope,
) -> Result<Option<Live<Service>>> {
    let condition = match service.status().unwrap_or_default() {
        "INACTIVE" => return Ok(None),
        "DRAINING" => Condition::Deleting,
        "ACTIVE" => progress(service, scope),
        status => Condition::Pending(status.to_owned()),
    };
    let field = |name| missing("ecs:DescribeServices", name);
    let cluster = service.cluster_arn().ok_or_else(field("clusterArn"))?;
    let name = service.service_name().ok_or_else(field("serviceName"))?;
    let arn = service.service_arn().ok_or_else(field("serviceArn"))?;
    let deployment = service.deployment_configuration();
    let network = service
        .network_configuration()
        .and_then(NetworkConfiguration::awsvpc_configuration);
    let balancer = service.load_balancers().first();
    let advanced = balancer.and_then(LoadBalancer::advanced_configuration);
    let advanced = |field: fn(&AdvancedConfiguration) -> Option<&str>| {
        advanced.and_then(field).unwrap_or_default()
    };
    let (target_group, alternate_target_group) = if same_colours(want, service) {
        (
            want.target_group.clone(),
            want.alternate_target_group.clone(),
        )
    } else {
        groups(service)
    };
    let under_release = is_under_release(service, scope);
    let port = balancer.and_then(LoadBalancer::container_port);
    let count = unsigned(service.desired_count());
    Ok(Some(Live {
        outputs: ServiceOutputs {
            arn: arn.into(),
            name: name.to_owned(),
            cluster_name: cluster_name(cluster),
        },
        spec: ServiceSpec {
            name: name.to_owned(),
            cluster: cluster.into(),
            vpc: last.map_or(&want.vpc, |last| &last.spec.vpc).clone(),
            task_definition: task_definition(service, want, last, scope),
            // Only a parked service can differ from the wanted number.
            desired_count: if count == 0 { 0 } else { want.desired_count },
            subnets: ordered_like(
                &want.subnets,
                strings(network.map(AwsVpcConfiguration::subnets)),
            ),
            security_groups: ordered_like(
                &want.security_groups,
                strings(network.map(AwsVpcConfiguration::security_groups)),
            ),
            assign_public_ip: network.and_then(AwsVpcConfiguration::assign_public_ip)
                == Some(&AssignPublicIp::Enabled),
            container_name: balancer
                .and_then(LoadBalancer::container_name)
                .unwrap_or_default()
                .to_owned(),
            container_port: port
                .and_then(|port| port.try_into().ok())
                .unwrap_or_default(),
            target_group,
            alternate_target_group,
            production_listener_rule: advanced(AdvancedConfiguration::production_listener_rule)
                .into(),
            test_listener_rule: advanced(AdvancedConfiguration::test_listener_rule).into(),
            infrastructure_role: advanced(AdvancedConfiguration::role_arn).into(),
            capacity_strategy: capacity::from_aws(service.capacity_provider_strategy()),
            health_check_grace_seconds: service
                .health_check_grace_period_seconds()
                .map_or(0, unsigned),
            enable_execute_command: service.enable_execute_command(),
            availability_zone_rebalancing: service.availability_zone_rebalancing()
                == Some(&AvailabilityZoneRebalancing::Enabled),
            strategy: match under_release {
                true => want.strategy,
                false => DeploymentStrategy::from_aws(deployment),
            },
            bake_minutes: match under_release {
                true => want.bake_minutes,
                false => deployment
                    .and_then(DeploymentConfiguration::bake_time_in_minutes)
                    .map_or(0, unsigned),
            },
            pauses: !under_release && pauses(deployment),
            alarms: ordered_like(&want.alarms, alarms_of(deployment)),
            propagate_tags: PropagateTags::from_aws(service.propagate_tags()),
            enable_ecs_managed_tags: service.enable_ecs_managed_tags(),
            tags: tags_of(service.tags()),
        },
        condition,
    }))
}

/// The running revision, if it is one of the stack. One of others is a release's business, unless the declaration names another one than it
/// did when it was last applied, or the service runs another family.
fn task_definition(
    service: &AwsService,
    want: &ServiceSpec<Resolved>,
    last: Option<&Last<Service>>,
    scope: &Scope,
) -> TaskDefinitionArn {
    let running = service.task_definition().unwrap_or_default();
    if running::own_revision(scope) == Some(running) {
        return running.into();
    }
    let applied = last.is_none_or(|last| last.spec.task_definition == want.task_definition);
    if applied && family(running) == family(&want.task_definition) {
        want.task_definition.clone()
    } else {
        running.into()
    }
}

/// A revision's ARN without the number.
fn family(arn: &str) -> &str {
    arn.rsplit_once(':').map_or(arn, |(family, _)| family)
}

fn groups(service: &AwsService) -> (TargetGroupArn, TargetGroupArn) {
    let balancer = service.load_balancers().first();
    let group = balancer.and_then(LoadBalancer::target_group_arn);
    let alternate = balancer
        .and_then(LoadBalancer::advanced_configuration)
        .and_then(AdvancedConfiguration::alternate_target_group_arn);
    (
        group.unwrap_or_default().into(),
        alternate.unwrap_or_default().into(),
    )
}

/// Says whether the service has the two wanted target groups, whichever of them has the traffic.
fn same_colours(want: &ServiceSpec<Resolved>, service: &AwsService) -> bool {
    let wanted = (&want.target_group, &want.alternate_target_group);
    let (one, other) = groups(service);
    wanted == (&one, &other) || wanted == (&other, &one)
}

/// The two target groups to send: as the service has them now if they are the wanted ones, because
/// swapping them would move the traffic.
pub(super) fn colours(
    want: &ServiceSpec<Resolved>,
    now: Option<&AwsService>,
) -> (TargetGroupArn, TargetGroupArn) {
    match now {
        Some(service) if same_colours(want, service) => groups(service),
        _ => (
            want.target_group.clone(),
            want.alternate_target_group.clone(),
        ),
    }
}

/// The whole load balancer block, for a request.
pub(super) fn load_balancer(
    want: &ServiceSpec<Resolved>,
    (group, alternate): (TargetGroupArn, TargetGroupArn),
) -> LoadBalancer {
    let advanced = AdvancedConfiguration::builder()
        .alternate_target_group_arn(&*alternate)
        .production_listener_rule(&*want.production_listener_rule)
        .test_listener_rule(&*want.test_listener_rule)
        .role_arn(&*want.infrastructure_role);
    LoadBalancer::builder()
        .target_group_arn(&*group)
        .container_name(&want.container_name)
        .container_port(want.container_port.into())
        .advanced_configuration(advanced.build())
        .build()
}

/// The whole network block, for a request.
pub(super) fn network(
    operation: &'static str,
    want: &ServiceSpec<Resolved>,
) -> Result<NetworkConfiguration> {
    let subnets = want.subnets.iter().map(ToString::to_string).collect();
    let groups = want.security_groups.iter().map(ToString::to_string);
    let network = AwsVpcConfiguration::builder()
        .set_subnets(Some(subnets))
        .set_security_groups(Some(groups.collect()))
        .assign_public_ip(if want.assign_public_ip {
            AssignPublicIp::Enabled
        } else {
            AssignPublicIp::Disabled
        })
        .build()
        .map_err(incomplete(operation))?;
    Ok(NetworkConfiguration::builder()
        .awsvpc_configuration(network)
        .build())
}

fn strings<T: for<'a> From<&'a str>>(texts: Option<&[String]>) -> Vec<T> {
    let texts = texts.unwrap_or_default();
    texts.iter().map(|text| text.as_str().into()).collect()
}

#[cfg(test)]
pub(super) mod testing {
    //! A service and what AWS has of it.

    use std::collections::BTreeMap;

    use aws_sdk_ecs::types::{
        Deployment, DeploymentRolloutState, PropagateTags as AwsPropagateTags, Tag,
    };

    use super::super::running::Running;
    use super::*;
    use crate::aws::testing::scope;
    use crate::kinds::ecs::CapacityProviderStrategyItem;
    use crate::kinds::ecs::deployment::configuration;
    use crate::resource::{NODE_TAG, Tags};

    pub(in super::super) fn revision(number: u32) -> String {
        format!("arn:aws:ecs:us-east-1:123456789012:task-definition/order-api-dev:{number}")
    }

    pub(in super::super) fn want() -> ServiceSpec<Resolved> {
        let item = |capacity_provider: &str| CapacityProviderStrategyItem {
            capacity_provider: capacity_provider.into(),
            weight: 1,
            base: 0,
        };
        ServiceSpec {
            name: "order-api-dev".into(),
            cluster: "arn:aws:ecs:us-east-1:123456789012:cluster/order-api-dev".into(),
            vpc: "vpc-1".into(),
            task_definition: revision(1).as_str().into(),
            desired_count: 3,
            subnets: vec!["subnet-2".into(), "subnet-1".into()],
            security_groups: vec!["sg-1".into()],
            assign_public_ip: false,
            container_name: "order-api".into(),
            container_port: 8080,
            target_group: "arn:blue".into(),
            alternate_target_group: "arn:green".into(),
            production_listener_rule: "arn:production".into(),
            test_listener_rule: "arn:test".into(),
            infrastructure_role: "arn:aws:iam::123456789012:role/ecs-lb-dev".into(),
            capacity_strategy: [item("FARGATE"), item("FARGATE_SPOT")].into(),
            health_check_grace_seconds: 60,
            enable_execute_command: true,
            availability_zone_rebalancing: true,
            strategy: DeploymentStrategy::Canary {
                percent: 10.0,
                bake_minutes: 5,
            },
            bake_minutes: 15,
            pauses: false,
            alarms: vec!["order-api-high-errors-dev".into()],
            propagate_tags: PropagateTags::Service,
            enable_ecs_managed_tags: true,
            tags: Tags::from_pairs([(NODE_TAG, "service")]),
        }
    }

    /// The service of [`want`] in AWS, running its tasks, with lists in another order.
    pub(in super::super) fn in_aws() -> aws_sdk_ecs::types::builders::ServiceBuilder {
        let want = want();
        let reversed = ServiceSpec {
            subnets: want.subnets.iter().rev().cloned().collect(),
            ..want.clone()
        };
        let strategy = capacity::to_aws("test", &want.capacity_strategy);
        AwsService::builder()
            .service_arn("arn:aws:ecs:us-east-1:123456789012:service/order-api-dev/order-api-dev")
            .service_name(&want.name)
            .cluster_arn(&*want.cluster)
            .status("ACTIVE")
            .task_definition(revision(1))
            .desired_count(3)
            .running_count(3)
            .network_configuration(network("test", &reversed).unwrap())
            .load_balancers(load_balancer(&want, colours(&want, None)))
            .set_capacity_provider_strategy(strategy.unwrap())
            .deployment_configuration(configuration("test", &want).unwrap())
            .deployments(rollout(DeploymentRolloutState::Completed))
            .health_check_grace_period_seconds(60)
            .enable_execute_command(true)
            .availability_zone_rebalancing(AvailabilityZoneRebalancing::Enabled)
            .propagate_tags(AwsPropagateTags::Service)
            .enable_ecs_managed_tags(true)
            .tags(Tag::builder().key(NODE_TAG).value("service").build())
    }

    pub(in super::super) fn rollout(state: DeploymentRolloutState) -> Deployment {
        Deployment::builder()
            .id("ecs-svc/2")
            .status("PRIMARY")
            .running_count(3)
            .rollout_state(state)
            .rollout_state_reason("why")
            .build()
    }

    pub(in super::super) fn seen(service: &AwsService) -> Live<Service> {
        live(service, &want(), None, &scope("service"))
            .unwrap()
            .unwrap()
    }

    pub(in super::super) fn last() -> Last<Service> {
        Last {
            outputs: seen(&in_aws().build()).outputs,
            spec: want(),
        }
    }

    /// What a run finds out about revision 9 of the stack.
    pub(in super::super) fn facts(deployment: &str) -> BTreeMap<&'static str, String> {
        let running = Running {
            deployment: deployment.into(),
            revision: revision(9),
            is_the_stacks: true,
            has_tasks: true,
            released_image: None,
        };
        running.facts()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::testing::*;
    use super::*;
    use crate::aws::testing::scope;
    use crate::resource::diff;

    fn changed(service: &AwsService, want: &ServiceSpec<Resolved>) -> Vec<String> {
        let live = live(service, want, Some(&last()), &scope("service"))
            .unwrap()
            .unwrap();
        diff(&json!(want), &json!(live.spec), None).names()
    }

    #[test]
    fn every_field_is_mapped_back_whatever_the_order() {
        let live = seen(&in_aws().build());
        assert_eq!(live.spec, want());
        assert_eq!(live.outputs.cluster_name, "order-api-dev");
        assert_eq!(live.condition, Condition::Ready);
    }

    #[test]
    fn what_a_release_and_scaling_changed_is_not_undone() {
        let swapped = ("arn:green".into(), "arn:blue".into());
        let service = in_aws()
            .task_definition(revision(9))
            .desired_count(7)
            .set_load_balancers(Some(vec![load_balancer(&want(), swapped)]))
            .build();
        assert!(changed(&service, &want()).is_empty());
        assert_eq!(seen(&service).spec, want(), "without any record too");
    }

    #[test]
    fn a_revision_of_the_stack_is_told_as_it_is_because_the_task_definition_decides() {
        let mut scope = scope("service");
        scope.facts = facts("ecs-svc/2");
        let service = in_aws().task_definition(revision(9)).build();
        let live = live(&service, &want(), Some(&last()), &scope)
            .unwrap()
            .unwrap();
        assert_eq!(*live.spec.task_definition, *revision(9));
    }

    #[test]
    fn a_newly_declared_revision_another_family_and_a_foreign_target_group_are_changes() {
        let mut wanted = want();
        wanted.task_definition = revision(10).as_str().into();
        let released = in_aws().task_definition(revision(9)).build();
        assert_eq!(changed(&released, &wanted), ["task_definition"]);
        let other = in_aws().task_definition("arn:task-definition/other:1");
        assert_eq!(changed(&other.build(), &want()), ["task_definition"]);
        let foreign = ("arn:blue".into(), "arn:foreign".into());
        let foreign = vec![load_balancer(&want(), foreign)];
        let foreign = in_aws().set_load_balancers(Some(foreign)).build();
        assert_eq!(changed(&foreign, &want()), ["alternate_target_group"]);
    }

    #[test]
    fn a_parked_service_is_unparked_and_a_running_one_is_never_parked() {
        let parked = in_aws().desired_count(0).running_count(0).build();
        assert_eq!(changed(&parked, &want()), ["desired_count"]);
        let parking = ServiceSpec {
            desired_count: 0,
            ..want()
        };
        assert!(changed(&in_aws().build(), &parking).is_empty());
    }

    #[test]
    fn settings_that_were_switched_off_by_hand_are_changes() {
        let switched_off = DeploymentConfiguration::builder()
            .alarms(
                aws_sdk_ecs::types::DeploymentAlarms::builder()
                    .alarm_names("order-api-high-errors-dev")
                    .enable(false)
                    .rollback(true)
                    .build()
                    .unwrap(),
            )
            .strategy(aws_sdk_ecs::types::DeploymentStrategy::Rolling)
            .bake_time_in_minutes(15)
            .build();
        let service = in_aws().deployment_configuration(switched_off).build();
        assert_eq!(changed(&service, &want()), ["strategy", "alarms"]);
    }

    #[test]
    fn a_draining_service_is_going_and_an_inactive_one_is_gone() {
        let draining = in_aws().status("DRAINING").build();
        assert_eq!(seen(&draining).condition, Condition::Deleting);
        let tombstone = in_aws().status("INACTIVE").build();
        assert!(
            live(&tombstone, &want(), Some(&last()), &scope("service"))
                .unwrap()
                .is_none()
        );
    }
}
