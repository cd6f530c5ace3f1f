//! What was released before. ECS keeps it for 90 days: deployments, the revisions they brought out,
//! and on those the tags that say who and what.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::aws::Aws;
use crate::resource::Result;
use crate::service::ServiceName;
use crate::service::deployments::{Deployment, latest};
use crate::service::revisions::{ReleaseTags, release_tags, targets};

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
    let mut tags: BTreeMap<String, ReleaseTags> = BTreeMap::new();
    let mut entries = Vec::new();
    for deployment in deployments {
        let Some(target) = revisions.get(&deployment.target.revision) else {
            continue;
        };
        if !tags.contains_key(&target.definition) {
            let read = release_tags(aws, &target.definition).await?;
            tags.insert(target.definition.clone(), read);
        }
        let ReleaseTags { named, by } = tags.get(&target.definition).cloned().unwrap_or_default();
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
/// rollback brings back. A parked service is deployed well too, without ever running its image: ECS
/// knows no digest of that.
pub fn previous<'a>(entries: &'a [Entry], running: &str) -> Option<&'a Entry> {
    let has_run = |entry: &&Entry| entry.digest.is_some() || entry.image.contains('@');
    let good = entries
        .iter()
        .filter(|entry| entry.deployment.is_successful());
    good.filter(has_run).find(|entry| entry.revision != running)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(revision: &str, status: &str) -> Entry {
        let deployment = Deployment {
            arn: format!("arn:{revision}:{status}"),
            status: status.into(),
            ..Deployment::default()
        };
        Entry {
            deployment,
            revision: revision.into(),
            image: String::new(),
            digest: Some("sha256:abc".into()),
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
        let mut parked = entry("td:1", "SUCCESSFUL");
        parked.digest = None;
        assert!(previous(&[entry("td:2", "SUCCESSFUL"), parked], "td:2").is_none());
    }
}
