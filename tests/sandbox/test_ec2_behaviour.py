"""EC2 over time, what it refuses, and its limits, as AWS has them."""

import unittest

from support import REGION, FrozenTest, SandboxTest

DAY = 24 * 3600
HOUR = 3600


def ids(items, field):
    return [item[field] for item in items]


class Network:
    """Makes the parts of a network and reads them back; mixed into test cases that have a client ``ec2``."""

    def make_vpc(self, cidr="10.0.0.0/16"):
        return self.ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]

    def make_subnet(self, vpc, cidr="10.0.0.0/24", zone="a"):
        return self.ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]

    def make_internet_gateway(self, vpc=None):
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        if vpc:
            self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        return gateway

    def make_address(self):
        """An allocation that the test's end releases, whatever holds it: there are only five."""
        allocation = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        self.addCleanup(self.free_address, allocation)
        return allocation

    def free_address(self, allocation):
        holder = [{"Name": "state", "Values": ["pending", "available", "failed"]}]
        for nat in self.ec2.describe_nat_gateways(Filter=holder)["NatGateways"]:
            if nat["NatGatewayAddresses"][0]["AllocationId"] == allocation:
                self.ec2.delete_nat_gateway(NatGatewayId=nat["NatGatewayId"])
        self.advance(60)
        self.ec2.release_address(AllocationId=allocation)

    def make_nat(self, subnet, allocation, **more):
        answer = self.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation, **more)
        return answer["NatGateway"]["NatGatewayId"]

    def make_table(self, vpc):
        return self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]

    def make_group(self, vpc, name):
        return self.ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]

    def nat(self, identifier):
        return self.ec2.describe_nat_gateways(NatGatewayIds=[identifier])["NatGateways"][0]

    def routes(self, table):
        """The states of a table's routes, by destination."""
        found = self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
        return {route.get("DestinationCidrBlock"): route["State"] for route in found}

    def interfaces(self, **filters):
        wanted = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
        return self.ec2.describe_network_interfaces(Filters=wanted)["NetworkInterfaces"]


