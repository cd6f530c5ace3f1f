//! What a store asks of a bucket: objects that are written and deleted only if they are as they
//! were when they were read. `aws/objects.rs` gives it over S3, the tests over memory.
//!
//! What S3 says of such requests (Amazon S3 User Guide, "How to prevent object overwrites with
//! conditional writes" and "How to perform conditional deletes"; API reference, `PutObject`,
//! `DeleteObject`, `GetObject`):
//!
//! - `If-None-Match: *` writes only where there is no object of that key (a delete marker counts as
//!   none), `If-Match: <ETag>` only over the object with that ETag. Otherwise 412
//!   `PreconditionFailed`, and for `If-Match` where there is no object any more 404 `NoSuchKey`.
//!   Nothing is written then.
//! - Of writes that race, the first to finish wins and the others get 412. If a delete finishes
//!   while the write is under way, 409 `ConditionalRequestConflict`: the write may be sent again,
//!   after a fresh look at the ETag.
//! - `DELETE` with `If-Match` does the same for deletes: 412 if the ETag differs, 404 if the object
//!   has gone meanwhile, 409 if another write or delete came first. In versioned buckets the
//!   current version is what is compared.
//! - Conditional writes need the permission `s3:PutObject`, with an ETag `s3:GetObject` too;
//!   conditional deletes with an ETag `s3:DeleteObject` and `s3:GetObject`.
//! - A read of an object that is not there is answered by 404 only to those who also have
//!   `s3:ListBucket`, and by 403 to everybody else.
//! - Reads after writes are strongly consistent ("Amazon S3 data consistency model").
//!
//! General purpose buckets alone are meant: directory buckets list and compare by other rules, and
//! their names are refused.

use std::time::Duration;

use jiff::Timestamp;

use super::clock::pause;
use crate::resource::{BoxFuture, Error};

/// An object as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its content.
    pub body: Vec<u8>,
    /// S3's tag of this content; opaque, to be given back in conditions.
    pub etag: String,
    /// When it was written, by S3's clock.
    pub modified: Timestamp,
    /// What S3's clock said when it answered; whole seconds.
    pub now: Timestamp,
}

/// What must hold for a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no object of that key.
    Absent,
    /// The object has this ETag.
    Is(String),
}

/// Why a request on an object did not work.
#[derive(Clone, Debug)]
pub enum ObjectError {
    /// The condition does not hold; nothing was changed.
    Changed,
    /// S3 was busy with this key, or with too much; nothing was changed, and the same request may
    /// be sent again.
    Busy(Error),
    /// No usable answer came: it may or may not have been done, or be done later.
    Unclear(Error),
    /// S3 refused.
    Refused(Error),
}

impl ObjectError {
    /// The error underneath, in words for a condition that did not hold.
    pub(super) fn into_error(self, operation: &str) -> Error {
        match self {
            Self::Busy(error) | Self::Unclear(error) | Self::Refused(error) => error,
            Self::Changed => Error::new(
                operation,
                crate::resource::Class::Refused,
                "somebody else keeps changing the object",
            ),
        }
    }
}

/// The answer to a request on an object.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, ObjectError>>;

/// The objects below one prefix of a bucket; keys are relative to it.
pub trait Objects: Send + Sync {
    /// Reads an object, if there is one.
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Object>>;

    /// Writes an object if `expect` holds, and gives its ETag.
    fn put<'a>(&'a self, key: &'a str, body: Vec<u8>, expect: &'a Expect) -> Answer<'a, String>;

    /// Deletes the object with this ETag.
    fn delete<'a>(&'a self, key: &'a str, etag: &'a str) -> Answer<'a, ()>;

    /// The keys directly below the prefix.
    fn list(&self) -> Answer<'_, Vec<String>>;

    /// Where an object is, for messages: `s3://bucket/prefix/key`.
    fn place(&self, key: &str) -> String;
}

/// How a write or delete ended for certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was done; after a write, the object's ETag.
    Done(String),
    /// It was not done, because this is there now.
    Changed(Option<Object>),
}

/// How often a request is sent before its failure is told.
pub(super) const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Writes, and knows whether it was done. `body` must be like no other ever written to this key:
/// that is how, after a lost answer, a look tells ours from somebody else's.
pub(super) async fn put(
    objects: &dyn Objects,
    key: &str,
    body: &[u8],
    expect: &Expect,
    tries: u32,
) -> Result<End, ObjectError> {
    let mut pauses = Pauses::new(tries);
    loop {
        let failure = match objects.put(key, body.to_vec(), expect).await {
            Ok(etag) => return Ok(End::Done(etag)),
            Err(refused @ ObjectError::Refused(_)) => return Err(refused),
            Err(failure) => failure,
        };
        // A lost answer may be that of a write that was done, at this try or at an earlier one.
        match objects.get(key).await {
            Ok(Some(found)) if found.body == body => return Ok(End::Done(found.etag)),
            Ok(found) if !holds(expect, found.as_ref()) => return Ok(End::Changed(found)),
            Ok(_) => {}
            Err(refused @ ObjectError::Refused(_)) => return Err(refused),
            Err(_) => {}
        }
        if !pauses.next().await {
            return Err(failure);
        }
    }
}

/// Deletes the object with this ETag, and knows whether it was done. One that is gone is done.
pub(super) async fn delete(
    objects: &dyn Objects,
    key: &str,
    etag: &str,
    tries: u32,
) -> Result<End, ObjectError> {
    let mut pauses = Pauses::new(tries);
    loop {
        let failure = match objects.delete(key, etag).await {
            Ok(()) => return Ok(End::Done(String::new())),
            Err(refused @ ObjectError::Refused(_)) => return Err(refused),
            Err(failure) => failure,
        };
        match objects.get(key).await {
            Ok(None) => return Ok(End::Done(String::new())),
            Ok(Some(found)) if found.etag != etag => return Ok(End::Changed(Some(found))),
            Ok(_) => {}
            Err(refused @ ObjectError::Refused(_)) => return Err(refused),
            Err(_) => {}
        }
        if !pauses.next().await {
            return Err(failure);
        }
    }
}

/// Reads, with as many tries.
pub(super) async fn get(objects: &dyn Objects, key: &str) -> Result<Option<Object>, ObjectError> {
    let mut pauses = Pauses::new(TRIES);
    loop {
        match objects.get(key).await {
            Err(failure @ (ObjectError::Busy(_) | ObjectError::Unclear(_))) => {
                if !pauses.next().await {
                    return Err(failure);
                }
            }
            answer => return answer,
        }
    }
}

fn holds(expect: &Expect, found: Option<&Object>) -> bool {
    match (expect, found) {
        (Expect::Absent, None) => true,
        (Expect::Is(etag), Some(found)) => *etag == found.etag,
        _ => false,
    }
}

/// Pauses that grow, as many as there are tries to come.
struct Pauses {
    left: u32,
    next: Duration,
}

impl Pauses {
    fn new(tries: u32) -> Self {
        Self {
            left: tries,
            next: FIRST_PAUSE,
        }
    }

    /// Pauses, or says that it was tried often enough.
    async fn next(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return false;
        }
        pause(self.next.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        self.next *= 2;
        true
    }
}
