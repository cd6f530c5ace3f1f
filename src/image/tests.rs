//! Images as tools write them, and a push to a real registry server on loopback.

#[path = "../../tests/driver/images.rs"]
#[allow(missing_docs, unreachable_pub)]
mod made;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use oci_client::secrets::RegistryAuth;
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use made::{Files as Made, Platform};

use super::*;

fn layers() -> Vec<Vec<u8>> {
    ["base ", "application "]
        .map(|text| made::layer(&text.repeat(20_000)))
        .into()
}

/// Reads an image from files that are written as a directory.
fn read_from(files: &Made, wanted: Architecture) -> Result<Image, ImageError> {
    let directory = tempfile::tempdir().unwrap();
    made::write_directory(files, directory.path());
    read(&Files::open(directory.path())?, wanted)
}

#[tokio::test]
async fn a_layout_is_the_same_image_as_directory_archive_and_compressed_archive() {
    let place = tempfile::tempdir().unwrap();
    let files = made::layout("amd64", &layers(), "1.0");
    let tar = made::tarred(&files);
    made::write_directory(&files, &place.path().join("layout"));
    fs::write(place.path().join("image.tar"), &tar).unwrap();
    fs::write(place.path().join("image.tgz"), made::gzip(&tar)).unwrap();
    for name in ["layout", "image.tar", "image.tgz"] {
        let path = place.path().join(name);
        let source = Source::of(path.to_str().unwrap()).unwrap();
        let image = source.read(Architecture::Amd64).await.unwrap();
        assert_eq!(image.digest, made::image_of(&files), "{name}");
        assert_eq!(
            image.manifest,
            files[&made::blob_path(&image.digest)],
            "byte for byte"
        );
        assert_eq!((image.blobs.len(), image.own_tag().as_str()), (3, "1.0"));
        for blob in &image.blobs {
            let mut content = Vec::new();
            blob.content.reader().read_to_end(&mut content).unwrap();
            assert_eq!(content, files[&made::blob_path(&blob.digest)]);
        }
    }
}

#[test]
fn layers_that_docker_save_left_uncompressed_are_compressed_the_same_way_every_time() {
    let old = made::docker_archive("amd64", &layers(), &["localhost/order-api:2.0"]);
    let mut new = Made::new();
    let platform = Platform {
        architecture: "amd64",
        layers: layers(),
        is_compressed: false,
    };
    let mut described = made::add(&mut new, &platform);
    described["annotations"] = json!({
        "io.containerd.image.name": "docker.io/library/order-api:2.0",
        "org.opencontainers.image.ref.name": "2.0",
    });
    made::index(&mut new, &[described]);
    for (files, types) in [(&old, ".diff.tar.gzip"), (&new, ".layer.v1.tar+gzip")] {
        let image = read_from(files, Architecture::Amd64).unwrap();
        let again = read_from(files, Architecture::Amd64).unwrap();
        assert_eq!(image.digest, again.digest);
        assert_eq!(image.own_tag(), "2.0");
        let manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
        assert_eq!(manifest["mediaType"], image.media_type.as_str());
        let described = manifest["layers"].as_array().unwrap();
        assert_eq!(described.len(), 2);
        for ((described, blob), layer) in described.iter().zip(&image.blobs[1..]).zip(layers()) {
            assert!(
                described["mediaType"].as_str().unwrap().ends_with(types),
                "{described}"
            );
            assert_eq!(
                (&described["digest"], &described["size"]),
                (&json!(blob.digest), &json!(blob.size))
            );
            let mut content = Vec::new();
            blob.content.reader().read_to_end(&mut content).unwrap();
            assert_eq!(made::gunzip(&content), layer);
        }
    }
}

#[test]
fn an_archive_with_compressed_layers_is_pushed_with_them() {
    let mut files = made::docker_archive("arm64", &layers(), &[]);
    let zipped: Vec<Vec<u8>> = layers().iter().map(|layer| made::gzip(layer)).collect();
    for (number, layer) in zipped.iter().enumerate() {
        files.insert(format!("{number:064x}/layer.tar"), layer.clone());
    }
    let image = read_from(&files, Architecture::Arm64).unwrap();
    assert_eq!(image.blobs[1].digest, made::digest_of(&zipped[0]));
    assert_eq!(
        image.own_tag(),
        image.digest["sha256:".len()..][..12],
        "it has no name"
    );
}

