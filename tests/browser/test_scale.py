"""Many messages and many chats: what is near the view is drawn, and all else is as ever."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Attendant
from tests.browser.drawn_screen import DrawnScreen, customer, drawn_screen, incoming, outgoing
from tests.browser.screen_modules import Run, modules_page
from tests.helpers import SETTINGS, LiveServer, wait_until

pytestmark = pytest.mark.slow

MARIA = "5511987654321"
DAY = 86_400
MANY = 1_500
#: In the document, whatever there is.
MOST_BUBBLES, MOST_ROWS = 250, 60

_BUBBLE = "[data-message-id]"
_ROW = ".conversation-list > [data-conversation-id]"
#: What is topmost in view, and how far below its top: [id, px].
_TOPMOST = """() => {
  const top = document.querySelector('.thread-scroll').getBoundingClientRect().top;
  const node = [...document.querySelectorAll('[data-message-id]')].find(
    (each) => each.getBoundingClientRect().bottom > top);
  return [node.dataset.messageId, Math.round(node.getBoundingClientRect().top - top)];
}"""
_OFFSET = """(id) => {
  const top = document.querySelector('.thread-scroll').getBoundingClientRect().top;
  const node = document.querySelector(`[data-message-id="${id}"]`);
  return Math.round(node.getBoundingClientRect().top - top);
}"""
#: Scrolls by so much, and gives the topmost bubble and its offset as they are before anything is
#: drawn for it, and after that.
_SCROLL = """async (px) => {
  const scroller = document.querySelector('.thread-scroll');
  const top = scroller.getBoundingClientRect().top;
  scroller.scrollTop += px;
  const node = [...document.querySelectorAll('[data-message-id]')].find(
    (each) => each.getBoundingClientRect().bottom > top);
  const before = node.getBoundingClientRect().top;
  for (let n = 0; n < 3; n += 1) await new Promise(requestAnimationFrame);
  return [node.isConnected, Math.abs(node.getBoundingClientRect().top - before)];
}"""


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as run:
        yield run


@pytest.fixture(scope="module")
def screen(chromium: Browser) -> Iterator[DrawnScreen]:
    with drawn_screen(chromium) as screen:
        yield screen


def thread(count: int) -> list[dict[str, Any]]:
    """So many messages of either side, an hour between them, the last one a little ago."""
    made = []
    for n in range(count):
        at = time.strftime(
            "%Y-%m-%dT%H:00:00Z", time.gmtime(1_899_730_800 - (count - 1 - n) * 3600)
        )
        say = outgoing if n % 3 == 1 else incoming
        text = f"mensagem {n}" + " com mais palavras" * (n % 40)
        made.append(say(f"m{n:05d}", text, sent_at=at))
    return made


def count(page: Page, selector: str) -> int:
    return page.locator(selector).count()


# --- the thread -------------------------------------------------------------------------------


def test_scrolling_through_a_long_chat_draws_what_is_near_and_moves_nothing(
    screen: DrawnScreen,
) -> None:
    screen.draw()  # another thread before: nothing of it stays
    screen.draw(*thread(MANY))
    page = screen.page
    expect(page.locator(_BUBBLE).last).to_be_in_viewport()
    seen = set()
    for px in [-700] * 60 + [900] * 20:
        kept, moved = page.evaluate(_SCROLL, px)
        assert kept
        assert moved < 2
        assert count(page, _BUBBLE) <= MOST_BUBBLES
        id_, _ = page.evaluate(_TOPMOST)
        seen.add(id_)
        assert page.locator(f'[data-message-id="{id_}"]').count() == 1
    shown = page.locator(_BUBBLE).evaluate_all("(all) => all.map((each) => each.dataset.messageId)")
    numbers = [int(id_.removeprefix("m")) for id_ in shown]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))  # no gap, in order
    assert min(seen) < f"m{MANY - 100:05d}"
    assert numbers[-1] < MANY - 1


def test_the_day_over_the_first_that_is_drawn_is_its_own(screen: DrawnScreen) -> None:
    screen.draw()
    screen.draw(*thread(MANY))
    page = screen.page
    for _ in range(20):
        page.evaluate(_SCROLL, -700)
    days = page.locator(".day").evaluate_all(
        """(days) => days.map((day) => [day.querySelector('.day-chip').textContent,
          day.querySelectorAll('[data-message-id]').length,
          new Date(day.querySelector('time').dateTime).toLocaleDateString('pt-BR'),
          day.querySelector('.message').classList.contains('starts-run')])"""
    )
    assert len(days) > 2
    assert all(shown == of_first for shown, _, of_first, _ in days if "/" in shown)
    assert all(each == 24 for _, each, _, _ in days[1:-1])
    assert all(begins for _, _, _, begins in days[1:])


def test_end_and_home_lead_to_the_end_and_the_beginning_of_what_is_loaded(
    screen: DrawnScreen,
) -> None:
    screen.draw()
    screen.draw(*thread(MANY))
    page = screen.page
    scroller = page.locator(".thread-scroll")
    scroller.press("Home")
    expect(page.locator('[data-message-id="m00000"]')).to_be_in_viewport()
    expect(page.get_by_role("button", name="Ir para o fim")).to_be_visible()
    assert count(page, _BUBBLE) <= MOST_BUBBLES
    scroller.press("End")
    expect(page.locator(f'[data-message-id="m{MANY - 1:05d}"]')).to_be_in_viewport()
    expect(page.get_by_role("button", name="Ir para o fim")).to_be_hidden()
    scroller.press("Home")
    page.get_by_role("button", name="Ir para o fim").click()
    expect(page.locator(f'[data-message-id="m{MANY - 1:05d}"]')).to_be_in_viewport()


def test_the_arrows_walk_from_bubble_to_bubble_past_what_was_drawn_at_first(
    screen: DrawnScreen,
) -> None:
    screen.draw()
    screen.draw(*thread(MANY))
    page = screen.page
    page.locator(".bubble-chevron[tabindex='0']").focus()
    focused = page.locator(f"{_BUBBLE}:focus-within")
    for n in range(1, 121):
        page.keyboard.press("ArrowUp")
        expect(focused).to_have_attribute("data-message-id", f"m{MANY - 1 - n:05d}")
    assert count(page, _BUBBLE) <= MOST_BUBBLES
    page.keyboard.press("End")
    expect(focused).to_have_attribute("data-message-id", f"m{MANY - 1:05d}")


def test_what_comes_while_one_reads_above_moves_nothing_and_is_there_at_the_end(
    screen: DrawnScreen,
) -> None:
    all_ = thread(MANY)
    screen.draw()
    screen.draw(*all_[:-200])
    page = screen.page
    for _ in range(15):
        page.evaluate(_SCROLL, -700)
    id_, offset = page.evaluate(_TOPMOST)
    screen.draw(*all_)
    assert abs(page.evaluate(_OFFSET, id_) - offset) < 2
    assert count(page, _BUBBLE) <= MOST_BUBBLES
    new = sum(each["direction"] == "in" for each in all_[-200:])
    jump = page.get_by_role("button", name=f"Ir para o fim: {new} mensagens novas")
    jump.click()
    expect(page.locator(f'[data-message-id="m{MANY - 1:05d}"]')).to_be_in_viewport()
    expect(jump).to_be_hidden()


def test_a_burst_at_the_end_stays_at_the_end(screen: DrawnScreen) -> None:
    screen.draw()
    screen.draw(*thread(MANY))
    drawn = screen.page.evaluate(
        """(ends) => {
          const all = window.shown;
          return ends.map((end) => {
            window.draw({ ...all, messages: all.messages.slice(0, end) });
            return document.querySelectorAll('[data-message-id]').length;
          });
        }""",
        [1000, *range(1001, 1300), MANY],
    )
    assert max(drawn) <= MOST_BUBBLES
    expect(screen.page.locator(f'[data-message-id="m{MANY - 1:05d}"]')).to_be_in_viewport()
    expect(screen.page.get_by_role("button", name="Ir para o fim")).to_be_hidden()


def test_a_text_that_was_unfolded_is_so_when_it_comes_back(screen: DrawnScreen) -> None:
    all_ = thread(MANY)
    all_[-1]["text"] = "palavra " * 300
    screen.draw()
    screen.draw(*all_)
    page = screen.page
    last = page.locator(f'[data-message-id="m{MANY - 1:05d}"]')
    last.get_by_role("button", name="Ler mais").click()
    page.locator(".thread-scroll").press("Home")
    expect(last).to_have_count(0)
    page.locator(".thread-scroll").press("End")
    expect(last).to_be_in_viewport()
    expect(last.get_by_role("button", name="Ler mais")).to_have_count(0)


def test_the_focus_stays_in_the_thread_when_its_bubble_is_far_away(screen: DrawnScreen) -> None:
    screen.draw()
    screen.draw(*thread(MANY))
    page = screen.page
    page.locator(".bubble-chevron[tabindex='0']").focus()
    for _ in range(60):
        page.evaluate(_SCROLL, -900)
    expect(page.locator(f'[data-message-id="m{MANY - 1:05d}"]')).to_have_count(0)
    expect(page.locator(".thread-scroll")).to_be_focused()


# --- the list ---------------------------------------------------------------------------------

CHATS = [customer(f"c{n}", text=f"oi {n}", name=f"Cliente {n}") for n in range(5_000)]


def test_a_long_list_draws_the_rows_near_the_view_and_tells_the_place_of_each(
    screen: DrawnScreen,
) -> None:
    screen.draw(conversations=CHATS)
    page = screen.page
    rows = page.locator(_ROW)
    expect(rows.first).to_have_attribute("aria-posinset", "1")
    expect(rows.first).to_have_attribute("aria-setsize", "5000")
    assert count(page, _ROW) <= MOST_ROWS
    list_ = page.locator(".list-scroll")
    for place in (300, 2500, 4999):
        list_.evaluate("(list, place) => { list.scrollTop = place * 74 - 300; }", place)
        row = page.locator(f"{_ROW}[aria-posinset='{place + 1}']")
        expect(row).to_be_in_viewport()
        expect(row).to_contain_text(f"oi {place}")
        assert count(page, _ROW) <= MOST_ROWS
    shown = rows.evaluate_all(
        """(all) => all.map(
          (each) => [each.dataset.conversationId, each.getBoundingClientRect().top])"""
    )
    places = [int(id_.removeprefix("c")) for id_, _ in shown]
    assert places == list(range(places[0], 5_000))
    assert all(b[1] - a[1] == 74 for a, b in zip(shown, shown[1:], strict=False))


def test_the_keyboard_goes_through_all_of_it(screen: DrawnScreen) -> None:
    screen.draw(conversations=CHATS, selected="c2")
    page = screen.page
    focused = page.locator(f"{_ROW}:focus-within")
    page.locator(f"{_ROW} .row[tabindex='0']").focus()
    expect(focused).to_have_attribute("data-conversation-id", "c2")
    for place in range(3, 60):
        page.keyboard.press("ArrowDown")
        expect(focused).to_have_attribute("data-conversation-id", f"c{place}")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("End")
    expect(focused).to_have_attribute("data-conversation-id", "c4999")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("ArrowDown")
    expect(focused).to_have_attribute("data-conversation-id", "c4999")
    page.keyboard.press("ArrowUp")
    expect(focused).to_have_attribute("data-conversation-id", "c4998")
    page.keyboard.press("Home")
    expect(focused).to_have_attribute("data-conversation-id", "c0")
    expect(focused).to_be_in_viewport()
    assert count(page, f"{_ROW} .row[tabindex='0']") == 1
    assert count(page, _ROW) <= MOST_ROWS


def test_the_focused_and_the_open_row_stay_however_far_one_scrolls(screen: DrawnScreen) -> None:
    screen.draw(conversations=CHATS, selected="c1")
    page = screen.page
    page.locator(f'{_ROW}[data-conversation-id="c3"] .row').focus()
    page.locator(".list-scroll").evaluate("(list) => { list.scrollTop = 100_000; }")
    expect(page.locator(f"{_ROW}[aria-posinset='1353']")).to_be_in_viewport()
    expect(page.locator(f'{_ROW}[data-conversation-id="c3"] .row')).to_be_focused()
    expect(page.locator(f'{_ROW}[data-conversation-id="c1"] .row')).to_have_attribute(
        "aria-current", "true"
    )
    page.keyboard.press("ArrowDown")
    expect(page.locator(f'{_ROW}[data-conversation-id="c4"] .row')).to_be_focused()
    expect(page.locator(f'{_ROW}[data-conversation-id="c4"]')).to_be_in_viewport()


def test_a_chat_that_comes_to_the_top_moves_nothing_of_what_is_read_further_down(
    screen: DrawnScreen,
) -> None:
    screen.draw(conversations=CHATS[:1000])
    page = screen.page
    page.locator(".list-scroll").evaluate("(list) => { list.scrollTop = 20_000; }")
    row = page.locator(f'{_ROW}[data-conversation-id="c273"]')
    expect(row).to_be_in_viewport()
    top = row.bounding_box()["y"]  # type: ignore[index]
    screen.draw(conversations=[CHATS[900], *CHATS[:900], *CHATS[901:1000]])
    assert row.bounding_box()["y"] == top  # type: ignore[index]
    # Also when it is the very row on top of the view.
    order = [CHATS[271], CHATS[900], *CHATS[:271], *CHATS[272:900], *CHATS[901:1000]]
    screen.draw(conversations=order)
    assert row.bounding_box()["y"] == top  # type: ignore[index]
    page.locator(".list-scroll").evaluate("(list) => { list.scrollTop = 0; }")
    expect(page.locator(_ROW).first).to_have_attribute("data-conversation-id", "c271")


# --- what the page keeps ----------------------------------------------------------------------


def test_rows_that_change_are_put_in_their_places_as_if_all_were_sorted_anew(run: Run) -> None:
    body = """
      const rows = new Map();
      const order = new row_order.RowOrder((id) => rows.get(id) ?? null);
      let seed = 7;
      const random = (n) => { seed = (seed * 16807) % 2147483647; return seed % n; };
      const faults = [];
      for (let turn = 0; turn < 400; turn += 1) {
        for (let n = turn % 50 === 0 ? 300 : random(4); n > 0; n -= 1) {
          const id = `c${random(500)}`;
          const position = random(9) ? String(random(100000)).padStart(6, '0') : null;
          if (random(8) === 0) rows.delete(id);
          else rows.set(id, { conversation: { id }, last: position && { position } });
          order.touch(id);
        }
        const shown = order.rows.map((row) => row.last?.position ?? '');
        const wanted = [...rows.values()].map((row) => row.last?.position ?? '').sort().reverse();
        const same = new Set(order.rows).size === rows.size
          && order.rows.every((row) => rows.get(row.conversation.id) === row);
        if (JSON.stringify(shown) !== JSON.stringify(wanted) || !same) faults.push(turn);
      }
      return faults;
    """
    assert run(body) == []


def test_a_threads_messages_stay_sorted_whatever_comes_and_goes(run: Run) -> None:
    body = """
      const thread = new thread_state.Thread();
      let seed = 11;
      const random = (n) => { seed = (seed * 16807) % 2147483647; return seed % n; };
      const faults = [];
      for (let turn = 0; turn < 600; turn += 1) {
        const n = random(200);
        const key = `k${n}`;
        const position = String((n * 7919) % 1000).padStart(4, '0');
        const message = { id: `i${n}`, client_id: key, position, text: `${turn}` };
        const own = { ...message, id: key, delivery: 'pending', position: `${position}~${turn}` };
        const kind = random(4);
        if (kind === 0) thread.putLocal(own);
        else if (kind === 1) thread.removeLocal(key);
        else thread.put(message, turn);
        const held = thread.messages;
        const copy = [...held];
        thread.put({ ...message, text: 'later' }, turn);
        const positions = thread.messages.map((each) => each.position);
        const wrong = {
          held: held.some((each, place) => each !== copy[place]),
          order: positions.some((each, place) => place > 0 && each < positions[place - 1]),
          size: new Set(thread.messages).size !== positions.length,
          find: [`i${n}`, key].some((each) => thread.find(each)?.text !== 'later'),
          locals: thread.locals.some((each) => each.delivery === undefined),
        };
        for (const [what, isWrong] of Object.entries(wrong)) if (isWrong) faults.push([turn, what]);
      }
      return faults;
    """
    assert run(body) == []


def test_threads_that_were_left_long_ago_are_dropped_to_their_newest_page_and_then_wholly(
    run: Run,
) -> None:
    body = """
      const message = (id, n) => (
        { id: `${id}-${n}`, position: String(n).padStart(5, '0'), direction: 'in', text: `${n}` });
      const state = new page_state.PageState();
      const api = { messages: async (id, before) => {
        const end = before === null ? 300 : Number(before);
        const messages = Array.from({ length: 50 }, (_, n) => message(id, end - 50 + n));
        return { messages, next: end > 50 ? messages[0].position : null };
      } };
      const reader = new loader.Loader({ state, api, noteVersion: () => {}, onChange: () => {} });
      const open = async (id) => {
        state.select(id);
        reader.opened(id);
        await reader.openThread(id);
      };
      await open('first');
      await reader.loadOlder('first');
      await reader.loadOlder('first');
      const all = state.thread('first').messages.length;
      await open('unsent');
      state.putLocal('unsent', { ...message('unsent', 999), delivery: 'waiting' });
      for (let n = 0; n < 6; n += 1) await open(`c${n}`);
      const trimmed = state.thread('first').messages.map(({ position }) => position);
      const { next } = state.thread('first');
      await open('first'); // and up again, without a gap
      await reader.loadOlder('first');
      const again = state.thread('first').messages.map(({ position }) => Number(position));
      for (let n = 0; n < 100; n += 1) await open(`d${n}`);
      const left = ['first', 'unsent', 'd99', 'd60', 'd20'].map(
        (id) => state.knownThread(id)?.messages.length ?? null);
      const isWhole = again.every((each, n) => each === 200 + n);
      return { all, kept: trimmed.length, from: trimmed[0], next, again: isWhole, left };
    """
    after = run(body)
    assert after == {
        "all": 150,
        "kept": 50,
        "from": "00250",
        "next": "00250",
        "again": True,
        "left": [None, 51, 50, 50, None],
    }


# --- with a server ----------------------------------------------------------------------------


def deliver(server: LiveServer, *messages: tuple[str, str, int]) -> None:
    """(wamid, text, time) of Maria's, in one call."""
    values = [
        {"from": MARIA, "id": wamid, "timestamp": str(at), "type": "text", "text": {"body": text}}
        for wamid, text, at in messages
    ]
    body = json.dumps(
        {"entry": [{"changes": [{"field": "messages", "value": {"messages": values}}]}]}
    )
    key = SETTINGS["WHATSAPP_APP_SECRET"].encode()
    digest = hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={digest}"}
    answer = requests.post(f"{server.url}/webhook", data=body, headers=headers, timeout=60)
    assert answer.status_code == 200


