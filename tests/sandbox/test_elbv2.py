"""Load balancers, target groups, listeners and rules answer what they were given."""

import unittest

from support import SandboxTest, make_network
from test_small_services import self_signed

TAGS = [{"Key": "Project", "Value": "order-api"}]


class Elbv2Test(SandboxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.elb = cls.client("elbv2")
        ec2 = cls.client("ec2")
        cls.network = make_network(ec2)
        # Without one, an internet-facing load balancer never becomes active.
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=cls.network["vpc"])
        certificate, key = self_signed("example.com")
        cls.certificate = cls.client("acm").import_certificate(Certificate=certificate, PrivateKey=key)["CertificateArn"]

    def load_balancer(self, name, **fields):
        request = {
            "Name": name,
            "Subnets": self.network["subnets"][:2],
            "SecurityGroups": [self.network["group"]],
            "Scheme": "internet-facing",
            "Type": "application",
            "IpAddressType": "ipv4",
            "Tags": TAGS,
            **fields,
        }
        return self.elb.create_load_balancer(**request)["LoadBalancers"][0]

    def target_group(self, name, **fields):
        request = {
            "Name": name,
            "Protocol": "HTTP",
            "ProtocolVersion": "HTTP1",
            "Port": 8080,
            "VpcId": self.network["vpc"],
            "TargetType": "ip",
            "HealthCheckEnabled": True,
            "HealthCheckProtocol": "HTTP",
            "HealthCheckPath": "/health",
            "HealthCheckIntervalSeconds": 30,
            "HealthCheckTimeoutSeconds": 5,
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 3,
            "Matcher": {"HttpCode": "200"},
            "Tags": TAGS,
            **fields,
        }
        answer = self.elb.create_target_group(**request)["TargetGroups"][0]
        return request, answer

    def listener_actions(self, arn):
        return self.elb.describe_listeners(ListenerArns=[arn])["Listeners"][0]["DefaultActions"]

    def test_load_balancer_is_idempotent_by_name(self):
        first = self.load_balancer("same")
        self.assertEqual("active", self.elb.describe_load_balancers(Names=["same"])["LoadBalancers"][0]["State"]["Code"])
        self.assertEqual(first["LoadBalancerArn"], self.load_balancer("same")["LoadBalancerArn"])
        self.assertEqual(1, len(self.elb.describe_load_balancers(Names=["same"])["LoadBalancers"]))
        with self.assertRaises(self.elb.exceptions.DuplicateLoadBalancerNameException):
            self.load_balancer("same", Scheme="internal")

    def test_the_first_load_balancer_makes_the_service_linked_role(self):
        self.load_balancer("first")
        role = self.client("iam").get_role(RoleName="AWSServiceRoleForElasticLoadBalancing")["Role"]
        self.assertEqual("/aws-service-role/elasticloadbalancing.amazonaws.com/", role["Path"])

    def test_an_identical_listener_is_the_same_one(self):
        balancer = self.load_balancer("listening-once")["LoadBalancerArn"]
        group = self.target_group("listened-to")[1]["TargetGroupArn"]
        request = {
            "LoadBalancerArn": balancer,
            "Protocol": "HTTPS",
            "Port": 443,
            "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
            "Certificates": [{"CertificateArn": self.certificate}],
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": group}],
        }
        first, second = (self.elb.create_listener(**request)["Listeners"][0]["ListenerArn"] for _ in range(2))
        self.assertEqual(first, second)
        self.assertEqual(1, len(self.elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]))
        changes = (
            {"SslPolicy": "ELBSecurityPolicy-2016-08"},
            {"DefaultActions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]},
        )
        for change in changes:
            with self.subTest(change):
                self.assert_refused("DuplicateListener", self.elb.create_listener, **request | change)

    def test_load_balancer_changes(self):
        arn = self.load_balancer("changing")["LoadBalancerArn"]
        described = self.elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
        self.assertEqual(set(self.network["subnets"][:2]), {zone["SubnetId"] for zone in described["AvailabilityZones"]})
        self.assert_echoes(
            {"Scheme": "internet-facing", "Type": "application", "IpAddressType": "ipv4", "SecurityGroups": [self.network["group"]], "VpcId": self.network["vpc"]},
            described,
        )
        self.elb.set_subnets(LoadBalancerArn=arn, Subnets=self.network["subnets"])
        group = self.client("ec2").create_security_group(GroupName="lb", Description="lb", VpcId=self.network["vpc"])["GroupId"]
        self.elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[group])
        described = self.elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
        self.assertEqual(set(self.network["subnets"]), {zone["SubnetId"] for zone in described["AvailabilityZones"]})
        self.assertEqual([group], described["SecurityGroups"])
        wanted = {
            "routing.http2.enabled": "true",
            "routing.http.drop_invalid_header_fields.enabled": "true",
            "idle_timeout.timeout_seconds": "61",
            "deletion_protection.enabled": "true",
        }

        def attributes():
            return {item["Key"]: item["Value"] for item in self.elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]}

        before = attributes()
        self.assertEqual({"false"}, {before["deletion_protection.enabled"], before["routing.http.drop_invalid_header_fields.enabled"]})
        self.assertEqual("true", before["routing.http2.enabled"])
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": key, "Value": value} for key, value in wanted.items()])
        self.assertEqual(wanted, {key: value for key, value in attributes().items() if key in wanted})
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}])
        self.elb.delete_load_balancer(LoadBalancerArn=arn)
        with self.assertRaises(self.elb.exceptions.LoadBalancerNotFoundException):
            self.elb.describe_load_balancers(LoadBalancerArns=[arn])
        self.elb.delete_load_balancer(LoadBalancerArn=arn)

    def test_target_group(self):
        request, created = self.target_group("order-blue-dev")
        arn = created["TargetGroupArn"]
        expected = {f"TargetGroupName" if key == "Name" else key: value for key, value in request.items() if key != "Tags"}
        self.assert_echoes(expected, self.elb.describe_target_groups(Names=["order-blue-dev"])["TargetGroups"][0])
        self.assertEqual(arn, self.target_group("order-blue-dev")[1]["TargetGroupArn"])
        with self.assertRaises(self.elb.exceptions.DuplicateTargetGroupNameException):
            self.target_group("order-blue-dev", HealthCheckPath="/other")
        changes = {
            "HealthCheckPath": "/ready",
            "HealthCheckIntervalSeconds": 15,
            "HealthCheckTimeoutSeconds": 6,
            "HealthyThresholdCount": 4,
            "UnhealthyThresholdCount": 5,
            "Matcher": {"HttpCode": "200-299"},
        }
        self.elb.modify_target_group(TargetGroupArn=arn, **changes)
        self.assert_echoes(changes, self.elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0])
        self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}])
        attributes = self.elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        self.assertIn({"Key": "deregistration_delay.timeout_seconds", "Value": "30"}, attributes)
        self.assertEqual([], self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"])
        self.elb.delete_target_group(TargetGroupArn=arn)
        with self.assertRaises(self.elb.exceptions.TargetGroupNotFoundException):
            self.elb.describe_target_groups(TargetGroupArns=[arn])
        self.elb.delete_target_group(TargetGroupArn=arn)

    def test_listeners_and_rules(self):
        balancer = self.load_balancer("listening")["LoadBalancerArn"]
        blue = self.target_group("listen-blue")[1]["TargetGroupArn"]
        green = self.target_group("listen-green")[1]["TargetGroupArn"]
        weighted = {
            "Type": "forward",
            "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": blue, "Weight": 100}, {"TargetGroupArn": green, "Weight": 0}], "TargetGroupStickinessConfig": {"Enabled": False}},
        }
        redirect = {
            "Type": "redirect",
            "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301", "Host": "#{host}", "Path": "/#{path}", "Query": "#{query}"},
        }
        fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "nothing here"}}

        http = self.elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[redirect], Tags=TAGS)["Listeners"][0]["ListenerArn"]
        self.assert_echoes([redirect], self.listener_actions(http))
        with self.assertRaises(self.elb.exceptions.DuplicateListenerException):
            self.elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[fixed])
        self.elb.modify_listener(ListenerArn=http, DefaultActions=[fixed])
        self.assert_echoes([fixed], self.listener_actions(http))
        self.elb.modify_listener(ListenerArn=http, DefaultActions=[{"Type": "forward", "TargetGroupArn": blue}])
        scalar = self.listener_actions(http)[0]
        self.assertEqual(blue, scalar["TargetGroupArn"])
        self.assert_echoes({"TargetGroups": [{"TargetGroupArn": blue, "Weight": 1}]}, scalar["ForwardConfig"])

        https = self.elb.create_listener(
            LoadBalancerArn=balancer,
            Protocol="HTTPS",
            Port=443,
            SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06",
            Certificates=[{"CertificateArn": self.certificate}],
            DefaultActions=[fixed],
            Tags=TAGS,
        )["Listeners"][0]["ListenerArn"]
        listener = self.elb.describe_listeners(ListenerArns=[https])["Listeners"][0]
        self.assert_echoes(
            {"Protocol": "HTTPS", "Port": 443, "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06", "Certificates": [{"CertificateArn": self.certificate}]}, listener
        )
        rule = self.elb.create_rule(
            ListenerArn=https, Priority=10, Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}], Actions=[weighted], Tags=TAGS
        )["Rules"][0]["RuleArn"]
        with self.assertRaises(self.elb.exceptions.PriorityInUseException):
            self.elb.create_rule(ListenerArn=https, Priority=10, Conditions=[{"Field": "path-pattern", "Values": ["/a"]}], Actions=[fixed])
        rules = self.elb.describe_rules(ListenerArn=https)["Rules"]
        self.assertEqual([("10", False), ("default", True)], [(item["Priority"], item["IsDefault"]) for item in rules])
        self.assert_echoes([fixed], rules[1]["Actions"])
        described = self.elb.describe_rules(RuleArns=[rule])["Rules"][0]
        self.assert_echoes([weighted], described["Actions"])
        self.assertNotIn("TargetGroupArn", described["Actions"][0])
        self.assertEqual(["/*"], described["Conditions"][0]["PathPatternConfig"]["Values"])
        self.assertEqual([balancer], self.elb.describe_target_groups(TargetGroupArns=[green])["TargetGroups"][0]["LoadBalancerArns"])

        shifted = {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": blue, "Weight": 0}, {"TargetGroupArn": green, "Weight": 100}]}}
        self.elb.modify_rule(RuleArn=rule, Actions=[shifted], Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/v1/*", "/v2/*"]}}])
        described = self.elb.describe_rules(RuleArns=[rule])["Rules"][0]
        self.assert_echoes([shifted], described["Actions"])
        self.assertEqual(["/v1/*", "/v2/*"], described["Conditions"][0]["PathPatternConfig"]["Values"])
        self.elb.modify_rule(RuleArn=rule, Actions=[{"Type": "forward", "TargetGroupArn": green}])
        action = self.elb.describe_rules(RuleArns=[rule])["Rules"][0]["Actions"][0]
        self.assertEqual([(green, 1)], [(group["TargetGroupArn"], group["Weight"]) for group in action["ForwardConfig"]["TargetGroups"]])
        self.elb.set_rule_priorities(RulePriorities=[{"RuleArn": rule, "Priority": 20}])
        self.assertEqual("20", self.elb.describe_rules(RuleArns=[rule])["Rules"][0]["Priority"])

        self.elb.modify_listener(ListenerArn=https, Port=8443, SslPolicy="ELBSecurityPolicy-2016-08", DefaultActions=[redirect])
        listener = self.elb.describe_listeners(ListenerArns=[https])["Listeners"][0]
        self.assert_echoes({"Protocol": "HTTPS", "Port": 8443, "SslPolicy": "ELBSecurityPolicy-2016-08", "DefaultActions": [redirect]}, listener)
        self.assertEqual("default", self.elb.describe_rules(ListenerArn=https)["Rules"][-1]["Priority"])
        self.elb.modify_listener(ListenerArn=https, Protocol="HTTP", Port=8081)
        listener = self.elb.describe_listeners(ListenerArns=[https])["Listeners"][0]
        self.assertEqual(("HTTP", 8081, None), (listener["Protocol"], listener["Port"], listener.get("SslPolicy")))

        for arn in (balancer, blue, https, rule):
            self.elb.add_tags(ResourceArns=[arn], Tags=[{"Key": "a", "Value": "1"}])
            self.elb.remove_tags(ResourceArns=[arn], TagKeys=["Project"])
            self.assertEqual([{"Key": "a", "Value": "1"}], self.elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"])

        self.assert_refused("ResourceInUse", self.elb.delete_target_group, TargetGroupArn=green)
        self.elb.delete_rule(RuleArn=rule)
        with self.assertRaises(self.elb.exceptions.RuleNotFoundException):
            self.elb.describe_rules(RuleArns=[rule])
        self.elb.delete_listener(ListenerArn=https)
        with self.assertRaises(self.elb.exceptions.ListenerNotFoundException):
            self.elb.describe_listeners(ListenerArns=[https])
        self.elb.delete_target_group(TargetGroupArn=green)


if __name__ == "__main__":
    unittest.main()
