//! What was released before. ECS keeps it for 90 days: deployments, the revisions they brought out,
//! and on those the tags that say who and what.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::TaskDefinitionField;
use jiff::Timestamp;

use super::ServiceName;
use super::deployment::{Deployment, latest};
use crate::aws::{Answer, Aws};
use crate::kinds::ecs::{BY_TAG, IMAGE_TAG};
use crate::resource::Result;

/// One deployment and what it brought out.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The deployment.
    pub deployment: Deployment,
    /// ARN of the revision of the task definition.
    pub revision: String,
    /// The image as the revision names it.
    pub image: String,
    /// The digest that ran, where ECS knows it.
    pub digest: Option<String>,
    /// The image as the person named it; none for what `up` deployed.
    pub named: Option<String>,
    /// Who released it; none for what `up` deployed.
    pub by: Option<String>,
}

impl Entry {
    /// The number of the revision.
    pub fn number(&self) -> &str {
        self.revision.rsplit(':').next().unwrap_or(&self.revision)
    }

    /// When it ended, or else began.
    pub fn at(&self) -> Option<Timestamp> {
        self.deployment.finished.or(self.deployment.created)
    }
}

/// The newest deployments of a service, newest first, as many as `limit`. `container` is the one
/// whose image is told.
///
/// Asks `ecs:ListServiceDeployments`, `ecs:DescribeServiceDeployments`,
/// `ecs:DescribeServiceRevisions` and `ecs:DescribeTaskDefinition`; fails as those do.
pub async fn entries(
    aws: &Aws,
    name: &ServiceName,
    container: &str,
    limit: usize,
) -> Result<Vec<Entry>> {
    let deployments = latest(aws, name, limit).await?;
    let revisions = targets(aws, &deployments, container).await?;
    let mut tags: BTreeMap<String, Tags> = BTreeMap::new();
    let mut entries = Vec::new();
    for deployment in deployments {
        let Some(target) = revisions.get(&deployment.target.revision) else {
            continue;
        };
        if !tags.contains_key(&target.definition) {
            let read = tags_of(aws, &target.definition).await?;
            tags.insert(target.definition.clone(), read);
        }
        let (named, by) = tags.get(&target.definition).cloned().unwrap_or_default();
        entries.push(Entry {
            deployment,
            revision: target.definition.clone(),
            image: target.image.clone(),
            digest: target.digest.clone(),
            named,
            by,
        });
    }
    Ok(entries)
}

/// The newest entry that went well and brought out another revision than the one that runs: what a
/// rollback brings back.
pub fn previous<'a>(entries: &'a [Entry], running: &str) -> Option<&'a Entry> {
    let mut good = entries
        .iter()
        .filter(|entry| entry.deployment.is_successful());
    good.find(|entry| entry.revision != running)
}

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

/// Reads what deployments bring out, by the ARN of the service revision.
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
    // As many as one call takes.
    for some in arns.chunks(20) {
        let answer = aws
            .ecs
            .describe_service_revisions()
            .set_service_revision_arns(Some(some.to_vec()))
            .send()
            .await
            .of("ecs:DescribeServiceRevisions")?;
        for revision in answer.service_revisions() {
            let mut images = revision.container_images().iter();
            let image = images.find(|image| image.container_name() == Some(container));
            let resolved = revision.resolved_configuration();
            let groups = resolved.map_or(&[][..], |resolved| resolved.load_balancers());
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            let target = Target {
                definition: text(revision.task_definition()),
                image: text(image.and_then(|image| image.image())),
                digest: image
                    .and_then(|image| image.image_digest())
                    .map(str::to_owned),
                target_group: groups
                    .first()
                    .and_then(|group| group.target_group_arn())
                    .map(str::to_owned),
            };
            found.insert(text(revision.service_revision_arn()), target);
        }
    }
    Ok(found)
}

/// The image as it was named, and who released it.
type Tags = (Option<String>, Option<String>);

async fn tags_of(aws: &Aws, revision: &str) -> Result<Tags> {
    let answer = aws
        .ecs
        .describe_task_definition()
        .task_definition(revision)
        .include(TaskDefinitionField::Tags)
        .send()
        .await
        .of("ecs:DescribeTaskDefinition");
    let answer = match answer {
        Ok(answer) => answer,
        // Deleted since; the deployment is still known.
        Err(error) if error.is(&["ClientException"]) => return Ok(Tags::default()),
        Err(error) => return Err(error),
    };
    let value = |key: &str| {
        let mut tags = answer.tags().iter();
        let found = tags.find(|tag| tag.key() == Some(key));
        found.and_then(|tag| tag.value()).map(str::to_owned)
    };
    Ok((value(IMAGE_TAG), value(BY_TAG)))
}

#[cfg(test)]
mod tests {
    use super::super::deployment::Version;
    use super::*;

    fn entry(revision: &str, status: &str) -> Entry {
        let deployment = Deployment {
            arn: format!("arn:{revision}:{status}"),
            status: status.into(),
            reason: None,
            stage: None,
            created: None,
            finished: None,
            target: Version::default(),
            sources: Vec::new(),
            pause: None,
            triggered_alarms: Vec::new(),
            watches_alarms: true,
        };
        Entry {
            deployment,
            revision: revision.into(),
            image: String::new(),
            digest: None,
            named: None,
            by: None,
        }
    }

    #[test]
    fn a_rollback_brings_back_the_last_other_revision_that_went_well() {
        let history = [
            entry("td:4", "ROLLBACK_SUCCESSFUL"),
            entry("td:3", "SUCCESSFUL"),
            entry("td:3", "SUCCESSFUL"),
            entry("td:2", "STOPPED"),
            entry("td:1", "SUCCESSFUL"),
        ];
        let found = previous(&history, "td:3").map(|entry| entry.revision.as_str());
        assert_eq!(found, Some("td:1"));
        assert!(previous(&history[..3], "td:3").is_none());
    }
}
