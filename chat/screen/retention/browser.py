"""What browsers still have of a customer whose data were deleted: the files that they keep."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

blueprint = Blueprint("browser_cache", __name__)


@blueprint.post("/api/browser-cache/clear")
def clear() -> Response:
    """Has the browser that asks forget all answers of ours that it keeps: files stay there for a
    year, and which of them were of that customer, nobody knows any more.
    """
    response = jsonify(cleared=True)
    response.headers["Clear-Site-Data"] = '"cache"'
    response.headers["Cache-Control"] = "no-store"
    return response
