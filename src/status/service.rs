//! The ECS service and the tasks that run for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_ecs::types::{DesiredStatus, Service as AwsService, Task};

use super::{Subject, count};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;
use crate::service::tasks::tasks as all_tasks;
use crate::service::{describe, last_segment};

/// The service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// AWS's word: `ACTIVE` or `DRAINING`.
    pub status: String,
    /// How many tasks it is to have.
    pub desired: u32,
    /// How many run, those that a deployment replaces included.
    pub running: u32,
    /// How many are on their way to running.
    pub pending: u32,
    /// The revision of its task definition, `order-api-dev:7`.
    pub revision: String,
    /// Whether the repository holds an image: asked only where no task is wanted, and unknown where
    /// that could not be read.
    pub has_image: Option<bool>,
}

impl Service {
    /// Says whether no task is wanted, and none is left.
    pub fn is_parked(&self) -> bool {
        (self.desired, self.running, self.pending) == (0, 0, 0)
    }
}

/// The running tasks of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tasks {
    /// How many run on each capacity provider, `FARGATE` and `FARGATE_SPOT`.
    pub by_provider: BTreeMap<String, u32>,
    /// What they run, the newest revision first.
    pub images: Vec<RunningImage>,
}

impl Tasks {
    /// How many run.
    pub fn running(&self) -> u32 {
        self.by_provider.values().sum()
    }

    /// How many run on Spot capacity.
    pub fn on_spot(&self) -> u32 {
        self.by_provider.get(SPOT).copied().unwrap_or_default()
    }
}

const SPOT: &str = "FARGATE_SPOT";

/// An image that tasks run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunningImage {
    /// The revision of the task definition, `order-api-dev:7`.
    pub revision: String,
    /// The reference in that revision.
    pub image: String,
    /// The digest that was pulled, `sha256:…`; none while AWS does not tell.
    pub digest: Option<String>,
    /// How many tasks run it.
    pub tasks: u32,
}

/// The service as AWS describes it (`ecs:DescribeServices`), read once per snapshot.
pub(super) async fn described(aws: &Aws, subject: &Subject) -> Result<Option<AwsService>> {
    let read = async {
        let found = describe(aws, &subject.service_name()).await?;
        // An INACTIVE one is the tombstone of a deleted one.
        Ok(found.filter(|service| service.status() != Some("INACTIVE")))
    };
    let shared: Arc<Option<AwsService>> = aws.read_once("ecs:DescribeServices", read).await?;
    Ok(shared.as_ref().clone())
}

pub(super) async fn service(aws: &Aws, subject: &Subject) -> Result<Option<Service>> {
    let Some(service) = described(aws, subject).await? else {
        return Ok(None);
    };
    let has_image = match service.desired_count() {
        // Without the answer the rest is still worth telling.
        0 => holds_image(aws, &subject.repository).await.ok(),
        _ => None,
    };
    Ok(Some(Service {
        status: service.status().unwrap_or_default().to_owned(),
        desired: count(service.desired_count()),
        running: count(service.running_count()),
        pending: count(service.pending_count()),
        revision: last_segment(service.task_definition().unwrap_or_default()).to_owned(),
        has_image,
    }))
}

async fn holds_image(aws: &Aws, repository: &str) -> Result<bool> {
    let answer = aws
        .ecr
        .list_images()
        .repository_name(repository)
        .max_results(1)
        .send()
        .await
        .of("ecr:ListImages")
        .gone_is_none(&["RepositoryNotFoundException"])?;
    Ok(answer.is_some_and(|answer| !answer.image_ids().is_empty()))
}

/// The running tasks (`ecs:ListTasks`, `ecs:DescribeTasks`).
pub(super) async fn tasks(aws: &Aws, subject: &Subject) -> Result<Option<Tasks>> {
    let name = subject.service_name();
    let Some(found) = all_tasks(aws, &name, DesiredStatus::Running).await? else {
        return Ok(None);
    };
    let running = found
        .iter()
        .filter(|task| task.last_status() == Some("RUNNING"));
    Ok(Some(counted(running, &subject.container)))
}

