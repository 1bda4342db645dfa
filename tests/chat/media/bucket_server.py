"""As much of Google Cloud Storage as a bucket of files needs: its JSON API over HTTP."""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage


@dataclass
class BucketServer:
    """One bucket, in memory."""

    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    unfinished: dict[str, tuple[str, str, bytearray]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    #: What is answered instead, as long as it is set.
    failure: int | None = None
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def client(self) -> Any:
        """A client of Cloud Storage that asks here."""
        return storage.Client(
            project="demo",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.url},
        )

    def start(self) -> BucketServer:
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                bucket.requests.append(f"{self.command} {self.path}")
                if bucket.failure is not None:
                    self.reply(bucket.failure, {"error": {"message": "no"}})
                    return
                bucket.handle(self, body)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

            def reply(
                self, status: int, data: Any = b"", headers: dict[str, str] | None = None
            ) -> None:
                raw = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def handle(self, request: Any, body: bytes) -> None:
        """One request of the JSON API."""
        path, query = urlsplit(request.path).path, parse_qs(urlsplit(request.path).query)
        method = request.command
        if path.startswith("/upload/") and method == "POST":
            told = json.loads(body)
            upload = secrets.token_hex(8)
            mime_type = request.headers.get("X-Upload-Content-Type") or told.get("contentType")
            self.unfinished[upload] = (told["name"], mime_type, bytearray())
            request.reply(200, {}, {"Location": f"{self.url}/session/{upload}"})
        elif path.startswith("/session/"):
            self._session(request, path.rpartition("/")[2], body)
        elif match := re.fullmatch(r"/(?:download/)?storage/v1/b/[^/]+/o/([^/]+)", path):
            self._object(request, unquote(match[1]), media=query.get("alt") == ["media"])
        elif match := re.fullmatch(r".*/o/([^/]+)/rewriteTo/b/[^/]+/o/([^/]+)", path):
            source, target = unquote(match[1]), unquote(match[2])
            if source not in self.objects:
                request.reply(404, {"error": {"message": "no"}})
                return
            self.objects[target] = self.objects[source]
            size = str(len(self.objects[source][0]))
            told = {"done": True, "totalBytesRewritten": size, "objectSize": size}
            request.reply(200, {**told, "resource": self._described(target)})
        else:
            request.reply(400, {"error": {"message": "not known here"}})

    def _session(self, request: Any, upload: str, body: bytes) -> None:
        if upload not in self.unfinished:
            request.reply(404)
            return
        name, mime_type, data = self.unfinished[upload]
        if request.command == "DELETE":
            del self.unfinished[upload]
            request.reply(499)
            return
        data += body
        if request.headers["Content-Range"].endswith("/*"):
            request.reply(308, b"", {"Range": f"bytes=0-{len(data) - 1}"} if data else {})
            return
        del self.unfinished[upload]
        self.objects[name] = bytes(data), mime_type
        request.reply(200, self._described(name))

    def _object(self, request: Any, name: str, *, media: bool) -> None:
        if name not in self.objects:
            request.reply(404, {"error": {"message": "no"}})
            return
        data, mime_type = self.objects[name]
        if request.command == "DELETE":
            del self.objects[name]
            request.reply(204)
        elif not media:
            request.reply(200, self._described(name))
        else:
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range") or "bytes=0-")
            assert match is not None
            start = int(match[1])
            if start >= len(data):
                request.reply(416)
                return
            part = data[start : int(match[2]) + 1 if match[2] else None]
            headers = {
                "Content-Type": mime_type,
                "Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(data)}",
            }
            request.reply(206, part, headers)

    def _described(self, name: str) -> dict[str, str]:
        data, mime_type = self.objects[name]
        checksum = base64.b64encode(google_crc32c.Checksum(data).digest()).decode()
        return {
            "name": name,
            "size": str(len(data)),
            "contentType": mime_type,
            "generation": "1",
            "crc32c": checksum,
        }
