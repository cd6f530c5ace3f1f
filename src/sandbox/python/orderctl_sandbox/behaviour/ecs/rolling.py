"""Rolling deployments: new tasks take the place of old ones within the minimum and the maximum.

Field guide section 4 "Service" (rows "Wait": the counts are right some time before the deployment is COMPLETED) and the
deployment circuit breaker, which counts tasks that fail in a row: half of the desired ones, 3 to 200.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...durations import DEPLOYMENT_STAGE
from .deployments import Pause, ServiceDeployment, Until, Walk
from .groups import pairs_of
from .revisions import Revision

if TYPE_CHECKING:
    from .services import ServiceLife

_FEWEST_FAILURES = 3
_MOST_FAILURES = 200


class RollingDeployment(ServiceDeployment):
    """Raises one revision as it lowers the others."""

    def __init__(self, life: ServiceLife, target: Revision, others: list[Revision], superseded: list[Revision]) -> None:
        # Whatever has tasks gives way, and the last good revision longest.
        super().__init__(life, target, [*others, *superseded], [])
        for pair, group in zip(pairs_of(target), target.target_groups):
            # The tasks must stand where the traffic goes, which is where the last blue/green deployment left it.
            if self.candidate is not None:
                taken = {candidate["targetGroupArn"] for candidate in self.candidate.target_groups}
                group["targetGroupArn"] = next((arn for arn in pair.groups if arn in taken), pair.groups[0])

    def walk(self) -> Walk:
        """Replaces the tasks; with alarms, or a bake time, it watches for a while before it is done."""
        rising, falling = self.target, self.others
        while True:
            self._balance(rising, falling)
            yield Until(lambda: self._is_replaced(rising, falling))
            if not self.desired:
                break
            bake = self.alarms.bake_seconds + 60.0 * self.configuration.get("bakeTimeInMinutes", 0)
            yield Pause(DEPLOYMENT_STAGE + bake)
            if self._is_replaced(rising, falling):
                break
        for revision in falling:
            revision.stop()
        self.succeed()

    def walk_back(self) -> Walk:
        """Replaces the tasks the other way round."""
        rising = self.candidate
        falling = [revision for revision in (*self.others, self.target) if revision is not rising]
        self._balance(rising, falling)
        yield Until(lambda: self._is_replaced(rising, falling))
        for revision in falling:
            revision.stop()

    def _is_replaced(self, rising: Revision, falling: list[Revision]) -> bool:
        return rising.healthy >= self.desired and all(revision.is_gone for revision in falling)

    def _balance(self, rising: Revision, falling: list[Revision]) -> None:
        """Starts as many new tasks and keeps as many old ones as the percentages let it."""
        desired = self.desired
        most = max(1, desired * self.configuration["maximumPercent"] // 100)
        least = math.ceil(desired * self.configuration["minimumHealthyPercent"] / 100)
        missing = max(0, desired - rising.healthy)
        # Old tasks make room for the new ones only if the maximum has none, and never below the minimum.
        keep = max(min(missing, max(0, most - desired)), least - rising.healthy, 0)
        for revision in sorted(falling, key=lambda revision: revision is not self.candidate):
            kept = min(revision.wanted, keep)
            if kept < revision.wanted:
                revision.resize(kept)
            keep -= kept
        old = sum(revision.running + revision.pending for revision in falling)
        rising.resize(max(min(desired, most - old), min(rising.wanted, desired)))

    def progress(self) -> None:
        """Counts failures, moves on with the replacement, and goes on where it is done."""
        if self.status == "IN_PROGRESS":
            if self._is_tripped():
                self._trip()
                return
            self._balance(self.target, self.others)
        elif self.status == "ROLLBACK_IN_PROGRESS" and self.candidate is not None:
            self._balance(
                self.candidate, [revision for revision in (*self.others, self.target) if revision is not self.candidate]
            )
        super().progress()

    def resize(self) -> None:
        """New desired counts move the limits."""
        self.progress()

    # The circuit breaker.

    @property
    def _breaker(self) -> dict:
        return self.configuration.get("deploymentCircuitBreaker") or {}

    def threshold(self) -> int:
        """Failed tasks at which the breaker trips."""
        configured = self._breaker.get("thresholdConfiguration") or {}
        value, kind = configured.get("value", 50), configured.get("type", "BOUNDED_PERCENT")
        if kind == "COUNT":
            return max(1, value)
        share = math.ceil(self.desired * value / 100)
        return max(1, share) if kind == "UNBOUNDED_PERCENT" else max(_FEWEST_FAILURES, min(_MOST_FAILURES, share))

    def failures(self) -> int:
        """Failed tasks in a row, or altogether where a healthy task does not wipe them out."""
        return self.target.count_failures(self._breaker.get("resetOnHealthyTask", True))

    def _is_tripped(self) -> bool:
        return bool(self._breaker.get("enable")) and self.failures() >= self.threshold()

    def _trip(self) -> None:
        rolls_back = bool(self._breaker.get("rollback"))
        self.fail("because the circuit breaker threshold was exceeded.", rolls_back)
        self.target.set_rollout("FAILED", "ECS deployment circuit breaker: tasks failed to start.")
        # A failed deployment starts no more tasks.
        self.target.resize(self.target.healthy)

    def circuit_breaker(self) -> dict:
        """``ServiceDeployment.deploymentCircuitBreaker``."""
        if not self._breaker.get("enable"):
            return super().circuit_breaker()
        failures, threshold = self.failures(), self.threshold()
        if failures >= threshold:
            status = "TRIGGERED"
        else:
            status = "MONITORING" if self.status in ("PENDING", "IN_PROGRESS") else "MONITORING_COMPLETE"
        return {"status": status, "failureCount": failures, "threshold": threshold}
