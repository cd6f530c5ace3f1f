"""Aurora clusters and instances in a network, for tests of RDS."""

from support import FrozenTest, make_network


class AuroraTest(FrozenTest):
    """Makes clusters and instances in a network of its own."""

    def setUp(self):
        self.rds = self.client("rds")
        self.ec2 = self.client("ec2")
        cls = type(self)
        if not hasattr(cls, "network"):
            cls.network = self.make_network()
            self.rds.create_db_subnet_group(
                DBSubnetGroupName="order-api-dev", DBSubnetGroupDescription="private", SubnetIds=cls.network["subnets"]
            )
            self.advance(60)

    def make_network(self):
        return make_network(self.ec2)

    def create_cluster(self, identifier, **fields):
        request = {
            "DBClusterIdentifier": identifier,
            "Engine": "aurora-mysql",
            "MasterUsername": "admin",
            "MasterUserPassword": "not-a-real-one",
            "DBSubnetGroupName": "order-api-dev",
            "VpcSecurityGroupIds": [self.network["group"]],
            **fields,
        }
        return self.rds.create_db_cluster(**{key: value for key, value in request.items() if value is not None})[
            "DBCluster"
        ]

    def create_instance(self, cluster, number, **fields):
        return self.rds.create_db_instance(
            DBInstanceIdentifier=f"{cluster}-{number}",
            DBClusterIdentifier=cluster,
            DBInstanceClass="db.r6g.large",
            Engine="aurora-mysql",
            AvailabilityZone=f"us-east-1{'abc'[number - 1]}",
            **fields,
        )["DBInstance"]

    def create_available(self, identifier, instances=1, **fields):
        self.create_cluster(identifier, **fields)
        for number in range(1, instances + 1):
            self.create_instance(identifier, number)
        self.advance(420)

    def cluster(self, identifier):
        return self.rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0]

    def instance(self, identifier):
        return self.rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]

    def cluster_status(self, identifier):
        return self.cluster(identifier)["Status"]

    def instance_status(self, identifier):
        return self.instance(identifier)["DBInstanceStatus"]

    def writers(self, identifier):
        return [m["DBInstanceIdentifier"] for m in self.cluster(identifier)["DBClusterMembers"] if m["IsClusterWriter"]]

    def assert_cluster_gone(self, identifier):
        with self.assertRaises(self.rds.exceptions.DBClusterNotFoundFault):
            self.cluster(identifier)

    def interfaces(self, **filters):
        return self.ec2.describe_network_interfaces(
            Filters=[{"Name": "description", "Values": ["RDSNetworkInterface"]}]
            + [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
        )["NetworkInterfaces"]
