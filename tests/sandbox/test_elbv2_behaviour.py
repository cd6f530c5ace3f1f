"""Load balancers over time, and what Elastic Load Balancing v2 refuses and misses."""

import unittest

import boto3
from botocore.config import Config
from support import REGION, FrozenTest, SandboxTest, make_network
from test_small_services import self_signed

FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
NOTHING = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}
HEALTH = {"HealthCheckPath": "/health"}


def unchecked(test, service):
    """A client that sends what boto3 itself would refuse, as other SDKs do."""
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=test.server.endpoint, region_name=REGION, config=config, **keys)


class Edge:
    """What the tests of this module share: a connected network and short ways to make things."""

    @classmethod
    def prepare(cls):
        cls.ec2 = cls.client("ec2")
        cls.elb = cls.client("elbv2")
        cls.network = make_network(cls.ec2)
        cls.connect(cls.network["vpc"])

    @classmethod
    def connect(cls, vpc):
        gateway = cls.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        cls.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        return gateway

    def balancer(self, name, network=None, **fields):
        network = network or self.network
        request = {"Subnets": network["subnets"][:2], "SecurityGroups": [network["group"]], **fields}
        return self.elb.create_load_balancer(Name=name, **request)["LoadBalancers"][0]["LoadBalancerArn"]

    def group(self, name, network=None):
        request = {"Protocol": "HTTP", "Port": 8080, "VpcId": (network or self.network)["vpc"], "TargetType": "ip"}
        return self.elb.create_target_group(Name=name, **request)["TargetGroups"][0]["TargetGroupArn"]

    def listener(self, balancer, port=80, action=FIXED, **fields):
        request = {"LoadBalancerArn": balancer, "Protocol": "HTTP", "Port": port, "DefaultActions": [action], **fields}
        return self.elb.create_listener(**request)["Listeners"][0]["ListenerArn"]

    def rule(self, listener, priority=1, action=FIXED, **fields):
        conditions = [{"Field": "path-pattern", "Values": ["/*"]}]
        request = {"ListenerArn": listener, "Priority": priority, "Conditions": conditions, "Actions": [action], **fields}
        return self.elb.create_rule(**request)["Rules"][0]["RuleArn"]

    def security_group(self, name):
        return self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.network["vpc"])["GroupId"]

    def subnet(self, block):
        request = {"VpcId": self.network["vpc"], "CidrBlock": block, "AvailabilityZone": f"{REGION}a"}
        return self.ec2.create_subnet(**request)["Subnet"]["SubnetId"]

    def state(self, arn):
        return self.elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]["State"]["Code"]

    def interfaces(self, arn):
        description = "ELB " + arn.partition(":loadbalancer/")[2]
        filters = [{"Name": "description", "Values": [description]}]
        return self.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]

    def held(self, arn):
        return sorted(interface["SubnetId"] for interface in self.interfaces(arn))


def forward(*groups):
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": arn, "Weight": 1} for arn in groups]}}


