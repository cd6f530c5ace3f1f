"""ECS services.

Gaps (moto 5.2.5): CreateService overwrites a service of the same name; deploymentConfiguration,
capacityProviderStrategy, enableExecuteCommand, grace period, rebalancing, events and more are dropped; deleted services
stay listed.
Restores: field guide section 4 "Service" (name unique among live services, what starts a deployment, merge rules). What
follows from a create, an update and a delete is `behaviour.ecs.services`, which fills the four seams of this module.
"""

import uuid
from typing import Any

from botocore import xform_name
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ecs.exceptions import ECSException, EcsClientException, InvalidParameterException, ServiceNotFoundException
from moto.ecs.models import EC2ContainerServiceBackend, Service, TaskDefinition
from moto.ecs.responses import EC2ContainerServiceResponse

from ..consistency import from_inside
from .ecs_clusters import complete_strategy
from .patching import replace, wrap

#: Fields of CreateService and UpdateService that are stored as given and answered by DescribeServices.
_STORED = (
    "availabilityZoneRebalancing",
    "capacityProviderStrategy",
    "deploymentConfiguration",
    "deploymentController",
    "desiredCount",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
    "loadBalancers",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "propagateTags",
    "serviceConnectConfiguration",
    "serviceRegistries",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
)

#: Changing one of these starts a deployment (field guide section 4, "Update triggers a deployment").
_DEPLOYING = (
    "loadBalancers",
    "networkConfiguration",
    "platformVersion",
    "serviceConnectConfiguration",
    "serviceRegistries",
    "volumeConfigurations",
)

_DEFAULTS: dict[str, Any] = {
    "availabilityZoneRebalancing": "ENABLED",
    "deploymentController": {"type": "ECS"},
    "desiredCount": 0,
    "enableECSManagedTags": False,
    "enableExecuteCommand": False,
    "loadBalancers": [],
    "placementConstraints": [],
    "placementStrategy": [],
    "propagateTags": "NONE",
    "serviceRegistries": [],
}

_DEPLOYMENT_DEFAULTS = {"strategy": "ROLLING", "bakeTimeInMinutes": 0, "maximumPercent": 200, "minimumHealthyPercent": 100}
_BREAKER_DEFAULTS = {
    "enable": False,
    "rollback": False,
    "resetOnHealthyTask": True,
    "thresholdConfiguration": {"type": "BOUNDED_PERCENT", "value": 50},
}
_STEP_DEFAULTS = {
    "linearConfiguration": ("LINEAR", {"stepPercent": 10.0, "stepBakeTimeInMinutes": 6}),
    "canaryConfiguration": ("CANARY", {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 10}),
}
_EVENTS_KEPT = 100


class ServiceNotActive(ECSException):
    """The service exists only as the tombstone of a deleted one."""

    def __init__(self) -> None:
        super().__init__("ServiceNotActiveException", "Service was not ACTIVE.")


def get(service: Service, field: str) -> Any:
    """The stored value of a field by its name on the wire."""
    return getattr(service, xform_name(field), None)


def put(service: Service, field: str, value: Any) -> None:
    """Stores a field under the attribute name that moto's serializer looks for."""
    setattr(service, xform_name(field), value)


def merge_deployment_configuration(current: dict | None, given: dict | None) -> dict:
    """Applies a given deploymentConfiguration: absent fields stay, nested blocks are replaced and filled up.

    The steps of a strategy go with it.
    """
    given = {name: value for name, value in (given or {}).items() if value is not None}
    merged = {**_DEPLOYMENT_DEFAULTS, **(current or {}), **given}
    merged["deploymentCircuitBreaker"] = {**_BREAKER_DEFAULTS, **merged.get("deploymentCircuitBreaker", {})}
    for block, (strategy, defaults) in _STEP_DEFAULTS.items():
        if merged["strategy"] == strategy:
            merged[block] = {**defaults, **merged.get(block, {})}
        else:
            merged.pop(block, None)
    return merged


def add_event(service: Service, message: str) -> None:
    """Puts an event at the front of the service's list, as ECS does, and drops the oldest beyond 100."""
    service.events.insert(0, {"id": str(uuid.uuid4()), "createdAt": utcnow(), "message": f"(service {service.name}) {message}"})
    del service.events[_EVENTS_KEPT:]


def check(
    backend: EC2ContainerServiceBackend, service: Service | None, request: dict, definition: TaskDefinition | None
) -> None:
    """Refuses a create (without ``service``) or an update. A seam: `behaviour.ecs.services` fills it."""


def begin_deployment(backend: EC2ContainerServiceBackend, service: Service) -> None:
    """Starts a deployment of what the service holds now. A seam: `behaviour.ecs.services` fills it."""


def resize(backend: EC2ContainerServiceBackend, service: Service) -> None:
    """Brings the tasks in line with the desired count. A seam: `behaviour.ecs.services` fills it."""


def delete(backend: EC2ContainerServiceBackend, service: Service, force: bool) -> None:
    """Takes a service away. A seam: `behaviour.ecs.services` fills it."""


def _complete_network(service: Service, given: dict) -> dict:
    network = service._validate_network({"awsvpcConfiguration": {"securityGroups": [], **given["awsvpcConfiguration"]}})
    return {"awsvpcConfiguration": {"assignPublicIp": "DISABLED", **network["awsvpcConfiguration"]}}


