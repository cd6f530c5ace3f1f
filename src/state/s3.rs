//! States as objects of a bucket: `<suffix>.json`, and `<suffix>.lock` with the lease.
//!
//! Every write is conditional on the ETag that was read or written before (see `objects.rs` for
//! what S3 promises), so of two writers only one can win, whatever happened to the lock. Every
//! document ends with a `write` of its own, which tells after a lost answer whose it is, and makes
//! sure that no two contents, and so no two ETags, are ever alike. It is put there and taken away in
//! the text, so that what is read is what stands there, to the line.
//!
//! There is no `.previous.json` here: it would cost a second write with every save, and the two
//! could not be written as one. The bucket's versioning keeps all former documents instead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::clock::Clock;
use super::lease::{HeldLease, Locks};
use super::objects::{self, End, Expect, Object, ObjectError, Objects, TRIES};
use super::{FORMAT, Holder, Lock, State, StateError, Store, format};
use crate::resource::BoxFuture;

/// How often somebody else may come first before a fence is given up.
const ROUNDS: u32 = 10;
/// What stands around the last field, which no two documents have alike.
const STAMP: &str = ",\n  \"write\": \"";
const END: &str = "\"\n}\n";
/// The field of a document that only keeps the place of a state.
const EMPTY: &str = "empty";

/// States in a bucket.
pub struct S3Store {
    locks: Locks,
    /// What was read or written last, by stack.
    known: Mutex<HashMap<String, Expect>>,
    /// The leases this process has taken, by stack.
    leases: Mutex<HashMap<String, Weak<HeldLease>>>,
}

