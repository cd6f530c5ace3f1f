//! The shape of orderctl.toml: each table with its keys, their types and their ranges, read over
//! the defaults. What two keys must fulfil together stands in `rules`.

use std::cell::RefCell;

use ipnet::Ipv4Net;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::model::*;
use super::network::{Nat, Network, check_vpc_cidr};
use super::reader::{Fault, Notes, Section, fault};
use super::suffix::{self, Suffix};
use super::values::{any_cidr, boolean, checked, cidr, json, list, number, one_of, string, whole};
use super::{network, shapes};

/// Holds what a file says, over the defaults.
pub(super) struct Read {
    pub config: Config,
    pub region: Option<String>,
    pub suffix: Option<Suffix>,
    pub profile: Option<String>,
    pub state: Option<String>,
}

type Value<'d> = Spanned<DeValue<'d>>;

/// Reads a whole document; whatever is wrong with it is noted.
pub(super) fn read(document: &DeTable<'_>, notes: &RefCell<Notes>) -> Read {
    let mut config = Config::default();
    let mut root = Section::root(document, notes);
    let suffix = root.get("suffix", suffix_value);
    let region = root.get("region", |v| checked(v, shapes::region));
    let profile = root.get("profile", |v| checked(v, shapes::profile));
    let state = root.get("state", |v| checked(v, shapes::state));
    root.set("protect", &mut config.protect, boolean);
    let tag = |v: &Value<'_>| checked(v, shapes::tag_value);
    config.tags = root.entries("tags", "tags", shapes::tag_key, tag);
    network(root.section("network", "network"), &mut config.network);
    database(root.section("database", "database"), &mut config.database);
    app(root.section("app", "app"), &mut config.app);
    service(root.section("service", "service"), &mut config.service);
    scaling(root.section("scaling", "scaling"), &mut config.scaling);
    edge(root.section("edge", "edge"), &mut config.edge);
    waf(root.section("waf", "waf"), &mut config.waf);
    alarms(root.section("alarms", "alarms"), &mut config.alarms);
    logs(root.section("logs", "logs"), &mut config.logs);
    deploy(root.section("deploy", "deploy"), &mut config.deploy);
    root.finish();
    if let Some(region) = &region {
        config.region.clone_from(region);
    }
    Read {
        config,
        region,
        suffix,
        profile,
        state,
    }
}

fn suffix_value(value: &Value<'_>) -> Result<Suffix, Fault> {
    let text = string(value)?;
    text.parse().map_err(|error: suffix::SuffixError| {
        let what = format!("is {text:?}, which is not a suffix: {}", error.fault());
        fault(what, format!("allowed: {}", suffix::RULE))
    })
}

fn network(mut section: Section<'_, '_>, network: &mut Network) {
    section.set("cidr", &mut network.cidr, vpc_cidr);
    let azs = |v: &Value<'_>| {
        let help = "name exactly 3 AZs, or leave the key out and let the first `up` choose";
        list(v, 3..=3, help, |zone| {
            checked(zone, shapes::availability_zone)
        })
    };
    if let Some(azs) = section.get("azs", azs) {
        network.azs = Some(azs);
    }
    let nat = [
        ("per-az", Nat::PerAz),
        ("single", Nat::Single),
        ("none", Nat::None),
    ];
    section.set("nat", &mut network.nat, |v| one_of(v, &nat));
    section.set("s3_endpoint", &mut network.s3_endpoint, boolean);
    section.finish();
}

fn vpc_cidr(value: &Value<'_>) -> Result<Ipv4Net, Fault> {
    let cidr = any_cidr(value)?;
    check_vpc_cidr(cidr).map(|()| cidr).map_err(|wrong| {
        let help = format!(
            "allowed: an IPv4 block of /{} to /{} without host bits, for example \"10.0.0.0/16\"",
            network::WIDEST_PREFIX,
            network::NARROWEST_PREFIX,
        );
        fault(format!("is {cidr}, which {wrong}"), help)
    })
}

fn database(mut section: Section<'_, '_>, database: &mut Database) {
    let credentials = [
        ("secret", Credentials::Secret),
        ("rds-managed", Credentials::RdsManaged),
    ];
    section.set("credentials", &mut database.credentials, |v| {
        one_of(v, &credentials)
    });
    let readers = "(an Aurora cluster has one writer and at most 15 readers)";
    section.set("readers", &mut database.readers, |v| {
        whole(v, 0..=15, readers)
    });
    let class = |v: &Value<'_>| checked(v, shapes::instance_class);
    section.set("instance_class", &mut database.instance_class, class);
    let capacity = [
        ("provisioned", Capacity::Provisioned),
        ("serverless", Capacity::Serverless),
    ];
    section.set("capacity", &mut database.capacity, |v| one_of(v, &capacity));
    section.set("min_acu", &mut database.min_acu, |v| capacity_units(v, 0.0));
    section.set("max_acu", &mut database.max_acu, |v| capacity_units(v, 1.0));
    let backup = &mut database.backup_retention_days;
    section.set("backup_retention_days", backup, |v| {
        whole(v, 1..=35, "days")
    });
    let version = |v: &Value<'_>| checked(v, shapes::engine_version);
    section.set("engine_version", &mut database.engine_version, version);
    section.finish();
}

