"""Starts one sandbox process for a test module and hands out boto3 clients for it."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from urllib.request import Request, urlopen

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

PACKAGE_PARENT = Path(__file__).resolve().parents[2] / "src" / "sandbox" / "python"
REGION = "us-east-1"
ACCOUNT = "123456789012"


class Server:
    """A sandbox process on a free port, and only its own."""

    def __init__(self, *options: str) -> None:
        environment = dict(os.environ, PYTHONPATH=str(PACKAGE_PARENT))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orderctl_sandbox", "--port", "0", "--layer", "test-layer", *options],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the sandbox did not start; its reason is on stderr")
        self.port = json.loads(line)["port"]
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def control(self, resource: str, content: dict | None = None, method: str | None = None):
        """Calls the control endpoint: GET without content, else POST."""
        request = Request(
            f"{self.endpoint}/orderctl/sandbox/control/{resource}",
            data=None if content is None else json.dumps(content).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urlopen(request) as response:
            return json.load(response)


class SandboxTest(unittest.TestCase):
    """A test case with a fresh sandbox per class, in which nothing takes time unless ``OPTIONS`` say so."""

    OPTIONS: tuple[str, ...] = ("--speed", "0")

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server(*cls.OPTIONS)
        cls.addClassCleanup(cls.server.stop)

    @classmethod
    def client(cls, service: str):
        """A boto3 client that talks to this class's sandbox and never retries."""
        return boto3.client(
            service,
            endpoint_url=cls.server.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def assert_refused(self, code: str, call, **arguments) -> ClientError:
        """Asserts that the call is refused with this wire code and returns the error."""
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        self.assertEqual(code, caught.exception.response["Error"]["Code"])
        return caught.exception

    def assert_echoes(self, given, answered, path="") -> None:
        """Asserts that every field of ``given`` is answered with the same value, ignoring further fields."""
        if isinstance(given, dict):
            self.assertIsInstance(answered, dict, path)
            for key, value in given.items():
                self.assertIn(key, answered, f"{path}.{key} is not answered")
                self.assert_echoes(value, answered[key], f"{path}.{key}")
        elif isinstance(given, list):
            self.assertEqual(len(given), len(answered), f"{path}: {answered}")
            for index, (left, right) in enumerate(zip(given, answered)):
                self.assert_echoes(left, right, f"{path}[{index}]")
        else:
            self.assertEqual(given, answered, path)


class FrozenTest(SandboxTest):
    """A test case whose sandbox's time stands still until the test lets it pass, so that no test depends on speed."""

    OPTIONS = ("--control",)

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.server.control("clock", {"freeze": True})

    def advance(self, seconds: float) -> None:
        """Lets so many sandbox seconds pass, with all that happens in them."""
        self.server.control("clock", {"advance": seconds})


def trust_of(service: str) -> str:
    """A trust policy that lets an AWS service, as in ``ecs-tasks``, assume a role."""
    principal = {"Service": f"{service}.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def make_network(ec2) -> dict:
    """Creates a VPC with three subnets in three zones and one security group; returns their ids."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"]["SubnetId"]
        for index, zone in enumerate("abc")
    ]
    group = ec2.create_security_group(GroupName="tasks", Description="tasks", VpcId=vpc)["GroupId"]
    return {"vpc": vpc, "subnets": subnets, "group": group}
