//! Objects of one bucket, for the store of states (`state/objects.rs` says what it asks of them).
//!
//! The bucket may live in another region than the stack: S3 answers a request to the wrong one with
//! its right region (`x-amz-bucket-region`; field `Region` of `AuthorizationHeaderMalformed`), and
//! the client turns there. Encryption and everything else about the bucket are its owner's: an
//! object is written with the bucket's defaults, and a bucket is never made.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{
    Intercept, SharedInterceptor, dyn_dispatch_hint,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::RetryConfig;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::clients::{Connection, configuration};
use super::error::Answer as _;
use super::observer::{CallCount, CallObserver};
use crate::resource::{Class, Error};
use crate::state::{Answer, Expect, Object, ObjectError, Objects};

#[cfg(test)]
mod tests;

/// How long one request may take: far less than a lease lasts, so that a renewal can be repeated.
const ATTEMPT: Duration = Duration::from_secs(20);

/// A prefix of a bucket.
pub struct Bucket {
    sdk: SdkConfig,
    path_style: bool,
    extra: Option<SharedInterceptor>,
    name: String,
    prefix: String,
    current: Mutex<(Client, String)>,
}

impl Bucket {
    /// Prepares clients for a bucket. Makes no call.
    pub async fn connect(connection: &Connection, name: String, prefix: String) -> Self {
        // Emulators and other stores do not know the bucket's name as a host's.
        let path_style = connection.endpoint_url.is_some();
        let sdk = configuration(connection).await;
        Self::build(sdk, path_style, None, name, prefix)
    }

    fn build(
        sdk: SdkConfig,
        path_style: bool,
        extra: Option<SharedInterceptor>,
        name: String,
        prefix: String,
    ) -> Self {
        let region = sdk.region().map_or_else(String::new, ToString::to_string);
        let client = client(&sdk, path_style, extra.as_ref(), &region);
        Self {
            sdk,
            path_style,
            extra,
            name,
            prefix,
            current: Mutex::new((client, region)),
        }
    }

    fn current(&self) -> (Client, String) {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn turn_to(&self, region: String) {
        let client = client(&self.sdk, self.path_style, self.extra.as_ref(), &region);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = (client, region);
    }

    /// Sends a request, once more if the bucket turns out to be in another region.
    async fn send<T, E, F>(
        &self,
        operation: &str,
        request: impl Fn(Client) -> F,
    ) -> Result<T, ObjectError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let (client, region) = self.current();
        let mut answer = request(client).await;
        let elsewhere = answer.as_ref().err().and_then(region_told);
        if let Some(right) = elsewhere.filter(|right| *right != region) {
            tracing::info!(bucket = self.name, region = right, "the bucket's region");
            self.turn_to(right);
            answer = request(self.current().0).await;
        }
        answer.of(operation).map_err(|error| self.sort(error))
    }

