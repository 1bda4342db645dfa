"""sent, delivered, read and failed follow a send as on WhatsApp."""

import pytest

from local.simulator import Pace
from tests.local.simulator_world import MARIA, Webhook, World


def test_sent_then_delivered_then_read_when_the_customer_reads(world: World) -> None:
    wamid = world.send(biz_opaque_callback_data="our-id-1")
    assert world.hook.states() == []
    world.advance(1)
    assert world.hook.states() == ["sent"]
    world.advance(1)
    assert world.hook.states() == ["sent", "delivered"]
    assert world.phone()[0]["status"] == "delivered"
    assert world.customer("read") == {"read": 1}
    assert world.customer("read") == {"read": 0}
    world.advance()
    assert world.hook.states() == ["sent", "delivered", "read"]
    for status in world.hook.values("statuses"):
        assert status["id"] == wamid
        assert status["biz_opaque_callback_data"] == "our-id-1"
        assert status["recipient_id"] == MARIA
        assert isinstance(status["timestamp"], str)
        assert status["timestamp"].isdigit()


def test_timestamps_of_statuses_are_their_own_whole_seconds(world: World) -> None:
    began = int(world.timers.now())
    world.send()
    world.advance(2)
    stamps = [int(status["timestamp"]) for status in world.hook.values("statuses")]
    assert stamps == [began + 1, began + 2]


def test_nothing_is_echoed_where_no_callback_data_was_given(world: World) -> None:
    world.send()
    world.advance(1)
    assert "biz_opaque_callback_data" not in world.hook.values("statuses")[0]


def test_an_offline_phone_gets_its_messages_when_it_comes_back(world: World) -> None:
    world.write()
    world.customer("offline")
    world.send(text="um")
    world.send(text="dois")
    world.advance(3600)
    assert world.hook.states() == ["sent", "sent"]
    assert [one["text"] for one in world.phone()] == ["Olá"]
    assert len(world.phone(everything=True)) == 3
    world.customer("online")
    world.advance(1)
    assert world.hook.states() == ["sent", "sent", "delivered", "delivered"]
    assert [one["text"] for one in world.phone()] == ["Olá", "um", "dois"]


def test_going_offline_before_the_delivery_stops_it(world: World) -> None:
    world.send()
    world.advance(1.5)
    world.customer("offline")
    world.advance(60)
    assert world.hook.states() == ["sent"]


def test_coming_back_twice_delivers_once(world: World) -> None:
    world.write()
    world.customer("offline")
    world.send()
    world.advance(2)
    world.customer("online")
    world.customer("online")
    world.advance(5)
    assert world.hook.states() == ["sent", "delivered"]


def test_nothing_is_read_on_a_phone_that_is_offline(world: World) -> None:
    world.send()
    world.advance(2)
    world.customer("offline")
    assert world.customer("read") == {"read": 0}


def test_a_customer_who_reads_by_themselves_needs_no_nudge(world: World) -> None:
    world.http.post("/customers", json={"phone": MARIA, "reads": True})
    world.send()
    world.advance(3)
    assert world.hook.states() == ["sent", "delivered", "read"]


def test_a_reaction_only_ever_gets_sent(world: World) -> None:
    wamid = world.write()["id"]
    answer = world.graph(
        {"to": MARIA, "type": "reaction", "reaction": {"message_id": wamid, "emoji": "👍"}}
    )
    assert answer.status_code == 200
    world.advance(60)
    world.customer("read")
    world.customer("offline")
    world.customer("online")
    world.advance(60)
    assert world.hook.states() == ["sent"]
    assert world.phone()[0]["reactions"] == {"business": "👍"}


@pytest.mark.parametrize("target", ["unknown", "a reaction", "deleted", "of 31 days"])
def test_a_reaction_to_what_can_have_none_fails_later(world: World, target: str) -> None:
    wamid = world.write()["id"]
    if target == "unknown":
        wamid = "wamid.nobody"
    elif target == "a reaction":
        wamid = world.write(type="reaction", reply_to=wamid, emoji="👍")["id"]
    elif target == "deleted":
        world.write(type="revoke", reply_to=wamid)
    else:
        wamid = world.write(timestamp=int(world.timers.now()) - 31 * 86_400)["id"]
    reaction = {"message_id": wamid, "emoji": "👍"}
    answer = world.graph({"to": MARIA, "type": "reaction", "reaction": reaction})
    assert answer.status_code == 200
    world.advance(5)
    (status,) = world.hook.values("statuses")
    assert (status["status"], status["errors"][0]["code"]) == ("failed", 131009)


def test_a_send_fails_after_it_was_accepted(world: World) -> None:
    world.switch(fail_next={"code": 131047})
    wamid = world.send(biz_opaque_callback_data="our-id-2")
    world.send(text="a seguinte")
    world.advance(5)
    failed, *others = world.hook.values("statuses")
    assert (failed["id"], failed["status"]) == (wamid, "failed")
    assert failed["errors"][0]["code"] == 131047
    assert failed["biz_opaque_callback_data"] == "our-id-2"
    assert {status["status"] for status in others} == {"sent", "delivered"}
    assert [one["text"] for one in world.phone()] == ["a seguinte"]
    assert "contacts" not in world.hook.payloads[0]["entry"][0]["changes"][0]["value"]


def test_reversed_statuses_leave_newest_first(hook: Webhook) -> None:
    world = World(hook, Pace(sent_after=0.1, delivered_after=0.1, read_after=0.1))
    world.http.post("/customers", json={"phone": MARIA, "reads": True})
    world.switch(status_order="reversed")
    world.send()
    world.advance(2)
    assert hook.states() == ["read", "delivered", "sent"]
    world.close()


def test_reversed_statuses_that_come_too_far_apart_are_not_lost(world: World) -> None:
    world.write()
    world.customer("offline")
    world.switch(status_order="reversed")
    world.send()
    world.advance(60)
    assert world.hook.states() == ["sent"]
    world.customer("online")
    world.advance(60)
    assert world.hook.states() == ["sent", "delivered"]


def test_read_comes_without_delivered_when_the_switch_says_so(world: World) -> None:
    world.switch(read_without_delivered=True)
    world.send()
    world.advance(5)
    assert world.hook.states() == ["sent"]
    world.customer("read")
    world.advance()
    assert world.hook.states() == ["sent", "read"]


@pytest.mark.parametrize(("silence", "state"), [(86_399, "delivered"), (86_401, "failed")])
def test_the_24_hour_window_is_kept_when_asked(world: World, silence: int, state: str) -> None:
    world.switch(enforce_window=True)
    world.write()
    world.advance(silence)
    world.send()
    world.advance(5)
    last = world.hook.values("statuses")[-1]
    assert last["status"] == state
    if state == "failed":
        assert last["errors"][0]["code"] == 131047


def test_a_template_goes_through_a_closed_window(world: World) -> None:
    world.switch(enforce_window=True)
    template = {"name": "aviso", "language": {"code": "pt_BR"}}
    world.graph({"to": MARIA, "type": "template", "template": template})
    world.advance(5)
    assert world.hook.states() == ["sent", "delivered"]


def test_the_customers_own_message_shows_one_tick_then_two_then_read(world: World) -> None:
    wamid = world.write()["id"]
    assert world.phone()[0]["status"] == "sent"
    world.advance()
    assert world.phone()[0]["status"] == "delivered"
    world.graph({"status": "read", "message_id": wamid})
    assert world.phone()[0]["status"] == "read"
