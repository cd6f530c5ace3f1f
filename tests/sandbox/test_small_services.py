"""Logs, IAM, Secrets Manager, SSM, ECR, SNS, ACM, Route 53, S3: what a stack needs of each."""

import datetime
import json
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support import SandboxTest

TAGS = [{"Key": "Project", "Value": "order-api"}]


def self_signed(name):
    """A throwaway certificate and key in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2026, 1, 1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM), private


class LogsTest(SandboxTest):
    def test_group_filter_and_tags(self):
        logs = self.client("logs")
        name = "/ecs/order-api-dev"
        logs.create_log_group(logGroupName=name, tags={"Project": "order-api"})
        with self.assertRaises(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=name)
        logs.put_retention_policy(logGroupName=name, retentionInDays=7)
        group = logs.describe_log_groups(logGroupNamePrefix="/ecs/order")["logGroups"][0]
        self.assertEqual((name, 7, "STANDARD"), (group["logGroupName"], group["retentionInDays"], group["logGroupClass"]))
        self.assertEqual([name], [item["logGroupName"] for item in logs.describe_log_groups(logGroupNamePattern="order-api-dev")["logGroups"]])
        self.assertEqual([], logs.describe_log_groups(logGroupNamePattern="nothing")["logGroups"])
        logs.create_log_group(logGroupName=name + "-other")
        for identifier in (name, group["logGroupArn"]):
            found = logs.describe_log_groups(logGroupIdentifiers=[identifier])["logGroups"]
            self.assertEqual([(name, 7)], [(item["logGroupName"], item["retentionInDays"]) for item in found])
        logs.delete_log_group(logGroupName=name + "-other")
        arn = group["arn"].removesuffix(":*")
        self.assertEqual(arn, group["logGroupArn"])
        logs.tag_resource(resourceArn=arn, tags={"a": "1"})
        logs.untag_resource(resourceArn=arn, tagKeys=["Project"])
        self.assertEqual({"a": "1"}, logs.list_tags_for_resource(resourceArn=arn)["tags"])
        with self.assertRaises(logs.exceptions.ResourceNotFoundException):
            logs.list_tags_for_resource(resourceArn=arn + "-nowhere")
        metric = {"metricName": "PendingOrders", "metricNamespace": "OrderAPI/dev", "metricValue": "$.count", "defaultValue": 0.0, "unit": "Count"}
        pattern = '{ $.msg = "PendingOrders" }'
        logs.put_metric_filter(logGroupName=name, filterName="pending-orders-dev", filterPattern=pattern, metricTransformations=[metric])
        found = logs.describe_metric_filters(logGroupName=name, filterNamePrefix="pending-orders-dev")["metricFilters"]
        self.assert_echoes([{"filterName": "pending-orders-dev", "filterPattern": pattern, "metricTransformations": [metric], "logGroupName": name}], found)
        logs.put_metric_filter(logGroupName=name, filterName="pending-orders-dev", filterPattern=pattern, metricTransformations=[{**metric, "metricValue": "1"}])
        found = logs.describe_metric_filters(logGroupName=name)["metricFilters"]
        self.assertEqual(["1"], [item["metricTransformations"][0]["metricValue"] for item in found])
        with self.assertRaises(logs.exceptions.ResourceNotFoundException):
            logs.put_metric_filter(logGroupName="/nowhere", filterName="x", filterPattern="", metricTransformations=[metric])
        logs.delete_metric_filter(logGroupName=name, filterName="pending-orders-dev")
        with self.assertRaises(logs.exceptions.ResourceNotFoundException):
            logs.delete_metric_filter(logGroupName=name, filterName="pending-orders-dev")
        logs.put_metric_filter(logGroupName=name, filterName="left", filterPattern="", metricTransformations=[metric])
        logs.delete_log_group(logGroupName=name)
        with self.assertRaises(logs.exceptions.ResourceNotFoundException):
            logs.delete_log_group(logGroupName=name)
        logs.create_log_group(logGroupName=name)
        self.assertEqual([], logs.describe_metric_filters(logGroupName=name)["metricFilters"])
        self.assertEqual({}, logs.list_tags_for_resource(resourceArn=arn)["tags"])
        logs.put_retention_policy(logGroupName=name, retentionInDays=7)
        logs.delete_retention_policy(logGroupName=name)
        self.assertNotIn("retentionInDays", logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0])


class IamTest(SandboxTest):
    def test_role(self):
        iam = self.client("iam")
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        request = {"RoleName": "ecs-task-dev", "AssumeRolePolicyDocument": json.dumps(trust), "Description": "task", "MaxSessionDuration": 3600, "Tags": TAGS, "Path": "/"}
        iam.create_role(**request)
        with self.assertRaises(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(**request)
        role = iam.get_role(RoleName="ecs-task-dev")["Role"]
        self.assert_echoes({"Description": "task", "MaxSessionDuration": 3600, "Tags": TAGS, "AssumeRolePolicyDocument": trust}, role)
        iam.update_assume_role_policy(RoleName="ecs-task-dev", PolicyDocument=json.dumps({**trust, "Statement": [{**trust["Statement"][0], "Sid": "Changed"}]}))
        iam.update_role(RoleName="ecs-task-dev", Description="changed", MaxSessionDuration=7200)
        role = iam.get_role(RoleName="ecs-task-dev")["Role"]
        self.assertEqual(("changed", 7200, "Changed"), (role["Description"], role["MaxSessionDuration"], role["AssumeRolePolicyDocument"]["Statement"][0]["Sid"]))
        iam.tag_role(RoleName="ecs-task-dev", Tags=[{"Key": "a", "Value": "1"}])
        iam.untag_role(RoleName="ecs-task-dev", TagKeys=["Project"])
        self.assertEqual([{"Key": "a", "Value": "1"}], iam.list_role_tags(RoleName="ecs-task-dev")["Tags"])
        for name in ("service-role/AmazonECSTaskExecutionRolePolicy", "AmazonECSInfrastructureRolePolicyForLoadBalancers"):
            arn = f"arn:aws:iam::aws:policy/{name}"
            self.assertEqual(arn, iam.get_policy(PolicyArn=arn)["Policy"]["Arn"])
            iam.attach_role_policy(RoleName="ecs-task-dev", PolicyArn=arn)
        attached = iam.list_attached_role_policies(RoleName="ecs-task-dev")["AttachedPolicies"]
        self.assertEqual(2, len(attached))
        inline = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*"}]}
        iam.put_role_policy(RoleName="ecs-task-dev", PolicyName="inline", PolicyDocument=json.dumps(inline))
        self.assertEqual(inline, iam.get_role_policy(RoleName="ecs-task-dev", PolicyName="inline")["PolicyDocument"])
        with self.assertRaises(iam.exceptions.DeleteConflictException):
            iam.delete_role(RoleName="ecs-task-dev")
        for policy in attached:
            iam.detach_role_policy(RoleName="ecs-task-dev", PolicyArn=policy["PolicyArn"])
        with self.assertRaises(iam.exceptions.NoSuchEntityException):
            iam.detach_role_policy(RoleName="ecs-task-dev", PolicyArn=attached[0]["PolicyArn"])
        with self.assertRaises(iam.exceptions.DeleteConflictException):
            iam.delete_role(RoleName="ecs-task-dev")
        iam.delete_role_policy(RoleName="ecs-task-dev", PolicyName="inline")
        iam.delete_role(RoleName="ecs-task-dev")
        with self.assertRaises(iam.exceptions.NoSuchEntityException):
            iam.get_role(RoleName="ecs-task-dev")

    def test_service_linked_roles(self):
        iam = self.client("iam")
        names = {
            "ecs.amazonaws.com": "AWSServiceRoleForECS",
            "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
            "rds.amazonaws.com": "AWSServiceRoleForRDS",
            "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
        }
        for service, name in names.items():
            with self.subTest(service):
                self.assertEqual(name, iam.create_service_linked_role(AWSServiceName=service)["Role"]["RoleName"])
                with self.assertRaises(iam.exceptions.InvalidInputException) as caught:
                    iam.create_service_linked_role(AWSServiceName=service)
                self.assertIn("has been taken in this account", str(caught.exception))
                self.assertIn(f"/aws-service-role/{service}/", iam.get_role(RoleName=name)["Role"]["Path"])
                listed = iam.list_roles(PathPrefix=f"/aws-service-role/{service}/")["Roles"]
                self.assertEqual([name], [role["RoleName"] for role in listed])


class SecretsTest(SandboxTest):
    def test_life_of_a_secret(self):
        secrets = self.client("secretsmanager")
        name = "order-api-db-password-dev"
        arn = secrets.create_secret(Name=name, Description="database", SecretString="{}", Tags=TAGS)["ARN"]
        with self.assertRaises(secrets.exceptions.ResourceExistsException):
            secrets.create_secret(Name=name, SecretString="{}")
        self.assert_echoes({"Name": name, "Description": "database", "Tags": TAGS, "ARN": arn}, secrets.describe_secret(SecretId=arn))
        secrets.update_secret(SecretId=arn, Description="changed")
        secrets.put_secret_value(SecretId=arn, SecretString="new")
        self.assertEqual("new", secrets.get_secret_value(SecretId=arn)["SecretString"])
        self.assertEqual("changed", secrets.describe_secret(SecretId=arn)["Description"])
        secrets.tag_resource(SecretId=arn, Tags=[{"Key": "a", "Value": "1"}])
        secrets.untag_resource(SecretId=arn, TagKeys=["Project"])
        self.assertEqual([{"Key": "a", "Value": "1"}], secrets.describe_secret(SecretId=arn)["Tags"])
        secrets.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
        self.assertIn("DeletedDate", secrets.describe_secret(SecretId=arn))
        self.assertNotIn(arn, [item["ARN"] for item in secrets.list_secrets()["SecretList"]])
        error = self.assert_refused("InvalidRequestException", secrets.create_secret, Name=name, SecretString="{}")
        self.assertIn("scheduled for deletion", str(error))
        error = self.assert_refused("InvalidRequestException", secrets.get_secret_value, SecretId=arn)
        secrets.restore_secret(SecretId=arn)
        self.assertNotIn("DeletedDate", secrets.describe_secret(SecretId=arn))
        secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
        with self.assertRaises(secrets.exceptions.ResourceNotFoundException):
            secrets.describe_secret(SecretId=arn)
        self.assertNotEqual(arn, secrets.create_secret(Name=name, SecretString="{}")["ARN"])

    def test_client_token_and_random_password(self):
        secrets = self.client("secretsmanager")
        token = "0123456789abcdef0123456789abcdef"
        arns = {secrets.create_secret(Name="token", SecretString="x", ClientRequestToken=token)["ARN"] for _ in range(2)}
        self.assertEqual(1, len(arns))
        password = secrets.get_random_password(PasswordLength=32, ExcludeCharacters='/@" ', RequireEachIncludedType=True)["RandomPassword"]
        self.assertEqual(32, len(password))
        self.assertFalse(set(password) & set('/@" '))


class ParameterTest(SandboxTest):
    def test_parameter(self):
        ssm = self.client("ssm")
        name = "/order-api/dev/config"
        ssm.put_parameter(Name=name, Value="{}", Type="String", Description="config", Tier="Standard", Tags=TAGS)
        with self.assertRaises(ssm.exceptions.ParameterAlreadyExists):
            ssm.put_parameter(Name=name, Value="{}", Type="String")
        ssm.put_parameter(Name=name, Value='{"a": 1}', Type="String", Overwrite=True, Description="changed")
        parameter = ssm.get_parameter(Name=name)["Parameter"]
        self.assertEqual(('{"a": 1}', "String", 2), (parameter["Value"], parameter["Type"], parameter["Version"]))
        described = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [name]}])["Parameters"][0]
        self.assertEqual(("changed", "Standard"), (described["Description"], described["Tier"]))
        ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=[{"Key": "a", "Value": "1"}])
        ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=name, TagKeys=["Project"])
        self.assertEqual([{"Key": "a", "Value": "1"}], ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"])
        ssm.delete_parameter(Name=name)
        with self.assertRaises(ssm.exceptions.ParameterNotFound):
            ssm.delete_parameter(Name=name)
        with self.assertRaises(ssm.exceptions.ParameterNotFound):
            ssm.get_parameter(Name=name)


class RegistryTest(SandboxTest):
    def test_repository(self):
        ecr = self.client("ecr")
        name = "order-api-dev"
        request = {
            "repositoryName": name,
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfiguration": {"encryptionType": "AES256"},
        }
        arn = ecr.create_repository(**request, tags=TAGS)["repository"]["repositoryArn"]
        with self.assertRaises(ecr.exceptions.RepositoryAlreadyExistsException):
            ecr.create_repository(**request)
        described = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
        self.assert_echoes(request, described)
        self.assertIn(name, described["repositoryUri"])
        ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE")
        ecr.put_image_scanning_configuration(repositoryName=name, imageScanningConfiguration={"scanOnPush": False})
        described = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
        self.assertEqual(("MUTABLE", False), (described["imageTagMutability"], described["imageScanningConfiguration"]["scanOnPush"]))
        with self.assertRaises(ecr.exceptions.LifecyclePolicyNotFoundException):
            ecr.get_lifecycle_policy(repositoryName=name)
        policy = json.dumps(
            {"rules": [{"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14}, "action": {"type": "expire"}}]}
        )
        ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=policy)
        self.assertEqual(json.loads(policy), json.loads(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]))
        ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "1"}])
        ecr.untag_resource(resourceArn=arn, tagKeys=["Project"])
        self.assertEqual([{"Key": "a", "Value": "1"}], ecr.list_tags_for_resource(resourceArn=arn)["tags"])
        self.assertEqual([], ecr.describe_images(repositoryName=name)["imageDetails"])
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 1, "digest": "sha256:" + "0" * 64},
                "layers": [],
            }
        )
        ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="1")
        self.assertEqual(["1"], ecr.describe_images(repositoryName=name)["imageDetails"][0]["imageTags"])
        with self.assertRaises(ecr.exceptions.RepositoryNotEmptyException):
            ecr.delete_repository(repositoryName=name)
        ecr.delete_repository(repositoryName=name, force=True)
        with self.assertRaises(ecr.exceptions.RepositoryNotFoundException):
            ecr.describe_repositories(repositoryNames=[name])
        self.assertTrue(ecr.get_authorization_token()["authorizationData"])


class TopicTest(SandboxTest):
    def test_topic(self):
        sns = self.client("sns")
        arn = sns.create_topic(Name="order-api-alarms-dev", Attributes={"DisplayName": "alarms"}, Tags=TAGS)["TopicArn"]
        self.assertEqual(arn, sns.create_topic(Name="order-api-alarms-dev", Attributes={"DisplayName": "alarms"}, Tags=TAGS)["TopicArn"])
        sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="changed")
        self.assertEqual("changed", sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"])
        sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}])
        sns.untag_resource(ResourceArn=arn, TagKeys=["Project"])
        self.assertEqual([{"Key": "a", "Value": "1"}], sns.list_tags_for_resource(ResourceArn=arn)["Tags"])
        answer = sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="ops@example.com")
        self.assertEqual("pending confirmation", answer["SubscriptionArn"])
        for _ in range(2):
            found = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
            self.assertEqual([("PendingConfirmation", "email", "ops@example.com")], [(s["SubscriptionArn"], s["Protocol"], s["Endpoint"]) for s in found])
            sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="ops@example.com")
        attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        self.assertEqual(("1", "0"), (attributes["SubscriptionsPending"], attributes["SubscriptionsConfirmed"]))
        self.assert_refused("InvalidParameter", sns.unsubscribe, SubscriptionArn="PendingConfirmation")
        sns.delete_topic(TopicArn=arn)
        with self.assertRaises(sns.exceptions.NotFoundException):
            sns.get_topic_attributes(TopicArn=arn)
        self.assertEqual([], [s for s in sns.list_subscriptions()["Subscriptions"] if s["TopicArn"] == arn])
        sns.delete_topic(TopicArn=arn)


class CertificateTest(SandboxTest):
    def test_import_and_reimport(self):
        acm = self.client("acm")
        certificate, key = self_signed("order-api-dev.local")
        arn = acm.import_certificate(Certificate=certificate, PrivateKey=key, Tags=TAGS)["CertificateArn"]
        described = acm.describe_certificate(CertificateArn=arn)["Certificate"]
        self.assert_echoes({"Type": "IMPORTED", "Status": "ISSUED", "DomainName": "order-api-dev.local"}, described)
        certificate, key = self_signed("other.local")
        self.assertEqual(arn, acm.import_certificate(CertificateArn=arn, Certificate=certificate, PrivateKey=key)["CertificateArn"])
        self.assertEqual("other.local", acm.describe_certificate(CertificateArn=arn)["Certificate"]["DomainName"])
        self.assertEqual(TAGS, acm.list_tags_for_certificate(CertificateArn=arn)["Tags"])
        acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "a", "Value": "1"}])
        acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[{"Key": "Project"}])
        self.assertEqual([{"Key": "a", "Value": "1"}], acm.list_tags_for_certificate(CertificateArn=arn)["Tags"])
        # Unless asked for, certificates with keys other than RSA are not listed.
        self.assertNotIn(arn, [item["CertificateArn"] for item in acm.list_certificates()["CertificateSummaryList"]])
        listed = acm.list_certificates(Includes={"keyTypes": ["EC_prime256v1"]})["CertificateSummaryList"]
        self.assertEqual([arn], [item["CertificateArn"] for item in listed])
        acm.delete_certificate(CertificateArn=arn)
        with self.assertRaises(acm.exceptions.ResourceNotFoundException):
            acm.describe_certificate(CertificateArn=arn)
        with self.assertRaises(acm.exceptions.ResourceNotFoundException):
            acm.delete_certificate(CertificateArn=arn)

    def test_requested_certificate(self):
        acm = self.client("acm")
        request = {"DomainName": "api.example.com", "SubjectAlternativeNames": ["www.example.com"], "ValidationMethod": "DNS", "IdempotencyToken": "token1", "Tags": TAGS}
        arn = acm.request_certificate(**request)["CertificateArn"]
        self.assertEqual(arn, acm.request_certificate(**request)["CertificateArn"])
        described = acm.describe_certificate(CertificateArn=arn)["Certificate"]
        self.assertEqual({"api.example.com", "www.example.com"}, set(described["SubjectAlternativeNames"]))
        options = {option["DomainName"]: option for option in described["DomainValidationOptions"]}
        for domain in ("api.example.com", "www.example.com"):
            record = options[domain]["ResourceRecord"]
            self.assertEqual("CNAME", record["Type"])
            self.assertTrue(record["Name"].endswith(f".{domain}."), record)
            self.assertTrue(record["Value"].endswith(".acm-validations.aws."), record)


class DnsTest(SandboxTest):
    def test_alias_record(self):
        dns = self.client("route53")
        zone = dns.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
        self.assertEqual([zone], [item["Id"] for item in dns.list_hosted_zones_by_name(DNSName="example.com")["HostedZones"]])
        record = {
            "Name": "api.example.com.",
            "Type": "A",
            "AliasTarget": {"HostedZoneId": "Z35SXDOTRQ7X7K", "DNSName": "order-api-dev-1.us-east-1.elb.amazonaws.com.", "EvaluateTargetHealth": True},
        }

        def change(action, wanted=record):
            dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": wanted}]})

        def records():
            answer = dns.list_resource_record_sets(HostedZoneId=zone, StartRecordName="api.example.com", StartRecordType="A", MaxItems="1")
            return [item for item in answer["ResourceRecordSets"] if item["Name"] == "api.example.com."]

        change("UPSERT")
        self.assert_echoes([record], records())
        other = {**record, "AliasTarget": {**record["AliasTarget"], "EvaluateTargetHealth": False}}
        change("UPSERT", other)
        self.assert_echoes([other], records())
        validation = {"Name": "_x.api.example.com.", "Type": "CNAME", "TTL": 300, "ResourceRecords": [{"Value": "_y.acm-validations.aws."}]}
        change("UPSERT", validation)
        change("DELETE", other)
        change("DELETE", validation)
        self.assertEqual([], records())
        with self.assertRaises(dns.exceptions.InvalidChangeBatch):
            change("DELETE", other)


class StorageTest(SandboxTest):
    def test_conditional_writes(self):
        s3 = self.client("s3")
        s3.create_bucket(Bucket="states")
        tag = s3.put_object(Bucket="states", Key="dev.json", Body=b"1", IfNoneMatch="*")["ETag"]
        self.assert_refused("PreconditionFailed", s3.put_object, Bucket="states", Key="dev.json", Body=b"2", IfNoneMatch="*")
        s3.put_object(Bucket="states", Key="dev.json", Body=b"2", IfMatch=tag)
        self.assert_refused("PreconditionFailed", s3.put_object, Bucket="states", Key="dev.json", Body=b"3", IfMatch=tag)
        self.assertEqual(b"2", s3.get_object(Bucket="states", Key="dev.json")["Body"].read())
        self.assert_refused("NoSuchKey", s3.get_object, Bucket="states", Key="none")
        self.assert_refused("404", s3.head_object, Bucket="states", Key="none")


if __name__ == "__main__":
    unittest.main()
