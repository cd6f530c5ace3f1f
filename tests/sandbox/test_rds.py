"""Aurora clusters, instances, groups and their tags answer what they were given."""

import json
import unittest

from support import SandboxTest, make_network

TAGS = [{"Key": "Project", "Value": "order-api"}]
MONITORING_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "monitoring.rds.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class RdsTest(SandboxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rds = cls.client("rds")
        cls.network = make_network(cls.client("ec2"))
        cls.rds.create_db_subnet_group(
            DBSubnetGroupName="order-api-dev", DBSubnetGroupDescription="private", SubnetIds=cls.network["subnets"][:2], Tags=TAGS
        )
        cls.rds.create_db_cluster_parameter_group(
            DBClusterParameterGroupName="order-api-dev", DBParameterGroupFamily="aurora-mysql8.0", Description="TLS only", Tags=TAGS
        )

    def create_cluster(self, identifier, **fields):
        request = {
            "DBClusterIdentifier": identifier,
            "Engine": "aurora-mysql",
            "EngineVersion": "8.0",
            "MasterUsername": "admin",
            "MasterUserPassword": "not-a-real-one",
            "DatabaseName": "orderdb",
            "DBSubnetGroupName": "order-api-dev",
            "DBClusterParameterGroupName": "order-api-dev",
            "VpcSecurityGroupIds": [self.network["group"]],
            "StorageEncrypted": True,
            "BackupRetentionPeriod": 7,
            "PreferredBackupWindow": "03:00-04:00",
            "PreferredMaintenanceWindow": "mon:04:00-mon:05:00",
            "EnableCloudwatchLogsExports": ["audit", "error", "slowquery"],
            "CopyTagsToSnapshot": True,
            "DeletionProtection": False,
            "Tags": TAGS,
            **fields,
        }
        return self.rds.create_db_cluster(**{key: value for key, value in request.items() if value is not None})["DBCluster"]

    def cluster(self, identifier):
        return self.rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0]

    def test_cluster_is_echoed(self):
        self.create_cluster("echo")
        cluster = self.cluster("echo")
        self.assert_echoes(
            {
                "Engine": "aurora-mysql",
                "MasterUsername": "admin",
                "DatabaseName": "orderdb",
                "DBSubnetGroup": "order-api-dev",
                "DBClusterParameterGroup": "order-api-dev",
                "VpcSecurityGroups": [{"VpcSecurityGroupId": self.network["group"], "Status": "active"}],
                "StorageEncrypted": True,
                "BackupRetentionPeriod": 7,
                "PreferredBackupWindow": "03:00-04:00",
                "PreferredMaintenanceWindow": "mon:04:00-mon:05:00",
                "EnabledCloudwatchLogsExports": ["audit", "error", "slowquery"],
                "CopyTagsToSnapshot": True,
                "DeletionProtection": False,
                "TagList": TAGS,
                "Status": "available",
                "Port": 3306,
                "DBClusterMembers": [],
            },
            cluster,
        )
        self.assertRegex(cluster["EngineVersion"], r"^8\.0\.mysql_aurora\.3\.")
        self.assertRegex(cluster["KmsKeyId"], "^arn:aws:kms:")
        self.assertIn(".cluster-", cluster["Endpoint"])
        self.assertIn(".cluster-ro-", cluster["ReaderEndpoint"])
        self.assertNotIn("MasterUserSecret", cluster)
        self.assertEqual([], self.rds.describe_db_cluster_snapshots(DBClusterIdentifier="echo")["DBClusterSnapshots"])

    def test_cluster_refusals(self):
        self.create_cluster("twice")
        with self.assertRaises(self.rds.exceptions.DBClusterAlreadyExistsFault):
            self.create_cluster("twice")
        with self.assertRaises(self.rds.exceptions.DBClusterNotFoundFault):
            self.rds.modify_db_cluster(DBClusterIdentifier="nowhere", BackupRetentionPeriod=3)
        with self.assertRaises(self.rds.exceptions.DBClusterNotFoundFault):
            self.cluster("nowhere")
        with self.assertRaises(self.rds.exceptions.DBSubnetGroupNotFoundFault):
            self.create_cluster("lost", DBSubnetGroupName="nowhere")
        with self.assertRaises(self.rds.exceptions.DBClusterParameterGroupNotFoundFault):
            self.create_cluster("lost", DBClusterParameterGroupName="nowhere")

    def test_cluster_modifications(self):
        self.create_cluster("modified")
        self.rds.create_db_cluster_parameter_group(
            DBClusterParameterGroupName="other", DBParameterGroupFamily="aurora-mysql8.0", Description="other"
        )
        group = self.client("ec2").create_security_group(GroupName="other", Description="other", VpcId=self.network["vpc"])["GroupId"]
        answer = self.rds.modify_db_cluster(
            DBClusterIdentifier="modified",
            ApplyImmediately=True,
            BackupRetentionPeriod=14,
            PreferredBackupWindow="05:00-06:00",
            PreferredMaintenanceWindow="tue:07:00-tue:08:00",
            CloudwatchLogsExportConfiguration={"EnableLogTypes": ["general"], "DisableLogTypes": ["audit", "error"]},
            ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 8.0},
            VpcSecurityGroupIds=[group],
            DBClusterParameterGroupName="other",
            CopyTagsToSnapshot=False,
            DeletionProtection=True,
            EngineVersion="8.0.mysql_aurora.3.08.2",
            EnableIAMDatabaseAuthentication=True,
        )["DBCluster"]
        expected = {
            "BackupRetentionPeriod": 14,
            "PreferredBackupWindow": "05:00-06:00",
            "PreferredMaintenanceWindow": "tue:07:00-tue:08:00",
            "EnabledCloudwatchLogsExports": ["general", "slowquery"],
            "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 8.0},
            "VpcSecurityGroups": [{"VpcSecurityGroupId": group, "Status": "active"}],
            "DBClusterParameterGroup": "other",
            "CopyTagsToSnapshot": False,
            "DeletionProtection": True,
            "EngineVersion": "8.0.mysql_aurora.3.08.2",
            "IAMDatabaseAuthenticationEnabled": True,
        }
        self.assert_echoes(expected, answer)
        self.assert_echoes(expected, self.cluster("modified"))
        self.rds.modify_db_cluster(DBClusterIdentifier="modified", ServerlessV2ScalingConfiguration={"MaxCapacity": 16.0})
        self.assertEqual({"MinCapacity": 0.5, "MaxCapacity": 16.0}, self.cluster("modified")["ServerlessV2ScalingConfiguration"])
        self.assert_refused("InvalidParameterCombination", self.rds.delete_db_cluster, DBClusterIdentifier="modified", SkipFinalSnapshot=True)

    def test_managed_password_can_be_switched(self):
        self.create_cluster("managed", MasterUserPassword=None, ManageMasterUserPassword=True)
        secretsmanager = self.client("secretsmanager")
        secret = self.cluster("managed")["MasterUserSecret"]
        self.assertEqual("active", self.cluster("managed")["MasterUserSecret"]["SecretStatus"])
        self.assertIn(":secret:rds!cluster-", secret["SecretArn"])
        value = json.loads(secretsmanager.get_secret_value(SecretId=secret["SecretArn"])["SecretString"])
        self.assertEqual("admin", value["username"])
        self.rds.modify_db_cluster(DBClusterIdentifier="managed", ManageMasterUserPassword=False, MasterUserPassword="another-one", ApplyImmediately=True)
        self.assertNotIn("MasterUserSecret", self.cluster("managed"))
        self.rds.modify_db_cluster(DBClusterIdentifier="managed", ManageMasterUserPassword=True, ApplyImmediately=True)
        self.assertNotEqual(secret["SecretArn"], self.cluster("managed")["MasterUserSecret"]["SecretArn"])

    def test_instances_and_their_end(self):
        self.create_cluster("full")
        for number in (1, 2):
            self.rds.create_db_instance(
                DBInstanceIdentifier=f"full-{number}",
                DBClusterIdentifier="full",
                DBInstanceClass="db.r6g.large",
                Engine="aurora-mysql",
                AvailabilityZone=f"us-east-1{'ab'[number - 1]}",
                PromotionTier=number,
                PubliclyAccessible=False,
                AutoMinorVersionUpgrade=True,
                CopyTagsToSnapshot=True,
                MonitoringInterval=0,
                EnablePerformanceInsights=True,
                Tags=TAGS,
            )
        self.assertEqual(
            [("full-1", True, 1), ("full-2", False, 2)],
            [(m["DBInstanceIdentifier"], m["IsClusterWriter"], m["PromotionTier"]) for m in self.cluster("full")["DBClusterMembers"]],
        )

        def instance(identifier):
            return self.rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]

        second = instance("full-2")
        self.assert_echoes(
            {
                "DBClusterIdentifier": "full",
                "DBInstanceClass": "db.r6g.large",
                "AvailabilityZone": "us-east-1b",
                "PromotionTier": 2,
                "PubliclyAccessible": False,
                "AutoMinorVersionUpgrade": True,
                "CopyTagsToSnapshot": True,
                "MonitoringInterval": 0,
                "PerformanceInsightsEnabled": True,
                "StorageEncrypted": True,
                "DBInstanceStatus": "available",
                "DBSubnetGroup": {"DBSubnetGroupName": "order-api-dev"},
                "VpcSecurityGroups": [{"VpcSecurityGroupId": self.network["group"], "Status": "active"}],
                "TagList": TAGS,
            },
            second,
        )
        self.assertNotEqual(second["DbiResourceId"], instance("full-1")["DbiResourceId"])
        with self.assertRaises(self.rds.exceptions.DBInstanceAlreadyExistsFault):
            self.rds.create_db_instance(DBInstanceIdentifier="full-1", DBClusterIdentifier="full", DBInstanceClass="db.r6g.large", Engine="aurora-mysql")

        role = self.client("iam").create_role(RoleName="monitor", AssumeRolePolicyDocument=json.dumps(MONITORING_TRUST))["Role"]["Arn"]
        self.rds.modify_db_instance(
            DBInstanceIdentifier="full-2",
            DBInstanceClass="db.r6g.xlarge",
            PromotionTier=5,
            AutoMinorVersionUpgrade=False,
            CopyTagsToSnapshot=False,
            EnablePerformanceInsights=False,
            PubliclyAccessible=True,
            MonitoringInterval=60,
            MonitoringRoleArn=role,
            ApplyImmediately=True,
        )
        self.assert_echoes(
            {
                "DBInstanceClass": "db.r6g.xlarge",
                "PromotionTier": 5,
                "AutoMinorVersionUpgrade": False,
                "CopyTagsToSnapshot": False,
                "PerformanceInsightsEnabled": False,
                "PubliclyAccessible": True,
                "MonitoringInterval": 60,
            },
            instance("full-2"),
        )

        self.assert_refused("InvalidDBClusterStateFault", self.rds.delete_db_cluster, DBClusterIdentifier="full", SkipFinalSnapshot=True)
        for number in (1, 2):
            self.rds.delete_db_instance(DBInstanceIdentifier=f"full-{number}")
        with self.assertRaises(self.rds.exceptions.DBInstanceNotFoundFault):
            instance("full-1")
        self.assert_refused("InvalidParameterCombination", self.rds.delete_db_cluster, DBClusterIdentifier="full")
        self.rds.delete_db_cluster(DBClusterIdentifier="full", FinalDBSnapshotIdentifier="full-final")
        snapshot = self.rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier="full-final")["DBClusterSnapshots"][0]
        self.assert_echoes({"DBClusterIdentifier": "full", "SnapshotType": "manual", "Status": "available", "TagList": TAGS}, snapshot)
        self.rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="full-final")
        with self.assertRaises(self.rds.exceptions.DBClusterSnapshotNotFoundFault):
            self.rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier="full-final")

    def test_subnet_group_is_modified_in_place(self):
        self.rds.create_db_subnet_group(DBSubnetGroupName="Changing", DBSubnetGroupDescription="one", SubnetIds=self.network["subnets"][:2], Tags=TAGS)
        with self.assertRaises(self.rds.exceptions.DBSubnetGroupAlreadyExistsFault):
            self.rds.create_db_subnet_group(DBSubnetGroupName="changing", DBSubnetGroupDescription="one", SubnetIds=self.network["subnets"][:2])
        self.rds.modify_db_subnet_group(DBSubnetGroupName="changing", DBSubnetGroupDescription="two", SubnetIds=self.network["subnets"])
        group = self.rds.describe_db_subnet_groups(DBSubnetGroupName="changing")["DBSubnetGroups"][0]
        self.assertEqual(("changing", "two", self.network["vpc"]), (group["DBSubnetGroupName"], group["DBSubnetGroupDescription"], group["VpcId"]))
        self.assertEqual(set(self.network["subnets"]), {subnet["SubnetIdentifier"] for subnet in group["Subnets"]})
        self.assertEqual(TAGS, self.rds.list_tags_for_resource(ResourceName=group["DBSubnetGroupArn"])["TagList"])
        self.rds.delete_db_subnet_group(DBSubnetGroupName="changing")
        with self.assertRaises(self.rds.exceptions.DBSubnetGroupNotFoundFault):
            self.rds.describe_db_subnet_groups(DBSubnetGroupName="changing")
        with self.assertRaises(self.rds.exceptions.DBSubnetGroupNotFoundFault):
            self.rds.modify_db_subnet_group(DBSubnetGroupName="changing", SubnetIds=self.network["subnets"])
        with self.assertRaises(self.rds.exceptions.DBSubnetGroupDoesNotCoverEnoughAZs):
            self.rds.create_db_subnet_group(DBSubnetGroupName="thin", DBSubnetGroupDescription="one", SubnetIds=self.network["subnets"][:1])

    def test_cluster_parameters(self):
        name = "parameters"
        self.rds.create_db_cluster_parameter_group(DBClusterParameterGroupName=name, DBParameterGroupFamily="aurora-mysql8.0", Description="x", Tags=TAGS)

        def user():
            answer = self.rds.describe_db_cluster_parameters(DBClusterParameterGroupName=name, Source="user")["Parameters"]
            return {item["ParameterName"]: (item["ParameterValue"], item["ApplyMethod"]) for item in answer}

        def change(parameter, value):
            self.rds.modify_db_cluster_parameter_group(
                DBClusterParameterGroupName=name,
                Parameters=[{"ParameterName": parameter, "ParameterValue": value, "ApplyMethod": "immediate"}],
            )

        self.assertEqual({}, user())
        change("require_secure_transport", "ON")
        change("time_zone", "Europe/Berlin")
        self.assertEqual({"require_secure_transport": ("ON", "immediate"), "time_zone": ("Europe/Berlin", "immediate")}, user())
        everything = self.rds.describe_db_cluster_parameters(DBClusterParameterGroupName=name)["Parameters"]
        self.assertIn(("tls_version", "engine-default"), [(item["ParameterName"], item["Source"]) for item in everything])
        self.rds.reset_db_cluster_parameter_group(DBClusterParameterGroupName=name, Parameters=[{"ParameterName": "time_zone", "ApplyMethod": "immediate"}])
        self.assertEqual(["require_secure_transport"], list(user()))
        self.rds.reset_db_cluster_parameter_group(DBClusterParameterGroupName=name, ResetAllParameters=True)
        self.assertEqual({}, user())
        group = self.rds.describe_db_cluster_parameter_groups(DBClusterParameterGroupName=name)["DBClusterParameterGroups"][0]
        self.assert_echoes({"DBParameterGroupFamily": "aurora-mysql8.0", "Description": "x"}, group)
        self.rds.delete_db_cluster_parameter_group(DBClusterParameterGroupName=name)
        with self.assertRaises(self.rds.exceptions.DBParameterGroupNotFoundFault):
            self.rds.describe_db_cluster_parameter_groups(DBClusterParameterGroupName=name)

    def test_catalogue(self):
        versions = self.rds.describe_db_engine_versions(Engine="aurora-mysql", EngineVersion="8.0")["DBEngineVersions"]
        self.assertGreater(len(versions), 1)
        default = self.rds.describe_db_engine_versions(Engine="aurora-mysql", DefaultOnly=True)["DBEngineVersions"]
        self.assertEqual(["aurora-mysql8.0"], [version["DBParameterGroupFamily"] for version in default])
        options = self.rds.describe_orderable_db_instance_options(Engine="aurora-mysql", EngineVersion=default[0]["EngineVersion"], DBInstanceClass="db.r6g.large")
        self.assertEqual(1, len(options["OrderableDBInstanceOptions"]))

    def test_tags_of_every_kind(self):
        self.create_cluster("tagged")
        self.rds.create_db_instance(DBInstanceIdentifier="tagged-1", DBClusterIdentifier="tagged", DBInstanceClass="db.r6g.large", Engine="aurora-mysql", Tags=TAGS)
        prefix = "arn:aws:rds:us-east-1:123456789012:"
        for name in ("cluster:tagged", "db:tagged-1", "subgrp:order-api-dev", "cluster-pg:order-api-dev"):
            with self.subTest(name):
                self.rds.add_tags_to_resource(ResourceName=prefix + name, Tags=[{"Key": "a", "Value": "1"}])
                self.rds.remove_tags_from_resource(ResourceName=prefix + name, TagKeys=["Project"])
                self.assertEqual([{"Key": "a", "Value": "1"}], self.rds.list_tags_for_resource(ResourceName=prefix + name)["TagList"])
        with self.assertRaises(self.rds.exceptions.DBClusterNotFoundFault):
            self.rds.list_tags_for_resource(ResourceName=prefix + "cluster:nowhere")


if __name__ == "__main__":
    unittest.main()
