"""IAM: what is new takes a while to be known everywhere, in IAM itself and at the services that roles are passed to.

Field guide section 3: ``NoSuchEntity`` from reads for a while after a create (role and inline policy, 2 minutes at
most); a service that is given a role it does not know yet refuses it in words of its own, for which ``role_is_usable``
is here. Deletions see everything: a role goes only without policies (``DeleteConflict``).
"""

from moto.iam.models import IAMBackend, Role, iam_backends

from .. import consistency
from ..patches.patching import wrap


def _role_key(name: str) -> str:
    return f"iam:role/{name}"


def role_is_usable(account: str, role_arn: str) -> bool:
    """Whether a service can assume this role by now: it exists and is not so new that the service misses it."""
    backend: IAMBackend = iam_backends[account]["aws"]
    role = next((role for role in backend.get_roles() if role.arn == role_arn), None)
    return role is not None and not consistency.misses(_role_key(role.name))


def apply() -> None:
    """Lets reads miss new roles."""
    _apply_roles()


def _apply_roles() -> None:
    @wrap(IAMBackend, "create_role")
    def missed_at_first(original, self, role_name, *arguments, **named):
        role: Role = original(self, role_name, *arguments, **named)
        consistency.created(_role_key(role_name))
        return role
