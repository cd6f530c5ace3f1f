//! `ecr/repository`: the images of one application.

use std::collections::BTreeMap;

use aws_sdk_ecr::types::{
    EncryptionConfiguration, EncryptionType, ImageScanningConfiguration,
    ImageTagMutability as AwsImageTagMutability, Repository as AwsRepository, Tag,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::GONE;
use crate::aws::{Answer, Aws, GoneIsNone, incomplete, missing};
use crate::resource::{
    Changes, Condition, Document, Identity, Last, Live, Operations, Refusal, Resource, Result,
    Scope, Stage, Tags, outputs,
};

/// An `AWS::ECR::Repository`. Deleting it deletes its images.
pub struct Repository;

/// The settings of a repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RepositorySpec {
    /// Its name, lower-case.
    pub name: String,
    /// Whether images are scanned for known weaknesses when they are pushed.
    pub scan_on_push: bool,
    /// How images are encrypted at rest.
    pub encryption: Encryption,
    /// Whether a tag may move to another image.
    pub image_tag_mutability: ImageTagMutability,
    /// Which images ECR expires by itself; an empty object expires none.
    pub lifecycle_policy: Document,
    /// Its tags.
    pub tags: Tags,
}

/// How images are encrypted at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encryption {
    /// With a key of Amazon S3.
    #[default]
    #[serde(rename = "AES256")]
    Aes256,
    /// In another way, as ECR writes it; seen in repositories that others made.
    #[serde(untagged)]
    Other(String),
}

/// Whether a tag may move to another image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ImageTagMutability {
    /// It may, as `latest` must.
    #[default]
    Mutable,
    /// It may not.
    Immutable,
    /// With exceptions, as ECR writes it; seen in repositories that others changed.
    #[serde(untagged)]
    Other(String),
}

outputs! { Repository =>
    /// What AWS gives a repository.
    RepositoryOutputs {
        /// The repository's name.
        name: String,
        /// The repository's ARN.
        arn: String,
        /// Where images are pushed to and pulled from, without a tag.
        url: String,
    }
}

impl Resource for Repository {
    const KIND: &'static str = "ecr/repository";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &[
            "ecr:DescribeRepositories",
            "ecr:GetLifecyclePolicy",
            "ecr:ListTagsForResource",
        ],
        create: &["ecr:CreateRepository", "ecr:TagResource"],
        update: &[
            "ecr:PutImageScanningConfiguration",
            "ecr:PutImageTagMutability",
            "ecr:PutLifecyclePolicy",
            "ecr:DeleteLifecyclePolicy",
            "ecr:TagResource",
            "ecr:UntagResource",
        ],
        delete: &["ecr:DeleteRepository"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name", "encryption"];
    // A repository just created may not be visible everywhere (field guide, section 1, rule 6).
    const REFUSALS: &'static [Refusal] = &[Refusal::update("RepositoryNotFoundException", 120)];
    type Api = Aws;
    type Spec<S: Stage> = RepositorySpec;
    type Outputs = RepositoryOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &RepositorySpec,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let name = last.map_or(&want.name, |last| &last.outputs.name);
        let Some(repository) = describe(aws, name).await? else {
            return Ok(None);
        };
        let outputs = outputs_of("ecr:DescribeRepositories", &repository)?;
        let (policy, tags) = tokio::try_join!(
            read_lifecycle_policy(aws, name),
            aws.tags(
                scope,
                &outputs.arn,
                &want.tags,
                read_tags(aws, &outputs.arn)
            )
        )?;
        let lifecycle_policy = if order_free(&policy.0) == order_free(&want.lifecycle_policy.0) {
            want.lifecycle_policy.clone()
        } else {
            policy
        };
        Ok(Some(Live {
            spec: RepositorySpec {
                name: outputs.name.clone(),
                scan_on_push: repository
                    .image_scanning_configuration()
                    .is_some_and(ImageScanningConfiguration::scan_on_push),
                encryption: encryption_of(&repository),
                image_tag_mutability: mutability_of(&repository),
                lifecycle_policy,
                tags,
            },
            outputs,
            condition: Condition::Ready,
        }))
    }

    async fn create(aws: &Aws, _scope: &Scope, want: &RepositorySpec) -> Result<RepositoryOutputs> {
        const OPERATION: &str = "ecr:CreateRepository";
        let encryption = EncryptionConfiguration::builder()
            .encryption_type(match &want.encryption {
                Encryption::Aes256 => EncryptionType::Aes256,
                Encryption::Other(name) => EncryptionType::from(name.as_str()),
            })
            .build()
            .map_err(incomplete(OPERATION))?;
        let answer = aws
            .ecr
            .create_repository()
            .repository_name(&want.name)
            .image_scanning_configuration(scanning(want))
            .image_tag_mutability(mutability(want))
            .encryption_configuration(encryption)
            .set_tags(Some(tags(OPERATION, want.tags.iter())?))
            .send()
            .await
            .of(OPERATION)?;
        let repository = answer.repository();
        outputs_of(
            OPERATION,
            repository.ok_or_else(missing(OPERATION, "repository"))?,
        )
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &RepositorySpec,
        changes: &Changes,
    ) -> Result<()> {
        let name = &live.outputs.name;
        if changes.touch("scan_on_push") {
            let call = aws.ecr.put_image_scanning_configuration();
            let call = call.image_scanning_configuration(scanning(want));
            let answer = call.repository_name(name).send().await;
            answer.of("ecr:PutImageScanningConfiguration")?;
        }
        if changes.touch("image_tag_mutability") {
            let call = aws.ecr.put_image_tag_mutability();
            let call = call.image_tag_mutability(mutability(want));
            let answer = call.repository_name(name).send().await;
            answer.of("ecr:PutImageTagMutability")?;
        }
        if changes.touch("lifecycle_policy") {
            set_lifecycle_policy(aws, name, &want.lifecycle_policy).await?;
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.ecr
            .delete_repository()
            .repository_name(&live.outputs.name)
            .force(true)
            .send()
            .await
            .of("ecr:DeleteRepository")
            .gone_is_fine(GONE)
    }
}

