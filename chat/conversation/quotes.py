"""Finds the messages that replies answer."""

from __future__ import annotations

from collections.abc import Iterable

from google.cloud import ndb

import message_status
from chat.conversation.incoming_message import IncomingMessage
from chat.conversation.models import Message
from chat.conversation.thread import Quote, preview, summary_of
from chat.platform import datastore


def of_message(message: Message) -> Quote:
    """What a reply to this message shows of it."""
    text, kind = summary_of(message), message.author_kind
    return Quote(message.id, text, message.author_name, wamid_of(message), kind)


def wamid_of(message: Message) -> str | None:
    """What WhatsApp calls a message; None for one of ours that it has not taken yet."""
    return message_status.fact(message, "wamid") if message.author_id else message.id


def find(wamids: Iterable[str]) -> dict[str, Quote]:
    """The stored messages that WhatsApp knows by these wamids, as quotes, by wamid."""
    names = sorted(set(wamids))
    if not names:
        return {}
    ours = message_status.owners(names)
    found = datastore.get_many([ndb.Key(Message, ours.get(name, name)) for name in names])
    return {
        name: of_message(message)
        for name, message in zip(names, found, strict=True)
        if message is not None
    }


def of_incoming(message: IncomingMessage) -> Quote:
    """The same of a message that is about to be stored."""
    text = preview(message.text, message.placeholder)
    return Quote(message.wamid, text, message.profile_name, message.wamid, message.author_kind)
