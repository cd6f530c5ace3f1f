"""ECS services: what CreateService and UpdateService refuse, how services go, and what the deployment API lists."""

import json
import unittest
from datetime import timedelta

from ecs_support import CLUSTER, CONTAINER, TRUST, EcsStage, EcsTest
from support import FrozenTest, trust_of

NO_BALANCER = "does not have an associated load balancer"
FRESH_ROLE = "verify that the ECS service role being passed has the proper permissions"


class RefusalTest(EcsTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.colours = cls.stage.colours("refused")
        cls.definition = cls.stage.task_definition()

    def request(self, **fields):
        return self.stage.request("refused", self.definition, 0, **fields)

    def blue_green(self, strategy="BLUE_GREEN", advanced=None, **configuration):
        balancer = self.stage.load_balancer(self.colours)
        balancer["advancedConfiguration"].update(advanced or {})
        balancer["advancedConfiguration"] = {name: value for name, value in balancer["advancedConfiguration"].items() if value}
        bake = {"bakeTimeInMinutes": 0} if strategy == "BLUE_GREEN" else {}
        return self.request(loadBalancers=[balancer], deploymentConfiguration={"strategy": strategy, **bake, **configuration})

    def assert_create_refused(self, fragment, request, code="InvalidParameterException"):
        error = self.assert_refused(code, self.ecs.create_service, **request)
        self.assertIn(fragment, str(error))
        self.assertEqual("MISSING", self.ecs.describe_services(cluster=CLUSTER, services=["refused"])["failures"][0]["reason"])

    def test_target_groups(self):
        loose = self.stage.target_group("loose")
        entry = {"targetGroupArn": loose, "containerName": CONTAINER, "containerPort": 8080}
        self.assert_create_refused(f"targetGroupArn {loose} {NO_BALANCER}.", self.request(loadBalancers=[entry]))
        self.assert_create_refused(NO_BALANCER, self.blue_green(advanced={"alternateTargetGroupArn": loose}))
        self.assert_create_refused("does not exist", self.request(loadBalancers=[{**entry, "targetGroupArn": loose + "x"}]))
        rule = self.stage.rule((loose, 1))
        self.assert_create_refused("The container web does not exist", self.request(loadBalancers=[{**entry, "containerName": "web"}]))
        self.assert_create_refused("did not have a container port 81", self.request(loadBalancers=[{**entry, "containerPort": 81}]))
        instances = self.stage.target_group("instances", TargetType="instance")
        self.stage.rule((instances, 1))
        request = self.request(loadBalancers=[{**entry, "targetGroupArn": instances}])
        self.assert_create_refused("incompatible with the awsvpc network mode", request)
        self.stage.elbv2.delete_rule(RuleArn=rule)
        self.assert_create_refused(NO_BALANCER, self.request(loadBalancers=[entry]))

    def test_what_traffic_is_shifted_with(self):
        for field in ("alternateTargetGroupArn", "productionListenerRule", "roleArn"):
            self.assert_create_refused(field, self.blue_green(advanced={field: None}))
        rule = self.colours["production"]
        self.assert_create_refused("One or more rules not found", self.blue_green(advanced={"productionListenerRule": rule + "0"}))
        listener = rule.replace(":listener-rule/", ":listener/").rpartition("/")[0]
        self.assert_create_refused("Must be RuleArn for ALB", self.blue_green(advanced={"productionListenerRule": listener}))
        self.assert_create_refused("cannot be used as both production and test", self.blue_green(advanced={"testListenerRule": rule}))
        alone = self.stage.rule((self.colours["blue"], 1))
        self.assert_create_refused(
            "testListenerRule is required", self.blue_green(advanced={"productionListenerRule": alone, "testListenerRule": None})
        )
        self.assert_create_refused("Duplicate targetGroupArn", self.blue_green(advanced={"alternateTargetGroupArn": self.colours["blue"]}))
        self.assert_create_refused(FRESH_ROLE, self.blue_green(advanced={"roleArn": "arn:aws:iam::123456789012:role/nobody"}))
        request = self.blue_green()
        del request["loadBalancers"][0]["advancedConfiguration"]
        self.assert_create_refused("advancedConfiguration field is required", request)

    def test_deployment_configuration(self):
        canary, linear = {"canaryConfiguration": {"canaryPercent": 5.0}}, {"linearConfiguration": {"stepPercent": 10.0}}
        pause = {"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]}
        for fragment, configuration in (
            ("bakeTimeInMinutes is required", {"bakeTimeInMinutes": None}),
            ("bakeTimeInMinutes", {"bakeTimeInMinutes": 1441}),
            ("only valid when the deployment strategy is CANARY", canary),
            ("only valid when the deployment strategy is LINEAR", {"strategy": "CANARY", **linear}),
            ("canaryPercent", {"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 0.0}}),
            ("multiple of 0.1", {"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 0.25}}),
            ("canaryBakeTimeInMinutes", {"strategy": "CANARY", "canaryConfiguration": {"canaryBakeTimeInMinutes": 1441}}),
            ("stepPercent", {"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 2.9}}),
            ("stepBakeTimeInMinutes", {"strategy": "LINEAR", "linearConfiguration": {"stepBakeTimeInMinutes": -1}}),
            ("would block deployments", {"minimumHealthyPercent": 100, "maximumPercent": 100}),
            ("BAKE_TIME is not a valid", {"lifecycleHooks": [{**pause, "lifecycleStages": ["BAKE_TIME"]}]}),
            ("SCALE_UP is not a valid", {"lifecycleHooks": [{**pause, "lifecycleStages": ["SCALE_UP"]}]}),
            ("cannot be configured at TEST_TRAFFIC_SHIFT", {"lifecycleHooks": [{**pause, "lifecycleStages": ["TEST_TRAFFIC_SHIFT"]}]}),
            ("cannot be configured at PRODUCTION", {"lifecycleHooks": [{**pause, "lifecycleStages": ["PRODUCTION_TRAFFIC_SHIFT"]}]}),
            ("not applicable to PAUSE", {"lifecycleHooks": [{**pause, "roleArn": self.stage.role}]}),
            ("required for AWS_LAMBDA", {"lifecycleHooks": [{"lifecycleStages": ["POST_SCALE_UP"]}]}),
            ("timeoutInMinutes", {"lifecycleHooks": [{**pause, "timeoutConfiguration": {"timeoutInMinutes": 20161}}]}),
        ):
            with self.subTest(fragment):
                request = self.blue_green()
                request["deploymentConfiguration"].update(configuration)
                settings = {name: value for name, value in request["deploymentConfiguration"].items() if value is not None}
                self.assert_create_refused(fragment, {**request, "deploymentConfiguration": settings})
        request = self.blue_green()
        request["deploymentController"] = {"type": "CODE_DEPLOY"}
        self.assert_create_refused("requires the deployment controller ECS", request)

    def test_what_is_missing(self):
        self.assert_create_refused("TaskDefinition not found", self.stage.request("refused", "nothing:1"), "ClientException")
        gone = self.stage.task_definition(family="gone")
        self.ecs.deregister_task_definition(taskDefinition=gone)
        self.assert_create_refused("TaskDefinition is inactive", self.stage.request("refused", gone), "ClientException")
        self.assert_refused("ClusterNotFoundException", self.ecs.create_service, **{**self.request(), "cluster": "nowhere"})
        for field, identifier in (("subnets", "subnet-0123456789abcdef0"), ("securityGroups", "sg-0123456789abcdef0")):
            request = self.request()
            request["networkConfiguration"]["awsvpcConfiguration"] = {
                **request["networkConfiguration"]["awsvpcConfiguration"],
                field: [identifier],
            }
            self.assert_create_refused(identifier, request)
        request = self.request()
        del request["networkConfiguration"]
        self.assert_create_refused("Network Configuration must be provided", request)


class LifeTest(EcsTest):
    def test_update_needs_force_for_another_capacity_strategy(self):
        request = self.stage.request("capacity", self.stage.task_definition(), 0)
        del request["launchType"]
        strategy = [{"capacityProvider": "FARGATE", "weight": 1}]
        self.ecs.create_service(**request, capacityProviderStrategy=strategy)
        spot = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
        error = self.assert_refused(
            "InvalidParameterException", self.ecs.update_service, cluster=CLUSTER, service="capacity", capacityProviderStrategy=spot
        )
        self.assertIn("you must force a new deployment", str(error))
        self.update("capacity", capacityProviderStrategy=strategy)
        before = self.stage.service("capacity")["deployments"][0]["id"]
        after = self.update("capacity", capacityProviderStrategy=spot, forceNewDeployment=True)["deployments"][0]
        self.assertNotEqual(before, after["id"])
        self.assertEqual("FARGATE_SPOT", after["capacityProviderStrategy"][0]["capacityProvider"])

    def test_update_refuses_a_strategy_that_the_load_balancers_know_nothing_of(self):
        group = self.stage.target_group("plain")
        self.stage.rule((group, 1))
        balancer = {"targetGroupArn": group, "containerName": CONTAINER, "containerPort": 8080}
        self.create("plain", self.stage.task_definition(), 0, loadBalancers=[balancer])
        configuration = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1}
        error = self.assert_refused(
            "InvalidParameterException", self.ecs.update_service, cluster=CLUSTER, service="plain", deploymentConfiguration=configuration
        )
        self.assertIn("advancedConfiguration field is required", str(error))
        colours = {"blue": group, "green": self.stage.target_group("plain-green")}
        colours["production"] = self.stage.rule((group, 1), (colours["green"], 0))
        colours["test"] = self.stage.rule((group, 1), (colours["green"], 0))
        self.update("plain", deploymentConfiguration=configuration, loadBalancers=[self.stage.load_balancer(colours)])
        self.assertEqual("SUCCESSFUL", self.until_status("plain", "SUCCESSFUL")["status"])

    def test_steps_of_another_strategy_are_dropped(self):
        colours = self.stage.colours("steps")
        canary = {"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 20.0}}
        balancers = [self.stage.load_balancer(colours)]
        self.create("steps", self.stage.task_definition(), 0, loadBalancers=balancers, deploymentConfiguration=canary)
        configuration = self.update("steps", deploymentConfiguration={"strategy": "LINEAR"})["deploymentConfiguration"]
        self.assertNotIn("canaryConfiguration", configuration)
        self.assertEqual({"stepPercent": 10.0, "stepBakeTimeInMinutes": 6}, configuration["linearConfiguration"])

    def test_service_drains_before_it_is_inactive(self):
        group = self.stage.target_group("drained")
        self.stage.rule((group, 1))
        request = self.stage.request(
            "drained",
            self.stage.task_definition(),
            loadBalancers=[{"targetGroupArn": group, "containerName": CONTAINER, "containerPort": 8080}],
        )
        self.ecs.create_service(**request)
        self.until_status("drained", "SUCCESSFUL")
        refused = {"cluster": CLUSTER, "service": "drained"}
        error = self.assert_refused("InvalidParameterException", self.ecs.delete_service, **refused)
        self.assertIn("while it is scaled above 0", str(error))
        deleted = self.ecs.delete_service(**refused, force=True)["service"]
        self.assertEqual(("DRAINING", 0), (deleted["status"], deleted["desiredCount"]))
        self.assertEqual("DRAINING", self.ecs.delete_service(**refused, force=True)["service"]["status"])
        self.assert_refused("ServiceNotActiveException", self.ecs.update_service, **refused, desiredCount=1)
        error = self.assert_refused("InvalidParameterException", self.ecs.create_service, **request)
        self.assertIn("Unable to Start a service that is still Draining", str(error))
        # The group drains for 30 seconds; the tasks are stopped after that.
        self.advance(30)
        self.assertEqual("DRAINING", self.stage.service("drained")["status"])
        self.until(lambda: self.stage.service("drained")["status"] == "INACTIVE")
        service = self.stage.service("drained")
        self.assertEqual((0, 0, []), (service["runningCount"], service["pendingCount"], service["deployments"]))
        self.assertNotIn(service["serviceArn"], self.ecs.list_services(cluster=CLUSTER)["serviceArns"])
        self.assert_refused("ServiceNotFoundException", self.ecs.delete_service, **refused, force=True)
        self.advance(3600)
        answer = self.ecs.describe_services(cluster=CLUSTER, services=["drained"])
        self.assertEqual(([], "MISSING"), (answer["services"], answer["failures"][0]["reason"]))
        self.assertEqual("ACTIVE", self.ecs.create_service(**request)["service"]["status"])

    def test_deployment_in_progress_holds_a_service(self):
        colours = self.stage.colours("busy")
        pause = {"targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"]}
        self.ecs.create_service(
            **self.stage.request(
                "busy",
                self.stage.task_definition(),
                0,
                loadBalancers=[self.stage.load_balancer(colours)],
                deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "lifecycleHooks": [pause]},
            )
        )
        self.assertEqual("PRE_SCALE_UP", self.stage.deployment("busy")["lifecycleStage"])
        error = self.assert_refused("InvalidParameterException", self.ecs.delete_service, cluster=CLUSTER, service="busy")
        self.assertIn("cannot be stopped while deployments are active", str(error))
        self.ecs.delete_service(cluster=CLUSTER, service="busy", force=True)
        self.assertEqual("INACTIVE", self.stage.service("busy")["status"])

    def test_deployments_are_listed_newest_first_and_in_pages(self):
        self.create("listed", self.stage.task_definition(), 0)
        for _ in range(4):
            self.update("listed", forceNewDeployment=True)
            self.advance(1)
        arguments = {"cluster": CLUSTER, "service": "listed"}
        everything = self.ecs.list_service_deployments(**arguments)["serviceDeployments"]
        self.assertEqual(5, len(everything))
        created = [item["createdAt"] for item in everything]
        self.assertEqual(sorted(created, reverse=True), created)
        self.assert_echoes({"status": "SUCCESSFUL", "clusterArn": self.stage.service("listed")["clusterArn"]}, everything[0])
        for field, kind in (("serviceDeploymentArn", "service-deployment"), ("targetServiceRevisionArn", "service-revision")):
            self.assertIn(f"arn:aws:ecs:us-east-1:123456789012:{kind}/{CLUSTER}/listed/", everything[0][field])
        first = self.ecs.list_service_deployments(**arguments, maxResults=3)
        second = self.ecs.list_service_deployments(**arguments, maxResults=3, nextToken=first["nextToken"])
        self.assertEqual(everything, first["serviceDeployments"] + second["serviceDeployments"])
        self.assertNotIn("nextToken", second)
        self.assertEqual([], self.ecs.list_service_deployments(**arguments, status=["IN_PROGRESS"])["serviceDeployments"])
        middle = everything[2]["createdAt"]
        after = self.ecs.list_service_deployments(**arguments, createdAt={"after": middle})["serviceDeployments"]
        before = self.ecs.list_service_deployments(**arguments, createdAt={"before": middle + timedelta(milliseconds=1)})
        self.assertIn(everything[0], after)
        self.assertNotIn(everything[3], after)
        self.assertIn(everything[4], before["serviceDeployments"])
        self.assertNotIn(everything[0], before["serviceDeployments"])
        self.assert_refused("InvalidParameterException", self.ecs.list_service_deployments, **arguments, maxResults=101)
        self.assert_refused("InvalidParameterException", self.ecs.list_service_deployments, **arguments, nextToken="?")
        self.assert_refused("ServiceNotFoundException", self.ecs.list_service_deployments, cluster=CLUSTER, service="nowhere")
        self.assert_refused("ClusterNotFoundException", self.ecs.list_service_deployments, cluster="nowhere", service="listed")

    def test_revisions_are_described(self):
        ecr = self.client("ecr")
        repository = ecr.create_repository(repositoryName="order-api")["repository"]["repositoryUri"]
        image = ecr.put_image(repositoryName="order-api", imageTag="7", imageManifest=MANIFEST)["image"]["imageId"]["imageDigest"]
        trust = json.dumps(TRUST).replace("ecs.", "ecs-tasks.")
        role = self.client("iam").create_role(RoleName="pulls", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        definition = self.ecs.register_task_definition(
            family="pulled",
            executionRoleArn=role,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[{"name": CONTAINER, "image": f"{repository}:7", "portMappings": [{"containerPort": 8080}]}],
        )["taskDefinition"]["taskDefinitionArn"]
        colours = self.stage.colours("revised")
        balancer = self.stage.load_balancer(colours)
        configuration = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0}
        service = self.create("revised", definition, loadBalancers=[balancer], deploymentConfiguration=configuration)
        arn = service["currentServiceRevisions"][0]["arn"]
        answer = self.ecs.describe_service_revisions(serviceRevisionArns=[arn, arn + "0"])
        self.assertEqual([{"arn": arn + "0", "reason": "MISSING"}], answer["failures"])
        self.assert_echoes(
            {
                "serviceRevisionArn": arn,
                "serviceArn": service["serviceArn"],
                "clusterArn": service["clusterArn"],
                "taskDefinition": definition,
                "launchType": "FARGATE",
                "platformVersion": "1.4.0",
                "loadBalancers": [balancer],
                "networkConfiguration": service["networkConfiguration"],
                "containerImages": [{"containerName": CONTAINER, "image": f"{repository}:7", "imageDigest": image}],
                "resolvedConfiguration": {
                    "loadBalancers": [{"targetGroupArn": colours["green"], "productionListenerRule": colours["production"]}]
                },
            },
            answer["serviceRevisions"][0],
        )
        unknown = service["currentServiceDeployment"] + "0"
        answer = self.ecs.describe_service_deployments(serviceDeploymentArns=[unknown])
        self.assertEqual(([], [{"arn": unknown, "reason": "MISSING"}]), (answer["serviceDeployments"], answer["failures"]))

    def test_scaling_of_others_moves_the_tasks(self):
        self.create("autoscaled", self.stage.task_definition(), 1)
        self.client("application-autoscaling").register_scalable_target(
            ServiceNamespace="ecs",
            ResourceId=f"service/{CLUSTER}/autoscaled",
            ScalableDimension="ecs:service:DesiredCount",
            MinCapacity=3,
            MaxCapacity=5,
        )
        self.assertEqual(3, self.stage.service("autoscaled")["desiredCount"])
        self.until(lambda: self.stage.service("autoscaled")["runningCount"] == 3)


MANIFEST = '{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {}, "layers": []}'


class LagTest(FrozenTest):
    OPTIONS = ("--control", "--lag", "60")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.control("clock", {"freeze": True})

    def test_new_things_are_missed_and_a_new_service_is_missing(self):
        ecs = self.client("ecs")
        stage = EcsStage(self.settled_client)
        colours = stage.colours("late")
        definition = stage.task_definition()
        # From here on, what is made is new.
        stage.iam, stage.elbv2 = self.client("iam"), self.client("elbv2")
        role = stage.iam.create_role(RoleName="fresh", AssumeRolePolicyDocument=trust_of("ecs"))["Role"]["Arn"]
        balancer = stage.load_balancer(colours)
        balancer["advancedConfiguration"]["roleArn"] = role
        request = stage.request(
            "late",
            definition,
            0,
            loadBalancers=[balancer],
            deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0},
        )
        error = self.assert_refused("InvalidParameterException", ecs.create_service, **request)
        self.assertIn(FRESH_ROLE, str(error))
        self.advance(61)
        arn = ecs.create_service(**request, clientToken="token")["service"]["serviceArn"]
        self.assertEqual(arn, ecs.create_service(**request, clientToken="token")["service"]["serviceArn"])
        self.assert_refused("InvalidParameterException", ecs.create_service, **request)
        answer = ecs.describe_services(cluster=CLUSTER, services=["late"])
        self.assertEqual(([], [{"arn": arn, "reason": "MISSING"}]), (answer["services"], answer["failures"]))
        self.assertNotIn(arn, ecs.list_services(cluster=CLUSTER)["serviceArns"])
        self.assert_refused("ServiceNotFoundException", ecs.update_service, cluster=CLUSTER, service="late", desiredCount=1)
        self.assert_refused("ServiceNotFoundException", ecs.list_service_deployments, cluster=CLUSTER, service="late")
        self.advance(61)
        self.assertEqual(arn, ecs.describe_services(cluster=CLUSTER, services=["late"])["services"][0]["serviceArn"])
        listener = colours["production"].replace(":listener-rule/", ":listener/").rpartition("/")[0]
        pair = [{"TargetGroupArn": colours["blue"], "Weight": 1}, {"TargetGroupArn": colours["green"], "Weight": 0}]
        fresh = stage.elbv2.create_rule(
            ListenerArn=listener,
            Priority=20,
            Conditions=[{"Field": "path-pattern", "Values": ["/fresh"]}],
            Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": pair}}],
        )["Rules"][0]["RuleArn"]
        balancer["advancedConfiguration"]["productionListenerRule"] = fresh
        error = self.assert_refused("InvalidParameterException", ecs.create_service, **{**request, "serviceName": "later"})
        self.assertIn(NO_BALANCER, str(error))

    def settled_client(self, service):
        """A client after each of whose creations enough time passes for everybody to know of it."""
        client = self.client(service)
        client.meta.events.register("after-call", lambda **_: self.advance(61))
        return client


if __name__ == "__main__":
    unittest.main()
