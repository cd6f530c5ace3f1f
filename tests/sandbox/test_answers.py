"""What is told rather than found out: quotas, IAM's simulation, and the samples of blocked requests."""

import unittest
from datetime import datetime, timedelta, timezone
from urllib.error import HTTPError

from support import ACCOUNT, SandboxTest


class AnswersTest(SandboxTest):
    OPTIONS = ("--speed", "0", "--control")

    def quota(self, service: str, code: str) -> float:
        return self.client("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]

    def test_quotas_are_those_that_are_held(self):
        self.assertEqual(5, self.quota("ec2", "L-0263D0A3"))
        self.assertEqual(5, self.quota("vpc", "L-FE5A380F"))
        self.assertEqual(64, self.quota("fargate", "L-3032A538"))
        self.assertEqual(64, self.quota("fargate", "L-36FBB829"))
        self.server.control("quotas", {"elastic-ips": 2})
        self.assertEqual(2, self.quota("ec2", "L-0263D0A3"))
        self.server.control("quotas", {"elastic-ips": 5})
        self.assert_refused(
            "NoSuchResourceException",
            self.client("service-quotas").get_service_quota,
            ServiceCode="ec2",
            QuotaCode="L-00000000",
        )

    def test_the_default_vpc_has_its_place_in_the_quota(self):
        used = len(self.client("ec2").describe_vpcs()["Vpcs"])
        self.server.control("quotas", {"vpcs": 1})
        self.assertEqual(used + 1, self.quota("vpc", "L-F678F1CE"))
        self.server.control("quotas", {"vpcs": 5})

    def simulate(self, actions: list[str], **more) -> dict[str, str]:
        pages = self.client("iam").get_paginator("simulate_principal_policy")
        source = f"arn:aws:iam::{ACCOUNT}:user/ana"
        found = {}
        for page in pages.paginate(PolicySourceArn=source, ActionNames=actions, **more):
            found |= {result["EvalActionName"]: result["EvalDecision"] for result in page["EvaluationResults"]}
        return found

    def test_everything_is_allowed_until_it_is_denied(self):
        actions = ["ec2:CreateVpc", "rds:CreateDBCluster", "sns:CreateTopic"]
        self.assertEqual(dict.fromkeys(actions, "allowed"), self.simulate(actions))
        self.server.control("denied-actions", {"actions": ["rds:*", "ec2:createvpc"]})
        self.assertEqual(["implicitDeny", "implicitDeny", "allowed"], list(self.simulate(actions).values()))
        arn = f"arn:aws:rds:us-east-1:{ACCOUNT}:cluster:x"
        self.assertEqual("implicitDeny", self.simulate(["rds:CreateDBCluster"], ResourceArns=[arn])["rds:CreateDBCluster"])
        self.server.control("denied-actions", {"actions": []})
        self.assertEqual(dict.fromkeys(actions, "allowed"), self.simulate(actions))
        with self.assertRaises(HTTPError) as caught:
            self.server.control("denied-actions", {"actions": ["CreateVpc"]})
        caught.exception.close()

    def test_long_simulations_have_pages(self):
        actions = [f"ec2:Do{number}" for number in range(150)]
        self.assertEqual(actions, list(self.simulate(actions)))

    def test_samples_are_those_that_were_told(self):
        waf = self.client("wafv2")
        visibility = {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True, "MetricName": "x"}
        made = waf.create_web_acl(
            Name="acl", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=visibility, Rules=[]
        )["Summary"]
        now = datetime.now(timezone.utc)
        request = {
            "WebAclArn": made["ARN"],
            "RuleMetricName": "RateLimitRule",
            "Scope": "REGIONAL",
            "TimeWindow": {"StartTime": now - timedelta(hours=1), "EndTime": now},
            "MaxItems": 500,
        }
        self.assertEqual([], waf.get_sampled_requests(**request)["SampledRequests"])
        self.server.control("blocked-requests", {"rule": "RateLimitRule", "address": "203.0.113.9", "weight": 40})
        answer = waf.get_sampled_requests(**request)
        self.assertEqual(40, answer["PopulationSize"])
        self.assert_echoes(
            {"Action": "BLOCK", "Weight": 40, "Request": {"ClientIP": "203.0.113.9", "Country": "US", "Method": "GET"}},
            answer["SampledRequests"][0],
        )
        self.assertEqual([], waf.get_sampled_requests(**{**request, "RuleMetricName": "other"})["SampledRequests"])
        self.assert_refused("WAFNonexistentItemException", waf.get_sampled_requests, **{**request, "WebAclArn": "arn:aws:wafv2:us-east-1:1:x"})


if __name__ == "__main__":
    unittest.main()
