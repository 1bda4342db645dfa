"""Tells customers that they were read: apart from the reading itself, which never waits for it.

WhatsApp marks all earlier messages with the one that is named, so only the newest of a conversation
counts, and one that is lost (a process dies, the Graph API is down) is made up for by the next.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict

from chat.conversation.models import INCOMING, Conversation, Message
from chat.outgoing.whatsapp import RefusedError, UnconfirmedError, UnreachableError, WhatsAppClient

_log = logging.getLogger(__name__)

#: Conversations that may wait while the Graph API is slow; the oldest are dropped.
MAX_WAITING = 500
#: A thread without work ends after so long; the next receipt starts another.
_IDLE_SECONDS = 5.0


class ReadReceipts:
    """Sends receipts one after the other, in a thread that exists while there are some.

    On App Engine a thread may be frozen between requests; every open page keeps one under way.
    """

    def __init__(self, whatsapp: WhatsAppClient) -> None:
        self._whatsapp = whatsapp
        self._waiting: OrderedDict[str, str] = OrderedDict()  # conversation id → wamid
        self._changed = threading.Condition()
        self._running = False

    def send(self, conversation: Conversation, message: Message) -> None:
        """Has the customer told that a conversation was read up to a message; returns at once.

        Args:
            conversation: what was read.
            message: up to where, or the answer with which it was read.
        """
        wamid = _wamid(conversation, message)
        if wamid is None:
            return
        with self._changed:
            self._waiting[conversation.id] = wamid
            self._waiting.move_to_end(conversation.id)
            if len(self._waiting) > MAX_WAITING:
                self._waiting.popitem(last=False)
            self._changed.notify()
            if not self._running:
                self._running = True
                threading.Thread(target=self._work, daemon=True, name="read-receipts").start()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._changed.wait(_IDLE_SECONDS)
                if not self._waiting:
                    self._running = False
                    return
                conversation_id, wamid = self._waiting.popitem(last=False)
            try:
                self._whatsapp.mark_read(wamid)
            except (RefusedError, UnconfirmedError, UnreachableError) as error:
                kind = type(error).__name__
                _log.warning("no read receipt in conversation %s: %s", conversation_id, kind)
            except Exception:  # noqa: BLE001 - the thread must live, for the next one
                _log.exception("no read receipt in conversation %s", conversation_id)


def _wamid(conversation: Conversation, message: Message) -> str | None:
    """The newest customer's message that has been read."""
    if conversation.incoming_read >= conversation.incoming_counted:
        return conversation.last_incoming_wamid or None
    return message.id if message.direction == INCOMING else None
