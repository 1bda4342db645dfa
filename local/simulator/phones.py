"""The customers, what is on their phones, and how they are found."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from local.simulator.identities import (
    bsuid_of,
    digits_of,
    is_bsuid,
    new_bsuid,
    ninth_digit_form,
    other_form,
)
from local.simulator.switches import InvalidInput

__all__ = ["NO_BUBBLE", "Customer", "Message", "Phones", "preview", "valid_phone"]

JSON = dict[str, Any]

FROM_FORMS = ("with", "without")
# They change a message and make no bubble of their own.
NO_BUBBLE = ("reaction", "edit", "revoke")

# What people are called who write without having been given a name.
_NAMES = (
    "Ana Beatriz Souza", "Bruno Carvalho", "Camila Ferreira", "Diego Nascimento",
    "Eduarda Lima", "Felipe Andrade", "Gabriela Rocha", "Henrique Moura",
    "Isabela Martins", "João Pedro Alves", "Karina Duarte", "Lucas Teixeira",
    "Mariana Costa", "Nathalia Ribeiro", "Otávio Mendes", "Patrícia Gomes",
    "Rafael Barbosa", "Sofia Cardoso", "Thiago Pereira", "Vitória Nunes",
)  # fmt: skip

# The text that stands for a message on the phone, by where its body keeps one.
_LABELS = {
    "image": "📷 Foto", "video": "🎥 Vídeo", "audio": "🎤 Áudio", "document": "📄 Documento",
    "sticker": "Figurinha", "location": "📍 Localização", "contacts": "👤 Contato",
    "template": "Modelo", "order": "🛒 Pedido", "unsupported": "Mensagem não suportada",
    "request_welcome": "Abriu a conversa", "edit": "Mensagem editada",
    "revoke": "Mensagem apagada",
}  # fmt: skip


@dataclass
class Message:
    """One message on one phone."""

    id: str
    author: str  # "business" or "customer"
    type: str
    body: Any
    at: float
    status: str
    reply_to: str | None = None
    reactions: dict[str, str] = field(default_factory=dict)
    # What only the business's messages have:
    callback_data: str | None = None
    recipient_id: str | None = None
    by_user_id: bool = False  # sent to a BSUID, not to a number
    error: tuple[int, str] | None = None
    times: dict[str, float] = field(default_factory=dict)
    held_statuses: list[Any] = field(default_factory=list)
    group_id: str | None = None

    @property
    def on_phone(self) -> bool:
        """Whether the phone shows it: not before it is delivered, and never a refused one."""
        return self.author == "customer" or self.status in ("delivered", "read")

    def as_json(self) -> JSON:
        return {
            "id": self.id,
            "direction": "out" if self.author == "customer" else "in",
            "author": self.author,
            "type": self.type,
            "text": preview(self.type, self.body),
            "body": self.body,
            "status": self.status,
            "at": self.at,
            "times": dict(self.times),
            "reply_to": self.reply_to,
            "group_id": self.group_id,
            "reactions": dict(self.reactions),
            "on_phone": self.on_phone,
            "error": self.error and {"code": self.error[0], "details": self.error[1]},
        }


@dataclass
class Customer:
    """A person with WhatsApp. Without ``phone`` they show their username only."""

    phone: str | None
    bsuid: str
    name: str
    username: str | None = None
    online: bool = True
    reads: bool = False  # reads what arrives by themselves
    from_form: str | None = None  # the ninth digit in what they write: with, without, as it is
    on_whatsapp: bool = True
    messages: list[Message] = field(default_factory=list)
    typing_until: float = 0.0  # the business is shown as typing until then
    last_wrote: float | None = None

    @property
    def key(self) -> str:
        """What they are called in this simulator's paths."""
        return self.phone or self.bsuid

    def wa_id(self, ninth_digit: str, given: str | None = None) -> str | None:
        """The form of the number that WhatsApp tells.

        Args:
            ninth_digit: the switch of that name.
            given: the digits a send came with; None for what the customer does.
        """
        if self.phone is None:
            return None
        form = self.from_form or (ninth_digit if ninth_digit in FROM_FORMS else None)
        if form:
            return ninth_digit_form(self.phone, form)
        base = given or self.phone
        return other_form(base) if ninth_digit == "other" else base

    def as_json(self, now: float) -> JSON:
        shown = [message for message in self.messages if message.on_phone]
        last = shown[-1] if shown else None
        return {
            "id": self.key,
            "phone": self.phone,
            "bsuid": self.bsuid,
            "name": self.name,
            "username": self.username,
            "online": self.online,
            "reads": self.reads,
            "from_form": self.from_form,
            "on_whatsapp": self.on_whatsapp,
            "typing": now < self.typing_until,
            "unread": sum(m.author == "business" and m.status == "delivered" for m in shown),
            "on_the_way": sum(not m.on_phone and m.status != "failed" for m in self.messages),
            "last_message": last and last.as_json(),
        }


def preview(kind: str, body: Any) -> str:
    """What a phone would show for a message in one line (pt-BR)."""
    if not isinstance(body, dict):
        return _LABELS.get(kind, kind)
    if kind in ("text", "system"):
        return str(body.get("body", ""))
    if kind == "reaction":
        return f"Reagiu com {body['emoji']}" if body.get("emoji") else "Removeu a reação"
    if kind == "button":
        return str(body.get("text", ""))
    if kind == "template" and isinstance(shown := body.get("rendered"), dict):
        return str(shown["text"])
    if kind == "interactive":
        for reply in ("button_reply", "list_reply"):
            if isinstance(body.get(reply), dict):
                return str(body[reply].get("title", ""))
        inner = body.get("body")
        return str(inner.get("text", "")) if isinstance(inner, dict) else "Mensagem interativa"
    detail = body.get("caption") or body.get("name") or body.get("filename")
    label = _LABELS.get(kind, kind)
    return f"{label}: {detail}" if isinstance(detail, str) and detail else label


