//! Area `permissions`: whether the caller may do what `up` will call, by IAM's own simulation.
//!
//! The simulation knows the caller's policies, boundary and the organisation's. It does not know
//! session policies and the policies of resources. A policy that is limited to the stack's own
//! resources allows nothing on "all resources"; so what is denied there is asked again for examples
//! of them ([`examples`]).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::{
    ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType as Decision,
};

use super::super::Chart;
use super::{Needs, examples};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::{Class, Result};

pub(super) const AREA: &str = "permissions";

/// How many actions one simulation is asked for.
const ACTIONS_PER_CALL: usize = 100;
const GONE: &[&str] = &["NoSuchEntity", "NoSuchEntityException"];

pub(super) async fn look(aws: &Aws, needs: &Needs, chart: &mut Chart) -> Result<()> {
    if needs.actions.is_empty() {
        return Ok(());
    }
    let source = match Caller::read(&needs.caller) {
        Caller::Root => {
            chart
                .warning("these are the root user's credentials, which nothing limits")
                .shown_by([&needs.caller])
                .mended_by("log in as a user or role of its own");
            return Ok(());
        }
        Caller::Unknown => {
            chart
                .unknown("what the caller may do cannot be simulated")
                .shown_by([format!("{} is neither a user nor a role", needs.caller)]);
            return Ok(());
        }
        Caller::User(arn) => arn,
        Caller::Role { assumed, name } => role_arn(aws, &assumed, &name).await?,
    };
    let everywhere = needs.actions.chunks(ACTIONS_PER_CALL);
    let mut denied: BTreeMap<String, Denied> = BTreeMap::new();
    for actions in everywhere {
        let results = simulate(aws, needs, &source, actions, &[]).await;
        let results = match results {
            Ok(results) => results,
            Err(error) if error.is(GONE) => {
                chart
                    .unknown("what the caller may do cannot be simulated")
                    .shown_by([format!("IAM does not know {source}")]);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        denied.extend(results.iter().filter_map(Denied::read));
    }
    let again: Vec<String> = denied
        .iter()
        .filter(|(_, denied)| !denied.is_explicit)
        .map(|(action, _)| action.clone())
        .collect();
    for (service, actions) in by_service(&again) {
        let resources = examples::of(service, needs);
        for actions in actions.chunks(ACTIONS_PER_CALL) {
            let results = simulate(aws, needs, &source, actions, &resources).await?;
            let allowed = results.iter().filter(|it| is_allowed(it));
            for result in allowed {
                denied.remove(result.eval_action_name());
            }
        }
    }
    tell(&denied, needs, &source, chart);
    Ok(())
}

fn tell(denied: &BTreeMap<String, Denied>, needs: &Needs, source: &str, chart: &mut Chart) {
    let all = needs.actions.len();
    let (unsure, sure): (Vec<_>, Vec<_>) = denied.iter().partition(|(_, it)| it.depends);
    if !sure.is_empty() {
        let names: Vec<&String> = sure.iter().map(|(action, _)| *action).collect();
        let mut evidence = vec![format!("of {source}, by IAM's simulation")];
        evidence.extend(lines(&names));
        let limits: BTreeSet<&str> = sure.iter().flat_map(|(_, it)| it.limits()).collect();
        evidence.extend(limits.into_iter().map(str::to_owned));
        chart
            .problem(format!(
                "{} of the {all} actions that `up` calls are not allowed",
                sure.len()
            ))
            .shown_by(evidence)
            .mended_by("`orderctl policy up` prints the policy that allows them");
    }
    if !unsure.is_empty() {
        let names: Vec<&String> = unsure.iter().map(|(action, _)| *action).collect();
        chart
            .unknown(format!(
                "whether {} of the {all} actions that `up` calls are allowed depends on conditions",
                unsure.len()
            ))
            .shown_by(lines(&names));
    }
    if denied.is_empty() {
        chart.fine(format!("all {all} actions that `up` calls are allowed"));
    }
}

/// The actions by service: `ec2: CreateVpc, CreateSubnet`.
fn lines(actions: &[&String]) -> Vec<String> {
    let actions: Vec<String> = actions.iter().map(|&action| action.clone()).collect();
    let line = |(service, actions): (&str, Vec<String>)| {
        let names = actions
            .iter()
            .map(|it| it.split_once(':').map_or(&**it, |it| it.1));
        format!("{service}: {}", names.collect::<Vec<_>>().join(", "))
    };
    by_service(&actions).into_iter().map(line).collect()
}

fn by_service(actions: &[String]) -> BTreeMap<&str, Vec<String>> {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for action in actions {
        let service = action.split_once(':').map_or("", |(service, _)| service);
        groups.entry(service).or_default().push(action.clone());
    }
    groups
}

/// Who is asked about.
#[derive(Debug, PartialEq)]
enum Caller {
    Root,
    User(String),
    /// The session's ARN tells the role's name, and not its path.
    Role {
        assumed: String,
        name: String,
    },
    Unknown,
}

impl Caller {
    fn read(arn: &str) -> Self {
        let mut parts = arn.splitn(6, ':').skip(1);
        let (Some(partition), Some(_), Some(_), Some(account), Some(who)) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Self::Unknown;
        };
        let mut words = who.split('/');
        match (words.next(), words.next()) {
            (Some("root"), None) => Self::Root,
            (Some("user"), Some(_)) => Self::User(arn.to_owned()),
            (Some("assumed-role"), Some(name)) => Self::Role {
                assumed: format!("arn:{partition}:iam::{account}:role/{name}"),
                name: name.to_owned(),
            },
            _ => Self::Unknown,
        }
    }
}

/// The role's ARN with its path; without permission to look, the one it has without a path.
async fn role_arn(aws: &Aws, assumed: &str, name: &str) -> Result<String> {
    let answer = aws
        .iam
        .get_role()
        .role_name(name)
        .send()
        .await
        .of("iam:GetRole");
    match answer {
        Err(error) if error.class() == Class::Denied => Ok(assumed.to_owned()),
        answer => {
            let role = answer.gone_is_none(GONE)?.and_then(|answer| answer.role);
            Ok(role.map_or_else(|| assumed.to_owned(), |role| role.arn))
        }
    }
}

async fn simulate(
    aws: &Aws,
    needs: &Needs,
    source: &str,
    actions: &[String],
    resources: &[String],
) -> Result<Vec<EvaluationResult>> {
    let mut pages = aws
        .iam
        .simulate_principal_policy()
        .policy_source_arn(source)
        .set_action_names(Some(actions.to_vec()))
        .set_resource_arns((!resources.is_empty()).then(|| resources.to_vec()))
        .set_context_entries(Some(context(needs)))
        .into_paginator()
        .items()
        .send();
    let mut found = Vec::new();
    while let Some(result) = pages.next().await {
        found.push(result.of("iam:SimulatePrincipalPolicy")?);
    }
    Ok(found)
}

/// What a real call of `up` would bring, for policies with conditions.
fn context(needs: &Needs) -> Vec<ContextEntry> {
    let entry = |name: &str, kind: ContextKeyTypeEnum, values: &[&str]| {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        ContextEntry::builder()
            .context_key_name(name)
            .context_key_type(kind)
            .set_context_key_values(Some(values))
            .build()
    };
    let text = |name, value| entry(name, ContextKeyTypeEnum::String, &[value]);
    let stack = &needs.stack;
    vec![
        text("aws:RequestedRegion", &needs.region),
        text("aws:PrincipalAccount", &needs.account),
        text("aws:ResourceAccount", &needs.account),
        text("aws:RequestTag/orderctl:stack", stack),
        text("aws:ResourceTag/orderctl:stack", stack),
        text("aws:RequestTag/ManagedBy", "orderctl"),
        text("aws:ResourceTag/ManagedBy", "orderctl"),
        text("aws:RequestTag/Environment", stack),
        text("aws:ResourceTag/Environment", stack),
        text("iam:PassedToService", "ecs-tasks.amazonaws.com"),
        text("iam:AWSServiceName", "ecs.amazonaws.com"),
        entry(
            "aws:SecureTransport",
            ContextKeyTypeEnum::Boolean,
            &["true"],
        ),
    ]
}

/// What stands against an action.
#[derive(Clone, Copy)]
struct Denied {
    /// A statement denies it, so that no other resource would help.
    is_explicit: bool,
    /// A condition of a policy asks for what the simulation was not told.
    depends: bool,
    by_organization: bool,
    by_boundary: bool,
}

impl Denied {
    fn read(result: &EvaluationResult) -> Option<(String, Self)> {
        if is_allowed(result) {
            return None;
        }
        let organization = result.organizations_decision_detail();
        let boundary = result.permissions_boundary_decision_detail();
        let denied = Self {
            is_explicit: result.eval_decision() == &Decision::ExplicitDeny,
            depends: !result.missing_context_values().is_empty(),
            by_organization: organization.is_some_and(|it| !it.allowed_by_organizations()),
            by_boundary: boundary.is_some_and(|it| !it.allowed_by_permissions_boundary()),
        };
        Some((result.eval_action_name().to_owned(), denied))
    }

    fn limits(&self) -> impl Iterator<Item = &'static str> + use<> {
        let told = [
            (
                self.by_organization,
                "a policy of the organisation does not allow some of them",
            ),
            (
                self.by_boundary,
                "the caller's permissions boundary does not allow some of them",
            ),
            (self.is_explicit, "a policy denies some of them outright"),
        ];
        told.into_iter().filter(|(it, _)| *it).map(|(_, text)| text)
    }
}

/// Allowed on all that was asked about, or on one of several examples.
fn is_allowed(result: &EvaluationResult) -> bool {
    let mut specific = result.resource_specific_results().iter();
    result.eval_decision() == &Decision::Allowed
        || specific.any(|it| it.eval_resource_decision() == &Decision::Allowed)
}

#[cfg(test)]
mod tests;
