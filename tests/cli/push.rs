//! `push`: archives, docker and podman, what is refused before anything is sent, and a network that
//! fails.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::driver::{Outcome, Running, Sandbox, Workplace, http, images};

const ECR: &str = "AmazonEC2ContainerRegistry_V20150921";
const REPOSITORY: &str = "order-api-dev";

/// A local AWS that holds the stack's repository and nothing else.
struct World {
    sandbox: Sandbox,
    place: Workplace,
}

impl World {
    fn new() -> Self {
        let world = Self::without_repository();
        world.repository("dev");
        world
    }

    fn without_repository() -> Self {
        let sandbox = Sandbox::start_with("--control");
        let place = Workplace::on(&sandbox);
        Self { sandbox, place }
    }

    fn repository(&self, owner: &str) {
        let tags = json!([{ "Key": "orderctl:stack", "Value": owner }]);
        self.ecr(
            "CreateRepository",
            json!({ "repositoryName": REPOSITORY, "tags": tags }),
        );
    }

    fn ecr(&self, operation: &str, body: Value) -> Value {
        self.sandbox
            .call("ecr", &format!("{ECR}.{operation}"), &body)
    }

    fn push(&self, rest: &str) -> Outcome {
        self.place
            .run(&format!("push --suffix dev --sandbox {rest}"))
    }

    /// The image that carries a tag, as ECR describes it.
    fn image(&self, tag: &str) -> Option<Value> {
        let all = self.ecr("DescribeImages", json!({ "repositoryName": REPOSITORY }));
        let mut images = all["imageDetails"].as_array().unwrap().iter();
        let found = images.find(|image| {
            let tags = image["imageTags"].as_array();
            tags.is_some_and(|tags| tags.contains(&json!(tag)))
        });
        found.cloned()
    }

    /// The operations of the registry that were called so far.
    fn registry_calls(&self) -> Vec<String> {
        let path = "/orderctl/sandbox/control/calls";
        let log: Value = serde_json::from_str(&http::get(self.sandbox.endpoint(), path)).unwrap();
        let calls = log["calls"].as_array().unwrap().iter();
        let names = calls.map(|call| call["operation"].as_str().unwrap());
        names
            .filter(|name| {
                name.contains("Layer") || ["PutImage", "GetAuthorizationToken"].contains(name)
            })
            .map(str::to_owned)
            .collect()
    }

    fn fault(&self, operation: &str, nth: u32, action: &str) {
        self.sandbox.fault(
            &json!({ "service": "ecr", "operation": operation, "nth": nth, "action": action }),
        );
    }

    /// Writes an archive and gives its path.
    fn archive(&self, name: &str, files: &images::Files) -> PathBuf {
        let path = self.place.path().join(name);
        fs::write(&path, images::tarred(files)).unwrap();
        path
    }
}

fn layers() -> Vec<Vec<u8>> {
    ["base ", "application "]
        .map(|text| images::layer(&text.repeat(50_000)))
        .into()
}

