"""Web ACLs, IP sets and associations: what WAF refuses, keeps in use for a while, and misses."""

import unittest

from support import FrozenTest, SandboxTest, make_network
from test_elbv2_behaviour import unchecked

MISSING = "00000000-0000-0000-0000-000000000000"


def visibility(name):
    return {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True, "MetricName": name}


def rule(name, statement, priority=0):
    action = {"Action": {"Block": {}}, "VisibilityConfig": visibility(name)}
    return {"Name": name, "Priority": priority, "Statement": statement, **action}


def reference(ip_set):
    return rule("listed", {"NotStatement": {"Statement": {"IPSetReferenceStatement": {"ARN": ip_set["ARN"]}}}})


def rate(limit=100, window=300):
    return rule("rate", {"RateBasedStatement": {"Limit": limit, "EvaluationWindowSec": window, "AggregateKeyType": "IP"}})


class Waf:
    """What the tests of this module share. The names of items are unique over a class."""

    @classmethod
    def prepare(cls):
        cls.waf = cls.client("wafv2")
        cls.elb = cls.client("elbv2")

    def balancer(self, name):
        made = self.elb.create_load_balancer(Name=name, Subnets=self.network["subnets"])
        return made["LoadBalancers"][0]["LoadBalancerArn"]

    def ip_set(self, name, addresses=("192.0.2.0/24",), waf=None, **fields):
        request = {"Name": name, "Scope": "REGIONAL", "IPAddressVersion": "IPV4", "Addresses": list(addresses), **fields}
        return (waf or self.waf).create_ip_set(**request)["Summary"]

    def settings(self, rules=(), **fields):
        return {"DefaultAction": {"Allow": {}}, "Rules": list(rules), "VisibilityConfig": visibility("acl"), **fields}

    def web_acl(self, name, rules=(), waf=None, **fields):
        return (waf or self.waf).create_web_acl(Name=name, Scope="REGIONAL", **self.settings(rules, **fields))["Summary"]

    def identity(self, item):
        return {"Name": item["Name"], "Scope": "REGIONAL", "Id": item["Id"]}

    def token(self, item):
        get = self.waf.get_ip_set if "/ipset/" in item["ARN"] else self.waf.get_web_acl
        return get(**self.identity(item))["LockToken"]

    def update(self, acl, rules=(), waf=None, **fields):
        (waf or self.waf).update_web_acl(**self.identity(acl), **self.settings(rules, **fields), LockToken=self.token(acl))

    def delete(self, item):
        delete = self.waf.delete_ip_set if "/ipset/" in item["ARN"] else self.waf.delete_web_acl
        delete(**self.identity(item), LockToken=self.token(item))

    def associate(self, acl, balancer):
        self.waf.associate_web_acl(WebACLArn=acl["ARN"], ResourceArn=balancer)


