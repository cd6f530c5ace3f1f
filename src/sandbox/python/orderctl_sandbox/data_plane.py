"""Requests to a load balancer, as its users send them: from a listener over its rules to a task.

There is no DNS here, so a request finds its way by its ``Host``, the DNS name of a load balancer, and the listener by the
header ``X-Forwarded-Port``. What answers is a task of the chosen target group, as the program in its image would.
"""

import json
import random
import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

from moto.elbv2.models import FakeListener, FakeLoadBalancer, FakeRule, elbv2_backends

from . import ACCOUNT_ID
from .behaviour.ecs import targets

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_HOST = re.compile(r"(?P<name>[a-z0-9-]+\.(?P<region>[a-z0-9-]+)\.elb\.amazonaws\.com)(?::\d+)?", re.IGNORECASE)


class DataPlane:
    """Answers requests to load balancers and passes everything else on."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        host = _HOST.fullmatch(environ.get("HTTP_HOST", ""))
        if host is None:
            return self.application(environ, start_response)
        port = environ.get("HTTP_X_FORWARDED_PORT", "443")
        status, answer = _answer(host["name"].lower(), host["region"], port, environ.get("PATH_INFO", "/"))
        body = json.dumps(answer).encode()
        start_response(f"{status} ", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def _answer(name: str, region: str, port: str, path: str) -> tuple[int, dict[str, Any]]:
    balancers = elbv2_backends[ACCOUNT_ID][region].load_balancers.values()
    balancer: FakeLoadBalancer | None = next((item for item in balancers if item.dns_name.lower() == name), None)
    if balancer is None:
        return 503, {"message": "there is no such load balancer"}
    listeners: Iterable[FakeListener] = balancer.listeners.values()
    listener = next((item for item in listeners if str(item.port) == port), None)
    if listener is None:
        return 503, {"message": f"there is no listener on port {port}"}
    rule = _rule(listener, path)
    action = rule.actions[0].data
    if action.get("Type") == "fixed-response":
        return int(action["FixedResponseConfig"]["StatusCode"]), {"message": "fixed response"}
    if action.get("Type") == "redirect":
        return int(action["RedirectConfig"]["StatusCode"].removeprefix("HTTP_")), {"message": "redirect"}
    return _from_target(region, action, path)


def _rule(listener: FakeListener, path: str) -> FakeRule:
    def is_met(rule: FakeRule) -> bool:
        patterns = [value for condition in rule.conditions for value in _patterns(condition)]
        return not patterns or any(fnmatchcase(path, pattern) for pattern in patterns)

    def order(rule: FakeRule) -> int:
        return 1_000_000 if rule.priority == "default" else int(rule.priority)

    return next(rule for rule in sorted(listener.rules.values(), key=order) if is_met(rule))


def _patterns(condition: dict[str, Any]) -> list[str]:
    if condition.get("Field") != "path-pattern":
        return []
    return condition.get("Values") or (condition.get("PathPatternConfig") or {}).get("Values", [])


def _from_target(region: str, action: dict[str, Any], path: str) -> tuple[int, dict[str, Any]]:
    groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or [{"TargetGroupArn": action.get("TargetGroupArn")}]
    weights = [int(group.get("Weight", 1)) for group in groups]
    if not any(weights):
        return 503, {"message": "no target group has any weight"}
    arn = random.choices(groups, weights)[0]["TargetGroupArn"]
    group = elbv2_backends[ACCOUNT_ID][region].target_groups.get(arn)
    healthy = [target for target in targets.all_of(group).values() if target.state == "healthy"] if group else []
    if not healthy:
        return 503, {"message": "no target is healthy"}
    target = random.choice(healthy)
    status = target.answers.otherwise if path != group.health_check_path else 200
    return status, {"path": path, "target": target.identifier, "image": target.answers.image}
