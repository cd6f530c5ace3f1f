"""The life of tasks, and what keeps them from starting (field guide sections 3 and 4)."""

import json
import unittest

from ecs_support import CLUSTER, CONTAINER
from support import FrozenTest
from task_world import DEPROVISION, LOG_GROUP, REPOSITORY_URL, START, TaskWorld


class TaskTest(FrozenTest):
    """A world, and a closer look at one task."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world = TaskWorld(cls.client)
        cls.ecs = cls.world.ecs
        cls.server.control("clock", {"advance": 60})

    def status(self, arn):
        return self.world.task(arn)["lastStatus"]

    def stopped(self, definition, seconds=START, **fields):
        """Runs a task, waits and returns it, which must have stopped by then."""
        arn = self.world.run(definition, **fields)
        self.advance(seconds + DEPROVISION)
        task = self.world.task(arn)
        self.assertEqual("STOPPED", task["lastStatus"], task)
        return task

    def interface_of(self, task):
        details = {item["name"]: item["value"] for item in task["attachments"][0]["details"]}
        return details["networkInterfaceId"]

    def messages(self, task):
        stream = f"ecs/{CONTAINER}/{task['taskArn'].rpartition('/')[2]}"
        events = self.world.logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream)["events"]
        return [json.loads(event["message"])["message"] for event in events]


class LifeTest(TaskTest):
    def test_from_provisioning_to_running(self):
        arn = self.world.run(self.world.revision(), startedBy="somebody", tags=[{"key": "a", "value": "1"}])
        task = self.world.task(arn)
        self.assert_echoes(
            {
                "lastStatus": "PROVISIONING",
                "desiredStatus": "RUNNING",
                "healthStatus": "UNKNOWN",
                "launchType": "FARGATE",
                "platformVersion": "1.4.0",
                "group": "family:order-api",
                "startedBy": "somebody",
                "cpu": "512",
                "memory": "1024",
                "tags": [{"key": "a", "value": "1"}],
                "availabilityZone": "us-east-1a",
            },
            task,
        )
        self.assertEqual("ATTACHING", task["attachments"][0]["status"])
        self.advance(15)
        task = self.world.task(arn)
        self.assertEqual(("PENDING", "ATTACHED"), (task["lastStatus"], task["attachments"][0]["status"]))
        self.assertLessEqual(task["createdAt"], task["connectivityAt"])
        self.assertIn("pullStartedAt", task)
        self.advance(20)
        task = self.world.task(arn)
        self.assertEqual("ACTIVATING", task["lastStatus"])
        self.assertLessEqual(task["pullStartedAt"], task["pullStoppedAt"])
        self.assertNotIn("startedAt", task)
        self.advance(5)
        task = self.world.task(arn)
        self.assertEqual("RUNNING", task["lastStatus"])
        self.assertLessEqual(task["pullStoppedAt"], task["startedAt"])
        container = task["containers"][0]
        self.assertEqual((CONTAINER, "RUNNING", REPOSITORY_URL + ":1"), (container["name"], container["lastStatus"], container["image"]))
        digest = self.world.ecr.describe_images(repositoryName="order-api", imageIds=[{"imageTag": "1"}])
        self.assertEqual(digest["imageDetails"][0]["imageDigest"], container["imageDigest"])
        self.assertEqual(["starting", "listening on 8080"], self.messages(task))

    def test_its_interface(self):
        arn = self.world.run(self.world.revision())
        self.advance(START)
        task = self.world.task(arn)
        details = {item["name"]: item["value"] for item in task["attachments"][0]["details"]}
        interface = self.world.ec2.describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])["NetworkInterfaces"][0]
        self.assertEqual(f"arn:aws:ecs:us-east-1:123456789012:attachment/{task['attachments'][0]['id']}", interface["Description"])
        self.assertEqual(details["subnetId"], interface["SubnetId"])
        self.assertEqual(details["privateIPv4Address"], interface["PrivateIpAddress"])
        self.assertEqual(details["privateIPv4Address"], task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"])
        self.assertEqual([self.world.network["group"]], [group["GroupId"] for group in interface["Groups"]])
        self.assert_refused("DependencyViolation", self.world.ec2.delete_subnet, SubnetId=details["subnetId"])

    def test_stopped_by_a_user(self):
        arn = self.world.run(self.world.revision())
        self.advance(START)
        interface = self.interface_of(self.world.task(arn))
        task = self.ecs.stop_task(cluster=CLUSTER, task=arn, reason="not needed")["task"]
        self.assertEqual(("STOPPED", "STOPPING"), (task["desiredStatus"], task["lastStatus"]))
        self.assertEqual("RUNNING", task["containers"][0]["lastStatus"])
        self.advance(10)
        task = self.world.task(arn)
        self.assertEqual(("DEPROVISIONING", "STOPPED", 0), (task["lastStatus"], task["containers"][0]["lastStatus"], task["containers"][0]["exitCode"]))
        self.world.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])
        self.advance(DEPROVISION)
        task = self.world.task(arn)
        self.assert_echoes({"lastStatus": "STOPPED", "stopCode": "UserInitiated", "stoppedReason": "not needed"}, task)
        self.assertLessEqual(task["stoppingAt"], task["executionStoppedAt"])
        self.assertLessEqual(task["executionStoppedAt"], task["stoppedAt"])
        missing = self.world.ec2.describe_network_interfaces
        self.assert_refused("InvalidNetworkInterfaceID.NotFound", missing, NetworkInterfaceIds=[interface])
        # It can be described for an hour.
        self.advance(3599)
        self.assertEqual("STOPPED", self.status(arn))
        self.advance(1)
        answer = self.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn])
        self.assertEqual(([], [{"arn": arn, "reason": "MISSING"}]), (answer["tasks"], answer["failures"]))

    def test_stopped_before_it_ran(self):
        arn = self.world.run(self.world.revision())
        self.ecs.stop_task(cluster=CLUSTER, task=arn)
        self.assertEqual("DEPROVISIONING", self.status(arn))
        self.advance(DEPROVISION)
        task = self.world.task(arn)
        self.assertEqual(("STOPPED", "Task stopped by user"), (task["lastStatus"], task["stoppedReason"]))
        self.assertNotIn("exitCode", task["containers"][0])
        self.assertNotIn("startedAt", task)

    def test_stopping_what_is_not_there(self):
        error = self.assert_refused("InvalidParameterException", self.ecs.stop_task, cluster=CLUSTER, task="0" * 32)
        self.assertIn("The referenced task was not found.", str(error))
        self.assert_refused("ClusterNotFoundException", self.ecs.stop_task, cluster="nowhere", task="0" * 32)

    def test_lists(self):
        running, ended = (self.world.run(self.world.revision(), startedBy="lists") for _ in range(2))
        self.ecs.stop_task(cluster=CLUSTER, task=ended)

        def listed(**fields):
            return self.ecs.list_tasks(cluster=CLUSTER, startedBy="lists", **fields)["taskArns"]

        self.assertEqual([running], listed())
        self.assertEqual([ended], listed(desiredStatus="STOPPED"))
        self.assertEqual([running], listed(family="order-api", launchType="FARGATE"))
        self.assertEqual([], listed(family="other"))
        self.assertEqual([], listed(launchType="EC2"))
        self.assert_refused("ServiceNotFoundException", listed, serviceName="nowhere")

    def test_health_of_a_container(self):
        check = {"command": ["CMD-SHELL", "true"], "interval": 10, "retries": 3, "startPeriod": 20}
        self.world.push("2-unhealthy", "2")
        well = self.world.run(self.world.revision(healthCheck=check))
        sick = self.world.run(self.world.revision(":2-unhealthy", healthCheck=check))
        slow = self.world.run(self.world.revision("nginx:slow", healthCheck=check))
        plain = self.world.run(self.world.revision())
        expected = {
            START + 9: ["UNKNOWN", "UNKNOWN", "UNKNOWN"],
            START + 10: ["HEALTHY", "UNKNOWN", "UNKNOWN"],
            START + 49: ["HEALTHY", "UNKNOWN", "UNKNOWN"],
            START + 50: ["HEALTHY", "UNHEALTHY", "UNKNOWN"],
            START + 250: ["HEALTHY", "UNHEALTHY", "HEALTHY"],
        }
        now = 0
        for moment, states in expected.items():
            self.advance(moment - now)
            now = moment
            tasks = [self.world.task(arn) for arn in (well, sick, slow)]
            self.assertEqual(states, [task["healthStatus"] for task in tasks], moment)
            self.assertEqual(states, [task["containers"][0]["healthStatus"] for task in tasks], moment)
        self.assertEqual("UNKNOWN", self.world.task(plain)["healthStatus"])

    def test_a_crash(self):
        self.world.push("3-crash")
        task = self.stopped(self.world.revision(":3-crash"), START + 5)
        self.assert_echoes({"stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited"}, task)
        self.assertEqual(1, task["containers"][0]["exitCode"])
        self.assertIn("exiting with code 1", self.messages(task)[-1])
        self.assertNotIn("listening on 8080", self.messages(task))

    def test_a_digest_behaves_as_any_of_its_tags(self):
        digest = self.world.push("4", "4-crash")
        self.assertEqual(1, self.stopped(self.world.revision(f"@{digest}"), START + 5)["containers"][0]["exitCode"])
        by_tag = self.world.run(self.world.revision(":4"))
        self.advance(START + 5)
        self.assertEqual("RUNNING", self.status(by_tag))

    def test_spread_over_subnets_and_providers(self):
        arns = self.ecs.run_task(
            cluster=CLUSTER,
            taskDefinition=self.world.revision(),
            count=6,
            networkConfiguration=self.world.awsvpc(),
            capacityProviderStrategy=[
                {"capacityProvider": "FARGATE", "base": 2, "weight": 1},
                {"capacityProvider": "FARGATE_SPOT", "weight": 3},
            ],
        )["tasks"]
        zones = [task["availabilityZone"] for task in arns]
        self.assertEqual([2, 2, 2], [zones.count(f"us-east-1{zone}") for zone in "abc"])
        providers = [task["capacityProviderName"] for task in arns]
        self.assertEqual((3, 3), (providers.count("FARGATE"), providers.count("FARGATE_SPOT")))


class ObstacleTest(TaskTest):
    def reason(self, definition, seconds=START, **fields):
        task = self.stopped(definition, seconds, **fields)
        self.assertEqual("TaskFailedToStart", task["stopCode"])
        self.assertNotIn("startedAt", task)
        return task["stoppedReason"]

    def test_image(self):
        for image in (":absent", "@sha256:" + "0" * 64, REPOSITORY_URL.replace("order-api", "absent") + ":1"):
            name = REPOSITORY_URL + image if image[0] in ":@" else image
            task = self.stopped(self.world.revision(image))
            expected = f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {name}: {name}: not found"
            self.assertEqual(expected, task["stoppedReason"])
            self.assertEqual(expected, task["containers"][0]["reason"])
            self.assertNotIn("exitCode", task["containers"][0])

    def test_roles(self):
        self.world.make_role("other-trust", "ec2.amazonaws.com")
        prefix = "arn:aws:iam::123456789012:role/"
        for field in ("executionRoleArn", "taskRoleArn"):
            for role in ("absent", "other-trust"):
                reason = self.reason(self.world.revision(**{field: prefix + role}))
                self.assertTrue(reason.startswith(f"ECS was unable to assume the role '{prefix}{role}' that was provided for this task."), reason)

    def test_secrets(self):
        auth = "ResourceInitializationError: unable to pull secrets or registry auth: "

        def with_secret(source):
            return self.reason(self.world.revision(secrets=[{"name": "A", "valueFrom": source}]))

        absent = "arn:aws:secretsmanager:us-east-1:123456789012:secret:absent-AbCdEf"
        for source in (absent, absent + ":username::"):
            reason = with_secret(source)
            self.assertTrue(reason.startswith(auth), reason)
            self.assertIn(f"failed to fetch secret {absent} from secrets manager: ResourceNotFoundException", reason)
        self.assertIn("did not contain json key password", with_secret(self.world.secret + ":password::"))
        reason = with_secret("/absent/parameter")
        self.assertTrue(reason.startswith(auth), reason)
        self.assertIn("Invalid ssm parameters: /absent/parameter", reason)
        self.client("ssm").put_parameter(Name="/present", Value="1", Type="String")
        sources = ["/present", "arn:aws:ssm:us-east-1:123456789012:parameter/present", self.world.secret + ":username::"]
        secrets = [{"name": f"A{index}", "valueFrom": source} for index, source in enumerate(sources)]
        arn = self.world.run(self.world.revision(secrets=secrets))
        self.advance(START)
        self.assertEqual("RUNNING", self.status(arn))

    def test_log_group(self):
        reason = self.reason(self.world.revision(logConfiguration=self.world.log_configuration("/absent")))
        self.assertTrue(reason.startswith("ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times:"), reason)
        self.assertIn("ResourceNotFoundException: The specified log group does not exist.", reason)
        created = self.world.log_configuration("/created", **{"awslogs-create-group": "true"})
        self.world.run(self.world.revision(logConfiguration=created))
        self.advance(START)
        groups = self.world.logs.describe_log_groups(logGroupNamePrefix="/created")["logGroups"]
        self.assertEqual(["/created"], [group["logGroupName"] for group in groups])

    def test_no_way_out(self):
        # Behind an internet gateway, only a public address leads out; it is tried for two minutes.
        network = self.world.awsvpc(public=False)
        arn = self.world.run(self.world.revision(), networkConfiguration=network)
        self.advance(15 + 119)
        self.assertEqual("PENDING", self.status(arn))
        self.advance(1)
        reason = self.world.task(arn)["stoppedReason"]
        self.assertTrue(reason.startswith("ResourceInitializationError: unable to pull secrets or registry auth: "), reason)
        self.assertIn('Post "https://api.ecr.us-east-1.amazonaws.com/": dial tcp', reason)
        self.assertIn("i/o timeout", reason)
        secret_only = self.world.revision("nginx")
        self.assertIn("unable to retrieve secret from asm", self.reason(secret_only, 15 + 120, networkConfiguration=network))
        image_only = self.world.revision("nginx", secrets=[])
        self.assertIn("CannotPullContainerError", self.reason(image_only, 15 + 120, networkConfiguration=network))

    def test_ways_out(self):
        ec2 = self.world.ec2
        private, public = self.world.network["subnets"][:2]
        table = ec2.create_route_table(VpcId=self.world.network["vpc"])["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=private)
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        gateway = ec2.create_nat_gateway(SubnetId=public, AllocationId=address)["NatGateway"]["NatGatewayId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway)
        network = self.world.awsvpc([private], public=False)
        # The gateway is pending for 100 s yet, which the task outlives.
        arn = self.world.run(self.world.revision(), networkConfiguration=network)
        self.advance(15 + 20 + 5)
        self.assertEqual("PENDING", self.status(arn))
        self.advance(120)
        self.assertEqual("RUNNING", self.status(arn))
        ec2.delete_nat_gateway(NatGatewayId=gateway)
        self.advance(60)
        self.assertIn("i/o timeout", self.reason(self.world.revision(), 15 + 120, networkConfiguration=network))
        # Endpoints for everything it reads will do as well.
        for service in ("ecr.api", "ecr.dkr", "secretsmanager", "logs"):
            ec2.create_vpc_endpoint(
                VpcId=self.world.network["vpc"],
                VpcEndpointType="Interface",
                ServiceName=f"com.amazonaws.us-east-1.{service}",
                SubnetIds=[private],
            )
        self.advance(5)
        arn = self.world.run(self.world.revision(), networkConfiguration=network)
        self.advance(START)
        self.assertEqual("RUNNING", self.status(arn))


class RegistrationTest(TaskTest):
    def test_what_fargate_lacks(self):
        def refusal(**changes):
            request = {
                "family": "refused",
                "requiresCompatibilities": ["FARGATE"],
                "networkMode": "awsvpc",
                "cpu": "256",
                "memory": "512",
                "containerDefinitions": [{"name": "a", "image": "nginx"}],
                **changes,
            }
            request = {name: value for name, value in request.items() if value is not None}
            return str(self.assert_refused("ClientException", self.ecs.register_task_definition, **request))

        self.assertIn("No Fargate configuration exists for given values", refusal(memory="4096"))
        self.assertIn("'cpu' be defined at the task level", refusal(cpu=None))
        self.assertIn("Invalid 'cpu' setting for task.", refusal(cpu="many"))
        ecr = [{"name": "a", "image": REPOSITORY_URL + ":1"}]
        self.assertIn("execution role ARN to support ECR images", refusal(containerDefinitions=ecr))
        logs = [{"name": "a", "image": "nginx", "logConfiguration": self.world.log_configuration("/a")}]
        self.assertIn("execution role ARN to support log driver awslogs", refusal(containerDefinitions=logs))

    def test_units(self):
        answer = self.ecs.register_task_definition(
            family="units",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="0.5 vCPU",
            memory="1 GB",
            containerDefinitions=[{"name": "a", "image": "nginx"}],
        )["taskDefinition"]
        self.assertEqual(("512", "1024"), (answer["cpu"], answer["memory"]))


if __name__ == "__main__":
    unittest.main()
