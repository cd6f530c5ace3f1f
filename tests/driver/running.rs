//! A run of the program that is under way: what it says line by line, and signals to it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Outcome;

const PATIENCE: Duration = Duration::from_secs(180);
/// What a command promises is 6 seconds.
const BY_ITSELF: Duration = Duration::from_secs(30);

pub struct Running {
    child: Child,
    line: String,
    stdout: Receiver<Vec<u8>>,
    data: Vec<u8>,
    stderr: Receiver<String>,
    said: String,
}

impl Running {
    pub fn start(line: &str, mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (bytes, data) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                let _nobody = bytes.send(buffer[..count].to_vec());
            }
        });
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, stderr) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _nobody = sender.send(line);
            }
        });
        Self {
            child,
            line: line.to_owned(),
            stdout: data,
            data: Vec::new(),
            stderr,
            said: String::new(),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The arguments as every user of the machine can see them.
    pub fn command_line(&self) -> String {
        fs::read_to_string(format!("/proc/{}/cmdline", self.id())).unwrap()
    }

    /// Whether the program has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends what Ctrl-C sends.
    pub fn interrupt(&self) {
        self.signal(Signal::SIGINT);
    }

    /// Sends what a CI system sends to a job that is cancelled.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Sends what a terminal sends that is closed.
    pub fn hang_up(&self) {
        // What was started under `nohup` ignores it, and so do its children.
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let mask = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
        let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
        match mask & 1 {
            0 => self.signal(Signal::SIGHUP),
            _ => self.terminate(),
        }
    }

    /// Ends it as if the power had failed.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Lets it not run, without its noticing.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.id().try_into().unwrap());
        kill(id, signal).unwrap();
    }

    /// Returns once stderr has a line with this text.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        loop {
            match self.stderr.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.said.push_str(&line);
                    self.said.push('\n');
                    if line.contains(text) {
                        return;
                    }
                }
                Err(error) => panic!("no line with {text:?} ({error}) in\n{}", self.said),
            }
        }
    }

    /// Returns once stdout has this text.
    #[track_caller]
    pub fn wait_for_data(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.data).contains(text) {
            match self.stdout.recv_timeout(PATIENCE) {
                Ok(bytes) => self.data.extend(bytes),
                Err(error) => {
                    let data = String::from_utf8_lossy(&self.data);
                    panic!(
                        "no {text:?} ({error}) in\n{data}\n--- stderr\n{}",
                        self.said
                    )
                }
            }
        }
    }

    /// Waits for an end that nothing else brings about: it must come by itself, and within a time
    /// that is several times the promised one, because the machine may be busy.
    #[track_caller]
    pub fn finish_by_itself(self) -> Outcome {
        let begun = Instant::now();
        let outcome = self.finish();
        let took = begun.elapsed();
        assert!(took < BY_ITSELF, "it took {took:?}: {outcome}");
        outcome
    }

    /// Waits for the end.
    #[track_caller]
    pub fn finish(mut self) -> Outcome {
        loop {
            match self.stderr.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.said.push_str(&line);
                    self.said.push('\n');
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.said),
            }
        }
        self.data.extend(self.stdout.iter().flatten());
        let stdout = String::from_utf8(std::mem::take(&mut self.data)).unwrap();
        let status = self.child.wait().unwrap();
        Outcome {
            line: self.line.clone(),
            code: status.code(),
            stdout,
            stderr: std::mem::take(&mut self.said),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped_already = self.child.wait();
    }
}
