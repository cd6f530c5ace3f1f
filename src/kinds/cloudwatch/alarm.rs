//! `cloudwatch/alarm`: watches one metric and tells a topic when it is out of bounds.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::{
    ComparisonOperator, Dimension, MetricAlarm, Statistic as AwsStatistic, Tag,
};
use serde::{Deserialize, Serialize};

use super::{
    Comparison, GONE, MissingData, REFUSALS, Statistic, change_tags, read_tags, tags_on_create,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, Tags, outputs,
};

/// An `AWS::CloudWatch::Alarm` on a single metric. Whether it is in alarm is not a setting.
pub struct Alarm;

/// The settings of an alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct AlarmSpec<S: Stage> {
    /// Its name, unique in the region.
    pub name: String,
    /// What it means and what to do; may be empty.
    pub description: String,
    /// The namespace of the metric, `AWS/RDS`.
    pub namespace: String,
    /// The name of the metric, `DatabaseConnections`.
    pub metric_name: String,
    /// How the values within one period become one.
    pub statistic: Statistic,
    /// The dimensions of the metric; all that it was published with must be named.
    pub dimensions: BTreeMap<String, S::In<String>>,
    /// When a value breaches the threshold.
    pub comparison: Comparison,
    /// The threshold, in the unit of the metric.
    pub threshold: f64,
    /// The length of one period, in seconds.
    pub period_seconds: i32,
    /// How many of the latest periods are looked at.
    pub evaluation_periods: i32,
    /// How many of them must breach the threshold.
    pub datapoints_to_alarm: i32,
    /// What a period without data counts as.
    pub treat_missing_data: MissingData,
    /// Whether the actions are carried out; `DisableAlarmActions` mutes them.
    pub actions_enabled: bool,
    /// ARNs of the topics to tell when it goes into alarm.
    pub alarm_actions: Vec<S::In<String>>,
    /// ARNs of the topics to tell when all is well again.
    pub ok_actions: Vec<S::In<String>>,
    /// Its tags.
    pub tags: Tags,
}

outputs! { Alarm =>
    /// What AWS gives an alarm.
    AlarmOutputs {
        /// The alarm's name.
        name: String,
        /// The alarm's ARN.
        arn: String,
    }
}

