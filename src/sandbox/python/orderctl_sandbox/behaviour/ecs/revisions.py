"""Service revisions: what a service was when a deployment began, and the tasks that were made from it.

Field guide section 4 "Service", row "Wait": the revision of a deployment carries the number of the deployment that
DescribeServices shows.
"""

import copy
from collections.abc import Callable
from typing import Any

from moto.core.utils import utcnow
from moto.ecs.models import EC2ContainerServiceBackend, Service
from moto.moto_api._internal import mock_random

from ...patches.ecs_services import get, put
from .fleet import Fleet, FleetSpec
from .images import ImageNotFound, find

#: What a revision keeps of its service, and what a rollback brings back.
_FIELDS = (
    "capacityProviderStrategy",
    "launchType",
    "loadBalancers",
    "networkConfiguration",
    "platformVersion",
    "serviceConnectConfiguration",
    "serviceRegistries",
    "taskDefinition",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
)


class Revision:
    """A revision of a service with its fleet, as long as it has one, and the share of the traffic it was given."""

    def __init__(self, backend: EC2ContainerServiceBackend, service: Service, on_change: Callable[[], None]) -> None:
        self.backend = backend
        self.service = service
        self.number = str(mock_random.randint(10**18, 10**19 - 1))
        prefix = service.cluster_arn.rpartition(":")[0]
        self.arn = f"{prefix}:service-revision/{service.cluster_name}/{service.name}/{self.number}"
        self.deployment_id = f"ecs-svc/{self.number}"
        self.created_at = utcnow()
        self.updated_at = self.created_at
        self.fields: dict[str, Any] = {field: copy.deepcopy(get(service, field)) for field in _FIELDS}
        self.definition = backend.describe_task_definition(self.fields["taskDefinition"])
        #: Percent of the requests, ``None`` where ECS shifts no traffic.
        self.production_weight: float | None = None
        self.test_weight: float | None = None
        self.rollout_state = "IN_PROGRESS"
        self.rollout_reason = f"ECS deployment {self.deployment_id} in progress."
        #: The group of each load balancer that its tasks are in; those of a rolling deployment have no choice.
        self.target_groups = [
            {name: entry.get(name) for name in ("targetGroupArn", "containerName", "containerPort")}
            for entry in self.fields["loadBalancers"] or []
            if entry.get("targetGroupArn")
        ]
        self._on_change = on_change
        self._fleet: Fleet | None = None
        self._is_stopped = False
        self._forgiven = 0
        self._best_health = 0
        self._digests: dict[str, str | None] = {}

    # Tasks.

    def resize(self, count: int) -> None:
        """Wants so many tasks, in a new fleet if the last one was stopped for good."""
        if self._fleet is None or self._is_stopped:
            if not count:
                return
            self._fleet = Fleet(self.backend, self.service, self._specification(), self._on_change)
            self._is_stopped = False
            self._forgiven = self._best_health = 0
            self.resolve_images()
        self._fleet.resize(count)

    def stop(self) -> None:
        """Stops its tasks for good."""
        if self._fleet is not None and not self._is_stopped:
            self._is_stopped = True
            self._fleet.stop("")

    def _specification(self) -> FleetSpec:
        return FleetSpec(
            task_definition=self.definition,
            network_configuration=self.fields["networkConfiguration"] or {},
            capacity_provider_strategy=self.fields["capacityProviderStrategy"],
            launch_type=self.fields["launchType"],
            platform_version=self.fields["platformVersion"],
            target_groups=self.target_groups,
            grace_seconds=get(self.service, "healthCheckGracePeriodSeconds") or 0,
            deployment_id=self.deployment_id,
            enable_execute_command=bool(get(self.service, "enableExecuteCommand")),
            propagate_tags=get(self.service, "propagateTags"),
            managed_tags=bool(get(self.service, "enableECSManagedTags")),
        )

    @property
    def wanted(self) -> int:
        """Tasks it is to have."""
        return self._fleet.wanted if self._fleet else 0

    @property
    def running(self) -> int:
        """Tasks that run."""
        return self._fleet.running if self._fleet else 0

    @property
    def pending(self) -> int:
        """Tasks on their way to running."""
        return self._fleet.pending if self._fleet else 0

    @property
    def healthy(self) -> int:
        """Running tasks that are healthy, in their target groups too."""
        return self._fleet.healthy if self._fleet else 0

    @property
    def is_gone(self) -> bool:
        """Whether no task of it is left, not even one that is draining or stopping."""
        return self._fleet is None or self._fleet.is_gone

    @property
    def has_fleet(self) -> bool:
        """Whether it has tasks or is to have some, and was not stopped for good."""
        return self._fleet is not None and not self._is_stopped

    def count_failures(self, forgives: bool) -> int:
        """Tasks that failed; a task that became healthy wipes those before it out if the breaker ``forgives``."""
        if self._fleet is None:
            return 0
        if forgives and self._fleet.healthy > self._best_health:
            self._forgiven = self._fleet.failed
        self._best_health = self._fleet.healthy
        return self._fleet.failed - self._forgiven

    @property
    def last_failure(self) -> str:
        """Why the newest failed task stopped, or nothing."""
        return self._fleet.last_failure if self._fleet else ""

    def resolve_images(self) -> None:
        """Finds out which images its tags mean; from then on it keeps to those, whatever the tags come to mean."""
        for container in self.definition.container_definitions:
            if self._digests.get(container["name"]) is None:
                try:
                    self._digests[container["name"]] = find(container["image"]).digest
                except ImageNotFound:
                    continue

    # What a rollback needs.

    def restore(self) -> None:
        """Makes the service again what it was when this revision was deployed."""
        for field, value in self.fields.items():
            put(self.service, field, copy.deepcopy(value))

    def set_rollout(self, state: str, reason: str) -> None:
        """Sets what ``deployments[]`` tells of it."""
        self.rollout_state = state
        self.rollout_reason = reason
        self.updated_at = utcnow()

    # What the API shows.

    def as_deployment(self, status: str, desired: int, failures: int) -> dict:
        """An element of ``Service.deployments``."""
        on_fargate = self.fields["launchType"] != "EC2"
        return {
            "id": self.deployment_id,
            "status": status,
            "taskDefinition": self.fields["taskDefinition"],
            "desiredCount": desired,
            "runningCount": self.running,
            "pendingCount": self.pending,
            "failedTasks": failures,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "networkConfiguration": self.fields["networkConfiguration"] or None,
            "launchType": self.fields["launchType"],
            "capacityProviderStrategy": self.fields["capacityProviderStrategy"],
            "platformFamily": "Linux" if on_fargate else None,
            "platformVersion": "1.4.0" if on_fargate else None,
            "rolloutState": self.rollout_state,
            "rolloutStateReason": self.rollout_reason,
        }

    def as_current(self) -> dict:
        """An element of ``Service.currentServiceRevisions``."""
        return {
            "arn": self.arn,
            "requestedTaskCount": self.wanted,
            "runningTaskCount": self.running,
            "pendingTaskCount": self.pending,
        }

    def as_summary(self) -> dict:
        """The revision inside a service deployment."""
        return {
            **self.as_current(),
            "requestedProductionTrafficWeight": self.production_weight,
            "requestedTestTrafficWeight": self.test_weight,
        }

    def describe(self) -> dict:
        """An element of DescribeServiceRevisions."""
        on_fargate = self.fields["launchType"] != "EC2"
        fields = {name: value for name, value in self.fields.items() if value}
        if on_fargate:
            fields |= {"platformFamily": "Linux", "platformVersion": "1.4.0"}
        described = {
            "serviceRevisionArn": self.arn,
            "serviceArn": self.service.arn,
            "clusterArn": self.service.cluster_arn,
            "createdAt": self.created_at,
            "guardDutyEnabled": False,
            "containerImages": [self._image(container) for container in self.definition.container_definitions],
            **fields,
        }
        if self.target_groups:
            described["resolvedConfiguration"] = {"loadBalancers": self._resolved()}
        return described

    def _resolved(self) -> list[dict]:
        balancers = [entry for entry in self.fields["loadBalancers"] if entry.get("targetGroupArn")]
        return [
            {
                "targetGroupArn": group["targetGroupArn"],
                "productionListenerRule": (entry.get("advancedConfiguration") or {}).get("productionListenerRule"),
            }
            for group, entry in zip(self.target_groups, balancers)
        ]

    def _image(self, container: dict) -> dict:
        name = container["name"]
        return {"containerName": name, "image": container["image"], "imageDigest": self._digests.get(name)}
