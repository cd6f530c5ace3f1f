//! Area `quotas`: whether the account has room for the stack: what is allowed (Service Quotas),
//! what is taken, and what is still needed. What the stack has already is not needed again.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use aws_sdk_ec2::types::{Filter, Tag};
use aws_sdk_servicequotas::types::MetricInfo;
use aws_smithy_types::DateTime;

use super::super::Chart;
use super::{Needs, Tasks};
use crate::aws::{Answer, Aws};
use crate::resource::{Error, Result, STACK_TAG};

pub(super) const AREA: &str = "quotas";

/// A quota of an account in a region.
#[derive(Clone, Copy)]
struct Quota {
    /// What Service Quotas calls the service.
    service: &'static str,
    /// The quota's code there.
    code: &'static str,
    name: &'static str,
    /// What AWS's documentation gives a new account.
    default: f64,
}

const ELASTIC_IPS: Quota = Quota {
    service: "ec2",
    code: "L-0263D0A3",
    name: "Elastic IPs",
    default: 5.0,
};
const VPCS: Quota = Quota {
    service: "vpc",
    code: "L-F678F1CE",
    name: "VPCs",
    default: 5.0,
};
const NAT_GATEWAYS: Quota = Quota {
    service: "vpc",
    code: "L-FE5A380F",
    name: "NAT gateways of a zone",
    default: 5.0,
};
const ON_DEMAND: Quota = Quota {
    service: "fargate",
    code: "L-3032A538",
    name: "Fargate On-Demand vCPUs",
    default: 6.0,
};
const SPOT: Quota = Quota {
    service: "fargate",
    code: "L-36FBB829",
    name: "Fargate Spot vCPUs",
    default: 6.0,
};

pub(super) async fn look(aws: &Aws, needs: &Needs, chart: &mut Chart) -> Result<()> {
    let (addresses, vpcs, gateways, on_demand, spot) = tokio::join!(
        addresses(aws, needs),
        vpcs(aws, needs),
        gateways(aws, needs),
        fargate(aws, ON_DEMAND, needs.tasks.on_demand_weight),
        fargate(aws, SPOT, needs.tasks.spot_weight),
    );
    addresses.tell(chart);
    vpcs.tell(chart);
    gateways.tell(chart);
    let is_fresh = needs_a_vpc(&vpcs);
    vcpus(
        on_demand,
        needs.tasks,
        needs.tasks.on_demand_weight,
        is_fresh,
        chart,
    );
    vcpus(spot, needs.tasks, needs.tasks.spot_weight, is_fresh, chart);
    Ok(())
}

fn needs_a_vpc(vpcs: &Reckoning) -> bool {
    vpcs.count.as_ref().is_ok_and(|count| count.needed > 0.0)
}

/// What is allowed, and why that is only assumed.
struct Limit {
    value: f64,
    assumed: Option<Error>,
    usage: Option<MetricInfo>,
}

/// Asks Service Quotas; where that does not answer, AWS's documented default counts.
async fn limit(aws: &Aws, quota: Quota) -> Limit {
    let answer = aws
        .quotas
        .get_service_quota()
        .service_code(quota.service)
        .quota_code(quota.code)
        .send()
        .await
        .of("servicequotas:GetServiceQuota");
    match answer {
        Ok(answer) => {
            let known = answer.quota;
            Limit {
                value: known
                    .as_ref()
                    .and_then(|it| it.value())
                    .unwrap_or(quota.default),
                assumed: None,
                usage: known.and_then(|it| it.usage_metric),
            }
        }
        Err(error) => Limit {
            value: quota.default,
            assumed: Some(error),
            usage: None,
        },
    }
}

/// What is taken by all, and what the stack still needs.
#[derive(Clone, Copy)]
struct Count {
    taken: f64,
    needed: f64,
}

/// A quota with all that is known of it.
struct Reckoning {
    quota: Quota,
    /// None if the stack needs nothing of it.
    limit: Option<Limit>,
    count: Result<Count>,
    /// What is counted, where it is not the whole region.
    place: Option<String>,
    /// What else would help.
    alternative: &'static str,
}

impl Reckoning {
    fn tell(&self, chart: &mut Chart) {
        let Some(limit) = &self.limit else {
            return;
        };
        limit.tell_assumption(self.quota, chart);
        let count = match &self.count {
            Ok(count) => count,
            Err(error) => {
                chart.failed(error);
                return;
            }
        };
        let Quota { name, .. } = self.quota;
        let place = self
            .place
            .as_ref()
            .map_or_else(String::new, |it| format!(" in {it}"));
        let Count { taken, needed } = *count;
        let allowed = limit.value;
        let text = format!("{name}{place}: {taken} of {allowed} taken, {needed} needed");
        if taken + needed > allowed {
            chart
                .problem(text)
                .shown_by(limit.evidence())
                .mended_by(format!(
                    "{}{}",
                    increase(self.quota, taken + needed),
                    self.alternative
                ));
        } else {
            chart.fine(text).shown_by(limit.evidence());
        }
    }
}

