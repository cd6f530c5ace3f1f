//! Runs the Python tests of the local AWS's own layer with the Python it runs on.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

mod driver;

use std::path::Path;

use driver::{Running, Sandbox, command};

#[test]
fn the_python_tests_of_the_layer_pass() {
    let sandbox = Sandbox::start();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = command(sandbox.python());
    tests
        .args(["-m", "unittest", "discover", "-v", "-s", "tests/sandbox"])
        .current_dir(package)
        .env("PYTHONPATH", package.join("src/sandbox/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let outcome = Running::start("python -m unittest", tests)
        .finish()
        .ends_with(0);
    let summary = outcome
        .stderr
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("Ran "));
    let count: u32 = summary.unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(count > 0, "{outcome}");
}
