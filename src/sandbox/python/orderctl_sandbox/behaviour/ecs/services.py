"""Services: how many tasks they have, which deployment they are in, and how they go away.

Field guide section 4 "Service" (rows "Create", "Update triggers a deployment", "Delete", "Gone") and section 1 rule 6:
the tasks of a service are the fleets of its revisions; a change of the desired count needs no deployment; a deleted
service is ``DRAINING`` until its last task is gone, and ``INACTIVE`` for a while after that.
"""

import copy

from moto.ecs.exceptions import InvalidParameterException, ServiceNotFoundException
from moto.ecs.models import EC2ContainerServiceBackend, Service, TaskDefinition

from ... import consistency
from ...clock import CLOCK
from ...durations import ECS_TOMBSTONE
from ...patches import ecs_services
from ...patches.ecs_clusters import complete_strategy
from ...patches.ecs_services import add_event, get, merge_deployment_configuration
from ...patches.patching import replace, wrap
from . import configuration
from .deployments import ServiceDeployment
from .groups import GroupPair, pairs_of
from .revisions import Revision
from .rolling import RollingDeployment
from .stages import StagedDeployment


class ServiceLife:
    """What happens to one service whose deployments are ECS's own business."""

    def __init__(self, backend: EC2ContainerServiceBackend, service: Service) -> None:
        self.backend = backend
        self.service = service
        #: The last revision that was deployed successfully.
        self.current: Revision | None = None
        #: The revision that the service is on its way to.
        self.primary: Revision | None = None
        self.revisions: list[Revision] = []
        self.deployments: list[ServiceDeployment] = []
        self._is_steady = False
        self._pairs_to_leave: list[GroupPair] = []
        self._is_stuck = False

    @property
    def ongoing(self) -> ServiceDeployment | None:
        """The deployment that has not ended, if there is one."""
        return next((deployment for deployment in self.deployments if deployment.is_ongoing), None)

    def begin(self) -> None:
        """Starts a deployment of what the service holds now; one that is under way ends where it stands."""
        if self.ongoing is not None:
            self.ongoing.abort("Service deployment stopped because a new service deployment was started.")
        others = [self.current] if self.current else []
        superseded = [revision for revision in self.revisions if revision is not self.current and revision.has_fleet]
        target = Revision(self.backend, self.service, self.changed)
        self.revisions.append(target)
        self.primary = target
        strategy = self.service.deployment_configuration["strategy"]
        kind = RollingDeployment if strategy == "ROLLING" else StagedDeployment
        self.deployments.append(kind(self, target, others, superseded))
        self._is_steady = False
        self.refresh()

    def resize(self) -> None:
        """Follows a change of the desired count."""
        desired = self.service.desired_count
        if self.ongoing is not None:
            self.ongoing.resize()
        else:
            for revision in self.revisions:
                if revision is self.primary and self._has_failed_to_start():
                    revision.resize(min(revision.wanted, desired))
                elif revision is self.primary or (revision.has_fleet and revision.production_weight):
                    revision.resize(desired)
        self.refresh()

    def _has_failed_to_start(self) -> bool:
        # Only the circuit breaker keeps ECS from starting tasks.
        last = self.deployments[-1]
        is_tripped = isinstance(last, RollingDeployment) and last.circuit_breaker()["status"] == "TRIGGERED"
        return is_tripped and last.target is self.primary

    def changed(self) -> None:
        """Takes note of a change of its tasks."""
        for revision in self.revisions:
            if revision.running:
                revision.resolve_images()
        if self.service.status == "DRAINING":
            self.end_if_gone()
        elif self.ongoing is not None:
            self.ongoing.progress()
        self.refresh()

    def refresh(self) -> None:
        """Writes what DescribeServices shows of the tasks and the deployments."""
        service = self.service
        service.running_count = sum(revision.running for revision in self.revisions)
        service.pending_count = sum(revision.pending for revision in self.revisions)
        shown = [revision for revision in reversed(self.revisions) if revision is not self.primary]
        shown = [revision for revision in shown if revision.wanted or not revision.is_gone]
        service.deployments = [
            revision.as_deployment("ACTIVE", revision.wanted, self._failures(revision)) for revision in shown
        ]
        if self.primary is not None:
            first = self.primary.as_deployment("PRIMARY", service.desired_count, self._failures(self.primary))
            service.deployments.insert(0, first)
            shown.insert(0, self.primary)
        service.current_service_revisions = [revision.as_current() for revision in shown]
        service.current_service_deployment = self.deployments[-1].arn if self.deployments else None
        self._notice_steady_state()

    def _failures(self, revision: Revision) -> int:
        deployment = next((item for item in reversed(self.deployments) if item.target is revision), None)
        return deployment.failures() if deployment else 0

    def _notice_steady_state(self) -> None:
        if self.primary is None or self.service.status != "ACTIVE" or self.ongoing is not None:
            return
        desired = self.service.desired_count
        is_steady = (
            self.primary.healthy == self.primary.running == desired
            and self.primary.rollout_state == "COMPLETED"
            and self.service.running_count == desired
            and not self.service.pending_count
        )
        if is_steady and not self._is_steady:
            add_event(self.service, "has reached a steady state.")
        self._is_steady = is_steady

    # The end.

    def delete(self) -> None:
        """Drains the service: no task is wanted any more."""
        self.service.status = "DRAINING"
        self.service.desired_count = 0
        if self.ongoing is not None:
            self.ongoing.abort("Service deployment stopped because the service was deleted.")
        for revision in self.revisions:
            revision.stop()
        going = [revision for revision in self.revisions if not revision.is_gone]
        self._pairs_to_leave = [pair for revision in going for pair in pairs_of(revision)]
        self.refresh()
        CLOCK.after(0, self.end_if_gone)

    def end_if_gone(self) -> None:
        """Ends the draining when the last task is gone, unless ECS cannot take the targets out of their groups.

        Field guide section 4, row "Trap": without its infrastructure role a service drains for ever.
        """
        if self.service.status != "DRAINING" or not all(revision.is_gone for revision in self.revisions):
            return
        problem = next(filter(None, (pair.role_problem(self.backend.account_id) for pair in self._pairs_to_leave)), None)
        if problem:
            if not self._is_stuck:
                add_event(self.service, f"failed to deregister targets: {problem}")
            self._is_stuck = True
            return
        self.service.status = "INACTIVE"
        self.primary = self.current = None
        self.revisions = []
        self.deployments = []
        self.refresh()
        consistency.forget(self.service.arn)
        CLOCK.deadline(ECS_TOMBSTONE, self._forget)

    def _forget(self) -> None:
        key = f"{self.service.cluster_name}:{self.service.name}"
        if self.backend.services.get(key) is self.service:
            del self.backend.services[key]


