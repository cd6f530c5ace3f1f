//! The data: an Aurora MySQL cluster over three zones, its credentials, the application's
//! configuration.

use super::Stack;
use super::network::Network;
use super::security::Security;
use crate::config::{Capacity, Credentials};
use crate::kinds::logs::{LogGroup, LogGroupSpec};
use crate::kinds::rds::{
    DbCluster, DbClusterParameterGroup, DbClusterParameterGroupSpec, DbClusterSpec, DbInstance,
    DbInstanceSpec, DbSubnetGroup, DbSubnetGroupSpec, MasterPassword, ServerlessCapacity,
};
use crate::kinds::secretsmanager::{Secret, SecretArn, SecretSpec};
use crate::kinds::ssm::{Parameter, ParameterSpec};
use crate::resource::{Document, Handle, Input};

/// The database the application uses.
pub(super) const DATABASE: &str = "orderdb";
const ENGINE: &str = "aurora-mysql";
const MASTER_USER: &str = "admin";
const LOG_EXPORTS: [&str; 3] = ["audit", "error", "slowquery"];

/// What other tiers build on.
pub(super) struct Data {
    pub(super) cluster: Handle<DbCluster>,
    pub(super) writer: Handle<DbInstance>,
    /// The secret with user name and password, whoever keeps it.
    pub(super) credentials: Input<SecretArn>,
    pub(super) parameter: Handle<Parameter>,
}

pub(super) fn declare(stack: &mut Stack<'_>, network: &Network, security: &Security) -> Data {
    let secret = match stack.config.database.credentials {
        Credentials::Secret => Some(secret(stack)),
        Credentials::RdsManaged => None,
    };
    let cluster = cluster(stack, network, security, secret.as_ref());
    let writer = instances(stack, &cluster);
    let credentials = match &secret {
        Some(secret) => secret.arn(),
        None => cluster.when_ready().managed_secret_arn(),
    };
    Data {
        cluster,
        writer,
        credentials,
        parameter: parameter(stack),
    }
}

fn secret(stack: &mut Stack<'_>) -> Handle<Secret> {
    let name = stack.name("order-api-db-password");
    let spec = SecretSpec {
        description: "Master user of the order API's database".into(),
        username: MASTER_USER.to_owned(),
        tags: stack.tags("db-secret", &name),
        name,
    };
    stack.add("db-secret", spec)
}

fn cluster(
    stack: &mut Stack<'_>,
    network: &Network,
    security: &Security,
    secret: Option<&Handle<Secret>>,
) -> Handle<DbCluster> {
    let name = stack.name("order-api");
    let subnet_group = stack.add::<DbSubnetGroup>(
        "db-subnet-group",
        DbSubnetGroupSpec {
            name: name.clone(),
            description: "Private subnets of the order API".into(),
            vpc: network.vpc.id(),
            subnets: network.private_subnet_ids(),
            tags: stack.tags("db-subnet-group", &name),
        },
    );
    let parameter_group = stack.add::<DbClusterParameterGroup>(
        "db-cluster-parameter-group",
        DbClusterParameterGroupSpec {
            name: name.clone(),
            family: "aurora-mysql8.0".to_owned(),
            description: "Order API: connections must use TLS".into(),
            parameters: [("require_secure_transport".to_owned(), "ON".to_owned())].into(),
            tags: stack.tags("db-cluster-parameter-group", &name),
        },
    );
    let role = stack.service_linked_role("service-linked-role-rds", "rds.amazonaws.com");
    let log_groups = LOG_EXPORTS.map(|kind| log_group(stack, &name, kind));
    let config = &stack.config.database;
    let serverless = ServerlessCapacity {
        min_acu: config.min_acu,
        max_acu: config.max_acu,
    };
    let spec = DbClusterSpec {
        identifier: name.clone(),
        engine: ENGINE.to_owned(),
        engine_version: config.engine_version.clone(),
        database_name: DATABASE.to_owned(),
        master_username: MASTER_USER.to_owned(),
        master_password: match secret {
            Some(secret) => MasterPassword::Secret(secret.arn()),
            None => MasterPassword::Managed,
        },
        subnet_group: subnet_group.name(),
        parameter_group: parameter_group.name(),
        security_groups: vec![security.database.id()],
        storage_encrypted: true,
        backup_retention_days: config.backup_retention_days,
        preferred_backup_window: "03:00-04:00".to_owned(),
        preferred_maintenance_window: "mon:04:00-mon:05:00".to_owned(),
        log_exports: LOG_EXPORTS.map(str::to_owned).into(),
        copy_tags_to_snapshot: true,
        deletion_protection: stack.config.protect,
        serverless_capacity: (config.capacity == Capacity::Serverless).then_some(serverless),
        tags: stack.tags("db-cluster", &name),
    };
    let cluster = stack.add("db-cluster", spec);
    stack.graph.after(&cluster, &role);
    // Made by us first, with retention and tags; the cluster would make them without either.
    for group in &log_groups {
        stack.graph.after(&cluster, group);
    }
    cluster
}

fn log_group(stack: &mut Stack<'_>, cluster: &str, kind: &str) -> Handle<LogGroup> {
    let address = format!("db-log-group-{kind}");
    let name = format!("/aws/rds/cluster/{cluster}/{kind}");
    let spec = LogGroupSpec {
        retention_days: stack.config.logs.retention_days.cast_signed(),
        tags: stack.tags(&address, &name),
        name,
    };
    stack.add(&address, spec)
}

/// The writer and the readers, spread over the zones. No instance waits for an `available` cluster.
/// The first instance of a cluster becomes its writer, so the readers follow it; they are deleted
/// side by side.
fn instances(stack: &mut Stack<'_>, cluster: &Handle<DbCluster>) -> Handle<DbInstance> {
    let writer = instance(stack, cluster, 0);
    for index in 1..=stack.config.database.readers {
        let reader = instance(stack, cluster, index);
        stack.graph.follow(&reader, &writer);
    }
    writer
}

fn instance(stack: &mut Stack<'_>, cluster: &Handle<DbCluster>, index: u8) -> Handle<DbInstance> {
    let config = &stack.config.database;
    let (address, role) = match index {
        0 => ("db-writer".to_owned(), "writer"),
        _ => (format!("db-reader-{index}"), "reader"),
    };
    let identifier = format!("order-api-{}-{}", stack.suffix, index + 1);
    let instance_class = match config.capacity {
        Capacity::Provisioned => config.instance_class.clone(),
        Capacity::Serverless => "db.serverless".to_owned(),
    };
    let zones = &stack.facts.availability_zones;
    let spec = DbInstanceSpec {
        cluster: cluster.identifier(),
        engine: ENGINE.to_owned(),
        instance_class,
        availability_zone: zones[usize::from(index) % zones.len()].clone(),
        promotion_tier: i32::from(index.min(15)),
        publicly_accessible: false,
        auto_minor_version_upgrade: None,
        tags: stack.tags_with(&address, &identifier, "Role", role),
        identifier,
    };
    stack.add(&address, spec)
}

fn parameter(stack: &mut Stack<'_>) -> Handle<Parameter> {
    let name = format!("/order-api/{}/config", stack.suffix);
    let spec = ParameterSpec {
        description: "Configuration of the order API".into(),
        value: Document(stack.config.app.parameter(&stack.config.region)),
        tags: stack.tags("config-parameter", &name),
        name,
    };
    stack.add("config-parameter", spec)
}
