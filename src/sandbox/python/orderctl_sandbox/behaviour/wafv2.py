"""WAFv2: what it refuses, and for how long it lags.

Field guide section 5 "Web ACL / IP set" and "WAF association": a web ACL counts as associated for a while after its
last association is gone, an IP set as referenced after its web ACL (``WAFAssociatedItemException``); what was just
created is missed by reads (``WAFNonexistentItemException``) and by what builds on it
(``WAFUnavailableEntityException``), a fresh load balancer too. Rate limits start at 10, over 60, 120, 300 or 600 s;
empty descriptions are rejected; the second web ACL of a load balancer replaces the first without a word.
"""

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.elbv2.models import ELBv2Backend, elbv2_backends
from moto.wafv2.exceptions import WAFNonexistentItemException
from moto.wafv2.models import WAFV2Backend, wafv2_backends
from moto.wafv2.responses import WAFV2Response

from .. import durations
from ..clock import CLOCK
from ..consistency import created, misses
from ..patches.patching import wrap
from ..patches.wafv2 import AssociatedItem, mentioned_arns

_RATE_LIMITS = range(10, 2_000_000_001)
_RATE_WINDOWS = (60, 120, 300, 600)
_DESCRIPTION = re.compile(r"[\w+=:#@/\-,.][\w+=:#@/\-,.\s]+[\w+=:#@/\-,.]")
_LONGEST_DESCRIPTION = 256


class UnavailableEntity(JsonRESTError):
    """What the request builds on is not known everywhere yet."""

    def __init__(self) -> None:
        super().__init__(
            "WAFUnavailableEntityException",
            "AWS WAF couldn’t retrieve the resource that you requested. Retry your request.",
        )


class InvalidParameter(JsonRESTError):
    """A value that WAF does not take. ``field`` is one of the names that the API reference lists."""

    def __init__(self, reason: str, field: str, parameter: str) -> None:
        message = f"Error reason: {reason}, field: {field}, parameter: {parameter}"
        super().__init__("WAFInvalidParameterException", message)
        self.description = json.dumps(
            {
                "__type": self.error_type,
                "message": message,
                "Message": message,
                "Field": field,
                "Parameter": parameter,
                "Reason": reason,
            }
        )


def apply() -> None:
    """Wraps requests (what they say), then the model (what it keeps in use and misses)."""
    _apply_parameters()
    _apply_usage()
    _apply_associations()
    _apply_consistency()


def _check_description(body: dict[str, Any], field: str) -> None:
    description = body.get("Description")
    if description is None:
        return
    if len(description) > _LONGEST_DESCRIPTION or not _DESCRIPTION.fullmatch(description):
        raise InvalidParameter("The parameter contains formatting that is not valid.", field, description)