fn counted<'a>(running: impl Iterator<Item = &'a Task>, container: &str) -> Tasks {
    let mut by_provider = BTreeMap::new();
    let mut images = BTreeMap::new();
    for task in running {
        // A service with a launch type has no capacity provider.
        let launch_type = task.launch_type().map(|launch_type| launch_type.as_str());
        let provider = task.capacity_provider_name().or(launch_type);
        *by_provider
            .entry(provider.unwrap_or_default().to_owned())
            .or_default() += 1;
        let container = task
            .containers()
            .iter()
            .find(|it| it.name() == Some(container));
        let key = (
            last_segment(task.task_definition_arn().unwrap_or_default()).to_owned(),
            container
                .and_then(|it| it.image())
                .unwrap_or_default()
                .to_owned(),
            container
                .and_then(|it| it.image_digest())
                .map(str::to_owned),
        );
        *images.entry(key).or_default() += 1;
    }
    let images = images.into_iter();
    let mut images: Vec<RunningImage> = images
        .map(|((revision, image, digest), tasks)| RunningImage {
            revision,
            image,
            digest,
            tasks,
        })
        .collect();
    images.sort_by_key(|image| std::cmp::Reverse(number_of(&image.revision)));
    Tasks {
        by_provider,
        images,
    }
}

