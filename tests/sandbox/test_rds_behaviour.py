"""Aurora takes its time and goes in order."""

import unittest
from urllib.request import Request, urlopen

from rds_support import AuroraTest
from support import ACCOUNT, SandboxTest, make_network, trust_of


class CreationTest(AuroraTest):
    def test_cluster_then_instances(self):
        made = self.create_cluster("made", EnableCloudwatchLogsExports=["error"])
        self.assertEqual("creating", made["Status"])
        self.assertIn(".cluster-", made["Endpoint"])
        self.advance(10)
        first = self.create_instance("made", 1)
        self.assertEqual("creating", first["DBInstanceStatus"])
        self.advance(79)
        self.assertEqual("creating", self.cluster_status("made"))
        self.advance(1)
        self.assertEqual("available", self.cluster_status("made"))
        self.assertEqual("creating", self.instance_status("made-1"))
        self.assertEqual([], self.writers("made"))
        self.advance(310)
        self.assertEqual("configuring-log-exports", self.instance_status("made-1"))
        self.assertNotIn("Endpoint", self.instance("made-1"))
        self.advance(29)
        self.assertEqual("configuring-log-exports", self.instance_status("made-1"))
        self.advance(1)
        self.assertEqual("available", self.instance_status("made-1"))
        self.assertEqual(3306, self.instance("made-1")["Endpoint"]["Port"])
        self.assertEqual(["made-1"], self.writers("made"))

    def test_the_states_on_the_way(self):
        trust = trust_of("monitoring.rds")
        role = self.client("iam").create_role(RoleName="monitoring", AssumeRolePolicyDocument=trust)
        self.create_cluster("words", EnableCloudwatchLogsExports=["audit"])
        self.create_instance("words", 1, MonitoringInterval=60, MonitoringRoleArn=role["Role"]["Arn"])
        seen = []
        for _ in range(43):
            seen.append(self.instance_status("words-1"))
            self.advance(10)
        self.assertEqual(
            ["creating", "configuring-enhanced-monitoring", "configuring-log-exports", "available"],
            list(dict.fromkeys(seen)),
        )

    def test_the_first_available_instance_writes(self):
        self.create_cluster("race")
        self.create_instance("race", 2, PromotionTier=15)
        self.advance(100)
        self.create_instance("race", 1, PromotionTier=0)
        self.advance(319)
        self.assertEqual([], self.writers("race"))
        self.advance(1)
        self.assertEqual(["race-2"], self.writers("race"))
        self.advance(100)
        self.assertEqual("available", self.instance_status("race-1"))
        self.assertEqual(["race-2"], self.writers("race"))

    def test_managed_secret_is_there_at_once_and_active_with_the_cluster(self):
        made = self.create_cluster("managed", MasterUserPassword=None, ManageMasterUserPassword=True)
        self.assertEqual("creating", made["MasterUserSecret"]["SecretStatus"])
        self.advance(89)
        self.assertEqual("creating", self.cluster("managed")["MasterUserSecret"]["SecretStatus"])
        self.advance(1)
        self.assertEqual("active", self.cluster("managed")["MasterUserSecret"]["SecretStatus"])
        arn = made["MasterUserSecret"]["SecretArn"]
        secrets = self.client("secretsmanager")
        self.assertIn("admin", secrets.get_secret_value(SecretId=arn)["SecretString"])
        self.rds.delete_db_cluster(DBClusterIdentifier="managed", SkipFinalSnapshot=True)
        secrets.get_secret_value(SecretId=arn)
        self.advance(60)
        self.assert_cluster_gone("managed")
        self.advance(10)
        with self.assertRaises(secrets.exceptions.ResourceNotFoundException):
            secrets.get_secret_value(SecretId=arn)

    def test_the_service_linked_role_appears(self):
        self.create_cluster("first")
        role = self.client("iam").get_role(RoleName="AWSServiceRoleForRDS")["Role"]
        self.assertEqual(
            f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS", role["Arn"]
        )

    def test_without_security_groups_the_default_one_is_taken(self):
        answer = self.create_cluster("open", VpcSecurityGroupIds=None)
        groups = self.ec2.describe_security_groups(
            Filters=[{"Name": "vpc-id", "Values": [self.network["vpc"]]}, {"Name": "group-name", "Values": ["default"]}]
        )["SecurityGroups"]
        self.assertEqual([groups[0]["GroupId"]], [g["VpcSecurityGroupId"] for g in answer["VpcSecurityGroups"]])


