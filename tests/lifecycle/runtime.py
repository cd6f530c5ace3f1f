"""Does to a running stack `dev` what releases, scaling and other tools do; run by aws.py."""

name = "order-api-dev"
keys = ("family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions", "requiresCompatibilities", "cpu", "memory", "runtimePlatform")
live = ecs.describe_task_definition(taskDefinition=name, include=["TAGS"])
definition = {key: live["taskDefinition"][key] for key in keys if key in live["taskDefinition"]}
definition["containerDefinitions"][0]["image"] += "-2"
revision = ecs.register_task_definition(tags=live["tags"], **definition)["taskDefinition"]["taskDefinitionArn"]
ecs.update_service(cluster=name, service=name, taskDefinition=revision, desiredCount=5)
balancer = elbv2.describe_load_balancers(Names=[name])["LoadBalancers"][0]["LoadBalancerArn"]
listener = next(it for it in elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"] if it["Port"] == 443)
rule = next(it for it in elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"] if not it["IsDefault"])
groups = {it["TargetGroupName"]: it["TargetGroupArn"] for it in elbv2.describe_target_groups()["TargetGroups"]}
weights = [{"TargetGroupArn": groups["order-blue-dev"], "Weight": 0}, {"TargetGroupArn": groups["order-green-dev"], "Weight": 100}]
elbv2.modify_rule(RuleArn=rule["RuleArn"], Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}])
elbv2.register_targets(TargetGroupArn=groups["order-green-dev"], Targets=[{"Id": "10.0.16.9", "Port": 8080}])
vpc = ec2.describe_vpcs(Filters=[{"Name": "tag:orderctl:stack", "Values": ["dev"]}])["Vpcs"][0]["VpcId"]
ec2.create_tags(Resources=[vpc], Tags=[{"Key": "foreign", "Value": "kept"}])
group = logs.describe_log_groups(logGroupNamePrefix=f"/ecs/{name}")["logGroups"][0]["arn"].removesuffix(":*")
logs.tag_resource(resourceArn=group, tags={"foreign": "kept"})
answer = {
    "desired": 5,
    "revision": revision,
    "weights": {"order-blue-dev": 0, "order-green-dev": 100},
    "tag": "kept",
}
