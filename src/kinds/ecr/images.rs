//! Questions about the images in a repository. Images are pushed by people and pipelines, so they
//! are no resources of the stack, but whether there are any decides how the service starts.

use aws_sdk_ecr::types::ImageIdentifier;

use super::GONE;
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;

/// Says whether the repository holds any image; a repository that does not exist holds none.
///
/// Asks `ecr:ListImages`; fails as that call does.
pub async fn has_images(aws: &Aws, repository: &str) -> Result<bool> {
    let answer = aws
        .ecr
        .list_images()
        .repository_name(repository)
        .max_results(1)
        .send()
        .await
        .of("ecr:ListImages")
        .gone_is_none(GONE)?;
    Ok(answer.is_some_and(|answer| !answer.image_ids().is_empty()))
}

/// Gives the digest (`sha256:…`) of the image that carries `tag` now, or `None` if none does.
///
/// Asks `ecr:DescribeImages`; fails as that call does.
pub async fn image_digest(aws: &Aws, repository: &str, tag: &str) -> Result<Option<String>> {
    let answer = aws
        .ecr
        .describe_images()
        .repository_name(repository)
        .image_ids(ImageIdentifier::builder().image_tag(tag).build())
        .send()
        .await
        .of("ecr:DescribeImages")
        .gone_is_none(&["ImageNotFoundException", "RepositoryNotFoundException"])?;
    let images = answer.and_then(|answer| answer.image_details);
    let image = images.unwrap_or_default().into_iter().next();
    Ok(image.and_then(|image| image.image_digest))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecr::Client;
    use aws_sdk_ecr::error::ErrorMetadata;
    use aws_sdk_ecr::operation::describe_images::{DescribeImagesError, DescribeImagesOutput};
    use aws_sdk_ecr::operation::list_images::{ListImagesError, ListImagesOutput};
    use aws_sdk_ecr::types::ImageDetail;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::aws::testing::mocked;

    #[tokio::test]
    async fn a_repository_holds_images_if_any_is_listed() {
        let image = mock!(Client::list_images)
            .match_requests(|r| r.repository_name() == Some("order-api-dev"))
            .then_output(|| {
                let image = ImageIdentifier::builder().image_digest("sha256:1").build();
                ListImagesOutput::builder().image_ids(image).build()
            });
        let empty = mock!(Client::list_images).then_output(|| {
            ListImagesOutput::builder()
                .set_image_ids(Some(vec![]))
                .build()
        });
        let gone = mock!(Client::list_images).then_error(|| {
            let code = ErrorMetadata::builder().code("RepositoryNotFoundException");
            ListImagesError::generic(code.build())
        });
        for (rule, expected) in [(image, true), (empty, false), (gone, false)] {
            let found = has_images(&mocked(&[&rule]), "order-api-dev").await;
            assert_eq!(found.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_tag_gives_its_digest_and_an_unknown_tag_none() {
        let tagged = mock!(Client::describe_images)
            .match_requests(|r| r.image_ids()[0].image_tag() == Some("latest"))
            .then_output(|| {
                let image = ImageDetail::builder().image_digest("sha256:1").build();
                DescribeImagesOutput::builder().image_details(image).build()
            });
        let unknown = mock!(Client::describe_images).then_error(|| {
            let code = ErrorMetadata::builder().code("ImageNotFoundException");
            DescribeImagesError::generic(code.build())
        });
        let aws = mocked(&[&tagged, &unknown]);
        for (tag, expected) in [("latest", Some("sha256:1")), ("v9", None)] {
            let digest = image_digest(&aws, "order-api-dev", tag).await.unwrap();
            assert_eq!(digest.as_deref(), expected, "{tag}");
        }
    }
}
