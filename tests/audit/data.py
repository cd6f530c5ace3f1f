"""Secret, parameter, Aurora cluster with its instances, groups and log groups."""

import json

from facts import Facts, pairs


def check(facts: Facts, network: dict) -> None:
    secret(facts)
    parameter(facts)
    groups(facts, network)
    cluster(facts, network)
    instances(facts, network)
    log_groups(facts)


def secret(facts: Facts) -> None:
    client = facts.client("secretsmanager")
    name = facts.name("order-api-db-password")
    found = facts.answer("the secret", client.describe_secret, SecretId=facts.outputs["dbSecretArn"])
    if not found:
        return
    facts.equal("name of the secret", name, found["Name"])
    facts.tags("the secret", pairs(found["Tags"]), name)
    value = json.loads(client.get_secret_value(SecretId=found["ARN"])["SecretString"])
    facts.equal("keys of the secret", ["password", "username"], sorted(value))
    facts.equal("user name in the secret", "admin", value["username"])
    facts.equal("length of the password", 32, len(value["password"]))
    facts.holds('the password has none of / " @ and space', not set(value["password"]) & set('/"@ '))


def parameter(facts: Facts) -> None:
    client = facts.client("ssm")
    name = f"/order-api/{facts.suffix}/config"
    found = facts.answer("the parameter", client.get_parameter, Name=name)
    if not found:
        return
    facts.equal("type of the parameter", "String", found["Parameter"]["Type"])
    value = json.loads(found["Parameter"]["Value"])
    facts.equal("value of the parameter", {"region": "us-east-1", "logLevel": "info", "maxConnections": 100}, value)
    tags = client.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    facts.tags("the parameter", pairs(tags), name)


def groups(facts: Facts, network: dict) -> None:
    rds = facts.client("rds")
    name = facts.name("order-api")
    found = facts.answer("the DB subnet group", rds.describe_db_subnet_groups, DBSubnetGroupName=name)
    if found:
        group = found["DBSubnetGroups"][0]
        facts.equal("subnets of the DB subnet group", network.get("private"), {it["SubnetIdentifier"] for it in group["Subnets"]})
        facts.tags("the DB subnet group", tags_of(rds, group["DBSubnetGroupArn"]), name)
    found = facts.answer("the parameter group", rds.describe_db_cluster_parameter_groups, DBClusterParameterGroupName=name)
    if found:
        group = found["DBClusterParameterGroups"][0]
        facts.equal("family of the parameter group", "aurora-mysql8.0", group["DBParameterGroupFamily"])
        facts.tags("the parameter group", tags_of(rds, group["DBClusterParameterGroupArn"]), name)
        values = rds.describe_db_cluster_parameters(DBClusterParameterGroupName=name)["Parameters"]
        values = {it["ParameterName"]: it.get("ParameterValue") for it in values}
        facts.equal("require_secure_transport", "ON", values.get("require_secure_transport"))


def cluster(facts: Facts, network: dict) -> None:
    rds = facts.client("rds")
    name = facts.name("order-api")
    found = facts.answer("the DB cluster", rds.describe_db_clusters, DBClusterIdentifier=name)
    if not found:
        return
    live = found["DBClusters"][0]
    settings = {
        "Engine": "aurora-mysql",
        "DatabaseName": "orderdb",
        "MasterUsername": "admin",
        "StorageEncrypted": True,
        "BackupRetentionPeriod": 7,
        "PreferredBackupWindow": "03:00-04:00",
        "PreferredMaintenanceWindow": "mon:04:00-mon:05:00",
        "CopyTagsToSnapshot": True,
        "DeletionProtection": False,
        "DBSubnetGroup": name,
        "DBClusterParameterGroup": name,
        "Status": "available",
    }
    for key, value in settings.items():
        facts.equal(f"{key} of the DB cluster", value, live.get(key))
    facts.holds("the engine version is 8.0", live["EngineVersion"].startswith("8.0"), live["EngineVersion"])
    facts.equal("log exports of the DB cluster", ["audit", "error", "slowquery"], sorted(live["EnabledCloudwatchLogsExports"]))
    facts.equal("security groups of the DB cluster", [network.get("groups", {}).get("rds")], [it["VpcSecurityGroupId"] for it in live["VpcSecurityGroups"]])
    facts.tags("the DB cluster", tags_of(rds, live["DBClusterArn"]), name)
    facts.equal("output rdsClusterEndpoint", live["Endpoint"], facts.outputs.get("rdsClusterEndpoint"))
    facts.equal("output rdsReaderEndpoint", live["ReaderEndpoint"], facts.outputs.get("rdsReaderEndpoint"))
    writers = [it["DBInstanceIdentifier"] for it in live["DBClusterMembers"] if it["IsClusterWriter"]]
    facts.equal("writer of the DB cluster", [f"{name}-1"], writers)


def instances(facts: Facts, network: dict) -> None:
    rds = facts.client("rds")
    name = facts.name("order-api")
    found = [it for it in rds.describe_db_instances()["DBInstances"] if it.get("DBClusterIdentifier") == name]
    found.sort(key=lambda it: it["DBInstanceIdentifier"])
    facts.equal("DB instances", [f"{name}-{number}" for number in (1, 2, 3)], [it["DBInstanceIdentifier"] for it in found])
    facts.equal("zones of the DB instances", sorted(network.get("zones", [])), sorted(it["AvailabilityZone"] for it in found))
    for number, instance in enumerate(found, 1):
        identifier = instance["DBInstanceIdentifier"]
        facts.equal(f"class of {identifier}", "db.r6g.large", instance["DBInstanceClass"])
        facts.equal(f"public access of {identifier}", False, instance["PubliclyAccessible"])
        role = "writer" if number == 1 else "reader"
        facts.tags(identifier, tags_of(rds, instance["DBInstanceArn"]), identifier, Role=role)


def tags_of(rds, arn: str) -> dict[str, str]:
    return pairs(rds.list_tags_for_resource(ResourceName=arn)["TagList"])


def log_groups(facts: Facts) -> None:
    """All five of the stack: three of the database, the service's and that of Container Insights."""
    logs = facts.client("logs")
    name = facts.name("order-api")
    expected = [f"/aws/rds/cluster/{name}/{kind}" for kind in ("audit", "error", "slowquery")]
    expected += [f"/ecs/{name}", f"/aws/ecs/containerinsights/{name}/performance"]
    found = {it["logGroupName"]: it for it in logs.describe_log_groups()["logGroups"]}
    for group in expected:
        facts.equal(f"retention of log group {group}", 7, found.get(group, {}).get("retentionInDays"))
        if group in found:
            arn = found[group]["arn"].removesuffix(":*")
            facts.tags(f"log group {group}", logs.list_tags_for_resource(resourceArn=arn)["tags"], group)
