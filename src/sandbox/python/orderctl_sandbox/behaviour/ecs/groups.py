"""Pairs of target groups, blue and green, and whether ECS can shift traffic between them."""

from typing import Any

from ...consistency import from_inside
from ..iam import role_is_usable
from . import traffic
from .revisions import Revision


class GroupPair:
    """The two target groups of a load balancer entry, and the rules that send to them."""

    def __init__(self, entry: dict) -> None:
        advanced = entry["advancedConfiguration"]
        self.groups: tuple[str, str] = (entry["targetGroupArn"], advanced["alternateTargetGroupArn"])
        self.production_rule: str = advanced["productionListenerRule"]
        self.test_rule: str | None = advanced.get("testListenerRule")
        self.role: str = advanced["roleArn"]

    def other_than(self, arn: str) -> str:
        """The other group of the two."""
        return self.groups[1] if arn == self.groups[0] else self.groups[0]

    def serving(self, rules: list[Any]) -> str | None:
        """The group that has the production traffic."""
        return next(iter(traffic.serving_groups(traffic.find_rule(rules, self.production_rule))), None)

    def role_problem(self, account: str) -> str | None:
        """What is wrong with the infrastructure role, without which ECS can touch neither rules nor targets."""
        with from_inside():
            if role_is_usable(account, self.role):
                return None
        return (
            "ECS was unable to manage the ELB resources due to missing permissions on ECS Infrastructure Role "
            f"'{self.role}'."
        )

    def problem(self, rules: list[Any], account: str) -> str | None:
        """Why ECS cannot shift traffic here, in the words of the Developer Guide's troubleshooting page."""
        problem = self.role_problem(account)
        if problem:
            return problem
        found = [traffic.find_rule(rules, arn) for arn in (self.production_rule, self.test_rule) if arn]
        if None in found:
            return "One or more rules not found"
        serving = traffic.serving_groups(found[0])
        for arn in serving:
            if arn not in self.groups:
                return (
                    f"Production listener rule is forwarding traffic to unexpected target group {arn}. Expected traffic "
                    f"to be forwarded to either targetGroupArn: {self.groups[0]} or alternateTargetGroupArn: "
                    f"{self.groups[1]}"
                )
        if len(serving) > 1:
            return (
                f"productionListenerRule {self.production_rule} should have exactly one target group serving traffic but "
                f"found {len(serving)} target groups which are serving traffic"
            )
        associated = {arn for rule in found for arn in traffic.groups_of(rule)}
        for arn in self.groups:
            if arn not in associated:
                return f"Target group {arn} is not associated with either productionListenerRule or testListenerRule."
        return None


def pairs_of(revision: Revision) -> list[GroupPair]:
    """The pairs of a revision's load balancers, in their order; none if it has only one colour."""
    entries = revision.fields["loadBalancers"] or []
    return [GroupPair(entry) for entry in entries if entry.get("advancedConfiguration")]
