//! Starting, finding and stopping the server process.
//!
//! `running.json` says which process was started last; it is believed only when that port answers the
//! health path with that pid. Starting and stopping happen under a file lock, so that two commands at once
//! start one server.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::error::last_lines;
use super::{
    Notices, Sandbox, SandboxDirs, SandboxError, Settings, Wishes, health, install, package,
};

/// Importing moto takes one to two seconds; a loaded machine may need many times that.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// The server has nothing to finish, so it ends as soon as it sees the signal.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const LOG_LINES: usize = 20;

/// The last server started from a sandbox directory.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    pid: u32,
    port: u16,
    started: u64,
    layer: String,
}

/// The one line the server prints on stdout once it accepts connections.
#[derive(Debug, Deserialize)]
struct Ready {
    pid: u32,
    port: u16,
}

/// Returns the running local AWS however it behaves, installing and starting it first where necessary.
///
/// One that runs another version of our layer is replaced by one that behaves alike: its resources are gone then, and
/// `notices` says so.
///
/// # Errors
/// Everything that [`start`] answers.
pub async fn ensure_running(
    dirs: &SandboxDirs,
    notices: Notices<'_>,
) -> Result<Sandbox, SandboxError> {
    match status(dirs).await {
        Some(sandbox) if sandbox.is_current() => Ok(sandbox),
        _ => start(dirs, &Wishes::default(), notices).await,
    }
}

/// Starts the local AWS, or returns the running one if it behaves as wished.
///
/// # Errors
/// [`SandboxError::BehavesOtherwise`] when one is running that does not behave as wished;
/// [`SandboxError::NoPython`], [`SandboxError::NoVenv`] or [`SandboxError::Install`] when it cannot be installed,
/// [`SandboxError::Start`] with the end of its log when it does not come up.
pub async fn start(
    dirs: &SandboxDirs,
    wishes: &Wishes,
    notices: Notices<'_>,
) -> Result<Sandbox, SandboxError> {
    let _lock = lock(dirs, notices).await?;
    let mut settings = Settings::default();
    if let Some(running) = status(dirs).await {
        if running.is_current() {
            return match wishes.applied_to(running.settings.clone()) == running.settings {
                true => Ok(running),
                false => Err(SandboxError::BehavesOtherwise {
                    endpoint: running.endpoint,
                }),
            };
        }
        notices(
            "the local AWS runs a layer of another orderctl version: replacing it, what it held is gone",
        );
        end(&running).await?;
        settings = running.settings;
    }
    let settings = wishes.applied_to(settings);
    let python = install::python(dirs, notices).await?;
    let layer = package::unpack(dirs)?;
    let sandbox = launch(dirs, &python, &layer, &settings).await?;
    notices(&format!(
        "started the local AWS at {} (log: {})",
        sandbox.endpoint,
        sandbox.log.display()
    ));
    Ok(sandbox)
}

/// Stops the local AWS and returns what was stopped, or `None` when none was running.
///
/// Only ever signals a process that the health path has just confirmed to be ours.
///
/// # Errors
/// [`SandboxError::Stop`] when the process stays.
pub async fn stop(
    dirs: &SandboxDirs,
    notices: Notices<'_>,
) -> Result<Option<Sandbox>, SandboxError> {
    if !dirs.root().exists() {
        return Ok(None);
    }
    let _lock = lock(dirs, notices).await?;
    let running = status(dirs).await;
    if let Some(sandbox) = &running {
        end(sandbox).await?;
    }
    match std::fs::remove_file(dirs.record_file()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(SandboxError::file(
            "could not remove",
            dirs.record_file(),
        )(error)),
        _ => Ok(running),
    }
}

/// Returns the running local AWS of these directories, if there is one. Starts nothing and writes nothing.
pub async fn status(dirs: &SandboxDirs) -> Option<Sandbox> {
    let text = tokio::fs::read(dirs.record_file()).await.ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    let health = health::ask(record.port).await?;
    (health.pid == record.pid).then(|| sandbox(dirs, record.port, health))
}

fn sandbox(dirs: &SandboxDirs, port: u16, health: health::Health) -> Sandbox {
    Sandbox {
        endpoint: format!("http://127.0.0.1:{port}"),
        pid: health.pid,
        port,
        started: health.started,
        layer: health.layer,
        log: dirs.log_file(),
        settings: health.settings,
    }
}

/// Waits for the lock; it is released when the returned file is closed, however this process ends.
async fn lock(dirs: &SandboxDirs, notices: Notices<'_>) -> Result<File, SandboxError> {
    let path = dirs.lock_file();
    std::fs::create_dir_all(dirs.root())
        .map_err(SandboxError::file("could not create", dirs.root()))?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(SandboxError::file("could not open", &path))?;
    if file.try_lock().is_ok() {
        return Ok(file);
    }
    notices("waiting for another command that is installing or starting the local AWS");
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    locked
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(SandboxError::file("could not lock", &path))
}

