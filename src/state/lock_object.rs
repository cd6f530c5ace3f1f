//! The lock of a stack as it stands in the bucket, and what is read from it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::objects::Object;
use super::{Holder, StateError};

/// How much longer than it lasts others leave it alone: S3 tells times in whole seconds.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// The key of a stack's lock.
pub(super) fn key(stack: &str) -> String {
    format!("{stack}.lock")
}

/// The lock object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Document {
    /// Grows by one with every new holder.
    pub(super) generation: u64,
    /// Made once per taking; two documents with the same one are of the same holder.
    pub(super) lease: String,
    /// Grows by one with every renewal, so that no two documents are alike.
    pub(super) beat: u64,
    /// How long the lease lasts from the moment S3 says the object was modified.
    pub(super) lasts_seconds: u64,
    /// Who holds it; nobody, if it was given back or taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) holder: Option<Holder>,
    /// Where nobody holds it: who gave it back, or took it away from its holder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) former: Option<Holder>,
    /// A former holder may still believe that it holds the lock: the state's ETag has to be moved
    /// before anything is done under it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) unfenced: bool,
}

impl Document {
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, StateError> {
        serde_json::to_vec_pretty(self).map_err(|error| StateError::Access {
            place: "the lock".to_owned(),
            reason: error.to_string(),
        })
    }
}

/// A lock object as it was read.
pub(super) struct Seen {
    pub(super) etag: String,
    /// `None` for what is no document of ours; that is held until somebody unlocks it.
    pub(super) document: Option<Document>,
    modified: Timestamp,
    now: Timestamp,
}

impl Seen {
    pub(super) fn of(object: &Object) -> Self {
        Self {
            etag: object.etag.clone(),
            document: serde_json::from_slice(&object.body).ok(),
            modified: object.modified,
            now: object.now,
        }
    }

    /// The holder, with the time at which the lease ends if it is not renewed.
    pub(super) fn holder(&self) -> Option<Holder> {
        let document = self.document.as_ref()?;
        let holder = document.holder.clone()?;
        let lasts =
            SignedDuration::from_secs(document.lasts_seconds.try_into().unwrap_or(i64::MAX));
        Some(Holder {
            expires: self.modified.checked_add(lasts).ok(),
            ..holder
        })
    }

    /// Says whether the lease has ended long enough ago for somebody else to take it.
    pub(super) fn has_ended(&self) -> bool {
        let Some(document) = &self.document else {
            return false;
        };
        let age = self.now.duration_since(self.modified);
        let lasts = Duration::from_secs(document.lasts_seconds).saturating_add(GRACE);
        SignedDuration::try_from(lasts).is_ok_and(|lasts| age > lasts)
    }
}

/// Says whether what was read is a document of the same taking.
pub(super) fn is_of(seen: &Seen, document: &Document) -> bool {
    let lease = seen.document.as_ref().map(|seen| &seen.lease);
    lease == Some(&document.lease)
}

/// How a lease was lost, by what is there instead.
pub(super) fn how(found: Option<&Seen>) -> String {
    let document = found.and_then(|seen| seen.document.as_ref());
    let former = document.and_then(|document| document.former.as_ref());
    match (found.and_then(Seen::holder), former) {
        (Some(holder), _) => format!("it was taken over by {holder}"),
        (None, Some(former)) => format!("it was taken over by {former}, and is free again"),
        (None, None) => "its lock object was taken away by hand".to_owned(),
    }
}
