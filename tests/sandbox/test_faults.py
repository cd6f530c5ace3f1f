"""Faults: what the client sees, what was applied all the same, and that which calls they hit is never chance."""

import http.client
import json
import random
import socket
import subprocess
import sys
import threading
import unittest
from urllib.error import HTTPError

from botocore.exceptions import ClientError, ConnectionClosedError

from support import PACKAGE_PARENT, SandboxTest

sys.path.insert(0, str(PACKAGE_PARENT))

from orderctl_sandbox import cbor


class FaultTest(SandboxTest):
    OPTIONS = ("--speed", "0", "--control")

    def setUp(self):
        self.addCleanup(self.server.control, "faults", method="DELETE")
        self.server.control("calls", method="DELETE")
        self.count = 0

    def fault(self, action: str, **description) -> int:
        """Adds a fault and returns its id."""
        return self.server.control("faults", {"action": action, **description})["id"]

    def log(self) -> list[dict]:
        return self.server.control("calls")["calls"]

    def create(self) -> None:
        """One writing call that leaves something of a name of its own."""
        self.count += 1
        self.client("logs").create_log_group(logGroupName=f"/{self.id()}/{self.count}")

    def created(self) -> list[int]:
        """Which of the calls of ``create`` left something."""
        groups = self.client("logs").describe_log_groups(logGroupNamePrefix=f"/{self.id()}/")["logGroups"]
        return sorted(int(group["logGroupName"].rpartition("/")[2]) for group in groups)

    def outcomes(self, calls: int) -> list[bool]:
        """Whether each of so many calls of ``create``, one after the other, was answered without an error."""
        results = []
        for _ in range(calls):
            try:
                self.create()
                results.append(True)
            except (ClientError, ConnectionClosedError):
                results.append(False)
        return results


class ObjectsTest(FaultTest):
    def test_errors_of_s3_are_s3s_even_where_the_object_is_json(self):
        s3 = self.client("s3")
        s3.create_bucket(Bucket="json")
        for action, code in [("throttle", "SlowDown"), ("error-after", "InternalError")]:
            self.fault(action, service="s3", operation="PutObject")
            self.assert_refused(code, s3.put_object, Bucket="json", Key=action, Body=b"{}", ContentType="application/json")


