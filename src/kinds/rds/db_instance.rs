//! `rds/db_instance`: one machine of an Aurora cluster, the writer or a reader.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_rds::types::{DbInstance as AwsInstance, Filter};
use serde::{Deserialize, Serialize};

use super::{
    CLUSTER_GONE, as_declared, change_tags, condition, describe_cluster, sdk_tags, tags_of,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Class, Error, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    STACK_TAG, Scope, Stage, Tags, Times, UNKNOWN, outputs,
};

/// An `AWS::RDS::DBInstance` of an Aurora cluster.
pub struct DbInstance;

/// The settings of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct DbInstanceSpec<S: Stage> {
    /// Its identifier, which AWS keeps in lower case.
    pub identifier: String,
    /// The identifier of its cluster.
    pub cluster: S::In<String>,
    /// The engine, the same as the cluster's.
    pub engine: String,
    /// Its size: `db.r6g.large`, or `db.serverless`.
    pub instance_class: String,
    /// Its Availability Zone, `us-east-1a`.
    pub availability_zone: String,
    /// How soon it becomes the writer after a failure: 0 (first) to 15.
    pub promotion_tier: i32,
    /// Whether it has an address on the internet.
    pub publicly_accessible: bool,
    /// Whether AWS installs minor versions in the maintenance window; nothing leaves it as it is.
    pub auto_minor_version_upgrade: Option<bool>,
    /// Its tags.
    pub tags: Tags,
}

outputs! { DbInstance =>
    /// What AWS gives an instance.
    DbInstanceOutputs {
        /// The instance's identifier, in lower case.
        identifier: String,
        /// The instance's ARN.
        arn: String,
    }
}

const GONE: &[&str] = &["DBInstanceNotFound", "DBInstanceNotFoundFault"];

