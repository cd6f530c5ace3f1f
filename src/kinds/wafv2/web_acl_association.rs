//! `wafv2/web_acl_association`: which web ACL stands before a load balancer.

use serde::{Deserialize, Serialize};

use super::{GONE, UNAVAILABLE, WebAclArn};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, Times, outputs,
};

/// An `AWS::WAFv2::WebACLAssociation`.
///
/// A load balancer has at most one, without id or tags of its own. One that somebody else set on
/// our load balancer is reported as it is, so that the plan shows whose web ACL would be replaced
/// before anybody agrees to it; AssociateWebACL itself replaces silently.
pub struct WebAclAssociation;

/// The settings of an association.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct WebAclAssociationSpec<S: Stage> {
    /// The web ACL.
    pub web_acl: S::In<WebAclArn>,
    /// The ARN of the load balancer behind it.
    pub resource: S::In<String>,
}

outputs! { WebAclAssociation =>
    /// What is known of an association.
    WebAclAssociationOutputs {
        /// The ARN of the load balancer.
        resource: String,
    }
}

impl Resource for WebAclAssociation {
    const KIND: &'static str = "wafv2/web_acl_association";
    const IDENTITY: Identity = Identity::Parent;
    // The load balancer asks for permissions of its own.
    const OPERATIONS: Operations = Operations {
        read: &[
            "wafv2:GetWebACLForResource",
            "wafv2:GetWebACL",
            "elasticloadbalancing:GetLoadBalancerWebACL",
        ],
        create: &[
            "wafv2:AssociateWebACL",
            "elasticloadbalancing:SetWebAcl",
            "elasticloadbalancing:CreateWebACLAssociation",
        ],
        update: &[
            "wafv2:AssociateWebACL",
            "elasticloadbalancing:SetWebAcl",
            "elasticloadbalancing:CreateWebACLAssociation",
        ],
        delete: &[
            "wafv2:DisassociateWebACL",
            "elasticloadbalancing:SetWebAcl",
            "elasticloadbalancing:DeleteWebACLAssociation",
        ],
    };
    const REPLACE_ON: &'static [&'static str] = &["resource"];
    const TIMES: Times = Times::typical(15, 2);
    // Fresh web ACLs and load balancers are unknown to WAF for a while (field guide, section 5).
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create(UNAVAILABLE, 300),
        Refusal::update(UNAVAILABLE, 300),
        Refusal::delete(UNAVAILABLE, 300),
    ];
    type Api = Aws;
    type Spec<S: Stage> = WebAclAssociationSpec<S>;
    type Outputs = WebAclAssociationOutputs;

    async fn observe(
        aws: &Aws,
        _scope: &Scope,
        want: &WebAclAssociationSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let resource = last.map_or(&want.resource, |last| &last.outputs.resource);
        let live = |web_acl, condition| {
            Some(Live {
                outputs: WebAclAssociationOutputs {
                    resource: resource.clone(),
                },
                spec: WebAclAssociationSpec {
                    web_acl,
                    resource: resource.clone(),
                },
                condition,
            })
        };
        let answer = aws
            .wafv2
            .get_web_acl_for_resource()
            .resource_arn(resource)
            .send()
            .await
            .of("wafv2:GetWebACLForResource")
            .gone_is_none(GONE);
        match (answer, last) {
            (Ok(answer), _) => Ok(answer
                .and_then(|answer| answer.web_acl)
                .filter(|acl| !acl.arn.is_empty())
                .and_then(|acl| live(WebAclArn(acl.arn), Condition::Ready))),
            // What we made is still on its way; without a record there is nothing yet.
            (Err(error), last) if error.is(&[UNAVAILABLE]) => Ok(last.and_then(|last| {
                let pending = Condition::Pending("unavailable".to_owned());
                live(last.spec.web_acl.clone(), pending)
            })),
            (Err(error), _) => Err(error),
        }
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &WebAclAssociationSpec<Resolved>,
    ) -> Result<WebAclAssociationOutputs> {
        associate(aws, want).await?;
        Ok(WebAclAssociationOutputs {
            resource: want.resource.clone(),
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        _live: &Live<Self>,
        want: &WebAclAssociationSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        if changes.touch("web_acl") {
            associate(aws, want).await?;
        }
        Ok(())
    }

    // The load balancer is ours, and this happens only when it goes too; a Firewall Manager policy
    // that put another web ACL there in the meantime must not hold up `down`.
    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.wafv2
            .disassociate_web_acl()
            .resource_arn(&live.outputs.resource)
            .send()
            .await
            .of("wafv2:DisassociateWebACL")
            .gone_is_fine(GONE)
    }
}

