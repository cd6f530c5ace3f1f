//! The rules of a web ACL: to AWS's form and back. A live rule counts as one of ours only if it is
//! exactly what we would send for it; anything added or edited by hand reads as foreign.

use aws_sdk_wafv2::types::{
    AllowAction, BlockAction, CountAction, IpSetReferenceStatement, ManagedRuleGroupStatement,
    NoneAction, OverrideAction, RateBasedStatement, RateBasedStatementAggregateKeyType, Rule,
    RuleAction, Statement, VisibilityConfig,
};
use serde::{Deserialize, Serialize};

use super::IpSetArn;
use crate::aws::incomplete;
use crate::resource::{Class, Error, Resolved, Result, Stage};

const OPERATION: &str = "wafv2:UpdateWebACL";
/// AWS's own window for rate-based rules, in seconds (field guide, section 9).
const DEFAULT_WINDOW: u32 = 300;
/// The rules Shield Advanced puts into ACLs when it mitigates an attack (field guide, section 5).
const INJECTED: &str = "ShieldMitigationRuleGroup";

/// One rule of a web ACL. Its place in the list is its priority.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", bound = "")]
pub enum AclRule<S: Stage> {
    /// Allows requests from an IP set, whatever later rules say: rule `AllowList`.
    AllowList {
        /// The IP set.
        ip_set: S::In<IpSetArn>,
    },
    /// Blocks addresses that send too many requests: rule `RateLimitRule`. Enforcement is
    /// approximate and lags by tens of seconds.
    RateLimit {
        /// How many requests one address may send within the window, at least 10.
        limit: u32,
        /// The window in seconds: 60, 120, 300 or 600.
        window_seconds: u32,
    },
    /// Applies a rule group that AWS keeps up to date; the rule is named like the group.
    ManagedGroup {
        /// The group.
        name: ManagedRuleGroup,
        /// Whether it blocks or only counts.
        mode: Mode,
    },
    /// A rule added or edited by hand. Only ever read from AWS, so that a plan can show it; the
    /// next update takes it away.
    Foreign {
        /// The rule's name.
        name: String,
        /// The rule's priority.
        priority: i32,
    },
}

/// A rule group of AWS, by the name AWS gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ManagedRuleGroup {
    /// General web attacks (the core rule set).
    #[serde(rename = "AWSManagedRulesCommonRuleSet")]
    Common,
    /// Requests known to exploit vulnerabilities.
    #[serde(rename = "AWSManagedRulesKnownBadInputsRuleSet")]
    KnownBadInputs,
    /// SQL injection.
    #[serde(rename = "AWSManagedRulesSQLiRuleSet")]
    Sqli,
}

impl ManagedRuleGroup {
    const ALL: [Self; 3] = [Self::Common, Self::KnownBadInputs, Self::Sqli];

    /// AWS's name of the group, which is also the name and the metric of its rule.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Common => "AWSManagedRulesCommonRuleSet",
            Self::KnownBadInputs => "AWSManagedRulesKnownBadInputsRuleSet",
            Self::Sqli => "AWSManagedRulesSQLiRuleSet",
        }
    }
}

/// What a managed rule group does with the requests it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Each rule of the group acts as AWS set it, which is to block.
    Block,
    /// All rules of the group only count.
    Count,
}

impl<S: Stage> AclRule<S> {
    /// The rule's name, which is also the name of its metric.
    pub fn name(&self) -> &str {
        match self {
            Self::AllowList { .. } => "AllowList",
            Self::RateLimit { .. } => "RateLimitRule",
            Self::ManagedGroup { name, .. } => name.as_str(),
            Self::Foreign { name, .. } => name,
        }
    }
}

/// Writes the rules in AWS's form, priorities counting from 0.
pub(super) fn to_aws(rules: &[AclRule<Resolved>], visible: bool) -> Result<Vec<Rule>> {
    (0..)
        .zip(rules)
        .map(|(priority, rule)| write(rule, priority, visible))
        .collect()
}

/// Reads the rules from AWS's form, by priority, without those AWS put in itself.
pub(super) fn from_aws(rules: &[Rule]) -> Vec<AclRule<Resolved>> {
    let mut rules: Vec<&Rule> = rules.iter().filter(|rule| !is_injected(rule)).collect();
    rules.sort_by_key(|rule| rule.priority());
    rules.into_iter().map(read).collect()
}

/// Says whether AWS put the rule into the ACL itself; such rules are kept and never drift.
pub(super) fn is_injected(rule: &Rule) -> bool {
    rule.name().starts_with(INJECTED)
}

/// Says whether metrics and sampled requests are on for all of our rules, under their names.
pub(super) fn all_visible(rules: &[Rule]) -> bool {
    rules
        .iter()
        .filter(|rule| !matches!(read(rule), AclRule::Foreign { .. }))
        .all(|rule| is_visible(rule.visibility_config(), rule.name()))
}

