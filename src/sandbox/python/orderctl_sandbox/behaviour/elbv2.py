"""Elastic Load Balancing v2 over time.

Field guide section 5 "ALB": a load balancer is ``provisioning`` for 90 to 180 s, an internet-facing one for ever while
its VPC has no attached internet gateway; listeners, rules and target groups can be made meanwhile. It holds one
interface in each of its subnets, under its security groups. After its deletion the interfaces linger (section 8, "wait
ENIs gone") and its name stays taken for a while. The first one makes the service-linked role (section 12).
"""

from collections.abc import Iterable

from moto.ec2.models import EC2Backend
from moto.elbv2.exceptions import DuplicateLoadBalancerName
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer, elbv2_backends

from .. import durations
from ..clock import CLOCK, Event
from ..patches.patching import replace, wrap
from . import interfaces
from .iam import ensure_service_linked_role

_OWNER = "amazon-elb"
_SERVICE = "elasticloadbalancing.amazonaws.com"


def _description(balancer: FakeLoadBalancer) -> str:
    return f"ELB {balancer.arn.partition(':loadbalancer/')[2]}"


def _is_public(balancer: FakeLoadBalancer) -> bool:
    return balancer.scheme == "internet-facing"


def _can_start(backend: ELBv2Backend, balancer: FakeLoadBalancer) -> bool:
    gateways = backend.ec2_backend.internet_gateways.values()
    attached = any(gateway.vpc is not None and gateway.vpc.id == balancer.vpc_id for gateway in gateways)
    return attached or not _is_public(balancer)


def _start(balancer: FakeLoadBalancer) -> None:
    """Sets the provisioning going, unless it is under way."""
    if balancer.state != "provisioning" or balancer._is_under_way:
        return
    balancer._is_under_way = True

    def activate() -> None:
        balancer.state = "active"

    CLOCK.after(durations.LOAD_BALANCER_CREATE, activate)


def _hold(backend: ELBv2Backend, balancer: FakeLoadBalancer) -> None:
    """Gives the load balancer an interface in each subnet that it has none in."""
    for subnet in balancer.subnets:
        if subnet.id not in balancer._interfaces:
            balancer._interfaces[subnet.id] = interfaces.attach(
                backend.account_id,
                backend.region_name,
                subnet.id,
                list(balancer.security_groups),
                _description(balancer),
                _OWNER,
                public=_is_public(balancer),
            )


def _let_go(backend: ELBv2Backend, identifiers: Iterable[str]) -> None:
    """Removes interfaces, as late as AWS does."""
    identifiers = list(identifiers)

    def detach() -> None:
        for identifier in identifiers:
            interfaces.detach(backend.account_id, backend.region_name, identifier)

    CLOCK.after(durations.LOAD_BALANCER_INTERFACES_LINGER, detach)


def _taken_names(backend: ELBv2Backend) -> dict[str, Event]:
    """The names of load balancers that are gone and whose names are not yet free."""
    return backend.__dict__.setdefault("_taken_names", {})


def _keep_name(backend: ELBv2Backend, name: str) -> None:
    taken = _taken_names(backend)
    taken[name] = CLOCK.after(durations.LOAD_BALANCER_NAME_LINGERS, lambda: taken.pop(name, None))


def apply() -> None:
    """Lets load balancers take their time, and hold what they hold."""
    _apply_life()
    _apply_interfaces()


def _apply_life() -> None:
    @replace(FakeLoadBalancer)
    def activate(self):
        """moto calls this at each look; here the clock decides."""

    @wrap(ELBv2Backend, "create_load_balancer")
    def takes_time(original, self, name, *arguments, **named):
        if name in _taken_names(self):
            raise DuplicateLoadBalancerName(
                f"A load balancer with the same name '{name}' exists, but with different settings"
            )
        before = set(self.load_balancers)
        balancer = original(self, name, *arguments, **named)
        if balancer.arn not in before:
            ensure_service_linked_role(self.account_id, _SERVICE)
            balancer._is_under_way = False
            balancer._interfaces = {}
            _hold(self, balancer)
            if _can_start(self, balancer):
                _start(balancer)
        return balancer

    @wrap(EC2Backend, "attach_internet_gateway")
    def waking_load_balancers(original, self, *arguments, **named):
        attachment = original(self, *arguments, **named)
        backend = elbv2_backends[self.account_id][self.region_name]
        for balancer in backend.load_balancers.values():
            if _can_start(backend, balancer):
                _start(balancer)
        return attachment

    @wrap(ELBv2Backend, "delete_load_balancer")
    def leaving_traces(original, self, arn):
        balancer = self.load_balancers.get(arn)
        original(self, arn)
        if balancer is None or arn in self.load_balancers:
            return
        _let_go(self, balancer._interfaces.values())
        _keep_name(self, balancer.name)


def _apply_interfaces() -> None:
    @wrap(ELBv2Backend, "set_subnets")
    def moving_interfaces(original, self, arn, subnets, subnet_mappings):
        zones = original(self, arn, subnets, subnet_mappings)
        balancer = self.load_balancers[arn]
        kept = {subnet.id for subnet in balancer.subnets}
        _let_go(self, [balancer._interfaces.pop(subnet_id) for subnet_id in set(balancer._interfaces) - kept])
        _hold(self, balancer)
        return zones

    @wrap(ELBv2Backend, "set_security_groups")
    def regrouping_interfaces(original, self, arn, sec_groups):
        original(self, arn, sec_groups)
        known = [group for by_id in self.ec2_backend.groups.values() for group in by_id.values()]
        groups = [group for group in known if group.id in sec_groups]
        for identifier in self.load_balancers[arn]._interfaces.values():
            interface = self.ec2_backend.enis.get(identifier)
            if interface is not None:
                interface._group_set = groups
