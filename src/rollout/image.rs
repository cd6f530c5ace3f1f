//! The image of a release: what the person named, and the digest that it means now. A release pins
//! the digest, so that a tag that moves later changes nothing that runs.

use std::fmt::{self, Display};

use aws_sdk_ecr::types::{ImageDetail, ImageIdentifier, TagStatus};
use jiff::Timestamp;

use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{Class, Error, Result};

/// An image as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The repository, `<registry>/<name>`, or only `<name>`; none for the stack's.
    pub repository: Option<String>,
    /// Which image of it.
    pub pick: Pick,
}

/// Which image of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The one that carries this tag now.
    Tag(String),
    /// This one, `sha256:…`.
    Digest(String),
}

impl Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.repository, &self.pick) {
            (None, Pick::Tag(text) | Pick::Digest(text)) => f.write_str(text),
            (Some(repository), Pick::Tag(tag)) => write!(f, "{repository}:{tag}"),
            (Some(repository), Pick::Digest(digest)) => write!(f, "{repository}@{digest}"),
        }
    }
}

impl std::str::FromStr for Reference {
    type Err = String;

    /// Reads `TAG`, `sha256:…`, `REPOSITORY:TAG` or `REPOSITORY@sha256:…`.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` {why}");
        if is_digest(text) {
            let (repository, pick) = (None, Pick::Digest(text.to_owned()));
            return Ok(Self { repository, pick });
        }
        if text.starts_with("sha256:") {
            return Err(wrong(
                "is no digest: that is `sha256:` and 64 hexadecimal digits",
            ));
        }
        if let Some((repository, digest)) = text.split_once('@') {
            if !is_digest(digest) {
                return Err(wrong(
                    "names no digest after the @: `sha256:` and 64 hexadecimal digits",
                ));
            }
            // What stands before the digest may name a tag too; the digest decides.
            let repository = Some(without_tag(repository).to_owned());
            let pick = Pick::Digest(digest.to_owned());
            return Ok(Self { repository, pick });
        }
        let repository = without_tag(text);
        if repository == text && text.contains('/') {
            return Err(wrong(
                "names no image: add its tag (`:TAG`) or digest (`@sha256:…`)",
            ));
        }
        let (repository, tag) = match text.strip_prefix(repository) {
            Some(rest) if !rest.is_empty() => (Some(repository.to_owned()), &rest[1..]),
            _ => (None, text),
        };
        let is_tag_letter = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let begins_well = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if !begins_well || tag.len() > 128 || !tag.chars().all(is_tag_letter) {
            return Err(wrong(
                "is no tag: letters, digits, `.`, `_` and `-`, at most 128, none of `.-` first",
            ));
        }
        let pick = Pick::Tag(tag.to_owned());
        Ok(Self { repository, pick })
    }
}

/// A reference without its tag: a colon before the last slash belongs to a port.
fn without_tag(text: &str) -> &str {
    let name_begins = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[name_begins..].find(':') {
        Some(colon) => &text[..name_begins + colon],
        None => text,
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .chars()
                .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
    })
}

/// An image that can be released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// As the person named it.
    pub named: String,
    /// Its digest, `sha256:…`.
    pub digest: String,
    /// As a task definition names it, `<registry>/<name>@sha256:…`.
    pub uri: String,
    /// When it was pushed.
    pub pushed: Option<Timestamp>,
    /// The tags it carries now.
    pub tags: Vec<String>,
}

/// Finds the image in the stack's repository.
///
/// Asks `ecr:DescribeRepositories` and `ecr:DescribeImages`; fails as those calls do.
///
/// # Errors
/// Also `Refused` for an image of another repository, and `NotFound` with what there is instead.
pub async fn find(aws: &Aws, repository: &str, wanted: &Reference) -> Result<Image> {
    let uri = uri(aws, repository).await?;
    if let Some(named) = &wanted.repository
        && named != repository
        && *named != uri
    {
        let message = format!("{wanted} is not in the stack's repository {uri}");
        return Err(
            Error::new("ecr:DescribeImages", Class::Refused, message).with_advice(format!(
                "`orderctl push {wanted}` brings it there; then deploy it by its tag"
            )),
        );
    }
    let identifier = match &wanted.pick {
        Pick::Tag(tag) => ImageIdentifier::builder().image_tag(tag),
        Pick::Digest(digest) => ImageIdentifier::builder().image_digest(digest),
    };
    let answer = aws
        .ecr
        .describe_images()
        .repository_name(repository)
        .image_ids(identifier.build())
        .send()
        .await
        .of("ecr:DescribeImages")
        .gone_is_none(&["ImageNotFoundException"])?;
    let detail = answer.and_then(|answer| answer.image_details?.into_iter().next());
    let Some(detail) = detail else {
        return Err(not_there(aws, repository, wanted).await?);
    };
    let digest = detail
        .image_digest()
        .ok_or_else(missing("ecr:DescribeImages", "imageDigest"))?;
    Ok(Image {
        named: wanted.to_string(),
        uri: format!("{uri}@{digest}"),
        digest: digest.to_owned(),
        pushed: pushed(&detail),
        tags: detail.image_tags().to_vec(),
    })
}

