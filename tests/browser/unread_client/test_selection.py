"""Which conversation is open: address, this tab, this browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.unread_client.conftest import Run


@pytest.mark.parametrize(
    ("address", "tab", "browser", "selected"),
    [
        ("a", "b", "c", ["a", "link"]),
        ("b", "b", "c", ["b", "restored"]),
        ("", "b", "c", ["b", "restored"]),
        ("", None, "c", ["c", "restored"]),
        ("", "", "c", None),  # this tab closed it on purpose
        ("", None, None, None),
    ],
)
def test_the_address_wins_then_this_tab_then_the_browser(
    run: Run, address: str, tab: str | None, browser: str | None, selected: list[str] | None
) -> None:
    got = run(
        """
        const [address, tab, browser] = arg;
        history.replaceState(null, "", address ? `?c=${address}` : "?");
        if (tab !== null) sessionStorage.setItem("unread_state:ana:selected", tab);
        if (browser !== null) localStorage.setItem("unread_state:ana:selected", browser);
        sessionStorage.setItem("unread_state:bruno:selected", "x");
        begin();
        unread.restore();
        return [got.selects[0] ?? null, new URL(location).searchParams.get("c")];
        """,
        [address, tab, browser],
    )
    assert got == [selected, selected[0] if selected else None]


def test_back_and_forward_move_between_conversations_and_the_list(run: Run) -> None:
    seen = run(
        """
        begin();
        const c = () => new URL(location).searchParams.get("c");
        const step = (how) => new Promise((done) => {
          addEventListener("popstate", () => done([unread.selected, c()]), { once: true });
          history[how]();
        });
        const length = history.length;
        unread.select("a"); unread.select("a"); unread.select("b"); unread.select(null);
        const seen = [history.length - length];
        for (const how of ["back", "back", "back", "forward"]) seen.push(await step(how));
        return [...seen, got.selects.at(-1), sessionStorage.getItem("unread_state:ana:selected")];
        """
    )
    assert seen == [3, ["b", "b"], ["a", "a"], [None, None], ["a", "a"], ["a", "back"], "a"]


def test_in_the_chat_on_a_phone_the_list_lies_below_whatever_was_opened(
    run: Run, page: Page
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    seen = run(
        """
        const { leaveForList, stepTo } = await import("/static/chat/list/phone_history.js");
        const step = ({ detail: { id, how } }) => stepTo(id, { from: unread.selected, how });
        document.addEventListener("unread:select", step, { capture: true });
        const length = history.length;
        history.replaceState(null, "", "?c=a");
        begin();
        unread.restore();
        const closed = () => new Promise((done) => {
          const seen = () => done([isLeaving, unread.selected, location.search]);
          addEventListener("popstate", seen, { once: true });
          const isLeaving = [leaveForList(), leaveForList()];  // as by a double click: one step
        });
        const steps = [location.search, await closed()];
        unread.select("b");
        unread.select("c");  // from a notification: still one step above the list
        unread.select("c");
        steps.push(location.search, await closed());
        steps.push(leaveForList(), history.length - length);
        history.pushState(null, "", "?");  // no step forward is left for the next test
        return steps;
        """
    )
    closed = [[True, True], None, ""]
    assert seen == ["?c=a", closed, "?c=c", closed, False, 1]


def test_an_address_that_says_it_already_is_left_alone(run: Run) -> None:
    seen = run(
        """
        begin();
        const length = history.length;
        document.addEventListener("unread:select", ({ detail: { id } }) => {
          history.pushState("the page's", "", `?c=${id}`);
        }, { once: true, capture: true });
        unread.select("a");
        const seen = [location.search, history.state, history.length - length];
        unread.merged("a", "b");
        return [...seen, location.search, history.state, history.length - length];
        """
    )
    assert seen == ["?c=a", "the page's", 1, "?c=b", "the page's", 1]


def test_what_was_merged_or_is_gone_leaves_address_and_memory(run: Run) -> None:
    seen = run(
        """
        const kept = () => [location.search, sessionStorage.getItem("unread_state:ana:selected"),
                            localStorage.getItem("unread_state:ana:selected"), unread.selected];
        begin();
        unread.select("old");
        const length = history.length;
        unread.merged("old", "new");
        const seen = [kept()];
        unread.removed("new");
        return [...seen, kept(), history.length - length];
        """
    )
    assert seen == [["?c=new", "new", "new", "new"], ["", "", "", None], 0]


def test_logging_out_forgets_this_user_and_no_other(run: Run) -> None:
    left = run(
        """
        localStorage.setItem("unread_state:bruno:selected", "x");
        localStorage.setItem("other", "y");
        begin();
        unread.select("c");
        focus(false);
        unread.onEvent(created("a", incoming(1), numbers(1, 0)));
        await settle();
        unread.alerts.setWanted("sound", false);
        unread.clicked("a");
        unread.forget();
        const left = [Object.keys(sessionStorage)];
        unread.select("d");
        dispatchEvent(new PageTransitionEvent("pagehide"));
        return [...left, Object.keys(localStorage).sort(), Object.keys(sessionStorage)];
        """
    )
    assert left == [[], ["other", "unread_state:bruno:selected"], []]


def test_forbidden_storage_breaks_nothing(run: Run) -> None:
    assert run(
        """
        const get = () => { throw new DOMException("no", "SecurityError"); };
        for (const name of ["localStorage", "sessionStorage"]) {
          Object.defineProperty(window, name, { get });
        }
        begin();
        unread.restore();
        unread.select("c");
        draw([incoming(1)]);
        unread.alerts.setWanted("sound", false);
        unread.onEvent(created("d", incoming(1), numbers(1, 0)));
        unread.forget();
        return [location.search, unread.totals()];
        """
    ) == ["?c=c", {"conversations": 1, "messages": 1}]


def test_what_does_not_exist_leaves_address_and_memory_though_it_was_never_open(run: Run) -> None:
    seen = run(
        """
        history.replaceState(null, "", "?c=nobody");
        localStorage.setItem("unread_state:ana:selected", "nobody");
        const asked = [];
        begin({ shows: false });
        unread.restore();
        const found = { id: "b", ...numbers(2, 0) };
        world.server = (_, path) => {
          const selected = path.endsWith("?c=nobody") ? null : found;
          return { by_conversation: {}, limit_reached: false, selected };
        };
        await unread.load("nobody");
        const seen = [got.selects, got.unknown, location.search, unread.selected,
                      localStorage.getItem("unread_state:ana:selected")];
        await unread.load("b");
        return [...seen, got.unknown.length, unread.badge("b").count];
        """
    )
    assert seen == [[["nobody", "link"]], ["nobody"], "", None, "", 1, 2]


def test_a_host_with_addresses_of_its_own_keeps_them(run: Run, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    seen = run(
        """
        history.replaceState("theirs", "", "?page=4");
        const asked = [];
        begin({ comesOpen: "theirs" });
        const length = history.length;
        unread.select("a", "restored");
        unread.select("b");
        const seen = [location.search, history.state, history.length - length];
        window.dispatchEvent(new PopStateEvent("popstate"));  // a step to #somewhere
        unread.select(null);
        const kept = sessionStorage.getItem("unread_state:ana:selected");
        return [...seen, asked, unread.selected, kept];
        """
    )
    assert seen == ["?page=4", "theirs", 0, [], None, ""]
