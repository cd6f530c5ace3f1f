//! The newest deployment of the service, and the release it belongs to.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{
    DeploymentLifecycleHookStatus, ServiceDeployment, ServiceDeploymentBrief, ServiceRevision,
    TaskDefinitionField,
};
use jiff::Timestamp;

use super::service::{GONE, described};
use super::{Part, Subject, last_segment, moment};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;

/// A deployment of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// ECS's word: `IN_PROGRESS`, `SUCCESSFUL`, `ROLLBACK_SUCCESSFUL`, …
    pub status: String,
    /// The stage it is in, `BAKE_TIME`, or was in at its end.
    pub stage: Option<String>,
    /// When it began.
    pub began: Option<Timestamp>,
    /// When ECS last changed anything of it.
    pub changed: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// ECS's words for its status, and for a rollback.
    pub reason: Option<String>,
    /// The hooks that wait for an answer.
    pub awaiting: Vec<Awaiting>,
}

impl Deployment {
    /// Says whether it goes on.
    pub fn is_under_way(&self) -> bool {
        const ENDS: &[&str] = &[
            "SUCCESSFUL",
            "STOPPED",
            "ROLLBACK_SUCCESSFUL",
            "ROLLBACK_FAILED",
        ];
        !ENDS.contains(&self.status.as_str())
    }
}

/// A lifecycle hook at which a deployment waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaiting {
    /// Its id, which the answer names.
    pub hook: String,
    /// Until when it waits.
    pub until: Option<Timestamp>,
    /// What ECS does then: `CONTINUE` or `ROLLBACK`.
    pub then: Option<String>,
}

/// What was released last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The revision of the task definition, `order-api-dev:7`.
    pub revision: String,
    /// The image as whoever released it named it, else as the task definition does.
    pub image: Option<String>,
    /// The digest it stands for.
    pub digest: Option<String>,
    /// Who released it, where that is recorded.
    pub by: Option<String>,
    /// When its deployment began.
    pub began: Option<Timestamp>,
    /// When its deployment ended.
    pub ended: Option<Timestamp>,
    /// The status of its deployment, as in [`Deployment::status`].
    pub status: String,
}

/// The tag of a task definition's revision that holds the image as it was named.
const IMAGE_TAG: &str = "orderctl:image";
/// The tag that holds who released it.
const RELEASED_BY_TAG: &str = "orderctl:released-by";
/// How many revisions one call describes, and so how far back a release is looked for.
const REVISIONS_PER_CALL: usize = 20;

/// The newest deployment, and the last release.
pub(super) async fn newest(aws: &Aws, subject: &Subject) -> (Part<Deployment>, Part<Release>) {
    let deployments = match list(aws, subject).await {
        Ok(deployments) => deployments,
        Err(error) => {
            return (Part::Unreadable(error.clone()), Part::Unreadable(error));
        }
    };
    let (deployment, release) = tokio::join!(
        describe(aws, deployments.first()),
        release(aws, subject, &deployments)
    );
    (deployment.into(), release.into())
}

/// All deployments that ECS still knows, the newest first (`ecs:ListServiceDeployments`).
async fn list(aws: &Aws, subject: &Subject) -> Result<Vec<ServiceDeploymentBrief>> {
    let mut found = Vec::new();
    let mut token = None;
    loop {
        let page = aws
            .ecs
            .list_service_deployments()
            .cluster(&subject.cluster)
            .service(&subject.service)
            .max_results(100)
            .set_next_token(token)
            .send()
            .await
            .of("ecs:ListServiceDeployments")
            .gone_is_none(GONE)?;
        let Some(page) = page else { break };
        token = page.next_token;
        found.extend(page.service_deployments.unwrap_or_default());
        if token.is_none() {
            break;
        }
    }
    // The order is not documented.
    found.sort_by_key(|it| std::cmp::Reverse(moment(it.created_at())));
    Ok(found)
}

async fn describe(
    aws: &Aws,
    newest: Option<&ServiceDeploymentBrief>,
) -> Result<Option<Deployment>> {
    let Some(arn) = newest.and_then(ServiceDeploymentBrief::service_deployment_arn) else {
        return Ok(None);
    };
    let answer = aws
        .ecs
        .describe_service_deployments()
        .service_deployment_arns(arn)
        .send()
        .await
        .of("ecs:DescribeServiceDeployments")
        .gone_is_none(GONE)?;
    let described = answer.and_then(|answer| answer.service_deployments);
    Ok(described.unwrap_or_default().first().map(deployment))
}

