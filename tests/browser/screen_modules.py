"""A page in which the screen's JavaScript modules can be imported and asked."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.sync_api import Browser

from local.processes.parts import ROOT

Run = Callable[..., Any]

#: Any page of the same origin will do to import from.
_BLANK = "static/chat/favicon.svg"
_MODULES = [
    "composer/attachments/limits",
    "composer/drafts",
    "composer/suggestions",
    "composer/typing",
    "composer/voice/levels",
    "data/awaiting",
    "data/claude",
    "data/files/file_store",
    "data/loader",
    "data/page_state",
    "data/row_order",
    "data/sending",
    "data/thread_state",
    "list/conversation_menu",
    "list/list_order",
    "message/bubble",
    "media/cards",
    "media/quoted",
    "media/pictures/albums",
    "media/viewer/zoom",
    "media/voice/heard",
    "media/voice/waveform",
    "message/extras",
    "data/own_name",
    "panel/chat_contents",
    "panel/moments",
    "parts/format",
    "parts/media_format",
    "parts/rich_text",
    "search/words",
    "templates/filling",
    "templates/number_lookup",
    "thread/thread_header",
    "thread/thread_items",
]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def modules_page(chromium: Browser) -> Iterator[Run]:
    """Gives `run(body, arg)`: the body of an async function, run with the modules in scope."""
    imports = "".join(
        f"const {path.rpartition('/')[2]} = await import('/static/chat/{path}.js');"
        for path in _MODULES
    )
    imports += "const status = await import('/static/message_status.js');"
    with static_files() as url:
        context = chromium.new_context(locale="pt-BR", timezone_id="America/Sao_Paulo")
        page = context.new_page()
        page.goto(f"{url}/{_BLANK}")
        yield lambda body, arg=None: page.evaluate(f"async (arg) => {{ {imports} {body} }}", arg)
        context.close()


@contextmanager
def static_files() -> Iterator[str]:
    """The address of the project's files, without an application behind them."""
    handler = functools.partial(_Quiet, directory=str(ROOT))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()
