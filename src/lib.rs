//! Stands up, watches, releases onto and tears down the order-API stack on AWS.

pub mod sandbox;
