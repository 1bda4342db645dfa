"""Reactions, edits and revocations change the message they speak of, in any order."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat.conversation import changing
from chat.conversation.changing import Change, WaitingChanges
from chat.conversation.models import Conversation, Message
from chat.incoming.deferred import RejectedUpdate
from chat.platform import datastore
from message_status import WamidLink
from tests.chat.sending_support import ana
from tests.chat.support import (
    MARIA,
    NOON,
    Browser,
    Graph,
    accepted,
    call,
    contact,
    deliver,
    live_conversations,
    published,
    run_together,
    stored,
    text_message,
)
from tests.helpers import SETTINGS

__all__ = ["ana"]  # fixtures

CRON = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}
DELETED = "🚫 Mensagem apagada"


def reaction(wamid: str, target: str, emoji: str | None, at: int = 60, **other: Any) -> Any:
    body = {"message_id": target} | ({} if emoji is None else {"emoji": emoji})
    return text_message(wamid, at=NOON + at, text=None, type="reaction", reaction=body, **other)


def edit(wamid: str, target: str, text: str, at: int = 60, **other: Any) -> Any:
    body = {"original_message_id": target, "message": {"type": "text", "text": {"body": text}}}
    return text_message(wamid, at=NOON + at, text=None, type="edit", edit=body, **other)


def revoke(wamid: str, target: str, at: int = 60, **other: Any) -> Any:
    body = {"original_message_id": target}
    return text_message(wamid, at=NOON + at, text=None, type="revoke", revoke=body, **other)


def tell(app: Flask, *messages: Any, contacts: Any = ()) -> None:
    answer = deliver(app.test_client(), call(*messages, contacts=contacts))
    assert answer.status_code == 200


def shown(app: Flask, wamid: str) -> dict[str, Any]:
    """A message as the API and the events tell it."""
    with app.app_context(), datastore.context():
        message = datastore.get(Message, wamid)
        assert message is not None
        return message.live_json()


def row(app: Flask) -> str:
    """What the list's only row says."""
    (conversation,) = live_conversations()
    with app.app_context(), datastore.context():
        text: str = conversation.live_json()["last_message"]["text"]
    return text


def test_a_reaction_stands_under_its_message_and_can_be_taken_away(quick_app: Flask) -> None:
    tell(quick_app, text_message("w"), contacts=[contact("Maria")])
    tell(quick_app, reaction("r1", "w", "👍"))
    assert shown(quick_app, "w")["reactions"] == [{"emoji": "👍", "author": "Maria"}]
    tell(quick_app, reaction("r2", "w", "❤️", 61))
    assert [each["emoji"] for each in shown(quick_app, "w")["reactions"]] == ["❤️"]
    for removal in (None, "", " \u200b"):
        tell(quick_app, reaction(f"r3{removal}", "w", removal, 62))
        assert shown(quick_app, "w")["reactions"] == []
        tell(quick_app, reaction("r1", "w", "👍"), reaction("r2", "w", "❤️", 61))  # repeats
        assert shown(quick_app, "w")["reactions"] == []
    assert row(quick_app) == "oi", "a reaction is no message"
    (conversation,) = live_conversations()
    assert conversation.unread_count == 1
    assert conversation.last_incoming_at == (NOON + 62) * 1000, "the window is open"


def test_the_row_tells_of_the_newest_reaction_since_the_last_message(quick_app: Flask) -> None:
    def told() -> tuple[str, str] | None:
        (conversation,) = live_conversations()
        with quick_app.app_context(), datastore.context():
            found = conversation.live_json().get("last_reaction")
        return found and (found["emoji"], found["text"])

    first, second = text_message("w", "oi"), text_message("x", "tem?", NOON + 10)
    tell(quick_app, first, second, contacts=[contact("Maria")])
    tell(quick_app, reaction("r0", "w", "👍", 5))  # before the last message was written
    assert told() is None
    tell(quick_app, reaction("r2", "x", "❤️", 30))
    tell(quick_app, reaction("r1", "w", "😂", 20))  # later, but it was given earlier
    assert told() == ("❤️", "tem?")
    tell(quick_app, reaction("r3", "x", None, 40))
    assert told() is None
    tell(quick_app, reaction("r4", "w", "🙏", 50))
    assert told() == ("🙏", "oi")
    tell(quick_app, revoke("v", "w", 60))
    assert told() is None
    tell(quick_app, reaction("r5", "x", "😮", 70), text_message("y", "alô", NOON + 80))
    assert told() is None


