"""static/realtime_events.js in a host's page: it starts by itself, and reads marked parts again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.realtime_client.conftest import Run
from tests.browser.realtime_client.scripted_server import ScriptedServer, document, status
from tests.helpers import wait_until

# --- starting by itself -----------------------------------------------------------------------

DATA = {"url": "/realtime", "user": "ana", "cursor": "0", "csrf": "token"}
MODULE = '<script type="module" src="/static/realtime_events.js"></script>'


def head(data: object = DATA, attributes: str = "") -> str:
    """What templates/realtime_events/head.html renders."""
    text = json.dumps(data)
    return (
        f'<script type="application/json" id="realtime-events"{attributes}>{text}</script>{MODULE}'
    )


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer().start()
    yield server
    server.stop()


@pytest.fixture
def context(chromium: Browser, server: ScriptedServer) -> Iterator[BrowserContext]:
    context = chromium.new_context(base_url=server.url)
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext) -> Page:
    return context.new_page()


def test_a_page_starts_by_itself_and_not_before_all_its_modules_listen(
    server: ScriptedServer, tab: Page
) -> None:
    scripts = '<script type="module" src="/ran.js"></script>'
    scripts += '<script type="module" src="/listens.js"></script>'
    server.pages = {
        "/page": [document("<main>", head() + scripts)],
        "/ran.js": [status(200, "text/javascript", "window.ran = true;")],
    }
    listener = """window.got = [];
      document.addEventListener("realtime:event", ({ detail }) => got.push(detail.id));"""
    held = []
    tab.route("**/listens.js", lambda route: held.append(route))
    first = server.publish()
    tab.goto("/page", wait_until="commit")
    tab.wait_for_function("window.ran")
    assert tab.evaluate("document.documentElement.dataset.connection ?? null") is None
    assert tab.evaluate("document.body.dataset.cursor ?? null") is None
    wait_until(lambda: bool(held), what="the second module is asked for")
    held[0].fulfill(content_type="text/javascript", body=listener)
    tab.wait_for_function("window.got?.length === 1")
    tab.wait_for_load_state()
    second = server.publish()
    tab.wait_for_function("got.length === 2")
    assert tab.evaluate("got") == [first, second]
    assert tab.evaluate("document.body.dataset.cursor") == "0"
    assert server.requests[0]["after"] == "0"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "start",
    ["", MODULE, head(None), head(attributes=" data-manual")],
    ids=["not included", "no data", "no login", "manual"],
)
def test_a_page_without_data_or_started_by_its_own_script_is_left_alone(
    server: ScriptedServer, tab: Page, start: str
) -> None:
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("console", lambda message: problems.append(message.text))
    server.pages = {"/page": [document("<main>", start)]}
    tab.goto("/page")
    tab.evaluate("import('/harness.js')")
    tab.wait_for_function("window.ready")
    tab.evaluate("settle()")
    assert tab.evaluate("document.documentElement.dataset.connection ?? null") is None
    assert (server.requests, problems) == ([], [])


# --- regions of a page that the server renders --------------------------------------------------

#: In `arg` after `before` and `after`: boxes that scroll, four rows high.
STYLE = ".box { height: 200px; overflow: auto } .box > * { display: block; height: 50px }"
ADD_STYLE = """
  const style = document.createElement("style");
  style.textContent = arg[2];
  document.head.append(style);
"""


def rows(*ids: int | str, text: str = "text") -> str:
    return "".join(f'\n<a data-conversation-id="{id}">{text} {id}</a>' for id in ids)


def bubbles(first: int, last: int) -> str:
    return "".join(f'<p data-message-id="{n}">message {n}</p>' for n in range(first, last + 1))


LISTED = f'<nav data-live-region id="list">{rows(1)}</nav>'

#: Begins with the first of `arg`, an event comes, and the server then has the second.
REFRESH = """
  const [before, after] = arg;
  let now = before;
  const it = await beginPage(before, () => page(now));
  let events = 0;
  const refresh = async () => {
    it.push(event(`e${++events}`));
    await it.clock.advance(1_000);
  };
