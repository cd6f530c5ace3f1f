//! What `doctor` finds in a stack that runs and before there is one, and that `up` looks ahead.

use serde_json::{Value, json};

use crate::driver::{Outcome, Sandbox, Workplace, http};

const CONTROL: &str = "/orderctl/sandbox/control";

fn control(sandbox: &Sandbox, resource: &str, content: &Value) {
    let path = format!("{CONTROL}/{resource}");
    http::post_to(sandbox.endpoint(), &path, &content.to_string());
}

/// How many calls that change something were made.
fn writes(sandbox: &Sandbox) -> usize {
    let log = http::get(sandbox.endpoint(), &format!("{CONTROL}/calls?since=0"));
    let log: Value = serde_json::from_str(&log).unwrap();
    let calls = log["calls"].as_array().unwrap();
    calls.iter().filter(|call| call["wrote"] == true).count()
}

fn ecs(sandbox: &Sandbox, operation: &str, body: &Value) -> Value {
    let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
    sandbox.call("ecs", &target, body)
}

fn ecr(sandbox: &Sandbox, operation: &str, body: &Value) -> Value {
    let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
    sandbox.call("ecr", &target, body)
}

fn put_image(sandbox: &Sandbox, tag: &str) {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "layers": [tag],
    });
    let image = json!({
        "repositoryName": "order-api-dev",
        "imageTag": tag,
        "imageManifest": manifest.to_string(),
    });
    ecr(sandbox, "PutImage", &image);
}

/// A stack `dev` that runs a healthy image.
fn running_stack() -> (Sandbox, Workplace) {
    let sandbox = Sandbox::start_with("--control");
    let place = Workplace::on(&sandbox);
    place.run("up --suffix dev --sandbox --yes").ends_with(0);
    put_image(&sandbox, "latest");
    place.run("up --sandbox --yes").ends_with(0);
    (sandbox, place)
}

/// The findings of a run with `--json`, as `severity area: title`.
fn found(outcome: &Outcome) -> Vec<String> {
    let examined = outcome.json_lines().remove(0);
    let findings = examined["findings"].as_array().unwrap();
    let line = |finding: &Value| {
        let [severity, area, title] =
            ["severity", "area", "title"].map(|field| finding[field].as_str().unwrap());
        format!("{severity} {area}: {title}")
    };
    findings.iter().map(line).collect()
}

#[track_caller]
fn has(outcome: &Outcome, line: &str) {
    assert!(
        found(outcome).iter().any(|it| it == line),
        "no {line:?} in {outcome}"
    );
}

#[test]
fn a_healthy_stack_has_no_problem_and_looking_changes_nothing() {
    let (sandbox, place) = running_stack();
    let (files, before) = (place.files(), writes(&sandbox));
    let looked = place.run("doctor --sandbox --json").ends_with(0);
    let lines = found(&looked);
    assert!(
        lines.iter().all(|line| line.starts_with("fine ")),
        "{looked}"
    );
    for area in [
        "tasks", "image", "roles", "network", "targets", "database", "waf", "releases", "alarms",
        "logs",
    ] {
        let start = format!("fine {area}: ");
        assert!(
            lines.iter().any(|line| line.starts_with(&start)),
            "{area} in {looked}"
        );
    }
    has(&looked, "fine tasks: 3 of 3 tasks run");
    let text = place.run("doctor --sandbox").ends_with(0);
    assert!(text.stdout.starts_with("Fine\n"), "{text}");
    text.says(&["no problem, 0 warnings"]);
    assert_eq!(writes(&sandbox), before);
    assert_eq!(
        place.files(),
        files,
        "nothing is written, and no lock taken"
    );
}

#[test]
fn what_was_taken_away_is_found_with_the_command_that_brings_it_back() {
    let (sandbox, place) = running_stack();
    let state = place.state("dev");
    let id = |address: &str| {
        let outputs = &state["records"][address]["outputs"];
        outputs["id"].as_str().unwrap().to_owned()
    };
    let iam = |rest: &str| {
        sandbox.query(
            "iam",
            &format!("Version=2010-05-08&RoleName=ecs-task-dev&{rest}"),
        )
    };
    iam("Action=DeleteRolePolicy&PolicyName=order-api");
    iam("Action=DeleteRole");
    let table = id("private-route-table-1");
    let route = format!("Action=DeleteRoute&RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0");
    sandbox.query("ec2", &format!("Version=2016-11-15&{route}"));
    let (group, rule) = (id("ecs-security-group"), id("tasks-from-alb"));
    let revoke =
        format!("Action=RevokeSecurityGroupIngress&GroupId={group}&SecurityGroupRuleId.1={rule}");
    sandbox.query("ec2", &format!("Version=2016-11-15&{revoke}"));
    let image =
        json!({ "repositoryName": "order-api-dev", "imageIds": [{ "imageTag": "latest" }] });
    ecr(&sandbox, "BatchDeleteImage", &image);

    let looked = place.run("doctor --sandbox --json").ends_with(1);
    has(&looked, "problem roles: there is no role ecs-task-dev");
    has(
        &looked,
        "problem network: the tasks do not take requests of the load balancer on port 8080",
    );
    has(
        &looked,
        "problem image: the image of the running revision is not in the repository",
    );
    let routes: Vec<String> = found(&looked)
        .into_iter()
        .filter(|line| line.ends_with("has no default route"))
        .collect();
    assert_eq!(routes.len(), 1, "{looked}");
    assert!(
        routes[0].starts_with("problem network: private subnet"),
        "{looked}"
    );
    let text = place.run("doctor --sandbox").ends_with(1);
    for part in [
        "Problems\n",
        "fix: orderctl up",
        "fix: `orderctl push IMAGE`",
        &table,
    ] {
        assert!(text.stdout.contains(part), "{part} in {text}");
    }

    // And the command brings back what it says.
    place.run("up --sandbox --yes").ends_with(0);
    put_image(&sandbox, "latest");
    place.run("doctor --sandbox").ends_with(0);
}

