//! Whether the tasks of a new version will ever be healthy. ECS itself would try for 24 hours
//! (field guide, section 4, "No circuit breaker to count on").

use std::time::Duration;

/// What is known of the new version's tasks while they come up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// For how long they are being started.
    pub since: Duration,
    /// How many are wanted.
    pub wanted: usize,
    /// How many the load balancer finds healthy.
    pub healthy: usize,
    /// How many have failed: did not start, ended by themselves, or were stopped for bad health.
    pub failed: usize,
}

/// Why a release is turned back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hopeless {
    /// Its time is over.
    TooSlow {
        /// How long it had.
        within: Duration,
    },
    /// Its tasks fail one after the other.
    KeepsFailing {
        /// How many have.
        failed: usize,
    },
}

/// The fewest failures that mean something, as in ECS's own circuit breaker.
const FEWEST_FAILURES: usize = 3;

/// Judges tasks that come up. As many failures as tasks are wanted, and at least three, while none is
/// healthy, are enough to see that it is the version that fails.
pub fn judge(progress: Progress, within: Duration) -> Option<Hopeless> {
    let Progress {
        since,
        wanted,
        healthy,
        failed,
    } = progress;
    if healthy >= wanted {
        return None;
    }
    if healthy == 0 && failed >= wanted.max(FEWEST_FAILURES) {
        return Some(Hopeless::KeepsFailing { failed });
    }
    (since >= within).then_some(Hopeless::TooSlow { within })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(600);

    fn of(since: u64, healthy: usize, failed: usize) -> Option<Hopeless> {
        let progress = Progress {
            since: Duration::from_secs(since),
            wanted: 3,
            healthy,
            failed,
        };
        judge(progress, WITHIN)
    }

    #[test]
    fn healthy_tasks_are_fine_however_long_they_took_and_whatever_failed_before() {
        assert_eq!(of(6000, 3, 9), None);
    }

    #[test]
    fn one_flaky_start_is_no_verdict_and_a_row_of_them_is() {
        assert_eq!(of(10, 0, 2), None);
        assert_eq!(of(10, 0, 3), Some(Hopeless::KeepsFailing { failed: 3 }));
        assert_eq!(of(10, 1, 5), None, "some do come up");
    }

    #[test]
    fn time_runs_out() {
        assert_eq!(of(599, 2, 0), None);
        assert_eq!(of(600, 2, 0), Some(Hopeless::TooSlow { within: WITHIN }));
    }
}