class Ec2Frozen(Network, FrozenTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ec2 = cls.client("ec2")
        cls.server.control("quotas", {"vpcs": 50, "internet-gateways": 50})


class StatesTest(Ec2Frozen):
    def test_vpc_and_subnet_are_pending_at_first(self):
        vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
        subnet = self.ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.0.0.0/24")["Subnet"]
        self.assertEqual(("pending", "pending"), (vpc["State"], subnet["State"]))

        def states():
            vpcs = self.ec2.describe_vpcs(VpcIds=[vpc["VpcId"]])["Vpcs"]
            subnets = self.ec2.describe_subnets(SubnetIds=[subnet["SubnetId"]])["Subnets"]
            return vpcs[0]["State"], subnets[0]["State"]

        self.advance(1)
        self.assertEqual(("pending", "pending"), states())
        self.advance(1)
        self.assertEqual(("available", "available"), states())

    def test_internet_gateway_attaches(self):
        vpc = self.make_vpc()
        gateway = self.make_internet_gateway(vpc)

        def attachments():
            return self.ec2.describe_internet_gateways(InternetGatewayIds=[gateway])["InternetGateways"][0][
                "Attachments"
            ]

        self.assertEqual([{"State": "attaching", "VpcId": vpc}], attachments())
        self.advance(2)
        self.assertEqual([{"State": "available", "VpcId": vpc}], attachments())
        self.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        self.assertEqual([], attachments())

    def test_an_attachment_has_a_time_of_its_own(self):
        vpc = self.make_vpc()
        gateway = self.make_internet_gateway(vpc)
        self.advance(1)
        self.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        for state in ("attaching", "available"):
            self.advance(1)
            found = self.ec2.describe_internet_gateways(InternetGatewayIds=[gateway])["InternetGateways"]
            self.assertEqual([{"State": state, "VpcId": vpc}], found[0]["Attachments"])

    def test_an_endpoint_comes_and_goes(self):
        vpc = self.make_vpc()
        table = self.make_table(vpc)
        request = {
            "VpcId": vpc,
            "ServiceName": f"com.amazonaws.{REGION}.s3",
            "RouteTableIds": [table],
            "ClientToken": "endpoint-1",
        }
        created = self.ec2.create_vpc_endpoint(**request)["VpcEndpoint"]
        endpoint = created["VpcEndpointId"]
        self.assertEqual("pending", created["State"])
        self.advance(5)

        def state():
            return [item["State"] for item in self.ec2.describe_vpc_endpoints()["VpcEndpoints"]]

        self.assertEqual(["available"], state())
        self.assertEqual(endpoint, self.ec2.create_vpc_endpoint(**request)["VpcEndpoint"]["VpcEndpointId"])
        self.assertEqual(["available"], state())
        self.assert_refused(
            "RouteAlreadyExists", self.ec2.create_vpc_endpoint, **{**request, "ClientToken": "endpoint-2"}
        )
        self.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
        self.assertEqual(["deleting"], state())
        self.assertEqual(2, len(self.routes(table)))
        self.assert_refused("DependencyViolation", self.ec2.delete_vpc, VpcId=vpc)
        self.advance(20)
        self.assertEqual([], state())
        self.assertEqual(1, len(self.routes(table)))
        self.assertEqual(endpoint, self.ec2.create_vpc_endpoint(**request)["VpcEndpoint"]["VpcEndpointId"])
        self.assertEqual([], state())


class NatGatewayTest(Ec2Frozen):
    def setUp(self):
        self.vpc = self.make_vpc()
        self.subnet = self.make_subnet(self.vpc)
        self.internet_gateway = self.make_internet_gateway(self.vpc)
        self.allocation = self.make_address()

    def test_pending_then_available(self):
        created = self.ec2.create_nat_gateway(SubnetId=self.subnet, AllocationId=self.allocation)["NatGateway"]
        self.assertEqual("pending", created["State"])
        self.assertEqual(
            [{"AllocationId": self.allocation, "IsPrimary": True, "Status": "associating"}],
            created["NatGatewayAddresses"],
        )
        self.assert_refused("InvalidIPAddress.InUse", self.ec2.release_address, AllocationId=self.allocation)
        self.advance(99)
        self.assertEqual("pending", self.nat(created["NatGatewayId"])["State"])
        self.advance(1)
        nat = self.nat(created["NatGatewayId"])
        self.assertEqual("available", nat["State"])
        self.assert_echoes(
            {"AllocationId": self.allocation, "IsPrimary": True, "Status": "succeeded"}, nat["NatGatewayAddresses"][0]
        )
        self.assertLessEqual(
            {"PublicIp", "PrivateIp", "NetworkInterfaceId", "AssociationId"}, set(nat["NatGatewayAddresses"][0])
        )

    def test_a_deleting_one_holds_interface_and_address_until_it_is_deleted(self):
        nat = self.make_nat(self.subnet, self.allocation)
        self.advance(100)
        self.assertEqual(nat, self.ec2.delete_nat_gateway(NatGatewayId=nat)["NatGatewayId"])
        self.assertEqual("deleting", self.nat(nat)["State"])
        self.advance(59)
        self.assertEqual("deleting", self.nat(nat)["State"])
        self.ec2.delete_nat_gateway(NatGatewayId=nat)
        self.assert_refused("DependencyViolation", self.ec2.delete_subnet, SubnetId=self.subnet)
        self.assert_refused("InvalidIPAddress.InUse", self.ec2.release_address, AllocationId=self.allocation)
        detach = {"InternetGatewayId": self.internet_gateway, "VpcId": self.vpc}
        error = self.assert_refused("DependencyViolation", self.ec2.detach_internet_gateway, **detach)
        self.assertIn("has some mapped public address(es)", str(error))
        # The second call has not put the end off.
        self.advance(1)
        tombstone = self.nat(nat)
        self.assertEqual("deleted", tombstone["State"])
        self.assertIn("DeleteTime", tombstone)
        self.assertNotIn("AssociationId", self.ec2.describe_addresses(AllocationIds=[self.allocation])["Addresses"][0])
        self.ec2.detach_internet_gateway(**detach)
        self.ec2.delete_subnet(SubnetId=self.subnet)
        self.advance(HOUR - 1)
        self.assertEqual("deleted", self.nat(nat)["State"])
        self.assertEqual(nat, self.ec2.delete_nat_gateway(NatGatewayId=nat)["NatGatewayId"])
        self.advance(1)
        self.assert_refused("NatGatewayNotFound", self.ec2.describe_nat_gateways, NatGatewayIds=[nat])
        self.assert_refused("NatGatewayNotFound", self.ec2.delete_nat_gateway, NatGatewayId=nat)

    def test_one_that_is_deleted_while_pending_never_becomes_available(self):
        nat = self.make_nat(self.subnet, self.allocation)
        self.advance(70)
        self.ec2.delete_nat_gateway(NatGatewayId=nat)
        self.advance(50)
        self.assertEqual("deleting", self.nat(nat)["State"])
        self.advance(10)
        self.assertEqual("deleted", self.nat(nat)["State"])
        self.advance(100)
        self.assertEqual("deleted", self.nat(nat)["State"])

    def test_without_an_attached_internet_gateway_it_fails(self):
        self.ec2.detach_internet_gateway(InternetGatewayId=self.internet_gateway, VpcId=self.vpc)
        nat = self.make_nat(self.subnet, self.allocation)
        self.assertEqual("pending", self.nat(nat)["State"])
        self.advance(20)
        failed = self.nat(nat)
        self.assert_echoes(
            {
                "State": "failed",
                "FailureCode": "Gateway.NotAttached",
                "FailureMessage": f"Network {self.vpc} has no Internet gateway attached",
            },
            failed,
        )
        # It holds nothing, and can be deleted.
        self.assertEqual([], self.interfaces(subnet_id=self.subnet))
        self.assertNotIn("AssociationId", self.ec2.describe_addresses(AllocationIds=[self.allocation])["Addresses"][0])
        self.ec2.delete_nat_gateway(NatGatewayId=nat)
        self.advance(60)
        self.assertEqual("deleted", self.nat(nat)["State"])

    def test_a_failed_one_clears_away_by_itself(self):
        self.ec2.detach_internet_gateway(InternetGatewayId=self.internet_gateway, VpcId=self.vpc)
        nat = self.make_nat(self.subnet, self.allocation)
        self.advance(20 + HOUR)
        self.assert_refused("NatGatewayNotFound", self.ec2.describe_nat_gateways, NatGatewayIds=[nat])

    def test_an_address_of_another_makes_it_fail(self):
        first = self.make_nat(self.subnet, self.allocation)
        second = self.make_nat(self.subnet, self.allocation)
        self.advance(100)
        self.assertEqual("available", self.nat(first)["State"])
        self.assert_echoes({"State": "failed", "FailureCode": "Resource.AlreadyAssociated"}, self.nat(second))
        self.assertEqual(1, len(self.interfaces(subnet_id=self.subnet)))

    def test_unknown_references_make_nothing(self):
        unknown = {"SubnetId": self.subnet, "AllocationId": "eipalloc-0123456789abcdef0"}
        self.assert_refused("InvalidAllocationID.NotFound", self.ec2.create_nat_gateway, **unknown)
        unknown = {"SubnetId": "subnet-0123456789abcdef0", "AllocationId": self.allocation}
        self.assert_refused("InvalidSubnetID.NotFound", self.ec2.create_nat_gateway, **unknown)
        self.assert_refused("MissingParameter", self.ec2.create_nat_gateway, SubnetId=self.subnet)
        self.assertEqual([], self.interfaces(subnet_id=self.subnet))

    def test_the_token_outlives_the_gateway_by_a_day(self):
        nat = self.make_nat(self.subnet, self.allocation, ClientToken="a")
        self.assertEqual(nat, self.make_nat(self.subnet, self.allocation, ClientToken="a"))
        self.assert_refused(
            "IdempotentParameterMismatch",
            self.ec2.create_nat_gateway,
            SubnetId=self.subnet,
            AllocationId="eipalloc-0123456789abcdef0",
            ClientToken="a",
        )
        self.ec2.delete_nat_gateway(NatGatewayId=nat)
        self.advance(60 + HOUR)
        answer = self.ec2.create_nat_gateway(SubnetId=self.subnet, AllocationId=self.allocation, ClientToken="a")[
            "NatGateway"
        ]
        self.assertEqual((nat, "deleted"), (answer["NatGatewayId"], answer["State"]))
        self.advance(DAY)
        self.assertNotEqual(nat, self.make_nat(self.subnet, self.allocation, ClientToken="a"))

    def test_a_route_may_point_at_a_pending_one_and_is_a_black_hole_once_it_is_deleted(self):
        table = self.make_table(self.vpc)
        nat = self.make_nat(self.subnet, self.allocation)
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        self.assertEqual("active", self.routes(table)["0.0.0.0/0"])
        self.ec2.delete_nat_gateway(NatGatewayId=nat)
        self.assertEqual("active", self.routes(table)["0.0.0.0/0"])
        self.advance(60)
        self.assertEqual("blackhole", self.routes(table)["0.0.0.0/0"])
        other = {"RouteTableId": table, "DestinationCidrBlock": "9.0.0.0/8", "NatGatewayId": nat}
        self.assert_refused("InvalidNatGatewayID.NotFound", self.ec2.create_route, **other)
        internet = {"DestinationCidrBlock": "9.0.0.0/8", "GatewayId": self.internet_gateway}
        self.ec2.create_route(RouteTableId=table, **internet)
        self.assert_refused("InvalidNatGatewayID.NotFound", self.ec2.replace_route, **other)
        self.assertEqual("active", self.routes(table)["9.0.0.0/8"])
        self.advance(HOUR)
        self.assertEqual("blackhole", self.routes(table)["0.0.0.0/0"])

    def test_its_interface_tells_who_holds_the_subnet(self):
        nat = self.make_nat(self.subnet, self.allocation)
        self.advance(100)
        address = self.nat(nat)["NatGatewayAddresses"][0]
        found = self.interfaces(
            subnet_id=self.subnet, description=f"Interface for NAT Gateway {nat}", requester_id="amazon-aws"
        )
        self.assertEqual([address["NetworkInterfaceId"]], ids(found, "NetworkInterfaceId"))
        expected = {
            "InterfaceType": "nat_gateway",
            "RequesterManaged": True,
            "RequesterId": "amazon-aws",
            "Status": "in-use",
            "VpcId": self.vpc,
            "Groups": [],
            "Attachment": {"InstanceOwnerId": "amazon-aws", "Status": "attached"},
            "Association": {
                "PublicIp": address["PublicIp"],
                "AllocationId": self.allocation,
                "IpOwnerId": "123456789012",
            },
        }
        self.assert_echoes(expected, found[0])
        for filters in (
            {"vpc_id": self.vpc},
            {"association.public-ip": address["PublicIp"]},
            {"attachment.instance-owner-id": "amazon-aws", "vpc-id": self.vpc},
        ):
            self.assertEqual(
                ids(found, "NetworkInterfaceId"), ids(self.interfaces(**filters), "NetworkInterfaceId"), filters
            )
        interface = found[0]["NetworkInterfaceId"]
        error = self.assert_refused(
            "InvalidParameterValue", self.ec2.delete_network_interface, NetworkInterfaceId=interface
        )
        self.assertIn("is currently in use", str(error))
        self.assert_refused(
            "OperationNotPermitted",
            self.ec2.detach_network_interface,
            AttachmentId=found[0]["Attachment"]["AttachmentId"],
        )
        self.assert_refused("AuthFailure", self.ec2.disassociate_address, AssociationId=address["AssociationId"])
        change = {"NetworkInterfaceId": interface, "Description": {"Value": "mine"}}
        self.assert_refused("AuthFailure", self.ec2.modify_network_interface_attribute, **change)
        mine = self.ec2.create_network_interface(SubnetId=self.subnet)["NetworkInterface"]["NetworkInterfaceId"]
        take = {"AllocationId": self.allocation, "NetworkInterfaceId": mine}
        error = self.assert_refused("Resource.AlreadyAssociated", self.ec2.associate_address, **take)
        self.assertIn(address["AssociationId"], str(error))
        self.assert_refused("AuthFailure", self.ec2.associate_address, **take, AllowReassociation=True)
        self.ec2.delete_network_interface(NetworkInterfaceId=mine)


class RefusalsTest(Network, SandboxTest):
    OPTIONS = ("--speed", "0", "--quota", "vpcs=50", "--quota", "internet-gateways=50")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ec2 = cls.client("ec2")

    def setUp(self):
        self.vpc = self.make_vpc()

    def test_a_vpc_goes_last(self):
        def refused():
            error = self.assert_refused("DependencyViolation", self.ec2.delete_vpc, VpcId=self.vpc)
            self.assertIn(f"The vpc '{self.vpc}' has dependencies and cannot be deleted.", str(error))

        subnet = self.make_subnet(self.vpc)
        refused()
        self.ec2.delete_subnet(SubnetId=subnet)
        gateway = self.make_internet_gateway(self.vpc)
        refused()
        self.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        group = self.make_group(self.vpc, "a")
        refused()
        self.ec2.delete_security_group(GroupId=group)
        table = self.make_table(self.vpc)
        refused()
        self.ec2.delete_route_table(RouteTableId=table)
        self.ec2.delete_vpc(VpcId=self.vpc)
        self.assert_refused("InvalidVpcID.NotFound", self.ec2.delete_vpc, VpcId=self.vpc)
        acls = self.ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["NetworkAcls"]
        self.assertEqual([], acls)

    def test_a_subnet_goes_after_its_interfaces_and_takes_its_association_along(self):
        subnet, table = self.make_subnet(self.vpc), self.make_table(self.vpc)
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        error = self.assert_refused("DependencyViolation", self.ec2.delete_route_table, RouteTableId=table)
        self.assertIn("The routeTable", str(error))
        interface = self.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
        error = self.assert_refused("DependencyViolation", self.ec2.delete_subnet, SubnetId=subnet)
        self.assertIn(f"The subnet '{subnet}' has dependencies and cannot be deleted.", str(error))
        self.ec2.delete_network_interface(NetworkInterfaceId=interface)
        self.ec2.delete_subnet(SubnetId=subnet)
        self.assert_refused("InvalidSubnetID.NotFound", self.ec2.delete_subnet, SubnetId=subnet)
        self.ec2.delete_route_table(RouteTableId=table)

    def test_the_main_route_table_stays(self):
        filters = [{"Name": "vpc-id", "Values": [self.vpc]}]
        main = self.ec2.describe_route_tables(Filters=filters)["RouteTables"][0]["RouteTableId"]
        self.assert_refused("DependencyViolation", self.ec2.delete_route_table, RouteTableId=main)

    def test_a_security_group_goes_after_its_interfaces_and_the_rules_that_name_it(self):
        subnet = self.make_subnet(self.vpc)
        group, other = self.make_group(self.vpc, "a"), self.make_group(self.vpc, "b")

        def refused():
            error = self.assert_refused("DependencyViolation", self.ec2.delete_security_group, GroupId=group)
            self.assertIn(f"resource {group} has a dependent object", str(error))

        interface = self.ec2.create_network_interface(SubnetId=subnet, Groups=[group])["NetworkInterface"][
            "NetworkInterfaceId"
        ]
        self.assertEqual([interface], ids(self.interfaces(group_id=group), "NetworkInterfaceId"))
        self.assertEqual([group], ids(self.interfaces(group_id=group)[0]["Groups"], "GroupId"))
        refused()
        self.ec2.delete_network_interface(NetworkInterfaceId=interface)
        for direction in ("ingress", "egress"):
            authorize = getattr(self.ec2, f"authorize_security_group_{direction}")
            revoke = getattr(self.ec2, f"revoke_security_group_{direction}")
            permission = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": group}]}
            rule = authorize(GroupId=other, IpPermissions=[permission])["SecurityGroupRules"][0]["SecurityGroupRuleId"]
            refused()
            revoke(GroupId=other, SecurityGroupRuleIds=[rule])
        # Its own rules may name it.
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
        self.ec2.delete_security_group(GroupId=group)
        self.assert_refused("InvalidGroup.NotFound", self.ec2.delete_security_group, GroupId=group)

    def test_the_default_security_group_stays(self):
        filters = [{"Name": "vpc-id", "Values": [self.vpc]}]
        default = self.ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]["GroupId"]
        self.assert_refused("CannotDelete", self.ec2.delete_security_group, GroupId=default)

    def test_group_names_are_taken_whatever_their_case(self):
        self.make_group(self.vpc, "Tasks")
        request = {"GroupName": "tASKS", "Description": "x", "VpcId": self.vpc}
        self.assert_refused("InvalidGroup.Duplicate", self.ec2.create_security_group, **request)
        self.ec2.create_security_group(**{**request, "VpcId": self.make_vpc()})

    def test_one_internet_gateway_per_vpc_and_one_vpc_per_gateway(self):
        gateway, other = self.make_internet_gateway(self.vpc), self.make_internet_gateway()
        attach = {"InternetGatewayId": gateway, "VpcId": self.make_vpc()}
        self.assert_refused("Resource.AlreadyAssociated", self.ec2.attach_internet_gateway, **attach)
        error = self.assert_refused(
            "InvalidParameterValue", self.ec2.attach_internet_gateway, InternetGatewayId=other, VpcId=self.vpc
        )
        self.assertIn("already has an internet gateway attached", str(error))
        error = self.assert_refused("DependencyViolation", self.ec2.delete_internet_gateway, InternetGatewayId=gateway)
        self.assertIn(f"The internetGateway '{gateway}' has dependencies and cannot be deleted.", str(error))
        self.assert_refused(
            "Gateway.NotAttached", self.ec2.detach_internet_gateway, InternetGatewayId=other, VpcId=self.vpc
        )

    def test_routes_and_associations_stay_in_their_vpc(self):
        table, gateway = self.make_table(self.vpc), self.make_internet_gateway()
        route = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}
        error = self.assert_refused("InvalidParameterValue", self.ec2.create_route, **route)
        self.assertIn(f"route table {table} and network gateway {gateway} belong to different networks", str(error))
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        self.ec2.create_route(**route)
        self.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        self.assertEqual("blackhole", self.routes(table)["0.0.0.0/0"])
        elsewhere = self.make_subnet(self.make_vpc())
        self.assert_refused(
            "InvalidParameterValue", self.ec2.associate_route_table, RouteTableId=table, SubnetId=elsewhere
        )

    def test_one_attribute_per_call(self):
        on = {"Value": True}
        both = {"VpcId": self.vpc, "EnableDnsSupport": on, "EnableDnsHostnames": on}
        self.assert_refused("InvalidParameterCombination", self.ec2.modify_vpc_attribute, **both)
        subnet = self.make_subnet(self.vpc)
        both = {"SubnetId": subnet, "MapPublicIpOnLaunch": on, "AssignIpv6AddressOnCreation": on}
        self.assert_refused("InvalidParameterCombination", self.ec2.modify_subnet_attribute, **both)

    def test_tags_need_their_resource(self):
        for identifier, code in (
            ("vpc-0123456789abcdef0", "InvalidVpcID.NotFound"),
            ("nat-0123456789abcdef0", "NatGatewayNotFound"),
            ("eipalloc-0123456789abcdef0", "InvalidAllocationID.NotFound"),
            ("vpce-0123456789abcdef0", "InvalidVpcEndpointId.NotFound"),
            ("sgr-0123456789abcdef0", "InvalidSecurityGroupRuleId.NotFound"),
        ):
            self.assert_refused(code, self.ec2.create_tags, Resources=[identifier], Tags=[{"Key": "a", "Value": "b"}])


