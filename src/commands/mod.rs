//! One file per verb: its arguments and its run.

pub mod down;
mod error;
pub mod init;
mod interrupt;
pub mod outputs;
pub mod plan;
pub mod sandbox;
mod session;
pub mod up;

pub use error::CommandError;
