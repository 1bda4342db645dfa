"""The simulator put together, and served.

A stand-in for Meta's Cloud API and for the customers' phones. It knows the business only by its
webhook's address and never imports the chat.
"""

import socket
import threading
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response, request
from werkzeug.routing import BaseConverter
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local.simulator.control import control_blueprint
from local.simulator.graph import graph_blueprint
from local.simulator.page import page_blueprint
from local.simulator.world import World

__all__ = ["Simulator"]


class _Digits(BaseConverter):
    regex = r"\d+"


class _Version(BaseConverter):
    regex = r"v\d+\.\d+"


class _QuietHandler(WSGIRequestHandler):
    """Writes no access log: phone numbers stand in the paths."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""

    def connection_dropped(
        self, error: BaseException, environ: WSGIEnvironment | None = None
    ) -> None:
        """Nothing: hanging up is one of the switches."""


class Simulator(World):
    """One WhatsApp, one business, any number of customers, and the server that shows them.

    Args: those of `World`.
    """

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self.app = self._make_app()
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> str:
        """Serve in the background; gives the address.

        Raises:
            OSError: the port is taken.
        """
        # Not werkzeug's own binding: that one leaves by sys.exit when the port is taken.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self.host, self.port))
            listening.listen(128)
        except OSError:
            listening.close()
            raise
        self.port = listening.getsockname()[1]
        self._server = make_server(
            self.host, self.port, self.app, threaded=True, request_handler=_QuietHandler,
            fd=listening.detach(),
        )  # fmt: skip
        self.timers.start()
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="simulator-server",
            daemon=True,
        )
        self._thread.start()
        return self.url

    def stop(self) -> None:
        """Stop serving and forget what is on its way; requests under way are let fall."""
        self.timers.stop()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        if self._thread is not None:
            self._thread.join(timeout=2)
            self._thread = None
        self.deliveries.close()

    def __enter__(self) -> "Simulator":
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def _make_app(self) -> Flask:
        app = Flask("local.simulator", static_url_path="/static")
        app.json.sort_keys = False  # type: ignore[attr-defined]
        app.json.ensure_ascii = False  # type: ignore[attr-defined]
        app.url_map.converters["digits"] = _Digits
        app.url_map.converters["version"] = _Version
        app.register_blueprint(graph_blueprint(self))
        app.register_blueprint(control_blueprint(self))
        app.register_blueprint(page_blueprint(self))

        @app.before_request
        def same_site_only() -> Response | None:
            # A web page from elsewhere, open in the same browser, has no business here.
            if request.headers.get("Sec-Fetch-Site") == "cross-site" and request.method != "GET":
                return Response(status=403)
            return None

        @app.after_request
        def close_files(response: Response) -> Response:
            """Werkzeug's server leaves a file open when the browser goes in mid-answer."""
            if response.direct_passthrough:
                response.direct_passthrough = False
                content = response.get_data()
                response.close()
                response.set_data(content)
            return response

        @app.after_request
        def harden(response: Response) -> Response:
            response.headers.setdefault("Cache-Control", "no-store")
            response.headers.setdefault("Content-Security-Policy", "default-src 'self'")
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            return response

        return app
