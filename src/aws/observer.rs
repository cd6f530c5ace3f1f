//! Sees every call: counts it, and takes the SDK's own retries away from calls that write.
//!
//! A replayed create whose first answer was lost can make a second object (field guide, section 1,
//! rule 3). The engine repeats writes itself, after looking.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::RetryConfig;

/// Counts of requests sent, repeated attempts included.
#[derive(Clone, Debug, Default)]
pub struct CallCount(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    reads: AtomicU64,
    writes: AtomicU64,
}

impl CallCount {
    /// Requests that only read.
    pub fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::Relaxed)
    }

    /// Requests that could change something.
    pub fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::Relaxed)
    }
}

/// Says whether the AWS operation of this name changes nothing.
pub(super) fn reads_only(operation: &str) -> bool {
    ["Describe", "Get", "List", "BatchGet", "Filter", "Simulate"]
        .iter()
        .any(|verb| operation.starts_with(verb))
}

#[derive(Debug)]
pub(super) struct CallObserver {
    calls: CallCount,
}

impl CallObserver {
    pub(super) fn new(calls: CallCount) -> Self {
        Self { calls }
    }
}

#[dyn_dispatch_hint]
impl Intercept for CallObserver {
    fn name(&self) -> &'static str {
        "CallObserver"
    }

    fn read_before_serialization(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let writes = bag
            .load::<Metadata>()
            .is_some_and(|call| !reads_only(call.name()));
        if writes {
            bag.interceptor_state().store_put(RetryConfig::disabled());
        }
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = bag.load::<Metadata>() {
            let counter = if reads_only(call.name()) {
                &self.calls.0.reads
            } else {
                &self.calls.0.writes
            };
            counter.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(service = call.service(), operation = call.name(), "call");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::operation::create_vpc::CreateVpcOutput;
    use aws_sdk_ec2::operation::describe_vpcs::DescribeVpcsOutput;
    use aws_smithy_mocks::{RuleMode, mock};

    use crate::aws::testing::mocked_in;

    #[tokio::test(start_paused = true)]
    async fn a_write_is_sent_once_and_a_read_is_repeated_by_the_sdk() {
        let write = mock!(aws_sdk_ec2::Client::create_vpc)
            .sequence()
            .http_status(500, None)
            .output(|| CreateVpcOutput::builder().build())
            .build();
        let read = mock!(aws_sdk_ec2::Client::describe_vpcs)
            .sequence()
            .http_status(500, None)
            .output(|| DescribeVpcsOutput::builder().build())
            .build();
        let aws = mocked_in(RuleMode::MatchAny, &[&write, &read]);
        assert!(aws.ec2.create_vpc().send().await.is_err());
        assert_eq!(write.num_calls(), 1);
        assert!(aws.ec2.describe_vpcs().send().await.is_ok());
        assert_eq!((aws.calls().writes(), aws.calls().reads()), (1, 2));
    }
}
