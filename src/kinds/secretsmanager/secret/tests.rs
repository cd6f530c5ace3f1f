use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ErrorMetadata;
use aws_sdk_secretsmanager::operation::create_secret::{CreateSecretError, CreateSecretOutput};
use aws_sdk_secretsmanager::operation::delete_secret::DeleteSecretOutput;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretError;
use aws_sdk_secretsmanager::operation::get_random_password::GetRandomPasswordOutput;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_secretsmanager::operation::list_secrets::ListSecretsOutput;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueOutput;
use aws_sdk_secretsmanager::operation::restore_secret::{RestoreSecretError, RestoreSecretOutput};
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
async fn our_own_deleted_secret_is_restored_with_our_tags_and_a_password_that_works() {
    // What the restored secret holds, and how often a new password is put.
    let usable = r#"{"username":"admin","password":"kept"}"#;
    for (held, puts) in [
        (usable, 0),
        ("", 1),
        (r#"{"username":"x","password":"y"}"#, 1),
    ] {
        restored_with(held, puts).await;
    }
}

async fn restored_with(held: &'static str, puts: usize) {
    let read = mock!(Client::get_secret_value)
        .match_requests(|r| r.secret_id() == Some(ARN))
        .then_output(move || GetSecretValueOutput::builder().secret_string(held).build());
    let describe = mock!(Client::describe_secret).then_output(in_aws(true, &[(STACK_TAG, "dev")]));
    let restore = mock!(Client::restore_secret)
        .match_requests(|r| r.secret_id() == Some(ARN))
        .then_output(|| RestoreSecretOutput::builder().build());
    let tag = mock!(Client::tag_resource)
        .match_requests(|r| r.tags().len() == 1 && r.tags()[0].key() == Some(NODE_TAG))
        .then_output(|| TagResourceOutput::builder().build());
    let put = mock!(Client::put_secret_value)
        .match_requests(|r| {
            r.secret_id() == Some(ARN) && r.secret_string().is_some_and(|s| s.contains("hunter2"))
        })
        .then_output(|| PutSecretValueOutput::builder().build());
    let (random, refused) = (random(), refused());
    let aws = mocked(&[&random, &refused, &describe, &restore, &tag, &read, &put]);
    let outputs = Secret::create(&aws, &scope("db-secret"), &want())
        .await
        .unwrap();
    assert_eq!(&*outputs.arn, ARN);
    assert_eq!(
        (restore.num_calls(), tag.num_calls(), put.num_calls()),
        (1, 1, puts)
    );
}

#[tokio::test]
async fn a_deleted_secret_of_others_is_left_alone_and_named_with_advice() {
    let describe = mock!(Client::describe_secret).then_output(in_aws(true, &[(STACK_TAG, "prod")]));
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

#[tokio::test]
async fn a_refusal_that_quotes_the_value_is_shown_without_it() {
    let create = mock!(Client::create_secret).then_error(|| {
        CreateSecretError::generic(
            ErrorMetadata::builder()
                .code("InvalidParameterException")
                .message(r#"Invalid value: {"username":"admin","password":"hunter2"}"#)
                .build(),
        )
    });
    let aws = mocked(&[&random(), &create]);
    let refused = Secret::create(&aws, &scope("db-secret"), &want()).await;
    let error = refused.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    assert!(error.is(&["InvalidParameterException"]));
}

#[tokio::test]
async fn a_sweep_takes_only_the_exact_tag_of_the_stack() {
    let entry = |name: &str, stack: &str| {
        let tags = Tags::from_pairs([(STACK_TAG, stack), (NODE_TAG, "db-secret")]);
        SecretListEntry::builder()
            .arn(format!("arn:{name}"))
            .name(name)
            .set_tags(Some(sdk_tags(tags.iter())))
            .build()
    };
    let pages = mock!(Client::list_secrets)
        .match_requests(|r| {
            let filters = r.filters();
            filters.len() == 2
                && filters[0].values() == [STACK_TAG]
                && filters[1].values() == ["dev"]
                && r.include_planned_deletion().is_none()
        })
        .sequence()
        .output(move || {
            ListSecretsOutput::builder()
                .secret_list(entry("order-api-db-password-dev-2", "dev-2"))
                .next_token("more")
                .build()
        })
        .output(move || {
            ListSecretsOutput::builder()
                .secret_list(entry(NAME, "dev"))
                .build()
        })
        .build();
    let swept = Secret::sweep(&mocked(&[&pages]), &scope(""), &[]).await;
    let swept = swept.unwrap();
    assert_eq!(swept.len(), 1);
    assert_eq!(swept[0].spec.name, NAME);
    assert_eq!(&*swept[0].outputs.arn, format!("arn:{NAME}"));
}
