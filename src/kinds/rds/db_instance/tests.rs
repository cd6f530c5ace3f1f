//! Tests of `rds/db_instance`.

use aws_sdk_rds::Client;
use aws_sdk_rds::error::ErrorMetadata;
use aws_sdk_rds::operation::create_db_instance::CreateDbInstanceOutput;
use aws_sdk_rds::operation::delete_db_instance::{DeleteDBInstanceError, DeleteDbInstanceOutput};
use aws_sdk_rds::operation::describe_db_clusters::DescribeDbClustersOutput;
use aws_sdk_rds::operation::describe_db_instances::DescribeDbInstancesOutput;
use aws_sdk_rds::operation::modify_db_instance::ModifyDbInstanceOutput;
use aws_sdk_rds::types::{DbCluster as AwsCluster, DbClusterMember};
use aws_smithy_mocks::{Rule, mock};
use serde_json::json;

use super::*;
use crate::aws::testing::{mocked, scope};
use crate::resource::{Condition, NODE_TAG, diff};

const NODE: &str = "db-writer";

fn want() -> DbInstanceSpec<Resolved> {
    DbInstanceSpec {
        identifier: "order-api-dev-1".into(),
        cluster: "order-api-dev".into(),
        engine: "aurora-mysql".into(),
        instance_class: "db.r6g.large".into(),
        availability_zone: "us-east-1a".into(),
        promotion_tier: 0,
        publicly_accessible: false,
        auto_minor_version_upgrade: Some(true),
        tags: Tags::from_pairs([(NODE_TAG, NODE), ("Role", "writer")]),
    }
}

fn in_aws(identifier: &str, cluster: &str) -> AwsInstance {
    AwsInstance::builder()
        .db_instance_identifier(identifier)
        .db_instance_arn(format!(
            "arn:aws:rds:us-east-1:123456789012:db:{identifier}"
        ))
        .db_cluster_identifier(cluster)
        .db_instance_status("available")
        .engine("aurora-mysql")
        .db_instance_class("db.r6g.large")
        .availability_zone("us-east-1a")
        .promotion_tier(0)
        .publicly_accessible(false)
        .auto_minor_version_upgrade(true)
        .copy_tags_to_snapshot(false)
        .allocated_storage(1)
        .set_tag_list(sdk_tags(want().tags.iter()))
        .build()
}

fn filtered(name: &'static str, value: &'static str, found: Vec<AwsInstance>) -> Rule {
    mock!(Client::describe_db_instances)
        .match_requests(move |r| {
            r.filters()[0].name() == Some(name) && r.filters()[0].values() == [value]
        })
        .then_output(move || {
            DescribeDbInstancesOutput::builder()
                .set_db_instances(Some(found.clone()))
                .build()
        })
}

fn last() -> Last<DbInstance> {
    Last {
        outputs: outputs_of(&in_aws("order-api-dev-1", "order-api-dev"), "test").unwrap(),
        spec: want(),
    }
}

#[tokio::test]
async fn one_read_of_the_cluster_serves_all_its_instances_and_maps_every_field_back() {
    let both = ["order-api-dev-2", "order-api-dev-1"];
    let both = both.map(|name| in_aws(name, "order-api-dev")).to_vec();
    let siblings = filtered("db-cluster-id", "order-api-dev", both);
    let aws = mocked(&[&siblings]).with_shared_reads();
    for identifier in ["order-api-dev-1", "order-api-dev-2"] {
        let want = DbInstanceSpec {
            identifier: identifier.into(),
            ..want()
        };
        let live = DbInstance::observe(&aws, &scope(NODE), &want, None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(live.spec, want);
        assert_eq!(live.outputs.identifier, identifier);
        assert_eq!(live.condition, Condition::Ready);
    }
    assert_eq!(aws.calls().reads(), 1);
}

#[tokio::test]
async fn a_recorded_instance_that_left_its_cluster_list_is_gone() {
    let others = vec![in_aws("order-api-dev-2", "order-api-dev")];
    let siblings = filtered("db-cluster-id", "order-api-dev", others);
    let aws = mocked(&[&siblings]);
    let live = DbInstance::observe(&aws, &scope(NODE), &want(), Some(&last())).await;
    assert!(live.unwrap().is_none());
}

#[tokio::test]
async fn without_a_cluster_or_a_record_it_is_found_by_its_name() {
    let elsewhere = vec![in_aws("order-api-dev-1", "other")];
    let named = filtered("db-instance-id", "order-api-dev-1", elsewhere);
    let want = DbInstanceSpec {
        cluster: UNKNOWN.into(),
        ..want()
    };
    let live = DbInstance::observe(&mocked(&[&named]), &scope(NODE), &want, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(live.spec.cluster, "other");
    let absent = filtered("db-instance-id", "order-api-dev-1", vec![]);
    let live = DbInstance::observe(&mocked(&[&absent]), &scope(NODE), &want, None).await;
    assert!(live.unwrap().is_none());
}

#[tokio::test]
async fn create_sends_tags_and_nothing_that_is_the_clusters() {
    let create = mock!(Client::create_db_instance)
        .match_requests(|r| {
            r.db_cluster_identifier() == Some("order-api-dev")
                && r.availability_zone() == Some("us-east-1a")
                && r.publicly_accessible() == Some(false)
                && tags_of(r.tags()) == want().tags
                && r.allocated_storage().is_none()
                && r.copy_tags_to_snapshot().is_none()
                && r.backup_retention_period().is_none()
        })
        .then_output(|| {
            let made = in_aws("order-api-dev-1", "order-api-dev");
            CreateDbInstanceOutput::builder().db_instance(made).build()
        });
    let outputs = DbInstance::create(&mocked(&[&create]), &scope(NODE), &want()).await;
    assert_eq!(outputs.unwrap(), last().outputs);
}

#[tokio::test]
async fn update_sends_only_what_changed() {
    let modify = mock!(Client::modify_db_instance)
        .match_requests(|r| {
            r.db_instance_class() == Some("db.r6g.xlarge")
                && r.apply_immediately() == Some(true)
                && r.promotion_tier().is_none()
                && r.publicly_accessible().is_none()
                && r.auto_minor_version_upgrade().is_none()
        })
        .then_output(|| ModifyDbInstanceOutput::builder().build());
    let aws = mocked(&[&modify]);
    let live = live(&in_aws("order-api-dev-1", "order-api-dev"), &want()).unwrap();
    let want = DbInstanceSpec {
        instance_class: "db.r6g.xlarge".into(),
        ..want()
    };
    let changes = diff(&json!(want), &json!(live.spec), None);
    DbInstance::update(&aws, &scope(NODE), &live, &want, &changes)
        .await
        .unwrap();
    assert_eq!(aws.calls().writes(), 1);
}

fn cluster(protected: bool, members: &'static [(&'static str, bool)]) -> Rule {
    mock!(Client::describe_db_clusters).then_output(move || {
        let members = members.iter().map(|(name, writer)| {
            DbClusterMember::builder()
                .db_instance_identifier(*name)
                .is_cluster_writer(*writer)
                .build()
        });
        let cluster = AwsCluster::builder()
            .deletion_protection(protected)
            .set_db_cluster_members(Some(members.collect()))
            .build();
        DescribeDbClustersOutput::builder()
            .db_clusters(cluster)
            .build()
    })
}

