"""Blue/green, canary and linear deployments of ECS services, stage by stage."""

import unittest

from ecs_support import CLUSTER, EcsStage, EcsTest
from support import SandboxTest

BLUE_GREEN = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 2}
PAUSE = {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}


class StagesTest(EcsTest):
    def begin(self, name, configuration, count=2):
        """Creates a service, which has green in production if it has tasks, then deploys the next revision."""
        colours = self.stage.colours(name)
        self.create(
            name,
            self.stage.task_definition(),
            count,
            loadBalancers=[self.stage.load_balancer(colours)],
            deploymentConfiguration={**configuration, "bakeTimeInMinutes": 0, "lifecycleHooks": []},
        )
        if count:
            self.assertEqual((0, 100), self.stage.split(colours["production"], colours))
        self.update(name, taskDefinition=self.stage.task_definition(), deploymentConfiguration=configuration)
        return colours

    def splits(self, colours):
        return self.stage.split(colours["production"], colours), self.stage.split(colours["test"], colours)

    def weights_of(self, name):
        deployment = self.stage.deployment(name)
        source, target = deployment["sourceServiceRevisions"][0], deployment["targetServiceRevision"]
        return [
            (revision["requestedProductionTrafficWeight"], revision["requestedTestTrafficWeight"]) for revision in (source, target)
        ]

    def old_serves(self, colours, count=2):
        """To be called at every step: the revision in production has all its targets healthy."""

        def check():
            blue, green = self.stage.split(colours["production"], colours)
            if green:
                self.assertEqual(count, self.stage.healthy(colours["green"]))
            if blue:
                self.assertEqual(count, self.stage.healthy(colours["blue"]))

        return check

    def test_first_deployment_goes_into_the_group_that_does_not_serve(self):
        colours = self.stage.colours("first")
        request = self.stage.request(
            "first",
            self.stage.task_definition(),
            loadBalancers=[self.stage.load_balancer(colours)],
            deploymentConfiguration=BLUE_GREEN,
        )
        created = self.ecs.create_service(**request)["service"]
        self.assertEqual("IN_PROGRESS", created["deployments"][0]["rolloutState"])
        self.until_stage("first", "POST_SCALE_UP")
        self.assertEqual((0, 2), (self.stage.healthy(colours["blue"]), self.stage.healthy(colours["green"])))
        self.assertEqual(((100, 0), (100, 0)), self.splits(colours))
        self.until_status("first", "SUCCESSFUL")
        self.assertEqual(((0, 100), (0, 100)), self.splits(colours))
        action = self.stage.elbv2.describe_rules(RuleArns=[colours["production"]])["Rules"][0]["Actions"][0]
        self.assertNotIn("TargetGroupArn", action)

    def test_blue_green_from_end_to_end(self):
        colours = self.begin("whole", BLUE_GREEN)
        serves = self.old_serves(colours)
        old = self.stage.deployment("whole", 1)["targetServiceRevision"]["arn"]

        self.assertEqual("PRE_SCALE_UP", self.stage.deployment("whole")["lifecycleStage"])
        self.assertEqual((2, 0), (self.stage.service("whole")["runningCount"], self.stage.service("whole")["pendingCount"]))
        self.until_stage("whole", "SCALE_UP", serves)
        self.advance(1)
        service = self.stage.service("whole")
        self.assertEqual((2, 2), (service["runningCount"], service["pendingCount"]))
        self.assertEqual(["PRIMARY", "ACTIVE"], [deployment["status"] for deployment in service["deployments"]])
        self.assertEqual(((0, 100), (0, 100)), self.splits(colours))
        self.assertEqual([(100.0, 100.0), (0.0, 0.0)], self.weights_of("whole"))

        self.until_stage("whole", "POST_SCALE_UP", serves)
        self.assertEqual((2, 2), (self.stage.healthy(colours["blue"]), self.stage.healthy(colours["green"])))
        self.assertEqual(((0, 100), (0, 100)), self.splits(colours))
        self.until_stage("whole", "TEST_TRAFFIC_SHIFT", serves)
        self.assertEqual(((0, 100), (100, 0)), self.splits(colours))
        self.assertEqual([(100.0, 0.0), (0.0, 100.0)], self.weights_of("whole"))
        self.until_stage("whole", "POST_TEST_TRAFFIC_SHIFT", serves)
        self.assertEqual(((0, 100), (100, 0)), self.splits(colours))
        self.until_stage("whole", "PRODUCTION_TRAFFIC_SHIFT", serves)
        self.assertEqual(((100, 0), (100, 0)), self.splits(colours))
        self.assertEqual([(0.0, 0.0), (100.0, 100.0)], self.weights_of("whole"))
        self.until_stage("whole", "POST_PRODUCTION_TRAFFIC_SHIFT", serves)
        self.until_stage("whole", "BAKE_TIME", serves, step=1)
        self.advance(119)
        self.assertEqual("BAKE_TIME", self.stage.deployment("whole")["lifecycleStage"])
        self.assertEqual(2, self.stage.healthy(colours["green"]), "the old tasks are up until the end of the bake time")
        self.assertEqual("IN_PROGRESS", self.stage.service("whole")["deployments"][0]["rolloutState"])
        self.advance(1)
        self.until_stage("whole", "CLEAN_UP", serves)
        deployment = self.until_status("whole", "SUCCESSFUL", serves)

        self.assertEqual(old, deployment["sourceServiceRevisions"][0]["arn"])
        self.assertEqual((0, 2), (self.stage.healthy(colours["green"]), self.stage.healthy(colours["blue"])))
        service = self.stage.service("whole")
        self.assertEqual([("PRIMARY", "COMPLETED")], [(item["status"], item["rolloutState"]) for item in service["deployments"]])
        self.assertEqual(deployment["serviceDeploymentArn"], service["currentServiceDeployment"])
        self.assertEqual([deployment["targetServiceRevision"]["arn"]], [item["arn"] for item in service["currentServiceRevisions"]])
        number = service["deployments"][0]["id"].removeprefix("ecs-svc/")
        self.assertEqual(number, service["currentServiceRevisions"][0]["arn"].rpartition("/")[2])
        events = self.stage.events("whole")
        completed = events.index(f"(deployment {service['deployments'][0]['id']}) deployment completed.")
        self.assertLess(events.index("has reached a steady state."), completed)
        self.assertEqual(colours["blue"], service["loadBalancers"][0]["targetGroupArn"], "the declared groups do not swap")

    def test_canary(self):
        configuration = {
            "strategy": "CANARY",
            "bakeTimeInMinutes": 2,
            "canaryConfiguration": {"canaryPercent": 12.5, "canaryBakeTimeInMinutes": 3},
        }
        colours = self.begin("canary", configuration)
        serves = self.old_serves(colours)
        self.until_stage("canary", "PRODUCTION_TRAFFIC_SHIFT", serves)
        self.assertEqual((125, 875), self.stage.split(colours["production"], colours))
        self.assertEqual([(87.5, 0.0), (12.5, 100.0)], self.weights_of("canary"))
        canary = self.until(lambda: self.stage.split(colours["production"], colours) == (100, 0), serves)
        self.assertEqual(180 + 5, canary, "a stage takes 5 seconds, and then the canary bakes")
        self.assertEqual("PRODUCTION_TRAFFIC_SHIFT", self.stage.deployment("canary")["lifecycleStage"])
        self.until_stage("canary", "BAKE_TIME", serves)
        self.until_stage("canary", "CLEAN_UP", serves)
        self.until_status("canary", "SUCCESSFUL", serves)

    def test_linear(self):
        configuration = {
            "strategy": "LINEAR",
            "bakeTimeInMinutes": 0,
            "linearConfiguration": {"stepPercent": 40.0, "stepBakeTimeInMinutes": 1},
        }
        colours = self.begin("linear", configuration)
        serves = self.old_serves(colours)
        seen = []

        def note():
            serves()
            split = self.stage.split(colours["production"], colours)
            if not seen or seen[-1] != split:
                seen.append(split)

        self.until_status("linear", "SUCCESSFUL", note)
        self.assertEqual([(0, 100), (40, 60), (80, 20), (100, 0)], seen)

    def test_smallest_canary_and_a_hook_before_every_step(self):
        hook = {"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}
        configuration = {
            "strategy": "CANARY",
            "bakeTimeInMinutes": 0,
            "canaryConfiguration": {"canaryPercent": 0.1, "canaryBakeTimeInMinutes": 0},
            "lifecycleHooks": [hook],
        }
        colours = self.begin("steps", configuration)
        for expected in ((0, 100), (1, 999)):
            self.until(lambda: self.waiting_hook("steps") is not None)
            self.assertEqual(expected, self.stage.split(colours["production"], colours))
            self.assertEqual("PRE_PRODUCTION_TRAFFIC_SHIFT", self.stage.deployment("steps")["lifecycleStage"])
            self.answer("steps", "CONTINUE")
        self.until_status("steps", "SUCCESSFUL")
        self.assertEqual((100, 0), self.stage.split(colours["production"], colours))

    def waiting_hook(self, name):
        details = self.stage.deployment(name)["lifecycleHookDetails"]
        return next((detail for detail in details if detail["status"] == "AWAITING_ACTION"), None)

    def answer(self, name, action):
        arn = self.stage.deployment(name)["serviceDeploymentArn"]
        self.ecs.continue_service_deployment(
            serviceDeploymentArn=arn, hookId=self.waiting_hook(name)["hookId"], **({"action": action} if action else {})
        )

    def test_pause_hook_waits_for_an_answer(self):
        colours = self.begin("paused", {**BLUE_GREEN, "lifecycleHooks": [PAUSE]})
        self.until_stage("paused", "POST_TEST_TRAFFIC_SHIFT")
        self.advance(3600)
        deployment = self.stage.deployment("paused")
        hook = deployment["lifecycleHookDetails"][0]
        self.assert_echoes({"targetType": "PAUSE", "status": "AWAITING_ACTION", "timeoutAction": "ROLLBACK"}, hook)
        self.assertEqual(24 * 3600, round((hook["expiresAt"] - deployment["startedAt"]).total_seconds(), -2))
        self.assertEqual(((0, 100), (100, 0)), self.splits(colours))
        arn = deployment["serviceDeploymentArn"]
        go_on = self.ecs.continue_service_deployment
        self.assert_refused("InvalidParameterException", go_on, serviceDeploymentArn=arn, hookId="no")
        unknown = {"serviceDeploymentArn": arn + "x", "hookId": hook["hookId"]}
        self.assert_refused("ServiceDeploymentNotFoundException", go_on, **unknown)
        self.answer("paused", None)
        self.assertEqual("SUCCEEDED", self.stage.deployment("paused")["lifecycleHookDetails"][0]["status"])
        self.assert_refused("InvalidParameterException", go_on, serviceDeploymentArn=arn, hookId=hook["hookId"])
        self.until_stage("paused", "PRODUCTION_TRAFFIC_SHIFT")
        self.assertEqual((100, 0), self.stage.split(colours["production"], colours))

    def test_hook_that_times_out_with_continue_goes_on(self):
        timeout = {"timeoutInMinutes": 10, "action": "CONTINUE"}
        self.begin("lenient", {**BLUE_GREEN, "bakeTimeInMinutes": 0, "lifecycleHooks": [{**PAUSE, "timeoutConfiguration": timeout}]})
        self.until_stage("lenient", "POST_TEST_TRAFFIC_SHIFT")
        self.advance(599)
        self.assertEqual("AWAITING_ACTION", self.stage.deployment("lenient")["lifecycleHookDetails"][0]["status"])
        self.advance(1)
        self.assertEqual("TIMED_OUT", self.stage.deployment("lenient")["lifecycleHookDetails"][0]["status"])
        self.until_status("lenient", "SUCCESSFUL")

    def test_lambda_hooks_succeed_at_once(self):
        function = "arn:aws:lambda:us-east-1:123456789012:function:check"
        hook = {"hookTargetArn": function, "roleArn": self.stage.role, "lifecycleStages": ["POST_SCALE_UP", "TEST_TRAFFIC_SHIFT"]}
        self.begin("lambdas", {**BLUE_GREEN, "bakeTimeInMinutes": 0, "lifecycleHooks": [hook]})
        deployment = self.until_status("lambdas", "SUCCESSFUL")
        expected = {"targetType": "AWS_LAMBDA", "targetArn": function, "status": "SUCCEEDED"}
        self.assert_echoes([expected, expected], deployment["lifecycleHookDetails"])

    def test_desired_count_moves_both_fleets(self):
        colours = self.begin("scaled", {**BLUE_GREEN, "lifecycleHooks": [PAUSE]})
        self.until_stage("scaled", "POST_TEST_TRAFFIC_SHIFT")
        self.update("scaled", desiredCount=3)
        self.until(lambda: self.stage.healthy(colours["blue"]) == 3 and self.stage.healthy(colours["green"]) == 3)
        deployment = self.stage.deployment("scaled")
        self.assertEqual(3, deployment["sourceServiceRevisions"][0]["requestedTaskCount"])
        self.assertEqual(3, deployment["targetServiceRevision"]["runningTaskCount"])
        self.update("scaled", desiredCount=1)
        self.until(lambda: self.stage.service("scaled")["runningCount"] == 2)
        self.answer("scaled", "CONTINUE")
        self.until_status("scaled", "SUCCESSFUL")
        self.assertEqual(1, self.stage.healthy(colours["blue"]))

    def test_new_deployment_supersedes_the_one_under_way(self):
        colours = self.begin("superseded", {**BLUE_GREEN, "lifecycleHooks": [PAUSE]})
        self.until_stage("superseded", "POST_TEST_TRAFFIC_SHIFT")
        self.update("superseded", taskDefinition=self.stage.task_definition(), deploymentConfiguration={"lifecycleHooks": []})
        self.assertEqual("STOPPED", self.stage.deployment("superseded", 1)["status"])
        self.assertEqual("RECONCILE_SERVICE", self.stage.deployment("superseded")["lifecycleStage"])
        serves = self.old_serves(colours)
        self.until(lambda: self.stage.split(colours["test"], colours) == (0, 100), serves)
        self.until_stage("superseded", "SCALE_UP", serves)
        self.assertEqual(0, self.stage.healthy(colours["blue"]))
        self.until_status("superseded", "SUCCESSFUL", serves)
        self.assertEqual(((100, 0), (100, 0)), self.splits(colours))

    def test_tasks_that_are_wanted_later_come_in_both_colours(self):
        colours = self.begin("unparked", {**BLUE_GREEN, "lifecycleHooks": [PAUSE]}, count=0)
        self.assertEqual("POST_TEST_TRAFFIC_SHIFT", self.stage.deployment("unparked")["lifecycleStage"])
        self.update("unparked", desiredCount=2)
        self.until(lambda: self.stage.healthy(colours["blue"]) == 2 and self.stage.healthy(colours["green"]) == 2)
        self.answer("unparked", "CONTINUE")
        self.until_status("unparked", "SUCCESSFUL", self.old_serves(colours))

    def test_service_without_tasks_is_deployed_at_once(self):
        colours = self.stage.colours("parked")
        request = self.stage.request(
            "parked",
            self.stage.task_definition(),
            0,
            loadBalancers=[self.stage.load_balancer(colours)],
            deploymentConfiguration=BLUE_GREEN,
        )
        self.ecs.create_service(**request)
        self.assertEqual("SUCCESSFUL", self.stage.deployment("parked")["status"])
        self.assertEqual("COMPLETED", self.stage.service("parked")["deployments"][0]["rolloutState"])
        self.update("parked", desiredCount=2)
        serving = next(arn for arn, weight in self.stage.weights(colours["production"]).items() if weight)
        self.until(lambda: self.stage.healthy(serving) == 2)
        self.assertEqual(1, len(self.ecs.list_service_deployments(cluster=CLUSTER, service="parked")["serviceDeployments"]))


class RunningClockTest(SandboxTest):
    OPTIONS = ("--speed", "60")

    def test_a_hook_shows_when_it_really_expires(self):
        stage = EcsStage(self.client)
        request = stage.request(
            "parked",
            stage.task_definition(),
            0,
            loadBalancers=[stage.load_balancer(stage.colours("parked"))],
            deploymentConfiguration={**BLUE_GREEN, "lifecycleHooks": [PAUSE]},
        )
        stage.ecs.create_service(**request)
        deployment = stage.deployment("parked")
        expires_in = deployment["lifecycleHookDetails"][0]["expiresAt"] - deployment["createdAt"]
        # A day, at 60 seconds a second; the machine may be slow.
        self.assertAlmostEqual(24 * 60, expires_in.total_seconds(), delta=300)


if __name__ == "__main__":
    unittest.main()
