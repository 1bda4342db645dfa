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


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Maria Aparecida dos Santos", "MS"),
        ("ágata", "Á"),
        ("(Loja) Zé", "LZ"),
        ("+55 11 98765-4321", ""),
        ("🌸", ""),
        (None, ""),
    ],
)
def test_initials_come_from_letters_alone(run: Run, name: str | None, letters: str) -> None:
    assert run("return format.initials(arg)", name) == letters


@pytest.mark.parametrize(
    ("text", "only"),
    [("😍", True), ("👍🏽 ❤️", True), ("😍😍😍😍", False), ("7", False), ("oi 😍", False)],
)
def test_only_up_to_three_emoji_are_drawn_large(run: Run, text: str, only: bool) -> None:
    assert run("return format.isOnlyEmoji(arg)", text) is only


HTML = """
  const inner = (t) => t.children ? tree(t.children) : t.text;
  const mark = (t) => `<${t.kind}${t.href ? ' ' + t.href : ''}>${inner(t)}</>`;
  const tree = (tokens) => tokens.map((t) => t.kind === 'text' ? t.text : mark(t)).join('');
  return tree(rich_text.parseRichText(arg));
"""


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("um *dois* três", "um <strong>dois</> três"),
        ("*_os dois_*", "<strong><em>os dois</></>"),
        ("~velho~ ```a *b*```", "<s>velho</> <pre>a *b*</>"),
        ("2*3*4 e a_b_c", "2*3*4 e a_b_c"),
        ("* solto* e *aberto", "* solto* e *aberto"),
        ("*quebra\nlinha*", "*quebra\nlinha*"),
        ("veja https://a.com/x_y_z.", "veja <link https://a.com/x_y_z>https://a.com/x_y_z</>."),
        ("(www.a.com)", "(<link https://www.a.com/>www.a.com</>)"),
        ("https://a.com/(b)", "<link https://a.com/(b)>https://a.com/(b)</>"),
        ("*https://a.com*", "<strong><link https://a.com/>https://a.com</></>"),
        ("javascript:alert(1) data:text/html,x", "javascript:alert(1) data:text/html,x"),
        ("<b>não</b>", "<b>não</b>"),
    ],
)
def test_text_is_formatted_as_whatsapp_does(run: Run, text: str, drawn: str) -> None:
    assert run(HTML, text) == drawn


def test_hostile_text_is_parsed_in_no_time(run: Run) -> None:
    body = """
      const texts = ['*a '.repeat(20000), '*_'.repeat(20000), 'https://' + ')'.repeat(60000),
                     '`'.repeat(60000), 'w'.repeat(60000), 'https://a.com/ '.repeat(4000)];
      const start = performance.now();
      for (const text of texts) rich_text.parseRichText(text);
      return performance.now() - start;
    """
    assert run(body) < 3000  # quadratic parsing takes minutes


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
         ["Enviando de novo…", True, None]),
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