def valid_phone(value: Any, name: str = "phone") -> str:
    """A phone number's digits.

    Raises:
        InvalidInput: not 8 to 15 digits, the bounds of E.164 and of what WhatsApp has.
    """
    digits = digits_of(value)
    if digits is None or not 8 <= len(digits) <= 15:
        raise InvalidInput(name, "must be a phone number of 8 to 15 digits, with or without +")
    return digits


class Phones:
    """All customers. ``lock`` guards them and everything on their phones."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.revision = 0  # grows with every change, so that the page can ask cheaply
        self._by_phone: dict[str, Customer] = {}
        self._by_bsuid: dict[str, Customer] = {}
        self._given: set[str] = set()  # a number's next holder is somebody else
        self._messages: dict[str, tuple[Customer, Message]] = {}
        self._groups: dict[str, list[Customer]] = {}  # members, who wrote last at the end

    def __iter__(self) -> Iterator[Customer]:
        return iter(self._by_bsuid.values())

    def clear(self) -> None:
        """A world without customers."""
        with self.lock:
            self._by_phone.clear()
            self._by_bsuid.clear()
            self._given.clear()
            self._messages.clear()
            self._groups.clear()
            self.changed()

    def changed(self) -> None:
        """Something that the page shows is new."""
        self.revision += 1

    def find(self, key: str) -> Customer | None:
        """A customer by number (in either Brazilian form), BSUID or ``@username``."""
        with self.lock:
            digits = digits_of(key)
            if digits is not None:
                return self._by_phone.get(digits) or self._by_phone.get(other_form(digits))
            if key in self._by_bsuid:
                return self._by_bsuid[key]
            name = key.removeprefix("@")
            return next((one for one in self if one.username and one.username == name), None)

    def find_or_add(self, key: str) -> Customer:
        """The customer with this number or BSUID, a new one where there is none.

        Raises:
            InvalidInput: neither a number nor a BSUID, and nobody's username.
        """
        with self.lock:
            found = self.find(key)
            if found is not None:
                return found
            if is_bsuid(key):
                return self.add(phone=None, bsuid=key)
            return self.add(phone=valid_phone(key))

    def add(
        self,
        *,
        phone: str | None,
        bsuid: str | None = None,
        name: str | None = None,
        username: str | None = None,
    ) -> Customer:
        """A new customer.

        Raises:
            InvalidInput: the number or the BSUID is somebody's already.
        """
        with self.lock:
            if phone is not None and self.find(phone) is not None:
                raise InvalidInput("phone", "belongs to another customer")
            if bsuid is None:
                first = bsuid_of(phone) if phone else None
                bsuid = first if first and first not in self._given else new_bsuid()
            if bsuid in self._by_bsuid:
                raise InvalidInput("bsuid", "belongs to another customer")
            self._given.add(bsuid)
            default = _NAMES[(int(phone) if phone else len(self._by_bsuid)) % len(_NAMES)]
            customer = Customer(phone, bsuid, name or username or default, username)
            self._by_bsuid[bsuid] = customer
            if phone:
                self._by_phone[phone] = customer
            self.changed()
            return customer

    def renumber(self, customer: Customer, phone: str, bsuid: str) -> None:
        """Another number and another BSUID for the same person; the old number is free then.

        Raises:
            InvalidInput: the number is somebody else's.
        """
        with self.lock:
            owner = self.find(phone)
            if owner is not None and owner is not customer:
                raise InvalidInput("new_phone", "belongs to another customer")
            if customer.phone:
                del self._by_phone[customer.phone]
            del self._by_bsuid[customer.bsuid]
            customer.phone, customer.bsuid = phone, bsuid
            self._by_phone[phone] = self._by_bsuid[bsuid] = customer
            self.changed()

    def keep(self, customer: Customer, message: Message) -> None:
        """Put a message on a phone."""
        with self.lock:
            customer.messages.append(message)
            self._messages[message.id] = (customer, message)
            self.changed()

    def apply(self, kind: str, message_id: str, who: str, body: Any) -> None:
        """A reaction, an edit or a revoke changes what the phone shows of its message.

        Args:
            who: `customer` or `business`.
            body: what stands under the type's key.
        """
        with self.lock:
            found = self._messages.get(message_id)
            if found is None or not isinstance(body, dict):
                return
            message = found[1]
            if kind == "reaction" and body.get("emoji"):
                message.reactions[who] = body["emoji"]
            elif kind == "reaction":
                message.reactions.pop(who, None)
            elif kind == "edit" and isinstance(new := body.get("message"), dict):
                message.body = new.get(new.get("type", "text"), message.body)
            elif kind == "revoke":
                message.type, message.body, message.reactions = "revoke", None, {}
            self.changed()

    def join(self, group_id: str, customer: Customer) -> None:
        """Somebody writes in a group, which is there from then on."""
        with self.lock:
            members = self._groups.setdefault(group_id, [])
            members[:] = [*(each for each in members if each is not customer), customer]

    def members(self, group_id: str) -> list[Customer]:
        """Who is in a group; nobody where there is none."""
        return list(self._groups.get(group_id, ()))

    def message(self, message_id: str) -> tuple[Customer, Message] | None:
        """A message by its wamid, with whose phone it is on."""
        return self._messages.get(message_id)
