use aws_sdk_ecs::types::{ContainerDefinition, Secret, Service};
use aws_sdk_iam::Client as Iam;
use aws_sdk_iam::error::ErrorMetadata;
use aws_sdk_iam::operation::get_role::{GetRoleError, GetRoleOutput};
use aws_sdk_iam::operation::get_role_policy::GetRolePolicyOutput;
use aws_sdk_iam::operation::list_attached_role_policies::ListAttachedRolePoliciesOutput;
use aws_sdk_iam::operation::list_role_policies::ListRolePoliciesOutput;
use aws_sdk_iam::types::{AttachedPolicy, Role as IamRole};
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_smithy_mocks::{Rule, mock};
use aws_smithy_types::DateTime;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::super::testing::{found, is_fine, only_bad, subject};
use super::super::{Finding, Severity};
use super::*;
use crate::aws::testing::mocked;

const SECRET: &str =
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:order-api-db-password-dev-AbCdEf";

fn encoded(document: &Value) -> String {
    utf8_percent_encode(&document.to_string(), NON_ALPHANUMERIC).to_string()
}

fn got(role: &str, trusted: &[&str]) -> GetRoleOutput {
    let trust = json!({ "Statement": {
        "Effect": "Allow", "Principal": { "Service": trusted }, "Action": "sts:AssumeRole",
    }});
    let date = DateTime::from_secs(0);
    let role = IamRole::builder()
        .path("/")
        .role_name(role)
        .role_id("AROA")
        .arn(role)
        .create_date(date)
        .assume_role_policy_document(encoded(&trust));
    GetRoleOutput::builder().role(role.build().unwrap()).build()
}

fn role(name: &'static str, trusted: &'static str) -> Rule {
    mock!(Iam::get_role)
        .match_requests(move |r| r.role_name() == Some(name))
        .then_output(move || got(name, &[trusted]))
}

fn gone(name: &'static str) -> Rule {
    mock!(Iam::get_role)
        .match_requests(move |r| r.role_name() == Some(name))
        .then_error(|| GetRoleError::generic(ErrorMetadata::builder().code("NoSuchEntity").build()))
}

