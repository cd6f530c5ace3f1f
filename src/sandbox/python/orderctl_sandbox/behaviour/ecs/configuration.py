"""What CreateService and UpdateService refuse in a deployment configuration and in load balancers, in AWS's words.

Field guide section 4 "Native blue/green", rows "Needs", "Limits" and "PAUSE hook"; the wordings for load balancers are
those of the Developer Guide's troubleshooting page for blue/green deployments.
"""

import re
from typing import Any

from moto.ecs.exceptions import InvalidParameterException
from moto.ecs.models import EC2ContainerServiceBackend, TaskDefinition

from ... import consistency
from ..iam import role_is_usable
from . import hooks, traffic

_STRATEGIES = ("ROLLING", "BLUE_GREEN", "CANARY", "LINEAR")
_MINUTES_OF_A_DAY = 1440
_STEPS = {
    "canaryConfiguration": ("CANARY", "canaryPercent", 0.1, "canaryBakeTimeInMinutes"),
    "linearConfiguration": ("LINEAR", "stepPercent", 3.0, "stepBakeTimeInMinutes"),
}
_HOOK_STAGES = (
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
)
_NEVER_PAUSED = ("TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT")
_LONGEST_PAUSE_MINUTES = 20160
_ROLE_REFUSED = (
    "Unable to assume role and validate the specified targetGroupArn. Please verify that the ECS service role being "
    "passed has the proper permissions."
)
_RULE_ARN = re.compile(r"arn:aws[\w-]*:elasticloadbalancing:[\w-]+:\d{12}:(listener-rule/app/|listener/net/).+")


def check_deployment_configuration(given: dict, current: dict, merged: dict, controller: str) -> None:
    """Refuses a configuration that cannot be; ``merged`` is what becomes of ``current`` with ``given`` applied."""
    strategy = merged["strategy"]
    if strategy not in _STRATEGIES:
        raise InvalidParameterException(f"strategy should be one of [{','.join(_STRATEGIES)}]")
    if strategy != "ROLLING" and controller != "ECS":
        raise InvalidParameterException(f"Deployment strategy {strategy} requires the deployment controller ECS.")
    _check_range("bakeTimeInMinutes", merged.get("bakeTimeInMinutes", 0), 0, _MINUTES_OF_A_DAY)
    if strategy == "BLUE_GREEN" != current.get("strategy") and given.get("bakeTimeInMinutes") is None:
        raise InvalidParameterException("bakeTimeInMinutes is required when using the BLUE_GREEN deployment strategy.")
    for block, (owner, percent, least, bake) in _STEPS.items():
        if given.get(block) is None:
            continue
        if strategy != owner:
            raise InvalidParameterException(f"{block} is only valid when the deployment strategy is {owner}.")
        _check_range(percent, merged[block][percent], least, 100.0)
        if abs(merged[block][percent] * 10 - round(merged[block][percent] * 10)) > 1e-9:
            raise InvalidParameterException(f"{percent} should be a multiple of 0.1.")
        _check_range(bake, merged[block][bake], 0, _MINUTES_OF_A_DAY)
    _check_percents(merged)
    for hook in given.get("lifecycleHooks") or []:
        _check_hook(hook)


def _check_range(name: str, value: Any, least: float, most: float) -> None:
    if not least <= value <= most:
        raise InvalidParameterException(f"{name} should be between {least} and {most}.")


def _check_percents(merged: dict) -> None:
    minimum, maximum = merged["minimumHealthyPercent"], merged["maximumPercent"]
    if minimum < 0 or maximum < 0:
        raise InvalidParameterException("maximumPercent and minimumHealthyPercent must be non-negative")
    if minimum >= 100 and maximum <= 100:
        raise InvalidParameterException(
            "The value for the minimumHealthyPercent and maximumPercent settings would block deployments: "
            f"{minimum}, {maximum}"
        )


def _check_hook(hook: dict) -> None:
    stages = hook.get("lifecycleStages") or []
    if not stages:
        raise InvalidParameterException("lifecycleStages is required for a lifecycle hook.")
    for stage in stages:
        if stage not in _HOOK_STAGES:
            raise InvalidParameterException(f"{stage} is not a valid lifecycle stage for a lifecycle hook.")
    if hook.get("targetType", hooks.LAMBDA) == hooks.LAMBDA:
        if not hook.get("hookTargetArn") or not hook.get("roleArn"):
            raise InvalidParameterException("hookTargetArn and roleArn are required for AWS_LAMBDA lifecycle hooks.")
    else:
        if hook.get("hookTargetArn") or hook.get("roleArn"):
            raise InvalidParameterException("hookTargetArn and roleArn are not applicable to PAUSE lifecycle hooks.")
        for stage in set(stages) & set(_NEVER_PAUSED):
            raise InvalidParameterException(f"PAUSE lifecycle hooks cannot be configured at {stage}.")
    timeout = hook.get("timeoutConfiguration") or {}
    _check_range("timeoutInMinutes", timeout.get("timeoutInMinutes", 1), 1, _LONGEST_PAUSE_MINUTES)
    if timeout.get("action", "ROLLBACK") not in ("ROLLBACK", "CONTINUE"):
        raise InvalidParameterException("action should be one of [ROLLBACK,CONTINUE]")


