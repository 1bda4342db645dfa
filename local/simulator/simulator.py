"""The simulator put together, and served.

A stand-in for Meta's Cloud API and for the customers' phones. It knows the business only by its
webhook's address and never imports the chat.
"""

import socket
import threading
import time
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response, request
from werkzeug.routing import BaseConverter
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local.simulator.business import Business, Pace
from local.simulator.control import control_blueprint
from local.simulator.customers import Customers
from local.simulator.delivery import Deliveries, RetryPolicy
from local.simulator.graph import graph_blueprint
from local.simulator.media import MediaStore
from local.simulator.page import page_blueprint
from local.simulator.payloads import Metadata
from local.simulator.phones import Phones
from local.simulator.switches import Switches
from local.simulator.timers import Clockwork, Timers

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


class Simulator:
    """One WhatsApp, one business, any number of customers.

    Args:
        webhook_url: where the business listens; may be set later (``simulator.webhook_url``).
        token: the Bearer token that the Graph API asks for.
        phone_number_id: the business's; others are unknown to the Graph API.
        business_account_id: goes into every payload.
        app_secret: signs every payload.
        display_phone_number: the business's number, digits only.
        host: where to serve; nothing but this machine should reach it.
        port: 0 takes a free one.
        pace: how quickly statuses follow.
        retry: how webhooks are retried.
        workers: how many webhook POSTs run at once.
        timers: the clock; ``ManualTimers`` lets a test turn it by hand.
    """

    def __init__(
        self,
        *,
        webhook_url: str | None,
        token: str,
        phone_number_id: str,
        business_account_id: str,
        app_secret: str,
        display_phone_number: str = "551130030000",
        host: str = "127.0.0.1",
        port: int = 0,
        pace: Pace | None = None,
        retry: RetryPolicy | None = None,
        workers: int = 8,
        timers: Clockwork | None = None,
    ):
        self.token = token
        self.host = host
        self.port = port
        self.metadata = Metadata(business_account_id, phone_number_id, display_phone_number)
        self.timers: Clockwork = timers or Timers(workers)
        self.switches = Switches()
        self.phones = Phones()
        self.media = MediaStore()
        self.deliveries = Deliveries(
            webhook_url=webhook_url,
            app_secret=app_secret,
            metadata=self.metadata,
            switches=self.switches,
            timers=self.timers,
            policy=retry or RetryPolicy(),
            on_acknowledged=lambda updates: self.customers.acknowledged(updates),
        )
        self.business = Business(
            self.phones, self.switches, self.timers, pace or Pace(), self.deliveries.send,
            display_phone_number,
        )  # fmt: skip
        self.customers = Customers(
            self.phones, self.business, self.media, self.switches, self.timers, self.metadata,
            self.deliveries.send, self.deliveries.send_together,
        )  # fmt: skip
        self.app = self._make_app()
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it serves, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    @property
    def webhook_url(self) -> str | None:
        """Where the webhooks go."""
        return self.deliveries.webhook_url

    @webhook_url.setter
    def webhook_url(self, url: str | None) -> None:
        self.deliveries.webhook_url = url

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

    def wait_idle(self, timeout: float = 10.0) -> bool:
        """Wait until every webhook is acknowledged and nothing more is to come.

        Returns:
            False when that did not happen within so many seconds.
        """
        end = time.monotonic() + timeout
        while not self.deliveries.as_json()["idle"]:
            if time.monotonic() > end:
                return False
            self.timers.wait(0.01)
        return True

    def reset(self) -> None:
        """No customers, no faults, nothing on its way."""
        self.timers.clear()
        self.deliveries.reset()
        self.switches.reset()
        self.phones.clear()

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
