"""The Graph API: what it accepts, what it refuses and how."""

import base64
import io
import time
from typing import Any

import pytest
import requests

from local.simulator.business import Pace
from tests.local.simulator_world import (
    MARIA,
    MARIA_WITHOUT_NINE,
    NUMBER_ID,
    TOKEN,
    Webhook,
    World,
    make_simulator,
)

TEXT = {"to": f"+{MARIA}", "type": "text", "text": {"body": "Bom dia"}}
AUTH = {"Authorization": f"Bearer {TOKEN}"}


def test_an_accepted_text_is_answered_as_by_meta(world: World) -> None:
    answer = world.graph(TEXT)
    assert answer.status_code == 200
    assert answer.json["messaging_product"] == "whatsapp"
    assert answer.json["contacts"] == [{"input": f"+{MARIA}", "wa_id": MARIA}]
    (message,) = answer.json["messages"]
    assert set(message) == {"id"}
    assert message["id"].startswith("wamid.")


@pytest.mark.parametrize("to", [f"+{MARIA}", MARIA, "+55 11 98765-4321"])
def test_the_recipient_may_come_with_or_without_plus(world: World, to: str) -> None:
    assert world.graph({**TEXT, "to": to}).json["contacts"] == [{"input": to, "wa_id": MARIA}]


@pytest.mark.parametrize("path", [f"/v26.0/{NUMBER_ID}/messages", f"/{NUMBER_ID}/messages"])
def test_any_version_and_none_are_served(world: World, path: str) -> None:
    assert world.graph(TEXT, path=path).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        ({**TEXT, "text": {"body": "x" * 4097}}, 400, 100, "at most 4096 characters"),
        ({**TEXT, "text": {"body": ""}}, 400, 100, "text.body is required"),
        ({**TEXT, "text": {"body": 7}}, 400, 100, "must be a string"),
        ({**TEXT, "text": None}, 400, 131008, "Required parameter is missing"),
        ({**TEXT, "to": ""}, 400, 100, "parameter to is required"),
        ({**TEXT, "to": "maria"}, 400, 100, "Invalid parameter"),
        ({**TEXT, "to": "+123"}, 400, 131026, "undeliverable"),
        ({**TEXT, "to": "+551130030000"}, 400, 131021, "Recipient cannot be sender"),
        ({**TEXT, "to": None, "recipient": "BR.1"}, 400, 131026, "undeliverable"),
        ({**TEXT, "type": "fax"}, 400, 100, "Param type must be one of"),
        ({**TEXT, "biz_opaque_callback_data": "x" * 513}, 400, 100, "at most 512"),
        ({**TEXT, "context": {}}, 400, 131008, "Required parameter is missing"),
        ({**TEXT, "type": "image", "image": {"caption": "x"}}, 400, 131008, "missing"),
        ({**TEXT, "type": "template", "template": {"name": "x"}}, 400, 131008, "missing"),
        ({**TEXT, "messaging_product": "sms"}, 400, 100, "messaging_product is required"),
        ({"status": "read"}, 400, 131008, "missing"),
        ({"status": "read", "message_id": "wamid.none"}, 400, 131009, "not valid"),
        ({"status": "seen", "message_id": "wamid.none"}, 400, 131009, "not valid"),
    ],
)
def test_a_bad_request_gets_metas_error_body(
    world: World, body: dict[str, object], status: int, code: int, says: str
) -> None:
    answer = world.graph(body)
    assert answer.status_code == status
    error = answer.json["error"]
    assert error["code"] == code
    assert error["type"] == "OAuthException"
    assert error["message"].startswith(f"(#{code}) ")
    assert says in error["message"]
    assert error["fbtrace_id"]
    if code > 100:
        assert error["error_data"]["messaging_product"] == "whatsapp"
        assert error["error_data"]["details"]


def test_a_wrong_token_is_401_with_code_190(world: World) -> None:
    answer = world.graph(TEXT, token="stolen")
    assert (answer.status_code, answer.json["error"]["code"]) == (401, 190)
    assert answer.json["error"]["type"] == "OAuthException"
    assert "OAuth" in answer.headers["WWW-Authenticate"]


def test_no_token_at_all_is_401(world: World) -> None:
    assert world.http.post(f"/v26.0/{NUMBER_ID}/messages", json=TEXT).status_code == 401


def test_another_phone_number_id_is_unknown(world: World) -> None:
    answer = world.graph(TEXT, path="/v26.0/999/messages")
    error = answer.json["error"]
    assert answer.status_code == 400
    assert (error["code"], error["error_subcode"]) == (100, 33)
    assert error["type"] == "GraphMethodException"


