"""Command line of the sandbox process: ``python -m orderctl_sandbox --port 0 --port-file PATH``."""

import argparse
import sys

from .environment import prepare_environment
from .settings import DEFAULT_SPEED, Settings, UnsuitableSetting, parse_quotas


def main() -> int:
    """Parses the arguments, serves until SIGTERM or SIGINT, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="orderctl_sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to bind")
    parser.add_argument("--port", type=int, default=0, help="port to bind; 0 picks a free one")
    parser.add_argument("--port-file", help="file that receives the port once the server accepts connections")
    parser.add_argument("--layer", default="", help="content hash of this package, repeated on the health path")
    parser.add_argument("--speed", type=float, default=DEFAULT_SPEED, help="sandbox seconds per real second; 0: at once")
    parser.add_argument("--lag", type=float, default=0.0, help="sandbox seconds for which reads miss what is new; 0: off")
    parser.add_argument("--quota", action="append", default=[], metavar="NAME=NUMBER", help="a limit of the account")
    parser.add_argument("--control", action="store_true", help="answer the control endpoint")
    parser.add_argument("--verbose", action="store_true", help="log every request to stderr")
    arguments = parser.parse_args()

    try:
        settings = Settings(arguments.speed, arguments.lag, parse_quotas(arguments.quota), arguments.control)
    except UnsuitableSetting as error:
        print(f"orderctl_sandbox: {error}", file=sys.stderr)
        return 2

    # moto reads its settings while it is imported, so they have to be in place before `server` is.
    prepare_environment()
    from .server import UnsuitableHost, serve

    try:
        serve(
            host=arguments.host,
            port=arguments.port,
            port_file=arguments.port_file,
            layer=arguments.layer,
            verbose=arguments.verbose,
            settings=settings,
        )
    except UnsuitableHost as error:
        print(f"orderctl_sandbox: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
