"""The browser's files, at addresses that change with them.

A script imports the next one by a relative address, so one folder name in front of all keeps a page
and everything that it loads of one version: no import, however deep, meets what a browser, a proxy
or an instance of another deployment still has.

The chat's page has its scripts and styles in one file each where `local/page_build.py` has made
these of what is there, and loads the modules themselves where it has not.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

from flask import Flask, Response, request

FOLDER = Path(__file__).resolve().parents[2] / "static"
BUILT = FOLDER / "built"
#: In `BUILT`: the version of what it was made of.
MADE_OF = "made-of"
_NO_SOURCES = ("built", "vendor")
_KEPT_FOR = timedelta(days=365)


def version(folder: Path, *, without: Collection[str] = ()) -> str:
    """Twelve hexadecimal digits that stand for all files in `folder`, with their names.

    `without`: names of folders in it that do not count; those that begin with a full stop never do.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if name.parts[0].startswith(".") or name.parts[0] in without:
            continue
        content = path.read_bytes()
        digest.update(f"{name.as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def sources_version() -> str:
    """Stands for all that `BUILT` is made of."""
    return version(FOLDER, without=_NO_SOURCES)


def is_built() -> bool:
    """Whether `BUILT` is there, and made of the sources as they are."""
    try:
        made_of = (BUILT / MADE_OF).read_text(encoding="utf-8")
    except OSError:
        return False
    return made_of == sources_version()


def page_files() -> str:
    """The folder of `static/` that has the page's `chat.js` and `chat.css`."""
    return f"{BUILT.name}/chat" if is_built() else "chat"


def url_path() -> str:
    """What the addresses of this version's files begin with."""
    return f"/static/{version(FOLDER)}"


def init_app(app: Flask, *, production: bool) -> None:
    """Lets browsers keep the files, in production: whoever changes them here wants to see that."""
    if not production:
        app.jinja_env.globals["page_files"] = page_files
        return
    app.jinja_env.globals["page_files"] = functools.cache(page_files)
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = _KEPT_FOR

    @app.after_request
    def never_ask_again(response: Response) -> Response:
        if request.endpoint == "static" and response.status_code in (200, 206, 304):
            response.cache_control.immutable = True
        return response
