//! Area `roles`: whether ECS may use the three roles, and whether they may what their tasks need. A
//! role that nobody can assume is no error of a call: its tasks just stop.

use aws_sdk_ecs::types::TaskDefinition;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{Chart, Subject, reads};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;
use crate::service::last_segment;

pub(super) const AREA: &str = "roles";

const GONE: &[&str] = &["NoSuchEntity", "NoSuchEntityException"];
const READ_SECRET: &str = "secretsmanager:GetSecretValue";

/// What a role must be.
struct Wanted<'a> {
    name: &'a str,
    /// The AWS service that acts under it.
    trusts: &'static str,
    /// The end of the ARN of the managed policy it needs.
    policy: Option<&'static str>,
    what_for: &'static str,
}

pub(super) async fn look(aws: &Aws, subject: &Subject, chart: &mut Chart) -> Result<()> {
    let roles = [
        Wanted {
            name: &subject.execution_role,
            trusts: "ecs-tasks.amazonaws.com",
            policy: Some("service-role/AmazonECSTaskExecutionRolePolicy"),
            what_for: "ECS starts tasks with it",
        },
        Wanted {
            name: &subject.task_role,
            trusts: "ecs-tasks.amazonaws.com",
            policy: None,
            what_for: "the application has its permissions",
        },
        Wanted {
            name: &subject.load_balancer_role,
            trusts: "ecs.amazonaws.com",
            policy: Some("AmazonECSInfrastructureRolePolicyForLoadBalancers"),
            what_for: "ECS shifts the traffic of releases with it",
        },
    ];
    let [execution, task, balancer] = &roles;
    let found = tokio::join!(role(aws, execution), role(aws, task), role(aws, balancer));
    let mut execution = Permissions::Gone;
    for (wanted, found) in roles.iter().zip([found.0, found.1, found.2]) {
        let Role { complaints, state } = match found {
            Ok(found) => found,
            Err(error) => {
                chart.failed(&error);
                continue;
            }
        };
        if wanted.name == subject.execution_role {
            execution = state;
        }
        if complaints.is_empty() {
            chart.fine(format!("role {} is as it must be", wanted.name));
        }
        for complaint in complaints {
            chart
                .problem(complaint)
                .shown_by([wanted.what_for])
                .mended_by("orderctl up");
        }
    }
    let definition = reads::running_definition(aws, subject).await?;
    if let Some(definition) = definition.as_ref() {
        for secret in secrets(definition, subject) {
            readable(aws, subject, &secret, execution, chart).await?;
        }
    }
    Ok(())
}

struct Role {
    complaints: Vec<String>,
    state: Permissions,
}

/// What can be said of what a role may do.
#[derive(Clone, Copy, PartialEq)]
enum Permissions {
    /// There is no such role, or it could not be read; that is told already.
    Gone,
    /// Its own documents tell all.
    Known,
    /// Policies are attached whose content is not looked at.
    MayHaveMore,
}

async fn role(aws: &Aws, wanted: &Wanted<'_>) -> Result<Role> {
    let name = wanted.name;
    let answer = aws
        .iam
        .get_role()
        .role_name(name)
        .send()
        .await
        .of("iam:GetRole")
        .gone_is_none(GONE)?;
    let Some(role) = answer.and_then(|answer| answer.role) else {
        return Ok(Role {
            complaints: vec![format!("there is no role {name}")],
            state: Permissions::Gone,
        });
    };
    let mut complaints = Vec::new();
    let trust = document(role.assume_role_policy_document().unwrap_or_default());
    if !trusts(&trust, wanted.trusts) {
        let service = wanted.trusts;
        complaints.push(format!("role {name} does not trust {service}"));
    }
    let attached = attached(aws, name).await?;
    let is_wanted = |arn: &String| {
        let end = wanted.policy.unwrap_or_default();
        !end.is_empty() && arn.ends_with(&format!(":policy/{end}"))
    };
    if let Some(policy) = wanted.policy
        && !attached.iter().any(is_wanted)
    {
        let policy = last_segment(policy);
        complaints.push(format!("role {name} lacks the managed policy {policy}"));
    }
    let state = match attached.iter().all(is_wanted) {
        true => Permissions::Known,
        false => Permissions::MayHaveMore,
    };
    Ok(Role { complaints, state })
}

async fn attached(aws: &Aws, role: &str) -> Result<Vec<String>> {
    let mut pages = aws
        .iam
        .list_attached_role_policies()
        .role_name(role)
        .into_paginator()
        .items()
        .send();
    let mut found = Vec::new();
    while let Some(policy) = pages.next().await {
        let policy = policy.of("iam:ListAttachedRolePolicies")?;
        found.extend(policy.policy_arn);
    }
    Ok(found)
}

