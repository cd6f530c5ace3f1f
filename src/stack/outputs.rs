//! What the stack gives to its users. The names are public API and never change.

use serde_json::json;

use super::Stack;
use super::compute::Compute;
use super::data::Data;
use super::edge::Edge;
use super::network::Network;
use super::watching::Watching;
use crate::config::Tls;
use crate::kinds::cloudwatch::Dashboard;
use crate::resource::{Handle, Input, join};

/// All outputs, in the order they are shown.
pub const NAMES: [&str; 15] = [
    "albDnsName",
    "apiUrl",
    "ecsClusterName",
    "ecsServiceArn",
    "rdsClusterEndpoint",
    "rdsReaderEndpoint",
    "ecrRepositoryUrl",
    "blueTargetGroupArn",
    "greenTargetGroupArn",
    "wafWebAclArn",
    "dashboardUrl",
    "vpcId",
    "dbSecretArn",
    "logGroupName",
    "alarmTopicArn",
];

pub(super) fn declare(
    stack: &mut Stack<'_>,
    network: &Network,
    edge: &Edge,
    data: &Data,
    watching: &Watching,
    compute: &Compute,
    dashboard: &Handle<Dashboard>,
) {
    let scheme = match stack.config.edge.tls {
        Tls::On => "https://",
        Tls::Off => "http://",
    };
    let api_url: Input<String> = match &stack.config.edge.domain {
        Some(domain) => format!("{scheme}{domain}").into(),
        None => join([json!(scheme), json!(edge.load_balancer.dns_name())]),
    };
    let region = &stack.config.region;
    let dashboard_url: Input<String> = join([
        json!(format!(
            "https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
        )),
        json!("#dashboards:name="),
        json!(dashboard.name()),
    ]);
    let graph = &mut stack.graph;
    graph.output("albDnsName", edge.load_balancer.dns_name());
    graph.output("apiUrl", api_url);
    graph.output("ecsClusterName", compute.cluster.name());
    graph.output("ecsServiceArn", compute.service.arn());
    graph.output("rdsClusterEndpoint", data.cluster.endpoint());
    graph.output("rdsReaderEndpoint", data.cluster.reader_endpoint());
    graph.output("ecrRepositoryUrl", compute.repository.url());
    graph.output("blueTargetGroupArn", edge.blue.arn());
    graph.output("greenTargetGroupArn", edge.green.arn());
    graph.output("wafWebAclArn", edge.web_acl.arn());
    graph.output("dashboardUrl", dashboard_url);
    graph.output("vpcId", network.vpc.id());
    graph.output("dbSecretArn", data.credentials.clone());
    graph.output("logGroupName", compute.log_group.name());
    graph.output("alarmTopicArn", watching.topic.arn());
}
