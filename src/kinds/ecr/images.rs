//! Questions about the images in a repository. Images are pushed by people and pipelines, so they
//! are no resources of the stack, but whether there is one to start with decides how the service starts.

use aws_sdk_ecr::types::ImageIdentifier;

use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;

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
    use aws_sdk_ecr::types::ImageDetail;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::aws::testing::mocked;

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