def _rate_statements(value: Any) -> Iterator[dict[str, Any]]:
    """The rate-based statements of rules, however deep."""
    if isinstance(value, list):
        for item in value:
            yield from _rate_statements(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "RateBasedStatement" and isinstance(item, dict):
                yield item
            yield from _rate_statements(item)


def _check_rules(body: dict[str, Any]) -> None:
    rules = body.get("Rules") or []
    for statement in _rate_statements(rules):
        for key, default, allowed in (("Limit", None, _RATE_LIMITS), ("EvaluationWindowSec", 300, _RATE_WINDOWS)):
            value = statement.get(key, default)
            if value not in allowed:
                raise InvalidParameter("The parameter value is not valid.", "RATE_BASED_STATEMENT", str(value))
    for key in ("Name", "Priority"):
        value, count = next(iter(Counter(rule.get(key) for rule in rules).most_common(1)), (None, 0))
        if count > 1:
            raise InvalidParameter(f"Two rules have the same {key.lower()}.", "RULE", str(value))


def _check_addresses(addresses: list[str], version: str) -> None:
    for address in addresses:
        try:
            network = ipaddress.ip_network(address, strict=False)
        except ValueError:
            network = None
        if network is None or "/" not in address or network.prefixlen == 0 or f"IPV{network.version}" != version:
            raise InvalidParameter("The parameter contains formatting that is not valid.", "IP_ADDRESS", address)


def _apply_parameters() -> None:
    for operation in ("create_web_acl", "update_web_acl"):

        @wrap(WAFV2Response, operation)
        def sound_web_acl(original, self):
            body = json.loads(self.body)
            _check_description(body, "WEB_ACL")
            _check_rules(body)
            return original(self)

    for operation in ("create_ip_set", "update_ip_set"):

        @wrap(WAFV2Response, operation)
        def sound_ip_set(original, self):
            body = json.loads(self.body)
            _check_description(body, "IP_SET")
            known = (item for item in self.wafv2_backend.ip_sets.values() if item.ip_set_id == body.get("Id"))
            version = body.get("IPAddressVersion") or next((item.ip_address_version for item in known), None)
            if version is not None:
                _check_addresses(body.get("Addresses") or [], version)
            return original(self)


def _uses(backend: WAFV2Backend) -> set[tuple[str, str]]:
    """Who uses what: (load balancer, web ACL) and (web ACL, IP set)."""
    uses = {(resource, acl.arn) for acl in backend.wacls.values() for resource in acl.associated_resources}
    return uses | {
        (acl.arn, arn) for acl in backend.wacls.values() for rule in acl.rules for arn in mentioned_arns(rule.statement)
    }


def _held(backend: WAFV2Backend) -> Counter:
    """The items whose uses are over and still count, each with how many."""
    return backend.__dict__.setdefault("_lingering_uses", Counter())


def _linger(backend: WAFV2Backend, item: str) -> None:
    held = _held(backend)
    held[item] += 1

    def release() -> None:
        held[item] -= 1

    CLOCK.after(durations.WAF_USE_LINGERS, release)


def _watch(owner: Any, operation: str) -> None:
    """Notices which uses an operation ends."""

    @wrap(owner, operation)
    def and_remember_what_ended(original, self, *arguments, **named):
        backend = self if owner is WAFV2Backend else wafv2_backends[self.account_id][self.region_name]
        before = _uses(backend)
        try:
            return original(self, *arguments, **named)
        finally:
            for _, item in before - _uses(backend):
                _linger(backend, item)


def _apply_usage() -> None:
    for operation in ("associate_web_acl", "disassociate_web_acl", "update_web_acl", "delete_web_acl"):
        _watch(WAFV2Backend, operation)
    _watch(ELBv2Backend, "delete_load_balancer")

    @wrap(WAFV2Backend, "delete_web_acl")
    def unless_still_associated(original, self, name, scope, _id, lock_token):
        arn = next((acl.arn for acl in self.wacls.values() if (acl.name, acl.id) == (name, _id)), None)
        if arn is not None and _held(self)[arn] > 0:
            raise AssociatedItem()
        return original(self, name, scope, _id, lock_token)

    @wrap(WAFV2Backend, "delete_ip_set")
    def unless_still_referenced(original, self, name, scope, _id, lock_token):
        arn = next((item.arn for item in self.ip_sets.values() if (item.name, item.ip_set_id) == (name, _id)), None)
        if arn is not None and _held(self)[arn] > 0:
            raise AssociatedItem()
        return original(self, name, scope, _id, lock_token)


def _require_resource(response: WAFV2Response, arn: str) -> None:
    """Refuses a load balancer that is not there, or not known to WAF yet; other kinds of resources pass."""
    if ":elasticloadbalancing:" not in arn:
        return
    if ":loadbalancer/app/" not in arn:
        raise InvalidParameter("The ARN isn't valid. A valid ARN names a supported resource.", "RESOURCE_ARN", arn)
    if arn not in elbv2_backends[response.current_account][response.region].load_balancers:
        raise WAFNonexistentItemException


def _apply_associations() -> None:
    for operation in ("associate_web_acl", "disassociate_web_acl", "get_web_acl_for_resource"):

        @wrap(WAFV2Response, operation)
        def of_what_exists(original, self):
            body = json.loads(self.body)
            web_acl_arn = body.get("WebACLArn")
            if web_acl_arn is not None and web_acl_arn not in self.wafv2_backend.wacls:
                raise WAFNonexistentItemException
            _require_resource(self, body["ResourceArn"])
            return original(self)

    for operation in ("associate_web_acl", "get_web_acl_for_resource"):

        @wrap(WAFV2Response, operation)
        def of_what_is_known(original, self):
            body = json.loads(self.body)
            if any(misses(arn) for arn in (body["ResourceArn"], body.get("WebACLArn")) if arn is not None):
                raise UnavailableEntity
            return original(self)


def _check_references(backend: WAFV2Backend, rules: list[dict[str, Any]] | None) -> None:
    """Refuses references to items of this account that are missing or fresh; those of AWS's accounts pass."""
    known = {*backend.ip_sets, *backend.rule_groups, *backend.regex_pattern_sets}
    for arn in sorted({arn for rule in rules or [] for arn in mentioned_arns(rule.get("Statement"))}):
        if arn not in known and f":{backend.account_id}:" in arn:
            raise WAFNonexistentItemException
        if misses(arn):
            raise UnavailableEntity


def _apply_consistency() -> None:
    for operation in ("create_web_acl", "create_ip_set"):

        @wrap(WAFV2Backend, operation)
        def remember(original, self, *arguments, **named):
            made = original(self, *arguments, **named)
            created(made.arn)
            return made

    @wrap(WAFV2Backend, "create_web_acl")
    def of_known_items(original, self, name, visibility_config, default_action, scope, description, tags, rules, *rest):
        _check_references(self, rules)
        return original(self, name, visibility_config, default_action, scope, description, tags, rules, *rest)

    @wrap(WAFV2Backend, "update_web_acl")
    def by_known_items(original, self, name, _id, default_action, rules, *rest):
        _check_references(self, rules)
        return original(self, name, _id, default_action, rules, *rest)

    _look("get_web_acl", WAFNonexistentItemException)
    _look("get_ip_set", WAFNonexistentItemException)
    _look("update_web_acl", UnavailableEntity)
    _look("update_ip_set", UnavailableEntity)
    for operation in ("list_tags_for_resource", "tag_resource", "untag_resource", "list_resources_for_web_acl"):
        _look(operation, WAFNonexistentItemException)
    for operation in ("list_web_acls", "list_ip_sets"):

        @wrap(WAFV2Backend, operation)
        def without_fresh_ones(original, self, *arguments, **named):
            items, marker = original(self, *arguments, **named)
            return [item for item in items if not misses(item.arn)], marker


def _look(operation: str, error: type[Exception]) -> None:
    """Lets an operation miss a fresh item, which it names by ARN or by id."""

    @wrap(WAFV2Response, operation)
    def unless_fresh(original, self):
        body = json.loads(self.body)
        backend = self.wafv2_backend
        arns = [body[key] for key in ("ARN", "ResourceARN", "WebACLArn") if body.get(key)]
        identifier = body.get("Id")
        arns += [acl.arn for acl in backend.wacls.values() if acl.id == identifier]
        arns += [item.arn for item in backend.ip_sets.values() if item.ip_set_id == identifier]
        if any(misses(arn) for arn in arns):
            raise error
        return original(self)
