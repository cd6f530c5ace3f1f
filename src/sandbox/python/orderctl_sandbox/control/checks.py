"""Checks of what the control endpoint is sent."""

from typing import Any


class Refused(Exception):
    """A request to the control endpoint cannot be done; the message says what is allowed."""

    status = "400 Bad Request"


class BadRequest(Refused):
    """What was sent makes no sense."""


class NotFound(Refused):
    """What was named does not exist."""

    status = "404 Not Found"


class MethodNotAllowed(Refused):
    """The resource does not have this method."""

    status = "405 Method Not Allowed"


def check_names(given: dict[str, Any], allowed: tuple[str, ...]) -> None:
    """Refuses any name beyond those allowed, so that a misspelt one is noticed."""
    for name in given:
        if name not in allowed:
            raise BadRequest(f"'{name}' is unknown here; there is {', '.join(allowed)}")


def whole_number(given: dict[str, Any], name: str, default: int | None, low: int) -> int | None:
    """The whole number of that name, or the default where it is missing."""
    value = given.get(name)
    if value is None:
        return default
    # In Python true is a whole number too.
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise BadRequest(f"'{name}' is {value!r}; it has to be a whole number of {low} or more")
    return value


def number(given: dict[str, Any], name: str, default: float | None, low: float, high: float) -> float | None:
    """The number of that name, or the default where it is missing."""
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise BadRequest(f"'{name}' is {value!r}; it has to be a number from {low:g} to {high:g}")
    return float(value)


def truth(given: dict[str, Any], name: str, default: bool | None = None) -> bool | None:
    """The truth value of that name, or the default where it is missing."""
    value = given.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadRequest(f"'{name}' is {value!r}; it has to be true or false")
    return default if value is None else value


def text(given: dict[str, Any], name: str) -> str | None:
    """The text of that name, or ``None`` where it is missing."""
    value = given.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise BadRequest(f"'{name}' is {value!r}; it has to be a text")
    return value
