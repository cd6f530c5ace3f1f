"""Blue/green, canary and linear deployments: the stages in which traffic moves from one target group to the other.

Field guide section 4 "Native blue/green", rows "Stages", "Limits", "Rollback window", "No circuit breaker to count on". The
new tasks go into the group that does not serve: after the very first deployment that is the alternate one, unless the
service has no tasks yet.
"""

from collections.abc import Callable, Iterator
from typing import Any

from moto.core.utils import utcnow

from ... import consistency
from ...durations import DEPLOYMENT_STAGE, DEPLOYMENT_STAGE_LONGEST
from . import traffic
from .deployments import ServiceDeployment, Until, Walk
from .groups import pairs_of
from .hooks import HookRun, hooks_at
from .revisions import Revision


class StagedDeployment(ServiceDeployment):
    """A deployment with both revisions in full, and traffic that moves between them."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._hooks: list[HookRun] = []
        #: The revision that has the production traffic when it begins, if one has.
        self._source: Revision | None = None
        self._has_scaled_up = False
        self._has_shifted = False

    # The stages.

    def walk(self) -> Walk:
        """All stages, one after the other."""
        if self.superseded:
            yield from self._stage("RECONCILE_SERVICE")
            yield from self._reconcile()
        self._source = self.candidate or next(iter(self.others), None)
        problem = self._resolve_groups()
        if problem:
            self.roll_back(f"because of invalid networking configuration. {problem}")
            return
        yield from self._stage("PRE_SCALE_UP")
        self._set_stage("SCALE_UP")
        self._has_scaled_up = True
        self.target.resize(self.desired)
        yield Until(lambda: self.target.healthy >= self.desired, DEPLOYMENT_STAGE_LONGEST)
        yield from self._stage("POST_SCALE_UP")
        yield from self._stage("TEST_TRAFFIC_SHIFT", self._shift_test_traffic)
        yield from self._stage("POST_TEST_TRAFFIC_SHIFT")
        yield from self._shift_production()
        yield from self._stage("POST_PRODUCTION_TRAFFIC_SHIFT")
        self._set_stage("BAKE_TIME")
        yield from self.pause(60.0 * self.configuration.get("bakeTimeInMinutes", 0))
        yield from self._clean_up()
        self.succeed()

    def _stage(self, stage: str, action: Callable[[], None] | None = None) -> Walk:
        """Enters a stage, waits for its hooks, then does what it is for."""
        self._set_stage(stage)
        yield from self._await_hooks(stage)
        if action is not None:
            action()
        yield from self.pause(DEPLOYMENT_STAGE)

    def _set_stage(self, stage: str) -> None:
        self.lifecycle_stage = stage
        self.updated_at = utcnow()

    def _reconcile(self) -> Walk:
        """Brings the service back to one revision, after a deployment that was not let finish."""
        keeper = self.candidate
        if keeper is None:
            keeper = next((revision for revision in self.superseded if revision.production_weight == 100), None)
        for revision in self.superseded:
            if revision is not keeper:
                revision.stop()
        if keeper is not None:
            self._give_all_to(keeper)
            keeper.resize(self.desired)
        stopped = [revision for revision in self.superseded if revision is not keeper]
        yield Until(lambda: all(revision.is_gone for revision in stopped), DEPLOYMENT_STAGE_LONGEST)
        self.others = [keeper] if keeper is not None else []

    def _shift_test_traffic(self) -> None:
        if any(pair.test_rule for pair in pairs_of(self.target)):
            self._write("test", 100.0)

    def _shift_production(self) -> Walk:
        for percent, bake_minutes in self._steps():
            if hooks_at(self.configuration, "PRE_PRODUCTION_TRAFFIC_SHIFT"):
                self._set_stage("PRE_PRODUCTION_TRAFFIC_SHIFT")
                yield from self._await_hooks("PRE_PRODUCTION_TRAFFIC_SHIFT")
            yield from self._stage("PRODUCTION_TRAFFIC_SHIFT", lambda percent=percent: self._write("production", percent))
            yield from self.pause(60.0 * bake_minutes)

    def _steps(self) -> Iterator[tuple[float, float]]:
        """Percent of the production traffic, and the minutes it stays so before the next step."""
        strategy = self.configuration["strategy"]
        if strategy == "CANARY":
            canary = self.configuration["canaryConfiguration"]
            if canary["canaryPercent"] < 100:
                yield canary["canaryPercent"], canary["canaryBakeTimeInMinutes"]
        elif strategy == "LINEAR":
            linear = self.configuration["linearConfiguration"]
            step = linear["stepPercent"]
            for number in range(1, 1000):
                if round(step * number, 1) >= 100:
                    break
                yield round(step * number, 1), linear["stepBakeTimeInMinutes"]
        yield 100.0, 0

    def _clean_up(self) -> Walk:
        """Stops the old tasks; from here on there is no way back but another deployment."""
        self._set_stage("CLEAN_UP")
        self.alarms.end()
        for revision in self.others:
            revision.stop()
        yield Until(lambda: all(revision.is_gone for revision in self.others))
        yield from self.pause(DEPLOYMENT_STAGE)

    def walk_back(self) -> Walk:
        """Stops the new tasks, while the old ones have the traffic again."""
        for revision in (*self.superseded, self.target):
            if revision is not self.candidate:
                revision.stop()
        self.candidate.resize(self.desired)
        going = [revision for revision in (*self.superseded, self.target) if revision is not self.candidate]
        yield Until(lambda: self.candidate.healthy >= self.desired and all(revision.is_gone for revision in going))

    def resize(self) -> None:
        """Both revisions have all tasks, so both follow; of one that is being stopped no task is wanted again."""
        if self.status == "ROLLBACK_IN_PROGRESS":
            followers = [self.candidate] if self.candidate else []
        elif self.lifecycle_stage == "CLEAN_UP":
            followers = [self.target]
        else:
            followers = [*self.others, *([self.target] if self._has_scaled_up else [])]
        for revision in followers:
            revision.resize(self.desired)
        self.progress()

    # Hooks.

    def _await_hooks(self, stage: str) -> Walk:
        runs = [HookRun(hook, stage, self._hook_changed) for hook in hooks_at(self.configuration, stage)]
        self._hooks += runs
        yield Until(lambda: not any(run.is_awaiting for run in runs))

    def _hook_changed(self, run: HookRun) -> None:
        if run.has_failed:
            why = "timed out" if run.status == "TIMED_OUT" else "was answered with ROLLBACK"
            self.roll_back(f"because {run.stage} lifecycle hook(s) failed. Lifecycle hook {run.id} {why}.")
        else:
            self.progress()

    def find_hook(self, hook_id: str) -> HookRun | None:
        """The hook with this id."""
        return next((run for run in self._hooks if run.id == hook_id), None)

    def drop_hooks(self) -> None:
        """Waits for no hook any more."""
        for run in self._hooks:
            run.drop()

    def hook_details(self) -> list[dict]:
        """``ServiceDeployment.lifecycleHookDetails``."""
        return [run.describe() for run in self._hooks]

    # Traffic.

    def _elbv2(self) -> Any:
        return traffic.balancers_of(self.life.backend.account_id, self.life.backend.region_name)

    def _resolve_groups(self) -> str | None:
        """Puts the target into the groups that do not serve; returns what is wrong with the network, if anything is."""
        pairs = pairs_of(self.target)
        with consistency.from_inside():
            rules = traffic.visible_rules(self._elbv2())
            for pair in pairs:
                problem = pair.problem(rules, self.life.backend.account_id)
                if problem:
                    return problem
        taken = {group["targetGroupArn"] for group in self._source.target_groups} if self._source else set()
        for pair, group in zip(pairs, self.target.target_groups):
            serving = next((arn for arn in pair.groups if arn in taken), None) or pair.serving(rules)
            # Where nothing runs and nothing is to run, the traffic stays where it is.
            stays = not serving or (self._source is None and not self.desired)
            group["targetGroupArn"] = (serving or pair.groups[0]) if stays else pair.other_than(serving)
        if pairs:
            self.target.production_weight = self.target.test_weight = 0.0
            if self._source is not None:
                # A revision that a rolling deployment made has all the traffic, though ECS never shifted any to it.
                self._source.production_weight = 100.0
                self._source.test_weight = self._source.test_weight or 0.0
        return None

    def _write(self, kind: str, percent: float) -> None:
        """Sends so much of the production or the test traffic to the target and the rest to the source."""
        problem = self._role_problem()
        if problem is None:
            self._has_shifted = True
            if not self._shift(kind, self.target, percent):
                problem = "One or more rules not found"
        if problem:
            self.roll_back(f"because of invalid networking configuration. {problem}")
            return
        attribute = f"{kind}_weight"
        setattr(self.target, attribute, percent)
        if self._source is not None:
            setattr(self._source, attribute, 100.0 - percent)

    def _role_problem(self) -> str | None:
        account = self.life.backend.account_id
        return next(filter(None, (pair.role_problem(account) for pair in pairs_of(self.target))), None)

    def _shift(self, kind: str, revision: Revision, percent: float) -> bool:
        """Writes the rules; says whether all of them and their groups are still there."""
        groups = [group["targetGroupArn"] for group in revision.target_groups]
        pairs = pairs_of(self.target)
        if any(group not in pair.groups for pair, group in zip(pairs, groups)):
            # The deployment changes the load balancers, and this is a revision from before.
            pairs = pairs_of(revision)
        is_done = True
        for pair, group in zip(pairs, groups):
            rule = pair.production_rule if kind == "production" else pair.test_rule
            if rule:
                is_done &= traffic.shift(self._elbv2(), rule, pair.other_than(group), group, percent, pair.groups)
        return is_done

    def _give_all_to(self, revision: Revision) -> bool:
        """Sends all traffic of both kinds to one revision."""
        is_done = True
        for kind in ("production", "test"):
            is_done &= self._shift(kind, revision, 100.0)
            for other in (*self.others, *self.superseded, self.target):
                if getattr(other, f"{kind}_weight") is not None:
                    setattr(other, f"{kind}_weight", 0.0)
            setattr(revision, f"{kind}_weight", 100.0)
        return is_done

    def restore_traffic(self) -> bool:
        """Gives the candidate the traffic again, where any was shifted away: by this deployment or by the one before."""
        superseded_serves = any(revision.production_weight or revision.test_weight for revision in self.superseded)
        if not (self._has_shifted or superseded_serves) or not pairs_of(self.target):
            return True
        return self._role_problem() is None and self._give_all_to(self.candidate)
