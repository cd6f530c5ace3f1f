"""Small tools with which the modules of ``patches`` and ``behaviour`` change moto's classes."""

import importlib
from collections.abc import Callable, Iterable
from typing import Any

_applied: set[str] = set()


def apply_once(package: str, modules: Iterable[str]) -> None:
    """Applies the modules of a package from first to last, once per process."""
    if package in _applied:
        return
    _applied.add(package)
    for module in modules:
        importlib.import_module(f"{package}.{module}").apply()


def wrap(owner: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replaces ``owner.name`` by the decorated function, which gets the original as its first argument.

    Fails at start-up when moto has no such member, so that a renamed one is noticed.
    """
    original = getattr(owner, name)

    def install(replacement: Callable[..., Any]) -> Callable[..., Any]:
        def method(self: Any, *arguments: Any, **named: Any) -> Any:
            return replacement(original, self, *arguments, **named)

        method.__name__ = name
        setattr(owner, name, method)
        return replacement

    return install


def add(owner: Any, name: str | None = None, missing: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives ``owner`` the decorated function as a method; ``missing`` demands that moto has none of that name yet."""

    def install(method: Callable[..., Any]) -> Callable[..., Any]:
        member = name or method.__name__
        if missing and hasattr(owner, member):
            raise TypeError(f"{owner.__name__}.{member} exists by now: the patch that adds it can go")
        setattr(owner, member, method)
        return method

    return install


def replace(owner: Any, name: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Puts the decorated function in the place of a method that moto already has."""

    def install(method: Callable[..., Any]) -> Callable[..., Any]:
        member = name or method.__name__
        if not hasattr(owner, member):
            raise TypeError(f"{owner.__name__}.{member} is gone: the patch that replaces it must be looked at")
        setattr(owner, member, method)
        return method

    return install
