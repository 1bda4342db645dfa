"""How every kind of message is drawn, from the JSON of the API: bubbles, chips and rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from chat.incoming import words
from tests.browser.drawn_screen import (
    DrawnScreen,
    customer,
    drawn_screen,
    incoming,
    outgoing,
)

AD = {
    "headline": "Bolos de pote",
    "body": "Só hoje, na Zona Sul",
    "source_url": "https://www.instagram.com/p/abc?x=1",
    "source_type": "ad",
}
LATER = "2030-03-14T15:06:00-03:00"


@pytest.fixture(scope="module")
def shared(chromium: Browser) -> Iterator[DrawnScreen]:
    with drawn_screen(chromium) as screen:
        yield screen


@pytest.fixture
def screen(shared: DrawnScreen) -> DrawnScreen:
    shared.draw(conversations=[customer("other")], selected="other")  # closes the thread before
    return shared


def message(screen: DrawnScreen, id_: str = "m") -> Locator:
    return screen.page.locator(f"[data-message-id='{id_}']")


def name_over(screen: DrawnScreen, id_: str) -> str | None:
    """The name that is shown above a bubble, None where there is none."""
    author = message(screen, id_).locator(".bubble-author")
    return author.inner_text() if author.is_visible() else None


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("order", {"product_items": [{"product_retailer_id": "bolo", "quantity": 2,
                                      "item_price": 12.5, "currency": "BRL"}]}),
        ("contacts", [{"name": {"formatted_name": "João"}, "phones": [{"phone": "+55 21 9988"}]}]),
        ("contacts", [{"name": {"formatted_name": "João"}}]),
        ("location", {"latitude": -23.5, "longitude": -46.6, "name": "Praça", "address": "Rua 1"}),
        ("location", {}),
        ("interactive", {"nfm_reply": {"response_json": '{"nome": "Ana", "aceita": true}'}}),
        ("interactive", {"call_permission_reply": {"response": "accept"}}),
        ("interactive", {"errors": [{"code": 131051}]}),
        ("interactive", {"button_reply": {"id": "x", "title": "Sim"}}),
        ("button", {"text": "Quero", "payload": "q"}),
        ("button", {}),
        ("image", {"caption": "Olha só"}),
        ("image", {}),
        ("audio", {"voice": True}),
        ("document", {"filename": "nota.pdf"}),
        ("sticker", {}),
        ("unsupported", {"type": "poll_creation"}),
        ("of_tomorrow", {"what": 1}),
        ("text", {"body": "\u3164"}),
        ("text", {"body": " \n "}),
        ("text", {}),
    ],
)  # fmt: skip
def test_no_kind_is_a_blank_bubble(screen: DrawnScreen, kind: str, body: Any) -> None:
    said = words.text_of(kind, body)
    label, lines = words.placeholder(kind, body), words.details(kind, body)
    more = {"placeholder": label} if label else {}
    screen.draw(incoming("m", said, type=kind, details=lines, **more))
    shown = message(screen).locator(".bubble-body").inner_text()
    assert len(shown.strip()) >= 2, repr(shown)
    for line in lines:
        assert line["value"] in shown
        assert not line.get("label") or f"{line['label']}: " in shown
    assert (label or "") in shown
    assert (said.strip(" \n\u3164") or "") in shown


@pytest.mark.parametrize("more", [{}, {"text": None}, {"type": "image"}, {"placeholder": "\u200b"}])
def test_a_message_of_nothing_says_so(screen: DrawnScreen, more: dict[str, Any]) -> None:
    screen.draw(incoming("m", **more))
    expect(message(screen).locator(".bubble-body")).to_contain_text("Mensagem")


@pytest.mark.parametrize(
    ("href", "is_link"),
    [
        ("https://www.google.com/maps/search/?api=1", True),
        ("http://exemplo.com", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//exemplo.com", False),
        ("ftp://exemplo.com", False),
        ("", False),
        ("https://", False),
    ],
)
def test_a_line_links_only_to_the_web(screen: DrawnScreen, href: str, is_link: bool) -> None:
    screen.draw(incoming("m", "Aqui", details=[{"value": "Ver no mapa", "href": href}]))
    line = message(screen).locator(".bubble-lines li")
    expect(line).to_have_text("Ver no mapa")
    assert line.locator("a").count() == is_link
    if is_link:
        expect(line.locator("a")).to_have_attribute("rel", "noopener noreferrer")
        expect(line.locator("a")).to_have_attribute("target", "_blank")


def test_lines_of_another_shape_cost_only_themselves(screen: DrawnScreen) -> None:
    lines = [
        None,
        {"value": ""},
        {"label": "só"},
        {"value": "<b>x</b>"},
        {"label": "", "value": "y"},
    ]
    screen.draw(incoming("m", details=lines))
    assert message(screen).locator(".bubble-lines li").all_inner_texts() == ["<b>x</b>", "y"]
    screen.draw(incoming("m", "Oi", details="nada"))
    expect(message(screen).locator(".bubble-text")).to_have_text("Oi")


def test_an_ad_stands_above_the_text(screen: DrawnScreen) -> None:
    screen.draw(incoming("m", "Ainda tem?", referral=AD))
    box = message(screen).locator(".referral")
    assert box.inner_text().split("\n") == [
        "Anúncio",
        "Bolos de pote",
        "Só hoje, na Zona Sul",
        "instagram.com",
    ]
    link = box.locator("a")
    expect(link).to_have_attribute("href", "https://www.instagram.com/p/abc?x=1")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    text = message(screen).locator(".bubble-text").bounding_box()
    above = box.bounding_box()
    assert text
    assert above
    assert above["y"] + above["height"] <= text["y"]


@pytest.mark.parametrize(
    ("referral", "lines"),
    [
        ({"source_type": "post", "headline": "<b>Oi</b>"}, ["Publicação", "<b>Oi</b>"]),
        ({"source_id": "123", "ctwa_clid": "x"}, ["Anúncio"]),
        ({"headline": "\u3164", "body": "Só o texto"}, ["Anúncio", "Só o texto"]),
        ({"headline": "Oi", "source_url": "javascript:alert(1)"}, ["Anúncio", "Oi"]),
        ({"source_url": "https://fb.me/2ab"}, ["Anúncio", "fb.me"]),
    ],
)
def test_an_ad_shows_what_there_is_of_it(
    screen: DrawnScreen, referral: dict[str, str], lines: list[str]
) -> None:
    screen.draw(incoming("m", "Oi", referral=referral))
    assert message(screen).locator(".referral").inner_text().split("\n") == lines


@pytest.mark.parametrize(
    ("given", "said", "arrows"),
    [
        ({"forwarded": True}, "Encaminhada", 1),
        ({"forwarded": "once"}, "Encaminhada", 1),
        (
            {"forwarded": True, "frequently_forwarded": True},
            "Encaminhada com frequência",
            2,
        ),
        ({"frequently_forwarded": True}, "Encaminhada com frequência", 2),
        ({"forwarded": "frequently"}, "Encaminhada com frequência", 2),
    ],
)
def test_a_forwarded_message_says_so(
    screen: DrawnScreen, given: dict[str, Any], said: str, arrows: int
) -> None:
    screen.draw(incoming("m", "Repasse", **given), outgoing("o", "Repasse", **given))
    for id_ in ("m", "o"):
        mark = message(screen, id_).locator(".forwarded")
        expect(mark).to_have_text(said)
        assert mark.locator("svg:visible").count() == arrows
    screen.draw(incoming("m", "Repasse"))
    expect(message(screen).locator(".forwarded")).to_be_hidden()
    expect(message(screen)).to_have_text("Repasse15:05")


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (
            {"referred_product": {"catalog_id": "1", "product_retailer_id": "BOLO-7"}},
            ["Sobre o produto: BOLO-7"],
        ),
        ({"referred_product": {"catalog_id": "1"}}, ["Sobre o produto: 1"]),
        (
            {"errors": [{"code": "131051", "title": "Unknown", "details": "Not supported"}]},
            ["Aviso da Meta: Unknown: Not supported (131051)"],
        ),
        (
            {"errors": [{"code": "1"}, {"title": "A", "details": "A"}, {}, None]},
            ["Aviso da Meta: erro 1", "Aviso da Meta: A"],
        ),
        (
            {
                "referred_product": {"product_retailer_id": "X"},
                "details": [{"value": "linha"}],
                "errors": [{"title": "B"}],
            },
            ["Sobre o produto: X", "linha", "Aviso da Meta: B"],
        ),
    ],
)
def test_nothing_that_meta_says_is_thrown_away(
    screen: DrawnScreen, given: dict[str, Any], lines: list[str]
) -> None:
    screen.draw(incoming("m", "Oi", **given))
    assert message(screen).locator(".bubble-lines li").all_text_contents() == lines
    expect(message(screen).locator(".bubble-text")).to_have_text("Oi")


def test_reactions_stand_under_their_bubble_and_go_away(screen: DrawnScreen) -> None:
    given = [("👍", "Ana"), ("❤️", "Maria"), ("👍", "Bruno"), ("👍", "Caio")]
    reactions = [{"emoji": emoji, "author": author} for emoji, author in given]
    for draw in (incoming, outgoing):
        screen.draw(draw("m", "Obrigado", reactions=reactions))
        pill = message(screen).locator(".reactions")
        assert pill.locator(".reaction").all_text_contents() == ["👍3", "❤️"]
        name = "Reações: 👍 Ana, Bruno e Caio; ❤️ Maria"
        expect(pill).to_have_attribute("aria-label", name)
        expect(pill).to_have_attribute("title", "👍 Ana, Bruno e Caio\n❤️ Maria")
        bubble, under = message(screen).locator(".bubble").bounding_box(), pill.bounding_box()
        assert bubble
        assert under
        bottom = bubble["y"] + bubble["height"]
        assert bottom - 10 < under["y"] < bottom < under["y"] + under["height"]
        screen.draw(draw("m", "Obrigado", reactions=reactions[:1]))
        expect(pill).to_have_attribute("aria-label", "Reações: 👍 Ana")
        screen.draw(draw("m", "Obrigado", reactions=[]))
        expect(pill).to_be_hidden()


def test_an_edited_message_says_so_beside_its_time(screen: DrawnScreen) -> None:
    long = "palavra " * 9
    for draw in (incoming, outgoing):
        for text in ("Sim", long, long + "e mais uma"):
            screen.draw(draw("m", text, edited_at=LATER))
            meta = message(screen).locator(".bubble-meta")
            assert meta.inner_text().split() == ["Editada", "15:05"]
            # Its room is kept free: the last word does not lie under it.
            overlap = message(screen).evaluate(
                """(node) => {
                  const range = document.createRange();
                  range.selectNodeContents(node.querySelector('.bubble-text'));
                  const meta = node.querySelector('.bubble-meta').getBoundingClientRect();
                  return [...range.getClientRects()].some((box) => box.right > meta.left
                    && box.bottom > meta.top + 3 && box.top < meta.bottom);
                }"""
            )
            assert not overlap, text
    older = [{"text": "Não", "at": LATER}, {"text": "Talvez", "at": LATER}]
    screen.draw(incoming("m", "Sim", edited_at=LATER, versions=older))
    mark = message(screen).locator(".bubble-edited")
    expect(mark).to_have_attribute("title", "Antes: Não\nTalvez")
    screen.draw(incoming("m", "Sim"))
    expect(mark).to_be_hidden()


def test_a_revoked_message_shows_nothing_of_what_it_said(screen: DrawnScreen) -> None:
    said = {
        "text": "segredo",
        "reply_to": {"id": "x", "text": "citação", "author_name": "Ana"},
        "referral": AD,
        "forwarded": "once",
        "details": [{"value": "linha"}],
        "reactions": [{"emoji": "👍", "author": "Ana"}],
        "edited_at": LATER,
        "type": "image",
        "placeholder": "📷 Foto",
    }
    for draw in (incoming, outgoing):
        screen.draw(draw("m", **said))
        expect(message(screen)).to_contain_text("segredo")
        screen.draw(
            draw("m", **{**said, "revoked_at": LATER, "placeholder": "🚫 Mensagem apagada"})
        )
        expect(message(screen)).to_have_text("Mensagem apagada15:05")  # and nothing is hidden
        mark = message(screen).locator(".bubble-revoked")
        expect(mark).to_have_css("font-style", "italic")
        expect(mark.locator("svg")).to_be_visible()


def test_a_plain_bubble_holds_no_words_of_other_kinds(screen: DrawnScreen) -> None:
    screen.draw(incoming("m", "Oi"), outgoing("o", "Olá"))
    expect(message(screen)).to_have_text("Oi15:05")
    expect(message(screen, "o")).to_have_text("Olá15:05")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"type": "system", "text": "Trocou de número"}, "Trocou de número"),
        ({"type": "system", "placeholder": "Aviso do WhatsApp"}, "Aviso do WhatsApp"),
        ({"type": "system"}, "Aviso do WhatsApp"),
        ({"type": "system", "text": "*Maria* <b>mudou</b>"}, "*Maria* <b>mudou</b>"),
        ({"type": "request_welcome", "placeholder": "Abriu a conversa"}, "Abriu a conversa"),
    ],
)
def test_a_notice_is_a_chip_in_the_middle(
    screen: DrawnScreen, given: dict[str, str], said: str
) -> None:
    screen.draw(incoming("a", "antes"), incoming("m", **given), incoming("z", "depois"))
    expect(message(screen)).to_have_text(said)
    assert message(screen).locator(".bubble, .bubble-meta").count() == 0
    chip = message(screen).locator(".notice-text").bounding_box()
    thread = screen.page.locator(".day-messages").bounding_box()
    assert chip
    assert thread
    middle = thread["x"] + thread["width"] / 2
    assert abs(chip["x"] + chip["width"] / 2 - middle) < 2
    order = screen.page.locator("[data-message-id]").evaluate_all(
        "(nodes) => nodes.map((node) => node.dataset.messageId)"
    )
    assert order == ["a", "m", "z"]


def test_the_companys_phone_has_its_name_over_bubbles_on_the_right(screen: DrawnScreen) -> None:
    phone = {"author": {"kind": "business_app", "name": "Loja da Ana"}}
    screen.draw(
        incoming("1", "Oi"),
        outgoing("2", "Olá", **phone),
        outgoing("3", "Tudo bem?", **phone),
        outgoing("4", "Sou a Ana"),
        outgoing("5", "Sou o Claude", author={"kind": "claude", "name": "Claude"}),
        outgoing("6", "De novo", **phone),
    )
    names = {id_: name_over(screen, id_) for id_ in "123456"}
    assert names == {
        "1": None,
        "2": "Celular da empresa",
        "3": None,
        "4": None,
        "5": "Claude",
        "6": "Celular da empresa",
    }
    bubble = message(screen, "2").locator(".bubble").bounding_box()
    thread = screen.page.locator(".day-messages").bounding_box()
    assert bubble
    assert thread
    assert bubble["x"] > thread["x"] + thread["width"] / 2


def test_in_a_group_the_names_have_colours(screen: DrawnScreen) -> None:
    def by(id_: str, name: str) -> dict[str, Any]:
        return incoming(id_, "oi", author={"kind": "customer", "name": name})

    thread = [by("1", "Paula"), by("2", "Paula"), by("3", "Davi"), by("4", "Paula")]
    thread.append(outgoing("5", "oi"))
    group = {"name": "Condomínio", "phone": None, "is_group": True}
    screen.draw(*thread, conversation=group)
    names = [name_over(screen, id_) for id_ in "12345"]
    assert names == ["Paula", None, "Davi", "Paula", None]
    colour = "(node) => getComputedStyle(node).color"
    colours = [message(screen, id_).locator(".bubble-author").evaluate(colour) for id_ in "134"]
    assert colours[0] == colours[2] != colours[1]
    expect(message(screen, "2")).to_have_attribute("aria-label", "Paula, 15:05")
    screen.draw(*thread)  # alone with one customer: no names
    assert [name_over(screen, id_) for id_ in "1234"] == [None] * 4


def test_a_groups_row_tells_who_wrote(screen: DrawnScreen) -> None:
    group = {"name": "Condomínio", "phone": None, "is_group": True}
    own = {"direction": "out", "author_name": "Ana", "status": "delivered"}
    screen.draw(
        conversations=[
            customer("g", text="bom dia", **group),
            customer("h", text="bom dia", last=own, **group),
            customer("i", text="bom dia", last={"author_name": "\u3164"}, **group),
            customer("c", text="bom dia"),
        ]
    )
    previews = screen.page.locator(".row-preview").evaluate_all(
        """(nodes) => nodes.map((node) => [...node.children].filter((part) => !part.hidden)
          .map((part) => part.textContent).join(''))"""
    )
    assert previews == ["Maria: bom dia", "bom dia", "bom dia", "bom dia"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("CPF ***.456.789-**", "CPF ***.456.789-**"),
        ("*Total* ____", "Total ____"),
        ("\u3164", "Mensagem"),
        ("", "Mensagem"),
        ("🚫 Mensagem apagada", "🚫 Mensagem apagada"),
    ],
)
def test_a_row_is_never_blank(screen: DrawnScreen, text: str, shown: str) -> None:
    screen.draw(incoming("m", text), conversation=customer("c1", text=text))
    expect(screen.page.locator(".row-text")).to_have_text(shown)
    screen.draw(conversations=[customer("c1", text="outra")])
    expect(screen.page.locator(".row-text")).to_have_text("outra")


def test_a_name_of_nothing_is_its_number_in_row_and_header(screen: DrawnScreen) -> None:
    screen.draw(incoming("m", "oi"), conversation={"name": "\u3164", "phone": "+55 11 98765-4321"})
    expect(screen.page.locator(".row-name")).to_have_text("+55 11 98765-4321")
    expect(screen.page.locator(".header-name")).to_have_text("+55 11 98765-4321")
    expect(screen.page.locator(".header-detail")).to_have_text("")
    for avatar in screen.page.locator(".row .avatar, .thread-header .avatar").all():
        expect(avatar.locator(".icon")).to_be_visible()
    expect(message(screen)).to_have_attribute("aria-label", "+55 11 98765-4321, 15:05")


def test_a_quote_of_nothing_is_not_blank(screen: DrawnScreen) -> None:
    quote = {"id": "x", "text": "\u3164", "author_name": "\u2800"}
    screen.draw(incoming("m", "Isto", reply_to=quote))
    expect(message(screen).locator(".quote")).to_have_text("Mensagem")
    screen.draw(incoming("m", "Isto", reply_to={"id": "x", "text": "*Sim*", "author_name": "Ana"}))
    expect(message(screen).locator(".quote")).to_have_text("VocêSim")


def test_drawing_the_same_again_keeps_marked_text(screen: DrawnScreen) -> None:
    given = incoming("m", "oi", details=[{"label": "a", "value": "b"}], referral=AD)
    screen.draw(given)
    page = screen.page
    page.evaluate(
        """() => getSelection().selectAllChildren(document.querySelector('.bubble-lines'))"""
    )
    screen.draw({**given, "reactions": [{"emoji": "👍", "author": "Ana"}]})
    assert page.evaluate("String(getSelection()).trim()") == "a: b"
