//! The revision that a release brings out: the running one with another image. It is copied in
//! AWS's own terms, so that nothing gets lost that our settings cannot say.

use aws_sdk_ecs::types::{ContainerDefinition, TaskDefinition as AwsTaskDefinition};

use super::task_definition_content::{CONTENT_TAG, content_hash, spec_of};
use super::task_definition_revisions::{Revision, read, read_active};
use super::{TaskDefinitionArn, tag, tag_on_create};
use crate::aws::{Answer, Aws, missing};
use crate::resource::{Class, Error, Result, Tags};

const REGISTER: &str = "ecs:RegisterTaskDefinition";

/// Registers revision `base` once more with `image` in its container `container`, marked with the
/// tags of the release. One that the same release has registered before is taken again: a killed
/// release leaves no double.
///
/// Asks `ecs:DescribeTaskDefinition` and `ecs:RegisterTaskDefinition`.
///
/// # Errors
/// Those of the calls; `Refused` if the base or the container is not there.
pub async fn register_release(
    aws: &Aws,
    base: &str,
    container: &str,
    image: &str,
    release: &Tags,
) -> Result<TaskDefinitionArn> {
    let base = read(aws, base).await?.ok_or_else(|| {
        let message = format!("revision {base}, which the service runs, cannot be read");
        Error::new("ecs:DescribeTaskDefinition", Class::Refused, message)
            .with_advice("run `orderctl up`, which registers a new one, then release again")
    })?;
    let containers = with_image(&base.definition, container, image)?;
    let content = content_with(&base, image)?;
    let family = base.definition.family().unwrap_or_default();
    let is_it = |found: &Revision| {
        found.definition.container_definitions() == containers
            && found.content == content
            && release.missing_from(&found.tags).is_empty()
    };
    let registered = |found: Option<Revision>| {
        let found = found.filter(is_it)?;
        Some(found.outputs().arn)
    };
    if let Some(arn) = registered(read_active(aws, family).await?) {
        return Ok(arn);
    }
    match register(aws, &base, containers.clone(), content.as_deref(), release).await {
        // Each call mints a revision: after a lost answer a look tells whether one came of it.
        Err(error) if error.class() == Class::Unclear => {
            registered(read_active(aws, family).await?).ok_or(error)
        }
        answer => answer,
    }
}

fn with_image(
    base: &AwsTaskDefinition,
    container: &str,
    image: &str,
) -> Result<Vec<ContainerDefinition>> {
    let mut containers = base.container_definitions().to_vec();
    let mut found = containers.iter_mut();
    let Some(ours) = found.find(|one| one.name() == Some(container)) else {
        let arn = base.task_definition_arn().unwrap_or_default();
        let message =
            format!("revision {arn}, which the service runs, has no container `{container}`");
        return Err(Error::new(REGISTER, Class::Refused, message).with_advice(
            "run `orderctl up`, which registers the stack's own, then release again",
        ));
    };
    ours.image = Some(image.to_owned());
    Ok(containers)
}

/// The hash by which `up` knows the revision as the declared one; none for what is not the stack's.
fn content_with(base: &Revision, image: &str) -> Result<Option<String>> {
    let mut spec = spec_of(&base.definition, Tags::default());
    if base.content.as_ref() != Some(&content_hash(&spec)?) {
        return Ok(None);
    }
    image.clone_into(&mut spec.container.image);
    content_hash(&spec).map(Some)
}

