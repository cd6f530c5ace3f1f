//! Measures `orderctl` on the local AWS: HTTP calls, wall time and peak memory of a fresh `up`, a
//! `plan` with nothing to do and `down`, with 0 and 50 ms added to every call; and `--version`.
//!
//! ```text
//! cargo build --release && cargo run --release --example bench
//! ```
// The pause of the proxy is the latency that is being measured, not a wait.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use comfy_table::Table;
use orderctl::sandbox::{self, SandboxDirs, Wishes};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const LATENCIES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(50)];
const VERSION_RUNS: usize = 21;
const LOOK_AT_MEMORY_EVERY: Duration = Duration::from_millis(2);

const PLAN_CALLS: u64 = 60;
const MEMORY_MB: f64 = 100.0;
const VERSION_TIME: Duration = Duration::from_millis(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let own = std::env::current_exe()?;
    let release = own.ancestors().nth(2).ok_or("no target directory")?;
    let binary = release.join("orderctl");
    if !binary.exists() {
        return Err(format!(
            "{} is missing: run `cargo build --release` first",
            binary.display()
        )
        .into());
    }
    let version = version_time(&binary).await?;
    // Kept between runs, because installing takes far longer than measuring.
    let dirs = SandboxDirs::at(release.join("bench-sandbox"));
    let notices = |text: &str| eprintln!("{text}");
    sandbox::stop(&dirs, &notices).await?;
    // What is measured is orderctl's own time, not that of the resources.
    let at_once = Wishes {
        speed: Some(0.0),
        ..Wishes::default()
    };
    let upstream = sandbox::start(&dirs, &at_once, &notices).await?.port;
    let measured = measure_all(&binary, upstream).await;
    sandbox::stop(&dirs, &notices).await?;
    report(version, &measured?);
    Ok(())
}

/// What one command took.
struct Measure {
    command: &'static str,
    latency: Duration,
    calls: u64,
    took: Duration,
    /// Peak resident memory in MB; `None` where the system does not tell (no `/proc`).
    memory: Option<f64>,
}

async fn measure_all(binary: &Path, upstream: u16) -> Outcome<Vec<Measure>> {
    let mut measured = Vec::new();
    for latency in LATENCIES {
        let proxy = Proxy::start(upstream, latency).await?;
        let directory = tempfile::tempdir()?;
        for (name, arguments) in [
            ("up, fresh", &["up", "--yes"][..]),
            ("plan, nothing to do", &["plan", "--detailed-exitcode"]),
            ("down", &["down", "--yes"]),
        ] {
            let before = proxy.calls();
            let begun = Instant::now();
            let memory = run(binary, arguments, directory.path(), proxy.port).await?;
            measured.push(Measure {
                command: name,
                latency,
                calls: proxy.calls() - before,
                took: begun.elapsed(),
                memory,
            });
        }
    }
    Ok(measured)
}

fn command(binary: &Path, directory: &Path) -> Command {
    let mut command = Command::new(binary);
    command.current_dir(directory).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("AWS_") || name.starts_with("ORDERCTL_") {
            command.env_remove(&*name);
        }
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// Runs one command to its end and gives its peak memory.
async fn run(
    binary: &Path,
    arguments: &[&str],
    directory: &Path,
    port: u16,
) -> Outcome<Option<f64>> {
    let log = directory.join("output.log");
    let mut child = command(binary, directory)
        .args(arguments)
        .args(["--suffix", "bench", "--region", "us-east-1"])
        .args(["--endpoint-url", &format!("http://127.0.0.1:{port}")])
        .stdout(std::fs::File::create(&log)?)
        .stderr(std::fs::File::create(directory.join("errors.log"))?)
        .spawn()?;
    let status_file = child
        .id()
        .map(|id| PathBuf::from(format!("/proc/{id}/status")));
    let mut memory = None;
    let mut look = tokio::time::interval(LOOK_AT_MEMORY_EVERY);
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = look.tick() => {
                // The peak never falls, so the last look has it.
                memory = status_file.as_deref().and_then(peak_memory).or(memory);
            }
        }
    };
    if !status.success() {
        let errors = std::fs::read_to_string(directory.join("errors.log"))?;
        return Err(format!(
            "`orderctl {}` ended with {status}\n{errors}",
            arguments.join(" ")
        )
        .into());
    }
    Ok(memory)
}

