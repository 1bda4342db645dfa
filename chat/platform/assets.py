"""The browser's files, at addresses that change with them.

A script imports the next one by a relative address, so one folder name in front of all keeps a page
and everything that it loads of one version: no import, however deep, meets what a browser, a proxy
or an instance of another deployment still has.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

from flask import Flask, Response, request

FOLDER = Path(__file__).resolve().parents[2] / "static"
_KEPT_FOR = timedelta(days=365)


def version(folder: Path) -> str:
    """Twelve hexadecimal digits that stand for all files in `folder`, with their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def url_path() -> str:
    """What the addresses of this version's files begin with."""
    return f"/static/{version(FOLDER)}"


def init_app(app: Flask, *, production: bool) -> None:
    """Lets browsers keep the files, in production: whoever changes them here wants to see that."""
    if not production:
        return
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = _KEPT_FOR

    @app.after_request
    def never_ask_again(response: Response) -> Response:
        if request.endpoint == "static" and response.status_code in (200, 206, 304):
            response.cache_control.immutable = True
        return response
