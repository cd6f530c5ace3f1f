//! States as objects of a bucket: `<suffix>.json`, and `<suffix>.lock` with the lease.
//!
//! Every write is conditional on the ETag that was read or written before (see `objects.rs` for
//! what S3 promises), so of two writers only one can win, whatever happened to the lock. Every
//! document carries a `write` of its own, which tells after a lost answer whose it is, and makes
//! sure that no two contents, and so no two ETags, are ever alike.
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
use super::{FORMAT, Holder, Lock, State, StateError, Store};
use crate::resource::BoxFuture;

/// How often somebody else may come first before a fence is given up.
const ROUNDS: u32 = 10;
/// The field that no two documents have alike.
const WRITE: &str = "write";
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

    async fn load(&self, stack: &str) -> Result<Option<State>, StateError> {
        let found = self.read(stack).await?;
        let expect = match &found {
            Some(object) => Expect::Is(object.etag.clone()),
            None => Expect::Absent,
        };
        let state = match found {
            Some(object) => parse(object.body, &self.place(stack))?,
            None => None,
        };
        self.know(stack, expect);
        Ok(state)
    }

    async fn save(&self, state: &State) -> Result<(), StateError> {
        let stack = &state.stack;
        let mut document = serde_json::to_value(state).map_err(|error| StateError::Access {
            place: self.place(stack),
            reason: error.to_string(),
        })?;
        stamp(&mut document);
        let expect = self.known(stack).unwrap_or(Expect::Absent);
        let body = bytes(&document);
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
                    let mut document = json!({ "format": FORMAT, "stack": stack, EMPTY: true });
                    stamp(&mut document);
                    (Expect::Absent, bytes(&document))
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
            let found = found.map_err(|error| self.failed(&name, "s3:GetObject", error))?;
            // Other documents are no stack's.
            let state = found.and_then(|object| parse(object.body, &name).ok()?);
            if state.is_some_and(|state| state.stack == name) {
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

fn bytes(document: &Value) -> Vec<u8> {
    let mut text = format!("{document:#}");
    text.push('\n');
    text.into_bytes()
}

fn stamp(document: &mut Value) {
    document[WRITE] = json!(uuid::Uuid::new_v4().to_string());
}

/// The same document with a stamp of its own.
fn restamped(mut body: Vec<u8>) -> Vec<u8> {
    match serde_json::from_slice::<Value>(&body) {
        Ok(mut document) if document.is_object() => {
            stamp(&mut document);
            bytes(&document)
        }
        // A damaged document stays as it is for whoever mends it.
        _ => {
            body.push(b'\n');
            body
        }
    }
}

/// The document as another store would have it; none in one that only keeps the place of a state.
fn unstamped(body: Vec<u8>) -> Option<Vec<u8>> {
    match serde_json::from_slice::<Value>(&body) {
        Ok(document) if document[EMPTY] == true => None,
        Ok(Value::Object(mut document)) => {
            document.shift_remove(WRITE);
            Some(bytes(&Value::Object(document)))
        }
        // Damaged ones are shown as they are.
        _ => Some(body),
    }
}

fn parse(body: Vec<u8>, place: &str) -> Result<Option<State>, StateError> {
    let document = unstamped(body);
    let parse = |document: Vec<u8>| State::parse(&String::from_utf8_lossy(&document), place);
    document.map(parse).transpose()
}

impl Store for S3Store {
    fn load<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<Option<State>, StateError>> {
        Box::pin(self.load(stack))
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
