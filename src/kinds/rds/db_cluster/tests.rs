//! Tests of `rds/db_cluster`.

use aws_sdk_rds::Client;
use aws_sdk_rds::error::ErrorMetadata;
use aws_sdk_rds::operation::create_db_cluster::CreateDbClusterOutput;
use aws_sdk_rds::operation::delete_db_cluster::{DeleteDBClusterError, DeleteDbClusterOutput};
use aws_sdk_rds::operation::describe_db_clusters::{
    DescribeDBClustersError, DescribeDbClustersOutput,
};
use aws_sdk_rds::operation::modify_db_cluster::ModifyDbClusterOutput;
use aws_sdk_rds::types::{
    ClusterPendingModifiedValues, MasterUserSecret, PendingCloudwatchLogsExports,
    ServerlessV2ScalingConfigurationInfo, VpcSecurityGroupMembership,
};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_smithy_mocks::{Rule, mock};
use serde_json::json;

use super::*;
use crate::aws::testing::{mocked, scope};
use crate::resource::{NODE_TAG, diff};

const NODE: &str = "db-cluster";
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf";

fn want() -> DbClusterSpec<Resolved> {
    DbClusterSpec {
        identifier: "order-api-Dev".into(),
        engine: "aurora-mysql".into(),
        engine_version: "8.0".into(),
        database_name: "orderdb".into(),
        master_username: "admin".into(),
        master_password: MasterPassword::Secret(SECRET.into()),
        subnet_group: "order-api-dev".into(),
        parameter_group: "order-api-dev".into(),
        security_groups: vec!["sg-2".into(), "sg-1".into()],
        storage_encrypted: true,
        backup_retention_days: 7,
        preferred_backup_window: "03:00-04:00".into(),
        preferred_maintenance_window: "Mon:04:00-Mon:05:00".into(),
        log_exports: ["audit", "error", "slowquery"].map(str::to_owned).into(),
        copy_tags_to_snapshot: true,
        deletion_protection: false,
        serverless_capacity: Some(ServerlessCapacity {
            min_acu: 0.5,
            max_acu: 4.0,
        }),
        tags: Tags::from_pairs([(NODE_TAG, NODE)]),
    }
}

fn in_aws() -> aws_sdk_rds::types::builders::DbClusterBuilder {
    let group = |id, status| {
        VpcSecurityGroupMembership::builder()
            .vpc_security_group_id(id)
            .status(status)
            .build()
    };
    AwsCluster::builder()
        .db_cluster_identifier("order-api-dev")
        .db_cluster_arn("arn:aws:rds:us-east-1:123456789012:cluster:order-api-dev")
        .db_cluster_resource_id("cluster-ABC")
        .endpoint("order-api-dev.cluster-x.us-east-1.rds.amazonaws.com")
        .reader_endpoint("order-api-dev.cluster-ro-x.us-east-1.rds.amazonaws.com")
        .status("available")
        .engine("aurora-mysql")
        .engine_version("8.0.mysql_aurora.3.08.2")
        .database_name("orderdb")
        .master_username("admin")
        .db_subnet_group("order-api-dev")
        .db_cluster_parameter_group("order-api-dev")
        .vpc_security_groups(group("sg-1", "active"))
        .vpc_security_groups(group("sg-2", "adding"))
        .vpc_security_groups(group("sg-3", "removing"))
        .allocated_storage(1)
        .storage_encrypted(true)
        .backup_retention_period(7)
        .preferred_backup_window("03:00-04:00")
        .preferred_maintenance_window("mon:04:00-mon:05:00")
        .enabled_cloudwatch_logs_exports("slowquery")
        .enabled_cloudwatch_logs_exports("audit")
        .enabled_cloudwatch_logs_exports("error")
        .copy_tags_to_snapshot(true)
        .deletion_protection(false)
        .serverless_v2_scaling_configuration(
            ServerlessV2ScalingConfigurationInfo::builder()
                .min_capacity(0.5)
                .max_capacity(4.0)
                .build(),
        )
        .set_tag_list(sdk_tags(want().tags.iter()))
}

