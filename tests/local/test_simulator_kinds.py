"""Groups, ads, forwarded messages, changes of messages, and the business's own phone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.simulator_world import MARIA, World

JOAO = "5521998877665"
GROUP = "120363041234567890"


def echo(world: World, **body: Any) -> str:
    answer = world.http.post("/business/messages", json={"to": MARIA, **body})
    assert answer.status_code == 201, answer.text
    world.advance()
    wamid: str = answer.json["id"]
    return wamid


def test_what_is_written_in_a_group_names_it(world: World) -> None:
    world.write(text="oi, grupo", group=GROUP)
    world.advance()
    (message,) = world.hook.values("messages")
    assert (message["group_id"], message["from"]) == (GROUP, MARIA)
    assert world.phone()[0]["group_id"] == GROUP


def test_an_answer_to_a_group_reaches_its_members_and_its_statuses_name_it(world: World) -> None:
    for phone in (MARIA, JOAO):
        world.write(phone, group=GROUP)
    answer = world.graph({"to": GROUP, "recipient_type": "group", "text": {"body": "olá"}})
    assert answer.status_code == 200, answer.text
    assert answer.json["contacts"] == [{"input": GROUP, "wa_id": GROUP}]
    world.advance(3)
    for phone in (MARIA, JOAO):
        assert [m["text"] for m in world.phone(phone) if m["direction"] == "in"] == ["olá"]
    statuses = world.hook.values("statuses")
    assert [each["status"] for each in statuses] == ["sent", "delivered"]
    for each in statuses:
        assert (each["recipient_type"], each["recipient_id"]) == ("group", GROUP)
        assert "recipient_user_id" not in each


def test_a_group_has_no_window_and_must_be_there(world: World) -> None:
    world.switch(enforce_window=True)
    to_group = {"to": GROUP, "recipient_type": "group", "text": {"body": "olá"}}
    assert world.graph(to_group).json["error"]["code"] == 131009
    world.write(group=GROUP, timestamp=1)
    assert world.graph(to_group).status_code == 200
    world.advance(3)
    assert "failed" not in world.hook.states()
    assert world.graph({**to_group, "recipient_type": "crowd"}).json["error"]["code"] == 100
    assert world.graph({**to_group, "to": 7}).json["error"]["code"] == 100


def test_an_ad_and_a_forwarded_message_are_marked(world: World) -> None:
    world.write(referral=True)
    world.write(referral={"headline": "Outro"})
    world.write(forwarded=True)
    world.write(forwarded="frequently")
    world.advance()
    ad, other, once, often = world.hook.values("messages")
    assert ad["referral"]["source_type"] == "ad"
    assert other["referral"] == {"headline": "Outro"}
    assert once["context"] == {"forwarded": True}
    assert often["context"] == {"forwarded": True, "frequently_forwarded": True}


def test_the_businesss_own_phone_writes_an_echo_and_gets_its_statuses(world: World) -> None:
    wamid = echo(world, text="já vai")
    (item,) = world.hook.values("message_echoes")
    assert (item["id"], item["to"], item["text"]) == (wamid, MARIA, {"body": "já vai"})
    assert item["from"] == "551130030000"
    assert "from_user_id" not in item
    change = world.hook.payloads[0]["entry"][0]["changes"][0]
    assert change["field"] == "smb_message_echoes"
    assert "contacts" not in change["value"]
    world.advance(3)
    assert world.hook.states() == ["sent", "delivered"]
    (shown,) = world.phone()
    assert (shown["direction"], shown["text"]) == ("in", "já vai")


def test_it_answers_those_without_a_number_and_groups_too(world: World) -> None:
    customer = world.http.post("/customers", json={"username": "bia"}).json
    echo(world, to="@bia", text="oi")
    world.write(group=GROUP)
    echo(world, text="oi, grupo", group=GROUP)
    first, second = world.hook.values("message_echoes")
    assert (first["to_user_id"], "to" in first) == (customer["bsuid"], False)
    assert (second["group_id"], second["to"]) == (GROUP, MARIA)


@pytest.mark.parametrize("by_customer", [True, False])
def test_reactions_edits_and_revocations_speak_of_a_message_and_change_the_phone(
    world: World, by_customer: bool
) -> None:
    def do(**body: Any) -> str:
        if not by_customer:
            return echo(world, **body)
        wamid: str = world.write(**{"text": "", **body})["id"]
        world.advance()
        return wamid

    wamid = do(text="um")
    do(type="reaction", reply_to=wamid, emoji="👍")
    do(type="edit", reply_to=wamid, text="dois")
    world.advance(3)
    (shown,) = world.phone(everything=True)
    assert (shown["text"], list(shown["reactions"].values())) == ("dois", ["👍"])
    do(type="reaction", reply_to=wamid, emoji="")
    do(type="revoke", reply_to=wamid)
    (shown,) = world.phone(everything=True)
    assert (shown["text"], shown["reactions"]) == ("Mensagem apagada", {})
    items = world.hook.values("messages" if by_customer else "message_echoes")
    assert [item["type"] for item in items] == ["text", "reaction", "edit", "reaction", "revoke"]
    assert items[1]["reaction"] == {"message_id": wamid, "emoji": "👍"}
    assert items[2]["edit"]["original_message_id"] == wamid
    assert items[2]["edit"]["message"]["text"]["body"] == "dois"
    assert items[3]["reaction"] == {"message_id": wamid}
    assert items[4]["revoke"] == {"original_message_id": wamid}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/customers/{}/messages", {"text": "x", "group": "a b"}, "group"),
        ("/customers/{}/messages", {"text": "x", "group": 7}, "group"),
        ("/customers/{}/messages", {"text": "x", "referral": "ad"}, "referral"),
        ("/customers/{}/messages", {"text": "x", "forwarded": "often"}, "forwarded"),
        ("/business/messages", {"text": "x"}, "to"),
        ("/business/messages", {"to": MARIA}, "text"),
        ("/business/messages", {"to": MARIA, "text": "x", "count": 2}, "count"),
        ("/business/messages", {"to": MARIA, "text": "x", "group": "nobodys"}, "group"),
        ("/business/messages", {"to": MARIA, "type": "edit", "text": "x"}, "reply_to"),
    ],
)
def test_a_refusal_names_the_field(world: World, path: str, body: Any, field: str) -> None:
    answer = world.http.post(path.format(MARIA), json=body)
    assert (answer.status_code, answer.json["error"]["field"]) == (422, field)