class LingeringTest(Waf, FrozenTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare()
        cls.network = make_network(cls.client("ec2"))

    def assert_freed_late(self, item):
        self.advance(14)
        self.assert_refused("WAFAssociatedItemException", self.delete, item=item)
        self.advance(2)
        self.delete(item)
        self.assert_refused("WAFNonexistentItemException", self.token, item=item)

    def test_a_web_acl_after_its_disassociation(self):
        acl, balancer = self.web_acl("left"), self.balancer("left")
        self.associate(acl, balancer)
        self.advance(3600)
        self.assert_refused("WAFAssociatedItemException", self.delete, item=acl)
        self.waf.disassociate_web_acl(ResourceArn=balancer)
        self.assertNotIn("WebACL", self.waf.get_web_acl_for_resource(ResourceArn=balancer))
        self.assert_freed_late(acl)

    def test_a_web_acl_after_its_load_balancer_is_gone(self):
        acl, balancer = self.web_acl("alone"), self.balancer("alone")
        self.associate(acl, balancer)
        self.elb.delete_load_balancer(LoadBalancerArn=balancer)
        self.assertEqual([], self.waf.list_resources_for_web_acl(WebACLArn=acl["ARN"])["ResourceArns"])
        self.assert_freed_late(acl)

    def test_a_web_acl_that_another_has_replaced(self):
        first, second, balancer = self.web_acl("first"), self.web_acl("second"), self.balancer("replaced")
        self.associate(first, balancer)
        self.associate(second, balancer)
        self.assertEqual("second", self.waf.get_web_acl_for_resource(ResourceArn=balancer)["WebACL"]["Name"])
        self.assert_freed_late(first)

    def test_associating_again_ends_nothing(self):
        acl, balancer = self.web_acl("again"), self.balancer("again")
        self.associate(acl, balancer)
        self.associate(acl, balancer)
        self.waf.disassociate_web_acl(ResourceArn=balancer)
        self.assert_freed_late(acl)

    def test_an_ip_set_after_its_web_acl(self):
        ip_set = self.ip_set("after-acl")
        acl = self.web_acl("of-ip-set", [reference(ip_set)])
        self.assert_refused("WAFAssociatedItemException", self.delete, item=ip_set)
        self.delete(acl)
        self.assert_freed_late(ip_set)

    def test_an_ip_set_that_a_web_acl_no_longer_refers_to(self):
        ip_set = self.ip_set("dropped")
        acl = self.web_acl("dropping", [reference(ip_set)])
        self.update(acl)
        self.assert_freed_late(ip_set)


class RefusalTest(Waf, SandboxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare()
        cls.network = make_network(cls.client("ec2"))
        cls.lenient = unchecked(cls, "wafv2")

    def assert_invalid(self, field, call, **arguments):
        error = self.assert_refused("WAFInvalidParameterException", call, **arguments)
        self.assertEqual(field, error.response["Field"])
        self.assertIn(f"field: {field}, parameter: ", error.response["Error"]["Message"])

    def test_rate_limits(self):
        acl = self.web_acl("rates", [rate(10, 60)])
        for window in (120, 300, 600):
            self.update(acl, [rate(2_000_000_000, window)])
        for limit, window in ((9, 300), (2_000_000_001, 300), (100, 0), (100, 90), (100, 3600)):
            rules = [rate(limit, window)]
            self.assert_invalid("RATE_BASED_STATEMENT", self.web_acl, name="bad-rate", rules=rules, waf=self.lenient)
            self.assert_invalid("RATE_BASED_STATEMENT", self.update, acl=acl, rules=rules, waf=self.lenient)
        del (implied := rate())["Statement"]["RateBasedStatement"]["EvaluationWindowSec"]
        self.update(acl, [implied])

    def test_rules_have_names_and_priorities_of_their_own(self):
        statement = {"GeoMatchStatement": {"CountryCodes": ["NZ"]}}
        for second in (rule("one", statement, 2), rule("two", statement, 1)):
            self.assert_invalid("RULE", self.web_acl, name="bad-rules", rules=[rule("one", statement, 1), second])

    def test_descriptions(self):
        acl, ip_set = self.web_acl("described", Description="front door"), self.ip_set("described", Description="offices")
        for description in ("", "!?", "x" * 257):
            fields = {"Description": description, "waf": self.lenient}
            self.assert_invalid("WEB_ACL", self.web_acl, name="badly", **fields)
            self.assert_invalid("IP_SET", self.ip_set, name="badly", **fields)
            self.assert_invalid("WEB_ACL", self.update, acl=acl, **fields)
            change = {**self.identity(ip_set), "Addresses": [], "LockToken": self.token(ip_set), "Description": description}
            self.assert_invalid("IP_SET", self.lenient.update_ip_set, **change)
        self.update(acl)
        self.assertFalse(self.waf.get_web_acl(**self.identity(acl))["WebACL"].get("Description"))

    def test_addresses(self):
        ip_set = self.ip_set("addresses", ("192.0.2.44/32", "10.0.0.0/8"))
        for address in ("192.0.2.44", "0.0.0.0/0", "2001:db8::/32", "nonsense/8"):
            self.assert_invalid("IP_ADDRESS", self.ip_set, name="badly", addresses=[address])
            change = {**self.identity(ip_set), "Addresses": [address], "LockToken": self.token(ip_set)}
            self.assert_invalid("IP_ADDRESS", self.waf.update_ip_set, **change)
        self.ip_set("sixth", ["2001:db8::/32"], IPAddressVersion="IPV6")

    def test_duplicates(self):
        self.web_acl("twice")
        self.ip_set("twice")
        self.assert_refused("WAFDuplicateItemException", self.web_acl, name="twice")
        self.assert_refused("WAFDuplicateItemException", self.ip_set, name="twice")

    def test_stale_lock_tokens(self):
        acl, ip_set = self.web_acl("stale"), self.ip_set("stale")
        first = self.token(acl), self.token(ip_set)
        self.assertEqual([36, 36], [len(token) for token in first])
        self.update(acl)
        self.waf.update_ip_set(**self.identity(ip_set), Addresses=[], LockToken=first[1])
        stale = "WAFOptimisticLockException"
        self.assert_refused(stale, self.waf.update_web_acl, **self.identity(acl), **self.settings(), LockToken=first[0])
        self.assert_refused(stale, self.waf.delete_web_acl, **self.identity(acl), LockToken=first[0])
        self.assert_refused(stale, self.waf.update_ip_set, **self.identity(ip_set), Addresses=[], LockToken=first[1])
        self.assert_refused(stale, self.waf.delete_ip_set, **self.identity(ip_set), LockToken=first[1])
        self.delete(acl)
        self.delete(ip_set)

    def test_what_is_not_there(self):
        acl, balancer = self.web_acl("present"), self.balancer("present")
        no_balancer = balancer[:-16] + "0" * 16
        no_acl = acl["ARN"].replace(acl["Id"], MISSING)
        no_set = {"ARN": acl["ARN"].replace("/webacl/", "/ipset/").replace(acl["Id"], MISSING)}
        gone = "WAFNonexistentItemException"
        self.assert_refused(gone, self.associate, acl=acl, balancer=no_balancer)
        self.assert_refused(gone, self.associate, acl={"ARN": no_acl}, balancer=balancer)
        self.assert_refused(gone, self.waf.get_web_acl_for_resource, ResourceArn=no_balancer)
        self.assert_refused(gone, self.waf.disassociate_web_acl, ResourceArn=no_balancer)
        self.assert_refused(gone, self.web_acl, name="dangling", rules=[reference(no_set)])
        self.assert_refused(gone, self.update, acl=acl, rules=[reference(no_set)])
        self.assert_refused(gone, self.waf.get_web_acl, Name="present", Scope="REGIONAL", Id=MISSING)
        self.assert_invalid("RESOURCE_ARN", self.associate, acl=acl, balancer=balancer.replace("/app/", "/net/"))
        self.waf.disassociate_web_acl(ResourceArn=balancer)


class LagTest(Waf, FrozenTest):
    """Calls miss what is less than ten seconds old."""

    OPTIONS = ("--control", "--lag", "10")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare()
        ec2 = cls.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        cls.server.control("clock", {"advance": 60})
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=f"us-east-1{zone}")
            for index, zone in enumerate("ab")
        ]
        cls.network = {"subnets": [made["Subnet"]["SubnetId"] for made in subnets]}
        cls.server.control("clock", {"advance": 60})

    def test_reads(self):
        acl, ip_set = self.web_acl("unseen"), self.ip_set("unseen")
        gone = "WAFNonexistentItemException"
        for item in (acl, ip_set):
            self.assert_refused(gone, self.token, item=item)
            self.assert_refused(gone, self.waf.list_tags_for_resource, ResourceARN=item["ARN"])
            self.assert_refused(gone, self.waf.tag_resource, ResourceARN=item["ARN"], Tags=[{"Key": "a", "Value": "1"}])
        self.assert_refused(gone, self.waf.list_resources_for_web_acl, WebACLArn=acl["ARN"])
        self.assertNotIn("unseen", [item["Name"] for item in self.waf.list_web_acls(Scope="REGIONAL")["WebACLs"]])
        self.assertNotIn("unseen", [item["Name"] for item in self.waf.list_ip_sets(Scope="REGIONAL")["IPSets"]])
        self.assert_refused("WAFDuplicateItemException", self.web_acl, name="unseen")
        self.assert_refused("WAFDuplicateItemException", self.ip_set, name="unseen")
        self.advance(11)
        self.assertIn("unseen", [item["Name"] for item in self.waf.list_web_acls(Scope="REGIONAL")["WebACLs"]])
        self.assertEqual([acl["LockToken"], ip_set["LockToken"]], [self.token(acl), self.token(ip_set)])

    def test_what_builds_on_something_fresh(self):
        unavailable = "WAFUnavailableEntityException"
        ip_set, first = self.ip_set("under"), self.web_acl("over-nothing")
        self.assert_refused(unavailable, self.web_acl, name="over", rules=[reference(ip_set)])
        update = {**self.identity(first), **self.settings(), "LockToken": first["LockToken"]}
        self.assert_refused(unavailable, self.waf.update_web_acl, **update)
        change = {**self.identity(ip_set), "Addresses": [], "LockToken": ip_set["LockToken"]}
        self.assert_refused(unavailable, self.waf.update_ip_set, **change)
        self.advance(11)
        acl, balancer = self.web_acl("over", [reference(ip_set)]), self.balancer("fresh")
        self.assert_refused(unavailable, self.associate, acl=first, balancer=balancer)
        self.assert_refused(unavailable, self.waf.get_web_acl_for_resource, ResourceArn=balancer)
        self.advance(7)
        fresh = self.web_acl("fresher")
        self.advance(4)
        self.assert_refused(unavailable, self.associate, acl=fresh, balancer=balancer)
        self.associate(acl, balancer)
        self.assertEqual("over", self.waf.get_web_acl_for_resource(ResourceArn=balancer)["WebACL"]["Name"])


if __name__ == "__main__":
    unittest.main()
