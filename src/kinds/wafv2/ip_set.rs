//! `wafv2/ip_set`: a set of address ranges that rules of a web ACL refer to.

use std::collections::BTreeSet;

use aws_sdk_wafv2::operation::get_ip_set::GetIpSetOutput;
use aws_sdk_wafv2::types::{IpAddressVersion, IpSetSummary};
use serde::{Deserialize, Serialize};

use super::{
    GONE, IpSetArn, REFUSALS, SCOPE, change_tags, gone, read_tags, tags_on_create, unless_empty,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resource, Result, Scope, Stage,
    Tags, outputs,
};

/// An `AWS::WAFv2::IPSet` of IPv4 addresses.
pub struct IpSet;

/// The settings of an IP set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IpSetSpec {
    /// Its name, unique in the region.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Its ranges in CIDR notation, `203.0.113.0/24`; may be empty.
    pub addresses: BTreeSet<String>,
    /// Its tags.
    pub tags: Tags,
}

outputs! { IpSet =>
    /// What AWS gives an IP set.
    IpSetOutputs {
        /// The IP set's id, a UUID.
        id: String,
        /// The IP set's ARN.
        arn: IpSetArn,
    }
}

impl Resource for IpSet {
    const KIND: &'static str = "wafv2/ip_set";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &[
            "wafv2:ListIPSets",
            "wafv2:GetIPSet",
            "wafv2:ListTagsForResource",
        ],
        create: &["wafv2:CreateIPSet", "wafv2:TagResource"],
        update: &[
            "wafv2:GetIPSet",
            "wafv2:UpdateIPSet",
            "wafv2:TagResource",
            "wafv2:UntagResource",
        ],
        delete: &["wafv2:DeleteIPSet"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name"];
    const REFUSALS: &'static [Refusal] = REFUSALS;
    type Api = Aws;
    type Spec<S: Stage> = IpSetSpec;
    type Outputs = IpSetOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &IpSetSpec,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let known = match last {
            Some(last) => Some((last.spec.name.clone(), last.outputs.id.clone())),
            None => aws
                .read_once("wafv2:ListIPSets", list(aws))
                .await?
                .iter()
                .find(|set| set.name() == Some(&want.name))
                .and_then(|set| Some((want.name.clone(), set.id()?.to_owned()))),
        };
        let Some((name, id)) = known else {
            return Ok(None);
        };
        let Some(set) = get(aws, &name, &id).await?.and_then(|answer| answer.ip_set) else {
            return Ok(None);
        };
        let tags = aws
            .tags(scope, &set.arn, &want.tags, read_tags(aws, &set.arn))
            .await?;
        Ok(Some(Live {
            outputs: IpSetOutputs {
                id: set.id,
                arn: IpSetArn(set.arn),
            },
            spec: IpSetSpec {
                name: set.name,
                description: set.description.unwrap_or_default(),
                addresses: set.addresses.into_iter().collect(),
                tags,
            },
            condition: Condition::Ready,
        }))
    }

    async fn create(aws: &Aws, _scope: &Scope, want: &IpSetSpec) -> Result<IpSetOutputs> {
        let answer = aws
            .wafv2
            .create_ip_set()
            .name(&want.name)
            .scope(SCOPE)
            .set_description(unless_empty(&want.description))
            .ip_address_version(IpAddressVersion::Ipv4)
            .set_addresses(Some(want.addresses.iter().cloned().collect()))
            .set_tags(tags_on_create("wafv2:CreateIPSet", &want.tags)?)
            .send()
            .await
            .of("wafv2:CreateIPSet")?;
        let field = |name| missing("wafv2:CreateIPSet", name);
        let summary = answer.summary().ok_or_else(field("Summary"))?;
        Ok(IpSetOutputs {
            id: summary.id().ok_or_else(field("Id"))?.to_owned(),
            arn: summary.arn().ok_or_else(field("ARN"))?.into(),
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &IpSetSpec,
        changes: &Changes,
    ) -> Result<()> {
        if changes.touch_any(&["description", "addresses"]) {
            let current = get(aws, &want.name, &live.outputs.id)
                .await?
                .ok_or_else(|| gone("wafv2:GetIPSet", &want.name))?;
            aws.wafv2
                .update_ip_set()
                .name(&want.name)
                .scope(SCOPE)
                .id(&live.outputs.id)
                .set_description(unless_empty(&want.description))
                .set_addresses(Some(want.addresses.iter().cloned().collect()))
                .set_lock_token(current.lock_token)
                .send()
                .await
                .of("wafv2:UpdateIPSet")?;
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        let Some(current) = get(aws, &live.spec.name, &live.outputs.id).await? else {
            return Ok(());
        };
        aws.wafv2
            .delete_ip_set()
            .name(&live.spec.name)
            .scope(SCOPE)
            .id(&live.outputs.id)
            .set_lock_token(current.lock_token)
            .send()
            .await
            .of("wafv2:DeleteIPSet")
            .gone_is_fine(GONE)
    }
}

async fn get(aws: &Aws, name: &str, id: &str) -> Result<Option<GetIpSetOutput>> {
    aws.wafv2
        .get_ip_set()
        .name(name)
        .scope(SCOPE)
        .id(id)
        .send()
        .await
        .of("wafv2:GetIPSet")
        .gone_is_none(GONE)
}

async fn list(aws: &Aws) -> Result<Vec<IpSetSummary>> {
    let mut found = Vec::new();
    let mut marker = None;
    loop {
        let page = aws
            .wafv2
            .list_ip_sets()
            .scope(SCOPE)
            .limit(100)
            .set_next_marker(marker)
            .send()
            .await
            .of("wafv2:ListIPSets")?;
        let sets = page.ip_sets.unwrap_or_default();
        marker = page.next_marker.filter(|_| !sets.is_empty());
        found.extend(sets);
        if marker.is_none() {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_wafv2::Client;
    use aws_sdk_wafv2::operation::create_ip_set::CreateIpSetOutput;
    use aws_sdk_wafv2::operation::delete_ip_set::DeleteIpSetOutput;
    use aws_sdk_wafv2::operation::get_ip_set::GetIPSetError;
    use aws_sdk_wafv2::operation::list_ip_sets::ListIpSetsOutput;
    use aws_sdk_wafv2::operation::tag_resource::TagResourceOutput;
    use aws_sdk_wafv2::operation::update_ip_set::UpdateIpSetOutput;
    use aws_sdk_wafv2::types::IpSet as AwsIpSet;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::super::testing::{nonexistent, tagged};
    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const ARN: &str = "arn:aws:wafv2:us-east-1:123456789012:regional/ipset/order-api-allow-dev/1f";

    fn want() -> IpSetSpec {
        IpSetSpec {
            name: "order-api-allow-dev".into(),
            description: "Always let in".into(),
            addresses: ["198.51.100.7/32", "203.0.113.0/24"]
                .map(str::to_owned)
                .into(),
            tags: Tags::from_pairs([(NODE_TAG, "allow-list")]),
        }
    }

    fn live() -> Live<IpSet> {
        Live {
            outputs: IpSetOutputs {
                id: "1f".into(),
                arn: ARN.into(),
            },
            spec: want(),
            condition: Condition::Ready,
        }
    }

    fn last() -> Last<IpSet> {
        Last {
            outputs: live().outputs,
            spec: want(),
        }
    }

    fn in_aws() -> GetIpSetOutput {
        let set = AwsIpSet::builder()
            .name("order-api-allow-dev")
            .id("1f")
            .arn(ARN)
            .description("Always let in")
            .ip_address_version(IpAddressVersion::Ipv4)
            .addresses("203.0.113.0/24")
            .addresses("198.51.100.7/32");
        GetIpSetOutput::builder()
            .ip_set(set.build().unwrap())
            .lock_token("token-1")
            .build()
    }

    fn found() -> Rule {
        mock!(Client::get_ip_set)
            .match_requests(|r| r.id() == Some("1f") && r.name() == Some("order-api-allow-dev"))
            .then_output(in_aws)
    }

    fn tags() -> Rule {
        mock!(Client::list_tags_for_resource)
            .match_requests(|r| r.resource_arn() == Some(ARN))
            .then_output(|| tagged(NODE_TAG, "allow-list"))
    }

    fn summaries(names: &[&str], next: Option<&str>) -> ListIpSetsOutput {
        let sets = names
            .iter()
            .map(|name| IpSetSummary::builder().name(*name).id("1f").build())
            .collect();
        ListIpSetsOutput::builder()
            .set_ip_sets(Some(sets))
            .set_next_marker(next.map(str::to_owned))
            .build()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_without_listing_what_is_known() {
        let aws = mocked(&[&found(), &tags()]);
        let live = IpSet::observe(&aws, &scope("allow-list"), &want(), Some(&last()))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(live.outputs, last().outputs);
        assert_eq!(live.condition, Condition::Ready);
        assert_eq!(aws.calls().reads(), 2);
    }

    #[tokio::test]
    async fn an_unrecorded_set_is_found_by_its_name_on_any_page() {
        let first = mock!(Client::list_ip_sets)
            .match_requests(|r| r.next_marker().is_none())
            .then_output(|| summaries(&["of-another-team"], Some("2")));
        let second = mock!(Client::list_ip_sets)
            .match_requests(|r| r.next_marker() == Some("2"))
            .then_output(|| summaries(&["order-api-allow-dev"], None));
        let aws = mocked(&[&first, &second, &found(), &tags()]);
        let live = IpSet::observe(&aws, &scope("allow-list"), &want(), None).await;
        assert_eq!(&*live.unwrap().unwrap().outputs.arn, ARN);
    }

    #[tokio::test]
    async fn gone_is_none_and_deleting_it_is_fine() {
        let gone = mock!(Client::get_ip_set).then_error(|| GetIPSetError::generic(nonexistent()));
        let nothing = mock!(Client::list_ip_sets).then_output(|| summaries(&[], None));
        let aws = mocked(&[&gone, &nothing]);
        for last in [None, Some(&last())] {
            let live = IpSet::observe(&aws, &scope("allow-list"), &want(), last).await;
            assert!(live.unwrap().is_none());
        }
        IpSet::delete(&aws, &scope("allow-list"), &live())
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 0);
    }

    #[tokio::test]
    async fn create_omits_an_empty_description_and_takes_an_empty_list() {
        let create = mock!(Client::create_ip_set)
            .match_requests(|r| {
                r.description().is_none()
                    && r.addresses().is_empty()
                    && r.tags()[0].key() == NODE_TAG
            })
            .then_output(|| {
                let summary = IpSetSummary::builder().id("1f").arn(ARN).build();
                CreateIpSetOutput::builder().summary(summary).build()
            });
        let bare = IpSetSpec {
            description: String::new(),
            addresses: BTreeSet::new(),
            ..want()
        };
        let outputs = IpSet::create(&mocked(&[&create]), &scope("allow-list"), &bare).await;
        assert_eq!(outputs.unwrap(), last().outputs);
    }

    #[tokio::test]
    async fn update_sends_only_what_changed_under_a_fresh_lock_token() {
        let update = mock!(Client::update_ip_set)
            .match_requests(|r| {
                r.lock_token() == Some("token-1")
                    && r.addresses() == ["198.51.100.7/32", "203.0.113.0/24"]
                    && r.description() == Some("Always let in")
            })
            .then_output(|| UpdateIpSetOutput::builder().build());
        let tag = mock!(Client::tag_resource)
            .match_requests(|r| r.tags().len() == 1 && r.tags()[0].value() == "allow-list")
            .then_output(|| TagResourceOutput::builder().build());
        let aws = mocked(&[&found(), &update, &tag]);

        let mut narrower = live();
        narrower.spec.addresses.pop_first();
        let mut untagged = live();
        untagged.spec.tags = Tags::default();
        for live in [narrower, untagged] {
            let changes = diff(&json!(want()), &json!(live.spec), None);
            IpSet::update(&aws, &scope("allow-list"), &live, &want(), &changes)
                .await
                .unwrap();
        }
        assert_eq!((update.num_calls(), tag.num_calls()), (1, 1));
        assert_eq!(aws.calls().reads(), 1);
    }

    #[tokio::test]
    async fn delete_uses_a_fresh_lock_token() {
        let delete = mock!(Client::delete_ip_set)
            .match_requests(|r| r.id() == Some("1f") && r.lock_token() == Some("token-1"))
            .then_output(|| DeleteIpSetOutput::builder().build());
        let aws = mocked(&[&found(), &delete]);
        IpSet::delete(&aws, &scope("allow-list"), &live())
            .await
            .unwrap();
        assert_eq!(delete.num_calls(), 1);
    }
}
