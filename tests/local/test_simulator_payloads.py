"""The webhook payloads against the shapes that Meta documents."""

import base64
import hashlib
import hmac
import json

import pytest

from local.simulator.identities import digits_of, new_wamid, ninth_digit_form, other_form
from local.simulator.payloads import (
    Metadata,
    Update,
    contact,
    encode,
    envelope,
    message,
    message_update,
    sign,
    status,
    status_update,
    system_message,
    user_id_update,
)
from tests.local.simulator_world import World

METADATA = Metadata("102290129340398", "106540352242922", "15550783881")
BSUID = "US.13491208655302741918"
MARIA = contact(wa_id="16505551234", user_id=BSUID, name="Sheena Nelson")


def text_update(number: int) -> Update:
    item = message(
        message_id=f"wamid.{number}",
        timestamp=1749416383,
        type="text",
        body={"body": "Does it come in another color?"},
        wa_id="16505551234",
        user_id=BSUID,
    )
    return message_update(item, MARIA)


def test_a_text_message_has_the_envelope_of_metas_reference() -> None:
    assert envelope([text_update(1)], METADATA) == {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": "102290129340398",
                "changes": [
                    {
                        "value": {
                            "messaging_product": "whatsapp",
                            "metadata": {
                                "display_phone_number": "15550783881",
                                "phone_number_id": "106540352242922",
                            },
                            "contacts": [
                                {
                                    "profile": {"name": "Sheena Nelson"},
                                    "wa_id": "16505551234",
                                    "user_id": BSUID,
                                }
                            ],
                            "messages": [
                                {
                                    "from": "16505551234",
                                    "from_user_id": BSUID,
                                    "id": "wamid.1",
                                    "timestamp": "1749416383",
                                    "type": "text",
                                    "text": {"body": "Does it come in another color?"},
                                }
                            ],
                        },
                        "field": "messages",
                    }
                ],
            }
        ],
    }


def test_the_signature_is_over_the_very_bytes_with_unicode_and_slashes_escaped() -> None:
    body = encode({"text": "Olá 😀 https://x"})
    assert body == rb'{"text":"Ol\u00e1 \ud83d\ude00 https:\/\/x"}'
    expected = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert sign(body, "secret") == f"sha256={expected}"
    assert sign(body + b" ", "secret") != f"sha256={expected}"


def test_a_batch_of_1000_is_spread_over_entries_and_changes_and_loses_nothing() -> None:
    payload = envelope([text_update(number) for number in range(1000)], METADATA)
    assert len(payload["entry"]) > 1
    assert all(len(entry["changes"]) > 1 for entry in payload["entry"])
    ids = [
        item["id"]
        for entry in payload["entry"]
        for change in entry["changes"]
        for item in change["value"]["messages"]
    ]
    assert ids == [f"wamid.{number}" for number in range(1000)]


def test_messages_and_statuses_of_a_batch_share_a_value() -> None:
    item = status(
        message_id="wamid.9",
        status="sent",
        timestamp=1,
        recipient_id="16505551234",
        recipient_user_id=BSUID,
    )
    payload = envelope([text_update(1), status_update(item, MARIA)], METADATA)
    (change,) = payload["entry"][0]["changes"]
    assert [one["id"] for one in change["value"]["messages"]] == ["wamid.1"]
    assert [one["id"] for one in change["value"]["statuses"]] == ["wamid.9"]
    assert change["value"]["contacts"] == [MARIA]


def test_a_customer_without_a_number_comes_without_from_and_wa_id() -> None:
    item = message(
        message_id="wamid.1", timestamp=1, type="text", body={"body": "x"}, wa_id=None,
        user_id=BSUID,
    )  # fmt: skip
    assert "from" not in item
    assert item["from_user_id"] == BSUID
    entry = contact(wa_id=None, user_id=BSUID, name="Sheena", username="sheena")
    assert entry == {"profile": {"name": "Sheena", "username": "sheena"}, "user_id": BSUID}


def test_a_failed_status_tells_the_error_and_leaves_contacts_out() -> None:
    item = status(
        message_id="wamid.1",
        status="failed",
        timestamp=1749416383,
        recipient_id="16505551234",
        recipient_user_id=None,
        biz_opaque_callback_data="our-id",
        error=(131047, "More than 24 hours have passed."),
    )
    assert item["timestamp"] == "1749416383"
    assert item["biz_opaque_callback_data"] == "our-id"
    assert item["errors"][0]["code"] == 131047
    assert item["errors"][0]["title"] == item["errors"][0]["message"] == "Re-engagement message"
    assert item["errors"][0]["error_data"] == {"details": "More than 24 hours have passed."}
    assert (
        "contacts"
        not in envelope([status_update(item, MARIA)], METADATA)["entry"][0]["changes"][0]["value"]
    )


@pytest.mark.parametrize(
    ("state", "priced"), [("sent", True), ("delivered", True), ("read", False)]
)
def test_the_price_comes_with_sent_and_with_delivered_only(state: str, priced: bool) -> None:
    item = status(
        message_id="w", status=state, timestamp=1, recipient_id="1", recipient_user_id=BSUID
    )
    assert ("pricing" in item) is priced


