"""Eventual consistency: for a while after a create, reads and other calls miss what was made.

Field guide section 1 rule 6. Off unless the sandbox was started with a lag. In the first half of the lag everything
misses; in the second half every other request does, as if two replicas answered in turn. Within one request a thing is
there or is not, however often it is looked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from .clock import CLOCK

_lag = 0.0
_inside = 0
_fresh: dict[str, tuple[float, int]] = {}
#: What the request of this moment has seen (false) and missed (true).
_looks: dict[str, bool] = {}


def configure(lag: float) -> None:
    """Sets for how many sandbox seconds a new thing is missed; 0 switches it off. Forgets what is fresh."""
    global _lag
    _lag = lag
    _fresh.clear()
    _looks.clear()


def begin_request() -> None:
    """Says that what was seen and missed up to now was so for another request."""
    _looks.clear()


def lag() -> float:
    """For how many sandbox seconds a new thing is missed; 0 without eventual consistency."""
    return _lag


def created(identifier: str) -> None:
    """Says that a thing was made just now. ``identifier`` is what callers name it by (id, ARN, or a name with a prefix)."""
    if _lag:
        _fresh[identifier] = (CLOCK.now(), 0)
        _looks.pop(identifier, None)


def forget(identifier: str) -> None:
    """Says that a thing is gone, so that its name can be used again."""
    _fresh.pop(identifier, None)
    _looks.pop(identifier, None)


@contextmanager
def from_inside() -> Iterator[None]:
    """Lets AWS itself see everything, for what a service does on its own behalf."""
    global _inside
    _inside += 1
    try:
        yield
    finally:
        _inside -= 1


def misses(identifier: str) -> bool:
    """Whether this request misses the thing."""
    if _inside or identifier not in _fresh:
        return False
    if identifier not in _looks:
        _looks[identifier] = _look(identifier)
    return _looks[identifier]


def _look(identifier: str) -> bool:
    since, looks = _fresh[identifier]
    age = CLOCK.now() - since
    if age >= _lag:
        del _fresh[identifier]
        return False
    if age < _lag / 2:
        return True
    _fresh[identifier] = (since, looks + 1)
    return looks % 2 == 1


def is_fresh(identifier: str) -> bool:
    """Whether the thing is so new that AWS's other services do not know it either; the same from inside and out."""
    entry = _fresh.get(identifier)
    return entry is not None and CLOCK.now() - entry[0] < _lag
