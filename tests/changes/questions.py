"""Shortens the questions of changes.rs about its stack; run once by aws.py."""

name = "order-api-{s}"


def import_certificate(domain):
    """Imports a certificate as its owner would, and gives its ARN."""
    from datetime import datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, domain)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    today = datetime.now()
    made = builder.not_valid_before(today - timedelta(days=1)).not_valid_after(today + timedelta(days=90)).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return acm.import_certificate(Certificate=made.public_bytes(pem), PrivateKey=secret)["CertificateArn"]


def tags(kind, address):
    filters = [{"Name": "tag:orderctl:stack", "Values": ["{s}"]}, {"Name": "tag:orderctl:node", "Values": [address]}]
    found = getattr(ec2, kind)(Filters=filters)
    node = [it for key, value in found.items() if key != "ResponseMetadata" for it in value][0]
    return {it["Key"]: it["Value"] for it in node["Tags"]}


def cluster():
    return rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]


def instances():
    return sorted((it["DBInstanceIdentifier"][-1], it["DBInstanceClass"]) for it in rds.describe_db_instances()["DBInstances"])


def parameter():
    return json.loads(ssm.get_parameter(Name="/order-api/{s}/config")["Parameter"]["Value"])


def service():
    return ecs.describe_services(cluster=name, services=[name])["services"][0]


def deployment():
    """Strategy, bake minutes, and the settings of that strategy; ECS remembers those of others."""
    found = service()["deploymentConfiguration"]
    steps = found.get({"CANARY": "canaryConfiguration", "LINEAR": "linearConfiguration"}.get(found["strategy"]), {})
    return [found["strategy"], found["bakeTimeInMinutes"], list(steps.values())]


def task():
    return ecs.describe_task_definition(taskDefinition=service()["taskDefinition"])["taskDefinition"]


def environment():
    return {it["name"]: it["value"] for it in task()["containerDefinitions"][0]["environment"]}


def shares():
    return {it["capacityProvider"]: it["weight"] for it in service()["capacityProviderStrategy"]}


def target():
    found = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"][0]
    return [found["MinCapacity"], found["MaxCapacity"]]


def policies():
    found = scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    settings = [it["TargetTrackingScalingPolicyConfiguration"] for it in sorted(found, key=lambda it: it["PolicyName"])]
    return [[it["TargetValue"], it["ScaleInCooldown"], it["ScaleOutCooldown"]] for it in settings]


def balancer():
    return elbv2.describe_load_balancers(Names=[name])["LoadBalancers"][0]["LoadBalancerArn"]


def listeners():
    return {it["Port"]: it for it in elbv2.describe_listeners(LoadBalancerArn=balancer())["Listeners"]}


def protocols():
    return {str(port): it["Protocol"] for port, it in sorted(listeners().items())}


def paths(port):
    rules = elbv2.describe_rules(ListenerArn=listeners()[port]["ListenerArn"])["Rules"]
    return sorted(path for it in rules for condition in it["Conditions"] for path in condition["PathPatternConfig"]["Values"])


def test_rules():
    group = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["alb-sg-{s}"]}])["SecurityGroups"][0]["GroupId"]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    return sorted([it["FromPort"], it["CidrIpv4"]] for it in rules if it["FromPort"] not in (80, 443, 8080))


def web_rules():
    found = next(it for it in wafv2.list_web_acls(Scope="REGIONAL")["WebACLs"])
    rules = wafv2.get_web_acl(Scope="REGIONAL", Name=found["Name"], Id=found["Id"])["WebACL"]["Rules"]
    rate = next(it["Statement"]["RateBasedStatement"] for it in rules if it["Name"] == "RateLimitRule")
    counted = [it["Statement"]["ManagedRuleGroupStatement"]["Name"] for it in rules if "Count" in it.get("OverrideAction", {})]
    return [rate["Limit"], rate.get("EvaluationWindowSec", 300), sorted(counted)]


def allowed():
    found = wafv2.list_ip_sets(Scope="REGIONAL")["IPSets"][0]
    return wafv2.get_ip_set(Scope="REGIONAL", Name=found["Name"], Id=found["Id"])["IPSet"]["Addresses"]


def mails():
    return sorted(it["Endpoint"] for it in sns.list_subscriptions()["Subscriptions"])


def thresholds():
    return sorted(it["Threshold"] for it in cloudwatch.describe_alarms(AlarmNamePrefix="order-api-")["MetricAlarms"])


def retention():
    return sorted({it["retentionInDays"] for it in logs.describe_log_groups()["logGroups"]})


def gateways():
    return len([it for it in ec2.describe_nat_gateways()["NatGateways"] if it["State"] == "available"])


def endpoints():
    return len([it for it in ec2.describe_vpc_endpoints()["VpcEndpoints"] if it["State"] != "deleted"])


def zones():
    mine = [{"Name": "tag:orderctl:stack", "Values": ["{s}"]}]
    return sorted({it["AvailabilityZone"] for it in ec2.describe_subnets(Filters=mine)["Subnets"]})


def cidrs():
    mine = [{"Name": "tag:orderctl:stack", "Values": ["{s}"]}]
    return [it["CidrBlock"] for it in ec2.describe_vpcs(Filters=mine)["Vpcs"]]
