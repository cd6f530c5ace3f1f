//! Sends an image to a registry: its parts side by side, those left out that are there already, then
//! the manifest, which makes an image of them.

use std::io::{self, Read};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::{Client, Reference, RegistryOperation};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout};

use super::content::Blob;
use super::files::Piece;
use super::{Image, Registry};
use crate::engine::{Stop, settle};
use crate::resource::{Class, Error, Result};

/// How many parts are on their way at once.
const AT_ONCE: usize = 4;
/// How often one request, or the upload of one part, is tried.
const TRIES: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A transfer in which nothing moves for so long is tried anew. AWS needs some of it after the last
/// byte, to check what it got.
const STALLED: Duration = Duration::from_secs(120);
const CHUNK: usize = 128 << 10;
/// Chunks that are read ahead of the network.
const READ_AHEAD: usize = 4;

/// What happens during a push; digests are those of the parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The registry has it already.
    Present {
        /// Which.
        digest: String,
        /// Its bytes.
        size: u64,
    },
    /// It is being sent, from the beginning.
    Sending {
        /// Which.
        digest: String,
        /// Its bytes.
        size: u64,
    },
    /// More of it has left.
    Sent {
        /// Which.
        digest: String,
        /// How many bytes more.
        bytes: u64,
    },
    /// The registry has it now.
    Uploaded {
        /// Which.
        digest: String,
        /// Its bytes.
        size: u64,
        /// How long the last try took.
        took: Duration,
    },
    /// It did not work, and is tried again.
    Again {
        /// Which; empty for the manifest.
        digest: String,
        /// Why.
        reason: String,
    },
}

/// What a push did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Parts that were sent.
    pub uploaded: usize,
    /// Their bytes.
    pub uploaded_bytes: u64,
    /// Parts that were there already.
    pub skipped: usize,
}

/// Pushes an image into a repository under a tag. Nothing but parts without an image is left behind
/// where it fails or is dropped; the registry forgets those.
///
/// # Errors
/// Named after the operations of ECR that the requests are, as permissions have them.
pub async fn push(
    image: &Image,
    registry: &Registry,
    repository: &str,
    tag: &str,
    progress: &UnboundedSender<Progress>,
) -> Result<Pushed> {
    let reference =
        Reference::with_tag(registry.host.clone(), repository.to_owned(), tag.to_owned());
    let line = Line {
        client: client(registry)?,
        reference,
        progress: progress.clone(),
    };
    line.log_in(registry).await?;
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut uploads = JoinSet::new();
    for blob in image.blobs.clone() {
        let (line, slots) = (line.clone(), Arc::clone(&slots));
        uploads.spawn(async move {
            let _slot = slots.acquire().await;
            line.bring(&blob).await.map(|is_new| (is_new, blob.size))
        });
    }
    let mut pushed = Pushed::default();
    while let Some(ended) = uploads.join_next().await {
        let lost = |error| {
            Error::new(
                "ecr:UploadLayerPart",
                Class::Unclear,
                format!("the upload broke off: {error}"),
            )
        };
        match ended.map_err(lost)?? {
            (true, size) => {
                pushed.uploaded += 1;
                pushed.uploaded_bytes += size;
            }
            (false, _) => pushed.skipped += 1,
        }
    }
    line.finish(image).await?;
    Ok(pushed)
}

