"""The chat as an installed app: manifest, service worker, and notifications as on Android."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Worker, expect

from local.icons.__main__ import FOLDER, drawings
from tests.browser.conftest import Attendant
from tests.chromium import look_away
from tests.helpers import LiveServer, Simulator, wait_until

pytestmark = pytest.mark.slow

MARINA = "5511987654321"
#: Android's Chrome: the class is there, and makes nothing.
NO_NOTIFICATIONS = """
  window.Notification = class {
    static permission = "granted";
    static async requestPermission() { return "granted"; }
    constructor() { throw new TypeError("Illegal constructor. Use showNotification() instead."); }
  };
"""
#: Counts in `told` the notifications that have been shown. Whoever asks for them while one is still
#: being shown makes Chromium forget that one.
COUNTS_SHOWN = """
  self.told = 0;
  const { showNotification } = ServiceWorkerRegistration.prototype;
  ServiceWorkerRegistration.prototype.showNotification = async function (...words) {
    await showNotification.apply(this, words);
    self.told += 1;
  };
"""
SHOWN = """async () => {
  const registration = await navigator.serviceWorker.ready;
  return (await registration.getNotifications()).map(({ title, body, tag, badge }) => (
    { title, body, tag, badge: new URL(badge).pathname.split("/").at(-1) }
  ));
}"""
#: Each second one is closed at once, as when its chat is read while the next chat's message comes.
#: Tells how often it was asked which there are while one was being shown.
SHOW_AND_CLOSE = r"""async (count) => {
  const page = document.querySelector("script[src*='/chat/chat.']").src;
  const folder = page.replace(/(built\/)?chat\/chat\.[^/]*$/, "chat/installed/");
  const { notificationsBy } = await import(`${folder}worker.js`);
  const { showNotification, getNotifications } = ServiceWorkerRegistration.prototype;
  let beingShown = 0;
  let between = 0;
  Object.assign(ServiceWorkerRegistration.prototype, {
    async showNotification(...words) {
      beingShown += 1;
      await showNotification.apply(this, words);
      beingShown -= 1;
    },
    getNotifications(...words) {
      if (beingShown) between += 1;
      return getNotifications.apply(this, words);
    },
  });
  const Notification = notificationsBy(navigator.serviceWorker.ready);
  const closed = [];
  for (let n = 0; n < count; n++) {
    const made = new Notification(`Cliente ${n}`, { tag: `t-${n}` });
    if (n % 2 === 0) closed.push(made.close());
  }
  await Promise.all(closed);
  await new Notification("A última", { tag: "last" }).close();
  return between;
}"""
KEPT = """async () => {
  const kept = {};
  for (const name of await caches.keys()) {
    const requests = await (await caches.open(name)).keys();
    kept[name] = requests.map(({ url }) => new URL(url).pathname);
  }
  return kept;
}"""
#: "ready" is told when that begins.
ACTIVATED = """async () => {
  const { active } = await navigator.serviceWorker.ready;
  if (active.state === "activated") return;
  await new Promise((resolve) => active.addEventListener("statechange", resolve));
}"""
CLICK = """async (tag) => {
  const [notification] = await self.registration.getNotifications({ tag });
  self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
}"""


def worker_of(person: Attendant) -> Worker:
    """The active service worker of this attendant's browser, which has done what it begins with."""
    person.page.evaluate(ACTIVATED)
    return service_worker(person.context)


def service_worker(context: BrowserContext) -> Worker:
    (worker,) = wait_until(lambda: context.service_workers)
    return worker


def look_away_from_a_page_that_is_up_to_date(person: Attendant) -> None:
    """What comes from now on is news to it."""
    with person.page.expect_response("**/unread"):
        person.page.reload()
    person.wait_connected()
    look_away(person.context)


def wait_told(place: Page | Worker, times: int = 1) -> None:
    """Until so many notifications have been shown from there, which COUNTS_SHOWN counts."""
    wait_until(lambda: place.evaluate("told") == times)


def shown(page: Page) -> list[dict[str, Any]]:
    """What the service worker shows; not to be asked while it shows one, see COUNTS_SHOWN."""
    found: list[dict[str, Any]] = page.evaluate(SHOWN)
    return found


def write(simulator: Simulator, text: str) -> None:
    simulator.write(MARINA, text=text, name="Marina")


def test_it_can_be_installed(
    live_server: Callable[..., LiveServer], at_a_computer: Callable[..., Attendant]
) -> None:
    ana = at_a_computer("ana", live_server().url)
    devtools = ana.context.new_cdp_session(ana.page)
    found = devtools.send("Page.getAppManifest")
    assert found["errors"] == []
    assert devtools.send("Page.getInstallabilityErrors")["installabilityErrors"] == []
    manifest = found["manifest"]
    assert manifest["startUrl"] == f"{ana.url}/"
    assert manifest["display"] == "kStandalone"
    for icon in manifest["icons"]:
        answer = ana.context.request.get(icon["url"])
        width, height = struct.unpack(">II", answer.body()[16:24])
        assert icon["sizes"] == f"{width}x{height}"


@pytest.mark.parametrize("name", drawings("<svg></svg>"))
def test_every_icon_is_there_in_its_size(name: str) -> None:
    size, _ = drawings("<svg></svg>")[name]
    head = (FOLDER / name).read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:]) == (size, size)