def test_a_reaction_is_told_with_its_message(quick_app: Flask) -> None:
    tell(quick_app, text_message("w"))
    tell(quick_app, reaction("r", "w", "👍"))
    told = published()[-1]
    assert (told.type, told.version) == ("message.updated", 2)
    assert '"emoji": "\\ud83d\\udc4d"' in told.data
    events = len(published())
    tell(quick_app, reaction("r", "w", "👍"))
    assert len(published()) == events, "a repeat tells nothing"


def test_an_edited_message_says_the_new_text_and_keeps_the_older(quick_app: Flask) -> None:
    tell(quick_app, text_message("w", "bom dai"))
    tell(quick_app, edit("e1", "w", "bom dia"), edit("e2", "w", "bom dia!", 90))
    now = shown(quick_app, "w")
    assert (now["text"], now["edited_at"]) == ("bom dia!", "2025-11-01T12:01:30.000Z")
    assert [each["text"] for each in now["versions"]] == ["bom dai", "bom dia"]
    assert row(quick_app) == "bom dia!"


def test_a_late_edit_is_one_of_the_older_versions(quick_app: Flask) -> None:
    tell(quick_app, text_message("w", "1"))
    for at in (90, 30, 60, 30, 90):
        tell(quick_app, edit(f"e{at}", "w", f"em {at}", at))
    now = shown(quick_app, "w")
    assert now["text"] == "em 90"
    assert [each["text"] for each in now["versions"]] == ["1", "em 30", "em 60"]


def test_a_revoked_message_says_nothing_any_more(quick_app: Flask) -> None:
    card = [{"name": {"formatted_name": "João"}, "phones": [{"phone": "11 1234"}]}]
    ad = {"headline": "Promoção", "source_url": "https://fb.me/x"}
    tell(quick_app, text_message("c", text=None, type="contacts", contacts=card, referral=ad))
    tell(quick_app, reaction("r", "c", "👍"), revoke("v", "c"))
    now = shown(quick_app, "c")
    assert (now["text"], now["placeholder"]) == ("", DELETED)
    assert now["revoked_at"] == "2025-11-01T12:01:00.000Z"
    assert now["reactions"] == []
    assert not {"details", "referral", "versions", "edited_at"} & set(now)
    assert row(quick_app) == DELETED
    tell(quick_app, edit("e", "c", "voltei", 90), reaction("r2", "c", "❤️", 90))
    assert shown(quick_app, "c")["placeholder"] == DELETED
    assert shown(quick_app, "c")["reactions"] == []


def test_the_row_follows_the_newest_message_only(quick_app: Flask) -> None:
    tell(quick_app, text_message("a", "primeira"), text_message("b", "segunda", NOON + 1))
    tell(quick_app, edit("e", "a", "mudada"))
    assert row(quick_app) == "segunda"
    tell(quick_app, edit("e2", "b", "segunda, mudada"))
    assert row(quick_app) == "segunda, mudada"
    tell(quick_app, revoke("v", "b", 70))
    assert row(quick_app) == DELETED
    tell(quick_app, text_message("c", "terceira", NOON + 80))
    assert row(quick_app) == "terceira"


def test_a_caption_can_be_taken_away_and_a_text_cannot(quick_app: Flask) -> None:
    photo = {"id": "1", "mime_type": "image/jpeg", "caption": "a loja"}
    tell(quick_app, text_message("w"), text_message("p", text=None, type="image", image=photo))
    bare = {"original_message_id": "p", "message": {"type": "image", "image": {"id": "1"}}}
    tell(quick_app, text_message("e", at=NOON + 60, text=None, type="edit", edit=bare))
    assert (shown(quick_app, "p")["text"], row(quick_app)) == ("", "📷 Foto")
    for number, part in enumerate(({}, {"type": "text"}, {"type": "text", "text": {"body": " "}})):
        body = {"original_message_id": "w", "message": part}
        tell(quick_app, text_message(f"x{number}", text=None, type="edit", edit=body))
    assert shown(quick_app, "w")["text"] == "oi"
    assert len(stored(RejectedUpdate)) == 3


