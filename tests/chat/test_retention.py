"""A customer's data are deleted: everywhere, resumably, with a record, and nothing of others."""

from __future__ import annotations

import base64
import importlib
import json
import pkgutil
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from google.cloud import ndb

import chat
import realtime_events
from chat.auto_reply import service, usage
from chat.auto_reply.usage import ClaudeUsage
from chat.conversation.changing import WaitingChanges
from chat.conversation.models import Conversation, Message
from chat.incoming import deferred
from chat.incoming.deferred import DeferredUpdates
from chat.incoming.parsing import Rejected
from chat.outgoing.reactions import ReactionToSay
from chat.people.forgotten import Forgotten
from chat.people.identity import ContactAlias
from chat.platform import datastore
from chat.push.notices import PushNotice
from chat.retention import deletion, expiry, records, steps
from chat.retention.records import DataDeletion, DeletionWork
from chat.retention.settings import RetentionSettings
from local.simulator.identities import new_wamid
from message_status import WamidLink
from tests.chat.support import (
    MARIA,
    Browser,
    call,
    contact,
    deliver,
    live_conversations,
    login,
    published,
    run_together,
    stored,
    text_message,
)
from tests.helpers import SETTINGS

pytestmark = pytest.mark.store

CRON = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}
OLD_NUMBER = "5521976543210"
BSUID = "BR.98127634509812"
OTHER = "5511911112222"
NAME = "Zuleica Quintiliana"
SECRET = "xilindró"
DAY = 86_400_000
#: Of the application, the kinds that hold nothing of any customer.
WITHOUT_CUSTOMERS = {
    "Attendant", "LoginAttempts", "SearchProgress", "QuickReply", "FreshnessMinute", "PushPresence",
    "PushSubscription", "LabelBook", "RetentionProgress", "MediaProgress",
}  # fmt: skip
#: What is left of one, which names nobody.
RECORDS = {"DataDeletion", "DeletionWork", "Forgotten"}


@dataclass
class Clock:
    """The application's time; it moves when it is told to."""

    ahead: int = 0

    def pass_(self, milliseconds: int) -> None:
        self.ahead += milliseconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock, now = Clock(), realtime_events.now_ms
    monkeypatch.setattr(realtime_events, "now_ms", lambda: now() + clock.ahead)
    return clock


@pytest.fixture
def inside(app: Flask, clock: Clock) -> Iterator[Flask]:
    """The application, as its requests have it."""
    with app.app_context(), datastore.context(seconds=300):
        yield app


def kinds() -> dict[str, type[ndb.Model]]:
    """All kinds of entities that the application knows."""
    for found in pkgutil.walk_packages(chat.__path__, "chat."):
        importlib.import_module(found.name)
    known = [ndb.Model]
    for each in known:
        known += each.__subclasses__()
    used = {"chat", "realtime_events", "unread_state", "message_status"}
    ours = [each for each in known if each.__module__.split(".")[0] in used]
    abstract = {"_LiveModel", "LiveConversation", "LiveMessage", "UnreadConversationMixin"}
    abstract |= {"UnreadMessageMixin", "MessageStatusMixin"}
    return {each.__name__: each for each in ours if each.__name__ not in abstract}


def everything(*, but: set[str] = frozenset()) -> dict[str, list[str]]:  # type: ignore[assignment]
    """All that is stored, as text, by kind."""

    def readable(value: Any) -> Any:
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def as_text(each: ndb.Model) -> str:
        told = json.dumps(each.to_dict(), default=readable, ensure_ascii=False)
        text = f"{each.key.id()} {told}"
        # WhatsApp's ids have the number inside.
        inside = [base64.b64decode(part) for part in re.findall(r"wamid\.([\w+/]+=*)", text)]
        return " ".join([text, *(each.decode("latin-1") for each in inside)])

    return {
        name: [as_text(each) for each in stored(kind)]
        for name, kind in kinds().items()
        if name not in but
    }


def now() -> int:
    return realtime_events.now_ms() // 1000


def wamid(number: str = MARIA) -> str:
    return new_wamid(number, from_customer=True)


