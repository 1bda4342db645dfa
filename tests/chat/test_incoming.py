"""Reading webhook calls: every type, everything missing, nothing raised."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.incoming import parsing
from tests.chat.support import MARIA, NOON, call, payload, text_message

RECEIVED = NOON * 1000 + 5_000


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
        ("reaction", "reaction", "", "Reagiu com 👍"),
        ("reaction_removed", "reaction", "", "Tirou a reação"),
        ("interactive_button", "interactive", "Sim, pode ser", None),
        ("interactive_list", "interactive", "Segunda via", None),
        ("interactive_flow", "interactive", "Enviado", None),
        ("button", "button", "Confirmar", None),
        ("order", "order", "Quero estes", "🛒 Pedido"),
        ("unsupported", "unsupported", "", "Mensagem não suportada"),
        ("unknown_type", "hologram", "", "Mensagem não suportada"),
        ("request_welcome", "request_welcome", "", "Abriu a conversa pela primeira vez"),
        ("edit", "edit", "Boa tarde!", "Editou uma mensagem"),
        ("revoke", "revoke", "", "🚫 Mensagem apagada"),
        ("no_type", "text", "Oi", None),
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
    ("name", "expected"),
    [
        ("no_contacts", {"phone": MARIA, "profile_name": None}),
        ("no_profile", {"phone": MARIA, "profile_name": None}),
        ("bsuid_only", {"phone": None, "bsuid": "BR.1349", "username": "maria.bikes"}),
        ("sender_only_in_contacts", {"phone": MARIA, "bsuid": None}),
        ("milliseconds", {"sent_ms": 1_761_998_400_123}),
        ("no_timestamp", {"sent_ms": RECEIVED}),
        ("text_without_body", {"text": ""}),
        ("reply", {"reply_to": "wamid.text"}),
        ("forwarded", {"reply_to": None}),
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
        ("bad_timestamp", "timestamp"),
        ("bad_timestamp_year_9999", "timestamp"),
        ("bad_no_sender", "from"),
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
    assert parse(payload("errors_of_the_value")).error_codes == [130429]


def test_a_time_somewhat_in_the_future_counts_as_now() -> None:
    (message,) = parse(call(text_message("w", at=NOON + 3600))).messages
    assert message.sent_ms == RECEIVED


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


@pytest.mark.parametrize("name", ["text", "bsuid_only", "user_id_update", "system_changed_number"])
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


@given(json_values)
def test_no_payload_raises(data: Any) -> None:
    parse(data)


@given(st.dictionaries(st.sampled_from(list(text_message("w"))), json_values))
def test_no_message_raises_and_each_is_read_or_rejected(broken: dict[str, Any]) -> None:
    batch = parse(call(text_message("w") | broken))
    assert len(batch.messages) + len(batch.rejected) == 1
