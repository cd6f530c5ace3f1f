"""Stands in front of every AWS call: notes it, delays it, and lets faults happen to it."""

import io
import json
import re
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from .. import registry
from ..clock import CLOCK
from .answers import Answer, denied, failed, quoted, throttled
from .calls import Call
from .faults import Fault
from .operations import identify, writes
from .state import Control

#: Paths of moto's own that are no AWS calls.
_OTHER_PATHS = ("/moto-api", "/favicon.ico", "/latest/meta-data/", "/latest/api/")

_CODE = re.compile(rb"<Code>([^<]+)</Code>")

_REFUSALS = {"throttle": throttled, "error-before": failed, "deny": denied, "quote": quoted}


class ConnectionDropped(ConnectionAbortedError):
    """The connection was closed on purpose; the server takes it as one that the client closed."""


class InterceptedCalls:
    """Passes calls on, except for what faults do to them. Answers and refusals are in the caller's own protocol."""

    def __init__(self, application: Callable[..., Iterable[bytes]], control: Control) -> None:
        self.application = application
        self.control = control

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith(_OTHER_PATHS):
            return self.application(environ, start_response)
        service, operation = identify(environ, _buffered_body(environ))
        call = Call(service, operation, writes(operation))
        fault = self.control.faults.strike(call)
        self.control.latency.wait()
        answer = self._answer(environ, call, fault)
        if answer is None:
            self._finish(call, None, None)
            _close_connection(environ)
        status, headers, body = answer
        self._finish(call, int(status[:3]), _error_code(status, headers, body))
        start_response(status, headers)
        return [body]

    def _answer(self, environ: dict[str, Any], call: Call, fault: Fault | None) -> Answer | None:
        """What the client is to be sent, or ``None`` if its connection is to be closed."""
        action = fault.action if fault else None
        if action == "delay":
            time.sleep(fault.seconds)
        if action == "drop-before" or (
            action in ("hold-before", "hold-both") and not self.control.faults.hold(call, fault, "before")
        ):
            self._enter(call)
            return None
        if action in _REFUSALS:
            self._enter(call)
            return _REFUSALS[action](environ, call)
        answer = self._apply(environ, call)
        if action == "drop-after" or (
            action in ("hold-after", "hold-both") and not self.control.faults.hold(call, fault, "after")
        ):
            return None
        return failed(environ, call) if action == "error-after" else answer

    def _finish(self, call: Call, status: int | None, error: str | None) -> None:
        self.control.calls.finish(call, status, error)
        if call.fault is not None:
            self.control.faults.note_end()

    def _enter(self, call: Call) -> None:
        with self.control.lock:
            self.control.calls.enter(call, CLOCK.now())

    def _apply(self, environ: dict[str, Any], call: Call) -> Answer:
        started: list[Any] = []

        def remember(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Callable[[bytes], Any]:
            started[:] = [status, headers]
            return lambda _: None

        # One hold of the lock for the call and its place in the log, so that the log has them in the true order.
        with self.control.lock:
            body = b"".join(self.application(environ, remember))
            status, headers = started
            call.applied = status.startswith("2")
            self._enter(call)
        return status, headers, body


def _buffered_body(environ: dict[str, Any]) -> bytes:
    """Reads the body, and leaves it to be read again."""
    length = environ.get("CONTENT_LENGTH", "")
    if not length.isdigit() or registry.is_body(environ):
        return b""
    body = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _close_connection(environ: dict[str, Any]) -> None:
    try:
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    except OSError:
        # The client was faster.
        pass
    raise ConnectionDropped


def _error_code(status: str, headers: list[tuple[str, str]], body: bytes) -> str | None:
    """The code of an error answer, without the namespace that some services put in front of it."""
    if status[:1] in "123":
        return None
    code = next((value for name, value in headers if name.lower() == "x-amzn-errortype"), None)
    if code is None and body[:1] == b"{":
        try:
            code = json.loads(body).get("__type")
        except ValueError:
            return None
    if code is None:
        found = _CODE.search(body)
        return found[1].decode() if found else None
    return str(code).rpartition("#")[2].partition(":")[0]
