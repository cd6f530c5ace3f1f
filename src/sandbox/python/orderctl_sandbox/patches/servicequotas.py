"""Service Quotas.

Gaps (moto 5.2.5): only quotas of VPC are known, and their values have nothing to do with what moto refuses.
Restores: GetServiceQuota for the quotas that this layer holds (field guide section 11). The value for VPCs is one higher
than the limit that is set, because on AWS the default VPC counts and here it does not (``behaviour/ec2_quotas.py``).
"""

from moto.ec2.models import ec2_backends
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend

from ..quotas import QUOTAS
from .patching import wrap

#: Service code and quota code -> AWS's name of the quota, and ours of the limit.
_HELD = {
    ("ec2", "L-0263D0A3"): ("EC2-VPC Elastic IPs", "elastic-ips"),
    ("vpc", "L-F678F1CE"): ("VPCs per Region", "vpcs"),
    ("vpc", "L-A4707A72"): ("Internet gateways per Region", "internet-gateways"),
    ("vpc", "L-FE5A380F"): ("NAT gateways per Availability Zone", "nat-gateways-per-az"),
    ("fargate", "L-3032A538"): ("Fargate On-Demand vCPU resource count", "fargate-vcpus"),
    ("fargate", "L-36FBB829"): ("Fargate Spot vCPU resource count", "fargate-vcpus"),
}


def apply() -> None:
    """Patches GetServiceQuota."""

    @wrap(ServiceQuotasBackend, "get_service_quota")
    def as_held(original, self, service_code, quota_code):
        held = _HELD.get((service_code, quota_code))
        if held is None:
            if service_code != "vpc":
                raise NoSuchResource
            return original(self, service_code, quota_code)
        name, limit = held
        value = QUOTAS[limit]
        if limit == "vpcs":
            value += sum(vpc.is_default for vpc in ec2_backends[self.account_id][self.region_name].vpcs.values())
        return {
            "ServiceCode": service_code,
            "QuotaCode": quota_code,
            "QuotaName": name,
            "QuotaArn": f"arn:aws:servicequotas:{self.region_name}:{self.account_id}:{service_code}/{quota_code}",
            "Value": float(value),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
