//! Area `targets`: whether the load balancer finds the tasks healthy, and if not, what it says.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::{
    TargetHealthDescription, TargetHealthReasonEnum as Reason, TargetHealthStateEnum as State,
};

use super::{Chart, Severity, Subject, reads};
use crate::aws::Aws;
use crate::resource::Result;
use crate::service::targets::health;

pub(super) const AREA: &str = "targets";

pub(super) async fn look(aws: &Aws, subject: &Subject, chart: &mut Chart) -> Result<()> {
    if reads::load_balancer(aws, subject).await?.is_none() {
        chart
            .problem(format!(
                "there is no load balancer {}",
                subject.load_balancer
            ))
            .mended_by("orderctl up");
    }
    let service = reads::service(aws, subject).await?;
    let desired = service
        .as_ref()
        .as_ref()
        .map_or(0, |service| service.desired_count());
    let (mut best, mut sick) = (0, BTreeMap::new());
    for name in &subject.target_groups {
        let Some(group) = reads::target_group(aws, name).await? else {
            chart
                .problem(format!("there is no target group {name}"))
                .mended_by("orderctl up");
            continue;
        };
        let arn = group.target_group_arn().unwrap_or_default();
        let targets = health(aws, arn).await?.unwrap_or_default();
        best = best.max(
            targets
                .iter()
                .filter(|it| state(it) == Some(&State::Healthy))
                .count(),
        );
        for target in &targets {
            if state(target) == Some(&State::Unhealthy)
                || state(target) == Some(&State::Unavailable)
            {
                let key = (name.clone(), reason(target));
                let known: &mut Vec<String> = sick.entry(key).or_default();
                known.push(line(target));
            }
        }
    }
    let wanted = usize::try_from(desired).unwrap_or_default();
    let severity = match best < wanted {
        true => Severity::Problem,
        // Those that the traffic needs are well; a release may be coming up beside them.
        false => Severity::Warning,
    };
    let told = !sick.is_empty();
    for ((group, reason), lines) in sick {
        let (meaning, fix) = meaning(reason.as_deref());
        let many = match lines.len() {
            1 => "1 target is".to_owned(),
            many => format!("{many} targets are"),
        };
        chart
            .add(severity, format!("{many} unhealthy in {group}: {meaning}"))
            .shown_by(lines.into_iter().take(5))
            .mended_by(fix);
    }
    let text = format!("{best} of {wanted} targets are healthy");
    if wanted == 0 {
        chart.fine("no task is wanted, and so no target");
    } else if best >= wanted {
        chart.fine(text);
    } else if !told {
        chart
            .warning(text)
            .shown_by(["those that are there are being registered or checked"])
            .mended_by("orderctl status --watch");
    }
    Ok(())
}

fn state(target: &TargetHealthDescription) -> Option<&State> {
    target.target_health()?.state()
}

fn reason(target: &TargetHealthDescription) -> Option<String> {
    let reason = target.target_health()?.reason()?;
    Some(reason.as_str().to_owned())
}

fn line(target: &TargetHealthDescription) -> String {
    let at = target.target();
    let id = at.and_then(|at| at.id()).unwrap_or("a target");
    let port = at.and_then(|at| at.port()).unwrap_or_default();
    let health = target.target_health();
    let reason = reason(target).unwrap_or_default();
    let words = health
        .and_then(|health| health.description())
        .unwrap_or_default();
    format!("{id}:{port} {reason} {}", reads::short(words))
        .trim_end()
        .to_owned()
}

const LOGS: &str =
    "`orderctl logs` shows what the tasks say; they must answer 200 on /health at port 8080";

