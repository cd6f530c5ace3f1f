"""The network interfaces of database instances: one each, in the subnet of its zone, in its cluster's security groups.

Field guide sections 2 and 6: they hold subnets and security groups from an instance's create until some time after it
is gone, and say ``RDSNetworkInterface`` of themselves.
"""

from moto.ec2.models import ec2_backends
from moto.ec2.models.subnets import Subnet
from moto.rds.exceptions import RDSClientError
from moto.rds.models import DBCluster, DBInstance, DBSubnetGroup

from .. import durations
from ..clock import CLOCK
from . import interfaces


def _living_subnets(group: DBSubnetGroup) -> list[Subnet]:
    """The subnets of a group that nobody has deleted; the group itself does not hold them."""
    by_zone = ec2_backends[group.account_id][group.region].subnets.values()
    return [subnet for subnet in group._subnets if any(subnet.id in by_id for by_id in by_zone)]


def zone_for(cluster: DBCluster, wanted: str | None) -> str | None:
    """The zone of a new instance: the wanted one, else the one with the fewest instances.

    ``None`` without a subnet group and without a wish. Refuses a zone in which the group has no subnet (any more).
    """
    group = cluster.backend.subnet_groups.get(cluster.db_subnet_group_name)
    if group is None:
        return wanted
    zones = sorted({subnet.availability_zone for subnet in _living_subnets(group)})
    if not zones or (wanted and wanted not in zones):
        raise RDSClientError(
            "InvalidVPCNetworkStateFault",
            f"The DB subnet group '{group.name}' has no subnet in the Availability Zone {wanted or 'of the DB instance'}.",
        )
    taken = [member.availability_zone for member in cluster._members]
    return wanted or min(zones, key=taken.count)


def place(instance: DBInstance) -> None:
    """Gives a new instance its interface; one outside of any subnet group gets none."""
    group = getattr(instance, "db_subnet_group", None)
    subnets = _living_subnets(group) if group is not None else []
    if not subnets:
        return
    in_zone = [subnet for subnet in subnets if subnet.availability_zone == instance.availability_zone]
    instance.network_interface_id = interfaces.attach(
        instance.account_id,
        instance.region,
        (in_zone or subnets)[0].id,
        instance.vpc_security_group_ids,
        "RDSNetworkInterface",
        "amazon-rds",
    )


def release(instance: DBInstance) -> None:
    """Removes the interface of an instance that is gone, which takes a while."""
    interface_id = getattr(instance, "network_interface_id", None)
    if interface_id is not None:
        account, region = instance.account_id, instance.region
        CLOCK.after(durations.DB_INTERFACE_LINGERS, lambda: interfaces.detach(account, region, interface_id))


def change_security_groups(cluster: DBCluster) -> None:
    """Puts the cluster's security groups on the interfaces of its instances."""
    backend = ec2_backends[cluster.account_id][cluster.region]
    wanted = cluster.vpc_security_group_ids
    groups = [group for by_id in backend.groups.values() for group in by_id.values() if group.id in wanted]
    for instance in cluster._members:
        interface = backend.enis.get(getattr(instance, "network_interface_id", None))
        if interface is not None:
            interface._group_set = list(groups)
