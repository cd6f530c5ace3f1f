"""RunTask on Fargate, StopTask, DescribeTasks and ListTasks over tasks that live.

Field guide section 4. Lists show running tasks unless others are asked for; a stopped task can be described for an hour;
one that a user stops is replaced by its service.
"""

from moto.core.responses import ActionResult
from moto.ecs.exceptions import InvalidParameterException
from moto.ecs.models import EC2ContainerServiceBackend, Task
from moto.ecs.responses import EC2ContainerServiceResponse

from ...patches.patching import replace, wrap
from . import stop_reasons
from .capacity import ON_DEMAND, has_room, next_provider, next_subnet
from .tasks import LiveTask, Placement

#: Providers that need no container instances.
_FARGATE = ("FARGATE", "FARGATE_SPOT")


def apply() -> None:
    """Puts the operations in the place of moto's."""
    _apply_reading()
    _apply_running()
    _apply_stopping()


def _named(backend: EC2ContainerServiceBackend, cluster: str, names: list[str]) -> dict[str, Task | None]:
    """The tasks of a cluster by the ids or ARNs they were asked for."""
    tasks = list(backend.tasks.get(backend._get_cluster(cluster).name, {}).values())
    by_id = {task.id: task for task in tasks}
    return {name: by_id.get(name.rpartition("/")[2]) for name in names}


def _apply_reading() -> None:
    @replace(EC2ContainerServiceBackend)
    def describe_tasks(self, cluster_str, tasks):
        if not tasks:
            raise InvalidParameterException("Tasks cannot be empty.")
        found = [task for task in _named(self, cluster_str, tasks).values() if task is not None]
        for task in found:
            task.advance()
        return found

    @wrap(EC2ContainerServiceResponse, "describe_tasks")
    def with_failures(original, self):
        answer = original(self)
        cluster = self._get_param("cluster", "default")
        backend = self.ecs_backend
        prefix = f"arn:aws:ecs:{backend.region_name}:{backend.account_id}:task/{cluster.rpartition('/')[2]}/"
        missing = [name for name, task in _named(backend, cluster, self._get_param("tasks", [])).items() if task is None]
        answer._result["failures"] = [{"arn": prefix + name.rpartition("/")[2], "reason": "MISSING"} for name in missing]
        return answer

    @replace(EC2ContainerServiceResponse)
    def list_tasks(self):
        backend = self.ecs_backend
        cluster = backend._get_cluster(self._get_param("cluster", "default"))
        service = self._get_param("serviceName")
        if service:
            service = backend._get_service(cluster.name, service.rpartition("/")[2]).name
        wanted = {
            "desired_status": self._get_param("desiredStatus") or "RUNNING",
            "launch_type": self._get_param("launchType"),
            "started_by": self._get_param("startedBy"),
            "group": f"service:{service}" if service else None,
        }
        instance = self._get_param("containerInstance")
        family = self._get_param("family")
        found = [
            task
            for task in backend.tasks.get(cluster.name, {}).values()
            if all(value is None or getattr(task, name) == value for name, value in wanted.items())
            and (not family or task.task_definition_arn.rpartition("/")[2].rpartition(":")[0] == family)
            and (not instance or (task.container_instance_arn or "").endswith(instance.rpartition("/")[2]))
        ]
        return ActionResult({"taskArns": [task.task_arn for task in found]})


def _apply_running() -> None:
    @wrap(EC2ContainerServiceResponse, "run_task")
    def on_fargate(original, self):
        backend = self.ecs_backend
        cluster = backend._get_cluster(self._get_param("cluster", "default"))
        launch_type = self._get_param("launchType")
        strategy = self._get_param("capacityProviderStrategy")
        if not launch_type and not strategy:
            strategy = cluster.default_capacity_provider_strategy
        providers = {item["capacityProvider"] for item in strategy or []}
        network = self._get_param("networkConfiguration")
        if (launch_type != "FARGATE" and not (providers and providers <= set(_FARGATE))) or not network:
            # Container instances, and what is refused, are moto's.
            return original(self)
        if launch_type and strategy:
            raise InvalidParameterException("Specify either launchType or capacityProviderStrategy, but not both.")
        definition = backend.describe_task_definition(self._get_param("taskDefinition"))
        running: list[LiveTask] = []
        failures = []
        for _ in range(self._get_int_param("count", 1)):
            provider = next_provider(strategy, (task.capacity_provider_name for task in running)) if strategy else None
            if not has_room(backend, provider or ON_DEMAND, definition):
                reason = "You've reached the limit on the number of vCPUs you can run concurrently"
                failures.append({"reason": reason})
                continue
            subnets = network["awsvpcConfiguration"]["subnets"]
            placement = Placement(
                network_configuration=network,
                subnet_id=next_subnet(subnets, (task.subnet_id for task in running)),
                capacity_provider_name=provider,
                platform_version=self._get_param("platformVersion"),
                group=self._get_param("group") or f"family:{definition.family}",
                started_by=self._get_param("startedBy"),
                tags=self._get_param("tags") or [],
                enable_execute_command=bool(self._get_param("enableExecuteCommand")),
                overrides=self._get_param("overrides") or {},
            )
            running.append(LiveTask(backend, cluster, definition, placement))
            running[-1].begin()
        return ActionResult({"tasks": running, "failures": failures})


def _apply_stopping() -> None:
    @wrap(EC2ContainerServiceBackend, "stop_task")
    def in_order(original, self, cluster_str, task_str, reason):
        task = _named(self, cluster_str, [task_str])[task_str]
        if task is None:
            raise InvalidParameterException("The referenced task was not found.")
        if not isinstance(task, LiveTask):
            return original(self, cluster_str, task_str, reason)
        task.stop(reason or stop_reasons.STOPPED_BY_USER, stop_reasons.USER)
        return task