class WhatTheClientSeesTest(FaultTest):
    CALLS = (
        ("ecs", "create_cluster", {"clusterName": "fault"}),
        ("ec2", "create_vpc", {"CidrBlock": "10.9.0.0/16"}),
        ("iam", "create_user", {"UserName": "fault"}),
        ("sns", "create_topic", {"Name": "fault"}),
        ("route53", "create_hosted_zone", {"Name": "fault.example", "CallerReference": "fault"}),
        ("s3", "create_bucket", {"Bucket": "fault"}),
    )

    def errors(self, action: str) -> dict[str, tuple[int, str]]:
        """Status and code of this fault by service, all of them not applied."""
        self.fault(action, writes=True, times=0)
        answers = {}
        for service, operation, arguments in self.CALLS:
            with self.assertRaises(ClientError) as caught:
                getattr(self.client(service), operation)(**arguments)
            response = caught.exception.response
            answers[service] = (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"])
            self.messages[service] = response["Error"]["Message"]
        for call, (service, *_) in zip(self.log(), self.CALLS):
            self.assertEqual(answers[service], (call["status"], call["error"]))
            self.assertFalse(call["wrote"])
        self.assertEqual([], self.client("ecs").list_clusters()["clusterArns"])
        self.assertEqual([], self.client("route53").list_hosted_zones()["HostedZones"])
        self.assertEqual([], self.client("s3").list_buckets()["Buckets"])
        self.assertEqual(1, len(self.client("ec2").describe_vpcs()["Vpcs"]))
        return answers

    def setUp(self):
        super().setUp()
        self.messages = {}

    def test_throttling_is_each_protocol_s_own(self):
        self.assertEqual(
            {
                "ecs": (400, "ThrottlingException"),
                "ec2": (503, "RequestLimitExceeded"),
                "iam": (400, "Throttling"),
                "sns": (400, "Throttling"),
                "route53": (400, "Throttling"),
                "s3": (503, "SlowDown"),
            },
            self.errors("throttle"),
        )

    def test_errors_of_aws(self):
        self.assertEqual(
            {
                "ecs": (500, "InternalFailure"),
                "ec2": (500, "InternalError"),
                "iam": (500, "InternalFailure"),
                "sns": (500, "InternalFailure"),
                "route53": (500, "InternalFailure"),
                "s3": (500, "InternalError"),
            },
            self.errors("error-before"),
        )

    def test_missing_permissions_name_user_and_action(self):
        self.assertEqual(
            {
                "ecs": (400, "AccessDeniedException"),
                "ec2": (403, "UnauthorizedOperation"),
                "iam": (403, "AccessDenied"),
                "sns": (403, "AuthorizationError"),
                "route53": (403, "AccessDenied"),
                "s3": (403, "AccessDenied"),
            },
            self.errors("deny"),
        )
        user = self.client("sts").get_caller_identity()["Arn"]
        self.assertIn(f"User: {user} is not authorized to perform: ec2:CreateVpc on resource: ", self.messages["ec2"])
        self.assertTrue(self.messages["ec2"].startswith("You are not authorized to perform this operation."))
        self.assertTrue(self.messages["ecs"].startswith(f"User: {user} is not authorized to perform: ecs:Create"))

    def test_policies_call_cloudwatch_otherwise_than_signatures(self):
        self.fault("deny", service="monitoring")
        error = self.assert_refused("AccessDeniedException", self.client("cloudwatch").describe_alarms)
        self.assertIn("cloudwatch:DescribeAlarms", str(error))

    def test_head_is_refused_without_a_body(self):
        self.fault("deny", operation="HeadBucket")
        self.assert_refused("403", self.client("s3").head_bucket, Bucket="any-bucket")

    def test_cbor_is_answered_in_cbor(self):
        def call() -> tuple[int, str, dict]:
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port)
            self.addCleanup(connection.close)
            connection.request(
                "POST",
                "/service/GraniteServiceVersion20100801/operation/DeleteAlarms",
                cbor.encode({"AlarmNames": []}),
                {
                    "Smithy-Protocol": "rpc-v2-cbor",
                    "Content-Type": "application/cbor",
                    "Authorization": _authorization("monitoring"),
                },
            )
            response = connection.getresponse()
            return response.status, response.headers["Content-Type"], cbor.decode(response.read())

        for action in ("throttle", "error-after", "drop-after"):
            self.fault(action, service="monitoring", operation="DeleteAlarms")
        status, content_type, content = call()
        self.assertEqual((400, "application/cbor", "ThrottlingException"), (status, content_type, content["__type"]))
        status, content_type, content = call()
        self.assertEqual((500, "application/cbor", "InternalFailure"), (status, content_type, content["__type"]))
        with self.assertRaises(http.client.RemoteDisconnected):
            call()
        self.assertEqual(200, call()[0])
        self.assertEqual(
            [("DeleteAlarms", 400), ("DeleteAlarms", 500), ("DeleteAlarms", None), ("DeleteAlarms", 200)],
            [(entry["operation"], entry["status"]) for entry in self.log()],
        )


class BeforeAndAfterTest(FaultTest):
    def test_an_error_may_hide_that_the_call_was_applied(self):
        fault = self.fault("error-after", operation="CreateLogGroup")
        with self.assertRaises(ClientError) as caught:
            self.create()
        self.assertEqual("InternalFailure", caught.exception.response["Error"]["Code"])
        self.assertEqual([1], self.created())
        call = self.log()[0]
        self.assertEqual((500, "InternalFailure"), (call["status"], call["error"]))
        self.assertEqual((True, fault), (call["wrote"], call["fault"]))

    def test_a_connection_is_dropped_after_the_call_was_applied(self):
        self.fault("drop-after", operation="CreateLogGroup")
        with self.assertRaises(ConnectionClosedError):
            self.create()
        self.assertEqual([1], self.created())
        call = self.log()[0]
        self.assertEqual((None, None, True), (call["status"], call["error"], call["wrote"]))
        self.assertFalse(call["in_flight"])

    def test_a_connection_is_dropped_before_the_call_was_applied(self):
        self.fault("drop-before", operation="CreateLogGroup")
        with self.assertRaises(ConnectionClosedError):
            self.create()
        self.assertEqual([], self.created())
        self.assertEqual((None, False), (self.log()[0]["status"], self.log()[0]["wrote"]))

    def test_what_moto_refuses_was_not_written(self):
        self.create()
        self.fault("drop-after", operation="DeleteLogGroup")
        with self.assertRaises(ConnectionClosedError):
            self.client("logs").delete_log_group(logGroupName="/none")
        self.assertFalse(self.log()[-1]["wrote"])

    def test_a_dropped_connection_carries_no_byte_and_the_next_one_works(self):
        self.fault("drop-after", operation="CreateLogGroup")
        client = _send(self, "logs", "Logs_20140328.CreateLogGroup", {"logGroupName": f"/{self.id()}/1"})
        self.assertEqual(b"", client.recv(1000))
        self.assertEqual([1], self.created())

    def test_a_delayed_call_is_applied_late(self):
        self.fault("delay", operation="CreateLogGroup", seconds=0.2)
        self.create()
        self.assertEqual([1], self.created())
        self.assertGreaterEqual(self.log()[0]["milliseconds"], 200)


