//! Each example of `examples/` stands up, stays as it is, and goes again.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

mod driver;

use std::fs;
use std::path::{Path, PathBuf};

use driver::{Outcome, Sandbox, Workplace, command};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

fn run(place: &Workplace, verb: &str, file: &Path) -> Outcome {
    place.run(&format!("{verb} --sandbox -v --config {}", file.display()))
}

/// Stands the stack of a file up and checks that it is as declared then; gives the first run.
fn up_twice(place: &Workplace, file: &Path) -> Outcome {
    let first = run(place, "up --yes", file).ends_with(0);
    assert!(first.writes() > 60, "{first}");
    run(place, "plan --detailed-exitcode", file).ends_with(0);
    let second = run(place, "up --yes", file).ends_with(0);
    assert_eq!(second.writes(), 0, "{second}");
    first
}

fn down_twice(place: &Workplace, file: &Path) {
    run(place, "down --yes", file)
        .ends_with(0)
        .says(&["Nothing of stack"]);
    run(place, "down --yes", file)
        .ends_with(0)
        .says(&["There is nothing of stack"]);
}

#[test]
fn every_example_is_tested() {
    let mut names: Vec<String> = fs::read_dir(example("dev.toml").parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    assert_eq!(names, ["dev.toml", "prod.toml", "serverless.toml"]);
}

#[test]
fn dev_stands_up_and_goes() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    up_twice(&place, &example("dev.toml"));
    let state = place.state("dev");
    assert!(state["records"].get("nat-gateway-1").is_some());
    assert!(
        state["records"].get("nat-gateway-2").is_none(),
        "one NAT gateway"
    );
    assert!(state["records"].get("db-reader-1").is_none(), "no readers");
    down_twice(&place, &example("dev.toml"));
}

#[test]
fn serverless_stands_up_and_goes() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    up_twice(&place, &example("serverless.toml"));
    let cluster = sandbox.query("rds", "Action=DescribeDBClusters&Version=2014-10-31");
    assert!(cluster.contains("<MaxCapacity>16"), "{cluster}");
    assert!(cluster.contains("<MasterUserSecret>"), "{cluster}");
    down_twice(&place, &example("serverless.toml"));
}

#[test]
fn prod_stands_up_with_a_certificate_and_goes_once_its_protection_is_lifted() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let text = fs::read_to_string(example("prod.toml")).unwrap();
    let placeholder = text
        .lines()
        .find_map(|line| line.strip_prefix("certificate_arn = "))
        .unwrap();
    let certificate = import_certificate(&sandbox, &place);
    let text = text.replace(placeholder, &format!("{certificate:?}"));
    let file = place.write("prod.toml", &text);

    up_twice(&place, &file);
    let listeners = listeners(&sandbox, &place);
    assert!(listeners.contains(&certificate), "{listeners}");

    let before = place.state("prod");
    run(&place, "down --yes", &file)
        .ends_with(1)
        .without_data()
        .says(&[
            "stack `prod` is protected",
            "protect = false",
            "orderctl up",
        ]);
    assert_eq!(place.state("prod"), before);

    // Taking it out of the file is not enough: AWS still protects what it was told to.
    let lifted = place.write(
        "lifted.toml",
        &text.replace("protect = true", "protect = false"),
    );
    run(&place, "down --yes", &lifted)
        .ends_with(1)
        .says(&["stack `prod` is protected", "orderctl up"]);
    run(&place, "up --yes", &lifted).ends_with(0);
    down_twice(&place, &lifted);
}

/// Imports a self-signed certificate, as an operator would, and gives its ARN.
fn import_certificate(sandbox: &Sandbox, place: &Workplace) -> String {
    let made = rcgen::generate_simple_self_signed(["api.example.com".to_owned()]).unwrap();
    place.write("certificate.pem", &made.cert.pem());
    place.write("key.pem", &made.signing_key.serialize_pem());
    python(
        sandbox,
        place,
        "import boto3\n\
         acm = boto3.client('acm')\n\
         read = lambda name: open(name, 'rb').read()\n\
         made = acm.import_certificate(Certificate=read('certificate.pem'), PrivateKey=read('key.pem'))\n\
         print(made['CertificateArn'])",
    )
    .trim()
    .to_owned()
}

/// All listeners of the account, as text.
fn listeners(sandbox: &Sandbox, place: &Workplace) -> String {
    python(
        sandbox,
        place,
        "import boto3\n\
         elb = boto3.client('elbv2')\n\
         for balancer in elb.describe_load_balancers()['LoadBalancers']:\n\
         \x20   print(elb.describe_listeners(LoadBalancerArn=balancer['LoadBalancerArn'])['Listeners'])",
    )
}

fn python(sandbox: &Sandbox, place: &Workplace, script: &str) -> String {
    let output = command(sandbox.python())
        .args(["-c", script])
        .current_dir(place.path())
        .env("AWS_ENDPOINT_URL", sandbox.endpoint())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .output()
        .unwrap();
    Outcome::of("python", output).ends_with(0).stdout
}