/// What a reason of `DescribeTargetHealth` means, and what mends it.
fn meaning(reason: Option<&str>) -> (&'static str, &'static str) {
    let Some(reason) = reason.map(Reason::from) else {
        return ("the load balancer gives no reason", LOGS);
    };
    match reason {
        Reason::ResponseCodeMismatch => ("/health answers another code than 200", LOGS),
        Reason::Timeout => (
            "/health does not answer in time",
            "`orderctl logs`, and see what is found about the network: the load balancer must reach port 8080",
        ),
        Reason::FailedHealthChecks => (
            "the connection is refused or the answer is no HTTP",
            "`orderctl logs`: the container must listen on port 8080 on all addresses",
        ),
        Reason::InvalidState => ("the task is stopped", "see why tasks stop"),
        Reason::IpUnusable => ("the address is used by something else", "orderctl up"),
        Reason::NotInUse => (
            "no listener leads to this group, or its zone is not the load balancer's",
            "orderctl up",
        ),
        Reason::HealthCheckDisabled => ("health checks are off", "orderctl up"),
        Reason::InternalError => (
            "AWS could not check it",
            "wait; AWS's health dashboard tells of outages",
        ),
        _ => ("it is not ready", "orderctl status --watch"),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::Service;
    use aws_sdk_elasticloadbalancingv2::Client;
    use aws_sdk_elasticloadbalancingv2::operation::describe_load_balancers::DescribeLoadBalancersOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_groups::DescribeTargetGroupsOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_health::DescribeTargetHealthOutput;
    use aws_sdk_elasticloadbalancingv2::types::{
        LoadBalancer, TargetDescription, TargetGroup, TargetHealth,
    };
    use aws_smithy_mocks::{Rule, mock};

    use super::super::Finding;
    use super::super::testing::{found, is_fine, only_bad, subject};
    use super::*;
    use crate::aws::testing::mocked;

    type Health = (State, Option<Reason>);

    /// A service of 3 tasks, with these targets in blue and none in green.
    fn stack(blue: &'static [Health]) -> Vec<Rule> {
        let service = mock!(aws_sdk_ecs::Client::describe_services).then_output(|| {
            aws_sdk_ecs::operation::describe_services::DescribeServicesOutput::builder()
                .services(Service::builder().desired_count(3).build())
                .build()
        });
        let balancer = mock!(Client::describe_load_balancers).then_output(|| {
            DescribeLoadBalancersOutput::builder()
                .load_balancers(LoadBalancer::builder().build())
                .build()
        });
        let group = |name: &'static str| {
            mock!(Client::describe_target_groups)
                .match_requests(move |r| r.names() == [name])
                .then_output(move || {
                    DescribeTargetGroupsOutput::builder()
                        .target_groups(TargetGroup::builder().target_group_arn(name).build())
                        .build()
                })
        };
        let health = |name: &'static str, targets: &'static [Health]| {
            mock!(Client::describe_target_health)
                .match_requests(move |r| r.target_group_arn() == Some(name))
                .then_output(move || {
                    let target = |(state, reason): &Health| {
                        let health = TargetHealth::builder()
                            .state(state.clone())
                            .set_reason(reason.clone());
                        let at = TargetDescription::builder().id("10.0.1.9").port(8080);
                        TargetHealthDescription::builder()
                            .target(at.build())
                            .target_health(health.build())
                            .build()
                    };
                    let all = targets.iter().map(target).collect();
                    DescribeTargetHealthOutput::builder()
                        .set_target_health_descriptions(Some(all))
                        .build()
                })
        };
        vec![
            service,
            balancer,
            group("order-blue-dev"),
            group("order-green-dev"),
            health("order-blue-dev", blue),
            health("order-green-dev", &[]),
        ]
    }

    async fn examined(blue: &'static [Health]) -> Vec<Finding> {
        let rules = stack(blue);
        let aws = mocked(&rules.iter().collect::<Vec<_>>());
        found(async |chart: &mut Chart| look(&aws, &subject(), chart).await).await
    }

    const WELL: Health = (State::Healthy, None);
    const WRONG: Health = (State::Unhealthy, Some(Reason::ResponseCodeMismatch));

    #[tokio::test]
    async fn unhealthy_targets_are_told_by_reason_and_are_a_problem_if_too_few_are_left() {
        is_fine(&examined(&[WELL, WELL, WELL]).await);
        let all = examined(&[WELL, WRONG, WRONG]).await;
        let finding = only_bad(&all);
        assert!(finding.is_problem());
        assert_eq!(
            finding.title,
            "2 targets are unhealthy in order-blue-dev: /health answers another code than 200"
        );
        assert_eq!(
            finding.evidence[0],
            "10.0.1.9:8080 Target.ResponseCodeMismatch"
        );
        let spare = examined(&[WELL, WELL, WELL, WRONG]).await;
        assert_eq!(only_bad(&spare).severity, Severity::Warning);
    }

    #[tokio::test]
    async fn targets_on_their_way_are_no_problem() {
        let coming = (State::Initial, Some(Reason::InitialHealthChecking));
        let rules: &'static [Health] = Box::leak(Box::new([WELL, coming]));
        let all = examined(rules).await;
        let finding = only_bad(&all);
        assert_eq!(finding.severity, Severity::Warning);
        assert_eq!(finding.title, "1 of 3 targets are healthy");
    }
}