class TimeTest(Edge, FrozenTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare()

    def unconnected(self):
        network = make_network(self.ec2)
        return network, self.balancer(network["vpc"][-8:], network)

    def test_a_load_balancer_is_provisioning_for_150_seconds(self):
        arn = self.balancer("timed")
        self.assertEqual("provisioning", self.state(arn))
        self.advance(149)
        self.assertEqual("provisioning", self.state(arn))
        self.advance(2)
        self.assertEqual("active", self.state(arn))

    def test_listeners_rules_and_groups_need_no_active_load_balancer(self):
        group = self.group("early")
        arn = self.balancer("early")
        self.rule(self.listener(arn, action=forward(group)), action=forward(group))
        self.assertEqual("provisioning", self.state(arn))
        [found] = self.elb.describe_target_groups(TargetGroupArns=[group])["TargetGroups"]
        self.assertEqual([arn], found["LoadBalancerArns"])

    def test_it_waits_for_an_attached_internet_gateway(self):
        network, arn = self.unconnected()
        self.advance(3600)
        self.assertEqual("provisioning", self.state(arn))
        self.connect(network["vpc"])
        self.advance(149)
        self.assertEqual("provisioning", self.state(arn))
        self.advance(2)
        self.assertEqual("active", self.state(arn))

    def test_an_internal_one_needs_no_internet_gateway(self):
        arn = self.balancer("inside", make_network(self.ec2), Scheme="internal")
        self.advance(151)
        self.assertEqual("active", self.state(arn))
        self.assertEqual([None, None], [interface.get("Association") for interface in self.interfaces(arn)])

    def test_a_deleted_one_does_not_come_back(self):
        network, arn = self.unconnected()
        self.elb.delete_load_balancer(LoadBalancerArn=arn)
        self.connect(network["vpc"])
        self.advance(3600)
        self.assert_refused("LoadBalancerNotFound", self.state, arn=arn)

    def test_it_holds_a_public_interface_in_each_subnet(self):
        arn = self.balancer("holding")
        found = self.interfaces(arn)
        self.assertEqual(sorted(self.network["subnets"][:2]), sorted(item["SubnetId"] for item in found))
        for interface in found:
            self.assert_echoes({"Status": "in-use", "RequesterManaged": True, "RequesterId": "amazon-elb"}, interface)
            self.assertEqual([self.network["group"]], [group["GroupId"] for group in interface["Groups"]])
            self.assertIn("PublicIp", interface["Association"])
        self.elb.delete_load_balancer(LoadBalancerArn=arn)
        self.advance(59)
        self.assertEqual(2, len(self.interfaces(arn)))
        self.advance(2)
        self.assertEqual([], self.interfaces(arn))

    def test_changes_of_subnets_and_groups_reach_the_interfaces(self):
        arn = self.balancer("moving")
        first, second, third = self.network["subnets"]
        self.elb.set_subnets(LoadBalancerArn=arn, Subnets=[second, third])
        self.assertEqual(sorted([first, second, third]), self.held(arn))
        self.advance(61)
        self.assertEqual(sorted([second, third]), self.held(arn))
        other = self.security_group("other")
        self.elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[other])
        for interface in self.interfaces(arn):
            self.assertEqual([other], [group["GroupId"] for group in interface["Groups"]])

    def test_the_name_stays_taken_for_a_while(self):
        arn = self.balancer("reborn")
        self.elb.delete_load_balancer(LoadBalancerArn=arn)
        self.assert_refused("LoadBalancerNotFound", self.elb.describe_load_balancers, Names=["reborn"])
        self.advance(29)
        self.assert_refused("DuplicateLoadBalancerName", self.balancer, name="reborn")
        self.advance(2)
        self.assertNotEqual(arn, self.balancer("reborn"))


