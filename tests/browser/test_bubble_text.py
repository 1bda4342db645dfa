"""The words of a bubble: "Ler mais", lists and quotes, few emoji alone, and the "!" beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.drawn_screen import DrawnScreen, drawn_screen, incoming, outgoing

pytestmark = pytest.mark.slow


@pytest.fixture
def screen(chromium: Browser) -> Iterator[DrawnScreen]:
    with drawn_screen(chromium) as screen:
        yield screen


def words(count: int) -> str:
    return " ".join(f"palavra{n}" for n in range(count))


def text_of(screen: DrawnScreen, id_: str) -> Locator:
    return screen.page.locator(f'[data-message-id="{id_}"] .bubble-text')


def box(place: Locator) -> dict[str, float]:
    found = place.bounding_box()
    assert found
    return dict(found)


def read_more(screen: DrawnScreen, id_: str) -> Locator:
    return text_of(screen, id_).get_by_role("button", name="Ler mais")


def test_a_long_text_opens_in_place(screen: DrawnScreen) -> None:
    long = words(400)
    earlier = [incoming(f"0{n:02}", "antes") for n in range(40)]
    screen.draw(*earlier, incoming("2", long), incoming("3", "depois"))
    shown = text_of(screen, "2").inner_text()
    assert 600 < len(shown) < 800
    assert shown.endswith("… Ler mais")
    assert long.startswith(shown.removesuffix("… Ler mais"))
    button = read_more(screen, "2")
    button.scroll_into_view_if_needed()
    top = box(text_of(screen, "2"))["y"]
    button.click()
    expect(button).to_have_count(0)
    assert text_of(screen, "2").inner_text() == long
    assert box(text_of(screen, "2"))["y"] == pytest.approx(top, abs=1)
    assert screen.page.locator(".jump-button").is_visible()


def test_the_keyboard_goes_on_where_the_button_was(screen: DrawnScreen) -> None:
    screen.draw(incoming("1", words(400)))
    read_more(screen, "1").focus()
    screen.page.keyboard.press("Enter")
    expect(text_of(screen, "1").locator(".text-rest")).to_be_focused()


def test_what_is_folded_is_found_by_the_browsers_search(screen: DrawnScreen) -> None:
    screen.draw(incoming("1", words(400)))
    expect(read_more(screen, "1")).to_be_visible()
    # What the browser does before it shows a match inside "until-found".
    text_of(screen, "1").locator(".text-rest").evaluate(
        "(node) => node.dispatchEvent(new Event('beforematch'))"
    )
    expect(read_more(screen, "1")).to_have_count(0)
    assert text_of(screen, "1").inner_text() == words(400)


def test_an_unfolded_text_stays_so_when_it_is_edited(screen: DrawnScreen) -> None:
    screen.draw(incoming("1", words(400)))
    read_more(screen, "1").click()
    edited = incoming("1", words(410), edited_at="2030-03-14T15:06:00-03:00")
    screen.draw(edited)
    assert text_of(screen, "1").inner_text() == words(410)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        (words(60), False),
        ("x" * 860, False),  # nothing would be saved
        ("x" * 900, True),
        ("\n".join("abcdefghijklmnopqrst"), False),
        ("\n".join(str(n) for n in range(40)), True),
        ("\n".join(f"- item {n}" for n in range(40)), True),
        ("*" + words(200) + "*", True),
        ("a" * 760 + " https://exemplo.com.br/" + "b" * 300, True),
        ("😀" * 600, True),
    ],
)
def test_only_what_is_long_is_folded(screen: DrawnScreen, text: str, *, folded: bool) -> None:
    screen.draw(incoming("1", text))
    expect(read_more(screen, "1")).to_have_count(1 if folded else 0)
    if not folded:
        return
    read_more(screen, "1").click()
    parts = text.replace("- ", "").strip("*")
    whole = text_of(screen, "1").evaluate("(node) => node.textContent")
    assert whole.replace("\n", "") == parts.replace("\n", "")


def test_a_link_at_the_cut_stays_whole(screen: DrawnScreen) -> None:
    address = "https://exemplo.com.br/" + "b" * 300
    screen.draw(incoming("1", "a" * 600 + " " + address))
    read_more(screen, "1").click()
    assert text_of(screen, "1").locator("a").evaluate_all("(all) => all.map((a) => a.href)") == [
        address
    ]


def test_a_signs_parts_stay_together_at_the_cut(screen: DrawnScreen) -> None:
    family = "👨‍👩‍👧‍👦"
    screen.draw(incoming("1", family * 120))
    shown = text_of(screen, "1").inner_text().removesuffix("… Ler mais")
    assert shown == family * (len(shown) // len(family))


def test_lists_and_quotes_are_drawn_as_such(screen: DrawnScreen) -> None:
    screen.draw(incoming("1", "Leve:\n- *pão*\n- leite\n\n7. sete\n9. nove\n> dito\nFim"))
    text = text_of(screen, "1")
    expect(text.get_by_role("listitem")).to_have_text(["pão", "leite", "sete", "nove"])
    assert text.locator("ol li").evaluate_all("(all) => all.map((li) => li.value)") == [7, 9]
    expect(text.get_by_role("blockquote")).to_have_text("dito")
    expect(text.locator("li strong")).to_have_text("pão")


def test_fewer_emoji_are_larger(screen: DrawnScreen) -> None:
    texts = ["😀", "👍🏽❤️", "🇧🇷🇵🇹👨‍👩‍👧‍👦", "😀😀😀😀", "oi"]
    screen.draw(*(incoming(str(n), text) for n, text in enumerate(texts)))
    sizes = [
        text_of(screen, str(n)).evaluate("(node) => parseFloat(getComputedStyle(node).fontSize)")
        for n in range(len(texts))
    ]
    assert sizes[0] > sizes[1] > sizes[2] > sizes[3]
    assert sizes[3] == sizes[4]


def test_the_day_shows_while_it_scrolls_and_goes_soon_after(chromium: Browser) -> None:
    with drawn_screen(chromium, clock=True) as screen:
        days = ("2030-03-01", "2030-03-13", "2030-03-14")
        screen.draw(
            *(
                incoming(f"{day}-{n:02}", "oi", sent_at=f"{day}T12:00:00-03:00")
                for day in days
                for n in range(40)
            )
        )
        page = screen.page
        chips = page.locator(".day-chip")
        expect(chips).to_have_text(["01/03/2030", "ONTEM", "HOJE"])
        scroll = "(node, to) => { node.scrollTop = to; return new Promise(requestAnimationFrame); }"
        middle = page.locator(".day").nth(1).evaluate("(node) => node.offsetTop + 400")
        page.locator(".thread-scroll").evaluate(scroll, middle)
        expect(chips.nth(1)).to_be_visible()
        expect(chips.nth(1)).to_be_in_viewport()
        page.clock.run_for(2000)
        expect(chips.nth(1)).to_be_hidden()
        expect(chips.nth(2)).to_be_visible()  # in its place
        page.locator(".thread-scroll").evaluate(scroll, middle - 100)
        expect(chips.nth(1)).to_be_visible()


@pytest.mark.parametrize(("width", "share"), [(1280, 0.65), (390, 0.85)])
def test_a_bubble_leaves_room_beside_it(screen: DrawnScreen, width: int, share: float) -> None:
    screen.page.set_viewport_size({"width": width, "height": 800})
    screen.draw(incoming("1", words(60)), outgoing("2", words(60)))
    column = screen.page.locator(".day-messages").evaluate(
        """(node) => node.clientWidth
          - parseFloat(getComputedStyle(node).paddingLeft) * 2"""
    )
    for bubble in screen.page.locator(".bubble").all():
        assert box(bubble)["width"] == pytest.approx(column * share, abs=1)


@pytest.mark.parametrize("width", [1280, 390])
def test_why_it_failed_is_told_by_a_click_on_the_mark(screen: DrawnScreen, width: int) -> None:
    screen.page.set_viewport_size({"width": width, "height": 800})
    error = {"code": 131047, "message": "Janela fechada."}
    screen.draw(outgoing("1", words(60), status="failed", error=error), outgoing("2", "bem"))
    failed = screen.page.locator('[data-message-id="1"]')
    mark = failed.get_by_role("button", name="Mensagem não enviada")
    expect(failed.locator(".problem")).to_be_hidden()
    place, bubble = box(mark), box(failed.locator(".bubble"))
    assert place["x"] >= box(screen.page.locator(".thread-scroll"))["x"]
    assert place["x"] + place["width"] <= bubble["x"]
    assert mark.get_attribute("aria-expanded") == "false"
    mark.focus()
    screen.page.keyboard.press("Enter")
    expect(failed.locator(".problem")).to_be_visible()
    assert mark.get_attribute("aria-expanded") == "true"
    failed.get_by_role("button", name="Tentar novamente").click()
    assert screen.told == [["action", "resend", "1"]]
    mark.click()
    expect(failed.locator(".problem")).to_be_hidden()
    assert not screen.page.locator('[data-message-id="2"] .failure-mark').is_visible()
