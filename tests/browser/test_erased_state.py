"""What the screen knows of a conversation whose customer's data were deleted. In a real page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.screen_modules import Run, modules_page
from tests.browser.test_screen_state import conversation, message


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as run:
        yield run


APPLY = """
  const told = [];
  const state = new page_state.PageState({
    onErase: (id) => told.push(`erase ${id}`), onRemove: (id) => told.push(`remove ${id}`),
  });
  state.thread('a'); state.thread('b');
  for (const event of arg) state.apply(event);
  return {
    told,
    rows: state.rows({ floor: null }).map((row) => row.conversation.id),
    threads: ['a', 'b'].map((id) => (state.knownThread(id)?.messages ?? []).map(({ id }) => id)),
  };
"""


def created(id: str, where: str, position: int, version: int) -> dict[str, Any]:
    told = message(id, where, id, position)
    data = {"message": told, "conversation": conversation(where, version, told)}
    return {"type": "message.created", "conversation_id": where, "version": version, "data": data}


def removed(where: str) -> dict[str, Any]:
    data = {"conversation_id": where}
    return {"type": "conversation.removed", "conversation_id": where, "version": 9, "data": data}


def test_what_is_erased_goes_and_late_news_bring_nothing_back(run: Run) -> None:
    news = [created("a1", "a", 1, 1), created("b1", "b", 2, 1)]
    late = [created("a2", "a", 3, 2), {"type": "conversation.updated", "conversation_id": "a",
            "version": 12, "data": {"conversation": conversation("a", 12, None)}}]  # fmt: skip
    shown = run(APPLY, [*news, removed("a"), *late, removed("a")])
    assert shown["rows"] == ["b"]
    assert shown["threads"] == [[], ["b1"]]
    # First, while what is kept by it can still be found; and once.
    assert shown["told"][0] == "erase a"
    assert set(shown["told"][1:]) == {"remove a"}


def test_a_merged_one_goes_with_the_one_that_it_became(run: Run) -> None:
    merged = {"type": "conversation.updated", "conversation_id": "a", "version": 3,
              "data": {"conversation": conversation("a", 3, None), "merged_into": "b"}}  # fmt: skip
    shown = run(APPLY, [created("a1", "a", 1, 1), created("b1", "b", 2, 1), merged, removed("b")])
    assert shown["rows"] == []
    assert shown["threads"] == [[], []]


def test_old_messages_go_and_the_rest_stays(run: Run) -> None:
    news = [created(f"a{n}", "a", n, n) for n in (1, 2, 3)]
    up_to = news[1]["data"]["message"]["position"]
    told = {"type": "messages.removed", "conversation_id": "a", "version": 4,
            "data": {"conversation_id": "a", "up_to": up_to}}  # fmt: skip
    shown = run(APPLY, [*news, created("b1", "b", 1, 1), told])
    assert shown["threads"] == [["a3"], ["b1"]]
    assert shown["rows"] == ["a", "b"]
