"""Time in the sandbox: a clock that runs faster than the real one, and what is due to happen.

Nothing happens in the background. What is due is done, in order, at the start of the next request, each thing at the
moment it was due: a chain of steps therefore comes out the same whether somebody looked in between or not.
"""

import heapq
import itertools
import time
from collections.abc import Callable

#: At speed 0, how much sandbox time one request may let pass. Everything that ends, ends within it; what goes round for
#: ever, and was not begun with ``again``, does so for this long a request.
_HORIZON = 4 * 3600.0


class Event:
    """Something that is due; ``cancel`` makes it not happen."""

    def __init__(self, due: float, action: Callable[[], None], is_deadline: bool) -> None:
        self.due = due
        self.action: Callable[[], None] | None = action
        self.is_deadline = is_deadline

    def cancel(self) -> None:
        """Drops it; harmless when it has happened already."""
        self.action = None


class Clock:
    """Sandbox seconds since the start, and the agenda of what is due. Used only by the request that holds the lock."""

    def __init__(self, speed: float = 0.0, real: Callable[[], float] = time.monotonic) -> None:
        self._real = real
        self._order = itertools.count()
        self.reset(speed)

    def reset(self, speed: float) -> None:
        """Starts anew with this many sandbox seconds per real second and an empty agenda; 0 is "at once"."""
        self.speed = speed
        self._anchor = self._real()
        self._base = 0.0
        self._frozen = False
        self._moment: float | None = None
        self._agenda: list[tuple[float, int, Event]] = []
        self._rounds: list[Event] = []

    def now(self) -> float:
        """Sandbox seconds since the start; while a due thing happens, the moment it was due."""
        if self._moment is not None:
            return self._moment
        if self._frozen or not self.speed:
            return self._base
        return self._base + (self._real() - self._anchor) * self.speed

    def real_seconds(self, seconds: float) -> float:
        """How long so many sandbox seconds take outside; as long as they say where time does not pass by itself."""
        return seconds if self._frozen or not self.speed else seconds / self.speed

    def after(self, seconds: float, action: Callable[[], None]) -> Event:
        """Does ``action`` in so many sandbox seconds: the progress of something that was set going."""
        return self._enter(seconds, action, is_deadline=False)

    def deadline(self, seconds: float, action: Callable[[], None]) -> Event:
        """The same for time-outs and for forgetting: at speed 0, where progress is immediate, it never comes."""
        return self._enter(seconds, action, is_deadline=True)

    def clear(self) -> None:
        """Drops everything that is due; the time goes on."""
        self._agenda.clear()
        self._rounds.clear()

    def again(self, seconds: float, action: Callable[[], None]) -> Event:
        """The same as ``after`` for what goes round for ever: at speed 0 a request lets one round pass, not all of them."""
        if not self._is_instant():
            return self.after(seconds, action)
        event = Event(self.now() + max(seconds, 0.0), action, is_deadline=False)
        self._rounds.append(event)
        return event

    def _enter_rounds(self) -> None:
        for event in self._rounds:
            heapq.heappush(self._agenda, (event.due, next(self._order), event))
        self._rounds = []

    def _enter(self, seconds: float, action: Callable[[], None], is_deadline: bool) -> Event:
        event = Event(self.now() + max(seconds, 0.0), action, is_deadline)
        if not (is_deadline and self._is_instant()):
            heapq.heappush(self._agenda, (event.due, next(self._order), event))
        return event

    def _is_instant(self) -> bool:
        return not self.speed and not self._frozen

    def run_due(self) -> None:
        """Does everything that is due. Called once at the start of every request."""
        if self._is_instant():
            self._enter_rounds()
            self._run(self._base + _HORIZON, leap=True)
        else:
            self._run(self.now(), leap=False)

    def freeze(self) -> None:
        """Stops the time; only ``advance`` moves it from here on."""
        self._enter_rounds()
        self._base = self.now()
        self._frozen = True

    def advance(self, seconds: float) -> None:
        """Lets so many sandbox seconds pass in a frozen sandbox, with all that happens in them."""
        until = self._base + seconds
        self._run(until, leap=False)
        self._base = until

    @property
    def is_frozen(self) -> bool:
        """Whether the time stands still."""
        return self._frozen

    def _run(self, until: float, leap: bool) -> None:
        while self._agenda and self._agenda[0][0] <= until:
            due, _, event = heapq.heappop(self._agenda)
            action, event.action = event.action, None
            if action is None:
                continue
            self._moment = due
            try:
                action()
            finally:
                self._moment = None
                if leap:
                    self._base = max(self._base, due)


#: The clock of this process.
CLOCK = Clock()
