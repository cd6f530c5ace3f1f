"""A delay of every AWS call, as a network has one."""

import random
import threading
import time
from typing import Any

from .checks import BadRequest, check_names, number, whole_number


class Latency:
    """Makes calls wait, each by itself. Safe to use from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set(0.0, 0.0, 0)

    def configure(self, request: dict[str, Any]) -> dict[str, Any]:
        """Sets it from what the control endpoint was sent."""
        check_names(request, ("milliseconds", "jitter", "seed"))
        milliseconds = number(request, "milliseconds", None, 0, 60_000)
        if milliseconds is None:
            raise BadRequest("'milliseconds' is missing; 0 switches the latency off")
        jitter = number(request, "jitter", 0, 0, milliseconds)
        seed = whole_number(request, "seed", 0, 0)
        with self._lock:
            self._set(milliseconds, jitter, seed)
        return self.as_json()

    def as_json(self) -> dict[str, Any]:
        """What is set."""
        with self._lock:
            return {"milliseconds": self._milliseconds, "jitter": self._jitter, "seed": self._seed}

    def wait(self) -> None:
        """Lets one call wait. The caller holds no lock, so that calls wait side by side."""
        with self._lock:
            milliseconds = self._milliseconds
            if self._jitter:
                milliseconds += self._random.uniform(-self._jitter, self._jitter)
        if milliseconds:
            time.sleep(milliseconds / 1000)

    def _set(self, milliseconds: float, jitter: float, seed: int) -> None:
        self._milliseconds = milliseconds
        self._jitter = jitter
        self._seed = seed
        self._random = random.Random(seed)
