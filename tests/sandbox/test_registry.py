"""ECR's registry: what container tools push, and what the rest of AWS then knows of it."""

import base64
import hashlib
import http.client
import json
import threading
import unittest
from urllib.parse import urlsplit

from support import REGION, SandboxTest

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class RegistryCase(SandboxTest):
    """Speaks to the registry with the token that ECR gives for it."""

    REPOSITORY = "order-api-dev"

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.ecr = cls.client("ecr")
        cls.ecr.create_repository(repositoryName=cls.REPOSITORY)
        cls.given = cls.ecr.get_authorization_token()["authorizationData"][0]

    def send(self, method: str, path: str, body: bytes | None = None, token: str | None = "", **headers: str):
        """Returns status, headers and body; ``token`` is sent instead of the given one, ``None`` none."""
        parts = urlsplit(path)
        connection = http.client.HTTPConnection(urlsplit(self.given["proxyEndpoint"]).netloc)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Basic {token or self.given['authorizationToken']}"
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, dict(answer.headers), content

    def push_blob(self, content: bytes, repository: str = REPOSITORY) -> str:
        digest = digest_of(content)
        status, headers, _ = self.send("POST", f"/v2/{repository}/blobs/uploads/")
        self.assertEqual(202, status)
        status, headers, body = self.send("PUT", f"{headers['Location']}?digest={digest}", content)
        self.assertEqual((201, digest), (status, headers.get("Docker-Content-Digest")), body)
        return digest

    def push_image(self, tag: str, config: bytes = b"{}", layers: tuple[bytes, ...] = (b"layer",)) -> str:
        described = [
            {"mediaType": "x", "size": len(content), "digest": self.push_blob(content)} for content in (config, *layers)
        ]
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": described[0], "layers": described[1:]}
        body = json.dumps(manifest).encode()
        path = f"/v2/{self.REPOSITORY}/manifests/{tag}"
        status, headers, answer = self.send("PUT", path, body, Content_Type=MANIFEST_TYPE)
        self.assertEqual((201, digest_of(body)), (status, headers.get("Docker-Content-Digest")), answer)
        self.assertNotIn("Location", headers, "as on ECR")
        return digest_of(body)

    def assert_answer(self, status: int, code: str, answer) -> None:
        self.assertEqual(status, answer[0], answer)
        self.assertEqual(code, json.loads(answer[2])["errors"][0]["code"])


