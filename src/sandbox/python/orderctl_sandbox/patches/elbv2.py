"""Elastic Load Balancing v2.

Gaps (moto 5.2.5): a second CreateLoadBalancer of one name makes another one and CreateTargetGroup always refuses;
a second listener on a port is taken; a forward given as ``TargetGroupArn`` has no ForwardConfig; a target group only
remembers load balancers it was first used by; rules are unsorted and cannot swap priorities; an HTTP listener has an
SSL policy; most attributes are absent; ``HealthCheckEnabled=false`` is lost; a load balancer without security groups
stays without; unknown names are answered with another load balancer, unknown listeners and the tags of unknown ARNs
with nothing; deleting twice is refused for target groups and accepted for rules; target groups and listeners come in
one page, and a page of the others is 50; a resource takes 10 tags instead of 50.
Restores: field guide section 5 (names are idempotency keys, no not-found on the delete of load balancer and target
group), paging by ``PageSize`` and ``Marker``.
"""

from collections.abc import Iterable
from typing import Any

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import (
    DuplicateListenerError,
    DuplicateLoadBalancerName,
    DuplicateTargetGroupName,
    ELBClientError,
    ListenerOrBalancerMissingError,
    LoadBalancerNotFoundError,
    RuleNotFoundError,
    TargetGroupNotFoundError,
    TooManyTagsError,
)
from moto.elbv2.models import ELBv2Backend, FakeAction, FakeListener, FakeLoadBalancer, FakeTargetGroup
from moto.elbv2.responses import ELBV2Response

from .patching import replace, wrap

#: Attributes of a new Application Load Balancer.
LOAD_BALANCER_ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "client_keep_alive.seconds": "3600",
    "connection_logs.s3.enabled": "false",
    "connection_logs.s3.bucket": "",
    "connection_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "ipv6.deny_all_igw_traffic": "false",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}
_TARGET_GROUP_SETTINGS = (
    "vpc_id",
    "protocol",
    "protocol_version",
    "port",
    "target_type",
    "health_check_protocol",
    "health_check_port",
    "health_check_path",
    "health_check_interval_seconds",
    "health_check_timeout_seconds",
    "health_check_enabled",
    "healthy_threshold_count",
    "unhealthy_threshold_count",
    "matcher",
    "ip_address_type",
)
#: Limits of the API reference: results in one page, tags on one resource, ARNs in one DescribeTags.
_PAGE = 400
_TAGS = 50
_ARNS_PER_CALL = 20


def not_found(arn: str) -> ELBClientError:
    """The error for an ARN that names nothing, by what it would name."""
    if ":targetgroup/" in arn:
        return TargetGroupNotFoundError()
    if ":listener-rule/" in arn:
        return RuleNotFoundError("One or more rules not found")
    if ":listener/" in arn:
        return ELBClientError("ListenerNotFound", "One or more listeners not found")
    return LoadBalancerNotFoundError(f"Load balancer '{arn}' not found")


def forwarded_groups(action: FakeAction) -> list[str]:
    """The target groups that an action forwards to."""
    config = action.data.get("ForwardConfig") or {}
    groups = [group["TargetGroupArn"] for group in config.get("TargetGroups", [])]
    return groups or ([action.data["TargetGroupArn"]] if action.data.get("TargetGroupArn") else [])


def rules_of(balancer: FakeLoadBalancer) -> list[Any]:
    """All rules of all listeners of a load balancer."""
    return [rule for listener in balancer.listeners.values() for rule in listener.rules.values()]


def _refresh_usage(backend: ELBv2Backend) -> None:
    """Derives each target group's load balancers from the rules as they are now."""
    used: dict[str, list[str]] = {arn: [] for arn in backend.target_groups}
    for balancer in backend.load_balancers.values():
        for rule in rules_of(balancer):
            for arn in (arn for action in rule.actions for arn in forwarded_groups(action)):
                if arn in used and balancer.arn not in used[arn]:
                    used[arn].append(balancer.arn)
    for arn, balancers in used.items():
        backend.target_groups[arn].load_balancer_arns = balancers


def apply() -> None:
    """Patches actions first, then what holds them."""
    _apply_actions()
    _apply_load_balancers()
    _apply_target_groups()
    _apply_listeners()
    _apply_tags()
    _apply_paging()


