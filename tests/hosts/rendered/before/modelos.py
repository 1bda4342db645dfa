"""O que a oficina guarda no Datastore."""
from datetime import datetime, timezone

from google.cloud import ndb
from werkzeug.security import check_password_hash, generate_password_hash

SITUACOES = ["Orçamento", "Em serviço", "Pronto", "Entregue"]


def utcnow() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)


class Atendente(ndb.Model):
    """A chave é o login."""

    nome = ndb.StringProperty(required=True)
    senha_hash = ndb.TextProperty(required=True)

    @classmethod
    def cadastra(cls, login: str, senha: str, nome: str) -> None:
        cls(id=login, nome=nome, senha_hash=generate_password_hash(senha)).put()

    def confere(self, senha: str) -> bool:
        return check_password_hash(self.senha_hash, senha)


class Contato(ndb.Model):
    """Um cliente da oficina. A chave é o telefone, só dígitos."""

    apelido = ndb.StringProperty()
    veiculo = ndb.StringProperty()
    situacao = ndb.StringProperty(choices=SITUACOES, default=SITUACOES[0])
    resumo = ndb.TextProperty()
    atualizado = ndb.DateTimeProperty()

    @property
    def telefone(self) -> str:
        return self.key.id()

    @property
    def titulo(self) -> str:
        return self.apelido or f"+{self.telefone}"

    @classmethod
    def recentes(cls, quantos: int = 60) -> list["Contato"]:
        return cls.query().order(-cls.atualizado).fetch(quantos)


class Recado(ndb.Model):
    """Uma mensagem. As recebidas têm o id do WhatsApp como chave; as nossas, uma automática."""

    contato = ndb.KeyProperty(kind=Contato, required=True)
    corpo = ndb.TextProperty(required=True)
    quando = ndb.DateTimeProperty(required=True)
    recebido = ndb.BooleanProperty(required=True)
    autor = ndb.StringProperty()
    id_whatsapp = ndb.StringProperty()
    erro = ndb.TextProperty()

    @classmethod
    def de(cls, contato: Contato, quantos: int = 100) -> list["Recado"]:
        """Os últimos recados do contato, do mais antigo ao mais novo."""
        busca = cls.query(cls.contato == contato.key).order(-cls.quando)
        return list(reversed(busca.fetch(quantos)))
