"""EC2: for a while, reads and other calls miss what was just made.

Field guide section 1 rule 6 and section 2 "Retryable after create". A fresh id is not found by the calls that refer to
it and is absent from lists; a fresh route or association is not shown in its table yet, nor the attachment of an
internet gateway. Deletions see everything, and so do AWS's own lookups while it serves a call: the outermost layer,
where a request comes in, is the only place where anything is missed. ``consistency.misses`` knows the things by their
ids, for services that take ids of EC2 and have errors of their own for unknown ones.
"""

import fnmatch
from collections.abc import Callable, Iterable
from typing import Any

from moto.ec2.models.internet_gateways import InternetGateway
from moto.ec2.models.route_tables import Route, RouteTable
from moto.ec2.responses import EC2Response

from ..consistency import created, from_inside, misses
from ..patches.ec2_network import made_before
from ..patches.patching import wrap
from . import ec2_lookups

#: Lists: the operation, where its answer has them, and by which keys one of them is missed.
_LISTS: dict[str, tuple[str, Callable[[Any], tuple[str, ...]]]] = {
    "describe_addresses": ("Addresses", lambda item: (item.allocation_id,)),
    "describe_internet_gateways": ("InternetGateways", lambda item: (item.id,)),
    "describe_nat_gateways": ("NatGateways", lambda item: (item.id,)),
    "describe_route_tables": ("RouteTables", lambda item: (item.id,)),
    "describe_security_group_rules": ("SecurityGroupRules", lambda item: (item.id, item.group_id)),
    "describe_security_groups": ("SecurityGroups", lambda item: (item.id,)),
    "describe_subnets": ("Subnets", lambda item: (item.id,)),
    "describe_tags": ("Tags", lambda item: (item["resource_id"],)),
    "describe_vpc_endpoints": ("VpcEndpoints", lambda item: (item.id,)),
    "describe_vpcs": ("Vpcs", lambda item: (item.id,)),
}

#: Creations, and the ids that their answers give to what is new.
_CREATIONS: dict[str, Callable[[dict[str, Any]], Iterable[str]]] = {
    "allocate_address": lambda answer: [answer["AllocationId"]],
    "associate_route_table": lambda answer: [answer["AssociationId"]],
    "authorize_security_group_egress": lambda answer: [rule.id for rule in answer["SecurityGroupRules"]],
    "authorize_security_group_ingress": lambda answer: [rule.id for rule in answer["SecurityGroupRules"]],
    "create_internet_gateway": lambda answer: [answer["InternetGateway"].id],
    "create_nat_gateway": lambda answer: [answer["NatGateway"].id],
    "create_route_table": lambda answer: [answer["RouteTable"].id],
    "create_security_group": lambda answer: [answer["GroupId"]],
    "create_subnet": lambda answer: [answer["Subnet"].id],
    "create_vpc": lambda answer: [answer["Vpc"].id],
    "create_vpc_endpoint": lambda answer: [answer["VpcEndpoint"].id],
    "replace_route_table_association": lambda answer: [answer["NewAssociationId"]],
}

#: Creations of what has no id.
_KEYS = {
    "attach_internet_gateway": lambda request: _attachment_key(request["InternetGatewayId"], request["VpcId"]),
    "create_route": lambda request: _route_key(request["RouteTableId"], _destination(request)),
}

#: Further calls that refer to what may be too new for them.
_OTHERS = (
    "associate_address",
    "create_network_interface",
    "create_tags",
    "describe_vpc_attribute",
    "modify_network_interface_attribute",
    "modify_security_group_rules",
    "modify_subnet_attribute",
    "modify_vpc_attribute",
    "modify_vpc_endpoint",
    "replace_route",
    "revoke_security_group_egress",
    "revoke_security_group_ingress",
    "update_security_group_rule_descriptions_egress",
    "update_security_group_rule_descriptions_ingress",
)

