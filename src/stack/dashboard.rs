//! The dashboard. Every metric names its dimensions, so that the graphs show this stack's data.

use serde_json::{Value, json};

use super::Stack;
use super::data::Data;
use super::edge::Edge;
use crate::kinds::cloudwatch::{Dashboard, DashboardSpec};
use crate::resource::{Document, Handle};

const ALB: &str = "AWS/ApplicationELB";
const ECS: &str = "AWS/ECS";
const INSIGHTS: &str = "ECS/ContainerInsights";
const RDS: &str = "AWS/RDS";

pub(super) fn declare(stack: &mut Stack<'_>, edge: &Edge, data: &Data) -> Handle<Dashboard> {
    let name = stack.name("order-api");
    let region = stack.config.region.clone();
    let alb = json!(edge.load_balancer.full_name());
    let blue = json!(edge.blue.full_name());
    let green = json!(edge.green.full_name());
    let cluster = json!(data.cluster.identifier());
    let on_alb = |metric: &str, options: Value| json!([ALB, metric, "LoadBalancer", alb, options]);
    let on_service = |namespace: &str, metric: &str, options: Value| {
        json!([
            namespace,
            metric,
            "ClusterName",
            name,
            "ServiceName",
            name,
            options
        ])
    };
    let on_colour = |metric: &str, group: &Value, label: &str| {
        let options = json!({ "label": label });
        json!([
            ALB,
            metric,
            "TargetGroup",
            group,
            "LoadBalancer",
            alb,
            options
        ])
    };
    let on_database = |metric: &str, role: &str| json!([RDS, metric, "DBClusterIdentifier", cluster, "Role", role, { "label": role }]);
    let p = |statistic: &str| json!({ "stat": statistic, "label": statistic });
    let sum = |label: &str| json!({ "stat": "Sum", "label": label });
    let graphs = [
        (
            "Tasks",
            vec![
                on_service(INSIGHTS, "RunningTaskCount", json!({ "label": "running" })),
                on_service(INSIGHTS, "DesiredTaskCount", json!({ "label": "desired" })),
                on_service(INSIGHTS, "PendingTaskCount", json!({ "label": "pending" })),
            ],
        ),
        (
            "CPU and memory, %",
            vec![
                on_service(ECS, "CPUUtilization", json!({ "label": "CPU" })),
                on_service(ECS, "MemoryUtilization", json!({ "label": "memory" })),
            ],
        ),
        (
            "Latency, seconds",
            vec![
                on_alb("TargetResponseTime", p("p50")),
                on_alb("TargetResponseTime", p("p99")),
            ],
        ),
        ("Requests", vec![on_alb("RequestCount", sum("requests"))]),
        (
            "Errors",
            vec![
                on_alb("HTTPCode_Target_4XX_Count", sum("4XX of tasks")),
                on_alb("HTTPCode_Target_5XX_Count", sum("5XX of tasks")),
                on_alb("HTTPCode_ELB_5XX_Count", sum("5XX of the load balancer")),
            ],
        ),
        (
            "Healthy hosts",
            vec![
                on_colour("HealthyHostCount", &blue, "blue"),
                on_colour("HealthyHostCount", &green, "green"),
            ],
        ),
        (
            "Blocked by WAF",
            vec![json!([
                "AWS/WAFV2",
                "BlockedRequests",
                "WebACL",
                stack.name("order-api-waf"),
                "Region",
                region,
                "Rule",
                "ALL",
                sum("blocked")
            ])],
        ),
        (
            "Database connections",
            vec![
                on_database("DatabaseConnections", "WRITER"),
                on_database("DatabaseConnections", "READER"),
            ],
        ),
        (
            "Database CPU, %",
            vec![
                on_database("CPUUtilization", "WRITER"),
                on_database("CPUUtilization", "READER"),
            ],
        ),
        (
            "Pending orders",
            vec![json!([
                format!("OrderAPI/{}", stack.suffix), "PendingOrders", { "label": "pending" }
            ])],
        ),
    ];
    let widgets: Vec<Value> = graphs
        .into_iter()
        .enumerate()
        .map(|(index, (title, metrics))| widget(index, title, &metrics, &region))
        .collect();
    let spec = DashboardSpec {
        body: Document(json!({ "widgets": widgets })),
        tags: stack.tags("dashboard", &name),
        name,
    };
    stack.add("dashboard", spec)
}

/// Two graphs side by side on CloudWatch's grid of 24 columns.
fn widget(index: usize, title: &str, metrics: &[Value], region: &str) -> Value {
    json!({
        "type": "metric",
        "x": (index % 2) * 12,
        "y": (index / 2) * 6,
        "width": 12,
        "height": 6,
        "properties": {
            "title": title,
            "view": "timeSeries",
            "stacked": false,
            "region": region,
            "period": 60,
            "metrics": metrics,
        },
    })
}
