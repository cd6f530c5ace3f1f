//! States as files of one directory: `dev.json`, its predecessor `dev.previous.json`, and
//! `dev.lock`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Lock, State, StateError, Store};
use crate::resource::BoxFuture;

/// A directory of state files, readable by their owner alone.
pub struct LocalStore {
    directory: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Owner {
    user: String,
    host: String,
    pid: u32,
    purpose: String,
    since: Timestamp,
}

impl LocalStore {
    /// Uses `directory`, which is made by the first save.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    fn path(&self, stack: &str) -> PathBuf {
        self.directory.join(format!("{stack}.json"))
    }

    fn ensure_directory(&self) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
    }

    fn read(&self, stack: &str) -> Result<Option<State>, StateError> {
        let path = self.path(stack);
        match fs::read_to_string(&path) {
            Ok(text) => State::parse(&text, &path.display().to_string()).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(access(&path, &error)),
        }
    }

    /// Temp file, fsync, rename, fsync of the directory: after a crash at any instant the file is
    /// either the old or the new document.
    fn write(&self, stack: &str, text: &[u8]) -> io::Result<()> {
        self.ensure_directory()?;
        let path = self.path(stack);
        let mut file = tempfile::Builder::new()
            .prefix(&format!(".{stack}."))
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .tempfile_in(&self.directory)?;
        file.write_all(text)?;
        file.as_file().sync_all()?;
        if path.exists() {
            // A hard link keeps the previous serial without a moment in which there is no state.
            let previous = self.directory.join(format!("{stack}.previous.json"));
            let _absent = fs::remove_file(&previous);
            fs::hard_link(&path, &previous)?;
        }
        file.persist(&path).map_err(|error| error.error)?;
        File::open(&self.directory)?.sync_all()
    }

    fn take_lock(&self, stack: &str, purpose: &str) -> Result<Lock, StateError> {
        let path = self.directory.join(format!("{stack}.lock"));
        let failed = |error: io::Error| access(&path, &error);
        self.ensure_directory().map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        // The kernel releases this lock when the process ends, however it ends.
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _unread = file.read_to_string(&mut text);
                let owner = serde_json::from_str::<Owner>(&text).map_or_else(
                    |_| "another process".to_owned(),
                    |o| {
                        format!(
                            "`{}` of {}@{} (process {}) since {}",
                            o.purpose, o.user, o.host, o.pid, o.since
                        )
                    },
                );
                return Err(StateError::Locked {
                    stack: stack.to_owned(),
                    owner,
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let owner = Owner {
            user: whoami(),
            host: hostname(),
            pid: std::process::id(),
            purpose: purpose.to_owned(),
            since: Timestamp::now(),
        };
        let text = serde_json::to_vec(&owner).map_err(|error| failed(error.into()))?;
        file.set_len(0)
            .and_then(|()| file.write_all(&text))
            .map_err(failed)?;
        Ok(Lock::new(file))
    }
}

impl Store for LocalStore {
    fn load<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<Option<State>, StateError>> {
        Box::pin(async move { self.read(stack) })
    }

    fn save<'a>(&'a self, state: &'a State) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(async move {
            let path = self.path(&state.stack);
            let mut text =
                serde_json::to_vec_pretty(state).map_err(|error| access(&path, &error.into()))?;
            text.push(b'\n');
            self.write(&state.stack, &text)
                .map_err(|error| access(&path, &error))
        })
    }

    fn remove<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(async move {
            for name in [format!("{stack}.json"), format!("{stack}.previous.json")] {
                let path = self.directory.join(name);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(access(&path, &error));
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }

    fn lock<'a>(
        &'a self,
        stack: &'a str,
        purpose: &'a str,
    ) -> BoxFuture<'a, Result<Lock, StateError>> {
        Box::pin(async move { self.take_lock(stack, purpose) })
    }

    fn stacks(&self) -> BoxFuture<'_, Result<Vec<String>, StateError>> {
        Box::pin(async move {
            let entries = match fs::read_dir(&self.directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(access(&self.directory, &error)),
            };
            let mut names: Vec<String> = entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
                // Other names (`dev.previous`, `example` of the source tree) are no stack's.
                .filter(|name| matches!(self.read(name), Ok(Some(state)) if state.stack == *name))
                .collect();
            names.sort();
            Ok(names)
        })
    }

    fn place(&self, stack: &str) -> String {
        self.path(stack).display().to_string()
    }
}

fn access(path: &Path, error: &io::Error) -> StateError {
    StateError::Access {
        place: path.display().to_string(),
        reason: error.to_string(),
    }
}

fn whoami() -> String {
    nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten()
        .map_or_else(|| nix::unistd::getuid().to_string(), |user| user.name)
}

fn hostname() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_state_is_private_and_the_previous_serial_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::new(directory.path().join("state"));
        let mut state = State::new("dev", "us-east-1");
        for serial in 1..=3 {
            state.serial = serial;
            store.save(&state).await.unwrap();
        }
        let file = directory.path().join("state/dev.json");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(store.load("dev").await.unwrap().unwrap().serial, 3);
        let previous = fs::read_to_string(directory.path().join("state/dev.previous.json"));
        assert_eq!(
            State::parse(&previous.unwrap(), "previous").unwrap().serial,
            2
        );
        assert_eq!(store.stacks().await.unwrap(), ["dev"]);
        store.remove("dev").await.unwrap();
        assert!(store.load("dev").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_second_lock_names_the_holder_and_works_once_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::new(directory.path().to_owned());
        let first = store.lock("dev", "up").await.unwrap();
        let error = store.lock("dev", "down").await.err().unwrap().to_string();
        let holder = format!("(process {})", std::process::id());
        assert!(
            error.contains("`up` of ") && error.contains(&holder),
            "{error}"
        );
        drop(first);
        assert!(store.lock("dev", "down").await.is_ok());
    }
}
