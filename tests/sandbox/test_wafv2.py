"""Web ACLs and IP sets answer what they were given, and associations are kept."""

import unittest

from support import SandboxTest, make_network

TAGS = [{"Key": "Project", "Value": "order-api"}]


def visibility(name):
    return {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True, "MetricName": name}


class WafTest(SandboxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.waf = cls.client("wafv2")
        cls.network = make_network(cls.client("ec2"))
        cls.balancers = [
            cls.client("elbv2").create_load_balancer(Name=name, Subnets=cls.network["subnets"])["LoadBalancers"][0]["LoadBalancerArn"] for name in ("one", "two")
        ]

    def ip_set(self, name, addresses=("192.0.2.0/24", "198.51.100.7/32")):
        request = {"Name": name, "Scope": "REGIONAL", "IPAddressVersion": "IPV4", "Addresses": list(addresses), "Description": "offices", "Tags": TAGS}
        return self.waf.create_ip_set(**request)["Summary"]

    def rules(self, ip_set):
        managed = [
            {
                "Name": f"AWS-{name}",
                "Priority": priority,
                "OverrideAction": {override: {}},
                "Statement": {
                    "ManagedRuleGroupStatement": {
                        "VendorName": "AWS",
                        "Name": name,
                        "RuleActionOverrides": [{"Name": "SizeRestrictions_BODY", "ActionToUse": {"Count": {}}}],
                        "ExcludedRules": [],
                    }
                },
                "VisibilityConfig": visibility(name),
            }
            for priority, name, override in ((2, "AWSManagedRulesCommonRuleSet", "None"), (3, "AWSManagedRulesSQLiRuleSet", "Count"))
        ]
        return [
            {
                "Name": "AllowList",
                "Priority": 0,
                "Action": {"Allow": {}},
                "Statement": {"IPSetReferenceStatement": {"ARN": ip_set}},
                "VisibilityConfig": visibility("AllowList"),
            },
            {
                "Name": "RateLimitRule",
                "Priority": 1,
                "Action": {"Block": {}},
                "Statement": {"RateBasedStatement": {"Limit": 100, "EvaluationWindowSec": 300, "AggregateKeyType": "IP"}},
                "VisibilityConfig": visibility("RateLimitRule"),
            },
            *managed,
        ]

    def test_ip_set(self):
        summary = self.ip_set("allow")
        found = self.waf.get_ip_set(Name="allow", Scope="REGIONAL", Id=summary["Id"])
        self.assert_echoes({"Addresses": ["192.0.2.0/24", "198.51.100.7/32"], "Description": "offices", "IPAddressVersion": "IPV4", "ARN": summary["ARN"]}, found["IPSet"])
        with self.assertRaises(self.waf.exceptions.WAFDuplicateItemException):
            self.ip_set("allow")
        token = found["LockToken"]
        self.assertEqual(token, summary["LockToken"])
        update = {"Name": "allow", "Scope": "REGIONAL", "Id": summary["Id"], "Addresses": ["203.0.113.0/24"], "Description": "new"}
        next_token = self.waf.update_ip_set(**update, LockToken=token)["NextLockToken"]
        with self.assertRaises(self.waf.exceptions.WAFOptimisticLockException):
            self.waf.update_ip_set(**update, LockToken=token)
        found = self.waf.get_ip_set(Name="allow", Scope="REGIONAL", Id=summary["Id"])
        self.assertEqual((["203.0.113.0/24"], "new", next_token), (found["IPSet"]["Addresses"], found["IPSet"]["Description"], found["LockToken"]))
        self.assertIn(summary["ARN"], [item["ARN"] for item in self.waf.list_ip_sets(Scope="REGIONAL")["IPSets"]])
        self.tags(summary["ARN"])
        self.waf.delete_ip_set(Name="allow", Scope="REGIONAL", Id=summary["Id"], LockToken=next_token)
        with self.assertRaises(self.waf.exceptions.WAFNonexistentItemException):
            self.waf.get_ip_set(Name="allow", Scope="REGIONAL", Id=summary["Id"])
        with self.assertRaises(self.waf.exceptions.WAFNonexistentItemException):
            self.waf.list_tags_for_resource(ResourceARN=summary["ARN"])

    def tags(self, arn):
        self.waf.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}])
        self.waf.untag_resource(ResourceARN=arn, TagKeys=["Project"])
        self.assertEqual([{"Key": "a", "Value": "1"}], self.waf.list_tags_for_resource(ResourceARN=arn)["TagInfoForResource"]["TagList"])

    def test_web_acl(self):
        rules = self.rules(self.ip_set("for-acl")["ARN"])
        request = {"Name": "order-api-waf-dev", "Scope": "REGIONAL", "DefaultAction": {"Allow": {}}, "Description": "front door", "Rules": rules, "VisibilityConfig": visibility("acl")}
        summary = self.waf.create_web_acl(**request, Tags=TAGS)["Summary"]
        identity = {"Name": "order-api-waf-dev", "Scope": "REGIONAL", "Id": summary["Id"]}
        expected = {key: value for key, value in request.items() if key != "Scope"}
        found = self.waf.get_web_acl(**identity)
        self.assert_echoes(expected, found["WebACL"])
        self.assertEqual(summary["ARN"], found["WebACL"]["ARN"])
        self.assertGreater(found["WebACL"]["Capacity"], 0)
        with self.assertRaises(self.waf.exceptions.WAFDuplicateItemException):
            self.waf.create_web_acl(**request)
        changed = {"DefaultAction": {"Block": {}}, "Description": "changed", "Rules": rules[:2], "VisibilityConfig": visibility("changed")}
        token = self.waf.update_web_acl(**identity, **changed, LockToken=found["LockToken"])["NextLockToken"]
        found = self.waf.get_web_acl(**identity)
        self.assert_echoes(changed, found["WebACL"])
        self.assertEqual(token, found["LockToken"])
        with self.assertRaises(self.waf.exceptions.WAFOptimisticLockException):
            self.waf.update_web_acl(**identity, **changed, LockToken="00000000-0000-0000-0000-000000000000")
        self.tags(summary["ARN"])

        balancer = self.balancers[0]
        self.assertNotIn("WebACL", self.waf.get_web_acl_for_resource(ResourceArn=balancer))
        self.waf.associate_web_acl(WebACLArn=summary["ARN"], ResourceArn=balancer)
        self.assert_echoes(changed, self.waf.get_web_acl_for_resource(ResourceArn=balancer)["WebACL"])
        self.assertEqual([balancer], self.waf.list_resources_for_web_acl(WebACLArn=summary["ARN"])["ResourceArns"])
        other = self.waf.create_web_acl(**{**request, "Name": "other"})["Summary"]["ARN"]
        self.waf.associate_web_acl(WebACLArn=other, ResourceArn=balancer)
        self.assertEqual("other", self.waf.get_web_acl_for_resource(ResourceArn=balancer)["WebACL"]["Name"])
        self.assertEqual([], self.waf.list_resources_for_web_acl(WebACLArn=summary["ARN"])["ResourceArns"])
        self.waf.associate_web_acl(WebACLArn=summary["ARN"], ResourceArn=self.balancers[1])
        with self.assertRaises(self.waf.exceptions.WAFAssociatedItemException):
            self.waf.delete_web_acl(**identity, LockToken=token)
        self.waf.disassociate_web_acl(ResourceArn=self.balancers[1])
        self.assertNotIn("WebACL", self.waf.get_web_acl_for_resource(ResourceArn=self.balancers[1]))
        self.waf.delete_web_acl(**identity, LockToken=token)
        with self.assertRaises(self.waf.exceptions.WAFNonexistentItemException):
            self.waf.get_web_acl(**identity)
        self.assertNotIn(summary["ARN"], [item["ARN"] for item in self.waf.list_web_acls(Scope="REGIONAL")["WebACLs"]])


if __name__ == "__main__":
    unittest.main()
