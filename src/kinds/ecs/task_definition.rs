//! `ecs/task_definition`: what one task of the service runs.
//!
//! AWS cannot change a revision, so a change of content is an update that registers another one:
//! the old ones stay `ACTIVE`, because ECS rolls back to them (field guide, section 4), and go with
//! `down`. Revisions that a release registers under the same family are left alone.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::TaskDefinitionStatus;
use serde::{Deserialize, Serialize};

use super::running;
use super::task_definition_content::{known_content_hash, register, spec_of};
use super::task_definition_revisions::{Revision, list, newer_than, read, read_active};
use super::{TaskDefinitionArn, change_tags};
use crate::aws::{Answer, Aws};
use crate::kinds::iam::RoleArn;
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Replacement, Resolved, Resource, Result,
    STACK_TAG, Scope, Stage, Tags, outputs,
};

/// An `AWS::ECS::TaskDefinition` of one container on Fargate.
pub struct TaskDefinition;

/// The settings of a task definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct TaskDefinitionSpec<S: Stage> {
    /// The name that all its revisions share.
    pub family: String,
    /// CPU units of a task; 1024 are one virtual CPU.
    pub cpu: u32,
    /// Memory of a task, in MiB.
    pub memory: u32,
    /// The processors the image is built for.
    pub architecture: Architecture,
    /// The role ECS itself takes to pull the image, write logs and read secrets.
    pub execution_role: S::In<RoleArn>,
    /// The role the application takes.
    pub task_role: S::In<RoleArn>,
    /// The one container.
    pub container: Container<S>,
    /// Tags of every revision we register.
    pub tags: Tags,
}

/// Processor architectures of Fargate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Architecture {
    /// Intel and AMD, 64 bits.
    #[serde(rename = "X86_64")]
    X86_64,
    /// Graviton.
    #[serde(rename = "ARM64")]
    Arm64,
}

/// The settings of the container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Container<S: Stage> {
    /// Its name, to which the service's load balancer settings refer.
    pub name: String,
    /// The image, `<repository>:<tag>` or `<repository>@<digest>`.
    pub image: S::In<String>,
    /// The TCP port it listens on.
    pub port: u16,
    /// Its environment variables.
    pub environment: BTreeMap<String, S::In<String>>,
    /// Environment variables filled from Secrets Manager or Parameter Store: name to ARN.
    pub secrets: BTreeMap<String, S::In<String>>,
    /// The log group its output goes to.
    pub log_group: S::In<String>,
    /// The region of that log group.
    pub log_region: String,
    /// The first part of its log streams' names.
    pub log_stream_prefix: String,
    /// How ECS finds out whether it works.
    pub health_check: ContainerHealthCheck,
}

/// The command by which ECS checks a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerHealthCheck {
    /// The command, `CMD-SHELL` or `CMD` first.
    pub command: Vec<String>,
    /// Time between two checks, in seconds.
    pub interval_seconds: u32,
    /// Time after which a check counts as failed, in seconds.
    pub timeout_seconds: u32,
    /// Failures in a row that make the container unhealthy.
    pub retries: u32,
    /// Time after the start in which failures do not count, in seconds.
    pub start_period_seconds: u32,
}

outputs! { TaskDefinition =>
    /// What AWS gives a task definition.
    TaskDefinitionOutputs {
        /// ARN of the revision whose content is the declared one.
        arn: TaskDefinitionArn,
        /// The family.
        family: String,
        /// The number of that revision.
        revision: i32,
    }
}

