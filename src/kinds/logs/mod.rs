//! CloudWatch Logs: log groups and the filters that make metrics of them.

mod log_group;
mod metric_filter;

pub use log_group::{LogGroup, LogGroupOutputs, LogGroupSpec};
pub use metric_filter::{MetricFilter, MetricFilterOutputs, MetricFilterSpec, MetricUnit};

/// The service's code for things that are not there.
const GONE: &[&str] = &["ResourceNotFoundException"];