def _apply_actions() -> None:
    @wrap(FakeAction, "__init__")
    def expand_forward(original, self, data):
        if data.get("Type") == "forward":
            config = data.get("ForwardConfig")
            if not config and data.get("TargetGroupArn"):
                data["ForwardConfig"] = {"TargetGroups": [{"TargetGroupArn": data["TargetGroupArn"], "Weight": 1}]}
            elif config and len(config.get("TargetGroups", [])) == 1:
                data["TargetGroupArn"] = config["TargetGroups"][0]["TargetGroupArn"]
        original(self, data)


def _apply_load_balancers() -> None:
    @wrap(FakeLoadBalancer, "__init__")
    def complete(original, self, *arguments, **named):
        named["scheme"] = named.get("scheme") or "internet-facing"
        original(self, *arguments, **named)
        self.canonical_hosted_zone_id = "Z35SXDOTRQ7X7K"
        if self.type == "application":
            self.attrs = dict(LOAD_BALANCER_ATTRIBUTES)

    @wrap(ELBv2Backend, "create_load_balancer")
    def idempotent(original, self, name, security_groups, subnet_ids, **named):
        existing = next((balancer for balancer in self.load_balancers.values() if balancer.name == name), None)
        if existing is None:
            balancer = original(self, name, security_groups, subnet_ids, **named)
            identifier = balancer.arn.rpartition("/")[2]
            balancer.dns_name = f"{name}-{int(identifier, 16) % 10**10}.{self.region_name}.elb.amazonaws.com"
            if balancer.type == "application" and not balancer.security_groups:
                balancer.security_groups = [self.ec2_backend.get_default_security_group(balancer.vpc_id).id]
            return balancer
        security_groups = security_groups or [self.ec2_backend.get_default_security_group(existing.vpc_id).id]
        subnets = set(subnet_ids) | {mapping["SubnetId"] for mapping in named.get("subnet_mappings") or []}
        same = (
            set(existing.security_groups) == set(security_groups)
            and {subnet.id for subnet in existing.subnets} == subnets
            and existing.scheme == (named.get("scheme") or "internet-facing")
            and existing.type == (named.get("loadbalancer_type") or "application")
            and existing.ip_address_type == named.get("ip_address_type", "ipv4")
        )
        if not same:
            raise DuplicateLoadBalancerName(
                f"A load balancer with the same name '{name}' exists, but with different settings"
            )
        return existing

    @wrap(ELBv2Backend, "describe_load_balancers")
    def only_what_matches(original, self, arns, names):
        known_names = {balancer.name for balancer in self.load_balancers.values()}
        if set(arns or ()) - set(self.load_balancers):
            raise LoadBalancerNotFoundError("One or more load balancers not found")
        unknown = [name for name in names or () if name not in known_names]
        if unknown:
            raise LoadBalancerNotFoundError(f"Load balancers '[{', '.join(unknown)}]' not found")
        return original(self, arns, names)

    @wrap(ELBv2Backend, "delete_load_balancer")
    def with_listeners(original, self, arn):
        balancer = self.load_balancers.get(arn)
        original(self, arn)
        if balancer is not None:
            for owned in [arn, *balancer.listeners, *(rule.arn for rule in rules_of(balancer))]:
                self.tagging_service.delete_all_tags_for_resource(owned)
        _refresh_usage(self)


def _apply_target_groups() -> None:
    @wrap(FakeTargetGroup, "__init__")
    def health_check_can_be_off(original, self, *arguments, **named):
        original(self, *arguments, **named)
        if named.get("healthcheck_enabled") is False:
            self.health_check_enabled = False

    @wrap(ELBv2Backend, "create_target_group")
    def idempotent(original, self, name, **named):
        existing = next((group for group in self.target_groups.values() if group.name == name), None)
        if existing is None:
            return original(self, name, **named)
        # The candidate is made under the same name and compared as a whole, so that defaults count too.
        self.target_groups.pop(existing.arn)
        try:
            candidate = original(self, name, **{**named, "tags": None})
            self.target_groups.pop(candidate.arn)
        finally:
            self.target_groups[existing.arn] = existing
        if any(str(getattr(existing, field, None)) != str(getattr(candidate, field, None)) for field in _TARGET_GROUP_SETTINGS):
            raise DuplicateTargetGroupName(
                f"A target group with the same name '{name}' exists, but with different settings"
            )
        return existing

    @wrap(ELBv2Backend, "describe_target_groups")
    def with_current_usage(original, self, *arguments, **named):
        _refresh_usage(self)
        return original(self, *arguments, **named)

    @wrap(ELBv2Backend, "delete_target_group")
    def gone_is_fine(original, self, target_group_arn):
        if target_group_arn not in self.target_groups:
            return None
        group = original(self, target_group_arn)
        self.tagging_service.delete_all_tags_for_resource(target_group_arn)
        return group


