//! Finds out what is wrong with a stack, and before there is one, what will go wrong. Reads alone.
//!
//! One file per area. Areas look side by side and know nothing of each other; each fails on its own,
//! so that one missing permission hides nothing but what it is needed for. What several of them ask
//! is read once ([`reads`]).

mod alarms;
mod chart;
mod database;
mod flows;
mod image;
mod logs;
mod network;
pub mod preflight;
mod reads;
mod releases;
mod roles;
mod stop_reason;
mod targets;
mod tasks;
#[cfg(test)]
mod testing;
mod waf;

use serde::Serialize;

use crate::aws::Aws;
use crate::service::ServiceName;

use chart::{Chart, charted, merged};

/// How bad a finding is. In the order in which findings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// It does not work, or the next thing to be done will fail.
    Problem,
    /// It works, and somebody should look at it.
    Warning,
    /// It could not be found out.
    Unknown,
    /// It was looked at, and is well.
    Fine,
}

/// One thing that was found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which part of the stack it is about: `tasks`, `network`, `quotas`.
    pub area: &'static str,
    /// What is the case, in one line.
    pub title: String,
    /// What shows it: AWS's own words, counts, names.
    pub evidence: Vec<String>,
    /// What mends it: a command, or a setting and the command that applies it.
    pub fix: Option<String>,
}

impl Finding {
    /// Says whether it is bad enough for an exit code.
    pub fn is_problem(&self) -> bool {
        self.severity == Severity::Problem
    }
}

/// What is examined: the stack's names, and what of its settings is needed to judge what is found.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// The suffix, which is the value of the stack's tag.
    pub stack: String,
    /// The ECS cluster's name.
    pub cluster: String,
    /// The ECS service's name.
    pub service: String,
    /// The name of the container that takes the traffic.
    pub container: String,
    /// The port it listens on.
    pub app_port: u16,
    /// The port the database listens on.
    pub db_port: u16,
    /// The ECR repository's name.
    pub repository: String,
    /// The log group of the containers.
    pub log_group: String,
    /// The role ECS starts tasks with.
    pub execution_role: String,
    /// The role the application has.
    pub task_role: String,
    /// The role ECS shifts traffic with.
    pub load_balancer_role: String,
    /// The load balancer's name.
    pub load_balancer: String,
    /// The names of the two target groups.
    pub target_groups: [String; 2],
    /// The web ACL's name.
    pub web_acl: String,
    /// The Aurora cluster's identifier.
    pub db_cluster: String,
    /// The alarm on 5XX answers.
    pub high_errors_alarm: String,
    /// The alarm on database connections.
    pub db_failures_alarm: String,
    /// The addresses of the VPC.
    pub network: ipnet::Ipv4Net,
    /// Whether the private subnets lead out through NAT gateways.
    pub has_nat: bool,
    /// Whether the load balancer serves HTTPS.
    pub has_tls: bool,
    /// The most connections that one task opens to the database.
    pub connections_per_task: u32,
    /// The most capacity units of a serverless database; `None` for instances of a fixed class.
    pub max_acu: Option<f64>,
}

impl Subject {
    fn service_name(&self) -> ServiceName {
        ServiceName {
            cluster: self.cluster.clone(),
            service: self.service.clone(),
        }
    }
}

/// Looks at everything of a stack that runs.
pub async fn examine(aws: &Aws, subject: &Subject) -> Vec<Finding> {
    let aws = &aws.with_shared_reads();
    macro_rules! looked_at {
        ($($area:ident)*) => {{
            let ($($area,)*) = tokio::join!($(charted(
                $area::AREA,
                async |chart: &mut Chart| $area::look(aws, subject, chart).await,
            )),*);
            merged([$($area),*])
        }};
    }
    looked_at!(tasks image roles network targets database waf releases alarms logs)
}

/// Says whether the stack's cluster exists; without it there is nothing to examine. Fails as
/// `ecs:DescribeClusters` does.
pub async fn exists(aws: &Aws, subject: &Subject) -> crate::resource::Result<bool> {
    reads::has_cluster(aws, subject).await
}
