"""Scalable targets: their role, and what is not known at once."""

import unittest

from support import FrozenTest, make_network

RESOURCE = "service/c/s"
DIMENSION = "ecs:service:DesiredCount"
ROLE = "AWSServiceRoleForApplicationAutoScaling_ECSService"
TARGET = {"ServiceNamespace": "ecs", "ResourceId": RESOURCE, "ScalableDimension": DIMENSION}
POLICY = {
    **TARGET,
    "PolicyName": "cpu",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
    },
}


class ScalingTest(FrozenTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.scaling, cls.iam, ecs = cls.client("application-autoscaling"), cls.client("iam"), cls.client("ecs")
        network = make_network(cls.client("ec2"))
        cls.iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
        ecs.create_cluster(clusterName="c")
        cls.server.control("clock", {"advance": 60})
        container = {"name": "a", "image": "a"}
        ecs.register_task_definition(
            family="t",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[container],
        )
        cls.network = network
        cls.make_service("s")

    @classmethod
    def make_service(cls, name):
        network = {"subnets": cls.network["subnets"], "securityGroups": [cls.network["group"]]}
        cls.client("ecs").create_service(
            cluster="c",
            serviceName=name,
            taskDefinition="t",
            desiredCount=1,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": network},
        )

    def register(self, **fields):
        return self.scaling.register_scalable_target(**TARGET, **fields)["ScalableTargetARN"]

    def targets(self):
        return [
            item["ScalableTargetARN"]
            for item in self.scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
        ]


class FirstTargetTest(ScalingTest):
    def test_limits_and_the_role_of_the_service(self):
        for fields in ({"MinCapacity": 1}, {"MaxCapacity": 2}, {"MinCapacity": 3, "MaxCapacity": 2}):
            self.assert_refused("ValidationException", self.register, **fields)
        for resource in ("service/c", "service/c/nothing"):
            with self.assertRaises(self.scaling.exceptions.ValidationException):
                self.scaling.register_scalable_target(
                    **{**TARGET, "ResourceId": resource}, MinCapacity=1, MaxCapacity=2
                )
        with self.assertRaises(self.iam.exceptions.NoSuchEntityException):
            self.iam.get_role(RoleName=ROLE)
        arn = self.register(MinCapacity=1, MaxCapacity=2)
        self.assertIn("/ecs.application-autoscaling.amazonaws.com/", self.iam.get_role(RoleName=ROLE)["Role"]["Arn"])
        self.assertEqual(arn, self.register(MaxCapacity=5))
        self.assert_refused("ValidationException", self.register, MinCapacity=6)
        self.scaling.put_scaling_policy(**POLICY)


class LagTest(ScalingTest):
    def test_what_is_new_is_missed(self):
        self.server.control("consistency", {"lag": 10})
        error = self.assert_refused("ValidationException", self.register, MinCapacity=1, MaxCapacity=2)
        self.assertIn("Unable to assume IAM role", str(error))
        self.assertEqual([], self.targets())
        self.advance(10)
        arn = self.register(MinCapacity=1, MaxCapacity=2)
        self.assertEqual([], self.targets())
        with self.assertRaises(self.scaling.exceptions.ObjectNotFoundException):
            self.scaling.put_scaling_policy(**POLICY)
        self.assert_refused("ResourceNotFoundException", self.scaling.list_tags_for_resource, ResourceARN=arn)
        self.assertEqual(arn, self.register(MaxCapacity=3), "a repeated registration finds it")
        self.advance(10)
        self.assertEqual([arn], self.targets())
        self.scaling.put_scaling_policy(**POLICY)
        self.assertEqual({}, self.scaling.list_tags_for_resource(ResourceARN=arn)["Tags"])
        self.scaling.deregister_scalable_target(**TARGET)
        self.assertEqual([], self.targets())

        self.make_service("fresh")
        fresh = {**TARGET, "ResourceId": "service/c/fresh", "MinCapacity": 1, "MaxCapacity": 2}
        error = self.assert_refused("ValidationException", self.scaling.register_scalable_target, **fresh)
        self.assertIn("ECS service doesn't exist", str(error))
        self.advance(10)
        self.scaling.register_scalable_target(**fresh)


if __name__ == "__main__":
    unittest.main()
