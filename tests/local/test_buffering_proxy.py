"""The stand-in for App Engine's front end really behaves like it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from local.processes.parts import Part
from tests.helpers import wait_until


class _Application(ThreadingHTTPServer):
    """Streams two pieces with X-Accel-Buffering off; the second when the test says so."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.go_on = threading.Event()
        self.streaming = 0
        self.gone = threading.Event()
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is part of the test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Application

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path == "/quick":
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"quick")
            return
        self.send_response(200)
        self.send_header("X-Accel-Buffering", "no")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        with self.server.lock:
            self.server.streaming += 1
        if self.path == "/until-gone":
            self.connection.settimeout(10)
            if self.connection.recv(1) == b"":
                self.server.gone.set()
            return
        self.server.go_on.wait(10)
        self.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Instance:
    """Counts, and answers 200 while it is well. Gone, it hangs up; starting, it is not healthy."""

    def __init__(self) -> None:
        self.asked = 0
        self.state = "well"

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        instance = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                instance.asked += self.path != "/healthz"
                if instance.state != "gone":
                    self.send_response(200 if instance.state == "well" else 503)
                    self.end_headers()

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        server.server_close()


@pytest.fixture
def application() -> Iterator[_Application]:
    server = _Application()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def proxied(application: _Application, buffering_proxy: Callable[[str], str]) -> str:
    return buffering_proxy(f"http://127.0.0.1:{application.server_port}")


def _connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_no_byte_of_a_stream_arrives_before_its_end(
    application: _Application, proxied: str
) -> None:
    with _connect(proxied) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: application.streaming == 1)
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(10)
        application.go_on.set()
        response = http.client.HTTPResponse(client)
        response.begin()
        assert response.headers["Content-Length"] == "11"
        assert response.read() == b"firstsecond"
        response.close()


def test_a_client_that_leaves_ends_the_request_to_the_application(
    application: _Application, proxied: str
) -> None:
    with _connect(proxied) as client:
        client.sendall(b"GET /until-gone HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: application.streaming == 1)
        assert not application.gone.is_set()
    assert application.gone.wait(5)


def test_bodies_statuses_and_repeated_headers_pass_unchanged(proxied: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        body = b"x" * 300_000
        for _ in range(2):  # the second on the same connection
            answer = session.post(f"{proxied}/echo", data=body, timeout=10)
            assert answer.status_code == 201
            assert answer.content == body
            assert answer.headers["Set-Cookie"] == "a=1, b=2"


def test_an_application_that_is_down_is_a_bad_gateway(
    buffering_proxy: Callable[[str], str],
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = buffering_proxy(f"http://127.0.0.1:{unused.getsockname()[1]}")
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(f"{address}/quick", timeout=10).status_code == 502


@pytest.fixture
def instances() -> Iterator[tuple[list[_Instance], str]]:
    """Two instances, and the address of the front end before them."""
    servers = [_Instance(), _Instance()]
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(each.serving()) for each in servers]
        args = ["--port", "0", *(a for url in urls for a in ("--upstream", url))]
        part = Part("proxy", "local.processes.buffering_proxy", args).start()
        stack.callback(part.stop)
        yield servers, part.wait_for_line("ready ").rstrip("/")


def test_several_instances_get_the_requests_in_turn(
    instances: tuple[list[_Instance], str],
) -> None:
    (one, other), address = instances
    with requests.Session() as session:
        session.trust_env = False
        for _ in range(6):
            assert session.get(address, timeout=10).status_code == 200
    assert (one.asked, other.asked) == (3, 3)


def test_an_instance_that_is_gone_is_passed_over_until_it_is_well_again(
    instances: tuple[list[_Instance], str],
) -> None:
    (one, other), address = instances
    with requests.Session() as session:
        session.trust_env = False
        one.state = "gone"
        # What was begun is lost with it, and made nowhere else.
        assert sorted(session.get(address, timeout=10).status_code for _ in range(2)) == [200, 502]
        asked = one.asked
        one.state = "starting"
        for _ in range(4):
            assert session.get(address, timeout=10).status_code == 200
        assert (one.asked, other.asked) == (asked, 5)
        one.state = "well"

        def has_its_turn() -> bool:
            assert session.get(address, timeout=10).status_code == 200
            return one.asked > asked

        wait_until(has_its_turn)


def test_hundreds_of_held_requests_leave_a_quick_one_quick(
    application: _Application, proxied: str
) -> None:
    held = 200

    def stream() -> bytes:
        with _connect(proxied) as client:
            client.settimeout(30)
            client.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return b"".join(iter(lambda: client.recv(65536), b""))

    with ThreadPoolExecutor(held) as pool, requests.Session() as session:
        streams = [pool.submit(stream) for _ in range(held)]
        wait_until(lambda: application.streaming == held, timeout=30)
        session.trust_env = False
        durations = []
        for _ in range(15):
            started = time.monotonic()
            assert session.get(f"{proxied}/quick", timeout=10).text == "quick"
            durations.append(time.monotonic() - started)
        application.go_on.set()
        assert all(item.result().endswith(b"firstsecond") for item in streams)
    # Nagle with delayed acknowledgement would make every one of them 40 ms.
    assert min(durations) < 0.03


def test_the_proxy_ends_without_a_word_while_it_holds_requests(application: _Application) -> None:
    args = ["--port", "0", "--upstream", f"http://127.0.0.1:{application.server_port}"]
    part = Part("proxy", "local.processes.buffering_proxy", args).start()
    try:
        with _connect(part.wait_for_line("ready ").rstrip("/")) as client:
            client.sendall(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: application.streaming == 1, what="a held request")
            part.terminate()
            wait_until(lambda: part.returncode is not None, what="the proxy's end")
    finally:
        part.stop()
    assert part.log.splitlines()[1:] == []