/// Starts the server from an interpreter and a directory that holds the package, and records it.
async fn launch(
    dirs: &SandboxDirs,
    python: &Path,
    layer: &Path,
    settings: &Settings,
) -> Result<Sandbox, SandboxError> {
    let log_path = dirs.log_file();
    let log = File::create(&log_path).map_err(SandboxError::file("could not write", &log_path))?;
    let failed = |reason: String| SandboxError::Start {
        reason,
        tail: last_lines(
            &std::fs::read_to_string(&log_path).unwrap_or_default(),
            LOG_LINES,
        ),
        log: log_path.clone(),
        root: dirs.root().to_owned(),
    };

    let child = Command::new(python)
        .args([
            "-m",
            package::PACKAGE,
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--layer",
            package::layer_hash(),
        ])
        .args(settings.arguments())
        // `-m` looks in the current directory first, which must not be the user's.
        .current_dir(layer)
        .env_remove("PYTHONHOME")
        .env_remove("PYTHONPATH")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        // A group of its own: Ctrl-C in the user's terminal is not meant for it.
        .process_group(0)
        .spawn()
        .map_err(|error| failed(format!("{} cannot be run: {error}", python.display())))?;
    let mut starting = Starting {
        child,
        is_recorded: false,
    };
    let child = &mut starting.child;

    let ready = async {
        let stdout = child.stdout.take()?;
        let line = BufReader::new(stdout)
            .lines()
            .next_line()
            .await
            .ok()
            .flatten()?;
        serde_json::from_str::<Ready>(&line).ok()
    };
    let ready = match timeout(START_PATIENCE, ready).await {
        Ok(Some(ready)) => ready,
        Ok(None) => {
            let _ = child.start_kill();
            let ended = child
                .wait()
                .await
                .map(|status| status.to_string())
                .unwrap_or_default();
            return Err(failed(format!("it ended before it was ready ({ended})")));
        }
        Err(_) => {
            let _ = child.start_kill();
            let _ = child.wait().await;
            return Err(failed(format!(
                "it was not ready after {} s",
                START_PATIENCE.as_secs()
            )));
        }
    };
    let Some(health) = health::ask(ready.port)
        .await
        .filter(|health| health.pid == ready.pid)
    else {
        let _ = child.start_kill();
        return Err(failed(format!("it does not answer on port {}", ready.port)));
    };
    let record = Record {
        pid: health.pid,
        port: ready.port,
        started: health.started,
        layer: health.layer.clone(),
    };
    write_record(&dirs.record_file(), &record)?;
    starting.is_recorded = true;
    Ok(sandbox(dirs, ready.port, health))
}

/// A server that no record names yet: dropped, as by a signal, it must not run on, because nobody
/// would find it again.
struct Starting {
    child: Child,
    is_recorded: bool,
}

impl Drop for Starting {
    fn drop(&mut self) {
        if !self.is_recorded {
            let _ended_already = self.child.start_kill();
        }
    }
}

fn write_record(path: &Path, record: &Record) -> Result<(), SandboxError> {
    let temporary: PathBuf = path.with_extension("json.new");
    let text = serde_json::to_vec_pretty(record).map_err(std::io::Error::other);
    text.and_then(|text| std::fs::write(&temporary, text))
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(SandboxError::file("could not write", path))
}

