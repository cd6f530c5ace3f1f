"""Topic, alarms and dashboard."""

import json

from facts import Facts, pairs

GRAPHS = {
    ("ECS/ContainerInsights", "RunningTaskCount"),
    ("AWS/ECS", "CPUUtilization"),
    ("AWS/ECS", "MemoryUtilization"),
    ("AWS/ApplicationELB", "TargetResponseTime"),
    ("AWS/ApplicationELB", "RequestCount"),
    ("AWS/ApplicationELB", "HTTPCode_Target_4XX_Count"),
    ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"),
    ("AWS/ApplicationELB", "HealthyHostCount"),
    ("AWS/WAFV2", "BlockedRequests"),
    ("AWS/RDS", "DatabaseConnections"),
    ("AWS/RDS", "CPUUtilization"),
}


def check(facts: Facts, edge: dict, emails: list[str]) -> None:
    topic(facts, emails)
    alarms(facts, edge)
    dashboard(facts, edge)


def topic(facts: Facts, emails: list[str]) -> None:
    sns = facts.client("sns")
    name = facts.name("order-api-alarms")
    found = [it["TopicArn"] for it in sns.list_topics()["Topics"] if it["TopicArn"].endswith(f":{name}")]
    facts.equal("alarm topics", [facts.outputs.get("alarmTopicArn")], found)
    for arn in found:
        facts.tags("the alarm topic", pairs(sns.list_tags_for_resource(ResourceArn=arn)["Tags"]), name)
        subscribed = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
        mails = sorted((it["Protocol"], it["Endpoint"]) for it in subscribed)
        facts.equal("subscriptions", sorted(("email", it) for it in emails), mails)


def full_name(arn: str) -> str:
    """What CloudWatch calls a load balancer or a target group."""
    tail = arn.split(":", 5)[5]
    return tail.removeprefix("loadbalancer/")


def alarms(facts: Facts, edge: dict) -> None:
    cloudwatch = facts.client("cloudwatch")
    errors, failures = facts.name("order-api-high-errors"), facts.name("order-api-db-failures")
    found = {it["AlarmName"]: it for it in cloudwatch.describe_alarms(AlarmNames=[errors, failures])["MetricAlarms"]}
    facts.equal("alarms", sorted([errors, failures]), sorted(found))
    common = {"Period": 300, "ComparisonOperator": "GreaterThanThreshold", "ActionsEnabled": True}
    balancer = [{"Name": "LoadBalancer", "Value": full_name(edge.get("load_balancer", ":::::"))}]
    wanted = {
        errors: {
            "Namespace": "AWS/ApplicationELB",
            "MetricName": "HTTPCode_Target_5XX_Count",
            "Statistic": "Sum",
            "Threshold": 10.0,
            "EvaluationPeriods": 1,
            "TreatMissingData": "notBreaching",
            "Dimensions": balancer,
        },
        failures: {
            "Namespace": "AWS/RDS",
            "MetricName": "DatabaseConnections",
            "Threshold": 80.0,
            "EvaluationPeriods": 2,
            "Dimensions": [{"Name": "DBClusterIdentifier", "Value": facts.name("order-api")}],
        },
    }
    for name, live in found.items():
        for key, value in {**common, **wanted[name]}.items():
            facts.equal(f"{key} of {name}", value, live.get(key))
        facts.equal(f"actions of {name}", [facts.outputs.get("alarmTopicArn")], live["AlarmActions"])
        tags = cloudwatch.list_tags_for_resource(ResourceARN=live["AlarmArn"])["Tags"]
        facts.tags(f"alarm {name}", pairs(tags), name)


def dashboard(facts: Facts, edge: dict) -> None:
    cloudwatch = facts.client("cloudwatch")
    name = facts.name("order-api")
    answer = facts.answer("the dashboard", cloudwatch.get_dashboard, DashboardName=name)
    if not answer:
        return
    facts.holds("output dashboardUrl names the dashboard", facts.outputs.get("dashboardUrl", "").endswith(f"name={name}"))
    groups = {colour: full_name(arn) for colour, arn in edge.get("groups", {}).items() if arn}
    balancer = full_name(edge.get("load_balancer", ":::::"))
    known = {
        "LoadBalancer": {balancer},
        "TargetGroup": set(groups.values()),
        "ClusterName": {name},
        "ServiceName": {name},
        "DBClusterIdentifier": {name},
        "WebACL": {facts.name("order-api-waf")},
        "Region": {"us-east-1"},
        "Rule": {"ALL"},
        "Role": {"WRITER", "READER"},
    }
    shown, statistics, colours = set(), set(), set()
    for widget in json.loads(answer["DashboardBody"])["widgets"]:
        properties = widget["properties"]
        facts.equal(f"region of graph {properties['title']}", "us-east-1", properties["region"])
        for metric in properties["metrics"]:
            options = metric[-1] if isinstance(metric[-1], dict) else {}
            words = [it for it in metric if not isinstance(it, dict)]
            namespace, what, dimensions = words[0], words[1], dict(zip(words[2::2], words[3::2]))
            shown.add((namespace, what))
            statistics.add((what, options.get("stat")))
            colours |= {dimensions["TargetGroup"]} if "TargetGroup" in dimensions else set()
            if namespace == f"OrderAPI/{facts.suffix}":
                continue  # a metric filter without dimensions writes it
            facts.holds(f"{namespace} {what} on the dashboard has dimensions", bool(dimensions))
            for key, value in dimensions.items():
                facts.holds(f"{key} of {namespace} {what} is this stack's", value in known.get(key, ()), value)
    for graph in sorted(GRAPHS | {(f"OrderAPI/{facts.suffix}", "PendingOrders")}):
        facts.holds(f"the dashboard shows {' '.join(graph)}", graph in shown)
    for statistic in ("p50", "p99"):
        facts.holds(f"the dashboard shows {statistic} of the latency", ("TargetResponseTime", statistic) in statistics)
    facts.equal("colours of the healthy hosts", set(groups.values()), colours)
