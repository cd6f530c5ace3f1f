"""RDS refuses what AWS refuses, and does not know at once what is new."""

import unittest

from rds_support import AuroraTest
from support import ACCOUNT, trust_of


class RefusalTest(AuroraTest):
    def test_requests_for_clusters(self):
        other = self.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        stranger = self.ec2.create_security_group(GroupName="stranger", Description="stranger", VpcId=other)["GroupId"]
        for code, words, fields in (
            ("InvalidParameterValue", "shorter than 8", {"MasterUserPassword": "short"}),
            ("InvalidParameterValue", "longer than 41", {"MasterUserPassword": "x" * 42}),
            ("InvalidParameterValue", "Only printable ASCII", {"MasterUserPassword": "with/slash"}),
            ("InvalidParameterValue", "Only printable ASCII", {"MasterUserPassword": "with space"}),
            ("InvalidParameterValue", "Only printable ASCII", {"MasterUserPassword": 'with"quote'}),
            ("InvalidParameterValue", "reserved word used by the engine", {"MasterUsername": "rdsadmin"}),
            ("InvalidParameterValue", "MasterUsername is not valid", {"MasterUsername": "1st"}),
            ("InvalidParameterValue", "MasterUsername is not valid", {"MasterUsername": "a" * 17}),
            ("InvalidParameterValue", "not a valid identifier", {"DBClusterIdentifier": "a--b"}),
            ("InvalidParameterValue", "not a valid identifier", {"DBClusterIdentifier": "ab-"}),
            ("InvalidParameterValue", "not a valid identifier", {"DBClusterIdentifier": "a" * 64}),
            ("InvalidParameterValue", "Invalid security group", {"VpcSecurityGroupIds": ["sg-0123456789abcdef0"]}),
            ("InvalidParameterCombination", "different VPCs", {"VpcSecurityGroupIds": [stranger]}),
        ):
            with self.subTest(**fields):
                error = self.assert_refused(
                    code, self.create_cluster, **{"identifier": fields.pop("DBClusterIdentifier", "refused"), **fields}
                )
                self.assertIn(words, str(error))
        self.assert_cluster_gone("refused")

    def test_changes_of_clusters(self):
        self.create_available("steady", 0)
        for code, fields in (
            ("InvalidParameterValue", {"MasterUserPassword": "with@at-sign"}),
            ("InvalidParameterValue", {"VpcSecurityGroupIds": ["sg-0123456789abcdef0"]}),
            ("DBClusterParameterGroupNotFound", {"DBClusterParameterGroupName": "nowhere"}),
            ("InvalidParameterCombination", {"RotateMasterUserPassword": True, "ApplyImmediately": True}),
        ):
            with self.subTest(**fields):
                self.assert_refused(code, self.rds.modify_db_cluster, DBClusterIdentifier="steady", **fields)
        self.assertEqual("available", self.cluster_status("steady"))

    def test_instances(self):
        with self.assertRaises(self.rds.exceptions.DBClusterNotFoundFault):
            self.create_instance("nowhere", 1)
        self.create_cluster("watched")
        error = self.assert_refused(
            "InvalidParameterValue",
            lambda: self.create_instance(
                "watched", 1, MonitoringInterval=60, MonitoringRoleArn=f"arn:aws:iam::{ACCOUNT}:role/nobody"
            ),
        )
        self.assertIn("IAM role ARN value is invalid or does not include the required permissions", str(error))
        for call in (self.rds.delete_db_instance, self.rds.reboot_db_instance, self.rds.modify_db_instance):
            with self.assertRaises(self.rds.exceptions.DBInstanceNotFoundFault):
                call(DBInstanceIdentifier="nowhere")

    def test_an_instance_needs_a_subnet_in_its_zone(self):
        vpc = self.ec2.create_vpc(CidrBlock="10.3.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            self.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.3.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")
            for number, zone in enumerate("ab")
        ]
        identifiers = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
        self.rds.create_db_subnet_group(
            DBSubnetGroupName="narrow", DBSubnetGroupDescription="narrow", SubnetIds=identifiers
        )
        self.create_cluster("narrow", DBSubnetGroupName="narrow", VpcSecurityGroupIds=None)
        with self.assertRaises(self.rds.exceptions.InvalidVPCNetworkStateFault):
            self.create_instance("narrow", 3)
        # The group does not hold its subnets.
        self.ec2.delete_subnet(SubnetId=identifiers[0])
        with self.assertRaises(self.rds.exceptions.InvalidVPCNetworkStateFault):
            self.create_instance("narrow", 1)
        self.create_instance("narrow", 2)

    def test_groups_in_use(self):
        self.rds.create_db_subnet_group(
            DBSubnetGroupName="Used", DBSubnetGroupDescription="used", SubnetIds=self.network["subnets"]
        )
        self.rds.create_db_cluster_parameter_group(
            DBClusterParameterGroupName="used", DBParameterGroupFamily="aurora-mysql8.0", Description="used"
        )
        self.create_cluster("using", DBSubnetGroupName="used", DBClusterParameterGroupName="used")
        self.create_instance("using", 3)
        error = self.assert_refused(
            "InvalidDBSubnetGroupStateFault", self.rds.delete_db_subnet_group, DBSubnetGroupName="used"
        )
        self.assertIn(
            "Cannot delete the subnet group 'used' because at least one database cluster: using is still using it.",
            str(error),
        )
        self.assert_refused(
            "InvalidDBParameterGroupState",
            self.rds.delete_db_cluster_parameter_group,
            DBClusterParameterGroupName="used",
        )
        self.assert_refused(
            "SubnetAlreadyInUse",
            self.rds.modify_db_subnet_group,
            DBSubnetGroupName="used",
            SubnetIds=self.network["subnets"][:2],
        )
        self.rds.modify_db_subnet_group(DBSubnetGroupName="used", SubnetIds=self.network["subnets"][1:])
        self.rds.delete_db_instance(DBInstanceIdentifier="using-3")
        self.rds.delete_db_cluster(DBClusterIdentifier="using", SkipFinalSnapshot=True)
        self.advance(239)
        self.assert_refused("InvalidDBSubnetGroupStateFault", self.rds.delete_db_subnet_group, DBSubnetGroupName="used")
        self.advance(1)
        self.rds.delete_db_subnet_group(DBSubnetGroupName="used")
        self.rds.delete_db_cluster_parameter_group(DBClusterParameterGroupName="used")

    def test_subnets_of_groups(self):
        other = self.ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
        elsewhere = self.ec2.create_subnet(VpcId=other, CidrBlock="10.2.0.0/24", AvailabilityZone="us-east-1b")[
            "Subnet"
        ]["SubnetId"]
        for second in ("subnet-0123456789abcdef0", elsewhere):
            self.assert_refused(
                "InvalidSubnet",
                self.rds.create_db_subnet_group,
                DBSubnetGroupName="torn",
                DBSubnetGroupDescription="torn",
                SubnetIds=[self.network["subnets"][0], second],
            )


