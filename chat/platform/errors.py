"""Errors as the contract has them: `{"error": {"code", "message", "field"?}}`, in Portuguese."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from chat.platform import datastore

_log = logging.getLogger(__name__)

_TEXTS = {
    400: ("bad_request", "A requisição não pôde ser entendida."),
    401: ("login_required", "Sua sessão terminou. Entre de novo."),
    403: ("forbidden", "Você não tem permissão para isto."),
    404: ("not_found", "Não encontrado."),
    405: ("method_not_allowed", "Este endereço não aceita este método."),
    409: ("conflict", "A requisição contradiz outra que já foi feita."),
    413: ("too_large", "O conteúdo é grande demais."),
    415: ("not_json", "A requisição precisa ser JSON."),
    422: ("invalid", "Um dos dados não é válido."),
}


class ApiError(Exception):
    """A request that cannot be fulfilled, and what to tell its sender."""

    def __init__(
        self, status: int, code: str, message: str, field: str | None = None, **more: Any
    ) -> None:
        super().__init__(code)
        self.status = status
        self.body: dict[str, Any] = {"code": code, "message": message, **more}
        if field is not None:
            self.body["field"] = field


def init_app(app: Flask) -> None:
    """Registers the handlers for everything that goes wrong."""
    app.register_error_handler(ApiError, lambda error: (jsonify(error=error.body), error.status))
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)
    for kind in datastore.ERRORS:
        app.register_error_handler(kind, _store)


def _csrf(_error: CSRFError) -> ResponseReturnValue:
    message = "Esta página ficou aberta tempo demais. Recarregue e tente novamente."
    return jsonify(error={"code": "bad_csrf_token", "message": message}), 400


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400:
        return error
    default = ("error", "Algo deu errado. Tente novamente.")
    code, message = _TEXTS.get(status, default)
    response = jsonify(error={"code": code, "message": message})
    return response, status, [(k, v) for k, v in error.get_headers() if k in ("Allow", "Location")]


def _store(error: Exception) -> ResponseReturnValue:
    _log.error("the store failed: %s", type(error).__name__)
    return jsonify(datastore.UNAVAILABLE_BODY), 503, {"Retry-After": "5"}