/// The policies that are attached to a role.
fn attached(role: &'static str, arns: &'static [&'static str]) -> Rule {
    mock!(Iam::list_attached_role_policies)
        .match_requests(move |r| r.role_name() == Some(role))
        .then_output(move || {
            let policy = |arn: &&str| AttachedPolicy::builder().policy_arn(*arn).build();
            ListAttachedRolePoliciesOutput::builder()
                .set_attached_policies(Some(arns.iter().map(policy).collect()))
                .build()
        })
}

const EXECUTION: &str = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";
const BALANCER: &str = "arn:aws:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers";

/// What the execution role may read.
fn inline(resource: &'static str) -> [Rule; 2] {
    let names = mock!(Iam::list_role_policies).then_output(|| {
        ListRolePoliciesOutput::builder()
            .policy_names("order-api")
            .build()
            .unwrap()
    });
    let document = mock!(Iam::get_role_policy).then_output(move || {
        let document = json!({ "Statement": [{
            "Effect": "Allow", "Action": ["secretsmanager:Get*"], "Resource": resource,
        }]});
        GetRolePolicyOutput::builder()
            .role_name("r")
            .policy_name("p")
            .policy_document(encoded(&document))
            .build()
            .unwrap()
    });
    [names, document]
}

fn secret(deleted: bool) -> Rule {
    mock!(aws_sdk_secretsmanager::Client::describe_secret)
        .match_requests(|r| r.secret_id() == Some(SECRET))
        .then_output(move || {
            DescribeSecretOutput::builder()
                .set_deleted_date(deleted.then(|| DateTime::from_secs(0)))
                .build()
        })
}

fn service() -> [Rule; 2] {
    let service = mock!(aws_sdk_ecs::Client::describe_services).then_output(|| {
        aws_sdk_ecs::operation::describe_services::DescribeServicesOutput::builder()
            .services(Service::builder().task_definition("arn:td:1").build())
            .build()
    });
    let definition = mock!(aws_sdk_ecs::Client::describe_task_definition).then_output(|| {
        let secret = Secret::builder()
            .name("DB_CREDENTIALS")
            .value_from(format!("{SECRET}:username::"))
            .build()
            .unwrap();
        let container = ContainerDefinition::builder()
            .name("order-api")
            .secrets(secret);
        let definition = TaskDefinition::builder().container_definitions(container.build());
        aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionOutput::builder()
            .task_definition(definition.build())
            .build()
    });
    [service, definition]
}

async fn examined(rules: impl IntoIterator<Item = Rule>) -> Vec<Finding> {
    let rules: Vec<Rule> = rules.into_iter().chain(service()).collect();
    let aws = mocked(&rules.iter().collect::<Vec<_>>()).with_shared_reads();
    found(async |chart: &mut Chart| look(&aws, &subject(), chart).await).await
}

const TASKS: &str = "ecs-tasks.amazonaws.com";

/// All as it must be, but for the rules given first.
async fn with(changed: impl IntoIterator<Item = Rule>) -> Vec<Finding> {
    let [names, document] = inline(SECRET);
    let usual = [
        role("ecs-task-exec-dev", TASKS),
        role("ecs-task-dev", TASKS),
        role("ecs-lb-dev", "ecs.amazonaws.com"),
        attached("ecs-task-exec-dev", &[EXECUTION]),
        attached("ecs-task-dev", &[]),
        attached("ecs-lb-dev", &[BALANCER]),
        names,
        document,
        secret(false),
    ];
    examined(changed.into_iter().chain(usual)).await
}

#[tokio::test]
async fn roles_as_declared_are_fine() {
    is_fine(&with([]).await);
}

#[tokio::test]
async fn what_a_role_lacks_is_a_problem_that_up_mends() {
    for (changed, title) in [
        (vec![gone("ecs-task-dev")], "there is no role ecs-task-dev"),
        (
            vec![role("ecs-lb-dev", TASKS)],
            "role ecs-lb-dev does not trust ecs.amazonaws.com",
        ),
        (
            vec![attached("ecs-task-exec-dev", &[])],
            "role ecs-task-exec-dev lacks the managed policy AmazonECSTaskExecutionRolePolicy",
        ),
    ] {
        let all = with(changed).await;
        let bad = only_bad(&all);
        assert!(bad.is_problem());
        assert_eq!(bad.title, title);
        assert_eq!(bad.fix.as_deref(), Some("orderctl up"));
    }
}

#[tokio::test]
async fn the_secret_must_be_there_and_readable() {
    let other = || inline("arn:aws:secretsmanager:us-east-1:123456789012:secret:other-*");
    let finding = |all: Vec<Finding>| {
        let bad = only_bad(&all);
        let fix = bad.fix.clone().unwrap_or_default();
        (bad.severity, bad.title.clone(), fix)
    };
    let (severity, title, fix) = finding(with(other()).await);
    assert_eq!(severity, Severity::Problem);
    assert_eq!(title, "role ecs-task-exec-dev may not read the secret");
    assert_eq!(fix, "orderctl up");

    let own = "arn:aws:iam::123456789012:policy/mine";
    let more: &'static [&'static str] = Box::leak(Box::new([EXECUTION, own]));
    let changed = other()
        .into_iter()
        .chain([attached("ecs-task-exec-dev", more)]);
    let (severity, title, _) = finding(with(changed).await);
    assert_eq!(severity, Severity::Unknown, "{title}");

    let (severity, title, fix) = finding(with([secret(true)]).await);
    assert_eq!(severity, Severity::Problem);
    assert_eq!(
        title,
        "the secret that the tasks are given is to be deleted"
    );
    assert_eq!(
        fix,
        format!("aws secretsmanager restore-secret --secret-id {SECRET}")
    );
}

#[tokio::test]
async fn one_role_that_may_not_be_read_hides_no_other() {
    let denied = mock!(Iam::get_role)
        .match_requests(|r| r.role_name() == Some("ecs-task-dev"))
        .then_error(|| {
            GetRoleError::generic(ErrorMetadata::builder().code("AccessDenied").build())
        });
    let all = with([denied, gone("ecs-lb-dev")]).await;
    let told = |severity| super::super::testing::titles(&all, severity);
    assert_eq!(told(Severity::Unknown), ["iam:GetRole is not permitted"]);
    assert_eq!(told(Severity::Problem), ["there is no role ecs-lb-dev"]);
}

#[test]
fn patterns_of_policies_are_understood() {
    for (pattern, text, expected) in [
        ("*", "anything", true),
        ("secretsmanager:Get*", "secretsmanager:getsecretvalue", true),
        (
            "secretsmanager:Put*",
            "secretsmanager:GetSecretValue",
            false,
        ),
        ("arn:*:secret:x-??????", "arn:aws:secret:x-AbCdEf", true),
        ("arn:*:secret:x", "arn:aws:secret:x-AbCdEf", false),
    ] {
        assert_eq!(covers(&json!(pattern), text), expected, "{pattern}");
    }
}
