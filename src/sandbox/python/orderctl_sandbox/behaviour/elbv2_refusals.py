"""What Elastic Load Balancing v2 refuses.

Field guide section 5: deletion protection (``OperationNotPermitted``), groups in use (``ResourceInUse``), priorities
(``PriorityInUse``), certificates that ELB does not know or that ACM has not issued (``CertificateNotFound``,
``UnsupportedCertificate``), empty attribute values; section 10: names. Load balancers need subnets in two zones, and a
target group serves one load balancer in its own VPC. The wordings are those of AWS as far as they are known.
"""

import re
from typing import Any

from moto.acm.models import acm_backends
from moto.elbv2.exceptions import ELBClientError, SubnetNotFoundError, TargetGroupNotFoundError
from moto.elbv2.models import ELBv2Backend, FakeAction, FakeListener, FakeLoadBalancer
from moto.elbv2.ssl_policies import SSL_POLICIES
from moto.iam.models import iam_backends

from ..consistency import from_inside, misses
from ..patches.elbv2 import LOAD_BALANCER_ATTRIBUTES, forwarded_groups, not_found, rules_of
from ..patches.patching import wrap

#: Quotas of a new account that nobody needs to change here.
_LISTENERS_PER_LOAD_BALANCER = 50
_RULES_PER_LOAD_BALANCER = 100
_PRIORITIES = range(1, 50_001)
_WEIGHTS = range(0, 1000)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?")
#: What a target group of an Application Load Balancer can be told, and the numbers it takes.
_TARGET_GROUP_NUMBERS = {
    "deregistration_delay.timeout_seconds": range(0, 3601),
    "slow_start.duration_seconds": range(0, 901),
    "stickiness.lb_cookie.duration_seconds": range(1, 604_801),
    "stickiness.app_cookie.duration_seconds": range(1, 604_801),
}
_SWITCHES = ("true", "false")


def _invalid(message: str) -> ELBClientError:
    return ELBClientError("ValidationError", message)


def _unfit(message: str) -> ELBClientError:
    return ELBClientError("InvalidConfigurationRequest", message)


def apply() -> None:
    """Wraps the operations of each kind."""
    _apply_load_balancers()
    _apply_target_groups()
    _apply_listeners()
    _apply_rules()


def _subnets(backend: ELBv2Backend, identifiers: list[str]) -> list[Any]:
    """The subnets of a load balancer; refuses what cannot carry one."""
    known = {subnet.id: subnet for by_id in backend.ec2_backend.subnets.values() for subnet in by_id.values()}
    for identifier in identifiers:
        if identifier not in known or misses(identifier):
            raise ELBClientError("SubnetNotFound", f"The subnet ID '{identifier}' does not exist")
    found = [known[identifier] for identifier in identifiers]
    if not found:
        raise SubnetNotFoundError()
    zones = [subnet.availability_zone for subnet in found]
    if len(set(zones)) < len(zones):
        raise _unfit("A load balancer cannot be attached to multiple subnets in the same Availability Zone")
    if len(zones) < 2:
        raise _invalid("At least two subnets in two different Availability Zones must be specified")
    if len({subnet.vpc_id for subnet in found}) > 1:
        raise _unfit("All subnets must be in the same VPC")
    return found


def _check_groups(backend: ELBv2Backend, vpc_id: str, identifiers: list[str]) -> None:
    known = {group.id: group for by_id in backend.ec2_backend.groups.values() for group in by_id.values()}
    for identifier in identifiers:
        if identifier not in known or misses(identifier):
            raise ELBClientError("InvalidSecurityGroup", f"The security group '{identifier}' does not exist")
        if known[identifier].vpc_id != vpc_id:
            raise _unfit("One or more security groups are invalid")


def _balancer(backend: ELBv2Backend, arn: str) -> FakeLoadBalancer:
    if arn not in backend.load_balancers:
        raise not_found(arn)
    return backend.load_balancers[arn]


