//! Watching: alarms, and where they are sent.

use std::collections::BTreeMap;

use super::Stack;
use super::data::Data;
use super::edge::Edge;
use super::security::slug;
use crate::kinds::cloudwatch::{Alarm, AlarmSpec, Comparison, MissingData, Statistic};
use crate::kinds::sns::{Protocol, Subscription, SubscriptionSpec, Topic, TopicSpec};
use crate::resource::{Handle, Input};

/// What other tiers build on.
pub(super) struct Watching {
    pub(super) topic: Handle<Topic>,
    /// Also rolls back a release.
    pub(super) high_errors: Handle<Alarm>,
}

pub(super) fn declare(stack: &mut Stack<'_>, edge: &Edge, data: &Data) -> Watching {
    let name = stack.name("order-api-alarms");
    let spec = TopicSpec {
        tags: stack.tags("alarm-topic", &name),
        name,
    };
    let topic = stack.add::<Topic>("alarm-topic", spec);
    for email in stack.config.alarms.emails.clone() {
        let spec = SubscriptionSpec {
            topic: topic.arn(),
            protocol: Protocol::Email,
            endpoint: email.clone(),
        };
        stack.add::<Subscription>(&format!("alarm-email-{}", slug(&email)), spec);
    }
    let high_errors = alarm(
        stack,
        &topic,
        Watched {
            address: "high-errors-alarm",
            base: "order-api-high-errors",
            description: "Tasks answer with 5XX errors",
            namespace: "AWS/ApplicationELB",
            metric: "HTTPCode_Target_5XX_Count",
            statistic: Statistic::Sum,
            dimension: ("LoadBalancer", edge.load_balancer.full_name()),
            threshold: stack.config.alarms.high_errors,
            evaluation_periods: 1,
        },
    );
    alarm(
        stack,
        &topic,
        Watched {
            address: "db-failures-alarm",
            base: "order-api-db-failures",
            description: "The database has too many connections",
            namespace: "AWS/RDS",
            metric: "DatabaseConnections",
            statistic: Statistic::Average,
            dimension: ("DBClusterIdentifier", data.cluster.identifier()),
            threshold: stack.config.alarms.db_connections,
            evaluation_periods: 2,
        },
    );
    Watching { topic, high_errors }
}

struct Watched<'a> {
    address: &'a str,
    base: &'a str,
    description: &'a str,
    namespace: &'a str,
    metric: &'a str,
    statistic: Statistic,
    dimension: (&'a str, Input<String>),
    threshold: u32,
    evaluation_periods: i32,
}

fn alarm(stack: &mut Stack<'_>, topic: &Handle<Topic>, watched: Watched<'_>) -> Handle<Alarm> {
    let name = stack.name(watched.base);
    let (dimension, value) = watched.dimension;
    let spec = AlarmSpec {
        description: watched.description.to_owned(),
        namespace: watched.namespace.to_owned(),
        metric_name: watched.metric.to_owned(),
        statistic: watched.statistic,
        dimensions: BTreeMap::from([(dimension.to_owned(), value)]),
        comparison: Comparison::GreaterThan,
        threshold: watched.threshold.into(),
        period_seconds: 300,
        evaluation_periods: watched.evaluation_periods,
        datapoints_to_alarm: watched.evaluation_periods,
        treat_missing_data: MissingData::NotBreaching,
        alarm_actions: vec![topic.arn().text()],
        actions_enabled: true,
        ok_actions: vec![topic.arn().text()],
        tags: stack.tags(watched.address, &name),
        name,
    };
    stack.add(watched.address, spec)
}
