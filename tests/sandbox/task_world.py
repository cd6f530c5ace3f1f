"""An `EcsStage` with everything a production task reads when it starts: role, registry, secret, log group."""

import json

from ecs_support import CLUSTER, CONTAINER, EcsStage
from support import ACCOUNT, REGION

REPOSITORY = "order-api"
REPOSITORY_URL = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}"
LOG_GROUP = "/ecs/order-api"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/execution"
#: What a task spends on the way to RUNNING: provisioning, pull, activation.
START = 15 + 20 + 5
#: From the end of its containers to STOPPED.
DEPROVISION = 15


class TaskWorld(EcsStage):
    """Registers revisions that read all of it, runs tasks and looks at them."""

    def __init__(self, client) -> None:
        super().__init__(client)
        self.ecr, self.logs = client("ecr"), client("logs")
        self.make_role("execution")
        self.logs.create_log_group(logGroupName=LOG_GROUP)
        value = json.dumps({"username": "admin"})
        self.secret = client("secretsmanager").create_secret(Name="credentials", SecretString=value)["ARN"]
        self.ecr.create_repository(repositoryName=REPOSITORY)
        self.push("1")

    def make_role(self, name: str, principal: str = "ecs-tasks.amazonaws.com") -> str:
        """Makes a role that this service may assume and returns its ARN."""
        statement = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        return self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]

    def push(self, *tags: str) -> str:
        """Puts one image with these tags into the repository and returns its digest."""
        media_type = "application/vnd.docker.distribution.manifest.v2+json"
        config = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 2, "digest": "sha256:" + "0" * 64}
        layer = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 1}
        layer["digest"] = "sha256:" + "".join(f"{ord(letter):02x}" for letter in "-".join(tags)).ljust(64, "0")[:64]
        manifest = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]}
        for tag in tags:
            image = self.ecr.put_image(repositoryName=REPOSITORY, imageTag=tag, imageManifest=json.dumps(manifest))
        return image["image"]["imageId"]["imageDigest"]

    def revision(self, image: str = ":1", **fields) -> str:
        """Registers a revision with an image of the repository (``:tag``, ``@digest``) or another one; returns its ARN.

        ``fields`` are the container's, but for ``taskRoleArn`` and ``executionRoleArn``.
        """
        roles = {name: fields.pop(name) for name in ("taskRoleArn", "executionRoleArn") if name in fields}
        container = {
            "name": CONTAINER,
            "image": REPOSITORY_URL + image if image[0] in ":@" else image,
            "portMappings": [{"containerPort": 8080}],
            "secrets": [{"name": "DB_CREDENTIALS", "valueFrom": self.secret}],
            "logConfiguration": self.log_configuration(LOG_GROUP),
            **fields,
        }
        return self.ecs.register_task_definition(
            family="order-api",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="512",
            memory="1024",
            containerDefinitions=[container],
            **{"executionRoleArn": ROLE, **roles},
        )["taskDefinition"]["taskDefinitionArn"]

    def log_configuration(self, group: str, **options) -> dict:
        """The ``logConfiguration`` of a container that writes to this group."""
        fixed = {"awslogs-group": group, "awslogs-region": REGION, "awslogs-stream-prefix": "ecs"}
        return {"logDriver": "awslogs", "options": {**fixed, **options}}

    def awsvpc(self, subnets: list[str] | None = None, public: bool = True) -> dict:
        """A ``networkConfiguration``; behind an internet gateway a task without a public address has no way out."""
        configuration = {
            "subnets": subnets or self.network["subnets"],
            "securityGroups": [self.network["group"]],
            "assignPublicIp": "ENABLED" if public else "DISABLED",
        }
        return {"awsvpcConfiguration": configuration}

    def run(self, definition: str, **fields) -> str:
        """Runs one task on Fargate, on its own, and returns its ARN."""
        request = {"cluster": CLUSTER, "taskDefinition": definition, "launchType": "FARGATE", "networkConfiguration": self.awsvpc()}
        return self.ecs.run_task(**{**request, **fields})["tasks"][0]["taskArn"]

    def task(self, arn: str) -> dict:
        """A task as it is now."""
        return self.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn], include=["TAGS"])["tasks"][0]

    def tasks_of(self, service: str, status: str = "RUNNING") -> list[dict]:
        """The tasks of a service with this desired status, oldest first."""
        arns = self.ecs.list_tasks(cluster=CLUSTER, serviceName=service, desiredStatus=status)["taskArns"]
        return [self.task(arn) for arn in arns]

    def targets(self, group: str, **fields) -> list[tuple[str, str | None]]:
        """State and reason of a group's targets, in the order of their registration."""
        answer = self.elbv2.describe_target_health(TargetGroupArn=group, **fields)["TargetHealthDescriptions"]
        return [(item["TargetHealth"]["State"], item["TargetHealth"].get("Reason")) for item in answer]
