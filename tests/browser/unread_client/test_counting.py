"""The map of what is unread, and what title and icon draw from it."""

from __future__ import annotations

import random

import pytest

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
        told.append([id_, numbers | {"silent": id_ in silent, "conversation_version": version}])
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
        begin({ initial: { by_conversation: { a: numbers(2, 0), b: numbers(1, 0) } } });
        const seen = [[document.title, icon()]];
        await new Promise((done) => setTimeout(done, 100));  // the icon is drawn from an image
        let writes = 0;
        new MutationObserver((records) => { writes += records.length; })
          .observe(document.head, { subtree: true, childList: true, attributes: true });
        unread.show();
        focus(false); focus(true);  // looking at the window reads nothing
        unread.show();
        await settle();
        seen.push(writes);
        unread.onEvent(changed("b", { ...numbers(1, 1), silent: false, conversation_version: 2 }));
        unread.show();
        seen.push([document.title, icon()]);
        unread.connection("offline");
        unread.show();
        await new Promise((done) => setTimeout(done, 100));
        const link = document.querySelector("link[rel=icon]");
        seen.push([document.title, icon(), link.type, link.href.slice(0, 15)]);
        unread.onEvent(changed("a", { ...numbers(2, 2), silent: false, conversation_version: 2 }));
        unread.connection("connected");
        unread.show();
        await settle();
        seen.push([document.title, icon(), link.type, new URL(link.href).pathname]);
        return [...seen, world.badges];
        """
    )
    assert seen == [
        ["(2) Atendimento", "2"],
        0,
        ["(1) Atendimento", "1"],
        ["(1) Atendimento", "offline", "image/png", "data:image/png;"],
        ["Atendimento", "plain", "image/svg+xml", "/static/chat/favicon.svg"],
        [2, 1, 0],
    ]


def test_messages_may_be_counted_and_a_cut_count_says_so(run: Run) -> None:
    titles = run(
        """
        const by_conversation = { a: numbers(7, 0), b: numbers(0, 0, 1) };
        const settings = { title_counts: "messages", totals_limit: 8 };
        begin({ initial: { by_conversation }, settings });
        const titles = [document.title];
        begin({ initial: { by_conversation, limit_reached: true }, settings });
        return [...titles, document.title];
        """
    )
    assert titles == ["(8) Atendimento", "(8+) Atendimento"]


def test_a_difference_from_the_server_is_mended_and_told_once(run: Run) -> None:
    got = run(
        """
        begin({ initial: { by_conversation: { stuck: numbers(2, 0), fine: numbers(1, 0) } } });
        unread.connection("connected");
        await world.clock.advance(3000);
        got.requests.length = 0;
        const snapshot = { by_conversation: { fine: numbers(1, 0), missed: numbers(4, 1) } };
        world.server = (_, path) => (path === "/unread" ? snapshot : {});
        world.conversations.stuck = { id: "stuck", version: 9, muted: false, ...numbers(2, 2) };
        const warned = [];
        console.warn = (...words) => warned.push(words.join(" "));
        await world.clock.advance(76_000);
        const paths = got.requests.map(([, path]) => path);
        return { paths, warned, refreshed: got.refreshed, totals: unread.totals() };
        """
    )
    assert got["paths"] == ["/unread", "/unread", "/unread?page=3,6"]
    assert got["refreshed"] == ["stuck"]
    assert got["warned"] == ["unread_state: page and server disagreed on stuck"]
    assert got["totals"] == {"conversations": 2, "messages": 4}


def test_an_event_on_its_way_is_no_difference(run: Run) -> None:
    got = run(
        """
        begin({ initial: { by_conversation: { c: numbers(2, 0) } } });
        unread.connection("connected");
        world.server = () => ({ by_conversation: {} });
        await world.clock.advance(2500);
        const asked = got.requests.length;
        unread.onEvent(changed("c", { ...numbers(2, 2), silent: false, conversation_version: 3 }));
        await world.clock.advance(20_000);
        return [asked, got.refreshed, got.requests.filter(([, path]) => path.includes("page="))];
        """
    )
    assert got == [1, [], []]
