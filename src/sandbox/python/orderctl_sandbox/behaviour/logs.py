"""CloudWatch Logs: services write to log groups, and some make the group again when it is gone.

Field guide section 3 "Log groups come back by themselves": Container Insights and RDS write once more after the cluster
is gone; the group they make then has no retention and no tags. A group that has just been deleted cannot be created for
a moment (``OperationAbortedException`` "try again").
"""

from collections.abc import Iterable

from moto.core.utils import unix_time_millis, utcnow
from moto.logs.exceptions import LogsClientError
from moto.logs.models import LogsBackend, logs_backends
from moto.logs.responses import LogsResponse

from .. import durations
from ..clock import CLOCK
from ..patches.patching import wrap


def write(account: str, region: str, group: str, stream: str, lines: Iterable[str], create_group: bool = False) -> bool:
    """Appends lines to a stream, which is made as needed, at the real time of now; says whether there was a group.

    Without the group the lines are lost, unless ``create_group`` says that the writer may make it.
    """
    backend: LogsBackend = logs_backends[account][region]
    if group not in backend.groups:
        if not create_group:
            return False
        backend.create_log_group(group, {})
    log_group = backend.groups[group]
    if stream not in log_group.streams:
        log_group.create_log_stream(stream)
    now = int(unix_time_millis(utcnow()))
    events = [{"timestamp": now, "message": line} for line in lines]
    if events:
        log_group.put_log_events(stream, events)
    return True


def apply() -> None:
    """Keeps the name of a deleted group taken for a moment."""

    def going(backend: LogsBackend) -> set[str]:
        return backend.__dict__.setdefault("_going_groups", set())

    @wrap(LogsBackend, "delete_log_group")
    def delete(original, self, log_group_name: str) -> None:
        original(self, log_group_name)
        names = going(self)
        names.add(log_group_name)
        CLOCK.after(durations.LOG_GROUP_DELETE, lambda: names.discard(log_group_name))

    @wrap(LogsResponse, "create_log_group")
    def create(original, self) -> str:
        if self._get_param("logGroupName") in going(self.logs_backend):
            raise LogsClientError(
                "OperationAbortedException",
                "A conflicting operation is currently in progress against this resource. Please try again.",
            )
        return original(self)
