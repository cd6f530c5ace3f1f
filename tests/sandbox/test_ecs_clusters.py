"""Clusters over time, what refuses to be deleted, and Container Insights (field guide sections 3, 4 and 12)."""

import json
import unittest

from ecs_support import CLUSTER
from support import FrozenTest
from task_world import START, TaskWorld

PROVIDERS = {"capacityProviders": ["FARGATE"], "defaultCapacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]}


class FreshAccountTest(FrozenTest):
    def test_the_first_cluster_is_ahead_of_the_service_linked_role(self):
        ecs, iam = self.client("ecs"), self.client("iam")
        for _ in range(2):
            error = self.assert_refused("InvalidParameterException", ecs.create_cluster, clusterName="first")
            self.assertIn("Unable to assume the service linked role", str(error))
            self.assert_refused("NoSuchEntity", iam.get_role, RoleName="AWSServiceRoleForECS")
        self.advance(5)
        role = iam.get_role(RoleName="AWSServiceRoleForECS")["Role"]
        self.assertEqual("/aws-service-role/ecs.amazonaws.com/", role["Path"])
        self.assertEqual("ACTIVE", ecs.create_cluster(clusterName="first")["cluster"]["status"])


class ClusterTest(FrozenTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ecs = cls.client("ecs")
        cls.client("iam").create_service_linked_role(AWSServiceName="ecs.amazonaws.com")

    def status(self, name):
        return self.ecs.describe_clusters(clusters=[name])["clusters"][0]["status"]

    def test_capacity_providers_take_time(self):
        self.assertEqual("PROVISIONING", self.ecs.create_cluster(clusterName="times", **PROVIDERS)["cluster"]["status"])
        arn = self.ecs.create_cluster(clusterName="times", **PROVIDERS)["cluster"]["clusterArn"]
        self.assertIn(arn, self.ecs.list_clusters()["clusterArns"])
        error = self.assert_refused("ClientException", self.ecs.put_cluster_capacity_providers, cluster="times", **PROVIDERS)
        self.assertIn("Cluster was not ACTIVE", str(error))
        self.advance(3)
        self.assertEqual("ACTIVE", self.status("times"))
        updated = self.ecs.put_cluster_capacity_providers(cluster="times", **PROVIDERS)["cluster"]
        self.assertEqual(("ACTIVE", "UPDATE_IN_PROGRESS"), (updated["status"], updated["attachmentsStatus"]))
        self.assert_refused("UpdateInProgressException", self.ecs.put_cluster_capacity_providers, cluster="times", **PROVIDERS)
        self.assert_refused("UpdateInProgressException", self.ecs.delete_cluster, cluster="times")
        self.advance(5)
        self.assertEqual("DEPROVISIONING", self.ecs.delete_cluster(cluster="times")["cluster"]["status"])
        error = self.assert_refused("ClientException", self.ecs.create_cluster, clusterName="times")
        self.assertIn("Cluster was not ACTIVE", str(error))
        self.advance(5)
        self.assertEqual("INACTIVE", self.status("times"))
        self.assertNotIn(arn, self.ecs.list_clusters()["clusterArns"])
        self.advance(3599)
        self.assertEqual("INACTIVE", self.status("times"))
        self.advance(1)
        self.assertEqual("MISSING", self.ecs.describe_clusters(clusters=["times"])["failures"][0]["reason"])

    def test_a_new_cluster_outlives_the_tombstone_of_its_name(self):
        self.ecs.create_cluster(clusterName="again")
        self.ecs.delete_cluster(cluster="again")
        self.advance(1800)
        self.ecs.create_cluster(clusterName="again")
        self.advance(3600)
        self.assertEqual("ACTIVE", self.status("again"))


class ContentTest(FrozenTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world = TaskWorld(cls.client)
        cls.ecs = cls.world.ecs
        cls.server.control("clock", {"advance": 60})

    def groups(self, name):
        found = self.world.logs.describe_log_groups(logGroupNamePrefix=f"/aws/ecs/containerinsights/{name}/")["logGroups"]
        return [group["logGroupName"] for group in found]

    def test_tasks_keep_it(self):
        self.ecs.create_cluster(clusterName="tasks")
        arn = self.world.run(self.world.revision(), cluster="tasks")
        counts = self.ecs.describe_clusters(clusters=["tasks"])["clusters"][0]
        self.assertEqual((0, 1), (counts["runningTasksCount"], counts["pendingTasksCount"]))
        self.advance(START)
        counts = self.ecs.describe_clusters(clusters=["tasks"])["clusters"][0]
        self.assertEqual((1, 0), (counts["runningTasksCount"], counts["pendingTasksCount"]))
        error = self.assert_refused("ClusterContainsTasksException", self.ecs.delete_cluster, cluster="tasks")
        self.assertIn("The Cluster cannot be deleted while Tasks are active.", str(error))
        self.ecs.stop_task(cluster="tasks", task=arn)
        self.assert_refused("ClusterContainsTasksException", self.ecs.delete_cluster, cluster="tasks")
        self.advance(25)
        self.ecs.delete_cluster(cluster="tasks")

    def test_services_keep_it(self):
        self.ecs.create_cluster(clusterName="services")
        self.ecs.create_service(**{**self.world.request("s", self.world.revision(), 0), "cluster": "services"})
        error = self.assert_refused("ClusterContainsServicesException", self.ecs.delete_cluster, cluster="services")
        self.assertIn("The Cluster cannot be deleted while Services are active.", str(error))
        self.ecs.delete_service(cluster="services", service="s", force=True)
        self.advance(120)
        self.ecs.delete_cluster(cluster="services")

    def test_container_insights_bring_their_log_group_back(self):
        name, group = "insights", "/aws/ecs/containerinsights/insights/performance"
        self.ecs.create_cluster(clusterName=name, settings=[{"name": "containerInsights", "value": "enabled"}])
        self.assertEqual([], self.groups(name))
        arn = self.world.run(self.world.revision(), cluster=name)
        self.advance(START)
        events = self.world.logs.filter_log_events(logGroupName=group)["events"]
        self.assert_echoes({"Type": "Task", "ClusterName": name, "TaskId": arn.rpartition("/")[2]}, json.loads(events[0]["message"]))
        self.ecs.stop_task(cluster=name, task=arn)
        self.advance(25)
        self.ecs.delete_cluster(cluster=name)
        self.world.logs.delete_log_group(logGroupName=group)
        self.advance(19)
        self.assertEqual([], self.groups(name))
        self.advance(1)
        self.assertEqual([group], self.groups(name))

    def test_no_insights_no_log_group(self):
        arn = self.world.run(self.world.revision())
        self.advance(START)
        self.ecs.stop_task(cluster=CLUSTER, task=arn)
        self.advance(25)
        self.assertEqual([], self.groups(CLUSTER))


class LagTest(FrozenTest):
    OPTIONS = ("--control", "--lag", "10")

    def test_a_new_cluster_is_missed_at_first(self):
        ecs = self.client("ecs")
        self.client("iam").create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
        self.advance(10)
        arn = ecs.create_cluster(clusterName="lagging")["cluster"]["clusterArn"]
        self.assertEqual("MISSING", ecs.describe_clusters(clusters=["lagging"])["failures"][0]["reason"])
        self.assertNotIn(arn, ecs.list_clusters()["clusterArns"])
        self.assert_refused("ClusterNotFoundException", ecs.list_tasks, cluster="lagging")
        # Creating it again finds it all the same.
        self.assertEqual(arn, ecs.create_cluster(clusterName="lagging")["cluster"]["clusterArn"])
        self.advance(10)
        self.assertEqual(arn, ecs.describe_clusters(clusters=["lagging"])["clusters"][0]["clusterArn"])
        self.assertIn(arn, ecs.list_clusters()["clusterArns"])
        self.assertEqual([], ecs.list_tasks(cluster="lagging")["taskArns"])


if __name__ == "__main__":
    unittest.main()
