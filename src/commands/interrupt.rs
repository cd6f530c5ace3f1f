//! Ctrl-C and SIGTERM: the first finishes what is in flight, the second leaves at once (law 10).

use tokio::signal::unix::{SignalKind, signal};

use crate::engine::Stop;
use crate::ui::Printer;

/// Listens for signals until the program ends, and gives what they stop.
pub(super) fn listen(printer: &Printer) -> Stop {
    let (sender, stop) = Stop::pair();
    let printer = printer.clone();
    tokio::spawn(async move {
        let signals = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        );
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            return std::future::pending().await;
        };
        let mut count = 0;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            count += 1;
            if count > 1 {
                // Everything that was sent is announced in the state; the next run goes on.
                std::process::exit(130);
            }
            printer
                .warn("stopping: calls in flight are finished and saved; once more to leave now");
            sender.send_replace(true);
        }
    });
    stop
}
