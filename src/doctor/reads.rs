//! What several areas ask of AWS, read once for all of them, and small turns of what it answers.

use std::sync::Arc;

use aws_sdk_cloudwatch::types::MetricAlarm;
use aws_sdk_ecs::types::{Service, TaskDefinition};
use aws_sdk_elasticloadbalancingv2::types::{LoadBalancer, TargetGroup};
use aws_smithy_types::DateTime;
use jiff::Timestamp;

use super::Subject;
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;
use crate::service::describe;

/// Whether the cluster is there (`ecs:DescribeClusters`).
pub(super) async fn has_cluster(aws: &Aws, subject: &Subject) -> Result<bool> {
    let answer = aws
        .ecs
        .describe_clusters()
        .clusters(&subject.cluster)
        .send()
        .await
        .of("ecs:DescribeClusters")?;
    let mut clusters = answer.clusters().iter();
    Ok(clusters.any(|cluster| cluster.status() != Some("INACTIVE")))
}

/// The service, unless it is gone (`ecs:DescribeServices`).
pub(super) async fn service(aws: &Aws, subject: &Subject) -> Result<Arc<Option<Service>>> {
    let read = async {
        let found = describe(aws, &subject.service_name()).await?;
        Ok(found.filter(|service| service.status() != Some("INACTIVE")))
    };
    aws.read_once("doctor ecs:DescribeServices", read).await
}

/// A revision of a task definition (`ecs:DescribeTaskDefinition`); none if it is gone.
pub(super) async fn task_definition(aws: &Aws, arn: &str) -> Result<Arc<Option<TaskDefinition>>> {
    let read = async {
        let answer = aws
            .ecs
            .describe_task_definition()
            .task_definition(arn)
            .send()
            .await
            .of("ecs:DescribeTaskDefinition")
            // That is how ECS says that there is none.
            .gone_is_none(&["ClientException"])?;
        Ok(answer.and_then(|answer| answer.task_definition))
    };
    let key = format!("doctor ecs:DescribeTaskDefinition {arn}");
    aws.read_once(&key, read).await
}

/// The revision that the service runs.
pub(super) async fn running_definition(
    aws: &Aws,
    subject: &Subject,
) -> Result<Arc<Option<TaskDefinition>>> {
    let service = service(aws, subject).await?;
    match service.as_ref().as_ref().and_then(Service::task_definition) {
        Some(arn) => task_definition(aws, arn).await,
        None => Ok(Arc::new(None)),
    }
}

/// The load balancer (`elasticloadbalancing:DescribeLoadBalancers`).
pub(super) async fn load_balancer(
    aws: &Aws,
    subject: &Subject,
) -> Result<Arc<Option<LoadBalancer>>> {
    let read = async {
        let answer = aws
            .elbv2
            .describe_load_balancers()
            .names(&subject.load_balancer)
            .send()
            .await
            .of("elasticloadbalancing:DescribeLoadBalancers")
            .gone_is_none(&["LoadBalancerNotFound"])?;
        let found = answer.and_then(|answer| answer.load_balancers);
        Ok(found.unwrap_or_default().into_iter().next())
    };
    let key = "doctor elasticloadbalancing:DescribeLoadBalancers";
    aws.read_once(key, read).await
}

/// One target group by its name (`elasticloadbalancing:DescribeTargetGroups`).
pub(super) async fn target_group(aws: &Aws, name: &str) -> Result<Option<TargetGroup>> {
    let answer = aws
        .elbv2
        .describe_target_groups()
        .names(name)
        .send()
        .await
        .of("elasticloadbalancing:DescribeTargetGroups")
        .gone_is_none(&["TargetGroupNotFound"])?;
    let found = answer.and_then(|answer| answer.target_groups);
    Ok(found.unwrap_or_default().into_iter().next())
}

/// The stack's two alarms (`cloudwatch:DescribeAlarms`).
pub(super) async fn alarms(aws: &Aws, subject: &Subject) -> Result<Arc<Vec<MetricAlarm>>> {
    let read = async {
        let mut pages = aws
            .cloudwatch
            .describe_alarms()
            .alarm_names(&subject.high_errors_alarm)
            .alarm_names(&subject.db_failures_alarm)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.of("cloudwatch:DescribeAlarms")?;
            found.extend(page.metric_alarms.unwrap_or_default());
        }
        Ok(found)
    };
    aws.read_once("doctor cloudwatch:DescribeAlarms", read)
        .await
}

/// A moment of AWS's as a person reads it.
pub(super) fn moment(moment: Option<&DateTime>) -> String {
    told(crate::service::moment(moment))
}

/// A moment as a person reads it.
pub(super) fn told(moment: Option<Timestamp>) -> String {
    moment.map_or_else(
        || "at an unknown time".to_owned(),
        |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

/// How many seconds ago a moment was; none for one that is not known.
pub(super) fn seconds_since(moment: Option<&DateTime>) -> Option<i64> {
    Some(Timestamp::now().as_second() - moment?.secs())
}

/// The beginning of a long text of others, so that a finding stays readable.
pub(super) fn short(text: &str) -> String {
    const LONGEST: usize = 400;
    let text = text.trim();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
