"""Command line of the sandbox process: ``python -m orderctl_sandbox --port 0 --port-file PATH``."""

import argparse
import sys

from .environment import prepare_environment


def main() -> int:
    """Parses the arguments, serves until SIGTERM or SIGINT, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="orderctl_sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to bind")
    parser.add_argument("--port", type=int, default=0, help="port to bind; 0 picks a free one")
    parser.add_argument("--port-file", help="file that receives the port once the server accepts connections")
    parser.add_argument("--layer", default="", help="content hash of this package, repeated on the health path")
    parser.add_argument("--verbose", action="store_true", help="log every request to stderr")
    arguments = parser.parse_args()

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
        )
    except UnsuitableHost as error:
        print(f"orderctl_sandbox: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
