//! Releases as their users see them: what goes out, what turns back, and who serves meanwhile.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

#[path = "releases/bad_versions.rs"]
mod bad_versions;
#[path = "driver/mod.rs"]
mod driver;
#[path = "releases/first_release.rs"]
mod first_release;
#[path = "releases/good_versions.rs"]
mod good_versions;
#[path = "releases/killed.rs"]
mod killed;
#[path = "releases/stage.rs"]
mod stage;
