"""ACM over time.

Field guide section 5 "ACM cert": the validation record of a requested certificate appears some seconds after the
request; once the CNAMEs of all its domains are in Route 53 it becomes ``ISSUED``, and without them it times out after
72 hours. Imported certificates are issued at once. A certificate counts as in use, and cannot be deleted, for a while
after its last listener is gone. RequestCertificate answers the same certificate to the same token for one hour
(section 1.1). Reads lag behind the request and the import.
"""

from collections.abc import Callable
from typing import Any

from moto.acm.exceptions import AWSError, CertificateNotFound
from moto.acm.models import AWSCertificateManagerBackend, CertBundle, acm_backends
from moto.acm.responses import AWSCertificateManagerResponse
from moto.core.utils import utcnow
from moto.elbv2.models import ELBv2Backend
from moto.route53.models import Route53Backend, route53_backends

from .. import durations
from ..clock import CLOCK, Event
from ..consistency import created, misses
from ..patches.acm import domains_of, users_of, validation_record
from ..patches.patching import replace, wrap

_PENDING = "PENDING_VALIDATION"


def apply() -> None:
    """Lets certificates take their time, and keeps those in use."""
    _apply_request()
    _apply_validation()
    _apply_usage()
    _apply_consistency()


def _apply_request() -> None:
    @wrap(AWSCertificateManagerBackend, "request_certificate")
    def once_per_token(original, self, domain_name, idempotency_token, subject_alt_names, tags, *arguments, **named):
        tokens: dict[str, tuple[Any, str]] = self.__dict__.setdefault("_request_tokens", {})
        request = (domain_name, subject_alt_names, tags, arguments, named)
        made_for, arn = tokens.get(idempotency_token, (None, ""))
        if made_for == request and arn in self._certificates:
            return arn
        arn = original(self, domain_name, None, subject_alt_names, tags, *arguments, **named)
        if idempotency_token is not None:
            tokens[idempotency_token] = (request, arn)
            CLOCK.deadline(durations.CERTIFICATE_TOKEN_FORGOTTEN, lambda: _forget(tokens, idempotency_token, arn))
        created(arn)
        certificate = self._certificates[arn]
        if certificate.status == _PENDING:
            certificate._record_shows = False
            CLOCK.after(durations.CERTIFICATE_VALIDATION_SHOWS, lambda: _show_record(self, certificate))
            CLOCK.deadline(durations.CERTIFICATE_VALIDATION_TIMES_OUT, lambda: _time_out(certificate))
        return arn

    @wrap(AWSCertificateManagerBackend, "import_certificate")
    def fresh(original, self, certificate, private_key, chain, arn, tags):
        imported = original(self, certificate, private_key, chain, arn, tags)
        if arn is None:
            created(imported)
        return imported


def _forget(tokens: dict[str, tuple[Any, str]], token: str, arn: str) -> None:
    if tokens.get(token, (None, ""))[1] == arn:
        del tokens[token]


def _show_record(backend: AWSCertificateManagerBackend, certificate: CertBundle) -> None:
    certificate._record_shows = True
    _look(backend, certificate)


def _time_out(certificate: CertBundle) -> None:
    if certificate.status == _PENDING:
        certificate.status = "VALIDATION_TIMED_OUT"


def _canonical(name: str) -> str:
    return name.rstrip(".").lower()


def _is_validated(backend: AWSCertificateManagerBackend, certificate: CertBundle) -> bool:
    """Whether public zones of the account have the records of all domains."""
    zones = route53_backends[backend.account_id][backend.partition].zones.values()
    present = {
        (_canonical(record.name), _canonical(value))
        for zone in zones
        if not zone.private_zone
        for record in zone.rrsets
        if record.type == "CNAME"
        for value in record.records or []
    }
    wanted = [validation_record(certificate, domain) for domain in domains_of(certificate)]
    return all((_canonical(record["Name"]), _canonical(record["Value"])) in present for record in wanted)


def _look(backend: AWSCertificateManagerBackend, certificate: CertBundle) -> None:
    """Sets the issue going if ACM finds the records now; it looks again at the end."""
    waits = certificate.status == _PENDING and certificate.validation_method == "DNS"
    if not waits or getattr(certificate, "_issue", None) is not None or not _is_validated(backend, certificate):
        return

    def issue() -> None:
        certificate._issue = None
        if certificate.status == _PENDING and _is_validated(backend, certificate):
            certificate.status = "ISSUED"
            certificate.issued_at = utcnow()

    certificate._issue = CLOCK.after(durations.CERTIFICATE_ISSUE, issue)


