//! Who works on a stack, as its lock tells.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who holds the lock of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The person, or the account a machine works under.
    pub user: String,
    /// The machine.
    pub host: String,
    /// The process on that machine.
    pub pid: u32,
    /// The command, as `up`.
    pub purpose: String,
    /// When it took the lock.
    pub since: Timestamp,
    /// When the lock may be taken over if its holder is not heard of until then; absent where the
    /// lock goes with the holder's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Holder {
    /// This process, which takes the lock now.
    pub fn this_process(purpose: &str) -> Self {
        Self {
            user: user(),
            host: host(),
            pid: std::process::id(),
            purpose: purpose.to_owned(),
            since: Timestamp::now(),
            expires: None,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            user,
            host,
            pid,
            purpose,
            ..
        } = self;
        let since = seconds(self.since);
        write!(
            f,
            "`{purpose}` of {user}@{host} (process {pid}) since {since}"
        )?;
        match self.expires {
            Some(expires) => write!(f, ", lease until {}", seconds(expires)),
            None => Ok(()),
        }
    }
}

/// The person and the machine, as `ann@ci-7`.
pub fn operator() -> String {
    format!("{}@{}", user(), host())
}

fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn user() -> String {
    nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten()
        .map_or_else(|| nix::unistd::getuid().to_string(), |user| user.name)
}

fn host() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_told_by_purpose_person_machine_process_and_times() {
        let mut holder = Holder {
            user: "ann".into(),
            host: "ci-7".into(),
            pid: 4242,
            purpose: "up".into(),
            since: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            expires: None,
        };
        assert_eq!(
            holder.to_string(),
            "`up` of ann@ci-7 (process 4242) since 2026-01-02T03:04:05Z"
        );
        holder.expires = Some("2026-01-02T03:05:05Z".parse().unwrap());
        assert!(
            holder
                .to_string()
                .ends_with(", lease until 2026-01-02T03:05:05Z")
        );
    }
}
