"""EC2: security group rules.

Gaps (moto 5.2.5): the description of a rule that names a group is not answered and makes it another rule; only the
last permission's rules are answered; ModifySecurityGroupRules knows CIDRs alone; descriptions cannot be updated by
rule id; revoking an unknown rule id answers InvalidPermission.NotFound.
Restores: field guide section 2 "SG / rule", with each rule a resource of its own.
"""

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    InvalidParameterCombination,
    InvalidSecurityGroupNotFoundError,
    InvalidSecurityGroupRuleIdNotFoundError,
    MissingParameter,
)
from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule
from moto.ec2.responses.security_groups import SecurityGroups

from .patching import replace, wrap

_SOURCES = ("CidrIpv4", "CidrIpv6", "PrefixListId", "ReferencedGroupId")


def _without_description(source: dict | None) -> dict:
    return {key: value for key, value in (source or {}).items() if key != "Description"}


def _describe(rule: SecurityGroupRule, description: str | None) -> None:
    """Stores a description where moto keeps the rule's source, and drops it when there is none."""
    source = rule.source_group if rule.source_group else rule.ip_range
    source.pop("Description", None)
    if description:
        source["Description"] = description


def _group(backend: EC2Backend, group_id: str) -> SecurityGroup:
    group = backend.get_security_group_by_name_or_id(group_id)
    if group is None:
        raise InvalidSecurityGroupNotFoundError(group_id)
    return group


def _rule(group: SecurityGroup, rule_id: str) -> SecurityGroupRule:
    rule = group.get_rule(rule_id)
    if rule is None:
        raise InvalidSecurityGroupRuleIdNotFoundError(rule_id)
    return rule


def modify_rule(backend: EC2Backend, rule: SecurityGroupRule, new: dict[str, Any]) -> None:
    """Gives a rule a new protocol, port range, source and description; id, direction and tags stay."""
    given = [name for name in _SOURCES if new.get(name) is not None]
    if len(given) > 1:
        raise InvalidParameterCombination(
            "Only one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified"
        )
    if not given:
        raise MissingParameter(
            "The request must contain exactly one of: cidrIp, cidrIpv6, prefixListId, or referencedGroupId"
        )
    value = new[given[0]]
    changed = SecurityGroupRule(
        backend,
        new.get("IpProtocol"),
        rule.group_id,
        new.get("FromPort", -1),
        new.get("ToPort", -1),
        {"CidrIp": value} if given[0] == "CidrIpv4" else {"CidrIpv6": value} if given[0] == "CidrIpv6" else None,
        {"GroupId": value, "UserId": backend.account_id, "OwnerId": backend.account_id} if given[0] == "ReferencedGroupId" else None,
        {"PrefixListId": value} if given[0] == "PrefixListId" else None,
        is_egress=rule.is_egress,
    )
    for field in ("ip_protocol", "from_port", "to_port", "ip_range", "source_group", "prefix_list_id"):
        setattr(rule, field, getattr(changed, field))
    _describe(rule, new.get("Description"))


def apply() -> None:
    """Patches the rule model, then the operations on rules."""
    _apply_model()
    _apply_operations()


def _apply_model() -> None:
    SecurityGroupRule.description = property(
        lambda self: self.ip_range.get("Description") or (self.source_group or {}).get("Description")
    )
    SecurityGroupRule.security_group_rule_id = property(lambda self: self.id)
    SecurityGroupRule.referenced_group_info = property(
        lambda self: {"GroupId": self.source_group["GroupId"], "UserId": self.source_group.get("UserId")} if self.source_group else None
    )

    @replace(SecurityGroupRule, "__eq__")
    def same_traffic(self, other):
        return (
            self.ip_protocol == other.ip_protocol
            and (self.ip_protocol == "-1" or (self.from_port, self.to_port) == (other.from_port, other.to_port))
            and _without_description(self.ip_range) == _without_description(other.ip_range)
            and _without_description(self.source_group).get("GroupId") == _without_description(other.source_group).get("GroupId")
            and self.prefix_list_id == other.prefix_list_id
        )


def _apply_operations() -> None:
    @replace(EC2Backend)
    def modify_security_group_rules(self, group_id, rules):
        group = _group(self, group_id)
        for rule_id, new in rules.items():
            modify_rule(self, _rule(group, rule_id), new)

    def authorize(self: SecurityGroups, direction: str) -> ActionResult:
        self.error_on_dryrun()
        added = []
        for arguments in self._process_rules_from_querystring():
            added += getattr(self.ec2_backend, f"authorize_security_group_{direction}")(**arguments)[0]
        return ActionResult({"Return": True, "SecurityGroupRules": added})

    @replace(SecurityGroups)
    def authorize_security_group_ingress(self):
        return authorize(self, "ingress")

    @replace(SecurityGroups)
    def authorize_security_group_egress(self):
        return authorize(self, "egress")

    for direction in ("ingress", "egress"):

        @wrap(SecurityGroups, f"update_security_group_rule_descriptions_{direction}")
        def by_rule_id(original, self):
            descriptions = self._get_param("SecurityGroupRuleDescriptions", [])
            if not descriptions:
                return original(self)
            group = _group(self.ec2_backend, self._get_param("GroupId") or self._get_param("GroupName"))
            for item in descriptions:
                _describe(_rule(group, item["SecurityGroupRuleId"]), item.get("Description"))
            return ActionResult({"Return": True})

        @wrap(SecurityGroups, f"revoke_security_group_{direction}")
        def name_the_unknown_rule(original, self):
            rule_ids = self._get_param("SecurityGroupRuleIds", [])
            if rule_ids:
                group = _group(self.ec2_backend, self._get_param("GroupId") or self._get_param("GroupName"))
                for rule_id in rule_ids:
                    _rule(group, rule_id)
            return original(self)