impl Resource for DbInstance {
    const KIND: &'static str = "rds/db_instance";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &["rds:DescribeDBInstances", "rds:DescribeDBClusters"],
        create: &["rds:CreateDBInstance", "rds:AddTagsToResource"],
        update: &[
            "rds:ModifyDBInstance",
            "rds:AddTagsToResource",
            "rds:RemoveTagsFromResource",
        ],
        delete: &["rds:DeleteDBInstance"],
    };
    const REPLACE_ON: &'static [&'static str] =
        &["identifier", "cluster", "engine", "availability_zone"];
    const TIMES: Times = Times {
        create: 420,
        delete: 300,
        limit: 5400,
    };
    // Field guide, section 6, and law 4: it is made while its cluster is still `creating`. The codes
    // stand with and without the suffix, see `CLUSTER_GONE`.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("InvalidDBClusterStateFault", 1800),
        Refusal::create("InvalidDBClusterState", 1800),
        Refusal::create("DBClusterNotFoundFault", 300),
        Refusal::create("DBClusterNotFound", 300),
        Refusal::update("InvalidDBInstanceState", 600),
        Refusal::update("InvalidDBInstanceStateFault", 600),
        Refusal::update("InvalidDBClusterStateFault", 600),
        Refusal::update("InvalidDBClusterState", 600),
        Refusal::delete("InvalidDBInstanceState", 1800),
        Refusal::delete("InvalidDBInstanceStateFault", 1800),
        Refusal::delete("InvalidDBClusterStateFault", 1800),
        Refusal::delete("InvalidDBClusterState", 1800),
    ];
    type Api = Aws;
    type Spec<S: Stage> = DbInstanceSpec<S>;
    type Outputs = DbInstanceOutputs;

    async fn observe(
        aws: &Aws,
        _scope: &Scope,
        want: &DbInstanceSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let identifier = last.map_or(&want.identifier, |last| &last.outputs.identifier);
        let cluster = last.map_or(&want.cluster, |last| &last.spec.cluster);
        let mut found = None;
        if cluster != UNKNOWN {
            found = of_cluster(aws, cluster)
                .await?
                .iter()
                .find(|sibling| is_named(sibling, identifier))
                .cloned();
        }
        if found.is_none() && last.is_none() {
            // The name is unique in the account: another cluster may have it.
            let named = describe(aws, "db-instance-id", identifier).await?;
            found = named.into_iter().find(|one| is_named(one, identifier));
        }
        found.map(|instance| live(&instance, want)).transpose()
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &DbInstanceSpec<Resolved>,
    ) -> Result<DbInstanceOutputs> {
        const OPERATION: &str = "rds:CreateDBInstance";
        let answer = aws
            .rds
            .create_db_instance()
            .db_instance_identifier(&want.identifier)
            .db_cluster_identifier(&want.cluster)
            .engine(&want.engine)
            .db_instance_class(&want.instance_class)
            .availability_zone(&want.availability_zone)
            .promotion_tier(want.promotion_tier)
            .publicly_accessible(want.publicly_accessible)
            .set_auto_minor_version_upgrade(want.auto_minor_version_upgrade)
            .set_tags(sdk_tags(want.tags.iter()))
            .send()
            .await
            .of(OPERATION)?;
        let instance = answer.db_instance();
        outputs_of(
            instance.ok_or_else(missing(OPERATION, "DBInstance"))?,
            OPERATION,
        )
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &DbInstanceSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        if changes.names().iter().any(|name| name != "tags") {
            let class = changes.touch("instance_class");
            let tier = changes.touch("promotion_tier");
            let public = changes.touch("publicly_accessible");
            let upgrade = changes.touch("auto_minor_version_upgrade");
            aws.rds
                .modify_db_instance()
                .db_instance_identifier(&live.outputs.identifier)
                .apply_immediately(true)
                .set_db_instance_class(class.then(|| want.instance_class.clone()))
                .set_promotion_tier(tier.then_some(want.promotion_tier))
                .set_publicly_accessible(public.then_some(want.publicly_accessible))
                .set_auto_minor_version_upgrade(want.auto_minor_version_upgrade.filter(|_| upgrade))
                .send()
                .await
                .of("rds:ModifyDBInstance")?;
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        refuse_if_protected(aws, live).await?;
        let answer = aws
            .rds
            .delete_db_instance()
            .db_instance_identifier(&live.outputs.identifier)
            // No word of a final snapshot: the data is the cluster's (field guide, section 6).
            .send()
            .await
            .of("rds:DeleteDBInstance")
            .gone_is_fine(GONE);
        match answer {
            Err(error) if under_way(&error) => Ok(()),
            answer => answer,
        }
    }

    /// All instances of the known clusters: without its cluster there is none.
    async fn sweep(
        aws: &Aws,
        scope: &Scope,
        known: &[DbInstanceSpec<Resolved>],
    ) -> Result<Vec<Live<Self>>> {
        let mut found = Vec::new();
        let clusters: BTreeSet<&str> = known.iter().map(|spec| &*spec.cluster).collect();
        for cluster in clusters.into_iter().filter(|cluster| *cluster != UNKNOWN) {
            for instance in of_cluster(aws, cluster).await?.iter() {
                let is_ours = tags_of(instance.tag_list()).0.get(STACK_TAG) == Some(&scope.stack);
                let one = known.iter().find(|spec| spec.cluster == cluster);
                if let (true, Some(spec)) = (is_ours, one) {
                    found.push(live(instance, spec)?);
                }
            }
        }
        Ok(found)
    }
}

fn under_way(error: &Error) -> bool {
    ["InvalidDBInstanceState", "InvalidDBInstanceStateFault"]
        .iter()
        .any(|code| error.says(code, "already being deleted"))
}

