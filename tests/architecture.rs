//! Holds the arrows of ARCHITECTURE.md: `cli → commands → stack → engine → resource ← kinds → aws`.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

fn sources(below: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// The modules of this crate, and the AWS crates, that a file names outside its tests.
fn named(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let mut names = Vec::new();
    for line in lines {
        for part in line.split("crate::").skip(1) {
            let name: String = part
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            names.push(name);
        }
        if line.contains("aws_sdk_") || line.contains("aws_smithy_") || line.contains("aws_config")
        {
            names.push("AWS crates".to_owned());
        }
    }
    names
}

#[test]
fn every_module_names_only_what_lies_before_it() {
    let allowed: &[(&str, &[&str])] = &[
        ("resource", &["resource"]),
        ("state", &["state", "resource"]),
        ("engine", &["engine", "resource", "state"]),
        ("aws", &["aws", "resource", "state", "AWS crates"]),
        ("service", &["service", "aws", "resource", "AWS crates"]),
        (
            "kinds",
            &["kinds", "aws", "resource", "service", "AWS crates"],
        ),
        ("config", &["config"]),
        ("stack", &["stack", "config", "engine", "kinds", "resource"]),
        (
            "image",
            &["image", "aws", "engine", "resource", "AWS crates"],
        ),
        ("import", &["import", "engine", "resource"]),
        (
            "doctor",
            &["doctor", "aws", "resource", "service", "AWS crates"],
        ),
        ("policy", &["policy", "kinds", "resource"]),
        (
            "rollout",
            &[
                "rollout",
                "aws",
                "kinds",
                "resource",
                "service",
                "AWS crates",
            ],
        ),
        ("sandbox", &["sandbox"]),
        (
            "status",
            &["status", "aws", "resource", "service", "AWS crates"],
        ),
        ("logs", &["logs", "aws", "resource", "AWS crates"]),
        (
            "ui",
            &[
                "ui", "doctor", "engine", "image", "import", "logs", "resource", "rollout",
                "service", "state", "status",
            ],
        ),
    ];
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (module, may_name) in allowed {
        for (path, text) in sources(&src.join(module)) {
            // Whole files of tests may look at more.
            if path.components().any(|part| {
                let part = part.as_os_str().to_string_lossy();
                part == "tests" || part == "tests.rs" || part == "testing.rs"
            }) {
                continue;
            }
            for name in named(&text) {
                if !name.is_empty() && !may_name.contains(&name.as_str()) {
                    wrong.push(format!("{} names {name}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `aws/objects.rs` gives the objects that `state` asks for; nothing else of `aws` knows of states.
#[test]
fn the_way_to_aws_knows_of_states_in_one_place() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let naming: Vec<_> = sources(&src.join("aws"))
        .into_iter()
        .filter(|(_, text)| named(text).iter().any(|name| name == "state"))
        .map(|(path, _)| path.strip_prefix(&src).unwrap().to_owned())
        .collect();
    assert_eq!(naming, [Path::new("aws/objects.rs")]);
}

/// The second place is the heartbeat of leases: `state` may not name `engine`, and a heartbeat is no
/// wait of the engine's.
#[test]
fn only_two_places_sleep() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sleeping: Vec<_> = sources(&src)
        .into_iter()
        .filter(|(path, text)| {
            let code = text.split("#[cfg(test)]").next().unwrap();
            let may_sleep = path.ends_with("engine/wait.rs") || path.ends_with("state/clock.rs");
            // Files of tests wait for what they test.
            let is_test = path.components().any(|part| part.as_os_str() == "tests");
            code.contains("sleep(") && !may_sleep && !is_test
        })
        .map(|(path, _)| path)
        .collect();
    assert!(sleeping.is_empty(), "{sleeping:?}");
}