async fn describe(aws: &Aws, name: &str) -> Result<Option<AwsRepository>> {
    let call = aws.ecr.describe_repositories().repository_names(name);
    let answer = call.send().await.of("ecr:DescribeRepositories");
    let found = answer.gone_is_none(GONE)?;
    Ok(found
        .and_then(|answer| answer.repositories)
        .and_then(|repositories| repositories.into_iter().next()))
}

fn outputs_of(operation: &'static str, repository: &AwsRepository) -> Result<RepositoryOutputs> {
    let text = |value: Option<&str>, field| {
        let text = value.ok_or_else(missing(operation, field));
        text.map(str::to_owned)
    };
    Ok(RepositoryOutputs {
        name: text(repository.repository_name(), "repositoryName")?,
        arn: text(repository.repository_arn(), "repositoryArn")?,
        url: text(repository.repository_uri(), "repositoryUri")?,
    })
}

fn encryption_of(repository: &AwsRepository) -> Encryption {
    let kind = repository
        .encryption_configuration()
        .map(EncryptionConfiguration::encryption_type);
    match kind {
        None | Some(EncryptionType::Aes256) => Encryption::Aes256,
        Some(other) => Encryption::Other(other.as_str().to_owned()),
    }
}

fn mutability_of(repository: &AwsRepository) -> ImageTagMutability {
    match repository.image_tag_mutability() {
        None | Some(AwsImageTagMutability::Mutable) => ImageTagMutability::Mutable,
        Some(AwsImageTagMutability::Immutable) => ImageTagMutability::Immutable,
        Some(other) => ImageTagMutability::Other(other.as_str().to_owned()),
    }
}

fn mutability(want: &RepositorySpec) -> AwsImageTagMutability {
    match &want.image_tag_mutability {
        ImageTagMutability::Mutable => AwsImageTagMutability::Mutable,
        ImageTagMutability::Immutable => AwsImageTagMutability::Immutable,
        ImageTagMutability::Other(name) => AwsImageTagMutability::from(name.as_str()),
    }
}

fn scanning(want: &RepositorySpec) -> ImageScanningConfiguration {
    ImageScanningConfiguration::builder()
        .scan_on_push(want.scan_on_push)
        .build()
}

