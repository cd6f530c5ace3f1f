"""The control endpoint: time, faults and the log of calls, for tests. Answers only where ``--control`` asked for it.

``POST`` takes and every answer is JSON, below ``/orderctl/sandbox/control``:

===================  ==================================================================================================
``POST clock``       ``{"freeze": true}`` stops the time; ``{"advance": 90}`` lets 90 sandbox seconds pass
``GET clock``        the sandbox's time
===================  ==================================================================================================
"""

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

from .. import consistency
from ..clock import CLOCK

PATH = "/orderctl/sandbox/control/"


class BadRequest(Exception):
    """What was asked for makes no sense; the message says why."""


class ControlEndpoint:
    """Answers the control paths and passes everything else on."""

    def __init__(self, application: Callable[..., Iterable[bytes]], lock: threading.RLock) -> None:
        self.application = application
        self.lock = lock
        self.resources = {"clock": self._clock}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith(PATH):
            return self.application(environ, start_response)
        try:
            # A page in the user's browser must not reach this.
            if environ.get("HTTP_ORIGIN"):
                raise BadRequest("not for browsers")
            resource = self.resources.get(path.removeprefix(PATH))
            if resource is None:
                return _answer(start_response, "404 Not Found", {"error": f"there are {', '.join(self.resources)}"})
            answer = resource(environ["REQUEST_METHOD"], _body(environ), environ.get("QUERY_STRING", ""))
        except BadRequest as error:
            return _answer(start_response, "400 Bad Request", {"error": str(error)})
        return _answer(start_response, "200 OK", answer)

    def _clock(self, method: str, request: dict, _query: str) -> dict:
        with self.lock, consistency.from_inside():
            CLOCK.run_due()
            if method == "POST":
                if request.get("freeze"):
                    CLOCK.freeze()
                seconds = request.get("advance", 0)
                if seconds:
                    if not CLOCK.is_frozen:
                        raise BadRequest("only a frozen clock can be advanced")
                    CLOCK.advance(float(seconds))
            return {"now": CLOCK.now(), "speed": CLOCK.speed, "frozen": CLOCK.is_frozen}


def _body(environ: dict[str, Any]) -> dict:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    text = environ["wsgi.input"].read(length) if length else b"{}"
    try:
        body = json.loads(text)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object")
    return body


def _answer(start_response: Callable[..., Any], status: str, content: Any) -> list[bytes]:
    body = json.dumps(content).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