impl S3Store {
    /// Keeps states as `objects`.
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        Self::with_clock(objects, Clock::of_the_machine())
    }

    pub(super) fn with_clock(objects: Arc<dyn Objects>, clock: Clock) -> Self {
        Self {
            locks: Locks { objects, clock },
            known: Mutex::default(),
            leases: Mutex::default(),
        }
    }

    fn objects(&self) -> &dyn Objects {
        &*self.locks.objects
    }

    fn known(&self, stack: &str) -> Option<Expect> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(stack).cloned()
    }

    fn know(&self, stack: &str, expect: Expect) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(stack.to_owned(), expect);
    }

    fn lease(&self, stack: &str) -> Option<Arc<HeldLease>> {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.get(stack)?.upgrade()
    }

    async fn read(&self, stack: &str) -> Result<Option<Object>, StateError> {
        let found = objects::get(self.objects(), &key(stack)).await;
        found.map_err(|error| self.failed(stack, "s3:GetObject", error))
    }

    /// The document as a store elsewhere would have it. What it was is written over by the next save,
    /// readable or not.
    async fn document(&self, stack: &str) -> Result<Option<Vec<u8>>, StateError> {
        let Some(object) = self.read(stack).await? else {
            self.know(stack, Expect::Absent);
            return Ok(None);
        };
        self.know(stack, Expect::Is(object.etag));
        Ok(unstamped(object.body))
    }

    async fn load(&self, stack: &str) -> Result<Option<State>, StateError> {
        let document = self.document(stack).await?;
        let read = |document: Vec<u8>| State::read(&document, stack, &self.place(stack));
        document.map(read).transpose()
    }

    async fn save(&self, state: &State) -> Result<(), StateError> {
        let stack = &state.stack;
        let document = state.to_document().map_err(|error| StateError::Access {
            place: self.place(stack),
            reason: error.to_string(),
        })?;
        let expect = self.known(stack).unwrap_or(Expect::Absent);
        let body = stamped(document);
        let end = objects::put(self.objects(), &key(stack), &body, &expect, TRIES).await;
        match end.map_err(|error| self.failed(stack, "s3:PutObject", error))? {
            End::Done(etag) => {
                self.know(stack, Expect::Is(etag));
                if let Some(lease) = self.lease(stack) {
                    lease.forget(false);
                }
                Ok(())
            }
            End::Changed(_) => Err(self.why_changed(stack).await),
        }
    }

    async fn remove(&self, stack: &str) -> Result<(), StateError> {
        let expect = match self.known(stack) {
            Some(expect) => expect,
            None => match self.read(stack).await? {
                Some(object) => Expect::Is(object.etag),
                None => Expect::Absent,
            },
        };
        if let Expect::Is(etag) = expect {
            let end = objects::delete(self.objects(), &key(stack), &etag, TRIES).await;
            match end.map_err(|error| self.failed(stack, "s3:DeleteObject", error))? {
                End::Done(_) => {}
                End::Changed(_) => return Err(self.why_changed(stack).await),
            }
        }
        self.know(stack, Expect::Absent);
        if let Some(lease) = self.lease(stack) {
            lease.forget(true);
        }
        Ok(())
    }

    /// Why the state is not as it was when it was read.
    async fn why_changed(&self, stack: &str) -> StateError {
        let lost = match self.lease(stack) {
            Some(lease) => lease.confirm().await,
            None => None,
        };
        lost.unwrap_or_else(|| StateError::Changed {
            place: self.place(stack),
        })
    }

    async fn lock(&self, stack: &str, purpose: &str) -> Result<Lock, StateError> {
        let (lease, unfenced) = self.locks.take(stack, purpose).await?;
        {
            let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
            leases.insert(stack.to_owned(), Arc::downgrade(&lease));
        }
        let lock = Lock::from(Arc::clone(&lease));
        if unfenced {
            if let Err(error) = self.fence(stack).await {
                // The next holder fences; that it has to stands in the lock.
                let _ends_by_itself = lock.release().await;
                return Err(error);
            }
            lease.is_fenced();
        }
        Ok(lock)
    }

    /// Moves the state's ETag, so that whoever knows only the old one can write no more. Where there
    /// is no state, a document that says so takes its place.
    async fn fence(&self, stack: &str) -> Result<(), StateError> {
        for _ in 0..ROUNDS {
            let found = self.read(stack).await?;
            let (expect, body) = match found {
                Some(object) => (Expect::Is(object.etag), restamped(object.body)),
                None => {
                    let document = json!({ "format": FORMAT, "stack": stack, EMPTY: true });
                    let text = format!("{document:#}\n");
                    (Expect::Absent, stamped(text.into_bytes()))
                }
            };
            let end = objects::put(self.objects(), &key(stack), &body, &expect, TRIES).await;
            match end.map_err(|error| self.failed(stack, "s3:PutObject", error))? {
                End::Done(etag) => {
                    self.know(stack, Expect::Is(etag));
                    return Ok(());
                }
                End::Changed(_) => {}
            }
        }
        Err(StateError::Changed {
            place: self.place(stack),
        })
    }

    async fn unlock(&self, stack: &str) -> Result<Option<Holder>, StateError> {
        let holder = self.locks.clear(stack).await?;
        if holder.is_some() {
            self.fence(stack).await?;
        }
        Ok(holder)
    }

    async fn stacks(&self) -> Result<Vec<String>, StateError> {
        let keys = self.objects().list().await;
        let keys = keys.map_err(|error| StateError::Remote {
            place: self.objects().place(""),
            error: error.into_error("s3:ListObjectsV2"),
        })?;
        let mut reads = JoinSet::new();
        for name in keys.iter().filter_map(|key| key.strip_suffix(".json")) {
            let (objects, name) = (Arc::clone(&self.locks.objects), name.to_owned());
            reads.spawn(async move {
                let found = objects::get(&*objects, &key(&name)).await;
                (name, found)
            });
        }
        let mut names = Vec::new();
        while let Some(read) = reads.join_next().await {
            let Ok((name, found)) = read else { continue };
            let is_a_stack = match found {
                Ok(found) => found
                    .and_then(|object| unstamped(object.body))
                    .is_some_and(|document| format::is_of_a_stack(&name, &document)),
                // Whoever loads it is told why it cannot be read; the others are not lost for it.
                Err(_) => true,
            };
            if is_a_stack {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn failed(&self, stack: &str, operation: &str, error: ObjectError) -> StateError {
        StateError::Remote {
            place: self.place(stack),
            error: error.into_error(operation),
        }
    }
}

fn key(stack: &str) -> String {
    format!("{stack}.json")
}

/// The document with a stamp of its own; one that ends like no object of JSON gets none.
fn stamped(mut document: Vec<u8>) -> Vec<u8> {
    let end = document.trim_ascii_end().len();
    if let Some(fields) = document[..end].strip_suffix(b"}") {
        let fields = fields.trim_ascii_end().len();
        document.truncate(fields);
        document.extend(format!("{STAMP}{}{END}", uuid::Uuid::new_v4()).bytes());
    }
    document
}

/// The document without its stamp.
fn plain(mut document: Vec<u8>) -> Vec<u8> {
    const UUID: usize = 36;
    let fields = document.len().checked_sub(STAMP.len() + UUID + END.len());
    let stamp = fields.map(|fields| &document[fields..]);
    if let Some(fields) = fields
        && stamp.is_some_and(|it| it.starts_with(STAMP.as_bytes()) && it.ends_with(END.as_bytes()))
    {
        document.truncate(fields);
        document.extend(b"\n}\n");
    }
    document
}

/// The same document under another ETag.
fn restamped(document: Vec<u8>) -> Vec<u8> {
    let before = document.clone();
    let mut after = stamped(plain(document));
    if after == before {
        // A damaged one stays as it is for whoever mends it, but for white space.
        after.push(b'\n');
    }
    after
}

/// The document as another store would have it; none in one that only keeps the place of a state.
fn unstamped(body: Vec<u8>) -> Option<Vec<u8>> {
    let keeps_a_place = |document: Value| document[EMPTY] == true;
    match serde_json::from_slice::<Value>(&body).is_ok_and(keeps_a_place) {
        true => None,
        false => Some(plain(body)),
    }
}

impl Store for S3Store {
    fn load<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<Option<State>, StateError>> {
        Box::pin(self.load(stack))
    }

    fn document<'a>(
        &'a self,
        stack: &'a str,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StateError>> {
        Box::pin(self.document(stack))
    }

    fn save<'a>(&'a self, state: &'a State) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(self.save(state))
    }

    fn remove<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(self.remove(stack))
    }

    fn lock<'a>(
        &'a self,
        stack: &'a str,
        purpose: &'a str,
    ) -> BoxFuture<'a, Result<Lock, StateError>> {
        Box::pin(self.lock(stack, purpose))
    }

    fn holder<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<Option<Holder>, StateError>> {
        Box::pin(self.locks.holder(stack))
    }

    fn unlock<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<Option<Holder>, StateError>> {
        Box::pin(self.unlock(stack))
    }

    fn stacks(&self) -> BoxFuture<'_, Result<Vec<String>, StateError>> {
        Box::pin(self.stacks())
    }

    fn place(&self, stack: &str) -> String {
        self.objects().place(&key(stack))
    }
}
