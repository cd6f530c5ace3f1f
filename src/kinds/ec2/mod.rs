//! EC2: the network of the stack. Nothing here has a natural name, so every kind is found by its
//! tags.

mod subnet;

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};

pub use subnet::{Subnet, SubnetOutputs, SubnetSpec};

use crate::aws::{Answer, Aws};
use crate::resource::{NODE_TAG, Result, STACK_TAG, Scope, Tags};

id_types! {
    /// `vpc-…`
    VpcId,
    /// `subnet-…`
    SubnetId,
    /// `igw-…`
    InternetGatewayId,
    /// `eipalloc-…`
    AllocationId,
    /// `nat-…`
    NatGatewayId,
    /// `rtb-…`
    RouteTableId,
    /// `rtbassoc-…`
    RouteTableAssociationId,
    /// `vpce-…`
    VpcEndpointId,
    /// `sg-…`
    SecurityGroupId,
    /// `sgr-…`
    SecurityGroupRuleId,
}

/// Narrows a Describe to the resources of this stack.
fn of_stack(scope: &Scope) -> Filter {
    Filter::builder()
        .name(format!("tag:{STACK_TAG}"))
        .values(&scope.stack)
        .build()
}

/// Narrows a Describe to one resource. A filter, unlike an id argument, does not fail for ids that
/// are gone.
fn by_id(name: &str, id: &str) -> Filter {
    Filter::builder().name(name).values(id).build()
}

/// Picks a node's own resource: the recorded one, else the one that carries the node's tag.
fn pick<'a, T>(
    found: &'a [T],
    scope: &Scope,
    known: Option<&str>,
    id: impl Fn(&T) -> Option<&str>,
    tags: impl Fn(&T) -> &[Tag],
) -> Option<&'a T> {
    match known {
        Some(known) => found.iter().find(|item| id(item) == Some(known)),
        None => found.iter().find(|item| {
            tags(item)
                .iter()
                .any(|tag| tag.key() == Some(NODE_TAG) && tag.value() == Some(&scope.node))
        }),
    }
}

fn tags_of(tags: &[Tag]) -> Tags {
    Tags::from_pairs(tags.iter().map(|tag| {
        (
            tag.key().unwrap_or_default(),
            tag.value().unwrap_or_default(),
        )
    }))
}

/// The tags for a create call (field guide, section 1, rule 4).
fn tag_on_create(kind: ResourceType, tags: &Tags) -> TagSpecification {
    TagSpecification::builder()
        .resource_type(kind)
        .set_tags(Some(
            tags.iter()
                .map(|(key, value)| Tag::builder().key(key).value(value).build())
                .collect(),
        ))
        .build()
}

/// Brings the tags of a resource from `live` to `want`.
async fn change_tags(aws: &Aws, id: &str, live: &Tags, want: &Tags) -> Result<()> {
    let missing = want.missing_from(live);
    if !missing.is_empty() {
        let tags = missing
            .iter()
            .map(|(k, v)| Tag::builder().key(k).value(v).build())
            .collect();
        aws.ec2
            .create_tags()
            .resources(id)
            .set_tags(Some(tags))
            .send()
            .await
            .of("ec2:CreateTags")?;
    }
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        let tags = surplus
            .iter()
            .map(|key| Tag::builder().key(key).build())
            .collect();
        aws.ec2
            .delete_tags()
            .resources(id)
            .set_tags(Some(tags))
            .send()
            .await
            .of("ec2:DeleteTags")?;
    }
    Ok(())
}
