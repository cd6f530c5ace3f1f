//! What a deployment brings out: the service revision, its task definition and image, and the tags by
//! which a release says what it is.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{ServiceRevision, TaskDefinitionField};

use super::deployments::Deployment;
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;

/// The tag of a task definition's revision that holds the image as whoever released it named it.
pub const IMAGE_TAG: &str = "orderctl:image";
/// The tag that holds who released it.
pub const BY_TAG: &str = "orderctl:released-by";

/// How many revisions one `ecs:DescribeServiceRevisions` takes.
pub const AT_ONCE: usize = 20;

/// What a service revision runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// ARN of its task definition.
    pub definition: String,
    /// The image.
    pub image: String,
    /// The digest that the image meant, where ECS resolved it.
    pub digest: Option<String>,
    /// The target group its tasks are put into.
    pub target_group: Option<String>,
}

/// Reads what deployments bring out, by the ARN of the service revision. `container` is the one whose
/// image is told.
///
/// Asks `ecs:DescribeServiceRevisions`; fails as that call does.
pub async fn targets(
    aws: &Aws,
    deployments: &[Deployment],
    container: &str,
) -> Result<BTreeMap<String, Target>> {
    let mut arns: Vec<String> = deployments
        .iter()
        .map(|deployment| deployment.target.revision.clone())
        .filter(|arn| !arn.is_empty())
        .collect();
    arns.sort();
    arns.dedup();
    let mut found = BTreeMap::new();
    for some in arns.chunks(AT_ONCE) {
        let answer = aws
            .ecs
            .describe_service_revisions()
            .set_service_revision_arns(Some(some.to_vec()))
            .send()
            .await
            .of("ecs:DescribeServiceRevisions")?;
        found.extend(answer.service_revisions().iter().map(|revision| {
            let arn = revision.service_revision_arn().unwrap_or_default();
            (arn.to_owned(), target(revision, container))
        }));
    }
    Ok(found)
}

fn target(revision: &ServiceRevision, container: &str) -> Target {
    let mut images = revision.container_images().iter();
    let image = images.find(|image| image.container_name() == Some(container));
    let resolved = revision.resolved_configuration();
    let groups = resolved.map_or(&[][..], |resolved| resolved.load_balancers());
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Target {
        definition: text(revision.task_definition()),
        image: text(image.and_then(|image| image.image())),
        digest: image
            .and_then(|image| image.image_digest())
            .map(str::to_owned),
        target_group: groups
            .first()
            .and_then(|group| group.target_group_arn())
            .map(str::to_owned),
    }
}

/// What the tags of a task definition's revision say of its release; `up` sets none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseTags {
    /// The image as it was named.
    pub named: Option<String>,
    /// Who released it.
    pub by: Option<String>,
}

/// Reads the tags of a task definition's revision. One that was deleted since has none.
///
/// Asks `ecs:DescribeTaskDefinition`; fails as that call does.
pub async fn release_tags(aws: &Aws, revision: &str) -> Result<ReleaseTags> {
    let answer = aws
        .ecs
        .describe_task_definition()
        .task_definition(revision)
        .include(TaskDefinitionField::Tags)
        .send()
        .await
        .of("ecs:DescribeTaskDefinition")
        // That is how ECS says that there is none.
        .gone_is_none(&["ClientException"])?;
    let value = |key: &str| {
        let mut tags = answer.iter().flat_map(|answer| answer.tags());
        let found = tags.find(|tag| tag.key() == Some(key));
        found.and_then(|tag| tag.value()).map(str::to_owned)
    };
    Ok(ReleaseTags {
        named: value(IMAGE_TAG),
        by: value(BY_TAG),
    })
}
