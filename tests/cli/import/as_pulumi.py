"""Turns a stack that orderctl made into one that a Pulumi program could have made: takes its tags off, meddles with it as
another program would have made it, and prints the export that Pulumi would write.

Arguments: the endpoint, the state file of the stack, and a text that stands for its secrets.
"""

import json
import sys

import boto3

endpoint, state_file, secret = sys.argv[1:]
with open(state_file) as file:
    state = json.load(file)
suffix, region, records = state["stack"], state["region"], state["records"]


def client(service):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=endpoint, region_name=region, **keys)


ec2, elbv2, ecs, rds, iam = (client(it) for it in ("ec2", "elbv2", "ecs", "rds", "iam"))
logs, ssm, sns, ecr, acm = (client(it) for it in ("logs", "ssm", "sns", "ecr", "acm"))
secrets, cloudwatch, wafv2 = (client(it) for it in ("secretsmanager", "cloudwatch", "wafv2"))
scaling = client("application-autoscaling")


def of(address, field="id"):
    return records[address]["outputs"][field]


def retag(record):
    """Takes off all tags and says that Pulumi manages it."""
    kind, outputs = record["kind"], record["outputs"]
    keys = list(record["spec"].get("tags") or {})
    if not keys:
        return
    arn = (outputs.get("arn") or "").removesuffix(":*")
    pairs = [{"Key": "ManagedBy", "Value": "pulumi"}]
    lower = [{"key": "ManagedBy", "value": "pulumi"}]
    by_name = {"ManagedBy": "pulumi"}
    service = kind.split("/")[0]
    if service == "ec2":
        id = outputs.get("id") or outputs["allocation_id"]
        ec2.delete_tags(Resources=[id], Tags=[{"Key": key} for key in keys])
        ec2.create_tags(Resources=[id], Tags=pairs)
    elif service == "elbv2":
        elbv2.remove_tags(ResourceArns=[arn], TagKeys=keys)
        elbv2.add_tags(ResourceArns=[arn], Tags=pairs)
    elif service == "ecs":
        if kind == "ecs/task_definition":
            tags = ecs.list_tags_for_resource(resourceArn=arn)["tags"]
            keys = [it["key"] for it in tags]
        ecs.untag_resource(resourceArn=arn, tagKeys=keys)
        ecs.tag_resource(resourceArn=arn, tags=lower)
    elif service == "rds":
        rds.remove_tags_from_resource(ResourceName=arn, TagKeys=keys)
        rds.add_tags_to_resource(ResourceName=arn, Tags=pairs)
    elif kind == "iam/role":
        iam.untag_role(RoleName=outputs["name"], TagKeys=keys)
        iam.tag_role(RoleName=outputs["name"], Tags=pairs)
    elif kind == "logs/log_group":
        logs.untag_resource(resourceArn=arn, tagKeys=keys)
        # Those of the cluster are as AWS makes them, without any.
        if outputs["name"].startswith("/ecs/"):
            logs.tag_resource(resourceArn=arn, tags=by_name)
    elif service == "secretsmanager":
        secrets.untag_resource(SecretId=arn, TagKeys=keys)
        secrets.tag_resource(SecretId=arn, Tags=pairs)
    elif service == "ssm":
        ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=outputs["name"], TagKeys=keys)
    elif service == "ecr":
        ecr.untag_resource(resourceArn=arn, tagKeys=keys)
    elif kind == "sns/topic":
        sns.untag_resource(ResourceArn=arn, TagKeys=keys)
    elif service == "cloudwatch":
        cloudwatch.untag_resource(ResourceARN=arn, TagKeys=keys)
    elif service == "wafv2":
        wafv2.untag_resource(ResourceARN=arn, TagKeys=keys)
    elif service == "applicationautoscaling":
        scaling.untag_resource(ResourceARN=arn, TagKeys=keys)
    elif service == "acm":
        tags = [{"Key": key} for key in keys]
        acm.remove_tags_from_certificate(CertificateArn=arn, Tags=tags)
    else:
        raise SystemExit(f"no way to take the tags off {kind}")


for record in records.values():
    retag(record)

# What the other program made differently.
ec2.delete_vpc_endpoints(VpcEndpointIds=[of("s3-endpoint")])
ec2.authorize_security_group_ingress(
    GroupId=of("alb-security-group"),
    IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.9.0.0/16"}]}],
)
parameter = {"region": region, "logLevel": "debug", "legacyUrl": f"mysql://admin:{secret}@db/orders"}
ssm.put_parameter(Name=of("config-parameter", "name"), Value=json.dumps(parameter), Type="String", Overwrite=True)

resources = []
stack_urn = f"urn:pulumi:{suffix}::orders::pulumi:pulumi:Stack::orders-{suffix}"


