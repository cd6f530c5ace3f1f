//! Area `database`: whether the cluster and its instances work, and how many connections it has
//! compared to what the alarm allows and what the instances can take.

use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::types::{Datapoint, Dimension, Statistic};
use aws_sdk_rds::types::{DbCluster, DbInstance, Filter};
use aws_smithy_types::DateTime;

use super::{Chart, Severity, Subject, reads};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;

pub(super) const AREA: &str = "database";

const GONE: &[&str] = &["DBClusterNotFoundFault", "DBClusterNotFound"];
/// The part of the possible connections above which a database has too many.
const CROWDED: f64 = 0.8;

pub(super) async fn look(aws: &Aws, subject: &Subject, chart: &mut Chart) -> Result<()> {
    let identifier = &subject.db_cluster;
    let answer = aws
        .rds
        .describe_db_clusters()
        .db_cluster_identifier(identifier)
        .send()
        .await
        .of("rds:DescribeDBClusters")
        .gone_is_none(GONE)?;
    let clusters = answer.and_then(|answer| answer.db_clusters);
    let Some(cluster) = clusters.unwrap_or_default().into_iter().next() else {
        chart
            .problem(format!("there is no database cluster {identifier}"))
            .mended_by("orderctl up");
        return Ok(());
    };
    let instances = instances(aws, identifier).await?;
    cluster_works(&cluster, identifier, chart);
    instances_work(&cluster, &instances, chart);
    connections(aws, subject, &instances, chart).await
}

fn cluster_works(cluster: &DbCluster, identifier: &str, chart: &mut Chart) {
    let status = cluster.status().unwrap_or("of unknown status");
    if status == "available" {
        return;
    }
    let fix = match status {
        "stopped" => format!("aws rds start-db-cluster --db-cluster-identifier {identifier}"),
        _ => format!(
            "aws rds describe-events --source-type db-cluster --source-identifier {identifier} --duration 1440"
        ),
    };
    chart
        .add(
            severity(status),
            format!("database cluster {identifier} is {status}"),
        )
        .mended_by(fix);
}

/// Whether a status means that somebody has to do something, or only to wait.
fn severity(status: &str) -> Severity {
    const BROKEN: &[&str] = &[
        "cloning-failed",
        "deleting",
        "failed",
        "insufficient-capacity",
        "migration-failed",
        "restore-error",
        "stopped",
        "stopping",
        "storage-full",
    ];
    let is_broken = BROKEN.contains(&status)
        || status.starts_with("incompatible-")
        || status.starts_with("inaccessible-");
    match is_broken {
        true => Severity::Problem,
        false => Severity::Warning,
    }
}

fn instances_work(cluster: &DbCluster, instances: &[DbInstance], chart: &mut Chart) {
    let members = cluster.db_cluster_members();
    let writer = members
        .iter()
        .find(|member| member.is_cluster_writer() == Some(true));
    if writer.is_none() {
        chart
            .problem("the database has no writer")
            .shown_by([format!("it has {} instances", members.len())])
            .mended_by("orderctl up");
    }
    let role = |id: &str| {
        let is_writer = writer.is_some_and(|it| it.db_instance_identifier() == Some(id));
        if is_writer { "writer" } else { "reader" }
    };
    let mut well = 0;
    for instance in instances {
        let id = instance.db_instance_identifier().unwrap_or_default();
        let status = instance.db_instance_status().unwrap_or("of unknown status");
        if status == "available" {
            well += 1;
            continue;
        }
        chart
            .add(
                severity(status),
                format!("database {} {id} is {status}", role(id)),
            )
            .mended_by(format!(
                "aws rds describe-events --source-type db-instance --source-identifier {id} --duration 1440"
            ));
    }
    if chart.is_well() {
        chart.fine(format!("{well} database instances are available"));
    }
}

async fn connections(
    aws: &Aws,
    subject: &Subject,
    instances: &[DbInstance],
    chart: &mut Chart,
) -> Result<()> {
    let Some(newest) = newest(aws, subject).await? else {
        // A fresh database, or one that nobody is connected to.
        return Ok(());
    };
    let (average, most) = (
        newest.average().unwrap_or_default(),
        newest.maximum().unwrap_or_default(),
    );
    let class = instances.first().and_then(DbInstance::db_instance_class);
    let possible = class.and_then(|class| max_connections(class, subject.max_acu));
    let alarms = reads::alarms(aws, subject).await?;
    let alarm = alarms
        .iter()
        .find(|it| it.alarm_name() == Some(&subject.db_failures_alarm));
    let threshold = alarm.and_then(|alarm| alarm.threshold());
    let service = reads::service(aws, subject).await?;
    let tasks = service
        .as_ref()
        .as_ref()
        .map_or(0, |service| service.running_count());

    let mut evidence = vec![format!(
        "connections of an instance, 5 minutes up to {}: {average:.0} on average, {most:.0} at most",
        reads::moment(newest.timestamp())
    )];
    evidence.extend(threshold.map(|threshold| {
        let name = &subject.db_failures_alarm;
        format!("alarm {name} rings above {threshold:.0}")
    }));
    if let (Some(possible), Some(class)) = (possible, class) {
        evidence.push(format!("{class} takes {possible} by default"));
    }
    evidence.push(format!(
        "{tasks} tasks run, with up to {} connections each (`app.max_connections`)",
        subject.connections_per_task
    ));
    let is_crowded = possible.is_some_and(|possible| most > CROWDED * f64::from(possible));
    let is_alarming = threshold.is_some_and(|threshold| average > threshold);
    if is_crowded || is_alarming {
        chart
            .problem(match is_crowded {
                true => "the database is about to run out of connections",
                false => "the database has more connections than its alarm allows",
            })
            .shown_by(evidence)
            .mended_by(
                "lower `app.max_connections` or `scaling.max`, or raise `database.instance_class` (serverless: `database.max_acu`), then `orderctl up`; \
                 if so many are meant to be, raise `alarms.db_connections`",
            );
    } else {
        chart
            .fine("the database has connections to spare")
            .shown_by(evidence);
    }
    Ok(())
}