class HoldTest(FaultTest):
    def setUp(self):
        super().setUp()
        # Nothing stays held, whatever fails.
        self.addCleanup(self.server.control, "release", {"drop": True})

    def send(self) -> socket.socket:
        """Sends a call of ``create`` and returns at once."""
        self.count += 1
        content = {"logGroupName": f"/{self.id()}/{self.count}"}
        return _send(self, "logs", "Logs_20140328.CreateLogGroup", content)

    def await_held(self, count: int = 1) -> list[dict]:
        held = self.server.control(f"held?wait=30&count={count}")["held"]
        self.assertEqual(count, len(held))
        return held

    def test_a_call_is_held_before_it_is_applied(self):
        fault = self.fault("hold-before", operation="CreateLogGroup")
        client = self.send()
        held = self.await_held()[0]
        self.assertEqual(
            (fault, "logs", "CreateLogGroup", "before"),
            (held["fault"], held["service"], held["operation"], held["point"]),
        )
        # Others go on meanwhile.
        self.assertEqual([], self.created())
        self.assertEqual(["DescribeLogGroups"], [call["operation"] for call in self.log()])
        self.assertEqual(1, len(self.server.control("release", {"id": fault})["released"]))
        self.assertIn(b"200 OK", client.recv(1000))
        self.assertEqual([1], self.created())
        self.assertEqual([], self.server.control("held")["held"])

    def test_a_call_is_held_after_it_was_applied(self):
        self.fault("hold-after", operation="CreateLogGroup")
        client = self.send()
        self.assertEqual("after", self.await_held()[0]["point"])
        self.assertEqual([1], self.created())
        call = self.log()[0]
        self.assertEqual((True, True, None), (call["in_flight"], call["wrote"], call["status"]))
        self.assertEqual(0, self.server.control("calls")["next"])
        self.server.control("release", {})
        self.assertIn(b"200 OK", client.recv(1000))
        call = self.log()[0]
        self.assertEqual((False, True, 200), (call["in_flight"], call["wrote"], call["status"]))

    def test_a_call_is_held_on_both_sides_of_being_applied(self):
        self.fault("hold-both", operation="CreateLogGroup")
        client = self.send()
        self.assertEqual("before", self.await_held()[0]["point"])
        self.assertEqual([], self.created())
        self.server.control("release", {"count": 1})
        self.assertEqual(["after"], [call["point"] for call in self.await_held()])
        self.assertEqual([1], self.created())
        self.server.control("release", {"count": 1})
        self.assertIn(b"200 OK", client.recv(1000))
        self.assertEqual([], self.server.control("held")["held"])

    def test_a_held_call_may_be_dropped(self):
        for point, left in (("before", []), ("after", [2])):
            with self.subTest(point):
                self.fault(f"hold-{point}", operation="CreateLogGroup")
                client = self.send()
                self.await_held()
                self.server.control("release", {"drop": True})
                self.assertEqual(b"", client.recv(1000))
                self.assertEqual(left, self.created())

    def test_a_client_killed_while_its_call_was_under_way(self):
        self.fault("hold-before", operation="CreateLogGroup")
        self.send().close()
        self.await_held()
        # It had left the client: AWS applies it, though nobody hears of it.
        self.server.control("release", {})
        self.assertEqual([(200, True)], [(call["status"], call["wrote"]) for call in self.log()])
        self.assertEqual([1], self.created())

    def test_a_release_is_answered_when_the_calls_are_done(self):
        fault = self.fault("hold-before", operation="CreateLogGroup", times=0)
        releases = [("release", {}, None), ("release", {"drop": True}, None), (f"faults?id={fault}", None, "DELETE")]
        for resource, content, method in releases:
            with self.subTest(resource, content=content):
                self.server.control("calls", method="DELETE")
                for held in (1, 2, 3):
                    self.send()
                    self.await_held(held)
                self.server.control(resource, content, method)
                self.assertEqual([False] * 3, [call["in_flight"] for call in self.log()])

    def test_to_remove_a_fault_releases_what_it_holds(self):
        first = self.fault("hold-before", operation="CreateLogGroup", times=2)
        second = self.fault("hold-before", operation="CreateLogGroup", times=0)
        clients = []
        for held in (1, 2, 3):
            clients.append(self.send())
            self.await_held(held)
        self.server.control(f"faults?id={first}", method="DELETE")
        self.assertEqual([second], [held["fault"] for held in self.await_held()])
        for client in clients[:2]:
            self.assertIn(b"200 OK", client.recv(1000))
        self.server.control("faults", method="DELETE")
        self.assertIn(b"200 OK", clients[2].recv(1000))

    def test_waiting_for_held_calls_has_an_end(self):
        self.assertEqual({"held": []}, self.server.control("held"))
        self.assertEqual({"held": []}, self.server.control("held?wait=0&count=2"))
        self.assertEqual({"released": []}, self.server.control("release", {}))

    def test_the_sandbox_stops_while_calls_are_held(self):
        server = type(self.server)(*self.OPTIONS)
        server.control("faults", {"action": "hold-before"})
        _send(self, "sts", "", {}, port=server.port)
        self.assertEqual(1, len(server.control("held?wait=30")["held"]))
        server.stop()
        self.assertEqual(0, server.process.returncode)


