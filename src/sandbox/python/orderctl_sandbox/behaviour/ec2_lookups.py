"""EC2: what an id names, and how a call says that it names nothing.

Field guide section 2, the not-found codes. The id's prefix tells the kind; some calls have a code of their own for it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroup


@dataclass(frozen=True)
class _Kind:
    code: str
    message: str
    exists: Callable[[EC2Backend, str], bool]


def _groups(backend: EC2Backend) -> Iterator[SecurityGroup]:
    return (group for groups in backend.groups.values() for group in groups.values())


_KINDS = {
    "vpc": _Kind("InvalidVpcID.NotFound", "The vpc ID '{}' does not exist", lambda backend, key: key in backend.vpcs),
    "subnet": _Kind(
        "InvalidSubnetID.NotFound",
        "The subnet ID '{}' does not exist",
        lambda backend, key: any(key in by_id for by_id in backend.subnets.values()),
    ),
    "igw": _Kind(
        "InvalidInternetGatewayID.NotFound",
        "The internetGateway ID '{}' does not exist",
        lambda backend, key: key in backend.internet_gateways,
    ),
    "eipalloc": _Kind(
        "InvalidAllocationID.NotFound",
        "The allocation ID '{}' does not exist",
        lambda backend, key: any(address.allocation_id == key for address in backend.addresses),
    ),
    "nat": _Kind(
        "NatGatewayNotFound", "The Nat Gateway {} was not found", lambda backend, key: key in backend.nat_gateways
    ),
    "rtb": _Kind(
        "InvalidRouteTableID.NotFound",
        "The routeTable ID '{}' does not exist",
        lambda backend, key: key in backend.route_tables,
    ),
    "rtbassoc": _Kind(
        "InvalidAssociationID.NotFound",
        "The association ID '{}' does not exist",
        lambda backend, key: any(key in table.all_associations_ids for table in backend.route_tables.values()),
    ),
    "sg": _Kind(
        "InvalidGroup.NotFound",
        "The security group '{}' does not exist",
        lambda backend, key: any(group.id == key for group in _groups(backend)),
    ),
    "sgr": _Kind(
        "InvalidSecurityGroupRuleId.NotFound",
        "The security group rule ID '{}' does not exist",
        lambda backend, key: any(group.get_rule(key) for group in _groups(backend)),
    ),
    "vpce": _Kind(
        "InvalidVpcEndpointId.NotFound",
        "The Vpc Endpoint Id '{}' does not exist",
        lambda backend, key: key in backend.vpc_end_points,
    ),
}

#: Other codes and messages, by call and kind: routes, and the part of AWS that makes endpoints, have their own.
_EXCEPTIONS = {
    (action, prefix): (code, message)
    for actions, prefix, code, message in (
        (
            ("create_route", "replace_route"),
            "nat",
            "InvalidNatGatewayID.NotFound",
            "The natGateway ID '{}' does not exist",
        ),
        (("create_vpc_endpoint",), "vpc", "InvalidVpcId.NotFound", "The Vpc Id {} does not exist"),
        (
            ("create_vpc_endpoint", "modify_vpc_endpoint"),
            "rtb",
            "InvalidRouteTableId.NotFound",
            "The Route Table Id {} does not exist",
        ),
    )
    for action in actions
}

_ID = re.compile(r"([a-z]+)-[0-9a-f]{8,17}")
#: Parameters in which an id is only text.
_NOT_REFERENCES = ("ClientToken", "Filter", "Filters", "Tags", "TagSpecifications")


def prefix_of(identifier: str) -> str:
    """The kind that an id names: ``vpc``, ``subnet``, …"""
    return identifier.partition("-")[0]


def references(parameters: Any) -> Iterator[str]:
    """The ids of the kinds known here that a request refers to, in its order."""
    if isinstance(parameters, str):
        match = _ID.fullmatch(parameters)
        if match and match[1] in _KINDS:
            yield parameters
    elif isinstance(parameters, list):
        for item in parameters:
            yield from references(item)
    elif isinstance(parameters, dict):
        for name, value in parameters.items():
            if name not in _NOT_REFERENCES:
                yield from references(value)


def exists(backend: EC2Backend, identifier: str) -> bool:
    """Whether the id names something, however new."""
    return _KINDS[prefix_of(identifier)].exists(backend, identifier)


def not_found(action: str, identifier: str) -> EC2ClientError:
    """The error with which the call, as in ``create_route``, says that the id names nothing."""
    prefix = prefix_of(identifier)
    kind = _KINDS[prefix]
    code, message = _EXCEPTIONS.get((action, prefix), (kind.code, kind.message))
    return EC2ClientError(code, message.format(identifier))
