"""What a screen says of unread messages, and a browser that notes its notifications and tones."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.helpers import Simulator, wait_until

#: Notes what the page really asks of the browser, and lets it happen.
NOTE_ALERTS = """
  window.told = [];
  window.tones = 0;
  if (window.Notification) {
    window.Notification = class extends Notification {
      constructor(title, options) {
        super(title, options);
        for (const { noted } of window.told) if (noted.tag === options.tag) noted.open = false;
        this.noted = { title, ...options, open: true };
        window.told.push(this);
      }
      close() {
        this.noted.open = false;
        super.close();
      }
    };
  }
  window.AudioContext = class extends AudioContext {
    constructor(...options) {
      super(...options);
      window.tones += 1;
    }
  };
"""

_SAYS = """() => {
  const badges = {};
  for (const badge of document.querySelectorAll("[data-unread-count]")) {
    const name = badge.closest("[data-conversation-id]").querySelector(".row-name").textContent;
    badges[name] = Number(badge.dataset.unreadCount);
  }
  const icon = document.querySelector("link[rel=icon]").dataset.favicon;
  return { title: document.title, icon, badges };
}"""


def says(page: Page) -> dict[str, Any]:
    """{title, icon, badges: {name: number}} of a page at this moment."""
    result: dict[str, Any] = page.evaluate(_SAYS)
    return result


def expect_unread(page: Page, badges: dict[str, int], seconds: float = 20) -> None:
    """Wait until the rows have these badges; title and icon must then count them."""

    def right() -> bool:
        said = says(page)
        assert said["badges"] == badges, said
        n = len(badges)
        assert said["title"] == (f"({n}) Atendimento" if n else "Atendimento")
        assert said["icon"] == (str(n) if n else "plain")
        return True

    wait_until(right, seconds, what="the badges")


def told(page: Page) -> list[dict[str, Any]]:
    """The notifications this page has shown, oldest first; `open` is false once one was closed,
    or replaced by the next of its conversation."""
    result: list[dict[str, Any]] = page.evaluate("told.map((each) => each.noted)")
    return result


def row(page: Page, name: str) -> Locator:
    return page.locator("[data-conversation-id]", has=page.get_by_text(name, exact=True))


def take_an_event(page: Page, simulator: Simulator, phone: str, sign: str) -> None:
    """Wait until the page has drawn something that counts as nothing unread: WhatsApp's notice.

    What the page was about to do before, such as reading what it shows, it has done by then.
    """
    notice = {"type": "system", "system": {"type": "of_tomorrow", "body": f"Aviso {sign}"}}
    simulator.write(phone, type="system", payload=notice)
    expect(page.locator("[data-conversation-id]", has_text=f"Aviso {sign}")).to_be_visible()
