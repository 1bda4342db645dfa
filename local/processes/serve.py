"""Serve `main:app` with Werkzeug's threaded server, where gunicorn cannot run (Windows).

    python -m local.processes.serve --port 8080

prints `ready http://127.0.0.1:8080`. One thread a connection, 127.0.0.1 only, for one machine.
"""

from __future__ import annotations

import argparse
import logging

from werkzeug.serving import WSGIRequestHandler, make_server


class _QuietHandler(WSGIRequestHandler):
    """HTTP/1.1, so that a stream is sent in chunks and connections are kept; no access log."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: `dev.py run` is quiet."""


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m local.processes.serve")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    from main import app

    server = make_server("127.0.0.1", options.port, app, True, request_handler=_QuietHandler)
    print(f"ready http://127.0.0.1:{server.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
