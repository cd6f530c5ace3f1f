//! `iam/role`: what a task, or ECS itself, may do.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::{AttachedPolicy, Role as AwsRole, Tag};
use serde::{Deserialize, Serialize};

use super::{RoleArn, policy_document};
use crate::aws::{Answer, Aws, GoneIsNone, incomplete, missing};
use crate::resource::{
    Changes, Condition, Document, Identity, Last, Live, Operations, Refusal, Resource, Result,
    Scope, Stage, Tags, outputs,
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
    const OPERATIONS: Operations = Operations {
        read: &[
            "iam:GetRole",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "iam:GetRolePolicy",
        ],
        create: &["iam:CreateRole", "iam:TagRole"],
        update: &[
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRoleDescription",
            "iam:AttachRolePolicy",
            "iam:DetachRolePolicy",
            "iam:PutRolePolicy",
            "iam:DeleteRolePolicy",
            "iam:TagRole",
            "iam:UntagRole",
        ],
        delete: &[
            "iam:DetachRolePolicy",
            "iam:DeleteRolePolicy",
            "iam:DeleteRole",
        ],
    };
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
mod tests;
