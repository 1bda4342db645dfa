"""Which files of a conversation Claude gets to see, and what it is told of the others.

The newest come first: the newest picture is large enough to read a receipt in, those before it are
smaller, and what goes beyond the budget is words. So is what the team sent: the API takes pictures
from the customer's side alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from chat.auto_reply.seeing import words
from chat.auto_reply.seeing.pictures import Block, block_of, of_bytes
from chat.conversation.attached import media
from chat.conversation.incoming_message import CUSTOMER
from chat.media.contents import pictures, sniffing
from chat.media.store import MediaStore, MissingError, StoreError
from chat.platform.log_names import log_name

_log = logging.getLogger(__name__)

#: Pictures and documents in one question, however small.
MOST = 10
#: Bytes of these together; the API takes 32 MB, in Base64.
MOST_BYTES = 8_000_000
#: What the newest picture may cost, and each one before it.
NEWEST_TOKENS = 1_500
EARLIER_TOKENS = 500
_STICKER_TOKENS = 200
#: A file that is larger is not even opened.
_MOST_FILE_BYTES = 25_000_000
#: A PDF that is read whole, and what the API counts for a page of it, text and picture.
_MOST_PDF_BYTES = 1_500_000
_MOST_PAGES = 2
_PAGE_TOKENS = 2_000


@dataclass(frozen=True)
class Seen:
    """What stands for a message's file."""

    words: str
    block: dict[str, Any] | None = None
    tokens: int = 0


@dataclass
class _Budget:
    tokens: int
    bytes: int = MOST_BYTES
    count: int = MOST
    pictures: int = field(default=0)

    def takes(self, block: Block) -> bool:
        """Takes a block, if there is room for it."""
        size = len(block.content["source"]["data"])
        if block.tokens > self.tokens or size > self.bytes or not self.count:
            return False
        self.tokens -= block.tokens
        self.bytes -= size
        self.count -= 1
        return True


def look(
    messages: Sequence[Any], budget_tokens: int, store: Callable[[], MediaStore], now_ms: int
) -> dict[str, Seen]:
    """What Claude gets of the files of these messages, by message id.

    Args:
        messages: entities, oldest first.
        budget_tokens: what all it gets to see may cost; 0 shows nothing.
        store: gives the store of files.
        now_ms: the present.
    """
    budget, found = _Budget(budget_tokens), {}
    for message in reversed(messages):
        facts = media.of_message(message, now_ms)
        if facts is None or message.revoked_at:
            continue
        by_customer = message.author_kind == CUSTOMER
        how, block = _see(message, facts, budget, store) if by_customer else (words.NEVER, None)
        told = words.describe(facts, how, by_customer=by_customer)
        content, tokens = (block.content, block.tokens) if block else (None, 0)
        found[message.id] = Seen(told, content, tokens)
    return found


def in_words(messages: Sequence[Any], now_ms: int) -> dict[str, Seen]:
    """The same, with nothing to look at: what could be seen could not be opened."""
    found = {}
    for message in messages:
        facts = media.of_message(message, now_ms)
        if facts is not None and not message.revoked_at:
            by_customer = message.author_kind == CUSTOMER
            how = words.LOST if by_customer and _is_visible(facts) else words.NEVER
            found[message.id] = Seen(words.describe(facts, how, by_customer=by_customer))
    return found


def is_awaited(message: Any, now_ms: int) -> bool:
    """Whether a customer's message has a file that Claude could see and that is on its way."""
    facts = media.of_message(message, now_ms)
    if facts is None or message.revoked_at or message.author_kind != CUSTOMER:
        return False
    return facts["state"] == media.PENDING and _is_visible(facts)


def _is_visible(facts: media.Facts) -> bool:
    """Whether Claude could look at such a file; what it really is turns out when it has come."""
    if facts["kind"] in (media.IMAGE, media.STICKER):
        return True
    return facts["kind"] == media.DOCUMENT and (
        facts["mime_type"] in pictures.FORMATS or facts["mime_type"] == sniffing.PDF
    )


def _see(
    message: Any, facts: media.Facts, budget: _Budget, store: Callable[[], MediaStore]
) -> tuple[str, Block | None]:
    if not _is_visible(facts):
        return words.NEVER, None
    if facts["state"] == media.PENDING:
        return words.NOT_YET, None
    if facts["state"] != media.READY or "object" not in facts:
        return words.LOST, None
    if not budget.count or budget.tokens <= 0:
        return words.LEFT_OUT, None
    try:
        is_pdf = facts["mime_type"] == sniffing.PDF
        block = _document(facts, store) if is_pdf else _picture(facts, budget, store)
    except (MissingError, StoreError, pictures.UnusableError) as error:
        name = log_name(message.id)
        _log.warning("Claude does not see the file of %s: %s", name, type(error).__name__)
        return words.LOST, None
    if block is None:
        return words.NEVER, None
    if not budget.takes(block):
        return words.LEFT_OUT, None
    budget.pictures += not is_pdf
    return words.SHOWN, block


def _picture(facts: media.Facts, budget: _Budget, store: Callable[[], MediaStore]) -> Block | None:
    if facts["mime_type"] not in pictures.FORMATS or (facts.get("size") or 0) > _MOST_FILE_BYTES:
        return None
    most = EARLIER_TOKENS if budget.pictures else min(NEWEST_TOKENS, budget.tokens)
    if facts["kind"] == media.STICKER:
        most = _STICKER_TOKENS
    with store().open(facts["object"]) as file:
        return block_of(file, facts["mime_type"], most)


def _document(facts: media.Facts, store: Callable[[], MediaStore]) -> Block | None:
    """A short PDF; None for one that the API might refuse, or that costs too much."""
    pages = facts.get("pages") or 0
    if not 1 <= pages <= _MOST_PAGES or (facts.get("size") or 0) > _MOST_PDF_BYTES:
        return None
    with store().open(facts["object"]) as file:
        data = file.read(_MOST_PDF_BYTES + 1)
    if len(data) > _MOST_PDF_BYTES or b"/Encrypt" in data:
        return None
    return Block(of_bytes("document", sniffing.PDF, data), pages * _PAGE_TOKENS)
