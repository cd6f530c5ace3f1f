//! The Aurora cluster and its members.

use aws_sdk_rds::types::{DbCluster, DbInstance, Filter};

use super::Subject;
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;

/// The cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its identifier.
    pub identifier: String,
    /// AWS's word, `available`.
    pub status: String,
    /// The version of its engine, `8.0.mysql_aurora.3.08.2`.
    pub engine_version: String,
    /// Its members, the writer first.
    pub members: Vec<Member>,
}

/// An instance of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its identifier.
    pub identifier: String,
    /// What it does; none while it is not a member yet.
    pub role: Option<Role>,
    /// AWS's word, `available`; empty if AWS shows the member alone.
    pub status: String,
    /// Its Availability Zone; empty until AWS has chosen one.
    pub zone: String,
    /// Its class, `db.r6g.large` or `db.serverless`.
    pub class: String,
}

/// What a member does. The order is that of showing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It takes the writes.
    Writer,
    /// It answers reads, and may become the writer.
    Reader,
}

/// The wire code has the suffix, the documentation and some emulators leave it off.
const GONE: &[&str] = &["DBClusterNotFoundFault", "DBClusterNotFound"];

/// Reads the cluster and its instances (`rds:DescribeDBClusters`, `rds:DescribeDBInstances`).
pub(super) async fn database(aws: &Aws, subject: &Subject) -> Result<Option<Database>> {
    let identifier = &subject.db_cluster;
    let (cluster, instances) = tokio::join!(cluster(aws, identifier), instances(aws, identifier));
    let Some(cluster) = cluster? else {
        return Ok(None);
    };
    Ok(Some(Database {
        identifier: identifier.clone(),
        status: cluster.status().unwrap_or_default().to_owned(),
        engine_version: cluster.engine_version().unwrap_or_default().to_owned(),
        members: members(&cluster, &instances?),
    }))
}

async fn cluster(aws: &Aws, identifier: &str) -> Result<Option<DbCluster>> {
    let answer = aws
        .rds
        .describe_db_clusters()
        .db_cluster_identifier(identifier)
        .send()
        .await
        .of("rds:DescribeDBClusters")
        .gone_is_none(GONE)?;
    Ok(answer.and_then(|answer| answer.db_clusters.unwrap_or_default().pop()))
}

async fn instances(aws: &Aws, cluster: &str) -> Result<Vec<DbInstance>> {
    let filter = Filter::builder().name("db-cluster-id").values(cluster);
    let found = aws
        .rds
        .describe_db_instances()
        .filters(filter.build())
        .into_paginator()
        .items()
        .send()
        .collect::<std::result::Result<Vec<_>, _>>()
        .await
        .of("rds:DescribeDBInstances")
        .gone_is_none(GONE)?;
    Ok(found.unwrap_or_default())
}

