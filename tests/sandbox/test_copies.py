"""Copies of the process: the same account a second time, with a life of its own."""

import json
import threading
import time
import unittest
from urllib.error import URLError
from urllib.request import Request, urlopen

import boto3
from botocore.config import Config
from support import REGION, SandboxTest, Server


def control(endpoint: str, resource: str, content: dict | None = None):
    """Calls the control endpoint of any process: GET without content, else POST."""
    data = None if content is None else json.dumps(content).encode()
    with urlopen(Request(f"{endpoint}/orderctl/sandbox/control/{resource}", data=data)) as response:
        return json.load(response)


def ec2(endpoint: str):
    return boto3.client(
        "ec2",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def networks(client) -> set[str]:
    return {it["CidrBlock"] for it in client.describe_vpcs()["Vpcs"]}


class CopiesTest(SandboxTest):
    OPTIONS = ("--speed", "0", "--control")

    def copy(self, of: str | None = None) -> str:
        return control(of or self.server.endpoint, "copies", {})["endpoint"]

    def test_a_copy_has_everything_and_shares_nothing(self):
        original = self.client("ec2")
        before = original.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        copy = ec2(self.copy())
        self.assertIn("10.1.0.0/16", networks(copy))
        original.create_vpc(CidrBlock="10.2.0.0/16")
        copy.create_vpc(CidrBlock="10.3.0.0/16")
        copy.delete_vpc(VpcId=before)
        self.assertLessEqual({"10.1.0.0/16", "10.2.0.0/16"}, networks(original))
        self.assertNotIn("10.3.0.0/16", networks(original))
        self.assertFalse({"10.1.0.0/16", "10.2.0.0/16"} & networks(copy))

    def test_a_copy_can_be_copied(self):
        first = self.copy()
        ec2(first).create_vpc(CidrBlock="10.4.0.0/16")
        self.assertIn("10.4.0.0/16", networks(ec2(self.copy(of=first))))
        self.assertNotIn("10.4.0.0/16", networks(self.client("ec2")))

    def test_faults_latency_and_log_stay_with_the_original(self):
        self.server.control("faults", {"action": "throttle", "times": 0})
        self.addCleanup(self.server.control, "faults", None, "DELETE")
        self.server.control("latency", {"milliseconds": 50})
        self.addCleanup(self.server.control, "latency", {"milliseconds": 0})
        copy = self.copy()
        self.assertEqual([], control(copy, "calls")["calls"])
        self.assertEqual([], control(copy, "faults")["faults"])
        self.assertEqual(0, control(copy, "latency")["milliseconds"])
        ec2(copy).describe_vpcs()
        self.assertEqual(["DescribeVpcs"], [it["operation"] for it in control(copy, "calls")["calls"]])

    def test_a_call_that_is_held_stays_with_the_original(self):
        self.server.control("faults", {"action": "hold-before", "operation": "CreateVpc"})
        self.addCleanup(self.server.control, "faults", None, "DELETE")
        create = threading.Thread(target=self.client("ec2").create_vpc, kwargs={"CidrBlock": "10.5.0.0/16"})
        create.start()
        self.assertEqual(1, len(self.server.control("held?wait=60")["held"]))
        copy = self.copy()
        self.assertEqual([], control(copy, "held")["held"])
        self.server.control("release", {})
        create.join(60)
        self.assertIn("10.5.0.0/16", networks(self.client("ec2")))
        self.assertNotIn("10.5.0.0/16", networks(ec2(copy)))

    def test_of_held_calls_the_longest_held_can_be_released_alone(self):
        self.server.control("faults", {"action": "hold-before", "times": 0})
        self.addCleanup(self.server.control, "faults", None, "DELETE")
        calls = []
        for count, number in enumerate((6, 7), start=1):
            calls.append(threading.Thread(target=self.client("ec2").create_vpc, kwargs={"CidrBlock": f"10.{number}.0.0/16"}))
            calls[-1].start()
            self.server.control(f"held?wait=60&count={count}")
        copies = []
        for _ in calls:
            copies.append(self.copy())
            self.server.control("release", {"count": 1})
        for call in calls:
            call.join(60)
        self.assertNotIn("10.6.0.0/16", networks(ec2(copies[0])))
        self.assertIn("10.6.0.0/16", networks(ec2(copies[1])))
        self.assertNotIn("10.7.0.0/16", networks(ec2(copies[1])))

    def test_a_copy_does_not_hold_connections_of_its_original_open(self):
        self.server.control("faults", {"action": "hold-after", "operation": "DescribeSubnets"})
        self.addCleanup(self.server.control, "faults", None, "DELETE")
        ended = []

        def ask():
            try:
                self.client("ec2").describe_subnets()
            except Exception as error:  # noqa: BLE001  which one says how the connection ended
                ended.append(type(error).__name__)

        call = threading.Thread(target=ask)
        call.start()
        self.server.control("held?wait=60")
        self.copy()
        self.server.control("release", {"drop": True})
        call.join(60)
        self.assertEqual(["ConnectionClosedError"], ended)


class EndTest(unittest.TestCase):
    def test_copies_end_with_their_original(self):
        server = Server("--speed", "0", "--control")
        copy = control(server.endpoint, "copies", {})["endpoint"]
        of_copy = control(copy, "copies", {})["endpoint"]
        self.assertTrue(control(of_copy, "clock"))
        server.stop()
        deadline = time.monotonic() + 60
        for endpoint in (copy, of_copy):
            # A connection may still be taken in the moment in which the copy ends.
            with self.assertRaises((URLError, ConnectionResetError)):
                while time.monotonic() < deadline:
                    control(endpoint, "clock")


if __name__ == "__main__":
    unittest.main()
