//! Every key of orderctl.toml, changed on a live stack: what `plan` says, that `up` brings it about
//! and leaves nothing to do, and that AWS shows the new value.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod driver;

use std::collections::BTreeMap;

use driver::{Sandbox, Stack};
use serde_json::{Value, json};

/// A live stack whose settings are changed one step at a time. What goes wrong is gathered, so that
/// one run tells all of it.
struct Live<'s> {
    stack: Stack<'s>,
    settings: BTreeMap<String, String>,
    wrong: Vec<String>,
}

impl<'s> Live<'s> {
    fn up(sandbox: &'s Sandbox, suffix: &str) -> Self {
        let stack = sandbox.stack(suffix);
        stack.up(&[]);
        stack.aws(include_str!("changes/questions.py"));
        Self {
            stack,
            settings: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    /// Sets keys (`a.b = value` in TOML, one a line; `a.b` alone takes the key out), expects this
    /// plan, applies it with these flags, and expects this answer of AWS.
    fn step(
        &mut self,
        change: &str,
        planned: &[&str],
        flags: &[&str],
        question: &str,
        answer: &Value,
    ) {
        self.set(change);
        let mut planned: Vec<&str> = planned.to_vec();
        planned.sort_unstable();
        let plan = self.stack.plan().actions();
        if plan != planned {
            let text = format!("`{change}` plans {plan:#?}, not {planned:#?}");
            self.wrong.push(text);
        }
        self.apply(change, flags);
        let found = self.stack.aws(question);
        if found != *answer {
            let text = format!("after `{change}`, {question} is {found}, not {answer}");
            self.wrong.push(text);
        }
    }

    fn set(&mut self, change: &str) {
        for line in change.lines() {
            match line.split_once(" = ") {
                Some((key, value)) => {
                    self.settings.insert(key.to_owned(), value.to_owned());
                }
                None => {
                    self.settings.remove(line);
                }
            }
        }
        let lines = self.settings.iter();
        let text: String = lines
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        self.stack.configure(&text);
    }

    fn apply(&mut self, change: &str, flags: &[&str]) {
        let mut words = vec!["up", "--yes"];
        words.extend(flags);
        let run = self.stack.run(&words);
        if run.code != Some(0) {
            self.wrong.push(format!("`{change}`: {run}"));
        }
        let rest = self.stack.plan().actions();
        if !rest.is_empty() {
            let text = format!("`{change}` leaves something to do: {rest:#?}");
            self.wrong.push(text);
        }
    }

    fn finish(self) {
        self.stack.down(&[]);
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n\n"));
    }
}

#[test]
fn network_and_database_keys() {
    let sandbox = Sandbox::start();
    let mut live = Live::up(&sandbox, "net");
    let others = [
        "delete elastic-ip-2",
        "delete elastic-ip-3",
        "delete nat-gateway-2",
        "delete nat-gateway-3",
    ];
    let mut single = others.to_vec();
    single.extend([
        "update private-default-route-2",
        "update private-default-route-3",
    ]);
    live.step(
        "network.nat = \"single\"",
        &single,
        &[],
        "gateways()",
        &json!(1),
    );
    let none = [
        "delete elastic-ip-1",
        "delete nat-gateway-1",
        "delete private-default-route-1",
        "delete private-default-route-2",
        "delete private-default-route-3",
    ];
    live.step(
        "network.nat = \"none\"",
        &none,
        &[],
        "gateways()",
        &json!(0),
    );
    let mut all: Vec<String> = Vec::new();
    for number in 1..=3 {
        let nodes = ["elastic-ip", "nat-gateway", "private-default-route"];
        all.extend(nodes.map(|node| format!("create {node}-{number}")));
    }
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    live.step("network.nat", &all, &[], "gateways()", &json!(3));
    let gone = ["delete s3-endpoint"];
    live.step(
        "network.s3_endpoint = false",
        &gone,
        &[],
        "endpoints()",
        &json!(0),
    );
    let back = ["create s3-endpoint"];
    live.step("network.s3_endpoint", &back, &[], "endpoints()", &json!(1));

    let class = |number: &str, class: &str| json!([number, class]);
    let large = "db.r6g.large";
    let fewer = ["delete db-reader-2"];
    let two = json!([class("1", large), class("2", large)]);
    live.step("database.readers = 1", &fewer, &[], "instances()", &two);
    let more = ["create db-reader-2", "create db-reader-3"];
    let four = json!(["1", "2", "3", "4"].map(|number| class(number, large)));
    live.step("database.readers = 3", &more, &[], "instances()", &four);
    let none = [
        "delete db-reader-1",
        "delete db-reader-2",
        "delete db-reader-3",
    ];
    let one = json!([class("1", large)]);
    live.step("database.readers = 0", &none, &[], "instances()", &one);
    let writer = ["update db-writer"];
    let bigger = json!([class("1", "db.r6g.xlarge")]);
    let change = "database.instance_class = \"db.r6g.xlarge\"";
    live.step(change, &writer, &[], "instances()", &bigger);
    let both = ["update db-cluster", "update db-writer"];
    let serverless = json!([0.5, 4.0, [class("1", "db.serverless")]]);
    let acus = r#"[cluster().get("ServerlessV2ScalingConfiguration", {}).get(it) for it in ("MinCapacity", "MaxCapacity")] + [instances()]"#;
    live.step(
        "database.capacity = \"serverless\"",
        &both,
        &[],
        acus,
        &serverless,
    );
    let limits = json!([1.0, 8.0, [class("1", "db.serverless")]]);
    let change = "database.min_acu = 1\ndatabase.max_acu = 8";
    live.step(change, &["update db-cluster"], &[], acus, &limits);
    let days = r#"cluster()["BackupRetentionPeriod"]"#;
    let change = "database.backup_retention_days = 14";
    live.step(change, &["update db-cluster"], &[], days, &json!(14));
    // RDS's own secret is not known before RDS has made it.
    let managed = [
        "delete db-secret",
        "update db-cluster",
        "update execution-role",
        "update service",
        "update task-definition",
        "update task-role",
    ];
    let who = r#"[bool(cluster().get("MasterUserSecret")), len([it for it in secretsmanager.list_secrets()["SecretList"] if it["Name"].startswith("order-api-")])]"#;
    let change = "database.credentials = \"rds-managed\"";
    live.step(change, &managed, &[], who, &json!([true, 0]));

    // Other zones, or another address block, take the database with them.
    let zones = r#"["us-east-1d", "us-east-1e", "us-east-1f"]"#;
    replaced(&mut live, &format!("network.azs = {zones}"));
    let found = live.stack.aws("zones()");
    assert_eq!(found, serde_json::from_str::<Value>(zones).unwrap());
    replaced(&mut live, "network.cidr = \"10.20.0.0/16\"");
    assert_eq!(live.stack.aws("cidrs()"), json!(["10.20.0.0/16"]));
    live.finish();
}

/// A change that deletes the database: refused, and done once that is allowed.
fn replaced(live: &mut Live<'_>, change: &str) {
    live.set(change);
    let before = live.stack.aws("inventory()");
    let plan = live.stack.plan();
    let losing: Vec<&str> = plan.json["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| node["destroysData"] == true)
        .map(|node| node["address"].as_str().unwrap())
        .collect();
    let mut flags = Vec::new();
    for address in &losing {
        flags.extend(["--allow-replace", address]);
    }
    let is_lost = losing.contains(&"db-cluster") || change.starts_with("network.azs");
    if !is_lost {
        live.wrong.push(format!(
            "`{change}` keeps the database: {:#?}",
            plan.actions()
        ));
    }
    if !losing.is_empty() {
        let refused = live.stack.run(&["up", "--yes"]).ends_with(1);
        refused.shows(&["deletes data", &format!("--allow-replace {}", losing[0])]);
        assert_eq!(live.stack.aws("inventory()"), before);
    }
    live.apply(change, &flags);
}

#[test]
fn application_service_scaling_and_deploy_keys() {
    let sandbox = Sandbox::start();
    let mut live = Live::up(&sandbox, "svc");
    live.stack.aws(include_str!("lifecycle/image.py"));
    live.stack.up(&[]);

    let parameter = ["update config-parameter"];
    let wanted = |level: &str, most: u32, flag: bool| {
        let mut value = json!({ "region": "us-east-1", "logLevel": level, "maxConnections": most });
        if flag {
            value["flag"] = json!({ "on": true });
        }
        value
    };
    let change = "app.log_level = \"debug\"";
    live.step(
        change,
        &parameter,
        &[],
        "parameter()",
        &wanted("debug", 100, false),
    );
    let change = "app.max_connections = 250";
    live.step(
        change,
        &parameter,
        &[],
        "parameter()",
        &wanted("debug", 250, false),
    );
    let change = "app.config.flag = { on = true }";
    live.step(
        change,
        &parameter,
        &[],
        "parameter()",
        &wanted("debug", 250, true),
    );
    let change = "app.config.flag\napp.log_level\napp.max_connections";
    live.step(
        change,
        &parameter,
        &[],
        "parameter()",
        &wanted("info", 100, false),
    );

    let release = ["update service", "update task-definition"];
    let url = r#"environment().get("PAYMENT_URL")"#;
    let change = "app.env.PAYMENT_URL = \"https://pay.example.com\"";
    live.step(
        change,
        &release,
        &[],
        url,
        &json!("https://pay.example.com"),
    );
    live.step("app.env.PAYMENT_URL", &release, &[], url, &Value::Null);
    let sizes = r#"[task()["cpu"], task()["memory"]]"#;
    let change = "service.cpu = 1024\nservice.memory = 4096";
    live.step(change, &release, &[], sizes, &json!(["1024", "4096"]));
    let processor = r#"task()["runtimePlatform"]["cpuArchitecture"]"#;
    let change = "service.architecture = \"ARM64\"";
    live.step(change, &release, &[], processor, &json!("ARM64"));
    let image = r#"task()["containerDefinitions"][0]["image"].split(":")[-1]"#;
    live.stack.aws(
        r#"ecr.put_image(repositoryName="order-api-{s}", imageTag="v2", imageManifest=json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": ["v2"]}))"#,
    );
    let change = "service.image_tag = \"v2\"";
    live.step(change, &release, &[], image, &json!("v2"));
    let grace = r#"service()["healthCheckGracePeriodSeconds"]"#;
    let change = "service.health_check_grace_seconds = 120";
    live.step(change, &release, &[], grace, &json!(120));
    let both = ["update ecs-cluster", "update service"];
    let change = "service.spot_weight = 3\nservice.on_demand_weight = 2";
    let weights = json!({ "FARGATE": 2, "FARGATE_SPOT": 3 });
    live.step(change, &both, &[], "shares()", &weights);

    let target = ["update scalable-target"];
    let change = "scaling.min = 4\nscaling.max = 20";
    live.step(change, &target, &[], "target()", &json!([4, 20]));
    let policies = ["update cpu-scaling", "update pending-orders-scaling"];
    let change = "scaling.cpu_target = 50.5\nscaling.pending_orders_target = 20.0";
    let wanted = json!([[50.5, 300, 60], [20.0, 300, 60]]);
    live.step(change, &policies, &[], "policies()", &wanted);
    let change = "scaling.in_cooldown_seconds = 600\nscaling.out_cooldown_seconds = 30";
    let wanted = json!([[50.5, 600, 30], [20.0, 600, 30]]);
    live.step(change, &policies, &[], "policies()", &wanted);

    let service = ["update service"];
    let change = "deploy.strategy = \"canary\"\ndeploy.bake_minutes = 15";
    let wanted = json!(["CANARY", 15, [5.0, 10]]);
    live.step(change, &service, &[], "deployment()", &wanted);
    let change = "deploy.percent = 20.0\ndeploy.step_bake_minutes = 3";
    let wanted = json!(["CANARY", 15, [20.0, 3]]);
    live.step(change, &service, &[], "deployment()", &wanted);
    let change = "deploy.strategy = \"linear\"";
    let wanted = json!(["LINEAR", 15, [20.0, 3]]);
    live.step(change, &service, &[], "deployment()", &wanted);
    let change = "deploy.strategy\ndeploy.percent\ndeploy.step_bake_minutes";
    let wanted = json!(["BLUE_GREEN", 15, []]);
    live.step(change, &service, &[], "deployment()", &wanted);
    live.finish();
}

#[test]
fn edge_waf_alarm_log_tag_and_protection_keys() {
    let sandbox = Sandbox::start();
    let mut live = Live::up(&sandbox, "edge");
    let rules = ["update production-rule", "update test-rule"];
    let change = "edge.paths = [\"/orders*\", \"/health\"]";
    live.step(
        change,
        &rules,
        &[],
        "paths(443)",
        &json!(["/health", "/orders*"]),
    );
    let tester = ["create alb-test-from-203-0-113-0-24"];
    let change = "edge.test_cidrs = [\"203.0.113.0/24\"]";
    let wanted = json!([[8443, "203.0.113.0/24"]]);
    live.step(change, &tester, &[], "test_rules()", &wanted);
    let port = [
        "replace alb-test-from-203-0-113-0-24",
        "update test-listener",
    ];
    let wanted = json!([[[9443, "203.0.113.0/24"]], ["443", "80", "9443"]]);
    let question = "[test_rules(), sorted(protocols())]";
    live.step("edge.test_port = 9443", &port, &[], question, &wanted);
    let gone = ["delete alb-test-from-203-0-113-0-24"];
    live.step("edge.test_cidrs", &gone, &[], "test_rules()", &json!([]));

    let off = [
        "create http-production-rule",
        "delete alb-from-internet-https",
        "delete https-listener",
        "delete production-rule",
        "delete self-signed-certificate",
        "update http-listener",
        "update service",
        "update test-listener",
    ];
    let plain = json!({ "80": "HTTP", "9443": "HTTP" });
    live.step("edge.tls = \"off\"", &off, &[], "protocols()", &plain);
    let on = [
        "create alb-from-internet-https",
        "create https-listener",
        "create production-rule",
        "create self-signed-certificate",
        "delete http-production-rule",
        "update http-listener",
        "update service",
        "update test-listener",
    ];
    let secure = json!({ "80": "HTTP", "443": "HTTPS", "9443": "HTTPS" });
    live.step("edge.tls", &on, &[], "protocols()", &secure);
    certificates(&mut live);

    let set = ["update waf-allow-list"];
    let change = "waf.allow_cidrs = [\"198.51.100.0/24\"]";
    live.step(change, &set, &[], "allowed()", &json!(["198.51.100.0/24"]));
    let acl = ["update web-acl"];
    let change = "waf.rate_limit = 2000\nwaf.rate_window_seconds = 60";
    live.step(change, &acl, &[], "web_rules()", &json!([2000, 60, []]));
    let change = "waf.common = \"count\"\nwaf.known_bad_inputs = \"count\"\nwaf.sqli = \"count\"";
    let counted = [
        "AWSManagedRulesCommonRuleSet",
        "AWSManagedRulesKnownBadInputsRuleSet",
        "AWSManagedRulesSQLiRuleSet",
    ];
    live.step(
        change,
        &acl,
        &[],
        "web_rules()",
        &json!([2000, 60, counted]),
    );

    let change = "alarms.emails = [\"a@example.com\", \"b@example.com\"]";
    let new = [
        "create alarm-email-a-example-com",
        "create alarm-email-b-example-com",
    ];
    let two = json!(["a@example.com", "b@example.com"]);
    live.step(change, &new, &[], "mails()", &two);
    let change = "alarms.emails = [\"b@example.com\"]";
    let gone = ["delete alarm-email-a-example-com"];
    // AWS deletes no subscription before its receiver has confirmed it.
    live.step(change, &gone, &[], "mails()", &two);
    let alarms = ["update db-failures-alarm", "update high-errors-alarm"];
    let change = "alarms.high_errors = 5\nalarms.db_connections = 400";
    live.step(change, &alarms, &[], "thresholds()", &json!([5.0, 400.0]));

    let groups = [
        "update container-insights-log-group",
        "update db-log-group-audit",
        "update db-log-group-error",
        "update db-log-group-slowquery",
        "update service-log-group",
    ];
    live.step(
        "logs.retention_days = 30",
        &groups,
        &[],
        "retention()",
        &json!([30]),
    );
    let both = ["update db-cluster", "update load-balancer"];
    let protection = r#"cluster()["DeletionProtection"]"#;
    live.step("protect = true", &both, &[], protection, &json!(true));
    live.step("protect", &both, &[], protection, &json!(false));
    tags(&mut live);
    live.finish();
}

/// A certificate of the user's, then one for a domain, then the self-signed one again.
fn certificates(live: &mut Live<'_>) {
    let arn = live.stack.aws(r#"import_certificate("own.example.com")"#);
    let arn = arn.as_str().unwrap().to_owned();
    let served = r#"listeners()[443]["Certificates"][0]["CertificateArn"]"#;
    let own = [
        "delete self-signed-certificate",
        "update https-listener",
        "update test-listener",
    ];
    let change = format!("edge.certificate_arn = \"{arn}\"");
    live.step(&change, &own, &[], served, &json!(arn));
    live.stack.aws(r#"zone = route53.create_hosted_zone(Name="example.com", CallerReference="one")["HostedZone"]["Id"].split("/")[-1]"#);
    let zone = live.stack.aws("zone");
    let change = format!(
        "edge.certificate_arn\nedge.domain = \"orders.example.com\"\nedge.zone_id = {zone}"
    );
    let issued = [
        "create alias-record",
        "create certificate",
        "create certificate-validation",
        "create certificate-validation-record",
        "update https-listener",
        "update test-listener",
    ];
    let question = r#"[acm.describe_certificate(CertificateArn=listeners()[443]["Certificates"][0]["CertificateArn"])["Certificate"]["DomainName"], [it["Type"] for it in route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"] if it["Name"] == "orders.example.com."]]"#;
    let wanted = json!(["orders.example.com", ["A"]]);
    live.step(&change, &issued, &[], question, &wanted);
    assert_eq!(live.stack.outputs()["apiUrl"], "https://orders.example.com");
    let back = [
        "create self-signed-certificate",
        "delete alias-record",
        "delete certificate",
        "delete certificate-validation",
        "delete certificate-validation-record",
        "update https-listener",
        "update test-listener",
    ];
    let kind = r#"acm.describe_certificate(CertificateArn=listeners()[443]["Certificates"][0]["CertificateArn"])["Certificate"]["Type"]"#;
    let change = "edge.domain\nedge.zone_id";
    live.step(change, &back, &[], kind, &json!("IMPORTED"));
}

/// Tags reach every taggable resource, and nothing else changes with them.
fn tags(live: &mut Live<'_>) {
    let question = r#"[tags("describe_vpcs", "vpc").get("CostCenter"), tags("describe_security_group_rules", "alb-to-tasks").get("CostCenter")]"#;
    let mut planned = 0;
    for (change, wanted) in [
        ("tags.CostCenter = \"1\"", json!(["1", "1"])),
        ("tags.CostCenter = \"2\"", json!(["2", "2"])),
        ("tags.CostCenter", json!([null, null])),
    ] {
        live.set(change);
        let plan = live.stack.plan();
        let actions = plan.actions();
        let only = actions.iter().all(|action| action.starts_with("update "));
        let paths = plan.json["nodes"].as_array().unwrap().iter();
        let paths = paths.flat_map(|node| node["changes"].as_array().unwrap());
        let of_tags = paths.clone().all(|it| it["path"] == "tags.CostCenter");
        let count = actions.len();
        if !only || !of_tags || count < 55 || (planned != 0 && planned != count) {
            let changes: Vec<&Value> = paths.filter(|it| it["path"] != "tags.CostCenter").collect();
            live.wrong
                .push(format!("`{change}` plans {actions:#?} {changes:#?}"));
        }
        planned = count;
        live.apply(change, &[]);
        let found = live.stack.aws(question);
        if found != wanted {
            live.wrong.push(format!("after `{change}`: {found}"));
        }
    }
}
