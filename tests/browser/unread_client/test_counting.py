"""The map of what is unread, and what title and icon draw from it."""

from __future__ import annotations

import random

import pytest
from playwright.sync_api import Page

from tests.browser.unread_client.conftest import Run


def test_events_in_any_order_and_repeated_give_the_same_numbers(run: Run) -> None:
    """A story of forty changes of five conversations, told in order and then shuffled."""
    shuffler = random.Random(5)
    state = {f"c{n}": [0, 0, 0] for n in range(5)}
    silent, told = set(), []
    for version in range(1, 41):
        id_ = shuffler.choice(sorted(state))
        now = state[id_]
        what = shuffler.choice(["arrives", "arrives", "read", "flip", "mute"])
        if what == "arrives":
            now[0] += 1
        elif what == "read":
            now[1] = now[0]
        elif what == "flip":
            now[2] += 1
        else:
            silent ^= {id_}
        numbers = dict(
            zip(("incoming_counted", "incoming_read", "mark_flips"), now, strict=True),
        )
        told.append([id_, numbers | {"silent": id_ in silent, "version": version}])
    unread = [i for i, (all_, read, flips) in state.items() if all_ > read or flips % 2]
    loud = [i for i in unread if i not in silent]
    expected = {
        "conversations": len(loud),
        "messages": sum(max(1, state[i][0] - state[i][1]) for i in loud),
    }
    shuffled = told * 2
    shuffler.shuffle(shuffled)
    body = """
      const map = new UnreadMap();
      for (const [id, news] of arg) map.merge(id, news);
      const badges = ["c0", "c1", "c2", "c3", "c4"].map((id) => map.badge(id));
      return [map.totals(), badges];
    """
    in_order, any_order = run(body, told), run(body, shuffled)
    assert in_order == any_order
    assert in_order[0] == expected
    assert [each["count"] for each in in_order[1]] == [a - r for a, r, _ in state.values()]


def test_a_read_under_way_shows_at_once_and_is_taken_back_when_it_fails(run: Run) -> None:
    badges = run(
        """
        const map = new UnreadMap();
        map.merge("c", numbers(5, 2, 1));
        const seen = [map.badge("c")];
        map.beginRead("c");
        seen.push(map.badge("c"), map.totals().messages);
        map.merge("c", numbers(6, 2, 1));  // one more arrives while it is on its way
        seen.push(map.badge("c"));
        map.endRead("c");
        seen.push(map.badge("c"));
        return seen;
        """
    )
    assert badges == [
        {"count": 3, "marked": True},
        {"count": 0, "marked": False},
        0,
        {"count": 1, "marked": False},
        {"count": 4, "marked": True},
    ]


def test_what_was_merged_into_another_conversation_never_comes_back(run: Run) -> None:
    totals = run(
        """
        const map = new UnreadMap();
        map.merge("old", numbers(2, 0));
        map.move("old", "new");
        map.merge("new", numbers(3, 0));
        map.merge("old", numbers(2, 0));
        return map.totals();
        """
    )
    assert totals == {"conversations": 1, "messages": 3}


@pytest.mark.parametrize(
    ("n", "offline", "title", "icon"),
    [
        (0, False, "Atendimento", "plain"),
        (1, False, "(1) Atendimento", "1"),
        (99, False, "(99) Atendimento", "99"),
        (100, False, "(100) Atendimento", "mark"),
        (3, True, "(3) Atendimento", "offline"),
    ],
)
def test_title_and_icon_say(run: Run, n: int, offline: bool, title: str, icon: str) -> None:
    said = run("return [titleText('Atendimento', arg[0]), iconName(...arg)];", [n, offline])
    assert said == [title, icon]


def test_words_know_one_from_many(run: Run) -> None:
    assert run("return [unreadLabel(1), unreadLabel(12), digestText(1, 1), digestText(12, 4)]") == [
        "1 mensagem não lida",
        "12 mensagens não lidas",
        "1 mensagem nova em 1 conversa",
        "12 mensagens novas em 4 conversas",
    ]


