//! What can go wrong: with one call, and with the machine that makes it.

use tokio::sync::watch;

use crate::resource::{Class, Error};

/// The calls a kind makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Read,
    Create,
    Update,
    Delete,
}

impl Operation {
    pub(super) const WRITES: &'static [Self] = &[Self::Create, Self::Update, Self::Delete];
}

/// How long a caller waits for an answer that never comes.
pub(super) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// A refusal with this code.
    Refuse(&'static str),
    Throttle,
    /// The request is lost; nobody can tell.
    LoseRequest,
    /// The request is carried out and its answer is lost.
    LoseAnswer,
    /// The request is lost, and only after [`PATIENCE`] is it called lost.
    HangBefore,
    /// It is carried out, and the answer never comes.
    HangAfter,
    /// A read misses what is new once more, although it was seen already.
    Flap,
    /// The power fails before the request is carried out.
    CrashBefore,
    /// The power fails after it.
    CrashAfter,
}

/// The calls something goes wrong with.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) operations: &'static [Operation],
    /// The node; any if absent.
    pub(super) node: Option<String>,
    /// How many matching calls go well before it, and then how many do not.
    pub(super) after: usize,
    pub(super) times: usize,
    pub(super) effect: Effect,
}

/// The electricity of the machine the program runs on.
pub(super) struct Power(watch::Sender<bool>);

impl Power {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(true))
    }

    /// Goes on at once, or never if there is no power.
    pub(super) async fn needed(&self) {
        if !*self.0.borrow() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) async fn cut(&self) {
        self.0.send_replace(false);
        self.needed().await;
    }

    pub(super) async fn failure(&self) {
        let mut receiver = self.0.subscribe();
        let _closed = receiver.wait_for(|on| !*on).await;
    }

    pub(super) fn restore(&self) {
        self.0.send_replace(true);
    }
}

pub(super) fn refusal(code: &str) -> Error {
    let class = match code {
        "AlreadyExists" => Class::AlreadyExists,
        "NotFound" => Class::NotFound,
        "LimitExceeded" => Class::Quota,
        _ => Class::Refused,
    };
    Error::new("fake:Call", class, format!("the cloud says {code}")).with_code(code)
}

pub(super) fn lost() -> Error {
    Error::new("fake:Call", Class::Unclear, "the connection broke").with_code("Lost")
}
