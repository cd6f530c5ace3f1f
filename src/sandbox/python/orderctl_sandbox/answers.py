"""What the sandbox cannot find out, because nobody is refused here and no traffic flows: who may do what, and what the web
ACL has blocked. Everything is allowed and nothing blocked unless the control endpoint says otherwise.
"""

from fnmatch import fnmatchcase
from typing import Any

#: Actions that IAM's simulation denies, as patterns: ``ec2:CreateVpc``, ``rds:*``.
DENIED: list[str] = []

#: Requests that rules of web ACLs have blocked: ``rule``, ``inner`` (the rule inside a managed group, or None),
#: ``address``, ``country``, ``method``, ``path``, ``weight`` (for how many requests it stands).
BLOCKED: list[dict[str, Any]] = []


def is_denied(action: str) -> bool:
    """Whether the simulation denies this action. Names of actions ignore case."""
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in DENIED)


def forget() -> None:
    """Allows everything, and has nothing blocked."""
    DENIED.clear()
    BLOCKED.clear()