#[test]
fn of_several_platforms_the_one_that_fits_is_taken() {
    let mut files = Made::new();
    let mut describe = |architecture: &str, variant: Option<&str>| {
        let platform = Platform {
            architecture,
            layers: vec![made::layer(&format!("{architecture}{variant:?}"))],
            is_compressed: true,
        };
        let mut described = made::add(&mut files, &platform);
        described["platform"] = json!({ "os": "linux", "architecture": architecture });
        if let Some(variant) = variant {
            described["platform"]["variant"] = json!(variant);
        }
        described
    };
    let (newer, amd, arm) = (
        describe("amd64", Some("v3")),
        describe("amd64", None),
        describe("arm64", Some("v8")),
    );
    let mut attestation = describe("unknown", None);
    attestation["annotations"] = json!({ "vnd.docker.reference.type": "attestation-manifest" });
    // As buildx writes it: one index in the other.
    let inner = json!({ "schemaVersion": 2, "mediaType": made::OCI_INDEX, "manifests": [newer, amd, attestation, arm] });
    let inner = inner.to_string().into_bytes();
    let digest = made::digest_of(&inner);
    let outer = json!({ "mediaType": made::OCI_INDEX, "digest": digest, "size": inner.len() });
    files.insert(made::blob_path(&digest), inner);
    made::index(&mut files, &[outer]);
    for (wanted, described) in [(Architecture::Amd64, &amd), (Architecture::Arm64, &arm)] {
        assert_eq!(
            described["digest"],
            read_from(&files, wanted).unwrap().digest.as_str()
        );
    }
    // docker keeps what it has not pulled in the index.
    files.remove(&made::blob_path(arm["digest"].as_str().unwrap()));
    let error = read_from(&files, Architecture::Arm64).unwrap_err();
    assert!(matches!(error, ImageError::NotContained { .. }), "{error}");
}

#[test]
fn an_image_for_another_processor_is_refused_with_what_it_is_for() {
    for files in [
        made::layout("arm64", &layers(), "1"),
        made::docker_archive("arm64", &layers(), &[]),
    ] {
        let error = read_from(&files, Architecture::Amd64).unwrap_err();
        let ImageError::Platform { found, wanted, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(
            (found.as_slice(), *wanted),
            (&["linux/arm64".to_owned()][..], Architecture::Amd64)
        );
        assert!(
            error.advice().contains("--platform linux/amd64"),
            "{}",
            error.advice()
        );
    }
    // The configuration counts, not what an index says.
    let mut files = made::layout("arm64", &layers(), "1");
    let mut index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    index["manifests"][0]["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    files.insert("index.json".into(), index.to_string().into_bytes());
    let error = read_from(&files, Architecture::Amd64).unwrap_err();
    assert!(matches!(error, ImageError::Platform { .. }), "{error}");
}

#[test]
fn damage_is_found_wherever_it_is() {
    let layout = made::layout("amd64", &layers(), "1");
    let old = made::docker_archive("amd64", &layers(), &[]);
    for files in [&layout, &old] {
        let parts = files.keys().filter(|path| path.len() > 30);
        for path in parts {
            let mut missing = files.clone();
            missing.remove(path);
            let mut changed = files.clone();
            let content = changed.get_mut(path).unwrap();
            let middle = content.len() / 2;
            content[middle] ^= 1;
            for (files, what) in [(missing, "missing"), (changed, "changed")] {
                match read_from(&files, Architecture::Amd64) {
                    Err(ImageError::Damaged { .. }) => {}
                    other => panic!("{path} {what}: {other:?}"),
                }
            }
        }
    }
    let mut empty = Made::new();
    empty.insert("file".into(), b"x".to_vec());
    let error = read_from(&empty, Architecture::Amd64).unwrap_err();
    assert!(matches!(error, ImageError::NoImage(_)), "{error}");
}

#[test]
fn an_archive_of_several_images_is_refused_with_their_names() {
    let mut files = made::docker_archive("amd64", &layers(), &["one:1"]);
    let other = made::docker_archive("amd64", &layers()[..1], &["two:2"]);
    let list =
        |files: &Made| -> Vec<Value> { serde_json::from_slice(&files["manifest.json"]).unwrap() };
    let both = json!([list(&files)[0], list(&other)[0]]);
    files.extend(other);
    files.insert("manifest.json".into(), both.to_string().into_bytes());
    let error = read_from(&files, Architecture::Amd64).unwrap_err();
    assert!(
        error.to_string().contains("holds 2 images: one:1, two:2"),
        "{error}"
    );
}

#[test]
fn what_the_user_writes_is_a_path_or_a_name() {
    let here = tempfile::tempdir().unwrap();
    let there = here.path().to_str().unwrap();
    assert_eq!(
        Source::of(there).unwrap(),
        Source::Path(here.path().to_owned())
    );
    for (name, tag) in [
        ("order-api", None),
        ("order-api:1.0", Some("1.0")),
        ("localhost:5000/team/order-api", None),
        ("localhost:5000/order-api:2", Some("2")),
        ("order-api:3@sha256:0123", Some("3")),
        ("0123456789ab", None),
    ] {
        let source = Source::of(name).unwrap();
        assert_eq!(source, Source::Name(name.to_owned()));
        assert_eq!(source.tag().as_deref(), tag, "{name}");
    }
    for path in [
        "./image",
        "/nowhere/image",
        "image.tar",
        "~/image",
        "image.tar.gz",
    ] {
        assert!(
            matches!(Source::of(path), Err(ImageError::NoFile(_))),
            "{path}"
        );
    }
    for wrong in ["--output=/etc/passwd", "", "two words", "a;b"] {
        assert!(
            matches!(Source::of(wrong), Err(ImageError::BadName(_))),
            "{wrong}"
        );
    }
    for tag in ["1.0", "_", &"x".repeat(128)] {
        assert_eq!(check_tag(tag), Ok(()));
    }
    for tag in ["", "-x", ".x", "a b", "a/b", &"x".repeat(129)] {
        assert!(check_tag(tag).is_err(), "{tag}");
    }
}

/// A registry server of its own, which ends with the test.
struct Server {
    child: Child,
    address: String,
    _root: tempfile::TempDir,
}

/// Set where the server cannot be installed, to leave out the tests that need it.
const WITHOUT: &str = "ORDERCTL_TESTS_WITHOUT_REGISTRY";

impl Server {
    /// Starts one on a free port; `None` where that is given up, which the output says.
    fn start() -> Option<Self> {
        let root = tempfile::tempdir().unwrap();
        let config = root.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\n  formatter: text\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n",
            root.path().join("storage").display()
        );
        fs::write(&config, text).unwrap();
        let started = Command::new(program())
            .arg("serve")
            .arg(&config)
            .env_clear()
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) if std::env::var_os(WITHOUT).is_some() => {
                eprintln!(
                    "NOT TESTED: no push to a real registry, because docker-registry does not start: {error}"
                );
                return None;
            }
            Err(error) => panic!(
                "docker-registry does not start ({error}): install it (`apt-get install docker-registry`), or set {WITHOUT}=1 to leave this test out"
            ),
        };
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("docker-registry ended: {said:#?}");
            };
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(['"', ',']).next().unwrap().to_owned();
            }
            said.push(line);
        };
        // A pipe that nobody reads would hold it up.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            child,
            address,
            _root: root,
        })
    }

    fn get(&self, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: {}\r\nAccept: {accept}\r\n\r\n",
            self.address
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        assert!(head.contains(" 200 "), "{path}: {head}");
        answer.split_off(end + 4)
    }
}

