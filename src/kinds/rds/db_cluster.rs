//! `rds/db_cluster`: the Aurora cluster, which is its storage, endpoints and users. It computes
//! nothing until it has instances.

use std::collections::BTreeSet;

use aws_sdk_rds::types::{
    CloudwatchLogsExportConfiguration, DbCluster as AwsCluster, ServerlessV2ScalingConfiguration,
};
use serde::{Deserialize, Serialize};

use super::{
    CLUSTER_GONE, MasterPassword, as_declared, change_tags, condition, describe_cluster,
    in_declared_order, sdk_tags, tags_of,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::kinds::ec2::SecurityGroupId;
use crate::kinds::secretsmanager::SecretArn;
use crate::resource::{
    Changes, Class, Condition, Error, Handle, Identity, Input, Last, Live, Operations, Refusal,
    Resolved, Resource, Result, Scope, Stage, Tags, Times, outputs,
};

/// An `AWS::RDS::DBCluster` of an Aurora engine.
pub struct DbCluster;

/// The settings of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct DbClusterSpec<S: Stage> {
    /// Its identifier, which AWS keeps in lower case.
    pub identifier: String,
    /// The engine: `aurora-mysql`.
    pub engine: String,
    /// The version, as precise as wanted: `8.0` leaves the patch to AWS.
    pub engine_version: String,
    /// The database made in it at the start.
    pub database_name: String,
    /// The user that may do everything.
    pub master_username: String,
    /// Where that user's password comes from.
    pub master_password: MasterPassword<S>,
    /// The name of its DB subnet group.
    pub subnet_group: S::In<String>,
    /// The name of its cluster parameter group.
    pub parameter_group: S::In<String>,
    /// Its security groups; their order means nothing.
    pub security_groups: Vec<S::In<SecurityGroupId>>,
    /// Whether the data is encrypted, with the account's own RDS key.
    pub storage_encrypted: bool,
    /// How many days automated backups are kept.
    pub backup_retention_days: u8,
    /// When backups are made, in UTC: `03:00-04:00`.
    pub preferred_backup_window: String,
    /// When maintenance may happen, in UTC: `mon:04:00-mon:05:00`.
    pub preferred_maintenance_window: String,
    /// The logs sent to CloudWatch Logs: `audit`, `error`, `general`, `slowquery`.
    pub log_exports: BTreeSet<String>,
    /// Whether snapshots get the cluster's tags.
    pub copy_tags_to_snapshot: bool,
    /// Whether AWS refuses to delete it.
    pub deletion_protection: bool,
    /// The range of Serverless v2 instances; nothing where there are none.
    pub serverless_capacity: Option<ServerlessCapacity>,
    /// Its tags.
    pub tags: Tags,
}

/// How far Serverless v2 instances scale, in Aurora capacity units (about 2 GiB of memory each).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerlessCapacity {
    /// The least, in steps of 0.5.
    pub min_acu: f64,
    /// The most, in steps of 0.5.
    pub max_acu: f64,
}

impl From<ServerlessCapacity> for ServerlessV2ScalingConfiguration {
    fn from(capacity: ServerlessCapacity) -> Self {
        Self::builder()
            .min_capacity(capacity.min_acu)
            .max_capacity(capacity.max_acu)
            .build()
    }
}

outputs! { DbCluster =>
    /// What AWS gives a cluster.
    DbClusterOutputs {
        /// The cluster's identifier, in lower case.
        identifier: String,
        /// The cluster's ARN.
        arn: String,
        /// The host name of the writer.
        endpoint: String,
        /// The host name that spreads over the readers.
        reader_endpoint: String,
        /// The identifier that never changes, `cluster-…`.
        resource_id: String,
        /// The secret RDS keeps the master password in, if RDS manages it.
        master_secret_arn: Option<SecretArn>,
    }
}

impl Handle<DbCluster> {
    /// Refers to the secret RDS keeps the master password in, for clusters declared with
    /// [`MasterPassword::Managed`]. Without one the value stays unknown for ever.
    pub fn managed_secret_arn(&self) -> Input<SecretArn> {
        self.output("master_secret_arn")
    }
}