/// Reads `VmHWM` of a `/proc/<pid>/status`, in MB.
fn peak_memory(status: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

/// The median time of `orderctl --version`.
async fn version_time(binary: &Path) -> Outcome<Duration> {
    let mut times = Vec::new();
    for _ in 0..VERSION_RUNS {
        let begun = Instant::now();
        let mut command = command(binary, Path::new("."));
        let status = command
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .await?;
        times.push(begun.elapsed());
        if !status.success() {
            return Err(format!("`orderctl --version` ended with {status}").into());
        }
    }
    times.sort();
    Ok(times[VERSION_RUNS / 2])
}

/// A proxy on loopback that counts requests and holds each back for a while. Connections do not
/// wait for one another.
struct Proxy {
    port: u16,
    calls: Arc<AtomicU64>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    async fn start(upstream: u16, latency: Duration) -> Outcome<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let calls = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&calls);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    if let Err(error) = relay(client, upstream, latency, &counter).await {
                        eprintln!("proxy: {error}");
                    }
                });
            }
        });
        Ok(Self {
            port,
            calls,
            accepting,
        })
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Carries the requests of one connection over, one by one, and all answers as they come.
async fn relay(
    client: TcpStream,
    upstream: u16,
    latency: Duration,
    calls: &AtomicU64,
) -> Outcome<()> {
    let server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    for socket in [&client, &server] {
        socket.set_nodelay(true)?;
    }
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(async move {
        // Either side may close at any time; the other then sees it.
        let _closed = tokio::io::copy(&mut from_server, &mut to_client).await;
    });
    let mut requests = BufReader::new(from_client);
    while let Some(request) = read_request(&mut requests).await? {
        calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(latency).await;
        to_server.write_all(&request).await?;
    }
    drop(to_server);
    answers.await?;
    Ok(())
}

/// Reads one HTTP/1.1 request, head and body; `None` when the client is done.
async fn read_request(
    requests: &mut BufReader<tokio::net::tcp::OwnedReadHalf>,
) -> Outcome<Option<Vec<u8>>> {
    let mut request = Vec::new();
    let mut length = 0;
    loop {
        let begin = request.len();
        match requests.read_until(b'\n', &mut request).await {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            // A client that ends without closing its connections.
            Err(_) if request.is_empty() => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let line = String::from_utf8_lossy(&request[begin..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        } else if line.starts_with("transfer-encoding:") {
            return Err("a request of unknown length".into());
        } else if line.trim().is_empty() {
            break;
        }
    }
    let begin = request.len();
    request.resize(begin + length, 0);
    requests.read_exact(&mut request[begin..]).await?;
    Ok(Some(request))
}

fn report(version: Duration, measured: &[Measure]) {
    let mut table = Table::new();
    table.set_header([
        "command",
        "added per call",
        "HTTP calls",
        "time",
        "peak memory",
    ]);
    for measure in measured {
        table.add_row([
            measure.command.to_owned(),
            format!("{} ms", measure.latency.as_millis()),
            measure.calls.to_string(),
            format!("{:.2} s", measure.took.as_secs_f64()),
            measure
                .memory
                .map_or("?".to_owned(), |mb| format!("{mb:.0} MB")),
        ]);
    }
    table.add_row([
        "--version".to_owned(),
        String::new(),
        String::new(),
        format!("{:.1} ms", version.as_secs_f64() * 1000.0),
        String::new(),
    ]);
    println!("{table}");
    let plans = measured.iter().filter(|m| m.command.starts_with("plan"));
    let calls = plans.map(|m| m.calls).max().unwrap_or_default();
    let memory = measured.iter().filter_map(|m| m.memory).fold(0.0, f64::max);
    let milliseconds = version.as_secs_f64() * 1000.0;
    bar(
        calls <= PLAN_CALLS,
        format!("a plan with nothing to do: {calls} calls, at most {PLAN_CALLS}"),
    );
    bar(
        memory <= MEMORY_MB,
        format!("peak memory: {memory:.0} MB, at most {MEMORY_MB:.0} MB"),
    );
    bar(
        version <= VERSION_TIME,
        format!(
            "--version: {milliseconds:.1} ms, at most {} ms",
            VERSION_TIME.as_millis()
        ),
    );
}

fn bar(held: bool, text: String) {
    println!("{} {text}", if held { "held  " } else { "MISSED" });
}
