"""Network interfaces that AWS services put into subnets: they hold subnets and security groups until they are gone.

Field guide section 2: a ``DependencyViolation`` is explained by the interfaces' descriptions and owners. Subnets,
security groups and internet gateways look here, in ``ec2_refusals``, before they go.
"""

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.utils import random_public_ip


def attach(
    account: str,
    region: str,
    subnet_id: str,
    group_ids: list[str],
    description: str,
    owner: str,
    public: bool = False,
) -> str:
    """Makes an interface for the service ``owner`` (as in ``amazon-elb``) and returns its id.

    A public one maps a public address, which holds the internet gateway. Groups that are gone are left out. Raises
    EC2's ``InvalidSubnetID.NotFound`` when the subnet is gone.
    """
    backend: EC2Backend = ec2_backends[account][region]
    interface: NetworkInterface = backend.create_network_interface(
        backend.get_subnet(subnet_id), [], description=description
    )
    groups = [backend.get_security_group_from_id(group_id) for group_id in group_ids]
    interface._group_set = [group for group in groups if group is not None]
    interface.status = "in-use"
    interface.requester_managed = True
    interface.requester_id = owner
    interface.public_ip = random_public_ip() if public else None
    return interface.id


def detach(account: str, region: str, interface_id: str) -> None:
    """Removes an interface; a missing one is fine."""
    ec2_backends[account][region].enis.pop(interface_id, None)


def find(account: str, region: str, description: str) -> list[NetworkInterface]:
    """The interfaces whose description starts with this text."""
    return [item for item in ec2_backends[account][region].enis.values() if item.description.startswith(description)]
