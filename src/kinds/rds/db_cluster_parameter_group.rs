//! `rds/db_cluster_parameter_group`: the engine settings of a database cluster.

use std::collections::BTreeMap;

use aws_sdk_rds::types::{ApplyMethod, DbClusterParameterGroup as AwsGroup, Parameter};
use serde::{Deserialize, Serialize};

use super::{as_declared, change_tags, read_tags, sdk_tags};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, Tags, outputs,
};

/// An `AWS::RDS::DBClusterParameterGroup`.
pub struct DbClusterParameterGroup;

/// The settings of a parameter group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct DbClusterParameterGroupSpec<S: Stage> {
    /// Its name.
    pub name: String,
    /// The engine version it is for: `aurora-mysql8.0`.
    pub family: String,
    /// What it is for.
    pub description: S::In<String>,
    /// The parameters that differ from the engine's defaults, by name. Upper and lower case, and
    /// the spellings `1`, `ON` and `TRUE`, mean the same.
    pub parameters: BTreeMap<String, String>,
    /// Its tags.
    pub tags: Tags,
}

outputs! { DbClusterParameterGroup =>
    /// What AWS gives a parameter group.
    DbClusterParameterGroupOutputs {
        /// The group's name, in lower case.
        name: String,
        /// The group's ARN.
        arn: String,
    }
}

/// Without "Cluster", though it is a cluster parameter group.
const GONE: &[&str] = &[
    "DBParameterGroupNotFound",
    "DBParameterGroupNotFoundFault",
    "DBClusterParameterGroupNotFound",
    "DBClusterParameterGroupNotFoundFault",
];

/// AWS takes at most this many parameters in one request.
const AT_ONCE: usize = 20;

impl Resource for DbClusterParameterGroup {
    const KIND: &'static str = "rds/db_cluster_parameter_group";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &[
            "rds:DescribeDBClusterParameterGroups",
            "rds:DescribeDBClusterParameters",
            "rds:ListTagsForResource",
        ],
        create: &["rds:CreateDBClusterParameterGroup", "rds:AddTagsToResource"],
        update: &[
            "rds:ModifyDBClusterParameterGroup",
            "rds:ResetDBClusterParameterGroup",
            "rds:AddTagsToResource",
            "rds:RemoveTagsFromResource",
        ],
        delete: &["rds:DeleteDBClusterParameterGroup"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name", "family", "description"];
    // A group is busy while a cluster takes it on, and held until its cluster is gone.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::update("DBParameterGroupNotFound", 120),
        Refusal::update("InvalidDBParameterGroupState", 300),
        Refusal::update("InvalidDBParameterGroupStateFault", 300),
        Refusal::delete("InvalidDBParameterGroupState", 300),
        Refusal::delete("InvalidDBParameterGroupStateFault", 300),
    ];
    type Api = Aws;
    type Spec<S: Stage> = DbClusterParameterGroupSpec<S>;
    type Outputs = DbClusterParameterGroupOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &DbClusterParameterGroupSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        const OPERATION: &str = "rds:DescribeDBClusterParameterGroups";
        let name = last.map_or(&want.name, |last| &last.outputs.name);
        let answer = aws
            .rds
            .describe_db_cluster_parameter_groups()
            .db_cluster_parameter_group_name(name)
            .send()
            .await
            .of(OPERATION)
            .gone_is_none(GONE)?;
        let Some(group) =
            answer.and_then(|answer| answer.db_cluster_parameter_groups.unwrap_or_default().pop())
        else {
            return Ok(None);
        };
        let outputs = outputs_of(&group, OPERATION)?;
        let Some(set) = describe_parameters(aws, name, Some("user"))
            .await
            .gone_is_none(GONE)?
        else {
            return Ok(None);
        };
        let tags = aws
            .tags(
                scope,
                &outputs.arn,
                &want.tags,
                read_tags(aws, &outputs.arn),
            )
            .await?;
        let family = group.db_parameter_group_family();
        Ok(Some(Live {
            spec: DbClusterParameterGroupSpec {
                name: as_declared(&want.name, &outputs.name),
                family: family
                    .ok_or_else(missing(OPERATION, "DBParameterGroupFamily"))?
                    .to_owned(),
                description: group.description().unwrap_or_default().to_owned(),
                parameters: values(&set, &want.parameters),
                tags,
            },
            condition: Condition::Ready,
            outputs,
        }))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &DbClusterParameterGroupSpec<Resolved>,
    ) -> Result<DbClusterParameterGroupOutputs> {
        const OPERATION: &str = "rds:CreateDBClusterParameterGroup";
        let answer = aws
            .rds
            .create_db_cluster_parameter_group()
            .db_cluster_parameter_group_name(&want.name)
            .db_parameter_group_family(&want.family)
            .description(&want.description)
            .set_tags(sdk_tags(want.tags.iter()))
            .send()
            .await
            .of(OPERATION)?;
        let group = answer.db_cluster_parameter_group();
        outputs_of(
            group.ok_or_else(missing(OPERATION, "DBClusterParameterGroup"))?,
            OPERATION,
        )
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &DbClusterParameterGroupSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        if changes.touch("parameters") {
            change_parameters(
                aws,
                &live.outputs.name,
                &live.spec.parameters,
                &want.parameters,
            )
            .await?;
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.rds
            .delete_db_cluster_parameter_group()
            .db_cluster_parameter_group_name(&live.outputs.name)
            .send()
            .await
            .of("rds:DeleteDBClusterParameterGroup")
            .gone_is_fine(GONE)
    }
}

