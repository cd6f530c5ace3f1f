//! The alarms of the stack.

use aws_sdk_cloudwatch::types::MetricAlarm;
use jiff::Timestamp;

use super::Subject;
use crate::aws::{Answer, Aws};
use crate::resource::Result;
use crate::service::moment;

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// CloudWatch's word: `OK`, `ALARM` or `INSUFFICIENT_DATA`; none if there is no such alarm.
    pub state: Option<String>,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// CloudWatch's words for why.
    pub reason: String,
}

/// Reads all alarms with one call (`cloudwatch:DescribeAlarms`); `None` if there are none.
pub(super) async fn alarms(aws: &Aws, subject: &Subject) -> Result<Option<Vec<Alarm>>> {
    let found = aws
        .cloudwatch
        .describe_alarms()
        .set_alarm_names(Some(subject.alarms.clone()))
        .into_paginator()
        .send()
        .collect::<std::result::Result<Vec<_>, _>>()
        .await
        .of("cloudwatch:DescribeAlarms")?;
    let found: Vec<&MetricAlarm> = found.iter().flat_map(|page| page.metric_alarms()).collect();
    if found.is_empty() {
        return Ok(None);
    }
    let alarm = |name: &String| {
        let alarm = found.iter().find(|it| it.alarm_name() == Some(name));
        Alarm {
            name: name.clone(),
            state: alarm
                .and_then(|it| it.state_value())
                .map(|state| state.as_str().to_owned()),
            // The update may be a new reason for the same state.
            since: alarm.and_then(|it| {
                let changed = it.state_transitioned_timestamp();
                moment(changed.or_else(|| it.state_updated_timestamp()))
            }),
            reason: alarm
                .and_then(|it| it.state_reason())
                .unwrap_or_default()
                .to_owned(),
        }
    };
    Ok(Some(subject.alarms.iter().map(alarm).collect()))
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::Client;
    use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
    use aws_sdk_cloudwatch::primitives::DateTime;
    use aws_sdk_cloudwatch::types::StateValue;
    use aws_smithy_mocks::mock;

    use super::super::testing::subject;
    use super::*;
    use crate::aws::testing::mocked;

    #[tokio::test]
    async fn each_alarm_tells_its_state_since_when_and_why_and_a_missing_one_has_none() {
        let answer = mock!(Client::describe_alarms)
            .match_requests(|r| r.alarm_names().len() == 2)
            .then_output(|| {
                let alarm = MetricAlarm::builder()
                    .alarm_name("order-api-db-failures-dev")
                    .state_value(StateValue::Alarm)
                    .state_reason("Threshold Crossed")
                    .state_updated_timestamp(DateTime::from_secs(1_764_000_600))
                    .state_transitioned_timestamp(DateTime::from_secs(1_764_000_000));
                DescribeAlarmsOutput::builder()
                    .metric_alarms(alarm.build())
                    .build()
            });
        let found = alarms(&mocked(&[&answer]), &subject())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found[0].name, "order-api-high-errors-dev");
        assert_eq!(found[0].state, None);
        assert_eq!(found[1].state.as_deref(), Some("ALARM"));
        assert_eq!(found[1].reason, "Threshold Crossed");
        assert_eq!(found[1].since, Timestamp::from_second(1_764_000_000).ok());

        let none =
            mock!(Client::describe_alarms).then_output(|| DescribeAlarmsOutput::builder().build());
        let found = alarms(&mocked(&[&none]), &subject()).await.unwrap();
        assert_eq!(found, None);
    }
}
