"""IAM: service-linked roles.

Gaps (moto 5.2.5): service-linked roles get other names than on AWS, and making one twice answers EntityAlreadyExists.
Restores: field guide section 12 (``InvalidInput`` "has been taken in this account").
"""

import json

from moto.iam.exceptions import IAMException
from moto.iam.models import IAMBackend

from .patching import wrap

_ROLE_NAMES = {
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "rds.amazonaws.com": "AWSServiceRoleForRDS",
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
}


def apply() -> None:
    """Patches CreateServiceLinkedRole."""

    @wrap(IAMBackend, "create_service_linked_role")
    def known_name_once(original, self, service_name, description, suffix):
        name = _ROLE_NAMES.get(service_name)
        if name is None:
            return original(self, service_name, description, suffix)
        if any(role.name == name for role in self.roles.values()):
            raise IAMException(
                "InvalidInput",
                f"Service role name {name} has been taken in this account, please try a different suffix.",
            )
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service_name}, "Action": "sts:AssumeRole"}],
        }
        return self.create_role(
            name,
            json.dumps(trust),
            f"/aws-service-role/{service_name}/",
            permissions_boundary=None,
            description=description,
            tags=[],
            max_session_duration="3600",
            linked_service=service_name,
        )
