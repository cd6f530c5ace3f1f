//! `wafv2/web_acl`: the rules that every request passes before it reaches the load balancer.

use aws_sdk_wafv2::operation::get_web_acl::GetWebAclOutput;
use aws_sdk_wafv2::types::{
    AllowAction, BlockAction, DefaultAction as AwsDefaultAction, WebAclSummary,
};
use serde::{Deserialize, Serialize};

use super::rule::{self, AclRule};
use super::{
    GONE, REFUSALS, SCOPE, WebAclArn, change_tags, gone, read_tags, tags_on_create, unless_empty,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, Tags, outputs,
};

/// An `AWS::WAFv2::WebACL`.
pub struct WebAcl;

/// The settings of a web ACL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct WebAclSpec<S: Stage> {
    /// Its name, unique in the region; also the name of its metric.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// What happens to requests that no rule decides on.
    pub default_action: DefaultAction,
    /// Its rules, in the order in which they are tried.
    pub rules: Vec<AclRule<S>>,
    /// Whether CloudWatch metrics and samples of requests are kept for it and for each rule. The
    /// metrics' `WebACL` dimension is the name of the ACL, `Rule` the name of the rule.
    pub metrics_and_samples: bool,
    /// Its tags.
    pub tags: Tags,
}

/// What happens to requests that no rule decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DefaultAction {
    /// They are let through.
    Allow,
    /// They are blocked.
    Block,
}

outputs! { WebAcl =>
    /// What AWS gives a web ACL.
    WebAclOutputs {
        /// The web ACL's id, a UUID.
        id: String,
        /// The web ACL's ARN.
        arn: WebAclArn,
    }
}

