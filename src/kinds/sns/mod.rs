//! SNS: where alarms are sent.

mod subscription;
mod topic;

pub use subscription::{Protocol, Subscription, SubscriptionOutputs, SubscriptionSpec};
pub use topic::{Topic, TopicOutputs, TopicSpec};

id_types! {
    /// `arn:aws:sns:…`
    TopicArn,
}

/// The service's codes for things that are not there.
const GONE: &[&str] = &["NotFound", "NotFoundException", "ResourceNotFound"];
