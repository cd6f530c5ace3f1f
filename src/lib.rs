//! Stands up, watches, releases onto and tears down the order-API stack on AWS.

pub mod aws;
pub mod cli;
pub mod commands;
pub mod config;
pub mod engine;
pub mod kinds;
pub mod resource;
pub mod sandbox;
pub mod stack;
pub mod state;

pub mod ui;
