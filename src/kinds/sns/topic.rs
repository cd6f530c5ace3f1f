//! `sns/topic`: takes messages and passes them on to its subscriptions.

use aws_sdk_sns::types::Tag;
use serde::{Deserialize, Serialize};

use super::{GONE, TopicArn};
use crate::aws::{Answer, Aws, GoneIsNone, incomplete, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resource, Result, Scope, Stage,
    Tags, outputs,
};

/// An `AWS::SNS::Topic`.
///
/// It keeps the access policy SNS gives it, which lets the owner's account publish, CloudWatch
/// alarms of that account included, and nobody else. It is not encrypted with the key `aws/sns`:
/// CloudWatch may not use that key, and alarms would be lost in silence.
pub struct Topic;

/// The settings of a topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopicSpec {
    /// Its name, at most 256 letters, digits, hyphens and underscores.
    pub name: String,
    /// Its tags.
    pub tags: Tags,
}

outputs! { Topic =>
    /// What AWS gives a topic.
    TopicOutputs {
        /// The topic's ARN.
        arn: TopicArn,
    }
}

impl Resource for Topic {
    const KIND: &'static str = "sns/topic";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &["sns:GetTopicAttributes", "sns:ListTagsForResource"],
        create: &["sns:CreateTopic", "sns:TagResource"],
        update: &["sns:TagResource", "sns:UntagResource"],
        delete: &["sns:DeleteTopic"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name"];
    // `StaleTag`: tags of a deleted topic of the same name are still about.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("StaleTag", 120),
        Refusal::create("ConcurrentAccess", 60),
        // A topic made moments ago may be missed.
        Refusal::update("NotFound", 120),
        Refusal::update("ResourceNotFound", 120),
        Refusal::update("StaleTag", 120),
        Refusal::update("ConcurrentAccess", 60),
        Refusal::delete("StaleTag", 120),
        Refusal::delete("ConcurrentAccess", 60),
    ];
    type Api = Aws;
    type Spec<S: Stage> = TopicSpec;
    type Outputs = TopicOutputs;

