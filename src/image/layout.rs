//! OCI layouts: an index, manifests, and blobs by digest. What `docker save` writes since version 25
//! is one, too.

use std::collections::BTreeMap;

use oci_client::manifest::{
    IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE, IMAGE_DOCKER_LAYER_TAR_MEDIA_TYPE,
    IMAGE_LAYER_GZIP_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::content::{self, Promise, Wanted, digest_of, is_digest};
use super::files::{Files, Piece};
use super::{Architecture, Image, ImageError};

/// How deep indexes lie in one another; buildx makes two.
const DEEPEST: usize = 4;

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    platform: Option<Platform>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// The platform of an image: as an index says it, and as its configuration does.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    pub(super) fn fits(&self, wanted: Architecture) -> bool {
        self.os == "linux" && self.architecture == wanted.name()
    }

    pub(super) fn name(&self) -> String {
        let variant = self
            .variant
            .as_deref()
            .filter(|variant| !variant.is_empty());
        let variant = variant
            .map(|variant| format!("/{variant}"))
            .unwrap_or_default();
        format!("{}/{}{variant}", self.os, self.architecture)
    }

    /// The more everyday, the less: an image for all processors before one for the newer ones.
    fn rank(&self) -> usize {
        let everyday = ["", "v8", "v1"];
        let variant = self.variant.as_deref().unwrap_or_default();
        everyday
            .iter()
            .position(|one| *one == variant)
            .unwrap_or(everyday.len())
    }
}

struct Candidate {
    digest: String,
    media_type: String,
    platform: Platform,
    names: Vec<String>,
    is_there: bool,
}

/// Reads the image of a layout that is made for `wanted`; `None` if this is no layout.
pub(super) fn read(files: &Files, wanted: Architecture) -> Result<Option<Image>, ImageError> {
    let Some(index) = files.document("index.json")? else {
        return Ok(None);
    };
    let index: Index = parse(&index, "index.json", files)?;
    let mut candidates = Vec::new();
    collect(files, &index, &[], 0, &mut candidates)?;
    let chosen = choose(files, candidates, wanted)?;
    image(files, chosen, wanted).map(Some)
}

fn parse<T: DeserializeOwned>(bytes: &[u8], name: &str, files: &Files) -> Result<T, ImageError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ImageError::damaged(&files.place, format!("{name}: {error}")))
}

fn find(files: &Files, digest: &str) -> Result<Option<Piece>, ImageError> {
    if !is_digest(digest) {
        return Err(ImageError::damaged(
            &files.place,
            format!("`{digest}` is no SHA-256 digest"),
        ));
    }
    files.find(&path(digest))
}

fn path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// Reads a document by its digest, and checks it.
fn document(files: &Files, digest: &str) -> Result<Option<Vec<u8>>, ImageError> {
    if find(files, digest)?.is_none() {
        return Ok(None);
    }
    let bytes = files.document(&path(digest))?.unwrap_or_default();
    let found = digest_of(&bytes);
    if found == digest {
        return Ok(Some(bytes));
    }
    Err(ImageError::damaged(
        &files.place,
        format!("the content of {digest} has the digest {found}"),
    ))
}

fn collect(
    files: &Files,
    index: &Index,
    names: &[String],
    depth: usize,
    found: &mut Vec<Candidate>,
) -> Result<(), ImageError> {
    if depth > DEEPEST {
        return Err(ImageError::damaged(
            &files.place,
            "its indexes lie too deep in one another",
        ));
    }
    for entry in &index.manifests {
        let annotation = |key: &str| entry.annotations.as_ref()?.get(key).cloned();
        if annotation("vnd.docker.reference.type").is_some() {
            // What buildx says about an image, such as how it was built.
            continue;
        }
        let mut names = names.to_vec();
        names.extend(annotation("io.containerd.image.name"));
        names.extend(annotation("org.opencontainers.image.ref.name"));
        match entry.media_type.as_str() {
            OCI_IMAGE_INDEX_MEDIA_TYPE | IMAGE_MANIFEST_LIST_MEDIA_TYPE => {
                if let Some(bytes) = document(files, &entry.digest)? {
                    let inner: Index = parse(&bytes, &entry.digest, files)?;
                    collect(files, &inner, &names, depth + 1, found)?;
                }
            }
            OCI_IMAGE_MEDIA_TYPE | IMAGE_MANIFEST_MEDIA_TYPE | "" => {
                candidate(files, entry, names, found)?
            }
            _ => {}
        }
    }
    Ok(())
}

