//! EC2: the network of the stack. Its things are found by their tags; routes and associations,
//! which carry none, inside their parents. One Describe per type serves the whole stack.

mod elastic_ip;
mod interfaces;
mod internet_gateway;
mod internet_gateway_attachment;
mod nat_gateway;
mod route;
mod route_table;
mod route_table_association;
mod security_group;
mod security_group_rule;
mod subnet;
mod vpc;
mod vpc_endpoint;

use std::sync::Arc;

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};

pub use elastic_ip::{ElasticIp, ElasticIpOutputs, ElasticIpSpec};
pub use internet_gateway::{InternetGateway, InternetGatewayOutputs, InternetGatewaySpec};
pub use internet_gateway_attachment::{
    InternetGatewayAttachment, InternetGatewayAttachmentOutputs, InternetGatewayAttachmentSpec,
};
pub use nat_gateway::{NatGateway, NatGatewayOutputs, NatGatewaySpec};
pub use route::{Route, RouteOutputs, RouteSpec, RouteTarget};
pub use route_table::{RouteTable, RouteTableOutputs, RouteTableSpec};
pub use route_table_association::{
    RouteTableAssociation, RouteTableAssociationOutputs, RouteTableAssociationSpec,
};
pub use security_group::{SecurityGroup, SecurityGroupOutputs, SecurityGroupSpec};
pub use security_group_rule::{
    Direction, Peer, SecurityGroupRule, SecurityGroupRuleOutputs, SecurityGroupRuleSpec,
};
pub use subnet::{Subnet, SubnetOutputs, SubnetSpec, zones_of_stack};
pub use vpc::{Vpc, VpcOutputs, VpcSpec};
pub use vpc_endpoint::{VpcEndpoint, VpcEndpointOutputs, VpcEndpointSpec};

use crate::aws::{Answer, Aws};
use crate::resource::{Live, Resource, Result, STACK_TAG, Scope, Tags};

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

/// A type of EC2 whose things are described with filters and carry tags.
trait Described: Clone + Send + Sync + 'static {
    /// The Describe operation, as IAM writes it.
    const OPERATION: &'static str;
    /// The filter that narrows it to one id. A filter, unlike an id argument, does not fail for
    /// ids that are gone.
    const ID_FILTER: &'static str;

    /// Its id and its tags.
    fn id_and_tags(&self) -> (Option<&str>, &[Tag]);

    /// How alive it is.
    fn life(&self) -> Life {
        Life::Alive
    }

    /// Reads all that match the filters, page by page.
    fn describe(aws: &Aws, filters: Vec<Filter>) -> impl Future<Output = Result<Vec<Self>>> + Send;
}

/// All pages of a Describe that takes filters: the body of [`Described::describe`].
macro_rules! all_pages {
    ($aws:ident.$describe:ident().$set_filters:ident($filters:ident)) => {{
        let request = $aws.ec2.$describe().$set_filters(Some($filters));
        let pages = request.into_paginator().items().send();
        let all: std::result::Result<_, _> = pages.collect().await;
        all.of(Self::OPERATION)
    }};
}
use all_pages;

/// How alive a described thing is. Of several that carry the same tags the most alive is meant.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Life {
    /// It is there, or on its way.
    Alive,
    /// It is going away, or has failed for good.
    Dying,
    /// It is only listed for a while after its end.
    Gone,
}

/// Finds a node's own thing: the recorded one if an id is known, else the one that carries the
/// node's tags.
async fn find<T: Described>(aws: &Aws, scope: &Scope, known: Option<&str>) -> Result<Option<T>> {
    let ours = of_stack::<T>(aws, scope).await?;
    let Some(id) = known else {
        let own = ours
            .iter()
            .filter(|item| tags_of(item.id_and_tags().1).belong_to(scope));
        let best = own.min_by_key(|item| item.life());
        return Ok(best.filter(|item| item.life() != Life::Gone).cloned());
    };
    let found = match ours.iter().find(|item| item.id_and_tags().0 == Some(id)) {
        Some(item) => Some(item.clone()),
        // Its tags may have been taken off by hand; the id still finds it.
        None => narrowed::<T>(aws, T::ID_FILTER, id).await?.first().cloned(),
    };
    Ok(found.filter(|item| item.life() != Life::Gone))
}

/// Reads all things of this type that carry the stack's tag.
async fn of_stack<T: Described>(aws: &Aws, scope: &Scope) -> Result<Arc<Vec<T>>> {
    let filter = filter(&format!("tag:{STACK_TAG}"), &scope.stack);
    aws.read_once(T::OPERATION, T::describe(aws, vec![filter]))
        .await
}

/// Finds all things of this type that carry the stack's tag, whatever node they are of.
async fn swept<T: Described, K: Resource>(
    aws: &Aws,
    scope: &Scope,
    live: impl Fn(T) -> Result<Live<K>>,
) -> Result<Vec<Live<K>>> {
    let ours = of_stack::<T>(aws, scope).await?;
    let there = ours.iter().filter(|item| item.life() != Life::Gone);
    there.cloned().map(live).collect()
}

