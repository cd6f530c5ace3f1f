"""After a reset the account is empty, and nothing comes to it any more from the time before."""

import unittest
from urllib.request import Request, urlopen

from support import FrozenTest


class ResetTest(FrozenTest):
    OPTIONS = ("--control", "--lag", "10")

    def reset(self):
        urlopen(Request(f"{self.server.endpoint}/moto-api/reset", method="POST")).close()

    def test_what_was_due_does_not_happen(self):
        logs, rds = self.client("logs"), self.client("rds")
        cluster = {"DBClusterIdentifier": "gone", "Engine": "aurora-mysql", "EnableCloudwatchLogsExports": ["error"]}
        rds.create_db_cluster(**cluster, MasterUsername="master", MasterUserPassword="long-enough")
        rds.create_db_instance(
            DBInstanceIdentifier="gone-1", DBClusterIdentifier="gone", Engine="aurora-mysql", DBInstanceClass="db.r6g.large"
        )
        self.advance(600)
        rds.delete_db_instance(DBInstanceIdentifier="gone-1")
        rds.delete_db_cluster(DBClusterIdentifier="gone", SkipFinalSnapshot=True)
        # From here on, only the last lines of the cluster's log are missing, which bring their group back.
        self.advance(245)
        self.assertEqual([], rds.describe_db_clusters()["DBClusters"])
        self.reset()
        self.advance(3600)
        self.assertEqual([], logs.describe_log_groups()["logGroups"])

    def test_names_are_free(self):
        logs, iam = self.client("logs"), self.client("iam")
        logs.create_log_group(logGroupName="/again")
        logs.delete_log_group(logGroupName="/again")
        self.reset()
        logs.create_log_group(logGroupName="/again")
        self.assertEqual([], [role for role in iam.list_roles()["Roles"] if role["RoleName"] == "fresh"])

    def test_nothing_is_listed_any_more(self):
        ecr, tagging = self.client("ecr"), self.client("resourcegroupstaggingapi")
        ecr.create_repository(repositoryName="tagged", tags=[{"Key": "a", "Value": "b"}])
        self.advance(20)
        self.assertEqual(1, len(tagging.get_resources()["ResourceTagMappingList"]))
        self.reset()
        self.assertEqual([], tagging.get_resources()["ResourceTagMappingList"])


if __name__ == "__main__":
    unittest.main()
