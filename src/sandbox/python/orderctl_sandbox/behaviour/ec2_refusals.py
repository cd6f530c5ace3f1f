"""EC2: what cannot go while something else needs it, and what cannot be made twice.

Field guide section 2, "Change / delete", and section 8, which is the order that these refusals enforce: interfaces hold
subnets and security groups, mapped public addresses hold the attachment of the internet gateway, and everything in a
VPC holds the VPC. Messages are AWS's own where a report quotes one.
"""

import re
from collections.abc import Iterator

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.route_tables import RouteTable
from moto.ec2.models.security_groups import SecurityGroup
from moto.ec2.responses import EC2Response

from ..patches.patching import wrap
from .ec2_gateways import internet_gateway_of

#: What names and descriptions of security groups in a VPC are made of (section 10).
_GROUP_TEXT = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}")


def apply() -> None:
    """Refuses at the operations; moto's own methods, which take whole VPCs apart, go by their models."""
    _apply_vpcs_and_subnets()
    _apply_internet_gateways()
    _apply_route_tables()
    _apply_security_groups()
    _apply_interfaces()
    _apply_addresses()


def _in_use(kind: str, identifier: str) -> EC2ClientError:
    return EC2ClientError("DependencyViolation", f"The {kind} '{identifier}' has dependencies and cannot be deleted.")


def _interfaces(backend: EC2Backend, vpc_id: str) -> Iterator[NetworkInterface]:
    return (interface for interface in backend.enis.values() if interface.vpc_id == vpc_id)


def _apply_vpcs_and_subnets() -> None:
    @wrap(EC2Response, "delete_subnet")
    def subnet_with_interfaces(original, self):
        identifier = self._get_param("SubnetId")
        if any(interface.subnet_id == identifier for interface in self.ec2_backend.enis.values()):
            raise _in_use("subnet", identifier)
        return original(self)

    @wrap(EC2Response, "delete_vpc")
    def vpc_with_anything(original, self):
        backend, identifier = self.ec2_backend, self._get_param("VpcId")
        holders = (
            *backend.describe_subnets(filters={"vpc-id": [identifier]}),
            *(group for group in backend.groups.get(identifier, {}).values() if not group.is_default),
            *(table for table in _tables(backend, identifier) if table.main_association_id is None),
            *(endpoint for endpoint in backend.vpc_end_points.values() if endpoint.vpc_id == identifier),
        )
        if holders or internet_gateway_of(backend, identifier):
            raise _in_use("vpc", identifier)
        return original(self)

    def one_at_a_time(response: EC2Response, attributes: tuple[str, ...]) -> None:
        if sum(response._get_param(f"{attribute}.Value") is not None for attribute in attributes) > 1:
            raise EC2ClientError("InvalidParameterCombination", "Fields for multiple attribute types specified")

    @wrap(EC2Response, "modify_vpc_attribute")
    def one_vpc_attribute(original, self):
        one_at_a_time(self, ("EnableDnsSupport", "EnableDnsHostnames", "EnableNetworkAddressUsageMetrics"))
        return original(self)

    @wrap(EC2Response, "modify_subnet_attribute")
    def one_subnet_attribute(original, self):
        one_at_a_time(
            self, ("MapPublicIpOnLaunch", "AssignIpv6AddressOnCreation", "EnableResourceNameDnsARecordOnLaunch")
        )
        return original(self)


def _tables(backend: EC2Backend, vpc_id: str) -> Iterator[RouteTable]:
    return (table for table in backend.route_tables.values() if table.vpc_id == vpc_id)


