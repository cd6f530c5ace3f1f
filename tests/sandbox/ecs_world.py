"""Everything a Fargate task needs to run, made for a test: network, roles, registry, logs, secret, cluster, load balancer."""

import json

from support import ACCOUNT, REGION

CLUSTER = "order-api-test"
REPOSITORY = "order-api"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
LOG_GROUP = "/ecs/order-api-test"
EXECUTION_ROLE = f"arn:aws:iam::{ACCOUNT}:role/execution"
PORT = 8080
#: What the definitions of `task_definition` take from start to RUNNING: provisioning, pull, activation.
START = 15 + 20 + 5


class EcsWorld:
    """The resources, by name. ``case`` is the test class, which hands out the clients."""

    def __init__(self, case) -> None:
        self.client = case.client
        self.ecs = case.client("ecs")
        self.ec2 = case.client("ec2")
        self.elb = case.client("elbv2")
        self._make_network()
        self._make_what_tasks_read()
        case.client("iam").create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
        self.ecs.create_cluster(clusterName=CLUSTER)

    def _make_network(self) -> None:
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(VpcId=self.vpc, InternetGatewayId=self.gateway)
        self.route_table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.create_route(RouteTableId=self.route_table, DestinationCidrBlock="0.0.0.0/0", GatewayId=self.gateway)
        self.subnets = []
        for index, zone in enumerate("ab"):
            answer = self.ec2.create_subnet(
                VpcId=self.vpc, CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=f"{REGION}{zone}"
            )
            self.subnets.append(answer["Subnet"]["SubnetId"])
            self.ec2.associate_route_table(RouteTableId=self.route_table, SubnetId=self.subnets[-1])
        group = self.ec2.create_security_group(GroupName="tasks", Description="tasks", VpcId=self.vpc)
        self.security_group = group["GroupId"]

    def _make_what_tasks_read(self) -> None:
        self.make_role("execution")
        self.client("logs").create_log_group(logGroupName=LOG_GROUP)
        secret = self.client("secretsmanager").create_secret(Name="credentials", SecretString=json.dumps({"username": "admin"}))
        self.secret = secret["ARN"]
        self.client("ecr").create_repository(repositoryName=REPOSITORY)
        self.push("1")

    def make_role(self, name: str, principal: str = "ecs-tasks.amazonaws.com") -> str:
        """Makes a role that this service may assume and returns its ARN."""
        statement = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        return self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]

    def push(self, *tags: str) -> str:
        """Puts an image with these tags into the repository and returns its digest."""
        media_type = "application/vnd.docker.distribution.manifest.v2+json"
        layer = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 1, "digest": f"sha256:{tags[0]:0>64}"}
        config = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 2, "digest": "sha256:" + "0" * 64}
        manifest = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]}
        for tag in tags:
            image = self.client("ecr").put_image(repositoryName=REPOSITORY, imageTag=tag, imageManifest=json.dumps(manifest))
        return image["image"]["imageId"]["imageDigest"]

    def task_definition(self, image: str = ":1", **container) -> str:
        """Registers a revision with this image of the repository (``:tag`` or ``@digest``, or a whole name); returns its ARN."""
        name = f"{REGISTRY}/{REPOSITORY}{image}" if image[0] in ":@" else image
        answer = self.ecs.register_task_definition(
            family="order-api",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="512",
            memory="1024",
            executionRoleArn=EXECUTION_ROLE,
            containerDefinitions=[
                {
                    "name": "order-api",
                    "image": name,
                    "portMappings": [{"containerPort": PORT}],
                    "secrets": [{"name": "DB_CREDENTIALS", "valueFrom": self.secret}],
                    "logConfiguration": {
                        "logDriver": "awslogs",
                        "options": {"awslogs-group": LOG_GROUP, "awslogs-region": REGION, "awslogs-stream-prefix": "ecs"},
                    },
                    **container,
                }
            ],
        )
        return answer["taskDefinition"]["taskDefinitionArn"]

    def network(self, public: bool = True) -> dict:
        """The ``networkConfiguration`` of tasks; without a public address they have no way out."""
        return {
            "awsvpcConfiguration": {
                "subnets": self.subnets,
                "securityGroups": [self.security_group],
                "assignPublicIp": "ENABLED" if public else "DISABLED",
            }
        }

    def target_group(self, name: str, **fields) -> str:
        """Makes a target group whose targets are healthy after two checks, 10 s apart, and drain for 30 s."""
        answer = self.elb.create_target_group(
            Name=name,
            Protocol="HTTP",
            Port=PORT,
            VpcId=self.vpc,
            TargetType="ip",
            **{"HealthCheckIntervalSeconds": 10, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 3, **fields},
        )
        arn = answer["TargetGroups"][0]["TargetGroupArn"]
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "30"}
        self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
        return arn

    def listener(self, name: str, target_group: str, port: int = 80) -> str:
        """Makes a load balancer with a listener that forwards to this group; returns the listener's ARN."""
        balancer = self.elb.create_load_balancer(Name=name, Subnets=self.subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        answer = self.elb.create_listener(
            LoadBalancerArn=balancer,
            Protocol="HTTP",
            Port=port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
        )
        return answer["Listeners"][0]["ListenerArn"]

    def run_task(self, definition: str, **fields) -> dict:
        """Runs one task on Fargate and returns it as it was answered."""
        request = {"cluster": CLUSTER, "taskDefinition": definition, "launchType": "FARGATE", "networkConfiguration": self.network()}
        return self.ecs.run_task(**{**request, **fields})["tasks"][0]

    def task(self, arn: str) -> dict:
        """A task as it is now."""
        return self.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn], include=["TAGS"])["tasks"][0]

    def tasks_of(self, service: str, status: str = "RUNNING") -> list[dict]:
        """The tasks of a service with this desired status."""
        arns = self.ecs.list_tasks(cluster=CLUSTER, serviceName=service, desiredStatus=status)["taskArns"]
        return [self.task(arn) for arn in arns]

    def health(self, target_group: str) -> list[dict]:
        """The targets of a group: address, state and reason."""
        answer = self.elb.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]
        return [{"id": item["Target"]["Id"], "port": item["Target"]["Port"], **item["TargetHealth"]} for item in answer]
