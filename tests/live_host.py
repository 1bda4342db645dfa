"""A small foreign chat in one file, for tests of the modules alone: integer keys, Portuguese names,
its own login, pages rendered by the server. Under gunicorn: `tests.live_host:create_app()`.
"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, Response, abort, redirect, render_template_string, request, session
from google.auth.credentials import AnonymousCredentials
from google.cloud import ndb

import message_status
import realtime_events
import unread_state
from local.processes.parts import ROOT

_PAGE = """<!doctype html>
<html lang="pt-BR"><head><meta charset="utf-8"><title>Atendimento</title>
{% include "realtime_events/head.html" %}</head>
<body>
<main>
<ul id="lista" data-live-region>{% for c in conversas %}
  <li><a href="/?c={{ c.key.id() }}" {{ c|live }}>{{ c.cliente }} <i>{{ c.resumo or "" }}</i>
  <unread-badge></unread-badge></a></li>{% endfor %}</ul>
{% if aberta %}<section>
<div id="mensagens" data-live-region data-live-thread="{{ aberta.key.id() }}"
     style="height: 300px; overflow: auto">{% for m in mensagens %}
  <p {{ m|live }}>{{ m.corpo }} <message-ticks></message-ticks></p>{% endfor %}</div>
<form method="post" action="/enviar" data-live-composer>
  <input type="hidden" name="conversa" value="{{ aberta.key.id() }}">
  <input name="corpo" aria-label="Mensagem"><button>Enviar</button></form>
</section>{% else %}<div id="mensagens" data-live-region data-live-thread=""></div>{% endif %}
</main></body></html>
"""


class Conversa(unread_state.UnreadConversationMixin):
    """A customer's chat; the key is allocated by the store."""

    cliente = ndb.StringProperty()
    telefone = ndb.StringProperty()
    resumo = ndb.TextProperty()
    atualizada = ndb.DateTimeProperty(auto_now=True)


class Mensagem(unread_state.UnreadMessageMixin, message_status.MessageStatusMixin):
    """A message; the key is allocated by the store."""

    conversa = ndb.KeyProperty(kind="Conversa")
    corpo = ndb.TextProperty()
    nossa = ndb.BooleanProperty(default=False)
    criada = ndb.DateTimeProperty(auto_now_add=True)


#: What the host sent, and what the next calls of the Graph API answer (default: accepted).
sent: list[dict[str, Any]] = []
answers: list[tuple[int, dict[str, Any]]] = []


def deliver(message: Any) -> tuple[int, dict[str, Any]]:
    """Stands for the call of the Graph API."""
    sent.append({"id": realtime_events.id_of(message), "corpo": message.corpo})
    if answers:
        return answers.pop(0)
    return 200, {"messages": [{"id": f"wamid.{len(sent)}.{realtime_events.id_of(message)}"}]}


def make_client() -> ndb.Client:
    """On the store that the environment names."""
    project = os.environ["GOOGLE_CLOUD_PROJECT"]
    return ndb.Client(project=project, credentials=AnonymousCredentials())


def find_or_make(telefone: str) -> Any:
    """The conversation of a phone number, stored."""
    found = Conversa.query(Conversa.telefone == telefone).get()
    if found is None:
        found = Conversa(telefone=telefone, cliente=telefone)
        found.put()
    return found


def create_app(config: dict[str, Any] | None = None, client: ndb.Client | None = None) -> Flask:
    """The host's app.

    Args:
        config: settings on top of the environment's.
        client: default: on the store that the environment names.
    """
    # ndb knows one class of a kind a process, and other tests have kinds of these names.
    ndb.Model._kind_map.update({each._get_kind(): each for each in (Conversa, Mensagem)})
    app = Flask("live_host", root_path=str(ROOT))
    app.config.update({"SECRET_KEY": "s", **(config or {})})
    client = client or make_client()
    realtime_events.init_app(app, client, current_user_id=lambda: session.get("usuario"))
    unread_state.init_app(app, Conversa, Mensagem, name="cliente", text="corpo")
    message_status.init_app(app, Mensagem, send=deliver)

    @app.post("/login")
    def login() -> Response:
        session["usuario"] = request.form["usuario"]
        return redirect("/")  # type: ignore[return-value]

    @app.get("/")
    def page() -> Any:
        if "usuario" not in session:
            return '<form method="post" action="/login"><input name="usuario"></form>'
        with client.context():
            conversas = Conversa.query().order(-Conversa.atualizada).fetch(50)
            aberta = realtime_events.find(Conversa, request.args.get("c"))
            mensagens = []
            if aberta:
                mensagens = Mensagem.query(Mensagem.conversa == aberta.key).fetch(200)
                mensagens.sort(key=lambda each: (each.arrival or 0, each.criada))
            return render_template_string(
                _PAGE, conversas=conversas, aberta=aberta, mensagens=mensagens
            )

    @app.post("/webhook")
    def webhook() -> dict[str, Any]:
        """Takes WhatsApp's payload: text messages and statuses."""
        for entry in request.get_json()["entry"]:
            for change in entry["changes"]:
                value = change["value"]
                for each in value.get("messages", []):
                    with client.context():
                        conversa = find_or_make(each["from"])
                        corpo = each.get("text", {}).get("body", each["type"])
                        mensagem = Mensagem(conversa=conversa.key, corpo=corpo)
                        realtime_events.receive(mensagem, wamid=each["id"], resumo=corpo)
                with client.context():
                    message_status.record_statuses(value.get("statuses"))
        return {}

    @app.post("/enviar")
    def enviar() -> Any:
        """One synchronous send, of a form or of a script."""
        if "usuario" not in session:
            abort(401)
        data = request.get_json(silent=True) or request.form
        with client.context():
            conversa = realtime_events.find(Conversa, data["conversa"]) or abort(404)
            mensagem = Mensagem(conversa=conversa.key, corpo=data["corpo"], nossa=True)
            message_status.send(mensagem, resumo=data["corpo"])
            if request.is_json:
                return mensagem.live_json()
            return redirect(f"/?c={data['conversa']}")

    return app


def webhook_message(phone: str, text: str, wamid: str) -> dict[str, Any]:
    """WhatsApp's payload of one customer's text."""
    message = {"from": phone, "id": wamid, "type": "text", "text": {"body": text}}
    return {"entry": [{"changes": [{"value": {"messages": [message]}}]}]}


def webhook_status(wamid: str, status: str, **more: Any) -> dict[str, Any]:
    """WhatsApp's payload of one delivery status."""
    told = {"id": wamid, "status": status, "timestamp": "1700000000", **more}
    return {"entry": [{"changes": [{"value": {"statuses": [told]}}]}]}
