"""RDS: subnet groups, cluster parameter groups, engine versions, tags.

Gaps (moto 5.2.5): ModifyDBSubnetGroup deletes the group; creating a subnet group twice overwrites it;
ResetDBClusterParameterGroup and DescribeDBEngineVersions are missing; ``Source`` is neither answered nor a filter;
DescribeOrderableDBInstanceOptions knows no Aurora MySQL; tags of a missing resource are an empty list.
Restores: field guide section 6 "Subnet group" and the parameter-group operations.
"""

from moto.core.responses import ActionResult, PaginatedResult
from moto.rds.exceptions import (
    DBClusterNotFoundError,
    DBClusterParameterGroupNotFoundError,
    DBInstanceNotFoundError,
    DBSubnetGroupNotFoundError,
    RDSClientError,
)
from moto.rds.models import DBSubnetGroup, RDSBackend
from moto.rds.responses import RDSResponse

from .patching import add, wrap
from .rds_clusters import AURORA_MYSQL_VERSIONS

_FAMILY = "aurora-mysql8.0"
_ENGINE = "aurora-mysql"

#: A few of the engine's own parameters, so that unchanged ones can be told from the user's.
_ENGINE_DEFAULTS = {
    "require_secure_transport": ("OFF", "dynamic"),
    "time_zone": ("UTC", "dynamic"),
    "binlog_format": ("OFF", "static"),
    "server_audit_logging": ("0", "dynamic"),
    "tls_version": ("TLSv1.2,TLSv1.3", "static"),
}
_INSTANCE_CLASSES = (
    "db.serverless",
    "db.t4g.medium",
    "db.t4g.large",
    "db.r6g.large",
    "db.r6g.xlarge",
    "db.r6g.2xlarge",
    "db.r7g.large",
    "db.r7g.xlarge",
    "db.r8g.large",
)
_NOT_FOUND = {
    "cluster": DBClusterNotFoundError,
    "cluster-pg": DBClusterParameterGroupNotFoundError,
    "db": DBInstanceNotFoundError,
    "subgrp": DBSubnetGroupNotFoundError,
}


def _engine_default(name: str) -> dict:
    value, apply_type = _ENGINE_DEFAULTS[name]
    return {
        "ParameterName": name,
        "ParameterValue": value,
        "Source": "engine-default",
        "ApplyType": apply_type,
        "DataType": "string",
        "IsModifiable": True,
        "ApplyMethod": "pending-reboot",
    }


def _engine_version(version: str) -> dict:
    return {
        "Engine": _ENGINE,
        "MajorEngineVersion": "8.0",
        "EngineVersion": version,
        "DBParameterGroupFamily": _FAMILY,
        "DBEngineDescription": "Aurora MySQL",
        "DBEngineVersionDescription": f"Aurora MySQL {version.rpartition('mysql_aurora.')[2]}",
        "ExportableLogTypes": ["audit", "error", "general", "instance", "slowquery"],
        "SupportsLogExportsToCloudwatchLogs": True,
        "SupportedEngineModes": ["provisioned"],
        "SupportsReadReplica": False,
        "SupportsGlobalDatabases": True,
        "SupportsParallelQuery": True,
        "Status": "available",
        "ServerlessV2FeaturesSupport": {"MinCapacity": 0.0, "MaxCapacity": 256.0},
    }


def _matches(version: str, wanted: str | None) -> bool:
    return wanted is None or version == wanted or version.startswith(f"{wanted}.")


def apply() -> None:
    """Patches the groups, then adds the missing operations."""
    _apply_subnet_groups()
    _apply_parameter_groups()
    _apply_catalogue()
    _apply_tags()


def _apply_subnet_groups() -> None:
    @wrap(RDSBackend, "create_subnet_group")
    def refuse_duplicate(original, self, subnet_name, description, subnets, tags):
        if subnet_name in self.subnet_groups:
            raise RDSClientError("DBSubnetGroupAlreadyExists", f"The DB subnet group '{subnet_name}' already exists.")
        _require_two_zones(subnets)
        return original(self, subnet_name.lower(), description, subnets, tags)

    @wrap(RDSBackend, "modify_db_subnet_group")
    def modify(original, self, subnet_name, description, subnets):
        group: DBSubnetGroup | None = self.subnet_groups.get(subnet_name)
        if group is None:
            raise DBSubnetGroupNotFoundError(subnet_name)
        _require_two_zones(subnets)
        group.subnets = subnets
        if description is not None:
            group.description = description
        return group


