"""The chat as an installed app: its service worker, and what that shows without a connection.

Both answer without a login: they hold no data, and a browser asks for them when it likes.
"""

from __future__ import annotations

import json

from flask import Blueprint, Response, current_app, url_for
from flask.typing import ResponseReturnValue

from chat.platform import assets
from chat.platform.settings import Settings

blueprint = Blueprint("installed", __name__)

_SCRIPT = assets.FOLDER / "chat" / "installed" / "service_worker.js"
_ICONS = {"icon": "icon-192.png", "badge": "badge-96.png"}
#: What the page without a connection is made of.
_STYLES = ["chat/base.css", "chat/installed/offline.css"]
_SCRIPTS = ["chat/installed/offline.js"]
_SIGN = "chat/favicon.svg"
_THEME = "chat/user_menu/theme_at_start.js"


@blueprint.get("/service-worker.js")
def service_worker() -> ResponseReturnValue:
    """The service worker, at the root: it serves the pages below its own address."""
    settings: Settings = current_app.extensions["chat_settings"]
    base = str(current_app.static_url_path)
    given = {
        "version": base.rpartition("/")[2],
        "base": f"{base}/",
        "checks": not settings.production,
        "offline": [
            url_for("installed.offline"),
            *map(_file, (*_STYLES, *_SCRIPTS, _SIGN, _THEME)),
        ],
        **{role: _file(f"chat/installed/icons/{name}") for role, name in _ICONS.items()},
    }
    script = f"const GIVEN = {json.dumps(given)};\n{_SCRIPT.read_text(encoding='utf-8')}"
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'self'"}
    return Response(script, mimetype="text/javascript", headers=headers)


@blueprint.get("/offline")
def offline() -> ResponseReturnValue:
    """What is shown in place of any page that cannot be had."""
    # Not `render_template`, which reads the attendant: this is the same page for everybody.
    template = current_app.jinja_env.get_template("chat/offline.html")
    return template.render(styles=_STYLES, scripts=_SCRIPTS, icon=_SIGN, theme=_THEME)


def _file(name: str) -> str:
    return url_for("static", filename=name)