async fn read_lifecycle_policy(aws: &Aws, name: &str) -> Result<Document> {
    let call = aws.ecr.get_lifecycle_policy().repository_name(name);
    let answer = call.send().await.of("ecr:GetLifecyclePolicy");
    let found = answer.gone_is_none(&[
        "LifecyclePolicyNotFoundException",
        "RepositoryNotFoundException",
    ])?;
    let text = found.and_then(|answer| answer.lifecycle_policy_text);
    Ok(text.map_or(Document(json!({})), |text| Document::parse(&text)))
}

async fn set_lifecycle_policy(aws: &Aws, name: &str, policy: &Document) -> Result<()> {
    if policy.0 == json!({}) {
        let call = aws.ecr.delete_lifecycle_policy().repository_name(name);
        let answer = call.send().await.of("ecr:DeleteLifecyclePolicy");
        return answer.gone_is_fine(&["LifecyclePolicyNotFoundException"]);
    }
    let call = aws.ecr.put_lifecycle_policy().repository_name(name);
    let answer = call.lifecycle_policy_text(policy.to_string()).send().await;
    answer.of("ecr:PutLifecyclePolicy").map(|_| ())
}

/// Sorts what a lifecycle policy lists: rules carry their priority, and tags are a set.
fn order_free(policy: &Value) -> Value {
    match policy {
        Value::Object(fields) => {
            let in_order: BTreeMap<_, _> = fields.iter().collect();
            let sorted = in_order
                .into_iter()
                .map(|(k, v)| (k.clone(), order_free(v)));
            Value::Object(sorted.collect())
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(order_free).collect();
            items.sort_by_cached_key(Value::to_string);
            Value::Array(items)
        }
        other => other.clone(),
    }
}

async fn read_tags(aws: &Aws, arn: &str) -> Result<Tags> {
    let call = aws.ecr.list_tags_for_resource().resource_arn(arn);
    let answer = call.send().await.of("ecr:ListTagsForResource")?;
    Ok(Tags::from_pairs(
        answer.tags().iter().map(|tag| (tag.key(), tag.value())),
    ))
}

fn tags<'a>(
    operation: &'static str,
    pairs: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<Vec<Tag>> {
    pairs
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<std::result::Result<_, _>>()
        .map_err(incomplete(operation))
}

