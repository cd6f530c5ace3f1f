//! What `docker save` wrote before version 25, and `podman save` still does: a list of images in
//! `manifest.json`, configurations, and layers that nobody has compressed yet.

use oci_client::manifest::{
    IMAGE_DOCKER_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::content::{self, Promise, Wanted, digest_of, is_digest};
use super::files::Files;
use super::layout::Platform;
use super::{Architecture, Image, ImageError};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(flatten)]
    platform: Platform,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// Reads the image of an archive; `None` if this is no such archive.
pub(super) fn read(files: &Files, wanted: Architecture) -> Result<Option<Image>, ImageError> {
    let Some(list) = files.document("manifest.json")? else {
        return Ok(None);
    };
    let list: Vec<Saved> = parse(&list, "manifest.json", files)?;
    let place = files.place.clone();
    let saved = match list.as_slice() {
        [] => return Err(ImageError::damaged(&place, "manifest.json names no image")),
        [one] => one,
        [one, others @ ..] if others.iter().all(|other| other.config == one.config) => one,
        several => {
            let name = |one: &Saved| match one.repo_tags.as_deref() {
                Some([tag, ..]) => tag.clone(),
                _ => one.config.clone(),
            };
            let names = several.iter().map(name).collect();
            return Err(ImageError::Several { place, names });
        }
    };
    let absent =
        |name: &str| ImageError::damaged(&files.place, format!("it does not contain {name}"));
    let bytes = files
        .document(&saved.config)?
        .ok_or_else(|| absent(&saved.config))?;
    check_name(&saved.config, &bytes, files)?;
    let config: Config = parse(&bytes, &saved.config, files)?;
    if !config.platform.fits(wanted) {
        let found = vec![config.platform.name()];
        return Err(ImageError::Platform {
            place,
            found,
            wanted,
        });
    }
    if config.rootfs.diff_ids.len() != saved.layers.len() {
        let (said, there) = (config.rootfs.diff_ids.len(), saved.layers.len());
        return Err(ImageError::damaged(
            &place,
            format!("it has {there} of {said} layers"),
        ));
    }
    let content = files
        .find(&saved.config)?
        .ok_or_else(|| absent(&saved.config))?;
    let mut parts = vec![Wanted {
        content,
        promised: Promise::AsItIs(digest_of(&bytes)),
        compress: false,
    }];
    for (name, diff_id) in saved.layers.iter().zip(&config.rootfs.diff_ids) {
        let content = files.find(name)?.ok_or_else(|| absent(name))?;
        let unreadable = |error| ImageError::unreadable(&place, &error);
        if content.is_zstd().map_err(unreadable)? {
            let reason = format!("{name} is compressed with zstd, which only OCI layouts can have");
            return Err(ImageError::damaged(&place, reason));
        }
        parts.push(Wanted {
            compress: !content.is_gzip().map_err(unreadable)?,
            content,
            promised: Promise::Decompressed(diff_id.clone()),
        });
    }
    let blobs = content::prepare(&parts, &place)?;
    let described = |index: usize, media_type: &str| {
        let blob = &blobs[index];
        json!({ "mediaType": media_type, "size": blob.size, "digest": blob.digest })
    };
    let layers = (1..blobs.len()).map(|index| described(index, IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE));
    // What `docker push` would send.
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST_MEDIA_TYPE,
        "config": described(0, IMAGE_DOCKER_CONFIG_MEDIA_TYPE),
        "layers": layers.collect::<Vec<_>>(),
    });
    let names = list
        .iter()
        .flat_map(|one| one.repo_tags.clone().unwrap_or_default())
        .collect();
    let bytes = manifest.to_string().into_bytes();
    Ok(Some(Image::new(
        names,
        wanted,
        bytes,
        IMAGE_MANIFEST_MEDIA_TYPE.to_owned(),
        blobs,
    )))
}

/// A configuration whose name is a digest has that digest.
fn check_name(name: &str, bytes: &[u8], files: &Files) -> Result<(), ImageError> {
    let file = name.rsplit('/').next().unwrap_or(name);
    let promised = format!("sha256:{}", file.strip_suffix(".json").unwrap_or(file));
    let found = digest_of(bytes);
    if is_digest(&promised) && promised != found {
        return Err(ImageError::damaged(
            &files.place,
            format!("the content of {name} has the digest {found}"),
        ));
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(bytes: &[u8], name: &str, files: &Files) -> Result<T, ImageError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ImageError::damaged(&files.place, format!("{name}: {error}")))
}
