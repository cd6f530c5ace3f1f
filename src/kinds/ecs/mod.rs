//! Elastic Container Service: cluster, task definition and service.

mod capacity;
mod cluster;
mod deployment;
mod release;
mod running;
mod service;
mod service_live;
mod service_progress;
mod service_spec;
mod target_health;
mod task_definition;
mod task_definition_content;
mod task_definition_revisions;

use aws_sdk_ecs::types::Tag;

pub use capacity::CapacityProviderStrategyItem;
pub use cluster::{Cluster, ClusterOutputs, ClusterSpec, ContainerInsights};
pub use deployment::{DeploymentStrategy, alarms_of, deployment_configuration, pauses};
pub use release::register_release;
pub use running::{Running, running};
pub use service::{Service, ServiceOutputs};
pub use service_spec::{PropagateTags, ServiceSpec};
pub use task_definition::{
    Architecture, Container, ContainerHealthCheck, TaskDefinition, TaskDefinitionOutputs,
    TaskDefinitionSpec,
};
pub use task_definition_content::{CONTENT_TAG, content_hash};

use crate::aws::{Answer, Aws};
use crate::resource::{Result, Tags};

id_types! {
    /// ARN of an ECS cluster
    ClusterArn,
    /// ARN of one revision of a task definition, `…:task-definition/<family>:<revision>`
    TaskDefinitionArn,
    /// ARN of an ECS service
    ServiceArn,
}

fn tags_of(tags: &[Tag]) -> Tags {
    Tags::from_pairs(tags.iter().map(|tag| {
        (
            tag.key().unwrap_or_default(),
            tag.value().unwrap_or_default(),
        )
    }))
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

fn tag_on_create(tags: &Tags) -> Option<Vec<Tag>> {
    Some(tags.iter().map(|(key, value)| tag(key, value)).collect())
}

/// Brings the tags of a resource from `live` to `want`.
async fn change_tags(aws: &Aws, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let missing = want.missing_from(live);
    if !missing.is_empty() {
        aws.ecs
            .tag_resource()
            .resource_arn(arn)
            .set_tags(Some(missing.iter().map(|(k, v)| tag(k, v)).collect()))
            .send()
            .await
            .of("ecs:TagResource")?;
    }
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        aws.ecs
            .untag_resource()
            .resource_arn(arn)
            .set_tag_keys(Some(surplus))
            .send()
            .await
            .of("ecs:UntagResource")?;
    }
    Ok(())
}

/// Gives a set that AWS returns in any order in the order of `want`, followed by what `want` lacks,
/// so that two lists of the same members are equal.
fn ordered_like<T: Clone + Ord>(want: &[T], mut live: Vec<T>) -> Vec<T> {
    live.sort();
    live.sort_by_key(|item| {
        want.iter()
            .position(|wanted| wanted == item)
            .unwrap_or(usize::MAX)
    });
    live
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_in_another_order_is_the_same_set() {
        let live = vec!["c".to_owned(), "x".to_owned(), "a".to_owned()];
        let want = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        assert_eq!(ordered_like(&want, live), ["a", "c", "x"]);
    }
}
