"""EC2: VPCs, subnets and VPC endpoints are ``pending`` at first; an endpoint is ``deleting`` before it goes.

Field guide section 2, "Wait". None of these states stops others from being made: a subnet may be made in a VPC that is
still ``pending``.
"""

from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.responses import EC2Response

from .. import durations
from ..clock import CLOCK
from ..patches.patching import wrap


def _begin(resource: Any, seconds: float) -> None:
    resource.state = "pending"

    def finish() -> None:
        if resource.state == "pending":
            resource.state = "available"

    CLOCK.after(seconds, finish)


def apply() -> None:
    """Gives the three kinds their states."""
    # At the operation, since moto makes an account's default VPC and subnets by the methods of its model.

    @wrap(EC2Response, "create_vpc")
    def vpc_begins_pending(original, self):
        answer = original(self)
        _begin(answer.result["Vpc"], durations.VPC_CREATE)
        return answer

    @wrap(EC2Response, "create_subnet")
    def subnet_begins_pending(original, self):
        answer = original(self)
        _begin(answer.result["Subnet"], durations.SUBNET_CREATE)
        return answer

    @wrap(EC2Backend, "create_vpc_endpoint")
    def endpoint_begins_pending(original, self, *arguments, **named):
        endpoint: VPCEndPoint = original(self, *arguments, **named)
        _begin(endpoint, durations.VPC_ENDPOINT_CREATE)
        return endpoint

    @wrap(EC2Backend, "delete_vpc_endpoints")
    def endpoint_ends_deleting(original, self, vpce_ids=None):
        for identifier in vpce_ids or []:
            endpoint = self.vpc_end_points.get(identifier)
            if endpoint is None or endpoint.state == "deleting":
                continue
            endpoint.state = "deleting"
            CLOCK.after(durations.VPC_ENDPOINT_DELETE, lambda gone=identifier: original(self, [gone]))