def _apply_load_balancers() -> None:
    @wrap(ELBv2Backend, "create_load_balancer")
    def checked(original, self, name, security_groups, subnet_ids, **named):
        if len(name) > 32:
            raise _invalid(f"The load balancer name '{name}' cannot be longer than '32' characters")
        if not _NAME.fullmatch(name):
            raise _invalid(
                f"The load balancer name '{name}' can only contain characters that are alphanumeric characters and "
                "hyphens(-), and cannot begin or end with a hyphen"
            )
        if name.startswith("internal-"):
            raise _invalid(f"The load balancer name '{name}' cannot begin with 'internal-'")
        if (named.get("loadbalancer_type") or "application") == "application":
            mapped = [mapping["SubnetId"] for mapping in named.get("subnet_mappings") or []]
            subnets = _subnets(self, [*subnet_ids, *mapped])
            _check_groups(self, subnets[0].vpc_id, security_groups)
        # What was seen a moment ago must not be missed now.
        with from_inside():
            return original(self, name, security_groups, subnet_ids, **named)

    @wrap(ELBv2Backend, "delete_load_balancer")
    def unless_protected(original, self, arn):
        balancer = self.load_balancers.get(arn)
        if balancer is not None and balancer.attrs.get("deletion_protection.enabled") == "true":
            raise ELBClientError(
                "OperationNotPermitted",
                f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
            )
        return original(self, arn)

    @wrap(ELBv2Backend, "set_subnets")
    def in_two_zones(original, self, arn, subnets, subnet_mappings):
        balancer = _balancer(self, arn)
        found = _subnets(self, [*subnets, *(mapping["SubnetId"] for mapping in subnet_mappings)])
        if found[0].vpc_id != balancer.vpc_id:
            raise _unfit("All subnets must be in the same VPC")
        with from_inside():
            return original(self, arn, subnets, subnet_mappings)

    @wrap(ELBv2Backend, "set_security_groups")
    def of_its_vpc(original, self, arn, sec_groups):
        _check_groups(self, _balancer(self, arn).vpc_id, sec_groups)
        with from_inside():
            return original(self, arn, sec_groups)

    @wrap(ELBv2Backend, "modify_load_balancer_attributes")
    def known_attributes(original, self, arn, attrs):
        balancer = _balancer(self, arn)
        for key, value in attrs.items():
            if key not in FakeLoadBalancer.VALID_ATTRS:
                raise _invalid(f"Load balancer attribute key '{key}' is not recognized")
            is_switch = LOAD_BALANCER_ATTRIBUTES.get(key) in _SWITCHES
            if balancer.type == "application" and is_switch and value not in _SWITCHES:
                raise _invalid(f"The value of '{key}' must be 'true' or 'false'")
            if key.endswith("_seconds") and not (value or "").isdigit():
                raise _invalid(f"The value of '{key}' must be a number")
        return original(self, arn, attrs)


def _apply_target_groups() -> None:
    @wrap(ELBv2Backend, "create_target_group")
    def in_a_known_vpc(original, self, name, **named):
        vpc_id = named.get("vpc_id")
        if vpc_id and (vpc_id not in self.ec2_backend.vpcs or misses(vpc_id)):
            raise _invalid(f"The VPC ID '{vpc_id}' is not found")
        with from_inside():
            return original(self, name, **named)

    @wrap(ELBv2Backend, "delete_target_group")
    def unless_in_use(original, self, target_group_arn):
        if any(
            target_group_arn in forwarded_groups(action)
            for balancer in self.load_balancers.values()
            for rule in rules_of(balancer)
            for action in rule.actions
        ):
            raise ELBClientError(
                "ResourceInUse", f"Target group '{target_group_arn}' is currently in use by a listener or a rule"
            )
        return original(self, target_group_arn)

    @wrap(ELBv2Backend, "modify_target_group_attributes")
    def sound_values(original, self, target_group_arn, attributes):
        for key, value in attributes.items():
            if not value:
                raise _invalid(f"The value of target group attribute '{key}' cannot be empty")
            allowed = _TARGET_GROUP_NUMBERS.get(key)
            if allowed is not None and not (value.isdigit() and int(value) in allowed):
                raise _invalid(
                    f"'{key}' value '{value}' must be between '{allowed.start}-{allowed.stop - 1}' inclusive"
                )
        delay = attributes.get("deregistration_delay.timeout_seconds")
        # moto takes no 3600, the longest delay there is.
        kept = {key: value for key, value in attributes.items() if key != "deregistration_delay.timeout_seconds"}
        original(self, target_group_arn, kept if delay == "3600" else attributes)
        if delay is not None:
            self.target_groups[target_group_arn].attributes["deregistration_delay.timeout_seconds"] = delay


def check_certificate(backend: ELBv2Backend, arn: str) -> None:
    """Refuses a certificate that neither ACM nor IAM has, or that ACM has not issued."""
    certificate = acm_backends[backend.account_id][backend.region_name]._certificates.get(arn)
    if certificate is None or misses(arn):
        if ":acm:" in arn or iam_backends[backend.account_id][backend.partition].get_certificate_by_arn(arn) is None:
            raise ELBClientError("CertificateNotFound", f"Certificate '{arn}' not found")
    elif certificate.status != "ISSUED":
        raise ELBClientError(
            "UnsupportedCertificate",
            f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, and a supported "
            "key size.",
        )