async fn associate(aws: &Aws, want: &WebAclAssociationSpec<Resolved>) -> Result<()> {
    aws.wafv2
        .associate_web_acl()
        .web_acl_arn(&*want.web_acl)
        .resource_arn(&want.resource)
        .send()
        .await
        .of("wafv2:AssociateWebACL")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_wafv2::Client;
    use aws_sdk_wafv2::operation::associate_web_acl::AssociateWebAclOutput;
    use aws_sdk_wafv2::operation::disassociate_web_acl::DisassociateWebACLError;
    use aws_sdk_wafv2::operation::get_web_acl_for_resource::{
        GetWebACLForResourceError, GetWebAclForResourceOutput,
    };
    use aws_sdk_wafv2::types::WebAcl as AwsWebAcl;
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::error::ErrorMetadata;
    use serde_json::json;

    use super::super::testing::nonexistent;
    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::diff;

    const BALANCER: &str =
        "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/order-api-dev/1";

    fn want() -> WebAclAssociationSpec<Resolved> {
        WebAclAssociationSpec {
            web_acl: "arn:ours".into(),
            resource: BALANCER.into(),
        }
    }

    fn last() -> Last<WebAclAssociation> {
        Last {
            outputs: WebAclAssociationOutputs {
                resource: BALANCER.into(),
            },
            spec: want(),
        }
    }

    fn associated(arn: &'static str) -> Rule {
        mock!(Client::get_web_acl_for_resource)
            .match_requests(|r| r.resource_arn() == Some(BALANCER))
            .then_output(move || {
                let acl = AwsWebAcl::builder().name("acl").id("1").arn(arn).build();
                GetWebAclForResourceOutput::builder()
                    .web_acl(acl.unwrap())
                    .build()
            })
    }

    async fn observe(
        rule: &Rule,
        last: Option<&Last<WebAclAssociation>>,
    ) -> Option<Live<WebAclAssociation>> {
        WebAclAssociation::observe(&mocked(&[rule]), &scope("waf"), &want(), last)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back() {
        let live = observe(&associated("arn:ours"), None).await.unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(live.outputs, last().outputs);
        assert_eq!(live.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn the_web_acl_of_another_team_shows_in_the_plan_before_it_is_replaced() {
        let replace = mock!(Client::associate_web_acl)
            .match_requests(|r| {
                r.web_acl_arn() == Some("arn:ours") && r.resource_arn() == Some(BALANCER)
            })
            .then_output(|| AssociateWebAclOutput::builder().build());
        let live = observe(&associated("arn:theirs"), None).await.unwrap();
        let changes = diff(&json!(want()), &json!(live.spec), None);
        assert_eq!(changes.0[0].from, "arn:theirs");
        let aws = mocked(&[&replace]);
        WebAclAssociation::update(&aws, &scope("waf"), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(replace.num_calls(), 1);
    }

    #[tokio::test]
    async fn no_web_acl_and_no_load_balancer_are_both_none() {
        let bare = mock!(Client::get_web_acl_for_resource)
            .then_output(|| GetWebAclForResourceOutput::builder().build());
        let gone = mock!(Client::get_web_acl_for_resource)
            .then_error(|| GetWebACLForResourceError::generic(nonexistent()));
        for rule in [bare, gone] {
            assert!(observe(&rule, None).await.is_none());
            assert!(observe(&rule, Some(&last())).await.is_none());
        }
    }

    #[tokio::test]
    async fn while_waf_does_not_know_a_fresh_load_balancer_the_association_is_pending() {
        let early = mock!(Client::get_web_acl_for_resource).then_error(|| {
            let code = ErrorMetadata::builder().code(UNAVAILABLE).build();
            GetWebACLForResourceError::generic(code)
        });
        assert!(observe(&early, None).await.is_none());
        let live = observe(&early, Some(&last())).await.unwrap();
        assert_eq!(live.spec, want());
        assert!(matches!(live.condition, Condition::Pending(_)));
    }

    #[tokio::test]
    async fn deleting_what_is_gone_is_fine() {
        let gone = mock!(Client::disassociate_web_acl)
            .match_requests(|r| r.resource_arn() == Some(BALANCER))
            .then_error(|| DisassociateWebACLError::generic(nonexistent()));
        let live = observe(&associated("arn:ours"), None).await.unwrap();
        WebAclAssociation::delete(&mocked(&[&gone]), &scope("waf"), &live)
            .await
            .unwrap();
        assert_eq!(gone.num_calls(), 1);
    }
}