def life_of(service: Service) -> ServiceLife | None:
    """The life of a service, or nothing where somebody else deploys it."""
    return getattr(service, "life", None)


def _check_capacity(service: Service, request: dict) -> None:
    strategy = request.get("capacityProviderStrategy")
    if strategy is None or request.get("forceNewDeployment"):
        return
    if complete_strategy(strategy) != (service.capacity_provider_strategy or []):
        raise InvalidParameterException(
            "When switching from launch type to capacity provider strategy on an existing service, or making a change to a "
            "capacity provider strategy on a service that is already using one, you must force a new deployment."
        )


def apply() -> None:
    """Fills the seams of `patches.ecs_services`."""

    @replace(ecs_services)
    def check(
        backend: EC2ContainerServiceBackend, service: Service | None, request: dict, definition: TaskDefinition | None
    ) -> None:
        if (request.get("desiredCount") or 0) < 0:
            raise InvalidParameterException("desiredCount must be non-negative.")
        current = get(service, "deploymentConfiguration") if service else {}
        given = request.get("deploymentConfiguration") or {}
        merged = merge_deployment_configuration(current, copy.deepcopy(given))
        controller = (request.get("deploymentController") or {}).get("type", "ECS")
        if service is not None:
            controller = service.deployment_controller["type"]
            _check_capacity(service, request)
        if given:
            configuration.check_deployment_configuration(given, current, merged, controller)
        if service is None and definition is not None and definition.network_mode == "awsvpc":
            if not request.get("networkConfiguration"):
                raise InvalidParameterException(
                    "Network Configuration must be provided when networkMode 'awsvpc' is specified."
                )
        balancers = request.get("loadBalancers")
        if balancers and controller == "ECS":
            if definition is None and service is not None:
                definition = backend.describe_task_definition(service.task_definition)
            configuration.check_load_balancers(backend, balancers, merged["strategy"], definition)
        elif service is not None and given.get("strategy"):
            configuration.check_strategy(service.load_balancers, given["strategy"])
        if service is None:
            configuration.check_role(backend, request.get("role"))

    @replace(ecs_services)
    def begin_deployment(backend: EC2ContainerServiceBackend, service: Service) -> None:
        if life_of(service) is None:
            consistency.created(service.arn)
            if service.deployment_controller["type"] == "ECS" and service.task_definition:
                service.life = ServiceLife(backend, service)
        if life_of(service) is None:
            service.running_count = service.desired_count
        else:
            service.life.begin()

    @replace(ecs_services)
    def resize(backend: EC2ContainerServiceBackend, service: Service) -> None:
        if life_of(service) is None:
            service.running_count = service.desired_count
        else:
            service.life.resize()

    @replace(ecs_services)
    def delete(backend: EC2ContainerServiceBackend, service: Service, force: bool) -> None:
        if service.status == "DRAINING":
            return
        if service.desired_count > 0 and not force and service.scheduling_strategy == "REPLICA":
            raise InvalidParameterException("The service cannot be stopped while it is scaled above 0.")
        life = life_of(service)
        if life is None:
            service.desired_count = service.running_count = 0
            service.status = "INACTIVE"
            return
        if life.ongoing is not None and not force:
            raise InvalidParameterException("The service cannot be stopped while deployments are active.")
        life.delete()

    _apply_reads()


def _apply_reads() -> None:
    @wrap(EC2ContainerServiceBackend, "_get_service")
    def not_yet_known(original, self, cluster_str, service_str):
        service = original(self, cluster_str, service_str)
        if consistency.misses(service.arn):
            raise ServiceNotFoundException
        return service

    @wrap(EC2ContainerServiceBackend, "list_services")
    def without_the_newest(original, self, *arguments, **named):
        return [arn for arn in original(self, *arguments, **named) if not consistency.misses(arn)]

    @wrap(EC2ContainerServiceBackend, "describe_services")
    def as_of_now(original, self, cluster_str, service_names_or_arns):
        services, failures = original(self, cluster_str, service_names_or_arns)
        known = [service for service in services if not consistency.misses(service.arn)]
        failures += [{"arn": service.arn, "reason": "MISSING"} for service in services if service not in known]
        for service in known:
            if life_of(service) is not None:
                service.life.end_if_gone()
                service.life.refresh()
        return known, failures
