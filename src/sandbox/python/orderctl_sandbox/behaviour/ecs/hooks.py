"""Lifecycle hooks: where a deployment pauses for somebody's word.

Field guide section 4 "Native blue/green", "PAUSE hook": the deployment waits (``AWAITING_ACTION``) until
ContinueServiceDeployment says CONTINUE or ROLLBACK, or until the hook's own time-out does. Lambda functions are not run
here: they succeed at once.
"""

import uuid
from collections.abc import Callable
from datetime import timedelta

from moto.core.utils import utcnow

from ...clock import CLOCK
from ...durations import HOOK_TIMEOUT_MINUTES

LAMBDA = "AWS_LAMBDA"
PAUSE = "PAUSE"


class HookRun:
    """One hook at one stage of one deployment."""

    def __init__(self, hook: dict, stage: str, on_change: Callable[["HookRun"], None]) -> None:
        self.id = str(uuid.uuid4())
        self.stage = stage
        self.target_type = hook.get("targetType", LAMBDA)
        self.target_arn = hook.get("hookTargetArn")
        self._on_change = on_change
        self._outcome = ""
        if self.target_type == LAMBDA:
            self.status = "SUCCEEDED"
            return
        self.status = "AWAITING_ACTION"
        timeout = hook.get("timeoutConfiguration") or {}
        minutes = timeout.get("timeoutInMinutes", HOOK_TIMEOUT_MINUTES)
        self.timeout_action = timeout.get("action", "ROLLBACK")
        # What is shown is real time, like every timestamp.
        self.expires_at = utcnow() + timedelta(seconds=CLOCK.real_seconds(minutes * 60.0))
        self._deadline = CLOCK.deadline(minutes * 60.0, self._time_out)

    @property
    def is_awaiting(self) -> bool:
        """Whether somebody's word is waited for."""
        return self.status == "AWAITING_ACTION"

    @property
    def has_failed(self) -> bool:
        """Whether the deployment is to be rolled back because of this hook."""
        return self.status in ("FAILED", "TIMED_OUT") and self._outcome == "ROLLBACK"

    def answer(self, action: str) -> None:
        """Takes CONTINUE or ROLLBACK for it."""
        self._settle("SUCCEEDED" if action == "CONTINUE" else "FAILED", action)

    def drop(self) -> None:
        """Nobody waits for it any more: the deployment has ended otherwise."""
        if self.is_awaiting:
            self._deadline.cancel()
            self.status = "FAILED"
            self._outcome = "DROPPED"

    def _time_out(self) -> None:
        self._settle("TIMED_OUT", self.timeout_action)

    def _settle(self, status: str, outcome: str) -> None:
        self._deadline.cancel()
        self.status = status
        self._outcome = outcome
        self._on_change(self)

    def describe(self) -> dict:
        """An element of ``lifecycleHookDetails``."""
        detail = {"hookId": self.id, "targetType": self.target_type, "targetArn": self.target_arn, "status": self.status}
        if self.target_type == PAUSE:
            detail |= {"expiresAt": self.expires_at, "timeoutAction": self.timeout_action}
        return detail


def hooks_at(configuration: dict, stage: str) -> list[dict]:
    """The hooks that a deployment configuration has at a stage."""
    return [hook for hook in configuration.get("lifecycleHooks") or [] if stage in hook.get("lifecycleStages", [])]
