//! Stands up, watches, releases onto and tears down the order-API stack on AWS.

pub mod aws;
pub mod config;
pub mod engine;
pub mod kinds;
pub mod resource;
pub mod state;
pub mod ui;
