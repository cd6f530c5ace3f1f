//! The lock of a stack in a bucket: an object that says who holds it, and a lease, because nothing
//! there goes with a process that dies. The holder renews it; whoever wants the stack after the
//! lease has ended takes it over.
//!
//! Whether a lease has ended is measured between two times of S3's own clock, the object's
//! `Last-Modified` and the answer's `Date`; the holder measures by its own machine's steady clock,
//! from before the request left. No two clocks are ever compared.
//!
//! Conditional writes alone decide who holds it: every write of the lock object is conditional on
//! the ETag of the one before. A lock that was taken over or taken away is held again only after
//! the state's own ETag was moved (`fence` in `s3.rs`), so that a former holder who wakes up, the
//! zombie, can write no state, and without that announces no call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::clock::{Clock, pause};
use super::lock_object::{Document, Seen, how, is_of, key};
use super::objects::{self, End, Expect, ObjectError, Objects, TRIES};
use super::{Held, Holder, Lease, Lock, StateError};
use crate::resource::BoxFuture;

/// How long a lease lasts from its last renewal.
pub(super) const LASTS: Duration = Duration::from_secs(60);
/// How often it is renewed.
pub(super) const BEAT: Duration = Duration::from_secs(15);
/// How soon a renewal that was not answered is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// How often somebody else may come first before a taker gives up.
const ROUNDS: u32 = 10;

/// The locks of one store.
#[derive(Clone)]
pub(super) struct Locks {
    pub(super) objects: Arc<dyn Objects>,
    pub(super) clock: Clock,
}

impl Locks {
    /// Takes the lock. Says whether the state has to be fenced before anything is done under it.
    pub(super) async fn take(
        &self,
        stack: &str,
        purpose: &str,
    ) -> Result<(Arc<HeldLease>, bool), StateError> {
        let key = key(stack);
        for _ in 0..ROUNDS {
            let seen = self.read(stack).await?;
            let (expect, generation, unfenced) = match &seen {
                None => (Expect::Absent, 0, false),
                Some(seen) => match &seen.document {
                    Some(document) if document.holder.is_none() || seen.has_ended() => (
                        Expect::Is(seen.etag.clone()),
                        document.generation,
                        document.unfenced || document.holder.is_some(),
                    ),
                    _ => return Err(locked(stack, seen.holder())),
                },
            };
            let document = Document {
                generation: generation + 1,
                lease: uuid::Uuid::new_v4().to_string(),
                beat: 0,
                lasts_seconds: LASTS.as_secs(),
                holder: Some(Holder::this_process(purpose)),
                former: None,
                unfenced,
            };
            let body = document.to_bytes()?;
            let asked = self.clock.now();
            let end = objects::put(&*self.objects, &key, &body, &expect, TRIES).await;
            let etag = match end.map_err(|error| self.failed(stack, error))? {
                End::Done(etag) => etag,
                End::Changed(_) => continue,
            };
            tracing::info!(
                stack,
                generation = document.generation,
                unfenced,
                "lease taken"
            );
            let lease = HeldLease::keep(self.clone(), stack, document, etag, asked);
            return Ok((lease, unfenced));
        }
        Err(locked(stack, None))
    }

    /// Says who holds the lock. A lease that has ended is nobody's.
    pub(super) async fn holder(&self, stack: &str) -> Result<Option<Holder>, StateError> {
        let seen = self.read(stack).await?.filter(|seen| !seen.has_ended());
        match seen {
            Some(seen) if seen.document.is_none() => Err(locked(stack, None)),
            seen => Ok(seen.and_then(|seen| seen.holder())),
        }
    }

    /// Takes the lock away from whoever holds it, and says who that was. The next holder fences.
    pub(super) async fn clear(&self, stack: &str) -> Result<Option<Holder>, StateError> {
        let mut robbed: Option<Document> = None;
        for _ in 0..ROUNDS {
            let Some(seen) = self.read(stack).await? else {
                return Ok(None);
            };
            let document = seen.document.clone();
            // What was read is what is taken away: not from somebody who came meanwhile.
            let is_same = |before: &Document| {
                document.as_ref().map(|document| &document.lease) == Some(&before.lease)
            };
            if robbed.as_ref().is_some_and(|before| !is_same(before)) {
                return Err(locked(stack, seen.holder()));
            }
            if document
                .as_ref()
                .is_some_and(|document| document.holder.is_none())
            {
                return Ok(None);
            }
            let holder = seen.holder();
            let free = Document {
                generation: document.as_ref().map_or(0, |document| document.generation),
                lease: uuid::Uuid::new_v4().to_string(),
                beat: 0,
                lasts_seconds: 0,
                holder: None,
                former: Some(Holder::this_process("state unlock")),
                unfenced: true,
            };
            let (key, body) = (key(stack), free.to_bytes()?);
            let expect = Expect::Is(seen.etag);
            let end = objects::put(&*self.objects, &key, &body, &expect, TRIES).await;
            match end.map_err(|error| self.failed(stack, error))? {
                End::Done(_) => return Ok(holder),
                End::Changed(_) => robbed = document,
            }
        }
        Err(locked(stack, None))
    }

