//! What the service runs: a question that comes before the declaration, because what a release
//! brought out is declared from then on (law 6).

use std::collections::BTreeMap;

use super::task_definition_revisions::read;
use crate::aws::Aws;
use crate::resource::{Result, STACK_TAG, Scope};
use crate::service::{ServiceName, describe};

/// The revision a service runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Id of the primary deployment, `ecs-svc/…`.
    pub deployment: String,
    /// ARN of the revision that this deployment brings out.
    pub revision: String,
    /// Whether that revision is one of the stack.
    pub is_the_stacks: bool,
    /// Whether it is to have any tasks.
    pub has_tasks: bool,
    /// The image, where a release chose it: one given by its digest, or that of a running revision
    /// which is not the stack's. `up` itself names images by the declared tag.
    pub released_image: Option<String>,
}

/// Names of [`Scope::facts`].
const DEPLOYMENT: &str = "ecs:primary-deployment";
const REVISION: &str = "ecs:running-revision";
const STACKS: &str = "ecs:running-revision-is-the-stacks";

impl Running {
    /// What the kinds of this service ask of it.
    pub fn facts(&self) -> BTreeMap<&'static str, String> {
        let mut facts = BTreeMap::from([
            (DEPLOYMENT, self.deployment.clone()),
            (REVISION, self.revision.clone()),
        ]);
        if self.is_the_stacks {
            facts.insert(STACKS, self.revision.clone());
        }
        facts
    }
}

/// The revision that ran when the run began: it counts as the wanted one if its content is, whatever
/// was registered since.
pub(super) fn revision(scope: &Scope) -> Option<&str> {
    scope.facts.get(REVISION).map(String::as_str)
}

/// The same, if it is one of the stack: what runs is then told as it is, and the task definition
/// decides whether it is the wanted one.
pub(super) fn own_revision(scope: &Scope) -> Option<&str> {
    scope.facts.get(STACKS).map(String::as_str)
}

/// The deployment that was the primary one when the run began. While it is under way it is a
/// release's, and the run neither waits for it nor changes what it works with (law 6).
pub(super) fn deployment(scope: &Scope) -> Option<&str> {
    scope.facts.get(DEPLOYMENT).map(String::as_str)
}

/// Reads what a service runs; nothing where there is no service.
///
/// Asks `ecs:DescribeServices` and `ecs:DescribeTaskDefinition`; fails as those calls do.
pub async fn running(aws: &Aws, stack: &str, name: &ServiceName) -> Result<Option<Running>> {
    let found = describe(aws, name).await?;
    let Some(service) = found.filter(|service| service.status() == Some("ACTIVE")) else {
        return Ok(None);
    };
    let mut deployments = service.deployments().iter();
    let primary = deployments.find(|deployment| deployment.status() == Some("PRIMARY"));
    let Some((revision, deployment)) = service
        .task_definition()
        .zip(primary.and_then(|primary| primary.id()))
    else {
        return Ok(None);
    };
    let Some(found) = read(aws, revision).await? else {
        return Ok(None);
    };
    let containers = found.definition.container_definitions();
    let image = containers.first().and_then(|container| container.image());
    let is_the_stacks = found.tags.0.get(STACK_TAG).is_some_and(|tag| tag == stack);
    let has_tasks = service.desired_count() > 0;
    let is_released = |image: &&str| image.contains('@') || (has_tasks && !is_the_stacks);
    Ok(Some(Running {
        deployment: deployment.to_owned(),
        revision: revision.to_owned(),
        is_the_stacks,
        has_tasks,
        released_image: image.filter(is_released).map(str::to_owned),
    }))
}
