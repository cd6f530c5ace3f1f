"""Faults: which calls go wrong, and the calls that are held on the way.

Nothing here is left to chance: a fault decides call by call, in the order in which calls come in, by counting or by a
seeded generator of its own.
"""

import random
import threading
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

from .calls import Call
from .checks import BadRequest, NotFound, check_names, number, text, truth, whole_number
from .operations import operations_of, signing_name

ACTIONS = (
    "throttle",
    "error-before",
    "error-after",
    "drop-before",
    "drop-after",
    "deny",
    "quote",
    "delay",
    "hold-before",
    "hold-after",
    "hold-both",
)

_NAMES = ("action", "service", "operation", "writes", "nth", "times", "probability", "seed", "seconds")

#: The longest that ``delay`` waits, in real seconds.
_LONGEST_DELAY = 600

#: How many real seconds a released call may take until it is done.
_LONGEST_END = 60


class Fault:
    """One kind of mishap, the calls it is about, and which of those it hits."""

    def __init__(self, identifier: int, request: dict[str, Any]) -> None:
        check_names(request, _NAMES)
        self.id = identifier
        self.action = text(request, "action")
        if self.action not in ACTIONS:
            raise BadRequest(f"'action' is {self.action!r}; it has to be one of {', '.join(ACTIONS)}")
        self.service = text(request, "service")
        self.operation = text(request, "operation")
        _check_target(self.service, self.operation)
        self.writes = truth(request, "writes")
        self.probability = number(request, "probability", None, 0, 1)
        if self.probability is not None and "nth" in request:
            raise BadRequest("a fault has either 'nth' or 'probability'")
        if self.probability is None and "seed" in request:
            raise BadRequest("'seed' belongs to 'probability'")
        self.nth = whole_number(request, "nth", 1, 1)
        self.times = whole_number(request, "times", 1 if self.probability is None else 0, 0)
        self.seed = whole_number(request, "seed", 0, 0)
        self.seconds = number(request, "seconds", None, 0, _LONGEST_DELAY)
        if (self.action == "delay") != (self.seconds is not None):
            raise BadRequest("'delay' needs 'seconds', and nothing else has them")
        self._random = random.Random(self.seed)
        self.matched = 0
        self.hits = 0
        self.is_removed = False

    def strikes(self, call: Call) -> bool:
        """Counts the call if it is about it, and says whether it hits it."""
        if self.service not in (None, call.service) or self.writes not in (None, call.writes):
            return False
        if self.operation is not None and not fnmatchcase(call.operation, self.operation):
            return False
        self.matched += 1
        if self.probability is None:
            hit = self.matched >= self.nth
        else:
            # Drawn even when the fault is used up, so that the same call always meets the same number.
            hit = self._random.random() < self.probability
        if not hit or (self.times and self.hits >= self.times):
            return False
        self.hits += 1
        return True

    def as_json(self) -> dict[str, Any]:
        """The fault as it is listed."""
        chosen = {"nth": self.nth} if self.probability is None else {"probability": self.probability, "seed": self.seed}
        return {
            "id": self.id,
            "action": self.action,
            "service": self.service,
            "operation": self.operation,
            "writes": self.writes,
            **chosen,
            "times": self.times,
            "seconds": self.seconds,
            "matched": self.matched,
            "hits": self.hits,
        }


def _check_target(service: str | None, operation: str | None) -> None:
    """Refuses names that no call can have: a misspelt fault would never hit, and its test pass for nothing."""
    if service is None:
        return
    known = operations_of(service)
    signed_as = signing_name(service)
    if signed_as not in (None, service):
        raise BadRequest(f"calls of '{service}' are signed for '{signed_as}', which is its name here")
    if not known:
        raise BadRequest(f"there is no service '{service}'; names are those that calls are signed for, as ec2 or rds")
    if operation is not None and not any(fnmatchcase(name, operation) for name in known):
        raise BadRequest(f"{service} has no operation '{operation}'; names are AWS's own, as CreateVpc, or patterns")


class _Held:
    def __init__(self, call: Call, fault: Fault, point: str) -> None:
        self.call = call
        self.fault = fault
        self.point = point
        self.since = datetime.now(timezone.utc)
        #: How it goes on, once released.
        self.goes_on: bool | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "fault": self.fault.id,
            "service": self.call.service,
            "operation": self.call.operation,
            "point": self.point,
            "since": self.since.isoformat(),
        }


class Faults:
    """All faults and all held calls. Safe to use from all threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._faults: list[Fault] = []
        self._held: list[_Held] = []
        self._last_id = 0

    def add(self, request: dict[str, Any]) -> dict[str, Any]:
        """Adds the fault described; raises ``BadRequest`` for what makes no sense."""
        with self._changed:
            fault = Fault(self._last_id + 1, request)
            self._last_id = fault.id
            self._faults.append(fault)
            return fault.as_json()

    def as_json(self) -> dict[str, Any]:
        """The faults in the order in which they are asked."""
        with self._changed:
            return {"faults": [fault.as_json() for fault in self._faults]}

    def remove(self, identifier: int | None) -> dict[str, Any]:
        """Removes one fault, or all; what they hold goes on."""
        with self._changed:
            removed = [fault for fault in self._faults if identifier in (None, fault.id)]
            if identifier is not None and not removed:
                raise NotFound(f"there is no fault {identifier}")
            for fault in removed:
                fault.is_removed = True
                self._faults.remove(fault)
            self._let_go(identifier, goes_on=True)
            return {"removed": [fault.id for fault in removed]}

    def note_end(self) -> None:
        """Says that a call which a fault has hit is done and has its place in the log."""
        with self._changed:
            self._changed.notify_all()

    def strike(self, call: Call) -> Fault | None:
        """The fault that hits this call, if any. Called once for every call, in the order in which they come in."""
        with self._changed:
            fault = next((fault for fault in self._faults if fault.strikes(call)), None)
            call.fault = fault and fault.id
            return fault

    def hold(self, call: Call, fault: Fault, point: str) -> bool:
        """Waits until the call is released. Returns whether it goes on; otherwise its connection is to be closed."""
        with self._changed:
            if fault.is_removed:
                return True
            held = _Held(call, fault, point)
            self._held.append(held)
            self._changed.notify_all()
            self._changed.wait_for(lambda: held.goes_on is not None)
            return bool(held.goes_on)

    def held(self, count: int, seconds: float) -> dict[str, Any]:
        """The held calls, as soon as there are so many, at the latest after so many real seconds."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._held) >= count, seconds)
            return {"held": [held.as_json() for held in self._held]}

    def release(self, request: dict[str, Any]) -> dict[str, Any]:
        """Lets held calls go on, or drops them, and waits until they are done; answers which."""
        check_names(request, ("id", "drop", "count"))
        identifier = whole_number(request, "id", None, 1)
        goes_on = not truth(request, "drop", False)
        count = whole_number(request, "count", None, 1)
        with self._changed:
            return {"released": self._let_go(identifier, goes_on, count)}

    def _let_go(self, identifier: int | None, goes_on: bool, count: int | None = None) -> list[dict[str, Any]]:
        released = [held for held in self._held if identifier in (None, held.fault.id)][:count]
        for held in released:
            held.goes_on = goes_on
            self._held.remove(held)
        self._changed.notify_all()
        # One that is held twice is not done, but held again.
        settled = lambda held: held.call.end or any(other.call is held.call for other in self._held)  # noqa: E731
        self._changed.wait_for(lambda: all(settled(held) for held in released), _LONGEST_END)
        return [held.as_json() for held in released]