impl Limit {
    /// Says once for all quotas that Service Quotas could not be asked. That it knows no value of the
    /// account's own is no failure: then the default counts there, too.
    fn tell_assumption(&self, _quota: Quota, chart: &mut Chart) {
        if let Some(error) = self.assumed.as_ref().filter(|it| !is_default(it)) {
            chart.failed(error);
        }
    }

    fn evidence(&self) -> Option<String> {
        let error = self.assumed.as_ref()?;
        Some(match is_default(error) {
            true => {
                "Service Quotas has no value of this account's own; AWS's default counts".to_owned()
            }
            false => "Service Quotas could not be asked; AWS's default for new accounts is assumed"
                .to_owned(),
        })
    }
}

fn is_default(error: &Error) -> bool {
    error.is(&["NoSuchResourceException"])
}

fn increase(quota: Quota, wanted: f64) -> String {
    let Quota { service, code, .. } = quota;
    format!(
        "aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code} --desired-value {}",
        wanted.ceil()
    )
}

async fn addresses(aws: &Aws, needs: &Needs) -> Reckoning {
    let reckoning = |limit, count| Reckoning {
        quota: ELASTIC_IPS,
        limit,
        count,
        place: None,
        alternative: "; or release some, or set `network.nat = \"single\"`",
    };
    if needs.nat_gateways == 0 {
        return reckoning(None, Ok(NOTHING));
    }
    let read = async {
        // All addresses come in one answer: the operation has no pages.
        let answer = aws
            .ec2
            .describe_addresses()
            .send()
            .await
            .of("ec2:DescribeAddresses")?;
        let all = answer.addresses();
        let ours = all.iter().filter(|it| is_ours(it.tags(), needs)).count();
        Ok(Count {
            taken: number(all.len()),
            needed: number(needs.nat_gateways.saturating_sub(ours)),
        })
    };
    let (limit, count) = tokio::join!(limit(aws, ELASTIC_IPS), read);
    reckoning(Some(limit), count)
}

const NOTHING: Count = Count {
    taken: 0.0,
    needed: 0.0,
};

async fn vpcs(aws: &Aws, needs: &Needs) -> Reckoning {
    let read = async {
        let mut pages = aws.ec2.describe_vpcs().into_paginator().items().send();
        let (mut all, mut ours) = (0, 0);
        while let Some(vpc) = pages.next().await {
            let vpc = vpc.of("ec2:DescribeVpcs")?;
            // Those that other accounts share with this one count in theirs.
            if vpc.owner_id().is_some_and(|owner| owner != needs.account) {
                continue;
            }
            all += 1;
            ours += usize::from(is_ours(vpc.tags(), needs));
        }
        Ok(Count {
            taken: number(all),
            needed: number(1_usize.saturating_sub(ours)),
        })
    };
    let (limit, count) = tokio::join!(limit(aws, VPCS), read);
    Reckoning {
        quota: VPCS,
        limit: Some(limit),
        count,
        place: None,
        alternative: "; or delete one",
    }
}

/// The zone that has the least room for its NAT gateway.
async fn gateways(aws: &Aws, needs: &Needs) -> Reckoning {
    let reckoning = |limit, count, place| Reckoning {
        quota: NAT_GATEWAYS,
        limit,
        count,
        place,
        alternative: "; or delete one",
    };
    let (Some(zones), 1..) = (&needs.zones, needs.nat_gateways) else {
        return reckoning(None, Ok(NOTHING), None);
    };
    let (limit, by_zone) = tokio::join!(limit(aws, NAT_GATEWAYS), gateways_by_zone(aws, needs));
    let by_zone = match by_zone {
        Ok(by_zone) => by_zone,
        Err(error) => return reckoning(Some(limit), Err(error), None),
    };
    let counts = zones.iter().take(needs.nat_gateways).map(|zone| {
        let (all, ours) = by_zone.get(zone).copied().unwrap_or_default();
        let count = Count {
            taken: number(all),
            needed: number(1_usize.saturating_sub(ours)),
        };
        (count, zone)
    });
    let total = |(count, _): &(Count, &String)| count.taken + count.needed;
    match counts.max_by(|one, other| total(one).total_cmp(&total(other))) {
        Some((count, zone)) => reckoning(Some(limit), Ok(count), Some(zone.clone())),
        None => reckoning(None, Ok(NOTHING), None),
    }
}

