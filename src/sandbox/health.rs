//! Asks a port whether it is our sandbox, with the few lines of HTTP that takes.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Settings;

/// The name that only our server gives on its health path.
const NAME: &str = "orderctl-sandbox";

/// The server answers this path without waiting for anything, so a silent port is not ours.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the server says about itself.
#[derive(Debug, Deserialize)]
pub(super) struct Health {
    name: String,
    /// Its process id.
    pub pid: u32,
    /// Content hash of the layer it runs.
    pub layer: String,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// How it behaves; a layer from before there was a choice says nothing.
    #[serde(default)]
    pub settings: Settings,
}

/// Returns what the server on a loopback port says about itself, or `None` when it is not ours or not there.
pub(super) async fn ask(port: u16) -> Option<Health> {
    let answer = timeout(PATIENCE, get(port)).await.ok()?.ok()?;
    let text = String::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    if head.split(' ').nth(1).is_none_or(|status| status != "200") {
        return None;
    }
    let health: Health = serde_json::from_str(body).ok()?;
    (health.name == NAME).then_some(health)
}

async fn get(port: u16) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    // HTTP/1.0 keeps the answer unchunked and ends it with the connection.
    stream
        .write_all(b"GET /orderctl/sandbox HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn answered_with(answer: &'static str) -> Option<Health> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 256];
            let _ = stream.read(&mut request).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        tokio::join!(ask(port), server).0
    }

    #[tokio::test]
    async fn believes_only_our_own_answer() {
        let ours = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\
                    {\"name\":\"orderctl-sandbox\",\"pid\":7,\"layer\":\"abc\",\"started\":9,\"moto\":\"5.2.5\"}";
        let health = answered_with(ours).await.expect("our own answer");
        assert_eq!(
            (health.pid, health.layer.as_str(), health.started),
            (7, "abc", 9)
        );

        let other =
            "HTTP/1.1 200 OK\r\n\r\n{\"name\":\"else\",\"pid\":7,\"layer\":\"abc\",\"started\":9}";
        assert!(answered_with(other).await.is_none());
        assert!(
            answered_with("HTTP/1.1 404 Not Found\r\n\r\n{}")
                .await
                .is_none()
        );
        assert!(
            answered_with("HTTP/1.1 200 OK\r\n\r\nhello")
                .await
                .is_none()
        );
        assert!(answered_with("").await.is_none());
    }

    #[tokio::test]
    async fn nothing_listens() {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        assert!(ask(port).await.is_none());
    }
}