fn candidate(
    files: &Files,
    entry: &Descriptor,
    names: Vec<String>,
    found: &mut Vec<Candidate>,
) -> Result<(), ImageError> {
    if let Some(known) = found.iter_mut().find(|known| known.digest == entry.digest) {
        known.names.extend(names);
        return Ok(());
    }
    let manifest = document(files, &entry.digest)?;
    let platform = match (&entry.platform, &manifest) {
        (Some(platform), _) => Some(platform.clone()),
        (None, Some(bytes)) => {
            let manifest: Manifest = parse(bytes, &entry.digest, files)?;
            let config = document(files, &manifest.config.digest)?;
            // Of an artifact the configuration says no platform.
            config.and_then(|config| serde_json::from_slice(&config).ok())
        }
        (None, None) => None,
    };
    let platform = platform.filter(|platform| platform.os != "unknown");
    if let Some(platform) = platform {
        found.push(Candidate {
            digest: entry.digest.clone(),
            media_type: entry.media_type.clone(),
            platform,
            names,
            is_there: manifest.is_some(),
        });
    }
    Ok(())
}

fn choose(
    files: &Files,
    candidates: Vec<Candidate>,
    wanted: Architecture,
) -> Result<Candidate, ImageError> {
    let place = files.place.clone();
    if candidates.is_empty() {
        return Err(ImageError::damaged(&place, "its index names no image"));
    }
    let (mut fitting, others): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .partition(|one| one.platform.fits(wanted));
    if fitting.is_empty() {
        let mut found: Vec<String> = others.iter().map(|one| one.platform.name()).collect();
        found.dedup();
        return Err(ImageError::Platform {
            place,
            found,
            wanted,
        });
    }
    fitting.retain(|one| one.is_there);
    fitting.sort_by_key(|one| one.platform.rank());
    if let [first, second, ..] = fitting.as_slice()
        && first.platform.variant == second.platform.variant
    {
        let name = |one: &Candidate| one.names.first().unwrap_or(&one.digest).clone();
        let names = fitting.iter().map(name).collect();
        return Err(ImageError::Several { place, names });
    }
    fitting
        .into_iter()
        .next()
        .ok_or(ImageError::NotContained { place, wanted })
}

fn image(files: &Files, chosen: Candidate, wanted: Architecture) -> Result<Image, ImageError> {
    let absent =
        |digest: &str| ImageError::damaged(&files.place, format!("it does not contain {digest}"));
    let bytes = document(files, &chosen.digest)?.ok_or_else(|| absent(&chosen.digest))?;
    let manifest: Manifest = parse(&bytes, &chosen.digest, files)?;
    let config =
        document(files, &manifest.config.digest)?.ok_or_else(|| absent(&manifest.config.digest))?;
    // An index may say what it likes; the configuration is what the image was built for.
    let platform: Platform = parse(&config, &manifest.config.digest, files)?;
    if !platform.fits(wanted) {
        return Err(ImageError::Platform {
            place: files.place.clone(),
            found: vec![platform.name()],
            wanted,
        });
    }
    let mut parts = Vec::new();
    for part in std::iter::once(&manifest.config).chain(&manifest.layers) {
        parts.push(Wanted {
            content: find(files, &part.digest)?.ok_or_else(|| absent(&part.digest))?,
            promised: Promise::AsItIs(part.digest.clone()),
            compress: compressed_type(&part.media_type).is_some(),
        });
    }
    let blobs = content::prepare(&parts, &files.place)?;
    let mut document: Value = parse(&bytes, &chosen.digest, files)?;
    let mut is_changed = false;
    for (index, (layer, blob)) in manifest.layers.iter().zip(&blobs[1..]).enumerate() {
        if let Some(media_type) = compressed_type(&layer.media_type) {
            let described = &mut document["layers"][index];
            described["mediaType"] = json!(media_type);
            described["digest"] = json!(blob.digest);
            described["size"] = json!(blob.size);
            is_changed = true;
        }
    }
    let said = document["mediaType"].as_str().unwrap_or(&chosen.media_type);
    let media_type = if said.is_empty() {
        OCI_IMAGE_MEDIA_TYPE
    } else {
        said
    }
    .to_owned();
    let bytes = if is_changed {
        document.to_string().into_bytes()
    } else {
        bytes
    };
    Ok(Image::new(chosen.names, wanted, bytes, media_type, blobs))
}

/// The type a layer has once it is compressed, if it is not yet.
fn compressed_type(media_type: &str) -> Option<&'static str> {
    match media_type {
        IMAGE_LAYER_MEDIA_TYPE => Some(IMAGE_LAYER_GZIP_MEDIA_TYPE),
        IMAGE_DOCKER_LAYER_TAR_MEDIA_TYPE => Some(IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE),
        _ => None,
    }
}