def test_an_edit_to_something_from_nothing_takes_the_label_away(quick_app: Flask) -> None:
    tell(quick_app, text_message("w", " "))
    assert shown(quick_app, "w")["placeholder"] == "Mensagem vazia"
    tell(quick_app, edit("e", "w", "agora sim"))
    assert shown(quick_app, "w").get("placeholder") is None


def test_a_quote_of_a_changed_message_says_what_it_says_now(quick_app: Flask) -> None:
    tell(quick_app, text_message("w", "segredo"), text_message("x", "1"))
    tell(quick_app, revoke("v", "w"), edit("e", "x", "2"))
    quotes = [text_message(f"q{to}", at=NOON + 99, context={"id": to}) for to in ("w", "x")]
    tell(quick_app, *quotes)
    assert shown(quick_app, "qw")["reply_to"]["text"] == DELETED
    assert shown(quick_app, "qx")["reply_to"]["text"] == "2"


@pytest.mark.parametrize("together", [True, False])
def test_changes_wait_for_their_message_in_every_order(quick_app: Flask, together: bool) -> None:
    for number, order in enumerate(itertools.permutations(range(4))):
        name, sender = f"w{number}", {"from": f"55119{number:08}"}
        parts = [
            text_message(name, "antes", **sender),
            reaction(f"r{number}", name, "👍", 30, **sender),
            edit(f"e{number}", name, "depois", 40, **sender),
            reaction(f"s{number}", name, "❤️", 50, **sender),
        ]
        calls = [[parts[place] for place in order]] if together else [[parts[p]] for p in order]
        for messages in calls * 2:
            tell(quick_app, *messages)
        now = shown(quick_app, name)
        assert (now["text"], now["reactions"][0]["emoji"]) == ("depois", "❤️"), order
        assert len(now["reactions"]) == 1
    assert stored(WaitingChanges) == []
    assert len(live_conversations()) == 24


def test_a_message_that_was_revoked_before_it_came_is_never_told(quick_app: Flask) -> None:
    tell(quick_app, revoke("v", "w"))
    assert live_conversations()[0].sort_key is None, "there is nothing to be shown yet"
    tell(quick_app, text_message("w", "segredo"))
    assert shown(quick_app, "w")["placeholder"] == DELETED
    assert row(quick_app) == DELETED
    assert all("segredo" not in event.data for event in published())


changes = st.lists(
    st.tuples(
        st.sampled_from(["reaction", "edit", "revoke"]),
        st.integers(1, 60),
        st.sampled_from(["", "👍", "❤️"]),
        st.sampled_from(["customer", "business_app"]),
    ),
    max_size=8,
    unique_by=lambda change: (change[0], change[1]),  # of one second nobody knows the order
)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(changes, st.data())
def test_any_order_with_repeats_gives_the_same_message(
    quick_app: Flask, drawn: list[Any], data: st.DataObject
) -> None:
    made = [
        Change(kind, f"{kind}{at}", "w", who, who, NOON * 1000 + at, text or f"texto {at}"
               if kind == "edit" else text)
        for kind, at, text, who in drawn
    ]  # fmt: skip

    def after(order: list[Change]) -> dict[str, Any]:
        message = Message(id="w", conversation_id="c", text="primeiro", sent_at=NOON * 1000)
        for change in order:
            changing.apply(message, change)
        told: dict[str, Any] = message.live_json()
        told["reactions"].sort(key=str)
        return told

    with quick_app.app_context(), datastore.context():
        expected = after(sorted(made, key=lambda change: change.at))
        repeats = data.draw(st.lists(st.sampled_from(made), max_size=5)) if made else []
        assert after(data.draw(st.permutations([*made, *repeats]))) == expected


def test_within_one_second_the_last_to_come_holds_and_repeats_change_nothing(
    quick_app: Flask,
) -> None:
    tell(quick_app, text_message("w"))
    given_and_taken = [reaction("r1", "w", "👍"), reaction("r2", "w", "")]
    tell(quick_app, *given_and_taken)
    for message in given_and_taken:
        tell(quick_app, message)
    assert shown(quick_app, "w")["reactions"] == []