def test_a_body_that_is_no_json_is_refused(world: World) -> None:
    answer = world.http.post(f"/v26.0/{NUMBER_ID}/messages", data="{", headers=AUTH)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, 100)


def test_4096_characters_are_allowed(world: World) -> None:
    assert world.graph({**TEXT, "text": {"body": "ç" * 4096}}).status_code == 200


def test_a_template_is_answered_with_its_message_status(world: World) -> None:
    template = {"name": "aviso", "language": {"code": "pt_BR"}}
    answer = world.graph({"to": MARIA, "type": "template", "template": template})
    assert answer.json["messages"][0]["message_status"] == "accepted"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("image", {"link": "https://example.com/a.jpg"}),
        ("interactive", {"type": "button", "body": {"text": "Confirma?"}, "action": {}}),
        ("location", {"latitude": -23.5, "longitude": -46.6}),
        ("contacts", [{"name": {"formatted_name": "Ana"}}]),
    ],
)
def test_other_types_are_accepted_and_reach_the_phone(
    world: World, kind: str, body: object
) -> None:
    assert world.graph({"to": MARIA, "type": kind, kind: body}).status_code == 200
    world.advance(3)
    assert [(one["type"], one["body"]) for one in world.phone()] == [(kind, body)]


def test_a_number_without_whatsapp_is_refused_at_once(world: World) -> None:
    world.http.post("/customers", json={"phone": MARIA, "on_whatsapp": False})
    answer = world.graph(TEXT)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, 131026)
    assert world.phone(everything=True) == []


@pytest.mark.parametrize(
    ("mode", "given", "answered"),
    [
        ("as_given", MARIA, MARIA),
        ("as_given", MARIA_WITHOUT_NINE, MARIA_WITHOUT_NINE),
        ("without", MARIA, MARIA_WITHOUT_NINE),
        ("with", MARIA_WITHOUT_NINE, MARIA),
        ("other", MARIA, MARIA_WITHOUT_NINE),
        ("other", MARIA_WITHOUT_NINE, MARIA),
    ],
)
def test_the_ninth_digit_is_answered_as_the_switch_says(
    world: World, mode: str, given: str, answered: str
) -> None:
    world.switch(ninth_digit=mode)
    answer = world.graph({**TEXT, "to": f"+{given}"})
    assert answer.json["contacts"] == [{"input": f"+{given}", "wa_id": answered}]
    world.advance(1)
    assert world.hook.values("statuses")[0]["recipient_id"] == answered


def test_both_forms_of_a_number_are_one_phone(world: World) -> None:
    world.send(f"+{MARIA}", "com")
    world.send(f"+{MARIA_WITHOUT_NINE}", "sem")
    world.advance(3)
    assert [one["text"] for one in world.phone(MARIA)] == ["com", "sem"]
    assert len(world.http.get("/customers").json["customers"]) == 1


def test_a_customers_own_form_goes_before_the_switch(world: World) -> None:
    world.http.post("/customers", json={"phone": MARIA, "from_form": "without"})
    world.switch(ninth_digit="with")
    world.write()
    world.advance()
    assert world.hook.values("messages")[0]["from"] == MARIA_WITHOUT_NINE


def test_a_customer_known_by_bsuid_only_gets_and_writes_without_a_number(world: World) -> None:
    made = world.http.post("/customers", json={"username": "@ze.horta", "name": "Zé"}).json
    assert made["phone"] is None
    answer = world.graph({**TEXT, "to": None, "recipient": made["bsuid"]})
    assert answer.json["contacts"] == [{"input": made["bsuid"], "user_id": made["bsuid"]}]
    world.write(made["bsuid"], "oi")
    world.advance(3)
    (message,) = world.hook.values("messages")
    assert "from" not in message
    assert message["from_user_id"] == made["bsuid"]
    for status in world.hook.values("statuses"):
        assert "recipient_id" not in status
        assert status["recipient_user_id"] == made["bsuid"]
    contacts = world.hook.values("contacts")
    assert all("wa_id" not in one for one in contacts)
    assert contacts[0]["profile"]["username"] == "ze.horta"
    assert [one["text"] for one in world.phone("@ze.horta")] == ["Bom dia", "oi"]


