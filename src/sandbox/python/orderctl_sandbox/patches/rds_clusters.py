"""RDS: Aurora clusters and their instances.

Gaps (moto 5.2.5): a second CreateDBCluster overwrites the first; the engine version is kept as given and defaults to
an extinct 5.7; ModifyDBCluster ignores CloudwatchLogsExportConfiguration and fails without a code on a missing
cluster, which takes no default security group; instances take no subnet group from their cluster and share one resource
id; automatic snapshots appear and outlive their cluster; an RDS-managed secret names a fixed user.
Restores: field guide section 6 (duplicate and not-found faults, ``8.0`` resolved to a patch, the final-snapshot rule).
"""

import json
import secrets
import string
import uuid
from typing import Any

from moto.ec2.models import ec2_backends
from moto.rds.exceptions import DBClusterNotFoundError, RDSClientError
from moto.rds.models import DBCluster, DBInstance, DBInstanceClustered, MasterUserSecret, RDSBackend
from moto.rds.responses import RDSResponse

from .patching import replace, wrap

#: Aurora MySQL 8.0 versions that exist here, oldest first; the last is what ``8.0`` resolves to.
AURORA_MYSQL_VERSIONS = ("8.0.mysql_aurora.3.04.4", "8.0.mysql_aurora.3.08.2", "8.0.mysql_aurora.3.10.1")

#: ModifyDBCluster parameters whose attribute has another name in moto's model.
_CLUSTER_ATTRIBUTES = {
    "db_cluster_parameter_group_name": "parameter_group",
    "enable_iam_database_authentication": "iam_auth",
    "enable_performance_insights": "performance_insights_enabled",
}
#: Parameters that steer the request and are no fields of the cluster.
_CLUSTER_STEERING = (
    "db_cluster_identifier",
    "new_db_cluster_identifier",
    "apply_immediately",
    "allow_major_version_upgrade",
    "rotate_master_user_password",
    "manage_master_user_password",
    "master_user_secret_kms_key_id",
    "cloudwatch_logs_export_configuration",
    "serverless_v2_scaling_configuration",
    "engine_version",
)


def resolve_engine_version(engine: str, version: str | None) -> str | None:
    """The full version that a declared prefix such as ``8.0`` stands for."""
    if engine != "aurora-mysql":
        return version
    matching = [known for known in AURORA_MYSQL_VERSIONS if version is None or known == version or known.startswith(f"{version}.")]
    if not matching:
        raise RDSClientError("InvalidParameterCombination", f"Cannot find version {version} for {engine}")
    return matching[-1]


def _random_id(length: int) -> str:
    return "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(length))


def _key_arn(owner: Any) -> str:
    return f"arn:aws:kms:{owner.region}:{owner.account_id}:key/{uuid.uuid4()}"


def _plain(value: Any) -> Any:
    return value.original_dict() if hasattr(value, "original_dict") else value


def _default_security_groups(cluster: DBCluster) -> list[str]:
    """What a cluster is given when nobody says otherwise: the default group of its subnet group's VPC."""
    subnets = cluster.backend.subnet_groups.get(cluster.db_subnet_group_name)
    if subnets is None:
        return []
    group = ec2_backends[cluster.account_id][cluster.region].get_default_security_group(subnets.vpc_id)
    return [group.id] if group is not None else []


def _manage_password(cluster: DBCluster, manage: bool | None, kms_key_id: str | None) -> None:
    has_secret = hasattr(cluster, "master_user_secret")
    if manage and not has_secret:
        cluster.master_user_secret = MasterUserSecret(cluster, kms_key_id)
    elif manage is False and has_secret:
        cluster.master_user_secret.delete_secret()
        del cluster.master_user_secret
    if manage is not None:
        cluster.manage_master_user_password = manage


def _change_log_exports(cluster: DBCluster, change: dict) -> None:
    exports = set(cluster.enabled_cloudwatch_logs_exports)
    exports |= set(change.get("EnableLogTypes") or [])
    exports -= set(change.get("DisableLogTypes") or [])
    cluster.enabled_cloudwatch_logs_exports = sorted(exports)


def modify(backend: RDSBackend, request: dict) -> DBCluster:
    """ModifyDBCluster: applies everything at once and returns the cluster."""
    identifier = request["db_cluster_identifier"]
    cluster = backend.clusters.get(identifier)
    if cluster is None:
        raise DBClusterNotFoundError(identifier)
    if request.get("rotate_master_user_password"):
        if not request.get("apply_immediately"):
            raise RDSClientError(
                "InvalidParameterCombination",
                "You must specify apply immediately when rotating the master user password.",
            )
        if not hasattr(cluster, "master_user_secret"):
            raise RDSClientError(
                "InvalidParameterCombination",
                "You can rotate the master user password only of a cluster whose password RDS manages.",
            )
        cluster.master_user_secret.rotate_secret()
    _manage_password(cluster, request.get("manage_master_user_password"), request.get("master_user_secret_kms_key_id"))
    _change_log_exports(cluster, _plain(request.get("cloudwatch_logs_export_configuration")) or {})
    scaling = _plain(request.get("serverless_v2_scaling_configuration"))
    if scaling:
        cluster.serverless_v2_scaling_configuration = {**(_plain(cluster.serverless_v2_scaling_configuration) or {}), **scaling}
    if request.get("engine_version"):
        cluster.engine_version = resolve_engine_version(cluster.engine, request["engine_version"])
    for name in list(request):
        if name not in _CLUSTER_STEERING and request[name] is not None:
            setattr(cluster, _CLUSTER_ATTRIBUTES.get(name, name), _plain(request[name]))
    new_identifier = request.get("new_db_cluster_identifier")
    if new_identifier:
        del backend.clusters[identifier]
        cluster.db_cluster_identifier = new_identifier
        backend.clusters[new_identifier] = cluster
    return cluster


