"""Service deployments: what every strategy has in common, from PENDING to one of the four ends.

Field guide section 4 "Native blue/green", rows "Statuses", "Stop", "Rollback window", "First deploy". A deployment walks
along a generator that yields what it waits for; a rollback is another walk.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from moto.core.utils import utcnow

from ...clock import CLOCK, Event
from ...durations import DEPLOYMENT_LONGEST, DEPLOYMENT_STAGE
from ...patches.ecs_services import add_event
from .alarms import AlarmWatch
from .revisions import Revision

if TYPE_CHECKING:
    from .services import ServiceLife

#: The statuses in which a deployment goes on.
ONGOING = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
NO_CANDIDATE = "No rollback candidate was found to run the rollback."


@dataclass
class Pause:
    """Waits so many seconds."""

    seconds: float


@dataclass
class Until:
    """Waits until the condition holds; after ``limit`` seconds, if there is a limit, the deployment is rolled back."""

    condition: Callable[[], bool]
    limit: float | None = None


Walk = Iterator[Pause | Until]


class ServiceDeployment:
    """A deployment of ``target``; ``others`` are the revisions that have tasks when it begins."""

    def __init__(self, life: ServiceLife, target: Revision, others: list[Revision], superseded: list[Revision]) -> None:
        self.life = life
        self.service = life.service
        self.target = target
        self.others = others
        self.superseded = superseded
        #: The last revision that was deployed successfully, which a rollback brings back.
        self.candidate: Revision | None = life.current
        prefix, name = self.service.cluster_arn.rpartition(":")[0], f"{self.service.cluster_name}/{self.service.name}"
        self.arn = f"{prefix}:service-deployment/{name}/{secrets.token_urlsafe(16)[:21]}"
        self.configuration: dict = copy.deepcopy(self.service.deployment_configuration)
        self.status = "PENDING"
        self.status_reason: str | None = None
        self.lifecycle_stage: str | None = None
        self.created_at = utcnow()
        self.updated_at = self.created_at
        self.started_at: datetime | None = None
        self.finished_at: datetime | None = None
        self.stopped_at: datetime | None = None
        self.rollback: dict | None = None
        self.alarms = AlarmWatch(
            life.backend.account_id, life.backend.region_name, self.configuration.get("alarms"), self._alarm
        )
        self._walk: Walk | None = None
        self._condition: Callable[[], bool] | None = None
        self._event: Event | None = CLOCK.after(0, self._start)
        self._longest: Event | None = None

    @property
    def is_ongoing(self) -> bool:
        """Whether it has not ended."""
        return self.status in ONGOING

    @property
    def desired(self) -> int:
        """Tasks the service is to have."""
        return self.service.desired_count

    # Walking.

    def _start(self) -> None:
        self._set_status("IN_PROGRESS")
        self.started_at = utcnow()
        self._longest = CLOCK.deadline(
            DEPLOYMENT_LONGEST, lambda: self.roll_back("because it took longer than 30 days.")
        )
        in_alarm = self.alarms.start()
        if in_alarm:
            self.tell(f"ignores its alarms, because {', '.join(in_alarm)} was in ALARM when it started.")
        self._follow(self.walk())

    def walk(self) -> Walk:
        """The way to success."""
        raise NotImplementedError

    def walk_back(self) -> Walk:
        """The way back to the candidate, once the rollback is in progress."""
        raise NotImplementedError

    def restore_traffic(self) -> bool:
        """Gives the candidate the traffic again; says whether that could be done."""
        return True

    def resize(self) -> None:
        """Follows a change of the service's desired count."""
        raise NotImplementedError

    def _follow(self, walk: Walk) -> None:
        self._halt()
        self._walk = walk
        self._advance()

    def _halt(self) -> None:
        if self._event is not None:
            self._event.cancel()
        self._walk = self._condition = self._event = None

    def _advance(self) -> None:
        walk, self._condition = self._walk, None
        if self._event is not None:
            self._event.cancel()
            self._event = None
        while walk is not None and walk is self._walk:
            wait = next(walk, None)
            if wait is None or walk is not self._walk:
                break
            if isinstance(wait, Pause):
                self._event = CLOCK.after(wait.seconds, self._advance)
                break
            if not wait.condition():
                self._condition = wait.condition
                if wait.limit is not None:
                    self._event = CLOCK.deadline(wait.limit, self._take_too_long)
                break
        self.life.refresh()

    def _take_too_long(self) -> None:
        self.roll_back(f"because {self.lifecycle_stage} took longer than 24 hours.")

    def progress(self) -> None:
        """Goes on if what it waits for has come; called whenever the tasks of the service have changed."""
        if self._condition is not None and self._condition():
            self._advance()

    def pause(self, seconds: float) -> Walk:
        """Waits, unless the service wants no tasks: then nobody has to be waited for."""
        if self.desired:
            yield Pause(seconds)

    # Ends.

    def succeed(self) -> None:
        """Makes the target what the service runs."""
        self.target.set_rollout("COMPLETED", f"ECS deployment {self.target.deployment_id} completed.")
        self.life.current = self.target
        self.tell("deployment completed.")
        self._finish("SUCCESSFUL", None)

    def fail(self, cause: str, rolls_back: bool) -> None:
        """Ends it for a failure that was detected: by a rollback, or where it stands."""
        if rolls_back:
            self.roll_back(cause)
            return
        reason = f"Service deployment stopped {cause}"
        self._halt()
        self.drop_hooks()
        self.target.set_rollout("FAILED", reason)
        self.tell(f"deployment failed: {reason}")
        self.stopped_at = utcnow()
        self._finish("STOPPED", reason)

    def roll_back(self, cause: str) -> None:
        """Begins the rollback: the traffic goes back at once, the tasks follow. ``cause`` is "because …"."""
        if self.status not in ("PENDING", "IN_PROGRESS"):
            return
        reason = f"Service deployment rolled back {cause}"
        self._halt()
        self.alarms.end()
        self.drop_hooks()
        self._set_status("ROLLBACK_REQUESTED", reason)
        self.rollback = {
            "reason": reason,
            "startedAt": utcnow(),
            "serviceRevisionArn": self.candidate.arn if self.candidate else None,
        }
        self.target.set_rollout("FAILED", reason)
        self.tell(f"deployment failed: {reason}")
        is_restored = self.candidate is None or self.restore_traffic()
        self._follow(self._rollback(is_restored))

    def _rollback(self, is_restored: bool) -> Walk:
        yield Pause(DEPLOYMENT_STAGE)
        self._set_status("ROLLBACK_IN_PROGRESS", self.status_reason)
        if self.candidate is None:
            self._finish("ROLLBACK_FAILED", NO_CANDIDATE)
            return
        add_event(self.service, f"rolling back to deployment {self.candidate.deployment_id}.")
        self.candidate.restore()
        self.candidate.set_rollout(
            "IN_PROGRESS", f"ECS deployment rolling back to deploymentId {self.candidate.deployment_id}."
        )
        self.life.primary = self.candidate
        yield from self.walk_back()
        yield from self.pause(DEPLOYMENT_STAGE)
        self._settle_candidate()
        if is_restored:
            self._finish("ROLLBACK_SUCCESSFUL", self.status_reason)
        else:
            self._finish("ROLLBACK_FAILED", "The traffic could not be shifted back to the last service revision.")

    def _settle_candidate(self) -> None:
        """The rollback moves the candidate no more, whose own deployment was completed long ago."""
        self.candidate.set_rollout("COMPLETED", f"ECS deployment {self.candidate.deployment_id} completed.")

    def abort(self, reason: str) -> None:
        """Ends it where it stands; its tasks and the traffic stay as they are."""
        if self.status == "ROLLBACK_IN_PROGRESS":
            self._settle_candidate()
        self._halt()
        self.drop_hooks()
        self.stopped_at = utcnow()
        self._finish("STOPPED", reason)

    def _finish(self, status: str, reason: str | None) -> None:
        # Its own walk may be what calls this.
        self._halt()
        self.alarms.end()
        if self._longest is not None:
            self._longest.cancel()
        self._set_status(status, reason)
        self.finished_at = utcnow()
        self.life.refresh()

    def _set_status(self, status: str, reason: str | None = None) -> None:
        self.status = status
        self.status_reason = reason
        self.updated_at = utcnow()

    def _alarm(self) -> None:
        names = ", ".join(self.alarms.triggered)
        self.fail(f"because of alarms in ALARM state: {names}.", self.alarms.rolls_back)

    def drop_hooks(self) -> None:
        """Waits for no hook any more."""

    def tell(self, message: str) -> None:
        """Adds an event of this deployment to the service."""
        add_event(self.service, f"(deployment {self.target.deployment_id}) {message}")

    # What the API shows.

    def failures(self) -> int:
        """Failed tasks that count."""
        return self.target.count_failures(forgives=True)

    def circuit_breaker(self) -> dict:
        """``ServiceDeployment.deploymentCircuitBreaker``."""
        return {"status": "DISABLED", "failureCount": self.failures(), "threshold": 0}

    def hook_details(self) -> list[dict]:
        """``ServiceDeployment.lifecycleHookDetails``."""
        return []

    def brief(self) -> dict:
        """An element of ListServiceDeployments."""
        return {
            "serviceDeploymentArn": self.arn,
            "serviceArn": self.service.arn,
            "clusterArn": self.service.cluster_arn,
            "createdAt": self.created_at,
            "startedAt": self.started_at,
            "finishedAt": self.finished_at,
            "targetServiceRevisionArn": self.target.arn,
            "status": self.status,
            "statusReason": self.status_reason,
        }

    def describe(self) -> dict:
        """An element of DescribeServiceDeployments."""
        brief = self.brief()
        del brief["targetServiceRevisionArn"]
        return {
            **brief,
            "stoppedAt": self.stopped_at,
            "updatedAt": self.updated_at,
            "sourceServiceRevisions": [revision.as_summary() for revision in self.others],
            "targetServiceRevision": self.target.as_summary(),
            "lifecycleStage": self.lifecycle_stage,
            "lifecycleHookDetails": self.hook_details(),
            "deploymentConfiguration": self.configuration,
            "rollback": self.rollback,
            "deploymentCircuitBreaker": self.circuit_breaker(),
            "alarms": self.alarms.describe(),
        }