def test_marking_read_covers_all_earlier_messages_and_none_after(world: World) -> None:
    ids = [world.write(text=str(number))["id"] for number in range(3)]
    world.advance()
    assert [one["status"] for one in world.phone()] == ["delivered"] * 3
    answer = world.graph({"status": "read", "message_id": ids[1]})
    assert answer.json == {"success": True}
    assert [one["status"] for one in world.phone()] == ["read", "read", "delivered"]


def test_typing_also_marks_read_and_ends_by_itself_or_with_the_answer(world: World) -> None:
    wamid = world.write()["id"]
    typing = {"status": "read", "message_id": wamid, "typing_indicator": {"type": "text"}}
    assert world.graph(typing).status_code == 200
    assert world.phone()[0]["status"] == "read"
    assert world.http.get(f"/customers/{MARIA}").json["typing"] is True
    world.advance(26)
    assert world.http.get(f"/customers/{MARIA}").json["typing"] is False
    world.graph(typing)
    world.send()
    assert world.http.get(f"/customers/{MARIA}").json["typing"] is False


def upload_form(data: bytes, mime_type: str = "image/png", **other: Any) -> dict[str, Any]:
    form = {"messaging_product": "whatsapp", "type": mime_type}
    form |= {"file": (io.BytesIO(data), "a", mime_type), **other}
    return {name: value for name, value in form.items() if value is not None}


def give(world: World, data: bytes, mime_type: str = "image/png", **other: Any) -> Any:
    form = upload_form(data, mime_type, **other)
    return world.http.post(f"/v26.0/{NUMBER_ID}/media", data=form, headers=AUTH)


def test_an_uploaded_file_is_found_and_downloaded_with_the_token_for_five_minutes(
    world: World,
) -> None:
    form = upload_form(b"PNG!")
    made = world.http.post(f"/v26.0/{NUMBER_ID}/media", data=form, headers=AUTH)
    found = world.http.get(f"/v26.0/{made.json['id']}", headers=AUTH).json
    assert (found["mime_type"], found["file_size"]) == ("image/png", 4)
    assert found["messaging_product"] == "whatsapp"
    path = found["url"].removeprefix("http://localhost")
    assert world.http.get(path).status_code == 401
    got = world.http.get(path, headers=AUTH)
    assert (got.data, got.mimetype) == (b"PNG!", "image/png")
    world.advance(301)
    assert world.http.get(path, headers=AUTH).status_code == 404


@pytest.mark.parametrize("missing", ["messaging_product", "type", "file"])
def test_an_upload_without_one_of_its_fields_is_refused(world: World, missing: str) -> None:
    error = give(world, b"PNG!", **{missing: None}).json["error"]
    assert (error["code"], missing in error["message"]) == (100, True)


def test_an_upload_of_a_type_that_meta_does_not_list_is_refused(world: World) -> None:
    error = give(world, b"PK", "application/zip").json["error"]
    assert error["code"] == 100
    assert "Param file must be a file with one of the following types" in error["message"]


def test_an_empty_upload_is_refused(world: World) -> None:
    assert give(world, b"").json["error"]["code"] == 131053


def test_uploads_are_refused_when_switched_so(world: World) -> None:
    world.simulator.switches.change({"refuse_next_upload": {"code": 131053, "times": 1}})
    assert give(world, b"PNG!").json["error"]["code"] == 131053
    assert "id" in give(world, b"PNG!").json


def send_file(world: World, media_id: str, kind: str = "image", **part: Any) -> Any:
    body = {"to": f"+{MARIA}", "type": kind, kind: {"id": media_id, **part}}
    return world.graph(body)


def test_a_message_with_an_unknown_media_id_is_refused(world: World) -> None:
    error = send_file(world, "42").json["error"]
    assert error["code"] == 100
    assert "media attachment ID" in error["message"]


@pytest.mark.parametrize(
    ("data", "mime_type", "kind", "part"),
    [
        (b"no png", "image/png", "image", {}),
        (b"%PDF-1.4", "application/pdf", "image", {}),
        (b"\xff\xd8\xff" + bytes(5 * 1024 * 1024), "image/jpeg", "image", {}),
        (b"OggS and no Opus in it", "audio/ogg", "audio", {}),
        (b"OggS....OpusHead\x01\x02", "audio/ogg", "audio", {"voice": True}),
        (b"RIFF....WEBPVP8 " + bytes(20), "image/webp", "sticker", {}),
    ],
)
def test_what_is_wrong_with_a_file_is_told_after_the_message_was_taken(
    world: World, data: bytes, mime_type: str, kind: str, part: dict[str, Any]
) -> None:
    given = world.simulator.media.add(data, mime_type, "a", world.timers.now())
    assert send_file(world, given.id, kind, **part).status_code == 200
    world.timers.advance(5)
    (message,) = world.http.get(f"/customers/{MARIA}/messages?all=1").json["messages"]
    assert (message["status"], message["error"]["code"]) == ("failed", 131053)