def _apply_listeners() -> None:
    @wrap(FakeListener, "register")
    def in_order(original, self, arn, rule):
        original(self, arn, rule)
        _sort(self)

    def _sort(listener: FakeListener) -> None:
        ordered = sorted(listener._non_default_rules.items(), key=lambda item: int(item[1].priority))
        listener._non_default_rules.clear()
        listener._non_default_rules.update(ordered)

    @replace(ELBv2Backend)
    def set_rule_priorities(self, rule_priorities):
        wanted = {pair["RuleArn"]: pair["Priority"] for pair in rule_priorities}
        rules = self.describe_rules(listener_arn=None, rule_arns=list(wanted))
        if len(set(wanted.values())) < len(rule_priorities):
            raise ELBClientError("ValidationError", "A rule or a priority was given more than once")
        for rule in rules:
            if rule.is_default:
                raise ELBClientError("OperationNotPermitted", f"Default rule '{rule.arn}' cannot be modified")
            listener = self.describe_listeners(None, [rule.listener_arn])[0]
            # Rules that move in the same call make room for each other.
            if any(other.priority == wanted[rule.arn] for arn, other in listener.rules.items() if arn not in wanted):
                raise ELBClientError("PriorityInUse", f"Priority '{wanted[rule.arn]}' is currently in use")
        for rule in rules:
            rule.priority = wanted[rule.arn]
        for arn in {rule.listener_arn for rule in rules}:
            _sort(self.describe_listeners(None, [arn])[0])
        return rules

    def taken(port: Any) -> DuplicateListenerError:
        return DuplicateListenerError(f"A listener already exists on this port for this load balancer: {port}")

    @wrap(ELBv2Backend, "describe_listeners")
    def all_or_nothing(original, self, load_balancer_arn, listener_arns):
        found = original(self, load_balancer_arn, listener_arns)
        if not load_balancer_arn and len(found) < len(set(listener_arns)):
            raise not_found(listener_arns[0])
        return found

    def is_same(listener: FakeListener, protocol: str, policy: str | None, certificate: str | None, actions: list) -> bool:
        if listener.protocol in ("HTTPS", "TLS") and (listener.ssl_policy, listener.certificate) != (policy, certificate):
            return False
        wanted = [FakeAction(action).data for action in actions]
        return listener.protocol == protocol and [action.data for action in listener.default_actions] == wanted

    @wrap(ELBv2Backend, "create_listener")
    def one_per_port(original, self, load_balancer_arn, protocol, port, ssl_policy, certificate, actions, *rest, **named):
        balancer = self.load_balancers.get(load_balancer_arn)
        for listener in balancer.listeners.values() if balancer is not None else ():
            if str(listener.port) == str(port):
                if is_same(listener, protocol, ssl_policy, certificate, actions):
                    return listener
                raise taken(port)
        listener = original(self, load_balancer_arn, protocol, port, ssl_policy, certificate, actions, *rest, **named)
        _drop_tls(listener)
        return listener

    @wrap(ELBv2Backend, "modify_listener")
    def keep_ports_apart(original, self, arn, port=None, *arguments, **named):
        listener = self.describe_listeners(None, [arn])[0]
        others = self.load_balancers[listener.load_balancer_arn].listeners.values()
        if port is not None and any(other.arn != arn and str(other.port) == str(port) for other in others):
            raise taken(port)
        listener = original(self, arn, port, *arguments, **named)
        if listener.protocol == "HTTPS" and listener.ssl_policy is None:
            listener.ssl_policy = "ELBSecurityPolicy-2016-08"
        _drop_tls(listener)
        return listener

    def _drop_tls(listener: FakeListener) -> None:
        if listener.protocol not in ("HTTPS", "TLS"):
            listener.ssl_policy = None
            listener.certificate = None
            listener.certificates = []

    @wrap(ELBv2Backend, "delete_listener")
    def with_tags(original, self, listener_arn):
        listener = original(self, listener_arn)
        for arn in [listener.arn, *(rule.arn for rule in listener.rules.values())]:
            self.tagging_service.delete_all_tags_for_resource(arn)
        return listener

    @wrap(ELBv2Backend, "delete_rule")
    def must_exist(original, self, arn):
        if not any(rule.arn == arn for balancer in self.load_balancers.values() for rule in rules_of(balancer)):
            raise RuleNotFoundError("One or more rules not found")
        original(self, arn)
        self.tagging_service.delete_all_tags_for_resource(arn)


