use aws_sdk_iam::Client;
use aws_sdk_iam::error::ErrorMetadata;
use aws_sdk_iam::operation::get_role::GetRoleOutput;
use aws_sdk_iam::operation::simulate_principal_policy::{
    SimulatePrincipalPolicyError, SimulatePrincipalPolicyOutput,
};
use aws_sdk_iam::types::{OrganizationsDecisionDetail, Role};
use aws_smithy_mocks::{Rule, mock};
use aws_smithy_types::DateTime;

use super::super::super::testing::{found, is_fine, only_bad};
use super::super::super::{Finding, Severity};
use super::super::testing::needs;
use super::*;
use crate::aws::testing::mocked;

fn result(action: &str, decision: Decision) -> EvaluationResult {
    EvaluationResult::builder()
        .eval_action_name(action)
        .eval_decision(decision)
        .build()
        .unwrap()
}

fn answer(results: impl IntoIterator<Item = EvaluationResult>) -> SimulatePrincipalPolicyOutput {
    SimulatePrincipalPolicyOutput::builder()
        .set_evaluation_results(Some(results.into_iter().collect()))
        .build()
}

/// Everything is allowed on all resources, except what is named.
fn everywhere(denied: &'static [(&'static str, Decision)]) -> Rule {
    mock!(Client::simulate_principal_policy)
        .match_requests(|r| r.resource_arns().is_empty())
        .then_output(move || {
            answer(ACTIONS.iter().map(|action| {
                let denied = denied.iter().find(|(name, _)| name == action);
                result(action, denied.map_or(Decision::Allowed, |it| it.1.clone()))
            }))
        })
}

/// The answer for examples of a service's resources.
fn for_examples(part: &'static str, action: &'static str, decision: Decision) -> Rule {
    mock!(Client::simulate_principal_policy)
        .match_requests(move |r| {
            r.action_names() == [action] && r.resource_arns().iter().any(|arn| arn.contains(part))
        })
        .then_output(move || answer([result(action, decision.clone())]))
}

const ACTIONS: [&str; 3] = ["ec2:CreateVpc", "ecs:CreateCluster", "rds:CreateDBCluster"];

fn asked() -> Needs {
    Needs {
        actions: ACTIONS.map(str::to_owned).into(),
        ..needs()
    }
}

async fn examined(rules: &[&Rule], needs: &Needs) -> Vec<Finding> {
    let aws = mocked(rules);
    found(async |chart: &mut Chart| look(&aws, needs, chart).await).await
}

#[tokio::test]
async fn what_is_allowed_everywhere_takes_one_simulation() {
    let rule = everywhere(&[]);
    is_fine(&examined(&[&rule], &asked()).await);
    assert_eq!(rule.num_calls(), 1);
}

#[tokio::test]
async fn a_policy_for_the_stacks_own_resources_is_enough() {
    let limited = everywhere(&[("ecs:CreateCluster", Decision::ImplicitDeny)]);
    let own = for_examples(
        ":cluster/order-api-dev",
        "ecs:CreateCluster",
        Decision::Allowed,
    );
    is_fine(&examined(&[&limited, &own], &asked()).await);

    let none = for_examples(
        ":cluster/order-api-dev",
        "ecs:CreateCluster",
        Decision::ImplicitDeny,
    );
    let all = examined(&[&limited, &none], &asked()).await;
    let finding = only_bad(&all);
    assert!(finding.is_problem());
    assert_eq!(
        finding.title,
        "1 of the 3 actions that `up` calls are not allowed"
    );
    assert!(
        finding.evidence.contains(&"ecs: CreateCluster".to_owned()),
        "{finding:?}"
    );
    assert!(
        finding
            .fix
            .as_deref()
            .unwrap()
            .contains("orderctl policy up")
    );
}

#[tokio::test]
async fn an_outright_denial_is_not_asked_again() {
    let denied = everywhere(&[("ec2:CreateVpc", Decision::ExplicitDeny)]);
    let all = examined(&[&denied], &asked()).await;
    let evidence = only_bad(&all).evidence.join("\n");
    assert!(
        evidence.contains("a policy denies some of them outright"),
        "{evidence}"
    );
}

