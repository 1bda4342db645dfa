"""The dialog with a message's story: in a foreign page, which it neither changes nor obeys."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.browser.message_client.conftest import Api, Run, contrast

PATH = "/api/messages/1/status"


def audit(status: str = "delivered", **more: Any) -> dict[str, Any]:
    times = {"sending": "2026-06-20T14:26:40Z", "sent": "2026-06-20T14:26:43Z"}
    attempt = {
        "message_id": "1", "status": status, "error": more.get("error"),
        "started_at": times["sending"], "accepted_at": "2026-06-20T14:26:41Z",
    }  # fmt: skip
    known = {"message_id": "1", "wamid": "w", "status": status, "statuses": times}
    return {**known, "attempts": [attempt], **more}


def error(code: str, message: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "message": message, "source": "response", "at": "x", **more}


FAILED = audit("failed", error=error("131056", "Muitas mensagens.", details="Pair rate"))
DOUBT = audit("sending", error=error("unconfirmed", "Sem resposta."))
SECOND = FAILED["attempts"][0] | {"message_id": "2", "status": "sent", "error": None}
RETRIED = FAILED | {"retried_as": "2", "attempts": [FAILED["attempts"][0], SECOND]}


def press(page: Page, **more: Any) -> Any:
    """Puts a bubble and presses its ticks; gives the dialog."""
    page.evaluate("(more) => bubble(live('1', { status: 'sent', ...more }))", more)
    page.locator("#mensagens message-ticks").click()
    return page.locator(".message-details")


def test_a_press_on_the_ticks_tells_the_messages_story(host: Page, api: Api) -> None:
    api.answer(PATH, audit(statuses={**audit()["statuses"], "read": "2026-06-20T15:00:00Z"}))
    details = press(host)
    expect(details).to_be_visible()
    expect(details.locator("[data-part=text]")).to_have_text("texto de 1")
    expect(details.locator("[data-step] b")).to_have_text(
        ["Lida", "Entregue", "Enviada", "Aceita pelo WhatsApp", "Escrita"]
    )
    expect(details.locator("[data-step=delivered].due time")).to_have_text("—")
    expect(details.locator("[data-step=sent].done time")).to_have_text("20/06/2026 às 11:26:43")
    expect(details.locator("[data-step=read] message-ticks")).to_have_attribute(
        "data-status", "delivered"
    )
    for part in ("error", "again", "attempts"):
        expect(details.locator(f"[data-part={part}]")).to_have_count(0)
    assert details.evaluate("(node) => node.matches(':modal')")
    assert api.asked == [("GET", PATH, None, "token-of-the-page")]


@pytest.mark.parametrize("key", ["Enter", " "])
def test_it_works_by_keyboard_and_gives_the_focus_back(host: Page, api: Api, key: str) -> None:
    api.answer(PATH, audit())
    host.evaluate("bubble(live('1'))")
    host.locator(".sair").focus()
    host.keyboard.press("Tab")
    ticks = host.get_by_role("button", name="Pendente")
    expect(ticks).to_be_focused()
    host.keyboard.press("x")
    host.keyboard.press(key)
    expect(host.get_by_role("dialog", name="Dados da mensagem")).to_be_visible()
    expect(host.get_by_role("button", name="Fechar")).to_be_focused()
    host.keyboard.press("Escape")
    expect(host.locator(".message-details")).to_be_hidden()
    expect(ticks).to_be_focused()


def test_it_closes_by_its_button_and_by_a_press_beside_it(host: Page, api: Api) -> None:
    api.answer(PATH, audit())
    details = press(host)
    details.locator("[data-step]").first.click()
    expect(details).to_be_visible()
    host.get_by_role("button", name="Fechar").click()
    expect(details).to_be_hidden()
    host.locator("#mensagens message-ticks").click()
    expect(details).to_be_visible()
    host.mouse.click(5, 5)
    expect(details).to_be_hidden()


def test_news_of_the_message_are_read_while_it_is_open_and_only_then(host: Page, api: Api) -> None:
    last = audit("read", statuses={"read": "2026-06-20T15:00:00Z"})
    api.answer(PATH, audit("sent"), audit("delivered"), last)
    host.evaluate("tell('1', 'sent')")
    details = press(host)
    expect(details.locator("[data-step]").first).to_be_visible()
    host.evaluate("tell('2', 'read'); updated('2')")
    host.evaluate("tell('1', 'delivered')")
    host.evaluate("updated('1')")
    expect(details.locator("[data-step=read]")).to_be_visible()
    asked = len(api.asked)
    assert asked == 3
    host.keyboard.press("Escape")
    host.evaluate("tell('1', 'read')")
    host.evaluate("settled()")
    assert len(api.asked) == asked


def test_once_closed_it_reads_no_more_whenever_the_browser_tells_of_the_closing(
    host: Page, api: Api
) -> None:
    api.answer(PATH, audit())
    details = press(host)
    expect(details.locator("[data-step]").first).to_be_visible()
    # As by Escape: the dialog is closed, and its event comes later.
    host.evaluate("document.querySelector('.message-details').close(); tell('1', 'read')")
    host.evaluate("settled()")
    assert len(api.asked) == 1
    host.evaluate("""() => {
      document.querySelector('#mensagens message-ticks').click();
      document.querySelector('.message-details').close();
      document.querySelector('#mensagens message-ticks').click();
    }""")
    host.evaluate("settled()")
    expect(details).to_be_visible()


def test_what_cannot_be_read_is_said(host: Page, api: Api) -> None:
    api.answer(PATH, (404, {"error": {"code": "not_found", "message": "x"}}), audit())
    details = press(host)
    expect(details.locator("[data-part=notice]")).to_have_text("Esta mensagem não existe mais.")
    host.evaluate("tell('1', 'read')")
    expect(details.locator("[data-part=notice]")).to_have_text("")
    expect(details.locator("[data-step]").first).to_be_visible()


def test_an_answer_for_another_message_is_not_shown(run: Run) -> None:
    body = """
      const waits = [];
      const request = (method, path) => new Promise((resolve) => waits.push([path, resolve]));
      const page = marks.startMessageStatus({ request, preview: (id) => `texto de ${id}` });
      const answer = (id, name) => (
        { message_id: id, status: name, statuses: { [name]: 'x' }, attempts: [] });
      page.openDetails('a'); page.openDetails('b');
      waits[0][1](answer('a', 'read')); await settled();
      const steps = () => [...document.querySelectorAll('.done')].map((each) => each.dataset.step);
      const seen = [steps(), waits.map(([path]) => path)];
      waits[1][1](answer('b', 'sent')); await settled();
      seen.push(steps(), document.querySelector('[data-part=text]').textContent);
      // Closed while it reads: nothing more is asked.
      page.openDetails('c'); const open = page.closeDetails(); const again = page.closeDetails();
      tell('c', 'sent');
      waits[2][1](answer('c', 'played')); await settled();
      return [...seen, steps(), waits.length, open, again];
    """
    assert run(body) == [
        [], ["/api/messages/a/status", "/api/messages/b/status"], ["sent"], "texto de b",
        [], 3, True, False,
    ]  # fmt: skip


# --- a new attempt ----------------------------------------------------------------------------


def test_a_failure_says_why_and_can_be_tried_again(host: Page, api: Api) -> None:
    api.answer(PATH, FAILED, RETRIED)
    api.answer("/api/messages/1/retry", (201, {"id": "2", "status": "sending"}))
    details = press(host, status="failed")
    error = details.locator("[data-part=error]")
    expect(error).to_have_text(re.compile(r"Muitas mensagens\.\s*Código 131056 da Meta. Pair rate"))
    details.get_by_role("button", name="Tentar novamente").click()
    expect(details.locator("[data-part=attempts] li")).to_have_text(
        [re.compile(r"1ª tentativa \(esta\): não enviada"), re.compile("2ª tentativa: enviada")]
    )
    expect(details.get_by_role("button", name="Tentar novamente")).to_have_count(0)
    body = {"confirm": False}
    assert ("POST", "/api/messages/1/retry", body, "token-of-the-page") in api.asked


@pytest.mark.parametrize("accepts", [True, False])
def test_in_doubt_the_page_asks_first(host: Page, api: Api, accepts: bool) -> None:
    api.answer(PATH, DOUBT)
    api.answer("/api/messages/1/retry", (201, {"id": "2", "status": "sending"}))
    questions: list[str] = []

    def reply(dialog: Dialog) -> None:
        questions.append(dialog.message)
        dialog.accept() if accepts else dialog.dismiss()

    host.on("dialog", reply)
    details = press(host, status="sending", error=DOUBT["error"])
    expect(details.get_by_role("button", name="Tentar novamente")).to_be_visible()
    with host.expect_response(lambda answer: answer.url.endswith("/status")):
        details.get_by_role("button", name="Tentar novamente").click()
    assert questions == ["O cliente pode receber esta mensagem duas vezes. Enviar novamente?"]
    posts = [body for method, _, body, _ in api.asked if method == "POST"]
    assert posts == ([{"confirm": True}] if accepts else [])
    expect(details.get_by_role("button", name="Tentar novamente")).to_be_visible()


def test_a_refused_attempt_is_said_in_the_dialog(host: Page, api: Api) -> None:
    api.answer(PATH, FAILED)
    refusal = {"error": {"code": "already_retried", "message": "Já foi enviada de novo."}}
    api.answer("/api/messages/1/retry", (409, refusal))
    details = press(host, status="failed")
    details.get_by_role("button", name="Tentar novamente").click()
    expect(details.locator("[data-part=notice]")).to_have_text("Já foi enviada de novo.")
    expect(details.locator("[data-part=error]")).to_contain_text("Muitas mensagens.")


def test_what_becomes_of_an_attempt_is_not_said_of_another_message(run: Run) -> None:
    body = """
      let refuse;
      const request = async (method, path) => {
        if (method === 'POST') return new Promise((_, reject) => { refuse = reject; });
        const id = path.split('/')[3];
        const more = id === 'a' ? { status: 'failed', error: { code: '1', message: 'x' } }
          : { status: 'read' };
        return { message_id: id, statuses: {}, attempts: [], ...more };
      };
      const page = marks.startMessageStatus({ request, again: true });
      await page.openDetails('a');
      document.querySelector('[data-part=again]').click(); await settled();
      await page.openDetails('b');
      refuse(new Error('Já foi enviada de novo.')); await settled();
      return ['notice', 'error'].map((part) =>
        document.querySelector(`.message-details [data-part=${part}]`)?.textContent ?? null);
    """
    assert run(body) == ["", None]


def test_an_error_after_delivery_is_noted_and_nothing_is_offered(host: Page, api: Api) -> None:
    api.answer(PATH, audit("read", error=FAILED["error"]))
    details = press(host, status="read")
    expect(details.locator("[data-part=error]")).to_contain_text("Depois de entregue")
    expect(details.locator("[data-part=again]")).to_have_count(0)


def test_where_nothing_can_be_sent_again_nothing_is_offered(page: Page, api: Api) -> None:
    def without(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(
            response=answer, body=answer.text().replace('"retry": true', '"retry": false')
        )

    page.route("**/host.html", without)
    page.goto("tests/browser/message_client/host.html")
    page.wait_for_selector("html[data-ready]", state="attached")
    api.answer(PATH, FAILED)
    details = press(page, status="failed")
    expect(details.locator("[data-part=error]")).to_be_visible()
    expect(details.locator("[data-part=again]")).to_have_count(0)


# --- the host's page --------------------------------------------------------------------------

#: Every property of every element that is the host's.
LOOKS = """() => [...document.querySelectorAll('body, body *')]
  .filter((node) => !node.closest('.message-details, message-ticks'))
  .map((node) => {
    const style = getComputedStyle(node);
    const place = node.getBoundingClientRect().toJSON();
    return [node.localName, node.checkVisibility(), place, [...style].map((name) => style[name])];
  })
