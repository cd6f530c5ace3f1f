//! Where an image comes from: a file or directory, else docker or podman, by name.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
use tokio::task::spawn_blocking;

use super::{Architecture, Files, Image, ImageError, read, tag_of};

/// Who is asked for images by name, in this order.
const TOOLS: [&str; 2] = ["docker", "podman"];

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An OCI layout, or an archive.
    Path(PathBuf),
    /// An image of docker or podman.
    Name(String),
}

impl Source {
    /// Understands what the user wrote: what is there is a path, anything else a name.
    ///
    /// # Errors
    /// [`ImageError::NoFile`] for what can only be a path, [`ImageError::BadName`] for what can be
    /// neither.
    pub fn of(text: &str) -> Result<Self, ImageError> {
        let path = Path::new(text);
        if path.exists() {
            return Ok(Self::Path(path.to_owned()));
        }
        let is_path = text.starts_with(['/', '.', '~'])
            || [".tar", ".tgz", ".gz", ".oci"]
                .iter()
                .any(|ending| text.ends_with(ending));
        if is_path {
            return Err(ImageError::no_file(path));
        }
        let may_stand = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
        let is_name =
            text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(may_stand);
        match is_name {
            true => Ok(Self::Name(text.to_owned())),
            false => Err(ImageError::BadName(text.to_owned())),
        }
    }

    /// The tag in the name that was given, if it is one and says so.
    pub fn tag(&self) -> Option<String> {
        match self {
            Self::Path(_) => None,
            Self::Name(name) => tag_of(name).filter(|_| name.contains(':')),
        }
    }

    /// Reads the image that is made for `wanted`, and checks all of it.
    ///
    /// # Errors
    /// Whatever is wrong with it; see [`ImageError`].
    pub async fn read(&self, wanted: Architecture) -> Result<Image, ImageError> {
        let exported = match self {
            Self::Path(_) => None,
            Self::Name(name) => Some(export(name).await?),
        };
        let source = self.clone();
        let reading = spawn_blocking(move || {
            let files = match (source, exported) {
                (Self::Path(path), _) => Files::open(&path)?,
                (Self::Name(name), Some(file)) => Files::of_archive(file, format!("image {name}"))?,
                (Self::Name(name), None) => return Err(ImageError::NoTool(name)),
            };
            read(&files, wanted)
        });
        reading.await.unwrap_or_else(|error| {
            Err(ImageError::Unreadable {
                place: "the image".to_owned(),
                reason: error.to_string(),
            })
        })
    }
}

/// Has docker or podman save an image into a file without a name.
async fn export(name: &str) -> Result<File, ImageError> {
    let mut refusals = Vec::new();
    for tool in TOOLS {
        let temporary = |error| ImageError::unreadable("the temporary directory", &error);
        let file = tempfile::tempfile().map_err(temporary)?;
        let child = Command::new(tool)
            .args(["save", name])
            .stdin(Stdio::null())
            .stdout(file.try_clone().map_err(temporary)?)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let output = match child {
            Ok(child) => child.wait_with_output().await,
            Err(error) => Err(error),
        };
        match output {
            Ok(output) if output.status.success() => return Ok(file),
            Ok(output) => refusals.push((tool.to_owned(), words(&output.stderr))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => refusals.push((tool.to_owned(), error.to_string())),
        }
    }
    match refusals.is_empty() {
        true => Err(ImageError::NoTool(name.to_owned())),
        false => Err(ImageError::Refused(refusals)),
    }
}

/// The last words of a program, on one line.
fn words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = lines.last().copied().unwrap_or("it gave no reason");
    last.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect()
}
