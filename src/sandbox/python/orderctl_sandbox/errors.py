"""Turns what moto cannot answer into AWS errors of the caller's own protocol.

moto 5.2.5 raises ``NotImplementedError`` for an operation it lacks, or ``OperationNotFoundError`` for one so new that
botocore's model lacks it, and the server makes an HTML page with status 500 of it: an SDK then finds no error code and
retries. AWS answers in the protocol's own shape.
"""

import json
import sys
import traceback
import uuid
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

from botocore.model import OperationNotFoundError

from . import registry

Headers = list[tuple[str, str]]


def signed_service(environ: dict[str, Any]) -> str:
    """The service of the SigV4 credential scope (``ec2``, ``monitoring``, …), or an empty string."""
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    return scope[3] if len(scope) > 4 else ""


def protocol_of(environ: dict[str, Any]) -> str:
    """One of ``json``, ``ec2``, ``query``, ``s3``, ``rest-xml`` and ``registry``, from what the request looks like."""
    if registry.is_request(environ):
        return "registry"
    service = signed_service(environ)
    content_type = environ.get("CONTENT_TYPE", "")
    # An object may well be JSON; the answer is none.
    if service == "s3":
        return "s3"
    if environ.get("HTTP_X_AMZ_TARGET") or "json" in content_type:
        return "json"
    if service == "ec2":
        return "ec2"
    if not service:
        return "s3"
    if content_type.startswith("application/x-www-form-urlencoded"):
        return "query"
    return "rest-xml"


def render_error(environ: dict[str, Any], status: int, code: str, message: str) -> tuple[str, Headers, bytes]:
    """Returns status line, headers and body of one error in the request's protocol."""
    request_id = str(uuid.uuid4())
    protocol = protocol_of(environ)
    if protocol == "registry":
        return registry.render_error(environ, status, code, message)
    if protocol == "json":
        body = json.dumps({"__type": code, "message": message})
        content_type = environ.get("CONTENT_TYPE") or "application/x-amz-json-1.1"
        headers = [("Content-Type", content_type), ("x-amzn-errortype", code)]
    else:
        detail = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        if protocol == "ec2":
            body = f"<Response><Errors><Error>{detail}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        elif protocol == "s3":
            body = f"<Error>{detail}<RequestId>{request_id}</RequestId></Error>"
        else:
            fault = "Receiver" if status >= 500 else "Sender"
            body = (
                f"<ErrorResponse><Error><Type>{fault}</Type>{detail}</Error>"
                f"<RequestId>{request_id}</RequestId></ErrorResponse>"
            )
        headers = [("Content-Type", "text/xml")]
    encoded = body.encode()
    headers += [("Content-Length", str(len(encoded))), ("x-amzn-requestid", request_id)]
    return f"{status} {HTTPStatus(status).phrase}", headers, encoded


class AwsErrors:
    """Answers AWS-shaped errors where the wrapped application raises or answers an HTML page."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        started: list[Any] = []

        def remember(status: str, headers: Headers, _exc_info: Any = None) -> Callable[[bytes], Any]:
            started[:] = [status, headers]
            return lambda _: None

        try:
            body = b"".join(self.application(environ, remember))
            status, headers = started
        except (NotImplementedError, OperationNotFoundError) as error:
            status, headers, body = render_error(
                environ, 400, "NotImplemented", f"The local sandbox does not implement this: {error}"
            )
        except Exception as error:  # noqa: BLE001  whatever it is, the caller must get an AWS error
            traceback.print_exc(file=sys.stderr)
            status, headers, body = render_error(
                environ, 500, "InternalFailure", f"The local sandbox failed: {type(error).__name__}: {error}"
            )
        else:
            if _is_html_error(environ, status, headers):
                code = "NotImplemented" if status[:3] in ("404", "405", "501") else "InternalFailure"
                number = 400 if code == "NotImplemented" else 500
                status, headers, body = render_error(
                    environ, number, code, f"The local sandbox has no such operation ({status})."
                )
        start_response(status, headers)
        return [body]


def _is_html_error(environ: dict[str, Any], status: str, headers: Headers) -> bool:
    if status[:1] not in "45" or environ.get("PATH_INFO", "").startswith("/moto-api"):
        return False
    content_type = next((value for name, value in headers if name.lower() == "content-type"), "")
    # S3 answers some of its own errors (404 on HEAD and the like) without a body, under Flask's default type.
    return content_type.startswith("text/html") and signed_service(environ) not in ("", "s3")