def write(app: Flask, text: str | None, at: int | None = None, **other: Any) -> str:
    """Maria writes."""
    id_ = other.pop("id", None) or wamid()
    if text is None:
        other["text"] = None
    profile = contact(NAME)
    profile["user_id"] = BSUID
    message = text_message(
        id_, text or "", now() if at is None else at, from_user_id=BSUID, **other
    )
    assert deliver(app.test_client(), call(message, contacts=[profile])).status_code == 200
    return id_


def the_chat() -> Conversation:
    (found,) = [each for each in live_conversations() if each.phone == MARIA]
    return found


def a_customer_with_everything(app: Flask, ana: Browser) -> Conversation:
    """Maria, of whom there is something in every kind that can hold something of a customer."""
    client = app.test_client()
    # Two chats that turn out to be one person's, and a number that was given up.
    alone = text_message(
        wamid(BSUID), f"{SECRET} 0", now() - 90, from_user_id=BSUID, **{"from": None}
    )
    deliver(client, call(alone, contacts=[{"user_id": BSUID, "profile": {"name": NAME}}]))
    first = text_message(wamid(OLD_NUMBER), f"{SECRET} 1", now() - 80, **{"from": OLD_NUMBER})
    deliver(client, call(first, contacts=[contact(NAME, OLD_NUMBER)]))
    moved = text_message(
        wamid(OLD_NUMBER), "", now() - 70, type="system", text=None,
        system={"body": "changed", "type": "user_changed_number", "wa_id": MARIA},
        **{"from": OLD_NUMBER},
    )  # fmt: skip
    deliver(client, call(moved))
    newest = write(app, f"{SECRET} 2", now() - 60)
    write(app, f"{SECRET} 3", now() - 50, context={"from": MARIA, "id": newest})
    image = {"id": "981276345", "mime_type": "image/jpeg", "sha256": "x", "caption": SECRET}
    write(app, None, now() - 40, type="image", image=image)
    conversation = the_chat()
    path = f"/api/conversations/{conversation.id}"
    answer = {"client_id": str(uuid.uuid4()), "text": f"resposta {SECRET}"}
    assert ana.post(f"{path}/messages", answer).status_code == 201
    ana.post(f"{path}/notes", {"text": f"anotação {SECRET}", "version": 0})
    ana.post(f"{path}/pinned", {"pinned": True})
    ana.post(f"{path}/name", {"name": NAME})
    document = {"filename": f"{NAME}.pdf", "size": 10, "mime_type": "application/pdf"}
    begun = ana.post(f"{path}/uploads", {"client_id": str(uuid.uuid4()), **document})
    assert begun.status_code == 201, begun.get_json()
    # What came for messages that are not there, what waits, and what could not be used.
    lost = wamid()
    edit = {"original_message_id": lost, "message": {"type": "text", "text": {"body": SECRET}}}
    write(app, None, type="edit", edit=edit)
    status = {"id": wamid(), "status": "delivered", "timestamp": str(now()), "recipient_id": MARIA}
    deliver(client, call(statuses=[status]))
    waits = [change_of(MARIA, SECRET), change_of(OTHER, "de outra pessoa")]
    bad = call({"from": MARIA, "id": wamid(), "type": "text", "text": {"body": SECRET}})
    with datastore.context():
        deferred.defer(waits, realtime_events.now_ms() - 1000)
        rejected = [Rejected("messages", "cannot be stored", bad, bad)]
        deferred.set_aside(rejected, realtime_events.now_ms() - 1000)
        PushNotice(id=conversation.id, needed_at=1, expires_at=2).put()
        ReactionToSay(id=newest, since=1, due_at=2**50).put()
    with app.app_context(), datastore.context():
        note = {"worker": "w", "reason": f"quer saber do {SECRET}"}
        used = usage.Used(model="claude-sonnet-5-5", input=10, output=10)
        realtime_events.transaction(
            lambda: usage.record(
                conversation.id,
                "hand_over",
                used,
                realtime_events.now_ms(),
                service.settings(),
                **note,
            )  # fmt: skip
        )
    return the_chat()


def change_of(number: str, text: str) -> dict[str, Any]:
    """A change of a webhook call, as it is put off."""
    return call(text_message(wamid(number), text, now(), **{"from": number}))["entry"][0][
        "changes"
    ][0]