"""


def test_every_tab_of_a_rendered_page_follows_under_a_strict_policy(
    server: ScriptedServer, context: BrowserContext
) -> None:
    policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"
    strict = f'<meta http-equiv="Content-Security-Policy" content="{policy}">{head()}'
    server.pages = {"/page": [document(LISTED, strict)]}
    problems: list[str] = []
    tabs = [context.new_page(), context.new_page()]
    for tab in tabs:
        tab.on("console", lambda message: problems.append(message.text))
        tab.goto("/page")
        tab.wait_for_selector("html[data-connection=connected]")
    server.pages = {"/page": [document(LISTED.replace("text 1", "text 2"), strict)]}
    server.publish()
    for tab in tabs:
        expect(tab.locator("#list")).to_have_text("text 2")
    assert problems == []


def test_only_what_differs_is_touched(run: Run) -> None:
    before = f'<nav data-live-region id="list">{rows(1, 2, 3)}</nav><p id="other">ours</p>'
    after = f'<nav data-live-region id="list">{rows(3, 1)}{rows(2, text="new")}{rows(4)}</nav>'
    unchanged, texts, same, other = run(
        f"""{REFRESH}
        const changes = [];
        const all = {{ subtree: true, childList: true, attributes: true, characterData: true }};
        new MutationObserver((some) => changes.push(...some)).observe(document.body, all);
        const nodes = [...document.querySelectorAll("#list a")];
        await refresh();
        const unchanged = changes.length;
        now = after;
        await refresh();
        client.close();
        const list = [...document.querySelectorAll("#list a")];
        const texts = list.map((row) => row.textContent);
        const same = list.map((row) => nodes.indexOf(row));
        return [unchanged, texts, same, node("#other").textContent];""",
        [before, after],
    )
    assert unchanged == 0
    assert texts == ["text 3", "text 1", "new 2", "text 4"]
    assert same == [2, 0, 1, -1]
    assert other == "ours"


def test_attributes_nested_parts_and_what_is_gone_follow_the_server(run: Run) -> None:
    before = """<main data-live-region id="it" class="mine"><h1 title="a">one</h1>
      <ul><li>x<li>y</ul> <p hidden>gone</p><i name="n">i</i><details></details></main>"""
    after = """<main data-live-region id="it"><h1 lang="pt">two</h1><ol><li>z</ol>
      <ul><li>x</ul> <b name="n">b</b><details></details></main>"""
    html, same = run(
        f"""{REFRESH}
        const [title, list] = [node("h1"), node("ul")];
        node("details").open = true;
        now = after;
        await refresh();
        client.close();
        const html = node("main").outerHTML.replace(/>\\s+</g, "><");
        return [html, title === node("h1") && list === node("ul")];""",
        [before, after],
    )
    assert html == (
        '<main data-live-region="" id="it" class="mine"><h1 lang="pt">two</h1><ol><li>z</li></ol>'
        '<ul><li>x</li></ul><b name="n">b</b><details open=""></details></main>'
    )
    assert same


def test_what_draws_itself_is_neither_drawn_again_nor_emptied(run: Run) -> None:
    row = '<a data-conversation-id="{}">{} <x-badge></x-badge><x-of conversation="{}"></x-of></a>'
    before = f'<nav data-live-region id="list">{row.format(1, "old", 1)}</nav>'
    after = (
        f'<nav data-live-region id="list">{row.format(2, "new", 2)}{row.format(1, "new", 2)}</nav>'
    )
    drawn, text, same, kept = run(
        f"""{REFRESH}
        let drawn = 0;
        class Badge extends HTMLElement {{
          connectedCallback() {{ drawn += 1; this.textContent = "7"; this.hidden = true; }}
        }}
        customElements.define("x-badge", Badge);
        customElements.define("x-of", class extends Badge {{}});
        const badges = document.querySelectorAll("x-badge, x-of");
        const own = document.createElement("hr");
        own.dataset.liveKept = "";
        node("a").before(own);
        drawn = 0;
        now = after;
        await refresh();
        client.close();
        const row = node('[data-conversation-id="1"]');
        const same = [...row.children].map((badge, n) => badge === badges[n]);
        return [drawn, row.textContent, same, own.isConnected];""",
        [before, after],
    )
    assert drawn == 3, "two of the new row, and the one that is another conversation's now"
    assert text == "new 77"
    assert same == [True, False]
    assert kept


@pytest.mark.parametrize(
    "mark", ["data-live-thread", "data-live-thread data-live-region", "data-live-region"]
)
def test_a_thread_at_its_end_stays_at_its_end(run: Run, mark: str) -> None:
    """Also one that did not fill its box before, when it is known to be a thread."""

    def thread(last: int) -> str:
        box = f'<ol class="box" id="box" {mark}>{bubbles(1, last)}</ol>'
        return f'<main data-live-region id="it">{box}</main>'

    at_end = run(
        f"""{REFRESH}
        {ADD_STYLE}
        const box = node("#box");
        const left = () => box.scrollHeight - box.clientHeight - box.scrollTop;
        const seen = [];
        for (const more of arg.slice(3)) {{
          now = more;
          await refresh();
          seen.push([box.children.length, left() < 1]);
          box.scrollTop = box.scrollHeight - 20;
        }}
        client.close();
        return seen;""",
        [thread(2), thread(2), STYLE, thread(6), thread(7), thread(9)],
    )
    assert at_end == [[6, "thread" in mark], [7, True], [9, True]]


def test_a_page_that_scrolls_as_a_whole_stays_at_its_end(run: Run) -> None:
    def whole(last: int) -> str:
        return f'<ol data-live-region data-live-thread id="it">{bubbles(1, last)}</ol>'

    at_end, in_the_middle = run(
        f"""{REFRESH}
        const box = document.scrollingElement;
        const left = () => box.scrollHeight - box.clientHeight - box.scrollTop;
        window.scrollTo(0, box.scrollHeight);
        now = after;
        await refresh();
        const atEnd = left() < 1;
        window.scrollTo(0, 500);
        now = before;
        await refresh();
        client.close();
        return [atEnd, box.scrollTop];""",
        [whole(200), whole(210)],
    )
    assert at_end
    assert in_the_middle == 500


def test_who_reads_in_the_middle_goes_on_reading_there(run: Run) -> None:
    def both(ids: list[int], last: int) -> str:
        list_ = f'<nav class="box" id="list" data-live-region>{rows(*ids)}</nav>'
        thread = 'class="box" id="box" data-live-region data-live-thread'
        return f"{list_}<ol {thread}>{bubbles(1, last)}</ol>"

    seen = run(
        f"""{REFRESH}
        {ADD_STYLE}
        const drawn = () => new Promise((resolve) => {{
          requestAnimationFrame(() => requestAnimationFrame(resolve));
        }});
        const top = (selector) => node(selector).getBoundingClientRect().top;
        node("#box").scrollTop = 420;
        node("#list").scrollTop = 320;
        await drawn();
        const places = () => [top('[data-message-id="10"]'), top('[data-conversation-id="8"]')];
        const before_ = places();
        now = after;
        await refresh();
        await drawn();
        client.close();
        const first = node("#list").firstElementChild.textContent;
        return [before_, places(), document.querySelectorAll("#box p").length, first];""",
        [both([*range(1, 21)], 30), both([20, *range(1, 20)], 31), STYLE],
    )
    assert seen[1] == seen[0]
    assert seen[2:] == [31, "text 20"]


def test_what_is_typed_selected_and_focused_stays(run: Run) -> None:
    def form(extra: str, title: str) -> str:
        fields = '<input name="a" value="old"><textarea name="text"></textarea>'
        fields += '<input type="radio" name="r" value="1"><input type="radio" name="r" value="2">'
        fields += f'<input name="untouched" value="{title}"><div contenteditable></div>'
        return f'<main data-live-region id="it"><h1>{title}</h1><form>{extra}{fields}</form></main>'

    state, title = run(
        f"""{REFRESH}
        node("[name=a]").value = "typed";
        node("[contenteditable]").textContent = "rich";
        node("[value='2']").checked = true;
        const text = node("textarea");
        text.value = "half a sentence";
        text.focus();
        text.setSelectionRange(2, 6, "backward");
        let lost = 0;
        text.addEventListener("blur", () => {{ lost += 1; }});
        now = after;
        await refresh();
        const state = () => [document.activeElement.name, text.isConnected, text.value,
          text.selectionStart, text.selectionEnd, node("[name=a]").value,
          node("[value='2']").checked, node("[name=untouched]").value,
          node("[contenteditable]").textContent];
        const first = state();
        now = before;
        await refresh();
        client.close();
        return [[first, state()], [node("h1").textContent]];""",
        [form("", "one"), form('<input name="new"><textarea name="other"></textarea>', "two")],
    )
    kept = ["text", True, "half a sentence", 2, 6, "typed", True]
    assert state == [[*kept, "two", "rich"], [*kept, "one", "rich"]]
    assert title == ["one"]


def test_a_focused_field_that_moves_keeps_focus_and_selection(run: Run) -> None:
    def list_(*ids: int) -> str:
        cells = "".join(f'<div id="r{n}"><input name="i{n}"></div>' for n in ids)
        return f'<main data-live-region id="it">{cells}</main>'

    focused = run(
        f"""{REFRESH}
        const field = node("[name=i1]");
        field.value = "abcdef";
        field.focus();
        field.setSelectionRange(1, 3);
        now = after;
        await refresh();
        client.close();
        return [document.activeElement === field, field.selectionStart, field.selectionEnd,
          [...document.querySelectorAll("main > div")].map(({{ id }}) => id)];""",
        [list_(2, 3, 1), list_(1, 2, 3)],
    )
    assert focused == [True, 1, 3, ["r1", "r2", "r3"]]


FAILURES = {
    "503": "new Response('<nav data-live-region id=\"list\">no</nav>', { status: 503 })",
    "no region": "page('<h1>under construction</h1>')",
    "network": "Promise.reject(new TypeError('down'))",
}


@pytest.mark.parametrize("how", FAILURES)
def test_a_failing_server_leaves_what_is_shown_and_is_asked_again(run: Run, how: str) -> None:
    texts, asked = run(
        f"""{REFRESH}
        const text = () => node("#list").textContent.trim();
        const good = it.asked;
        let fails = true;
        now = after;
        client.close();
        const other = await beginPage(before, () => fails ? {FAILURES[how]} : page(after));
        other.push(event("e1"));
        await other.clock.advance(3_000);
        const texts = [text()];
        const asked = other.asked.length;
        fails = false;
        await other.clock.advance(30_000);
        texts.push(text());
        client.close();
        return [texts, [asked, other.asked.length]];""",
        [
            f'<nav data-live-region id="list">{rows(1)}</nav>',
            f'<nav data-live-region id="list">{rows(2)}</nav>',
        ],
    )
    assert texts == ["text 1", "text 2"]
    assert 2 <= asked[0] <= 4
    assert asked[1] == asked[0] + 1


def test_what_was_read_for_another_address_is_not_shown(run: Run) -> None:
    text, asked = run(
        """const html = (text) => `<main data-live-region id="it">${text}</main>`;
        const it = await beginPage(html("first"), async ({ url, n }) => {
          if (n === 1) history.pushState(null, "", "/?c=2");
          return page(html(url));
        });
        it.push(event("e1"));
        await it.clock.advance(1_000);
        client.close();
        return [node("main").textContent, it.asked.map(({ url }) => url)];"""
    )
    assert text == "/?c=2"
    assert asked == ["/", "/?c=2"]


# --- a page with a script of its own ------------------------------------------------------------


def test_a_listener_reads_again_until_it_succeeds_and_may_forbid_the_regions(run: Run) -> None:
    told, asked, warned = run(
        """let told = 0;
        const warned = [];
        console.warn = (text) => warned.push(text);
        const it = await beginPage("<ul></ul>", () => page(""));
        document.addEventListener("realtime:refresh", (event) => {
          told += 1;
          if (told === 4) return event.preventDefault();
          event.detail.waitUntil(told < 3 ? Promise.reject(new Error("503")) : Promise.resolve());
        });
        const seen = [];
        it.push(event("e1"));
        await it.clock.advance(60_000);
        seen.push(told);
        node("ul").dataset.liveRegion = "";
        it.push(event("e2"));
        await it.clock.advance(1_000);
        seen.push(told);
        client.close();
        return [seen, it.asked.length, warned];"""
    )
    assert told == [3, 4]
    assert (asked, warned) == (0, [])


def test_a_page_that_shows_nothing_new_is_told_so_once_in_the_console(page: Page, run: Run) -> None:
    logged: list[str] = []
    page.on("console", lambda message: logged.append(f"{message.type} {message.text}"))
    asked = run(
        """const it = await beginPage("<ul></ul>");
        for (const id of ["e1", "e2"]) {
          it.push(event(id));
          await it.clock.advance(1_000);
        }
        client.close();
        return it.asked.length;"""
    )
    assert asked == 0
    assert len(logged) == 1
    assert logged[0].startswith("warning realtime_events: ")
    assert "data-live-region" in logged[0]
    assert "realtime:refresh" in logged[0]


def test_a_region_without_an_id_is_told_once_in_the_console(page: Page, run: Run) -> None:
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    run(
        """const html = "<nav data-live-region>a</nav><main data-live-region id='it'>b</main>";
        const it = await beginPage(html, () => page(html));
        for (const id of ["e1", "e2"]) {
          it.push(event(id));
          await it.clock.advance(1_000);
        }
        client.close();"""
    )
    assert logged == ["realtime_events: [data-live-region] needs an id"]


def test_a_reset_and_a_version_behind_refresh_the_page(run: Run) -> None:
    seen, asked = run(
        """let told = 0;
        document.addEventListener("realtime:refresh", ({ detail }) => {
          told += 1;
          detail.waitUntil(Promise.resolve());
        });
        const versions = { a: 4, 7: 1 };
        const live = (version) => `data-live='{"version": ${version}}'`;
        const it = await beginPage(
          `<a data-conversation-id="a" ${live(4)}></a><a data-conversation-id="7" ${live(1)}></a>`,
          () => json({ versions }));
        const seen = [];
        const pass = async () => {
          for (let n = 0; n < 7; n += 1) {
            await it.clock.advance(11_000);
            it.push(": hb\\n\\n");
          }
          seen.push(told);
        };
        await pass();
        it.push(event("e1", { type: "unread.changed", conversation_id: "a", version: 5 }));
        versions.a = 5;
        await pass();
        versions[7] = 2;
        await pass();
        it.push('event: reset\\ndata: {"type": "reset", "data": {"cursor": "c"}}\\n\\n');
        await it.clock.advance(3_000);
        seen.push(told);
        client.close();
        return [seen, it.asked[0].url];"""
    )
    assert seen == [0, 0, 1, 2]
    assert asked == "/realtime/versions?id=a&id=7"


def test_marks_that_say_too_little_are_told_once_a_kind_and_harm_nothing(
    page: Page, run: Run
) -> None:
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    read = run(
        """const it = await beginPage(`
          <a data-conversation-id="1"></a><a data-conversation-id="2"></a>
          <a data-conversation-id="3" data-live="{"></a>
          <a data-conversation-id="4" data-live='{"id": "4"}'></a>
          <a data-conversation-id="5" data-live='{"id": "5", "version": 0}'></a>
          <p data-message-id="6" data-live='{"id": "6", "arrival": null}'></p>
          <i data-message-id="7"></i>`,
          ({ url }) => json({ versions: url === "/realtime/versions?id=5" ? { 5: 0 } : { 1: 1 } }));
        let told = 0;
        document.addEventListener("realtime:refresh", () => { told += 1; });
        for (let n = 0; n < 14; n += 1) {
          await it.clock.advance(11_000);
          it.push(": hb\\n\\n");
        }
        client.close();
        const read = (name) => realtime.liveOf(node(name), "id", "arrival", "direction");
        return [it.asked.length, told, read("p"), read("i")];"""
    )
    assert read == [2, 0, {"id": "6", "arrival": None}, None]
    told = [text.removeprefix("realtime_events: ").partition(";")[0] for text in logged]
    assert told == [
        "[data-conversation-id] has no data-live",
        "[data-conversation-id] has an unreadable data-live",
        "[data-conversation-id] has no version in its data-live",
        "[data-message-id] has no direction in its data-live",
        "[data-message-id] has no data-live",
    ]
    assert all("{{ entity|live }}" in text for text in logged)


# --- requests, and a login that has ended -------------------------------------------------------


def test_a_request_carries_the_token_and_gives_the_servers_json_or_its_error(run: Run) -> None:
    results, asked = run(
        """const it = await beginPage("", ({ url }) => {
          if (url === "/good") return json({ answer: 42 });
          const error = { code: "invalid", message: "Não.", field: "f" };
          if (url === "/bad") return json({ error }, 400);
          if (url === "/html") return page("<h1>");
          if (url === "/503") return new Response("", { status: 503 });
          throw new TypeError("down");
        });
        const results = [await realtime.request("GET", "/good")];
        const fail = async (...call) => {
          const error = await realtime.request(...call).catch((failed) => failed);
          results.push([error.status, error.code, error.message, error.field ?? null]);
        };
        await fail("POST", "/bad", { a: 1 });
        for (const path of ["/html", "/503", "/down"]) await fail("POST", path);
        // A host's own: for pages without the include.
        const meta = { name: "csrf-token", content: "metas" };
        document.head.append(Object.assign(document.createElement("meta"), meta));
        await fail("POST", "/bad", {});
        node("#realtime-events").remove();
        await fail("POST", "/bad", { last: true });
        client.close();
        const asked = ({ method, headers, body }) => [method, headers["X-CSRFToken"], body];
        return [results, it.asked.map(asked)];"""
    )
    unexpected = "O servidor não respondeu como esperado."
    refused = [400, "invalid", "Não.", "f"]
    assert results == [
        {"answer": 42}, refused, [0, "unavailable", unexpected, None],
        [503, "unavailable", unexpected, None], [0, "unavailable", unexpected, None], refused,
        refused,
    ]  # fmt: skip
    assert asked[:2] == [["GET", "of-the-page", None], ["POST", "of-the-page", '{"a":1}']]
    assert ["POST", "of-the-page", "{}"] in asked
    assert [each for each in asked if each[1] == "metas"] == [["POST", "metas", '{"last":true}']]


#: What a page of the server tells its scripts, as in `arg`.
TELLS = """
  const tells = (data) => {
    const text = JSON.stringify(data);
    return page(`<script type="application/json" id="realtime-events">${text}</script>`);
  };
  const tokens = (asked) => asked.map(({ method, headers }) => [
    method, headers["X-CSRFToken"] ?? null,
  ]);