def add(kind, name, id, custom=True, **outputs):
    resources.append({
        "urn": f"urn:pulumi:{suffix}::orders::{kind}::{name}",
        "custom": custom,
        "id": id,
        "type": kind,
        "inputs": {key: value for key, value in outputs.items() if key != "arn"},
        "outputs": outputs,
        "parent": stack_urn,
    })


def encrypted(text):
    mark = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
    return {**mark, "ciphertext": f"v1:{text}"}


def decrypted(value):
    mark = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
    return {**mark, "plaintext": json.dumps(value)}


add("pulumi:pulumi:Stack", f"orders-{suffix}", "", custom=False)
add("pulumi:providers:aws", "default", "a-b-c", region=region)
add("random:index/randomPassword:RandomPassword", "pw", "none", length=32, result=secret, bcryptHash=f"$2a${secret}")

vpc = of("vpc")
mine = [{"Name": "vpc-id", "Values": [vpc]}]
add("aws:ec2/vpc:Vpc", "net", vpc, cidrBlock="10.0.0.0/16", tags={"ManagedBy": "pulumi"})
for number, subnet in enumerate(ec2.describe_subnets(Filters=mine)["Subnets"]):
    add(
        "aws:ec2/subnet:Subnet", f"net-{number}", subnet["SubnetId"],
        arn=subnet["SubnetArn"], vpcId=vpc, cidrBlock=subnet["CidrBlock"], availabilityZone=subnet["AvailabilityZone"],
    )
add("aws:ec2/internetGateway:InternetGateway", "igw", of("internet-gateway"), vpcId=vpc)
for number, nat in enumerate(ec2.describe_nat_gateways(Filters=mine)["NatGateways"]):
    if nat["State"] != "available":
        continue
    address = nat["NatGatewayAddresses"][0]
    add("aws:ec2/eip:Eip", f"ip-{number}", address["AllocationId"], publicIp=address["PublicIp"])
    add(
        "aws:ec2/natGateway:NatGateway", f"nat-{number}", nat["NatGatewayId"],
        subnetId=nat["SubnetId"], allocationId=address["AllocationId"],
    )
for number, table in enumerate(ec2.describe_route_tables(Filters=mine)["RouteTables"]):
    id = table["RouteTableId"]
    associations = [it for it in table["Associations"] if "SubnetId" in it]
    if not associations:
        continue
    out = [it for it in table["Routes"] if it.get("DestinationCidrBlock") == "0.0.0.0/0"]
    inline = [{"cidrBlock": "0.0.0.0/0", "gatewayId": it["GatewayId"]} for it in out if "GatewayId" in it]
    add("aws:ec2/routeTable:RouteTable", f"table-{number}", id, vpcId=vpc, routes=inline)
    for route in (it for it in out if "NatGatewayId" in it):
        add("aws:ec2/route:Route", f"route-{number}", f"r-{id}", routeTableId=id, natGatewayId=route["NatGatewayId"])
    for it in associations:
        add(
            "aws:ec2/routeTableAssociation:RouteTableAssociation", f"to-{it['SubnetId']}", it["RouteTableAssociationId"],
            routeTableId=id, subnetId=it["SubnetId"],
        )


def inline(permissions):
    return [
        {
            "protocol": it["IpProtocol"],
            "fromPort": it.get("FromPort", 0),
            "toPort": it.get("ToPort", 0),
            "cidrBlocks": [range["CidrIp"] for range in it["IpRanges"]],
            "securityGroups": [pair["GroupId"] for pair in it["UserIdGroupPairs"]],
            "self": False,
        }
        for it in permissions
    ]


groups = [of(f"{it}-security-group") for it in ("alb", "ecs", "rds")]
for group in ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"]:
    add(
        "aws:ec2/securityGroup:SecurityGroup", group["GroupName"].split("-")[0], group["GroupId"],
        name=group["GroupName"], vpcId=vpc, description=group["Description"],
        ingress=inline(group["IpPermissions"]), egress=inline(group["IpPermissionsEgress"]),
    )

balancer = of("load-balancer", "arn")
add("aws:lb/loadBalancer:LoadBalancer", "alb", balancer, arn=balancer, name=f"order-api-{suffix}", vpcId=vpc)
for colour in ("blue", "green"):
    arn = of(f"{colour}-target-group", "arn")
    add("aws:lb/targetGroup:TargetGroup", colour, arn, arn=arn, name=f"order-{colour}-{suffix}", port=8080)
for listener in elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"]:
    arn = listener["ListenerArn"]
    add("aws:lb/listener:Listener", f"on-{listener['Port']}", arn, arn=arn, port=listener["Port"], loadBalancerArn=balancer)
    for rule in elbv2.describe_rules(ListenerArn=arn)["Rules"]:
        if not rule["IsDefault"]:
            # Pulumi's programs choose other numbers.
            pair = [{"RuleArn": rule["RuleArn"], "Priority": 77}]
            elbv2.set_rule_priorities(RulePriorities=pair)
            add(
                "aws:lb/listenerRule:ListenerRule", f"rule-{listener['Port']}", rule["RuleArn"],
                arn=rule["RuleArn"], listenerArn=arn, priority=77,
            )