def test_title_icon_and_app_badge_follow_the_map_and_write_nothing_twice(run: Run) -> None:
    seen = run(
        """
        const link = document.querySelector("link[rel=icon]");
        link.type = "image/x-icon";
        const plain = link.href;
        begin({ known: { a: numbers(2, 0), b: numbers(1, 0) } });
        unread.show();
        const seen = [[document.title, icon()]];
        let writes = 0;
        new MutationObserver((records) => { writes += records.length; })
          .observe(document.head, { subtree: true, childList: true, attributes: true });
        unread.show();
        focus(false); focus(true);  // looking at the window reads nothing
        unread.show();
        await settle();
        seen.push(writes);
        unread.onEvent(changed("b", { ...numbers(1, 1), silent: false, version: 2 }));
        unread.show();
        seen.push([document.title, icon()]);
        connection("offline");
        unread.show();
        seen.push([document.title, icon(), link.type, link.href.slice(0, 15)]);
        unread.onEvent(changed("a", { ...numbers(2, 2), silent: false, version: 2 }));
        connection("connected");
        unread.show();
        await settle();
        seen.push([document.title, icon(), link.type, link.href === plain]);
        return [...seen, world.badges];
        """
    )
    assert seen == [
        ["(2) Atendimento", "2"],
        0,
        ["(1) Atendimento", "1"],
        ["(1) Atendimento", "offline", "image/svg+xml", "data:image/svg+"],
        ["Atendimento", "plain", "image/x-icon", True],
        [0, 2, 1, 0],
    ]


def test_messages_may_be_counted_and_a_cut_count_says_so(run: Run) -> None:
    titles = run(
        """
        const by_conversation = { a: numbers(7, 0), b: numbers(0, 0, 1) };
        const settings = { title_counts: "messages", totals_limit: 8 };
        const titles = [];
        for (const limit_reached of [false, true]) {
          begin({ settings });
          world.server = () => ({ by_conversation, limit_reached });
          await unread.load();
          unread.show();
          titles.push(document.title);
        }
        return titles;
        """
    )
    assert titles == ["(8) Atendimento", "(8+) Atendimento"]


def test_a_number_and_a_text_are_one_conversation(run: Run) -> None:
    """Integer keys are numbers in a host's own JSON, texts in events and in the DOM."""
    seen = run(
        """
        begin();
        unread.learn({ id: 7, ...numbers(2, 0) });
        unread.onEvent(created("7", incoming(3), numbers(3, 0)));
        const seen = [unread.totals(), unread.badge(7), unread.badge("7")];
        unread.select(7);
        draw([incoming(3)]);
        seen.push(unread.selected, unread.unseen());
        unread.removed("7");
        return [...seen, unread.totals(), unread.selected];
        """
    )
    badge = {"count": 3, "marked": False}
    nothing = {"conversations": 0, "messages": 0}
    assert seen == [{"conversations": 1, "messages": 3}, badge, badge, "7", [], nothing, None]


def test_silence_goes_by_the_newer_version(run: Run) -> None:
    assert run(
        """
        const map = new UnreadMap();
        map.merge("c", { ...numbers(1, 0), silent: true, version: 5 });
        const seen = [map.totals().conversations];
        map.merge("c", { ...numbers(1, 0), silent: false, version: 4 });  // told late
        map.merge("c", numbers(2, 0));  // says nothing of it
        seen.push(map.totals().conversations, map.badge("c").count);
        map.merge("c", { silent: false, version: 6 });
        return [...seen, map.totals().conversations];
        """
    ) == [0, 0, 2, 1]


def test_what_the_server_lists_no_longer_goes_unless_it_has_changed_meanwhile(run: Run) -> None:
    seen = run(
        """
        const ids = ["read", "both", "came", "muted", "other"];
        begin({ known: Object.fromEntries(ids.slice(0, 4).map((id) => [id, numbers(2, 0)])) });
        unread.learn({ id: "muted", silent: true, version: 1 });
        let answer;
        world.server = () => new Promise((resolve) => { answer = resolve; });
        const loading = unread.load();
        unread.onEvent(created("came", incoming(3), numbers(3, 0)));
        const by_conversation = { both: numbers(2, 0), other: numbers(1, 0) };
        answer({ by_conversation, limit_reached: false });
        await loading;
        return ids.map((id) => unread.badge(id).count);
        """
    )
    assert seen == [0, 2, 3, 2, 1]


def test_a_list_that_was_cut_takes_nothing_away(run: Run) -> None:
    assert (
        run(
            """
            begin({ known: { beyond: numbers(2, 0) } });
            world.server = () => ({ by_conversation: {}, limit_reached: true });
            await unread.load();
            return unread.badge("beyond").count;
            """
        )
        == 2
    )


def test_what_is_unread_is_asked_for_until_there_is_an_answer(run: Run) -> None:
    seen = run(
        """
        begin();
        const times = [];
        world.server = () => {
          times.push(world.clock.time);
          throw Object.assign(new Error("away"), { status: 503 });
        };
        await unread.load();
        await world.clock.advance(60_000);
        world.server = () => ({ by_conversation: { c: numbers(1, 0) }, limit_reached: false });
        await world.clock.advance(600_000);
        const waits = times.slice(1).map((time, n) => time - times[n]);
        return [waits, got.requests.length - times.length, unread.totals().messages];
        """
    )
    assert seen == [[500, 1000, 2000, 4000, 8000, 15000, 15000], 1, 1]


