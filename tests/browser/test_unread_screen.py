"""What an attendant does with unread conversations on the screen, and that it never disagrees."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Attendant
from tests.browser.unread_screen import expect_unread, row, take_an_event
from tests.helpers import LiveServer, Simulator, wait_until

MARIA = "5511987654321"
JOAO = "5521998877665"

# After every drawing: title, icon and badges of this very moment, and whether they agree.
_WATCH = """() => {
  window.disagreements = [];
  const look = () => {
    const loud = document.querySelectorAll(".row-item:not(.silent) [data-unread-count]").length;
    const title = Number(/^\\((\\d+)\\)/.exec(document.title)?.[1] ?? 0);
    const icon = document.querySelector("link[rel=icon]").dataset.favicon;
    const said = `title ${title}, icon ${icon}, badges ${loud}`;
    if (title !== loud || icon !== (loud ? String(loud) : "plain")) window.disagreements.push(said);
  };
  const drawn = { subtree: true, childList: true, attributes: true, characterData: true };
  const observer = new MutationObserver(look);
  observer.observe(document.querySelector(".conversation-list"), drawn);
  observer.observe(document.head, drawn);
}"""


@pytest.fixture
def write(simulator: Simulator) -> Callable[..., None]:
    def write(phone: str, text: str, name: str, **more: object) -> None:
        simulator.write(phone, text=text, name=name, **more)

    return write


@pytest.fixture
def ana(live_server: Callable[..., LiveServer], attendant: Callable[..., Attendant]) -> Attendant:
    person = attendant("ana", live_server(UNREAD_STATE_REFOCUS_MS=0).url)
    person.wait_connected()
    return person


def choose(page: Page, item: str) -> None:
    page.get_by_role("menuitem", name=item, exact=True).click()


def test_marking_silencing_and_undoing(
    ana: Attendant, simulator: Simulator, write: Callable[..., None]
) -> None:
    page = ana.page
    write(MARIA, "oi", "Maria")
    write(JOAO, "olá", "João")
    expect_unread(page, {"Maria": 1, "João": 1})

    # By mouse: read without opening, marked again, and that undone.
    maria, joao = row(page, "Maria"), row(page, "João")
    maria.hover()
    maria.get_by_role("button", name="Opções da conversa com Maria").click()
    choose(page, "Marcar como lida")
    expect_unread(page, {"João": 1})
    maria.click(button="right")
    choose(page, "Marcar como não lida")
    expect_unread(page, {"Maria": 0, "João": 1})
    badge = maria.locator("[data-unread-count]")
    expect(badge).to_have_attribute("aria-label", "Marcada como não lida")
    expect(badge).to_have_text("")
    page.get_by_role("button", name="Desfazer").click()
    expect_unread(page, {"João": 1})

    # By keyboard: the menu key, arrows, and Escape back to the row.
    joao.locator(".row").focus()
    page.keyboard.press("ContextMenu")
    expect(page.get_by_role("menuitem", name="Arquivar conversa")).to_be_focused()
    page.keyboard.press("Escape")
    expect(joao.locator(".row")).to_be_focused()
    page.keyboard.press("ContextMenu")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(joao).to_have_class("row-item unread silent")
    expect(joao.locator("[data-unread-count]")).to_have_text("1")
    wait_until(lambda: page.title() == "Atendimento", what="silenced chats do not count")
    joao.click(button="right")
    choose(page, "Reativar notificações")
    wait_until(lambda: page.title() == "(1) Atendimento")

    # In the open conversation: the mark stays although it is looked at, and a click reads it.
    maria.click()
    expect(page.locator("[data-message-id]")).to_be_visible()
    page.keyboard.press("Control+Alt+Shift+U")
    expect_unread(page, {"Maria": 0, "João": 1})
    page.locator(".thread-scroll").click()
    take_an_event(page, simulator, JOAO, "👍")
    expect_unread(page, {"Maria": 0, "João": 1})
    maria.click()
    expect_unread(page, {"João": 1})
    page.locator(".thread-menu").click()
    choose(page, "Marcar como não lida")
    expect_unread(page, {"Maria": 0, "João": 1})
    page.locator(".composer-input").fill("Respondido")
    page.keyboard.press("Enter")
    expect_unread(page, {"João": 1})

    # Back and forward move between what was opened.
    joao.click()
    expect_unread(page, {})
    page.go_back()
    expect(page.locator("[aria-current]")).to_contain_text("Maria")
    page.go_back()
    expect(page.locator(".thread-pane")).to_be_hidden()
    page.go_forward()
    expect(page.locator("[aria-current]")).to_contain_text("Maria")

    # A link to what was merged into another conversation leads there, and reads nothing.
    id_ = maria.get_attribute("data-conversation-id")
    page.keyboard.press("Escape")
    expect(page.locator(".thread-pane")).to_be_hidden()
    write(MARIA, "mais uma", "Maria")
    expect_unread(page, {"Maria": 1})
    known = ana.context.request.get(f"{ana.url}/api/conversations/{id_}").json()
    page.route("**/api/conversations/antiga", lambda route: route.fulfill(json=known))
    page.goto(f"{ana.url}/?c=antiga")
    expect(page.locator("[data-message-id]").last).to_contain_text("mais uma")
    expect(page).to_have_url(f"{ana.url}/?c={id_}")
    take_an_event(page, simulator, JOAO, "🎉")
    expect_unread(page, {"Maria": 1})
    page.locator(".thread-scroll").click()
    expect_unread(page, {})


def test_the_page_asks_by_a_banner_and_says_what_this_browser_may_do(
    at_a_computer: Callable[..., Attendant], live_server: Callable[..., LiveServer]
) -> None:
    ana = at_a_computer("ana", live_server().url)
    page = ana.page
    ana.context.clear_permissions()  # nobody has been asked
    page.reload()
    banner = page.get_by_role("region", name="Notificações")
    expect(banner.get_by_role("button", name="Ativar notificações")).to_be_visible()
    banner.get_by_role("button", name="Fechar").click()
    expect(banner).to_be_hidden()
    page.get_by_role("button", name="Menu", exact=True).click()
    sound = page.get_by_role("switch", name="Sons")
    sound.click()
    expect(sound).to_have_attribute("aria-checked", "false")
    ana.context.grant_permissions([])  # which denies all others
    page.reload()
    page.get_by_role("button", name="Menu", exact=True).click()
    expect(sound).to_have_attribute("aria-checked", "false")
    expect(page.get_by_role("switch", name="Notificações")).to_be_disabled()
    expect(page.locator(".menu-note")).to_contain_text("O navegador bloqueou")
    expect(banner).to_be_hidden()


@pytest.mark.slow
def test_the_filter_finds_what_lies_beyond_the_list(
    ana: Attendant, simulator: Simulator, write: Callable[..., None]
) -> None:
    page = ana.page
    write(MARIA, "de baixo", "Maria", timestamp=1_700_000_000)
    expect(row(page, "Maria")).to_be_visible()
    simulator.post("/bursts", {"customers": 60, "messages": 1, "text": "Pedido"})
    rows = page.locator("[data-conversation-id]")
    expect(rows.first).to_have_attribute("aria-setsize", "61")
    ids = [each["id"] for each in listed(ana) if each["name"] != "Maria"]
    for id_ in ids[1:]:
        read(ana, id_)
    page.reload()
    expect(rows.first).to_have_attribute("aria-setsize", "-1")  # there are more, further down
    expect(page).to_have_title("(2) Atendimento")

    page.get_by_role("button", name="Não lidas", exact=True).click()
    expect(rows).to_have_count(2)
    row(page, "Maria").click()
    wait_until(lambda: page.title() == "(1) Atendimento")
    expect(rows).to_have_count(2)  # the open conversation stays until one leaves it
    rows.first.click()
    wait_until(lambda: page.title() == "Atendimento")
    expect(rows).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_text("Nenhuma conversa não lida")).to_be_visible()
    write(MARIA, "voltei", "Maria")
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Tudo", exact=True).click()
    expect(rows.first).to_contain_text("voltei")  # Maria has come up, over what was loaded
    expect(rows.nth(1)).to_contain_text("Pedido")


def listed(person: Attendant) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    before = ""
    while True:
        url = f"{person.url}/api/conversations?limit=100{before}"
        page = person.context.request.get(url).json()
        found += page["conversations"]
        if page["next"] is None:
            return found
        before = f"&before={page['next']}"


def post(person: Attendant, path: str, body: dict[str, object]) -> None:
    token = person.page.locator("meta[name=csrf-token]").get_attribute("content") or ""
    answer = person.context.request.post(
        f"{person.url}{path}", data=body, headers={"X-CSRFToken": token}
    )
    assert answer.ok, answer.text()


def read(person: Attendant, id_: str) -> None:
    url = f"{person.url}/api/conversations/{id_}/messages"
    last = max(
        person.context.request.get(url).json()["messages"], key=lambda each: int(each["arrival"])
    )
    post(person, f"/api/conversations/{id_}/read", {"up_to": last["id"]})


@pytest.mark.slow
def test_title_icon_and_badges_never_disagree_in_a_long_random_run(
    ana: Attendant, attendant: Callable[..., Attendant], write: Callable[..., None]
) -> None:
    """Bruno and the customers do things at random; ana's screen is looked at after every change."""
    shuffler = random.Random(11)
    page, bruno = ana.page, attendant("bruno", ana.url)
    phones = {f"55119811122{n}{n}": f"Cliente {n}" for n in range(6)}
    for phone, name in phones.items():
        write(phone, "começo", name)
    expect(page.locator("[data-conversation-id]")).to_have_count(6)
    page.evaluate(_WATCH)
    ids = {each["name"]: each["id"] for each in listed(bruno)}
    muted: set[str] = set()
    for step in range(60):
        phone, name = shuffler.choice(sorted(phones.items()))
        id_ = ids[name]
        what = shuffler.choice(["write", "write", "write", "read", "mark", "mute", "open", "close"])
        if what == "write":
            write(phone, f"passo {step}", name, count=shuffler.randint(1, 3))
        elif what == "read":
            read(bruno, id_)
        elif what == "mark":
            post(bruno, f"/api/conversations/{id_}/unread", {})
        elif what == "mute":
            muted ^= {id_}
            post(bruno, f"/api/conversations/{id_}/muted", {"muted": id_ in muted})
        elif what == "open":
            row(page, name).click()
        else:
            page.keyboard.press("Escape")
        assert page.evaluate("disagreements") == [], f"after step {step}: {what}"
    page.keyboard.press("Escape")

    def settled() -> bool:
        server = ana.context.request.get(f"{ana.url}/unread").json()
        n = server["conversations"]
        assert page.title() == (f"({n}) Atendimento" if n else "Atendimento")
        shown = page.locator(".row-item:not(.silent) [data-unread-count]")
        counts = {
            each.evaluate("(node) => node.closest('[data-conversation-id]').dataset.conversationId")
            for each in shown.all()
        }
        assert counts == set(server["by_conversation"])
        return True

    wait_until(settled, 15)
    assert page.evaluate("disagreements") == []
