"""How the screen words things: times, names, formatting, days. Pure modules, in a real page."""

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


@pytest.mark.parametrize(
    ("sent", "in_list", "in_thread"),
    [
        ("2030-03-14T15:05:00-03:00", "15:05", "HOJE"),
        ("2030-03-14T00:00:00-03:00", "00:00", "HOJE"),
        ("2030-03-14T15:31:00-03:00", "15:31", "HOJE"),  # the server's clock is ahead
        ("2030-03-13T23:59:59-03:00", "Ontem", "ONTEM"),
        ("2030-03-12T08:00:00-03:00", "terça-feira", "TERÇA-FEIRA"),
        ("2030-03-08T08:00:00-03:00", "sexta-feira", "SEXTA-FEIRA"),
        ("2030-03-07T08:00:00-03:00", "07/03/2030", "07/03/2030"),
        ("2029-12-31T23:30:00-03:00", "31/12/2029", "31/12/2029"),
    ],
)
def test_times_read_as_on_whatsapp(run: Run, sent: str, in_list: str, in_thread: str) -> None:
    body = """
      const now = new Date('2030-03-14T15:30:00-03:00');
      return [format.listTime(arg, now), format.dayLabel(arg, now)];
    """
    assert run(body, sent) == [in_list, in_thread]


@pytest.mark.parametrize(
    ("expires", "state"),
    [
        (None, "closed"),
        ("2030-03-14T12:00:00Z", "closed"),
        ("2030-03-14T12:00:01Z", "closing"),
        ("2030-03-14T14:00:01Z", "open"),
    ],
)
def test_the_window_closes_to_the_second(run: Run, expires: str | None, state: str) -> None:
    body = """
      const now = new Date('2030-03-14T12:00:00Z');
      return format.windowState({ window_expires_at: arg }, now).state;
    """
    assert run(body, expires) == state


def test_in_a_group_whatsapp_decides(run: Run) -> None:
    body = """
      const group = { window_expires_at: null, is_group: true };
      return format.windowState(group, new Date()).state;
    """
    assert run(body) == "open"


@pytest.mark.parametrize(
    ("conversation", "words", "left"),
    [
        ({"window_expires_at": "2030-03-14T16:03:00-03:00"},
         "Você pode responder até 16:03", "faltam 33 min"),
        ({"window_expires_at": "2030-03-14T15:31:00-03:00"},
         "Você pode responder até 15:31", "falta 1 min"),
        ({"window_expires_at": "2030-03-15T09:05:00-03:00"},
         "Você pode responder até 09:05 de amanhã", "faltam 17 h 35 min"),
        ({"window_expires_at": "2030-03-14T15:30:00-03:00"},
         "Faz mais de 24 horas que este cliente escreveu. Até que ele responda, o WhatsApp só "
         "aceita modelos aprovados.", ""),
        ({"window_expires_at": None},
         "Este cliente ainda não escreveu. Até que ele responda, o WhatsApp só aceita modelos "
         "aprovados.", ""),
        ({"window_expires_at": None, "is_group": True}, "", ""),
        ({}, "", ""),
    ],
)  # fmt: skip
def test_the_window_is_told_in_words(
    run: Run, conversation: dict[str, Any], words: str, left: str
) -> None:
    body = """
      const state = format.windowState(arg, new Date('2030-03-14T15:30:00-03:00'));
      return [format.windowWords(state), format.windowLeft(state)];
    """
    assert run(body, conversation) == [words, left]


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Maria Aparecida dos Santos", "MS"),
        ("ágata", "Á"),
        ("(Loja) Zé", "LZ"),
        ("+55 11 98765-4321", ""),
        ("🌸", ""),
        ("\u3164", ""),
        ("\u3164Ana \uffa0", "A"),
        (None, ""),
    ],
)
def test_initials_come_from_letters_alone(run: Run, name: str | None, letters: str) -> None:
    assert run("return format.initials(arg)", name) == letters


BLANK = [
    "\u3164",  # Hangul filler
    "\u115f\u1160\uffa0",  # its relatives
    "\u2800\u2800",  # braille pattern without a dot
    "\u200e \u200f",  # marks of direction
    "\u200b\u200c\u200d\u2060\ufeff",  # of no width
    "\u00ad",  # soft hyphen
    "\u180e\u034f",
    "\U000e0061\U000e007f",  # tags
    "\u0301",  # an accent over nothing
    "\t \n\u00a0\u2003\u3000",
    "\x07",
    "",
]


@pytest.mark.parametrize("name", BLANK)
def test_a_name_that_draws_nothing_is_none(run: Run, name: str) -> None:
    assert run("return format.displayName({ name: arg, phone: '+55 11' })", name) == "+55 11"
    assert run("return format.displayName({ name: arg })", name) == "Cliente"
    assert run("return media_format.previewText({ text: arg })", name) == "Mensagem"
    assert run("return format.isSeen(arg)", name) is False