def another_customer(app: Flask) -> dict[str, Any]:
    """Somebody else, with a word of theirs."""
    message = text_message(wamid(OTHER), "sou outra", now(), **{"from": OTHER})
    deliver(app.test_client(), call(message, contacts=[contact("Outra", OTHER)]))
    (found,) = [each for each in live_conversations() if each.phone == OTHER]
    return found.to_dict()


def to_the_end(app: Flask, clock: Clock) -> DataDeletion:
    """Has the deletion under way done, both rounds; the record."""
    for _ in range(deletion.ROUNDS):
        with app.app_context(), datastore.context(seconds=300):
            deletion.work_off(300)
        clock.pass_(10 * 60_000)
    (record,) = stored(DataDeletion)
    return record  # type: ignore[no-any-return]


def test_every_kind_is_known(app: Flask) -> None:
    """Whoever adds a kind says here whether it may hold something of a customer; if so, it goes
    into `a_customer_with_everything` and `chat.retention.steps`.
    """
    treated = {
        "Conversation", "Message", "ContactAlias", "WamidLink", "RejectedUpdate", "DeferredUpdates",
        "ClaudeUsage", "ClaudeCalls", "PushNotice", "Outbox", "ReactionToSay", "WaitingChanges",
        "PinnedChats", "TeamNotes", "RealtimeEvent", "MediaFetch", "Upload",
    }  # fmt: skip
    assert set(kinds()) == treated | WITHOUT_CUSTOMERS | RECORDS


def test_nothing_is_left_of_a_customer_but_the_record(app: Flask, clock: Clock) -> None:
    ana = login(app)
    other = another_customer(app)
    conversation = a_customer_with_everything(app, ana)
    assert len(conversation.absorbed) == 1
    media_id = "981276345"
    traces = [MARIA, OLD_NUMBER, BSUID, NAME, SECRET, media_id, *conversation.absorbed]
    before = everything(but=WITHOUT_CUSTOMERS | RECORDS)
    for kind, texts in before.items():
        known = [*traces, conversation.id]
        assert any(trace in text for text in texts for trace in known) or kind == "Outbox", kind
    count = len([each for each in stored(Message) if each.conversation_id in
                 (conversation.id, *conversation.absorbed)])  # fmt: skip
    with app.app_context(), datastore.context():
        deletion.begin(conversation.id, "ana")
    record = to_the_end(app, clock)

    for kind, texts in everything().items():
        for text in texts:
            found = [trace for trace in traces if trace in text or trace[2:] in text]
            assert not found, (kind, text)
            names_it = conversation.id in text
            assert not names_it or kind in ("DataDeletion", "ClaudeUsage"), (kind, text)
    assert record.done_at
    assert record.asked_by == "ana"
    assert (record.messages, record.merged) == (count, 1)
    assert stored(DeletionWork) == []
    with app.app_context(), datastore.context():
        for number in (MARIA, OLD_NUMBER):
            (same,) = records.of_number(number)
            assert same.conversation_id == conversation.id
        assert records.of_number(OTHER) == []
    # Nothing of anybody else's.
    (left,) = live_conversations()
    assert left.to_dict() == other
    assert [each.text for each in stored(Message)] == ["sou outra"]
    (waits,) = stored(DeferredUpdates)
    assert "de outra pessoa" in waits.body
    assert [each.key.id() for each in stored(ContactAlias)] == [f"phone:{OTHER}"]
    # What the days have cost stays, with nothing in words.
    assert [each.tokens for each in stored(ClaudeUsage)] == [20]


def test_it_is_gone_from_the_screens_at_once(app: Flask, clock: Clock) -> None:
    ana = login(app)
    write(app, "oi")
    id_ = the_chat().id
    assert ana.get("/unread").get_json()["conversations"] == 1
    with app.app_context(), datastore.context():
        deletion.begin(id_, "ana")
    assert ana.conversations() == []
    assert ana.get("/unread").get_json()["conversations"] == 0
    assert ana.get(f"/api/conversations/{id_}").status_code == 404
    assert ana.get(f"/api/conversations/{id_}/messages").status_code == 404
    message = {"client_id": str(uuid.uuid4()), "text": "ainda está aí?"}
    assert ana.post(f"/api/conversations/{id_}/messages", message).status_code == 404
    told = published("conversation.removed", "unread.changed")[-2:]
    assert [each.type for each in told] == ["unread.changed", "conversation.removed"]
    assert json.loads(told[1].data) == {"conversation_id": id_}


