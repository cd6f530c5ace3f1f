"""EC2: NAT gateways and internet gateways, which take time to come and to go.

Field guide section 2. A NAT gateway is ``pending`` for a minute or two; while it is ``deleting`` it keeps its interface
and its address, so that subnet, address and internet gateway stay in use until it is ``deleted``; the tombstone is
listed for about an hour. One that cannot work (no internet gateway attached to its VPC, its address used by another)
is made all the same, and ends as ``failed`` with a code and a message.
"""

from dataclasses import dataclass
from typing import Any

from moto.core.utils import iso_8601_datetime_with_milliseconds, utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.models.internet_gateways import InternetGateway
from moto.ec2.models.nat_gateways import NatGateway
from moto.ec2.models.subnets import Subnet

from .. import durations
from ..clock import CLOCK
from ..patches.patching import wrap

#: How the address of a NAT gateway in this state is said to be; nothing is said of a deleted one's.
_ADDRESS_STATUS = {"pending": "associating", "available": "succeeded", "deleting": "disassociating", "failed": "failed"}


@dataclass(frozen=True)
class _Failure:
    code: str
    message: str


def apply() -> None:
    """Gives both kinds of gateway their states."""
    _apply_nat_gateways()
    _apply_internet_gateways()


def _apply_nat_gateways() -> None:
    NatGateway.nat_gateway_addresses = property(_shown_addresses)

    @wrap(EC2Backend, "create_nat_gateway")
    def begins_pending(original, self, subnet_id, allocation_id=None, tags=None, connectivity_type="public"):
        subnet = self.get_subnet(subnet_id)
        failure = None
        if connectivity_type != "private":
            if not allocation_id:
                raise EC2ClientError("MissingParameter", "The request must contain the parameter AllocationId")
            failure = _failure(self, subnet, self.address_by_allocation([allocation_id])[0])
        gateway: NatGateway = original(self, subnet_id, None if failure else allocation_id, tags, connectivity_type)
        gateway.state = "pending"
        if failure is None:
            gateway.progress = CLOCK.after(durations.NAT_GATEWAY_CREATE, lambda: _become_available(gateway))
        else:
            self.enis.pop(gateway._eni.id, None)
            gateway.address_set = [{"allocationId": allocation_id, "IsPrimary": True}]
            gateway.progress = CLOCK.after(durations.NAT_GATEWAY_FAIL, lambda: _fail(self, gateway, failure))
        return gateway

    @wrap(EC2Backend, "delete_nat_gateway")
    def ends_deleting(original, self, nat_gateway_id):
        gateway: NatGateway | None = self.nat_gateways.get(nat_gateway_id)
        if gateway is None or gateway.state == "deleted":
            return original(self, nat_gateway_id)
        if gateway.state != "deleting":

            def finish() -> None:
                # Frees the interface and the address.
                original(self, nat_gateway_id)
                _bury(self, gateway)

            gateway.progress.cancel()
            gateway.state = "deleting"
            gateway.progress = CLOCK.after(durations.NAT_GATEWAY_DELETE, finish)
        return gateway


def _failure(backend: EC2Backend, subnet: Subnet, address: ElasticAddress) -> _Failure | None:
    if internet_gateway_of(backend, subnet.vpc_id) is None:
        return _Failure("Gateway.NotAttached", f"Network {subnet.vpc_id} has no Internet gateway attached")
    if address.association_id:
        return _Failure(
            "Resource.AlreadyAssociated", f"Elastic IP address {address.allocation_id} is already associated"
        )
    return None


def internet_gateway_of(backend: EC2Backend, vpc_id: str) -> InternetGateway | None:
    """The internet gateway that is attached to the VPC."""
    gateways = backend.internet_gateways.values()
    return next((gateway for gateway in gateways if gateway.vpc is not None and gateway.vpc.id == vpc_id), None)


def _become_available(gateway: NatGateway) -> None:
    gateway.state = "available"


def _fail(backend: EC2Backend, gateway: NatGateway, failure: _Failure) -> None:
    gateway.state = "failed"
    gateway.failure_code = failure.code
    gateway.failure_message = failure.message
    # AWS clears it away as it does a deleted one.
    _bury(backend, gateway)


def _bury(backend: EC2Backend, gateway: NatGateway) -> None:
    """Lists a gateway that is at its end for a while yet."""
    gateway.delete_time = iso_8601_datetime_with_milliseconds(utcnow())

    def forget() -> None:
        # One that had failed may be going through its deletion by now, which buries it anew.
        if gateway.state in ("deleted", "failed"):
            backend.nat_gateways.pop(gateway.id, None)
            backend.tags.pop(gateway.id, None)

    CLOCK.deadline(durations.NAT_GATEWAY_TOMBSTONE, forget)


def _shown_addresses(gateway: NatGateway) -> list[dict[str, Any]]:
    shown = [dict(address) for address in gateway.address_set]
    for address in shown:
        status = _ADDRESS_STATUS.get(gateway.state)
        if status is not None:
            address["Status"] = status
        if gateway.state == "pending":
            # The interface and the addresses are told when all is in place.
            for name in ("publicIp", "associationId", "networkInterfaceId", "privateIp"):
                address.pop(name, None)
    return shown


def _apply_internet_gateways() -> None:
    def attachment_state(self: InternetGateway) -> str:
        return self.state_of_attachment if self.vpc else "detached"

    def attachments(self: InternetGateway) -> list[dict[str, str]]:
        return [{"State": self.attachment_state, "VpcId": self.vpc.id}] if self.vpc else []

    InternetGateway.attachment_state = property(attachment_state)
    InternetGateway.attachments = property(attachments)

    @wrap(EC2Backend, "attach_internet_gateway")
    def begins_attaching(original, self, internet_gateway_id, vpc_id):
        answer = original(self, internet_gateway_id, vpc_id)
        gateway: InternetGateway = self.internet_gateways[internet_gateway_id]

        def finish() -> None:
            gateway.state_of_attachment = "available"

        gateway.state_of_attachment = "attaching"
        gateway.progress = CLOCK.after(durations.INTERNET_GATEWAY_ATTACH, finish)
        return answer

    @wrap(EC2Backend, "detach_internet_gateway")
    def ends_attaching(original, self, internet_gateway_id, vpc_id):
        original(self, internet_gateway_id, vpc_id)
        self.internet_gateways[internet_gateway_id].progress.cancel()