"""


@pytest.mark.parametrize("status", [400, 403])
def test_a_token_that_has_ended_is_renewed_and_the_change_made(run: Run, status: int) -> None:
    answers, asked = run(
        TELLS
        + """const fresh = { url: "/realtime", user: "ana", cursor: "9", csrf: "fresh" };
        const expired = "<h1>The CSRF token has expired.";
        const it = await beginPage("", ({ url, headers }) => {
          if (url !== "/change") return tells(fresh);
          const isFresh = headers["X-CSRFToken"] === "fresh";
          return isFresh ? json({ done: true }) : new Response(expired, { status: arg });
        });
        const answers = [];
        for (const n of [1, 2]) answers.push(await realtime.request("POST", "/change", { n }));
        client.close();
        return [answers, tokens(it.asked)];""",
        status,
    )
    assert answers == [{"done": True}, {"done": True}]
    assert asked == [["POST", "of-the-page"], ["GET", None], ["POST", "fresh"], ["POST", "fresh"]]


@pytest.mark.parametrize(
    "now",
    [{"user": "bruno", "csrf": "of-bruno"}, {"user": "ana", "csrf": "of-the-page"}, None, "down"],
    ids=["somebody else", "the same", "nobody", "no answer"],
)
def test_without_another_token_of_the_same_person_a_refusal_stands(
    run: Run, now: dict[str, str] | str | None
) -> None:
    error, asked = run(
        TELLS
        + """const it = await beginPage("", ({ url }) => {
          if (url === "/change") return json({ error: { code: "no_token", message: "Não." } }, 403);
          if (arg === "down") throw new TypeError("down");
          return tells(arg);
        });
        const refusal = await realtime.request("POST", "/change", {}).catch((error) => error);
        client.close();
        return [[refusal.status, refusal.code], tokens(it.asked)];""",
        now,
    )
    assert error == [403, "no_token"]
    assert asked == [["POST", "of-the-page"], ["GET", None]]


def test_a_change_outlives_the_page_that_is_left_and_a_question_does_not(run: Run) -> None:
    outlives = run(
        """const it = await beginPage("", () => json({}));
        await realtime.request("GET", "/question");
        await realtime.request("POST", "/change", {});
        client.close();
        return it.asked.map(({ keepalive }) => keepalive);"""
    )
    assert outlives == [False, True]


@pytest.mark.parametrize(
    "refused", [status(302, Location="/login"), status(401)], ids=["redirect", "401"]
)
def test_a_region_that_wants_a_login_loads_the_page_anew(
    server: ScriptedServer, tab: Page, refused: Callable[..., None]
) -> None:
    server.pages = {"/page": [document(LISTED, head()), refused, status(302, Location="/login")]}
    tab.goto("/page")
    tab.wait_for_selector("html[data-connection=connected]")
    server.publish()
    tab.wait_for_url("**/login")


@pytest.mark.parametrize("stream", [status(401), status(302, Location="/login")])
def test_a_login_that_the_page_has_and_the_stream_has_not_is_no_loop(
    server: ScriptedServer, tab: Page, stream: Callable[..., None]
) -> None:
    server.pages = {"/page": [document(LISTED, head())]}
    server.script = [stream]
    loads: list[str] = []
    tab.on("framenavigated", lambda frame: loads.append(frame.url))
    with tab.expect_console_message(lambda message: "login" in message.text) as told:
        tab.goto("/page", wait_until="commit")
    assert told.value.type == "error"
    tab.evaluate("Promise.all([1, 2].map(() => fetch('/login').then((r) => r.text())))")
    assert len(loads) == 2
    assert len(server.requests) == 2
