//! Area `image`: whether the image of the running revision is where the tasks look for it, and is
//! built for their architecture.
//!
//! ECR tells the architectures of an image index. That of a plain image stands in its configuration,
//! which is a download of its own; a wrong one shows in the log of the stopped task instead
//! (`exec format error`), and `push` has looked before.

use aws_sdk_ecr::types::{ImageDetail, ImageIdentifier};
use aws_sdk_ecs::types::{CpuArchitecture, TaskDefinition};
use serde_json::Value;

use super::{Chart, Subject, reads};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;

pub(super) const AREA: &str = "image";

/// The manifests that list one image per platform.
const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

const PUSH: &str =
    "`orderctl push IMAGE`, then `orderctl up` (the first image) or `orderctl deploy`";

pub(super) async fn look(aws: &Aws, subject: &Subject, chart: &mut Chart) -> Result<()> {
    let definition = reads::running_definition(aws, subject).await?;
    let Some(definition) = definition.as_ref() else {
        return Ok(());
    };
    let mut containers = definition.container_definitions().iter();
    let ours = containers.find(|container| container.name() == Some(&subject.container));
    let Some(image) = ours.and_then(|container| container.image()) else {
        chart
            .problem(format!(
                "the running revision has no container {}",
                subject.container
            ))
            .mended_by("orderctl up");
        return Ok(());
    };
    let Some(reference) = Reference::read(image) else {
        chart
            .unknown("the image is in another registry than ECR, and was not looked for")
            .shown_by([image]);
        return Ok(());
    };
    let service = reads::service(aws, subject).await?;
    let is_parked = service
        .as_ref()
        .as_ref()
        .is_some_and(|it| it.desired_count() == 0);
    let found = match find(aws, &reference).await? {
        Found::Image(found) => found,
        Found::NoRepository => {
            let name = reference.repository;
            chart
                .problem(format!("there is no ECR repository {name}"))
                .shown_by([format!("the running revision wants {image}")])
                .mended_by("`orderctl up`, then `orderctl push IMAGE`");
            return Ok(());
        }
        Found::NoImage if is_parked => {
            chart
                .warning("the repository does not hold the image that the service waits for")
                .shown_by([image])
                .mended_by(PUSH);
            return Ok(());
        }
        Found::NoImage => {
            chart
                .problem("the image of the running revision is not in the repository")
                .shown_by([image])
                .mended_by(PUSH);
            return Ok(());
        }
    };
    let digest = found.image_digest().unwrap_or_default();
    let pushed = reads::moment(found.image_pushed_at());
    let evidence = [image.to_owned(), format!("{digest}, pushed {pushed}")];
    let architecture = architecture(definition);
    let is_index = found
        .image_manifest_media_type()
        .is_some_and(|media_type| INDEXES.contains(&media_type));
    if is_index {
        let offered = architectures(aws, &reference, digest).await?;
        if !offered.iter().any(|offered| offered == architecture) {
            chart
                .problem(format!("the image is not built for linux/{architecture}"))
                .shown_by(evidence)
                .shown_by([format!("it is built for {}", offered.join(", "))])
                .mended_by(format!(
                    "`docker build --platform linux/{architecture} …`, then `orderctl push IMAGE`"
                ));
            return Ok(());
        }
    }
    chart
        .fine("the image of the running revision is in the repository")
        .shown_by(evidence);
    Ok(())
}

/// The architecture that the tasks have, in the words of images; Fargate's default is x86.
fn architecture(definition: &TaskDefinition) -> &'static str {
    let platform = definition.runtime_platform();
    match platform.and_then(|platform| platform.cpu_architecture()) {
        Some(CpuArchitecture::Arm64) => "arm64",
        _ => "amd64",
    }
}