async fn register(
    aws: &Aws,
    base: &Revision,
    containers: Vec<ContainerDefinition>,
    content: Option<&str>,
    release: &Tags,
) -> Result<TaskDefinitionArn> {
    let definition = base.definition.clone();
    let kept = |key: &str| !key.starts_with("aws:") && !release.0.contains_key(key);
    let inherited = base.tags.iter().filter(|(key, _)| kept(key.as_ref()));
    let tags = Tags::from_pairs(inherited.chain(release.iter()));
    let content = content.map(|content| tag(CONTENT_TAG, content));
    let tags = tag_on_create(&tags).into_iter().flatten().chain(content);
    let answer = aws
        .ecs
        .register_task_definition()
        .set_family(definition.family)
        .set_task_role_arn(definition.task_role_arn)
        .set_execution_role_arn(definition.execution_role_arn)
        .set_network_mode(definition.network_mode)
        .set_container_definitions(Some(containers))
        .set_volumes(definition.volumes)
        .set_placement_constraints(definition.placement_constraints)
        .set_requires_compatibilities(definition.requires_compatibilities)
        .set_cpu(definition.cpu)
        .set_memory(definition.memory)
        .set_pid_mode(definition.pid_mode)
        .set_ipc_mode(definition.ipc_mode)
        .set_proxy_configuration(definition.proxy_configuration)
        .set_ephemeral_storage(definition.ephemeral_storage)
        .set_runtime_platform(definition.runtime_platform)
        .set_enable_fault_injection(definition.enable_fault_injection)
        .set_tags(Some(tags.collect()))
        .send()
        .await
        .of(REGISTER)?;
    let registered = answer.task_definition();
    let arn = registered.and_then(AwsTaskDefinition::task_definition_arn);
    Ok(arn
        .ok_or_else(missing(REGISTER, "taskDefinitionArn"))?
        .into())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionOutput;
    use aws_sdk_ecs::operation::register_task_definition::RegisterTaskDefinitionOutput;
    use aws_sdk_ecs::types::Tag;
    use aws_smithy_mocks::{Rule, mock};

    use super::super::task_definition_content::testing::{arn, in_aws, want};
    use super::*;
    use crate::aws::testing::mocked;
    use crate::service::revisions::{BY_TAG, IMAGE_TAG};

    const IMAGE: &str = "repository@sha256:abc";

    fn release() -> Tags {
        Tags::from_pairs([(IMAGE_TAG, "v2"), (BY_TAG, "deployer")])
    }

    /// What AWS says of a revision with these tags, asked for by ARN or as the family's newest.
    fn described(name: String, definition: AwsTaskDefinition, tags: Vec<Tag>) -> Rule {
        mock!(Client::describe_task_definition)
            .match_requests(move |r| r.task_definition() == Some(&name))
            .then_output(move || {
                DescribeTaskDefinitionOutput::builder()
                    .task_definition(definition.clone())
                    .set_tags(Some(tags.clone()))
                    .build()
            })
    }

    fn tags(content: &str, more: &Tags) -> Vec<Tag> {
        let own = want().tags;
        let all = own.iter().chain(more.iter());
        all.map(|(key, value)| tag(key, value))
            .chain([tag(CONTENT_TAG, content)])
            .collect()
    }

    fn released_hash() -> String {
        let mut spec = want();
        spec.container.image = IMAGE.into();
        content_hash(&spec).unwrap()
    }

    fn registers() -> Rule {
        let hash = released_hash();
        mock!(Client::register_task_definition)
            .match_requests(move |r| {
                let has = |key: &str, value: &str| r.tags().contains(&tag(key, value));
                let (container, base) = (&r.container_definitions()[0], in_aws(1, &want()));
                container.image() == Some(IMAGE)
                    && container.health_check() == base.container_definitions()[0].health_check()
                    && r.task_role_arn() == base.task_role_arn()
                    && r.runtime_platform() == base.runtime_platform()
                    && has(CONTENT_TAG, &hash)
                    && has(IMAGE_TAG, "v2")
                    && r.tags().iter().all(|tag| tag.value() != Some("v1"))
            })
            .then_output(|| {
                let registered = in_aws(2, &want());
                RegisterTaskDefinitionOutput::builder()
                    .task_definition(registered)
                    .build()
            })
    }

    #[tokio::test]
    async fn it_is_the_running_revision_with_the_new_image_under_the_hash_up_looks_for() {
        let before = Tags::from_pairs([(IMAGE_TAG, "v1"), (BY_TAG, "somebody")]);
        let hash = content_hash(&want()).unwrap();
        let base = || (in_aws(1, &want()), tags(&hash, &before));
        let by_arn = described(arn(1), base().0, base().1);
        let newest = described("order-api-dev".into(), base().0, base().1);
        let register = registers();
        let aws = mocked(&[&by_arn, &newest, &register]);
        let made = register_release(&aws, &arn(1), "order-api", IMAGE, &release()).await;
        assert_eq!(*made.unwrap(), *arn(2));
        assert_eq!(register.num_calls(), 1);
    }

    #[tokio::test]
    async fn what_the_same_release_registered_before_it_was_killed_is_taken_again() {
        let hash = content_hash(&want()).unwrap();
        let by_arn = described(arn(1), in_aws(1, &want()), tags(&hash, &Tags::default()));
        let mut made = in_aws(2, &want());
        made.container_definitions.as_mut().unwrap()[0].image = Some(IMAGE.into());
        let newest = described(
            "order-api-dev".into(),
            made,
            tags(&released_hash(), &release()),
        );
        let aws = mocked(&[&by_arn, &newest]);
        let found = register_release(&aws, &arn(1), "order-api", IMAGE, &release()).await;
        assert_eq!(*found.unwrap(), *arn(2));
        assert_eq!(aws.calls().writes(), 0);
    }

    #[tokio::test]
    async fn a_revision_without_the_container_is_refused() {
        let by_arn = described(arn(1), in_aws(1, &want()), Vec::new());
        let answer = register_release(&mocked(&[&by_arn]), &arn(1), "web", IMAGE, &release()).await;
        assert!(answer.unwrap_err().message().contains("`web`"));
    }
}
