//! Capacity provider strategies, which clusters (as their default) and services have in common.

use std::collections::BTreeSet;

use aws_sdk_ecs::types::CapacityProviderStrategyItem as AwsItem;
use serde::{Deserialize, Serialize};

use crate::aws::incomplete;
use crate::resource::Result;

/// The share of tasks that one capacity provider runs. A strategy is a set of them: order means
/// nothing to AWS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CapacityProviderStrategyItem {
    /// The provider: `FARGATE` or `FARGATE_SPOT`.
    pub capacity_provider: String,
    /// Its share of the tasks beyond the base, relative to the other weights.
    pub weight: u32,
    /// How many tasks it runs at least; only one provider may have a base above 0.
    pub base: u32,
}

pub(super) fn from_aws(items: &[AwsItem]) -> BTreeSet<CapacityProviderStrategyItem> {
    items
        .iter()
        .map(|item| CapacityProviderStrategyItem {
            capacity_provider: item.capacity_provider().to_owned(),
            weight: item.weight().try_into().unwrap_or_default(),
            base: item.base().try_into().unwrap_or_default(),
        })
        .collect()
}

pub(super) fn to_aws(
    operation: &'static str,
    items: &BTreeSet<CapacityProviderStrategyItem>,
) -> Result<Option<Vec<AwsItem>>> {
    let items = items.iter().map(|item| {
        AwsItem::builder()
            .capacity_provider(&item.capacity_provider)
            .weight(item.weight.try_into().unwrap_or(i32::MAX))
            .base(item.base.try_into().unwrap_or(i32::MAX))
            .build()
            .map_err(incomplete(operation))
    });
    items.collect::<Result<_>>().map(Some)
}
