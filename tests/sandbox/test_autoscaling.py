"""Scalable targets and policies of an ECS service."""

import unittest

from support import SandboxTest, make_network

TAGS = {"Project": "order-api"}
DIMENSION = "ecs:service:DesiredCount"


class AutoScalingTest(SandboxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.scaling = cls.client("application-autoscaling")
        cls.ecs = cls.client("ecs")
        cls.network = make_network(cls.client("ec2"))
        cls.client("iam").create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
        cls.ecs.create_cluster(clusterName="c")
        cls.ecs.register_task_definition(
            family="t", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512", containerDefinitions=[{"name": "a", "image": "a"}]
        )

    def service(self, name, count):
        self.ecs.create_service(
            cluster="c",
            serviceName=name,
            taskDefinition="t",
            desiredCount=count,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": self.network["subnets"], "securityGroups": [self.network["group"]]}},
        )
        return f"service/c/{name}"

    def desired(self, name):
        return self.ecs.describe_services(cluster="c", services=[name])["services"][0]["desiredCount"]

    def register(self, resource, **fields):
        return self.scaling.register_scalable_target(ServiceNamespace="ecs", ResourceId=resource, ScalableDimension=DIMENSION, **fields)

    def targets(self, resource):
        return self.scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[resource], ScalableDimension=DIMENSION)["ScalableTargets"]

    def test_target_round_trip(self):
        resource = self.service("target", 4)
        suspended = {"DynamicScalingInSuspended": True, "DynamicScalingOutSuspended": True, "ScheduledScalingSuspended": False}
        arn = self.register(resource, MinCapacity=3, MaxCapacity=10, SuspendedState=suspended, Tags=TAGS)["ScalableTargetARN"]
        self.assert_echoes(
            {"MinCapacity": 3, "MaxCapacity": 10, "SuspendedState": suspended, "ResourceId": resource, "ScalableTargetARN": arn}, self.targets(resource)[0]
        )
        self.assertIn("AWSServiceRoleForApplicationAutoScaling_ECSService", self.targets(resource)[0]["RoleARN"])
        self.register(resource, MaxCapacity=12)
        self.assert_echoes({"MinCapacity": 3, "MaxCapacity": 12, "SuspendedState": suspended}, self.targets(resource)[0])
        self.assertEqual(TAGS, self.scaling.list_tags_for_resource(ResourceARN=arn)["Tags"])
        self.scaling.tag_resource(ResourceARN=arn, Tags={"a": "1"})
        self.scaling.untag_resource(ResourceARN=arn, TagKeys=["Project"])
        self.assertEqual({"a": "1"}, self.scaling.list_tags_for_resource(ResourceARN=arn)["Tags"])
        self.assert_refused("ResourceNotFoundException", self.scaling.list_tags_for_resource, ResourceARN=arn[:-2] + "zz")

    def test_registering_pulls_the_count_into_bounds(self):
        resource = self.service("pulled", 1)
        self.register(resource, MinCapacity=3, MaxCapacity=10)
        self.assertEqual(3, self.desired("pulled"))
        self.register(resource, MinCapacity=1, MaxCapacity=2)
        self.assertEqual(2, self.desired("pulled"))
        self.register(resource, MinCapacity=1, MaxCapacity=5)
        self.assertEqual(2, self.desired("pulled"))

    def test_unknown_service_is_refused(self):
        error = self.assert_refused(
            "ValidationException",
            self.scaling.register_scalable_target,
            ServiceNamespace="ecs",
            ResourceId="service/c/nowhere",
            ScalableDimension=DIMENSION,
            MinCapacity=1,
            MaxCapacity=2,
        )
        self.assertIn("ECS service doesn't exist", str(error))

    def test_policies_go_with_their_target(self):
        resource = self.service("policies", 3)
        target_tracking = {
            "TargetValue": 100.0,
            "CustomizedMetricSpecification": {"MetricName": "PendingOrders", "Namespace": "OrderAPI/dev", "Statistic": "Average", "Unit": "Count"},
            "ScaleInCooldown": 300,
            "ScaleOutCooldown": 60,
            "DisableScaleIn": False,
        }
        predefined = {"TargetValue": 70.0, "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}, "ScaleInCooldown": 300, "ScaleOutCooldown": 60}
        with self.assertRaises(self.scaling.exceptions.ObjectNotFoundException):
            self.put(resource, "early", predefined)
        self.register(resource, MinCapacity=3, MaxCapacity=10)
        first = self.put(resource, "pending-orders-scaling-dev", target_tracking)
        self.put(resource, "cpu-scaling-dev", predefined)
        found = {policy["PolicyName"]: policy for policy in self.policies(resource)}
        self.assert_echoes(target_tracking, found["pending-orders-scaling-dev"]["TargetTrackingScalingPolicyConfiguration"])
        self.assert_echoes(predefined, found["cpu-scaling-dev"]["TargetTrackingScalingPolicyConfiguration"])
        self.assertEqual({2}, {len(policy["Alarms"]) for policy in found.values()})
        again = self.put(resource, "pending-orders-scaling-dev", {**target_tracking, "TargetValue": 50.0})
        self.assertEqual(first["PolicyARN"], again["PolicyARN"])
        self.assertEqual(2, len(self.policies(resource)))
        self.scaling.delete_scaling_policy(PolicyName="cpu-scaling-dev", ServiceNamespace="ecs", ResourceId=resource, ScalableDimension=DIMENSION)
        self.assertEqual(["pending-orders-scaling-dev"], [policy["PolicyName"] for policy in self.policies(resource)])
        self.scaling.deregister_scalable_target(ServiceNamespace="ecs", ResourceId=resource, ScalableDimension=DIMENSION)
        self.assertEqual(([], []), (self.targets(resource), self.policies(resource)))
        alarms = self.client("cloudwatch").describe_alarms(AlarmNamePrefix="TargetTracking-service/c/policies")["MetricAlarms"]
        self.assertEqual([], alarms)
        with self.assertRaises(self.scaling.exceptions.ObjectNotFoundException):
            self.scaling.deregister_scalable_target(ServiceNamespace="ecs", ResourceId=resource, ScalableDimension=DIMENSION)

    def put(self, resource, name, configuration):
        return self.scaling.put_scaling_policy(
            PolicyName=name,
            ServiceNamespace="ecs",
            ResourceId=resource,
            ScalableDimension=DIMENSION,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=configuration,
        )

    def policies(self, resource):
        return self.scaling.describe_scaling_policies(ServiceNamespace="ecs", ResourceId=resource)["ScalingPolicies"]


if __name__ == "__main__":
    unittest.main()
