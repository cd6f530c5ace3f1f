"""The control paths themselves: JSON in, JSON out."""

import json
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from .. import answers, consistency
from ..clock import CLOCK
from ..quotas import QUOTAS
from .checks import BadRequest, MethodNotAllowed, NotFound, Refused, check_names, number, text, truth, whole_number
from .copies import Copies
from .state import Control

PATH = "/orderctl/sandbox/control"

#: The longest leap of a frozen clock, in sandbox seconds, and the longest wait for held calls, in real ones.
_LONGEST_ADVANCE = 366 * 86400
_LONGEST_WAIT = 600

#: Takes what was sent and the query string's values; returns what is answered.
Handler = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


class ControlEndpoint:
    """Answers the control paths and passes everything else on."""

    def __init__(self, application: Callable[..., Iterable[bytes]], control: Control, copies: Copies) -> None:
        self.application = application
        self.control = control
        self.resources: dict[str, dict[str, Handler]] = {
            "": {"GET": self._list},
            "clock": {"GET": self._clock, "POST": self._move_clock},
            "calls": {"GET": self._calls, "DELETE": self._clear_calls},
            "faults": {
                "GET": lambda _request, _query: control.faults.as_json(),
                "POST": lambda request, _query: control.faults.add(request),
                "DELETE": self._remove_faults,
            },
            "held": {"GET": self._held},
            "release": {"POST": lambda request, _query: control.faults.release(request)},
            "latency": {
                "GET": lambda _request, _query: control.latency.as_json(),
                "POST": lambda request, _query: control.latency.configure(request),
            },
            "copies": {"POST": copies.make},
            "quotas": {"GET": lambda _request, _query: dict(QUOTAS), "POST": self._set_quotas},
            "denied-actions": {
                "GET": lambda _request, _query: {"actions": list(answers.DENIED)},
                "POST": self._deny_actions,
            },
            "blocked-requests": {
                "GET": lambda _request, _query: {"requests": list(answers.BLOCKED)},
                "POST": self._block_request,
            },
            "consistency": {"GET": lambda _request, _query: {"lag": control.lag}, "POST": self._set_lag},
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path != PATH and not path.startswith(f"{PATH}/"):
            return self.application(environ, start_response)
        try:
            answer = self._answer(environ, path.removeprefix(PATH).removeprefix("/"))
        except Refused as error:
            return _send(start_response, error.status, {"error": str(error)})
        except Exception as error:  # noqa: BLE001  what came due has failed; the test must learn of it
            traceback.print_exc(file=sys.stderr)
            return _send(start_response, "500 Internal Server Error", {"error": f"{type(error).__name__}: {error}"})
        return _send(start_response, "200 OK", answer)

    def _answer(self, environ: dict[str, Any], name: str) -> dict[str, Any]:
        # A page in the user's browser must not reach this.
        if environ.get("HTTP_ORIGIN"):
            raise BadRequest("not for browsers")
        methods = self.resources.get(name)
        if methods is None:
            raise NotFound(f"there is no '{name}'; there is {', '.join(filter(None, self.resources))}")
        handler = methods.get(environ["REQUEST_METHOD"])
        if handler is None:
            raise MethodNotAllowed(f"'{name}' can be asked with {', '.join(methods)}")
        return handler(_body(environ), _query(environ))

    def _list(self, _request: dict[str, Any], _query: dict[str, Any]) -> dict[str, Any]:
        return {"resources": {name: list(methods) for name, methods in self.resources.items() if name}}

    def _clock(self, _request: dict[str, Any], _query: dict[str, Any]) -> dict[str, Any]:
        with self.control.lock, consistency.from_inside():
            CLOCK.run_due()
            return {"now": CLOCK.now(), "speed": CLOCK.speed, "frozen": CLOCK.is_frozen}

    def _move_clock(self, request: dict[str, Any], query: dict[str, Any]) -> dict[str, Any]:
        check_names(request, ("freeze", "advance"))
        freeze = truth(request, "freeze")
        seconds = number(request, "advance", 0, 0, _LONGEST_ADVANCE)
        if freeze is False:
            raise BadRequest("a stopped clock cannot be set going again")
        with self.control.lock, consistency.from_inside():
            CLOCK.run_due()
            if freeze:
                CLOCK.freeze()
            if seconds:
                if not CLOCK.is_frozen:
                    raise BadRequest("only a frozen clock can be advanced")
                CLOCK.advance(seconds)
            return self._clock(request, query)

    def _calls(self, _request: dict[str, Any], query: dict[str, Any]) -> dict[str, Any]:
        check_names(query, ("since",))
        return self.control.calls.since(whole_number(query, "since", 0, 0))

    def _clear_calls(self, _request: dict[str, Any], _query: dict[str, Any]) -> dict[str, Any]:
        self.control.calls.clear()
        return {}

    def _remove_faults(self, _request: dict[str, Any], query: dict[str, Any]) -> dict[str, Any]:
        check_names(query, ("id",))
        return self.control.faults.remove(whole_number(query, "id", None, 1))

    def _held(self, _request: dict[str, Any], query: dict[str, Any]) -> dict[str, Any]:
        check_names(query, ("wait", "count"))
        seconds = number(query, "wait", 0, 0, _LONGEST_WAIT)
        return self.control.faults.held(whole_number(query, "count", 1, 1), seconds)

    def _set_quotas(self, request: dict[str, Any], _query: dict[str, Any]) -> dict[str, Any]:
        check_names(request, tuple(QUOTAS))
        limits = {name: whole_number(request, name, QUOTAS[name], 0) for name in request}
        with self.control.lock:
            QUOTAS.update(limits)
            return dict(QUOTAS)

    def _deny_actions(self, request: dict[str, Any], _query: dict[str, Any]) -> dict[str, Any]:
        check_names(request, ("actions",))
        actions = request.get("actions")
        if not isinstance(actions, list) or not all(isinstance(it, str) and ":" in it for it in actions):
            raise BadRequest(f"'actions' is {actions!r}; it has to be a list of actions, as ec2:CreateVpc or rds:*")
        with self.control.lock:
            answers.DENIED[:] = actions
        return {"actions": actions}

    def _block_request(self, request: dict[str, Any], _query: dict[str, Any]) -> dict[str, Any]:
        check_names(request, ("rule", "inner", "address", "country", "method", "path", "weight"))
        blocked = {
            "rule": text(request, "rule"),
            "inner": text(request, "inner"),
            "address": text(request, "address"),
            "country": text(request, "country") or "US",
            "method": text(request, "method") or "GET",
            "path": text(request, "path") or "/",
            "weight": whole_number(request, "weight", 1, 1),
        }
        if not blocked["rule"] or not blocked["address"]:
            raise BadRequest("'rule' and 'address' are needed")
        with self.control.lock:
            answers.BLOCKED.append(blocked)
        return blocked

    def _set_lag(self, request: dict[str, Any], _query: dict[str, Any]) -> dict[str, Any]:
        check_names(request, ("lag",))
        lag = number(request, "lag", None, 0, 600)
        if lag is None:
            raise BadRequest("'lag' is missing; 0 switches eventual consistency off")
        with self.control.lock:
            if lag and not CLOCK.speed and not CLOCK.is_frozen:
                raise BadRequest("eventual consistency needs time to pass: there is none of it at speed 0")
            consistency.configure(lag)
            self.control.lag = lag
            return {"lag": lag}


def _query(environ: dict[str, Any]) -> dict[str, Any]:
    values = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    return {name: int(value) if value.isdecimal() else value for name, value in values}


def _body(environ: dict[str, Any]) -> dict[str, Any]:
    length = environ.get("CONTENT_LENGTH", "")
    text = environ["wsgi.input"].read(int(length)) if length.isdigit() else b""
    try:
        body = json.loads(text or b"{}")
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object")
    return body


def _send(start_response: Callable[..., Any], status: str, content: Any) -> list[bytes]:
    body = json.dumps(content).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
