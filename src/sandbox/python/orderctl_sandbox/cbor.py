"""The ``rpc-v2-cbor`` protocol in front of moto's JSON one.

Gap: moto 5.2.5 does not speak Smithy RPC v2 CBOR, which is all that newer ``aws-sdk-cloudwatch`` crates speak
(``POST /service/<target prefix>/operation/<operation>`` with the header ``Smithy-Protocol: rpc-v2-cbor``).
Restores: every operation of a service whose botocore model lists the protocol, errors with ``__type`` and
``x-amzn-query-error`` included. The request is handed to moto as AWS JSON 1.0 and the answer encoded by the shapes of
botocore's model (timestamps are tag 1, doubles are always floating point).
"""

import base64
import io
import json
import re
import struct
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationNotFoundError, ServiceModel, Shape

_PATH = re.compile(r"^/service/(?P<target>[^/]+)/operation/(?P<operation>[^/]+)$")

#: Target prefix in the path -> botocore's name of the service.
_SERVICES = {
    "GraniteServiceVersion20100801": "cloudwatch",
    "ResourceGroupsTaggingAPI_20170126": "resourcegroupstaggingapi",
}

_BREAK = object()


class MalformedCbor(ValueError):
    """The request body is not a CBOR data item."""


def decode(data: bytes) -> Any:
    """Decodes one data item. A timestamp (tag 1) becomes its plain number, bytes become base64 text, as JSON has them."""
    try:
        return _decode(io.BytesIO(data))
    except (struct.error, IndexError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedCbor(str(error)) from error


def _argument(stream: io.BytesIO, low: int) -> int:
    if low < 24:
        return low
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(low)
    if size is None:
        raise MalformedCbor(f"reserved additional information {low}")
    return int.from_bytes(_take(stream, size), "big")


def _take(stream: io.BytesIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise MalformedCbor("the body ends inside a data item")
    return data


def _items(stream: io.BytesIO, low: int) -> Iterable[Any]:
    if low == 31:
        while (item := _decode(stream)) is not _BREAK:
            yield item
    else:
        for _ in range(_argument(stream, low)):
            yield _decode(stream)


def _decode(stream: io.BytesIO) -> Any:
    head = _take(stream, 1)[0]
    major, low = head >> 5, head & 31
    if major == 0:
        return _argument(stream, low)
    if major == 1:
        return -1 - _argument(stream, low)
    if major == 2:
        if low == 31:
            return base64.b64encode(b"".join(base64.b64decode(part) for part in _items(stream, low))).decode()
        return base64.b64encode(_take(stream, _argument(stream, low))).decode()
    if major == 3:
        if low == 31:
            return "".join(_items(stream, low))
        return _take(stream, _argument(stream, low)).decode()
    if major == 4:
        return list(_items(stream, low))
    if major == 5:
        if low != 31:
            return {_decode(stream): _decode(stream) for _ in range(_argument(stream, low))}
        pairs = {}
        while (key := _decode(stream)) is not _BREAK:
            pairs[key] = _decode(stream)
        return pairs
    if major == 6:
        _argument(stream, low)
        return _decode(stream)
    return _decode_simple(stream, low)


def _decode_simple(stream: io.BytesIO, low: int) -> Any:
    if low in (20, 21):
        return low == 21
    if low in (22, 23):
        return None
    if low == 25:
        return struct.unpack(">e", _take(stream, 2))[0]
    if low == 26:
        return struct.unpack(">f", _take(stream, 4))[0]
    if low == 27:
        return struct.unpack(">d", _take(stream, 8))[0]
    if low == 31:
        return _BREAK
    raise MalformedCbor(f"unknown simple value {low}")


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for low, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * size):
            return bytes([major << 5 | low]) + argument.to_bytes(size, "big")
    raise OverflowError(f"{argument} does not fit into 64 bits")


def encode(value: Any, shape: Shape | None = None) -> bytes:
    """Encodes a JSON value as the botocore shape says, or by its Python type where there is no shape."""
    kind = shape.type_name if shape is not None else None
    if value is None:
        return b"\xf6"
    if kind == "timestamp":
        return b"\xc1\xfb" + struct.pack(">d", float(value))
    if kind == "blob":
        data = base64.b64decode(value)
        return _head(2, len(data)) + data
    if kind in ("double", "float"):
        return b"\xfb" + struct.pack(">d", float(value))
    if kind in ("integer", "long"):
        value = int(value)
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return _head(3, len(data)) + data
    if isinstance(value, list):
        member = shape.member if kind == "list" else None
        return _head(4, len(value)) + b"".join(encode(item, member) for item in value)
    pairs = [(key, item) for key, item in value.items() if item is not None]
    return _head(5, len(pairs)) + b"".join(encode(key) + encode(item, _member(shape, key)) for key, item in pairs)


def _member(shape: Shape | None, key: str) -> Shape | None:
    if shape is None:
        return None
    if shape.type_name == "structure":
        return shape.members.get(key)
    return shape.value if shape.type_name == "map" else None


@cache
def _model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def _output_shape(service: str, operation: str) -> Shape | None:
    try:
        return _model(service).operation_model(operation).output_shape
    except OperationNotFoundError:
        return None


class CborProtocol:
    """Answers CBOR requests by way of the wrapped application's JSON protocol and passes all others on."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = _PATH.match(environ.get("PATH_INFO", ""))
        service = _SERVICES.get(path["target"]) if path else None
        if path is None or service is None or environ.get("HTTP_SMITHY_PROTOCOL") != "rpc-v2-cbor":
            return self.application(environ, start_response)

        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        try:
            arguments = decode(body) if body else {}
        except MalformedCbor as error:
            return _answer(start_response, "400 Bad Request", [], {"__type": "SerializationException", "message": str(error)})
        started: list[Any] = []

        def remember(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Callable[[bytes], Any]:
            started[:] = [status, headers]
            return lambda _: None

        answer = b"".join(self.application(_as_json(environ, path["target"], path["operation"], arguments), remember))
        status, headers = started
        kept = [(name, value) for name, value in headers if name.lower().startswith("x-amz")]
        content = json.loads(answer) if answer.strip() else {}
        shape = _output_shape(service, path["operation"]) if status.startswith("2") else None
        return _answer(start_response, status, kept, content, shape)


def _as_json(environ: dict[str, Any], target: str, operation: str, arguments: Any) -> dict[str, Any]:
    body = json.dumps(arguments).encode()
    request = dict(environ)
    request.pop("HTTP_SMITHY_PROTOCOL", None)
    request.update(
        {
            "PATH_INFO": "/",
            "RAW_URI": "/",
            "REQUEST_URI": "/",
            "CONTENT_TYPE": "application/x-amz-json-1.0",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_X_AMZ_TARGET": f"{target}.{operation}",
            "wsgi.input": io.BytesIO(body),
        }
    )
    return request


def _answer(
    start_response: Callable[..., Any],
    status: str,
    headers: list[tuple[str, str]],
    content: Any,
    shape: Shape | None = None,
) -> list[bytes]:
    body = encode(content, shape)
    start_response(
        status,
        [
            *headers,
            ("Content-Type", "application/cbor"),
            ("Smithy-Protocol", "rpc-v2-cbor"),
            ("Content-Length", str(len(body))),
        ],
    )
    return [body]
