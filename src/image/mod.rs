//! Container images: read from an archive, a directory, docker or podman, and pushed to a registry.
//!
//! ```text
//! source.rs          which of these the user means; the export from docker or podman
//! files.rs           the files inside an archive or directory, by path
//! layout.rs          OCI layouts, and docker_archive.rs the older form of `docker save`
//! content.rs         digests checked, layers compressed
//! registry.rs        ECR: the repository, the token, the processor the tasks run on
//! upload.rs          parts side by side, then the manifest
//! ```
//!
//! Everything that can be wrong with an image is found before the first byte leaves.

mod content;
mod docker_archive;
mod error;
mod files;
mod layout;
mod registry;
mod source;
mod upload;

use std::fmt;

pub use content::Blob;
pub use error::ImageError;
pub use registry::{Registry, Repository, authorize, processor, repository};
pub use source::Source;
pub use upload::{Progress, Pushed, push};

use files::Files;

/// Names a processor as images do (`GOARCH`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit Intel and AMD; `X86_64` in ECS.
    Amd64,
    /// 64-bit ARM; `ARM64` in ECS.
    Arm64,
}

impl Architecture {
    /// `amd64` or `arm64`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An image that is whole and fits, ready to be pushed.
#[derive(Clone, Debug)]
pub struct Image {
    /// `sha256:…` of the manifest: what a task definition names it by.
    pub digest: String,
    /// The manifest, byte for byte.
    pub manifest: Vec<u8>,
    /// The manifest's media type.
    pub media_type: String,
    /// The processor it is made for.
    pub architecture: Architecture,
    /// The configuration and the layers, each once.
    pub blobs: Vec<Blob>,
    names: Vec<String>,
}

impl Image {
    fn new(
        names: Vec<String>,
        architecture: Architecture,
        manifest: Vec<u8>,
        media_type: String,
        blobs: Vec<Blob>,
    ) -> Self {
        let mut once: Vec<Blob> = Vec::new();
        for blob in blobs {
            if once.iter().all(|known| known.digest != blob.digest) {
                once.push(blob);
            }
        }
        Self {
            digest: content::digest_of(&manifest),
            manifest,
            media_type,
            architecture,
            blobs: once,
            names,
        }
    }

    /// How much it has in the registry, in bytes: the configuration and every layer once.
    pub fn size(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }

    /// The tag it was saved under, else the first 12 hexadecimal digits of its digest.
    pub fn own_tag(&self) -> String {
        let named = self.names.iter().find_map(|name| tag_of(name));
        named.unwrap_or_else(|| self.digest.chars().skip("sha256:".len()).take(12).collect())
    }
}

/// The tag in an image's name; what has neither `/` nor `:` is a tag by itself.
fn tag_of(name: &str) -> Option<String> {
    let name = name.split('@').next().unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    let tag = match last.split_once(':') {
        Some((_, tag)) => tag,
        None if name.contains('/') => return None,
        None => last,
    };
    is_tag(tag).then(|| tag.to_owned())
}

/// Checks a tag against what registries take.
///
/// # Errors
/// [`ImageError::BadTag`].
pub fn check_tag(tag: &str) -> Result<(), ImageError> {
    match is_tag(tag) {
        true => Ok(()),
        false => Err(ImageError::BadTag(tag.to_owned())),
    }
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut bytes = tag.bytes();
    tag.len() <= 128
        && bytes.next().is_some_and(is_word)
        && bytes.all(|b| is_word(b) || b == b'.' || b == b'-')
}

/// Reads the image that is made for `wanted` out of what [`Source`] gave. Blocks.
///
/// # Errors
/// Whatever is wrong with it; see [`ImageError`].
fn read(files: &Files, wanted: Architecture) -> Result<Image, ImageError> {
    if let Some(image) = layout::read(files, wanted)? {
        return Ok(image);
    }
    if let Some(image) = docker_archive::read(files, wanted)? {
        return Ok(image);
    }
    Err(ImageError::NoImage(files.place.clone()))
}

#[cfg(test)]
mod tests;