fn capacity_units(value: &Value<'_>, least: f64) -> Result<f64, Fault> {
    let units = number(value, least..=256.0, "ACU in steps of 0.5")?;
    if (units * 2.0).fract() == 0.0 {
        return Ok(units);
    }
    let what = format!("is {units}, which is not a step of 0.5");
    Err(fault(
        what,
        format!("allowed: {least} to 256 ACU in steps of 0.5"),
    ))
}

fn app(mut section: Section<'_, '_>, app: &mut App) {
    section.set("log_level", &mut app.log_level, |v| {
        checked(v, shapes::log_level)
    });
    section.set("max_connections", &mut app.max_connections, |v| {
        whole(v, 1..=1_000_000, "")
    });
    app.config = section.entries("config", "app.config", shapes::parameter_key, json);
    app.env = section.entries("env", "app.env", shapes::environment_name, string);
    section.finish();
}

fn service(mut section: Section<'_, '_>, service: &mut Service) {
    section.set("cpu", &mut service.cpu, |v| {
        listed(v, &FARGATE_CPU, "CPU units")
    });
    section.set("memory", &mut service.memory, |v| {
        whole(v, 512..=122_880, "MiB")
    });
    let architecture = [
        ("X86_64", Architecture::X86_64),
        ("ARM64", Architecture::Arm64),
    ];
    section.set("architecture", &mut service.architecture, |v| {
        one_of(v, &architecture)
    });
    let grace = &mut service.health_check_grace_seconds;
    section.set("health_check_grace_seconds", grace, |v| {
        whole(v, 0..=2_147_483_647, "seconds")
    });
    section.set("image_tag", &mut service.image_tag, |v| {
        checked(v, shapes::image_tag)
    });
    section.set("spot_weight", &mut service.spot_weight, |v| {
        whole(v, 0..=1000, "")
    });
    section.set("on_demand_weight", &mut service.on_demand_weight, |v| {
        whole(v, 0..=1000, "")
    });
    section.finish();
}

/// Lists the CPU sizes of Fargate in units of 1/1024 vCPU.
const FARGATE_CPU: [u32; 7] = [256, 512, 1024, 2048, 4096, 8192, 16384];

fn listed(value: &Value<'_>, allowed: &[u32], unit: &str) -> Result<u32, Fault> {
    let texts: Vec<String> = allowed.iter().map(u32::to_string).collect();
    let help = format!("allowed: {} {unit}", texts.join(", "));
    let number = whole(value, 0..=u32::MAX, "").map_err(|wrong| fault(wrong.what, help.clone()))?;
    if allowed.contains(&number) {
        return Ok(number);
    }
    Err(fault(
        format!("is {number}, which AWS does not offer"),
        help,
    ))
}

fn scaling(mut section: Section<'_, '_>, scaling: &mut Scaling) {
    let tasks = "tasks (with none running, nothing would report the load)";
    section.set("min", &mut scaling.min, |v| whole(v, 1..=5000, tasks));
    section.set("max", &mut scaling.max, |v| whole(v, 1..=5000, tasks));
    section.set("cpu_target", &mut scaling.cpu_target, |v| {
        number(v, 1.0..=100.0, "percent")
    });
    let orders = &mut scaling.pending_orders_target;
    section.set("pending_orders_target", orders, |v| {
        number(v, 1.0..=1e9, "orders")
    });
    let day = 0..=86_400;
    let cooldown = &mut scaling.in_cooldown_seconds;
    section.set("in_cooldown_seconds", cooldown, |v| {
        whole(v, day.clone(), "seconds")
    });
    let cooldown = &mut scaling.out_cooldown_seconds;
    section.set("out_cooldown_seconds", cooldown, |v| {
        whole(v, day, "seconds")
    });
    section.finish();
}

fn edge(mut section: Section<'_, '_>, edge: &mut Edge) {
    section.set("tls", &mut edge.tls, |v| {
        one_of(v, &[("on", Tls::On), ("off", Tls::Off)])
    });
    edge.certificate_arn = section.get("certificate_arn", |v| checked(v, shapes::certificate_arn));
    edge.domain = section.get("domain", |v| checked(v, shapes::domain));
    edge.zone_id = section.get("zone_id", |v| checked(v, shapes::zone_id));
    section.set("paths", &mut edge.paths, paths);
    let room = "at most 50 blocks: a security group has room for 60 rules";
    section.set("test_cidrs", &mut edge.test_cidrs, |v| {
        list(v, 0..=50, room, cidr)
    });
    section.set("test_port", &mut edge.test_port, test_port);
    section.finish();
}

