//! `iam/role`: what a task, or ECS itself, may do.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::{AttachedPolicy, Role as AwsRole, Tag};
use serde::{Deserialize, Serialize};

use super::{RoleArn, policy_document};
use crate::aws::{Answer, Aws, GoneIsNone, incomplete, missing};
use crate::resource::{
    Changes, Condition, Document, Identity, Last, Live, Refusal, Resource, Result, Scope, Stage,
    Tags, outputs,
};

/// An `AWS::IAM::Role` with all of its policies: policies that others attach or put are drift.
pub struct Role;

/// The settings of a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleSpec {
    /// Its name, at most 64 characters.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who may assume it.
    pub trust_policy: Document,
    /// The ARNs of all attached managed policies.
    pub managed_policies: BTreeSet<String>,
    /// All inline policies, by name.
    pub inline_policies: BTreeMap<String, Document>,
    /// Its tags.
    pub tags: Tags,
}

outputs! { Role =>
    /// What AWS gives a role.
    RoleOutputs {
        /// The role's ARN.
        arn: RoleArn,
        /// The role's name.
        name: String,
    }
}

const GONE: &[&str] = &["NoSuchEntity"];

impl Resource for Role {
    const KIND: &'static str = "iam/role";
    const IDENTITY: Identity = Identity::Name;
    const REPLACE_ON: &'static [&'static str] = &["name"];
    // Its policies mention secrets and parameters by ARN; IAM does not mind when those go.
    const HOLDS_INPUTS: bool = false;
    // Field guide, section 3.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("MalformedPolicyDocument", 120).saying("Invalid principal in policy"),
        Refusal::create("ConcurrentModification", 120),
        Refusal::update("MalformedPolicyDocument", 120).saying("Invalid principal in policy"),
        Refusal::update("ConcurrentModification", 120),
        Refusal::update("EntityTemporarilyUnmodifiable", 120),
        // A role just created. A policy that does not exist answers with the same code and other
        // words, and stays an error.
        Refusal::update("NoSuchEntity", 120).saying("The role with name"),
        Refusal::delete("DeleteConflict", 120),
        Refusal::delete("ConcurrentModification", 120),
        Refusal::delete("EntityTemporarilyUnmodifiable", 120),
    ];
    type Api = Aws;
    type Spec<S: Stage> = RoleSpec;
    type Outputs = RoleOutputs;

    async fn observe(
        aws: &Aws,
        _scope: &Scope,
        want: &RoleSpec,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let name = last.map_or(&want.name, |last| &last.outputs.name);
        let Some(role) = get_role(aws, name).await? else {
            return Ok(None);
        };
        let policies = tokio::try_join!(
            managed_policies(aws, name),
            inline_policies(aws, name, &want.inline_policies)
        )?;
        let (Some(managed_policies), Some(inline_policies)) = policies else {
            return Ok(None);
        };
        let trust = role.assume_role_policy_document().unwrap_or_default();
        Ok(Some(Live {
            outputs: outputs_of(&role),
            spec: RoleSpec {
                name: role.role_name().to_owned(),
                description: role.description().unwrap_or_default().to_owned(),
                trust_policy: policy_document::read(trust, Some(&want.trust_policy)),
                managed_policies,
                inline_policies,
                tags: Tags::from_pairs(role.tags().iter().map(|tag| (tag.key(), tag.value()))),
            },
            condition: Condition::Ready,
        }))
    }

    async fn create(aws: &Aws, _scope: &Scope, want: &RoleSpec) -> Result<RoleOutputs> {
        const OPERATION: &str = "iam:CreateRole";
        let tags = tags(OPERATION, want.tags.iter())?;
        let answer = aws
            .iam
            .create_role()
            .role_name(&want.name)
            .description(&want.description)
            .assume_role_policy_document(want.trust_policy.to_string())
            .set_tags(Some(tags))
            .send()
            .await
            .of(OPERATION)?;
        let role = answer.role().ok_or_else(missing(OPERATION, "Role"))?;
        Ok(outputs_of(role))
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &RoleSpec,
        changes: &Changes,
    ) -> Result<()> {
        let name = &live.outputs.name;
        if changes.touch("trust_policy") {
            aws.iam
                .update_assume_role_policy()
                .role_name(name)
                .policy_document(want.trust_policy.to_string())
                .send()
                .await
                .of("iam:UpdateAssumeRolePolicy")?;
        }
        if changes.touch("description") {
            // UpdateRole would reset the maximum session duration along with it.
            aws.iam
                .update_role_description()
                .role_name(name)
                .description(&want.description)
                .send()
                .await
                .of("iam:UpdateRoleDescription")?;
        }
        // Grants come before withdrawals, so that a role in use never holds less than either set.
        let (wanted, present) = (&want.managed_policies, &live.spec.managed_policies);
        if changes.touch("managed_policies") {
            for arn in wanted.difference(present) {
                attach(aws, name, arn).await?;
            }
        }
        if changes.touch("inline_policies") {
            for (policy, document) in &want.inline_policies {
                if live.spec.inline_policies.get(policy) != Some(document) {
                    put_inline(aws, name, policy, document).await?;
                }
            }
            for policy in live.spec.inline_policies.keys() {
                if !want.inline_policies.contains_key(policy) {
                    delete_inline(aws, name, policy).await?;
                }
            }
        }
        if changes.touch("managed_policies") {
            for arn in present.difference(wanted) {
                detach(aws, name, arn).await?;
            }
        }
        if changes.touch("tags") {
            change_tags(aws, name, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    /// Lists the policies anew: a look at a role made moments ago may have missed some, and IAM deletes
    /// no role that has any (`DeleteConflict`).
    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        let name = &live.outputs.name;
        for arn in managed_policies(aws, name).await?.unwrap_or_default() {
            detach(aws, name, &arn).await?;
        }
        for policy in inline_policy_names(aws, name).await?.unwrap_or_default() {
            delete_inline(aws, name, &policy).await?;
        }
        aws.iam
            .delete_role()
            .role_name(name)
            .send()
            .await
            .of("iam:DeleteRole")
            .gone_is_fine(GONE)
    }
}

fn outputs_of(role: &AwsRole) -> RoleOutputs {
    RoleOutputs {
        arn: role.arn().into(),
        name: role.role_name().to_owned(),
    }
}

async fn get_role(aws: &Aws, name: &str) -> Result<Option<AwsRole>> {
    let answer = aws.iam.get_role().role_name(name).send().await;
    let answer = answer.of("iam:GetRole").gone_is_none(GONE)?;
    Ok(answer.and_then(|answer| answer.role))
}

async fn managed_policies(aws: &Aws, name: &str) -> Result<Option<BTreeSet<String>>> {
    let attached = aws
        .iam
        .list_attached_role_policies()
        .role_name(name)
        .into_paginator()
        .items()
        .send()
        .collect::<std::result::Result<Vec<AttachedPolicy>, _>>()
        .await
        .of("iam:ListAttachedRolePolicies")
        .gone_is_none(GONE)?;
    let arns = |policies: Vec<AttachedPolicy>| {
        let arns = policies.into_iter().filter_map(|policy| policy.policy_arn);
        arns.collect()
    };
    Ok(attached.map(arns))
}

async fn inline_policy_names(aws: &Aws, name: &str) -> Result<Option<Vec<String>>> {
    aws.iam
        .list_role_policies()
        .role_name(name)
        .into_paginator()
        .items()
        .send()
        .collect::<std::result::Result<_, _>>()
        .await
        .of("iam:ListRolePolicies")
        .gone_is_none(GONE)
}

async fn inline_policies(
    aws: &Aws,
    name: &str,
    want: &BTreeMap<String, Document>,
) -> Result<Option<BTreeMap<String, Document>>> {
    let Some(names) = inline_policy_names(aws, name).await? else {
        return Ok(None);
    };
    let mut found = BTreeMap::new();
    for policy in names {
        let answer = aws
            .iam
            .get_role_policy()
            .role_name(name)
            .policy_name(&policy)
            .send()
            .await
            .of("iam:GetRolePolicy")
            .gone_is_none(GONE)?;
        if let Some(answer) = answer {
            let document = policy_document::read(answer.policy_document(), want.get(&policy));
            found.insert(policy, document);
        }
    }
    Ok(Some(found))
}

async fn attach(aws: &Aws, role: &str, arn: &str) -> Result<()> {
    let call = aws.iam.attach_role_policy().role_name(role).policy_arn(arn);
    call.send().await.of("iam:AttachRolePolicy").map(|_| ())
}

async fn detach(aws: &Aws, role: &str, arn: &str) -> Result<()> {
    let call = aws.iam.detach_role_policy().role_name(role).policy_arn(arn);
    let answer = call.send().await.of("iam:DetachRolePolicy");
    answer.gone_is_fine(GONE)
}

async fn put_inline(aws: &Aws, role: &str, policy: &str, document: &Document) -> Result<()> {
    let call = aws
        .iam
        .put_role_policy()
        .role_name(role)
        .policy_name(policy)
        .policy_document(document.to_string());
    call.send().await.of("iam:PutRolePolicy").map(|_| ())
}

async fn delete_inline(aws: &Aws, role: &str, policy: &str) -> Result<()> {
    let call = aws
        .iam
        .delete_role_policy()
        .role_name(role)
        .policy_name(policy);
    let answer = call.send().await.of("iam:DeleteRolePolicy");
    answer.gone_is_fine(GONE)
}

fn tags<'a>(
    operation: &'static str,
    pairs: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<Vec<Tag>> {
    pairs
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<std::result::Result<_, _>>()
        .map_err(incomplete(operation))
}

async fn change_tags(aws: &Aws, role: &str, live: &Tags, want: &Tags) -> Result<()> {
    let missing = want.missing_from(live);
    if !missing.is_empty() {
        let tags = tags("iam:TagRole", missing.iter().map(|(k, v)| (k, v)))?;
        let call = aws.iam.tag_role().role_name(role).set_tags(Some(tags));
        call.send().await.of("iam:TagRole")?;
    }
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        let call = aws.iam.untag_role().role_name(role);
        let call = call.set_tag_keys(Some(surplus));
        call.send().await.of("iam:UntagRole")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_iam::Client;
    use aws_sdk_iam::error::ErrorMetadata;
    use aws_sdk_iam::operation::attach_role_policy::AttachRolePolicyOutput;
    use aws_sdk_iam::operation::delete_role::DeleteRoleOutput;
    use aws_sdk_iam::operation::delete_role_policy::{
        DeleteRolePolicyError, DeleteRolePolicyOutput,
    };
    use aws_sdk_iam::operation::detach_role_policy::DetachRolePolicyOutput;
    use aws_sdk_iam::operation::get_role::{GetRoleError, GetRoleOutput};
    use aws_sdk_iam::operation::get_role_policy::GetRolePolicyOutput;
    use aws_sdk_iam::operation::list_attached_role_policies::ListAttachedRolePoliciesOutput;
    use aws_sdk_iam::operation::list_role_policies::ListRolePoliciesOutput;
    use aws_sdk_iam::operation::put_role_policy::PutRolePolicyOutput;
    use aws_smithy_mocks::{Rule, RuleMode, mock};
    use aws_smithy_types::DateTime;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::testing::{mocked, mocked_in, scope};
    use crate::resource::{NODE_TAG, diff};

    const NAME: &str = "ecs-task-dev";
    const MANAGED: &str = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";
    const FOREIGN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

    fn trust() -> Value {
        json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "ecs-tasks.amazonaws.com" },
            "Action": ["sts:AssumeRole"],
        }]})
    }

    fn inline() -> Value {
        json!({ "Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "ssm:GetParameter", "Resource": ["arn:b", "arn:a"],
        }})
    }

    fn want() -> RoleSpec {
        RoleSpec {
            name: NAME.into(),
            description: "Runs the order API".into(),
            trust_policy: Document(trust()),
            managed_policies: BTreeSet::from([MANAGED.into()]),
            inline_policies: BTreeMap::from([("order-api".into(), Document(inline()))]),
            tags: Tags::from_pairs([(NODE_TAG, "task-role")]),
        }
    }

    fn encoded(document: &Value) -> String {
        utf8_percent_encode(&document.to_string(), NON_ALPHANUMERIC).to_string()
    }

    /// IAM's answers about the role of [`want`], with its documents in IAM's own form.
    fn in_iam() -> Vec<Rule> {
        let role = mock!(Client::get_role).then_output(|| {
            let mut trust = trust();
            trust["Statement"][0]["Action"] = json!("sts:AssumeRole");
            let role = AwsRole::builder()
                .path("/")
                .role_name(NAME)
                .role_id("AROAEXAMPLE")
                .arn(format!("arn:aws:iam::123456789012:role/{NAME}"))
                .create_date(DateTime::from_secs(0))
                .description("Runs the order API")
                .assume_role_policy_document(encoded(&trust))
                .tags(
                    Tag::builder()
                        .key(NODE_TAG)
                        .value("task-role")
                        .build()
                        .unwrap(),
                );
            GetRoleOutput::builder().role(role.build().unwrap()).build()
        });
        let attached = mock!(Client::list_attached_role_policies).then_output(|| {
            let policy = AttachedPolicy::builder().policy_arn(MANAGED).build();
            ListAttachedRolePoliciesOutput::builder()
                .attached_policies(policy)
                .build()
        });
        let names = mock!(Client::list_role_policies).then_output(|| {
            let names = ListRolePoliciesOutput::builder().policy_names("order-api");
            names.build().unwrap()
        });
        let document = mock!(Client::get_role_policy).then_output(|| {
            let mut inline = inline();
            inline["Statement"] = json!([inline["Statement"]]);
            inline["Statement"][0]["Resource"] = json!(["arn:a", "arn:b"]);
            GetRolePolicyOutput::builder()
                .role_name(NAME)
                .policy_name("order-api")
                .policy_document(encoded(&inline))
                .build()
                .unwrap()
        });
        vec![role, attached, names, document]
    }

    async fn live() -> Live<Role> {
        let rules = in_iam();
        let aws = mocked(&rules.iter().collect::<Vec<_>>());
        let live = Role::observe(&aws, &scope("task-role"), &want(), None).await;
        live.unwrap().unwrap()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_and_takes_documents_by_their_meaning() {
        let live = live().await;
        assert_eq!(live.spec, want());
        assert_eq!(live.outputs.name, NAME);
        assert_eq!(
            &*live.outputs.arn,
            "arn:aws:iam::123456789012:role/ecs-task-dev"
        );
    }

    #[tokio::test]
    async fn a_gone_role_is_none() {
        let gone = mock!(Client::get_role).then_error(|| {
            GetRoleError::generic(ErrorMetadata::builder().code("NoSuchEntity").build())
        });
        let found = Role::observe(&mocked(&[&gone]), &scope("task-role"), &want(), None).await;
        assert!(found.unwrap().is_none());
    }

    #[tokio::test]
    async fn update_puts_back_what_is_missing_and_removes_what_others_added() {
        let attach = mock!(Client::attach_role_policy)
            .match_requests(|r| r.policy_arn() == Some(MANAGED))
            .then_output(|| AttachRolePolicyOutput::builder().build());
        let detach = mock!(Client::detach_role_policy)
            .match_requests(|r| r.policy_arn() == Some(FOREIGN))
            .then_output(|| DetachRolePolicyOutput::builder().build());
        let put = mock!(Client::put_role_policy)
            .match_requests(|r| r.policy_document() == Some(&inline().to_string()))
            .then_output(|| PutRolePolicyOutput::builder().build());
        let delete = mock!(Client::delete_role_policy)
            .match_requests(|r| r.policy_name() == Some("foreign"))
            .then_output(|| DeleteRolePolicyOutput::builder().build());
        let aws = mocked(&[&attach, &detach, &put, &delete]);
        let mut live = live().await;
        live.spec.managed_policies = BTreeSet::from([FOREIGN.into()]);
        live.spec.inline_policies = BTreeMap::from([
            ("foreign".into(), Document(inline())),
            ("order-api".into(), Document(json!({}))),
        ]);
        let changes = diff(&json!(want()), &json!(live.spec), None);
        Role::update(&aws, &scope("task-role"), &live, &want(), &changes)
            .await
            .unwrap();
        let calls = [&attach, &detach, &put, &delete].map(Rule::num_calls);
        assert_eq!(calls, [1, 1, 1, 1]);
        assert_eq!(aws.calls().writes(), 4);
    }

    #[tokio::test]
    async fn delete_takes_off_the_policies_there_are_and_minds_none_that_is_gone() {
        let detach = mock!(Client::detach_role_policy)
            .match_requests(|r| r.policy_arn() == Some(MANAGED))
            .then_output(|| DetachRolePolicyOutput::builder().build());
        let inline = mock!(Client::delete_role_policy).then_error(|| {
            let gone = ErrorMetadata::builder().code("NoSuchEntity");
            DeleteRolePolicyError::generic(gone.build())
        });
        let delete = mock!(Client::delete_role).then_output(|| DeleteRoleOutput::builder().build());
        let lists = in_iam();
        let order = [&lists[1], &detach, &lists[2], &inline, &delete];
        let aws = mocked_in(RuleMode::Sequential, &order);
        let mut live = live().await;
        // What an earlier look missed goes too.
        live.spec.managed_policies.clear();
        live.spec.inline_policies.clear();
        Role::delete(&aws, &scope("task-role"), &live)
            .await
            .unwrap();
        assert_eq!(delete.num_calls(), 1);
    }
}
