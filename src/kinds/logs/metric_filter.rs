//! `logs/metric_filter`: makes a metric of matching log lines.

use aws_sdk_cloudwatchlogs::types::{
    MetricFilter as AwsMetricFilter, MetricTransformation, StandardUnit,
};
use serde::{Deserialize, Serialize};

use super::GONE;
use crate::aws::{Answer, Aws, GoneIsNone, incomplete, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, outputs,
};

/// An `AWS::Logs::MetricFilter` with one metric and no dimensions.
pub struct MetricFilter;

/// The settings of a metric filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct MetricFilterSpec<S: Stage> {
    /// Its name, unique in its log group.
    pub name: String,
    /// The name of the log group it reads.
    pub log_group: S::In<String>,
    /// Which lines it takes, in CloudWatch's filter syntax; empty takes all.
    pub pattern: String,
    /// The namespace of the metric.
    pub metric_namespace: String,
    /// The name of the metric.
    pub metric_name: String,
    /// What a matching line adds: a number, or a field of the line (`$.count`).
    pub metric_value: String,
    /// What a minute without a matching line reports, if lines came in at all.
    pub default_value: Option<f64>,
    /// The unit of the metric.
    pub unit: Option<MetricUnit>,
}

/// A unit of CloudWatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetricUnit {
    /// No unit.
    None,
    /// A number of things.
    Count,
    /// A share of a hundred.
    Percent,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Bytes.
    Bytes,
    /// Any other, as CloudWatch writes it.
    #[serde(untagged)]
    Other(String),
}

outputs! { MetricFilter =>
    /// What AWS gives a metric filter.
    MetricFilterOutputs {
        /// The metric filter's name.
        name: String,
    }
}

const PUT: &str = "logs:PutMetricFilter";
const DESCRIBE: &str = "logs:DescribeMetricFilters";