fn client(registry: &Registry) -> Result<Client> {
    let mut config = ClientConfig {
        // ECR drops all chunks of a chunked upload but the first (aws/containers-roadmap#2831).
        use_monolithic_push: true,
        connect_timeout: Some(Duration::from_secs(10)),
        user_agent: concat!("orderctl/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    if registry.is_plain {
        config.protocol = ClientProtocol::Http;
        // No proxy of the environment stands between this machine and itself. To be exempt from one is
        // the only way to say so.
        config.http_proxy = Some("http://127.0.0.1:9".to_owned());
        config.no_proxy = Some("127.0.0.1,localhost,::1".to_owned());
    }
    Client::try_from(config).map_err(|error| translate("ecr:GetAuthorizationToken", error))
}

/// The connection to one repository.
#[derive(Clone)]
struct Line {
    client: Client,
    reference: Reference,
    progress: UnboundedSender<Progress>,
}

impl Line {
    /// Logs in first: from within other requests, a failure would look like a missing permission.
    async fn log_in(&self, registry: &Registry) -> Result<()> {
        for operation in [RegistryOperation::Pull, RegistryOperation::Push] {
            self.persist("", || async move {
                let answer = self.client.auth(&self.reference, &registry.auth, operation);
                answered("ecr:GetAuthorizationToken", answer).await
            })
            .await?;
        }
        Ok(())
    }

    /// Sees to it that the registry has a part. Says whether it had to be sent.
    async fn bring(&self, blob: &Blob) -> Result<bool> {
        self.persist(&blob.digest, || async move {
            let exists = self.client.blob_exists(&self.reference, &blob.digest);
            let (digest, size) = (blob.digest.clone(), blob.size);
            if answered("ecr:BatchCheckLayerAvailability", exists).await? {
                self.tell(Progress::Present { digest, size });
                return Ok(false);
            }
            self.tell(Progress::Sending { digest, size });
            let begun = Instant::now();
            self.send(blob).await?;
            self.tell(Progress::Uploaded {
                digest: blob.digest.clone(),
                size,
                took: begun.elapsed(),
            });
            Ok(true)
        })
        .await
    }

    async fn send(&self, blob: &Blob) -> Result<()> {
        const OPERATION: &str = "ecr:UploadLayerPart";
        let moved = Arc::new(AtomicU64::new(0));
        let body = Body {
            chunks: read(blob.content.clone()),
            digest: blob.digest.clone(),
            progress: self.progress.clone(),
            moved: Arc::clone(&moved),
        };
        let sent =
            self.client
                .push_blob_stream(&self.reference, body, &blob.digest, Some(blob.size));
        let mut sent = pin!(sent);
        let mut seen = 0;
        loop {
            match timeout(STALLED, &mut sent).await {
                Ok(ended) => {
                    return ended
                        .map(|_url| ())
                        .map_err(|error| translate(OPERATION, error));
                }
                Err(_) if moved.load(Ordering::Relaxed) == seen => return Err(silent(OPERATION)),
                Err(_) => seen = moved.load(Ordering::Relaxed),
            }
        }
    }

    /// Sends the manifest, once the registry has all its parts.
    async fn finish(&self, image: &Image) -> Result<()> {
        const OPERATION: &str = "ecr:PutImage";
        let no_type = |_| {
            Error::new(
                OPERATION,
                Class::Refused,
                "the manifest's media type is none",
            )
        };
        let manifest = Bytes::from(image.manifest.clone());
        let manifest = &manifest;
        self.persist("", || async move {
            let media_type = image.media_type.parse().map_err(no_type)?;
            let put = self
                .client
                .push_manifest_raw(&self.reference, manifest.clone(), media_type);
            answered(OPERATION, put).await.map(|_url| ())
        })
        .await
    }

    /// Tries until it works, as long as it is not refused. Everything here can be done twice.
    async fn persist<T, F>(&self, digest: &str, work: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            match work().await {
                Err(error)
                    if tries < TRIES
                        && matches!(error.class(), Class::Throttled | Class::Unclear) =>
                {
                    self.tell(Progress::Again {
                        digest: digest.to_owned(),
                        reason: error.to_string(),
                    });
                }
                ended => return ended,
            }
            tries += 1;
            settle(pause.mul_f64(0.75 + fastrand::f64() / 2.0), &Stop::never()).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn tell(&self, progress: Progress) {
        // Nobody needs to look.
        let _unseen = self.progress.send(progress);
    }
}

/// Reads a part ahead of the network, on a thread that may wait for a disk.
fn read(content: Piece) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    spawn_blocking(move || {
        let mut reader = content.reader();
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = reader.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
            let chunk = match read {
                Ok(0) => break,
                Ok(_) => Ok(Bytes::from(chunk)),
                Err(error) => Err(error),
            };
            let is_last = chunk.is_err();
            // The upload may have been given up.
            if sender.blocking_send(chunk).is_err() || is_last {
                break;
            }
        }
    });
    receiver
}

/// The body of an upload, which counts what leaves.
struct Body {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    digest: String,
    progress: UnboundedSender<Progress>,
    moved: Arc<AtomicU64>,
}

impl Stream for Body {
    type Item = oci_client::errors::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.poll_recv(context).map(|chunk| match chunk? {
            Ok(chunk) => {
                let bytes = chunk.len() as u64;
                self.moved.fetch_add(bytes, Ordering::Relaxed);
                let digest = self.digest.clone();
                let _unseen = self.progress.send(Progress::Sent { digest, bytes });
                Some(Ok(chunk))
            }
            Err(error) => Some(Err(error.into())),
        })
    }
}