class QuotasTest(Network, FrozenTest):
    OPTIONS = (
        "--control",
        "--quota",
        "vpcs=2",
        "--quota",
        "internet-gateways=1",
        "--quota",
        "elastic-ips=3",
        "--quota",
        "nat-gateways-per-az=1",
    )

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ec2 = cls.client("ec2")

    def test_limits(self):
        vpc, other = self.make_vpc(), self.make_vpc()
        error = self.assert_refused("VpcLimitExceeded", self.ec2.create_vpc, CidrBlock="10.0.0.0/16")
        self.assertIn("The maximum number of VPCs has been reached.", str(error))
        self.ec2.delete_vpc(VpcId=other)
        self.make_vpc()
        self.make_internet_gateway(vpc)
        self.assert_refused("InternetGatewayLimitExceeded", self.ec2.create_internet_gateway)
        addresses = [self.ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(3)]
        self.assert_refused("AddressLimitExceeded", self.ec2.allocate_address, Domain="vpc")
        self.ec2.release_address(AllocationId=addresses.pop())
        addresses.append(self.ec2.allocate_address(Domain="vpc")["AllocationId"])

        subnets = [self.make_subnet(vpc, f"10.0.{index}.0/24", zone) for index, zone in enumerate("aab")]
        nat = self.make_nat(subnets[0], addresses[0], ClientToken="first")
        second = {"SubnetId": subnets[1], "AllocationId": addresses[1]}
        self.assert_refused("NatGatewayLimitExceeded", self.ec2.create_nat_gateway, **second)
        # The same call once more is no second gateway, and another zone has a limit of its own.
        self.assertEqual(nat, self.make_nat(subnets[0], addresses[0], ClientToken="first"))
        failing = self.make_nat(subnets[2], addresses[0])
        self.assert_refused(
            "NatGatewayLimitExceeded", self.ec2.create_nat_gateway, SubnetId=subnets[2], AllocationId=addresses[2]
        )
        self.advance(100)
        self.assertEqual("failed", self.nat(failing)["State"])
        self.make_nat(subnets[2], addresses[2])
        self.assert_refused("NatGatewayLimitExceeded", self.ec2.create_nat_gateway, **second)
        self.ec2.delete_nat_gateway(NatGatewayId=nat)
        self.assert_refused("NatGatewayLimitExceeded", self.ec2.create_nat_gateway, **second)
        self.advance(60)
        self.make_nat(**{"subnet": subnets[1], "allocation": addresses[1]})


if __name__ == "__main__":
    unittest.main()
