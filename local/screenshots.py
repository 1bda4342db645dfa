"""The README's pictures, taken of a chat that `python3 dev.py run --fresh` has just filled.

`python -m local.screenshots [CHAT [SIMULATOR]]`, whose addresses `dev.py run` prints, logs in as
Ana, keeps some order in the list, answers a customer, and writes `docs/images/`. It needs what
`requirements-dev.txt` installs, and a Chromium: CHROMIUM in the environment, or Playwright's own.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from local.processes.parts import ROOT

IMAGES = ROOT / "docs" / "images"
WIDE: Any = {"width": 1280, "height": 760}
PHONE: Any = {"width": 390, "height": 780}
#: Of the sample data, the invented customers of a bicycle shop that does not exist either.
CUSTOMER, PHONE_NUMBER = "Maria Aparecida", "5511987654321"
ORDERED = {"Loja Pedal Forte": "Fixar conversa"}
LABELS = {"João Pedro Almeida": "Oficina", "Camila Rocha": "Orçamento"}
ANSWER = "Até já, Maria! Já deixo a gancheira separada. 🚲"
THANKS = "Que atendimento bom! 😊"


def main(arguments: list[str]) -> int:
    """Takes all of them."""
    url, simulator = [*arguments, "http://127.0.0.1:8080", "http://127.0.0.1:8081"][:2]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"))
        page = _log_in(browser, url, WIDE)
        _keep_order(page)
        _take(page, "list")
        _answer(page, simulator)
        _take(page, "thread")
        page.emulate_media(color_scheme="dark")
        _take(page, "dark")
        phone = _log_in(browser, url, PHONE, is_mobile=True, has_touch=True)
        _row(phone, CUSTOMER).tap()
        expect(phone.locator(".bubble-text", has_text=THANKS)).to_be_visible()
        _take(phone, "phone")
        browser.close()
    return 0


def _log_in(browser: Browser, url: str, viewport: Any, **more: Any) -> Page:
    context = browser.new_context(
        viewport=viewport,
        locale="pt-BR",
        timezone_id="America/Sao_Paulo",
        color_scheme="light",
        reduced_motion="reduce",
        **more,
    )
    page = context.new_page()
    page.goto(f"{url}/login")
    page.get_by_label("Usuário").fill("ana")
    page.get_by_label("Senha").fill("ana")
    page.get_by_role("button", name="Entrar").click()
    page.wait_for_selector("html[data-connection=connected]")
    expect(_row(page, CUSTOMER)).to_be_visible()
    return page


def _row(page: Page, name: str) -> Locator:
    rows = page.locator(".conversation-list [data-conversation-id]")
    return rows.filter(has=page.get_by_text(name, exact=True))


def _choose(page: Page, name: str, item: str) -> None:
    _row(page, name).click(button="right")
    page.get_by_role("menuitem", name=item).click()


def _keep_order(page: Page) -> None:
    for name, item in ORDERED.items():
        _choose(page, name, item)
    for name, label in LABELS.items():
        _choose(page, name, "Etiquetar conversa")
        dialog = page.locator("dialog[open]")
        dialog.get_by_role("button", name="Nova etiqueta").click()
        dialog.get_by_role("textbox").fill(label)
        dialog.get_by_role("button", name="Salvar").click()
        expect(_row(page, name).get_by_text(label)).to_be_attached()
        page.keyboard.press("Escape")
    page.get_by_role("region", name="Notificações").get_by_role("button", name="Fechar").click()
    page.evaluate("document.activeElement.blur()")
    expect(page.locator(".toast")).to_be_hidden(timeout=15_000)


def _answer(page: Page, simulator: str) -> None:
    _row(page, CUSTOMER).click()
    page.locator(".message.in .bubble").last.dblclick()
    page.keyboard.type(ANSWER)
    page.keyboard.press("Enter")
    sent = page.locator(".message.out").last.locator("[data-status=delivered]")
    expect(sent).to_be_visible(timeout=15_000)
    thanks = f"{simulator}/customers/{PHONE_NUMBER}/messages"
    page.request.post(thanks, data={"text": THANKS})
    page.locator(".bubble", has_text=THANKS).click(button="right")
    page.get_by_role("menuitem", name="Reagir").click()
    page.get_by_role("button", name="Reagir com ❤️").click()
    expect(page.locator(".reactions:not([hidden])")).to_be_visible()
    page.keyboard.type("Pode vir quando quiser")


def _take(page: Page, name: str) -> None:
    page.mouse.move(0, 0)  # over nothing
    page.screenshot(path=IMAGES / f"{name}.png")
    print(IMAGES / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
