"""The process itself: readiness, health, loopback only, errors for what moto lacks."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from support import PACKAGE_PARENT, SandboxTest


class ProcessTest(SandboxTest):
    def test_health_names_the_process(self):
        with urlopen(f"{self.server.endpoint}/orderctl/sandbox") as response:
            health = json.load(response)
        self.assertEqual("orderctl-sandbox", health["name"])
        self.assertEqual("test-layer", health["layer"])
        self.assertEqual(self.server.process.pid, health["pid"])
        self.assertEqual("5.2.5", health["moto"])

    def test_identity_is_the_dummy_account(self):
        self.assertEqual("123456789012", self.client("sts").get_caller_identity()["Account"])

    def test_unimplemented_operations_answer_in_their_protocol(self):
        cases = [
            ("json", self.client("ecs").describe_express_gateway_service, {"serviceArn": "x"}),
            ("query", self.client("rds").describe_db_major_engine_versions, {}),
            ("ec2", self.client("ec2").describe_capacity_blocks, {}),
            ("rest-xml", self.client("route53").list_cidr_collections, {}),
        ]
        for protocol, call, arguments in cases:
            with self.subTest(protocol):
                error = self.assert_refused("NotImplemented", call, **arguments)
                self.assertEqual(400, error.response["ResponseMetadata"]["HTTPStatusCode"])

    def test_operations_that_are_newer_than_the_models_answer_in_their_protocol(self):
        for target, headers in (
            ("", {"X-Amz-Target": "GraniteServiceVersion20100801.Newest"}),
            ("service/GraniteServiceVersion20100801/operation/Newest", {"Smithy-Protocol": "rpc-v2-cbor"}),
        ):
            with self.subTest(target or "json"):
                scope = "Credential=test/20260101/us-east-1/monitoring/aws4_request"
                headers["Authorization"] = f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"
                headers["Content-Type"] = "application/x-amz-json-1.0"
                request = Request(f"{self.server.endpoint}/{target}", b"{}" if not target else b"\xa0", headers)
                with self.assertRaises(HTTPError) as caught:
                    urlopen(request)
                self.assertEqual((400, "NotImplemented"), (caught.exception.code, caught.exception.headers["x-amzn-errortype"]))
                caught.exception.close()

    def test_identical_creates_at_once_make_one(self):
        logs = self.client("logs")
        outcomes = []

        def create():
            try:
                logs.create_log_group(logGroupName="/race")
                outcomes.append("created")
            except logs.exceptions.ResourceAlreadyExistsException:
                outcomes.append("exists")

        threads = [threading.Thread(target=create) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(["created"] + ["exists"] * 7, sorted(outcomes))


class CommandLineTest(unittest.TestCase):
    def run_module(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "orderctl_sandbox", *arguments],
            env=dict(os.environ, PYTHONPATH=str(PACKAGE_PARENT)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_port_file_holds_the_port_once_ready(self):
        with tempfile.TemporaryDirectory() as directory:
            port_file = Path(directory, "port")
            process = self.run_module("--port-file", str(port_file))
            try:
                ready = json.loads(process.stdout.readline())
                self.assertEqual(ready["port"], int(port_file.read_text()))
                with urlopen(f"http://127.0.0.1:{ready['port']}/orderctl/sandbox") as response:
                    self.assertEqual(200, response.status)
            finally:
                process.terminate()
                process.communicate()
            self.assertEqual(0, process.returncode)

    def test_refuses_other_addresses_than_loopback(self):
        process = self.run_module("--host", "0.0.0.0")
        output, errors = process.communicate()
        self.assertEqual((2, ""), (process.returncode, output))
        self.assertIn("loopback", errors)


if __name__ == "__main__":
    unittest.main()
