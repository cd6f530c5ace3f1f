"""What keeps a task from starting: its roles, the way out of its subnet, its secrets, its log groups.

Field guide section 3 (a role that nobody can assume raises nothing at the API) and section 4 "Trap" (routes, roles and
NAT gateways that go before the service). Each check answers the ``stoppedReason``, or None when there is nothing in the
way.
"""

import json
from typing import Any

from moto.core.base_backend import BackendDict
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.route_tables import RouteTable
from moto.ec2.models.subnets import Subnet
from moto.ecs.models import TaskDefinition
from moto.iam.models import iam_backends
from moto.logs.models import logs_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from .. import iam
from . import stop_reasons
from .images import is_in_ecr

_ANYWHERE = "0.0.0.0/0"


def of_roles(account: str, definition: TaskDefinition) -> str | None:
    """The execution role and the task role must exist, be known to ECS by now and trust its tasks."""
    for attribute in ("execution_role_arn", "task_role_arn"):
        arn = getattr(definition, attribute, None)
        if arn and not (iam.role_is_usable(account, arn) and _trusts_tasks(account, arn)):
            return stop_reasons.role_not_assumed(arn)
    return None


def _trusts_tasks(account: str, role_arn: str) -> bool:
    role = next(role for role in iam_backends[account]["aws"].get_roles() if role.arn == role_arn)
    document = role.assume_role_policy_document
    statements = (json.loads(document) if isinstance(document, str) else document).get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        trusted = [services] if isinstance(services, str) else services
        if statement.get("Effect") == "Allow" and "ecs-tasks.amazonaws.com" in trusted:
            return True
    return False


def of_network(
    account: str, region: str, definition: TaskDefinition, subnet: Subnet, has_public_address: bool
) -> str | None:
    """Registry, secrets and logs must be reachable, through a default route or an endpoint in the VPC."""
    backend: EC2Backend = ec2_backends[account][region]
    if _leads_out(backend, subnet, has_public_address):
        return None
    prefix = f"com.amazonaws.{region}."
    endpoints = [item for item in backend.vpc_end_points.values() if item.vpc_id == subnet.vpc_id]
    reachable = {
        endpoint.service_name.removeprefix(prefix)
        for endpoint in endpoints
        if endpoint.vpc_endpoint_type == "Interface" and endpoint.state == "available"
    }
    containers = definition.container_definitions
    if any(is_in_ecr(container["image"]) for container in containers) and not {"ecr.api", "ecr.dkr"} <= reachable:
        return stop_reasons.registry_unreachable(region)
    for service in sorted({_service_of(source) for source in _secrets(definition)} - reachable):
        return stop_reasons.secrets_unreachable(region, service)
    for container in containers:
        if not is_in_ecr(container["image"]):
            return stop_reasons.other_registry_unreachable(container["image"])
    if any(log_options(container) for container in containers) and "logs" not in reachable:
        return stop_reasons.logs_unreachable(region)
    return None


def _leads_out(backend: EC2Backend, subnet: Subnet, has_public_address: bool) -> bool:
    table = _route_table_of(backend, subnet)
    routes = [route for route in table.routes if route.destination_cidr_block == _ANYWHERE] if table else []
    for route in routes:
        if getattr(route, "state", "active") != "active":
            continue
        if route.nat_gateway is not None:
            return route.nat_gateway.state == "available"
        # An internet gateway serves only what has a public address; other targets are taken to lead out.
        return has_public_address if (route.gateway_id or "").startswith("igw-") else True
    return False


def _route_table_of(backend: EC2Backend, subnet: Subnet) -> RouteTable | None:
    tables = [table for table in backend.route_tables.values() if table.vpc_id == subnet.vpc_id]
    own = next((table for table in tables if subnet.id in table._associations.values()), None)
    return own or next((table for table in tables if table.main_association_id), None)


def of_secrets(account: str, region: str, definition: TaskDefinition) -> str | None:
    """Every secret and parameter that a container names must exist."""
    for source in _secrets(definition):
        if _service_of(source) == "secretsmanager":
            reason = _secret_missing(account, source)
        else:
            reason = _parameter_missing(account, region, source)
        if reason:
            return reason
    return None


def _secrets(definition: TaskDefinition) -> list[str]:
    """The ARNs and names from which the containers take secrets."""
    containers = definition.container_definitions
    return [secret["valueFrom"] for container in containers for secret in container.get("secrets") or []]


def _service_of(source: str) -> str:
    return "secretsmanager" if source.startswith("arn:") and source.split(":")[2] == "secretsmanager" else "ssm"


def _secret_missing(account: str, source: str) -> str | None:
    # arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX[:JSON KEY[:VERSION STAGE[:VERSION ID]]]
    parts = source.split(":")
    arn, key = ":".join(parts[:7]), parts[7] if len(parts) > 7 else ""
    backend = _backend(secretsmanager_backends, account, parts[3])
    secret = backend.secrets.get(arn) if backend else None
    if secret is None or secret.is_deleted():
        return stop_reasons.secret_not_found(arn)
    secret = getattr(secret, "source", secret)
    version = secret.versions.get(secret.default_version_id)
    if not version or not (version.get("secret_string") or version.get("secret_binary")):
        return stop_reasons.secret_not_found(arn)
    return stop_reasons.secret_lacks_key(arn, key) if key and key not in _keys(version.get("secret_string")) else None


def _keys(text: str | None) -> set[str]:
    try:
        value = json.loads(text or "")
    except ValueError:
        return set()
    return set(value) if isinstance(value, dict) else set()


def _parameter_missing(account: str, region: str, source: str) -> str | None:
    name = source
    if source.startswith("arn:"):
        region, name = source.split(":")[3], source.split(":parameter", 1)[-1]
    backend = _backend(ssm_backends, account, region)
    # An ARN does not tell whether the name has a leading slash.
    if backend and (name in backend._parameters or name.lstrip("/") in backend._parameters):
        return None
    return stop_reasons.parameter_not_found(name)


def of_logs(account: str, definition: TaskDefinition) -> str | None:
    """Every log group must exist, unless its container may create it."""
    for container in definition.container_definitions:
        options = log_options(container)
        if options is None or options.get("awslogs-create-group") == "true":
            continue
        backend = _backend(logs_backends, account, options["awslogs-region"])
        if backend is None or options["awslogs-group"] not in backend.groups:
            return stop_reasons.log_group_not_found()
    return None


def log_options(container: dict) -> dict | None:
    """The options of a container's ``awslogs`` driver, None when it has another or they are not complete."""
    log = container.get("logConfiguration") or {}
    options = log.get("options") or {}
    complete = log.get("logDriver") == "awslogs" and {"awslogs-group", "awslogs-region"} <= options.keys()
    return options if complete else None


def _backend(backends: BackendDict, account: str, region: str) -> Any | None:
    """A service's backend, None for a region that does not exist."""
    try:
        return backends[account][region]
    except KeyError:
        return None