impl Resource for DbCluster {
    const KIND: &'static str = "rds/db_cluster";
    const IDENTITY: Identity = Identity::Name;
    // A last snapshot is made and tagged with the caller's permissions.
    const OPERATIONS: Operations = Operations {
        read: &["rds:DescribeDBClusters"],
        create: &[
            "rds:CreateDBCluster",
            "secretsmanager:GetSecretValue",
            "rds:AddTagsToResource",
        ],
        update: &[
            "rds:ModifyDBCluster",
            "secretsmanager:GetSecretValue",
            "rds:AddTagsToResource",
            "rds:RemoveTagsFromResource",
        ],
        delete: &[
            "rds:DeleteDBCluster",
            "rds:CreateDBClusterSnapshot",
            "rds:AddTagsToResource",
        ],
    };
    const REPLACE_ON: &'static [&'static str] = &[
        "identifier",
        "engine",
        "database_name",
        "master_username",
        "subnet_group",
        "storage_encrypted",
    ];
    const HOLDS_DATA: bool = true;
    const TIMES: Times = Times {
        create: 90,
        delete: 60,
        limit: 7200,
    };
    // Field guide, section 6. The codes stand with and without the suffix, see `CLUSTER_GONE`.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("DBSubnetGroupNotFoundFault", 120),
        Refusal::create("DBSubnetGroupNotFound", 120),
        Refusal::create("InvalidDBSubnetGroupStateFault", 120),
        Refusal::create("InvalidDBSubnetGroupState", 120),
        Refusal::create("DBClusterParameterGroupNotFound", 120),
        Refusal::create("DBClusterParameterGroupNotFoundFault", 120),
        // The secret is read during the create and may be a second old.
        Refusal::create("ResourceNotFoundException", 120),
        Refusal::update("ResourceNotFoundException", 120),
        Refusal::update("InvalidDBClusterStateFault", 300),
        Refusal::update("InvalidDBClusterState", 300),
        Refusal::delete("InvalidDBClusterStateFault", 1800),
        Refusal::delete("InvalidDBClusterState", 1800),
    ];
    type Api = Aws;
    type Spec<S: Stage> = DbClusterSpec<S>;
    type Outputs = DbClusterOutputs;

    async fn observe(
        aws: &Aws,
        _scope: &Scope,
        want: &DbClusterSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let identifier = last.map_or(&want.identifier, |last| &last.outputs.identifier);
        let found = describe_cluster(aws, identifier).await?;
        found.map(|cluster| live(&cluster, want, last)).transpose()
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &DbClusterSpec<Resolved>,
    ) -> Result<DbClusterOutputs> {
        const OPERATION: &str = "rds:CreateDBCluster";
        let request = aws
            .rds
            .create_db_cluster()
            .db_cluster_identifier(&want.identifier)
            .engine(&want.engine)
            .engine_version(&want.engine_version)
            .database_name(&want.database_name)
            .master_username(&want.master_username)
            .db_subnet_group_name(&want.subnet_group)
            .db_cluster_parameter_group_name(&want.parameter_group)
            .set_vpc_security_group_ids(Some(security_group_ids(want)))
            .storage_encrypted(want.storage_encrypted)
            .backup_retention_period(want.backup_retention_days.into())
            .preferred_backup_window(&want.preferred_backup_window)
            .preferred_maintenance_window(&want.preferred_maintenance_window)
            .set_enable_cloudwatch_logs_exports(Some(want.log_exports.iter().cloned().collect()))
            .copy_tags_to_snapshot(want.copy_tags_to_snapshot)
            .deletion_protection(want.deletion_protection)
            .set_serverless_v2_scaling_configuration(want.serverless_capacity.map(Into::into))
            .set_tags(sdk_tags(want.tags.iter()));
        let password = want.master_password.read(aws).await?;
        let request = MasterPassword::on_create(password.as_ref(), request);
        let answer = request.send().await.of(OPERATION);
        let answer = answer.map_err(|error| MasterPassword::hide(password.as_ref(), error))?;
        let cluster = answer.db_cluster();
        outputs_of(
            cluster.ok_or_else(missing(OPERATION, "DBCluster"))?,
            OPERATION,
        )
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &DbClusterSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        if changes.names().iter().any(|name| name != "tags") {
            modify(aws, live, want, changes).await?;
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, scope: &Scope, live: &Live<Self>) -> Result<()> {
        const OPERATION: &str = "rds:DeleteDBCluster";
        let identifier = &live.outputs.identifier;
        if live.spec.deletion_protection {
            return Err(Error::new(
                OPERATION,
                Class::Refused,
                format!("the cluster {identifier} is protected from deletion"),
            )
            .with_advice(
                "set `protect = false` and run `orderctl up`, then run the same command again",
            ));
        }
        let request = aws
            .rds
            .delete_db_cluster()
            .db_cluster_identifier(identifier);
        let request = match &scope.final_snapshot {
            Some(snapshot) => request
                .skip_final_snapshot(false)
                .final_db_snapshot_identifier(snapshot),
            None => request.skip_final_snapshot(true),
        };
        let answer = request
            .send()
            .await
            .of(OPERATION)
            .gone_is_fine(CLUSTER_GONE);
        answer.map_err(|error| {
            let taken = [
                "DBClusterSnapshotAlreadyExistsFault",
                "DBClusterSnapshotAlreadyExists",
            ];
            if error.is(&taken) {
                error.with_advice(
                    "a snapshot of that name exists and is kept; run `orderctl down \
                     --final-snapshot` again for a snapshot under another name",
                )
            } else {
                error
            }
        })
    }
}