class WhichCallsTest(FaultTest):
    def test_nth_and_times(self):
        self.fault("throttle", operation="CreateLogGroup", nth=3, times=2)
        self.assertEqual([True, True, False, False, True], self.outcomes(5))

    def test_once_unless_told_otherwise(self):
        self.fault("throttle", operation="CreateLogGroup")
        self.assertEqual([False, True], self.outcomes(2))

    def test_for_ever(self):
        fault = self.fault("throttle", operation="Create*", nth=2, times=0)
        self.assertEqual([True, False, False, False], self.outcomes(4))
        listed = self.server.control("faults")["faults"]
        self.assertEqual([(fault, 4, 3)], [(one["id"], one["matched"], one["hits"]) for one in listed])
        self.server.control(f"faults?id={fault}", method="DELETE")
        self.assertEqual([True], self.outcomes(1))

    def test_service_operation_and_kind_narrow_a_fault(self):
        self.fault("throttle", service="ec2", times=0)
        self.fault("throttle", operation="Delete*", times=0)
        self.fault("throttle", service="logs", writes=False, times=0)
        self.assertEqual([True], self.outcomes(1))
        self.assert_refused("ThrottlingException", self.client("logs").describe_log_groups)
        self.assert_refused("ThrottlingException", self.client("logs").delete_log_group, logGroupName="/x")
        self.assert_refused("RequestLimitExceeded", self.client("ec2").describe_vpcs)
        self.client("sts").get_caller_identity()

    def test_a_call_that_one_fault_has_hit_is_not_counted_by_the_next(self):
        self.fault("throttle", operation="CreateLogGroup", nth=1)
        self.fault("drop-before", operation="CreateLogGroup", nth=2)
        self.assertEqual([False, True, False, True], self.outcomes(4))
        self.assertEqual([400, 200, None, 200], [call["status"] for call in self.log()])

    def test_probability_is_reproducible(self):
        numbers = random.Random(7)
        expected = [numbers.random() >= 0.4 for _ in range(12)]
        self.assertIn(True, expected)
        self.assertIn(False, expected)
        for _ in range(2):
            self.fault("throttle", operation="CreateLogGroup", probability=0.4, seed=7)
            self.assertEqual(expected, self.outcomes(12))
            self.server.control("faults", method="DELETE")

    def test_probability_with_an_end(self):
        self.fault("throttle", operation="CreateLogGroup", probability=1, times=2)
        self.assertEqual([False, False, True], self.outcomes(3))

    def test_counts_hold_over_concurrent_calls(self):
        counted = self.fault("throttle", operation="CreateLogGroup", nth=4, times=3)
        drawn = self.fault("error-before", operation="CreateLogGroup", probability=0.25, seed=11)
        logs = self.client("logs")
        errors = []

        def create(number: int) -> None:
            try:
                logs.create_log_group(logGroupName=f"/{self.id()}/{number}")
            except ClientError as error:
                errors.append(error.response["Error"]["Code"])

        threads = [threading.Thread(target=create, args=(number,)) for number in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        numbers = random.Random(11)
        failed = sum(numbers.random() < 0.25 for _ in range(21))
        self.assertEqual(3, errors.count("ThrottlingException"))
        self.assertEqual(failed, errors.count("InternalFailure"))
        self.assertEqual(24 - 3 - failed, len(self.created()))
        listed = {one["id"]: (one["matched"], one["hits"]) for one in self.server.control("faults")["faults"]}
        self.assertEqual({counted: (24, 3), drawn: (21, failed)}, listed)
        hit = [call["fault"] for call in self.log() if call["operation"] == "CreateLogGroup"]
        self.assertEqual((3, failed), (hit.count(counted), hit.count(drawn)))

    def test_bad_descriptions_say_what_is_allowed(self):
        cases = [
            ({}, "throttle, error-before"),
            ({"action": "explode"}, "throttle, error-before"),
            ({"action": "throttle", "region": "x"}, "operation"),
            ({"action": "throttle", "nth": 0}, "1 or more"),
            ({"action": "throttle", "nth": True}, "whole number"),
            ({"action": "throttle", "times": -1}, "0 or more"),
            ({"action": "throttle", "probability": 1.5}, "from 0 to 1"),
            ({"action": "throttle", "probability": 0.5, "nth": 2}, "either"),
            ({"action": "throttle", "seed": 2}, "probability"),
            ({"action": "throttle", "writes": "yes"}, "true or false"),
            ({"action": "throttle", "operation": 7}, "text"),
            ({"action": "throttle", "service": "elbv2"}, "elasticloadbalancing"),
            ({"action": "throttle", "service": "ecz"}, "no service"),
            ({"action": "throttle", "service": "ec2", "operation": "CreateVPC"}, "no operation"),
            ({"action": "throttle", "service": "ec2", "operation": "Make*"}, "no operation"),
            ({"action": "delay"}, "seconds"),
            ({"action": "throttle", "seconds": 1}, "seconds"),
            ({"action": "delay", "seconds": 601}, "600"),
        ]
        for description, hint in cases:
            with self.subTest(description):
                self.assert_bad(400, hint, "faults", description)
        self.assertEqual([], self.server.control("faults")["faults"])
        self.assert_bad(404, "no fault 99", "faults?id=99", method="DELETE")
        self.assert_bad(400, "whole number", "faults?id=first", method="DELETE")
        self.assert_bad(400, "id, drop", "release", {"fault": 1})

    def assert_bad(self, status: int, hint: str, resource: str, content=None, method=None) -> None:
        """Asserts that the control endpoint refuses with this status and an error that contains the hint."""
        with self.assertRaises(HTTPError) as caught:
            self.server.control(resource, content, method)
        with caught.exception as error:
            self.assertEqual(status, error.code)
            self.assertIn(hint, json.load(error)["error"])


class ProcessTest(unittest.TestCase):
    def test_dropped_connections_leave_no_trace_on_stderr(self):
        process = subprocess.Popen(
            [sys.executable, "-m", "orderctl_sandbox", "--control"],
            env={"PYTHONPATH": str(PACKAGE_PARENT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            port = json.loads(process.stdout.readline())["port"]
            for action in ("drop-before", "drop-after"):
                connection = http.client.HTTPConnection("127.0.0.1", port)
                connection.request("POST", "/orderctl/sandbox/control/faults", json.dumps({"action": action}))
                self.assertEqual(200, connection.getresponse().status)
                connection.close()
                client = _send(self, "ecs", "AmazonEC2ContainerServiceV20141113.ListClusters", {}, port=port)
                self.assertEqual(b"", client.recv(1000))
        finally:
            process.terminate()
            _, errors = process.communicate()
        self.assertEqual("", errors)


def _authorization(service: str) -> str:
    return f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, Signature=0"


def _send(test: unittest.TestCase, service: str, target: str, content: dict, port: int | None = None) -> socket.socket:
    """Sends a JSON call on a connection of its own, which it returns without waiting for an answer."""
    body = json.dumps(content).encode()
    client = socket.create_connection(("127.0.0.1", port or test.server.port), timeout=60)
    test.addCleanup(client.close)
    head = (
        f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: {target}\r\n"
        f"Authorization: {_authorization(service)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    client.sendall(head.encode() + body)
    return client


if __name__ == "__main__":
    unittest.main()
