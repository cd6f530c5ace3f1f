"""Repository, roles, ECS cluster, task definition, service and its scaling."""

import json
from urllib.parse import unquote

from facts import Facts, pairs

MANAGED = "arn:aws:iam::aws:policy/"
EXEC_ACTIONS = {
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}


def check(facts: Facts, network: dict, edge: dict, is_running: bool) -> None:
    repository(facts)
    arns = roles(facts)
    cluster(facts)
    task_definition(facts, arns)
    service(facts, network, edge, arns, is_running)
    scaling(facts, is_running)


def repository(facts: Facts) -> None:
    ecr = facts.client("ecr")
    name = facts.name("order-api")
    found = facts.answer("the repository", ecr.describe_repositories, repositoryNames=[name])
    if not found:
        return
    live = found["repositories"][0]
    facts.tags("the repository", pairs(ecr.list_tags_for_resource(resourceArn=live["repositoryArn"])["tags"]), name)
    facts.equal("scan on push", True, live["imageScanningConfiguration"]["scanOnPush"])
    facts.equal("encryption of the repository", "AES256", live["encryptionConfiguration"]["encryptionType"])
    facts.equal("output ecrRepositoryUrl", live["repositoryUri"], facts.outputs.get("ecrRepositoryUrl"))
    policy = json.loads(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])
    rules = {it["selection"]["tagStatus"]: it["selection"] for it in policy["rules"]}
    untagged, tagged = rules.get("untagged", {}), rules.get("tagged", {})
    facts.equal("days that untagged images stay", ("sinceImagePushed", 14), (untagged.get("countType"), untagged.get("countNumber")))
    facts.equal("number of tagged images that stay", ("imageCountMoreThan", 30), (tagged.get("countType"), tagged.get("countNumber")))


def listed(value) -> list:
    return value if isinstance(value, list) else [value]


def roles(facts: Facts) -> dict[str, str]:
    secret = facts.outputs.get("dbSecretArn")
    parameter = f"arn:aws:ssm:us-east-1:123456789012:parameter/order-api/{facts.suffix}/config"
    read_secret = ({"secretsmanager:GetSecretValue"}, secret, None)
    namespace = {"StringEquals": {"cloudwatch:namespace": f"OrderAPI/{facts.suffix}"}}
    expected = {
        "ecs-task-exec": ("ecs-tasks.amazonaws.com", ["service-role/AmazonECSTaskExecutionRolePolicy"], [read_secret]),
        "ecs-task": (
            "ecs-tasks.amazonaws.com",
            [],
            [
                read_secret,
                ({"ssm:GetParameter", "ssm:GetParameters"}, parameter, None),
                ({"cloudwatch:PutMetricData"}, "*", namespace),
                (EXEC_ACTIONS, "*", None),
            ],
        ),
        "ecs-lb": ("ecs.amazonaws.com", ["AmazonECSInfrastructureRolePolicyForLoadBalancers"], []),
    }
    return {base: role(facts, facts.name(base), *of_role) for base, of_role in expected.items()}


def role(facts: Facts, name: str, service: str, managed: list[str], statements: list) -> str | None:
    """Its trust, its managed policies, and its statements: these and nothing wider."""
    iam = facts.client("iam")
    found = facts.answer(f"role {name}", iam.get_role, RoleName=name)
    if not found:
        return None
    live = found["Role"]
    facts.tags(f"role {name}", pairs(iam.list_role_tags(RoleName=name)["Tags"]), name)
    trust = live["AssumeRolePolicyDocument"]
    trust = json.loads(unquote(trust)) if isinstance(trust, str) else trust
    facts.equal(f"statements in the trust of {name}", 1, len(trust["Statement"]))
    facts.equal(f"principal of {name}", {"Service": service}, trust["Statement"][0]["Principal"])
    facts.equal(f"action in the trust of {name}", "sts:AssumeRole", trust["Statement"][0]["Action"])
    attached = [it["PolicyArn"] for it in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]]
    facts.equal(f"managed policies of {name}", [MANAGED + it for it in managed], attached)
    granted = []
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        document = json.loads(unquote(document)) if isinstance(document, str) else document
        granted += listed(document["Statement"])
    found = [(set(listed(it["Action"])), it["Resource"], it.get("Condition")) for it in granted if it["Effect"] == "Allow"]
    for statement in statements:
        facts.holds(f"{name} may do {statement}", statement in found)
    for statement in found:
        facts.holds(f"{name} may do nothing but what it needs", statement in statements, statement)
    return live["Arn"]