fn security_group_ids(want: &DbClusterSpec<Resolved>) -> Vec<String> {
    want.security_groups.iter().map(|id| id.0.clone()).collect()
}

/// Sends one ModifyDBCluster with what changed, to be done now and not in the maintenance window.
async fn modify(
    aws: &Aws,
    live: &Live<DbCluster>,
    want: &DbClusterSpec<Resolved>,
    changes: &Changes,
) -> Result<()> {
    let mut request = aws
        .rds
        .modify_db_cluster()
        .db_cluster_identifier(&live.outputs.identifier)
        .apply_immediately(true);
    macro_rules! send {
        ($($field:ident => $setter:ident($value:expr)),* $(,)?) => {
            $(if changes.touch(stringify!($field)) { request = request.$setter($value); })*
        };
    }
    send! {
        engine_version => engine_version(&want.engine_version),
        parameter_group => db_cluster_parameter_group_name(&want.parameter_group),
        security_groups => set_vpc_security_group_ids(Some(security_group_ids(want))),
        backup_retention_days => backup_retention_period(want.backup_retention_days.into()),
        preferred_backup_window => preferred_backup_window(&want.preferred_backup_window),
        preferred_maintenance_window =>
            preferred_maintenance_window(&want.preferred_maintenance_window),
        log_exports =>
            cloudwatch_logs_export_configuration(exports(&live.spec.log_exports, &want.log_exports)),
        copy_tags_to_snapshot => copy_tags_to_snapshot(want.copy_tags_to_snapshot),
        deletion_protection => deletion_protection(want.deletion_protection),
        serverless_capacity =>
            set_serverless_v2_scaling_configuration(want.serverless_capacity.map(Into::into)),
    }
    if changes.touch("engine_version")
        && major(&want.engine_version) != major(&live.spec.engine_version)
    {
        request = request.allow_major_version_upgrade(true);
    }
    let mut password = None;
    if changes.touch("master_password") {
        password = want.master_password.read(aws).await?;
        let live = &live.spec.master_password;
        request = MasterPassword::on_modify(live, password.as_ref(), request);
    }
    let answer = request.send().await.of("rds:ModifyDBCluster");
    answer.map_err(|error| MasterPassword::hide(password.as_ref(), error))?;
    Ok(())
}

fn exports(live: &BTreeSet<String>, want: &BTreeSet<String>) -> CloudwatchLogsExportConfiguration {
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        let types: Vec<_> = one.difference(other).cloned().collect();
        (!types.is_empty()).then_some(types)
    };
    CloudwatchLogsExportConfiguration::builder()
        .set_enable_log_types(only(want, live))
        .set_disable_log_types(only(live, want))
        .build()
}

/// The MySQL version a version of Aurora MySQL speaks: `8.0` of `8.0.mysql_aurora.3.08.2`.
fn major(version: &str) -> Vec<&str> {
    version.split('.').take(2).collect()
}

/// Gives the declared version if the live one is a more precise form of it.
fn version_as_declared(declared: &str, live: &str) -> String {
    let precise = live
        .strip_prefix(declared)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    (if precise { declared } else { live }).to_owned()
}

