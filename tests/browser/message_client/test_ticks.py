"""The element: what it draws, in which colours, and how it keeps itself up to date."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.message_client.conftest import Run, channels, contrast

STATES = ["sending", "sent", "delivered", "read", "played", "failed"]
DOUBT = {"code": "unconfirmed", "message": "?", "source": "response", "at": "x"}


def put(page: Page, *lives: Any) -> None:
    page.evaluate("(lives) => lives.forEach((each) => bubble(live(each.id, each)))", list(lives))


def shown(page: Page) -> list[str | None]:
    return list(page.evaluate("settled().then(shown)"))


# --- drawing ----------------------------------------------------------------------------------


def test_each_state_has_a_drawing_a_label_and_a_role(run: Run) -> None:
    body = """
      return arg.map(([name, error]) => {
        const ticks = document.createElement('message-ticks');
        marks.updateTicks(ticks, name, error);
        document.body.append(ticks);
        return [ticks.dataset.status ?? null, ticks.ariaLabel, ticks.role, ticks.hidden,
          ticks.querySelectorAll('path').length, 'unconfirmed' in ticks.dataset];
      });
    """
    cases = [*([name, None] for name in STATES), ["sending", DOUBT], [None, None]]
    assert run(body, cases) == [
        ["sending", "Pendente", "img", False, 2, False],
        ["sent", "Enviada", "img", False, 1, False],
        *[["delivered", "Entregue", "img", False, 2, False]] * 3,
        ["failed", "Não enviada", "img", False, 2, False],
        ["sending", "Talvez enviada", "img", False, 3, True],
        [None, None, None, True, 0, False],
    ]


def test_the_second_check_is_a_check_behind_the_first_and_not_a_slash(run: Run) -> None:
    body = """
      const ticks = document.createElement('message-ticks');
      marks.updateTicks(ticks, 'delivered');
      document.body.append(ticks);
      return [...ticks.querySelectorAll('path')].map((path) => {
        const numbers = path.getAttribute('d').match(/[\\d.]+/g).map(Number);
        return [0, 2, 4].map((at) => numbers.slice(at, at + 2));
      });
    """
    first, second = run(body)
    for (left, down), (vertex, lowest), (right, up) in (first, second):
        assert left < vertex < right
        assert up < down < lowest
    foot = second[1][0] - second[0][0]
    assert foot > 1.4, "longer than its stroke is wide: it is seen"
    assert foot < first[1][0] - first[0][0], "the rest of it is behind the first"
    assert second[0][0] < first[2][0], "they overlap"
    assert [end[1] for end in first[1:]] == [end[1] for end in second[1:]]


def test_an_unchanged_status_writes_nothing_to_the_page(run: Run) -> None:
    body = """
      const ticks = document.createElement('message-ticks');
      document.body.append(ticks);
      marks.updateTicks(ticks, 'read');
      const seen = [];
      new MutationObserver((all) => seen.push(...all)).observe(ticks,
        { attributes: true, childList: true, subtree: true });
      for (const name of ['read', 'played', 'delivered']) marks.updateTicks(ticks, name);
      await settled();
      return seen.length;
    """
    assert run(body) == 0


def paint(page: Page) -> list[list[str]]:
    """Place, state and every computed colour of every part."""
    return list(
        page.evaluate("""async (doubt) => {
          const states = ['sending', 'sent', 'delivered', 'failed'];
          for (const name of states) bubble(live(name, { status: name }));
          bubble(live('doubt', { error: doubt }));
          await settled();
          return [...document.querySelectorAll('message-ticks')].flatMap((ticks) =>
            [ticks, ...ticks.querySelectorAll('*')].flatMap((part) => {
              const style = getComputedStyle(part);
              const own = getComputedStyle(ticks).color;
              return (part.localName === 'path' ? ['fill', 'stroke'] : ['color'])
                .map((key) => [ticks.dataset.status, key, style[key], own]);
            }));
        }""", DOUBT)
    )  # fmt: skip


#: What such signs stand on: white or a page's dark, and WhatsApp's bubbles.
GROUNDS = {
    "light": ["rgb(255, 255, 255)", "rgb(217, 253, 211)", "rgb(240, 242, 245)"],
    "dark": ["rgb(17, 27, 33)", "rgb(0, 92, 75)", "rgb(32, 44, 51)"],
}


def test_the_signs_are_grey_or_red_and_seen_in_a_page_that_paints_all_blue(
    host: Page, scheme: str
) -> None:
    """Trap 9: ticks came out black; and never blue."""
    colours = paint(host)
    assert {state for state, *_ in colours} == {"sending", "sent", "delivered", "failed"}
    assert len(colours) == 30
    for state, key, colour, own in colours:
        if colour == "none":
            continue
        red, green, blue = channels(colour)
        assert blue <= max(red, green) + 15, (state, key, colour)
        if state != "failed":
            assert max(red, green, blue) - min(red, green, blue) < 30, (state, key, colour)
            assert 60 < green < 210, "grey, neither black nor white"
        elif colour == own:
            assert red > green + 60
        if colour == own:
            for ground in GROUNDS[scheme]:
                assert contrast(colour, ground) >= 3, (state, ground)
        else:
            assert contrast(colour, own) >= 3, "the sign on its disc"


@pytest.mark.parametrize("declared", ["light", "dark"])
def test_a_page_that_is_of_one_scheme_only_gets_that_ones_signs(
    host: Page, scheme: str, declared: str
) -> None:
    colour = host.evaluate("""(declared) => {
      document.documentElement.style.colorScheme = declared;
      return getComputedStyle(bubble(live('a')).querySelector('message-ticks')).color;
    }""", declared)  # fmt: skip
    assert contrast(colour, GROUNDS[declared][0]) >= 4.5


def test_a_page_may_set_its_own_colours(host: Page) -> None:
    colour = host.evaluate("""() => {
      document.documentElement.style.setProperty('--message-ticks', 'rgb(1, 2, 3)');
      return getComputedStyle(bubble(live('a')).querySelector('message-ticks')).color;
    }""")
    assert colour == "rgb(1, 2, 3)"


# --- keeping itself up to date ----------------------------------------------------------------


def test_it_shows_what_the_server_rendered_and_follows_the_events(host: Page) -> None:
    put(host, {"id": "1", "status": "read"}, {"id": "2"}, {"id": "3", "error": DOUBT})
    put(host, {"id": "4", "status": None, "direction": "in"}, {"id": "5", "status": "failed"})
    assert shown(host) == ["delivered", "sending", "sending?", None, "failed"]
    host.evaluate("tell('2', 'sent'); tell('3', 'sending'); tell('1', 'sent'); tell('9', 'sent')")
    assert shown(host) == ["delivered", "sent", "sending", None, "failed"]
    host.evaluate("tell('2', 'played'); tell('2', 'delivered'); tell('4', 'sent')")
    assert shown(host) == ["delivered", "delivered", "sending", "sent", "failed"]


def test_what_a_script_of_the_page_puts_into_data_live_is_shown(host: Page) -> None:
    put(host, {"id": "1"})
    host.evaluate("""document.querySelector('[data-message-id]').dataset.live
      = JSON.stringify(live('1', { status: 'delivered' }))""")
    assert shown(host) == ["delivered"]


def test_a_page_that_was_under_way_does_not_undo_what_events_told(host: Page) -> None:
    put(host, {"id": "1"})
    host.evaluate("tell('1', 'delivered'); document.querySelector('#mensagens').replaceChildren()")
    put(host, {"id": "1", "status": "sent"}, {"id": "1", "status": "read"}, {"id": "2"})
    assert shown(host) == ["delivered", "delivered", "sending"]


def test_it_remembers_the_events_of_some_hundreds_of_messages(host: Page) -> None:
    host.evaluate("for (let n = 0; n < 2000; n += 1) tell(`m${n}`, 'sent')")
    put(host, {"id": "m0"}, {"id": "m1999"})
    assert shown(host) == ["sending", "sent"]


def test_a_row_shows_its_last_message(host: Page) -> None:
    host.evaluate("""() => {
      const row = (last) => {
        const node = document.createElement('li');
        node.dataset.conversationId = '7';
        node.dataset.live = JSON.stringify({ id: '7', version: 1, last_message: last });
        node.append(document.createElement('message-ticks'));
        document.querySelector('#lista').append(node);
        return node;
      };
      row(live('1', { status: 'sent' }));
      row({ id: '2', status: null });
      row(undefined);
      // The template may as well mark the message itself, inside the row.
      const inner = document.createElement('span');
      Object.assign(inner.dataset, { messageId: '1', live: JSON.stringify(live('1')) });
      inner.append(document.createElement('message-ticks'));
      row(null).append(inner);
    }""")
    assert shown(host) == ["sent", None, None, None, "sending"]
    host.evaluate("tell('1', 'read')")
    assert shown(host) == ["delivered", None, None, None, "delivered"]
    assert host.locator("message-ticks[role=button]").count() == 0, "a row is pressed to open it"


def test_what_a_script_shows_by_itself_stays(host: Page) -> None:
    put(host, {"id": "1"})
    host.evaluate("""() => {
      marks.updateTicks(document.querySelector('message-ticks'), 'failed');
      tell('1', 'sent');
    }""")
    assert shown(host) == ["failed"]


def test_a_page_without_the_include_is_left_to_its_script(run: Run, console: list[str]) -> None:
    body = """
      const node = document.createElement('p');
      node.dataset.messageId = '1';
      const ticks = document.createElement('message-ticks');
      node.append(ticks);
      document.body.append(node, document.createElement('message-ticks'));
      tell('1', 'sent');
      await settled();
      marks.updateTicks(ticks, 'delivered');
      return [ticks.dataset.status, ticks.role];
    """
    assert run(body) == ["delivered", "img"]
    assert console == []


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ("[null]", ["data-live"]),
        ("['{']", ["unreadable"]),
        ("[{ id: '1', direction: 'out' }]", ["has no status", "MessageStatusMixin"]),
    ],
)
def test_a_mark_that_lacks_something_is_told_once(
    warned: Page, console: list[str], marks: str, words: list[str]
) -> None:
    warned.evaluate(f"for (const each of [...{marks}, ...{marks}]) bubble(each, '1')")
    assert shown(warned) == [None, None]
    (warning,) = console
    assert all(word in warning for word in words)


def test_ticks_that_stand_nowhere_are_told_once(warned: Page, console: list[str]) -> None:
    warned.evaluate("""document.querySelector('#mensagens').append(
      document.createElement('message-ticks'), document.createElement('message-ticks'))""")
    (warning,) = console
    assert "{{ message|live }}" in warning