class ChangeTest(AuroraTest):
    def test_cluster_is_modifying_for_a_while(self):
        self.create_available("changed", 0)
        answer = self.rds.modify_db_cluster(
            DBClusterIdentifier="changed", BackupRetentionPeriod=3, ApplyImmediately=True
        )
        self.assertEqual("modifying", answer["DBCluster"]["Status"])
        error = self.assert_refused(
            "InvalidDBClusterStateFault",
            self.rds.modify_db_cluster,
            DBClusterIdentifier="changed",
            BackupRetentionPeriod=4,
        )
        self.assertIn("not available for modification with status modifying", str(error))
        self.advance(29)
        self.assertEqual("modifying", self.cluster_status("changed"))
        self.advance(1)
        self.assertEqual("available", self.cluster_status("changed"))

    def test_a_new_cluster_cannot_be_modified_yet(self):
        self.create_cluster("fresh")
        self.assert_refused(
            "InvalidDBClusterStateFault",
            self.rds.modify_db_cluster,
            DBClusterIdentifier="fresh",
            BackupRetentionPeriod=4,
        )

    def test_instance_class_changes_in_the_end(self):
        self.create_available("resized")

        def resize(name, now):
            return self.rds.modify_db_instance(
                DBInstanceIdentifier="resized-1", DBInstanceClass=name, ApplyImmediately=now
            )["DBInstance"]

        answer = resize("db.r6g.xlarge", True)
        self.assertEqual("modifying", answer["DBInstanceStatus"])
        self.assertEqual("db.r6g.large", answer["DBInstanceClass"])
        self.assertEqual({"DBInstanceClass": "db.r6g.xlarge"}, answer["PendingModifiedValues"])
        for call in (
            lambda: self.rds.modify_db_instance(DBInstanceIdentifier="resized-1", PromotionTier=3),
            lambda: self.rds.reboot_db_instance(DBInstanceIdentifier="resized-1"),
        ):
            self.assert_refused("InvalidDBInstanceState", call)
        self.advance(119)
        self.assertEqual("modifying", self.instance_status("resized-1"))
        self.advance(1)
        self.assertEqual(
            ("available", "db.r6g.xlarge"),
            (self.instance_status("resized-1"), self.instance("resized-1")["DBInstanceClass"]),
        )

        resize("db.r6g.2xlarge", False)
        self.assertEqual("available", self.instance_status("resized-1"))
        self.advance(3600)
        waiting = self.instance("resized-1")
        self.assertEqual("db.r6g.xlarge", waiting["DBInstanceClass"], "it waits for the maintenance window")
        self.assertEqual({"DBInstanceClass": "db.r6g.2xlarge"}, waiting["PendingModifiedValues"])

    def test_reboot(self):
        self.create_available("booted")
        answer = self.rds.reboot_db_instance(DBInstanceIdentifier="booted-1")
        self.assertEqual("rebooting", answer["DBInstance"]["DBInstanceStatus"])
        self.assertEqual(["booted-1"], self.writers("booted"))
        self.advance(60)
        self.assertEqual("available", self.instance_status("booted-1"))

    def test_a_deletion_ends_every_other_state(self):
        self.create_available("hasty")
        self.rds.modify_db_instance(DBInstanceIdentifier="hasty-1", PromotionTier=3, ApplyImmediately=True)
        self.rds.modify_db_cluster(DBClusterIdentifier="hasty", BackupRetentionPeriod=3)
        self.create_instance("hasty", 2)
        for number in (1, 2):
            self.rds.delete_db_instance(DBInstanceIdentifier=f"hasty-{number}", SkipFinalSnapshot=True)
        self.rds.delete_db_cluster(DBClusterIdentifier="hasty", SkipFinalSnapshot=True)
        self.advance(179)
        self.assertEqual(
            ["deleting"] * 3,
            [self.cluster_status("hasty"), self.instance_status("hasty-1"), self.instance_status("hasty-2")],
        )
        self.advance(61)
        self.assert_cluster_gone("hasty")
        self.advance(420)
        self.assert_cluster_gone("hasty")


