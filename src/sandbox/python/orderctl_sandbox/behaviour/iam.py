"""IAM: what is new takes a while to be known everywhere, in IAM itself and at the services that roles are passed to.

Field guide section 3: ``NoSuchEntity`` from reads for a while after a create (role and inline policy, 2 minutes at
most); a service that is given a role it does not know yet refuses it in words of its own, for which ``role_is_usable``
is here. Deletions see everything: a role goes only without policies, a managed policy only when it is attached to
nothing and without further versions (``DeleteConflict``).
"""

from moto.iam.exceptions import DeleteConflictException, NotFoundException
from moto.iam.models import IAMBackend, Role, iam_backends

from .. import consistency
from ..patches.iam import SERVICE_LINKED_ROLE_NAMES
from ..patches.patching import wrap


def _role_key(name: str) -> str:
    return f"iam:role/{name}"


def _policy_key(role: str, policy: str) -> str:
    return f"iam:role-policy/{role}/{policy}"


def role_is_usable(account: str, role_arn: str) -> bool:
    """Whether a service can assume this role by now: it exists and is not so new that the service misses it."""
    backend: IAMBackend = iam_backends[account]["aws"]
    role = next((role for role in backend.get_roles() if role.arn == role_arn), None)
    return role is not None and not consistency.is_fresh(_role_key(role.name))


def service_linked_role_arn(account: str, service: str) -> str:
    """The ARN that the service-linked role of a service such as ``rds.amazonaws.com`` has, or would have."""
    return f"arn:aws:iam::{account}:role/aws-service-role/{service}/{SERVICE_LINKED_ROLE_NAMES[service]}"


def ensure_service_linked_role(account: str, service: str) -> None:
    """Makes the service-linked role that a service makes itself at its first use, unless it is there (section 12)."""
    backend: IAMBackend = iam_backends[account]["aws"]
    if all(role.name != SERVICE_LINKED_ROLE_NAMES[service] for role in backend.get_roles()):
        backend.create_service_linked_role(service, description="", suffix="")


def apply() -> None:
    """Lets reads miss what is new."""
    _apply_roles()
    _apply_inline_policies()
    _apply_managed_policies()


def _apply_roles() -> None:
    @wrap(IAMBackend, "create_role")
    def create(original, self, role_name, *arguments, **named):
        role: Role = original(self, role_name, *arguments, **named)
        consistency.created(_role_key(role_name))
        return role

    @wrap(IAMBackend, "get_role")
    def get(original, self, role_name):
        role = original(self, role_name)
        if consistency.misses(_role_key(role_name)):
            raise NotFoundException(f"The role with name {role_name} cannot be found.")
        return role

    @wrap(IAMBackend, "list_roles")
    def listed(original, self, *arguments, **named):
        roles, marker = original(self, *arguments, **named)
        return [role for role in roles if not consistency.misses(_role_key(role.name))], marker

    @wrap(IAMBackend, "delete_role")
    def delete(original, self, role_name):
        with consistency.from_inside():
            original(self, role_name)
        consistency.forget(_role_key(role_name))


def _apply_inline_policies() -> None:
    @wrap(IAMBackend, "put_role_policy")
    def put(original, self, role_name, policy_name, policy_json):
        is_new = policy_name not in self.get_role(role_name).policies
        original(self, role_name, policy_name, policy_json)
        if is_new:
            consistency.created(_policy_key(role_name, policy_name))

    @wrap(IAMBackend, "get_role_policy")
    def get(original, self, role_name, policy_name):
        policy = original(self, role_name, policy_name)
        if consistency.misses(_policy_key(role_name, policy_name)):
            raise NotFoundException(f"The role policy with name {policy_name} cannot be found.")
        return policy

    @wrap(IAMBackend, "list_role_policies")
    def listed(original, self, role_name):
        return [name for name in original(self, role_name) if not consistency.misses(_policy_key(role_name, name))]

    @wrap(IAMBackend, "delete_role_policy")
    def delete(original, self, role_name, policy_name):
        with consistency.from_inside():
            original(self, role_name, policy_name)
        consistency.forget(_policy_key(role_name, policy_name))


def _apply_managed_policies() -> None:
    @wrap(IAMBackend, "delete_policy")
    def delete(original, self, policy_arn):
        policy = self.get_policy(policy_arn)
        if policy.attachment_count:
            raise DeleteConflictException("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1:
            raise DeleteConflictException(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
        return original(self, policy_arn)