fn live_of(want: &DbClusterSpec<Resolved>, cluster: &AwsCluster) -> Live<DbCluster> {
    live(cluster, want, None).unwrap()
}

fn secret_value() -> Rule {
    mock!(aws_sdk_secretsmanager::Client::get_secret_value)
        .match_requests(|r| r.secret_id() == Some(SECRET))
        .then_output(|| {
            GetSecretValueOutput::builder()
                .secret_string(r#"{"username":"admin","password":"hunter2"}"#)
                .build()
        })
}

#[tokio::test]
async fn observe_maps_every_field_back() {
    let describe = mock!(Client::describe_db_clusters)
        .match_requests(|r| r.db_cluster_identifier() == Some("order-api-Dev"))
        .then_output(|| {
            DescribeDbClustersOutput::builder()
                .db_clusters(in_aws().build())
                .build()
        });
    let live = DbCluster::observe(&mocked(&[&describe]), &scope(NODE), &want(), None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(live.spec, want());
    assert_eq!(live.condition, Condition::Ready);
    assert_eq!(live.outputs.resource_id, "cluster-ABC");
    assert!(live.outputs.endpoint.contains(".cluster-x."));
    assert!(live.outputs.reader_endpoint.contains(".cluster-ro-x."));
    assert_eq!(live.outputs.master_secret_arn, None);
}

#[tokio::test]
async fn gone_is_none() {
    for code in ["DBClusterNotFoundFault", "DBClusterNotFound"] {
        let gone = mock!(Client::describe_db_clusters).then_error(move || {
            DescribeDBClustersError::generic(ErrorMetadata::builder().code(code).build())
        });
        let live = DbCluster::observe(&mocked(&[&gone]), &scope(NODE), &want(), None).await;
        assert!(live.unwrap().is_none());
    }
}

#[test]
fn a_version_is_the_declared_one_only_at_its_own_precision() {
    let live = "8.0.mysql_aurora.3.08.2";
    for declared in ["8.0", "8.0.mysql_aurora.3.08", live] {
        assert_eq!(version_as_declared(declared, live), declared);
    }
    for declared in ["5.7", "8.0.mysql_aurora.3.0", "8.4"] {
        assert_eq!(version_as_declared(declared, live), live);
    }
}

#[test]
fn what_aws_has_accepted_but_not_done_yet_is_no_difference() {
    let pending = ClusterPendingModifiedValues::builder()
        .backup_retention_period(7)
        .pending_cloudwatch_logs_exports(
            PendingCloudwatchLogsExports::builder()
                .log_types_to_enable("audit")
                .log_types_to_enable("slowquery")
                .log_types_to_disable("general")
                .build(),
        )
        .build();
    let cluster = in_aws()
        .backup_retention_period(1)
        .set_enabled_cloudwatch_logs_exports(Some(vec!["error".into(), "general".into()]))
        .pending_modified_values(pending)
        .build();
    assert_eq!(live_of(&want(), &cluster).spec, want());
}

#[test]
fn a_cluster_is_ready_only_with_an_endpoint_and_backups_do_not_matter() {
    let state = |cluster: AwsCluster| live_of(&want(), &cluster).condition;
    assert_eq!(
        state(in_aws().status("backing-up").build()),
        Condition::Ready
    );
    assert_eq!(
        state(in_aws().status("creating").build()),
        Condition::Pending("creating".into())
    );
    let nameless = in_aws().set_endpoint(None).build();
    assert!(matches!(state(nameless), Condition::Pending(_)));
}

#[tokio::test]
async fn create_takes_the_password_from_its_secret_and_shows_it_nowhere_else() {
    let create = mock!(Client::create_db_cluster)
        .match_requests(|r| {
            r.master_user_password() == Some("hunter2")
                && r.manage_master_user_password().is_none()
                && r.engine_version() == Some("8.0")
                && r.vpc_security_group_ids() == ["sg-2", "sg-1"]
                && r.enable_cloudwatch_logs_exports() == ["audit", "error", "slowquery"]
                && tags_of(r.tags()) == want().tags
        })
        .then_output(|| {
            CreateDbClusterOutput::builder()
                .db_cluster(in_aws().status("creating").build())
                .build()
        });
    let secret = secret_value();
    let outputs = DbCluster::create(&mocked(&[&create, &secret]), &scope(NODE), &want())
        .await
        .unwrap();
    assert_eq!(outputs.identifier, "order-api-dev");
    assert!(!json!(outputs).to_string().contains("hunter2"));
}

#[tokio::test]
async fn create_leaves_the_password_to_rds_and_gives_its_secret() {
    let create = mock!(Client::create_db_cluster)
        .match_requests(|r| {
            r.master_user_password().is_none() && r.manage_master_user_password() == Some(true)
        })
        .then_output(|| {
            let managed = MasterUserSecret::builder().secret_arn(SECRET).build();
            CreateDbClusterOutput::builder()
                .db_cluster(in_aws().master_user_secret(managed).build())
                .build()
        });
    let want = DbClusterSpec {
        master_password: MasterPassword::Managed,
        ..want()
    };
    let outputs = DbCluster::create(&mocked(&[&create]), &scope(NODE), &want).await;
    assert_eq!(outputs.unwrap().master_secret_arn, Some(SECRET.into()));
}

async fn update(aws: &Aws, cluster: &AwsCluster, want: &DbClusterSpec<Resolved>) {
    let live = live_of(want, cluster);
    let changes = diff(&json!(want), &json!(live.spec), None);
    DbCluster::update(aws, &scope(NODE), &live, want, &changes)
        .await
        .unwrap();
}

#[tokio::test]
async fn update_sends_only_what_changed() {
    let modify = mock!(Client::modify_db_cluster)
        .match_requests(|r| {
            let logs = r.cloudwatch_logs_export_configuration();
            r.db_cluster_identifier() == Some("order-api-dev")
                && r.apply_immediately() == Some(true)
                && r.backup_retention_period() == Some(14)
                && logs.is_some_and(|logs| {
                    logs.enable_log_types() == ["general"] && logs.disable_log_types() == ["audit"]
                })
                && r.deletion_protection().is_none()
                && r.engine_version().is_none()
                && r.master_user_password().is_none()
                && r.vpc_security_group_ids.is_none()
                && r.serverless_v2_scaling_configuration().is_none()
        })
        .then_output(|| ModifyDbClusterOutput::builder().build());
    let aws = mocked(&[&modify]);
    let want = DbClusterSpec {
        backup_retention_days: 14,
        log_exports: ["error", "general", "slowquery"].map(str::to_owned).into(),
        ..want()
    };
    update(&aws, &in_aws().build(), &want).await;
    assert_eq!(aws.calls().writes(), 1);
}

#[tokio::test]
async fn only_a_new_major_version_is_asked_for_as_such() {
    for (version, allowed) in [("8.0.mysql_aurora.3.10.0", None), ("8.4", Some(true))] {
        let modify = mock!(Client::modify_db_cluster)
            .match_requests(move |r| {
                r.engine_version() == Some(version) && r.allow_major_version_upgrade() == allowed
            })
            .then_output(|| ModifyDbClusterOutput::builder().build());
        let want = DbClusterSpec {
            engine_version: version.into(),
            ..want()
        };
        update(&mocked(&[&modify]), &in_aws().build(), &want).await;
    }
}

#[tokio::test]
async fn the_password_changes_hands_both_ways() {
    let to_rds = mock!(Client::modify_db_cluster)
        .match_requests(|r| {
            r.manage_master_user_password() == Some(true) && r.master_user_password().is_none()
        })
        .then_output(|| ModifyDbClusterOutput::builder().build());
    let managed = DbClusterSpec {
        master_password: MasterPassword::Managed,
        ..want()
    };
    update(&mocked(&[&to_rds]), &in_aws().build(), &managed).await;

    let to_secret = mock!(Client::modify_db_cluster)
        .match_requests(|r| {
            r.manage_master_user_password() == Some(false)
                && r.master_user_password() == Some("hunter2")
        })
        .then_output(|| ModifyDbClusterOutput::builder().build());
    let secret = secret_value();
    let in_rds = in_aws()
        .master_user_secret(MasterUserSecret::builder().secret_arn(SECRET).build())
        .build();
    update(&mocked(&[&to_secret, &secret]), &in_rds, &want()).await;
    assert_eq!((to_rds.num_calls(), to_secret.num_calls()), (1, 1));
}

#[tokio::test]
async fn delete_takes_a_final_snapshot_only_when_asked() {
    for snapshot in [None, Some("order-api-dev-final-1")] {
        let delete = mock!(Client::delete_db_cluster)
            .match_requests(move |r| {
                r.final_db_snapshot_identifier() == snapshot
                    && r.skip_final_snapshot() == Some(snapshot.is_none())
            })
            .then_output(|| DeleteDbClusterOutput::builder().build());
        let mut scope = scope(NODE);
        scope.final_snapshot = snapshot.map(str::to_owned);
        let live = live_of(&want(), &in_aws().build());
        DbCluster::delete(&mocked(&[&delete]), &scope, &live)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn delete_never_lifts_the_protection_and_says_how_to() {
    let aws = mocked(&[]);
    let live = live_of(&want(), &in_aws().deletion_protection(true).build());
    let error = DbCluster::delete(&aws, &scope(NODE), &live)
        .await
        .unwrap_err();
    assert!(error.advice().unwrap().contains("protect = false"));
    assert_eq!(aws.calls().writes(), 0);
}

#[tokio::test]
async fn a_snapshot_name_that_is_taken_is_an_error_and_a_gone_cluster_is_not() {
    for (code, fine) in [
        ("DBClusterNotFoundFault", true),
        ("DBClusterSnapshotAlreadyExistsFault", false),
    ] {
        let delete = mock!(Client::delete_db_cluster).then_error(move || {
            DeleteDBClusterError::generic(ErrorMetadata::builder().code(code).build())
        });
        let live = live_of(&want(), &in_aws().build());
        let answer = DbCluster::delete(&mocked(&[&delete]), &scope(NODE), &live).await;
        match answer {
            Ok(()) => assert!(fine, "{code}"),
            Err(error) => assert!(!fine && error.advice().is_some(), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_refusal_that_quotes_the_password_is_shown_without_it() {
    fn quoting() -> ErrorMetadata {
        ErrorMetadata::builder()
            .code("InvalidParameterValue")
            .message("The parameter MasterUserPassword is not valid: hunter2")
            .build()
    }
    use aws_sdk_rds::operation::create_db_cluster::CreateDBClusterError;
    use aws_sdk_rds::operation::modify_db_cluster::ModifyDBClusterError;
    let create =
        mock!(Client::create_db_cluster).then_error(|| CreateDBClusterError::generic(quoting()));
    let modify =
        mock!(Client::modify_db_cluster).then_error(|| ModifyDBClusterError::generic(quoting()));
    let secret = secret_value();
    let aws = mocked(&[&create, &modify, &secret, &secret_value()]);
    let refused = DbCluster::create(&aws, &scope(NODE), &want()).await;
    let created = refused.unwrap_err();
    let live = Live {
        outputs: outputs_of(&in_aws().build(), "test").unwrap(),
        spec: DbClusterSpec {
            master_password: MasterPassword::Managed,
            ..want()
        },
        condition: Condition::Ready,
    };
    let changes = diff(&json!(want()), &json!(live.spec), None);
    let refused = DbCluster::update(&aws, &scope(NODE), &live, &want(), &changes).await;
    for error in [created, refused.unwrap_err()] {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("InvalidParameterValue"), "{shown}");
    }
}
