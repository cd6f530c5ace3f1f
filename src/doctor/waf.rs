//! Area `waf`: what the web ACL has blocked within the last hour, by rule, address and path, so that
//! legitimate clients are recognised.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_wafv2::types::{Rule, SampledHttpRequest, Scope, TimeWindow, WebAcl};
use aws_smithy_types::DateTime;

use super::{Chart, Subject, reads};
use crate::aws::{Answer, Aws, GoneIsNone, incomplete};
use crate::resource::Result;

pub(super) const AREA: &str = "waf";

const GONE: &[&str] = &["WAFNonexistentItemException"];
/// How far back the samples go, in seconds; WAF keeps three hours of them.
const LOOKED_BACK: u64 = 60 * 60;
/// The most samples that WAF gives of a rule.
const SAMPLES: i64 = 500;
/// How many addresses and paths are named.
const NAMED: usize = 3;

pub(super) async fn look(aws: &Aws, subject: &Subject, chart: &mut Chart) -> Result<()> {
    let Some(web_acl) = web_acl(aws, subject).await? else {
        chart
            .problem(format!("there is no web ACL {}", subject.web_acl))
            .mended_by("orderctl up");
        return Ok(());
    };
    protects(aws, subject, &web_acl, chart).await?;
    let now = SystemTime::now();
    let window = TimeWindow::builder()
        .start_time(DateTime::from(now - Duration::from_secs(LOOKED_BACK)))
        .end_time(DateTime::from(now))
        .build()
        .map_err(incomplete("wafv2:GetSampledRequests"))?;
    let mut blocked = 0;
    for rule in web_acl.rules() {
        let samples = samples(aws, &web_acl, rule, &window).await?;
        for (inner, of_it) in by_inner_rule(&samples) {
            blocked += 1;
            tell(rule, inner, &of_it, chart);
        }
    }
    if blocked == 0 {
        chart.fine("the web ACL blocked nothing within the last hour");
    }
    Ok(())
}

async fn web_acl(aws: &Aws, subject: &Subject) -> Result<Option<WebAcl>> {
    let mut marker = None;
    let id = loop {
        let page = aws
            .wafv2
            .list_web_acls()
            .scope(Scope::Regional)
            .set_next_marker(marker)
            .send()
            .await
            .of("wafv2:ListWebACLs")?;
        let listed = page.web_acls();
        if let Some(found) = listed.iter().find(|it| it.name() == Some(&subject.web_acl)) {
            break found.id().unwrap_or_default().to_owned();
        }
        // WAF may give a marker with the last page, too.
        marker = page
            .next_marker()
            .filter(|_| !listed.is_empty())
            .map(str::to_owned);
        if marker.is_none() {
            return Ok(None);
        }
    };
    let answer = aws
        .wafv2
        .get_web_acl()
        .name(&subject.web_acl)
        .id(id)
        .scope(Scope::Regional)
        .send()
        .await
        .of("wafv2:GetWebACL")
        .gone_is_none(GONE)?;
    Ok(answer.and_then(|answer| answer.web_acl))
}

/// Whether it stands before the load balancer.
async fn protects(aws: &Aws, subject: &Subject, web_acl: &WebAcl, chart: &mut Chart) -> Result<()> {
    let balancer = reads::load_balancer(aws, subject).await?;
    let Some(arn) = balancer
        .as_ref()
        .as_ref()
        .and_then(|it| it.load_balancer_arn())
    else {
        return Ok(());
    };
    let answer = aws
        .wafv2
        .get_web_acl_for_resource()
        .resource_arn(arn)
        .send()
        .await
        .of("wafv2:GetWebACLForResource")
        .gone_is_none(GONE)?;
    match answer.and_then(|answer| answer.web_acl) {
        Some(there) if there.arn == web_acl.arn => {}
        Some(other) => {
            chart
                .warning("another web ACL stands before the load balancer")
                .shown_by([other.arn])
                .mended_by("orderctl up");
        }
        None => {
            chart
                .warning("no web ACL stands before the load balancer")
                .shown_by([arn])
                .mended_by("orderctl up");
        }
    }
    Ok(())
}

/// The sampled requests that a rule has blocked.
async fn samples(
    aws: &Aws,
    web_acl: &WebAcl,
    rule: &Rule,
    window: &TimeWindow,
) -> Result<Vec<SampledHttpRequest>> {
    let Some(visibility) = rule.visibility_config() else {
        return Ok(Vec::new());
    };
    if !visibility.sampled_requests_enabled()
        || rule.action().is_some_and(|it| it.allow().is_some())
    {
        return Ok(Vec::new());
    }
    let answer = aws
        .wafv2
        .get_sampled_requests()
        .web_acl_arn(&web_acl.arn)
        .rule_metric_name(visibility.metric_name())
        .scope(Scope::Regional)
        .time_window(window.clone())
        .max_items(SAMPLES)
        .send()
        .await
        .of("wafv2:GetSampledRequests")?;
    let mut samples = answer.sampled_requests.unwrap_or_default();
    samples.retain(|it| {
        it.action()
            .is_some_and(|action| action.eq_ignore_ascii_case("block"))
    });
    Ok(samples)
}