/// An image of ECR as a task definition names it.
#[derive(Debug, PartialEq)]
struct Reference<'a> {
    registry: &'a str,
    repository: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// Reads `<account>.dkr.ecr.<region>.<domain>/<repository>[:<tag>][@<digest>]`.
    fn read(image: &'a str) -> Option<Self> {
        let (host, path) = image.split_once('/')?;
        let (registry, rest) = host.split_once(".dkr.ecr")?;
        if !rest.starts_with(['.', '-']) || registry.len() != 12 {
            return None;
        }
        let (name, digest) = match path.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (path, None),
        };
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (name, None),
        };
        Some(Self {
            registry,
            repository,
            tag,
            digest,
        })
    }

    /// Given both, a runtime goes by the digest alone; given none, by `latest`.
    fn identifier(&self) -> ImageIdentifier {
        let identifier = ImageIdentifier::builder();
        match self.digest {
            Some(digest) => identifier.image_digest(digest).build(),
            None => identifier.image_tag(self.tag.unwrap_or("latest")).build(),
        }
    }
}

enum Found {
    NoRepository,
    NoImage,
    Image(Box<ImageDetail>),
}

async fn find(aws: &Aws, reference: &Reference<'_>) -> Result<Found> {
    let answer = aws
        .ecr
        .describe_images()
        .registry_id(reference.registry)
        .repository_name(reference.repository)
        .image_ids(reference.identifier())
        .send()
        .await
        .of("ecr:DescribeImages");
    if let Err(error) = &answer
        && error.is(&["RepositoryNotFoundException"])
    {
        return Ok(Found::NoRepository);
    }
    let answer = answer.gone_is_none(&["ImageNotFoundException"])?;
    let images = answer.and_then(|answer| answer.image_details);
    let image = images.unwrap_or_default().into_iter().next();
    Ok(image.map_or(Found::NoImage, |image| Found::Image(Box::new(image))))
}

