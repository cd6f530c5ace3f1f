//! One run of the program in a working directory, which can be stopped, killed, and robbed of its disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::account::{Account, Eyes};
use super::verbs::{BUCKET, Store};

/// The stack that every cell is about.
pub const SUFFIX: &str = "dev";
/// How long a run may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// A working directory: orderctl.toml, and the state unless that is in a bucket.
pub struct Place {
    directory: TempDir,
    store: Store,
}

impl Place {
    pub fn new(configuration: &str, store: Store) -> Self {
        let place = Self {
            directory: TempDir::new().unwrap(),
            store,
        };
        place.configure(configuration);
        fs::create_dir(place.states()).unwrap();
        place
    }

    /// Another directory with the same content, as a kill at this moment leaves it.
    pub fn copy(&self) -> Self {
        let configuration = fs::read_to_string(self.path().join("orderctl.toml")).unwrap();
        let copy = Self::new(&configuration, self.store);
        for entry in fs::read_dir(self.states()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.states().join(entry.file_name())).unwrap();
        }
        copy
    }

    pub fn configure(&self, configuration: &str) {
        fs::write(self.path().join("orderctl.toml"), configuration).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    fn states(&self) -> PathBuf {
        self.path().join("state")
    }

    /// The state as it stands on the disk.
    pub fn state_on_disk(&self) -> Option<String> {
        fs::read_to_string(self.states().join(format!("{SUFFIX}.json"))).ok()
    }

    /// The state as it stands, wherever that is.
    pub fn state_text(&self, account: &Account, eyes: &mut Eyes) -> Option<String> {
        match self.store {
            Store::Directory => self.state_on_disk(),
            Store::Bucket => eyes.state(account, &format!("{SUFFIX}.json")),
        }
    }

    pub fn state(&self, account: &Account, eyes: &mut Eyes) -> Option<Value> {
        Some(serde_json::from_str(&self.state_text(account, eyes)?).unwrap())
    }

    /// Lets the time of a lock pass whose holder was killed; one in a directory goes with its process.
    pub fn outlive_lease(&self, account: &Account, eyes: &mut Eyes) {
        if self.store == Store::Bucket {
            eyes.shorten_lease(account, &format!("{SUFFIX}.lock"));
        }
    }

    fn flags(&self) -> Vec<String> {
        match self.store {
            Store::Directory => Vec::new(),
            Store::Bucket => {
                let state = format!("s3://{BUCKET}/matrix");
                ["--state", &state, "--lock-timeout", "2m"]
                    .map(str::to_owned)
                    .into()
            }
        }
    }
}

/// What becomes of writing the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Nothing goes wrong.
    Sound,
    /// The process stops before each write.
    Stops,
    /// The process is killed before the N-th write.
    Kills(u64),
    /// The N-th write leaves half a document and fails.
    Full(u64),
}

/// A run under way.
pub struct Client {
    child: Child,
    text: PathBuf,
    /// Gets a byte for each time that it stops by itself.
    stops: PathBuf,
    line: String,
}

/// How a run ended.
pub struct Ended {
    pub code: Option<i32>,
    /// What it said on both streams.
    pub text: String,
}

impl Client {
    pub fn start(account: &Account, place: &Place, words: &[&str], disk: Disk) -> Self {
        let text = place.path().join("said.txt");
        let stops = place.path().join("stops");
        let said = File::create(&text).unwrap();
        let mut command: Command = account.orderctl();
        command
            .current_dir(place.path())
            .args(["--sandbox", "--suffix", SUFFIX, "-v"])
            .args(place.flags())
            .args(words)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        let fault = match disk {
            Disk::Sound => None,
            Disk::Stops => Some("stop".to_owned()),
            Disk::Kills(number) => Some(format!("kill:{number}")),
            Disk::Full(number) => Some(format!("full:{number}")),
        };
        if let Some(fault) = fault {
            command
                .env("LD_PRELOAD", disk_library())
                .env("DISK_FAULT", fault)
                .env("DISK_LOG", &stops);
        }
        Self {
            child: command.spawn().unwrap(),
            text,
            stops,
            line: words.join(" "),
        }
    }

    /// Runs a command to its end.
    pub fn run(account: &Account, place: &Place, words: &[&str]) -> Ended {
        Self::start(account, place, words, Disk::Sound).finish()
    }

    fn signal(&self, signal: Signal) {
        let process = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(process, signal).unwrap();
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Says whether it stands still, by itself or because it was stopped.
    pub fn is_stopped(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        stat.rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next())
            == Some('T')
    }

    /// Stops it where it is; returns whether it was still there.
    pub fn stop(&mut self) -> bool {
        if self.has_ended() {
            return false;
        }
        self.signal(Signal::SIGSTOP);
        self.wait_until_stopped()
    }

    /// Returns once it has stopped, or ended.
    pub fn wait_until_stopped(&mut self) -> bool {
        let begun = Instant::now();
        loop {
            if self.has_ended() {
                return false;
            }
            if self.is_stopped() {
                return true;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{} neither stops nor ends",
                self.line
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How often it has stopped before writing the state.
    pub fn stops(&self) -> u64 {
        fs::metadata(&self.stops).map_or(0, |stops| stops.len())
    }

    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn finish(mut self) -> Ended {
        let begun = Instant::now();
        while !self.has_ended() {
            if begun.elapsed() > PATIENCE {
                let said = fs::read_to_string(&self.text).unwrap_or_default();
                panic!("`{}` does not end:\n{said}", self.line);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ended {
            code: self.child.wait().unwrap().code(),
            text: fs::read_to_string(&self.text).unwrap_or_default(),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped_already = self.child.wait();
    }
}

/// The library that stands in front of the disk; compiled at first use.
fn disk_library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash_matrix/disk.rs");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libcrash_matrix_disk.so");
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let run = Command::new(compiler)
            .args(["--edition", "2024", "--crate-type", "cdylib", "-O", "-o"])
            .arg(&library)
            .arg(source)
            .output()
            .unwrap();
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        library
    })
}
