"""Secrets Manager: deletions that take time, and secrets that are on their way out or not known yet.

Field guide section 6: a secret pending deletion can be described (``DeletedDate``) and restored, and nothing else
(``InvalidRequestException``, with a curly apostrophe: section 1 rule 9); it goes when its window ends. A forced deletion
is asynchronous: for a while the name stays taken ("scheduled for deletion"), and there is nothing to restore. A new
secret is not found at first.
"""

from typing import Any

from moto.core.utils import unix_time
from moto.secretsmanager.exceptions import InvalidRequestException, SecretNotFoundException
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend

from .. import consistency, durations
from ..clock import CLOCK
from ..patches.patching import wrap

#: How long a secret can be restored unless its deletion says otherwise.
_LONGEST_WINDOW_DAYS = 30

#: Operations that need a secret that is not pending deletion.
_NEED_A_LIVING_SECRET = (
    "cancel_rotate_secret",
    "delete_resource_policy",
    "get_resource_policy",
    "get_secret_value",
    "put_resource_policy",
    "put_secret_value",
    "rotate_secret",
    "tag_resource",
    "untag_resource",
    "update_secret",
    "update_secret_version_stage",
)


def _find(backend: SecretsManagerBackend, identifier: str) -> FakeSecret | None:
    """The secret of this name or ARN, unless this look misses it; replicas are left to moto."""
    secret = backend.secrets.get(identifier)
    if not isinstance(secret, FakeSecret):
        return None
    if consistency.misses(secret.arn):
        raise SecretNotFoundException()
    return secret


def apply() -> None:
    """Lets secrets come and go as on AWS."""
    _apply_lookups()
    _apply_create()
    _apply_delete()


def _apply_lookups() -> None:
    def living(original, self, *arguments: Any, **named: Any):
        # moto calls what names the secret `arn` in some of these.
        secret = _find(self, named.get("secret_id") or named.get("arn") or arguments[0])
        if secret is not None and secret.is_deleted():
            raise InvalidRequestException(
                "You can’t perform this operation on the secret because it was marked for deletion."
            )
        return original(self, *arguments, **named)

    for operation in _NEED_A_LIVING_SECRET:
        wrap(SecretsManagerBackend, operation)(living)

    @wrap(SecretsManagerBackend, "describe_secret")
    def describe(original, self, secret_id: str):
        _find(self, secret_id)
        return original(self, secret_id)

    @wrap(SecretsManagerBackend, "list_secrets")
    def listed(original, self, *arguments: Any, **named: Any):
        found, token = original(self, *arguments, **named)
        return [secret for secret in found if not consistency.misses(secret["ARN"])], token


def _apply_create() -> None:
    @wrap(SecretsManagerBackend, "create_secret")
    def create(original, self, name: str, *arguments: Any, **named: Any):
        is_new = name not in self.secrets
        answer = original(self, name, *arguments, **named)
        if is_new:
            consistency.created(self.secrets[name].arn)
        return answer


def _apply_delete() -> None:
    def remove(backend: SecretsManagerBackend, secret: FakeSecret) -> None:
        if backend.secrets.get(secret.arn) is secret:
            backend.secrets.pop(secret.arn)
            consistency.forget(secret.arn)

    @wrap(SecretsManagerBackend, "delete_secret")
    def delete(
        original, self, secret_id: str, recovery_window_in_days: int | None, force_delete_without_recovery: bool
    ):
        secret = self.secrets.get(secret_id)
        answer = original(self, secret_id, recovery_window_in_days, force_delete_without_recovery)
        if force_delete_without_recovery and isinstance(secret, FakeSecret):
            self.secrets[secret.name] = secret
            secret.delete(unix_time())
            secret.is_being_removed = True
            CLOCK.after(durations.SECRET_DELETE, lambda: remove(self, secret))
        elif isinstance(secret, FakeSecret):
            window = (recovery_window_in_days or _LONGEST_WINDOW_DAYS) * 86400
            secret.end_of_window = CLOCK.deadline(window, lambda: remove(self, secret))
        return answer

    @wrap(SecretsManagerBackend, "restore_secret")
    def restore(original, self, secret_id: str):
        secret = _find(self, secret_id)
        if getattr(secret, "is_being_removed", False):
            raise SecretNotFoundException()
        answer = original(self, secret_id)
        if hasattr(secret, "end_of_window"):
            secret.end_of_window.cancel()
        return answer
