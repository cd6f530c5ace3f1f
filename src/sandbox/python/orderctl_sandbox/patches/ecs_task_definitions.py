"""ECS task definitions.

Gaps (moto 5.2.5): some given fields are dropped, the defaults that ECS fills in are missing, a family name stands for
its latest revision even when that one is ``INACTIVE``, ``sort`` is ignored, and container definitions are shared with
the caller's request.
Restores: the answers of RegisterTaskDefinition and DescribeTaskDefinition as AWS gives them for Fargate.
"""

import copy

from moto.core.utils import utcnow
from moto.ecs.exceptions import EcsClientException, TaskDefinitionNotFoundException
from moto.ecs.models import EC2ContainerServiceBackend, TaskDefinition
from moto.ecs.responses import EC2ContainerServiceResponse

from .patching import wrap

_EXTRA_FIELDS = {
    "enableFaultInjection": "enable_fault_injection",
    "trustedExecutionConfiguration": "trusted_execution_configuration",
}
_HEALTH_CHECK_DEFAULTS = {"interval": 30, "timeout": 5, "retries": 3}


def _complete_container(container: dict, network_mode: str | None) -> dict:
    container = copy.deepcopy(container)
    container.setdefault("systemControls", [])
    for mapping in container.get("portMappings", []):
        mapping.setdefault("protocol", "tcp")
        if network_mode == "awsvpc" and "containerPort" in mapping:
            mapping.setdefault("hostPort", mapping["containerPort"])
    if "healthCheck" in container:
        container["healthCheck"] = {**_HEALTH_CHECK_DEFAULTS, **container["healthCheck"]}
    return container


def _by_revision(arn: str) -> tuple[str, int]:
    family, _, revision = arn.rpartition("/")[2].rpartition(":")
    return family, int(revision)


def apply() -> None:
    """Patches the model, the backend and the responses."""

    @wrap(TaskDefinition, "__init__")
    def complete(original, self, *arguments, **named):
        original(self, *arguments, **named)
        self.container_definitions = [_complete_container(c, self.network_mode) for c in self.container_definitions]
        self.registered_at = utcnow()
        self.registered_by = "arn:aws:iam::123456789012:root"

    @wrap(EC2ContainerServiceBackend, "describe_task_definition")
    def latest_active(original, self, task_definition_str):
        name = task_definition_str.split("/")[-1]
        if ":" in name:
            if not name.rpartition(":")[2].isdigit():
                raise EcsClientException("Invalid revision number. Number: " + name.rpartition(":")[2])
            return original(self, task_definition_str)
        active = [d for d in self.task_definitions.get(name, {}).values() if d.status == "ACTIVE"]
        if not active:
            raise TaskDefinitionNotFoundException()
        return max(active, key=lambda definition: definition.revision)

    @wrap(EC2ContainerServiceBackend, "deregister_task_definition")
    def with_time(original, self, task_definition_str):
        definition = original(self, task_definition_str)
        definition.deregistered_at = getattr(definition, "deregistered_at", utcnow())
        return definition

    @wrap(EC2ContainerServiceBackend, "list_task_definitions")
    def in_order(original, self, family_prefix, status="ACTIVE"):
        return sorted(original(self, family_prefix, status), key=_by_revision)

    @wrap(EC2ContainerServiceResponse, "register_task_definition")
    def keep_every_field(original, self):
        answer = original(self)
        definition = answer._result["taskDefinition"]
        for field, attribute in _EXTRA_FIELDS.items():
            setattr(definition, attribute, self._get_param(field))
        answer._result["tags"] = definition.tags
        return answer

    @wrap(EC2ContainerServiceResponse, "list_task_definitions")
    def sorted_as_asked(original, self):
        answer = original(self)
        if self._get_param("sort") == "DESC":
            answer._result["taskDefinitionArns"].reverse()
        return answer
