"""Groups, and what the business writes on its own phone."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from flask import Flask

from chat.conversation.models import Conversation, Message
from chat.incoming.deferred import RejectedUpdate
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
    payload,
    published,
    stored,
    text_message,
    wamids,
)
from tests.helpers import wait_until

__all__ = ["ana"]  # fixtures

JOAO = "5521998877665"
GROUP = "120363041234567890"


def tell(app: Flask, *messages: Any, contacts: Any = ()) -> None:
    answer = deliver(app.test_client(), call(*messages, contacts=contacts))
    assert answer.status_code == 200


def echo(wamid: str, body: str = "da loja", at: int = NOON, **other: Any) -> dict[str, Any]:
    """A text that the business wrote on its phone."""
    sender = {"from": "15550783881", "to": MARIA}
    return text_message(wamid, body, at, **sender) | other


def tell_echoes(app: Flask, *echoes: Any) -> None:
    changes = [{"field": "smb_message_echoes", "value": {"message_echoes": list(echoes)}}]
    answer = deliver(app.test_client(), {"entry": [{"changes": changes}]})
    assert answer.status_code == 200


def post(browser: Browser, chat: str, text: str, **other: Any) -> dict[str, Any]:
    body = {"client_id": str(uuid.uuid4()), "text": text, **other}
    answer = browser.post(f"/api/conversations/{chat}/messages", body)
    assert answer.status_code == 201
    message: dict[str, Any] = answer.get_json()
    return message


# --- groups -----------------------------------------------------------------------------------


def test_a_group_is_a_conversation_of_its_own(sending_app: Flask, ana: Browser) -> None:
    tell(sending_app, text_message("private"), contacts=[contact("Maria")])
    tell(
        sending_app,
        text_message("g1", "oi, grupo", NOON + 1, group_id=GROUP),
        text_message("g2", "olá", NOON + 2, group_id=GROUP, **{"from": JOAO}),
        text_message("g3", "só nome", NOON + 3, group_id=GROUP, **{"from": "BR.77"}),
        contacts=[contact("Maria"), {"user_id": "BR.77", "profile": {"username": "bia"}}],
    )
    group, private = ana.conversations()
    assert [m["id"] for m in ana.thread(private["id"])] == ["private"]
    thread = ana.thread(group["id"])
    assert [m["id"] for m in thread] == ["g1", "g2", "g3"]
    names = [m["author"]["name"] for m in thread]
    assert names == ["Maria", "+55 21 99887-7665", "@bia"], "who wrote stands on each"
    assert (group["is_group"], group["phone"], private["is_group"]) == (True, None, False)
    assert group["name"] == f"Grupo {GROUP[-6:]}", "and not its last writer's"
    assert group["last_message"]["author_name"] == "@bia"
    assert group["unread_count"] == 3


def test_a_group_opens_nobodys_window(sending_app: Flask, ana: Browser) -> None:
    tell(sending_app, text_message("g", "oi", group_id=GROUP))
    tell(sending_app, text_message("p", "oi", NOON - 90_000))
    group, private = ana.conversations()
    assert group["window_expires_at"] is None
    assert private["window_expires_at"] == "2025-11-01T11:00:00.000Z"
    reaction = {"message_id": "g", "emoji": "👍"}
    tell(sending_app, text_message("r", text=None, type="reaction", reaction=reaction,
                                   group_id=GROUP))  # fmt: skip
    assert [c["window_expires_at"] for c in ana.conversations()] == [
        None, "2025-11-01T11:00:00.000Z",
    ]  # fmt: skip


def test_an_answer_goes_to_the_group(sending_app: Flask, ana: Browser, graph: Graph) -> None:
    tell(sending_app, text_message("g", "oi", group_id=GROUP))
    (group,) = ana.conversations()
    post(ana, group["id"], "Olá a todos", reply_to="g")
    (sent,) = graph.received
    assert (sent["recipient_type"], sent["to"]) == ("group", GROUP)
    assert "recipient" not in sent
    assert sent["context"] == {"message_id": "g"}
    assert ana.conversations()[0]["unread_count"] == 0


def test_the_number_in_the_answer_for_a_group_is_nobodys(
    sending_app: Flask, ana: Browser, graph: Graph
) -> None:
    graph.answer = lambda body: accepted(body, wa_id=GROUP)
    tell(sending_app, text_message("g", "oi", group_id=GROUP))
    (group,) = ana.conversations()
    post(ana, group["id"], "Olá a todos")
    assert [(each.phone, each.group_id) for each in live_conversations()] == [(None, GROUP)]
    post(ana, group["id"], "E de novo")
    assert [sent["to"] for sent in graph.received] == [GROUP, GROUP]


def test_who_writes_in_a_group_says_nothing_about_who_is_who(
    sending_app: Flask, ana: Browser
) -> None:
    tell(sending_app, text_message("a", "por número", from_user_id="BR.1"))
    tell(sending_app, text_message("b", "outra", **{"from": JOAO, "from_user_id": "BR.2"}))
    tell(sending_app, text_message("g", "oi", group_id=GROUP, from_user_id="BR.2"))
    tell(sending_app, text_message("h", "oi", group_id=GROUP, **{"from": JOAO}))
    people = {c.phone: c.bsuid for c in live_conversations() if c.group_id is None}
    assert people == {MARIA: "BR.1", JOAO: "BR.2"}


def test_each_member_of_a_group_has_one_reaction(sending_app: Flask, ana: Browser) -> None:
    tell(sending_app, text_message("g", "oi", group_id=GROUP))
    for number, (who, emoji) in enumerate([(MARIA, "👍"), (JOAO, "❤️"), (MARIA, "😂")]):
        reaction = {"message_id": "g", "emoji": emoji}
        message = text_message(f"r{number}", at=NOON + number, text=None, type="reaction",
                               reaction=reaction, group_id=GROUP, **{"from": who})  # fmt: skip
        tell(sending_app, message)
    (group,) = ana.conversations()
    found = [(r["emoji"], r["author"]) for r in ana.thread(group["id"])[0]["reactions"]]
    assert found == [("😂", "+55 11 98765-4321"), ("❤️", "+55 21 99887-7665")]


@pytest.mark.parametrize("group_id", [{"id": 1}, [GROUP], "x" * 600, "__group__", True])
def test_a_group_that_cannot_be_told_is_nobodys_private_chat(
    quick_app: Flask, group_id: Any
) -> None:
    tell(quick_app, text_message("g", "oi", group_id=group_id), text_message("p"))
    assert wamids() == ["p"]
    (aside,) = stored(RejectedUpdate)
    assert aside.field == "group_id"


def test_a_groups_id_may_be_a_number_and_an_empty_one_is_none(quick_app: Flask) -> None:
    tell(quick_app, text_message("g", group_id=int(GROUP)), text_message("h", group_id=GROUP))
    tell(quick_app, text_message("p", group_id=""))
    groups = sorted(str(each.group_id) for each in live_conversations())
    assert groups == [GROUP, "None"]


# --- the business's own phone -----------------------------------------------------------------


def test_an_answer_on_the_businesss_phone_is_a_bubble_on_the_right_and_reads(
    sending_app: Flask, ana: Browser, graph: Graph
) -> None:
    tell(sending_app, text_message("in", "oi"), contacts=[contact("Maria")])
    tell_echoes(sending_app, echo("e1", at=NOON + 60))
    (chat,) = ana.conversations()
    first, second = ana.thread(chat["id"])
    assert second["author"] == {"kind": "business_app", "name": "Celular da empresa"}
    assert (second["direction"], second["status"], second["text"]) == ("out", "sent", "da loja")
    assert first["direction"] == "in"
    assert (chat["unread_count"], chat["name"]) == (0, "Maria")
    assert chat["window_expires_at"] == "2025-11-02T12:00:00.000Z", "the customer did nothing"
    audit = ana.get("/api/messages/e1/status").get_json()
    assert audit["statuses"] == {"sent": "2025-11-01T12:01:00.000Z"}
    assert ana.get("/api/messages/awaiting").get_json()["messages"] == []
    assert graph.received == [], "it is sent already"


def test_an_answer_on_the_businesss_phone_reads_only_what_was_there_by_then(
    quick_app: Flask,
) -> None:
    tell(quick_app, text_message("in", at=NOON + 60))
    tell_echoes(quick_app, echo("late", at=NOON + 30))
    assert live_conversations()[0].unread_count == 1, "written before the customer's message"
    tell_echoes(quick_app, echo("after", at=NOON + 90))
    assert live_conversations()[0].unread_count == 0
    tell(quick_app, text_message("next", at=NOON + 120))
    tell_echoes(quick_app, echo("after", at=NOON + 90))
    assert live_conversations()[0].unread_count == 1, "a repeat reads nothing"
    (unread,) = published("unread.changed")[-1:]
    assert '"unread_count": 1' in unread.data


def test_in_a_group_too(quick_app: Flask) -> None:
    tell(quick_app, text_message("in", at=NOON + 60, group_id=GROUP))
    tell_echoes(quick_app, echo("late", at=NOON + 30, group_id=GROUP))
    (group,) = live_conversations()
    assert (group.unread_count, group.group_id) == (1, GROUP)
    tell_echoes(quick_app, echo("after", at=NOON + 90, group_id=GROUP))
    assert live_conversations()[0].unread_count == 0


@pytest.mark.parametrize("kind", ["image", "audio", "document", "sticker", "location", "hologram"])
def test_what_else_the_phone_sends_has_its_label(quick_app: Flask, kind: str) -> None:
    body = {"id": "1", "caption": "legenda"}
    tell_echoes(quick_app, echo("e", type=kind) | {kind: body})
    (message,) = stored(Message)
    assert message.placeholder
    (chat,) = live_conversations()
    mark = message.placeholder.split()[0]  # a photo's caption stands right behind it
    assert chat.last_text.startswith(mark)
    assert (chat.phone, chat.last_author_name) == (MARIA, "Celular da empresa")


def test_edits_revocations_and_reactions_on_the_phone_change_its_messages_and_the_customers(
    sending_app: Flask, ana: Browser
) -> None:
    tell(sending_app, text_message("in", "oi"))
    for name in ("echo_edit", "echo_text", "echo_edit"):  # the change comes first, and again
        assert deliver(sending_app.test_client(), payload(name)).status_code == 200
    new = {"message_id": "in", "emoji": "🙏"}
    tell_echoes(sending_app, echo("r", type="reaction", text=None, reaction=new))
    (chat,) = ana.conversations()
    first, second = ana.thread(chat["id"])
    assert (second["text"], second["edited_at"]) == ("Já respondo", "2025-11-01T12:01:00.000Z")
    assert first["reactions"] == [{"emoji": "🙏", "author": "Celular da empresa", "own": True}]
    reaction = {"message_id": "wamid.echo", "emoji": "👍"}
    tell(sending_app, text_message("r2", text=None, type="reaction", reaction=reaction))
    assert ana.thread(chat["id"])[1]["reactions"][0]["emoji"] == "👍"
    assert deliver(sending_app.test_client(), payload("echo_revoke")).status_code == 200
    assert ana.thread(chat["id"])[1]["placeholder"] == "🚫 Mensagem apagada"
    assert ana.conversations()[0]["last_message"]["text"] == "🚫 Mensagem apagada"


def test_a_customers_quote_of_an_answer_on_the_phone_finds_it(
    sending_app: Flask, ana: Browser
) -> None:
    reply = text_message("r", "combinado", NOON + 9, context={"id": "e", "from": "15550783881"})
    tell(sending_app, reply)
    tell_echoes(sending_app, echo("e", "às 17h", NOON))
    (chat,) = ana.conversations()
    quote = ana.thread(chat["id"])[1]["reply_to"]
    expected = {"id": "e", "text": "às 17h", "author_name": "Celular da empresa"}
    expected |= {"author_kind": "business_app"}
    assert quote == expected
    tell(sending_app, reply | {"id": "r2", "timestamp": str(NOON + 10)})
    assert ana.thread(chat["id"])[2]["reply_to"] == expected


def test_an_attendants_quote_of_an_answer_on_the_phone_is_sent(
    sending_app: Flask, ana: Browser, graph: Graph
) -> None:
    tell(sending_app, text_message("in"))
    tell_echoes(sending_app, echo("e", "às 17h", NOON + 1))
    (chat,) = ana.conversations()
    post(ana, chat["id"], "como disse", reply_to="e")
    assert graph.received[0]["context"] == {"message_id": "e"}


def test_callbacks_tick_an_answer_on_the_phone_before_it_and_after_it(
    sending_app: Flask, ana: Browser
) -> None:
    client = sending_app.test_client()

    def status(name: str) -> None:
        statuses = [{"id": "e", "status": name, "timestamp": str(NOON + 99)}]
        assert deliver(client, call(statuses=statuses)).status_code == 200

    status("delivered")
    tell_echoes(sending_app, echo("e"))
    (chat,) = ana.conversations()
    assert ana.thread(chat["id"])[0]["status"] == "delivered"
    status("read")
    status("sent")
    assert ana.thread(chat["id"])[0]["status"] == "read"
    assert ana.conversations()[0]["last_message"]["status"] == "read"
    (link,) = stored(WamidLink)
    assert (link.message_id, link.status_facts) == ("e", None)


def test_the_first_thing_in_a_chat_may_be_the_phones(sending_app: Flask, ana: Browser) -> None:
    tell_echoes(sending_app, echo("e", "Olá, aqui é da loja"))
    tell(sending_app, text_message("in", "oi", NOON + 5))
    (chat,) = ana.conversations()
    assert [m["id"] for m in ana.thread(chat["id"])] == ["e", "in"]
    assert chat["unread_count"] == 1


def test_a_message_of_ours_is_not_shown_twice_where_it_comes_as_an_echo(
    sending_app: Flask, ana: Browser, graph: Graph
) -> None:
    tell(sending_app, text_message("in"))
    (chat,) = ana.conversations()
    message = post(ana, chat["id"], "daqui")
    wait_until(lambda: graph.received)
    tell_echoes(sending_app, echo(f"wamid.out.{message['id']}", "daqui"))
    assert [m["text"] for m in ana.thread(chat["id"])] == ["oi", "daqui"]


def test_what_the_phone_could_not_send_is_sent_anew_where_it_is_a_text(
    sending_app: Flask, ana: Browser, graph: Graph
) -> None:
    tell(sending_app, text_message("in"))
    picture = {"type": "image", "text": None, "image": {"id": "1", "caption": "a nota"}}
    tell_echoes(sending_app, echo("text", "às 17h"), echo("picture", **picture))
    failures = [{"id": name, "status": "failed", "timestamp": str(NOON + 60)}
                for name in ("text", "picture")]  # fmt: skip
    assert deliver(sending_app.test_client(), call(statuses=failures)).status_code == 200
    (chat,) = ana.conversations()

    def retry(name: str) -> Any:
        return ana.post(f"/api/messages/{name}/retry", {"client_id": str(uuid.uuid4())})

    answer = retry("picture")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "not_ours")
    assert "celular da empresa" in answer.get_json()["error"]["message"]
    assert retry("picture").status_code == 409
    (refused,) = [m for m in ana.thread(chat["id"]) if m["id"] == "picture"]
    assert "retried_as" not in refused
    assert retry("text").status_code == 201
    assert graph.texts() == ["às 17h"]


def test_an_echo_to_a_bsuid_finds_its_chat(quick_app: Flask) -> None:
    tell(quick_app, text_message("in", **{"from": None, "from_user_id": "BR.1"}))
    tell_echoes(quick_app, echo("e", to="BR.1"), echo("f", to=None, to_user_id="BR.1"))
    assert len(live_conversations()) == 1
    assert {m.conversation_id for m in stored(Message)} == {stored(Conversation)[0].id}


def test_an_echo_in_a_messages_field_is_one_all_the_same(quick_app: Flask) -> None:
    value = {"message_echoes": [echo("e")]}
    change = {"field": "messages", "value": value}
    deliver(quick_app.test_client(), {"entry": [{"changes": [change]}]})
    (message,) = stored(Message)
    assert message.author_kind == "business_app"
