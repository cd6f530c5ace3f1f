"""Targets of target groups: what DescribeTargetHealth says over time (field guide section 5)."""

import unittest

from ecs_support import EcsStage
from support import FrozenTest

#: Of `EcsStage.target_group`: the registration, then two checks in 5 s intervals.
REGISTERED, CHECKED, DRAINED = 5, 10, 30


class TargetHealthTest(FrozenTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stage = EcsStage(cls.client)
        cls.elb = cls.stage.elbv2

    def health(self, group, **fields):
        answer = self.elb.describe_target_health(TargetGroupArn=group, **fields)["TargetHealthDescriptions"]
        return [(item["TargetHealth"]["State"], item["TargetHealth"].get("Reason")) for item in answer]

    def used_group(self, name):
        group = self.stage.target_group(name)
        self.stage.rule((group, 100))
        return group

    def test_checks_of_a_new_target(self):
        group = self.used_group("checks")
        self.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.10"}])
        self.assertEqual([("initial", "Elb.RegistrationInProgress")], self.health(group))
        self.advance(REGISTERED)
        self.assertEqual([("initial", "Elb.InitialHealthChecking")], self.health(group))
        self.advance(CHECKED - 1)
        self.assertEqual([("initial", "Elb.InitialHealthChecking")], self.health(group))
        self.advance(1)
        self.assertEqual([("healthy", None)], self.health(group))
        item = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"][0]
        self.assertEqual({"Id": "10.0.0.10", "Port": 8080}, item["Target"])
        self.assertEqual("8080", item["HealthCheckPort"])

    def test_draining_lasts_for_the_deregistration_delay(self):
        group = self.used_group("drains")
        self.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.11", "Port": 8080}])
        self.advance(REGISTERED + CHECKED)
        self.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.11"}])
        draining = [("draining", "Target.DeregistrationInProgress")]
        self.assertEqual(draining, self.health(group))
        self.advance(DRAINED - 1)
        self.assertEqual(draining, self.health(group))
        self.advance(1)
        self.assertEqual([], self.health(group))
        self.assertEqual([("unused", "Target.NotRegistered")], self.health(group, Targets=[{"Id": "10.0.0.11", "Port": 8080}]))
        self.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.11"}])

    def test_registering_again_ends_the_draining(self):
        group = self.used_group("returns")
        target = [{"Id": "10.0.0.12"}]
        self.elb.register_targets(TargetGroupArn=group, Targets=target)
        self.elb.deregister_targets(TargetGroupArn=group, Targets=target)
        self.elb.register_targets(TargetGroupArn=group, Targets=target)
        self.advance(DRAINED + REGISTERED)
        self.assertEqual([("healthy", None)], self.health(group))

    def test_unused_until_a_rule_forwards_to_the_group(self):
        group = self.stage.target_group("unused")
        self.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.13"}])
        self.advance(REGISTERED + CHECKED)
        self.assertEqual([("unused", "Target.NotInUse")], self.health(group))
        # A weight of 0 is a use: the group is checked and not sent anything.
        rule = self.stage.rule((self.stage.target_group("other"), 100), (group, 0))
        self.assertEqual([("initial", "Elb.RegistrationInProgress")], self.health(group))
        self.advance(REGISTERED + CHECKED)
        self.assertEqual([("healthy", None)], self.health(group))
        self.elb.delete_rule(RuleArn=rule)
        self.assertEqual([("unused", "Target.NotInUse")], self.health(group))
        # Nothing ever came that would have to drain.
        self.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.13"}])
        self.assertEqual([], self.health(group))

    def test_a_listener_is_a_use(self):
        group = self.stage.target_group("listened")
        self.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.14"}])
        action = {"Type": "forward", "TargetGroupArn": group}
        listener = self.elb.create_listener(LoadBalancerArn=self.stage.balancer, Protocol="HTTP", Port=90, DefaultActions=[action])
        self.assertEqual("initial", self.health(group)[0][0])
        self.elb.delete_listener(ListenerArn=listener["Listeners"][0]["ListenerArn"])
        self.assertEqual("unused", self.health(group)[0][0])

    def test_one_address_with_two_ports(self):
        group = self.used_group("ports")
        self.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.15", "Port": port} for port in (81, 82)])
        self.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.15", "Port": 81}])
        self.assertEqual(["draining", "initial"], [state for state, _ in self.health(group)])

    def test_an_unknown_group(self):
        unknown = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/unknown/1"
        self.assert_refused("TargetGroupNotFound", self.elb.describe_target_health, TargetGroupArn=unknown)
        self.assert_refused("TargetGroupNotFound", self.elb.register_targets, TargetGroupArn=unknown, Targets=[{"Id": "10.0.0.1"}])


if __name__ == "__main__":
    unittest.main()
