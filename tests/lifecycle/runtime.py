"""Does to a running stack `dev` what releases, scaling and other tools do; run by aws.py."""

name = "order-api-dev"
keys = ("family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions", "requiresCompatibilities", "cpu", "memory", "runtimePlatform")
live = ecs.describe_task_definition(taskDefinition=name, include=["TAGS"])
definition = {key: live["taskDefinition"][key] for key in keys if key in live["taskDefinition"]}
definition["containerDefinitions"][0]["image"] += "-2"
revision = ecs.register_task_definition(tags=live["tags"], **definition)["taskDefinition"]["taskDefinitionArn"]
ecr.put_image(repositoryName=name, imageTag="latest-2", imageManifest=json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": ["another"]}))
started = ecs.update_service(cluster=name, service=name, taskDefinition=revision, desiredCount=5)["service"]["currentServiceDeployment"]


def has_ended():
    deployment = ecs.describe_service_deployments(serviceDeploymentArns=[started])["serviceDeployments"][0]
    return deployment["status"] not in ("PENDING", "IN_PROGRESS")


wait_until(has_ended, "the release to end")
groups = {it["TargetGroupName"]: it["TargetGroupArn"] for it in elbv2.describe_target_groups()["TargetGroups"]}


def is_behind_green():
    found = elbv2.describe_target_health(TargetGroupArn=groups["order-green-dev"])["TargetHealthDescriptions"]
    return [it["TargetHealth"]["State"] for it in found] == ["healthy"] * 5


wait_until(is_behind_green, "five healthy targets in green")
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