def _apply_tags() -> None:
    @replace(ELBv2Backend)
    def describe_tags(self, resource_arns):
        if len(resource_arns) > _ARNS_PER_CALL:
            raise ELBClientError("ValidationError", f"Tags of at most '{_ARNS_PER_CALL}' resources can be described at once")
        for arn in resource_arns:
            self._get_resource_by_arn(arn)
        return {arn: self.tagging_service.get_tag_dict_for_resource(arn) for arn in resource_arns}

    @replace(ELBv2Backend)
    def add_tags(self, resource_arns, tags):
        for arn in resource_arns:
            self._get_resource_by_arn(arn)
            if len({tag["Key"] for tag in tags} | set(self.tagging_service.get_tag_dict_for_resource(arn))) > _TAGS:
                raise TooManyTagsError()
        for arn in resource_arns:
            self.tagging_service.tag_resource(arn, tags)

    @replace(ELBv2Backend)
    def _get_resource_by_arn(self, arn):
        found = self.target_groups.get(arn) or self.load_balancers.get(arn)
        for balancer in self.load_balancers.values():
            found = found or balancer.listeners.get(arn)
            found = found or next((rule for rule in rules_of(balancer) if rule.arn == arn), None)
        if found is None:
            raise not_found(arn)
        return found


def _apply_paging() -> None:
    def page(self: ELBV2Response, name: str, items: Iterable[Any]) -> ActionResult:
        """One page of ``items``; a marker is the ARN of the last item served."""
        items = list(items)
        marker = self._get_param("Marker")
        arns = [item.arn for item in items]
        if marker and marker not in arns:
            raise ELBClientError("ValidationError", f"The marker '{marker}' is not valid")
        start = arns.index(marker) + 1 if marker else 0
        size = self._get_int_param("PageSize", _PAGE)
        if not 1 <= size <= _PAGE:
            raise ELBClientError("ValidationError", f"The page size '{size}' must be between '1' and '{_PAGE}'")
        served = items[start : start + size]
        return ActionResult({name: served, "NextMarker": served[-1].arn if start + size < len(items) else None})

    @replace(ELBV2Response)
    def describe_load_balancers(self):
        arns, names = self._get_param("LoadBalancerArns", []), self._get_param("Names", [])
        return page(self, "LoadBalancers", self.elbv2_backend.describe_load_balancers(arns, names))

    @replace(ELBV2Response)
    def describe_target_groups(self):
        arns, names = self._get_param("TargetGroupArns", []), self._get_param("Names", [])
        balancer = self._get_param("LoadBalancerArn")
        return page(self, "TargetGroups", self.elbv2_backend.describe_target_groups(balancer, arns, names))

    @replace(ELBV2Response)
    def describe_listeners(self):
        balancer, arns = self._get_param("LoadBalancerArn"), self._get_param("ListenerArns", [])
        if not balancer and not arns:
            raise ListenerOrBalancerMissingError()
        return page(self, "Listeners", self.elbv2_backend.describe_listeners(balancer, arns))

    @replace(ELBV2Response)
    def describe_rules(self):
        listener, arns = self._get_param("ListenerArn"), self._get_param("RuleArns") or None
        return page(self, "Rules", self.elbv2_backend.describe_rules(listener, arns))
