//! `iam/service_linked_role`: the role an AWS service gives itself in an account. A fresh account
//! lacks them, and the first call that needs one then races its making (field guide, section 12).

use aws_sdk_iam::types::Role as AwsRole;
use serde::{Deserialize, Serialize};

use crate::aws::{Answer, Aws, missing};
use crate::resource::{
    Condition, Identity, Last, Live, Operations, Resource, Result, Scope, Stage, outputs,
};

/// An `AWS::IAM::ServiceLinkedRole`. One per account and service: ensured, never tagged, never
/// deleted.
pub struct ServiceLinkedRole;

/// The settings of a service-linked role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceLinkedRoleSpec {
    /// The service it belongs to: `ecs.amazonaws.com`.
    pub service: String,
}

outputs! { ServiceLinkedRole =>
    /// What AWS gives a service-linked role.
    ServiceLinkedRoleOutputs {
        /// The name AWS chose for the role: `AWSServiceRoleForECS`.
        name: String,
    }
}

const ROOT: &str = "/aws-service-role/";

impl Resource for ServiceLinkedRole {
    const KIND: &'static str = "iam/service_linked_role";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &["iam:ListRoles"],
        create: &["iam:CreateServiceLinkedRole"],
        update: &[],
        delete: &[],
    };
    const REPLACE_ON: &'static [&'static str] = &["service"];
    const HOLDS_INPUTS: bool = false;
    const SHARED: bool = true;
    type Api = Aws;
    type Spec<S: Stage> = ServiceLinkedRoleSpec;
    type Outputs = ServiceLinkedRoleOutputs;

    async fn observe(
        aws: &Aws,
        _scope: &Scope,
        want: &ServiceLinkedRoleSpec,
        _last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        Ok(find(aws, &want.service).await?.map(|outputs| Live {
            outputs,
            spec: want.clone(),
            condition: Condition::Ready,
        }))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &ServiceLinkedRoleSpec,
    ) -> Result<ServiceLinkedRoleOutputs> {
        const OPERATION: &str = "iam:CreateServiceLinkedRole";
        let call = aws.iam.create_service_linked_role();
        let call = call.aws_service_name(&want.service);
        let found = match call.send().await.of(OPERATION) {
            Ok(answer) => answer.role().map(outputs_of),
            // Another stack, or AWS itself, was quicker.
            Err(error) if error.says("InvalidInput", "has been taken") => {
                find(aws, &want.service).await?
            }
            Err(error) => return Err(error),
        };
        found.ok_or_else(missing(OPERATION, "Role"))
    }

    /// Does nothing: other stacks of the account need the role as well.
    async fn delete(_aws: &Aws, _scope: &Scope, _live: &Live<Self>) -> Result<()> {
        Ok(())
    }
}

/// Finds the role in the path that AWS reserves for the service.
async fn find(aws: &Aws, service: &str) -> Result<Option<ServiceLinkedRoleOutputs>> {
    let roles = aws.read_once("iam:ListRoles", list(aws)).await?;
    let path = format!("{ROOT}{service}/");
    let role = roles.iter().find(|role| role.path() == path);
    Ok(role.map(outputs_of))
}

async fn list(aws: &Aws) -> Result<Vec<AwsRole>> {
    let pages = aws.iam.list_roles().path_prefix(ROOT).into_paginator();
    let roles = pages.items().send().collect::<std::result::Result<_, _>>();
    roles.await.of("iam:ListRoles")
}

fn outputs_of(role: &AwsRole) -> ServiceLinkedRoleOutputs {
    ServiceLinkedRoleOutputs {
        name: role.role_name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_iam::Client;
    use aws_sdk_iam::error::ErrorMetadata;
    use aws_sdk_iam::operation::create_service_linked_role::CreateServiceLinkedRoleError;
    use aws_sdk_iam::operation::list_roles::ListRolesOutput;
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::DateTime;

    use super::*;
    use crate::aws::testing::{mocked, scope};

    fn want(service: &str) -> ServiceLinkedRoleSpec {
        ServiceLinkedRoleSpec {
            service: service.into(),
        }
    }

    fn role(service: &str, name: &str) -> AwsRole {
        AwsRole::builder()
            .path(format!("{ROOT}{service}/"))
            .role_name(name)
            .role_id("AROAEXAMPLE")
            .arn(format!(
                "arn:aws:iam::123456789012:role{ROOT}{service}/{name}"
            ))
            .create_date(DateTime::from_secs(0))
            .build()
            .unwrap()
    }

    /// Two pages of roles, as IAM cuts long lists.
    fn in_iam() -> [Rule; 2] {
        let first = mock!(Client::list_roles)
            .match_requests(|r| r.path_prefix() == Some(ROOT) && r.marker().is_none())
            .then_output(|| {
                let page = ListRolesOutput::builder().is_truncated(true).marker("2");
                let role = role("rds.amazonaws.com", "AWSServiceRoleForRDS");
                page.roles(role).build().unwrap()
            });
        let second = mock!(Client::list_roles)
            .match_requests(|r| r.marker() == Some("2"))
            .then_output(|| {
                let role = role("ecs.amazonaws.com", "AWSServiceRoleForECS");
                ListRolesOutput::builder().roles(role).build().unwrap()
            });
        [first, second]
    }

    #[tokio::test]
    async fn roles_are_found_by_their_service_with_one_list_for_all() {
        let [first, second] = in_iam();
        let aws = mocked(&[&first, &second]).with_shared_reads();
        for (service, name) in [
            ("ecs.amazonaws.com", Some("AWSServiceRoleForECS")),
            ("rds.amazonaws.com", Some("AWSServiceRoleForRDS")),
            ("elasticloadbalancing.amazonaws.com", None),
        ] {
            let live = ServiceLinkedRole::observe(&aws, &scope("x"), &want(service), None).await;
            let found = live.unwrap().map(|live| {
                assert_eq!(live.spec, want(service));
                live.outputs.name
            });
            assert_eq!(found.as_deref(), name, "{service}");
        }
        assert_eq!(first.num_calls(), 1);
    }

    #[tokio::test]
    async fn a_role_that_somebody_else_made_meanwhile_is_taken() {
        let [first, second] = in_iam();
        let taken = mock!(Client::create_service_linked_role).then_error(|| {
            let message = "Service role name AWSServiceRoleForECS has been taken in this account, \
                           please try a different suffix.";
            let taken = ErrorMetadata::builder()
                .code("InvalidInput")
                .message(message);
            CreateServiceLinkedRoleError::generic(taken.build())
        });
        let aws = mocked(&[&first, &second, &taken]);
        let want = want("ecs.amazonaws.com");
        let made = ServiceLinkedRole::create(&aws, &scope("x"), &want).await;
        assert_eq!(made.unwrap().name, "AWSServiceRoleForECS");
    }
}
