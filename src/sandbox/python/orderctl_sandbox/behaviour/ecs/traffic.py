"""Where a listener rule sends its requests: ECS reads and writes the rules of the load balancer itself.

Field guide section 4 "Native blue/green", "Listener rule ARN": ECS turns the rule's action into a weighted forward over
both target groups, and the scalar ``TargetGroupArn`` is gone from then on. A Network Load Balancer has no rules; there
the listener takes their place.
"""

from typing import Any

from moto.elbv2.models import ELBv2Backend, FakeAction, elbv2_backends

from ... import consistency
from ...patches.elbv2 import forwarded_groups, rules_of
from . import targets


def balancers_of(account: str, region: str) -> ELBv2Backend:
    """The load balancers of an account in a region."""
    return elbv2_backends[account][region]


def visible_rules(backend: ELBv2Backend) -> list[Any]:
    """All listener rules that this look does not miss, the default rules of the listeners among them."""
    rules = [rule for balancer in backend.load_balancers.values() for rule in rules_of(balancer)]
    return [rule for rule in rules if not consistency.misses(rule.arn) and not consistency.misses(rule.listener_arn)]


def find_rule(rules: list[Any], arn: str) -> Any | None:
    """The rule with this ARN, or the default rule of the listener with it."""
    if ":listener/" in arn:
        return next((rule for rule in rules if rule.listener_arn == arn and rule.priority == "default"), None)
    return next((rule for rule in rules if rule.arn == arn), None)


def has_load_balancer(rules: list[Any], group_arn: str) -> bool:
    """Whether any rule forwards to the group, with whatever weight: ECS takes no group that hangs on nothing."""
    return any(group_arn in groups_of(rule) for rule in rules)


def groups_of(rule: Any) -> list[str]:
    """The target groups that a rule forwards to, those without weight too."""
    return [arn for action in rule.actions for arn in forwarded_groups(action)]


def serving_groups(rule: Any) -> list[str]:
    """The target groups that a rule sends requests to now."""
    serving = []
    for action in rule.actions:
        tuples = (action.data.get("ForwardConfig") or {}).get("TargetGroups", [])
        weights = {group["TargetGroupArn"]: int(group.get("Weight", 1)) for group in tuples}
        serving += [arn for arn in forwarded_groups(action) if weights.get(arn, 1)]
    return serving


def shift(backend: ELBv2Backend, rule_arn: str, old: str, new: str, percent: float, order: tuple[str, str]) -> bool:
    """Sends ``percent`` of a rule's requests to the group ``new`` and the rest to ``old``.

    ``order`` is how the two stand in the action. Says whether the rule and its groups are still there to be changed.
    """
    with consistency.from_inside():
        rule = find_rule(visible_rules(backend), rule_arn)
    if rule is None or any(arn not in backend.target_groups for arn in order):
        return False
    # Weights are whole numbers up to 999.
    scale = 1 if float(percent).is_integer() else 10
    share = round(percent * scale)
    weights = {new: share, old: 100 * scale - share}
    rule.actions[:] = [
        _weighted(action, order, weights) if action.type == "forward" else action for action in rule.actions
    ]
    targets.usage_changed(backend)
    return True


def _weighted(action: FakeAction, order: tuple[str, str], weights: dict[str, int]) -> FakeAction:
    data = {name: value for name, value in action.data.items() if name not in ("TargetGroupArn", "ForwardConfig")}
    stickiness = (action.data.get("ForwardConfig") or {}).get("TargetGroupStickinessConfig", {"Enabled": False})
    groups = [{"TargetGroupArn": arn, "Weight": weights[arn]} for arn in order]
    return FakeAction({**data, "ForwardConfig": {"TargetGroups": groups, "TargetGroupStickinessConfig": stickiness}})
