//! CloudWatch: alarms and the dashboard. Putting either replaces all of its settings but its tags,
//! which are taken only by the first put (field guide, section 7).

mod alarm;
mod dashboard;
mod terms;

use aws_sdk_cloudwatch::types::Tag;

pub use alarm::{Alarm, AlarmOutputs, AlarmSpec};
pub use dashboard::{Dashboard, DashboardOutputs, DashboardSpec};
pub use terms::{Comparison, MissingData, Statistic};

use crate::aws::{Answer, Aws};
use crate::resource::{Refusal, Result, Tags};

const GONE: &[&str] = &[
    "ResourceNotFound",
    "ResourceNotFoundException",
    "DashboardNotFoundError",
];

/// Two writers met; the next attempt finds the resource settled.
const REFUSALS: &[Refusal] = &[
    Refusal::create("ConcurrentModificationException", 60),
    Refusal::update("ConcurrentModificationException", 60),
    Refusal::update("ConflictException", 60),
    Refusal::delete("ConflictException", 60),
];

fn tag_list(tags: impl IntoIterator<Item = (String, String)>) -> Vec<Tag> {
    tags.into_iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

/// The tags for the put that creates.
fn tags_on_create(tags: &Tags) -> Vec<Tag> {
    tag_list(tags.0.clone())
}

async fn read_tags(aws: &Aws, arn: &str) -> Result<Tags> {
    let answer = aws
        .cloudwatch
        .list_tags_for_resource()
        .resource_arn(arn)
        .send()
        .await
        .of("cloudwatch:ListTagsForResource")?;
    Ok(Tags::from_pairs(answer.tags().iter().map(|tag| {
        (
            tag.key().unwrap_or_default(),
            tag.value().unwrap_or_default(),
        )
    })))
}

/// Brings the tags of a resource from `live` to `want`.
async fn change_tags(aws: &Aws, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let missing = want.missing_from(live);
    if !missing.is_empty() {
        aws.cloudwatch
            .tag_resource()
            .resource_arn(arn)
            .set_tags(Some(tag_list(missing)))
            .send()
            .await
            .of("cloudwatch:TagResource")?;
    }
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        aws.cloudwatch
            .untag_resource()
            .resource_arn(arn)
            .set_tag_keys(Some(surplus))
            .send()
            .await
            .of("cloudwatch:UntagResource")?;
    }
    Ok(())
}