async fn delete(rules: &[&Rule]) -> (Result<()>, u64) {
    let aws = mocked(rules);
    let live = live(&in_aws("order-api-dev-1", "order-api-dev"), &want()).unwrap();
    let answer = DbInstance::delete(&aws, &scope(NODE), &live).await;
    (answer, aws.calls().writes())
}

#[tokio::test]
async fn a_protected_cluster_keeps_its_writer_and_lets_readers_go() {
    const WRITER: &[(&str, bool)] = &[("order-api-dev-1", true), ("order-api-dev-2", false)];
    const READER: &[(&str, bool)] = &[("order-api-dev-1", false), ("order-api-dev-2", true)];
    const LAST: &[(&str, bool)] = &[("order-api-dev-1", false)];
    let cases = [
        (true, WRITER, false),
        (true, LAST, false),
        (true, READER, true),
        (false, WRITER, true),
    ];
    for (protected, members, goes) in cases {
        let cluster = cluster(protected, members);
        let delete_rule = mock!(Client::delete_db_instance)
            .match_requests(|r| {
                r.skip_final_snapshot().is_none() && r.final_db_snapshot_identifier().is_none()
            })
            .then_output(|| DeleteDbInstanceOutput::builder().build());
        let (answer, writes) = delete(&[&cluster, &delete_rule]).await;
        assert_eq!(writes, u64::from(goes), "{protected} {members:?}");
        match answer {
            Ok(()) => assert!(goes),
            Err(error) => assert!(error.advice().unwrap().contains("failover-db-cluster")),
        }
    }
}

#[tokio::test]
async fn a_delete_already_under_way_or_done_is_fine_and_another_state_is_not() {
    let cases = [
        (
            "InvalidDBInstanceState",
            "Instance x is already being deleted.",
            true,
        ),
        ("DBInstanceNotFound", "DBInstance x not found.", true),
        ("InvalidDBInstanceState", "Instance x is creating.", false),
    ];
    for (code, message, fine) in cases {
        let cluster = cluster(false, &[]);
        let refused = mock!(Client::delete_db_instance).then_error(move || {
            DeleteDBInstanceError::generic(
                ErrorMetadata::builder().code(code).message(message).build(),
            )
        });
        let (answer, _) = delete(&[&cluster, &refused]).await;
        assert_eq!(answer.is_ok(), fine, "{message}");
    }
}

#[tokio::test]
async fn a_sweep_finds_all_instances_of_our_clusters_that_are_tagged_as_ours() {
    let tagged = |identifier, stack| {
        let tags = Tags::from_pairs([(STACK_TAG, stack), (NODE_TAG, "db-reader-6")]);
        let mut instance = in_aws(identifier, "order-api-dev");
        instance.tag_list = sdk_tags(tags.iter());
        instance
    };
    let found = vec![
        in_aws("order-api-dev-1", "order-api-dev"),
        tagged("order-api-dev-7", "dev"),
        tagged("order-api-dev-8", "dev-2"),
    ];
    let siblings = filtered("db-cluster-id", "order-api-dev", found);
    let mut early = want();
    early.cluster = UNKNOWN.into();
    let aws = mocked(&[&siblings]);
    let swept = DbInstance::sweep(&aws, &scope(""), &[want(), early, want()]).await;
    let swept = swept.unwrap();
    let names: Vec<_> = swept.iter().map(|live| &*live.outputs.identifier).collect();
    assert_eq!(names, ["order-api-dev-7"]);
    assert_eq!(swept[0].spec.cluster, "order-api-dev");
    assert_eq!(aws.calls().reads(), 1, "one read for all of a cluster");
}
