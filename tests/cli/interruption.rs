//! Two runs at once, and signals in the middle of one (laws 2 and 10). What never answers is a gate that
//! stays closed until the program has ended.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::driver::{Gate, Outcome, Running, Sandbox, Workplace, http, json_lines};

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

/// The nodes whose create is announced and was never answered.
fn announced(state: &Value) -> Vec<String> {
    let records = state["records"].as_object().unwrap().iter();
    records
        .filter(|(_, record)| record.get("outputs").is_none())
        .map(|(address, _)| address.clone())
        .collect()
}

/// Starts a command over a gate, and returns once a request with this text is held.
fn held(place: &Workplace, gate: &Gate, line: &str) -> Running {
    let line = format!("{line} --suffix dev --endpoint-url {}", gate.endpoint);
    let running = Running::start(&line, place.command(&line));
    gate.wait_until_closed();
    running
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
    let stopped = up.finish().ends_with(130).without_data().says(&[
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
    // What was in flight was finished, unless the machine was too busy for that; then it is named.
    let open = announced(&state);
    for address in &open {
        assert!(stopped.stderr.contains(address), "{address} in {stopped}");
    }

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

#[test]
fn what_has_changed_nothing_ends_at_once_and_says_so() {
    let sandbox = Sandbox::start();
    // The account, the first look at the cloud, and the zones before both.
    for marker in ["Action=GetCallerIdentity&", "Action=DescribeVpcs&"] {
        let place = Workplace::on(&sandbox);
        for line in ["plan", "up --yes", "down --yes"] {
            let gate = Gate::before(sandbox.endpoint(), marker);
            let running = held(&place, &gate, line);
            running.hang_up();
            running
                .finish_by_itself()
                .ends_with(130)
                .without_data()
                .says(&[
                    "interrupted; nothing was changed",
                    "run the same command again",
                ]);
            assert!(!place.path().join("state/dev.json").exists());
        }
        let gate = Gate::before(sandbox.endpoint(), marker);
        let running = held(&place, &gate, "up --yes --json");
        running.terminate();
        let ended = running.finish_by_itself().ends_with(130);
        let last = ended.json_lines().pop().unwrap();
        assert_eq!(last["type"], "interrupted", "{ended}");
        assert_eq!(last["changed"], false);
        assert!(
            json_lines(&ended.stderr)
                .iter()
                .all(|line| line["type"] == "error")
        );
        // The lock is free.
        place.run("down --suffix dev --sandbox --yes").ends_with(0);
    }
}

#[test]
fn an_up_whose_calls_never_answer_saves_and_ends_and_goes_on() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let gate = Gate::before(sandbox.endpoint(), "Action=CreateNatGateway&");
    let up = held(&place, &gate, "up --yes --json");
    up.terminate();
    let ended = up.finish_by_itself().ends_with(130);
    let lines = ended.json_lines();
    let [.., report, last] = &lines[..] else {
        panic!("{ended}")
    };
    assert_eq!(
        (&report["type"], &report["stopped"]),
        (&"report".into(), &true.into())
    );
    assert_eq!(report["unsaved"], Value::Null);
    assert_eq!(
        (&last["type"], &last["changed"]),
        (&"interrupted".into(), &true.into())
    );
    let unanswered = report["unanswered"].as_array().unwrap();
    assert!(
        unanswered
            .iter()
            .any(|node| node.as_str().unwrap().starts_with("nat-gateway-"))
    );
    let state = place.state("dev");
    for address in unanswered {
        let record = &state["records"][address.as_str().unwrap()];
        assert!(record["intent"].is_object(), "{address}: {ended}");
    }
    assert_eq!(state["last_run"]["ended"]["outcome"], "interrupted");
    gate.cut();

    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    assert_eq!((vpcs(&sandbox), nat_gateways(&sandbox)), (1, 3));

    let gate = Gate::before(sandbox.endpoint(), "Action=DeleteNatGateway&");
    let down = held(&place, &gate, "down --yes");
    down.interrupt();
    let ended = down.finish_by_itself().ends_with(130).without_data();
    let ended = ended.says(&["everything so far is saved"]);
    let is_told = |line: &str| line.contains("not answered yet") && line.contains("nat-gateway-");
    assert!(ended.stderr.lines().any(is_told), "{ended}");
    gate.cut();
    place.run("down --suffix dev --sandbox --yes").ends_with(0);
    assert_eq!((vpcs(&sandbox), nat_gateways(&sandbox)), (0, 0));
}

#[test]
fn a_state_in_s3_that_cannot_be_saved_any_more_holds_nobody_up() {
    let sandbox = Sandbox::start();
    let bucket = http::s3(sandbox.endpoint(), "PUT", "/states", "");
    assert_eq!(bucket.0, 200, "{}", bucket.1);
    let place = Workplace::on(&sandbox);
    let gate = Gate::before(sandbox.endpoint(), "PUT /states/dev.json");
    // Everything after the first save is held too: nothing answers any more.
    let up = held(&place, &gate, "up --yes --state s3://states");
    up.terminate();
    up.finish_by_itself().ends_with(130).without_data().says(&[
        "stopping:",
        "something did not end in time",
        "Run the same command again",
    ]);
}

#[test]
fn a_signal_while_the_local_aws_is_installed_or_started_leaves_nothing_running() {
    // A stand-in for uv hangs while it installs, one for moto's Python while it starts.
    let hangs =
        "echo $$ > \"$STARTED.new\" && /bin/mv \"$STARTED.new\" \"$STARTED\"; exec /bin/sleep 1000";
    let python = format!(
        "#!/bin/sh\ncase \"$*\" in *'import flask'*) echo 5.2.5;; *orderctl_sandbox*) {hangs};; esac\n"
    );
    for (name, text) in [("uv", format!("#!/bin/sh\n{hangs}\n")), ("python", python)] {
        let place = Workplace::new();
        let program = place.write(&format!("bin/{name}"), &text);
        let server = place.write("bin/moto_server", &format!("#!{}\n", program.display()));
        for path in [&program, &server] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        if name == "uv" {
            fs::remove_file(server).unwrap();
        }
        let started = place.path().join("started");
        let line = "up --suffix dev --sandbox --yes";
        let mut command = place.command(line);
        command
            .env("PATH", place.path().join("bin"))
            .env("STARTED", &started);
        let up = Running::start(line, command);
        let process = wait_for_text(&started);
        up.interrupt();
        up.finish_by_itself()
            .ends_with(130)
            .without_data()
            .says(&["interrupted; nothing was changed"]);
        wait_until_gone(process.trim());
        let left = place.files();
        assert!(
            left.keys().all(|file| !file.contains("running.json")),
            "{left:?}"
        );
    }
}

/// The text of a file that appears whole.
fn wait_for_text(path: &Path) -> String {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(180);
    while !path.exists() {
        assert!(
            std::time::Instant::now() < deadline,
            "no {}",
            path.display()
        );
        std::thread::yield_now();
    }
    fs::read_to_string(path).unwrap()
}

/// Returns once a process is no more, or waits only for its parent to take note of that.
fn wait_until_gone(process: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(180);
    let is_running = || {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"));
        stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim().starts_with('Z'))
    };
    while is_running() {
        assert!(std::time::Instant::now() < deadline, "{process} runs on");
        std::thread::yield_now();
    }
}

#[test]
fn ctrl_c_is_an_answer_to_the_question() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let line = "up --suffix dev --sandbox --color never";
    let ended = place
        .answer_on_terminal(&sandbox, line, "[y/N] ", "\u{3}")
        .ends_with(130);
    let lines: Vec<&str> = ended.stdout.lines().map(str::trim).collect();
    assert!(
        lines.contains(&"error: interrupted; nothing was changed"),
        "on a line of its own: {ended}"
    );
    assert!(!place.path().join("state/dev.json").exists());
    place.run("plan --suffix dev --sandbox").ends_with(0);
}