/// The cluster knows who writes, the instances know how they are; either may know of one more.
fn members(cluster: &DbCluster, instances: &[DbInstance]) -> Vec<Member> {
    let of_cluster = cluster.db_cluster_members().iter().filter_map(|member| {
        let role = match member.is_cluster_writer() {
            Some(true) => Role::Writer,
            _ => Role::Reader,
        };
        Some((member.db_instance_identifier()?, Some(role)))
    });
    let mut named: Vec<(&str, Option<Role>)> = of_cluster.collect();
    for instance in instances
        .iter()
        .filter_map(DbInstance::db_instance_identifier)
    {
        if !named.iter().any(|(name, _)| *name == instance) {
            named.push((instance, None));
        }
    }
    let mut members: Vec<Member> = named
        .into_iter()
        .map(|(name, role)| {
            let mut all = instances.iter();
            let instance = all.find(|it| it.db_instance_identifier() == Some(name));
            let text = |field: fn(&DbInstance) -> Option<&str>| {
                instance.and_then(field).unwrap_or_default().to_owned()
            };
            Member {
                identifier: name.to_owned(),
                role,
                status: text(DbInstance::db_instance_status),
                zone: text(DbInstance::availability_zone),
                class: text(DbInstance::db_instance_class),
            }
        })
        .collect();
    // One without a role comes last.
    members.sort_by(|one, other| {
        let rank = |member: &Member| (member.role.is_none(), member.role);
        (rank(one), &one.identifier).cmp(&(rank(other), &other.identifier))
    });
    members
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::Client;
    use aws_sdk_rds::operation::describe_db_clusters::{
        DescribeDBClustersError, DescribeDbClustersOutput,
    };
    use aws_sdk_rds::operation::describe_db_instances::DescribeDbInstancesOutput;
    use aws_sdk_rds::types::DbClusterMember;
    use aws_smithy_mocks::mock;
    use aws_smithy_types::error::ErrorMetadata;

    use super::super::testing::subject;
    use super::*;
    use crate::aws::testing::mocked;

    fn instance(name: &str, status: &str) -> DbInstance {
        DbInstance::builder()
            .db_instance_identifier(name)
            .db_instance_status(status)
            .availability_zone("us-east-1a")
            .db_instance_class("db.r6g.large")
            .build()
    }

    #[tokio::test]
    async fn members_have_the_role_of_the_moment_and_the_writer_comes_first() {
        let clusters = mock!(Client::describe_db_clusters).then_output(|| {
            let member = |name: &str, writes| {
                DbClusterMember::builder()
                    .db_instance_identifier(name)
                    .is_cluster_writer(writes)
                    .build()
            };
            let cluster = DbCluster::builder()
                .status("available")
                .engine_version("8.0.mysql_aurora.3.08.2")
                .db_cluster_members(member("order-api-dev-3", false))
                .db_cluster_members(member("order-api-dev-1", false))
                .db_cluster_members(member("order-api-dev-2", true));
            DescribeDbClustersOutput::builder()
                .db_clusters(cluster.build())
                .build()
        });
        let page = |marker: Option<&'static str>, next: Option<&'static str>, names: &[&str]| {
            let names: Vec<DbInstance> = names
                .iter()
                .map(|name| {
                    let status = match name.ends_with('4') {
                        true => "creating",
                        false => "available",
                    };
                    instance(name, status)
                })
                .collect();
            mock!(Client::describe_db_instances)
                .match_requests(move |r| {
                    let filter = &r.filters()[0];
                    r.marker() == marker
                        && (filter.name(), filter.values())
                            == (Some("db-cluster-id"), &["order-api-dev".to_owned()])
                })
                .then_output(move || {
                    DescribeDbInstancesOutput::builder()
                        .set_db_instances(Some(names.clone()))
                        .set_marker(next.map(str::to_owned))
                        .build()
                })
        };
        let first = page(None, Some("2"), &["order-api-dev-1", "order-api-dev-2"]);
        let second = page(Some("2"), None, &["order-api-dev-4"]);
        let aws = mocked(&[&clusters, &first, &second]);
        let found = database(&aws, &subject()).await.unwrap().unwrap();
        let members = found.members.iter();
        let members = members.map(|it| (&it.identifier[14..], it.role, it.status.as_str()));
        assert_eq!(
            members.collect::<Vec<_>>(),
            [
                ("2", Some(Role::Writer), "available"),
                ("1", Some(Role::Reader), "available"),
                // Shown by the cluster alone, and by the instances alone.
                ("3", Some(Role::Reader), ""),
                ("4", None, "creating"),
            ]
        );
    }

    #[tokio::test]
    async fn without_a_cluster_there_is_no_database() {
        let gone = mock!(Client::describe_db_clusters).then_error(|| {
            let code = ErrorMetadata::builder().code("DBClusterNotFoundFault");
            DescribeDBClustersError::generic(code.build())
        });
        let none = mock!(Client::describe_db_instances)
            .then_output(|| DescribeDbInstancesOutput::builder().build());
        let found = database(&mocked(&[&gone, &none]), &subject()).await;
        assert_eq!(found.unwrap(), None);
    }
}
