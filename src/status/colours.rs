//! Blue and green: what share of the requests each gets, and how its targets are.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{AdvancedConfiguration, LoadBalancer};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ForwardActionConfig, Rule, TargetGroup, TargetHealth, TargetHealthDescription,
    TargetHealthStateEnum,
};

use super::service::described;
use super::{Part, Subject};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;
use crate::service::targets::health;

/// One of the two colours.
#[derive(Clone, Debug, PartialEq)]
pub struct Colour {
    /// `blue` or `green`.
    pub name: &'static str,
    /// Its target group.
    pub targets: Part<Targets>,
}

/// The targets of a group, counted by health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// The group's ARN.
    pub group: String,
    /// Those that take requests.
    pub healthy: u32,
    /// Those that are registering, or at their first health checks.
    pub initial: u32,
    /// Those that fail their health checks.
    pub unhealthy: u32,
    /// Those that are on their way out.
    pub draining: u32,
    /// Those that nobody checks, because no rule leads to the group.
    pub other: u32,
    /// Why most of those that do not take requests do not, draining ones left out.
    pub reason: Option<Reason>,
}

/// A reason that several targets may share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// AWS's code, `Target.ResponseCodeMismatch`.
    pub code: String,
    /// AWS's words; may be empty.
    pub description: String,
    /// How many targets have it.
    pub targets: u32,
}

/// What percent of the requests each target group gets, by ARN.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// Of those to the production listener.
    pub production: BTreeMap<String, f64>,
    /// Of those to the test listener.
    pub test: BTreeMap<String, f64>,
}

/// The two rules and the two groups.
pub(super) async fn both(aws: &Aws, subject: &Subject) -> (Part<Weights>, [Colour; 2]) {
    let (weights, groups) = tokio::join!(weights(aws, subject), groups(aws, subject));
    let colour = async |name: &'static str, group: &str| Colour {
        name,
        targets: match &groups {
            Ok(groups) => match groups.get(group) {
                Some(arn) => targets(aws, arn).await.into(),
                None => Part::Absent,
            },
            Err(error) => Part::Unreadable(error.clone()),
        },
    };
    let (blue, green) = tokio::join!(
        colour("blue", &subject.blue),
        colour("green", &subject.green)
    );
    (weights.into(), [blue, green])
}

/// The ARNs of the groups that exist, by name (`elasticloadbalancing:DescribeTargetGroups`).
async fn groups(aws: &Aws, subject: &Subject) -> Result<BTreeMap<String, String>> {
    let both = [subject.blue.clone(), subject.green.clone()];
    if let Some(found) = named(aws, both.to_vec()).await? {
        return Ok(found);
    }
    // One that is missing fails the call for both.
    let [blue, green] = both.map(|name| named(aws, vec![name]));
    let (blue, green) = tokio::join!(blue, green);
    let (blue, green) = (blue?.unwrap_or_default(), green?.unwrap_or_default());
    Ok(blue.into_iter().chain(green).collect())
}

async fn named(aws: &Aws, names: Vec<String>) -> Result<Option<BTreeMap<String, String>>> {
    let answer = aws
        .elbv2
        .describe_target_groups()
        .set_names(Some(names))
        .send()
        .await
        .of("elasticloadbalancing:DescribeTargetGroups")
        .gone_is_none(&["TargetGroupNotFound"])?;
    let pair = |group: &TargetGroup| {
        let name = group.target_group_name()?.to_owned();
        Some((name, group.target_group_arn()?.to_owned()))
    };
    Ok(answer.map(|answer| answer.target_groups().iter().filter_map(pair).collect()))
}

async fn targets(aws: &Aws, group: &str) -> Result<Option<Targets>> {
    let found = health(aws, group).await?;
    Ok(found.map(|targets| counted(group, &targets)))
}

