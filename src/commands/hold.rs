//! A command's hold on its stack: takes the lock, waits for it as long as `--lock-timeout` says,
//! listens to what may stop the command, and gives the lock back however it ends.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::session::Local;
use super::{CommandError, interrupt};
use crate::cli::Globals;
use crate::engine::{Report, Stop, settle, until_taken};
use crate::state::{Journal, Lease, Lock, RunEnd, RunOutcome, State, StateError, Store};
use crate::ui::Printer;

/// How often somebody who waits looks whether the lock is free; grows from the first to the second.
const LOOKS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// The lock of a stack, held by a command.
pub(super) struct Hold {
    lock: Lock,
    lease: Lease,
    stop: Stop,
    command: &'static str,
    printer: Printer,
}

impl Hold {
    /// Takes the lock, or fails with who holds it.
    pub(super) async fn take(
        local: &Local,
        command: &'static str,
        globals: &Globals,
        printer: &Printer,
    ) -> Result<Self, CommandError> {
        let (store, stack) = (local.store.as_ref(), local.suffix.as_str());
        let (lock, signals) = take_lock(store, stack, command, globals, printer).await?;
        let lease = lock.lease();
        let (stopper, stop) = Stop::pair();
        let (watched, to_printer) = (lease.clone(), printer.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = signals.stopped() => {}
                lost = watched.lost() => {
                    to_printer.warn(format!("{lost}; stopping: calls in flight are finished, no other is sent"));
                }
            }
            stopper.stop();
        });
        Ok(Self {
            lock,
            lease,
            stop,
            command,
            printer: printer.clone(),
        })
    }

    /// Says that from here on the command changes things, and gives what stops it: a signal, or the
    /// loss of the lease.
    pub(super) fn changing(&self) -> Stop {
        interrupt::changing();
        self.stop.clone()
    }

    /// What stops the command, also when the lock is given back.
    pub(super) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The journal of a run that changes things under this hold.
    pub(super) fn journal(&self, store: &Arc<dyn Store>, state: State) -> Arc<Journal> {
        let journal = Journal::new(Arc::clone(store), state);
        Arc::new(journal.under(self.lease.clone()).of_run(self.command))
    }

    /// Writes a state with one save, as all that a run of this command had to do. The document before it
    /// then stays beside it.
    pub(super) async fn write_at_once(
        &self,
        store: &Arc<dyn Store>,
        state: State,
    ) -> Result<(), StateError> {
        let end = |state: &mut State| {
            if let Some(run) = &mut state.last_run {
                let (at, outcome) = (Timestamp::now(), RunOutcome::Done);
                run.ended = Some(RunEnd { at, outcome });
            }
        };
        self.journal(store, state).write(end).await
    }

    /// Does what can be broken off at any moment, because it changes nothing.
    pub(super) async fn unless_stopped<T, E: Into<CommandError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CommandError> {
        tokio::select! {
            biased;
            () = self.stop.stopped() => Err(self.why_stopped()),
            ended = work => ended.map_err(Into::into),
        }
    }

    /// Sends a call that changes something, again while AWS throttles it.
    pub(super) async fn until_taken<T>(
        &self,
        call: impl AsyncFn() -> crate::resource::Result<T>,
    ) -> Result<T, CommandError> {
        match until_taken(&self.stop, call).await {
            Ok(answer) => Ok(answer?),
            Err(_stopped) => Err(self.why_stopped()),
        }
    }

    fn why_stopped(&self) -> CommandError {
        match self.lease.is_lost() {
            Some(lost) => lost.into(),
            None => CommandError::interrupted(),
        }
    }

    /// Takes back that the run was stopped as asked, if it was the loss of the lease that did it.
    pub(super) fn correct(&self, report: &mut Report) {
        report.stopped &= self.lease.is_lost().is_none();
    }

    /// Gives the lock back. A run that ended because its lease was lost says so, and who has it now.
    pub(super) async fn release<T>(
        self,
        ended: Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let lost = self.lease.is_lost();
        if let Err(error) = self.lock.release().await {
            let printer = &self.printer;
            printer.warn(format!(
                "the lock could not be given back, and ends by itself: {error}"
            ));
        }
        match (ended, lost) {
            (Err(CommandError::Reported(_)), Some(lost)) => Err(lost.into()),
            (ended, _) => ended,
        }
    }
}

/// Takes the lock, and while somebody else holds it tries again for as long as `--lock-timeout`
/// says. From here on the command ends by itself when a signal comes, which stops what this gives.
pub(super) async fn take_lock(
    store: &dyn Store,
    stack: &str,
    purpose: &str,
    globals: &Globals,
    printer: &Printer,
) -> Result<(Lock, Stop), CommandError> {
    let stop = interrupt::holding();
    let patience = globals.lock_timeout;
    let begun = Instant::now();
    let mut pause = LOOKS.0;
    let mut told = None;
    loop {
        let locked = match store.lock(stack, purpose).await {
            Ok(lock) => return Ok((lock, stop)),
            Err(locked @ StateError::Locked { .. }) => locked,
            Err(error) => return Err(error.into()),
        };
        let left = patience.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(locked.into());
        }
        // A holder is told once; that its lease was renewed is no news.
        let holder = store.holder(stack).await.unwrap_or_default();
        let who = holder.map(|holder| (holder.host, holder.pid, holder.since));
        if told.as_ref() != Some(&who) {
            told = Some(who);
            printer.note(format!("{locked}; waiting for it"));
        }
        settle(pause.min(left), &stop).await;
        if stop.is_stopped() {
            return Err(CommandError::interrupted());
        }
        pause = pause.mul_f64(1.6).min(LOOKS.1);
    }
}
