"""Rolling deployments of ECS services: within the percentages, and what the circuit breaker does."""

import unittest

from ecs_support import CONTAINER, EcsTest

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


class RollingTest(EcsTest):
    def counts(self, name):
        """Running tasks by task definition, and the sum of running and pending ones."""
        service = self.stage.service(name)
        running = {item["taskDefinition"]: item["runningCount"] for item in service["deployments"]}
        return running, service["runningCount"] + service["pendingCount"]

    def behind_balancer(self, name):
        group = self.stage.target_group(name)
        self.stage.rule((group, 1))
        return group, {"loadBalancers": [{"targetGroupArn": group, "containerName": CONTAINER, "containerPort": 8080}]}

    def test_new_tasks_take_the_place_of_old_ones(self):
        group, balancers = self.behind_balancer("replaced")
        old, new = self.stage.task_definition(), self.stage.task_definition()
        self.create("replaced", old, 3, **balancers)
        service = self.update("replaced", taskDefinition=new)
        self.assertEqual([("PRIMARY", new, "IN_PROGRESS"), ("ACTIVE", old, "COMPLETED")], self.states(service))
        self.assertIn("in progress", service["deployments"][0]["rolloutStateReason"])

        def serves():
            self.assertGreaterEqual(self.stage.healthy(group), 3)
            self.assertLessEqual(self.counts("replaced")[1], 6)

        self.advance(1)
        self.assertEqual(({new: 0, old: 3}, 6), self.counts("replaced"))
        self.until(lambda: len(self.stage.service("replaced")["deployments"]) == 1, serves)
        self.assertEqual("IN_PROGRESS", self.stage.service("replaced")["deployments"][0]["rolloutState"])
        deployment = self.until_status("replaced", "SUCCESSFUL", serves)
        self.assertNotIn("lifecycleStage", deployment)
        service = self.stage.service("replaced")
        self.assertEqual([("PRIMARY", new, "COMPLETED")], self.states(service))
        self.assertEqual(f"ECS deployment {service['deployments'][0]['id']} completed.", service["deployments"][0]["rolloutStateReason"])
        self.assertEqual("has reached a steady state.", self.stage.events("replaced")[0])

    def states(self, service):
        return [(item["status"], item["taskDefinition"], item["rolloutState"]) for item in service["deployments"]]

    def test_percentages_are_kept(self):
        old, new = self.stage.task_definition(), self.stage.task_definition()
        limits = {"maximumPercent": 100, "minimumHealthyPercent": 50}
        self.create("narrow", old, 4, deploymentConfiguration=limits)
        self.update("narrow", taskDefinition=new)

        def check():
            running, total = self.counts("narrow")
            self.assertLessEqual(total, 4)
            self.assertGreaterEqual(sum(running.values()), 2)

        self.advance(1)
        self.assertEqual(2, self.counts("narrow")[0][old], "half of the old ones make room")
        self.until_status("narrow", "SUCCESSFUL", check)

    def test_desired_count_changes_without_a_deployment(self):
        self.create("scaled", self.stage.task_definition(), 1)
        identifier = self.stage.service("scaled")["deployments"][0]["id"]
        service = self.update("scaled", desiredCount=3)
        self.assertEqual((3, 1, identifier), (service["desiredCount"], service["runningCount"], service["deployments"][0]["id"]))
        self.advance(1)
        self.assertEqual(2, self.stage.service("scaled")["pendingCount"])
        self.until(lambda: self.stage.service("scaled")["runningCount"] == 3)
        self.until(lambda: self.stage.events("scaled")[0] == "has reached a steady state.")
        self.update("scaled", desiredCount=0)
        self.until(lambda: self.stage.service("scaled")["runningCount"] == 0)

    def test_desired_count_during_a_deployment(self):
        self.create("grown", self.stage.task_definition(), 1)
        self.update("grown", taskDefinition=self.stage.task_definition())
        self.advance(10)
        self.update("grown", desiredCount=4)
        self.until_status("grown", "SUCCESSFUL")
        self.assertEqual(4, self.stage.service("grown")["runningCount"])

    def test_circuit_breaker_rolls_back(self):
        old, crashing = self.stage.task_definition(), self.stage.task_definition("2-crash")
        self.create("tripped", old, 2, deploymentConfiguration=BREAKER)
        self.update("tripped", taskDefinition=crashing)
        breaker = self.stage.deployment("tripped")["deploymentCircuitBreaker"]
        self.assertEqual({"status": "MONITORING", "failureCount": 0, "threshold": 3}, breaker)

        def serves():
            self.assertEqual(2, self.counts("tripped")[0][old])

        deployment = self.until_status("tripped", "ROLLBACK_IN_PROGRESS", serves)
        reason = "Service deployment rolled back because the circuit breaker threshold was exceeded."
        self.assertEqual((reason, reason), (deployment["statusReason"], deployment["rollback"]["reason"]))
        self.assertEqual("TRIGGERED", deployment["deploymentCircuitBreaker"]["status"])
        self.assertGreaterEqual(deployment["deploymentCircuitBreaker"]["failureCount"], 3)
        states = self.states(self.stage.service("tripped"))
        self.assertEqual(("PRIMARY", old), states[0][:2])
        failed = next(item for item in self.stage.service("tripped")["deployments"] if item["taskDefinition"] == crashing)
        self.assertEqual(
            ("ACTIVE", "FAILED", "ECS deployment circuit breaker: tasks failed to start."),
            (failed["status"], failed["rolloutState"], failed["rolloutStateReason"]),
        )
        self.until_status("tripped", "ROLLBACK_SUCCESSFUL", serves)
        service = self.stage.service("tripped")
        self.assertEqual((old, 2), (service["taskDefinition"], service["runningCount"]))
        self.assertEqual([("PRIMARY", old, "COMPLETED")], self.states(service))

    def test_circuit_breaker_without_rollback_stops(self):
        old = self.stage.task_definition()
        self.create("stopped", old, 2, deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": False}})
        self.update("stopped", taskDefinition=self.stage.task_definition("2-crash"))
        self.until_status("stopped", "STOPPED")
        service = self.stage.service("stopped")
        self.assertEqual("FAILED", service["deployments"][0]["rolloutState"])
        failures = service["deployments"][0]["failedTasks"]
        self.advance(3600)
        service = self.stage.service("stopped")
        self.assertEqual((failures, 2), (service["deployments"][0]["failedTasks"], service["runningCount"]), "nothing more is started")

    def test_threshold_of_the_breaker(self):
        for count, configured, expected in (
            (1, None, 3),
            (20, None, 10),
            (20, {"type": "BOUNDED_PERCENT", "value": 25}, 5),
            (20, {"type": "COUNT", "value": 2}, 2),
            (4, {"type": "UNBOUNDED_PERCENT", "value": 25}, 1),
        ):
            breaker = {**BREAKER["deploymentCircuitBreaker"], **({"thresholdConfiguration": configured} if configured else {})}
            name = f"threshold-{count}-{expected}"
            configuration = {"deploymentCircuitBreaker": breaker}
            request = self.stage.request(name, self.stage.task_definition(), count, deploymentConfiguration=configuration)
            self.ecs.create_service(**request)
            self.assertEqual(expected, self.stage.deployment(name)["deploymentCircuitBreaker"]["threshold"])
            self.ecs.delete_service(cluster="order-api", service=name, force=True)

    def test_without_a_breaker_it_goes_on_for_ever(self):
        old = self.stage.task_definition()
        self.create("endless", old, 1)
        self.update("endless", taskDefinition=self.stage.task_definition("2-crash"))
        self.advance(2 * 24 * 3600)
        self.assertEqual("IN_PROGRESS", self.stage.deployment("endless")["status"])
        self.assertEqual(1, self.counts("endless")[0][old])
        arn = self.stage.deployment("endless")["serviceDeploymentArn"]
        self.ecs.stop_service_deployment(serviceDeploymentArn=arn)
        self.until_status("endless", "ROLLBACK_SUCCESSFUL")
        self.assertEqual(old, self.stage.service("endless")["taskDefinition"])

    def test_first_deployment_that_fails(self):
        crashing = self.stage.task_definition("1-crash")
        self.ecs.create_service(**self.stage.request("hopeless", crashing, deploymentConfiguration=BREAKER))
        deployment = self.until_status("hopeless", "ROLLBACK_FAILED")
        self.assertEqual("No rollback candidate was found to run the rollback.", deployment["statusReason"])
        service = self.stage.service("hopeless")
        self.assertEqual([("PRIMARY", crashing, "FAILED")], self.states(service))
        self.assertEqual("ECS deployment circuit breaker: tasks failed to start.", service["deployments"][0]["rolloutStateReason"])
        self.update("hopeless", taskDefinition=self.stage.task_definition())
        self.until_status("hopeless", "SUCCESSFUL")

    def test_alarms_are_watched_for_a_while_after_the_tasks_are_in_place(self):
        self.stage.cloudwatch.put_metric_alarm(
            AlarmName="errors",
            Namespace="n",
            MetricName="m",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=5,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        alarms = {"alarms": {"alarmNames": ["errors"], "enable": True, "rollback": True}}
        old = self.stage.task_definition()
        self.create("watched", old, 1, deploymentConfiguration=alarms)
        self.update("watched", taskDefinition=self.stage.task_definition())
        self.until(lambda: len(self.stage.service("watched")["deployments"]) == 1)
        self.advance(290)
        self.assertEqual("IN_PROGRESS", self.stage.deployment("watched")["status"])
        self.stage.cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")

        def serves():
            self.assertGreaterEqual(self.stage.service("watched")["runningCount"], 1)

        self.until_status("watched", "ROLLBACK_SUCCESSFUL", serves)
        self.assertEqual(old, self.stage.service("watched")["taskDefinition"])

    def test_a_deployment_that_is_superseded_gives_way(self):
        old, crashing, good = self.stage.task_definition(), self.stage.task_definition("2-crash"), self.stage.task_definition()
        self.create("replaced-twice", old, 2)
        self.update("replaced-twice", taskDefinition=crashing)
        self.advance(60)
        service = self.update("replaced-twice", taskDefinition=good)
        self.assertEqual([good, crashing, old], [item["taskDefinition"] for item in service["deployments"]])
        self.assertEqual("STOPPED", self.stage.deployment("replaced-twice", 1)["status"])
        deployment = self.until_status("replaced-twice", "SUCCESSFUL")
        self.assertEqual(2, len(deployment["sourceServiceRevisions"]))
        self.assertEqual([("PRIMARY", good, "COMPLETED")], self.states(self.stage.service("replaced-twice")))


if __name__ == "__main__":
    unittest.main()
