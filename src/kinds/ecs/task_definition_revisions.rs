//! Reading the revisions of a task definition's family.

use aws_sdk_ecs::types::{
    SortOrder, TaskDefinition as AwsTaskDefinition, TaskDefinitionField, TaskDefinitionStatus,
};

use super::tags_of;
use super::task_definition::TaskDefinitionOutputs;
use super::task_definition_content::CONTENT_TAG;
use crate::aws::{Answer, Aws};
use crate::resource::{Error, Result, Tags};

/// One revision as AWS has it.
#[derive(Clone, Debug)]
pub(super) struct Revision {
    /// What was registered.
    pub(super) definition: AwsTaskDefinition,
    /// Its tags, without the one for the content.
    pub(super) tags: Tags,
    /// The hash of the content it was registered for, if we did it.
    pub(super) content: Option<String>,
}

impl Revision {
    pub(super) fn outputs(&self) -> TaskDefinitionOutputs {
        let text = |field: Option<&str>| field.unwrap_or_default().to_owned();
        TaskDefinitionOutputs {
            arn: self
                .definition
                .task_definition_arn()
                .unwrap_or_default()
                .into(),
            family: text(self.definition.family()),
            revision: self.definition.revision(),
        }
    }
}

/// How many revisions are looked at when none is recorded. Older ones are history that no
/// declaration asks for any more.
const SEARCHED: usize = 20;

/// The other active revisions that may have the wanted content, newest first: those registered
/// after the recorded one, by an interrupted run or a release.
pub(super) async fn newer_than(
    aws: &Aws,
    newest: &Revision,
    recorded: Option<&Revision>,
) -> Result<Vec<String>> {
    let oldest = recorded.map_or(0, |recorded| recorded.definition.revision());
    let (family, number) = (newest.definition.family(), newest.definition.revision());
    if number <= oldest + 1 {
        return Ok(Vec::new());
    }
    let family = family.unwrap_or_default();
    let arns = list(aws, family, &TaskDefinitionStatus::Active).await?;
    let between = |arn: &String| {
        let revision = arn
            .rsplit(':')
            .next()
            .and_then(|number| number.parse().ok());
        revision.is_some_and(|revision: i32| revision > oldest && revision < number)
    };
    Ok(arns.into_iter().filter(between).take(SEARCHED).collect())
}

/// Lists the ARNs of a family's revisions in one state, newest first.
pub(super) async fn list(
    aws: &Aws,
    family: &str,
    status: &TaskDefinitionStatus,
) -> Result<Vec<String>> {
    let key = format!("ecs:ListTaskDefinitions {family} {status}");
    let pages = aws
        .ecs
        .list_task_definitions()
        .family_prefix(family)
        .status(status.clone())
        .sort(SortOrder::Desc)
        .into_paginator()
        .items()
        .send();
    let read = async {
        pages
            .collect::<std::result::Result<Vec<_>, _>>()
            .await
            .of("ecs:ListTaskDefinitions")
    };
    aws.read_once(&key, read).await.map(|arns| arns.to_vec())
}

/// Reads a revision by its ARN, or the newest active one by the family's name, unless it is
/// deregistered or being deleted.
pub(super) async fn read_active(aws: &Aws, name: &str) -> Result<Option<Revision>> {
    let is_active =
        |found: &Revision| found.definition.status() == Some(&TaskDefinitionStatus::Active);
    Ok(read(aws, name).await?.filter(is_active))
}

/// Reads a revision in whatever state.
pub(super) async fn read(aws: &Aws, name: &str) -> Result<Option<Revision>> {
    let key = format!("ecs:DescribeTaskDefinition {name}");
    let found = aws.read_once(&key, describe(aws, name)).await?;
    Ok((*found).clone())
}

async fn describe(aws: &Aws, name: &str) -> Result<Option<Revision>> {
    let answer = aws
        .ecs
        .describe_task_definition()
        .task_definition(name)
        .include(TaskDefinitionField::Tags)
        .send()
        .await
        .of("ecs:DescribeTaskDefinition");
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut tags = tags_of(answer.tags());
    let content = tags.0.remove(CONTENT_TAG);
    Ok(answer.task_definition.map(|definition| Revision {
        definition,
        tags,
        content,
    }))
}

/// ECS has no code of its own for a task definition that is not there.
fn is_absent(error: &Error) -> bool {
    error.says("ClientException", "Unable to describe task definition")
        || error.says("ClientException", "does not exist")
}