def check_load_balancers(
    backend: EC2ContainerServiceBackend, balancers: list[dict], strategy: str, definition: TaskDefinition | None
) -> None:
    """Refuses load balancers that a service cannot stand behind, and those its strategy cannot shift traffic with."""
    if any(entry.get("loadBalancerName") for entry in balancers):
        if any(entry.get("targetGroupArn") for entry in balancers):
            raise InvalidParameterException(
                "All loadBalancers must be strictly either ELBv1 (defining loadBalancerName) or ELBv2 (defining "
                "targetGroupArn)"
            )
        if any(entry.get("advancedConfiguration") for entry in balancers):
            raise InvalidParameterException("advancedConfiguration field is not allowed with ELBv1 loadBalancers")
        return
    _check_containers(balancers, definition)
    check_strategy(balancers, strategy)
    advanced = [entry.get("advancedConfiguration") for entry in balancers]
    if any(advanced) and not all(advanced):
        raise InvalidParameterException(
            "Either all or none of the provided loadBalancers must have advancedConfiguration defined"
        )
    _check_for_duplicates(balancers)
    elbv2 = traffic.balancers_of(backend.account_id, backend.region_name)
    rules = traffic.visible_rules(elbv2)
    for entry in balancers:
        _check_group(elbv2, rules, entry.get("targetGroupArn"), definition)
        if entry.get("advancedConfiguration"):
            _check_advanced(backend, elbv2, rules, entry, definition)


def check_strategy(balancers: list[dict], strategy: str) -> None:
    """Refuses a strategy that shifts traffic for load balancers that say nothing of how."""
    if strategy != "ROLLING" and not all(entry.get("advancedConfiguration") for entry in balancers):
        raise InvalidParameterException(
            "advancedConfiguration field is required for all loadBalancers when using a non-ROLLING deployment strategy"
        )


def _check_containers(balancers: list[dict], definition: TaskDefinition | None) -> None:
    if definition is None:
        return
    containers = {container["name"]: container for container in definition.container_definitions}
    for entry in balancers:
        name, port = entry.get("containerName"), entry.get("containerPort")
        if name not in containers:
            raise InvalidParameterException(f"The container {name} does not exist in the task definition.")
        if not any(mapping.get("containerPort") == port for mapping in containers[name].get("portMappings", [])):
            raise InvalidParameterException(f"The container {name} did not have a container port {port} defined.")


def _check_for_duplicates(balancers: list[dict]) -> None:
    seen: set[tuple] = set()
    for entry in balancers:
        key = (entry.get("targetGroupArn"), entry.get("containerName"), entry.get("containerPort"))
        if key in seen or (entry.get("advancedConfiguration") and key[0] in {known[0] for known in seen}):
            raise InvalidParameterException(f"Duplicate targetGroupArn found: {entry.get('targetGroupArn')}")
        seen.add(key)


def _check_group(elbv2: Any, rules: list[Any], arn: str | None, definition: TaskDefinition | None) -> None:
    if not arn:
        raise InvalidParameterException("loadBalancers must define either loadBalancerName or targetGroupArn.")
    group = elbv2.target_groups.get(arn)
    if group is None:
        raise InvalidParameterException(f"The target group {arn} does not exist.")
    # A group on a rule that ECS does not see yet hangs on nothing as far as it knows.
    if not traffic.has_load_balancer(rules, arn):
        raise InvalidParameterException(
            f"The target group with targetGroupArn {arn} does not have an associated load balancer."
        )
    if definition is not None and definition.network_mode == "awsvpc" and group.target_type != "ip":
        raise InvalidParameterException(
            f"The provided target group {arn} has target type {group.target_type}, which is incompatible with the "
            "awsvpc network mode specified in the task definition."
        )


def _check_advanced(
    backend: EC2ContainerServiceBackend, elbv2: Any, rules: list[Any], entry: dict, definition: TaskDefinition | None
) -> None:
    advanced = entry["advancedConfiguration"]
    for field in ("alternateTargetGroupArn", "productionListenerRule", "roleArn"):
        if not advanced.get(field):
            raise InvalidParameterException(f"{field} is required in advancedConfiguration.")
    group, alternate = entry["targetGroupArn"], advanced["alternateTargetGroupArn"]
    if group == alternate:
        raise InvalidParameterException(f"Duplicate targetGroupArn found: {group}")
    _check_group(elbv2, rules, alternate, definition)
    production, test = advanced["productionListenerRule"], advanced.get("testListenerRule")
    for field, arn in (("productionListenerRule", production), ("testListenerRule", test)):
        if arn:
            _check_rule(elbv2, rules, field, arn)
    if production == test:
        raise InvalidParameterException(
            f"The following rules cannot be used as both production and test listener rules: {test}"
        )
    forwarded = traffic.groups_of(traffic.find_rule(rules, production))
    if not test and "/app/" in production and not {group, alternate} <= set(forwarded):
        raise InvalidParameterException(
            "For Application LoadBalancer, testListenerRule is required when productionListenerRule is not associated with "
            "both targetGroup and alternateTargetGroup"
        )
    check_role(backend, advanced["roleArn"])


def _check_rule(elbv2: Any, rules: list[Any], field: str, arn: str) -> None:
    if not _RULE_ARN.fullmatch(arn):
        raise InvalidParameterException(
            f"{field} has an invalid ARN format. Must be RuleArn for ALB or ListenerArn for NLB. Got: {arn}"
        )
    if traffic.find_rule(rules, arn) is not None:
        return
    with consistency.from_inside():
        hidden = traffic.find_rule(traffic.visible_rules(elbv2), arn)
    if hidden is not None and traffic.groups_of(hidden):
        raise InvalidParameterException(
            f"The target group with targetGroupArn {traffic.groups_of(hidden)[0]} does not have an associated load balancer."
        )
    raise InvalidParameterException(f"{field} {arn} is invalid: One or more rules not found")


def check_role(backend: EC2ContainerServiceBackend, arn: str | None) -> None:
    """Refuses a role that ECS cannot assume, which a new one is for a while."""
    if arn and not role_is_usable(backend.account_id, arn):
        raise InvalidParameterException(_ROLE_REFUSED)
