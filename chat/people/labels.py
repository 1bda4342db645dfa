"""The labels ("Etiquetas") that the business puts on its chats: their names and colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.cloud import ndb

import realtime_events
from chat.conversation.models import new_id
from chat.platform import datastore

#: As in WhatsApp Business.
MOST = 20
MAX_NAME = 60
#: Of static/chat/base.css: tone-0 and so on.
COLOURS = 8
_NAME = "all"
#: Those that WhatsApp Business begins with.
_FIRST = (
    ("new-customer", "Novo cliente", 0),
    ("new-order", "Novo pedido", 6),
    ("pending-payment", "Pagamento pendente", 4),
    ("paid", "Pago", 1),
    ("order-complete", "Pedido finalizado", 3),
)

Label = dict[str, Any]  # {"id", "name", "colour"}


class UnknownLabelError(LookupError):
    """There is no label of this id (any more)."""


class LabelError(ValueError):
    """There can be no such label; the text says why, for attendants."""


class LabelBook(ndb.Model):
    """All labels, in the order they were made. One entity, so that names stay unique and one read
    gives all. Key name: `_NAME`.
    """

    labels = ndb.JsonProperty()
    version = ndb.IntegerProperty(indexed=False, default=0)


def book() -> LabelBook:
    """The business's labels; those to begin with as long as nobody has changed any."""
    known = datastore.get(LabelBook, _NAME)
    if known is None:
        first = [{"id": id_, "name": name, "colour": colour} for id_, name, colour in _FIRST]
        known = LabelBook(id=_NAME, labels=first)
    return known


def as_json(known: LabelBook) -> dict[str, Any]:
    """What the API and the event tell: the whole book, and which of two is the newer."""
    return {"labels": known.labels, "version": known.version}


def add(name: str, colour: int) -> tuple[Label, LabelBook]:
    """Makes a label; a transaction of its own.

    Raises:
        LabelError: the name is taken, or there are `MOST` already.
    """
    label = {"id": new_id(), "name": name, "colour": colour}

    def act(labels: list[Label]) -> list[Label]:
        if len(labels) >= MOST:
            raise LabelError(f"Só dá para ter {MOST} etiquetas. Apague uma para criar outra.")
        _check_name(labels, label)
        return [*labels, label]

    return label, _change(act)


def edit(label_id: str, name: str | None = None, colour: int | None = None) -> LabelBook:
    """Gives a label another name or colour; a transaction of its own.

    Raises:
        UnknownLabelError: there is none.
        LabelError: the name is taken.
    """

    def act(labels: list[Label]) -> list[Label]:
        old = _of(labels, label_id)
        given = {"name": name, "colour": colour}
        new = {**old, **{key: value for key, value in given.items() if value is not None}}
        _check_name(labels, new)
        return [new if each is old else each for each in labels]

    return _change(act)


def remove(label_id: str) -> LabelBook:
    """Deletes a label; a transaction of its own. The chats keep an id that means nothing any more
    and is never given again, until their labels change: a label may be on thousands of them.

    Raises:
        UnknownLabelError: there is none.
    """

    def act(labels: list[Label]) -> list[Label]:
        old = _of(labels, label_id)
        return [each for each in labels if each is not old]

    return _change(act)


def changed(before: list[str], add: list[str], remove: list[str]) -> list[str]:
    """The labels of a chat after some were put on and others taken off; in a transaction.

    Args:
        before: the chat's.
        add: ids to be put on.
        remove: ids to be taken off.

    Raises:
        UnknownLabelError: one that is to be put on was deleted.
    """
    known = [each["id"] for each in book().labels]
    if any(each not in known for each in add):
        raise UnknownLabelError
    wanted = {*before, *add} - set(remove)
    return [each for each in known if each in wanted]


def _change(act: Callable[[list[Label]], list[Label]]) -> LabelBook:
    def attempt() -> LabelBook:
        known = book()
        after = act(known.labels)
        if after != known.labels:
            known.labels, known.version = after, known.version + 1
            known.put()
            realtime_events.publish("labels.changed", as_json(known), conversation_id=None)
        return known

    return realtime_events.transaction(attempt)


def _of(labels: list[Label], label_id: str) -> Label:
    found = next((each for each in labels if each["id"] == label_id), None)
    if found is None:
        raise UnknownLabelError
    return found


def _check_name(labels: list[Label], new: Label) -> None:
    others = (each["name"] for each in labels if each["id"] != new["id"])
    if new["name"].casefold() in (each.casefold() for each in others):
        raise LabelError("Já existe uma etiqueta com este nome.")