fn outputs_of(group: &AwsGroup, operation: &'static str) -> Result<DbClusterParameterGroupOutputs> {
    let name = group.db_cluster_parameter_group_name();
    let arn = group.db_cluster_parameter_group_arn();
    Ok(DbClusterParameterGroupOutputs {
        name: name
            .ok_or_else(missing(operation, "DBClusterParameterGroupName"))?
            .to_owned(),
        arn: arn
            .ok_or_else(missing(operation, "DBClusterParameterGroupArn"))?
            .to_owned(),
    })
}

async fn describe_parameters(
    aws: &Aws,
    group: &str,
    source: Option<&str>,
) -> Result<Vec<Parameter>> {
    let pages = aws
        .rds
        .describe_db_cluster_parameters()
        .db_cluster_parameter_group_name(group)
        .set_source(source.map(str::to_owned))
        .into_paginator()
        .items()
        .send();
    pages
        .collect::<std::result::Result<_, _>>()
        .await
        .of("rds:DescribeDBClusterParameters")
}

/// The values that are set, in the declared spelling where they mean the same.
fn values(set: &[Parameter], declared: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let pairs = set
        .iter()
        .filter_map(|parameter| Some((parameter.parameter_name()?, parameter.parameter_value()?)));
    pairs
        .map(|(name, live)| {
            let wanted = declared.get(name).filter(|wanted| same(wanted, live));
            let value = wanted.map_or(live, String::as_str);
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

fn same(one: &str, other: &str) -> bool {
    fn switch(text: &str) -> Option<bool> {
        match text.to_ascii_lowercase().as_str() {
            "1" | "on" | "true" => Some(true),
            "0" | "off" | "false" => Some(false),
            _ => None,
        }
    }
    one.eq_ignore_ascii_case(other) || (switch(one).is_some() && switch(one) == switch(other))
}

async fn change_parameters(
    aws: &Aws,
    group: &str,
    live: &BTreeMap<String, String>,
    want: &BTreeMap<String, String>,
) -> Result<()> {
    let known = describe_parameters(aws, group, None).await?;
    // AWS refuses `immediate` for static parameters; those wait for the next reboot.
    let method = |name: &str| {
        let fixed = known.iter().any(|parameter| {
            parameter.parameter_name() == Some(name) && parameter.apply_type() == Some("static")
        });
        if fixed {
            ApplyMethod::PendingReboot
        } else {
            ApplyMethod::Immediate
        }
    };
    let part = |name: &str| {
        Parameter::builder()
            .parameter_name(name)
            .apply_method(method(name))
    };
    let set: Vec<_> = want
        .iter()
        .filter(|(name, value)| live.get(*name) != Some(value))
        .map(|(name, value)| part(name).parameter_value(value).build())
        .collect();
    for some in set.chunks(AT_ONCE) {
        aws.rds
            .modify_db_cluster_parameter_group()
            .db_cluster_parameter_group_name(group)
            .set_parameters(Some(some.to_vec()))
            .send()
            .await
            .of("rds:ModifyDBClusterParameterGroup")?;
    }
    let reset: Vec<_> = live
        .keys()
        .filter(|name| !want.contains_key(*name))
        .map(|name| part(name).build())
        .collect();
    for some in reset.chunks(AT_ONCE) {
        aws.rds
            .reset_db_cluster_parameter_group()
            .db_cluster_parameter_group_name(group)
            .set_parameters(Some(some.to_vec()))
            .send()
            .await
            .of("rds:ResetDBClusterParameterGroup")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::Client;
    use aws_sdk_rds::error::ErrorMetadata;
    use aws_sdk_rds::operation::describe_db_cluster_parameter_groups::{
        DescribeDBClusterParameterGroupsError, DescribeDbClusterParameterGroupsOutput,
    };
    use aws_sdk_rds::operation::describe_db_cluster_parameters::DescribeDbClusterParametersOutput;
    use aws_sdk_rds::operation::list_tags_for_resource::ListTagsForResourceOutput;
    use aws_sdk_rds::operation::modify_db_cluster_parameter_group::ModifyDbClusterParameterGroupOutput;
    use aws_sdk_rds::operation::reset_db_cluster_parameter_group::ResetDbClusterParameterGroupOutput;
    use aws_smithy_mocks::mock;
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const ARN: &str = "arn:aws:rds:us-east-1:123456789012:cluster-pg:order-api-dev";
    const NODE: &str = "db-parameter-group";

    fn want() -> DbClusterParameterGroupSpec<Resolved> {
        DbClusterParameterGroupSpec {
            name: "order-api-dev".into(),
            family: "aurora-mysql8.0".into(),
            description: "TLS only".into(),
            parameters: BTreeMap::from([("require_secure_transport".into(), "ON".into())]),
            tags: Tags::from_pairs([(NODE_TAG, NODE)]),
        }
    }

    fn in_aws() -> AwsGroup {
        AwsGroup::builder()
            .db_cluster_parameter_group_name("order-api-dev")
            .db_parameter_group_family("aurora-mysql8.0")
            .description("TLS only")
            .db_cluster_parameter_group_arn(ARN)
            .build()
    }

    fn parameter(name: &str, value: &str, apply_type: &str) -> Parameter {
        Parameter::builder()
            .parameter_name(name)
            .parameter_value(value)
            .apply_type(apply_type)
            .build()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_over_pages_and_spellings() {
        let describe = mock!(Client::describe_db_cluster_parameter_groups).then_output(|| {
            DescribeDbClusterParameterGroupsOutput::builder()
                .db_cluster_parameter_groups(in_aws())
                .build()
        });
        let first = mock!(Client::describe_db_cluster_parameters)
            .match_requests(|r| r.source() == Some("user") && r.marker().is_none())
            .then_output(|| {
                DescribeDbClusterParametersOutput::builder()
                    .parameters(parameter("require_secure_transport", "1", "dynamic"))
                    .marker("next")
                    .build()
            });
        let second = mock!(Client::describe_db_cluster_parameters)
            .match_requests(|r| r.marker() == Some("next"))
            .then_output(|| {
                DescribeDbClusterParametersOutput::builder()
                    .parameters(parameter("binlog_format", "row", "static"))
                    .build()
            });
        let tags = mock!(Client::list_tags_for_resource)
            .match_requests(|r| r.resource_name() == Some(ARN))
            .then_output(|| {
                ListTagsForResourceOutput::builder()
                    .set_tag_list(sdk_tags(want().tags.iter()))
                    .build()
            });
        let mut want = want();
        let binlog = ("binlog_format".to_owned(), "ROW".to_owned());
        want.parameters.extend([binlog]);
        let aws = mocked(&[&describe, &first, &second, &tags]);
        let live = DbClusterParameterGroup::observe(&aws, &scope(NODE), &want, None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(live.spec, want);
        assert_eq!(live.condition, Condition::Ready);
    }

    #[test]
    fn values_are_compared_by_meaning() {
        for (one, other) in [("ON", "on"), ("ON", "1"), ("false", "OFF"), ("ROW", "row")] {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in [("ON", "OFF"), ("1", "10"), ("ROW", "MIXED"), ("0", "1")] {
            assert!(!same(one, other), "{one} {other}");
        }
    }

    #[tokio::test]
    async fn gone_is_none() {
        let gone = mock!(Client::describe_db_cluster_parameter_groups).then_error(|| {
            DescribeDBClusterParameterGroupsError::generic(
                ErrorMetadata::builder()
                    .code("DBParameterGroupNotFound")
                    .build(),
            )
        });
        let aws = mocked(&[&gone]);
        let live = DbClusterParameterGroup::observe(&aws, &scope(NODE), &want(), None).await;
        assert!(live.unwrap().is_none());
    }

    #[tokio::test]
    async fn update_sets_what_changed_in_the_way_each_parameter_allows_and_resets_the_rest() {
        let known = mock!(Client::describe_db_cluster_parameters)
            .match_requests(|r| r.source().is_none())
            .then_output(|| {
                DescribeDbClusterParametersOutput::builder()
                    .parameters(parameter("require_secure_transport", "OFF", "dynamic"))
                    .parameters(parameter("binlog_format", "OFF", "static"))
                    .build()
            });
        let modify = mock!(Client::modify_db_cluster_parameter_group)
            .match_requests(|r| {
                let sent: Vec<_> = r.parameters().iter().map(as_sent).collect();
                sent == [
                    (
                        "binlog_format",
                        Some("ROW"),
                        Some(&ApplyMethod::PendingReboot),
                    ),
                    (
                        "require_secure_transport",
                        Some("ON"),
                        Some(&ApplyMethod::Immediate),
                    ),
                ]
            })
            .then_output(|| ModifyDbClusterParameterGroupOutput::builder().build());
        let reset = mock!(Client::reset_db_cluster_parameter_group)
            .match_requests(|r| {
                let sent: Vec<_> = r.parameters().iter().map(as_sent).collect();
                sent == [("long_query_time", None, Some(&ApplyMethod::Immediate))]
                    && r.reset_all_parameters().is_none()
            })
            .then_output(|| ResetDbClusterParameterGroupOutput::builder().build());
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect()
        };
        let want = DbClusterParameterGroupSpec {
            parameters: pairs(&[
                ("binlog_format", "ROW"),
                ("character_set_server", "utf8mb4"),
                ("require_secure_transport", "ON"),
            ]),
            ..want()
        };
        let live = Live {
            outputs: outputs_of(&in_aws(), "test").unwrap(),
            spec: DbClusterParameterGroupSpec {
                parameters: pairs(&[
                    ("character_set_server", "utf8mb4"),
                    ("long_query_time", "2"),
                    ("require_secure_transport", "OFF"),
                ]),
                ..want.clone()
            },
            condition: Condition::Ready,
        };
        let aws = mocked(&[&known, &modify, &reset]);
        let changes = diff(&json!(want), &json!(live.spec), None);
        DbClusterParameterGroup::update(&aws, &scope(NODE), &live, &want, &changes)
            .await
            .unwrap();
        assert_eq!((modify.num_calls(), reset.num_calls()), (1, 1));
        assert_eq!(aws.calls().writes(), 2);
    }

    fn as_sent(parameter: &Parameter) -> (&str, Option<&str>, Option<&ApplyMethod>) {
        (
            parameter.parameter_name().unwrap_or_default(),
            parameter.parameter_value(),
            parameter.apply_method(),
        )
    }
}
