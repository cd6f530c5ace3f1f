"""What ends a deployment of an ECS service before its time, and what is left of it."""

import json
import unittest
from contextlib import contextmanager

from ecs_support import CLUSTER, TRUST, EcsTest

PAUSE = {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}


class RollbackTest(EcsTest):
    def begin(self, name, tag="1", **configuration):
        """Creates a service that has green in production, then deploys a revision of this tag into blue."""
        colours = self.stage.colours(name)
        self.old = self.stage.task_definition()
        self.create(
            name,
            self.old,
            loadBalancers=[self.stage.load_balancer(colours)],
            deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0},
        )
        self.new = self.stage.task_definition(tag)
        self.update(
            name,
            taskDefinition=self.new,
            deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 10, "lifecycleHooks": [], **configuration},
        )
        return colours

    def alarm(self, name):
        self.stage.cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="n",
            MetricName="m",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=2,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        return {"alarms": {"alarmNames": [name], "enable": True, "rollback": True}}

    def set_alarm(self, name, state="ALARM"):
        self.stage.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")

    def stop(self, name, **fields):
        arn = self.stage.deployment(name)["serviceDeploymentArn"]
        self.assertEqual(arn, self.ecs.stop_service_deployment(serviceDeploymentArn=arn, **fields)["serviceDeploymentArn"])

    def assert_rolled_back(self, name, colours, reason):
        """Asserts that the traffic is back at once, then waits for the end and asserts what the service is again."""
        for rule in ("production", "test"):
            self.assertEqual((0, 100), self.stage.split(colours[rule], colours))
        deployment = self.stage.deployment(name)
        self.assertEqual("ROLLBACK_REQUESTED", deployment["status"])
        self.assertIn(reason, deployment["rollback"]["reason"])
        self.assertEqual(deployment["sourceServiceRevisions"][0]["arn"], deployment["rollback"]["serviceRevisionArn"])
        self.assertIn("startedAt", deployment["rollback"])
        self.assertEqual(2, self.stage.healthy(colours["green"]))

        def serves():
            self.assertEqual(2, self.stage.healthy(colours["green"]))

        self.until_status(name, "ROLLBACK_IN_PROGRESS", serves)
        service = self.stage.service(name)
        states = {item["taskDefinition"]: (item["status"], item["rolloutState"]) for item in service["deployments"]}
        self.assertEqual(("PRIMARY", "IN_PROGRESS"), states[self.old])
        deployment = self.until_status(name, "ROLLBACK_SUCCESSFUL", serves)
        self.assertIn(reason, deployment["statusReason"])
        self.assertEqual(100.0, deployment["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"])
        self.assertEqual(0.0, deployment["targetServiceRevision"]["requestedProductionTrafficWeight"])
        service = self.stage.service(name)
        self.assertEqual(self.old, service["taskDefinition"])
        self.assertEqual(1, len(service["deployments"]))
        expected = {"taskDefinition": self.old, "status": "PRIMARY", "rolloutState": "COMPLETED"}
        self.assert_echoes(expected, service["deployments"][0])
        self.assertEqual((2, 0), (service["runningCount"], self.stage.healthy(colours["blue"])))
        self.assertTrue(any("deployment failed" in event for event in self.stage.events(name)))
        return deployment

    def test_alarm_during_the_bake_time(self):
        colours = self.begin("alarmed", **self.alarm("alarmed"))
        self.until_stage("alarmed", "BAKE_TIME")
        self.assertEqual((100, 0), self.stage.split(colours["production"], colours))
        self.assertEqual("MONITORING", self.stage.deployment("alarmed")["alarms"]["status"])
        self.set_alarm("alarmed", "OK")
        self.assertEqual("IN_PROGRESS", self.stage.deployment("alarmed")["status"])
        self.set_alarm("alarmed")
        deployment = self.assert_rolled_back("alarmed", colours, "alarmed")
        self.assertEqual(
            {"status": "TRIGGERED", "alarmNames": ["alarmed"], "triggeredAlarmNames": ["alarmed"]}, deployment["alarms"]
        )

    def test_alarm_that_is_up_at_the_start_is_ignored_to_the_end(self):
        configuration = self.alarm("early")
        self.set_alarm("early")
        self.begin("early", **configuration)
        self.until_stage("early", "BAKE_TIME")
        self.set_alarm("early", "OK")
        self.set_alarm("early")
        deployment = self.until_status("early", "SUCCESSFUL")
        self.assertEqual(("DISABLED", []), (deployment["alarms"]["status"], deployment["alarms"]["triggeredAlarmNames"]))

    def test_alarm_after_the_end_changes_nothing(self):
        colours = self.begin("late", **self.alarm("late"))
        self.until_status("late", "SUCCESSFUL")
        self.set_alarm("late")
        deployment = self.stage.deployment("late")
        self.assertEqual(("SUCCESSFUL", "MONITORING_COMPLETE"), (deployment["status"], deployment["alarms"]["status"]))
        self.assertEqual((100, 0), self.stage.split(colours["production"], colours))

    def test_alarm_without_rollback_stops_the_deployment_where_it_is(self):
        configuration = self.alarm("halted")
        configuration["alarms"]["rollback"] = False
        colours = self.begin("halted", **configuration)
        self.until_stage("halted", "BAKE_TIME")
        self.set_alarm("halted")
        deployment = self.stage.deployment("halted")
        self.assertEqual("STOPPED", deployment["status"])
        self.assertNotIn("rollback", deployment)
        self.assertIn("Service deployment stopped because of alarms", deployment["statusReason"])
        self.advance(1200)
        self.assertEqual((100, 0), self.stage.split(colours["production"], colours))
        self.assertEqual("FAILED", self.stage.service("halted")["deployments"][0]["rolloutState"])

    def test_hook_answered_with_rollback(self):
        colours = self.begin("rejected", lifecycleHooks=[PAUSE])
        self.until_stage("rejected", "POST_TEST_TRAFFIC_SHIFT")
        deployment = self.stage.deployment("rejected")
        self.ecs.continue_service_deployment(
            serviceDeploymentArn=deployment["serviceDeploymentArn"],
            hookId=deployment["lifecycleHookDetails"][0]["hookId"],
            action="ROLLBACK",
        )
        self.assert_rolled_back("rejected", colours, "POST_TEST_TRAFFIC_SHIFT lifecycle hook(s) failed")
        self.assertEqual("FAILED", self.stage.deployment("rejected")["lifecycleHookDetails"][0]["status"])

    def test_hook_that_nobody_answers(self):
        colours = self.begin("forgotten", lifecycleHooks=[{**PAUSE, "timeoutConfiguration": {"timeoutInMinutes": 30}}])
        self.until_stage("forgotten", "POST_TEST_TRAFFIC_SHIFT")
        self.advance(1799)
        self.assertEqual("IN_PROGRESS", self.stage.deployment("forgotten")["status"])
        self.advance(1)
        self.assert_rolled_back("forgotten", colours, "timed out")
        self.assertEqual("TIMED_OUT", self.stage.deployment("forgotten")["lifecycleHookDetails"][0]["status"])

    def test_unhealthy_tasks_hold_the_deployment_up_until_it_is_stopped(self):
        colours = self.begin("unhealthy", "2-unhealthy")
        self.until_stage("unhealthy", "SCALE_UP")
        self.advance(3600)
        deployment = self.stage.deployment("unhealthy")
        self.assertEqual(("IN_PROGRESS", "SCALE_UP"), (deployment["status"], deployment["lifecycleStage"]))
        self.assertEqual("DISABLED", deployment["deploymentCircuitBreaker"]["status"])
        self.assertGreater(self.stage.service("unhealthy")["deployments"][0]["failedTasks"], 2)
        self.stop("unhealthy", stopType="ROLLBACK")
        self.assert_rolled_back("unhealthy", colours, "user request")

    def test_stage_that_takes_a_day(self):
        self.begin("day", "2-unhealthy")
        self.until_stage("day", "SCALE_UP")
        self.advance(24 * 3600 - 60)
        self.assertEqual("IN_PROGRESS", self.stage.deployment("day")["status"])
        self.advance(60)
        self.assertIn("24 hours", self.stage.deployment("day")["statusReason"])
        self.until_status("day", "ROLLBACK_SUCCESSFUL")

    def test_stop_while_traffic_is_being_shifted(self):
        step = {"linearConfiguration": {"stepPercent": 25.0, "stepBakeTimeInMinutes": 5}}
        colours = self.begin("midway", strategy="LINEAR", **step)
        self.until(lambda: self.stage.split(colours["production"], colours) == (50, 50))
        self.stop("midway")
        self.assert_rolled_back("midway", colours, "user request")

    def test_stop_before_the_superseded_deployment_has_given_its_traffic_back(self):
        colours = self.begin("hasty")
        self.until_stage("hasty", "BAKE_TIME")
        self.update("hasty", taskDefinition=self.stage.task_definition())
        self.until_stage("hasty", "RECONCILE_SERVICE")
        self.assertEqual((100, 0), self.stage.split(colours["production"], colours))
        self.stop("hasty")
        for rule in ("production", "test"):
            self.assertEqual((0, 100), self.stage.split(colours[rule], colours))
        self.until_status("hasty", "ROLLBACK_SUCCESSFUL")
        self.assertEqual((0, 2), (self.stage.healthy(colours["blue"]), self.stage.healthy(colours["green"])))
        self.assertEqual(self.old, self.stage.service("hasty")["taskDefinition"])

    def test_what_is_rolled_back_follows_the_desired_count_no_more(self):
        colours = self.begin("shrunk")
        self.until_stage("shrunk", "BAKE_TIME")
        self.stop("shrunk")
        self.assertIn("stoppedAt", self.stage.deployment("shrunk"))
        self.until_status("shrunk", "ROLLBACK_IN_PROGRESS")
        self.update("shrunk", desiredCount=1)
        self.until_status("shrunk", "ROLLBACK_SUCCESSFUL")
        self.until(lambda: self.stage.service("shrunk")["runningCount"] == 1)
        self.assertEqual((0, 1), (self.stage.healthy(colours["blue"]), self.stage.healthy(colours["green"])))

    def test_new_deployment_in_the_middle_of_a_rollback(self):
        self.begin("retried")
        self.until_stage("retried", "BAKE_TIME")
        self.stop("retried")
        self.until_status("retried", "ROLLBACK_IN_PROGRESS")
        self.update("retried", taskDefinition=self.stage.task_definition())
        self.assertEqual("STOPPED", self.stage.deployment("retried", 1)["status"])
        states = {item["taskDefinition"]: item["rolloutState"] for item in self.stage.service("retried")["deployments"]}
        self.assertEqual("COMPLETED", states[self.old])
        self.until_status("retried", "SUCCESSFUL")

    def test_abort_leaves_everything_where_it_is(self):
        step = {"linearConfiguration": {"stepPercent": 25.0, "stepBakeTimeInMinutes": 5}}
        colours = self.begin("aborted", strategy="LINEAR", **step)
        self.until(lambda: self.stage.split(colours["production"], colours) == (50, 50))
        self.stop("aborted", stopType="ABORT")
        deployment = self.stage.deployment("aborted")
        self.assertEqual("STOPPED", deployment["status"])
        self.assertIn("stoppedAt", deployment)
        self.advance(3600)
        self.assertEqual((50, 50), self.stage.split(colours["production"], colours))
        self.assertEqual((2, 2), (self.stage.healthy(colours["blue"]), self.stage.healthy(colours["green"])))

    def test_finished_and_unknown_deployments_cannot_be_stopped(self):
        self.begin("over")
        self.until_stage("over", "BAKE_TIME")
        arn = self.stage.deployment("over")["serviceDeploymentArn"]
        self.until_status("over", "SUCCESSFUL")
        self.assert_refused("ConflictException", self.ecs.stop_service_deployment, serviceDeploymentArn=arn)
        self.assert_refused("ServiceDeploymentNotFoundException", self.ecs.stop_service_deployment, serviceDeploymentArn=arn + "x")

    def test_first_deployment_has_nothing_to_go_back_to(self):
        colours = self.stage.colours("first")
        request = self.stage.request(
            "first",
            self.stage.task_definition("1-unhealthy"),
            loadBalancers=[self.stage.load_balancer(colours)],
            deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0},
        )
        self.ecs.create_service(**request)
        self.until_stage("first", "SCALE_UP")
        self.advance(600)
        self.stop("first")
        deployment = self.until_status("first", "ROLLBACK_FAILED")
        self.assertEqual("No rollback candidate was found to run the rollback.", deployment["statusReason"])
        self.assertNotIn("serviceRevisionArn", deployment["rollback"])
        self.assertEqual((100, 0), self.stage.split(colours["production"], colours))
        service = self.stage.service("first")
        self.assertEqual(("ACTIVE", 2, "FAILED"), (service["status"], service["desiredCount"], service["deployments"][0]["rolloutState"]))
        self.update("first", taskDefinition=self.stage.task_definition())
        self.until_status("first", "SUCCESSFUL")
        self.assertEqual((0, 100), self.stage.split(colours["production"], colours))

    def test_network_that_does_not_fit_rolls_back(self):
        colours = self.begin("network")
        self.until_status("network", "SUCCESSFUL")
        action = {
            "Type": "forward",
            "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": colours[colour], "Weight": 50} for colour in ("blue", "green")]},
        }
        self.stage.elbv2.modify_rule(RuleArn=colours["production"], Actions=[action])
        self.update("network", forceNewDeployment=True)
        deployment = self.until_status("network", "ROLLBACK_SUCCESSFUL")
        self.assertIn("should have exactly one target group serving traffic", deployment["statusReason"])
        self.assertEqual((50, 50), self.stage.split(colours["production"], colours), "nothing was shifted, so nothing is shifted back")

    def test_listener_rule_that_vanished_fails_the_rollback(self):
        colours = self.begin("vanished")
        self.until_stage("vanished", "BAKE_TIME")
        self.stage.elbv2.delete_rule(RuleArn=colours["production"])
        self.stop("vanished")
        self.assertIn("could not be shifted back", self.until_status("vanished", "ROLLBACK_FAILED")["statusReason"])

    def test_role_that_vanished_fails_the_shift(self):
        colours = self.begin("powerless", lifecycleHooks=[PAUSE])
        self.until_stage("powerless", "POST_TEST_TRAFFIC_SHIFT")
        with self.without_role():
            self.ecs.continue_service_deployment(
                serviceDeploymentArn=self.stage.deployment("powerless")["serviceDeploymentArn"],
                hookId=self.stage.deployment("powerless")["lifecycleHookDetails"][0]["hookId"],
            )
            deployment = self.until_status("powerless", "ROLLBACK_FAILED")
        self.assertIn("missing permissions on ECS Infrastructure Role", deployment["rollback"]["reason"])
        self.assertEqual((0, 100), self.stage.split(colours["production"], colours))

    def test_service_without_its_role_drains_for_ever(self):
        self.begin("stuck")
        self.until_status("stuck", "SUCCESSFUL")
        with self.without_role():
            self.ecs.delete_service(cluster=CLUSTER, service="stuck", force=True)
            self.advance(4 * 3600)
            service = self.stage.service("stuck")
            self.assertEqual(("DRAINING", 0), (service["status"], service["runningCount"]))
            self.assertIn("failed to deregister targets", self.stage.events("stuck")[0])
        self.assertEqual("INACTIVE", self.stage.service("stuck")["status"])

    @contextmanager
    def without_role(self):
        """Takes the infrastructure role away for a while."""
        self.stage.iam.delete_role(RoleName="ecs-lb")
        try:
            yield
        finally:
            self.stage.iam.create_role(RoleName="ecs-lb", AssumeRolePolicyDocument=json.dumps(TRUST))

    def test_deleted_service_ends_its_deployment(self):
        self.begin("deleted", lifecycleHooks=[PAUSE])
        self.until_stage("deleted", "POST_TEST_TRAFFIC_SHIFT")
        arn = self.stage.deployment("deleted")["serviceDeploymentArn"]
        self.ecs.delete_service(cluster=CLUSTER, service="deleted", force=True)
        self.assertEqual("STOPPED", self.stage.deployment("deleted")["status"])
        self.until(lambda: self.stage.service("deleted")["status"] == "INACTIVE")
        answer = self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])
        self.assertEqual(([], [{"arn": arn, "reason": "MISSING"}]), (answer["serviceDeployments"], answer["failures"]))


if __name__ == "__main__":
    unittest.main()