def test_late_news_far_above_is_read_where_it_stands_and_the_place_is_kept(
    live_server: Callable[..., LiveServer], attendant: Callable[..., Attendant]
) -> None:
    server = live_server()
    start = int(time.time()) - 3 * DAY
    deliver(server, *((f"wamid.{n}", f"curta {n}", start + 60 * n) for n in range(260)))
    ana = attendant("ana", server.url)
    page = ana.page
    row = page.locator("[data-conversation-id]")
    row.click()
    page.locator(".jump-button").click()  # it opened at the first that was unread, all are here
    expect(page.locator(_BUBBLE, has_text="curta 259")).to_be_in_viewport()
    expect(row.locator("[data-unread-count]")).to_have_count(0)
    assert count(page, _BUBBLE) <= MOST_BUBBLES

    # Far above the view: the thread points to it, and it is read there, with the end not drawn.
    deliver(server, ("wamid.late", "atrasada", start + 30))
    page.locator(".late-button").click()
    late = page.locator(_BUBBLE, has_text="atrasada")
    expect(late).to_be_in_viewport()
    expect(page.locator(_BUBBLE, has_text="curta 259")).to_have_count(0)
    expect(row.locator("[data-unread-count]")).to_have_count(0)

    # What comes at the end meanwhile is not read from here.
    deliver(server, ("wamid.end", "no fim", start + 2 * DAY))
    expect(row.locator("[data-unread-count]")).to_have_attribute("data-unread-count", "1")
    jump = page.get_by_role("button", name="Ir para o fim: 1 mensagem nova")
    expect(jump).to_be_visible()
    expect(late).to_be_in_viewport()

    # Coming back leads to where it was, though that is five pages up and the end was drawn first.
    wait_until(lambda: "wamid" in page.evaluate("Object.values(sessionStorage).join()"))
    page.reload()
    expect(late).to_be_in_viewport()
    expect(row.locator("[data-unread-count]")).to_have_attribute("data-unread-count", "1")
    page.get_by_role("button", name="Ir para o fim").click()
    expect(page.locator(_BUBBLE, has_text="no fim")).to_be_in_viewport()
    expect(row.locator("[data-unread-count]")).to_have_count(0)
