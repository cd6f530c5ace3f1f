"""The tasks of one service revision: as many as are wanted, replaced when they fail.

Field guide section 4. The scheduler starts and stops tasks, stops those whose health checks fail once their grace period
is over, and pauses longer and longer while tasks keep failing. What it does is told in the service's events.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from moto.ecs.models import EC2ContainerServiceBackend, Service, TaskDefinition

from ...clock import CLOCK, Event
from ...durations import RESTART_PAUSE_FIRST, RESTART_PAUSE_LONGEST, TASK_COUNTS_AS_HEALTHY
from . import stop_reasons
from .capacity import ON_DEMAND, has_room, next_provider, next_subnet
from .service_events import ServiceEvents
from .tasks import LiveTask, Observer, Placement

#: A service with so many failed starts in a row says so in an event.
_INCONSISTENT_AFTER = 3


@dataclass
class FleetSpec:
    """What the tasks of one service revision are made of."""

    task_definition: TaskDefinition
    network_configuration: dict
    capacity_provider_strategy: list[dict] | None = None
    launch_type: str | None = None
    platform_version: str | None = None
    #: The groups its tasks register in: ``targetGroupArn``, ``containerName``, ``containerPort``.
    target_groups: list[dict] = field(default_factory=list)
    grace_seconds: int = 0
    #: ``startedBy`` of its tasks, ``ecs-svc/…``.
    deployment_id: str = ""
    enable_execute_command: bool = False
    propagate_tags: str | None = None
    managed_tags: bool = False


class Fleet(Observer):
    """The tasks of one service revision.

    ``on_change`` is called, never from within a call to the fleet, whenever one of the counts may have changed.
    """

    def __init__(
        self, backend: EC2ContainerServiceBackend, service: Service, revision: FleetSpec, on_change: Callable[[], None]
    ) -> None:
        self.backend = backend
        self.service = service
        self.revision = revision
        self.on_change = on_change
        self.wanted = 0
        #: Tasks that failed since the fleet was made, and starts for which there was no room.
        self.failed = 0
        #: The newest ``stoppedReason`` of a failed task.
        self.last_failure = ""
        #: Tasks that are not STOPPED.
        self.tasks: list[LiveTask] = []
        self._events = ServiceEvents(service)
        self._stop_reason = stop_reasons.scaling(revision.deployment_id)
        self._failures_in_a_row = 0
        #: Tasks whose time to prove themselves runs, and those that have.
        self._watched: set[str] = set()
        self._stayed: set[str] = set()
        self._pause: Event | None = None
        self._is_due = False
        self._is_told = False

    def resize(self, count: int) -> None:
        """Lets the scheduler start or stop tasks until ``count`` are wanted."""
        if count != self.wanted:
            self.wanted = count
            self._schedule()
            self.task_changed()

    def stop(self, reason: str) -> None:
        """Stops all tasks for good, with this ``stoppedReason``; an empty one is that of scaling in."""
        self._stop_reason = reason or self._stop_reason
        self.resize(0)

    @property
    def running(self) -> int:
        """Tasks whose last status is RUNNING."""
        return sum(task.last_status == "RUNNING" for task in self.tasks)

    @property
    def pending(self) -> int:
        """Tasks on their way to RUNNING."""
        return sum(task.desired_status == "RUNNING" and task.last_status != "RUNNING" for task in self.tasks)

    @property
    def healthy(self) -> int:
        """Running tasks whose health checks, if any, have passed and whose targets, if any, are healthy.

        One without either counts when it has run for a while (SDK, ``minimumHealthyPercent``).
        """
        return sum(self._is_healthy(task) for task in self.tasks)

    @property
    def is_gone(self) -> bool:
        """Whether none is wanted and none is left that is not STOPPED."""
        return not self.wanted and not self.tasks

    # --- The scheduler ---

    def _schedule(self) -> None:
        if not self._is_due:
            self._is_due = True
            CLOCK.after(0, self._reconcile)

    def _reconcile(self) -> None:
        self._is_due = False
        if self.service.cluster_name not in self.backend.clusters:
            # The whole account was reset.
            return
        staying = [task for task in self.tasks if task.desired_status == "RUNNING"]
        if len(staying) > self.wanted:
            for task in self._least_useful(staying)[: len(staying) - self.wanted]:
                task.stop(self._stop_reason, stop_reasons.SCHEDULER)
        elif self._pause is None:
            for _ in range(self.wanted - len(staying)):
                if not self._start_one():
                    break

    def _least_useful(self, staying: list[LiveTask]) -> list[LiveTask]:
        """Those that do not run, then those that are not healthy, then the oldest of the zones with the most tasks."""
        by_zone: dict[str | None, list[LiveTask]] = {}
        for task in staying:
            by_zone.setdefault(task.availability_zone, []).append(task)
        newer_in_zone = {task.id: len(group) - index for group in by_zone.values() for index, task in enumerate(group)}
        return sorted(
            staying, key=lambda task: (task.last_status == "RUNNING", self._is_healthy(task), -newer_in_zone[task.id])
        )

    def _start_one(self) -> bool:
        spec = self.revision
        staying = [task for task in self.tasks if task.desired_status == "RUNNING"]
        provider = None
        if spec.capacity_provider_strategy:
            provider = next_provider(spec.capacity_provider_strategy, (task.capacity_provider_name for task in staying))
        obstacle = self._no_room_for(provider)
        if obstacle:
            self._events.say(f"was unable to place a task{obstacle}")
            self._failed()
            return False
        subnets = spec.network_configuration["awsvpcConfiguration"]["subnets"]
        placement = Placement(
            network_configuration=spec.network_configuration,
            subnet_id=next_subnet(subnets, (task.subnet_id for task in staying)),
            capacity_provider_name=provider,
            platform_version=spec.platform_version,
            group=f"service:{self.service.name}",
            started_by=spec.deployment_id,
            tags=self._tags(),
            enable_execute_command=spec.enable_execute_command,
            target_groups=spec.target_groups,
        )
        cluster = self.backend.clusters[self.service.cluster_name]
        task = LiveTask(self.backend, cluster, spec.task_definition, placement, self)
        self.tasks.append(task)
        self._events.started(task.id)
        task.begin()
        return True

    def _no_room_for(self, provider: str | None) -> str | None:
        """Why no task can be started on Fargate now, as the end of a sentence."""
        spec = self.revision
        if provider is None and spec.launch_type != "FARGATE":
            return (
                " because no container instance met all of its requirements. Reason: No Container Instances were found in "
                "your cluster."
            )
        if "awsvpcConfiguration" not in (spec.network_configuration or {}):
            return ". Reason: Network Configuration must be provided when networkMode 'awsvpc' is specified."
        if not has_room(self.backend, provider or ON_DEMAND, spec.task_definition):
            return ". Reason: You've reached the limit on the number of vCPUs you can run concurrently."
        return None

    def _tags(self) -> list[dict]:
        source = {"SERVICE": self.service.tags, "TASK_DEFINITION": self.revision.task_definition.tags}
        tags = list(source.get(self.revision.propagate_tags or "NONE") or [])
        if self.revision.managed_tags:
            tags.append({"key": "aws:ecs:serviceName", "value": self.service.name})
            tags.append({"key": "aws:ecs:clusterName", "value": self.service.cluster_name})
        return tags

    def _failed(self, was_sound: bool = False) -> None:
        """Counts a failure and pauses: longer each time, unless the task had run well for a while before."""
        self.failed += 1
        if was_sound:
            self._failures_in_a_row = 0
        if self._pause is None:
            pause = min(RESTART_PAUSE_FIRST * 2**self._failures_in_a_row, RESTART_PAUSE_LONGEST)
            self._failures_in_a_row = min(self._failures_in_a_row + 1, 30)
            # Tasks that have failed so often that the pause grows no more will most likely fail for ever.
            set_clock = CLOCK.after if pause < RESTART_PAUSE_LONGEST else CLOCK.again
            self._pause = set_clock(pause, self._resume)
            if self._failures_in_a_row >= _INCONSISTENT_AFTER:
                self._events.say(
                    "is unable to consistently start tasks successfully. For more information, see the Troubleshooting "
                    "section of the Amazon ECS Developer Guide."
                )
        self.task_changed()

    def _resume(self) -> None:
        self._pause = None
        self._schedule()

    # --- Health ---

    def _is_healthy(self, task: LiveTask) -> bool:
        if task.last_status != "RUNNING":
            return False
        is_checked = any(container.is_essential and container.definition.get("healthCheck") for container in task.containers)
        if is_checked and task.health_status != "HEALTHY":
            return False
        states = [task.targets.get(group["targetGroupArn"]) for group in self.revision.target_groups]
        if not states:
            # Nobody checks it, so it has to prove itself by staying.
            return is_checked or task.id in self._stayed
        return all(target is not None and target.state == "healthy" for target in states)

    def _watch_whether_it_stays(self, task: LiveTask) -> None:
        if task.last_status == "RUNNING" and task.id not in self._watched:
            self._watched.add(task.id)
            CLOCK.after(TASK_COUNTS_AS_HEALTHY, lambda: self._stays(task))
        elif task.last_status == "STOPPED":
            self._watched.discard(task.id)
            self._stayed.discard(task.id)

    def _stays(self, task: LiveTask) -> None:
        if task.last_status == "RUNNING":
            self._stayed.add(task.id)
            self.task_changed()

    def _judge(self, task: LiveTask) -> None:
        """Stops a task whose health checks fail, once its grace period is over."""
        if task.last_status != "RUNNING" or task.desired_status == "STOPPED":
            return
        sick = next((target for target in task.targets.values() if target.state == "unhealthy"), None)
        if sick is None and task.health_status != "UNHEALTHY":
            return
        grace = task.running_since + self.revision.grace_seconds - CLOCK.now()
        if grace > 0:
            CLOCK.after(grace, lambda: self._judge(task))
            return
        if sick is not None:
            arn = sick.group.arn
            self._events.say(
                f"(task {task.id}) (port {sick.port}) is unhealthy in (target-group {arn}) due to "
                f"(reason {sick.description})."
            )
            reason = stop_reasons.failed_target_health(arn)
        else:
            self._events.say(f"(task {task.id}) failed container health checks.")
            reason = stop_reasons.FAILED_CONTAINER_HEALTH
        self.last_failure = reason
        task.stop(reason, stop_reasons.SCHEDULER)
        self._failed(self._was_sound(task))

    def _was_sound(self, task: LiveTask) -> bool:
        return task.running_since is not None and CLOCK.now() - task.running_since >= RESTART_PAUSE_LONGEST

    # --- What the tasks report ---

    def task_changed(self, task: LiveTask | None = None) -> None:
        if task is not None:
            if task.last_status == "STOPPED" and task in self.tasks:
                self.tasks.remove(task)
            self._watch_whether_it_stays(task)
            self._judge(task)
            if task.desired_status == "STOPPED":
                self._schedule()
        if not self._is_told:
            self._is_told = True
            CLOCK.after(0, self._tell)

    def _tell(self) -> None:
        self._is_told = False
        self.on_change()

    def task_failed(self, task: LiveTask) -> None:
        self.last_failure = task.stopped_reason or ""
        if self.last_failure.startswith("ECS was unable to assume the role"):
            self._events.say(f"failed to launch a task with (error {self.last_failure})")
        self._failed(self._was_sound(task))

    def target_registered(self, task: LiveTask, group_arn: str) -> None:
        self._events.registered(group_arn)

    def target_refused(self, task: LiveTask, group_arn: str) -> None:
        self._events.say(
            f"failed to register targets in (target-group {group_arn}) with (error One or more target groups not found)"
        )

    def target_leaves(self, task: LiveTask, group_arn: str) -> None:
        self._events.deregistered(task.id, group_arn)

    def task_ended(self, task: LiveTask) -> None:
        self._events.stopped(task.id)
