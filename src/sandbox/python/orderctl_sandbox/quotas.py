"""The account's limits, per region (field guide section 11), as they are set for this process."""

from .settings import DEFAULT_QUOTAS

#: Limit by name. Changed at start-up and by the control endpoint.
QUOTAS: dict[str, int] = dict(DEFAULT_QUOTAS)


def is_full(name: str, used: int) -> bool:
    """Whether one more would exceed the limit."""
    return used >= QUOTAS[name]
