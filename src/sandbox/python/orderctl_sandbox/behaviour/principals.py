"""Policies that name a role or user which is not there, or not known yet.

Field guide section 3 "Retry" and section 7: a role's policy is ``MalformedPolicyDocument`` "Invalid principal in
policy", a repository's "Invalid repository policy provided", a topic's "PrincipalNotFound". Other accounts' principals
pass.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from moto.ecr.exceptions import InvalidParameterException
from moto.ecr.models import ECRBackend
from moto.iam.exceptions import MalformedPolicyDocument
from moto.iam.models import IAMBackend, iam_backends
from moto.iam.policy_validation import IAMTrustPolicyDocumentValidator
from moto.sns.exceptions import SNSInvalidParameter
from moto.sns.models import SNSBackend

from ..patches.patching import wrap
from .iam import role_is_usable

_PRINCIPAL = re.compile(r"arn:aws:iam::(?P<account>\d{12}):(?P<kind>role|user)/.+")


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _named(document: str) -> Iterator[str]:
    """What the principals of a policy document name as ``AWS``."""
    try:
        statements = _as_list(json.loads(document)["Statement"])
    except (ValueError, TypeError, KeyError):
        # Whoever the policy is for says that it is none.
        return
    for statement in statements:
        principal = statement.get("Principal") if isinstance(statement, dict) else None
        if isinstance(principal, dict):
            yield from (name for name in _as_list(principal.get("AWS")) if isinstance(name, str))


def _unknown(account: str, document: str) -> str | None:
    """The first principal of this account that IAM does not have, or not for long enough."""
    users = {user.arn for user in iam_backends[account]["aws"].users.values()}
    for name in _named(document):
        match = _PRINCIPAL.fullmatch(name)
        if match is None or match["account"] != account:
            continue
        if not (name in users if match["kind"] == "user" else role_is_usable(account, name)):
            return name
    return None


def apply() -> None:
    """Refuses such policies of roles, repositories and topics."""
    _apply_roles()
    _apply_repositories()
    _apply_topics()


def _apply_roles() -> None:
    def check(backend: IAMBackend, document: str) -> None:
        # moto does so for an update only.
        IAMTrustPolicyDocumentValidator(document).validate()
        unknown = _unknown(backend.account_id, document)
        if unknown is not None:
            raise MalformedPolicyDocument(f'Invalid principal in policy: "AWS":"{unknown}"')

    @wrap(IAMBackend, "create_role")
    def create(original, self, role_name, assume_role_policy_document, *arguments, **named):
        check(self, assume_role_policy_document)
        return original(self, role_name, assume_role_policy_document, *arguments, **named)

    @wrap(IAMBackend, "update_assume_role_policy")
    def update(original, self, role_name, policy_document):
        check(self, policy_document)
        return original(self, role_name, policy_document)


def _apply_repositories() -> None:
    @wrap(ECRBackend, "set_repository_policy")
    def set_policy(original, self, registry_id, repository_name, policy_text):
        if _unknown(self.account_id, policy_text) is not None:
            raise InvalidParameterException(
                "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
            )
        return original(self, registry_id, repository_name, policy_text)


def _apply_topics() -> None:
    def check(backend: SNSBackend, policy: str) -> None:
        if _unknown(backend.account_id, policy) is not None:
            raise SNSInvalidParameter("Invalid parameter: Policy Error: PrincipalNotFound")

    @wrap(SNSBackend, "create_topic")
    def create(original, self, name, attributes=None, tags=None):
        check(self, (attributes or {}).get("Policy", ""))
        return original(self, name, attributes, tags)

    @wrap(SNSBackend, "set_topic_attribute")
    def set_attribute(original, self, topic_arn, attribute_name, attribute_value):
        if attribute_name.lower() == "policy":
            check(self, attribute_value)
        return original(self, topic_arn, attribute_name, attribute_value)
