"""A network with a NAT gateway comes down in one order only; every step that is out of turn is refused."""

import unittest

from support import REGION, FrozenTest


class TeardownOrderTest(FrozenTest):
    def setUp(self):
        self.ec2 = self.client("ec2")
        ec2 = self.ec2
        self.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.public, self.private = (
            ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.0.{index}.0/24")["Subnet"]["SubnetId"]
            for index in range(2)
        )
        self.gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=self.gateway, VpcId=self.vpc)
        self.public_table, self.private_table = (
            ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"] for _ in range(2)
        )
        ec2.create_route(RouteTableId=self.public_table, DestinationCidrBlock="0.0.0.0/0", GatewayId=self.gateway)
        self.allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
        self.nat = ec2.create_nat_gateway(SubnetId=self.public, AllocationId=self.allocation)["NatGateway"][
            "NatGatewayId"
        ]
        ec2.create_route(RouteTableId=self.private_table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=self.nat)
        self.associations = [
            ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
            for table, subnet in ((self.public_table, self.public), (self.private_table, self.private))
        ]
        self.endpoint = ec2.create_vpc_endpoint(
            VpcId=self.vpc, ServiceName=f"com.amazonaws.{REGION}.s3", RouteTableIds=[self.private_table]
        )["VpcEndpoint"]["VpcEndpointId"]
        self.groups = [
            ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"]
            for name in ("alb", "ecs")
        ]
        self.rules = [self.allow("ingress", *self.groups[::-1]), self.allow("egress", *self.groups)]
        self.interface = ec2.create_network_interface(SubnetId=self.private, Groups=self.groups)["NetworkInterface"][
            "NetworkInterfaceId"
        ]
        self.advance(100)

    def allow(self, direction, group, other):
        authorize = getattr(self.ec2, f"authorize_security_group_{direction}")
        permission = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "UserIdGroupPairs": [{"GroupId": other}]}
        return authorize(GroupId=group, IpPermissions=[permission])["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    def refused(self, call, **arguments):
        return str(self.assert_refused("DependencyViolation", getattr(self.ec2, call), **arguments))

    def test_only_one_order_goes_through(self):
        ec2 = self.ec2
        subnets = [{"SubnetId": self.public}, {"SubnetId": self.private}]
        tables = [{"RouteTableId": self.public_table}, {"RouteTableId": self.private_table}]
        groups = [{"GroupId": group} for group in self.groups]
        detach = {"InternetGatewayId": self.gateway, "VpcId": self.vpc}

        def nothing_goes(call, things):
            for thing in things:
                self.refused(call, **thing)

        def the_vpc_stays():
            self.refused("delete_vpc", VpcId=self.vpc)

        # All is up: nothing but the ends of the chains can go.
        the_vpc_stays()
        nothing_goes("delete_subnet", subnets)
        nothing_goes("delete_route_table", tables)
        nothing_goes("delete_security_group", groups)
        self.refused("delete_internet_gateway", InternetGatewayId=self.gateway)
        self.assertIn("mapped public address", self.refused("detach_internet_gateway", **detach))
        self.assert_refused("InvalidIPAddress.InUse", ec2.release_address, AllocationId=self.allocation)

        # The NAT gateway first; while it is deleting it holds everything.
        ec2.delete_nat_gateway(NatGatewayId=self.nat)
        self.refused("delete_subnet", SubnetId=self.public)
        self.refused("detach_internet_gateway", **detach)
        self.assert_refused("InvalidIPAddress.InUse", ec2.release_address, AllocationId=self.allocation)
        self.advance(60)
        ec2.release_address(AllocationId=self.allocation)
        ec2.detach_internet_gateway(**detach)
        ec2.delete_internet_gateway(InternetGatewayId=self.gateway)

        # Security groups: not while an interface is in them, nor while one names the other.
        the_vpc_stays()
        nothing_goes("delete_security_group", groups)
        self.refused("delete_subnet", SubnetId=self.private)
        ec2.delete_network_interface(NetworkInterfaceId=self.interface)
        self.refused("delete_security_group", GroupId=self.groups[1])
        ec2.revoke_security_group_ingress(GroupId=self.groups[1], SecurityGroupRuleIds=[self.rules[0]])
        ec2.revoke_security_group_egress(GroupId=self.groups[0], SecurityGroupRuleIds=[self.rules[1]])
        for group in groups:
            ec2.delete_security_group(**group)

        # Routes and tables, endpoint, subnets, VPC.
        the_vpc_stays()
        for table in tables:
            ec2.delete_route(**table, DestinationCidrBlock="0.0.0.0/0")
        nothing_goes("delete_route_table", tables)
        for association in self.associations:
            ec2.disassociate_route_table(AssociationId=association)
        for table in tables:
            ec2.delete_route_table(**table)
        the_vpc_stays()
        for subnet in subnets:
            ec2.delete_subnet(**subnet)
        the_vpc_stays()
        ec2.delete_vpc_endpoints(VpcEndpointIds=[self.endpoint])
        the_vpc_stays()
        self.advance(20)
        ec2.delete_vpc(VpcId=self.vpc)
        self.assert_refused("InvalidVpcID.NotFound", ec2.describe_vpcs, VpcIds=[self.vpc])


if __name__ == "__main__":
    unittest.main()
