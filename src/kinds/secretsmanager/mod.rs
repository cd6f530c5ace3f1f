//! Secrets Manager: the database credentials. Their value is made in `secret` and read in
//! `credentials`; it goes into requests and nowhere else (law 7).

mod credentials;
mod secret;

use aws_sdk_secretsmanager::types::Tag;

pub use credentials::{Credentials, Password, read_credentials};
pub use secret::{Secret, SecretOutputs, SecretSpec};

use crate::aws::{Answer, Aws};
use crate::resource::{Result, Tags};

id_types! {
    /// The full ARN of a secret. Never a part of it: Secrets Manager confuses partial ARNs with
    /// names that end in a hyphen and six characters (field guide, section 10).
    SecretArn,
}

fn sdk_tags<'a>(tags: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<Tag> {
    tags.into_iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

fn tags_of(tags: &[Tag]) -> Tags {
    Tags::from_pairs(tags.iter().map(|tag| {
        (
            tag.key().unwrap_or_default(),
            tag.value().unwrap_or_default(),
        )
    }))
}

/// Puts on the tags of `want` that `live` lacks.
async fn add_tags(aws: &Aws, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let missing = want.missing_from(live);
    if missing.is_empty() {
        return Ok(());
    }
    aws.secrets
        .tag_resource()
        .secret_id(arn)
        .set_tags(Some(sdk_tags(missing.iter().map(|(k, v)| (k, v)))))
        .send()
        .await
        .of("secretsmanager:TagResource")?;
    Ok(())
}

/// Brings the tags of a secret from `live` to `want`.
async fn change_tags(aws: &Aws, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    add_tags(aws, arn, live, want).await?;
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        aws.secrets
            .untag_resource()
            .secret_id(arn)
            .set_tag_keys(Some(surplus))
            .send()
            .await
            .of("secretsmanager:UntagResource")?;
    }
    Ok(())
}
