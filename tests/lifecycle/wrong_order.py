"""Tries to delete the parts of a running stack in the wrong order, as somebody in a hurry would; run by aws.py.

Answers the code with which each was refused, or "deleted".
"""

from botocore.exceptions import ClientError

name = "order-api-{s}"
ours = [{"Name": "tag:orderctl:stack", "Values": ["{s}"]}]
vpc = ec2.describe_vpcs(Filters=ours)["Vpcs"][0]["VpcId"]
subnets = {tag["Value"]: it["SubnetId"] for it in ec2.describe_subnets(Filters=ours)["Subnets"] for tag in it["Tags"] if tag["Key"] == "orderctl:node"}
groups = {it["GroupName"]: it["GroupId"] for it in ec2.describe_security_groups(Filters=ours)["SecurityGroups"]}
gateway = ec2.describe_internet_gateways(Filters=ours)["InternetGateways"][0]["InternetGatewayId"]
address = ec2.describe_addresses(Filters=ours)["Addresses"][0]["AllocationId"]
table = ec2.describe_route_tables(Filters=ours)["RouteTables"][0]["RouteTableId"]
blue = elbv2.describe_target_groups(Names=["order-blue-{s}"])["TargetGroups"][0]["TargetGroupArn"]
certificate = acm.list_certificates(Includes=EVERY_KEY)["CertificateSummaryList"][0]["CertificateArn"]
acl = wafv2.list_web_acls(Scope="REGIONAL")["WebACLs"][0]
addresses = wafv2.list_ip_sets(Scope="REGIONAL")["IPSets"][0]

tries = {
    "VPC": lambda: ec2.delete_vpc(VpcId=vpc),
    "public subnet": lambda: ec2.delete_subnet(SubnetId=subnets["public-subnet-1"]),
    "private subnet": lambda: ec2.delete_subnet(SubnetId=subnets["private-subnet-1"]),
    "security group of the load balancer": lambda: ec2.delete_security_group(GroupId=groups["alb-sg-{s}"]),
    "security group of the tasks": lambda: ec2.delete_security_group(GroupId=groups["ecs-sg-{s}"]),
    "security group of the database": lambda: ec2.delete_security_group(GroupId=groups["rds-sg-{s}"]),
    "attachment of the internet gateway": lambda: ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc),
    "internet gateway": lambda: ec2.delete_internet_gateway(InternetGatewayId=gateway),
    "elastic IP": lambda: ec2.release_address(AllocationId=address),
    "route table": lambda: ec2.delete_route_table(RouteTableId=table),
    "target group": lambda: elbv2.delete_target_group(TargetGroupArn=blue),
    "certificate": lambda: acm.delete_certificate(CertificateArn=certificate),
    "web ACL": lambda: wafv2.delete_web_acl(Scope="REGIONAL", Name=acl["Name"], Id=acl["Id"], LockToken=acl["LockToken"]),
    "IP set": lambda: wafv2.delete_ip_set(
        Scope="REGIONAL", Name=addresses["Name"], Id=addresses["Id"], LockToken=addresses["LockToken"]
    ),
    "DB subnet group": lambda: rds.delete_db_subnet_group(DBSubnetGroupName=name),
    "DB cluster parameter group": lambda: rds.delete_db_cluster_parameter_group(DBClusterParameterGroupName=name),
    "DB cluster": lambda: rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True),
    "ECS cluster": lambda: ecs.delete_cluster(cluster=name),
    "ECS service": lambda: ecs.delete_service(cluster=name, service=name),
    "repository": lambda: ecr.delete_repository(repositoryName=name),
    "role": lambda: iam.delete_role(RoleName="ecs-task-{s}"),
}


def refusal(call):
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "deleted"


answer = {what: refusal(call) for what, call in tries.items()}
