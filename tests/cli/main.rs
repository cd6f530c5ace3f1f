//! The command line as its users meet it: help, refusals, exit codes, what goes to which stream,
//! the lock, signals, secrets, what is recorded, and the local AWS.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

#[path = "../driver/mod.rs"]
mod driver;

mod doctor;
mod help;
mod import;
mod interruption;
mod logs;
mod lost_state;
mod outputs;
mod policy;
mod push;
mod refusals;
mod sandbox;
mod secrets;
mod shared_state;
mod stacks;
mod state;
mod state_in_a_bucket;
mod state_moves;
mod status;
mod streams;
