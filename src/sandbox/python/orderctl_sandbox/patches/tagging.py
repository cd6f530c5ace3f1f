"""Placeholder."""


def apply() -> None:
    """Nothing yet."""
