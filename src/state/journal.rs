//! The one writer of a stack's state. A change returns when it is durable; changes made while a
//! save runs are written together by the next one.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::Value;

use super::{LastRun, Lease, Record, RunEnd, RunOutcome, State, StateError, Store, operator};
use crate::resource::Address;

/// The state of the stack that is being worked on.
pub struct Journal {
    store: Arc<dyn Store>,
    current: Mutex<Versioned>,
    saved: tokio::sync::Mutex<u64>,
    /// What is in the store.
    durable: Mutex<State>,
    lease: Lease,
    command: Option<&'static str>,
}

/// Something that exists and of which the store does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecorded {
    /// The node.
    pub address: Address,
    /// Its kind.
    pub kind: String,
    /// What AWS gave it.
    pub outputs: Value,
}

struct Versioned {
    state: State,
    version: u64,
}

impl Journal {
    /// Starts with `state`, which is written by the first change.
    pub fn new(store: Arc<dyn Store>, state: State) -> Self {
        Self {
            store,
            durable: Mutex::new(state.clone()),
            current: Mutex::new(Versioned { state, version: 0 }),
            saved: tokio::sync::Mutex::new(0),
            lease: Lease::default(),
            command: None,
        }
    }

    /// The same, for a command that holds this lease.
    #[must_use]
    pub fn under(self, lease: Lease) -> Self {
        Self { lease, ..self }
    }

    /// The same, for a run of this command: the first change records that it began, and
    /// [`Journal::end`] how it ended.
    #[must_use]
    pub fn of_run(self, command: &'static str) -> Self {
        Self {
            command: Some(command),
            ..self
        }
    }

    /// Says whether something may be changed in the cloud now; asked before every call that does.
    pub async fn may_change(&self) -> Result<(), StateError> {
        self.lease.check().await
    }

    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(
            &self
                .current
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .state,
        )
    }

    /// Changes the state and returns when the change is durable.
    pub async fn write(&self, change: impl FnOnce(&mut State)) -> Result<(), StateError> {
        let mine = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if let (0, Some(command)) = (current.version, self.command) {
                current.state.last_run = Some(LastRun {
                    command: command.to_owned(),
                    by: operator(),
                    began: Timestamp::now(),
                    ended: None,
                });
            }
            change(&mut current.state);
            current.version += 1;
            current.version
        };
        self.save(mine).await
    }

    /// Saves what could not be saved before, if there is anything.
    pub async fn flush(&self) -> Result<(), StateError> {
        let last = self
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .version;
        self.save(last).await
    }

    async fn save(&self, wanted: u64) -> Result<(), StateError> {
        let mut saved = self.saved.lock().await;
        if *saved >= wanted {
            return Ok(());
        }
        let (state, version) = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.state.serial += 1;
            (current.state.clone(), current.version)
        };
        self.store.save(&state).await?;
        *saved = version;
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(())
    }

    /// What AWS has answered since the last save that worked. Its tags or names find it again.
    pub fn unrecorded(&self) -> Vec<Unrecorded> {
        let durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |address: &Address, outputs: &Value| {
            let record: Option<&Record> = durable.records.get(address);
            record.is_some_and(|record| instances(record).any(|known| known == outputs))
        };
        self.read(|state| {
            let all = state.records.iter().flat_map(|(address, record)| {
                instances(record).map(move |outputs| (address, record, outputs))
            });
            all.filter(|(address, _, outputs)| !known(address, outputs))
                .map(|(address, record, outputs)| Unrecorded {
                    address: address.clone(),
                    kind: record.kind.clone(),
                    outputs: outputs.clone(),
                })
                .collect()
        })
    }

    /// Records how the run ended, if it changed anything.
    pub async fn end(&self, outcome: RunOutcome) -> Result<(), StateError> {
        let has_changed = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.version > 0
        };
        if !has_changed || self.command.is_none() {
            return Ok(());
        }
        let at = Timestamp::now();
        self.write(|state| {
            if let Some(run) = &mut state.last_run {
                run.ended = Some(RunEnd { at, outcome });
            }
        })
        .await
    }

    /// Removes the state from its store, for a stack that is no more.
    pub async fn remove(&self) -> Result<(), StateError> {
        let _writing = self.saved.lock().await;
        let stack = self.read(|state| state.stack.clone());
        self.store.remove(&stack).await
    }
}

/// The outputs of everything a record stands for.
fn instances(record: &Record) -> impl Iterator<Item = &Value> {
    let retired = record.retired.iter().map(|old| &old.outputs);
    let known = record.outputs.iter().chain(retired);
    known.filter(|outputs| !outputs.is_null())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;
    use crate::resource::BoxFuture;
    use crate::state::{Holder, Lock};

    struct SlowStore {
        saves: AtomicUsize,
        last: Mutex<Option<State>>,
        gate: Semaphore,
    }

    impl Store for SlowStore {
        fn load<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<State>, StateError>> {
            Box::pin(async { Ok(None) })
        }
        fn save<'a>(&'a self, state: &'a State) -> BoxFuture<'a, Result<(), StateError>> {
            Box::pin(async {
                let _permit = self.gate.acquire().await;
                self.saves.fetch_add(1, Ordering::SeqCst);
                *self.last.lock().unwrap() = Some(state.clone());
                Ok(())
            })
        }
        fn remove<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), StateError>> {
            Box::pin(async { Ok(()) })
        }
        fn lock<'a>(
            &'a self,
            stack: &'a str,
            _: &'a str,
        ) -> BoxFuture<'a, Result<Lock, StateError>> {
            let (stack, owner) = (stack.to_owned(), "nobody".to_owned());
            Box::pin(async { Err(StateError::Locked { stack, owner }) })
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
        fn place(&self, stack: &str) -> String {
            stack.to_owned()
        }
    }

    #[tokio::test]
    async fn changes_that_wait_for_a_save_are_written_together() {
        let store = Arc::new(SlowStore {
            saves: AtomicUsize::new(0),
            last: Mutex::new(None),
            gate: Semaphore::new(0),
        });
        let journal = Arc::new(Journal::new(store.clone(), State::new("dev", "us-east-1")));
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let journal = journal.clone();
                tokio::spawn(async move {
                    journal
                        .write(|state| {
                            state.choices.insert(format!("{n}"), n.into());
                        })
                        .await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        store.gate.add_permits(1);
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(
            store.saves.load(Ordering::SeqCst),
            2,
            "the first alone, the rest together"
        );
        let last = store.last.lock().unwrap().clone().unwrap();
        assert_eq!((last.choices.len(), last.serial), (20, 2));
    }
}
