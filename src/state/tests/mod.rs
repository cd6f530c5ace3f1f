//! The documents, and the store in a bucket under virtual time: races, lost answers, zombies.

mod bucket;
mod documents;
mod leases;
mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use memory::Memory;

use super::clock::Clock;
use super::{Lease, S3Store, State, Store};

/// One machine with a store over a bucket that others use too.
struct Machine {
    store: S3Store,
    network: Memory,
    /// How long the machine was suspended, in seconds; its timers did not see that time.
    suspended: Arc<AtomicU64>,
}

impl Machine {
    fn on(bucket: &Memory) -> Self {
        let network = bucket.elsewhere();
        let suspended = Arc::new(AtomicU64::new(0));
        let (origin, slept) = (Instant::now(), Arc::clone(&suspended));
        let clock = Clock::of_a_test(move || {
            origin.elapsed() + Duration::from_secs(slept.load(Ordering::SeqCst))
        });
        Self {
            store: S3Store::with_clock(Arc::new(network.clone()), clock),
            network,
            suspended,
        }
    }

    /// Lets time pass that the machine's timers do not see.
    fn was_suspended(&self, during: Duration) {
        self.suspended.fetch_add(during.as_secs(), Ordering::SeqCst);
    }
}

/// A lease that is renewed for as long as the test lasts.
pub(super) async fn lease() -> Lease {
    let lock = Machine::on(&Memory::new()).store.lock("dev", "up").await;
    let lock = lock.unwrap();
    let lease = lock.lease();
    // Dropping it would give the lease up.
    std::mem::forget(lock);
    lease
}

async fn wait(during: Duration) {
    sleep_until(Instant::now() + during).await;
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn state(serial: u64) -> State {
    State {
        serial,
        ..State::new("dev", "us-east-1")
    }
}

fn object(bucket: &Memory, key: &str) -> Value {
    serde_json::from_str(&bucket.text(key).unwrap()).unwrap()
}
