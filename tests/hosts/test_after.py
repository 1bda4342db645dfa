"""The same two chats once they have adopted the modules: what their owner asked for."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import requests
from google.cloud import ndb
from playwright.sync_api import expect

from tests.browser.unread_screen import told
from tests.chromium import look_away
from tests.helpers import Simulator, Store, wait_until
from tests.hosts.support import MARIA, NAME, Desk, Host

JOAO = "5521998877665"
SOON = {"UNREAD_STATE_REFOCUS_MS": 300}

pytestmark = pytest.mark.browser
each_host = pytest.mark.parametrize("name", ["plain", "rendered"])
one_host = pytest.mark.parametrize(
    "name", ["plain", pytest.param("rendered", marks=pytest.mark.slow)]
)


@pytest.fixture(params=[pytest.param("streams", marks=pytest.mark.slow), "buffers"])
def front_end(
    request: pytest.FixtureRequest, buffering_proxy: Callable[[str], str]
) -> Callable[[Host], str]:
    """The address of a host, straight or behind a front end that buffers whole responses."""
    return lambda host: host.url if request.param == "streams" else buffering_proxy(host.url)


def expect_unread(expected: dict[str, str], *desks: Desk) -> None:
    """Wait until each page's list has these badges, and its title their number."""
    for desk in desks:
        wait_until(lambda desk=desk: desk.badges == expected, 20, what=f"badges {expected}")
        title = f"^\\({len(expected)}\\) \\S" if expected else r"^[^(]"
        expect(desk.page).to_have_title(re.compile(title))


def expect_ticks(expected: list[str], *desks: Desk) -> None:
    """Wait until each page's messages have these check marks, from the top; none is blue."""
    for desk in desks:
        wait_until(lambda desk=desk: [status for status, _ in desk.marks] == expected, 20,
                   what=f"check marks {expected}")  # fmt: skip
        for _, color in desk.marks:
            red, green, blue = (int(part) for part in re.findall(r"\d+", color)[:3])
            assert blue - max(red, green) < 20, color


@each_host
def test_messages_badges_and_check_marks_appear_by_themselves(
    name: str,
    start_host: Callable[..., Host],
    front_end: Callable[[Host], str],
    desk: Callable[..., Desk],
    writes: Callable[..., None],
    switch: Callable[..., None],
    simulator: Simulator,
) -> None:
    host = start_host(name, "after")
    url = front_end(host)
    both = ana, bruno = desk(host, "ana", url=url), desk(host, "bruno", url=url)
    writes("Oi")
    expect_unread({NAME: "1"}, *both)
    writes("Vocês têm <b>pão de queijo</b>?")
    writes("Bom dia", JOAO, "João")
    expect_unread({NAME: "2", "João": "1"}, *both)

    ana.open(NAME)
    expect_unread({"João": "1"}, *both)  # read by one is read for all
    bruno.open(NAME)
    writes("Alô?")
    said = ["Oi", "Vocês têm <b>pão de queijo</b>?", "Alô?"]
    for person in both:
        expect(person.bubbles).to_have_text(said)
    expect_unread({"João": "1"}, *both)

    simulator.http.patch(f"{simulator.url}/customers/{MARIA}", json={"online": False}, timeout=30)
    switch(webhook_pause=True)
    ana.send("Temos sim")
    for person in both:
        expect(person.bubbles).to_have_text([*said, "Temos sim"])
    expect_ticks(["sending"], *both)
    switch(webhook_pause=False)
    expect_ticks(["sent"], *both)
    simulator.http.patch(f"{simulator.url}/customers/{MARIA}", json={"online": True}, timeout=30)
    expect_ticks(["delivered"], *both)
    simulator.post(f"/customers/{MARIA}/read", {})

    switch(refuse_next={"code": 131047, "times": 1})
    bruno.send("Esta não vai")
    expect_ticks(["delivered", "failed"], *both)
    ana.ticks.nth(1).click()
    story = ana.page.get_by_role("dialog")
    expect(story).to_contain_text("Passaram mais de 24 horas")
    story.get_by_role("button", name="Tentar novamente").click()
    expect_ticks(["delivered", "failed", "delivered"], *both)
    for person in both:
        expect(person.bubbles).to_have_text([*said, "Temos sim", "Esta não vai", "Esta não vai"])


