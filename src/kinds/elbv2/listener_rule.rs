//! `elbv2/listener_rule`: which paths go to the application, split between blue and green.
//!
//! During a release ECS owns the split. A request that carries actions would cut traffic, so
//! actions are sent only to take a foreign target group out or to put a missing one back.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_elasticloadbalancingv2::types::{
    PathPatternConditionConfig, Rule as AwsRule, RuleCondition, RulePriorityPair,
};
use serde::{Deserialize, Serialize};

use super::forward::{any_split, forward, forwarded, keeping_weights};
use super::{ListenerArn, RuleArn, WeightedTargetGroup, change_tags, read_tags_among, tag_list};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, Tags, outputs,
};

/// An `AWS::ElasticLoadBalancingV2::ListenerRule` that forwards by path.
pub struct ListenerRule;

/// The settings of a listener rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct ListenerRuleSpec<S: Stage> {
    /// The listener it is part of.
    pub listener: S::In<ListenerArn>,
    /// Its place among the listener's rules, 1 (first) to 50000; each listener has it once.
    pub priority: i32,
    /// The paths it takes; `*` and `?` stand for any text and any character.
    pub path_patterns: BTreeSet<String>,
    /// Where they go. The weights are those of the create; any later split over exactly these
    /// groups is as wanted (law 6).
    pub target_groups: Vec<WeightedTargetGroup<S>>,
    /// Its tags.
    pub tags: Tags,
}

outputs! { ListenerRule =>
    /// What AWS gives a listener rule.
    ListenerRuleOutputs {
        /// Its ARN.
        arn: RuleArn,
    }
}

const GONE: &[&str] = &["RuleNotFound", "ListenerNotFound", "LoadBalancerNotFound"];
const PATH_PATTERN: &str = "path-pattern";

const OPERATION: &str = "elasticloadbalancing:DescribeRules";
/// How many ARNs one call may name.
const RULES_PER_CALL: usize = 20;