class DeletionTest(AuroraTest):
    def test_order(self):
        self.create_available("ordered", 2)
        error = self.assert_refused(
            "InvalidDBClusterStateFault",
            self.rds.delete_db_cluster,
            DBClusterIdentifier="ordered",
            SkipFinalSnapshot=True,
        )
        self.assertIn("it still contains DB instances in non-deleting state", str(error))
        answer = self.rds.delete_db_instance(DBInstanceIdentifier="ordered-1")
        self.assertEqual("deleting", answer["DBInstance"]["DBInstanceStatus"])
        error = self.assert_refused(
            "InvalidDBInstanceState", self.rds.delete_db_instance, DBInstanceIdentifier="ordered-1"
        )
        self.assertIn("is already being deleted", str(error))
        self.assert_refused(
            "InvalidDBClusterStateFault",
            self.rds.delete_db_cluster,
            DBClusterIdentifier="ordered",
            SkipFinalSnapshot=True,
        )
        self.advance(100)
        self.rds.delete_db_instance(DBInstanceIdentifier="ordered-2")
        answer = self.rds.delete_db_cluster(DBClusterIdentifier="ordered", SkipFinalSnapshot=True)
        self.assertEqual("deleting", answer["DBCluster"]["Status"])
        for call in (
            lambda: self.rds.delete_db_cluster(DBClusterIdentifier="ordered", SkipFinalSnapshot=True),
            lambda: self.rds.modify_db_cluster(DBClusterIdentifier="ordered", BackupRetentionPeriod=3),
            lambda: self.create_instance("ordered", 3),
        ):
            self.assert_refused("InvalidDBClusterStateFault", call)
        with self.assertRaises(self.rds.exceptions.DBClusterAlreadyExistsFault):
            self.create_cluster("ordered")
        with self.assertRaises(self.rds.exceptions.DBInstanceAlreadyExistsFault):
            self.create_instance("ordered", 2)
        self.advance(80)
        with self.assertRaises(self.rds.exceptions.DBInstanceNotFoundFault):
            self.instance("ordered-1")
        self.assertEqual("deleting", self.instance_status("ordered-2"))
        self.advance(100)
        with self.assertRaises(self.rds.exceptions.DBInstanceNotFoundFault):
            self.instance("ordered-2")
        self.advance(59)
        self.assertEqual("deleting", self.cluster_status("ordered"))
        self.advance(1)
        self.assert_cluster_gone("ordered")
        with self.assertRaises(self.rds.exceptions.DBClusterNotFoundFault):
            self.rds.delete_db_cluster(DBClusterIdentifier="ordered", SkipFinalSnapshot=True)
        self.create_cluster("ordered")

    def test_protection(self):
        self.create_available("kept", 0, DeletionProtection=True)
        error = self.assert_refused(
            "InvalidParameterCombination",
            self.rds.delete_db_cluster,
            DBClusterIdentifier="kept",
            SkipFinalSnapshot=True,
        )
        self.assertIn("Cannot delete protected Cluster, please disable deletion protection and try again.", str(error))
        self.assertEqual("available", self.cluster_status("kept"))

    def test_a_reader_takes_over(self):
        self.create_available("succession", 3)
        self.assertEqual(["succession-1"], self.writers("succession"))
        self.rds.delete_db_instance(DBInstanceIdentifier="succession-1")
        self.assertEqual(["succession-2"], self.writers("succession"))
        self.rds.delete_db_instance(DBInstanceIdentifier="succession-3")
        self.rds.delete_db_instance(DBInstanceIdentifier="succession-2")
        self.assertEqual(["succession-2"], self.writers("succession"), "nobody else is there")
        self.advance(180)
        self.assertEqual([], self.cluster("succession")["DBClusterMembers"])

    def test_the_final_snapshot_is_waited_for(self):
        self.create_available("saved")
        self.rds.delete_db_instance(DBInstanceIdentifier="saved-1")
        self.advance(170)
        self.rds.delete_db_cluster(DBClusterIdentifier="saved", FinalDBSnapshotIdentifier="saved-final")

        def status():
            return self.rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier="saved-final")[
                "DBClusterSnapshots"
            ][0]["Status"]

        self.assertEqual("creating", status())
        self.assert_refused(
            "InvalidDBClusterSnapshotStateFault",
            self.rds.delete_db_cluster_snapshot,
            DBClusterSnapshotIdentifier="saved-final",
        )
        self.advance(60)
        self.assertEqual("available", status())
        self.advance(59)
        self.assertEqual("deleting", self.cluster_status("saved"))
        self.advance(1)
        self.assert_cluster_gone("saved")

        self.create_available("again", 0)
        self.assert_refused(
            "DBClusterSnapshotAlreadyExistsFault",
            self.rds.delete_db_cluster,
            DBClusterIdentifier="again",
            FinalDBSnapshotIdentifier="saved-final",
        )
        self.assertEqual("available", self.cluster_status("again"))

    def test_only_an_available_cluster_takes_a_final_snapshot(self):
        self.create_cluster("early")
        self.assert_refused(
            "InvalidDBClusterStateFault",
            self.rds.delete_db_cluster,
            DBClusterIdentifier="early",
            FinalDBSnapshotIdentifier="early-final",
        )
        self.rds.delete_db_cluster(DBClusterIdentifier="early", SkipFinalSnapshot=True)
        self.advance(60)
        self.assert_cluster_gone("early")

    def test_members_have_no_final_snapshots_of_their_own(self):
        self.create_available("member")
        self.assert_refused(
            "InvalidParameterCombination",
            self.rds.delete_db_instance,
            DBInstanceIdentifier="member-1",
            FinalDBSnapshotIdentifier="x",
        )


