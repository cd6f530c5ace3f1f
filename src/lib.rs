//! Stands up, watches, releases onto and tears down the order-API stack on AWS.
//!
//! # The map
//!
//! Data goes one way: `cli → commands → stack → engine → resource ← kinds → aws`, with
//! `engine → state` and events from `engine` to `ui`.
//!
//! - [`cli`]: global flags and the list of commands; [`commands`]: one file per verb.
//! - [`config`]: flags > environment > `orderctl.toml` > defaults, resolved and checked once.
//! - [`stack`]: the declaration, which reads like the architecture diagram.
//! - [`engine`]: graph, plan, apply, teardown. Names no AWS crate.
//! - [`image`]: container images: reading them, and the push to ECR.
//! - [`import`]: moving over from another tool: what its records say is the stack's.
//! - [`resource`]: what a kind is, typed references, the comparison of settings.
//! - [`kinds`]: one file per kind of AWS resource, and the registry.
//! - [`aws`]: clients, shared reads, error context.
//! - [`policy`]: the permissions each command needs, as a policy of IAM.
//! - [`doctor`]: what is wrong with a stack that runs, and what stands in the way of a new one.
//! - [`state`]: the journal and cache of what exists.
//! - [`service`]: the ECS service as AWS tells of it; [`rollout`]: releases onto it.
//! - [`status`]: what runs at this moment; [`logs`]: what the containers write.
//! - [`sandbox`]: the local AWS.
//! - [`ui`]: everything that is printed.
//!
//! # Glossary
//!
//! | word | meaning |
//! |---|---|
//! | kind | a type of AWS resource, `ec2/subnet` |
//! | node | one resource of the declaration, with an *address*: `public-subnet-1` |
//! | specification | the settings wanted of a node; *declared* with references, *resolved* without |
//! | outputs | what AWS gave a node back: ids, ARNs, host names |
//! | observe | read a node from AWS in the terms of its specification |
//! | drift | a live value that differs from what was last applied |
//! | intent | a call announced in the state before it is sent |
//! | adopt | take over a resource that exists but is not recorded |
//! | parked | the service at 0 tasks, while its repository holds no image |

pub mod aws;
pub mod cli;
pub mod commands;
pub mod config;
pub mod doctor;
pub mod engine;
pub mod image;
pub mod import;
pub mod kinds;
pub mod logs;
pub mod policy;
pub mod resource;
pub mod rollout;
pub mod sandbox;
pub mod service;
pub mod stack;
pub mod state;
pub mod status;
pub mod ui;
