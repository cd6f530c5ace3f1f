"""ECR's other half: the registry that container tools push to and pull from, ``/v2/…`` (OCI distribution).

Blobs are kept in unnamed temporary files beside the repository they were pushed to; manifests become moto's images, so
that DescribeImages and tasks know them. It keeps ECR's habits where they differ from the specification: PATCH answers
201, only the first PATCH of an upload counts (aws/containers-roadmap#2831), and PUT of a manifest names no Location.

The password that GetAuthorizationToken gives names account and region, which ECR's own host name would.
"""

import hashlib
import json
import os
import re
import tempfile
import threading
import uuid
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote
from weakref import WeakKeyDictionary

from moto.ecr.exceptions import ImageAlreadyExistsException, RepositoryNotFoundException
from moto.ecr.models import ECRBackend, Image, Repository, ecr_backends

from . import consistency
from .clock import CLOCK
from .patches.ecr import ImageTagAlreadyExists

Headers = list[tuple[str, str]]
Answer = tuple[int, Headers, Iterable[bytes]]

_NAME = r"(?P<name>[a-z0-9]+(?:[._/-][a-z0-9]+)*)"
_BLOB = re.compile(rf"/v2/{_NAME}/blobs/(?P<digest>sha256:[0-9a-f]{{64}})")
_UPLOADS = re.compile(rf"/v2/{_NAME}/blobs/uploads/?")
_UPLOAD = re.compile(rf"/v2/{_NAME}/blobs/uploads/(?P<upload>[0-9a-f-]{{36}})")
_MANIFEST = re.compile(rf"/v2/{_NAME}/manifests/(?P<reference>[A-Za-z0-9_][A-Za-z0-9._:-]*)")
_PASSWORD = re.compile(r"(?P<account>\d{12})\.(?P<region>[a-z0-9-]+)")
#: How much of a blob is in memory at once.
_CHUNK = 1 << 20

#: What CloudTrail and policies call a request: by pattern and method.
_OPERATIONS = (
    (_UPLOADS, {"POST": "InitiateLayerUpload"}),
    (_UPLOAD, {"PATCH": "UploadLayerPart", "PUT": "CompleteLayerUpload"}),
    (_BLOB, {"HEAD": "BatchCheckLayerAvailability", "GET": "GetDownloadUrlForLayer"}),
    (_MANIFEST, {"HEAD": "BatchGetImage", "GET": "BatchGetImage", "PUT": "PutImage"}),
)


class Refusal(Exception):
    """A refusal with status and code as the specification has them."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass
class _Upload:
    file: BinaryIO
    size: int = 0
    parts: int = 0


@dataclass
class _Shelf:
    """What was pushed to one repository: finished blobs by digest, with their size, and uploads on their way."""

    blobs: dict[str, tuple[BinaryIO, int]] = field(default_factory=dict)
    uploads: dict[str, _Upload] = field(default_factory=dict)


def is_request(environ: dict[str, Any]) -> bool:
    """Whether this is for the registry.

    Other services have paths that begin alike, but their requests are signed; so may applications behind load balancers.
    """
    path = environ.get("PATH_INFO", "")
    if environ.get("HTTP_HOST", "").partition(":")[0].endswith(".elb.amazonaws.com"):
        return False
    is_signed = "Credential=" in environ.get("HTTP_AUTHORIZATION", "") or environ.get("HTTP_X_AMZ_TARGET")
    return (path == "/v2" or path.startswith("/v2/")) and not is_signed


def is_body(environ: dict[str, Any]) -> bool:
    """Whether the request carries a part of a blob, which may be too large for the memory."""
    return is_request(environ) and _UPLOAD.fullmatch(environ["PATH_INFO"]) is not None


def operation(environ: dict[str, Any]) -> str:
    """The operation that CloudTrail logs for a request to the registry."""
    path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
    names = (methods.get(method) for pattern, methods in _OPERATIONS if pattern.fullmatch(path))
    return next(filter(None, names), f"{method} {unquote(path)}")


def render_error(environ: dict[str, Any], status: int, code: str, message: str) -> tuple[str, Headers, bytes]:
    """Returns status line, headers and body of one error."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    headers = [("Content-Type", "application/json; charset=utf-8"), ("Content-Length", str(len(body)))]
    if status == 401:
        realm = f"http://{environ.get('HTTP_HOST', '127.0.0.1')}/"
        headers.append(("WWW-Authenticate", f'Basic realm="{realm}",service="ecr.amazonaws.com"'))
    return f"{status} {HTTPStatus(status).phrase}", headers, body


