//! `rds/db_subnet_group`: the subnets a database cluster may use.

use aws_sdk_rds::types::DbSubnetGroup as AwsGroup;
use serde::{Deserialize, Serialize};

use super::{as_declared, change_tags, in_declared_order, read_tags, sdk_tags};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::kinds::ec2::{SubnetId, VpcId};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, Tags, outputs,
};

/// An `AWS::RDS::DBSubnetGroup`.
pub struct DbSubnetGroup;

/// The settings of a subnet group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct DbSubnetGroupSpec<S: Stage> {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: S::In<String>,
    /// The VPC of its subnets. AWS derives it from them; it stands here because a group cannot move
    /// to another VPC.
    pub vpc: S::In<VpcId>,
    /// Its subnets, in at least two Availability Zones; their order means nothing.
    pub subnets: Vec<S::In<SubnetId>>,
    /// Its tags.
    pub tags: Tags,
}

outputs! { DbSubnetGroup =>
    /// What AWS gives a subnet group.
    DbSubnetGroupOutputs {
        /// The group's name, in lower case.
        name: String,
        /// The group's ARN.
        arn: String,
    }
}

const GONE: &[&str] = &["DBSubnetGroupNotFoundFault", "DBSubnetGroupNotFound"];

impl Resource for DbSubnetGroup {
    const KIND: &'static str = "rds/db_subnet_group";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &["rds:DescribeDBSubnetGroups", "rds:ListTagsForResource"],
        create: &["rds:CreateDBSubnetGroup", "rds:AddTagsToResource"],
        update: &[
            "rds:ModifyDBSubnetGroup",
            "rds:AddTagsToResource",
            "rds:RemoveTagsFromResource",
        ],
        delete: &["rds:DeleteDBSubnetGroup"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name", "vpc"];
    // Field guide, sections 1 (rule 6: fresh subnets may not be seen at once) and 6.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("InvalidSubnet", 120),
        Refusal::update("InvalidSubnet", 120),
        Refusal::update("InvalidDBSubnetGroupStateFault", 300),
        Refusal::update("InvalidDBSubnetGroupState", 300),
        Refusal::delete("InvalidDBSubnetGroupStateFault", 300),
        Refusal::delete("InvalidDBSubnetGroupState", 300),
    ];
    type Api = Aws;
    type Spec<S: Stage> = DbSubnetGroupSpec<S>;
    type Outputs = DbSubnetGroupOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &DbSubnetGroupSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        const OPERATION: &str = "rds:DescribeDBSubnetGroups";
        let name = last.map_or(&want.name, |last| &last.outputs.name);
        let answer = aws
            .rds
            .describe_db_subnet_groups()
            .db_subnet_group_name(name)
            .send()
            .await
            .of(OPERATION)
            .gone_is_none(GONE)?;
        let Some(group) =
            answer.and_then(|answer| answer.db_subnet_groups.unwrap_or_default().pop())
        else {
            return Ok(None);
        };
        let outputs = outputs_of(&group, OPERATION)?;
        let tags = aws
            .tags(
                scope,
                &outputs.arn,
                &want.tags,
                read_tags(aws, &outputs.arn),
            )
            .await?;
        let subnets = group.subnets().iter();
        let subnets = subnets.filter_map(|subnet| subnet.subnet_identifier().map(SubnetId::from));
        Ok(Some(Live {
            spec: DbSubnetGroupSpec {
                name: as_declared(&want.name, &outputs.name),
                description: group
                    .db_subnet_group_description()
                    .unwrap_or_default()
                    .to_owned(),
                vpc: group
                    .vpc_id()
                    .ok_or_else(missing(OPERATION, "VpcId"))?
                    .into(),
                subnets: in_declared_order(&want.subnets, subnets.collect()),
                tags,
            },
            condition: Condition::from_status(
                group.subnet_group_status().unwrap_or_default(),
                &["Complete"],
            ),
            outputs,
        }))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &DbSubnetGroupSpec<Resolved>,
    ) -> Result<DbSubnetGroupOutputs> {
        const OPERATION: &str = "rds:CreateDBSubnetGroup";
        let answer = aws
            .rds
            .create_db_subnet_group()
            .db_subnet_group_name(&want.name)
            .db_subnet_group_description(&want.description)
            .set_subnet_ids(Some(subnet_ids(want)))
            .set_tags(sdk_tags(want.tags.iter()))
            .send()
            .await
            .of(OPERATION)?;
        let group = answer.db_subnet_group();
        outputs_of(
            group.ok_or_else(missing(OPERATION, "DBSubnetGroup"))?,
            OPERATION,
        )
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &DbSubnetGroupSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        if changes.touch_any(&["subnets", "description"]) {
            let description = changes
                .touch("description")
                .then(|| want.description.clone());
            aws.rds
                .modify_db_subnet_group()
                .db_subnet_group_name(&live.outputs.name)
                .set_db_subnet_group_description(description)
                // Required even when only the description changes.
                .set_subnet_ids(Some(subnet_ids(want)))
                .send()
                .await
                .of("rds:ModifyDBSubnetGroup")?;
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.rds
            .delete_db_subnet_group()
            .db_subnet_group_name(&live.outputs.name)
            .send()
            .await
            .of("rds:DeleteDBSubnetGroup")
            .gone_is_fine(GONE)
    }
}