/// The architectures that an image index lists for Linux.
async fn architectures(aws: &Aws, reference: &Reference<'_>, digest: &str) -> Result<Vec<String>> {
    let answer = aws
        .ecr
        .batch_get_image()
        .registry_id(reference.registry)
        .repository_name(reference.repository)
        .image_ids(ImageIdentifier::builder().image_digest(digest).build())
        .set_accepted_media_types(Some(INDEXES.map(str::to_owned).into()))
        .send()
        .await
        .of("ecr:BatchGetImage")?;
    let manifest = answer
        .images()
        .first()
        .and_then(|image| image.image_manifest());
    let manifest: Value = serde_json::from_str(manifest.unwrap_or_default()).unwrap_or_default();
    let listed = manifest["manifests"].as_array().into_iter().flatten();
    let platforms = listed.map(|manifest| &manifest["platform"]);
    let linux = platforms.filter(|platform| platform["os"] == "linux");
    Ok(linux
        .filter_map(|platform| platform["architecture"].as_str())
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecr::Client as Ecr;
    use aws_sdk_ecr::error::ErrorMetadata;
    use aws_sdk_ecr::operation::batch_get_image::BatchGetImageOutput;
    use aws_sdk_ecr::operation::describe_images::{DescribeImagesError, DescribeImagesOutput};
    use aws_sdk_ecr::types::Image;
    use aws_sdk_ecs::types::{ContainerDefinition, RuntimePlatform, Service};
    use aws_smithy_mocks::{Rule, mock};

    use super::super::testing::{found, is_fine, only_bad, subject};
    use super::super::{Finding, Severity};
    use super::*;
    use crate::aws::testing::mocked;

    const IMAGE: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com/order-api-dev:1.0";

    fn service(desired: i32) -> Rule {
        mock!(aws_sdk_ecs::Client::describe_services).then_output(move || {
            let service = Service::builder()
                .task_definition("arn:td:1")
                .desired_count(desired);
            aws_sdk_ecs::operation::describe_services::DescribeServicesOutput::builder()
                .services(service.build())
                .build()
        })
    }

    fn definition(architecture: CpuArchitecture) -> Rule {
        mock!(aws_sdk_ecs::Client::describe_task_definition).then_output(move || {
            let container = ContainerDefinition::builder()
                .name("order-api")
                .image(IMAGE);
            let platform = RuntimePlatform::builder().cpu_architecture(architecture.clone());
            let definition = TaskDefinition::builder()
                .container_definitions(container.build())
                .runtime_platform(platform.build());
            aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionOutput::builder(
            )
            .task_definition(definition.build())
            .build()
        })
    }

    fn refused(code: &'static str) -> Rule {
        mock!(Ecr::describe_images).then_error(move || {
            DescribeImagesError::generic(ErrorMetadata::builder().code(code).build())
        })
    }

    fn index() -> [Rule; 2] {
        let detail = mock!(Ecr::describe_images)
            .match_requests(|r| {
                r.image_ids()[0].image_tag() == Some("1.0")
                    && r.registry_id() == Some("123456789012")
            })
            .then_output(|| {
                let detail = ImageDetail::builder()
                    .image_digest("sha256:1")
                    .image_manifest_media_type(INDEXES[0]);
                DescribeImagesOutput::builder()
                    .image_details(detail.build())
                    .build()
            });
        let manifest = mock!(Ecr::batch_get_image).then_output(|| {
            let manifest = r#"{"manifests": [
                {"platform": {"os": "linux", "architecture": "amd64"}},
                {"platform": {"os": "unknown", "architecture": "unknown"}}
            ]}"#;
            BatchGetImageOutput::builder()
                .images(Image::builder().image_manifest(manifest).build())
                .build()
        });
        [detail, manifest]
    }

    async fn examined(rules: &[&Rule]) -> Vec<Finding> {
        let aws = mocked(rules).with_shared_reads();
        found(async |chart: &mut Chart| look(&aws, &subject(), chart).await).await
    }

    #[tokio::test]
    async fn an_absent_image_is_a_problem_unless_the_service_waits_for_it() {
        let definition = definition(CpuArchitecture::X8664);
        for (desired, code, severity, title) in [
            (
                3,
                "ImageNotFoundException",
                Severity::Problem,
                "is not in the repository",
            ),
            (
                0,
                "ImageNotFoundException",
                Severity::Warning,
                "the service waits for",
            ),
            (
                3,
                "RepositoryNotFoundException",
                Severity::Problem,
                "no ECR repository order-api-dev",
            ),
            (
                3,
                "AccessDeniedException",
                Severity::Unknown,
                "ecr:DescribeImages is not permitted",
            ),
        ] {
            let all = examined(&[&service(desired), &definition, &refused(code)]).await;
            let finding = only_bad(&all);
            assert_eq!(finding.severity, severity, "{finding:?}");
            assert!(finding.title.contains(title), "{finding:?}");
            assert!(finding.fix.is_some(), "{finding:?}");
        }
    }

    #[tokio::test]
    async fn an_index_must_list_the_architecture_of_the_tasks() {
        let [detail, manifest] = index();
        let wanted = definition(CpuArchitecture::X8664);
        is_fine(&examined(&[&service(3), &wanted, &detail, &manifest]).await);
        let other = definition(CpuArchitecture::Arm64);
        let all = examined(&[&service(3), &other, &detail, &manifest]).await;
        let finding = only_bad(&all);
        assert_eq!(finding.title, "the image is not built for linux/arm64");
        assert!(
            finding
                .evidence
                .contains(&"it is built for amd64".to_owned())
        );
    }

    #[test]
    fn references_are_read_as_a_runtime_reads_them() {
        let read = |image| Reference::read(image).map(|it| (it.repository, it.tag, it.digest));
        let host = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
        for (rest, expected) in [
            ("a/b:1", ("a/b", Some("1"), None)),
            ("a@sha256:2", ("a", None, Some("sha256:2"))),
            ("a:1@sha256:2", ("a", Some("1"), Some("sha256:2"))),
            ("a", ("a", None, None)),
        ] {
            let image = format!("{host}/{rest}");
            assert_eq!(
                Reference::read(&image).map(|it| (it.repository, it.tag, it.digest)),
                Some(expected)
            );
        }
        assert_eq!(read("docker.io/library/nginx:1"), None);
        assert_eq!(read("nginx"), None);
    }
}
