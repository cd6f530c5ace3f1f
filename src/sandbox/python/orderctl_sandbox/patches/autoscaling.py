"""Application Auto Scaling.

Gaps (moto 5.2.5): registering a target leaves the service's desired count alone; deregistering keeps the policies;
policies need no target; every PutScalingPolicy makes a new ARN and leaks the old alarms; missing things answer
ValidationException; there are no tags; RoleARN and SuspendedState are not filled in.
Restores: field guide section 7 "Scalable target" and "Scaling policy".
"""

import json

from moto.applicationautoscaling.exceptions import AWSValidationException
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend, FakeScalableTarget
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.core.exceptions import JsonRESTError

from .patching import add, wrap

_NOT_SUSPENDED = {
    "DynamicScalingInSuspended": False,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": False,
}


class ObjectNotFound(JsonRESTError):
    """There is no such scalable target or scaling policy."""

    def __init__(self, message: str) -> None:
        super().__init__("ObjectNotFoundException", message)


class ResourceNotFound(JsonRESTError):
    """There is no scalable target with this ARN."""

    def __init__(self, arn: str) -> None:
        super().__init__("ResourceNotFoundException", f"The resource {arn} does not exist.")


def all_targets(backend: ApplicationAutoscalingBackend) -> list[FakeScalableTarget]:
    """Every scalable target of a region."""
    return [target for by_resource in backend.targets.values() for target in by_resource.values()]


def tags_of(target: FakeScalableTarget) -> dict[str, str]:
    """The tags of a scalable target, to be read and changed."""
    return target.__dict__.setdefault("tags", {})


def service_of(backend: ApplicationAutoscalingBackend, resource_id: str):
    """The ECS service that a resource id such as ``service/CLUSTER/NAME`` means; ``None`` if there is none."""
    service = backend.ecs_backend.services.get(resource_id.removeprefix("service/").replace("/", ":"))
    return service if service is not None and service.status != "INACTIVE" else None


def _pull_into_bounds(backend: ApplicationAutoscalingBackend, target: FakeScalableTarget) -> None:
    service = service_of(backend, target.resource_id)
    if service is None:
        return
    count = min(max(service.desired_count, target.min_capacity), target.max_capacity)
    if count != service.desired_count:
        backend.ecs_backend.update_service({"cluster": service.cluster_name, "service": service.name, "desired_count": count})


def apply() -> None:
    """Patches the backend, then adds the tag operations."""
    _apply_targets()
    _apply_policies()
    _apply_tags()


def _apply_targets() -> None:
    @wrap(ApplicationAutoscalingBackend, "_ecs_service_exists_for_target")
    def only_live_services(original, self, r_id):
        if service_of(self, r_id) is None:
            raise AWSValidationException(f"ECS service doesn't exist: {r_id}")
        return True

    @wrap(FakeScalableTarget, "__init__")
    def complete(original, self, backend, service_namespace, *arguments):
        original(self, backend, service_namespace, *arguments)
        self.suspended_state = {**_NOT_SUSPENDED, **(self.suspended_state or {})}
        if service_namespace == "ecs":
            self.role_arn = (
                f"arn:aws:iam::{backend.account_id}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/"
                "AWSServiceRoleForApplicationAutoScaling_ECSService"
            )

    @wrap(FakeScalableTarget, "update")
    def merge_suspension(original, self, min_capacity, max_capacity, suspended_state):
        merged = {**self.suspended_state, **suspended_state} if suspended_state else None
        original(self, min_capacity, max_capacity, merged)

    @wrap(ApplicationAutoscalingBackend, "register_scalable_target")
    def pull_desired_count(original, self, namespace, r_id, dimension, **named):
        target = original(self, namespace, r_id, dimension, **named)
        if namespace == "ecs":
            _pull_into_bounds(self, target)
        return target

    @wrap(ApplicationAutoscalingBackend, "deregister_scalable_target")
    def with_policies(original, self, namespace, r_id, dimension):
        if not self._scalable_target_exists(r_id, dimension):
            raise ObjectNotFound(
                f"No scalable target found for service namespace: {namespace}, resource ID: {r_id}, scalable dimension: {dimension}"
            )
        for key, policy in list(self.policies.items()):
            if (policy.service_namespace, policy.resource_id, policy.scalable_dimension) == (namespace, r_id, dimension):
                policy.delete_alarms(self.account_id, self.region_name)
                del self.policies[key]
        original(self, namespace, r_id, dimension)


def _apply_policies() -> None:
    def existing(self: ApplicationAutoscalingBackend, named: dict):
        wanted = (named["service_namespace"], named["resource_id"], named["scalable_dimension"], named["policy_name"])
        for policy in self.policies.values():
            if (policy.service_namespace, policy.resource_id, policy.scalable_dimension, policy.policy_name) == wanted:
                return policy
        return None

    @wrap(ApplicationAutoscalingBackend, "put_scaling_policy")
    def upsert(original, self, **named):
        if not self._scalable_target_exists(named["resource_id"], named["scalable_dimension"]):
            raise ObjectNotFound(
                f"No scalable target registered for service namespace: {named['service_namespace']}, "
                f"resource ID: {named['resource_id']}, scalable dimension: {named['scalable_dimension']}"
            )
        before = existing(self, named)
        policy = original(self, **named)
        if before is not None:
            before.delete_alarms(self.account_id, self.region_name)
            policy.policy_arn = before.policy_arn
            policy.creation_time = before.creation_time
        return policy

    @wrap(ApplicationAutoscalingBackend, "delete_scaling_policy")
    def not_found_has_its_own_code(original, self, **named):
        if existing(self, named) is None:
            raise ObjectNotFound(
                f"No scaling policy found for service namespace: {named['service_namespace']}, resource ID: "
                f"{named['resource_id']}, scalable dimension: {named['scalable_dimension']}, policy name: {named['policy_name']}"
            )
        return original(self, **named)


def _apply_tags() -> None:
    def target_of(self: ApplicationAutoScalingResponse) -> FakeScalableTarget:
        arn = self._get_param("ResourceARN")
        for target in all_targets(self.applicationautoscaling_backend):
            if target.arn == arn:
                return target
        raise ResourceNotFound(arn)

    @wrap(ApplicationAutoScalingResponse, "register_scalable_target")
    def keep_tags(original, self):
        answer = original(self)
        arn = json.loads(answer)["ScalableTargetARN"]
        for target in all_targets(self.applicationautoscaling_backend):
            if target.arn == arn:
                tags_of(target).update(self._get_param("Tags") or {})
        return answer

    @add(ApplicationAutoScalingResponse)
    def list_tags_for_resource(self):
        return json.dumps({"Tags": tags_of(target_of(self))})

    @add(ApplicationAutoScalingResponse)
    def tag_resource(self):
        tags_of(target_of(self)).update(self._get_param("Tags"))
        return "{}"

    @add(ApplicationAutoScalingResponse)
    def untag_resource(self):
        tags = tags_of(target_of(self))
        for key in self._get_param("TagKeys"):
            tags.pop(key, None)
        return "{}"
