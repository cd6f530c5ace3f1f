"""CloudWatch Logs.

Gaps (moto 5.2.5): PutMetricFilter adds a second filter of the same name and needs no log group; deleting a missing
filter succeeds, and so does listing those of a missing group; filters and tags outlive their group; logGroupNamePattern and logGroupIdentifiers are ignored; the class is not
answered; tags of a missing group are an empty map.
Restores: PutMetricFilter as upsert (field guide section 3), ``ResourceNotFoundException`` for what is missing.
"""

import json

from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.models import LogGroup, LogsBackend
from moto.logs.responses import LogsResponse

from .patching import wrap


def _remove_filters(backend: LogsBackend, group: str, name: str | None = None) -> int:
    """Removes the group's filters (all, or those of one name) and returns how many there were."""
    kept = [f for f in backend.filters.metric_filters if f["logGroupName"] != group or (name is not None and f["filterName"] != name)]
    removed = len(backend.filters.metric_filters) - len(kept)
    backend.filters.metric_filters = kept
    return removed


def apply() -> None:
    """Patches groups, metric filters and tags."""

    @wrap(LogGroup, "to_describe_dict")
    def complete(original, self):
        return {**original(self), "logGroupClass": getattr(self, "log_group_class", "STANDARD")}

    @wrap(LogsResponse, "create_log_group")
    def keep_class(original, self):
        answer = original(self)
        group = self.logs_backend.groups[self._get_param("logGroupName")]
        group.log_group_class = self._get_param("logGroupClass") or "STANDARD"
        return answer

    @wrap(LogsResponse, "describe_log_groups")
    def by_pattern(original, self):
        pattern = self._get_param("logGroupNamePattern")
        identifiers = self._get_param("logGroupIdentifiers")
        if not pattern and not identifiers:
            return original(self)
        groups = [
            group
            for name, group in sorted(self.logs_backend.groups.items())
            if (not pattern or pattern in name) and (not identifiers or name in identifiers or group.arn.removesuffix(":*") in identifiers)
        ]
        return json.dumps({"logGroups": [group.to_describe_dict() for group in groups]})

    @wrap(LogsBackend, "delete_log_group")
    def with_belongings(original, self, log_group_name):
        group = self.groups.get(log_group_name)
        original(self, log_group_name)
        _remove_filters(self, log_group_name)
        self.tagger.delete_all_tags_for_resource(group.arn)

    @wrap(LogsBackend, "put_metric_filter")
    def upsert(original, self, filter_name, filter_pattern, log_group_name, metric_transformations):
        if log_group_name not in self.groups:
            raise ResourceNotFoundException()
        _remove_filters(self, log_group_name, filter_name)
        original(self, filter_name, filter_pattern, log_group_name, metric_transformations)

    @wrap(LogsBackend, "delete_metric_filter")
    def must_exist(original, self, filter_name=None, log_group_name=None):
        if not _remove_filters(self, log_group_name, filter_name):
            raise ResourceNotFoundException()

    @wrap(LogsBackend, "describe_metric_filters")
    def of_existing(original, self, prefix=None, log_group_name=None, metric_name=None, metric_namespace=None):
        if log_group_name and log_group_name not in self.groups:
            raise ResourceNotFoundException()
        return original(self, prefix, log_group_name, metric_name, metric_namespace)

    def require(self: LogsBackend, arn: str) -> None:
        if ":log-group:" in arn and arn.split(":log-group:")[1] not in self.groups:
            raise ResourceNotFoundException()

    @wrap(LogsBackend, "list_tags_for_resource")
    def list_of_existing(original, self, resource_arn):
        require(self, resource_arn)
        return original(self, resource_arn)

    @wrap(LogsResponse, "tag_resource")
    def tag_existing(original, self):
        require(self.logs_backend, self._get_param("resourceArn"))
        return original(self)
