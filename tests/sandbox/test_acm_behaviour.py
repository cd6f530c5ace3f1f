"""Certificates over time: validation and its records, the token of a request, use by listeners, reads that lag."""

import unittest

from support import FrozenTest, SandboxTest, make_network
from test_small_services import self_signed

FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}


class Certificates:
    """What the tests of this module share."""

    @classmethod
    def prepare(cls):
        cls.acm = cls.client("acm")
        cls.dns = cls.client("route53")
        cls.zone = cls.dns.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]

    def request(self, domain, method="DNS", **fields):
        return self.acm.request_certificate(DomainName=domain, ValidationMethod=method, **fields)["CertificateArn"]

    def imported(self, name="x.local"):
        certificate, key = self_signed(name)
        return self.acm.import_certificate(Certificate=certificate, PrivateKey=key)["CertificateArn"]

    def described(self, arn):
        return self.acm.describe_certificate(CertificateArn=arn)["Certificate"]

    def status(self, arn):
        return self.described(arn)["Status"]

    def records(self, arn):
        return [option["ResourceRecord"] for option in self.described(arn)["DomainValidationOptions"]]

    def change(self, action, record, zone=None):
        given = {"Name": record["Name"], "Type": record["Type"], "TTL": 300, "ResourceRecords": [{"Value": record["Value"]}]}
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": given}]}
        self.dns.change_resource_record_sets(HostedZoneId=zone or self.zone, ChangeBatch=batch)


