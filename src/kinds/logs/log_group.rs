//! `logs/log_group`: where one source of logs writes, and for how long its lines are kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_cloudwatchlogs::types::LogGroup as AwsLogGroup;
use serde::{Deserialize, Serialize};

use super::GONE;
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resource, Result, STACK_TAG,
    Scope, Stage, Tags, outputs,
};

/// An `AWS::Logs::LogGroup`.
///
/// AWS makes those under `/aws/` by itself when one of its services writes to them and they are
/// missing, without tags and kept for ever (field guide, section 3).
pub struct LogGroup;

/// The settings of a log group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogGroupSpec {
    /// Its name: `/ecs/order-api-dev`.
    pub name: String,
    /// How many days its lines are kept, one of the numbers PutRetentionPolicy takes; 0 keeps them
    /// for ever.
    pub retention_days: i32,
    /// Its tags.
    pub tags: Tags,
}

outputs! { LogGroup =>
    /// What AWS gives a log group.
    LogGroupOutputs {
        /// The log group's name.
        name: String,
        /// The log group's ARN, without the `:*` that some policies need behind it.
        arn: String,
    }
}

const OPERATION: &str = "logs:DescribeLogGroups";

/// Where the names of the groups begin that AWS's services write to.
const OF_AWS_SERVICES: &str = "/aws/";

