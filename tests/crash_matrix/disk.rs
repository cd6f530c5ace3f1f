//! What a disk can do to a program at the worst moment. Compiled by the crash matrix into a library that is loaded
//! before the C library (`LD_PRELOAD`), where it stands in front of `write`.
//!
//! `DISK_FAULT` says what happens when a state document is written: `stop` stops the process before each one, `kill:N`
//! kills it before the N-th, `full:N` writes half of the N-th and then says that there is no space left. The file
//! `DISK_LOG` gets a byte for each stop, before it.

use std::ffi::c_void;
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const SYS_WRITE: i64 = if cfg!(target_arch = "aarch64") { 64 } else { 1 };
const ENOSPC: i32 = 28;
const SIGKILL: i32 = 9;
const SIGSTOP: i32 = 19;

unsafe extern "C" {
    fn syscall(number: i64, ...) -> i64;
    fn kill(process: i32, signal: i32) -> i32;
    fn getpid() -> i32;
    fn __errno_location() -> *mut i32;
}

enum Fault {
    None,
    Stop,
    Kill(u64),
    Full(u64),
}

fn fault() -> &'static Fault {
    static FAULT: OnceLock<Fault> = OnceLock::new();
    FAULT.get_or_init(|| {
        let text = std::env::var("DISK_FAULT").unwrap_or_default();
        let (what, number) = text.split_once(':').unwrap_or((&text, "0"));
        let number = number.parse().unwrap_or(0);
        match what {
            "stop" => Fault::Stop,
            "kill" => Fault::Kill(number),
            "full" => Fault::Full(number),
            _ => Fault::None,
        }
    })
}

/// Says that the process is about to stop.
fn note() {
    let Ok(path) = std::env::var("DISK_LOG") else {
        return;
    };
    let log = std::fs::OpenOptions::new().append(true).create(true).open(path);
    if let Ok(mut log) = log {
        let _unsaid = log.write_all(b".");
    }
}

/// Says whether this is the temporary file that becomes a state document.
fn is_state(descriptor: i32) -> bool {
    let link = std::fs::read_link(format!("/proc/self/fd/{descriptor}"));
    link.is_ok_and(|path| path.to_string_lossy().contains("/state/."))
}

/// Stands in front of the C library's `write`.
///
/// # Safety
/// As `write`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(descriptor: i32, bytes: *const c_void, count: usize) -> isize {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    // Standard streams, and the reading of the variable itself, are none of ours.
    if descriptor > 2 && !matches!(fault(), Fault::None) && is_state(descriptor) {
        let number = WRITTEN.fetch_add(1, Ordering::SeqCst) + 1;
        match fault() {
            Fault::Stop => {
                note();
                unsafe {
                    kill(getpid(), SIGSTOP);
                }
            }
            Fault::Kill(at) if *at == number => unsafe {
                kill(getpid(), SIGKILL);
            },
            Fault::Full(at) if *at == number => unsafe {
                syscall(SYS_WRITE, descriptor, bytes, count / 2);
                *__errno_location() = ENOSPC;
                return -1;
            },
            _ => {}
        }
    }
    unsafe { syscall(SYS_WRITE, descriptor, bytes, count) as isize }
}
