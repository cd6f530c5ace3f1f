//! Tests of `iam/role`.

use aws_sdk_iam::Client;
use aws_sdk_iam::error::ErrorMetadata;
use aws_sdk_iam::operation::attach_role_policy::AttachRolePolicyOutput;
use aws_sdk_iam::operation::delete_role::DeleteRoleOutput;
use aws_sdk_iam::operation::delete_role_policy::{DeleteRolePolicyError, DeleteRolePolicyOutput};
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
