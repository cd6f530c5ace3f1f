"""EC2: NAT gateways, addresses, route tables, gateway endpoints, filters.

Gaps (moto 5.2.5): client tokens are ignored; describing NAT gateways ignores tag filters and unknown ids; a deleted
NAT keeps its interface and address; routes to it stay ``active``; a subnet's second route table is taken silently, and
so is a table's second gateway endpoint for the same service; a deleted subnet stays associated with its route table and
network ACL, and a deleted VPC leaves its ACL; ModifyVpcEndpoint changes no routes; deleted endpoints stay listed; an
address in use can be released; a filter with several values compares sets instead of asking for any match.
Restores: field guide section 2 and section 1 rule 2 (tokens outlive what they made by a day).
"""

import fnmatch
from typing import Any

from moto.ec2 import utils as ec2_utils
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.internet_gateways import InternetGateway
from moto.ec2.models.nat_gateways import NatGateway
from moto.ec2.models.route_tables import Route
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.responses.nat_gateways import NatGateways
from moto.ec2.responses.route_tables import RouteTables
from moto.ec2.responses.vpcs import VPCs

from .. import durations
from ..clock import CLOCK
from .patching import replace, wrap

#: States of a NAT gateway to which no route leads.
_GONE_NATS = ("deleted", "failed")


def _tokens(backend: EC2Backend, kind: str) -> dict[str, tuple[dict, Any]]:
    """The client tokens that a backend has seen for one kind: token -> (request, answer)."""
    return backend.__dict__.setdefault(f"_client_tokens_{kind}", {})


def made_before(response: Any, kind: str) -> bool:
    """Whether the request repeats one of the same ``ClientToken``."""
    return response._get_param("ClientToken") in _tokens(response.ec2_backend, kind)


def once_per_token(response: Any, kind: str, create) -> Any:
    """Runs ``create`` once for each ``ClientToken`` and returns what the first run made for the later ones."""
    token = response._get_param("ClientToken")
    if not token:
        return create()
    request = {key: value for key, value in dict(response.params).items() if key not in ("ClientToken", "client_token")}
    seen = _tokens(response.ec2_backend, kind)
    if token not in seen:
        seen[token] = (request, create())
        CLOCK.deadline(durations.EC2_CLIENT_TOKEN, lambda: seen.pop(token, None))
    made_for, result = seen[token]
    if made_for != request:
        raise EC2ClientError(
            "IdempotentParameterMismatch", "The client token has been used with other request parameters before."
        )
    return result


def apply() -> None:
    """Patches what the network tier needs."""
    _apply_filters()
    _apply_nat_gateways()
    _apply_addresses()
    _apply_routes()
    _apply_endpoints()
    _apply_leftovers()


def _apply_filters() -> None:
    @wrap(ec2_utils, "is_filter_matching")
    def any_match(original, resource, name, wanted):
        value = resource.get_filter_value(name)
        if isinstance(value, (str, bool, int)) or value is None or not hasattr(value, "__iter__"):
            return original(resource, name, wanted)
        patterns = wanted if isinstance(wanted, list) else [wanted]
        return any(fnmatch.fnmatchcase(str(item), pattern) for item in value for pattern in patterns)


def _apply_nat_gateways() -> None:
    NatGateway.nat_gateway_id = property(lambda self: self.id)

    def require(self: EC2Backend, identifier: str) -> NatGateway:
        if identifier not in self.nat_gateways:
            raise EC2ClientError("NatGatewayNotFound", f"The Nat Gateway {identifier} was not found")
        return self.nat_gateways[identifier]

    @wrap(EC2Backend, "describe_nat_gateways")
    def fully_filtered(original, self, filters, nat_gateway_ids):
        found = [require(self, identifier) for identifier in nat_gateway_ids or self.nat_gateways]
        return ec2_utils.generic_filter(filters, found)

    @wrap(EC2Backend, "create_nat_gateway")
    def describe_interface(original, self, *arguments, **named):
        gateway = original(self, *arguments, **named)
        interface = gateway._eni
        interface.description = f"Interface for NAT Gateway {gateway.id}"
        interface.interface_type = "nat_gateway"
        interface.status = "in-use"
        interface.requester_managed = True
        interface.requester_id = "amazon-aws"
        # It belongs to no security group; moto puts it into the default one.
        interface._group_set = []
        gateway.address_set[0]["IsPrimary"] = True
        gateway.connectivity_type = gateway.connectivity_type or "public"
        return gateway

    @wrap(EC2Backend, "delete_nat_gateway")
    def free_interface_and_address(original, self, nat_gateway_id):
        gateway = require(self, nat_gateway_id)
        if gateway.state == "deleted":
            return gateway
        for address in self.addresses:
            if address.eni is gateway._eni:
                self.disassociate_address(association_id=address.association_id)
        self.enis.pop(gateway._eni.id, None)
        return original(self, nat_gateway_id)

    @wrap(NatGateways, "create_nat_gateway")
    def idempotent(original, self):
        return once_per_token(self, "nat_gateway", lambda: original(self))


def _apply_addresses() -> None:
    @wrap(EC2Backend, "release_address")
    def refuse_in_use(original, self, address=None, allocation_id=None):
        found = self.address_by_allocation([allocation_id]) if allocation_id else self.address_by_ip([address])
        if found[0].association_id:
            raise EC2ClientError("InvalidIPAddress.InUse", f"Address {found[0].public_ip} is in use.")
        return original(self, address, allocation_id)


