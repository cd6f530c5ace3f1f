"""ACM.

Gaps (moto 5.2.5): importing again under the same ARN loses the tags; ``InUseBy`` names listeners, only those created
with the certificate, and never forgets them.
Restores: tags kept on re-import, ``InUseBy`` as the load balancers that use the certificate now.
"""

from moto.acm.models import AWSCertificateManagerBackend, CertBundle
from moto.elbv2.models import elbv2_backends

from .patching import wrap


def users_of(account_id: str, region: str, certificate_arn: str) -> list[str]:
    """The load balancers with a listener that serves this certificate."""
    return [
        balancer.arn
        for balancer in elbv2_backends[account_id][region].load_balancers.values()
        if any(certificate_arn in listener.certificates for listener in balancer.listeners.values())
    ]


def apply() -> None:
    """Patches import and usage."""

    def in_use_by(self: CertBundle) -> list[str]:
        _, _, _, region, account_id, _ = self.arn.split(":", 5)
        return users_of(account_id, region, self.arn)

    # moto assigns an empty list in the constructor and appends to it; both are ignored.
    CertBundle.in_use_by = property(in_use_by, lambda self, value: None)

    @wrap(AWSCertificateManagerBackend, "import_certificate")
    def keep_tags(original, self, certificate, private_key, chain, arn, tags):
        before = self._certificates.get(arn) if arn else None
        imported = original(self, certificate, private_key, chain, arn, tags)
        if before is not None:
            self._certificates[imported].tags = before.tags
        return imported