    /// Looks under the ARN its name must have. CreateTopic would find it too, but it answers alike
    /// for topics of others (field guide, section 1, rule 5).
    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &TopicSpec,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let arn = match last {
            Some(last) => last.outputs.arn.clone(),
            None => TopicArn(format!(
                "arn:aws:sns:{}:{}:{}",
                scope.region, scope.account, want.name
            )),
        };
        let call = aws.sns.get_topic_attributes().topic_arn(&*arn);
        let answer = call.send().await.of("sns:GetTopicAttributes");
        if answer.gone_is_none(GONE)?.is_none() {
            return Ok(None);
        }
        let tags = aws
            .tags(scope, &arn, &want.tags, read_tags(aws, &arn))
            .await?;
        let name = arn.rsplit(':').next().unwrap_or_default().to_owned();
        Ok(Some(Live {
            outputs: TopicOutputs { arn },
            spec: TopicSpec { name, tags },
            condition: Condition::Ready,
        }))
    }

    async fn create(aws: &Aws, _scope: &Scope, want: &TopicSpec) -> Result<TopicOutputs> {
        const OPERATION: &str = "sns:CreateTopic";
        let tags = tags(OPERATION, want.tags.iter())?;
        let call = aws.sns.create_topic().name(&want.name);
        let answer = call.set_tags(Some(tags)).send().await.of(OPERATION)?;
        let arn = answer.topic_arn();
        Ok(TopicOutputs {
            arn: arn.ok_or_else(missing(OPERATION, "TopicArn"))?.into(),
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &TopicSpec,
        _changes: &Changes,
    ) -> Result<()> {
        change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        let call = aws.sns.delete_topic().topic_arn(&*live.outputs.arn);
        let answer = call.send().await.of("sns:DeleteTopic");
        answer.gone_is_fine(GONE)
    }
}

async fn read_tags(aws: &Aws, arn: &str) -> Result<Tags> {
    let call = aws.sns.list_tags_for_resource().resource_arn(arn);
    let answer = call.send().await.of("sns:ListTagsForResource")?;
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
        let tags = tags("sns:TagResource", missing.iter().map(|(k, v)| (k, v)))?;
        let call = aws.sns.tag_resource().resource_arn(arn);
        let answer = call.set_tags(Some(tags)).send().await;
        answer.of("sns:TagResource")?;
    }
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        let call = aws.sns.untag_resource().resource_arn(arn);
        let answer = call.set_tag_keys(Some(surplus)).send().await;
        answer.of("sns:UntagResource")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_sns::Client;
    use aws_sdk_sns::error::ErrorMetadata;
    use aws_sdk_sns::operation::get_topic_attributes::{
        GetTopicAttributesError, GetTopicAttributesOutput,
    };
    use aws_sdk_sns::operation::list_tags_for_resource::ListTagsForResourceOutput;
    use aws_sdk_sns::operation::tag_resource::TagResourceOutput;
    use aws_sdk_sns::operation::untag_resource::UntagResourceOutput;
    use aws_smithy_mocks::mock;
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const ARN: &str = "arn:aws:sns:us-east-1:123456789012:order-api-alarms-dev";

    fn want() -> TopicSpec {
        TopicSpec {
            name: "order-api-alarms-dev".into(),
            tags: Tags::from_pairs([(NODE_TAG, "alarm-topic")]),
        }
    }

    #[tokio::test]
    async fn a_topic_is_found_by_its_name_and_mapped_back() {
        let attributes = mock!(Client::get_topic_attributes)
            .match_requests(|r| r.topic_arn() == Some(ARN))
            .then_output(|| {
                let output = GetTopicAttributesOutput::builder();
                output.attributes("TopicArn", ARN).build()
            });
        let tagged = mock!(Client::list_tags_for_resource)
            .match_requests(|r| r.resource_arn() == Some(ARN))
            .then_output(|| {
                let tag = Tag::builder().key(NODE_TAG).value("alarm-topic").build();
                ListTagsForResourceOutput::builder()
                    .tags(tag.unwrap())
                    .build()
            });
        let aws = mocked(&[&attributes, &tagged]);
        let live = Topic::observe(&aws, &scope("alarm-topic"), &want(), None).await;
        let live = live.unwrap().unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(&*live.outputs.arn, ARN);
    }

    #[tokio::test]
    async fn a_gone_topic_is_none() {
        let gone = mock!(Client::get_topic_attributes).then_error(|| {
            GetTopicAttributesError::generic(ErrorMetadata::builder().code("NotFound").build())
        });
        let live = Topic::observe(&mocked(&[&gone]), &scope("alarm-topic"), &want(), None).await;
        assert!(live.unwrap().is_none());
    }

    #[tokio::test]
    async fn update_sends_only_the_tags_that_changed() {
        let tag = mock!(Client::tag_resource)
            .match_requests(|r| r.tags().len() == 1 && r.tags()[0].key() == NODE_TAG)
            .then_output(|| TagResourceOutput::builder().build());
        let untag = mock!(Client::untag_resource)
            .match_requests(|r| r.tag_keys() == ["old"])
            .then_output(|| UntagResourceOutput::builder().build());
        let aws = mocked(&[&tag, &untag]);
        let live = Live {
            outputs: TopicOutputs { arn: ARN.into() },
            spec: TopicSpec {
                tags: Tags::from_pairs([("old", "x")]),
                ..want()
            },
            condition: Condition::Ready,
        };
        let changes = diff(&json!(want()), &json!(live.spec), None);
        Topic::update(&aws, &scope("alarm-topic"), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!((tag.num_calls(), untag.num_calls()), (1, 1));
        assert_eq!(aws.calls().writes(), 2);
    }
}
