//! The ECS service as AWS tells of it at this moment: the service itself, its deployments
//! ([`deployments`]), the revisions they bring out ([`revisions`]), its tasks and what they wrote
//! ([`tasks`]), and what the load balancer finds of them ([`targets`]).
//!
//! Read alike by the kinds, by releases, `status` and `doctor`. What it means is decided there.

pub mod deployments;
pub mod revisions;
pub mod targets;
pub mod tasks;
#[cfg(test)]
pub(crate) mod testing;

use aws_sdk_ecs::types::{Failure, Service, ServiceField};
use aws_smithy_types::DateTime;
use jiff::Timestamp;

use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::{Class, Error, Result};

/// A service, by the names that `ecs` takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName {
    /// Its cluster, by name or ARN.
    pub cluster: String,
    /// Its own name.
    pub service: String,
}

/// How ECS says that there is no such service any more, or no cluster that could have it.
pub const GONE: &[&str] = &[
    "ServiceNotFoundException",
    "ServiceNotActiveException",
    "ClusterNotFoundException",
];

/// Reads a service with its tags; nothing where there never was one. One that was deleted is told as
/// `INACTIVE` for a while.
///
/// Asks `ecs:DescribeServices`; fails as that call does.
pub async fn describe(aws: &Aws, name: &ServiceName) -> Result<Option<Service>> {
    let answer = aws
        .ecs
        .describe_services()
        .cluster(&name.cluster)
        .services(&name.service)
        .include(ServiceField::Tags)
        .send()
        .await
        .of("ecs:DescribeServices")
        .gone_is_none(GONE)?;
    let Some(answer) = answer else {
        return Ok(None);
    };
    let found = answer.services().first().cloned();
    if found.is_none() {
        only_missing("ecs:DescribeServices", answer.failures())?;
    }
    Ok(found)
}

/// Checks the failures of a Describe that found nothing: `MISSING` means absent, anything else
/// means that AWS could not tell (field guide, section 1, rule 10).
///
/// # Errors
/// `Refused` with AWS's reason.
pub fn only_missing(operation: &str, failures: &[Failure]) -> Result<()> {
    let other = failures
        .iter()
        .find(|failure| failure.reason() != Some("MISSING"));
    match other {
        None => Ok(()),
        Some(failure) => {
            let reason = failure.reason().unwrap_or("no reason given");
            let detail = failure.detail().unwrap_or_default();
            Err(Error::new(
                operation,
                Class::Refused,
                format!("the answer is a failure: {reason} {detail}").trim_end(),
            )
            .with_advice("check the permission for this operation, then run the command again"))
        }
    }
}

/// What follows the last `/` of an ARN: `order-api-dev:7` of a task definition, the id of a task.
pub fn last_segment(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// A moment as AWS tells it.
pub fn moment(time: Option<&DateTime>) -> Option<Timestamp> {
    let time = time?;
    let nanoseconds = i32::try_from(time.subsec_nanos()).ok()?;
    Timestamp::new(time.secs(), nanoseconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_describe_that_could_not_tell_is_an_error_and_not_an_absence() {
        let failure = |reason: &str| Failure::builder().reason(reason).build();
        assert!(only_missing("ecs:DescribeServices", &[failure("MISSING")]).is_ok());
        let denied = only_missing("ecs:DescribeServices", &[failure("ACCESS_DENIED")]);
        assert!(denied.unwrap_err().message().contains("ACCESS_DENIED"));
    }
}
