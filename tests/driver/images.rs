//! Small container images, as the tools that build them write them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The files of a layout or archive, by path.
pub type Files = BTreeMap<String, Vec<u8>>;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

pub fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// The path of a blob in a layout.
pub fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// A layer with one file in it.
pub fn layer(content: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder
        .append_data(&mut header, "app/content", content.as_bytes())
        .unwrap();
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Another time and level than ours, so that nothing agrees by chance.
    let mut encoder = GzBuilder::new()
        .mtime(7)
        .write(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut content).unwrap();
    content
}

/// The configuration of an image for linux on this processor.
pub fn config(architecture: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest_of(layer)).collect();
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": { "Cmd": ["serve"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    config.to_string().into_bytes()
}

/// What `docker save` wrote before version 25, and `podman save` does.
pub fn docker_archive(architecture: &str, layers: &[Vec<u8>], tags: &[&str]) -> Files {
    let config = config(architecture, layers);
    let name = format!("{}.json", &digest_of(&config)["sha256:".len()..]);
    let paths: Vec<String> = (0..layers.len())
        .map(|number| format!("{number:064x}/layer.tar"))
        .collect();
    let list = json!([{ "Config": name, "RepoTags": tags, "Layers": paths }]);
    let mut files: Files = paths.into_iter().zip(layers.iter().cloned()).collect();
    files.insert(name, config);
    files.insert("manifest.json".into(), list.to_string().into_bytes());
    files
}

/// An image that a layout is to hold.
pub struct Platform<'a> {
    pub architecture: &'a str,
    pub layers: Vec<Vec<u8>>,
    /// Whether its layers are compressed, as all tools but `docker save` do it.
    pub is_compressed: bool,
}

/// Puts an image into a layout, and gives its descriptor.
pub fn add(files: &mut Files, platform: &Platform<'_>) -> Value {
    let mut put = |media_type: &str, content: Vec<u8>| {
        let digest = digest_of(&content);
        let described = json!({ "mediaType": media_type, "digest": digest, "size": content.len() });
        files.insert(blob_path(&digest), content);
        described
    };
    let config = put(OCI_CONFIG, config(platform.architecture, &platform.layers));
    let layers: Vec<Value> = platform
        .layers
        .iter()
        .map(|layer| match platform.is_compressed {
            true => put(&format!("{OCI_LAYER}+gzip"), gzip(layer)),
            false => put(OCI_LAYER, layer.clone()),
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers,
        "annotations": { "org.example": "kept" },
    });
    // Not as a serialiser of ours would write it.
    let text = serde_json::to_string_pretty(&manifest).unwrap();
    put(OCI_MANIFEST, text.into_bytes())
}

/// Puts the index into a layout.
pub fn index(files: &mut Files, manifests: &[Value]) {
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
    files.insert("index.json".into(), index.to_string().into_bytes());
    let version = json!({ "imageLayoutVersion": "1.0.0" });
    files.insert("oci-layout".into(), version.to_string().into_bytes());
}

/// A layout with one image, under a name.
pub fn layout(architecture: &str, layers: &[Vec<u8>], name: &str) -> Files {
    let mut files = Files::new();
    let platform = Platform {
        architecture,
        layers: layers.to_vec(),
        is_compressed: true,
    };
    let mut described = add(&mut files, &platform);
    described["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
    index(&mut files, &[described]);
    files
}

/// The digest of the only image of a layout.
pub fn image_of(files: &Files) -> String {
    let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

pub fn tarred(files: &Files) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, path, content.as_slice())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn write_directory(files: &Files, root: &Path) {
    for (path, content) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}
