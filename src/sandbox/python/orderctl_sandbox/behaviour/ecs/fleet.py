"""The tasks of one service revision: as many as are wanted, replaced when they fail."""

from collections.abc import Callable
from dataclasses import dataclass, field

from moto.ecs.models import EC2ContainerServiceBackend, Service, TaskDefinition

from ...clock import CLOCK, Event
from ...durations import TASK_ACTIVATE, TASK_DEPROVISION, TASK_PROVISION, TASK_PULL, TASK_STOP


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


class _Slot:
    """One task, reduced to whether it runs."""

    def __init__(self) -> None:
        self.status = "PENDING"
        self.event: Event | None = None


class Fleet:
    """The tasks of one service revision.

    ``on_change`` is called, never from within a call to the fleet, whenever one of the counts has changed.
    """

    def __init__(
        self, backend: EC2ContainerServiceBackend, service: Service, revision: FleetSpec, on_change: Callable[[], None]
    ) -> None:
        self.backend = backend
        self.service = service
        self.revision = revision
        self.on_change = on_change
        self.wanted = 0
        self.failed = 0
        self.last_failure = ""
        self._slots: list[_Slot] = []
        self._told = False

    def resize(self, count: int) -> None:
        """Starts or stops tasks until ``count`` are wanted."""
        self.wanted = count
        while len(self._alive()) < count:
            slot = _Slot()
            self._slots.append(slot)
            slot.event = CLOCK.after(TASK_PROVISION + TASK_PULL + TASK_ACTIVATE, lambda slot=slot: self._run(slot))
        for slot in self._alive()[count:]:
            slot.status = "STOPPING"
            slot.event.cancel()
            CLOCK.after(TASK_STOP + TASK_DEPROVISION, lambda slot=slot: self._gone(slot))
        self._changed()

    def stop(self, reason: str) -> None:
        """Stops all tasks for good, with this ``stoppedReason``."""
        self.resize(0)

    @property
    def running(self) -> int:
        """Tasks whose last status is RUNNING."""
        return sum(slot.status == "RUNNING" for slot in self._slots)

    @property
    def pending(self) -> int:
        """Tasks on their way to RUNNING."""
        return sum(slot.status == "PENDING" for slot in self._slots)

    @property
    def healthy(self) -> int:
        """Running tasks whose container is not UNHEALTHY and whose targets are healthy."""
        return self.running

    @property
    def is_gone(self) -> bool:
        """Whether none is wanted and none is left that is not STOPPED."""
        return not self.wanted and not self._slots

    def _alive(self) -> list[_Slot]:
        return [slot for slot in self._slots if slot.status != "STOPPING"]

    def _run(self, slot: _Slot) -> None:
        slot.status = "RUNNING"
        self._changed()

    def _gone(self, slot: _Slot) -> None:
        self._slots.remove(slot)
        self._changed()

    def _changed(self) -> None:
        if not self._told:
            self._told = True
            CLOCK.after(0, self._tell)

    def _tell(self) -> None:
        self._told = False
        self.on_change()
