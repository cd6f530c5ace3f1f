"""The containers of a task: their state, their health checks and what they write to their logs.

Field guide section 4: a container's health is ``UNKNOWN`` until its health check has passed once (``HEALTHY``) or has
failed ``retries`` times in a row after ``startPeriod`` (``UNHEALTHY``); without a check it stays ``UNKNOWN``.
"""

import json
from collections.abc import Callable, Iterable
from uuid import uuid4

from ...durations import SLOW_START
from .. import logs
from .images import Behaviour
from .obstacles import log_options


class TaskContainer:
    """One container of a task, in the attribute names that moto's serializer looks for."""

    def __init__(self, definition: dict, task_arn: str) -> None:
        self.definition = definition
        self.task_arn = task_arn
        self.container_arn = f"{task_arn.replace(':task/', ':container/')}/{uuid4()}"
        self.name = definition["name"]
        self.image = definition["image"]
        self.image_digest: str | None = None
        self.runtime_id: str | None = None
        self.last_status = "PENDING"
        self.exit_code: int | None = None
        self.reason: str | None = None
        self.health_status = "UNKNOWN"
        self.cpu = str(definition.get("cpu", 0))
        self.memory = str(definition["memory"]) if definition.get("memory") else None
        reservation = definition.get("memoryReservation")
        self.memory_reservation = str(reservation) if reservation else None
        self.network_interfaces: list[dict] = []
        #: How the program in it behaves; known once the image is pulled.
        self.behaviour = Behaviour.WELL

    @property
    def is_essential(self) -> bool:
        """Whether its end is the end of the task."""
        return self.definition.get("essential", True)

    def start(self, task_id: str) -> None:
        """Sets the program going and writes its first lines."""
        self.last_status = "RUNNING"
        self.runtime_id = f"{task_id}-{uuid4().int % 10**10:010d}"
        lines = [("info", "starting")]
        if self.behaviour is not Behaviour.CRASH:
            mappings = self.definition.get("portMappings", [])
            lines += [("info", f"listening on {item['containerPort']}") for item in mappings if "containerPort" in item]
        if self.behaviour is Behaviour.SLOW:
            lines.append(("info", "warming up, health checks have to wait"))
        if self.behaviour is Behaviour.UNHEALTHY:
            lines.append(("error", "health check answered 503: not able to serve"))
        self._write(task_id, lines)

    def crash(self, task_id: str) -> None:
        """Ends the program with code 1, after it has written why."""
        self._write(task_id, [("fatal", "unrecoverable error during start-up, exiting with code 1")])
        self.end(1)

    def end(self, exit_code: int | None, reason: str | None = None) -> None:
        """Stops the container; one that never ran has no exit code. The first end counts."""
        if self.last_status != "STOPPED":
            ran = self.last_status == "RUNNING"
            self.last_status = "STOPPED"
            self.exit_code = exit_code if ran else None
            self.reason = reason

    def verdict(self) -> tuple[float, str] | None:
        """When the health check decides, in seconds from the start, and what; None without a check or before a crash."""
        check = self.definition.get("healthCheck")
        if not check or self.behaviour is Behaviour.CRASH:
            return None
        interval = float(check["interval"])
        if self.behaviour is Behaviour.UNHEALTHY:
            return float(check.get("startPeriod") or 0) + interval * int(check["retries"]), "UNHEALTHY"
        return interval + (SLOW_START if self.behaviour is Behaviour.SLOW else 0.0), "HEALTHY"

    def _write(self, task_id: str, lines: Iterable[tuple[str, str]]) -> None:
        options = log_options(self.definition)
        if options is None:
            return
        account = self.task_arn.split(":")[4]
        prefix = options.get("awslogs-stream-prefix")
        stream = f"{prefix}/{self.name}/{task_id}" if prefix else task_id
        messages = [json.dumps({"level": level, "message": message}) for level, message in lines]
        may_create = options.get("awslogs-create-group") == "true"
        logs.write(account, options["awslogs-region"], options["awslogs-group"], stream, messages, create_group=may_create)


def overall_health(containers: Iterable[TaskContainer]) -> str:
    """The task's health: that of its essential containers with a health check, the worst first."""
    checked = {c.health_status for c in containers if c.is_essential and c.definition.get("healthCheck")}
    return next((status for status in ("UNHEALTHY", "UNKNOWN", "HEALTHY") if status in checked), "UNKNOWN")


def watch(container: TaskContainer, later: Callable[[float, Callable[[], None]], None], changed: Callable[[], None]) -> None:
    """Lets a started container's health check decide in its time; ``changed`` hears of it."""
    verdict = container.verdict()
    if verdict is None:
        return
    seconds, status = verdict

    def decide() -> None:
        container.health_status = status
        changed()

    later(seconds, decide)