def _apply_routes() -> None:
    def state(self: Route) -> str:
        if self.nat_gateway is not None and self.nat_gateway.state in _GONE_NATS:
            return "blackhole"
        # Detached, it leads nowhere.
        if isinstance(self.gateway, InternetGateway) and self.gateway.vpc is None:
            return "blackhole"
        return "active"

    Route.state = property(state)

    def require_nat(self: EC2Backend, named: dict) -> None:
        identifier = named.get("nat_gateway_id")
        gateway = self.nat_gateways.get(identifier)
        if identifier and (gateway is None or gateway.state in _GONE_NATS):
            raise EC2ClientError("InvalidNatGatewayID.NotFound", f"The natGateway ID '{identifier}' does not exist")

    @wrap(EC2Backend, "create_route")
    def to_a_live_nat(original, self, *arguments, **named):
        require_nat(self, named)
        return original(self, *arguments, **named)

    @wrap(EC2Backend, "replace_route")
    def replace_by_a_live_nat(original, self, *arguments, **named):
        nat_gateway = arguments[4] if len(arguments) > 4 else named.get("nat_gateway_id")
        require_nat(self, {"nat_gateway_id": nat_gateway})
        return original(self, *arguments, **named)

    @wrap(EC2Backend, "associate_route_table")
    def one_table_per_subnet(original, self, route_table_id, gateway_id=None, subnet_id=None):
        for table in self.route_tables.values():
            if subnet_id and table.id != route_table_id and subnet_id in table._associations.values():
                raise EC2ClientError(
                    "Resource.AlreadyAssociated",
                    f"the specified association for route table {route_table_id} conflicts with an existing association",
                )
        return original(self, route_table_id, gateway_id, subnet_id)

    @wrap(RouteTables, "create_route_table")
    def idempotent(original, self):
        return once_per_token(self, "route_table", lambda: original(self))


def _apply_endpoints() -> None:
    VPCEndPoint.vpc_endpoint_id = property(lambda self: self.id)

    def refuse_second_route(self: EC2Backend, service_name: str, table_ids: list[str]) -> None:
        lists = [item.id for item in self.managed_prefix_lists.values() if item.prefix_list_name == service_name]
        for table_id in table_ids:
            for route in self.get_route_table(table_id)._routes.values():
                if route.destination_prefix_list_id in lists:
                    raise EC2ClientError(
                        "RouteAlreadyExists",
                        f"route table {table_id} already has a route with destination-prefix-list-id "
                        f"{route.destination_prefix_list_id}",
                    )

    def remove_route(self: EC2Backend, endpoint: VPCEndPoint, table_id: str) -> None:
        table = self.route_tables.get(table_id)
        if table is None:
            return
        for key, route in list(table._routes.items()):
            if route.gateway is endpoint:
                del table._routes[key]

    @wrap(EC2Backend, "create_vpc_endpoint")
    def gateway_by_default(original, self, *arguments, **named):
        named["endpoint_type"] = named.get("endpoint_type") or "Gateway"
        named["route_table_ids"] = list(named.get("route_table_ids") or [])
        if named["endpoint_type"] == "Gateway":
            refuse_second_route(self, named["service_name"], named["route_table_ids"])
        return original(self, *arguments, **named)

    @wrap(EC2Backend, "modify_vpc_endpoint")
    def with_routes(original, self, **named):
        endpoint = self.describe_vpc_endpoints(vpc_end_point_ids=[named["vpc_id"]])[0]
        before = set(endpoint.route_table_ids)
        added = [table_id for table_id in named.get("add_route_tables") or [] if table_id not in before]
        refuse_second_route(self, endpoint.service_name, added)
        original(self, **named)
        after = set(endpoint.route_table_ids)
        for table_id in before - after:
            remove_route(self, endpoint, table_id)
        for table_id in after - before:
            if endpoint.destination_prefix_list_id:
                self.create_route(
                    table_id, None, gateway_id=endpoint.id, destination_prefix_list_id=endpoint.destination_prefix_list_id
                )

    @replace(EC2Backend)
    def delete_vpc_endpoints(self, vpce_ids=None):
        for identifier in vpce_ids or []:
            endpoint = self.vpc_end_points.pop(identifier, None)
            if endpoint is None:
                continue
            endpoint.state = "deleted"
            for interface in endpoint.network_interface_ids or []:
                self.enis.pop(interface, None)
            for table_id in endpoint.route_table_ids or []:
                remove_route(self, endpoint, table_id)

    @wrap(VPCs, "create_vpc_endpoint")
    def idempotent(original, self):
        return once_per_token(self, "vpc_endpoint", lambda: original(self))

    @wrap(VPCs, "delete_vpc_endpoints")
    def name_the_missing(original, self):
        missing = [identifier for identifier in self._get_param("VpcEndpointIds", []) if identifier not in self.ec2_backend.vpc_end_points]
        answer = original(self)
        answer._result["Unsuccessful"] = [
            {
                "ResourceId": identifier,
                "Error": {"Code": "InvalidVpcEndpoint.NotFound", "Message": f"The Vpc Endpoint Id '{identifier}' does not exist"},
            }
            for identifier in missing
        ]
        return answer


def _apply_leftovers() -> None:
    @wrap(EC2Backend, "delete_subnet")
    def end_its_associations(original, self, subnet_id):
        subnet = original(self, subnet_id)
        for table in self.route_tables.values():
            table._associations = {key: value for key, value in table._associations.items() if value != subnet_id}
        for acl in self.network_acls.values():
            acl._associations = {key: item for key, item in acl._associations.items() if item.subnet_id != subnet_id}
        return subnet

    @wrap(EC2Backend, "delete_vpc")
    def delete_its_acls(original, self, vpc_id):
        vpc = original(self, vpc_id)
        self.network_acls = {key: acl for key, acl in self.network_acls.items() if acl.vpc_id != vpc_id}
        return vpc
