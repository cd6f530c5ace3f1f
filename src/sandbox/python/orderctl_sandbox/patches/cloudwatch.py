"""CloudWatch alarms and the tags of dashboards.

Gaps (moto 5.2.5): a new alarm starts ``OK``; updating an alarm resets its state and takes new tags; the tags of a
deleted alarm come back with the next one of its name; tags of an alarm that does not exist can be listed; deleting an
alarm that does not exist, or more than 100, succeeds; the tags that a new dashboard is given are dropped.
Restores: ``INSUFFICIENT_DATA`` at first, state kept and tags ignored on update (field guide section 7),
``ResourceNotFoundException`` for tags of nothing, ``ResourceNotFound`` for deletions of nothing, the tags of a new dashboard (an
existing one's are left alone by ``PutDashboard``, as its reference says) until it is deleted.
"""

from moto.cloudwatch.exceptions import ResourceNotFound, ResourceNotFoundException, ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse

from .patching import wrap

_STATE = ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history")


def apply() -> None:
    """Patches the alarm model and its backend."""

    @wrap(Alarm, "__init__")
    def start_without_data(original, self, *arguments, **named):
        original(self, *arguments, **named)
        self.state_value = "INSUFFICIENT_DATA"
        self.state_transitioned_timestamp = self.state_updated_timestamp

    @wrap(CloudWatchBackend, "put_metric_alarm")
    def keep_state_and_tags(original, self, *arguments, **named):
        existing = self.alarms.get(named["name"])
        if existing is None:
            return original(self, *arguments, **named)
        named["tags"] = None
        alarm = original(self, *arguments, **named)
        for field in _STATE:
            setattr(alarm, field, getattr(existing, field))
        return alarm

    @wrap(CloudWatchBackend, "delete_alarms")
    def forget_tags(original, self, alarm_names):
        for name in alarm_names:
            if name in self.alarms:
                self.tagger.delete_all_tags_for_resource(self.alarms[name].alarm_arn)
        return original(self, alarm_names)

    @wrap(CloudWatchResponse, "delete_alarms")
    def delete_existing(original, self):
        names = self._get_param("AlarmNames", [])
        if len(names) > 100:
            raise ValidationError("The list of alarm names must have at most 100 members.")
        missing = [name for name in names if name not in self.cloudwatch_backend.alarms]
        if missing:
            raise ResourceNotFound(f"There are no such alarms: {', '.join(missing)}")
        return original(self)

    @wrap(CloudWatchResponse, "put_dashboard")
    def tag_new_dashboards(original, self):
        backend = self.cloudwatch_backend
        name = self._get_param("DashboardName")
        is_new = name not in backend.dashboards
        answer = original(self)
        tags = self._get_param("Tags", [])
        if is_new and tags:
            backend.tagger.tag_resource(backend.dashboards[name].arn, tags)
        return answer

    @wrap(CloudWatchBackend, "delete_dashboards")
    def forget_dashboard_tags(original, self, dashboards):
        arns = [self.dashboards[name].arn for name in dashboards if name in self.dashboards]
        refusal = original(self, dashboards)
        if refusal is None:
            for arn in arns:
                self.tagger.delete_all_tags_for_resource(arn)
        return refusal

    def require(self, arn: str) -> None:
        name = arn.partition(":alarm:")[2]
        if name and name not in self.alarms:
            raise ResourceNotFoundException(f"{arn} does not exist")

    @wrap(CloudWatchBackend, "list_tags_for_resource")
    def list_existing(original, self, arn):
        require(self, arn)
        return original(self, arn)

    @wrap(CloudWatchBackend, "tag_resource")
    def tag_existing(original, self, arn, tags):
        require(self, arn)
        # moto only takes tags for what has been tagged before; AWS takes them for any alarm.
        self.tagger.tag_resource(arn, self.tagger.convert_dict_to_tags_input(tags))

    @wrap(CloudWatchBackend, "untag_resource")
    def untag_existing(original, self, arn, tag_keys):
        require(self, arn)
        self.tagger.untag_resource_using_names(arn, tag_keys)