impl Resource for TaskDefinition {
    const KIND: &'static str = "ecs/task_definition";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &["ecs:ListTaskDefinitions", "ecs:DescribeTaskDefinition"],
        create: &[
            "ecs:RegisterTaskDefinition",
            "ecs:TagResource",
            "iam:PassRole",
        ],
        update: &[
            "ecs:RegisterTaskDefinition",
            "ecs:TagResource",
            "ecs:UntagResource",
            "iam:PassRole",
        ],
        delete: &["ecs:DeregisterTaskDefinition", "ecs:DeleteTaskDefinitions"],
    };
    const REPLACE_ON: &'static [&'static str] = &["family"];
    const REPLACEMENT: Replacement = Replacement::CreateFirst;
    const HOLDS_INPUTS: bool = false;
    const OUTPUTS_CHANGE_ON_UPDATE: bool = true;
    type Api = Aws;
    type Spec<S: Stage> = TaskDefinitionSpec<S>;
    type Outputs = TaskDefinitionOutputs;

    /// Finds the revision whose content is the wanted one: the one that runs, which a release may
    /// have registered, else the recorded revision, else the newest younger one that carries the hash
    /// of the wanted content. If there is none, reports the recorded (or our newest) one, whose
    /// differences then lead to an update.
    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &TaskDefinitionSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let hash = known_content_hash(want)?;
        let is_wanted = |found: &Revision| hash.is_some() && found.content == hash;
        if let Some(running) = running::revision(scope) {
            let running = read_active(aws, running).await?;
            if let Some(running) = running.as_ref().filter(|found| is_wanted(found)) {
                return Ok(Some(live_as_wanted(running, want)));
            }
            let is_foreign = running.is_some_and(|found| !found.tags.belong_to(scope));
            if let Some(last) = last.filter(|last| is_foreign && same_but_for_the_image(last, want))
            {
                // Somebody released by other means. As long as the declaration asks for nothing new,
                // that is left alone (law 6).
                return Ok(Some(Live {
                    outputs: last.outputs.clone(),
                    spec: want.clone(),
                    condition: Condition::Ready,
                }));
            }
        }
        let recorded = match last {
            Some(last) => read_active(aws, &last.outputs.arn).await?,
            None => None,
        };
        if let Some(recorded) = recorded.as_ref().filter(|found| is_wanted(found)) {
            return Ok(Some(live_as_wanted(recorded, want)));
        }
        if hash.is_none() && recorded.is_some() {
            return Ok(recorded.as_ref().map(live));
        }
        let family = last.map_or(&want.family, |last| &last.outputs.family);
        let Some(newest) = read_active(aws, family).await? else {
            return Ok(recorded.as_ref().map(live));
        };
        // What others registered, with the same content too, is theirs: it also outlives the stack.
        let is_ours = |found: &Revision| last.is_none() || found.tags.belong_to(scope);
        if is_wanted(&newest) && is_ours(&newest) {
            return Ok(Some(live_as_wanted(&newest, want)));
        }
        let mut ours = newest.tags.belong_to(scope).then(|| newest.clone());
        for arn in newer_than(aws, &newest, recorded.as_ref()).await? {
            let Some(found) = read_active(aws, &arn).await? else {
                continue;
            };
            if is_wanted(&found) && is_ours(&found) {
                return Ok(Some(live_as_wanted(&found, want)));
            }
            if ours.is_none() && found.tags.belong_to(scope) {
                ours = Some(found);
            }
        }
        // With nothing recorded, even a stranger's family is reported: its name is taken.
        let stranger = last.is_none().then_some(newest);
        let found = recorded.or(ours).or(stranger);
        Ok(found.as_ref().map(live))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &TaskDefinitionSpec<Resolved>,
    ) -> Result<TaskDefinitionOutputs> {
        register(aws, want).await
    }

    /// Registers another revision for a change of content. RegisterTaskDefinition has no token and
    /// mints a revision per call; after a lost answer, `observe` finds the new one by its hash.
    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &TaskDefinitionSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        if changes.names().iter().any(|field| field != "tags") {
            return register(aws, want).await.map(|_| ());
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    /// Deregisters and deletes every revision of the family that carries our stack's tag, those of
    /// releases included, and the one in use, which may have been taken over without. What AWS keeps while a task still runs it shows as `DELETE_IN_PROGRESS`
    /// and goes by itself.
    async fn delete(aws: &Aws, scope: &Scope, live: &Live<Self>) -> Result<()> {
        // The ones deregistered by an interrupted run come first; each batch is finished before the
        // next, so a throttled run goes on where it was.
        for status in [TaskDefinitionStatus::Inactive, TaskDefinitionStatus::Active] {
            for batch in list(aws, &live.outputs.family, &status).await?.chunks(10) {
                let mut ours = Vec::new();
                for arn in batch {
                    let tags = read(aws, arn).await?.map(|found| found.tags);
                    let is_tagged =
                        tags.is_some_and(|tags| tags.0.get(STACK_TAG) == Some(&scope.stack));
                    if is_tagged || **arn == *live.outputs.arn {
                        ours.push(arn.clone());
                    }
                }
                remove(aws, &ours, status == TaskDefinitionStatus::Active).await?;
            }
        }
        Ok(())
    }
}

async fn remove(aws: &Aws, arns: &[String], active: bool) -> Result<()> {
    if arns.is_empty() {
        return Ok(());
    }
    for arn in arns.iter().filter(|_| active) {
        aws.ecs
            .deregister_task_definition()
            .task_definition(arn)
            .send()
            .await
            .of("ecs:DeregisterTaskDefinition")?;
    }
    aws.ecs
        .delete_task_definitions()
        .set_task_definitions(Some(arns.to_vec()))
        .send()
        .await
        .of("ecs:DeleteTaskDefinitions")?;
    Ok(())
}

fn live(found: &Revision) -> Live<TaskDefinition> {
    Live {
        outputs: found.outputs(),
        spec: spec_of(&found.definition, found.tags.clone()),
        condition: Condition::Ready,
    }
}