@each_host
def test_notifications_and_the_selected_conversation(
    name: str,
    start_host: Callable[..., Host],
    front_end: Callable[[Host], str],
    computer: Callable[..., Desk],
    writes: Callable[..., None],
) -> None:
    host = start_host(name, "after", **SOON)
    url = front_end(host)
    writes("Oi")
    writes("Bom dia", JOAO, "João")
    both = ana, bruno = computer(host, "ana", url=url), computer(host, "bruno", url=url)
    expect_unread({NAME: "1", "João": "1"}, *both)
    ana.open("João")
    expect_unread({NAME: "1"}, *both)
    assert [told(each.page) for each in both] == [[], []]

    away = look_away(ana.page.context)
    writes("Cadê o meu pão?")
    expect_unread({NAME: "2"}, *both)
    wait_until(lambda: told(ana.page))
    assert [(each["title"], each["body"]) for each in told(ana.page)] == [(NAME, "Cadê o meu pão?")]
    assert told(bruno.page) == []  # is looking at the list
    writes("E o café", JOAO, "João")
    expect_unread({NAME: "2", "João": "1"}, *both)  # the open one too, while nobody looks
    away.close()
    ana.page.bring_to_front()
    expect_unread({NAME: "2"}, *both)

    ana.page.reload()
    expect(ana.bubbles).to_have_text(["Bom dia", "E o café"])
    another = Desk(ana.page.context.new_page(), host, url)
    another.reload()
    expect(another.bubbles).to_have_text(["Bom dia", "E o café"])
    another.page.goto(f"{url}/?c=987654321")
    expect(another.page.get_by_text("Esta conversa não existe")).to_be_visible()
    expect(another.page).not_to_have_url(re.compile("987654321"))


@one_host
def test_what_is_from_before_is_there_read_and_without_check_marks(
    name: str,
    start_host: Callable[..., Host],
    desk: Callable[..., Desk],
    writes: Callable[..., None],
) -> None:
    before = start_host(name, "before")
    writes("De antes", now=True)
    old = desk(before)
    old.open(NAME)
    old.send("Respondida antes")
    expect(old.bubbles).to_have_count(2)
    before.stop()

    after = start_host(name, "after")
    both = ana, bruno = desk(after), desk(after, "bruno")
    expect_unread({}, *both)
    bruno.open(NAME)
    expect(bruno.bubbles).to_have_text(["De antes", "Respondida antes"])
    expect_ticks([], bruno)
    writes("De depois", now=True)
    expect(bruno.bubbles.last).to_have_text("De depois")
    expect_unread({}, *both)
    ana.open(NAME)
    ana.send("Respondida depois")
    expect_ticks(["delivered"], *both)
    expect(bruno.bubbles).to_have_count(4)


@one_host
def test_the_modules_can_go_and_come_back(
    name: str,
    store: Store,
    start_host: Callable[..., Host],
    desk: Callable[..., Desk],
    writes: Callable[..., None],
) -> None:
    after = start_host(name, "after")
    ana = desk(after)
    for text in ("Um", "Dois", "Três"):
        writes(text)
    ana.open(NAME)
    ana.send("Respondida")
    expect_ticks(["delivered"], ana)
    ana.page.goto("about:blank")
    after.stop()

    without = start_host(name, "before")
    again = desk(without)
    writes("Sem os módulos", now=True)
    again.reload()
    again.open(NAME)
    again.send("Funciona")
    said = {"Um", "Dois", "Três", "Respondida", "Sem os módulos", "Funciona"}
    wait_until(lambda: set(again.bubbles.all_inner_texts()) == said)
    assert "".join(again.error.all_inner_texts()) == ""
    without.stop()

    with store.context():  # as docs/instalacao.md says: they tell of numbers that are gone
        ndb.delete_multi(ndb.Query(kind="RealtimeEvent").fetch(keys_only=True))
    back = start_host(name, "after")
    ana = desk(back)
    ana.page.wait_for_selector("html[data-connection=connected]")
    writes("De volta", now=True)
    expect_unread({NAME: "1"}, ana)
    with ana.page.expect_response("**/read"):  # the badge goes before the server has answered
        ana.open(NAME)
        expect(ana.bubbles.last).to_have_text("De volta")
        ana.bubbles.last.scroll_into_view_if_needed()
    expect_unread({}, ana)
    ana.page.goto("about:blank")
    writes("E de novo", now=True)  # is no less unread for what was counted the first time
    unread = ana.page.request.get(f"{back.url}/unread").json()
    assert (unread["conversations"], unread["messages"]) == (1, 1)


