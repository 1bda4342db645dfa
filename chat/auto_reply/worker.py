"""Answers one conversation: claim, read, ask Claude, commit. Any step may be the last of a process.

The claim is a lease that is committed before Claude is asked; the answer is committed, into the
outbox, by a transaction in which the lease is still this worker's. Whatever makes the answer
unwanted meanwhile (a person who answers, a new owner, a merge) takes the lease away, so it comes to
nothing. A worker that dies leaves a lease that runs out, and the sweep asks again. The ids of the
messages follow from the question's, so that even a commit told twice is one answer.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from google.cloud import ndb

import realtime_events
from chat.auto_reply import history, policy, prompt, usage, wording
from chat.auto_reply.messages_api import Answer, ClaudeError, MessagesClient
from chat.auto_reply.seeing import files
from chat.auto_reply.settings import AutoReplySettings
from chat.conversation import ownership
from chat.conversation.models import Conversation, Message
from chat.conversation.ownership import CLAUDE, CLAUDE_NAME, HUMAN
from chat.conversation.thread import line_by_claude
from chat.media.store import MediaStore
from chat.outgoing import sending
from chat.outgoing.whatsapp import (
    RefusedError,
    UnconfirmedError,
    UnreachableError,
    WhatsAppClient,
)
from chat.people import identity
from chat.people.identity import UnknownConversationError
from chat.people.owner_changes import store_and_tell
from chat.platform import datastore

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

#: What a lease lasts beyond the longest call: reading before it, and committing after it while the
#: store is away for some seconds.
_MARGIN_MS = 45_000
#: A task that comes so little too early (another instance's clock) waits; what is due later has a
#: task of its own. Less than customers pause between messages: the task of one that another has
#: followed does not wait for that one's time in a worker's thread.
_SOON_MS = 1_000
#: Messages read; what goes along is less, by its tokens.
_NEWEST = 80
#: A picture that is on its way is waited for so long, if it came no longer ago than that.
_FILE_SECONDS = 12.0
_FILE_MS = 20_000
_FILE_PAUSE = 0.5
#: What the API says where it cannot make anything of a picture: words are all it gets then.
_INDIGESTIBLE = ("bad_request", "too_long")
#: Pauses while the store does not take an answer, which has cost money; less than the margin.
_STORE_PAUSES = (0.5, 1, 2, 4, 8)
#: Of a conversation's messages the same question makes the same ids.
_IDS = uuid.UUID("8f0f9a0c-6c1d-4ab0-93a5-3f1c3c1c7b0e")

_REFUSED = "Claude não quis responder a isto"
_EMPTY = "Claude não escreveu resposta"
_CUT = "a resposta ficou longa demais e foi cortada"
_NO_REASON = "sem motivo informado"
_FAILURES = {
    "rate_limit": "o Claude está com o limite de uso esgotado",
    "overloaded": "o Claude está sobrecarregado",
    "timeout": "o Claude demorou demais",
    "unreachable": "o Claude não pôde ser alcançado",
    "bad_key": "a chave do Claude não é aceita",
    "no_credit": "acabou o crédito do Claude",
    "unknown_model": "o modelo configurado não existe",
    "too_long": "a conversa é longa demais para o Claude",
}
_FAILED = "o Claude não pôde responder"


@dataclass(frozen=True)
class Claim:
    """What a worker has taken on."""

    conversation: Conversation
    question: str
    holder: str


class SuggestionError(Exception):
    """There is no suggestion; the text says why, to an attendant."""


class Worker:
    """Does the steps. Safe for many threads."""

    def __init__(
        self,
        settings: AutoReplySettings,
        api: MessagesClient,
        whatsapp: WhatsAppClient,
        wake: Callable[[dict[str, int]], None],
        start_sending: Callable[[str], None],
        store: Callable[[], MediaStore],
    ) -> None:
        """`wake` puts conversations into the queue, and raises nothing; `start_sending` sends what
        is in a conversation's outbox; `store` gives the store of files.
        """
        self._settings = settings
        self._api = api
        self._whatsapp = whatsapp
        self._wake = wake
        self._start_sending = start_sending
        self._store = store
        self.pause: Callable[[float], None] = time.sleep  # a test's clock may stand still

    def run(self, conversation_id: str) -> bool:
        """Answers what is asked in a conversation, if it is due and nobody else does.

        Returns:
            whether there was something to do.

        Raises:
            one of `datastore.ERRORS`: to be tried again; the sweep will, too.
        """
        claim = self._claimed(conversation_id)
        if claim is None:
            return False
        known = _newest(claim.conversation)
        said = self._with_files(known)
        if said is not known and not realtime_events.transaction(partial(self._stands, claim)):
            return True  # more was written meanwhile, which is asked by itself
        typing = self._start_typing(claim)
        try:
            answer = self._ask(claim.conversation, said, draft=False)
        except ClaudeError as error:
            _log.warning("conversation %s: no answer: %s", claim.conversation.id, error.kind)
            due = self._surely(partial(self._fail, claim, error))
        else:
            if typing is not None:
                # After the answer, which anybody may send once it is stored, it would stay on the
                # customer's screen.
                typing.join()
            sends, due = self._surely(partial(self._commit, claim, answer))
            if sends:
                self._start_sending(claim.conversation.id)
        if due is not None:
            self._wake({claim.conversation.id: due})
        return True

    def suggest(self, conversation_id: str) -> str:
        """A draft for an attendant, in any chat; nothing is stored but what it cost.

        Raises:
            UnknownConversationError: no such conversation.
            SuggestionError: Claude has none; the text says why.
        """
        conversation = identity.load_conversation(conversation_id)
        if conversation is None:
            raise UnknownConversationError(conversation_id)
        now = realtime_events.now_ms()
        budget = self._settings.daily_budget
        if budget and usage.used_tokens(conversation.id, now) >= budget:
            raise SuggestionError(policy.OVER_BUDGET)
        try:
            answer = self._ask(conversation, _newest(conversation), draft=True)
        except ClaudeError as error:
            raise SuggestionError(_FAILURES.get(error.kind, _FAILED)) from None
        note = partial(usage.record, conversation.id, "suggestion", answer.used)
        try:
            realtime_events.transaction(lambda: note(realtime_events.now_ms(), self._settings))
        except datastore.ERRORS as error:  # the draft is paid for: the attendant gets it
            kind = type(error).__name__
            _log.warning("conversation %s: a suggestion's cost is lost: %s", conversation.id, kind)
        text = wording.whatsapp_formatting(answer.text)
        if answer.kind == "cut":
            text = wording.whole_part(text)
        if not text:
            raise SuggestionError(_REFUSED if answer.kind == "refusal" else _EMPTY)
        return text

    # --- the steps --------------------------------------------------------------------------------

    def _claimed(self, conversation_id: str) -> Claim | None:
        while True:
            holder = secrets.token_hex(8)
            claimed = realtime_events.transaction(partial(self._claim, conversation_id, holder))
            if not isinstance(claimed, int):
                return claimed
            if claimed > _SOON_MS:
                return None
            self.pause(claimed / 1000)

    def _claim(self, conversation_id: str, holder: str) -> Claim | int | None:
        """The lease; or in how many milliseconds it may be had; None: nothing is asked."""
        conversation, now = _read(conversation_id)
        if conversation is None or not conversation.reply or conversation.reply_due_at is None:
            return None
        if conversation.reply_due_at > now:
            return int(conversation.reply_due_at - now)
        line = None
        if ownership.owner_of(conversation) == HUMAN:
            if not self._may_take_back(conversation):
                ownership.forget_question(conversation)
                store_and_tell(conversation, now)
                return None
            line = line_by_claude(policy.take_back(conversation, now))
        budget = self._settings.daily_budget
        used = usage.used_tokens(conversation.id, now) if budget else 0
        reason = policy.obstacle(conversation, self._settings, used, now)
        if reason is not None:
            handed = line_by_claude(ownership.hand_over(conversation, reason, now))
            store_and_tell(conversation, now, line, handed)
            return None
        until = now + int(self._settings.timeout_seconds * 1000) + _MARGIN_MS
        reply = conversation.reply
        conversation.reply = {
            "began_at": now,
            **reply,
            # One whom the customer interrupts has not failed.
            "tries": reply["tries"] + (not ownership.is_replying(conversation, now)),
            "holder": holder,
            "since": now,
            "until": until,
        }
        conversation.reply_due_at = until
        store_and_tell(conversation, now, line)
        return Claim(conversation, reply["question"], holder)

    def _may_take_back(self, conversation: Conversation) -> bool:
        wanted = self._settings.enabled and self._settings.return_after_minutes
        return bool(wanted and conversation.reply.get("returns") and not conversation.needs_you)

    def _ask(self, conversation: Conversation, messages: list[Message], *, draft: bool) -> Answer:
        said, now = history.as_claude_knew(messages, conversation), realtime_events.now_ms()
        system = prompt.system(self._settings.system_prompt, now, draft=draft)
        tools = [] if draft else prompt.tools()
        seen = files.look(said, self._settings.image_tokens, self._store, now)
        try:
            return self._api.ask(system, self._turns(said, seen), tools)
        except ClaudeError as error:
            shows = any(each.block is not None for each in seen.values())
            if not shows or error.kind not in _INDIGESTIBLE:
                raise
            _log.warning("conversation %s: again, without its pictures", conversation.id)
            return self._api.ask(system, self._turns(said, files.in_words(said, now)), tools)

    def _turns(self, said: list[Message], seen: dict[str, files.Seen]) -> list[dict[str, Any]]:
        return history.turns(said, self._settings.history_tokens, seen)

    def _with_files(self, messages: list[Message]) -> list[Message]:
        """These messages when the pictures among them have come that were on their way; without
        those that do not come in time.
        """
        begun = realtime_events.now_ms()

        def awaited() -> list[Message]:
            now = realtime_events.now_ms()
            if not self._settings.image_tokens or now - begun >= _FILE_SECONDS * 1000:
                return []
            fresh = [each for each in messages if now - (each.received_at or 0) < _FILE_MS]
            return [each for each in fresh if files.is_awaited(each, now)]

        while waiting := awaited():
            self.pause(_FILE_PAUSE)
            new = ndb.get_multi([each.key for each in waiting], use_cache=False)
            news = {each.id: each for each in new if each is not None}
            messages = [news.get(each.id, each) for each in messages]
        return messages

    def _start_typing(self, claim: Claim) -> threading.Thread | None:
        """Shows the customer that an answer is being written, where the settings want that.

        In a thread: a slow Graph API keeps nobody from answering.
        """
        if not self._settings.typing:
            return None

        def show() -> None:
            try:
                self._whatsapp.mark_read(claim.question, typing=True)
            except (RefusedError, UnconfirmedError, UnreachableError) as error:
                kind = type(error).__name__
                _log.warning(
                    "conversation %s: not shown as typing: %s", claim.conversation.id, kind
                )

        thread = threading.Thread(target=show, daemon=True, name="auto-reply-typing")
        thread.start()
        return thread

    def _commit(self, claim: Claim, answer: Answer) -> tuple[bool, int | None]:
        """Puts an answer into the chat, if it is wanted still.

        Returns:
            whether there is something to send, and when there is more to answer, if there is.
        """
        conversation, now = _read(claim.conversation.id)
        texts, reason = _meaning(answer)
        ids = [_message_id(claim, place) for place in range(len(texts))]
        told = bool(texts) and datastore.get(Message, ids[0]) is not None
        if conversation is None or not self._is_wanted(conversation, claim, now):
            self._note(claim, "discarded", answer, now)
            # Stored already: by this very commit, perhaps, of which the news was lost.
            return told, conversation.reply_due_at if conversation and told else None
        if not policy.window_open(conversation, now):
            texts, reason = [], policy.WINDOW_CLOSED
        if told:
            texts = []
        asked = conversation.reply["question"]
        ownership.forget_question(conversation)
        line = None
        if reason is not None:
            line = line_by_claude(ownership.hand_over(conversation, reason, now))
        elif asked != claim.question:
            # More was written while this answer was, longer than anybody is to wait.
            debounce = int(self._settings.debounce_seconds * 1000)
            ownership.ask(conversation, asked, now, debounce_ms=debounce, max_wait_ms=debounce)
        if texts:
            conversation.claude_knew = claim.conversation.arrivals
            sending.enqueue(
                conversation, dict(zip(ids, texts, strict=False)), after=line,
                author_id=CLAUDE, author_name=CLAUDE_NAME, author_kind=CLAUDE,
            )  # fmt: skip
        else:
            store_and_tell(conversation, now, line)
        kind = "answer" if reason is None else "hand_over"
        message_id = ids[0] if texts else None
        self._note(claim, kind, answer, now, message_id=message_id, reason=reason)
        return bool(texts), conversation.reply_due_at

    def _stands(self, claim: Claim) -> bool:
        """Whether an answer would still be wanted, before it is paid for."""
        conversation, now = _read(claim.conversation.id)
        return conversation is not None and self._is_wanted(conversation, claim, now)

    def _is_wanted(self, conversation: Conversation, claim: Claim, now: int) -> bool:
        reply = conversation.reply or {}
        if reply.get("holder") != claim.holder or ownership.owner_of(conversation) != CLAUDE:
            return False
        waited = now - reply["asked_at"] >= self._settings.max_wait_seconds * 1000
        return reply["question"] == claim.question or waited

    def _fail(self, claim: Claim, error: ClaudeError) -> int | None:
        """No answer came: another try, at the time returned, or people."""
        conversation, now = _read(claim.conversation.id)
        usage.record(
            claim.conversation.id, "failed", None, now, self._settings,
            worker=claim.holder, reason=error.kind,
        )  # fmt: skip
        if conversation is None or (conversation.reply or {}).get("holder") != claim.holder:
            return None
        reply = conversation.reply
        due = now + policy.pause_ms(reply["tries"], error.retry_after)
        give_up = reply["began_at"] + self._settings.give_up_seconds * 1000
        if not error.passes or due > give_up or reply["tries"] >= policy.MAX_TRIES:
            reason = _FAILURES.get(error.kind, _FAILED)
            store_and_tell(
                conversation, now, line_by_claude(ownership.hand_over(conversation, reason, now))
            )
            return None
        kept = {key: value for key, value in reply.items() if key not in ("holder", "until")}
        conversation.reply, conversation.reply_due_at = kept, due
        store_and_tell(conversation, now)
        return due

    def _note(self, claim: Claim, kind: str, answer: Answer, now: int, **more: Any) -> None:
        usage.record(
            claim.conversation.id, kind, answer.used, now, self._settings,
            worker=claim.holder, **more,
        )  # fmt: skip

    def _surely(self, record: Callable[[], _T]) -> _T:
        """Commits, again for some seconds while the store is away; after that the lease runs out,
        and the question is asked once more.
        """
        commit = partial(realtime_events.transaction, record)
        return datastore.surely(commit, "an answer", _STORE_PAUSES, self.pause)


def _meaning(answer: Answer) -> tuple[list[str], str | None]:
    """What to send, and why people are needed, if they are.

    Of an answer that was cut off, what is whole is sent: half an answer is better than none, and
    who takes over sees where it ends.
    """
    if answer.kind == "refusal":
        return [], _REFUSED
    text = wording.whole_part(answer.text) if answer.kind == "cut" else answer.text
    texts = wording.messages_of(text)
    if answer.hand_over is not None:
        return texts, answer.hand_over or _NO_REASON
    if answer.kind == "cut":
        return texts, _CUT
    return texts, None if texts else _EMPTY


def _read(conversation_id: str) -> tuple[Conversation | None, int]:
    """The conversation as it is, and when."""
    return identity.load_conversation(conversation_id), realtime_events.now_ms()


def _message_id(claim: Claim, place: int) -> str:
    return str(uuid.uuid5(_IDS, f"{claim.conversation.id}/{claim.question}/{place}"))


def _newest(conversation: Conversation) -> list[Message]:
    """The last messages, oldest first, those of merged conversations among them."""
    found: list[Message] = []
    for each in (conversation.id, *conversation.absorbed):
        query = Message.query(Message.conversation_id == each).order(-Message.position)
        found += query.fetch(_NEWEST)
    found.sort(key=lambda message: message.position)
    return found[-_NEWEST:]
