"""The answers that faults give, in the code, status and wording that each protocol of AWS has for them."""

from typing import Any
from urllib.parse import unquote_plus

from .. import ACCOUNT_ID
from ..errors import Headers, protocol_of, render_error
from .calls import Call

#: Status line, headers, body.
Answer = tuple[str, Headers, bytes]

_THROTTLED = {
    "json": (400, "ThrottlingException", "Rate exceeded"),
    "ec2": (503, "RequestLimitExceeded", "Request limit exceeded."),
    "s3": (503, "SlowDown", "Please reduce your request rate."),
    "registry": (429, "TOOMANYREQUESTS", "Rate exceeded"),
}
_THROTTLED_OTHERWISE = (400, "Throttling", "Rate exceeded")

_DENIED = {"json": (400, "AccessDeniedException"), "ec2": (403, "UnauthorizedOperation"), "registry": (403, "DENIED")}
_DENIED_OTHERWISE = (403, "AccessDenied")
#: A code that only this service has.
_DENIED_BY_SNS = (403, "AuthorizationError")

#: What policies call a service, where it is not its signing name.
_POLICY_NAMES = {"monitoring": "cloudwatch", "sns": "SNS", "tagging": "tag"}


def throttled(environ: dict[str, Any], _call: Call) -> Answer:
    """AWS has had too many calls."""
    return _answer(environ, *_THROTTLED.get(protocol_of(environ), _THROTTLED_OTHERWISE))


def failed(environ: dict[str, Any], _call: Call) -> Answer:
    """Something is wrong with AWS."""
    code = "InternalError" if protocol_of(environ) in ("ec2", "s3") else "InternalFailure"
    return _answer(environ, 500, code, "An internal error has occurred.")


def denied(environ: dict[str, Any], call: Call) -> Answer:
    """The caller lacks the permission."""
    protocol = protocol_of(environ)
    status, code = _DENIED_BY_SNS if call.service == "sns" else _DENIED.get(protocol, _DENIED_OTHERWISE)
    action = f"{_POLICY_NAMES.get(call.service, call.service)}:{call.operation}"
    message = (
        f"User: arn:aws:sts::{ACCOUNT_ID}:user/moto is not authorized to perform: {action} on resource: * "
        f"because no identity-based policy allows the {action} action"
    )
    if protocol == "ec2":
        message = f"You are not authorized to perform this operation. {message}"
    return _answer(environ, status, code, message)


def quoted(environ: dict[str, Any], _call: Call) -> Answer:
    """The request is wrong, and the message repeats all of it."""
    body = environ["wsgi.input"].read()
    environ["wsgi.input"].seek(0)
    code = "ValidationException" if protocol_of(environ) == "json" else "InvalidParameterValue"
    message = f"This is not valid: {unquote_plus(body.decode(errors='replace'))}"
    return _answer(environ, 400, code, message)


def _answer(environ: dict[str, Any], status: int, code: str, message: str) -> Answer:
    status_line, headers, body = render_error(environ, status, code, message)
    if environ["REQUEST_METHOD"] != "HEAD":
        return status_line, headers, body
    # The answer to HEAD has no body, whatever it says.
    return status_line, [header for header in headers if header[0] != "Content-Length"], b""
