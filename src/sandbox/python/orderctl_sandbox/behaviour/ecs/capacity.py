"""Where a task is placed: which capacity provider, which subnet, and whether the account's quota has room for it.

Field guide sections 4 and 11: the vCPU quota is no API error but an event of the service. On-demand and Spot tasks count
against a quota each, of the same size.
"""

from collections import Counter
from collections.abc import Iterable

from moto.ecs.models import EC2ContainerServiceBackend, TaskDefinition

from ...quotas import QUOTAS

ON_DEMAND = "FARGATE"


def next_provider(strategy: list[dict], running: Iterable[str]) -> str:
    """The capacity provider that is furthest behind its share: first up to its base, then by weight."""
    counts = Counter(running)
    for item in strategy:
        if counts[item["capacityProvider"]] < item.get("base", 0):
            return item["capacityProvider"]
    weighted = [item for item in strategy if item.get("weight", 0) > 0] or strategy

    def fill(item: dict) -> float:
        above_base = counts[item["capacityProvider"]] - item.get("base", 0)
        return above_base / (item.get("weight") or 1)

    return min(weighted, key=fill)["capacityProvider"]


def next_subnet(subnets: list[str], taken: Iterable[str]) -> str:
    """The subnet with the fewest tasks, the first of them where several have as few."""
    counts = Counter(taken)
    return min(subnets, key=lambda subnet: counts[subnet])


def vcpus_of(definition: TaskDefinition) -> float:
    """The vCPUs of one Fargate task, which a task definition has in units of 1/1024."""
    return int(definition.cpu) / 1024


def has_room(backend: EC2ContainerServiceBackend, provider: str, definition: TaskDefinition) -> bool:
    """Whether one more task of this size stays within the quota of vCPUs that run at once."""
    tasks = [task for by_arn in backend.tasks.values() for task in by_arn.values() if task.last_status != "STOPPED"]
    # moto's own tasks, on container instances, take none.
    used = sum(
        getattr(task, "vcpus", 0.0) for task in tasks if (task.capacity_provider_name or ON_DEMAND) == provider
    )
    return used + vcpus_of(definition) <= QUOTAS["fargate-vcpus"]