/// The samples by the rule inside the managed group, the most frequent first.
fn by_inner_rule(samples: &[SampledHttpRequest]) -> Vec<(Option<&str>, Vec<&SampledHttpRequest>)> {
    let mut groups: BTreeMap<Option<&str>, Vec<&SampledHttpRequest>> = BTreeMap::new();
    for sample in samples {
        // `AWS#AWSManagedRulesCommonRuleSet#SizeRestrictions_BODY`
        let inner = sample.rule_name_within_rule_group();
        let inner = inner.and_then(|name| name.rsplit('#').next());
        groups.entry(inner).or_default().push(sample);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, samples)| std::cmp::Reverse(weight(samples)));
    groups
}

/// For how many requests samples stand, about.
fn weight(samples: &[&SampledHttpRequest]) -> i64 {
    samples.iter().map(|sample| sample.weight().max(1)).sum()
}

fn tell(rule: &Rule, inner: Option<&str>, samples: &[&SampledHttpRequest], chart: &mut Chart) {
    let name = match inner {
        Some(inner) => format!("{} / {inner}", rule.name()),
        None => rule.name().to_owned(),
    };
    let addresses = top(samples, |sample| {
        let request = sample.request()?;
        let country = request.country().unwrap_or("country unknown");
        Some(format!("{} ({country})", request.client_ip()?))
    });
    let paths = top(samples, |sample| {
        let request = sample.request()?;
        // Parameters may carry what is nobody's business.
        let path = request.uri()?.split('?').next().unwrap_or_default();
        Some(format!(
            "{} {}",
            request.method().unwrap_or_default(),
            reads::short(path)
        ))
    });
    let mut clients = samples.iter().filter_map(|it| it.request()?.client_ip());
    let example = clients
        .next()
        .map_or_else(|| "ADDRESS/32".to_owned(), |ip| format!("{ip}/32"));
    chart
        .warning(format!(
            "{name} blocked about {} requests within the last hour",
            weight(samples)
        ))
        .shown_by(addresses.iter().map(|(what, count)| format!("from {what}: {count}")))
        .shown_by(paths.iter().map(|(what, count)| format!("for {what}: {count}")))
        .mended_by(format!(
            "if these are your clients: `waf.allow_cidrs = [\"{example}\"]`, or {}, in orderctl.toml, then `orderctl up`",
            setting(rule.name())
        ));
}