fn paths(value: &Value<'_>) -> Result<Vec<String>, Fault> {
    let help = "allowed: 1 to 5 path patterns with at most 5 wildcards among them, \
                the limits of a listener rule";
    let paths = list(value, 1..=5, help, |path| {
        checked(path, shapes::path_pattern)
    })?;
    let wildcards = paths
        .iter()
        .flat_map(|path| path.matches(['*', '?']))
        .count();
    if wildcards <= 5 {
        return Ok(paths);
    }
    Err(fault(format!("has {wildcards} wildcards"), help))
}

fn test_port(value: &Value<'_>) -> Result<u16, Fault> {
    let help = "allowed: 1 to 65535 except 80 and 443";
    match whole(value, 1..=u16::MAX, "except 80 and 443")? {
        port @ (80 | 443) => Err(fault(
            format!("is {port}, which the production listeners use"),
            help,
        )),
        port => Ok(port),
    }
}

fn waf(mut section: Section<'_, '_>, waf: &mut Waf) {
    let room = "an IP set has room for 10000 blocks";
    section.set("allow_cidrs", &mut waf.allow_cidrs, |v| {
        list(v, 0..=10_000, room, waf_cidr)
    });
    let limit = "requests per window and address";
    section.set("rate_limit", &mut waf.rate_limit, |v| {
        whole(v, 10..=2_000_000_000, limit)
    });
    let window = &mut waf.rate_window_seconds;
    section.set("rate_window_seconds", window, |v| {
        listed(v, &[60, 120, 300, 600], "seconds")
    });
    let mode = |v: &Value<'_>| one_of(v, &[("block", RuleMode::Block), ("count", RuleMode::Count)]);
    section.set("common", &mut waf.common, mode);
    section.set("known_bad_inputs", &mut waf.known_bad_inputs, mode);
    section.set("sqli", &mut waf.sqli, mode);
    section.finish();
}

fn waf_cidr(value: &Value<'_>) -> Result<Ipv4Net, Fault> {
    let cidr = cidr(value)?;
    if cidr.prefix_len() > 0 {
        return Ok(cidr);
    }
    Err(fault(
        "is 0.0.0.0/0, which WAF refuses",
        "allowed: blocks of /1 to /32",
    ))
}

fn alarms(mut section: Section<'_, '_>, alarms: &mut Alarms) {
    let room = "at most 100 addresses";
    let email = |v: &Value<'_>| checked(v, shapes::email);
    section.set("emails", &mut alarms.emails, |v| {
        list(v, 0..=100, room, email)
    });
    let errors = &mut alarms.high_errors;
    section.set("high_errors", errors, |v| {
        whole(v, 0..=1_000_000_000, "errors in 300 s")
    });
    let connections = &mut alarms.db_connections;
    section.set("db_connections", connections, |v| {
        whole(v, 0..=1_000_000, "connections")
    });
    section.finish();
}

fn logs(mut section: Section<'_, '_>, logs: &mut Logs) {
    let days = &mut logs.retention_days;
    section.set("retention_days", days, |v| {
        listed(v, &RETENTION_DAYS, "days")
    });
    section.finish();
}

fn deploy(mut section: Section<'_, '_>, deploy: &mut Deploy) {
    let strategies = [
        ("all-at-once", Strategy::AllAtOnce),
        ("canary", Strategy::Canary),
        ("linear", Strategy::Linear),
    ];
    section.set("strategy", &mut deploy.strategy, |v| one_of(v, &strategies));
    (deploy.percent, deploy.step_bake_minutes) = deploy.strategy.defaults();
    section.set("percent", &mut deploy.percent, percent);
    let day = 0..=1440;
    let step = &mut deploy.step_bake_minutes;
    section.set("step_bake_minutes", step, |v| {
        whole(v, day.clone(), "minutes")
    });
    section.set("bake_minutes", &mut deploy.bake_minutes, |v| {
        whole(v, day, "minutes")
    });
    section.finish();
}

fn percent(value: &Value<'_>) -> Result<f64, Fault> {
    let percent = number(value, 0.1..=100.0, "percent in steps of 0.1")?;
    let tenths = percent * 10.0;
    if (tenths - tenths.round()).abs() < 1e-6 {
        return Ok(percent);
    }
    let what = format!("is {percent}, which is not a step of 0.1");
    Err(fault(what, "allowed: 0.1 to 100 percent in steps of 0.1"))
}
