//! SIGINT (Ctrl-C), SIGTERM and SIGHUP (law 10). The first ends a command cleanly well within the
//! 7.5 seconds that CI systems give, whatever hangs; the second leaves at once.
//!
//! A command that has not begun to change anything is simply dropped: [`race`]. One that has
//! something to give back calls [`holding`] first, and one that changes things [`changing`]; they end
//! by themselves. A thread of its own listens, so that nothing the command
//! does, not even a disk that hangs, stands in the way of leaving.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use super::CommandError;
use crate::engine::{GRACE, Stop, Stopper};
use crate::ui::{Printer, json};

/// The exit code of an interrupted command.
pub(crate) const INTERRUPTED: u8 = 130;
/// When a command that is stopping is left, after the first signal.
const LONGEST_END: Duration = Duration::from_secs(6);
/// How long last words may take when nobody may be reading them.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// The signals of the process, as the command sees them.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    stop: Stop,
    ends_by_itself: Arc<AtomicBool>,
    is_changing: Arc<AtomicBool>,
}

tokio::task_local! {
    static INTERRUPT: Interrupt;
}

/// Says that from here on the command has something to give back, such as a lock. It stops by itself
/// then: it listens to what this gives, and ends with [`INTERRUPTED`].
pub(super) fn holding() -> Stop {
    let here = INTERRUPT.try_with(|interrupt| {
        interrupt.ends_by_itself.store(true, Ordering::SeqCst);
        interrupt.stop.clone()
    });
    // Outside of `race` nobody listens to signals.
    here.unwrap_or_else(|_| Stop::pair().1)
}

/// Says that from here on the command changes things. It stops by itself then: it passes what this
/// gives to the engine, saves, and ends with [`INTERRUPTED`].
pub(super) fn changing() -> Stop {
    // Outside of `race` nobody is to be told.
    let _told = INTERRUPT.try_with(|it| it.is_changing.store(true, Ordering::SeqCst));
    holding()
}

impl Interrupt {
    fn new() -> (Stopper, Self) {
        let (stopper, stop) = Stop::pair();
        let interrupt = Self {
            stop,
            ends_by_itself: Arc::default(),
            is_changing: Arc::default(),
        };
        (stopper, interrupt)
    }

    /// Begins to listen, until the program ends.
    pub(crate) fn listen(printer: &Printer) -> Self {
        let (stopper, interrupt) = Self::new();
        let (ready, is_ready) = mpsc::channel();
        let (listener, printer) = (interrupt.clone(), printer.clone());
        let listening = move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            if let Ok(runtime) = builder.enable_all().build() {
                runtime.block_on(listener.obey(&stopper, &printer, ready));
            }
        };
        // Without the thread signals keep their usual effect, which is to end the process.
        if std::thread::Builder::new()
            .name("signals".into())
            .spawn(listening)
            .is_ok()
        {
            let _begun = is_ready.recv();
        }
        interrupt
    }

    /// Obeys the first signal, and ends the process at the second or when the first takes too long.
    async fn obey(&self, stopper: &Stopper, printer: &Printer, ready: mpsc::Sender<()>) {
        let Some(mut signals) = Signals::listen() else {
            return;
        };
        let _waiting = ready.send(());
        signals.next().await;
        stopper.stop();
        let again = timeout(LONGEST_END, signals.next()).await;
        let words = match (again, self.is_changing()) {
            (Ok(()), true) => {
                "left at once; what was sent to AWS may still be done there. Run the same command again: it finds that, and goes \
                 on"
            }
            (Err(_), true) => {
                "left although something did not end in time, such as saving the state. Run the same command again: it \
                 looks for what is announced, and finds what is not recorded by its tags and names"
            }
            (_, false) => "left at once; nothing was changed",
        };
        leave(printer.clone(), words, self.last_line());
    }

    fn is_changing(&self) -> bool {
        self.is_changing.load(Ordering::SeqCst)
    }

    /// The last line for programs:
    ///
    /// - `type` is `interrupted`; `version` as in [`json::VERSION`];
    /// - `changed`: whether the command had begun to change anything.
    fn last_line(&self) -> Value {
        json!({ "type": "interrupted", "version": json::VERSION, "changed": self.is_changing() })
    }

    /// Runs a command until it ends, or until a signal comes before it changes anything.
    pub(crate) async fn race(
        &self,
        printer: &Printer,
        command: impl Future<Output = Result<ExitCode, CommandError>>,
    ) -> Result<ExitCode, CommandError> {
        let stopped = async {
            self.stop.stopped().await;
            if self.is_changing() {
                printer.warn(format!(
                    "stopping: calls in flight get {} s to answer, then everything is saved; run the same command again to go \
                     on. Once more to leave now",
                    GRACE.as_secs()
                ));
            }
            if self.ends_by_itself.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            biased;
            ended = INTERRUPT.scope(self.clone(), command) => ended,
            () = stopped => Err(CommandError::interrupted()),
        };
        let is_interrupted = matches!(&ended, Err(error) if error.exit_code() == INTERRUPTED);
        if is_interrupted && printer.is_json() {
            printer.json_line(&self.last_line());
        }
        ended
    }
}

