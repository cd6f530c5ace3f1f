//! Elastic Load Balancing v2: the load balancer, its listeners, rules and target groups.
//! Describe calls never return tags here; DescribeTags does, for up to 20 ARNs at once.

mod forward;
mod listener;
mod listener_action;
mod listener_rule;
mod load_balancer;
mod target_group;

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::Tag;

pub use forward::WeightedTargetGroup;
pub use listener::{Listener, ListenerOutputs, ListenerProtocol, ListenerSpec};
pub use listener_action::ListenerAction;
pub use listener_rule::{ListenerRule, ListenerRuleOutputs, ListenerRuleSpec};
pub use load_balancer::{LoadBalancer, LoadBalancerOutputs, LoadBalancerSpec};
pub use target_group::{HealthCheck, TargetGroup, TargetGroupOutputs, TargetGroupSpec};

use crate::aws::{Answer, Aws};
use crate::resource::{Class, Result, Tags};

id_types! {
    /// `arn:…:loadbalancer/app/<name>/<id>`
    LoadBalancerArn,
    /// `arn:…:targetgroup/<name>/<id>`
    TargetGroupArn,
    /// `arn:…:listener/app/<name>/<id>/<id>`
    ListenerArn,
    /// `arn:…:listener-rule/app/<name>/<id>/<id>/<id>`
    RuleArn,
}

/// How many ARNs DescribeTags takes.
const ARNS_PER_CALL: usize = 20;

fn tag_list(tags: &Tags) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

/// Reads the tags of all `arns`, which must be of one type.
async fn describe_tags(aws: &Aws, arns: &[&str]) -> Result<BTreeMap<String, Tags>> {
    let mut found = BTreeMap::new();
    for arns in arns.chunks(ARNS_PER_CALL) {
        let answer = aws
            .elbv2
            .describe_tags()
            .set_resource_arns(Some(arns.iter().map(|&arn| arn.to_owned()).collect()))
            .send()
            .await
            .of("elasticloadbalancing:DescribeTags")?;
        for description in answer.tag_descriptions() {
            let tags = description.tags().iter().map(|tag| {
                (
                    tag.key().unwrap_or_default(),
                    tag.value().unwrap_or_default(),
                )
            });
            let arn = description.resource_arn().unwrap_or_default();
            found.insert(arn.to_owned(), Tags::from_pairs(tags));
        }
    }
    Ok(found)
}

/// Reads the tags of one resource.
async fn read_tags(aws: &Aws, arn: &str) -> Result<Tags> {
    let mut found = describe_tags(aws, &[arn]).await?;
    Ok(found.remove(arn).unwrap_or_default())
}

/// Reads the tags of one resource together with those of its `siblings`, under their parent's key.
async fn read_tags_among(aws: &Aws, parent: &str, siblings: &[&str], arn: &str) -> Result<Tags> {
    let key = format!("elasticloadbalancing:DescribeTags below {parent}");
    match aws.read_once(&key, describe_tags(aws, siblings)).await {
        Ok(found) => Ok(found.get(arn).cloned().unwrap_or_default()),
        // One ARN that is gone fails the whole call; a sibling may just have been deleted.
        Err(error) if error.class() == Class::NotFound => read_tags(aws, arn).await,
        Err(error) => Err(error),
    }
}

/// Brings the tags of a resource from `live` to `want`.
async fn change_tags(aws: &Aws, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let missing = Tags::from_pairs(want.missing_from(live));
    if !missing.0.is_empty() {
        aws.elbv2
            .add_tags()
            .resource_arns(arn)
            .set_tags(Some(tag_list(&missing)))
            .send()
            .await
            .of("elasticloadbalancing:AddTags")?;
    }
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        aws.elbv2
            .remove_tags()
            .resource_arns(arn)
            .set_tag_keys(Some(surplus))
            .send()
            .await
            .of("elasticloadbalancing:RemoveTags")?;
    }
    Ok(())
}

/// Puts a set that AWS returns in any order into the order of the wanted list; what is not wanted
/// comes last. Two lists of the same set are then equal.
fn in_order_of<T: Ord>(mut live: Vec<T>, want: &[T]) -> Vec<T> {
    live.sort();
    live.sort_by_key(|item| {
        want.iter()
            .position(|wanted| wanted == item)
            .unwrap_or(want.len())
    });
    live
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::Client;
    use aws_sdk_elasticloadbalancingv2::operation::add_tags::AddTagsOutput;
    use aws_sdk_elasticloadbalancingv2::operation::describe_tags::{
        DescribeTagsError, DescribeTagsOutput,
    };
    use aws_sdk_elasticloadbalancingv2::operation::remove_tags::RemoveTagsOutput;
    use aws_sdk_elasticloadbalancingv2::types::TagDescription;
    use aws_sdk_elasticloadbalancingv2::types::error::ListenerNotFoundException;
    use aws_smithy_mocks::mock;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;
    use crate::aws::testing::mocked;

    /// The answer of DescribeTags for one resource.
    pub(super) fn tags_of(arn: &str, tags: &Tags) -> DescribeTagsOutput {
        let description = TagDescription::builder()
            .resource_arn(arn)
            .set_tags(Some(tag_list(tags)));
        DescribeTagsOutput::builder()
            .tag_descriptions(description.build())
            .build()
    }

    #[tokio::test]
    async fn a_sibling_that_has_just_gone_does_not_hide_the_tags_asked_for() {
        let both = mock!(Client::describe_tags)
            .match_requests(|r| r.resource_arns().len() == 2)
            .then_error(|| {
                let meta = ErrorMetadata::builder().code("ListenerNotFound").build();
                let gone = ListenerNotFoundException::builder().meta(meta).build();
                DescribeTagsError::ListenerNotFoundException(gone)
            });
        let alone = mock!(Client::describe_tags)
            .match_requests(|r| r.resource_arns() == ["a"])
            .then_output(|| tags_of("a", &Tags::from_pairs([("Name", "x")])));
        let aws = mocked(&[&both, &alone]);
        let tags = read_tags_among(&aws, "lb", &["a", "b"], "a").await.unwrap();
        assert_eq!(tags, Tags::from_pairs([("Name", "x")]));
    }

    #[tokio::test]
    async fn only_the_tags_that_differ_are_written() {
        let add = mock!(Client::add_tags)
            .match_requests(|r| r.tags().len() == 1 && r.tags()[0].key() == Some("B"))
            .then_output(|| AddTagsOutput::builder().build());
        let remove = mock!(Client::remove_tags)
            .match_requests(|r| r.tag_keys() == ["C"])
            .then_output(|| RemoveTagsOutput::builder().build());
        let live = Tags::from_pairs([("A", "1"), ("B", "1"), ("C", "1")]);
        let want = Tags::from_pairs([("A", "1"), ("B", "2")]);
        let aws = mocked(&[&add, &remove]);
        change_tags(&aws, "arn", &live, &want).await.unwrap();
        assert_eq!(aws.calls().writes(), 2);
        change_tags(&aws, "arn", &want, &want).await.unwrap();
        assert_eq!(aws.calls().writes(), 2);
    }

    #[test]
    fn a_set_takes_the_order_in_which_it_is_wanted() {
        assert_eq!(in_order_of(vec![1, 2, 3], &[3, 1, 2]), [3, 1, 2]);
        assert_eq!(in_order_of(vec![9, 1, 4, 2], &[2, 3, 1]), [2, 1, 4, 9]);
    }
}
