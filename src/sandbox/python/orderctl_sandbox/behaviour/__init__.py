"""What AWS does over time and what it refuses, one module per service, on top of ``patches``.

``patches`` mends what moto leaves out and shrinks as moto grows; this package is what no emulator of answers has: states
that take time, deletions in the wrong order, quotas, tasks. The facts are those of the field guide, and every rule names
its section.
"""

import importlib

#: Applied from first to last, after all patches.
MODULES = (
    "iam",
    "ecs",
)

_applied = False


def apply() -> None:
    """Changes moto's classes once per process."""
    global _applied
    if _applied:
        return
    _applied = True
    for module in MODULES:
        importlib.import_module(f"{__name__}.{module}").apply()