/// Puts a program of this name into a directory for the PATH.
fn tool(directory: &Path, name: &str, script: &str) {
    fs::create_dir_all(directory).unwrap();
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn an_archive_becomes_an_image_of_the_repository_and_a_second_push_sends_nothing() {
    let world = World::new();
    let files = images::layout("amd64", &layers(), "1.0");
    let digest = images::image_of(&files);
    world.archive("image.tar", &files);
    let pushed = world.push("image.tar -vv").ends_with(0);
    assert_eq!(pushed.stdout, format!("{digest}\n"));
    let pushed = pushed.says(&["as order-api-dev:1.0", "uploaded", "orderctl deploy 1.0"]);
    // The registry's user and password, as they are and as they are sent.
    for secret in ["123456789012.us-east-1", "QVdTOjEyMzQ1"] {
        assert!(!pushed.stderr.contains(secret), "{pushed}");
    }
    let image = world.image("1.0").unwrap();
    assert_eq!(image["imageDigest"], digest.as_str());

    images::write_directory(&files, &world.place.path().join("layout"));
    let again = world.push("layout --json").ends_with(0);
    let lines = again.json_lines();
    assert_eq!(lines.len(), 1, "{again}");
    let line = &lines[0];
    assert_eq!(
        (&line["repository"], &line["tag"], &line["digest"]),
        (&json!(REPOSITORY), &json!("1.0"), &json!(digest))
    );
    assert_eq!(line["size"], image["imageSizeInBytes"]);
    assert_eq!(line["layers"], json!({ "uploaded": 0, "skipped": 3 }));
    assert_eq!(line["uploadedBytes"], 0);
    let uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/order-api-dev";
    assert_eq!(line["image"], format!("{uri}@{digest}"));
}

#[test]
fn a_network_that_fails_and_a_registry_that_is_busy_are_outlasted() {
    let world = World::new();
    world.archive(
        "image.tar",
        &images::docker_archive("amd64", &layers(), &["order-api:2"]),
    );
    world.fault("InitiateLayerUpload", 1, "throttle");
    world.fault("CompleteLayerUpload", 1, "drop-before");
    world.fault("CompleteLayerUpload", 2, "drop-after");
    world.fault("PutImage", 1, "error-before");
    let pushed = world.push("image.tar").ends_with(0).says(&["once more"]);
    let image = world.image("2").unwrap();
    assert_eq!(
        format!("{}\n", image["imageDigest"].as_str().unwrap()),
        pushed.stdout
    );
}

#[test]
fn a_missing_permission_is_named_and_leaves_no_image() {
    let world = World::new();
    world.archive("image.tar", &images::layout("amd64", &layers(), "1.0"));
    world.fault("PutImage", 1, "deny");
    world.push("image.tar").ends_with(1).without_data().says(&[
        "ecr:PutImage",
        "DENIED",
        "permission",
    ]);
    assert!(world.image("1.0").is_none());
}

#[test]
fn an_image_for_another_processor_is_refused_before_anything_is_sent() {
    let world = World::new();
    world.archive("image.tar", &images::layout("arm64", &layers(), "1.0"));
    world.push("image.tar").ends_with(1).without_data().says(&[
        "image.tar is for linux/arm64, and the stack's tasks run on linux/amd64",
        "docker build --platform linux/amd64",
    ]);
    assert_eq!(world.registry_calls(), [""; 0]);

    // What is declared counts, and what runs counts more.
    world
        .place
        .write("orderctl.toml", "[service]\narchitecture = \"ARM64\"\n");
    world.push("image.tar").ends_with(0);
    let definition = json!({
        "family": "order-api-dev", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
        "cpu": "512", "memory": "1024", "runtimePlatform": { "cpuArchitecture": "X86_64" },
        "containerDefinitions": [{ "name": "order-api", "image": "x" }],
    });
    let target = "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition";
    world.sandbox.call("ecs", target, &definition);
    world.push("image.tar").ends_with(1).says(&[
        "the task definition is for amd64 and `service.architecture` says arm64",
        "the stack's tasks run on linux/amd64",
    ]);
}

#[test]
fn what_cannot_be_pushed_is_told_apart() {
    let world = World::without_repository();
    let mut files = images::layout("amd64", &layers(), "1.0");
    world.archive("image.tar", &files);
    // The command line, before any call.
    world
        .push("nothing.tar")
        .refused(&["there is no nothing.tar", "docker save"]);
    world
        .push("image.tar --tag a/b")
        .refused(&["`a/b` is no tag"]);
    // The stack.
    world.push("image.tar").ends_with(1).says(&[
        "there is no repository `order-api-dev`",
        "run `orderctl up` first",
    ]);
    world.repository("other");
    world
        .push("image.tar")
        .ends_with(1)
        .says(&["does not carry the tag of stack `dev`"]);
    world.ecr("DeleteRepository", json!({ "repositoryName": REPOSITORY }));
    world.repository("dev");
    // The archive.
    let whole = images::tarred(&files);
    fs::write(
        world.place.path().join("cut.tar"),
        &whole[..whole.len() / 2],
    )
    .unwrap();
    world
        .push("cut.tar")
        .ends_with(1)
        .says(&["cut.tar is damaged", "nothing was pushed"]);
    let layer = files
        .keys()
        .find(|path| path.starts_with("blobs/"))
        .unwrap()
        .clone();
    files.get_mut(&layer).unwrap()[5] ^= 1;
    world.archive("changed.tar", &files);
    world
        .push("changed.tar")
        .ends_with(1)
        .says(&["changed.tar is damaged", "has the digest"]);
    world.place.write("notes.txt", "no image");
    world
        .push("notes.txt")
        .ends_with(1)
        .says(&["neither an OCI layout nor"]);
    assert_eq!(world.registry_calls(), [""; 0], "nothing was sent");
}

#[test]
fn a_tag_is_taken_from_another_image_only_if_somebody_agrees() {
    let world = World::new();
    world.archive("one.tar", &images::layout("amd64", &layers(), "live"));
    world.archive("two.tar", &images::layout("amd64", &layers()[..1], "live"));
    let one = world.push("one.tar").ends_with(0).stdout;
    world.push("two.tar").refused(&[
        "order-api-dev:live is sha256:",
        "nothing was changed",
        "--yes",
    ]);
    assert_eq!(world.image("live").unwrap()["imageDigest"], one.trim());
    let two = world.push("two.tar --yes").ends_with(0).stdout;
    assert_ne!(one, two);
    assert_eq!(world.image("live").unwrap()["imageDigest"], two.trim());
    // Another tag asks nothing.
    world.push("one.tar --tag stable").ends_with(0);
    assert_eq!(world.image("stable").unwrap()["imageDigest"], one.trim());
}

#[test]
fn an_image_of_docker_or_podman_is_asked_for_by_name() {
    let world = World::new();
    let archive = world.archive(
        "saved",
        &images::docker_archive("amd64", &layers(), &["order-api:latest"]),
    );
    let path = world.place.path().join("bin");
    let push = |rest: &str| {
        let line = format!("push --suffix dev --sandbox {rest}");
        let mut command = world.place.command(&line);
        Outcome::of(&line, command.env("PATH", &path).output().unwrap())
    };
    fs::create_dir(&path).unwrap();
    push("order-api:7")
        .ends_with(1)
        .says(&["neither docker nor podman is there"]);

    let gives = format!(
        "[ \"$*\" = \"save order-api:7\" ] || exit 9\nexec /bin/cat '{}'",
        archive.display()
    );
    tool(&path, "docker", &gives);
    let by_docker = push("order-api:7").ends_with(0).stdout;
    assert_eq!(world.image("7").unwrap()["imageDigest"], by_docker.trim());

    tool(
        &path,
        "docker",
        "echo 'warning: old' >&2; echo 'Cannot connect to the Docker daemon' >&2; exit 1",
    );
    push("order-api:7")
        .ends_with(1)
        .without_data()
        .says(&["docker gave no image: Cannot connect to the Docker daemon"]);
    tool(
        &path,
        "podman",
        &format!("exec /bin/cat '{}'", archive.display()),
    );
    // Without a tag in the name, the saved image says which.
    assert_eq!(push("order-api").ends_with(0).stdout, by_docker);
    assert!(world.image("latest").is_some());
}

#[test]
fn an_interrupted_push_leaves_the_tag_as_it_was() {
    let world = World::new();
    world.archive("image.tar", &images::layout("amd64", &layers(), "1.0"));
    world.fault("PutImage", 1, "hold-before");
    let line = "push image.tar --suffix dev --sandbox";
    let mut push = Running::start(line, world.place.command(line));
    push.wait_for("Pushing");
    let held = "/orderctl/sandbox/control/held?wait=120&count=1";
    http::get(world.sandbox.endpoint(), held);
    push.interrupt();
    push.finish()
        .ends_with(130)
        .without_data()
        .says(&["what has arrived is not sent twice"]);
    http::post_to(
        world.sandbox.endpoint(),
        "/orderctl/sandbox/control/release",
        "{\"drop\": true}",
    );
    assert!(world.image("1.0").is_none());
    let again = world.push("image.tar --json").ends_with(0);
    assert_eq!(
        again.json_lines()[0]["layers"],
        json!({ "uploaded": 0, "skipped": 3 })
    );
}
