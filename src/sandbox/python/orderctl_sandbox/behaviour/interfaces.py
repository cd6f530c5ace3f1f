"""Network interfaces that AWS services put into subnets: they hold subnets and security groups until they are gone.

Field guide section 2: a ``DependencyViolation`` is explained by the interfaces' descriptions and owners.
"""

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.utils import random_public_ip

from ..consistency import from_inside


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

    A public one maps a public address, which holds the internet gateway.
    """
    backend: EC2Backend = ec2_backends[account][region]
    subnet = next(by_id[subnet_id] for by_id in backend.subnets.values() if subnet_id in by_id)
    with from_inside():
        interface: NetworkInterface = backend.create_network_interface(subnet, [], description=description)
    interface._group_set = [group for groups in backend.groups.values() for group in groups.values() if group.id in group_ids]
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