@pytest.mark.parametrize("restored", ["(4) Maria", "(1000+) Maria"])
def test_a_title_that_the_host_changes_is_numbered_too(run: Run, restored: str) -> None:
    titles = run(
        """
        document.title = arg;  // as a page is restored with the number it had
        begin();
        unread.learn({ id: "a", ...numbers(1, 0) });
        unread.show();
        const titles = [document.title];
        document.title = "João";
        unread.show();
        return [...titles, document.title];
        """,
        restored,
    )
    assert titles == ["(1) Maria", "(1) João"]


def test_a_page_without_an_icon_gets_one(run: Run) -> None:
    seen = run(
        """
        document.querySelector("link[rel=icon]").remove();
        begin({ known: { a: numbers(1, 0) } });
        unread.show();
        const link = document.querySelector("link[rel=icon]");
        const seen = [link.dataset.favicon, decodeURIComponent(link.href).includes(">1</text>")];
        unread.learn({ id: "a", ...numbers(1, 1) });
        unread.show();
        await settle();
        return [...seen, new URL(link.href).pathname];
        """
    )
    assert seen == ["1", True, "/favicon.ico"]


BADGES = """
  const list = document.createElement("ul");
  document.querySelector("#pane").after(list);
  const row = (id) => {
    const node = document.createElement("li");
    node.dataset.conversationId = id;
    node.append(document.createElement("unread-badge"));
    list.append(node);
    return node.firstChild;
  };
  const says = (badge) => [badge.textContent, badge.getAttribute("aria-label"),
    badge.dataset.unreadCount ?? null, badge.hidden, badge.className];
"""


def test_a_badge_draws_itself(run: Run) -> None:
    seen = run(
        BADGES
        + """
        const early = row("a");  // before there is anything to draw from
        const [a, b, c, d] = [numbers(2, 0), numbers(1500, 0), numbers(0, 0, 1), numbers(1, 0)];
        begin({ known: { a, b, c, d, e: {} } });
        unread.learn({ id: "d", silent: true, version: 1 });
        unread.show();
        const rows = ["b", "c", "d", "e", "unknown"].map(row);
        const seen = [early, ...rows].map(says);
        unread.learn({ id: "a", ...numbers(2, 2) });
        unread.show();
        return [...seen, says(early)];
        """
    )
    two = ["2", "2 mensagens não lidas", "2", False, ""]
    none = ["", None, None, True, ""]
    loudless = ["1", "1 mensagem não lida", "1", False, "silent"]
    assert seen == [
        two,
        ["999+", "1500 mensagens não lidas", "1500", False, ""],
        ["", "Marcada como não lida", "0", False, ""],
        loudless,
        none,
        none,
        none,
    ]


def test_a_badge_is_moved_removed_and_written_only_when_it_changes(run: Run) -> None:
    seen = run(
        BADGES
        + """
        begin({ known: { a: numbers(2, 0), b: numbers(1, 0) } });
        const badge = row("a");
        const other = row("b");
        let writes = 0;
        const observer = new MutationObserver((records) => { writes += records.length; });
        observer.observe(badge, { childList: true, attributes: true, subtree: true });
        unread.show();
        unread.learn({ id: "b", ...numbers(1, 1) });
        unread.show();
        await settle();
        const seen = [writes, other.hidden];
        other.parentElement.append(badge);  // into another row
        seen.push(badge.hidden);
        badge.remove();
        unread.learn({ id: "b", ...numbers(5, 1) });
        unread.show();
        return [...seen, badge.hidden, other.textContent];
        """
    )
    assert seen == [0, True, True, True, "4"]


def test_a_badge_has_the_colours_of_its_host(page: Page) -> None:
    colours = page.evaluate(
        """async () => {
          const sheet = document.createElement("link");
          Object.assign(sheet, { rel: "stylesheet", href: "/static/unread_state.css" });
          const loaded = new Promise((done) => { sheet.onload = done; });
          document.head.append(sheet);
          await loaded;
          begin({ known: { a: numbers(2, 0) } });
          const row = document.createElement("div");
          row.dataset.conversationId = "a";
          document.body.append(row);
          const badge = document.createElement("unread-badge");
          row.append(badge);
          const style = getComputedStyle(badge);
          const seen = [style.backgroundColor, style.display];
          document.body.style.setProperty("--unread-badge", "rgb(1, 2, 3)");
          seen.push(style.backgroundColor);
          unread.learn({ id: "a", ...numbers(2, 2) });
          unread.show();
          return [...seen, style.display];
        }"""
    )
    assert colours == ["rgb(29, 122, 69)", "inline-block", "rgb(1, 2, 3)", "none"]
