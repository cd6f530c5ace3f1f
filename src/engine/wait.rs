//! All waiting: the pace of polls, trying again after a "not yet", and stopping. The only place
//! that sleeps.
#![allow(clippy::disallowed_methods)]

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::resource::{Error, Profile, Result, Verb};

/// A pause that grows from a quarter of a second to five seconds, with jitter. Own polling, because
/// the SDK's waiters pause for up to half an hour (field guide, section 1, rule 7).
pub(super) struct Pace {
    next: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Pace {
    pub(super) fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    /// Pauses, or returns `Stopped` at once when the run is stopped.
    pub(super) async fn pause(&mut self, stop: &Stop) -> Result<(), Stopped> {
        let jitter = 0.75 + fastrand::f64() / 2.0;
        let pause = self.next.mul_f64(jitter);
        self.next = self.next.mul_f64(1.6).min(LONGEST_PAUSE);
        tokio::select! {
            () = stop.stopped() => Err(Stopped),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }
}

/// Waits for `during`, for changes in AWS that nothing announces. Ends early when stopped.
pub async fn settle(during: Duration, stop: &Stop) {
    tokio::select! {
        () = stop.stopped() => {}
        () = tokio::time::sleep(during) => {}
    }
}

/// The run was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped;

/// A request to stop that everything that waits listens to (law 10).
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A pair: setting the sender to true stops everything that holds the other half.
    pub fn pair() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Says whether the run was asked to stop.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the run is asked to stop.
    pub async fn stopped(&self) {
        let mut receiver = self.0.clone();
        // If the sender is gone, nobody can stop the run any more.
        if receiver.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How an effort with repetitions ended.
pub(super) enum Outcome<T> {
    /// It worked.
    Done(T),
    /// It failed for good.
    Failed(Error),
    /// The answer was lost; the caller looks before it repeats.
    Unclear(Error),
    /// The run was stopped while it waited.
    Stopped,
}

/// Repeats `call` while AWS answers "not yet", as long as the kind's profile has patience. An
/// unclear answer is handed back, because repeating it blindly could do it twice.
pub(super) async fn persist<T, F>(
    profile: &Profile,
    verb: Verb,
    stop: &Stop,
    mut call: impl FnMut() -> F,
    mut waiting: impl FnMut(&Error),
) -> Outcome<T>
where
    F: Future<Output = Result<Result<T>, Stopped>>,
{
    let begun = Instant::now();
    let mut pace = Pace::new();
    loop {
        let error = match call().await {
            Err(Stopped) => return Outcome::Stopped,
            Ok(Ok(value)) => return Outcome::Done(value),
            Ok(Err(error)) => error,
        };
        match profile.patience(verb, &error) {
            Some(patience) if begun.elapsed() < patience => {
                if error.class() == crate::resource::Class::Unclear {
                    return Outcome::Unclear(error);
                }
                waiting(&error);
                if pace.pause(stop).await.is_err() {
                    return Outcome::Stopped;
                }
            }
            _ => return Outcome::Failed(error),
        }
    }
}