/// How many gateways count in each zone, and how many of them are the stack's.
async fn gateways_by_zone(aws: &Aws, needs: &Needs) -> Result<BTreeMap<String, (usize, usize)>> {
    // Those that are failed or deleted do not count.
    let counting = ["pending", "available", "deleting"].map(str::to_owned);
    let filter = Filter::builder()
        .name("state")
        .set_values(Some(counting.into()));
    let mut pages = aws
        .ec2
        .describe_nat_gateways()
        .filter(filter.build())
        .into_paginator()
        .items()
        .send();
    let mut gateways: Vec<(String, bool)> = Vec::new();
    while let Some(gateway) = pages.next().await {
        let gateway = gateway.of("ec2:DescribeNatGateways")?;
        let is_ours = is_ours(gateway.tags(), needs);
        gateways.extend(gateway.subnet_id.map(|subnet| (subnet, is_ours)));
    }
    let mut by_zone = BTreeMap::<String, (usize, usize)>::new();
    if gateways.is_empty() {
        return Ok(by_zone);
    }
    let mut subnets: Vec<String> = gateways.iter().map(|(subnet, _)| subnet.clone()).collect();
    subnets.sort();
    subnets.dedup();
    let filter = Filter::builder()
        .name("subnet-id")
        .set_values(Some(subnets));
    let mut pages = aws
        .ec2
        .describe_subnets()
        .filters(filter.build())
        .into_paginator()
        .items()
        .send();
    while let Some(subnet) = pages.next().await {
        let subnet = subnet.of("ec2:DescribeSubnets")?;
        let zone = subnet.availability_zone().unwrap_or_default();
        for (_, is_ours) in gateways
            .iter()
            .filter(|(id, _)| subnet.subnet_id() == Some(id))
        {
            let (all, ours) = by_zone.entry(zone.to_owned()).or_default();
            *all += 1;
            *ours += usize::from(*is_ours);
        }
    }
    Ok(by_zone)
}

/// A quota of Fargate's, and how many vCPUs of it run.
struct Vcpus {
    quota: Quota,
    /// None if no task runs on it.
    limit: Option<Limit>,
    taken: Result<Option<f64>>,
}

async fn fargate(aws: &Aws, quota: Quota, weight: u32) -> Vcpus {
    if weight == 0 {
        return Vcpus {
            quota,
            limit: None,
            taken: Ok(None),
        };
    }
    let limit = limit(aws, quota).await;
    let taken = match &limit.usage {
        Some(metric) => usage(aws, metric).await,
        None => Ok(None),
    };
    Vcpus {
        quota,
        limit: Some(limit),
        taken,
    }
}

/// The newest value of a usage metric within the last quarter of an hour.
async fn usage(aws: &Aws, metric: &MetricInfo) -> Result<Option<f64>> {
    let mut dimensions = Vec::new();
    for (name, value) in metric.metric_dimensions().into_iter().flatten() {
        dimensions.push(Dimension::builder().name(name).value(value).build());
    }
    let now = SystemTime::now();
    let answer = aws
        .cloudwatch
        .get_metric_statistics()
        .set_namespace(metric.metric_namespace().map(str::to_owned))
        .set_metric_name(metric.metric_name().map(str::to_owned))
        .set_dimensions(Some(dimensions))
        .start_time(DateTime::from(now - Duration::from_secs(15 * 60)))
        .end_time(DateTime::from(now))
        .period(300)
        .statistics(Statistic::Maximum)
        .send()
        .await
        .of("cloudwatch:GetMetricStatistics")?;
    let points = answer.datapoints.unwrap_or_default().into_iter();
    let newest = points.max_by_key(|point| point.timestamp().map_or(0, DateTime::secs));
    Ok(newest.and_then(|point| point.maximum()))
}

/// Whether the tasks fit, and twice the most of them, which is what a release takes.
fn vcpus(vcpus: Vcpus, tasks: Tasks, weight: u32, is_fresh: bool, chart: &mut Chart) {
    let (Some(limit), quota) = (&vcpus.limit, vcpus.quota) else {
        return;
    };
    limit.tell_assumption(quota, chart);
    let mut evidence: Vec<String> = limit.evidence().into_iter().collect();
    let taken = match vcpus.taken {
        // What runs may be the stack's own.
        _ if !is_fresh => 0.0,
        Ok(Some(taken)) => taken,
        Ok(None) => {
            evidence
                .push("how many run now is not told by CloudWatch; none are assumed".to_owned());
            0.0
        }
        Err(error) => {
            evidence.push(format!("how many run now is not known: {error}"));
            0.0
        }
    };
    let share = |count: u32| {
        let weights = f64::from(tasks.on_demand_weight + tasks.spot_weight);
        let count = (f64::from(count) * f64::from(weight) / weights).ceil();
        count * f64::from(tasks.cpu) / 1024.0
    };
    let (start, release) = (share(tasks.min), share(2 * tasks.max));
    let allowed = limit.value;
    let text = format!(
        "{}: {taken} of {allowed} taken, {start} needed, {release} during a release at the most tasks",
        quota.name
    );
    let wanted = increase(quota, taken + release);
    if taken + start > allowed {
        chart.problem(text).shown_by(evidence).mended_by(wanted);
    } else if taken + release > allowed {
        evidence.push(
            "a release, or scaling out, would stop short; ECS tells so in the service's events"
                .to_owned(),
        );
        chart
            .warning(text)
            .shown_by(evidence)
            .mended_by(format!("{wanted}; or lower `scaling.max`"));
    } else {
        chart.fine(text).shown_by(evidence);
    }
}

fn is_ours(tags: &[Tag], needs: &Needs) -> bool {
    tags.iter()
        .any(|tag| tag.key() == Some(STACK_TAG) && tag.value() == Some(&needs.stack))
}

/// A small count as a quota is written.
fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
