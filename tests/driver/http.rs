//! The few lines of HTTP it takes to ask the local AWS, or to be a small one.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Sends a request signed for `service`, and gives the answer's body. Panics at a refusal.
pub fn post(endpoint: &str, service: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    // The local AWS checks no signature; it takes the service's name from it.
    let scope = format!("Credential=test/20260101/us-east-1/{service}/aws4_request");
    let headers = format!(
        "{headers}\r\nAuthorization: AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0\r\n\
         Content-Length: {length}"
    );
    exchange(endpoint, "POST /", &headers, body)
}

/// Sends JSON to a path, and gives the answer's body. Panics at a refusal.
pub fn post_to(endpoint: &str, path: &str, body: &str) -> String {
    let headers = format!(
        "Content-Type: application/json\r\nContent-Length: {}",
        body.len()
    );
    exchange(endpoint, &format!("POST {path}"), &headers, body)
}

/// Gets a path, and gives the answer's body. Panics at a refusal.
pub fn get(endpoint: &str, path: &str) -> String {
    exchange(endpoint, &format!("GET {path}"), "Accept: */*", "")
}

/// Deletes a path. Panics at a refusal.
pub fn delete(endpoint: &str, path: &str) {
    exchange(endpoint, &format!("DELETE {path}"), "Accept: */*", "");
}

/// Sends a request to S3, and gives the answer's status and body.
pub fn s3(endpoint: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let scope = "Credential=test/20260101/us-east-1/s3/aws4_request";
    let headers = format!(
        "Authorization: AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0\r\n\
         Content-Length: {}",
        body.len()
    );
    let (head, body) = send(endpoint, &format!("{method} {path}"), &headers, body);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body)
}

fn exchange(endpoint: &str, request: &str, headers: &str, body: &str) -> String {
    let (head, body) = send(endpoint, request, headers, body);
    assert_eq!(head.split(' ').nth(1), Some("200"), "{head}\n{body}");
    body
}

fn send(endpoint: &str, request: &str, headers: &str, body: &str) -> (String, String) {
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{request} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// A server on loopback that answers with what a function says, and keeps what it was asked.
pub struct FakeAws {
    pub endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeAws {
    /// Answers every request body with `answer(body)`.
    pub fn start(answer: fn(&str) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let server = Self {
            endpoint,
            asked: Arc::clone(&asked),
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let asked = Arc::clone(&asked);
                thread::spawn(move || serve(stream, answer, &asked));
            }
        });
        server
    }

    /// The bodies of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, answer: fn(&str) -> String, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let mut head = VecDeque::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.trim().is_empty() => break,
            Ok(_) => head.push_back(line.to_ascii_lowercase()),
        }
    }
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    let text = answer(&body);
    asked.lock().unwrap().push(body);
    let _gone = write!(
        reader.get_mut(),
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
}
