//! The way to AWS: one struct of clients, error context, batched reads and the call counter.

mod account;
mod clients;
mod error;
mod expiry;
mod objects;
mod observer;
mod reads;
#[cfg(test)]
pub(crate) mod testing;

pub use account::Caller;
pub use clients::{Aws, Connection};
pub use error::{Answer, GoneIsNone, incomplete, missing};
pub use objects::Bucket;
pub use observer::CallCount;
