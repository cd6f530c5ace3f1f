//! Systems Manager: the parameter that holds the application's configuration.

mod parameter;

pub use parameter::{Parameter, ParameterOutputs, ParameterSpec};
