"""Application Auto Scaling: its service-linked role, and targets that are not known yet.

Field guide section 12: the first RegisterScalableTarget makes the role, section 3: a role made just now is not usable
yet ("Unable to assume IAM role"). Section 1 rule 6: a new target is missed for a while, also by PutScalingPolicy
(``ObjectNotFoundException``, section 7). A service that ECS does not know yet "doesn't exist".
"""

from moto.applicationautoscaling.exceptions import AWSValidationException
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend, FakeScalableTarget
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse

from .. import consistency
from ..patches.autoscaling import ObjectNotFound, ResourceNotFound, service_of
from ..patches.patching import wrap
from .iam import ensure_service_linked_role, role_is_usable, service_linked_role_arn

_SERVICE = "ecs.application-autoscaling.amazonaws.com"


def _target(backend: ApplicationAutoscalingBackend, resource_id: str, dimension: str) -> FakeScalableTarget | None:
    return backend.targets.get(dimension, {}).get(resource_id)


def apply() -> None:
    """Refuses what a service cannot see yet."""
    _apply_register()
    _apply_lookups()


def _apply_register() -> None:
    @wrap(ApplicationAutoscalingBackend, "_ecs_service_exists_for_target")
    def known_service_and_usable_role(original, self, r_id):
        original(self, r_id)
        if consistency.misses(service_of(self, r_id).arn):
            raise AWSValidationException(f"ECS service doesn't exist: {r_id}")
        ensure_service_linked_role(self.account_id, _SERVICE)
        role = service_linked_role_arn(self.account_id, _SERVICE)
        if not role_is_usable(self.account_id, role):
            raise AWSValidationException(f"Unable to assume IAM role: {role}")
        return True

    @wrap(ApplicationAutoscalingBackend, "register_scalable_target")
    def register(original, self, namespace, r_id, dimension, min_capacity=None, max_capacity=None, **named):
        before = _target(self, r_id, dimension)
        least = before.min_capacity if before is not None and min_capacity is None else min_capacity
        most = before.max_capacity if before is not None and max_capacity is None else max_capacity
        if least is None or most is None:
            raise AWSValidationException(
                "MinCapacity and MaxCapacity must be specified when registering a new scalable target"
            )
        if least > most:
            raise AWSValidationException("Maximum capacity cannot be less than minimum capacity")
        named |= {"min_capacity": min_capacity, "max_capacity": max_capacity}
        target = original(self, namespace, r_id, dimension, **named)
        if before is None:
            consistency.created(target.arn)
        return target


def _apply_lookups() -> None:
    @wrap(ApplicationAutoscalingBackend, "describe_scalable_targets")
    def describe(original, self, *arguments, **named):
        return [target for target in original(self, *arguments, **named) if not consistency.misses(target.arn)]

    @wrap(ApplicationAutoscalingBackend, "put_scaling_policy")
    def put_policy(original, self, **named):
        target = _target(self, named["resource_id"], named["scalable_dimension"])
        if target is not None and consistency.misses(target.arn):
            raise ObjectNotFound(
                f"No scalable target registered for service namespace: {named['service_namespace']}, "
                f"resource ID: {named['resource_id']}, scalable dimension: {named['scalable_dimension']}"
            )
        return original(self, **named)

    def tags_of_known(original, self):
        arn = self._get_param("ResourceARN")
        if consistency.misses(arn):
            raise ResourceNotFound(arn)
        return original(self)

    for operation in ("list_tags_for_resource", "tag_resource", "untag_resource"):
        wrap(ApplicationAutoScalingResponse, operation)(tags_of_known)

    @wrap(ApplicationAutoscalingBackend, "deregister_scalable_target")
    def deregister(original, self, namespace, r_id, dimension):
        target = _target(self, r_id, dimension)
        original(self, namespace, r_id, dimension)
        if target is not None:
            consistency.forget(target.arn)