class RegistryPaths:
    """Answers the registry's paths and passes everything else on. ``lock`` is the one under which moto works."""

    def __init__(self, application: Callable[..., Iterable[bytes]], lock: Any) -> None:
        self.application = application
        self.lock = lock
        # A repository that is deleted takes its blobs with it.
        self.shelves: WeakKeyDictionary[Repository, _Shelf] = WeakKeyDictionary()
        self.shelves_lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not is_request(environ):
            return self.application(environ, start_response)
        try:
            status, headers, body = self._answer(environ)
        except Refusal as refusal:
            line, headers, content = render_error(environ, refusal.status, refusal.code, str(refusal))
            status, body = refusal.status, [content]
        headers = [("Docker-Distribution-Api-Version", "registry/2.0"), *headers]
        if environ["REQUEST_METHOD"] == "HEAD":
            body = []
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return body

    def _answer(self, environ: dict[str, Any]) -> Answer:
        backend = _backend(environ)
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path in ("/v2", "/v2/"):
            return 200, [("Content-Length", "0")], []
        routes: tuple[tuple[re.Pattern[str], dict[str, Callable[..., Answer]]], ...] = (
            (_UPLOADS, {"POST": self._begin}),
            (_UPLOAD, {"PATCH": self._part, "PUT": self._complete}),
            (_BLOB, {"HEAD": self._blob, "GET": self._blob}),
            (_MANIFEST, {"HEAD": self._manifest, "GET": self._manifest, "PUT": self._put_manifest}),
        )
        for pattern, methods in routes:
            found = pattern.fullmatch(path)
            if found and method in methods:
                with self._turn():
                    repository = _repository(backend, found["name"])
                with self.shelves_lock:
                    shelf = self.shelves.setdefault(repository, _Shelf())
                values = {name: value for name, value in found.groupdict().items() if name != "name"}
                return methods[method](environ, backend, repository, shelf, **values)
        raise Refusal(404, "UNSUPPORTED", "The operation is unsupported.")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Holds moto's lock, after what has become due by then."""
        with self.lock:
            consistency.begin_request()
            with consistency.from_inside():
                CLOCK.run_due()
            yield

    def _begin(self, environ, _backend, repository: Repository, shelf: _Shelf) -> Answer:
        name = str(uuid.uuid4())
        shelf.uploads[name] = _Upload(tempfile.TemporaryFile())
        return 202, _location(environ, repository, name, 0), []

    def _part(self, environ, _backend, repository: Repository, shelf: _Shelf, upload: str) -> Answer:
        one = _upload(shelf, upload)
        # As ECR does: what comes after the first part is taken and dropped.
        _receive(environ, one if one.parts == 0 else _Upload(tempfile.TemporaryFile()))
        one.parts += 1
        return 201, _location(environ, repository, upload, one.size), []

    def _complete(self, environ, _backend, repository: Repository, shelf: _Shelf, upload: str) -> Answer:
        one = _upload(shelf, upload)
        if one.parts == 0:
            _receive(environ, one)
        wanted = parse_qs(environ.get("QUERY_STRING", "")).get("digest", [""])[0]
        del shelf.uploads[upload]
        if _digest_of(one) != wanted:
            raise Refusal(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        shelf.blobs[wanted] = (one.file, one.size)
        location = f"http://{environ['HTTP_HOST']}/v2/{repository.name}/blobs/{wanted}"
        return 201, [("Location", location), ("Docker-Content-Digest", wanted), ("Content-Length", "0")], []

    def _blob(self, _environ, _backend, _repository, shelf: _Shelf, digest: str) -> Answer:
        if digest not in shelf.blobs:
            raise Refusal(404, "BLOB_UNKNOWN", "blob unknown to registry")
        file, size = shelf.blobs[digest]
        headers = [("Content-Type", "application/octet-stream"), ("Docker-Content-Digest", digest)]
        return 200, [*headers, ("Content-Length", str(size))], _read(file, size)

    def _manifest(self, _environ, _backend, repository: Repository, _shelf, reference: str) -> Answer:
        with self._turn():
            image = _image(repository, reference)
        body = image.image_manifest.encode()
        headers = [
            ("Content-Type", image.image_manifest_media_type),
            ("Docker-Content-Digest", image.get_image_digest()),
            ("Content-Length", str(len(body))),
        ]
        return 200, headers, [body]

    def _put_manifest(self, environ, backend: ECRBackend, repository: Repository, shelf: _Shelf, reference: str) -> Answer:
        one = _Upload(tempfile.TemporaryFile())
        _receive(environ, one)
        try:
            text = b"".join(_read(one.file, one.size)).decode()
            manifest = json.loads(text)
            is_index = "manifests" in manifest
            wanted = [] if is_index else [part["digest"] for part in (manifest["config"], *manifest["layers"])]
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal(400, "MANIFEST_INVALID", f"manifest invalid: {error}") from error
        absent = [digest for digest in wanted if digest not in shelf.blobs]
        if absent:
            raise Refusal(404, "MANIFEST_BLOB_UNKNOWN", f"layers with digests {absent} do not exist")
        digest = _digest_of(one)
        is_digest = ":" in reference
        if is_digest and reference != digest:
            raise Refusal(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        with self._turn():
            try:
                tag = None if is_digest else reference
                backend.put_image(repository.name, text, tag, environ.get("CONTENT_TYPE") or None)
            except ImageAlreadyExistsException:
                # The same image under the same tag: nothing to do.
                pass
            except ImageTagAlreadyExists as error:
                raise Refusal(400, "TAG_INVALID", str(error.message)) from error
        return 201, [("Docker-Content-Digest", digest), ("Content-Length", "0")], []


def _backend(environ: dict[str, Any]) -> ECRBackend:
    kind, _, encoded = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    try:
        user, _, password = b64decode(encoded, validate=True).decode().partition(":") if kind == "Basic" else ("", "", "")
    except ValueError:
        user, password = "", ""
    place = _PASSWORD.fullmatch(password)
    if user != "AWS" or place is None:
        raise Refusal(401, "UNAUTHORIZED", "Not Authorized")
    try:
        return ecr_backends[place["account"]][place["region"]]
    except KeyError:
        raise Refusal(401, "UNAUTHORIZED", "Not Authorized") from None


def _repository(backend: ECRBackend, name: str) -> Repository:
    try:
        return backend._get_repository(name)
    except RepositoryNotFoundException as error:
        raise Refusal(404, "NAME_UNKNOWN", str(error.message)) from error


def _image(repository: Repository, reference: str) -> Image:
    for image in repository.images:
        if reference == image.get_image_digest() or reference in image.image_tags:
            return image
    raise Refusal(404, "MANIFEST_UNKNOWN", "Requested image not found")


def _upload(shelf: _Shelf, name: str) -> _Upload:
    if name not in shelf.uploads:
        raise Refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    return shelf.uploads[name]


def _location(environ: dict[str, Any], repository: Repository, upload: str, size: int) -> Headers:
    url = f"http://{environ['HTTP_HOST']}/v2/{repository.name}/blobs/uploads/{upload}"
    last = max(size - 1, 0)
    return [("Location", url), ("Docker-Upload-UUID", upload), ("Range", f"0-{last}"), ("Content-Length", "0")]


def _receive(environ: dict[str, Any], upload: _Upload) -> None:
    source = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH") or ""
    left = int(length) if length.isdigit() else None
    if left is None and not environ.get("wsgi.input_terminated"):
        return
    while left is None or left > 0:
        chunk = source.read(_CHUNK if left is None else min(_CHUNK, left))
        if not chunk:
            break
        upload.file.write(chunk)
        upload.size += len(chunk)
        left = None if left is None else left - len(chunk)
    if left:
        raise Refusal(400, "SIZE_INVALID", "the request ended before its content did")
    upload.file.flush()


def _read(file: BinaryIO, size: int) -> Iterator[bytes]:
    # Not by the file's own position: several requests, and copies of the process, read at once.
    for offset in range(0, size, _CHUNK):
        yield os.pread(file.fileno(), _CHUNK, offset)


def _digest_of(upload: _Upload) -> str:
    digest = hashlib.sha256()
    for chunk in _read(upload.file, upload.size):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"