/// The number of a revision, 7 of `order-api-dev:7`.
fn number_of(revision: &str) -> Option<u64> {
    revision.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecr::operation::list_images::ListImagesOutput;
    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::describe_services::{
        DescribeServicesError, DescribeServicesOutput,
    };
    use aws_sdk_ecs::operation::describe_tasks::DescribeTasksOutput;
    use aws_sdk_ecs::operation::list_tasks::{ListTasksError, ListTasksOutput};
    use aws_sdk_ecs::types::{Container, Failure};
    use aws_smithy_mocks::mock;
    use aws_smithy_types::error::ErrorMetadata;

    use super::super::testing::subject;
    use super::*;
    use crate::aws::testing::mocked;
    use crate::resource::Class;

    fn running(provider: &str, revision: u32, digest: &str) -> Task {
        let container = Container::builder()
            .name("order-api")
            .image(format!("repo/order-api-dev:v{revision}"))
            .image_digest(digest);
        let definition =
            format!("arn:aws:ecs:us-east-1:1:task-definition/order-api-dev:{revision}");
        Task::builder()
            .last_status("RUNNING")
            .capacity_provider_name(provider)
            .task_definition_arn(definition)
            .containers(Container::builder().name("sidecar").image("x").build())
            .containers(container.build())
            .build()
    }

    #[tokio::test]
    async fn all_pages_of_tasks_are_counted_and_those_that_do_not_run_are_not() {
        let page = |token: Option<&'static str>, next: Option<&'static str>, count: usize| {
            mock!(Client::list_tasks)
                .match_requests(move |r| {
                    r.next_token() == token
                        && r.service_name() == Some("order-api-dev")
                        && r.desired_status() == Some(&DesiredStatus::Running)
                })
                .then_output(move || {
                    ListTasksOutput::builder()
                        .set_task_arns(Some(vec!["arn:task".to_owned(); count]))
                        .set_next_token(next.map(str::to_owned))
                        .build()
                })
        };
        let (first, second) = (page(None, Some("2"), 100), page(Some("2"), None, 3));
        let hundred = mock!(Client::describe_tasks)
            .match_requests(|r| r.tasks().len() == 100)
            .then_output(|| {
                DescribeTasksOutput::builder()
                    .tasks(running("FARGATE", 9, "sha256:a"))
                    .tasks(running("FARGATE_SPOT", 10, "sha256:b"))
                    .failures(Failure::builder().reason("MISSING").build())
                    .build()
            });
        let rest = mock!(Client::describe_tasks)
            .match_requests(|r| r.tasks().len() == 3)
            .then_output(|| {
                let mut pending = running("FARGATE", 10, "sha256:b");
                pending.last_status = Some("PENDING".to_owned());
                DescribeTasksOutput::builder()
                    .tasks(running("FARGATE_SPOT", 10, "sha256:b"))
                    .tasks(pending)
                    .build()
            });
        let aws = mocked(&[&first, &second, &hundred, &rest]);
        let tasks = tasks(&aws, &subject()).await.unwrap().unwrap();
        assert_eq!((tasks.running(), tasks.on_spot()), (3, 2));
        let images = tasks.images.iter();
        let images = images.map(|it| (it.revision.as_str(), it.digest.as_deref(), it.tasks));
        assert_eq!(
            images.collect::<Vec<_>>(),
            [
                ("order-api-dev:10", Some("sha256:b"), 2),
                ("order-api-dev:9", Some("sha256:a"), 1)
            ]
        );
    }

    fn services(service: AwsService) -> aws_smithy_mocks::Rule {
        mock!(Client::describe_services).then_output(move || {
            DescribeServicesOutput::builder()
                .services(service.clone())
                .build()
        })
    }

    #[tokio::test]
    async fn a_parked_service_tells_whether_there_is_an_image() {
        let parked = services(AwsService::builder().status("ACTIVE").build());
        let images = mock!(aws_sdk_ecr::Client::list_images)
            .match_requests(|r| r.repository_name() == Some("order-api-dev"))
            .then_output(|| ListImagesOutput::builder().build());
        let found = service(&mocked(&[&parked, &images]), &subject()).await;
        let found = found.unwrap().unwrap();
        assert!(found.is_parked());
        assert_eq!(found.has_image, Some(false));
        // Nobody may be allowed to look, and the service is told all the same.
        let denied = mock!(aws_sdk_ecr::Client::list_images).then_error(|| {
            let code = ErrorMetadata::builder().code("AccessDeniedException");
            aws_sdk_ecr::operation::list_images::ListImagesError::generic(code.build())
        });
        let found = service(&mocked(&[&parked, &denied]), &subject()).await;
        assert_eq!(found.unwrap().unwrap().has_image, None);
    }

    #[tokio::test]
    async fn a_missing_cluster_a_missing_service_and_a_tombstone_are_no_service() {
        let no_cluster = mock!(Client::describe_services).then_error(|| {
            let code = ErrorMetadata::builder().code("ClusterNotFoundException");
            DescribeServicesError::generic(code.build())
        });
        let missing = mock!(Client::describe_services).then_output(|| {
            let failure = Failure::builder().reason("MISSING").build();
            DescribeServicesOutput::builder().failures(failure).build()
        });
        let tombstone = services(AwsService::builder().status("INACTIVE").build());
        for rule in [no_cluster, missing, tombstone] {
            let found = service(&mocked(&[&rule]), &subject()).await.unwrap();
            assert_eq!(found, None);
        }
        let no_tasks = mock!(Client::list_tasks).then_error(|| {
            let code = ErrorMetadata::builder().code("ServiceNotFoundException");
            ListTasksError::generic(code.build())
        });
        let found = tasks(&mocked(&[&no_tasks]), &subject()).await.unwrap();
        assert_eq!(found, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_read_is_repeated_and_a_denied_one_is_an_error() {
        let throttled = mock!(Client::describe_services)
            .sequence()
            .error(|| {
                let code = ErrorMetadata::builder().code("ThrottlingException");
                DescribeServicesError::generic(code.build())
            })
            .output(|| {
                let service = AwsService::builder().status("ACTIVE").desired_count(3);
                DescribeServicesOutput::builder()
                    .services(service.build())
                    .build()
            })
            .build();
        let found = service(&mocked(&[&throttled]), &subject()).await;
        assert_eq!(found.unwrap().unwrap().desired, 3);
        let denied = mock!(Client::describe_services).then_error(|| {
            let code = ErrorMetadata::builder().code("AccessDeniedException");
            DescribeServicesError::generic(code.build())
        });
        let error = service(&mocked(&[&denied]), &subject()).await.unwrap_err();
        assert_eq!(error.class(), Class::Denied);
    }
}
