"""The order of the list, and the words of the contact panel: pure modules, in a real page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.screen_modules import Run, modules_page


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as run:
        yield run


NOON = 1_900_000_000_000


def chat(id_: str, second: int, **more: Any) -> dict[str, Any]:
    """A row of which somebody wrote the last message so many seconds after noon."""
    position = f"{NOON + 1000 * second:013d}"
    return {"conversation": {"id": id_, **more}, "last": {"at": second, "position": position}}


def order(run: Run, rows: list[dict[str, Any]], drafts: dict[str, int], **options: Any) -> str:
    """The ids of the list's rows; `drafts`: when each was written, seconds after noon."""
    body = """
      for (const { last } of arg.rows) last.sent_at = new Date(arg.noon + 1000 * last.at).toISOString();
      const draftAt = (id) => (id in arg.drafts ? arg.noon + 1000 * arg.drafts[id] : null);
      return list_order.listRows(arg.rows, { ...arg.options, draftAt })
        .map(({ conversation }) => conversation.id).join(' ');
    """  # noqa: E501
    found: str = run(body, {"rows": rows, "drafts": drafts, "options": options, "noon": NOON})
    return found


ROWS = [
    chat("e", 50),
    chat("d", 40),
    chat("c", 30, pinned=True),
    chat("b", 20, archived=True),
    chat("a", 10),
]


@pytest.mark.parametrize(
    ("drafts", "options", "expected"),
    [
        ({}, {}, "c e d a"),
        ({"a": 45}, {}, "c e a d"),
        ({"a": 60}, {}, "c a e d"),
        ({"a": 60, "d": 70}, {}, "c d a e"),
        ({"a": 70, "d": 60}, {}, "c a d e"),
        ({"a": 5}, {}, "c e d a"),  # older than what was written last
        ({"a": 50}, {}, "c e a d"),  # as old as e's message: that may have come after it
        ({"a": 60}, {"selectedId": "a"}, "c e d a"),  # it is still being written
        ({"b": 60}, {}, "c e d a"),  # archived, it stays so
        ({}, {"archived": True}, "b"),
        ({"b": 60}, {"archived": "last"}, "c e d a b"),
        ({}, {"floor": f"{NOON + 35_000:013d}"}, "c e d"),  # the pinned are always here
        ({"a": 5}, {"floor": f"{NOON + 35_000:013d}"}, "c e d a"),
        ({}, {"floor": f"{NOON + 35_000:013d}", "selectedId": "a"}, "c e d a"),
    ],
)
def test_pinned_chats_come_first_and_drafts_lift_their_rows(
    run: Run, drafts: dict[str, int], options: dict[str, Any], expected: str
) -> None:
    assert order(run, ROWS, drafts, **options) == expected


@pytest.mark.parametrize(
    ("expires", "title", "text"),
    [
        (None, "Ainda não aberta", "Ela abre por 24 horas quando o cliente escreve."),
        (
            "2030-03-15T14:32:00-03:00",
            "Aberta até amanhã às 14:32",
            "Faltam 23 h 2 min para responder com texto livre.",
        ),
        (
            "2030-03-14T16:30:00-03:00",
            "Aberta até hoje às 16:30",
            "Faltam 1 h para responder com texto livre.",
        ),
        (
            "2030-03-14T15:30:30-03:00",
            "Aberta até hoje às 15:30",
            "Faltam menos de 1 min para responder com texto livre.",
        ),
        (
            "2030-03-13T09:00:00-03:00",
            "Encerrada ontem às 09:00",
            "Ela abre de novo por 24 horas quando o cliente escrever.",
        ),
    ],
)
def test_the_window_is_told_in_words(run: Run, expires: str | None, title: str, text: str) -> None:
    body = """
      const now = new Date('2030-03-14T15:30:00-03:00');
      return moments.windowWords({ window_expires_at: arg }, now);
    """
    words = run(body, expires)
    assert (words["title"], words["text"]) == (title, text)
    assert words["isOpen"] == title.startswith("Aberta")


