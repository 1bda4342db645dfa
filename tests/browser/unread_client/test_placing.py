"""Where chat/ places an opened thread: divider, kept place, and what it has to load for them."""

from __future__ import annotations

import pytest

from tests.browser.unread_client.conftest import Run

ALL = """
  const all = many(1, 61);
  const page = (from, to) => all.slice(from - 1, to);
"""


@pytest.mark.parametrize(
    ("messages", "counted", "n", "found"),
    [
        ("[incoming(1), incoming(2), incoming(3)]", 3, 2, ["m2", True]),
        ("[incoming(1), outgoing(2), incoming(3)]", 2, 2, ["m1", True]),
        ("[incoming(5), incoming(1), incoming(2)]", 3, 2, ["m5", True]),
        ("[incoming(1), incoming(2, { counts_unread: false })]", 1, 1, ["m1", True]),
        ("[incoming(7)]", 9, 3, ["m7", False]),
        ("[outgoing(1)]", 1, 1, [None, False]),
        ("many(11, 60)", 60, 2, ["m59", True]),
        ("many(11, 60)", 61, 1, [None, False]),  # it is none of these
        ("many(11, 60)", 61, 2, ["m60", False]),
    ],
)
def test_the_divider_stands_before_the_topmost_of_what_is_unread(
    run: Run, messages: str, counted: int, n: int, found: list[object]
) -> None:
    got = run(f"return firstUnread({messages}, {{ counted: arg[0], n: arg[1] }})", [counted, n])
    assert [got["messageId"], got["complete"]] == found


def test_opening_loads_back_to_the_first_unread_and_freezes_the_number(run: Run) -> None:
    seen = run(
        ALL
        + """
        begin({ known: { c: numbers(60, 0) } });
        beginPlacing();
        const open = () => draw(page(51, 60), { hasOlder: true });
        unread.select("c");
        const seen = [open(), open()];
        await settle();
        seen.push(reads().length);
        unread.onEvent(created("c", incoming(61), numbers(61, 0)));
        seen.push(draw(page(1, 61)), draw(page(1, 61)), world.older.length > 0);
        return seen;
        """
    )
    pending = {"divider": None, "place": None}
    divider = {"messageId": "m1", "count": 60}
    assert seen[:3] == [pending, pending, 0]
    assert seen[3] == {"divider": divider, "place": {"messageId": "m1", "divider": True}}
    assert seen[4] == {"divider": divider, "place": None}
    assert seen[5] is True


def test_older_pages_for_the_divider_have_a_bound(run: Run) -> None:
    laid, asked = run(
        """
        begin({ known: { c: numbers(9999, 0) } });
        beginPlacing();
        unread.select("c");
        let laid;
        for (let n = 1; n < 60; n += 1) {
          const messages = Array.from({ length: n }, (_, each) => incoming(9000 - each));
          laid = draw(messages, { hasOlder: true });
          if (laid.place) break;
        }
        return [laid, world.older.length];
        """
    )
    assert laid["divider"] is None, "not found: no divider is better than one in the wrong place"
    assert laid["place"] == {"end": True}
    assert asked == 20


def test_the_divider_grows_while_nobody_looks_and_goes_when_it_has_served(run: Run) -> None:
    seen = run(
        """
        begin({});
        beginPlacing();
        const messages = [outgoing(1)];
        const arrive = (n) => {
          messages.push(incoming(n));
          unread.onEvent(created("c", incoming(n), numbers(n - 1, 0)));
          placing.arrived("c", incoming(n));
          return draw(messages).divider;
        };
        const all = () => numbers(messages.length - 1, messages.length - 1);
        world.server = () => ({ conversation_id: "c", ...all() });
        unread.select("c");
        draw(messages);
        const seen = [];
        focus(false);
        seen.push(arrive(2)?.count, arrive(3));
        focus(true);
        seen.push(arrive(4)?.count);
        await world.clock.advance(3000);
        seen.push(unread.badge("c").count, draw(messages).divider?.count);
        focus(false);
        seen.push(draw(messages).divider, arrive(5));
        placing.answered();
        return [...seen, draw(messages).divider];
        """
    )
    first, second = {"messageId": "m2", "count": 2}, {"messageId": "m5", "count": 1}
    assert seen == [1, first, 2, 0, 2, None, second, None]


def test_what_comes_above_a_growing_divider_draws_it_up(run: Run) -> None:
    seen = run(
        """
        begin({ known: { c: numbers(3, 3) } });
        beginPlacing();
        unread.select("c");
        draw(many(1, 3));
        focus(false);
        placing.arrived("c", incoming(4));
        const late = incoming(5, { position: "000001x" });
        placing.arrived("c", late);
        placing.arrived("other", incoming(9, { position: "000000" }));
        return draw([incoming(1), late, incoming(2), incoming(3), incoming(4)]).divider;
        """
    )
    assert seen == {"messageId": "m5", "count": 2}


