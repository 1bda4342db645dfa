"""What the store has of one file: the file itself, and what was made of it beside it."""

from __future__ import annotations

from typing import Any

from chat.media.store import MediaStore

#: Made of a file: its small picture, and what a browser plays in its place.
_MADE = ("thumb", "played")


def names(facts: dict[str, Any] | None) -> set[str]:
    """The objects of a file.

    Args:
        facts: what is known of it, see `Message.media`.
    """
    return {facts[each] for each in ("object", *_MADE) if facts.get(each)} if facts else set()


def beside(name: str, made: str) -> str:
    """The name of what was made of an object.

    Args:
        name: the object's.
        made: "thumb" or "played".
    """
    return f"{name}.{made}"


def to_come(name: str) -> set[str]:
    """All names that an object and what is made of it may get."""
    return {name, *(beside(name, made) for made in _MADE)}


def copied(store: MediaStore, facts: dict[str, Any], name: str) -> dict[str, str]:
    """Copies a file and what was made of it; what is to be known of the copy.

    Args:
        store: where they are.
        facts: of the file.
        name: of the new object.

    Raises:
        MissingError, StoreError: not all of it is there.
    """
    store.copy(facts["object"], name)
    new = {"object": name}
    for made in _MADE:
        if facts.get(made):
            new[made] = beside(name, made)
            store.copy(facts[made], new[made])
    return new
