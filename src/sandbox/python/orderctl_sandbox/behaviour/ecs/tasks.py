"""The life of a Fargate task, from PROVISIONING to STOPPED.

Field guide section 4. A task gets an interface in its subnet (PROVISIONING), meets what may keep it from starting and
pulls its images (PENDING), is registered with its target groups (ACTIVATING) and runs. On its way out it leaves its target
groups and waits until their connections have drained (DEACTIVATING), its containers end (STOPPING), its interface goes
(DEPROVISIONING), and its record stays for an hour (STOPPED).
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.subnets import Subnet
from moto.ecs.models import Cluster, EC2ContainerServiceBackend, Task, TaskDefinition
from moto.moto_api._internal import mock_random

from ...clock import CLOCK
from ...consistency import from_inside
from ...durations import (
    CONTAINER_CRASH,
    ECS_TOMBSTONE,
    SLOW_START,
    TASK_ACTIVATE,
    TASK_DEPROVISION,
    TASK_GIVES_UP_CONNECTING,
    TASK_PROVISION,
    TASK_PULL,
    TASK_STOP,
)
from .. import interfaces
from . import insights, obstacles, stop_reasons, targets
from .capacity import vcpus_of
from .containers import TaskContainer, overall_health, watch
from .images import Behaviour, ImageNotFound, find

#: The account in which AWS keeps Fargate, as it shows in an interface's requester.
_INTERFACE_OWNER = "578734482556"
#: States in which containers may be running.
_STARTED = ("ACTIVATING", "RUNNING")


class Observer:
    """Whoever a task belongs to; hears what becomes of it. The methods of this class do nothing."""

    def task_changed(self, task: "LiveTask") -> None:
        """State or health have changed."""

    def target_registered(self, task: "LiveTask", group_arn: str) -> None:
        """The task was put into a target group."""

    def target_refused(self, task: "LiveTask", group_arn: str) -> None:
        """The task could not be put into a target group: there is none."""

    def target_leaves(self, task: "LiveTask", group_arn: str) -> None:
        """The task was taken out of a target group, whose connections begin to drain."""

    def task_failed(self, task: "LiveTask") -> None:
        """The task did not start, or an essential container has ended; ``stopped_reason`` says why."""

    def task_ended(self, task: "LiveTask") -> None:
        """The containers are told to end, after all draining."""


@dataclass
class Placement:
    """Where and as what a task is started."""

    network_configuration: dict
    subnet_id: str
    capacity_provider_name: str | None = None
    platform_version: str | None = None
    group: str = ""
    started_by: str | None = None
    tags: list[dict] = field(default_factory=list)
    enable_execute_command: bool = False
    #: ``targetGroupArn``, ``containerName``, ``containerPort`` of each group to register in.
    target_groups: list[dict] = field(default_factory=list)
    overrides: dict = field(default_factory=dict)

    @property
    def awsvpc(self) -> dict:
        """The ``awsvpcConfiguration``."""
        return self.network_configuration["awsvpcConfiguration"]


class LiveTask(Task):
    """A task that takes its time, in the attribute names that moto's serializer looks for."""

    #: A plain attribute here; in moto a property that changes each time somebody looks.
    status = "PROVISIONING"

    def __init__(
        self,
        backend: EC2ContainerServiceBackend,
        cluster: Cluster,
        definition: TaskDefinition,
        placement: Placement,
        observer: Observer | None = None,
    ) -> None:
        # moto's own constructor would make a running task, with an interface of its own.
        self._backend = backend
        self._account_id = backend.account_id
        self.region_name = backend.region_name
        self._observer = observer or Observer()
        self._placement = placement
        self._cluster = cluster
        self.definition = definition
        self._epoch = 0
        self._interface: NetworkInterface | None = None
        self._attachment_id = str(uuid4())
        #: Its registrations, by target group.
        self.targets: dict[str, targets.Target] = {}
        #: The sandbox second at which it began to run.
        self.running_since: float | None = None
        self._stopped_when: float | None = None
        self._describe(cluster, definition, placement)
        subnet = self._subnet()
        self.subnet_id = placement.subnet_id
        self.availability_zone = subnet.availability_zone if subnet else None

    def _describe(self, cluster: Cluster, definition: TaskDefinition, placement: Placement) -> None:
        self.id = uuid4().hex
        self.cluster_name = cluster.name
        self.cluster_arn = cluster.arn
        self.container_instance_arn = None
        self.resource_requirements = None
        self.task_definition_arn = definition.arn
        self.group = placement.group
        self.started_by = placement.started_by
        self.tags = placement.tags
        self.overrides = placement.overrides or {
            "containerOverrides": [{"name": item["name"]} for item in definition.container_definitions],
            "inferenceAcceleratorOverrides": [],
        }
        self.launch_type = "FARGATE"
        self.capacity_provider_name = placement.capacity_provider_name
        latest = placement.platform_version in (None, "LATEST")
        self.platform_version = "1.4.0" if latest else placement.platform_version
        self.platform_family = "Linux"
        self.cpu = definition.cpu
        self.memory = definition.memory
        self.vcpus = vcpus_of(definition)
        self.ephemeral_storage = definition.ephemeral_storage or {"sizeInGiB": 20}
        architecture = (definition.runtime_platform or {}).get("cpuArchitecture", "X86_64").lower()
        self.attributes = [{"name": "ecs.cpu-architecture", "value": architecture}]
        self.enable_execute_command = placement.enable_execute_command
        self.desired_status = "RUNNING"
        self.health_status = "UNKNOWN"
        self.connectivity: str | None = None
        self.attachments: list[dict[str, Any]] = []
        self.containers = [TaskContainer(item, self.task_arn) for item in definition.container_definitions]
        self.version = 1
        self.stop_code: str | None = None
        self.stopped_reason: str | None = None
        self.created_at: datetime = utcnow()
        self.connectivity_at: datetime | None = None
        self.pull_started_at: datetime | None = None
        self.pull_stopped_at: datetime | None = None
        self.started_at: datetime | None = None
        self.stopping_at: datetime | None = None
        self.execution_stopped_at: datetime | None = None
        self.stopped_at: datetime | None = None

    def advance(self) -> None:
        """Nothing: being looked at changes nothing."""

    def _subnet(self) -> Subnet | None:
        backend: EC2Backend = ec2_backends[self._account_id][self.region_name]
        identifier = self._placement.subnet_id
        return next((by_id[identifier] for by_id in backend.subnets.values() if identifier in by_id), None)

    def begin(self) -> None:
        """Enters the task into the cluster's list and sets it going."""
        self._backend.tasks.setdefault(self.cluster_name, {})[self.task_arn] = self
        if self._subnet() is not None:
            self._attach()
        self._observer.task_changed(self)
        self._later(TASK_PROVISION, self._pend)

    def _attach(self) -> None:
        has_public = self._placement.awsvpc.get("assignPublicIp") == "ENABLED"
        description = f"arn:aws:ecs:{self.region_name}:{self._account_id}:attachment/{self._attachment_id}"
        groups = self._placement.awsvpc.get("securityGroups") or []
        with from_inside():
            identifier = interfaces.attach(
                self._account_id, self.region_name, self.subnet_id, groups, description, _INTERFACE_OWNER, has_public
            )
        backend: EC2Backend = ec2_backends[self._account_id][self.region_name]
        self._interface = backend.enis[identifier]
        _give_own_address(backend, self._interface)
        details = {
            "subnetId": self.subnet_id,
            "networkInterfaceId": identifier,
            "macAddress": self._interface.mac_address,
            "privateDnsName": self._interface.private_dns_name,
            "privateIPv4Address": self._interface.private_ip_address,
        }
        attachment = {
            "id": self._attachment_id,
            "type": "ElasticNetworkInterface",
            "status": "ATTACHING",
            "details": [{"name": name, "value": value} for name, value in details.items()],
        }
        self.attachments = [attachment]

    def _pend(self) -> None:
        self.connectivity, self.connectivity_at = "CONNECTED", utcnow()
        if self._interface is not None:
            self.attachments[0]["status"] = "ATTACHED"
            for container in self.containers:
                container.network_interfaces = [
                    {"attachmentId": self._attachment_id, "privateIpv4Address": self._interface.private_ip_address}
                ]
        self._enter("PENDING")
        reason = obstacles.of_roles(self._account_id, self.definition)
        if reason:
            self._fail_to_start(reason)
        elif self._cut_off():
            self._later(TASK_GIVES_UP_CONNECTING, lambda: self._initialize(self._cut_off()))
        else:
            self._initialize(None)

    def _cut_off(self) -> str | None:
        subnet = self._subnet()
        if subnet is None or self._interface is None:
            return stop_reasons.registry_unreachable(self.region_name)
        has_public_address = self._interface.public_ip is not None
        return obstacles.of_network(self._account_id, self.region_name, self.definition, subnet, has_public_address)

    def _initialize(self, network_obstacle: str | None) -> None:
        reason = (
            network_obstacle
            or obstacles.of_secrets(self._account_id, self.region_name, self.definition)
            or obstacles.of_logs(self._account_id, self.definition)
        )
        if reason:
            self._fail_to_start(reason)
            return
        self.pull_started_at = utcnow()
        self._later(TASK_PULL, self._pulled)

    def _pulled(self) -> None:
        for container in self.containers:
            try:
                found = find(container.image)
            except ImageNotFound as absent:
                reason = stop_reasons.image_not_found(absent.reference)
                container.end(None, reason)
                self._fail_to_start(reason)
                return
            container.image_digest, container.behaviour = found.digest, found.behaviour
        self.pull_stopped_at = utcnow()
        self._enter("ACTIVATING")
        for group in self._placement.target_groups:
            self._register(group)
        self._later(TASK_ACTIVATE, self._run)

    def _register(self, group: dict) -> None:
        arn = group["targetGroupArn"]
        container = next((c for c in self.containers if c.name == group.get("containerName")), self.containers[0])
        answers = targets.Answers(
            since=CLOCK.now() + TASK_ACTIVATE + (SLOW_START if container.behaviour is Behaviour.SLOW else 0.0),
            well=container.behaviour is not Behaviour.UNHEALTHY,
            otherwise=500 if container.behaviour is Behaviour.BROKEN else 200,
            image=container.image_digest,
        )
        target = targets.register(
            self._account_id,
            self.region_name,
            arn,
            self._interface.private_ip_address,
            int(group["containerPort"]),
            self.availability_zone,
            answers,
            lambda: self._observer.task_changed(self),
        )
        if target is None:
            self._observer.target_refused(self, arn)
        else:
            self.targets[arn] = target
            self._observer.target_registered(self, arn)

    def _run(self) -> None:
        self.started_at = utcnow()
        self.running_since = CLOCK.now()
        for container in self.containers:
            container.start(self.id)
            if container.behaviour is Behaviour.CRASH:
                self._later(CONTAINER_CRASH, lambda crashing=container: self._crash(crashing))
            watch(container, self._later, self._judge_health)
        self._enter("RUNNING")
        insights.record(self._cluster, self)

    def _judge_health(self) -> None:
        self.health_status = overall_health(self.containers)
        self._observer.task_changed(self)

    def _crash(self, container: TaskContainer) -> None:
        container.crash(self.id)
        if not container.is_essential:
            return
        for other in self.containers:
            other.end(0)
        self._mark_stopping(stop_reasons.CONTAINER_EXITED, stop_reasons.ESSENTIAL_CONTAINER_EXITED)
        self.execution_stopped_at = utcnow()
        for arn in list(self.targets):
            self._leave(arn, lambda: None)
        self._deprovision()
        self._observer.task_failed(self)

    def _fail_to_start(self, reason: str) -> None:
        self._mark_stopping(reason, stop_reasons.FAILED_TO_START)
        for container in self.containers:
            container.end(None)
        self.execution_stopped_at = utcnow()
        self._deprovision()
        self._observer.task_failed(self)

    def stop(self, reason: str, code: str) -> None:
        """Stops the task in order; one that is on its way out already goes on as it was."""
        if self.desired_status == "STOPPED":
            return
        was = self.status
        self._mark_stopping(reason, code)
        if was not in _STARTED:
            for container in self.containers:
                container.end(None)
            self._observer.task_ended(self)
            self._deprovision()
            return
        self._enter("DEACTIVATING")
        draining = set(self.targets)

        def drained(arn: str) -> None:
            draining.discard(arn)
            if not draining:
                self._end_containers()

        for arn in list(self.targets):
            self._leave(arn, lambda arn=arn: drained(arn))
        if not self.targets:
            self._end_containers()

    def _leave(self, arn: str, done: Callable[[], None]) -> None:
        self._observer.target_leaves(self, arn)
        targets.deregister(self.targets[arn], done)

    def _mark_stopping(self, reason: str, code: str) -> None:
        self._epoch += 1
        self.desired_status = "STOPPED"
        self.stop_code, self.stopped_reason = code, reason
        self.stopping_at = utcnow()

    def _end_containers(self) -> None:
        self._enter("STOPPING")
        self._observer.task_ended(self)
        self._later(TASK_STOP, self._ended)

    def _ended(self) -> None:
        for container in self.containers:
            container.end(0)
        self.execution_stopped_at = utcnow()
        self._deprovision()

    def _deprovision(self) -> None:
        self._enter("DEPROVISIONING")
        self._later(TASK_DEPROVISION, self._stopped)

    def _stopped(self) -> None:
        if self._interface is not None:
            interfaces.detach(self._account_id, self.region_name, self._interface.id)
            self.attachments[0]["status"] = "DELETED"
        self.connectivity = "DISCONNECTED"
        self.stopped_at = utcnow()
        self._stopped_when = CLOCK.now()
        insights.record(self._cluster, self)
        self._enter("STOPPED")
        CLOCK.deadline(ECS_TOMBSTONE, self._forget)
        # At speed 0 that never comes, so what crashes for ever clears up behind itself.
        for other in list(self._backend.tasks.get(self.cluster_name, {}).values()):
            if isinstance(other, LiveTask) and other._is_forgettable():
                other._forget()

    def _is_forgettable(self) -> bool:
        return self._stopped_when is not None and CLOCK.now() - self._stopped_when >= ECS_TOMBSTONE

    def _forget(self) -> None:
        self._backend.tasks.get(self.cluster_name, {}).pop(self.task_arn, None)

    def _enter(self, status: str) -> None:
        self.status = status
        self.version += 1
        self._observer.task_changed(self)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        """Does something unless the task has turned to stopping by then."""
        epoch = self._epoch
        CLOCK.after(seconds, lambda: action() if self._epoch == epoch else None)


def _give_own_address(backend: EC2Backend, interface: NetworkInterface) -> None:
    """Replaces moto's random address by one that nobody in the subnet has; a full subnet keeps the random one."""
    network = ipaddress.ip_network(interface.subnet.cidr_block)
    others = [item for item in backend.enis.values() if item.subnet.id == interface.subnet.id and item is not interface]
    taken = {item.private_ip_address for item in others}
    # The first four addresses of a subnet and its last one are AWS's own.
    free = network.num_addresses - 5 - len(taken)
    if free <= 0:
        return
    host = mock_random.randint(4, network.num_addresses - 2)
    while str(network[host]) in taken:
        host = 4 + (host - 3) % (network.num_addresses - 5)
    address = str(network[host])
    interface.private_ip_address = address
    interface.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": address}]
    interface.private_dns_name = f"ip-{address.replace('.', '-')}.ec2.internal"