fn counted(group: &str, targets: &[TargetHealthDescription]) -> Targets {
    let mut counted = Targets {
        group: group.to_owned(),
        ..Targets::default()
    };
    let (mut failing, mut coming) = (Vec::new(), Vec::new());
    let all = targets.iter();
    for health in all.filter_map(TargetHealthDescription::target_health) {
        match health.state() {
            Some(TargetHealthStateEnum::Healthy) => counted.healthy += 1,
            Some(TargetHealthStateEnum::Initial) => {
                counted.initial += 1;
                coming.push(health);
            }
            Some(TargetHealthStateEnum::Unhealthy) => {
                counted.unhealthy += 1;
                failing.push(health);
            }
            Some(TargetHealthStateEnum::Draining | TargetHealthStateEnum::UnhealthyDraining) => {
                counted.draining += 1;
            }
            _ => {
                counted.other += 1;
                coming.push(health);
            }
        }
    }
    counted.reason = most_frequent(&failing).or_else(|| most_frequent(&coming));
    counted
}

fn most_frequent(targets: &[&TargetHealth]) -> Option<Reason> {
    let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for health in targets {
        let code = health.reason().map_or("", |reason| reason.as_str());
        let key = (code, health.description().unwrap_or_default());
        *counts.entry(key).or_default() += 1;
    }
    let named = counts.into_iter().filter(|((code, _), _)| !code.is_empty());
    let ((code, description), targets) = named.max_by_key(|(_, count)| *count)?;
    Some(Reason {
        code: code.to_owned(),
        description: description.to_owned(),
        targets,
    })
}

const RULES: &str = "elasticloadbalancing:DescribeRules";

/// How the rules that the service names split the requests. Without a service nobody splits any.
async fn weights(aws: &Aws, subject: &Subject) -> Result<Option<Weights>> {
    let service = described(aws, subject).await?;
    let balancer = service
        .as_ref()
        .and_then(|service| service.load_balancers().first());
    let Some(advanced) = balancer.and_then(LoadBalancer::advanced_configuration) else {
        return Ok(None);
    };
    let rule = |field: fn(&AdvancedConfiguration) -> Option<&str>| {
        field(advanced)
            .filter(|arn| !arn.is_empty())
            .map(str::to_owned)
    };
    let production = rule(AdvancedConfiguration::production_listener_rule);
    let test = rule(AdvancedConfiguration::test_listener_rule);
    let arns: Vec<String> = production.iter().chain(&test).cloned().collect();
    if arns.is_empty() {
        return Ok(None);
    }
    let rules = match rules(aws, arns.clone()).await? {
        Some(rules) => rules,
        None => {
            // One that is missing fails the call for both.
            let mut found = Vec::new();
            for arn in arns {
                found.extend(rules_or_none(aws, arn).await?);
            }
            found
        }
    };
    let split = |arn: Option<String>| {
        let arn = arn?;
        let rule = rules.iter().find(|rule| rule.rule_arn() == Some(&arn))?;
        Some(percents(rule.actions()))
    };
    Ok(Some(Weights {
        production: split(production).unwrap_or_default(),
        test: split(test).unwrap_or_default(),
    }))
}

async fn rules_or_none(aws: &Aws, arn: String) -> Result<Vec<Rule>> {
    Ok(rules(aws, vec![arn]).await?.unwrap_or_default())
}

async fn rules(aws: &Aws, arns: Vec<String>) -> Result<Option<Vec<Rule>>> {
    let answer = aws
        .elbv2
        .describe_rules()
        .set_rule_arns(Some(arns))
        .send()
        .await
        .of(RULES)
        .gone_is_none(&["RuleNotFound", "ListenerNotFound"])?;
    Ok(answer.map(|answer| answer.rules.unwrap_or_default()))
}

