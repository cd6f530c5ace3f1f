"""Tells the crash matrix what there is in an account; run once per worker, for all accounts.

One JSON object per line in, one out. `{"port": N, "ask": "picture"}` is answered with everything that exists, by kind;
`{"port": N, "ask": "image", "repository": R}` puts an image without content into a repository. `{"port": N, "ask": "state",
"key": K}` gives an object of the states' bucket, `"ask": "shorten"` makes the lease in it end at once.
"""

import json
import re
import sys
import traceback
from pathlib import Path

import boto3
from botocore.config import Config

sys.path.insert(0, str(Path(__file__).parent.parent / "driver"))
from aws import SERVICES, inventory  # noqa: E402

BUCKET = "states-of-a-team"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 2, "digest": "sha256:" + "0" * 64}


class Account(dict):
    """boto3 clients by name, made once; each request goes to the account that is asked about."""

    port = 0

    def __missing__(self, name):
        client = boto3.client(SERVICES[name], endpoint_url="http://127.0.0.1:1", config=Config(retries={"total_max_attempts": 1}))
        client.meta.events.register("before-send.*", self.send_to)
        self[name] = client
        return client

    def send_to(self, request, **_):
        request.url = request.url.replace("127.0.0.1:1/", f"127.0.0.1:{self.port}/", 1)


def picture(aws):
    """All that the account holds, down to routes and rules, as texts by kind."""
    ec2, elb, iam, rds = aws["ec2"], aws["elbv2"], aws["iam"], aws["rds"]
    found = inventory(aws)
    tables = ec2.describe_route_tables()["RouteTables"]
    found["routes"] = [
        " ".join([table["RouteTableId"], *(str(value) for _, value in sorted(route.items()))]) for table in tables for route in table["Routes"]
    ]
    found["associations"] = [
        f"{table['RouteTableId']} {it.get('SubnetId')}" for table in tables for it in table["Associations"]
    ]
    found["attachments"] = [
        f"{it['InternetGatewayId']} {attachment['VpcId']}"
        for it in ec2.describe_internet_gateways()["InternetGateways"]
        for attachment in it["Attachments"]
    ]
    found["addresses in use"] = [f"{it['AllocationId']} {'AssociationId' in it}" for it in ec2.describe_addresses()["Addresses"]]
    found["interfaces"] = [
        f"{it['InterfaceType']} {it['SubnetId']} {it['Status']}" for it in ec2.describe_network_interfaces()["NetworkInterfaces"]
    ]
    listeners = [
        it for arn in found["load balancers"] for it in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    ]
    found["listeners"] = [it["ListenerArn"] for it in listeners]
    found["rules"] = [
        rule["RuleArn"]
        for it in listeners
        for rule in elb.describe_rules(ListenerArn=it["ListenerArn"])["Rules"]
        if not rule["IsDefault"]
    ]
    found["role policies"] = [
        f"{role} {name}"
        for role in found["roles"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        + [it["PolicyName"] for it in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]]
    ]
    found["database states"] = [f"{it['DBInstanceIdentifier']} {it['DBInstanceStatus']}" for it in rds.describe_db_instances()["DBInstances"]]
    # Those that target tracking makes for itself end in a UUID of their own.
    found["alarms"] = [re.sub(r"[0-9a-f-]{36}$", "UUID", it) for it in found["alarms"]]
    found["metric filters"] = [it["filterName"] for it in aws["logs"].describe_metric_filters()["metricFilters"]]
    names = made_with_vpcs(ec2, tables)
    return {kind: sorted(named(text, names) for text in texts) for kind, texts in found.items()}


def made_with_vpcs(ec2, tables):
    """What AWS makes together with a VPC, by id: it is nobody's, and named after the VPC."""
    names = {
        table["RouteTableId"]: f"main table of {table['VpcId']}"
        for table in tables
        if any(it["Main"] for it in table["Associations"])
    }
    for group in ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"]:
        names[group["GroupId"]] = f"default group of {group['VpcId']}"
    for rule in ec2.describe_security_group_rules()["SecurityGroupRules"]:
        if rule["GroupId"] in names:
            names[rule["SecurityGroupRuleId"]] = f"rule of {names[rule['GroupId']]}, egress {rule['IsEgress']}"
    return names


def named(text, names):
    """The text with names in place of ids."""
    for identifier, name in names.items():
        text = text.replace(identifier, name)
    return text


def put_image(aws, repository):
    """Puts an image without content under the tag `latest`."""
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": CONFIG, "layers": []}
    aws["ecr"].put_image(repositoryName=repository, imageTag="latest", imageManifest=json.dumps(manifest))
    return None


def state(aws, key):
    """The text of an object beside the states."""
    try:
        return aws["s3"].get_object(Bucket=BUCKET, Key=f"matrix/{key}")["Body"].read().decode()
    except aws["s3"].exceptions.NoSuchKey:
        return None


def shorten(aws, key):
    """Ends the lease of a lock."""
    text = state(aws, key)
    if text is not None:
        document = {**json.loads(text), "lasts_seconds": 0}
        aws["s3"].put_object(Bucket=BUCKET, Key=f"matrix/{key}", Body=json.dumps(document))


ANSWERS = {
    "picture": lambda aws, _: picture(aws),
    "image": lambda aws, question: put_image(aws, question["repository"]),
    "state": lambda aws, question: state(aws, question["key"]),
    "shorten": lambda aws, question: shorten(aws, question["key"]),
}


def main():
    aws = Account()
    for line in sys.stdin:
        question = json.loads(line)
        aws.port = question["port"]
        try:
            answer = {"value": ANSWERS[question["ask"]](aws, question)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
