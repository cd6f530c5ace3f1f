//! The Python layer inside this binary: its files, their content hash, and unpacking them.
//!
//! The hash names the directory they are unpacked to, so another version of the binary brings its own.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use super::{SandboxDirs, SandboxError};

/// The package that `python -m` runs.
pub(super) const PACKAGE: &str = "orderctl_sandbox";

struct Embedded {
    path: &'static str,
    text: &'static str,
}

macro_rules! embedded {
    ($path:literal) => {
        Embedded {
            path: $path,
            text: include_str!(concat!("python/", $path)),
        }
    };
}

/// Every file of the layer, by its path below `python/`, in order.
static FILES: &[Embedded] = &[
    embedded!("orderctl_sandbox/__init__.py"),
    embedded!("orderctl_sandbox/__main__.py"),
    embedded!("orderctl_sandbox/answers.py"),
    embedded!("orderctl_sandbox/behaviour/__init__.py"),
    embedded!("orderctl_sandbox/behaviour/acm.py"),
    embedded!("orderctl_sandbox/behaviour/autoscaling.py"),
    embedded!("orderctl_sandbox/behaviour/ec2_consistency.py"),
    embedded!("orderctl_sandbox/behaviour/ec2_gateways.py"),
    embedded!("orderctl_sandbox/behaviour/ec2_lookups.py"),
    embedded!("orderctl_sandbox/behaviour/ec2_quotas.py"),
    embedded!("orderctl_sandbox/behaviour/ec2_refusals.py"),
    embedded!("orderctl_sandbox/behaviour/ec2_states.py"),
    embedded!("orderctl_sandbox/behaviour/ecr.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/__init__.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/alarms.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/capacity.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/clusters.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/configuration.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/containers.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/deployment_api.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/deployments.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/fleet.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/groups.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/hooks.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/images.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/insights.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/obstacles.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/revisions.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/rolling.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/service_events.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/services.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/stages.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/stop_reasons.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/targets.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/task_api.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/task_definitions.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/tasks.py"),
    embedded!("orderctl_sandbox/behaviour/ecs/traffic.py"),
    embedded!("orderctl_sandbox/behaviour/elbv2.py"),
    embedded!("orderctl_sandbox/behaviour/elbv2_consistency.py"),
    embedded!("orderctl_sandbox/behaviour/elbv2_refusals.py"),
    embedded!("orderctl_sandbox/behaviour/iam.py"),
    embedded!("orderctl_sandbox/behaviour/interfaces.py"),
    embedded!("orderctl_sandbox/behaviour/logs.py"),
    embedded!("orderctl_sandbox/behaviour/principals.py"),
    embedded!("orderctl_sandbox/behaviour/rds_clusters.py"),
    embedded!("orderctl_sandbox/behaviour/rds_groups.py"),
    embedded!("orderctl_sandbox/behaviour/rds_instances.py"),
    embedded!("orderctl_sandbox/behaviour/rds_interfaces.py"),
    embedded!("orderctl_sandbox/behaviour/rds_requests.py"),
    embedded!("orderctl_sandbox/behaviour/resets.py"),
    embedded!("orderctl_sandbox/behaviour/secretsmanager.py"),
    embedded!("orderctl_sandbox/behaviour/sns.py"),
    embedded!("orderctl_sandbox/behaviour/tagging.py"),
    embedded!("orderctl_sandbox/behaviour/wafv2.py"),
    embedded!("orderctl_sandbox/cbor.py"),
    embedded!("orderctl_sandbox/clock.py"),
    embedded!("orderctl_sandbox/consistency.py"),
    embedded!("orderctl_sandbox/control/__init__.py"),
    embedded!("orderctl_sandbox/control/answers.py"),
    embedded!("orderctl_sandbox/control/calls.py"),
    embedded!("orderctl_sandbox/control/checks.py"),
    embedded!("orderctl_sandbox/control/copies.py"),
    embedded!("orderctl_sandbox/control/endpoint.py"),
    embedded!("orderctl_sandbox/control/faults.py"),
    embedded!("orderctl_sandbox/control/intercept.py"),
    embedded!("orderctl_sandbox/control/latency.py"),
    embedded!("orderctl_sandbox/control/operations.py"),
    embedded!("orderctl_sandbox/control/state.py"),
    embedded!("orderctl_sandbox/data_plane.py"),
    embedded!("orderctl_sandbox/durations.py"),
    embedded!("orderctl_sandbox/environment.py"),
    embedded!("orderctl_sandbox/errors.py"),
    embedded!("orderctl_sandbox/patches/__init__.py"),
    embedded!("orderctl_sandbox/patches/acm.py"),
    embedded!("orderctl_sandbox/patches/autoscaling.py"),
    embedded!("orderctl_sandbox/patches/cloudwatch.py"),
    embedded!("orderctl_sandbox/patches/core.py"),
    embedded!("orderctl_sandbox/patches/ec2_interfaces.py"),
    embedded!("orderctl_sandbox/patches/ec2_network.py"),
    embedded!("orderctl_sandbox/patches/ec2_security_groups.py"),
    embedded!("orderctl_sandbox/patches/ecr.py"),
    embedded!("orderctl_sandbox/patches/ecs_clusters.py"),
    embedded!("orderctl_sandbox/patches/ecs_services.py"),
    embedded!("orderctl_sandbox/patches/ecs_task_definitions.py"),
    embedded!("orderctl_sandbox/patches/elbv2.py"),
    embedded!("orderctl_sandbox/patches/iam.py"),
    embedded!("orderctl_sandbox/patches/iam_simulation.py"),
    embedded!("orderctl_sandbox/patches/logs.py"),
    embedded!("orderctl_sandbox/patches/logs_events.py"),
    embedded!("orderctl_sandbox/patches/patching.py"),
    embedded!("orderctl_sandbox/patches/rds_clusters.py"),
    embedded!("orderctl_sandbox/patches/rds_groups.py"),
    embedded!("orderctl_sandbox/patches/route53.py"),
    embedded!("orderctl_sandbox/patches/secretsmanager.py"),
    embedded!("orderctl_sandbox/patches/servicequotas.py"),
    embedded!("orderctl_sandbox/patches/sns.py"),
    embedded!("orderctl_sandbox/patches/tagging.py"),
    embedded!("orderctl_sandbox/patches/wafv2.py"),
    embedded!("orderctl_sandbox/quotas.py"),
    embedded!("orderctl_sandbox/registry.py"),
    embedded!("orderctl_sandbox/server.py"),
    embedded!("orderctl_sandbox/settings.py"),
];

