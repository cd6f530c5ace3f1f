//! `secretsmanager/secret`: the database user's credentials, made once and kept by Secrets Manager.
//! No part of this program but the create request ever holds the value (law 7).

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SecretListEntry};
use serde::{Deserialize, Serialize};

use super::{Credentials, SecretArn, add_tags, change_tags, read_credentials, sdk_tags, tags_of};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Class, Condition, Error, Identity, Last, Live, Operations, Refusal, Resolved,
    Resource, Result, STACK_TAG, Scope, Stage, Tags, outputs,
};

/// An `AWS::SecretsManager::Secret` with the value `{"username", "password"}`.
pub struct Secret;

/// The settings of a secret; its value is none of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SecretSpec<S: Stage> {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: S::In<String>,
    /// The database user inside its value. Describe does not return it, so a change made by
    /// somebody else is not seen.
    pub username: String,
    /// Its tags.
    pub tags: Tags,
}

outputs! { Secret =>
    /// What AWS gives a secret.
    SecretOutputs {
        /// The secret's full ARN.
        arn: SecretArn,
    }
}

const GONE: &[&str] = &["ResourceNotFoundException"];

impl Resource for Secret {
    const KIND: &'static str = "secretsmanager/secret";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &[
            "secretsmanager:DescribeSecret",
            "secretsmanager:ListSecrets",
        ],
        create: &[
            "secretsmanager:GetRandomPassword",
            "secretsmanager:CreateSecret",
            "secretsmanager:RestoreSecret",
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:TagResource",
        ],
        update: &[
            "secretsmanager:UpdateSecret",
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:TagResource",
            "secretsmanager:UntagResource",
        ],
        delete: &["secretsmanager:DeleteSecret"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name"];
    // Field guide, section 6: a forced deletion goes on for a while after the answer, and a fresh
    // secret may not be readable at once. AWS writes "can’t perform" with a curly apostrophe, so
    // the fragment leaves that part out.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("InvalidRequestException", 120).saying(PENDING),
        Refusal::update("ResourceNotFoundException", 120),
    ];
    type Api = Aws;
    type Spec<S: Stage> = SecretSpec<S>;
    type Outputs = SecretOutputs;

    async fn observe(
        aws: &Aws,
        _scope: &Scope,
        want: &SecretSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let id = last.map_or(&*want.name, |last| &*last.outputs.arn);
        let username = last.map_or(&want.username, |last| &last.spec.username);
        let Some(secret) = describe(aws, id).await? else {
            return Ok(None);
        };
        // Inside its recovery window it cannot be read or changed: it is gone until restored.
        if secret.deleted_date().is_some() {
            return Ok(None);
        }
        let field = |name| missing("secretsmanager:DescribeSecret", name);
        Ok(Some(Live {
            outputs: SecretOutputs {
                arn: secret.arn().ok_or_else(field("ARN"))?.into(),
            },
            spec: SecretSpec {
                name: secret.name().ok_or_else(field("Name"))?.to_owned(),
                description: secret.description().unwrap_or_default().to_owned(),
                username: username.clone(),
                tags: tags_of(secret.tags()),
            },
            condition: Condition::Ready,
        }))
    }

    async fn create(
        aws: &Aws,
        scope: &Scope,
        want: &SecretSpec<Resolved>,
    ) -> Result<SecretOutputs> {
        let credentials = Credentials::generate(aws, &want.username).await?;
        let answer = aws
            .secrets
            .create_secret()
            .name(&want.name)
            .description(&want.description)
            .secret_string(credentials.to_secret_string())
            // Becomes the id of the first version.
            .set_client_request_token(scope.token.clone())
            .set_tags(Some(sdk_tags(want.tags.iter())))
            .send()
            .await
            .of("secretsmanager:CreateSecret")
            .map_err(|error| credentials.password.hide_in(error));
        match answer {
            Ok(created) => Ok(SecretOutputs {
                arn: created
                    .arn()
                    .ok_or_else(missing("secretsmanager:CreateSecret", "ARN"))?
                    .into(),
            }),
            Err(error) if error.says("InvalidRequestException", PENDING) => {
                restore(aws, scope, want, &credentials, error).await
            }
            Err(error) => Err(error),
        }
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &SecretSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        let arn = &live.outputs.arn;
        if changes.touch("username") {
            // The password stays: a database may be in use with it.
            let mut credentials = super::read_credentials(aws, arn).await?;
            credentials.username.clone_from(&want.username);
            put_value(aws, arn, &credentials, None).await?;
        }
        if changes.touch("description") {
            aws.secrets
                .update_secret()
                .secret_id(&**arn)
                .description(&want.description)
                .send()
                .await
                .of("secretsmanager:UpdateSecret")?;
        }
        if changes.touch("tags") {
            change_tags(aws, arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        // Without a recovery window, so that the next `up` may take the same name.
        aws.secrets
            .delete_secret()
            .secret_id(&*live.outputs.arn)
            .force_delete_without_recovery(true)
            .send()
            .await
            .of("secretsmanager:DeleteSecret")
            .gone_is_fine(GONE)
    }

    async fn sweep(
        aws: &Aws,
        scope: &Scope,
        known: &[SecretSpec<Resolved>],
    ) -> Result<Vec<Live<Self>>> {
        let field = |name| missing("secretsmanager:ListSecrets", name);
        let username = known.first().map(|spec| spec.username.clone());
        let live = |secret: SecretListEntry| {
            Ok(Live {
                outputs: SecretOutputs {
                    arn: secret.arn().ok_or_else(field("ARN"))?.into(),
                },
                spec: SecretSpec {
                    name: secret.name().ok_or_else(field("Name"))?.to_owned(),
                    description: secret.description().unwrap_or_default().to_owned(),
                    username: username.clone().unwrap_or_default(),
                    tags: tags_of(secret.tags()),
                },
                condition: Condition::Ready,
            })
        };
        let secrets = list(aws, &scope.stack).await?;
        secrets.into_iter().map(live).collect()
    }
}

/// Lists the secrets that carry the stack's tag and are not inside their recovery window. The filter
/// takes the beginnings of tags, and any key with any value, so that it only narrows the list.
async fn list(aws: &Aws, stack: &str) -> Result<Vec<SecretListEntry>> {
    let filter = |name, value: &str| Filter::builder().key(name).values(value).build();
    let mut pages = aws
        .secrets
        .list_secrets()
        .filters(filter(FilterNameStringType::TagKey, STACK_TAG))
        .filters(filter(FilterNameStringType::TagValue, stack))
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.of("secretsmanager:ListSecrets")?;
        found.extend(page.secret_list.unwrap_or_default());
    }
    found.retain(|secret| {
        tags_of(secret.tags()).0.get(STACK_TAG).map(String::as_str) == Some(stack)
    });
    Ok(found)
}