/// Says whether the repository still holds an image, by its digest.
///
/// Asks `ecr:DescribeImages`; fails as that call does.
pub async fn is_there(aws: &Aws, repository: &str, digest: &str) -> Result<bool> {
    let identifier = ImageIdentifier::builder().image_digest(digest).build();
    let answer = aws
        .ecr
        .describe_images()
        .repository_name(repository)
        .image_ids(identifier)
        .send()
        .await
        .of("ecr:DescribeImages")
        .gone_is_none(&["ImageNotFoundException", "RepositoryNotFoundException"])?;
    Ok(answer.is_some_and(|answer| !answer.image_details().is_empty()))
}

async fn uri(aws: &Aws, repository: &str) -> Result<String> {
    let answer = aws
        .ecr
        .describe_repositories()
        .repository_names(repository)
        .send()
        .await
        .of("ecr:DescribeRepositories")
        .map_err(|error| match error.is(&["RepositoryNotFoundException"]) {
            true => error.with_advice("run `orderctl up` first: it makes the repository"),
            false => error,
        })?;
    let found = answer.repositories().first();
    let uri = found.and_then(|repository| repository.repository_uri());
    Ok(uri
        .ok_or_else(missing("ecr:DescribeRepositories", "repositoryUri"))?
        .to_owned())
}

/// How many tags are named to somebody who named one that is not there.
const SUGGESTED: usize = 5;

async fn not_there(aws: &Aws, repository: &str, wanted: &Reference) -> Result<Error> {
    let tagged = aws_sdk_ecr::types::DescribeImagesFilter::builder().tag_status(TagStatus::Tagged);
    let pages = aws
        .ecr
        .describe_images()
        .repository_name(repository)
        .filter(tagged.build())
        .into_paginator()
        .items()
        .send();
    let mut images: Vec<ImageDetail> = pages
        .collect::<std::result::Result<_, _>>()
        .await
        .of("ecr:DescribeImages")?;
    images.sort_by_key(|image| std::cmp::Reverse(pushed(image)));
    let tags = images
        .iter()
        .flat_map(|image| image.image_tags())
        .take(SUGGESTED);
    let tags: Vec<&str> = tags.map(String::as_str).collect();
    let message = format!("repository {repository} has no image `{wanted}`");
    let advice = match tags.is_empty() {
        true => "it has none yet: `orderctl push IMAGE` brings one there".to_owned(),
        false => format!(
            "the newest there are {}; `orderctl push IMAGE` brings another",
            tags.join(", ")
        ),
    };
    Ok(Error::new("ecr:DescribeImages", Class::NotFound, message).with_advice(advice))
}

fn pushed(image: &ImageDetail) -> Option<Timestamp> {
    let millis = image.image_pushed_at()?.to_millis().ok()?;
    Timestamp::from_millisecond(millis).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn read(text: &str) -> std::result::Result<(Option<String>, String), String> {
        let reference: Reference = text.parse()?;
        let (Pick::Tag(pick) | Pick::Digest(pick)) = reference.pick;
        Ok((reference.repository, pick))
    }

    #[test]
    fn tags_digests_and_both_with_a_repository() {
        let here = |pick: &str| Ok((None, pick.to_owned()));
        let there =
            |repository: &str, pick: &str| Ok((Some(repository.to_owned()), pick.to_owned()));
        assert_eq!(read("v1.2"), here("v1.2"));
        assert_eq!(read(DIGEST), here(DIGEST));
        assert_eq!(read("order-api:v1"), there("order-api", "v1"));
        let host = "123456789012.dkr.ecr.us-east-1.amazonaws.com/order-api-dev";
        assert_eq!(read(&format!("{host}:v1")), there(host, "v1"));
        assert_eq!(read(&format!("{host}:v1@{DIGEST}")), there(host, DIGEST));
        assert_eq!(
            read("localhost:5000/api:v1"),
            there("localhost:5000/api", "v1")
        );
    }

    #[test]
    fn what_names_no_image_is_told_why() {
        for (text, why) in [
            ("sha256:abc", "64 hexadecimal"),
            ("api@sha256:abc", "64 hexadecimal"),
            ("registry.example/api", "add its tag"),
            ("./image.tar", "add its tag"),
            ("", "is no tag"),
            ("-x", "is no tag"),
            ("v1 2", "is no tag"),
            ("api:", "is no tag"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