/// The newest five minutes of the cluster's connections within the last 20.
async fn newest(aws: &Aws, subject: &Subject) -> Result<Option<Datapoint>> {
    let dimension = Dimension::builder()
        .name("DBClusterIdentifier")
        .value(&subject.db_cluster)
        .build();
    let now = SystemTime::now();
    let answer = aws
        .cloudwatch
        .get_metric_statistics()
        .namespace("AWS/RDS")
        .metric_name("DatabaseConnections")
        .dimensions(dimension)
        .start_time(DateTime::from(now - Duration::from_secs(20 * 60)))
        .end_time(DateTime::from(now))
        .period(300)
        .statistics(Statistic::Average)
        .statistics(Statistic::Maximum)
        .send()
        .await
        .of("cloudwatch:GetMetricStatistics")?;
    let points = answer.datapoints.unwrap_or_default().into_iter();
    Ok(points.max_by_key(|point| point.timestamp().map_or(0, DateTime::secs)))
}

async fn instances(aws: &Aws, cluster: &str) -> Result<Vec<DbInstance>> {
    let operation = "rds:DescribeDBInstances";
    let filter = Filter::builder()
        .name("db-cluster-id")
        .values(cluster)
        .build();
    let mut pages = aws
        .rds
        .describe_db_instances()
        .filters(filter)
        .into_paginator()
        .items()
        .send();
    let mut found = Vec::new();
    while let Some(instance) = pages.next().await {
        found.push(instance.of(operation)?);
    }
    Ok(found)
}

