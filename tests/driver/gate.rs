//! A proxy before the local AWS that stops all requests at a certain one, so that a test can do
//! something in the middle of a run without any timing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(180);

/// Lets requests through until the first that contains a text; holds that one and all after it, or
/// all after it that contain the text too.
pub struct Gate {
    pub endpoint: String,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    closes_at: String,
    lets_others_pass: bool,
    /// What came from the client, by connection.
    heard: Mutex<Vec<Vec<u8>>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Watching,
    Closed,
    Open,
    Dropping,
}

impl Gate {
    pub fn before(endpoint: &str, closes_at: &str) -> Self {
        Self::new(endpoint, closes_at, false)
    }

    /// One that holds requests with this text alone.
    pub fn only_before(endpoint: &str, closes_at: &str) -> Self {
        Self::new(endpoint, closes_at, true)
    }

    fn new(endpoint: &str, closes_at: &str, lets_others_pass: bool) -> Self {
        let server = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Self {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            shared: Arc::new(Shared {
                state: Mutex::new(State::Watching),
                changed: Condvar::new(),
                closes_at: closes_at.to_owned(),
                lets_others_pass,
                heard: Mutex::default(),
            }),
        };
        let shared = Arc::clone(&gate.shared);
        thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                let Ok(server) = TcpStream::connect(&server) else {
                    return;
                };
                let (answers, to_client) =
                    (server.try_clone().unwrap(), client.try_clone().unwrap());
                let shared = Arc::clone(&shared);
                shared.heard.lock().unwrap().push(Vec::new());
                thread::spawn(move || {
                    copy(client, server, |bytes| {
                        shared.heard.lock().unwrap()[number].extend_from_slice(bytes);
                        shared.may_pass(bytes)
                    });
                });
                thread::spawn(move || copy(answers, to_client, |_| true));
            }
        });
        gate
    }

    /// One that never closes, and only listens.
    pub fn open_before(endpoint: &str) -> Self {
        let gate = Self::before(endpoint, "");
        gate.open();
        gate
    }

    /// The requests so far, by connection.
    pub fn heard(&self) -> Vec<String> {
        let heard = self.shared.heard.lock().unwrap();
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        heard.iter().map(text).collect()
    }

    /// Returns once a request is held.
    pub fn wait_until_closed(&self) {
        let state = self.shared.state.lock().unwrap();
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, PATIENCE, |state| *state == State::Watching)
            .unwrap();
        assert_eq!(*state, State::Closed, "no request contained the text");
    }

    /// Lets what is held, and all that comes, through.
    pub fn open(&self) {
        self.set(State::Open);
    }

    /// Cuts the connections of what is held, and of all that comes.
    pub fn cut(&self) {
        self.set(State::Dropping);
    }

    fn set(&self, to: State) {
        *self.shared.state.lock().unwrap() = to;
        self.shared.changed.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Shared {
    fn may_pass(&self, bytes: &[u8]) -> bool {
        let mut state = self.state.lock().unwrap();
        let marker = self.closes_at.as_bytes();
        let mut parts = bytes.windows(marker.len().max(1));
        let is_meant = !marker.is_empty() && parts.any(|part| part == marker);
        if *state == State::Watching && is_meant {
            *state = State::Closed;
            self.changed.notify_all();
        }
        if *state == State::Closed && self.lets_others_pass && !is_meant {
            return true;
        }
        let state = self
            .changed
            .wait_while(state, |state| *state == State::Closed)
            .unwrap();
        *state != State::Dropping
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, may_pass: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !may_pass(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
