"""Why tasks stop, in AWS's words: the values of ``stopCode`` and ``stoppedReason``.

Field guide sections 3 and 4: nothing of this is an API error, so ``stoppedReason`` is where it can be read.
"""

from uuid import uuid4

ESSENTIAL_CONTAINER_EXITED = "EssentialContainerExited"
FAILED_TO_START = "TaskFailedToStart"
SCHEDULER = "ServiceSchedulerInitiated"
USER = "UserInitiated"

CONTAINER_EXITED = "Essential container in task exited"
STOPPED_BY_USER = "Task stopped by user"
FAILED_CONTAINER_HEALTH = "Task failed container health checks"

_RESOURCES = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
_CHECK_NETWORK = "Please check your task network configuration."


def scaling(deployment_id: str) -> str:
    """Fewer tasks are wanted of this deployment."""
    return f"Scaling activity initiated by (deployment {deployment_id})"


def failed_target_health(group_arn: str) -> str:
    """The load balancer found the task's target unhealthy."""
    return f"Task failed ELB health checks in (target-group {group_arn})"


def role_not_assumed(role_arn: str) -> str:
    """The role is absent, too new, or trusts somebody else."""
    return (
        f"ECS was unable to assume the role '{role_arn}' that was provided for this task. Please verify that the role "
        "being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass "
        "this role."
    )


def image_not_found(reference: str) -> str:
    """The registry was reached and has no such image."""
    return (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
        f"{reference}: {reference}: not found"
    )


def registry_unreachable(region: str) -> str:
    """Amazon ECR does not answer: there is no way out of the subnet."""
    return (
        f"{_RESOURCES}unable to retrieve ecr registry auth: service call has been retried 3 time(s): RequestError: send "
        f"request failed caused by: Post \"https://api.ecr.{region}.amazonaws.com/\": dial tcp 44.213.79.104:443: i/o "
        f"timeout. {_CHECK_NETWORK}"
    )


def secrets_unreachable(region: str, service: str) -> str:
    """Secrets Manager (``secretsmanager``) or Parameter Store (``ssm``) does not answer."""
    source = "secret from asm" if service == "secretsmanager" else "secrets from ssm"
    return (
        f"{_RESOURCES}unable to retrieve {source}: service call has been retried 5 time(s): RequestError: send request "
        f"failed caused by: Post \"https://{service}.{region}.amazonaws.com/\": dial tcp 44.213.79.104:443: i/o timeout. "
        f"{_CHECK_NETWORK}"
    )


def other_registry_unreachable(image: str) -> str:
    """A public registry does not answer."""
    return (
        f"CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: failed "
        "to do request: dial tcp 44.213.79.104:443: i/o timeout"
    )


def logs_unreachable(region: str) -> str:
    """CloudWatch Logs does not answer."""
    return (
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to "
        "create Cloudwatch log stream: RequestError: send request failed caused by: Post "
        f"\"https://logs.{region}.amazonaws.com/\": dial tcp 44.213.79.104:443: i/o timeout : exit status 1"
    )


def secret_not_found(secret_arn: str) -> str:
    """Secrets Manager has no such secret, or only one that is being deleted."""
    return (
        f"{_RESOURCES}unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret "
        f"{secret_arn} from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret. "
        f"status code: 400, request id: {uuid4()}"
    )


def secret_lacks_key(secret_arn: str, key: str) -> str:
    """The secret exists, its JSON has no such key."""
    return (
        f"{_RESOURCES}unable to retrieve secret from asm: service call has been retried 1 time(s): retrieved secret from "
        f"Secrets Manager did not contain json key {key}: {secret_arn}"
    )


def parameter_not_found(name: str) -> str:
    """Parameter Store has no such parameter."""
    return (
        f"{_RESOURCES}unable to retrieve secrets from ssm: service call has been retried 1 time(s): Invalid ssm "
        f"parameters: {name}"
    )


def log_group_not_found() -> str:
    """The log group of a container is absent, and the container may not create it."""
    return (
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to "
        "create Cloudwatch log stream: operation error CloudWatch Logs: CreateLogStream, https response error StatusCode: "
        f"400, RequestID: {uuid4()}, ResourceNotFoundException: The specified log group does not exist. : exit status 1"
    )