class RefusalTest(Edge, SandboxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare()
        cls.elsewhere = make_network(cls.ec2)
        made = cls.elb.create_load_balancer(Name="shared", Subnets=cls.network["subnets"])
        cls.shared = made["LoadBalancers"][0]["LoadBalancerArn"]

    def assert_said(self, code, words, call, **arguments):
        error = self.assert_refused(code, call, **arguments)
        self.assertIn(words, error.response["Error"]["Message"])

    def test_names_of_load_balancers(self):
        for name in ("a" * 33, "-edge", "edge-", "under_score", "internal-one"):
            self.assert_said("ValidationError", f"'{name}'", self.balancer, name=name)

    def test_subnets(self):
        first, second, third = self.network["subnets"]
        beside = self.subnet("10.0.9.0/24")
        cases = [
            ("ValidationError", "two different Availability Zones", [first]),
            ("InvalidConfigurationRequest", "multiple subnets in the same Availability Zone", [first, beside]),
            ("InvalidConfigurationRequest", "same VPC", [first, self.elsewhere["subnets"][1]]),
            ("SubnetNotFound", "does not exist", [first, "subnet-0123456789abcdef0"]),
        ]
        for code, words, subnets in cases:
            self.assert_said(code, words, self.balancer, name="badly", Subnets=subnets)
            self.assert_said(code, words, self.elb.set_subnets, LoadBalancerArn=self.shared, Subnets=subnets)
        self.assertEqual(sorted([first, second, third]), self.held(self.shared))

    def test_security_groups(self):
        cases = [
            ("InvalidSecurityGroup", "does not exist", "sg-0123456789abcdef0"),
            ("InvalidConfigurationRequest", "invalid", self.elsewhere["group"]),
        ]
        change = self.elb.set_security_groups
        for code, words, group in cases:
            self.assert_said(code, words, self.balancer, name="badly", SecurityGroups=[group])
            self.assert_said(code, words, change, LoadBalancerArn=self.shared, SecurityGroups=[group])
        [described] = self.elb.describe_load_balancers(LoadBalancerArns=[self.shared])["LoadBalancers"]
        wanted = {"group-name": "default", "vpc-id": self.network["vpc"]}
        filters = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
        [default] = self.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        self.assertEqual([default["GroupId"]], described["SecurityGroups"])

    def test_deletion_protection(self):
        arn = self.balancer("protected")
        protect = {"LoadBalancerArn": arn, "Attributes": [{"Key": "deletion_protection.enabled", "Value": "true"}]}
        self.elb.modify_load_balancer_attributes(**protect)
        words = "deletion protection is enabled"
        self.assert_said("OperationNotPermitted", words, self.elb.delete_load_balancer, LoadBalancerArn=arn)
        self.assertEqual("active", self.state(arn))
        protect["Attributes"][0]["Value"] = "false"
        self.elb.modify_load_balancer_attributes(**protect)
        self.elb.delete_load_balancer(LoadBalancerArn=arn)

    def test_attributes(self):
        def balancer(key, value):
            attributes = [{"Key": key, "Value": value}]
            return self.elb.modify_load_balancer_attributes(LoadBalancerArn=self.shared, Attributes=attributes)

        group = self.group("attributes")

        def target_group(value, key="deregistration_delay.timeout_seconds"):
            return self.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[{"Key": key, "Value": value}])

        self.assert_said("ValidationError", "not recognized", balancer, key="no.such.key", value="1")
        self.assert_said("ValidationError", "'true' or 'false'", balancer, key="routing.http2.enabled", value="maybe")
        self.assert_said("ValidationError", "number", balancer, key="idle_timeout.timeout_seconds", value="")
        self.assert_said("ValidationError", "empty", target_group, value="")
        for value in ("3601", "-1", "soon"):
            self.assert_said("ValidationError", "0-3600", target_group, value=value)
        target_group("3600")
        attributes = self.elb.describe_target_group_attributes(TargetGroupArn=group)["Attributes"]
        self.assertIn({"Key": "deregistration_delay.timeout_seconds", "Value": "3600"}, attributes)

    def test_duplicates(self):
        self.group("twice")
        request = {"Name": "twice", "Protocol": "HTTP", "Port": 9090, "VpcId": self.network["vpc"], "TargetType": "ip"}
        self.assert_said("DuplicateTargetGroupName", "different settings", self.elb.create_target_group, **request)
        arn = self.balancer("twice")
        self.assert_said("DuplicateLoadBalancerName", "different settings", self.balancer, name="twice", Scheme="internal")
        listener = self.listener(arn)
        self.assert_said("DuplicateListener", "already exists on this port", self.listener, balancer=arn, action=NOTHING)
        self.rule(listener, 7)
        self.assert_said("PriorityInUse", "'7' is currently in use", self.rule, listener=listener, priority=7)

    def test_target_groups_in_use(self):
        arn = self.balancer("using")
        by_listener, by_rule = self.group("by-listener"), self.group("by-rule")
        listener = self.listener(arn, action=forward(by_listener))
        rule = self.rule(listener, action=forward(by_rule, by_listener))
        for group in (by_listener, by_rule):
            words = "in use by a listener or a rule"
            self.assert_said("ResourceInUse", words, self.elb.delete_target_group, TargetGroupArn=group)
        self.elb.delete_rule(RuleArn=rule)
        self.elb.delete_target_group(TargetGroupArn=by_rule)
        self.elb.delete_load_balancer(LoadBalancerArn=arn)
        self.elb.delete_target_group(TargetGroupArn=by_listener)

    def test_forwards(self):
        arn, other = self.balancer("forwarding"), self.balancer("forwarding-too")
        listener = self.listener(arn)
        rule = self.rule(listener, 1)
        own, foreign = self.group("forward-own"), self.group("forward-foreign")
        self.listener(other, action=forward(foreign))
        missing = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/none/0123456789abcdef"
        cases = [
            ("TargetGroupNotFound", "not found", missing),
            ("InvalidConfigurationRequest", "in a different VPC", self.group("forward-away", self.elsewhere)),
            ("TargetGroupAssociationLimit", "more than one load balancer", foreign),
        ]
        for code, words, group in cases:
            action = forward(own, group)
            self.assert_said(code, words, self.listener, balancer=arn, port=81, action=action)
            self.assert_said(code, words, self.elb.modify_listener, ListenerArn=listener, DefaultActions=[action])
            self.assert_said(code, words, self.rule, listener=listener, priority=2, action=action)
            self.assert_said(code, words, self.elb.modify_rule, RuleArn=rule, Actions=[action])
        heavy = {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": own, "Weight": 1000}]}}
        self.assert_said("ValidationError", "'0' and '999'", self.rule, listener=listener, priority=2, action=heavy)
        self.elb.modify_rule(RuleArn=rule, Actions=[forward(own)])

    def test_certificates(self):
        acm = self.client("acm")
        certificate, key = self_signed("api.example.com")
        issued = acm.import_certificate(Certificate=certificate, PrivateKey=key)["CertificateArn"]
        pending = acm.request_certificate(DomainName="api.example.com", ValidationMethod="DNS")["CertificateArn"]
        missing = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
        arn = self.balancer("secure")
        https = {"balancer": arn, "port": 443, "Protocol": "HTTPS"}
        self.assert_said("ValidationError", "certificate must be specified", self.listener, **https)
        https["Certificates"] = [{"CertificateArn": issued}]
        self.assert_said("SSLPolicyNotFound", "'none'", self.listener, **https, SslPolicy="none")
        listener = self.listener(**https)
        for code, certificate in (("CertificateNotFound", missing), ("UnsupportedCertificate", pending)):
            bad = [{"CertificateArn": certificate}]
            new = {"balancer": arn, "port": 444, "Protocol": "HTTPS", "Certificates": bad}
            self.assert_said(code, certificate, self.listener, **new)
            self.assert_said(code, certificate, self.elb.modify_listener, ListenerArn=listener, Certificates=bad)
            self.assert_said(code, certificate, self.elb.add_listener_certificates, ListenerArn=listener, Certificates=bad)
        plain = self.listener(arn)
        change = {"ListenerArn": plain, "Protocol": "HTTPS"}
        self.assert_said("ValidationError", "certificate must be specified", self.elb.modify_listener, **change)

    def test_default_rules_stay(self):
        listener = self.listener(self.balancer("default-rule"))
        [default] = self.elb.describe_rules(ListenerArn=listener)["Rules"]
        arn = default["RuleArn"]
        self.assert_said("OperationNotPermitted", "cannot be deleted", self.elb.delete_rule, RuleArn=arn)
        self.assert_said("OperationNotPermitted", "cannot be modified", self.elb.modify_rule, RuleArn=arn, Actions=[FIXED])
        move = [{"RuleArn": arn, "Priority": 3}]
        self.assert_refused("OperationNotPermitted", self.elb.set_rule_priorities, RulePriorities=move)

    def test_priorities(self):
        listener = self.listener(self.balancer("priorities"))
        first, second = self.rule(listener, 1), self.rule(listener, 2)
        lenient = unchecked(self, "elbv2")
        conditions = [{"Field": "path-pattern", "Values": ["/*"]}]
        for priority in (0, 50_001):
            request = {"ListenerArn": listener, "Conditions": conditions, "Actions": [FIXED], "Priority": priority}
            self.assert_said("ValidationError", "between '1' and '50000'", lenient.create_rule, **request)
        taken = [{"RuleArn": first, "Priority": 2}]
        self.assert_refused("PriorityInUse", self.elb.set_rule_priorities, RulePriorities=taken)
        swap = [{"RuleArn": first, "Priority": 2}, {"RuleArn": second, "Priority": 1}]
        self.elb.set_rule_priorities(RulePriorities=swap)
        found = self.elb.describe_rules(ListenerArn=listener)["Rules"]
        self.assertEqual([("1", second), ("2", first)], [(rule["Priority"], rule["RuleArn"]) for rule in found[:2]])
        self.assertEqual([first], [rule["RuleArn"] for rule in self.elb.describe_rules(RuleArns=[first])["Rules"]])

    def test_what_is_not_there(self):
        stem = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
        balancer = f"{stem}:loadbalancer/app/none/0123456789abcdef"
        listener = f"{stem}:listener/app/none/0123456789abcdef/1"
        cases = {
            balancer: "LoadBalancerNotFound",
            listener: "ListenerNotFound",
            f"{stem}:listener-rule/app/none/0123456789abcdef/1/1": "RuleNotFound",
            f"{stem}:targetgroup/none/0123456789abcdef": "TargetGroupNotFound",
        }
        for arn, code in cases.items():
            self.assert_refused(code, self.elb.describe_tags, ResourceArns=[self.shared, arn])
            self.assert_refused(code, self.elb.add_tags, ResourceArns=[arn], Tags=[{"Key": "a", "Value": "1"}])
        known = self.listener(self.balancer("known"))
        self.assert_refused("ListenerNotFound", self.elb.describe_listeners, ListenerArns=[known, listener])
        self.assert_refused("LoadBalancerNotFound", self.listener, balancer=balancer)
        self.assert_refused("ListenerNotFound", self.rule, listener=listener)
        self.assert_refused("ValidationError", self.elb.describe_tags, ResourceArns=[self.shared] * 21)
        self.elb.delete_load_balancer(LoadBalancerArn=balancer)

    def test_more_than_ten_tags(self):
        group = self.group("tagged")
        tags = [{"Key": f"k{number}", "Value": "1"} for number in range(51)]
        self.elb.add_tags(ResourceArns=[group], Tags=tags[:30])
        self.elb.add_tags(ResourceArns=[group], Tags=tags[20:50])
        self.assertEqual(50, len(self.elb.describe_tags(ResourceArns=[group])["TagDescriptions"][0]["Tags"]))
        self.assert_refused("TooManyTags", self.elb.add_tags, ResourceArns=[group], Tags=tags[50:])

    def test_pages(self):
        arn = self.balancer("pages")
        listeners = [self.listener(arn, port) for port in (80, 81, 82)]
        rules = [self.rule(listeners[0], priority) for priority in (1, 2, 3)]
        groups = [self.group(f"page-{number}") for number in range(3)]
        listings = [
            ("describe_load_balancers", "LoadBalancers", "LoadBalancerArn", {}, [arn]),
            ("describe_target_groups", "TargetGroups", "TargetGroupArn", {}, groups),
            ("describe_listeners", "Listeners", "ListenerArn", {"LoadBalancerArn": arn}, listeners),
            ("describe_rules", "Rules", "RuleArn", {"ListenerArn": listeners[0]}, rules),
        ]
        for operation, name, key, request, expected in listings:
            pages = list(self.elb.get_paginator(operation).paginate(**request, PaginationConfig={"PageSize": 1}))
            found = [item[key] for page in pages for item in page[name]]
            self.assertEqual(len(set(found)), len(found), operation)
            self.assertLessEqual(set(expected), set(found), operation)
            self.assertEqual({1}, {len(page[name]) for page in pages}, operation)
            self.assert_refused("ValidationError", getattr(self.elb, operation), **request, Marker="nonsense")


class LagTest(Edge, FrozenTest):
    """Calls miss what is less than ten seconds old."""

    OPTIONS = ("--control", "--lag", "10")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ec2, cls.elb = cls.client("ec2"), cls.client("elbv2")
        vpc = cls.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        gateway = cls.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        cls.settle()
        cls.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        group = cls.ec2.create_security_group(GroupName="edge", Description="edge", VpcId=vpc)["GroupId"]
        subnets = [
            cls.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=f"{REGION}{zone}")
            for index, zone in enumerate("abc")
        ]
        cls.network = {"vpc": vpc, "subnets": [made["Subnet"]["SubnetId"] for made in subnets], "group": group}
        cls.settle()

    @classmethod
    def settle(cls):
        cls.server.control("clock", {"advance": 60})

    def priorities(self, listener):
        return [item["Priority"] for item in self.elb.describe_rules(ListenerArn=listener)["Rules"]]

    def test_a_load_balancer(self):
        arn = self.balancer("fresh")
        self.assertEqual(arn, self.balancer("fresh"))
        looks = [
            (self.elb.describe_load_balancers, {"LoadBalancerArns": [arn]}),
            (self.elb.describe_load_balancers, {"Names": ["fresh"]}),
            (self.elb.describe_load_balancer_attributes, {"LoadBalancerArn": arn}),
            (self.elb.describe_tags, {"ResourceArns": [arn]}),
            (self.elb.describe_listeners, {"LoadBalancerArn": arn}),
            (self.elb.set_security_groups, {"LoadBalancerArn": arn, "SecurityGroups": [self.network["group"]]}),
            (self.listener, {"balancer": arn}),
        ]
        for call, arguments in looks:
            self.assert_refused("LoadBalancerNotFound", call, **arguments)
        self.assertNotIn(arn, [item["LoadBalancerArn"] for item in self.elb.describe_load_balancers()["LoadBalancers"]])
        self.advance(11)
        for call, arguments in looks:
            call(**arguments)
        self.assertIn(arn, [item["LoadBalancerArn"] for item in self.elb.describe_load_balancers()["LoadBalancers"]])

    def test_a_target_group_a_listener_and_a_rule(self):
        balancer = self.balancer("settled")
        self.advance(11)
        group = self.group("fresh-group")
        self.assertEqual(group, self.group("fresh-group"))
        self.assert_refused("TargetGroupNotFound", self.elb.describe_target_groups, TargetGroupArns=[group])
        self.assert_refused("TargetGroupNotFound", self.elb.describe_target_groups, Names=["fresh-group"])
        self.assert_refused("TargetGroupNotFound", self.elb.describe_target_group_attributes, TargetGroupArn=group)
        self.assert_refused("TargetGroupNotFound", self.listener, balancer=balancer, action=forward(group))
        self.assertNotIn(group, [item["TargetGroupArn"] for item in self.elb.describe_target_groups()["TargetGroups"]])
        listener = self.listener(balancer)
        self.assertEqual(listener, self.listener(balancer))
        self.assert_refused("ListenerNotFound", self.elb.describe_listeners, ListenerArns=[listener])
        self.assert_refused("ListenerNotFound", self.elb.describe_rules, ListenerArn=listener)
        self.assert_refused("ListenerNotFound", self.elb.modify_listener, ListenerArn=listener, DefaultActions=[FIXED])
        self.assert_refused("ListenerNotFound", self.rule, listener=listener)
        self.assertEqual([], self.elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"])
        self.advance(11)
        [found] = self.elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
        self.assertEqual(listener, found["ListenerArn"])
        rule = self.rule(listener, action=forward(group))
        self.assert_refused("PriorityInUse", self.rule, listener=listener)
        self.assert_refused("RuleNotFound", self.elb.describe_rules, RuleArns=[rule])
        self.assert_refused("RuleNotFound", self.elb.describe_tags, ResourceArns=[rule])
        move = [{"RuleArn": rule, "Priority": 9}]
        self.assert_refused("RuleNotFound", self.elb.set_rule_priorities, RulePriorities=move)
        self.assertEqual(["default"], self.priorities(listener))
        self.advance(11)
        self.assertEqual(["1", "default"], self.priorities(listener))

    def test_what_a_load_balancer_is_built_on(self):
        subnet = self.subnet("10.0.8.0/24")
        group = self.security_group("fresh")
        subnets = [subnet, self.network["subnets"][1]]
        self.assert_refused("SubnetNotFound", self.balancer, name="built", Subnets=subnets)
        self.assert_refused("InvalidSecurityGroup", self.balancer, name="built", SecurityGroups=[group])
        certificate, key = self_signed("fresh.example.com")
        arn = self.client("acm").import_certificate(Certificate=certificate, PrivateKey=key)["CertificateArn"]
        balancer = self.balancer("built-before")
        self.advance(4)
        vpc = self.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        self.assert_refused("ValidationError", self.group, name="built", network={"vpc": vpc})
        self.advance(7)
        https = {"balancer": balancer, "port": 443, "Protocol": "HTTPS", "Certificates": [{"CertificateArn": arn}]}
        self.listener(**https)
        self.balancer("built", Subnets=subnets, SecurityGroups=[group])
        self.advance(11)
        self.group("built", {"vpc": vpc})

    def test_a_fresh_certificate_is_unknown_to_listeners(self):
        balancer = self.balancer("early-certificate")
        self.advance(11)
        certificate, key = self_signed("fresh.example.com")
        arn = self.client("acm").import_certificate(Certificate=certificate, PrivateKey=key)["CertificateArn"]
        https = {"balancer": balancer, "port": 443, "Protocol": "HTTPS", "Certificates": [{"CertificateArn": arn}]}
        self.assert_refused("CertificateNotFound", self.listener, **https)
        self.advance(11)
        self.listener(**https)


if __name__ == "__main__":
    unittest.main()
