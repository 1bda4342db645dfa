"""Serves the stand-in over HTTP: `POST /v1/messages`, and its switches."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.claude import attachments, checks, replies
from local.claude.switches import FAULTS, SWITCHES, Switches

JSON = dict[str, Any]

#: Requests remembered, for whoever wants to see what was asked.
_KEPT = 200
#: The API's own limit is 32 MB.
_MAX_BODY = 32_000_000


class ClaudeStandIn:
    """The stand-in on 127.0.0.1, in threads of this process."""

    def __init__(self, port: int = 0) -> None:
        """`port` 0 takes a free one."""
        self.switches = Switches()
        self.requests: deque[JSON] = deque(maxlen=_KEPT)  # the bodies, oldest first
        self.headers: deque[dict[str, str]] = deque(maxlen=_KEPT)  # theirs, names in lower case
        self.stopping = threading.Event()
        stand_in = self

        class Handler(_Handler):
            owner = stand_in

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Its address, for ANTHROPIC_BASE_URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> ClaudeStandIn:
        """Serves from now on, and returns itself."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Ends it, and answers that are slow."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: ClaudeStandIn

    def do_GET(self) -> None:
        if self.path == "/switches":
            self._answer(200, self.owner.switches.all())
        elif self.path == "/requests":
            self._answer(200, {"requests": list(self.owner.requests)})
        else:
            told = {
                name: f"{words} (default {default!r})"
                for name, (default, words) in SWITCHES.items()
            }
            self._answer(200, {"stand-in for": "POST /v1/messages", "PUT /switches": told})

    def do_PUT(self) -> None:
        try:
            self.owner.switches.set(**self._body())
        except (TypeError, ValueError) as error:
            self._answer(422, {"error": str(error)})
        else:
            self._answer(200, self.owner.switches.all())

    def do_DELETE(self) -> None:
        if self.path == "/switches":
            self.owner.switches.reset()
        self._answer(200, self.owner.switches.all())

    def do_POST(self) -> None:
        if self.path.partition("?")[0] != "/v1/messages":
            self._refuse(404, "not_found_error", "Not found")
            return
        try:
            request = self._body()
        except ValueError:
            self._refuse(400, "invalid_request_error", "The request body is not valid JSON")
            return
        self.owner.requests.append(request)
        self.owner.headers.append({key.lower(): value for key, value in self.headers.items()})
        self.owner.stopping.wait(self.owner.switches["slow_ms"] / 1000)
        fault = self.owner.switches.next_fault()
        if fault is not None:
            self._fail(fault)
            return
        if not (self.headers.get("Authorization") or self.headers.get("x-api-key")):
            self._fail("bad_key")
            return
        reason = checks.problem(request, self.headers.get("anthropic-version", ""))
        if reason is not None:
            self._refuse(400, "invalid_request_error", reason)
            return
        self._answer(200, self._message(request))

    def _message(self, request: JSON) -> JSON:
        switches = self.owner.switches
        blocks, stop_reason = replies.content(request, switches["answer"], switches["text"])
        cached = replies.tokens(request.get("system") or "")
        return {
            "id": f"msg_{secrets.token_hex(8)}",
            "type": "message",
            "role": "assistant",
            "model": request["model"],
            "content": blocks,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {
                "input_tokens": replies.tokens(replies.said(request["messages"]))
                + attachments.tokens(request["messages"]),
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": cached,
                "output_tokens": sum(map(replies.tokens, blocks)),
            },
        }

    def _fail(self, fault: str) -> None:
        if fault == "hang_up":
            self.close_connection = True
        elif fault == "not_json":
            self._answer(200, b"<html>a proxy's page</html>", kind="text/html")
        elif fault == "no_message":
            self._answer(200, {"type": "message"})
        else:
            status, kind, message = FAULTS[fault]
            more = {"details": {"error_code": "enforced_spend_limit_reached"}}
            self._refuse(status, kind, message, **(more if fault == "spend_limit" else {}))

    def _refuse(self, status: int, kind: str, message: str, **more: Any) -> None:
        error = {"type": kind, "message": message, **more}
        headers = {}
        after = self.owner.switches["retry_after"]
        if status in (429, 529) and after is not None:
            headers["retry-after"] = str(after)
        self._answer(status, {"type": "error", "error": error}, headers)

    def _body(self) -> JSON:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MAX_BODY:
            raise ValueError("the body is too large")
        body = json.loads(self.rfile.read(length))
        if not isinstance(body, dict):
            raise ValueError("must be an object")
        return body

    def _answer(
        self,
        status: int,
        data: JSON | bytes,
        headers: dict[str, str] | None = None,
        kind: str = "application/json",
    ) -> None:
        raw = data if isinstance(data, bytes) else json.dumps(data, ensure_ascii=False).encode()
        with contextlib.suppress(ConnectionError):  # who asked may have given up
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(raw)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

    def log_message(self, *_args: Any) -> None:
        """Say nothing: what customers write is in the requests."""