class InterfaceTest(AuroraTest):
    def test_subnets_and_groups_are_held_until_the_interfaces_are_gone(self):
        group = self.ec2.create_security_group(GroupName="rds", Description="rds", VpcId=self.network["vpc"])["GroupId"]
        self.create_cluster("held", VpcSecurityGroupIds=[group])
        self.create_instance("held", 2)
        [interface] = self.interfaces(group_id=group)
        self.assertEqual(self.network["subnets"][1], interface["SubnetId"])
        self.assertEqual(("amazon-rds", True), (interface["RequesterId"], interface["RequesterManaged"]))
        self.rds.delete_db_instance(DBInstanceIdentifier="held-2")
        self.advance(180)
        self.assertEqual(1, len(self.interfaces(group_id=group)))
        self.advance(59)
        self.assertEqual(1, len(self.interfaces(group_id=group)))
        self.advance(1)
        self.assertEqual([], self.interfaces(group_id=group))

    def test_interfaces_follow_the_groups_of_the_cluster(self):
        self.create_available("moved")
        group = self.ec2.create_security_group(GroupName="new", Description="new", VpcId=self.network["vpc"])["GroupId"]
        self.rds.modify_db_cluster(DBClusterIdentifier="moved", VpcSecurityGroupIds=[group])
        [interface] = self.interfaces(group_id=group)
        self.assertEqual([group], [item["GroupId"] for item in interface["Groups"]])

    def test_without_a_zone_instances_spread(self):
        self.create_cluster("spread")
        zones = {
            self.rds.create_db_instance(
                DBInstanceIdentifier=f"spread-{number}",
                DBClusterIdentifier="spread",
                DBInstanceClass="db.r6g.large",
                Engine="aurora-mysql",
            )["DBInstance"]["AvailabilityZone"]
            for number in range(3)
        }
        self.assertEqual({"us-east-1a", "us-east-1b", "us-east-1c"}, zones)


