"""Elastic Container Service: tasks that take time, start or fail for AWS's reasons, and the clusters they run in.

Field guide sections 3 and 4. A service revision's tasks are a `fleet.Fleet`; what a deployment does with its fleets is
decided above it.
"""

from ...patches.patching import apply_once

#: Modules with an ``apply()``, first to last.
MODULES = (
    "clusters",
    "task_definitions",
    "task_api",
    "targets",
    "alarms",
    "services",
    "deployment_api",
)


def apply() -> None:
    """Changes moto's classes for every part of the service."""
    apply_once(__name__, MODULES)