class ValidationTest(Certificates, FrozenTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare()

    def test_the_record_appears_after_some_seconds(self):
        arn = self.request("first.example.com")
        self.advance(4)
        [option] = self.described(arn)["DomainValidationOptions"]
        self.assertEqual(("first.example.com", "PENDING_VALIDATION"), (option["DomainName"], option["ValidationStatus"]))
        self.assertNotIn("ResourceRecord", option)
        self.advance(2)
        [record] = self.records(arn)
        self.assertRegex(record["Name"], r"^_[0-9a-f]{32}\.first\.example\.com\.$")
        self.assertRegex(record["Value"], r"^_[0-9a-f]{32}\.[a-z]{10}\.acm-validations\.aws\.$")

    def test_it_is_issued_some_time_after_its_records_are_in_route_53(self):
        arn = self.request("second.example.com", SubjectAlternativeNames=["*.second.example.com", "third.example.com"])
        self.advance(6)
        first, wildcard, other = self.records(arn)
        self.assertEqual(first, wildcard)
        self.assertNotEqual(first["Value"], other["Value"])
        self.change("CREATE", first)
        self.advance(600)
        detail = self.described(arn)
        self.assertEqual("PENDING_VALIDATION", detail["Status"])
        self.assertEqual(set(), {"IssuedAt", "NotAfter", "NotBefore", "Serial"} & set(detail))
        self.assert_refused("RequestInProgressException", self.acm.get_certificate, CertificateArn=arn)
        self.change("CREATE", other)
        self.advance(59)
        self.assertEqual("PENDING_VALIDATION", self.status(arn))
        self.advance(2)
        detail = self.described(arn)
        self.assertEqual("ISSUED", detail["Status"])
        self.assertEqual({"SUCCESS"}, {option["ValidationStatus"] for option in detail["DomainValidationOptions"]})
        self.assertLessEqual({"IssuedAt", "NotAfter", "NotBefore", "Serial"}, set(detail))
        self.assertIn("BEGIN CERTIFICATE", self.acm.get_certificate(CertificateArn=arn)["Certificate"])

    def test_records_that_are_there_already_count(self):
        first = self.request("again.example.com")
        self.advance(6)
        self.change("UPSERT", self.records(first)[0])
        second = self.request("again.example.com")
        self.assertNotEqual(first, second)
        self.advance(66)
        self.assertEqual(["ISSUED", "ISSUED"], [self.status(first), self.status(second)])

    def test_a_record_that_is_taken_away_or_wrong_or_private_does_not_count(self):
        arn = self.request("gone.example.com")
        self.advance(6)
        [record] = self.records(arn)
        self.change("CREATE", {**record, "Value": "_other.acm-validations.aws."})
        vpc = self.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        within = {"VPC": {"VPCId": vpc, "VPCRegion": "us-east-1"}, "HostedZoneConfig": {"PrivateZone": True}}
        private = self.dns.create_hosted_zone(Name="gone.example.com", CallerReference="2", **within)
        self.change("CREATE", record, private["HostedZone"]["Id"])
        self.advance(600)
        self.assertEqual("PENDING_VALIDATION", self.status(arn))
        self.change("UPSERT", record)
        self.advance(30)
        self.change("DELETE", record)
        self.advance(600)
        self.assertEqual("PENDING_VALIDATION", self.status(arn))
        self.change("CREATE", record)
        self.advance(61)
        self.assertEqual("ISSUED", self.status(arn))

    def test_the_validation_times_out_after_72_hours(self):
        arn, by_mail = self.request("never.example.com"), self.request("mail.example.com", "EMAIL")
        self.advance(6)
        self.assertNotIn("ResourceRecord", self.described(by_mail)["DomainValidationOptions"][0])
        self.advance(72 * 3600 - 60)
        self.assertEqual("PENDING_VALIDATION", self.status(arn))
        self.advance(60)
        self.assertEqual(["VALIDATION_TIMED_OUT"] * 2, [self.status(arn), self.status(by_mail)])

    def test_imported_certificates_are_issued_at_once(self):
        self.assertEqual("ISSUED", self.status(self.imported()))

    def test_a_token_stands_for_one_request_for_an_hour(self):
        request = {"domain": "token.example.com", "IdempotencyToken": "once", "Tags": [{"Key": "a", "Value": "1"}]}
        first = self.request(**request)
        self.advance(3599)
        self.assertEqual(first, self.request(**request))
        other = self.request(**{**request, "domain": "other.example.com"})
        self.assertNotEqual(first, other)
        self.assertEqual(other, self.request(**{**request, "domain": "other.example.com"}))
        self.assertNotEqual(first, self.request(**{**request, "IdempotencyToken": "twice"}))
        self.advance(3601)
        again = self.request(**request)
        self.assertNotIn(again, (first, other))
        self.acm.delete_certificate(CertificateArn=again)
        self.assertNotEqual(again, self.request(**request))


class UseTest(Certificates, FrozenTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare()
        cls.elb = cls.client("elbv2")
        cls.network = make_network(cls.client("ec2"))

    def served(self, name):
        """A certificate, the load balancer with a listener that serves it, and that listener."""
        certificate = self.imported()
        made = self.elb.create_load_balancer(Name=name, Subnets=self.network["subnets"])
        balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
        request = {"Protocol": "HTTPS", "Port": 443, "Certificates": [{"CertificateArn": certificate}]}
        made = self.elb.create_listener(LoadBalancerArn=balancer, **request, DefaultActions=[FIXED])
        listener = made["Listeners"][0]["ListenerArn"]
        return certificate, balancer, listener

    def assert_freed_late(self, certificate, balancer):
        self.assertEqual([balancer], self.described(certificate)["InUseBy"])
        self.advance(59)
        error = self.assert_refused("ResourceInUseException", self.acm.delete_certificate, CertificateArn=certificate)
        self.assertIn(f"Certificate {certificate} in account 123456789012 is in use", str(error))
        self.advance(2)
        self.assertEqual([], self.described(certificate)["InUseBy"])
        self.acm.delete_certificate(CertificateArn=certificate)

    def test_a_certificate_in_use_stays(self):
        certificate, *_ = self.served("in-use")
        self.advance(3600)
        self.assert_refused("ResourceInUseException", self.acm.delete_certificate, CertificateArn=certificate)

    def test_it_counts_as_in_use_after_its_listener_is_gone(self):
        certificate, balancer, listener = self.served("listener-gone")
        self.elb.delete_listener(ListenerArn=listener)
        self.assert_freed_late(certificate, balancer)

    def test_it_counts_as_in_use_after_its_load_balancer_is_gone(self):
        certificate, balancer, _ = self.served("balancer-gone")
        self.elb.delete_load_balancer(LoadBalancerArn=balancer)
        self.assert_freed_late(certificate, balancer)

    def test_it_counts_as_in_use_after_another_took_its_place(self):
        certificate, balancer, listener = self.served("exchanged")
        self.elb.modify_listener(ListenerArn=listener, Certificates=[{"CertificateArn": self.imported("y.local")}])
        self.assert_freed_late(certificate, balancer)

    def test_a_use_that_comes_back_is_not_over(self):
        certificate, balancer, listener = self.served("to-and-fro")
        other = self.imported("z.local")
        self.elb.modify_listener(ListenerArn=listener, Certificates=[{"CertificateArn": other}])
        self.advance(30)
        self.elb.modify_listener(ListenerArn=listener, Certificates=[{"CertificateArn": certificate}])
        self.elb.modify_listener(ListenerArn=listener, Certificates=[{"CertificateArn": other}])
        self.assert_freed_late(certificate, balancer)


class ListTest(Certificates, SandboxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare()

    def test_pages(self):
        arns = [self.request(f"page-{number}.example.com") for number in range(3)]
        pages = list(self.acm.get_paginator("list_certificates").paginate(PaginationConfig={"PageSize": 1}))
        self.assertEqual(arns, [item["CertificateArn"] for page in pages for item in page["CertificateSummaryList"]])
        self.assertEqual(3, len(pages))
        self.assert_refused("ValidationException", self.acm.list_certificates, NextToken="nonsense")


class RecordTest(Certificates, SandboxTest):
    """A batch of changes is refused as a whole, with all that speaks against it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare()

    def batch(self, *changes):
        self.dns.change_resource_record_sets(
            HostedZoneId=self.zone,
            ChangeBatch={
                "Changes": [
                    {
                        "Action": action,
                        "ResourceRecordSet": {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": value}]},
                    }
                    for action, name, kind, value in changes
                ]
            },
        )

    def names(self):
        return [item["Name"] for item in self.dns.list_resource_record_sets(HostedZoneId=self.zone)["ResourceRecordSets"]]

    def assert_refused_with(self, words, *changes):
        before = self.names()
        error = self.assert_refused("InvalidChangeBatch", lambda: self.batch(*changes))
        self.assertEqual(words, error.response["Error"]["Message"])
        self.assertEqual(before, self.names())

    def test_batches(self):
        self.batch(("CREATE", "A.example.com", "CNAME", "x."))
        self.assertIn("a.example.com.", self.names())
        self.assert_refused_with(
            "[Tried to create resource record set [name='a.example.com.', type='CNAME'] but it already exists, "
            "Tried to delete resource record set [name='b.example.com.', type='A'] but it was not found]",
            ("UPSERT", "c.example.com", "A", "192.0.2.1"),
            ("CREATE", "a.example.com", "CNAME", "y."),
            ("DELETE", "b.example.com", "A", "192.0.2.1"),
        )
        self.assert_refused_with(
            "[Tried to delete resource record set [name='a.example.com.', type='CNAME'] but the values provided do not "
            "match the current values]",
            ("DELETE", "a.example.com", "CNAME", "y."),
        )
        self.assert_refused_with(
            "[RRSet of type A with DNS name a.example.com. is not permitted as it conflicts with other records with the "
            "same DNS name in zone example.com.]",
            ("CREATE", "a.example.com", "A", "192.0.2.1"),
        )
        self.assert_refused_with(
            "RRSet with DNS name a.example.org is not permitted in zone example.com.",
            ("UPSERT", "c.example.com", "A", "192.0.2.1"),
            ("UPSERT", "a.example.org", "A", "192.0.2.1"),
        )
        self.batch(("DELETE", "a.example.com", "CNAME", "x."), ("CREATE", "a.example.com", "A", "192.0.2.1"))
        self.batch(("DELETE", "a.example.com", "A", "192.0.2.1"))
        self.batch(("CREATE", "a.example.com", "CNAME", "x."))


class LagTest(Certificates, FrozenTest):
    OPTIONS = ("--control", "--lag", "10")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare()

    def test_a_fresh_certificate_is_missed(self):
        request = {"domain": "fresh.example.com", "IdempotencyToken": "fresh"}
        arn = self.request(**request)
        self.assertEqual(arn, self.request(**request))
        for arn in (arn, self.imported()):
            for operation in (self.acm.describe_certificate, self.acm.list_tags_for_certificate, self.acm.get_certificate):
                self.assert_refused("ResourceNotFoundException", operation, CertificateArn=arn)
            tags = {"CertificateArn": arn, "Tags": [{"Key": "a", "Value": "1"}]}
            self.assert_refused("ResourceNotFoundException", self.acm.add_tags_to_certificate, **tags)
        listing = {"Includes": {"keyTypes": ["RSA_2048", "EC_prime256v1"]}}
        self.assertEqual([], self.acm.list_certificates(**listing)["CertificateSummaryList"])
        self.advance(11)
        self.assertEqual("PENDING_VALIDATION", self.status(self.request(**request)))
        self.assertEqual(2, len(self.acm.list_certificates(**listing)["CertificateSummaryList"]))


if __name__ == "__main__":
    unittest.main()
