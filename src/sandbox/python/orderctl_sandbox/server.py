"""The process: a threaded loopback HTTP server in front of a chain of WSGI applications that ends in moto."""

import io
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import moto
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from . import MOTO_VERSION, NAME, behaviour, consistency, patches
from .cbor import CborProtocol
from .clock import CLOCK
from .control import Control, ControlEndpoint, Copies, InterceptedCalls, leave_no_dead
from .data_plane import DataPlane
from .errors import AwsErrors
from .quotas import QUOTAS
from .registry import RegistryPaths
from .settings import Settings

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: The path on which the process says who it is.
HEALTH_PATH = "/orderctl/sandbox"


class UnsuitableHost(Exception):
    """The address is not a loopback address."""


class Health:
    """Answers ``GET /orderctl/sandbox`` and passes everything else on."""

    def __init__(self, application: Application, layer: str, settings: Settings) -> None:
        self.application = application
        self.answer = {
            "name": NAME,
            "layer": layer,
            "moto": moto.__version__,
            "started": int(time.time()),
            "settings": settings.as_json(),
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != HEALTH_PATH:
            return self.application(environ, start_response)
        body = json.dumps({**self.answer, "pid": os.getpid()}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


class OneAtATime:
    """Runs moto's handlers one after the other, each after what has become due by then.

    moto checks and then writes without locks, so two creates of one name could both win. Its handlers are
    processor-bound Python, so taking turns costs no throughput; anything that waits belongs in front of this.
    """

    def __init__(self, application: Application, lock: threading.RLock) -> None:
        self.application = application
        self.lock = lock

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # The body is read before the lock is taken, so that a slow client holds up nobody else.
        _buffer_body(environ)
        with self.lock:
            consistency.begin_request()
            with consistency.from_inside():
                CLOCK.run_due()
            answer = self.application(environ, start_response)
            try:
                return [b"".join(answer)]
            finally:
                close = getattr(answer, "close", None)
                if close is not None:
                    close()


def _buffer_body(environ: dict[str, Any]) -> None:
    length = environ.get("CONTENT_LENGTH")
    if length and length.isdigit():
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))


def build_application(settings: Settings, layer: str = "") -> Application:
    """Changes moto and returns the whole chain.

    Outermost first: health, control endpoint, CBOR, faults and log of calls, AWS-shaped errors, ECR's registry, lock and
    clock, load balancers, moto; control and faults only where asked for.
    """
    patches.apply()
    behaviour.apply()
    CLOCK.reset(settings.speed)
    consistency.configure(settings.lag)
    QUOTAS.update(settings.quotas)
    lock = threading.RLock()
    application: Application = DomainDispatcherApplication(create_backend_app)
    application = DataPlane(application)
    application = OneAtATime(application, lock)
    application = RegistryPaths(application, lock)
    application = AwsErrors(application)
    control = Control(lock, settings) if settings.control else None
    if control:
        application = InterceptedCalls(application, control)
    application = CborProtocol(application)
    if not control:
        return Health(application, layer, settings)
    copies = Copies(control, lambda: _listen("127.0.0.1", 0, whole))
    whole = Health(ControlEndpoint(application, control, copies), layer, settings)
    return whole


def _listen(host: str, port: int, application: Application) -> BaseWSGIServer:
    server = make_server(host, port, application, threaded=True, request_handler=_RequestHandler)
    os.environ["MOTO_PORT"] = str(server.server_port)
    return server


class _RequestHandler(MotoRequestHandler):
    # Headers and body leave in two writes; with Nagle's algorithm the second waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    verbose = False

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        if self.verbose:
            super().log_request(code, size)


def _write_whole(path: str, text: str) -> None:
    directory = os.path.dirname(os.path.abspath(path))
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".port-")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    os.replace(temporary, path)


def _announce(server: BaseWSGIServer, port_file: str | None) -> None:
    """Writes the port file, then prints one line of JSON on stdout and turns stdout over to stderr.

    Whoever started the process waits for that line. It may exit at any time after it, so nothing may be written to
    its pipe any more.
    """
    if port_file:
        _write_whole(port_file, f"{server.server_port}\n")
    sys.stdout.write(json.dumps({"port": server.server_port, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def serve(host: str, port: int, port_file: str | None, layer: str, verbose: bool, settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises ``UnsuitableHost`` for any address but loopback."""
    if host not in ("127.0.0.1", "::1"):
        raise UnsuitableHost(
            f"{host} is not a loopback address; the sandbox takes any credentials, so it stays on 127.0.0.1"
        )
    if moto.__version__ != MOTO_VERSION:
        raise SystemExit(f"orderctl_sandbox: needs moto {MOTO_VERSION}, found {moto.__version__}")

    # It is started from a terminal that may close before it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    if settings.control:
        leave_no_dead()
    _RequestHandler.verbose = verbose
    # The listening socket exists from here on, so a connection made after the announcement is accepted.
    server = _listen(host, port, build_application(settings, layer))
    _announce(server, port_file)
    server.serve_forever()