def test_what_one_types_and_where_one_reads_stay_while_the_server_renders_anew(
    start_host: Callable[..., Host], desk: Callable[..., Desk], writes: Callable[..., None]
) -> None:
    host = start_host("rendered", "after")
    for number in range(25):
        writes(f"Recado {number}")
    ana = desk(host)
    ana.open(NAME)
    box = ana.page.locator(ana.look.composer)
    ana.page.evaluate("scrollTo(0, 300)")
    box.press_sequentially("Olá, Mar")
    box.evaluate("(box) => { box.dataset.mine = 'the same'; box.setSelectionRange(2, 5); }")
    ana.page.evaluate("scrollTo(0, 300)")
    apelido = ana.page.locator("input[name=apelido]")
    apelido.evaluate("(input) => { input.value = 'Mar'; }")
    writes("Mais um")
    expect(ana.bubbles).to_have_count(26)
    expect(ana.rows.first).to_contain_text("Mais um")
    assert ana.page.evaluate("scrollY") == 300
    selected = "(box) => [document.activeElement === box, box.selectionStart, box.selectionEnd]"
    assert box.evaluate(selected) == [True, 2, 5]
    expect(box).to_have_value("Olá, Mar")
    expect(apelido).to_have_value("Mar")
    expect_unread({NAME: "26"}, ana)  # the end of the thread has not been seen

    ana.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect_unread({}, ana)
    writes("O último")
    expect(ana.bubbles.last).to_have_text("O último")
    expect(ana.bubbles.last).to_be_in_viewport()
    box.fill("Olá, Maria")
    box.evaluate("(box) => box.form.requestSubmit()")
    expect(ana.bubbles.last).to_have_text("Olá, Maria")


@one_host
def test_what_the_host_changes_while_messages_come_in_loses_nothing(
    name: str,
    start_host: Callable[..., Host],
    desk: Callable[..., Desk],
    writes: Callable[..., None],
    simulator: Simulator,
) -> None:
    host = start_host(name, "after")
    writes("Oi")
    both = ana, bruno = desk(host), desk(host, "bruno")
    id_ = ana.rows.get_attribute("data-conversation-id")
    simulator.post(f"/customers/{MARIA}/messages", {"text": "Mais", "count": 20})
    for number in range(8):
        if name == "plain":
            change = {"nome": f"Maria {number}"}
            answer = ana.page.request.post(f"{host.url}/api/conversas/{id_}", data=change)
        else:
            change = {"apelido": f"Maria {number}", "veiculo": "Gol", "situacao": "Pronto"}
            answer = ana.page.request.post(f"{host.url}/conversas/{id_}/ficha", form=change)
        assert answer.ok
    expect_unread({"Maria 7": "21"}, *both)
    bruno.open("Maria 7")
    expect(bruno.bubbles).to_have_count(21)
    bruno.bubbles.last.scroll_into_view_if_needed()  # only what was on a screen is read
    expect_unread({}, *both)


@one_host
def test_a_webhook_that_comes_twice_stores_and_counts_once(
    name: str,
    start_host: Callable[..., Host],
    desk: Callable[..., Desk],
    writes: Callable[..., None],
    switch: Callable[..., None],
) -> None:
    host = start_host(name, "after")
    ana = desk(host)
    writes("Oi")
    switch(webhook_repeat=3)
    writes("Alô")
    expect_unread({NAME: "2"}, ana)
    ana.open(NAME)
    expect(ana.bubbles).to_have_text(["Oi", "Alô"])


def wamids(simulator: Simulator) -> list[str]:
    """Of what was sent to Maria, oldest first."""
    messages = simulator.get(f"/customers/{MARIA}/messages").json()["messages"]
    return [message["id"] for message in messages if message["direction"] == "in"]


def status(name: str, wamid: str, **more: str) -> dict[str, object]:
    """A webhook's payload with one status."""
    about = {"id": wamid, "status": name, "timestamp": "1761998410", "recipient_id": MARIA, **more}
    value = {"messaging_product": "whatsapp", "statuses": [about]}
    return {"body": {"entry": [{"changes": [{"field": "messages", "value": value}]}]}}


