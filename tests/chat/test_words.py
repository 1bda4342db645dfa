"""Every kind of message has its words: never a blank bubble, never a blank row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.conversation.blank import is_blank
from chat.conversation.thread import preview
from chat.incoming import parsing, words
from tests.chat.support import NOON, call, text_message

BLANKS = ["", " ", "\n\t", "\u3164", "\u115f\u1160", "\uffa0", "\u2800", "\u200b\u200e\ufeff",
          "\u00ad", "\u2060", "\u034f", "\u180e", "\ufe0f", "\u0301", "\U000e0020",
          "\u3000"]  # fmt: skip


def said(kind: str, body: Any) -> tuple[str, str | None, list[str]]:
    """Text, label, and the lines below."""
    lines = [
        f"{line['label']}: {line['value']}" if "label" in line else line["value"]
        for line in words.details(kind, body)
    ]
    return words.text_of(kind, body), words.placeholder(kind, body), lines


@pytest.mark.parametrize("text", BLANKS)
def test_what_shows_nothing_is_blank(text: str) -> None:
    assert is_blank(text)
    assert is_blank(text * 3)
    assert not is_blank(f"{text}a{text}")


@pytest.mark.parametrize("text", ["a", "1", "👍", "❤️", "é", "漢", "م", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "-", "\ufffd", "1️⃣"])
def test_what_shows_something_is_not(text: str) -> None:
    assert not is_blank(text)


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text", {"body": "?"}),
        ("text", "?"),
        ("button", {"text": "?", "payload": "?"}),
        ("interactive", {"button_reply": {"id": "?", "title": "?"}}),
        ("interactive", {"list_reply": {"id": "?", "title": "?", "description": "?"}}),
        ("interactive", {"nfm_reply": {"body": "?", "name": "?", "response_json": "?"}}),
        ("image", {"caption": "?"}),
        ("document", {"filename": "?"}),
        ("location", {"name": "?", "address": "?"}),
        ("contacts", [{"name": {"formatted_name": "?"}}]),
        ("system", {"body": "?"}),
        ("order", {"text": "?"}),
        ("?", {"body": "?"}),
    ],
)
def test_a_blank_part_leaves_no_blank_bubble(kind: str, body: Any, blank: str) -> None:
    kind = kind.replace("?", blank)
    body = json.loads(json.dumps(body).replace('"?"', json.dumps(blank)))
    text, label, lines = said(kind, body)
    assert not is_blank(text or label)
    assert not is_blank(preview(text, label))
    assert not any(map(is_blank, lines))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"type": "call_permission_reply", "call_permission_reply": {"response": "accept"}},
         ("", "📞 Permitiu ligações", [])),
        ({"type": "call_permission_reply", "call_permission_reply": {"response": "reject"}},
         ("", "📞 Não permitiu ligações", [])),
        ({"call_permission_reply": {}}, ("", "📞 Não permitiu ligações", [])),
        ({"errors": [{"code": 131051}]}, ("", "Mensagem não suportada", [])),
        ({}, ("", "Mensagem não suportada", [])),
        ([], ("", "Mensagem não suportada", [])),
        (None, ("", "Mensagem não suportada", [])),
        ("Sim", ("Sim", None, [])),
        ({"payment_method": {"payment_method": "pix", "reference_id": "4471"}},
         ("", "💳 Escolheu a forma de pagamento", ["payment method: pix", "reference id: 4471"])),
        ({"button_reply": {"id": "1", "title": "Sim"}}, ("Sim", None, [])),
        ({"button_reply": {"id": "sim"}}, ("sim", None, [])),
        ({"button_reply": {}, "list_reply": {"title": "Dois"}}, ("Dois", None, [])),
        ({"list_reply": {"id": "1", "title": "Segunda", "description": "das 9h às 12h"}},
         ("Segunda", None, ["das 9h às 12h"])),
    ],
)  # fmt: skip
def test_what_somebody_tapped_is_told(body: Any, expected: Any) -> None:
    assert said("interactive", body) == expected


@pytest.mark.parametrize(
    ("response", "lines"),
    [
        ('{"nome_completo": "Maria", "aceita": true, "flow_token": "x"}',
         ["nome completo: Maria", "aceita: sim"]),
        ({"dias": ["seg", "ter"], "idade": 41, "nota": 4.5}, ["dias: seg, ter", "idade: 41",
                                                              "nota: 4.5"]),
        ('{"endereço": {"rua": "A", "número": 7}}', ["endereço: rua: A, número: 7"]),
        ('{"vazio": "", "nada": null, "lista": []}', []),
        ('{"meia": "\\ud83d"}', ["meia: \ufffd"]),
        ('{"longo": ' + "9" * 5000 + "}", ["longo: " + "9" * 100]),
        ("não é JSON", ["não é JSON"]),
        ('["a", "b"]', ["a, b"]),
        ("[" * 100_000, ["[" * 500]),
        (None, []),
        (7, ["7"]),
    ],
)  # fmt: skip
def test_a_forms_fields_are_shown(response: Any, lines: list[str]) -> None:
    text, label, shown = said(
        "interactive", {"nfm_reply": {"body": "Sent", "response_json": response}}
    )
    assert (text, label) == ("Sent", "📋 Formulário respondido")
    assert shown == lines


def test_an_order_shows_its_items_and_its_total() -> None:
    items = [
        {"product_retailer_id": "CAFE-250", "quantity": 2, "item_price": 24.9, "currency": "BRL"},
        {"product_retailer_id": "FILTRO", "quantity": "1", "item_price": "1008.5"},
        {"product_retailer_id": 77, "quantity": None, "item_price": "?"},
        {}, "lixo", None,
    ]  # fmt: skip
    text, label, lines = said("order", {"text": "Para hoje", "product_items": items})
    assert (text, label) == ("Para hoje", "🛒 Pedido")
    assert lines == [
        "2 × CAFE-250 · R$ 24,90",
        "1 × FILTRO · R$ 1.008,50",
        "1 × 77",
        "1 × item",
        "Total: R$ 1.058,30",
    ]


def test_an_order_in_two_currencies_has_two_totals_and_a_long_one_is_cut() -> None:
    items = [{"product_retailer_id": "x", "quantity": 1, "item_price": 1, "currency": c}
             for c in ("BRL", "USD")]  # fmt: skip
    assert said("order", {"product_items": items})[2][-2:] == [
        "Total: R$ 1,00", "Total: USD 1,00",
    ]  # fmt: skip
    lines = said("order", {"product_items": items[:1] * 100})[2]
    assert len(lines) == 40
    assert lines[-2:] == ["… e mais 62 itens", "Total: R$ 100,00"]


def test_contact_cards_show_their_numbers() -> None:
    card = {
        "name": {"formatted_name": "João Pedro"},
        "phones": [{"phone": "+55 11 98765-4321"}, {"wa_id": "5511987654321"}, {}, "11 1234"],
        "emails": [{"email": "joao@exemplo.com"}],
    }
    assert said("contacts", [card]) == ("", "👤 João Pedro", [
        "João Pedro: +55 11 98765-4321", "João Pedro: 5511987654321", "João Pedro: 11 1234",
        "João Pedro: joao@exemplo.com",
    ])  # fmt: skip
    text, label, lines = said("contacts", [card, {"name": {"first_name": "Ana"}}, {}, 7])
    assert label == "👤 4 contatos"
    assert lines[-1] == "Ana"


@pytest.mark.parametrize(
    ("body", "label", "lines"),
    [
        ({"latitude": -23.561414, "longitude": -46.655881, "name": "MASP", "address": "Paulista"},
         "📍 MASP", [("Paulista", None), ("Ver no mapa",
         "https://www.google.com/maps/search/?api=1&query=-23.561414%2C-46.655881")]),
        ({"latitude": "1.5", "longitude": 0}, "📍 Localização", [("Ver no mapa",
         "https://www.google.com/maps/search/?api=1&query=1.500000%2C0.000000")]),
        ({"url": "https://masp.org.br/"}, "📍 Localização",
         [("https://masp.org.br/", "https://masp.org.br/")]),
        ({"url": "javascript:alert(1)"}, "📍 Localização", []),
        ({"url": "http://[", "latitude": "norte"}, "📍 Localização", []),
        (None, "📍 Localização", []),
    ],
)  # fmt: skip
def test_a_place_has_name_address_and_a_link(body: Any, label: str, lines: Any) -> None:
    found = [(line["value"], line.get("href")) for line in words.details("location", body)]
    assert (words.placeholder("location", body), found) == (label, lines)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"type": "user_changed_number", "wa_id": "5521998877665", "body": "x"},
         "Trocou de número: agora +55 21 99887-7665"),
        ({"type": "customer_changed_number", "new_wa_id": "5521998877665"},
         "Trocou de número: agora +55 21 99887-7665"),
        ({"type": "user_changed_number", "body": "x"}, "Trocou de número"),
        ({"type": "user_changed_user_id"}, "Mudou de identificação no WhatsApp"),
        ({"type": "customer_identity_changed"}, "O código de segurança mudou"),
        ({"type": "something_new", "body": "Something new"}, "Something new"),
    ],
)  # fmt: skip
def test_a_notice_is_told_in_our_own_words_where_we_have_some(body: Any, text: str) -> None:
    assert said("system", body)[:2] == (text, None)


@pytest.mark.parametrize("body", [None, {}, {"type": 7, "wa_id": []}, [], "x", 5])
def test_a_notice_that_says_nothing_has_a_label(body: Any) -> None:
    assert said("system", body)[:2] == ("", "Aviso do WhatsApp")


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([*BLANKS, "https://x.example", "9" * 400, "{}", "[1]"])
)  # fmt: skip
NAMES = ["body", "caption", "text", "payload", "title", "id", "name", "type", "filename", "voice",
         "button_reply", "list_reply", "nfm_reply", "response_json", "call_permission_reply",
         "payment_method", "errors", "product_items", "quantity", "item_price", "currency",
         "product_retailer_id", "phones", "phone", "emails", "email", "formatted_name", "latitude",
         "longitude", "address", "url", "wa_id", "new_wa_id", "message", "description"]  # fmt: skip
parts = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=25,
)
kinds = st.sampled_from(
    ["text", "image", "audio", "video", "document", "sticker", "location", "contacts", "button",
     "interactive", "order", "system", "unsupported", "request_welcome", "reaction", "edit",
     "revoke", "poll", "hologram", "\u3164", ""]
)  # fmt: skip


@given(kinds, parts)
def test_any_part_of_any_kind_has_words(kind: str, body: Any) -> None:
    text, label = words.text_of(kind, body), words.placeholder(kind, body)
    assert not is_blank(text or label)
    assert not is_blank(preview(text, label))
    for line in words.details(kind, body):
        assert set(line) <= {"label", "value", "href"}
        assert not is_blank(line["value"])
        assert len(line["value"]) <= 500
        assert line.get("href", "https://").startswith(("http://", "https://"))


@given(kinds, parts, st.dictionaries(st.sampled_from(["errors", "context", "referral"]), parts))
def test_any_message_of_any_kind_has_words(kind: str, body: Any, more: dict[str, Any]) -> None:
    message = text_message("w", type=kind, text=None) | {kind: body} | more | {"id": "w"}
    for read in parsing.parse(call(message), NOON * 1000).messages:
        if read.target is None:
            assert not is_blank(read.text or read.placeholder)
        json.dumps([read.details, read.extra, read.payload])
