"""ECS answers back everything a stack gives it."""

import unittest

from ecs_support import EcsStage
from support import SandboxTest

CLUSTER = {
    "clusterName": "order-api-dev",
    "settings": [{"name": "containerInsights", "value": "enabled"}],
    "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
    "defaultCapacityProviderStrategy": [
        {"capacityProvider": "FARGATE", "weight": 1, "base": 0},
        {"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0},
    ],
    "tags": [{"key": "Project", "value": "order-api"}],
}

TASK_DEFINITION = {
    "family": "order-api-dev",
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "512",
    "memory": "1024",
    "taskRoleArn": "arn:aws:iam::123456789012:role/ecs-task-dev",
    "executionRoleArn": "arn:aws:iam::123456789012:role/ecs-task-exec-dev",
    "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
    "ephemeralStorage": {"sizeInGiB": 30},
    "containerDefinitions": [
        {
            "name": "order-api",
            "image": "order-api:1",
            "essential": True,
            "cpu": 512,
            "memory": 1024,
            "portMappings": [{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp", "name": "http", "appProtocol": "http"}],
            "environment": [{"name": "REGION", "value": "us-east-1"}],
            "secrets": [{"name": "DB_CREDENTIALS", "valueFrom": "arn:aws:secretsmanager:us-east-1:123456789012:secret:x"}],
            "healthCheck": {"command": ["CMD-SHELL", "true"], "interval": 15, "timeout": 4, "retries": 2, "startPeriod": 30},
            "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/order-api-dev", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "ecs"}},
            "readonlyRootFilesystem": True,
            "stopTimeout": 35,
            "linuxParameters": {"initProcessEnabled": True},
        }
    ],
}


class ClusterTest(SandboxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ecs = cls.client("ecs")
        cls.client("iam").create_service_linked_role(AWSServiceName="ecs.amazonaws.com")

    def describe(self, name, include=("TAGS", "SETTINGS", "CONFIGURATIONS")):
        return self.ecs.describe_clusters(clusters=[name], include=list(include))["clusters"][0]

    def test_create_is_idempotent_and_echoed(self):
        first = self.ecs.create_cluster(**CLUSTER)["cluster"]
        self.assertEqual(first["clusterArn"], self.ecs.create_cluster(**CLUSTER)["cluster"]["clusterArn"])
        self.assert_echoes({**CLUSTER, "status": "ACTIVE"}, self.describe("order-api-dev"))
        bare = self.describe("order-api-dev", include=())
        self.assertEqual([[], []], [bare.get("tags", []), bare.get("settings", [])])
        error = self.assert_refused(
            "InvalidParameterException",
            self.ecs.create_cluster,
            clusterName="order-api-dev",
            settings=[{"name": "containerInsights", "value": "enhanced"}],
        )
        self.assertIn("Arguments on this idempotent request are inconsistent", str(error))

    def test_updates(self):
        self.ecs.create_cluster(**{**CLUSTER, "clusterName": "updated"})
        self.ecs.update_cluster(cluster="updated", settings=[{"name": "containerInsights", "value": "enhanced"}])
        self.assertEqual("enhanced", self.describe("updated")["settings"][0]["value"])
        self.ecs.update_cluster_settings(cluster="updated", settings=[{"name": "containerInsights", "value": "disabled"}])
        self.assertEqual([{"name": "containerInsights", "value": "disabled"}], self.describe("updated")["settings"])
        self.ecs.put_cluster_capacity_providers(
            cluster="updated",
            capacityProviders=["FARGATE"],
            defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}],
        )
        cluster = self.describe("updated")
        self.assertEqual(["FARGATE"], cluster["capacityProviders"])
        self.assertEqual([{"capacityProvider": "FARGATE", "weight": 1, "base": 0}], cluster["defaultCapacityProviderStrategy"])
        self.ecs.tag_resource(resourceArn=cluster["clusterArn"], tags=[{"key": "a", "value": "1"}])
        self.ecs.untag_resource(resourceArn=cluster["clusterArn"], tagKeys=["Project"])
        self.assertEqual([{"key": "a", "value": "1"}], self.ecs.list_tags_for_resource(resourceArn=cluster["clusterArn"])["tags"])

    def test_deleted_cluster_is_inactive_and_unlisted(self):
        arn = self.ecs.create_cluster(clusterName="gone")["cluster"]["clusterArn"]
        self.assertEqual("INACTIVE", self.ecs.delete_cluster(cluster="gone")["cluster"]["status"])
        self.assertEqual("INACTIVE", self.describe("gone")["status"])
        self.assertNotIn(arn, self.ecs.list_clusters()["clusterArns"])
        self.assert_refused("ClusterNotFoundException", self.ecs.delete_cluster, cluster="gone")
        self.assert_refused("ClusterNotFoundException", self.ecs.describe_services, cluster="gone", services=["x"])
        self.assertEqual("ACTIVE", self.ecs.create_cluster(clusterName="gone")["cluster"]["status"])

    def test_missing_cluster_is_a_failure(self):
        self.assertEqual("MISSING", self.ecs.describe_clusters(clusters=["nowhere"])["failures"][0]["reason"])