/// Waits for the answer to a small request.
async fn answered<T>(
    operation: &'static str,
    request: impl Future<Output = oci_client::errors::Result<T>>,
) -> Result<T> {
    match timeout(STALLED, request).await {
        Ok(answer) => answer.map_err(|error| translate(operation, error)),
        Err(_) => Err(silent(operation)),
    }
}

fn silent(operation: &str) -> Error {
    let message = format!("the registry has not answered for {} s", STALLED.as_secs());
    Error::new(operation, Class::Unclear, message).with_advice(NETWORK)
}

const NETWORK: &str =
    "check the network, then run the same command again: what has arrived is not sent twice";

/// Turns the registry's answer into an error of ours.
fn translate(operation: &str, error: OciDistributionError) -> Error {
    let (status, body) = match &error {
        OciDistributionError::ServerError { code, message, .. } => {
            (Some(*code), serde_json::from_str(message).ok())
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            (Some(400), serde_json::to_value(envelope).ok())
        }
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::AuthenticationFailure(_) => (Some(401), None),
        OciDistributionError::RequestError(error) => {
            (error.status().map(|status| status.as_u16()), None)
        }
        _ => (None, None),
    };
    let told = body.as_ref().and_then(|body: &Value| body["errors"].get(0));
    let code = told.and_then(|told| told["code"].as_str());
    let message = match (told.and_then(|told| told["message"].as_str()), status) {
        (Some(message), _) if !message.is_empty() => message.to_owned(),
        (_, Some(status)) => format!("the registry answered with status {status}"),
        _ => deepest(&error),
    };
    let class = match (status, code) {
        (_, Some("TOOMANYREQUESTS")) | (Some(429), _) => Class::Throttled,
        (Some(401 | 403), _) | (_, Some("DENIED" | "UNAUTHORIZED")) => Class::Denied,
        // An upload that the registry has forgotten is begun anew.
        (_, Some("BLOB_UPLOAD_UNKNOWN")) => Class::Unclear,
        (Some(404), _) => Class::NotFound,
        (Some(400..500), _) => Class::Refused,
        (Some(_), _) | (None, _) if !matches!(error, OciDistributionError::IoError(_)) => {
            Class::Unclear
        }
        _ => Class::Refused,
    };
    let mut translated = Error::new(operation, class, message);
    if let Some(code) = code {
        translated = translated.with_code(code);
    }
    match class {
        Class::Denied => translated.with_advice("check the permission for this operation: `orderctl policy push` lists what a push needs"),
        Class::NotFound => translated.with_advice("`orderctl up` makes the repository"),
        Class::Unclear | Class::Throttled => translated.with_advice(NETWORK),
        _ if code == Some("TAG_INVALID") => translated.with_advice("give another --tag"),
        _ => translated,
    }
}

/// The first cause: the text of a failed request says little of why.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_registry_says_what_failed_and_whether_to_try_again() {
        let server = |code: u16, message: &str| OciDistributionError::ServerError {
            code,
            url: "https://x/v2/".into(),
            message: message.into(),
        };
        let told = |code: &str| format!(r#"{{"errors":[{{"code":"{code}","message":"words"}}]}}"#);
        let cases = [
            (server(429, "slow down"), Class::Throttled, None),
            (server(503, ""), Class::Unclear, None),
            (server(403, &told("DENIED")), Class::Denied, Some("DENIED")),
            (
                server(404, &told("NAME_UNKNOWN")),
                Class::NotFound,
                Some("NAME_UNKNOWN"),
            ),
            (
                server(404, &told("BLOB_UPLOAD_UNKNOWN")),
                Class::Unclear,
                Some("BLOB_UPLOAD_UNKNOWN"),
            ),
            (
                server(400, &told("TAG_INVALID")),
                Class::Refused,
                Some("TAG_INVALID"),
            ),
            (
                OciDistributionError::IoError(io::Error::other("disk")),
                Class::Refused,
                None,
            ),
            (
                OciDistributionError::RegistryNoLocationError,
                Class::Unclear,
                None,
            ),
        ];
        for (error, class, code) in cases {
            let text = error.to_string();
            let translated = translate("ecr:PutImage", error);
            assert_eq!(
                (translated.class(), translated.code()),
                (class, code),
                "{text}"
            );
        }
    }
}
