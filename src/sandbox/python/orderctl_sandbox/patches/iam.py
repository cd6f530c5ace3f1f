"""IAM: service-linked roles, and what is said of roles that are not there.

Gaps (moto 5.2.5): service-linked roles get other names than on AWS, and making one twice answers EntityAlreadyExists; a
missing role or inline policy is named in other words.
Restores: field guide section 12 (``InvalidInput`` "has been taken in this account"), the wording of ``NoSuchEntity``.
"""

import json

from moto.iam.exceptions import IAMException, NotFoundException
from moto.iam.models import IAMBackend

from .patching import wrap

#: The service-linked roles of the stack's services, by service.
SERVICE_LINKED_ROLE_NAMES = {
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "rds.amazonaws.com": "AWSServiceRoleForRDS",
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
}


def apply() -> None:
    """Patches CreateServiceLinkedRole and the looks at roles."""

    @wrap(IAMBackend, "get_role")
    def in_words_of_aws(original, self, role_name):
        try:
            return original(self, role_name)
        except NotFoundException:
            raise NotFoundException(f"The role with name {role_name} cannot be found.") from None

    @wrap(IAMBackend, "get_role_policy")
    def policy_in_words_of_aws(original, self, role_name, policy_name):
        if policy_name not in self.get_role(role_name).policies:
            raise NotFoundException(f"The role policy with name {policy_name} cannot be found.")
        return original(self, role_name, policy_name)

    @wrap(IAMBackend, "create_service_linked_role")
    def known_name_once(original, self, service_name, description, suffix):
        name = SERVICE_LINKED_ROLE_NAMES.get(service_name)
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
