"""The control endpoint: the log of calls, latency, limits, the clock, and what it refuses."""

import json
import sys
import threading
import unittest
from datetime import datetime
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from support import PACKAGE_PARENT, FrozenTest, SandboxTest

sys.path.insert(0, str(PACKAGE_PARENT))

from orderctl_sandbox.control import Control, InterceptedCalls
from orderctl_sandbox.control import calls as calls_module
from orderctl_sandbox.control.operations import identify, writes
from orderctl_sandbox.settings import Settings


class ControlTest(SandboxTest):
    OPTIONS = ("--speed", "0", "--control")

    def setUp(self):
        self.server.control("calls", method="DELETE")

    def log(self, since: int = 0) -> list[dict]:
        return self.server.control(f"calls?since={since}")["calls"]

    def assert_bad(self, status: int, hint: str, resource: str, content=None, method=None) -> None:
        """Asserts that the control endpoint refuses with this status and an error that contains the hint."""
        with self.assertRaises(HTTPError) as caught:
            self.server.control(resource, content, method)
        with caught.exception as error:
            self.assertEqual(status, error.code, resource)
            self.assertIn(hint, json.load(error)["error"])


class HoldCount:
    """A lock that knows in which of its holds it is, from 1; none is 0."""

    def __init__(self):
        self.lock = threading.RLock()
        self.depth = 0
        self.holds = 0

    def __enter__(self):
        self.lock.acquire()
        self.depth += 1
        self.holds += self.depth == 1

    def __exit__(self, *_):
        self.depth -= 1
        self.lock.release()

    @property
    def current(self) -> int:
        return self.holds if self.depth else 0


