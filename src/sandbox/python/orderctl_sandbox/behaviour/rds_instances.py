"""RDS: the life of a database instance in an Aurora cluster.

Field guide section 6: ``creating``, words such as ``configuring-log-exports``, ``available`` after minutes;
``modifying`` and ``rebooting``; ``deleting``. It may be made while its cluster is still ``creating``, which takes less
than the instance. Only an available instance can be changed or rebooted (``InvalidDBInstanceState``). The first one
that is available becomes the writer; a reader takes over when the writer goes.
"""

from typing import Any

from moto.rds.exceptions import InvalidDBClusterStateFault, InvalidParameterCombination, RDSClientError
from moto.rds.models import DBInstance, DBInstanceClustered, RDSBackend

from .. import durations
from ..clock import CLOCK
from ..patches.patching import replace, wrap
from . import logs, rds_interfaces
from .rds_clusters import go_on_deleting, log_group_of
from .rds_requests import check_monitoring_role


class InvalidState(RDSClientError):
    """The instance is in no state for the operation."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidDBInstanceState", message)


def _cluster_of(instance: DBInstance):
    return instance.cluster if isinstance(instance, DBInstanceClustered) else None


def _words_before_available(instance: DBInstance) -> list[str]:
    """What an instance says it is doing between ``creating`` and ``available``."""
    cluster = _cluster_of(instance)
    exports = instance.enabled_cloudwatch_logs_exports if cluster is None else cluster.enabled_cloudwatch_logs_exports
    words = ["configuring-enhanced-monitoring"] if instance.monitoring_interval else []
    return words + (["configuring-log-exports"] if exports else [])


def _begin(instance: DBInstance) -> None:
    """Sets the creation of an instance going."""
    instance.status = "creating"
    instance.has_endpoint = False
    if isinstance(instance, DBInstanceClustered):
        instance.is_cluster_writer = False
    words = _words_before_available(instance)
    for position, word in enumerate(words):
        seconds = durations.DB_INSTANCE_CREATE - (len(words) - position) * durations.DB_INSTANCE_CONFIGURE
        CLOCK.after(seconds, lambda word=word: _pass_to(instance, word))
    CLOCK.after(durations.DB_INSTANCE_CREATE, lambda: _become_available(instance))


def _pass_to(instance: DBInstance, status: str) -> None:
    if instance.status != "deleting":
        instance.status = status


def _become_available(instance: DBInstance) -> None:
    """Ends any status that passes by itself, unless the deletion has begun in the meantime."""
    if instance.status == "deleting":
        return
    instance.status = "available"
    cluster = _cluster_of(instance)
    if not instance.has_endpoint and cluster is not None:
        cluster.log_stream = instance.db_instance_identifier
        if "error" in cluster.enabled_cloudwatch_logs_exports:
            group, lines = log_group_of(cluster, "error"), ["mysqld: ready for connections."]
            logs.write(instance.account_id, instance.region, group, cluster.log_stream, lines, create_group=True)
    instance.has_endpoint = True
    if cluster is not None:
        cluster.designate_writer()


def _hand_over(instance: DBInstanceClustered) -> None:
    """Lets a reader take over from a writer that is about to go; without one it writes to the last."""
    others = [member for member in instance.cluster._members if member.status == "available"]
    if instance.is_cluster_writer and others:
        instance.is_cluster_writer = False
        instance.cluster.designate_writer()


def apply() -> None:
    """Gives instances their time."""
    endpoint = DBInstance.endpoint
    replace(DBInstance, "endpoint")(property(lambda self: endpoint.fget(self) if self.has_endpoint else None))
    # Replicas and restored instances are copied from others by moto and come complete.
    DBInstance.has_endpoint = True
    _apply_create()
    _apply_modify()
    _apply_delete()


def _apply_create() -> None:
    @wrap(RDSBackend, "create_db_instance")
    def create(original, self, db_kwargs: dict[str, Any]) -> DBInstance:
        cluster = self.clusters.get(db_kwargs.get("db_cluster_identifier") or "")
        zone = None
        if db_kwargs["db_instance_identifier"] not in self.databases:
            check_monitoring_role(self, db_kwargs)
            if cluster is not None:
                if cluster.status == "deleting":
                    raise InvalidDBClusterStateFault(f"DB cluster {cluster.db_cluster_identifier} is being deleted.")
                zone = rds_interfaces.zone_for(cluster, db_kwargs.get("availability_zone"))
        instance = original(self, db_kwargs)
        if zone:
            instance.availability_zone = zone
        _begin(instance)
        rds_interfaces.place(instance)
        return instance


def _apply_modify() -> None:
    @wrap(RDSBackend, "modify_db_instance")
    def modify(original, self, db_instance_identifier: str, db_kwargs: dict[str, Any]) -> DBInstance:
        instance = self.describe_db_instances(db_instance_identifier)[0]
        if instance.status != "available":
            raise InvalidState("Database instance is not in available state.")
        check_monitoring_role(self, db_kwargs)
        pending = getattr(instance, "pending_modified_values", {})
        if db_kwargs.get("db_instance_class"):
            pending = {"DBInstanceClass": db_kwargs.pop("db_instance_class")}
        is_immediate = db_kwargs.get("apply_immediately")
        only_later = pending and not is_immediate and not _changes(db_kwargs)
        instance = original(self, db_instance_identifier, db_kwargs)
        instance.pending_modified_values = pending
        if not only_later:
            instance.status = "modifying"
            CLOCK.after(durations.DB_INSTANCE_MODIFY, lambda: end(instance, is_immediate))
        return instance

    def _changes(request: dict[str, Any]) -> bool:
        return any(name not in ("db_instance_identifier", "apply_immediately") for name in request)

    def end(instance: DBInstance, applies_pending: bool) -> None:
        if applies_pending and instance.status != "deleting":
            pending, instance.pending_modified_values = instance.pending_modified_values, {}
            instance.db_instance_class = pending.get("DBInstanceClass", instance.db_instance_class)
        _become_available(instance)

    @wrap(RDSBackend, "reboot_db_instance")
    def reboot(original, self, db_instance_identifier: str) -> DBInstance:
        instance = original(self, db_instance_identifier)
        if instance.status != "available":
            raise InvalidState("Instance cannot currently reboot due to an in-progress management operation.")
        instance.status = "rebooting"
        CLOCK.after(durations.DB_INSTANCE_REBOOT, lambda: _become_available(instance))
        return instance


def _apply_delete() -> None:
    @wrap(RDSBackend, "delete_db_instance")
    def delete(
        original,
        self,
        db_instance_identifier: str,
        final_db_snapshot_identifier: str | None = None,
        skip_final_snapshot: bool | None = False,
        delete_automated_backups: bool | None = True,
    ) -> DBInstance:
        instance = self.databases.get(db_instance_identifier)
        if instance is None or instance.deletion_protection:
            # moto refuses both.
            return original(self, db_instance_identifier)
        if instance.status == "deleting":
            raise InvalidState(f"Instance {db_instance_identifier} is already being deleted.")
        if final_db_snapshot_identifier and not skip_final_snapshot:
            if isinstance(instance, DBInstanceClustered):
                raise InvalidParameterCombination(
                    "FinalDBSnapshotIdentifier can not be specified when deleting a cluster instance"
                )
            self.create_db_snapshot(db_instance_identifier, final_db_snapshot_identifier)
        instance.status = "deleting"
        if isinstance(instance, DBInstanceClustered):
            _hand_over(instance)

        def go() -> None:
            if self.databases.get(instance.db_instance_identifier) is not instance:
                # The whole sandbox was reset in the meantime.
                return
            original(self, instance.db_instance_identifier, None, True, delete_automated_backups)
            rds_interfaces.release(instance)
            cluster = _cluster_of(instance)
            if cluster is not None:
                cluster.designate_writer()
                go_on_deleting(cluster)

        CLOCK.after(durations.DB_INSTANCE_DELETE, go)
        return instance
