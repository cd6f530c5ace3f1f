"""The tasks of services: started, spread, registered, replaced, and told of in events (field guide section 4)."""

import unittest
from urllib.request import Request, urlopen

from ecs_support import CLUSTER, CONTAINER
from support import FrozenTest, SandboxTest
from task_world import DEPROVISION, START, TaskWorld

#: Of `EcsStage.target_group`: the registration and two checks, from the end of the pull on.
REGISTERED, CHECKED, DRAINED = 5, 10, 30
STOPPING = 10


class FleetTest(FrozenTest):
    """A world, and services in it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world = TaskWorld(cls.client)
        cls.ecs = cls.world.ecs
        # The cluster and the load balancer are ready.
        cls.server.control("clock", {"advance": 200})

    def service(self, name, definition, count=2, **fields):
        """Creates a service, which starts its tasks at the next request."""
        self.ecs.create_service(**self.world.request(name, definition, count, **fields))
        self.advance(0)

    def behind(self, name, **fields):
        """A target group in use, and the ``loadBalancers`` of a service behind it."""
        group = self.world.target_group(name, **fields)
        self.world.rule((group, 100))
        return group, [{"targetGroupArn": group, "containerName": CONTAINER, "containerPort": 8080}]

    def resize(self, name, count):
        self.ecs.update_service(cluster=CLUSTER, service=name, desiredCount=count)
        self.advance(0)

    def started(self, name):
        """How many tasks each start has started, oldest first."""
        events = reversed(self.world.events(name))
        return [int(event.split()[2]) for event in events if event.startswith("has started ")]

    def remove(self, name):
        self.ecs.delete_service(cluster=CLUSTER, service=name, force=True)


class ScheduleTest(FleetTest):
    def test_what_its_tasks_are(self):
        tags = [{"key": "Project", "value": "order-api"}]
        self.service("identity", self.world.revision(), 3, tags=tags, propagateTags="SERVICE", enableECSManagedTags=True)
        tasks = self.world.tasks_of("identity")
        deployment = self.world.service("identity")["deployments"][0]["id"]
        self.assertTrue(deployment.startswith("ecs-svc/"))
        self.assertEqual({"us-east-1a", "us-east-1b", "us-east-1c"}, {task["availabilityZone"] for task in tasks})
        managed = {"aws:ecs:serviceName": "identity", "aws:ecs:clusterName": CLUSTER}
        for task in tasks:
            self.assert_echoes({"startedBy": deployment, "group": "service:identity", "launchType": "FARGATE"}, task)
            self.assertEqual({"Project": "order-api", **managed}, {tag["key"]: tag["value"] for tag in task["tags"]})
        identifiers = " ".join(f"(task {task['taskArn'].rpartition('/')[2]})" for task in tasks)
        self.assertIn(f"has started 3 tasks: {identifiers}.", self.world.events("identity"))

    def test_a_stopped_task_is_replaced(self):
        self.service("replaced", self.world.revision())
        self.advance(START)
        victim = self.world.tasks_of("replaced")[0]["taskArn"]
        self.ecs.stop_task(cluster=CLUSTER, task=victim, reason="test")
        self.assertEqual(2, len(self.world.tasks_of("replaced")))
        self.advance(START + STOPPING + DEPROVISION)
        running = self.world.tasks_of("replaced")
        self.assertEqual(["RUNNING"] * 2, [task["lastStatus"] for task in running])
        self.assertNotIn(victim, [task["taskArn"] for task in running])
        stopped = self.world.tasks_of("replaced", "STOPPED")
        self.assertEqual([(victim, "UserInitiated", "test")], [(t["taskArn"], t["stopCode"], t["stoppedReason"]) for t in stopped])
        self.assertEqual(0, self.world.service("replaced")["deployments"][0]["failedTasks"])

    def test_scaling_in_drains_first(self):
        group, balancers = self.behind("drains")
        self.service("drains", self.world.revision(), 4, loadBalancers=balancers)
        self.advance(START + REGISTERED + CHECKED)
        self.assertEqual([("healthy", None)] * 4, self.world.targets(group))
        self.resize("drains", 3)
        victim = self.world.tasks_of("drains", "STOPPED")[0]
        # The zone with two tasks gives one up.
        self.assertEqual(("us-east-1a", "DEACTIVATING"), (victim["availabilityZone"], victim["lastStatus"]))
        self.assertEqual("RUNNING", victim["containers"][0]["lastStatus"])
        self.assertIn(("draining", "Target.DeregistrationInProgress"), self.world.targets(group))
        identifier = victim["taskArn"].rpartition("/")[2]
        events = self.world.events("drains")
        self.assertIn("has begun draining connections on 1 tasks.", events)
        self.assertIn(f"deregistered 1 targets in (target-group {group})", events)
        self.assertIn(f"registered 4 targets in (target-group {group})", events)
        self.assertFalse([event for event in events if event.startswith("has stopped")])
        self.advance(DRAINED)
        self.assertEqual("STOPPING", self.world.task(victim["taskArn"])["lastStatus"])
        self.assertIn(f"has stopped 1 running tasks: (task {identifier}).", self.world.events("drains"))
        self.assertEqual(3, len(self.world.targets(group)))
        self.advance(STOPPING + DEPROVISION)
        victim = self.world.task(victim["taskArn"])
        deployment = self.world.service("drains")["deployments"][0]["id"]
        reason = f"Scaling activity initiated by (deployment {deployment})"
        self.assert_echoes({"lastStatus": "STOPPED", "stopCode": "ServiceSchedulerInitiated", "stoppedReason": reason}, victim)

    def test_scaling_in_keeps_the_zones_even(self):
        self.service("zones", self.world.revision(), 4)
        self.advance(START)
        oldest = self.world.tasks_of("zones")[0]
        self.assertEqual("us-east-1a", oldest["availabilityZone"])
        self.ecs.stop_task(cluster=CLUSTER, task=oldest["taskArn"])
        self.advance(START + STOPPING + DEPROVISION)
        # The two of one zone are the newest now; unchecked tasks count as healthy 40 s after their start.
        self.advance(40)
        zones = [task["availabilityZone"][-1] for task in self.world.tasks_of("zones")]
        self.assertEqual(["b", "c", "a", "a"], zones)
        self.resize("zones", 3)
        zones = [task["availabilityZone"][-1] for task in self.world.tasks_of("zones")]
        self.assertEqual(["b", "c", "a"], zones)

    def test_capacity_providers_share_the_tasks(self):
        strategy = [{"capacityProvider": "FARGATE", "weight": 1, "base": 0}, {"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]
        request = self.world.request("shared", self.world.revision(), 4, capacityProviderStrategy=strategy)
        del request["launchType"]
        self.ecs.create_service(**request)
        providers = [task["capacityProviderName"] for task in self.world.tasks_of("shared")]
        self.assertEqual((2, 2), (providers.count("FARGATE"), providers.count("FARGATE_SPOT")))

    def test_a_deleted_target_group_takes_no_targets(self):
        group, balancers = self.behind("vanishes")
        self.service("vanishes", self.world.revision(), 1, loadBalancers=balancers)
        rule = next(
            rule["RuleArn"]
            for listener in self.world.elbv2.describe_listeners(LoadBalancerArn=self.world.balancer)["Listeners"]
            for rule in self.world.elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
            if rule["Actions"][0].get("TargetGroupArn") == group
        )
        self.world.elbv2.delete_rule(RuleArn=rule)
        self.world.elbv2.delete_target_group(TargetGroupArn=group)
        self.advance(START)
        self.assertEqual("RUNNING", self.world.tasks_of("vanishes")[0]["lastStatus"])
        self.assertTrue(any(event.startswith(f"failed to register targets in (target-group {group})") for event in self.world.events("vanishes")))


class FailureTest(FleetTest):
    def test_pauses_grow(self):
        # Two tasks fail 35 s after their start; the pauses after it are 10, 20, 40, 80 ... s.
        self.service("absent", self.world.revision(":absent"))
        for attempt, pause in enumerate((10, 20, 40, 80, 160, 300, 300), start=1):
            self.assertEqual([2] * attempt, self.started("absent"))
            self.advance(35)
            self.assertEqual(2 * attempt, self.world.service("absent")["deployments"][0]["failedTasks"])
            told = [event for event in self.world.events("absent") if "unable to consistently start tasks successfully" in event]
            self.assertEqual(max(attempt - 2, 0), len(told))
            self.advance(pause - 1)
            self.assertEqual([2] * attempt, self.started("absent"))
            self.advance(1)
        reason = self.world.tasks_of("absent", "STOPPED")[-1]["stoppedReason"]
        self.assertIn("CannotPullContainerError", reason)
        # The image comes: the next tasks stay.
        self.world.push("absent")
        self.advance(START)
        self.assertEqual(2, self.world.service("absent")["runningCount"])

    def test_crashes(self):
        self.world.push("1-crash")
        self.service("crashes", self.world.revision(":1-crash"), 1)
        self.advance(START)
        self.assertEqual(1, self.world.service("crashes")["runningCount"])
        self.advance(5)
        service = self.world.service("crashes")
        self.assertEqual((0, 1), (service["runningCount"], service["deployments"][0]["failedTasks"]))
        self.advance(10)
        self.assertEqual([1, 1], self.started("crashes"))

    def test_unhealthy_targets(self):
        self.world.push("1-unhealthy")
        group, balancers = self.behind("unhealthy")
        # Two failed checks, 5 s apart, after the registration.
        failed = 15 + 20 + REGISTERED + 10
        for name, grace in (("unhealthy", 0), ("graced", 60)):
            self.service(name, self.world.revision(":1-unhealthy"), 1, loadBalancers=balancers, healthCheckGracePeriodSeconds=grace)
            task = self.world.tasks_of(name)[0]["taskArn"]
            self.advance(failed)
            if grace:
                self.assertIn(("unhealthy", "Target.ResponseCodeMismatch"), self.world.targets(group))
                self.advance(START + grace - failed - 1)
                self.assertEqual("RUNNING", self.world.task(task)["desiredStatus"])
                self.advance(1)
            self.assert_echoes(
                {
                    "desiredStatus": "STOPPED",
                    "stopCode": "ServiceSchedulerInitiated",
                    "stoppedReason": f"Task failed ELB health checks in (target-group {group})",
                },
                self.world.task(task),
            )
            reason = "Health checks failed with these codes: [503]"
            message = f"(task {task.rpartition('/')[2]}) (port 8080) is unhealthy in (target-group {group}) due to (reason {reason})."
            self.assertIn(message, self.world.events(name))
            self.assertEqual(1, self.world.service(name)["deployments"][0]["failedTasks"])
            self.remove(name)

    def test_unhealthy_containers(self):
        self.world.push("2-unhealthy")
        check = {"command": ["CMD", "true"], "interval": 10, "retries": 2}
        self.service("sick", self.world.revision(":2-unhealthy", healthCheck=check), 1)
        task = self.world.tasks_of("sick")[0]["taskArn"]
        self.advance(START + 19)
        self.assertEqual("RUNNING", self.world.task(task)["desiredStatus"])
        self.advance(1)
        self.assertEqual("Task failed container health checks", self.world.task(task)["stoppedReason"])
        self.assertIn(f"(task {task.rpartition('/')[2]}) failed container health checks.", self.world.events("sick"))

    def test_slow_start(self):
        self.world.push("1-slow")
        group, balancers = self.behind("slow")
        self.service("slow", self.world.revision(":1-slow"), 1, loadBalancers=balancers)
        self.advance(START + 240 + CHECKED - 1)
        self.assertEqual([("initial", "Elb.InitialHealthChecking")], self.world.targets(group))
        self.advance(1)
        self.assertEqual([("healthy", None)], self.world.targets(group))

    def test_a_role_that_nobody_can_assume(self):
        role = "arn:aws:iam::123456789012:role/absent"
        self.service("role", self.world.revision(executionRoleArn=role), 1)
        self.advance(START)
        messages = [event for event in self.world.events("role") if event.startswith("failed to launch a task with (error ECS was unable")]
        self.assertIn(f"'{role}'", messages[0])
        # It comes, and the service gets over it.
        self.world.make_role("absent")
        self.advance(START + 60)
        self.assertEqual(1, self.world.service("role")["runningCount"])


class ResetTest(FleetTest):
    def test_a_reset_account_has_no_tasks_to_replace(self):
        self.service("forgotten", self.world.revision(":absent"), 1)
        self.advance(START)
        with urlopen(Request(f"{self.server.endpoint}/moto-api/reset", method="POST")):
            pass
        self.advance(600)
        self.assertEqual([], self.ecs.list_clusters()["clusterArns"])


class InstantFailureTest(SandboxTest):
    def test_tasks_that_fail_for_ever_are_few_and_get_their_chance(self):
        world = TaskWorld(self.client)
        world.ecs.create_service(**world.request("absent", world.revision(":absent"), 1))
        failed = [world.service("absent")["deployments"][0]["failedTasks"] for _ in range(3)]
        # Those with growing pauses, then one more at every request.
        self.assertEqual([6, 7, 8], failed)
        world.push("absent")
        world.service("absent")
        service = world.service("absent")
        self.assertEqual((1, "COMPLETED"), (service["runningCount"], service["deployments"][0]["rolloutState"]))


class QuotaTest(FleetTest):
    OPTIONS = ("--control", "--quota", "fargate-vcpus=1")

    def test_no_room_for_more_vcpus(self):
        # Each task takes half a vCPU.
        self.service("full", self.world.revision(), 3)
        self.advance(START)
        self.assertEqual(2, self.world.service("full")["runningCount"])
        refusal = "was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently."
        self.assertIn(refusal, self.world.events("full"))
        answer = self.ecs.run_task(
            cluster=CLUSTER, taskDefinition=self.world.revision(), launchType="FARGATE", networkConfiguration=self.world.awsvpc()
        )
        self.assertEqual([], answer["tasks"])
        self.assertIn("limit on the number of vCPUs", answer["failures"][0]["reason"])
        # Spot has a quota of its own.
        spot = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
        answer = self.ecs.run_task(
            cluster=CLUSTER, taskDefinition=self.world.revision(), capacityProviderStrategy=spot, networkConfiguration=self.world.awsvpc()
        )
        self.assertEqual(1, len(answer["tasks"]))
        self.resize("full", 1)
        self.advance(STOPPING + DEPROVISION)
        self.resize("full", 2)
        self.advance(START + 300)
        self.assertEqual(2, self.world.service("full")["runningCount"])


class FreshRoleTest(FleetTest):
    def test_a_role_too_new_for_ecs(self):
        self.server.control("consistency", {"lag": 60})
        self.addCleanup(self.server.control, "consistency", {"lag": 0})
        role = self.world.make_role("fresh")
        definition = self.world.revision(taskRoleArn=role)
        arn = self.world.run(definition)
        self.advance(15 + DEPROVISION)
        self.assertIn(f"ECS was unable to assume the role '{role}'", self.world.task(arn)["stoppedReason"])
        self.advance(60)
        arn = self.world.run(definition)
        self.advance(START)
        self.assertEqual("RUNNING", self.world.task(arn)["lastStatus"])


if __name__ == "__main__":
    unittest.main()
