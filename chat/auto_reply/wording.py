"""From what Claude wrote to what WhatsApp shows: formatting, and messages of a length it takes.

Pure.
"""

from __future__ import annotations

import re

from chat.auto_reply.history import CUSTOMER_TAG, TEAM_TAG
from chat.conversation.blank import is_blank
from chat.outgoing.whatsapp import MAX_TEXT_CHARS

_FENCE = re.compile(r"(```.*?(?:```|$))", re.DOTALL)
_LANGUAGE = re.compile(r"^```[A-Za-z0-9_+-]+\n")
_CODE = re.compile(r"(`[^`\n]+`)")
_TAG = re.compile(rf"</?(?:{CUSTOMER_TAG}|{TEAM_TAG})\b[^>\n]*>\n?")
_HEADING = re.compile(r"^ {0,3}#{1,6} +(.+?) *#* *$", re.MULTILINE)
_BOLD = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_STRUCK = re.compile(r"~~(?=\S)(.+?)(?<=\S)~~")
_LINK = re.compile(r"!?\[([^\]\n]+)\]\((https?://[^\s)]+)\)")
_BULLET = re.compile(r"^( *)[*+] +", re.MULTILINE)
_RULE = re.compile(r"^ {0,3}(?:-{3,}|\*{3,}|_{3,}) *$", re.MULTILINE)
_GAPS = re.compile(r"\n{3,}")
#: What a browser, a store and a phone all take; a line's end and a tab are fine.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
#: The end of a sentence, with what closes it.
_SENTENCE = re.compile(r"[.!?…][\"'”’)*_]*(?=\s|$)")


def messages_of(text: str) -> list[str]:
    """What Claude wrote as messages that WhatsApp takes, in order; none if it wrote nothing."""
    return split(whatsapp_formatting(text))


def whatsapp_formatting(text: str) -> str:
    """Markdown, which Claude falls back into, as WhatsApp's own marks."""
    text = _CONTROLS.sub("", text.replace("\r\n", "\n").encode("utf-8", "replace").decode())
    pieces = _FENCE.split(text)
    for place, piece in enumerate(pieces):
        if piece.startswith("```"):
            pieces[place] = _LANGUAGE.sub("```\n", piece)
        else:
            words = _CODE.split(piece)
            words[::2] = [_plain(word) for word in words[::2]]
            pieces[place] = "".join(words)
    whole = _GAPS.sub("\n\n", "".join(pieces)).strip()
    return "" if is_blank(whole) else whole


def _plain(text: str) -> str:
    text = _TAG.sub("", text)
    text = _RULE.sub("", text)
    # A heading's own bold would make two stars of one.
    text = _HEADING.sub(lambda found: f"**{found[1].replace('**', '')}**", text)
    text = _BULLET.sub(r"\1- ", text)
    text = _LINK.sub(_link, text)
    text = _BOLD.sub(r"*\2*", text)
    return _STRUCK.sub(r"~\1~", text)


def _link(found: re.Match[str]) -> str:
    words, address = found[1], found[2]
    return address if words == address else f"{words}: {address}"


def split(text: str, most: int = MAX_TEXT_CHARS) -> list[str]:
    """A text in pieces of a length, at paragraphs where that can be, else at lines, sentences or
    words.

    Args:
        text: any text.
        most: characters of a piece.
    """
    pieces = []
    rest = text.strip()
    while len(rest) > most:
        end = _last_end(rest[: most + 1], most)
        pieces.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    pieces.append(rest)
    return [piece for piece in pieces if not is_blank(piece)]


def _last_end(text: str, most: int) -> int:
    """Where to end a piece; a tiny first piece is worse than a paragraph cut at a line."""
    least = most // 4
    for mark in ("\n\n", "\n"):
        end = text.rfind(mark, least, most)
        if end > 0:
            return end
    ends = [found.end() for found in _SENTENCE.finditer(text) if least < found.end() <= most]
    if ends:
        return ends[-1]
    end = text.rfind(" ", least, most)
    return end if end > 0 else most


def whole_part(text: str) -> str:
    """What is whole of a text that was cut off: up to its last paragraph's or sentence's end."""
    ends = [found.end() for found in _SENTENCE.finditer(text)]
    return text[: max([text.rfind("\n\n"), *ends, 0])].strip()
