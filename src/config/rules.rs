//! What two or more settings must fulfil together. A rule says nothing while one of its keys is
//! refused already, and points at the keys that stand in the file; with none there, the error has
//! no place and names where the value came from.

use std::collections::BTreeSet;

use super::model::*;
use super::reader::Notes;
use super::shapes::region_of_arn;
use super::{Origin, error::Problem};

/// Holds the user's part of AWS's 50 tags for one resource; the rest is ours.
const MOST_TAGS: usize = 40;

/// Holds the size in bytes of a standard SSM parameter's value.
const PARAMETER_BYTES: usize = 4096;

/// Checks the whole configuration and notes what is wrong.
pub(super) fn check(config: &Config, region_from: Origin, notes: &mut Notes) {
    let mut rules = Rules { notes };
    region_rules(config, region_from, &mut rules);
    database_rules(&config.database, &mut rules);
    size_rules(config, &mut rules);
    edge_rules(&config.edge, &mut rules);
    deploy_rules(&config.deploy, &mut rules);
}

struct Rules<'n> {
    notes: &'n mut Notes,
}

impl Rules<'_> {
    /// Notes a broken rule over `keys`; the first of them that is in the file is the offender.
    fn broken(&mut self, keys: &[&str], message: String, help: impl Into<String>) {
        if keys.iter().any(|key| self.notes.refused.contains(*key)) {
            return;
        }
        let mut labels: Vec<_> = keys
            .iter()
            .filter_map(|key| Some((self.notes.spans.get(*key)?.clone(), (*key).to_owned())))
            .collect();
        if let Some((_, label)) = labels.first_mut() {
            *label = "here".to_owned();
        }
        self.notes.problems.push(Problem {
            message,
            help: help.into(),
            labels,
        });
    }
}

fn region_rules(config: &Config, from: Origin, rules: &mut Rules<'_>) {
    let region = &config.region;
    let origin = from.describe();
    // A region that was overridden is no part of the error, even if the file has one.
    let keys = |key| match from {
        Origin::Flag(_) | Origin::Environment(_) => vec![key],
        Origin::File | Origin::Default => vec![key, "region"],
    };
    if let Some(azs) = &config.network.azs {
        let home = |zone: &str| zone.strip_suffix(|c: char| c.is_ascii_lowercase()) == Some(region);
        let foreign = |zone: &&String| !home(zone);
        if let Some(zone) = azs.iter().find(foreign) {
            let message =
                format!("`network.azs` names {zone}, but the region is {region} ({origin})");
            let help = format!("name 3 AZs of {region}, or leave the key out");
            rules.broken(&keys("network.azs"), message, help);
        }
    }
    if let Some(arn) = &config.edge.certificate_arn {
        let home = region_of_arn(arn);
        if home != region {
            let message = format!(
                "`edge.certificate_arn` is a certificate in {home}, \
                 but the region is {region} ({origin})"
            );
            let help = "a load balancer takes certificates of its own region only; \
                        request or import one there";
            rules.broken(&keys("edge.certificate_arn"), message, help);
        }
    }
}

fn database_rules(database: &Database, rules: &mut Rules<'_>) {
    let Database {
        min_acu, max_acu, ..
    } = database;
    if min_acu > max_acu {
        let message =
            format!("`database.min_acu` is {min_acu}, more than `database.max_acu`, {max_acu}");
        let help = "min_acu must not be above max_acu (defaults: 0.5 and 4)";
        rules.broken(&["database.min_acu", "database.max_acu"], message, help);
    }
}

fn size_rules(config: &Config, rules: &mut Rules<'_>) {
    let Service {
        cpu,
        memory,
        spot_weight,
        on_demand_weight,
        ..
    } = &config.service;
    let sizes = fargate_memory(*cpu);
    if !sizes.contains(memory) {
        let message = format!(
            "`service.memory` is {memory} MiB, which Fargate does not offer with \
             `service.cpu` = {cpu}"
        );
        let help = format!("allowed with {cpu} CPU units: {} MiB", summary(&sizes));
        rules.broken(&["service.memory", "service.cpu"], message, help);
    }
    if spot_weight + on_demand_weight == 0 {
        let message = "`service.spot_weight` and `service.on_demand_weight` are both 0".to_owned();
        let help = "give at least one of them a weight of 1 or more, or no task can be placed";
        rules.broken(
            &["service.spot_weight", "service.on_demand_weight"],
            message,
            help,
        );
    }
    let Scaling { min, max, .. } = &config.scaling;
    if min > max {
        let message = format!("`scaling.min` is {min}, more than `scaling.max`, {max}");
        let help = "min must not be above max (defaults: 3 and 10)";
        rules.broken(&["scaling.min", "scaling.max"], message, help);
    }
    if config.tags.len() > MOST_TAGS {
        let message = format!("[tags] has {} tags", config.tags.len());
        let help = format!("allowed: {MOST_TAGS} (AWS takes 50 for a resource, some are ours)");
        rules.broken(&["tags"], message, help);
    }
    let folded: BTreeSet<String> = config.tags.keys().map(|key| key.to_lowercase()).collect();
    if folded.len() < config.tags.len() {
        let message = "[tags] has two keys that differ in upper and lower case alone".to_owned();
        rules.broken(
            &["tags"],
            message,
            "IAM takes them for the same tag; keep one of them",
        );
    }
    let parameter = config.app.parameter(&config.region).to_string();
    if parameter.contains("{{") {
        let message = "[app.config] has a value with two opening braces side by side".to_owned();
        let help = "SSM takes {{ for a reference to another parameter and refuses it";
        rules.broken(&["app.config"], message, help);
    }
    let bytes = parameter.len();
    if bytes > PARAMETER_BYTES {
        let message = format!("[app.config] makes an SSM parameter of {bytes} bytes");
        let help = format!("allowed: {PARAMETER_BYTES} bytes of JSON in all; move big values out");
        rules.broken(&["app.config"], message, help);
    }
}