impl Resource for WebAcl {
    const KIND: &'static str = "wafv2/web_acl";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &[
            "wafv2:ListWebACLs",
            "wafv2:GetWebACL",
            "wafv2:ListTagsForResource",
        ],
        create: &["wafv2:CreateWebACL", "wafv2:TagResource"],
        update: &[
            "wafv2:GetWebACL",
            "wafv2:UpdateWebACL",
            "wafv2:TagResource",
            "wafv2:UntagResource",
        ],
        delete: &["wafv2:DeleteWebACL"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name"];
    const REFUSALS: &'static [Refusal] = REFUSALS;
    type Api = Aws;
    type Spec<S: Stage> = WebAclSpec<S>;
    type Outputs = WebAclOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &WebAclSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let known = match last {
            Some(last) => Some((last.spec.name.clone(), last.outputs.id.clone())),
            None => aws
                .read_once("wafv2:ListWebACLs", list(aws))
                .await?
                .iter()
                .find(|acl| acl.name() == Some(&want.name))
                .and_then(|acl| Some((want.name.clone(), acl.id()?.to_owned()))),
        };
        let Some((name, id)) = known else {
            return Ok(None);
        };
        let Some(acl) = get(aws, &name, &id)
            .await?
            .and_then(|answer| answer.web_acl)
        else {
            return Ok(None);
        };
        let tags = aws
            .tags(scope, &acl.arn, &want.tags, read_tags(aws, &acl.arn))
            .await?;
        let blocks = acl.default_action().is_some_and(|it| it.block().is_some());
        let metrics_and_samples =
            rule::is_visible(acl.visibility_config(), &name) && rule::all_visible(acl.rules());
        Ok(Some(Live {
            spec: WebAclSpec {
                name,
                description: acl.description().unwrap_or_default().to_owned(),
                default_action: if blocks {
                    DefaultAction::Block
                } else {
                    DefaultAction::Allow
                },
                rules: rule::from_aws(acl.rules()),
                metrics_and_samples,
                tags,
            },
            outputs: WebAclOutputs {
                id: acl.id,
                arn: WebAclArn(acl.arn),
            },
            condition: Condition::Ready,
        }))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &WebAclSpec<Resolved>,
    ) -> Result<WebAclOutputs> {
        let answer = aws
            .wafv2
            .create_web_acl()
            .name(&want.name)
            .scope(SCOPE)
            .set_description(unless_empty(&want.description))
            .default_action(default_action(want.default_action))
            .set_rules(Some(rule::to_aws(&want.rules, want.metrics_and_samples)?))
            .visibility_config(rule::visibility(&want.name, want.metrics_and_samples)?)
            .set_tags(tags_on_create("wafv2:CreateWebACL", &want.tags)?)
            .send()
            .await
            .of("wafv2:CreateWebACL")?;
        let field = |name| missing("wafv2:CreateWebACL", name);
        let summary = answer.summary().ok_or_else(field("Summary"))?;
        Ok(WebAclOutputs {
            id: summary.id().ok_or_else(field("Id"))?.to_owned(),
            arn: summary.arn().ok_or_else(field("ARN"))?.into(),
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &WebAclSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        let settings = [
            "description",
            "default_action",
            "rules",
            "metrics_and_samples",
        ];
        if changes.touch_any(&settings) {
            replace_settings(aws, &live.outputs.id, want).await?;
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        let Some(current) = get(aws, &live.spec.name, &live.outputs.id).await? else {
            return Ok(());
        };
        aws.wafv2
            .delete_web_acl()
            .name(&live.spec.name)
            .scope(SCOPE)
            .id(&live.outputs.id)
            .set_lock_token(current.lock_token)
            .send()
            .await
            .of("wafv2:DeleteWebACL")
            .gone_is_fine(GONE)
    }
}

/// Sends the wanted settings. UpdateWebACL replaces everything, so the rules AWS put in itself and
/// the settings we do not manage are sent back as they are.
async fn replace_settings(aws: &Aws, id: &str, want: &WebAclSpec<Resolved>) -> Result<()> {
    let current = get(aws, &want.name, id).await?;
    let (acl, lock_token) = current
        .and_then(|answer| Some((answer.web_acl?, answer.lock_token)))
        .ok_or_else(|| gone("wafv2:GetWebACL", &want.name))?;
    let mut rules = rule::to_aws(&want.rules, want.metrics_and_samples)?;
    rules.extend(
        acl.rules()
            .iter()
            .filter(|it| rule::is_injected(it))
            .cloned(),
    );
    aws.wafv2
        .update_web_acl()
        .name(&want.name)
        .scope(SCOPE)
        .id(id)
        .set_lock_token(lock_token)
        .set_description(unless_empty(&want.description))
        .default_action(default_action(want.default_action))
        .set_rules(Some(rules))
        .visibility_config(rule::visibility(&want.name, want.metrics_and_samples)?)
        .set_data_protection_config(acl.data_protection_config)
        .set_custom_response_bodies(acl.custom_response_bodies.filter(|it| !it.is_empty()))
        .set_captcha_config(acl.captcha_config)
        .set_challenge_config(acl.challenge_config)
        .set_token_domains(acl.token_domains.filter(|it| !it.is_empty()))
        .set_association_config(acl.association_config)
        .set_on_source_d_do_s_protection_config(acl.on_source_d_do_s_protection_config)
        .set_application_config(acl.application_config)
        .set_monetization_config(acl.monetization_config)
        .send()
        .await
        .of("wafv2:UpdateWebACL")?;
    Ok(())
}

fn default_action(action: DefaultAction) -> AwsDefaultAction {
    let to = AwsDefaultAction::builder();
    match action {
        DefaultAction::Allow => to.allow(AllowAction::builder().build()),
        DefaultAction::Block => to.block(BlockAction::builder().build()),
    }
    .build()
}

async fn get(aws: &Aws, name: &str, id: &str) -> Result<Option<GetWebAclOutput>> {
    aws.wafv2
        .get_web_acl()
        .name(name)
        .scope(SCOPE)
        .id(id)
        .send()
        .await
        .of("wafv2:GetWebACL")
        .gone_is_none(GONE)
}

async fn list(aws: &Aws) -> Result<Vec<WebAclSummary>> {
    let mut found = Vec::new();
    let mut marker = None;
    loop {
        let page = aws
            .wafv2
            .list_web_acls()
            .scope(SCOPE)
            .limit(100)
            .set_next_marker(marker)
            .send()
            .await
            .of("wafv2:ListWebACLs")?;
        let acls = page.web_acls.unwrap_or_default();
        marker = page.next_marker.filter(|_| !acls.is_empty());
        found.extend(acls);
        if marker.is_none() {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_wafv2::Client;
    use aws_sdk_wafv2::operation::create_web_acl::CreateWebAclOutput;
    use aws_sdk_wafv2::operation::delete_web_acl::DeleteWebAclOutput;
    use aws_sdk_wafv2::operation::get_web_acl::GetWebACLError;
    use aws_sdk_wafv2::operation::list_web_acls::ListWebAcLsOutput;
    use aws_sdk_wafv2::operation::untag_resource::UntagResourceOutput;
    use aws_sdk_wafv2::operation::update_web_acl::UpdateWebAclOutput;
    use aws_sdk_wafv2::types::WebAcl as AwsWebAcl;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::super::testing::{nonexistent, tagged};
    use super::super::{ManagedRuleGroup, Mode};
    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const ARN: &str = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/order-api-waf-dev/2e";
    const SHIELD: &str = "ShieldMitigationRuleGroup_123456789012_2e_3d";

    fn want() -> WebAclSpec<Resolved> {
        WebAclSpec {
            name: "order-api-waf-dev".into(),
            description: String::new(),
            default_action: DefaultAction::Allow,
            rules: vec![
                AclRule::RateLimit {
                    limit: 100,
                    window_seconds: 300,
                },
                AclRule::ManagedGroup {
                    name: ManagedRuleGroup::Common,
                    mode: Mode::Block,
                },
            ],
            metrics_and_samples: true,
            tags: Tags::from_pairs([(NODE_TAG, "web-acl")]),
        }
    }

    fn outputs() -> WebAclOutputs {
        WebAclOutputs {
            id: "2e".into(),
            arn: ARN.into(),
        }
    }

    fn live() -> Live<WebAcl> {
        Live {
            outputs: outputs(),
            spec: want(),
            condition: Condition::Ready,
        }
    }

    fn last() -> Last<WebAcl> {
        Last {
            outputs: outputs(),
            spec: want(),
        }
    }

    /// The ACL with a rule of Shield's and a setting of somebody else's in it.
    fn in_aws(metrics: bool) -> GetWebAclOutput {
        let mut rules = rule::to_aws(&want().rules, true).unwrap();
        let mut shield = rules[1].clone();
        shield.name = SHIELD.into();
        shield.priority = 10_000_000;
        rules.push(shield);
        let acl = AwsWebAcl::builder()
            .name("order-api-waf-dev")
            .id("2e")
            .arn(ARN)
            .default_action(default_action(DefaultAction::Allow))
            .set_rules(Some(rules))
            .visibility_config(rule::visibility("order-api-waf-dev", metrics).unwrap())
            .token_domains("example.com")
            .build();
        GetWebAclOutput::builder()
            .web_acl(acl.unwrap())
            .lock_token("token-1")
            .build()
    }

    fn found() -> Rule {
        mock!(Client::get_web_acl)
            .match_requests(|r| r.id() == Some("2e") && r.name() == Some("order-api-waf-dev"))
            .then_output(|| in_aws(true))
    }

    fn tags() -> Rule {
        mock!(Client::list_tags_for_resource)
            .match_requests(|r| r.resource_arn() == Some(ARN))
            .then_output(|| tagged(NODE_TAG, "web-acl"))
    }

    async fn update(aws: &Aws, live: &Live<WebAcl>) {
        let changes = diff(&json!(want()), &json!(live.spec), None);
        WebAcl::update(aws, &scope("web-acl"), live, &want(), &changes)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_whether_or_not_it_is_recorded() {
        let list = mock!(Client::list_web_acls).then_output(|| {
            let ours = WebAclSummary::builder().name("order-api-waf-dev").id("2e");
            let other = WebAclSummary::builder().name("other").id("9");
            ListWebAcLsOutput::builder()
                .web_acls(other.build())
                .web_acls(ours.build())
                .build()
        });
        let aws = mocked(&[&list, &found(), &tags()]);
        for last in [None, Some(&last())] {
            let live = WebAcl::observe(&aws, &scope("web-acl"), &want(), last)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(live.spec, want());
            assert_eq!(live.outputs, outputs());
            assert_eq!(live.condition, Condition::Ready);
        }
        assert_eq!(list.num_calls(), 1);
    }

    #[tokio::test]
    async fn metrics_switched_off_are_a_difference() {
        let blind = mock!(Client::get_web_acl).then_output(|| in_aws(false));
        let aws = mocked(&[&blind, &tags()]);
        let live = WebAcl::observe(&aws, &scope("web-acl"), &want(), Some(&last()))
            .await
            .unwrap()
            .unwrap();
        let changes = diff(&json!(want()), &json!(live.spec), None);
        assert_eq!(changes.names(), ["metrics_and_samples"]);
    }

    #[tokio::test]
    async fn gone_is_none_and_deleting_it_is_fine() {
        let gone = mock!(Client::get_web_acl).then_error(|| GetWebACLError::generic(nonexistent()));
        let nothing =
            mock!(Client::list_web_acls).then_output(|| ListWebAcLsOutput::builder().build());
        let aws = mocked(&[&gone, &nothing]);
        for last in [None, Some(&last())] {
            let live = WebAcl::observe(&aws, &scope("web-acl"), &want(), last).await;
            assert!(live.unwrap().is_none());
        }
        WebAcl::delete(&aws, &scope("web-acl"), &live())
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 0);
    }

    #[tokio::test]
    async fn create_numbers_the_rules_and_omits_an_empty_description() {
        let create = mock!(Client::create_web_acl)
            .match_requests(|r| {
                let rules: Vec<_> = r
                    .rules()
                    .iter()
                    .map(|it| (it.priority(), it.name()))
                    .collect();
                r.description().is_none()
                    && rules == [(0, "RateLimitRule"), (1, "AWSManagedRulesCommonRuleSet")]
                    && rule::is_visible(r.visibility_config(), "order-api-waf-dev")
                    && r.tags()[0].key() == NODE_TAG
            })
            .then_output(|| {
                let summary = WebAclSummary::builder().id("2e").arn(ARN).build();
                CreateWebAclOutput::builder().summary(summary).build()
            });
        let made = WebAcl::create(&mocked(&[&create]), &scope("web-acl"), &want()).await;
        assert_eq!(made.unwrap(), outputs());
    }

    #[tokio::test]
    async fn an_update_keeps_shields_rule_and_what_others_set_and_drops_foreign_rules() {
        let replace = mock!(Client::update_web_acl)
            .match_requests(|r| {
                let names: Vec<_> = r.rules().iter().map(|rule| rule.name()).collect();
                names == ["RateLimitRule", "AWSManagedRulesCommonRuleSet", SHIELD]
                    && r.lock_token() == Some("token-1")
                    && r.token_domains() == ["example.com"]
            })
            .then_output(|| UpdateWebAclOutput::builder().build());
        let aws = mocked(&[&found(), &replace]);
        let mut live = live();
        live.spec.rules.push(AclRule::Foreign {
            name: "by-hand".into(),
            priority: 7,
        });
        update(&aws, &live).await;
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn changed_tags_leave_the_rules_alone() {
        let untag = mock!(Client::untag_resource)
            .match_requests(|r| r.resource_arn() == Some(ARN) && r.tag_keys() == ["old"])
            .then_output(|| UntagResourceOutput::builder().build());
        let aws = mocked(&[&untag]);
        let mut live = live();
        live.spec.tags.0.insert("old".into(), "x".into());
        update(&aws, &live).await;
        assert_eq!((aws.calls().writes(), aws.calls().reads()), (1, 0));
    }

    #[tokio::test]
    async fn delete_uses_a_fresh_lock_token() {
        let delete = mock!(Client::delete_web_acl)
            .match_requests(|r| r.id() == Some("2e") && r.lock_token() == Some("token-1"))
            .then_output(|| DeleteWebAclOutput::builder().build());
        let aws = mocked(&[&found(), &delete]);
        WebAcl::delete(&aws, &scope("web-acl"), &live())
            .await
            .unwrap();
        assert_eq!(delete.num_calls(), 1);
    }
}
