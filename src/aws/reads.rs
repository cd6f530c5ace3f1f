//! Reads that several resources share. A plan looks at the whole stack at one moment, so one
//! Describe per kind serves all its nodes (law 5); an apply reads afresh every time.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_resourcegroupstagging::types::TagFilter;
use tokio::sync::OnceCell;

use super::{Answer, Aws};
use crate::resource::{Result, STACK_TAG, Scope, Tags};

type Cell = Arc<OnceCell<Arc<dyn Any + Send + Sync>>>;

/// The reads made so far, if they are shared at all.
pub(super) struct Reads(Option<Mutex<HashMap<String, Cell>>>);

impl Reads {
    pub(super) fn fresh() -> Self {
        Self(None)
    }

    pub(super) fn shared() -> Self {
        Self(Some(Mutex::new(HashMap::new())))
    }

    fn cell(&self, key: &str) -> Option<Cell> {
        let mut cells = self
            .0
            .as_ref()?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Some(cells.entry(key.to_owned()).or_default().clone())
    }
}

impl Aws {
    /// Makes `read` once for all who ask under the same `key` when reads are shared, and anew for
    /// each when they are not. The key names the operation and what it is narrowed to.
    pub async fn read_once<T, F>(&self, key: &str, read: F) -> Result<Arc<T>>
    where
        T: Send + Sync + 'static,
        F: Future<Output = Result<T>> + Send,
    {
        let Some(cell) = self.reads.cell(key) else {
            return read.await.map(Arc::new);
        };
        let found = cell
            .get_or_try_init(|| async { Ok(Arc::new(read.await?) as Arc<dyn Any + Send + Sync>) })
            .await?;
        match Arc::clone(found).downcast::<T>() {
            Ok(value) => Ok(value),
            Err(_) => Err(crate::resource::Error::new(
                key,
                crate::resource::Class::Refused,
                "two reads of different types share this key",
            )),
        }
    }

    /// Gives one output of all recorded nodes of a kind, for kinds that read several resources with
    /// one call; nothing unless reads are shared.
    pub(crate) fn recorded(&self, kind: &str, field: &str) -> Vec<String> {
        let of_kind = self.recorded.iter().filter(|(name, _)| name == kind);
        let texts = of_kind.filter_map(|(_, outputs)| outputs.get(field)?.as_str());
        texts.map(str::to_owned).collect()
    }

    /// Reads the tags of `arn` for kinds whose Describe does not return them.
    ///
    /// With shared reads, one `tag:GetResources` over the stack serves all of them as long as it
    /// shows exactly the wanted tags. That index lags behind, so any other answer is checked with
    /// `read`, the kind's own call.
    pub async fn tags<F>(&self, scope: &Scope, arn: &str, want: &Tags, read: F) -> Result<Tags>
    where
        F: Future<Output = Result<Tags>> + Send,
    {
        if self.reads.0.is_some() {
            let index = self.tag_index(scope).await?;
            if let Some(found) = index.get(arn)
                && want.missing_from(found).is_empty()
                && want.surplus_in(found).is_empty()
            {
                return Ok(found.clone());
            }
        }
        read.await
    }

    /// The tags of everything that the stack's tag index shows, by ARN: a hint where to look, as it
    /// lags and is incomplete. Empty if it cannot be read.
    pub async fn tag_index(&self, scope: &Scope) -> Result<Arc<BTreeMap<String, Tags>>> {
        self.read_once("tag:GetResources", self.tagged_resources(scope))
            .await
    }

    async fn tagged_resources(&self, scope: &Scope) -> Result<BTreeMap<String, Tags>> {
        let filter = TagFilter::builder()
            .key(STACK_TAG)
            .values(&scope.stack)
            .build();
        let mut pages = self
            .tagging
            .get_resources()
            .tag_filters(filter)
            // The most there may be on a page; the default is half of it.
            .resources_per_page(100)
            .into_paginator()
            .items()
            .send();
        let mut found = BTreeMap::new();
        while let Some(mapping) = pages.next().await {
            let mapping = match mapping.of("tag:GetResources") {
                Ok(mapping) => mapping,
                // The index is a shortcut; without it every kind reads its own tags.
                Err(_) => return Ok(BTreeMap::new()),
            };
            let tags = Tags::from_pairs(mapping.tags().iter().map(|tag| (tag.key(), tag.value())));
            if let Some(arn) = mapping.resource_arn() {
                found.insert(arn.to_owned(), tags);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::aws::testing::mocked;

    #[tokio::test]
    async fn shared_reads_are_made_once_and_fresh_ones_every_time() {
        let aws = mocked(&[]);
        for (aws, expected) in [(aws.with_shared_reads(), 1), (aws, 3)] {
            let made = AtomicUsize::new(0);
            for _ in 0..3 {
                let read = async { Ok(made.fetch_add(1, Ordering::Relaxed)) };
                aws.read_once("key", read).await.unwrap();
            }
            assert_eq!(made.into_inner(), expected);
        }
    }
}
