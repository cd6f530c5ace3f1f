"""Secrets Manager.

Gap (moto 5.2.5): creating a secret whose name is pending deletion answers ResourceExistsException.
Restores: field guide section 6 (``InvalidRequestException`` "scheduled for deletion").
"""

from moto.secretsmanager.exceptions import InvalidRequestException
from moto.secretsmanager.models import SecretsManagerBackend

from .patching import wrap


def apply() -> None:
    """Patches CreateSecret."""

    @wrap(SecretsManagerBackend, "create_secret")
    def refuse_pending_name(original, self, name, *arguments, **named):
        existing = self.secrets.get(name)
        if existing is not None and existing.is_deleted():
            raise InvalidRequestException(
                "You can't create this secret because a secret with this name is already scheduled for deletion."
            )
        return original(self, name, *arguments, **named)