fn program() -> &'static Path {
    let usual = Path::new("/usr/bin/docker-registry");
    if usual.exists() {
        usual
    } else {
        Path::new("docker-registry")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[tokio::test]
async fn a_real_registry_takes_what_is_pushed_and_a_second_push_sends_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    let registry = Registry {
        host: server.address.clone(),
        is_plain: true,
        auth: RegistryAuth::Basic("AWS".into(), "ignored".into()),
    };
    // A layer larger than everything that is read ahead, which compression cannot make small.
    let mut noise = 1_u64;
    let random: String = std::iter::repeat_with(|| {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'!' + (noise >> 58) as u8)
    })
    .take(3 << 20)
    .collect();
    let layers = [layers(), vec![made::layer(&random)]].concat();
    let repository = "order-api-dev";
    for (files, tag) in [
        (made::layout("amd64", &layers, "1.0"), "oci"),
        (
            made::docker_archive("amd64", &layers, &["order-api:1.0"]),
            "saved",
        ),
    ] {
        let image = read_from(&files, Architecture::Amd64).unwrap();
        let (progress, mut events) = unbounded_channel();
        let pushed = push(&image, &registry, repository, tag, &progress)
            .await
            .unwrap();
        // The configuration of both is the same.
        let first = tag == "oci";
        assert_eq!(
            (pushed.uploaded, pushed.skipped),
            if first { (4, 0) } else { (3, 1) }
        );
        let mut sent = 0;
        while let Ok(event) = events.try_recv() {
            if let Progress::Sent { bytes, .. } = event {
                sent += bytes;
            }
        }
        assert_eq!(sent, pushed.uploaded_bytes);
        for reference in [tag, &image.digest] {
            let manifest = server.get(&format!("/v2/{repository}/manifests/{reference}"));
            assert_eq!(manifest, image.manifest);
        }
        for blob in &image.blobs {
            let content = server.get(&format!("/v2/{repository}/blobs/{}", blob.digest));
            assert_eq!(made::digest_of(&content), blob.digest);
        }
        let again = read_from(&files, Architecture::Amd64).unwrap();
        let pushed = push(&again, &registry, repository, tag, &progress)
            .await
            .unwrap();
        assert_eq!(
            (pushed.uploaded, pushed.skipped, pushed.uploaded_bytes),
            (0, 4, 0)
        );
    }
}