fn deployment(described: &ServiceDeployment) -> Deployment {
    let waits = described
        .lifecycle_hook_details()
        .iter()
        .filter(|hook| hook.status() == Some(&DeploymentLifecycleHookStatus::AwaitingAction));
    let rolled_back = described.rollback().and_then(|rollback| rollback.reason());
    Deployment {
        status: described
            .status()
            .map_or("", |status| status.as_str())
            .to_owned(),
        stage: described
            .lifecycle_stage()
            .map(|stage| stage.as_str().to_owned()),
        began: moment(described.started_at().or(described.created_at())),
        changed: moment(described.updated_at()),
        ended: moment(described.finished_at().or(described.stopped_at())),
        reason: described.status_reason().or(rolled_back).map(str::to_owned),
        awaiting: waits
            .map(|hook| Awaiting {
                hook: hook.hook_id().unwrap_or_default().to_owned(),
                until: moment(hook.expires_at()),
                then: hook
                    .timeout_action()
                    .map(|action| action.as_str().to_owned()),
            })
            .collect(),
    }
}

/// Looks for the deployment that brought the task definition of the newest one: later ones with the
/// same may only have changed the service's settings.
async fn release(
    aws: &Aws,
    subject: &Subject,
    deployments: &[ServiceDeploymentBrief],
) -> Result<Option<Release>> {
    let recent = &deployments[..deployments.len().min(REVISIONS_PER_CALL)];
    let revisions = revisions(aws, recent).await?;
    let revision_of = |deployment: &ServiceDeploymentBrief| {
        revisions.get(deployment.target_service_revision_arn()?)
    };
    let Some(newest) = recent.first().and_then(revision_of) else {
        return Ok(None);
    };
    let same = recent.iter().take_while(|deployment| {
        revision_of(deployment).map(ServiceRevision::task_definition)
            == Some(newest.task_definition())
    });
    let Some(brought) = same.last() else {
        return Ok(None);
    };
    let definition = newest.task_definition().unwrap_or_default();
    let tags = tags(aws, definition).await?;
    let container = newest
        .container_images()
        .iter()
        .find(|image| image.container_name() == Some(&subject.container));
    let digest = container.and_then(|image| image.image_digest());
    let by = tags.get(RELEASED_BY_TAG).cloned();
    if digest.is_none() && by.is_none() {
        // A parked service is deployed once too, with a task definition that nothing runs.
        let service = described(aws, subject).await?;
        if service.is_none_or(|service| service.desired_count() == 0) {
            return Ok(None);
        }
    }
    let named = container.and_then(|image| image.image());
    Ok(Some(Release {
        revision: last_segment(definition).to_owned(),
        image: tags.get(IMAGE_TAG).cloned().or(named.map(str::to_owned)),
        digest: digest.map(str::to_owned),
        by,
        began: moment(brought.started_at().or(brought.created_at())),
        ended: moment(brought.finished_at()),
        status: brought
            .status()
            .map_or("", |status| status.as_str())
            .to_owned(),
    }))
}

/// What the deployments bring, by ARN (`ecs:DescribeServiceRevisions`).
async fn revisions(
    aws: &Aws,
    deployments: &[ServiceDeploymentBrief],
) -> Result<BTreeMap<String, ServiceRevision>> {
    let targets = deployments
        .iter()
        .filter_map(ServiceDeploymentBrief::target_service_revision_arn);
    let mut arns: Vec<String> = targets.map(str::to_owned).collect();
    arns.sort();
    arns.dedup();
    if arns.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answer = aws
        .ecs
        .describe_service_revisions()
        .set_service_revision_arns(Some(arns))
        .send()
        .await
        .of("ecs:DescribeServiceRevisions")
        .gone_is_none(GONE)?;
    let found = answer.and_then(|answer| answer.service_revisions);
    let found = found.unwrap_or_default().into_iter();
    Ok(found
        .filter_map(|revision| Some((revision.service_revision_arn()?.to_owned(), revision)))
        .collect())
}