impl Resource for ListenerRule {
    const KIND: &'static str = "elbv2/listener_rule";
    const IDENTITY: Identity = Identity::Parent;
    const OPERATIONS: Operations = Operations {
        read: &[
            "elasticloadbalancing:DescribeRules",
            "elasticloadbalancing:DescribeTags",
        ],
        create: &[
            "elasticloadbalancing:CreateRule",
            "elasticloadbalancing:AddTags",
        ],
        update: &[
            "elasticloadbalancing:ModifyRule",
            "elasticloadbalancing:SetRulePriorities",
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:RemoveTags",
        ],
        delete: &["elasticloadbalancing:DeleteRule"],
    };
    const REPLACE_ON: &'static [&'static str] = &["listener"];
    // Field guide, section 5.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("ListenerNotFound", 120),
        Refusal::create("TargetGroupNotFound", 120),
        Refusal::update("RuleNotFound", 120),
        Refusal::update("TargetGroupNotFound", 120),
        Refusal::delete("ResourceInUse", 120),
    ];
    type Api = Aws;
    type Spec<S: Stage> = ListenerRuleSpec<S>;
    type Outputs = ListenerRuleOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &ListenerRuleSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let listener = last.map_or(&want.listener, |last| &last.spec.listener);
        let all = match last {
            Some(last) => among_recorded(aws, &last.outputs.arn).await?,
            None => None,
        };
        let all = match all {
            Some(all) => all,
            None => {
                let key = format!("{OPERATION} {listener}");
                aws.read_once(&key, describe(aws, listener)).await?
            }
        };
        let priority = want.priority.to_string();
        let found = all.iter().find(|rule| match last {
            Some(last) => rule.rule_arn() == Some(&last.outputs.arn),
            None => rule.priority() == Some(&priority),
        });
        let Some(found) = found else { return Ok(None) };
        let arn = found.rule_arn().ok_or_else(missing(OPERATION, "RuleArn"))?;
        let siblings: Vec<&str> = all.iter().filter_map(AwsRule::rule_arn).collect();
        let tags = aws
            .tags(
                scope,
                arn,
                &want.tags,
                read_tags_among(aws, listener, &siblings, arn),
            )
            .await
            .gone_is_none(GONE)?;
        let Some(tags) = tags else { return Ok(None) };
        let target_groups = match found.actions() {
            [action] => forwarded(action),
            _ => Vec::new(),
        };
        Ok(Some(Live {
            outputs: ListenerRuleOutputs { arn: arn.into() },
            spec: ListenerRuleSpec {
                listener: listener.clone(),
                priority: found
                    .priority()
                    .and_then(|text| text.parse().ok())
                    .unwrap_or_default(),
                path_patterns: found.conditions().iter().flat_map(patterns).collect(),
                target_groups: any_split(target_groups, &want.target_groups),
                tags,
            },
            condition: Condition::Ready,
        }))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &ListenerRuleSpec<Resolved>,
    ) -> Result<ListenerRuleOutputs> {
        let answer = aws
            .elbv2
            .create_rule()
            .listener_arn(&*want.listener)
            .priority(want.priority)
            .conditions(condition(want))
            .actions(forward(&want.target_groups))
            .set_tags(Some(tag_list(&want.tags)))
            .send()
            .await
            .of("elasticloadbalancing:CreateRule")?;
        let arn = answer
            .rules()
            .first()
            .and_then(AwsRule::rule_arn)
            .ok_or_else(missing("elasticloadbalancing:CreateRule", "RuleArn"))?;
        Ok(ListenerRuleOutputs { arn: arn.into() })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &ListenerRuleSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        let arn = &*live.outputs.arn;
        if changes.touch_any(&["path_patterns", "target_groups"]) {
            let mut request = aws.elbv2.modify_rule().rule_arn(arn);
            if changes.touch("path_patterns") {
                request = request.conditions(condition(want));
            }
            if changes.touch("target_groups") {
                let split = keeping_weights(&live.spec.target_groups, &want.target_groups);
                request = request.actions(forward(&split));
            }
            request.send().await.of("elasticloadbalancing:ModifyRule")?;
        }
        if changes.touch("priority") {
            let pair = RulePriorityPair::builder()
                .rule_arn(arn)
                .priority(want.priority);
            aws.elbv2
                .set_rule_priorities()
                .rule_priorities(pair.build())
                .send()
                .await
                .of("elasticloadbalancing:SetRulePriorities")?;
        }
        if changes.touch("tags") {
            change_tags(aws, arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.elbv2
            .delete_rule()
            .rule_arn(&*live.outputs.arn)
            .send()
            .await
            .of("elasticloadbalancing:DeleteRule")
            .gone_is_fine(GONE)
    }
}

fn condition(want: &ListenerRuleSpec<Resolved>) -> RuleCondition {
    let patterns = want.path_patterns.iter().cloned().collect();
    let config = PathPatternConditionConfig::builder().set_values(Some(patterns));
    RuleCondition::builder()
        .field(PATH_PATTERN)
        .path_pattern_config(config.build())
        .build()
}

/// Reads the path patterns of a condition. A condition of another kind narrows the rule too; it is
/// shown as a pattern nobody wants, so that it is drift and the next update takes it out.
fn patterns(condition: &RuleCondition) -> Vec<String> {
    let field = condition.field().unwrap_or_default();
    let config = condition.path_pattern_config();
    let values = config.map_or(&[][..], PathPatternConditionConfig::values);
    if field != PATH_PATTERN {
        vec![format!("({field} condition)")]
    } else if !values.is_empty() {
        values.to_vec()
    } else if !condition.values().is_empty() {
        condition.values().to_vec()
    } else {
        vec!["(regular expression condition)".to_owned()]
    }
}

/// Reads all recorded rules with one call, whatever their listeners; `None` if this one is not
/// among them. One that is gone fails the call for all.
async fn among_recorded(aws: &Aws, arn: &str) -> Result<Option<Arc<Vec<AwsRule>>>> {
    let arns = aws.recorded(ListenerRule::KIND, "arn");
    if arns.len() > RULES_PER_CALL || !arns.iter().any(|recorded| recorded == arn) {
        return Ok(None);
    }
    let key = format!("{OPERATION} by ARN");
    let rules = aws.read_once(&key, describe_known(aws, arns)).await?;
    let found = rules.iter().any(|rule| rule.rule_arn() == Some(arn));
    Ok(found.then_some(rules))
}

async fn describe_known(aws: &Aws, arns: Vec<String>) -> Result<Vec<AwsRule>> {
    let pages = aws
        .elbv2
        .describe_rules()
        .set_rule_arns(Some(arns))
        .into_paginator()
        .items()
        .send();
    let rules = pages
        .collect::<std::result::Result<Vec<_>, _>>()
        .await
        .of(OPERATION)
        .gone_is_none(GONE)?;
    Ok(rules.unwrap_or_default())
}

async fn describe(aws: &Aws, listener: &str) -> Result<Vec<AwsRule>> {
    let pages = aws
        .elbv2
        .describe_rules()
        .listener_arn(listener)
        .into_paginator()
        .items()
        .send();
    let rules = pages
        .collect::<std::result::Result<Vec<_>, _>>()
        .await
        .of(OPERATION)
        .gone_is_none(GONE)?;
    Ok(rules.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::Client;
    use aws_sdk_elasticloadbalancingv2::operation::create_rule::CreateRuleOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_rules::{
        DescribeRulesError, DescribeRulesOutput,
    };
    use aws_sdk_elasticloadbalancingv2::operation::modify_rule::ModifyRuleOutput;
    use aws_sdk_elasticloadbalancingv2::operation::set_rule_priorities::SetRulePrioritiesOutput;
    use aws_sdk_elasticloadbalancingv2::types::HostHeaderConditionConfig;
    use aws_sdk_elasticloadbalancingv2::types::error::RuleNotFoundException;
    use aws_smithy_mocks::mock;
    use aws_smithy_types::error::ErrorMetadata;
    use serde_json::json;

    use super::super::tests::tags_of;
    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const ARN: &str = "arn:rule-1";

    fn group(arn: &str, weight: u16) -> WeightedTargetGroup<Resolved> {
        WeightedTargetGroup {
            target_group: arn.into(),
            weight,
        }
    }

    fn want() -> ListenerRuleSpec<Resolved> {
        ListenerRuleSpec {
            listener: "arn:listener".into(),
            priority: 10,
            path_patterns: BTreeSet::from(["/orders*".to_owned(), "/health".to_owned()]),
            target_groups: vec![group("blue", 100), group("green", 0)],
            tags: Tags::from_pairs([(NODE_TAG, "production-rule")]),
        }
    }

    fn in_aws() -> AwsRule {
        // AWS returns the patterns twice, in any order.
        let patterns = vec!["/orders*".to_owned(), "/health".to_owned()];
        let config = PathPatternConditionConfig::builder()
            .set_values(Some(patterns.clone()))
            .build();
        AwsRule::builder()
            .rule_arn(ARN)
            .priority("10")
            .conditions(
                RuleCondition::builder()
                    .field(PATH_PATTERN)
                    .set_values(Some(patterns))
                    .path_pattern_config(config)
                    .build(),
            )
            .actions(forward(&[group("green", 95), group("blue", 5)]))
            .is_default(false)
            .build()
    }

    async fn observed(rule: AwsRule, last: Option<&str>) -> Option<Live<ListenerRule>> {
        let rules = mock!(Client::describe_rules)
            .match_requests(|r| r.listener_arn() == Some("arn:listener"))
            .then_output(move || {
                let default = AwsRule::builder()
                    .rule_arn("arn:default")
                    .priority("default")
                    .is_default(true);
                DescribeRulesOutput::builder()
                    .rules(rule.clone())
                    .rules(default.build())
                    .build()
            });
        let tags = mock!(Client::describe_tags).then_output(|| tags_of(ARN, &want().tags));
        let last = last.map(|arn| Last {
            outputs: ListenerRuleOutputs { arn: arn.into() },
            spec: want(),
        });
        let aws = mocked(&[&rules, &tags]);
        ListenerRule::observe(&aws, &scope("production-rule"), &want(), last.as_ref())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_in_the_middle_of_a_release() {
        let live = observed(in_aws(), None).await.unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(&*live.outputs.arn, ARN);
    }

    #[tokio::test]
    async fn recorded_rules_are_read_with_one_call_and_by_listener_once_one_is_gone() {
        for (gone, by_listener) in [(false, 0), (true, 1)] {
            let asked = mock!(Client::describe_rules)
                .match_requests(|r| r.rule_arns() == [ARN, "arn:rule-2"]);
            let by_arn = match gone {
                false => {
                    asked.then_output(|| DescribeRulesOutput::builder().rules(in_aws()).build())
                }
                true => asked.then_error(|| {
                    let meta = ErrorMetadata::builder().code("RuleNotFound").build();
                    let gone = RuleNotFoundException::builder().meta(meta).build();
                    DescribeRulesError::RuleNotFoundException(gone)
                }),
            };
            let listed = mock!(Client::describe_rules)
                .match_requests(|r| r.listener_arn() == Some("arn:listener"))
                .then_output(|| DescribeRulesOutput::builder().rules(in_aws()).build());
            let tags = mock!(Client::describe_tags).then_output(|| tags_of(ARN, &want().tags));
            let recorded = [ARN, "arn:rule-2"]
                .map(|arn| (ListenerRule::KIND.to_owned(), json!({ "arn": arn })));
            let aws = mocked(&[&by_arn, &listed, &tags]).knowing(recorded);
            let last = Last {
                outputs: ListenerRuleOutputs { arn: ARN.into() },
                spec: want(),
            };
            let scope = scope("production-rule");
            let live = ListenerRule::observe(&aws, &scope, &want(), Some(&last)).await;
            assert_eq!(live.unwrap().unwrap().spec, want());
            assert_eq!((by_arn.num_calls(), listed.num_calls()), (1, by_listener));
        }
    }

    #[tokio::test]
    async fn a_gone_one_is_none_even_if_its_priority_is_taken() {
        assert!(observed(in_aws(), Some(ARN)).await.is_some());
        assert!(observed(in_aws(), Some("arn:earlier")).await.is_none());
    }

    #[tokio::test]
    async fn a_condition_or_an_action_of_other_hands_is_drift() {
        let mut narrowed = in_aws();
        let host = HostHeaderConditionConfig::builder().values("a.example");
        narrowed.conditions.as_mut().unwrap().push(
            RuleCondition::builder()
                .field("host-header")
                .host_header_config(host.build())
                .build(),
        );
        let mut turned_off = in_aws();
        turned_off.actions = None;
        for (rule, field) in [(narrowed, "path_patterns"), (turned_off, "target_groups")] {
            let live = observed(rule, None).await.unwrap();
            let changes = diff(&json!(want()), &json!(live.spec), None);
            assert_eq!(changes.names(), [field]);
        }
    }

    #[tokio::test]
    async fn create_gives_all_to_blue() {
        let create = mock!(Client::create_rule)
            .match_requests(|r| {
                let split = forwarded(&r.actions()[0]);
                split.iter().map(|g| g.weight).eq([100, 0]) && r.tags().len() == 1
            })
            .then_output(|| CreateRuleOutput::builder().rules(in_aws()).build());
        let aws = mocked(&[&create]);
        let outputs = ListenerRule::create(&aws, &scope("production-rule"), &want()).await;
        assert_eq!(&*outputs.unwrap().arn, ARN);
    }

    #[tokio::test]
    async fn changing_the_paths_sends_no_action() {
        let modify = mock!(Client::modify_rule)
            .match_requests(|r| r.actions.is_none() && r.conditions().len() == 1)
            .then_output(|| ModifyRuleOutput::builder().build());
        let mut live = observed(in_aws(), None).await.unwrap();
        live.spec.path_patterns.clear();
        let changes = diff(&json!(want()), &json!(live.spec), None);
        let aws = mocked(&[&modify]);
        ListenerRule::update(&aws, &scope("production-rule"), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn putting_a_missing_group_back_leaves_the_requests_where_they_are() {
        let modify = mock!(Client::modify_rule)
            .match_requests(|r| {
                r.conditions.is_none()
                    && forwarded(&r.actions()[0]) == [group("blue", 0), group("green", 100)]
            })
            .then_output(|| ModifyRuleOutput::builder().build());
        let mut rule = in_aws();
        rule.actions = Some(vec![forward(&[group("green", 100)])]);
        let live = observed(rule, None).await.unwrap();
        let changes = diff(&json!(want()), &json!(live.spec), None);
        let aws = mocked(&[&modify]);
        ListenerRule::update(&aws, &scope("production-rule"), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn a_new_priority_is_set_by_its_own_call() {
        let priorities = mock!(Client::set_rule_priorities)
            .match_requests(|r| r.rule_priorities()[0].priority() == Some(10))
            .then_output(|| SetRulePrioritiesOutput::builder().build());
        let mut live = observed(in_aws(), None).await.unwrap();
        live.spec.priority = 20;
        let changes = diff(&json!(want()), &json!(live.spec), None);
        let aws = mocked(&[&priorities]);
        ListenerRule::update(&aws, &scope("production-rule"), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }
}
