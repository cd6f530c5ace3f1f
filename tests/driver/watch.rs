//! What every user of the machine can see of a process and of its children while it runs: their
//! arguments; and what its own user can see besides: their environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(20);

/// Looks at a process and its children until it is told to end.
pub struct Watch {
    end: Sender<()>,
    seen: JoinHandle<BTreeSet<(String, String)>>,
}

impl Watch {
    pub fn over(process: u32) -> Self {
        let (end, ended) = channel();
        let seen = thread::spawn(move || {
            let mut seen = BTreeSet::new();
            loop {
                for id in with_children(process) {
                    for file in ["cmdline", "environ"] {
                        if let Ok(text) = fs::read(format!("/proc/{id}/{file}")) {
                            let text = String::from_utf8_lossy(&text).into_owned();
                            seen.insert((format!("/proc/…/{file}"), text));
                        }
                    }
                }
                // Ended at once, it has looked once all the same.
                if ended.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                    return seen;
                }
            }
        });
        Self { end, seen }
    }

    /// Everything that was to be seen, by the file it stood in.
    pub fn end(self) -> Vec<(String, String)> {
        let _ended = self.end.send(());
        self.seen.join().unwrap().into_iter().collect()
    }
}

/// The process and all that stem from it.
fn with_children(process: u32) -> BTreeSet<u32> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name, in brackets, may hold anything.
        let parent = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(1));
        parents.extend(
            parent
                .and_then(|parent| parent.parse::<u32>().ok())
                .map(|to| (id, to)),
        );
    }
    let mut found = BTreeSet::from([process]);
    while let Some(child) = parents
        .iter()
        .find(|(id, parent)| found.contains(parent) && !found.contains(id))
        .map(|(id, _)| *id)
    {
        found.insert(child);
    }
    found
}
