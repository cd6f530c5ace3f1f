//! Why an image cannot be pushed.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Architecture;

/// An image that cannot be read, or does not fit.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ImageError {
    /// Something that can only be a file is not there.
    #[error("there is no {}", .0.display())]
    NoFile(PathBuf),
    /// The name is none that an image can have.
    #[error("`{0}` is neither a file nor the name of an image")]
    BadName(String),
    /// The tag is none that an image can have.
    #[error("`{0}` is no tag")]
    BadTag(String),
    /// It cannot be read.
    #[error("{place} cannot be read: {reason}")]
    Unreadable {
        /// What was read.
        place: String,
        /// The system's words.
        reason: String,
    },
    /// It is something else.
    #[error("{0} is neither an OCI layout nor a `docker save` archive")]
    NoImage(String),
    /// A part is missing, cut off, or not what its digest says.
    #[error("{place} is damaged: {reason}")]
    Damaged {
        /// What was read.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It holds several images.
    #[error("{place} holds {} images: {}", .names.len(), .names.join(", "))]
    Several {
        /// What was read.
        place: String,
        /// Their names or digests.
        names: Vec<String>,
    },
    /// It is made for another platform.
    #[error("{place} is for {}, and the stack's tasks run on linux/{wanted}", .found.join(", "))]
    Platform {
        /// What was read.
        place: String,
        /// The platforms it is for.
        found: Vec<String>,
        /// What the tasks run on.
        wanted: Architecture,
    },
    /// It names the platform that is wanted, but does not contain it.
    #[error("{place} names an image for linux/{wanted}, but does not contain it")]
    NotContained {
        /// What was read.
        place: String,
        /// What the tasks run on.
        wanted: Architecture,
    },
    /// There is nobody to ask for an image by name.
    #[error(
        "`{0}` is no file, and neither docker nor podman is there to ask for an image of that name"
    )]
    NoTool(String),
    /// docker or podman did not give the image.
    #[error("{}", .0.iter().map(|(tool, words)| format!("{tool} gave no image: {words}")).collect::<Vec<_>>().join("; "))]
    Refused(Vec<(String, String)>),
}

impl ImageError {
    pub(super) fn damaged(place: &str, reason: impl Into<String>) -> Self {
        Self::Damaged {
            place: place.to_owned(),
            reason: reason.into(),
        }
    }

    pub(super) fn unreadable(place: &str, error: &std::io::Error) -> Self {
        Self::Unreadable {
            place: place.to_owned(),
            reason: error.to_string(),
        }
    }

    pub(super) fn no_file(path: &Path) -> Self {
        Self::NoFile(path.to_owned())
    }

    /// Says whether the command line is at fault, and not what it names.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NoFile(_) | Self::BadName(_) | Self::BadTag(_))
    }

    /// What to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::NoFile(_) | Self::BadName(_) => {
                "give an OCI layout, a `docker save` archive, or the name of an image of docker or podman".to_owned()
            }
            Self::BadTag(_) => {
                "a tag has up to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two".to_owned()
            }
            Self::Unreadable { .. } => "check the path, the permissions and the free space of the temporary directory".to_owned(),
            Self::NoImage(_) => {
                "make one with `docker save NAME -o FILE` or `docker buildx build --output type=oci,dest=FILE`".to_owned()
            }
            Self::Damaged { .. } => "save or copy it again; nothing was pushed".to_owned(),
            Self::Several { .. } => "save one image alone: `docker save NAME -o FILE`".to_owned(),
            Self::Platform { wanted, .. } => format!(
                "build it with `docker build --platform linux/{wanted}`, or change `service.architecture` and run `orderctl up`"
            ),
            Self::NotContained { wanted, .. } => {
                format!("`docker pull --platform linux/{wanted}` or build it for that platform, then save it again")
            }
            Self::NoTool(_) => "give an archive of the image, or install docker or podman".to_owned(),
            Self::Refused(_) => "`docker image ls` and `podman image ls` list what there is; an archive needs neither".to_owned(),
        }
    }
}
