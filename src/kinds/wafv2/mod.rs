//! WAF v2: the web ACL before the load balancer. Everything here is of scope REGIONAL. A lock token
//! guards each change: it is read right before the call that needs it and never stored.

mod ip_set;
mod rule;
mod web_acl;
mod web_acl_association;

use aws_sdk_wafv2::types::{Scope as WafScope, Tag};

pub use ip_set::{IpSet, IpSetOutputs, IpSetSpec};
pub use rule::{AclRule, ManagedRuleGroup, Mode};
pub use web_acl::{DefaultAction, WebAcl, WebAclOutputs, WebAclSpec};
pub use web_acl_association::{WebAclAssociation, WebAclAssociationOutputs, WebAclAssociationSpec};

use crate::aws::{Answer, Aws, incomplete};
use crate::resource::{Class, Error, Refusal, Result, Tags};

id_types! {
    /// `arn:aws:wafv2:…:regional/ipset/…`
    IpSetArn,
    /// `arn:aws:wafv2:…:regional/webacl/…`
    WebAclArn,
}

const SCOPE: WafScope = WafScope::Regional;
const NONEXISTENT: &str = "WAFNonexistentItemException";
const GONE: &[&str] = &[NONEXISTENT];
const UNAVAILABLE: &str = "WAFUnavailableEntityException";

/// The "not yet" answers for IP sets and web ACLs, all for 5 minutes (field guide, section 5).
/// After a lost race for a lock token the next attempt reads the new one.
const REFUSALS: &[Refusal] = &[
    Refusal::create(UNAVAILABLE, 300),
    Refusal::create("WAFOptimisticLockException", 300),
    Refusal::create("WAFInternalErrorException", 300),
    Refusal::create("WAFTagOperationException", 300),
    Refusal::create("WAFTagOperationInternalErrorException", 300),
    Refusal::update(UNAVAILABLE, 300),
    // It was seen a moment ago.
    Refusal::update(NONEXISTENT, 60),
    Refusal::update("WAFOptimisticLockException", 300),
    Refusal::update("WAFInternalErrorException", 300),
    Refusal::update("WAFTagOperationException", 300),
    Refusal::update("WAFTagOperationInternalErrorException", 300),
    Refusal::delete("WAFAssociatedItemException", 300),
    Refusal::delete("WAFOptimisticLockException", 300),
    Refusal::delete("WAFInternalErrorException", 300),
    Refusal::delete("WAFTagOperationException", 300),
    Refusal::delete("WAFTagOperationInternalErrorException", 300),
];

/// Gives the text, or nothing for an empty one: WAF rejects empty descriptions.
fn unless_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// What to say when the thing to update is not there; WAF's own code, because one that is new may
/// only be missed.
fn gone(operation: &'static str, name: &str) -> Error {
    Error::new(operation, Class::NotFound, format!("`{name}` is gone"))
        .with_code(NONEXISTENT)
        .with_advice("run the same command again; it makes a new one")
}

fn tag_list(operation: &'static str, tags: &[(String, String)]) -> Result<Vec<Tag>> {
    tags.iter()
        .map(|(key, value)| {
            Tag::builder()
                .key(key)
                .value(value)
                .build()
                .map_err(incomplete(operation))
        })
        .collect()
}

/// The tags for a create call.
fn tags_on_create(operation: &'static str, tags: &Tags) -> Result<Option<Vec<Tag>>> {
    let tags = tag_list(operation, &tags.missing_from(&Tags::default()))?;
    Ok(Some(tags).filter(|tags| !tags.is_empty()))
}

async fn read_tags(aws: &Aws, arn: &str) -> Result<Tags> {
    let mut found = Vec::new();
    let mut marker = None;
    loop {
        let page = aws
            .wafv2
            .list_tags_for_resource()
            .resource_arn(arn)
            .set_next_marker(marker)
            .send()
            .await
            .of("wafv2:ListTagsForResource")?;
        let info = page.tag_info_for_resource;
        let tags = info.and_then(|info| info.tag_list).unwrap_or_default();
        marker = page.next_marker.filter(|_| !tags.is_empty());
        found.extend(tags.into_iter().map(|tag| (tag.key, tag.value)));
        if marker.is_none() {
            return Ok(Tags::from_pairs(found));
        }
    }
}

/// Brings the tags of a resource from `live` to `want`.
async fn change_tags(aws: &Aws, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let missing = want.missing_from(live);
    if !missing.is_empty() {
        aws.wafv2
            .tag_resource()
            .resource_arn(arn)
            .set_tags(Some(tag_list("wafv2:TagResource", &missing)?))
            .send()
            .await
            .of("wafv2:TagResource")?;
    }
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        aws.wafv2
            .untag_resource()
            .resource_arn(arn)
            .set_tag_keys(Some(surplus))
            .send()
            .await
            .of("wafv2:UntagResource")?;
    }
    Ok(())
}

#[cfg(test)]
mod testing {
    use aws_sdk_wafv2::operation::list_tags_for_resource::ListTagsForResourceOutput;
    use aws_sdk_wafv2::types::{Tag, TagInfoForResource};
    use aws_smithy_types::error::ErrorMetadata;

    /// The answer of ListTagsForResource with one tag.
    pub(super) fn tagged(key: &str, value: &str) -> ListTagsForResourceOutput {
        let tag = Tag::builder().key(key).value(value).build().unwrap();
        let info = TagInfoForResource::builder().tag_list(tag).build();
        ListTagsForResourceOutput::builder()
            .tag_info_for_resource(info)
            .build()
    }

    /// What WAF says about things that are gone.
    pub(super) fn nonexistent() -> ErrorMetadata {
        ErrorMetadata::builder()
            .code("WAFNonexistentItemException")
            .message("AWS WAF couldn’t perform the operation because your resource doesn’t exist.")
            .build()
    }
}
