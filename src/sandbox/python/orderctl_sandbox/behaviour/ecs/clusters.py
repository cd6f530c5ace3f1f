"""ECS clusters: when they are active, what keeps them from being deleted, and what they leave behind.

Field guide section 4 "Cluster" and "Capacity providers", section 12. The first CreateCluster of an account asks for the
service-linked role, which exists a few seconds later: too late for that call. A cluster with capacity providers is
``PROVISIONING`` before it is ``ACTIVE`` and ``DEPROVISIONING`` before it is an ``INACTIVE`` tombstone. Replacing its
providers keeps it busy for a while.
"""

from moto.ecs.exceptions import ClusterNotFoundException, EcsClientException, ECSException, InvalidParameterException
from moto.ecs.models import Cluster, ClusterFailure, EC2ContainerServiceBackend

from ... import consistency
from ...clock import CLOCK
from ...durations import (
    CAPACITY_PROVIDERS_UPDATE,
    CLUSTER_CREATE,
    CLUSTER_DELETE,
    ECS_TOMBSTONE,
    SERVICE_LINKED_ROLE_CREATE,
)
from ...patches.ecs_clusters import services_of
from ...patches.patching import wrap
from .. import iam
from . import insights

_SERVICE = "ecs.amazonaws.com"
_UPDATING = "UPDATE_IN_PROGRESS"


class ClusterContains(ECSException):
    """The cluster cannot be deleted yet; ``what`` is Services or Tasks."""

    def __init__(self, what: str) -> None:
        super().__init__(f"ClusterContains{what}Exception", f"The Cluster cannot be deleted while {what} are active.")


class UpdateInProgress(ECSException):
    """The cluster's capacity providers are being replaced."""

    def __init__(self) -> None:
        super().__init__("UpdateInProgressException", "The cluster cannot be changed while its update is in progress.")


def apply() -> None:
    """Patches the backend over what ``patches.ecs_clusters`` has mended."""
    _apply_finding()
    _apply_create()
    _apply_providers()
    _apply_delete()


def _apply_finding() -> None:
    @wrap(EC2ContainerServiceBackend, "_get_cluster")
    def unless_missed(original, self, name):
        cluster = original(self, name)
        if consistency.misses(cluster.arn):
            raise ClusterNotFoundException
        return cluster

    @wrap(EC2ContainerServiceBackend, "describe_clusters")
    def without_missed(original, self, cluster_names):
        clusters, failures = original(self, cluster_names)
        found = []
        for cluster in clusters:
            if consistency.misses(cluster.arn):
                failures.append(ClusterFailure("MISSING", cluster.name, self.account_id, self.region_name))
            else:
                found.append(cluster)
        return found, failures

    @wrap(EC2ContainerServiceBackend, "list_clusters")
    def list_without_missed(original, self):
        return [arn for arn in original(self) if not consistency.misses(arn)]


def _require_service_linked_role(account: str) -> None:
    """Refuses where the account has no usable role yet, and has it made."""
    if iam.role_is_usable(account, iam.service_linked_role_arn(account, _SERVICE)):
        return
    CLOCK.after(SERVICE_LINKED_ROLE_CREATE, lambda: iam.ensure_service_linked_role(account, _SERVICE))
    raise InvalidParameterException(
        "Unable to assume the service linked role. Please verify that the ECS service linked role exists."
    )


def _apply_create() -> None:
    @wrap(EC2ContainerServiceBackend, "create_cluster")
    def in_its_time(original, self, cluster_name, *arguments, **named):
        existing = self.clusters.get(cluster_name)
        if existing is not None and existing.status == "DEPROVISIONING":
            raise EcsClientException("Cluster was not ACTIVE.")
        _require_service_linked_role(self.account_id)
        cluster = original(self, cluster_name, *arguments, **named)
        if cluster is existing:
            return cluster
        consistency.created(cluster.arn)
        if cluster.capacity_providers:
            cluster.status = "PROVISIONING"
            CLOCK.after(CLUSTER_CREATE, lambda: _become_active(cluster))
        return cluster


def _become_active(cluster: Cluster) -> None:
    if cluster.status == "PROVISIONING":
        cluster.status = "ACTIVE"


def _apply_providers() -> None:
    @wrap(EC2ContainerServiceBackend, "put_cluster_capacity_providers")
    def one_at_a_time(original, self, cluster_name, capacity_providers, default_capacity_provider_strategy):
        cluster = self._get_cluster(cluster_name)
        if cluster.status != "ACTIVE":
            raise EcsClientException("Cluster was not ACTIVE.")
        _refuse_while_updating(cluster)
        original(self, cluster_name, capacity_providers, default_capacity_provider_strategy)
        cluster.attachments_status = _UPDATING

        def complete() -> None:
            cluster.attachments_status = "UPDATE_COMPLETE"

        CLOCK.after(CAPACITY_PROVIDERS_UPDATE, complete)
        return cluster


def _refuse_while_updating(cluster: Cluster) -> None:
    if getattr(cluster, "attachments_status", None) == _UPDATING:
        raise UpdateInProgress()


def _apply_delete() -> None:
    @wrap(EC2ContainerServiceBackend, "delete_cluster")
    def in_order(original, self, cluster_str):
        cluster = self._get_cluster(cluster_str)
        if cluster.status == "DEPROVISIONING":
            return cluster
        if services_of(self, cluster):
            raise ClusterContains("Services")
        if any(task.last_status != "STOPPED" for task in self.tasks.get(cluster.name, {}).values()):
            raise ClusterContains("Tasks")
        _refuse_while_updating(cluster)
        consistency.forget(cluster.arn)
        if cluster.capacity_providers:
            cluster.status = "DEPROVISIONING"
            CLOCK.after(CLUSTER_DELETE, lambda: _become_inactive(self, cluster))
        else:
            _become_inactive(self, cluster)
        return cluster


def _become_inactive(backend: EC2ContainerServiceBackend, cluster: Cluster) -> None:
    cluster.status = "INACTIVE"
    insights.follow_up(cluster)

    def forget() -> None:
        if backend.clusters.get(cluster.name) is cluster:
            del backend.clusters[cluster.name]

    CLOCK.deadline(ECS_TOMBSTONE, forget)
