"""The log of AWS calls, in the order in which they were applied."""

import threading
import time
from collections import deque
from datetime import datetime, timezone
from itertools import islice
from typing import Any

#: How many calls are kept; the oldest go first.
CAPACITY = 100_000


class Call:
    """One AWS call, from when it comes in until its answer leaves."""

    def __init__(self, service: str, operation: str, writes: bool) -> None:
        self.service = service
        self.operation = operation
        #: Whether the operation changes something, whatever becomes of this call.
        self.writes = writes
        self.index: int | None = None
        self.sandbox_time: float | None = None
        self.status: int | None = None
        self.error: str | None = None
        self.applied = False
        self.fault: int | None = None
        self.start = datetime.now(timezone.utc)
        self.end: datetime | None = None
        self.milliseconds: float | None = None
        self._began = time.monotonic()

    def finish(self, status: int | None, error: str | None) -> None:
        """Notes what the client is about to be sent; no status is a closed connection."""
        self.status = status
        self.error = error
        self.milliseconds = round((time.monotonic() - self._began) * 1000, 3)
        self.end = datetime.now(timezone.utc)

    def as_json(self) -> dict[str, Any]:
        """The call as the log shows it."""
        return {
            "index": self.index,
            "time": self.start.isoformat(),
            "end": self.end and self.end.isoformat(),
            "milliseconds": self.milliseconds,
            "sandbox_time": self.sandbox_time,
            "service": self.service,
            "operation": self.operation,
            "status": self.status,
            "error": self.error,
            "wrote": self.writes and self.applied,
            "fault": self.fault,
            "in_flight": self.end is None,
        }


class CallLog:
    """The calls since the start or since it was emptied. Safe to use from all threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=capacity)
        self._next = 0

    def enter(self, call: Call, sandbox_time: float) -> None:
        """Gives the call its place. Whoever calls it holds the lock under which moto works, so that places are true."""
        with self._lock:
            call.index = self._next
            call.sandbox_time = sandbox_time
            self._next += 1
            self._calls.append(call)

    def finish(self, call: Call, status: int | None, error: str | None) -> None:
        """Notes what the client of a call that has its place is about to be sent."""
        with self._lock:
            call.finish(status, error)

    def since(self, index: int) -> dict[str, Any]:
        """The calls from this index on, and the index to ask with the next time."""
        with self._lock:
            first = self._next - len(self._calls)
            calls = [call.as_json() for call in islice(self._calls, max(index - first, 0), None)]
            following = next((call["index"] for call in calls if call["in_flight"]), self._next)
            return {"first": first, "next": following, "calls": calls}

    def clear(self) -> None:
        """Forgets all calls and begins to count anew."""
        with self._lock:
            self._calls.clear()
            self._next = 0
