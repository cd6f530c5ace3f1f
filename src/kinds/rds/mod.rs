//! RDS: the Aurora MySQL cluster, its instances, and the two groups it needs. All are found by
//! name; AWS keeps names in lower case (field guide, section 6).

mod db_cluster;
mod db_cluster_parameter_group;
mod db_instance;
mod db_subnet_group;
mod master_password;

use aws_sdk_rds::types::{DbCluster as AwsCluster, Tag};

pub use db_cluster::{DbCluster, DbClusterOutputs, DbClusterSpec, ServerlessCapacity};
pub use db_cluster_parameter_group::{
    DbClusterParameterGroup, DbClusterParameterGroupOutputs, DbClusterParameterGroupSpec,
};
pub use db_instance::{DbInstance, DbInstanceOutputs, DbInstanceSpec};
pub use db_subnet_group::{DbSubnetGroup, DbSubnetGroupOutputs, DbSubnetGroupSpec};
pub use master_password::MasterPassword;

use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::{Condition, Result, Tags};

/// The wire code has the suffix, the documentation and some emulators leave it off.
const CLUSTER_GONE: &[&str] = &["DBClusterNotFoundFault", "DBClusterNotFound"];

async fn describe_cluster(aws: &Aws, identifier: &str) -> Result<Option<AwsCluster>> {
    let answer = aws
        .rds
        .describe_db_clusters()
        .db_cluster_identifier(identifier)
        .send()
        .await
        .of("rds:DescribeDBClusters")
        .gone_is_none(CLUSTER_GONE)?;
    Ok(answer.and_then(|answer| answer.db_clusters.unwrap_or_default().pop()))
}

/// Reads the status word of a cluster or instance. `resource` names it for the AWS CLI, as in
/// `db-cluster`.
fn condition(status: &str, ready: &[&str], resource: &str, identifier: &str) -> Condition {
    const FAILED: &[&str] = &[
        "cloning-failed",
        "failed",
        "insufficient-capacity",
        "migration-failed",
        "restore-error",
        "storage-full",
    ];
    match status {
        "deleting" => Condition::Deleting,
        // It stays so until somebody starts it, or for seven days.
        "stopped" => Condition::Failed(format!(
            "stopped; `aws rds start-{resource} --{resource}-identifier {identifier}` starts it"
        )),
        _ if FAILED.contains(&status)
            || status.starts_with("incompatible-")
            || status.starts_with("inaccessible-encryption-credentials") =>
        {
            Condition::Failed(status.to_owned())
        }
        _ => Condition::from_status(status, ready),
    }
}

/// Gives the declared spelling of a name if AWS differs only in the case of letters.
fn as_declared(declared: &str, live: &str) -> String {
    if declared.eq_ignore_ascii_case(live) {
        declared.to_owned()
    } else {
        live.to_owned()
    }
}

/// Orders a set as it was declared, because the comparison takes lists in order; what was not
/// declared comes last.
fn in_declared_order<T: Ord>(declared: &[T], mut live: Vec<T>) -> Vec<T> {
    live.sort_by_cached_key(|item| {
        declared
            .iter()
            .position(|other| other == item)
            .unwrap_or(usize::MAX)
    });
    let known = live.partition_point(|item| declared.contains(item));
    live[known..].sort();
    live
}

fn sdk_tags<'a>(tags: impl IntoIterator<Item = (&'a String, &'a String)>) -> Option<Vec<Tag>> {
    let tags = tags.into_iter();
    Some(
        tags.map(|(key, value)| Tag::builder().key(key).value(value).build())
            .collect(),
    )
}

fn tags_of(tags: &[Tag]) -> Tags {
    Tags::from_pairs(tags.iter().map(|tag| {
        (
            tag.key().unwrap_or_default(),
            tag.value().unwrap_or_default(),
        )
    }))
}

async fn read_tags(aws: &Aws, arn: &str) -> Result<Tags> {
    let answer = aws
        .rds
        .list_tags_for_resource()
        .resource_name(arn)
        .send()
        .await
        .of("rds:ListTagsForResource")?;
    Ok(tags_of(answer.tag_list()))
}

/// Brings the tags of a resource from `live` to `want`.
async fn change_tags(aws: &Aws, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let missing = want.missing_from(live);
    if !missing.is_empty() {
        aws.rds
            .add_tags_to_resource()
            .resource_name(arn)
            .set_tags(sdk_tags(missing.iter().map(|(k, v)| (k, v))))
            .send()
            .await
            .of("rds:AddTagsToResource")?;
    }
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        aws.rds
            .remove_tags_from_resource()
            .resource_name(arn)
            .set_tag_keys(Some(surplus))
            .send()
            .await
            .of("rds:RemoveTagsFromResource")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_takes_the_declared_order_and_strangers_come_last_in_their_own() {
        let cases = [
            (vec!["c", "a"], vec!["a", "c"], vec!["c", "a"]),
            (vec!["c"], vec!["b", "a", "c"], vec!["c", "a", "b"]),
            (vec!["c", "x", "a"], vec!["a", "c"], vec!["c", "a"]),
        ];
        for (declared, live, expected) in cases {
            assert_eq!(in_declared_order(&declared, live), expected);
        }
    }

    #[test]
    fn status_words_are_read() {
        let read = |status| condition(status, &["available"], "db-cluster", "c");
        assert_eq!(read("available"), Condition::Ready);
        assert_eq!(read("creating"), Condition::Pending("creating".into()));
        assert_eq!(read("deleting"), Condition::Deleting);
        for bad in [
            "failed",
            "incompatible-parameters",
            "inaccessible-encryption-credentials-recoverable",
        ] {
            assert_eq!(read(bad), Condition::Failed(bad.into()));
        }
        assert!(
            matches!(read("stopped"), Condition::Failed(why) if why.contains("start-db-cluster"))
        );
    }
}
