"""RDS: what requests for clusters and instances are refused for before anything is made.

Field guide section 10 (identifiers, master user names and passwords), section 3 (roles that RDS does not know yet),
section 6 (subnet groups that it does not know yet), section 1 rule 6 (neither does it new security groups).
"""

import re
from typing import Any

from moto.ec2.models import ec2_backends
from moto.rds.exceptions import (
    DBSubnetGroupNotFoundError,
    InvalidParameterCombination,
    InvalidParameterValue,
    RDSClientError,
)
from moto.rds.models import RDSBackend

from .. import consistency
from .iam import role_is_usable

_IDENTIFIER = re.compile(r"(?!.*--)[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")
_USER_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,15}")
#: User names that Aurora MySQL keeps for itself, and a few of the words of its language.
_RESERVED_USER_NAMES = frozenset(
    "rdsadmin rdsrepladmin select insert update delete table group order grant index key".split()
)
_PASSWORD_CHARACTERS = frozenset(map(chr, range(0x21, 0x7F))) - frozenset('/@"')


def subnet_group_key(name: str) -> str:
    """What eventual consistency calls a subnet group."""
    return f"rds:subgrp/{name.lower()}"


def check_new_cluster(backend: RDSBackend, request: dict[str, Any]) -> None:
    """Refuses a CreateDBCluster request."""
    identifier = request["db_cluster_identifier"]
    if not _IDENTIFIER.fullmatch(identifier):
        raise InvalidParameterValue(
            "The parameter DBClusterIdentifier is not a valid identifier. Identifiers must begin with a letter; must "
            "contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive "
            "hyphens."
        )
    _check_user_name(request.get("master_username"))
    check_password(request.get("master_user_password"))
    if identifier in backend.clusters:
        return
    subnet_group = request.get("db_subnet_group_name")
    if subnet_group and consistency.misses(subnet_group_key(subnet_group)):
        raise DBSubnetGroupNotFoundError(subnet_group)
    check_security_groups(backend, request.get("vpc_security_group_ids"), subnet_group)


def check_changed_cluster(backend: RDSBackend, request: dict[str, Any], subnet_group: str) -> None:
    """Refuses a ModifyDBCluster request for a cluster of this subnet group."""
    check_password(request.get("master_user_password"))
    check_security_groups(backend, request.get("vpc_security_group_ids"), subnet_group)
    name = request.get("db_cluster_parameter_group_name")
    if name and not name.startswith("default.") and name not in backend.db_cluster_parameter_groups:
        raise RDSClientError("DBClusterParameterGroupNotFound", f"DBClusterParameterGroup not found: {name}")


def _check_user_name(name: str | None) -> None:
    if not name:
        return
    if name.lower() in _RESERVED_USER_NAMES:
        raise InvalidParameterValue(f"MasterUsername {name} cannot be used as it is a reserved word used by the engine")
    if not _USER_NAME.fullmatch(name):
        raise InvalidParameterValue(
            "The parameter MasterUsername is not valid. It must begin with a letter and have 1 to 16 letters, digits or "
            "underscores."
        )


def check_password(password: str | None) -> None:
    """Refuses a master password; that one of less than 8 characters is too short says moto."""
    if not password:
        return
    if len(password) > 41:
        raise InvalidParameterValue(
            "The parameter MasterUserPassword is not a valid password because it is longer than 41 characters."
        )
    if not _PASSWORD_CHARACTERS.issuperset(password):
        raise InvalidParameterValue(
            "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides "
            "'/', '@', '\"', ' ' may be used."
        )


def check_security_groups(backend: RDSBackend, group_ids: list[str] | None, subnet_group: str | None) -> None:
    """Refuses security groups that do not exist or belong to another VPC than the subnet group."""
    groups_of_vpcs = ec2_backends[backend.account_id][backend.region_name].groups
    vpc_of = {group.id: group.vpc_id for groups in groups_of_vpcs.values() for group in groups.values()}
    subnets = backend.subnet_groups.get(subnet_group) if subnet_group else None
    for group_id in group_ids or ():
        if group_id not in vpc_of or consistency.misses(group_id):
            raise InvalidParameterValue(f"Invalid security group , groupId= {group_id}, groupName=.")
        if subnets is not None and vpc_of[group_id] != subnets.vpc_id:
            raise InvalidParameterCombination(
                "The DB instance and EC2 security group are in different VPCs. "
                f"The DB instance is in {subnets.vpc_id} and the EC2 security group is in {vpc_of[group_id]}"
            )


def check_monitoring_role(backend: RDSBackend, request: dict[str, Any]) -> None:
    """Refuses a role for enhanced monitoring that RDS cannot assume yet."""
    role = request.get("monitoring_role_arn")
    if role and not role_is_usable(backend.account_id, role):
        raise InvalidParameterValue(
            "IAM role ARN value is invalid or does not include the required permissions for: ENHANCED_MONITORING"
        )