/// The ARNs of the secrets that the container is given, without the key inside them.
fn secrets(definition: &TaskDefinition, subject: &Subject) -> Vec<String> {
    let containers = definition.container_definitions().iter();
    let ours = containers.filter(|container| container.name() == Some(&subject.container));
    let sources = ours.flat_map(|container| container.secrets());
    let mut arns: Vec<String> = sources
        .map(|secret| {
            secret
                .value_from()
                .split(':')
                .take(7)
                .collect::<Vec<_>>()
                .join(":")
        })
        .filter(|arn| arn.contains(":secretsmanager:"))
        .collect();
    arns.sort();
    arns.dedup();
    arns
}

/// Whether a secret is there, and the execution role may read it.
async fn readable(
    aws: &Aws,
    subject: &Subject,
    secret: &str,
    execution: Permissions,
    chart: &mut Chart,
) -> Result<()> {
    let answer = aws
        .secrets
        .describe_secret()
        .secret_id(secret)
        .send()
        .await
        .of("secretsmanager:DescribeSecret")
        .gone_is_none(&["ResourceNotFoundException"])?;
    let Some(described) = answer else {
        chart
            .problem("the secret that the tasks are given does not exist")
            .shown_by([secret])
            .mended_by("orderctl up");
        return Ok(());
    };
    if described.deleted_date().is_some() {
        chart
            .problem("the secret that the tasks are given is to be deleted")
            .shown_by([secret])
            .mended_by(format!(
                "aws secretsmanager restore-secret --secret-id {secret}"
            ));
        return Ok(());
    }
    if execution == Permissions::Gone {
        return Ok(());
    }
    let role = &subject.execution_role;
    let granted = inline_policies(aws, role).await?.iter().any(|policy| {
        let mut statements = statements(policy);
        statements.any(|statement| grants(statement, READ_SECRET, secret))
    });
    if granted {
        chart.fine(format!("role {role} may read the secret"));
    } else if execution == Permissions::MayHaveMore {
        chart
            .unknown(format!(
                "whether {role} may read the secret is up to policies that were not read"
            ))
            .shown_by([secret]);
    } else {
        chart
            .problem(format!("role {role} may not read the secret"))
            .shown_by([secret])
            .mended_by("orderctl up");
    }
    Ok(())
}

/// The documents inside a role; none of a role that is gone.
async fn inline_policies(aws: &Aws, role: &str) -> Result<Vec<Value>> {
    let mut pages = aws
        .iam
        .list_role_policies()
        .role_name(role)
        .into_paginator()
        .items()
        .send();
    let mut found = Vec::new();
    while let Some(name) = pages.next().await {
        let Some(name) = name.of("iam:ListRolePolicies").gone_is_none(GONE)? else {
            break;
        };
        let answer = aws
            .iam
            .get_role_policy()
            .role_name(role)
            .policy_name(name)
            .send()
            .await
            .of("iam:GetRolePolicy")
            .gone_is_none(GONE)?;
        found.extend(answer.map(|answer| document(answer.policy_document())));
    }
    Ok(found)
}

/// IAM gives documents URL-encoded.
fn document(encoded: &str) -> Value {
    let text = percent_decode_str(encoded).decode_utf8_lossy();
    serde_json::from_str(&text).unwrap_or_default()
}

/// The statements of a document; IAM takes one without a list around it.
fn statements(document: &Value) -> impl Iterator<Item = &Value> {
    each(&document["Statement"])
}

/// One value or a list of them.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let (list, single) = match value {
        Value::Array(list) => (list.as_slice(), None),
        Value::Null => (&[][..], None),
        single => (&[][..], Some(single)),
    };
    list.iter().chain(single)
}

fn trusts(document: &Value, service: &str) -> bool {
    statements(document).any(|statement| {
        statement["Effect"] == "Allow"
            && each(&statement["Principal"]["Service"]).any(|it| it == service)
            && each(&statement["Action"]).any(|action| covers(action, "sts:AssumeRole"))
    })
}

fn grants(statement: &Value, action: &str, resource: &str) -> bool {
    statement["Effect"] == "Allow"
        && each(&statement["Action"]).any(|it| covers(it, action))
        && each(&statement["Resource"]).any(|it| covers(it, resource))
}

/// Says whether a pattern of a policy fits; actions ignore case, and no ARN of ours differs by case
/// alone.
fn covers(pattern: &Value, text: &str) -> bool {
    let pattern = pattern.as_str().unwrap_or_default().to_lowercase();
    fits(pattern.as_bytes(), text.to_lowercase().as_bytes())
}

fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            fits(rest, text)
                || text
                    .split_first()
                    .is_some_and(|(_, text)| fits(pattern, text))
        }
        (Some((b'?', rest)), Some((_, text))) => fits(rest, text),
        (Some((one, rest)), Some((other, text))) => one == other && fits(rest, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
