"""The customer's phone, in a browser."""

from flask import Blueprint, Response, abort, jsonify, render_template

from local.simulator.errors import CODES
from local.simulator.openapi import description
from local.simulator.switches import SWITCHES
from local.simulator.world import World

__all__ = ["page_blueprint"]


def page_blueprint(world: World) -> Blueprint:
    """The page, what it needs, and the description of all routes."""
    page = Blueprint("page", __name__)

    @page.get("/")
    def phone() -> str:
        return render_template("phone.html")

    @page.get("/phone/switches.json")
    def switch_table() -> Response:
        """What the panel of faults is drawn from."""
        rows = {
            name: {
                "label": one.label,
                "description": one.description,
                "default": one.default,
                "example": one.example,
                "schema": one.schema,
            }
            for name, one in SWITCHES.items()
        }
        return jsonify(codes={str(code): CODES[code][1] for code in sorted(CODES)}, switches=rows)

    @page.get("/phone/media/<digits:media_id>")
    def media(media_id: str) -> Response:
        """The phone shows what it sent and got; it needs no token for that."""
        stored = world.media.get(media_id)
        if stored is None:
            abort(404)
        response = Response(stored.chunks(), mimetype=stored.mime_type)
        if stored.mime_type.partition("/")[0] not in ("image", "audio", "video"):
            response.headers["Content-Disposition"] = "attachment"
        response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return response

    @page.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(description(world.url))

    return page
