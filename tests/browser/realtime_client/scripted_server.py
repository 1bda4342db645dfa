"""An event stream that misbehaves on demand, and a blank page that imports the client."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from local.processes.parts import ROOT

PAGE = """<!doctype html><html lang="pt-BR" data-connection="connecting"><meta charset="utf-8">
<title>blank</title><link rel="icon" href="data:,"><script type="module" src="/harness.js"></script>
"""
FILES = {
    "/harness.js": Path(__file__).with_name("harness.js"),
    "/static/realtime_events.js": ROOT / "static" / "realtime_events.js",
}


def block(type: str, data: object, *, id: str = "", cursor: str = "", **more: object) -> str:
    """One SSE block in the module's envelope."""
    body = {"id": id, "type": type, "conversation_id": None, "version": None}
    body |= {"at": "2030-01-01T00:00:00.000Z", "data": data, **more}
    head = f"id: {cursor}\n" if cursor else ""
    return f"{head}event: {type}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


class Answer:
    """One response under way, in chunks, so that a cut can be told from an end."""

    def __init__(self, server: ScriptedServer, handler: BaseHTTPRequestHandler) -> None:
        self.server = server
        self.asked = dict(parse_qsl(urlsplit(handler.path).query))
        self._handler = handler
        self._started = False

    def start(self, status: int = 200, type: str = "text/event-stream", **headers: str) -> None:
        self._started = True
        self._handler.send_response(status)
        self._handler.send_header("Content-Type", type)
        self._handler.send_header("Transfer-Encoding", "chunked")
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.end_headers()

    def send(self, text: str | bytes) -> None:
        if not self._started:
            self.start()
        raw = text.encode() if isinstance(text, str) else text
        if raw:
            self._handler.wfile.write(b"%x\r\n%b\r\n" % (len(raw), raw))
            self._handler.wfile.flush()

    def end(self) -> None:
        if not self._started:
            self.start()
        self._handler.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Breaks the connection in the middle of the response."""
        self._handler.connection.shutdown(socket.SHUT_RDWR)

    def gone(self) -> bool:
        """Whether the client has closed the connection."""
        readable = select.select([self._handler.connection], [], [], 0)[0]
        return bool(readable) and not self._handler.connection.recv(1, socket.MSG_PEEK)

    def wait(self, due: Callable[[], bool]) -> bool:
        """Until `due()`; False when the client has gone or the server ends first."""
        while not self.server.closing:
            if due():
                return True
            if self.gone():
                return False
            with self.server.changed:
                self.server.changed.wait(0.02)
        return False

    def silence(self) -> None:
        """Nothing more, with the connection open."""
        self.wait(lambda: False)


Step = Callable[[Answer], None]


def status(code: int, type: str = "text/html", body: str = "<p>no</p>", **headers: str) -> Step:
    """An answer that is no event stream."""

    def step(answer: Answer) -> None:
        answer.start(code, type, **headers)
        answer.send(body)
        answer.end()

    return step


def document(body: str, head: str = "") -> Step:
    """A page that the host rendered."""
    start = '<!doctype html><html lang="pt-BR"><meta charset="utf-8"><title>host</title>'
    icon = '<link rel="icon" href="data:,">'
    return status(200, "text/html; charset=utf-8", f"{start}{icon}{head}<body>{body}")


@dataclass
class ScriptedServer:
    """Answers the n-th request for events with the n-th step of its script, the last one for ever.

    Without a script it serves its own little log: the cursor is the number of events had. `pages`
    are the host's: path → what answers it, each of its steps once and the last one for ever.
    """

    script: list[Step] = field(default_factory=list)
    pages: dict[str, list[Step]] = field(default_factory=dict)
    buffered: bool = False  # as a front end that sends a response when it has ended
    events: list[str] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    streams: int = 0  # open now
    most_streams: int = 0
    closing: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def start(self) -> ScriptedServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._get(self)

            def log_message(self, *_: object) -> None:
                return None

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        self.closing = True
        self._http.shutdown()
        self._http.server_close()

    def publish(self, **more: object) -> str:
        """Appends an event to the log; returns its id."""
        with self.changed:
            name = f"e{len(self.events) + 1}"
            cursor = str(len(self.events) + 1)
            self.events.append(block("message.created", {}, id=name, cursor=cursor, **more))
            self.changed.notify_all()
        return name

    def _get(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        path = urlsplit(handler.path).path
        try:
            if path == "/realtime/events":
                self._events(Answer(self, handler))
                return
            if path in self.pages:
                steps = self.pages[path]
                (steps.pop(0) if len(steps) > 1 else steps[0])(Answer(self, handler))
                return
            known = path in FILES or path in ("/", "/login")
            body = FILES[path].read_bytes() if path in FILES else PAGE.encode()
            handler.send_response(200 if known else 404)
            handler.send_header("Content-Length", str(len(body)))
            type = "text/javascript" if path in FILES else "text/html"
            handler.send_header("Content-Type", f"{type}; charset=utf-8")
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:
            return  # the browser has gone

    def _events(self, answer: Answer) -> None:
        with self.changed:
            self.requests.append(answer.asked)
            number = len(self.requests)
            self.streams += 1
            self.most_streams = max(self.streams, self.most_streams)
        try:
            if self.script:
                self.script[min(number, len(self.script)) - 1](answer)
            else:
                serve_log(answer)
        finally:
            with self.changed:
                self.streams -= 1


def serve_log(answer: Answer) -> None:
    """The contract, honestly: hello, what was missed, then a stream or one held batch."""
    server = answer.server
    hold = answer.asked.get("delivery") == "hold"
    at = int(answer.asked.get("after", len(server.events)))
    kept = []
    hello = "after" not in answer.asked or "hello" in answer.asked
    if hello:
        data = {"delivery": "hold" if hold else "stream", "build": "1", "cursor": str(at)}
        kept.append(block("hello", data, cursor=str(at)))
    while True:
        kept += server.events[at:]
        at = max(at, len(server.events))
        if not server.buffered:
            answer.send("".join(kept))
            kept = []
        if hold and (hello or server.events[int(answer.asked["after"]) :]):
            break
        if not answer.wait(lambda had=at: len(server.events) > had):
            break
    answer.send("".join(kept))
    answer.end()
