"""Reading webhook calls: every type, everything missing, nothing raised."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.incoming import decoding, parsing
from tests.chat.support import MARIA, NOON, PAYLOADS, call, text_message
from tests.chat.support import payload as raw_payload

RECEIVED = NOON * 1000 + 5_000
OURS = "106540352242922"


def payload(name: str) -> Any:
    """A payload file as it comes out of the decoder."""
    return decoding.decode(json.dumps(raw_payload(name)))


def parse(data: Any) -> parsing.Batch:
    return parsing.parse(data, RECEIVED)


@pytest.mark.parametrize(
    ("name", "kind", "text", "label"),
    [
        ("text", "text", "Bom dia! Vocês abrem hoje?", None),
        ("image", "image", "Olha como ficou", "📷 Foto"),
        ("video", "video", "", "🎥 Vídeo"),
        ("document", "document", "", "📄 nota fiscal.pdf"),
        ("audio", "audio", "", "🎵 Áudio"),
        ("audio_voice", "audio", "", "🎤 Mensagem de voz"),
        ("sticker", "sticker", "", "Figurinha"),
        ("location", "location", "", "📍 MASP"),
        ("contacts", "contacts", "", "👤 João Pedro"),
        ("contacts_nameless", "contacts", "", "👤 Contato"),
        ("interactive_button", "interactive", "Sim, pode ser", None),
        ("interactive_list", "interactive", "Segunda via", None),
        ("interactive_flow", "interactive", "Enviado", "📋 Formulário respondido"),
        ("interactive_call_permission", "interactive", "", "📞 Permitiu ligações"),
        ("interactive_payment", "interactive", "", "💳 Escolheu a forma de pagamento"),
        ("interactive_errors", "interactive", "", "Mensagem não suportada"),
        ("button", "button", "Confirmar", None),
        ("button_payload_only", "button", "quero", None),
        ("order", "order", "Quero estes", "🛒 Pedido"),
        ("unsupported", "unsupported", "", "Mensagem não suportada"),
        ("unknown_type", "hologram", "", "Mensagem não suportada"),
        ("request_welcome", "request_welcome", "", "Abriu a conversa pela primeira vez"),
        ("no_type", "text", "Oi", None),
        ("text_without_body", "text", "", "Mensagem vazia"),
        ("type_is_half_a_character", "\ufffd", "", "Mensagem não suportada"),
    ],
)
def test_every_type_is_read_with_its_words_and_label(
    name: str, kind: str, text: str, label: str | None
) -> None:
    batch = parse(payload(name))
    (message,) = batch.messages
    assert batch.rejected == []
    assert (message.type, message.text, message.placeholder) == (kind, text, label)
    assert (message.phone, message.bsuid, message.sent_ms) == (MARIA, "BR.1349", NOON * 1000)
    assert message.profile_name == "Maria Aparecida"


@pytest.mark.parametrize(
    ("name", "target", "said"),
    [
        ("reaction", "wamid.text", "👍"),
        ("reaction_removed", "wamid.text", ""),
        ("edit", "wamid.text", "Boa tarde!"),
        ("revoke", "wamid.text", ""),
        ("echo_reaction", "wamid.text", "👍"),
        ("echo_edit", "wamid.echo", "Já respondo"),
        ("echo_revoke", "wamid.echo", ""),
    ],
)
def test_a_change_names_its_message(name: str, target: str, said: str) -> None:
    (message,) = parse(payload(name)).messages
    assert (message.target, message.emoji or message.text) == (target, said)
    assert message.outgoing is name.startswith("echo")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no_contacts", {"phone": MARIA, "profile_name": None}),
        ("no_profile", {"phone": MARIA, "profile_name": None}),
        ("bsuid_only", {"phone": None, "bsuid": "BR.1349", "username": "maria.bikes"}),
        ("sender_only_in_contacts", {"phone": MARIA, "bsuid": None}),
        ("milliseconds", {"sent_ms": 1_761_998_400_123}),
        ("no_timestamp", {"sent_ms": RECEIVED, "timed": False}),
        ("bad_timestamp", {"sent_ms": RECEIVED, "timed": False}),
        ("bad_timestamp_year_9999", {"sent_ms": RECEIVED, "timed": False}),
        ("reply", {"reply_to": "wamid.text"}),
        ("forwarded", {"reply_to": None}),
        ("from_is_bsuid", {"phone": None, "bsuid": "US.13491208655302741918"}),
        ("half_characters", {"text": "bom dia \ufffd", "profile_name": "Maria \ufffd"}),
        ("group_text", {"group_id": "120363041234567890", "phone": MARIA}),
        ("echo_text", {"author_kind": "business_app", "phone": MARIA, "bsuid": None}),
        ("system_old_number_style", {"phone": MARIA, "new_phone": "5521998877665",
                                     "text": "Trocou de número: agora +55 21 99887-7665"}),
        ("system_changed_number",
         {"phone": MARIA, "new_phone": "5521998877665", "bsuid": "BR.1349",
          "new_bsuid": "BR.2000", "text": "Trocou de número: agora +55 21 99887-7665"}),
        ("system_changed_user_id", {"phone": None, "bsuid": "BR.1349", "new_bsuid": "BR.2000",
                                    "text": "Mudou de identificação no WhatsApp"}),
        ("user_id_update",
         {"phone": MARIA, "bsuid": "BR.1349", "new_bsuid": "BR.2000", "stored": False}),
    ],
)  # fmt: skip
def test_what_is_missing_is_done_without(name: str, expected: dict[str, Any]) -> None:
    batch = parse(payload(name))
    (message,) = batch.messages
    assert batch.rejected == []
    assert {key: getattr(message, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("bad_no_id", "id"),
        ("bad_no_sender", "from"),
        ("bad_echo_to_nobody", "to"),
        ("bad_group_id", "group_id"),
        ("bad_reaction_to_nothing", "reaction"),
        ("bad_messages_not_a_list", "messages"),
        ("bad_value_missing", "value"),
    ],
)
def test_what_cannot_be_used_is_rejected_by_field(name: str, field: str) -> None:
    batch = parse(payload(name))
    assert batch.messages == []
    assert batch.statuses == []
    assert [rejected.field for rejected in batch.rejected] == [field]


def test_a_bad_item_costs_no_neighbour() -> None:
    batch = parse(payload("bad_item_among_good"))
    assert [message.text for message in batch.messages] == ["Primeira", "Segunda"]
    assert [rejected.field for rejected in batch.rejected] == ["messages", "id"]


def test_all_entries_and_changes_are_read() -> None:
    assert [message.text for message in parse(payload("two_entries")).messages] == ["A", "B", "C"]


def test_statuses_are_handed_on_as_they_came() -> None:
    data = payload("status_failed")
    batch = parse(data)
    assert batch.statuses == data["entry"][0]["changes"][0]["value"]["statuses"]
    again = parse(parsing.envelope(parsing.status_changes(batch.statuses)))
    assert again.statuses == batch.statuses


def test_messages_and_statuses_may_share_a_value() -> None:
    batch = parse(payload("messages_and_statuses"))
    assert (len(batch.messages), len(batch.statuses)) == (1, 1)


@pytest.mark.parametrize("name", ["other_fields", "empty"])
def test_what_is_for_others_is_ignored(name: str) -> None:
    assert parse(payload(name)) == parsing.Batch()


def test_errors_of_a_value_are_reported_by_code() -> None:
    assert parse(payload("errors_of_the_value")).error_codes == ["130429"]


@pytest.mark.parametrize("code", ["Maria Aparecida", "5511987654321", {}, [1], None, 1.5, True])
def test_what_is_no_code_is_not_reported(code: Any) -> None:
    value = {"errors": [{"code": code, "title": "x"}]}
    data = {"entry": [{"changes": [{"field": "messages", "value": value}]}]}
    assert parse(data).error_codes == ["?"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("referral", {"referral": {
            "source_url": "https://fb.me/abc", "source_type": "ad", "source_id": "12019",
            "headline": "Revisão completa", "body": "Só esta semana", "media_type": "image",
            "image_url": "https://scontent.example/ad.jpg", "ctwa_clid": "ARAkLk"}}),
        ("forwarded", {"forwarded": True}),
        ("frequently_forwarded", {"forwarded": True, "frequently_forwarded": True}),
        ("referred_product", {"referred_product": {
            "catalog_id": "77", "product_retailer_id": "CAPACETE-P"}}),
        ("interactive_errors", {"errors": [{
            "code": "131051", "title": "Message type unknown",
            "details": "Message type is currently not supported."}]}),
        ("text", {}),
    ],
)  # fmt: skip
def test_what_stands_beside_the_message_is_read(name: str, expected: dict[str, Any]) -> None:
    (message,) = parse(payload(name)).messages
    assert {key: part for key, part in message.extra.items() if key != "more"} == expected


def test_what_nobody_has_documented_is_kept() -> None:
    odd = {"music": {"title": "x"}, "context": {"from": "1", "id": "w0", "new": [1]}}
    (message,) = parse(call(text_message("w", **odd))).messages
    assert message.extra["more"] == odd
    (message,) = parse(call(text_message("w", text={"body": "oi", "spans": [1]}))).messages
    assert message.payload == {"body": "oi", "spans": [1]}


def test_an_address_of_an_ad_that_is_none_is_no_link() -> None:
    ad = {"headline": "Oi", "source_url": "javascript:alert(1)", "image_url": "http://["}
    (message,) = parse(call(text_message("w", referral=ad))).messages
    assert message.extra["referral"] == {"headline": "Oi"}


@pytest.mark.parametrize(
    ("number", "ours"),
    [
        (OURS, True), (int(OURS), True), (f" {OURS} ", True), ("", True), (None, True),
        ({"id": 1}, True), ("999888777666555", False), (999888777666555, False), ("x", False),
    ],
)  # fmt: skip
def test_what_names_another_number_is_not_ours(number: Any, ours: bool) -> None:
    data = call(text_message("w"), text_message("x"), statuses=[{"id": "s", "status": "sent"}])
    data["entry"][0]["changes"][0]["value"]["metadata"] = {"phone_number_id": number}
    batch = parsing.parse(data, RECEIVED, OURS)
    assert (len(batch.messages), len(batch.statuses)) == ((2, 1) if ours else (0, 0))
    assert batch.foreign.total() == (0 if ours else 3)
    assert "x" not in batch.foreign, "only digits go into the log"
    assert batch.rejected == []


@pytest.mark.parametrize("metadata", [None, [], "x", {}, {"display_phone_number": "1"}])
def test_what_names_no_number_is_ours(metadata: Any) -> None:
    data = call(text_message("w"))
    data["entry"][0]["changes"][0]["value"]["metadata"] = metadata
    assert len(parsing.parse(data, RECEIVED, OURS).messages) == 1


def test_another_numbers_echoes_and_updates_are_not_ours_and_their_neighbours_are() -> None:
    changes = [
        payload(name)["entry"][0]["changes"][0]
        for name in ("echo_text", "user_id_update", "foreign_number", "text")
    ]
    for change in changes[:2]:
        change["value"]["metadata"] = {"phone_number_id": "5"}
    batch = parsing.parse({"entry": [{"changes": changes}]}, RECEIVED, OURS)
    assert [message.wamid for message in batch.messages] == ["wamid.text"]
    assert batch.foreign == {"5": 2, "999888777666555": 2}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (str(NOON), NOON * 1000),
        (NOON, NOON * 1000),
        (float(NOON), NOON * 1000),
        (f"{NOON}.25", NOON * 1000 + 250),
        (NOON * 1000 + 123, NOON * 1000 + 123),
        (str(NOON * 1000 + 123), NOON * 1000 + 123),
        (NOON + 60, (NOON + 60) * 1000),
    ],
)
def test_a_time_in_any_writing_is_read(told: Any, expected: int) -> None:
    (message,) = parse(call(text_message("w") | {"timestamp": told})).messages
    assert (message.sent_ms, message.timed) == (expected, True)


@pytest.mark.parametrize(
    "told",
    [
        "1", 1, 0, -1, "-1761998400", NOON + 3600, NOON * 1_000_000, "", "amanhã", "\ufffd", True,
        None, [], {}, [NOON], "9" * 5000, "1e400", "nan", "-inf", 1e308, "2025-11-01T12:00:00Z",
    ],
)  # fmt: skip
def test_a_time_that_cannot_be_is_that_of_receipt(told: Any) -> None:
    (message,) = parse(call(text_message("w") | {"timestamp": told})).messages
    assert (message.sent_ms, message.timed) == (RECEIVED, False)


def test_places_go_on_over_all_of_a_call_whatever_is_rejected() -> None:
    first = call(text_message("a"), "junk", {"id": 7}, text_message("b"))
    second = call(text_message("c"), text_message("d"))
    data = {"entry": first["entry"] + second["entry"]}
    places = {message.wamid: message.place for message in parse(data).messages}
    assert sorted(places, key=lambda wamid: places[wamid]) == ["a", "b", "c", "d"]
    assert len(set(places.values())) == 4


def test_each_message_finds_its_own_contact() -> None:
    contacts = [
        {"wa_id": "111", "profile": {"name": "Um"}},
        {"wa_id": "222", "profile": {"name": "Dois"}},
    ]
    messages = [text_message("a", **{"from": "222"}), text_message("b", **{"from": "111"})]
    batch = parse(call(*messages, contacts=contacts))
    assert [message.profile_name for message in batch.messages] == ["Dois", "Um"]


def test_a_contact_is_not_given_to_somebody_else() -> None:
    batch = parse(call(text_message("a"), contacts=[{"wa_id": "222", "profile": {"name": "Dois"}}]))
    assert batch.messages[0].profile_name is None


def test_a_huge_item_is_rejected() -> None:
    batch = parse(call(text_message("a", "x" * 300_000), text_message("b")))
    assert [message.wamid for message in batch.messages] == ["b"]
    assert batch.rejected[0].reason == "too large"


@pytest.mark.parametrize(
    "name",
    ["text", "bsuid_only", "user_id_update", "system_changed_number", "echo_image", "group_text",
     "referral", "edit", "echo_revoke", "milliseconds", "half_characters"],
)  # fmt: skip
def test_a_deferred_message_is_read_back_the_same(name: str) -> None:
    (message,) = parse(payload(name)).messages
    (again,) = parse(parsing.envelope([message.raw])).messages
    assert again == message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "entry",
                    "changes",
                    "value",
                    "field",
                    "messages",
                    "contacts",
                    "statuses",
                    "from",
                    "id",
                    "timestamp",
                    "type",
                    "text",
                    "image",
                    "context",
                    "system",
                    "profile",
                    "name",
                    "wa_id",
                    "user_id",
                    "previous",
                    "current",
                    "status",
                    "errors",
                    "body",
                    "interactive",
                ]
            ),  # fmt: skip
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("bad_*.json")))
def test_what_is_rejected_is_rejected_again_alone(name: str) -> None:
    first = parse(payload(name)).rejected
    again = [parse(each.body).rejected for each in first]
    assert [[each.field for each in found] for found in again] == [[each.field] for each in first]
    assert [found[0].raw for found in again] == [each.raw for each in first]


@given(json_values)
def test_no_payload_raises(data: Any) -> None:
    parse(data)


@given(st.dictionaries(st.sampled_from(list(text_message("w"))), json_values))
def test_no_message_raises_and_each_is_read_or_rejected(broken: dict[str, Any]) -> None:
    batch = parse(call(text_message("w") | broken))
    assert len(batch.messages) + len(batch.rejected) == 1