def apply() -> None:
    """Patches clusters, then instances."""
    _apply_clusters()
    _apply_instances()


def _apply_clusters() -> None:
    @wrap(DBCluster, "__init__")
    def complete(original, self, backend, **named):
        named["engine_version"] = resolve_engine_version(named["engine"], named.get("engine_version"))
        original(self, backend, **named)
        if self.engine == "aurora-mysql":
            if not named.get("db_cluster_parameter_group_name"):
                self.parameter_group = "default.aurora-mysql8.0"
            if not named.get("storage_type"):
                self.storage_type = "aurora"
        if not self.storage_encrypted:
            self.kms_key_id = None
        elif not named.get("kms_key_id"):
            self.kms_key_id = _key_arn(self)
        self.serverless_v2_scaling_configuration = _plain(self.serverless_v2_scaling_configuration)
        self.enabled_cloudwatch_logs_exports = sorted(self.enabled_cloudwatch_logs_exports)
        self.performance_insights_enabled = bool(named.get("enable_performance_insights"))
        if not self.vpc_security_group_ids:
            self.vpc_security_group_ids = _default_security_groups(self)
        for field in ("database_insights_mode", "monitoring_interval", "monitoring_role_arn"):
            if named.get(field) is not None:
                setattr(self, field, named[field])

    @wrap(DBCluster, "save_automated_backup")
    def no_automated_snapshot(original, self):
        """Aurora backs up continuously; the first automated snapshot comes with the first backup window."""

    @wrap(MasterUserSecret, "_generate_secret_string")
    def own_user_name(original, self):
        return json.dumps({"username": self.resource.master_username, "password": secrets.token_urlsafe(24)})

    @wrap(RDSBackend, "create_db_cluster")
    def refuse_duplicate(original, self, kwargs):
        if kwargs["db_cluster_identifier"] in self.clusters:
            raise RDSClientError("DBClusterAlreadyExistsFault", "DB Cluster already exists")
        subnets = kwargs.get("db_subnet_group_name")
        if subnets and subnets not in self.subnet_groups:
            raise RDSClientError("DBSubnetGroupNotFoundFault", f"DB subnet group '{subnets}' does not exist.")
        group = kwargs.get("db_cluster_parameter_group_name")
        if group and not group.startswith("default.") and group not in self.db_cluster_parameter_groups:
            raise RDSClientError("DBClusterParameterGroupNotFound", f"DBClusterParameterGroup not found: {group}")
        return original(self, kwargs)

    @replace(RDSBackend)
    def modify_db_cluster(self, kwargs):
        return modify(self, kwargs)

    @wrap(RDSResponse, "delete_db_cluster")
    def demand_a_decision(original, self):
        skip, snapshot = self.params.get("SkipFinalSnapshot"), self.params.get("FinalDBSnapshotIdentifier")
        identifier = self.params.get("DBClusterIdentifier")
        if identifier in self.backend.clusters and bool(skip) == bool(snapshot):
            message = (
                "You cannot specify both FinalDBSnapshotIdentifier and SkipFinalSnapshot."
                if skip
                else "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
            )
            raise RDSClientError("InvalidParameterCombination", message)
        return original(self)


def _apply_instances() -> None:
    @wrap(DBInstance, "__init__")
    def complete(original, self, backend, **named):
        original(self, backend, **named)
        self.dbi_resource_id = f"db-{_random_id(26)}"
        self.publicly_accessible = bool(self.publicly_accessible)
        self.performance_insights_enabled = bool(named.get("enable_performance_insights"))
        self.ca_certificate_identifier = named.get("ca_certificate_identifier") or "rds-ca-rsa2048-g1"
        for field in ("database_insights_mode", "performance_insights_retention_period", "performance_insights_kms_key_id"):
            if named.get(field) is not None:
                setattr(self, field, named[field])

    @wrap(DBInstanceClustered, "__init__")
    def inherit_from_cluster(original, self, db_cluster_identifier, promotion_tier=1, **named):
        cluster = named["backend"].clusters.get(db_cluster_identifier)
        if cluster is not None and cluster.db_subnet_group_name in named["backend"].subnet_groups:
            named["db_subnet_group_name"] = cluster.db_subnet_group_name
        original(self, db_cluster_identifier, promotion_tier, **named)

    @wrap(DBInstance, "save_automated_backup")
    def no_automated_snapshot(original, self):
        """Members of an Aurora cluster have no snapshots of their own."""

    @wrap(RDSBackend, "modify_db_instance")
    def known_names(original, self, db_instance_identifier, db_kwargs):
        if "enable_performance_insights" in db_kwargs:
            db_kwargs["performance_insights_enabled"] = db_kwargs.pop("enable_performance_insights")
        return original(self, db_instance_identifier, db_kwargs)