#[test]
fn an_image_that_crashes_is_told_with_its_exit_code_and_its_last_words() {
    let (sandbox, place) = running_stack();
    put_image(&sandbox, "1.1-crash");
    let name = json!({ "taskDefinition": "order-api-dev" });
    let mut definition = ecs(&sandbox, "DescribeTaskDefinition", &name)["taskDefinition"].take();
    let container = &mut definition["containerDefinitions"][0];
    let image = container["image"]
        .as_str()
        .unwrap()
        .replace(":latest", ":1.1-crash");
    container["image"] = image.into();
    let fields = [
        "family",
        "taskRoleArn",
        "executionRoleArn",
        "networkMode",
        "containerDefinitions",
        "requiresCompatibilities",
        "cpu",
        "memory",
        "runtimePlatform",
    ];
    let request: Value = fields
        .iter()
        .map(|&field| (field.to_owned(), definition[field].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let registered = ecs(&sandbox, "RegisterTaskDefinition", &request);
    let update = json!({
        "cluster": "order-api-dev",
        "service": "order-api-dev",
        "taskDefinition": registered["taskDefinition"]["taskDefinitionArn"],
    });
    control(&sandbox, "clock", &json!({ "freeze": true }));
    ecs(&sandbox, "UpdateService", &update);
    let stopped = json!({ "cluster": "order-api-dev", "desiredStatus": "STOPPED" });
    let stops = |_| {
        control(&sandbox, "clock", &json!({ "advance": 10 }));
        let listed = ecs(&sandbox, "ListTasks", &stopped);
        !listed["taskArns"].as_array().unwrap().is_empty()
    };
    assert!((0..60).any(stops), "no task stops");

    let looked = place.run("doctor --sandbox --json").ends_with(1);
    let examined = looked.json_lines().remove(0);
    let findings = examined["findings"].as_array().unwrap();
    let crash = findings.iter().find(|finding| {
        let title = finding["title"].as_str().unwrap();
        title.ends_with("stopped: container order-api exits with code 1")
    });
    let crash = crash.unwrap_or_else(|| panic!("no crash in {looked}"));
    assert_eq!(crash["severity"], "problem");
    assert!(
        crash["evidence"]
            .to_string()
            .contains("exiting with code 1"),
        "{crash}"
    );
    assert!(
        crash["fix"].as_str().unwrap().contains("orderctl rollback"),
        "{crash}"
    );
}

#[test]
fn blocked_requests_and_refused_reads_are_no_failure() {
    let (sandbox, place) = running_stack();
    let blocked = json!({
        "rule": "AWSManagedRulesCommonRuleSet", "inner": "SizeRestrictions_BODY",
        "address": "203.0.113.9", "country": "DE", "method": "POST", "path": "/orders", "weight": 42,
    });
    control(&sandbox, "blocked-requests", &blocked);
    sandbox.fault(&json!({
        "action": "deny", "service": "ecs", "operation": "ListTasks", "times": 0,
    }));
    let looked = place.run("doctor --sandbox --json").ends_with(0);
    has(
        &looked,
        "warning waf: AWSManagedRulesCommonRuleSet / SizeRestrictions_BODY blocked about 42 requests within the last hour",
    );
    has(&looked, "unknown tasks: ecs:ListTasks is not permitted");
    let text = place.run("doctor --sandbox").ends_with(0);
    for part in [
        "from 203.0.113.9 (DE): 42",
        "203.0.113.9/32",
        "allow ecs:ListTasks",
    ] {
        assert!(text.stdout.contains(part), "{part} in {text}");
    }
}

#[test]
fn of_nothing_there_is_nothing_to_find() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    place
        .run("doctor --suffix dev --sandbox")
        .ends_with(1)
        .without_data()
        .says(&["there is nothing of stack `dev`", "doctor --preflight"]);
}

#[test]
fn the_preflight_passes_in_an_empty_account() {
    let sandbox = Sandbox::start_with("--control");
    let place = Workplace::on(&sandbox);
    let looked = place
        .run("doctor --preflight --suffix dev --sandbox --json")
        .ends_with(0);
    let lines = found(&looked);
    assert!(
        lines.iter().all(|line| line.starts_with("fine ")),
        "{looked}"
    );
    for area in [
        "credentials",
        "region",
        "quotas",
        "names",
        "secret",
        "permissions",
    ] {
        let start = format!("fine {area}: ");
        assert!(
            lines.iter().any(|line| line.starts_with(&start)),
            "{area} in {looked}"
        );
    }
    assert_eq!(writes(&sandbox), 0);
    let up = place.run("up --suffix dev --sandbox --yes").ends_with(0);
    up.says(&["preflight: 9 checks passed"]);
    // What the stack has is not needed again.
    place.run("doctor --preflight --sandbox").ends_with(0);
    let again = place.run("up --sandbox --yes").ends_with(0);
    assert!(!again.stderr.contains("preflight"), "{again}");
}

#[test]
fn the_preflight_names_what_stands_in_the_way_and_up_stops_there() {
    let sandbox = Sandbox::start_with("--control");
    let place = Workplace::on(&sandbox);
    control(
        &sandbox,
        "quotas",
        &json!({ "elastic-ips": 2, "fargate-vcpus": 3 }),
    );
    control(
        &sandbox,
        "denied-actions",
        &json!({ "actions": ["rds:CreateDB*"] }),
    );
    let topic = "Version=2010-03-31&Action=CreateTopic&Name=order-api-alarms-dev";
    sandbox.query("sns", topic);
    let name = "order-api-db-password-dev";
    let secret =
        json!({ "Name": name, "SecretString": "{}", "ClientRequestToken": "0".repeat(32) });
    sandbox.call("secretsmanager", "secretsmanager.CreateSecret", &secret);
    let delete = json!({ "SecretId": name, "RecoveryWindowInDays": 7 });
    sandbox.call("secretsmanager", "secretsmanager.DeleteSecret", &delete);
    let before = writes(&sandbox);

    let looked = place
        .run("doctor --preflight --suffix dev --sandbox --json")
        .ends_with(1);
    has(
        &looked,
        "problem quotas: Elastic IPs: 0 of 2 taken, 3 needed",
    );
    has(
        &looked,
        "warning quotas: Fargate Spot vCPUs: 0 of 3 taken, 1 needed, 5 during a release at the most tasks",
    );
    has(
        &looked,
        "problem names: some of the stack's names are taken by what does not carry its tags",
    );
    has(
        &looked,
        &format!("problem secret: a secret that is to be deleted holds the name {name}"),
    );
    let permissions = found(&looked)
        .into_iter()
        .find(|line| line.starts_with("problem permissions: "));
    assert!(permissions.is_some(), "{looked}");
    assert!(looked.stdout.contains("rds: CreateDBCluster, "), "{looked}");
    assert!(looked.stdout.contains("sns/topic alarm-topic"), "{looked}");

    let stopped = place
        .run("up --suffix dev --sandbox --yes")
        .ends_with(1)
        .without_data()
        .says(&[
            "Elastic IPs: 0 of 2 taken, 3 needed",
            "request-service-quota-increase",
            "delete-secret",
            "orderctl policy up",
            "nothing was changed",
            "--skip-preflight",
        ]);
    assert!(!stopped.stderr.contains("Fine"), "{stopped}");
    assert_eq!(writes(&sandbox), before, "{stopped}");
    assert!(!place.path().join("state/dev.json").exists());
}

#[test]
fn who_knows_better_skips_the_preflight() {
    let sandbox = Sandbox::start_with("--control");
    let place = Workplace::on(&sandbox);
    control(
        &sandbox,
        "denied-actions",
        &json!({ "actions": ["ec2:CreateVpc"] }),
    );
    let line = "up --suffix dev --sandbox --yes";
    place.run(line).ends_with(1).says(&["ec2: CreateVpc"]);
    let up = place.run(&format!("{line} --skip-preflight")).ends_with(0);
    assert!(!up.stderr.contains("preflight"), "{up}");
}

#[test]
fn who_may_not_simulate_or_ask_for_quotas_goes_on() {
    let sandbox = Sandbox::start_with("--control");
    let place = Workplace::on(&sandbox);
    for (service, operation) in [
        ("iam", "SimulatePrincipalPolicy"),
        ("servicequotas", "GetServiceQuota"),
    ] {
        sandbox.fault(&json!({
            "action": "deny", "service": service, "operation": operation, "times": 0,
        }));
    }
    let up = place.run("up --suffix dev --sandbox --yes").ends_with(0);
    up.says(&[
        "Not known",
        "iam:SimulatePrincipalPolicy is not permitted",
        "servicequotas:GetServiceQuota is not permitted",
    ]);
}
