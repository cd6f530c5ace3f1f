"""ECS clusters.

Gaps (moto 5.2.5): a second CreateCluster of one name makes a fresh object; a deleted cluster stays listed and can be
used; settings and configuration are answered without ``include``; UpdateClusterSettings is missing; counts go stale.
Restores: field guide section 4 "Cluster" (idempotent by name, ``InvalidParameterException`` for other arguments,
``INACTIVE`` as tombstone) and section 1 rule 10 (fields only with ``include``).
"""

from moto.core.responses import ActionResult
from moto.ecs.exceptions import ClusterNotFoundException, InvalidParameterException
from moto.ecs.models import Cluster, EC2ContainerServiceBackend
from moto.ecs.responses import EC2ContainerServiceResponse

from .patching import add, wrap

_OPTIONAL_FIELDS = {
    "SETTINGS": "DescribeClustersResponse.clusters.Cluster.settings",
    "CONFIGURATIONS": "DescribeClustersResponse.clusters.Cluster.configuration",
}


def complete_strategy(strategy: list[dict] | None) -> list[dict]:
    """A capacity provider strategy as ECS answers it, with weight and base filled in."""
    return [{"weight": 0, "base": 0, **item} for item in strategy or []]


def services_of(backend: EC2ContainerServiceBackend, cluster: Cluster) -> list:
    """The services of a cluster that are not yet ``INACTIVE``."""
    return [s for s in backend.services.values() if s.cluster_arn == cluster.arn and s.status != "INACTIVE"]


def refresh_counts(backend: EC2ContainerServiceBackend, cluster: Cluster) -> None:
    """Counts services and tasks anew; moto's own running totals drift."""
    states = [task.last_status for task in backend.tasks.get(cluster.name, {}).values()]
    cluster.active_services_count = sum(service.status == "ACTIVE" for service in services_of(backend, cluster))
    cluster.running_tasks_count = states.count("RUNNING")
    cluster.pending_tasks_count = sum(states.count(state) for state in ("PROVISIONING", "PENDING", "ACTIVATING"))


def _differs(cluster: Cluster, given: dict) -> bool:
    """Whether a repeated CreateCluster asks for anything else than the cluster has; what is not given is not asked for."""
    settings = {item["name"]: item["value"] for item in cluster.settings}
    current = {
        "configuration": cluster.configuration,
        "service_connect_defaults": cluster.service_connect_defaults,
    }
    if any(settings.get(item["name"]) != item["value"] for item in given["cluster_settings"] or []):
        return True
    if given["capacity_providers"] is not None and set(given["capacity_providers"]) != set(cluster.capacity_providers):
        return True
    strategy = given["default_capacity_provider_strategy"]
    if strategy is not None and complete_strategy(strategy) != cluster.default_capacity_provider_strategy:
        return True
    return any(given[name] is not None and given[name] != value for name, value in current.items())


def _merge_settings(cluster: Cluster, settings: list[dict]) -> None:
    merged = {item["name"]: item["value"] for item in cluster.settings}
    merged.update({item["name"]: item["value"] for item in settings})
    cluster.settings = [{"name": name, "value": value} for name, value in merged.items()]


def apply() -> None:
    """Patches the backend first, then the responses that sit on it."""
    _apply_backend()
    _apply_responses()


def _apply_backend() -> None:
    @wrap(EC2ContainerServiceBackend, "_get_cluster")
    def only_active(original, self, name):
        cluster = original(self, name or "default")
        if cluster.status == "INACTIVE":
            raise ClusterNotFoundException
        return cluster

    @wrap(EC2ContainerServiceBackend, "create_cluster")
    def idempotent(
        original,
        self,
        cluster_name,
        tags=None,
        cluster_settings=None,
        configuration=None,
        capacity_providers=None,
        default_capacity_provider_strategy=None,
        service_connect_defaults=None,
    ):
        given = {
            "cluster_settings": cluster_settings,
            "configuration": configuration,
            "capacity_providers": capacity_providers,
            "default_capacity_provider_strategy": default_capacity_provider_strategy,
            "service_connect_defaults": service_connect_defaults,
        }
        existing = self.clusters.get(cluster_name)
        if existing is not None and existing.status != "INACTIVE":
            if _differs(existing, given):
                raise InvalidParameterException(
                    "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
                )
            return existing
        cluster = original(self, cluster_name, tags, **given)
        _merge_settings(cluster, [])
        cluster.capacity_providers = capacity_providers or []
        cluster.default_capacity_provider_strategy = complete_strategy(default_capacity_provider_strategy)
        cluster.tags = tags or []
        return cluster

    @wrap(EC2ContainerServiceBackend, "update_cluster")
    def merge_settings(original, self, cluster_name, cluster_settings, configuration, service_connect_defaults):
        cluster = original(self, cluster_name, None, configuration, service_connect_defaults)
        _merge_settings(cluster, cluster_settings or [])
        return cluster

    @wrap(EC2ContainerServiceBackend, "put_cluster_capacity_providers")
    def replace_whole_set(original, self, cluster_name, capacity_providers, default_capacity_provider_strategy):
        return original(self, cluster_name, capacity_providers or [], complete_strategy(default_capacity_provider_strategy))

    @wrap(EC2ContainerServiceBackend, "list_clusters")
    def list_live(original, self):
        return [cluster.arn for cluster in self.clusters.values() if cluster.status != "INACTIVE"]

    @wrap(EC2ContainerServiceBackend, "describe_clusters")
    def with_counts(original, self, cluster_names):
        clusters, failures = original(self, cluster_names)
        for cluster in clusters:
            refresh_counts(self, cluster)
        return clusters, failures


def _apply_responses() -> None:
    @wrap(EC2ContainerServiceResponse, "describe_clusters")
    def only_what_is_included(original, self):
        include = self._get_param("include", [])
        for name, path in _OPTIONAL_FIELDS.items():
            if name not in include:
                self._exclude_from_response(path)
        return original(self)

    @add(EC2ContainerServiceResponse)
    def update_cluster_settings(self):
        cluster = self.ecs_backend._get_cluster(self._get_param("cluster"))
        _merge_settings(cluster, self._get_param("settings", []))
        return ActionResult({"cluster": cluster})
