//! States as files of one directory: `dev.json`, its predecessor `dev.previous.json`, and
//! `dev.lock`; `dev.damaged.json` if a document that could not be read was written over.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Held, Holder, Lock, State, StateError, Store, format};
use crate::resource::BoxFuture;

/// A directory of state files, readable by their owner alone.
pub struct LocalStore {
    directory: PathBuf,
    /// The stacks this store has written, whose documents need no look before the next.
    written: Mutex<BTreeSet<String>>,
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
        Self {
            directory,
            written: Mutex::default(),
        }
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

    fn previous(&self, stack: &str) -> PathBuf {
        self.directory.join(format!("{stack}.previous.json"))
    }

    fn set_aside(&self, stack: &str) -> PathBuf {
        self.directory.join(format!("{stack}.damaged.json"))
    }

    fn written(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_document(&self, stack: &str) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.path(stack);
        match fs::read(&path) {
            Ok(document) => Ok(Some(document)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                let place = path.display().to_string();
                Err(self.damaged(stack, StateError::unreadable(&place, "it is a directory")))
            }
            Err(error) => Err(access(&path, &error)),
        }
    }

    fn read(&self, stack: &str) -> Result<Option<State>, StateError> {
        let Some(document) = self.read_document(stack)? else {
            return Ok(None);
        };
        let place = self.path(stack).display().to_string();
        State::read(&document, stack, &place)
            .map(Some)
            .map_err(|error| self.damaged(stack, error))
    }

    fn damaged(&self, stack: &str, error: StateError) -> StateError {
        let previous = self.previous(stack);
        let is_kept = previous.is_file();
        error.with_previous(is_kept.then(|| previous.display().to_string()))
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
            // What cannot be read must not take the place of the last document that can.
            let is_whole = self.written().contains(stack) || self.read(stack).is_ok();
            let kept = match is_whole {
                true => self.previous(stack),
                false => self.set_aside(stack),
            };
            // A hard link keeps it without a moment in which there is no state.
            let _absent = fs::remove_file(&kept);
            fs::hard_link(&path, &kept)?;
        }
        file.persist(&path).map_err(|error| error.error)?;
        File::open(&self.directory)?.sync_all()?;
        self.written().insert(stack.to_owned());
        Ok(())
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

    fn document<'a>(
        &'a self,
        stack: &'a str,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StateError>> {
        Box::pin(async move { self.read_document(stack) })
    }

    fn save<'a>(&'a self, state: &'a State) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(async move {
            let path = self.path(&state.stack);
            let document = state
                .to_document()
                .map_err(|error| access(&path, &error.into()))?;
            self.write(&state.stack, &document)
                .map_err(|error| access(&path, &error))
        })
    }

    fn remove<'a>(&'a self, stack: &'a str) -> BoxFuture<'a, Result<(), StateError>> {
        Box::pin(async move {
            let kept = [self.previous(stack), self.set_aside(stack)];
            for path in [self.path(stack)].into_iter().chain(kept) {
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
                .filter(|name| match self.read_document(name) {
                    Ok(Some(document)) => format::is_of_a_stack(name, &document),
                    Ok(None) => false,
                    // Nobody knows what it is; whoever asks for it is told why.
                    Err(_) => format::is_of_a_stack(name, b""),
                })
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
    async fn what_cannot_be_read_is_told_with_the_place_and_the_document_before() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::new(directory.path().to_owned());
        let path = directory.path().join("dev.json");
        let place = path.display().to_string();
        for damage in [&b""[..], b"{\"format\": 2", b"\xff{}", b"{}"] {
            fs::write(&path, damage).unwrap();
            let error = store.load("dev").await.unwrap_err();
            assert!(error.to_string().starts_with(&place), "{error}");
            let StateError::Unreadable { previous, .. } = error else {
                panic!("{error}");
            };
            assert_eq!(previous, None);
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(directory.path().join("dev.previous.json"), "{}").unwrap();
        let error = store.load("dev").await.unwrap_err();
        assert!(error.to_string().ends_with("it is a directory"), "{error}");
        let StateError::Unreadable { previous, .. } = error else {
            panic!("{error}");
        };
        assert!(previous.unwrap().ends_with("/dev.previous.json"));
    }

    #[tokio::test]
    async fn a_damaged_document_does_not_take_the_place_of_the_last_whole_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut state = State::new("dev", "us-east-1");
        for serial in [1, 2] {
            let store = LocalStore::new(directory.path().to_owned());
            state.serial = serial;
            store.save(&state).await.unwrap();
        }
        fs::write(path("dev.json"), "{\"format\": 2, ").unwrap();
        let store = LocalStore::new(directory.path().to_owned());
        state.serial = 3;
        store.save(&state).await.unwrap();
        let serial = |name: &str| State::read(&fs::read(path(name)).unwrap(), "dev", name);
        assert_eq!(serial("dev.json").unwrap().serial, 3);
        assert_eq!(serial("dev.previous.json").unwrap().serial, 1);
        let aside = fs::read_to_string(path("dev.damaged.json")).unwrap();
        assert_eq!(aside, "{\"format\": 2, ");
        state.serial = 4;
        store.save(&state).await.unwrap();
        assert_eq!(serial("dev.previous.json").unwrap().serial, 3);
        assert_eq!(store.stacks().await.unwrap(), ["dev"]);
        store.remove("dev").await.unwrap();
        assert!(fs::read_dir(directory.path()).unwrap().next().is_none());
    }

    #[tokio::test]
    async fn stacks_are_listed_readable_or_not_and_other_files_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::new(directory.path().to_owned());
        store.save(&State::new("dev", "us-east-1")).await.unwrap();
        store.save(&State::new("prod", "us-east-1")).await.unwrap();
        for (name, text) in [
            ("torn.json", "{\"format\": 2"),
            ("newer.json", "{\"format\": 99}"),
            ("package.json", "{\"name\": \"web\"}"),
            ("dev.previous.json", "{"),
            ("Notes.json", "{"),
            ("README.md", ""),
        ] {
            fs::write(directory.path().join(name), text).unwrap();
        }
        // A copy under another name is no stack of that name, and is not taken for one.
        fs::copy(
            directory.path().join("dev.json"),
            directory.path().join("copy.json"),
        )
        .unwrap();
        let stacks = store.stacks().await.unwrap();
        assert_eq!(stacks, ["dev", "newer", "prod", "torn"]);
        let error = store.load("copy").await.unwrap_err();
        assert!(error.to_string().contains("of stack `dev`, not of `copy`"));
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