def _store(service: Service, field: str, value: Any) -> None:
    if field == "networkConfiguration":
        value = _complete_network(service, value)
    elif field == "deploymentConfiguration":
        value = merge_deployment_configuration(get(service, field), value)
    elif field == "capacityProviderStrategy":
        value = complete_strategy(value)
        service.launch_type = None
    put(service, field, value)


def _find_definition(backend: EC2ContainerServiceBackend, name: str | None) -> TaskDefinition | None:
    if not name:
        return None
    try:
        definition = backend.describe_task_definition(name)
    except ECSException as error:
        raise EcsClientException("TaskDefinition not found.") from error
    if definition.status == "INACTIVE":
        raise EcsClientException("TaskDefinition is inactive")
    return definition


def create(backend: EC2ContainerServiceBackend, request: dict) -> Service:
    """CreateService: refuses a name that is taken, stores every field and starts the first deployment."""
    cluster = backend._get_cluster(request.get("cluster"))
    name = request["serviceName"]
    existing = backend.services.get(f"{cluster.name}:{name}")
    if existing is not None and existing.status == "DRAINING":
        raise InvalidParameterException("Unable to Start a service that is still Draining.")
    if existing is not None and existing.status != "INACTIVE":
        if request.get("clientToken") and request["clientToken"] == existing.client_token:
            return existing
        raise InvalidParameterException("Creation of service was not idempotent.")

    strategy = request.get("capacityProviderStrategy")
    launch_type = request.get("launchType")
    if strategy and launch_type:
        raise InvalidParameterException("Specify either launchType or capacityProviderStrategy, but not both.")
    if not strategy and not launch_type:
        strategy = cluster.default_capacity_provider_strategy

    definition = _find_definition(backend, request.get("taskDefinition"))
    check(backend, None, request, definition)
    service = Service(
        cluster=cluster,
        service_name=name,
        desired_count=request.get("desiredCount") or 0,
        backend=backend,
        task_definition=definition,
        scheduling_strategy=request.get("schedulingStrategy"),
        tags=request.get("tags"),
        deployment_controller=request.get("deploymentController"),
        launch_type=launch_type,
        role_arn=request.get("role"),
    )
    service.deployments = []
    service.running_count = service.pending_count = 0
    service.client_token = request.get("clientToken")
    service.created_at = utcnow()
    service.created_by = f"arn:aws:iam::{backend.account_id}:root"
    service.launch_type = launch_type or (None if strategy else "EC2")
    service.platform_family = "Linux" if service.launch_type != "EC2" else None
    fields = {**_DEFAULTS, "deploymentConfiguration": {}}
    if service.launch_type != "EC2":
        fields["platformVersion"] = "LATEST"
    if request.get("loadBalancers"):
        fields["healthCheckGracePeriodSeconds"] = 0
    fields.update({field: request[field] for field in _STORED if request.get(field) is not None})
    if strategy:
        fields["capacityProviderStrategy"] = strategy
    service.capacity_provider_strategy = None
    for field, value in fields.items():
        _store(service, field, value)
    backend.services[f"{cluster.name}:{name}"] = service
    begin_deployment(backend, service)
    return service


def update(backend: EC2ContainerServiceBackend, request: dict) -> Service:
    """UpdateService: stores what is given and starts a deployment where AWS does."""
    cluster = backend._get_cluster(request.get("cluster"))
    service = backend._get_service(cluster.name, request["service"])
    if service.status != "ACTIVE":
        raise ServiceNotActive()
    definition = _find_definition(backend, request.get("taskDefinition"))
    check(backend, service, request, definition)
    deploys = bool(request.get("forceNewDeployment"))
    if definition is not None:
        deploys |= definition.arn != service.task_definition
        service.task_definition = definition.arn
    for field in _STORED:
        if request.get(field) is None:
            continue
        before = get(service, field)
        _store(service, field, request[field])
        deploys |= field in _DEPLOYING and before != get(service, field)
    if deploys:
        begin_deployment(backend, service)
    else:
        resize(backend, service)
    return service


def apply() -> None:
    """Puts the functions above in the place of moto's."""

    @wrap(EC2ContainerServiceBackend, "_get_service")
    def by_arn_or_name(original, self, cluster_str, service_str):
        return original(self, cluster_str, service_str.rpartition("/")[2])

    @wrap(EC2ContainerServiceBackend, "list_services")
    def only_live(original, self, cluster_str, scheduling_strategy=None, launch_type=None):
        arns = original(self, cluster_str, scheduling_strategy, launch_type)
        gone = {service.arn for service in self.services.values() if service.status == "INACTIVE"}
        return [arn for arn in arns if arn not in gone]

    @wrap(EC2ContainerServiceBackend, "update_service")
    def update_from_elsewhere(original, self, service_properties):
        # Application Auto Scaling changes the desired count through this method.
        given = {("desiredCount" if key == "desired_count" else key): value for key, value in service_properties.items()}
        with from_inside():
            return update(self, given)

    @replace(EC2ContainerServiceBackend)
    def delete_service(self, cluster_name, service_name, force):
        service = self._get_service(self._get_cluster(cluster_name).name, service_name)
        if service.status == "INACTIVE":
            raise ServiceNotFoundException
        delete(self, service, bool(force))
        return service

    @replace(EC2ContainerServiceResponse)
    def create_service(self):
        return ActionResult({"service": create(self.ecs_backend, self._get_params())})

    @replace(EC2ContainerServiceResponse)
    def update_service(self):
        return ActionResult({"service": update(self.ecs_backend, self._get_params())})
