//! `secretsmanager/secret`: the database user's credentials, made once and kept by Secrets Manager.
//! No part of this program but the create request ever holds the value (law 7).

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use serde::{Deserialize, Serialize};

use super::{Credentials, SecretArn, add_tags, change_tags, sdk_tags, tags_of};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Class, Condition, Error, Identity, Last, Live, Refusal, Resolved, Resource, Result,
    STACK_TAG, Scope, Stage, Tags, outputs,
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
            .of("secretsmanager:CreateSecret");
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
        .of("secretsmanager:PutSecretValue")?;
    Ok(())
}

/// Takes back the secret whose recovery window blocks the name, if it is this stack's, and gives it
/// the new `credentials`. `refusal` is AWS's answer to the create: it stands when there is nothing
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
    put_value(aws, arn, credentials, scope.token.clone()).await?;
    Ok(SecretOutputs { arn: arn.into() })
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::Client;
    use aws_sdk_secretsmanager::error::ErrorMetadata;
    use aws_sdk_secretsmanager::operation::create_secret::{CreateSecretError, CreateSecretOutput};
    use aws_sdk_secretsmanager::operation::delete_secret::DeleteSecretOutput;
    use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretError;
    use aws_sdk_secretsmanager::operation::get_random_password::GetRandomPasswordOutput;
    use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
    use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueOutput;
    use aws_sdk_secretsmanager::operation::restore_secret::{
        RestoreSecretError, RestoreSecretOutput,
    };
    use aws_sdk_secretsmanager::operation::tag_resource::TagResourceOutput;
    use aws_sdk_secretsmanager::operation::update_secret::UpdateSecretOutput;
    use aws_sdk_secretsmanager::primitives::DateTime;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{Bound, NODE_TAG, Verb, diff};

    const NAME: &str = "order-api-db-password-dev";
    const ARN: &str =
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:order-api-db-password-dev-AbCdEf";

    fn want() -> SecretSpec<Resolved> {
        SecretSpec {
            name: NAME.into(),
            description: "Credentials of the order API's database".into(),
            username: "admin".into(),
            tags: Tags::from_pairs([(STACK_TAG, "dev"), (NODE_TAG, "db-secret")]),
        }
    }

    fn in_aws(deleted: bool, tags: &[(&str, &str)]) -> impl Fn() -> DescribeSecretOutput + use<> {
        let tags = Tags::from_pairs(tags.iter().copied());
        move || {
            DescribeSecretOutput::builder()
                .arn(ARN)
                .name(NAME)
                .description("Credentials of the order API's database")
                .set_tags(Some(sdk_tags(tags.iter())))
                .set_deleted_date(deleted.then(|| DateTime::from_secs(1_700_000_000)))
                .build()
        }
    }

    const OURS: &[(&str, &str)] = &[(STACK_TAG, "dev"), (NODE_TAG, "db-secret")];

    fn last() -> Last<Secret> {
        Last {
            outputs: SecretOutputs { arn: ARN.into() },
            spec: want(),
        }
    }

    fn random() -> Rule {
        mock!(Client::get_random_password).then_output(|| {
            GetRandomPasswordOutput::builder()
                .random_password("hunter2")
                .build()
        })
    }

    fn refused() -> Rule {
        mock!(Client::create_secret).then_error(|| {
            let message = "You can\u{2019}t create this secret because a secret with this name is \
                           already scheduled for deletion.";
            CreateSecretError::generic(
                ErrorMetadata::builder()
                    .code("InvalidRequestException")
                    .message(message)
                    .build(),
            )
        })
    }

    fn not_found() -> DescribeSecretError {
        DescribeSecretError::generic(
            ErrorMetadata::builder()
                .code("ResourceNotFoundException")
                .build(),
        )
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_by_name_first_and_by_full_arn_when_known() {
        for (id, last) in [(NAME, None), (ARN, Some(last()))] {
            let rule = mock!(Client::describe_secret)
                .match_requests(move |r| r.secret_id() == Some(id))
                .then_output(in_aws(false, OURS));
            let live = Secret::observe(
                &mocked(&[&rule]),
                &scope("db-secret"),
                &want(),
                last.as_ref(),
            )
            .await
            .unwrap()
            .unwrap();
            assert_eq!(live.spec, want());
            assert_eq!(&*live.outputs.arn, ARN);
        }
    }

    #[tokio::test]
    async fn a_missing_secret_and_one_in_its_recovery_window_are_gone() {
        let missing = mock!(Client::describe_secret).then_error(not_found);
        let deleted = mock!(Client::describe_secret).then_output(in_aws(true, OURS));
        for rule in [missing, deleted] {
            let live = Secret::observe(&mocked(&[&rule]), &scope("db-secret"), &want(), None).await;
            assert!(live.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn create_stores_a_new_password_under_the_saved_token_with_tags() {
        let create = mock!(Client::create_secret)
            .match_requests(|r| {
                r.name() == Some(NAME)
                    && r.client_request_token() == Some("token-1")
                    && r.secret_string() == Some(r#"{"username":"admin","password":"hunter2"}"#)
                    && tags_of(r.tags()) == want().tags
            })
            .then_output(|| CreateSecretOutput::builder().arn(ARN).build());
        let mut scope = scope("db-secret");
        scope.token = Some("token-1".into());
        let outputs = Secret::create(&mocked(&[&random(), &create]), &scope, &want())
            .await
            .unwrap();
        assert_eq!(&*outputs.arn, ARN);
    }

    #[tokio::test]
    async fn our_own_deleted_secret_is_restored_with_a_new_password_and_our_tags() {
        let describe =
            mock!(Client::describe_secret).then_output(in_aws(true, &[(STACK_TAG, "dev")]));
        let restore = mock!(Client::restore_secret)
            .match_requests(|r| r.secret_id() == Some(ARN))
            .then_output(|| RestoreSecretOutput::builder().build());
        let tag = mock!(Client::tag_resource)
            .match_requests(|r| r.tags().len() == 1 && r.tags()[0].key() == Some(NODE_TAG))
            .then_output(|| TagResourceOutput::builder().build());
        let put = mock!(Client::put_secret_value)
            .match_requests(|r| {
                r.secret_id() == Some(ARN)
                    && r.secret_string().is_some_and(|s| s.contains("hunter2"))
            })
            .then_output(|| PutSecretValueOutput::builder().build());
        let (random, refused) = (random(), refused());
        let aws = mocked(&[&random, &refused, &describe, &restore, &tag, &put]);
        let outputs = Secret::create(&aws, &scope("db-secret"), &want())
            .await
            .unwrap();
        assert_eq!(&*outputs.arn, ARN);
        assert_eq!(
            (restore.num_calls(), tag.num_calls(), put.num_calls()),
            (1, 1, 1)
        );
    }

    #[tokio::test]
    async fn a_deleted_secret_of_others_is_left_alone_and_named_with_advice() {
        let describe =
            mock!(Client::describe_secret).then_output(in_aws(true, &[(STACK_TAG, "prod")]));
        let (random, refused) = (random(), refused());
        let aws = mocked(&[&random, &refused, &describe]);
        let error = Secret::create(&aws, &scope("db-secret"), &want())
            .await
            .unwrap_err();
        assert!(error.message().contains(NAME));
        assert!(error.advice().unwrap().contains("restore-secret"));
        assert_eq!(patience(&error), None, "waiting does not help");
    }

    #[tokio::test]
    async fn a_forced_deletion_still_under_way_is_waited_for() {
        let gone = mock!(Client::describe_secret).then_error(not_found);
        let there = mock!(Client::describe_secret).then_output(in_aws(true, OURS));
        let lost = mock!(Client::restore_secret).then_error(|| {
            RestoreSecretError::generic(
                ErrorMetadata::builder()
                    .code("ResourceNotFoundException")
                    .build(),
            )
        });
        for rules in [vec![&gone], vec![&there, &lost]] {
            let (random, refused) = (random(), refused());
            let rules: Vec<_> = [&random, &refused].into_iter().chain(rules).collect();
            let error = Secret::create(&mocked(&rules), &scope("db-secret"), &want())
                .await
                .unwrap_err();
            assert!(patience(&error).is_some_and(|time| time.as_secs() == 120));
        }
    }

    fn patience(error: &Error) -> Option<std::time::Duration> {
        use crate::resource::AnyKind;
        let kind = Bound::<Secret>::new(std::sync::Arc::new(mocked(&[])));
        kind.profile().patience(Verb::Create, error)
    }

    #[tokio::test]
    async fn update_sends_only_what_changed_and_a_new_user_keeps_the_password() {
        let describe = mock!(Client::update_secret)
            .match_requests(|r| r.description() == Some("new") && r.secret_string().is_none())
            .then_output(|| UpdateSecretOutput::builder().build());
        let value = mock!(Client::get_secret_value).then_output(|| {
            GetSecretValueOutput::builder()
                .secret_string(r#"{"username":"admin","password":"hunter2"}"#)
                .build()
        });
        let put = mock!(Client::put_secret_value)
            .match_requests(|r| {
                r.secret_string() == Some(r#"{"username":"orders","password":"hunter2"}"#)
            })
            .then_output(|| PutSecretValueOutput::builder().build());
        let described = SecretSpec {
            description: "new".into(),
            ..want()
        };
        let renamed = SecretSpec {
            username: "orders".into(),
            ..want()
        };
        for want_now in [described, renamed] {
            let aws = mocked(&[&describe, &value, &put]);
            let live = Live {
                outputs: SecretOutputs { arn: ARN.into() },
                spec: want(),
                condition: Condition::Ready,
            };
            let changes = diff(&json!(want_now), &json!(live.spec), None);
            Secret::update(&aws, &scope("db-secret"), &live, &want_now, &changes)
                .await
                .unwrap();
            assert_eq!(aws.calls().writes(), 1);
        }
    }

    #[tokio::test]
    async fn delete_frees_the_name_at_once() {
        let delete = mock!(Client::delete_secret)
            .match_requests(|r| {
                r.secret_id() == Some(ARN)
                    && r.force_delete_without_recovery() == Some(true)
                    && r.recovery_window_in_days().is_none()
            })
            .then_output(|| DeleteSecretOutput::builder().build());
        let live = Live {
            outputs: SecretOutputs { arn: ARN.into() },
            spec: want(),
            condition: Condition::Ready,
        };
        Secret::delete(&mocked(&[&delete]), &scope("db-secret"), &live)
            .await
            .unwrap();
    }
}