@one_host
def test_a_status_finds_its_message_by_our_id_and_by_whatsapps(
    name: str,
    start_host: Callable[..., Host],
    desk: Callable[..., Desk],
    writes: Callable[..., None],
    switch: Callable[..., None],
    simulator: Simulator,
) -> None:
    host = start_host(name, "after")
    writes("Oi")
    ana = desk(host)
    ana.open(NAME)
    switch(webhook_pause=True)
    ana.send("Pelo wamid")
    expect_ticks(["sending"], ana)
    (wamid,) = wait_until(lambda: wamids(simulator))
    wait_until(lambda: ana.page.locator(ana.look.composer).is_enabled())
    simulator.post("/webhooks/raw", status("sent", wamid))
    expect_ticks(["sent"], ana)
    simulator.post("/webhooks/raw", status("read", wamid))
    expect_ticks(["delivered"], ana)

    # The answer with the wamid never comes: our own id is all that leads to the message.
    switch(graph_timeout={"process": True, "seconds": 0.2, "times": 1})
    ana.send("Pelo nosso id")
    expect(ana.ticks.nth(1)).to_have_attribute("data-unconfirmed", "")
    switch(webhook_pause=False)
    expect_ticks(["delivered", "delivered"], ana)
    expect(ana.page.locator("[data-unconfirmed]")).to_have_count(0)


@each_host
def test_an_expired_login_leads_to_the_login(
    name: str,
    start_host: Callable[..., Host],
    desk: Callable[..., Desk],
    writes: Callable[..., None],
    complaints: list[str],
) -> None:
    host = start_host(name, "after", REALTIME_EVENTS_STREAM_SECONDS=1)
    writes("Oi")
    ana = desk(host)
    ana.open(NAME)
    ana.page.context.clear_cookies()
    expect(ana.password).to_be_visible()
    # The plain host's own script may have asked, too, and been refused.
    complaints[:] = [each for each in complaints if not each.endswith("repeated: refresh")]


@each_host
def test_the_modules_routes_ask_for_a_login_and_for_this_pages_token(
    name: str,
    start_host: Callable[..., Host],
    desk: Callable[..., Desk],
    writes: Callable[..., None],
) -> None:
    host = start_host(name, "after")
    writes("Oi")
    ana = desk(host)
    row = ana.rows.first
    id_ = row.get_attribute("data-conversation-id")
    token = ana.page.evaluate("JSON.parse(document.getElementById('realtime-events').text).csrf")
    for path in (f"/api/conversations/{id_}/read", f"/api/conversations/{id_}/unread",
                 "/api/messages/1/retry"):  # fmt: skip
        for headers in ({}, {"X-CSRFToken": "guessed"}, {"X-CSRFToken": token[:-1]}):
            answer = ana.page.request.post(host.url + path, headers=headers, data={})
            assert answer.status == 403, path
    expect_unread({NAME: "1"}, ana)
    path = f"/api/conversations/{id_}/unread"
    answer = ana.page.request.post(host.url + path, headers={"X-CSRFToken": token}, data={})
    assert answer.status == 200
    ana.page.context.clear_cookies()
    for path in (
        "/unread",
        "/realtime/events",
        "/realtime/versions?id=1",
    ):
        answer = ana.page.request.get(host.url + path, max_redirects=0)
        assert answer.status in (302, 401), path


@each_host
def test_the_clean_ups_are_the_schedulers_alone(name: str, start_host: Callable[..., Host]) -> None:
    host = start_host(name, "after", GAE_ENV="standard")
    for path in ("/realtime/cleanup", "/message-status/cleanup"):
        assert requests.get(host.url + path, timeout=30, allow_redirects=False).status_code == 403
        by_cron = {"X-Appengine-Cron": "true"}
        answer = requests.get(host.url + path, headers=by_cron, timeout=30)
        assert answer.json() == {"deleted": 0, "more": False}


@one_host
def test_with_gunicorns_default_worker_nobody_waits_and_the_log_says_so(
    name: str,
    start_host: Callable[..., Host],
    desk: Callable[..., Desk],
    writes: Callable[..., None],
) -> None:
    program = {"plain": "main:app", "rendered": "app:app"}[name]
    host = start_host(name, "after", entrypoint=f"gunicorn -b :$PORT {program}")
    wait_until(lambda: "0 of 1 gunicorn threads are for open pages" in host.log)
    assert "--threads" in host.log
    both = ana, bruno = desk(host), desk(host, "bruno")
    ana.page.wait_for_selector("html[data-connection=connected]")
    bruno.page.wait_for_selector("html[data-connection=connected]")
    for number in range(1, 4):
        writes(f"Oi {number}")
        expect_unread({NAME: str(number)}, *both)
    ana.open(NAME)
    ana.send("Olá")
    bruno.open(NAME)
    for person in both:
        expect(person.bubbles).to_have_text(["Oi 1", "Oi 2", "Oi 3", "Olá"])
        expect_ticks(["delivered"], person)