/// Says whether metrics and sampled requests are on, under the metric name `name`.
pub(super) fn is_visible(live: Option<&VisibilityConfig>, name: &str) -> bool {
    live.is_some_and(|live| {
        live.cloud_watch_metrics_enabled()
            && live.sampled_requests_enabled()
            && live.metric_name() == name
    })
}

/// Switches metrics and sampled requests on or off, under the metric name `name`.
pub(super) fn visibility(name: &str, visible: bool) -> Result<VisibilityConfig> {
    VisibilityConfig::builder()
        .cloud_watch_metrics_enabled(visible)
        .sampled_requests_enabled(visible)
        .metric_name(name)
        .build()
        .map_err(incomplete(OPERATION))
}

fn write(rule: &AclRule<Resolved>, priority: i32, visible: bool) -> Result<Rule> {
    let statement = Statement::builder();
    let to = Rule::builder()
        .name(rule.name())
        .priority(priority)
        .visibility_config(visibility(rule.name(), visible)?);
    let to = match rule {
        AclRule::AllowList { ip_set } => {
            let reference = IpSetReferenceStatement::builder()
                .arn(&**ip_set)
                .build()
                .map_err(incomplete(OPERATION))?;
            let allow = AllowAction::builder().build();
            to.statement(statement.ip_set_reference_statement(reference).build())
                .action(RuleAction::builder().allow(allow).build())
        }
        AclRule::RateLimit {
            limit,
            window_seconds,
        } => {
            let rate = RateBasedStatement::builder()
                .limit(i64::from(*limit))
                .evaluation_window_sec(i64::from(*window_seconds))
                .aggregate_key_type(RateBasedStatementAggregateKeyType::Ip)
                .build()
                .map_err(incomplete(OPERATION))?;
            let block = BlockAction::builder().build();
            to.statement(statement.rate_based_statement(rate).build())
                .action(RuleAction::builder().block(block).build())
        }
        AclRule::ManagedGroup { name, mode } => {
            let group = ManagedRuleGroupStatement::builder()
                .vendor_name("AWS")
                .name(name.as_str())
                .build()
                .map_err(incomplete(OPERATION))?;
            let over = OverrideAction::builder();
            let over = match mode {
                Mode::Block => over.none(NoneAction::builder().build()),
                Mode::Count => over.count(CountAction::builder().build()),
            };
            to.statement(statement.managed_rule_group_statement(group).build())
                .override_action(over.build())
        }
        AclRule::Foreign { name, .. } => {
            return Err(Error::new(
                OPERATION,
                Class::Refused,
                format!("`{name}` is not a rule that can be declared"),
            )
            .with_advice("declare one of the other rules; foreign ones are only read from AWS"));
        }
    };
    to.build().map_err(incomplete(OPERATION))
}

fn read(rule: &Rule) -> AclRule<Resolved> {
    let ours = guess(rule).filter(|guess| {
        write(guess, rule.priority(), true).is_ok_and(|mut expected| {
            expected.visibility_config = rule.visibility_config.clone();
            expected == folded(rule.clone())
        })
    });
    ours.unwrap_or_else(|| AclRule::Foreign {
        name: rule.name().to_owned(),
        priority: rule.priority(),
    })
}

/// Takes the rule for the one of ours that its statement looks like.
fn guess(rule: &Rule) -> Option<AclRule<Resolved>> {
    let statement = rule.statement()?;
    if let Some(reference) = statement.ip_set_reference_statement() {
        let ip_set = reference.arn().into();
        return Some(AclRule::AllowList { ip_set });
    }
    if let Some(rate) = statement.rate_based_statement() {
        return Some(AclRule::RateLimit {
            limit: u32::try_from(rate.limit()).ok()?,
            window_seconds: window(rate.evaluation_window_sec())?,
        });
    }
    let group = statement.managed_rule_group_statement()?;
    let counts = rule.override_action()?.count().is_some();
    Some(AclRule::ManagedGroup {
        name: ManagedRuleGroup::ALL
            .into_iter()
            .find(|ours| ours.as_str() == group.name())?,
        mode: if counts { Mode::Count } else { Mode::Block },
    })
}

/// Reads an evaluation window; the SDK shows one that is left out as 0.
fn window(seconds: i64) -> Option<u32> {
    match u32::try_from(seconds).ok()? {
        0 => Some(DEFAULT_WINDOW),
        seconds => Some(seconds),
    }
}

/// Takes away what AWS may or may not echo and what means the same: empty lists and defaults.
fn folded(mut rule: Rule) -> Rule {
    drop_if_empty(&mut rule.rule_labels);
    if let Some(statement) = &mut rule.statement {
        if let Some(rate) = &mut statement.rate_based_statement {
            drop_if_empty(&mut rate.custom_keys);
            if rate.evaluation_window_sec == 0 {
                rate.evaluation_window_sec = i64::from(DEFAULT_WINDOW);
            }
        }
        if let Some(group) = &mut statement.managed_rule_group_statement {
            drop_if_empty(&mut group.excluded_rules);
            drop_if_empty(&mut group.managed_rule_group_configs);
            drop_if_empty(&mut group.rule_action_overrides);
        }
    }
    rule
}

