//! Route 53: records for the certificate and the load balancer.

mod record;
mod record_kind;

pub use record::{Record, RecordOutputs, RecordSpec};
pub use record_kind::RecordKind;