def _require_two_zones(subnets: list) -> None:
    if len({subnet.availability_zone for subnet in subnets}) < 2:
        raise RDSClientError(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. "
            "Add subnets to cover at least 2 AZs.",
        )


def _apply_parameter_groups() -> None:
    @wrap(RDSBackend, "describe_db_cluster_parameters")
    def with_source(original, self, db_cluster_parameter_group_name):
        changed = {item["ParameterName"]: item for item in original(self, db_cluster_parameter_group_name)}
        defaults = {name: _engine_default(name) for name in _ENGINE_DEFAULTS}
        merged = {**defaults, **{name: {**defaults.get(name, {}), **item, "Source": "user"} for name, item in changed.items()}}
        for item in merged.values():
            item.setdefault("IsModifiable", True)
            item.setdefault("ApplyType", "dynamic")
        return [merged[name] for name in sorted(merged)]

    @wrap(RDSResponse, "describe_db_cluster_parameters")
    def filtered(original, self):
        answer = original(self)
        source = self.params.get("Source")
        if source:
            answer._result["Parameters"] = [item for item in answer._result["Parameters"] if item["Source"] == source]
        return answer

    @add(RDSResponse)
    def reset_db_cluster_parameter_group(self):
        name = self.params.get("DBClusterParameterGroupName")
        group = self.backend.db_cluster_parameter_groups.get(name)
        if group is None:
            raise DBClusterParameterGroupNotFoundError(name)
        if self.params.get("ResetAllParameters"):
            group.parameters.clear()
        for parameter in self.params.get("Parameters") or []:
            group.parameters.pop(parameter["ParameterName"], None)
        return ActionResult({"DBClusterParameterGroupName": group.name})


def _apply_catalogue() -> None:
    @add(RDSResponse)
    def describe_db_engine_versions(self):
        versions = [version for version in AURORA_MYSQL_VERSIONS if _matches(version, self.params.get("EngineVersion"))]
        if self.params.get("Engine") not in (None, _ENGINE):
            versions = []
        if self.params.get("DBParameterGroupFamily") not in (None, _FAMILY):
            versions = []
        if self.params.get("DefaultOnly"):
            versions = versions[-1:]
        return PaginatedResult({"DBEngineVersions": [_engine_version(version) for version in versions]})

    @wrap(RDSResponse, "describe_orderable_db_instance_options")
    def with_aurora_mysql(original, self):
        if self.params.get("Engine") != _ENGINE:
            return original(self)
        wanted_class, wanted_version = self.params.get("DBInstanceClass"), self.params.get("EngineVersion")
        options = [
            {
                "Engine": _ENGINE,
                "EngineVersion": version,
                "DBInstanceClass": instance_class,
                "LicenseModel": "general-public-license",
                "AvailabilityZones": [{"Name": f"{self.region}{letter}"} for letter in "abc"],
                "StorageType": "aurora",
                "Vpc": True,
                "SupportsStorageEncryption": True,
                "SupportsPerformanceInsights": True,
                "SupportsEnhancedMonitoring": True,
                "SupportsIAMDatabaseAuthentication": True,
                "SupportedEngineModes": ["provisioned"],
            }
            for version in AURORA_MYSQL_VERSIONS
            if _matches(version, wanted_version)
            for instance_class in _INSTANCE_CLASSES
            if wanted_class in (None, instance_class)
        ]
        return PaginatedResult({"OrderableDBInstanceOptions": options})


def _apply_tags() -> None:
    @wrap(RDSBackend, "_get_resource_for_tagging")
    def must_exist(original, self, arn):
        resource = original(self, arn)
        kind, _, name = arn.split(":", 5)[5].partition(":")
        if not resource and kind in _NOT_FOUND:
            raise _NOT_FOUND[kind](name)
        return resource