class TaskDefinitionTest(SandboxTest):
    def setUp(self):
        self.ecs = self.client("ecs")

    def test_every_field_is_echoed(self):
        tags = [{"key": "Project", "value": "order-api"}]
        registered = self.ecs.register_task_definition(**TASK_DEFINITION, tags=tags)
        self.assertEqual(tags, registered["tags"])
        described = self.ecs.describe_task_definition(taskDefinition="order-api-dev", include=["TAGS"])
        self.assert_echoes(TASK_DEFINITION, described["taskDefinition"])
        self.assertEqual(tags, described["tags"])
        self.assertNotIn("tags", self.ecs.describe_task_definition(taskDefinition="order-api-dev"))

    def test_defaults_are_filled_in(self):
        self.ecs.register_task_definition(
            family="bare",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[{"name": "a", "image": "a", "portMappings": [{"containerPort": 80}], "healthCheck": {"command": ["CMD", "true"]}}],
        )
        container = self.ecs.describe_task_definition(taskDefinition="bare")["taskDefinition"]["containerDefinitions"][0]
        self.assertEqual([{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}], container["portMappings"])
        self.assertEqual({"command": ["CMD", "true"], "interval": 30, "timeout": 5, "retries": 3}, container["healthCheck"])

    def test_family_means_its_latest_active_revision(self):
        family = {**TASK_DEFINITION, "family": "revisions"}
        first = self.ecs.register_task_definition(**family)["taskDefinition"]["taskDefinitionArn"]
        second = self.ecs.register_task_definition(**family)["taskDefinition"]["taskDefinitionArn"]
        self.assertEqual([first, second], self.ecs.list_task_definitions(familyPrefix="revisions")["taskDefinitionArns"])
        self.assertEqual([second, first], self.ecs.list_task_definitions(familyPrefix="revisions", sort="DESC")["taskDefinitionArns"])
        self.assertEqual("INACTIVE", self.ecs.deregister_task_definition(taskDefinition=second)["taskDefinition"]["status"])
        self.assertEqual(first, self.ecs.describe_task_definition(taskDefinition="revisions")["taskDefinition"]["taskDefinitionArn"])
        self.assertEqual([second], self.ecs.list_task_definitions(familyPrefix="revisions", status="INACTIVE")["taskDefinitionArns"])
        self.ecs.deregister_task_definition(taskDefinition=first)
        self.assert_refused("ClientException", self.ecs.describe_task_definition, taskDefinition="revisions")
        third = self.ecs.register_task_definition(**family)["taskDefinition"]
        self.assertEqual(3, third["revision"])

    def test_tags_of_a_revision(self):
        arn = self.ecs.register_task_definition(**{**TASK_DEFINITION, "family": "tagged"})["taskDefinition"]["taskDefinitionArn"]
        self.ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
        self.ecs.untag_resource(resourceArn=arn, tagKeys=["a"])
        self.assertEqual([{"key": "b", "value": "2"}], self.ecs.list_tags_for_resource(resourceArn=arn)["tags"])