def cluster(facts: Facts) -> None:
    ecs = facts.client("ecs")
    name = facts.name("order-api")
    found = ecs.describe_clusters(clusters=[name], include=["TAGS", "SETTINGS", "CONFIGURATIONS"])["clusters"]
    live = facts.one("ECS cluster", found)
    if live is None:
        return
    facts.equal("status of the ECS cluster", "ACTIVE", live["status"])
    facts.tags("the ECS cluster", pairs(live["tags"]), name)
    settings = {it["name"]: it["value"] for it in live["settings"]}
    facts.equal("containerInsights", "enabled", settings.get("containerInsights"))
    facts.equal("capacity providers", ["FARGATE", "FARGATE_SPOT"], sorted(live["capacityProviders"]))
    strategy(facts, "the ECS cluster", live["defaultCapacityProviderStrategy"])
    facts.equal("output ecsClusterName", name, facts.outputs.get("ecsClusterName"))


def strategy(facts: Facts, what: str, found: list[dict]) -> None:
    shares = {it["capacityProvider"]: (it.get("weight"), it.get("base", 0)) for it in found}
    facts.equal(f"capacity strategy of {what} (weight, base)", {"FARGATE": (1, 0), "FARGATE_SPOT": (1, 0)}, shares)


def task_definition(facts: Facts, roles: dict) -> None:
    ecs = facts.client("ecs")
    family = facts.name("order-api")
    found = facts.answer("the task definition", ecs.describe_task_definition, taskDefinition=family, include=["TAGS"])
    if not found:
        return
    live = found["taskDefinition"]
    tags = {it["key"]: it["value"] for it in found["tags"] if not it["key"].startswith("orderctl:content")}
    facts.tags("the task definition", tags, family)
    sizes = (live["cpu"], live["memory"], live["networkMode"], live["requiresCompatibilities"])
    facts.equal("size, network mode and launch type of the task", ("512", "1024", "awsvpc", ["FARGATE"]), sizes)
    facts.equal("processor of the task", "X86_64", live.get("runtimePlatform", {}).get("cpuArchitecture"))
    facts.equal("execution role of the task", roles["ecs-task-exec"], live["executionRoleArn"])
    facts.equal("role of the task", roles["ecs-task"], live["taskRoleArn"])
    container = facts.one("container", live["containerDefinitions"])
    facts.equal("name of the container", "order-api", container["name"])
    facts.equal("image of the container", f"{facts.outputs.get('ecrRepositoryUrl')}:latest", container["image"])
    facts.equal("ports of the container", [8080], [it["containerPort"] for it in container["portMappings"]])
    environment = {
        "DB_ENDPOINT": facts.outputs.get("rdsClusterEndpoint"),
        "DB_READER_ENDPOINT": facts.outputs.get("rdsReaderEndpoint"),
        "DB_NAME": "orderdb",
        "REGION": "us-east-1",
        "CONFIG_PARAM": f"/order-api/{facts.suffix}/config",
    }
    facts.equal("environment of the container", environment, {it["name"]: it["value"] for it in container["environment"]})
    secrets = {it["name"]: it["valueFrom"] for it in container["secrets"]}
    facts.equal("secrets of the container", {"DB_CREDENTIALS": facts.outputs.get("dbSecretArn")}, secrets)
    log = container["logConfiguration"]
    facts.equal("log driver", "awslogs", log["logDriver"])
    facts.equal("log group of the container", f"/ecs/{family}", log["options"].get("awslogs-group"))
    facts.equal("log region of the container", "us-east-1", log["options"].get("awslogs-region"))
    health = " ".join(container["healthCheck"]["command"])
    facts.holds("the container's health check asks /health on 8080", "localhost:8080/health" in health, health)