    async fn read(&self, stack: &str) -> Result<Option<Seen>, StateError> {
        let found = objects::get(&*self.objects, &key(stack)).await;
        let found = found.map_err(|error| self.failed(stack, error))?;
        Ok(found.as_ref().map(Seen::of))
    }

    fn failed(&self, stack: &str, error: ObjectError) -> StateError {
        StateError::Remote {
            place: self.objects.place(&key(stack)),
            error: error.into_error("s3:PutObject"),
        }
    }
}

fn locked(stack: &str, holder: Option<Holder>) -> StateError {
    StateError::Locked {
        stack: stack.to_owned(),
        owner: holder.map_or_else(
            || "others, who have not said who they are".to_owned(),
            |holder| holder.to_string(),
        ),
    }
}

/// A lease this process holds, or held.
pub(super) struct HeldLease {
    locks: Locks,
    stack: String,
    /// The object as it was written last.
    written: tokio::sync::Mutex<(Document, String)>,
    status: watch::Sender<Status>,
    /// Asks for a renewal at once.
    hurry: Notify,
    /// See [`Document::unfenced`].
    unfenced: AtomicBool,
    /// The stack is no more, so its lock need not stay.
    forget: AtomicBool,
    heartbeat: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone, Debug)]
struct Status {
    /// The end of the lease if it is not renewed, by the machine's clock.
    ends: Duration,
    lost: Option<StateError>,
}

/// Why a renewal did not work.
enum Missed {
    /// Somebody else has the lock, or nobody.
    Lost(String),
    /// No answer, or not now.
    Unanswered(String),
    /// An earlier renewal had worked after all; this one has to be sent after that.
    Behind,
}

impl HeldLease {
    /// Begins to renew a lease that was asked for at this time.
    fn keep(
        locks: Locks,
        stack: &str,
        document: Document,
        etag: String,
        asked: Duration,
    ) -> Arc<Self> {
        let lease = Arc::new(Self {
            locks,
            stack: stack.to_owned(),
            unfenced: AtomicBool::new(document.unfenced),
            written: tokio::sync::Mutex::new((document, etag)),
            status: watch::Sender::new(Status {
                ends: asked + LASTS,
                lost: None,
            }),
            hurry: Notify::new(),
            forget: AtomicBool::new(false),
            heartbeat: Mutex::new(None),
        });
        let task = tokio::spawn(Arc::clone(&lease).renew());
        *lease
            .heartbeat
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(task);
        lease
    }

    /// Says whether something may be changed under this lease now. One that has run out (the
    /// process or the machine slept) is renewed first, if nobody has taken it meanwhile.
    pub(super) async fn check(&self) -> Result<(), StateError> {
        let mut status = self.status.subscribe();
        loop {
            {
                let status = status.borrow_and_update();
                if let Some(lost) = &status.lost {
                    return Err(lost.clone());
                }
                if self.locks.clock.now() < status.ends {
                    return Ok(());
                }
            }
            self.hurry.notify_one();
            if status.changed().await.is_err() {
                return Err(self.lost("its heartbeat has ended"));
            }
        }
    }

    /// Returns when the lease is lost, and says how.
    pub(super) async fn until_lost(&self) -> StateError {
        let mut status = self.status.subscribe();
        let lost = status.wait_for(|status| status.lost.is_some()).await;
        let lost = lost.ok().and_then(|status| status.lost.clone());
        lost.unwrap_or_else(|| self.lost("its heartbeat has ended"))
    }

    /// Says how the lease was lost, if it was.
    pub(super) fn is_lost(&self) -> Option<StateError> {
        self.status.borrow().lost.clone()
    }

    /// Looks at once whether the lease is still ours, and says how it was lost if it is not.
    pub(super) async fn confirm(&self) -> Option<StateError> {
        match self.beat().await {
            Err(Missed::Lost(how)) => Some(self.lose(&how)),
            _ => self.is_lost(),
        }
    }

    /// Tells that no former holder can write the state any more.
    pub(super) fn is_fenced(&self) {
        self.unfenced.store(false, Ordering::SeqCst);
    }

    /// Says whether the lock object goes too when the lock is given back.
    pub(super) fn forget(&self, forget: bool) {
        self.forget.store(forget, Ordering::SeqCst);
    }

    fn lost(&self, how: &str) -> StateError {
        StateError::Lost {
            stack: self.stack.clone(),
            how: how.to_owned(),
        }
    }

