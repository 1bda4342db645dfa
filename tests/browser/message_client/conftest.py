"""Two static pages with message_status.js in them: a blank one whose scripts call it, and a foreign
host's, whose own style would spoil whatever does not defend itself, under a strict CSP.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Route

from tests.browser.screen_modules import static_files

Run = Callable[..., Any]

_FOLDER = "tests/browser/message_client"
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "require-trusted-types-for 'script'"
)


class Api:
    """The server's answers, by path; what was asked of it is kept."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, str | None]] = []  # method, path, body, token
        self.answers: dict[str, list[tuple[int, Any]]] = {}

    def answer(self, path: str, *answers: Any) -> None:
        """What a path answers, one after the other, the last one for ever; a tuple has a status."""
        pairs = [each if isinstance(each, tuple) else (200, each) for each in answers]
        self.answers[path] = pairs

    def handle(self, route: Route) -> None:
        request = route.request
        path = "/api/" + request.url.split("/api/", 1)[1]
        body = request.post_data_json if request.post_data else None
        self.asked.append((request.method, path, body, request.headers.get("x-csrftoken")))
        pairs = self.answers.get(path, [(404, {"error": {"code": "not_found", "message": "Não"}})])
        status, answer = pairs.pop(0) if len(pairs) > 1 else pairs[0]
        route.fulfill(status=status, json=answer)


@pytest.fixture(scope="module")
def files() -> Iterator[str]:
    with static_files() as url:
        yield url


@pytest.fixture
def console() -> list[str]:
    """What the page's console says from the level of a warning on."""
    return []


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    """For the tests that are about colours."""
    return str(request.param)


@pytest.fixture
def page(
    chromium: Browser, files: str, console: list[str], api: Api, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A page of its own context; `open_page` leads it somewhere."""
    dark = "scheme" in request.fixturenames and request.getfixturevalue("scheme") == "dark"
    context = chromium.new_context(
        base_url=files, locale="pt-BR", timezone_id="America/Sao_Paulo",
        color_scheme="dark" if dark else "light", viewport={"width": 1000, "height": 700},
    )  # fmt: skip
    page = context.new_page()

    def note(message: ConsoleMessage) -> None:
        if message.type in ("warning", "error") and "Failed to load" not in message.text:
            console.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: console.append(f"uncaught: {error}"))
    page.route("**/api/**", api.handle)
    yield page
    context.close()


def _open(page: Page, name: str) -> Page:
    def with_policy(route: Route) -> None:
        answer = route.fetch()
        headers = {**answer.headers, "content-security-policy": _CSP}
        route.fulfill(response=answer, headers=headers)

    page.route(f"**/{name}.html", with_policy)
    page.goto(f"{_FOLDER}/{name}.html")
    page.wait_for_selector("html[data-ready]", state="attached")
    return page


@pytest.fixture
def host(page: Page, console: list[str]) -> Iterator[Page]:
    """A foreign host's page, whose console has to stay empty."""
    yield _open(page, "host")
    assert console == []


@pytest.fixture
def warned(page: Page) -> Page:
    """The same, where warnings are what is looked for."""
    return _open(page, "host")


@pytest.fixture
def run(page: Page) -> Run:
    """Runs the body of an async function in the blank page, with `arg`; gives what it returns."""
    _open(page, "blank")
    return lambda body, arg=None: page.evaluate(f"async (arg) => {{ {body} }}", arg)


def channels(colour: str) -> tuple[float, float, float]:
    """Red, green and blue of a computed colour."""
    red, green, blue = json.loads(f"[{colour[colour.index('(') + 1 : -1]}]")[:3]
    return red, green, blue


def contrast(one: str, other: str) -> float:
    """WCAG's contrast of two computed colours without transparency."""

    def luminance(colour: str) -> float:
        parts = [each / 255 for each in channels(colour)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