def test_a_file_is_forgotten_after_thirty_days(world: World) -> None:
    media_id = give(world, b"\x89PNG\r\n\x1a\n").json["id"]
    world.timers.advance(29 * 86_400)
    assert send_file(world, media_id).status_code == 200
    world.timers.advance(2 * 86_400)
    assert send_file(world, media_id).json["error"]["code"] == 100


def test_media_that_a_customer_sent_can_be_downloaded(world: World) -> None:
    world.http.post(f"/customers/{MARIA}/messages", json={"type": "audio"})
    world.advance()
    audio = world.hook.values("messages")[0]["audio"]
    found = world.http.get(f"/v26.0/{audio['id']}", headers=AUTH).json
    assert found["sha256"] == base64.b64decode(audio["sha256"]).hex()
    got = world.http.get(found["url"].removeprefix("http://localhost"), headers=AUTH)
    assert got.data.startswith(b"OggS")


def test_an_unknown_media_id_is_metas_error(world: World) -> None:
    answer = world.http.get("/v26.0/123", headers=AUTH)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, 100)


@pytest.mark.parametrize(
    ("refusal", "status", "details"),
    [
        ({"code": 131056}, 400, "too many messages"),
        ({"code": 131000}, 500, "unknown error"),
        ({"code": 131056, "http_status": 429, "details": "calma"}, 429, "calma"),
        ({"code": 424242}, 400, "unknown error"),
    ],
)
def test_the_next_sends_are_refused_with_the_chosen_code(
    world: World, refusal: dict[str, object], status: int, details: str
) -> None:
    world.switch(refuse_next={**refusal, "times": 2})
    for _ in range(2):
        answer = world.graph(TEXT)
        assert (answer.status_code, answer.json["error"]["code"]) == (status, refusal["code"])
        assert details in answer.json["error"]["error_data"]["details"]
    assert world.graph(TEXT).status_code == 200
    world.advance(3)
    assert len(world.phone()) == 1
    assert world.http.get("/switches").json["refuse_next"] is None


def test_a_graph_api_that_is_down_answers_503_with_code_2(world: World) -> None:
    world.switch(graph_down="503")
    answer = world.graph(TEXT)
    assert (answer.status_code, answer.json["error"]["code"]) == (503, 2)
    world.switch(graph_down=None)
    assert world.graph(TEXT).status_code == 200


def test_a_dead_graph_api_closes_the_connection_without_an_answer(hook: Webhook) -> None:
    with make_simulator(hook.url) as simulator, requests.Session() as http:
        simulator.switches.change({"graph_down": "close"})
        url = f"{simulator.url}/v26.0/{NUMBER_ID}/messages"
        with pytest.raises(requests.ConnectionError):
            http.post(url, json=TEXT, headers=AUTH, timeout=10)
        assert len(list(simulator.phones)) == 0


@pytest.mark.parametrize("process", [True, False])
def test_a_send_without_an_answer_is_carried_out_or_not_as_the_switch_says(
    hook: Webhook, process: bool
) -> None:
    body = {"messaging_product": "whatsapp", **TEXT}
    pace = Pace(0.01, 0.01, 0.01)
    with make_simulator(hook.url, pace=pace) as simulator, requests.Session() as http:
        simulator.switches.change(
            {"graph_timeout": {"process": process, "seconds": 0.2, "times": 1}}
        )
        url = f"{simulator.url}/v26.0/{NUMBER_ID}/messages"
        begun = time.monotonic()
        with pytest.raises(requests.ConnectionError):
            http.post(url, json=body, headers=AUTH, timeout=10)
        assert time.monotonic() - begun >= 0.2
        assert simulator.wait_idle()
        assert sorted(hook.states()) == (["delivered", "sent"] if process else [])
        assert http.post(url, json=body, headers=AUTH, timeout=10).status_code == 200


def test_a_slow_graph_api_answers_late(hook: Webhook) -> None:
    with make_simulator(hook.url) as simulator, requests.Session() as http:
        simulator.switches.change({"graph_delay_ms": 200})
        begun = time.monotonic()
        url = f"{simulator.url}/v26.0/{NUMBER_ID}"
        assert http.get(url, headers=AUTH, timeout=10).json()["id"] == NUMBER_ID
        assert time.monotonic() - begun >= 0.2