class RegistryTest(RegistryCase):
    def test_the_token_leads_here_and_nothing_goes_without(self):
        self.assertEqual(self.server.endpoint, self.given["proxyEndpoint"])
        for token in (None, "AAAA", base64.b64encode(b"AWS:guess").decode(), base64.b64encode(b"AWS:123456789012.mars").decode()):
            status, headers, _ = self.send("GET", "/v2/", token=token)
            self.assertEqual(401, status, token)
            self.assertTrue(headers["WWW-Authenticate"].startswith("Basic "))
        self.assertEqual(200, self.send("GET", "/v2/")[0])
        user, password = base64.b64decode(self.given["authorizationToken"]).decode().split(":")
        self.assertEqual(("AWS", True), (user, REGION in password))

    def test_what_is_pushed_can_be_pulled_and_is_an_image_of_ecr(self):
        layers = (b"one" * 500_000, b"two")
        digest = self.push_image("1.0", b'{"architecture": "amd64"}', layers)
        image = self.ecr.describe_images(repositoryName=self.REPOSITORY, imageIds=[{"imageTag": "1.0"}])["imageDetails"][0]
        self.assertEqual((digest, ["1.0"]), (image["imageDigest"], image["imageTags"]))
        self.assertEqual(25 + sum(map(len, layers)), image["imageSizeInBytes"])
        self.assertIn("imagePushedAt", image)
        stored = self.ecr.batch_get_image(repositoryName=self.REPOSITORY, imageIds=[{"imageDigest": digest}])["images"][0]
        for reference in ("1.0", digest):
            status, headers, body = self.send("GET", f"/v2/{self.REPOSITORY}/manifests/{reference}")
            self.assertEqual((200, MANIFEST_TYPE), (status, headers["Content-Type"]))
            self.assertEqual(stored["imageManifest"].encode(), body)
            head = self.send("HEAD", f"/v2/{self.REPOSITORY}/manifests/{reference}")
            self.assertEqual((200, digest, b""), (head[0], head[1]["Docker-Content-Digest"], head[2]))
        for content in layers:
            path = f"/v2/{self.REPOSITORY}/blobs/{digest_of(content)}"
            self.assertEqual(content, self.send("GET", path)[2])
            self.assertEqual((200, str(len(content))), (self.send("HEAD", path)[0], self.send("HEAD", path)[1]["Content-Length"]))

    def test_a_second_push_is_no_error_and_a_tag_moves(self):
        first = self.push_image("moving", layers=(b"first",))
        self.assertEqual(first, self.push_image("moving", layers=(b"first",)))
        second = self.push_image("moving", layers=(b"second",))
        images = self.ecr.describe_images(repositoryName=self.REPOSITORY)["imageDetails"]
        tags = {image["imageDigest"]: image.get("imageTags", []) for image in images}
        self.assertEqual(([], ["moving"]), (tags[first], tags[second]))

    def test_an_immutable_tag_stays(self):
        self.push_image("fixed", layers=(b"fixed",))
        self.ecr.put_image_tag_mutability(repositoryName=self.REPOSITORY, imageTagMutability="IMMUTABLE")
        self.addCleanup(self.ecr.put_image_tag_mutability, repositoryName=self.REPOSITORY, imageTagMutability="MUTABLE")
        self.push_image("fixed", layers=(b"fixed",))
        other = json.dumps({"schemaVersion": 2, "config": {"digest": self.push_blob(b"{}")}, "layers": []}).encode()
        answer = self.send("PUT", f"/v2/{self.REPOSITORY}/manifests/fixed", other, Content_Type=MANIFEST_TYPE)
        self.assert_answer(400, "TAG_INVALID", answer)

    def test_what_is_wrong_is_refused(self):
        absent = "sha256:" + "0" * 64
        self.assert_answer(404, "NAME_UNKNOWN", self.send("POST", "/v2/nobody/blobs/uploads/"))
        self.assertEqual(404, self.send("HEAD", f"/v2/{self.REPOSITORY}/blobs/{absent}")[0])
        self.assert_answer(404, "MANIFEST_UNKNOWN", self.send("GET", f"/v2/{self.REPOSITORY}/manifests/none"))
        location = self.send("POST", f"/v2/{self.REPOSITORY}/blobs/uploads/")[1]["Location"]
        self.assert_answer(400, "DIGEST_INVALID", self.send("PUT", f"{location}?digest={absent}", b"other"))
        self.assert_answer(404, "BLOB_UPLOAD_UNKNOWN", self.send("PUT", f"{location}?digest={absent}", b"other"))
        path = f"/v2/{self.REPOSITORY}/manifests/bad"
        self.assert_answer(400, "MANIFEST_INVALID", self.send("PUT", path, b"{}", Content_Type=MANIFEST_TYPE))
        unknown = json.dumps({"config": {"digest": absent}, "layers": []}).encode()
        self.assert_answer(404, "MANIFEST_BLOB_UNKNOWN", self.send("PUT", path, unknown, Content_Type=MANIFEST_TYPE))

    def test_only_the_first_part_of_a_chunked_upload_counts(self):
        location = self.send("POST", f"/v2/{self.REPOSITORY}/blobs/uploads/")[1]["Location"]
        for content in (b"first ", b"second"):
            self.assertEqual(201, self.send("PATCH", location, content)[0])
        whole = self.send("PUT", f"{location}?digest={digest_of(b'first second')}")
        self.assert_answer(400, "DIGEST_INVALID", whole)

    def test_many_push_at_once(self):
        contents = [bytes([number]) * 300_000 for number in range(8)]
        threads = [threading.Thread(target=self.push_blob, args=(content,)) for content in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for content in contents:
            self.assertEqual(200, self.send("HEAD", f"/v2/{self.REPOSITORY}/blobs/{digest_of(content)}")[0])

    def test_a_deleted_repository_takes_its_blobs_with_it(self):
        for _ in range(2):
            self.ecr.create_repository(repositoryName="short-lived")
            path = f"/v2/short-lived/blobs/{digest_of(b'blob')}"
            self.assertEqual(404, self.send("HEAD", path)[0])
            self.push_blob(b"blob", "short-lived")
            self.assertEqual(200, self.send("HEAD", path)[0])
            self.ecr.delete_repository(repositoryName="short-lived", force=True)


class ControlledRegistryTest(RegistryCase):
    OPTIONS = ("--speed", "0", "--control")

    def test_requests_are_logged_under_the_names_that_policies_have(self):
        self.server.control("calls", method="DELETE")
        self.push_image("logged")
        self.send("HEAD", f"/v2/{self.REPOSITORY}/blobs/{digest_of(b'layer')}")
        calls = self.server.control("calls")["calls"]
        self.assertEqual({"ecr"}, {call["service"] for call in calls})
        names = [(call["operation"], call["wrote"]) for call in calls]
        uploads = [("InitiateLayerUpload", True), ("CompleteLayerUpload", True)] * 2
        self.assertEqual([*uploads, ("PutImage", True), ("BatchCheckLayerAvailability", False)], names)

    def test_faults_answer_as_a_registry_does(self):
        path = f"/v2/{self.REPOSITORY}/blobs/uploads/"
        for action, status, code in (("throttle", 429, "TOOMANYREQUESTS"), ("deny", 403, "DENIED"), ("error-before", 500, "InternalFailure")):
            self.server.control("faults", {"service": "ecr", "operation": "InitiateLayerUpload", "nth": 1, "action": action})
            self.assert_answer(status, code, self.send("POST", path))
        self.assertEqual(202, self.send("POST", path)[0])


if __name__ == "__main__":
    unittest.main()
