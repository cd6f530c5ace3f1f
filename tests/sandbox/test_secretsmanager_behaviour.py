"""Secrets go slowly, can be restored for a while, and are not found at once."""

import unittest

from support import FrozenTest, SandboxTest

MARKED = "You can’t perform this operation on the secret because it was marked for deletion."


class DeletionTest(FrozenTest):
    def setUp(self):
        self.secrets = self.client("secretsmanager")

    def assert_missing(self, call, **arguments):
        with self.assertRaises(self.secrets.exceptions.ResourceNotFoundException):
            call(**arguments)

    def test_a_forced_deletion_takes_a_while(self):
        arn = self.secrets.create_secret(Name="forced", SecretString="old")["ARN"]
        self.secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
        self.assertIn("DeletedDate", self.secrets.describe_secret(SecretId=arn))
        self.assert_refused("InvalidRequestException", self.secrets.get_secret_value, SecretId=arn)
        self.assert_missing(self.secrets.restore_secret, SecretId=arn)
        error = self.assert_refused(
            "InvalidRequestException", self.secrets.create_secret, Name="forced", SecretString="new"
        )
        self.assertIn("scheduled for deletion", str(error))
        self.assertEqual([], self.secrets.list_secrets()["SecretList"])
        self.secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
        self.advance(9)
        self.assert_refused("InvalidRequestException", self.secrets.create_secret, Name="forced", SecretString="new")
        self.advance(1)
        self.assert_missing(self.secrets.describe_secret, SecretId=arn)
        self.assert_missing(self.secrets.get_secret_value, SecretId="forced")
        again = self.secrets.create_secret(Name="forced", SecretString="new")["ARN"]
        self.assertNotEqual(arn, again)
        self.advance(60)
        self.assertEqual("new", self.secrets.get_secret_value(SecretId="forced")["SecretString"])

    def test_a_pending_deletion_can_be_called_back(self):
        arn = self.secrets.create_secret(Name="pending", SecretString="kept")["ARN"]
        self.secrets.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
        self.advance(3600)
        for call, arguments in (
            (self.secrets.get_secret_value, {}),
            (self.secrets.put_secret_value, {"SecretString": "x"}),
            (self.secrets.update_secret, {"Description": "x"}),
            (self.secrets.tag_resource, {"Tags": [{"Key": "a", "Value": "b"}]}),
            (self.secrets.untag_resource, {"TagKeys": ["a"]}),
            (self.secrets.get_resource_policy, {}),
        ):
            with self.subTest(call=call.__name__):
                error = self.assert_refused("InvalidRequestException", call, SecretId=arn, **arguments)
                self.assertIn(MARKED, str(error))
        self.assert_refused("InvalidRequestException", self.secrets.create_secret, Name="pending", SecretString="x")
        self.secrets.restore_secret(SecretId=arn)
        self.assertEqual("kept", self.secrets.get_secret_value(SecretId=arn)["SecretString"])
        self.secrets.put_secret_value(SecretId=arn, SecretString="changed")

    def test_a_pending_deletion_ends_with_its_window(self):
        for name in ("left", "called-back"):
            self.secrets.create_secret(Name=name, SecretString="x")
            self.secrets.delete_secret(SecretId=name, RecoveryWindowInDays=7)
        self.advance(7 * 86400 - 1)
        self.secrets.describe_secret(SecretId="left")
        self.secrets.restore_secret(SecretId="called-back")
        self.advance(1)
        error = self.assert_refused("ResourceNotFoundException", self.secrets.describe_secret, SecretId="left")
        self.assertEqual(400, error.response["ResponseMetadata"]["HTTPStatusCode"])
        self.assertEqual("x", self.secrets.get_secret_value(SecretId="called-back")["SecretString"])
        self.secrets.create_secret(Name="left", SecretString="new")

    def test_a_pending_deletion_can_be_forced(self):
        arn = self.secrets.create_secret(Name="hurried", SecretString="x")["ARN"]
        self.secrets.delete_secret(SecretId=arn)
        self.secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
        self.advance(10)
        self.assert_missing(self.secrets.describe_secret, SecretId=arn)


class TokenTest(SandboxTest):
    def test_a_repeated_create_answers_the_same_secret(self):
        secrets = self.client("secretsmanager")
        request = {"Name": "repeated", "SecretString": "x", "ClientRequestToken": "t" * 32}
        first, second = (secrets.create_secret(**request) for _ in range(2))
        self.assertEqual((first["ARN"], "t" * 32), (second["ARN"], second["VersionId"]))
        for other in ({"SecretString": "y"}, {"ClientRequestToken": "u" * 32}):
            with self.assertRaises(secrets.exceptions.ResourceExistsException):
                secrets.create_secret(**{**request, **other})
        self.assertEqual("x", secrets.get_secret_value(SecretId="repeated")["SecretString"])

    def test_an_ending_like_that_of_an_arn(self):
        secrets = self.client("secretsmanager")
        arn = secrets.create_secret(Name="order-a1b2c3", SecretString="x")["ARN"]
        plain = secrets.create_secret(Name="order", SecretString="x")["ARN"]
        for identifier in (arn, "order-a1b2c3"):
            self.assertEqual(arn, secrets.describe_secret(SecretId=identifier)["ARN"])
        self.assertEqual(plain, secrets.describe_secret(SecretId=plain[:-7])["ARN"])
        with self.assertRaises(secrets.exceptions.ResourceNotFoundException):
            secrets.describe_secret(SecretId=arn[:-7])


class LagTest(FrozenTest):
    OPTIONS = ("--control", "--lag", "10")

    def test_a_new_secret_is_not_found_at_first(self):
        secrets = self.client("secretsmanager")
        arn = secrets.create_secret(Name="fresh", SecretString="x")["ARN"]
        for call, arguments in (
            (secrets.describe_secret, {}),
            (secrets.get_secret_value, {}),
            (secrets.put_secret_value, {"SecretString": "y"}),
            (secrets.tag_resource, {"Tags": [{"Key": "a", "Value": "b"}]}),
        ):
            for identifier in (arn, "fresh"):
                with self.subTest(call=call.__name__), self.assertRaises(secrets.exceptions.ResourceNotFoundException):
                    call(SecretId=identifier, **arguments)
        self.assertEqual([], secrets.list_secrets()["SecretList"])
        with self.assertRaises(secrets.exceptions.ResourceExistsException):
            secrets.create_secret(Name="fresh", SecretString="y")
        self.advance(10)
        self.assertEqual("x", secrets.get_secret_value(SecretId=arn)["SecretString"])
        self.assertEqual([arn], [secret["ARN"] for secret in secrets.list_secrets()["SecretList"]])


if __name__ == "__main__":
    unittest.main()
