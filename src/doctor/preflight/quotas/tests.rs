use aws_sdk_cloudwatch::operation::get_metric_statistics::GetMetricStatisticsOutput;
use aws_sdk_cloudwatch::types::Datapoint;
use aws_sdk_ec2::Client as Ec2;
use aws_sdk_ec2::error::ErrorMetadata;
use aws_sdk_ec2::operation::describe_addresses::{DescribeAddressesError, DescribeAddressesOutput};
use aws_sdk_ec2::operation::describe_nat_gateways::DescribeNatGatewaysOutput;
use aws_sdk_ec2::operation::describe_subnets::DescribeSubnetsOutput;
use aws_sdk_ec2::operation::describe_vpcs::DescribeVpcsOutput;
use aws_sdk_ec2::types::{Address, NatGateway, Subnet, Vpc};
use aws_sdk_servicequotas::Client as Quotas;
use aws_sdk_servicequotas::operation::get_service_quota::{
    GetServiceQuotaError, GetServiceQuotaOutput,
};
use aws_sdk_servicequotas::types::ServiceQuota;
use aws_smithy_mocks::{Rule, mock};

use super::super::super::testing::{found, is_fine, only_bad, titles};
use super::super::super::{Finding, Severity};
use super::super::testing::needs;
use super::*;
use crate::aws::testing::mocked;

fn tags(stack: &str) -> Tag {
    Tag::builder().key(STACK_TAG).value(stack).build()
}

/// An account with so many addresses of others, and with a NAT gateway of others in zone b.
fn account(addresses: usize) -> Vec<Rule> {
    vec![
        mock!(Ec2::describe_addresses).then_output(move || {
            let all = (0..addresses).map(|_| Address::builder().tags(tags("prod")).build());
            DescribeAddressesOutput::builder()
                .set_addresses(Some(all.collect()))
                .build()
        }),
        mock!(Ec2::describe_vpcs).then_output(|| {
            DescribeVpcsOutput::builder()
                .vpcs(Vpc::builder().build())
                .build()
        }),
        mock!(Ec2::describe_nat_gateways).then_output(|| {
            let gateway = NatGateway::builder().subnet_id("subnet-b").build();
            DescribeNatGatewaysOutput::builder()
                .nat_gateways(gateway)
                .build()
        }),
        mock!(Ec2::describe_subnets).then_output(|| {
            let subnet = Subnet::builder()
                .subnet_id("subnet-b")
                .availability_zone("us-east-1b")
                .build();
            DescribeSubnetsOutput::builder().subnets(subnet).build()
        }),
    ]
}

fn quota(code: &'static str, value: f64) -> Rule {
    mock!(Quotas::get_service_quota)
        .match_requests(move |r| r.quota_code() == Some(code))
        .then_output(move || {
            let quota = ServiceQuota::builder().quota_code(code).value(value);
            GetServiceQuotaOutput::builder()
                .quota(quota.build())
                .build()
        })
}

fn refused(code: &'static str) -> Rule {
    mock!(Quotas::get_service_quota).then_error(move || {
        GetServiceQuotaError::generic(ErrorMetadata::builder().code(code).build())
    })
}

/// AWS's defaults, after the rules given.
async fn examined(rules: impl IntoIterator<Item = Rule>, needs: &Needs) -> Vec<Finding> {
    let defaults = [ELASTIC_IPS, VPCS, NAT_GATEWAYS, ON_DEMAND, SPOT];
    let defaults = defaults.map(|it| quota(it.code, it.default));
    let rules: Vec<Rule> = rules.into_iter().chain(defaults).collect();
    let aws = mocked(&rules.iter().collect::<Vec<_>>());
    found(async |chart: &mut Chart| look(&aws, needs, chart).await).await
}

