"""What a scheduler tells in a service's events, in AWS's words; what happens at one moment is told in one event."""

from moto.ecs.models import Service

from ...clock import CLOCK
from ...patches.ecs_services import add_event


class ServiceEvents:
    """Collects what happens to a service's tasks and tells it, oldest first."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._messages: list[str] = []
        self._started: list[str] = []
        self._stopped: list[str] = []
        self._draining: set[str] = set()
        self._registered: dict[str, int] = {}
        self._deregistered: dict[str, int] = {}
        self._is_due = False

    def say(self, message: str) -> None:
        """Something else is to be told."""
        self._messages.append(message)
        self._tell_soon()

    def started(self, task_id: str) -> None:
        """A task was started."""
        self._started.append(task_id)
        self._tell_soon()

    def stopped(self, task_id: str) -> None:
        """A task was told to end."""
        self._stopped.append(task_id)
        self._tell_soon()

    def registered(self, group_arn: str) -> None:
        """A target was registered."""
        self._registered[group_arn] = self._registered.get(group_arn, 0) + 1
        self._tell_soon()

    def deregistered(self, task_id: str, group_arn: str) -> None:
        """A task was taken out of a target group and drains."""
        self._draining.add(task_id)
        self._deregistered[group_arn] = self._deregistered.get(group_arn, 0) + 1
        self._tell_soon()

    def _tell_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            CLOCK.after(0, self._tell)

    def _tell(self) -> None:
        self._is_due = False
        for message in self._messages:
            add_event(self._service, message)
        if self._draining:
            add_event(self._service, f"has begun draining connections on {len(self._draining)} tasks.")
        for group, count in self._deregistered.items():
            add_event(self._service, f"deregistered {count} targets in (target-group {group})")
        if self._stopped:
            add_event(self._service, f"has stopped {len(self._stopped)} running tasks: {_names(self._stopped)}.")
        if self._started:
            add_event(self._service, f"has started {len(self._started)} tasks: {_names(self._started)}.")
        for group, count in self._registered.items():
            add_event(self._service, f"registered {count} targets in (target-group {group})")
        everything = (self._messages, self._started, self._stopped, self._draining, self._registered, self._deregistered)
        for collected in everything:
            collected.clear()


def _names(identifiers: list[str]) -> str:
    return " ".join(f"(task {identifier})" for identifier in identifiers)
