"""Answers questions about the sandbox: one JSON object per line in, one out.

`{"code": "..."}` is Python over boto3 clients named after their services (`ec2`, `rds`, `scaling`, ...). The answer is
`{"value": ...}`, the value of an expression or of the variable `answer` after statements, or `{"error": "..."}`.
"""

import json
import sys
import time
import traceback

import boto3
from botocore.config import Config

SERVICES = {
    "acm": "acm",
    "cloudwatch": "cloudwatch",
    "ec2": "ec2",
    "ecr": "ecr",
    "ecs": "ecs",
    "elbv2": "elbv2",
    "iam": "iam",
    "logs": "logs",
    "rds": "rds",
    "route53": "route53",
    "s3": "s3",
    "scaling": "application-autoscaling",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "ssm": "ssm",
    "tagging": "resourcegroupstaggingapi",
    "wafv2": "wafv2",
}

#: ListCertificates shows RSA certificates alone unless it is told which others.
EVERY_KEY = {"keyTypes": ["RSA_2048", "EC_prime256v1"]}


def inventory(aws):
    """Everything there is in the account, by kind, as sorted names or ids; tombstones and service-linked roles are not."""
    ec2, ecs, rds, waf = aws["ec2"], aws["ecs"], aws["rds"], aws["wafv2"]
    targets = aws["scaling"].describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    policies = aws["scaling"].describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    clusters = ecs.describe_clusters(clusters=ecs.list_clusters()["clusterArns"])["clusters"]
    active = [it["clusterArn"] for it in clusters if it["status"] == "ACTIVE"]
    nats = [it for it in ec2.describe_nat_gateways()["NatGateways"] if it["State"] != "deleted"]
    endpoints = [it for it in ec2.describe_vpc_endpoints()["VpcEndpoints"] if it["State"] != "deleted"]
    roles = [it["RoleName"] for it in aws["iam"].list_roles()["Roles"]]
    found = {
        "VPCs": [it["VpcId"] for it in ec2.describe_vpcs()["Vpcs"]],
        "subnets": [it["SubnetId"] for it in ec2.describe_subnets()["Subnets"]],
        "internet gateways": [it["InternetGatewayId"] for it in ec2.describe_internet_gateways()["InternetGateways"]],
        "NAT gateways": [it["NatGatewayId"] for it in nats],
        "elastic IPs": [it["AllocationId"] for it in ec2.describe_addresses()["Addresses"]],
        "route tables": [it["RouteTableId"] for it in ec2.describe_route_tables()["RouteTables"]],
        "endpoints": [it["VpcEndpointId"] for it in endpoints],
        "security groups": [it["GroupId"] for it in ec2.describe_security_groups()["SecurityGroups"]],
        "security group rules": [it["SecurityGroupRuleId"] for it in ec2.describe_security_group_rules()["SecurityGroupRules"]],
        "load balancers": [it["LoadBalancerArn"] for it in aws["elbv2"].describe_load_balancers()["LoadBalancers"]],
        "target groups": [it["TargetGroupArn"] for it in aws["elbv2"].describe_target_groups()["TargetGroups"]],
        "certificates": [it["CertificateArn"] for it in aws["acm"].list_certificates(Includes=EVERY_KEY)["CertificateSummaryList"]],
        "web ACLs": [it["ARN"] for it in waf.list_web_acls(Scope="REGIONAL")["WebACLs"]],
        "IP sets": [it["ARN"] for it in waf.list_ip_sets(Scope="REGIONAL")["IPSets"]],
        "DB clusters": [it["DBClusterIdentifier"] for it in rds.describe_db_clusters()["DBClusters"]],
        "DB instances": [it["DBInstanceIdentifier"] for it in rds.describe_db_instances()["DBInstances"]],
        "DB subnet groups": [it["DBSubnetGroupName"] for it in rds.describe_db_subnet_groups()["DBSubnetGroups"]],
        "DB parameter groups": [
            it["DBClusterParameterGroupName"] for it in rds.describe_db_cluster_parameter_groups()["DBClusterParameterGroups"]
        ],
        "manual snapshots": [
            it["DBClusterSnapshotIdentifier"] for it in rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
        ],
        "secrets": [it["ARN"] for it in aws["secretsmanager"].list_secrets()["SecretList"]],
        "parameters": [it["Name"] for it in aws["ssm"].describe_parameters()["Parameters"]],
        "repositories": [it["repositoryName"] for it in aws["ecr"].describe_repositories()["repositories"]],
        "ECS clusters": active,
        "services": [arn for cluster in active for arn in ecs.list_services(cluster=cluster)["serviceArns"]],
        "task definitions": ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"],
        "scalable targets": [it["ResourceId"] for it in targets],
        "scaling policies": [it["PolicyName"] for it in policies],
        "roles": [it for it in roles if not it.startswith("AWSServiceRole")],
        "policies": [it["PolicyName"] for it in aws["iam"].list_policies(Scope="Local")["Policies"]],
        "log groups": [it["logGroupName"] for it in aws["logs"].describe_log_groups()["logGroups"]],
        "alarms": [it["AlarmName"] for it in aws["cloudwatch"].describe_alarms()["MetricAlarms"]],
        "dashboards": [it["DashboardName"] for it in aws["cloudwatch"].list_dashboards()["DashboardEntries"]],
        "topics": [it["TopicArn"] for it in aws["sns"].list_topics()["Topics"]],
        "subscriptions": [it["SubscriptionArn"] for it in aws["sns"].list_subscriptions()["Subscriptions"]],
        "records": [
            record["Name"]
            for zone in aws["route53"].list_hosted_zones()["HostedZones"]
            for record in aws["route53"].list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
        ],
    }
    return {kind: sorted(names) for kind, names in found.items()}


def wait_until(condition, what):
    """Returns once the condition holds; gives up after two minutes."""
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.1)


class Names(dict):
    """The names a question may use; a client is made at its first use."""

    def __missing__(self, name):
        if name not in SERVICES:
            raise KeyError(name)
        self[name] = boto3.client(SERVICES[name], config=Config(retries={"total_max_attempts": 1}))
        return self[name]


def ask(names, code):
    try:
        question = compile(code, "question", "eval")
    except SyntaxError:
        names.pop("answer", None)
        for service in SERVICES:
            # The globals of a function are looked up past `__missing__`.
            if service in code:
                names[service]
        exec(compile(code, "question", "exec"), names)  # noqa: S102
        return names.get("answer")
    return eval(question, names)  # noqa: S307


def main():
    names = Names(json=json)
    names["inventory"] = lambda: inventory(names)
    names["EVERY_KEY"] = EVERY_KEY
    names["wait_until"] = wait_until
    for line in sys.stdin:
        try:
            answer = {"value": ask(names, json.loads(line)["code"])}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