def test_a_lot_that_waits_is_bounded(quick_app: Flask) -> None:
    with quick_app.app_context(), datastore.context():
        message = Message(id="w", conversation_id="c", text="x" * 30_000, sent_at=0)
        entity = None
        for at in range(1, 120):
            change = Change("edit", f"e{at}", "w", "customer", "M", at, f"{at:03}" * 9_000)
            entity = changing.wait(entity, change, Conversation(id="c"), at) or entity
            changing.apply(message, change)
        assert entity is not None
        assert 1 <= len(entity.changes) <= changing.MAX_WAITING
        assert sum(len(each["text"]) for each in entity.changes) < 600_000
        assert 1 <= sum(len(each["text"]) for each in message.versions) < 100_000
        entity.put()
        message.put()


# --- messages of ours ---------------------------------------------------------------------------


@pytest.fixture
def chat(sending_app: Flask, ana: Browser) -> str:
    tell(sending_app, text_message("wamid.in"), contacts=[contact("Maria")])
    return str(ana.conversations()[0]["id"])


def post(browser: Browser, chat: str, text: str) -> dict[str, Any]:
    body = {"client_id": str(uuid.uuid4()), "text": text}
    answer: dict[str, Any] = browser.post(f"/api/conversations/{chat}/messages", body).get_json()
    return answer


@pytest.fixture
def told(graph: Graph, sending_app: Flask) -> list[str]:
    """Texts to which the customer reacts before the Graph API's answer is there."""
    quick: list[str] = []

    def answer(body: dict[str, Any]) -> tuple[int, Any] | None:
        made = accepted(body)
        if body["text"]["body"] in quick:
            wamid = made[1]["messages"][0]["id"]
            tell(sending_app, reaction(f"r{wamid}", wamid, "👍"))
        return None if body["text"]["body"] == "perdida" else made

    graph.answer = answer
    return quick


