# Atendimento da Padaria Pão Nosso pelo WhatsApp.
# Roda no App Engine (Python 3.12). As variáveis ficam no app.yaml.
import hashlib
import hmac
import logging
import os
from datetime import datetime, timedelta, timezone
from functools import wraps

import requests
from flask import Flask, abort, jsonify, redirect, render_template, request, session, url_for
from google.cloud import ndb

logging.basicConfig(level=logging.INFO)

API_URL = os.environ.get('WHATSAPP_API_URL', 'https://graph.facebook.com')
TOKEN = os.environ.get('WHATSAPP_TOKEN', '')
NUMERO_ID = os.environ.get('WHATSAPP_PHONE_NUMBER_ID', '')
APP_SECRET = os.environ.get('WHATSAPP_APP_SECRET', '')
VERIFY_TOKEN = os.environ.get('WHATSAPP_VERIFY_TOKEN', '')

# quem pode entrar: USUARIOS="ana:senha,bruno:outra"
USUARIOS = dict(u.split(':', 1) for u in os.environ.get('USUARIOS', '').split(',') if ':' in u)

BRASILIA = timedelta(hours=-3)

HORARIO = 'Abrimos de segunda a sábado, das 6h às 20h.'

app = Flask(__name__)
app.secret_key = os.environ.get('SECRET_KEY', 'dev')
app.config['SESSION_COOKIE_SAMESITE'] = 'Lax'

client = ndb.Client()


def ndb_middleware(wsgi_app):
    def middleware(environ, start_response):
        with client.context():
            return wsgi_app(environ, start_response)
    return middleware


app.wsgi_app = ndb_middleware(app.wsgi_app)


class Conversa(ndb.Model):
    nome = ndb.StringProperty()
    telefone = ndb.StringProperty()
    ultima_mensagem = ndb.TextProperty()
    ultima_hora = ndb.DateTimeProperty()
    arquivada = ndb.BooleanProperty(default=False)

    def para_json(self):
        return {
            'id': self.key.id(),
            'nome': self.nome or self.telefone,
            'telefone': self.telefone,
            'ultima': self.ultima_mensagem or '',
            'hora': hora_local(self.ultima_hora),
        }


class Mensagem(ndb.Model):
    conversa = ndb.KeyProperty(kind='Conversa')
    texto = ndb.TextProperty()
    hora = ndb.DateTimeProperty()
    minha = ndb.BooleanProperty(default=False)
    usuario = ndb.StringProperty()
    wamid = ndb.StringProperty()

    def para_json(self):
        return {
            'id': self.key.id(),
            'texto': self.texto,
            'hora': hora_local(self.hora),
            'minha': self.minha,
            'usuario': self.usuario,
        }


def hora_local(hora):
    return (hora + BRASILIA).strftime('%d/%m %H:%M') if hora else ''


def agora():
    return datetime.now(timezone.utc).replace(tzinfo=None)


def precisa_login(f):
    @wraps(f)
    def decorada(*args, **kwargs):
        if 'usuario' not in session:
            if request.path.startswith('/api/'):
                return jsonify(erro='Faça login de novo.'), 401
            return redirect(url_for('login'))
        return f(*args, **kwargs)
    return decorada


@app.route('/login', methods=['GET', 'POST'])
def login():
    erro = None
    if request.method == 'POST':
        usuario = request.form.get('usuario', '').strip().lower()
        senha = request.form.get('senha', '')
        if usuario in USUARIOS and hmac.compare_digest(USUARIOS[usuario].encode(), senha.encode()):
            session['usuario'] = usuario
            return redirect(url_for('index'))
        erro = 'Usuário ou senha inválidos.'
    return render_template('login.html', erro=erro)


@app.route('/sair')
def sair():
    session.clear()
    return redirect(url_for('login'))


@app.route('/')
@precisa_login
def index():
    return render_template('chat.html', usuario=session['usuario'])


@app.route('/api/conversas')
@precisa_login
def listar_conversas():
    conversas = Conversa.query(Conversa.arquivada == False).order(-Conversa.ultima_hora).fetch(100)  # noqa: E712
    return jsonify([c.para_json() for c in conversas])


@app.route('/api/conversas/<int:id>/mensagens')
@precisa_login
def listar_mensagens(id):
    conversa = Conversa.get_by_id(id)
    if not conversa:
        abort(404)
    mensagens = Mensagem.query(Mensagem.conversa == conversa.key).order(-Mensagem.hora).fetch(200)
    mensagens.reverse()
    return jsonify(conversa=conversa.para_json(), mensagens=[m.para_json() for m in mensagens])