class LagTest(AuroraTest):
    OPTIONS = ("--control", "--lag", "10")

    def make_network(self):
        """Makes the network no faster than AWS takes it."""
        vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.advance(60)
        group = self.ec2.create_security_group(GroupName="rds", Description="rds", VpcId=vpc)["GroupId"]
        subnets = [
            self.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=f"us-east-1{zone}")[
                "Subnet"
            ]["SubnetId"]
            for index, zone in enumerate("abc")
        ]
        self.advance(60)
        return {"vpc": vpc, "subnets": subnets, "group": group}

    def test_a_new_subnet_group_is_unknown_at_first(self):
        self.rds.create_db_subnet_group(
            DBSubnetGroupName="new", DBSubnetGroupDescription="new", SubnetIds=self.network["subnets"]
        )
        with self.assertRaises(self.rds.exceptions.DBSubnetGroupNotFoundFault):
            self.create_cluster("impatient", DBSubnetGroupName="new")
        with self.assertRaises(self.rds.exceptions.DBSubnetGroupAlreadyExistsFault):
            self.rds.create_db_subnet_group(
                DBSubnetGroupName="new", DBSubnetGroupDescription="new", SubnetIds=self.network["subnets"]
            )
        self.advance(10)
        self.create_cluster("impatient", DBSubnetGroupName="new")

    def test_new_subnets_and_security_groups_are_unknown_at_first(self):
        vpc = self.network["vpc"]
        subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.9.0/24", AvailabilityZone="us-east-1a")["Subnet"][
            "SubnetId"
        ]
        group = self.ec2.create_security_group(GroupName="new", Description="new", VpcId=vpc)["GroupId"]
        grouped = {
            "DBSubnetGroupName": "early",
            "DBSubnetGroupDescription": "early",
            "SubnetIds": [subnet, *self.network["subnets"]],
        }
        self.assert_refused("InvalidSubnet", self.rds.create_db_subnet_group, **grouped)
        self.assert_refused(
            "InvalidParameterValue", lambda: self.create_cluster("hurried", VpcSecurityGroupIds=[group])
        )
        self.advance(10)
        self.rds.create_db_subnet_group(**grouped)
        self.create_cluster("hurried", VpcSecurityGroupIds=[group])

    def test_a_new_role_is_unknown_at_first(self):
        document = trust_of("monitoring.rds")
        role = self.client("iam").create_role(RoleName="monitoring", AssumeRolePolicyDocument=document)["Role"]["Arn"]
        monitored = {"MonitoringInterval": 60, "MonitoringRoleArn": role}
        self.create_cluster("monitored")
        self.assert_refused("InvalidParameterValue", lambda: self.create_instance("monitored", 1, **monitored))
        self.advance(10)
        self.create_instance("monitored", 1, **monitored)


if __name__ == "__main__":
    unittest.main()