def _apply_validation() -> None:
    @replace(CertBundle)
    def check(self):
        """moto issues by the wall clock here; this only notices the end of the validity."""
        if self._not_valid_after(self._cert) <= utcnow():
            self.status = "EXPIRED"

    @wrap(CertBundle, "describe")
    def without_record_at_first(original, self):
        answer = original(self)
        if not getattr(self, "_record_shows", True):
            for option in answer["Certificate"]["DomainValidationOptions"]:
                option.pop("ResourceRecord", None)
        return answer

    @wrap(Route53Backend, "change_resource_record_sets")
    def noticed_by_acm(original, self, zoneid, change_list):
        original(self, zoneid, change_list)
        for backend in acm_backends[self.account_id].values():
            for certificate in backend._certificates.values():
                if getattr(certificate, "_record_shows", True):
                    _look(backend, certificate)

    @wrap(AWSCertificateManagerResponse, "get_certificate")
    def once_issued(original, self):
        arn = self._get_param("CertificateArn")
        certificate = self.acm_backend._certificates.get(arn)
        if certificate is not None and certificate.status == _PENDING:
            raise AWSError(
                f"Certificate {arn} in account {self.current_account} is not issued yet.",
                exception_type="RequestInProgressException",
            )
        return original(self)


def _lingering(backend: AWSCertificateManagerBackend) -> dict[tuple[str, str], Event]:
    """Uses that are over and still count: (certificate, load balancer) -> their end."""
    return backend.__dict__.setdefault("_lingering_uses", {})


def _uses(backend: ELBv2Backend) -> set[tuple[str, str]]:
    return {
        (certificate, balancer.arn)
        for balancer in backend.load_balancers.values()
        for listener in balancer.listeners.values()
        for certificate in listener.certificates
    }


def _linger(backend: AWSCertificateManagerBackend, use: tuple[str, str]) -> None:
    lingering = _lingering(backend)
    if use in lingering:
        lingering[use].cancel()
    lingering[use] = CLOCK.after(durations.CERTIFICATE_USE_LINGERS, lambda: lingering.pop(use, None))


def _apply_usage() -> None:
    def in_use_by(self: CertBundle) -> list[str]:
        _, _, _, region, account_id, _ = self.arn.split(":", 5)
        past = [user for arn, user in _lingering(acm_backends[account_id][region]) if arn == self.arn]
        return list(dict.fromkeys([*users_of(account_id, region, self.arn), *past]))

    CertBundle.in_use_by = property(in_use_by, lambda self, value: None)

    def watch(operation: str) -> None:
        @wrap(ELBv2Backend, operation)
        def and_remember_what_ended(original, self, *arguments: Any, **named: Any):
            before = _uses(self)
            try:
                return original(self, *arguments, **named)
            finally:
                for use in before - _uses(self):
                    _linger(acm_backends[self.account_id][self.region_name], use)

    for operation in ("modify_listener", "delete_listener", "remove_listener_certificates", "delete_load_balancer"):
        watch(operation)

    @wrap(AWSCertificateManagerBackend, "delete_certificate")
    def unless_in_use(original, self, arn):
        certificate = self._certificates.get(arn)
        if certificate is not None and certificate.in_use_by:
            raise AWSError(
                f"Certificate {arn} in account {self.account_id} is in use.", exception_type="ResourceInUseException"
            )
        return original(self, arn)


def _apply_consistency() -> None:
    def look(operation: str) -> Callable[..., Any]:
        @wrap(AWSCertificateManagerResponse, operation)
        def unless_fresh(original, self):
            arn = self._get_param("CertificateArn")
            if arn is not None and misses(arn):
                raise CertificateNotFound(arn, self.current_account)
            return original(self)

        return unless_fresh

    for operation in (
        "add_tags_to_certificate",
        "describe_certificate",
        "get_certificate",
        "list_tags_for_certificate",
        "remove_tags_from_certificate",
    ):
        look(operation)

    @wrap(AWSCertificateManagerBackend, "list_certificates")
    def without_fresh_ones(original, self, statuses, includes):
        return [certificate for certificate in original(self, statuses, includes) if not misses(certificate.arn)]