class LogGroupTest(AuroraTest):
    def names(self, cluster):
        groups = self.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/rds/cluster/{cluster}/")["logGroups"]
        return [group["logGroupName"].rpartition("/")[2] for group in groups]

    def test_groups_come_back_after_the_cluster_is_gone(self):
        logs = self.client("logs")
        self.create_available("logged", EnableCloudwatchLogsExports=["error", "slowquery"])
        self.assertEqual(["error"], self.names("logged"))
        logs.put_retention_policy(logGroupName="/aws/rds/cluster/logged/error", retentionInDays=7)
        self.rds.delete_db_instance(DBInstanceIdentifier="logged-1")
        self.rds.delete_db_cluster(DBClusterIdentifier="logged", SkipFinalSnapshot=True)
        self.advance(240)
        self.assert_cluster_gone("logged")
        logs.delete_log_group(logGroupName="/aws/rds/cluster/logged/error")
        self.advance(19)
        self.assertEqual([], self.names("logged"))
        self.advance(1)
        self.assertEqual(["error", "slowquery"], self.names("logged"))
        for group in logs.describe_log_groups(logGroupNamePrefix="/aws/rds/cluster/logged/")["logGroups"]:
            self.assertNotIn("retentionInDays", group)
            logs.delete_log_group(logGroupName=group["logGroupName"])
        self.advance(3600)
        self.assertEqual([], self.names("logged"), "once only")

    def test_nothing_comes_back_of_a_cluster_that_never_ran(self):
        self.create_available("silent", 0, EnableCloudwatchLogsExports=["error"])
        self.rds.delete_db_cluster(DBClusterIdentifier="silent", SkipFinalSnapshot=True)
        self.advance(3600)
        self.assertEqual([], self.names("silent"))


class ResetTest(AuroraTest):
    def test_nothing_is_due_for_what_a_reset_removed(self):
        self.create_available("swept")
        self.rds.delete_db_instance(DBInstanceIdentifier="swept-1")
        self.create_available("swept-too", 0)
        self.rds.delete_db_cluster(DBClusterIdentifier="swept-too", SkipFinalSnapshot=True)
        with urlopen(Request(f"{self.server.endpoint}/moto-api/reset", method="POST")):
            pass
        self.advance(600)
        self.assertEqual([], self.rds.describe_db_clusters()["DBClusters"])


class InstantTest(SandboxTest):
    """Without time, each step is there in its own answer and over by the next call."""

    def test_life_and_end(self):
        rds = self.client("rds")
        network = make_network(self.client("ec2"))
        rds.create_db_subnet_group(
            DBSubnetGroupName="at-once", DBSubnetGroupDescription="x", SubnetIds=network["subnets"]
        )
        request = {"Engine": "aurora-mysql", "MasterUsername": "admin", "MasterUserPassword": "not-a-real-one"}
        made = rds.create_db_cluster(DBClusterIdentifier="at-once", DBSubnetGroupName="at-once", **request)["DBCluster"]
        self.assertEqual("creating", made["Status"])
        rds.create_db_instance(
            DBInstanceIdentifier="at-once-1",
            DBClusterIdentifier="at-once",
            DBInstanceClass="db.r6g.large",
            Engine="aurora-mysql",
        )
        self.assertEqual(
            "available", rds.describe_db_clusters(DBClusterIdentifier="at-once")["DBClusters"][0]["Status"]
        )
        self.assertEqual(
            "available",
            rds.describe_db_instances(DBInstanceIdentifier="at-once-1")["DBInstances"][0]["DBInstanceStatus"],
        )
        self.assertEqual(
            "deleting", rds.delete_db_instance(DBInstanceIdentifier="at-once-1")["DBInstance"]["DBInstanceStatus"]
        )
        rds.delete_db_cluster(DBClusterIdentifier="at-once", SkipFinalSnapshot=True)
        self.assertEqual([], rds.describe_db_clusters()["DBClusters"])
        rds.delete_db_subnet_group(DBSubnetGroupName="at-once")


if __name__ == "__main__":
    unittest.main()