def test_a_reaction_to_one_of_ours_is_shown(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    message = post(ana, chat, "tudo certo?")
    wamid = f"wamid.out.{message['id']}"
    tell(sending_app, reaction("r", wamid, "👍"))
    (last,) = [each for each in ana.thread(chat) if each["id"] == message["id"]]
    assert last["reactions"] == [{"emoji": "👍", "author": "Maria"}]
    assert last["status"] == "sending", "and nothing else has changed"
    tell(sending_app, reaction("r2", wamid, None, 61))
    assert ana.thread(chat)[-1]["reactions"] == []


def test_a_reaction_that_overtakes_the_answer_of_the_send_is_not_lost(
    ana: Browser, chat: str, told: list[str]
) -> None:
    told.append("rápida")
    post(ana, chat, "rápida")
    last = ana.thread(chat)[-1]
    assert (last["text"], last["reactions"][0]["emoji"]) == ("rápida", "👍")
    assert stored(WaitingChanges) == []
    assert ana.conversations()[0]["last_message"]["text"] == "rápida"


def test_a_reaction_to_one_whose_answer_was_lost_is_found_by_its_callback(
    sending_app: Flask, ana: Browser, chat: str, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told.append("perdida")
    message = post(ana, chat, "perdida")
    assert ana.thread(chat)[-1]["error"]["code"] == "unconfirmed"
    client = sending_app.test_client()
    assert client.get("/tasks/deferred", headers=CRON).get_json()["changes"] == 0
    status = {"id": f"wamid.out.{message['id']}", "status": "delivered",
              "biz_opaque_callback_data": message["id"]}  # fmt: skip
    assert deliver(client, call(statuses=[status])).status_code == 200
    with datastore.context():
        (waiting,) = WaitingChanges.query().fetch()
        now = waiting.due_at
        assert now > waiting.since, "not looked for at each of cron's turns"
    with sending_app.app_context(), datastore.context():
        assert changing.sweep(now) == 1
    last = ana.thread(chat)[-1]
    assert (last["status"], last["reactions"][0]["emoji"]) == ("delivered", "👍")
    assert stored(WaitingChanges) == []


def test_what_waits_in_vain_is_looked_for_less_and_less_and_dropped_in_the_end(
    quick_app: Flask,
) -> None:
    tell(quick_app, reaction("r", "never", "👍"))
    day = 86_400_000
    with quick_app.app_context(), datastore.context():
        (waiting,) = WaitingChanges.query().fetch()
        start, looks = waiting.since, 0
        now = waiting.due_at
        while now < start + changing.WAITING_DAYS * day:
            assert changing.sweep(now) == 0
            looks += 1
            (waiting,) = WaitingChanges.query().fetch(use_cache=False)
            assert now < waiting.due_at <= now + day
            now = waiting.due_at
        assert looks < 60
        changing.sweep(start + changing.WAITING_DAYS * day + 1)
        assert WaitingChanges.query().fetch(use_cache=False) == []


# --- whose change it is -------------------------------------------------------------------------


def test_a_change_by_somebody_else_changes_nothing(quick_app: Flask) -> None:
    tell(quick_app, text_message("w", "meu", from_user_id="BR.1"))
    tell(quick_app, text_message("x", "dela", **{"from": "5521998877665"}))
    other = {"from": "5521998877665", "from_user_id": "BR.2"}
    unknown = {"from": "5531991234567", "from_user_id": "BR.3"}
    for sender in (other, unknown):
        tell(quick_app, edit(f"e{sender}"[:20], "w", "forjado", **sender))
        tell(quick_app, revoke(f"v{sender}"[:20], "w", **sender))
    assert shown(quick_app, "w")["text"] == "meu"


def test_a_change_by_the_bsuid_alone_finds_the_chat_and_joins_it(quick_app: Flask) -> None:
    tell(quick_app, text_message("w", "meu"))
    alone = {"from": None, "from_user_id": "BR.1"}
    tell(quick_app, reaction("r", "w", "👍", **alone))
    assert shown(quick_app, "w")["reactions"][0]["emoji"] == "👍"
    tell(quick_app, text_message("x", "sou eu", NOON + 99, **alone))
    (conversation,) = live_conversations()
    assert (conversation.phone, conversation.bsuid) == (MARIA, "BR.1")


def test_a_change_joins_two_chats_of_one_person_and_never_of_two(quick_app: Flask) -> None:
    alone = {"from": None, "from_user_id": "BR.1"}
    tell(quick_app, text_message("a", "por número"), text_message("b", "por nome", **alone))
    tell(quick_app, text_message("c", "outra", **{"from": "5521998877665"}))
    assert len(live_conversations()) == 3
    tell(quick_app, reaction("r", "c", "👍"))
    assert (len(live_conversations()), shown(quick_app, "c")["reactions"]) == (3, [])
    tell(quick_app, edit("e", "a", "sou eu", **alone))
    assert shown(quick_app, "a")["text"] == "sou eu"
    people = sorted((each.phone or "", each.bsuid or "") for each in live_conversations())
    assert people == [(MARIA, "BR.1"), ("5521998877665", "")]


def test_a_change_in_a_merged_chat_finds_its_message_and_its_row(quick_app: Flask) -> None:
    alone = {"from": None, "from_user_id": "BR.1"}
    tell(quick_app, text_message("a", "por número"))
    tell(quick_app, text_message("b", "por nome", NOON + 5, **alone))
    tell(quick_app, text_message("c", "sou um só", NOON + 1, from_user_id="BR.1"))
    tell(quick_app, edit("e", "b", "por nome, mudado", **alone), reaction("r", "a", "👍", **alone))
    assert shown(quick_app, "a")["reactions"][0]["emoji"] == "👍"
    assert row(quick_app) == "por nome, mudado"
    assert len([each for each in stored(Conversation) if each.merged_into]) == 1


def test_no_link_is_made_for_what_customers_write(quick_app: Flask) -> None:
    tell(quick_app, text_message("w"), reaction("r", "w", "👍"))
    assert stored(WamidLink) == []


# --- at the same time ---------------------------------------------------------------------------


@pytest.mark.store
def test_a_message_and_its_changes_that_come_at_once_always_meet(app: Flask) -> None:
    for number in range(6):
        name, sender = f"w{number}", {"from": f"55119{number:08}"}
        parts = [
            text_message(name, "antes", **sender),
            reaction(f"r{number}", name, "👍", 30, **sender),
            edit(f"e{number}", name, "depois", 40, **sender),
        ]
        run_together(*[lambda part=part: tell(app, part) for part in parts * 2])
        now = shown(app, name)
        assert (now["text"], len(now["reactions"])) == ("depois", 1), number
    assert stored(WaitingChanges) == []
    assert len(live_conversations()) == 6
