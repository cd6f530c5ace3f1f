"""Alarms that end a deployment.

Field guide section 4 "Native blue/green", "Alarms": an alarm that goes into ALARM during a deployment fails it; if one is
in ALARM when it starts, ECS ignores the alarms for that whole deployment.
"""

from collections.abc import Callable

from moto.cloudwatch.models import Alarm, cloudwatch_backends

from ...patches.patching import wrap

_watches: list["AlarmWatch"] = []


class AlarmWatch:
    """Watches the alarms of one deployment's configuration."""

    def __init__(self, account: str, region: str, configuration: dict | None, on_alarm: Callable[[], None]) -> None:
        configuration = configuration or {}
        self.names: list[str] = list(configuration.get("alarmNames", []))
        self.is_enabled = bool(configuration.get("enable")) and bool(self.names)
        self.rolls_back = bool(configuration.get("rollback"))
        self.status = "MONITORING" if self.is_enabled else "DISABLED"
        self.triggered: list[str] = []
        self._alarms = cloudwatch_backends[account][region].alarms
        self._on_alarm = on_alarm

    def start(self) -> list[str]:
        """Begins to watch; returns the alarms because of which it does not."""
        if not self.is_enabled:
            return []
        in_alarm = [alarm.name for alarm in self._existing() if alarm.state_value == "ALARM"]
        if in_alarm:
            self.status = "DISABLED"
        else:
            _watches.append(self)
        return in_alarm

    def end(self) -> None:
        """Stops watching."""
        if self in _watches:
            _watches.remove(self)
        if self.status == "MONITORING":
            self.status = "MONITORING_COMPLETE"

    @property
    def bake_seconds(self) -> float:
        """How long a rolling deployment goes on watching when its tasks are in place: one evaluation of each alarm."""
        if self.status != "MONITORING":
            return 0.0
        lengths = [int(alarm.period or 0) * int(alarm.evaluation_periods or 1) for alarm in self._existing()]
        return float(max(lengths, default=0))

    def noticed(self, alarm: Alarm) -> None:
        """Takes note of an alarm that has gone into ALARM."""
        if self._alarms.get(alarm.name) is alarm and alarm.name in self.names and self.status == "MONITORING":
            self.triggered.append(alarm.name)
            self.status = "TRIGGERED"
            self._on_alarm()

    def describe(self) -> dict:
        """``ServiceDeployment.alarms``."""
        return {"status": self.status, "alarmNames": self.names, "triggeredAlarmNames": self.triggered}

    def _existing(self) -> list[Alarm]:
        return [self._alarms[name] for name in self.names if name in self._alarms]


def apply() -> None:
    """Listens to every change of an alarm's state."""

    @wrap(Alarm, "update_state")
    def tell_watches(original, self, reason, reason_data, state_value):
        original(self, reason, reason_data, state_value)
        if state_value == "ALARM":
            for watch in list(_watches):
                watch.noticed(self)