/// The shares of a rule that forwards. A single group may come without weights, and has it all.
fn percents(actions: &[Action]) -> BTreeMap<String, f64> {
    let Some(action) = actions.last() else {
        return BTreeMap::new();
    };
    let tuples = action
        .forward_config()
        .map_or(&[][..], ForwardActionConfig::target_groups);
    if tuples.is_empty() {
        let only = action.target_group_arn();
        return only
            .map(|arn| (arn.to_owned(), 100.0))
            .into_iter()
            .collect();
    }
    // AWS's default weight is 1.
    let weight = |weight: Option<i32>| f64::from(weight.unwrap_or(1));
    let whole: f64 = tuples.iter().map(|tuple| weight(tuple.weight())).sum();
    let share = |part: f64| {
        if whole > 0.0 {
            100.0 * part / whole
        } else {
            0.0
        }
    };
    tuples
        .iter()
        .filter_map(|tuple| {
            let arn = tuple.target_group_arn()?.to_owned();
            Some((arn, share(weight(tuple.weight()))))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::operation::describe_services::DescribeServicesOutput;
    use aws_sdk_ecs::types::Service;
    use aws_sdk_elasticloadbalancingv2::Client;
    use aws_sdk_elasticloadbalancingv2::operation::describe_rules::{
        DescribeRulesError, DescribeRulesOutput,
    };
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_groups::{
        DescribeTargetGroupsError, DescribeTargetGroupsOutput,
    };
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_health::DescribeTargetHealthOutput;
    use aws_sdk_elasticloadbalancingv2::types::{TargetGroupTuple, TargetHealthReasonEnum};
    use aws_smithy_mocks::{Rule as Mock, mock};
    use aws_smithy_types::error::ErrorMetadata;

    use super::super::testing::subject;
    use super::*;
    use crate::aws::testing::mocked;
    use crate::resource::Class;

    fn group(name: &str) -> TargetGroup {
        TargetGroup::builder()
            .target_group_name(name)
            .target_group_arn(format!("arn:{name}"))
            .build()
    }

    fn target(
        state: TargetHealthStateEnum,
        reason: Option<TargetHealthReasonEnum>,
    ) -> TargetHealthDescription {
        let health = TargetHealth::builder().state(state).set_reason(reason);
        TargetHealthDescription::builder()
            .target_health(health.description("words").build())
            .build()
    }

    fn service_with_rules() -> Mock {
        let advanced = AdvancedConfiguration::builder()
            .production_listener_rule("arn:production")
            .test_listener_rule("arn:test")
            .build();
        let balancer = LoadBalancer::builder().advanced_configuration(advanced);
        let service = Service::builder()
            .status("ACTIVE")
            .load_balancers(balancer.build())
            .build();
        mock!(aws_sdk_ecs::Client::describe_services).then_output(move || {
            DescribeServicesOutput::builder()
                .services(service.clone())
                .build()
        })
    }

    fn no_service() -> Mock {
        mock!(aws_sdk_ecs::Client::describe_services)
            .then_output(|| DescribeServicesOutput::builder().build())
    }

    fn rule(arn: &str, split: &[(&str, i32)]) -> Rule {
        let tuples = split.iter().map(|(group, weight)| {
            TargetGroupTuple::builder()
                .target_group_arn(*group)
                .weight(*weight)
                .build()
        });
        let config = ForwardActionConfig::builder().set_target_groups(Some(tuples.collect()));
        let action = Action::builder().forward_config(config.build());
        Rule::builder()
            .rule_arn(arn)
            .actions(action.build())
            .build()
    }

    fn missing(name: &'static str) -> Mock {
        mock!(Client::describe_target_groups)
            .match_requests(move |r| r.names().iter().any(|it| it == name))
            .then_error(|| {
                let code = ErrorMetadata::builder().code("TargetGroupNotFound");
                DescribeTargetGroupsError::generic(code.build())
            })
    }

    #[tokio::test]
    async fn targets_are_counted_by_health_and_the_reason_is_that_of_the_failing_ones() {
        use TargetHealthStateEnum::{Draining, Healthy, Initial, Unhealthy, Unused};
        let groups = mock!(Client::describe_target_groups).then_output(|| {
            DescribeTargetGroupsOutput::builder()
                .target_groups(group("order-blue-dev"))
                .target_groups(group("order-green-dev"))
                .build()
        });
        let health = mock!(Client::describe_target_health).then_output(|| {
            let registering = Some(TargetHealthReasonEnum::RegistrationInProgress);
            let timeout = Some(TargetHealthReasonEnum::Timeout);
            let mismatch = Some(TargetHealthReasonEnum::ResponseCodeMismatch);
            let targets = [
                target(Healthy, None),
                target(Initial, registering.clone()),
                target(Initial, registering.clone()),
                target(Initial, registering),
                target(Unhealthy, timeout),
                target(Unhealthy, mismatch.clone()),
                target(Unhealthy, mismatch),
                target(
                    Draining,
                    Some(TargetHealthReasonEnum::DeregistrationInProgress),
                ),
                target(Unused, Some(TargetHealthReasonEnum::NotInUse)),
            ];
            DescribeTargetHealthOutput::builder()
                .set_target_health_descriptions(Some(targets.to_vec()))
                .build()
        });
        let aws = mocked(&[&groups, &health, &no_service()]);
        let (weights, [blue, green]) = both(&aws, &subject()).await;
        assert!(weights.is_absent(), "no service, no weights");
        assert_eq!((blue.name, green.name), ("blue", "green"));
        let blue = blue.targets.value().unwrap();
        assert_eq!(blue.group, "arn:order-blue-dev");
        assert_eq!((blue.healthy, blue.initial, blue.unhealthy), (1, 3, 3));
        assert_eq!((blue.draining, blue.other), (1, 1));
        let reason = blue.reason.as_ref().unwrap();
        assert_eq!(
            (reason.code.as_str(), reason.targets),
            ("Target.ResponseCodeMismatch", 2)
        );
        assert_eq!(groups.num_calls(), 1);
    }

    #[tokio::test]
    async fn a_missing_group_does_not_hide_the_other() {
        let blue = mock!(Client::describe_target_groups)
            .match_requests(|r| r.names() == ["order-blue-dev"])
            .then_output(|| {
                DescribeTargetGroupsOutput::builder()
                    .target_groups(group("order-blue-dev"))
                    .build()
            });
        let health = mock!(Client::describe_target_health)
            .then_output(|| DescribeTargetHealthOutput::builder().build());
        let aws = mocked(&[&missing("order-green-dev"), &blue, &health, &no_service()]);
        let (_, [blue, green]) = both(&aws, &subject()).await;
        assert_eq!(blue.targets.value().unwrap().reason, None);
        assert!(green.targets.is_absent());
    }

    #[tokio::test]
    async fn weights_are_percents_of_each_rule_and_a_missing_rule_does_not_hide_the_other() {
        let together = mock!(Client::describe_rules)
            .match_requests(|r| r.rule_arns() == ["arn:production", "arn:test"])
            .then_output(|| {
                let single = Action::builder().target_group_arn("arn:green").build();
                DescribeRulesOutput::builder()
                    .rules(rule("arn:production", &[("arn:blue", 9), ("arn:green", 1)]))
                    .rules(Rule::builder().rule_arn("arn:test").actions(single).build())
                    .build()
            });
        let aws = mocked(&[&service_with_rules(), &together]);
        let found = weights(&aws, &subject()).await.unwrap().unwrap();
        assert_eq!(found.production["arn:blue"], 90.0);
        assert_eq!(found.production["arn:green"], 10.0);
        assert_eq!(found.test.get("arn:green"), Some(&100.0));

        let gone = mock!(Client::describe_rules)
            .match_requests(|r| r.rule_arns().iter().any(|arn| arn == "arn:test"))
            .then_error(|| {
                let code = ErrorMetadata::builder().code("RuleNotFound");
                DescribeRulesError::generic(code.build())
            });
        let alone = mock!(Client::describe_rules)
            .match_requests(|r| r.rule_arns() == ["arn:production"])
            .then_output(|| {
                let split = rule("arn:production", &[("arn:blue", 0), ("arn:green", 100)]);
                DescribeRulesOutput::builder().rules(split).build()
            });
        let aws = mocked(&[&service_with_rules(), &gone, &alone]);
        let found = weights(&aws, &subject()).await.unwrap().unwrap();
        assert_eq!(found.production["arn:green"], 100.0);
        assert!(found.test.is_empty());
    }

    #[tokio::test]
    async fn without_permission_for_the_groups_both_colours_say_so() {
        let denied = mock!(Client::describe_target_groups).then_error(|| {
            let code = ErrorMetadata::builder().code("AccessDenied");
            DescribeTargetGroupsError::generic(code.build())
        });
        let (_, colours) = both(&mocked(&[&denied, &no_service()]), &subject()).await;
        for colour in colours {
            assert_eq!(colour.targets.error().unwrap().class(), Class::Denied);
        }
    }
}
