"""Reads what the running system owns of a stack `dev`; run by aws.py."""

name = "order-api-dev"
service = ecs.describe_services(cluster=name, services=[name])["services"][0]
balancer = elbv2.describe_load_balancers(Names=[name])["LoadBalancers"][0]["LoadBalancerArn"]
listener = next(it for it in elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"] if it["Port"] == 443)
rule = next(it for it in elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"] if not it["IsDefault"])
groups = {it["TargetGroupArn"]: it["TargetGroupName"] for it in elbv2.describe_target_groups()["TargetGroups"]}
vpc = ec2.describe_vpcs(Filters=[{"Name": "tag:orderctl:stack", "Values": ["dev"]}])["Vpcs"][0]
answer = {
    "desired": service["desiredCount"],
    "revision": service["taskDefinition"],
    "weights": {groups[it["TargetGroupArn"]]: it["Weight"] for it in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]},
    "tag": {it["Key"]: it["Value"] for it in vpc["Tags"]}.get("foreign"),
}
