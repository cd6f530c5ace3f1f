//! Moving a stack over from another tool: its records say which resources are the stack's, and the
//! engine looks them up and records them. What is read of such a file is only what identifies
//! resources: no secret in it gets further than [`Secrets`], which gives nothing away.
//!
//! Names the engine (what a claim is) and the resources, and no AWS.

mod export;
mod mapping;
mod network;
mod rules;
mod secrets;
mod tables;

pub use export::{Export, Exported, MalformedExport};
pub use mapping::{Mapping, Matched, Part, map};
pub use network::zones;
pub use secrets::Secrets;
