//! Turns the SDK's errors into ours: operation, code, request id and class are kept for the reader.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use aws_smithy_types::error::operation::BuildError;

use crate::resource::{Class, Error, Result};

/// Names the operation an SDK result belongs to.
pub trait Answer<T> {
    /// Turns an SDK error into ours; `operation` is `service:Operation`, as IAM writes it.
    fn of(self, operation: &str) -> Result<T>;
}

impl<T, E> Answer<T> for std::result::Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn of(self, operation: &str) -> Result<T> {
        self.map_err(|error| translate(operation, error))
    }
}

/// Reads "it is not there" as an answer instead of a failure.
pub trait GoneIsNone<T> {
    /// Gives `None` for errors with one of `codes`.
    fn gone_is_none(self, codes: &[&str]) -> Result<Option<T>>;
    /// Takes errors with one of `codes` as done; for deletes.
    fn gone_is_fine(self, codes: &[&str]) -> Result<()>;
}

impl<T> GoneIsNone<T> for Result<T> {
    fn gone_is_none(self, codes: &[&str]) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is(codes) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn gone_is_fine(self, codes: &[&str]) -> Result<()> {
        self.gone_is_none(codes).map(|_| ())
    }
}

/// Makes the error for an answer without a promised field, for `ok_or_else`.
pub fn missing(operation: &'static str, field: &'static str) -> impl FnOnce() -> Error {
    move || Error::missing_field(operation, field)
}

/// Turns the SDK's complaint about a request part without a required field into our error.
pub fn incomplete(operation: &'static str) -> impl FnOnce(BuildError) -> Error {
    move |error| Error::new(operation, Class::Refused, error.to_string())
}

fn translate<E>(operation: &str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|raw| raw.status().as_u16());
    let request_id = error.request_id().map(str::to_owned);
    match &error {
        SdkError::ServiceError(service) => {
            let code = service.err().code();
            let message = service.err().message().unwrap_or("AWS gave no message");
            let class = classify(code, status);
            let mut translated = Error::new(operation, class, message).with_request_id(request_id);
            if let Some(code) = code {
                translated = translated.with_code(code);
            }
            match class {
                Class::Denied => translated.with_advice(
                    "check the credentials (`aws sts get-caller-identity`) and the permission for this operation",
                ),
                Class::Quota => translated.with_advice(
                    "free some of these in the account, or ask for more in Service Quotas",
                ),
                _ => translated,
            }
        }
        SdkError::ConstructionFailure(_) => Error::new(
            operation,
            Class::Refused,
            DisplayErrorContext(&error).to_string(),
        ),
        _ => {
            let text = DisplayErrorContext(&error).to_string();
            if text.contains("credential") || text.contains("Credentials") {
                return Error::new(operation, Class::Denied, "no AWS credentials were found")
                    .with_advice(
                        "log in (`aws sso login`, AWS_PROFILE, AWS_ACCESS_KEY_ID), or use --sandbox",
                    );
            }
            let reason = text.split(" (").next().unwrap_or(&text).to_owned();
            Error::new(
                operation,
                Class::Unclear,
                format!("no usable answer: {reason}"),
            )
            .with_request_id(request_id)
            .with_advice("check the network, then run the same command again")
        }
    }
}

/// Sorts AWS's codes (wire form) by what can be done about them.
fn classify(code: Option<&str>, status: Option<u16>) -> Class {
    let Some(code) = code else {
        return if status.is_some_and(|s| s >= 500) {
            Class::Unclear
        } else {
            Class::Refused
        };
    };
    const THROTTLED: &[&str] = &[
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
    ];
    const DENIED: &[&str] = &[
        "AuthFailure",
        "UnauthorizedOperation",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "OptInRequired",
        // SNS's word for a missing permission.
        "AuthorizationError",
    ];
    if THROTTLED.contains(&code) {
        Class::Throttled
    } else if DENIED.contains(&code) || code.starts_with("AccessDenied") {
        Class::Denied
    } else if code.contains("AlreadyExists")
        || code.contains("Duplicate")
        || matches!(
            code,
            "ResourceExistsException"
                | "Resource.AlreadyAssociated"
                | "InvalidSubnet.Conflict"
                | "PriorityInUse"
        )
    {
        Class::AlreadyExists
    } else if code.contains("NotFound")
        || code.starts_with("NoSuch")
        || code == "WAFNonexistentItemException"
    {
        Class::NotFound
    } else if code.contains("LimitExceeded")
        || code.contains("LimitsExceeded")
        || code.contains("QuotaExceeded")
        || code.starts_with("TooMany")
    {
        Class::Quota
    } else if status.is_some_and(|s| s >= 500) {
        Class::Unclear
    } else {
        Class::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_can_be_done_about_them() {
        let cases = [
            (Some("RequestLimitExceeded"), 503, Class::Throttled),
            (Some("TooManyRequestsException"), 429, Class::Throttled),
            (Some("AddressLimitExceeded"), 400, Class::Quota),
            (Some("TooManyLoadBalancers"), 400, Class::Quota),
            (
                Some("DBClusterAlreadyExistsFault"),
                400,
                Class::AlreadyExists,
            ),
            (Some("InvalidGroup.Duplicate"), 400, Class::AlreadyExists),
            (
                Some("Resource.AlreadyAssociated"),
                400,
                Class::AlreadyExists,
            ),
            (Some("InvalidSubnet.Conflict"), 400, Class::AlreadyExists),
            (Some("PriorityInUse"), 400, Class::AlreadyExists),
            (Some("NoSuchEntity"), 404, Class::NotFound),
            (Some("AccessDeniedException"), 400, Class::Denied),
            (Some("AuthorizationError"), 403, Class::Denied),
            (Some("InternalError"), 500, Class::Unclear),
            (Some("DependencyViolation"), 400, Class::Refused),
            (None, 502, Class::Unclear),
        ];
        for (code, status, class) in cases {
            assert_eq!(classify(code, Some(status)), class, "{code:?}");
        }
    }
}