/// Refuses to take the writer from a protected cluster: AWS would let the last instance go and only
/// then refuse to delete the cluster. Readers may go, also from a protected cluster. All instances
/// are deleted at the same time, so it must be one that everybody agrees on, and that is the writer.
async fn refuse_if_protected(aws: &Aws, live: &Live<DbInstance>) -> Result<()> {
    let Some(cluster) = describe_cluster(aws, &live.spec.cluster).await? else {
        return Ok(());
    };
    if cluster.deletion_protection() != Some(true) {
        return Ok(());
    }
    let identifier = &live.outputs.identifier;
    let members = cluster.db_cluster_members();
    let is_writer = members.iter().any(|member| {
        member
            .db_instance_identifier()
            .is_some_and(|name| name.eq_ignore_ascii_case(identifier))
            && (member.is_cluster_writer() == Some(true) || members.len() == 1)
    });
    if !is_writer {
        return Ok(());
    }
    let name = &live.spec.cluster;
    Err(Error::new(
        "rds:DeleteDBInstance",
        Class::Refused,
        format!(
            "{identifier} is the writer of the cluster {name}, which is protected from deletion"
        ),
    )
    .with_advice(format!(
        "to keep the cluster, make another instance the writer first: \
         `aws rds failover-db-cluster --db-cluster-identifier {name}`; to delete it, set \
         `protect = false` and run `orderctl up`; then run the same command again"
    )))
}

fn is_named(instance: &AwsInstance, identifier: &str) -> bool {
    instance
        .db_instance_identifier()
        .is_some_and(|name| name.eq_ignore_ascii_case(identifier))
}

async fn of_cluster(aws: &Aws, cluster: &str) -> Result<Arc<Vec<AwsInstance>>> {
    let key = format!("rds:DescribeDBInstances db-cluster-id={cluster}");
    aws.read_once(&key, describe(aws, "db-cluster-id", cluster))
        .await
}

async fn describe(aws: &Aws, filter: &str, value: &str) -> Result<Vec<AwsInstance>> {
    let pages = aws
        .rds
        .describe_db_instances()
        .filters(Filter::builder().name(filter).values(value).build())
        .into_paginator()
        .items()
        .send();
    let found = pages
        .collect::<std::result::Result<_, _>>()
        .await
        .of("rds:DescribeDBInstances");
    // Whether a filter for something absent is an error is not documented.
    let absent: Vec<_> = GONE.iter().chain(CLUSTER_GONE).copied().collect();
    Ok(found.gone_is_none(&absent)?.unwrap_or_default())
}

fn outputs_of(instance: &AwsInstance, operation: &'static str) -> Result<DbInstanceOutputs> {
    let identifier = instance.db_instance_identifier();
    let arn = instance.db_instance_arn();
    Ok(DbInstanceOutputs {
        identifier: identifier
            .ok_or_else(missing(operation, "DBInstanceIdentifier"))?
            .to_owned(),
        arn: arn
            .ok_or_else(missing(operation, "DBInstanceArn"))?
            .to_owned(),
    })
}

fn live(instance: &AwsInstance, want: &DbInstanceSpec<Resolved>) -> Result<Live<DbInstance>> {
    let outputs = outputs_of(instance, "rds:DescribeDBInstances")?;
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let cluster = instance.db_cluster_identifier().unwrap_or_default();
    // AWS tells the zone once the instance is placed; until then it is the one asked for.
    let zone = instance.availability_zone();
    Ok(Live {
        spec: DbInstanceSpec {
            identifier: as_declared(&want.identifier, &outputs.identifier),
            cluster: as_declared(&want.cluster, cluster),
            engine: text(instance.engine()),
            instance_class: text(instance.db_instance_class()),
            availability_zone: zone.unwrap_or(&want.availability_zone).to_owned(),
            promotion_tier: instance.promotion_tier().unwrap_or(1),
            publicly_accessible: instance.publicly_accessible().unwrap_or(false),
            auto_minor_version_upgrade: instance.auto_minor_version_upgrade(),
            tags: tags_of(instance.tag_list()),
        },
        condition: condition(
            instance.db_instance_status().unwrap_or_default(),
            &["available"],
            "db-instance",
            &outputs.identifier,
        ),
        outputs,
    })
}

#[cfg(test)]
mod tests;
