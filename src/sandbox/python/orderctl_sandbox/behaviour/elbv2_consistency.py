"""Elastic Load Balancing v2: for a while, calls miss what was just created.

Field guide sections 1.6 and 5: reads and the calls that build on a fresh load balancer, target group, listener or rule
answer ``…NotFound``; lists leave it out. Creating again under the same name, port or priority still finds it, and so
does deleting. Forwards to fresh target groups and fresh certificates are looked at in ``elbv2_refusals``.
"""

from typing import Any

from moto.elbv2.exceptions import LoadBalancerNotFoundError
from moto.elbv2.models import ELBv2Backend
from moto.elbv2.responses import ELBV2Response

from ..consistency import created, misses
from ..patches.elbv2 import not_found
from ..patches.patching import wrap

#: Operation -> its parameters that hold an ARN or several.
_ARN_PARAMETERS = {
    "add_listener_certificates": ("ListenerArn",),
    "add_tags": ("ResourceArns",),
    "create_listener": ("LoadBalancerArn",),
    "create_rule": ("ListenerArn",),
    "deregister_targets": ("TargetGroupArn",),
    "describe_listener_attributes": ("ListenerArn",),
    "describe_listener_certificates": ("ListenerArn",),
    "describe_listeners": ("LoadBalancerArn", "ListenerArns"),
    "describe_load_balancer_attributes": ("LoadBalancerArn",),
    "describe_load_balancers": ("LoadBalancerArns",),
    "describe_rules": ("ListenerArn", "RuleArns"),
    "describe_tags": ("ResourceArns",),
    "describe_target_group_attributes": ("TargetGroupArn",),
    "describe_target_groups": ("LoadBalancerArn", "TargetGroupArns"),
    "describe_target_health": ("TargetGroupArn",),
    "modify_listener": ("ListenerArn",),
    "modify_listener_attributes": ("ListenerArn",),
    "modify_load_balancer_attributes": ("LoadBalancerArn",),
    "modify_rule": ("RuleArn",),
    "modify_target_group": ("TargetGroupArn",),
    "modify_target_group_attributes": ("TargetGroupArn",),
    "register_targets": ("TargetGroupArn",),
    "remove_listener_certificates": ("ListenerArn",),
    "remove_tags": ("ResourceArns",),
    "set_ip_address_type": ("LoadBalancerArn",),
    "set_rule_priorities": ("RulePriorities",),
    "set_security_groups": ("LoadBalancerArn",),
    "set_subnets": ("LoadBalancerArn",),
}
#: Listing -> the list in its answer, and the parameter that asks for single things by ARN or name instead.
_LISTINGS = {
    "describe_listeners": ("Listeners", ("ListenerArns",)),
    "describe_load_balancers": ("LoadBalancers", ("LoadBalancerArns", "Names")),
    "describe_rules": ("Rules", ("RuleArns",)),
    "describe_target_groups": ("TargetGroups", ("TargetGroupArns", "Names")),
}


def _arns(response: ELBV2Response, parameter: str) -> list[str]:
    value = response._get_param(parameter) or []
    return [value] if isinstance(value, str) else [item["RuleArn"] if isinstance(item, dict) else item for item in value]


def _named(response: ELBV2Response, items: dict[str, Any], error: Any) -> None:
    """Refuses a description by name of what is not seen yet."""
    names = _arns(response, "Names")
    if any(item.name in names and misses(arn) for arn, item in items.items()):
        raise error


def apply() -> None:
    """Marks what is created and wraps what looks."""
    for operation in ("create_load_balancer", "create_target_group", "create_listener", "create_rule"):
        _mark(operation)
    for operation, parameters in _ARN_PARAMETERS.items():
        _look(operation, parameters)
    _look_by_name()


def _mark(operation: str) -> None:
    @wrap(ELBv2Backend, operation)
    def remember(original, self, *arguments, **named):
        listeners = (arn for balancer in self.load_balancers.values() for arn in balancer.listeners)
        before = {*self.load_balancers, *self.target_groups, *listeners}
        made = original(self, *arguments, **named)
        if made.arn not in before:
            created(made.arn)
        return made


def _look(operation: str, parameters: tuple[str, ...]) -> None:
    listed, selectors = _LISTINGS.get(operation, (None, ()))

    @wrap(ELBV2Response, operation)
    def unless_fresh(original, self):
        for arn in [arn for parameter in parameters for arn in _arns(self, parameter)]:
            if misses(arn):
                raise not_found(arn)
        answer = original(self)
        if listed and not any(self._get_param(parameter) for parameter in selectors):
            answer._result[listed] = [item for item in answer._result[listed] if not misses(item.arn)]
        return answer


def _look_by_name() -> None:
    @wrap(ELBV2Response, "describe_load_balancers")
    def balancers(original, self):
        names = ", ".join(_arns(self, "Names"))
        _named(self, self.elbv2_backend.load_balancers, LoadBalancerNotFoundError(f"Load balancers '[{names}]' not found"))
        return original(self)

    @wrap(ELBV2Response, "describe_target_groups")
    def groups(original, self):
        _named(self, self.elbv2_backend.target_groups, not_found(":targetgroup/"))
        return original(self)