/// Says whether the declaration names what it named when it was last applied, the image aside: that
/// follows what runs.
fn same_but_for_the_image(
    last: &Last<TaskDefinition>,
    want: &TaskDefinitionSpec<Resolved>,
) -> bool {
    let mut applied = last.spec.clone();
    applied.container.image.clone_from(&want.container.image);
    applied == *want
}

/// A revision never changes: one that carries the hash of the wanted content has that content,
/// whatever defaults AWS shows in it.
fn live_as_wanted(found: &Revision, want: &TaskDefinitionSpec<Resolved>) -> Live<TaskDefinition> {
    Live {
        outputs: found.outputs(),
        spec: TaskDefinitionSpec {
            tags: found.tags.clone(),
            ..want.clone()
        },
        condition: Condition::Ready,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::delete_task_definitions::DeleteTaskDefinitionsOutput;
    use aws_sdk_ecs::operation::deregister_task_definition::DeregisterTaskDefinitionOutput;
    use aws_sdk_ecs::operation::list_task_definitions::ListTaskDefinitionsOutput;
    use aws_sdk_ecs::operation::register_task_definition::RegisterTaskDefinitionOutput;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::super::task_definition_content::{content_hash, testing::*};
    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{UNKNOWN, diff};

    fn last(revision: i32) -> Last<TaskDefinition> {
        Last {
            outputs: TaskDefinitionOutputs {
                arn: arn(revision).as_str().into(),
                family: "order-api-dev".into(),
                revision,
            },
            spec: want(),
        }
    }

    /// A family with these revisions, oldest first, by what they were registered for.
    fn family(revisions: &[(i32, &TaskDefinitionSpec<Resolved>)]) -> Vec<Rule> {
        let mut rules: Vec<Rule> = revisions
            .iter()
            .map(|(number, spec)| described(&arn(*number), *number, spec))
            .collect();
        if let Some((number, spec)) = revisions.last() {
            rules.push(described("order-api-dev", *number, spec));
        } else {
            rules.push(nothing_there());
        }
        let arns: Vec<String> = revisions.iter().rev().map(|(n, _)| arn(*n)).collect();
        rules.push(mock!(Client::list_task_definitions).then_output(move || {
            ListTaskDefinitionsOutput::builder()
                .set_task_definition_arns(Some(arns.clone()))
                .build()
        }));
        rules
    }

    async fn observed(
        rules: &[Rule],
        want: &TaskDefinitionSpec<Resolved>,
        last: Option<&Last<TaskDefinition>>,
    ) -> (Option<Live<TaskDefinition>>, u64) {
        let aws = mocked(&rules.iter().collect::<Vec<_>>());
        let node = scope("task-definition");
        let live = TaskDefinition::observe(&aws, &node, want, last).await;
        (live.unwrap(), aws.calls().reads())
    }

    fn with_image(image: &str) -> TaskDefinitionSpec<Resolved> {
        let mut spec = want();
        spec.container.image = image.into();
        spec
    }

    #[tokio::test]
    async fn an_unchanged_declaration_is_one_call_whatever_was_released_since() {
        let released = with_image("repository:2");
        let rules = family(&[(1, &want()), (2, &released)]);
        let (live, calls) = observed(&rules, &want(), Some(&last(1))).await;
        let live = live.unwrap();
        assert_eq!((live.outputs.revision, calls), (1, 1));
        assert_eq!(live.spec, want());
    }

    #[tokio::test]
    async fn a_changed_declaration_shows_the_fields_that_differ_in_the_recorded_revision() {
        let mut more = want();
        more.cpu = 1024;
        let rules = family(&[(1, &want())]);
        let (live, _) = observed(&rules, &more, Some(&last(1))).await;
        let changes = diff(
            &json!(more),
            &json!(live.unwrap().spec),
            Some(&json!(want())),
        );
        assert_eq!(changes.names(), ["cpu"]);
    }

    #[tokio::test]
    async fn a_revision_registered_before_an_interruption_is_found_by_its_content() {
        let mut more = want();
        more.cpu = 1024;
        let released = with_image("repository:2");
        let rules = family(&[(1, &want()), (2, &more), (3, &released)]);
        let (live, _) = observed(&rules, &more, Some(&last(1))).await;
        let live = live.unwrap();
        assert_eq!((live.outputs.revision, live.spec), (2, more));
        let (live, _) = observed(&rules, &want(), None).await;
        assert_eq!(live.unwrap().outputs.revision, 1, "without any record");
    }

    #[tokio::test]
    async fn values_not_known_yet_do_not_start_a_search() {
        let mut unknown = want();
        unknown.execution_role = UNKNOWN.into();
        let rules = family(&[(1, &want()), (2, &want())]);
        let (live, calls) = observed(&rules, &unknown, Some(&last(1))).await;
        assert_eq!((live.unwrap().outputs.revision, calls), (1, 1));
    }

    #[tokio::test]
    async fn a_family_without_active_revisions_is_gone_and_a_strangers_is_not_ours() {
        assert!(observed(&family(&[]), &want(), None).await.0.is_none());
        assert!(
            observed(&family(&[]), &want(), Some(&last(1)))
                .await
                .0
                .is_none()
        );
        let mut foreign = want();
        foreign.cpu = 2048;
        foreign.tags = Tags::default();
        let mut rules = family(&[(7, &foreign)]);
        rules.push(nothing_there());
        let (live, _) = observed(&rules, &want(), None).await;
        assert!(!live.unwrap().spec.tags.belong_to(&scope("task-definition")));
        let (live, _) = observed(&rules, &want(), Some(&last(1))).await;
        assert!(live.is_none(), "ours is gone");

        // Even one with the same content: waiting for it to go would never end.
        let mut same = want();
        same.tags = Tags::default();
        let mut rules = family(&[(7, &same)]);
        rules.push(nothing_there());
        let (live, _) = observed(&rules, &want(), Some(&last(1))).await;
        assert!(live.is_none(), "ours is gone");
    }

    #[tokio::test]
    async fn a_changed_content_is_registered_with_its_hash_and_changed_tags_alone_are_not() {
        let expected = content_hash(&want()).unwrap();
        let register = mock!(Client::register_task_definition)
            .match_requests(move |r| {
                let container = &r.container_definitions()[0];
                r.cpu() == Some("512")
                    && r.memory() == Some("1024")
                    && container.image() == Some("repository:1")
                    && container.secrets()[0].value_from().starts_with("arn:")
                    && r.tags().iter().any(|t| t.value() == Some(&expected))
            })
            .then_output(|| {
                RegisterTaskDefinitionOutput::builder()
                    .task_definition(in_aws(2, &want()))
                    .build()
            });
        let tag = mock!(Client::tag_resource)
            .match_requests(|r| r.resource_arn() == Some(&arn(1)))
            .then_output(|| {
                aws_sdk_ecs::operation::tag_resource::TagResourceOutput::builder().build()
            });
        let aws = mocked(&[&register, &tag]);
        let mut before = want();
        before.cpu = 256;
        before.tags.0.insert("team".into(), "b".into());
        for (spec, expected) in [(before.clone(), (1, 0)), (want(), (1, 1))] {
            let live = Live::<TaskDefinition> {
                outputs: last(1).outputs,
                spec,
                condition: Condition::Ready,
            };
            let mut wanted = want();
            wanted.tags.0.insert("team".into(), "a".into());
            let changes = diff(&json!(wanted), &json!(live.spec), None);
            let node = scope("task-definition");
            TaskDefinition::update(&aws, &node, &live, &wanted, &changes)
                .await
                .unwrap();
            assert_eq!((register.num_calls(), tag.num_calls()), expected);
        }
    }

    #[tokio::test]
    async fn delete_takes_every_revision_of_the_stack_and_no_other() {
        let mut foreign = want();
        foreign.tags = Tags::default();
        let described = [
            described(&arn(1), 1, &want()),
            described(&arn(2), 2, &with_image("repository:2")),
            described(&arn(3), 3, &foreign),
        ];
        let lists = mock!(Client::list_task_definitions)
            .match_requests(|r| r.status() == Some(&TaskDefinitionStatus::Active))
            .then_output(|| {
                ListTaskDefinitionsOutput::builder()
                    .set_task_definition_arns(Some((1..=3).map(arn).collect()))
                    .build()
            });
        let no_more = mock!(Client::list_task_definitions)
            .match_requests(|r| r.status() == Some(&TaskDefinitionStatus::Inactive))
            .then_output(|| ListTaskDefinitionsOutput::builder().build());
        let deregister = mock!(Client::deregister_task_definition)
            .then_output(|| DeregisterTaskDefinitionOutput::builder().build());
        let delete = mock!(Client::delete_task_definitions)
            .match_requests(|r| r.task_definitions() == [arn(1), arn(2)])
            .then_output(|| DeleteTaskDefinitionsOutput::builder().build());
        let rules = [&lists, &no_more, &deregister, &delete];
        let aws = mocked(&described.iter().chain(rules).collect::<Vec<_>>());
        let live = Live::<TaskDefinition> {
            outputs: last(1).outputs,
            spec: want(),
            condition: Condition::Ready,
        };
        TaskDefinition::delete(&aws, &scope("task-definition"), &live)
            .await
            .unwrap();
        assert_eq!((deregister.num_calls(), delete.num_calls()), (2, 1));
    }
}
