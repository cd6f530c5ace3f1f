"""The API of service deployments and service revisions.

Field guide section 4 "Native blue/green", rows "PAUSE hook", "Statuses" and "Stop": ListServiceDeployments,
DescribeServiceDeployments, DescribeServiceRevisions, StopServiceDeployment and ContinueServiceDeployment, which moto lacks.
"""

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ecs.exceptions import ECSException, InvalidParameterException
from moto.ecs.models import EC2ContainerServiceBackend
from moto.ecs.responses import EC2ContainerServiceResponse

from ... import consistency
from ...patches.patching import add
from .deployments import ServiceDeployment
from .services import ServiceLife, life_of
from .stages import StagedDeployment

_PAGE = 20
_LARGEST_PAGE = 100
_MOST_ARNS = 20
_USER_STOPPED = "because of a user request."


class ServiceDeploymentNotFound(ECSException):
    """There is no service deployment with this ARN."""

    def __init__(self) -> None:
        super().__init__("ServiceDeploymentNotFoundException", "Service deployment not found.")


class Conflict(ECSException):
    """The deployment is past the point where it could be stopped."""

    def __init__(self, deployment: ServiceDeployment) -> None:
        super().__init__(
            "ConflictException", f"The service deployment {deployment.arn} cannot be stopped in status {deployment.status}."
        )


def _lives(backend: EC2ContainerServiceBackend) -> Iterator[ServiceLife]:
    for service in backend.services.values():
        life = life_of(service)
        if life is not None and not consistency.misses(service.arn):
            yield life


def _deployment(backend: EC2ContainerServiceBackend, arn: str) -> ServiceDeployment:
    for life in _lives(backend):
        for deployment in life.deployments:
            if deployment.arn == arn:
                return deployment
    raise ServiceDeploymentNotFound()


def _describe(arns: list[str], described: dict[str, dict]) -> tuple[list[dict], list[dict]]:
    if len(arns) > _MOST_ARNS:
        raise InvalidParameterException(f"At most {_MOST_ARNS} ARNs can be described at once.")
    failures = [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in described]
    return [described[arn] for arn in arns if arn in described], failures


def _moment(value: Any) -> datetime | None:
    """A timestamp of a request, which comes as seconds or as text."""
    if value is None:
        return None
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, timezone.utc).replace(tzinfo=None)
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError as error:
        raise InvalidParameterException(f"{value} is not a timestamp.") from error
    return moment.astimezone(timezone.utc).replace(tzinfo=None) if moment.tzinfo else moment


def _page(items: list[dict], token: str | None, size: int | None) -> tuple[list[dict], str | None]:
    size = _PAGE if size is None else int(size)
    if not 1 <= size <= _LARGEST_PAGE:
        raise InvalidParameterException(f"maxResults should be between 1 and {_LARGEST_PAGE}.")
    start = 0
    if token:
        try:
            start = int(base64.b64decode(token, validate=True))
        except (binascii.Error, ValueError) as error:
            raise InvalidParameterException("Invalid token") from error
    following = start + size
    return items[start:following], base64.b64encode(str(following).encode()).decode() if following < len(items) else None


def apply() -> None:
    """Adds the operations."""
    _apply_reads()
    _apply_writes()


def _apply_reads() -> None:
    @add(EC2ContainerServiceResponse)
    def list_service_deployments(self):
        backend = self.ecs_backend
        cluster = backend._get_cluster(self._get_param("cluster"))
        life = life_of(backend._get_service(cluster.name, self._get_param("service")))
        deployments = list(reversed(life.deployments)) if life else []
        statuses = self._get_param("status")
        if statuses:
            deployments = [deployment for deployment in deployments if deployment.status in statuses]
        created = self._get_param("createdAt") or {}
        after, before = _moment(created.get("after")), _moment(created.get("before"))
        deployments = [
            deployment
            for deployment in deployments
            if (after is None or deployment.created_at > after) and (before is None or deployment.created_at < before)
        ]
        items, token = _page(
            [deployment.brief() for deployment in deployments], self._get_param("nextToken"), self._get_param("maxResults")
        )
        return ActionResult({"serviceDeployments": items, "nextToken": token})

    @add(EC2ContainerServiceResponse)
    def describe_service_deployments(self):
        described = {
            deployment.arn: deployment.describe() for life in _lives(self.ecs_backend) for deployment in life.deployments
        }
        found, failures = _describe(self._get_param("serviceDeploymentArns", []), described)
        return ActionResult({"serviceDeployments": found, "failures": failures})

    @add(EC2ContainerServiceResponse)
    def describe_service_revisions(self):
        described = {revision.arn: revision.describe() for life in _lives(self.ecs_backend) for revision in life.revisions}
        found, failures = _describe(self._get_param("serviceRevisionArns", []), described)
        return ActionResult({"serviceRevisions": found, "failures": failures})


def _apply_writes() -> None:
    @add(EC2ContainerServiceResponse)
    def stop_service_deployment(self):
        deployment = _deployment(self.ecs_backend, self._get_param("serviceDeploymentArn"))
        stop_type = self._get_param("stopType") or "ROLLBACK"
        if stop_type not in ("ROLLBACK", "ABORT"):
            raise InvalidParameterException("stopType should be one of [ABORT,ROLLBACK]")
        # A rollback that is under way goes on; the window for one ends with the clean-up.
        if not deployment.is_ongoing or deployment.lifecycle_stage == "CLEAN_UP":
            raise Conflict(deployment)
        if deployment.status in ("PENDING", "IN_PROGRESS"):
            if stop_type == "ROLLBACK":
                deployment.stopped_at = utcnow()
                deployment.roll_back(_USER_STOPPED)
            else:
                deployment.abort("Service deployment stopped because of a user request.")
        return ActionResult({"serviceDeploymentArn": deployment.arn})

    @add(EC2ContainerServiceResponse)
    def continue_service_deployment(self):
        deployment = _deployment(self.ecs_backend, self._get_param("serviceDeploymentArn"))
        action = self._get_param("action") or "CONTINUE"
        if action not in ("ROLLBACK", "CONTINUE"):
            raise InvalidParameterException("action should be one of [ROLLBACK,CONTINUE]")
        hook_id = self._get_param("hookId")
        hook = deployment.find_hook(hook_id) if isinstance(deployment, StagedDeployment) else None
        if hook is None:
            raise InvalidParameterException(f"The lifecycle hook {hook_id} was not found.")
        if not hook.is_awaiting:
            raise InvalidParameterException(f"The lifecycle hook {hook_id} is not awaiting an action.")
        hook.answer(action)
        return ActionResult({"serviceDeploymentArn": deployment.arn})
