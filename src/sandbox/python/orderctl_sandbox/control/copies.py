"""Copies of the process: the same account a second time, on a port of its own.

A test that asks "and what if the program dies here?" hundreds of times begins each time at the same account. Making it
anew takes seconds; copying the process takes milliseconds. A copy is a fork: it shares nothing with its original from
then on, has an empty log of calls, no faults and no latency, and ends when its original does.
"""

import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from werkzeug.serving import BaseWSGIServer

from .checks import Refused
from .state import Control


class NoCopy(Refused):
    """The copy did not come to life."""

    status = "500 Internal Server Error"


class Copies:
    """Makes copies. ``listen`` makes a server, on a free port, for everything that this process answers."""

    def __init__(self, control: Control, listen: Callable[[], BaseWSGIServer]) -> None:
        self.control = control
        self.listen = listen
        #: One pipe per copy, which ends with this process; a copy that reads its end ends too.
        self._life_lines: list[int] = []

    def make(self, _request: dict[str, Any], _query: dict[str, Any]) -> dict[str, Any]:
        """Copies the process between two requests; answers the copy's endpoint and process id."""
        told, tells = os.pipe()
        hears, holds = os.pipe()
        with self.control.lock:
            # What is there already is never freed, so that the copies go on sharing its memory.
            gc.freeze()
            process = os.fork()
            if process == 0:
                self._live(tells, hears, [told, holds])
        os.close(tells)
        os.close(hears)
        self._life_lines.append(holds)
        with os.fdopen(told) as answer:
            port = answer.read()
        if not port:
            raise NoCopy("the copy ended before it listened; its reason is in the log")
        return {"endpoint": f"http://127.0.0.1:{port}", "pid": process, "port": int(port)}

    def _live(self, tells: int, hears: int, others: list[int]) -> None:
        """The life of a copy, which begins in the middle of a request to its original and does not return."""
        try:
            for descriptor in [*others, *self._life_lines]:
                os.close(descriptor)
            self._life_lines = []
            _let_go_of_connections()
            self.control.start_afresh()
            self.control.lock.release()
            server = self.listen()
            threading.Thread(target=_end_with_original, args=(hears,), daemon=True).start()
            os.write(tells, str(server.server_port).encode())
            os.close(tells)
            server.serve_forever()
        except Exception:  # noqa: BLE001  there is nobody above to tell
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(0)


def _let_go_of_connections() -> None:
    """Points every socket of the original at nothing, so that a connection ends when the original closes it.

    They are not closed: the objects that hold them would later close whatever had got their numbers.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        try:
            is_socket = os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue
        if is_socket:
            os.dup2(nothing, descriptor)
    os.close(nothing)


def _end_with_original(hears: int) -> None:
    os.read(hears, 1)
    os._exit(0)


def leave_no_dead() -> None:
    """Has the system forget copies that have ended. Called once, by the main thread."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
