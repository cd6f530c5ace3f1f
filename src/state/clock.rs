//! The time of leases. It goes on while the machine sleeps, because the lease's end does too.
//!
//! This is the second place that sleeps, beside `engine/wait.rs`: a heartbeat is no wait of the
//! engine's, and `state` may not name the engine.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::Duration;

/// Time since some moment in the past; never set back, never held up.
#[derive(Clone)]
pub(super) struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// The machine's clock, which counts suspended time too.
    pub(super) fn of_the_machine() -> Self {
        Self(Arc::new(since_boot))
    }

    #[cfg(test)]
    pub(super) fn of_a_test(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> Duration {
        (self.0)()
    }
}

fn since_boot() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    // Elsewhere than on Linux the monotonic clock itself counts suspended time.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = ClockId::CLOCK_BOOTTIME;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = ClockId::CLOCK_MONOTONIC;
    // Without a clock every lease counts as ended, which is the safe side.
    clock_gettime(clock).map_or(Duration::MAX, Duration::from)
}

/// Waits before the next heartbeat, or before a request that S3 could not serve is repeated.
pub(super) async fn pause(during: Duration) {
    tokio::time::sleep(during).await;
}
