"""WAFv2.

Gaps (moto 5.2.5): the duplicate error has a code AWS does not use and IP sets are never duplicates; lock tokens of IP
sets are no UUIDs; an update keeps what it is not told again; a resource can have several web ACLs and keeps them when
it is gone; what is in use can be deleted; ListResourcesForWebACL and GetSampledRequests are missing; tags of nothing are an empty list and
outlive their owner.
Restores: field guide section 5 "Web ACL / IP set" and "WAF association".
"""

import json
import time
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.elbv2.models import ELBv2Backend
from moto.moto_api._internal import mock_random
from moto.wafv2.exceptions import WAFNonexistentItemException, WAFV2DuplicateItemException
from moto.wafv2.models import FakeIPSet, WAFV2Backend, wafv2_backends
from moto.wafv2.responses import WAFV2Response

from .. import answers
from .patching import add, wrap


class AssociatedItem(JsonRESTError):
    """The item is used by another one and cannot be deleted."""

    def __init__(self) -> None:
        super().__init__(
            "WAFAssociatedItemException",
            "AWS WAF couldn’t perform the operation because your resource is being used by another resource or it’s "
            "associated with another resource.",
        )


def mentioned_arns(value: Any) -> set[str]:
    """The ARNs of WAF items that a statement refers to, however deep."""
    if isinstance(value, dict):
        return {arn for item in value.values() for arn in mentioned_arns(item)}
    if isinstance(value, list):
        return {arn for item in value for arn in mentioned_arns(item)}
    return {value} if isinstance(value, str) and value.startswith("arn:") and ":wafv2:" in value else set()


def _disassociate(backend: WAFV2Backend, resource_arn: str) -> None:
    for web_acl in backend.wacls.values():
        web_acl.associated_resources = [arn for arn in web_acl.associated_resources if arn != resource_arn]


def apply() -> None:
    """Patches items, associations, samples and tags."""
    _apply_samples()
    _apply_items()
    _apply_associations()
    _apply_tags()


def _apply_items() -> None:
    @wrap(WAFV2DuplicateItemException, "__init__")
    def real_code(original, self):
        JsonRESTError.__init__(
            self,
            "WAFDuplicateItemException",
            "AWS WAF couldn’t perform the operation because some resource in your request is a duplicate of an existing one.",
        )

    for method in ("__init__", "update"):

        @wrap(FakeIPSet, method)
        def with_a_whole_token(original, self, *arguments, **named):
            original(self, *arguments, **named)
            self.lock_token = str(mock_random.uuid4())

    @wrap(WAFV2Backend, "create_ip_set")
    def one_per_name(original, self, name, scope, *arguments):
        if any((item.name, item.scope) == (name, scope) for item in self.ip_sets.values()):
            raise WAFV2DuplicateItemException()
        return original(self, name, scope, *arguments)

    @wrap(WAFV2Backend, "update_ip_set")
    def replace_the_description(original, self, name, scope, _id, description, *arguments):
        return original(self, name, scope, _id, description or "", *arguments)

    @wrap(WAFV2Backend, "update_web_acl")
    def replace_everything(original, self, name, _id, default_action, rules, description, visibility, token, *rest):
        new_token = original(self, name, _id, default_action, rules, description, visibility, token, *rest)
        web_acl = self.get_web_acl(None, name, _id)
        web_acl.description = description or ""
        if not rules:
            web_acl.rules = []
        settings = ("custom_response_bodies", "captcha_config", "challenge_config", "token_domains", "association_config")
        for setting, value in zip(settings, rest):
            setattr(web_acl, setting, value)
        return new_token

    @wrap(WAFV2Backend, "delete_web_acl")
    def only_unassociated(original, self, name, scope, _id, lock_token):
        found = [acl for acl in self.wacls.values() if (acl.name, acl.id) == (name, _id)]
        if found and found[0].associated_resources:
            raise AssociatedItem()
        original(self, name, scope, _id, lock_token)
        self.tagging_service.delete_all_tags_for_resource(found[0].arn)

    @wrap(WAFV2Backend, "delete_ip_set")
    def only_unreferenced(original, self, name, scope, _id, lock_token):
        arn = self.get_ip_set(name, scope, _id).arn
        if any(arn in mentioned_arns(rule.statement) for acl in self.wacls.values() for rule in acl.rules):
            raise AssociatedItem()
        original(self, name, scope, _id, lock_token)
        self.tagging_service.delete_all_tags_for_resource(arn)


def _apply_associations() -> None:
    @wrap(WAFV2Backend, "associate_web_acl")
    def one_per_resource(original, self, web_acl_arn, resource_arn):
        if web_acl_arn in self.wacls:
            _disassociate(self, resource_arn)
        return original(self, web_acl_arn, resource_arn)

    @wrap(ELBv2Backend, "delete_load_balancer")
    def end_association(original, self, arn):
        original(self, arn)
        _disassociate(wafv2_backends[self.account_id][self.region_name], arn)

    @add(WAFV2Response, "list_resources_for_web_acl")
    def list_resources_for_web_acl(self):
        web_acl = self.wafv2_backend.wacls.get(self._get_param("WebACLArn"))
        if web_acl is None:
            raise WAFNonexistentItemException
        # The resource type defaults to load balancers (API reference, ListResourcesForWebACL).
        kind = self._get_param("ResourceType") or "APPLICATION_LOAD_BALANCER"
        arns = [
            arn
            for arn in web_acl.associated_resources
            if (":elasticloadbalancing:" in arn) == (kind == "APPLICATION_LOAD_BALANCER")
        ]
        return 200, {}, json.dumps({"ResourceArns": arns})


def _apply_samples() -> None:
    @add(WAFV2Response, "get_sampled_requests")
    def get_sampled_requests(self):
        if self._get_param("WebAclArn") not in self.wafv2_backend.wacls:
            raise WAFNonexistentItemException
        rule = self._get_param("RuleMetricName")
        samples = [_sample(blocked) for blocked in answers.BLOCKED if blocked["rule"] == rule]
        answer = {
            "SampledRequests": samples[: int(self._get_param("MaxItems"))],
            "PopulationSize": sum(sample["Weight"] for sample in samples),
            "TimeWindow": self._get_param("TimeWindow"),
        }
        return 200, {}, json.dumps(answer)


def _sample(blocked: dict[str, Any]) -> dict[str, Any]:
    sample = {
        "Request": {
            "ClientIP": blocked["address"],
            "Country": blocked["country"],
            "URI": blocked["path"],
            "Method": blocked["method"],
            "HTTPVersion": "HTTP/2.0",
            "Headers": [],
        },
        "Weight": blocked["weight"],
        "Timestamp": time.time(),
        "Action": "BLOCK",
    }
    if blocked["inner"]:
        sample["RuleNameWithinRuleGroup"] = f"AWS#{blocked['rule']}#{blocked['inner']}"
    return sample


def _apply_tags() -> None:
    for operation in ("list_tags_for_resource", "tag_resource", "untag_resource"):

        @wrap(WAFV2Response, operation)
        def must_exist(original, self):
            arn = json.loads(self.body)["ResourceARN"]
            backend = self.wafv2_backend
            if "/global/" not in arn and ":global/" not in arn:
                known = (backend.wacls, backend.ip_sets, backend.rule_groups, backend.regex_pattern_sets)
                if not any(arn in items for items in known):
                    raise WAFNonexistentItemException
            return original(self)
