"""Which operation of which service a request is, and whether that operation changes anything.

JSON protocols say it in ``X-Amz-Target``, the query protocols in ``Action``; for REST the method and the path are
matched against the request templates of botocore's service models.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader

from .. import registry
from ..errors import signed_service

#: Signing name -> botocore's names of the services that sign with it, where that is not the one of the same name.
_MODELS = {
    "apigateway": ("apigateway", "apigatewayv2"),
    "elasticfilesystem": ("efs",),
    "elasticloadbalancing": ("elbv2", "elb"),
    "es": ("es", "opensearch"),
    "monitoring": ("cloudwatch",),
    "s3": ("s3", "s3control"),
    "servicequotas": ("service-quotas",),
    "ses": ("ses", "sesv2"),
    "states": ("stepfunctions",),
    "tagging": ("resourcegroupstaggingapi",),
}

#: How the names of operations begin that only read. AssumeRole hands out credentials and changes nothing.
_READING = re.compile(
    r"(Assume|BatchCheck|BatchDescribe|BatchGet|BatchList|Check|Decode|Describe|Estimate|Filter|Get|Head|List|Lookup"
    r"|Preview|Query|Scan|Search|Select|Simulate|Test|Validate)(?![a-z])|(GET|HEAD|OPTIONS) "
)

_LOADER = Loader()


@dataclass(frozen=True)
class _Route:
    operation: str
    method: str
    path: re.Pattern[str]
    variables: int
    #: Parts of the query string that the template spells out; a value of ``None`` fits any.
    query: tuple[tuple[str, str | None], ...]
    required_query: tuple[str, ...]
    #: As WSGI names them.
    required_headers: tuple[str, ...]
    is_deprecated: bool


def identify(environ: dict[str, Any], body: bytes) -> tuple[str, str]:
    """Returns the service, by its signing name (empty if unsigned), and the operation."""
    if registry.is_request(environ):
        return "ecr", registry.operation(environ)
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    service = signed_service(environ) or _presigned_service(query)
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return service, target.rpartition(".")[2]
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        action = parse_qs(body.decode("utf-8", "replace")).get("Action")
        if action:
            return service, action[0]
    if "Action" in query:
        return service, query["Action"][0]
    method = environ["REQUEST_METHOD"]
    # The path as it was sent: an escaped slash inside a name separates nothing.
    path = (environ.get("RAW_URI") or environ.get("PATH_INFO", "/")).partition("?")[0]
    return service, _match(service or "s3", method, path, query, environ) or f"{method} {unquote(path)}"


def writes(operation: str) -> bool:
    """Whether the operation changes something. What is not known to read counts as writing."""
    return _READING.match(operation) is None


@cache
def operations_of(service: str) -> frozenset[str]:
    """The operations of all services that sign with this name; none if there is no such service."""
    return frozenset(name for model in _models(service) for name in model["operations"])


def signing_name(botocore_name: str) -> str | None:
    """The signing name of a service that SDKs call otherwise (``elbv2``), or ``None`` if it is no such name."""
    return next((name for name, models in _MODELS.items() if botocore_name in models), None)


@cache
def _models(service: str) -> tuple[dict[str, Any], ...]:
    found = []
    for name in _MODELS.get(service, (service,)):
        try:
            found.append(_LOADER.load_service_model(name, "service-2"))
        except UnknownServiceError:
            continue
    return tuple(found)


def _presigned_service(query: dict[str, list[str]]) -> str:
    scope = query.get("X-Amz-Credential", [""])[0].split("/")
    return scope[3] if len(scope) > 4 else ""


def _match(service: str, method: str, path: str, query: dict[str, list[str]], environ: dict[str, Any]) -> str | None:
    best = None
    for route in _routes(service):
        if route.method != method or not route.path.fullmatch(path):
            continue
        if any(name not in query or value not in (None, query[name][0]) for name, value in route.query):
            continue
        present = [name in query for name in route.required_query]
        present += [name in environ for name in route.required_headers]
        # Among several the one that asks for most and gets all of it: UploadPart, not PutObject, once there is a part.
        rank = (present.count(False), route.is_deprecated, -present.count(True) - len(route.query), route.variables)
        if best is None or rank < best[0]:
            best = (rank, route.operation)
    return best[1] if best else None


@cache
def _routes(service: str) -> tuple[_Route, ...]:
    return tuple(route for model in _models(service) for route in _routes_of(model))


def _routes_of(model: dict[str, Any]) -> Iterator[_Route]:
    for name, operation in model["operations"].items():
        template, _, literals = operation["http"]["requestUri"].partition("?")
        shape = model["shapes"].get(operation.get("input", {}).get("shape"), {})
        required = [shape["members"][member] for member in shape.get("required", ())]
        headers = [member["locationName"] for member in required if member.get("location") == "header"]
        yield _Route(
            operation=name,
            method=operation["http"]["method"],
            path=_pattern(template),
            variables=template.count("{"),
            query=tuple((key, values[0] or None) for key, values in parse_qs(literals, keep_blank_values=True).items()),
            required_query=tuple(one["locationName"] for one in required if one.get("location") == "querystring"),
            required_headers=tuple("HTTP_" + header.upper().replace("-", "_") for header in headers),
            is_deprecated=operation.get("deprecated", False),
        )


def _pattern(template: str) -> re.Pattern[str]:
    parts = []
    for part in re.split(r"(\{[^}]+\})", template.rstrip("/")):
        if part.startswith("{"):
            parts.append(".+" if part.endswith("+}") else "[^/]+")
        else:
            parts.append(re.escape(part))
    return re.compile("".join(parts) + "/?")