async fn change_tags(aws: &Aws, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let missing = want.missing_from(live);
    if !missing.is_empty() {
        let tags = tags("ecr:TagResource", missing.iter().map(|(k, v)| (k, v)))?;
        let call = aws.ecr.tag_resource().resource_arn(arn);
        let answer = call.set_tags(Some(tags)).send().await;
        answer.of("ecr:TagResource")?;
    }
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        let call = aws.ecr.untag_resource().resource_arn(arn);
        let answer = call.set_tag_keys(Some(surplus)).send().await;
        answer.of("ecr:UntagResource")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecr::Client;
    use aws_sdk_ecr::error::ErrorMetadata;
    use aws_sdk_ecr::operation::delete_repository::DeleteRepositoryOutput;
    use aws_sdk_ecr::operation::describe_repositories::{
        DescribeRepositoriesError, DescribeRepositoriesOutput,
    };
    use aws_sdk_ecr::operation::get_lifecycle_policy::{
        GetLifecyclePolicyError, GetLifecyclePolicyOutput,
    };
    use aws_sdk_ecr::operation::list_tags_for_resource::ListTagsForResourceOutput;
    use aws_sdk_ecr::operation::put_lifecycle_policy::PutLifecyclePolicyOutput;
    use aws_smithy_mocks::{Rule, mock};

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const ARN: &str = "arn:aws:ecr:us-east-1:123456789012:repository/order-api-dev";

    fn rule(priority: u32, status: &str) -> Value {
        json!({
            "rulePriority": priority,
            "selection": { "tagStatus": status, "countNumber": 30 },
            "action": { "type": "expire" },
        })
    }

    fn want() -> RepositorySpec {
        RepositorySpec {
            name: "order-api-dev".into(),
            scan_on_push: true,
            encryption: Encryption::Aes256,
            image_tag_mutability: ImageTagMutability::Mutable,
            lifecycle_policy: Document(json!({ "rules": [rule(1, "untagged"), rule(2, "any")] })),
            tags: Tags::from_pairs([(NODE_TAG, "repository")]),
        }
    }

    fn described(mutability: AwsImageTagMutability) -> Rule {
        mock!(Client::describe_repositories).then_output(move || {
            let encryption = EncryptionConfiguration::builder();
            let encryption = encryption.encryption_type(EncryptionType::Aes256).build();
            let repository = AwsRepository::builder()
                .repository_name("order-api-dev")
                .repository_arn(ARN)
                .repository_uri("123456789012.dkr.ecr.us-east-1.amazonaws.com/order-api-dev")
                .image_scanning_configuration(scanning(&want()))
                .encryption_configuration(encryption.unwrap())
                .image_tag_mutability(mutability.clone());
            let output = DescribeRepositoriesOutput::builder();
            output.repositories(repository.build()).build()
        })
    }

    fn tagged() -> Rule {
        mock!(Client::list_tags_for_resource).then_output(|| {
            let tag = Tag::builder().key(NODE_TAG).value("repository").build();
            ListTagsForResourceOutput::builder()
                .tags(tag.unwrap())
                .build()
        })
    }

    async fn observe(rules: &[&Rule]) -> Option<Live<Repository>> {
        let live = Repository::observe(&mocked(rules), &scope("repository"), &want(), None).await;
        live.unwrap()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_and_compares_the_policy_as_a_set_of_rules() {
        let policy = mock!(Client::get_lifecycle_policy).then_output(|| {
            let policy = json!({ "rules": [rule(2, "any"), rule(1, "untagged")] });
            GetLifecyclePolicyOutput::builder()
                .lifecycle_policy_text(policy.to_string())
                .build()
        });
        let described = described(AwsImageTagMutability::Mutable);
        let live = observe(&[&described, &policy, &tagged()]).await.unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(live.outputs.arn, ARN);
        assert!(live.outputs.url.ends_with("amazonaws.com/order-api-dev"));
    }

    #[tokio::test]
    async fn a_gone_repository_is_none() {
        let gone = mock!(Client::describe_repositories).then_error(|| {
            let code = ErrorMetadata::builder().code("RepositoryNotFoundException");
            DescribeRepositoriesError::generic(code.build())
        });
        assert!(observe(&[&gone]).await.is_none());
    }

    #[tokio::test]
    async fn a_missing_policy_and_changed_mutability_are_differences_and_only_they_are_sent() {
        let none = mock!(Client::get_lifecycle_policy).then_error(|| {
            let code = ErrorMetadata::builder().code("LifecyclePolicyNotFoundException");
            GetLifecyclePolicyError::generic(code.build())
        });
        let described = described(AwsImageTagMutability::MutableWithExclusion);
        let live = observe(&[&described, &none, &tagged()]).await.unwrap();
        let changes = diff(&json!(want()), &json!(live.spec), None);
        assert_eq!(
            changes.names(),
            ["image_tag_mutability", "lifecycle_policy"]
        );

        let policy = mock!(Client::put_lifecycle_policy)
            .match_requests(|r| {
                let text = r.lifecycle_policy_text().unwrap_or_default();
                Document::parse(text) == want().lifecycle_policy
            })
            .then_output(|| PutLifecyclePolicyOutput::builder().build());
        let aws = mocked(&[&policy]);
        let mut live = live;
        live.spec.image_tag_mutability = ImageTagMutability::Mutable;
        let changes = diff(&json!(want()), &json!(live.spec), None);
        Repository::update(&aws, &scope("repository"), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn delete_takes_the_images_along() {
        let delete = mock!(Client::delete_repository)
            .match_requests(|r| r.force() == Some(true))
            .then_output(|| DeleteRepositoryOutput::builder().build());
        let live = Live {
            outputs: RepositoryOutputs {
                name: "order-api-dev".into(),
                arn: ARN.into(),
                url: String::new(),
            },
            spec: want(),
            condition: Condition::Ready,
        };
        let aws = mocked(&[&delete]);
        Repository::delete(&aws, &scope("repository"), &live)
            .await
            .unwrap();
        assert_eq!(delete.num_calls(), 1);
    }

    #[test]
    fn settings_are_written_as_ecr_writes_them() {
        assert_eq!(json!(Encryption::Aes256), "AES256");
        assert_eq!(json!(ImageTagMutability::Immutable), "IMMUTABLE");
        let kms: Encryption = serde_json::from_value(json!("KMS")).unwrap();
        assert_eq!(kms, Encryption::Other("KMS".into()));
    }
}
