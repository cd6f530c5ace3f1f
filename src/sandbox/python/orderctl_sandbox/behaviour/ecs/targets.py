"""Targets of target groups: registration, health checks, draining.

Field guide sections 4 and 5. A target is ``initial`` until it has passed its first checks, ``unused`` while no listener or
rule forwards to its group, and ``draining`` for the group's deregistration delay after it was taken out. Targets that
somebody registers by hand have no task behind them and are taken to answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.ec2.models import EC2Backend
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup, elbv2_backends

from ...clock import CLOCK, Event
from ...durations import TARGET_DRAINING_DEFAULT, TARGET_REGISTER
from ...patches.elbv2 import forwarded_groups, rules_of
from ...patches.patching import replace, wrap

_DESCRIPTIONS = {
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Elb.InitialHealthChecking": "Initial health checks in progress",
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
    "Target.NotInUse": "Target group is not configured to receive traffic from the load balancer",
    "Target.NotRegistered": "Target is not registered to the target group",
    "Target.ResponseCodeMismatch": "Health checks failed with these codes: [503]",
}


@dataclass
class Answers:
    """How a target answers its health checks."""

    #: Sandbox second from which on it answers well; checks before hang without a result.
    since: float = 0.0
    #: Whether it ever answers well; one that does not fails with status 503.
    well: bool = True
    #: The status with which it answers other requests than health checks.
    otherwise: int = 200
    #: The digest of the image in it, where there is one.
    image: str | None = None


class Target:
    """One registered target of one group, with the state of its health."""

    def __init__(
        self,
        group: FakeTargetGroup,
        identifier: str,
        port: int,
        zone: str | None,
        answers: Answers,
        on_change: Callable[[], None],
    ) -> None:
        self.group = group
        self.identifier = identifier
        self.port = port
        self.zone = zone
        self.answers = answers
        self._on_change = on_change
        self.state = "unused"
        self.reason: str | None = "Target.NotInUse"
        self._next: Event | None = None

    @property
    def description(self) -> str | None:
        """What goes with the reason."""
        return _DESCRIPTIONS.get(self.reason or "")

    def follow(self, is_used: bool) -> None:
        """Begins or ends the health checks, depending on whether some rule forwards to the group."""
        if self.state == "draining" or is_used == (self.state != "unused"):
            return
        self._stop_waiting()
        if not is_used:
            self._enter("unused", "Target.NotInUse")
            return
        self._enter("initial", "Elb.RegistrationInProgress")
        self._next = CLOCK.after(TARGET_REGISTER, self._check)

    def drain(self, done: Callable[[], None]) -> None:
        """Takes no more connections and says when the last ones have ended: at once where no traffic ever came."""
        self._stop_waiting()
        if self.state == "unused":
            done()
            return
        self._enter("draining", "Target.DeregistrationInProgress")
        delay = float(self.group.attributes.get("deregistration_delay.timeout_seconds", TARGET_DRAINING_DEFAULT))
        self._next = CLOCK.after(delay, done)

    def _check(self) -> None:
        self._enter("initial", "Elb.InitialHealthChecking")
        interval = float(self.group.health_check_interval_seconds)
        if self.answers.well:
            waits = max(self.answers.since - CLOCK.now(), 0.0)
            seconds = waits + interval * int(self.group.healthy_threshold_count)
            self._next = CLOCK.after(seconds, lambda: self._enter("healthy", None))
        else:
            seconds = interval * int(self.group.unhealthy_threshold_count)
            self._next = CLOCK.after(seconds, lambda: self._enter("unhealthy", "Target.ResponseCodeMismatch"))

    def _enter(self, state: str, reason: str | None) -> None:
        self.state, self.reason = state, reason
        self._on_change()

    def _stop_waiting(self) -> None:
        if self._next is not None:
            self._next.cancel()


class _TargetHealth(FakeHealthStatus):
    """One item of DescribeTargetHealth."""

    def __init__(self, group: FakeTargetGroup, identifier: str, port: int, target: Target | None) -> None:
        check_port = str(port) if group.health_check_port == "traffic-port" else group.health_check_port
        if target is None:
            reason = "Target.NotRegistered"
            super().__init__(identifier, port, check_port, "unused", reason, _DESCRIPTIONS[reason])
        else:
            super().__init__(identifier, port, check_port, target.state, target.reason, target.description)
        self._zone = target.zone if target else None

    @property
    def target(self) -> dict[str, Any]:
        return {"Id": self.instance_id, "Port": self.port, "AvailabilityZone": self._zone}


def _ignore() -> None:
    """For targets without a task behind them."""


def all_of(group: FakeTargetGroup) -> dict[tuple[str, int], Target]:
    """A group's targets by id and port, draining ones too."""
    return group.__dict__.setdefault("_registered", {})