/// Ends a confirmed process and returns once it is gone.
async fn end(sandbox: &Sandbox) -> Result<(), SandboxError> {
    let failed = |reason: String| SandboxError::Stop {
        pid: sandbox.pid,
        reason,
    };
    // The system closes this connection when the process ends: that is how its end is seen.
    let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, sandbox.port)).await;
    let pid = i32::try_from(sandbox.pid)
        .map(Pid::from_raw)
        .map_err(|error| failed(error.to_string()))?;
    match kill(pid, Signal::SIGTERM) {
        Ok(()) => {}
        Err(Errno::ESRCH) => return Ok(()),
        Err(errno) => return Err(failed(errno.desc().to_owned())),
    }
    let Ok(mut connection) = connection else {
        return Ok(());
    };
    let mut rest = Vec::new();
    if timeout(STOP_PATIENCE, connection.read_to_end(&mut rest))
        .await
        .is_ok()
    {
        return Ok(());
    }
    match kill(pid, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(failed(errno.desc().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers the health path like the real server, without moto.
    const STAND_IN: &str = r#"
import http.server, json, os, sys
layer = sys.argv[sys.argv.index("--layer") + 1]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"name": "orderctl-sandbox", "pid": os.getpid(), "layer": layer, "started": 5}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(json.dumps({"pid": os.getpid(), "port": server.server_port}), flush=True)
os.dup2(2, 1)
server.serve_forever()
"#;

    struct Place {
        _root: tempfile::TempDir,
        dirs: SandboxDirs,
        layer: PathBuf,
    }

    impl Place {
        /// A sandbox directory with a layer whose package is the given program.
        fn new(program: &str) -> Self {
            let root = tempfile::tempdir().unwrap();
            let dirs = SandboxDirs::at(root.path().join("cache"));
            let layer = root.path().join("layer");
            std::fs::create_dir_all(layer.join(package::PACKAGE)).unwrap();
            std::fs::create_dir_all(dirs.root()).unwrap();
            std::fs::write(layer.join(package::PACKAGE).join("__main__.py"), program).unwrap();
            Self {
                _root: root,
                dirs,
                layer,
            }
        }

        async fn launch(&self) -> Result<Sandbox, SandboxError> {
            launch(
                &self.dirs,
                Path::new("python3"),
                &self.layer,
                &Settings::default(),
            )
            .await
        }

        async fn stop(&self) -> Option<Sandbox> {
            stop(&self.dirs, &|_| {}).await.unwrap()
        }
    }

    #[tokio::test]
    async fn a_started_server_is_found_again_and_stopped() {
        let place = Place::new(STAND_IN);
        let sandbox = place.launch().await.unwrap();
        assert!(sandbox.is_current());
        assert_eq!(
            sandbox.endpoint,
            format!("http://127.0.0.1:{}", sandbox.port)
        );
        assert_eq!(status(&place.dirs).await.as_ref(), Some(&sandbox));
        let refused = Wishes {
            speed: Some(0.0),
            ..Wishes::default()
        };
        assert!(matches!(
            start(&place.dirs, &refused, &|line| panic!("{line}")).await,
            Err(SandboxError::BehavesOtherwise { .. })
        ));
        let fulfilled = Wishes {
            speed: Some(crate::sandbox::DEFAULT_SPEED),
            ..Wishes::default()
        };
        assert_eq!(
            start(&place.dirs, &fulfilled, &|line| panic!("{line}"))
                .await
                .unwrap(),
            sandbox
        );
        // The recorded server is current, so nothing is installed or started.
        assert_eq!(
            ensure_running(&place.dirs, &|line| panic!("{line}"))
                .await
                .unwrap(),
            sandbox
        );

        assert_eq!(place.stop().await, Some(sandbox.clone()));
        assert!(health::ask(sandbox.port).await.is_none());
        assert_eq!(status(&place.dirs).await, None);
        assert_eq!(place.stop().await, None);
    }

    #[tokio::test]
    async fn a_record_that_names_another_process_is_not_believed() {
        let place = Place::new(STAND_IN);
        let sandbox = place.launch().await.unwrap();
        let record = Record {
            pid: std::process::id(),
            port: sandbox.port,
            started: 5,
            layer: sandbox.layer.clone(),
        };
        write_record(&place.dirs.record_file(), &record).unwrap();
        assert_eq!(status(&place.dirs).await, None);
        assert_eq!(
            place.stop().await,
            None,
            "a process that is not confirmed is left alone"
        );
        assert!(health::ask(sandbox.port).await.is_some());
        end(&sandbox).await.unwrap();
        assert!(health::ask(sandbox.port).await.is_none());
    }

    #[tokio::test]
    async fn a_server_that_fails_shows_the_end_of_its_log() {
        let place = Place::new("import sys; sys.exit('the reason')");
        let error = place.launch().await.unwrap_err();
        assert!(matches!(error, SandboxError::Start { .. }));
        assert!(error.to_string().contains("the reason"), "{error}");
        assert_eq!(status(&place.dirs).await, None);
    }

    #[tokio::test]
    async fn a_program_that_cannot_be_run_is_named() {
        let place = Place::new("");
        let error = launch(
            &place.dirs,
            Path::new("/nowhere/python"),
            &place.layer,
            &Settings::default(),
        )
        .await
        .unwrap_err();
        assert!(error.to_string().contains("/nowhere/python"), "{error}");
    }

    #[tokio::test]
    async fn the_lock_admits_one_at_a_time() {
        let place = Place::new("");
        let held = lock(&place.dirs, &|_| {}).await.unwrap();
        let (waiting, told) = tokio::sync::oneshot::channel();
        let waiting = std::sync::Mutex::new(Some(waiting));
        let dirs = place.dirs.clone();
        let second = tokio::spawn(async move {
            let notices = |_: &str| {
                if let Some(waiting) = waiting.lock().unwrap().take() {
                    let _ = waiting.send(());
                }
            };
            lock(&dirs, &notices).await.map(drop)
        });
        told.await.unwrap();
        assert!(!second.is_finished());
        drop(held);
        second.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn without_any_record_nothing_runs_and_nothing_is_written() {
        let root = tempfile::tempdir().unwrap();
        let dirs = SandboxDirs::at(root.path().join("never"));
        assert_eq!(status(&dirs).await, None);
        assert_eq!(stop(&dirs, &|_| {}).await.unwrap(), None);
        assert!(!dirs.root().exists());
    }
}