def test_asking_again_changes_nothing(inside: Flask, clock: Clock) -> None:
    write(inside, "oi")
    id_ = the_chat().id
    first = deletion.begin(id_, "ana")
    clock.pass_(5000)
    again = deletion.begin(id_, "bruno")
    assert first is not None
    assert again is not None
    assert (again.asked_by, again.asked_at) == ("ana", first.asked_at)
    assert deletion.begin("nobody", "ana") is None


def test_who_writes_again_begins_a_new_chat(app: Flask, clock: Clock) -> None:
    repeated = write(app, "o pedido 1", now() - 60)
    old = the_chat().id
    with app.app_context(), datastore.context():
        deletion.begin(old, "ana")
    write(app, "voltei", id="wamid.new")  # before anything else was deleted
    new = the_chat().id
    assert new != old
    to_the_end(app, clock)
    write(app, "o pedido 1", now() - 4000, id=repeated)  # Meta repeats what it got no answer to
    assert the_chat().id == new
    assert [each.text for each in stored(Message)] == ["voltei"]
    write(app, "oi de novo")
    assert len(live_conversations()) == 1
    assert len(stored(Message)) == 2


def test_a_repeat_begins_no_chat(app: Flask, clock: Clock) -> None:
    repeated = write(app, SECRET)
    with app.app_context(), datastore.context():
        deletion.begin(the_chat().id, "ana")
    to_the_end(app, clock)
    write(app, SECRET, id=repeated)
    reaction = {"message_id": repeated, "emoji": "👍"}
    write(app, None, type="reaction", reaction=reaction)
    assert stored(Message) == []
    assert stored(WaitingChanges) == []
    assert [each for each in live_conversations() if each.last_position] == []


def test_a_late_status_is_dropped_with_the_next_look(app: Flask, clock: Clock) -> None:
    repeated = write(app, SECRET)
    with app.app_context(), datastore.context():
        deletion.begin(the_chat().id, "ana")
    to_the_end(app, clock)
    for id_ in (repeated, wamid(OTHER)):
        status = {"id": id_, "status": "read", "timestamp": str(now()), "recipient_id": MARIA}
        deliver(app.test_client(), call(statuses=[status]))
    assert len(stored(WamidLink)) == 2
    assert app.test_client().get("/tasks/retention", headers=CRON).status_code == 200
    (left,) = stored(WamidLink)
    assert left.key.id() != repeated
    clock.pass_(40 * DAY)
    app.test_client().get("/tasks/retention", headers=CRON)
    assert stored(Forgotten) == []