class CallLogTest(ControlTest):
    def test_every_protocol_is_understood(self):
        zone = self.client("route53").create_hosted_zone(Name="log.example", CallerReference="log")["HostedZone"]["Id"]
        self.client("route53").list_resource_record_sets(HostedZoneId=zone)
        self.client("ec2").create_internet_gateway()
        self.client("ecs").list_clusters()
        self.client("elbv2").describe_load_balancers()
        self.client("cloudwatch").describe_alarms()
        self.client("s3").create_bucket(Bucket="log-of-calls")
        self.client("s3").put_object(Bucket="log-of-calls", Key="a/key with spaces", Body=b"x")
        self.client("s3").list_objects_v2(Bucket="log-of-calls")
        self.assertEqual(
            [
                ("route53", "CreateHostedZone", 201, True),
                ("route53", "ListResourceRecordSets", 200, False),
                ("ec2", "CreateInternetGateway", 200, True),
                ("ecs", "ListClusters", 200, False),
                ("elasticloadbalancing", "DescribeLoadBalancers", 200, False),
                ("monitoring", "DescribeAlarms", 200, False),
                ("s3", "CreateBucket", 200, True),
                ("s3", "PutObject", 200, True),
                ("s3", "ListObjectsV2", 200, False),
            ],
            [(call["service"], call["operation"], call["status"], call["wrote"]) for call in self.log()],
        )

    def test_refusals_carry_their_code_and_wrote_nothing(self):
        self.assert_refused("InvalidVpcID.NotFound", self.client("ec2").delete_vpc, VpcId="vpc-01234567")
        self.assert_refused("ResourceNotFoundException", self.client("logs").delete_log_group, logGroupName="/none")
        self.assert_refused("NoSuchEntity", self.client("iam").delete_role, RoleName="none")
        self.assert_refused("NoSuchHostedZone", self.client("route53").get_hosted_zone, Id="ZNONE")
        self.assert_refused("NoSuchBucket", self.client("s3").list_objects_v2, Bucket="none-of-that-name")
        self.assertEqual(
            [
                (400, "InvalidVpcID.NotFound", False),
                (400, "ResourceNotFoundException", False),
                (404, "NoSuchEntity", False),
                (404, "NoSuchHostedZone", False),
                (404, "NoSuchBucket", False),
            ],
            [(call["status"], call["error"], call["wrote"]) for call in self.log()],
        )

    def test_a_caller_follows_the_log_by_its_indices(self):
        sts = self.client("sts")
        sts.get_caller_identity()
        sts.get_caller_identity()
        first = self.server.control("calls")
        self.assertEqual([0, 1], [call["index"] for call in first["calls"]])
        self.assertEqual(2, first["next"])
        sts.get_caller_identity()
        self.assertEqual([2], [call["index"] for call in self.log(first["next"])])
        self.assertEqual([], self.log(99))
        self.server.control("calls", method="DELETE")
        self.assertEqual({"first": 0, "next": 0, "calls": []}, self.server.control("calls"))

    def test_a_call_has_its_times(self):
        self.client("sts").get_caller_identity()
        call = self.log()[0]
        start, end = (datetime.fromisoformat(call[name]) for name in ("time", "end"))
        self.assertLessEqual(start, end)
        self.assertGreater(call["milliseconds"], 0)
        self.assertEqual(0, start.utcoffset().total_seconds())
        self.assertFalse(call["in_flight"])
        self.assertIsNone(call["fault"])

    def test_the_order_is_that_in_which_calls_were_applied(self):
        logs = self.client("logs")

        def create():
            try:
                logs.create_log_group(logGroupName="/order")
            except logs.exceptions.ResourceAlreadyExistsException:
                pass

        threads = [threading.Thread(target=create) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([True] + [False] * 7, [call["wrote"] for call in self.log()])

    def test_no_other_call_gets_between_a_call_and_its_place(self):
        lock = HoldCount()
        control = Control(lock, Settings())
        holds = []
        enter = control.calls.enter

        def application(_environ, start_response):
            holds.append(lock.current)
            start_response("200 OK", [])
            return [b"{}"]

        def enter_and_note(call, sandbox_time):
            holds.append(lock.current)
            enter(call, sandbox_time)

        control.calls.enter = enter_and_note
        environ = {"REQUEST_METHOD": "POST", "HTTP_X_AMZ_TARGET": "X.CreateY", "wsgi.input": None}
        self.assertEqual([b"{}"], list(InterceptedCalls(application, control)(environ, lambda *_: None)))
        self.assertEqual([1, 1], holds)

    def test_what_is_no_aws_call_is_not_in_the_log(self):
        self.server.control("clock")
        with urlopen(f"{self.server.endpoint}/orderctl/sandbox"), urlopen(f"{self.server.endpoint}/moto-api/data.json"):
            pass
        self.assertEqual([], self.log())

    def test_old_calls_are_forgotten(self):
        log = calls_module.CallLog(capacity=2)
        for operation in ("CreateA", "CreateB", "CreateC"):
            call = calls_module.Call("ec2", operation, True)
            log.enter(call, 0.0)
            log.finish(call, 200, None)
        answer = log.since(0)
        self.assertEqual((1, 3), (answer["first"], answer["next"]))
        self.assertEqual(["CreateB", "CreateC"], [call["operation"] for call in answer["calls"]])
        self.assertEqual(["CreateC"], [call["operation"] for call in log.since(2)["calls"]])

    def test_what_is_in_flight_is_asked_for_again(self):
        log = calls_module.CallLog()
        pending, done = (calls_module.Call("ec2", name, True) for name in ("CreateA", "CreateB"))
        log.enter(pending, 0.0)
        log.enter(done, 0.0)
        log.finish(done, 200, None)
        self.assertEqual(0, log.since(0)["next"])
        self.assertEqual([True, False], [call["in_flight"] for call in log.since(0)["calls"]])
        log.finish(pending, 200, None)
        self.assertEqual(2, log.since(0)["next"])


class OperationTest(unittest.TestCase):
    def operation(self, service: str, method: str, path: str, **headers: str) -> str:
        """The operation of a REST request."""
        name, _, query = path.partition("?")
        scope = f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, Signature=0"
        environ = {
            "REQUEST_METHOD": method,
            "RAW_URI": path,
            "PATH_INFO": name,
            "QUERY_STRING": query,
            "HTTP_AUTHORIZATION": scope,
            **headers,
        }
        found, operation = identify(environ, b"")
        self.assertEqual(service, found)
        return operation

    def test_rest_requests_are_told_apart_by_path_query_and_headers(self):
        cases = [
            ("s3", "GET", "/", "ListBuckets"),
            ("s3", "GET", "/bucket", "ListObjects"),
            ("s3", "GET", "/bucket/", "ListObjects"),
            ("s3", "GET", "/bucket?list-type=2&prefix=a", "ListObjectsV2"),
            ("s3", "GET", "/bucket?lifecycle", "GetBucketLifecycleConfiguration"),
            ("s3", "PUT", "/bucket/a/b?x-id=PutObject", "PutObject"),
            ("s3", "PUT", "/bucket/a/b?partNumber=1&uploadId=x", "UploadPart"),
            ("s3", "GET", "/bucket/a/b?uploadId=x", "ListParts"),
            ("s3", "POST", "/bucket/a/b?uploads", "CreateMultipartUpload"),
            ("s3", "POST", "/bucket/a/b?uploadId=x", "CompleteMultipartUpload"),
            ("s3", "HEAD", "/bucket/a", "HeadObject"),
            ("route53", "POST", "/2013-04-01/hostedzone/Z1/rrset", "ChangeResourceRecordSets"),
            ("route53", "POST", "/2013-04-01/hostedzone/Z1/rrset/", "ChangeResourceRecordSets"),
            ("route53", "GET", "/2013-04-01/hostedzone/Z1", "GetHostedZone"),
            ("elasticfilesystem", "GET", "/2015-02-01/file-systems", "DescribeFileSystems"),
            ("lambda", "GET", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Ax%2Fy", "ListTags"),
            ("lambda", "PATCH", "/nowhere", "PATCH /nowhere"),
            ("nosuchservice", "GET", "/x?y=1", "GET /x"),
        ]
        for service, method, path, operation in cases:
            with self.subTest(f"{method} {path}"):
                self.assertEqual(operation, self.operation(service, method, path))
        copied = self.operation("s3", "PUT", "/bucket/a", HTTP_X_AMZ_COPY_SOURCE="bucket/b")
        self.assertEqual("CopyObject", copied)

    def test_the_action_of_a_query_may_be_in_the_address(self):
        self.assertEqual("DescribeVpcs", self.operation("ec2", "GET", "/?Action=DescribeVpcs&Version=2016-11-15"))

    def test_presigned_and_unsigned_requests(self):
        environ = {
            "REQUEST_METHOD": "GET",
            "RAW_URI": "/bucket/key",
            "QUERY_STRING": "X-Amz-Credential=test%2F20260101%2Fus-east-1%2Fs3%2Faws4_request",
        }
        self.assertEqual(("s3", "GetObject"), identify(environ, b""))
        self.assertEqual(("", "GetObject"), identify({**environ, "QUERY_STRING": ""}, b""))

    def test_what_writes(self):
        for operation in (
            "DescribeVpcs", "GetRandomPassword", "GetAuthorizationToken", "ListClusters", "HeadObject", "LookupEvents",
            "BatchGetImage", "BatchCheckLayerAvailability", "SimulatePrincipalPolicy", "FilterLogEvents", "AssumeRole",
            "CheckCapacity", "GET /x", "HEAD /x",
        ):  # fmt: skip
            self.assertFalse(writes(operation), operation)
        for operation in (
            "CreateVpc", "PutParameter", "RunTask", "ModifyVpcAttribute", "BatchDeleteImage", "AssociateWebACL",
            "RegisterTaskDefinition", "TestamentCreate", "POST /x", "DELETE /x", "SomethingNobodyKnows",
        ):  # fmt: skip
            self.assertTrue(writes(operation), operation)


class EndpointTest(ControlTest):
    def tearDown(self):
        self.server.control("latency", {"milliseconds": 0})

    def test_calls_wait_side_by_side(self):
        self.assertEqual(
            {"milliseconds": 700, "jitter": 50, "seed": 3},
            self.server.control("latency", {"milliseconds": 700, "jitter": 50, "seed": 3}),
        )
        sts = self.client("sts")
        threads = [threading.Thread(target=sts.get_caller_identity) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        calls = self.log()
        self.assertTrue(all(call["milliseconds"] >= 650 for call in calls), calls)
        # One after the other, the last would have waited for all.
        self.assertLess(max(call["milliseconds"] for call in calls), 5 * 650)

    def test_latency_is_switched_off(self):
        self.server.control("latency", {"milliseconds": 700})
        self.server.control("latency", {"milliseconds": 0})
        self.assertEqual({"milliseconds": 0, "jitter": 0, "seed": 0}, self.server.control("latency"))
        self.client("sts").get_caller_identity()
        self.assertLess(self.log()[0]["milliseconds"], 700)

    def test_latency_that_cannot_be_is_refused(self):
        self.assert_bad(400, "0 switches", "latency", {})
        self.assert_bad(400, "from 0 to 60000", "latency", {"milliseconds": -1})
        self.assert_bad(400, "from 0 to 10", "latency", {"milliseconds": 10, "jitter": 11})
        self.assert_bad(400, "milliseconds, jitter, seed", "latency", {"seconds": 1})

    def test_quotas_change_while_it_runs(self):
        before = self.server.control("quotas")
        self.assertEqual(5, before["elastic-ips"])
        self.assertEqual({**before, "elastic-ips": 3}, self.server.control("quotas", {"elastic-ips": 3}))
        self.assertEqual(3, self.server.control("quotas")["elastic-ips"])
        self.assert_bad(400, "elastic-ips, vpcs", "quotas", {"vpcs": 9, "elastic-ip": 3})
        self.assert_bad(400, "0 or more", "quotas", {"vpcs": 9, "elastic-ips": -1})
        self.assertEqual(before["vpcs"], self.server.control("quotas")["vpcs"])

    def test_consistency_needs_time(self):
        self.assertEqual({"lag": 0}, self.server.control("consistency"))
        self.assert_bad(400, "speed 0", "consistency", {"lag": 10})
        self.assert_bad(400, "from 0 to 600", "consistency", {"lag": 601})
        self.assert_bad(400, "0 switches", "consistency", {})
        self.assertEqual({"lag": 0}, self.server.control("consistency", {"lag": 0}))

    def test_the_bare_path_lists_what_there_is(self):
        resources = self.server.control("")["resources"]
        self.assertEqual(["GET", "POST", "DELETE"], resources["faults"])
        told = ["quotas", "denied-actions", "blocked-requests", "consistency"]
        self.assertEqual(["clock", "calls", "faults", "held", "release", "latency", "copies", *told], list(resources))

    def test_what_makes_no_sense_is_refused(self):
        self.assert_bad(404, "faults", "fault")
        self.assert_bad(405, "GET, POST", "clock", method="DELETE")
        self.assert_bad(405, "POST", "release")
        self.assert_bad(400, "frozen", "clock", {"advance": 1})
        self.assert_bad(400, "number", "clock", {"advance": "1"})
        self.assert_bad(400, "number", "clock", {"advance": True})
        self.assert_bad(400, "going again", "clock", {"freeze": False})
        self.assert_bad(400, "freeze, advance", "clock", {"stop": True})
        self.assert_bad(400, "whole number", "calls?since=x")
        self.assert_bad(400, "since", "calls?from=1")
        self.assert_bad(400, "object", "faults", [])

    def test_bodies_that_are_no_json_and_browsers_are_refused(self):
        url = f"{self.server.endpoint}/orderctl/sandbox/control/clock"
        for request in (Request(url, data=b"{"), Request(url, headers={"Origin": "http://example.com"})):
            with self.assertRaises(HTTPError) as caught:
                urlopen(request)
            with caught.exception as error:
                self.assertEqual(400, error.code)


class ClockTest(FrozenTest):
    OPTIONS = ("--control", "--lag", "20")

    def test_only_the_test_moves_a_frozen_clock(self):
        before = self.server.control("clock")
        self.assertEqual(before, self.server.control("clock"))
        self.assertTrue(before["frozen"])
        after = self.server.control("clock", {"advance": 90.5})
        self.assertAlmostEqual(before["now"] + 90.5, after["now"])

    def test_the_log_has_the_sandbox_s_time(self):
        self.client("sts").get_caller_identity()
        self.advance(60)
        self.client("sts").get_caller_identity()
        earlier, later = self.server.control("calls")["calls"][-2:]
        self.assertAlmostEqual(60, later["sandbox_time"] - earlier["sandbox_time"])

    def test_the_lag_changes_while_it_runs(self):
        self.assertEqual({"lag": 20}, self.server.control("consistency"))
        self.server.control("consistency", {"lag": 10})
        self.assertEqual({"lag": 10}, self.server.control("consistency"))


class WithoutControlTest(SandboxTest):
    def test_the_paths_are_not_there(self):
        for resource in ("", "calls", "clock"):
            with self.assertRaises(HTTPError) as caught:
                self.server.control(resource)
            caught.exception.close()


if __name__ == "__main__":
    unittest.main()