def test_without_a_connection_a_page_says_so_and_nothing_old_is_shown(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    attendant: Callable[..., Attendant],
) -> None:
    server = live_server()
    ana = attendant("ana", server.url, service_workers="allow")
    ana.allow_errors("ERR_CONNECTION_REFUSED|Failed to load resource")
    page = ana.page
    write(simulator, "Um segredo")
    expect(page.locator(".row-text", has_text="Um segredo")).to_be_visible()
    worker_of(ana)
    page.reload()  # by the service worker from now on
    page.locator("[data-conversation-id]").click()
    expect(page.locator("[data-message-id]", has_text="Um segredo")).to_be_visible()
    (kept,) = page.evaluate(KEPT).values()
    assert [path for path in kept if not path.startswith("/static/")] == ["/offline"]
    assert any(path.endswith("/chat/chat.js") for path in kept)

    server.stop()
    address = page.url
    page.reload()
    expect(page.get_by_role("heading", name="Sem conexão")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("segredo")
    assert page.locator(".offline").evaluate("(node) => getComputedStyle(node).display") == "grid"
    assert page.url == address

    server.restart()
    page.get_by_role("link", name="Tentar novamente").click()
    expect(page.locator("[data-message-id]", has_text="Um segredo")).to_be_visible()


def test_the_installed_apps_frame_has_the_colour_of_the_theme(
    live_server: Callable[..., LiveServer], attendant: Callable[..., Attendant]
) -> None:
    ana = attendant("ana", live_server().url, service_workers="allow")
    ana.wait_connected()
    colours = {"Claro": "#f5f1eb", "Escuro": "#161717"}
    for name, colour in colours.items():
        ana.page.get_by_role("button", name="Menu", exact=True).click()
        ana.page.get_by_role("radio", name=name).click()
        shown = ana.page.locator('meta[name="theme-color"][media="all"]')
        expect(shown).to_have_attribute("content", colour)
        ana.page.reload()
        expect(shown).to_have_attribute("content", colour)
        ana.wait_connected()


def test_a_new_version_forgets_the_files_of_the_old_one(
    live_server: Callable[..., LiveServer], attendant: Callable[..., Attendant]
) -> None:
    url = live_server().url
    ana = attendant("ana", url, log_in=False, service_workers="allow")
    ana.page.goto(f"{url}/offline")
    ana.page.evaluate("Promise.all(['files 0123456789ab', 'not ours'].map((n) => caches.open(n)))")
    ana.log_in()
    worker_of(ana)
    (version,) = {*ana.page.evaluate(KEPT)} - {"not ours"}
    assert version.startswith("files ")
    assert version != "files 0123456789ab"


def test_the_worker_and_its_page_need_no_login_and_are_always_asked_for(
    live_server: Callable[..., LiveServer], attendant: Callable[..., Attendant]
) -> None:
    ana = attendant("ana", live_server().url, log_in=False, service_workers="allow")
    answer = ana.context.request.get(f"{ana.url}/service-worker.js")
    assert answer.ok
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-cache"
    answer = ana.context.request.get(f"{ana.url}/offline", max_redirects=0)
    assert answer.ok
    assert "set-cookie" not in answer.headers


def test_on_android_the_service_worker_notifies_and_a_click_opens_the_chat(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    at_a_computer: Callable[..., Attendant],
) -> None:
    ana = at_a_computer("ana", live_server().url, script=NO_NOTIFICATIONS + COUNTS_SHOWN)
    page = ana.page
    worker = worker_of(ana)
    look_away_from_a_page_that_is_up_to_date(ana)
    write(simulator, "Vocês abrem hoje?")
    wait_told(page)
    (note,) = shown(page)
    assert (note["title"], note["body"]) == ("Marina", "Vocês abrem hoje?")
    assert note["badge"] == "badge-96.png"

    worker.evaluate(CLICK, note["tag"])
    expect(page.locator("[data-message-id]", has_text="Vocês abrem hoje?")).to_have_count(1)
    expect(page).to_have_url(f"{ana.url}/?c={note['tag']}")
    wait_until(lambda: shown(page) == [])


def test_a_notification_of_the_worker_goes_when_its_chat_is_read(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    at_a_computer: Callable[..., Attendant],
) -> None:
    ana = at_a_computer("ana", live_server().url, script=NO_NOTIFICATIONS + COUNTS_SHOWN)
    worker_of(ana)
    look_away_from_a_page_that_is_up_to_date(ana)
    write(simulator, "Vocês abrem hoje?")
    wait_told(ana.page)
    assert len(shown(ana.page)) == 1
    ana.page.bring_to_front()
    ana.page.locator("[data-conversation-id]").click()
    wait_until(lambda: shown(ana.page) == [])


def test_a_notification_that_is_closed_takes_no_other_with_it(
    live_server: Callable[..., LiveServer], at_a_computer: Callable[..., Attendant]
) -> None:
    ana = at_a_computer("ana", live_server().url, script=NO_NOTIFICATIONS)
    worker_of(ana)
    assert ana.page.evaluate(SHOW_AND_CLOSE, 20) == 0
    tags = sorted(each["tag"] for each in shown(ana.page))
    assert tags == sorted(f"t-{n}" for n in range(1, 20, 2))