/// Returns the memory sizes in MiB Fargate offers with a CPU size (ECS task size table).
fn fargate_memory(cpu: u32) -> Vec<u32> {
    const GIB: u32 = 1024;
    let steps = |from: u32, to: u32, step: u32| {
        (from * GIB..=to * GIB)
            .step_by((step * GIB) as usize)
            .collect()
    };
    match cpu {
        256 => vec![512, GIB, 2 * GIB],
        512 => steps(1, 4, 1),
        1024 => steps(2, 8, 1),
        2048 => steps(4, 16, 1),
        4096 => steps(8, 30, 1),
        8192 => steps(16, 60, 4),
        16384 => steps(32, 120, 8),
        _ => Vec::new(),
    }
}

/// Writes a row of sizes: all of a short one, the ends and the step of a long one.
fn summary(sizes: &[u32]) -> String {
    match sizes {
        [first, second, .., last] if sizes.len() > 4 => {
            format!("{first} to {last} in steps of {}", second - first)
        }
        _ => sizes
            .iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn edge_rules(edge: &Edge, rules: &mut Rules<'_>) {
    let certificate = edge.certificate_arn.is_some();
    let domain = edge.domain.is_some();
    let (tls, arn, name, zone) = (
        "edge.tls",
        "edge.certificate_arn",
        "edge.domain",
        "edge.zone_id",
    );
    if edge.tls == Tls::Off {
        for (set, key) in [
            (certificate, arn),
            (domain, name),
            (edge.zone_id.is_some(), zone),
        ] {
            if set {
                let message = format!("`{key}` is set, but `edge.tls` is \"off\"");
                let help = "plain HTTP has no certificate: remove the key, or set tls = \"on\"";
                rules.broken(&[key, tls], message, help);
            }
        }
        return;
    }
    if certificate && domain {
        let message = "`edge.certificate_arn` and `edge.domain` are both set".to_owned();
        let help = "keep one: certificate_arn uses a certificate you have; \
                    domain with zone_id requests one and makes the DNS record";
        rules.broken(&[name, arn], message, help);
    }
    let example = "for example domain = \"orders.example.com\" and \
                   zone_id = \"Z0123456789ABCDEFGHIJ\"";
    if domain && edge.zone_id.is_none() {
        let message = "`edge.domain` is set without `edge.zone_id`".to_owned();
        let help = format!("add the Route 53 hosted zone that holds the domain, {example}");
        rules.broken(&[name, zone], message, help);
    }
    if edge.zone_id.is_some() && !domain {
        let message = "`edge.zone_id` is set without `edge.domain`".to_owned();
        let help = format!("add the domain name to create in the zone, {example}");
        rules.broken(&[zone, name], message, help);
    }
}

fn deploy_rules(deploy: &Deploy, rules: &mut Rules<'_>) {
    if deploy.strategy == Strategy::Linear && deploy.percent < 3.0 {
        let percent = deploy.percent;
        let message = format!("`deploy.percent` is {percent}, too little for a linear deployment");
        let help = "allowed: 3 to 100 percent a step (canary: 0.1 to 100)";
        rules.broken(&["deploy.percent", "deploy.strategy"], message, help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fargate_sizes_have_the_ends_of_the_table() {
        for (cpu, first, last, count) in [
            (256, 512, 2048, 3),
            (512, 1024, 4096, 4),
            (1024, 2048, 8192, 7),
            (2048, 4096, 16384, 13),
            (4096, 8192, 30720, 23),
            (8192, 16384, 61440, 12),
            (16384, 32768, 122_880, 12),
        ] {
            let sizes = fargate_memory(cpu);
            assert_eq!(
                (sizes[0], sizes[sizes.len() - 1], sizes.len()),
                (first, last, count)
            );
        }
        assert!(fargate_memory(300).is_empty());
    }
}
