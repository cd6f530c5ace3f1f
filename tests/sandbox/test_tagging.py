"""GetResources finds every taggable kind of a stack, forgets what is deleted, and pages."""

import unittest

from support import SandboxTest, make_network
from test_cloudwatch import ALARM
from test_small_services import self_signed

KEY, VALUE = "orderctl:stack", "dev"
UPPER = [{"Key": KEY, "Value": VALUE}]
LOWER = [{"key": KEY, "value": VALUE}]
PLAIN = {KEY: VALUE}


def specification(kind):
    return [{"ResourceType": kind, "Tags": UPPER}]


class TaggingTest(SandboxTest):
    """One stack in miniature; each step returns the ARN it expects to find."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tagging = cls.client("resourcegroupstaggingapi")
        cls.network = make_network(cls.client("ec2"))
        cls.expected = {}
        for build in (cls.build_network, cls.build_edge, cls.build_data, cls.build_compute, cls.build_rest):
            build()

    @classmethod
    def ec2_arn(cls, kind, identifier):
        cls.expected[kind] = f"arn:aws:ec2:us-east-1:123456789012:{kind}/{identifier}"

    @classmethod
    def build_network(cls):
        ec2 = cls.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16", TagSpecifications=specification("vpc"))["Vpc"]["VpcId"]
        cls.ec2_arn("vpc", vpc)
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24", TagSpecifications=specification("subnet"))["Subnet"]["SubnetId"]
        cls.ec2_arn("subnet", subnet)
        gateway = ec2.create_internet_gateway(TagSpecifications=specification("internet-gateway"))["InternetGateway"]["InternetGatewayId"]
        cls.ec2_arn("internet-gateway", gateway)
        address = ec2.allocate_address(Domain="vpc", TagSpecifications=specification("elastic-ip"))["AllocationId"]
        cls.ec2_arn("elastic-ip", address)
        cls.nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address, TagSpecifications=specification("natgateway"))["NatGateway"]["NatGatewayId"]
        cls.ec2_arn("natgateway", cls.nat)
        table = ec2.create_route_table(VpcId=vpc, TagSpecifications=specification("route-table"))["RouteTable"]["RouteTableId"]
        cls.ec2_arn("route-table", table)
        endpoint = ec2.create_vpc_endpoint(
            VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=[table], TagSpecifications=specification("vpc-endpoint")
        )["VpcEndpoint"]["VpcEndpointId"]
        cls.ec2_arn("vpc-endpoint", endpoint)
        group = ec2.create_security_group(GroupName="g", Description="g", VpcId=vpc, TagSpecifications=specification("security-group"))["GroupId"]
        cls.ec2_arn("security-group", group)
        rule = ec2.authorize_security_group_ingress(
            GroupId=group,
            IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
            TagSpecifications=specification("security-group-rule"),
        )["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        cls.ec2_arn("security-group-rule", rule)

    @classmethod
    def build_edge(cls):
        elb, waf, acm = cls.client("elbv2"), cls.client("wafv2"), cls.client("acm")
        balancer = elb.create_load_balancer(Name="b", Subnets=cls.network["subnets"], Tags=UPPER)["LoadBalancers"][0]["LoadBalancerArn"]
        group = elb.create_target_group(Name="t", Protocol="HTTP", Port=80, VpcId=cls.network["vpc"], TargetType="ip", Tags=UPPER)["TargetGroups"][0]["TargetGroupArn"]
        action = [{"Type": "forward", "TargetGroupArn": group}]
        listener = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=action, Tags=UPPER)["Listeners"][0]["ListenerArn"]
        cls.rule = elb.create_rule(ListenerArn=listener, Priority=1, Conditions=[{"Field": "path-pattern", "Values": ["/*"]}], Actions=action, Tags=UPPER)["Rules"][0]["RuleArn"]
        visibility = {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True, "MetricName": "m"}
        cls.expected["web acl"] = waf.create_web_acl(Name="w", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=visibility, Tags=UPPER)["Summary"]["ARN"]
        cls.expected["ip set"] = waf.create_ip_set(Name="i", Scope="REGIONAL", IPAddressVersion="IPV4", Addresses=[], Tags=UPPER)["Summary"]["ARN"]
        certificate, key = self_signed("x.local")
        cls.expected["certificate"] = acm.import_certificate(Certificate=certificate, PrivateKey=key, Tags=UPPER)["CertificateArn"]
        cls.expected.update({"load balancer": balancer, "target group": group, "listener": listener, "rule": cls.rule})

    @classmethod
    def build_data(cls):
        rds = cls.client("rds")
        cls.expected["subnet group"] = rds.create_db_subnet_group(DBSubnetGroupName="s", DBSubnetGroupDescription="s", SubnetIds=cls.network["subnets"], Tags=UPPER)[
            "DBSubnetGroup"
        ]["DBSubnetGroupArn"]
        cls.expected["parameter group"] = rds.create_db_cluster_parameter_group(
            DBClusterParameterGroupName="p", DBParameterGroupFamily="aurora-mysql8.0", Description="p", Tags=UPPER
        )["DBClusterParameterGroup"]["DBClusterParameterGroupArn"]
        cls.expected["db cluster"] = rds.create_db_cluster(
            DBClusterIdentifier="c", Engine="aurora-mysql", MasterUsername="admin", MasterUserPassword="not-a-real-one", Tags=UPPER
        )["DBCluster"]["DBClusterArn"]
        cls.expected["db instance"] = rds.create_db_instance(
            DBInstanceIdentifier="c-1", DBClusterIdentifier="c", DBInstanceClass="db.r6g.large", Engine="aurora-mysql", Tags=UPPER
        )["DBInstance"]["DBInstanceArn"]
        cls.expected["secret"] = cls.client("secretsmanager").create_secret(Name="s", SecretString="{}", Tags=UPPER)["ARN"]
        cls.client("ssm").put_parameter(Name="/order-api/dev/config", Value="{}", Type="String", Tags=UPPER)
        cls.expected["parameter"] = "arn:aws:ssm:us-east-1:123456789012:parameter/order-api/dev/config"

    @classmethod
    def build_compute(cls):
        ecs, scaling = cls.client("ecs"), cls.client("application-autoscaling")
        cls.expected["repository"] = cls.client("ecr").create_repository(repositoryName="repo", tags=UPPER)["repository"]["repositoryArn"]
        cls.client("iam").create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
        cls.expected["cluster"] = ecs.create_cluster(clusterName="c", tags=LOWER)["cluster"]["clusterArn"]
        cls.expected["task definition"] = ecs.register_task_definition(
            family="t", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512", containerDefinitions=[{"name": "a", "image": "a"}], tags=LOWER
        )["taskDefinition"]["taskDefinitionArn"]
        cls.expected["service"] = ecs.create_service(
            cluster="c",
            serviceName="s",
            taskDefinition="t",
            desiredCount=1,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": cls.network["subnets"], "securityGroups": [cls.network["group"]]}},
            tags=LOWER,
        )["service"]["serviceArn"]
        cls.expected["scalable target"] = scaling.register_scalable_target(
            ServiceNamespace="ecs", ResourceId="service/c/s", ScalableDimension="ecs:service:DesiredCount", MinCapacity=1, MaxCapacity=2, Tags=PLAIN
        )["ScalableTargetARN"]

    @classmethod
    def build_rest(cls):
        logs, cloudwatch = cls.client("logs"), cls.client("cloudwatch")
        logs.create_log_group(logGroupName="/g", tags=PLAIN)
        cls.expected["log group"] = "arn:aws:logs:us-east-1:123456789012:log-group:/g"
        cls.expected["topic"] = cls.client("sns").create_topic(Name="t", Tags=UPPER)["TopicArn"]
        cloudwatch.put_metric_alarm(**{**ALARM, "AlarmName": "a"}, Tags=UPPER)
        cls.expected["alarm"] = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:a"

    def found(self, **arguments):
        pages = self.tagging.get_paginator("get_resources").paginate(TagFilters=[{"Key": KEY, "Values": [VALUE]}], **arguments)
        return [item["ResourceARN"] for page in pages for item in page["ResourceTagMappingList"]]

    def test_1_every_kind_is_found(self):
        found = self.found()
        self.assertEqual({}, {kind: arn for kind, arn in self.expected.items() if arn not in found})
        self.assertEqual(set(), set(found) - set(self.expected.values()))

    def test_2_pages_hold_everything_once(self):
        pages = list(self.tagging.get_paginator("get_resources").paginate(TagFilters=[{"Key": KEY}], ResourcesPerPage=5))
        self.assertGreater(len(pages), 5)
        self.assertEqual(self.found(), [item["ResourceARN"] for page in pages for item in page["ResourceTagMappingList"]])

    def test_3_filters(self):
        self.assertEqual([self.expected["vpc"]], self.found(ResourceTypeFilters=["ec2:vpc"]))
        self.assertEqual({self.expected["topic"], self.expected["alarm"]}, set(self.found(ResourceTypeFilters=["sns", "cloudwatch:alarm"])))
        self.assertEqual([], self.tagging.get_resources(TagFilters=[{"Key": KEY, "Values": ["other"]}])["ResourceTagMappingList"])

    def test_4_deleted_things_are_forgotten(self):
        self.client("ec2").delete_nat_gateway(NatGatewayId=self.nat)
        self.client("elbv2").delete_rule(RuleArn=self.rule)
        self.client("ecs").delete_service(cluster="c", service="s", force=True)
        self.client("ecs").deregister_task_definition(taskDefinition=self.expected["task definition"])
        self.client("secretsmanager").delete_secret(SecretId="s", RecoveryWindowInDays=7)
        self.client("rds").delete_db_instance(DBInstanceIdentifier="c-1")
        self.client("rds").delete_db_cluster(DBClusterIdentifier="c", SkipFinalSnapshot=True)
        self.client("cloudwatch").delete_alarms(AlarmNames=["a"])
        gone = {"natgateway", "rule", "service", "task definition", "secret", "db instance", "db cluster", "alarm"}
        self.assertEqual({arn for kind, arn in self.expected.items() if kind not in gone}, set(self.found()))


if __name__ == "__main__":
    unittest.main()