fn subnet_ids(want: &DbSubnetGroupSpec<Resolved>) -> Vec<String> {
    want.subnets.iter().map(|id| id.0.clone()).collect()
}

fn outputs_of(group: &AwsGroup, operation: &'static str) -> Result<DbSubnetGroupOutputs> {
    let name = group.db_subnet_group_name();
    let arn = group.db_subnet_group_arn();
    Ok(DbSubnetGroupOutputs {
        name: name
            .ok_or_else(missing(operation, "DBSubnetGroupName"))?
            .to_owned(),
        arn: arn
            .ok_or_else(missing(operation, "DBSubnetGroupArn"))?
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::Client;
    use aws_sdk_rds::error::ErrorMetadata;
    use aws_sdk_rds::operation::create_db_subnet_group::CreateDbSubnetGroupOutput;
    use aws_sdk_rds::operation::describe_db_subnet_groups::{
        DescribeDBSubnetGroupsError, DescribeDbSubnetGroupsOutput,
    };
    use aws_sdk_rds::operation::list_tags_for_resource::ListTagsForResourceOutput;
    use aws_sdk_rds::operation::modify_db_subnet_group::ModifyDbSubnetGroupOutput;
    use aws_sdk_rds::types::Subnet;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const ARN: &str = "arn:aws:rds:us-east-1:123456789012:subgrp:order-api-dev";

    fn want() -> DbSubnetGroupSpec<Resolved> {
        DbSubnetGroupSpec {
            name: "order-api-dev".into(),
            description: "Private subnets".into(),
            vpc: "vpc-1".into(),
            subnets: vec!["subnet-3".into(), "subnet-1".into(), "subnet-2".into()],
            tags: Tags::from_pairs([(NODE_TAG, "db-subnet-group")]),
        }
    }

    fn in_aws() -> AwsGroup {
        let subnet = |id| Subnet::builder().subnet_identifier(id).build();
        AwsGroup::builder()
            .db_subnet_group_name("order-api-dev")
            .db_subnet_group_description("Private subnets")
            .vpc_id("vpc-1")
            .subnet_group_status("Complete")
            .subnets(subnet("subnet-1"))
            .subnets(subnet("subnet-2"))
            .subnets(subnet("subnet-3"))
            .db_subnet_group_arn(ARN)
            .build()
    }

    fn tags() -> Rule {
        mock!(Client::list_tags_for_resource)
            .match_requests(|r| r.resource_name() == Some(ARN))
            .then_output(|| {
                ListTagsForResourceOutput::builder()
                    .set_tag_list(sdk_tags(want().tags.iter()))
                    .build()
            })
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_whatever_the_order_of_the_subnets() {
        let describe = mock!(Client::describe_db_subnet_groups)
            .match_requests(|r| r.db_subnet_group_name() == Some("order-api-dev"))
            .then_output(|| {
                DescribeDbSubnetGroupsOutput::builder()
                    .db_subnet_groups(in_aws())
                    .build()
            });
        let tags = tags();
        let aws = mocked(&[&describe, &tags]);
        let live = DbSubnetGroup::observe(&aws, &scope("db-subnet-group"), &want(), None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(live.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn gone_is_none() {
        let gone = mock!(Client::describe_db_subnet_groups).then_error(|| {
            DescribeDBSubnetGroupsError::generic(
                ErrorMetadata::builder()
                    .code("DBSubnetGroupNotFoundFault")
                    .build(),
            )
        });
        let aws = mocked(&[&gone]);
        let live = DbSubnetGroup::observe(&aws, &scope("db-subnet-group"), &want(), None).await;
        assert!(live.unwrap().is_none());
    }

    #[tokio::test]
    async fn create_carries_subnets_and_tags() {
        let create = mock!(Client::create_db_subnet_group)
            .match_requests(|r| {
                r.subnet_ids() == ["subnet-3", "subnet-1", "subnet-2"]
                    && super::super::tags_of(r.tags()) == want().tags
            })
            .then_output(|| {
                CreateDbSubnetGroupOutput::builder()
                    .db_subnet_group(in_aws())
                    .build()
            });
        let outputs =
            DbSubnetGroup::create(&mocked(&[&create]), &scope("db-subnet-group"), &want()).await;
        assert_eq!(outputs.unwrap().arn, ARN);
    }

    #[tokio::test]
    async fn update_sends_only_what_changed() {
        let modify = mock!(Client::modify_db_subnet_group)
            .match_requests(|r| {
                r.subnet_ids() == ["subnet-1", "subnet-4"]
                    && r.db_subnet_group_description().is_none()
            })
            .then_output(|| ModifyDbSubnetGroupOutput::builder().build());
        let aws = mocked(&[&modify]);
        let live = Live {
            outputs: outputs_of(&in_aws(), "test").unwrap(),
            spec: want(),
            condition: Condition::Ready,
        };
        let want = DbSubnetGroupSpec {
            subnets: vec!["subnet-1".into(), "subnet-4".into()],
            ..want()
        };
        let changes = diff(&json!(want), &json!(live.spec), None);
        DbSubnetGroup::update(&aws, &scope("db-subnet-group"), &live, &want, &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }
}