fn outputs_of(cluster: &AwsCluster, operation: &'static str) -> Result<DbClusterOutputs> {
    let field = |name| missing(operation, name);
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let secret = cluster.master_user_secret();
    Ok(DbClusterOutputs {
        identifier: cluster
            .db_cluster_identifier()
            .ok_or_else(field("DBClusterIdentifier"))?
            .to_owned(),
        arn: cluster
            .db_cluster_arn()
            .ok_or_else(field("DBClusterArn"))?
            .to_owned(),
        endpoint: text(cluster.endpoint()),
        reader_endpoint: text(cluster.reader_endpoint()),
        resource_id: text(cluster.db_cluster_resource_id()),
        master_secret_arn: secret
            .and_then(|secret| secret.secret_arn())
            .map(SecretArn::from),
    })
}

fn live(
    cluster: &AwsCluster,
    want: &DbClusterSpec<Resolved>,
    last: Option<&Last<DbCluster>>,
) -> Result<Live<DbCluster>> {
    let outputs = outputs_of(cluster, "rds:DescribeDBClusters")?;
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let folded = |declared: &str, live: Option<&str>| as_declared(declared, live.unwrap_or(""));
    let mut log_exports: BTreeSet<String> = cluster
        .enabled_cloudwatch_logs_exports()
        .iter()
        .cloned()
        .collect();
    let mut retention = cluster.backup_retention_period().unwrap_or_default();
    // What AWS has accepted and is about to do is not wanted once more.
    if let Some(pending) = cluster.pending_modified_values() {
        if let Some(exports) = pending.pending_cloudwatch_logs_exports() {
            log_exports.extend(exports.log_types_to_enable().iter().cloned());
            log_exports.retain(|name| !exports.log_types_to_disable().contains(name));
        }
        retention = pending.backup_retention_period().unwrap_or(retention);
    }
    let groups = cluster.vpc_security_groups().iter();
    let groups = groups
        .filter(|group| group.status() != Some("removing"))
        .filter_map(|group| group.vpc_security_group_id().map(SecurityGroupId::from));
    let capacity = cluster.serverless_v2_scaling_configuration();
    let capacity = capacity.and_then(|range| Some((range.min_capacity()?, range.max_capacity()?)));
    let status = cluster.status().unwrap_or_default();
    let mut state = condition(
        status,
        &["available", "backing-up"],
        "db-cluster",
        &outputs.identifier,
    );
    if state == Condition::Ready && outputs.endpoint.is_empty() {
        state = Condition::Pending("waiting for its endpoint".to_owned());
    }
    Ok(Live {
        spec: DbClusterSpec {
            identifier: as_declared(&want.identifier, &outputs.identifier),
            engine: text(cluster.engine()),
            engine_version: version_as_declared(
                &want.engine_version,
                cluster.engine_version().unwrap_or_default(),
            ),
            database_name: text(cluster.database_name()),
            master_username: text(cluster.master_username()),
            master_password: MasterPassword::live(
                cluster.master_user_secret().is_some(),
                &want.master_password,
                last.map(|last| &last.spec.master_password),
            ),
            subnet_group: folded(&want.subnet_group, cluster.db_subnet_group()),
            parameter_group: folded(&want.parameter_group, cluster.db_cluster_parameter_group()),
            security_groups: in_declared_order(&want.security_groups, groups.collect()),
            storage_encrypted: cluster.storage_encrypted().unwrap_or(false),
            backup_retention_days: retention.try_into().unwrap_or(u8::MAX),
            preferred_backup_window: folded(
                &want.preferred_backup_window,
                cluster.preferred_backup_window(),
            ),
            preferred_maintenance_window: folded(
                &want.preferred_maintenance_window,
                cluster.preferred_maintenance_window(),
            ),
            log_exports,
            copy_tags_to_snapshot: cluster.copy_tags_to_snapshot().unwrap_or(false),
            deletion_protection: cluster.deletion_protection().unwrap_or(false),
            serverless_capacity: capacity
                .map(|(min_acu, max_acu)| ServerlessCapacity { min_acu, max_acu }),
            tags: tags_of(cluster.tag_list()),
        },
        condition: state,
        outputs,
    })
}

#[cfg(test)]
mod tests;