def test_what_came_late_far_above_is_looked_for_and_shown_before_it_is_read(run: Run) -> None:
    """60 read messages; one sent after the third comes while the chat is closed."""
    seen = run(
        """
        begin({ known: { c: numbers(61, 60) } });
        beginPlacing();
        const late = incoming(61, { counted_at_arrival: 61 });
        world.server = (_, path, { up_to }) => ({ ...numbers(61, up_to === "m61" ? 61 : 60) });
        unread.select("c");
        const seen = [draw(many(11, 60), { hasOlder: true })];
        await settle();
        seen.push(reads(), world.older.length > 0);
        const all = [...many(1, 3), late, ...many(4, 60)];
        seen.push(draw(all));
        await settle();
        scroll(5000);
        await settle();
        seen.push(reads(), unread.badge("c").count, unread.unseen());
        scroll(300);
        await settle();
        return [...seen, reads(), unread.badge("c").count];
        """
    )
    divider = {"messageId": "m61", "count": 1}
    assert seen[:3] == [{"divider": None, "place": None}, [], True]
    assert seen[3] == {"divider": divider, "place": {"messageId": "m61", "divider": True}}
    assert seen[4:] == [[], 1, ["m61"], [["c", "m61"]], 0]


def test_what_is_missing_in_an_open_thread_is_looked_for_before_anything_is_read(run: Run) -> None:
    seen = run(
        """
        begin({ known: { c: numbers(60, 60) } });
        beginPlacing();
        unread.select("c");
        const more = { hasOlder: true };
        draw(many(11, 60), more);
        await settle();
        const before = world.older.length;
        unread.learn({ id: "c", ...numbers(62, 60) });
        const next = incoming(62, { counted_at_arrival: 62 });
        draw([...many(11, 60), next], more);
        await settle();
        const seen = [before, reads(), [...new Set(world.older)]];
        const late = incoming(61, { counted_at_arrival: 61 });
        draw([late, ...many(1, 60), next]);
        await settle();
        seen.push(reads(), unread.unseen());
        scroll(0);
        await settle();
        return [...seen, reads()];
        """
    )
    assert seen == [0, [], ["c"], [], ["m61"], [["c", "m61"]]]


def test_a_search_that_finds_nothing_ends_and_lets_the_rest_be_read(run: Run) -> None:
    """After two conversations were merged, the messages' own numbers say less than their count."""
    seen = run(
        """
        begin({ known: { c: numbers(60, 58) } });
        beginPlacing();
        unread.select("c");
        draw(many(11, 50), { hasOlder: true });
        await settle();
        const seen = [reads(), world.older.length > 0];
        draw(many(1, 50), { hasOlder: false });
        await settle();
        return [...seen, reads()];
        """
    )
    assert seen == [[], True, [["c", "m50"]]]


PLACES = """
  const messages = Array.from({ length: 30 }, (_, n) => incoming(n + 1));
  const at = { place: ["m7", -20] };
  const open = (how, shown = messages, more = {}) => {
    begin();
    beginPlacing({ placeOf: () => at.place });
    unread.select("c", how);
    return draw(shown, more).place;
  };
  const leave = () => window.dispatchEvent(new Event("pagehide"));
  const kept = () => sessionStorage.getItem("unread_state:ana:places");
"""


def test_the_place_is_a_message_and_survives_a_reload_but_not_the_end(run: Run) -> None:
    seen = run(
        PLACES
        + """
        open("click");
        scroll(620);
        while (!kept()) await settle();
        const seen = [open("restored", messages.slice(10), { hasOlder: true }), world.older];
        seen.push(draw(messages).place, open("back"), open("click"));
        threadNode.scrollTop = 100_000;
        leave();
        return [...seen, kept(), open("restored")];
        """
    )
    place, end = {"messageId": "m7", "offset": -20}, {"end": True}
    assert seen == [None, ["c"], place, place, end, "[]", end]


def test_leaving_for_another_conversation_keeps_the_place_of_the_first(run: Run) -> None:
    seen = run(
        PLACES
        + """
        open("click");
        threadNode.scrollTop = 620;
        unread.select("d");
        at.place = null;  // not drawn, or not on the screen
        threadNode.scrollTop = 300;
        unread.select(null);
        unread.select("c", "back");
        return [kept(), draw(messages).place];
        """
    )
    assert seen == ['[["c",["m7",-20]]]', {"messageId": "m7", "offset": -20}]


def test_who_scrolls_while_it_opens_is_left_where_he_is(run: Run) -> None:
    seen = run(
        PLACES
        + """
        begin({ known: { c: numbers(60, 0) } });
        beginPlacing();
        unread.select("c");
        draw(many(51, 60), { hasOlder: true });
        touch("wheel");
        return draw(many(1, 60));
        """
    )
    assert seen == {"divider": {"messageId": "m1", "count": 60}, "place": None}


def test_a_merged_or_vanished_conversation_takes_its_place_along(run: Run) -> None:
    seen = run(
        PLACES
        + """
        open("click");
        scroll(620);
        leave();
        placing.merged("c", "winner");
        const seen = [kept()];
        unread.merged("c", "winner");
        seen.push(draw(messages).place);  // nothing opens anew
        placing.removed("winner");
        leave();
        return [...seen, kept()];
        """
    )
    assert seen == ['[["winner",["m7",-20]]]', None, "[]"]


def test_fifty_places_are_kept_and_none_after_a_logout(run: Run) -> None:
    seen = run(
        PLACES
        + """
        begin();
        beginPlacing({ placeOf: () => at.place });
        for (let n = 0; n < 60; n += 1) {
          unread.select(`c${n}`);
          draw(messages, { top: 100 });
          threadNode.scrollTop = 100;
        }
        leave();
        const places = JSON.parse(kept());
        const seen = [places.length, places[0][0], places.at(-1)[0]];
        unread.forget();
        placing.forget();
        leave();
        return [...seen, kept()];
        """
    )
    assert seen == [50, "c10", "c59", None]
