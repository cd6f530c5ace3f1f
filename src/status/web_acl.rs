//! What the web ACL let through and blocked lately.
//!
//! WAF counts once a minute, and only what happened: no data is zero. With the dimension `Rule=ALL`
//! a metric counts the requests of all rules and of the default action (AWS WAF developer guide,
//! "AWS WAF metrics and dimensions").

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode,
};
use aws_sdk_wafv2::types::Scope;
use jiff::Timestamp;

use super::Subject;
use crate::aws::{Answer, Aws};
use crate::resource::{Class, Error, Result};

/// How many minutes are counted.
pub const WINDOW_MINUTES: u32 = 5;

/// Requests of the last [`WINDOW_MINUTES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Those that a rule blocked.
    pub blocked: u64,
    /// Those that reached the load balancer.
    pub allowed: u64,
}

/// Reads the counts (`wafv2:ListWebACLs`, `cloudwatch:GetMetricData`); `None` without a web ACL.
pub(super) async fn requests(
    aws: &Aws,
    subject: &Subject,
    now: Timestamp,
) -> Result<Option<Requests>> {
    // Metrics of an ACL that is not there are empty, and would read as "nothing was blocked".
    let (exists, counts) = tokio::join!(
        exists(aws, &subject.web_acl),
        counts(aws, &subject.web_acl, &subject.region, now)
    );
    Ok(match exists? {
        true => Some(counts?),
        false => None,
    })
}

async fn exists(aws: &Aws, name: &str) -> Result<bool> {
    let mut marker = None;
    loop {
        let page = aws
            .wafv2
            .list_web_acls()
            .scope(Scope::Regional)
            .limit(100)
            .set_next_marker(marker)
            .send()
            .await
            .of("wafv2:ListWebACLs")?;
        if page.web_acls().iter().any(|acl| acl.name() == Some(name)) {
            return Ok(true);
        }
        // The last page may carry a marker too.
        marker = page.next_marker().map(str::to_owned);
        if marker.is_none() || page.web_acls().is_empty() {
            return Ok(false);
        }
    }
}

const OPERATION: &str = "cloudwatch:GetMetricData";
const BLOCKED: &str = "blocked";
const ALLOWED: &str = "allowed";

async fn counts(aws: &Aws, web_acl: &str, region: &str, now: Timestamp) -> Result<Requests> {
    let this_minute = now.as_second() / 60 * 60;
    let begin = this_minute - 60 * i64::from(WINDOW_MINUTES);
    let mut pages = aws
        .cloudwatch
        .get_metric_data()
        .start_time(DateTime::from_secs(begin))
        .end_time(DateTime::from_secs(this_minute + 60))
        .scan_by(ScanBy::TimestampAscending)
        .metric_data_queries(sum(BLOCKED, "BlockedRequests", web_acl, region))
        .metric_data_queries(sum(ALLOWED, "AllowedRequests", web_acl, region))
        .into_paginator()
        .send();
    let mut counted = Requests::default();
    while let Some(page) = pages.next().await {
        for result in page.of(OPERATION)?.metric_data_results() {
            if let Some(status @ (StatusCode::InternalError | StatusCode::Forbidden)) =
                result.status_code()
            {
                let class = match status {
                    StatusCode::Forbidden => Class::Denied,
                    _ => Class::Unclear,
                };
                return Err(Error::new(OPERATION, class, "the counts could not be read")
                    .with_code(status.as_str()));
            }
            let total: f64 = result.values().iter().sum();
            // Counts of requests are whole numbers, and far from the limits of either type.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let total = total.max(0.0).round() as u64;
            match result.id() {
                Some(BLOCKED) => counted.blocked += total,
                Some(ALLOWED) => counted.allowed += total,
                _ => {}
            }
        }
    }
    Ok(counted)
}