"""


def test_nothing_of_the_hosts_is_hidden_or_changed(host: Page, api: Api) -> None:
    """Trap 9: the details hid list and thread."""
    api.answer(PATH, RETRIED)
    host.evaluate("bubble(live('1', { status: 'failed' }))")
    before = host.evaluate(LOOKS)
    host.locator("#mensagens message-ticks").click()
    expect(host.locator("[data-part=attempts]")).to_be_visible()
    assert host.evaluate(LOOKS) == before
    assert host.locator("dialog.host").is_hidden()


LOOK = """() => {
  const names = ['color', 'backgroundColor', 'fontSize', 'fontWeight', 'textTransform', 'margin',
    'padding', 'borderTopWidth', 'position', 'listStyleType', 'width', 'display', 'textAlign',
    'stroke', 'strokeWidth'];
  return [...document.querySelectorAll('.message-details, .message-details *')].map((node) => {
    const style = getComputedStyle(node);
    return [node.localName, node.dataset.part ?? null, ...names.map((name) => style[name])];
  });
}"""


def test_the_dialog_does_not_take_the_hosts_looks(host: Page, api: Api, scheme: str) -> None:
    """Trap 9: the details took the host's CSS."""
    api.answer(PATH, RETRIED | {"retried_as": None})
    details = press(host, status="failed")
    expect(details.locator("[data-part=attempts]")).to_be_visible()
    with_host = host.evaluate(LOOK)
    host.evaluate("""() => {
      document.querySelector('link[href="host.css"]').disabled = true;
      document.documentElement.style.colorScheme = 'light dark';
      document.body.style.fontFamily = 'serif';
    }""")
    assert host.evaluate(LOOK) == with_host