#[tokio::test]
async fn a_fresh_account_has_room_for_one_stack() {
    let all = examined(account(0), &needs()).await;
    is_fine(&all);
    assert_eq!(
        titles(&all, Severity::Fine)[..3],
        [
            "Elastic IPs: 0 of 5 taken, 3 needed",
            "VPCs: 1 of 5 taken, 1 needed",
            "NAT gateways of a zone in us-east-1b: 1 of 5 taken, 1 needed",
        ]
    );
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_the_call_for_more() {
    let all = examined(account(3), &needs()).await;
    let finding = only_bad(&all);
    assert!(finding.is_problem());
    assert_eq!(finding.title, "Elastic IPs: 3 of 5 taken, 3 needed");
    let fix = finding.fix.as_deref().unwrap();
    assert!(
        fix.contains("--service-code ec2 --quota-code L-0263D0A3 --desired-value 6"),
        "{fix}"
    );
    assert!(fix.contains("network.nat = \"single\""), "{fix}");

    let single = Needs {
        nat_gateways: 1,
        ..needs()
    };
    is_fine(&examined(account(3), &single).await);
}

#[tokio::test]
async fn what_the_stack_has_already_is_not_needed_again() {
    let ours = mock!(Ec2::describe_addresses).then_output(|| {
        let all = (0..3).map(|_| Address::builder().tags(tags("dev")).build());
        DescribeAddressesOutput::builder()
            .set_addresses(Some(all.collect()))
            .build()
    });
    is_fine(&examined([ours].into_iter().chain(account(0)), &needs()).await);
}

#[tokio::test]
async fn vcpus_must_do_for_the_tasks_and_should_for_a_release() {
    for (value, severity) in [(0.5, Severity::Problem), (4.0, Severity::Warning)] {
        let rules = [quota(SPOT.code, value)].into_iter().chain(account(0));
        let all = examined(rules, &needs()).await;
        let finding = only_bad(&all);
        assert_eq!(finding.severity, severity);
        assert_eq!(
            finding.title,
            format!(
                "Fargate Spot vCPUs: 0 of {value} taken, 1 needed, 5 during a release at the most tasks"
            )
        );
    }
}

#[tokio::test]
async fn what_runs_already_counts_where_aws_measures_it() {
    let measured = mock!(Quotas::get_service_quota)
        .match_requests(|r| r.quota_code() == Some(ON_DEMAND.code))
        .then_output(|| {
            let metric = MetricInfo::builder()
                .metric_namespace("AWS/Usage")
                .metric_name("ResourceCount")
                .metric_dimensions("Service", "Fargate");
            let quota = ServiceQuota::builder()
                .value(6.0)
                .usage_metric(metric.build());
            GetServiceQuotaOutput::builder()
                .quota(quota.build())
                .build()
        });
    let used = mock!(aws_sdk_cloudwatch::Client::get_metric_statistics)
        .match_requests(|r| r.namespace() == Some("AWS/Usage"))
        .then_output(|| {
            let point = Datapoint::builder()
                .timestamp(DateTime::from_secs(1))
                .maximum(5.5)
                .build();
            GetMetricStatisticsOutput::builder()
                .datapoints(point)
                .build()
        });
    let all = examined([measured, used].into_iter().chain(account(0)), &needs()).await;
    let finding = only_bad(&all);
    assert!(finding.is_problem());
    assert!(
        finding
            .title
            .starts_with("Fargate On-Demand vCPUs: 5.5 of 6 taken"),
        "{finding:?}"
    );
}

#[tokio::test]
async fn without_service_quotas_the_defaults_count_and_that_is_said() {
    let all = examined(
        [refused("AccessDeniedException")]
            .into_iter()
            .chain(account(3)),
        &needs(),
    )
    .await;
    let all = super::super::super::chart::merged([all]);
    assert_eq!(
        titles(&all, Severity::Unknown),
        ["servicequotas:GetServiceQuota is not permitted"]
    );
    assert_eq!(
        titles(&all, Severity::Problem),
        ["Elastic IPs: 3 of 5 taken, 3 needed"]
    );
    assert!(all[0].evidence[0].contains("is assumed"), "{:?}", all[0]);

    // That AWS knows no value of the account's own is no refusal.
    let none = [refused("NoSuchResourceException")];
    is_fine(&examined(none.into_iter().chain(account(0)), &needs()).await);
}

#[tokio::test]
async fn a_count_that_may_not_be_made_hides_no_other() {
    let denied = mock!(Ec2::describe_addresses).then_error(|| {
        let code = ErrorMetadata::builder()
            .code("UnauthorizedOperation")
            .build();
        DescribeAddressesError::generic(code)
    });
    let all = examined([denied].into_iter().chain(account(0)), &needs()).await;
    assert_eq!(only_bad(&all).severity, Severity::Unknown);
    assert_eq!(titles(&all, Severity::Fine).len(), 4);
}
