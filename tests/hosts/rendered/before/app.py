"""Recados da Oficina do Beto: o WhatsApp da oficina no navegador."""
import os
from datetime import datetime, timedelta, timezone

import click
from flask import Flask, abort, flash, g, redirect, render_template, request, session, url_for
from google.cloud import ndb

import whatsapp
from modelos import SITUACOES, Atendente, Contato, Recado, utcnow

ABERTAS = {"entrar", "webhook", "static"}
BRASILIA = timezone(timedelta(hours=-3))

app = Flask(__name__)
app.config.update(
    SECRET_KEY=os.environ.get("SECRET_KEY", "só para desenvolver"),
    SESSION_COOKIE_NAME="oficina",
    SESSION_COOKIE_SAMESITE="Lax",
)
datastore = ndb.Client()


@app.before_request
def abre_datastore():
    g.contexto = datastore.context()
    g.contexto.__enter__()


@app.teardown_request
def fecha_datastore(erro):
    if contexto := g.pop("contexto", None):
        contexto.__exit__(None, None, None)


@app.before_request
def exige_atendente():
    if request.endpoint in ABERTAS:
        return None
    login = session.get("atendente")
    g.atendente = Atendente.get_by_id(login) if login else None
    if g.atendente is None:
        return redirect(url_for("entrar"))


@app.template_filter("hora")
def hora(quando: datetime | None) -> str:
    if quando is None:
        return ""
    return quando.replace(tzinfo=timezone.utc).astimezone(BRASILIA).strftime("%d/%m/%y %H:%M")


@app.route("/entrar", methods=["GET", "POST"])
def entrar():
    if request.method == "POST":
        login = request.form["login"].strip()
        atendente = Atendente.get_by_id(login) if login else None
        if atendente and atendente.confere(request.form["senha"]):
            session["atendente"] = login
            return redirect(url_for("inicio"))
        flash("Login ou senha incorretos.")
        return redirect(url_for("entrar"))
    return render_template("entrar.html")


@app.post("/sair")
def sair():
    session.pop("atendente", None)
    return redirect(url_for("entrar"))


@app.get("/")
def inicio():
    return render_template("conversas.html", contatos=Contato.recentes())


@app.get("/conversas/<telefone>")
def conversa(telefone):
    contato = Contato.get_by_id(telefone) or abort(404)
    return render_template(
        "conversas.html",
        contatos=Contato.recentes(),
        contato=contato,
        recados=Recado.de(contato),
        situacoes=SITUACOES,
    )


@app.post("/conversas/<telefone>/recados")
def responder(telefone):
    contato = Contato.get_by_id(telefone) or abort(404)
    corpo = request.form["corpo"].strip()
    if corpo:
        recado = Recado(contato=contato.key, corpo=corpo, quando=utcnow(), recebido=False, autor=g.atendente.nome)
        recado.put()
        anota_no_contato(contato, recado)
        try:
            recado.id_whatsapp = whatsapp.envia(contato.telefone, corpo)
        except whatsapp.Recusado as recusa:
            recado.erro = str(recusa)[:500]
            flash(f"A mensagem não foi enviada: {recusa}")
        recado.put()
    return redirect(url_for("conversa", telefone=telefone))


@app.post("/conversas/<telefone>/ficha")
def salvar_ficha(telefone):
    contato = Contato.get_by_id(telefone) or abort(404)
    contato.apelido = request.form["apelido"].strip()
    contato.veiculo = request.form["veiculo"].strip()
    contato.situacao = request.form["situacao"]
    contato.put()
    return redirect(url_for("conversa", telefone=telefone))


@app.route("/webhook", methods=["GET", "POST"])
def webhook():
    if request.method == "GET":
        if request.args.get("hub.verify_token") != os.environ["WHATSAPP_VERIFY_TOKEN"]:
            abort(403)
        return request.args["hub.challenge"]
    if not whatsapp.assinatura_confere(request.data, request.headers.get("X-Hub-Signature-256")):
        abort(401)
    for mensagem, nome in whatsapp.recebidas(request.json):
        corpo = whatsapp.corpo_de(mensagem)
        if corpo is None or Recado.get_by_id(mensagem["id"]):
            continue
        contato = Contato.get_or_insert(mensagem["from"], apelido=nome)
        recado = Recado(
            id=mensagem["id"],
            id_whatsapp=mensagem["id"],
            contato=contato.key,
            corpo=corpo,
            quando=datetime.fromtimestamp(int(mensagem["timestamp"]), timezone.utc).replace(tzinfo=None),
            recebido=True,
        )
        recado.put()
        anota_no_contato(contato, recado)
    return "", 200


def anota_no_contato(contato: Contato, recado: Recado) -> None:
    contato.resumo = recado.corpo[:80]
    contato.atualizado = recado.quando
    contato.put()


@app.cli.command("novo-atendente")
@click.argument("login")
@click.argument("nome")
@click.password_option("--senha")
def novo_atendente(login, nome, senha):
    """Cadastra um atendente, ou troca a senha dele."""
    with datastore.context():
        Atendente.cadastra(login, senha, nome)
    click.echo(f"{nome} já pode entrar.")