def register(
    account: str,
    region: str,
    group_arn: str,
    identifier: str,
    port: int,
    zone: str | None,
    answers: Answers,
    on_change: Callable[[], None],
) -> Target | None:
    """Registers a task's address; ``on_change`` hears of every new state. None when there is no such group."""
    backend: ELBv2Backend = elbv2_backends[account][region]
    group = backend.target_groups.get(group_arn)
    return _enter(backend, group, identifier, port, zone, answers, on_change) if group else None


def deregister(target: Target, done: Callable[[], None] = _ignore) -> None:
    """Takes a target out of its group; ``done`` is called when it has drained."""
    group = target.group
    key = (target.identifier, target.port)

    def leave() -> None:
        if all_of(group).get(key) is target:
            del all_of(group)[key]
        done()

    if group.targets.get(target.identifier, {}).get("Port") == target.port:
        group.deregistered_targets[target.identifier] = group.targets.pop(target.identifier)
    target.drain(leave)


def _enter(
    backend: ELBv2Backend,
    group: FakeTargetGroup,
    identifier: str,
    port: int,
    zone: str | None,
    answers: Answers,
    on_change: Callable[[], None],
) -> Target:
    known = all_of(group).get((identifier, port))
    if known is not None and known.state != "draining":
        return known
    # A draining one is replaced, and goes on draining for whoever waits for its end.
    target = Target(group, identifier, port, zone, answers, on_change)
    all_of(group)[identifier, port] = target
    # moto's own record goes on being what the rest of moto reads.
    group.targets[identifier] = {"Id": identifier, "Port": port}
    group.deregistered_targets.pop(identifier, None)
    target.follow(group.arn in used_groups(backend))
    return target


def used_groups(backend: ELBv2Backend) -> set[str]:
    """The groups that some listener or rule forwards to, with whatever weight."""
    rules = [rule for balancer in backend.load_balancers.values() for rule in rules_of(balancer)]
    return {arn for rule in rules for action in rule.actions for arn in forwarded_groups(action)}


def usage_changed(backend: ELBv2Backend) -> None:
    """To be called when rules have changed: begins and ends health checks accordingly."""
    used = used_groups(backend)
    for group in backend.target_groups.values():
        for target in list(all_of(group).values()):
            target.follow(group.arn in used)


def apply() -> None:
    """Puts targets with a life of their own in the place of moto's, and lets them follow the rules."""
    _apply_registration()
    _apply_health()
    _apply_usage()


def _apply_registration() -> None:
    @wrap(FakeTargetGroup, "register")
    def begin(original, self, targets):
        # moto refuses instances that do not run.
        original(self, targets)
        backend: ELBv2Backend = elbv2_backends[self.account_id][self.region_name]
        for given in targets:
            port = int(given.get("Port") or self.port or 0)
            zone = given.get("AvailabilityZone") or _zone_of(self.ec2_backend, self.vpc_id, given["Id"])
            _enter(backend, self, given["Id"], port, zone, Answers(), _ignore)

    @replace(FakeTargetGroup, "deregister")
    def end(self, targets):
        # One that is not registered is fine.
        for given in targets:
            for (identifier, port), target in list(all_of(self).items()):
                if identifier == given["Id"] and port == int(given.get("Port") or port) and target.state != "draining":
                    deregister(target)


def _zone_of(ec2: EC2Backend, vpc_id: str, identifier: str) -> str | None:
    for interface in ec2.enis.values():
        if interface.private_ip_address == identifier and interface.subnet.vpc_id == vpc_id:
            return interface.subnet.availability_zone
    return None


def _apply_health() -> None:
    @replace(FakeTargetGroup, "health_for")
    def as_it_is(self, target, ec2_backend):
        matching = [
            item
            for (identifier, port), item in all_of(self).items()
            if identifier == target["Id"] and port == int(target.get("Port") or port)
        ]
        known = matching[0] if matching else None
        port = known.port if known else int(target.get("Port") or self.port or 0)
        return _TargetHealth(self, target["Id"], port, known)

    @wrap(ELBv2Backend, "describe_target_health")
    def with_draining(original, self, target_group_arn, targets):
        group = self.target_groups.get(target_group_arn)
        if group is not None and not targets:
            targets = [{"Id": identifier, "Port": port} for identifier, port in all_of(group)]
            if not targets:
                return []
        return original(self, target_group_arn, targets)


def _apply_usage() -> None:
    def follow(name: str) -> None:
        @wrap(ELBv2Backend, name)
        def then_follow(original, self, *arguments, **named):
            answer = original(self, *arguments, **named)
            usage_changed(self)
            return answer

    for operation in (
        "create_listener",
        "modify_listener",
        "delete_listener",
        "create_rule",
        "modify_rule",
        "delete_rule",
        "delete_load_balancer",
    ):
        follow(operation)