impl Resource for MetricFilter {
    const KIND: &'static str = "logs/metric_filter";
    const IDENTITY: Identity = Identity::Parent;
    const OPERATIONS: Operations = Operations {
        read: &["logs:DescribeMetricFilters"],
        create: &["logs:PutMetricFilter"],
        update: &["logs:PutMetricFilter"],
        delete: &["logs:DeleteMetricFilter"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name", "log_group"];
    // Field guide, section 3.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("OperationAbortedException", 60),
        Refusal::update("OperationAbortedException", 60),
        Refusal::delete("OperationAbortedException", 60),
    ];
    type Api = Aws;
    type Spec<S: Stage> = MetricFilterSpec<S>;
    type Outputs = MetricFilterOutputs;

    async fn observe(
        aws: &Aws,
        _scope: &Scope,
        want: &MetricFilterSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let known = last.map_or(want, |last| &last.spec);
        let key = format!("{DESCRIBE} {}", known.log_group);
        let filters = aws.read_once(&key, describe(aws, &known.log_group)).await?;
        let filter = filters
            .iter()
            .find(|filter| filter.filter_name() == Some(&known.name));
        let Some(filter) = filter else {
            return Ok(None);
        };
        let metric = filter
            .metric_transformations()
            .first()
            .ok_or_else(missing(DESCRIBE, "metricTransformations"))?;
        Ok(Some(Live {
            outputs: MetricFilterOutputs {
                name: known.name.clone(),
            },
            spec: MetricFilterSpec {
                name: known.name.clone(),
                log_group: known.log_group.clone(),
                pattern: filter.filter_pattern().unwrap_or_default().to_owned(),
                metric_namespace: metric.metric_namespace().to_owned(),
                metric_name: metric.metric_name().to_owned(),
                metric_value: metric.metric_value().to_owned(),
                default_value: metric.default_value(),
                unit: metric.unit().map(|unit| MetricUnit::read(unit.as_str())),
            },
            condition: Condition::Ready,
        }))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &MetricFilterSpec<Resolved>,
    ) -> Result<MetricFilterOutputs> {
        put(aws, want).await?;
        Ok(MetricFilterOutputs {
            name: want.name.clone(),
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        _live: &Live<Self>,
        want: &MetricFilterSpec<Resolved>,
        _changes: &Changes,
    ) -> Result<()> {
        put(aws, want).await
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.logs
            .delete_metric_filter()
            .log_group_name(&live.spec.log_group)
            .filter_name(&live.spec.name)
            .send()
            .await
            .of("logs:DeleteMetricFilter")
            .gone_is_fine(GONE)
    }
}

impl MetricUnit {
    const KNOWN: [Self; 6] = [
        Self::None,
        Self::Count,
        Self::Percent,
        Self::Seconds,
        Self::Milliseconds,
        Self::Bytes,
    ];

    fn as_str(&self) -> &str {
        match self {
            Self::None => "None",
            Self::Count => "Count",
            Self::Percent => "Percent",
            Self::Seconds => "Seconds",
            Self::Milliseconds => "Milliseconds",
            Self::Bytes => "Bytes",
            Self::Other(name) => name,
        }
    }

    fn read(text: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|unit| unit.as_str() == text);
        known.unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

/// Reads all filters of a log group; none if the group itself is gone.
async fn describe(aws: &Aws, log_group: &str) -> Result<Vec<AwsMetricFilter>> {
    let pages = aws
        .logs
        .describe_metric_filters()
        .log_group_name(log_group)
        .into_paginator()
        .items()
        .send();
    let filters = pages
        .collect::<std::result::Result<_, _>>()
        .await
        .of(DESCRIBE)
        .gone_is_none(GONE)?;
    Ok(filters.unwrap_or_default())
}

/// Sets the whole filter; the same call makes and changes it.
async fn put(aws: &Aws, want: &MetricFilterSpec<Resolved>) -> Result<()> {
    let unit = want
        .unit
        .as_ref()
        .map(|unit| StandardUnit::from(unit.as_str()));
    let metric = MetricTransformation::builder()
        .metric_namespace(&want.metric_namespace)
        .metric_name(&want.metric_name)
        .metric_value(&want.metric_value)
        .set_default_value(want.default_value)
        .set_unit(unit)
        .build()
        .map_err(incomplete(PUT))?;
    aws.logs
        .put_metric_filter()
        .log_group_name(&want.log_group)
        .filter_name(&want.name)
        .filter_pattern(&want.pattern)
        .metric_transformations(metric)
        .send()
        .await
        .of(PUT)
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatchlogs::Client;
    use aws_sdk_cloudwatchlogs::error::ErrorMetadata;
    use aws_sdk_cloudwatchlogs::operation::describe_metric_filters::{
        DescribeMetricFiltersError, DescribeMetricFiltersOutput,
    };
    use aws_sdk_cloudwatchlogs::operation::put_metric_filter::PutMetricFilterOutput;
    use aws_smithy_mocks::mock;
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::diff;

    fn want() -> MetricFilterSpec<Resolved> {
        MetricFilterSpec {
            name: "pending-orders-dev".into(),
            log_group: "/ecs/order-api-dev".into(),
            pattern: "{ $.msg = \"PendingOrders\" }".into(),
            metric_namespace: "OrderAPI/dev".into(),
            metric_name: "PendingOrders".into(),
            metric_value: "$.count".into(),
            default_value: Some(0.0),
            unit: Some(MetricUnit::Count),
        }
    }

    fn in_aws() -> AwsMetricFilter {
        let metric = MetricTransformation::builder()
            .metric_namespace("OrderAPI/dev")
            .metric_name("PendingOrders")
            .metric_value("$.count")
            .default_value(0.0)
            .unit(StandardUnit::Count)
            .build()
            .unwrap();
        AwsMetricFilter::builder()
            .filter_name("pending-orders-dev")
            .filter_pattern("{ $.msg = \"PendingOrders\" }")
            .log_group_name("/ecs/order-api-dev")
            .metric_transformations(metric)
            .build()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back() {
        let rule = mock!(Client::describe_metric_filters)
            .match_requests(|r| r.log_group_name() == Some("/ecs/order-api-dev"))
            .then_output(|| {
                let output = DescribeMetricFiltersOutput::builder();
                output.metric_filters(in_aws()).build()
            });
        let live = MetricFilter::observe(&mocked(&[&rule]), &scope("filter"), &want(), None).await;
        assert_eq!(live.unwrap().unwrap().spec, want());
    }

    #[tokio::test]
    async fn a_filter_is_gone_when_it_is_not_listed_or_its_group_is_gone() {
        let unlisted = mock!(Client::describe_metric_filters)
            .then_output(|| DescribeMetricFiltersOutput::builder().build());
        let group_gone = mock!(Client::describe_metric_filters).then_error(|| {
            let code = ErrorMetadata::builder().code("ResourceNotFoundException");
            DescribeMetricFiltersError::generic(code.build())
        });
        for rule in [unlisted, group_gone] {
            let aws = mocked(&[&rule]);
            let live = MetricFilter::observe(&aws, &scope("filter"), &want(), None).await;
            assert!(live.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn update_puts_the_whole_filter() {
        let put = mock!(Client::put_metric_filter)
            .match_requests(|r| {
                let metric = &r.metric_transformations()[0];
                r.filter_pattern() == Some("{ $.msg = \"PendingOrders\" }")
                    && metric.metric_value() == "$.count"
                    && metric.default_value() == Some(0.0)
                    && metric.unit() == Some(&StandardUnit::Count)
            })
            .then_output(|| PutMetricFilterOutput::builder().build());
        let aws = mocked(&[&put]);
        let live = Live {
            outputs: MetricFilterOutputs { name: want().name },
            spec: MetricFilterSpec {
                pattern: String::new(),
                ..want()
            },
            condition: Condition::Ready,
        };
        let changes = diff(&json!(want()), &json!(live.spec), None);
        MetricFilter::update(&aws, &scope("filter"), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[test]
    fn units_are_written_as_cloudwatch_writes_them() {
        for unit in MetricUnit::KNOWN {
            assert_eq!(json!(unit), unit.as_str());
            assert_eq!(MetricUnit::read(unit.as_str()), unit);
        }
        let rare = MetricUnit::read("Gigabits/Second");
        assert_eq!(json!(rare), "Gigabits/Second");
        let back: MetricUnit = serde_json::from_value(json!(rare)).unwrap();
        assert_eq!(back, rare);
    }
}