/// How many connections an instance takes unless its parameter group says otherwise: the table of
/// the Aurora MySQL manual ("Maximum connections to an Aurora MySQL DB instance"); for Serverless v2
/// that of its largest capacity.
fn max_connections(class: &str, max_acu: Option<f64>) -> Option<u32> {
    if class == "db.serverless" {
        const BY_ACU: [(f64, u32); 9] = [
            (1.0, 90),
            (4.0, 135),
            (8.0, 1000),
            (16.0, 2000),
            (32.0, 3000),
            (64.0, 4000),
            (128.0, 5000),
            (192.0, 6000),
            (256.0, 6000),
        ];
        let max_acu = max_acu?;
        let below = BY_ACU.iter().rev().find(|(acu, _)| *acu <= max_acu);
        return below.map(|(_, connections)| *connections);
    }
    let (family, size) = class.strip_prefix("db.")?.split_once('.')?;
    match (family.chars().next()?, size) {
        ('t', "small") => Some(45),
        ('t', "medium") => Some(90),
        ('t', "large") => Some(135),
        ('r', "large") => Some(1000),
        ('r', "xlarge") => Some(2000),
        ('r', "2xlarge") => Some(3000),
        ('r', "4xlarge") => Some(4000),
        ('r', "8xlarge") => Some(5000),
        ('r', "12xlarge" | "16xlarge") => Some(6000),
        ('r', "24xlarge") => Some(7000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
    use aws_sdk_cloudwatch::operation::get_metric_statistics::GetMetricStatisticsOutput;
    use aws_sdk_cloudwatch::types::MetricAlarm;
    use aws_sdk_ecs::types::Service;
    use aws_sdk_rds::Client;
    use aws_sdk_rds::error::ErrorMetadata;
    use aws_sdk_rds::operation::describe_db_clusters::{
        DescribeDBClustersError, DescribeDbClustersOutput,
    };
    use aws_sdk_rds::operation::describe_db_instances::DescribeDbInstancesOutput;
    use aws_sdk_rds::types::DbClusterMember;
    use aws_smithy_mocks::{Rule, mock};

    use super::super::Finding;
    use super::super::testing::{found, is_fine, only_bad, subject};
    use super::*;
    use crate::aws::testing::mocked;

    fn database(
        status: &'static str,
        instance: &'static str,
        connections: Option<f64>,
    ) -> Vec<Rule> {
        let cluster = mock!(Client::describe_db_clusters).then_output(move || {
            let member = DbClusterMember::builder()
                .db_instance_identifier("order-api-dev-1")
                .is_cluster_writer(true);
            let cluster = DbCluster::builder()
                .status(status)
                .db_cluster_members(member.build());
            DescribeDbClustersOutput::builder()
                .db_clusters(cluster.build())
                .build()
        });
        let instances = mock!(Client::describe_db_instances)
            .match_requests(|r| r.filters()[0].values() == ["order-api-dev"])
            .then_output(move || {
                let instance = DbInstance::builder()
                    .db_instance_identifier("order-api-dev-1")
                    .db_instance_class("db.r6g.large")
                    .db_instance_status(instance);
                DescribeDbInstancesOutput::builder()
                    .db_instances(instance.build())
                    .build()
            });
        let statistics =
            mock!(aws_sdk_cloudwatch::Client::get_metric_statistics).then_output(move || {
                let point = |at: i64, value: f64| {
                    Datapoint::builder()
                        .timestamp(DateTime::from_secs(at))
                        .average(value)
                        .maximum(value)
                        .build()
                };
                let points = connections.map(|now| vec![point(600, now), point(300, 1.0)]);
                GetMetricStatisticsOutput::builder()
                    .set_datapoints(Some(points.unwrap_or_default()))
                    .build()
            });
        let alarms = mock!(aws_sdk_cloudwatch::Client::describe_alarms).then_output(|| {
            let alarm = MetricAlarm::builder()
                .alarm_name("order-api-db-failures-dev")
                .threshold(80.0);
            DescribeAlarmsOutput::builder()
                .metric_alarms(alarm.build())
                .build()
        });
        let service = mock!(aws_sdk_ecs::Client::describe_services).then_output(|| {
            aws_sdk_ecs::operation::describe_services::DescribeServicesOutput::builder()
                .services(Service::builder().running_count(7).build())
                .build()
        });
        vec![cluster, instances, statistics, alarms, service]
    }

    async fn examined(rules: Vec<Rule>) -> Vec<Finding> {
        let aws = mocked(&rules.iter().collect::<Vec<_>>()).with_shared_reads();
        found(async |chart: &mut Chart| look(&aws, &subject(), chart).await).await
    }

    #[tokio::test]
    async fn a_database_that_works_is_fine_with_and_without_connections() {
        is_fine(&examined(database("available", "available", None)).await);
        is_fine(&examined(database("available", "available", Some(80.0))).await);
    }

    #[tokio::test]
    async fn too_many_connections_are_told_with_what_they_are_measured_by() {
        for (connections, title) in [
            (
                81.0,
                "the database has more connections than its alarm allows",
            ),
            (801.0, "the database is about to run out of connections"),
        ] {
            let all = examined(database("available", "available", Some(connections))).await;
            let finding = only_bad(&all);
            assert!(finding.is_problem());
            assert_eq!(finding.title, title);
            let evidence = finding.evidence.join("\n");
            for part in [
                "rings above 80",
                "db.r6g.large takes 1000",
                "7 tasks",
                "up to 100",
            ] {
                assert!(evidence.contains(part), "{part} in {evidence}");
            }
        }
    }

    #[tokio::test]
    async fn a_status_is_a_problem_or_a_matter_of_patience() {
        for (cluster, instance, severity, title) in [
            (
                "stopped",
                "available",
                Severity::Problem,
                "database cluster order-api-dev is stopped",
            ),
            (
                "modifying",
                "available",
                Severity::Warning,
                "database cluster order-api-dev is modifying",
            ),
            (
                "available",
                "storage-full",
                Severity::Problem,
                "database writer order-api-dev-1 is storage-full",
            ),
            (
                "available",
                "rebooting",
                Severity::Warning,
                "database writer order-api-dev-1 is rebooting",
            ),
        ] {
            let all = examined(database(cluster, instance, None)).await;
            let finding = only_bad(&all);
            assert_eq!(
                (finding.severity, finding.title.as_str()),
                (severity, title)
            );
            assert!(finding.fix.is_some());
        }
    }

    #[tokio::test]
    async fn gone_and_not_permitted_are_told_apart() {
        let refused = |code: &'static str| {
            mock!(Client::describe_db_clusters).then_error(move || {
                DescribeDBClustersError::generic(ErrorMetadata::builder().code(code).build())
            })
        };
        let all = examined(vec![refused("DBClusterNotFoundFault")]).await;
        assert_eq!(
            only_bad(&all).title,
            "there is no database cluster order-api-dev"
        );
        let all = examined(vec![refused("AccessDenied")]).await;
        assert_eq!(only_bad(&all).severity, Severity::Unknown);
    }

    #[test]
    fn the_connections_of_a_class_are_those_of_the_manual() {
        for (class, acu, expected) in [
            ("db.r6g.large", None, Some(1000)),
            ("db.r7g.16xlarge", None, Some(6000)),
            ("db.t4g.medium", None, Some(90)),
            ("db.serverless", Some(4.0), Some(135)),
            ("db.serverless", Some(20.0), Some(2000)),
            ("db.serverless", None, None),
            ("db.x9.large", None, None),
        ] {
            assert_eq!(max_connections(class, acu), expected, "{class} {acu:?}");
        }
    }
}
