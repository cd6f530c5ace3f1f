//! What a user sees of the configuration: what wins, what is refused and where the error points.

use std::fs;

use super::*;

mod refusals;
mod sources;
mod tables;

/// Writes `text` as orderctl.toml into a directory of its own and loads it.
fn load_text(text: &str) -> Result<Settings, ConfigError> {
    load_with(text, Overrides::default())
}

fn load_with(text: &str, overrides: Overrides) -> Result<Settings, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(FILE_NAME), text).unwrap();
    load(&Overrides {
        directory: Some(directory.path().to_owned()),
        ..overrides
    })
}

/// Loads a text in which `>>` marks the offender, and checks message, help and place.
fn refused(marked: &str, message: &str, help: &str) {
    let start = marked
        .find(">>")
        .unwrap_or_else(|| panic!("no mark in {marked:?}"));
    let before = &marked[..start];
    let line = before.lines().count() + usize::from(before.is_empty() || before.ends_with('\n'));
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let text = marked.replacen(">>", "", 1);
    let error = match load_text(&text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error,
    };
    assert!(
        error.message().contains(message),
        "{text}\n{error:?}\nwanted {message:?}"
    );
    assert!(
        error.help_text().contains(help),
        "{text}\n{error:?}\nwanted {help:?}"
    );
    assert_eq!(error.position(), Some((line, column)), "{text}\n{error:?}");
    assert!(
        render(&error, false, 100).is_ascii() || !text.is_ascii(),
        "{error:?}"
    );
}

