//! Where states are kept: in memory, with everything that can go wrong with a save.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::cloud::Cloud;
use super::trace;
use crate::resource::BoxFuture;
use crate::state::{Holder, Lock, State, StateError, Store};

/// What goes wrong with one save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SaveFault {
    /// The disk refuses.
    Fail,
    /// The state is written, and the answer is an error all the same.
    FailAfter,
    /// The power fails before the state is written.
    CrashBefore,
    /// The power fails after it.
    CrashAfter,
}

/// What is written down, and what was before.
#[derive(Default)]
pub(super) struct Books {
    pub(super) state: Option<State>,
    previous: Option<State>,
}

/// A store in memory.
pub(super) struct Disk {
    cloud: Arc<Cloud>,
    books: Arc<Mutex<Books>>,
    pub(super) saves: AtomicUsize,
    /// By the number of the save.
    pub(super) faults: Mutex<BTreeMap<usize, SaveFault>>,
    pub(super) faults_met: AtomicUsize,
}

impl Disk {
    pub(super) fn new(cloud: &Arc<Cloud>) -> Self {
        Self {
            cloud: Arc::clone(cloud),
            books: Arc::clone(&cloud.books),
            saves: AtomicUsize::new(0),
            faults: Mutex::default(),
            faults_met: AtomicUsize::new(0),
        }
    }

    pub(super) fn state(&self) -> Option<State> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.state.clone()
    }

    pub(super) fn set(&self, state: Option<State>) {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.state = state;
    }

    /// Puts the document before the last save back, as a user does whose file is damaged.
    pub(super) fn restore_previous(&self) {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.state = books.previous.take();
    }

    fn write(&self, state: &State) {
        // What is written is read again by another process.
        let text = serde_json::to_string(state).unwrap();
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.previous = books.state.take();
        books.state = Some(State::parse(&text, "memory").unwrap());
    }
}

impl Store for Disk {
    fn load<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<State>, StateError>> {
        Box::pin(async { Ok(self.state()) })
    }

    fn save<'a>(&'a self, state: &'a State) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(async {
            let power = &self.cloud.power;
            power.needed().await;
            let number = self.saves.fetch_add(1, Ordering::SeqCst);
            let fault = self
                .faults
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&number);
            if fault.is_some() {
                self.faults_met.fetch_add(1, Ordering::SeqCst);
            }
            sleep_until(Instant::now() + Duration::from_millis(2)).await;
            power.needed().await;
            if let Some(fault) = fault {
                trace::note(|| format!("{} save {number}: {fault:?}", self.cloud.time()));
            }
            let full = StateError::Access {
                place: "memory".to_owned(),
                reason: "the disk is full".to_owned(),
            };
            match fault {
                Some(SaveFault::CrashBefore) => power.cut().await,
                Some(SaveFault::Fail) => return Err(full),
                _ => {}
            }
            self.write(state);
            match fault {
                Some(SaveFault::CrashAfter) => power.cut().await,
                Some(SaveFault::FailAfter) => return Err(full),
                _ => {}
            }
            Ok(())
        })
    }

    fn remove<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(async {
            self.set(None);
            Ok(())
        })
    }

    fn lock<'a>(&'a self, stack: &'a str, _: &'a str) -> BoxFuture<'a, Result<Lock, StateError>> {
        Box::pin(async {
            Err(StateError::Locked {
                stack: stack.into(),
                owner: "nobody".into(),
            })
        })
    }

    fn holder<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Holder>, StateError>> {
        Box::pin(async { Ok(None) })
    }

    fn unlock<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Holder>, StateError>> {
        Box::pin(async { Ok(None) })
    }

    fn stacks(&self) -> BoxFuture<'_, Result<Vec<String>, StateError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn place(&self, _: &str) -> String {
        "memory".to_owned()
    }
}