fn sum(id: &str, metric: &str, web_acl: &str, region: &str) -> MetricDataQuery {
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let metric = Metric::builder()
        .namespace("AWS/WAFV2")
        .metric_name(metric)
        .dimensions(dimension("WebACL", web_acl))
        .dimensions(dimension("Region", region))
        .dimensions(dimension("Rule", "ALL"));
    let stat = MetricStat::builder()
        .metric(metric.build())
        .period(60)
        .stat("Sum");
    MetricDataQuery::builder()
        .id(id)
        .metric_stat(stat.build())
        .return_data(true)
        .build()
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::Client;
    use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataOutput;
    use aws_sdk_cloudwatch::types::MetricDataResult;
    use aws_sdk_wafv2::operation::list_web_acls::ListWebAcLsOutput;
    use aws_sdk_wafv2::types::WebAclSummary;
    use aws_smithy_mocks::{Rule, mock};

    use super::super::testing::subject;
    use super::*;
    use crate::aws::testing::mocked;

    fn acls(marker: Option<&'static str>, next: Option<&'static str>, name: &'static str) -> Rule {
        mock!(aws_sdk_wafv2::Client::list_web_acls)
            .match_requests(move |r| r.next_marker() == marker)
            .then_output(move || {
                let acl = WebAclSummary::builder().name(name).build();
                ListWebAcLsOutput::builder()
                    .web_acls(acl)
                    .set_next_marker(next.map(str::to_owned))
                    .build()
            })
    }

    fn result(id: &str, values: &[f64], status: StatusCode) -> MetricDataResult {
        MetricDataResult::builder()
            .id(id)
            .set_values(Some(values.to_vec()))
            .status_code(status)
            .build()
    }

    #[tokio::test]
    async fn counts_are_the_sum_over_all_pages_of_the_acl_over_all_rules() {
        let now: Timestamp = "2026-11-26T01:14:47Z".parse().unwrap();
        let first = mock!(Client::get_metric_data)
            .match_requests(|r| {
                let stat = r.metric_data_queries()[0].metric_stat().unwrap();
                let dimensions = stat.metric().unwrap().dimensions().iter();
                let dimensions: Vec<_> = dimensions
                    .map(|it| (it.name().unwrap(), it.value().unwrap()))
                    .collect();
                let begin = DateTime::from_secs(1_795_655_340);
                r.next_token().is_none()
                    && dimensions
                        == [
                            ("WebACL", "order-api-waf-dev"),
                            ("Region", "us-east-1"),
                            ("Rule", "ALL"),
                        ]
                    && r.start_time() == Some(&begin)
            })
            .then_output(|| {
                GetMetricDataOutput::builder()
                    .metric_data_results(result(BLOCKED, &[3.0, 4.0], StatusCode::PartialData))
                    .next_token("2")
                    .build()
            });
        let second = mock!(Client::get_metric_data)
            .match_requests(|r| r.next_token() == Some("2"))
            .then_output(|| {
                GetMetricDataOutput::builder()
                    .metric_data_results(result(BLOCKED, &[1.0], StatusCode::Complete))
                    .metric_data_results(result(ALLOWED, &[4031.0], StatusCode::Complete))
                    .build()
            });
        let acls = [
            acls(None, Some("2"), "another"),
            acls(Some("2"), None, "order-api-waf-dev"),
        ];
        let aws = mocked(&[&acls[0], &acls[1], &first, &second]);
        let found = requests(&aws, &subject(), now).await.unwrap();
        let expected = Requests {
            blocked: 8,
            allowed: 4031,
        };
        assert_eq!(found, Some(expected));
    }

    #[tokio::test]
    async fn no_acl_is_not_the_same_as_nothing_blocked_nor_is_a_failure() {
        let data = |status: StatusCode| {
            mock!(Client::get_metric_data).then_output(move || {
                GetMetricDataOutput::builder()
                    .metric_data_results(result(BLOCKED, &[], status.clone()))
                    .build()
            })
        };
        let now = Timestamp::UNIX_EPOCH;
        let empty = data(StatusCode::Complete);
        let other = acls(None, None, "another");
        let found = requests(&mocked(&[&other, &empty]), &subject(), now).await;
        assert_eq!(found.unwrap(), None);
        let ours = acls(None, None, "order-api-waf-dev");
        let found = requests(&mocked(&[&ours, &empty]), &subject(), now).await;
        assert_eq!(found.unwrap(), Some(Requests::default()));
        let forbidden = data(StatusCode::Forbidden);
        let found = requests(&mocked(&[&ours, &forbidden]), &subject(), now).await;
        assert_eq!(found.unwrap_err().class(), Class::Denied);
    }
}
