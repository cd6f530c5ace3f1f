"""EC2: the limits of an account per region.

Field guide section 11. Addresses count while they are allocated, NAT gateways per availability zone while they are
``pending``, ``available`` or ``deleting``. The default VPC does not count, unlike on AWS: the sandbox's account owns
one that nothing uses, and a limit of two VPCs is to mean two stacks.
"""

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.responses import EC2Response

from .. import quotas
from ..patches.patching import wrap

_COUNTING = ("pending", "available", "deleting")


def apply() -> None:
    """Refuses what exceeds a limit."""

    @wrap(EC2Response, "allocate_address")
    def addresses(original, self):
        if quotas.is_full("elastic-ips", len(self.ec2_backend.addresses)):
            raise EC2ClientError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
        return original(self)

    @wrap(EC2Response, "create_vpc")
    def vpcs(original, self):
        if quotas.is_full("vpcs", sum(not vpc.is_default for vpc in self.ec2_backend.vpcs.values())):
            raise EC2ClientError("VpcLimitExceeded", "The maximum number of VPCs has been reached.")
        return original(self)

    @wrap(EC2Response, "create_internet_gateway")
    def internet_gateways(original, self):
        if quotas.is_full("internet-gateways", len(self.ec2_backend.internet_gateways)):
            raise EC2ClientError(
                "InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached."
            )
        return original(self)

    # Inside the operation, where a repeated client token does not get to.
    @wrap(EC2Backend, "create_nat_gateway")
    def nat_gateways(original, self, subnet_id, *arguments, **named):
        zone = self.get_subnet(subnet_id).availability_zone
        used = sum(
            gateway.state in _COUNTING and gateway._eni.subnet.availability_zone == zone
            for gateway in self.nat_gateways.values()
        )
        if quotas.is_full("nat-gateways-per-az", used):
            limit = quotas.QUOTAS["nat-gateways-per-az"]
            raise EC2ClientError(
                "NatGatewayLimitExceeded", f"Performing this operation would exceed the limit of {limit} NAT gateways"
            )
        return original(self, subnet_id, *arguments, **named)
