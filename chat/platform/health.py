"""Says that the process answers. Touches nothing else: a store that is down is no reason to kill
the processes that would tell so.
"""

from __future__ import annotations

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@blueprint.get("/_ah/warmup")
def healthy() -> ResponseReturnValue:
    """200 and `ok`, without login and without the store."""
    return Response("ok", mimetype="text/plain", headers={"Cache-Control": "no-store"})
