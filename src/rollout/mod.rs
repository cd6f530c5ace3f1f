//! Releases: ECS brings a new version out by blue/green, and this follows and decides.
//!
//! A release is ECS's own service deployment, so it goes on whatever becomes of the process that
//! began it. What this adds: the image by its digest ([`image`]), the request that starts it
//! ([`start`]), whether the new tasks are ever going to be healthy ([`verdict`]), the trial before
//! production traffic moves ([`smoke`]), why it failed ([`failures`]), and what was released before
//! ([`history`]). How far it is, [`crate::service`] tells. Nothing here prints or waits.

pub mod failures;
pub mod history;
pub mod image;
pub mod smoke;
pub mod start;
pub mod verdict;