impl Resource for Alarm {
    const KIND: &'static str = "cloudwatch/alarm";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &[
            "cloudwatch:DescribeAlarms",
            "cloudwatch:ListTagsForResource",
        ],
        create: &["cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"],
        update: &[
            "cloudwatch:PutMetricAlarm",
            "cloudwatch:TagResource",
            "cloudwatch:UntagResource",
        ],
        delete: &["cloudwatch:DeleteAlarms"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name"];
    const HOLDS_INPUTS: bool = false;
    const REFUSALS: &'static [Refusal] = REFUSALS;
    type Api = Aws;
    type Spec<S: Stage> = AlarmSpec<S>;
    type Outputs = AlarmOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &AlarmSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let name = last.map_or(&want.name, |last| &last.outputs.name);
        let prefix = shared_prefix(name);
        let key = format!("cloudwatch:DescribeAlarms {prefix}");
        let alarms = aws.read_once(&key, describe(aws, prefix)).await?;
        let Some(alarm) = alarms.iter().find(|alarm| alarm.alarm_name() == Some(name)) else {
            return Ok(None);
        };
        let arn = alarm
            .alarm_arn()
            .ok_or_else(missing("cloudwatch:DescribeAlarms", "AlarmArn"))?;
        let tags = aws
            .tags(scope, arn, &want.tags, read_tags(aws, arn))
            .await?;
        Ok(Some(Live {
            outputs: AlarmOutputs {
                name: name.clone(),
                arn: arn.to_owned(),
            },
            spec: spec(alarm, want, tags),
            condition: Condition::Ready,
        }))
    }

    async fn create(aws: &Aws, scope: &Scope, want: &AlarmSpec<Resolved>) -> Result<AlarmOutputs> {
        put(aws, want, Some(tags_on_create(&want.tags))).await?;
        let arn = format!(
            "arn:aws:cloudwatch:{}:{}:alarm:{}",
            scope.region, scope.account, want.name
        );
        Ok(AlarmOutputs {
            name: want.name.clone(),
            arn,
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &AlarmSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        if changes.0.iter().any(|change| change.field() != "tags") {
            put(aws, want, None).await?;
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.cloudwatch
            .delete_alarms()
            .alarm_names(&live.outputs.name)
            .send()
            .await
            .of("cloudwatch:DeleteAlarms")
            .gone_is_fine(GONE)
    }
}

/// The first two words of a name, which the alarms of a stack share: one read finds them all.
fn shared_prefix(name: &str) -> &str {
    let end = name.match_indices('-').nth(1);
    end.map_or(name, |(hyphen, _)| &name[..=hyphen])
}

async fn describe(aws: &Aws, prefix: &str) -> Result<Vec<MetricAlarm>> {
    let mut found = Vec::new();
    let mut pages = aws
        .cloudwatch
        .describe_alarms()
        .alarm_name_prefix(prefix)
        .max_records(100)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.of("cloudwatch:DescribeAlarms")?;
        found.extend(page.metric_alarms.unwrap_or_default());
    }
    Ok(found)
}

fn spec(alarm: &MetricAlarm, want: &AlarmSpec<Resolved>, tags: Tags) -> AlarmSpec<Resolved> {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let statistic = alarm.statistic().map(AwsStatistic::as_str);
    let comparison = alarm.comparison_operator();
    let evaluation_periods = alarm.evaluation_periods().unwrap_or_default();
    AlarmSpec {
        name: text(alarm.alarm_name()),
        description: text(alarm.alarm_description()),
        namespace: text(alarm.namespace()),
        metric_name: text(alarm.metric_name()),
        statistic: statistic
            .or(alarm.extended_statistic())
            .unwrap_or_default()
            .into(),
        dimensions: alarm
            .dimensions()
            .iter()
            .map(|it| (text(it.name()), text(it.value())))
            .collect(),
        comparison: comparison.map_or("", ComparisonOperator::as_str).into(),
        threshold: alarm.threshold().unwrap_or_default(),
        period_seconds: alarm.period().unwrap_or_default(),
        evaluation_periods,
        // Left out, it means all of them.
        datapoints_to_alarm: alarm.datapoints_to_alarm().unwrap_or(evaluation_periods),
        treat_missing_data: alarm.treat_missing_data().unwrap_or("missing").into(),
        actions_enabled: alarm.actions_enabled().unwrap_or(true),
        alarm_actions: in_order_of(&want.alarm_actions, alarm.alarm_actions()),
        ok_actions: in_order_of(&want.ok_actions, alarm.ok_actions()),
        tags,
    }
}

/// Sorts `live` the way `want` is, what is not wanted last: the order means nothing to AWS.
fn in_order_of(want: &[String], live: &[String]) -> Vec<String> {
    let mut live = live.to_vec();
    live.sort_by_key(|item| {
        let place = want.iter().position(|wanted| wanted == item);
        (place.unwrap_or(want.len()), item.clone())
    });
    live
}

/// Sends all settings; AWS takes `tags` only for a new alarm and ignores them later.
async fn put(aws: &Aws, want: &AlarmSpec<Resolved>, tags: Option<Vec<Tag>>) -> Result<()> {
    let dimensions = want
        .dimensions
        .iter()
        .map(|(name, value)| Dimension::builder().name(name).value(value).build());
    let request = aws
        .cloudwatch
        .put_metric_alarm()
        .alarm_name(&want.name)
        .set_alarm_description(Some(want.description.clone()).filter(|it| !it.is_empty()))
        .namespace(&want.namespace)
        .metric_name(&want.metric_name)
        .set_dimensions(Some(dimensions.collect()))
        .comparison_operator(want.comparison.as_str().into())
        .threshold(want.threshold)
        .period(want.period_seconds)
        .evaluation_periods(want.evaluation_periods)
        .datapoints_to_alarm(want.datapoints_to_alarm)
        .treat_missing_data(want.treat_missing_data.as_str())
        .actions_enabled(want.actions_enabled)
        .set_alarm_actions(Some(want.alarm_actions.clone()))
        .set_ok_actions(Some(want.ok_actions.clone()))
        .set_tags(tags);
    let request = match &want.statistic {
        Statistic::Extended(percentile) => request.extended_statistic(percentile),
        plain => request.statistic(plain.as_str().into()),
    };
    request.send().await.of("cloudwatch:PutMetricAlarm")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::Client;
    use aws_sdk_cloudwatch::operation::delete_alarms::DeleteAlarmsError;
    use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
    use aws_sdk_cloudwatch::operation::list_tags_for_resource::ListTagsForResourceOutput;
    use aws_sdk_cloudwatch::operation::put_metric_alarm::PutMetricAlarmOutput;
    use aws_sdk_cloudwatch::operation::tag_resource::TagResourceOutput;
    use aws_sdk_cloudwatch::types::StateValue;
    use aws_sdk_cloudwatch::types::builders::MetricAlarmBuilder;
    use aws_sdk_resourcegroupstagging::operation::get_resources::GetResourcesOutput;
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::error::ErrorMetadata;
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const ARN: &str = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:order-api-high-errors-dev";
    const NAME: &str = "order-api-high-errors-dev";

    fn want() -> AlarmSpec<Resolved> {
        AlarmSpec {
            name: NAME.into(),
            description: "Targets answer with 5XX".into(),
            namespace: "AWS/ApplicationELB".into(),
            metric_name: "HTTPCode_Target_5XX_Count".into(),
            statistic: Statistic::Sum,
            dimensions: [("LoadBalancer".into(), "app/order-api-dev/1".into())].into(),
            comparison: Comparison::GreaterThan,
            threshold: 10.0,
            period_seconds: 300,
            evaluation_periods: 2,
            datapoints_to_alarm: 2,
            treat_missing_data: MissingData::NotBreaching,
            actions_enabled: true,
            alarm_actions: vec!["arn:topic-b".into(), "arn:topic-a".into()],
            ok_actions: Vec::new(),
            tags: Tags::from_pairs([(NODE_TAG, "high-errors")]),
        }
    }

    fn in_aws() -> MetricAlarmBuilder {
        let dimension = Dimension::builder()
            .name("LoadBalancer")
            .value("app/order-api-dev/1");
        MetricAlarm::builder()
            .alarm_name(NAME)
            .alarm_arn(ARN)
            .alarm_description("Targets answer with 5XX")
            .state_value(StateValue::InsufficientData)
            .namespace("AWS/ApplicationELB")
            .metric_name("HTTPCode_Target_5XX_Count")
            .statistic(AwsStatistic::Sum)
            .dimensions(dimension.build())
            .comparison_operator(ComparisonOperator::GreaterThanThreshold)
            .threshold(10.0)
            .period(300)
            .evaluation_periods(2)
            .treat_missing_data("notBreaching")
            .actions_enabled(true)
            .alarm_actions("arn:topic-a")
            .alarm_actions("arn:topic-b")
    }

    fn live(alarm: MetricAlarmBuilder) -> Live<Alarm> {
        Live {
            outputs: AlarmOutputs {
                name: NAME.into(),
                arn: ARN.into(),
            },
            spec: spec(&alarm.build(), &want(), want().tags),
            condition: Condition::Ready,
        }
    }

    fn tags() -> Rule {
        mock!(Client::list_tags_for_resource).then_output(|| {
            let tag = Tag::builder().key(NODE_TAG).value("high-errors").build();
            ListTagsForResourceOutput::builder().tags(tag).build()
        })
    }

    async fn update(aws: &Aws, live: &Live<Alarm>) {
        let changes = diff(&json!(want()), &json!(live.spec), None);
        Alarm::update(aws, &scope("high-errors"), live, &want(), &changes)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_and_reads_all_alarms_of_the_stack_at_once() {
        let first = mock!(Client::describe_alarms)
            .match_requests(|r| {
                r.alarm_name_prefix() == Some("order-api-") && r.next_token().is_none()
            })
            .then_output(|| {
                let other = in_aws()
                    .alarm_name("order-api-db-failures-dev")
                    .alarm_arn("x");
                DescribeAlarmsOutput::builder()
                    .metric_alarms(other.build())
                    .next_token("2")
                    .build()
            });
        let second = mock!(Client::describe_alarms)
            .match_requests(|r| r.next_token() == Some("2"))
            .then_output(|| {
                DescribeAlarmsOutput::builder()
                    .metric_alarms(in_aws().build())
                    .build()
            });
        let index = mock!(aws_sdk_resourcegroupstagging::Client::get_resources)
            .then_output(|| GetResourcesOutput::builder().build());
        let aws = mocked(&[&first, &second, &index, &tags()]).with_shared_reads();
        let live = Alarm::observe(&aws, &scope("high-errors"), &want(), None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(live.outputs.arn, ARN);
        assert_eq!(live.condition, Condition::Ready);

        let mut other = want();
        other.name = "order-api-db-failures-dev".into();
        let live = Alarm::observe(&aws, &scope("db-failures"), &other, None).await;
        assert_eq!(live.unwrap().unwrap().outputs.arn, "x");
        assert_eq!((first.num_calls(), second.num_calls()), (1, 1));
    }

    #[tokio::test]
    async fn gone_is_none_and_deleting_it_is_fine() {
        let nothing = mock!(Client::describe_alarms).then_output(|| {
            let other = in_aws().alarm_name("order-api-high-errors-dev-2");
            DescribeAlarmsOutput::builder()
                .metric_alarms(other.build())
                .build()
        });
        let gone = mock!(Client::delete_alarms)
            .match_requests(|r| r.alarm_names() == [NAME])
            .then_error(|| {
                let code = ErrorMetadata::builder().code("ResourceNotFound").build();
                DeleteAlarmsError::generic(code)
            });
        let aws = mocked(&[&nothing, &gone]);
        let last = Last {
            outputs: live(in_aws()).outputs,
            spec: want(),
        };
        for last in [None, Some(&last)] {
            let found = Alarm::observe(&aws, &scope("high-errors"), &want(), last).await;
            assert!(found.unwrap().is_none());
        }
        Alarm::delete(&aws, &scope("high-errors"), &live(in_aws()))
            .await
            .unwrap();
        assert_eq!(gone.num_calls(), 1);
    }

    #[test]
    fn what_was_changed_by_hand_shows_field_by_field() {
        let edited = in_aws()
            .actions_enabled(false)
            .set_statistic(None)
            .extended_statistic("p99")
            .datapoints_to_alarm(1)
            .alarm_actions("arn:theirs");
        let changes = diff(&json!(want()), &json!(live(edited).spec), None);
        let expected = [
            "statistic",
            "datapoints_to_alarm",
            "actions_enabled",
            "alarm_actions",
        ];
        assert_eq!(changes.names(), expected);
        assert_eq!(changes.0[0].from, "p99");
    }

    #[tokio::test]
    async fn create_carries_the_tags_and_an_update_sends_everything_but_them() {
        fn complete(
            r: &aws_sdk_cloudwatch::operation::put_metric_alarm::PutMetricAlarmInput,
        ) -> bool {
            r.alarm_name() == Some(NAME)
                && r.statistic() == Some(&AwsStatistic::Sum)
                && r.comparison_operator() == Some(&ComparisonOperator::GreaterThanThreshold)
                && r.threshold() == Some(10.0)
                && r.treat_missing_data() == Some("notBreaching")
                && r.dimensions()[0].value() == Some("app/order-api-dev/1")
                && r.alarm_actions() == ["arn:topic-b", "arn:topic-a"]
        }
        let create = mock!(Client::put_metric_alarm)
            .match_requests(|r| complete(r) && r.tags().len() == 1)
            .then_output(|| PutMetricAlarmOutput::builder().build());
        let put = mock!(Client::put_metric_alarm)
            .match_requests(|r| complete(r) && r.tags().is_empty())
            .then_output(|| PutMetricAlarmOutput::builder().build());
        let aws = mocked(&[&create, &put]);
        let outputs = Alarm::create(&aws, &scope("high-errors"), &want()).await;
        assert_eq!(outputs.unwrap(), live(in_aws()).outputs);
        update(&aws, &live(in_aws().threshold(99.0))).await;
        assert_eq!((create.num_calls(), put.num_calls()), (1, 1));
        assert_eq!(aws.calls().writes(), 2);
    }

    #[tokio::test]
    async fn changed_tags_leave_the_alarm_alone() {
        let tag = mock!(Client::tag_resource)
            .match_requests(|r| r.resource_arn() == Some(ARN) && r.tags().len() == 1)
            .then_output(|| TagResourceOutput::builder().build());
        let aws = mocked(&[&tag]);
        let mut live = live(in_aws());
        live.spec.tags = Tags::default();
        update(&aws, &live).await;
        assert_eq!(aws.calls().writes(), 1);
    }

    #[test]
    fn names_of_any_shape_have_a_prefix_that_finds_them() {
        for (name, prefix) in [
            ("order-api-db-failures-dev", "order-api-"),
            ("order-api", "order-api"),
            ("plain", "plain"),
        ] {
            assert_eq!(shared_prefix(name), prefix);
        }
    }
}
