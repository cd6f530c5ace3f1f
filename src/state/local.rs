//! States as files of one directory: `dev.json`, its predecessor `dev.previous.json`, and
//! `dev.lock`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Held, Holder, Lock, State, StateError, Store};
use crate::resource::BoxFuture;

/// A directory of state files, readable by their owner alone.
pub struct LocalStore {
    directory: PathBuf,
}

/// The locked file; closing it gives the lock back.
struct HeldFile(File);

impl Held for HeldFile {
    fn release(self: Box<Self>) -> BoxFuture<'static, Result<(), StateError>> {
        Box::pin(async move {
            drop(self);
            Ok(())
        })
    }
}

impl Drop for HeldFile {
    fn drop(&mut self) {
        // An empty file says that nobody holds it, without a look at the lock itself.
        let _still_right = self.0.set_len(0);
    }
}

/// How long a taker gives way to those who only look whether somebody holds the lock. They look for
/// microseconds, and only at what a killed process left.
const LOOKERS: Duration = Duration::from_secs(1);

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

    fn lock_path(&self, stack: &str) -> PathBuf {
        self.directory.join(format!("{stack}.lock"))
    }

    fn take_lock(&self, stack: &str, purpose: &str) -> Result<Lock, StateError> {
        let path = self.lock_path(stack);
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
        let begun = Instant::now();
        // The kernel releases this lock when the process ends, however it ends.
        while let Err(error) = file.try_lock() {
            if let TryLockError::Error(error) = error {
                return Err(failed(error));
            }
            if begun.elapsed() > LOOKERS || is_held(&file).map_err(failed)? {
                return Err(locked(stack, &mut file));
            }
            std::thread::yield_now();
        }
        let text = serde_json::to_vec(&Holder::this_process(purpose))
            .map_err(|error| failed(error.into()))?;
        file.set_len(0)
            .and_then(|()| file.write_all(&text))
            .map_err(failed)?;
        Ok(Lock::new(HeldFile(file)))
    }

    fn read_holder(&self, stack: &str) -> Result<Option<Holder>, StateError> {
        let path = self.lock_path(stack);
        let failed = |error: io::Error| access(&path, &error);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let holder = written_holder(&mut file);
        let is_empty = file.metadata().map_err(failed)?.len() == 0;
        if holder.is_none() && is_empty || !is_held(&file).map_err(failed)? {
            return Ok(None);
        }
        match holder {
            Some(holder) => Ok(Some(holder)),
            None => Err(locked(stack, &mut file)),
        }
    }
}

/// Says whether some process holds the lock of this file, without ever taking it from a taker: a
/// shared lock, for a moment.
fn is_held(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn written_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn locked(stack: &str, file: &mut File) -> StateError {
    let owner = written_holder(file).map(|holder| holder.to_string());
    StateError::Locked {
        stack: stack.to_owned(),
        owner: owner.unwrap_or_else(|| "another process".to_owned()),
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

    fn holder<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<Option<Holder>, StateError>> {
        Box::pin(async move { self.read_holder(stack) })
    }

    fn unlock<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<Option<Holder>, StateError>> {
        Box::pin(async move {
            // What the operating system holds for a living process is that process's to give back.
            match self.read_holder(stack)? {
                Some(holder) => Err(StateError::Locked {
                    stack: stack.to_owned(),
                    owner: holder.to_string(),
                }),
                None => Ok(None),
            }
        })
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
        first.release().await.unwrap();
        assert!(store.lock("dev", "down").await.is_ok());
    }

    #[tokio::test]
    async fn the_holder_is_told_while_it_holds_and_cannot_be_robbed() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::new(directory.path().to_owned());
        assert_eq!(store.holder("dev").await.unwrap(), None, "no file");
        let lock = store.lock("dev", "up").await.unwrap();
        let holder = store.holder("dev").await.unwrap().unwrap();
        assert_eq!(
            (holder.purpose.as_str(), holder.pid, holder.expires),
            ("up", std::process::id(), None)
        );
        let refused = store.unlock("dev").await.unwrap_err();
        assert!(matches!(refused, StateError::Locked { .. }), "{refused}");
        lock.release().await.unwrap();
        assert_eq!(store.holder("dev").await.unwrap(), None);
        assert_eq!(store.unlock("dev").await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_name_a_killed_process_left_is_no_holder() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::new(directory.path().to_owned());
        let text = serde_json::to_vec(&Holder::this_process("up")).unwrap();
        fs::write(directory.path().join("dev.lock"), text).unwrap();
        assert_eq!(store.holder("dev").await.unwrap(), None);
        assert!(store.lock("dev", "down").await.is_ok());
    }

    #[test]
    fn looking_for_the_holder_is_never_in_the_way_of_a_taker() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::new(directory.path().to_owned());
        let text = serde_json::to_vec(&Holder::this_process("up")).unwrap();
        let ended = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                        let _either = store.read_holder("dev");
                    }
                });
            }
            let refused = (0..500).find_map(|_| {
                // Lookers look at nothing but what a killed process left.
                fs::write(directory.path().join("dev.lock"), &text).unwrap();
                store.take_lock("dev", "up").err()
            });
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(refused.is_none(), "{refused:?}");
        });
    }
}
