"""What the control endpoint and the calls it looks after share."""

import threading

from ..settings import Settings
from .calls import CallLog
from .faults import Faults
from .latency import Latency


class Control:
    """The log, the faults and the latency of one process, and the lock under which moto works."""

    def __init__(self, lock: threading.RLock, settings: Settings) -> None:
        self.lock = lock
        #: For how many sandbox seconds reads miss what is new.
        self.lag = settings.lag
        self.calls = CallLog()
        self.faults = Faults()
        self.latency = Latency()

    def start_afresh(self) -> None:
        """Forgets the log, the faults and the latency, for a copy of the process, in which nobody else is at work."""
        self.calls = CallLog()
        self.faults = Faults()
        self.latency = Latency()