@app.route('/api/conversas/<int:id>/enviar', methods=['POST'])
@precisa_login
def enviar(id):
    conversa = Conversa.get_by_id(id)
    if not conversa:
        abort(404)
    texto = (request.get_json().get('texto') or '').strip()
    if not texto:
        return jsonify(erro='Escreva uma mensagem.'), 400

    mensagem = Mensagem(conversa=conversa.key, texto=texto, hora=agora(), minha=True,
                        usuario=session['usuario'])
    try:
        mandar_e_guardar(conversa, mensagem)
    except Exception as e:
        logging.exception('erro ao enviar para %s', conversa.telefone)
        return jsonify(erro='Não foi possível enviar: %s' % e), 502
    return jsonify(mensagem.para_json())


@app.route('/api/conversas/<int:id>', methods=['POST'])
@precisa_login
def alterar_conversa(id):
    conversa = Conversa.get_by_id(id)
    if not conversa:
        abort(404)
    dados = request.get_json()
    if dados.get('nome'):
        conversa.nome = dados['nome'].strip()
    if 'arquivada' in dados:
        conversa.arquivada = bool(dados['arquivada'])
    conversa.put()
    return jsonify(conversa.para_json())


def mandar_whatsapp(telefone, texto):
    url = '%s/v21.0/%s/messages' % (API_URL, NUMERO_ID)
    r = requests.post(url, headers={'Authorization': 'Bearer ' + TOKEN}, timeout=15, json={
        'messaging_product': 'whatsapp',
        'to': telefone,
        'type': 'text',
        'text': {'body': texto},
    })
    dados = r.json()
    if 'error' in dados:
        raise Exception(dados['error'].get('message'))
    return dados['messages'][0]['id']


def mandar_e_guardar(conversa, mensagem):
    mensagem.wamid = mandar_whatsapp(conversa.telefone, mensagem.texto)
    mensagem.put()
    conversa.ultima_mensagem = mensagem.texto
    conversa.ultima_hora = mensagem.hora
    conversa.put()


def responder_sozinho(msg):
    # quem só quer saber o horário não precisa esperar por nós
    if 'horário' not in msg['text']['body'].lower():
        return
    conversa = Conversa.query(Conversa.telefone == msg['from']).get()
    mensagem = Mensagem(conversa=conversa.key, texto=HORARIO, hora=agora(), minha=True, usuario='robô')
    mandar_e_guardar(conversa, mensagem)


@app.route('/webhook', methods=['GET'])
def verificar_webhook():
    if request.args.get('hub.mode') == 'subscribe' and request.args.get('hub.verify_token') == VERIFY_TOKEN:
        return request.args.get('hub.challenge', '')
    abort(403)


@app.route('/webhook', methods=['POST'])
def receber_webhook():
    assinatura = request.headers.get('X-Hub-Signature-256', '')
    esperada = 'sha256=' + hmac.new(APP_SECRET.encode(), request.get_data(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(assinatura, esperada):
        abort(403)

    for entry in request.get_json().get('entry', []):
        for change in entry.get('changes', []):
            valor = change.get('value', {})
            nomes = {c.get('wa_id'): c.get('profile', {}).get('name') for c in valor.get('contacts', [])}
            for msg in valor.get('messages', []):
                # por enquanto só texto
                if msg['type'] == 'text':
                    if guardar_mensagem(msg, nomes.get(msg['from'])):
                        responder_sozinho(msg)
    return 'ok'


def guardar_mensagem(msg, nome):
    # o WhatsApp às vezes manda a mesma mensagem duas vezes
    if Mensagem.query(Mensagem.wamid == msg['id']).get():
        return False

    conversa = Conversa.query(Conversa.telefone == msg['from']).get()
    if not conversa:
        conversa = Conversa(telefone=msg['from'], nome=nome)
        conversa.put()

    hora = datetime.fromtimestamp(int(msg['timestamp']), timezone.utc).replace(tzinfo=None)
    Mensagem(conversa=conversa.key, texto=msg['text']['body'], hora=hora, wamid=msg['id']).put()

    conversa.ultima_mensagem = msg['text']['body']
    conversa.ultima_hora = hora
    conversa.arquivada = False
    conversa.put()
    return True


if __name__ == '__main__':
    app.run(port=int(os.environ.get('PORT', 8080)), debug=True)