fn example(name: &str) -> Settings {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name);
    load(&Overrides {
        config_path: Some(path),
        ..Overrides::default()
    })
    .unwrap()
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    Environment::read(|name| {
        let found = pairs.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn without_a_file_everything_is_a_default() {
    let directory = tempfile::tempdir().unwrap();
    let directory = Some(directory.path().to_owned());
    let settings = load(&Overrides {
        directory,
        ..Overrides::default()
    })
    .unwrap();
    assert_eq!(settings.config, Config::default());
    assert_eq!(
        (settings.file, settings.suffix, settings.state),
        (None, None, None)
    );
    assert_eq!(settings.region_from, Origin::Default);
    assert_eq!(load_text("").unwrap().config, Config::default());
}

/// The contract of names and settings, written out: a changed default must be seen here.
#[test]
fn the_defaults_are_the_documented_ones() {
    let expected = serde_json::json!({
        "region": "us-east-1", "protect": false, "tags": {},
        "network": {"cidr": "10.0.0.0/16", "azs": null, "nat": "per-az", "s3_endpoint": true},
        "database": {
            "credentials": "secret", "readers": 2, "instance_class": "db.r6g.large",
            "capacity": "provisioned", "min_acu": 0.5, "max_acu": 4.0,
            "backup_retention_days": 7, "engine_version": "8.0"
        },
        "app": {"config": {}, "env": {}, "log_level": "info", "max_connections": 100},
        "service": {
            "cpu": 512, "memory": 1024, "architecture": "X86_64",
            "health_check_grace_seconds": 60, "image_tag": "latest",
            "spot_weight": 1, "on_demand_weight": 1
        },
        "scaling": {
            "min": 3, "max": 10, "cpu_target": 70.0, "pending_orders_target": 100.0,
            "in_cooldown_seconds": 300, "out_cooldown_seconds": 60
        },
        "edge": {
            "tls": "on", "certificate_arn": null, "domain": null, "zone_id": null,
            "paths": ["/*"], "test_cidrs": [], "test_port": 8443
        },
        "waf": {
            "allow_cidrs": [], "rate_limit": 100, "rate_window_seconds": 300,
            "common": "block", "known_bad_inputs": "block", "sqli": "block"
        },
        "alarms": {"emails": [], "high_errors": 10, "db_connections": 80},
        "logs": {"retention_days": 7},
        "deploy": {
            "strategy": "all-at-once", "percent": 5.0, "step_bake_minutes": 10, "bake_minutes": 5
        }
    });
    assert_eq!(serde_json::to_value(Config::default()).unwrap(), expected);
}

/// Every key away from its default, so that none can be read into the wrong place.
#[test]
fn every_key_arrives() {
    let settings = load_text(
        r#"
        suffix = "prod-eu"
        region = "eu-west-1"
        profile = "work"
        state = "../states"
        protect = true
        [tags]
        CostCenter = "47 11"
        [network]
        cidr = "10.8.0.0/18"
        azs = ["eu-west-1c", "eu-west-1a", "eu-west-1b"]
        nat = "single"
        s3_endpoint = false
        [database]
        credentials = "rds-managed"
        readers = 15
        instance_class = "db.t4g.medium"
        capacity = "serverless"
        min_acu = 0
        max_acu = 7.5
        backup_retention_days = 35
        engine_version = "8.0.mysql_aurora.3.08"
        [app]
        log_level = "debug"
        max_connections = 1_000
        [app.config]
        flags = { fast = true, ratio = 0.25, names = ["a", "b"] }
        day = 2026-01-31
        [app.env]
        PAYMENT_URL = "https://payments.example.com"
        [service]
        cpu = 0x400
        memory = 2048
        architecture = "ARM64"
        health_check_grace_seconds = 0
        image_tag = "v1.2.3"
        spot_weight = 3
        on_demand_weight = 0
        [scaling]
        min = 1
        max = 1
        cpu_target = 55.5
        pending_orders_target = 40
        in_cooldown_seconds = 120
        out_cooldown_seconds = 0
        [edge]
        domain = "orders.example.com"
        zone_id = "Z0123456789ABCDEFGHIJ"
        paths = ["/orders", "/orders/*"]
        test_cidrs = ["203.0.113.0/24", "198.51.100.7/32"]
        test_port = 9443
        [waf]
        allow_cidrs = ["203.0.113.7/32"]
        rate_limit = 10
        rate_window_seconds = 60
        common = "count"
        known_bad_inputs = "count"
        sqli = "count"
        [alarms]
        emails = ["oncall@example.com"]
        high_errors = 0
        db_connections = 500
        [logs]
        retention_days = 3653
        [deploy]
        strategy = "linear"
        percent = 12.5
        step_bake_minutes = 3
        bake_minutes = 1440
        "#,
    )
    .unwrap();
    let expected = serde_json::json!({
        "region": "eu-west-1", "protect": true, "tags": {"CostCenter": "47 11"},
        "network": {
            "cidr": "10.8.0.0/18", "azs": ["eu-west-1c", "eu-west-1a", "eu-west-1b"],
            "nat": "single", "s3_endpoint": false
        },
        "database": {
            "credentials": "rds-managed", "readers": 15, "instance_class": "db.t4g.medium",
            "capacity": "serverless", "min_acu": 0.0, "max_acu": 7.5,
            "backup_retention_days": 35, "engine_version": "8.0.mysql_aurora.3.08"
        },
        "app": {
            "config": {
                "flags": {"fast": true, "ratio": 0.25, "names": ["a", "b"]}, "day": "2026-01-31"
            },
            "env": {"PAYMENT_URL": "https://payments.example.com"},
            "log_level": "debug", "max_connections": 1000
        },
        "service": {
            "cpu": 1024, "memory": 2048, "architecture": "ARM64",
            "health_check_grace_seconds": 0, "image_tag": "v1.2.3",
            "spot_weight": 3, "on_demand_weight": 0
        },
        "scaling": {
            "min": 1, "max": 1, "cpu_target": 55.5, "pending_orders_target": 40.0,
            "in_cooldown_seconds": 120, "out_cooldown_seconds": 0
        },
        "edge": {
            "tls": "on", "certificate_arn": null, "domain": "orders.example.com",
            "zone_id": "Z0123456789ABCDEFGHIJ", "paths": ["/orders", "/orders/*"],
            "test_cidrs": ["203.0.113.0/24", "198.51.100.7/32"], "test_port": 9443
        },
        "waf": {
            "allow_cidrs": ["203.0.113.7/32"], "rate_limit": 10, "rate_window_seconds": 60,
            "common": "count", "known_bad_inputs": "count", "sqli": "count"
        },
        "alarms": {"emails": ["oncall@example.com"], "high_errors": 0, "db_connections": 500},
        "logs": {"retention_days": 3653},
        "deploy": {
            "strategy": "linear", "percent": 12.5, "step_bake_minutes": 3, "bake_minutes": 1440
        }
    });
    assert_eq!(serde_json::to_value(&settings.config).unwrap(), expected);
    assert_eq!(
        settings.suffix.as_ref().map(Suffix::as_str),
        Some("prod-eu")
    );
    assert_eq!(settings.profile.as_deref(), Some("work"));
    assert_eq!(settings.state.as_deref(), Some("../states"));
    assert_eq!(settings.region_from, Origin::File);
}

#[test]
fn canary_and_linear_bring_their_own_defaults() {
    for (strategy, expected) in [("canary", (5.0, 10)), ("linear", (10.0, 6))] {
        let text = format!("[deploy]\nstrategy = \"{strategy}\"\n");
        let deploy = load_text(&text).unwrap().config.deploy;
        assert_eq!(
            (deploy.percent, deploy.step_bake_minutes),
            expected,
            "{strategy}"
        );
    }
}

#[test]
fn the_parameter_has_its_own_keys_first_then_the_users() {
    let text = "[app]\nlog_level = 'warn'\n[app.config]\nb = 2\na = [1]\n";
    let config = load_text(text).unwrap().config;
    assert_eq!(
        config.app.parameter(&config.region).to_string(),
        r#"{"region":"us-east-1","logLevel":"warn","maxConnections":100,"a":[1],"b":2}"#
    );
}

#[test]
fn a_later_finding_points_at_the_key_if_the_file_has_it() {
    let settings = load_text("protect = false\nregion = 'us-west-1'\n").unwrap();
    let error = settings.error_at("region", "us-west-1 has 2 AZs", "choose another region");
    assert_eq!(error.position(), Some((2, 10)));
    assert_eq!(
        (error.message(), error.help_text()),
        ("us-west-1 has 2 AZs", "choose another region")
    );
    let error = settings.error_at("network.azs", "message", "help");
    assert_eq!(error.position(), None);
}

#[test]
fn the_examples_load_and_are_what_they_say() {
    let dev = example("dev.toml");
    assert_eq!(dev.suffix.as_ref().map(Suffix::as_str), Some("dev"));
    assert_eq!(
        (dev.config.network.nat, dev.config.database.readers),
        (Nat::Single, 0)
    );
    assert_eq!((dev.config.scaling.min, dev.config.protect), (1, false));

    let prod = example("prod.toml").config;
    assert!(prod.protect && prod.edge.certificate_arn.is_some());
    assert_eq!((prod.database.readers, prod.alarms.emails.len()), (2, 2));

    let serverless = example("serverless.toml").config.database;
    assert_eq!(serverless.capacity, Capacity::Serverless);
    assert_eq!(serverless.credentials, Credentials::RdsManaged);
}

/// Uncomments every `#key = value` line of a template.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn the_template_means_the_defaults_as_it_is_and_uncommented() {
    assert_eq!(load_text(TEMPLATE).unwrap().config, Config::default());
    let settings = load_text(&uncommented(TEMPLATE)).unwrap();
    assert_eq!(settings.config, Config::default());
    assert_eq!(settings.region_from, Origin::File);
}

#[test]
fn the_template_has_every_key_of_the_schema() {
    let notes = RefCell::<Notes>::default();
    file::read(&DeTable::new(), &notes);
    let schema = notes.into_inner().schema;
    assert!(schema.len() > 50, "{schema:?}");
    let mut table = "";
    let open_tables = ["tags", "app.config", "app.env"];
    let mut found = open_tables.map(str::to_owned).to_vec();
    for line in TEMPLATE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']');
        }
        let full = |key: &str| match table {
            "" => key.to_owned(),
            table => format!("{table}.{key}"),
        };
        let examples = line
            .split_once("e.g. ")
            .map(|(_, text)| text.split(" with "));
        let settings = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
        for text in settings.into_iter().chain(examples.into_iter().flatten()) {
            if let Some((key, _)) = text.split_once(" = ") {
                found.push(full(key));
            }
        }
    }
    let missing: Vec<_> = schema.iter().filter(|key| !found.contains(key)).collect();
    assert!(missing.is_empty(), "not in the template: {missing:?}");
    for name in open_tables {
        assert!(
            TEMPLATE.lines().any(|line| line == format!("[{name}]")),
            "{name}"
        );
    }
}

#[test]
fn the_template_takes_the_users_suffix_and_region() {
    let suffix = "prod-eu".parse().unwrap();
    let settings = load_text(&template(Some(&suffix), Some("eu-west-1"))).unwrap();
    assert_eq!(settings.suffix, Some(suffix));
    assert_eq!(
        settings.config,
        Config {
            region: "eu-west-1".to_owned(),
            ..Config::default()
        }
    );
    assert_eq!(template(None, None), TEMPLATE);
}