def _apply_internet_gateways() -> None:
    @wrap(EC2Response, "attach_internet_gateway")
    def one_of_each(original, self):
        identifier, vpc_id = self._get_param("InternetGatewayId"), self._get_param("VpcId")
        gateway = self.ec2_backend.internet_gateways.get(identifier)
        if gateway is not None and gateway.vpc is not None:
            raise EC2ClientError(
                "Resource.AlreadyAssociated",
                f"resource {identifier} is already attached to network {gateway.vpc.id}",
            )
        if internet_gateway_of(self.ec2_backend, vpc_id) is not None:
            raise EC2ClientError("InvalidParameterValue", f"Network {vpc_id} already has an internet gateway attached")
        return original(self)

    @wrap(EC2Response, "detach_internet_gateway")
    def unmap_addresses_first(original, self):
        identifier, vpc_id = self._get_param("InternetGatewayId"), self._get_param("VpcId")
        gateway = self.ec2_backend.internet_gateways.get(identifier)
        if gateway is not None and (gateway.vpc is None or gateway.vpc.id != vpc_id):
            raise EC2ClientError("Gateway.NotAttached", f"resource {identifier} is not attached to network {vpc_id}")
        if gateway is not None and any(interface.public_ip for interface in _interfaces(self.ec2_backend, vpc_id)):
            raise EC2ClientError(
                "DependencyViolation",
                f"Network {vpc_id} has some mapped public address(es). "
                "Please unmap those public address(es) before detaching the gateway.",
            )
        return original(self)

    @wrap(EC2Response, "delete_internet_gateway")
    def detach_first(original, self):
        identifier = self._get_param("InternetGatewayId")
        gateway = self.ec2_backend.internet_gateways.get(identifier)
        if gateway is not None and gateway.vpc is not None:
            raise _in_use("internetGateway", identifier)
        return original(self)


def _apply_route_tables() -> None:
    @wrap(EC2Response, "delete_route_table")
    def main_table(original, self):
        identifier = self._get_param("RouteTableId")
        table = self.ec2_backend.route_tables.get(identifier)
        if table is not None and table.main_association_id is not None:
            raise _in_use("routeTable", identifier)
        return original(self)

    @wrap(EC2Response, "associate_route_table")
    def with_a_subnet_of_its_vpc(original, self):
        table_id, subnet_id = self._get_param("RouteTableId"), self._get_param("SubnetId")
        if subnet_id:
            table, subnet = self.ec2_backend.get_route_table(table_id), self.ec2_backend.get_subnet(subnet_id)
            if table.vpc_id != subnet.vpc_id:
                raise _different_networks(table_id, f"subnet {subnet_id}")
        return original(self)

    for action in ("create_route", "replace_route"):

        @wrap(EC2Response, action)
        def to_a_gateway_of_its_vpc(original, self):
            backend, table_id = self.ec2_backend, self._get_param("RouteTableId")
            gateway = backend.internet_gateways.get(self._get_param("GatewayId"))
            nat_gateway = backend.nat_gateways.get(self._get_param("NatGatewayId"))
            vpc_id = backend.get_route_table(table_id).vpc_id
            if gateway is not None and (gateway.vpc is None or gateway.vpc.id != vpc_id):
                raise _different_networks(table_id, f"network gateway {gateway.id}")
            if nat_gateway is not None and nat_gateway.vpc_id != vpc_id:
                raise _different_networks(table_id, f"network gateway {nat_gateway.id}")
            return original(self)


    @wrap(EC2Response, "delete_route")
    def local_one(original, self):
        table_id, destination = self._get_param("RouteTableId"), self._get_param("DestinationCidrBlock")
        routes = self.ec2_backend.get_route_table(table_id)._routes.values()
        if any(route.local and route.destination_cidr_block == destination for route in routes):
            raise EC2ClientError(
                "InvalidParameterValue", f"cannot remove local route {destination} in route table {table_id}"
            )
        return original(self)


def _different_networks(table_id: str, other: str) -> EC2ClientError:
    return EC2ClientError("InvalidParameterValue", f"route table {table_id} and {other} belong to different networks")


