"""A cluster, a network with a way out and a load balancer with two colours, for tests of ECS services."""

import json

from support import FrozenTest, make_network

CLUSTER = "order-api"
CONTAINER = "order-api"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class EcsStage:
    """What a service needs, in one sandbox; made once per test class."""

    def __init__(self, client) -> None:
        self.ecs = client("ecs")
        self.elbv2 = client("elbv2")
        self.ec2 = client("ec2")
        self.iam = client("iam")
        self.cloudwatch = client("cloudwatch")
        self.network = make_network(self.ec2)
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.network["vpc"])
        table = self.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [self.network["vpc"]]}])["RouteTables"][0]
        self.ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        self.iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
        self.ecs.create_cluster(clusterName=CLUSTER, capacityProviders=["FARGATE", "FARGATE_SPOT"])
        self.role = self.iam.create_role(RoleName="ecs-lb", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        balancer = self.elbv2.create_load_balancer(Name="order-api", Subnets=self.network["subnets"])["LoadBalancers"][0]
        self.balancer = balancer["LoadBalancerArn"]
        self._ports = iter(range(8000, 9000))

    def task_definition(self, tag: str = "1", family: str = "order-api") -> str:
        """Registers a revision whose image behaves as its tag says, and returns its ARN."""
        return self.ecs.register_task_definition(
            family=family,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[{"name": CONTAINER, "image": f"order-api:{tag}", "portMappings": [{"containerPort": 8080}]}],
        )["taskDefinition"]["taskDefinitionArn"]

    def target_group(self, name: str, **fields) -> str:
        """Makes a target group whose targets are healthy or not within 10 seconds, and drain in 30."""
        group = self.elbv2.create_target_group(
            **{
                "Name": name,
                "Protocol": "HTTP",
                "Port": 8080,
                "VpcId": self.network["vpc"],
                "TargetType": "ip",
                "HealthCheckIntervalSeconds": 5,
                "HealthCheckTimeoutSeconds": 2,
                "HealthyThresholdCount": 2,
                "UnhealthyThresholdCount": 2,
                **fields,
            }
        )["TargetGroups"][0]["TargetGroupArn"]
        attribute = {"Key": "deregistration_delay.timeout_seconds", "Value": "30"}
        self.elbv2.modify_target_group_attributes(TargetGroupArn=group, Attributes=[attribute])
        return group

    def rule(self, *weights: tuple[str, int]) -> str:
        """Makes a rule of a listener of its own that splits requests so, and returns its ARN."""
        action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
        listener = self.elbv2.create_listener(
            LoadBalancerArn=self.balancer, Protocol="HTTP", Port=next(self._ports), DefaultActions=[action]
        )["Listeners"][0]["ListenerArn"]
        groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights]
        return self.elbv2.create_rule(
            ListenerArn=listener,
            Priority=10,
            Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
            Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}],
        )["Rules"][0]["RuleArn"]

    def colours(self, name: str) -> dict:
        """Makes the two groups and the two rules of a blue/green service."""
        blue, green = self.target_group(f"{name}-blue"), self.target_group(f"{name}-green")
        return {
            "blue": blue,
            "green": green,
            "production": self.rule((blue, 100), (green, 0)),
            "test": self.rule((blue, 100), (green, 0)),
        }

    def load_balancer(self, colours: dict) -> dict:
        """The ``loadBalancers`` entry for two colours."""
        return {
            "targetGroupArn": colours["blue"],
            "containerName": CONTAINER,
            "containerPort": 8080,
            "advancedConfiguration": {
                "alternateTargetGroupArn": colours["green"],
                "productionListenerRule": colours["production"],
                "testListenerRule": colours["test"],
                "roleArn": self.role,
            },
        }

    def request(self, name: str, definition: str, count: int = 2, **fields) -> dict:
        """The arguments of CreateService."""
        awsvpc = {"subnets": self.network["subnets"], "securityGroups": [self.network["group"]], "assignPublicIp": "ENABLED"}
        return {
            "cluster": CLUSTER,
            "serviceName": name,
            "taskDefinition": definition,
            "desiredCount": count,
            "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": awsvpc},
            **fields,
        }

    def service(self, name: str) -> dict:
        """The service as DescribeServices shows it."""
        return self.ecs.describe_services(cluster=CLUSTER, services=[name])["services"][0]

    def events(self, name: str) -> list[str]:
        """What the service's events say, newest first, without its name."""
        return [event["message"].partition(") ")[2] for event in self.service(name)["events"]]

    def deployment(self, name: str, index: int = 0) -> dict:
        """A service deployment, the newest one unless told otherwise."""
        briefs = self.ecs.list_service_deployments(cluster=CLUSTER, service=name)["serviceDeployments"]
        arn = briefs[index]["serviceDeploymentArn"]
        return self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]

    def weights(self, rule: str) -> dict[str, int]:
        """How a rule splits its requests, by target group."""
        action = self.elbv2.describe_rules(RuleArns=[rule])["Rules"][0]["Actions"][0]
        return {group["TargetGroupArn"]: group["Weight"] for group in action["ForwardConfig"]["TargetGroups"]}

    def split(self, rule: str, colours: dict) -> tuple[int, int]:
        """The weights of blue and green in a rule."""
        weights = self.weights(rule)
        return weights[colours["blue"]], weights[colours["green"]]

    def healthy(self, group: str) -> int:
        """How many targets of a group are healthy."""
        health = self.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return sum(target["TargetHealth"]["State"] == "healthy" for target in health)


class EcsTest(FrozenTest):
    """A test case with an `EcsStage` in which everything is ready, and steps through time."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.stage = EcsStage(cls.client)
        cls.ecs = cls.stage.ecs
        cls.server.control("clock", {"advance": 300})

    def create(self, name: str, definition: str, count: int = 2, **fields) -> dict:
        """Creates a service and lets its first deployment end."""
        self.ecs.create_service(**self.stage.request(name, definition, count, **fields))
        self.until_status(name, "SUCCESSFUL")
        return self.stage.service(name)

    def update(self, name: str, **fields) -> dict:
        """Calls UpdateService."""
        return self.ecs.update_service(cluster=CLUSTER, service=name, **fields)["service"]

    def until(self, condition, meanwhile=lambda: None, limit: float = 1800.0, step: float = 5.0) -> float:
        """Lets time pass, in steps, until the condition holds; returns how much. ``meanwhile`` is called at every step."""
        passed = 0.0
        while True:
            meanwhile()
            if condition():
                return passed
            self.assertLess(passed, limit, "it did not come")
            self.advance(step)
            passed += step

    def until_stage(self, name: str, stage: str, meanwhile=lambda: None, step: float = 5.0) -> None:
        """Lets time pass until the newest deployment is in a stage."""
        self.until(lambda: self.stage.deployment(name).get("lifecycleStage") == stage, meanwhile, step=step)

    def until_status(self, name: str, status: str, meanwhile=lambda: None) -> dict:
        """Lets time pass until the newest deployment has a status; returns the deployment."""
        self.until(lambda: self.stage.deployment(name)["status"] == status, meanwhile)
        return self.stage.deployment(name)
