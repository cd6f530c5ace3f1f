"""RDS: the life of an Aurora cluster, its snapshots and the secret that RDS keeps for it.

Field guide section 6: ``creating``, ``available``, ``modifying``, ``deleting``. Only an available cluster can be
changed or take a snapshot (``InvalidDBClusterStateFault``). It is deleted only once all its instances are at least
``deleting``, and goes after the last of them and after its final snapshot. Section 3: RDS then writes once more to its
log groups.
"""

from typing import Any

from moto.rds.exceptions import (
    DBClusterToBeDeletedHasActiveMembers,
    InvalidDBClusterSnapshotStateFault,
    InvalidDBClusterStateFault,
)
from moto.rds.models import DBCluster, DBClusterSnapshot, MasterUserSecret, RDSBackend

from .. import durations
from ..clock import CLOCK
from ..patches.patching import replace, wrap
from . import logs
from .iam import ensure_service_linked_role
from .rds_interfaces import change_security_groups
from .rds_requests import check_changed_cluster, check_new_cluster

#: moto's own way, which removes a cluster with all that belongs to it at once.
_remove = RDSBackend.delete_db_cluster


def log_group_of(cluster: DBCluster, log_type: str) -> str:
    """The log group to which RDS exports logs of this type."""
    return f"/aws/rds/cluster/{cluster.db_cluster_identifier}/{log_type}"


def go_on_deleting(cluster: DBCluster) -> None:
    """Takes the last step of a cluster's deletion as soon as no instance and no snapshot holds it any more."""
    if cluster.status != "deleting" or cluster._members or _snapshots_in_progress(cluster):
        return
    CLOCK.after(durations.DB_CLUSTER_DELETE, lambda: _go(cluster))


def _snapshots_in_progress(cluster: DBCluster) -> bool:
    return any(
        snapshot.status == "creating" and snapshot.db_cluster_identifier == cluster.db_cluster_identifier
        for snapshot in cluster.backend.cluster_snapshots.values()
    )


def _go(cluster: DBCluster) -> None:
    if cluster.backend.clusters.get(cluster.db_cluster_identifier) is not cluster:
        # The whole sandbox was reset in the meantime.
        return
    _remove(cluster.backend, cluster.db_cluster_identifier)
    CLOCK.after(durations.LOG_GROUP_COMES_BACK, lambda: _write_last_lines(cluster))


def _write_last_lines(cluster: DBCluster) -> None:
    stream = getattr(cluster, "log_stream", None)
    if stream is None:
        return
    for log_type in cluster.enabled_cloudwatch_logs_exports:
        group, lines = log_group_of(cluster, log_type), [f"{cluster.db_cluster_identifier}: shutdown complete"]
        logs.write(cluster.account_id, cluster.region, group, stream, lines, create_group=True)


def _settle(cluster: DBCluster, passing_status: str) -> None:
    """Ends a status that passes by itself, unless the deletion has begun in the meantime."""
    if cluster.status != passing_status:
        return
    cluster.status = "available"
    if hasattr(cluster, "master_user_secret"):
        cluster.master_user_secret._status = "active"


def apply() -> None:
    """Gives clusters, snapshots and managed secrets their time."""
    _apply_status()
    _apply_create_and_modify()
    _apply_delete()
    _apply_snapshots()


def _apply_status() -> None:
    def set_status(self: DBCluster, status: str) -> None:
        self._status = status

    # moto ends "creating" at the first look.
    replace(DBCluster, "status")(property(lambda self: self._status, set_status))
    replace(MasterUserSecret, "secret_status")(property(lambda self: self._status))

    @replace(DBCluster)
    def designate_writer(self) -> None:
        """Makes an available instance the writer, if there is none: the one of the first promotion tier."""
        available = [member for member in self._members if member.status == "available"]
        if self.writer is None and available:
            self.writer = min(available, key=lambda member: member.promotion_tier)


def _apply_create_and_modify() -> None:
    @wrap(RDSBackend, "create_db_cluster")
    def create(original, self, kwargs: dict[str, Any]) -> DBCluster:
        check_new_cluster(self, kwargs)
        cluster = original(self, kwargs)
        ensure_service_linked_role(self.account_id, "rds.amazonaws.com")
        CLOCK.after(durations.DB_CLUSTER_CREATE, lambda: _settle(cluster, "creating"))
        return cluster

    @wrap(RDSBackend, "modify_db_cluster")
    def modify(original, self, kwargs: dict[str, Any]) -> DBCluster:
        cluster = self.clusters.get(kwargs["db_cluster_identifier"])
        if cluster is not None:
            if cluster.status != "available":
                raise InvalidDBClusterStateFault(
                    f"DB cluster is not available for modification with status {cluster.status}"
                )
            check_changed_cluster(self, kwargs, cluster.db_subnet_group_name)
        cluster = original(self, kwargs)
        cluster.status = "modifying"
        change_security_groups(cluster)
        CLOCK.after(durations.DB_CLUSTER_MODIFY, lambda: _settle(cluster, "modifying"))
        return cluster


def _apply_delete() -> None:
    @wrap(RDSBackend, "delete_db_cluster")
    def delete(original, self, cluster_identifier: str, snapshot_name: str | None = None) -> DBCluster:
        cluster = self.clusters.get(cluster_identifier)
        if cluster is None or cluster.deletion_protection:
            # moto refuses both.
            return original(self, cluster_identifier, snapshot_name)
        if cluster.status == "deleting":
            raise InvalidDBClusterStateFault(f"DB cluster {cluster.db_cluster_identifier} is already being deleted.")
        if any(member.status != "deleting" for member in cluster.members):
            raise DBClusterToBeDeletedHasActiveMembers()
        if snapshot_name:
            self.create_db_cluster_snapshot(cluster_identifier, snapshot_name)
        cluster.status = "deleting"
        go_on_deleting(cluster)
        return cluster


def _apply_snapshots() -> None:
    def complete(snapshot: DBClusterSnapshot, cluster: DBCluster) -> None:
        snapshot.status = "available"
        snapshot.percent_progress = 100
        go_on_deleting(cluster)

    @wrap(RDSBackend, "create_db_cluster_snapshot")
    def create(original, self, db_cluster_identifier: str, db_cluster_snapshot_identifier: str, *arguments, **named):
        cluster = self.clusters.get(db_cluster_identifier)
        is_taken = db_cluster_snapshot_identifier in self.cluster_snapshots
        if cluster is not None and not is_taken and cluster.status not in ("available", "stopped"):
            raise InvalidDBClusterStateFault(
                f"Cannot create a snapshot because the database cluster {db_cluster_identifier} "
                "is not currently in the available state."
            )
        snapshot = original(self, db_cluster_identifier, db_cluster_snapshot_identifier, *arguments, **named)
        snapshot.status = "creating"
        snapshot.percent_progress = 0
        CLOCK.after(durations.DB_SNAPSHOT_CREATE, lambda: complete(snapshot, cluster))
        return snapshot

    @wrap(RDSBackend, "delete_db_cluster_snapshot")
    def delete(original, self, db_snapshot_identifier: str) -> DBClusterSnapshot:
        snapshot = self.cluster_snapshots.get(db_snapshot_identifier)
        if snapshot is not None and snapshot.status != "available":
            raise InvalidDBClusterSnapshotStateFault(
                "Cannot delete the snapshot because it is not currently in the available or failed state."
            )
        return original(self, db_snapshot_identifier)