def test_a_changed_number_is_told_in_a_system_message_and_in_a_field_of_its_own() -> None:
    system = system_message(
        message_id="wamid.S",
        timestamp=1739321024,
        old_wa_id="16505551234",
        new_wa_id="12195555358",
        new_user_id="US.2",
        name="Sheena Nelson",
        old_user_id=BSUID,
    )
    assert system.contact is None
    assert system.item == {
        "from": "16505551234",
        "id": "wamid.S",
        "timestamp": "1739321024",
        "type": "system",
        "system": {
            "body": "User Sheena Nelson changed from 16505551234 to 12195555358",
            "wa_id": "12195555358",
            "user_id": "US.2",
            "type": "user_changed_number",
        },
    }
    update = user_id_update(
        timestamp=1739321024,
        wa_id="12195555358",
        previous=BSUID,
        current="US.2",
        name="Sheena Nelson",
        contact=MARIA,
    )
    changes = envelope([system, update], METADATA)["entry"][0]["changes"]
    assert [change["field"] for change in changes] == ["messages", "user_id_update"]
    assert changes[1]["value"]["user_id_update"] == [
        {
            "wa_id": "12195555358",
            "detail": "User id for Sheena Nelson has been updated.",
            "user_id": {"previous": BSUID, "current": "US.2"},
            "timestamp": "1739321024",
        }
    ]


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("image", {"mime_type", "sha256", "id"}),
        ("sticker", {"mime_type", "sha256", "id", "animated"}),
        ("audio", {"mime_type", "sha256", "id", "voice"}),
        ("document", {"mime_type", "sha256", "id", "filename"}),
        ("location", {"latitude", "longitude", "name", "address", "url"}),
        ("interactive", {"type", "button_reply"}),
        ("button", {"payload", "text"}),
        ("order", {"catalog_id", "product_items"}),
    ],
)
def test_each_type_has_the_body_of_metas_reference(world: World, kind: str, keys: set[str]) -> None:
    answer = world.http.post("/customers/5511987654321/messages", json={"type": kind})
    assert answer.status_code == 201
    world.advance()
    (item,) = world.hook.values("messages")
    assert item["type"] == kind
    assert set(item[kind]) == keys


def test_a_contact_card_an_unsupported_and_a_welcome_have_their_own_shapes(world: World) -> None:
    for kind in ("contacts", "unsupported", "request_welcome"):
        world.http.post("/customers/5511987654321/messages", json={"type": kind})
    world.advance()
    card, unsupported, welcome = world.hook.values("messages")
    assert card["contacts"][0]["name"]["formatted_name"]
    assert card["contacts"][0]["phones"][0]["phone"]
    assert unsupported["errors"][0]["code"] == 131051
    assert unsupported["unsupported"] == {"type": "poll_creation"}
    assert "request_welcome" not in welcome


@pytest.mark.parametrize("kind", ["reaction", "edit", "revoke"])
def test_what_is_about_a_message_names_it_in_its_body(world: World, kind: str) -> None:
    target = world.write(text="erro")["id"]
    world.write(type=kind, reply_to=target, text="certo")
    world.advance()
    item = world.hook.values("messages")[-1]
    assert "context" not in item
    name = "message_id" if kind == "reaction" else "original_message_id"
    assert item[kind][name] == target


def test_a_reaction_taken_back_comes_without_emoji(world: World) -> None:
    target = world.send()
    world.write(type="reaction", reply_to=target, emoji="❤️")
    world.write(type="reaction", reply_to=target, emoji="")
    world.advance()
    first, second = world.hook.values("messages")
    assert first["reaction"] == {"message_id": target, "emoji": "❤️"}
    assert second["reaction"] == {"message_id": target}


def test_a_reply_names_who_wrote_what_it_answers(world: World) -> None:
    theirs = world.send()
    own = world.write(text="primeira", reply_to=theirs)["id"]
    world.write(text="segunda", reply_to=own)
    world.advance()
    first, second = world.hook.values("messages")
    assert first["context"] == {"from": "551130030000", "id": theirs}
    assert second["context"] == {"from": "5511987654321", "id": own}


def test_a_wamid_looks_like_metas_and_is_never_the_same_twice() -> None:
    wamid = new_wamid("5511987654321", from_customer=True)
    assert wamid.startswith("wamid.HBgN")
    raw = base64.b64decode(wamid.removeprefix("wamid."))
    assert raw[3:16] == b"5511987654321"
    assert len({new_wamid("5511987654321", from_customer=True) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("given", "other"),
    [
        ("5511987654321", "551187654321"),
        ("551187654321", "5511987654321"),
        ("551130030000", "551130030000"),  # a landline has no ninth digit
        ("16505551234", "16505551234"),
    ],
)
def test_only_brazilian_mobiles_have_a_second_form(given: str, other: str) -> None:
    assert other_form(given) == other
    assert other_form(other_form(given)) == given
    assert ninth_digit_form(given, "with") in (given, other)


def test_a_number_may_have_a_plus_and_separators_and_nothing_else() -> None:
    assert digits_of("+55 (11) 98765-4321") == "5511987654321"
    for wrong in ("", "+", "55 11 9876x", "maria", None, 5511987654321, "٥٥١١"):
        assert digits_of(wrong) is None


def test_what_goes_out_is_one_json_text(world: World) -> None:
    world.write(text="Olá / 😀")
    world.advance()
    headers, body = world.hook.received[0]
    assert json.loads(body)["object"] == "whatsapp_business_account"
    assert body.isascii()
    assert headers["X-Hub-Signature-256"] == sign(body, "test-app-secret")
    assert headers["Content-Type"] == "application/json"