/// Hashes paths and contents of the layer; 16 hexadecimal digits.
pub(super) fn layer_hash() -> &'static str {
    static HASH: LazyLock<String> = LazyLock::new(|| {
        let mut digest = Sha256::new();
        for file in FILES {
            digest.update(file.path.as_bytes());
            digest.update([0]);
            digest.update(file.text.as_bytes());
            digest.update([0]);
        }
        hex::encode(&digest.finalize()[..8])
    });
    &HASH
}

/// Unpacks the layer unless it is there, and returns the directory that holds the package.
///
/// The files go to a temporary directory that is renamed at the end, so that what exists is complete.
pub(super) fn unpack(dirs: &SandboxDirs) -> Result<PathBuf, SandboxError> {
    let target = dirs.layers().join(layer_hash());
    if target.is_dir() {
        return Ok(target);
    }
    let parent = dirs.layers();
    std::fs::create_dir_all(&parent).map_err(SandboxError::file("could not create", &parent))?;
    let temporary = tempfile::Builder::new()
        .prefix(".unpacking-")
        .tempdir_in(&parent)
        .map_err(SandboxError::file(
            "could not create a directory in",
            &parent,
        ))?;
    for file in FILES {
        write(&temporary.path().join(file.path), file.text)?;
    }
    let temporary = temporary.keep();
    std::fs::rename(&temporary, &target)
        .map_err(SandboxError::file("could not create", &target))?;
    Ok(target)
}

fn write(path: &Path, text: &str) -> Result<(), SandboxError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(SandboxError::file("could not create", parent))?;
    }
    std::fs::write(path, text).map_err(SandboxError::file("could not write", path))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn python_files(directory: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                python_files(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "py") {
                found.insert(
                    path.strip_prefix(root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }

    #[test]
    fn every_file_of_the_layer_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sandbox/python");
        let mut present = BTreeSet::new();
        python_files(&root, &root, &mut present);
        let embedded: BTreeSet<String> = FILES.iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(present, embedded);
    }

    #[test]
    fn unpacks_once_and_completely() {
        let directory = tempfile::tempdir().unwrap();
        let dirs = SandboxDirs::at(directory.path());
        let layer = unpack(&dirs).unwrap();
        for file in FILES {
            assert_eq!(
                std::fs::read_to_string(layer.join(file.path)).unwrap(),
                file.text
            );
        }
        let marker = layer.join("marker");
        std::fs::write(&marker, "").unwrap();
        assert_eq!(unpack(&dirs).unwrap(), layer);
        assert!(marker.exists(), "a layer that is there is left alone");
        assert_eq!(std::fs::read_dir(dirs.layers()).unwrap().count(), 1);
    }
}
