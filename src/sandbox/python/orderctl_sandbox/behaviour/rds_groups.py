"""RDS: subnet groups and cluster parameter groups that clusters still use.

Field guide section 6: a group in use cannot be deleted (``InvalidDBSubnetGroupStateFault``,
``InvalidDBParameterGroupState``); a new subnet group is unknown to CreateDBCluster for a while; subnets that RDS does
not find, or not yet, are ``InvalidSubnet``.
"""

from moto.ec2.exceptions import InvalidSubnetIdError
from moto.ec2.models import ec2_backends
from moto.rds.exceptions import InvalidSubnet, RDSClientError
from moto.rds.models import DBInstanceClustered, DBSubnetGroup, RDSBackend
from moto.rds.responses import RDSResponse

from .. import consistency
from ..patches.patching import wrap
from .rds_requests import subnet_group_key


def apply() -> None:
    """Refuses to take groups away from clusters."""
    _apply_subnets()
    _apply_subnet_groups()
    _apply_parameter_groups()


def _apply_subnets() -> None:
    def look_up_subnets(original, self):
        identifiers = self.params.get("SubnetIds") or []
        unknown = [identifier for identifier in identifiers if consistency.misses(identifier)]
        try:
            if not unknown:
                return original(self)
        except InvalidSubnetIdError:
            unknown = identifiers
        raise InvalidSubnet(", ".join(unknown))

    wrap(RDSResponse, "create_db_subnet_group")(look_up_subnets)
    wrap(RDSResponse, "modify_db_subnet_group")(look_up_subnets)


def _require_one_vpc(subnets: list) -> None:
    if len({subnet.vpc_id for subnet in subnets}) > 1:
        raise InvalidSubnet(", ".join(subnet.id for subnet in subnets))


def _users(backend: RDSBackend, group: DBSubnetGroup) -> list[str]:
    """The clusters and single instances in a subnet group, as RDS's refusal names them."""
    clusters = [
        cluster.db_cluster_identifier
        for cluster in backend.clusters.values()
        if cluster.db_subnet_group_name.lower() == group.name
    ]
    instances = [
        instance.db_instance_identifier
        for instance in backend.databases.values()
        if not isinstance(instance, DBInstanceClustered) and getattr(instance, "db_subnet_group", None) is group
    ]
    return [f"database cluster: {name}" for name in clusters] + [f"database instance: {name}" for name in instances]


def _subnets_in_use(backend: RDSBackend, group: DBSubnetGroup) -> set[str]:
    """The subnets of the group in which an instance has its interface."""
    interfaces = ec2_backends[backend.account_id][backend.region_name].enis
    held = (getattr(instance, "network_interface_id", None) for instance in backend.databases.values())
    in_use = {interfaces[interface_id].subnet.id for interface_id in held if interface_id in interfaces}
    return in_use & {subnet.id for subnet in group._subnets}


def _apply_subnet_groups() -> None:
    @wrap(RDSBackend, "create_subnet_group")
    def create(original, self, subnet_name, description, subnets, tags):
        _require_one_vpc(subnets)
        group = original(self, subnet_name, description, subnets, tags)
        consistency.created(subnet_group_key(group.name))
        return group

    @wrap(RDSBackend, "modify_db_subnet_group")
    def modify(original, self, subnet_name, description, subnets):
        group = self.subnet_groups.get(subnet_name)
        if group is not None:
            _require_one_vpc(subnets)
            dropped = sorted(_subnets_in_use(self, group) - {subnet.id for subnet in subnets})
            if dropped:
                raise RDSClientError(
                    "SubnetAlreadyInUse",
                    f"Some of the subnets to be deleted are currently in use: {', '.join(dropped)}",
                )
        return original(self, subnet_name, description, subnets)

    @wrap(RDSBackend, "delete_subnet_group")
    def delete(original, self, subnet_name):
        group = self.subnet_groups.get(subnet_name)
        users = _users(self, group) if group is not None else []
        if users:
            raise RDSClientError(
                "InvalidDBSubnetGroupStateFault",
                f"Cannot delete the subnet group '{group.name}' because at least one {users[0]} is still using it.",
            )
        consistency.forget(subnet_group_key(subnet_name))
        return original(self, subnet_name)


def _apply_parameter_groups() -> None:
    @wrap(RDSBackend, "delete_db_cluster_parameter_group")
    def delete(original, self, db_cluster_parameter_group_name):
        name = db_cluster_parameter_group_name
        if name.startswith("default."):
            raise RDSClientError(
                "InvalidDBParameterGroupState", f"Default DBClusterParameterGroup cannot be deleted: {name}"
            )
        if any(cluster.parameter_group.lower() == name.lower() for cluster in self.clusters.values()):
            raise RDSClientError(
                "InvalidDBParameterGroupState",
                f"One or more database instances are still members of this parameter group {name}, "
                "so the group cannot be deleted",
            )
        return original(self, name)
