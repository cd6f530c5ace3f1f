"""Secrets Manager.

Gaps (moto 5.2.5): creating a secret whose name is pending deletion answers ResourceExistsException; UpdateSecret
without a client token answers it too; a partial ARN finds a secret whose name ends in a hyphen and six characters; what is missing is
answered with status 404.
Restores: field guide section 6 (``InvalidRequestException`` "scheduled for deletion") and section 10 (such an ending
is taken for the random one of a whole ARN); status 400, as the service's model has it for all its errors.
"""

import re
import uuid

from moto.secretsmanager import exceptions, models
from moto.secretsmanager.exceptions import InvalidRequestException
from moto.secretsmanager.models import SecretsManagerBackend

from .patching import wrap

_LOOKS_WHOLE = re.compile(r"arn:.*-[A-Za-z0-9]{6}")


def apply() -> None:
    """Patches CreateSecret, UpdateSecret, the lookup by ARN and the status of errors."""
    _apply_status()

    @wrap(SecretsManagerBackend, "create_secret")
    def refuse_pending_name(original, self, name, *arguments, **named):
        existing = self.secrets.get(name)
        if existing is not None and existing.is_deleted():
            raise InvalidRequestException(
                "You can't create this secret because a secret with this name is already scheduled for deletion."
            )
        return original(self, name, *arguments, **named)

    @wrap(SecretsManagerBackend, "update_secret")
    def token_of_its_own(original, self, **named):
        named["client_request_token"] = named.get("client_request_token") or str(uuid.uuid4())
        return original(self, **named)

    @wrap(models, "get_secret_name_from_partial_arn")
    def whole_arns_have_no_name(original, partial_arn):
        return "" if _LOOKS_WHOLE.fullmatch(partial_arn) else original(partial_arn)


def _apply_status() -> None:
    for error in (
        exceptions.ResourceNotFoundException,
        exceptions.SecretHasNoValueException,
        exceptions.SecretNotFoundException,
        exceptions.SecretStageVersionMismatchException,
    ):

        @wrap(error, "__init__")
        def with_status_400(original, self, *arguments):
            original(self, *arguments)
            self.code = 400
