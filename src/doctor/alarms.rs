//! Area `alarms`: which of the stack's alarms rings.

use aws_sdk_cloudwatch::types::StateValue;

use super::{Chart, Subject, reads};
use crate::aws::Aws;
use crate::resource::Result;

pub(super) const AREA: &str = "alarms";

pub(super) async fn look(aws: &Aws, subject: &Subject, chart: &mut Chart) -> Result<()> {
    let alarms = reads::alarms(aws, subject).await?;
    let help = [
        (
            &subject.high_errors_alarm,
            "`orderctl logs --since 15m`; after a release, `orderctl rollback`",
        ),
        (
            &subject.db_failures_alarm,
            "see what is found about the database",
        ),
    ];
    for (name, fix) in help {
        let Some(alarm) = alarms.iter().find(|alarm| alarm.alarm_name() == Some(name)) else {
            chart
                .warning(format!("there is no alarm {name}"))
                .mended_by("orderctl up");
            continue;
        };
        if alarm.actions_enabled() == Some(false) {
            chart
                .warning(format!("alarm {name} tells nobody: its actions are off"))
                .mended_by(format!(
                    "`orderctl up`, or `aws cloudwatch enable-alarm-actions --alarm-names {name}`"
                ));
        }
        if alarm.state_value() == Some(&StateValue::Alarm) {
            let since = reads::moment(
                alarm
                    .state_transitioned_timestamp()
                    .or_else(|| alarm.state_updated_timestamp()),
            );
            chart
                .problem(format!("alarm {name} rings"))
                .shown_by([format!("since {since}")])
                .shown_by(alarm.state_reason().map(reads::short))
                .mended_by(fix);
        }
    }
    if chart.is_well() {
        chart.fine("no alarm rings");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::Client;
    use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
    use aws_sdk_cloudwatch::types::MetricAlarm;
    use aws_smithy_mocks::{Rule, mock};

    use super::super::Finding;
    use super::super::testing::{found, is_fine, only_bad, subject};
    use super::*;
    use crate::aws::testing::mocked;

    fn alarms(states: &'static [(&'static str, StateValue)]) -> Rule {
        mock!(Client::describe_alarms).then_output(move || {
            let alarm = |(name, state): &(&str, StateValue)| {
                MetricAlarm::builder()
                    .alarm_name(*name)
                    .state_value(state.clone())
                    .state_reason("Threshold Crossed: 12 > 10")
                    .build()
            };
            let all = states.iter().map(alarm).collect();
            DescribeAlarmsOutput::builder()
                .set_metric_alarms(Some(all))
                .build()
        })
    }

    async fn examined(rule: Rule) -> Vec<Finding> {
        let aws = mocked(&[&rule]);
        found(async |chart: &mut Chart| look(&aws, &subject(), chart).await).await
    }

    const ERRORS: &str = "order-api-high-errors-dev";
    const CONNECTIONS: &str = "order-api-db-failures-dev";

    #[tokio::test]
    async fn a_ringing_alarm_is_a_problem_and_one_without_data_is_none() {
        let quiet = alarms(&[
            (ERRORS, StateValue::Ok),
            (CONNECTIONS, StateValue::InsufficientData),
        ]);
        is_fine(&examined(quiet).await);
        let ringing = alarms(&[(ERRORS, StateValue::Alarm), (CONNECTIONS, StateValue::Ok)]);
        let all = examined(ringing).await;
        let finding = only_bad(&all);
        assert!(finding.is_problem());
        assert_eq!(finding.title, "alarm order-api-high-errors-dev rings");
        assert!(finding.evidence[1].contains("12 > 10"), "{finding:?}");
    }

    #[tokio::test]
    async fn an_alarm_that_is_gone_is_told() {
        let all = examined(alarms(&[(ERRORS, StateValue::Ok)])).await;
        let finding = only_bad(&all);
        assert_eq!(finding.title, "there is no alarm order-api-db-failures-dev");
        assert_eq!(finding.fix.as_deref(), Some("orderctl up"));
    }
}
