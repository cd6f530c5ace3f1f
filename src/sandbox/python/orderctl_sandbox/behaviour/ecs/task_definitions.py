"""Task definitions that Fargate cannot run, refused as they are registered.

Field guide section 4. Fargate has certain sizes only, and needs an execution role to pull from Amazon ECR and to write to
CloudWatch Logs.
"""

import re

from moto.ecs.exceptions import EcsClientException
from moto.ecs.models import EC2ContainerServiceBackend

from ...patches.patching import wrap
from .images import is_in_ecr
from .obstacles import log_options

_GIB = 1024


def _memory_sizes(cpu: int) -> set[int]:
    """The MiB that go with so many CPU units; none for a size that Fargate does not have."""
    steps = {
        256: {512, _GIB, 2 * _GIB},
        512: range(_GIB, 4 * _GIB + 1, _GIB),
        1024: range(2 * _GIB, 8 * _GIB + 1, _GIB),
        2048: range(4 * _GIB, 16 * _GIB + 1, _GIB),
        4096: range(8 * _GIB, 30 * _GIB + 1, _GIB),
        8192: range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB),
        16384: range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB),
    }
    return set(steps.get(cpu, ()))


def _units(text: str | None, name: str, suffix: str) -> str | None:
    """Turns ``0.5 vCPU`` and ``1 GB`` into the units that ECS keeps."""
    if text is None:
        return None
    match = re.fullmatch(rf"(\d+(?:\.\d+)?)\s*({suffix})?", str(text).strip(), re.IGNORECASE)
    if match is None or ("." in match[1] and not match[2]):
        raise EcsClientException(f"Invalid '{name}' setting for task.")
    return str(int(float(match[1]) * 1024)) if match[2] else match[1]


def _refuse_what_fargate_lacks(
    cpu: str | None, memory: str | None, containers: list[dict], execution_role: str | None
) -> None:
    for name, value in (("cpu", cpu), ("memory", memory)):
        if value is None:
            raise EcsClientException(f"Fargate requires that '{name}' be defined at the task level.")
    if int(memory) not in _memory_sizes(int(cpu)):
        raise EcsClientException(
            f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. See the Amazon ECS "
            "documentation for the valid values."
        )
    if execution_role:
        return
    purpose = None
    if any(is_in_ecr(container["image"]) for container in containers):
        purpose = "ECR images"
    elif any(log_options(container) for container in containers):
        purpose = "log driver awslogs"
    if purpose:
        raise EcsClientException(f"Fargate requires task definition to have execution role ARN to support {purpose}.")


def apply() -> None:
    """Checks before moto takes a task definition."""

    @wrap(EC2ContainerServiceBackend, "register_task_definition")
    def checked(original, self, family, container_definitions, **named):
        named["cpu"] = _units(named.get("cpu"), "cpu", "vCPU")
        named["memory"] = _units(named.get("memory"), "memory", "GB")
        if "FARGATE" in (named.get("requires_compatibilities") or []):
            _refuse_what_fargate_lacks(
                named["cpu"], named["memory"], container_definitions, named.get("execution_role_arn")
            )
        return original(self, family, container_definitions, **named)