def _apply_security_groups() -> None:
    def check_text(parameter: str, value: str) -> None:
        if not _GROUP_TEXT.fullmatch(value) or (parameter == "GroupName" and value.lower().startswith("sg-")):
            raise EC2ClientError("InvalidParameterValue", f"Value ({value}) for parameter {parameter} is invalid.")

    @wrap(EC2Response, "create_security_group")
    def one_name_whatever_its_case(original, self):
        name = self._get_param("GroupName") or ""
        check_text("GroupName", name)
        check_text("GroupDescription", self._get_param("Description") or "")
        vpc_id = self._get_param("VpcId") or self.ec2_backend.default_vpc.id
        others = self.ec2_backend.groups.get(vpc_id, {}).values()
        if any(group.name.lower() == name.lower() for group in others):
            raise EC2ClientError(
                "InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'"
            )
        return original(self)

    @wrap(EC2Response, "delete_security_group")
    def used_or_referenced(original, self):
        group = _named_group(self)
        if group is not None and group.is_default:
            raise EC2ClientError(
                "CannotDelete",
                f'the specified group: "{group.id}" name: "{group.name}" cannot be deleted by a user',
            )
        if group is not None and _is_needed(self.ec2_backend, group):
            raise EC2ClientError("DependencyViolation", f"resource {group.id} has a dependent object")
        return original(self)


def _named_group(response: EC2Response) -> SecurityGroup | None:
    backend = response.ec2_backend
    identifier = response._get_param("GroupId")
    if identifier:
        return backend.get_security_group_from_id(identifier)
    return backend.get_security_group_from_name(response._get_param("GroupName"), backend.default_vpc.id)


def _is_needed(backend: EC2Backend, group: SecurityGroup) -> bool:
    """Whether an interface is in the group, or a rule of another group names it."""
    if any(group in interface.group_set for interface in backend.enis.values()):
        return True
    others = (other for groups in backend.groups.values() for other in groups.values() if other is not group)
    rules = (rule for other in others for rule in (*other.ingress_rules, *other.egress_rules))
    return any((rule.source_group or {}).get("GroupId") == group.id for rule in rules)


def _apply_interfaces() -> None:
    @wrap(EC2Response, "delete_network_interface")
    def in_use(original, self):
        identifier = self._get_param("NetworkInterfaceId")
        interface = self.ec2_backend.enis.get(identifier)
        if interface is not None and interface.attachment is not None:
            raise EC2ClientError("InvalidParameterValue", f"Network interface '{identifier}' is currently in use.")
        return original(self)

    @wrap(EC2Response, "detach_network_interface")
    def attached_by_a_service(original, self):
        if (self._get_param("AttachmentId") or "").startswith("ela-attach-"):
            raise EC2ClientError("OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments.")
        return original(self)

    @wrap(EC2Response, "modify_network_interface_attribute")
    def managed_by_a_service(original, self):
        interface = self.ec2_backend.enis.get(self._get_param("NetworkInterfaceId"))
        if interface is not None and interface.requester_managed:
            raise _not_yours()
        return original(self)


def _apply_addresses() -> None:
    def address_of(response: EC2Response) -> ElasticAddress | None:
        wanted = {response._get_param(name) for name in ("AllocationId", "AssociationId", "PublicIp")} - {None}
        for address in response.ec2_backend.addresses:
            if wanted & {address.allocation_id, address.association_id, address.public_ip}:
                return address
        return None

    @wrap(EC2Response, "associate_address")
    def already_associated(original, self):
        address = address_of(self)
        if address is not None and address.association_id:
            if not self._get_param("AllowReassociation", False):
                raise EC2ClientError(
                    "Resource.AlreadyAssociated",
                    f"resource {address.allocation_id} is already associated with associate-id "
                    f"{address.association_id}",
                )
            _refuse_managed(address)
        return original(self)

    @wrap(EC2Response, "disassociate_address")
    def held_by_a_service(original, self):
        _refuse_managed(address_of(self))
        return original(self)


def _refuse_managed(address: ElasticAddress | None) -> None:
    if address is not None and address.eni is not None and address.eni.requester_managed:
        raise _not_yours()


def _not_yours() -> EC2ClientError:
    return EC2ClientError("AuthFailure", "You do not have permission to access the specified resource.")