/// The most frequent values, with how many requests have them.
fn top(
    samples: &[&SampledHttpRequest],
    value: impl Fn(&SampledHttpRequest) -> Option<String>,
) -> Vec<(String, i64)> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for sample in samples {
        if let Some(value) = value(sample) {
            *counts.entry(value).or_default() += sample.weight().max(1);
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.truncate(NAMED);
    counts
}

/// The key of orderctl.toml that makes a rule milder.
fn setting(rule: &str) -> &'static str {
    match rule {
        "RateLimitRule" => "a higher `waf.rate_limit`",
        "AWSManagedRulesCommonRuleSet" => "`waf.common = \"count\"`",
        "AWSManagedRulesKnownBadInputsRuleSet" => "`waf.known_bad_inputs = \"count\"`",
        "AWSManagedRulesSQLiRuleSet" => "`waf.sqli = \"count\"`",
        _ => "that rule taken away",
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::operation::describe_load_balancers::DescribeLoadBalancersOutput;
    use aws_sdk_elasticloadbalancingv2::types::LoadBalancer;
    use aws_sdk_wafv2::Client;
    use aws_sdk_wafv2::error::ErrorMetadata;
    use aws_sdk_wafv2::operation::get_sampled_requests::{
        GetSampledRequestsError, GetSampledRequestsOutput,
    };
    use aws_sdk_wafv2::operation::get_web_acl::GetWebAclOutput;
    use aws_sdk_wafv2::operation::get_web_acl_for_resource::GetWebAclForResourceOutput;
    use aws_sdk_wafv2::operation::list_web_acls::ListWebAcLsOutput;
    use aws_sdk_wafv2::types::{HttpRequest, VisibilityConfig, WebAclSummary};
    use aws_smithy_mocks::{Rule as Mock, mock};

    use super::super::testing::{found, is_fine, only_bad, subject};
    use super::super::{Finding, Severity};
    use super::*;
    use crate::aws::testing::mocked;

    fn visibility(name: &str) -> VisibilityConfig {
        VisibilityConfig::builder()
            .sampled_requests_enabled(true)
            .cloud_watch_metrics_enabled(true)
            .metric_name(name)
            .build()
            .unwrap()
    }

    fn acl() -> WebAcl {
        let rule = |name: &str| {
            Rule::builder()
                .name(name)
                .priority(1)
                .visibility_config(visibility(name))
                .build()
                .unwrap()
        };
        WebAcl::builder()
            .name("order-api-waf-dev")
            .id("1")
            .arn("arn:acl")
            .visibility_config(visibility("x"))
            .rules(rule("RateLimitRule"))
            .rules(rule("AWSManagedRulesCommonRuleSet"))
            .build()
            .unwrap()
    }

    fn edge(associated: bool) -> Vec<Mock> {
        let listed = mock!(Client::list_web_acls)
            .sequence()
            .output(|| {
                let other = WebAclSummary::builder().name("other").id("2");
                ListWebAcLsOutput::builder()
                    .web_acls(other.build())
                    .next_marker("more")
                    .build()
            })
            .output(|| {
                let ours = WebAclSummary::builder().name("order-api-waf-dev").id("1");
                ListWebAcLsOutput::builder().web_acls(ours.build()).build()
            })
            .build();
        let read = mock!(Client::get_web_acl)
            .match_requests(|r| r.id() == Some("1"))
            .then_output(|| GetWebAclOutput::builder().web_acl(acl()).build());
        let balancer = mock!(aws_sdk_elasticloadbalancingv2::Client::describe_load_balancers)
            .then_output(|| {
                let balancer = LoadBalancer::builder().load_balancer_arn("arn:alb");
                DescribeLoadBalancersOutput::builder()
                    .load_balancers(balancer.build())
                    .build()
            });
        let association = mock!(Client::get_web_acl_for_resource).then_output(move || {
            GetWebAclForResourceOutput::builder()
                .set_web_acl(associated.then(acl))
                .build()
        });
        vec![listed, read, balancer, association]
    }

    fn sample(
        inner: Option<&str>,
        ip: &str,
        uri: &str,
        weight: i64,
        action: &str,
    ) -> SampledHttpRequest {
        let request = HttpRequest::builder()
            .client_ip(ip)
            .country("DE")
            .uri(uri)
            .method("POST");
        SampledHttpRequest::builder()
            .request(request.build())
            .weight(weight)
            .action(action)
            .set_rule_name_within_rule_group(inner.map(str::to_owned))
            .build()
    }

    fn sampled(rule: &'static str, samples: Vec<SampledHttpRequest>) -> Mock {
        mock!(Client::get_sampled_requests)
            .match_requests(move |r| r.rule_metric_name() == Some(rule))
            .then_output(move || {
                GetSampledRequestsOutput::builder()
                    .set_sampled_requests(Some(samples.clone()))
                    .build()
            })
    }

    async fn examined(mocks: Vec<Mock>) -> Vec<Finding> {
        let aws = mocked(&mocks.iter().collect::<Vec<_>>());
        found(async |chart: &mut Chart| look(&aws, &subject(), chart).await).await
    }

    #[tokio::test]
    async fn blocked_requests_are_told_by_rule_address_and_path() {
        let inner = Some("AWS#AWSManagedRulesCommonRuleSet#SizeRestrictions_BODY");
        let samples = vec![
            sample(inner, "203.0.113.9", "/orders?token=secret", 40, "BLOCK"),
            sample(inner, "203.0.113.9", "/orders", 2, "BLOCK"),
            sample(inner, "198.51.100.1", "/", 1, "BLOCK"),
            sample(inner, "198.51.100.2", "/", 50, "COUNT"),
        ];
        let mut mocks = edge(true);
        mocks.push(sampled("AWSManagedRulesCommonRuleSet", samples));
        mocks.push(sampled("RateLimitRule", Vec::new()));
        let all = examined(mocks).await;
        let finding = only_bad(&all);
        assert_eq!(finding.severity, Severity::Warning);
        assert_eq!(
            finding.title,
            "AWSManagedRulesCommonRuleSet / SizeRestrictions_BODY blocked about 43 requests within the last hour"
        );
        assert_eq!(
            finding.evidence,
            [
                "from 203.0.113.9 (DE): 42",
                "from 198.51.100.1 (DE): 1",
                "for POST /orders: 42",
                "for POST /: 1",
            ]
        );
        let fix = finding.fix.as_deref().unwrap();
        for part in ["203.0.113.9/32", "waf.common = \"count\"", "orderctl up"] {
            assert!(fix.contains(part), "{fix}");
        }
    }

    #[tokio::test]
    async fn a_web_acl_that_blocks_nothing_is_fine_where_it_stands() {
        let quiet = || {
            ["AWSManagedRulesCommonRuleSet", "RateLimitRule"].map(|rule| sampled(rule, Vec::new()))
        };
        is_fine(&examined(edge(true).into_iter().chain(quiet()).collect()).await);
        let all = examined(edge(false).into_iter().chain(quiet()).collect()).await;
        assert_eq!(
            only_bad(&all).title,
            "no web ACL stands before the load balancer"
        );
    }

    #[tokio::test]
    async fn samples_that_may_not_be_read_are_unknown() {
        let denied = mock!(Client::get_sampled_requests).then_error(|| {
            let code = ErrorMetadata::builder()
                .code("AccessDeniedException")
                .build();
            GetSampledRequestsError::generic(code)
        });
        let all = examined(edge(true).into_iter().chain([denied]).collect()).await;
        let finding = only_bad(&all);
        assert_eq!(finding.severity, Severity::Unknown);
        assert_eq!(finding.title, "wafv2:GetSampledRequests is not permitted");
    }
}