impl Resource for LogGroup {
    const KIND: &'static str = "logs/log_group";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &["logs:DescribeLogGroups", "logs:ListTagsForResource"],
        create: &["logs:CreateLogGroup", "logs:TagResource"],
        update: &[
            "logs:PutRetentionPolicy",
            "logs:DeleteRetentionPolicy",
            "logs:TagResource",
            "logs:UntagResource",
        ],
        delete: &["logs:DeleteLogGroup"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name"];
    const MADE_BY_AWS_UNDER: Option<&'static str> = Some(OF_AWS_SERVICES);
    // Field guide, section 3.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("OperationAbortedException", 60),
        Refusal::update("OperationAbortedException", 60),
        Refusal::delete("OperationAbortedException", 60),
    ];
    type Api = Aws;
    type Spec<S: Stage> = LogGroupSpec;
    type Outputs = LogGroupOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &LogGroupSpec,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let name = last.map_or(&want.name, |last| &last.outputs.name);
        let group = match among_recorded(aws, name).await? {
            Some(group) => group,
            None => match search(aws, &scope.stack, name).await? {
                Some(group) => group,
                None => return Ok(None),
            },
        };
        live(aws, scope, &group, want).await.map(Some)
    }

    async fn create(aws: &Aws, scope: &Scope, want: &LogGroupSpec) -> Result<LogGroupOutputs> {
        let tags = want.tags.iter().map(|(k, v)| (k.clone(), v.clone()));
        aws.logs
            .create_log_group()
            .log_group_name(&want.name)
            .set_tags(Some(tags.collect()))
            .send()
            .await
            .of("logs:CreateLogGroup")?;
        Ok(LogGroupOutputs {
            name: want.name.clone(),
            arn: format!(
                "arn:aws:logs:{}:{}:log-group:{}",
                scope.region, scope.account, want.name
            ),
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &LogGroupSpec,
        changes: &Changes,
    ) -> Result<()> {
        if changes.touch("retention_days") {
            set_retention(aws, &live.outputs.name, want.retention_days).await?;
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.logs
            .delete_log_group()
            .log_group_name(&live.outputs.name)
            .send()
            .await
            .of("logs:DeleteLogGroup")
            .gone_is_fine(GONE)
    }

    /// Those under the known names and beside them: of a cluster `order-api-dev`, all that begin
    /// with `/aws/rds/cluster/order-api-dev/`. Under `/aws/`, where its services write, AWS makes
    /// them without tags.
    async fn sweep(aws: &Aws, scope: &Scope, known: &[LogGroupSpec]) -> Result<Vec<Live<Self>>> {
        let prefixes: BTreeSet<&str> = known
            .iter()
            .map(|spec| shared_prefix(&spec.name, &scope.stack))
            .collect();
        let mut found = Vec::new();
        for prefix in prefixes {
            for group in beginning_with(aws, prefix).await?.iter() {
                let name = group.log_group_name().unwrap_or_default();
                let rest = name.strip_prefix(prefix).unwrap_or_default();
                let declared = known.iter().find(|spec| spec.name == name);
                // `…-dev-2` begins alike and is another stack's.
                if declared.is_none() && !rest.is_empty() && !rest.starts_with('/') {
                    continue;
                }
                let unknown = LogGroupSpec {
                    name: name.to_owned(),
                    retention_days: 0,
                    tags: Tags::default(),
                };
                let group = live(aws, scope, group, declared.unwrap_or(&unknown)).await;
                let Some(group) = group.gone_is_none(GONE)? else {
                    continue;
                };
                let tags = &group.spec.tags.0;
                let by_aws = tags.is_empty() && name.starts_with(OF_AWS_SERVICES);
                if by_aws || tags.get(STACK_TAG) == Some(&scope.stack) {
                    found.push(group);
                }
            }
        }
        Ok(found)
    }
}

/// How many names DescribeLogGroups takes.
const NAMES_PER_CALL: usize = 50;

/// Reads the group together with all recorded ones. `None` if it is not among them, or if its
/// retention is not: only the documentation of searches by prefix promises it.
async fn among_recorded(aws: &Aws, name: &str) -> Result<Option<AwsLogGroup>> {
    let names = aws.recorded(LogGroup::KIND, "name");
    if !names.iter().any(|recorded| recorded == name) {
        return Ok(None);
    }
    let key = format!("{OPERATION} by name");
    let groups = aws.read_once(&key, describe_named(aws, names)).await?;
    let group = groups.iter().find(|group| is_called(group, name));
    Ok(group
        .filter(|group| group.retention_in_days().is_some())
        .cloned())
}

/// Finds the group among those whose names begin alike.
async fn search(aws: &Aws, stack: &str, name: &str) -> Result<Option<AwsLogGroup>> {
    let groups = beginning_with(aws, shared_prefix(name, stack)).await?;
    let group = groups.iter().find(|group| is_called(group, name));
    Ok(group.cloned())
}

async fn beginning_with(aws: &Aws, prefix: &str) -> Result<Arc<Vec<AwsLogGroup>>> {
    let key = format!("{OPERATION} {prefix}");
    aws.read_once(&key, describe(aws, prefix)).await
}

async fn live(
    aws: &Aws,
    scope: &Scope,
    group: &AwsLogGroup,
    want: &LogGroupSpec,
) -> Result<Live<LogGroup>> {
    let name = group.log_group_name();
    let name = name.ok_or_else(missing(OPERATION, "logGroupName"))?;
    let arn = group.arn().ok_or_else(missing(OPERATION, "arn"))?;
    let arn = arn.trim_end_matches(":*");
    let tags = aws
        .tags(scope, arn, &want.tags, read_tags(aws, arn))
        .await?;
    let retention_days = match group.retention_policy_name() {
        // A policy of the account overrides the group's own setting and hides it.
        Some(_) => want.retention_days,
        None => group.retention_in_days().unwrap_or(0),
    };
    Ok(Live {
        outputs: LogGroupOutputs {
            name: name.to_owned(),
            arn: arn.to_owned(),
        },
        spec: LogGroupSpec {
            name: name.to_owned(),
            retention_days,
            tags,
        },
        condition: Condition::Ready,
    })
}

fn is_called(group: &AwsLogGroup, name: &str) -> bool {
    group.log_group_name() == Some(name)
}

async fn describe_named(aws: &Aws, names: Vec<String>) -> Result<Vec<AwsLogGroup>> {
    let mut found = Vec::new();
    for names in names.chunks(NAMES_PER_CALL) {
        let pages = aws
            .logs
            .describe_log_groups()
            .set_log_group_identifiers(Some(names.to_vec()))
            .into_paginator()
            .items()
            .send();
        let groups = pages.collect::<std::result::Result<Vec<_>, _>>().await;
        match groups.of(OPERATION) {
            Ok(groups) => found.extend(groups),
            // A shortcut; what is missing is searched for.
            Err(_) => return Ok(Vec::new()),
        }
    }
    Ok(found)
}

/// Gives the beginning that `name` has in common with its neighbours of the same stack: all up to
/// the last path segment that ends in the stack's suffix.
///
/// A search by prefix, because a search by pattern would find all groups of the stack in one call
/// but leave out their retention (DescribeLogGroups, `logGroupNamePattern`).
fn shared_prefix<'a>(name: &'a str, stack: &str) -> &'a str {
    let suffix = format!("-{stack}");
    let mut end = 0;
    let mut prefix = name;
    for segment in name.split_inclusive('/') {
        end += segment.len();
        let segment = segment.trim_end_matches('/');
        if segment.ends_with(&suffix) {
            prefix = name[..end].trim_end_matches('/');
        }
    }
    prefix
}

async fn describe(aws: &Aws, prefix: &str) -> Result<Vec<AwsLogGroup>> {
    let pages = aws
        .logs
        .describe_log_groups()
        .log_group_name_prefix(prefix)
        .into_paginator()
        .items()
        .send();
    pages
        .collect::<std::result::Result<_, _>>()
        .await
        .of(OPERATION)
}

