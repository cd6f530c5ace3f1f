//! Elastic Container Registry: where the images of the application live.

mod images;
mod repository;

pub use images::image_digest;
pub use repository::{
    Encryption, ImageTagMutability, Repository, RepositoryOutputs, RepositorySpec,
};

/// The service's code for a repository that is not there.
const GONE: &[&str] = &["RepositoryNotFoundException"];