@pytest.mark.parametrize("name", ["Ana", "\u3164Ana", ".", "🌸", "7", "محمد", "李", "❤", "\u200e☂"])
def test_a_name_with_one_sign_to_see_is_kept(run: Run, name: str) -> None:
    assert run("return format.displayName({ name: arg, phone: '+55 11' })", name) == name


@pytest.mark.parametrize(
    "text",
    ["😍", "👍🏽 ❤️", "❤", "1️⃣", "#️⃣", "*️⃣", "1\u20e3", "1️⃣2️⃣3️⃣", "🇧🇷", "🇧🇷🇵🇹🇦🇴", "👍🏽👍🏿👍🏻",
     "👨‍👩‍👧‍👦", "👩🏽‍🚀 👩🏽‍🚀 👩🏽‍🚀", "🧑🏽‍❤️‍💋‍🧑🏻", "🏳️‍🌈",
     "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
     "🫱🏻‍🫲🏿", "❤️‍🔥", "🐻‍❄️", "🙂‍↔️", "☺", "✌🏼", "©️", "‼️", " 😀\n😀 "],
)  # fmt: skip
def test_up_to_three_emoji_are_drawn_large(run: Run, text: str) -> None:
    assert run("return format.emojiCount(arg)", text) > 0


@pytest.mark.parametrize(
    "text",
    ["😍😍😍😍", "👩🏽‍🚀👩🏽‍🚀👩🏽‍🚀👩🏽‍🚀", "1️⃣2️⃣3️⃣4️⃣", "7", "77", "123", "#", "*", "oi 😍", "😍!",
     "🇧", "🇧🇷🇧",
     "©", "™", "↔", "❤\ufe0e", "\u20e3", "\u200d", "\ufe0f", "", " "],
)  # fmt: skip
def test_text_digits_and_a_row_of_emoji_are_not(run: Run, text: str) -> None:
    assert run("return format.emojiCount(arg)", text) == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [("😍", 1), ("👍🏽 ❤️", 2), ("😀😀😀", 3),
     ("👨‍👩‍👧‍👦", 1), ("👩🏽‍🚀 👩🏽‍🚀", 2), ("🇧🇷", 1),
     ("🇧🇷🇵🇹🇦🇴", 3), ("1️⃣", 1),
     ("🏳️‍🌈🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", 2)],
)  # fmt: skip
def test_what_is_drawn_as_one_emoji_counts_as_one(run: Run, text: str, count: int) -> None:
    assert run("return format.emojiCount(arg)", text) == count


def said(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "direction": "in", "sent_at": "2030-01-01T12:00:00Z", **more}


def test_days_and_runs_are_split_where_whatsapp_splits_them(run: Run) -> None:
    body = """
      const now = new Date('2030-01-02T15:00:00Z');
      const days = thread_items.threadDays(arg, { now, userName: 'Ana' });
      return days.map((day) => [day.label, day.items.map((i) => [i.key, i.startsRun, i.author])]);
    """
    out = {"direction": "out"}
    bruno = {**out, "author": {"kind": "attendant", "name": "Bruno"}}
    ana = {**out, "author": {"kind": "attendant", "name": "Ana"}}
    claude = {**out, "author": {"kind": "claude", "name": "Claude"}}
    today = {"sent_at": "2030-01-02T12:00:00Z"}
    thread = [
        said("1"),
        said("2"),
        said("3", **today),
        said("4", **today, **ana),
        said("5", **today, **bruno),
        said("6", **today, **bruno),
        # Sorted above an answer sent a moment before midnight: no second chip for the old day.
        said("7", **claude),
    ]
    assert run(body, thread) == [
        ["ONTEM", [["1", True, None], ["2", False, None]]],
        [
            "HOJE",
            [
                ["3", True, None],
                ["4", True, None],
                ["5", True, "Bruno"],
                ["6", False, None],
                ["7", True, "Claude"],
            ],
        ],
    ]


NAMES = """
  const days = thread_items.threadDays(arg.messages, { now: new Date(), userName: 'Ana', ...arg });
  const items = days.flatMap((day) => day.items);
  return items.map((i) => [i.notice ? 'chip' : i.author, i.startsRun, i.speaker]);
"""


