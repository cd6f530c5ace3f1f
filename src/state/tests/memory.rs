//! A bucket in memory, with S3's rules for conditional requests, a clock that tells whole seconds,
//! and faults: answers that are lost, requests that arrive late, refusals.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::resource::{Class, Error};
use crate::state::objects::{Answer, Expect, Object, ObjectError, Objects};

/// What goes wrong with one request that writes or deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It never arrives, and nobody says so.
    Lost,
    /// It is carried out, and the answer is lost.
    Answered,
    /// The sender gives up, and it is carried out this much later.
    Late(Duration),
    /// 409 `ConditionalRequestConflict`.
    Conflict,
    /// 403.
    Denied,
}

#[derive(Default)]
struct Content {
    objects: BTreeMap<String, (Vec<u8>, String, Timestamp)>,
    /// What goes wrong with the next requests, by key.
    faults: BTreeMap<String, VecDeque<Fault>>,
    writes: BTreeMap<String, usize>,
    /// The keys that nobody may read.
    unreadable: BTreeSet<String>,
}

/// One bucket, as all of its users see it.
#[derive(Clone)]
pub(super) struct Memory {
    content: Arc<Mutex<Content>>,
    origin: Instant,
    /// Whether nothing gets through at all.
    is_cut: Arc<Mutex<bool>>,
}

const EPOCH: i64 = 1_800_000_000;

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            content: Arc::default(),
            origin: Instant::now(),
            is_cut: Arc::default(),
        }
    }

    /// The same bucket behind a network of its own.
    pub(super) fn elsewhere(&self) -> Self {
        Self {
            is_cut: Arc::default(),
            ..self.clone()
        }
    }

    pub(super) fn cut(&self, is_cut: bool) {
        *self.is_cut.lock().unwrap_or_else(PoisonError::into_inner) = is_cut;
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fail(&self, key: &str, faults: impl IntoIterator<Item = Fault>) {
        let mut content = self.content();
        content
            .faults
            .entry(key.to_owned())
            .or_default()
            .extend(faults);
    }

    /// Lets nobody read an object any more.
    pub(super) fn deny_reading(&self, key: &str) {
        self.content().unreadable.insert(key.to_owned());
    }

    /// The object's text.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let content = self.content();
        let (body, ..) = content.objects.get(key)?;
        Some(String::from_utf8(body.clone()).unwrap())
    }

    pub(super) fn etag(&self, key: &str) -> Option<String> {
        Some(self.content().objects.get(key)?.1.clone())
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.content().objects.keys().cloned().collect()
    }

    /// How often the object was written.
    pub(super) fn writes(&self, key: &str) -> usize {
        self.content().writes.get(key).copied().unwrap_or_default()
    }

    /// Writes whatever is there, as somebody with a console would.
    pub(super) fn overwrite(&self, key: &str, text: &str) {
        let now = self.now();
        self.content().set(key, text.as_bytes().to_vec(), now);
    }

    pub(super) fn erase(&self, key: &str) {
        self.content().objects.remove(key);
    }

    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.origin.elapsed()).unwrap();
        let now = Timestamp::from_second(EPOCH).unwrap() + passed;
        Timestamp::from_second(now.as_second()).unwrap()
    }

    /// Takes a request, with what is to go wrong.
    async fn arrive(&self, key: &str) -> Result<Option<Fault>, ObjectError> {
        tokio::time::sleep_until(Instant::now() + Duration::from_millis(20)).await;
        if *self.is_cut.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(ObjectError::Unclear(error(Class::Unclear, "no network")));
        }
        let fault = self
            .content()
            .faults
            .get_mut(key)
            .and_then(VecDeque::pop_front);
        match fault {
            Some(Fault::Lost) => Err(ObjectError::Unclear(error(Class::Unclear, "lost"))),
            Some(Fault::Conflict) => Err(ObjectError::Busy(error(Class::Refused, "conflict"))),
            Some(Fault::Denied) => Err(ObjectError::Refused(error(Class::Denied, "denied"))),
            fault => Ok(fault),
        }
    }

    async fn change(
        &self,
        key: &str,
        expect: &Expect,
        body: Option<Vec<u8>>,
    ) -> Result<String, ObjectError> {
        let fault = self.arrive(key).await?;
        if let Some(Fault::Late(by)) = fault {
            let (memory, key, expect) = (self.clone(), key.to_owned(), expect.clone());
            tokio::spawn(async move {
                tokio::time::sleep_until(Instant::now() + by).await;
                let now = memory.now();
                let _answer_nobody_waits_for = memory.content().change(&key, &expect, body, now);
            });
            return Err(ObjectError::Unclear(error(Class::Unclear, "timed out")));
        }
        let now = self.now();
        let answer = self.content().change(key, expect, body, now);
        match fault {
            Some(Fault::Answered) => Err(ObjectError::Unclear(error(Class::Unclear, "no answer"))),
            _ => answer,
        }
    }
}

impl Content {
    fn set(&mut self, key: &str, body: Vec<u8>, now: Timestamp) -> String {
        let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..8]));
        self.objects
            .insert(key.to_owned(), (body, etag.clone(), now));
        *self.writes.entry(key.to_owned()).or_default() += 1;
        etag
    }

    fn change(
        &mut self,
        key: &str,
        expect: &Expect,
        body: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<String, ObjectError> {
        let holds = match (expect, self.objects.get(key)) {
            (Expect::Absent, None) => true,
            (Expect::Is(expected), Some((_, etag, _))) => expected == etag,
            _ => false,
        };
        match (holds, body) {
            (false, _) => Err(ObjectError::Changed),
            (true, Some(body)) => Ok(self.set(key, body, now)),
            (true, None) => {
                self.objects.remove(key);
                Ok(String::new())
            }
        }
    }
}

fn error(class: Class, message: &str) -> Error {
    Error::new("s3:Test", class, message)
}

impl Objects for Memory {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Object>> {
        Box::pin(async move {
            tokio::time::sleep_until(Instant::now() + Duration::from_millis(10)).await;
            if *self.is_cut.lock().unwrap_or_else(PoisonError::into_inner) {
                return Err(ObjectError::Unclear(error(Class::Unclear, "no network")));
            }
            let now = self.now();
            let content = self.content();
            if content.unreadable.contains(key) {
                return Err(ObjectError::Refused(error(Class::Denied, "denied")));
            }
            let found = content.objects.get(key);
            Ok(found.map(|(body, etag, modified)| Object {
                body: body.clone(),
                etag: etag.clone(),
                modified: *modified,
                now,
            }))
        })
    }

    fn put<'a>(&'a self, key: &'a str, body: Vec<u8>, expect: &'a Expect) -> Answer<'a, String> {
        Box::pin(self.change(key, expect, Some(body)))
    }

    fn delete<'a>(&'a self, key: &'a str, etag: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let expect = Expect::Is(etag.to_owned());
            self.change(key, &expect, None).await.map(|_| ())
        })
    }

    fn list(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async { Ok(self.keys()) })
    }

    fn place(&self, key: &str) -> String {
        format!("s3://states/order/{key}")
    }
}
