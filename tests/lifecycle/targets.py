"""Reads what the load balancer of a stack finds behind it; run by aws.py."""

answer = {}
for group in elbv2.describe_target_groups(Names=["order-blue-{s}", "order-green-{s}"])["TargetGroups"]:
    found = elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    answer[group["TargetGroupName"]] = [it["TargetHealth"]["State"] for it in found]
tasks = ecs.list_tasks(cluster="order-api-{s}")["taskArns"]
answer["zones"] = len({it["availabilityZone"] for it in ecs.describe_tasks(cluster="order-api-{s}", tasks=tasks)["tasks"]})