#: Calls that a client token makes once, and the kind by which tokens are remembered.
_TOKENS = {
    "create_nat_gateway": "nat_gateway",
    "create_route_table": "route_table",
    "create_vpc_endpoint": "vpc_endpoint",
}

#: Ids that were announced, so that a repeated creation, which returns them again, makes nothing new of them.
_announced: set[str] = set()


def _attachment_key(gateway_id: str, vpc_id: str) -> str:
    return f"{gateway_id} {vpc_id}"


def _route_key(table_id: str, destination: str | None) -> str:
    return f"{table_id} {destination}"


def _destination(request: dict[str, Any]) -> str | None:
    names = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
    return next((request[name] for name in names if request.get(name)), None)


def apply() -> None:
    """Puts the layer around every call that can miss something or makes something new."""
    _apply_parts()
    for action in (*_LISTS, *_CREATIONS, *_KEYS, *_OTHERS):
        _wrap_call(action)


def _wrap_call(action: str) -> None:
    @wrap(EC2Response, action)
    def at_first_missed(original, self):
        if not (action in _TOKENS and made_before(self, _TOKENS[action])):
            _check_references(self, action)
        if action in _LISTS:
            return _without_missed(self, action, original(self))
        with from_inside():
            answer = original(self)
        if action in _CREATIONS:
            for identifier in _CREATIONS[action](answer.result):
                if identifier not in _announced:
                    _announced.add(identifier)
                    created(identifier)
        elif action in _KEYS:
            created(_KEYS[action](self._get_params()))
        return answer


def _check_references(response: EC2Response, action: str) -> None:
    for identifier in ec2_lookups.references(response._get_params()):
        # What ends a rule sees the rule, though not always its group.
        sees_it = action.startswith("revoke_") and ec2_lookups.prefix_of(identifier) == "sgr"
        if not ec2_lookups.exists(response.ec2_backend, identifier) or (not sees_it and misses(identifier)):
            raise ec2_lookups.not_found(action, identifier)


def _without_missed(response: EC2Response, action: str, answer: Any) -> Any:
    field, keys = _LISTS[action]
    still_matches = {"describe_route_tables": _table_matches, "describe_internet_gateways": _gateway_matches}.get(
        action
    )
    filters = response._filters_from_querystring()
    answer.result[field] = [
        item
        for item in answer.result[field]
        if not any(misses(key) for key in keys(item)) and (still_matches is None or still_matches(item, filters))
    ]
    return answer


def _table_matches(table: RouteTable, filters: dict[str, list[str]]) -> bool:
    """Whether a table that moto found matches by associations that are shown."""
    for name, field in (
        ("association.route-table-association-id", "RouteTableAssociationId"),
        ("association.subnet-id", "SubnetId"),
    ):
        patterns = filters.get(name, [])
        shown = [association.get(field, "") for association in table.associations]
        if patterns and not any(fnmatch.fnmatchcase(value, pattern) for value in shown for pattern in patterns):
            return False
    return True


def _gateway_matches(gateway: InternetGateway, filters: dict[str, list[str]]) -> bool:
    return bool(gateway.attachments) or not any(name.startswith("attachment.") for name in filters)


def _apply_parts() -> None:
    """What is shown as part of another thing."""
    all_associations = RouteTable.associations.fget
    all_attachments = InternetGateway.attachments.fget

    def routes(self: RouteTable) -> list[Route]:
        return [route for route in self._routes.values() if not misses(_route_key(self.id, _destination_of(route)))]

    def associations(self: RouteTable) -> list[dict[str, Any]]:
        return [item for item in all_associations(self) if not misses(item["RouteTableAssociationId"])]

    def attachments(self: InternetGateway) -> list[dict[str, str]]:
        return [item for item in all_attachments(self) if not misses(_attachment_key(self.id, item["VpcId"]))]

    RouteTable.routes = property(routes)
    RouteTable.associations = property(associations)
    InternetGateway.attachments = property(attachments)


def _destination_of(route: Route) -> str | None:
    return route.destination_cidr_block or route.destination_ipv6_cidr_block or route.destination_prefix_list_id
