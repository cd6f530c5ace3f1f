"""IAM, Logs, SNS, ECR, SSM and CloudWatch: what they refuse, and what they do not know at once."""

import json
import unittest

from support import FrozenTest, SandboxTest

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})


def manifest(content: str) -> str:
    """An image manifest that differs with its content."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": 1,
                "digest": f"sha256:{content * 64}",
            },
            "layers": [],
        }
    )


class LagTest(FrozenTest):
    """With eventual consistency: missed for the first half of the lag, there after all of it."""

    OPTIONS = ("--control", "--lag", "10")

    def test_roles(self):
        iam = self.client("iam")
        iam.create_role(RoleName="fresh", AssumeRolePolicyDocument=TRUST)
        for call, arguments in (
            (iam.get_role, {}),
            (iam.put_role_policy, {"PolicyName": "inline", "PolicyDocument": POLICY}),
            (iam.list_role_policies, {}),
            (iam.list_attached_role_policies, {}),
            (iam.update_assume_role_policy, {"PolicyDocument": TRUST}),
            (iam.list_role_tags, {}),
        ):
            with self.subTest(call=call.__name__):
                error = self.assert_refused("NoSuchEntity", call, RoleName="fresh", **arguments)
                self.assertIn("The role with name fresh cannot be found.", str(error))
        self.assertNotIn("fresh", [role["RoleName"] for role in iam.list_roles()["Roles"]])
        with self.assertRaises(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName="fresh", AssumeRolePolicyDocument=TRUST)
        self.advance(10)
        iam.get_role(RoleName="fresh")
        self.assertIn("fresh", [role["RoleName"] for role in iam.list_roles()["Roles"]])

    def test_inline_policies(self):
        iam = self.client("iam")
        iam.create_role(RoleName="granted", AssumeRolePolicyDocument=TRUST)
        self.advance(10)
        policy = {"RoleName": "granted", "PolicyName": "inline"}
        iam.put_role_policy(**policy, PolicyDocument=POLICY)
        self.assert_refused("NoSuchEntity", iam.get_role_policy, **policy)
        self.assertEqual([], iam.list_role_policies(RoleName="granted")["PolicyNames"])
        with self.assertRaises(iam.exceptions.DeleteConflictException):
            iam.delete_role(RoleName="granted")
        self.advance(10)
        self.assertEqual(["inline"], iam.list_role_policies(RoleName="granted")["PolicyNames"])
        iam.put_role_policy(**policy, PolicyDocument=POLICY)
        iam.get_role_policy(**policy)
        iam.delete_role_policy(**policy)
        iam.delete_role(RoleName="granted")

    def test_a_new_role_can_be_deleted(self):
        iam = self.client("iam")
        for _ in range(2):
            iam.create_role(RoleName="short-lived", AssumeRolePolicyDocument=TRUST)
            iam.delete_role(RoleName="short-lived")

    def test_repositories(self):
        ecr = self.client("ecr")
        repository = ecr.create_repository(repositoryName="fresh")["repository"]
        for call, arguments in (
            (ecr.describe_repositories, {"repositoryNames": ["fresh"]}),
            (ecr.get_lifecycle_policy, {"repositoryName": "fresh"}),
            (ecr.list_images, {"repositoryName": "fresh"}),
            (ecr.list_tags_for_resource, {"resourceArn": repository["repositoryArn"]}),
        ):
            with self.subTest(call=call.__name__), self.assertRaises(ecr.exceptions.RepositoryNotFoundException):
                call(**arguments)
        self.assertEqual([], ecr.describe_repositories()["repositories"])
        with self.assertRaises(ecr.exceptions.RepositoryAlreadyExistsException):
            ecr.create_repository(repositoryName="fresh")
        self.advance(10)
        self.assertEqual(["fresh"], [item["repositoryName"] for item in ecr.describe_repositories()["repositories"]])
        self.assertEqual([], ecr.list_images(repositoryName="fresh")["imageIds"])
        ecr.delete_repository(repositoryName="fresh")
        ecr.create_repository(repositoryName="fresh")
        ecr.delete_repository(repositoryName="fresh")

    def test_topics(self):
        sns = self.client("sns")
        arn = sns.create_topic(Name="fresh")["TopicArn"]
        with self.assertRaises(sns.exceptions.NotFoundException):
            sns.get_topic_attributes(TopicArn=arn)
        with self.assertRaises(sns.exceptions.NotFoundException):
            sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="ops@example.com")
        self.assert_refused("ResourceNotFound", sns.list_tags_for_resource, ResourceArn=arn)
        self.assertEqual([], sns.list_topics()["Topics"])
        self.assertEqual(arn, sns.create_topic(Name="fresh")["TopicArn"])
        self.advance(10)
        self.assertEqual([arn], [topic["TopicArn"] for topic in sns.list_topics()["Topics"]])
        sns.get_topic_attributes(TopicArn=arn)

    def test_log_groups_and_parameters_are_there_at_once(self):
        logs, ssm = self.client("logs"), self.client("ssm")
        logs.create_log_group(logGroupName="/fresh")
        logs.put_retention_policy(logGroupName="/fresh", retentionInDays=7)
        self.assertEqual(1, len(logs.describe_log_groups(logGroupNamePrefix="/fresh")["logGroups"]))
        ssm.put_parameter(Name="/fresh", Value="x", Type="String")
        self.assertEqual("x", ssm.get_parameter(Name="/fresh")["Parameter"]["Value"])


    def test_policies_that_name_a_new_role(self):
        iam, ecr, sns = self.client("iam"), self.client("ecr"), self.client("sns")
        ecr.create_repository(repositoryName="shared")
        topic = sns.create_topic(Name="shared")["TopicArn"]
        self.advance(10)
        role = iam.create_role(RoleName="named", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]

        def naming(principal, action):
            statement = {"Effect": "Allow", "Principal": {"AWS": [principal]}, "Action": action}
            return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

        def attempts(principal):
            trust, topic_policy = naming(principal, "sts:AssumeRole"), naming(principal, "sns:Publish")
            attribute = {"TopicArn": topic, "AttributeName": "Policy", "AttributeValue": topic_policy}
            repository_policy = naming(principal, "ecr:BatchGetImage")
            trusting = {"RoleName": "trusting", "AssumeRolePolicyDocument": trust}
            repository = {"repositoryName": "shared", "policyText": repository_policy}
            return (
                ("MalformedPolicyDocument", "Invalid principal in policy", iam.create_role, trusting),
                ("InvalidParameterException", "Invalid repository policy", ecr.set_repository_policy, repository),
                ("InvalidParameter", "PrincipalNotFound", sns.set_topic_attributes, attribute),
            )

        for principal in (role, role + "-that-is-not-there"):
            for code, words, call, arguments in attempts(principal):
                with self.subTest(code, principal=principal):
                    self.assertIn(words, str(self.assert_refused(code, call, **arguments)))
        self.advance(10)
        for principal in (role, "arn:aws:iam::210987654321:role/of-another-account"):
            for _, _, call, arguments in attempts(principal):
                call(**arguments)
            iam.delete_role(RoleName="trusting")
        ecr.delete_repository(repositoryName="shared")
        sns.delete_topic(TopicArn=topic)


class LogGroupTest(FrozenTest):
    def test_a_deleted_name_is_taken_for_a_moment(self):
        logs = self.client("logs")
        logs.create_log_group(logGroupName="/again")
        logs.delete_log_group(logGroupName="/again")
        self.assertEqual([], logs.describe_log_groups(logGroupNamePrefix="/again")["logGroups"])
        error = self.assert_refused("OperationAbortedException", logs.create_log_group, logGroupName="/again")
        self.assertIn("Please try again", str(error))
        logs.create_log_group(logGroupName="/again-and-again")
        self.advance(2)
        logs.create_log_group(logGroupName="/again")


class TopicTest(SandboxTest):
    def test_an_existing_topic_is_not_changed_by_a_create(self):
        sns = self.client("sns")
        request = {"Name": "alarms", "Attributes": {"DisplayName": "alarms"}, "Tags": [{"Key": "a", "Value": "1"}]}
        arn = sns.create_topic(**request)["TopicArn"]
        for same in (request, {"Name": "alarms"}):
            self.assertEqual(arn, sns.create_topic(**same)["TopicArn"])
        for other in ({"Attributes": {"DisplayName": "other"}}, {"Tags": [{"Key": "a", "Value": "2"}]}):
            error = self.assert_refused("InvalidParameter", sns.create_topic, **{**request, **other})
            self.assertIn("Topic already exists with different", str(error))
        self.assertEqual("alarms", sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"])


class ImageTest(SandboxTest):
    def setUp(self):
        self.ecr = self.client("ecr")
        self.name = self.id().rpartition(".")[2].replace("_", "-")
        self.ecr.create_repository(repositoryName=self.name)

    def push(self, content, tag, **fields):
        return self.ecr.put_image(repositoryName=self.name, imageManifest=manifest(content), imageTag=tag, **fields)[
            "image"
        ]["imageId"]

    def tags_by_digest(self):
        details = self.ecr.describe_images(repositoryName=self.name)["imageDetails"]
        return {item["imageDigest"]: sorted(item.get("imageTags", [])) for item in details}

    def test_tags_and_digests_agree(self):
        first, second = self.push("1", "a"), self.push("2", "b")
        self.assertNotEqual(first["imageDigest"], second["imageDigest"])
        again = self.push("1", "c")
        self.assertEqual({"imageDigest": first["imageDigest"], "imageTag": "c"}, again)
        self.assertEqual({first["imageDigest"]: ["a", "c"], second["imageDigest"]: ["b"]}, self.tags_by_digest())
        for wanted in ({"imageTag": "a"}, {"imageTag": "c"}, {"imageDigest": first["imageDigest"]}):
            answer = self.ecr.batch_get_image(repositoryName=self.name, imageIds=[wanted])
            [image] = answer["images"]
            self.assertEqual({"imageDigest": first["imageDigest"], **wanted}, image["imageId"])
            self.assertEqual(manifest("1"), image["imageManifest"])
            [detail] = self.ecr.describe_images(repositoryName=self.name, imageIds=[wanted])["imageDetails"]
            self.assertEqual(first["imageDigest"], detail["imageDigest"])
        missing = {"imageDigest": "sha256:" + "f" * 64}
        answer = self.ecr.batch_get_image(repositoryName=self.name, imageIds=[missing, {"imageTag": "nothing"}])
        self.assertEqual([missing, {"imageTag": "nothing"}], [failure["imageId"] for failure in answer["failures"]])
        with self.assertRaises(self.ecr.exceptions.ImageNotFoundException):
            self.ecr.describe_images(repositoryName=self.name, imageIds=[missing])

    def test_a_tag_moves_and_the_former_image_stays(self):
        first, second = self.push("1", "latest"), self.push("2", "latest")
        self.assertEqual({first["imageDigest"]: [], second["imageDigest"]: ["latest"]}, self.tags_by_digest())
        with self.assertRaises(self.ecr.exceptions.RepositoryNotEmptyException):
            self.ecr.delete_repository(repositoryName=self.name)

    def test_refusals(self):
        self.push("1", "a")
        with self.assertRaises(self.ecr.exceptions.ImageAlreadyExistsException):
            self.push("1", "a")
        with self.assertRaises(self.ecr.exceptions.ImageDigestDoesNotMatchException):
            self.push("2", "b", imageDigest="sha256:" + "0" * 64)
        with self.assertRaises(self.ecr.exceptions.RepositoryNotFoundException):
            self.ecr.put_image(repositoryName="nowhere", imageManifest=manifest("1"), imageTag="a")
        with self.assertRaises(self.ecr.exceptions.InvalidParameterException):
            self.ecr.put_image(repositoryName=self.name, imageManifest="{", imageTag="a")
        self.ecr.put_image_tag_mutability(repositoryName=self.name, imageTagMutability="IMMUTABLE")
        with self.assertRaises(self.ecr.exceptions.ImageTagAlreadyExistsException):
            self.push("2", "a")
        self.assertEqual([["a"]], list(self.tags_by_digest().values()))


class RefusalTest(SandboxTest):
    def test_a_trust_policy_has_to_be_one(self):
        create = self.client("iam").create_role
        for document in ("{", "{}", POLICY):
            with self.subTest(document):
                self.assert_refused(
                    "MalformedPolicyDocument", create, RoleName="broken", AssumeRolePolicyDocument=document
                )

    def test_a_managed_policy_goes_last(self):
        iam = self.client("iam")
        policy = {"PolicyArn": iam.create_policy(PolicyName="own", PolicyDocument=POLICY)["Policy"]["Arn"]}
        iam.create_role(RoleName="user-of-it", AssumeRolePolicyDocument=TRUST)
        iam.attach_role_policy(RoleName="user-of-it", **policy)
        iam.create_policy_version(**policy, PolicyDocument=POLICY)
        self.assertIn("attached", str(self.assert_refused("DeleteConflict", iam.delete_policy, **policy)))
        iam.detach_role_policy(RoleName="user-of-it", **policy)
        self.assertIn("more than one version", str(self.assert_refused("DeleteConflict", iam.delete_policy, **policy)))
        iam.delete_policy_version(**policy, VersionId="v2")
        iam.delete_policy(**policy)
        self.assert_refused("NoSuchEntity", iam.get_policy, **policy)

    def test_metric_filters_of_a_missing_group(self):
        logs = self.client("logs")
        self.assert_refused("ResourceNotFoundException", logs.describe_metric_filters, logGroupName="/missing")
        self.assertEqual([], logs.describe_metric_filters()["metricFilters"])

    def test_a_parameter_is_overwritten_without_tags(self):
        ssm = self.client("ssm")
        ssm.put_parameter(Name="/config", Value="1", Type="String")
        tags = [{"Key": "a", "Value": "1"}]
        self.assert_refused(
            "ValidationException",
            ssm.put_parameter,
            Name="/config",
            Value="2",
            Type="String",
            Overwrite=True,
            Tags=tags,
        )
        with self.assertRaises(ssm.exceptions.ParameterAlreadyExists):
            ssm.put_parameter(Name="/config", Value="2", Type="String", Tags=tags)
        self.assertEqual("1", ssm.get_parameter(Name="/config")["Parameter"]["Value"])

    def test_alarms_are_deleted_all_or_none(self):
        cloudwatch = self.client("cloudwatch")
        alarm = {
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 1.0,
            "MetricName": "m",
            "Namespace": "n",
        }
        cloudwatch.put_metric_alarm(AlarmName="kept", **alarm, Period=60, Statistic="Sum")
        self.assert_refused("ResourceNotFound", cloudwatch.delete_alarms, AlarmNames=["kept", "nothing"])
        self.assert_refused("ValidationError", cloudwatch.delete_alarms, AlarmNames=["kept"] * 101)
        self.assertEqual(1, len(cloudwatch.describe_alarms(AlarmNames=["kept"])["MetricAlarms"]))
        cloudwatch.delete_alarms(AlarmNames=["kept"])
        self.assertEqual([], cloudwatch.describe_alarms(AlarmNames=["kept"])["MetricAlarms"])


if __name__ == "__main__":
    unittest.main()