    fn lose(&self, how: &str) -> StateError {
        let lost = self.lost(how);
        self.status
            .send_modify(|status| status.lost = Some(lost.clone()));
        lost
    }

    #[cfg(test)]
    pub(super) fn lose_for_a_test(&self) {
        self.lose("a test took it away");
    }

    async fn renew(self: Arc<Self>) {
        let mut wait = BEAT;
        loop {
            tokio::select! {
                () = pause(wait) => {}
                () = self.hurry.notified() => {}
            }
            // One that begins after the end is the last: a machine that slept may try once.
            let is_last = self.locks.clock.now() >= self.status.borrow().ends;
            wait = match self.beat().await {
                Ok(()) => BEAT,
                Err(Missed::Behind) => Duration::ZERO,
                Err(Missed::Unanswered(why)) if is_last => {
                    self.lose(&format!("it could not be renewed before it ended: {why}"));
                    return;
                }
                Err(Missed::Unanswered(why)) => {
                    tracing::info!(why, "a heartbeat was not answered");
                    AGAIN
                }
                Err(Missed::Lost(how)) => {
                    self.lose(&how);
                    return;
                }
            };
        }
    }

    async fn beat(&self) -> Result<(), Missed> {
        let mut written = self.written.lock().await;
        let (document, etag) = &mut *written;
        document.beat += 1;
        document.unfenced = self.unfenced.load(Ordering::SeqCst);
        let unanswered = |error: StateError| Missed::Unanswered(error.to_string());
        let body = document.to_bytes().map_err(unanswered)?;
        let asked = self.locks.clock.now();
        let expect = Expect::Is(etag.clone());
        let key = key(&self.stack);
        match objects::put(&*self.locks.objects, &key, &body, &expect, 1).await {
            Ok(End::Done(renewed)) => {
                *etag = renewed;
                self.status
                    .send_modify(|status| status.ends = asked + LASTS);
                Ok(())
            }
            Ok(End::Changed(found)) => match found.as_ref().map(Seen::of) {
                Some(seen) if is_of(&seen, document) => {
                    *etag = seen.etag;
                    Err(Missed::Behind)
                }
                other => Err(Missed::Lost(how(other.as_ref()))),
            },
            Err(error) => Err(Missed::Unanswered(
                error.into_error("s3:PutObject").to_string(),
            )),
        }
    }

    /// Stops the heartbeat and gives the lock back.
    async fn give_back(&self) -> Result<(), StateError> {
        let heartbeat = {
            let mut heartbeat = self
                .heartbeat
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            heartbeat.take()
        };
        if let Some(heartbeat) = heartbeat {
            heartbeat.abort();
            let _cancelled = heartbeat.await;
        }
        if self.is_lost().is_some() {
            return Ok(());
        }
        self.lose("it was given back");
        let mut written = self.written.lock().await;
        let (document, etag) = &mut *written;
        document.beat += 1;
        document.former = document.holder.take();
        document.unfenced = self.unfenced.load(Ordering::SeqCst);
        let objects = &*self.locks.objects;
        let key = key(&self.stack);
        let forget = self.forget.load(Ordering::SeqCst) && !document.unfenced;
        let body = document.to_bytes()?;
        for _ in 0..ROUNDS {
            let end = if forget {
                objects::delete(objects, &key, etag, TRIES).await
            } else {
                let expect = Expect::Is(etag.clone());
                objects::put(objects, &key, &body, &expect, TRIES).await
            };
            match end.map_err(|error| self.locks.failed(&self.stack, error))? {
                // A heartbeat that was under way had still worked.
                End::Changed(Some(found)) if is_of(&Seen::of(&found), document) => {
                    *etag = found.etag;
                }
                End::Done(_) | End::Changed(_) => return Ok(()),
            }
        }
        Err(locked(&self.stack, None))
    }
}

/// What a command holds of a lease.
pub(super) struct LeaseLock(pub(super) Arc<HeldLease>);

impl Held for LeaseLock {
    fn release(self: Box<Self>) -> BoxFuture<'static, Result<(), StateError>> {
        Box::pin(async move { self.0.give_back().await })
    }

    fn lease(&self) -> Lease {
        Lease(Some(Arc::clone(&self.0)))
    }
}

impl Drop for LeaseLock {
    fn drop(&mut self) {
        // Without heartbeats the lease ends by itself.
        if self.0.is_lost().is_none() {
            self.0.lose("it was given up");
        }
        let mut heartbeat = self
            .0
            .heartbeat
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(heartbeat) = heartbeat.take() {
            heartbeat.abort();
        }
    }
}

impl From<Arc<HeldLease>> for Lock {
    fn from(lease: Arc<HeldLease>) -> Self {
        Self::new(LeaseLock(lease))
    }
}
