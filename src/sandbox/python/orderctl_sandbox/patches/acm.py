"""ACM.

Gaps (moto 5.2.5): importing again under the same ARN loses the tags; ``InUseBy`` names listeners, only those created
with the certificate, and never forgets them; every domain has the same validation record, in random order; what only
an issued certificate has is answered before; the method of validation is forgotten; lists are not paged and, without
a filter, include elliptic-curve keys.
Restores: tags kept on re-import, ``InUseBy`` as the load balancers that use the certificate now, one validation record
per account and domain (a wildcard shares it with the domain below it).
"""

import hashlib
from typing import Any

from moto.acm.exceptions import AWSError, CertificateNotFound
from moto.acm.models import AWSCertificateManagerBackend, CertBundle, datetime_to_epoch
from moto.acm.responses import AWSCertificateManagerResponse
from moto.elbv2.models import elbv2_backends

from .patching import wrap

_PAGE = 1000
#: What a description has only after the issue.
_ONCE_ISSUED = ("IssuedAt", "NotAfter", "NotBefore", "Serial")


def users_of(account_id: str, region: str, certificate_arn: str) -> list[str]:
    """The load balancers with a listener that serves this certificate."""
    return [
        balancer.arn
        for balancer in elbv2_backends[account_id][region].load_balancers.values()
        if any(certificate_arn in listener.certificates for listener in balancer.listeners.values())
    ]


def domains_of(certificate: CertBundle) -> list[str]:
    """The domain of a requested certificate and its alternative names, as they were asked for."""
    return list(dict.fromkeys([certificate.common_name, *certificate.sans]))


def validation_record(certificate: CertBundle, domain: str) -> dict[str, str]:
    """The CNAME that proves the control over a domain: the same for every certificate of an account."""
    name = domain.removeprefix("*.").lower()
    account = certificate.arn.split(":")[4]
    proof = hashlib.sha256(f"{account}/{name}".encode()).hexdigest()
    return {
        "Name": f"_{proof[:32]}.{name}.",
        "Type": "CNAME",
        "Value": f"_{proof[32:]}.{proof[:10].translate(str.maketrans('0123456789', 'ghijklmnop'))}.acm-validations.aws.",
    }


def apply() -> None:
    """Patches import, request, descriptions and lists."""

    def in_use_by(self: CertBundle) -> list[str]:
        _, _, _, region, account_id, _ = self.arn.split(":", 5)
        return users_of(account_id, region, self.arn)

    # moto assigns an empty list in the constructor and appends to it; both are ignored.
    CertBundle.in_use_by = property(in_use_by, lambda self, value: None)
    CertBundle.validation_method = "DNS"

    @wrap(CertificateNotFound, "__init__")
    def in_the_words_of_aws(original, self, arn, account_id):
        AWSError.__init__(self, f"Could not find certificate {arn}.")

    @wrap(AWSCertificateManagerBackend, "import_certificate")
    def keep_tags(original, self, certificate, private_key, chain, arn, tags):
        before = self._certificates.get(arn) if arn else None
        imported = original(self, certificate, private_key, chain, arn, tags)
        if before is not None:
            self._certificates[imported].tags = before.tags
        return imported

    @wrap(AWSCertificateManagerBackend, "request_certificate")
    def names_in_order(original, self, domain_name, idempotency_token, subject_alt_names, *arguments, **named):
        arn = original(self, domain_name, idempotency_token, subject_alt_names, *arguments, **named)
        self._certificates[arn].sans = list(dict.fromkeys([domain_name, *(subject_alt_names or [])]))
        return arn

    @wrap(AWSCertificateManagerResponse, "request_certificate")
    def with_method(original, self):
        before = set(self.acm_backend._certificates)
        answer = original(self)
        arn = answer.result["CertificateArn"]
        if arn not in before:
            self.acm_backend._certificates[arn].validation_method = self._get_param("ValidationMethod") or "EMAIL"
        return answer

    _apply_descriptions()


def _apply_descriptions() -> None:
    @wrap(CertBundle, "describe")
    def as_far_as_it_is(original, self):
        answer = original(self)
        detail: dict[str, Any] = answer["Certificate"]
        if self.type != "AMAZON_ISSUED":
            return answer
        if self.status in ("PENDING_VALIDATION", "VALIDATION_TIMED_OUT"):
            for field in _ONCE_ISSUED:
                detail.pop(field, None)
        else:
            detail["IssuedAt"] = datetime_to_epoch(getattr(self, "issued_at", self.created_at))
        status = "SUCCESS" if self.status == "ISSUED" else "FAILED"
        detail["DomainValidationOptions"] = [
            {
                "DomainName": domain,
                "ValidationDomain": domain,
                "ValidationStatus": self.status if self.status == "PENDING_VALIDATION" else status,
                "ValidationMethod": self.validation_method,
                **({"ResourceRecord": validation_record(self, domain)} if self.validation_method == "DNS" else {}),
            }
            for domain in domains_of(self)
        ]
        return answer

    @wrap(AWSCertificateManagerResponse, "list_certificates")
    def in_pages(original, self):
        answer = original(self)
        found = answer._result["CertificateSummaryList"]
        if not (self._get_param("Includes") or {}).get("keyTypes"):
            found = [item for item in found if item["KeyAlgorithm"] in ("RSA_1024", "RSA_2048")]
        arns = [item["CertificateArn"] for item in found]
        token = self._get_param("NextToken")
        if token and token not in arns:
            raise AWSError("The value of NextToken is not valid.", exception_type="ValidationException")
        start = arns.index(token) + 1 if token else 0
        end = start + int(self._get_param("MaxItems") or _PAGE)
        answer._result["CertificateSummaryList"] = found[start:end]
        if end < len(found):
            answer._result["NextToken"] = arns[end - 1]
        return answer