/// The tags of a task definition's revision (`ecs:DescribeTaskDefinition`).
async fn tags(aws: &Aws, task_definition: &str) -> Result<BTreeMap<String, String>> {
    let answer = aws
        .ecs
        .describe_task_definition()
        .task_definition(task_definition)
        .include(TaskDefinitionField::Tags)
        .send()
        .await
        .of("ecs:DescribeTaskDefinition")?;
    let tags = answer.tags().iter();
    Ok(tags
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())))
        .collect())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::describe_service_deployments::DescribeServiceDeploymentsOutput;
    use aws_sdk_ecs::operation::describe_service_revisions::DescribeServiceRevisionsOutput;
    use aws_sdk_ecs::operation::describe_services::DescribeServicesOutput;
    use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionOutput;
    use aws_sdk_ecs::operation::list_service_deployments::{
        ListServiceDeploymentsError, ListServiceDeploymentsOutput,
    };
    use aws_sdk_ecs::primitives::DateTime;
    use aws_sdk_ecs::types::{
        ContainerImage, DeploymentLifecycleHookAction, DeploymentLifecycleHookDetail, Rollback,
        Service, ServiceDeploymentLifecycleStage, ServiceDeploymentStatus, Tag,
    };
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::error::ErrorMetadata;

    use super::super::testing::subject;
    use super::*;
    use crate::aws::testing::mocked;
    use crate::resource::Class;

    /// The deployment that began at this second, and brought this service revision.
    fn brief(
        second: i64,
        revision: u32,
        status: ServiceDeploymentStatus,
    ) -> ServiceDeploymentBrief {
        ServiceDeploymentBrief::builder()
            .service_deployment_arn(format!("arn:deployment/{second}"))
            .target_service_revision_arn(format!("arn:revision/{revision}"))
            .created_at(DateTime::from_secs(second))
            .started_at(DateTime::from_secs(second))
            .status(status)
            .build()
    }

    /// A service revision that brings this revision of the task definition.
    fn revision(number: u32, definition: u32, digest: Option<&str>) -> ServiceRevision {
        let image = ContainerImage::builder()
            .container_name("order-api")
            .image("repo/order-api-dev:latest")
            .set_image_digest(digest.map(str::to_owned));
        let definition =
            format!("arn:aws:ecs:us-east-1:1:task-definition/order-api-dev:{definition}");
        ServiceRevision::builder()
            .service_revision_arn(format!("arn:revision/{number}"))
            .task_definition(definition)
            .container_images(image.build())
            .build()
    }

    fn listed(
        token: Option<&'static str>,
        next: Option<&'static str>,
        page: Vec<ServiceDeploymentBrief>,
    ) -> Rule {
        mock!(Client::list_service_deployments)
            .match_requests(move |r| r.next_token() == token)
            .then_output(move || {
                ListServiceDeploymentsOutput::builder()
                    .set_service_deployments(Some(page.clone()))
                    .set_next_token(next.map(str::to_owned))
                    .build()
            })
    }

    fn described_as(arn: &'static str, deployment: ServiceDeployment) -> Rule {
        mock!(Client::describe_service_deployments)
            .match_requests(move |r| r.service_deployment_arns() == [arn])
            .then_output(move || {
                DescribeServiceDeploymentsOutput::builder()
                    .service_deployments(deployment.clone())
                    .build()
            })
    }

    fn bringing(revisions: Vec<ServiceRevision>) -> Rule {
        mock!(Client::describe_service_revisions).then_output(move || {
            DescribeServiceRevisionsOutput::builder()
                .set_service_revisions(Some(revisions.clone()))
                .build()
        })
    }

    fn tagged(tags: &'static [(&'static str, &'static str)]) -> Rule {
        mock!(Client::describe_task_definition).then_output(move || {
            let tags = tags.iter();
            let tags = tags.map(|(key, value)| Tag::builder().key(*key).value(*value).build());
            DescribeTaskDefinitionOutput::builder()
                .set_tags(Some(tags.collect()))
                .build()
        })
    }

    #[tokio::test]
    async fn the_newest_tells_its_stage_and_the_release_is_what_brought_the_task_definition() {
        use ServiceDeploymentStatus::{InProgress, Successful};
        // The order of the list means nothing, and the newest stands on the second page.
        let first = listed(
            None,
            Some("2"),
            vec![brief(100, 1, Successful), brief(200, 2, Successful)],
        );
        let second = listed(Some("2"), None, vec![brief(300, 3, InProgress)]);
        let hook = DeploymentLifecycleHookDetail::builder()
            .hook_id("hook-1")
            .status(DeploymentLifecycleHookStatus::AwaitingAction)
            .timeout_action(DeploymentLifecycleHookAction::Rollback)
            .expires_at(DateTime::from_secs(900));
        let done = DeploymentLifecycleHookDetail::builder()
            .hook_id("hook-0")
            .status(DeploymentLifecycleHookStatus::Succeeded);
        let described = ServiceDeployment::builder()
            .status(InProgress)
            .lifecycle_stage(ServiceDeploymentLifecycleStage::PostTestTrafficShift)
            .started_at(DateTime::from_secs(300))
            .updated_at(DateTime::from_secs(330))
            .lifecycle_hook_details(done.build())
            .lifecycle_hook_details(hook.build())
            .build();
        let described = described_as("arn:deployment/300", described);
        // Revision 3 has the task definition of revision 2: only settings changed.
        let revisions = bringing(vec![
            revision(1, 6, Some("sha256:old")),
            revision(2, 7, Some("sha256:new")),
            revision(3, 7, Some("sha256:new")),
        ]);
        let tags = tagged(&[(IMAGE_TAG, "v1.4.2"), (RELEASED_BY_TAG, "ci/ann")]);
        let aws = mocked(&[&first, &second, &described, &revisions, &tags]);
        let (deployment, release) = newest(&aws, &subject()).await;

        let deployment = deployment.value().unwrap();
        assert!(deployment.is_under_way());
        assert_eq!(deployment.stage.as_deref(), Some("POST_TEST_TRAFFIC_SHIFT"));
        assert_eq!(deployment.changed, Timestamp::from_second(330).ok());
        let awaiting = Awaiting {
            hook: "hook-1".to_owned(),
            until: Timestamp::from_second(900).ok(),
            then: Some("ROLLBACK".to_owned()),
        };
        assert_eq!(deployment.awaiting, [awaiting]);
        let expected = Release {
            revision: "order-api-dev:7".to_owned(),
            image: Some("v1.4.2".to_owned()),
            digest: Some("sha256:new".to_owned()),
            by: Some("ci/ann".to_owned()),
            began: Timestamp::from_second(200).ok(),
            ended: None,
            status: "SUCCESSFUL".to_owned(),
        };
        assert_eq!(release.value(), Some(&expected));
    }

    #[tokio::test]
    async fn a_release_that_was_rolled_back_is_told_with_the_reason() {
        let list = listed(
            None,
            None,
            vec![
                brief(200, 2, ServiceDeploymentStatus::RollbackSuccessful),
                brief(100, 1, ServiceDeploymentStatus::Successful),
            ],
        );
        let rollback = Rollback::builder().reason("alarm order-api-high-errors-dev");
        let described = ServiceDeployment::builder()
            .status(ServiceDeploymentStatus::RollbackSuccessful)
            .rollback(rollback.build())
            .build();
        let described = described_as("arn:deployment/200", described);
        let revisions = bringing(vec![
            revision(1, 6, Some("sha256:old")),
            revision(2, 7, Some("sha256:bad")),
        ]);
        let aws = mocked(&[&list, &described, &revisions, &tagged(&[])]);
        let (deployment, release) = newest(&aws, &subject()).await;
        let deployment = deployment.value().unwrap();
        assert!(!deployment.is_under_way());
        assert!(
            deployment
                .reason
                .as_deref()
                .unwrap()
                .contains("high-errors")
        );
        let release = release.value().unwrap();
        assert_eq!(release.status, "ROLLBACK_SUCCESSFUL");
        assert_eq!(release.by, None, "nobody wrote it down");
        assert_eq!(release.image.as_deref(), Some("repo/order-api-dev:latest"));
    }

    #[tokio::test]
    async fn a_parked_service_was_deployed_and_nothing_was_released() {
        let list = listed(
            None,
            None,
            vec![brief(100, 1, ServiceDeploymentStatus::Successful)],
        );
        let described = ServiceDeployment::builder().status(ServiceDeploymentStatus::Successful);
        let described = described_as("arn:deployment/100", described.build());
        let revisions = bringing(vec![revision(1, 1, None)]);
        let service = |desired| {
            mock!(Client::describe_services).then_output(move || {
                let service = Service::builder().status("ACTIVE").desired_count(desired);
                DescribeServicesOutput::builder()
                    .services(service.build())
                    .build()
            })
        };
        for (desired, is_released) in [(0, false), (3, true)] {
            let (tags, service) = (tagged(&[]), service(desired));
            let aws = mocked(&[&list, &described, &revisions, &tags, &service]);
            let (deployment, release) = newest(&aws, &subject()).await;
            assert!(deployment.value().is_some());
            assert_eq!(release.value().is_some(), is_released, "{desired}");
        }
    }

    #[tokio::test]
    async fn without_a_service_there_is_neither_and_a_refusal_is_told_of_both() {
        let refuse = |code: &'static str| {
            mock!(Client::list_service_deployments).then_error(move || {
                let code = ErrorMetadata::builder().code(code);
                ListServiceDeploymentsError::generic(code.build())
            })
        };
        let aws = mocked(&[&refuse("ServiceNotFoundException")]);
        let (deployment, release) = newest(&aws, &subject()).await;
        assert!(deployment.is_absent() && release.is_absent());
        let aws = mocked(&[&refuse("AccessDeniedException")]);
        let (deployment, release) = newest(&aws, &subject()).await;
        for error in [deployment.error(), release.error()] {
            assert_eq!(error.unwrap().class(), Class::Denied);
        }
    }
}