fn drop_if_empty<T>(list: &mut Option<Vec<T>>) {
    if list.as_ref().is_some_and(Vec::is_empty) {
        *list = None;
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_wafv2::types::{ExcludedRule, RuleActionOverride};
    use serde_json::json;

    use super::*;

    fn ours() -> Vec<AclRule<Resolved>> {
        vec![
            AclRule::AllowList {
                ip_set: "arn:ipset".into(),
            },
            AclRule::RateLimit {
                limit: 100,
                window_seconds: 300,
            },
            AclRule::ManagedGroup {
                name: ManagedRuleGroup::Common,
                mode: Mode::Block,
            },
            AclRule::ManagedGroup {
                name: ManagedRuleGroup::Sqli,
                mode: Mode::Count,
            },
        ]
    }

    fn foreign(rule: &Rule) -> bool {
        matches!(read(rule), AclRule::Foreign { .. })
    }

    #[test]
    fn rules_come_back_as_they_were_sent_whatever_order_aws_lists_them_in() {
        let mut sent = to_aws(&ours(), true).unwrap();
        sent.reverse();
        assert_eq!(from_aws(&sent), ours());
    }

    #[test]
    fn rules_survive_the_way_through_json() {
        let text = json!(ours());
        assert_eq!(text[0], json!({"rule": "AllowList", "ip_set": "arn:ipset"}));
        assert_eq!(text[3]["name"], "AWSManagedRulesSQLiRuleSet");
        let back: Vec<AclRule<Resolved>> = serde_json::from_value(text).unwrap();
        assert_eq!(back, ours());
    }

    #[test]
    fn echoed_defaults_and_gaps_in_the_priorities_are_no_difference() {
        let mut sent = to_aws(&ours(), true).unwrap();
        for (rule, priority) in sent.iter_mut().zip([0, 5, 10, 20]) {
            rule.priority = priority;
            rule.rule_labels = Some(Vec::new());
        }
        let rate = sent[1].statement.as_mut().unwrap();
        let rate = rate.rate_based_statement.as_mut().unwrap();
        rate.evaluation_window_sec = 0;
        let group = sent[2].statement.as_mut().unwrap();
        let group = group.managed_rule_group_statement.as_mut().unwrap();
        group.excluded_rules = Some(Vec::<ExcludedRule>::new());
        group.rule_action_overrides = Some(Vec::<RuleActionOverride>::new());
        assert_eq!(from_aws(&sent), ours());
    }

    #[test]
    fn a_rule_edited_by_hand_is_foreign() {
        let rules = to_aws(&ours(), true).unwrap();

        let mut counting = rules[1].clone();
        let count = CountAction::builder().build();
        counting.action = Some(RuleAction::builder().count(count).build());
        assert!(foreign(&counting), "the rate limit only counts");

        let mut pinned = rules[2].clone();
        let group = pinned.statement.as_mut().unwrap();
        group.managed_rule_group_statement.as_mut().unwrap().version = Some("Version_1.0".into());
        assert!(foreign(&pinned), "the group is held at an old version");

        let mut renamed = rules[0].clone();
        renamed.name = "SomebodyElses".into();
        let expected = AclRule::Foreign {
            name: "SomebodyElses".into(),
            priority: 0,
        };
        assert_eq!(read(&renamed), expected);
    }

    #[test]
    fn changed_limits_and_modes_stay_readable() {
        let mut rules = to_aws(&ours(), true).unwrap();
        let rate = rules[1].statement.as_mut().unwrap();
        rate.rate_based_statement.as_mut().unwrap().limit = 2000;
        let expected = AclRule::RateLimit {
            limit: 2000,
            window_seconds: 300,
        };
        assert_eq!(read(&rules[1]), expected);
    }

    #[test]
    fn shields_own_rule_is_left_out() {
        let mut rules = to_aws(&ours(), true).unwrap();
        let mut shield = rules[2].clone();
        shield.name = "ShieldMitigationRuleGroup_123456789012_1f_2e".into();
        shield.priority = 10_000_000;
        rules.push(shield);
        assert_eq!(from_aws(&rules), ours());
    }

    #[test]
    fn a_rule_without_metrics_is_noticed_but_still_ours() {
        let mut rules = to_aws(&ours(), true).unwrap();
        assert!(all_visible(&rules));
        rules[3].visibility_config = Some(visibility("AWSManagedRulesSQLiRuleSet", false).unwrap());
        assert!(!all_visible(&rules));
        assert_eq!(from_aws(&rules), ours());
    }

    #[test]
    fn a_foreign_rule_cannot_be_declared() {
        let foreign = AclRule::Foreign {
            name: "x".into(),
            priority: 0,
        };
        let error = to_aws(&[foreign], true).unwrap_err();
        assert!(error.advice().is_some());
    }
}
