//! Two runs at once, and Ctrl-C in the middle of one (laws 2 and 10).

use crate::driver::{Gate, Running, Sandbox, Workplace};

/// The NAT gateways that live in the local AWS.
fn nat_gateways(sandbox: &Sandbox) -> usize {
    let body = "Action=DescribeNatGateways&Version=2016-11-15";
    sandbox
        .query("ec2", body)
        .matches("<state>available</state>")
        .count()
}

fn vpcs(sandbox: &Sandbox) -> usize {
    let body = "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=tag:Project&Filter.1.Value.1=order-api";
    sandbox.query("ec2", body).matches("<vpcId>").count()
}

#[test]
fn an_interrupted_up_saves_says_how_to_go_on_and_goes_on() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let gate = Gate::before(sandbox.endpoint(), "Action=CreateNatGateway&");
    let line = format!("up --suffix dev --yes --endpoint-url {}", gate.endpoint);
    let mut up = Running::start(&line, place.command(&line));
    gate.wait_until_closed();

    // In the middle of a run another one is refused, and a look is not.
    let holder = format!("process {}", up.id());
    place
        .run("up --suffix dev --sandbox --yes")
        .ends_with(3)
        .without_data()
        .says(&["`up` of ", &holder, "since 20"]);
    place.run("plan --suffix dev --sandbox").ends_with(0);

    up.interrupt();
    up.wait_for("stopping:");
    gate.open();
    let stopped = up.finish().ends_with(130).without_data();
    stopped.says(&[
        "everything so far is saved",
        "Run the same command again to go on",
    ]);

    let state = place.state("dev");
    let records = state["records"].as_object().unwrap();
    assert!(
        records.contains_key("vpc") && records.len() < 84,
        "{}",
        records.len()
    );
    // What was in flight was finished, so nothing is left announced.
    let open: Vec<&String> = records
        .iter()
        .filter(|(_, record)| record.get("outputs").is_none())
        .map(|(address, _)| address)
        .collect();
    assert!(open.is_empty(), "{open:?}");
    assert!(nat_gateways(&sandbox) >= 1, "the held call went through");

    let again = place.run("up --suffix dev --sandbox --yes").ends_with(0);
    assert!(again.stdout.contains("albDnsName"), "{again}");
    assert_eq!(
        (vpcs(&sandbox), nat_gateways(&sandbox)),
        (1, 3),
        "nothing is doubled"
    );
    place
        .run("plan --suffix dev --sandbox --detailed-exitcode")
        .ends_with(0);
}

#[test]
fn a_second_interrupt_leaves_at_once_and_up_still_goes_on() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let gate = Gate::before(sandbox.endpoint(), "Action=CreateNatGateway&");
    let line = format!("up --suffix dev --yes --endpoint-url {}", gate.endpoint);
    let mut up = Running::start(&line, place.command(&line));
    gate.wait_until_closed();
    up.terminate();
    up.wait_for("stopping:");
    // The gate stays closed: a run that waited for its calls would not end.
    up.interrupt();
    up.finish().ends_with(130).without_data();
    gate.cut();

    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    assert_eq!((vpcs(&sandbox), nat_gateways(&sandbox)), (1, 3));
    place.run("down --suffix dev --sandbox --yes").ends_with(0);
    assert_eq!((vpcs(&sandbox), nat_gateways(&sandbox)), (0, 0));
}

#[test]
fn an_interrupted_down_goes_on() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    let gate = Gate::before(sandbox.endpoint(), "Action=DeleteNatGateway&");
    let line = format!("down --yes --endpoint-url {}", gate.endpoint);
    let mut down = Running::start(&line, place.command(&line));
    gate.wait_until_closed();
    down.interrupt();
    down.wait_for("stopping:");
    gate.open();
    let stopped = down.finish().ends_with(130).without_data();
    stopped.says(&["Run the same command again to go on"]);
    assert_eq!(vpcs(&sandbox), 1, "the VPC waits for what is in it");
    let state = place.state("dev");
    assert!(state["records"].get("vpc").is_some());

    place
        .run("down --sandbox --yes")
        .ends_with(0)
        .says(&["Nothing of stack `dev` is left."]);
    assert_eq!((vpcs(&sandbox), nat_gateways(&sandbox)), (0, 0));
    assert!(!place.path().join("state/dev.json").exists());
}