#[test]
fn readers_that_had_enough_do_not_stop_a_run() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    for line in [
        "up --suffix dev --sandbox --yes -vvv",
        "down --suffix dev --sandbox --yes --json -vvv",
    ] {
        let mut command = place.command(line);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // What `2>&1 | head -1` does, and earlier.
        drop((child.stdout.take(), child.stderr.take()));
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{line}");
        let left = if line.starts_with("up") { 3 } else { 0 };
        assert_eq!(nat_gateways(&sandbox), left, "{line}");
    }
}

#[test]
fn what_could_not_be_recorded_is_named_and_found_again() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let gate = Gate::before(sandbox.endpoint(), "Action=CreateNatGateway&");
    let up = held(&place, &gate, "up --yes");
    // A disk that is full, as far as a test can bring that about: there is no such directory any more.
    let (state, aside) = (place.path().join("state"), place.path().join("aside"));
    fs::rename(&state, &aside).unwrap();
    fs::write(&state, "in the way").unwrap();
    gate.open();
    let ended = up.finish().ends_with(1).without_data().says(&[
        "the state could not be saved: state/dev.json",
        "not recorded: ec2/nat_gateway nat-gateway-",
        "make the state writable again",
    ]);
    let made = named(&ended);
    assert!(
        !made.is_empty() && made.iter().all(|id| id.starts_with("nat-")),
        "{made:?}"
    );
    fs::remove_file(&state).unwrap();
    fs::rename(&aside, &state).unwrap();

    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    assert_eq!((vpcs(&sandbox), nat_gateways(&sandbox)), (1, 3), "{ended}");
    let recorded = place.state("dev").to_string();
    assert!(made.iter().all(|id| recorded.contains(id)), "{made:?}");
}

/// The ids of NAT gateways that a run could not record.
fn named(ended: &Outcome) -> Vec<String> {
    let lines = ended.stderr.lines();
    let lines = lines.filter(|line| line.contains("not recorded: ec2/nat_gateway"));
    lines
        .map(|line| line.rsplit(' ').next().unwrap().to_owned())
        .collect()
}
