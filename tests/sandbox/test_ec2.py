"""Everything of EC2 that a stack needs round-trips, and the filters it is found by work."""

import unittest

from support import SandboxTest


def tags(kind, name="x"):
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}, {"Key": "orderctl:stack", "Value": "dev"}]}]


class Ec2Test(SandboxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ec2 = cls.client("ec2")
        cls.vpc = cls.ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags("vpc"))["Vpc"]["VpcId"]
        cls.subnet = cls.ec2.create_subnet(
            VpcId=cls.vpc, CidrBlock="10.0.0.0/24", AvailabilityZone="us-east-1a", TagSpecifications=tags("subnet")
        )["Subnet"]["SubnetId"]

    def by(self, operation, result, **filters):
        """Describes with filters (underscores stand for hyphens, ``tag`` for our stack tag) and returns the answer list."""
        wanted = [{"Name": name.replace("_", "-"), "Values": value if isinstance(value, list) else [value]} for name, value in filters.items()]
        return getattr(self.ec2, operation)(Filters=wanted)[result]

    def test_availability_zones(self):
        zones = self.by("describe_availability_zones", "AvailabilityZones", state="available", zone_type="availability-zone")
        self.assertGreaterEqual(len(zones), 3)
        self.assertEqual({"available"}, {zone["State"] for zone in zones})

    def test_vpc(self):
        for attribute, answer in (("EnableDnsSupport", "enableDnsSupport"), ("EnableDnsHostnames", "enableDnsHostnames")):
            for value in (False, True):
                self.ec2.modify_vpc_attribute(VpcId=self.vpc, **{attribute: {"Value": value}})
                described = self.ec2.describe_vpc_attribute(VpcId=self.vpc, Attribute=answer)
                self.assertEqual(value, described[attribute]["Value"])
        found = self.by("describe_vpcs", "Vpcs", **{"tag:orderctl:stack": "dev", "vpc_id": self.vpc, "state": "available", "cidr": "10.0.0.0/16"})
        self.assertEqual([self.vpc], [vpc["VpcId"] for vpc in found])
        self.assertEqual([self.vpc], [vpc["VpcId"] for vpc in self.by("describe_vpcs", "Vpcs", tag_key="orderctl:stack")])
        self.assert_refused("InvalidVpcID.NotFound", self.ec2.describe_vpcs, VpcIds=["vpc-0123456789abcdef0"])

    def test_subnet(self):
        self.ec2.modify_subnet_attribute(SubnetId=self.subnet, MapPublicIpOnLaunch={"Value": True})
        found = self.by(
            "describe_subnets",
            "Subnets",
            **{"subnet_id": self.subnet, "vpc_id": self.vpc, "availability_zone": "us-east-1a", "cidr_block": "10.0.0.0/24", "tag:Name": "x", "state": "available"},
        )
        self.assertEqual([True], [subnet["MapPublicIpOnLaunch"] for subnet in found])
        self.assert_refused("InvalidSubnet.Conflict", self.ec2.create_subnet, VpcId=self.vpc, CidrBlock="10.0.0.0/24")

    def test_internet_gateway(self):
        gateway = self.ec2.create_internet_gateway(TagSpecifications=tags("internet-gateway"))["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        for filters in ({"internet_gateway_id": gateway}, {"attachment.vpc-id": self.vpc}, {"tag:Name": "x", "attachment.state": "available"}):
            found = self.by("describe_internet_gateways", "InternetGateways", **filters)
            self.assertEqual([[{"State": "available", "VpcId": self.vpc}]], [item["Attachments"] for item in found], filters)
        self.assert_refused("Resource.AlreadyAssociated", self.ec2.attach_internet_gateway, InternetGatewayId=gateway, VpcId=self.vpc)
        self.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        self.assert_refused("Gateway.NotAttached", self.ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=self.vpc)
        self.ec2.delete_internet_gateway(InternetGatewayId=gateway)
        self.assert_refused("InvalidInternetGatewayID.NotFound", self.ec2.describe_internet_gateways, InternetGatewayIds=[gateway])

    def test_nat_gateway_and_its_address(self):
        internet = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.addCleanup(self.ec2.delete_internet_gateway, InternetGatewayId=internet)
        self.ec2.attach_internet_gateway(InternetGatewayId=internet, VpcId=self.vpc)
        self.addCleanup(self.ec2.detach_internet_gateway, InternetGatewayId=internet, VpcId=self.vpc)
        address = self.ec2.allocate_address(Domain="vpc", TagSpecifications=tags("elastic-ip"))
        allocation = address["AllocationId"]
        for filters in ({"allocation_id": allocation}, {"tag:Name": "x"}, {"public_ip": address["PublicIp"]}, {"domain": "vpc"}):
            self.assertIn(allocation, [item["AllocationId"] for item in self.by("describe_addresses", "Addresses", **filters)])
        request = {"SubnetId": self.subnet, "AllocationId": allocation, "ClientToken": "token-1", "TagSpecifications": tags("natgateway")}
        nat = self.ec2.create_nat_gateway(**request)["NatGateway"]["NatGatewayId"]
        self.assertEqual(nat, self.ec2.create_nat_gateway(**request)["NatGateway"]["NatGatewayId"])
        for filters in ({"nat_gateway_id": nat}, {"subnet_id": self.subnet}, {"vpc_id": self.vpc}, {"tag:Name": "x"}, {"state": ["pending", "available"]}):
            found = self.by("describe_nat_gateways", "NatGateways", **filters)
            self.assertEqual([(nat, "available")], [(item["NatGatewayId"], item["State"]) for item in found], filters)
        self.assertEqual([], self.by("describe_nat_gateways", "NatGateways", **{"tag:Name": "y"}))
        mapping = found[0]["NatGatewayAddresses"][0]
        self.assertEqual((allocation, address["PublicIp"]), (mapping["AllocationId"], mapping["PublicIp"]))
        described = self.by("describe_addresses", "Addresses", allocation_id=allocation)[0]
        self.assertEqual(mapping["NetworkInterfaceId"], described["NetworkInterfaceId"])
        self.assertIn("AssociationId", described)
        self.assertEqual(1, len(self.by("describe_network_interfaces", "NetworkInterfaces", subnet_id=self.subnet)))
        self.assert_refused("InvalidIPAddress.InUse", self.ec2.release_address, AllocationId=allocation)

        self.ec2.delete_nat_gateway(NatGatewayId=nat)
        self.assertEqual(["deleted"], [item["State"] for item in self.ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"]])
        self.assertEqual([], self.by("describe_network_interfaces", "NetworkInterfaces", subnet_id=self.subnet))
        self.assertNotIn("AssociationId", self.by("describe_addresses", "Addresses", allocation_id=allocation)[0])
        self.ec2.release_address(AllocationId=allocation)
        self.assert_refused("InvalidAllocationID.NotFound", self.ec2.release_address, AllocationId=allocation)
        self.assert_refused("InvalidAllocationID.NotFound", self.ec2.describe_addresses, AllocationIds=[allocation])
        self.assert_refused("NatGatewayNotFound", self.ec2.describe_nat_gateways, NatGatewayIds=["nat-0123456789abcdef0"])

    def test_route_tables(self):
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        vpc = self.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        request = {"VpcId": vpc, "TagSpecifications": tags("route-table"), "ClientToken": "table-1"}
        table = self.ec2.create_route_table(**request)["RouteTable"]["RouteTableId"]
        self.assertEqual(table, self.ec2.create_route_table(**request)["RouteTable"]["RouteTableId"])
        other = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        self.assert_refused("RouteAlreadyExists", self.ec2.create_route, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        allocation = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        nat = self.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation)["NatGateway"]["NatGatewayId"]
        self.ec2.replace_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)

        def routes():
            found = self.by("describe_route_tables", "RouteTables", route_table_id=table)[0]["Routes"]
            return {route["DestinationCidrBlock"]: (route.get("NatGatewayId") or route.get("GatewayId"), route["State"]) for route in found}

        self.assertEqual({"10.9.0.0/16": ("local", "active"), "0.0.0.0/0": (nat, "active")}, routes())
        self.ec2.delete_nat_gateway(NatGatewayId=nat)
        self.assertEqual((nat, "blackhole"), routes()["0.0.0.0/0"])
        self.ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
        self.assert_refused("InvalidRoute.NotFound", self.ec2.delete_route, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")

        association = self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
        self.assert_refused("Resource.AlreadyAssociated", self.ec2.associate_route_table, RouteTableId=other, SubnetId=subnet)
        for filters in ({"association.route-table-association-id": association}, {"association.subnet-id": subnet}, {"tag:Name": "x", "vpc-id": vpc}):
            found = self.by("describe_route_tables", "RouteTables", **filters)
            self.assertEqual([table], [item["RouteTableId"] for item in found], filters)
        self.assert_echoes({"SubnetId": subnet, "Main": False, "AssociationState": {"State": "associated"}}, found[0]["Associations"][0])
        replaced = self.ec2.replace_route_table_association(AssociationId=association, RouteTableId=other)["NewAssociationId"]
        self.assertNotEqual(association, replaced)
        found = self.by("describe_route_tables", "RouteTables", **{"association.subnet-id": subnet})
        self.assertEqual([(other, replaced)], [(item["RouteTableId"], item["Associations"][0]["RouteTableAssociationId"]) for item in found])
        self.assert_refused("InvalidAssociationID.NotFound", self.ec2.disassociate_route_table, AssociationId=association)
        self.ec2.disassociate_route_table(AssociationId=replaced)
        self.ec2.delete_route_table(RouteTableId=table)
        self.assert_refused("InvalidRouteTableID.NotFound", self.ec2.describe_route_tables, RouteTableIds=[table])

    def test_gateway_endpoint(self):
        tables = [self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"] for _ in range(3)]
        endpoint = self.ec2.create_vpc_endpoint(
            VpcId=self.vpc,
            ServiceName="com.amazonaws.us-east-1.s3",
            VpcEndpointType="Gateway",
            RouteTableIds=tables[:2],
            TagSpecifications=tags("vpc-endpoint"),
        )["VpcEndpoint"]["VpcEndpointId"]
        for filters in ({"vpc_endpoint_id": endpoint}, {"vpc_id": self.vpc}, {"service_name": "com.amazonaws.us-east-1.s3"}, {"tag:Name": "x"}, {"vpc_endpoint_type": "Gateway"}):
            found = self.by("describe_vpc_endpoints", "VpcEndpoints", **filters)
            self.assertEqual([endpoint], [item["VpcEndpointId"] for item in found], filters)
        self.assert_echoes({"VpcEndpointType": "Gateway", "State": "available", "RouteTableIds": tables[:2]}, found[0])
        self.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddRouteTableIds=[tables[2]], RemoveRouteTableIds=[tables[0]])
        found = self.by("describe_vpc_endpoints", "VpcEndpoints", vpc_endpoint_id=endpoint)
        self.assertEqual(set(tables[1:]), set(found[0]["RouteTableIds"]))

        def endpoint_routes(table):
            routes = self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
            return [route["GatewayId"] for route in routes if route["GatewayId"] != "local"]

        self.assertEqual([[], [endpoint], [endpoint]], [endpoint_routes(table) for table in tables])
        self.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
        self.assertEqual([], self.by("describe_vpc_endpoints", "VpcEndpoints", vpc_endpoint_id=endpoint))
        self.assertEqual([[], [], []], [endpoint_routes(table) for table in tables])
        self.assert_refused("InvalidVpcEndpointId.NotFound", self.ec2.describe_vpc_endpoints, VpcEndpointIds=[endpoint])
        refused = self.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])["Unsuccessful"]
        self.assertEqual(
            [(endpoint, "InvalidVpcEndpoint.NotFound")], [(item["ResourceId"], item["Error"]["Code"]) for item in refused]
        )

    def test_a_filter_asks_for_any_of_its_values(self):
        subnets = [
            self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.0.{index}.0/24")["Subnet"]["SubnetId"] for index in (70, 71)
        ]
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        for subnet in subnets:
            self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        wanted = {"association.subnet-id": [subnets[0], "subnet-0123456789abcdef0"]}
        found = self.by("describe_route_tables", "RouteTables", **wanted)
        self.assertEqual([table], [item["RouteTableId"] for item in found])

    def test_security_groups_and_rules(self):
        group = self.ec2.create_security_group(
            GroupName="alb-sg-dev", Description="front door", VpcId=self.vpc, TagSpecifications=tags("security-group")
        )["GroupId"]
        other = self.ec2.create_security_group(GroupName="ecs-sg-dev", Description="tasks", VpcId=self.vpc)["GroupId"]
        self.assert_refused("InvalidGroup.Duplicate", self.ec2.create_security_group, GroupName="alb-sg-dev", Description="x", VpcId=self.vpc)
        for filters in ({"group_id": group}, {"group_name": "alb-sg-dev", "vpc-id": self.vpc}, {"tag:Name": "x"}, {"description": "front door"}):
            found = self.by("describe_security_groups", "SecurityGroups", **filters)
            self.assertEqual([group], [item["GroupId"] for item in found], filters)

        def rules(**filters):
            return self.by("describe_security_group_rules", "SecurityGroupRules", **filters)

        default = [rule for rule in rules(group_id=group) if rule["IsEgress"]]
        self.assertEqual(1, len(default))
        self.ec2.revoke_security_group_egress(GroupId=group, SecurityGroupRuleIds=[default[0]["SecurityGroupRuleId"]])
        self.assertEqual([], rules(group_id=group))

        permission = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "HTTPS"}]}
        created = self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission], TagSpecifications=tags("security-group-rule"))
        rule = created["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        self.assertTrue(rule.startswith("sgr-"))
        error = self.assert_refused("InvalidPermission.Duplicate", self.ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission])
        self.assertIn("already exists", str(error))
        for filters in ({"security_group_rule_id": rule}, {"tag:orderctl:stack": "dev"}, {"group_id": group}):
            found = rules(**filters)
            self.assertEqual([rule], [item["SecurityGroupRuleId"] for item in found], filters)
        expected = {"GroupId": group, "IsEgress": False, "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv4": "0.0.0.0/0", "Description": "HTTPS"}
        self.assert_echoes(expected, found[0])
        self.assertIn({"Key": "Name", "Value": "x"}, found[0]["Tags"])

        created = self.ec2.authorize_security_group_egress(
            GroupId=group,
            IpPermissions=[{"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "UserIdGroupPairs": [{"GroupId": other, "Description": "to tasks"}]}],
        )
        egress = created["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        self.assert_echoes(
            {"IsEgress": True, "ReferencedGroupInfo": {"GroupId": other}, "Description": "to tasks", "FromPort": 8080}, rules(security_group_rule_id=egress)[0]
        )

        self.ec2.modify_security_group_rules(
            GroupId=group,
            SecurityGroupRules=[
                {
                    "SecurityGroupRuleId": rule,
                    "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIpv4": "10.0.0.0/8", "Description": "HTTP"},
                }
            ],
        )
        changed = rules(security_group_rule_id=rule)[0]
        self.assert_echoes({"FromPort": 80, "ToPort": 80, "CidrIpv4": "10.0.0.0/8", "Description": "HTTP", "IsEgress": False}, changed)
        self.assertIn({"Key": "Name", "Value": "x"}, changed["Tags"])
        ingress = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
        self.assertEqual([(80, [{"CidrIp": "10.0.0.0/8", "Description": "HTTP"}])], [(p["FromPort"], p["IpRanges"]) for p in ingress])

        self.ec2.update_security_group_rule_descriptions_ingress(
            GroupId=group, SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": rule, "Description": "plain HTTP"}]
        )
        self.ec2.update_security_group_rule_descriptions_egress(
            GroupId=group, SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": egress, "Description": "tasks"}]
        )
        self.assertEqual({"plain HTTP", "tasks"}, {item["Description"] for item in rules(group_id=group)})

        self.ec2.create_tags(Resources=[rule], Tags=[{"Key": "extra", "Value": "1"}])
        self.ec2.delete_tags(Resources=[rule], Tags=[{"Key": "Name"}])
        self.assertEqual({"orderctl:stack", "extra"}, {tag["Key"] for tag in rules(security_group_rule_id=rule)[0]["Tags"]})

        self.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule])
        self.assertEqual([egress], [item["SecurityGroupRuleId"] for item in rules(group_id=group)])
        self.assertEqual([], rules(security_group_rule_id=rule))
        self.assert_refused("InvalidSecurityGroupRuleId.NotFound", self.ec2.revoke_security_group_ingress, GroupId=group, SecurityGroupRuleIds=[rule])
        self.assert_refused("InvalidSecurityGroupRuleId.NotFound", self.ec2.describe_security_group_rules, SecurityGroupRuleIds=[rule])
        self.ec2.revoke_security_group_egress(GroupId=group, SecurityGroupRuleIds=[egress])
        self.ec2.delete_security_group(GroupId=group)
        self.assert_refused("InvalidGroup.NotFound", self.ec2.describe_security_groups, GroupIds=[group])

    def test_the_text_of_a_security_group(self):
        for name, description in (("sg-tasks", "x"), ("tasks", "caché"), ("a|b", "x"), ("x" * 256, "x")):
            with self.subTest(name, description=description):
                request = {"GroupName": name, "Description": description, "VpcId": self.vpc}
                self.assert_refused("InvalidParameterValue", self.ec2.create_security_group, **request)
        text = "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
        self.ec2.create_security_group(GroupName=text, Description=text, VpcId=self.vpc)

    def test_two_ranges_are_two_rules(self):
        group = self.ec2.create_security_group(GroupName="two", Description="two", VpcId=self.vpc)["GroupId"]
        created = self.ec2.authorize_security_group_ingress(
            GroupId=group,
            IpPermissions=[
                {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "a"}, {"CidrIp": "11.0.0.0/8", "Description": "b"}]}
            ],
        )["SecurityGroupRules"]
        self.assertEqual({("10.0.0.0/8", "a"), ("11.0.0.0/8", "b")}, {(rule["CidrIpv4"], rule["Description"]) for rule in created})
        self.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[created[0]["SecurityGroupRuleId"]])
        left = [rule for rule in self.by("describe_security_group_rules", "SecurityGroupRules", group_id=group) if not rule["IsEgress"]]
        self.assertEqual([created[1]["SecurityGroupRuleId"]], [rule["SecurityGroupRuleId"] for rule in left])

    def test_tags_of_every_kind(self):
        allocation = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        for resource in (self.vpc, self.subnet, allocation):
            self.ec2.create_tags(Resources=[resource], Tags=[{"Key": "k", "Value": "1"}])
            self.ec2.create_tags(Resources=[resource], Tags=[{"Key": "k", "Value": "2"}])
            found = self.by("describe_tags", "Tags", resource_id=resource, key="k")
            self.assertEqual(["2"], [tag["Value"] for tag in found])
            self.ec2.delete_tags(Resources=[resource], Tags=[{"Key": "k"}])
            self.assertEqual([], self.by("describe_tags", "Tags", resource_id=resource, key="k"))
        self.ec2.release_address(AllocationId=allocation)


if __name__ == "__main__":
    unittest.main()