TEXTS = """() => {
  const hasText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
  const ground = (node) => {
    const colour = getComputedStyle(node).backgroundColor;
    return colour === 'rgba(0, 0, 0, 0)' ? ground(node.parentElement) : colour;
  };
  return [...document.querySelectorAll('.message-details *')]
    .filter((node) => [...node.childNodes].some(hasText))
    .map((node) => [node.textContent, getComputedStyle(node).color, ground(node)]);
}"""


def test_every_word_of_it_can_be_read(host: Page, api: Api, scheme: str) -> None:
    api.answer(PATH, RETRIED | {"retried_as": None})
    details = press(host, status="failed")
    expect(details.locator("[data-part=attempts]")).to_be_visible()
    found = host.evaluate(TEXTS)
    assert len(found) > 12
    for text, colour, ground in found:
        assert contrast(colour, ground) >= 4.5, (text, colour, ground)
    dark = contrast(found[0][2], "rgb(0, 0, 0)") < 3
    assert dark == (scheme == "dark")


def test_a_long_text_and_a_small_screen_are_no_obstacle(host: Page, api: Api) -> None:
    host.set_viewport_size({"width": 320, "height": 400})
    api.answer(PATH, RETRIED | {"retried_as": None})
    details = press(host, status="failed", text="palavra" * 400)
    expect(details.locator("[data-part=attempts]")).to_be_attached()
    box = details.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 320
    assert box["height"] <= 400
    assert details.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    details.get_by_role("button", name="Tentar novamente").scroll_into_view_if_needed()
    expect(details.get_by_role("button", name="Fechar")).to_be_in_viewport()


def test_beside_a_thread_it_leaves_the_page_to_be_used(run: Run, page: Page) -> None:
    body = """
      const audit = { message_id: 'a', status: 'sent', statuses: {}, attempts: [] };
      const pane = document.querySelector('#pane');
      window.page = marks.startMessageStatus({ request: async () => audit, pane });
      await window.page.openDetails('a');
      const details = document.querySelector('#pane > .message-details');
      return [details.open, details.matches(':modal'), getComputedStyle(details).position];
    """
    assert run(body) == [True, False, "static"]
    page.evaluate("document.querySelector('.message-details').remove()")
    page.set_viewport_size({"width": 600, "height": 700})
    assert run(body) == [True, True, "fixed"]