def test_in_a_group_each_run_has_its_senders_name(run: Run) -> None:
    def by(name: str | None) -> dict[str, Any]:
        return {"author": {"kind": "customer", "name": name}}

    thread = [said("1", **by("Paula")), said("2", **by("Paula")), said("3", **by("Davi"))]
    thread += [said("4", **by("\u3164")), said("5", **by(None), type="system")]
    thread += [said("6", **by("Davi")), said("7", direction="out", **by("Ana"))]
    assert run(NAMES, {"messages": thread, "isGroup": True}) == [
        ["Paula", True, "Paula"],
        [None, False, "Paula"],
        ["Davi", True, "Davi"],
        ["Participante", True, "Participante"],
        ["chip", False, None],
        ["Davi", True, "Davi"],
        [None, True, "Ana"],
    ]
    alone = run(NAMES, {"messages": thread, "isGroup": False})
    assert [author for author, *_ in alone] == [None, None, None, None, "chip", None, None]


def test_who_answered_stands_over_the_bubble(run: Run) -> None:
    def by(kind: str, name: str | None) -> dict[str, Any]:
        return said(kind + str(name), direction="out", author={"kind": kind, "name": name})

    thread = [by("business_app", "Loja"), by("business_app", None), by("claude", None)]
    thread += [by("attendant", "Ana"), by("attendant", "Bruno"), by("attendant", None)]
    assert [author for author, *_ in run(NAMES, {"messages": thread})] == [
        "Celular da empresa",
        "Celular da empresa",
        "Claude",
        None,
        "Bruno",
        None,
    ]


@pytest.mark.parametrize("type_", ["system", "request_welcome"])
def test_a_notice_breaks_the_run(run: Run, type_: str) -> None:
    thread = [said("1"), said("2", type=type_), said("3"), said("4")]
    starts = [starts for _, starts, _ in run(NAMES, {"messages": thread})]
    assert starts == [True, False, True, False]


@pytest.mark.parametrize(
    ("reactions", "grouped"),
    [
        ([], []),
        (None, []),
        ([("👍", "Ana")], [["👍", ["Ana"]]]),
        ([("👍", "Ana"), ("❤️", "Bia"), ("❤", "Caio")], [["❤️", ["Bia", "Caio"]], ["👍", ["Ana"]]]),
        ([("👍", "Ana"), ("👍🏽", "Bia")], [["👍", ["Ana"]], ["👍🏽", ["Bia"]]]),
        ([("", "Ana"), ("\u3164", "Ana"), ("🙏", "\u3164")], [["🙏", ["Cliente"]]]),
    ],
)
def test_reactions_are_grouped_by_emoji(
    run: Run, reactions: list[tuple[str, str]] | None, grouped: list[Any]
) -> None:
    given = reactions and [{"emoji": emoji, "author": author} for emoji, author in reactions]
    body = "return extras.groupReactions(arg).map(({ emoji, authors }) => [emoji, authors]);"
    assert run(body, given) == grouped


def test_drafts_are_kept_per_conversation_and_follow_a_merge(run: Run) -> None:
    body = """
      const memory = new drafts.MemoryStorage();
      const mine = new drafts.Drafts(memory, 'ana');
      mine.set('a', 'um'); mine.set('b', 'dois'); mine.move('a', 'b'); mine.set('c', '');
      const again = new drafts.Drafts(memory, 'ana');
      const others = new drafts.Drafts(memory, 'bia');
      return [...['a', 'b', 'c'].map((id) => again.get(id)), others.get('b')];
    """
    assert run(body) == ["", "dois\num", "", ""]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"status": "sending"}, None),
        ({"status": "sending", "error": {"code": "unreachable", "message": "Espera."}},
         ["Espera.", False, None]),
        ({"status": "sending", "error": {"code": "unconfirmed", "message": "Talvez."}},
         ["Talvez enviada. Talvez.", False, "resend"]),
        ({"status": "failed", "error": {"code": "190", "message": "Token."}},
         ["Não enviada: Token.", True, "resend"]),
        ({"status": "failed", "error": {"code": "190", "message": "Token."}, "retried_as": "b",
          "retried_at": "2026-06-20T17:32:00Z"},
         ["Não enviada: Token. Reenviada às 14:32.", True, None]),
        ({"status": "failed", "error": {"code": "190", "message": "Token."}, "resending": True},
         ["Enviando novamente…", True, None]),
        ({"status": "failed", "delivery": "refused", "error": {"message": "Longa."}},
         ["Não enviada: Longa.", True, "copy"]),
        ({"status": "delivered", "error": None}, None),
        ({"status": "delivered", "error": {"code": "131026", "message": "Depois."}}, None),
    ],
)  # fmt: skip
def test_a_message_that_may_not_have_arrived_is_never_shown_as_if_it_had(
    run: Run, message: dict[str, Any], told: list[Any] | None
) -> None:
    body = """
      const problem = bubble.problemOf(arg);
      return problem && [problem.text, problem.failed, problem.action];
    """
    assert run(body, message) == told