    fn sort(&self, error: Error) -> ObjectError {
        let code = error.code().unwrap_or_default().to_owned();
        let (name, prefix) = (&self.name, &self.prefix);
        match code.as_str() {
            "PreconditionFailed" | "NoSuchKey" => return ObjectError::Changed,
            // "A conflicting conditional operation is currently in progress against this resource."
            "ConditionalRequestConflict" | "OperationAborted" => return ObjectError::Busy(error),
            // The connection was closed before all of the request had come.
            "RequestTimeout" => return ObjectError::Unclear(error),
            _ => {}
        }
        let advice = match code.as_str() {
            "NoSuchBucket" => format!(
                "correct the name in --state, or make the bucket first (README, \"Shared state\"): orderctl never makes `{name}` itself"
            ),
            "PermanentRedirect" | "AuthorizationHeaderMalformed" | "TemporaryRedirect" => {
                format!(
                    "S3 did not say in which region `{name}` is; look at it with `aws s3api head-bucket`"
                )
            }
            "NotImplemented" => {
                "states need a store that knows conditional writes (If-Match, If-None-Match)"
                    .to_owned()
            }
            "AccessDenied" => format!(
                "these credentials need s3:GetObject, s3:PutObject and s3:DeleteObject on {name}/{prefix}*, and s3:ListBucket on {name}: \
                 without the last, S3 answers AccessDenied for what is not there"
            ),
            _ => {
                return match error.class() {
                    Class::Throttled => ObjectError::Busy(error),
                    Class::Unclear => ObjectError::Unclear(error),
                    _ => ObjectError::Refused(error),
                };
            }
        };
        ObjectError::Refused(error.with_advice(advice))
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    async fn read(&self, key: &str) -> Result<Option<Object>, ObjectError> {
        const OPERATION: &str = "s3:GetObject";
        let date = DateHeader::default();
        let got = self
            .send(OPERATION, |client| {
                client
                    .get_object()
                    .bucket(&self.name)
                    .key(self.key(key))
                    .customize()
                    .interceptor(date.clone())
                    .send()
            })
            .await;
        let got = match got {
            Err(ObjectError::Changed) => return Ok(None),
            got => got?,
        };
        let missing = |field| ObjectError::Unclear(Error::missing_field(OPERATION, field));
        let modified = got
            .last_modified
            .and_then(|time| Timestamp::from_second(time.secs()).ok());
        let body = got.body.collect().await.map_err(|error| {
            let message = format!("the answer broke off: {error}");
            ObjectError::Unclear(Error::new(OPERATION, Class::Unclear, message))
        })?;
        Ok(Some(Object {
            body: body.to_vec(),
            etag: got.e_tag.ok_or_else(|| missing("ETag"))?,
            modified: modified.ok_or_else(|| missing("Last-Modified"))?,
            now: date.read().ok_or_else(|| missing("Date"))?,
        }))
    }

    async fn write(
        &self,
        key: &str,
        body: Vec<u8>,
        expect: &Expect,
    ) -> Result<String, ObjectError> {
        const OPERATION: &str = "s3:PutObject";
        let written = self
            .send(OPERATION, |client| {
                let put = client
                    .put_object()
                    .bucket(&self.name)
                    .key(self.key(key))
                    .content_type("application/json")
                    .body(ByteStream::from(body.clone()));
                match expect {
                    Expect::Absent => put.if_none_match("*"),
                    Expect::Is(etag) => put.if_match(etag),
                }
                .send()
            })
            .await?;
        let missing = || ObjectError::Unclear(Error::missing_field(OPERATION, "ETag"));
        written.e_tag.ok_or_else(missing)
    }

    async fn erase(&self, key: &str, etag: &str) -> Result<(), ObjectError> {
        self.send("s3:DeleteObject", |client| {
            let delete = client.delete_object().bucket(&self.name);
            delete.key(self.key(key)).if_match(etag).send()
        })
        .await
        .map(|_| ())
    }

    async fn keys(&self) -> Result<Vec<String>, ObjectError> {
        let mut keys = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = self
                .send("s3:ListObjectsV2", |client| {
                    client
                        .list_objects_v2()
                        .bucket(&self.name)
                        .prefix(&self.prefix)
                        .delimiter("/")
                        .set_continuation_token(next.clone())
                        .send()
                })
                .await?;
            let found = page.contents.unwrap_or_default().into_iter();
            keys.extend(
                found.filter_map(|object| Some(object.key?.strip_prefix(&self.prefix)?.to_owned())),
            );
            next = page.next_continuation_token;
            if next.is_none() {
                return Ok(keys);
            }
        }
    }
}

impl Objects for Bucket {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Object>> {
        Box::pin(self.read(key))
    }

    fn put<'a>(&'a self, key: &'a str, body: Vec<u8>, expect: &'a Expect) -> Answer<'a, String> {
        Box::pin(self.write(key, body, expect))
    }

    fn delete<'a>(&'a self, key: &'a str, etag: &'a str) -> Answer<'a, ()> {
        Box::pin(self.erase(key, etag))
    }

    fn list(&self) -> Answer<'_, Vec<String>> {
        Box::pin(self.keys())
    }

    fn place(&self, key: &str) -> String {
        format!("s3://{}/{}{key}", self.name, self.prefix)
    }
}

fn client(
    sdk: &SdkConfig,
    path_style: bool,
    extra: Option<&SharedInterceptor>,
    region: &str,
) -> Client {
    let mut config = aws_sdk_s3::config::Builder::from(sdk)
        .region(Region::new(region.to_owned()))
        .force_path_style(path_style)
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(10))
                .operation_attempt_timeout(ATTEMPT)
                .build(),
        );
    if let Some(extra) = extra {
        config.push_interceptor(extra.clone());
    }
    // What the store of states costs is no part of what a command is said to have called.
    config.push_interceptor(SharedInterceptor::new(CallObserver::new(
        CallCount::default(),
    )));
    Client::from_conf(config.build())
}

/// The bucket's region, where S3 refuses because the request went to another one.
fn region_told<E>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let answer = error.raw_response()?;
    if !matches!(answer.status().as_u16(), 301 | 307 | 400) {
        return None;
    }
    if let Some(region) = answer.headers().get("x-amz-bucket-region") {
        return Some(region.to_owned());
    }
    let body = std::str::from_utf8(answer.body().bytes()?).ok()?;
    let (region, _) = body.split_once("<Region>")?.1.split_once("</Region>")?;
    Some(region.to_owned())
}

/// Keeps what S3's clock said with the last answer to a request.
#[derive(Clone, Debug, Default)]
struct DateHeader(Arc<Mutex<Option<String>>>);

impl DateHeader {
    fn read(&self) -> Option<Timestamp> {
        let date = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()?;
        Some(rfc2822::parse(&date).ok()?.timestamp())
    }
}

#[dyn_dispatch_hint]
impl Intercept for DateHeader {
    fn name(&self) -> &'static str {
        "DateHeader"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").map(str::to_owned);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}