/// What AWS says of a name whose former secret is not gone yet.
const PENDING: &str = "scheduled for deletion";

async fn describe(aws: &Aws, id: &str) -> Result<Option<DescribeSecretOutput>> {
    aws.secrets
        .describe_secret()
        .secret_id(id)
        .send()
        .await
        .of("secretsmanager:DescribeSecret")
        .gone_is_none(GONE)
}

async fn put_value(
    aws: &Aws,
    arn: &str,
    credentials: &Credentials,
    token: Option<String>,
) -> Result<()> {
    aws.secrets
        .put_secret_value()
        .secret_id(arn)
        .secret_string(credentials.to_secret_string())
        .set_client_request_token(token)
        .send()
        .await
        .of("secretsmanager:PutSecretValue")
        .map_err(|error| credentials.password.hide_in(error))?;
    Ok(())
}

/// Takes back the secret whose recovery window blocks the name, if it is this stack's, and gives it
/// the new `credentials` unless it holds usable ones. `refusal` is AWS's answer to the create: it stands when there is nothing
/// to restore, because then a forced deletion is about to end.
async fn restore(
    aws: &Aws,
    scope: &Scope,
    want: &SecretSpec<Resolved>,
    credentials: &Credentials,
    refusal: Error,
) -> Result<SecretOutputs> {
    let Some(pending) = describe(aws, &want.name).await? else {
        return Err(refusal);
    };
    let (Some(arn), true) = (pending.arn(), pending.deleted_date().is_some()) else {
        return Err(refusal);
    };
    let tags = tags_of(pending.tags());
    if tags.0.get(STACK_TAG) != Some(&scope.stack) {
        return Err(Error::new(
            "secretsmanager:CreateSecret",
            Class::Refused,
            format!(
                "the name {} is held by a deleted secret in its recovery window that does not \
                 carry the tag {STACK_TAG}={}",
                want.name, scope.stack
            ),
        )
        .with_request_id(refusal.request_id().map(str::to_owned))
        .with_advice(format!(
            "to use that secret: `aws secretsmanager restore-secret --secret-id {arn}`, then \
             `orderctl up --adopt`; to free the name for good: `aws secretsmanager delete-secret \
             --secret-id {arn} --force-delete-without-recovery`, then run the same command again"
        )));
    }
    let restored = aws
        .secrets
        .restore_secret()
        .secret_id(arn)
        .send()
        .await
        .of("secretsmanager:RestoreSecret");
    match restored {
        Ok(_) => {}
        // A forced deletion cannot be called back.
        Err(error) if error.is(&["ResourceNotFoundException", "InvalidRequestException"]) => {
            return Err(refusal);
        }
        Err(error) => return Err(error),
    }
    add_tags(aws, arn, &tags, &want.tags).await?;
    let arn = SecretArn::from(arn);
    // A cluster that runs still has the old password, and would not learn of a new one.
    let keeps = read_credentials(aws, &arn)
        .await
        .is_ok_and(|kept| kept.username == want.username);
    if !keeps {
        put_value(aws, &arn, credentials, scope.token.clone()).await?;
    }
    Ok(SecretOutputs { arn })
}

#[cfg(test)]
mod tests;
