//! The settings of `ecs/service`.

use std::collections::BTreeSet;

use aws_sdk_ecs::types::PropagateTags as AwsPropagateTags;
use serde::{Deserialize, Serialize};

use super::capacity::CapacityProviderStrategyItem;
use super::deployment::DeploymentStrategy;
use super::{ClusterArn, TaskDefinitionArn};
use crate::kinds::ec2::{SecurityGroupId, SubnetId, VpcId};
use crate::kinds::elbv2::{RuleArn, TargetGroupArn};
use crate::kinds::iam::RoleArn;
use crate::resource::{Stage, Tags};

/// The settings of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct ServiceSpec<S: Stage> {
    /// Its name, one per cluster.
    pub name: String,
    /// The cluster it is part of.
    pub cluster: S::In<ClusterArn>,
    /// The VPC of its subnets. AWS does not return it; another one forces a replacement.
    pub vpc: S::In<VpcId>,
    /// The declared revision. A release may run another one of the same family.
    pub task_definition: S::In<TaskDefinitionArn>,
    /// How many tasks to start with; 0 parks the service. Scaling owns the number from then on: only
    /// a parked service that is wanted with tasks is a difference.
    pub desired_count: u32,
    /// The subnets of its tasks; a set.
    pub subnets: Vec<S::In<SubnetId>>,
    /// The security groups of its tasks; a set.
    pub security_groups: Vec<S::In<SecurityGroupId>>,
    /// Whether its tasks get a public address.
    pub assign_public_ip: bool,
    /// The container that takes the traffic.
    pub container_name: String,
    /// The port of that container.
    pub container_port: u16,
    /// The target group of the first colour.
    pub target_group: S::In<TargetGroupArn>,
    /// The target group of the other colour.
    pub alternate_target_group: S::In<TargetGroupArn>,
    /// The listener rule whose weights ECS shifts.
    pub production_listener_rule: S::In<RuleArn>,
    /// The listener rule that shows a new revision before production does.
    pub test_listener_rule: S::In<RuleArn>,
    /// The role ECS takes to shift the traffic.
    pub infrastructure_role: S::In<RoleArn>,
    /// How its tasks are shared out among capacity providers.
    pub capacity_strategy: BTreeSet<CapacityProviderStrategyItem>,
    /// For how long after its start a task's failing health checks are ignored, in seconds.
    pub health_check_grace_seconds: u32,
    /// Whether ECS Exec can open a session in its tasks.
    pub enable_execute_command: bool,
    /// Whether ECS evens out the tasks over the Availability Zones.
    pub availability_zone_rebalancing: bool,
    /// How traffic moves to a new revision.
    pub strategy: DeploymentStrategy,
    /// For how long both colours run after all traffic has moved, in minutes.
    pub bake_minutes: u32,
    /// Whether a deployment pauses for somebody's word. Only a release that is tried first does.
    #[serde(default)]
    pub pauses: bool,
    /// Names of the CloudWatch alarms that roll a deployment back; a set.
    pub alarms: Vec<S::In<String>>,
    /// From where its tasks take their tags.
    pub propagate_tags: PropagateTags,
    /// Whether ECS tags the tasks with cluster and service.
    pub enable_ecs_managed_tags: bool,
    /// Its tags.
    pub tags: Tags,
}

/// Where the tasks of a service take their tags from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PropagateTags {
    /// From the service.
    Service,
    /// From the revision of the task definition.
    TaskDefinition,
    /// From nowhere.
    None,
}

impl PropagateTags {
    pub(super) fn to_aws(self) -> AwsPropagateTags {
        match self {
            Self::Service => AwsPropagateTags::Service,
            Self::TaskDefinition => AwsPropagateTags::TaskDefinition,
            Self::None => AwsPropagateTags::None,
        }
    }

    pub(super) fn from_aws(value: Option<&AwsPropagateTags>) -> Self {
        match value {
            Some(AwsPropagateTags::Service) => Self::Service,
            Some(AwsPropagateTags::TaskDefinition) => Self::TaskDefinition,
            _ => Self::None,
        }
    }
}
