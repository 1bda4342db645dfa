"""Conversations by their customers' names and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chat.conversation.models import Conversation
from chat.platform import search_words

#: Read at most for one answer, in the order of the alphabet: a single letter may fit thousands.
MOST_READ = 200


def find(
    words: Sequence[str], is_wanted: Callable[[Conversation], bool]
) -> tuple[list[Conversation], bool]:
    """Conversations with people of whom each word begins a name or is in the number.

    Args:
        words: see `search_words.name_words`; one at least.
        is_wanted: what else must hold of them.

    Returns:
        them, the newest first, and whether there may be more.
    """
    first, behind = search_words.word_range(words)
    entry = Conversation.name_words
    read = Conversation.query(entry >= first, entry < behind).order(entry).fetch(MOST_READ)
    found = {each.id: each for each in read if _fits(each, words) and is_wanted(each)}
    newest = sorted(found.values(), key=lambda each: each.sort_key or "", reverse=True)
    return newest, len(read) == MOST_READ


def _fits(conversation: Conversation, words: Sequence[str]) -> bool:
    own = conversation.name_words
    return all(any(each.startswith(word) for each in own) for word in words)