def test_a_killed_worker_is_followed_by_another(
    inside: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MESSAGES", 2)
    for place in range(7):
        write(inside, f"{SECRET} {place}", now() - 100 + place)
    deletion.begin(the_chat().id, "ana")
    counted = list(deletion.STEPS)
    dies = iter([False, False, True])

    def messages(plan: Any) -> Any:
        if next(dies, False):
            raise KeyboardInterrupt  # as SIGKILL: nothing else runs
        return steps.messages(plan)

    monkeypatch.setattr(deletion, "STEPS", (messages, *counted[1:]))
    with pytest.raises(KeyboardInterrupt):
        deletion.work_off(60)
    assert len(stored(Message)) == 3
    assert deletion.work_off(60) == 0  # somebody has it, for all that is known
    clock.pass_(deletion.LEASE_MS + 1)
    record = to_the_end(inside, clock)
    assert stored(Message) == []
    assert record.messages == 7
    assert record.done_at


def test_a_commit_that_is_told_twice_counts_once(inside: Flask, clock: Clock) -> None:
    write(inside, SECRET)
    id_ = the_chat().id
    deletion.begin(id_, "ana")
    work = realtime_events.transaction(lambda: deletion._claim(id_, "me"))
    assert work is not None
    plan = deletion.Plan.from_json(work.plan)
    batch = steps.messages(plan)
    for _ in range(2):
        realtime_events.transaction(lambda: deletion._commit(id_, "me", work.batches, batch))
    (record,) = stored(DataDeletion)
    assert record.messages == 1
    # Whoever has lost the lease commits nothing.
    assert realtime_events.transaction(lambda: deletion._commit(id_, "you", 1, batch)) is None
    (record,) = stored(DataDeletion)
    assert record.messages == 1


def test_two_workers_and_a_customer_who_goes_on_writing(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MESSAGES", 3)
    for place in range(12):
        write(app, f"{SECRET} {place}", now() - 100 + place)
    old = the_chat().id

    def work() -> None:
        with app.app_context(), datastore.context(seconds=60):
            deletion.begin(old, "ana")
            deletion.work_off(30)

    def writes() -> None:
        for place in range(6):
            write(app, f"novo {place}", now() - 20 + place)

    run_together(work, work, writes)
    record = to_the_end(app, clock)
    texts = [each.text for each in stored(Message)]
    # Of those that came meanwhile each was deleted with the rest, or is in the new chat.
    assert all(text.startswith("novo") for text in texts)
    assert record.messages + len(texts) == 18
    assert {each.conversation_id for each in stored(Message)} <= {
        each.id for each in live_conversations()
    } - {old}


def test_one_that_cannot_go_on_keeps_no_other_from_it(
    inside: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    another_customer(inside)
    write(inside, SECRET)
    (other,) = [each for each in live_conversations() if each.phone == OTHER]
    mine = the_chat().id
    deletion.begin(mine, "ana")
    deletion.begin(other.id, "ana")
    first = steps.STEPS[0]

    def fails(plan: Any) -> Any:
        if mine in plan.ids:
            raise OSError("no bucket")
        return first(plan)

    monkeypatch.setattr(deletion, "STEPS", (fails, *steps.STEPS[1:]))
    deletion.work_off(60)
    assert [each.conversation_id for each in stored(Message)] == [mine]
    monkeypatch.setattr(deletion, "STEPS", steps.STEPS)
    clock.pass_(61_000)
    deletion.work_off(60)
    assert stored(Message) == []


# --- by age ---------------------------------------------------------------------------------------


def test_settings_say_how_long() -> None:
    assert RetentionSettings.from_env({}) == RetentionSettings(0, 0)
    given = {"RETENTION_MESSAGES_DAYS": "365", "RETENTION_MEDIA_DAYS": "90"}
    assert RetentionSettings.from_env(given) == RetentionSettings(365, 90)
    for wrong in ("-1", "a year", "1.5", "99999999"):
        with pytest.raises(ValueError, match="RETENTION_MESSAGES_DAYS"):
            RetentionSettings.from_env({"RETENTION_MESSAGES_DAYS": wrong})


def test_without_settings_nothing_is_deleted(inside: Flask, clock: Clock) -> None:
    write(inside, "velha", now() - 5000 * 86_400)
    assert expiry.run(RetentionSettings(), 30) == 0
    assert len(stored(Message)) == 1


def test_old_messages_go_and_the_chat_stays(
    inside: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MESSAGES", 2)
    ana = login(inside)
    for days in (40, 35, 31, 29, 1):
        write(inside, f"{days} dias", now() - days * 86_400)
    before = the_chat()
    assert expiry.run(RetentionSettings(messages_days=30), 30) == 3
    assert ana.texts() == ["29 dias", "1 dias"]
    (row,) = ana.conversations()
    assert row["last_message"]["text"] == "1 dias"
    assert row["version"] > before.version
    told = [json.loads(each.data) for each in published("messages.removed")]
    assert {each["conversation_id"] for each in told} == {before.id}
    assert told[-1]["up_to"] < min(each.position for each in stored(Message))
    # Not looked at again before an hour is over.
    assert expiry.run(RetentionSettings(messages_days=1), 30) == 0
    clock.pass_(2 * 3_600_000)
    assert expiry.run(RetentionSettings(messages_days=2), 30) == 1


def test_a_chat_in_which_all_is_old_goes_whole(inside: Flask, clock: Clock) -> None:
    ana = login(inside)
    write(inside, SECRET, now() - 40 * 86_400)
    another_customer(inside)
    id_ = the_chat().id
    ana.post(f"/api/conversations/{id_}/archived", {"archived": True})
    assert expiry.run(RetentionSettings(messages_days=30), 30) == 1
    assert [each.phone for each in live_conversations()] == [OTHER]
    record = to_the_end(inside, clock)
    assert (record.asked_by, record.messages) == (records.BY_AGE, 1)
    assert [each.text for each in stored(Message)] == ["sou outra"]