def test_links_documents_and_owners_are_found_the_newest_first(run: Run) -> None:
    messages: list[dict[str, Any]] = [
        {"id": "1", "text": "veja www.a.com e a@b.com, ou loja.com.br/x."},
        {"id": "2", "type": "system", "text": "Ana assumiu", "author": {"kind": "attendant"}},
        {"id": "3", "type": "system", "text": "mudou", "author": {"kind": "customer"}},
        {"id": "4", "type": "document", "text": "", "placeholder": "📄 orçamento.pdf"},
        {"id": "5", "text": "https://gone.com", "revoked_at": "x"},
        {"id": "6", "text": "", "details": [{"value": "Abrir mapa", "href": "https://m.com"}]},
    ]
    found = run("return chat_contents.contentsOf(arg);", messages)
    assert [(each["message"]["id"], each["href"]) for each in found["links"]] == [
        ("6", "https://m.com"),
        ("1", "https://www.a.com/"),
        ("1", "https://loja.com.br/x"),
    ]
    assert [each["text"] for each in found["documents"]] == ["📄 orçamento.pdf"]
    assert [each["text"] for each in found["lines"]] == ["Ana assumiu"]


def test_what_is_further_up_is_read_from_where_the_thread_ends(run: Run) -> None:
    body = """
      const thread = { loaded: true, next: '5', messages: [{ id: 'm5', position: '5' }] };
      const asked = [];
      const pages = [
        { messages: [{ id: 'm3', position: '3' }, { id: 'm4', position: '4' }], next: '3' },
        { messages: [{ id: 'm2', position: '2' }], next: null },
      ];
      const api = { call: async (method, path) => { asked.push(path.split('?')[1]); return pages.shift(); } };
      const reader = new chat_contents.ChatReader('a', { api, thread: () => thread, onChange: () => {} });
      const ids = () => reader.messages.map(({ id }) => id).join(' ');
      await reader.readMore();
      const seen = [ids(), reader.hasMore];
      const same = reader.messages === reader.messages;
      reader.learn({ id: 'm3', position: '3', revoked_at: 'x' });
      seen.push(same, reader.messages[0].revoked_at);
      thread.messages.unshift({ id: 'm4', position: '4' }); // which the thread has read, too
      thread.next = '4';
      await reader.readMore();
      return [...seen, ids(), reader.hasMore, asked];
    """  # noqa: E501
    assert run(body) == [
        "m3 m4 m5",
        True,
        True,
        "x",
        "m2 m3 m4 m5",
        False,
        ["before=5&limit=100", "before=3&limit=100"],
    ]


def test_a_quote_of_the_customer_has_the_businesss_name_for_them(run: Run) -> None:
    body = """
      const by = (kind) => ({ author: { kind } });
      const known = { ours: by('attendant'), theirs: by('customer') };
      const find = (id) => known[id] ?? null;
      const named = { name: 'Maria da Loja', told_name: 'Mari' };
      const quoting = (id, author) => ({ id: 'm', reply_to: { id, author_name: author, text: 'oi' } });
      const over = (message, conversation = named) =>
        own_name.withOwnName(message, conversation, find).reply_to.author_name;
      const same = quoting('theirs', 'Maria');
      const told = quoting('far', 'Maria');
      told.reply_to.author_kind = 'customer';
      return [
        over(quoting('theirs', 'Maria')), over(quoting('ours', 'Ana')), over(quoting('far', 'Mari')),
        over(quoting('far', 'Ana')), over(quoting('theirs', 'Maria'), { name: 'Maria', told_name: null }),
        over(told), over(told, { ...named, is_group: true }),
        own_name.withOwnName(same, named, find) === own_name.withOwnName(same, named, find),
      ];
    """  # noqa: E501
    ours = "Maria da Loja"
    assert run(body) == [ours, "Ana", ours, "Ana", "Maria", ours, "Maria", True]
