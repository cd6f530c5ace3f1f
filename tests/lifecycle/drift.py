"""Changes a stack `dev` by hand, as somebody with the AWS CLI would; run by aws.py."""

s = "dev"
vpc = ec2.describe_vpcs(Filters=[{"Name": "tag:orderctl:stack", "Values": [s]}])["Vpcs"][0]["VpcId"]
def node(kind, address):
    found = getattr(ec2, kind)(Filters=[{"Name": "tag:orderctl:stack", "Values": [s]}, {"Name": "tag:orderctl:node", "Values": [address]}])
    return [it for key, value in found.items() if key != "ResponseMetadata" for it in value][0]
logs.put_retention_policy(logGroupName=f"/ecs/order-api-{s}", retentionInDays=30)
ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "Project"}])
rule = node("describe_security_group_rules", "alb-to-tasks")
ec2.update_security_group_rule_descriptions_egress(GroupId=rule["GroupId"], SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "Description": "changed by hand"}])
ec2.modify_subnet_attribute(SubnetId=node("describe_subnets", "public-subnet-1")["SubnetId"], MapPublicIpOnLaunch={"Value": True})
alarm = cloudwatch.describe_alarms(AlarmNames=[f"order-api-high-errors-{s}"])["MetricAlarms"][0]
keys = ("AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "MetricName", "Namespace", "Statistic", "Dimensions", "Period", "EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator", "TreatMissingData")
cloudwatch.put_metric_alarm(Threshold=99, **{key: alarm[key] for key in keys if key in alarm})
cloudwatch.delete_alarms(AlarmNames=[f"order-api-db-failures-{s}"])
ec2.delete_nat_gateway(NatGatewayId=node("describe_nat_gateways", "nat-gateway-2")["NatGatewayId"])
ec2.delete_route(RouteTableId=node("describe_route_tables", "private-route-table-3")["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
ssm.put_parameter(Name=f"/order-api/{s}/config", Value="{}", Type="String", Overwrite=True)
blue = elbv2.describe_target_groups(Names=[f"order-blue-{s}"])["TargetGroups"][0]["TargetGroupArn"]
elbv2.modify_target_group(TargetGroupArn=blue, HealthCheckPath="/wrong")
balancer = elbv2.describe_load_balancers(Names=[f"order-api-{s}"])["LoadBalancers"][0]["LoadBalancerArn"]
elbv2.modify_load_balancer_attributes(LoadBalancerArn=balancer, Attributes=[{"Key": "routing.http2.enabled", "Value": "false"}])
ecr.put_image_scanning_configuration(repositoryName=f"order-api-{s}", imageScanningConfiguration={"scanOnPush": False})
rds.modify_db_cluster(DBClusterIdentifier=f"order-api-{s}", BackupRetentionPeriod=1, ApplyImmediately=True)
iam.put_role_policy(RoleName=f"ecs-task-{s}", PolicyName="wider", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}))
cloudwatch.put_dashboard(DashboardName=f"order-api-{s}", DashboardBody=json.dumps({"widgets": []}))
wafv2.disassociate_web_acl(ResourceArn=balancer)

web = next(it for it in wafv2.list_web_acls(Scope="REGIONAL")["WebACLs"] if it["Name"] == f"order-api-waf-{s}")
live = wafv2.get_web_acl(Scope="REGIONAL", Name=web["Name"], Id=web["Id"])
rules = live["WebACL"]["Rules"]
for rule in rules:
    if rule["Name"] == "RateLimitRule":
        rule["Statement"]["RateBasedStatement"]["Limit"] = 5000
kept = {key: live["WebACL"][key] for key in ("DefaultAction", "Description", "VisibilityConfig") if key in live["WebACL"]}
wafv2.update_web_acl(Scope="REGIONAL", Name=web["Name"], Id=web["Id"], LockToken=live["LockToken"], Rules=rules, **kept)

# What was changed is looked at once it is done.
wait_until(lambda: not any(it["State"] == "deleting" for it in ec2.describe_nat_gateways()["NatGateways"]), "the NAT gateway to be gone")
wait_until(lambda: rds.describe_db_clusters()["DBClusters"][0]["Status"] == "available", "the cluster to be modified")