certificate = of("self-signed-certificate", "arn")
add("aws:acm/certificate:Certificate", "cert", certificate, arn=certificate, domainName="x.internal", privateKey=secret)

acl, allowed = of("web-acl", "arn"), of("waf-allow-list", "arn")
add("aws:wafv2/ipSet:IpSet", "allow", of("waf-allow-list"), arn=allowed, name=f"order-api-allow-{suffix}")
add("aws:wafv2/webAcl:WebAcl", "waf", of("web-acl"), arn=acl, name=f"order-api-waf-{suffix}")
add("aws:wafv2/webAclAssociation:WebAclAssociation", "waf", f"{acl},{balancer}", resourceArn=balancer, webAclArn=acl)

name = f"order-api-{suffix}"
add("aws:ecs/cluster:Cluster", "ecs", of("ecs-cluster", "arn"), arn=of("ecs-cluster", "arn"), name=name)
add("aws:ecs/clusterCapacityProviders:ClusterCapacityProviders", "ecs", name, clusterName=name)
task = of("task-definition", "arn")
add("aws:ecs/taskDefinition:TaskDefinition", "task", name, arn=task, family=name, containerDefinitions=encrypted(secret))
add("aws:ecs/service:Service", "api", of("service", "arn"), name=name, cluster=of("ecs-cluster", "arn"))
target = f"service/{name}/{name}"
add("aws:appautoscaling/target:Target", "scale", target, resourceId=target, arn=of("scalable-target", "arn"))
for policy in ("cpu", "pending-orders"):
    title = f"{policy}-scaling-{suffix}"
    add("aws:appautoscaling/policy:Policy", policy, title, name=title, resourceId=target)

cluster = of("db-cluster", "arn")
add("aws:rds/subnetGroup:SubnetGroup", "db", name, name=name, arn=of("db-subnet-group", "arn"))
add("aws:rds/clusterParameterGroup:ClusterParameterGroup", "db", name, name=name)
add(
    "aws:rds/cluster:Cluster", "db", name, arn=cluster, clusterIdentifier=name,
    masterUsername="admin", masterPassword=decrypted(secret),
)
for number, address in ((1, "db-writer"), (2, "db-reader-1"), (3, "db-reader-2")):
    id = f"{name}-{number}"
    add("aws:rds/clusterInstance:ClusterInstance", f"db-{number}", id, arn=of(address, "arn"), identifier=id)
password = of("db-secret", "arn")
add("aws:secretsmanager/secret:Secret", "db", password, arn=password, name=f"order-api-db-password-{suffix}")
value = json.dumps({"username": "admin", "password": secret})
add("aws:secretsmanager/secretVersion:SecretVersion", "db", f"{password}|v1", secretId=password, secretString=value)
parameter = of("config-parameter", "name")
add("aws:ssm/parameter:Parameter", "config", parameter, arn=of("config-parameter", "arn"), name=parameter)
add("aws:ecr/repository:Repository", "images", name, arn=of("repository", "arn"), name=name)
add("aws:ecr/lifecyclePolicy:LifecyclePolicy", "images", name, repository=name)
for address in ("execution-role", "task-role", "load-balancer-role"):
    role = of(address, "name")
    add("aws:iam/role:Role", address, role, arn=of(address, "arn"), name=role)
    add("aws:iam/rolePolicy:RolePolicy", address, f"{role}:order-api", role=role, name="order-api")
group = of("service-log-group", "name")
add("aws:cloudwatch/logGroup:LogGroup", "logs", group, arn=of("service-log-group", "arn"), name=group)
add("aws:cloudwatch/logMetricFilter:LogMetricFilter", "pending", f"pending-orders-{suffix}", name=f"pending-orders-{suffix}", logGroupName=group)
for alarm in ("high-errors", "db-failures"):
    title = f"order-api-{alarm}-{suffix}"
    add("aws:cloudwatch/metricAlarm:MetricAlarm", alarm, title, name=title)
add("aws:cloudwatch/dashboard:Dashboard", "board", name, dashboardName=name)
topic = of("alarm-topic", "arn")
add("aws:sns/topic:Topic", "alarms", topic, arn=topic, name=f"order-api-alarms-{suffix}")
add("aws:s3/bucket:Bucket", "something-else", "orders-bucket", arn="arn:aws:s3:::orders-bucket")

manifest = {"time": "2026-01-02T03:04:05Z", "magic": "x", "version": "v3.100.0"}
providers = {"type": "passphrase", "state": {"salt": f"v1:{secret}"}}
deployment = {"manifest": manifest, "secrets_providers": providers, "resources": resources}
json.dump({"version": 3, "deployment": deployment}, sys.stdout, indent=4)
