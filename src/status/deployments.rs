//! The newest deployment of the service, and the release it belongs to.

use jiff::Timestamp;

use super::service::described;
use super::{Part, Subject};
use crate::aws::Aws;
use crate::resource::Result;
use crate::service::deployments::{Deployment, latest};
use crate::service::last_segment;
use crate::service::revisions::{AT_ONCE, ReleaseTags, release_tags, targets};

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

/// The newest deployment, and the last release.
pub(super) async fn newest(aws: &Aws, subject: &Subject) -> (Part<Deployment>, Part<Release>) {
    // As many as one call tells the targets of; no release is looked for further back.
    let deployments = match latest(aws, &subject.service_name(), AT_ONCE).await {
        Ok(deployments) => deployments,
        Err(error) => {
            return (Part::Unreadable(error.clone()), Part::Unreadable(error));
        }
    };
    let release = release(aws, subject, &deployments).await;
    let newest = deployments.into_iter().next();
    (Ok(newest).into(), release.into())
}

/// Looks for the deployment that brought the task definition of the newest one: later ones with the
/// same may only have changed the service's settings.
async fn release(
    aws: &Aws,
    subject: &Subject,
    deployments: &[Deployment],
) -> Result<Option<Release>> {
    let targets = targets(aws, deployments, &subject.container).await?;
    let target_of = |deployment: &Deployment| targets.get(&deployment.target.revision);
    let Some(newest) = deployments.first().and_then(target_of) else {
        return Ok(None);
    };
    let is_same = |deployment: &&Deployment| {
        target_of(deployment).is_some_and(|target| target.definition == newest.definition)
    };
    let Some(brought) = deployments.iter().take_while(is_same).last() else {
        return Ok(None);
    };
    let ReleaseTags { named, by } = release_tags(aws, &newest.definition).await?;
    if newest.digest.is_none() && by.is_none() {
        // A parked service is deployed once too, with a task definition that nothing runs.
        let service = described(aws, subject).await?;
        if service.is_none_or(|service| service.desired_count() == 0) {
            return Ok(None);
        }
    }
    let image = Some(newest.image.clone()).filter(|image| !image.is_empty());
    Ok(Some(Release {
        revision: last_segment(&newest.definition).to_owned(),
        image: named.or(image),
        digest: newest.digest.clone(),
        by,
        began: brought.began(),
        ended: brought.finished,
        status: brought.status.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::describe_service_revisions::DescribeServiceRevisionsOutput;
    use aws_sdk_ecs::operation::describe_services::DescribeServicesOutput;
    use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionOutput;
    use aws_sdk_ecs::operation::list_service_deployments::ListServiceDeploymentsError;
    use aws_sdk_ecs::types::ServiceDeploymentStatus::{InProgress, RollbackSuccessful, Successful};
    use aws_sdk_ecs::types::{ContainerImage, Rollback, Service, ServiceRevision, Tag};
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::error::ErrorMetadata;

    use super::super::testing::subject;
    use super::*;
    use crate::aws::testing::mocked;
    use crate::resource::Class;
    use crate::service::revisions::{BY_TAG, IMAGE_TAG};
    use crate::service::testing::{deployed, described, listed};

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
    async fn the_release_is_what_brought_the_task_definition_of_the_newest_deployment() {
        let all = [
            deployed(300, 3, InProgress).build(),
            deployed(200, 2, Successful).build(),
            deployed(100, 1, Successful).build(),
        ];
        // Revision 3 has the task definition of revision 2: only settings changed.
        let revisions = bringing(vec![
            revision(1, 6, Some("sha256:old")),
            revision(2, 7, Some("sha256:new")),
            revision(3, 7, Some("sha256:new")),
        ]);
        let tags = tagged(&[(IMAGE_TAG, "v1.4.2"), (BY_TAG, "ci/ann")]);
        let aws = mocked(&[&listed(&all), &described(&all), &revisions, &tags]);
        let (deployment, release) = newest(&aws, &subject()).await;
        assert_eq!(deployment.value().unwrap().arn, "arn:deployment/300");
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
        let rollback = Rollback::builder().reason("alarm order-api-high-errors-dev");
        let all = [
            deployed(200, 2, RollbackSuccessful)
                .rollback(rollback.build())
                .build(),
            deployed(100, 1, Successful).build(),
        ];
        let revisions = bringing(vec![
            revision(1, 6, Some("sha256:old")),
            revision(2, 7, Some("sha256:bad")),
        ]);
        let aws = mocked(&[&listed(&all), &described(&all), &revisions, &tagged(&[])]);
        let (deployment, release) = newest(&aws, &subject()).await;
        let deployment = deployment.value().unwrap();
        assert!(!deployment.is_under_way());
        assert!(deployment.why().unwrap().contains("high-errors"));
        let release = release.value().unwrap();
        assert_eq!(release.status, "ROLLBACK_SUCCESSFUL");
        assert_eq!(release.by, None, "nobody wrote it down");
        assert_eq!(release.image.as_deref(), Some("repo/order-api-dev:latest"));
    }

    #[tokio::test]
    async fn a_parked_service_was_deployed_and_nothing_was_released() {
        let all = [deployed(100, 1, Successful).build()];
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
            let aws = mocked(&[&listed(&all), &described(&all), &revisions, &tags, &service]);
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
