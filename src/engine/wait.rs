//! All waiting: the pace of polls, trying again after a "not yet", and stopping. The only place
//! that sleeps.
#![allow(clippy::disallowed_methods)]

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::resource::{Class, Error, Profile, Result, Verb};

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
        stop.cut(tokio::time::sleep(pause)).await
    }
}

/// Waits for `during`, for changes in AWS that nothing announces. Ends early when stopped.
pub async fn settle(during: Duration, stop: &Stop) {
    let _stopped = stop.cut(tokio::time::sleep(during)).await;
}

/// How long a call outside the graph is repeated while AWS throttles it; as long as one in it.
const THROTTLED_FOR: Duration = Duration::from_secs(600);

/// Sends a call that stands outside the graph and changes something, and again while AWS throttles it:
/// what was throttled was never applied (field guide, section 11). Any other answer is final.
///
/// # Errors
/// [`Stopped::Idle`] if the run was stopped before the call was taken.
pub async fn until_taken<T>(
    stop: &Stop,
    call: impl AsyncFn() -> Result<T>,
) -> Result<Result<T>, Stopped> {
    let begun = Instant::now();
    let mut pace = Pace::new();
    loop {
        match call().await {
            Err(error) if error.class() == Class::Throttled && begun.elapsed() < THROTTLED_FOR => {
                pace.pause(stop).await?;
            }
            answer => return Ok(answer),
        }
    }
}

/// How long calls in flight may take to answer once the run was asked to stop (law 10). CI systems
/// kill a job 7.5 seconds after they ask it to end; saving and unlocking need the rest.
pub const GRACE: Duration = Duration::from_secs(4);

/// The run was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing was in flight that could have changed something.
    Idle,
    /// A call that changes something had not answered after [`GRACE`], so nobody knows what came
    /// of it. What the state announced is looked for by the next run.
    Unanswered,
}

/// The half of a [`Stop`] that asks.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Instant>>);

impl Stopper {
    /// Asks everything that holds the other half to stop. Asking again changes nothing.
    pub fn stop(&self) {
        self.0.send_if_modified(|since| {
            let is_first = since.is_none();
            since.get_or_insert_with(Instant::now);
            is_first
        });
    }

    /// Takes it back, for the next run of a test.
    #[cfg(test)]
    pub(super) fn go_on(&self) {
        self.0.send_replace(None);
    }
}

/// A request to stop that everything that waits listens to (law 10).
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Option<Instant>>);

impl Stop {
    /// A pair: whoever holds the first half stops everything that holds the other.
    pub fn pair() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(None);
        (Stopper(sender), Self(receiver))
    }

    /// One that never comes: the second signal still ends the process.
    pub fn never() -> Self {
        Self::pair().1
    }

    /// Says whether the run was asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Returns when the run is asked to stop.
    pub async fn stopped(&self) {
        self.since().await;
    }

    /// Waits for what changes nothing, such as reads; leaves it at once when the run is stopped,
    /// and does not begin it in a run that is.
    ///
    /// # Errors
    /// [`Stopped::Idle`].
    pub async fn cut<T>(&self, waiting: impl Future<Output = T>) -> Result<T, Stopped> {
        tokio::select! {
            biased;
            () = self.stopped() => Err(Stopped::Idle),
            ended = waiting => Ok(ended),
        }
    }

    /// Waits for the answer of a call that may change something, and after the request to stop
    /// only for [`GRACE`]. A run that is stopped begins none.
    ///
    /// # Errors
    /// [`Stopped::Idle`] if it was not begun, [`Stopped::Unanswered`] if it was given up.
    pub(super) async fn answer<T>(&self, call: impl Future<Output = T>) -> Result<T, Stopped> {
        if self.is_stopped() {
            return Err(Stopped::Idle);
        }
        tokio::select! {
            biased;
            answer = call => Ok(answer),
            () = self.overdue() => Err(Stopped::Unanswered),
        }
    }

    async fn overdue(&self) {
        let since = self.since().await;
        tokio::time::sleep_until(since + GRACE).await;
    }

    async fn since(&self) -> Instant {
        let mut receiver = self.0.clone();
        let asked = receiver.wait_for(Option::is_some).await.map(|since| *since);
        match asked {
            Ok(Some(since)) => since,
            // The sender is gone: nobody can stop the run any more.
            _ => std::future::pending().await,
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
    /// The run was stopped.
    Stopped(Stopped),
}

/// Repeats `call` while AWS answers "not yet", as long as the kind's profile has patience. An
/// unclear answer is handed back, because repeating it blindly could do it twice.
///
/// `call` is one call as a run makes it: see `Run::call`.
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
            Ok(Ok(value)) => return Outcome::Done(value),
            Ok(Err(error)) => error,
            Err(stopped) => return Outcome::Stopped(stopped),
        };
        match profile.patience(verb, &error) {
            Some(patience) if begun.elapsed() < patience => {
                if error.class() == Class::Unclear {
                    return Outcome::Unclear(error);
                }
                waiting(&error);
                if let Err(stopped) = pace.pause(stop).await {
                    return Outcome::Stopped(stopped);
                }
            }
            _ => return Outcome::Failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn answer(class: Class) -> Error {
        Error::new("ecs:UpdateService", class, "said AWS")
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_throttled_is_sent_until_aws_takes_it() {
        let sent = Cell::new(0);
        let call = async || {
            sent.set(sent.get() + 1);
            match sent.get() {
                1 | 2 => Err(answer(Class::Throttled)),
                nth => Ok(nth),
            }
        };
        let taken = until_taken(&Stop::never(), call).await;
        assert_eq!(taken.unwrap().unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_been_applied_is_not_sent_again() {
        for class in [Class::Unclear, Class::Refused] {
            let sent = Cell::new(0);
            let call = async || {
                sent.set(sent.get() + 1);
                Err::<(), _>(answer(class))
            };
            let taken = until_taken(&Stop::never(), call).await;
            assert_eq!(taken.unwrap().unwrap_err().class(), class);
            assert_eq!(sent.get(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_call_ends_when_the_run_is_stopped_or_patience_does() {
        let throttled = async || Err::<(), _>(answer(Class::Throttled));
        let taken = until_taken(&Stop::never(), throttled).await;
        assert_eq!(taken.unwrap().unwrap_err().class(), Class::Throttled);
        let (stopper, stop) = Stop::pair();
        stopper.stop();
        let taken = until_taken(&stop, throttled).await;
        assert_eq!(taken.unwrap_err(), Stopped::Idle);
    }
}