async fn set_retention(aws: &Aws, name: &str, days: i32) -> Result<()> {
    if days == 0 {
        let call = aws.logs.delete_retention_policy().log_group_name(name);
        let answer = call.send().await.of("logs:DeleteRetentionPolicy");
        return answer.map(|_| ());
    }
    let call = aws.logs.put_retention_policy().log_group_name(name);
    let answer = call.retention_in_days(days).send().await;
    answer.of("logs:PutRetentionPolicy").map(|_| ())
}

async fn read_tags(aws: &Aws, arn: &str) -> Result<Tags> {
    let call = aws.logs.list_tags_for_resource().resource_arn(arn);
    let answer = call.send().await.of("logs:ListTagsForResource")?;
    Ok(Tags::from_pairs(answer.tags.unwrap_or_default()))
}

async fn change_tags(aws: &Aws, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let missing = want.missing_from(live);
    if !missing.is_empty() {
        let call = aws.logs.tag_resource().resource_arn(arn);
        let call = call.set_tags(Some(missing.into_iter().collect()));
        call.send().await.of("logs:TagResource")?;
    }
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        let call = aws.logs.untag_resource().resource_arn(arn);
        let call = call.set_tag_keys(Some(surplus));
        call.send().await.of("logs:UntagResource")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatchlogs::Client;
    use aws_sdk_cloudwatchlogs::operation::delete_retention_policy::DeleteRetentionPolicyOutput;
    use aws_sdk_cloudwatchlogs::operation::describe_log_groups::DescribeLogGroupsOutput;
    use aws_sdk_cloudwatchlogs::operation::list_tags_for_resource::ListTagsForResourceOutput;
    use aws_sdk_cloudwatchlogs::operation::put_retention_policy::PutRetentionPolicyOutput;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const ARN: &str = "arn:aws:logs:us-east-1:123456789012:log-group:/ecs/order-api-dev";

    fn want(retention_days: i32) -> LogGroupSpec {
        LogGroupSpec {
            name: "/ecs/order-api-dev".into(),
            retention_days,
            tags: Tags::from_pairs([(NODE_TAG, "log-group")]),
        }
    }

    fn group(name: &str) -> aws_sdk_cloudwatchlogs::types::builders::LogGroupBuilder {
        let arn = format!("arn:aws:logs:us-east-1:123456789012:log-group:{name}:*");
        AwsLogGroup::builder().log_group_name(name).arn(arn)
    }

    fn described(groups: Vec<AwsLogGroup>) -> Rule {
        mock!(Client::describe_log_groups).then_output(move || {
            let output = DescribeLogGroupsOutput::builder();
            output.set_log_groups(Some(groups.clone())).build()
        })
    }

    fn tagged() -> Rule {
        mock!(Client::list_tags_for_resource)
            .match_requests(|r| r.resource_arn() == Some(ARN))
            .then_output(|| {
                let output = ListTagsForResourceOutput::builder();
                output.tags(NODE_TAG, "log-group").build()
            })
    }

    async fn observe(aws: &Aws, want: &LogGroupSpec) -> Option<Live<LogGroup>> {
        let live = LogGroup::observe(aws, &scope("log-group"), want, None).await;
        live.unwrap()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_and_takes_only_the_exact_name() {
        let groups = described(vec![
            group("/ecs/order-api-dev2").retention_in_days(1).build(),
            group("/ecs/order-api-dev").retention_in_days(7).build(),
        ]);
        let tagged = tagged();
        let live = observe(&mocked(&[&groups, &tagged]), &want(7)).await;
        let live = live.unwrap();
        assert_eq!(live.spec, want(7));
        assert_eq!(live.outputs.arn, ARN);
    }

    #[tokio::test]
    async fn a_group_that_is_not_listed_is_none() {
        let groups = described(vec![group("/ecs/order-api-dev2").build()]);
        assert!(observe(&mocked(&[&groups]), &want(7)).await.is_none());
    }

    #[tokio::test]
    async fn no_retention_is_for_ever_and_a_policy_of_the_account_is_not_drift() {
        let account = group("/ecs/order-api-dev").retention_in_days(365);
        for (group, days) in [
            (group("/ecs/order-api-dev").build(), 0),
            (account.retention_policy_name("audit").build(), 7),
        ] {
            let (groups, tagged) = (described(vec![group]), tagged());
            let live = observe(&mocked(&[&groups, &tagged]), &want(7)).await;
            assert_eq!(live.unwrap().spec.retention_days, days);
        }
    }

    #[tokio::test]
    async fn recorded_groups_are_read_with_one_call_and_searched_for_if_that_hides_their_retention()
    {
        let names = ["/ecs/order-api-dev", "/aws/other"];
        for (by_name, searches) in [(Some(3), 0), (None, 1)] {
            let named = mock!(Client::describe_log_groups)
                .match_requests(|r| r.log_group_identifiers().len() == 2)
                .then_output(move || {
                    let group = group("/ecs/order-api-dev").set_retention_in_days(by_name);
                    DescribeLogGroupsOutput::builder()
                        .log_groups(group.build())
                        .build()
                });
            let searched = mock!(Client::describe_log_groups)
                .match_requests(|r| r.log_group_name_prefix().is_some())
                .then_output(|| {
                    let group = group("/ecs/order-api-dev").retention_in_days(3);
                    DescribeLogGroupsOutput::builder()
                        .log_groups(group.build())
                        .build()
                });
            let recorded = names.map(|name| (LogGroup::KIND.to_owned(), json!({ "name": name })));
            let aws = mocked(&[&named, &searched, &tagged()]);
            let aws = aws.knowing(recorded);
            let live = observe(&aws, &want(7)).await.unwrap();
            assert_eq!(
                live.spec.retention_days, 3,
                "the live value, never the wanted"
            );
            assert_eq!((named.num_calls(), searched.num_calls()), (1, searches));
        }
    }

    #[test]
    fn neighbours_of_one_stack_share_a_prefix() {
        for (name, stack, prefix) in [
            (
                "/aws/rds/cluster/order-api-dev/audit",
                "dev",
                "/aws/rds/cluster/order-api-dev",
            ),
            (
                "/aws/rds/cluster/order-api-dev/error",
                "dev",
                "/aws/rds/cluster/order-api-dev",
            ),
            (
                "/aws/rds/cluster/order-api-aws/audit",
                "aws",
                "/aws/rds/cluster/order-api-aws",
            ),
            ("/ecs/order-api-dev", "dev", "/ecs/order-api-dev"),
            ("/ecs/another", "dev", "/ecs/another"),
        ] {
            assert_eq!(shared_prefix(name, stack), prefix);
        }
    }

    #[tokio::test]
    async fn update_sends_only_the_retention_that_changed() {
        let put = mock!(Client::put_retention_policy)
            .match_requests(|r| r.retention_in_days() == Some(14))
            .then_output(|| PutRetentionPolicyOutput::builder().build());
        let remove = mock!(Client::delete_retention_policy)
            .then_output(|| DeleteRetentionPolicyOutput::builder().build());
        let aws = mocked(&[&put, &remove]);
        for days in [14, 0] {
            let live = Live {
                outputs: LogGroupOutputs {
                    name: "/ecs/order-api-dev".into(),
                    arn: ARN.into(),
                },
                spec: want(7),
                condition: Condition::Ready,
            };
            let changes = diff(&json!(want(days)), &json!(live.spec), None);
            LogGroup::update(&aws, &scope("log-group"), &live, &want(days), &changes)
                .await
                .unwrap();
        }
        assert_eq!((put.num_calls(), remove.num_calls()), (1, 1));
        assert_eq!(aws.calls().writes(), 2);
    }

    #[tokio::test]
    async fn a_sweep_finds_what_aws_made_under_our_names_and_nothing_of_a_stack_called_alike() {
        let names = [
            "/aws/rds/cluster/order-api-dev/audit",
            "/aws/rds/cluster/order-api-dev/general",
            "/aws/rds/cluster/order-api-dev-2/audit",
            "/aws/rds/cluster/order-api-dev2",
        ];
        let groups = described(names.map(|name| group(name).build()).into());
        let untagged = mock!(Client::list_tags_for_resource)
            .then_output(|| ListTagsForResourceOutput::builder().build());
        let known = |name: &str| LogGroupSpec {
            name: name.into(),
            ..want(7)
        };
        let aws = mocked(&[&groups, &untagged]);
        let swept = LogGroup::sweep(&aws, &scope(""), &[known(names[0])]).await;
        let swept: Vec<String> = swept.unwrap().into_iter().map(|it| it.spec.name).collect();
        assert_eq!(swept, &names[..2]);
        // Elsewhere somebody made it.
        let groups = described(vec![group("/ecs/order-api-dev").build()]);
        let aws = mocked(&[&groups, &untagged]);
        let swept = LogGroup::sweep(&aws, &scope(""), &[want(7)]).await;
        assert!(swept.unwrap().is_empty());
    }
}