def service(facts: Facts, network: dict, edge: dict, roles: dict, is_running: bool) -> None:
    ecs = facts.client("ecs")
    name = facts.name("order-api")
    live = facts.one("service", ecs.describe_services(cluster=name, services=[name], include=["TAGS"])["services"])
    if live is None:
        return
    facts.equal("status of the service", "ACTIVE", live["status"])
    facts.tags("the service", pairs(live["tags"]), name)
    facts.equal("desired count", 3 if is_running else 0, live["desiredCount"])
    facts.equal("output ecsServiceArn", live["serviceArn"], facts.outputs.get("ecsServiceArn"))
    facts.holds("the service runs the family's task definition", f"task-definition/{name}:" in live["taskDefinition"], live["taskDefinition"])
    inside = live["networkConfiguration"]["awsvpcConfiguration"]
    facts.equal("subnets of the service", network.get("private"), set(inside["subnets"]))
    facts.equal("security groups of the service", [network.get("groups", {}).get("ecs")], inside["securityGroups"])
    facts.equal("public address of the tasks", "DISABLED", inside["assignPublicIp"])
    facts.equal("ECS Exec", True, live["enableExecuteCommand"])
    facts.equal("health check grace", 60, live["healthCheckGracePeriodSeconds"])
    facts.equal("zone rebalancing", "ENABLED", live.get("availabilityZoneRebalancing"))
    facts.equal("deployment controller", "ECS", live.get("deploymentController", {}).get("type", "ECS"))
    strategy(facts, "the service", live["capacityProviderStrategy"])
    deployment = live["deploymentConfiguration"]
    facts.equal("deployment strategy", "BLUE_GREEN", deployment.get("strategy"))
    facts.equal("bake minutes", 5, deployment.get("bakeTimeInMinutes"))
    alarms = deployment.get("alarms", {})
    wanted = ([facts.name("order-api-high-errors")], True, True)
    facts.equal("rollback alarms", wanted, (alarms.get("alarmNames"), alarms.get("enable"), alarms.get("rollback")))
    balancer = facts.one("load balancer of the service", live["loadBalancers"])
    if balancer:
        groups = edge.get("groups", {})
        found = (balancer["containerName"], balancer["containerPort"], balancer["targetGroupArn"])
        facts.equal("container, port and target group of the service", ("order-api", 8080, groups.get("blue")), found)
        advanced = balancer.get("advancedConfiguration", {})
        wanted = {
            "alternateTargetGroupArn": groups.get("green"),
            "productionListenerRule": edge.get("production"),
            "testListenerRule": edge.get("test"),
            "roleArn": roles["ecs-lb"],
        }
        facts.equal("blue/green configuration", wanted, {key: advanced.get(key) for key in wanted})


def scaling(facts: Facts, is_running: bool) -> None:
    client = facts.client("application-autoscaling")
    name = facts.name("order-api")
    resource = f"service/{name}/{name}"
    found = client.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[resource])["ScalableTargets"]
    target = facts.one("scalable target", found)
    if target is None:
        return
    # A parked service is registered from 0, because registering a minimum starts that many tasks.
    facts.equal("least and most tasks", (3 if is_running else 0, 10), (target["MinCapacity"], target["MaxCapacity"]))
    suspended = target.get("SuspendedState", {})
    for key in ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended"):
        facts.equal(key, not is_running, suspended.get(key, False))
    facts.tags("the scalable target", client.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"], name)
    answer = client.describe_scaling_policies(ServiceNamespace="ecs", ResourceId=resource)
    policies = {it["PolicyName"]: it["TargetTrackingScalingPolicyConfiguration"] for it in answer["ScalingPolicies"]}
    wanted = {facts.name("cpu-scaling"): 70.0, facts.name("pending-orders-scaling"): 100.0}
    facts.equal("targets of the policies", wanted, {key: it["TargetValue"] for key, it in policies.items()})
    for policy, settings in policies.items():
        facts.equal(f"cooldowns of {policy} (in, out)", (300, 60), (settings.get("ScaleInCooldown"), settings.get("ScaleOutCooldown")))
    cpu = policies.get(facts.name("cpu-scaling"), {}).get("PredefinedMetricSpecification", {})
    facts.equal("metric of cpu-scaling", "ECSServiceAverageCPUUtilization", cpu.get("PredefinedMetricType"))
    custom = policies.get(facts.name("pending-orders-scaling"), {}).get("CustomizedMetricSpecification", {})
    found = (custom.get("Namespace"), custom.get("MetricName"))
    facts.equal("metric of pending-orders-scaling", (f"OrderAPI/{facts.suffix}", "PendingOrders"), found)
    filters = facts.client("logs").describe_metric_filters(logGroupName=f"/ecs/{name}")["metricFilters"]
    only = facts.one("metric filter", filters)
    if only:
        facts.equal("name of the metric filter", facts.name("pending-orders"), only["filterName"])
        facts.equal("pattern of the metric filter", '{ $.msg = "PendingOrders" }', only["filterPattern"])
        change = only["metricTransformations"][0]
        found = (change["metricNamespace"], change["metricName"], change["metricValue"])
        facts.equal("metric of the metric filter", (f"OrderAPI/{facts.suffix}", "PendingOrders", "$.count"), found)