def _check_actions(backend: ELBv2Backend, balancer: FakeLoadBalancer, actions: list[dict[str, Any]]) -> None:
    """Refuses a forward to groups that are missing, elsewhere or another load balancer's, and weights out of range."""
    for action in actions:
        for group in (action.get("ForwardConfig") or {}).get("TargetGroups", []):
            if int(group.get("Weight", 1)) not in _WEIGHTS:
                raise _invalid(f"The weight '{group['Weight']}' must be between '0' and '999' inclusive")
        for arn in forwarded_groups(FakeAction(dict(action))):
            group = backend.target_groups.get(arn)
            if group is None or misses(arn):
                raise TargetGroupNotFoundError()
            if group.vpc_id not in (None, balancer.vpc_id):
                raise _unfit(f"Target group '{arn}' is in a different VPC than load balancer '{balancer.arn}'")
            users = [
                other.arn
                for other in backend.load_balancers.values()
                if other is not balancer
                and any(arn in forwarded_groups(known) for rule in rules_of(other) for known in rule.actions)
            ]
            if users:
                raise ELBClientError(
                    "TargetGroupAssociationLimit",
                    f"The following target groups cannot be associated with more than one load balancer: {arn}",
                )


def _listener(backend: ELBv2Backend, arn: str) -> tuple[FakeLoadBalancer, FakeListener]:
    for balancer in backend.load_balancers.values():
        if arn in balancer.listeners:
            return balancer, balancer.listeners[arn]
    raise not_found(arn)


def _check_policy(name: str | None) -> None:
    if name is not None and name not in SSL_POLICIES:
        raise ELBClientError("SSLPolicyNotFound", f"SSL policy '{name}' not found")


def _apply_listeners() -> None:
    @wrap(ELBv2Backend, "create_listener")
    def checked(original, self, load_balancer_arn, protocol, port, ssl_policy, certificate, actions, *rest, **named):
        balancer = _balancer(self, load_balancer_arn)
        if len(balancer.listeners) >= _LISTENERS_PER_LOAD_BALANCER:
            raise ELBClientError(
                "TooManyListeners", f"The maximum number of listeners has been reached on load balancer '{balancer.arn}'"
            )
        if protocol in ("HTTPS", "TLS"):
            if certificate is None:
                raise _invalid(f"A certificate must be specified for {protocol} listeners")
            check_certificate(self, certificate)
            _check_policy(ssl_policy)
        _check_actions(self, balancer, actions)
        return original(self, load_balancer_arn, protocol, port, ssl_policy, certificate, actions, *rest, **named)

    @wrap(ELBv2Backend, "modify_listener")
    def still_sound(original, self, arn, port=None, protocol=None, ssl_policy=None, certificates=None, actions=None):
        balancer, listener = _listener(self, arn)
        if (protocol or listener.protocol) in ("HTTPS", "TLS"):
            if not certificates and not listener.certificates:
                raise _invalid(f"A certificate must be specified for {protocol or listener.protocol} listeners")
            for certificate in certificates or []:
                check_certificate(self, certificate["CertificateArn"])
            _check_policy(ssl_policy)
        _check_actions(self, balancer, actions or [])
        return original(self, arn, port, protocol, ssl_policy, certificates or [], actions or [])

    @wrap(ELBv2Backend, "add_listener_certificates")
    def known_ones(original, self, arn, certificates):
        for certificate in certificates:
            check_certificate(self, certificate["CertificateArn"])
        return original(self, arn, certificates)


def _apply_rules() -> None:
    @wrap(ELBv2Backend, "create_rule")
    def checked(original, self, listener_arn, conditions, priority, actions, *rest, **named):
        balancer, listener = _listener(self, listener_arn)
        if int(priority) not in _PRIORITIES:
            raise _invalid(f"Priority '{priority}' must be between '{_PRIORITIES.start}' and '{_PRIORITIES.stop - 1}'")
        if any(rule.priority == priority for rule in listener.rules.values()):
            raise ELBClientError("PriorityInUse", f"Priority '{priority}' is currently in use")
        if sum(not rule.is_default for rule in rules_of(balancer)) >= _RULES_PER_LOAD_BALANCER:
            raise ELBClientError(
                "TooManyRules", f"The maximum number of rules has been reached on load balancer '{balancer.arn}'"
            )
        _check_actions(self, balancer, actions)
        return original(self, listener_arn, conditions, priority, actions, *rest, **named)

    @wrap(ELBv2Backend, "modify_rule")
    def not_the_default_one(original, self, rule_arn, conditions, actions):
        rule = self.describe_rules(listener_arn=None, rule_arns=[rule_arn])[0]
        if rule.is_default:
            raise ELBClientError("OperationNotPermitted", f"Default rule '{rule_arn}' cannot be modified")
        balancer, _ = _listener(self, rule.listener_arn)
        _check_actions(self, balancer, actions)
        return original(self, rule_arn=rule_arn, conditions=conditions, actions=actions)

    @wrap(ELBv2Backend, "delete_rule")
    def nor_it(original, self, arn):
        rules = [rule for balancer in self.load_balancers.values() for rule in rules_of(balancer)]
        if any(rule.arn == arn and rule.is_default for rule in rules):
            raise ELBClientError("OperationNotPermitted", f"Default rule '{arn}' cannot be deleted")
        return original(self, arn)
