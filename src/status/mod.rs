//! What runs at this moment, read from AWS in a few concurrent calls and never written anywhere.
//!
//! Each part is read on its own: what is missing or may not be read says so and hides nothing else.

mod alarms;
mod colours;
mod database;
mod deployments;
mod service;
mod web_acl;

use jiff::Timestamp;

pub use alarms::Alarm;
pub use colours::{Colour, Reason, Targets, Weights};
pub use database::{Database, Member, Role};
pub use deployments::Release;
pub use service::{RunningImage, Service, Tasks};
pub use web_acl::{Requests, WINDOW_MINUTES};

use crate::aws::Aws;
use crate::resource::{Error, Result};
use crate::service::ServiceName;
use crate::service::deployments::Deployment;

/// The names by which the parts of a stack are addressed.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The stack's suffix.
    pub stack: String,
    /// The account it lives in.
    pub account: String,
    /// The region it lives in.
    pub region: String,
    /// The ECS cluster.
    pub cluster: String,
    /// The ECS service.
    pub service: String,
    /// The container that takes the traffic.
    pub container: String,
    /// The ECR repository of its images.
    pub repository: String,
    /// The target group of the first colour.
    pub blue: String,
    /// The target group of the other colour.
    pub green: String,
    /// The web ACL.
    pub web_acl: String,
    /// The Aurora cluster.
    pub db_cluster: String,
    /// The alarms.
    pub alarms: Vec<String>,
}

impl Subject {
    fn service_name(&self) -> ServiceName {
        ServiceName {
            cluster: self.cluster.clone(),
            service: self.service.clone(),
        }
    }
}

/// A part of the stack as a read found it.
#[derive(Clone, Debug)]
pub enum Part<T> {
    /// It is there.
    Read(T),
    /// It does not exist.
    Absent,
    /// It could not be read.
    Unreadable(Error),
}

impl<T> Part<T> {
    /// What was read.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Read(value) => Some(value),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }

    /// Says whether AWS answered that it does not exist.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Why it could not be read.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Unreadable(error) => Some(error),
            Self::Read(_) | Self::Absent => None,
        }
    }
}

impl<T> From<Result<Option<T>>> for Part<T> {
    fn from(read: Result<Option<T>>) -> Self {
        match read {
            Ok(Some(value)) => Self::Read(value),
            Ok(None) => Self::Absent,
            Err(error) => Self::Unreadable(error),
        }
    }
}

impl<T: PartialEq> PartialEq for Part<T> {
    /// Two failures are the same if only their request ids differ.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Read(one), Self::Read(two)) => one == two,
            (Self::Absent, Self::Absent) => true,
            (Self::Unreadable(one), Self::Unreadable(two)) => {
                let of = |error: &Error| {
                    let code = error.code().map(str::to_owned);
                    (
                        error.operation().to_owned(),
                        code,
                        error.message().to_owned(),
                    )
                };
                of(one) == of(two)
            }
            _ => false,
        }
    }
}

/// Everything that is told of a running stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The stack's suffix.
    pub stack: String,
    /// Its account.
    pub account: String,
    /// Its region.
    pub region: String,
    /// When it was read.
    pub at: Timestamp,
    /// The ECS service.
    pub service: Part<Service>,
    /// Its running tasks.
    pub tasks: Part<Tasks>,
    /// How the two listener rules split the requests.
    pub weights: Part<Weights>,
    /// Blue and green, in this order.
    pub colours: [Colour; 2],
    /// The newest deployment of the service.
    pub deployment: Part<Deployment>,
    /// The release that the newest deployment belongs to.
    pub release: Part<Release>,
    /// The alarms, in the order of [`Subject::alarms`].
    pub alarms: Part<Vec<Alarm>>,
    /// The Aurora cluster.
    pub database: Part<Database>,
    /// What the web ACL let through and blocked lately.
    pub requests: Part<Requests>,
}

impl Snapshot {
    /// Reads all parts, concurrently.
    pub async fn read(aws: &Aws, subject: &Subject) -> Self {
        // Several parts begin with the description of the service.
        let aws = &aws.with_shared_reads();
        let at = Timestamp::now();
        let (service, tasks, (weights, colours), deployments, alarms, database, requests) = tokio::join!(
            service::service(aws, subject),
            service::tasks(aws, subject),
            colours::both(aws, subject),
            deployments::newest(aws, subject),
            alarms::alarms(aws, subject),
            database::database(aws, subject),
            web_acl::requests(aws, subject, at),
        );
        let (deployment, release) = deployments;
        Self {
            stack: subject.stack.clone(),
            account: subject.account.clone(),
            region: subject.region.clone(),
            at,
            service: service.into(),
            tasks: tasks.into(),
            weights,
            colours,
            deployment,
            release,
            alarms: alarms.into(),
            database: database.into(),
            requests: requests.into(),
        }
    }

    /// Says whether anything but the time of reading differs.
    pub fn differs_from(&self, other: &Self) -> bool {
        let at_that_time = Self {
            at: other.at,
            ..self.clone()
        };
        at_that_time != *other
    }

    /// The parts that do not exist, and those that could not be read and why, by the names that
    /// programs know them by.
    pub fn gaps(&self) -> (Vec<&'static str>, Vec<(&'static str, &Error)>) {
        fn look<T>(part: &Part<T>) -> (bool, Option<&Error>) {
            (part.is_absent(), part.error())
        }
        let [blue, green] = &self.colours;
        let parts = [
            ("service", look(&self.service)),
            ("tasks", look(&self.tasks)),
            ("weights", look(&self.weights)),
            ("blue", look(&blue.targets)),
            ("green", look(&green.targets)),
            ("deployment", look(&self.deployment)),
            ("release", look(&self.release)),
            ("alarms", look(&self.alarms)),
            ("database", look(&self.database)),
            ("waf", look(&self.requests)),
        ];
        let absent = parts.iter().filter(|(_, (is_absent, _))| *is_absent);
        let unreadable = parts
            .iter()
            .filter_map(|(name, (_, error))| Some((*name, (*error)?)));
        (
            absent.map(|(name, _)| *name).collect(),
            unreadable.collect(),
        )
    }

    /// Says whether AWS answered of every part that it does not exist.
    pub fn is_empty(&self) -> bool {
        self.gaps().0.len() == PARTS
    }

    /// Says whether no part could be read.
    pub fn is_unreadable(&self) -> bool {
        self.gaps().1.len() == PARTS
    }
}

/// How many parts [`Snapshot::gaps`] looks at.
const PARTS: usize = 10;

/// AWS's signed counts, which are never negative.
fn count(number: i32) -> u32 {
    number.try_into().unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
