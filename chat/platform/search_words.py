"""Texts as a search compares them, and the index entries that find them. Pure.

A search finds a text when each of its words begins a word of it; accents, case and punctuation do
not matter. static/chat/search/words.js marks what this finds, by the same rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

#: Beginnings of a word that are indexed; a search looks up the longest that it has, and compares
#: the rest itself. All beginnings would be some 4 times as many entries.
PREFIXES = (8, 5, 3)
#: Of a longer text the first different ones: an entity has room for 20,000 index entries.
MOST_WORDS = 500
#: A number is found by any part of it that has so many digits.
_PART_DIGITS = 4
_AFTER_ALL = "\uffff"
_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"[\d\s()+./-]+")


def fold(text: str) -> str:
    """Without accents and case."""
    letters = unicodedata.normalize("NFD", text)
    return "".join(each for each in letters if unicodedata.category(each)[0] != "M").lower()


def words_of(text: str) -> list[str]:
    """The different words of a text, folded, in their order."""
    return list(dict.fromkeys(_WORD.findall(fold(text))))


def matches(words: Iterable[str], text: str) -> bool:
    """Whether each of these folded words begins one of the text."""
    found = words_of(text)
    return all(any(each.startswith(word) for each in found) for word in words)


def entries(text: str, position: str) -> list[str]:
    """Index entries of a message: what a word begins with, and the message's place in time, so that
    one index finds the newest first.
    """
    found = words_of(text)[:MOST_WORDS]
    starts = {word[:size] for word in found for size in PREFIXES if len(word) >= size}
    return [f"{start}|{position}" for start in sorted(starts)]


def entry_range(words: Iterable[str], before: str | None) -> tuple[str, str] | None:
    """Between which entries those of messages with these words lie, the newest of them last.

    Args:
        words: folded ones; the longest is looked up.
        before: a position; None: from the newest on.

    Returns:
        (first, behind the last); None where no word is long enough to be indexed.
    """
    longest = max(words, key=len, default="")
    size = next((size for size in PREFIXES if size <= len(longest)), None)
    if size is None:
        return None
    start = longest[:size]
    return f"{start}|", f"{start}|{before or _AFTER_ALL}"


def name_entries(names: Iterable[str | None], digits: str | None) -> list[str]:
    """Index entries of somebody with these names and this number."""
    found = {word for name in names if name for word in words_of(name)}
    number = digits or ""
    found |= {number[at:] for at in range(max(0, len(number) - _PART_DIGITS + 1))}
    return sorted(found)


def name_words(query: str) -> list[str]:
    """The words of a search for somebody; a number is one, however it is written."""
    if _NUMBER.fullmatch(query):
        digits = re.sub(r"\D", "", query)
        if len(digits) >= _PART_DIGITS:
            return [digits]
    return words_of(query)


def word_range(words: Iterable[str]) -> tuple[str, str]:
    """Between which words those lie that begin with the longest of these."""
    longest = max(words, key=len)
    return longest, f"{longest}{_AFTER_ALL}"
