"""Container Insights: the performance log of a cluster, which comes back by itself.

Field guide section 3 "Log groups come back by themselves": the group is made when there is something to write and it is
absent, and the last records arrive after the cluster is gone.
"""

import json
from typing import TYPE_CHECKING

from moto.core.utils import unix_time_millis, utcnow
from moto.ecs.models import Cluster

from ...clock import CLOCK
from ...durations import LOG_GROUP_COMES_BACK
from .. import logs

if TYPE_CHECKING:
    from .tasks import LiveTask


def is_on(cluster: Cluster) -> bool:
    """Whether the cluster's setting asks for records (``enabled`` or ``enhanced``)."""
    return any(item["name"] == "containerInsights" and item["value"] != "disabled" for item in cluster.settings)


def record(cluster: Cluster, task: "LiveTask") -> None:
    """Writes what a task of the cluster uses."""
    family, _, revision = task.task_definition_arn.rpartition("/")[2].rpartition(":")
    fields = {
        "Type": "Task",
        "TaskId": task.id,
        "TaskDefinitionFamily": family,
        "TaskDefinitionRevision": revision,
        "KnownStatus": task.last_status,
        "LaunchType": task.launch_type,
        "CpuReserved": float(task.cpu),
        "MemoryReserved": int(task.memory),
    }
    if task.group.startswith("service:"):
        fields["ServiceName"] = task.group.removeprefix("service:")
    _write(cluster, fields)


def follow_up(cluster: Cluster) -> None:
    """After a cluster has gone: its last records arrive a little later."""
    CLOCK.after(LOG_GROUP_COMES_BACK, lambda: _write(cluster, {"Type": "Cluster", "TaskCount": 0, "ServiceCount": 0}))


def _write(cluster: Cluster, fields: dict) -> None:
    if not is_on(cluster):
        return
    account = cluster.arn.split(":")[4]
    line = {"Version": "0", "Timestamp": int(unix_time_millis(utcnow())), "ClusterName": cluster.name, **fields}
    group = f"/aws/ecs/containerinsights/{cluster.name}/performance"
    logs.write(account, cluster.region_name, group, "FargateTelemetry-0001", [json.dumps(line)], create_group=True)
