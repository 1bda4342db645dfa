"""The simulator's own HTTP: what tests and people ask of it."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.simulator.switches import SWITCHES, InvalidInput, Switches
from tests.local.simulator_world import MARIA, MARIA_WITHOUT_NINE, World

README = Path(__file__).parents[2] / "local" / "simulator" / "README.md"


def test_a_text_alone_makes_an_unknown_customer_write(world: World) -> None:
    answer = world.http.post(f"/customers/+{MARIA}/messages", json={"text": "Olá"})
    assert answer.status_code == 201
    world.advance()
    (message,) = world.hook.values("messages")
    assert message["id"] == answer.json["id"]
    assert (message["from"], message["text"]) == (MARIA, {"body": "Olá"})
    (contact,) = world.hook.values("contacts")
    assert contact["wa_id"] == MARIA
    assert contact["profile"]["name"]
    assert contact["user_id"] == message["from_user_id"] == answer.json["bsuid"]


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", None])
def test_a_body_is_read_whatever_its_content_type_says(world: World, kind: str | None) -> None:
    path = f"/customers/{MARIA}/messages"
    answer = world.http.post(path, data='{"text": "oi"}', content_type=kind)
    assert answer.status_code == 201
    world.advance()
    assert world.hook.texts() == ["oi"]


def test_both_sides_are_on_the_phone_with_their_direction(world: World) -> None:
    world.write(text="Olá")
    world.send(text="Bom dia")
    world.advance(5)
    seen = [(one["direction"], one["author"], one["text"], one["type"]) for one in world.phone()]
    assert seen == [("out", "customer", "Olá", "text"), ("in", "business", "Bom dia", "text")]
    assert {"id", "status", "at"} <= set(world.phone()[0])


def test_a_name_a_timestamp_and_a_count_are_taken(world: World) -> None:
    made = world.write(text="m", name="Maria Clara", timestamp=1_700_000_000, count=2)
    world.advance()
    assert [one["id"] for one in world.hook.values("messages")] == made["ids"]
    assert {one["timestamp"] for one in world.hook.values("messages")} == {"1700000000"}
    assert world.hook.values("contacts")[0]["profile"] == {"name": "Maria Clara"}


def test_a_payload_is_laid_over_the_message_and_null_takes_a_field_away(world: World) -> None:
    world.write(payload={"from": None, "referral": {"source_id": "1"}, "timestamp": "17e8"})
    world.advance()
    (message,) = world.hook.values("messages")
    assert "from" not in message
    assert message["referral"] == {"source_id": "1"}
    assert message["timestamp"] == "17e8"


def test_a_type_to_come_is_sent_with_a_payload_of_its_own(world: World) -> None:
    world.write(type="hologram", payload={"hologram": {"id": "1"}})
    world.advance()
    assert world.hook.values("messages")[0]["hologram"] == {"id": "1"}


def test_contacts_can_be_changed_and_left_out(world: World) -> None:
    world.write(contact={"profile": None, "user_id": None})
    world.write(contact=None)
    world.advance()
    assert world.hook.values("contacts") == [{"wa_id": MARIA}]
    assert len(world.hook.values("messages")) == 2


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (f"/customers/{MARIA}/messages", {}, "text"),
        (f"/customers/{MARIA}/messages", {"text": ""}, "text"),
        (f"/customers/{MARIA}/messages", {"text": 7}, "text"),
        (f"/customers/{MARIA}/messages", {"txt": "x"}, "txt"),
        (f"/customers/{MARIA}/messages", ["x"], "body"),
        (f"/customers/{MARIA}/messages", {"text": "x", "count": 0}, "count"),
        (f"/customers/{MARIA}/messages", {"text": "x", "timestamp": "now"}, "timestamp"),
        (f"/customers/{MARIA}/messages", {"text": "x", "payload": 1}, "payload"),
        (f"/customers/{MARIA}/messages", {"type": "fax"}, "type"),
        (f"/customers/{MARIA}/messages", {"type": "reaction"}, "reply_to"),
        ("/customers/12/messages", {"text": "x"}, "phone"),
        ("/customers/maria/messages", {"text": "x"}, "phone"),
        ("/customers", {}, "phone"),
        ("/customers", {"phone": "123"}, "phone"),
        ("/customers", {"bsuid": "x"}, "bsuid"),
        ("/customers", {"phone": MARIA, "online": "yes"}, "online"),
        ("/customers", {"phone": MARIA, "from_form": "ten"}, "from_form"),
        ("/bursts", {"customers": 0}, "customers"),
        ("/bursts", {"customers": 10_000, "messages": 10_000}, "messages"),
        ("/bursts", {"batch": 1001}, "batch"),
        ("/webhooks/raw", {}, "body"),
    ],
)
def test_bad_input_is_refused_naming_the_field_and_changes_nothing(
    world: World, path: str, body: object, field: str
) -> None:
    answer = world.http.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json["error"]["field"] == field
    assert answer.json["error"]["message"]
    world.advance(10)
    assert world.hook.received == []
    if "messages" in path or field == "phone":
        assert world.phone_count() == 0


def test_an_unknown_customer_is_404(world: World) -> None:
    for action in ("online", "offline", "read"):
        assert world.http.post(f"/customers/{MARIA}/{action}").status_code == 404
    assert world.http.get(f"/customers/{MARIA}/messages").status_code == 404


def test_adding_a_customer_again_changes_them(world: World) -> None:
    made = world.http.post("/customers", json={"phone": MARIA, "name": "Maria"})
    again = world.http.post("/customers", json={"phone": MARIA_WITHOUT_NINE, "name": "Mariana"})
    assert (made.status_code, again.status_code) == (201, 200)
    assert (again.json["id"], again.json["name"]) == (MARIA, "Mariana")
    changed = world.http.patch(f"/customers/{MARIA}", json={"online": False})
    assert changed.json["online"] is False


@pytest.mark.parametrize(
    ("variant", "fields"),
    [
        ("system", ["messages"]),
        ("user_id_update", ["user_id_update"]),
        ("both", ["messages", "user_id_update"]),
    ],
)
def test_a_number_change_keeps_the_phone_and_frees_the_old_number(
    world: World, variant: str, fields: list[str]
) -> None:
    before = world.write()
    world.advance()
    world.hook.received.clear()
    world.customer("change-number", new_phone="+55 21 97777-6666", variant=variant)
    world.advance()
    sent = [
        change["field"]
        for payload in world.hook.payloads
        for entry in payload["entry"]
        for change in entry["changes"]
    ]
    assert sent == fields
    for system in world.hook.values("messages"):
        assert (system["from"], system["system"]["wa_id"]) == (MARIA, "5521977776666")
        assert system["system"]["type"] == "user_changed_number"
        assert system["system"]["user_id"] != before["bsuid"]
    for update in world.hook.values("user_id_update"):
        assert update["user_id"]["previous"] == before["bsuid"]
    assert [one["text"] for one in world.phone("5521977776666")] == ["Olá"]
    after = world.write(MARIA, "sou outra pessoa")
    assert after["bsuid"] != before["bsuid"]
    assert len(world.phone(MARIA)) == 1


def test_a_number_that_is_somebody_elses_is_not_taken(world: World) -> None:
    world.write(MARIA)
    world.write("5521977776666")
    answer = world.http.post(
        f"/customers/{MARIA}/change-number", json={"new_phone": "5521977776666"}
    )
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "new_phone")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"webhook_delay": 1}, "webhook_delay"),
        ({"webhook_delay_ms": -1}, "webhook_delay_ms"),
        ({"webhook_delay_ms": "1"}, "webhook_delay_ms"),
        ({"webhook_delay_ms": True}, "webhook_delay_ms"),
        ({"webhook_repeat": 0}, "webhook_repeat"),
        ({"webhook_batch": 1001}, "webhook_batch.size"),
        ({"webhook_batch": {}}, "webhook_batch.size"),
        ({"webhook_lose": {"share": 2}}, "webhook_lose.share"),
        ({"webhook_lose": {"what": "all"}}, "webhook_lose.what"),
        ({"refuse_next": {}}, "refuse_next.code"),
        ({"refuse_next": {"code": 1, "why": ""}}, "refuse_next.why"),
        ({"fail_next": 131047}, "fail_next"),
        ({"graph_down": "yes"}, "graph_down"),
        ({"graph_timeout": {"seconds": 0}}, "graph_timeout.seconds"),
        ({"ninth_digit": "ten"}, "ninth_digit"),
    ],
)
def test_a_bad_switch_is_named_and_none_of_the_request_is_done(
    world: World, values: dict[str, object], field: str
) -> None:
    answer = world.http.patch("/switches", json={"graph_delay_ms": 5, **values})
    assert (answer.status_code, answer.json["error"]["field"]) == (422, field)
    assert world.http.get("/switches").json == {
        name: switch.default for name, switch in SWITCHES.items()
    }


@given(st.dictionaries(st.sampled_from(sorted(SWITCHES)), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.dictionaries(st.sampled_from(["size", "share", "code", "times"]), inner),
    max_leaves=5,
)))  # fmt: skip
def test_whatever_is_asked_of_the_switches_is_done_or_refused(values: dict[str, object]) -> None:
    switches = Switches()
    before = switches.as_json()
    try:
        switches.change(values)
        refused = None
    except InvalidInput as problem:
        refused = problem.field.split(".")[0]
    if refused is not None:
        assert refused in values
        assert switches.as_json() == before
    assert set(switches.as_json()) == set(SWITCHES)


def test_every_example_on_the_page_is_a_good_value() -> None:
    for name, switch in SWITCHES.items():
        Switches().change({name: switch.example})
        Switches().change({name: switch.default})


def test_openapi_lists_every_route_and_every_switch(world: World) -> None:
    document = world.http.get("/openapi.json").json
    told = set(document["paths"])
    served = set()
    for rule in world.simulator.app.url_map.iter_rules():
        # What the page keeps for itself is nobody's interface.
        if rule.endpoint in ("static", "page.switch_table", "page.media", "graph.download"):
            continue
        if rule.rule.startswith("/<digits:"):  # Graph without a version
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule).replace("{key}", "{phone}")
        served.add(
            {
                "/{version}/{object_id}/messages": "/{version}/{phone-number-id}/messages",
                "/{version}/{object_id}/media": "/{version}/{phone-number-id}/media",
                "/{version}/{object_id}": "/{version}/{media-id}",
                "/{version}/{object_id}/message_templates": (
                    "/{version}/{business-account-id}/message_templates"
                ),
            }.get(path, path)
        )
    assert told == served
    switches = document["paths"]["/switches"]["patch"]["requestBody"]["content"]
    assert set(switches["application/json"]["schema"]["properties"]) == set(SWITCHES)


def test_the_readme_tells_of_every_switch() -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in SWITCHES if f"`{name}`" not in text] == []


def test_a_page_from_elsewhere_cannot_press_the_buttons(world: World) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = world.http.post(f"/customers/{MARIA}/messages", json={"text": "x"}, headers=headers)
    assert answer.status_code == 403
    assert world.phone_count() == 0