class ServiceTest(SandboxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stage = EcsStage(cls.client)
        cls.ecs = cls.stage.ecs
        cls.ecs.create_cluster(**CLUSTER)
        cls.revisions = [cls.stage.task_definition() for _ in range(2)]
        cls.colours = {}

    def request(self, name):
        if name not in self.colours:
            self.colours[name] = self.stage.colours(name)
        return {
            "cluster": "order-api-dev",
            "serviceName": name,
            "taskDefinition": self.revisions[0],
            "desiredCount": 3,
            "capacityProviderStrategy": CLUSTER["defaultCapacityProviderStrategy"],
            "networkConfiguration": {
                "awsvpcConfiguration": {
                    "subnets": self.stage.network["subnets"],
                    "securityGroups": [self.stage.network["group"]],
                    "assignPublicIp": "ENABLED",
                }
            },
            "loadBalancers": [self.stage.load_balancer(self.colours[name])],
            "deploymentConfiguration": {
                "strategy": "BLUE_GREEN",
                "bakeTimeInMinutes": 5,
                "maximumPercent": 200,
                "minimumHealthyPercent": 100,
                "deploymentCircuitBreaker": {"enable": True, "rollback": True},
                "alarms": {"alarmNames": ["order-api-high-errors-dev"], "enable": True, "rollback": True},
                "lifecycleHooks": [
                    {
                        "targetType": "PAUSE",
                        "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"],
                        "timeoutConfiguration": {"timeoutInMinutes": 30, "action": "ROLLBACK"},
                    }
                ],
            },
            "deploymentController": {"type": "ECS"},
            "enableExecuteCommand": True,
            "healthCheckGracePeriodSeconds": 60,
            "availabilityZoneRebalancing": "ENABLED",
            "propagateTags": "SERVICE",
            "enableECSManagedTags": True,
            "schedulingStrategy": "REPLICA",
            "platformVersion": "LATEST",
            "tags": [{"key": "Project", "value": "order-api"}],
        }

    def release(self, name):
        """Answers the hook for which the first deployment waits."""
        briefs = self.ecs.list_service_deployments(cluster="order-api-dev", service=name)["serviceDeployments"]
        arn = briefs[0]["serviceDeploymentArn"]
        deployment = self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]
        self.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=deployment["lifecycleHookDetails"][0]["hookId"])

    def describe(self, name, include=("TAGS",)):
        return self.ecs.describe_services(cluster="order-api-dev", services=[name], include=list(include))["services"][0]

    def test_every_field_is_echoed(self):
        request = self.request("echo")
        created = self.ecs.create_service(**request)["service"]
        expected = {key: value for key, value in request.items() if key != "cluster"}
        self.assert_echoes(expected, created)
        self.release("echo")
        service = self.describe("echo")
        self.assert_echoes({**expected, "runningCount": 3, "pendingCount": 0, "status": "ACTIVE"}, service)
        self.assertNotIn("launchType", service)
        self.assertEqual(1, len(service["deployments"]))
        self.assert_echoes(
            {"status": "PRIMARY", "rolloutState": "COMPLETED", "taskDefinition": self.revisions[0], "runningCount": 3},
            service["deployments"][0],
        )
        self.assertIn("steady state", service["events"][0]["message"])
        self.assertEqual([], self.describe("echo", include=()).get("tags", []))

    def test_name_is_unique_while_it_lives(self):
        request = self.request("unique")
        first = self.ecs.create_service(**request, clientToken="token")["service"]["serviceArn"]
        self.assertEqual(first, self.ecs.create_service(**request, clientToken="token")["service"]["serviceArn"])
        self.assert_refused("InvalidParameterException", self.ecs.create_service, **request)

    def test_updates(self):
        self.ecs.create_service(**self.request("updated"))
        self.release("updated")
        deployment = self.describe("updated")["deployments"][0]["id"]

        def update(**fields):
            self.ecs.update_service(cluster="order-api-dev", service="updated", **fields)
            return self.describe("updated")

        service = update(desiredCount=5, enableExecuteCommand=False, healthCheckGracePeriodSeconds=90)
        self.assert_echoes({"desiredCount": 5, "runningCount": 5, "enableExecuteCommand": False, "healthCheckGracePeriodSeconds": 90}, service)
        self.assertEqual(deployment, service["deployments"][0]["id"])
        self.assertEqual(5, service["deployments"][0]["desiredCount"])

        service = update(deploymentConfiguration={"bakeTimeInMinutes": 9, "deploymentCircuitBreaker": {"enable": True, "rollback": False}, "lifecycleHooks": []})
        configuration = service["deploymentConfiguration"]
        self.assertEqual(("BLUE_GREEN", 9, []), (configuration["strategy"], configuration["bakeTimeInMinutes"], configuration["lifecycleHooks"]))
        self.assertFalse(configuration["deploymentCircuitBreaker"]["rollback"])
        self.assertEqual(deployment, service["deployments"][0]["id"])

        service = update(deploymentConfiguration={"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 20.0}})
        self.assertEqual({"canaryPercent": 20.0, "canaryBakeTimeInMinutes": 10}, service["deploymentConfiguration"]["canaryConfiguration"])

        service = update(taskDefinition=self.revisions[1])
        self.assertEqual(self.revisions[1], service["taskDefinition"])
        self.assertEqual(self.revisions[1], service["deployments"][0]["taskDefinition"])
        self.assertNotEqual(deployment, service["deployments"][0]["id"])

        service = update(capacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 2, "base": 1}], forceNewDeployment=True)
        self.assertEqual([{"capacityProvider": "FARGATE", "weight": 2, "base": 1}], service["capacityProviderStrategy"])

        deployment = service["deployments"][0]["id"]
        self.assertNotEqual(deployment, update(forceNewDeployment=True)["deployments"][0]["id"])

        arn = service["serviceArn"]
        self.ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "1"}])
        self.ecs.untag_resource(resourceArn=arn, tagKeys=["Project"])
        self.assertEqual([{"key": "a", "value": "1"}], self.ecs.list_tags_for_resource(resourceArn=arn)["tags"])

    def test_deleted_service_is_inactive_and_unlisted(self):
        arn = self.ecs.create_service(**self.request("gone"))["service"]["serviceArn"]
        self.assertIn(arn, self.ecs.list_services(cluster="order-api-dev")["serviceArns"])
        self.assert_refused("InvalidParameterException", self.ecs.delete_service, cluster="order-api-dev", service="gone")
        self.ecs.delete_service(cluster="order-api-dev", service=arn, force=True)
        service = self.describe("gone")
        self.assertEqual(("INACTIVE", 0, 0), (service["status"], service["desiredCount"], service["runningCount"]))
        self.assertNotIn(arn, self.ecs.list_services(cluster="order-api-dev")["serviceArns"])
        self.assert_refused("ServiceNotActiveException", self.ecs.update_service, cluster="order-api-dev", service="gone", desiredCount=1)
        self.assert_refused("ServiceNotFoundException", self.ecs.delete_service, cluster="order-api-dev", service="gone", force=True)
        self.assertEqual("ACTIVE", self.ecs.create_service(**self.request("gone"))["service"]["status"])

    def test_missing_service_is_a_failure(self):
        answer = self.ecs.describe_services(cluster="order-api-dev", services=["nowhere"])
        self.assertEqual(([], "MISSING"), (answer["services"], answer["failures"][0]["reason"]))
        self.assert_refused("ClusterNotFoundException", self.ecs.describe_services, cluster="nowhere", services=["x"])
        self.assert_refused("ServiceNotFoundException", self.ecs.update_service, cluster="order-api-dev", service="nowhere", desiredCount=1)

    def test_launch_type_and_defaults(self):
        request = {key: self.request("plain")[key] for key in ("cluster", "serviceName", "taskDefinition", "networkConfiguration")}
        service = self.ecs.create_service(**request, launchType="FARGATE", desiredCount=1)["service"]
        self.assert_echoes(
            {
                "launchType": "FARGATE",
                "enableExecuteCommand": False,
                "propagateTags": "NONE",
                "deploymentConfiguration": {"strategy": "ROLLING", "maximumPercent": 200, "minimumHealthyPercent": 100},
            },
            service,
        )
        self.assertNotIn("capacityProviderStrategy", service)


if __name__ == "__main__":
    unittest.main()