/// Ends the process. What is still to be said is said by a thread of its own, because whoever was
/// printing may be waiting for a reader for ever.
fn leave(printer: Printer, words: &'static str, last_line: Value) -> ! {
    let (said, is_said) = mpsc::channel();
    let speak = move || {
        printer.warn(words);
        if printer.is_json() {
            printer.json_line(&last_line);
        }
        let _waiting = said.send(());
    };
    if std::thread::Builder::new().spawn(speak).is_ok() {
        let _said = is_said.recv_timeout(LAST_WORDS);
    }
    std::process::exit(INTERRUPTED.into())
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` once one has come: a closed terminal may be told by the system and by the shell.
    hangup: Option<Signal>,
}

impl Signals {
    fn listen() -> Option<Self> {
        Some(Self {
            interrupt: signal(SignalKind::interrupt()).ok()?,
            terminate: signal(SignalKind::terminate()).ok()?,
            // `nohup` says that a closed terminal is no reason to end.
            hangup: match ignores_hangup() {
                true => None,
                false => Some(signal(SignalKind::hangup()).ok()?),
            },
        })
    }

    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        let hung_up = tokio::select! {
            _ = self.interrupt.recv() => false,
            _ = self.terminate.recv() => false,
            _ = hangup => true,
        };
        if hung_up {
            self.hangup = None;
        }
    }
}

/// Says whether the process was started with SIGHUP ignored, as Linux tells it.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::super::session::DONE;
    use super::*;
    use crate::ui::PrinterOptions;

    fn quiet() -> Printer {
        let quiet = true;
        Printer::new(PrinterOptions {
            quiet,
            ..PrinterOptions::default()
        })
    }

    fn code(ended: &Result<ExitCode, CommandError>) -> Option<u8> {
        ended.as_ref().err().map(CommandError::exit_code)
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_has_changed_nothing_is_dropped_at_the_first_signal() {
        let (stopper, interrupt) = Interrupt::new();
        let (dropped, is_dropped) = mpsc::channel::<()>();
        let command = async move {
            let _held = dropped;
            std::future::pending().await
        };
        let signal = async {
            tokio::task::yield_now().await;
            stopper.stop();
        };
        let printer = quiet();
        let (ended, ()) = tokio::join!(interrupt.race(&printer, command), signal);
        assert_eq!(code(&ended), Some(INTERRUPTED));
        assert_eq!(
            is_dropped.recv(),
            Err(mpsc::RecvError),
            "its lock is released"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_changes_things_ends_by_itself() {
        let (stopper, interrupt) = Interrupt::new();
        let command = async {
            let stop = changing();
            stop.stopped().await;
            tokio::task::yield_now().await;
            Err(CommandError::failed("the state is not saved"))
        };
        let signal = async {
            tokio::task::yield_now().await;
            stopper.stop();
        };
        let printer = quiet();
        let (ended, ()) = tokio::join!(interrupt.race(&printer, command), signal);
        assert_eq!(code(&ended), Some(1), "what it answers counts");
    }

    #[tokio::test]
    async fn without_a_signal_nothing_is_in_the_way() {
        let (_stopper, interrupt) = Interrupt::new();
        let printer = quiet();
        let ended = interrupt.race(&printer, async { Ok(DONE) }).await;
        assert!(ended.is_ok());
        assert_eq!(interrupt.last_line()["changed"], false);
    }

    #[test]
    fn ending_takes_less_than_a_ci_system_gives() {
        let given = Duration::from_millis(7500);
        assert!(GRACE < LONGEST_END && LONGEST_END + LAST_WORDS < given - Duration::from_secs(1));
    }
}