#[tokio::test]
async fn conditions_and_organisations_are_told() {
    let rule = mock!(Client::simulate_principal_policy).then_output(|| {
        let conditional = EvaluationResult::builder()
            .eval_action_name("ec2:CreateVpc")
            .eval_decision(Decision::ImplicitDeny)
            .missing_context_values("aws:MultiFactorAuthPresent");
        let organization = OrganizationsDecisionDetail::builder().allowed_by_organizations(false);
        let forbidden = EvaluationResult::builder()
            .eval_action_name("rds:CreateDBCluster")
            .eval_decision(Decision::ImplicitDeny)
            .organizations_decision_detail(organization.build());
        answer([conditional.build().unwrap(), forbidden.build().unwrap()])
    });
    let all = examined(&[&rule], &asked()).await;
    assert_eq!(all[0].severity, Severity::Problem);
    let evidence = all[0].evidence.join("\n");
    assert!(evidence.contains("rds: CreateDBCluster"), "{evidence}");
    assert!(
        evidence.contains("a policy of the organisation"),
        "{evidence}"
    );
    assert_eq!(all[1].severity, Severity::Unknown);
    assert_eq!(all[1].evidence, ["ec2: CreateVpc"]);
}

#[tokio::test]
async fn many_actions_are_asked_in_hundreds_and_answers_have_pages() {
    let mut needs = asked();
    needs.actions = (0..150).map(|number| format!("ec2:Do{number}")).collect();
    let rule = mock!(Client::simulate_principal_policy)
        .sequence()
        .output(|| {
            SimulatePrincipalPolicyOutput::builder()
                .is_truncated(true)
                .marker("more")
                .build()
        })
        .output(|| answer([result("ec2:Do1", Decision::ExplicitDeny)]))
        .output(|| answer([]))
        .build();
    let all = examined(&[&rule], &needs).await;
    assert_eq!(rule.num_calls(), 3);
    assert_eq!(
        only_bad(&all).title,
        "1 of the 150 actions that `up` calls are not allowed"
    );
}

#[tokio::test]
async fn a_session_of_a_role_is_asked_about_as_the_role_with_its_path() {
    let role = mock!(Client::get_role)
        .match_requests(|r| r.role_name() == Some("Deploy"))
        .then_output(|| {
            let role = Role::builder()
                .path("/ci/")
                .role_name("Deploy")
                .role_id("AROA")
                .arn("arn:aws:iam::123456789012:role/ci/Deploy")
                .create_date(DateTime::from_secs(0));
            GetRoleOutput::builder().role(role.build().unwrap()).build()
        });
    let rule = mock!(Client::simulate_principal_policy)
        .match_requests(|r| {
            r.policy_source_arn() == Some("arn:aws:iam::123456789012:role/ci/Deploy")
        })
        .then_output(|| answer([]));
    let needs = Needs {
        caller: "arn:aws:sts::123456789012:assumed-role/Deploy/run-1".into(),
        ..asked()
    };
    is_fine(&examined(&[&role, &rule], &needs).await);
}

#[tokio::test]
async fn who_may_not_simulate_or_cannot_be_simulated_is_unknown() {
    let refused = |code: &'static str| {
        mock!(Client::simulate_principal_policy).then_error(move || {
            let code = ErrorMetadata::builder().code(code).build();
            SimulatePrincipalPolicyError::generic(code)
        })
    };
    let all = examined(&[&refused("AccessDenied")], &asked()).await;
    assert_eq!(
        only_bad(&all).title,
        "iam:SimulatePrincipalPolicy is not permitted"
    );
    let all = examined(&[&refused("NoSuchEntity")], &asked()).await;
    assert_eq!(
        only_bad(&all).title,
        "what the caller may do cannot be simulated"
    );
    for (caller, severity) in [
        ("arn:aws:iam::123456789012:root", Severity::Warning),
        (
            "arn:aws:sts::123456789012:federated-user/ana",
            Severity::Unknown,
        ),
    ] {
        let needs = Needs {
            caller: caller.into(),
            ..asked()
        };
        assert_eq!(only_bad(&examined(&[], &needs).await).severity, severity);
    }
}
