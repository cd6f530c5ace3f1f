"""With eventual consistency on, EC2 misses for a while what was just made, in lists and in calls that refer to it."""

import unittest

from support import REGION, FrozenTest

LAG = 10


class Ec2ConsistencyTest(FrozenTest):
    OPTIONS = ("--control", "--lag", str(LAG), "--quota", "vpcs=50", "--quota", "internet-gateways=50")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ec2 = cls.client("ec2")
        cls.vpc = cls.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        cls.subnet = cls.ec2.create_subnet(VpcId=cls.settled(cls.vpc), CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        cls.gateway = cls.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        cls.table = cls.ec2.create_route_table(VpcId=cls.vpc)["RouteTable"]["RouteTableId"]
        cls.ec2.attach_internet_gateway(InternetGatewayId=cls.settled(cls.gateway), VpcId=cls.vpc)
        cls.settled(cls.vpc)

    @classmethod
    def settled(cls, identifier):
        """The id, after everything has become known everywhere."""
        cls.server.control("clock", {"advance": LAG})
        return identifier

    def assert_missed_then_known(self, code, call, **arguments):
        """The call misses at first, later misses every other time, and in the end knows."""
        self.assert_refused(code, call, **arguments)
        self.advance(LAG / 2)
        call(**arguments)
        self.assert_refused(code, call, **arguments)
        self.advance(LAG / 2)
        call(**arguments)
        call(**arguments)

    def assert_listed_late(self, list_it):
        """The list is empty at first, later every other time, and in the end not any more."""
        self.assertFalse(list_it())
        self.advance(LAG / 2)
        self.assertEqual([True, False, True], [bool(list_it()) for _ in range(3)])
        self.advance(LAG / 2)
        self.assertEqual([True, True], [bool(list_it()) for _ in range(2)])

    def lister(self, operation, field, name, value, filter_name="Filters"):
        arguments = {filter_name: [{"Name": name, "Values": [value]}]}
        return lambda: getattr(self.ec2, operation)(**arguments)[field]

    def test_reads_by_id(self):
        vpc = self.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        self.assert_missed_then_known("InvalidVpcID.NotFound", self.ec2.describe_vpcs, VpcIds=[vpc])
        vpc = self.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        attribute = {"VpcId": vpc, "Attribute": "enableDnsSupport"}
        self.assert_missed_then_known("InvalidVpcID.NotFound", self.ec2.describe_vpc_attribute, **attribute)
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        described = {"InternetGatewayIds": [gateway]}
        self.assert_missed_then_known(
            "InvalidInternetGatewayID.NotFound", self.ec2.describe_internet_gateways, **described
        )
        table = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        self.assert_missed_then_known(
            "InvalidRouteTableID.NotFound", self.ec2.describe_route_tables, RouteTableIds=[table]
        )
        group = self.ec2.create_security_group(GroupName="reads", Description="x", VpcId=vpc)["GroupId"]
        self.assert_missed_then_known("InvalidGroup.NotFound", self.ec2.describe_security_groups, GroupIds=[group])
        allocation = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        self.assert_missed_then_known(
            "InvalidAllocationID.NotFound", self.ec2.describe_addresses, AllocationIds=[allocation]
        )
        # A deletion sees what is new.
        self.ec2.release_address(AllocationId=self.ec2.allocate_address(Domain="vpc")["AllocationId"])
        self.ec2.release_address(AllocationId=allocation)

    def test_lists(self):
        vpc = self.ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
        self.assert_listed_late(self.lister("describe_vpcs", "Vpcs", "vpc-id", vpc))
        subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.2.0.0/24")["Subnet"]["SubnetId"]
        self.assert_listed_late(self.lister("describe_subnets", "Subnets", "subnet-id", subnet))
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.assert_listed_late(
            self.lister("describe_internet_gateways", "InternetGateways", "internet-gateway-id", gateway)
        )
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        self.assert_listed_late(self.lister("describe_internet_gateways", "InternetGateways", "attachment.vpc-id", vpc))
        allocation = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        self.assert_listed_late(self.lister("describe_addresses", "Addresses", "allocation-id", allocation))
        nat = self.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation)["NatGateway"]["NatGatewayId"]
        self.assert_listed_late(self.lister("describe_nat_gateways", "NatGateways", "nat-gateway-id", nat, "Filter"))
        table = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        self.assert_listed_late(self.lister("describe_route_tables", "RouteTables", "route-table-id", table))
        group = self.ec2.create_security_group(GroupName="lists", Description="x", VpcId=vpc)["GroupId"]
        self.assert_listed_late(self.lister("describe_security_groups", "SecurityGroups", "group-id", group))
        self.settled(group)
        rules = self.ec2.authorize_security_group_ingress(
            GroupId=group, IpProtocol="tcp", FromPort=1, ToPort=1, CidrIp="10.0.0.0/8"
        )
        rule = rules["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        self.assert_listed_late(
            self.lister("describe_security_group_rules", "SecurityGroupRules", "security-group-rule-id", rule)
        )
        service = f"com.amazonaws.{REGION}.s3"
        endpoint = self.ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service)["VpcEndpoint"]["VpcEndpointId"]
        self.assert_listed_late(self.lister("describe_vpc_endpoints", "VpcEndpoints", "vpc-endpoint-id", endpoint))

    def test_the_rules_of_a_new_group_are_missed_with_it(self):
        group = self.ec2.create_security_group(GroupName="rules", Description="x", VpcId=self.vpc)["GroupId"]
        self.assert_listed_late(self.lister("describe_security_group_rules", "SecurityGroupRules", "group-id", group))

    def test_routes_and_associations_are_shown_late(self):
        table = self.settled(self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"])
        route = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": self.gateway}

        def read():
            return self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]

        for _ in range(2):
            self.ec2.create_route(**route)
            self.assert_refused("RouteAlreadyExists", self.ec2.create_route, **route)
            self.assertEqual(["local"], [item["GatewayId"] for item in read()["Routes"]])
            self.assert_listed_late(lambda: [item for item in read()["Routes"] if item["GatewayId"] == self.gateway])
            self.ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")

        subnet = self.settled(self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.0.9.0/24")["Subnet"]["SubnetId"])
        association = self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
        self.assertEqual([], read()["Associations"])
        self.assert_listed_late(self.lister("describe_route_tables", "RouteTables", "association.subnet-id", subnet))
        self.assertEqual([association], [item["RouteTableAssociationId"] for item in read()["Associations"]])
        # To associate them once more is nothing new.
        self.assertEqual(
            association, self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
        )
        self.assertEqual(1, len(read()["Associations"]))
        replace = {"AssociationId": association, "RouteTableId": self.table}
        self.ec2.replace_route_table_association(**replace)
        self.assert_listed_late(self.lister("describe_route_tables", "RouteTables", "association.subnet-id", subnet))

    def test_calls_that_refer_to_what_is_new(self):
        def fresh(kind):
            return {
                "vpc": lambda: self.ec2.create_vpc(CidrBlock="10.3.0.0/16")["Vpc"]["VpcId"],
                "subnet": lambda: self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=next(cidrs))["Subnet"]["SubnetId"],
                "gateway": lambda: self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"],
                "table": lambda: self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"],
                "group": lambda: self.ec2.create_security_group(GroupName=next(cidrs), Description="x", VpcId=self.vpc)[
                    "GroupId"
                ],
            }[kind]()

        cidrs = (f"10.0.{index}.0/24" for index in range(20, 200))
        allocation = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        settled = self.settled(
            self.ec2.create_security_group(GroupName="settled", Description="x", VpcId=self.vpc)["GroupId"]
        )
        nat = self.ec2.create_nat_gateway(SubnetId=self.subnet, AllocationId=allocation)["NatGateway"]["NatGatewayId"]
        permission = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}
        cidr = {**permission, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        on = {"Value": True}
        for code, call, arguments in (
            (
                "InvalidNatGatewayID.NotFound",
                "create_route",
                {"RouteTableId": self.table, "DestinationCidrBlock": "9.0.0.0/8", "NatGatewayId": nat},
            ),
            ("NatGatewayNotFound", "create_tags", {"Resources": [nat], "Tags": [{"Key": "a", "Value": "b"}]}),
            ("InvalidVpcID.NotFound", "create_subnet", {"VpcId": fresh("vpc"), "CidrBlock": "10.3.0.0/24"}),
            ("InvalidVpcID.NotFound", "create_route_table", {"VpcId": fresh("vpc")}),
            (
                "InvalidVpcID.NotFound",
                "create_security_group",
                {"VpcId": fresh("vpc"), "GroupName": "x", "Description": "x"},
            ),
            (
                "InvalidVpcID.NotFound",
                "attach_internet_gateway",
                {"VpcId": fresh("vpc"), "InternetGatewayId": self.gateway},
            ),
            ("InvalidVpcID.NotFound", "modify_vpc_attribute", {"VpcId": fresh("vpc"), "EnableDnsHostnames": on}),
            (
                "InvalidVpcID.NotFound",
                "create_tags",
                {"Resources": [fresh("vpc")], "Tags": [{"Key": "a", "Value": "b"}]},
            ),
            (
                "InvalidVpcId.NotFound",
                "create_vpc_endpoint",
                {"VpcId": fresh("vpc"), "ServiceName": "com.amazonaws.us-east-1.s3"},
            ),
            (
                "InvalidInternetGatewayID.NotFound",
                "attach_internet_gateway",
                {"VpcId": self.vpc, "InternetGatewayId": fresh("gateway")},
            ),
            (
                "InvalidSubnetID.NotFound",
                "create_nat_gateway",
                {"SubnetId": fresh("subnet"), "AllocationId": allocation},
            ),
            (
                "InvalidSubnetID.NotFound",
                "associate_route_table",
                {"SubnetId": fresh("subnet"), "RouteTableId": self.table},
            ),
            (
                "InvalidSubnetID.NotFound",
                "modify_subnet_attribute",
                {"SubnetId": fresh("subnet"), "MapPublicIpOnLaunch": on},
            ),
            (
                "InvalidAllocationID.NotFound",
                "create_nat_gateway",
                {"SubnetId": self.subnet, "AllocationId": self.ec2.allocate_address(Domain="vpc")["AllocationId"]},
            ),
            (
                "InvalidRouteTableID.NotFound",
                "associate_route_table",
                {"SubnetId": self.subnet, "RouteTableId": fresh("table")},
            ),
            (
                "InvalidRouteTableID.NotFound",
                "create_route",
                {"RouteTableId": fresh("table"), "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": self.gateway},
            ),
            (
                "InvalidRouteTableId.NotFound",
                "create_vpc_endpoint",
                {"VpcId": self.vpc, "ServiceName": "com.amazonaws.us-east-1.s3", "RouteTableIds": [fresh("table")]},
            ),
            (
                "InvalidInternetGatewayID.NotFound",
                "create_route",
                {"RouteTableId": self.table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": fresh("gateway")},
            ),
            (
                "InvalidGroup.NotFound",
                "authorize_security_group_ingress",
                {"GroupId": fresh("group"), "IpPermissions": [cidr]},
            ),
            (
                "InvalidGroup.NotFound",
                "authorize_security_group_egress",
                {"GroupId": fresh("group"), "IpPermissions": [cidr]},
            ),
            (
                "InvalidGroup.NotFound",
                "authorize_security_group_ingress",
                {
                    "GroupId": settled,
                    "IpPermissions": [{**permission, "UserIdGroupPairs": [{"GroupId": fresh("group")}]}],
                },
            ),
            (
                "InvalidGroup.NotFound",
                "create_network_interface",
                {"SubnetId": self.subnet, "Groups": [fresh("group")]},
            ),
        ):
            with self.subTest(call=call, code=code):
                self.assert_refused(code, getattr(self.ec2, call), **arguments)

    def test_a_new_rule_is_missed_by_changes_but_not_by_its_end(self):
        group = self.settled(
            self.ec2.create_security_group(GroupName="changes", Description="x", VpcId=self.vpc)["GroupId"]
        )
        permission = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        made = self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])[
            "SecurityGroupRules"
        ]
        rule = made[0]["SecurityGroupRuleId"]
        self.assert_refused(
            "InvalidPermission.Duplicate",
            self.ec2.authorize_security_group_ingress,
            GroupId=group,
            IpPermissions=[permission],
        )
        change = {
            "SecurityGroupRuleId": rule,
            "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 81, "ToPort": 81, "CidrIpv4": "10.0.0.0/8"},
        }
        code = "InvalidSecurityGroupRuleId.NotFound"
        self.assert_missed_then_known(
            code, self.ec2.modify_security_group_rules, GroupId=group, SecurityGroupRules=[change]
        )
        made = self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])[
            "SecurityGroupRules"
        ]
        self.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[made[0]["SecurityGroupRuleId"]])

    def test_what_must_be_unique_is_known_at_once(self):
        vpc = self.settled(self.ec2.create_vpc(CidrBlock="10.4.0.0/16")["Vpc"]["VpcId"])
        self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.4.0.0/24")
        self.assert_refused("InvalidSubnet.Conflict", self.ec2.create_subnet, VpcId=vpc, CidrBlock="10.4.0.0/24")
        group = {"GroupName": "unique", "Description": "x", "VpcId": vpc}
        self.ec2.create_security_group(**group)
        self.assert_refused("InvalidGroup.Duplicate", self.ec2.create_security_group, **group)
        table = {"VpcId": vpc, "ClientToken": "unique"}
        made = self.ec2.create_route_table(**table)["RouteTable"]["RouteTableId"]
        self.advance(LAG / 2)
        self.assertEqual(made, self.ec2.create_route_table(**table)["RouteTable"]["RouteTableId"])
        # The repeated call did not make it any newer.
        self.advance(LAG / 2)
        self.ec2.describe_route_tables(RouteTableIds=[made])


if __name__ == "__main__":
    unittest.main()