/// Reads the things that one filter lets through, whatever their tags.
async fn narrowed<T: Described>(aws: &Aws, name: &str, value: &str) -> Result<Arc<Vec<T>>> {
    let key = format!("{} {name}={value}", T::OPERATION);
    aws.read_once(&key, T::describe(aws, vec![filter(name, value)]))
        .await
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// Puts `live` into the order of `want`, for lists whose order means nothing to AWS.
fn in_order_of<T: PartialEq>(want: &[T], mut live: Vec<T>) -> Vec<T> {
    live.sort_by_cached_key(|item| {
        want.iter()
            .position(|wanted| wanted == item)
            .unwrap_or(want.len())
    });
    live
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

#[cfg(test)]
mod testing {
    use super::*;
    use crate::resource::NODE_TAG;

    /// The tags of a node of the stack `dev`.
    pub(super) fn tags(node: &str) -> Tags {
        Tags::from_pairs([(STACK_TAG, "dev"), (NODE_TAG, node)])
    }

    /// The same as AWS returns them.
    pub(super) fn aws_tags(node: &str) -> Option<Vec<Tag>> {
        let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
        Some(tags(node).iter().map(tag).collect())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::operation::create_tags::CreateTagsOutput;
    use aws_sdk_ec2::operation::delete_tags::DeleteTagsOutput;
    use aws_sdk_ec2::operation::describe_internet_gateways::DescribeInternetGatewaysOutput;
    use aws_sdk_ec2::types::InternetGateway as AwsInternetGateway;
    use aws_smithy_mocks::mock;

    use super::testing::{aws_tags, tags};
    use super::*;
    use crate::aws::testing::{mocked, scope};

    fn gateway(id: &str, node: &str) -> AwsInternetGateway {
        AwsInternetGateway::builder()
            .internet_gateway_id(id)
            .set_tags(aws_tags(node))
            .build()
    }

    fn id(found: Option<AwsInternetGateway>) -> Option<String> {
        found.and_then(|gateway| gateway.internet_gateway_id)
    }

    #[tokio::test]
    async fn one_describe_serves_the_whole_stack() {
        let both = mock!(Client::describe_internet_gateways)
            .match_requests(|r| {
                r.filters()[0].name() == Some("tag:orderctl:stack")
                    && r.filters()[0].values() == ["dev"]
            })
            .then_output(|| {
                DescribeInternetGatewaysOutput::builder()
                    .internet_gateways(gateway("igw-1", "a"))
                    .internet_gateways(gateway("igw-2", "b"))
                    .build()
            });
        let aws = mocked(&[&both]).with_shared_reads();
        for (node, known, expected) in [
            ("a", None, Some("igw-1")),
            ("b", None, Some("igw-2")),
            ("c", None, None),
            ("c", Some("igw-2"), Some("igw-2")),
        ] {
            let found = find(&aws, &scope(node), known).await.unwrap();
            assert_eq!(id(found).as_deref(), expected, "{node} {known:?}");
        }
        assert_eq!(aws.calls().reads(), 1);
    }

    #[tokio::test]
    async fn a_thing_on_a_later_page_is_found() {
        let pages = mock!(Client::describe_internet_gateways)
            .sequence()
            .output(|| {
                DescribeInternetGatewaysOutput::builder()
                    .internet_gateways(gateway("igw-1", "a"))
                    .next_token("more")
                    .build()
            })
            .output(|| {
                DescribeInternetGatewaysOutput::builder()
                    .internet_gateways(gateway("igw-2", "b"))
                    .build()
            })
            .build();
        let found = find(&mocked(&[&pages]), &scope("b"), None).await.unwrap();
        assert_eq!(id(found).as_deref(), Some("igw-2"));
    }

    #[tokio::test]
    async fn what_lost_its_tags_is_found_by_its_id_alone() {
        let ours = mock!(Client::describe_internet_gateways)
            .match_requests(|r| r.filters()[0].name() == Some("tag:orderctl:stack"))
            .then_output(|| DescribeInternetGatewaysOutput::builder().build());
        let by_id = mock!(Client::describe_internet_gateways)
            .match_requests(|r| {
                r.filters()[0].name() == Some("internet-gateway-id")
                    && r.filters()[0].values() == ["igw-1"]
            })
            .then_output(|| {
                DescribeInternetGatewaysOutput::builder()
                    .internet_gateways(
                        AwsInternetGateway::builder()
                            .internet_gateway_id("igw-1")
                            .build(),
                    )
                    .build()
            });
        let aws = mocked(&[&ours, &by_id]);
        let found = find(&aws, &scope("a"), Some("igw-1")).await.unwrap();
        assert_eq!(id(found).as_deref(), Some("igw-1"));
        let found = find(&aws, &scope("a"), None).await.unwrap();
        assert_eq!(id(found), None);
    }

    #[tokio::test]
    async fn tags_are_set_and_taken_off_only_where_they_differ() {
        let set = mock!(Client::create_tags)
            .match_requests(|r| {
                r.resources() == ["igw-1"]
                    && r.tags().len() == 1
                    && r.tags()[0].key() == Some("Tier")
                    && r.tags()[0].value() == Some("public")
            })
            .then_output(|| CreateTagsOutput::builder().build());
        let take_off = mock!(Client::delete_tags)
            .match_requests(|r| r.tags().len() == 1 && r.tags()[0].key() == Some("team"))
            .then_output(|| DeleteTagsOutput::builder().build());
        let aws = mocked(&[&set, &take_off]);
        let mut want = tags("a");
        want.0.insert("Tier".into(), "public".into());
        let mut live = tags("a");
        live.0.insert("Tier".into(), "private".into());
        live.0.insert("team".into(), "x".into());
        change_tags(&aws, "igw-1", &live, &want).await.unwrap();
        assert_eq!((set.num_calls(), take_off.num_calls()), (1, 1));
        change_tags(&aws, "igw-1", &want, &want).await.unwrap();
        assert_eq!(aws.calls().writes(), 2);
    }

    #[test]
    fn the_order_of_a_set_is_the_wanted_one_and_strangers_come_last() {
        assert_eq!(
            in_order_of(&["b", "a"], vec!["a", "c", "b"]),
            ["b", "a", "c"]
        );
    }
}
